//! How much of the machine a preparation may use.

use std::{num::NonZeroUsize, thread};

/// Default of [`Resources::memory_bytes`].
pub const DEFAULT_MEMORY_BYTES: usize = 512 << 20;

/// Limits that change how fast and where things are computed, never what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Memory of joins, sorts and groups, in bytes (default 512 MiB); beyond it, they continue on disk.
    /// Below 64 MiB they may not get on at all.
    /// Buffers of files and the catalogue come on top.
    pub memory_bytes: usize,
    /// Threads (default 0: as many as the machine has).
    pub threads: usize,
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_bytes: DEFAULT_MEMORY_BYTES, threads: 0 }
    }
}

impl Resources {
    /// The number of threads to start.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        }
    }
}
