//! Relations between items, for prompts that put them into words.
//!
//! All of them but the crawl's come from training purchases alone. The crawl's (`also_buy`, `also_view`) are
//! off unless asked for: the crawl is undated and may have seen the very purchases that a test asks for.
//!
//! A user's own purchases never count in relations shown to that user. In a training question they would
//! hold the answer: for a rare pair, "bought together once" is that very purchase.

mod crawl;
mod pairs;
mod users;

use std::collections::HashMap;

use crate::{
    Catalogue, History, PairKind, Prepared, Product, Resources, Result, plan::bound,
    publish::TABLES,
};
use crawl::Crawl;
use pairs::Pairs;
use users::SimilarUsers;

/// Which relations are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationOptions {
    /// Related items of each kind that an item keeps (default 50).
    pub top: usize,
    /// Purchases between two that still count as bought by the same user (default 20).
    pub window: usize,
    /// Read the crawl's undated relations (default false).
    pub crawl: bool,
    /// Users whose purchases count as those of similar users (default 50).
    pub similar_users: usize,
}

impl Default for RelationOptions {
    fn default() -> Self {
        Self { top: 50, window: 20, crawl: false, similar_users: 50 }
    }
}

/// An item that is related to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Related<'a> {
    /// The item.
    pub product: &'a Product,
    /// How strongly: users who bought both, purchases in training for brands and categories, the sum of
    /// similarities for similar users, and 0 for the crawl's, which have an order alone.
    pub support: f64,
}

/// What training, and on request the crawl, knows of items; by default nothing.
#[derive(Debug, Default)]
pub struct Relations {
    catalogue: Catalogue,
    co_purchases: Pairs,
    next_purchases: Pairs,
    popularity: HashMap<u32, u32>,
    /// Items by brand and by category path, the most popular first.
    brands: HashMap<String, Vec<u32>>,
    categories: HashMap<Vec<String>, Vec<u32>>,
    crawl: Option<Crawl>,
    users: SimilarUsers,
    top: usize,
}

impl Relations {
    /// Reads a prepared folder. Of what is equally related, the first by its id comes first.
    ///
    /// Memory grows with the number of items and training purchases; pairs are counted by a plan that
    /// continues on disk beyond the limit.
    ///
    /// # Errors
    /// If an option lies outside its range, a table cannot be read or a plan fails.
    pub fn read(
        prepared: &Prepared,
        options: &RelationOptions,
        resources: &Resources,
    ) -> Result<Self> {
        bound("window", options.window)?;
        let items = prepared.folder.join(TABLES[1]);
        // Ties are broken by the place in it.
        let catalogue = Catalogue::read(&items)?.by_id();
        let histories = prepared.histories()?;
        let mut popularity = HashMap::new();
        for item in histories.iter().flat_map(|history| &history.items) {
            if let Some(item) = catalogue.position(item) {
                *popularity.entry(item).or_insert(0) += 1;
            }
        }
        let pairs = |kind| Pairs::count(prepared, &catalogue, kind, options, resources);
        let (co_purchases, next_purchases) =
            (pairs(PairKind::CoPurchase)?, pairs(PairKind::NextPurchase)?);
        let mut ranked: Vec<(u32, u32)> = popularity.iter().map(|(i, n)| (*i, *n)).collect();
        ranked.sort_unstable_by_key(|(item, count)| (std::cmp::Reverse(*count), *item));
        let (mut brands, mut categories) = (HashMap::new(), HashMap::new());
        for (item, _) in ranked {
            let product = catalogue.product(item);
            if let Some(brand) = &product.brand {
                brands.entry(brand.to_lowercase()).or_insert_with(Vec::new).push(item);
            }
            if !product.category.is_empty() {
                categories.entry(product.category.clone()).or_insert_with(Vec::new).push(item);
            }
        }
        let crawl = options.crawl.then(|| Crawl::read(&items, &catalogue)).transpose()?;
        let users = SimilarUsers::new(&histories, &catalogue, options.similar_users);
        let top = options.top;
        Ok(Self {
            catalogue,
            co_purchases,
            next_purchases,
            popularity,
            brands,
            categories,
            crawl,
            users,
            top,
        })
    }

