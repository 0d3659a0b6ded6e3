//! Whether a predictor cares in which order the options stand.

use nextcart_data::Question;
use nextcart_metrics::{Rank, TieRule};
use nextcart_models::{average_over_orders, cyclic_orders};
use serde::Serialize;

use crate::Predictor;
use crate::error::{Error, Result};
use crate::evaluation::{CONFIDENCE, Evaluation, Score, ask, check_answer};
use nextcart_metrics::wilson;

/// How a predictor does where the answer stands at one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlaceScore {
    /// The place, from 0.
    pub place: usize,
    /// Questions whose answer stands there.
    pub answers: usize,
    /// Share of these that are answered right, ties split; `None` if there are none.
    pub accuracy: Option<f64>,
    /// Lower bound of its 95 % Wilson interval, 0 if there are none.
    pub low: f64,
    /// Upper bound, 1 if there are none.
    pub high: f64,
    /// Share of all questions in which the predictor picks this place; of a tie the first place counts.
    pub picked: f64,
}

/// What changes if the options of a question stand in other orders.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrderConsistency {
    /// Questions, each asked in all cyclic orders of its options.
    pub n: usize,
    /// Share of questions that are answered by the same option in all orders, in `[0, 1]`; options that tie for
    /// the top count together, and an answer that is none of the options is never the same.
    pub consistent: f64,
    /// Mean accuracy over all orders: that of a question whose options stand in no particular order.
    pub accuracy: f64,
    /// Accuracy of the scores averaged over the orders, which takes out the preference for a place; wrong where
    /// the answer is none of the options in any order.
    pub averaged: Score,
    /// By the place of the answer, over all orders: every answer stood in every place.
    pub places: Vec<PlaceScore>,
    /// Standard deviation of the accuracy over the places, 0 for a predictor that prefers none (RStd of Zheng
    /// et al., *Large Language Models Are Not Robust Multiple Choice Selectors*,
    /// <https://arxiv.org/abs/2309.03882>).
    pub spread: f64,
}

/// Accuracy by the place of the answer.
#[must_use]
pub fn by_place(evaluation: &Evaluation) -> Vec<PlaceScore> {
    let seen = evaluation.predictions.iter();
    let seen: Vec<Seen> = seen
        .map(|p| Seen { answer: p.answer, picked: p.valid.then_some(p.predicted), hit: p.hit })
        .collect();
    places(&seen)
}

/// Asks every question once in each cyclic order of its options (`n` orders of `n` options), which moves every
/// option to every place.
///
/// # Errors
/// As [`evaluate`](crate::evaluate).
pub fn order_consistency(
    predictor: &mut (impl Predictor + ?Sized),
    questions: &[Question],
) -> Result<OrderConsistency> {
    let mut seen = Vec::new();
    let mut averaged = Vec::with_capacity(questions.len());
    let mut consistent = 0;
    for question in questions {
        check_answer(question)?;
        let orders = cyclic_orders(question.candidates.len());
        let mut scores = Vec::with_capacity(orders.len());
        let mut preferred: Vec<Vec<usize>> = Vec::with_capacity(orders.len()); // none of an invalid answer
        for order in &orders {
            let mut moved = question.clone();
            moved.candidates =
                order.iter().map(|&option| question.candidates[option].clone()).collect();
            let answer = order.iter().position(|&option| option == question.answer);
            moved.answer = answer.unwrap_or_default(); // every order holds it
            let found = ask(predictor, &moved)?;
            let picked = found.valid.then_some(found.predicted);
            seen.push(Seen { answer: found.answer, picked, hit: found.hit });
            preferred.push(top(&found.scores, order, found.valid));
            scores.push(found.scores);
        }
        let same = preferred.iter().all(|options| *options == preferred[0]);
        consistent += usize::from(same && !preferred[0].is_empty());
        let mean = average_over_orders(&orders, &scores);
        // Averages of infinities of both signs are no numbers: such a question counts as wrong.
        let rank = Rank::of(&mean, question.answer).ok();
        let rank = rank.filter(|_| preferred.iter().any(|options| !options.is_empty()));
        averaged.push(rank.map_or(0.0, |rank| rank.hit_at(1, TieRule::Expected)));
    }
    let averaged = Score::of(predictor.name(), averaged.into_iter())?;
    let hits: f64 = seen.iter().map(|seen| seen.hit).sum();
    let places = places(&seen);
    Ok(OrderConsistency {
        n: questions.len(),
        consistent: consistent as f64 / questions.len() as f64,
        accuracy: hits / seen.len().max(1) as f64,
        averaged,
        spread: deviation(&places).ok_or(Error::NoQuestions { purpose: "score" })?,
        places,
    })
}

struct Seen {
    answer: usize,
    picked: Option<usize>,
    hit: f64,
}

