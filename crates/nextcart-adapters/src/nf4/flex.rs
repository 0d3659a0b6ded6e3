//! Unpacking on the CPU, straight from the backend's slices.

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;
use nextcart_kernels::{Flat, Side, multiply_on_host};

use super::{block, nested};

/// The weight `[d_output, d_input]`; `None` if a part does not lie in memory as it was made.
pub(super) fn dequantize(
    packed: &FlexTensor,
    codes: &FlexTensor,
    scales: &FlexTensor,
    offset: &FlexTensor,
    [d_output, d_input]: [usize; 2],
) -> Option<FlexTensor> {
    let weight = Packed::new(packed, codes, scales, offset)?;
    let mut values = vec![0.0; d_output * d_input];
    block::dequantize(weight.bytes, &weight.absmax, &mut values);
    Some(FlexTensor::from_data(TensorData::new(values, [d_output, d_input])))
}

/// `x Wᵀ` or `x W` with a tile of the weight unpacked at a time; `None` as above.
pub(super) fn multiply(
    x: &FlexTensor,
    packed: &FlexTensor,
    codes: &FlexTensor,
    scales: &FlexTensor,
    offset: &FlexTensor,
    shape: [usize; 2],
    side: Side,
) -> Option<FlexTensor> {
    multiply_on_host(x, &Packed::new(packed, codes, scales, offset)?, shape, side)
}

/// Bytes of two codes, and the absmax of each block.
struct Packed<'a> {
    bytes: &'a [u8],
    absmax: Vec<f32>,
}

impl<'a> Packed<'a> {
    fn new(
        packed: &'a FlexTensor,
        codes: &FlexTensor,
        scales: &FlexTensor,
        offset: &FlexTensor,
    ) -> Option<Self> {
        let offset = *offset.as_slice()?.first()?;
        let absmax = nested::restore(codes.as_slice()?, scales.as_slice()?, offset);
        Some(Self { bytes: packed.as_slice()?, absmax })
    }
}

impl Flat for Packed<'_> {
    fn read(&self, start: usize, values: &mut [f32]) {
        block::dequantize_from(self.bytes, &self.absmax, start, values);
    }
}
