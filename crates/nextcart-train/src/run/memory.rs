//! Memory as the system and the device tell of it.

use std::fs;

use burn::tensor::Device;

use super::cgroup;

/// The most memory that this process has held, in bytes; `None` where the system does not tell as Linux does.
///
/// That of the host: a GPU's own memory is not in it.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    status("VmHWM:")
}

/// The memory that this process holds now, in bytes.
pub(crate) fn held_memory() -> Option<u64> {
    status("VmRSS:")
}

/// What this process holds and may yet take, in bytes: what Linux counts as available, within the limits of the control
/// groups.
pub(crate) fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let free = bytes_of(&text, "MemAvailable:")?;
    Some(held_memory()? + free.min(cgroup::room().unwrap_or(u64::MAX)))
}

/// Bytes that a device with memory of its own has reserved for this process; `None` for a CPU.
///
/// Pools keep what they have reserved, so that this hardly ever falls.
pub(crate) fn device_memory(device: &Device) -> Option<u64> {
    device.memory_pool_usage().map(|usage| usage.bytes_reserved)
}

fn status(name: &str) -> Option<u64> {
    bytes_of(&fs::read_to_string("/proc/self/status").ok()?, name)
}

/// A line of Linux's tables, in bytes.
fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
