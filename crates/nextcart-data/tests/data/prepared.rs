//! What comes out of the main path.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    slice::from_ref,
    sync::atomic::AtomicBool,
};

use nextcart_data::{
    Dataset, Distractors, Error, IngestOptions, Manifest, Part, PrepareOptions, Question,
    Resources, Salt, prepare, prepare_until, read_questions,
    synthetic::{Corpus, CorpusFiles, SyntheticConfig},
};
use sha2::{Digest, Sha256};

use crate::common::{
    Row, distractors, histories, metadata, names, prepare_lines, rejects, review, rows,
    small_corpus, unverified, write,
};

const FILES: [&str; 6] = [
    "histories.parquet",
    "items.parquet",
    "manifest.json",
    "questions.parquet",
    "rejects.jsonl",
    "reviews.parquet",
];

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

/// Everything that a question must not know, against the histories on disk.
fn check_no_leak(prepared: &Dataset, histories: &HashMap<String, Vec<Row>>) {
    let options = &prepared.manifest.options;
    let mut bought_in_training: HashMap<&str, u32> = HashMap::new();
    for row in histories.values().flatten().filter(|row| row.part == "train") {
        *bought_in_training.entry(&row.item).or_default() += 1;
    }
    for question in &prepared.questions {
        let rows = &histories[&question.user];
        let target = rows.iter().position(|row| row.item == question.target().item).unwrap();
        let shown: Vec<(&str, Option<i64>)> = question
            .history
            .iter()
            .map(|purchase| (purchase.product.item.as_str(), purchase.time))
            .collect();
        let before: Vec<(&str, Option<i64>)> =
            rows[..target].iter().map(|row| (row.item.as_str(), Some(row.time))).collect();
        assert!(before.len() >= options.min_history, "{}", question.id);
        assert_eq!(shown, before[before.len().saturating_sub(options.max_history)..]);
        assert!(shown.iter().all(|(_, time)| *time <= question.time), "{}", question.id);
        assert_eq!(question.time, Some(rows[target].time));
        assert_eq!(part_name(question.part), rows[target].part);

        assert_eq!(question.candidates.len(), options.candidates);
        let titles: HashSet<String> =
            question.candidates.iter().map(|product| product.title.to_lowercase()).collect();
        assert_eq!(titles.len(), options.candidates, "{}", question.id);
        for distractor in distractors(question) {
            assert!(rows.iter().all(|row| row.item != distractor), "{}", question.id);
            assert!(bought_in_training.contains_key(distractor), "{}", question.id);
        }
    }
    for history in &prepared.histories {
        let rows = &histories[&history.user];
        let train: Vec<&Row> = rows.iter().filter(|row| row.part == "train").collect();
        assert_eq!(history.items, train.iter().map(|row| row.item.as_str()).collect::<Vec<_>>());
        assert_eq!(history.times, train.iter().map(|row| Some(row.time)).collect::<Vec<_>>());
    }
    assert_eq!(
        prepared.histories.iter().map(|history| history.items.len() as u64).sum::<u64>(),
        prepared.manifest.split.train
    );
}

/// Counts that must add up, in the manifest and on disk.
fn check_counts(prepared: &Dataset, out: &Path) {
    let manifest = &prepared.manifest;
    for lines in [&manifest.reviews, &manifest.items.lines] {
        assert_eq!(lines.read, lines.kept + lines.rejected);
        assert_eq!(lines.rejected, lines.reasons.values().sum::<u64>());
    }
    assert_eq!(manifest.reviews.kept as i64, rows(&out.join("reviews.parquet")));
    assert_eq!(manifest.items.lines.kept as i64, rows(&out.join("items.parquet")));
    assert_eq!(
        manifest.reviews.rejected + manifest.items.lines.rejected,
        rejects(out).len() as u64
    );

    let tally = &manifest.histories;
    assert_eq!(manifest.reviews.rows, tally.interactions + tally.dropped.total());
    let split = &manifest.split;
    assert_eq!(tally.interactions, split.train + split.validation + split.test);
    let histories = histories(out);
    assert_eq!(tally.users, histories.len() as u64);
    assert_eq!(tally.interactions, histories.values().flatten().count() as u64);
    check_no_leak(prepared, &histories);

    let count = |part| prepared.questions.iter().filter(|q| q.part == part).count() as u64;
    let questions = &manifest.questions;
    assert_eq!(
        (questions.train, questions.validation, questions.test),
        (count(Part::Train), count(Part::Validation), count(Part::Test))
    );
    assert_eq!(read_questions(out.join("questions.parquet")).unwrap(), prepared.questions);
    assert_eq!(&Manifest::read(out.join("manifest.json")).unwrap(), manifest);
    let ids: HashSet<&str> = prepared.questions.iter().map(|q| q.id.as_str()).collect();
    assert_eq!(ids.len(), prepared.questions.len());
}

