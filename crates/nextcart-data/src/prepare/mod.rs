//! Raw files to questions, all or nothing.

mod dataset;
mod histories;
mod known;
mod questions;
mod until;

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    thread,
    time::Instant,
};

use datafusion::prelude::SessionContext;
use tracing::{info, warn};

pub use dataset::{Dataset, Prepared};

use crate::{
    Error, HistoryTally, Manifest, PrepareOptions, QuestionTally, Resources, Result, SplitTally,
    ingest::ingest_into,
    manifest::write_json,
    plan,
    publish::{MANIFEST, Publication, REJECTS, TABLES},
};
use histories::Stages;
use known::Known;

/// Histories that come of the tables.
pub(crate) const HISTORIES: &str = "histories.parquet";

/// Questions that come of the histories.
pub(crate) const QUESTIONS: &str = "questions.parquet";

const FILES: [&str; 5] = [TABLES[0], TABLES[1], HISTORIES, QUESTIONS, REJECTS];

/// Turns review and metadata files into tables, histories and questions in the folder `out`.
///
/// `reviews` and `meta` name files or folders; [`source`](crate::source) tells their formats. Writes
/// `reviews.parquet`, `items.parquet`, `histories.parquet`, `questions.parquet`, `rejects.jsonl` and
/// `manifest.json`. They are built in a temporary folder on the same disk and moved when all are whole, so
/// that an error leaves nothing behind. Files of an earlier run in `out` are replaced, others stay.
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
    let stop = AtomicBool::new(false);
    prepare_until(reviews, meta, out, options, &Resources::default(), &stop)
}

/// As [`prepare`], within limits, and gives up soon after `stop` turns true, such as at Ctrl-C.
///
/// # Errors
/// As [`prepare`], and [`Error::Interrupted`] if it was stopped; nothing is left behind then either.
pub fn prepare_until(
    reviews: &[PathBuf],
    meta: &[PathBuf],
    out: impl AsRef<Path>,
    options: &PrepareOptions,
    resources: &Resources,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let out = out.as_ref();
    options.validate()?;
    let publication = Publication::begin(out, &FILES)?;
    let work = async {
        let context = plan::session(resources, &publication.scratch()?)?;
        run(&context, &publication, (reviews, meta), options, resources, stop).await
    };
    let manifest = on_runtime(resources.threads(), work)?;
    publication.publish(stop)?;
    Ok(Prepared::new(out, manifest))
}

/// As [`prepare`], with the relational work on a context of the caller's, such as that of a Ballista
/// cluster. The context needs the functions of [`plan::register`] and must see the files of `out`'s disk.
///
/// Reading files and asking questions happens in this process and blocks the calling thread, so that the
/// runtime needs other threads for the plans.
///
/// # Errors
/// As [`prepare`].
pub async fn prepare_on(
    context: &SessionContext,
    reviews: &[PathBuf],
    meta: &[PathBuf],
    out: impl AsRef<Path>,
    options: &PrepareOptions,
    resources: &Resources,
) -> Result<Prepared> {
    let (out, stop) = (out.as_ref(), AtomicBool::new(false));
    options.validate()?;
    let publication = Publication::begin(out, &FILES)?;
    let manifest = run(context, &publication, (reviews, meta), options, resources, &stop).await?;
    publication.publish(&stop)?;
    Ok(Prepared::new(out, manifest))
}

/// Runs a future in a runtime of its own, whether or not the caller is in one.
pub(crate) fn on_runtime<T: Send>(
    threads: usize,
    work: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_time()
        .build()
        .map_err(|source| Error::Threads { source })?;
    // It also ends in that thread: a runtime may not be dropped within another.
    thread::scope(|scope| match scope.spawn(move || runtime.block_on(work)).join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

async fn run(
    context: &SessionContext,
    publication: &Publication,
    (reviews, meta): (&[PathBuf], &[PathBuf]),
    options: &PrepareOptions,
    resources: &Resources,
    stop: &AtomicBool,
) -> Result<Manifest> {
    let (folder, scratch) = (publication.folder(), publication.scratch()?);
    let mut watch = Watch::start();
    let ingested = ingest_into(reviews, meta, folder, &options.ingest, resources, stop)?;
    watch.lap("read the files");
    let memory_bytes = resources.memory_bytes;
    let stages = Stages { context, folder, scratch: &scratch, options, memory_bytes, stop };
    let (histories, cuts) = stages.histories(&ingested).await?;
    watch.lap("made histories");
    let known = Known::read(&stages, &histories).await?;
    watch.lap("counted training");
    let split = SplitTally { cuts, ..known.split };
    let questions = questions::write(&stages, &known, resources.threads())?;
    watch.lap("asked questions");
    check_parts(&questions, &histories, &split, options)?;
    let manifest = Manifest {
        version: ingested.version,
        pseudonymised: ingested.pseudonymised,
        inputs: ingested.inputs,
        options: options.clone(),
        reviews: ingested.reviews,
        items: ingested.items,
        histories,
        split,
        questions,
    };
    let drawn = manifest.questions.filled_by_popularity;
    if drawn > 0 && drawn == manifest.distractors() {
        warn!(drawn, wanted = ?options.distractors, "all distractors were drawn by popularity");
    }
    write_json(&manifest, &folder.join(MANIFEST))?;
    Ok(manifest)
}

/// Tells how long stages took.
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self, done: &'static str) {
        let seconds = std::mem::replace(&mut self.0, Instant::now()).elapsed().as_secs_f64();
        info!(seconds, "{done}");
    }
}

/// Training and test need a question each.
fn check_parts(
    tally: &QuestionTally,
    histories: &HistoryTally,
    split: &SplitTally,
    options: &PrepareOptions,
) -> Result<()> {
    let parts = [("train", tally.train, split.train), ("test", tally.test, split.test)];
    match parts.into_iter().find(|(_, questions, _)| *questions == 0) {
        None => Ok(()),
        Some((part, _, in_part)) => Err(Error::NoQuestions {
            part,
            users: histories.users,
            interactions: histories.interactions,
            in_part,
            min_history: options.min_history,
            short: tally.short_history,
            cold: if options.keep_cold_targets { 0 } else { tally.cold_targets },
            repeated: tally.repeated_title,
            few: tally.few_distractors,
        }),
    }
}
