//! Users who bought alike.

use std::collections::{HashMap, HashSet};

use crate::{Catalogue, History, candidates::best};

/// Users with their training purchases, to be found by these.
#[derive(Debug, Default)]
pub(super) struct SimilarUsers {
    names: HashMap<String, u32>,
    /// Items of each user.
    items: Vec<Vec<u32>>,
    /// Users of each item.
    buyers: Vec<Vec<u32>>,
    count: usize,
}

impl SimilarUsers {
    pub(super) fn new(histories: &[History], catalogue: &Catalogue, count: usize) -> Self {
        let mut users = Self {
            names: HashMap::with_capacity(histories.len()),
            items: Vec::with_capacity(histories.len()),
            buyers: vec![Vec::new(); catalogue.len()],
            count,
        };
        for (user, history) in (0..).zip(histories) {
            let mut items: Vec<u32> =
                history.items.iter().filter_map(|item| catalogue.position(item)).collect();
            items.sort_unstable();
            items.dedup();
            items.iter().for_each(|item| users.buyers[*item as usize].push(user));
            users.names.insert(history.user.clone(), user);
            users.items.push(items);
        }
        users
    }

    /// Items of the nearest users by the sum of their similarities, without those of the history.
    ///
    /// All is computed as if the asker had bought nothing: the weight of what it alone makes common would tell what it
    /// bought.
    pub(super) fn purchases(&self, history: &[u32], asker: &str, top: usize) -> Vec<(u32, f32)> {
        let mut history = history.to_vec();
        history.sort_unstable();
        history.dedup();
        let asker = self.names.get(asker).copied();
        let own = asker.map_or(&[][..], |asker| &self.items[asker as usize]);
        let length = self.length(&history, own);
        let mut shared: HashMap<u32, f32> = HashMap::new();
        for item in &history {
            for user in &self.buyers[*item as usize] {
                *shared.entry(*user).or_default() += self.weight(*item, own).powi(2);
            }
        }
        let others = shared.into_iter().filter(|(user, _)| Some(*user) != asker);
        let similar = others.map(|(user, sum)| {
            (user, sum / (length * self.length(&self.items[user as usize], own)))
        });
        let mut scores: HashMap<u32, f32> = HashMap::new();
        for (user, similarity) in best(similar, self.count) {
            for item in &self.items[user as usize] {
                *scores.entry(*item).or_default() += similarity;
            }
        }
        let known: HashSet<u32> = history.into_iter().collect();
        best(scores.into_iter().filter(|(item, _)| !known.contains(item)), top)
    }

    /// How much an item tells: the fewer users bought it, the asker of `own` not counted, the more.
    fn weight(&self, item: u32, own: &[u32]) -> f32 {
        let asker = usize::from(own.binary_search(&item).is_ok());
        let buyers = (self.buyers[item as usize].len() - asker).max(1) as f32;
        (1.0 + self.items.len() as f32 / buyers).ln()
    }

    /// Length of the vector of these items.
    fn length(&self, items: &[u32], own: &[u32]) -> f32 {
        items
            .iter()
            .map(|item| self.weight(*item, own).powi(2))
            .sum::<f32>()
            .sqrt()
            .max(f32::MIN_POSITIVE)
    }
}
