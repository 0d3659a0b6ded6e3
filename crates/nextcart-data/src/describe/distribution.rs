//! A distribution of whole numbers.

use std::collections::BTreeMap;

use serde::Serialize;

/// How often each number occurs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Distribution {
    counts: BTreeMap<u64, u64>,
}

impl Distribution {
    /// Adds a number.
    pub fn push(&mut self, value: u64) {
        *self.counts.entry(value).or_default() += 1;
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Numbers with how often they occur, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().map(|(value, count)| (*value, *count))
    }

    /// The mean; `None` without numbers.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        let sum: f64 = self.iter().map(|(value, count)| value as f64 * count as f64).sum();
        (count > 0).then(|| sum / count as f64)
    }

    /// The smallest number that at least the share `q` of all do not exceed; `None` without numbers.
    ///
    /// ```
    /// use nextcart_data::Distribution;
    ///
    /// let mut lengths = Distribution::default();
    /// [5, 5, 6, 9].into_iter().for_each(|length| lengths.push(length));
    /// assert_eq!(lengths.quantile(0.5), Some(5));
    /// assert_eq!(lengths.quantile(1.0), Some(9));
    /// ```
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let wanted = (q * self.count() as f64).ceil();
        let mut seen = 0;
        let found = self.iter().find(|(_, count)| {
            seen += count;
            seen as f64 >= wanted
        });
        found.map(|(value, _)| value)
    }
}
