//! What a wrong answer looks like beside the right one.

use serde::Serialize;

use super::near::{are_similar, is_part};
use crate::words::words;

/// How similar two titles of a near miss are at least: `1 - distance / length`, by Levenshtein's
/// distance in characters without regard to case.
pub const NEAR_MISS: f64 = 0.7;

/// Texts that stand for no answer at all.
const NOTHING: [&[&str]; 5] =
    [&["none"], &["not", "found"], &["n", "a"], &["unknown"], &["no", "answer"]];

/// How a wrong answer differs from the right one. The first kind that fits counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The right answer has no words: nothing could have been right.
    BlankTruth,
    /// Nothing was given, or a text such as `None`.
    NoAnswer,
    /// The same words in the same order: case, punctuation or nothing differs.
    SameWords,
    /// The right title with words left out.
    DroppedWords,
    /// The right title with words put in.
    AddedWords,
    /// A text at least [`NEAR_MISS`] similar to the right title.
    NearMiss,
    /// Another product.
    WrongProduct,
}

impl ErrorKind {
    /// All kinds, in the order in which they are tried.
    pub const ALL: [Self; 7] = [
        Self::BlankTruth,
        Self::NoAnswer,
        Self::SameWords,
        Self::DroppedWords,
        Self::AddedWords,
        Self::NearMiss,
        Self::WrongProduct,
    ];

    /// The kind of a wrong answer.
    #[must_use]
    pub fn of(truth: &str, given: &str) -> Self {
        let words = |title: &str| words(title).collect::<Vec<_>>();
        let (right, found) = (words(truth), words(given));
        if right.is_empty() {
            Self::BlankTruth
        } else if found.is_empty() || NOTHING.iter().any(|nothing| found == *nothing) {
            Self::NoAnswer
        } else if found == right {
            Self::SameWords
        } else if is_part(&found, &right) {
            Self::DroppedWords
        } else if is_part(&right, &found) {
            Self::AddedWords
        } else if are_similar(&truth.to_lowercase(), &given.to_lowercase(), NEAR_MISS) {
            Self::NearMiss
        } else {
            Self::WrongProduct
        }
    }

    /// A name for tables.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::BlankTruth => "blank truth",
            Self::NoAnswer => "no answer",
            Self::SameWords => "same words",
            Self::DroppedWords => "dropped words",
            Self::AddedWords => "added words",
            Self::NearMiss => "near miss",
            Self::WrongProduct => "wrong product",
        }
    }

    /// What it means, in words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::BlankTruth => "the right title has no words, so nothing could have been right",
            Self::NoAnswer => "nothing was given, or a text such as “None”",
            Self::SameWords => "case or punctuation differs, or nothing but the product's id",
            Self::DroppedWords => "the right title with words left out",
            Self::AddedWords => "the right title with words put in",
            Self::NearMiss => "a title that differs by less than a third of its characters",
            Self::WrongProduct => "another product",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(truth: &str, given: &str, expected: ErrorKind) {
        assert_eq!(ErrorKind::of(truth, given), expected, "{truth} | {given}");
    }

    #[test]
    fn published_errors_are_told_apart() {
        // From the seed project's published answers.
        check("", "None", ErrorKind::BlankTruth);
        check("Big Roll Toilet Paper Pack of Bath", "Not Found", ErrorKind::NoAnswer);
        check("Pure Cane Sugar Golden", "Pure Cane Golden", ErrorKind::DroppedWords);
        check("Bull Eye Barbecue Ounce", "Bull Eye Barbecue Ounce Bottle", ErrorKind::AddedWords);
        check("Black Tea Favorite Tea", "Black Tea Flavored Tea", ErrorKind::NearMiss);
        check("Triple Clean Floss Count", "Armour Roast Beef", ErrorKind::WrongProduct);
    }

    #[test]
    fn the_first_kind_that_fits_counts() {
        check("Tea, 20 Bags", "tea 20 bags", ErrorKind::SameWords);
        check("Tea", "Tea", ErrorKind::SameWords);
        check("Tea", "", ErrorKind::NoAnswer);
        check("", "", ErrorKind::BlankTruth);
        check("None such", "None", ErrorKind::NoAnswer);
    }

    #[test]
    fn the_stated_bound_is_the_one_in_words() {
        const { assert!(1.0 - NEAR_MISS < 1.0 / 3.0) };
        assert!(ErrorKind::NearMiss.meaning().contains("less than a third"));
    }
}
