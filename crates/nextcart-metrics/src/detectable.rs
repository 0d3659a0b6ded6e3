//! How large a difference must be for so many questions to show it.

use crate::error::{Error, Result};
use crate::normal::normal_quantile;

/// What counts as shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// Confidence of the two-sided test, `1 - α` (default 0.95).
    pub confidence: f64,
    /// Probability that the test shows the difference if it is there, `1 - β` (default 0.8).
    pub power: f64,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self { confidence: 0.95, power: 0.8 }
    }
}

impl Sensitivity {
    /// The quantiles `z_{1-α/2}` and `z_{1-β}`.
    fn quantiles(self) -> Result<(f64, f64)> {
        for (name, found) in [("confidence", self.confidence), ("power", self.power)] {
            if !(found > 0.0 && found < 1.0) {
                return Err(Error::Parameter { name, expected: "a level between 0 and 1", found });
            }
        }
        Ok((normal_quantile(0.5 + self.confidence / 2.0)?, normal_quantile(self.power)?))
    }
}

/// Minimum detectable difference between two accuracies on `n` questions each that are *not* the same: the
/// least `d` for which a test of `share` against `share + d` has the power that is asked for, in `(0, 1]`.
/// `None` where no accuracy is high enough.
///
/// `d √n = z_{1-α/2} √(2 p̄ (1 - p̄)) + z_{1-β} √(p₁ (1 - p₁) + p₂ (1 - p₂))`, with `p₁ = share`,
/// `p₂ = share + d` and `p̄` their mean (Fleiss, *Statistical Methods for Rates and Proportions*; R's
/// `power.prop.test`). A normal approximation: of a few dozen questions it says little.
///
/// # Errors
/// If `share` lies outside `[0, 1]` or a level of `sensitivity` outside `(0, 1)`.
pub fn detectable_difference(
    n: usize,
    share: f64,
    sensitivity: Sensitivity,
) -> Result<Option<f64>> {
    let (level, power) = sensitivity.quantiles()?;
    share_of_questions("share", share)?;
    let variance = |p: f64| p * (1.0 - p);
    let excess = |d: f64| {
        let other = share + d;
        let same = (2.0 * variance((share + other) / 2.0)).max(0.0).sqrt();
        let apart = (variance(share) + variance(other)).max(0.0).sqrt();
        d * (n as f64).sqrt() - level * same - power * apart
    };
    Ok(least(1.0 - share, excess))
}

/// Minimum detectable difference between two predictors on the *same* `n` questions, of which they agree on
/// all but the share `disagreement` (where one alone is right), in `(0, disagreement]`. `None` where even
/// a disagreement all in favour of one would not do.
///
/// `d √n = z_{1-α/2} √ψ + z_{1-β} √(ψ - d²)`, with `ψ = disagreement`, for McNemar's test (Connor,
/// Biometrics 43, 1987; Miettinen 1968). Pairing makes it far smaller than [`detectable_difference`]
/// where predictors are mostly right on the same questions.
///
/// # Errors
/// If `disagreement` lies outside `[0, 1]` or a level of `sensitivity` outside `(0, 1)`.
pub fn detectable_paired_difference(
    n: usize,
    disagreement: f64,
    sensitivity: Sensitivity,
) -> Result<Option<f64>> {
    let (level, power) = sensitivity.quantiles()?;
    share_of_questions("disagreement", disagreement)?;
    let excess = |d: f64| {
        let spread = (disagreement - d * d).max(0.0).sqrt();
        d * (n as f64).sqrt() - level * disagreement.sqrt() - power * spread
    };
    Ok(least(disagreement, excess))
}

fn share_of_questions(name: &'static str, found: f64) -> Result<()> {
    if (0.0..=1.0).contains(&found) {
        return Ok(());
    }
    Err(Error::Parameter { name, expected: "a value from 0 to 1", found })
}

/// The least value up to `most` from which on a rising function is at least 0, by bisection.
fn least(most: f64, excess: impl Fn(f64) -> f64) -> Option<f64> {
    if most <= 0.0 || excess(most) < 0.0 {
        return None;
    }
    let (mut low, mut high) = (0.0, most);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if excess(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_example_of_r() {
        // power.prop.test(p1 = .50, p2 = .75, power = .90): n = 76.7; so 77 show a little less than 0.25.
        let ninety = Sensitivity { power: 0.9, ..Sensitivity::default() };
        let found = |n| detectable_difference(n, 0.5, ninety).unwrap().unwrap();
        assert!(found(77) < 0.25 && 0.25 < found(76), "{} {}", found(77), found(76));
    }

    #[test]
    fn pairing_pays_where_predictors_agree() {
        let apart = detectable_difference(1000, 0.4, Sensitivity::default()).unwrap().unwrap();
        let paired = |share| {
            detectable_paired_difference(1000, share, Sensitivity::default()).unwrap().unwrap()
        };
        assert!(paired(0.1) < apart / 2.0);
        // Two independent predictors of 40 % disagree on 2 · 0.4 · 0.6 of the questions: pairing gives little.
        assert!((paired(0.48) - apart).abs() < 0.005, "{} {apart}", paired(0.48));
    }

    #[test]
    fn too_few_questions_show_nothing() {
        assert_eq!(detectable_difference(0, 0.5, Sensitivity::default()), Ok(None));
        assert_eq!(detectable_difference(100, 1.0, Sensitivity::default()), Ok(None));
        assert_eq!(detectable_paired_difference(100, 0.0, Sensitivity::default()), Ok(None));
        assert_eq!(detectable_paired_difference(100, 0.01, Sensitivity::default()), Ok(None));
    }

    #[test]
    fn senseless_parameters_are_refused() {
        assert!(detectable_difference(9, 1.1, Sensitivity::default()).is_err());
        assert!(detectable_paired_difference(9, f64::NAN, Sensitivity::default()).is_err());
        let certain = Sensitivity { power: 1.0, ..Sensitivity::default() };
        assert!(detectable_difference(9, 0.5, certain).is_err());
    }
}
