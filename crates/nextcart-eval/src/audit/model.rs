//! What a model's score is made of: the same model with something taken from it.

use std::fmt::Write as _;

use nextcart_data::Question;
use nextcart_metrics::{holm, wilson};
use serde::Serialize;

use super::{Audit, Verdict, corrected, is_leak};
use crate::Predictor;
use crate::edited::Edited;
use crate::error::{Error, Result};
use crate::evaluation::{Comparison, Evaluation, Score, chance, compare, evaluate};
use crate::orders::{OrderConsistency, PlaceScore, by_place, order_consistency};
use crate::spread::spread;

/// How much of the questions a model's audit asks again.
#[derive(Debug, Clone, Copy)]
pub struct ModelAuditOptions {
    /// Questions whose options are put into all cyclic orders, evenly spaced (default 200; 0 for none). Each
    /// costs as many answers as it has options.
    pub ordered: usize,
    /// Seed of the other customers and shuffles (default 1).
    pub seed: u64,
}

impl Default for ModelAuditOptions {
    fn default() -> Self {
        Self { ordered: 200, seed: 1 }
    }
}

/// A model's score beside those of its twins, on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelAudit {
    /// Accuracy of guessing on these questions.
    pub chance: f64,
    /// The model as it is.
    pub full: Score,
    /// Without the history.
    pub blind: Score,
    /// With the history of another customer.
    pub other_history: Score,
    /// With the history in another order.
    pub shuffled: Score,
    /// The model over its history-blind twin: the figure to quote.
    pub lift: Comparison,
    /// The model over its twin with another customer's history.
    pub over_other_history: Comparison,
    /// The model over its twin with a shuffled history.
    pub over_shuffled: Comparison,
    /// Accuracy by the place of the answer.
    pub places: Vec<PlaceScore>,
    /// What changes with the order of the options, if that was asked.
    pub orders: Option<OrderConsistency>,
}

/// Asks a model the same questions without the history, with another customer's and with a shuffled one, and
/// some of them with their options in other orders. `full` is what it answered before.
///
/// # Errors
/// As [`evaluate`], and if `full` is of other questions or all questions are of one customer.
pub fn audit_model(
    predictor: &mut dyn Predictor,
    full: &Evaluation,
    questions: &[Question],
    options: &ModelAuditOptions,
) -> Result<ModelAudit> {
    let chance = chance(questions).ok_or(Error::NoQuestions { purpose: "audit" })?;
    let blind = evaluate(&mut Edited::without_history(&mut *predictor), questions)?;
    let lift = compare(full, &blind)?;
    let mut other = Edited::with_other_history(&mut *predictor, questions, options.seed)?;
    let other = evaluate(&mut other, questions)?;
    let mut shuffled = Edited::with_shuffled_history(&mut *predictor, options.seed);
    let shuffled = evaluate(&mut shuffled, questions)?;
    let orders = match options.ordered {
        0 => None,
        ordered => Some(order_consistency(predictor, &spread(questions, ordered))?),
    };
    Ok(ModelAudit {
        chance,
        full: full.score(),
        blind: blind.score(),
        other_history: other.score(),
        shuffled: shuffled.score(),
        lift,
        over_other_history: compare(full, &other)?,
        over_shuffled: compare(full, &shuffled)?,
        places: by_place(full),
        orders,
    })
}

impl ModelAudit {
    /// The scores, the model's own first, as for a [`ScoreTable`](crate::ScoreTable).
    #[must_use]
    pub fn scores(&self) -> Vec<Score> {
        [&self.full, &self.blind, &self.other_history, &self.shuffled].map(Score::clone).into()
    }

