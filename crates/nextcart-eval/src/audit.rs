//! Whether the right option can be told from the others without looking at the customer.

mod classifier;
mod explain;
mod findings;
mod folds;
mod frequency;
mod likeness;
mod model;
mod rules;

use std::fmt;

use nextcart_data::{History, Question};
use nextcart_metrics::{Rank, TieRule, wilson};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::evaluation::{CONFIDENCE, Score, chance, check_answer};
use crate::spread::spread;
use findings::findings;
use frequency::{Known, Purchases};
use rules::RULES;

pub use findings::{Count, Findings};
pub use frequency::PurchaseSource;
pub use model::{FullAudit, ModelAudit, ModelAuditOptions, audit_model};

/// How far above chance a rule may be before the questions count as leaking.
pub const MARGIN: f64 = 0.03;

/// Right answers by chance below which no leak is shown: intervals are too narrow for so few.
const MIN_EXPECTED_HITS: f64 = 5.0;

/// Options that the classifier looks at, those of evenly spaced questions where there are more: its memory
/// follows them.
const MOST_CLASSIFIED: usize = 200_000;

/// The finding of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Some way to answer that never looks at the history is surely above chance, and by more than
    /// [`MARGIN`].
    Leaks,
    /// None is above chance by more than the margin, and the questions are enough to show that.
    Clean,
    /// No leak is shown, but one beyond the margin is not excluded either: mostly for want of questions.
    /// [`Audit::not_excluded`] says how large it may be.
    Inconclusive,
}

impl fmt::Display for Verdict {
    /// As in JSON: `leaks`, `clean` or `inconclusive`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leaks => "leaks",
            Self::Clean => "clean",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// A history-blind rule's score, with its 95 % interval and the lower bound that the verdict uses.
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
    /// Questions on which it was scored.
    pub n: usize,
    /// Accuracy of guessing on these.
    pub chance: f64,
    /// Lower bound after Bonferroni's correction: with 95 % confidence all rules at once lie above their
    /// corrected bounds.
    pub corrected_low: f64,
}

/// What can be said of some questions without a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// Whether the options give the answer away.
    pub verdict: Verdict,
    /// Whether there are enough questions to tell: false for [`Verdict::Inconclusive`] alone.
    pub conclusive: bool,
    /// Accuracy of guessing.
    pub chance: f64,
    /// How far above chance a rule may be.
    pub margin: f64,
    /// Number of questions.
    pub n: usize,
    /// Accuracy that some rule may have in truth, given so many questions: the highest upper bound.
    pub not_excluded: f64,
    /// All rules, the best first.
    pub rules: Vec<RuleScore>,
    /// Where the rules on how often an option was bought have their counts from.
    pub purchases: PurchaseSource,
    /// What else was found.
    pub findings: Findings,
}

/// What an audit knows beside the questions.
#[derive(Debug, Clone, Copy)]
pub struct AuditOptions<'a> {
    /// Histories of the training part, of which purchases are counted. Without them (default) they are counted
    /// in the questions; [`PurchaseSource`] says how.
    pub histories: Option<&'a [History]>,
    /// Folds of customers, of which each is answered by what was learnt from the others (default 5).
    pub folds: usize,
    /// Seed of the folds and of the classifier's order of training (default 1).
    pub seed: u64,
}

impl Default for AuditOptions<'_> {
    fn default() -> Self {
        Self { histories: None, folds: 5, seed: 1 }
    }
}

/// Scores every way to answer that never looks at the history, and looks for other oddities.
///
/// As [`audit_with`], with default options.
///
/// # Errors
/// As [`audit_with`].
pub fn audit(questions: &[Question]) -> Result<Audit> {
    audit_with(questions, &AuditOptions::default())
}

