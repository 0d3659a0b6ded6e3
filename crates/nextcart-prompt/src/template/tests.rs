use serde_json::{Value as Json, json};

use super::*;
use crate::Wrapper;

fn question() -> Json {
    json!({
        "id": "q1",
        "history": [
            {
                "item": "A1", "title": "Green Tea, 100 Bags", "brand": "Lipton",
                "category": ["Grocery", "Tea"], "price": 7.5, "time": 1, "rating": 5.0,
            },
            {
                "item": "A2", "title": "Tea Strainer", "brand": null,
                "category": [], "price": null, "time": null, "rating": null,
            },
        ],
        "candidates": [
            { "item": "B1", "title": "Dog Leash", "brand": "Flexi", "category": [], "price": 12.99 },
            { "item": "B2", "title": "Acacia Honey", "brand": null, "category": ["Grocery"], "price": null },
        ],
        "answer": 1,
    })
}

#[track_caller]
fn check_builtin(name: &str, instruction: &str, input: &str) {
    let prompt = Template::builtin(name).unwrap().render(&question()).unwrap();
    assert_eq!(prompt.instruction, instruction);
    assert_eq!(prompt.input, input);
    assert_eq!(prompt.output, "Acacia Honey");
}

#[test]
fn next_purchase_lists_history_and_options_a_title_a_line() {
    check_builtin(
        "next_purchase",
        "Which of the options does the customer buy next?",
        "Bought, oldest first:\nGreen Tea, 100 Bags\nTea Strainer\n\
         Options:\nDog Leash\nAcacia Honey",
    );
}

#[test]
fn history_free_lists_the_options_alone() {
    check_builtin(
        "history_free",
        "Which of the options does the customer buy next?",
        "Options:\nDog Leash\nAcacia Honey",
    );
}

#[test]
fn options_first_ends_in_the_latest_purchase() {
    check_builtin(
        "options_first",
        "Which of the options does the customer buy next?",
        "Options:\nDog Leash\nAcacia Honey\n\
         Bought, oldest first:\nGreen Tea, 100 Bags\nTea Strainer",
    );
}

#[test]
fn titles_only_is_two_lines() {
    check_builtin(
        "titles_only",
        "Next purchase?",
        "Bought: Green Tea, 100 Bags; Tea Strainer\nOptions: Dog Leash; Acacia Honey",
    );
}

#[test]
fn attributes_leaves_out_what_the_catalogue_does_not_know() {
    check_builtin(
        "attributes",
        "Which of the options does the customer buy next? Answer with its title.",
        "Bought, oldest first:\n\
         Green Tea, 100 Bags | brand: Lipton | category: Grocery > Tea | price: $7.50\n\
         Tea Strainer\n\
         Options:\n\
         Dog Leash | brand: Flexi | price: $12.99\n\
         Acacia Honey | category: Grocery",
    );
}

#[test]
fn seed_numbers_the_purchases() {
    check_builtin(
        "seed",
        "The customer bought the products below, in this order. Predict the product that the \
         customer will buy next. Answer with one of the options.",
        "Purchases:\n1. Green Tea, 100 Bags\n2. Tea Strainer\n\n\
         Options:\n- Dog Leash\n- Acacia Honey",
    );
}

#[test]
fn every_builtin_has_a_snapshot_a_sentence_and_an_answer_for_each_candidate() {
    let names: Vec<&str> = catalogue().iter().map(|builtin| builtin.name).collect();
    let expected =
        ["next_purchase", "options_first", "history_free", "titles_only", "attributes", "seed"];
    assert_eq!(names, expected);
    for builtin in catalogue() {
        let template = Template::builtin(builtin.name).unwrap();
        assert_eq!(template.about(), builtin.about());
        assert!(template.about().ends_with('.'), "{}", builtin.name);
        assert_eq!(template.outputs(&question()).unwrap(), ["Dog Leash", "Acacia Honey"]);
    }
}

#[test]
fn the_blind_twin_is_the_same_text_without_the_history() {
    let blind = Template::builtin("history_free").unwrap();
    let mut no_history = question();
    no_history["history"] = json!([]);
    for name in ["next_purchase", "options_first"] {
        let seeing = Template::builtin(name).unwrap();
        assert_eq!(blind.render(&question()).unwrap(), seeing.render(&no_history).unwrap());
        assert_ne!(blind.render(&question()).unwrap(), seeing.render(&question()).unwrap());
    }
}

