//! Contexts: relations, snippets and profile, and none of what the question asks for.

use nextcart_data::{
    ContextOptions, Contexts, IngestOptions, Part, PrepareOptions, Prepared, Question,
    QuestionContext, RelationOptions, Resources, SplitMethod, prepare,
};
use serde_json::{Value, json};

use crate::common::{metadata, review, write};

/// Each user's items, one a day; the last two of each are validation and test.
const USERS: [(&str, &[&str]); 5] = [
    ("u0", &["a", "b", "e", "f"]),
    ("u1", &["a", "c", "e", "f"]),
    ("u2", &["c", "d", "e", "f"]),
    ("u3", &["b", "a", "c", "e", "f"]),
    ("u4", &["d", "f", "g", "e"]),
];

fn prepared(ingest: IngestOptions) -> (tempfile::TempDir, Prepared, Vec<Question>) {
    let folder = tempfile::tempdir().unwrap();
    let reviews: String = USERS
        .iter()
        .flat_map(|(user, items)| {
            let lines = items.iter().enumerate();
            lines.map(move |(day, item)| {
                let mut line: Value =
                    serde_json::from_str(&review(user, item, 16_000 + day as i64)).unwrap();
                line["summary"] = format!("{user} on {item}").into();
                line["reviewText"] = format!("{user} wrote of {item} at length").into();
                format!("{line}\n")
            })
        })
        .collect();
    let meta: String = ["a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .map(|item| {
            let line = json!({ "asin": item, "title": format!("Item {item}"), "brand": "X",
                "category": ["Food"], "price": "$2.50", "description": [format!("All of {item}.")],
                "also_buy": ["c"], "also_view": ["g", "b"] });
            format!("{line}\n")
        })
        .collect();
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let options = PrepareOptions {
        ingest,
        split: SplitMethod::LeaveOneOut,
        min_interactions: 3,
        min_history: 1,
        candidates: 3,
        keep_cold_targets: true,
        ..PrepareOptions::default()
    };
    let out = folder.path().join("out");
    prepare(&[reviews], &[meta], &out, &options).unwrap();
    let prepared = Prepared::open(&out).unwrap();
    let questions = prepared.load().unwrap().questions;
    (folder, prepared, questions)
}

fn question<'a>(questions: &'a [Question], user: &str, part: Part) -> &'a Question {
    questions.iter().find(|question| question.user == user && question.part == part).unwrap()
}

#[test]
fn a_context_is_the_question_with_more_fields() {
    let (_folder, prepared, questions) = prepared(IngestOptions::default());
    let options = ContextOptions::default();
    let contexts = Contexts::read(&prepared, &questions, &options, &Resources::default()).unwrap();
    for question in &questions {
        let plain = serde_json::to_value(question).unwrap();
        let told = serde_json::to_value(contexts.of(question)).unwrap();
        for (field, value) in plain.as_object().unwrap() {
            if field != "history" {
                assert_eq!(&told[field], value, "{field}");
            }
        }
        let histories = [&plain, &told].map(|value| value["history"].as_array().unwrap());
        for (purchase, told) in histories[0].iter().zip(histories[1]) {
            for (field, value) in purchase.as_object().unwrap() {
                assert_eq!(&told[field], value, "{field}");
            }
        }
        assert_eq!(told["profile"]["purchases"], question.history.len());
        assert_eq!(told["history"][0]["review"], Value::Null);
        assert_eq!(told["history"][0]["description"], "");
        assert_eq!(told["history"][0]["also_viewed"], json!([]));
    }
}

