//! A row of a review file.

use serde::Deserialize;

use super::{
    Fault, Reason,
    value::{Value, parse_object},
};

/// 1 January 2100 in Unix seconds; times beyond are in other units, such as milliseconds.
const LATEST_TIME: i64 = 4_102_444_800;

/// What this crate reads of a review. Text and the reviewer's name are passed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// `reviewerID`.
    pub user: String,
    /// `asin`.
    pub item: String,
    /// `unixReviewTime`: midnight UTC of the day, in seconds since the Unix epoch.
    pub time: i64,
    /// `overall`: 1 to 5.
    pub rating: f32,
    /// `verified`: whether Amazon knows of the purchase.
    pub verified: bool,
    /// `summary`: the review's headline, where there is one.
    pub summary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow, default, rename = "reviewerID")]
    reviewer_id: Value<'a>,
    #[serde(borrow, default)]
    asin: Value<'a>,
    #[serde(borrow, default)]
    overall: Value<'a>,
    #[serde(borrow, default)]
    verified: Value<'a>,
    #[serde(borrow, default)]
    unix_review_time: Value<'a>,
    #[serde(borrow, default)]
    summary: Value<'a>,
    // No field of a review: they tell a metadata row that strayed in.
    #[serde(borrow, default)]
    title: Value<'a>,
    #[serde(borrow, default, rename = "also_buy")]
    also_buy: Value<'a>,
    #[serde(borrow, default)]
    category: Value<'a>,
}

impl Review {
    /// Parses one line.
    ///
    /// # Errors
    /// If the line is no review with user, item, time, rating and the verified flag.
    pub fn parse(line: &str) -> Result<Self, Fault> {
        let raw: Raw<'_> = parse_object(line)?;
        if !raw.reviewer_id.is_present() {
            let foreign =
                [("title", &raw.title), ("also_buy", &raw.also_buy), ("category", &raw.category)];
            if let Some((field, _)) = foreign.into_iter().find(|(_, value)| value.is_present()) {
                let detail = format!("a metadata row (it has `{field}` and no `reviewerID`)");
                return Err(Fault::new(Reason::WrongKind, detail));
            }
        }
        let review = Self {
            user: raw.reviewer_id.into_id("reviewerID")?,
            item: raw.asin.into_id("asin")?,
            time: raw.unix_review_time.into_integer("unixReviewTime")?,
            rating: raw.overall.into_number("overall")? as f32,
            verified: raw.verified.into_bool("verified")?,
            summary: raw
                .summary
                .into_text()
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty()),
        };
        if !(1.0..=5.0).contains(&review.rating) {
            let detail = format!("`overall`: expected 1 to 5, found {}", review.rating);
            return Err(Fault::new(Reason::OutOfRange, detail));
        }
        if !(0..LATEST_TIME).contains(&review.time) {
            let detail = format!(
                "`unixReviewTime`: expected seconds from 1970 to 2099, found {}",
                review.time
            );
            return Err(Fault::new(Reason::OutOfRange, detail));
        }
        Ok(review)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"overall": 5.0, "vote": "1,234", "verified": true, "reviewTime": "06 17, 2018",
        "reviewerID": "A1", "asin": "B1", "style": {"Size:": " 50"}, "reviewerName": "reader",
        "reviewText": "Good.", "summary": "Five \u2605", "unixReviewTime": 1529193600, "image": ["x"]}"#;

    #[track_caller]
    fn check(from: &str, to: &str, expected: Result<(), (Reason, &str)>) {
        assert!(GOOD.contains(from), "`{from}` is not in the good line");
        let outcome = Review::parse(&GOOD.replace(from, to));
        let outcome =
            outcome.as_ref().map(|_| ()).map_err(|fault| (fault.reason, fault.detail.as_str()));
        assert_eq!(outcome, expected);
    }

    #[test]
    fn reads_a_review_and_leaves_the_name_out() {
        let review = Review::parse(GOOD).unwrap();
        let summary = Some("Five ★".to_owned());
        let expected = Review {
            user: "A1".into(),
            item: "B1".into(),
            time: 1_529_193_600,
            rating: 5.0,
            verified: true,
            summary,
        };
        assert_eq!(review, expected);
    }

    #[test]
    fn tolerates_numbers_and_flags_as_text() {
        check("5.0", "\"5.0\"", Ok(()));
        check("5.0", "5", Ok(()));
        check("1529193600", "\"1529193600\"", Ok(()));
        check("1529193600", "1529193600.0", Ok(()));
        check("true", "\"true\"", Ok(()));
        check("\"Five \\u2605\"", "null", Ok(()));
        check("\"Five \\u2605\"", "{}", Ok(()));
    }

    #[test]
    fn names_what_is_missing_or_of_another_type() {
        use Reason::{MissingField, OutOfRange, WrongType};
        check(
            "reviewerID",
            "reviewer",
            Err((MissingField, "`reviewerID`: expected text, found no such field")),
        );
        check(
            "\"A1\"",
            "\" \"",
            Err((MissingField, "`reviewerID`: expected text, found blank text")),
        );
        check("\"B1\"", "7", Err((WrongType, "`asin`: expected text, found a number")));
        check("5.0", "null", Err((MissingField, "`overall`: expected a number, found null")));
        check("5.0", "[5]", Err((WrongType, "`overall`: expected a number, found a list")));
        check("5.0", "7.0", Err((OutOfRange, "`overall`: expected 1 to 5, found 7")));
        check(
            "true",
            "\"yes\"",
            Err((WrongType, "`verified`: expected true or false, found text")),
        );
        let milliseconds =
            "`unixReviewTime`: expected seconds from 1970 to 2099, found 1529193600000";
        check("1529193600", "1529193600000", Err((OutOfRange, milliseconds)));
    }

    #[test]
    fn tells_broken_json_from_json_that_is_no_object() {
        for line in ["", "{", "{\"asin\": \"B", "nonsense", "{} {}", &GOOD[..GOOD.len() - 20]] {
            assert_eq!(Review::parse(line).unwrap_err().reason, Reason::BrokenJson, "{line}");
        }
        assert_eq!(Review::parse("[\"A1\", \"B1\"]").unwrap_err().reason, Reason::WrongType);
    }

    #[test]
    fn recognises_a_metadata_row() {
        let fault = Review::parse(r#"{"asin": "B1", "title": "Tea"}"#).unwrap_err();
        assert_eq!(fault.reason, Reason::WrongKind);
        assert!(fault.detail.contains("`title`"), "{fault}");
    }
}
