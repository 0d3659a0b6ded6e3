//! Whether the right option can be told from the others without looking at the customer.

use std::fmt::Write as _;

use nextcart_data::Question;
use nextcart_metrics::{Rank, TieRule, wilson};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::evaluation::{CONFIDENCE, Score, chance, check_answer};
use crate::titles;

/// How far above chance a rule may be before the questions count as leaking.
pub const MARGIN: f64 = 0.03;

/// Right answers by chance below which nothing is concluded: intervals are too narrow for so few.
const MIN_EXPECTED_HITS: f64 = 5.0;

/// The finding of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Some rule that never looks at the history is surely above chance, and by more than [`MARGIN`].
    Leaks,
    /// No rule is. [`Audit::conclusive`] says whether the questions are enough to show that none is
    /// above chance by more than the margin, and [`Audit::not_excluded`] how large a leak may be there.
    Clean,
}

/// A rule's score, with its 95 % interval and the wider one that the verdict uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleScore {
    /// Name of the rule, such as `punctuation_rule`.
    pub name: &'static str,
    /// What the rule picks, in words.
    pub picks: &'static str,
    /// Share of questions in which it picks the answer, ties split.
    pub accuracy: f64,
    /// Lower bound of the rule's own 95 % interval.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Number of questions.
    pub n: usize,
    /// Lower bound after Bonferroni's correction: with 95 % confidence all rules at once lie within
    /// their corrected bounds.
    pub corrected_low: f64,
    /// Upper bound after the correction.
    pub corrected_high: f64,
}

/// What rules on the options alone score on some questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// Whether the options give the answer away.
    pub verdict: Verdict,
    /// Whether there are enough questions to tell: false where no leak is shown but one beyond the
    /// margin is not excluded either.
    pub conclusive: bool,
    /// Accuracy of guessing.
    pub chance: f64,
    /// How far above chance a rule may be.
    pub margin: f64,
    /// Number of questions.
    pub n: usize,
    /// Accuracy that some rule may have in truth, given so many questions: the highest corrected
    /// upper bound.
    pub not_excluded: f64,
    /// All rules, the best first.
    pub rules: Vec<RuleScore>,
}

/// Scores every rule on the questions' options.
///
/// A rule sees titles and places, never the history. Equal options share the credit. Chance is the
/// mean of `1 / candidates`, so the numbers of candidates may differ.
///
/// The questions leak if a rule's accuracy is more than [`MARGIN`] above chance and its lower bound is
/// above chance too. They are surely clean if no rule's upper bound is more than the margin above
/// chance. Both bounds are corrected for the number of rules: without a leak, one of them seems to be
/// surely above chance in at most one audit of twenty. In between, the verdict is clean for lack of
/// evidence, and [`Audit::conclusive`] is false.
///
/// # Errors
/// If there are no questions, an answer is no candidate or a question has no other candidate.
pub fn audit(questions: &[Question]) -> Result<Audit> {
    let chance = chance(questions).ok_or(Error::NoQuestions { purpose: "audit" })?;
    questions.iter().try_for_each(check_answer)?;
    // Every rule would be right on these, and so would chance.
    if let Some(question) = questions.iter().find(|question| question.candidates.len() < 2) {
        return Err(Error::NoChoice { question: question.id.clone() });
    }
    let corrected = 1.0 - (1.0 - CONFIDENCE) / RULES.len() as f64;
    let mut rules = Vec::with_capacity(RULES.len());
    for rule in &RULES {
        let hits = questions.iter().map(|question| rule.hit(question));
        let hits = hits.collect::<Result<Vec<f64>>>()?;
        let Score { accuracy, low, high, n, .. } = Score::of(rule.name, hits.iter().copied())?;
        let wide = wilson(hits.iter().sum(), n, corrected)?
            .ok_or(Error::NoQuestions { purpose: "audit" })?;
        rules.push(RuleScore {
            name: rule.name,
            picks: rule.picks,
            accuracy,
            low,
            high,
            n,
            corrected_low: wide.low,
            corrected_high: wide.high,
        });
    }
    rules.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    let not_excluded = rules.iter().map(|rule| rule.corrected_high).fold(0.0, f64::max);
    let n = questions.len();
    let conclusive = not_excluded <= chance + MARGIN;
    let verdict = Verdict::Clean;
    let mut audit = Audit { verdict, conclusive, chance, margin: MARGIN, n, not_excluded, rules };
    if audit.leaking().next().is_some() {
        (audit.verdict, audit.conclusive) = (Verdict::Leaks, true);
    }
    let best = audit.rules[0].name;
    tracing::info!(verdict = ?audit.verdict, conclusive = audit.conclusive, n, chance, best, "audited");
    Ok(audit)
}

impl Audit {
    /// The rules that are surely above chance, and by more than the margin; the best first.
    pub fn leaking(&self) -> impl Iterator<Item = &RuleScore> {
        let enough = self.n as f64 * self.chance >= MIN_EXPECTED_HITS;
        self.rules.iter().filter(move |rule| {
            enough && rule.corrected_low > self.chance && rule.accuracy > self.chance + self.margin
        })
    }

