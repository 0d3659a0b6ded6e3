//! The purchase process: probabilities and draws from them.

use std::collections::HashSet;

use rand::{Rng, RngExt, seq::SliceRandom};

use super::{
    SyntheticConfig,
    catalogue::{Item, code},
    words::BRANDS,
};
use crate::seeded::seeded_rng;

/// 1 January 2014 in days since the Unix epoch.
const FIRST_DAY: i64 = 16_071;

/// Tastes and complements: all that a purchase depends on beside the user's own past.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) complement_probability: f64,
    /// `p_k(i)` by taste and item.
    tastes: Vec<Vec<f64>>,
    /// Running sums of these, to draw from.
    cumulative: Vec<Vec<f64>>,
    /// The complements of each item.
    pub(crate) complements: Vec<Vec<u32>>,
}

/// What a user bought on one day: one item or two.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Basket {
    /// Days since the Unix epoch.
    pub(crate) day: i64,
    pub(crate) items: Vec<u32>,
}

/// A user's purchases, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) baskets: Vec<Basket>,
}

impl Model {
    pub(crate) fn new(config: &SyntheticConfig, items: &[Item]) -> Self {
        let mut rng = seeded_rng(config.seed, &["tastes"]);
        let mut order: Vec<usize> = (0..config.categories).collect();
        order.shuffle(&mut rng);
        let tastes: Vec<Vec<f64>> = (0..config.tastes)
            .map(|taste| {
                // Neighbours in a shuffled ring, so that every category is somebody's favourite.
                let first = taste * config.favourite_categories;
                let favourites: HashSet<usize> = (first..first + config.favourite_categories)
                    .map(|place| order[place % config.categories])
                    .collect();
                let mut brands: Vec<usize> = (0..BRANDS.len()).collect();
                brands.shuffle(&mut rng);
                taste_weights(config, items, &favourites, &brands[..2])
            })
            .collect();
        let cumulative = tastes
            .iter()
            .map(|taste| {
                let mut sum = 0.0;
                taste
                    .iter()
                    .map(|p| {
                        sum += p;
                        sum
                    })
                    .collect()
            })
            .collect();
        let complements = complements(config, items);
        Self {
            complement_probability: config.complement_probability,
            tastes,
            cumulative,
            complements,
        }
    }

    pub(crate) fn tastes(&self) -> usize {
        self.tastes.len()
    }

    /// `m_k(i | B)`: one draw's probability of `item`, before owned items are ruled out.
    pub(crate) fn probability(&self, taste: usize, item: u32, previous: &[u32]) -> f64 {
        let liked = self.tastes[taste][item as usize];
        if previous.is_empty() {
            return liked;
        }
        let follows: f64 = previous
            .iter()
            .map(|bought| {
                let list = &self.complements[*bought as usize];
                if list.contains(&item) { 1.0 / list.len() as f64 } else { 0.0 }
            })
            .sum();
        let follows = follows / previous.len() as f64;
        self.complement_probability * follows + (1.0 - self.complement_probability) * liked
    }

    /// `P(i | k, B, O)`: the probability of buying `item`, which is not among `owned`.
    pub(crate) fn purchase(&self, taste: usize, item: u32, previous: &[u32], owned: &[u32]) -> f64 {
        let excluded: f64 = owned.iter().map(|item| self.probability(taste, *item, previous)).sum();
        let left = 1.0 - excluded;
        // Rounding may leave nothing where nearly all is owned.
        if left > 1e-12 { self.probability(taste, item, previous) / left } else { 0.0 }
    }

    /// `P({x, y} | k, B, O)`: the probability of a basket of two, in whichever order.
    pub(crate) fn pair(
        &self,
        taste: usize,
        pair: [u32; 2],
        previous: &[u32],
        owned: &[u32],
    ) -> f64 {
        let in_order = |first, second| {
            let mut with_first = owned.to_vec();
            with_first.push(first);
            self.purchase(taste, first, previous, owned)
                * self.purchase(taste, second, previous, &with_first)
        };
        in_order(pair[0], pair[1]) + in_order(pair[1], pair[0])
    }

