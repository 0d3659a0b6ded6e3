//! Input that cannot be used: one error that says where, what was expected and what was found, and
//! nothing written.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use nextcart_data::{
    Error, PrepareOptions, Repeats, Resources, SplitMethod, prepare, prepare_until,
};

use crate::common::{gzip, metadata, names, review, small_corpus, unverified, write};

/// What a test gives to `prepare`; a good small corpus to begin with.
struct Input {
    folder: tempfile::TempDir,
    reviews: Vec<PathBuf>,
    meta: Vec<PathBuf>,
    out: PathBuf,
    options: PrepareOptions,
}

fn input() -> Input {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    Input {
        reviews: vec![write(folder.path(), "reviews.json", reviews)],
        meta: vec![write(folder.path(), "meta.json", meta)],
        out: folder.path().join("new").join("out"),
        options: PrepareOptions::default(),
        folder,
    }
}

impl Input {
    fn with_reviews(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.reviews = vec![write(self.folder.path(), "reviews.json", bytes)];
        self
    }

    /// Reviews as comma-separated values.
    fn with_ratings(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.reviews = vec![write(self.folder.path(), "ratings.csv", bytes)];
        self
    }

    fn with_meta(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.meta = vec![write(self.folder.path(), "meta.json", bytes)];
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The error's message is these parts, in this order, with the test's folder left out.
#[track_caller]
fn check(input: Input, expected: &[&str]) -> Error {
    let before = names(input.path());
    let error = prepare(&input.reviews, &input.meta, &input.out, &input.options).unwrap_err();
    let message = error.to_string().replace(&format!("{}/", input.path().display()), "");
    let mut rest = message.as_str();
    for part in expected {
        rest = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("`{part}` is not in `{message}`, or not in this order"))
            .1;
    }
    assert!(!message.contains('\n'), "{message}");
    assert_eq!(names(input.path()), before, "something was left behind");
    error
}

#[test]
fn a_missing_file() {
    let mut input = input();
    input.reviews.push(input.path().join("absent.json.gz"));
    let error = check(input, &["cannot read `absent.json.gz`"]);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("No such file"));
    let mut input = self::input();
    input.meta = vec![input.path().join("absent.json.gz")];
    check(input, &["cannot read `absent.json.gz`"]);
}

#[test]
fn no_file_at_all() {
    check(Input { reviews: vec![], ..input() }, &["no review file: expected at least one"]);
    check(Input { meta: vec![], ..input() }, &["no metadata file: expected at least one"]);
}

#[test]
fn a_folder_with_an_empty_file_or_none() {
    let mut input = input();
    input.reviews = vec![input.path().to_owned()];
    let expected = ["`reviews.json`: expected reviews, found an empty file"];
    write(input.path(), "reviews.json", "");
    check(input, &expected);
    let mut input = self::input();
    fs::create_dir(input.path().join("empty")).unwrap();
    input.meta = vec![input.path().join("empty")];
    check(input, &["`empty`: expected files of metadata (.json, .jsonl or .csv"]);
}

#[test]
fn an_empty_file() {
    check(input().with_reviews(""), &["`reviews.json`: expected reviews, found an empty file"]);
    check(input().with_meta(""), &["`meta.json`: expected metadata, found an empty file"]);
    let packed = gzip("");
    check(input().with_reviews(packed), &["`reviews.json`: expected reviews, found an empty file"]);
}

#[test]
fn ratings_of_which_nothing_but_the_header_is_there() {
    let expected = ["`ratings.csv`: expected reviews, found a header and no line"];
    for header in ["user,item,rating,time", "user,item,rating,time\r\n"] {
        check(input().with_ratings(header), &expected);
    }
    let expected =
        ["`ratings.csv`: none of its 1 lines is a review", "line 2 is rejected as blank"];
    check(input().with_ratings("user,item,rating,time\n\n"), &expected);
}

#[test]
fn a_truncated_gzip_file() {
    let packed = gzip(small_corpus(40, 6).0);
    for length in [packed.len() / 2, packed.len() - 1, 11] {
        let expected = ["`reviews.json`, after line ", "expected more gzip data, found the end"];
        check(input().with_reviews(&packed[..length]), &expected);
    }
    let packed = gzip(small_corpus(40, 6).1);
    let expected = ["`meta.json`, after line ", "expected more gzip data, found the end"];
    check(input().with_meta(&packed[..packed.len() / 2]), &expected);
}

