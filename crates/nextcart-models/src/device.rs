//! The device that a program was built for.

use burn::tensor::{DType, Device};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use burn::{backend::DispatchDevice, tensor::DeviceType};

use crate::error::{Error, Result};
use crate::precision::Precision;

/// How what kernels are compiled for begins on CUDA.
const PTX: &str = "ptx_sm";

/// The device of [`Device::default`], if it is there and, for CUDA, what its kernels are compiled with.
///
/// Without this question, the first tensor on a GPU that is not there ends the program with a panic.
///
/// # Errors
/// [`Error::NoDevice`] if the program was built for a GPU and finds none, or no driver for it; `Error::NoToolkit` or
/// `Error::NoCompiler` if CUDA's headers or its compiler are nowhere.
///
/// # Panics
/// As [`Device::default`], if no backend is compiled in, or another than `BURN_DEVICE` asks for.
pub fn find_device() -> Result<Device> {
    let device = Device::default();
    if let Some(backend) = missing(&device) {
        return Err(Error::NoDevice { backend });
    }
    #[cfg(feature = "cuda")]
    can_compile(&device)?;
    Ok(device)
}

/// Kernels for CUDA, and no others, take its toolkit.
#[cfg(feature = "cuda")]
fn can_compile(device: &Device) -> Result<()> {
    match compiled_for(device) {
        Some(target) if target.starts_with(PTX) => match () {
            () if !nextcart_adapters::has_cuda_toolkit() => Err(Error::NoToolkit),
            () if !nextcart_adapters::has_cuda_compiler() => Err(Error::NoCompiler),
            () => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The format for a GPU to hold weights and to compute in, bf16 where it has units for it and else f32; `None` for a CPU,
/// which computes in f32 whatever it holds.
///
/// # Panics
/// If the device is a GPU that is not there: [`find_device`] asks.
#[must_use]
pub fn gpu_precision(device: &Device) -> Option<Precision> {
    let device = device.clone().inner();
    // A CPU has no memory of its own.
    device.memory_pool_usage()?;
    let has_units =
        device.supports_dtype(DType::BF16) && compiled_for(&device).is_none_or(has_bf16);
    Some(if has_units { Precision::Bf16 } else { Precision::F32 })
}

/// Bytes of memory that a GPU has in all, whoever holds them; `None` for a CPU, and where its driver does not tell, as wgpu's.
///
/// # Panics
/// If the device is a GPU that is not there: [`find_device`] asks.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
#[must_use]
pub fn gpu_memory(device: &Device) -> Option<u64> {
    match device.clone().inner().as_dispatch() {
        DispatchDevice::Cube(device) => device.client().properties().memory.max_memory(),
        _ => None,
    }
}

/// Bytes of memory that a GPU has in all; `None`, for this program was built for a CPU alone.
#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
#[must_use]
pub fn gpu_memory(_: &Device) -> Option<u64> {
    None
}

/// What kernels are compiled for, such as `ptx_sm90`.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn compiled_for(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.fingerprint)
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
fn compiled_for(_: &Device) -> Option<String> {
    None
}

/// Whether such cards compute bf16 themselves: Nvidia's before 8.0 (Ampere) say that they have it, and take the way by f32.
fn has_bf16(fingerprint: String) -> bool {
    let Some(version) = fingerprint.strip_prefix(PTX) else { return true };
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().is_ok_and(|version: u32| version >= 80)
}

/// The backend of a device that is not there.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn missing(device: &Device) -> Option<&'static str> {
    if !matches!(device.as_dispatch(), DispatchDevice::Cube(_)) {
        return None;
    }
    let (kind, name) = match () {
        #[cfg(feature = "cuda")]
        () => (DeviceType::Cuda, "cuda"),
        #[cfg(not(feature = "cuda"))]
        () => (DeviceType::Wgpu, "wgpu"),
    };
    // Asks the driver, if there is one, and opens nothing.
    Device::enumerate(kind).into_vec().is_empty().then_some(name)
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
fn missing(_: &Device) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_is_always_there_and_has_no_format_of_its_own() {
        assert_eq!(missing(&Device::flex()), None);
        assert_eq!(gpu_precision(&Device::flex().autodiff()), None);
        assert_eq!(gpu_memory(&Device::flex().autodiff()), None);
    }

    #[test]
    fn cards_before_ampere_compute_in_f32() {
        for (fingerprint, expected) in [
            ("ptx_sm75", false),
            ("ptx_sm80", true),
            ("ptx_sm120a", true),
            ("hip-kernel_gfx1151", true),
        ] {
            assert_eq!(has_bf16(fingerprint.to_owned()), expected, "{fingerprint}");
        }
    }

    #[test]
    fn a_missing_gpu_is_named_with_the_way_out() {
        let error = Error::NoDevice { backend: "cuda" }.to_string();
        assert!(error.contains("with `--features cpu` in place of `--features cuda`"), "{error}");
    }
}
