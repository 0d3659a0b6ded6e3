//! Real files: what is known of them must come out.
//!
//! `NEXTCART_DATA` names the folder that holds `gift_cards`, `magazine` and `seed`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use nextcart_data::{
    Dataset, Error, PrepareOptions, Question, clean_text, prepare, read_seed_questions,
    source::{Metadata, Reason, Review},
};

use crate::common::{data_folder, distractors, histories, lines, names, rejects};

fn run(
    reviews: &Path,
    meta: &Path,
    options: &PrepareOptions,
) -> (tempfile::TempDir, Result<Dataset, Error>) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let outcome = prepare(&[reviews.to_owned()], &[meta.to_owned()], out, options)
        .and_then(|prepared| prepared.load());
    (folder, outcome)
}

#[test]
fn gift_cards_give_the_known_histories() {
    let Some(data) = data_folder() else { return };
    let reviews = data.join("gift_cards/Gift_Cards_5.json.gz");
    let meta = data.join("gift_cards/meta_Gift_Cards.json.gz");
    let texts = lines(&reviews);
    let rows: Vec<Review<'_>> = texts.iter().map(|line| Review::parse(line).unwrap()).collect();
    let users: HashSet<&str> = rows.iter().map(|review| &*review.user).collect();
    let items: HashSet<&str> = rows.iter().map(|review| &*review.item).collect();
    assert_eq!((rows.len(), users.len(), items.len()), (2972, 458, 148));
    let verified = rows.iter().filter(|review| review.verified == Some(true)).count();
    assert_eq!(format!("{:.1}", 100.0 * verified as f64 / rows.len() as f64), "95.5");

    let (folder, prepared) = run(&reviews, &meta, &PrepareOptions::default());
    let prepared = prepared.unwrap();
    let manifest = &prepared.manifest;
    assert_eq!((manifest.reviews.read, manifest.reviews.kept), (2972, 2972));
    assert_eq!(manifest.histories.dropped.unverified as usize, rows.len() - verified);
    assert_eq!(manifest.items.lines.read, 1547);
    let tally = &manifest.histories;
    assert_eq!((tally.users, tally.users_with_repeats), (422, 425));
    // 408 users reviewed two items in one day; the tie of one of them is between later reviews.
    assert_eq!((tally.users_with_ties, tally.users_with_one_time), (407, 143));

    // No question offers what the user reviewed, verified or not.
    let mut reviewed: HashMap<&str, HashSet<&str>> = HashMap::new();
    for review in &rows {
        reviewed.entry(&review.user).or_default().insert(&review.item);
    }
    assert!(prepared.questions.len() > 300);
    for question in &prepared.questions {
        let reviewed = &reviewed[question.user.as_str()];
        assert!(distractors(question).all(|item| !reviewed.contains(item)), "{}", question.id);
    }
    let histories = histories(&folder.path().join("out"));
    assert!(histories.values().all(|rows| rows.is_sorted_by_key(|row| row.time)));
    assert_neighbours_do_not_follow_the_catalogue(&histories);
}

/// Ties stand in an order that does not follow the ids, as they do in the file.
fn assert_neighbours_do_not_follow_the_catalogue(
    histories: &HashMap<String, Vec<crate::common::Row>>,
) {
    let tied: Vec<bool> = histories
        .values()
        .flat_map(|rows| rows.windows(2))
        .filter(|pair| pair[0].time == pair[1].time)
        .map(|pair| pair[0].item < pair[1].item)
        .collect();
    let rising = tied.iter().filter(|rising| **rising).count() as f64;
    // Five standard deviations of fair coins.
    let (half, deviation) = (tied.len() as f64 / 2.0, (tied.len() as f64).sqrt() / 2.0);
    assert!((rising - half).abs() < 5.0 * deviation, "{rising} of {} ties rise", tied.len());
}

