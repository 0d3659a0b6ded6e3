//! Stated beside true shares.

use serde::Serialize;

use super::axis::Axis;
use super::frame::Frame;
use crate::calibration::{Calibration, CalibrationBin};

const SIZE: f64 = 390.0;

/// Largest radius of a dot.
const RADIUS: f64 = 11.0;

/// A reliability diagram: a dot a bin, its area the bin's share of the questions.
#[derive(Debug, Serialize)]
pub(crate) struct ReliabilityChart {
    #[serde(flatten)]
    frame: Frame,
    dots: Vec<Dot>,
}

#[derive(Debug, Serialize)]
struct Dot {
    x: f64,
    y: f64,
    radius: f64,
    /// Where the dot would be if the predictor were calibrated.
    ideal: f64,
    bin: CalibrationBin,
}

impl ReliabilityChart {
    pub(crate) fn new(calibration: &Calibration) -> Self {
        let mut frame = Frame::new([SIZE; 2], [76.0, 26.0, 12.0, 52.0]);
        let x = Axis::linear((0.0, 1.0), frame.across());
        let y = Axis::linear((0.0, 1.0), frame.upwards());
        let most = calibration.bins.iter().map(|bin| bin.n).max().unwrap_or(1) as f64;
        let dot = |bin: &CalibrationBin| Dot {
            x: x.at(bin.confidence),
            y: y.at(bin.accuracy),
            radius: (RADIUS * (bin.n as f64 / most).sqrt()).max(2.5),
            ideal: y.at(bin.confidence),
            bin: *bin,
        };
        let label = |value: f64| format!("{:.0} %", 100.0 * value);
        let dots = calibration.bins.iter().map(dot).collect();
        (frame.x_ticks, frame.y_ticks) = (x.ticks(label), y.ticks(label));
        Self { frame, dots }
    }
}
