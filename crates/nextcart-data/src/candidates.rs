//! Distractors: what a question offers beside the target.

use std::collections::{HashMap, HashSet};

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{Catalogue, PrepareOptions, seeded::seeded_hash};

/// How distractors are drawn. All of them were bought in training.
///
/// # By popularity
/// The items are ranked by their purchases in training (ties by a seeded hash) and the ranking is cut
/// into buckets of [`PrepareOptions::bucket`]. Distractors come from the target's bucket, one after
/// another, each with a probability proportional to its purchases.
///
/// Why proportional: somebody who knows nothing but popularity expects the target to be item `i` with
/// probability `p_i`. If the distractors are drawn with the same `p` from the same bucket, the set of
/// candidates is equally likely whichever of them is the target, and popularity says nothing. (Draws
/// without replacement leave a rest: for two candidates `a` and `b` the odds are `(1 - p_b) : (1 - p_a)`
/// within the bucket, near 1 unless one item dominates it.) A uniform draw from the bucket would favour
/// the more popular candidate, and one from the whole catalogue far more so.
///
/// It follows that a reader of the questions who knows the probability `P(i | history)` of every item
/// should weigh the candidates by `P(i | history) / p_i`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Distractors {
    /// From the target's bucket of similar popularity, in proportion to popularity.
    #[default]
    Popularity,
    /// From all items seen in training alike. Popularity alone then tells much of the answer.
    Uniform,
}

/// Items seen in training, by popularity.
#[derive(Debug)]
pub(crate) struct Pool {
    distractors: Distractors,
    /// Items by falling popularity with their purchases.
    ranked: Vec<(u32, u32)>,
    rank_of: HashMap<u32, usize>,
    bucket: usize,
    /// One number for each distinct title, upper and lower case alike, by position in the catalogue.
    title_of: Vec<u32>,
}

/// What a user's questions must not offer.
#[derive(Debug)]
pub(crate) struct Owned {
    items: HashSet<u32>,
    titles: HashSet<u32>,
}

impl Pool {
    /// Ranks items by their purchases in training.
    pub(crate) fn new(
        counts: &HashMap<u32, u32>,
        catalogue: &Catalogue,
        options: &PrepareOptions,
    ) -> Self {
        let mut ranked: Vec<(u32, u32)> =
            counts.iter().map(|(item, count)| (*item, *count)).collect();
        ranked.sort_by_cached_key(|(item, count)| {
            let hash = seeded_hash(options.seed, &["rank", &catalogue.product(*item).item]);
            (std::cmp::Reverse(*count), hash, *item)
        });
        let mut titles = HashMap::new();
        let title_of = (0..catalogue.len() as u32)
            .map(|item| {
                let next = titles.len() as u32;
                *titles.entry(catalogue.product(item).title.to_lowercase()).or_insert(next)
            })
            .collect();
        let rank_of = ranked.iter().enumerate().map(|(rank, (item, _))| (*item, rank)).collect();
        Self { distractors: options.distractors, ranked, rank_of, bucket: options.bucket, title_of }
    }

    pub(crate) fn is_seen(&self, item: u32) -> bool {
        self.rank_of.contains_key(&item)
    }

    pub(crate) fn title(&self, item: u32) -> u32 {
        self.title_of[item as usize]
    }

    pub(crate) fn owned(&self, items: impl Iterator<Item = u32>) -> Owned {
        let items: HashSet<u32> = items.collect();
        let titles = items.iter().map(|item| self.title(*item)).collect();
        Owned { items, titles }
    }

    /// `count` distractors, or `None` if there are not as many.
    pub(crate) fn draw(
        &self,
        target: u32,
        owned: &Owned,
        count: usize,
        rng: &mut impl Rng,
    ) -> Option<Vec<u32>> {
        let mut picker = Picker {
            pool: self,
            owned,
            count,
            picked: Vec::with_capacity(count),
            titles: HashSet::new(),
        };
        match self.distractors {
            Distractors::Popularity => self.draw_by_popularity(target, &mut picker, rng),
            Distractors::Uniform => self.draw_uniformly(&mut picker, rng),
        }
        (picker.picked.len() == count).then_some(picker.picked)
    }

    /// The target's bucket, then the neighbours on both sides, ever farther.
    fn draw_by_popularity(&self, target: u32, picker: &mut Picker<'_>, rng: &mut impl Rng) {
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
                self.ranked[start..end].iter().copied()
            });
            picker.pick_weighted(neighbours, rng);
            if picker.is_full() {
                return;
            }
        }
    }

    fn draw_uniformly(&self, picker: &mut Picker<'_>, rng: &mut impl Rng) {
        // Trying items at random is quick in a large catalogue; what a small one still lacks after
        // that is drawn from all that are left, which has the same distribution.
        for _ in 0..20 * picker.count {
            if self.ranked.is_empty() || picker.is_full() {
                return;
            }
            let (item, _) = self.ranked[rng.random_range(0..self.ranked.len())];
            picker.offer(item);
        }
        picker.pick_weighted(self.ranked.iter().map(|(item, _)| (*item, 1)), rng);
    }
}