    /// The finding in plain words. The p-values are Holm's, of the three comparisons together.
    #[must_use]
    pub fn explain(&self) -> String {
        let compared = [&self.lift, &self.over_other_history, &self.over_shuffled];
        // P-values of tests are always probabilities.
        let p = holm(&compared.map(|comparison| comparison.p)).unwrap_or_else(|_| vec![1.0; 3]);
        let mut text = format!("`{}`", self.full.name);
        let twins = [
            "itself without the history",
            "itself with another customer's history",
            "itself with the history in another order",
        ];
        for (place, ((comparison, twin), p)) in compared.iter().zip(twins).zip(p).enumerate() {
            let joint = if place == 0 { " is" } else { ";" };
            let _ = write!(
                text,
                "{joint} {:.1} points {} {twin} (95 % interval {:+.1} to {:+.1}, p = {p:.4})",
                100.0 * comparison.difference.abs(),
                if comparison.difference < 0.0 { "below" } else { "above" },
                100.0 * comparison.low,
                100.0 * comparison.high,
            );
        }
        text.push_str(
            ". The p-values are Holm's, of these three together; each interval stands by itself.",
        );
        if let Some(orders) = &self.orders {
            let _ = write!(
                text,
                " In all cyclic orders of the options it names the same one in {:.1} % of {} questions, and its \
                 accuracy varies by {:.1} points (standard deviation) with the place of the answer.",
                100.0 * orders.consistent,
                orders.n,
                100.0 * orders.spread,
            );
        }
        text
    }
}

/// An audit of questions, and of the models that answered them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FullAudit {
    /// What the questions give away.
    pub questions: Audit,
    /// What each model's score is made of.
    pub models: Vec<ModelAudit>,
}

impl From<Audit> for FullAudit {
    /// An audit of questions that no model has answered yet.
    fn from(questions: Audit) -> Self {
        Self { questions, models: Vec::new() }
    }
}

