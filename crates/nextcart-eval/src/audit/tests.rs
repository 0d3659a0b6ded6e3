use nextcart_metrics::SplitMix64;

use super::*;
use crate::fixtures::question;

const WORDS: [&str; 12] = [
    "Green", "Tea", "Honey", "Dog", "Leash", "Paper", "Towel", "Soap", "Rice", "Olive", "Oil",
    "Snack",
];

/// A title of three words, sometimes with a size, as catalogues have them.
fn title(random: &mut SplitMix64) -> String {
    let mut word = || WORDS[random.below(WORDS.len())];
    let words = format!("{} {} {}", word(), word(), word());
    match random.below(3) {
        0 => format!("{words}, {} oz", 1 + random.below(40)),
        1 => format!("{words} (Pack of {})", 2 + random.below(6)),
        _ => words,
    }
}

/// Questions whose answer is written like the other options, then changed by `plant`.
fn questions(n: usize, candidates: usize, plant: impl Fn(&mut Question)) -> Vec<Question> {
    let mut random = SplitMix64::new(11);
    (0..n)
        .map(|id| {
            let titles: Vec<String> = (0..candidates).map(|_| title(&mut random)).collect();
            let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
            let answer = random.below(candidates);
            let mut question = question(&id.to_string(), &["Tea"], &titles, answer);
            plant(&mut question);
            question
        })
        .collect()
}

#[track_caller]
fn check_planted(rule: &str, plant: impl Fn(&mut Question)) {
    let found = audit(&questions(600, 4, plant)).unwrap();
    assert_eq!((found.verdict, found.conclusive), (Verdict::Leaks, true));
    let names: Vec<&str> = found.leaking().map(|rule| rule.name).collect();
    assert!(names.contains(&rule), "{rule} is not among {names:?}");
}

fn answer(question: &mut Question) -> &mut String {
    let answer = question.answer;
    &mut question.candidates[answer].title
}

#[test]
fn finds_planted_leaks_of_every_kind() {
    check_planted("punctuation_rule", |q| {
        answer(q).retain(|c| c.is_ascii_alphabetic() || c == ' ');
    });
    check_planted("most_digits_and_punctuation", |q| answer(q).push_str(" #1!"));
    check_planted("fewest_digits", |q| answer(q).retain(|c| !c.is_ascii_digit()));
    check_planted("most_digits", |q| answer(q).push_str(" 1234"));
    check_planted("fewest_punctuation", |q| answer(q).retain(|c| !c.is_ascii_punctuation()));
    check_planted("most_punctuation", |q| answer(q).push_str("!!!!"));
    check_planted("shortest", |q| answer(q).truncate(6));
    check_planted("longest", |q| answer(q).push_str(" for the whole family and its guests"));
    check_planted("fewest_words", |q| answer(q).retain(|c| c != ' '));
    check_planted("most_words", |q| answer(q).push_str(" a b c d"));
    check_planted("lower_case", |q| *answer(q) = answer(q).to_lowercase());
    check_planted("fewest_capitals", |q| *answer(q) = answer(q).to_lowercase());
    check_planted("most_capitals", |q| *answer(q) = answer(q).to_uppercase());
    check_planted("html_entity", |q| answer(q).push_str(" &amp; More"));
    check_planted("no_html_entity", |q| {
        let answer = q.answer;
        for (place, candidate) in q.candidates.iter_mut().enumerate() {
            if place != answer {
                candidate.title.push_str(" &amp; More");
            }
        }
    });
    check_planted("not_lower_case", |q| {
        let answer = q.answer;
        for (place, candidate) in q.candidates.iter_mut().enumerate() {
            if place != answer {
                candidate.title = candidate.title.to_lowercase();
            }
        }
    });
    check_planted("first", |q| {
        let answer = std::mem::take(&mut q.answer);
        q.candidates.swap(0, answer);
    });
    check_planted("last", |q| {
        let last = q.candidates.len() - 1;
        let answer = std::mem::replace(&mut q.answer, last);
        q.candidates.swap(last, answer);
    });
}

#[test]
fn a_leak_in_some_questions_is_found_in_many() {
    // Every sixth answer loses its digits: about 9 points above chance.
    let partial = |q: &mut Question| {
        if q.id.parse::<usize>().unwrap().is_multiple_of(6) {
            answer(q).retain(|c| c.is_ascii_alphabetic() || c == ' ');
        }
    };
    assert_eq!(audit(&questions(4000, 4, partial)).unwrap().verdict, Verdict::Leaks);
}

#[test]
fn a_leak_of_a_few_points_is_found_in_many_questions_and_a_tiny_one_let_pass() {
    // Of every `every` answers one loses its digits and marks.
    let partial = |every: usize| {
        let found = audit(&questions(12_000, 4, |q| {
            if q.id.parse::<usize>().unwrap().is_multiple_of(every) {
                answer(q).retain(|c| c.is_ascii_alphabetic() || c == ' ');
            }
        }));
        found.unwrap().verdict
    };
    assert_eq!((partial(8), partial(60)), (Verdict::Leaks, Verdict::Clean));
}

