//! Ratings-only files: one line of comma-separated values a review.

use std::path::Path;

use super::{
    Fault, Reason, Review,
    review::{milliseconds, rating},
    value::Value,
};
use crate::{Error, Result};

/// What a line tells, and the names that its column may have; where several have one, the earlier name counts.
/// Neither case nor underscores make a difference.
const NAMES: [(&str, &[&str]); 4] = [
    ("user", &["user_id", "user", "reviewer_id", "customer_id", "customer"]),
    ("item", &["parent_asin", "asin", "item_id", "item", "product_id", "product"]),
    ("rating", &["rating", "overall", "stars", "score"]),
    ("time", &["timestamp", "time", "unix_review_time"]),
];

/// What stands between values in files of another kind.
const SEPARATORS: [(char, &str); 2] = [(';', "semicolons"), ('\t', "tabs")];

/// Characters of a line that an error shows.
const SHOWN: usize = 80;

/// Where the four values of a line stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RatingColumns {
    user: usize,
    item: usize,
    rating: usize,
    time: usize,
    /// Whether the first line names the columns.
    pub(crate) has_header: bool,
}

impl RatingColumns {
    /// Tells the columns by a file's first line that is not blank, the line of this number.
    ///
    /// 2023 names them (`user_id,parent_asin,rating,timestamp`). 2018 does not, and has item, user,
    /// rating and time in seconds; older files have the user first, which shows since every item, and no
    /// user, has ten characters.
    ///
    /// # Errors
    /// If the line is a header that lacks one of them, or other signs than commas stand between its values.
    pub(crate) fn detect(path: &Path, line: u64, first_line: &str) -> Result<Self> {
        let cells: Vec<&str> = cells(first_line).collect();
        let named = NAMES.map(|(_, names)| {
            let place = |name: &&str| cells.iter().position(|cell| is_named(cell, name));
            names.iter().find_map(place)
        });
        if let [Some(user), Some(item), Some(rating), Some(time)] = named {
            return Ok(Self { user, item, rating, time, has_header: true });
        }
        let failed = |expected: String, found: String| {
            Err(Error::Header { path: path.into(), line, expected, found })
        };
        let shown: String =
            cells.join(",").chars().take(SHOWN).flat_map(char::escape_debug).collect();
        if first_line.trim_start().starts_with('{') {
            let found = "JSON (the file's name should end in .json or .jsonl)";
            return failed("values between commas".into(), found.into());
        }
        let separator =
            SEPARATORS.into_iter().find(|(sign, _)| first_line.matches(*sign).count() > 1);
        if cells.len() < NAMES.len()
            && let Some((_, signs)) = separator
        {
            return failed("values between commas".into(), format!("{signs} in `{shown}`"));
        }
        let is_number =
            |place: usize| cells.get(place).is_some_and(|cell| cell.parse::<f64>().is_ok());
        let is_text = |place: usize| cells.get(place).is_some_and(|cell| !cell.is_empty());
        let has_number = is_number(2) || is_number(3);
        let has_name = named.iter().any(Option::is_some) || (is_text(2) && is_text(3));
        if has_name && !has_number {
            let columns = NAMES.map(|(what, names)| format!("{what} ({})", names.join(", ")));
            let expected = format!(
                "a header with a column each for {}, or no header and lines of item,user,rating,time",
                columns.join(", ")
            );
            let absent = NAMES.iter().zip(&named).filter(|(_, place)| place.is_none());
            let absent: Vec<&str> = absent.map(|((what, _), _)| *what).collect();
            return failed(expected, format!("no {} in `{shown}`", absent.join(", ")));
        }
        let length = |place: usize| cells.get(place).map_or(0, |cell| cell.len());
        let user_first = length(0) != 10 && length(1) == 10;
        let (user, item) = if user_first { (0, 1) } else { (1, 0) };
        Ok(Self { user, item, rating: 2, time: 3, has_header: false })
    }

    /// Parses a line.
    ///
    /// # Errors
    /// If a value is missing or not what it should be.
    pub(crate) fn parse<'a>(&self, line: &'a str) -> Result<Review<'a>, Fault> {
        let cells: Vec<&str> = cells(line).collect();
        let cell = |place: usize, field: &str| match cells.get(place) {
            Some(cell) => Ok(Value::Text((*cell).into())),
            None => {
                let (least, found) = (place + 1, cells.len());
                let detail = format!(
                    "`{field}`: expected {least} values or more, found {found} between commas"
                );
                Err(Fault::new(Reason::MissingField, detail))
            }
        };
        Ok(Review {
            user: cell(self.user, "user")?.into_id("user")?,
            item: cell(self.item, "item")?.into_id("item")?,
            time: Some(milliseconds("timestamp", cell(self.time, "timestamp")?)?),
            rating: Some(rating("rating", cell(self.rating, "rating")?)?),
            ..Review::default()
        })
    }
}

