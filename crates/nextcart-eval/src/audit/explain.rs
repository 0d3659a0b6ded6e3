//! An audit in plain words.

use std::fmt::Write as _;

use super::{Audit, PurchaseSource, RuleScore, Verdict};
use crate::report::figures::percent;

fn points(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

impl Audit {
    /// About how many questions could show that there is no leak, if there is none, and of which kind: the
    /// distance of the bounds from chance shrinks with the square root of their number.
    fn questions_needed(&self) -> Option<(u64, &'static str)> {
        let above = |rule: &&RuleScore| rule.high - rule.chance;
        let widest = self.rules.iter().max_by(|a, b| above(a).total_cmp(&above(b)))?;
        let needed = widest.n as f64 * (above(&widest) / self.margin).powi(2);
        let kind = if widest.n < self.n { "held-out questions" } else { "questions" };
        Some(((needed / 100.0).ceil() as u64 * 100, kind))
    }

    /// The finding in plain words: the verdict, and what else is unusual.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = match self.verdict {
            Verdict::Leaks => self.leak(),
            Verdict::Clean | Verdict::Inconclusive => self.no_leak(),
        };
        for sentence in self.findings.sentences() {
            text.push(' ');
            text.push_str(&sentence);
        }
        text
    }

    fn leak(&self) -> String {
        let mut leaking = self.leaking();
        let mut text = String::new();
        // Writing into a String cannot fail.
        if let Some(best) = leaking.next() {
            let _ = write!(
                text,
                "These questions leak: a rule that never looks at the history ({}) gets {} of {} questions \
                 right (95 % interval {} to {}), where chance is {}. A model can score this high without \
                 knowing anything about the customer, so quote its lift over the same model without the \
                 history, not its accuracy.",
                best.picks,
                percent(best.accuracy),
                best.n,
                percent(best.low),
                percent(best.high),
                percent(best.chance),
            );
        }
        let others: Vec<String> =
            leaking.map(|rule| format!("{} {}", rule.name, percent(rule.accuracy))).collect();
        if !others.is_empty() {
            let _ = write!(text, " Further rules that leak: {}.", others.join(", "));
        }
        text
    }

    fn no_leak(&self) -> String {
        let (mut text, best) = (String::new(), self.best());
        let start = match self.conclusive {
            true => "No leak found",
            false => "Too few questions to tell, but no leak shown",
        };
        let _ = write!(
            text,
            "{start}: the best of {} rules that never look at the history ({}) gets {} of {} questions right, \
             where chance is {}. With 95 % confidence none of them is more than {} points above chance",
            self.rules.len(),
            best.picks,
            percent(best.accuracy),
            best.n,
            percent(best.chance),
            points(self.not_excluded - self.chance),
        );
        let _ = match self.questions_needed() {
            Some((needed, kind)) if !self.conclusive => write!(
                text,
                "; to stay within the {} that are allowed takes about {needed} {kind}.",
                points(self.margin),
            ),
            _ => write!(text, ", within the {} that are allowed.", points(self.margin)),
        };
        if self.purchases == PurchaseSource::Nothing {
            text.push_str(
                " All questions are of the training part, so nothing was tried on how often an option was \
                 bought.",
            );
        }
        text.push_str(
            " A language model may find more in the options than these rules: set its score beside its own \
             without the history.",
        );
        text
    }
}
