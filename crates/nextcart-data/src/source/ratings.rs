//! Ratings-only files: one line of comma-separated values a review.

use super::{
    Fault, Reason, Review,
    review::{milliseconds, rating},
    value::Value,
};

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
    /// Tells the columns by a file's first line.
    ///
    /// 2023 names them (`user_id,parent_asin,rating,timestamp`). 2018 does not, and has item, user,
    /// rating and time in seconds; older files have the user first, which shows since every item, and no
    /// user, has ten characters.
    pub(crate) fn detect(first_line: &str) -> Self {
        let cells: Vec<&str> = cells(first_line).collect();
        let find = |names: &[&str]| {
            cells.iter().position(|cell| names.iter().any(|name| cell.eq_ignore_ascii_case(name)))
        };
        let named = (
            find(&["user_id", "userId", "user", "reviewerID"]),
            find(&["parent_asin", "item_id", "itemId", "product_id", "productId", "item", "asin"]),
            find(&["rating", "overall"]),
            find(&["timestamp", "time", "unixReviewTime"]),
        );
        if let (Some(user), Some(item), Some(rating), Some(time)) = named {
            return Self { user, item, rating, time, has_header: true };
        }
        let length = |place: usize| cells.get(place).map_or(0, |cell| cell.len());
        let user_first = length(0) != 10 && length(1) == 10;
        let (user, item) = if user_first { (0, 1) } else { (1, 0) };
        Self { user, item, rating: 2, time: 3, has_header: false }
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
                let detail =
                    format!("`{field}`: expected a value {}, found {}", place + 1, cells.len());
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

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim().split(',').map(|cell| cell.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &str, line: &str, expected: Result<(&str, &str, f32, i64), Reason>) {
        let parsed = RatingColumns::detect(first).parse(line);
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
        assert!(RatingColumns::detect(header).has_header);
        check(header, "AG1,B1,4.0,1588687728923", Ok(("AG1", "B1", 4.0, 1_588_687_728)));
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
