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
    /// # Errors
    /// [`Error::NotFinite`] for a NaN or an infinity: the mean of all absmax values would be one too.
    ///
    /// # Panics
    /// If there are not `d_output · d_input` values.
    pub fn quantize(values: &[f32], shape: [usize; 2]) -> Result<Self> {
        let mut packer = Nf4Packer::new(shape);
        packer.push(values);
        packer.finish()
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
}

/// Packs a weight that comes in pieces.
#[derive(Debug)]
pub struct Nf4Packer {
    shape: [usize; 2],
    blocks: Blocks,
    rest: Vec<f32>,              // less than a block
    wrong: Option<(usize, f32)>, // the first value that is not finite, and its place
}

impl Nf4Packer {
    /// For a weight `[d_output, d_input]`.
    pub fn new(shape: [usize; 2]) -> Self {
        let values = shape[0] * shape[1];
        let packed = Vec::with_capacity(values.div_ceil(2));
        let absmax = Vec::with_capacity(values.div_ceil(BLOCK));
        Self { shape, blocks: Blocks { packed, absmax }, rest: Vec::new(), wrong: None }
    }

    /// Takes the next values, row by row.
    pub fn push(&mut self, values: &[f32]) {
        if self.wrong.is_none() && !are_finite(values) {
            let place = values.iter().position(|value| !value.is_finite());
            let before = self.blocks.packed.len() * 2 + self.rest.len();
            self.wrong = place.map(|place| (before + place, values[place]));
        }
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
    /// # Errors
    /// [`Error::NotFinite`] with the first NaN or infinity.
    ///
    /// # Panics
    /// If there were not `d_output · d_input` values.
    pub fn finish(mut self) -> Result<Nf4Weight> {
        if let Some((place, found)) = self.wrong {
            return Err(Error::NotFinite { what: "weight".to_owned(), found, place });
        }
        let rest = std::mem::take(&mut self.rest);
        let values = self.blocks.packed.len() * 2 + rest.len();
        assert_eq!(values, self.shape[0] * self.shape[1], "one value for each entry");
        self.pack(&rest);
        let absmax = NestedAbsmax::quantize(&self.blocks.absmax);
        Ok(Nf4Weight { shape: self.shape, packed: self.blocks.packed, absmax })
    }

    fn pack(&mut self, values: &[f32]) {
        let blocks = quantize(values);
        self.blocks.packed.extend(blocks.packed);
        self.blocks.absmax.extend(blocks.absmax);
    }
}

/// Whether there is no NaN and no infinity: a sum of products with 0 is 0 then, and vector instructions find it.
fn are_finite(values: &[f32]) -> bool {
    let mut lanes = [0.0_f32; 16];
    for chunk in values.chunks(lanes.len()) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value * 0.0;
        }
    }
    lanes.iter().all(|lane| *lane == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_pack_to_what_the_whole_packs_to() {
        let shape = [13, 50];
        let values: Vec<f32> = (0..650).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
        let expected = Nf4Weight::quantize(&values, shape).unwrap();
        for size in [1, 7, 64, 100, 128, 650] {
            let mut packer = Nf4Packer::new(shape);
            values.chunks(size).for_each(|piece| packer.push(piece));
            assert_eq!(packer.finish().unwrap(), expected, "{size}");
        }
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![0.5; 650];
            values[203] = wrong;
            values[400] = f32::NAN;
            for size in [1, 64, 100, 650] {
                let mut packer = Nf4Packer::new([13, 50]);
                values.chunks(size).for_each(|piece| packer.push(piece));
                match packer.finish() {
                    Err(Error::NotFinite { place: 203, found, .. }) => {
                        assert_eq!(found.to_bits(), wrong.to_bits());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