#[test]
fn relations_are_those_of_others_in_training() {
    let (_folder, prepared, questions) = prepared(IngestOptions::default());
    let options = ContextOptions { recent: 1, listed: 2, ..ContextOptions::default() };
    let contexts = Contexts::read(&prepared, &questions, &options, &Resources::default()).unwrap();
    let question = question(&questions, "u0", Part::Test);
    let context = contexts.of(question);
    let [.., last] = context.history.as_slice() else { panic!("a history") };
    assert_eq!(context.history[0].bought_together, [""; 0], "only the latest one tells");
    assert_eq!(last.purchase.product.item, "e");
    // What training holds of `e`: nothing, all bought it later.
    assert_eq!(last.bought_together, [""; 0]);
    assert!(!last.same_category.is_empty() && last.same_category.len() <= 2);

    let options = ContextOptions { recent: 9, ..options };
    let contexts = Contexts::read(&prepared, &questions, &options, &Resources::default()).unwrap();
    let context = contexts.of(question);
    // u1 has a and c in training, u3 has b and a and c; u0's own a and b do not count.
    assert_eq!(context.history[0].bought_together, ["Item c", "Item b"]);
    assert!(context.similar_users_bought.contains(&"Item c"));
}

#[test]
fn paths_lead_to_what_is_not_related_directly_and_the_retriever_ranks() {
    let (_folder, prepared, questions) = prepared(IngestOptions::default());
    let options = ContextOptions::default();
    let contexts = Contexts::read(&prepared, &questions, &options, &Resources::default()).unwrap();
    let catalogue = prepared.load().unwrap().catalogue;
    let mut question = question(&questions, "u0", Part::Test).clone();
    question.candidates = ["g", "d", "c"].map(|item| catalogue.get(item).unwrap().clone()).to_vec();
    let context = contexts.of(&question);
    // c goes with a and b, so it needs no path; d goes with c; nobody has g in training.
    let paths: Vec<[&str; 3]> =
        context.paths.iter().map(|path| [path.from, path.via, path.to]).collect();
    assert_eq!(paths, [["Item b", "Item c", "Item d"]]);
    assert_eq!(context.retrieved, ["Item c", "Item g", "Item d"]);

    // Where the whole catalogue is asked about, the one candidate is the answer.
    question.candidates.truncate(1);
    let context = contexts.of(&question);
    assert!(context.paths.is_empty() && context.retrieved.is_empty());
}

#[test]
fn snippets_are_of_the_purchases_shown_and_texts_come_on_request() {
    let keep = IngestOptions { description: true, ..IngestOptions::default() };
    let (_folder, prepared, questions) = prepared(keep);
    let options = ContextOptions {
        review: Some(60),
        descriptions: true,
        relations: RelationOptions { crawl: true, ..RelationOptions::default() },
        ..ContextOptions::default()
    };
    let contexts = Contexts::read(&prepared, &questions, &options, &Resources::default()).unwrap();
    let context = contexts.of(question(&questions, "u1", Part::Test));
    for purchase in &context.history {
        let item = &purchase.purchase.product.item;
        assert_eq!(purchase.review, Some(format!("u1 on {item}").as_str()));
        assert_eq!(purchase.description, format!("All of {item}."));
    }
    assert!(context.history.iter().any(|purchase| purchase.also_viewed == ["Item g", "Item b"]));
}

#[test]
fn the_text_of_a_review_comes_before_its_headline() {
    let (_folder, prepared, questions) =
        prepared(IngestOptions { text: true, ..IngestOptions::default() });
    let options = ContextOptions { review: Some(12), ..ContextOptions::default() };
    let contexts = Contexts::read(&prepared, &questions, &options, &Resources::default()).unwrap();
    let context = contexts.of(question(&questions, "u2", Part::Test));
    assert_eq!(context.history[0].review, Some("u2 wrote of …"));
}

#[test]
fn texts_that_were_not_kept_are_missed_by_name() {
    let (_folder, prepared, questions) =
        prepared(IngestOptions { summary: false, ..IngestOptions::default() });
    let read = |options: &ContextOptions| {
        Contexts::read(&prepared, &questions, options, &Resources::default())
            .unwrap_err()
            .to_string()
    };
    let error = read(&ContextOptions { review: Some(9), ..ContextOptions::default() });
    assert!(error.contains("reviews.parquet") && error.contains("`summary`"), "{error}");
    let error = read(&ContextOptions { descriptions: true, ..ContextOptions::default() });
    assert!(error.contains("items.parquet") && error.contains("`description`"), "{error}");
}

