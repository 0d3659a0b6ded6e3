//! How histories, split and candidates are made.

use serde::{Deserialize, Serialize};

use crate::{Distractors, Error, Result};

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
    /// Keep verified purchases alone (default true).
    pub verified_only: bool,
    /// Distinct items that a user needs to have a history (default 5).
    pub min_interactions: usize,
    /// Quantile of the purchase times where validation begins (default 0.8).
    pub validation_from: f64,
    /// Quantile of the purchase times where the test begins (default 0.9).
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
            verified_only: true,
            min_interactions: 5,
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
        let positive = [
            ("min_interactions", self.min_interactions),
            ("train_targets_per_user", self.train_targets_per_user),
            ("min_history", self.min_history),
            ("max_history", self.max_history),
        ];
        if let Some((name, value)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return fail(name, "at least 1", value.to_string());
        }
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
        check(PrepareOptions { max_history: 0, ..default }, Some("max_history"));
    }
}
