//! The terminal in `docs/images/terminal.svg`: what the commands on it print, and nothing else.
//!
//! `NEXTCART_BLESS=1` draws it anew.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use nextcart_data::synthetic::{Corpus, SyntheticConfig};

use crate::check_succeeds;

/// Columns of the terminal; what is longer goes on in the next line.
const COLUMNS: usize = 112;

/// Width and height of a character.
const CELL: (f64, f64) = (7.8, 17.0);

/// Room around the text.
const MARGIN: f64 = 18.0;

/// A line on the terminal: the class of its text, and the text.
type Line = (&'static str, String);

/// What a command leaves on the terminal: itself, and of its output the lines that `shown` picks.
fn run(folder: &Path, lines: &mut Vec<Line>, command: &str, shown: impl Fn(&str) -> bool) {
    let words: Vec<&str> = command.split(' ').collect();
    let output = check_succeeds(words[0], folder, &words[1..]);
    lines.push((
        "command",
        format!("$ cargo run --release --example {} -- {}", words[0], words[1..].join(" ")),
    ));
    let mut left_out = false;
    for line in output.lines() {
        match shown(line) {
            true => lines.push(("", line.to_owned())),
            // What is not shown leaves its mark, once.
            false if !left_out => lines.push(("dim", "…".to_owned())),
            false => {}
        }
        left_out = !shown(line);
    }
    lines.push(("", String::new()));
}

/// Breaks lines that are longer than the terminal, at spaces.
fn wrapped(lines: Vec<Line>) -> Vec<Line> {
    let mut wrapped: Vec<Line> = Vec::new();
    for (class, text) in lines {
        let mut line = String::new();
        for word in text.split_inclusive(' ') {
            if line.chars().count() + word.trim_end().chars().count() > COLUMNS {
                wrapped.push((class, std::mem::take(&mut line)));
            }
            line += word;
        }
        wrapped.push((class, line));
    }
    wrapped
}

fn drawn(lines: &[Line]) -> String {
    let (width, height) =
        (COLUMNS as f64 * CELL.0 + 2.0 * MARGIN, lines.len() as f64 * CELL.1 + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>nextcart in a terminal</title>\n\
         <style>text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; \
         fill: #d6deeb; white-space: pre }} .command {{ fill: #7fdbca; font-weight: bold }} \
         .bad {{ fill: #ff869a; font-weight: bold }} .good {{ fill: #addb67; font-weight: bold }} \
         .dim {{ fill: #7f8fa6 }}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0b1622\"/>\n"
    );
    for (row, (class, text)) in lines.iter().enumerate().filter(|(_, (_, text))| !text.is_empty()) {
        let y = MARGIN + (row as f64 + 0.8) * CELL.1;
        // As wide as its characters, whatever the font.
        let length = text.trim_end().chars().count() as f64 * CELL.0;
        let text = text.trim_end().replace('&', "&amp;").replace('<', "&lt;");
        svg += &format!(
            "<text x=\"{MARGIN:.0}\" y=\"{y:.1}\" class=\"{class}\" textLength=\"{length:.0}\" \
             xml:space=\"preserve\">{text}</text>\n"
        );
    }
    svg + "</svg>\n"
}

#[test]
fn the_terminal_shows_what_the_commands_print() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Fewer would be too few to call them clean.
    let config = SyntheticConfig { users: 15_000, ..SyntheticConfig::default() };
    let files = Corpus::generate(&config).unwrap().write(folder).unwrap();
    fs::rename(files.reviews, folder.join("reviews.json.gz")).unwrap();
    fs::rename(files.meta, folder.join("meta.json.gz")).unwrap();

    let mut lines = Vec::new();
    run(
        folder,
        &mut lines,
        "prepare --reviews reviews.json.gz --meta meta.json.gz --out shop",
        |_| true,
    );
    let rows =
        ["name", "punctuation_rule", "trained_classifier", "verdict", "No leak", "These questions"];
    let shown = |line: &str| rows.iter().any(|row| line.starts_with(row));
    run(folder, &mut lines, "audit shop/questions.parquet", shown);
    run(
        folder,
        &mut lines,
        "seed_protocol --reviews reviews.json.gz --meta meta.json.gz --out leaky.parquet",
        |_| true,
    );
    run(folder, &mut lines, "audit leaky.parquet", shown);
    lines.pop();
    for (class, text) in &mut lines {
        if text.starts_with("verdict: leaks") {
            *class = "bad";
        } else if text.starts_with("verdict: clean") {
            *class = "good";
        }
    }
    let found = drawn(&wrapped(lines));

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images/terminal.svg");
    if std::env::var_os("NEXTCART_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &found).unwrap();
    }
    let drawn = fs::read_to_string(&file).unwrap();
    assert_eq!(
        drawn,
        found,
        "`{}` shows something else: draw it anew with NEXTCART_BLESS=1",
        file.display()
    );
}
