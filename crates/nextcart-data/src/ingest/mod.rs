//! Files to tables: every line becomes a row or a rejected line with a reason.
//!
//! One thread reads and decodes, the others parse, the caller's writes; blocks of lines pass between them
//! in the order of the files. What is known of earlier lines, to find duplicates, lies on disk beyond a few
//! thousand of them: memory grows with the filter in front of it, up to a quarter of the limit, and with the
//! number of duplicates, not of lines.

mod fingerprints;
mod items;
mod options;
mod pipeline;
mod reviews;
mod rows;
mod salt;
mod sorter;

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use serde::{Deserialize, Serialize};
use tracing::info;

pub use options::IngestOptions;
pub use salt::Salt;

use crate::{
    InputFile, ItemTally, Result, Tally,
    manifest::write_json,
    publish::{MANIFEST, Publication, REJECTS, TABLES},
    resources::Resources,
    source::{FileKind, Files, RejectLog, find_files, names},
};
use items::ItemRows;
use pipeline::Pipeline;
use reviews::ReviewRows;

/// Of the memory limit, at most one part in so many goes to the filter that tells new lines from others: with
/// the default limit, 50 bits for each of 20 million lines, or four for each of 233 million.
const FILTER_SHARE: usize = 4;

/// What [`ingest`] did, as it stands in its `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ingested {
    /// Version of this crate.
    pub version: String,
    /// The review files, then the metadata files.
    pub inputs: Vec<InputFile>,
    /// The options it ran with; a salt is not among them.
    pub options: IngestOptions,
    /// Whether user ids are pseudonyms.
    pub pseudonymised: bool,
    /// Lines of the review files.
    pub reviews: Tally,
    /// Lines of the metadata files.
    pub items: ItemTally,
}

/// Turns review and metadata files into the tables `reviews.parquet` and `items.parquet` in the folder
/// `out`, beside `rejects.jsonl` and a `manifest.json` of what was read ([`Ingested`]).
///
/// `reviews` and `meta` name files or folders; [`source`](crate::source) tells their formats. Files appear
/// under their names once all of them are whole; an error or `stop` leaves nothing behind.
///
/// # Errors
/// If a file cannot be used as a whole or written, and [`Error::Interrupted`](crate::Error::Interrupted)
/// soon after `stop` turns true.
pub fn ingest(
    reviews: &[PathBuf],
    meta: &[PathBuf],
    out: impl AsRef<Path>,
    options: &IngestOptions,
    resources: &Resources,
    stop: &AtomicBool,
) -> Result<Ingested> {
    let publication = Publication::begin(out.as_ref(), &[&TABLES[..], &[REJECTS]].concat())?;
    let ingested = ingest_into(reviews, meta, publication.folder(), options, resources, stop)?;
    write_json(&ingested, &publication.folder().join(MANIFEST))?;
    publication.publish(stop)?;
    Ok(ingested)
}

/// As [`ingest`], straight into an existing folder and without the manifest.
pub(crate) fn ingest_into(
    reviews: &[PathBuf],
    meta: &[PathBuf],
    folder: &Path,
    options: &IngestOptions,
    resources: &Resources,
    stop: &AtomicBool,
) -> Result<Ingested> {
    let reviews = find_files(reviews, FileKind::Reviews)?;
    let meta = find_files(meta, FileKind::Metadata)?;
    let names = names(&[&reviews[..], &meta].concat());
    let (review_names, meta_names) = names.split_at(reviews.len());
    let reviews = Files { paths: &reviews, names: review_names };
    let meta = Files { paths: &meta, names: meta_names };
    let mut rejects = RejectLog::create(&folder.join(REJECTS))?;
    let mut pipeline = Pipeline {
        folder,
        threads: resources.threads(),
        most_filter_bytes: resources.memory_bytes / FILTER_SHARE,
        rejects: &mut rejects,
        stop,
    };
    let items = pipeline.run(&ItemRows::new(options), meta, &folder.join(TABLES[1]))?;
    let rows = ReviewRows::new(options);
    let mut ingested = pipeline.run(&rows, reviews, &folder.join(TABLES[0]))?;
    rejects.finish()?;
    info!(reviews = ingested.tally.kept, items = items.tally.kept, "ingested");
    ingested.inputs.extend(items.inputs);
    Ok(Ingested {
        version: env!("CARGO_PKG_VERSION").into(),
        inputs: ingested.inputs,
        options: options.clone(),
        pseudonymised: options.salt.is_some(),
        reviews: ingested.tally,
        items: ItemTally { lines: items.tally, titled: items.titled },
    })
}
