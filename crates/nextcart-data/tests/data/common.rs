//! Files for tests, and a look into those that were written.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use arrow::{
    array::AsArray,
    datatypes::{Float32Type, Int64Type, UInt32Type},
};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use nextcart_data::{Dataset, PrepareOptions, Question, prepare};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

/// A line of `histories.parquet`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) item: String,
    pub(crate) time: i64,
    pub(crate) rating: f32,
    pub(crate) part: String,
}

/// The folder that `NEXTCART_DATA` names; `None` with a note if it is not set.
pub(crate) fn data_folder() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("NEXTCART_DATA") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_DATA is not set\n").unwrap();
        return None;
    };
    let path = PathBuf::from(path);
    assert!(path.is_dir(), "NEXTCART_DATA names `{}`, which is no folder", path.display());
    Some(path)
}

pub(crate) fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Lines of a gzipped file.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let mut text = String::new();
    MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

pub(crate) const DAY: i64 = 86_400;

pub(crate) fn review(user: &str, item: &str, day: i64) -> String {
    let line = json!({
        "overall": 5.0, "verified": true, "reviewTime": "01 1, 2014", "reviewerID": user,
        "asin": item, "unixReviewTime": day * DAY,
    });
    format!("{line}\n")
}

pub(crate) fn unverified(user: &str, item: &str, day: i64) -> String {
    review(user, item, day).replace("\"verified\":true", "\"verified\":false")
}

pub(crate) fn metadata(item: &str, title: &str) -> String {
    format!("{}\n", json!({ "asin": item, "title": title, "category": ["Grocery"], "brand": "" }))
}

/// Reviews by `users` users of `per_user` items each, one a day, and the metadata of all items.
pub(crate) fn small_corpus(users: usize, per_user: usize) -> (String, String) {
    let reviews = (0..users).flat_map(|user| {
        (0..per_user).map(move |place| {
            let item = format!("i{:02}", (user * 7 + place * 3) % 40);
            review(&format!("u{user:02}"), &item, (16_000 + user + place) as i64)
        })
    });
    let items = (0..40).map(|item| metadata(&format!("i{item:02}"), &format!("Item {item}")));
    (reviews.collect(), items.collect())
}

/// Prepares files with these lines in a folder of their own.
pub(crate) fn prepare_lines(
    reviews: &str,
    meta: &str,
    options: &PrepareOptions,
) -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let prepared = prepare(&[reviews], &[meta], folder.path().join("out"), options).unwrap();
    let dataset = prepared.load().unwrap();
    (folder, dataset)
}

/// Names of what is in a folder, hidden files included.
pub(crate) fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// All purchases of a `histories.parquet` by user, oldest first.
pub(crate) fn histories(out: &Path) -> HashMap<String, Vec<Row>> {
    let mut histories: HashMap<String, Vec<Row>> = HashMap::new();
    let file = fs::File::open(out.join("histories.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    for batch in reader {
        let batch = batch.unwrap();
        let text = |name: &str, row| batch[name].as_string::<i32>().value(row).to_owned();
        for row in 0..batch.num_rows() {
            let rows = histories.entry(text("user", row)).or_default();
            let position = batch["position"].as_primitive::<UInt32Type>().value(row);
            assert_eq!(position as usize, rows.len(), "positions count from 0");
            rows.push(Row {
                item: text("item", row),
                time: batch["time"].as_primitive::<Int64Type>().value(row),
                rating: batch["rating"].as_primitive::<Float32Type>().value(row),
                part: text("part", row),
            });
        }
    }
    histories
}

/// Rows of a Parquet file.
pub(crate) fn rows(path: &Path) -> i64 {
    let file = fs::File::open(path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    builder.metadata().file_metadata().num_rows()
}

pub(crate) fn rejects(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("rejects.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Items of a question's candidates other than the target.
pub(crate) fn distractors(question: &Question) -> impl Iterator<Item = &str> {
    let places = question.candidates.iter().enumerate();
    places.filter(|(place, _)| *place != question.answer).map(|(_, product)| product.item.as_str())
}
