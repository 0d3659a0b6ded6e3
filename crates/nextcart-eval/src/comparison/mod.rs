//! Finished runs set side by side.

mod page;
mod pareto;
mod size;
mod summary;
mod table;
mod training;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use nextcart_metrics::{holm, mcnemar_exact};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Prediction};
use crate::report::Staged;

pub use summary::RunSummary;
pub use table::RunTable;

const PAGE: &str = "compare.html";
const MARKDOWN: &str = "compare.md";
const FIGURES: &str = "compare.json";

/// Runs side by side, and a test of every pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunComparison {
    /// The runs, the most accurate first.
    pub runs: Vec<RunSummary>,
    /// All pairs of them, in that order.
    pub pairs: Vec<RunPair>,
    /// Whether all runs answered the same questions; if not, their accuracies are not alike in what they
    /// mean, and pairs are compared on what they share.
    pub same_questions: bool,
}

/// Two runs on the questions that both answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPair {
    /// Name of the run that is more accurate on all that it answered.
    pub first: String,
    /// Name of the other.
    pub second: String,
    /// Number of questions that both answered; 0 where they have none in common.
    pub n: usize,
    /// Questions that the first alone got right.
    pub first_only: usize,
    /// Questions that the second alone got right.
    pub second_only: usize,
    /// Exact McNemar test, two-sided; `None` without common questions.
    pub p: Option<f64>,
    /// The same after Holm's correction for all pairs.
    pub p_holm: Option<f64>,
}

/// Where [`RunComparison::write`] put its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparisonFiles {
    /// `compare.html`, self-contained.
    pub page: PathBuf,
    /// `compare.md`.
    pub markdown: PathBuf,
    /// `compare.json`: every figure.
    pub figures: PathBuf,
}

impl RunComparison {
    /// Compares runs, pair by pair on the questions that both answered. A prediction is the first of
    /// the candidates that tie for the top; for the test it is right or wrong as a whole.
    ///
    /// # Errors
    /// If there are no runs.
    pub fn of(mut runs: Vec<RunSummary>) -> Result<Self> {
        if runs.is_empty() {
            return Err(Error::NoQuestions { purpose: "compare" });
        }
        name_apart(&mut runs);
        runs.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy).then_with(|| a.name.cmp(&b.name)));
        let mut pairs = Vec::new();
        for (index, first) in runs.iter().enumerate() {
            for second in &runs[index + 1..] {
                pairs.push(pair(first, second)?);
            }
        }
        let tested: Vec<f64> = pairs.iter().filter_map(|pair| pair.p).collect();
        let mut adjusted = holm(&tested)?.into_iter();
        for pair in pairs.iter_mut().filter(|pair| pair.p.is_some()) {
            pair.p_holm = adjusted.next();
        }
        let same_questions = pairs.iter().zip(all_n(&runs)).all(|(pair, n)| pair.n == n);
        Ok(Self { runs, pairs, same_questions })
    }

    /// Writes the page, the same as Markdown and every figure as JSON into `folder`, which is created if
    /// needed.
    ///
    /// # Errors
    /// If a page cannot be rendered or a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<ComparisonFiles> {
        let folder = folder.as_ref();
        let mut json = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Json { file: FIGURES, source })?;
        json.push('\n');
        let page = page::render(self)?;
        let mut staged = Staged::new(folder)?;
        staged.add(FIGURES, json.as_bytes())?;
        staged.add(MARKDOWN, table::markdown(self).as_bytes())?;
        staged.add(PAGE, page.as_bytes())?;
        staged.commit()?;
        let [page, markdown, figures] = [PAGE, MARKDOWN, FIGURES].map(|name| folder.join(name));
        Ok(ComparisonFiles { page, markdown, figures })
    }
}

/// For each pair, the number of questions of the run that answered more.
fn all_n(runs: &[RunSummary]) -> impl Iterator<Item = usize> {
    let firsts = runs.iter().enumerate();
    firsts.flat_map(|(index, first)| runs[index + 1..].iter().map(move |s| first.n.max(s.n)))
}

/// Runs of the same name go by their folders.
fn name_apart(runs: &mut [RunSummary]) {
    let mut seen = HashSet::new();
    let twice: HashSet<String> =
        runs.iter().filter(|run| !seen.insert(run.name.clone())).map(|r| r.name.clone()).collect();
    for run in runs.iter_mut().filter(|run| twice.contains(&run.name)) {
        run.name = run.folder.display().to_string();
    }
}

fn pair(first: &RunSummary, second: &RunSummary) -> Result<RunPair> {
    let common = common(&first.evaluation, &second.evaluation);
    let (a, b): (Vec<bool>, Vec<bool>) =
        common.iter().map(|(a, b)| (a.is_right(), b.is_right())).unzip();
    let test = mcnemar_exact(&a, &b)?;
    Ok(RunPair {
        first: first.name.clone(),
        second: second.name.clone(),
        n: a.len(),
        first_only: test.first_only,
        second_only: test.second_only,
        p: (!a.is_empty()).then_some(test.p),
        p_holm: None,
    })
}

/// Both predictions for each question of the same id; none at all where an id stands for different
/// questions, as that can only be by chance.
fn common<'a>(a: &'a Evaluation, b: &'a Evaluation) -> Vec<(&'a Prediction, &'a Prediction)> {
    let known: HashMap<&str, &Prediction> =
        b.predictions.iter().map(|found| (found.question.as_str(), found)).collect();
    let pairs = a
        .predictions
        .iter()
        .filter_map(|found| known.get(found.question.as_str()).map(|other| (found, *other)));
    let pairs: Vec<_> = pairs.collect();
    let options = |found: &Prediction| (found.answer, found.scores.len());
    if pairs.iter().all(|(a, b)| options(a) == options(b)) { pairs } else { Vec::new() }
}

#[cfg(test)]
mod tests;