#[test]
fn a_damaged_gzip_file() {
    let mut packed = gzip(small_corpus(40, 6).0);
    let last = packed.len() - 6;
    packed[last] ^= 0xff; // in the checksum
    let expected = ["`reviews.json`, after line 240: expected valid gzip data, found damage"];
    check(input().with_reviews(packed), &expected);
}

#[test]
fn metadata_given_as_reviews_and_reviews_as_metadata() {
    let (reviews, meta) = small_corpus(40, 6);
    let expected = [
        "`reviews.json`, line 1: expected a review (with `reviewerID` or `user_id`), found a metadata row",
        "`title`",
    ];
    check(input().with_reviews(meta), &expected);
    let expected = [
        "`meta.json`, line 1: expected a metadata row (with `asin` or `parent_asin`), found a review \
         (it has `reviewerID`)",
    ];
    check(input().with_meta(reviews), &expected);
}

#[test]
fn a_long_file_of_the_other_kind_is_not_read_to_its_end() {
    let row = metadata("i1", "Item 1");
    // The end of the file would be found truncated, if it were reached.
    let packed = gzip((0..60_000).map(|i| row.replace("i1", &i.to_string())).collect::<String>());
    let input = input().with_reviews(&packed[..packed.len() - 20]);
    check(input, &["`reviews.json`, line 1: expected a review"]);
}

#[test]
fn a_file_of_broken_lines_alone() {
    let expected =
        ["`reviews.json`: none of its 2 lines is a review", "line 1 is rejected as broken_json"];
    check(input().with_reviews("{\"asin\": \nnonsense\n"), &expected);
    let expected = ["`meta.json`: none of its 1 lines is a metadata row", "missing_field: `asin`"];
    check(input().with_meta("{\"title\": \"Tea\"}\n"), &expected);
}

#[test]
fn too_few_users() {
    let reviews: String = (0..4).map(|item| review("u1", &format!("i0{item}"), 16_000)).collect();
    let expected = [
        "expected at least one user with 5 purchases",
        "found none among 1 users with 4 usable",
        "the longest history has 4; try `min_interactions` of at most 4",
    ];
    check(input().with_reviews(reviews), &expected);
}

#[test]
fn too_few_users_and_what_would_leave_some() {
    // Five purchases of two items, three that nobody verified, one of an item that has no row.
    let bought = (0..5).map(|day| review("u1", ["i00", "i01"][day % 2], 16_000 + day as i64));
    let others = (2..5).map(|item| unverified("u1", &format!("i0{item}"), 16_010));
    let reviews: String = bought.chain(others).chain([review("u1", "unknown", 16_020)]).collect();
    let expected = [
        "the longest history has 5; try `repeats` = keep, `verified_only` = false (3 more reviews) or metadata \
         with more titles (1 more reviews)",
    ];
    check(input().with_reviews(&reviews), &expected);
    let options = PrepareOptions {
        repeats: Repeats::Keep,
        verified_only: false,
        min_rating: Some(5.0),
        min_interactions: 9,
        ..PrepareOptions::default()
    };
    let reviews = reviews + &review("u1", "i09", 16_030).replace("5.0", "2.0");
    let expected = [
        "the longest history has 8; try `min_interactions` of at most 8, a lower `min_rating` (1 more reviews) or \
         metadata",
    ];
    check(Input { options, ..input().with_reviews(reviews) }, &expected);
}

#[test]
fn users_whose_items_nobody_describes() {
    let expected = [
        "expected metadata of the items in the reviews, found none for any of 240 reviews",
        "such as `i00`, those of the metadata such as `other`",
        "are user and item swapped",
    ];
    check(input().with_meta(metadata("other", "Tea")), &expected);
}

#[test]
fn ratings_whose_users_stand_where_items_should() {
    let lines: String = (0..40)
        .flat_map(|user| (0..6).map(move |item| format!("u{user:02},i{item:02},5.0,1380000000\n")))
        .collect();
    let expected = [
        "found none for any of 240 reviews",
        "such as `u00`, those of the metadata such as `i00`; are user and item swapped",
    ];
    check(input().with_ratings(lines), &expected);
}