#[test]
fn reviews_that_nobody_wrote_are_missed_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |user: &str, items: &[&str]| -> String {
        let lines = items.iter().zip(16_000_u64..);
        lines.map(|(item, day)| format!("{item},{user},5.0,{}\n", day * 86_400)).collect()
    };
    let ratings: String = USERS.iter().map(|(user, items)| lines(user, items)).collect();
    let meta =
        ["a", "b", "c", "d", "e", "f", "g"].map(|item| metadata(item, &format!("Item {item}")));
    let reviews = write(folder.path(), "ratings.csv", format!("item,user,rating,time\n{ratings}"));
    let meta = write(folder.path(), "meta.json", meta.concat());
    let options = PrepareOptions {
        split: SplitMethod::LeaveOneOut,
        min_interactions: 3,
        min_history: 1,
        candidates: 3,
        keep_cold_targets: true,
        ..PrepareOptions::default()
    };
    let prepared = prepare(&[reviews], &[meta], folder.path().join("out"), &options).unwrap();
    let questions = prepared.load().unwrap().questions;
    let missed = Contexts::wanted(&prepared.folder, &questions, |told| told == "review");
    let error = missed.unwrap_err().to_string();
    let expected = "reviews.parquet`: expected text, kept with `--text`, found none in any row";
    assert!(error.starts_with("column `summary` in `") && error.contains(expected), "{error}");
    // What a folder kept is asked for, and no more.
    let kept = ContextOptions::kept_by(&prepared);
    assert_eq!(kept.review, None);
    assert!(Contexts::read(&prepared, &questions, &kept, &Resources::default()).is_ok());
    let (_folder, prepared, _) = self::prepared(IngestOptions::default());
    assert!(ContextOptions::kept_by(&prepared).review.is_some());
}

#[test]
fn what_is_told_is_known_by_name_and_read_only_where_it_is_wanted() {
    let (_folder, prepared, questions) = prepared(IngestOptions::default());
    let read =
        |field: &str| Contexts::wanted(&prepared.folder, &questions, |told| told == field).unwrap();
    let json = |contexts: &Contexts, question| serde_json::to_value(contexts.of(question)).unwrap();
    let question = question(&questions, "u0", Part::Test);
    let (all, none) = (read("profile"), read("title"));
    let (told, plain) = (json(&all, question), json(&none, question));
    let own = serde_json::to_value(question).unwrap();
    let added = |told: &Value, own: &Value| -> Vec<String> {
        let fields = told.as_object().unwrap().keys();
        fields.filter(|field| own.get(field).is_none()).cloned().collect()
    };
    let mut added = [added(&told, &own), added(&told["history"][0], &own["history"][0])].concat();
    added.sort_unstable();
    let mut named = QuestionContext::TOLD.map(str::to_owned);
    named.sort_unstable();
    assert_eq!(added, named);

    let together = |told: &Value| told["history"][0]["bought_together"].clone();
    assert_ne!(together(&told), json!([]));
    assert_eq!(together(&plain), json!([]));
    assert_eq!(plain["candidates"], own["candidates"]);
    // Nothing is read, nor need there be a folder.
    assert!(Contexts::wanted("nowhere", &questions, |_| false).is_ok());
    assert!(Contexts::wanted("nowhere", &questions, |_| true).is_err());
    // What was not kept is not told as nothing.
    let missed = Contexts::wanted(&prepared.folder, &questions, |told| told == "description");
    let error = missed.unwrap_err().to_string();
    assert!(error.contains("items.parquet") && error.contains("`description`"), "{error}");
}

#[test]
fn the_latest_purchases_are_kept() {
    let (_folder, _, questions) = prepared(IngestOptions::default());
    let question = question(&questions, "u0", Part::Test);
    let kept = |purchases| {
        let mut question = question.clone();
        question.keep_latest(purchases);
        question.history
    };
    assert_eq!((kept(None), kept(Some(99))), (question.history.clone(), question.history.clone()));
    assert_eq!(kept(Some(2)), question.history[question.history.len() - 2..]);
}
