//! The seed project's protocol: verified reviews in the order of the file, and none of the user's own beside
//! the answer.

use std::sync::atomic::AtomicBool;

use nextcart_data::{Error, Resources, seed_protocol};

use crate::common::{metadata, review, unverified, write};

#[test]
fn unverified_reviews_do_not_count_and_what_a_user_has_is_no_distractor() {
    let folder = tempfile::tempdir().unwrap();
    // u0 has eight of twelve items; one more is unverified, so that it may be offered.
    let mut reviews = unverified("u0", "i11", 1);
    for (day, item) in ["i07", "i06", "i05", "i04", "i03", "i02", "i01", "i00"].iter().enumerate() {
        reviews += &review("u0", item, 20 - day as i64);
    }
    // u1 has four verified ones alone, u2 so many that too few are left.
    for item in ["i00", "i01", "i02", "i03"] {
        reviews += &review("u1", item, 3);
    }
    reviews += &unverified("u1", "i04", 3);
    for item in 0..10 {
        reviews += &review("u2", &format!("i{item:02}"), 3);
    }
    let meta: String =
        (0..12).map(|item| metadata(&format!("i{item:02}"), &format!("Item x{item}"))).collect();
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let mut offered = std::collections::BTreeSet::new();
    for seed in 0..30 {
        let questions = seed_protocol(
            std::slice::from_ref(&reviews),
            std::slice::from_ref(&meta),
            seed,
            &Resources::default(),
            &AtomicBool::new(false),
        )
        .unwrap();
        let [question] = questions.as_slice() else { panic!("{} questions", questions.len()) };
        assert_eq!(question.user, "u0");
        let history: Vec<&str> = question.history.iter().map(|p| p.product.item.as_str()).collect();
        assert_eq!(history, ["i07", "i06", "i05", "i04"], "the order of the file, not of time");
        assert_eq!(question.target().item, "i03");
        let others = question.candidates.iter().filter(|product| product.item != "i03");
        offered.extend(others.map(|product| product.item.clone()));
    }
    assert_eq!(offered.into_iter().collect::<Vec<_>>(), ["i08", "i09", "i10", "i11"]);
}

#[test]
fn too_few_users_are_told_with_the_reviews_that_were_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut reviews = unverified("u0", "i00", 1);
    for (day, item) in ["i00", "i01", "i02", "x0", "x1", "e0"].iter().enumerate() {
        reviews += &review("u0", item, 2 + day as i64);
    }
    for (day, item) in ["i00", "e0", "e1"].iter().enumerate() {
        reviews += &review("u1", item, 2 + day as i64);
    }
    // Ten described items, five of them without a title; nobody reviewed three of these.
    let titled = (0..5).map(|item| metadata(&format!("i{item:02}"), &format!("Item x{item}")));
    let untitled = (0..5).map(|item| metadata(&format!("e{item}"), ""));
    let meta: String = titled.chain(untitled).collect();
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let stop = AtomicBool::new(false);
    let error = seed_protocol(&[reviews], &[meta], 1, &Resources::default(), &stop).unwrap_err();
    let Error::TooFewUsers {
        users,
        purchases,
        reviews,
        unverified,
        unknown,
        untitled,
        longest,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((users, purchases, reviews, longest), (2, 4, 10, 3));
    assert_eq!((unverified, unknown, untitled), (1, 2, 3));
}
