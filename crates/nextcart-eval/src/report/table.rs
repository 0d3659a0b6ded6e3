//! Scores for a terminal.

use std::fmt;

use super::figures;
use crate::evaluation::Score;

/// Scores as aligned columns: name, accuracy, 95 % interval and number of questions.
///
/// ```text
/// name        accuracy   95 % interval     n
/// fine_tuned    43.2 %  41.0 to 45.4 %  2000
/// chance        25.0 %  23.2 to 26.9 %  2000
/// ```
#[derive(Debug, Clone)]
pub struct ScoreTable {
    rows: Vec<[String; 4]>,
}

impl ScoreTable {
    /// A table with a row a score, in their order.
    #[must_use]
    pub fn new(scores: &[Score]) -> Self {
        Self { rows: scores.iter().map(cells).collect() }
    }
}

/// Name, accuracy, interval and n as text.
pub(super) fn cells(score: &Score) -> [String; 4] {
    let Score { name, accuracy, low, high, n } = score;
    [name.clone(), figures::percent(*accuracy), figures::interval(*low, *high), n.to_string()]
}

impl fmt::Display for ScoreTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["name", "accuracy", "95 % interval", "n"].map(str::to_owned);
        let mut widths = [0; 4];
        for row in self.rows.iter().chain([&header]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let [w0, w1, w2, w3] = widths;
        for (index, [name, accuracy, interval, n]) in
            [&header].into_iter().chain(&self.rows).enumerate()
        {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{name:<w0$}  {accuracy:>w1$}  {interval:>w2$}  {n:>w3$}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_under_their_headers() {
        let score = |name: &str, accuracy, n| Score {
            name: name.into(),
            accuracy,
            low: accuracy - 0.05,
            high: (accuracy + 0.05_f64).min(1.0),
            n,
        };
        let table =
            ScoreTable::new(&[score("punctuation_rule", 0.98, 12_393), score("ü", 0.05, 7)]);
        assert_eq!(
            table.to_string(),
            "name              accuracy    95 % interval      n\n\
             punctuation_rule    98.0 %  93.0 to 100.0 %  12393\n\
             ü                    5.0 %    0.0 to 10.0 %      7"
        );
    }

    #[test]
    fn no_scores_leave_the_header() {
        assert_eq!(ScoreTable::new(&[]).to_string(), "name  accuracy  95 % interval  n");
    }
}
