//! The same purchases in every form that is read, and the quirks of real files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nextcart_data::{
    Dataset, Error, IngestOptions, PrepareOptions, Salt, SplitMethod, TextCleaning, prepare,
    source::Reason,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use crate::common::{
    DAY, data_folder, gzip, histories, metadata, review, rows, small_corpus, write,
};

/// Purchases of the small corpus as user, item and day.
fn purchases(users: usize, per_user: usize) -> Vec<(String, String, i64)> {
    let (reviews, _) = small_corpus(users, per_user);
    reviews
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            (text("reviewerID"), text("asin"), line["unixReviewTime"].as_i64().unwrap() / DAY)
        })
        .collect()
}

fn prepare_files(reviews: &[PathBuf], meta: &[PathBuf], options: &PrepareOptions) -> Dataset {
    let out = tempfile::tempdir().unwrap();
    prepare(reviews, meta, out.path().join("out"), options).unwrap().load().unwrap()
}

/// Items and days of each user's training purchases.
fn essence(dataset: &Dataset) -> Vec<(String, Vec<String>, Vec<Option<i64>>)> {
    let histories = dataset.histories.iter();
    histories
        .map(|history| (history.user.clone(), history.items.clone(), history.times.clone()))
        .collect()
}

#[test]
fn reviews_of_2018_and_2023_and_ratings_give_the_same_histories() {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    let purchases = purchases(40, 6);
    let of_2023: String = purchases
        .iter()
        .map(|(user, item, day)| {
            let line = json!({
                "rating": 5.0, "title": "Good", "text": "t", "images": [], "asin": "x",
                "parent_asin": item, "user_id": user, "timestamp": day * DAY * 1000 + 77,
                "helpful_vote": 0, "verified_purchase": true,
            });
            format!("{line}\n")
        })
        .collect();
    let meta_2023: String = (0..40)
        .map(|item| {
            let line = json!({
                "main_category": "Grocery", "title": format!("Item {item}"), "features": [],
                "average_rating": 4.5, "price": null, "store": "", "categories": [],
                "details": { "Brand": "b" }, "parent_asin": format!("i{item:02}"),
                "bought_together": null, "images": [], "videos": [],
            });
            format!("{line}\n")
        })
        .collect();
    let csv = |purchases: &[(String, String, i64)], scale: i64| -> String {
        let lines = purchases.iter();
        lines
            .map(|(user, item, day)| format!("{item},{user},5.0,{}\n", day * DAY * scale))
            .collect()
    };
    let headed = purchases
        .iter()
        .map(|(user, item, day)| format!("{user},{item},5.0,{}\n", day * DAY * 1000));
    let headed: String = std::iter::once("user_id,parent_asin,rating,timestamp\n".to_owned())
        .chain(headed)
        .collect();

    let meta = write(folder.path(), "meta.json", meta);
    let options = PrepareOptions::default();
    let expected = prepare_files(
        &[write(folder.path(), "2018.json", reviews)],
        std::slice::from_ref(&meta),
        &options,
    );
    assert!(expected.histories.len() > 30);
    let zstd = zstd::stream::encode_all(of_2023.as_bytes(), 3).unwrap();
    let meta_2023 = write(folder.path(), "meta_2023.jsonl.gz", gzip(meta_2023));
    for (name, bytes, meta) in [
        ("2023.jsonl.zst", zstd, &meta_2023),
        ("ratings.csv", csv(&purchases, 1).into_bytes(), &meta),
        ("2023.csv.gz", gzip(headed), &meta),
    ] {
        let reviews = write(folder.path(), name, bytes);
        let found = prepare_files(&[reviews], std::slice::from_ref(meta), &options);
        assert_eq!(found.manifest.reviews.read, 240, "{name}");
        assert_eq!(essence(&found), essence(&expected), "{name}");
        assert_eq!(found.questions.len(), expected.questions.len(), "{name}");
    }
}

