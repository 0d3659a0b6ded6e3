//! GPU.md's table is what the plan predicts.

use std::path::Path;

#[allow(dead_code, reason = "the bench's own `main`, and what it prints besides")]
#[path = "../benches/gpu_plan.rs"]
mod gpu_plan;

use gpu_plan::{Row, known_cards, rows};

#[test]
fn gpu_md_says_what_the_plan_predicts() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../GPU.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("| card | run |"));
    let found: Vec<&str> = table.skip(2).take_while(|line| line.starts_with('|')).collect();

    let mut card_before = String::new();
    let mut expected = Vec::new();
    for Row { card, run, megabytes, step, thousand, .. } in rows(&known_cards(), (512, 400, 20)) {
        let name = if card == card_before { String::new() } else { format!(" {card}") };
        let megabytes = format!("{},{:03}", megabytes / 1000, megabytes % 1000);
        expected.push(format!("|{name} | {run} | {megabytes} | {step} | {thousand} |"));
        card_before = card;
    }
    assert_eq!(found, expected);
}
