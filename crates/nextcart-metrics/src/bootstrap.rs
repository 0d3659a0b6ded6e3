//! Intervals by resampling.

use std::collections::HashMap;
use std::hash::Hash;

use crate::error::{Error, Result, all_values, confidence_level, mean, same_length};
use crate::{Interval, SplitMix64};

/// A mean with its percentile bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Mean of the values themselves.
    pub mean: f64,
    /// Percentiles of the resampled means.
    pub interval: Interval,
    /// Standard deviation of the resampled means (`n - 1`); `None` for a single replicate.
    pub standard_error: Option<f64>,
}

/// Percentile bootstrap interval of a mean (Efron, 1979); `None` without values.
///
/// The values count as independent. Where several come from one customer, use [`bootstrap_clustered`], or
/// the interval is too narrow.
///
/// # Errors
/// If a value is not finite, `replicates` is 0 or `confidence` outside `(0, 1)`.
pub fn bootstrap_mean(
    values: &[f64],
    replicates: usize,
    confidence: f64,
    seed: u64,
) -> Result<Option<Bootstrap>> {
    parameters(replicates, confidence)?;
    let Some(mean) = mean(values.iter().copied()) else { return Ok(None) };
    let means = bootstrap_means(values, replicates, seed)?;
    Ok(summary(mean, means, confidence))
}

/// Percentile bootstrap interval of a mean whose values come in clusters, such as the questions of one
/// customer: whole clusters are drawn with replacement, as many as there are, and each resample's mean is that
/// of all values in the clusters drawn (the cluster bootstrap, Davison and Hinkley 1997, section 3.8; Field
/// and Welsh, JRSS B 2007). `None` without values.
///
/// `clusters` says of each value which cluster it belongs to; clusters are numbered as they first appear, so
/// that with one value a cluster the result is that of [`bootstrap_mean`]. With fewer than about 30 clusters
/// the interval is too narrow, and with a single one it has no width at all.
///
/// # Errors
/// If the slices differ in length, a value is not finite, `replicates` is 0 or `confidence` outside `(0, 1)`.
pub fn bootstrap_clustered<C: Eq + Hash>(
    values: &[f64],
    clusters: &[C],
    replicates: usize,
    confidence: f64,
    seed: u64,
) -> Result<Option<Bootstrap>> {
    parameters(replicates, confidence)?;
    same_length(("values", values), ("clusters", clusters))?;
    all_values("values", values, "a finite number", f64::is_finite)?;
    let Some(mean) = mean(values.iter().copied()) else { return Ok(None) };
    let mut numbers: HashMap<&C, usize> = HashMap::new();
    let mut sums: Vec<(f64, usize)> = Vec::new();
    for (value, cluster) in values.iter().zip(clusters) {
        let number = *numbers.entry(cluster).or_insert(sums.len());
        if number == sums.len() {
            sums.push((0.0, 0));
        }
        sums[number].0 += value;
        sums[number].1 += 1;
    }
    let mut random = SplitMix64::new(seed);
    let means = (0..replicates).map(|_| {
        let (mut sum, mut count) = (0.0, 0);
        for _ in 0..sums.len() {
            let (values, n) = sums[random.below(sums.len())];
            sum += values;
            count += n;
        }
        sum / count as f64
    });
    Ok(summary(mean, means.collect(), confidence))
}

fn parameters(replicates: usize, confidence: f64) -> Result<()> {
    confidence_level(confidence)?;
    if replicates == 0 {
        return Err(Error::Parameter { name: "replicates", expected: "at least 1", found: 0.0 });
    }
    Ok(())
}

fn summary(mean: f64, mut means: Vec<f64>, confidence: f64) -> Option<Bootstrap> {
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let (low, high) = (percentile(&means, tail)?, percentile(&means, 1.0 - tail)?);
    let standard_error = standard_deviation(&means);
    Some(Bootstrap { mean, interval: Interval { low, high }, standard_error })
}

