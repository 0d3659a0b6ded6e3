//! What the crawl of a shop's pages lists beside an item.

use std::path::Path;

use crate::{Catalogue, Result, question_file::range, table::Table};

/// Listed items of the catalogue, in the crawl's order.
#[derive(Debug)]
pub(super) struct Crawl {
    also_buy: Vec<Vec<u32>>,
    also_view: Vec<Vec<u32>>,
}

impl Crawl {
    /// Reads `also_buy` and `also_view` of an `items.parquet`.
    pub(super) fn read(items: &Path, catalogue: &Catalogue) -> Result<Self> {
        let lists = || vec![Vec::new(); catalogue.len()];
        let mut crawl = Self { also_buy: lists(), also_view: lists() };
        Table::open(items)?.for_each(|batch| {
            let names = batch.column("item", "text")?.texts()?;
            for (column, lists) in
                [("also_buy", &mut crawl.also_buy), ("also_view", &mut crawl.also_view)]
            {
                let (places, others) = batch.column(column, "lists of text")?.lists()?;
                let others = others.texts()?;
                for row in 0..batch.rows() {
                    let Some(item) = catalogue.position(names.value(row)) else { continue };
                    let known = range(&places, row)
                        .filter_map(|place| catalogue.position(others.value(place)));
                    lists[item as usize] = known.collect();
                }
            }
            Ok(())
        })?;
        Ok(crawl)
    }

    pub(super) fn also_bought(&self, item: Option<u32>) -> &[u32] {
        item.map_or(&[], |item| &self.also_buy[item as usize])
    }

    pub(super) fn also_viewed(&self, item: Option<u32>) -> &[u32] {
        item.map_or(&[], |item| &self.also_view[item as usize])
    }
}
