//! `prepare`: tables, questions and a manifest, or one error and nothing.

use std::{collections::BTreeSet, fs, path::Path, sync::atomic::AtomicBool};

use nextcart_data::{IngestOptions, Resources, ingest, read_questions, synthetic::CorpusFiles};
use serde_json::Value;

use crate::{check, check_error, check_fails, check_succeeds, command, corpus, data_folder, tree};

const REVIEWS: &str = "Synthetic_5.json.gz";
const META: &str = "meta_Synthetic.json.gz";
const GOOD: [&str; 6] = ["--reviews", REVIEWS, "--meta", META, "--out", "out"];

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap()
}

/// Replaces the reviews or the metadata of a good run.
#[track_caller]
fn check_input(replace: &str, bytes: &[u8], expected: &[&str]) {
    let (folder, _) = corpus();
    fs::write(folder.path().join("bad.json.gz"), bytes).unwrap();
    let arguments = GOOD.map(|argument| if argument == replace { "bad.json.gz" } else { argument });
    check_fails("prepare", folder.path(), &arguments, expected);
}

/// The bytes of a corpus's reviews and metadata.
fn bytes() -> (Vec<u8>, Vec<u8>) {
    let (_folder, CorpusFiles { reviews, meta }) = corpus();
    (fs::read(reviews).unwrap(), fs::read(meta).unwrap())
}

/// The lines of a gzipped file.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(bytes)).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn writes_all_files_and_says_what_became_of_the_lines() {
    let (folder, _) = corpus();
    let text = check_succeeds("prepare", folder.path(), &GOOD);
    let out = folder.path().join("out");
    let mut names: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let expected = [
        "histories.parquet",
        "items.parquet",
        "manifest.json",
        "questions.parquet",
        "rejects.jsonl",
        "reviews.parquet",
    ];
    assert_eq!(names, expected);
    let manifest = manifest(&out);
    let reviews = &manifest["reviews"];
    let number = |value: &Value| value.as_u64().unwrap();
    assert_eq!(number(&reviews["read"]), number(&reviews["kept"]) + number(&reviews["rejected"]));
    for part in [
        format!("{} lines read, {} kept", reviews["read"], reviews["kept"]),
        format!("{} broken_json", reviews["reasons"]["broken_json"]),
        format!("{} duplicate", reviews["reasons"]["duplicate"]),
        format!("{} users", manifest["histories"]["users"]),
        format!("{} purchases", manifest["histories"]["interactions"]),
        format!("{} for the test", manifest["questions"]["test"]),
        format!(
            "held out   {} purchases, {} asked for",
            number(&manifest["split"]["validation"]) + number(&manifest["split"]["test"]),
            number(&manifest["questions"]["validation"]) + number(&manifest["questions"]["test"])
        ),
        "written to out".to_owned(),
    ] {
        assert!(text.contains(&part), "`{part}` is not in\n{text}");
    }
    for why in ["short_history", "cold_targets", "repeated_title", "few_distractors"] {
        let targets = number(&manifest["questions"][why]);
        assert_eq!(text.contains(&format!("; {targets} {why}")), targets > 0, "{why}: {text}");
    }
}

#[test]
fn options_reach_the_questions_and_the_manifest() {
    let (folder, _) = corpus();
    let mut arguments = GOOD.to_vec();
    arguments.extend(["--candidates", "6", "--seed", "9", "--uniform", "--min-interactions", "7"]);
    check_succeeds("prepare", folder.path(), &arguments);
    let out = folder.path().join("out");
    let questions = read_questions(out.join("questions.parquet")).unwrap();
    assert!(questions.iter().all(|question| question.candidates.len() == 6));
    let options = &manifest(&out)["options"];
    assert_eq!((&options["seed"], &options["min_interactions"]), (&9.into(), &7.into()));
    assert_eq!(options["distractors"], "uniform");
}

