//! Two predictors on the same questions: is one better than the other?

use crate::SplitMix64;
use crate::error::{Error, Result, all_values, same_length};

/// Where two predictors disagree, and how probable so uneven a split is by luck alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Questions that the first alone got right.
    pub first_only: usize,
    /// Questions that the second alone got right.
    pub second_only: usize,
    /// Two-sided p-value, in `[0, 1]`; 0 only where it is below the smallest f64.
    pub p: f64,
}

/// Exact McNemar test: among the questions that one of two predictors alone gets right, each is as
/// likely to be right if they are equally good. Without such questions `p` is 1.
///
/// For predictors whose hits are fractions because ties are split, use [`paired_permutation`].
///
/// # Errors
/// If the slices differ in length.
pub fn mcnemar_exact(first: &[bool], second: &[bool]) -> Result<McNemar> {
    same_length(("first", first), ("second", second))?;
    let pairs = || first.iter().zip(second);
    let first_only = pairs().filter(|&(&a, &b)| a && !b).count();
    let second_only = pairs().filter(|&(&a, &b)| !a && b).count();
    let p = two_sided_sign_test(first_only.min(second_only), first_only + second_only);
    Ok(McNemar { first_only, second_only, p })
}

/// Twice the probability of at most `fewer` heads in `n` fair throws, at most 1.
fn two_sided_sign_test(fewer: usize, n: usize) -> f64 {
    // In logarithms, as 2^-n leaves the range of f64 beyond about a thousand throws. The largest
    // term is the last, so the sum is taken relative to it.
    let mut log_terms = Vec::with_capacity(fewer + 1);
    let mut log_choose = 0.0;
    for heads in 0..=fewer {
        log_terms.push(log_choose);
        log_choose += ((n - heads) as f64 / (heads + 1) as f64).ln();
    }
    let largest = log_terms.last().copied().unwrap_or(0.0);
    let relative: f64 = log_terms.iter().map(|term| (term - largest).exp()).sum();
    let log_p = (2.0 * relative).ln() + largest - n as f64 * std::f64::consts::LN_2;
    log_p.exp().min(1.0)
}

/// Result of a paired permutation test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedPermutation {
    /// Sum of `first - second`.
    pub difference: f64,
    /// Permutations whose difference is at least as large in absolute value.
    pub at_least_as_large: usize,
    /// `(1 + at_least_as_large) / (permutations + 1)`, in `(0, 1]`.
    pub p: f64,
}

/// Paired permutation test: swaps the two scores of each question by a fair coin
/// ([`SplitMix64::coin`], one a question in order) and counts how often the difference is as large
/// as the one observed.
///
/// # Errors
/// If the slices differ in length or a value is not finite.
pub fn paired_permutation(
    first: &[f64],
    second: &[f64],
    permutations: usize,
    seed: u64,
) -> Result<PairedPermutation> {
    same_length(("first", first), ("second", second))?;
    all_values("first", first, "a finite number", f64::is_finite)?;
    all_values("second", second, "a finite number", f64::is_finite)?;
    if permutations == 0 {
        return Err(Error::Parameter { name: "permutations", expected: "at least 1", found: 0.0 });
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let difference: f64 = differences.iter().sum();
    // Sums of fractions in another order differ by rounding; that must not decide an equality.
    let slack = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let threshold = difference.abs() - slack;
    let mut random = SplitMix64::new(seed);
    let mut swapped =
        || -> f64 { differences.iter().map(|d| if random.coin() { -d } else { *d }).sum() };
    let at_least_as_large = (0..permutations).filter(|_| swapped().abs() >= threshold).count();
    let p = (1 + at_least_as_large) as f64 / (permutations + 1) as f64;
    Ok(PairedPermutation { difference, at_least_as_large, p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first_only: usize, second_only: usize, expected: f64) {
        let mut first = vec![true; first_only];
        first.extend(vec![false; second_only]);
        let second: Vec<bool> = first.iter().map(|hit| !hit).collect();
        let found = mcnemar_exact(&first, &second).unwrap();
        assert_eq!((found.first_only, found.second_only), (first_only, second_only));
        let close = (found.p - expected).abs() <= 1e-9 * expected;
        assert!(close, "{} is not {expected}", found.p);
    }

    #[test]
    fn equals_the_binomial_test() {
        // Sums of binomial coefficients over powers of two, by hand.
        check(0, 0, 1.0);
        check(1, 1, 1.0);
        check(5, 0, 2.0 / 32.0);
        check(1, 9, 22.0 / 1024.0);
        check(8, 2, 112.0 / 1024.0);
    }

    #[test]
    fn thousands_of_questions_neither_overflow_nor_underflow() {
        check(0, 1000, 2.0 * 0.5_f64.powi(1000));
        check(5000, 5000, 1.0);
    }

    #[test]
    fn agreement_alone_says_nothing() {
        let same = mcnemar_exact(&[true, false, true], &[true, false, true]).unwrap();
        assert_eq!(same.p, 1.0);
        assert!(mcnemar_exact(&[true], &[]).is_err());
    }

    #[test]
    fn a_permutation_test_sees_a_clear_difference_and_no_other() {
        let clear = paired_permutation(&[1.0; 40], &[0.0; 40], 999, 1).unwrap();
        assert_eq!(clear.p, 0.001);
        let none = paired_permutation(&[0.5; 40], &[0.5; 40], 999, 1).unwrap();
        assert_eq!(none.p, 1.0);
        assert!(paired_permutation(&[1.0], &[1.0], 0, 1).is_err());
    }

    #[test]
    fn a_permutation_test_does_not_depend_on_the_unit() {
        let found = |unit: f64| {
            // Tenths, so that many sums are equal but for rounding.
            let first: Vec<f64> =
                (0..30_u32).map(|i| unit * f64::from(i * 7 % 11) / 10.0).collect();
            let second: Vec<f64> =
                (0..30_u32).map(|i| unit * f64::from(i * 5 % 9) / 10.0).collect();
            paired_permutation(&first, &second, 999, 1).unwrap().p
        };
        assert_eq!(found(1.0), 0.063);
        assert_eq!(found(1e6), found(1.0));
        assert_eq!(found(1e-12), found(1.0));
    }
}
