//! The audit as rows of a page.

use serde::Serialize;

use crate::audit::{FullAudit, ModelAudit, RuleScore, Verdict};
use crate::evaluation::Score;

/// What an audit found, as a page shows it.
#[derive(Debug, Serialize)]
pub(super) struct AuditSection {
    /// `clean`, `leaks` or `unsure`.
    pub(super) verdict: &'static str,
    /// The finding in a sentence, for the summary.
    pub(super) sentence: &'static str,
    /// The finding in full.
    pub(super) explanation: String,
    pub(super) chance: f64,
    /// The best first.
    pub(super) rows: Vec<AuditRow>,
}

/// A way to find the answer that a clean question gives no help to.
#[derive(Debug, Serialize)]
pub(super) struct AuditRow {
    pub(super) name: String,
    /// What it picks, in words.
    pub(super) picks: String,
    pub(super) accuracy: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) n: usize,
    /// Whether it shows a leak.
    pub(super) leaks: bool,
}

impl AuditSection {
    pub(super) fn new(audit: &FullAudit) -> Self {
        let (verdict, sentence) = match audit.verdict() {
            Verdict::Leaks => {
                ("leaks", "The questions leak: see the audit before quoting any accuracy.")
            }
            Verdict::Clean => (
                "clean",
                "The audit found that no rule on the options alone is above chance by more than its margin.",
            ),
            Verdict::Inconclusive => {
                ("unsure", "The audit found no leak, but the questions are too few to exclude one.")
            }
        };
        let questions = &audit.questions;
        let leaking: Vec<&str> = questions.leaking().map(|rule| rule.name).collect();
        let rule = |rule: &RuleScore| AuditRow {
            name: rule.name.to_owned(),
            picks: rule.picks.to_owned(),
            accuracy: rule.accuracy,
            low: rule.low,
            high: rule.high,
            n: rule.n,
            leaks: leaking.contains(&rule.name),
        };
        let twins = |model| twins(model, audit.twin_leaks(model));
        let mut rows: Vec<AuditRow> = audit.models.iter().flat_map(twins).collect();
        rows.extend(questions.rules.iter().map(rule));
        Self { verdict, sentence, explanation: audit.explain(), chance: questions.chance, rows }
    }
}

/// A model with something of the history taken from it. Only the first can show a leak: of the others, part of the
/// history is left.
fn twins(model: &ModelAudit, leaks: bool) -> Vec<AuditRow> {
    let name = &model.full.name;
    let twin = |score: &Score, without: &str, picks: &str, leaks: bool| AuditRow {
        name: format!("{name}, {without}"),
        picks: picks.to_owned(),
        accuracy: score.accuracy,
        low: score.low,
        high: score.high,
        n: score.n,
        leaks,
    };
    vec![
        twin(&model.blind, "no history", "what the model picks without the history", leaks),
        twin(
            &model.other_history,
            "another's",
            "what it picks with another customer's history",
            false,
        ),
        twin(&model.shuffled, "shuffled", "what it picks with the history in another order", false),
    ]
}

#[cfg(test)]
mod tests {
    use nextcart_data::Product;

    use super::*;
    use crate::fixtures::question;
    use crate::{FnPredictor, ModelAuditOptions, audit, audit_model, evaluate};

    #[test]
    fn the_twin_that_makes_the_verdict_is_marked_and_no_other() {
        // Only the model knows by which brands the answer can be told.
        let questions: Vec<_> = (0..400)
            .map(|i| {
                let mut question =
                    question(&i.to_string(), &["Tea"], &["a", "b", "c", "d"], (i * i + i / 7) % 4);
                for (place, option) in question.candidates.iter_mut().enumerate() {
                    option.brand =
                        Some(if place == question.answer { "it" } else { "other" }.into());
                }
                question
            })
            .collect();
        let mut knows = FnPredictor::new("knows", |q| {
            let own = |c: &Product| f64::from(u8::from(c.brand.as_deref() == Some("it")));
            q.candidates.iter().map(own).collect()
        });
        let full = evaluate(&mut knows, &questions).unwrap();
        let options = ModelAuditOptions { ordered: 0, ..ModelAuditOptions::default() };
        let models = vec![audit_model(&mut knows, &full, &questions, &options).unwrap()];
        let section =
            AuditSection::new(&FullAudit { questions: audit(&questions).unwrap(), models });
        assert_eq!(section.verdict, "leaks");
        let leaks: Vec<bool> = section.rows[..3].iter().map(|row| row.leaks).collect();
        assert_eq!(leaks, [true, false, false]);
    }
}
