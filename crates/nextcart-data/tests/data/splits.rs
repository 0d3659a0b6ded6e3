//! Filters, splits and candidates: what each option promises, on files made for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use nextcart_data::{
    Dataset, Distractors, Error, FullCatalogue, Part, PrepareOptions, Product, Repeats, Resources,
    SplitMethod, prepare, prepare_until,
    synthetic::{Bulk, Corpus, SyntheticConfig},
    title_key,
};
use std::sync::atomic::AtomicBool;

use crate::common::{
    distractors, histories, metadata, prepare_lines, review, small_corpus, unverified, write,
};

fn generated(options: &PrepareOptions) -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { users: 400, ..SyntheticConfig::tiny() };
    let files = Corpus::generate(&config).unwrap().write(folder.path()).unwrap();
    let out = folder.path().join("out");
    let prepared = prepare(&[files.reviews], &[files.meta], &out, options).unwrap();
    let dataset = prepared.load().unwrap();
    (folder, dataset)
}

#[test]
fn leave_one_out_asks_for_the_last_two_of_every_user() {
    let options = PrepareOptions { split: SplitMethod::LeaveOneOut, ..PrepareOptions::default() };
    let (folder, dataset) = generated(&options);
    let histories = histories(&folder.path().join("out"));
    for rows in histories.values() {
        let parts: Vec<&str> = rows.iter().rev().map(|row| row.part.as_str()).collect();
        assert_eq!(parts[..2], ["test", "validation"]);
        assert!(parts[2..].iter().all(|part| *part == "train"));
    }
    let split = &dataset.manifest.split;
    assert_eq!((split.validation, split.test), (histories.len() as u64, histories.len() as u64));
    for question in dataset.questions.iter().filter(|question| question.part == Part::Test) {
        let last = histories[&question.user].last().unwrap();
        assert_eq!(question.target().item, last.item);
    }
    assert!(dataset.manifest.questions.test > 300);
}

#[test]
fn disjoint_users_share_no_purchase_with_training() {
    let options = PrepareOptions { split: SplitMethod::UserDisjoint, ..PrepareOptions::default() };
    let (folder, dataset) = generated(&options);
    let training: HashSet<&str> =
        dataset.histories.iter().map(|history| history.user.as_str()).collect();
    let histories = histories(&folder.path().join("out"));
    for (user, rows) in &histories {
        let parts: BTreeSet<&str> = rows.iter().map(|row| row.part.as_str()).collect();
        assert_eq!(parts.len(), 1, "{user}: {parts:?}");
        assert_eq!(training.contains(user.as_str()), parts.contains("train"));
    }
    let mut asked: BTreeMap<(&str, Part), u32> = BTreeMap::new();
    for question in &dataset.questions {
        assert_eq!(question.part == Part::Train, training.contains(question.user.as_str()));
        *asked.entry((&question.user, question.part)).or_default() += 1;
    }
    assert!(asked.iter().all(|((_, part), questions)| *part == Part::Train || *questions == 1));
    assert!(dataset.manifest.questions.test > 15 && dataset.manifest.questions.validation > 15);
}

/// The k-core by dropping one user or item at a time.
fn core_of(purchases: &[(String, String)], k: usize) -> BTreeSet<(String, String)> {
    let mut left: BTreeSet<(String, String)> = purchases.iter().cloned().collect();
    loop {
        let count = |of: fn(&(String, String)) -> &String| {
            let mut counts: HashMap<String, usize> = HashMap::new();
            left.iter().for_each(|pair| *counts.entry(of(pair).clone()).or_default() += 1);
            counts.into_iter().find(|(_, count)| *count < k).map(|(name, _)| name)
        };
        if let Some(user) = count(|pair| &pair.0) {
            left.retain(|pair| pair.0 != user);
        } else if let Some(item) = count(|pair| &pair.1) {
            left.retain(|pair| pair.1 != item);
        } else {
            return left;
        }
    }
}