#[test]
fn magazine_lines_are_rejected_with_their_reasons() {
    let Some(data) = data_folder() else { return };
    let reviews = data.join("magazine/Magazine_Subscriptions_5.json.gz");
    let meta = data.join("magazine/meta_Magazine_Subscriptions.json.gz");
    // Hardly a title is known and there is no history of titled items, so that the gift cards, which
    // have no duplicates, must come along.
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let both_reviews = [reviews.clone(), data.join("gift_cards/Gift_Cards_5.json.gz")];
    let both_meta = [meta, data.join("gift_cards/meta_Gift_Cards.json.gz")];
    let prepared = prepare(&both_reviews, &both_meta, &out, &PrepareOptions::default()).unwrap();
    let manifest = prepared.manifest;
    assert_eq!(manifest.reviews.read, 2375 + 2972);
    assert_eq!(manifest.reviews.reasons, BTreeMap::from([(Reason::Duplicate, 42)]));
    let items = &manifest.items.lines;
    assert_eq!((items.read, items.kept), (3385 + 1547, 2320 + 1547));
    assert_eq!(items.reasons, BTreeMap::from([(Reason::Duplicate, 3385 - 2320)]));
    assert!(manifest.histories.users >= 422);

    let rejects = rejects(&out);
    let of_reviews: Vec<_> = rejects
        .iter()
        .filter(|reject| reject["file"] == "Magazine_Subscriptions_5.json.gz")
        .collect();
    assert_eq!(of_reviews.len(), 42);
    let lines = lines(&reviews);
    for reject in of_reviews {
        assert_eq!(reject["reason"], "duplicate");
        let place = reject["line"].as_u64().unwrap() as usize - 1;
        assert!(lines[..place].contains(&lines[place]), "line {}", place + 1);
    }
}

#[test]
fn magazine_has_too_few_titles_for_histories_of_five() {
    let Some(data) = data_folder() else { return };
    let reviews = data.join("magazine/Magazine_Subscriptions_5.json.gz");
    let meta = data.join("magazine/meta_Magazine_Subscriptions.json.gz");
    let (folder, outcome) = run(&reviews, &meta, &PrepareOptions::default());
    let error = outcome.unwrap_err();
    let Error::TooFewUsers { needed, reviews, unverified, .. } = error else { panic!("{error}") };
    assert_eq!((needed, reviews), (5, 2375 - 42));
    assert!(unverified > 0);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn titles_in_html_are_recovered_where_there_is_one() {
    let Some(data) = data_folder() else { return };
    for file in
        ["magazine/meta_Magazine_Subscriptions.json.gz", "gift_cards/meta_Gift_Cards.json.gz"]
    {
        let (mut html, mut plain) = (0, 0);
        for line in lines(&data.join(file)) {
            let raw: serde_json::Value = serde_json::from_str(&line).unwrap();
            let raw = raw["title"].as_str().unwrap();
            let title = Metadata::parse(&line).unwrap().title;
            if raw.contains("<span") {
                html += 1;
                let inner = raw
                    .split_once("productTitle")
                    .and_then(|(_, tail)| tail.split_once('>'))
                    .map(|(_, tail)| clean_text(tail.split("</").next().unwrap()))
                    .filter(|inner| !inner.is_empty());
                assert_eq!(title, inner, "{raw}");
            } else if let Some(title) = &title {
                plain += 1;
                assert_eq!(title, &clean_text(raw));
                assert!(!title.contains(['<', '\n']) && !title.contains("&amp;"), "{title}");
            }
        }
        assert!(plain > 100, "{file}: {html} titles in HTML, {plain} plain ones");
    }
}

#[test]
fn the_seed_questions_have_their_known_faults() {
    let Some(data) = data_folder() else { return };
    let questions = read_seed_questions(data.join("seed/final_dataset.parquet")).unwrap();
    assert_eq!(questions.len(), 12_393);
    assert!(questions.iter().all(|question| question.candidates.len() == 4));
    assert!(questions.iter().all(|question| question.history.len() == 4));
    let share = |holds: fn(&Question) -> bool| {
        questions.iter().filter(|question| holds(question)).count() as f64 / 12_393.0
    };
    let blank = share(|question| question.target().title.is_empty());
    assert_eq!((blank * 12_393.0).round(), 40.0);
    let in_history = share(|question| {
        question.history.iter().any(|bought| bought.product.title == question.target().title)
    });
    assert_eq!(format!("{:.1}", 100.0 * in_history), "5.2");
    let repeats = share(|question| {
        let titles: HashSet<&str> =
            question.history.iter().map(|bought| bought.product.title.as_str()).collect();
        titles.len() < question.history.len()
    });
    assert_eq!((100.0 * repeats).round(), 27.0);
}
