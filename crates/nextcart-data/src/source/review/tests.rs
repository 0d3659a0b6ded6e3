//! Lines of each format, good and bad.

use super::*;
use crate::source::scan::tests::{is_scanned, variants};

const GOOD: &str = r#"{"overall": 5.0, "vote": "1,234", "verified": true, "reviewTime": "06 17, 2018",
    "reviewerID": "A1", "asin": "B1", "style": {"Size:": " 50"}, "reviewerName": "reader",
    "reviewText": "Good.", "summary": "Five \u2605", "unixReviewTime": 1529193600, "image": ["x"]}"#;

const GOOD_2023: &str = r#"{"rating": 4.0, "title": " Such a lovely scent ", "text": "Nice \"one\".",
    "images": [{"small_image_url": "x"}], "asin": "B2", "parent_asin": "B1", "user_id": "AG1",
    "timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": true}"#;

#[track_caller]
fn check(from: &str, to: &str, expected: Result<(), (Reason, &str)>) {
    let good = if GOOD.contains(from) { GOOD } else { GOOD_2023 };
    assert!(good.contains(from), "`{from}` is in no good line");
    let line = good.replace(from, to);
    let outcome = Review::parse(&line);
    let outcome =
        outcome.as_ref().map(|_| ()).map_err(|fault| (fault.reason, fault.detail.as_str()));
    assert_eq!(outcome, expected);
}

#[test]
fn reads_a_review_of_2018_and_leaves_the_name_out() {
    let expected = Review {
        user: "A1".into(),
        item: "B1".into(),
        time: Some(1_529_193_600),
        rating: Some(5.0),
        verified: Some(true),
        summary: Some("Five ★".into()),
        text: None,
    };
    assert_eq!(Review::parse(GOOD).unwrap(), expected);
    let with_text = ReviewLine::parse(GOOD, true).unwrap();
    let expected = Review { text: Some("Good.".into()), ..expected };
    assert_eq!(with_text, ReviewLine::Review(expected));
}

#[test]
fn reads_a_review_of_2023() {
    let expected = Review {
        user: "AG1".into(),
        item: "B1".into(),
        time: Some(1_588_687_728),
        rating: Some(4.0),
        verified: Some(true),
        summary: Some("Such a lovely scent".into()),
        text: Some("Nice \"one\".".into()),
    };
    assert_eq!(ReviewLine::parse(GOOD_2023, true).unwrap(), ReviewLine::Review(expected));
    let line = GOOD_2023.replace("parent_asin", "parent");
    assert_eq!(Review::parse(&line).unwrap().item, "B2");
}