#[test]
fn sequences_stay_in_their_order_and_need_a_split_without_times() {
    let folder = tempfile::tempdir().unwrap();
    let (_, meta) = small_corpus(1, 1);
    let lines: String = (0..30)
        .map(|user| {
            // Not in the order of the ids.
            let items: Vec<String> =
                (0..7).map(|place| format!("i{:02}", (user * 5 + place * 17) % 40)).collect();
            format!("{}\n", json!({ "reviewerID": format!("u{user:02}"), "asins": items }))
        })
        .collect();
    let reviews = [write(folder.path(), "sequences.jsonl", lines)];
    let meta = [write(folder.path(), "items.jsonl", meta)];
    let error = prepare(&reviews, &meta, folder.path().join("out"), &PrepareOptions::default());
    let error = error.unwrap_err();
    assert!(matches!(error, Error::NoTimes { unknown: 210, purchases: 210 }), "{error}");
    assert!(error.to_string().contains("expected leave_one_out or user_disjoint"), "{error}");

    let options = PrepareOptions { split: SplitMethod::LeaveOneOut, ..PrepareOptions::default() };
    let dataset = prepare_files(&reviews, &meta, &options);
    let manifest = &dataset.manifest;
    assert_eq!((manifest.reviews.kept, manifest.reviews.rows), (30, 210));
    assert_eq!(manifest.histories.interactions, 210);
    assert_eq!((manifest.histories.ties, manifest.split.cuts), (0, None));
    assert_eq!((manifest.split.train, manifest.split.test), (150, 30));
    let first = &dataset.histories[0];
    assert_eq!(first.items, ["i00", "i17", "i34", "i11", "i28"]);
    // A user's second sequence has no place in the order.
    let text = fs::read_to_string(&reviews[0]).unwrap();
    let second = json!({ "reviewerID": "u00", "asins": ["i01", "i02"] });
    let twice = [write(folder.path(), "twice.jsonl", format!("{text}{second}\n"))];
    let found = prepare_files(&twice, &meta, &options).manifest.reviews;
    assert_eq!((found.kept, found.rows, found.reasons[&Reason::Duplicate]), (30, 210, 1));
    assert!(first.times.iter().all(Option::is_none));
    assert!(dataset.questions.iter().all(|question| question.time.is_none()));
}

#[test]
fn a_folder_stands_for_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    let half = reviews[..reviews.len() / 2].rfind('\n').unwrap() + 1;
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    write(&data, "b.json.gz", gzip(&reviews[half..]));
    write(&data, "a.json", &reviews[..half]);
    write(&data, "meta_a.json", meta);
    write(&data, "README.txt", "no data");
    let dataset = prepare_files(
        std::slice::from_ref(&data),
        std::slice::from_ref(&data),
        &PrepareOptions::default(),
    );
    assert_eq!(dataset.manifest.reviews.kept, 240);
    let files: Vec<&str> =
        dataset.manifest.inputs.iter().map(|input| input.path.as_str()).collect();
    assert_eq!(files, ["a.json", "b.json.gz", "meta_a.json"]);
}

#[test]
fn quirks_of_real_lines_are_no_reason_to_reject_them() {
    let (reviews, meta) = small_corpus(40, 6);
    let first = reviews.lines().next().unwrap();
    let odd = first
        .replace('{', "{\"vote\":\"1,234\",\"style\":{\"Size:\":\" 5\"},\"image\":[\"x\"],")
        .replace("i00", "i01");
    let odd_meta: String = [
        r#"{"asin": "q0", "title": "<span id=\"productTitle\" class=\"a\">Tea &amp; Mint</span>", "price": ".a-box-inner{}", "rank": "1,786 in Tea ("}"#,
        r#"{"asin": "q1", "title": "var aPageStart = (new Date()).getTime();", "rank": [">#2"], "description": "text", "feature": "one"}"#,
        r#"{"asin": "q2", "title": "Tea&amp;amp;Oats", "description": ["a", "b"], "feature": [], "price": "$1,250.00"}"#,
        r#"{"asin": "q2", "title": "Another", "price": 3}"#,
    ]
    .map(|line| format!("{line}\n"))
    .concat();
    let options = PrepareOptions {
        ingest: IngestOptions { description: true, ..IngestOptions::default() },
        ..PrepareOptions::default()
    };
    let (folder, dataset) =
        crate::common::prepare_lines(&format!("{reviews}{odd}\n"), &(meta + &odd_meta), &options);
    let manifest = &dataset.manifest;
    assert_eq!((manifest.reviews.kept, manifest.reviews.rejected), (241, 0));
    assert_eq!(manifest.items.lines.reasons, [(Reason::Duplicate, 1)].into());
    assert_eq!(manifest.items.lines.kept, 43);
    let title = |item: &str| dataset.catalogue.get(item).map(|product| product.title.as_str());
    assert_eq!(
        (title("q0"), title("q1"), title("q2")),
        (Some("Tea & Mint"), None, Some("Tea&Oats"))
    );
    assert_eq!(dataset.catalogue.get("q2").unwrap().price, Some(1250.0));
    assert_eq!(columns(&folder.path().join("out/items.parquet")).last().unwrap(), "description");
}