#[test]
fn targets_and_histories_can_be_chosen() {
    let (folder, _) = corpus();
    let mut arguments = GOOD.to_vec();
    arguments.extend(["--validation-from", "0.6", "--test-from", "0.75", "--keep-cold-targets"]);
    arguments.extend(["--train-targets-per-user", "1", "--min-history", "2", "--max-history", "4"]);
    check_succeeds("prepare", folder.path(), &arguments);
    let out = folder.path().join("out");
    let manifest = manifest(&out);
    let expected: [(&str, Value); 6] = [
        ("validation_from", 0.6.into()),
        ("test_from", 0.75.into()),
        ("train_targets_per_user", 1.into()),
        ("min_history", 2.into()),
        ("max_history", 4.into()),
        ("keep_cold_targets", true.into()),
    ];
    for (name, value) in expected {
        assert_eq!(manifest["options"][name], value, "{name}");
    }
    let questions = read_questions(out.join("questions.parquet")).unwrap();
    let mut asked = BTreeSet::new();
    for question in &questions {
        assert!((2..=4).contains(&question.history.len()), "{}", question.id);
        // One of each part.
        assert!(asked.insert((&question.user, question.part)), "{}", question.id);
    }
}

#[test]
fn every_line_that_the_book_shows_is_read() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/data.md");
    let page = fs::read_to_string(page).unwrap();
    let mut is_fenced = false;
    let mut shown: Vec<&str> = Vec::new();
    for line in page.lines() {
        is_fenced ^= line.starts_with("```");
        shown.extend(line.strip_prefix("    ").filter(|_| !is_fenced));
    }
    let [of_2018, of_2023, sequence, meta_2018, meta_2023, header, headed, plain] = shown[..]
    else {
        panic!("{shown:#?}")
    };
    let headed = format!("{header}\n{headed}");
    let folder = tempfile::tempdir().unwrap();
    for (name, lines) in [
        ("2018.json", of_2018),
        ("2023.jsonl", of_2023),
        ("sequences.jsonl", sequence),
        ("meta_2018.json", meta_2018),
        ("meta_2023.jsonl", meta_2023),
        ("headed.csv", headed.as_str()),
        ("plain.csv", plain),
    ] {
        fs::write(folder.path().join(name), lines).unwrap();
    }
    let (files, out) = ([folder.path().to_owned()], folder.path().join("out"));
    let (options, limits) = (IngestOptions::default(), Resources::default());
    let read = ingest(&files, &files, &out, &options, &limits, &AtomicBool::new(false)).unwrap();
    assert_eq!((read.reviews.kept, read.reviews.rows, read.reviews.rejected), (5, 7, 0));
    assert_eq!((read.items.titled, read.items.lines.rejected), (2, 0));
}

#[test]
fn two_runs_give_the_same_bytes() {
    let (folder, _) = corpus();
    check_succeeds("prepare", folder.path(), &GOOD);
    let first = tree(folder.path());
    check_succeeds("prepare", folder.path(), &GOOD);
    assert!(tree(folder.path()) == first, "the second run wrote other bytes");
}

#[test]
fn paths_may_hold_spaces() {
    let (folder, files) = corpus();
    let spaced = folder.path().join("my data");
    fs::create_dir(&spaced).unwrap();
    fs::rename(files.reviews, spaced.join("the reviews.gz")).unwrap();
    fs::rename(files.meta, spaced.join("the meta.gz")).unwrap();
    let arguments = [
        "--reviews",
        "my data/the reviews.gz",
        "--meta",
        "my data/the meta.gz",
        "--out",
        "my data/and out",
    ];
    let text = check_succeeds("prepare", folder.path(), &arguments);
    assert!(text.ends_with("written to my data/and out\n"), "{text}");
    assert!(spaced.join("and out").join("questions.parquet").is_file());
}

#[test]
fn a_missing_file() {
    let (folder, _) = corpus();
    for given in [REVIEWS, META] {
        let arguments = GOOD.map(|argument| if argument == given { "absent.gz" } else { argument });
        let expected = ["cannot read `absent.gz`: ", "No such file"];
        check_fails("prepare", folder.path(), &arguments, &expected);
    }
}

