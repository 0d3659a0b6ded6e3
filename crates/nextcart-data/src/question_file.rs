//! Questions as a Parquet file that needs nothing beside it: titles, prices and all stand inside.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch,
        StringArray, StructArray, UInt32Array,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Fields, Schema},
};

use crate::{
    Error, Part, Product, Purchase, Question, Result,
    seed::read_seed_table,
    table::{Column, Table, TableFile, atomically},
};

/// Questions in a batch.
const BATCH: usize = 1024;

/// Bytes of a batch's texts: far below what the offsets of a column can count, which questions with thousands of
/// candidates would pass.
const BATCH_BYTES: usize = 64 << 20;

/// Questions that are read at once: few, as each may hold a whole catalogue, and offsets in a column count to 2 GiB.
const READ_AT_ONCE: usize = 128;

/// A question whose products stand elsewhere.
#[derive(Debug)]
pub(crate) struct QuestionRow<'a> {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) part: Part,
    pub(crate) time: Option<i64>,
    /// Products with the time and rating of their purchase.
    pub(crate) history: Vec<(&'a Product, Option<i64>, Option<f32>)>,
    pub(crate) candidates: Vec<&'a Product>,
    pub(crate) answer: usize,
    pub(crate) excluded: Vec<&'a str>,
}

impl<'a> From<&'a Question> for QuestionRow<'a> {
    fn from(question: &'a Question) -> Self {
        let Question { id, user, part, time, history, candidates, answer, excluded } = question;
        Self {
            id: id.clone(),
            user: user.clone(),
            part: *part,
            time: *time,
            history: history
                .iter()
                .map(|purchase| (&purchase.product, purchase.time, purchase.rating))
                .collect(),
            candidates: candidates.iter().collect(),
            answer: *answer,
            excluded: excluded.iter().map(String::as_str).collect(),
        }
    }
}

impl QuestionRow<'_> {
    /// Bytes of the texts with their offsets.
    fn bytes(&self) -> usize {
        let text = |text: &str| size_of::<i32>() + text.len();
        let product = |product: &Product| {
            let names = [&product.item, &product.title].into_iter().chain(&product.brand);
            names.chain(&product.category).map(|name| text(name)).sum::<usize>()
        };
        let bought = self.history.iter().map(|(bought, ..)| product(bought));
        let offered = self.candidates.iter().map(|offered| product(offered));
        let excluded = self.excluded.iter().map(|item| text(item));
        text(&self.id) + text(&self.user) + bought.chain(offered).chain(excluded).sum::<usize>()
    }
}

/// Questions as rows of the file.
pub(crate) fn to_batches(questions: &[QuestionRow<'_>]) -> impl Iterator<Item = RecordBatch> {
    cut(questions, BATCH_BYTES).map(|batch| {
        RecordBatch::try_new(Arc::new(schema()), to_columns(batch))
            .expect("columns of the schema's types")
    })
}

/// Questions in their order, at most [`BATCH`] at once and so many that they have at most `most_bytes`, but at
/// least one.
fn cut<'q, 'a>(
    questions: &'q [QuestionRow<'a>],
    most_bytes: usize,
) -> impl Iterator<Item = &'q [QuestionRow<'a>]> {
    let mut rest = questions;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take(BATCH).take_while(|question| {
            bytes += question.bytes();
            bytes <= most_bytes
        });
        let (batch, others) = rest.split_at(fit.count().max(1).min(rest.len()));
        rest = others;
        (!batch.is_empty()).then_some(batch)
    })
}

/// A question file, to be written in batches.
pub(crate) fn create_questions(file: File, path: &Path) -> Result<TableFile> {
    TableFile::from_file(file, path, Arc::new(schema()), &["id"])
}

/// Writes questions; the file appears under its name once it is whole.
///
/// # Errors
/// If a question's `answer` is no index of its candidates, or the file cannot be written.
pub fn write_questions(path: impl AsRef<Path>, questions: &[Question]) -> Result<()> {
    let path = path.as_ref();
    if let Some(question) =
        questions.iter().find(|question| question.answer >= question.candidates.len())
    {
        return Err(Error::Question {
            id: question.id.clone(),
            expected: format!(
                "an answer below {}, the number of its candidates",
                question.candidates.len()
            ),
            found: question.answer.to_string(),
        });
    }
    atomically(path, |file| {
        let mut table = create_questions(file, path)?;
        for some in questions.chunks(BATCH) {
            let rows: Vec<QuestionRow<'_>> = some.iter().map(QuestionRow::from).collect();
            to_batches(&rows).try_for_each(|batch| table.write_batch(&batch))?;
        }
        table.finish()
    })
}