/// The options that share the highest score, none of an invalid answer.
fn top(scores: &[f64], order: &[usize], valid: bool) -> Vec<usize> {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let places = (0..scores.len()).filter(|&place| valid && scores[place] == best);
    let mut options: Vec<usize> = places.map(|place| order[place]).collect();
    options.sort_unstable();
    options
}

fn places(seen: &[Seen]) -> Vec<PlaceScore> {
    let count = seen.iter().map(|s| s.answer.max(s.picked.unwrap_or_default()) + 1).max();
    (0..count.unwrap_or_default())
        .map(|place| {
            let here = || seen.iter().filter(|seen| seen.answer == place);
            let (answers, hits): (usize, f64) = (here().count(), here().map(|seen| seen.hit).sum());
            let interval = wilson(hits, answers, CONFIDENCE).ok().flatten();
            let picked = seen.iter().filter(|seen| seen.picked == Some(place)).count();
            PlaceScore {
                place,
                answers,
                accuracy: (answers > 0).then(|| hits / answers as f64),
                low: interval.map_or(0.0, |interval| interval.low),
                high: interval.map_or(1.0, |interval| interval.high),
                picked: picked as f64 / seen.len() as f64,
            }
        })
        .collect()
}

fn deviation(places: &[PlaceScore]) -> Option<f64> {
    let accuracies: Vec<f64> = places.iter().filter_map(|place| place.accuracy).collect();
    let n = accuracies.len() as f64;
    let mean = accuracies.iter().sum::<f64>() / n;
    let variance = accuracies.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / n;
    (n > 0.0).then(|| variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;
    use crate::{Answer, Chance, FnPredictor, evaluate};

    fn questions() -> Vec<Question> {
        let titles = ["d", "b", "c", "a"];
        (0..20).map(|i| question(&i.to_string(), &[], &titles, usize::from(i < 15))).collect()
    }

    #[test]
    fn one_that_likes_a_place_is_never_consistent_and_right_there_alone() {
        let mut first = FnPredictor::new("first", |_| vec![1.0, 0.0, 0.0, 0.0]);
        let found = order_consistency(&mut first, &questions()).unwrap();
        assert_eq!((found.consistent, found.accuracy, found.n), (0.0, 0.25, 20));
        assert_eq!(found.averaged.accuracy, 0.25); // four equal scores
        let accuracies: Vec<Option<f64>> =
            found.places.iter().map(|place| place.accuracy).collect();
        assert_eq!(accuracies, [Some(1.0), Some(0.0), Some(0.0), Some(0.0)]);
        assert!((found.spread - 0.1875_f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.places[0].picked, 1.0);
    }

    #[test]
    fn one_that_likes_a_title_is_consistent() {
        let mut by_title = FnPredictor::new("by_title", |q| {
            q.candidates.iter().map(|c| -f64::from(c.title.as_bytes()[0])).collect()
        });
        let found = order_consistency(&mut by_title, &questions()).unwrap();
        assert_eq!((found.consistent, found.accuracy, found.spread), (1.0, 0.0, 0.0));
        let found = order_consistency(&mut Chance, &questions()).unwrap();
        assert_eq!((found.consistent, found.accuracy, found.spread), (1.0, 0.25, 0.0));
    }

    /// Writes the title of the option `b`, or what is no option.
    struct Writer {
        rubbish: bool,
    }

    impl Predictor for Writer {
        fn name(&self) -> &str {
            "writer"
        }

        fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
            Ok(self.answer(question)?.scores)
        }

        fn answer(&mut self, question: &Question) -> Result<Answer> {
            let written = |title: &str| f64::from(u8::from(!self.rubbish && title == "b"));
            let scores = question.candidates.iter().map(|c| written(&c.title)).collect();
            Ok(Answer { scores, text: Some("b".into()), valid: !self.rubbish })
        }
    }

    #[test]
    fn rubbish_in_every_order_is_neither_consistent_nor_right() {
        let found = order_consistency(&mut Writer { rubbish: true }, &questions()).unwrap();
        assert_eq!((found.consistent, found.accuracy, found.averaged.accuracy), (0.0, 0.0, 0.0));
        let found = order_consistency(&mut Writer { rubbish: false }, &questions()).unwrap();
        assert_eq!((found.consistent, found.averaged.accuracy), (1.0, 0.75));
        let none = [question("q", &[], &[], 0)];
        let error = order_consistency(&mut Chance, &none).unwrap_err();
        assert!(matches!(error, Error::Answer { .. }), "{error}");
    }

    #[test]
    fn accuracy_is_told_by_place() {
        let mut second = FnPredictor::new("second", |_| vec![0.0, 1.0, 0.0, 0.0]);
        let found = by_place(&evaluate(&mut second, &questions()).unwrap());
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].answers, found[0].accuracy, found[0].picked), (5, Some(0.0), 0.0));
        assert_eq!((found[1].answers, found[1].accuracy, found[1].picked), (15, Some(1.0), 1.0));
    }
}
