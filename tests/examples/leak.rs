//! `leak`: questions that give their answers away, learnt and asked.

use nextcart_data::{read_any_questions, write_questions};

use super::finetune::prepared;
use super::{check_fails, check_succeeds, corpus};

#[test]
fn a_model_stands_beside_itself_without_the_history_and_beside_the_rule() {
    let folder = prepared();
    let (_kept, files) = corpus();
    let (reviews, meta) = (files.reviews.display().to_string(), files.meta.display().to_string());
    let made = ["--reviews", &reviews, "--meta", &meta, "--out", "leaky.parquet"];
    check_succeeds("seed_protocol", folder.path(), &made);
    // As in the published questions: of some answers, cleaning left nothing.
    let path = folder.path().join("leaky.parquet");
    let mut questions = read_any_questions(&path).unwrap();
    for question in questions.iter_mut().take(3) {
        question.candidates[question.answer].title.clear();
    }
    write_questions(&path, &questions).unwrap();
    let arguments = [
        "leaky.parquet",
        "--model",
        "base",
        "--out",
        "out",
        "--train",
        "16",
        "--test",
        "12",
        "--untuned",
        "6",
        "--audited",
        "8",
        "--blocks",
        "1",
    ];
    let told = check_succeeds("leak", folder.path(), &arguments);
    for part in [
        "\nfine_tuned ",
        "\nhistory_blind ",
        "\nbase ",
        "\npunctuation_rule ",
        "\nchance ",
        "\nof these, equal to one to learn from: ",
        "itself with another customer's history",
        "of 2 questions",
        "\nleft out, but for the audit, as an option has no title: 3\n",
        "Without any history, ",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    for part in ["The questions leak", "Without any history, ", "history_blind"] {
        assert!(page.contains(part), "{part:?}");
    }
    assert_eq!(check_succeeds("leak", folder.path(), &arguments), told);
}

#[test]
fn too_few_questions_and_a_missing_file_are_refused() {
    let folder = prepared();
    let questions = "data/questions.parquet";
    let arguments = [questions, "--model", "base", "--out", "out", "--train", "1000000"];
    check_fails("leak", folder.path(), &arguments, &["questions.parquet", "1000600 questions"]);
    check_fails("leak", folder.path(), &["nowhere", "--model", "base"], &["nowhere"]);
    // A prepared folder stands for its questions.
    let arguments = ["data", "--model", "base", "--out", "out", "--train", "1000000"];
    check_fails("leak", folder.path(), &arguments, &["`data`", "1000600 questions"]);
}

#[test]
fn a_model_that_is_neither_a_folder_nor_an_id_is_refused() {
    let folder = prepared();
    let arguments = ["data", "--model", "nowhere", "--out", "out", "--train", "4", "--test", "4"];
    let run = super::check("leak", folder.path(), &arguments);
    let expected = "error: --model: expected the folder of a checkpoint, or an id `owner/name` on";
    assert!(!run.success && run.stderr.starts_with(expected), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_it_goes_on() {
    let folder = prepared();
    let sizes = ["--train", "8", "--test", "100", "--untuned", "0", "--audited", "0"];
    let data = ["data", "--model", "base", "--out", "out", "--blocks", "1"];
    let arguments = [&data[..], &sizes].concat();
    let asking = folder.path().join("out/fine_tuned");
    let stderr = super::interrupt("leak", folder.path(), &arguments, || asking.is_dir()).stderr;
    assert!(stderr.contains("is kept; the same command goes on"), "{stderr}");
}