#[test]
fn enough_questions_without_a_leak_are_surely_clean() {
    let found = audit(&questions(12_000, 4, |_| ())).unwrap();
    assert_eq!((found.verdict, found.conclusive), (Verdict::Clean, true));
    assert_eq!((found.leaking().count(), found.chance), (0, 0.25));
    assert!(0.25 < found.not_excluded && found.not_excluded <= 0.28, "{}", found.not_excluded);
    let text = found.explain();
    let limit = format!("more than {:.1} points above", 100.0 * (found.not_excluded - 0.25));
    assert!(text.starts_with("No leak found: ") && text.contains(&limit), "{text}");
    assert!(text.contains("within the 3.0 that are allowed"), "{text}");
}

#[test]
fn too_few_questions_are_said_to_be_too_few() {
    let found = audit(&questions(400, 4, |_| ())).unwrap();
    assert_eq!((found.verdict, found.conclusive), (Verdict::Clean, false));
    let text = found.explain();
    assert!(text.starts_with("Too few questions to tell, but no leak shown: "), "{text}");
    let needed: usize =
        text.split_once("takes about ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!((2_000..12_000).contains(&needed), "{text}");
}

#[test]
fn a_few_hundred_fair_questions_are_hardly_ever_taken_for_a_leak() {
    let mut random = SplitMix64::new(5);
    let all = questions(30_000, 4, |_| ());
    let alarms = (0..100)
        .filter(|_| {
            let sample: Vec<Question> =
                (0..300).map(|_| all[random.below(all.len())].clone()).collect();
            audit(&sample).unwrap().verdict == Verdict::Leaks
        })
        .count();
    // Far fewer than one of twenty, since the rules depend on each other.
    assert!(alarms <= 5, "{alarms} of 100");
}

#[test]
fn few_questions_prove_nothing() {
    // All right by the rule, and yet so few questions may be so by luck.
    for (n, candidates) in [(3, 4), (2, 10)] {
        let found = audit(&questions(n, candidates, |q| answer(q).truncate(3))).unwrap();
        assert_eq!((found.verdict, found.conclusive), (Verdict::Clean, false));
        assert!(found.not_excluded > 0.9, "{}", found.not_excluded);
    }
}

#[test]
fn chance_is_the_mean_over_numbers_of_candidates() {
    let mut mixed = questions(300, 2, |_| ());
    mixed.extend(questions(300, 4, |_| ()));
    let found = audit(&mixed).unwrap();
    assert!((found.chance - 0.375).abs() < 1e-12);
    assert_eq!(found.verdict, Verdict::Clean);
}

#[test]
fn options_that_are_all_alike_give_exactly_chance() {
    let same: Vec<Question> =
        (0..50).map(|i| question(&i.to_string(), &[], &["Tea"; 5], i % 5)).collect();
    let found = audit(&same).unwrap();
    for rule in found.rules.iter().filter(|rule| !matches!(rule.name, "first" | "last")) {
        assert!((rule.accuracy - 0.2).abs() < 1e-12, "{}", rule.name);
    }
}

#[test]
fn the_leak_is_told_in_plain_words() {
    let text = audit(&questions(600, 4, |q| *answer(q) = "Tea".into())).unwrap().explain();
    assert!(text.starts_with("These questions leak: a rule that never looks at the history"));
    assert!(text.contains("100.0 % of 600 questions"), "{text}");
    assert!(text.contains("chance is 25.0 %"), "{text}");
}

#[test]
fn the_json_has_the_agreed_form() {
    let json = serde_json::to_value(audit(&questions(40, 4, |_| ())).unwrap()).unwrap();
    assert_eq!((&json["verdict"], &json["conclusive"]), (&"clean".into(), &false.into()));
    for rule in json["rules"].as_array().unwrap() {
        assert!(rule["name"].is_string() && rule["n"] == 40, "{rule}");
        for bound in ["accuracy", "low", "high"] {
            assert!(rule[bound].is_number(), "{rule}");
        }
    }
}

#[test]
fn nothing_and_impossible_answers_are_refused() {
    assert!(matches!(audit(&[]), Err(Error::NoQuestions { .. })));
    let error = audit(&[question("q3", &[], &["a"], 1)]).unwrap_err();
    assert_eq!(error.to_string(), "question `q3`: answer 1 is no index of 1 candidates");
}

#[test]
fn rule_names_are_unique() {
    let names: std::collections::BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
}

#[test]
fn a_question_without_a_choice_is_refused() {
    let mut some = questions(9, 4, |_| {});
    some.push(question("whole", &["Tea"], &["Oats"], 0));
    let error = audit(&some).unwrap_err();
    assert!(matches!(&error, Error::NoChoice { question } if question == "whole"), "{error}");
}
