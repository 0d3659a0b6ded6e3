//! `describe`: a table, plots, or one error.

use std::fs;

use serde_json::Value;

use crate::{check_fails, check_succeeds, corpus};

const PREPARE: [&str; 6] =
    ["--reviews", "Synthetic_5.json.gz", "--meta", "meta_Synthetic.json.gz", "--out", "out"];

#[test]
fn prints_what_the_manifest_and_the_histories_say() {
    let (folder, _) = corpus();
    check_succeeds("prepare", folder.path(), &PREPARE);
    let text = check_succeeds("describe", folder.path(), &["out", "--plots", "plots"]);
    let json = check_succeeds("describe", folder.path(), &["out", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let histories = &json["manifest"]["histories"];
    for part in [
        format!("users              {}\n", histories["users"]),
        format!("purchases          {}, ", histories["interactions"]),
        format!("ties               {} of ", histories["ties"]),
        "history length     mean ".to_owned(),
        "cold items         ".to_owned(),
        "written plots/popularity.svg\n".to_owned(),
    ] {
        assert!(text.contains(&part), "`{part}` is not in\n{text}");
    }
    for name in ["history_lengths.svg", "popularity.svg", "months.svg"] {
        let svg = fs::read_to_string(folder.path().join("plots").join(name)).unwrap();
        assert!(svg.starts_with("<svg"), "{name}");
    }
}

#[test]
fn a_folder_that_is_none_or_was_not_prepared() {
    let (folder, _) = corpus();
    let no_folder = ["`absent`: expected a folder", "`prepare` writes", "no such folder"];
    check_fails("describe", folder.path(), &["absent"], &no_folder);
    check_fails("describe", folder.path(), &["."], &["`.`: ", "manifest.json", "none in it"]);
    fs::create_dir(folder.path().join("out")).unwrap();
    fs::write(folder.path().join("out/manifest.json"), "{}").unwrap();
    let expected = [
        "cannot process the JSON file `out/manifest.json`: ",
        "missing field",
        "prepare the files again, into another folder",
    ];
    check_fails("describe", folder.path(), &["out"], &expected);
}