/// Scores every way to answer that never looks at the history, and looks for other oddities.
///
/// # The rules
/// - how titles look: length, words, digits, punctuation, capitals, HTML entities;
/// - how much a title is like those of the other options (words of TF-IDF): the most, as where these were chosen for being
///   like the answer, and the least;
/// - places: the first, the last, and the one at which the answers of other customers stand most often;
/// - ids: the first and the last in order, which tell something where histories are ordered by them;
/// - purchases: the option that the most or fewest customers bought, or any or none, and the one bought most or least
///   of late ([`RecentPopularity`](crate::RecentPopularity)). Counts are of the training
///   part, and scored on held-out questions, whose answers they do not hold ([`PurchaseSource`]);
/// - a classifier trained on the options of other customers' questions: a conditional logit over words,
///   punctuation, shape and place, by cross-validation over customers; left out where a fold has no other
///   customer to learn from, as when all questions are of one.
///
/// Equal options share the credit. Chance is the mean of `1 / candidates`, so the numbers of candidates may
/// differ.
///
/// # The verdict
/// With `a` a rule's accuracy, `c` chance on its questions, `[l, u]` its 95 % Wilson interval, `l'` the lower
/// bound at the level `1 - 0.05 / m` for `m` rules, and `δ` = [`MARGIN`]:
/// - *leaks* if for some rule `l' > c` and `a > c + δ`. Someone always looks best among many, hence the
///   correction: without a leak, one is seen in at most one audit of twenty.
/// - *clean* if for every rule `u ≤ c + δ`. This needs no correction: that all are within the margin is
///   rejected if a single one may not be, so the true best has to pass, too, whose own bound fails in at most
///   one of twenty (an intersection-union test, Berger, Technometrics 24, 1982).
/// - *inconclusive* otherwise.
///
/// The intervals take the questions as independent.
///
/// All questions count alike, whatever their part, and the classifier learns from the training part where there is
/// one. A leak that test questions alone have is thinned by the others: where the test is large enough for a verdict,
/// audit it by itself, too, with the training histories.
///
/// # Errors
/// If there are no questions, an answer is no candidate, a question has no other candidate, or there are
/// fewer than two folds.
pub fn audit_with(questions: &[Question], options: &AuditOptions<'_>) -> Result<Audit> {
    let chance = chance(questions).ok_or(Error::NoQuestions { purpose: "audit" })?;
    questions.iter().try_for_each(check_answer)?;
    // Every rule would be right on these, and so would chance.
    if let Some(question) = questions.iter().find(|question| question.candidates.len() < 2) {
        return Err(Error::NoChoice { question: question.id.clone() });
    }
    if options.folds < 2 {
        return Err(Error::Folds { found: options.folds });
    }
    let folds = folds::by_user(questions, options.folds, options.seed);
    let purchases = Purchases::count(questions, &folds, options.histories)?;
    let mut tried = Vec::new();
    for rule in &RULES {
        let hits = questions.iter().map(|question| hit(question, &rule.scores(question)));
        tried.extend(Tried::of(rule.name, rule.picks, questions.iter(), hits)?);
    }
    let alike: Vec<Vec<f64>> =
        questions.iter().map(|question| likeness::scores(&question.candidates)).collect();
    for (name, picks, sign) in likeness::RULES {
        let hits = questions.iter().zip(&alike).map(|(question, scores)| {
            let scores: Vec<f64> = scores.iter().map(|score| sign * score).collect();
            hit(question, &scores)
        });
        tried.extend(Tried::of(name, picks, questions.iter(), hits)?);
    }
    let places = folds::common_places(questions, &folds);
    let hits = questions.iter().zip(&places).map(|(question, scores)| hit(question, scores));
    let picks = "the place at which the answers of other customers stand most often";
    tried.extend(Tried::of("most_common_place", picks, questions.iter(), hits)?);
    tried.extend(by_purchases(questions, &folds, &purchases)?);
    tried.extend(by_classifier(questions, &folds, options.seed, MOST_CLASSIFIED)?);

    let mut rules = judged(tried)?;
    rules.sort_by(|a, b| (b.accuracy - b.chance).total_cmp(&(a.accuracy - a.chance)));
    let above = rules.iter().map(|rule| rule.high - rule.chance).fold(0.0, f64::max);
    let verdict = match (rules.iter().any(RuleScore::leaks), above <= MARGIN) {
        (true, _) => Verdict::Leaks,
        (false, true) => Verdict::Clean,
        (false, false) => Verdict::Inconclusive,
    };
    let (n, best) = (questions.len(), rules[0].name);
    tracing::info!(?verdict, n, chance, best, "audited");
    Ok(Audit {
        verdict,
        conclusive: verdict != Verdict::Inconclusive,
        chance,
        margin: MARGIN,
        n,
        not_excluded: (chance + above).min(1.0),
        rules,
        purchases: purchases.source(),
        findings: findings(questions),
    })
}

/// The rules on how many customers bought an option.
fn by_purchases(
    questions: &[Question],
    folds: &[usize],
    purchases: &Purchases<'_>,
) -> Result<Vec<Tried>> {
    type Feature = fn(&Known) -> f64;
    let features: [(&str, &str, Feature); 6] = [
        ("most_frequent", "the option that the most customers bought", |bought| bought.customers),
        ("least_frequent", "the option that the fewest customers bought", |bought| {
            -bought.customers
        }),
        ("seen_before", "an option that some customer bought", |bought| bought.customers.min(1.0)),
        ("never_seen", "an option that no customer bought", |bought| -bought.customers.min(1.0)),
        ("most_of_late", "the option that was bought most of late", |bought| bought.of_late),
        ("least_of_late", "the option that was bought least of late", |bought| -bought.of_late),
    ];
    let scored: Vec<(&Question, Vec<Known>)> = questions
        .iter()
        .zip(folds)
        .filter(|(question, _)| purchases.may_score(question))
        .map(|(question, &fold)| (question, purchases.of_options(question, fold)))
        .collect();
    let mut tried = Vec::new();
    for (name, picks, feature) in features {
        let hits = scored.iter().map(|(question, bought)| {
            let scores: Vec<f64> = bought.iter().map(feature).collect();
            hit(question, &scores)
        });
        let of = scored.iter().map(|(question, _)| *question);
        tried.extend(Tried::of(name, picks, of, hits)?);
    }
    Ok(tried)
}

