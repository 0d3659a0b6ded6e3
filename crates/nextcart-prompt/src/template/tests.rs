use serde_json::{Value as Json, json};

use super::*;
use crate::{AnswerForm, Labels, Wrapper};

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
        let template = Template::builtin(builtin.name).unwrap();
        for prompt in template.prompts(&Fields::new(&told())).unwrap() {
            for wrapper in [Wrapper::Plain, Wrapper::Alpaca, Wrapper::Seed] {
                assert!(prompt.prefix(wrapper).ends_with(":\n"), "{} {wrapper:?}", builtin.name);
            }
            assert_eq!(prompt.output.trim(), prompt.output);
        }
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

/// The question with all that templates may expect beside it.
fn told() -> Json {
    let mut question = question();
    for item in question["history"].as_array_mut().unwrap() {
        item["description"] = "Of the finest.".into();
        item["review"] = "As always.".into();
        for list in ["bought_together", "bought_next", "also_viewed", "same_brand", "same_category"]
        {
            item[list] = json!(["Tea Pot"]);
        }
    }
    question["similar_users_bought"] = json!(["Tea Pot", "Acacia Honey"]);
    question["paths"] = json!([{ "from": "Green Tea", "via": "Tea Pot", "to": "Acacia Honey" }]);
    question["retrieved"] = json!(["Acacia Honey", "Dog Leash"]);
    question["profile"] = json!({
        "purchases": 2, "brands": ["Lipton"], "categories": ["Tea"], "median_price": 7.5,
        "mean_rating": 5.0,
    });
    question
}

#[test]
fn a_template_that_is_told_too_little_names_what_it_expects() {
    for (name, missing) in [
        ("reviews", "item.review"),
        ("item_relations", "item.bought_together"),
        ("same_kind", "item.same_brand"),
        ("crowd", "similar_users_bought"),
        ("paths", "paths"),
        ("profile", "profile"),
        ("retriever_hint", "retrieved"),
        ("seed_descriptions", "item.description"),
    ] {
        let error = Template::builtin(name).unwrap().render(&question()).unwrap_err();
        let Error::Undefined { template, variable, .. } = &error else { panic!("{error:?}") };
        assert_eq!((template.as_str(), variable.as_str()), (name, missing));
    }
}

/// No built-in leaves a gap where a title should be.
#[test]
fn a_purchase_without_a_title_is_an_error_of_every_template() {
    let mut untitled = told();
    untitled["history"][0].as_object_mut().unwrap().remove("title");
    for builtin in catalogue().iter().filter(|builtin| builtin.name != "history_free") {
        let template = Template::builtin(builtin.name).unwrap();
        let error = template.prompts(&Fields::new(&untitled)).unwrap_err();
        assert!(matches!(error, Error::Undefined { .. }), "{}: {error}", builtin.name);
    }
}

#[test]
fn a_template_with_answers_of_its_own_takes_no_style() {
    for builtin in catalogue() {
        let template = Template::builtin(builtin.name).unwrap();
        let own =
            builtin.name.starts_with("seed") || ["pointwise", "pairwise"].contains(&builtin.name);
        assert_eq!(template.takes_style(), !own, "{}", builtin.name);
        match template.with_style(Style::LETTERS) {
            Ok(template) => {
                let prompt = template.render(&told()).unwrap();
                assert!(prompt.input.contains("\nB) Acacia Honey"), "{}", builtin.name);
                assert!(prompt.output.starts_with('B'), "{}", builtin.name);
            }
            Err(error) => assert!(own && matches!(error, Error::FixedStyle { .. }), "{error}"),
        }
    }
}

#[test]
fn a_single_candidate_is_not_shown() {
    let mut lone = told();
    lone["candidates"].as_array_mut().unwrap().remove(0);
    lone["answer"] = 0.into();
    for builtin in catalogue() {
        let template = Template::builtin(builtin.name).unwrap();
        let free = ["seed_free", "seed_attributes", "seed_descriptions"].contains(&builtin.name);
        let prompts = template.prompts(&Fields::new(&lone));
        let decisions = template.decisions(&Fields::new(&lone));
        assert_eq!((prompts.is_ok(), decisions.is_ok()), (free, free), "{}", builtin.name);
    }
}

#[test]
fn what_is_excluded_is_out_of_sight() {
    let mut question = question();
    question["excluded"] = json!(["X"]);
    let template = Template::new("mine", "", "{{ excluded }}", "x").unwrap();
    assert!(matches!(template.render(&question), Err(Error::Undefined { .. })));
}

