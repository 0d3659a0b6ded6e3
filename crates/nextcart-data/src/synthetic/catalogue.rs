//! Items of the generated catalogue.

use std::collections::HashSet;

use rand::{RngExt, seq::IndexedRandom, seq::SliceRandom};

use super::{
    SyntheticConfig,
    words::{BRANDS, CATEGORIES},
};
use crate::seeded::seeded_rng;

/// An item, its place in the process and what its catalogue row shows.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) asin: String,
    pub(crate) title: String,
    pub(crate) brand: usize,
    pub(crate) category: usize,
    /// Place in the popularity order of its category, from 0.
    pub(crate) rank: usize,
    pub(crate) price: f64,
}

/// Ways to end a title, [`ending`]'s range.
pub(crate) const SIZES: usize = 34;

/// `N` items, evenly over the categories, with distinct titles whose shape says nothing of popularity.
pub(crate) fn items(config: &SyntheticConfig) -> Vec<Item> {
    let mut rng = seeded_rng(config.seed, &["catalogue"]);
    let mut titles = HashSet::new();
    let mut asins = HashSet::new();
    let mut items = Vec::with_capacity(config.items);
    for (category, words) in CATEGORIES.iter().enumerate().take(config.categories) {
        let share = (category + 1) * config.items / config.categories - items.len();
        // Drawn apart from titles: neither rank nor order in the file tells of the other.
        let mut ranks: Vec<usize> = (0..share).collect();
        ranks.shuffle(&mut rng);
        for rank in ranks {
            // The configuration was checked to leave most titles free.
            let (brand, title) = loop {
                let brand = rng.random_range(0..BRANDS.len());
                let noun = words.nouns.choose(&mut rng).expect("there are nouns");
                let flavour = words.flavours.choose(&mut rng).expect("there are flavours");
                let end = ending(rng.random_range(0..SIZES));
                let title = format!("{} {flavour} {noun}{end}", BRANDS[brand]);
                if titles.insert(title.clone()) {
                    break (brand, title);
                }
            };
            let asin = loop {
                let asin = format!("B0{}", code(&mut rng, 8));
                if asins.insert(asin.clone()) {
                    break asin;
                }
            };
            let price = f64::from(rng.random_range(199..2999_u32)) / 100.0;
            items.push(Item { asin, title, brand, category, rank, price });
        }
    }
    // Mixed, so that rows of a category do not stand together.
    items.shuffle(&mut rng);
    items
}

/// Letters and digits as in Amazon's ids.
pub(crate) fn code(rng: &mut impl rand::Rng, length: usize) -> String {
    const SIGNS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    (0..length).map(|_| char::from(SIGNS[rng.random_range(0..SIGNS.len())])).collect()
}

/// The size that ends a title, in one of the shapes of real titles.
fn ending(number: usize) -> String {
    const OUNCES: [&str; 10] = ["4", "5.3", "6", "8", "8.5", "10", "12", "14.1", "16", "32"];
    match number {
        0..10 => format!(", {} Ounce", OUNCES[number]),
        10..20 => format!(" ({} oz)", OUNCES[number - 10]),
        20..30 => format!(", {} Count", 6 * (number - 18)),
        _ => format!(", {} Ounce (Pack of {})", OUNCES[number - 26], number - 28),
    }
}
