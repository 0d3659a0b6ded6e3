//! The ranking by popularity, in buckets.

use std::collections::HashMap;

use rand::Rng;

use super::picker::Picker;
use crate::{
    Catalogue,
    seeded::{FastMap, seeded_hash},
};

/// Items seen in training, by popularity.
#[derive(Debug)]
pub(super) struct Ranking {
    /// Items by falling popularity with their purchases.
    ranked: Vec<(u32, u32)>,
    rank_of: FastMap<u32, usize>,
    bucket: usize,
}

impl Ranking {
    /// Ranks items by their purchases, ties by a seeded hash.
    pub(super) fn new(
        counts: &HashMap<u32, u32>,
        catalogue: &Catalogue,
        seed: u64,
        bucket: usize,
    ) -> Self {
        let mut ranked: Vec<(u32, u32)> =
            counts.iter().map(|(item, count)| (*item, *count)).collect();
        ranked.sort_by_cached_key(|(item, count)| {
            let name = &catalogue.product(*item).item;
            (std::cmp::Reverse(*count), seeded_hash(seed, &["rank", name]), name.clone())
        });
        let rank_of = ranked.iter().enumerate().map(|(rank, (item, _))| (*item, rank)).collect();
        Self { ranked, rank_of, bucket }
    }

    pub(super) fn items(&self) -> &[(u32, u32)] {
        &self.ranked
    }

    pub(super) fn contains(&self, item: u32) -> bool {
        self.rank_of.contains_key(&item)
    }

    /// The target's bucket, then the neighbours on both sides, ever farther.
    pub(super) fn draw(&self, target: u32, picker: &mut Picker<'_>, rng: &mut impl Rng) {
        // The last, short bucket is merged into the one before.
        let buckets = (self.ranked.len() / self.bucket).max(1);
        let rank = self.rank_of.get(&target).copied().unwrap_or(usize::MAX);
        let home = (rank / self.bucket).min(buckets - 1);
        for distance in 0..buckets {
            let lower = home.checked_sub(distance);
            let upper = Some(home + distance).filter(|bucket| *bucket < buckets && distance > 0);
            let neighbours = lower.into_iter().chain(upper).flat_map(|bucket| {
                let start = bucket * self.bucket;
                let end =
                    if bucket + 1 == buckets { self.ranked.len() } else { start + self.bucket };
                self.ranked[start..end].iter().map(|(item, count)| (*item, u64::from(*count)))
            });
            picker.draw_all(neighbours, rng);
            if picker.is_full() {
                return;
            }
        }
    }
}
