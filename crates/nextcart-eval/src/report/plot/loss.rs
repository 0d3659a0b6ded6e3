//! The loss curve.

use serde::Serialize;

use super::axis::{Axis, Tick, decimals};
use super::frame::{Frame, line};

/// Points of the whole curve to one point of its smoothed form, half a window to each side.
const POINTS_A_HALF_WINDOW: usize = 40;

/// How many points of a curve are drawn at most: a pixel shows no more.
const DRAWN: usize = 1500;

const SIZE: [f64; 2] = [720.0, 340.0];

/// Training and validation loss by step, as lines in a picture.
#[derive(Debug, Serialize)]
pub(crate) struct LossChart {
    #[serde(flatten)]
    frame: Frame,
    /// Points of lines, as SVG writes them.
    raw: String,
    smooth: String,
    validation: String,
    dots: Vec<(f64, f64)>,
    /// What the picture says, in words.
    summary: String,
}

impl LossChart {
    /// `None` if there is no finite loss to draw.
    pub(crate) fn new(training: &[(u64, f64)], validation: &[(u64, f64)]) -> Option<Self> {
        let (training, validation) = (finite(training), finite(validation));
        let (steps, losses) = ranges(training.iter().chain(&validation))?;
        let mut frame = Frame::new(SIZE, [72.0, 14.0, 14.0, 48.0]);
        let x = Axis::linear(steps, frame.across());
        let y = Axis::linear(losses, frame.upwards());
        let line = |points: &[(f64, f64)]| line(&x, &y, points.iter().copied());
        let digits = decimals(losses.1 - losses.0);
        frame.x_ticks = whole(x);
        frame.y_ticks = y.ticks(|loss| format!("{loss:.digits$}"));
        Some(Self {
            frame,
            raw: line(&thin(&training)),
            smooth: line(&thin(&smooth(&training))),
            validation: line(&validation),
            dots: validation.iter().map(|&(step, loss)| (x.at(step), y.at(loss))).collect(),
            summary: summary(&training, &validation),
        })
    }
}

/// Ticks at whole steps: a short run has round values between them, too.
fn whole(x: Axis) -> Vec<Tick> {
    let ticks = x.ticks(|step| if step.fract() == 0.0 { format!("{step}") } else { String::new() });
    ticks.into_iter().filter(|tick| !tick.label.is_empty()).collect()
}

/// Losses that went to infinity or NaN have no place on an axis.
fn finite(points: &[(u64, f64)]) -> Vec<(f64, f64)> {
    let finite = points.iter().filter(|(_, loss)| loss.is_finite());
    let kept: Vec<(f64, f64)> = finite.map(|&(step, loss)| (step as f64, loss)).collect();
    if kept.len() < points.len() {
        let dropped = points.len() - kept.len();
        tracing::warn!(dropped, "losses that are not finite are missing from the chart");
    }
    kept
}

/// The axes' ranges with some room above and below; `None` without points.
fn ranges<'a>(
    points: impl Iterator<Item = &'a (f64, f64)> + Clone,
) -> Option<((f64, f64), (f64, f64))> {
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(None, |bounds: Option<(f64, f64)>, value| {
            let (low, high) = bounds.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
    };
    let (first, last) = bounds(&mut points.clone().map(|point| point.0))?;
    let (low, high) = bounds(&mut points.map(|point| point.1))?;
    // A single point, or a constant loss, still needs an axis of some length.
    let last = if last > first { last } else { first + 1.0 };
    let room = if high > low { 0.06 * (high - low) } else { 0.5 };
    let bottom = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
    Some(((first, last), (bottom, high + room)))
}

/// Centred moving average: unlike an exponential one it does not lag behind the curve. The window
/// is cut evenly on both sides near the ends, so that they are not bent.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let half = (points.len() / POINTS_A_HALF_WINDOW).max(1);
    let at = |(i, &(step, _)): (usize, &(f64, f64))| {
        let half = half.min(i).min(points.len() - 1 - i);
        let window = &points[i - half..=i + half];
        (step, window.iter().map(|(_, loss)| loss).sum::<f64>() / window.len() as f64)
    };
    points.iter().enumerate().map(at).collect()
}