/// Takes distractors as long as they fit the question.
struct Picker<'a> {
    pool: &'a Pool,
    owned: &'a Owned,
    count: usize,
    picked: Vec<u32>,
    titles: HashSet<u32>,
}

impl Picker<'_> {
    fn is_full(&self) -> bool {
        self.picked.len() == self.count
    }

    fn offer(&mut self, item: u32) {
        let title = self.pool.title(item);
        let fits = !self.owned.items.contains(&item) && !self.owned.titles.contains(&title);
        if fits && !self.is_full() && self.titles.insert(title) {
            self.picked.push(item);
        }
    }

    /// Offers items in an order drawn without replacement in proportion to their weights: the order of
    /// exponential waiting times with these rates.
    fn pick_weighted(&mut self, items: impl Iterator<Item = (u32, u32)>, rng: &mut impl Rng) {
        let mut waiting: Vec<(f64, u32)> = items
            .map(|(item, weight)| (-(1.0 - rng.random::<f64>()).ln() / f64::from(weight), item))
            .collect();
        waiting.sort_by(|a, b| a.0.total_cmp(&b.0));
        waiting.into_iter().for_each(|(_, item)| self.offer(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{amazon::Metadata, seeded::seeded_rng};

    /// A pool of items with these titles, bought this often.
    fn pool(items: &[(&str, u32)], options: &PrepareOptions) -> Pool {
        let mut catalogue = Catalogue::default();
        let mut counts = HashMap::new();
        for (position, (title, count)) in items.iter().enumerate() {
            let line = format!("{{\"asin\": \"i{position}\", \"title\": \"{title}\"}}");
            catalogue.push(Metadata::parse(&line).unwrap());
            if *count > 0 {
                counts.insert(position as u32, *count);
            }
        }
        Pool::new(&counts, &catalogue, options)
    }

    fn draws(
        pool: &Pool,
        target: u32,
        owned: &[u32],
        count: usize,
        times: usize,
    ) -> Vec<Option<Vec<u32>>> {
        let owned = pool.owned(owned.iter().copied().chain([target]));
        (0..times)
            .map(|round| {
                pool.draw(target, &owned, count, &mut seeded_rng(1, &[&round.to_string()]))
            })
            .collect()
    }

    #[test]
    fn never_offers_what_the_user_owns_or_a_title_twice() {
        let options = PrepareOptions { candidates: 3, ..PrepareOptions::default() };
        let items = [
            ("Tea", 9),
            ("TEA", 9),
            ("Oats", 5),
            ("oats", 5),
            ("Rice", 4),
            ("Never bought", 0),
            ("Mugs", 2),
        ];
        for distractors in [Distractors::Popularity, Distractors::Uniform] {
            let pool = pool(&items, &PrepareOptions { distractors, ..options.clone() });
            for draw in draws(&pool, 0, &[6], 2, 50) {
                let mut draw = draw.unwrap();
                draw.sort_unstable();
                assert!(draw == [2, 4] || draw == [3, 4], "{draw:?}");
            }
            assert!(
                draws(&pool, 0, &[6], 3, 5).iter().all(Option::is_none),
                "only two titles are left"
            );
        }
    }

    #[test]
    fn draws_in_proportion_to_popularity_within_the_bucket() {
        let options = PrepareOptions { bucket: 4, ..PrepareOptions::default() };
        let items = [
            ("A", 60),
            ("B", 30),
            ("C", 20),
            ("D", 10),
            ("E", 4),
            ("F", 3),
            ("G", 2),
            ("H", 1),
            ("I", 1),
        ];
        let pool = pool(&items, &options);
        let mut counts = [0_u32; 9];
        for draw in draws(&pool, 0, &[], 1, 6000) {
            counts[draw.unwrap()[0] as usize] += 1;
        }
        assert_eq!(counts[4..], [0; 5]);
        for (item, share) in [(1, 3000), (2, 2000), (3, 1000)] {
            assert!(counts[item].abs_diff(share) < 200, "{counts:?}");
        }
        // The ninth item is merged into the second bucket.
        assert!(
            draws(&pool, 8, &[], 1, 200).iter().flatten().all(|draw| (4..8).contains(&draw[0]))
        );
    }

    #[test]
    fn falls_over_to_the_neighbouring_buckets() {
        let options = PrepareOptions { bucket: 2, ..PrepareOptions::default() };
        let pool = pool(&[("A", 6), ("B", 5), ("C", 4), ("D", 3), ("E", 2), ("F", 1)], &options);
        for draw in draws(&pool, 0, &[], 3, 20) {
            let mut draw = draw.unwrap();
            draw.sort_unstable();
            assert_eq!(draw, [1, 2, 3]);
        }
    }
}
