//! Every built-in template on one question, beside the text that it gave when somebody last read it.
//!
//! `NEXTCART_BLESS=1 cargo test -p nextcart-prompt --test gallery` writes the texts anew: read the
//! difference before it is committed.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use nextcart_prompt::{Fields, Style, Template, Wrapper, catalogue};
use serde_json::{Value, json};

/// A question with everything that templates can tell, and gaps where real data have them.
fn question() -> Value {
    let purchase = |title: &str, brand: Option<&str>, category: &[&str], price: Option<f64>| {
        json!({
            "item": title, "title": title, "brand": brand, "category": category, "price": price,
            "time": 1_500_000_000, "rating": null, "description": "Of the finest.", "review": null,
            "bought_together": [], "bought_next": [], "also_viewed": [], "same_brand": [],
            "same_category": [],
        })
    };
    let mut tea = purchase("Green Tea, 100 Bags", Some("Lipton"), &["Grocery", "Tea"], Some(7.5));
    tea["rating"] = json!(5.0);
    tea["review"] = json!("Smells like spring. I drink it daily");
    tea["bought_together"] = json!(["Honey Dipper", "Tea Pot"]);
    tea["bought_next"] = json!(["Tea Strainer"]);
    tea["same_brand"] = json!(["Lipton Black Tea"]);
    let mut leash = purchase("Dog Leash, 2 m", Some("Flexi"), &["Pets"], Some(12.99));
    leash["rating"] = json!(1.0);
    leash["review"] = json!("Broke on day one!");
    leash["also_viewed"] = json!(["Dog Collar"]);
    leash["same_category"] = json!(["Dog Bowl", "Cat Toy"]);
    let mut strainer = purchase("Tea Strainer", None, &[], None);
    strainer["rating"] = json!(3.0);
    json!({
        "id": "q1", "user": "u1", "part": "test", "time": 1_500_000_000,
        "history": [tea, leash, strainer, purchase("Plain Mug", None, &["Kitchen"], Some(4.0))],
        "candidates": [
            purchase("Acacia Honey", None, &["Grocery"], None),
            purchase("Cat Toy", Some("Kong"), &["Pets"], Some(3.25)),
            purchase("Shoe Laces", None, &[], Some(2.0)),
        ],
        "answer": 0,
        "similar_users_bought": ["Acacia Honey", "Tea Pot"],
        "paths": [{ "from": "Green Tea, 100 Bags", "via": "Honey Dipper", "to": "Acacia Honey" }],
        "retrieved": ["Acacia Honey", "Cat Toy", "Shoe Laces"],
        "profile": {
            "purchases": 4, "brands": ["Lipton", "Flexi"], "categories": ["Tea", "Pets", "Kitchen"],
            "median_price": 7.5, "mean_rating": 3.0,
        },
    })
}

/// All prompts of a template, with the answers.
fn show(template: &Template) -> String {
    let wrapper = if template.name().starts_with("seed") { Wrapper::Seed } else { Wrapper::Plain };
    let mut text = String::new();
    for prompt in template.prompts(&Fields::new(&question())).unwrap() {
        writeln!(text, "{}«{}»\n", prompt.prefix(wrapper), prompt.output).unwrap();
    }
    text
}

#[track_caller]
fn check(name: &str, text: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gallery").join(format!("{name}.txt"));
    if std::env::var_os("NEXTCART_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    assert_eq!(text, expected, "{name} differs from {}", file.display());
}

#[test]
fn every_template_gives_the_text_that_was_read() {
    for builtin in catalogue() {
        check(builtin.name, &show(&Template::builtin(builtin.name).unwrap()));
    }
}

#[test]
fn styles_mark_options_and_answers() {
    for (name, style) in [("letters", Style::LETTERS), ("numbers", Style::NUMBERS)] {
        for template in ["next_purchase", "listwise"] {
            let styled = Template::builtin(template).unwrap().with_style(style).unwrap();
            check(&format!("{template}_in_{name}"), &show(&styled));
        }
    }
}

#[test]
fn every_template_says_where_it_comes_from_and_is_named_once() {
    let mut names: Vec<&str> = catalogue().iter().map(|builtin| builtin.name).collect();
    for builtin in catalogue() {
        let template = Template::builtin(builtin.name).unwrap();
        assert_eq!(template.about(), builtin.about());
        let sourced = ["https://", "this project", "seed project", "et al."];
        let sourced = sourced.iter().any(|words| builtin.about().contains(words));
        assert!(sourced && builtin.about().ends_with('.'), "{}", builtin.name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), catalogue().len());
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")).unwrap();
    assert_eq!(files.count(), catalogue().len(), "a file in templates/ that the catalogue lacks");
}
