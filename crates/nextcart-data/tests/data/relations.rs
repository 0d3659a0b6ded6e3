//! Relations: counts from training alone, and none of the asker's own.

use nextcart_data::{
    History, PrepareOptions, Prepared, Related, RelationOptions, Relations, Resources, SplitMethod,
    prepare,
};
use serde_json::json;

use crate::common::{metadata, prepare_lines, review, write};

/// Each user's items, one a day, and what the crawl lists.
fn relations(
    users: &[(&str, &[&str])],
    options: &RelationOptions,
) -> (tempfile::TempDir, Relations, Vec<History>) {
    let folder = tempfile::tempdir().unwrap();
    let reviews: String = users
        .iter()
        .flat_map(|(user, items)| {
            let lines = items.iter().enumerate();
            lines.map(|(day, item)| review(user, item, 16_000 + day as i64))
        })
        .collect();
    let meta: String = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .enumerate()
        .map(|(place, item)| {
            let (brand, category) = (["X", "Y"][place % 2], ["Tea", "Oats"][place / 3]);
            let line = json!({ "asin": item, "title": format!("Item {item}"),
                "brand": brand, "category": ["Food", category],
                "also_buy": ["c", "unknown", "b"], "also_view": ["f"] });
            format!("{line}\n")
        })
        .collect();
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let prepare_options = PrepareOptions {
        split: SplitMethod::LeaveOneOut,
        min_interactions: 3,
        min_history: 1,
        candidates: 2,
        keep_cold_targets: true,
        ..PrepareOptions::default()
    };
    let out = folder.path().join("out");
    prepare(&[reviews], &[meta], &out, &prepare_options).unwrap();
    let prepared = Prepared::open(&out).unwrap();
    let relations = Relations::read(&prepared, options, &Resources::default()).unwrap();
    let histories = prepared.histories().unwrap();
    (folder, relations, histories)
}

fn shown(related: &[Related<'_>]) -> String {
    let shown =
        related.iter().map(|related| format!("{}{}", related.product.item, related.support));
    shown.collect::<Vec<_>>().join(" ")
}

// The last two purchases of each are validation and test.
const USERS: [(&str, &[&str]); 4] = [
    ("u0", &["a", "b", "c", "e", "f"]),
    ("u1", &["a", "b", "d", "e", "f"]),
    ("u2", &["b", "a", "c", "e", "f"]),
    ("u3", &["d", "a", "b", "f", "e"]),
];

#[test]
fn pairs_are_counted_in_training_without_the_askers_own() {
    let (_folder, relations, histories) = relations(&USERS, &RelationOptions::default());
    assert_eq!(histories[0].items, ["a", "b", "c"]);
    assert_eq!(shown(&relations.co_purchased("a", None)), "b4 c2 d2");
    assert_eq!(shown(&relations.bought_next("a", None)), "b3 c1");
    assert_eq!(shown(&relations.bought_next("b", None)), "a1 c1 d1");
    // What only validation and test hold is unknown.
    assert_eq!(shown(&relations.co_purchased("e", None)), "");
    let own = &histories[0];
    assert_eq!(shown(&relations.co_purchased("a", Some(own))), "b3 d2 c1");
    assert_eq!(shown(&relations.bought_next("b", Some(own))), "a1 d1");
    assert_eq!(shown(&relations.bought_next("c", Some(own))), "");
}

#[test]
fn ties_do_not_depend_on_the_order_of_the_metadata() {
    let lines = USERS.iter().flat_map(|(user, items)| items.iter().map(move |item| (user, item)));
    let reviews: String =
        lines.zip(16_000..).map(|((user, item), day)| review(user, item, day)).collect();
    let of = |items: &str| {
        let meta = items.split(' ').map(|item| metadata(item, &format!("Item {item}")));
        let options = PrepareOptions {
            split: SplitMethod::LeaveOneOut,
            min_interactions: 3,
            min_history: 1,
            candidates: 2,
            keep_cold_targets: true,
            ..PrepareOptions::default()
        };
        let (folder, _) = prepare_lines(&reviews, &meta.collect::<String>(), &options);
        let prepared = Prepared::open(folder.path().join("out")).unwrap();
        let options = RelationOptions::default();
        let relations = Relations::read(&prepared, &options, &Resources::default()).unwrap();
        let users = relations.of_similar_users(["a", "b"], "u0");
        let users = users.iter().map(|related| related.product.item.clone()).collect::<String>();
        [
            shown(&relations.co_purchased("a", None)),
            shown(&relations.bought_next("b", None)),
            shown(&relations.same_category("a", None)),
            users,
        ]
    };
    let expected = ["b4 c2 d2", "a1 c1 d1", "b4 c2 d2", "dc"];
    assert_eq!(of("a b c d e f"), expected);
    assert_eq!(of("f e d c b a"), expected);
}

#[test]
fn a_window_bounds_what_belongs_together() {
    let options = RelationOptions { window: 1, top: 1, ..RelationOptions::default() };
    let (_folder, relations, histories) = relations(&USERS, &options);
    assert_eq!(shown(&relations.co_purchased("b", None)), "a4");
    // The asker has b beside both, so that one user less counts for each.
    assert_eq!(shown(&relations.co_purchased("b", Some(&histories[0]))), "a3");
}

#[test]
fn a_window_may_be_as_wide_as_plans_can_compare() {
    let most = RelationOptions { window: usize::MAX / 2, ..RelationOptions::default() };
    let (folder, relations, histories) = relations(&USERS, &most);
    assert_eq!(shown(&relations.co_purchased("a", Some(&histories[0]))), "b3 d2 c1");
    let prepared = Prepared::open(folder.path().join("out")).unwrap();
    let wider = RelationOptions { window: usize::MAX, ..most };
    let error = Relations::read(&prepared, &wider, &Resources::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "option `window`: expected at most 9223372036854775807, found 18446744073709551615"
    );
}

#[test]
fn purchases_at_one_time_have_no_next() {
    let folder = tempfile::tempdir().unwrap();
    let reviews: String = (0..5)
        .flat_map(|user| ["a", "b", "c", "d"].map(|item| review(&format!("u{user}"), item, 16_000)))
        .collect();
    let meta: String = ["a", "b", "c", "d", "e"]
        .map(|item| crate::common::metadata(item, &format!("Item {item}")))
        .concat();
    let extra = review("u9", "e", 1)
        + &review("u9", "d", 2)
        + &review("u9", "c", 3)
        + &review("u9", "a", 4)
        + &review("u9", "b", 5);
    let reviews = write(folder.path(), "reviews.json", reviews + &extra);
    let meta = write(folder.path(), "meta.json", meta);
    let options = PrepareOptions {
        split: SplitMethod::LeaveOneOut,
        min_interactions: 3,
        min_history: 1,
        candidates: 2,
        ..PrepareOptions::default()
    };
    let out = folder.path().join("out");
    let prepared = prepare(&[reviews], &[meta], &out, &options).unwrap();
    let relations =
        Relations::read(&prepared, &RelationOptions::default(), &Resources::default()).unwrap();
    assert_eq!(shown(&relations.bought_next("e", None)), "d1");
    assert_eq!(shown(&relations.bought_next("d", None)), "c1");
    // Which two of the four are training depends on the hash; nobody bought one of them later.
    for item in ["a", "b"] {
        assert!(relations.bought_next(item, None).is_empty(), "{item}");
    }
}

#[test]
fn brands_and_categories_are_ranked_by_training() {
    let (_folder, relations, histories) = relations(&USERS, &RelationOptions::default());
    // Brand X: a, c, e; category Tea: a, b, c; training knows nothing of e and f.
    assert_eq!(shown(&relations.same_brand("a", None)), "c2");
    assert_eq!(shown(&relations.same_category("c", None)), "a4 b4");
    assert_eq!(shown(&relations.same_brand("nowhere", None)), "");
    // The asker bought a, b and c.
    assert_eq!(shown(&relations.same_brand("a", Some(&histories[0]))), "c1");
    assert_eq!(shown(&relations.same_category("c", Some(&histories[0]))), "a3 b3");
}

#[test]
fn the_order_of_a_brand_does_not_tell_what_the_asker_bought() {
    // Brand X: a, c, e. Without the asker, c and e are bought once each.
    let users = |own: &'static str| -> Vec<(&str, Vec<&str>)> {
        vec![
            ("u0", vec!["a", own, "b", "f"]),
            ("u1", vec!["c", "d", "f"]),
            ("u2", vec!["e", "d", "f"]),
        ]
    };
    let listed = |own| {
        let users = users(own);
        let users: Vec<(&str, &[&str])> =
            users.iter().map(|(user, items)| (*user, items.as_slice())).collect();
        let options = RelationOptions::default();
        let (_folder, relations, histories) = relations(&users, &options);
        shown(&relations.same_brand("a", histories.iter().find(|history| history.user == "u0")))
    };
    assert_eq!(listed("c"), listed("e"));
    assert_eq!(listed("e"), listed("d"));
}