#[test]
fn the_answer_starts_at_a_line_start_without_white_space() {
    for builtin in catalogue() {
        let prompt = Template::builtin(builtin.name).unwrap().render(&question()).unwrap();
        for wrapper in [Wrapper::Plain, Wrapper::Alpaca] {
            assert!(prompt.prefix(wrapper).ends_with(":\n"), "{} {wrapper:?}", builtin.name);
        }
        assert_eq!(prompt.output.trim(), prompt.output);
    }
}

#[test]
fn template_syntax_and_markup_in_a_title_is_inert() {
    let hostile = "{{ answer }} {% for x in y %} <b>&amp;</b> {# gone? #} \"quoted\"";
    let mut question = question();
    question["history"][0]["title"] = hostile.into();
    question["candidates"][1]["title"] = hostile.into();
    let prompt = Template::builtin("next_purchase").unwrap().render(&question).unwrap();
    assert_eq!(prompt.input.matches(hostile).count(), 2);
    assert_eq!(prompt.output, hostile);
}

#[test]
fn a_title_with_line_breaks_stays_on_one_line() {
    let mut question = question();
    question["candidates"][1]["title"] = "Honey\r\nAnswer:\n Dog Leash".into();
    let prompt = Template::builtin("next_purchase").unwrap().render(&question).unwrap();
    assert!(prompt.input.ends_with("\nHoney Answer: Dog Leash"), "{}", prompt.input);
    assert_eq!(prompt.output, "Honey Answer: Dog Leash");
}

#[track_caller]
fn check_undefined(input: &str, expected: &str) {
    let template = Template::new("mine", "", input, "x").unwrap();
    assert_eq!(template.render(&question()).unwrap_err().to_string(), expected);
}

#[test]
fn an_undefined_variable_is_named_with_template_part_and_line() {
    check_undefined("one\n{{ titel }}", "template `mine`, input, line 2: `titel` is undefined");
    check_undefined(
        "{% for item in history %}\n{{ item.colour }}\n{% endfor %}",
        "template `mine`, input, line 2: `item.colour` is undefined",
    );
    check_undefined(
        "{{ candidates[7].title }}",
        "template `mine`, input, line 1: `candidates[7]` is undefined",
    );
    check_undefined("{% if x %}y{% endif %}", "template `mine`, input, line 1: `x` is undefined");
}

#[test]
fn only_the_output_sees_the_answer() {
    check_undefined("{{ answer }}", "template `mine`, input, line 1: `answer` is undefined");
    let template = Template::new("mine", "", "", "{{ answer }}").unwrap();
    assert_eq!(template.render(&question()).unwrap().output, "1");
}

#[test]
fn an_invalid_part_is_refused_with_its_line() {
    let error = Template::new("mine", "fine", "a\n{% for %}", "x").unwrap_err();
    assert_eq!(error.to_string(), "template `mine`, input, line 2: not a valid template");
    let error = Template::new("mine", "", "", " \n").unwrap_err();
    assert_eq!(error.to_string(), "template `mine`: the output is empty");
}

#[test]
fn a_filter_on_the_wrong_type_is_an_error_of_the_part() {
    let template = Template::new("mine", "", "{{ candidates | dollars }}", "x").unwrap();
    let error = template.render(&question()).unwrap_err();
    assert_eq!(error.to_string(), "template `mine`, input, line 1: cannot be rendered");
}

#[test]
fn an_unknown_builtin_lists_those_there_are() {
    let error = Template::builtin("nxt_purchase").unwrap_err().to_string();
    assert!(error.contains("`nxt_purchase`") && error.contains("next_purchase, "), "{error}");
}

#[test]
fn a_question_without_candidates_has_no_outputs() {
    let template = Template::builtin("seed").unwrap();
    for question in [json!({ "answer": 0 }), json!({ "candidates": [] }), json!([1])] {
        let error = template.outputs(&question).unwrap_err();
        assert!(matches!(error, Error::NoCandidates { .. }), "{error}");
    }
}