#[test]
fn the_core_is_that_of_training_and_rules_the_other_parts() {
    let options = PrepareOptions { min_interactions: 3, ..PrepareOptions::default() };
    let (plain, _) = generated(&options);
    let training = |folder: &tempfile::TempDir| -> Vec<(String, String)> {
        let histories = histories(&folder.path().join("out"));
        let rows =
            histories.iter().flat_map(|(user, rows)| rows.iter().map(move |row| (user, row)));
        let train = rows.filter(|(_, row)| row.part == "train");
        train.map(|(user, row)| (user.clone(), row.item.clone())).collect()
    };
    let all = training(&plain);
    for k in [3, 5] {
        let (folder, dataset) = generated(&PrepareOptions { k_core: Some(k), ..options.clone() });
        let expected = core_of(&all, k);
        assert!(!expected.is_empty() && expected.len() < all.len(), "{k}: {}", expected.len());
        let found: BTreeSet<(String, String)> = training(&folder).into_iter().collect();
        assert_eq!(found, expected, "{k}");
        let users: HashSet<&String> = expected.iter().map(|(user, _)| user).collect();
        let items: HashSet<&String> = expected.iter().map(|(_, item)| item).collect();
        for (user, rows) in histories(&folder.path().join("out")) {
            assert!(users.contains(&user));
            assert!(rows.iter().all(|row| items.contains(&row.item)));
        }
        let tally = &dataset.manifest.histories;
        assert!(tally.dropped.outside_core > 0);
        assert_eq!(dataset.manifest.reviews.rows, tally.interactions + tally.dropped.total());
    }
}

#[test]
fn a_core_that_leaves_nobody_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let options = PrepareOptions { k_core: Some(50), ..PrepareOptions::default() };
    let out = folder.path().join("out");
    let error = prepare(&[reviews], &[meta], &out, &options).unwrap_err();
    assert!(matches!(error, Error::EmptyCore { k: 50, users: 40, purchases: 240 }), "{error}");
    assert!(!out.exists());
}

#[test]
fn low_ratings_are_no_purchases_and_no_distractors() {
    let (reviews, meta) = small_corpus(40, 6);
    let low = review("u00", "i39", 16_100).replace("5.0", "2.0");
    let options = PrepareOptions { min_rating: Some(4.0), ..PrepareOptions::default() };
    let (_folder, dataset) = prepare_lines(&(reviews + &low), &meta, &options);
    assert_eq!(dataset.manifest.histories.dropped.low_rating, 1);
    assert_eq!(dataset.manifest.histories.interactions, 240);
    for question in dataset.questions.iter().filter(|question| question.user == "u00") {
        assert!(distractors(question).all(|item| item != "i39"));
    }
}

#[test]
fn repeats_stay_if_they_are_asked_for() {
    let (reviews, meta) = small_corpus(40, 6);
    let again: String = (0..40)
        .map(|user| review(&format!("u{user:02}"), &format!("i{:02}", user * 7 % 40), 16_200))
        .collect();
    let reviews = reviews + &again;
    let (_folder, first) = prepare_lines(&reviews, &meta, &PrepareOptions::default());
    assert_eq!(first.manifest.histories.interactions, 240);
    assert_eq!(first.manifest.histories.dropped.repeat, 40);
    let options = PrepareOptions { repeats: Repeats::Keep, ..PrepareOptions::default() };
    let (_folder, kept) = prepare_lines(&reviews, &meta, &options);
    assert_eq!(kept.manifest.histories.interactions, 280);
    assert_eq!(kept.manifest.histories.dropped.total(), 0);
    let answered_before = kept.questions.iter().any(|question| {
        let target = &question.target().item;
        question.history.iter().any(|purchase| purchase.product.item == *target)
    });
    assert!(answered_before, "the last purchase of all users is a repeat");
    // What was bought before is no mark of the answer; what is bought later is no distractor.
    let mut offered_before = 0;
    for question in &kept.questions {
        let history = kept.questions.iter().filter(|it| it.user == question.user);
        let later = history.filter(|it| it.time > question.time).map(|it| &it.target().item);
        let later: HashSet<&String> = later.collect();
        assert!(distractors(question).all(|item| !later.contains(&item.to_owned())));
        let had: HashSet<&str> =
            question.history.iter().map(|purchase| purchase.product.item.as_str()).collect();
        let before = distractors(question).filter(|item| had.contains(*item)).count();
        assert!(before == 0 || had.contains(question.target().item.as_str()), "{}", question.id);
        offered_before += before;
    }
    assert!(offered_before > 0);
    assert!(first.questions.iter().all(|question| {
        distractors(question).all(|item| !question.history.iter().any(|it| it.product.item == item))
    }));
}