#[test]
fn answers_are_titles_letters_or_numbers() {
    let template = Template::builtin("next_purchase").unwrap();
    for (style, option, answer) in [
        (Style::default(), "\nDog Leash\nAcacia Honey", "Acacia Honey"),
        (Style::LETTERS, "\nA) Dog Leash\nB) Acacia Honey", "B"),
        (Style::NUMBERS, "\n1) Dog Leash\n2) Acacia Honey", "2"),
        (
            Style { labels: Labels::Letters, answer: AnswerForm::Title },
            "\nA) Dog Leash\nB) Acacia Honey",
            "Acacia Honey",
        ),
    ] {
        let template = template.clone().with_style(style).unwrap();
        assert_eq!(template.style(), style);
        let prompt = template.render(&question()).unwrap();
        assert!(prompt.input.ends_with(option), "{}", prompt.input);
        assert_eq!(prompt.output, answer);
        assert_eq!(template.outputs(&question()).unwrap()[1], answer);
    }
    let style = Style { labels: Labels::Numbers, answer: AnswerForm::Letter };
    let error = template.with_style(style).unwrap_err().to_string();
    assert_eq!(error, "an answer by letter: expected options marked by letters, found others");
}

#[test]
fn letters_end_with_the_alphabet() {
    let mut question = question();
    let candidate = question["candidates"][0].clone();
    question["candidates"] = vec![candidate; 26].into();
    let template = Template::builtin("next_purchase").unwrap().with_style(Style::LETTERS).unwrap();
    assert!(template.render(&question).unwrap().input.contains("\nZ) Dog Leash"));
    let candidate = question["candidates"][0].clone();
    question["candidates"].as_array_mut().unwrap().push(candidate);
    assert!(matches!(template.render(&question), Err(Error::Render { .. })));
}

#[test]
fn a_pointwise_template_asks_about_each_candidate() {
    let template = Template::builtin("pointwise").unwrap();
    assert_eq!(template.form(), Form::Candidate);
    let fields = Fields::new(&question());
    let prompts = template.prompts(&fields).unwrap();
    let answers: Vec<&str> = prompts.iter().map(|prompt| prompt.output.as_str()).collect();
    assert_eq!(answers, ["No", "Yes"]);
    assert!(prompts[0].input.ends_with("Product:\nDog Leash"), "{}", prompts[0].input);
    let decisions = template.decisions(&fields).unwrap();
    assert_eq!(decisions.len(), 2);
    for (index, decision) in decisions.iter().enumerate() {
        assert_eq!(decision.prompt, Prompt { output: String::new(), ..prompts[index].clone() });
        let choice = |output: &str, candidate| Choice { output: output.to_owned(), candidate };
        assert_eq!(decision.choices, [choice("Yes", Some(index)), choice("No", None)]);
    }
    let error = template.render(&question()).unwrap_err().to_string();
    assert!(error.contains("makes a prompt for each candidate"), "{error}");
}

#[test]
fn a_pairwise_template_asks_in_both_orders() {
    let template = Template::builtin("pairwise").unwrap();
    let mut question = question();
    let other = json!({ "title": "Cat Toy" });
    question["candidates"].as_array_mut().unwrap().push(other);
    let fields = Fields::new(&question);
    let prompts = template.prompts(&fields).unwrap();
    let shown: Vec<(&str, &str)> = prompts
        .iter()
        .map(|prompt| (prompt.input.split_once("Products:\n").unwrap().1, prompt.output.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("A) Acacia Honey\nB) Dog Leash", "A"),
            ("A) Dog Leash\nB) Acacia Honey", "B"),
            ("A) Acacia Honey\nB) Cat Toy", "A"),
            ("A) Cat Toy\nB) Acacia Honey", "B"),
        ]
    );
    let decisions = template.decisions(&fields).unwrap();
    let asked: Vec<[Option<usize>; 2]> =
        decisions.iter().map(|d| [d.choices[0].candidate, d.choices[1].candidate]).collect();
    let expected = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)];
    assert_eq!(asked, expected.map(|(first, second)| [Some(first), Some(second)]));
    assert!(decisions[4].prompt.input.ends_with("A) Cat Toy\nB) Dog Leash"));
}

#[test]
fn a_listwise_answer_ranks_the_bought_option_first() {
    let template = Template::builtin("listwise").unwrap();
    assert_eq!(template.render(&question()).unwrap().output, "Acacia Honey\nDog Leash");
    let lettered = template.with_style(Style::LETTERS).unwrap();
    assert_eq!(lettered.render(&question()).unwrap().output, "B\nA");
}