impl FullAudit {
    /// The verdict on the questions, with the models' history-blind twins judged as the rules are, among
    /// themselves and on the questions that they answered: one that is surely above chance, and by more than the
    /// margin, makes a leak; one that may be leaves a clean verdict inconclusive.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.models.iter().any(|model| self.twin_leaks(model)) {
            return Verdict::Leaks;
        }
        let margin = self.questions.margin;
        let may_leak = |model: &ModelAudit| model.blind.high > model.chance + margin;
        match self.questions.verdict {
            Verdict::Clean if self.models.iter().any(may_leak) => Verdict::Inconclusive,
            verdict => verdict,
        }
    }

    /// Whether one of the models shows a leak without the history.
    pub(crate) fn twin_leaks(&self, model: &ModelAudit) -> bool {
        let Score { accuracy, n, .. } = model.blind;
        let interval = wilson(accuracy * n as f64, n, corrected(self.models.len()));
        let low = interval.ok().flatten().map_or(0.0, |interval| interval.low);
        is_leak(accuracy, low, n, model.chance)
    }

    /// The findings in plain words, a paragraph each.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = self.questions.explain();
        for model in &self.models {
            let _ = write!(text, "\n\n{}", model.explain());
        }
        if self.verdict() != self.questions.verdict {
            let finding = match self.verdict() {
                Verdict::Leaks => {
                    "A model without the history is surely above chance: the questions leak, though no rule \
                     shows it."
                }
                _ => "A model without the history was asked too few questions to exclude a leak.",
            };
            let _ = write!(text, "\n\n{finding}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use nextcart_metrics::SplitMix64;

    use super::*;
    use crate::fixtures::question;
    use crate::{FnPredictor, audit};

    /// Questions that the history answers: what was bought last is bought again.
    fn questions() -> Vec<Question> {
        let titles = ["Tea", "Oil", "Rice", "Soap"];
        let mut random = SplitMix64::new(6);
        (0..400)
            .map(|i| {
                let answer = random.below(4);
                let history = [titles[(answer + 1) % 4], titles[answer]];
                question(&i.to_string(), &history, &titles, answer)
            })
            .collect()
    }

    /// Picks what was bought last.
    fn last() -> impl Predictor {
        FnPredictor::new("last", |q| {
            let last = q.history.last().map(|purchase| purchase.product.item.clone());
            let same = |c: &nextcart_data::Product| Some(&c.item) == last.as_ref();
            q.candidates.iter().map(|c| f64::from(u8::from(same(c)))).collect()
        })
    }

    #[test]
    fn a_model_that_reads_the_history_loses_all_without_it() {
        let (questions, mut model) = (questions(), last());
        let full = evaluate(&mut model, &questions).unwrap();
        let options = ModelAuditOptions { ordered: 20, ..ModelAuditOptions::default() };
        let found = audit_model(&mut model, &full, &questions, &options).unwrap();
        assert_eq!((found.full.accuracy, found.blind.accuracy), (1.0, 0.25));
        assert_eq!(found.lift.difference, 0.75);
        assert!((0.15..0.35).contains(&found.other_history.accuracy), "{found:?}");
        assert!((0.4..0.6).contains(&found.shuffled.accuracy), "{found:?}");
        let orders = found.orders.as_ref().unwrap();
        assert_eq!((orders.n, orders.consistent, orders.spread), (20, 1.0, 0.0));
        assert_eq!(found.places.len(), 4);
        let text = found.explain();
        assert!(
            text.starts_with("`last` is 75.0 points above itself without the history"),
            "{text}"
        );
        assert!(text.contains("p-values are Holm's"), "{text}");
        assert!(text.contains("the same one in 100.0 % of 20 questions"), "{text}");

        let whole = FullAudit { questions: audit(&questions).unwrap(), models: vec![found] };
        assert_eq!(whole.verdict(), Verdict::Inconclusive, "400 questions are few");
        assert!(whole.explain().contains("\n\n`last` is 75.0 points above"), "{}", whole.explain());
    }

    #[test]
    fn as_many_questions_are_put_into_all_orders_as_were_asked_for() {
        let (questions, mut model) = (questions(), last());
        let full = evaluate(&mut model, &questions).unwrap();
        for (ordered, expected) in [(300, 300), (500, 400)] {
            let options = ModelAuditOptions { ordered, ..ModelAuditOptions::default() };
            let found = audit_model(&mut model, &full, &questions, &options).unwrap();
            assert_eq!(found.orders.map(|orders| orders.n), Some(expected));
        }
    }

    #[test]
    fn a_blind_twin_above_chance_is_a_leak_that_no_rule_shows() {
        // The answer's letter code is known to the model alone.
        let mut questions = questions();
        for question in &mut questions {
            question.candidates[question.answer].brand = Some("known".into());
            for other in &mut question.candidates {
                other.brand.get_or_insert_with(|| "other".into());
            }
        }
        let mut model = FnPredictor::new("knows", |q| {
            let known = |c: &nextcart_data::Product| c.brand.as_deref() == Some("known");
            q.candidates.iter().map(|c| f64::from(u8::from(known(c)))).collect()
        });
        let full = evaluate(&mut model, &questions).unwrap();
        let options = ModelAuditOptions { ordered: 0, ..ModelAuditOptions::default() };
        let found = audit_model(&mut model, &full, &questions, &options).unwrap();
        assert_eq!((found.blind.accuracy, found.lift.difference), (1.0, 0.0));
        let whole = FullAudit { questions: audit(&questions).unwrap(), models: vec![found] };
        assert_ne!(whole.questions.verdict, Verdict::Leaks, "{}", whole.questions.explain());
        assert_eq!(whole.verdict(), Verdict::Leaks);
        assert!(whole.explain().contains("though no rule shows it"), "{}", whole.explain());
    }

    #[test]
    fn a_twin_is_judged_as_rules_are_by_its_own_questions_and_not_by_a_few() {
        let of = |questions: &[Question]| {
            let mut first = FnPredictor::new("first", |q| {
                (0..q.candidates.len()).map(|place| -(place as f64)).collect()
            });
            let full = evaluate(&mut first, questions).unwrap();
            let options = ModelAuditOptions { ordered: 0, ..ModelAuditOptions::default() };
            audit_model(&mut first, &full, questions, &options).unwrap()
        };
        let all = audit(&questions()).unwrap();
        assert_ne!(all.verdict, Verdict::Leaks);
        let verdict =
            |models: Vec<ModelAudit>| FullAudit { questions: all.clone(), models }.verdict();
        // All of three are right, as one of 64 who guess would have it.
        let ask = |i: usize| question(&i.to_string(), &["Tea"], &["a", "b", "c", "d"], 0);
        assert_ne!(verdict(vec![of(&(0..3).map(ask).collect::<Vec<_>>())]), Verdict::Leaks);
        assert_eq!(verdict(vec![of(&(0..30).map(ask).collect::<Vec<_>>())]), Verdict::Leaks);
        // Half of the answers is what guessing among two gets, though the other questions have four options.
        let ask = |i: usize| question(&i.to_string(), &["Tea"], &["a", "b"], i % 2);
        let two = of(&(0..400).map(ask).collect::<Vec<_>>());
        assert_eq!((two.chance, two.blind.accuracy), (0.5, 0.5));
        assert_ne!(verdict(vec![two]), Verdict::Leaks);
    }
}