fn columns(path: &Path) -> Vec<String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    builder.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn columns_that_nobody_asked_for_are_not_stored() {
    let (reviews, meta) = small_corpus(40, 6);
    let reviews = reviews.replace(
        "\"overall\"",
        "\"reviewerName\":\"Jane Doe\",\"reviewText\":\"long text\",\"summary\":\"short\",\"overall\"",
    );
    let run = |ingest: IngestOptions| {
        let options = PrepareOptions { ingest, ..PrepareOptions::default() };
        let (folder, _) = crate::common::prepare_lines(&reviews, &meta, &options);
        let columns = columns(&folder.path().join("out/reviews.parquet"));
        for entry in fs::read_dir(folder.path().join("out")).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(8).any(|window| window == b"Jane Doe"));
        }
        columns.join(" ")
    };
    let base = "user item time rating verified position";
    assert_eq!(run(IngestOptions::default()), format!("{base} summary"));
    let all = IngestOptions { text: true, ..IngestOptions::default() };
    assert_eq!(run(all), format!("{base} summary text"));
    let none = IngestOptions { summary: false, ..IngestOptions::default() };
    assert_eq!(run(none), base);
}

#[test]
fn pseudonyms_leave_no_id_and_no_salt_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    let reviews = reviews.replace("\"u0", "\"ZZUSER0");
    let reviews = [write(folder.path(), "reviews.json", reviews)];
    let meta = [write(folder.path(), "meta.json", meta)];
    let run = |salt: Option<Salt>, out: &str| {
        let ingest = IngestOptions { salt, ..IngestOptions::default() };
        let options = PrepareOptions { ingest, ..PrepareOptions::default() };
        let out = folder.path().join(out);
        (prepare(&reviews, &meta, &out, &options).unwrap(), out)
    };
    let (plain, _) = run(None, "plain");
    let (hidden, out) = run(Some(Salt::new("SECRETSALT")), "hidden");
    assert!(hidden.manifest.pseudonymised && !plain.manifest.pseudonymised);
    assert_eq!(hidden.manifest.histories.users, plain.manifest.histories.users);
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let text = match path.extension().unwrap().to_str() {
            Some("parquet") => {
                let file = fs::File::open(&path).unwrap();
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                let batches = reader.build().unwrap().map(Result::unwrap);
                batches.map(|batch| format!("{batch:?}")).collect()
            }
            _ => fs::read_to_string(&path).unwrap(),
        };
        assert!(!text.contains("ZZUSER") && !text.contains("SECRETSALT"), "{}", path.display());
    }
    let name = Salt::new("SECRETSALT").pseudonym("ZZUSER00");
    assert!(histories(&out).contains_key(&name));
}

#[test]
fn one_cleaning_reaches_histories_answers_and_distractors() {
    let (reviews, _) = small_corpus(40, 6);
    let meta: String = (0..40).map(|item| metadata(&format!("i{item:02}"), &title(item))).collect();
    // Titles as letters give 26 names for 40 items.
    fn title(item: usize) -> String {
        let letter = char::from(b'A' + (item % 26) as u8);
        format!("Tea &amp; {letter}{letter}, {item} oz")
    }
    for (cleaning, expected) in [
        (TextCleaning::None, "Tea &amp; CC, 2 oz"),
        (TextCleaning::Entities, "Tea & CC, 2 oz"),
        (TextCleaning::Letters, "Tea oz"),
    ] {
        let options = PrepareOptions {
            ingest: IngestOptions { cleaning, ..IngestOptions::default() },
            candidates: 2,
            ..PrepareOptions::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let reviews = [write(folder.path(), "reviews.json", &reviews)];
        let meta = [write(folder.path(), "meta.json", &meta)];
        let outcome = prepare(&reviews, &meta, folder.path().join("out"), &options);
        if cleaning == TextCleaning::Letters {
            // All items have one title then, and no question can hold two of them.
            assert!(matches!(outcome.unwrap_err(), Error::NoQuestions { .. }));
            continue;
        }
        let dataset = outcome.unwrap().load().unwrap();
        let shown = dataset.questions.iter().flat_map(|question| {
            let bought = question.history.iter().map(|purchase| &purchase.product);
            bought.chain(&question.candidates)
        });
        let mut titles: Vec<&str> =
            shown.filter(|product| product.item == "i02").map(|product| &*product.title).collect();
        titles.dedup();
        assert_eq!(titles, [expected], "{cleaning:?}");
    }
}

#[test]
fn prime_pantry_gives_its_known_counts() {
    let Some(data) = data_folder() else { return };
    let reviews = [data.join("prime_pantry/sequences.jsonl.gz")];
    let meta = [data.join("prime_pantry/items.jsonl.gz")];
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let options = PrepareOptions {
        split: SplitMethod::LeaveOneOut,
        min_interactions: 5,
        train_targets_per_user: 1,
        ..PrepareOptions::default()
    };
    let manifest = prepare(&reviews, &meta, &out, &options).unwrap().manifest;
    assert_eq!((manifest.reviews.kept, manifest.reviews.rows), (12_871, 115_004));
    assert_eq!(manifest.items.lines.kept, 8_347);
    // 109,877 purchases after keeping the first of each item, 11,967 users with at least five.
    assert_eq!(manifest.histories.users, 11_967);
    let kept = manifest.histories.interactions + manifest.histories.dropped.short_history;
    assert!(kept >= 109_877, "{kept}");
    assert_eq!(rows(&out.join("reviews.parquet")), 115_004);

    let described = nextcart_data::describe(&out).unwrap();
    // 74 % of the neighbours ascend by their ids: the order of this file is that of the items.
    let neighbours = described.neighbours;
    let share = neighbours.ascending as f64 / neighbours.pairs as f64;
    assert_eq!(format!("{share:.2}"), "0.74");
    assert_eq!(
        described.titles.items - described.titles.items_sharing + described.titles.shared,
        8_333
    );
}

#[test]
fn a_broken_zstd_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    let packed = zstd::stream::encode_all(reviews.as_bytes(), 3).unwrap();
    let meta = [write(folder.path(), "meta.json", meta)];
    let reviews = [write(folder.path(), "reviews.json.zst", &packed[..packed.len() - 9])];
    let outcome = prepare(&reviews, &meta, folder.path().join("out"), &PrepareOptions::default());
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("expected more zstd data, found the end of the file"), "{error}");
}