/// Means of `replicates` resamples of the values, each of as many draws with replacement, in the
/// order drawn from [`SplitMix64`] seeded with `seed`; empty without values.
///
/// # Errors
/// If a value is not finite.
pub fn bootstrap_means(values: &[f64], replicates: usize, seed: u64) -> Result<Vec<f64>> {
    all_values("values", values, "a finite number", f64::is_finite)?;
    let n = values.len();
    if n == 0 {
        return Ok(Vec::new());
    }
    let mut random = SplitMix64::new(seed);
    let mut resample = || (0..n).map(|_| values[random.below(n)]).sum::<f64>() / n as f64;
    Ok((0..replicates).map(|_| resample()).collect())
}

/// The `share` quantile of sorted values by linear interpolation (numpy's default); `None` without
/// values or if `share` lies outside `[0, 1]`.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    if sorted.is_empty() || !(0.0..=1.0).contains(&share) {
        return None;
    }
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    Some(sorted[below] + (sorted[above] - sorted[below]) * place.fract())
}

fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values.iter().copied())?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_interpolate_between_neighbours() {
        let sorted = [1.0, 2.0, 4.0];
        assert_eq!(percentile(&sorted, 0.0), Some(1.0));
        assert_eq!(percentile(&sorted, 0.75), Some(3.0));
        assert_eq!(percentile(&sorted, 1.0), Some(4.0));
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&sorted, 1.5), None);
    }

    #[test]
    fn one_seed_gives_one_interval_around_the_mean() {
        let values: Vec<f64> = (0..50).map(f64::from).collect();
        let first = bootstrap_mean(&values, 200, 0.9, 3).unwrap().unwrap();
        assert_eq!(Some(first), bootstrap_mean(&values, 200, 0.9, 3).unwrap());
        assert_ne!(Some(first), bootstrap_mean(&values, 200, 0.9, 4).unwrap());
        assert!(first.interval.low < first.mean && first.mean < first.interval.high);
    }

    #[test]
    fn constant_values_have_no_spread_and_none_no_interval() {
        let sure = bootstrap_mean(&[0.5; 4], 10, 0.95, 1).unwrap().unwrap();
        assert_eq!(sure.interval, Interval { low: 0.5, high: 0.5 });
        assert_eq!(sure.standard_error, Some(0.0));
        assert_eq!(bootstrap_mean(&[], 10, 0.95, 1), Ok(None));
        assert_eq!(bootstrap_mean(&[1.0], 1, 0.95, 1).unwrap().unwrap().standard_error, None);
    }

    #[test]
    fn a_value_a_cluster_is_the_plain_bootstrap_and_copies_widen_it() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 3)).collect();
        let each: Vec<usize> = (100..140).collect();
        let plain = bootstrap_mean(&values, 100, 0.95, 3).unwrap();
        assert_eq!(bootstrap_clustered(&values, &each, 100, 0.95, 3).unwrap(), plain);
        // Every value four times says no more than once: the interval stays as it was.
        let copies: Vec<f64> = values.iter().flat_map(|value| [*value; 4]).collect();
        let of: Vec<usize> = each.iter().flat_map(|cluster| [*cluster; 4]).collect();
        let clustered = bootstrap_clustered(&copies, &of, 100, 0.95, 3).unwrap().unwrap();
        let expected = plain.unwrap().interval;
        assert!((clustered.interval.low - expected.low).abs() < 1e-12);
        assert!((clustered.interval.high - expected.high).abs() < 1e-12);
        assert!(bootstrap_clustered(&values, &each[1..], 100, 0.95, 3).is_err());
        assert_eq!(bootstrap_clustered::<u8>(&[], &[], 100, 0.95, 3), Ok(None));
    }

    #[test]
    fn senseless_parameters_are_refused() {
        assert!(bootstrap_mean(&[1.0], 0, 0.95, 1).is_err());
        assert!(bootstrap_mean(&[1.0], 1, 95.0, 1).is_err());
        assert!(bootstrap_mean(&[f64::NAN], 1, 0.95, 1).is_err());
    }
}