#[test]
fn an_empty_file() {
    check_input(REVIEWS, b"", &["`bad.json.gz`: expected reviews, found an empty file"]);
    check_input(META, b"", &["`bad.json.gz`: expected metadata, found an empty file"]);
}

#[test]
fn a_truncated_gzip_file() {
    let (reviews, meta) = bytes();
    let expected = ["`bad.json.gz`, after line ", "expected more gzip data, found the end"];
    check_input(REVIEWS, &reviews[..reviews.len() / 2], &expected);
    check_input(META, &meta[..meta.len() - 3], &expected);
}

#[test]
fn metadata_given_as_reviews_and_reviews_as_metadata() {
    let (reviews, meta) = bytes();
    let expected = ["`bad.json.gz`, line 1: expected a review", "found a metadata row"];
    check_input(REVIEWS, &meta, &expected);
    let expected = ["`bad.json.gz`, line 1: expected a metadata row", "found a review"];
    check_input(META, &reviews, &expected);
}

#[test]
fn a_file_of_broken_lines_alone() {
    let expected = ["`bad.json.gz`: none of its 2 lines is a review", "line 1", "broken_json"];
    check_input(REVIEWS, b"{\"asin\": \"B1\n{\"asin\"\n", &expected);
}

#[test]
fn a_broken_line_is_kept_apart_and_the_run_succeeds() {
    let (folder, files) = corpus();
    let good = lines(&fs::read(files.reviews).unwrap());
    let broken = good[..6].join("\n") + "\n{\"overall\": 5.0, \"verif\n" + &good[6..].join("\n");
    fs::write(folder.path().join("broken.json"), broken).unwrap();
    let arguments = GOOD.map(|argument| if argument == REVIEWS { "broken.json" } else { argument });
    check_succeeds("prepare", folder.path(), &arguments);
    let out = folder.path().join("out");
    let reviews = &manifest(&out)["reviews"];
    assert_eq!(reviews["read"], good.len() + 1);
    // The generated file has four of its own.
    assert_eq!(reviews["reasons"]["broken_json"], 5);
    let rejects = fs::read_to_string(out.join("rejects.jsonl")).unwrap();
    let found =
        rejects.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).any(|reject| {
            reject["file"] == "broken.json"
                && reject["line"] == 7
                && reject["reason"] == "broken_json"
        });
    assert!(found, "{rejects}");
}

#[test]
fn too_few_users() {
    let (reviews, _) = bytes();
    let few = lines(&reviews)[..3].join("\n");
    let expected = ["expected at least one user with 5 purchases, found none among "];
    check_input(REVIEWS, few.as_bytes(), &expected);
    // What may help is named by what can be typed as well.
    let (folder, _) = corpus();
    let arguments = [&GOOD[..], &["--min-interactions", "1000"]].concat();
    let advice =
        ["; try `min_interactions` of at most ", "; flags of `prepare`: --min-interactions"];
    check_fails("prepare", folder.path(), &arguments, &advice);
}

#[test]
fn an_option_outside_its_range() {
    let (folder, _) = corpus();
    let mut arguments = GOOD.to_vec();
    arguments.extend(["--candidates", "1"]);
    let expected = ["option `candidates`: expected 2 to 100, found 1", "`prepare`: --candidates\n"];
    check_fails("prepare", folder.path(), &arguments, &expected);
    let mut arguments = GOOD.to_vec();
    arguments.extend(["--memory", "0"]);
    let expected =
        ["option `memory_bytes`: expected at least 1048576 (1 MiB), found 0", "--memory\n"];
    check_fails("prepare", folder.path(), &arguments, &expected);
}

#[test]
fn a_manifest_of_another_program_is_not_replaced() {
    let (folder, _) = corpus();
    fs::create_dir(folder.path().join("out")).unwrap();
    for text in [r#"{"name": "a page", "icons": []}"#, "// a comment", ""] {
        fs::write(folder.path().join("out/manifest.json"), text).unwrap();
        let expected = ["`out/manifest.json` is none that `prepare` wrote", "name another folder"];
        check_fails("prepare", folder.path(), &GOOD, &expected);
    }
}

