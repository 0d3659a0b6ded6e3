//! What must hold of any purchases under any options.

use std::collections::HashSet;

use nextcart_data::{
    Dataset, Distractors, Error, Part, PrepareOptions, Repeats, SplitMethod, prepare, title_key,
};
use proptest::prelude::*;

use crate::common::{metadata, review, write};

const ITEMS: u32 = 14;

/// A purchase: user, item, day.
type Buy = (u32, u32, u32);

fn purchases(users: std::ops::Range<u32>) -> impl Strategy<Value = Vec<Buy>> {
    proptest::collection::vec((users, 0..ITEMS, 0..40_u32), 20..160)
}

fn options() -> impl Strategy<Value = PrepareOptions> {
    let kinds = [
        Distractors::Popularity,
        Distractors::Uniform,
        Distractors::Category,
        Distractors::Brand,
        Distractors::Nearest,
        Distractors::Retrieved,
        Distractors::Catalogue,
    ];
    let splits = [SplitMethod::GlobalTime, SplitMethod::LeaveOneOut, SplitMethod::UserDisjoint];
    (
        0..1000_u64,
        proptest::sample::select(kinds.to_vec()),
        proptest::sample::select(splits.to_vec()),
        prop_oneof![3 => Just(Repeats::First), 1 => Just(Repeats::Keep)],
        1..4_usize,
        2..4_usize,
        prop_oneof![3 => Just(None), 1 => Just(Some(2_usize))],
    )
        .prop_map(|(seed, distractors, split, repeats, min_history, candidates, k_core)| {
            PrepareOptions {
                seed,
                distractors,
                split,
                repeats,
                min_history,
                candidates,
                k_core,
                min_interactions: 4,
                validation_from: 0.6,
                test_from: 0.8,
                bucket: 5,
                keep_cold_targets: seed % 2 == 0,
                ..PrepareOptions::default()
            }
        })
}

/// The last two items are sold under the titles of the first two, written otherwise.
fn title(item: u32) -> String {
    if item < ITEMS - 2 { format!("Item {item}") } else { format!("ITEM  {}:", item + 2 - ITEMS) }
}

