//! Whether the answer is known by how often it was bought, or by how often of late.

use std::collections::{BTreeMap, HashMap, HashSet};

use nextcart_data::{History, Part, Product, Question};
use serde::Serialize;

use crate::baselines::{RecencyOptions, purchase_weights};
use crate::error::Result;

/// Where an audit's counts of purchases come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PurchaseSource {
    /// Training histories that the caller gave.
    Histories,
    /// The questions of the training part: their histories and answers.
    TrainingQuestions,
    /// There is no training part: the histories and answers of the customers in other folds.
    OtherCustomers,
    /// All questions are of the training part, whose own answers are among what is counted: nothing is scored.
    Nothing,
}

/// What is known of an item's purchases.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// Customers who bought it.
    pub(super) customers: f64,
    /// What its purchases are worth, as [`RecentPopularity`](crate::RecentPopularity) weighs them.
    pub(super) of_late: f64,
}

/// How many customers bought each item, and how much of late.
pub(super) struct Purchases<'a> {
    source: PurchaseSource,
    of_item: HashMap<&'a str, Known>,
    /// The same within each fold, where the folds are not scored by their own.
    within: HashMap<(usize, &'a str), Known>,
}

impl<'a> Purchases<'a> {
    pub(super) fn count(
        questions: &'a [Question],
        folds: &[usize],
        histories: Option<&'a [History]>,
    ) -> Result<Self> {
        let held_out = questions.iter().any(|question| question.part != Part::Train);
        let training = questions.iter().any(|question| question.part == Part::Train);
        let source = match (held_out, histories, training) {
            (false, ..) => PurchaseSource::Nothing,
            (true, Some(_), _) => PurchaseSource::Histories,
            (true, None, true) => PurchaseSource::TrainingQuestions,
            (true, None, false) => PurchaseSource::OtherCustomers,
        };
        let customers = by_customer(source, questions, folds, histories);
        let times: Vec<(usize, &[Option<i64>])> =
            customers.iter().map(|(_, (items, times))| (items.len(), &times[..])).collect();
        let worth = purchase_weights(&times, RecencyOptions::default())?;
        let mut counted = Self { source, of_item: HashMap::new(), within: HashMap::new() };
        for ((fold, (items, _)), worth) in customers.iter().zip(worth) {
            let mut seen: HashSet<&str> = HashSet::new();
            for (&item, of_late) in items.iter().zip(worth) {
                let customers = if seen.insert(item) { 1.0 } else { 0.0 };
                let of_item = counted.of_item.entry(item).or_default();
                let within = fold.map(|fold| counted.within.entry((fold, item)).or_default());
                for known in [Some(of_item), within].into_iter().flatten() {
                    known.customers += customers;
                    known.of_late += of_late;
                }
            }
        }
        Ok(counted)
    }

    pub(super) fn source(&self) -> PurchaseSource {
        self.source
    }

    /// Whether the counts may be set against a question: they must not hold its answer.
    pub(super) fn may_score(&self, question: &Question) -> bool {
        self.source != PurchaseSource::Nothing && question.part != Part::Train
    }

    /// What is known of each option, without the customers of the fold where they are counted.
    pub(super) fn of_options(&self, question: &Question, fold: usize) -> Vec<Known> {
        let known = |candidate: &Product| {
            let item = candidate.item.as_str();
            let all = self.of_item.get(item).copied().unwrap_or_default();
            let own = self.within.get(&(fold, item)).copied().unwrap_or_default();
            // Rounded, so that a difference of sums does not tell apart what is equal.
            let of_late = ((all.of_late - own.of_late) * 1e9).round() / 1e9;
            Known { customers: all.customers - own.customers, of_late }
        };
        question.candidates.iter().map(known).collect()
    }
}

/// A customer's purchases, the oldest first: items and times.
type Bought<'a> = (Vec<&'a str>, Vec<Option<i64>>);

/// What the purchases are by customer, with the fold of each where folds are not scored by their own.
fn by_customer<'a>(
    source: PurchaseSource,
    questions: &'a [Question],
    folds: &[usize],
    histories: Option<&'a [History]>,
) -> Vec<(Option<usize>, Bought<'a>)> {
    if let (PurchaseSource::Histories, Some(histories)) = (source, histories) {
        let bought = |history: &'a History| -> Bought<'a> {
            (history.items.iter().map(String::as_str).collect(), history.times.clone())
        };
        return histories.iter().map(|history| (None, bought(history))).collect();
    }
    let mut customers: BTreeMap<&str, (Option<usize>, Bought<'a>)> = BTreeMap::new();
    let mut seen: HashSet<(&str, &str, Option<i64>)> = HashSet::new();
    for (question, &fold) in questions.iter().zip(folds) {
        let counts = match source {
            PurchaseSource::TrainingQuestions => question.part == Part::Train,
            PurchaseSource::OtherCustomers => true,
            _ => false,
        };
        if !counts {
            continue;
        }
        let fold = (source == PurchaseSource::OtherCustomers).then_some(fold);
        let (_, (items, times)) =
            customers.entry(&question.user).or_insert((fold, Bought::default()));
        // A customer's later questions hold most of the earlier ones' purchases again.
        let history = question.history.iter().map(|it| (it.product.item.as_str(), it.time));
        for (item, time) in history.chain([(question.target().item.as_str(), question.time)]) {
            if seen.insert((&question.user, item, time)) {
                items.push(item);
                times.push(time);
            }
        }
    }
    customers.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    #[test]
    fn purchases_that_windows_share_count_once_and_the_latest_most() {
        // Windows of two purchases over a, b, c, d, and another customer of another fold.
        let mut questions = vec![
            question("1", &["a", "b"], &["c", "x"], 0),
            question("2", &["b", "c"], &["d", "x"], 0),
            question("3", &["a"], &["x", "d"], 0),
        ];
        questions[1].user = questions[0].user.clone();
        let known = |folds: &[usize], asked: &Question, fold: usize| -> Vec<(f64, f64)> {
            let counted = Purchases::count(&questions, folds, None).unwrap();
            let known = counted.of_options(asked, fold);
            known.iter().map(|known| (known.customers, known.of_late)).collect()
        };
        let asked = question("4", &[], &["a", "b", "c", "d", "x", "y"], 0);
        // Half of its worth is lost with every two later purchases.
        let lost = |later: i32| (0.5f64.powf(f64::from(later) / 2.0) * 1e9).round() / 1e9;
        let first = [(1.0, lost(3)), (1.0, lost(2)), (1.0, lost(1)), (1.0, 1.0), (0.0, 0.0)];
        let found = known(&[0, 0, 1], &asked, 1);
        assert_eq!(found[..5], first);
        assert_eq!(found[5], (0.0, 0.0));
        let found = known(&[0, 0, 1], &asked, 0);
        assert_eq!(found[..2], [(1.0, lost(1)), (0.0, 0.0)]);
        assert_eq!(found[4], (1.0, 1.0));
    }
}
