//! `items.parquet`: one row an item of the catalogue, with what is related to it.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, Float64Builder, ListBuilder, StringBuilder},
    datatypes::{DataType, Field, Schema},
};

use super::files::{BATCH_ROWS, TableFile};
use crate::{Result, amazon::Metadata};

/// Writes items in the order of the files.
pub(crate) struct ItemTable {
    file: TableFile,
    rows: usize,
    items: StringBuilder,
    titles: StringBuilder,
    brands: StringBuilder,
    categories: ListBuilder<StringBuilder>,
    prices: Float64Builder,
    also_buy: ListBuilder<StringBuilder>,
    also_view: ListBuilder<StringBuilder>,
}

impl ItemTable {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let texts = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let schema = Schema::new(vec![
            Field::new("item", DataType::Utf8, false),
            Field::new("title", DataType::Utf8, true),
            Field::new("brand", DataType::Utf8, true),
            Field::new("category", texts(), false),
            Field::new("price", DataType::Float64, true),
            Field::new("also_buy", texts(), false),
            Field::new("also_view", texts(), false),
        ]);
        let list = || ListBuilder::new(StringBuilder::new());
        Ok(Self {
            file: TableFile::create(path, Arc::new(schema))?,
            rows: 0,
            items: StringBuilder::new(),
            titles: StringBuilder::new(),
            brands: StringBuilder::new(),
            categories: list(),
            prices: Float64Builder::new(),
            also_buy: list(),
            also_view: list(),
        })
    }

    pub(crate) fn push(&mut self, row: &Metadata) -> Result<()> {
        self.items.append_value(&row.item);
        self.titles.append_option(row.title.as_deref());
        self.brands.append_option(row.brand.as_deref());
        self.prices.append_option(row.price);
        append(&mut self.categories, &row.category);
        append(&mut self.also_buy, &row.also_buy);
        append(&mut self.also_view, &row.also_view);
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.file.finish()
    }

    fn flush(&mut self) -> Result<()> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.items.finish()),
            Arc::new(self.titles.finish()),
            Arc::new(self.brands.finish()),
            Arc::new(self.categories.finish()),
            Arc::new(self.prices.finish()),
            Arc::new(self.also_buy.finish()),
            Arc::new(self.also_view.finish()),
        ];
        self.rows = 0;
        self.file.write(columns)
    }
}

fn append(list: &mut ListBuilder<StringBuilder>, texts: &[String]) {
    texts.iter().for_each(|text| list.values().append_value(text));
    list.append(true);
}