#[test]
fn an_answer_whose_title_was_bought_before_stands_against_others_bought_before() {
    let (reviews, meta) = small_corpus(40, 6);
    // Last, all users buy the first thing again, sold as another item under the same title.
    let again: String = (0..40)
        .map(|user| review(&format!("u{user:02}"), &format!("t{:02}", user * 7 % 40), 16_200))
        .collect();
    let twins: String =
        (0..40).map(|item| metadata(&format!("t{item:02}"), &format!("ITEM {item}:"))).collect();
    let options = PrepareOptions {
        repeats: Repeats::Keep,
        split: SplitMethod::LeaveOneOut,
        keep_cold_targets: true,
        ..PrepareOptions::default()
    };
    let (_folder, dataset) = prepare_lines(&(reviews + &again), &(meta + &twins), &options);
    let mut offered_before = 0;
    for question in dataset.questions.iter().filter(|question| question.part == Part::Test) {
        assert!(question.target().item.starts_with('t'), "{}", question.id);
        let had: HashSet<&str> =
            question.history.iter().map(|purchase| purchase.product.item.as_str()).collect();
        assert!(!had.contains(question.target().item.as_str()));
        offered_before += distractors(question).filter(|item| had.contains(*item)).count();
    }
    assert_eq!(dataset.manifest.questions.test, 40);
    assert!(offered_before > 0, "to pick what was bought before is always right");
}

#[test]
fn every_kind_of_distractor_keeps_to_the_rules() {
    for kind in [
        Distractors::Uniform,
        Distractors::Category,
        Distractors::Brand,
        Distractors::Nearest,
        Distractors::Retrieved,
    ] {
        for candidates in [2, 10] {
            let options =
                PrepareOptions { distractors: kind, candidates, ..PrepareOptions::default() };
            let (folder, dataset) = generated(&options);
            let histories = histories(&folder.path().join("out"));
            let seen: HashSet<&String> =
                dataset.histories.iter().flat_map(|history| &history.items).collect();
            for question in &dataset.questions {
                assert_eq!(question.candidates.len(), candidates, "{kind:?}");
                let titles: HashSet<String> = question
                    .candidates
                    .iter()
                    .map(|product| product.title.to_lowercase())
                    .collect();
                assert_eq!(titles.len(), candidates, "{kind:?}: {}", question.id);
                let bought: HashSet<&str> =
                    histories[&question.user].iter().map(|row| row.item.as_str()).collect();
                for item in distractors(question) {
                    assert!(!bought.contains(item), "{kind:?}: {}", question.id);
                    assert!(seen.contains(&item.to_owned()), "{kind:?}: {}", question.id);
                }
            }
            // The answer may stand anywhere: 0.1 % of fair draws lie beyond 4.3 deviations.
            let count = dataset.questions.len() as f64;
            let mean = dataset.questions.iter().map(|q| q.answer as f64).sum::<f64>() / count;
            let (expected, spread) = (
                (candidates - 1) as f64 / 2.0,
                ((candidates * candidates - 1) as f64 / 12.0).sqrt(),
            );
            let deviations = (mean - expected).abs() / (spread / count.sqrt());
            assert!(deviations < 4.3, "{kind:?}, {candidates}: {deviations}");
        }
    }
}

#[test]
fn distractors_of_a_category_and_near_ones_are_nearer_than_uniform_ones() {
    let share = |kind: Distractors| {
        let options = PrepareOptions { distractors: kind, ..PrepareOptions::default() };
        let (_folder, dataset) = generated(&options);
        let mut same = [0.0, 0.0];
        for question in &dataset.questions {
            let category = &question.target().category;
            for candidate in question.candidates.iter().filter(|p| p.item != question.target().item)
            {
                same[usize::from(candidate.category == *category)] += 1.0;
            }
        }
        same[1] / (same[0] + same[1])
    };
    let uniform = share(Distractors::Uniform);
    assert!(share(Distractors::Category) > 0.9, "{uniform}");
    assert!(share(Distractors::Nearest) > uniform);
}

