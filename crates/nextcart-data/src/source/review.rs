//! A line of a review file: Amazon 2018, Amazon 2023, or a user's whole sequence of items.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    Fault, Reason,
    scan::{Fields, Slot},
    value::{Unread, Value, parse_object},
};

/// 1 January 2100 in Unix seconds; times beyond are in other units, such as milliseconds.
const LATEST_TIME: i64 = 4_102_444_800;

/// What this crate reads of a review. Names of reviewers are passed over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Review<'a> {
    /// 2018: `reviewerID`; 2023: `user_id`.
    pub user: Cow<'a, str>,
    /// 2018: `asin`; 2023: `parent_asin`, which the metadata describe, or else `asin`.
    pub item: Cow<'a, str>,
    /// Seconds since the Unix epoch. 2018: `unixReviewTime`, midnight UTC of the day; 2023: `timestamp`,
    /// in whole seconds. `None` in sequences, which have no times.
    pub time: Option<i64>,
    /// 2018: `overall`; 2023: `rating`; 1 to 5. `None` in sequences.
    pub rating: Option<f32>,
    /// Whether Amazon knows of the purchase. 2018: `verified`; 2023: `verified_purchase`. `None` where a
    /// file does not say.
    pub verified: Option<bool>,
    /// The headline. 2018: `summary`; 2023: `title`.
    pub summary: Option<Cow<'a, str>>,
    /// The text, read on request. 2018: `reviewText`; 2023: `text`.
    pub text: Option<Cow<'a, str>>,
}

/// A line of a review file.
#[derive(Debug, Clone, PartialEq)]
pub enum ReviewLine<'a> {
    /// One review.
    Review(Review<'a>),
    /// All items of a user, oldest first, of which nothing else is known.
    Sequence {
        /// `reviewerID`.
        user: Cow<'a, str>,
        /// `asins`.
        items: Vec<String>,
    },
}

#[derive(Debug, Default, Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default, rename = "reviewerID")]
    reviewer_id: Value<'a>,
    #[serde(borrow, default)]
    asin: Value<'a>,
    #[serde(borrow, default)]
    overall: Value<'a>,
    #[serde(borrow, default)]
    verified: Value<'a>,
    #[serde(borrow, default, rename = "unixReviewTime")]
    unix_review_time: Value<'a>,
    #[serde(borrow, default)]
    summary: Value<'a>,
    #[serde(borrow, default, rename = "reviewText")]
    review_text: Option<Unread<'a>>,
    // Of 2023.
    #[serde(borrow, default)]
    user_id: Value<'a>,
    #[serde(borrow, default)]
    parent_asin: Value<'a>,
    #[serde(borrow, default)]
    rating: Value<'a>,
    #[serde(borrow, default)]
    verified_purchase: Value<'a>,
    #[serde(borrow, default)]
    timestamp: Value<'a>,
    #[serde(borrow, default)]
    title: Value<'a>,
    #[serde(borrow, default)]
    text: Option<Unread<'a>>,
    // Of sequences.
    #[serde(borrow, default)]
    asins: Option<Unread<'a>>,
    // No field of a review: they tell a metadata row that strayed in.
    #[serde(borrow, default)]
    also_buy: Value<'a>,
    #[serde(borrow, default)]
    category: Value<'a>,
    #[serde(borrow, default)]
    main_category: Value<'a>,
}

impl<'a> Fields<'a> for Raw<'a> {
    fn slot<'s>(&'s mut self, name: &str) -> Slot<'s, 'a> {
        match name {
            "reviewerID" => Slot::Value(&mut self.reviewer_id),
            "asin" => Slot::Value(&mut self.asin),
            "overall" => Slot::Value(&mut self.overall),
            "verified" => Slot::Value(&mut self.verified),
            "unixReviewTime" => Slot::Value(&mut self.unix_review_time),
            "summary" => Slot::Value(&mut self.summary),
            "reviewText" => Slot::Unread(&mut self.review_text),
            "user_id" => Slot::Value(&mut self.user_id),
            "parent_asin" => Slot::Value(&mut self.parent_asin),
            "rating" => Slot::Value(&mut self.rating),
            "verified_purchase" => Slot::Value(&mut self.verified_purchase),
            "timestamp" => Slot::Value(&mut self.timestamp),
            "title" => Slot::Value(&mut self.title),
            "text" => Slot::Unread(&mut self.text),
            "asins" => Slot::Unread(&mut self.asins),
            "also_buy" => Slot::Value(&mut self.also_buy),
            "category" => Slot::Value(&mut self.category),
            "main_category" => Slot::Value(&mut self.main_category),
            _ => Slot::Nowhere,
        }
    }
}

impl<'a> ReviewLine<'a> {
    /// Parses one JSON line; the fields tell the format. `with_text` asks for the review's text.
    ///
    /// # Errors
    /// If the line is no review with user, item, time and rating, and no sequence.
    pub fn parse(line: &'a str, with_text: bool) -> Result<Self, Fault> {
        let raw: Raw<'_> = parse_object(line)?;
        if let Some(asins) = raw.asins {
            return Ok(Self::Sequence {
                user: raw.reviewer_id.into_id("reviewerID")?,
                items: sequence(asins)?,
            });
        }
        if raw.user_id.is_present() || (!raw.reviewer_id.is_present() && raw.is_of_2023()) {
            return raw.into_2023(with_text).map(Self::Review);
        }
        if !raw.reviewer_id.is_present() && !raw.is_of_2018() {
            let foreign = [
                ("title", &raw.title),
                ("also_buy", &raw.also_buy),
                ("category", &raw.category),
                ("main_category", &raw.main_category),
            ];
            if let Some((field, _)) = foreign.into_iter().find(|(_, value)| value.is_present()) {
                let detail =
                    format!("a metadata row (it has `{field}`, but no `reviewerID` or `user_id`)");
                return Err(Fault::new(Reason::WrongKind, detail));
            }
        }
        raw.into_2018(with_text).map(Self::Review)
    }
}