    pub(crate) fn draw(
        &self,
        taste: usize,
        previous: &[u32],
        owned: &[u32],
        rng: &mut impl Rng,
    ) -> u32 {
        // Trying again until the item is new renormalises over the items not owned.
        for _ in 0..64 {
            let follows = !previous.is_empty() && rng.random_bool(self.complement_probability);
            let item = if follows {
                let list =
                    &self.complements[previous[rng.random_range(0..previous.len())] as usize];
                list[rng.random_range(0..list.len())]
            } else {
                let sums = &self.cumulative[taste];
                let point = rng.random::<f64>() * sums[sums.len() - 1];
                sums.partition_point(|sum| *sum <= point).min(sums.len() - 1) as u32
            };
            if !owned.contains(&item) {
                return item;
            }
        }
        // The same distribution item by item, for who owns nearly all that the taste likes.
        let free: Vec<u32> =
            (0..self.complements.len() as u32).filter(|item| !owned.contains(item)).collect();
        let weight = |item: &u32| self.probability(taste, *item, previous);
        let mut point = rng.random::<f64>() * free.iter().map(weight).sum::<f64>();
        let found = free.iter().find(|item| {
            point -= weight(item);
            point < 0.0
        });
        *found.or(free.last()).expect("a user buys at most a quarter of the items")
    }
}

/// `p_k(i) = θ_k(g_i) · s_i b_k(i) / Σ_{j in g_i} s_j b_k(j)`.
fn taste_weights(
    config: &SyntheticConfig,
    items: &[Item],
    favourites: &HashSet<usize>,
    brands: &[usize],
) -> Vec<f64> {
    let others = config.categories - favourites.len();
    let category_share = |category: usize| match (favourites.contains(&category), others) {
        (_, 0) => 1.0 / config.categories as f64,
        (true, _) => config.focus / favourites.len() as f64,
        (false, _) => (1.0 - config.focus) / others as f64,
    };
    let weight = |item: &Item| {
        let affinity = if brands.contains(&item.brand) { config.brand_affinity } else { 1.0 };
        affinity / ((item.rank + 1) as f64).powf(config.zipf_exponent)
    };
    let mut sums = vec![0.0; config.categories];
    items.iter().for_each(|item| sums[item.category] += weight(item));
    items
        .iter()
        .map(|item| category_share(item.category) * weight(item) / sums[item.category])
        .collect()
}

/// `L` items of the category that follows in a ring, those of the same brand first.
fn complements(config: &SyntheticConfig, items: &[Item]) -> Vec<Vec<u32>> {
    let mut rng = seeded_rng(config.seed, &["complements"]);
    let mut ring: Vec<usize> = (0..config.categories).collect();
    ring.shuffle(&mut rng);
    let mut next = vec![0; config.categories];
    for (place, category) in ring.iter().enumerate() {
        next[*category] = ring[(place + 1) % ring.len()];
    }
    let mut by_category = vec![Vec::new(); config.categories];
    for (position, item) in items.iter().enumerate() {
        by_category[item.category].push(position as u32);
    }
    items
        .iter()
        .map(|item| {
            let mut list: Vec<u32> = by_category[next[item.category]].clone();
            list.shuffle(&mut rng);
            list.sort_by_key(|other| items[*other as usize].brand != item.brand);
            list.truncate(config.complements_per_item);
            list
        })
        .collect()
}

/// All users, each from a generator of its own.
pub(crate) fn users(config: &SyntheticConfig, model: &Model) -> Vec<User> {
    let mut ids = HashSet::new();
    (0..config.users)
        .map(|number| {
            let mut rng = seeded_rng(config.seed, &["user", &number.to_string()]);
            let id = loop {
                let id = format!("A{}", code(&mut rng, 13));
                if ids.insert(id.clone()) {
                    break id;
                }
            };
            User { id, baskets: baskets(config, model, &mut rng) }
        })
        .collect()
}

fn baskets(config: &SyntheticConfig, model: &Model, rng: &mut impl Rng) -> Vec<Basket> {
    let taste = rng.random_range(0..model.tastes());
    let purchases = rng.random_range(config.min_purchases..=config.max_purchases);
    let mut day = FIRST_DAY + i64::from(rng.random_range(0..config.days));
    let mut baskets: Vec<Basket> = Vec::new();
    let mut owned: Vec<u32> = Vec::with_capacity(purchases);
    while owned.len() < purchases {
        let size = if purchases - owned.len() >= 2 && rng.random_bool(config.pair_probability) {
            2
        } else {
            1
        };
        let previous = baskets.last().map_or(&[][..], |basket| &basket.items);
        let mut items = Vec::with_capacity(size);
        for _ in 0..size {
            let item = model.draw(taste, previous, &owned, rng);
            owned.push(item);
            items.push(item);
        }
        baskets.push(Basket { day, items });
        day += rng.random_range(3..=60_i64);
    }
    baskets
}
