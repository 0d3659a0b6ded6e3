//! Runs side by side as a page.

use serde::Serialize;

use super::summary::RunSummary;
use super::table::{LEGEND, sentence, warning};
use super::{PAGE, RunComparison, pareto};
use crate::error::Result;
use crate::report::{figures, pages, plot};

#[derive(Serialize)]
struct Page<'a> {
    title: &'static str,
    runs: Vec<Row<'a>>,
    legend: &'static str,
    warning: Option<&'static str>,
    pairs: Vec<String>,
    charts: Vec<plot::Scatter>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    run: &'a RunSummary,
    trainable_share: Option<f64>,
    seconds_per_point: Option<f64>,
}

pub(super) fn render(runs: &RunComparison) -> Result<String> {
    let row = |run| Row {
        run,
        trainable_share: run.trainable_share(),
        seconds_per_point: run.seconds_per_point(),
    };
    let page = Page {
        title: "Runs compared",
        runs: runs.runs.iter().map(row).collect(),
        legend: LEGEND,
        warning: warning(runs),
        pairs: runs.pairs.iter().map(sentence).collect(),
        charts: charts(&runs.runs),
    };
    pages::render(PAGE, &page)
}

/// Accuracy over what it cost: what a run left no word of has no place there.
fn charts(runs: &[RunSummary]) -> Vec<plot::Scatter> {
    type Cost = fn(&RunSummary) -> Option<f64>;
    type Show = fn(f64) -> String;
    let costs: [(&str, Cost, Show); 3] = [
        ("parameters", |run| Some(run.parameters? as f64), figures::count),
        ("training time", |run| run.training_seconds, figures::duration),
        ("time to answer a question", |run| Some(run.answer_seconds), figures::duration),
    ];
    let chart = |(cost, of, show): (&str, Cost, Show)| {
        let known: Vec<(&RunSummary, f64)> = runs
            .iter()
            .filter_map(|run| Some((run, of(run).filter(|cost| *cost > 0.0)?)))
            .collect();
        let points: Vec<(f64, f64)> = known.iter().map(|(run, x)| (*x, run.accuracy)).collect();
        let marks = known.iter().zip(pareto::front(&points)).map(|((run, x), on_front)| {
            let (y, low, high) = (run.accuracy, run.low, run.high);
            plot::Mark { name: run.name.clone(), x: *x, y, low, high, on_front }
        });
        plot::Scatter::new(cost, marks.collect(), show)
    };
    costs.into_iter().filter_map(chart).collect()
}
