//! Items by their nearness to others: in the words of titles, or in who bought them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::OnceLock,
};

use crate::{Catalogue, seeded::FastMap};

/// Purchases that are added to those of a pair in a cosine: without them, two items bought once each, by one
/// user, would be the nearest of all.
const SHRINKAGE: f64 = 10.0;

/// Neighbours that are kept of an item.
pub(crate) const NEIGHBOURS: usize = 100;

/// Items by the words of their titles (TF-IDF, Salton and Buckley 1988), for the items seen in training.
#[derive(Debug)]
pub(crate) struct TextIndex {
    /// For each word, the items with it and the word's weight in the item's title of length 1.
    postings: Vec<Vec<(u32, f32)>>,
    word_of: HashMap<String, u32>,
    /// How rare each word is: its inverse document frequency.
    rarity: Vec<f64>,
    /// Neighbours of an item, found when first asked for.
    found: Vec<OnceLock<Box<[u32]>>>,
}

impl TextIndex {
    pub(crate) fn new(items: impl Iterator<Item = u32> + Clone, catalogue: &Catalogue) -> Self {
        let mut word_of: HashMap<String, u32> = HashMap::new();
        let mut holders: Vec<u32> = Vec::new();
        let mut count = 0;
        for item in items.clone() {
            count += 1;
            for (word, _) in BTreeMap::from_iter(counts(&catalogue.product(item).title)) {
                let next = word_of.len() as u32;
                let word = *word_of.entry(word).or_insert(next) as usize;
                holders.resize(holders.len().max(word + 1), 0);
                holders[word] += 1;
            }
        }
        let rarity = holders.iter().map(|held| (1.0 + f64::from(count) / f64::from(*held)).ln());
        let found = (0..catalogue.len()).map(|_| OnceLock::new()).collect();
        let postings = vec![Vec::new(); word_of.len()];
        let mut index = Self { postings, word_of, rarity: rarity.collect(), found };
        for item in items {
            for (word, value) in index.vector(&catalogue.product(item).title) {
                index.postings[word as usize].push((item, value));
            }
        }
        index
    }

    /// The items with the nearest titles, nearest first, the item itself left out.
    pub(crate) fn nearest(&self, item: u32, catalogue: &Catalogue) -> &[u32] {
        self.found[item as usize].get_or_init(|| {
            let mut scores: FastMap<u32, f32> = FastMap::default();
            for (word, value) in self.vector(&catalogue.product(item).title) {
                for (other, weight) in &self.postings[word as usize] {
                    *scores.entry(*other).or_default() += value * weight;
                }
            }
            scores.remove(&item);
            best(scores.into_iter(), NEIGHBOURS).into_iter().map(|(other, _)| other).collect()
        })
    }

    /// Words and weights of a title as a vector of length 1, without the words that are not indexed.
    fn vector(&self, title: &str) -> Vec<(u32, f32)> {
        let mut vector: Vec<(u32, f64)> = counts(title)
            .into_iter()
            .filter_map(|(word, count)| self.word_of.get(&word).map(|word| (*word, count)))
            .map(|(word, count)| (word, f64::from(count) * self.rarity[word as usize]))
            .collect();
        // In one order, so that sums of rounded numbers are the same in every run.
        vector.sort_unstable_by_key(|(word, _)| *word);
        let length = vector.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
        vector.into_iter().map(|(word, value)| (word, (value / length) as f32)).collect()
    }
}

fn counts(title: &str) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.for_each(|word| *counts.entry(word.to_lowercase()).or_default() += 1);
    counts
}

/// The `count` items with the highest scores, best first, ties by the item.
pub(crate) fn best(scores: impl Iterator<Item = (u32, f32)>, count: usize) -> Vec<(u32, f32)> {
    // No score is negative, so that their bits stand in their order.
    let mut heap: BinaryHeap<Reverse<(u32, Reverse<u32>)>> = BinaryHeap::new();
    for (item, score) in scores {
        heap.push(Reverse((score.to_bits(), Reverse(item))));
        if heap.len() > count {
            heap.pop();
        }
    }
    let sorted = heap.into_sorted_vec();
    sorted.into_iter().map(|Reverse((bits, Reverse(item)))| (item, f32::from_bits(bits))).collect()
}

/// Items that the same users bought in training: the table of item-kNN (Sarwar et al. 2001), cosines shrunk.
#[derive(Debug)]
pub(crate) struct Neighbours {
    /// By position in the catalogue: items and their cosine, best first.
    neighbours: Vec<Vec<(u32, f32)>>,
}

impl Neighbours {
    /// No pairs yet, for a catalogue of this many items.
    pub(crate) fn new(items: usize) -> Self {
        Self { neighbours: vec![Vec::new(); items] }
    }

    /// Adds that so many users bought both; `popularity` are the items' purchases in training.
    pub(crate) fn push(
        &mut self,
        item: u32,
        other: u32,
        users: u64,
        popularity: &HashMap<u32, u32>,
    ) {
        let bought = |item: u32| f64::from(popularity.get(&item).copied().unwrap_or(1));
        let cosine = users as f64 / ((bought(item) * bought(other)).sqrt() + SHRINKAGE);
        let list = &mut self.neighbours[item as usize];
        list.push((other, cosine as f32));
        if list.len() >= 4 * NEIGHBOURS {
            *list = best(list.drain(..), NEIGHBOURS);
        }
    }

    /// Keeps each item's best, in their order.
    pub(crate) fn sort(&mut self) {
        for list in &mut self.neighbours {
            *list = best(list.drain(..), NEIGHBOURS);
        }
    }

    /// Items by the sum of their cosines with those of a history, best first.
    pub(crate) fn retrieve(&self, history: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut scores: HashMap<u32, f32> = HashMap::new();
        for item in history {
            for (other, score) in &self.neighbours[item as usize] {
                *scores.entry(*other).or_default() += score;
            }
        }
        best(scores.into_iter(), 10 * NEIGHBOURS).into_iter().map(|(item, _)| item).collect()
    }
}
