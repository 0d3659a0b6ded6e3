//! What is reached over what it costs.

use serde::Serialize;

use super::axis::Axis;
use super::frame::{Frame, line};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;

/// A point with the interval of its height.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) name: String,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether nothing is both better and cheaper.
    pub(crate) on_front: bool,
}

/// Accuracy over a cost, with the front of what nothing beats.
#[derive(Debug, Serialize)]
pub(crate) struct Scatter {
    cost: String,
    #[serde(flatten)]
    frame: Frame,
    /// The front as a line, for runs that lie on it from the cheapest to the best.
    front: String,
    marks: Vec<Placed>,
    summary: String,
}

#[derive(Debug, Serialize)]
struct Placed {
    name: String,
    x: f64,
    y: f64,
    low: f64,
    high: f64,
    on_front: bool,
    /// Whether the name stands to the left, for want of room.
    to_the_left: bool,
    value: String,
}

impl Scatter {
    /// Costs are positive and lie on a logarithmic axis; `None` without marks.
    pub(crate) fn new(cost: &str, mut marks: Vec<Mark>, show: fn(f64) -> String) -> Option<Self> {
        marks.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
        let (first, last) = (marks.first()?.x, marks.last()?.x);
        let bottom_value = marks.iter().map(|mark| mark.low).fold(1.0, f64::min);
        let top_value = marks.iter().map(|mark| mark.high).fold(0.0, f64::max);
        let mut frame = Frame::new([WIDTH, HEIGHT], [60.0, 14.0, 18.0, 48.0]);
        let x = Axis::logarithmic((first / 1.6, last * 1.6), frame.across());
        let room = (0.08 * (top_value - bottom_value)).max(0.005);
        let y = Axis::linear((bottom_value - room, top_value + room), frame.upwards());
        let on_front = || marks.iter().filter(|mark| mark.on_front);
        let front = line(&x, &y, on_front().map(|mark| (mark.x, mark.y)));
        let names: Vec<&str> = on_front().map(|mark| mark.name.as_str()).collect();
        let summary = format!(
            "Accuracy over {cost}. No run is both better and cheaper than: {}.",
            names.join(", ")
        );
        let place = |mark: &Mark| Placed {
            name: mark.name.clone(),
            x: x.at(mark.x),
            y: y.at(mark.y),
            low: y.at(mark.low),
            high: y.at(mark.high),
            on_front: mark.on_front,
            to_the_left: x.at(mark.x) > WIDTH / 2.0,
            value: show(mark.x),
        };
        frame.x_ticks = x.ticks(show);
        frame.y_ticks = y.ticks(|value| format!("{:.1} %", 100.0 * value));
        Some(Self {
            cost: cost.to_owned(),
            frame,
            front,
            marks: marks.iter().map(place).collect(),
            summary,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lie_within_and_the_front_runs_through_its_own() {
        let mark = |name: &str, x, y, on_front| Mark {
            name: name.to_owned(),
            x,
            y,
            low: y - 0.05,
            high: y + 0.05,
            on_front,
        };
        let marks =
            vec![mark("b", 1e9, 0.6, true), mark("a", 1e6, 0.4, true), mark("c", 1e9, 0.5, false)];
        let chart = Scatter::new("parameters", marks, |x| format!("{x}")).unwrap();
        let names: Vec<&str> = chart.marks.iter().map(|mark| mark.name.as_str()).collect();
        assert_eq!(names, ["a", "c", "b"]);
        for mark in &chart.marks {
            let ((left, right), (bottom, top)) = (chart.frame.across(), chart.frame.upwards());
            assert!(left < mark.x && mark.x < right, "{mark:?}");
            assert!(top < mark.high && mark.high < mark.y && mark.low < bottom);
        }
        assert_eq!(chart.front.split(' ').count(), 2);
        assert!(chart.summary.ends_with("cheaper than: a, b."), "{}", chart.summary);
        assert!(Scatter::new("parameters", vec![], |x| format!("{x}")).is_none());
    }
}
