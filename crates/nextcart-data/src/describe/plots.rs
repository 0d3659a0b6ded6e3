//! Distributions as SVG files.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use plotters::prelude::*;

use super::Description;
use crate::{Error, Result, table::atomically};

const SIZE: (u32, u32) = (860, 420);

const BLUE: RGBColor = RGBColor(0x1f, 0x55, 0x9e);
const ORANGE: RGBColor = RGBColor(0xc4, 0x4e, 0x12);
const GREEN: RGBColor = RGBColor(0x2e, 0x7d, 0x4f);
const GRID: RGBColor = RGBColor(0xe6, 0xe6, 0xe6);

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Draws a description into an SVG text.
type Draw = fn(&Description, &mut String) -> Drawn;

/// Writes all plots that have something to show.
pub(super) fn plot(description: &Description, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.into(), source })?;
    let mut written = Vec::new();
    let plots: [(&str, Draw); 3] = [
        ("history_lengths.svg", history_lengths),
        ("popularity.svg", popularity),
        ("months.svg", months),
    ];
    for (name, draw) in plots {
        if name == "months.svg" && description.months.is_empty() {
            continue;
        }
        let path = folder.join(name);
        let mut svg = String::new();
        draw(description, &mut svg)
            .map_err(|error| Error::Plot { path: path.clone(), reason: error.to_string() })?;
        atomically(&path, |mut file| {
            file.write_all(svg.as_bytes())
                .map_err(|source| Error::Write { path: path.clone(), source })
        })?;
        written.push(path);
    }
    Ok(written)
}

/// Users by the number of their purchases; the longest histories share the last bar.
fn history_lengths(description: &Description, svg: &mut String) -> Drawn {
    let lengths = &description.history_lengths;
    let first = lengths.iter().next().map_or(0, |(length, _)| length);
    let last = lengths.quantile(0.99).unwrap_or(first).max(first + 4);
    let mut bars = vec![0; (last - first + 1) as usize];
    lengths.iter().for_each(|(length, users)| bars[(length.min(last) - first) as usize] += users);
    let highest = bars.iter().copied().max().unwrap_or(1).max(1);

    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (from, to) = (first as f64 - 0.6, last as f64 + 0.6);
    let mut chart = frame(&area).build_cartesian_2d(from..to, 0.0..1.05 * highest as f64)?;
    let label = |length: &f64| match *length {
        length if length.fract().abs() > 0.01 => String::new(),
        length if length as u64 == last => format!("{last}+"),
        length => format!("{length:.0}"),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_labels(bars.len().min(20))
        .x_label_formatter(&label)
        .y_label_formatter(&|users| format!("{users:.0}"))
        .x_desc("purchases of a user")
        .y_desc("users")
        .axis_desc_style(("sans-serif", 15))
        .draw()?;
    chart.draw_series(bars.iter().zip(first..).map(|(users, length)| {
        let place = length as f64;
        Rectangle::new([(place - 0.4, 0.0), (place + 0.4, *users as f64)], BLUE.filled())
    }))?;
    area.present()?;
    Ok(())
}

/// Training purchases of items by their rank, on logarithmic axes.
fn popularity(description: &Description, svg: &mut String) -> Drawn {
    let ranking = &description.ranking;
    let (most, items) = (ranking.first().copied().unwrap_or(1), ranking.len().max(2));
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let ranks = (1.0..items as f64).log_scale();
    let mut chart = frame(&area).build_cartesian_2d(ranks, (0.8..1.3 * most as f64).log_scale())?;
    let number = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .x_desc("items by popularity")
        .y_desc("purchases in training")
        .axis_desc_style(("sans-serif", 15))
        .draw()?;
    // Where neighbours stand on one pixel, every one of them would make the file no better.
    let step = |rank: &usize| rank.ilog2().saturating_sub(7);
    let shown = (1..=ranking.len()).filter(|rank| rank.is_multiple_of(1 << step(rank)));
    let points: Vec<(f64, f64)> =
        shown.map(|rank| (rank as f64, ranking[rank - 1] as f64)).collect();
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
    area.present()?;
    Ok(())
}

/// Purchases by month, in the colours of the parts.
fn months(description: &Description, svg: &mut String) -> Drawn {
    let months = &description.months;
    let first = months.keys().next().copied().unwrap_or_default();
    let last = months.keys().next_back().copied().unwrap_or_default();
    let highest = months.values().map(|parts| parts.iter().sum::<u64>()).max().unwrap_or(1);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (from, to) = (first as f64 - 0.6, last as f64 + 0.6);
    let mut chart = frame(&area).build_cartesian_2d(from..to, 0.0..1.12 * highest as f64)?;
    let year = |month: &f64| {
        let month = month.round() as i64;
        format!("{}-{:02}", 1970 + month.div_euclid(12), month.rem_euclid(12) + 1)
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_label_formatter(&year)
        .y_label_formatter(&|purchases| format!("{purchases:.0}"))
        .y_desc("purchases in a month")
        .axis_desc_style(("sans-serif", 15))
        .draw()?;
    for (part, (name, colour)) in
        [("train", BLUE), ("validation", ORANGE), ("test", GREEN)].into_iter().enumerate()
    {
        let bars = months.iter().map(|(month, parts)| {
            let below: u64 = parts[..part].iter().sum();
            let corners = [
                (*month as f64 - 0.42, below as f64),
                (*month as f64 + 0.42, (below + parts[part]) as f64),
            ];
            Rectangle::new(corners, colour.filled())
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(GRID)
        .label_font(("sans-serif", 14))
        .draw()?;
    area.present()?;
    Ok(())
}

fn frame<'a, 'b>(
    area: &'a DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.margin(16).x_label_area_size(44).y_label_area_size(70);
    chart
}
