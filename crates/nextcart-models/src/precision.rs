//! Floating point formats that weights and activations may have.

use burn::tensor::DType;
use half::{bf16, f16};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

/// A floating point format, of weights or of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of f32, as most checkpoints are published.
    Bf16,
    /// 16 bits with more precision and less range.
    F16,
}

impl Precision {
    /// The name in `config.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }

    /// Bytes of a value.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// The type of a tensor on a device.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// The type of a tensor in a file.
    pub(crate) fn stored(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Bf16 => Dtype::BF16,
            Self::F16 => Dtype::F16,
        }
    }

    /// The format of a tensor in a file, if it is one of these.
    pub(crate) fn of(stored: Dtype) -> Option<Self> {
        [Self::F32, Self::Bf16, Self::F16].into_iter().find(|format| format.stored() == stored)
    }

    /// Widens the bytes of some values.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => numbers(bytes, f32::from_le_bytes),
            Self::Bf16 => numbers(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::F16 => numbers(bytes, |b| f16::from_le_bytes(b).to_f32()),
        }
    }

    /// Appends values, rounded, as bytes.
    pub(crate) fn encode(self, values: impl Iterator<Item = f32>, bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(values.flat_map(f32::to_le_bytes)),
            Self::Bf16 => bytes.extend(values.flat_map(|v| bf16::from_f32(v).to_le_bytes())),
            Self::F16 => bytes.extend(values.flat_map(|v| f16::from_f32(v).to_le_bytes())),
        }
    }
}

fn numbers<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| decode(chunk)).collect()
}
