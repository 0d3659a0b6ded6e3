//! Catalogue rows by item.

use std::collections::HashMap;

use crate::{Product, amazon::Metadata};

/// The catalogue: every described item once, titled or not, in the order of the files.
///
/// Related items (`also_buy`, `also_view`) stay in `items.parquet`: they make up most of the rows' size,
/// and the crawl that they come from is undated and may have seen test purchases.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    products: Vec<Product>,
    index: HashMap<String, u32>,
    titled: usize,
}

impl Catalogue {
    /// Items, the untitled included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// Items with a title.
    #[must_use]
    pub fn titled(&self) -> usize {
        self.titled
    }

    /// The titled item of this id.
    #[must_use]
    pub fn get(&self, item: &str) -> Option<&Product> {
        self.index
            .get(item)
            .map(|index| self.product(*index))
            .filter(|product| !product.title.is_empty())
    }

    /// The titled items, in the order of the files.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.products.iter().filter(|product| !product.title.is_empty())
    }

    /// Position of an item, titled or not.
    pub(crate) fn position(&self, item: &str) -> Option<u32> {
        self.index.get(item).copied()
    }

    /// The item at a position; its title is empty if it has none.
    pub(crate) fn product(&self, position: u32) -> &Product {
        &self.products[position as usize]
    }

    pub(crate) fn contains(&self, item: &str) -> bool {
        self.index.contains_key(item)
    }

    pub(crate) fn push(&mut self, row: Metadata) {
        let position =
            u32::try_from(self.products.len()).expect("a catalogue has below 2^32 items");
        self.index.insert(row.item.clone(), position);
        self.titled += usize::from(row.title.is_some());
        self.products.push(Product {
            item: row.item,
            title: row.title.unwrap_or_default(),
            brand: row.brand,
            category: row.category,
            price: row.price,
        });
    }
}
