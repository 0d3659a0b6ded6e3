//! Double quantisation: the absmax values to 8 bits.

use std::array;
use std::sync::LazyLock;

use super::code::{NESTED_BLOCK, TINY, dynamic_map};

/// The map of absmax codes.
pub(crate) static MAP: LazyLock<[f32; 256]> = LazyLock::new(|| dynamic_map(true));

/// Borders between neighbouring entries of [`MAP`], in f64, where halves of f32 sums are exact.
static MIDPOINTS: LazyLock<[f64; 255]> =
    LazyLock::new(|| array::from_fn(|i| (f64::from(MAP[i]) + f64::from(MAP[i + 1])) / 2.0));

/// Absmax values packed to 8 bits: `map[code] · scale + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct NestedAbsmax {
    /// Index into [`dynamic_map`] of each value.
    pub codes: Vec<u8>,
    /// Largest distance from the offset in each group of [`NESTED_BLOCK`].
    pub scales: Vec<f32>,
    /// Mean of all values.
    pub offset: f32,
}

impl NestedAbsmax {
    /// Packs absmax values around their mean.
    pub fn quantize(absmax: &[f32]) -> Self {
        let sum = absmax.iter().copied().map(f64::from).sum::<f64>();
        let mean = if absmax.is_empty() { 0.0 } else { sum / absmax.len() as f64 };
        Self::quantize_around(absmax, mean as f32)
    }

    /// Packs absmax values around a given offset.
    pub fn quantize_around(absmax: &[f32], offset: f32) -> Self {
        let mut codes = Vec::with_capacity(absmax.len());
        let mut scales = Vec::with_capacity(absmax.len().div_ceil(NESTED_BLOCK));
        for group in absmax.chunks(NESTED_BLOCK) {
            let scale = group.iter().fold(0.0, |max: f32, value| max.max((value - offset).abs()));
            let divisor = scale.max(TINY);
            codes.extend(group.iter().map(|value| nearest((value - offset) / divisor)));
            scales.push(scale);
        }
        Self { codes, scales, offset }
    }

    /// The absmax values again.
    pub fn restore(&self) -> Vec<f32> {
        restore(&self.codes, &self.scales, self.offset)
    }
}

/// `map[code] · scale + offset`, see [`NestedAbsmax`].
pub(super) fn restore(codes: &[u8], scales: &[f32], offset: f32) -> Vec<f32> {
    let groups = codes.chunks(NESTED_BLOCK).zip(scales);
    groups
        .flat_map(|(codes, &scale)| {
            codes.iter().map(move |&code| MAP[usize::from(code)] * scale + offset)
        })
        .collect()
}

/// Index of the nearest entry; a tie goes to the lower one.
fn nearest(value: f32) -> u8 {
    let value = f64::from(value);
    MIDPOINTS.partition_point(|&midpoint| midpoint < value) as u8 // at most 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_finds_itself() {
        for (i, &value) in MAP.iter().enumerate() {
            assert_eq!(usize::from(nearest(value)), i);
        }
        let ties = MIDPOINTS.iter().enumerate().filter(|(_, m)| f64::from(**m as f32) == **m);
        assert!(ties.clone().count() > 100);
        assert!(ties.clone().all(|(i, &m)| usize::from(nearest(m as f32)) == i), "a tie goes down");
        assert_eq!(nearest(-2.0), 0);
        assert_eq!(nearest(2.0), 255);
    }

    #[test]
    fn equal_values_are_restored_exactly() {
        let absmax = [0.37; 300];
        let nested = NestedAbsmax::quantize(&absmax);
        assert_eq!(nested.scales, [0.0, 0.0]);
        assert_eq!(nested.restore(), absmax);
    }
}
