//! Operands and results in the order in which the innermost loops take them.

use super::tile::{Tile, panels};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Places of an f32 in a cache line.
const PLACES: usize = LINE / size_of::<f32>();

/// Values that begin with a cache line, so that no vector lies across two.
pub(super) struct Aligned {
    values: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    pub(super) fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + PLACES - 1];
        let start = values.as_ptr().align_offset(LINE).min(PLACES - 1);
        Self { values, start, length }
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values[self.start..][..self.length]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..][..self.length]
    }
}

/// Packs columns `first..first + depth` of rows so that rows become vectors: [`panels`] one after the other, each
/// `[depth, width · lanes]`; the places behind the last row are left.
///
/// # Shapes
/// - `x`: `[rows, length]`
/// - `packed`: `depth` times as many vectors as `rows` fill
pub(super) fn rows_as_vectors(
    x: &[f32],
    length: usize,
    first: usize,
    depth: usize,
    Tile { lanes, widest, .. }: Tile,
    packed: &mut [f32],
) {
    let vectors = packed.len() / (depth * lanes);
    for (vector, width) in panels(vectors, widest) {
        let panel = &mut packed[vector * depth * lanes..(vector + width) * depth * lanes];
        let width = width * lanes;
        let rows = x.chunks_exact(length).skip(vector * lanes).take(width);
        let rows: Vec<&[f32]> = rows.map(|row| &row[first..first + depth]).collect();
        // A cache line of each row at a time.
        for (part, panel) in panel.chunks_mut(PLACES * width).enumerate() {
            let count = panel.len() / width;
            for (place, row) in rows.iter().enumerate() {
                let values = &row[part * PLACES..part * PLACES + count];
                for (values_at, value) in panel.chunks_exact_mut(width).zip(values) {
                    values_at[place] = *value;
                }
            }
        }
    }
}

/// Writes sums `[part, padded]`, one row for each output, to `outputs`, one slice of `part` values for each row.
pub(super) fn write_turned(sums: &[f32], padded: usize, outputs: &mut [&mut [f32]]) {
    // Rows of a power of two share a set of the first cache, which holds no more lines than twelve.
    const TOGETHER: usize = 8;
    for (block, outputs) in outputs.chunks_mut(TOGETHER).enumerate() {
        let first = block * TOGETHER;
        let Ok(outputs) = <&mut [&mut [f32]; TOGETHER]>::try_from(&mut *outputs) else {
            for (place, output) in outputs.iter_mut().enumerate() {
                for (value, sums) in output.iter_mut().zip(sums.chunks_exact(padded)) {
                    *value = sums[first + place];
                }
            }
            continue;
        };
        let mut outputs = outputs.each_mut().map(|output| output.iter_mut());
        for sums in sums.chunks_exact(padded) {
            for (output, sum) in outputs.iter_mut().zip(&sums[first..first + TOGETHER]) {
                if let Some(value) = output.next() {
                    *value = *sum;
                }
            }
        }
    }
}

/// Writes sums `[rows, padded]` to `outputs`, one slice for each row.
pub(super) fn write(sums: &[f32], padded: usize, outputs: &mut [&mut [f32]]) {
    for (output, sums) in outputs.iter_mut().zip(sums.chunks_exact(padded)) {
        output.copy_from_slice(&sums[..output.len()]);
    }
}

/// The columns of a matrix in blocks of a width: of each block, its part of every row.
pub(super) fn column_blocks(
    values: &mut [f32],
    length: usize,
    width: usize,
) -> Vec<Vec<&mut [f32]>> {
    let rows = values.len() / length;
    let mut blocks: Vec<Vec<&mut [f32]>> =
        (0..length.div_ceil(width)).map(|_| Vec::with_capacity(rows)).collect();
    for row in values.chunks_exact_mut(length) {
        for (block, part) in blocks.iter_mut().zip(row.chunks_mut(width)) {
            block.push(part);
        }
    }
    blocks
}
