//! Planted leaks are found, and questions without one are let pass.

use nextcart_data::{Part, Product, Purchase, title_key};
use nextcart_metrics::SplitMix64;

use super::*;
use crate::fixtures::{product, question};

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
    seeded(11, n, candidates, plant)
}

fn seeded(seed: u64, n: usize, candidates: usize, plant: impl Fn(&mut Question)) -> Vec<Question> {
    let mut random = SplitMix64::new(seed);
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
    check_leak(rule, &questions(600, 4, plant));
}

#[track_caller]
fn check_leak(rule: &str, questions: &[Question]) {
    let found = audit(questions).unwrap();
    assert_eq!((found.verdict, found.conclusive), (Verdict::Leaks, true), "{rule}");
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
    let with_ids = |step: usize| {
        move |q: &mut Question| {
            for (place, candidate) in q.candidates.iter_mut().enumerate() {
                candidate.item = format!("B{:03}", 100 + place * step % 7);
            }
            let answer = q.answer;
            q.candidates[answer].item = if step == 1 { "B000".into() } else { "B999".into() };
        }
    };
    check_planted("smallest_id", with_ids(1));
    check_planted("largest_id", with_ids(3));
    check_planted("most_like_others", |q| {
        let others = q.candidates.iter().enumerate().filter(|(place, _)| *place != q.answer);
        let words = others.map(|(_, other)| other.title.split(' ').next().unwrap());
        let title = words.collect::<Vec<_>>().join(" ");
        *answer(q) = title;
    });
    check_planted("least_like_others", |q| *answer(q) = "Zinc Garden Lamp".into());
}

#[test]
fn finds_that_distractors_were_chosen_for_being_like_the_answer() {
    // Titles of a ring: each shares a word with the one before and with the one after.
    let ring = |place: usize| format!("w{} w{}", place % 40, (place + 1) % 40);
    let around = |offsets: [usize; 3]| {
        let mut random = SplitMix64::new(12);
        questions(600, 3, |_| ())
            .into_iter()
            .map(|mut question| {
                let target = random.below(40);
                let others = offsets.into_iter().filter(|offset| *offset != 1);
                let mut titles: Vec<String> = others.map(|o| ring(target + 39 + o)).collect();
                titles.insert(question.answer, ring(target));
                for (candidate, title) in question.candidates.iter_mut().zip(titles) {
                    *candidate = product(&title);
                }
                question
            })
            .collect::<Vec<Question>>()
    };
    check_leak("most_like_others", &around([0, 1, 2]));
    check_leak("least_like_others", &around([1, 2, 3]));
}

#[test]
fn finds_a_place_that_is_preferred_and_a_word_that_gives_the_answer_away() {
    // Neither the first nor the last place, and not always.
    check_planted("most_common_place", |q| {
        if q.id.len() != 2 {
            let answer = std::mem::replace(&mut q.answer, 2);
            q.candidates.swap(2, answer);
        }
    });
    // A word in place of another, so that titles are as long as before and look alike.
    let planted = questions(1500, 4, |q| {
        for word in WORDS {
            let title = answer(q);
            if title.starts_with(word) {
                *title = title.replacen(word, "Fresh", 1);
            }
        }
    });
    check_leak("trained_classifier", &planted);
    // Not in all answers, and in some distractors, too.
    let planted = questions(3000, 4, |q| {
        let other = (q.answer + 1) % 4;
        let place = if q.id.ends_with(['0', '3', '5', '8']) { q.answer } else { other };
        let title = &mut q.candidates[place].title;
        if let Some((_, rest)) = title.split_once(' ') {
            *title = format!("Fresh {rest}");
        }
    });
    check_leak("trained_classifier", &planted);
}

/// Questions over a small catalogue in which some items are bought more often. Half of the customers train.
fn shop(seed: u64, n: usize, distractor: impl Fn(&mut SplitMix64) -> usize) -> Vec<Question> {
    let mut random = SplitMix64::new(seed);
    let titles: Vec<String> = (0..60).map(|_| title(&mut random)).collect();
    let item = |index: usize| {
        let mut product = product(&titles[index]);
        product.item = format!("i{index}");
        product
    };
    (0..n)
        .map(|id| {
            let bought: Vec<usize> = (0..3).map(|_| popular(&mut random)).collect();
            let target = popular(&mut random);
            let mut options = vec![target];
            while options.len() < 4 {
                let other = distractor(&mut random);
                if !options.contains(&other) {
                    options.push(other);
                }
            }
            let answer = random.below(4);
            options.swap(0, answer);
            let mut question = question(&id.to_string(), &[], &[], 0);
            let purchase =
                |&index: &usize| Purchase { product: item(index), time: None, rating: None };
            question.history = bought.iter().map(purchase).collect();
            question.candidates = options.into_iter().map(item).collect();
            question.answer = answer;
            question.part = if id % 2 == 0 { Part::Train } else { Part::Test };
            question
        })
        .collect()
}