#[test]
fn reads_a_sequence() {
    let line = r#"{"reviewerID": "A1", "asins": ["B1", "B2", "B1"]}"#;
    let items = ["B1", "B2", "B1"].map(str::to_owned).to_vec();
    let expected = ReviewLine::Sequence { user: "A1".into(), items };
    assert_eq!(ReviewLine::parse(line, false).unwrap(), expected);
    assert_eq!(Review::parse(line).unwrap_err().reason, Reason::WrongKind);
    for (items, reason) in [
        ("[]", Reason::MissingField),
        ("[\"\"]", Reason::MissingField),
        ("[\"B1\", null]", Reason::MissingField),
        ("\"B1\"", Reason::WrongType),
        ("[\"B1\", [\"B2\"]]", Reason::WrongType),
    ] {
        let line = format!(r#"{{"reviewerID": "A1", "asins": {items}}}"#);
        assert_eq!(ReviewLine::parse(&line, false).unwrap_err().reason, reason, "{items}");
    }
    let fault = ReviewLine::parse(&line.replace("\"B2\"", "2"), false).unwrap_err();
    let detail = "`asins`: expected text, found a number".to_owned();
    assert_eq!(fault, Fault { reason: Reason::WrongType, detail });
}

#[test]
fn tolerates_numbers_and_flags_as_text() {
    check("5.0", "\"5.0\"", Ok(()));
    check("5.0", "5", Ok(()));
    check("1529193600", "\"1529193600\"", Ok(()));
    check("1529193600", "1529193600.0", Ok(()));
    check("true", "\"true\"", Ok(()));
    check("\"verified\"", "\"was_verified\"", Ok(()));
    check("\"Five \\u2605\"", "null", Ok(()));
    check("\"Five \\u2605\"", "{}", Ok(()));
    check("\"Good.\"", "[1, 2]", Ok(()));
    check("1588687728923", "\"1588687728923\"", Ok(()));
}

#[test]
fn names_what_is_missing_or_of_another_type() {
    use Reason::{MissingField, OutOfRange, WrongType};
    check(
        "reviewerID",
        "reviewer",
        Err((MissingField, "`reviewerID`: expected text, found no such field")),
    );
    check("\"A1\"", "\" \"", Err((MissingField, "`reviewerID`: expected text, found blank text")));
    check("\"B1\",", "7,", Err((WrongType, "`asin`: expected text, found a number")));
    check("5.0", "null", Err((MissingField, "`overall`: expected a number, found null")));
    check("5.0", "[5]", Err((WrongType, "`overall`: expected a number, found a list")));
    check("5.0", "7.0", Err((OutOfRange, "`overall`: expected 1 to 5, found 7")));
    check("4.0", "0", Err((OutOfRange, "`rating`: expected 1 to 5, found 0")));
    check("true", "\"yes\"", Err((WrongType, "`verified`: expected true or false, found text")));
    let milliseconds = "`unixReviewTime`: expected seconds from 1970 to 2099, found 1529193600000";
    check("1529193600", "1529193600000", Err((OutOfRange, milliseconds)));
    let nanoseconds =
        "`timestamp`: expected milliseconds from 1970 to 2099, found 1588687728923000";
    check("1588687728923", "1588687728923000", Err((OutOfRange, nanoseconds)));
}

#[test]
fn tells_broken_json_from_json_that_is_no_object() {
    for line in ["", "{", "{\"asin\": \"B", "nonsense", "{} {}", &GOOD[..GOOD.len() - 20]] {
        assert_eq!(Review::parse(line).unwrap_err().reason, Reason::BrokenJson, "{line}");
    }
    assert_eq!(Review::parse("[\"A1\", \"B1\"]").unwrap_err().reason, Reason::WrongType);
}

#[test]
fn a_scan_finds_what_the_parser_finds() {
    for good in [GOOD, GOOD_2023] {
        let line: String = good.split("\n    ").collect();
        assert!(is_scanned::<Raw<'_>>(&line) && !is_scanned::<Raw<'_>>(good));
        let scanned = variants(&line).iter().filter(|line| is_scanned::<Raw<'_>>(line)).count();
        assert!(scanned > 1000, "{scanned}");
    }
    for value in ["-0", "007", "0.0", "3e2", "123456789012345678", "0.1234567890123456"] {
        is_scanned::<Raw<'_>>(&GOOD_2023.replace("4.0", value).replace('\n', " "));
    }
    let deep = ["[".repeat(126), "]".repeat(126)].concat();
    is_scanned::<Raw<'_>>(&format!("{{\"style\": {deep}}}"));
}

#[test]
fn a_review_without_its_user_is_no_metadata_row() {
    for (good, user) in [(GOOD, "reviewerID"), (GOOD_2023, "user_id")] {
        // In either, one of what only reviews have is enough.
        let mut line: serde_json::Value = serde_json::from_str(good).unwrap();
        let line = line.as_object_mut().unwrap();
        line.remove(user);
        line.insert("title".into(), "Tea".into());
        let own = ["overall", "unixReviewTime", "reviewText", "rating", "timestamp", "text"];
        let own: Vec<&str> = own.into_iter().filter(|field| line.contains_key(*field)).collect();
        assert_eq!(own.len(), 3);
        for kept in &own {
            let mut line = line.clone();
            line.retain(|field, _| field == kept || !own.contains(&field.as_str()));
            let text = serde_json::to_string(&line).unwrap();
            let fault = Review::parse(&text).unwrap_err();
            let detail = format!("`{user}`: expected text, found no such field");
            assert_eq!(fault, Fault { reason: Reason::MissingField, detail }, "{text}");
        }
        line.retain(|field, _| !own.contains(&field.as_str()));
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(Review::parse(&text).unwrap_err().reason, Reason::WrongKind, "{text}");
    }
}

#[test]
fn recognises_a_metadata_row() {
    for (line, field) in [
        (r#"{"asin": "B1", "title": "Tea"}"#, "`title`"),
        (r#"{"parent_asin": "B1", "main_category": "Tea"}"#, "`main_category`"),
    ] {
        let fault = Review::parse(line).unwrap_err();
        assert_eq!(fault.reason, Reason::WrongKind);
        assert!(fault.detail.contains(field), "{fault}");
    }
}
