//! A split by time, the same cuts for every user.

use serde::{Deserialize, Serialize};

use crate::Part;

/// Two cuts through all purchases: training lies before the first, the test from the second on.
///
/// A split by user or by position (leave-one-out) lets training see purchases that happen after a test
/// target, and with them what was popular then; cuts in time do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// First second of validation, since the Unix epoch.
    pub validation_from: i64,
    /// First second of the test, since the Unix epoch.
    pub test_from: i64,
}

impl Split {
    /// Cuts at two quantiles of the times of all purchases; purchases at a cut fall after it.
    ///
    /// `None` without purchases.
    ///
    /// ```
    /// use nextcart_data::{Part, Split};
    ///
    /// let split = Split::at_quantiles((0..10).collect(), 0.8, 0.9).unwrap();
    /// assert_eq!(split, Split { validation_from: 8, test_from: 9 });
    /// assert_eq!(split.part(8), Part::Validation);
    /// ```
    #[must_use]
    pub fn at_quantiles(mut times: Vec<i64>, validation: f64, test: f64) -> Option<Self> {
        let last = times.len().checked_sub(1)?;
        let count = times.len() as f64;
        let mut quantile = |q: f64| *times.select_nth_unstable(((q * count) as usize).min(last)).1;
        Some(Self { validation_from: quantile(validation), test_from: quantile(test) })
    }

    /// The part that a purchase at this time belongs to.
    #[must_use]
    pub fn part(&self, time: i64) -> Part {
        match time {
            _ if time < self.validation_from => Part::Train,
            _ if time < self.test_from => Part::Validation,
            _ => Part::Test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_purchases_of_one_time_together() {
        let times = vec![5, 1, 7, 7, 7, 7, 7, 7, 9, 9];
        let split = Split::at_quantiles(times, 0.5, 0.9).unwrap();
        assert_eq!(split, Split { validation_from: 7, test_from: 9 });
        assert_eq!(
            [split.part(5), split.part(7), split.part(9)],
            [Part::Train, Part::Validation, Part::Test]
        );
    }

    #[test]
    fn has_no_cut_without_purchases() {
        assert_eq!(Split::at_quantiles(Vec::new(), 0.8, 0.9), None);
    }
}
