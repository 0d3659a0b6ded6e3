//! Lines whose tokens are known already: titles come again and again.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock};

use foldhash::fast::{FixedState, RandomState};
use tokenizers::Result;

/// Parts of the cache, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// Lines that a part holds at most. All parts together hold 131,072 titles, some 200 bytes each with
/// their tokens.
const LINES: usize = 8192;

/// Longest line that is held, in bytes; with all lines as long as this, the cache takes some 200 MB.
const LINE_BYTES: usize = 512;

/// Tokens of lines, each alone or going on.
#[derive(Debug, Default)]
pub(super) struct LineCache {
    shards: [RwLock<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// By whether a line begins the text.
    lines: [HashMap<Box<str>, Box<[u32]>, RandomState>; 2],
}

impl LineCache {
    /// Appends the tokens of a line, found or made.
    pub(super) fn append(
        &self,
        line: &str,
        alone: bool,
        ids: &mut Vec<u32>,
        make: impl FnOnce() -> Result<Vec<u32>>,
    ) -> Result<()> {
        if line.len() > LINE_BYTES {
            ids.extend(make()?);
            return Ok(());
        }
        let shard = &self.shards[FixedState::default().hash_one(line) as usize % SHARDS];
        let kind = usize::from(alone);
        {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(tokens) = shard.lines[kind].get(line) {
                ids.extend_from_slice(tokens);
                return Ok(());
            }
        }
        let tokens = make()?;
        ids.extend_from_slice(&tokens);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.lines[kind].len() < LINES {
            shard.lines[kind].insert(line.into(), tokens.into());
        }
        Ok(())
    }
}
