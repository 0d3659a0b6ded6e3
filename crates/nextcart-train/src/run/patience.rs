//! When a run has stopped improving.

use crate::watch::WatchConfig;

/// Whether so many evaluations in a row did not fall below the best one before by more than the least difference.
///
/// It depends on the losses alone, so that a resumed run stops where an uninterrupted one does.
pub(super) fn is_over(evaluations: &[(u64, f64)], watch: &WatchConfig) -> bool {
    let Some(patience) = watch.patience else { return false };
    let mut best = f64::INFINITY;
    let mut without = 0;
    for (_, loss) in evaluations {
        if *loss < best - watch.min_delta {
            best = *loss;
            without = 0;
        } else {
            without += 1;
        }
    }
    without >= patience
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(losses: &[f64], patience: Option<u64>, min_delta: f64, expected: bool) {
        let evaluations: Vec<(u64, f64)> = (1..).zip(losses.iter().copied()).collect();
        let watch = WatchConfig { patience, min_delta, ..WatchConfig::default() };
        assert_eq!(is_over(&evaluations, &watch), expected, "{losses:?}");
    }

    #[test]
    fn it_counts_evaluations_without_improvement_since_the_best() {
        check(&[], Some(1), 0.0, false);
        check(&[3.0, 2.0, 2.0], Some(1), 0.0, true);
        check(&[3.0, 2.0, 2.0], Some(2), 0.0, false);
        check(&[3.0, 2.0, 2.5, 1.9, 2.0], Some(2), 0.0, false);
        check(&[3.0, 2.0, 2.5, 1.9, 2.0, 2.0], Some(2), 0.0, true);
        check(&[3.0, 3.5, 4.0, 9.0], None, 0.0, false);
    }

    #[test]
    fn small_improvements_do_not_count_but_add_up() {
        check(&[3.0, 2.95, 2.91], Some(2), 0.1, true);
        check(&[3.0, 2.95, 2.89], Some(2), 0.1, false);
    }
}