#[track_caller]
fn check_generated(config: &SyntheticConfig, options: &PrepareOptions) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let files = Corpus::generate(config).unwrap().write(folder.path()).unwrap();
    let out = folder.path().join("out");
    let prepared = prepare(&[files.reviews], &[files.meta], &out, options).unwrap();
    let prepared = prepared.load().unwrap();
    assert_eq!(names(&out), FILES.map(str::to_owned).into());
    check_counts(&prepared, &out);
    prepared
}

#[test]
fn no_question_knows_what_it_must_not() {
    let default = PrepareOptions::default();
    check_generated(&SyntheticConfig::tiny(), &default);
    check_generated(
        &SyntheticConfig { seed: 5, ..SyntheticConfig::tiny() },
        &PrepareOptions {
            seed: 3,
            candidates: 10,
            max_history: 4,
            min_history: 1,
            bucket: 20,
            ..default.clone()
        },
    );
    let uniform = PrepareOptions { distractors: Distractors::Uniform, ..default };
    check_generated(&SyntheticConfig { seed: 6, ..SyntheticConfig::tiny() }, &uniform);
}

#[test]
fn the_answer_may_stand_anywhere() {
    let config = SyntheticConfig { users: 600, ..SyntheticConfig::tiny() };
    let questions = check_generated(&config, &PrepareOptions::default()).questions;
    let mut places = [0_u32; 4];
    questions.iter().for_each(|question| places[question.answer] += 1);
    let expected = questions.len() as f64 / 4.0;
    let chi_square: f64 =
        places.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    // 0.1 % of fair draws lie beyond 16.3 with 3 degrees of freedom.
    assert!(chi_square < 16.3, "{places:?}");
}

#[test]
fn popularity_is_that_of_the_training_part_alone() {
    let (reviews, meta) = small_corpus(60, 6);
    let options = PrepareOptions { bucket: 8, ..PrepareOptions::default() };
    // Late customers buy at the same times, but once these items and once those.
    let with_late = |shift: usize| -> Vec<Question> {
        let late = (0..12).flat_map(|user| {
            (0..6).map(move |place| {
                let item = format!("i{:02}", (place * 2 + shift) % 40);
                review(&format!("v{user:02}"), &item, (16_080 + place) as i64)
            })
        });
        let reviews = reviews.clone() + &late.collect::<String>();
        let (_folder, prepared) = prepare_lines(&reviews, &meta, &options);
        let cuts = prepared.manifest.split.cuts.unwrap();
        assert!(cuts.validation_from < 16_080 * crate::common::DAY, "the late ones are late");
        prepared.questions.into_iter().filter(|question| question.user.starts_with('u')).collect()
    };
    let (these, those) = (with_late(0), with_late(21));
    assert!(these.len() > 100);
    assert_eq!(these, those);
}

