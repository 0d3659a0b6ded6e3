//! A packed weight on a device.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::adapted;
use super::code::{BLOCK, NESTED_BLOCK, ZERO};
use super::nested::NestedAbsmax;
use super::op;
use super::weight::Nf4Weight;
use crate::base::frozen;
use crate::projection::to_f32;

/// A frozen weight in NF4 with double quantisation, packed on its device.
///
/// Forward and backward unpack it for the length of one matrix product; between them only the packed
/// parts are kept.
#[derive(Module, Debug)]
pub struct Nf4Base {
    packed: Param<Tensor<1, Int>>, // two codes a byte, the last block filled up
    absmax_codes: Param<Tensor<1, Int>>,
    absmax_scales: Param<Tensor<1>>,
    absmax_offset: Param<Tensor<1>>, // one value
    bias: Option<Param<Tensor<1>>>,  // [d_output]
    d_output: usize,
    d_input: usize,
}

impl Nf4Base {
    pub(crate) fn new(weight: &Nf4Weight, bias: Option<Tensor<1>>, device: &Device) -> Self {
        let [d_output, d_input] = weight.shape();
        let absmax = weight.absmax();
        // Whole blocks, so that unpacking needs no special case at the end.
        let mut packed = weight.packed().to_vec();
        packed.resize(absmax.codes.len() * BLOCK / 2, ZERO << 4 | ZERO);

        let floats = |values: Vec<f32>| {
            let shape = [values.len()];
            frozen(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
        };
        Self {
            packed: bytes_to_device(packed, device),
            absmax_codes: bytes_to_device(absmax.codes.clone(), device),
            absmax_scales: floats(absmax.scales.clone()),
            absmax_offset: floats(vec![absmax.offset]),
            bias: bias.map(frozen),
            d_output,
            d_input,
        }
    }

    /// The packed weight, copied to the host.
    pub fn to_host(&self) -> Nf4Weight {
        let blocks = (self.d_output * self.d_input).div_ceil(BLOCK);
        let mut packed = bytes_to_host(&self.packed);
        packed.truncate((self.d_output * self.d_input).div_ceil(2));
        let mut codes = bytes_to_host(&self.absmax_codes);
        codes.truncate(blocks);

        let scales = to_f32(self.absmax_scales.val().into_data());
        let offset = to_f32(self.absmax_offset.val().into_data())[0];
        let absmax = NestedAbsmax { codes, scales, offset };
        Nf4Weight::from_parts(self.shape(), packed, absmax).expect("lengths as they were made")
    }

    /// The weight `[d_output, d_input]`, unpacked.
    pub fn weight(&self) -> Tensor<2> {
        op::dequantize(self.parts(), self.shape())
    }

    /// Rows of the weight, unpacked: `count` of them from `start`, a multiple of [`rows_of_groups`](Self::rows_of_groups).
    pub(crate) fn rows(&self, start: usize, count: usize) -> Tensor<2> {
        let first = start * self.d_input / BLOCK;
        let blocks = (count * self.d_input).div_ceil(BLOCK);
        let bytes = |part: Tensor<1, Int>, start: usize, count: usize| {
            let size = part.dtype().size(); // of one byte, or of a word of four
            part.narrow(0, start / size, count.div_ceil(size))
        };
        let op::Parts { packed, codes, scales, offset } = self.parts();
        let parts = op::Parts {
            packed: bytes(packed, first * BLOCK / 2, blocks * BLOCK / 2),
            codes: bytes(codes, first, blocks),
            scales: scales.narrow(0, first / NESTED_BLOCK, blocks.div_ceil(NESTED_BLOCK)),
            offset,
        };
        op::dequantize(parts, [count, self.d_input])
    }

    /// Rows, as few as there may be, that take whole groups of absmax values: all parts can be cut behind them.
    pub(crate) fn rows_of_groups(&self) -> usize {
        const GROUP: usize = BLOCK * NESTED_BLOCK; // a power of 2
        GROUP >> self.d_input.trailing_zeros().min(GROUP.trailing_zeros())
    }

    /// The bias, of shape `[d_output]`.
    pub fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().map(Param::val)
    }

    pub(crate) fn map_bias(
        self,
        f: impl FnOnce(Option<Param<Tensor<1>>>) -> Option<Param<Tensor<1>>>,
    ) -> Self {
        Self { bias: f(self.bias), ..self }
    }

    pub(crate) fn device(&self) -> Device {
        self.packed.lazy_device()
    }