/// The dataset, or `None` if so few purchases give none.
fn run(buys: &[Buy], options: &PrepareOptions) -> Option<Dataset> {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = buys
        .iter()
        .map(|(user, item, day)| {
            review(&format!("u{user:02}"), &format!("i{item:02}"), i64::from(16_000 + day))
        })
        .collect();
    let meta: String =
        (0..ITEMS).map(|item| metadata(&format!("i{item:02}"), &title(item))).collect();
    let reviews = write(folder.path(), "reviews.json", lines);
    let meta = write(folder.path(), "meta.json", meta);
    match prepare(&[reviews], &[meta], folder.path().join("out"), options) {
        Ok(prepared) => Some(prepared.load().unwrap()),
        Err(Error::TooFewUsers { .. } | Error::NoQuestions { .. } | Error::EmptyCore { .. }) => {
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Times of a user's purchases of an item.
fn times(buys: &[Buy], user: &str, item: &str) -> Vec<i64> {
    times_where(buys, user, |bought| format!("i{bought:02}") == item)
}

/// Times of a user's purchases of what nobody can tell from an item of this title.
fn times_of_title(buys: &[Buy], user: &str, key: &str) -> Vec<i64> {
    times_where(buys, user, |bought| title_key(&title(bought)) == key)
}

fn times_where(buys: &[Buy], user: &str, is_meant: impl Fn(u32) -> bool) -> Vec<i64> {
    buys.iter()
        .filter(|(u, item, _)| format!("u{u:02}") == user && is_meant(*item))
        .map(|(_, _, day)| i64::from(16_000 + day) * crate::common::DAY)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_question_tells_its_answer(buys in purchases(0..12), options in options()) {
        let Some(dataset) = run(&buys, &options) else { return Ok(()) };
        let tally = &dataset.manifest.histories;
        prop_assert_eq!(
            dataset.manifest.reviews.rows,
            tally.interactions + tally.dropped.total()
        );
        for question in &dataset.questions {
            let target = question.target().item.clone();
            let time = question.time.unwrap();
            let bought = times(&buys, &question.user, &target);
            prop_assert!(bought.contains(&time), "the target is a purchase");
            let key = title_key(&question.target().title);
            let in_history =
                question.history.iter().any(|past| title_key(&past.product.title) == key);
            if options.repeats == Repeats::First {
                prop_assert_eq!(bought.iter().min(), Some(&time));
                prop_assert!(!in_history, "the answer stands in its own history");
            }
            let is_new = times_of_title(&buys, &question.user, &key).len() == 1;
            for past in &question.history {
                prop_assert!(past.time.unwrap() <= time, "a history goes on after its target");
            }
            prop_assert!(question.history.len() >= options.min_history);
            let expected =
                if options.distractors == Distractors::Catalogue { 1 } else { options.candidates };
            prop_assert_eq!(question.candidates.len(), expected);
            for (place, candidate) in question.candidates.iter().enumerate() {
                if place == question.answer {
                    continue;
                }
                let other = title_key(&candidate.title);
                prop_assert_ne!(&other, &key, "two options cannot be told apart");
                let bought = times_of_title(&buys, &question.user, &other);
                let may_be = match options.repeats {
                    Repeats::First => bought.is_empty(),
                    // Of an answer that is new, so are all options.
                    _ if is_new => bought.is_empty(),
                    // Bought before, and not later.
                    _ => bought.iter().all(|bought| *bought <= time),
                };
                prop_assert!(may_be, "a distractor is the user's");
            }
        }
        // Every part of what training knows lies before the first cut.
        if let Some(cuts) = dataset.manifest.split.cuts {
            let times = dataset.histories.iter().flat_map(|history| &history.times);
            prop_assert!(times.into_iter().all(|time| time.unwrap() < cuts.validation_from));
            for question in &dataset.questions {
                prop_assert_eq!(question.part, cuts.part(question.time.unwrap()));
            }
        }
        let ids: HashSet<&str> = dataset.questions.iter().map(|q| q.id.as_str()).collect();
        prop_assert_eq!(ids.len(), dataset.questions.len());
    }

    /// Customers who only come after the cut change nothing but their own questions, whatever they buy.
    #[test]
    fn nothing_in_training_sees_the_test(
        early in purchases(0..9),
        late in proptest::collection::vec((20..24_u32, 0..ITEMS), 12),
        other in proptest::collection::vec(0..ITEMS, 12),
        options in options(),
    ) {
        let options = PrepareOptions {
            split: SplitMethod::GlobalTime,
            // So that the same late customers have a history, whatever they buy.
            repeats: Repeats::Keep,
            min_interactions: 1,
            ..options
        };
        // One a day: two at once could be copies of one line.
        let late: Vec<Buy> =
            (60..).zip(late).map(|(day, (user, item))| (user, item, day)).collect();
        let changed: Vec<Buy> =
            late.iter().zip(other).map(|((user, _, day), item)| (*user, item, *day)).collect();
        let [these, those] = [late, changed].map(|late| run(&[early.clone(), late].concat(), &options));
        let (Some(these), Some(those)) = (these, those) else { return Ok(()) };
        let cuts = these.manifest.split.cuts.unwrap();
        prop_assert_eq!(Some(cuts), those.manifest.split.cuts);
        if cuts.validation_from > 16_060 * crate::common::DAY {
            return Ok(()); // some late ones are training
        }
        prop_assert_eq!(&these.histories, &those.histories);
        let of_early = |dataset: &Dataset| -> Vec<_> {
            let early = |question: &&nextcart_data::Question| question.user.as_str() < "u20";
            dataset.questions.iter().filter(early).cloned().collect()
        };
        prop_assert_eq!(of_early(&these), of_early(&those));
        prop_assert!(these.questions.iter().any(|question| question.part == Part::Train));
    }
}
