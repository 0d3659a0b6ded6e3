//! A customer in a few numbers.

use std::{cmp::Reverse, collections::HashMap};

use serde::Serialize;

use crate::Purchase;

/// Brands and categories that a profile names.
const NAMED: usize = 3;

/// What a history says of its customer in all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile<'a> {
    /// Number of purchases.
    pub purchases: usize,
    /// The brands bought most often, at most three; ties by the first purchase.
    pub brands: Vec<&'a str>,
    /// The categories bought from most often, each by the last name of its path; ties as above.
    pub categories: Vec<&'a str>,
    /// Median of the known prices, the lower one of two, in US dollars.
    pub median_price: Option<f64>,
    /// Mean of the known ratings, 1 to 5.
    pub mean_rating: Option<f64>,
}

impl<'a> Profile<'a> {
    /// Of these purchases and nothing else.
    #[must_use]
    pub fn of(history: &'a [Purchase]) -> Self {
        let products = || history.iter().map(|purchase| &purchase.product);
        let mut prices: Vec<f64> = products().filter_map(|product| product.price).collect();
        prices.sort_by(f64::total_cmp);
        let ratings: Vec<f64> =
            history.iter().filter_map(|purchase| purchase.rating).map(f64::from).collect();
        Self {
            purchases: history.len(),
            brands: most_frequent(products().filter_map(|product| product.brand.as_deref())),
            categories: most_frequent(
                products().filter_map(|product| product.category.last().map(String::as_str)),
            ),
            median_price: prices.get(prices.len().saturating_sub(1) / 2).copied(),
            mean_rating: (!ratings.is_empty())
                .then(|| ratings.iter().sum::<f64>() / ratings.len() as f64),
        }
    }
}

fn most_frequent<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new(); // times, first place
    for (place, name) in names.enumerate() {
        counts.entry(name).or_insert((0, place)).0 += 1;
    }
    let mut names: Vec<(&str, (usize, usize))> = counts.into_iter().collect();
    names.sort_unstable_by_key(|(_, (times, first))| (Reverse(*times), *first));
    names.into_iter().take(NAMED).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Product;

    fn purchase(
        brand: Option<&str>,
        category: &[&str],
        price: Option<f64>,
        rating: Option<f32>,
    ) -> Purchase {
        let product = Product {
            item: "x".into(),
            title: "X".into(),
            brand: brand.map(Into::into),
            category: category.iter().map(|name| (*name).into()).collect(),
            price,
        };
        Purchase { product, time: None, rating }
    }

    #[test]
    fn the_most_frequent_come_first_and_unknowns_do_not_count() {
        let history = [
            purchase(Some("A"), &["Food", "Tea"], Some(3.0), Some(5.0)),
            purchase(Some("B"), &["Food", "Oats"], None, None),
            purchase(None, &[], Some(9.0), Some(2.0)),
            purchase(Some("B"), &["Food", "Tea"], Some(4.0), None),
            purchase(Some("C"), &[], Some(5.0), None),
            purchase(Some("D"), &[], None, None),
        ];
        let profile = Profile::of(&history);
        assert_eq!(profile.purchases, 6);
        assert_eq!(profile.brands, ["B", "A", "C"]);
        assert_eq!(profile.categories, ["Tea", "Oats"]);
        assert_eq!((profile.median_price, profile.mean_rating), (Some(4.0), Some(3.5)));
        let empty = Profile::of(&[]);
        assert_eq!((empty.median_price, empty.mean_rating), (None, None));
    }
}