/// Of sixty items, the last twenty are bought by nobody, and the first twenty by many.
fn popular(random: &mut SplitMix64) -> usize {
    if random.below(3) < 2 { random.below(20) } else { random.below(40) }
}

#[test]
fn finds_that_answers_are_bought_more_often_than_distractors() {
    let uniform = |random: &mut SplitMix64| random.below(40);
    let found = audit(&shop(3, 1600, uniform)).unwrap();
    assert_eq!(found.purchases, PurchaseSource::TrainingQuestions);
    let rule = found.rules.iter().find(|rule| rule.name == "most_frequent").unwrap();
    assert!(rule.leaks() && rule.n == 800, "{rule:?}");
    // The other way round: distractors are of the twenty items that most buy.
    check_leak("least_frequent", &shop(7, 1600, |random| random.below(20)));
    // Without a training part, the other customers' purchases tell it, too.
    let mut untrained = shop(3, 1600, uniform);
    untrained.iter_mut().for_each(|question| question.part = Part::Test);
    let found = audit(&untrained).unwrap();
    assert_eq!(found.purchases, PurchaseSource::OtherCustomers);
    assert!(found.leaking().any(|rule| rule.name == "most_frequent"));
}

#[test]
fn finds_that_answers_are_bought_late_though_as_often_as_distractors() {
    // Some items are bought first and others last, about equally often: without times, late is late in a history.
    let mut some = shop(8, 1600, |random| random.below(60));
    let mut random = SplitMix64::new(9);
    for question in &mut some {
        for purchase in &mut question.history {
            let item = random.below(84);
            purchase.product.item = format!("i{}", if item < 30 { item } else { item + 30 });
        }
        for (place, candidate) in question.candidates.iter_mut().enumerate() {
            let first = if place == question.answer { 30 } else { 0 };
            candidate.item = format!("i{}", first + place * 7 + random.below(7));
        }
    }
    check_leak("most_of_late", &some);
    some.iter_mut().for_each(|question| question.part = Part::Test);
    check_leak("most_of_late", &some);
    // With times, it is late in the shop: what is bought in the last histories.
    let history = |user: usize, item: usize, day: i64| History {
        user: user.to_string(),
        items: vec![format!("i{item}"); 2],
        times: vec![Some(day * 86_400); 2],
    };
    let histories: Vec<History> =
        (0..60).map(|item| history(item, item, if item < 30 { 1_000 } else { 0 })).collect();
    let options = AuditOptions { histories: Some(&histories), ..AuditOptions::default() };
    let found = audit_with(&some, &options).unwrap();
    assert!(found.leaking().any(|rule| rule.name == "least_of_late"), "{}", found.explain());
    assert!(found.rules.iter().any(|rule| rule.name == "most_frequent" && !rule.leaks()));
}

#[test]
fn finds_that_distractors_were_never_bought_or_answers_never() {
    check_leak("seen_before", &shop(4, 1600, |random| 30 + random.below(30)));
    let mut new = shop(5, 1600, |random| random.below(40));
    for question in new.iter_mut().filter(|question| question.part != Part::Train) {
        let answer = question.answer;
        question.candidates[answer].item = format!("new {}", question.id);
    }
    check_leak("never_seen", &new);
}

#[test]
fn distractors_as_popular_as_answers_give_nothing_away() {
    for seed in 20..23 {
        let found = audit(&shop(seed, 12_000, popular)).unwrap();
        assert_eq!(found.verdict, Verdict::Clean, "{seed}: {}", found.explain());
    }
}

#[test]
fn histories_that_are_given_are_counted() {
    let questions = shop(6, 1200, |random| random.below(40));
    let history = |user: usize, items: &[&str]| History {
        user: user.to_string(),
        items: items.iter().map(|item| (*item).to_owned()).collect(),
        times: vec![None; items.len()],
    };
    // They tell the opposite of what the questions hold: the popular items were bought by nobody.
    let rare: Vec<String> = (20..40).map(|index| format!("i{index}")).collect();
    let rare: Vec<&str> = rare.iter().map(String::as_str).collect();
    let histories = [history(0, &rare), history(1, &rare)];
    let options = AuditOptions { histories: Some(&histories), ..AuditOptions::default() };
    let found = audit_with(&questions, &options).unwrap();
    assert_eq!(found.purchases, PurchaseSource::Histories);
    assert!(found.leaking().any(|rule| rule.name == "never_seen"), "{}", found.explain());
    let only_training: Vec<Question> =
        questions.into_iter().filter(|question| question.part == Part::Train).collect();
    let found = audit(&only_training).unwrap();
    assert_eq!(found.purchases, PurchaseSource::Nothing);
    assert!(found.rules.iter().all(|rule| rule.name != "most_frequent"));
}