    /// `[d_output, d_input]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.d_output, self.d_input]
    }

    /// Bytes that the packed parts take on the device, the bias apart.
    pub fn byte_size(&self) -> usize {
        let ints = [&self.packed, &self.absmax_codes].map(|part| {
            let part = part.val();
            part.dims()[0] * part.dtype().size()
        });
        let floats = [&self.absmax_scales, &self.absmax_offset].map(|part| {
            let part = part.val();
            part.dims()[0] * part.dtype().size()
        });
        ints.iter().sum::<usize>() + floats.iter().sum::<usize>()
    }

    /// `x Wᵀ`, without the bias, for the folded input `x [rows, d_input]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        op::forward(x, self.parts(), self.shape())
    }

    /// The same with `scale · x Aᵀ Bᵀ` added in one operation, where the device has one for it.
    pub(crate) fn forward_adapted(
        &self,
        x: &Tensor<2>,
        factors: [&Tensor<2>; 2],
        scale: f64,
    ) -> Option<Tensor<2>> {
        adapted::forward(x, self.parts(), self.shape(), factors, scale)
    }

    fn parts(&self) -> op::Parts {
        op::Parts {
            packed: self.packed.val(),
            codes: self.absmax_codes.val(),
            scales: self.absmax_scales.val(),
            offset: self.absmax_offset.val(),
        }
    }
}

/// Bytes as an integer tensor: one each, or four to a word on GPUs and where the device knows no bytes.
fn bytes_to_device(bytes: Vec<u8>, device: &Device) -> Param<Tensor<1, Int>> {
    let tensor = if device.supports_dtype(DType::U8) && !op::reads_words(device) {
        let shape = [bytes.len()];
        Tensor::from_data(TensorData::new(bytes, shape), (device, DType::U8))
    } else {
        words_to_device(&bytes, device)
    };
    Param::initialized(ParamId::new(), tensor)
}

fn words_to_device(bytes: &[u8], device: &Device) -> Tensor<1, Int> {
    let words: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        })
        .collect();
    let shape = [words.len()];
    Tensor::from_data(TensorData::new(words, shape), (device, DType::U32))
}

/// Undoes [`bytes_to_device`], up to three zero bytes at the end.
fn bytes_to_host(tensor: &Param<Tensor<1, Int>>) -> Vec<u8> {
    let data = tensor.val().into_data();
    match data.dtype() {
        DType::U8 => data.try_into_vec().expect("bytes"),
        _ => {
            let words: Vec<u32> = data.try_into_vec().expect("words");
            words.into_iter().flat_map(u32::to_le_bytes).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Base;

    fn weight([d_output, d_input]: [usize; 2]) -> Nf4Weight {
        let values: Vec<f32> =
            (0..d_output * d_input).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
        Nf4Weight::quantize(&values, [d_output, d_input]).unwrap()
    }

    #[test]
    fn devices_without_bytes_hold_words_instead() {
        let device = Device::flex();
        for shape in [[7, 9], [33, 50], [16, 64], [1, 1]] {
            let weight = weight(shape);
            let bytes = Nf4Base::new(&weight, None, &device);
            let mut words = bytes.clone();
            for part in [&mut words.packed, &mut words.absmax_codes] {
                *part = Param::initialized(
                    ParamId::new(),
                    words_to_device(&bytes_to_host(part), &device),
                );
            }
            assert_eq!(words.weight().into_data(), bytes.weight().into_data());
            assert_eq!(words.to_host(), weight);
            assert_eq!(bytes.to_host(), weight);
        }
    }

    #[test]
    fn parts_of_a_weight_make_the_whole() {
        for (shape, expected) in
            [([520, 128], 5), ([40, 4096], 5), ([9, 16_384], 5), ([100, 50], 1), ([3, 16_385], 1)]
        {
            let bytes = Nf4Base::new(&weight(shape), None, &Device::flex());
            let mut words = bytes.clone();
            for part in [&mut words.packed, &mut words.absmax_codes] {
                let held = words_to_device(&bytes_to_host(part), &Device::flex());
                *part = Param::initialized(ParamId::new(), held);
            }
            let whole = bytes.weight().into_data();
            for base in [bytes, words].map(Base::Nf4) {
                let (starts, parts): (Vec<_>, Vec<_>) = base.row_parts().unzip();
                assert_eq!((starts[0], parts.len()), (0, expected), "{shape:?}");
                assert_eq!(Tensor::cat(parts, 0).into_data(), whole, "{shape:?}");
            }
        }
    }

    #[test]
    fn four_bits_a_weight_are_really_four_bits() {
        let base = Nf4Base::new(&weight([512, 512]), None, &Device::flex());
        let bits = base.byte_size() as f64 * 8.0 / (512.0 * 512.0);
        assert!((4.12..4.13).contains(&bits), "{bits}");
    }
}
