//! What customers wrote of what they bought.

use std::{collections::HashMap, path::Path};

use arrow::array::Array;

use crate::{Error, Question, Result, table::Table};

/// Snippets by user.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    users: HashMap<String, Vec<Snippet>>,
}

#[derive(Debug)]
struct Snippet {
    item: String,
    time: Option<i64>,
    text: String,
}

/// What the column of texts must hold.
const EXPECTED: &str = "text, kept with `--text`";

/// Whether customers wrote anything that was kept. What cannot be read is not known to be missing.
pub(super) fn are_kept(reviews: &Path) -> bool {
    find_text(reviews).unwrap_or(true)
}

fn find_text(reviews: &Path) -> Result<bool> {
    let mut table = Table::open(reviews)?;
    let column = column(&table);
    if !table.has(column) {
        return Ok(false);
    }
    while let Some(batch) = table.next_batch()? {
        let texts = batch.column(column, EXPECTED)?.optional_texts()?;
        if texts.null_count() < texts.len() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The text where it was kept, or else the headline.
fn column(table: &Table<'_>) -> &'static str {
    if table.has("text") { "text" } else { "summary" }
}

impl Reviews {
    /// Reads the reviews of the users whom the questions ask about: the text where it was kept, or else
    /// the headline.
    ///
    /// # Errors
    /// If none of all reviews has either, as in files of ratings and sequences: their absence would not show.
    pub(super) fn read(reviews: &Path, questions: &[Question], characters: usize) -> Result<Self> {
        let mut users: HashMap<String, Vec<Snippet>> =
            questions.iter().map(|question| (question.user.clone(), Vec::new())).collect();
        let table = Table::open(reviews)?;
        let column = column(&table);
        let mut are_kept = false;
        table.for_each(|batch| {
            let names = batch.column("user", "text")?.texts()?;
            let items = batch.column("item", "text")?.texts()?;
            let times = batch.column("time", "whole numbers")?.optional_integers()?;
            let texts = batch.column(column, EXPECTED)?.optional_texts()?;
            are_kept |= texts.null_count() < texts.len();
            for row in (0..batch.rows()).filter(|row| texts.is_valid(*row)) {
                let Some(snippets) = users.get_mut(names.value(row)) else { continue };
                snippets.push(Snippet {
                    item: items.value(row).to_owned(),
                    time: times.is_valid(row).then(|| times.value(row)),
                    text: shortened(texts.value(row), characters),
                });
            }
            Ok(())
        })?;
        if !are_kept {
            return Err(Error::Column {
                path: reviews.into(),
                column: column.into(),
                expected: EXPECTED,
                found: "none in any row, as of ratings and sequences".into(),
            });
        }
        Ok(Self { users })
    }

    /// The review that came with a purchase.
    pub(super) fn of(&self, user: &str, item: &str, time: Option<i64>) -> Option<&str> {
        let snippets = self.users.get(user)?;
        let snippet = snippets.iter().find(|s| s.item == item && s.time == time)?;
        Some(snippet.text.as_str()).filter(|text| !text.is_empty())
    }
}

/// The start of a text on one line, cut between words.
fn shortened(text: &str, characters: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(characters) else { return line };
    let cut = &line[..end];
    let whole = if line[end..].starts_with(' ') {
        cut
    } else {
        cut.rsplit_once(' ').map_or(cut, |(a, _)| a)
    };
    format!("{} …", whole.trim_end())
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn snippets_end_between_words() {
        for (text, characters, expected) in [
            ("  as\nalways ", 20, "as always"),
            ("as always good", 9, "as always …"),
            ("as always good", 10, "as always …"),
            ("as always good", 12, "as always …"),
            ("unbroken", 3, "unb …"),
            ("crème brûlée", 8, "crème …"),
            ("", 5, ""),
        ] {
            assert_eq!(shortened(text, characters), expected, "{text} {characters}");
        }
    }
}