#[test]
fn an_output_folder_that_cannot_be() {
    let (folder, _) = corpus();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    for out in ["file", "file/out"] {
        let arguments = GOOD.map(|argument| if argument == "out" { out } else { argument });
        let expected = ["`file`: expected a folder for the output, found a file"];
        check_fails("prepare", folder.path(), &arguments, &expected);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_folder_that_cannot_be_written() {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, _) = corpus();
    // Not even the administrator can make a folder in there.
    let arguments = GOOD.map(|argument| if argument == "out" { "/proc/out" } else { argument });
    check_fails("prepare", folder.path(), &arguments, &["cannot write `/proc`: "]);

    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(closed.join("probe"), "").is_ok() {
        let note = b"skipped in part: permissions do not hold for the administrator\n";
        std::io::stderr().write_all(note).unwrap();
        return;
    }
    for out in ["closed", "closed/out"] {
        let arguments = GOOD.map(|argument| if argument == "out" { out } else { argument });
        let expected = ["cannot write `closed`: ", "denied"];
        check_fails("prepare", folder.path(), &arguments, &expected);
    }
}

#[test]
fn a_failed_run_leaves_the_output_of_the_one_before() {
    let (folder, _) = corpus();
    check_succeeds("prepare", folder.path(), &GOOD);
    let arguments = GOOD.map(|argument| if argument == REVIEWS { META } else { argument });
    check_fails("prepare", folder.path(), &arguments, &["expected a review"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    let (folder, _) = corpus();
    check_succeeds("prepare", folder.path(), &GOOD);
    let before = tree(folder.path());
    // The same file over and over takes long enough to be interrupted.
    let mut arguments = vec!["--reviews"];
    arguments.extend([REVIEWS; 3000]);
    arguments.extend(&GOOD[2..]);
    // Only the names at the top: what lies in the temporary folder comes and goes.
    let entries = || fs::read_dir(folder.path().join("out")).unwrap().count();
    let at_rest = entries();
    let run = crate::interrupt("prepare", folder.path(), &arguments, || entries() != at_rest);
    check_error(&run, &["interrupted, nothing was written"]);
    assert!(tree(folder.path()) == before, "the folder changed");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_gives_one_error_and_leaves_nothing() {
    use std::process::Command;

    let (folder, _) = corpus();
    let before = tree(folder.path());
    let program = command("prepare", folder.path(), &[]).get_program().to_owned();
    // Files may have no more than so many blocks of 512 bytes, as if the disk ended there; without the
    // trap, the signal of that limit would end the process.
    for blocks in ["1", "8", "40"] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(&program).args(GOOD).current_dir(folder.path());
        let output = command.output().unwrap();
        let run = crate::Run::of(output);
        assert!(!run.success, "{blocks} blocks were enough: {}", run.stdout);
        check_error(&run, &["arge"]); // "File too large"
        assert!(tree(folder.path()) == before, "{blocks}: something was left behind");
    }
}

#[test]
fn filters_splits_and_candidates_can_be_chosen() {
    let (folder, _) = corpus();
    let mut arguments = GOOD.to_vec();
    arguments.extend(["--split", "leave_one_out", "--distractors", "category", "--k-core", "2"]);
    arguments.extend(["--min-rating", "2", "--repeats", "--unverified", "--cleaning", "letters"]);
    arguments.extend(["--text", "--descriptions", "--pseudonymise", "pepper", "--memory", "64"]);
    arguments.extend(["--threads", "1"]);
    check_succeeds("prepare", folder.path(), &arguments);
    let manifest = manifest(&folder.path().join("out"));
    let options = &manifest["options"];
    let expected: [(&str, Value); 6] = [
        ("split", "leave_one_out".into()),
        ("distractors", "category".into()),
        ("k_core", 2.into()),
        ("min_rating", 2.0.into()),
        ("repeats", "keep".into()),
        ("verified_only", false.into()),
    ];
    for (name, value) in expected {
        assert_eq!(options[name], value, "{name}");
    }
    assert_eq!(options["ingest"]["cleaning"], "letters");
    assert_eq!(
        (&options["ingest"]["text"], &manifest["pseudonymised"]),
        (&true.into(), &true.into())
    );
    assert!(!manifest.to_string().contains("pepper"));
    let run = check("prepare", folder.path(), &["--distractors", "nearby"]);
    let expected = "possible values: popularity, uniform, category";
    assert!(!run.success && run.stderr.contains(expected), "{}", run.stderr);
}

#[test]
fn the_help_says_what_each_choice_means() {
    let folder = tempfile::tempdir().unwrap();
    let help = check_succeeds("prepare", folder.path(), &["--help"]);
    for choice in ["popularity", "catalogue", "global_time", "user_disjoint", "entities"] {
        assert!(help.contains(&format!("- {choice}:")), "{choice} in {help}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_says_what_to_run_next() {
    let (folder, _) = corpus();
    for (out, option, next) in [
        ("my shop", "", "audit -- 'my shop'"),
        ("shop", " --distractors catalogue", "describe -- shop"),
    ] {
        let arguments = format!("--reviews {REVIEWS} --meta {META} --out '{out}'{option}");
        let Some(text) = crate::on_terminal("prepare", folder.path(), &arguments, 100) else {
            return;
        };
        let end = format!("\nnext: cargo run --release --example {next}\n");
        assert!(text.ends_with(&end), "{text}");
    }
}

#[test]
fn an_unknown_option_is_refused() {
    let (folder, _) = corpus();
    let before = tree(folder.path());
    let mut arguments = GOOD.to_vec();
    arguments.push("--candidate=4");
    let run = check("prepare", folder.path(), &arguments);
    assert!(!run.success && run.stderr.contains("--candidate"), "{}", run.stderr);
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn real_gift_cards_give_the_known_figures() {
    let Some(data) = data_folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let reviews = data.join("gift_cards/Gift_Cards_5.json.gz");
    let meta = data.join("gift_cards/meta_Gift_Cards.json.gz");
    let (reviews, meta) = (reviews.to_str().unwrap(), meta.to_str().unwrap());
    let arguments = ["--reviews", reviews, "--meta", meta, "--out", "out"];
    let text = check_succeeds("prepare", folder.path(), &arguments);
    assert!(text.contains("2972 lines read, 2972 kept, 0 rejected\n"), "{text}");
    assert!(text.contains("422 users"), "{text}");
    let manifest = manifest(&folder.path().join("out"));
    assert_eq!(
        (&manifest["reviews"]["read"], &manifest["items"]["read"]),
        (&2972.into(), &1547.into())
    );
    assert_eq!(manifest["histories"]["users"], 422);
}

#[test]
fn real_magazines_lose_their_duplicates() {
    let Some(data) = data_folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| data.join(name).to_str().unwrap().to_owned();
    let (magazines, cards) = (
        path("magazine/Magazine_Subscriptions_5.json.gz"),
        path("gift_cards/Gift_Cards_5.json.gz"),
    );
    let (magazine_meta, card_meta) = (
        path("magazine/meta_Magazine_Subscriptions.json.gz"),
        path("gift_cards/meta_Gift_Cards.json.gz"),
    );
    // By themselves they have hardly a title; the error says so.
    let arguments = ["--reviews", &magazines, "--meta", &magazine_meta, "--out", "out"];
    let expected = ["expected at least one user with 5 purchases", "2333 reviews kept", "untitled"];
    check_fails("prepare", folder.path(), &arguments, &expected);

    let arguments =
        ["--reviews", &magazines, &cards, "--meta", &magazine_meta, &card_meta, "--out", "out"];
    let text = check_succeeds("prepare", folder.path(), &arguments);
    assert!(text.contains("5347 lines read, 5305 kept, 42 rejected; 42 duplicate"), "{text}");
    let manifest = manifest(&folder.path().join("out"));
    assert_eq!(manifest["reviews"]["reasons"], serde_json::json!({ "duplicate": 42 }));
}