/// Reads what [`write_questions`] wrote.
///
/// # Errors
/// If the file cannot be read, or a column or value is not as it should be; the error names it.
pub fn read_questions(path: impl AsRef<Path>) -> Result<Vec<Question>> {
    read_question_table(Table::open_with(path.as_ref(), READ_AT_ONCE)?)
}

/// Reads a file of questions or of the seed project's rows, whichever it is.
///
/// # Errors
/// As [`read_questions`] and [`read_seed_questions`](crate::read_seed_questions), or if the file is
/// neither.
pub fn read_any_questions(path: impl AsRef<Path>) -> Result<Vec<Question>> {
    let path = path.as_ref();
    let table = Table::open_with(path, READ_AT_ONCE)?;
    if table.has("candidates") {
        read_question_table(table)
    } else if table.has("options") {
        read_seed_table(table)
    } else {
        Err(Error::Column {
            path: path.into(),
            column: "candidates".into(),
            expected: "questions (`candidates`) or seed questions (`options`)",
            found: format!("the columns {}", table.names()),
        })
    }
}

fn texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn product_fields() -> Vec<Field> {
    vec![
        Field::new("item", DataType::Utf8, false),
        Field::new("title", DataType::Utf8, false),
        Field::new("brand", DataType::Utf8, true),
        Field::new("category", texts(), false),
        Field::new("price", DataType::Float64, true),
    ]
}

fn purchase_fields() -> Vec<Field> {
    let mut fields = product_fields();
    fields.push(Field::new("time", DataType::Int64, true));
    fields.push(Field::new("rating", DataType::Float32, true));
    fields
}

fn list_field(fields: Vec<Field>) -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(Fields::from(fields)), false))
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("user", DataType::Utf8, false),
        Field::new("part", DataType::Utf8, false),
        Field::new("time", DataType::Int64, true),
        Field::new("history", DataType::List(list_field(purchase_fields())), false),
        Field::new("candidates", DataType::List(list_field(product_fields())), false),
        Field::new("answer", DataType::UInt32, false),
        Field::new("excluded", texts(), false),
    ])
}

