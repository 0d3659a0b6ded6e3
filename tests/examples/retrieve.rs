//! `retrieve`: titles that the same customers buy, close to each other.

use super::finetune::prepared;
use super::{check_fails, check_succeeds};

const SIZES: [&str; 14] = [
    "--blocks",
    "2",
    "--adapted",
    "1",
    "--tokens",
    "12",
    "--group",
    "8",
    "--epochs",
    "2",
    "--customers",
    "40",
    "--out",
    "out",
];

#[test]
fn sums_with_and_without_the_model_stand_beside_each_other_and_their_blind_twins() {
    let folder = prepared();
    let arguments = [&["data", "--model", "base"], &SIZES[..]].concat();
    let told = check_succeeds("retrieve", folder.path(), &arguments);
    for part in [
        "stack and tuned: item_knn ",
        ", tuned ",
        "\nknn_text ",
        "\nstack ",
        "\nstack, without history ",
        "\nuntuned ",
        "\nstack and untuned ",
        "\ntuned ",
        "\nstack and tuned ",
        "\nstack and tuned, without history ",
        "HR@10",
        "stack and tuned against stack: ",
        "`stack and tuned` is ",
        "rules that never look at the history",
        ", McNemar p = ",
        ", with Holm's correction p = ",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    // No score without its interval and n.
    let (_, ranked) = told.split_once("all items ").unwrap();
    let ranked: Vec<&str> = ranked.lines().skip(1).take_while(|row| row.contains(" %  ")).collect();
    assert_eq!(ranked.len(), 6, "{told}");
    for row in ranked {
        let n: usize = row.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(row.matches(" to ").count() == 2 && n > 0, "{row}");
    }
    // Adapters in the last of the two blocks alone.
    let adapter =
        std::fs::read(folder.path().join("out/adapter/adapter_model.safetensors")).unwrap();
    let names = String::from_utf8_lossy(&adapter[8..]);
    assert!(names.contains("layers.1.") && !names.contains("layers.0."));
    assert!(folder.path().join("out/predictions.parquet").is_file());
    let metrics = std::fs::read(folder.path().join("out/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
    assert_eq!(metrics["scores"][0]["name"], "fine_tuned");
    assert!(metrics["lift_over_history_blind"]["difference"].is_number());
    assert_eq!(metrics["model_audits"][0]["full"]["name"], "stack and tuned");
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("the stack and the tuned vectors of titles, added up."));
    let made = std::fs::read_to_string(folder.path().join("out/adapter/vectors.json")).unwrap();
    assert!(made.contains("\"blocks\": 2") && made.contains("\"tokens\": 12"), "{made}");
    // The run is over: the same command only asks again.
    let metrics = || std::fs::read(folder.path().join("out/run/metrics.jsonl")).unwrap();
    let before = metrics();
    assert_eq!(check_succeeds("retrieve", folder.path(), &arguments), told);
    assert_eq!(metrics(), before);
    #[cfg(target_os = "linux")]
    if let Some(narrow) = super::on_terminal("retrieve", folder.path(), &arguments.join(" "), 60) {
        // Behind the progress of training.
        let (_, narrow) = narrow.split_once("\nknn_text: ").unwrap();
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        for part in ["stack and tuned, without history: ", "\nall items, stack and tuned: HR@10 "] {
            assert!(narrow.contains(part), "{part:?} in {narrow}");
        }
    }
}

#[test]
fn a_model_that_is_left_as_it_is_is_asked_alone() {
    let folder = prepared();
    let arguments = ["data", "--model", "base", "--epochs", "0", "--out", "out"];
    let told = check_succeeds("retrieve", folder.path(), &arguments);
    assert!(told.contains("\nstack and untuned ") && !told.contains(" tuned"), "{told}");
    assert!(!folder.path().join("out/run").exists());
}

#[test]
fn a_folder_without_data_or_a_model_is_refused() {
    let folder = prepared();
    let arguments = ["nowhere", "--model", "base", "--out", "out"];
    check_fails("retrieve", folder.path(), &arguments, &["nowhere"]);
    let arguments = ["data", "--model", "nowhere", "--out", "out"];
    let expected = ["--model: expected the folder of a checkpoint, or an id", "`nowhere`"];
    check_fails("retrieve", folder.path(), &arguments, &expected);
    let arguments = ["data", "--model", "base", "--out", "out", "--adapted", "3"];
    check_fails("retrieve", folder.path(), &arguments, &["--adapted", "2 blocks", "found 3"]);
}