#[test]
fn a_csv_line_that_is_wrong_is_rejected_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let (_, meta) = small_corpus(1, 1);
    let mut lines: Vec<String> = purchases(40, 6)
        .iter()
        .map(|(user, item, day)| format!("{item},{user},5.0,{}", day * DAY))
        .collect();
    lines.insert(3, "i01,u01,nine,1380000000".into());
    lines.push("i01,u01".into());
    let reviews = [write(folder.path(), "ratings.csv", lines.join("\n"))];
    let meta = [write(folder.path(), "meta.json", meta)];
    let out = folder.path().join("out");
    let manifest = prepare(&reviews, &meta, &out, &PrepareOptions::default()).unwrap().manifest;
    assert_eq!((manifest.reviews.read, manifest.reviews.kept), (242, 240));
    let rejects = crate::common::rejects(&out);
    let places: Vec<(u64, &str)> = rejects
        .iter()
        .map(|reject| (reject["line"].as_u64().unwrap(), reject["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(places, [(4, "wrong_type"), (242, "missing_field")]);
}

#[test]
fn blank_lines_before_a_header_are_rejected_and_the_header_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    let meta = [write(folder.path(), "meta.json", meta)];
    let options = PrepareOptions::default();
    let expected = prepare_files(&[write(folder.path(), "a.json", reviews)], &meta, &options);
    let lines: String = purchases(40, 6)
        .iter()
        .map(|(user, item, day)| format!("{},5.0,{user},{item}\n", day * DAY))
        .collect();
    let out = folder.path().join("out");
    // Two, and more than are read at once.
    let long = format!("{}\n", " ".repeat(9_999));
    for blank in ["\n \t\r\n".to_owned(), long.repeat(150)] {
        let text = format!("{blank}time,rating,user,item\n1380000000,nine,u01,i01\n{lines}");
        let reviews = [write(folder.path(), "ratings.csv", text)];
        let found = prepare(&reviews, &meta, &out, &options).unwrap().load().unwrap();
        assert_eq!(essence(&found), essence(&expected));
        let blanks = blank.matches('\n').count() as u64;
        let reasons = [(Reason::BlankLine, blanks), (Reason::WrongType, 1)].into();
        assert_eq!((found.manifest.reviews.kept, found.manifest.reviews.reasons), (240, reasons));
        let rejects = crate::common::rejects(&out);
        assert_eq!((&rejects[0]["line"], &rejects[0]["reason"]), (&1.into(), &"blank_line".into()));
        let last = rejects.last().unwrap();
        assert_eq!((&last["line"], &last["reason"]), (&(blanks + 2).into(), &"wrong_type".into()));
    }
}

#[test]
fn an_unknown_verified_flag_counts_as_verified() {
    let (reviews, meta) = small_corpus(40, 6);
    let reviews = reviews.replace("\"verified\":true", "\"helpful\":true");
    let reviews = reviews + &review("u00", "i39", 16_100).replace("true", "false");
    let (_folder, dataset) =
        crate::common::prepare_lines(&reviews, &meta, &PrepareOptions::default());
    assert_eq!(dataset.manifest.histories.interactions, 240);
    assert_eq!(dataset.manifest.histories.dropped.unverified, 1);
}