/// Whether a column has this name, in whichever way it is written.
fn is_named(cell: &str, name: &str) -> bool {
    letters(cell).eq(letters(name))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase())
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim().split(',').map(|cell| cell.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &str, line: &str, expected: Result<(&str, &str, f32, i64), Reason>) {
        let parsed = RatingColumns::detect(Path::new("a.csv"), 1, first).unwrap().parse(line);
        let parsed = parsed.as_ref().map_err(|fault| fault.reason).map(|review| {
            (&*review.user, &*review.item, review.rating.unwrap(), review.time.unwrap())
        });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn tells_the_columns_by_the_first_line() {
        let line = "0001527665,A3478QRKQDOPQ2,5.0,1362960000";
        check(line, line, Ok(("A3478QRKQDOPQ2", "0001527665", 5.0, 1_362_960_000)));
        let line = "A3478QRKQDOPQ2,0001527665,5.0,1362960000";
        check(line, line, Ok(("A3478QRKQDOPQ2", "0001527665", 5.0, 1_362_960_000)));
        let header = "user_id,parent_asin,rating,timestamp";
        assert!(RatingColumns::detect(Path::new("a.csv"), 1, header).unwrap().has_header);
        check(header, "AG1,B1,4.0,1588687728923", Ok(("AG1", "B1", 4.0, 1_588_687_728)));
    }

    #[test]
    fn knows_the_usual_names_of_columns_however_they_are_written() {
        let (user, item, rating, time) = ("A1", "B1", 4.0, 1_362_960_000);
        for header in [
            "userId,itemId,rating,timestamp",
            "\"REVIEWERID\", \"asin\", \"overall\", \"unixReviewTime\"",
            "customer,product,stars,time",
            "customer_id,productID,score,Time\r",
        ] {
            check(header, "A1,B1,4.0,1362960000", Ok((user, item, rating, time)));
        }
        // What the metadata describe comes first.
        check(
            "asin,parent_asin,user,rating,time",
            "X,B1,A1,4,1362960000",
            Ok((user, item, rating, time)),
        );
    }

    #[track_caller]
    fn check_refused(first: &str, expected: &[&str]) {
        let error = RatingColumns::detect(Path::new("a.csv"), 1, first).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "`{part}` is not in `{error}`");
        }
        assert!(!error.contains(char::is_control), "{error:?}");
    }

    #[test]
    fn refuses_a_header_that_it_does_not_know() {
        let expected = [
            "`a.csv`, line 1: expected a header with a column each for user (user_id, user, ",
            "time (timestamp, time, unix_review_time), or no header and lines of item,user,rating,time, found ",
        ];
        for (first, found) in [
            ("customer,product,stars,date", "found no time in `customer,product,stars,date`"),
            ("kunde,produkt,sterne,datum", "found no user, item, rating, time in `kunde,"),
            ("user,item,rating", "found no time in `user,item,rating`"),
            ("user,item,rating,\u{7}", "found no time in `user,item,rating,\\u{7}`"),
        ] {
            check_refused(first, &[expected[0], expected[1], found]);
        }
    }

    #[test]
    fn refuses_what_has_no_commas() {
        let found = "expected values between commas, found semicolons in `user;item;rating;time`";
        check_refused("user;item;rating;time", &[found]);
        check_refused("B1;A1;4,5;1362960000", &["found semicolons in `B1;A1;4,5;1362960000`"]);
        check_refused("B1\tA1\t5\t1362960000", &["found tabs in `B1\\tA1\\t5\\t1362960000`"]);
        check_refused(
            "{\"reviewerID\": \"A1\"}",
            &["found JSON (the file's name should end in .json"],
        );
    }

    #[test]
    fn a_broken_first_line_is_no_header() {
        for first in ["B1,A1,nine,1362960000", "B1,A1,5.0,soon", "B1,A1", "B1,A1,,", ""] {
            check(first, "B1,A1,5.0,1362960000", Ok(("A1", "B1", 5.0, 1_362_960_000)));
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_line() {
        let first = "0001527665,A3478QRKQDOPQ2,5.0,1362960000";
        check(first, "0001527665,A3478QRKQDOPQ2,5.0", Err(Reason::MissingField));
        check(first, "0001527665,,5.0,1362960000", Err(Reason::MissingField));
        check(first, "0001527665,A3478QRKQDOPQ2,good,1362960000", Err(Reason::WrongType));
        check(first, "0001527665,A3478QRKQDOPQ2,9,1362960000", Err(Reason::OutOfRange));
        check(first, "0001527665,A3478QRKQDOPQ2,5,-1", Err(Reason::OutOfRange));
    }
}
