//! Runs as rows of text.

use std::fmt::{self, Write as _};

use super::summary::RunSummary;
use super::{RunComparison, RunPair};
use crate::report::{figures, inline};

/// Stands where a run left no word of something.
const UNKNOWN: &str = "–";

const HEADER: [&str; 16] = [
    "run",
    "accuracy",
    "95 % interval",
    "n",
    "without history",
    "lift",
    "audit",
    "NLL",
    "Brier",
    "ECE",
    "an answer",
    "parameters",
    "trained",
    "training",
    "peak memory",
    "a point",
];

/// The cells of a run, under [`HEADER`].
fn cells(run: &RunSummary) -> [String; 16] {
    let shown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let calibration = run.calibration.as_ref();
    [
        run.name.clone(),
        figures::percent(run.accuracy),
        figures::interval(run.low, run.high),
        run.n.to_string(),
        shown(run.blind.as_ref().map(|blind| figures::percent(blind.accuracy))),
        shown(run.lift.as_ref().map(|lift| figures::points(lift.difference))),
        shown(run.audit.clone()),
        shown(calibration.map(|found| format!("{:.3}", found.nll))),
        shown(calibration.map(|found| format!("{:.3}", found.brier))),
        shown(calibration.map(|found| figures::percent(found.ece))),
        figures::duration(run.answer_seconds),
        shown(run.parameters.map(|n| figures::count(n as f64))),
        shown(run.trainable_share().map(|share| format!("{:.2} %", 100.0 * share))),
        shown(run.training_seconds.map(figures::duration)),
        shown(run.peak_bytes.map(|n| figures::bytes(n as f64))),
        shown(run.seconds_per_point().map(figures::duration)),
    ]
}

/// A pair's test in words.
pub(super) fn sentence(pair: &RunPair) -> String {
    let RunPair { first, second, n, first_only, second_only, .. } = pair;
    let (Some(p), Some(holm)) = (pair.p, pair.p_holm) else {
        return format!("{first} and {second} have no questions in common.");
    };
    // On what both answered, the one that is less accurate on all of its own may be the better.
    let finding = match (holm < 0.05, first_only >= second_only) {
        (false, _) => "not shown to be better",
        (true, true) => "better",
        (true, false) => "worse",
    };
    format!(
        "{first} is {finding} than {second}: of {n} questions, {first_only} only the first got right and \
         {second_only} only the second (McNemar {}, after Holm {}).",
        figures::p_value(p),
        figures::p_value(holm),
    )
}

/// A note where accuracies are not alike in what they mean.
pub(super) fn warning(runs: &RunComparison) -> Option<&'static str> {
    (!runs.same_questions).then_some(
        "These runs did not all answer the same questions: their accuracies cannot be compared directly, \
         and pairs are tested on what they have in common.",
    )
}

/// What the columns mean.
pub(super) const LEGEND: &str = "Accuracy with Wilson's 95 % interval over n questions; lift is over the same model without the history, \
     in points. NLL (nats), Brier score and ECE (10 bins) are of the softmax of the scores over the options. Trained is the \
     share of parameters that training changed, an answer the mean time of one, training the time of its steps, and a \
     point what a point of accuracy above chance took of it.";

/// Runs as aligned columns, for a terminal; with `{:#}` one after the other, a cell a line behind the
/// name of its column, for one that is narrower.
#[derive(Debug, Clone)]
pub struct RunTable {
    rows: Vec<[String; 16]>,
}

impl RunComparison {
    /// What each run reached and what it cost.
    #[must_use]
    pub fn table(&self) -> RunTable {
        RunTable { rows: self.runs.iter().map(cells).collect() }
    }

    /// The test of each pair in words, behind a warning where not all runs answered the same questions.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let warning = warning(self).map(str::to_owned);
        warning.into_iter().chain(self.pairs.iter().map(sentence)).collect()
    }
}

impl fmt::Display for RunTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let record = |row: &[String; 16]| -> String {
                HEADER.iter().zip(row).map(|(name, cell)| format!("{name}: {cell}\n")).collect()
            };
            return f.write_str(&self.rows.iter().map(record).collect::<Vec<_>>().join("\n"));
        }
        let header = HEADER.map(str::to_owned);
        let rows: Vec<&[String; 16]> = std::iter::once(&header).chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..HEADER.len()).filter_map(width).collect();
        for row in rows {
            write!(f, "{:<width$}", row[0], width = widths[0])?;
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The table and the sentences.
impl fmt::Display for RunComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.table(), f)?;
        self.sentences().iter().try_for_each(|text| write!(f, "\n{text}"))
    }
}

/// All of it as Markdown. Writing into a `String` cannot fail, hence the ignored results.
pub(super) fn markdown(runs: &RunComparison) -> String {
    let mut page = format!("# Runs compared\n\n| {} |\n|---|", HEADER.join(" | "));
    page.push_str(&"--:|".repeat(HEADER.len() - 1));
    for run in &runs.runs {
        let cells = cells(run).map(|cell| inline(&cell));
        let _ = write!(page, "\n| {} |", cells.join(" | "));
    }
    let _ = writeln!(page, "\n\n{LEGEND}\n");
    if let Some(warning) = warning(runs) {
        let _ = writeln!(page, "**{warning}**\n");
    }
    for pair in &runs.pairs {
        let _ = writeln!(page, "- {}", inline(&sentence(pair)));
    }
    page
}
