//! Blocks of 64 values to 4-bit codes and back.

use std::num::NonZero;
use std::thread;

use super::code::{BLOCK, MIDPOINTS, PAIRS, TINY, ZERO};

/// Values below which starting threads costs more than it saves.
const PARALLEL_FROM: usize = 1 << 18;

/// Packed codes and the absmax of each block.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks {
    /// Two codes a byte, the even value's in the high half.
    pub packed: Vec<u8>,
    /// Largest absolute value of each block.
    pub absmax: Vec<f32>,
}

/// Packs values to 4 bits, in blocks of [`BLOCK`], the last of which may be shorter.
pub fn quantize(values: &[f32]) -> Blocks {
    let mut packed = vec![0; values.len().div_ceil(2)];
    let mut absmax = vec![0.0; values.len().div_ceil(BLOCK)];

    let share = blocks_a_thread(values.len());
    if share >= absmax.len() {
        quantize_blocks(values, &mut packed, &mut absmax);
    } else {
        thread::scope(|scope| {
            let parts = values
                .chunks(share * BLOCK)
                .zip(packed.chunks_mut(share * BLOCK / 2))
                .zip(absmax.chunks_mut(share));
            for ((values, packed), absmax) in parts {
                scope.spawn(|| quantize_blocks(values, packed, absmax));
            }
        });
    }
    Blocks { packed, absmax }
}

/// Unpacks values again: each is its code's value times its block's absmax.
///
/// # Panics
/// If there are fewer bytes or blocks than `values` needs.
pub fn dequantize(packed: &[u8], absmax: &[f32], values: &mut [f32]) {
    assert!(packed.len() >= values.len().div_ceil(2), "one byte for two values");
    assert!(absmax.len() >= values.len().div_ceil(BLOCK), "one absmax for each block");

    let share = blocks_a_thread(values.len());
    if share * BLOCK >= values.len() {
        dequantize_blocks(packed, absmax, values);
    } else {
        thread::scope(|scope| {
            let parts = values
                .chunks_mut(share * BLOCK)
                .zip(packed.chunks(share * BLOCK / 2))
                .zip(absmax.chunks(share));
            for ((values, packed), absmax) in parts {
                scope.spawn(|| dequantize_blocks(packed, absmax, values));
            }
        });
    }
}

/// Blocks that each thread takes; all of them where threads would not pay.
fn blocks_a_thread(values: usize) -> usize {
    let blocks = values.div_ceil(BLOCK);
    if values < PARALLEL_FROM {
        return blocks;
    }
    blocks.div_ceil(thread::available_parallelism().map_or(1, NonZero::get))
}

/// Unpacks the values from place `start` on, wherever in a block that is.
#[cfg(feature = "cpu")]
pub(super) fn dequantize_from(packed: &[u8], absmax: &[f32], start: usize, values: &mut [f32]) {
    let code = |place: usize| PAIRS[usize::from(packed[place / 2])][place % 2];
    // One by one to the next border, and whole blocks from there.
    let border = start.next_multiple_of(BLOCK).min(start + values.len());
    let (first, whole) = values.split_at_mut(border - start);
    for (place, value) in (start..border).zip(first) {
        *value = code(place) * absmax[place / BLOCK];
    }
    dequantize_blocks(&packed[border / 2..], &absmax[border / BLOCK..], whole);
}

fn dequantize_blocks(packed: &[u8], absmax: &[f32], values: &mut [f32]) {
    let blocks = values.chunks_mut(BLOCK).zip(packed.chunks(BLOCK / 2)).zip(absmax);
    for ((values, packed), &absmax) in blocks {
        let (pairs, rest) = values.as_chunks_mut::<2>();
        let bytes = pairs.len();
        for (pair, &byte) in pairs.iter_mut().zip(packed) {
            *pair = PAIRS[usize::from(byte)].map(|code| code * absmax);
        }
        if let ([last], Some(&byte)) = (rest, packed.get(bytes)) {
            *last = PAIRS[usize::from(byte)][0] * absmax;
        }
    }
}

fn quantize_blocks(values: &[f32], packed: &mut [u8], absmax: &mut [f32]) {
    let blocks = values.chunks(BLOCK).zip(packed.chunks_mut(BLOCK / 2)).zip(absmax);
    for ((values, packed), absmax) in blocks {
        let max = max_abs(values);
        let mut codes = [u32::from(ZERO); BLOCK];
        // The two kinds of block round differently, and so does bitsandbytes.
        if let Ok(whole) = <&[f32; BLOCK]>::try_from(values) {
            let factor = 1.0 / max.max(TINY);
            codes = nearest(&whole.map(|value| value * factor));
            *absmax = max;
        } else {
            let divisor = max.max(TINY);
            for (code, value) in codes.iter_mut().zip(values) {
                *code = nearest(&[value / divisor])[0];
            }
            *absmax = divisor;
        }
        for (byte, pair) in packed.iter_mut().zip(codes.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8; // each below 16
        }
    }
}

/// Largest absolute value, found in lanes: one running maximum would wait for itself.
fn max_abs(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [0.0; 16];
    for chunk in values.chunks(lanes.len()) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value.abs());
        }
    }
    lanes.into_iter().fold(0.0, larger)
}

/// For each value, how many midpoints lie strictly below it: ties go down.
///
/// Counting has no branches, so that it turns into vector instructions.
fn nearest<const N: usize>(values: &[f32; N]) -> [u32; N] {
    let mut codes = [0; N];
    for midpoint in MIDPOINTS {
        for (code, value) in codes.iter_mut().zip(values) {
            *code += u32::from(*value > midpoint);
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_change_nothing() {
        let values: Vec<f32> =
            (0..PARALLEL_FROM + 77).map(|i| ((i * 7919) % 10_007) as f32 / 5e3 - 1.0).collect();
        let whole = quantize(&values);
        let mut packed = vec![0; whole.packed.len()];
        let mut absmax = vec![0.0; whole.absmax.len()];
        quantize_blocks(&values, &mut packed, &mut absmax);
        assert_eq!(whole, Blocks { packed, absmax });

        let mut again = vec![0.0; values.len()];
        dequantize(&whole.packed, &whole.absmax, &mut again);
        let mut alone = vec![0.0; values.len()];
        dequantize_blocks(&whole.packed, &whole.absmax, &mut alone);
        assert_eq!(again, alone);
    }

    #[test]
    fn an_odd_end_is_filled_with_the_code_of_zero() {
        let blocks = quantize(&[1.0, -1.0, 1.0]);
        assert_eq!(blocks.packed, [0xf0, 0xf7]);
        assert_eq!(blocks.absmax, [1.0]);
    }

    #[test]
    fn whole_blocks_multiply_and_the_last_one_divides() {
        // Where the two round to different sides of a border.
        let (max, value) = (0.500_976_56_f32, 0.251_321_64);
        let mut values = [0.0; 66];
        values[0] = max;
        values[1] = value;
        values[64] = max;
        values[65] = value;
        let packed = quantize(&values).packed;
        assert_eq!((packed[0], packed[32]), (0xfd, 0xfc));
    }

    #[test]
    fn nothing_packs_to_nothing() {
        assert_eq!(quantize(&[]), Blocks { packed: vec![], absmax: vec![] });
    }
}
