//! Any bytes as input: an error or a table, never a panic, and no line lost.
//!
//! `NEXTCART_FUZZ_SECONDS` makes the search go on for so long; by default it is short.

use std::{
    path::Path,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use nextcart_data::{IngestOptions, Ingested, Resources, TextCleaning, ingest};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use crate::common::{gzip, metadata, rejects, review, rows, write};

/// Rounds without the variable.
const ROUNDS: u32 = 120;

/// A line of any of the formats, whole or not.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let seeds = [
        review("A1", "B1", 16_000),
        metadata("B1", "Tea &amp; <b>Mint</b>"),
        r#"{"rating": 4.0, "title": "x", "text": "y\u00e9", "parent_asin": "B1", "user_id": "AG", "timestamp": 1588687728923, "verified_purchase": true}"#.to_owned(),
        r#"{"parent_asin": "B2", "title": "<span id=\"productTitle\">Oats</span>", "price": null, "categories": ["a"], "store": "S", "description": ["d"], "bought_together": null}"#.to_owned(),
        r#"{"reviewerID": "A2", "asins": ["B1", "B2"]}"#.to_owned(),
        "B1,A1,5.0,1362960000".to_owned(),
        "user_id,parent_asin,rating,timestamp".to_owned(),
        r#"{"asin": "B3", "title": ["a"], "price": "$1,250.00", "also_buy": [1, "B1", null], "rank": [">#"]}"#.to_owned(),
        r#"{"reviewerID": "\ud800", "asin": "B1", "overall": 1e999, "unixReviewTime": -1}"#.to_owned(),
    ];
    let whole = proptest::sample::select(seeds.to_vec()).prop_map(String::into_bytes);
    let changed = (whole.clone(), any::<proptest::sample::Index>(), any::<u8>(), 0..4_u8).prop_map(
        |(mut bytes, place, byte, how)| {
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.truncate(place),
                2 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
            bytes
        },
    );
    prop_oneof![
        4 => whole,
        4 => changed,
        1 => proptest::collection::vec(any::<u8>(), 0..80),
        1 => "[\\[\\]{}\",:0-9a-z ]{0,40}".prop_map(String::into_bytes),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let lines = proptest::collection::vec((line(), any::<bool>()), 0..30).prop_map(|lines| {
        let ends = lines.into_iter().map(|(mut line, carriage)| {
            line.extend_from_slice(if carriage { b"\r\n" } else { b"\n" });
            line
        });
        ends.collect::<Vec<_>>().concat()
    });
    let packing = proptest::sample::select(vec![Packing::Plain, Packing::Gzip, Packing::Zstd]);
    let damage = proptest::option::weighted(0.2, (any::<proptest::sample::Index>(), any::<u8>()));
    (lines, packing, damage).prop_map(|(text, packing, damage)| {
        let mut bytes = match packing {
            Packing::Plain => text,
            Packing::Gzip => gzip(text),
            Packing::Zstd => zstd::stream::encode_all(text.as_slice(), 1).unwrap(),
        };
        if let Some((place, byte)) = damage.filter(|_| !bytes.is_empty()) {
            let place = place.index(bytes.len());
            match byte % 2 {
                0 => bytes.truncate(place),
                _ => bytes[place] ^= byte,
            }
        }
        bytes
    })
}

/// Ingests the two files; what comes out must add up.
fn check(folder: &Path, reviews: &[u8], meta: &[u8], round: u32) -> Option<Ingested> {
    let name = ["reviews.json", "ratings.csv"][(round % 2) as usize];
    let reviews = [write(folder, name, reviews)];
    let meta = [write(folder, "meta.json", meta)];
    let out = folder.join("out");
    let options = IngestOptions {
        text: round.is_multiple_of(3),
        description: round.is_multiple_of(5),
        cleaning: [TextCleaning::None, TextCleaning::Entities, TextCleaning::Letters]
            [(round % 3) as usize],
        ..IngestOptions::default()
    };
    let limits = Resources { threads: 2, ..Resources::default() };
    let stop = AtomicBool::new(false);
    let Ok(done) = ingest(&reviews, &meta, &out, &options, &limits, &stop) else {
        assert!(!out.exists(), "an error left tables behind");
        return None;
    };
    for tally in [&done.reviews, &done.items.lines] {
        assert_eq!(tally.read, tally.kept + tally.rejected);
        assert_eq!(tally.rejected, tally.reasons.values().sum::<u64>());
    }
    assert_eq!(done.reviews.rows as i64, rows(&out.join("reviews.parquet")));
    assert_eq!(done.items.lines.rows as i64, rows(&out.join("items.parquet")));
    let rejected = done.reviews.rejected + done.items.lines.rejected;
    assert_eq!(rejected, rejects(&out).len() as u64);
    std::fs::remove_dir_all(&out).unwrap();
    Some(done)
}

#[test]
fn any_bytes_give_a_table_or_an_error() {
    let seconds = std::env::var("NEXTCART_FUZZ_SECONDS").ok();
    let until = seconds.map(|seconds| {
        Instant::now() + Duration::from_secs(seconds.parse().expect("a number of seconds"))
    });
    let folder = tempfile::tempdir().unwrap();
    // Random anew in a long search, the same in a short one.
    let mut runner = match until {
        Some(_) => TestRunner::new(Config::default()),
        None => TestRunner::deterministic(),
    };
    let (mut round, mut tables) = (0, 0);
    while until.map_or(round < ROUNDS, |until| Instant::now() < until) {
        let mut draw = || file().new_tree(&mut runner).unwrap().current();
        let (reviews, meta) = (draw(), draw());
        // What fails can be read here.
        write(folder.path(), "last-reviews", &reviews);
        write(folder.path(), "last-meta", &meta);
        tables += u32::from(check(folder.path(), &reviews, &meta, round).is_some());
        round += 1;
    }
    assert!(tables > round / 10, "only {tables} of {round} files were usable");
    assert!(tables < round, "no file was unusable");
}
