//! NF4: 4 bits a weight, with double quantisation, as bitsandbytes stores it.
//!
//! After Dettmers et al., *QLoRA* (<https://arxiv.org/abs/2305.14314>). A weight is flattened row by
//! row and cut into blocks of [`BLOCK`] values, which ignore row ends. Each block keeps its largest
//! absolute value (`absmax`) and each value the index of the nearest entry of [`CODE`] after division
//! by it; two indices share a byte, the even one in the high half. The absmax values are packed once
//! more, to 8 bits in groups of [`NESTED_BLOCK`] around their mean: 4.127 bits a weight in all.
//!
//! Codes and plain absmax values are those of bitsandbytes bit for bit, and what it has packed is read as it stands.
//! The mean agrees to a millionth. An absmax value gets the nearest of its 256 codes here; bitsandbytes searches
//! roughly and takes a neighbour now and then.
//!
//! [`quantize`], [`dequantize`] and [`NestedAbsmax`] work on plain slices, [`Nf4Weight`] holds a whole
//! packed weight on the host and [`Nf4Base`] on a device.

mod adapted;
mod base;
mod block;
mod code;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod cube;
#[cfg(feature = "cpu")]
mod flex;
mod nested;
mod op;
mod weight;

pub use base::Nf4Base;
pub use block::{Blocks, dequantize, quantize};
pub use code::{BLOCK, CODE, NESTED_BLOCK, dynamic_map};
#[cfg(feature = "cuda-source")]
pub use cube::cuda_sources;
pub use nested::NestedAbsmax;
pub use weight::{Nf4Packer, Nf4Weight};
