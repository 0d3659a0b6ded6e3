//! Raw files to questions, all or nothing.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use sha2::{Digest, Sha256};
use tracing::info;

use crate::{
    Catalogue, Error, History, ItemTally, Manifest, PrepareOptions, Question, Result, Split,
    amazon::{Fault, Metadata, Reason, RejectLog, Review, check_inputs, scan},
    builder::build_questions,
    history::{Histories, Ledger, UserHistory},
    table::{ItemTable, ReviewTable, write_histories},
    write_questions,
};

/// Files that [`prepare`] writes. The manifest comes last: where it stands, the others are whole.
const FILES: [&str; 6] = [
    "reviews.parquet",
    "items.parquet",
    "histories.parquet",
    "questions.parquet",
    "rejects.jsonl",
    "manifest.json",
];

/// What [`prepare`] made, beside the files.
#[derive(Debug)]
#[non_exhaustive]
pub struct Prepared {
    /// What went in, what was kept and dropped.
    pub manifest: Manifest,
    /// The training part of the histories: purchases before the validation cut, and nothing of later
    /// ones. Users without any are absent.
    pub histories: Vec<History>,
    /// The catalogue.
    pub catalogue: Catalogue,
    /// Questions of all parts, by user, each user's in the order of time.
    pub questions: Vec<Question>,
}

/// Turns review and metadata files into tables, histories and questions in the folder `out`.
///
/// Writes `reviews.parquet`, `items.parquet`, `histories.parquet`, `questions.parquet`, `rejects.jsonl`
/// and `manifest.json`. They are built in a temporary folder on the same disk and moved when all are
/// whole, so that an error leaves nothing behind. Files of an earlier run in `out` are replaced, others stay.
///
/// The same files, options and seed give the same bytes.
///
/// # Errors
/// If an option lies outside its range, a file cannot be used, no user has enough purchases, or training
/// or test have no question.
pub fn prepare(
    reviews: &[PathBuf],
    meta: &[PathBuf],
    out: impl AsRef<Path>,
    options: &PrepareOptions,
) -> Result<Prepared> {
    prepare_until(reviews, meta, out, options, &AtomicBool::new(false))
}

