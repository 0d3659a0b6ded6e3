//! Weights as they lie in memory, read as f32.

use burn::tensor::{bf16, f16};
use half::slice::HalfFloatSliceExt;

/// A frozen weight in the host's memory, row by row, whose values can be had in f32.
pub trait Flat: Sync {
    /// The values from place `start` on, as many as there is room for.
    fn read(&self, start: usize, values: &mut [f32]);

    /// The values as they lie there, if they are in f32 already.
    fn as_f32(&self) -> Option<&[f32]> {
        None
    }
}

impl Flat for [f32] {
    fn read(&self, start: usize, values: &mut [f32]) {
        values.copy_from_slice(&self[start..start + values.len()]);
    }

    fn as_f32(&self) -> Option<&[f32]> {
        Some(self)
    }
}

impl Flat for [bf16] {
    fn read(&self, start: usize, values: &mut [f32]) {
        // The upper half of an f32; written so, the loop becomes vector instructions.
        for (value, half) in values.iter_mut().zip(&self[start..]) {
            *value = f32::from_bits(u32::from(half.to_bits()) << 16);
        }
    }
}

impl Flat for [f16] {
    fn read(&self, start: usize, values: &mut [f32]) {
        self[start..start + values.len()].convert_to_f32_slice(values);
    }
}