impl<'a> Review<'a> {
    /// Parses one line that is a single review, without its text.
    ///
    /// # Errors
    /// As [`ReviewLine::parse`], and if the line is a sequence.
    pub fn parse(line: &'a str) -> Result<Self, Fault> {
        match ReviewLine::parse(line, false)? {
            ReviewLine::Review(review) => Ok(review),
            ReviewLine::Sequence { .. } => {
                Err(Fault::new(Reason::WrongKind, "a sequence (it has `asins`)"))
            }
        }
    }
}

impl<'a> Raw<'a> {
    /// Whether it has what reviews of 2018 alone have, but for the user.
    fn is_of_2018(&self) -> bool {
        let has_value = [&self.overall, &self.unix_review_time].into_iter().any(Value::is_present);
        has_value || self.review_text.is_some()
    }

    /// Whether it has what reviews of 2023 alone have, but for the user.
    fn is_of_2023(&self) -> bool {
        let has_value = [&self.rating, &self.timestamp].into_iter().any(Value::is_present);
        has_value || self.text.is_some()
    }

    fn into_2018(self, with_text: bool) -> Result<Review<'a>, Fault> {
        Ok(Review {
            user: self.reviewer_id.into_id("reviewerID")?,
            item: self.asin.into_id("asin")?,
            time: Some(seconds("unixReviewTime", self.unix_review_time)?),
            rating: Some(rating("overall", self.overall)?),
            verified: self.verified.into_optional_bool("verified")?,
            summary: shown(self.summary),
            text: self.review_text.filter(|_| with_text).and_then(decode),
        })
    }

    fn into_2023(self, with_text: bool) -> Result<Review<'a>, Fault> {
        let item = if self.parent_asin.is_present() {
            self.parent_asin.into_id("parent_asin")?
        } else {
            self.asin.into_id("asin")?
        };
        Ok(Review {
            user: self.user_id.into_id("user_id")?,
            item,
            time: Some(milliseconds("timestamp", self.timestamp)?),
            rating: Some(rating("rating", self.rating)?),
            verified: self.verified_purchase.into_optional_bool("verified_purchase")?,
            summary: shown(self.title),
            text: self.text.filter(|_| with_text).and_then(decode),
        })
    }
}

fn sequence(asins: Unread<'_>) -> Result<Vec<String>, Fault> {
    let Some(items) = asins.read_list() else {
        return Err(asins.read().unwrap_or_default().unexpected("asins", "a list of text"));
    };
    if items.is_empty() {
        return Err(Fault::new(Reason::MissingField, "`asins`: expected items, found none"));
    }
    // One that is passed over would make neighbours of those beside it.
    items.into_iter().map(|item| Ok(item.into_id("asins")?.into_owned())).collect()
}

/// A rating of 1 to 5.
pub(super) fn rating(field: &str, value: Value<'_>) -> Result<f32, Fault> {
    let rating = value.into_number(field)? as f32;
    if (1.0..=5.0).contains(&rating) {
        return Ok(rating);
    }
    let detail = format!("`{field}`: expected 1 to 5, found {rating}");
    Err(Fault::new(Reason::OutOfRange, detail))
}

/// A time given in seconds.
fn seconds(field: &str, value: Value<'_>) -> Result<i64, Fault> {
    let time = value.into_integer(field)?;
    if (0..LATEST_TIME).contains(&time) {
        return Ok(time);
    }
    let detail = format!("`{field}`: expected seconds from 1970 to 2099, found {time}");
    Err(Fault::new(Reason::OutOfRange, detail))
}

/// A time given in milliseconds, as whole seconds. What would lie in the first weeks of 1970 is taken
/// for seconds: some files of 2023 and those of 2018 differ in nothing else.
pub(super) fn milliseconds(field: &str, value: Value<'_>) -> Result<i64, Fault> {
    let time = value.into_integer(field)?;
    match time {
        0..LATEST_TIME => Ok(time),
        _ if (0..LATEST_TIME).contains(&(time / 1000)) && time > 0 => Ok(time / 1000),
        _ => {
            let detail =
                format!("`{field}`: expected milliseconds from 1970 to 2099, found {time}");
            Err(Fault::new(Reason::OutOfRange, detail))
        }
    }
}

fn shown<'a>(value: Value<'a>) -> Option<Cow<'a, str>> {
    let text = value.into_text()?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        None
    } else if trimmed.len() == text.len() {
        Some(text)
    } else {
        Some(Cow::Owned(trimmed.to_owned()))
    }
}

/// A text that was passed over at first.
fn decode(text: Unread<'_>) -> Option<Cow<'_, str>> {
    text.read().and_then(shown)
}

#[cfg(test)]
mod tests;
