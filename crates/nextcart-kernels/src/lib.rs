#![doc = include_str!("../README.md")]
//!
//! - [`frozen_product`]: `x Wᵀ` with a weight that takes no gradient and may be stored in fewer bits than `x`;
//! - [`adapted_product`]: the same with a low-rank update, in one operation on the CPU;
//! - [`rms_norm`], [`swiglu`], [`rotate_heads`] and [`masked_softmax`]: what stands between the products.
//!
//! On the CPU (feature `cpu`) they run on all cores in the widest vectors that the processor has; elsewhere they are
//! compositions of burn's operations. Either way autodiff sees one operation each and keeps what its
//! backward pass needs, and not every intermediate result.

mod decoder;
mod device;
mod product;
#[cfg(feature = "cpu")]
mod vectors;

pub use decoder::{masked_softmax, rms_norm, rotate_heads, swiglu};
pub use device::on_workers;
// For products with weights that are stored in other ways than dense.
#[cfg(feature = "cpu")]
pub use product::{Adapted, Flat, HostWeight, LowRank, multiply_on_host};
pub use product::{Side, adapted_product, frozen_product, has_adapted_product, multiply};
