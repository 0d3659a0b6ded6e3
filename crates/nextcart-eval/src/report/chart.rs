//! The loss curve.

use std::ops::Range;

use plotters::prelude::*;

use crate::error::{Error, Result};

use super::CHART;

const SIZE: (u32, u32) = (860, 420);

/// Points of the whole curve to one point of its smoothed form, half a window to each side.
const POINTS_A_HALF_WINDOW: usize = 40;

const RAW: RGBColor = RGBColor(0xb6, 0xc8, 0xe0);
const SMOOTH: RGBColor = RGBColor(0x1f, 0x55, 0x9e);
const VALIDATION: RGBColor = RGBColor(0xc4, 0x4e, 0x12);

/// An SVG of training and validation loss; `None` if there is no finite loss to draw.
pub(super) fn draw(training: &[(u64, f64)], validation: &[(u64, f64)]) -> Result<Option<String>> {
    let (training, validation) = (finite(training), finite(validation));
    let Some((steps, losses)) = ranges(training.iter().chain(&validation)) else {
        return Ok(None);
    };
    let mut svg = String::new();
    plot(&mut svg, (steps, losses), &training, &validation)
        .map_err(|error| Error::Chart { file: CHART, reason: error.to_string() })?;
    Ok(Some(svg))
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
) -> Option<(Range<f64>, Range<f64>)> {
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
    Some((first..last, bottom..high + room))
}

/// Centred moving average: unlike an exponential one it does not lag behind the curve. The window
/// is cut evenly on both sides near the ends, so that they are not bent.
fn smooth(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let half = (points.len() / POINTS_A_HALF_WINDOW).max(1);
    points.iter().enumerate().map(move |(i, &(step, _))| {
        let half = half.min(i).min(points.len() - 1 - i);
        let window = &points[i - half..=i + half];
        (step, window.iter().map(|(_, loss)| loss).sum::<f64>() / window.len() as f64)
    })
}

fn plot(
    svg: &mut String,
    (steps, losses): (Range<f64>, Range<f64>),
    training: &[(f64, f64)],
    validation: &[(f64, f64)],
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(steps, losses)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(0xe6, 0xe6, 0xe6))
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|loss| format!("{loss:.2}"))
        .x_desc("optimiser step")
        .y_desc("loss (nats a trained token)")
        .draw()?;

    let swatch = |colour: RGBColor| {
        move |(x, y): (i32, i32)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3))
    };
    if !training.is_empty() {
        chart
            .draw_series(LineSeries::new(training.iter().copied(), RAW))?
            .label("training, each step")
            .legend(swatch(RAW));
        chart
            .draw_series(LineSeries::new(smooth(training), SMOOTH.stroke_width(2)))?
            .label("training, smoothed")
            .legend(swatch(SMOOTH));
    }
    if !validation.is_empty() {
        chart.draw_series(LineSeries::new(validation.iter().copied(), VALIDATION))?;
        let dots = validation.iter().map(|&point| Circle::new(point, 4, VALIDATION.filled()));
        chart.draw_series(dots)?.label("validation").legend(swatch(VALIDATION));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(RGBColor(0xcc, 0xcc, 0xcc))
        .label_font(("sans-serif", 14))
        .margin(8)
        .draw()?;
    area.present()?;
    drop(chart);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_and_their_axes_are_drawn() {
        let training: Vec<(u64, f64)> = (0..50).map(|i| (i, 5.0 / (i + 1) as f64)).collect();
        let svg = draw(&training, &[(25, 1.0), (49, 0.8)]).unwrap().unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        for text in ["optimiser step", "loss (nats", "training, smoothed", "validation"] {
            assert!(svg.contains(text), "{text}");
        }
        for colour in ["#B6C8E0", "#1F559E", "#C44E12"] {
            let lines = svg.lines().filter(|line| line.starts_with("<polyline"));
            let coloured = lines.filter(|line| line.contains(colour)).count();
            assert_eq!(coloured, 2, "{colour}: the line and its swatch");
        }
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn no_loss_no_chart() {
        assert_eq!(draw(&[], &[]).unwrap(), None);
        assert_eq!(draw(&[(1, f64::NAN)], &[]).unwrap(), None);
    }

    #[test]
    fn a_single_or_constant_loss_still_has_axes() {
        for training in
            [vec![(3, 2.0)], vec![(1, 2.0), (2, 2.0)], vec![(1, 0.0), (2, f64::INFINITY)]]
        {
            let svg = draw(&training, &[]).unwrap().unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{training:?}");
        }
    }

    #[test]
    fn smoothing_keeps_a_line_and_the_ends_and_flattens_a_spike() {
        let line: Vec<(f64, f64)> = (0..90).map(|i| (f64::from(i), 9.0 - f64::from(i))).collect();
        assert!(smooth(&line).zip(&line).all(|(found, point)| (found.1 - point.1).abs() < 1e-12));
        let spike: Vec<f64> = smooth(&[(0.0, 4.0), (1.0, 7.0), (2.0, 1.0)]).map(|p| p.1).collect();
        assert_eq!(spike, [4.0, 4.0, 1.0]);
    }
}
