//! The whole catalogue as candidates.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use crate::{Catalogue, Product, Question, Result, histories::read_training, title_key};

/// The items that stand against the target of a question of
/// [`Distractors::Catalogue`](crate::Distractors::Catalogue): all that were bought in training.
#[derive(Debug, Clone)]
pub struct FullCatalogue {
    products: Vec<Product>,
    /// Titles of all items, as they are compared.
    titles: HashMap<String, String>,
}

impl FullCatalogue {
    /// Reads the items bought in training from a prepared folder, by their ids.
    ///
    /// # Errors
    /// If the folder's tables cannot be read.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let catalogue = Catalogue::read(folder.join("items.parquet"))?;
        let histories = read_training(&folder.join("histories.parquet"))?;
        let items: HashSet<&str> =
            histories.iter().flat_map(|history| &history.items).map(String::as_str).collect();
        let mut products: Vec<Product> =
            items.iter().filter_map(|item| catalogue.get(item)).cloned().collect();
        products.sort_by(|a, b| a.item.cmp(&b.item));
        let titles =
            catalogue.products().map(|product| (product.item.clone(), title_key(&product.title)));
        Ok(Self { products, titles: titles.collect() })
    }

    /// The items.
    #[must_use]
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// What can be recommended after these purchases: the items but for those that bear a title of theirs; of items with
    /// the same title, the first by its id.
    #[must_use]
    pub fn without(&self, bought: &[Product]) -> Vec<Product> {
        self.others(bought.iter().map(|product| title_key(&product.title)).collect())
    }

    /// The question with all items as candidates, the target in its place among them, but for those that
    /// it excludes and those that bear the title of one of these or of the target; of items with the same title, the first
    /// by its id.
    #[must_use]
    pub fn expand(&self, question: &Question) -> Question {
        let target = question.target();
        let excluded = question.excluded.iter();
        let mut known: HashSet<String> =
            excluded.filter_map(|item| self.titles.get(item)).cloned().collect();
        known.insert(title_key(&target.title));
        let mut candidates = self.others(known);
        let answer = candidates.partition_point(|product| product.item < target.item);
        candidates.insert(answer, target.clone());
        Question { candidates, answer, excluded: Vec::new(), ..question.clone() }
    }

    /// The items whose titles are not known yet, each title once.
    fn others(&self, mut known: HashSet<String>) -> Vec<Product> {
        let others = self.products.iter();
        others.filter(|product| known.insert(title_key(&product.title))).cloned().collect()
    }
}
