//! Training, validation and test.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Part, PrepareOptions, seeded::seeded_hash};

const SECONDS_PER_DAY: i64 = 86_400;

/// How purchases are divided into training, validation and test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SplitMethod {
    /// Two cuts in time, the same for every user ([`Split`]). A user's target is the last purchase between
    /// the cuts, or after them.
    ///
    /// The other methods let training see purchases that happen after a test target, and with them what
    /// was popular then (Ji et al., *A critical study on data leakage in recommender system offline
    /// evaluation*, <https://arxiv.org/abs/2010.11060>); cuts in time do not.
    #[default]
    GlobalTime,
    /// Each user's last purchase for the test, the one before for validation, the others for training.
    LeaveOneOut,
    /// Whole users, drawn with a seed. The target is the user's last purchase, and no purchase of a
    /// validation or test user reaches training.
    UserDisjoint,
}

/// Two cuts through all purchases: training lies before the first, the test from the second on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// First second of validation, since the Unix epoch; midnight UTC.
    pub validation_from: i64,
    /// First second of the test, since the Unix epoch; midnight UTC.
    pub test_from: i64,
}

impl Split {
    /// The part that a purchase at this time belongs to.
    ///
    /// ```
    /// use nextcart_data::{Part, Split};
    ///
    /// let split = Split { validation_from: 100, test_from: 200 };
    /// assert_eq!(split.part(99), Part::Train);
    /// assert_eq!(split.part(100), Part::Validation);
    /// ```
    #[must_use]
    pub fn part(&self, time: i64) -> Part {
        match time {
            _ if time < self.validation_from => Part::Train,
            _ if time < self.test_from => Part::Validation,
            _ => Part::Test,
        }
    }
}

/// Purchases by day: little memory, however many there are.
#[derive(Debug, Default)]
pub(crate) struct Days {
    days: BTreeMap<i64, u64>,
    /// Purchases whose time is not known.
    pub(crate) unknown: u64,
}

impl Days {
    pub(crate) fn push(&mut self, time: Option<i64>) {
        match time {
            Some(time) => *self.days.entry(time.div_euclid(SECONDS_PER_DAY)).or_default() += 1,
            None => self.unknown += 1,
        }
    }

    /// Cuts at the beginning of the days in which two quantiles of all purchases lie; `None` without any.
    pub(crate) fn cut(&self, validation: f64, test: f64) -> Option<Split> {
        let count: u64 = self.days.values().sum();
        let last = count.checked_sub(1)?;
        let quantile = |q: f64| {
            let rank = ((q * count as f64) as u64).min(last);
            let mut before = 0;
            let day = self.days.iter().find(|(_, purchases)| {
                before += **purchases;
                before > rank
            });
            day.map(|(day, _)| day * SECONDS_PER_DAY)
        };
        Some(Split { validation_from: quantile(validation)?, test_from: quantile(test)? })
    }
}

/// Assigns a user's purchases to parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Assigner {
    GlobalTime(Split),
    LeaveOneOut,
    UserDisjoint { seed: u64, validation_from: f64, test_from: f64 },
}

impl Assigner {
    /// `None` if purchases have no times and the method needs them.
    pub(crate) fn new(options: &PrepareOptions, days: &Days) -> Option<Self> {
        let PrepareOptions { seed, validation_from, test_from, .. } = *options;
        Some(match options.split {
            SplitMethod::GlobalTime if days.unknown > 0 => return None,
            SplitMethod::GlobalTime => Self::GlobalTime(days.cut(validation_from, test_from)?),
            SplitMethod::LeaveOneOut => Self::LeaveOneOut,
            SplitMethod::UserDisjoint => Self::UserDisjoint { seed, validation_from, test_from },
        })
    }

    /// The cuts in time, if there are any.
    pub(crate) fn cuts(&self) -> Option<Split> {
        match self {
            Self::GlobalTime(split) => Some(*split),
            _ => None,
        }
    }

    /// The parts of a user's purchases, oldest first, given their times.
    pub(crate) fn parts(&self, user: &str, times: &[Option<i64>]) -> Vec<Part> {
        match self {
            Self::GlobalTime(split) => {
                times.iter().map(|time| split.part(time.unwrap_or(i64::MIN))).collect()
            }
            Self::LeaveOneOut => (1..=times.len())
                .rev()
                .map(|from_the_end| match from_the_end {
                    1 => Part::Test,
                    2 => Part::Validation,
                    _ => Part::Train,
                })
                .collect(),
            Self::UserDisjoint { seed, validation_from, test_from } => {
                let hash = seeded_hash(*seed, &["split", user]);
                let place = (hash >> 11) as f64 / (1_u64 << 53) as f64;
                let part = match place {
                    _ if place < *validation_from => Part::Train,
                    _ if place < *test_from => Part::Validation,
                    _ => Part::Test,
                };
                vec![part; times.len()]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: &[i64]) -> Days {
        let mut found = Days::default();
        days.iter().for_each(|day| found.push(Some(day * SECONDS_PER_DAY + 5)));
        found
    }

    #[test]
    fn cuts_at_midnight_and_keeps_purchases_of_one_day_together() {
        let split = days(&[5, 1, 7, 7, 7, 7, 7, 7, 9, 9]).cut(0.5, 0.9).unwrap();
        let day = SECONDS_PER_DAY;
        assert_eq!(split, Split { validation_from: 7 * day, test_from: 9 * day });
        let parts = [6 * day + 5, 7 * day, 9 * day].map(|time| split.part(time));
        assert_eq!(parts, [Part::Train, Part::Validation, Part::Test]);
        let each: Vec<i64> = (0..10).collect();
        assert_eq!(days(&each).cut(0.8, 0.9).unwrap().test_from, 9 * day);
    }

    #[test]
    fn has_no_cut_without_purchases_or_without_their_times() {
        assert_eq!(Days::default().cut(0.8, 0.9), None);
        let mut some = days(&[1, 2]);
        some.push(None);
        let mut options = PrepareOptions::default();
        assert!(Assigner::new(&options, &some).is_none());
        options.split = SplitMethod::LeaveOneOut;
        assert!(Assigner::new(&options, &some).is_some());
    }

    #[test]
    fn leaves_the_last_two_out() {
        let parts = Assigner::LeaveOneOut.parts("u", &[None; 4]);
        assert_eq!(parts, [Part::Train, Part::Train, Part::Validation, Part::Test]);
        assert_eq!(Assigner::LeaveOneOut.parts("u", &[None]), [Part::Test]);
    }

    #[test]
    fn keeps_a_user_in_one_part_and_draws_the_asked_shares() {
        let assigner = Assigner::UserDisjoint { seed: 1, validation_from: 0.8, test_from: 0.9 };
        let mut counts = BTreeMap::new();
        for user in 0..5000 {
            let parts = assigner.parts(&format!("u{user}"), &[Some(1), Some(2)]);
            assert_eq!(parts[0], parts[1]);
            *counts.entry(parts[0]).or_insert(0_u32) += 1;
        }
        // Five standard deviations.
        assert!(counts[&Part::Train].abs_diff(4000) < 142, "{counts:?}");
        assert!(counts[&Part::Test].abs_diff(500) < 107, "{counts:?}");
    }
}