/// Every k-th point and the last.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(DRAWN).max(1);
    let kept = points.iter().enumerate().filter(|(i, _)| i % every == 0 || i + 1 == points.len());
    kept.map(|(_, point)| *point).collect()
}

fn summary(training: &[(f64, f64)], validation: &[(f64, f64)]) -> String {
    let ends = |points: &[(f64, f64)]| {
        let (first, last) = (points.first()?, points.last()?);
        if points.len() == 1 {
            return Some(format!("was {:.3} at step {}", last.1, last.0));
        }
        let (at_first, at_last) = (format!("{:.3}", first.1), format!("{:.3}", last.1));
        Some(format!("went from {at_first} at step {} to {at_last} at step {}", first.0, last.0))
    };
    let parts = [("Training", ends(training)), ("Validation", ends(validation))];
    let parts =
        parts.into_iter().filter_map(|(name, ends)| Some(format!("{name} loss {}.", ends?)));
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_have_all_their_points() {
        let training: Vec<(u64, f64)> = (0..50).map(|i| (i, 5.0 / (i + 1) as f64)).collect();
        let chart = LossChart::new(&training, &[(25, 1.0), (49, 0.8)]).unwrap();
        for (line, points) in [(&chart.raw, 50), (&chart.smooth, 50), (&chart.validation, 2)] {
            assert_eq!(line.split(' ').count(), points);
            assert!(!line.contains("NaN"), "{line}");
        }
        assert!(
            chart.raw.starts_with("72,") && chart.raw.split(' ').all(|point| point.contains(','))
        );
        assert_eq!(
            chart.summary,
            "Training loss went from 5.000 at step 0 to 0.100 at step 49. \
             Validation loss went from 1.000 at step 25 to 0.800 at step 49."
        );
    }

    #[test]
    fn one_evaluation_went_nowhere() {
        let chart = LossChart::new(&[(1, 3.0), (2, 2.5)], &[(2, 2.75)]).unwrap();
        let expected = "Training loss went from 3.000 at step 1 to 2.500 at step 2. Validation loss was 2.750 at step 2.";
        assert_eq!(chart.summary, expected);
    }

    #[test]
    fn no_loss_no_chart() {
        assert!(LossChart::new(&[], &[]).is_none());
        assert!(LossChart::new(&[(1, f64::NAN)], &[]).is_none());
    }

    #[test]
    fn a_single_or_constant_loss_still_has_axes() {
        for training in
            [vec![(3, 2.0)], vec![(1, 2.0), (2, 2.0)], vec![(1, 0.0), (2, f64::INFINITY)]]
        {
            let chart = LossChart::new(&training, &[]).unwrap();
            assert!(!chart.raw.contains("NaN") && !chart.raw.contains("inf"), "{training:?}");
            assert!(chart.frame.y_ticks.len() > 1, "{training:?}");
        }
    }

    #[test]
    fn long_curves_are_thinned_to_their_end() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 0.0)).collect();
        let thinned = thin(&points);
        assert!((DRAWN / 2..=DRAWN).contains(&thinned.len()), "{}", thinned.len());
        assert_eq!(thinned.last(), points.last());
    }

    #[test]
    fn smoothing_keeps_a_line_and_the_ends_and_flattens_a_spike() {
        let line: Vec<(f64, f64)> = (0..90).map(|i| (f64::from(i), 9.0 - f64::from(i))).collect();
        assert!(
            smooth(&line).iter().zip(&line).all(|(found, point)| (found.1 - point.1).abs() < 1e-12)
        );
        let spike = smooth(&[(0.0, 4.0), (1.0, 7.0), (2.0, 1.0)]);
        assert_eq!(spike.iter().map(|p| p.1).collect::<Vec<_>>(), [4.0, 4.0, 1.0]);
    }
}
