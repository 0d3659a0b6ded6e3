//! The product that was bought most of late.

use std::sync::Arc;

use nextcart_data::{History, Question};

use super::interactions::{Interactions, ItemIndex};
use super::ranker::CatalogueRanker;
use crate::error::{Error, Result};
use crate::predictor::Predictor;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// What an old purchase is still worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Recency {
    /// `2^(-age / half_life)`, the half-life above 0.
    HalfLife(f64),
    /// 1 up to this age, then nothing.
    Window(f64),
}

impl Recency {
    fn weight(self, age: f64) -> f64 {
        match self {
            Self::HalfLife(half_life) => (-age / half_life).exp2(),
            Self::Window(window) => f64::from(u8::from(age <= window)),
        }
    }

    fn check(self, name: &'static str) -> Result<()> {
        let (least, found) = match self {
            Self::HalfLife(value) => ("a half-life above 0", (value > 0.0, value)),
            Self::Window(value) => ("a window of at least 0", (value >= 0.0, value)),
        };
        match found {
            (true, _) => Ok(()),
            (false, value) => Err(Error::option(name, least, value)),
        }
    }
}

/// How fast purchases lose their worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecencyOptions {
    /// By age in days before the last purchase of training, where times are known (default a half-life of
    /// 90).
    pub days: Recency,
    /// By the number of the same customer's later purchases, where some time is not known (default a
    /// half-life of 2).
    pub purchases: Recency,
}

impl Default for RecencyOptions {
    fn default() -> Self {
        Self { days: Recency::HalfLife(90.0), purchases: Recency::HalfLife(2.0) }
    }
}

/// Scores a candidate by its purchases in training, recent ones counting more; name
/// `recent_popularity`.
///
/// Without times, "recent" means late in a customer's history, which says less.
#[derive(Debug, Clone)]
pub struct RecentPopularity {
    items: Arc<ItemIndex>,
    weights: Vec<f64>,
}

impl RecentPopularity {
    /// Sums up the purchases of training.
    ///
    /// # Errors
    /// If a half-life is not above 0 or a window is negative.
    pub fn fit(training: &[History], options: RecencyOptions) -> Result<Self> {
        let interactions = Interactions::new(training.iter().map(|history| &history.items));
        let mut weights = vec![0.0; interactions.items().len()];
        let times: Vec<(usize, &[Option<i64>])> =
            training.iter().map(|history| (history.items.len(), &history.times[..])).collect();
        let worth = purchase_weights(&times, options)?;
        for (items, worth) in interactions.histories().zip(worth) {
            for (item, worth) in items.iter().zip(worth) {
                weights[*item as usize] += worth;
            }
        }
        Ok(Self { items: interactions.items().clone(), weights })
    }

    /// Worth of an item's purchases, 0 for one that was never bought.
    #[must_use]
    pub fn weight(&self, item: &str) -> f64 {
        self.items.position(item).map_or(0.0, |item| self.weights[item as usize])
    }
}

/// What each purchase of each customer is worth, for the number of them and their times, the oldest first.
///
/// # Errors
/// If a half-life is not above 0 or a window is negative.
pub(crate) fn purchase_weights(
    customers: &[(usize, &[Option<i64>])],
    options: RecencyOptions,
) -> Result<Vec<Vec<f64>>> {
    options.days.check("days")?;
    options.purchases.check("purchases")?;
    let times = || customers.iter().flat_map(|(_, times)| times.iter());
    let timed = times().all(Option::is_some);
    let last = times().flatten().max().copied().unwrap_or_default();
    let of_customer = |&(count, times): &(usize, &[Option<i64>])| {
        let weight = |place: usize| match times.get(place).copied().flatten() {
            Some(time) if timed => options.days.weight((last - time) as f64 / SECONDS_PER_DAY),
            _ => options.purchases.weight((count - 1 - place) as f64),
        };
        (0..count).map(weight).collect()
    };
    Ok(customers.iter().map(of_customer).collect())
}

impl Predictor for RecentPopularity {
    fn name(&self) -> &str {
        "recent_popularity"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        Ok(question.candidates.iter().map(|product| self.weight(&product.item)).collect())
    }
}

impl CatalogueRanker for RecentPopularity {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        Ok(vec![self.weights.clone(); questions.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    fn history(items: &[&str], days: &[Option<i64>]) -> History {
        History {
            user: "u".into(),
            items: items.iter().map(|item| (*item).to_owned()).collect(),
            times: days.iter().map(|day| day.map(|day| day * 86_400)).collect(),
        }
    }

    #[track_caller]
    fn check(histories: &[History], options: RecencyOptions, expected: [f64; 3]) {
        let mut fitted = RecentPopularity::fit(histories, options).unwrap();
        let asked = question("q", &[], &["a", "b", "c"], 0);
        let scores = fitted.score(&asked).unwrap();
        assert_eq!(scores, expected);
        let all = fitted.score_items(&[&asked]).unwrap();
        assert_eq!(all[0], expected[..fitted.items().len()]);
    }

    #[test]
    fn age_counts_in_days_before_the_last_purchase() {
        let histories = [
            history(&["a", "b"], &[Some(70), Some(80)]),
            history(&["a", "b"], &[Some(90), Some(100)]),
        ];
        let days = |days| RecencyOptions { days, ..RecencyOptions::default() };
        // Ages of a: 30 and 10, of b: 20 and 0.
        check(&histories, days(Recency::HalfLife(10.0)), [0.125 + 0.5, 0.25 + 1.0, 0.0]);
        check(&histories, days(Recency::Window(10.0)), [1.0, 1.0, 0.0]);
        check(&histories, days(Recency::Window(30.0)), [2.0, 2.0, 0.0]);
    }

    #[test]
    fn without_times_age_counts_in_purchases_from_the_end() {
        let histories = [
            history(&["a", "b", "c"], &[Some(1), None, Some(3)]),
            history(&["c", "a"], &[Some(1), Some(2)]),
        ];
        let options =
            RecencyOptions { purchases: Recency::HalfLife(1.0), ..RecencyOptions::default() };
        check(&histories, options, [0.25 + 1.0, 0.5, 1.0 + 0.5]);
    }

    #[test]
    fn a_half_life_of_nothing_is_refused() {
        let options = RecencyOptions { days: Recency::HalfLife(0.0), ..RecencyOptions::default() };
        let error = RecentPopularity::fit(&[], options).unwrap_err();
        assert_eq!(error.to_string(), "option `days`: expected a half-life above 0, found 0");
    }
}
