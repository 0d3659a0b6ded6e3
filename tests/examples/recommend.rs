//! Rankings of what may be bought next: from files, typed, and with what cannot be ranked.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use nextcart_data::{Catalogue, FullCatalogue};
use nextcart_models::Architecture;
use serde_json::Value;

use super::finetune_models::{FILES, RUN, folder};
use super::{Run, check_fails, check_succeeds, command};

/// A folder in which a model was fine-tuned, and titles of its shop.
fn tuned() -> (tempfile::TempDir, Vec<String>) {
    let folder = folder(Architecture::Llama);
    check_succeeds("finetune_tinyllama", folder.path(), &[&RUN[..], &FILES].concat());
    let bought = FullCatalogue::read(folder.path().join("data")).unwrap();
    let titles = bought.products().iter().map(|product| product.title.clone()).collect();
    (folder, titles)
}

/// Runs the example with a text on its standard input.
fn typed(folder: &Path, arguments: &[&str], text: &str) -> Run {
    let mut process = command("recommend", folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Run::of(process.wait_with_output().unwrap())
}

/// The titles and probabilities of a ranking, which must fall from 1 on.
#[track_caller]
fn ranking(line: &str) -> (Value, Vec<(String, f64)>) {
    let json: Value = serde_json::from_str(line).unwrap();
    let rows = json["ranking"].as_array().unwrap().iter().zip(1..).map(|(row, rank)| {
        assert_eq!(row["rank"], rank);
        (row["title"].as_str().unwrap().to_owned(), row["probability"].as_f64().unwrap())
    });
    let rows: Vec<(String, f64)> = rows.collect();
    assert!(rows.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{rows:?}");
    (json.clone(), rows)
}

#[test]
fn files_and_typed_lines_are_ranked_alike() {
    let (folder, titles) = tuned();
    let here = folder.path();
    fs::write(here.join("history.txt"), format!("{}\n\n{}\n", titles[0], titles[1])).unwrap();
    fs::write(here.join("four.txt"), titles[2..6].join("\n")).unwrap();
    let four = ["--run", "out", "--candidates", "four.txt", "--json"];
    let from_file = [&four[..], &["--history", "history.txt"]].concat();
    let one = check_succeeds("recommend", here, &from_file);
    let (json, rows) = ranking(&one);
    assert_eq!(json["history"], serde_json::json!(titles[..2]));
    assert_eq!((json["candidates"].as_u64(), rows.len()), (Some(4), 4));
    let total: f64 = rows.iter().map(|(_, probability)| probability).sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    let mut ranked: Vec<&String> = rows.iter().map(|(title, _)| title).collect();
    let mut given: Vec<&String> = titles[2..6].iter().collect();
    ranked.sort();
    given.sort();
    assert_eq!(ranked, given);

    // Typed, each empty line ranks; the second ranking is that of the file.
    let text = format!("{}\n\n{}\n\n\n", titles[0], titles[1].to_uppercase());
    let run = typed(here, &four, &text);
    assert!(run.success && run.stderr.is_empty(), "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    assert_eq!(ranking(lines[1]).0, json);
    assert_ne!(ranking(lines[0]).0["ranking"], json["ranking"]);

    // The adapter and the base alone do not find the same.
    let model = ["--model", "./base", "--quantized", "--template", "seed", "--wrapper", "seed"];
    let plain = ["--candidates", "four.txt", "--json", "--history", "history.txt"];
    let base = check_succeeds("recommend", here, &[&model[..], &plain].concat());
    assert_ne!(ranking(&base).1, rows);
    let adapter = ["--adapter", "out/adapter"];
    let again = check_succeeds("recommend", here, &[&model[..], &plain, &adapter].concat());
    for ((title, probability), (other, found)) in rows.iter().zip(ranking(&again).1) {
        assert!(*title == other && (probability - found).abs() < 1e-3, "{rows:?} {again}");
    }
}

/// What others bought with the purchases is no field of a product.
#[test]
fn a_template_may_tell_what_training_knows() {
    let (folder, titles) = tuned();
    let here = folder.path();
    fs::write(here.join("history.txt"), titles[..3].join("\n")).unwrap();
    fs::write(here.join("four.txt"), titles[3..7].join("\n")).unwrap();
    let four = ["--candidates", "four.txt", "--json", "--history", "history.txt"];
    let run = [&four[..], &["--run", "out", "--wrapper", "plain", "--template"]].concat();
    let of =
        |template| ranking(&check_succeeds("recommend", here, &[&run[..], &[template]].concat())).1;
    let silent = "Relations: none.\n--- instruction\nWhich next?\n--- input\n{% for item in history %}\n\
                  {{ item.title | line }}\n{% endfor %}\n--- output\n{{ candidates[answer].title | line }}\n";
    let told = silent.replace(
        "| line }}\n{% endfor",
        "| line }}{{ ' too' if item.bought_together else '' }}\n{% endfor",
    );
    fs::write(here.join("silent.jinja"), silent).unwrap();
    fs::write(here.join("told.jinja"), told).unwrap();
    assert_ne!(of("silent.jinja"), of("told.jinja"));
    of("item_relations");

    let base = ["--model", "./base", "--template", "told.jinja", "--wrapper", "plain"];
    let expected = ["`told`", "`item.bought_together` is undefined"];
    check_fails("recommend", here, &[&base[..], &four].concat(), &expected);
}

#[test]
fn the_whole_catalogue_is_ranked_but_for_what_was_bought() {
    let (folder, titles) = tuned();
    let here = folder.path();
    fs::write(here.join("history.txt"), &titles[0]).unwrap();
    let all = ["--run", "out", "--history", "history.txt", "--top", "1000"];
    let found = super::check("recommend", here, &[&all[..], &["--json"]].concat());
    let note = "`--template seed` asks as the run learnt";
    assert!(found.success && found.stderr.lines().count() == 1, "{}", found.stderr);
    assert!(found.stderr.starts_with("note: ") && found.stderr.contains(note), "{}", found.stderr);
    let (json, rows) = ranking(&found.stdout);
    assert_eq!(
        (json["candidates"].as_u64(), rows.len()),
        (Some(titles.len() as u64 - 1), titles.len() - 1)
    );
    assert!(rows.iter().all(|(title, _)| *title != titles[0]));
    let total: f64 = rows.iter().map(|(_, probability)| probability).sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");

    let table = super::check("recommend", here, &[&all[..4], &["--top", "3"]].concat()).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("  1. ") && lines[0].ends_with(&rows[0].0), "{table}");
    assert!(
        lines.len() == 5 && lines[3].contains(&format!("of {} candidates", rows.len())),
        "{table}"
    );

    fs::write(here.join("history.txt"), titles.join("\n")).unwrap();
    let nothing = super::check("recommend", here, &all);
    assert!(!nothing.success && nothing.stderr.contains("leave no item"), "{}", nothing.stderr);
}

#[test]
fn what_cannot_be_ranked_is_refused_by_file_and_line() {
    let (folder, titles) = tuned();
    let here = folder.path();
    let write = |name: &str, text: &str| fs::write(here.join(name), text).unwrap();
    write("good.txt", &titles[0]);
    write("empty.txt", "\n \n");
    write("unknown.txt", &format!("{}\nno such thing\n", titles[0]));
    write("many.txt", " ");
    // A letter that several titles have.
    write("part.txt", "a");
    let catalogue = Catalogue::read(here.join("data/items.parquet")).unwrap();
    let with_a = catalogue.products().filter(|p| p.title.to_lowercase().contains('a')).count();
    let fails = |arguments: &[&str], expected: &[&str]| {
        check_fails("recommend", here, arguments, expected);
    };
    let run = ["--run", "out", "--history"];
    fails(&[&run[..], &["no.txt"]].concat(), &["cannot read `no.txt`"]);
    fails(&[&run[..], &["empty.txt"]].concat(), &["empty.txt", "found none"]);
    let unknown = ["unknown.txt`, line 2", "expected an item's id", "no such thing"];
    fails(&[&run[..], &["unknown.txt"]].concat(), &unknown);
    let part = ["part.txt`, line 1", &format!("{with_a} titles have `a`")];
    fails(&[&run[..], &["part.txt"]].concat(), &part);
    let one = ["good.txt", "--candidates", "good.txt"];
    fails(&[&run[..], &one].concat(), &["good.txt", "at least two candidates"]);
    let others = "--model nowhere/base --adapter nowhere/adapter --data nowhere/data";
    fails(&["--run", "nowhere"], &["`nowhere/run.toml` is not there", "finetune", others]);
    fs::create_dir(here.join("begun")).unwrap();
    fs::copy(here.join("out/run.toml"), here.join("begun/run.toml")).unwrap();
    let begun = ["`begun/adapter` is not there", "training has ended", "with --resume"];
    fails(&["--run", "begun"], &begun);
    let nobody = super::check("recommend", here, &["--data", "data"]);
    assert!(nobody.stderr.contains("--run <RUN>|--model <MODEL>"), "{}", nobody.stderr);
    let titles: Vec<String> = (0..500).map(|number| format!("Tea, {number} bags")).collect();
    write("long.txt", &titles.join("\n"));
    let long = ["--model", "./base", "--history", "good.txt", "--candidates", "long.txt"];
    fails(&long, &["expected at most ", " tokens, found ", "; give fewer with --candidates"]);
    fails(&["--model", "./base"], &["expected --candidates, or --data"]);
    let wrong =
        ["--model", "./base", "--data", "data", "--adapter", "data", "--history", "good.txt"];
    fails(&wrong, &["adapter_config.json"]);
    let nothing = typed(here, &["--run", "out"], "\n");
    super::check_error(&nothing, &["standard input", "found none"]);
    let unknown = typed(here, &["--run", "out"], "no such thing\n");
    super::check_error(&unknown, &["standard input, line 1", "no such thing"]);
}
