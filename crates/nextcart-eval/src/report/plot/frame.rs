//! Where a picture's axes stand.

use serde::Serialize;

use super::axis::{Axis, Tick};

/// A picture and the area between its axes, in units of the picture.
#[derive(Debug, Serialize)]
pub(super) struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    pub(super) x_ticks: Vec<Tick>,
    pub(super) y_ticks: Vec<Tick>,
}

impl Frame {
    /// A picture of a size with room beside the area at `[left, right, top, bottom]`, without ticks yet.
    pub(super) fn new([width, height]: [f64; 2], room: [f64; 4]) -> Self {
        let (right, bottom) = (width - room[1], height - room[3]);
        let (x_ticks, y_ticks) = (Vec::new(), Vec::new());
        Self { width, height, left: room[0], right, top: room[2], bottom, x_ticks, y_ticks }
    }

    /// The ends of the axis below, left to right.
    pub(super) fn across(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// The ends of the axis at the side, bottom to top.
    pub(super) fn upwards(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }
}

/// Points of a line, as SVG writes them.
pub(super) fn line(x: &Axis, y: &Axis, points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let points = points.into_iter().map(|(across, up)| format!("{},{}", x.at(across), y.at(up)));
    points.collect::<Vec<_>>().join(" ")
}