#[test]
fn the_whole_catalogue_stands_against_the_target() {
    let options =
        PrepareOptions { distractors: Distractors::Catalogue, ..PrepareOptions::default() };
    let (folder, dataset) = generated(&options);
    let out = folder.path().join("out");
    let catalogue = FullCatalogue::read(&out).unwrap();
    let histories = histories(&out);
    assert!(dataset.manifest.questions.test > 50);
    for question in dataset.questions.iter().take(200) {
        assert_eq!(question.candidates.len(), 1);
        let whole = catalogue.expand(question);
        assert_eq!(whole.target(), question.target());
        let bought: HashSet<&str> =
            histories[&question.user].iter().map(|row| row.item.as_str()).collect();
        let target = &question.target().item;
        assert!(whole.candidates.iter().all(|p| p.item == *target || !bought.contains(&*p.item)));
        let offered: HashSet<&str> = whole.candidates.iter().map(|p| &*p.item).collect();
        assert_eq!(offered.len(), whole.candidates.len());
        let titles: HashSet<String> =
            whole.candidates.iter().map(|product| product.title.to_lowercase()).collect();
        assert_eq!(titles.len(), whole.candidates.len());
        for product in catalogue.products().iter().filter(|product| product.item != *target) {
            let excluded = bought.contains(&*product.item)
                // A user's unverified items are left out as well.
                || question.excluded.contains(&product.item);
            assert_eq!(offered.contains(&*product.item), !excluded);
        }
    }
}

#[test]
fn little_memory_and_many_threads_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let files = Bulk::new(150_000).write(folder.path()).unwrap();
    // So many items that nobody bought that the small limit does not hold them in a join.
    let unsold: String = (0..280_000)
        .map(|item| format!("{{\"asin\": \"X{item}\", \"title\": \"Unsold {item}\"}}\n"))
        .collect();
    let unsold = write(folder.path(), "meta_unsold.json", unsold);
    let (reviews, meta) = ([files.reviews], [files.meta, unsold]);
    let options = PrepareOptions { k_core: Some(3), ..PrepareOptions::default() };
    let run = |memory_bytes: usize, threads: usize| {
        let out = folder.path().join(format!("out-{memory_bytes}-{threads}"));
        let (limits, stop) = (Resources { memory_bytes, threads }, AtomicBool::new(false));
        prepare_until(&reviews, &meta, &out, &options, &limits, &stop).unwrap();
        let mut files: Vec<_> =
            std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    let plenty = run(512 << 20, 1);
    assert!(plenty == run(512 << 20, 4), "threads change the bytes");
    assert!(plenty == run(64 << 20, 2), "memory changes the bytes");
}

#[test]
fn titles_that_collide_never_stand_in_one_question() {
    let (reviews, _) = small_corpus(40, 6);
    // Forty items, six titles; the case differs, or what prompts do not show.
    let meta: String = (0..40)
        .map(|item| {
            let title = format!("Tea number {}", item % 6);
            let title = match item {
                0..15 => title,
                15..30 => title.to_uppercase(),
                _ => format!("{}:", title.replace(' ', "  ")),
            };
            metadata(&format!("i{item:02}"), &title)
        })
        .collect();
    let reviews = reviews + &unverified("u00", "i39", 16_000);
    let options =
        PrepareOptions { candidates: 2, min_history: 1, bucket: 8, ..PrepareOptions::default() };
    let (_folder, dataset) = prepare_lines(&reviews, &meta, &options);
    assert!(!dataset.questions.is_empty());
    for question in &dataset.questions {
        let titles: HashSet<String> =
            question.candidates.iter().map(|product| title_key(&product.title)).collect();
        assert_eq!(titles.len(), 2);
        let target = title_key(&question.target().title);
        let bought = question.history.iter().map(|bought| title_key(&bought.product.title));
        assert!(bought.into_iter().all(|title| title != target));
    }
    assert!(dataset.manifest.questions.repeated_title > 0);
}

