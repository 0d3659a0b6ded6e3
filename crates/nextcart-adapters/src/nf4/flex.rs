//! Unpacking on the CPU, straight from the backend's slices.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData};
use nextcart_kernels::{Flat, HostWeight, LowRank, Side, multiply_on_host};

use super::op::dequantize_on;
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

/// `x Wᵀ` or `x W` with a part of the weight unpacked at a time; `None` as above, and for inputs in f64, which would be
/// narrowed.
pub(super) fn multiply(
    x: &FlexTensor,
    packed: &FlexTensor,
    codes: &FlexTensor,
    scales: &FlexTensor,
    offset: &FlexTensor,
    shape: [usize; 2],
    side: Side,
) -> Option<FlexTensor> {
    if x.dtype() == DType::F64 {
        return None;
    }
    multiply_on_host(x, &Packed::new(packed, codes, scales, offset)?, shape, side, None)
}

/// The tensors of a packed weight `[d_output, d_input]`.
#[derive(Debug, Clone)]
pub(super) struct PackedWeight {
    pub(super) packed: FlexTensor,
    pub(super) codes: FlexTensor,
    pub(super) scales: FlexTensor,
    pub(super) offset: FlexTensor,
    pub(super) shape: [usize; 2],
}

impl HostWeight for PackedWeight {
    fn multiply(&self, x: &FlexTensor, side: Side, update: LowRank<'_>) -> FlexTensor {
        let Self { packed, codes, scales, offset, shape } = self;
        let weight = Packed::new(packed, codes, scales, offset);
        let product =
            weight.and_then(|weight| multiply_on_host(x, &weight, *shape, side, Some(update)));
        product.unwrap_or_else(|| {
            let Self { packed, codes, scales, offset, shape } = self.clone();
            let weight = dequantize_on::<Flex>(packed, codes, scales, offset, shape);
            update.added_to(nextcart_kernels::multiply::<Flex>(x.clone(), weight, side), side)
        })
    }
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
