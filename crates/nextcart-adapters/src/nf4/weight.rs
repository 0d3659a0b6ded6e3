//! A packed weight on the host.

use super::block::{Blocks, dequantize, quantize};
use super::code::{BLOCK, NESTED_BLOCK};
use super::nested::NestedAbsmax;
use crate::error::{Error, Result};

/// A whole weight in NF4 with double quantisation, as files hold it.
#[derive(Debug, Clone, PartialEq)]
pub struct Nf4Weight {
    shape: [usize; 2],
    packed: Vec<u8>,
    absmax: NestedAbsmax,
}

impl Nf4Weight {
    /// Packs a weight `[d_output, d_input]`, given row by row.
    ///
    /// # Panics
    /// If there are not `d_output · d_input` values.
    pub fn quantize(values: &[f32], shape: [usize; 2]) -> Self {
        assert_eq!(values.len(), shape[0] * shape[1], "one value for each entry");
        let blocks = quantize(values);
        Self { shape, packed: blocks.packed, absmax: NestedAbsmax::quantize(&blocks.absmax) }
    }

    /// A weight of parts that were packed before, here or by bitsandbytes.
    ///
    /// # Errors
    /// [`Error::Packed`] if a part has another length than the shape asks for.
    pub fn from_parts(shape: [usize; 2], packed: Vec<u8>, absmax: NestedAbsmax) -> Result<Self> {
        let values = shape[0] * shape[1];
        let blocks = values.div_ceil(BLOCK);
        for (part, expected, found) in [
            ("codes", values.div_ceil(2), packed.len()),
            ("absmax codes", blocks, absmax.codes.len()),
            ("absmax scales", blocks.div_ceil(NESTED_BLOCK), absmax.scales.len()),
        ] {
            if expected != found {
                return Err(Error::Packed { shape, part, expected, found });
            }
        }
        Ok(Self { shape, packed, absmax })
    }

    /// The weight again, row by row.
    pub fn dequantize(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.shape[0] * self.shape[1]];
        dequantize(&self.packed, &self.absmax.restore(), &mut values);
        values
    }

    /// `[d_output, d_input]`.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Two codes a byte.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The packed absmax values.
    pub fn absmax(&self) -> &NestedAbsmax {
        &self.absmax
    }

    /// Bytes that all parts take.
    pub fn byte_size(&self) -> usize {
        self.packed.len() + self.absmax.codes.len() + 4 * (self.absmax.scales.len() + 1)
    }
}

/// Packs a weight that comes in pieces.
#[derive(Debug)]
pub struct Nf4Packer {
    shape: [usize; 2],
    blocks: Blocks,
    rest: Vec<f32>, // less than a block
}

impl Nf4Packer {
    /// For a weight `[d_output, d_input]`.
    pub fn new(shape: [usize; 2]) -> Self {
        let values = shape[0] * shape[1];
        let packed = Vec::with_capacity(values.div_ceil(2));
        let absmax = Vec::with_capacity(values.div_ceil(BLOCK));
        Self { shape, blocks: Blocks { packed, absmax }, rest: Vec::new() }
    }

    /// Takes the next values, row by row.
    pub fn push(&mut self, values: &[f32]) {
        let mut values = values;
        if !self.rest.is_empty() {
            let (first, more) = values.split_at(values.len().min(BLOCK - self.rest.len()));
            self.rest.extend_from_slice(first);
            values = more;
            if self.rest.len() < BLOCK {
                return;
            }
            let rest = std::mem::take(&mut self.rest);
            self.pack(&rest);
        }
        let (whole, rest) = values.split_at(values.len() / BLOCK * BLOCK);
        self.pack(whole);
        self.rest.extend_from_slice(rest);
    }

    /// The packed weight.
    ///
    /// # Panics
    /// If there were not `d_output · d_input` values.
    pub fn finish(mut self) -> Nf4Weight {
        let rest = std::mem::take(&mut self.rest);
        let values = self.blocks.packed.len() * 2 + rest.len();
        assert_eq!(values, self.shape[0] * self.shape[1], "one value for each entry");
        self.pack(&rest);
        let absmax = NestedAbsmax::quantize(&self.blocks.absmax);
        Nf4Weight { shape: self.shape, packed: self.blocks.packed, absmax }
    }

    fn pack(&mut self, values: &[f32]) {
        let blocks = quantize(values);
        self.blocks.packed.extend(blocks.packed);
        self.blocks.absmax.extend(blocks.absmax);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_pack_to_what_the_whole_packs_to() {
        let shape = [13, 50];
        let values: Vec<f32> = (0..650).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
        let expected = Nf4Weight::quantize(&values, shape);
        for size in [1, 7, 64, 100, 128, 650] {
            let mut packer = Nf4Packer::new(shape);
            values.chunks(size).for_each(|piece| packer.push(piece));
            assert_eq!(packer.finish(), expected, "{size}");
        }
    }
}
