//! `rerank`: a model that chooses between options with a retriever's hint.

use super::finetune::prepared;
use super::{check_fails, check_succeeds};

const SIZES: [&str; 12] = [
    "--weighing",
    "20",
    "--train",
    "16",
    "--test",
    "12",
    "--twins",
    "6",
    "--blocks",
    "1",
    "--out",
    "out",
];

#[test]
fn both_are_asked_and_set_beside_each_other_and_nothing_is_asked_twice() {
    let folder = prepared();
    let arguments = [&["data", "--model", "base"], &SIZES[..]].concat();
    let told = check_succeeds("rerank", folder.path(), &arguments);
    for part in [
        "retriever: item_knn ",
        "(fit ",
        "\nretriever ",
        "\nknn_text ",
        "\nuntuned ",
        "\ntuned ",
        "\ntuned, without history ",
        "tuned against retriever: ",
        ", McNemar p = ",
        ", with Holm's correction p = ",
        "rules that never look at the history",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert!(folder.path().join("out/adapter/adapter_model.safetensors").is_file());
    // Adapters in the last of the two blocks alone.
    let adapter =
        std::fs::read(folder.path().join("out/adapter/adapter_model.safetensors")).unwrap();
    let names = String::from_utf8_lossy(&adapter[8..]);
    assert!(names.contains("layers.1.") && !names.contains("layers.0."));
    assert_eq!(check_succeeds("rerank", folder.path(), &arguments), told);
    // A model is known wherever it lies, and what it says of titles is not taken for what another says.
    let (base, other) = (folder.path().join("base"), folder.path().join("other"));
    std::fs::rename(base, &other).unwrap();
    let arguments = [&["data", "--model", "other"], &SIZES[..]].concat();
    assert_eq!(check_succeeds("rerank", folder.path(), &arguments), told);
    let weights = other.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header] ^= 1; // the least bit of the first weight
    std::fs::write(weights, bytes).unwrap();
    let run = super::check("rerank", folder.path(), &arguments);
    for part in ["worth.json", "`other`", "another model", "name another --out"] {
        assert!(!run.success && run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn a_folder_without_data_or_a_model_is_refused() {
    let folder = prepared();
    let arguments = [&["nowhere", "--model", "base"], &SIZES[..]].concat();
    check_fails("rerank", folder.path(), &arguments, &["nowhere"]);
    let arguments = [&["data", "--model", "nowhere"], &SIZES[..]].concat();
    let expected = ["--model: expected the folder of a checkpoint, or an id", "`nowhere`"];
    check_fails("rerank", folder.path(), &arguments, &expected);
}

#[test]
fn answers_that_came_of_another_retriever_are_refused() {
    let folder = prepared();
    let untuned = |weighing| {
        let sizes = ["--weighing", weighing, "--train", "0", "--test", "12", "--twins", "6"];
        [&["data", "--model", "base", "--out", "out"], &sizes[..]].concat()
    };
    let told = check_succeeds("rerank", folder.path(), &untuned("20"));
    assert_eq!(check_succeeds("rerank", folder.path(), &untuned("20")), told);
    let other = super::check("rerank", folder.path(), &untuned("10"));
    let is_refused = other.stderr.contains("evaluation.json` is of another evaluation");
    assert!(!other.success && is_refused, "{}", other.stderr);
}
