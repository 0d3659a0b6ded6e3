//! A packed weight on the host.

use super::block::{dequantize, quantize};
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