fn by_classifier(
    questions: &[Question],
    folds: &[usize],
    seed: u64,
    most_options: usize,
) -> Result<Option<Tried>> {
    let options: usize = questions.iter().map(|question| question.candidates.len()).sum();
    let taken: Vec<Question>;
    let (questions, folds) = if options <= most_options {
        (questions, folds.to_vec())
    } else {
        let most = questions.len() * most_options / options;
        taken = spread(questions, most);
        (taken.as_slice(), spread(folds, most))
    };
    let Some(scores) = classifier::scores(questions, &folds, seed) else { return Ok(None) };
    let hits = questions.iter().zip(&scores).map(|(question, scores)| hit(question, scores));
    let picks = "what a classifier says that was trained on the options of other customers";
    Tried::of("trained_classifier", picks, questions.iter(), hits)
}

/// 1 if the answer has the highest score, `1 / k` if `k` share it, else 0.
fn hit(question: &Question, scores: &[f64]) -> Result<f64> {
    Ok(Rank::of(scores, question.answer)?.hit_at(1, TieRule::Expected))
}

/// A rule with its hits, before it is known how many rules there are.
struct Tried {
    name: &'static str,
    picks: &'static str,
    hits: f64,
    n: usize,
    chance: f64,
}

impl Tried {
    /// `None` if the rule was scored on no question.
    fn of<'a>(
        name: &'static str,
        picks: &'static str,
        questions: impl Iterator<Item = &'a Question>,
        hits: impl Iterator<Item = Result<f64>>,
    ) -> Result<Option<Self>> {
        let hits: Vec<f64> = hits.collect::<Result<_>>()?;
        let n = hits.len();
        let chance = questions.map(|question| 1.0 / question.candidates.len() as f64).sum::<f64>();
        let hits = hits.iter().sum();
        Ok((n > 0).then(|| Self { name, picks, hits, n, chance: chance / n as f64 }))
    }
}

fn judged(tried: Vec<Tried>) -> Result<Vec<RuleScore>> {
    let corrected = corrected(tried.len());
    let none = || Error::NoQuestions { purpose: "audit" };
    let score = |tried: Tried| {
        let Tried { name, picks, hits, n, chance } = tried;
        let own = wilson(hits, n, CONFIDENCE)?.ok_or_else(none)?;
        let wide = wilson(hits, n, corrected)?.ok_or_else(none)?;
        let accuracy = hits / n as f64;
        let (low, high, corrected_low) = (own.low, own.high, wide.low);
        Ok(RuleScore { name, picks, accuracy, low, high, n, chance, corrected_low })
    };
    tried.into_iter().map(score).collect()
}

/// Whether an accuracy is surely above chance, by its corrected lower bound, and by more than the margin.
fn is_leak(accuracy: f64, corrected_low: f64, n: usize, chance: f64) -> bool {
    let enough = n as f64 * chance >= MIN_EXPECTED_HITS;
    enough && corrected_low > chance && accuracy > chance + MARGIN
}

/// Confidence of an interval of one of so many tries, after Bonferroni.
fn corrected(tries: usize) -> f64 {
    1.0 - (1.0 - CONFIDENCE) / tries as f64
}

impl RuleScore {
    /// Whether the rule is surely above chance, and by more than the margin.
    #[must_use]
    pub fn leaks(&self) -> bool {
        is_leak(self.accuracy, self.corrected_low, self.n, self.chance)
    }

    /// The figures alone, as for a [`ScoreTable`](crate::ScoreTable).
    #[must_use]
    pub fn score(&self) -> Score {
        let Self { name, accuracy, low, high, n, .. } = *self;
        Score { name: name.to_owned(), accuracy, low, high, n }
    }
}

impl Audit {
    /// The rules that are surely above chance, and by more than the margin; the best first.
    pub fn leaking(&self) -> impl Iterator<Item = &RuleScore> {
        self.rules.iter().filter(|rule| rule.leaks())
    }

    /// The way to answer without the history that is furthest above chance.
    ///
    /// # Panics
    /// Never for what [`audit`] returns, which always holds rules.
    #[must_use]
    pub fn best(&self) -> &RuleScore {
        &self.rules[0]
    }

    /// The rules' figures alone, the best first, as for a [`ScoreTable`](crate::ScoreTable).
    #[must_use]
    pub fn scores(&self) -> Vec<Score> {
        self.rules.iter().map(RuleScore::score).collect()
    }
}

#[cfg(test)]
mod tests;