/// As [`prepare`], and gives up soon after `stop` turns true, such as at Ctrl-C.
///
/// # Errors
/// As [`prepare`], and [`Error::Interrupted`] if it was stopped; nothing is left behind then either.
pub fn prepare_until(
    reviews: &[PathBuf],
    meta: &[PathBuf],
    out: impl AsRef<Path>,
    options: &PrepareOptions,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let out = out.as_ref();
    options.validate()?;
    check_inputs::<Review>(reviews, "review")?;
    check_inputs::<Metadata>(meta, "metadata")?;
    let stage = stage_near(out)?;
    // A folder in the private one gets the user's usual permissions.
    let folder = stage.path().join("out");
    fs::create_dir(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    let prepared = build(reviews, meta, &folder, options, stop)?;
    go_on(stop)?;
    publish(&folder, out).map_err(|source| Error::Write { path: out.into(), source })?;
    info!(out = %out.display(), questions = prepared.questions.len(), "prepared");
    Ok(prepared)
}

/// An error once `stop` is true.
pub(crate) fn go_on(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

fn build(
    reviews: &[PathBuf],
    meta: &[PathBuf],
    folder: &Path,
    options: &PrepareOptions,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let mut rejects = RejectLog::create(&folder.join("rejects.jsonl"))?;

    let mut catalogue = Catalogue::default();
    let mut item_table = ItemTable::create(&folder.join("items.parquet"))?;
    let (item_lines, meta_inputs) = scan(meta, &mut rejects, stop, |row: Metadata, _| {
        if catalogue.contains(&row.item) {
            let detail =
                format!("`asin`: expected an item not described before, found `{}`", row.item);
            return Ok(Err(Fault::new(Reason::Duplicate, detail)));
        }
        item_table.push(&row)?;
        catalogue.push(row);
        Ok(Ok(()))
    })?;
    item_table.finish()?;

    let mut ledger = Ledger::default();
    let mut lines_seen = HashSet::new();
    let mut review_table = ReviewTable::create(&folder.join("reviews.parquet"))?;
    let (review_lines, mut inputs) = scan(reviews, &mut rejects, stop, |review: Review, line| {
        if !lines_seen.insert(line_key(line)) {
            return Ok(Err(Fault::new(
                Reason::Duplicate,
                "expected a new review, found a line read before",
            )));
        }
        review_table.push(&review)?;
        ledger.push(&review, &catalogue, options);
        Ok(Ok(()))
    })?;
    review_table.finish()?;
    rejects.finish()?;
    drop(lines_seen);

    let histories = ledger.build(&catalogue, options);
    if histories.users.is_empty() {
        return Err(too_few_users(&histories, review_lines.kept, options));
    }
    let built = build_questions(&histories, &catalogue, options, stop)?;
    write_histories(
        &folder.join("histories.parquet"),
        &histories.users,
        &catalogue,
        &built.split.cuts,
    )?;
    write_questions(folder.join("questions.parquet"), &built.questions)?;

    inputs.extend(meta_inputs);
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        inputs,
        options: options.clone(),
        reviews: review_lines,
        items: ItemTally { lines: item_lines, titled: catalogue.titled() as u64 },
        histories: histories.tally,
        split: built.split,
        questions: built.tally,
    };
    manifest.write(&folder.join("manifest.json"))?;
    let cuts = manifest.split.cuts;
    let training =
        histories.users.iter().filter_map(|history| training_part(history, &catalogue, &cuts));
    Ok(Prepared { histories: training.collect(), manifest, catalogue, questions: built.questions })
}

/// 128 bits of a line's hash, enough that no two different lines of a real file share them.
fn line_key(line: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(line)[..16]);
    key
}

fn too_few_users(histories: &Histories, reviews: u64, options: &PrepareOptions) -> Error {
    let dropped = histories.tally.dropped;
    Error::TooFewUsers {
        needed: options.min_interactions,
        users: histories.seen_users,
        purchases: histories.seen_purchases,
        reviews,
        unverified: dropped.unverified,
        unknown: dropped.unknown_item,
        untitled: dropped.untitled_item,
        longest: histories.longest,
    }
}

fn training_part(history: &UserHistory, catalogue: &Catalogue, cuts: &Split) -> Option<History> {
    let events: Vec<_> =
        history.events.iter().take_while(|event| event.time < cuts.validation_from).collect();
    (!events.is_empty()).then(|| History {
        user: history.user.clone(),
        items: events.iter().map(|event| catalogue.product(event.item).item.clone()).collect(),
        times: events.iter().map(|event| event.time).collect(),
    })
}

/// A temporary folder in `out` or else in the nearest folder above it that exists: on the same disk, so
/// that the finished files can be renamed.
fn stage_near(out: &Path) -> Result<tempfile::TempDir> {
    let existing = out.ancestors().find(|folder| folder.exists());
    let folder = existing.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::NotAFolder { path: folder.into() });
    }
    if let Some(path) = FILES.iter().map(|file| out.join(file)).find(|path| path.is_dir()) {
        return Err(Error::Folder { path });
    }
    tempfile::Builder::new()
        .prefix(".nextcart-")
        .tempdir_in(folder)
        .map_err(|source| Error::Write { path: folder.into(), source })
}

fn publish(folder: &Path, out: &Path) -> io::Result<()> {
    if !out.exists() {
        if let Some(parent) = out.parent() {
            fs::create_dir_all(parent)?;
        }
        return fs::rename(folder, out);
    }
    // An old manifest must not stand beside new tables, should the moves be cut off half-way.
    match fs::remove_file(out.join("manifest.json")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    FILES.iter().try_for_each(|file| fs::rename(folder.join(file), out.join(file)))
}
