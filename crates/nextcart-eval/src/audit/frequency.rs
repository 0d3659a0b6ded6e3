//! Whether the answer is known by how often it was bought.

use std::collections::{HashMap, HashSet};

use nextcart_data::{History, Part, Question};
use serde::Serialize;

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

/// How many customers bought each item.
pub(super) struct Purchases<'a> {
    source: PurchaseSource,
    customers: HashMap<&'a str, u32>,
    /// The same within each fold, where the folds are not scored by their own.
    within: HashMap<(usize, &'a str), u32>,
}

impl<'a> Purchases<'a> {
    pub(super) fn count(
        questions: &'a [Question],
        folds: &[usize],
        histories: Option<&'a [History]>,
    ) -> Self {
        let held_out = questions.iter().any(|question| question.part != Part::Train);
        let training = questions.iter().any(|question| question.part == Part::Train);
        let source = match (held_out, histories, training) {
            (false, ..) => PurchaseSource::Nothing,
            (true, Some(_), _) => PurchaseSource::Histories,
            (true, None, true) => PurchaseSource::TrainingQuestions,
            (true, None, false) => PurchaseSource::OtherCustomers,
        };
        let mut counted = Self { source, customers: HashMap::new(), within: HashMap::new() };
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        if let (PurchaseSource::Histories, Some(histories)) = (source, histories) {
            for history in histories {
                for item in &history.items {
                    if seen.insert((&history.user, item)) {
                        *counted.customers.entry(item).or_default() += 1;
                    }
                }
            }
            return counted;
        }
        for (question, &fold) in questions.iter().zip(folds) {
            let counts = match source {
                PurchaseSource::TrainingQuestions => question.part == Part::Train,
                PurchaseSource::OtherCustomers => true,
                _ => false,
            };
            if !counts {
                continue;
            }
            let history = question.history.iter().map(|purchase| purchase.product.item.as_str());
            for item in history.chain([question.target().item.as_str()]) {
                if seen.insert((&question.user, item)) {
                    *counted.customers.entry(item).or_default() += 1;
                    *counted.within.entry((fold, item)).or_default() += 1;
                }
            }
        }
        counted
    }

    pub(super) fn source(&self) -> PurchaseSource {
        self.source
    }

    /// Whether the counts may be set against a question: they must not hold its answer.
    pub(super) fn may_score(&self, question: &Question) -> bool {
        self.source != PurchaseSource::Nothing && question.part != Part::Train
    }

    /// Customers who bought each option, without those of the fold where the counts hold them.
    pub(super) fn of_options(&self, question: &Question, fold: usize) -> Vec<f64> {
        let count = |item: &str| {
            let all = self.customers.get(item).copied().unwrap_or_default();
            match self.source {
                PurchaseSource::OtherCustomers => {
                    all - self.within.get(&(fold, item)).copied().unwrap_or_default()
                }
                _ => all,
            }
        };
        question.candidates.iter().map(|candidate| f64::from(count(&candidate.item))).collect()
    }
}