#[test]
fn what_else_is_odd_is_counted_and_said() {
    let mut some = shop(7, 400, popular);
    // Some answers are in the history by chance: one more is planted.
    let before = findings(&some).answer_in_history.count;
    let key = |product: &Product| title_key(&product.title);
    let is_new = |q: &Question| q.history.iter().all(|it| key(&it.product) != key(q.target()));
    let new = some.iter().position(is_new).unwrap();
    let repeated = some[new].target().clone();
    some[new].history[0].product = repeated;
    assert_eq!(findings(&some).answer_in_history, Count { count: before + 1, of: 400 });
    let answer = some[0].answer;
    some[0].candidates[(answer + 1) % 4].title = some[0].target().title.to_uppercase() + " ";
    // A held-out question equals one of the training part, and another one's customer bought its answer there.
    some[3] =
        Question { id: "copy".into(), part: Part::Test, user: "u3".into(), ..some[2].clone() };
    some[5].user = some[4].user.clone();
    let bought = some[5].target().clone();
    some[4].history[1].product = bought;
    let found = audit(&some).unwrap().findings;
    assert_eq!(found.places.iter().sum::<usize>(), 400);
    assert!(found.title_collisions.count >= 1 && found.title_collisions.of == 400);
    assert_eq!(found.seen_questions.of, 200);
    assert!(found.seen_questions.count >= 1 && found.duplicates.count >= 1, "{found:?}");
    assert!(found.seen_purchases.count >= 1, "{found:?}");
    let text = audit(&some).unwrap().explain();
    assert!(text.contains("have another option with the answer's title."), "{text}");
    assert!(text.contains("held-out questions equal one of the training part."), "{text}");
    assert_eq!(Count::default().share(), None);
}

/// Four questions of which nothing odd holds, two of them training's, changed by `plant`: collisions, answers and other
/// options in the history, held-out questions and purchases that training knows, and duplicates are `expected`.
#[track_caller]
fn check_findings(plant: impl Fn(&mut [Question]), expected: [usize; 6]) {
    let plain = |id: usize| {
        let part = if id < 2 { Part::Train } else { Part::Test };
        let titles = ["a", "b", "c"].map(|title| format!("{title}{id}"));
        let titles = titles.each_ref().map(String::as_str);
        Question { part, ..question(&id.to_string(), &[&format!("h{id}")], &titles, id % 3) }
    };
    let mut some: Vec<Question> = (0..4).map(plain).collect();
    plant(&mut some);
    let found = findings(&some);
    let counts = [
        found.title_collisions,
        found.answer_in_history,
        found.other_in_history,
        found.seen_questions,
        found.seen_purchases,
        found.duplicates,
    ];
    assert_eq!(counts.map(|count| count.count), expected, "{found:?}");
    assert_eq!(counts.map(|count| count.of), [4, 4, 4, 2, 2, 4]);
    // What does not hold is not said.
    let said = expected.iter().filter(|count| **count > 0).count();
    assert_eq!(found.sentences().len(), said, "{:?}", found.sentences());
}

#[test]
fn each_finding_is_counted_where_it_holds_and_only_there() {
    check_findings(|_| (), [0; 6]);
    check_findings(|some| some[0].candidates[1].title = " A0 ".into(), [1, 0, 0, 0, 0, 0]);
    check_findings(
        |some| some[1].history[0].product = some[1].candidates[1].clone(),
        [0, 1, 0, 0, 0, 0],
    );
    // Another item under the title of the answer, and of another option.
    let twin = |some: &mut [Question], asked: usize, place: usize| {
        let title = some[asked].candidates[place].title.to_uppercase();
        some[asked].history[0].product.title = format!(" {title}:");
    };
    check_findings(|some| twin(some, 2, 2), [0, 1, 0, 0, 0, 0]);
    check_findings(|some| twin(some, 2, 1), [0, 0, 1, 0, 0, 0]);
    // Of two other options in one history, the question counts once.
    check_findings(
        |some| {
            some[0].history.push(some[0].history[0].clone());
            for place in [0, 1] {
                some[0].history[place].product = some[0].candidates[1 + place].clone();
            }
            some[3].history[0].product = some[3].candidates[2].clone();
        },
        [0, 0, 2, 0, 0, 0],
    );
    let asked_again = |of: usize, by: usize| {
        move |some: &mut [Question]| {
            some[by].history = some[of].history.clone();
            some[by].candidates = some[of].candidates.clone();
            some[by].answer = some[of].answer;
        }
    };
    check_findings(asked_again(0, 3), [0, 0, 0, 1, 0, 1]);
    check_findings(asked_again(0, 1), [0, 0, 0, 0, 0, 1]);
    check_findings(asked_again(2, 3), [0, 0, 0, 0, 0, 1]);
    check_findings(
        |some| {
            some[2].user = some[0].user.clone();
            some[0].history[0].product = some[2].target().clone();
        },
        [0, 0, 0, 0, 1, 0],
    );
}

