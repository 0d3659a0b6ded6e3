//! What a device has.

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor};
use nextcart_models::{Precision, gpu_memory};

use crate::run::{available_memory, device_memory, held_memory};

/// Bytes of a GPU that are left to its driver, to kernels and to what memory pools round up; not measured.
const RESERVED: u64 = 1_000_000_000;

/// What is known of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceFacts {
    /// Bytes that a run may take, the process's own before it included; `u64::MAX` where nobody tells.
    pub memory: u64,
    /// Floating-point operations a second that it sustains in large matrix products; a multiplication and an addition
    /// are two.
    pub flops: f64,
    /// Whether its memory is the host's, as a CPU's is (default true). Elsewhere, moments in 8 bits and block
    /// inputs on the host take nothing of it.
    pub is_host: bool,
    /// Bytes that are taken before the run's model is made (default 0).
    pub taken: u64,
    /// Operations a second in steps of models like the run's (default none, that is not known).
    pub step_flops: Option<f64>,
}

impl DeviceFacts {
    /// A CPU with so many bytes and operations a second.
    #[must_use]
    pub fn host(memory: u64, flops: f64) -> Self {
        Self { memory, flops, is_host: true, taken: 0, step_flops: None }
    }

    /// The same with no more memory than so many bytes.
    #[must_use]
    pub fn within(self, bytes: u64) -> Self {
        Self { memory: self.memory.min(bytes), ..self }
    }

    /// A device as it is now: a CPU's free memory as Linux tells it, within the limits of its control groups, and the
    /// speed of a few products of square matrices in f32, which takes about a tenth of a second. Of a GPU, it is the
    /// memory that it has in all, less 1 GB for driver, kernels and what pools round up; where its driver does not tell
    /// ([`gpu_memory`]), see [`RunConfig::memory_limit`](crate::RunConfig::memory_limit). What nothing uses of a GPU's memory
    /// pools is given back before and after.
    #[must_use]
    pub fn measure(device: &Device) -> Self {
        Self::measure_in(Precision::F32, device)
    }

    /// The same with the products that a run has whose activations are in this format: a CPU computes in f32 whatever
    /// they are held in, and a GPU in the format itself.
    pub(super) fn measure_in(activations: Precision, device: &Device) -> Self {
        let inner = device.clone().inner();
        inner.memory_cleanup();
        let taken_there = device_memory(&inner);
        let facts = Self {
            memory: match taken_there {
                Some(_) => gpu_memory(&inner).map_or(u64::MAX, |all| all.saturating_sub(RESERVED)),
                None => available_memory().unwrap_or(u64::MAX),
            },
            flops: product_speed(taken_there.map_or(Precision::F32, |_| activations), &inner),
            is_host: taken_there.is_none(),
            taken: taken_there.or_else(held_memory).unwrap_or(0),
            step_flops: None,
        };
        // What was timed leaves nothing in the pools that a run would count as taken.
        inner.memory_cleanup();
        facts
    }
}

/// Operations a second in the largest product that takes a few milliseconds, the fastest of some.
fn product_speed(precision: Precision, device: &Device) -> f64 {
    const ENOUGH: f64 = 0.01;
    const LARGEST: usize = 4096;
    const REPEATS: usize = 3;
    let mut side = 256;
    loop {
        let matrix = Tensor::<2>::ones([side, side], device).cast(precision.dtype());
        let seconds = || {
            let started = Instant::now();
            let product = matrix.clone().matmul(matrix.clone());
            // Reading a value waits for it, on every backend.
            let _: f32 = product.slice([0..1, 0..1]).cast(DType::F32).into_scalar();
            started.elapsed().as_secs_f64().max(1e-9)
        };
        seconds(); // prepares kernels and threads
        let once = seconds();
        if once >= ENOUGH || side >= LARGEST {
            let fastest = (1..REPEATS).map(|_| seconds()).fold(once, f64::min);
            return 2.0 * (side as f64).powi(3) / fastest;
        }
        side *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_every_format_have_a_speed() {
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            let found = product_speed(precision, &Device::flex());
            assert!(found.is_finite() && found > 1e5, "{precision:?}: {found}");
        }
    }

    #[test]
    fn a_cpu_has_the_hosts_memory_and_a_speed() {
        let found = DeviceFacts::measure(&Device::flex().autodiff());
        assert!(found.is_host && found.flops.is_finite() && found.flops > 1e6, "{found:?}");
        if cfg!(target_os = "linux") {
            assert!(found.taken > 1 << 20 && found.memory > found.taken, "{found:?}");
            assert!(found.memory < u64::MAX);
        }
    }
}
