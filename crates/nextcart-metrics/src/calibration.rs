//! Whether a stated probability can be taken at its word.

use crate::error::{Error, Result, all_values, mean, same_length};

/// Brier score: mean of `(p - outcome)^2`, in `[0, 1]`, lower is better; `None` without values.
///
/// # Errors
/// If the slices differ in length or a probability lies outside `[0, 1]`.
pub fn brier(probabilities: &[f64], outcomes: &[bool]) -> Result<Option<f64>> {
    validate(probabilities, outcomes)?;
    let pairs = probabilities.iter().zip(outcomes);
    Ok(mean(pairs.map(|(p, &outcome)| (p - f64::from(u8::from(outcome))).powi(2))))
}

/// Mean negative log-likelihood in nats, at least 0, lower is better; `None` without values.
///
/// Probabilities are first cut to `[clip, 1 - clip]`: one confident error would else be infinite,
/// and the figure depends on `clip` as soon as one occurs, so quote it. `clip = 0` cuts nothing.
///
/// # Errors
/// If the slices differ in length, a probability lies outside `[0, 1]`, or `clip` outside
/// `[0, 0.5)`.
pub fn negative_log_likelihood(
    probabilities: &[f64],
    outcomes: &[bool],
    clip: f64,
) -> Result<Option<f64>> {
    validate(probabilities, outcomes)?;
    if !(0.0..0.5).contains(&clip) {
        let expected = "a value from 0 to below 0.5";
        return Err(Error::Parameter { name: "clip", expected, found: clip });
    }
    let pairs = probabilities.iter().zip(outcomes);
    Ok(mean(pairs.map(|(p, &outcome)| {
        let p = p.clamp(clip, 1.0 - clip);
        if outcome { -p.ln() } else { -(1.0 - p).ln() }
    })))
}

/// How probabilities are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binning {
    /// Bins `(low, high]` of equal width over `[0, 1]`; 0 itself falls into the first.
    EqualWidth,
    /// Bins of equally many values in sorted order, the first ones one larger where the number does
    /// not divide; equal values may be parted, by their order in the slice.
    EqualMass,
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// Values in the bin, at least 1.
    pub count: usize,
    /// Mean stated probability.
    pub confidence: f64,
    /// Share of outcomes that came true.
    pub accuracy: f64,
}

impl ReliabilityBin {
    /// Distance between what was stated and what came true.
    #[must_use]
    pub fn gap(&self) -> f64 {
        (self.confidence - self.accuracy).abs()
    }
}

/// The non-empty bins of a reliability diagram, in rising order.
///
/// # Errors
/// If the slices differ in length, a probability lies outside `[0, 1]`, or `bins` is 0.
pub fn reliability(
    probabilities: &[f64],
    outcomes: &[bool],
    bins: usize,
    binning: Binning,
) -> Result<Vec<ReliabilityBin>> {
    validate(probabilities, outcomes)?;
    if bins == 0 {
        return Err(Error::Parameter { name: "bins", expected: "at least 1", found: 0.0 });
    }
    let members = match binning {
        Binning::EqualWidth => equal_width(probabilities, bins),
        Binning::EqualMass => equal_mass(probabilities, bins),
    };
    let filled = members.into_iter().filter(|indices| !indices.is_empty());
    Ok(filled
        .map(|indices| {
            let n = indices.len() as f64;
            let confidence = indices.iter().map(|&i| probabilities[i]).sum::<f64>() / n;
            let accuracy = indices.iter().filter(|&&i| outcomes[i]).count() as f64 / n;
            ReliabilityBin { count: indices.len(), confidence, accuracy }
        })
        .collect())
}

/// ECE: mean gap between stated probability and outcome over the bins, weighted by their counts, in
/// `[0, 1]`; `None` without values. Depends on the number and the kind of bins, so quote both.
/// After Guo et al. (ICML 2017).
///
/// # Errors
/// As [`reliability`].
pub fn expected_calibration_error(
    probabilities: &[f64],
    outcomes: &[bool],
    bins: usize,
    binning: Binning,
) -> Result<Option<f64>> {
    let bins = reliability(probabilities, outcomes, bins, binning)?;
    if bins.is_empty() {
        return Ok(None);
    }
    let n = probabilities.len() as f64;
    Ok(Some(bins.iter().map(|bin| bin.count as f64 / n * bin.gap()).sum()))
}