#[test]
fn clean_questions_are_clean_whatever_their_seed() {
    for seed in 100..104 {
        let found = audit(&seeded(seed, 12_000, 4, |_| ())).unwrap();
        assert_eq!(found.verdict, Verdict::Clean, "{seed}: {}", found.explain());
    }
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
    assert_eq!((found.verdict, found.conclusive), (Verdict::Inconclusive, false));
    let text = found.explain();
    assert!(text.starts_with("Too few questions to tell, but no leak shown: "), "{text}");
    let needed: usize =
        text.split_once("takes about ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!((1_000..12_000).contains(&needed), "{text}");
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
        assert_eq!((found.verdict, found.conclusive), (Verdict::Inconclusive, false));
        assert!(found.not_excluded > 0.9, "{}", found.not_excluded);
    }
}

#[test]
fn chance_is_the_mean_over_numbers_of_candidates() {
    let mut mixed = questions(300, 2, |_| ());
    mixed.extend(questions(300, 4, |_| ()));
    let found = audit(&mixed).unwrap();
    assert!((found.chance - 0.375).abs() < 1e-12);
    assert_ne!(found.verdict, Verdict::Leaks);
}

#[test]
fn options_that_are_all_alike_give_exactly_chance() {
    let by_place =
        |name| matches!(name, "first" | "last" | "most_common_place" | "trained_classifier");
    let same: Vec<Question> =
        (0..50).map(|i| question(&i.to_string(), &[], &["Tea"; 5], i % 5)).collect();
    let found = audit(&same).unwrap();
    for rule in found.rules.iter().filter(|rule| !by_place(rule.name)) {
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
    assert_eq!((&json["verdict"], &json["conclusive"]), (&"inconclusive".into(), &false.into()));
    assert_eq!(
        (&json["purchases"], &json["findings"]["duplicates"]["of"]),
        (&"other_customers".into(), &40.into())
    );
    for rule in json["rules"].as_array().unwrap() {
        assert!(rule["name"].is_string() && rule["n"] == 40 && rule["chance"] == 0.25, "{rule}");
        for bound in ["accuracy", "low", "high"] {
            assert!(rule[bound].is_number(), "{rule}");
        }
    }
}

#[test]
fn nothing_and_impossible_answers_are_refused() {
    assert!(matches!(audit(&[]), Err(Error::NoQuestions { .. })));
    let options = AuditOptions { folds: 1, ..AuditOptions::default() };
    let error = audit_with(&questions(9, 4, |_| ()), &options).unwrap_err();
    assert!(matches!(error, Error::Folds { found: 1 }), "{error}");
    let error = audit(&[question("q3", &[], &["a"], 1)]).unwrap_err();
    assert_eq!(error.to_string(), "question `q3`: answer 1 is no index of 1 candidates");
}

#[test]
fn rule_names_are_unique() {
    let found = audit(&shop(1, 100, popular)).unwrap();
    let names: std::collections::BTreeSet<&str> =
        found.rules.iter().map(|rule| rule.name).collect();
    assert_eq!((names.len(), found.rules.len()), (30, 30));
}

#[test]
fn the_classifier_looks_at_so_many_options_however_they_are_shared_among_questions() {
    for (n, candidates, expected) in [(100, 4, 50), (75, 4, 50), (10, 40, 5), (50, 4, 50)] {
        let some = questions(n, candidates, |_| ());
        let folds: Vec<usize> = (0..n).map(|index| index % 3).collect();
        let found = by_classifier(&some, &folds, 1, 200).unwrap().unwrap();
        assert_eq!(found.n, expected, "{n} of {candidates}");
    }
}

#[test]
fn a_question_without_a_choice_is_refused() {
    let mut some = questions(9, 4, |_| {});
    some.push(question("whole", &["Tea"], &["Oats"], 0));
    let error = audit(&some).unwrap_err();
    assert!(matches!(&error, Error::NoChoice { question } if question == "whole"), "{error}");
}
