//! The same predictor with something taken from it: what does it do without?

use std::collections::HashMap;

use nextcart_data::{Purchase, Question};
use nextcart_metrics::SplitMix64;

use crate::error::{Error, Result};
use crate::fnv::hash;
use crate::predictor::{Answer, Predictor};

/// A predictor that is shown another history than the customer's.
///
/// The history-blind twin says how much of a score the options alone give away; the twin with another
/// customer's history, whether it is *this* history that helps or merely one; the twin with a shuffled
/// history, whether its order counts. After the ablations by which hypothesis-only baselines are found
/// (Poliak et al. 2018, <https://arxiv.org/abs/1805.01042>).
///
/// ```
/// use nextcart_eval::{Edited, FnPredictor, Predictor};
///
/// let by_history = FnPredictor::new("mine", |question| {
///     vec![question.history.len() as f64; question.candidates.len()]
/// });
/// assert_eq!(Edited::without_history(by_history).name(), "mine, without history");
/// ```
#[derive(Debug, Clone)]
pub struct Edited<P> {
    name: String,
    inner: P,
    edit: Edit,
}

#[derive(Debug, Clone)]
enum Edit {
    None,
    /// Histories by the id of the question that they are shown in.
    Other(HashMap<String, Vec<Purchase>>),
    Shuffled(u64),
}

impl<P: Predictor> Edited<P> {
    /// The history-blind twin: it sees no purchases.
    pub fn without_history(inner: P) -> Self {
        Self::new(inner, "without history", Edit::None)
    }

    /// The twin that sees the history of another customer of these questions, drawn by a seed. A drawn
    /// history keeps as many of its latest purchases as the customer's own has, if it has so many.
    ///
    /// # Errors
    /// [`Error::NoOtherCustomer`] if all questions are of one customer.
    pub fn with_other_history(inner: P, questions: &[Question], seed: u64) -> Result<Self> {
        let mut order: Vec<usize> = (0..questions.len()).collect();
        shuffle(&mut order, &mut SplitMix64::new(seed));
        let mut histories = HashMap::with_capacity(questions.len());
        for (place, &index) in order.iter().enumerate() {
            let question = &questions[index];
            let donors =
                (1..order.len()).map(|step| &questions[order[(place + step) % order.len()]]);
            let donor = donors
                .into_iter()
                .find(|donor| donor.user != question.user)
                .ok_or_else(|| Error::NoOtherCustomer { user: question.user.clone() })?;
            let hidden = donor.history.len().saturating_sub(question.history.len());
            histories.insert(question.id.clone(), donor.history[hidden..].to_vec());
        }
        Ok(Self::new(inner, "another's history", Edit::Other(histories)))
    }

    /// The twin that sees the customer's purchases in an order drawn by a seed.
    pub fn with_shuffled_history(inner: P, seed: u64) -> Self {
        Self::new(inner, "shuffled history", Edit::Shuffled(seed))
    }

    /// The same under another name (default the predictor's with what was done).
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    fn new(inner: P, how: &str, edit: Edit) -> Self {
        Self { name: format!("{}, {how}", inner.name()), inner, edit }
    }

    fn edited(&self, question: &Question) -> Result<Question> {
        let mut edited = question.clone();
        match &self.edit {
            Edit::None => edited.history.clear(),
            Edit::Other(histories) => {
                let history = histories
                    .get(&question.id)
                    .ok_or_else(|| Error::UnknownQuestion { question: question.id.clone() })?;
                edited.history.clone_from(history);
            }
            Edit::Shuffled(seed) => {
                // By the question, so that the order does not depend on when it is asked.
                let seed = seed ^ hash(question.id.as_bytes());
                shuffle(&mut edited.history, &mut SplitMix64::new(seed));
            }
        }
        Ok(edited)
    }
}

impl<P: Predictor> Predictor for Edited<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let edited = self.edited(question)?;
        self.inner.score(&edited)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer> {
        let edited = self.edited(question)?;
        self.inner.answer(&edited)
    }
}

/// Fisher and Yates.
pub(crate) fn shuffle<T>(values: &mut [T], random: &mut SplitMix64) {
    for last in (1..values.len()).rev() {
        values.swap(last, random.below(last + 1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::FnPredictor;
    use crate::fixtures::question;

    fn questions() -> Vec<Question> {
        (0..6)
            .map(|i| {
                let titles: Vec<String> = (0..=i).map(|n| format!("{i}-{n}")).collect();
                let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
                question(&i.to_string(), &titles, &["a", "b"], 0)
            })
            .collect()
    }

    /// The histories that a predictor sees, by question.
    fn seen(
        edit: impl FnOnce(&mut dyn Predictor) -> Result<Edited<&mut dyn Predictor>>,
    ) -> Vec<Vec<String>> {
        let seen = RefCell::new(Vec::new());
        let mut inner = FnPredictor::new("inner", |q| {
            let titles = q.history.iter().map(|purchase| purchase.product.title.clone());
            seen.borrow_mut().push(titles.collect());
            vec![0.0; q.candidates.len()]
        });
        let mut edited = edit(&mut inner).unwrap();
        for question in &questions() {
            edited.score(question).unwrap();
        }
        drop(edited);
        seen.into_inner()
    }

    #[test]
    fn a_blind_twin_sees_no_purchase() {
        let histories = seen(|inner| Ok(Edited::without_history(inner)));
        assert!(histories.iter().all(Vec::is_empty));
    }

    #[test]
    fn another_customers_history_is_never_ones_own_and_no_longer() {
        let histories = seen(|inner| Edited::with_other_history(inner, &questions(), 4));
        for (i, history) in histories.iter().enumerate() {
            assert!(history.len() <= i + 1 && !history.is_empty());
            assert!(!history[0].starts_with(&format!("{i}-")), "{i}: {history:?}");
        }
        let mut same = questions();
        same.iter_mut().for_each(|question| question.user = "one".into());
        let inner = FnPredictor::new("inner", |_| vec![0.0, 0.0]);
        let refused = Edited::with_other_history(inner, &same, 4);
        assert!(matches!(refused, Err(Error::NoOtherCustomer { .. })));
    }

    #[test]
    fn a_shuffled_history_holds_the_same_purchases() {
        let shuffled = || seen(|inner| Ok(Edited::with_shuffled_history(inner, 9)));
        assert_eq!(shuffled(), shuffled());
        let mut moved = 0;
        for (i, mut history) in shuffled().into_iter().enumerate() {
            let expected: Vec<String> = (0..=i).map(|n| format!("{i}-{n}")).collect();
            moved += usize::from(history != expected);
            history.sort();
            assert_eq!(history, expected);
        }
        assert!(moved > 2);
    }
}
