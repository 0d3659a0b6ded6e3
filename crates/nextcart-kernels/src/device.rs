use burn::backend::DispatchDevice;

/// Whether the operations of this crate are compiled for the device's backend.
pub fn has_backend(device: &DispatchDevice) -> bool {
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

/// Runs `work` on one of the threads that the CPU's operations are spread over, so that none of them has to wake
/// another thread and wait for it before it starts.
#[cfg(feature = "cpu")]
pub fn on_workers<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Runs `work`: there are no threads to spread it over without the feature `cpu`.
#[cfg(not(feature = "cpu"))]
pub fn on_workers<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    work()
}