    /// About how many questions could show that there is no leak, if there is none: the distance of the
    /// bounds from chance shrinks with the square root of their number.
    fn questions_needed(&self) -> u64 {
        let needed = self.n as f64 * ((self.not_excluded - self.chance) / self.margin).powi(2);
        (needed / 100.0).ceil() as u64 * 100
    }

    /// The rules' figures alone, the best first, as for a [`ScoreTable`](crate::ScoreTable).
    #[must_use]
    pub fn scores(&self) -> Vec<Score> {
        let score = |rule: &RuleScore| Score {
            name: rule.name.to_owned(),
            accuracy: rule.accuracy,
            low: rule.low,
            high: rule.high,
            n: rule.n,
        };
        self.rules.iter().map(score).collect()
    }

    /// The finding in plain words.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let mut leaking = self.leaking();
        // Writing into a String cannot fail.
        if let Some(best) = leaking.next() {
            let _ = write!(
                text,
                "These questions leak: a rule that never looks at the history ({}) gets {} of {} \
                 questions right (95 % interval {} to {}), where chance is {}. A model can score \
                 this high without knowing anything about the customer, so quote its lift over \
                 the same model without the history, not its accuracy.",
                best.picks,
                percent(best.accuracy),
                self.n,
                percent(best.low),
                percent(best.high),
                percent(self.chance),
            );
            let others: Vec<String> =
                leaking.map(|rule| format!("{} {}", rule.name, percent(rule.accuracy))).collect();
            if !others.is_empty() {
                let _ = write!(text, " Further rules that leak: {}.", others.join(", "));
            }
        } else {
            let best = &self.rules[0];
            let points = |share: f64| format!("{:.1}", 100.0 * share);
            let start = if self.conclusive {
                "No leak found"
            } else {
                "Too few questions to tell, but no leak shown"
            };
            let _ = write!(
                text,
                "{start}: the best of {} rules that never look at the history ({}) gets {} of {} \
                 questions right, where chance is {}. With 95 % confidence none of them is more than \
                 {} points above chance",
                self.rules.len(),
                best.picks,
                percent(best.accuracy),
                self.n,
                percent(self.chance),
                points(self.not_excluded - self.chance),
            );
            let _ = if self.conclusive {
                write!(text, ", within the {} that are allowed.", points(self.margin))
            } else {
                write!(
                    text,
                    "; to stay within the {} that are allowed takes about {} questions.",
                    points(self.margin),
                    self.questions_needed(),
                )
            };
            text.push_str(
                " Rules that were not tried, such as a trained classifier, may still find more.",
            );
        }
        text
    }
}

/// A way to pick an option without the history.
struct Rule {
    name: &'static str,
    picks: &'static str,
    sign: f64,
    feature: Feature,
}

enum Feature {
    Title(fn(&str) -> f64),
    Place,
}

impl Rule {
    const fn most(name: &'static str, picks: &'static str, feature: fn(&str) -> f64) -> Self {
        Self { name, picks, sign: 1.0, feature: Feature::Title(feature) }
    }

    const fn fewest(name: &'static str, picks: &'static str, feature: fn(&str) -> f64) -> Self {
        Self { name, picks, sign: -1.0, feature: Feature::Title(feature) }
    }

    fn hit(&self, question: &Question) -> Result<f64> {
        let candidates = question.candidates.iter().enumerate();
        let scores: Vec<f64> = candidates
            .map(|(place, candidate)| {
                self.sign
                    * match self.feature {
                        Feature::Title(feature) => feature(&candidate.title),
                        Feature::Place => place as f64,
                    }
            })
            .collect();
        Ok(Rank::of(&scores, question.answer)?.hit_at(1, TieRule::Expected))
    }
}

const RULES: [Rule; 18] = [
    Rule::fewest(
        "punctuation_rule",
        "the title with the fewest digits and punctuation marks",
        titles::digits_and_punctuation,
    ),
    Rule::most(
        "most_digits_and_punctuation",
        "the title with the most digits and punctuation marks",
        titles::digits_and_punctuation,
    ),
    Rule::fewest("fewest_digits", "the title with the fewest digits", titles::digits),
    Rule::most("most_digits", "the title with the most digits", titles::digits),
    Rule::fewest(
        "fewest_punctuation",
        "the title with the fewest punctuation marks",
        titles::punctuation,
    ),
    Rule::most(
        "most_punctuation",
        "the title with the most punctuation marks",
        titles::punctuation,
    ),
    Rule::fewest("shortest", "the shortest title", titles::characters),
    Rule::most("longest", "the longest title", titles::characters),
    Rule::fewest("fewest_words", "the title with the fewest words", titles::words),
    Rule::most("most_words", "the title with the most words", titles::words),
    Rule::fewest("fewest_capitals", "the title with the fewest capital letters", titles::capitals),
    Rule::most("most_capitals", "the title with the most capital letters", titles::capitals),
    Rule::most("lower_case", "a title without capital letters", titles::lower_case),
    Rule::fewest("not_lower_case", "a title with capital letters", titles::lower_case),
    Rule::most("html_entity", "a title with an HTML entity", titles::html_entity),
    Rule::fewest("no_html_entity", "a title without an HTML entity", titles::html_entity),
    Rule { name: "first", picks: "the first option", sign: -1.0, feature: Feature::Place },
    Rule { name: "last", picks: "the last option", sign: 1.0, feature: Feature::Place },
];

#[cfg(test)]
mod tests;