#[test]
fn ratings_whose_columns_nobody_can_tell() {
    let header = "customer,product,stars,date\nu00,i00,5.0,1380000000\n";
    let expected = [
        "`ratings.csv`, line 1: expected a header with a column each for user (user_id, ",
        "found no time in `customer,product,stars,date`",
    ];
    check(input().with_ratings(header), &expected);
    check(
        input().with_ratings(format!(" \n\n{header}")),
        &["`ratings.csv`, line 3: expected a header"],
    );
    let expected = [
        "`ratings.csv`, line 1: expected values between commas, found semicolons in `u00;i00;5.0;",
    ];
    check(input().with_ratings("u00;i00;5.0;1380000000\n"), &expected);
}

#[test]
fn too_few_users_for_a_test() {
    let (reviews, _) = small_corpus(1, 5);
    let options = PrepareOptions { min_history: 5, ..PrepareOptions::default() };
    let input = Input { options, ..input().with_reviews(reviews) };
    check(input, &["expected at least one train question, found none among 1 users with 5"]);
}

#[test]
fn no_questions_and_what_was_dropped_of_their_targets() {
    // The last purchases are of items that nobody else buys, and there are fewer items than candidates.
    let (reviews, meta) = small_corpus(40, 6);
    let last = (0..40).map(|user| review(&format!("u{user:02}"), &format!("n{user:02}"), 16_200));
    let described = (0..40).map(|item| metadata(&format!("n{item:02}"), &format!("New {item}")));
    let reviews = reviews + &last.collect::<String>();
    let meta = meta + &described.collect::<String>();
    for (keep_cold_targets, dropped) in [
        (false, "40 not seen in training, 0 with a title bought before, 120 without enough"),
        (true, "0 not seen in training, 0 with a title bought before, 160 without enough"),
    ] {
        let options = PrepareOptions {
            split: SplitMethod::LeaveOneOut,
            candidates: 60,
            bucket: 60,
            keep_cold_targets,
            ..PrepareOptions::default()
        };
        let input = Input { options, ..input().with_reviews(&reviews).with_meta(&meta) };
        check(
            input,
            &["expected at least one train question", "(targets dropped: 0 with", dropped],
        );
    }
}

#[test]
fn an_option_outside_its_range() {
    let options = PrepareOptions { candidates: 1, ..PrepareOptions::default() };
    check(Input { options, ..input() }, &["option `candidates`: expected 2 to 100, found 1"]);
}

#[test]
fn memory_that_is_enough_for_nothing() {
    let input = input();
    let (limits, stop) = (Resources { memory_bytes: 0, threads: 1 }, AtomicBool::new(false));
    let Input { reviews, meta, out, options, .. } = &input;
    let error = prepare_until(reviews, meta, out, options, &limits, &stop).unwrap_err();
    let expected = "option `memory_bytes`: expected at least 1048576 (1 MiB), found 0";
    assert_eq!(error.to_string(), expected);
    assert!(!out.exists());
}

#[test]
fn a_file_where_the_output_folder_should_be() {
    let expected = ["`reviews.json`: expected a folder for the output, found a file"];
    let mut input = input();
    input.out = input.reviews[0].clone();
    check(input, &expected);
    let mut input = self::input();
    input.out = input.reviews[0].join("out");
    check(input, &expected);
}

/// A manifest as one of ours begins.
const EARLIER: &str = r#"{"inputs": [], "options": {}}"#;

#[test]
fn a_folder_where_an_output_file_should_be() {
    let mut input = input();
    input.out = input.path().join("out");
    fs::create_dir_all(input.out.join("items.parquet")).unwrap();
    let out = input.out.clone();
    write(&out, "manifest.json", EARLIER);
    let folder = check(input, &["`out/items.parquet`: expected a file, found a folder"]);
    assert!(matches!(folder, Error::Folder { .. }));
}

#[test]
fn a_failed_run_leaves_the_files_of_the_one_before() {
    let mut input = input().with_reviews("nonsense\n");
    input.out = input.path().join("out");
    fs::create_dir(&input.out).unwrap();
    write(&input.out, "manifest.json", EARLIER);
    let out = input.out.clone();
    let folder = input.folder;
    let error = prepare(&input.reviews, &input.meta, &out, &input.options).unwrap_err();
    assert!(matches!(error, Error::NoUsableLine { .. }), "{error}");
    assert_eq!(names(&out), ["manifest.json".to_owned()].into());
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), EARLIER.as_bytes());
    drop(folder);
}