#[test]
fn what_a_user_reviewed_unverified_is_no_distractor() {
    let (reviews, meta) = small_corpus(40, 6);
    let (_folder, plain) = prepare_lines(&reviews, &meta, &PrepareOptions::default());
    let question = plain.questions.iter().find(|question| question.part == Part::Test).unwrap();
    let offered = distractors(question).next().unwrap();
    let reviews = reviews + &unverified(&question.user, offered, 16_500);
    let (_folder, changed) = prepare_lines(&reviews, &meta, &PrepareOptions::default());
    let again = changed.questions.iter().find(|other| other.id == question.id).unwrap();
    assert_eq!(again.target(), question.target());
    assert!(distractors(again).all(|item| item != offered), "{again:?}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::generate(&SyntheticConfig::tiny()).unwrap();
    let again = Corpus::generate(&SyntheticConfig::tiny()).unwrap();
    let files = corpus.write(folder.path().join("a")).unwrap();
    let copies = again.write(folder.path().join("b")).unwrap();
    let run = |files: &CorpusFiles, out: &str, seed| {
        let out = folder.path().join(out);
        let options = PrepareOptions { seed, ..PrepareOptions::default() };
        prepare(from_ref(&files.reviews), from_ref(&files.meta), &out, &options).unwrap();
        FILES.map(|file| fs::read(out.join(file)).unwrap())
    };
    assert_eq!(fs::read(&files.reviews).unwrap(), fs::read(&copies.reviews).unwrap());
    let first = run(&files, "first", 0);
    assert_eq!(first, run(&copies, "second", 0));
    assert_eq!(first, run(&files, "first", 0), "over the files of the run before");
    let other = run(&files, "other", 1);
    let questions = FILES.iter().position(|file| *file == "questions.parquet").unwrap();
    assert_ne!(first[questions], other[questions]);
}

#[test]
fn the_order_of_the_lines_says_nothing() {
    let (reviews, meta) = small_corpus(40, 7);
    let reversed = |text: &str| text.lines().rev().map(|line| format!("{line}\n")).collect();
    let (turned, turned_meta): (String, String) = (reversed(&reviews), reversed(&meta));
    let (_a, straight) = prepare_lines(&reviews, &meta, &PrepareOptions::default());
    let (_b, turned) = prepare_lines(&turned, &turned_meta, &PrepareOptions::default());
    assert_eq!(straight.questions, turned.questions);
    assert_eq!(straight.histories, turned.histories);
}

#[test]
fn several_files_are_read_as_one() {
    let (reviews, meta) = small_corpus(40, 6);
    let (_folder, whole) = prepare_lines(&reviews, &meta, &PrepareOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let half = reviews[..reviews.len() / 2].rfind('\n').unwrap() + 1;
    let parts = [
        write(folder.path(), "a.json", &reviews[..half]),
        write(folder.path(), "b.json.gz", crate::common::gzip(&reviews[half..])),
    ];
    let meta = write(folder.path(), "meta.json", meta);
    let out = folder.path().join("out");
    let prepared = prepare(&parts, &[meta], &out, &PrepareOptions::default()).unwrap();
    let prepared = prepared.load().unwrap();
    assert_eq!(prepared.questions, whole.questions);
    let inputs = &prepared.manifest.inputs;
    let files: Vec<&str> = inputs.iter().map(|input| input.path.as_str()).collect();
    assert_eq!(files, ["a.json", "b.json.gz", "meta.json"]);
    for (input, path) in inputs.iter().zip(&parts) {
        let bytes = fs::read(path).unwrap();
        let sha256: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((input.bytes, &input.sha256), (bytes.len() as u64, &sha256));
    }
}

#[test]
fn files_of_one_name_are_told_apart_by_their_folders() {
    let (reviews, meta) = small_corpus(40, 6);
    let folder = tempfile::tempdir().unwrap();
    let half = reviews[..reviews.len() / 2].rfind('\n').unwrap() + 1;
    let parts = [("2018", &reviews[..half]), ("2023", &reviews[half..])].map(|(year, lines)| {
        let folder = folder.path().join(year);
        fs::create_dir(&folder).unwrap();
        write(
            &folder,
            "part.json",
            format!("{lines}broken\n{}", &lines[..lines.find('\n').unwrap()]),
        )
    });
    let meta = write(folder.path(), "meta.json", meta);
    let out = folder.path().join("out");
    let prepared = prepare(&parts, from_ref(&meta), &out, &PrepareOptions::default()).unwrap();
    let stop = AtomicBool::new(false);
    let same =
        |parts: &[PathBuf]| Dataset::prepare_or_open(parts, from_ref(&meta), &out, &stop).map(drop);
    same(&parts).unwrap();
    let [first, second] = parts.clone();
    let error = same(&[second, first]).unwrap_err();
    assert!(matches!(error, Error::OtherData { .. }), "{error}");
    let inputs = prepared.manifest.inputs.iter().map(|input| input.path.as_str());
    assert_eq!(inputs.collect::<Vec<_>>(), ["2018/part.json", "2023/part.json", "meta.json"]);
    let rejects = rejects(&out);
    let rejected: Vec<(&str, &str)> = rejects
        .iter()
        .map(|reject| (reject["file"].as_str().unwrap(), reject["reason"].as_str().unwrap()))
        .collect();
    let [first, second] = ["2018/part.json", "2023/part.json"];
    let expected = [
        (first, "broken_json"),
        (second, "broken_json"),
        (first, "duplicate"),
        (second, "duplicate"),
    ];
    assert_eq!(rejected, expected);
}

#[test]
fn what_another_version_prepared_is_told_from_a_broken_manifest() {
    let (reviews, meta) = small_corpus(40, 6);
    let (folder, prepared) = prepare_lines(&reviews, &meta, &PrepareOptions::default());
    let files = ["reviews.json", "meta.json"].map(|file| vec![folder.path().join(file)]);
    let manifest = folder.path().join("out/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let version = format!("\"version\": \"{}\"", prepared.manifest.version);
    let error_of = |text: &str| {
        fs::write(&manifest, text).unwrap();
        let out = folder.path().join("out");
        let stop = AtomicBool::new(false);
        Dataset::prepare_or_open(&files[0], &files[1], out, &stop).map(drop).unwrap_err()
    };
    let old = text.replace(&version, "\"version\": \"0.0.1\"");
    // A field that is not what it was, which another version's may be.
    let broken = |text: &str| text.replace("\"users\": 40", "\"users\": \"forty\"");
    for text in [&old, &broken(&old)] {
        let error = error_of(text);
        assert!(matches!(error, Error::OtherData { .. }), "{error}");
        assert!(error.to_string().contains("another version"), "{error}");
    }
    let error = error_of(&broken(&text));
    assert!(matches!(error, Error::Json { .. }), "{error:?}");
    assert!(error.to_string().contains("manifest.json"), "{error}");
}

#[test]
fn what_is_no_folder_is_told_as_such() {
    let (reviews, meta) = small_corpus(40, 6);
    let folder = tempfile::tempdir().unwrap();
    let [reviews, meta] = [("reviews.json", reviews), ("meta.json", meta)]
        .map(|(name, lines)| vec![write(folder.path(), name, lines)]);
    let error_of = |out: &str| {
        let (out, stop) = (folder.path().join(out), AtomicBool::new(false));
        Dataset::prepare_or_open(&reviews, &meta, out, &stop).map(drop).unwrap_err()
    };
    assert!(matches!(error_of("meta.json"), Error::NotAFolder { .. }));
    assert!(matches!(error_of("meta.json/below"), Error::NotAFolder { .. }));
    fs::create_dir_all(folder.path().join("out/manifest.json")).unwrap();
    assert!(matches!(error_of("out"), Error::Folder { .. }));
}

#[test]
fn the_manifest_has_the_agreed_fields() {
    let (reviews, meta) = small_corpus(40, 6);
    let reviews = format!("{reviews}{{\"asin\": \"i0\n{}", review("u00", "nowhere", 16_000));
    let meta = meta + &metadata("i00", "Item 0 again") + &metadata("junk", "<span class=\"a\"");
    let (folder, _) = prepare_lines(&reviews, &meta, &PrepareOptions::default());
    let text = fs::read(folder.path().join("out/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let lines = &manifest["reviews"];
    assert_eq!((&lines["read"], &lines["kept"]), (&242.into(), &241.into()));
    assert_eq!(lines["rejected"], 1);
    assert_eq!(lines["reasons"], serde_json::json!({ "broken_json": 1 }));
    let items = &manifest["items"];
    assert_eq!((&items["read"], &items["kept"]), (&42.into(), &41.into()));
    assert_eq!(items["reasons"], serde_json::json!({ "duplicate": 1 }));
    assert_eq!(items["titled"], 40);
    let histories = &manifest["histories"];
    assert_eq!((&histories["users"], &histories["interactions"]), (&40.into(), &240.into()));
    assert_eq!(histories["dropped"]["unknown_item"], 1);
}

#[test]
fn a_rejected_line_is_kept_with_file_line_and_reason() {
    let (reviews, meta) = small_corpus(40, 6);
    let first = reviews.lines().next().unwrap();
    let bad = format!(
        "{}\n\n{{\"reviewerID\": 7}}\n{first}\n{first}\n{{\"title\": \"Tea\", \"asin\": \"B\"}}\n",
        &first[..30]
    );
    let meta = format!("[1]\n{meta}");
    let (folder, prepared) = prepare_lines(&(bad + &reviews), &meta, &PrepareOptions::default());
    assert_eq!(prepared.manifest.reviews.kept, 240);
    let found: Vec<(String, u64, String)> = rejects(&folder.path().join("out"))
        .into_iter()
        .map(|reject| {
            assert!(!reject["detail"].as_str().unwrap().is_empty());
            let text = |name: &str| reject[name].as_str().unwrap().to_owned();
            (text("file"), reject["line"].as_u64().unwrap(), text("reason"))
        })
        .collect();
    // Duplicates are known once all lines are read.
    let expected = [
        ("meta.json", 1, "wrong_type"),
        ("reviews.json", 1, "broken_json"),
        ("reviews.json", 2, "blank_line"),
        ("reviews.json", 3, "wrong_type"),
        ("reviews.json", 6, "wrong_kind"),
        ("reviews.json", 5, "duplicate"),
        ("reviews.json", 7, "duplicate"),
    ];
    let expected =
        expected.map(|(file, line, reason)| (file.to_owned(), line, reason.to_owned())).to_vec();
    assert_eq!(found, expected);
}

#[test]
fn other_files_of_the_output_folder_stay() {
    let (reviews, meta) = small_corpus(40, 6);
    let folder = tempfile::tempdir().unwrap();
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    write(&out, "notes.txt", "mine");
    write(&out, "questions.parquet", "of an earlier run");
    prepare(&[reviews], &[meta], &out, &PrepareOptions::default()).unwrap();
    assert_eq!(names(&out).len(), FILES.len() + 1);
    assert_eq!(fs::read(out.join("notes.txt")).unwrap(), b"mine");
    assert!(!read_questions(out.join("questions.parquet")).unwrap().is_empty());
}

#[test]
fn a_stopped_run_leaves_nothing_behind() {
    let (reviews, meta) = small_corpus(40, 6);
    let folder = tempfile::tempdir().unwrap();
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let before = names(folder.path());
    let stop = AtomicBool::new(true);
    let options = PrepareOptions::default();
    let (out, limits) = (folder.path().join("out"), Resources::default());
    let outcome = prepare_until(&[reviews], &[meta], out, &options, &limits, &stop);
    assert!(matches!(outcome.unwrap_err(), Error::Interrupted));
    assert_eq!(names(folder.path()), before);
}

#[test]
fn folders_are_prepared_once_each_under_one_output() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let out = tempfile::tempdir().unwrap();
    let (never, options) = (AtomicBool::new(false), PrepareOptions::default());
    let of = |folder: &Path| Dataset::of_folder(folder, out.path(), &options, &never);
    for (folder, users) in [(&one, 60), (&two, 80)] {
        let config = SyntheticConfig { users, ..SyntheticConfig::tiny() };
        Corpus::generate(&config).unwrap().write(folder.path()).unwrap();
    }
    let [first, second] = [&one, &two].map(|folder| of(folder.path()).unwrap());
    assert_ne!(first.questions, second.questions);
    let prepared = || std::fs::read_dir(out.path()).unwrap().count();
    assert_eq!(prepared(), 2);
    assert_eq!(of(one.path()).unwrap().questions, first.questions);
    assert_eq!(prepared(), 2);
    let other = PrepareOptions { seed: options.seed + 1, ..options.clone() };
    Dataset::of_folder(one.path(), out.path(), &other, &never).unwrap();
    assert_eq!(prepared(), 3);
    // Secrets do not show where options are printed.
    let hidden = ["a", "b"].map(|secret| {
        let ingest = IngestOptions { salt: Some(Salt::new(secret)), ..options.ingest.clone() };
        let options = PrepareOptions { ingest, ..options.clone() };
        Dataset::of_folder(one.path(), out.path(), &options, &never).unwrap()
    });
    assert_ne!(hidden[0].questions[0].user, hidden[1].questions[0].user);
    assert_eq!(prepared(), 5);
    let missing = of(&one.path().join("absent")).unwrap_err();
    assert!(missing.to_string().contains("absent"), "{missing}");
}

#[test]
fn a_part_is_given_with_the_latest_purchases() {
    let folder = tempfile::tempdir().unwrap();
    let files = Corpus::generate(&SyntheticConfig::tiny()).unwrap().write(folder.path()).unwrap();
    let (out, stop) = (folder.path().join("out"), AtomicBool::new(false));
    let data = Dataset::prepare_or_open(&[files.reviews], &[files.meta], &out, &stop).unwrap();
    let again = Dataset::prepare_or_open(&[], &[], &out, &stop).unwrap();
    assert_eq!((&again.manifest, &again.questions), (&data.manifest, &data.questions));
    let of = |part| data.questions.iter().filter(move |question| question.part == part);
    assert!(of(Part::Test).any(|question| question.history.len() > 2));
    for part in [Part::Train, Part::Validation, Part::Test] {
        assert!(of(part).eq(&data.part(part, None)));
        let cut = data.part(part, Some(2));
        assert_eq!(cut.len(), of(part).count());
        for (cut, whole) in cut.iter().zip(of(part)) {
            assert!(cut.history.len() <= 2 && whole.history.ends_with(&cut.history));
            assert_eq!(cut.history.len(), whole.history.len().min(2));
            assert_eq!((&cut.id, &cut.candidates), (&whole.id, &whole.candidates));
        }
    }
}
