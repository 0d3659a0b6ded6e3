//! Several tests at once.

use crate::error::{Result, all_values};

/// Holm's adjusted p-values, in the order of the slice, each in `[0, 1]` and at least the p-value itself.
///
/// Reject what has an adjusted value of at most `α`: then the probability of rejecting even one true
/// hypothesis is at most `α`, whatever the tests' dependence, as with Bonferroni's correction, which
/// rejects fewer. With `p_(1) ≤ … ≤ p_(m)`:
///
/// `p̃_(i) = max_{j ≤ i} min(1, (m - j + 1) p_(j))`
///
/// After Holm (Scandinavian Journal of Statistics 6, 1979); R's `p.adjust(p, "holm")`.
///
/// ```
/// let adjusted = nextcart_metrics::holm(&[0.25, 0.125, 0.5])?;
/// assert_eq!(adjusted, [0.5, 0.375, 0.5]);
/// # Ok::<(), nextcart_metrics::Error>(())
/// ```
///
/// # Errors
/// If a p-value lies outside `[0, 1]`.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>> {
    all_values("p_values", p_values, "a value from 0 to 1", |p| (0.0..=1.0).contains(&p))?;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[index]).min(1.0);
        adjusted[index] = largest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_test_is_never_surer_than_an_earlier_one() {
        assert_eq!(holm(&[0.01, 0.02, 0.021]).unwrap(), [0.03, 0.04, 0.04]);
        assert_eq!(holm(&[0.9, 0.8]).unwrap(), [1.0, 1.0]);
    }

    #[test]
    fn one_test_needs_no_correction_and_none_gives_none() {
        assert_eq!(holm(&[0.03]).unwrap(), [0.03]);
        assert_eq!(holm(&[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(holm(&[0.5, bad]).is_err(), "{bad}");
        }
    }
}
