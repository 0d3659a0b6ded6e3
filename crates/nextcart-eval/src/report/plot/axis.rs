//! From values to places in a picture.

use serde::Serialize;

/// About how many marks an axis has.
const TICKS: f64 = 6.0;

/// A line of an axis with its label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

/// A scale from values to one coordinate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Axis {
    /// Values from `low` to `high`, which is larger, lie between the coordinates `from` and `to`.
    pub(super) fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { low, high, from, to, logarithmic: false }
    }

    /// The same with equal ratios equally long; the values are positive.
    pub(super) fn logarithmic((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { low, high, from, to, logarithmic: true }
    }

    /// The place of a value, to a tenth.
    pub(super) fn at(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        let (low, high) = (scale(self.low), scale(self.high));
        let share = (scale(value) - low) / (high - low);
        let place = self.from + share * (self.to - self.from);
        (10.0 * place).round() / 10.0
    }

    /// Round values within the axis.
    pub(super) fn ticks(&self, label: impl Fn(f64) -> String) -> Vec<Tick> {
        let values = if self.logarithmic { self.round_ratios() } else { self.round_steps() };
        values.into_iter().map(|value| Tick { at: self.at(value), label: label(value) }).collect()
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn round_steps(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / TICKS;
        let power = 10.0_f64.powf(rough.log10().floor());
        let factors = [1.0, 2.0, 5.0, 10.0].into_iter();
        let step = factors.map(|f| f * power).find(|step| *step >= rough).unwrap_or(rough);
        let (first, last) = ((self.low / step - 1e-9).ceil(), (self.high / step + 1e-9).floor());
        (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * step).collect()
    }

    /// Powers of ten and, where these are few, 2 and 5 times them.
    fn round_ratios(&self) -> Vec<f64> {
        let (low, high) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let factors: &[f64] = if self.high / self.low > 1e3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all =
            (low..=high).flat_map(|power| factors.iter().map(move |f| f * 10.0_f64.powi(power)));
        let slack = 1e-9;
        all.filter(|v| *v >= self.low * (1.0 - slack) && *v <= self.high * (1.0 + slack)).collect()
    }
}

/// Digits after the point that tell round steps of this length apart.
pub(super) fn decimals(length: f64) -> usize {
    (1.0 - (length / TICKS).log10().floor()).clamp(0.0, 6.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks(|value| format!("{}", (1e6 * value).round() / 1e6))
            .into_iter()
            .map(|t| t.label)
            .collect()
    }

    #[test]
    fn ticks_are_round_and_within() {
        let linear = |low, high| labels(Axis::linear((low, high), (0.0, 100.0)));
        assert_eq!(linear(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(linear(1.0, 200.0), ["50", "100", "150", "200"]);
        assert_eq!(linear(0.123, 0.131), ["0.124", "0.126", "0.128", "0.13"]);
        let logarithmic = |low, high| labels(Axis::logarithmic((low, high), (0.0, 1.0)));
        assert_eq!(
            logarithmic(1e3, 2e9),
            ["1000", "10000", "100000", "1000000", "10000000", "100000000", "1000000000"]
        );
        assert_eq!(logarithmic(3.0, 60.0), ["5", "10", "20", "50"]);
    }

    #[test]
    fn places_run_from_end_to_end_either_way() {
        let axis = Axis::linear((2.0, 4.0), (300.0, 20.0));
        assert_eq!([2.0, 3.0, 4.0].map(|value| axis.at(value)), [300.0, 160.0, 20.0]);
        let axis = Axis::logarithmic((1.0, 100.0), (0.0, 200.0));
        assert_eq!([1.0, 10.0, 100.0].map(|value| axis.at(value)), [0.0, 100.0, 200.0]);
    }
}
