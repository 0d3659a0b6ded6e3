//! What of a device decides where an operation runs.

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// What the operations of this crate are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "which of them there are depends on features")]
pub(crate) enum Place {
    /// The CPU, with all of them.
    Host,
    /// GPUs, with some.
    Gpu,
}

/// Where the operations of this crate run for a device; `None` if they are not compiled for its backend.
pub(crate) fn place(device: &DispatchDevice) -> Option<Place> {
    match device {
        #[cfg(feature = "cpu")]
        DispatchDevice::Flex(_) => Some(Place::Host),
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        DispatchDevice::Cube(_) => Some(Place::Gpu),
        DispatchDevice::Autodiff(device) => place(&device.clone().inner()),
        #[allow(
            unreachable_patterns,
            reason = "which variants there are depends on burn's features"
        )]
        _ => None,
    }
}

/// Whether some operations of this crate are compiled for the device's backend.
pub(crate) fn has_backend(device: &DispatchDevice) -> bool {
    place(device).is_some()
}

/// Runs `work` on one of the threads that the CPU's operations are spread over, so that they need not be woken for
/// each; for other devices, and where a graph of gradients is built, on the caller's.
pub fn on_workers<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    match device.as_dispatch() {
        #[cfg(feature = "cpu")]
        DispatchDevice::Flex(_) => rayon::scope(|_| work()),
        _ => work(),
    }
}