fn to_columns(questions: &[QuestionRow<'_>]) -> Vec<ArrayRef> {
    let purchases = || questions.iter().flat_map(|question| &question.history);
    let bought: Vec<&Product> = purchases().map(|(product, ..)| *product).collect();
    let mut history = product_columns(&bought);
    history.push(Arc::new(Int64Array::from_iter(purchases().map(|(_, time, _)| *time))));
    history.push(Arc::new(Float32Array::from_iter(purchases().map(|(.., rating)| *rating))));
    let offered: Vec<&Product> =
        questions.iter().flat_map(|question| &question.candidates).copied().collect();
    let excluded: Vec<&str> =
        questions.iter().flat_map(|question| &question.excluded).copied().collect();
    let names = |of: fn(&QuestionRow<'_>) -> String| {
        Arc::new(StringArray::from_iter_values(questions.iter().map(of)))
    };
    vec![
        names(|question| question.id.clone()),
        names(|question| question.user.clone()),
        names(|question| question.part.as_str().into()),
        Arc::new(Int64Array::from_iter(questions.iter().map(|question| question.time))),
        lists(questions.iter().map(|question| question.history.len()), purchase_fields(), history),
        lists(
            questions.iter().map(|question| question.candidates.len()),
            product_fields(),
            product_columns(&offered),
        ),
        Arc::new(UInt32Array::from_iter_values(
            questions.iter().map(|question| question.answer as u32),
        )),
        Arc::new(ListArray::new(
            Arc::new(Field::new_list_field(DataType::Utf8, true)),
            OffsetBuffer::from_lengths(questions.iter().map(|question| question.excluded.len())),
            Arc::new(StringArray::from_iter_values(excluded)),
            None,
        )),
    ]
}

fn product_columns(products: &[&Product]) -> Vec<ArrayRef> {
    let names: Vec<&String> = products.iter().flat_map(|product| &product.category).collect();
    let categories = ListArray::new(
        Arc::new(Field::new_list_field(DataType::Utf8, true)),
        OffsetBuffer::from_lengths(products.iter().map(|product| product.category.len())),
        Arc::new(StringArray::from_iter_values(names)),
        None,
    );
    vec![
        Arc::new(StringArray::from_iter_values(products.iter().map(|product| &product.item))),
        Arc::new(StringArray::from_iter_values(products.iter().map(|product| &product.title))),
        Arc::new(StringArray::from_iter(products.iter().map(|product| product.brand.as_ref()))),
        Arc::new(categories),
        Arc::new(Float64Array::from_iter(products.iter().map(|product| product.price))),
    ]
}

fn lists(
    lengths: impl Iterator<Item = usize>,
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
) -> ArrayRef {
    let structs = StructArray::new(Fields::from(fields.clone()), columns, None);
    Arc::new(ListArray::new(
        list_field(fields),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(structs),
        None,
    ))
}

fn read_question_table(table: Table<'_>) -> Result<Vec<Question>> {
    let has_excluded = table.has("excluded");
    let mut questions = Vec::new();
    table.for_each(|batch| {
        let ids = batch.column("id", "text")?.texts()?;
        let users = batch.column("user", "text")?.texts()?;
        let part_column = batch.column("part", "text")?;
        let parts = part_column.texts()?;
        let times = batch.column("time", "whole numbers")?.optional_integers()?;
        let (history, bought) = batch.column("history", "lists of purchases")?.lists()?;
        let purchases = read_purchases(&bought)?;
        let (candidates, offered) = batch.column("candidates", "lists of products")?.lists()?;
        let products = read_products(&offered)?;
        let answer_column = batch.column("answer", "whole numbers")?;
        let answers = answer_column.integers()?;
        // Files of other writers may lack it.
        let excluded = match has_excluded {
            true => {
                let (lists, items) = batch.column("excluded", "lists of text")?.lists()?;
                Some((lists, items.texts()?))
            }
            false => None,
        };
        for row in 0..batch.rows() {
            let candidates = products[range(&candidates, row)].to_vec();
            let answer = usize::try_from(answers.value(row))
                .ok()
                .filter(|answer| *answer < candidates.len());
            questions.push(Question {
                id: ids.value(row).into(),
                user: users.value(row).into(),
                part: Part::parse(&part_column, &parts, row)?,
                time: times.is_valid(row).then(|| times.value(row)),
                history: purchases[range(&history, row)].to_vec(),
                answer: answer.ok_or_else(|| {
                    let expected = format!("the index of one of {} candidates", candidates.len());
                    answer_column.value_error(row, expected, answers.value(row).to_string())
                })?,
                candidates,
                excluded: match &excluded {
                    Some((lists, items)) => {
                        range(lists, row).map(|index| items.value(index).into()).collect()
                    }
                    None => Vec::new(),
                },
            });
        }
        Ok(())
    })?;
    Ok(questions)
}

/// Where a row's elements stand among those of the batch.
pub(crate) fn range(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

fn read_products(column: &Column<'_>) -> Result<Vec<Product>> {
    let items = column.field("item", "text")?.texts()?;
    let titles = column.field("title", "text")?.texts()?;
    let brands = column.field("brand", "text")?.optional_texts()?;
    let (category_lists, categories) = column.field("category", "lists of text")?.lists()?;
    let categories = categories.texts()?;
    let prices = column.field("price", "numbers")?.optional_numbers()?;
    let products = (0..items.len()).map(|row| Product {
        item: items.value(row).into(),
        title: titles.value(row).into(),
        brand: brands.is_valid(row).then(|| brands.value(row).into()),
        category: range(&category_lists, row).map(|index| categories.value(index).into()).collect(),
        price: prices.is_valid(row).then(|| prices.value(row)),
    });
    Ok(products.collect())
}

fn read_purchases(column: &Column<'_>) -> Result<Vec<Purchase>> {
    let times = column.field("time", "whole numbers")?.optional_integers()?;
    let ratings = column.field("rating", "numbers")?.optional_numbers()?;
    let products = read_products(column)?.into_iter().enumerate();
    let purchases = products.map(|(row, product)| Purchase {
        product,
        time: times.is_valid(row).then(|| times.value(row)),
        rating: ratings.is_valid(row).then(|| ratings.value(row) as f32),
    });
    Ok(purchases.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_by_number_and_by_bytes() {
        let product = Product {
            item: "i".into(),
            title: "x".repeat(97),
            brand: Some("y".repeat(96)),
            category: vec!["z".repeat(46), "z".repeat(40)],
            price: None,
        };
        // 300 bytes each with the offsets, and 20 for id, user and an excluded item.
        let row = |candidates: usize| QuestionRow {
            id: "q".into(),
            user: "uvw".into(),
            part: Part::Test,
            time: None,
            history: vec![(&product, None, None)],
            candidates: vec![&product; candidates],
            answer: 0,
            excluded: vec!["item"],
        };
        assert_eq!((row(0).bytes(), row(3).bytes()), (320, 1220));
        let questions = [1, 1, 1, 30, 1, 2].map(row);
        let lengths = |most| cut(&questions, most).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(usize::MAX), [6]);
        assert_eq!(lengths(2 * 620), [2, 1, 1, 1, 1]);
        assert_eq!(lengths(3 * 620), [3, 1, 2]);
        assert_eq!(lengths(0), [1; 6]);
        assert_eq!(cut(&[], 0).count(), 0);
        let many: Vec<_> = (0..=BATCH).map(|_| row(1)).collect();
        assert!(to_batches(&many).map(|batch| batch.num_rows()).eq([BATCH, 1]));
    }
}
