//! How much of the machine a preparation may use.

use std::{num::NonZeroUsize, thread};

use crate::{Error, Result};

/// Default of [`Resources::memory_bytes`].
pub const DEFAULT_MEMORY_BYTES: usize = 512 << 20;

/// Least of [`Resources::memory_bytes`]: small files pass with it, on one thread.
const LEAST_MEMORY_BYTES: usize = 1 << 20;

/// Most threads that are started, whatever is asked for.
const MOST_THREADS: usize = 256;

/// Limits that change how fast and where things are computed, not what comes out. (The rows of
/// `reviews.parquet` and `items.parquet` stand in another order where files are so large that the filter of
/// duplicates, which takes a quarter of the memory, is wrong about some lines. Histories, questions and relations
/// do not depend on it; `seed_protocol` and what goes by the order of [`Catalogue::products`](crate::Catalogue::products)
/// do.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Memory of joins, sorts and groups, in bytes (default 512 MiB); beyond it, they continue on disk.
    /// Below 64 MiB they may not get on at all, and less than 1 MiB is refused.
    /// Buffers of files and the catalogue come on top.
    pub memory_bytes: usize,
    /// Threads, at most 256 (default 0: as many as the machine has).
    pub threads: usize,
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_bytes: DEFAULT_MEMORY_BYTES, threads: 0 }
    }
}

impl Resources {
    /// The memory, if plans may get on with it.
    pub(crate) fn memory_of_plans(&self) -> Result<usize> {
        if self.memory_bytes >= LEAST_MEMORY_BYTES {
            return Ok(self.memory_bytes);
        }
        Err(Error::Option {
            name: "memory_bytes",
            expected: format!("at least {LEAST_MEMORY_BYTES} (1 MiB)"),
            found: self.memory_bytes.to_string(),
        })
    }

    /// The number of threads to start.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads.min(MOST_THREADS),
        }
    }
}
