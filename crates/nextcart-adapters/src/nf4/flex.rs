//! Unpacking on the CPU, straight from the backend's slices.

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::block;
use super::nested::NestedAbsmax;

/// The weight `[d_output, d_input]`; `None` if a part does not lie in memory as it was made.
pub(super) fn dequantize(
    packed: &FlexTensor,
    codes: &FlexTensor,
    scales: &FlexTensor,
    offset: &FlexTensor,
    [d_output, d_input]: [usize; 2],
) -> Option<FlexTensor> {
    let absmax = NestedAbsmax {
        codes: codes.as_slice::<u8>()?.to_vec(),
        scales: scales.as_slice::<f32>()?.to_vec(),
        offset: *offset.as_slice::<f32>()?.first()?,
    };
    let mut values = vec![0.0; d_output * d_input];
    block::dequantize(packed.as_slice::<u8>()?, &absmax.restore(), &mut values);
    Some(FlexTensor::from_data(TensorData::new(values, [d_output, d_input])))
}
