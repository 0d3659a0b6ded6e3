//! How histories, split and candidates are made.

use serde::{Deserialize, Serialize};

use crate::{Distractors, Error, IngestOptions, Result, SplitMethod, plan::bound};

/// What becomes of several purchases of one item by one user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Repeats {
    /// The first stands for all of them, so that no answer stands in its history.
    #[default]
    First,
    /// All of them stand in the history, and an answer may stand in its history, itself or another item of its title. Then
    /// so may its distractors, but not what the user buys later; where the answer is new to the user, so are all options.
    /// To pick what was bought before is therefore right more often than chance: set a score beside the share of such
    /// questions, which the audit tells.
    Keep,
}

/// Options of [`prepare`](crate::prepare).
///
/// ```
/// use nextcart_data::PrepareOptions;
///
/// let options = PrepareOptions { candidates: 10, ..PrepareOptions::default() };
/// assert!(options.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrepareOptions {
    /// Seed of the order of ties, the distractors and the answer positions (default 0).
    pub seed: u64,
    /// Columns and cleaning of the tables.
    pub ingest: IngestOptions,
    /// Keep verified purchases alone (default true). Where files do not say, all count as verified.
    pub verified_only: bool,
    /// Least rating of a purchase that counts, 1 to 5 (default none).
    pub min_rating: Option<f32>,
    /// Several purchases of one item by one user (default the first).
    pub repeats: Repeats,
    /// Purchases that a user needs to have a history, distinct items unless repeats are kept (default 5).
    ///
    /// They count in all parts, as in the 5-core files that others use: whether a user's training purchases
    /// are kept then depends on how many later ones there are, though not on what they are. With 1 nothing
    /// depends on them; [`k_core`](Self::k_core) asks for enough purchases in training alone.
    pub min_interactions: usize,
    /// Keep users and items of the k-core of training (default none): every user has k different items there
    /// and every item k buyers.
    pub k_core: Option<usize>,
    /// How purchases are divided (default by time).
    pub split: SplitMethod,
    /// Quantile of the purchase times, or the share of users, where validation begins (default 0.8).
    pub validation_from: f64,
    /// Quantile of the purchase times, or the share of users, where the test begins (default 0.9).
    pub test_from: f64,
    /// Training questions per user at most, the latest first (default 4).
    pub train_targets_per_user: usize,
    /// Purchases that must lie before a target (default 3).
    pub min_history: usize,
    /// Purchases that a question shows, the latest (default 10).
    pub max_history: usize,
    /// Keep validation and test targets that training never saw (default false). Their distractors
    /// come from the least popular items, and popularity alone then excludes the target.
    pub keep_cold_targets: bool,
    /// Candidates of a question, the target among them: 2 to 100 (default 4).
    pub candidates: usize,
    /// How distractors are drawn (default by popularity).
    pub distractors: Distractors,
    /// Items in a bucket of similar popularity (default 50).
    pub bucket: usize,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            ingest: IngestOptions::default(),
            verified_only: true,
            min_rating: None,
            repeats: Repeats::First,
            min_interactions: 5,
            k_core: None,
            split: SplitMethod::GlobalTime,
            validation_from: 0.8,
            test_from: 0.9,
            train_targets_per_user: 4,
            min_history: 3,
            max_history: 10,
            keep_cold_targets: false,
            candidates: 4,
            distractors: Distractors::Popularity,
            bucket: 50,
        }
    }
}

impl PrepareOptions {
    /// The default options, but each customer's last purchase becomes the test and the one before it validation, as in most
    /// papers on sequences; a question shows up to 50 purchases.
    #[must_use]
    pub fn leave_one_out() -> Self {
        Self { split: SplitMethod::LeaveOneOut, max_history: 50, ..Self::default() }
    }

    /// Whether an answer may stand in its history.
    pub(crate) fn may_repeat(&self) -> bool {
        self.repeats == Repeats::Keep
    }

    /// Checks every option's range.
    ///
    /// # Errors
    /// Names the first option outside its range.
    pub fn validate(&self) -> Result<()> {
        let fail = |name, expected: &str, found: String| {
            Err(Error::Option { name, expected: expected.to_owned(), found })
        };
        if !(2..=100).contains(&self.candidates) {
            return fail("candidates", "2 to 100", self.candidates.to_string());
        }
        if self.bucket < self.candidates {
            let expected = format!("at least as many as candidates ({})", self.candidates);
            return fail("bucket", &expected, self.bucket.to_string());
        }
        if !(self.validation_from > 0.0 && self.validation_from < 1.0) {
            return fail("validation_from", "between 0 and 1", self.validation_from.to_string());
        }
        if !(self.test_from >= self.validation_from && self.test_from < 1.0) {
            let expected = format!("from validation_from ({}) to below 1", self.validation_from);
            return fail("test_from", &expected, self.test_from.to_string());
        }
        if let Some(rating) = self.min_rating.filter(|rating| !(1.0..=5.0).contains(rating)) {
            return fail("min_rating", "1 to 5", rating.to_string());
        }
        let positive = [
            ("min_interactions", self.min_interactions),
            ("k_core", self.k_core.unwrap_or(1)),
            ("train_targets_per_user", self.train_targets_per_user),
            ("min_history", self.min_history),
            ("max_history", self.max_history),
        ];
        if let Some((name, value)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return fail(name, "at least 1", value.to_string());
        }
        bound("min_interactions", self.min_interactions)?;
        bound("k_core", self.k_core.unwrap_or(1))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: PrepareOptions, expected: Option<&str>) {
        let found = match options.validate() {
            Err(Error::Option { name, .. }) => Some(name),
            _ => None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn names_the_option_outside_its_range() {
        let default = PrepareOptions::default();
        check(default.clone(), None);
        check(PrepareOptions { candidates: 1, ..default.clone() }, Some("candidates"));
        check(PrepareOptions { candidates: 101, ..default.clone() }, Some("candidates"));
        check(PrepareOptions { candidates: 60, ..default.clone() }, Some("bucket"));
        check(
            PrepareOptions { validation_from: f64::NAN, ..default.clone() },
            Some("validation_from"),
        );
        check(PrepareOptions { test_from: 0.5, ..default.clone() }, Some("test_from"));
        check(PrepareOptions { min_rating: Some(0.5), ..default.clone() }, Some("min_rating"));
        check(PrepareOptions { k_core: Some(0), ..default.clone() }, Some("k_core"));
        check(PrepareOptions { max_history: 0, ..default.clone() }, Some("max_history"));
        let many = usize::MAX;
        check(PrepareOptions { max_history: many, ..default.clone() }, None);
        check(
            PrepareOptions { min_interactions: many, ..default.clone() },
            Some("min_interactions"),
        );
        check(PrepareOptions { k_core: Some(many), ..default.clone() }, Some("k_core"));
        let most = PrepareOptions { k_core: Some(many / 2), ..default };
        check(most.clone(), None);
        let error = PrepareOptions { k_core: Some(many / 2 + 1), ..most }.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "option `k_core`: expected at most 9223372036854775807, found 9223372036854775808"
        );
    }
}
