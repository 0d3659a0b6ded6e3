//! A generated corpus in the format of the Amazon reviews of 2018, from a process that is known.
//!
//! Real data never tell how good a prediction could be. Here the process is stated, so
//! [`Corpus::oracle`] computes the best possible answer to every question.
//!
//! # The process
//! There are `N` items in `G` categories, `K` tastes, and users with a taste each, uniform over the `K`.
//!
//! *Taste.* Item `i`, the `r_i`-th of its category `g_i` in popularity, has the weight `s_i = r_i^-z`
//! (Zipf). Taste `k` favours some categories, which share the probability `f`, the others sharing `1 - f`;
//! that gives `θ_k(g)`. It favours two brands, with `b_k(i) = b` for items of these and 1 for others. Then
//!
//! ```text
//! p_k(i) = θ_k(g_i) · s_i b_k(i) / Σ_{j in g_i} s_j b_k(j).
//! ```
//!
//! *Complements.* Each item has a list `C(i)` of `L` items of the category that follows its own in a ring,
//! those of its own brand before others.
//!
//! *Purchases.* A user's history is a sequence of baskets on different days, with one item or two. With `B`
//! the previous basket and `O` all items bought before, one draw has the probability
//!
//! ```text
//! m_k(i | B) = c · (1 / |B|) Σ_{j in B} [i in C(j)] / |C(j)| + (1 - c) · p_k(i),
//! ```
//!
//! (`p_k(i)` alone for the first basket), and since nobody buys an item twice,
//!
//! ```text
//! P(i | k, B, O) = m_k(i | B) / (1 - Σ_{j in O} m_k(j | B))   for i not in O.
//! ```
//!
//! The second item of a basket is drawn like the first, which has joined `O`. Number of purchases, sizes
//! of baskets and days do not depend on the items.
//!
//! *Posterior.* Of a basket of two the order is not observed:
//! `P({x, y} | k) = P(x | k, B, O) P(y | k, B, O + x) + P(y | k, B, O) P(x | k, B, O + y)`. The taste's
//! posterior is the product of the baskets' probabilities, normalised over `k`, and a candidate's
//! probability is its expectation of `P(i | k, B, O)`.
//!
//! # Noise that does not touch it
//! Exact copies of lines, later reviews of an item bought before, unverified reviews of items that were not
//! bought, entities and page code in titles, catalogue rows that stand twice or that nobody buys, lines cut
//! off. With default options [`prepare`](crate::prepare) removes all of it, so that the histories are the
//! process's own, apart from the order within a day.

mod bulk;
mod calendar;
mod catalogue;
mod config;
mod oracle;
mod process;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::collections::HashMap;

pub use bulk::Bulk;
pub use config::SyntheticConfig;
pub use write::CorpusFiles;

use crate::Result;
use catalogue::Item;
use process::{Model, User};

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// A generated corpus and the process that made it.
#[derive(Debug, Clone)]
pub struct Corpus {
    config: SyntheticConfig,
    items: Vec<Item>,
    item_index: HashMap<String, u32>,
    model: Model,
    users: Vec<User>,
    user_index: HashMap<String, usize>,
    /// Purchases of each item.
    sales: Vec<u32>,
}

impl Corpus {
    /// Generates a corpus; the same configuration gives the same one.
    ///
    /// # Errors
    /// If a parameter lies outside its range.
    pub fn generate(config: &SyntheticConfig) -> Result<Self> {
        config.validate()?;
        let items = catalogue::items(config);
        let model = Model::new(config, &items);
        let users = process::users(config, &model);
        let mut sales = vec![0; items.len()];
        for basket in users.iter().flat_map(|user| &user.baskets) {
            basket.items.iter().for_each(|item| sales[*item as usize] += 1);
        }
        let item_index =
            items.iter().zip(0..).map(|(item, index)| (item.asin.clone(), index)).collect();
        let user_index =
            users.iter().enumerate().map(|(index, user)| (user.id.clone(), index)).collect();
        Ok(Self { config: config.clone(), items, item_index, model, users, user_index, sales })
    }

    /// What it was generated with.
    #[must_use]
    pub fn config(&self) -> &SyntheticConfig {
        &self.config
    }

    /// Purchases of all users: the interactions that [`prepare`](crate::prepare) should find.
    #[must_use]
    pub fn purchases(&self) -> u64 {
        self.sales.iter().map(|sales| u64::from(*sales)).sum()
    }

    fn position(&self, item: &str) -> Option<u32> {
        self.item_index.get(item).copied()
    }
}
