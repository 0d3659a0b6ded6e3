//! How far a share of few questions can be trusted.

use crate::error::{Error, Result, confidence_level};
use crate::normal::normal_quantile;

/// A range that holds the true value with a stated confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Wilson's score interval for a share of `n` trials, within `[0, 1]`; `None` without trials.
///
/// `hits` may be fractional, as when ties are split: a trial that counts `1 / k` varies less than
/// one that is all or nothing, so the interval is then too wide rather than too narrow. After Wilson
/// (JASA 1927).
///
/// # Errors
/// If `hits` lies outside `[0, n]` or `confidence` outside `(0, 1)`.
pub fn wilson(hits: f64, n: usize, confidence: f64) -> Result<Option<Interval>> {
    confidence_level(confidence)?;
    // A sum of fractions such as thirds may pass `n` by rounding alone.
    let slack = 1e-9 * (n as f64 + 1.0);
    if !(-slack..=n as f64 + slack).contains(&hits) {
        let expected = "a count from 0 to the number of trials";
        return Err(Error::Parameter { name: "hits", expected, found: hits });
    }
    if n == 0 {
        return Ok(None);
    }
    let n = n as f64;
    let z = normal_quantile(0.5 + confidence / 2.0)?;
    let share = (hits / n).clamp(0.0, 1.0);
    let scale = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / scale;
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    // The share lies within by construction; at 0 and 1 rounding alone could put it outside.
    let (low, high) = ((centre - half).clamp(0.0, share), (centre + half).clamp(share, 1.0));
    Ok(Some(Interval { low, high }))
}

/// Interval for the mean difference of `n` pairs that all have the same difference, which resampling cannot show;
/// `None` without pairs.
///
/// At -1, 0 and 1, the differences of pairs that are right or wrong, it is the score interval of Tango (Statistics in
/// Medicine 1998): from 0, `z² / (n + z²)` either way. Between them it goes on in a straight line.
///
/// # Errors
/// If `difference` lies outside `[-1, 1]` or `confidence` outside `(0, 1)`.
///
/// ```
/// use nextcart_metrics::equal_differences;
///
/// let found = equal_differences(0.0, 8, 0.95)?.expect("eight pairs");
/// assert!((found.high - 0.324).abs() < 1e-3 && found.low == -found.high);
/// # Ok::<(), nextcart_metrics::Error>(())
/// ```
pub fn equal_differences(difference: f64, n: usize, confidence: f64) -> Result<Option<Interval>> {
    confidence_level(confidence)?;
    if !(-1.0..=1.0).contains(&difference) {
        let expected = "a difference of shares, from -1 to 1";
        return Err(Error::Parameter { name: "difference", expected, found: difference });
    }
    if n == 0 {
        return Ok(None);
    }
    let z = normal_quantile(0.5 + confidence / 2.0)?;
    let reach = z * z / (n as f64 + z * z);
    let (low, high) =
        (difference - (1.0 + difference) * reach, difference + (1.0 - difference) * reach);
    Ok(Some(Interval { low, high }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_share_and_stays_within_bounds() {
        for hits in [0.0, 0.5, 3.25, 9.0, 10.0] {
            let Interval { low, high } = wilson(hits, 10, 0.95).unwrap().unwrap();
            let share = hits / 10.0;
            assert!((0.0..=share).contains(&low) && (share..=1.0).contains(&high), "{hits}");
        }
    }

    #[test]
    fn more_confidence_widens_and_more_trials_narrow() {
        let width = |hits, n, confidence| {
            let Interval { low, high } = wilson(hits, n, confidence).unwrap().unwrap();
            high - low
        };
        assert!(width(5.0, 10, 0.99) > width(5.0, 10, 0.95));
        assert!(width(500.0, 1000, 0.95) < width(5.0, 10, 0.95));
    }

    #[test]
    fn no_trials_give_no_interval_and_impossible_counts_an_error() {
        assert_eq!(wilson(0.0, 0, 0.95), Ok(None));
        assert!(wilson(3.0, 2, 0.95).is_err());
        assert!(wilson(-1.0, 2, 0.95).is_err());
        assert!(wilson(f64::NAN, 2, 0.95).is_err());
        assert!(wilson(1.0, 2, 1.0).is_err());
    }

    #[test]
    fn thirds_that_sum_past_the_count_by_rounding_are_accepted() {
        assert!(wilson(3.0 + 1e-15, 3, 0.95).unwrap().is_some());
    }

    /// Tango's score statistic for `b` pairs that the first alone has right and `c` that the second has, with the share of
    /// the latter of the highest likelihood under the difference.
    fn tango(b: f64, c: f64, n: f64, difference: f64) -> f64 {
        let (p, q) = (2.0 * n, -b - c + (2.0 * n - b + c) * difference);
        let r = -c * difference * (1.0 - difference);
        let share = ((q * q - 4.0 * p * r).sqrt() - q) / (2.0 * p);
        let variance = n * (2.0 * share + difference * (1.0 - difference));
        (b - c - n * difference) / variance.sqrt()
    }

    #[test]
    fn equal_differences_have_the_bounds_of_tangos_interval() {
        let z = normal_quantile(0.975).unwrap();
        for n in [1, 5, 8, 240] {
            let of = |difference| equal_differences(difference, n, 0.95).unwrap().unwrap();
            let n = n as f64;
            assert!((tango(0.0, 0.0, n, of(0.0).high) + z).abs() < 1e-9);
            assert!((tango(n, 0.0, n, of(1.0).low) - z).abs() < 1e-9);
            assert_eq!((of(0.0).low, of(1.0).high), (-of(0.0).high, 1.0));
            assert_eq!((of(-1.0).low, of(-1.0).high), (-1.0, -of(1.0).low));
        }
        assert_eq!(equal_differences(0.0, 0, 0.95).unwrap(), None);
        assert!(equal_differences(1.5, 9, 0.95).is_err());
        assert!(equal_differences(f64::NAN, 9, 0.95).is_err());
    }
}
