//! Items by their id.

use std::path::Path;

use arrow::array::{Array, RecordBatch};

use crate::{
    Product, Result,
    question_file::range,
    seeded::FastMap,
    table::{Batch, Table},
};

/// Described items, by id.
///
/// Related items (`also_buy`, `also_view`) stay in `items.parquet`: they make up most of the rows' size,
/// and the crawl that they come from is undated and may have seen test purchases.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    products: Vec<Product>,
    index: FastMap<String, u32>,
}

impl Catalogue {
    /// Reads the titled items of an `items.parquet`.
    ///
    /// # Errors
    /// If the file cannot be read, or a column or value is not as it should be; the error names it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let mut catalogue = Self::default();
        Table::open(path.as_ref())?.for_each(|batch| catalogue.push_batch(&batch))?;
        Ok(catalogue)
    }

    /// Adds the titled items among rows of `items.parquet`; errors name `path`.
    pub(crate) fn push_rows(&mut self, path: &Path, rows: &RecordBatch) -> Result<()> {
        self.push_batch(&Batch::new(path, rows.clone()))
    }

    fn push_batch(&mut self, batch: &Batch<'_>) -> Result<()> {
        let items = batch.column("item", "text")?.texts()?;
        let titles = batch.column("title", "text")?.optional_texts()?;
        let brands = batch.column("brand", "text")?.optional_texts()?;
        let (lists, names) = batch.column("category", "lists of text")?.lists()?;
        let names = names.texts()?;
        let prices = batch.column("price", "numbers")?.optional_numbers()?;
        for row in (0..batch.rows()).filter(|row| titles.is_valid(*row)) {
            self.push(Product {
                item: items.value(row).into(),
                title: titles.value(row).into(),
                brand: brands.is_valid(row).then(|| brands.value(row).into()),
                category: range(&lists, row).map(|place| names.value(place).into()).collect(),
                price: prices.is_valid(row).then(|| prices.value(row)),
            });
        }
        Ok(())
    }

    /// The same items in the order of their ids, whatever that of the files.
    pub(crate) fn by_id(self) -> Self {
        let mut products = self.products;
        products.sort_unstable_by(|a, b| a.item.cmp(&b.item));
        let mut sorted = Self::default();
        products.into_iter().for_each(|product| sorted.push(product));
        sorted
    }

    /// Titled items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// The item of this id.
    #[must_use]
    pub fn get(&self, item: &str) -> Option<&Product> {
        self.position(item).map(|position| self.product(position))
    }

    /// All of them, in the order of the files.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.products.iter()
    }

    pub(crate) fn position(&self, item: &str) -> Option<u32> {
        self.index.get(item).copied()
    }

    pub(crate) fn product(&self, position: u32) -> &Product {
        &self.products[position as usize]
    }

    /// Adds an item; of several rows with one id, the first counts.
    pub(crate) fn push(&mut self, product: Product) {
        let position =
            u32::try_from(self.products.len()).expect("a catalogue has below 2^32 items");
        if let std::collections::hash_map::Entry::Vacant(entry) =
            self.index.entry(product.item.clone())
        {
            entry.insert(position);
            self.products.push(product);
        }
    }
}
