//! The exact posterior over a question's candidates.

use super::{
    Corpus, SECONDS_PER_DAY,
    process::{Basket, Model},
};
use crate::{Distractors, Question};

impl Corpus {
    /// The probability of each candidate to be the target, by Bayes' rule from the process itself: the
    /// best that any predictor can know. Sums to 1.
    ///
    /// For questions with distractors drawn by popularity; [`oracle_for`](Self::oracle_for) takes others.
    ///
    /// A question shows the latest purchases alone; the oracle looks up all of the user's earlier ones,
    /// by the question's user and time, so that it bounds predictors that see longer histories too. Of
    /// the target's own day it uses what the question's history shows.
    ///
    /// It is meant for test questions of [`prepare`](crate::prepare) with its default filters, where the
    /// target is the user's last purchase. Two things it takes for simpler than they are, with no effect
    /// that thousands of questions would show: distractors are drawn without replacement, and popularity
    /// is counted in the training part, here over all purchases. Questions of training and validation
    /// differ a little more: no distractor is an item that the user buys later, so that distractors are a
    /// trifle less popular than the process alone would have them, and the other purchase of the target's
    /// day may stand after it.
    ///
    /// Candidates that the corpus does not know have probability 0; if it knows none, or the question has
    /// no time, all are alike.
    #[must_use]
    pub fn oracle(&self, question: &Question) -> Vec<f64> {
        self.oracle_for(question, Distractors::Popularity)
    }

    /// As [`oracle`](Self::oracle), for questions whose distractors were drawn in this way.
    ///
    /// The posterior is `P(i | history) / w_i`, normalised over the candidates, where `w_i` is the weight
    /// with which `i` would have been drawn as a distractor: its purchases, or 1 for uniform draws. Where
    /// distractors are not drawn but chosen by their nearness to target or history, what the choice itself
    /// says of the target is left out, and the posterior is a good guess, not the best.
    #[must_use]
    pub fn oracle_for(&self, question: &Question, distractors: Distractors) -> Vec<f64> {
        let count = question.candidates.len();
        let uniform = vec![1.0 / count as f64; count];
        let Some(time) = question.time else {
            return uniform;
        };
        let earlier = self.earlier_baskets(&question.user, time);
        let same_day: Vec<u32> = question
            .history
            .iter()
            .filter(|purchase| purchase.time == Some(time))
            .filter_map(|purchase| self.position(&purchase.product.item))
            .collect();
        let past = Past::new(&self.model, earlier);
        let scores: Vec<f64> = question
            .candidates
            .iter()
            .map(|product| {
                let Some(item) = self.position(&product.item) else {
                    return 0.0;
                };
                let weight = match distractors {
                    Distractors::Popularity | Distractors::Category | Distractors::Brand => {
                        f64::from(self.sales[item as usize].max(1))
                    }
                    Distractors::Uniform
                    | Distractors::Nearest
                    | Distractors::Retrieved
                    | Distractors::Catalogue => 1.0,
                };
                past.predict(item, &same_day) / weight
            })
            .collect();
        let sum: f64 = scores.iter().sum();
        if sum > 0.0 { scores.iter().map(|score| score / sum).collect() } else { uniform }
    }

    fn earlier_baskets(&self, user: &str, time: i64) -> &[Basket] {
        let baskets = self.user_index.get(user).map_or(&[][..], |user| &self.users[*user].baskets);
        &baskets[..baskets.partition_point(|basket| basket.day * SECONDS_PER_DAY < time)]
    }
}

/// A user's past: what it says of the taste, and what the next purchase depends on.
struct Past<'a> {
    model: &'a Model,
    /// `P(k | past)`.
    tastes: Vec<f64>,
    previous: &'a [u32],
    owned: Vec<u32>,
}

impl<'a> Past<'a> {
    fn new(model: &'a Model, baskets: &'a [Basket]) -> Self {
        let mut logs = vec![0.0_f64; model.tastes()];
        let mut owned = Vec::new();
        let mut previous: &[u32] = &[];
        for basket in baskets {
            for (taste, log) in logs.iter_mut().enumerate() {
                *log += match basket.items[..] {
                    [item] => model.purchase(taste, item, previous, &owned),
                    [first, second] => model.pair(taste, [first, second], previous, &owned),
                    _ => unreachable!("a basket holds one item or two"),
                }
                .ln();
            }
            owned.extend(&basket.items);
            previous = &basket.items;
        }
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut tastes: Vec<f64> = logs.iter().map(|log| (log - best).exp()).collect();
        let sum: f64 = tastes.iter().sum();
        tastes.iter_mut().for_each(|weight| *weight /= sum);
        Self { model, tastes, previous, owned }
    }

    /// `Σ_k P(k | past) P(basket | k, past)`, where the basket is the item, with another one of its day
    /// if that is known.
    fn predict(&self, item: u32, same_day: &[u32]) -> f64 {
        let basket = |taste| match same_day {
            [other, ..] => self.model.pair(taste, [*other, item], self.previous, &self.owned),
            [] => self.model.purchase(taste, item, self.previous, &self.owned),
        };
        self.tastes.iter().enumerate().map(|(taste, weight)| weight * basket(taste)).sum()
    }
}
