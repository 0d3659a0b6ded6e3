//! The moments of one parameter.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::Optimizer;
use super::blockwise::{BLOCK, Blockwise, Map};

/// Parameters of fewer values keep their moments in f32: bitsandbytes' `min_8bit_size`.
const FEWEST: usize = 4096;

/// What a step is computed with, the same for all parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constants {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) epsilon: f64,
    /// `√(1 - β₂ᵗ)`.
    pub(super) root_correction2: f64,
}

/// Both moments of a parameter, flat.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a few for each block, beside their tensors")]
pub(super) enum State {
    /// In f32, on the parameter's device.
    Full { first: Tensor<1>, second: Tensor<1> },
    /// In 8 bits, on the host: not every device has numbers of 8 bits.
    Blocks { first: Blockwise, second: Blockwise },
}

impl State {
    /// The state before the first step, for a flat gradient.
    pub(super) fn zero(kind: Optimizer, gradient: &Tensor<1>) -> Self {
        let [count] = gradient.dims();
        match kind {
            Optimizer::AdamW8bit if count >= FEWEST => Self::Blocks {
                first: Blockwise::zero(Map::Signed, count),
                second: Blockwise::zero(Map::Unsigned, count),
            },
            _ => Self::Full { first: gradient.zeros_like(), second: gradient.zeros_like() },
        }
    }

    /// The state after a step, and `m / (√v̂ + ε)`.
    pub(super) fn step(self, gradient: Tensor<1>, constants: Constants) -> (Self, Tensor<1>) {
        let Constants { beta1, beta2, epsilon, root_correction2 } = constants;
        match self {
            Self::Full { first, second } => {
                let first = first * beta1 + gradient.clone() * (1.0 - beta1);
                let second = second * beta2 + gradient.square() * (1.0 - beta2);
                let root = second.clone().sqrt() / root_correction2 + epsilon;
                let direction = first.clone() / root;
                (Self::Full { first, second }, direction)
            }
            Self::Blocks { mut first, mut second } => {
                let device = gradient.device();
                let mut values: Vec<f32> =
                    gradient.try_into_vec_as().expect("gradients are f32 and on the host");
                step_blocks(&mut first, &mut second, &mut values, constants);
                let count = values.len();
                let direction = Tensor::from_data(TensorData::new(values, [count]), &device);
                (Self::Blocks { first, second }, direction)
            }
        }
    }

    /// Each part and its name.
    pub(super) fn to_host(&self) -> Vec<(&'static str, TensorData)> {
        match self {
            Self::Full { first, second } => {
                let data = |moment: &Tensor<1>| moment.clone().into_data_dtype(DType::F32);
                vec![("m", data(first)), ("v", data(second))]
            }
            Self::Blocks { first, second } => vec![
                ("m", first.codes_to_host()),
                ("m_scales", first.scales_to_host()),
                ("v", second.codes_to_host()),
                ("v_scales", second.scales_to_host()),
            ],
        }
    }

    /// The state of which `part` gives each part; `None` if one is missing.
    pub(super) fn from_host(
        mut part: impl FnMut(&str) -> Option<TensorData>,
        device: &Device,
    ) -> Option<Self> {
        let (first, second) = (part("m")?, part("v")?);
        if first.dtype() != DType::U8 {
            let tensor = |data| Tensor::from_data(data, (device, DType::F32));
            return Some(Self::Full { first: tensor(first), second: tensor(second) });
        }
        Some(Self::Blocks {
            first: Blockwise::from_host(Map::Signed, first, part("m_scales")?),
            second: Blockwise::from_host(Map::Unsigned, second, part("v_scales")?),
        })
    }
}

/// Values in a part of the state of a parameter of `count` values; `None` if there is no such part.
pub(crate) fn elements(part: &str, count: usize) -> Option<usize> {
    match part {
        "m" | "v" => Some(count),
        "m_scales" | "v_scales" => Some(count.div_ceil(BLOCK)),
        _ => None,
    }
}

/// What is saved of a parameter's moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Tensors.
    pub(crate) tensors: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// What is saved of the moments of a parameter of `count` values.
pub(crate) fn saved(kind: Optimizer, count: usize) -> Saved {
    let values = count as u64;
    match kind {
        Optimizer::AdamW8bit if count >= FEWEST => {
            let scales = values.div_ceil(BLOCK as u64);
            Saved { tensors: 4, bytes: 2 * (values + 4 * scales) }
        }
        _ => Saved { tensors: 2, bytes: 8 * values },
    }
}

/// A step of packed moments, in f32; gradients become directions.
fn step_blocks(
    first: &mut Blockwise,
    second: &mut Blockwise,
    values: &mut [f32],
    constants: Constants,
) {
    let Constants { beta1, beta2, epsilon, root_correction2 } = constants;
    let [keep1, add1] = [beta1 as f32, (1.0 - beta1) as f32];
    let [keep2, add2] = [beta2 as f32, (1.0 - beta2) as f32];
    let [epsilon, root_correction2] = [epsilon as f32, root_correction2 as f32];
    Blockwise::for_each_block([first, second], values, |[first, second], values| {
        for ((m, v), value) in first.iter_mut().zip(second).zip(values) {
            *m = *m * keep1 + *value * add1;
            *v = *v * keep2 + *value * *value * add2;
            *value = *m / (v.sqrt() / root_correction2 + epsilon);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_as_large_as_foretold() {
        for kind in [Optimizer::AdamW, Optimizer::AdamW8bit] {
            for count in [1, FEWEST - 1, FEWEST, FEWEST + 1] {
                let gradient = Tensor::<1>::zeros([count], &Device::flex());
                let parts = State::zero(kind, &gradient).to_host();
                let bytes = parts.iter().map(|(_, data)| data.as_bytes().len() as u64).sum();
                let found = Saved { tensors: parts.len() as u64, bytes };
                assert_eq!(saved(kind, count), found, "{kind:?}, {count}");
            }
        }
    }
}
