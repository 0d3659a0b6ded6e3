//! Where the model fails, as Markdown.

use std::fmt::Write as _;

use super::inline;
use crate::errors::ErrorAnalysis;
use crate::report::figures::{interval, percent};

/// Scores by property, kinds of errors, words they share. Writing into a `String` cannot fail.
pub(super) fn write(page: &mut String, found: &ErrorAnalysis) {
    let _ = writeln!(page, "## Where {} is right and wrong\n", inline(&found.predictor));
    let _ = writeln!(
        page,
        "| by | | accuracy | 95 % interval | without history | n |\n|---|---|--:|--:|--:|--:|"
    );
    for slices in &found.slices {
        for (index, slice) in slices.slices.iter().enumerate() {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} |",
                if index == 0 { slices.by } else { "" },
                inline(&slice.label),
                percent(slice.accuracy),
                interval(slice.low, slice.high),
                slice.blind.map_or_else(|| "–".to_owned(), percent),
                slice.n
            );
        }
    }
    let _ = writeln!(
        page,
        "\nOf so many slices, some lie outside of their intervals by luck: one of twenty that are alike.\n"
    );
    let errors = &found.answers;
    for kind in &errors.kinds {
        let _ = writeln!(
            page,
            "- {}: {} of {} errors ({}), {}",
            kind.label,
            kind.errors,
            errors.errors,
            percent(kind.share),
            kind.meaning
        );
    }
    for cluster in &errors.clusters {
        let _ = writeln!(
            page,
            "- {} errors around *{}*: {} of {} questions whose answer has the first word are wrong (95 % \
             interval {})",
            cluster.errors,
            inline(&cluster.terms.join(", ")),
            percent(cluster.error_rate),
            cluster.questions,
            interval(cluster.low, cluster.high)
        );
    }
    page.push('\n');
}
