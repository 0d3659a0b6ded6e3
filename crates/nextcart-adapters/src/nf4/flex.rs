//! Unpacking on the CPU, straight from the backend's slices.

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::{block, nested};

/// The weight `[d_output, d_input]`; `None` if a part does not lie in memory as it was made.
pub(super) fn dequantize(
    packed: &FlexTensor,
    codes: &FlexTensor,
    scales: &FlexTensor,
    offset: &FlexTensor,
    [d_output, d_input]: [usize; 2],
) -> Option<FlexTensor> {
    let offset = *offset.as_slice()?.first()?;
    let absmax = nested::restore(codes.as_slice()?, scales.as_slice()?, offset);
    let mut values = vec![0.0; d_output * d_input];
    block::dequantize(packed.as_slice()?, &absmax, &mut values);
    Some(FlexTensor::from_data(TensorData::new(values, [d_output, d_input])))
}
