//! Catalogue rows of `items.parquet`, with what is related to an item.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, Float64Builder, ListBuilder, RecordBatch, StringBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::{
    IngestOptions,
    rows::{Kept, Rows, hash},
};
use crate::{
    Result,
    source::{Fault, FileKind, Metadata},
};

/// Items with the columns that the options ask for.
pub(super) struct ItemRows<'a> {
    options: &'a IngestOptions,
    schema: SchemaRef,
}

#[derive(Default)]
pub(super) struct ItemColumns {
    items: StringBuilder,
    titles: StringBuilder,
    brands: StringBuilder,
    categories: ListBuilder<StringBuilder>,
    prices: Float64Builder,
    also_buy: ListBuilder<StringBuilder>,
    also_view: ListBuilder<StringBuilder>,
    descriptions: StringBuilder,
}

impl<'a> ItemRows<'a> {
    pub(super) fn new(options: &'a IngestOptions) -> Self {
        let texts = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let mut fields = vec![
            Field::new("item", DataType::Utf8, false),
            Field::new("title", DataType::Utf8, true),
            Field::new("brand", DataType::Utf8, true),
            Field::new("category", texts(), false),
            Field::new("price", DataType::Float64, true),
            Field::new("also_buy", texts(), false),
            Field::new("also_view", texts(), false),
        ];
        if options.description {
            fields.push(Field::new("description", DataType::Utf8, true));
        }
        Self { options, schema: Arc::new(Schema::new(fields)) }
    }
}

impl Rows for ItemRows<'_> {
    const KIND: FileKind = FileKind::Metadata;
    const DUPLICATE: &'static str = "`asin`: expected an item not described before";
    const DIFFERENT: &'static [&'static str] = &["description"];
    type Format = ();
    type Columns = ItemColumns;

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn detect(&self, _: &Path, _: u64, _: &[u8]) -> Result<((), bool)> {
        Ok(((), false))
    }

    fn columns(&self) -> ItemColumns {
        ItemColumns::default()
    }

    fn push(&self, (): (), line: &str, columns: &mut ItemColumns) -> Result<Kept, Fault> {
        let IngestOptions { cleaning, description, .. } = *self.options;
        let row = Metadata::parse_with(line, cleaning, description)?;
        columns.items.append_value(&row.item);
        columns.titles.append_option(row.title);
        columns.brands.append_option(row.brand);
        append(&mut columns.categories, &row.category);
        columns.prices.append_option(row.price);
        append(&mut columns.also_buy, &row.also_buy);
        append(&mut columns.also_view, &row.also_view);
        if description {
            columns.descriptions.append_option(row.description);
        }
        Ok(Kept { hash: hash(row.item.as_bytes()), rows: 1 })
    }

    fn batch(&self, columns: &mut ItemColumns) -> RecordBatch {
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(columns.items.finish()),
            Arc::new(columns.titles.finish()),
            Arc::new(columns.brands.finish()),
            Arc::new(columns.categories.finish()),
            Arc::new(columns.prices.finish()),
            Arc::new(columns.also_buy.finish()),
            Arc::new(columns.also_view.finish()),
        ];
        if self.options.description {
            arrays.push(Arc::new(columns.descriptions.finish()));
        }
        RecordBatch::try_new(self.schema.clone(), arrays).expect("columns of the schema's types")
    }
}

fn append(list: &mut ListBuilder<StringBuilder>, texts: &[String]) {
    texts.iter().for_each(|text| list.values().append_value(text));
    list.append(true);
}
