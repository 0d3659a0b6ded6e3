//! Which of two predictors is right where the other is wrong.

use std::fmt::Write as _;

use anyhow::Result;
use nextcart_eval::{Evaluation, Prediction};
use nextcart_metrics::{holm, mcnemar_exact};

/// A line a pair, of evaluations of the same questions: in how many each alone is right, and how sure the difference is,
/// by itself and among all pairs.
///
/// # Errors
/// If the two of a pair were not asked as many questions.
pub fn compared(pairs: &[(&Evaluation, &Evaluation)]) -> Result<String> {
    let hits = |evaluation: &Evaluation| -> Vec<bool> {
        evaluation.predictions.iter().map(Prediction::is_right).collect()
    };
    let tests = pairs.iter().map(|(one, other)| mcnemar_exact(&hits(one), &hits(other)));
    let tests = tests.collect::<Result<Vec<_>, _>>()?;
    let corrected = holm(&tests.iter().map(|test| test.p).collect::<Vec<f64>>())?;
    let mut lines = String::new();
    for (((one, other), test), p) in pairs.iter().zip(&tests).zip(corrected) {
        writeln!(
            lines,
            "{} against {}: {} questions to {}, McNemar {}, with Holm's correction {}",
            one.name,
            other.name,
            test.first_only,
            test.second_only,
            p_value(test.p),
            p_value(p)
        )?;
    }
    Ok(lines)
}

/// As reports have it: `p = 0.0123`, or `p < 0.0001`.
fn p_value(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}