    /// Items that the same users bought in training, by how many did, without the asker's own purchases.
    #[must_use]
    pub fn co_purchased(&self, item: &str, asker: Option<&History>) -> Vec<Related<'_>> {
        self.pairs(&self.co_purchases, item, asker)
    }

    /// Items that users bought as their next purchase, at a later time, without the asker's own purchases.
    #[must_use]
    pub fn bought_next(&self, item: &str, asker: Option<&History>) -> Vec<Related<'_>> {
        self.pairs(&self.next_purchases, item, asker)
    }

    /// Items of the same brand, by their purchases in training, without the asker's own.
    #[must_use]
    pub fn same_brand(&self, item: &str, asker: Option<&History>) -> Vec<Related<'_>> {
        let brand = self.catalogue.get(item).and_then(|product| product.brand.as_ref());
        self.alike(item, brand.and_then(|brand| self.brands.get(&brand.to_lowercase())), asker)
    }

    /// Items of the same category path, by their purchases in training, without the asker's own.
    #[must_use]
    pub fn same_category(&self, item: &str, asker: Option<&History>) -> Vec<Related<'_>> {
        let path = self.catalogue.get(item).map(|product| &product.category);
        self.alike(item, path.and_then(|path| self.categories.get(path)), asker)
    }

    /// Items that the crawl lists as also bought, in its order; none unless the crawl was asked for.
    #[must_use]
    pub fn also_bought(&self, item: &str) -> Vec<Related<'_>> {
        let listed = |crawl| Crawl::also_bought(crawl, self.catalogue.position(item));
        self.listed(self.crawl.as_ref().map_or(&[][..], listed))
    }

    /// Items that the crawl lists as also viewed, in its order; none unless the crawl was asked for.
    #[must_use]
    pub fn also_viewed(&self, item: &str) -> Vec<Related<'_>> {
        let listed = |crawl| Crawl::also_viewed(crawl, self.catalogue.position(item));
        self.listed(self.crawl.as_ref().map_or(&[][..], listed))
    }

    /// What users with similar training histories bought, those of the history left out, best first; the
    /// asker is none of them, and its purchases make no item more common.
    ///
    /// Similarity is the cosine of the sets of items, each weighted by how few users bought it
    /// (user-based nearest neighbours, Herlocker et al. 1999).
    #[must_use]
    pub fn of_similar_users<'a>(
        &self,
        history: impl IntoIterator<Item = &'a str>,
        asker: &str,
    ) -> Vec<Related<'_>> {
        let items: Vec<u32> =
            history.into_iter().filter_map(|item| self.catalogue.position(item)).collect();
        let found = self.users.purchases(&items, asker, self.top);
        found.into_iter().map(|(item, score)| self.related(item, f64::from(score))).collect()
    }

    fn pairs(&self, pairs: &Pairs, item: &str, asker: Option<&History>) -> Vec<Related<'_>> {
        let Some(position) = self.catalogue.position(item) else { return Vec::new() };
        let own = asker.map(|asker| pairs.own(item, asker, &self.catalogue)).unwrap_or_default();
        let mut found: Vec<(u32, u32)> = pairs
            .of(position)
            .iter()
            .map(|(other, users)| (*other, users - u32::from(own.contains(other)).min(*users)))
            .filter(|(_, users)| *users > 0)
            .collect();
        found.sort_unstable_by_key(|(other, users)| (std::cmp::Reverse(*users), *other));
        found.truncate(self.top);
        found.into_iter().map(|(other, users)| self.related(other, f64::from(users))).collect()
    }

    fn alike(
        &self,
        item: &str,
        group: Option<&Vec<u32>>,
        asker: Option<&History>,
    ) -> Vec<Related<'_>> {
        let mut own: HashMap<&str, u32> = HashMap::new();
        for item in asker.into_iter().flat_map(|asker| &asker.items) {
            *own.entry(item).or_default() += 1;
        }
        let others = group.into_iter().flatten().map(|other| {
            let product = self.catalogue.product(*other);
            let purchases = self.popularity.get(other).copied().unwrap_or_default();
            (
                *other,
                purchases - own.get(&*product.item).copied().unwrap_or_default().min(purchases),
            )
        });
        let mut others: Vec<(u32, u32)> = others.filter(|(_, purchases)| *purchases > 0).collect();
        others.retain(|(other, _)| self.catalogue.product(*other).item != item);
        // Ties by the item: an order that counts the asker's purchases would tell them.
        others.sort_unstable_by_key(|(other, purchases)| (std::cmp::Reverse(*purchases), *other));
        others.truncate(self.top);
        others.into_iter().map(|(other, count)| self.related(other, f64::from(count))).collect()
    }

    fn listed(&self, others: &[u32]) -> Vec<Related<'_>> {
        others.iter().take(self.top).map(|other| self.related(*other, 0.0)).collect()
    }

    fn related(&self, item: u32, support: f64) -> Related<'_> {
        Related { product: self.catalogue.product(item), support }
    }
}
