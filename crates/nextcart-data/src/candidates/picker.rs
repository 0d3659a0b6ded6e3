//! Taking distractors as long as they fit the question.

use rand::{Rng, RngExt};

use super::pool::{Owned, Titles};
use crate::seeded::FastSet;

/// Draws at random for each distractor before a picker goes through all items.
const PATIENCE: usize = 20;

/// Takes distractors: none that the user has, no title twice, as many as asked.
pub(super) struct Picker<'a> {
    titles: &'a Titles,
    owned: &'a Owned,
    count: usize,
    pub(super) picked: Vec<u32>,
    seen: FastSet<u32>,
}

/// Items with weights, to draw from in proportion to these.
#[derive(Debug, Default)]
pub(super) struct Weighted {
    items: Vec<u32>,
    /// Sums of the weights up to each item.
    sums: Vec<u64>,
}

impl Weighted {
    pub(super) fn push(&mut self, item: u32, weight: u32) {
        let before = self.sums.last().copied().unwrap_or_default();
        self.items.push(item);
        self.sums.push(before + u64::from(weight));
    }

    fn draw(&self, rng: &mut impl Rng) -> Option<u32> {
        let sum = *self.sums.last().filter(|sum| **sum > 0)?;
        let place = rng.random_range(0..sum);
        Some(self.items[self.sums.partition_point(|before| *before <= place)])
    }

    fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        let before = [0].into_iter().chain(self.sums.iter().copied());
        let weights = self.sums.iter().zip(before).map(|(sum, before)| sum - before);
        self.items.iter().copied().zip(weights)
    }
}

impl<'a> Picker<'a> {
    pub(super) fn new(titles: &'a Titles, owned: &'a Owned, count: usize) -> Self {
        Self { titles, owned, count, picked: Vec::with_capacity(count), seen: FastSet::default() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.picked.len() == self.count
    }

    pub(super) fn offer(&mut self, item: u32) {
        let title = self.titles.of(item);
        let fits = !self.owned.items.contains(&item) && !self.owned.titles.contains(&title);
        if fits && !self.is_full() && self.seen.insert(title) {
            self.picked.push(item);
        }
    }

    /// Offers items one after another, each drawn in proportion to its weight from those that are left.
    ///
    /// A draw that was made before or does not fit is passed over, which leaves the others' proportions
    /// as they are. What a small group still lacks after many draws comes from all that are left.
    pub(super) fn draw(&mut self, group: &Weighted, rng: &mut impl Rng) {
        for _ in 0..PATIENCE * self.count {
            if self.is_full() {
                return;
            }
            match group.draw(rng) {
                Some(item) => self.offer(item),
                None => return,
            }
        }
        self.draw_all(group.iter(), rng);
    }

    /// As [`Picker::draw`], at once for all items: in the order of exponential waiting times with the
    /// weights as rates.
    pub(super) fn draw_all(&mut self, items: impl Iterator<Item = (u32, u64)>, rng: &mut impl Rng) {
        let mut waiting: Vec<(f64, u32)> = items
            .map(|(item, weight)| (-(1.0 - rng.random::<f64>()).ln() / weight as f64, item))
            .collect();
        waiting.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, item) in waiting {
            if self.is_full() {
                return;
            }
            self.offer(item);
        }
    }
}
