//! How much so many questions can show.

use std::collections::HashSet;

use nextcart_metrics::{Sensitivity, detectable_difference, detectable_paired_difference};
use serde::Serialize;

use super::Report;
use super::figures::{interval, percent};
use crate::error::Result;
use crate::evaluation::{Evaluation, if_paired};

/// What stands behind a score beside its own interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Certainty {
    /// Customers who were asked.
    customers: usize,
    /// The score's 95 % interval by a bootstrap over customers.
    by_customer: [f64; 2],
    /// The least difference that a test at 5 % shows with a probability of 80 %, if any does.
    detectable: Option<f64>,
    /// Whether that is a difference on the same questions, from the best baseline, or on other ones.
    paired: bool,
    /// All of it in words.
    pub(super) sentence: String,
}

impl Certainty {
    /// Of the run's result; `None` where the questions are not the ones it was asked.
    pub(super) fn of(report: &Report<'_>) -> Result<Option<Self>> {
        let Some(main) = report.main() else { return Ok(None) };
        let Some(found) = if_paired(main.by_user(report.questions))? else { return Ok(None) };
        let customers: HashSet<&str> =
            report.questions.iter().map(|question| question.user.as_str()).collect();
        let other =
            report.best_baseline().filter(|other| other.name != main.name && other.is_paired(main));
        let detectable = match other {
            Some(other) => {
                let apart = disagreement(main, other);
                detectable_paired_difference(main.n, apart, Sensitivity::default())?
            }
            None => detectable_difference(main.n, main.accuracy, Sensitivity::default())?,
        };
        let mut certainty = Self {
            customers: customers.len(),
            by_customer: [found.interval.low, found.interval.high],
            detectable,
            paired: other.is_some(),
            sentence: String::new(),
        };
        certainty.sentence = certainty.words(&main.name, other);
        Ok(Some(certainty))
    }

    fn words(&self, main: &str, other: Option<&Evaluation>) -> String {
        let Self { customers, by_customer: [low, high], detectable, .. } = *self;
        let mut text = match low < high {
            true => format!(
                "Resampled by customer, of whom there are {customers}, the interval of `{main}` is {}.",
                interval(low, high)
            ),
            false => format!(
                "With all of {customers} customers, `{main}` does equally well: resampling them shows no interval."
            ),
        };
        let from = match other {
            Some(other) => format!("from `{}` on the same questions", other.name),
            None => "from another model on other questions".to_owned(),
        };
        text += &match detectable {
            Some(least) => format!(
                " So many questions show a difference of {} {from} in four of five tests at 5 %; a smaller one \
                 is more often missed.",
                percent(least)
            ),
            None => format!(" So few questions show no difference {from} reliably."),
        };
        text
    }
}

/// Share of questions that one alone has right.
fn disagreement(a: &Evaluation, b: &Evaluation) -> f64 {
    let pairs = a.predictions.iter().zip(&b.predictions);
    let apart = pairs.filter(|(a, b)| a.is_right() != b.is_right()).count();
    apart as f64 / a.n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;
    use crate::{Error, FnPredictor, evaluate};

    #[test]
    fn customers_are_counted_and_the_least_difference_follows_the_disagreement() {
        let mut questions: Vec<_> =
            (0..200).map(|n| question(&n.to_string(), &[], &["a", "b"], n % 2)).collect();
        for (n, question) in questions.iter_mut().enumerate() {
            question.user = format!("u{}", n / 4);
        }
        let picks = |name: &str, first: fn(usize) -> bool| {
            let mut predictor = FnPredictor::new(name, move |question| {
                let n: usize = question.id.parse().expect("a number");
                let at = usize::from(first(n) != (question.answer == 0));
                (0..2).map(|place| f64::from(u8::from(place == at))).collect()
            });
            evaluate(&mut predictor, &questions).unwrap()
        };
        let report = |evaluations| {
            let report = Report { questions: &questions, evaluations, ..Report::default() };
            Certainty::of(&report).unwrap().unwrap()
        };
        // Right in 3 of 4, and in all but 1 of 10.
        let mine = picks("fine_tuned", |n| n % 4 != 0);
        let alone = report(std::slice::from_ref(&mine));
        assert_eq!((alone.customers, alone.paired), (50, false));
        let [low, high] = alone.by_customer;
        assert!(low <= mine.accuracy && mine.accuracy <= high, "{alone:?}");
        let beside = report(&[mine.clone(), picks("stack", |n| n % 10 != 0)]);
        // They differ where one of the two is wrong: 50 + 20 - 2 · 10 of 200.
        let expected = detectable_paired_difference(200, 0.25, Sensitivity::default()).unwrap();
        assert_eq!((beside.detectable, beside.paired), (expected, true));
        assert!(beside.sentence.contains("from `stack` on the same questions"), "{beside:?}");
        // Other questions than those that were asked say nothing.
        let other = Report {
            questions: &questions[1..],
            evaluations: std::slice::from_ref(&mine),
            ..Report::default()
        };
        assert_eq!(Certainty::of(&other).unwrap(), None);
        // What cannot be computed is an error.
        let mut broken = mine.clone();
        broken.predictions[0].hit = f64::NAN;
        let refused = Report {
            questions: &questions,
            evaluations: std::slice::from_ref(&broken),
            ..Report::default()
        };
        assert!(matches!(Certainty::of(&refused), Err(Error::Metric(_))));
    }
}