#[test]
fn the_whole_catalogue_offers_no_title_twice_and_none_that_the_user_has() {
    let (reviews, _) = small_corpus(40, 6);
    // Forty items, twenty titles; the case differs.
    let meta: String = (0..40)
        .map(|item| {
            let title = format!("Tea number {}", item % 20);
            let title = if item < 20 { title } else { title.to_uppercase() };
            metadata(&format!("i{item:02}"), &title)
        })
        .collect();
    let options =
        PrepareOptions { distractors: Distractors::Catalogue, ..PrepareOptions::default() };
    let (folder, dataset) = prepare_lines(&reviews, &meta, &options);
    let out = folder.path().join("out");
    let catalogue = FullCatalogue::read(&out).unwrap();
    let histories = histories(&out);
    for question in &dataset.questions {
        let whole = catalogue.expand(question);
        let of = |item: &str| dataset.catalogue.get(item).unwrap().title.to_lowercase();
        let target = &question.target().item;
        let owned: HashSet<String> =
            histories[&question.user].iter().map(|row| of(&row.item)).collect();
        let titles: HashSet<String> =
            whole.candidates.iter().map(|product| product.title.to_lowercase()).collect();
        assert_eq!(titles.len(), whole.candidates.len(), "{}", question.id);
        let others = whole.candidates.iter().filter(|product| product.item != *target);
        assert!(others.clone().count() > 5);
        for product in others {
            assert!(!owned.contains(&product.title.to_lowercase()), "{}", question.id);
        }
    }

    let titles = |products: &[Product]| -> Vec<String> {
        products.iter().map(|product| product.title.to_lowercase()).collect()
    };
    let all = titles(&catalogue.without(&[]));
    let distinct: HashSet<&String> = all.iter().collect();
    assert!(distinct.len() == all.len() && all.len() < catalogue.products().len());
    let bought = &catalogue.products()[..3];
    let left = titles(&catalogue.without(bought));
    let gone: HashSet<String> = titles(bought).into_iter().collect();
    assert_eq!(left.len(), all.len() - gone.len());
    assert!(left.iter().all(|title| !gone.contains(title)));
}

#[test]
fn what_a_core_drops_is_still_what_the_user_has() {
    let options = PrepareOptions { min_interactions: 3, ..PrepareOptions::default() };
    let (plain, _) = generated(&options);
    let all = histories(&plain.path().join("out"));
    let (_folder, dataset) = generated(&PrepareOptions { k_core: Some(5), ..options });
    assert!(dataset.manifest.histories.dropped.outside_core > 0);
    for question in &dataset.questions {
        let bought: HashSet<&str> =
            all[&question.user].iter().map(|row| row.item.as_str()).collect();
        let titles: HashSet<String> = bought
            .iter()
            .filter_map(|item| dataset.catalogue.get(item))
            .map(|product| product.title.to_lowercase())
            .collect();
        for product in question.candidates.iter().filter(|p| p.item != question.target().item) {
            assert!(!titles.contains(&product.title.to_lowercase()), "{}", question.id);
        }
    }
}

#[test]
fn a_core_counts_buyers_and_not_their_repeats() {
    let (reviews, meta) = small_corpus(40, 6);
    // One user buys an item five times, which nobody else does.
    let again: String = (0..5).map(|day| review("u00", "lonely", 15_000 + day)).collect();
    let meta = meta + &metadata("lonely", "Lonely tea");
    let options = PrepareOptions {
        repeats: Repeats::Keep,
        split: SplitMethod::LeaveOneOut,
        k_core: Some(2),
        min_history: 1,
        ..PrepareOptions::default()
    };
    let (folder, dataset) = prepare_lines(&(reviews + &again), &meta, &options);
    assert!(dataset.manifest.histories.dropped.outside_core >= 5);
    let histories = histories(&folder.path().join("out"));
    assert!(histories.values().flatten().all(|row| row.item != "lonely"));
}

#[test]
fn what_a_kind_lacks_is_drawn_by_popularity_and_counted() {
    let filled = |kind: Distractors| {
        let (reviews, meta) = small_corpus(40, 6);
        let meta = meta.replace("\"category\":[\"Grocery\"]", "\"category\":[]");
        let options = PrepareOptions { distractors: kind, ..PrepareOptions::default() };
        let (folder, dataset) = prepare_lines(&reviews, &meta, &options);
        let questions = &dataset.manifest.questions;
        let described = nextcart_data::describe(folder.path().join("out")).unwrap().to_string();
        let said = dataset.manifest.drawn_otherwise();
        assert_eq!(described.contains("\ndistractors "), said.is_some(), "{described}");
        assert!(said.iter().all(|said| described.contains(said)), "{described}");
        (questions.filled_by_popularity, 3 * questions.total(), said)
    };
    let (none, _, unsaid) = filled(Distractors::Popularity);
    assert_eq!((none, unsaid), (0, None));
    for (kind, lacking) in
        [(Distractors::Category, "category"), (Distractors::Brand, "brand or category")]
    {
        let (all, distractors, said) = filled(kind);
        assert_eq!(all, distractors, "there are no categories and no brands");
        let expected = format!(
            "{all} of {all} distractors were drawn by popularity, for want of others of the answer's {lacking}"
        );
        assert_eq!(said, Some(expected));
    }
}
