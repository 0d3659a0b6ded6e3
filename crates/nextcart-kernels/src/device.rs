//! What of a device decides where an operation runs.

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// Whether the operations of this crate are compiled for the device's backend.
pub(crate) fn has_backend(device: &DispatchDevice) -> bool {
    match device {
        #[cfg(feature = "cpu")]
        DispatchDevice::Flex(_) => true,
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        DispatchDevice::Cube(_) => true,
        DispatchDevice::Autodiff(device) => has_backend(&device.clone().inner()),
        #[allow(
            unreachable_patterns,
            reason = "which variants there are depends on burn's features"
        )]
        _ => false,
    }
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
