//! The published questions of the seed project: four titles as history, four as options.

use std::path::Path;

use crate::{Part, Product, Purchase, Question, Result, question_file::range, table::Table};

/// Imports the seed project's `final_dataset.parquet` (columns `history`, `options`, `answer_index`,
/// `answer`).
///
/// Titles stay as they were published, cleaned in the history and the answer but not in the distractors:
/// that difference is the leak that an audit should find. There are no items, users or times in the
/// file: the title stands for the item, `seed:ROW` for the question and its user, and every question
/// counts as a test question.
///
/// # Errors
/// If the file cannot be read, or a column or value is not as it should be; the error names it.
pub fn read_seed_questions(path: impl AsRef<Path>) -> Result<Vec<Question>> {
    read_seed_table(Table::open(path.as_ref())?)
}

pub(crate) fn read_seed_table(table: Table<'_>) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    table.for_each(|batch| {
        let (history_lists, bought) = batch.column("history", "lists of text")?.lists()?;
        let bought = bought.texts()?;
        let (option_lists, offered) = batch.column("options", "lists of text")?.lists()?;
        let offered = offered.texts()?;
        let index_column = batch.column("answer_index", "whole numbers")?;
        let indices = index_column.integers()?;
        let answer_column = batch.column("answer", "text")?;
        let answers = answer_column.texts()?;
        for row in 0..batch.rows() {
            let candidates: Vec<Product> =
                range(&option_lists, row).map(|index| untold(offered.value(index))).collect();
            let answer = usize::try_from(indices.value(row))
                .ok()
                .filter(|answer| *answer < candidates.len());
            let answer = answer.ok_or_else(|| {
                let expected = format!("the index of one of {} options", candidates.len());
                index_column.value_error(row, expected, indices.value(row).to_string())
            })?;
            if candidates[answer].title != answers.value(row) {
                let expected = format!("`{}`, option {answer}", candidates[answer].title);
                return Err(answer_column.value_error(
                    row,
                    expected,
                    format!("`{}`", answers.value(row)),
                ));
            }
            let name = format!("seed:{}", questions.len());
            let history = range(&history_lists, row).map(|index| Purchase {
                product: untold(bought.value(index)),
                time: None,
                rating: None,
            });
            questions.push(Question {
                id: name.clone(),
                user: name,
                part: Part::Test,
                time: None,
                history: history.collect(),
                candidates,
                answer,
                excluded: Vec::new(),
            });
        }
        Ok(())
    })?;
    Ok(questions)
}

/// A product of which only the title is known.
fn untold(title: &str) -> Product {
    Product {
        item: title.into(),
        title: title.into(),
        brand: None,
        category: Vec::new(),
        price: None,
    }
}