/// MCE: the largest gap of any bin, in `[0, 1]`; `None` without values.
///
/// # Errors
/// As [`reliability`].
pub fn maximum_calibration_error(
    probabilities: &[f64],
    outcomes: &[bool],
    bins: usize,
    binning: Binning,
) -> Result<Option<f64>> {
    let bins = reliability(probabilities, outcomes, bins, binning)?;
    Ok(bins.iter().map(ReliabilityBin::gap).reduce(f64::max))
}

fn validate(probabilities: &[f64], outcomes: &[bool]) -> Result<()> {
    same_length(("probabilities", probabilities), ("outcomes", outcomes))?;
    all_values("probabilities", probabilities, "a value from 0 to 1", |p| (0.0..=1.0).contains(&p))
}

fn equal_width(probabilities: &[f64], bins: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); bins];
    for (index, p) in probabilities.iter().enumerate() {
        let mut bin = ((p * bins as f64).ceil() as usize).saturating_sub(1).min(bins - 1);
        // The product is rounded, so that a value at a bound may be one bin off.
        let bound = |bin: usize| bin as f64 / bins as f64;
        if bin > 0 && *p <= bound(bin) {
            bin -= 1;
        } else if bin + 1 < bins && *p > bound(bin + 1) {
            bin += 1;
        }
        members[bin].push(index);
    }
    members
}

fn equal_mass(probabilities: &[f64], bins: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let (size, larger) = (order.len() / bins, order.len() % bins);
    let mut rest = order.as_slice();
    (0..bins)
        .map(|bin| {
            let (head, tail) = rest.split_at(size + usize::from(bin < larger));
            rest = tail;
            head.to_vec()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_neither_calibrated_nor_not() {
        assert_eq!(brier(&[], &[]), Ok(None));
        assert_eq!(negative_log_likelihood(&[], &[], 0.0), Ok(None));
        assert_eq!(expected_calibration_error(&[], &[], 10, Binning::EqualMass), Ok(None));
        assert_eq!(maximum_calibration_error(&[], &[], 10, Binning::EqualWidth), Ok(None));
    }

    #[test]
    fn a_bound_is_in_the_bin_below_it_however_many_there_are() {
        for bins in 1..200 {
            let bounds: Vec<f64> = (1..=bins).map(|bin| bin as f64 / bins as f64).collect();
            let members = equal_width(&bounds, bins);
            let alone = members.iter().enumerate().all(|(bin, of)| *of == [bin]);
            assert!(alone, "{bins}: {members:?}");
        }
        // 0.55 · 100 is rounded to more than 55.
        assert_eq!(equal_width(&[0.55], 100)[54], [0]);
    }

    #[test]
    fn a_bin_holds_its_upper_bound_and_the_first_one_zero() {
        let bins = reliability(&[0.0, 0.5, 1.0], &[false, true, true], 2, Binning::EqualWidth);
        let counts: Vec<usize> = bins.unwrap().iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn the_clip_bounds_a_confident_error() {
        assert_eq!(negative_log_likelihood(&[0.0], &[true], 0.0), Ok(Some(f64::INFINITY)));
        let clipped = negative_log_likelihood(&[0.0], &[true], 0.01).unwrap().unwrap();
        assert!((clipped + 0.01_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn values_that_are_no_probabilities_are_refused() {
        for bad in [1.5, -0.1, f64::NAN] {
            assert!(brier(&[bad], &[true]).is_err(), "{bad}");
        }
        assert!(reliability(&[0.5], &[true], 0, Binning::EqualWidth).is_err());
        assert!(negative_log_likelihood(&[0.5], &[true], 0.5).is_err());
    }

    #[test]
    fn more_bins_than_values_leaves_only_filled_ones() {
        let bins = reliability(&[0.1, 0.9], &[false, true], 5, Binning::EqualMass).unwrap();
        assert_eq!(bins.len(), 2);
    }
}