#[test]
fn decisions_do_not_see_the_answer() {
    let mut other = told();
    other["answer"] = 0.into();
    for builtin in catalogue() {
        let template = Template::builtin(builtin.name).unwrap();
        let decisions = template.decisions(&Fields::new(&told())).unwrap();
        assert_eq!(
            decisions,
            template.decisions(&Fields::new(&other)).unwrap(),
            "{}",
            builtin.name
        );
        let mut unanswered = told();
        unanswered.as_object_mut().unwrap().remove("answer");
        assert_eq!(decisions, template.decisions(&Fields::new(&unanswered)).unwrap());
    }
}

#[test]
fn a_question_without_a_right_answer_cannot_be_trained_on() {
    let template = Template::builtin("pointwise").unwrap();
    for (answer, found) in
        [(json!(2), "found 2"), (json!("B"), "found `B`"), (Json::Null, "found `None`")]
    {
        let mut question = question();
        question["answer"] = answer;
        let error = template.prompts(&Fields::new(&question)).unwrap_err().to_string();
        assert!(error.contains("one of 2 candidates") && error.ends_with(found), "{error}");
    }
}

#[test]
fn recent_fields_drop_the_oldest_purchases() {
    let template = Template::builtin("next_purchase").unwrap();
    let fields = Fields::new(&question());
    assert_eq!(fields.purchases(), 2);
    let recent = fields.recent(1);
    assert_eq!(recent.purchases(), 1);
    let prompt = template.render_fields(&recent).unwrap();
    assert!(!prompt.input.contains("Green Tea") && prompt.input.contains("Tea Strainer"));
    assert_eq!(prompt.output, "Acacia Honey");
    assert_eq!(
        template.render_fields(&fields.recent(9)).unwrap(),
        template.render(&question()).unwrap()
    );
    let blind = template.render_fields(&fields.recent(0)).unwrap();
    assert!(blind.input.starts_with("Options:"), "{}", blind.input);
}

#[test]
fn a_title_cannot_pass_for_a_heading() {
    let mut question = told();
    question["history"][1]["title"] = "Options:".into();
    question["candidates"][0]["title"] = "Answer:".into();
    for builtin in catalogue().iter().filter(|builtin| !builtin.name.starts_with("seed")) {
        let template = Template::builtin(builtin.name).unwrap();
        for prompt in template.prompts(&Fields::new(&question)).unwrap() {
            let headings = prompt.input.lines().filter(|line| *line == "Options:").count();
            assert_eq!(
                headings,
                usize::from(template.form() == Form::Question),
                "{}",
                builtin.name
            );
            assert!(!prompt.input.contains("Answer:"), "{}", builtin.name);
        }
    }
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
    for (input, variable) in [
        ("{{ titel | line }}", "titel"),
        ("{{ history[0].titel | line }}", "history[0].titel"),
        ("{{ history[0].prise | dollars }}", "history[0].prise"),
        ("{{ candidates | chosen(answr) }}", "answr"),
        ("{{ candidates | ranking(answr) }}", "answr"),
    ] {
        check_undefined(
            input,
            &format!("template `mine`, input, line 1: `{variable}` is undefined"),
        );
    }
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

#[test]
fn a_template_knows_which_fields_it_mentions() {
    let template = Template::builtin("item_relations").unwrap();
    assert!(template.mentions("bought_together") && template.mentions("history"));
    // Words as a whole, and of the parts alone: what the author says before them is no part.
    let template =
        Template::new("own", "", "{{ item.bought_next_day }} {{ profile }}", "x").unwrap();
    assert!(template.mentions("profile") && !template.mentions("bought_next"));
    let template = Template::new("own", "A review, and its profile:", "{# paths #}", "x").unwrap();
    assert!(["review", "profile", "paths"].iter().all(|word| !template.mentions(word)));
    assert!(!Template::builtin("next_purchase").unwrap().mentions("profile"));
}

#[test]
fn a_filter_may_stand_close() {
    for output in ["{{ candidates|chosen(answer) }}", "{{ answer |label }}"] {
        let template = Template::new("own", "", "{{ history | length }}", output).unwrap();
        assert!(template.takes_style(), "{output}");
    }
    let own =
        Template::new("own", "", "", "{{ candidates[answer].title | line }} | chosen").unwrap();
    assert!(!own.takes_style());
}
