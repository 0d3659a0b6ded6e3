//! Whether the answer is known by how often it was bought, or by how often of late.

use std::collections::{BTreeMap, HashMap, HashSet};

use nextcart_data::{History, Part, Product, Question};
use serde::Serialize;

use crate::baselines::{RecencyOptions, RecentPopularity};
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

/// What is known of an option's purchases.
pub(super) struct Bought {
    /// Customers who bought it.
    pub(super) customers: f64,
    /// What its purchases of late are worth, as [`RecentPopularity`] weighs them.
    pub(super) of_late: f64,
}

/// How many customers bought each item, and how many of late.
pub(super) struct Purchases<'a> {
    source: PurchaseSource,
    customers: HashMap<&'a str, u32>,
    /// The same within each fold, where the folds are not scored by their own.
    within: HashMap<(usize, &'a str), u32>,
    /// What purchases of late are worth: one for all folds, or for each one of the other folds' customers.
    recent: Vec<RecentPopularity>,
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
        let recent = recent(source, questions, folds, histories)?;
        let mut counted =
            Self { source, customers: HashMap::new(), within: HashMap::new(), recent };
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        if let (PurchaseSource::Histories, Some(histories)) = (source, histories) {
            for history in histories {
                for item in &history.items {
                    if seen.insert((&history.user, item)) {
                        *counted.customers.entry(item).or_default() += 1;
                    }
                }
            }
            return Ok(counted);
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
    pub(super) fn of_options(&self, question: &Question, fold: usize) -> Vec<Bought> {
        let recent = &self.recent[if self.recent.len() > 1 { fold } else { 0 }];
        let count = |item: &str| {
            let all = self.customers.get(item).copied().unwrap_or_default();
            match self.source {
                PurchaseSource::OtherCustomers => {
                    all - self.within.get(&(fold, item)).copied().unwrap_or_default()
                }
                _ => all,
            }
        };
        let bought = |candidate: &Product| Bought {
            customers: f64::from(count(&candidate.item)),
            of_late: recent.weight(&candidate.item),
        };
        question.candidates.iter().map(bought).collect()
    }
}

/// Fits what [`Purchases`] tells of late.
fn recent(
    source: PurchaseSource,
    questions: &[Question],
    folds: &[usize],
    histories: Option<&[History]>,
) -> Result<Vec<RecentPopularity>> {
    let fit = |histories: &[History]| RecentPopularity::fit(histories, RecencyOptions::default());
    match (source, histories) {
        (PurchaseSource::Nothing, _) => Ok(Vec::new()),
        (PurchaseSource::Histories, Some(histories)) => Ok(vec![fit(histories)?]),
        (PurchaseSource::OtherCustomers, _) => {
            let others = |fold| {
                let of = questions.iter().zip(folds).filter(move |(_, of)| **of != fold);
                longest_histories(of.map(|(question, _)| question))
            };
            let folds = folds.iter().max().map_or(0, |last| last + 1).max(2);
            (0..folds).map(|fold| fit(&others(fold))).collect()
        }
        (PurchaseSource::TrainingQuestions | PurchaseSource::Histories, _) => {
            let training = questions.iter().filter(|question| question.part == Part::Train);
            Ok(vec![fit(&longest_histories(training))?])
        }
    }
}

/// Each customer's purchases, as the question with the most of them tells.
fn longest_histories<'a>(questions: impl Iterator<Item = &'a Question>) -> Vec<History> {
    let mut longest: BTreeMap<&str, &Question> = BTreeMap::new();
    for question in questions {
        let known = longest.entry(&question.user).or_insert(question);
        if question.history.len() > known.history.len() {
            *known = question;
        }
    }
    let history = |(user, question): (&str, &Question)| {
        let bought =
            question.history.iter().map(|purchase| (&purchase.product.item, purchase.time));
        let (items, times) = bought
            .chain([(&question.target().item, question.time)])
            .map(|(item, time)| (item.clone(), time))
            .unzip();
        History { user: user.to_owned(), items, times }
    };
    longest.into_iter().map(history).collect()
}