#[test]
fn the_crawl_is_silent_unless_asked_for() {
    let (_folder, silent, _) = relations(&USERS, &RelationOptions::default());
    assert!(silent.also_bought("a").is_empty() && silent.also_viewed("a").is_empty());
    let options = RelationOptions { crawl: true, ..RelationOptions::default() };
    let (_folder, asked, _) = relations(&USERS, &options);
    assert_eq!(shown(&asked.also_bought("a")), "c0 b0");
    assert_eq!(shown(&asked.also_viewed("a")), "f0");
}

#[test]
fn similar_users_tell_what_they_bought_and_the_asker_is_none_of_them() {
    let (_folder, relations, _) = relations(&USERS, &RelationOptions::default());
    let found = relations.of_similar_users(["a", "b"], "u0");
    let items: Vec<&str> = found.iter().map(|related| related.product.item.as_str()).collect();
    assert_eq!(items, ["d", "c"], "u1 and u3 bought d, u2 alone c");
    let found = relations.of_similar_users(["c"], "u2");
    // Only u0 is left among those who bought c.
    let items: Vec<&str> = found.iter().map(|related| related.product.item.as_str()).collect();
    assert_eq!(items, ["a", "b"]);
    assert!(relations.of_similar_users(["e"], "u0").is_empty());
}

#[test]
fn what_similar_users_bought_does_not_tell_what_the_asker_did() {
    // Two others share `a` with the asker; one bought c, the other d.
    let found = |own: &'static str| {
        let users: [(&str, &[&str]); 3] = [
            ("u0", &["a", own, "e", "f"]),
            ("u1", &["a", "c", "e", "f"]),
            ("u2", &["a", "d", "e", "f"]),
        ];
        let (_folder, relations, histories) = relations(&users, &RelationOptions::default());
        assert_eq!(histories[0].items, ["a", own]);
        shown(&relations.of_similar_users(["a"], "u0"))
    };
    assert_eq!(found("c"), found("d"));
    assert_eq!(found("b"), found("d"));
}
