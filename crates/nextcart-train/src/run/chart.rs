//! The loss curve.
//!
//! nextcart-eval draws one too, smoothed, out of the template of its page. Neither crate may know the other, and what both
//! know has nothing to do with drawing.

use plotters::prelude::*;

use crate::error::{Error, Result};

const SIZE: (u32, u32) = (860, 420);
const TRAINING: RGBColor = RGBColor(0x1f, 0x55, 0x9e);
const HELD_OUT: RGBColor = RGBColor(0xc4, 0x4e, 0x12);

/// An SVG of the losses of steps and of evaluations; `None` without any.
pub(super) fn draw(losses: &[(u64, f64)], evaluations: &[(u64, f64)]) -> Result<Option<String>> {
    if losses.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    plot(&mut svg, losses, evaluations).map_err(|source| Error::Chart { source })?;
    Ok(Some(svg))
}

fn plot(
    svg: &mut String,
    losses: &[(u64, f64)],
    evaluations: &[(u64, f64)],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let all = || losses.iter().chain(evaluations).map(|(_, loss)| *loss);
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let room = (0.06 * (high - low)).max(0.01);
    let last = losses.last().map_or(1, |(step, _)| *step).max(2);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(1..last, (low - room).max(0.0)..high + room)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("optimiser step")
        .y_desc("loss (nats)")
        .draw()?;
    let swatch = |colour: RGBColor| {
        move |(x, y): (i32, i32)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3))
    };
    chart
        .draw_series(LineSeries::new(losses.iter().copied(), TRAINING))?
        .label("training")
        .legend(swatch(TRAINING));
    if !evaluations.is_empty() {
        chart.draw_series(LineSeries::new(evaluations.iter().copied(), HELD_OUT))?;
        let dots = evaluations.iter().map(|&point| Circle::new(point, 4, HELD_OUT.filled()));
        chart.draw_series(dots)?.label("held out").legend(swatch(HELD_OUT));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    area.present()?;
    drop(chart);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_are_drawn_and_one_point_is_enough() {
        assert_eq!(draw(&[], &[]).unwrap(), None);
        let svg = draw(&[(1, 3.0), (2, 2.0)], &[(2, 2.5)]).unwrap().unwrap();
        assert!(svg.contains("training") && svg.contains("held out") && svg.contains("<circle"));
        let svg = draw(&[(1, 3.0)], &[]).unwrap().unwrap();
        assert!(svg.trim_end().ends_with("</svg>") && !svg.contains("NaN"));
    }
}
