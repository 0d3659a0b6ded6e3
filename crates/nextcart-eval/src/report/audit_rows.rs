//! The audit as rows of a page.

use serde::Serialize;

use crate::audit::{Audit, Verdict};

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
    pub(super) fn new(audit: &Audit) -> Self {
        let (verdict, sentence) = match (audit.verdict == Verdict::Leaks, audit.conclusive) {
            (true, _) => {
                ("leaks", "The questions leak: see the audit before quoting any accuracy.")
            }
            (false, true) => (
                "clean",
                "The audit found that no rule on the options alone is above chance by more than its margin.",
            ),
            (false, false) => {
                ("unsure", "The audit found no leak, but the questions are too few to exclude one.")
            }
        };
        let leaking: Vec<&str> = audit.leaking().map(|rule| rule.name).collect();
        let row = |rule: &crate::audit::RuleScore| AuditRow {
            name: rule.name.to_owned(),
            picks: rule.picks.to_owned(),
            accuracy: rule.accuracy,
            low: rule.low,
            high: rule.high,
            n: rule.n,
            leaks: leaking.contains(&rule.name),
        };
        Self {
            verdict,
            sentence,
            explanation: audit.explain(),
            chance: audit.chance,
            rows: audit.rules.iter().map(row).collect(),
        }
    }
}
