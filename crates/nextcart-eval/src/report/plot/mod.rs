//! Pictures as places and words; the templates draw them as SVG.

mod axis;
mod frame;
mod loss;
mod reliability;
mod scatter;

pub(crate) use loss::LossChart;
pub(crate) use reliability::ReliabilityChart;
pub(crate) use scatter::{Mark, Scatter};
