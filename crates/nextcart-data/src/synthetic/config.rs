//! Size and parameters of a generated corpus.

use serde::{Deserialize, Serialize};

use super::words::{BRANDS, CATEGORIES};
use crate::{Error, Result};

/// Parameters of the generative process that the [module](super) states, and of the noise on top.
///
/// [`Default`] gives a corpus of 3,000 users that generates in about a second, [`tiny`](Self::tiny) one
/// for tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Seed of everything (default 0).
    pub seed: u64,
    /// Items that can be bought, `N` (default 240).
    pub items: usize,
    /// Categories, `G`, at most 16 (default 12).
    pub categories: usize,
    /// Users (default 3,000).
    pub users: usize,
    /// Purchases of a user at least (default 6).
    pub min_purchases: usize,
    /// Purchases of a user at most (default 14).
    pub max_purchases: usize,
    /// Tastes, `K` (default 5).
    pub tastes: usize,
    /// Categories that a taste favours (default 2).
    pub favourite_categories: usize,
    /// Probability of a favourite category, `f` (default 0.9).
    pub focus: f64,
    /// Factor on the weight of a taste's two favourite brands, `b` (default 4).
    pub brand_affinity: f64,
    /// Exponent of the popularity of the items of a category, `z` (default 0.8).
    pub zipf_exponent: f64,
    /// Probability that a purchase follows from the previous basket, `c` (default 0.5).
    pub complement_probability: f64,
    /// Complements of an item, `L` (default 3).
    pub complements_per_item: usize,
    /// Probability that a basket holds two items rather than one (default 0.3).
    pub pair_probability: f64,
    /// Days over which users begin (default 1,300).
    pub days: u32,
    /// Reviews of random items that were not bought, as a share of the purchases (default 0.03).
    pub unverified: f64,
    /// Later reviews of an item bought before, as a share of the purchases (default 0.02).
    pub repeats: f64,
    /// Exact copies of a review line, as a share of the purchases (default 0.01).
    pub duplicates: f64,
    /// Catalogue rows that nobody buys and whose titles are page code (default 8).
    pub junk_rows: usize,
    /// Lines cut off in the middle, in each of the two files (default 4).
    pub broken_lines: usize,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            items: 240,
            categories: 12,
            users: 3000,
            min_purchases: 6,
            max_purchases: 14,
            tastes: 5,
            favourite_categories: 2,
            focus: 0.9,
            brand_affinity: 4.0,
            zipf_exponent: 0.8,
            complement_probability: 0.5,
            complements_per_item: 3,
            pair_probability: 0.3,
            days: 1300,
            unverified: 0.03,
            repeats: 0.02,
            duplicates: 0.01,
            junk_rows: 8,
            broken_lines: 4,
        }
    }
}

impl SyntheticConfig {
    /// A corpus of 150 users and 60 items, for tests.
    #[must_use]
    pub fn tiny() -> Self {
        Self {
            items: 60,
            categories: 6,
            users: 150,
            max_purchases: 10,
            tastes: 3,
            days: 400,
            ..Self::default()
        }
    }

    /// Checks every parameter's range.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<()> {
        let check = |name, is_fine: bool, expected: String, found: String| {
            if is_fine { Ok(()) } else { Err(Error::Option { name, expected, found }) }
        };
        let between = |name, value: usize, low: usize, high: usize| {
            check(
                name,
                (low..=high).contains(&value),
                format!("{low} to {high}"),
                value.to_string(),
            )
        };
        let share = |name, value: f64, below: f64| {
            check(
                name,
                (0.0..below).contains(&value),
                format!("from 0 to below {below}"),
                value.to_string(),
            )
        };
        between("categories", self.categories, 2, CATEGORIES.len())?;
        // A quarter of what the word lists allow, so that distinct titles are found quickly.
        let limit = BRANDS.len() * 3 * 8 * super::catalogue::SIZES / 4;
        between("items", self.items, 10 * self.categories, limit * self.categories)?;
        between("users", self.users, 1, 100_000_000)?;
        between("max_purchases", self.max_purchases, 1, self.items / 4)?;
        between("min_purchases", self.min_purchases, 1, self.max_purchases)?;
        between("tastes", self.tastes, 1, 1000)?;
        between("favourite_categories", self.favourite_categories, 1, self.categories)?;
        between(
            "complements_per_item",
            self.complements_per_item,
            1,
            self.items / self.categories,
        )?;
        between("days", self.days as usize, 1, 10_000)?;
        between("junk_rows", self.junk_rows, 0, 100_000)?;
        between("broken_lines", self.broken_lines, 0, 100_000)?;
        share("complement_probability", self.complement_probability, 1.0)?;
        share("pair_probability", self.pair_probability, 1.0)?;
        share("focus", self.focus, 1.0)?;
        share("unverified", self.unverified, 1.0)?;
        share("repeats", self.repeats, 1.0)?;
        share("duplicates", self.duplicates, 1.0)?;
        share("zipf_exponent", self.zipf_exponent, 5.0)?;
        let is_fine = (1.0..=1000.0).contains(&self.brand_affinity);
        check("brand_affinity", is_fine, "1 to 1000".into(), self.brand_affinity.to_string())
    }
}
