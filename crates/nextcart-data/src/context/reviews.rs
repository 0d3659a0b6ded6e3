//! What customers wrote of what they bought.

use std::{collections::HashMap, path::Path};

use arrow::array::Array;

use crate::{Question, Result, table::Table};

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

impl Reviews {
    /// Reads the reviews of the users whom the questions ask about: the text where it was kept, or else
    /// the headline.
    pub(super) fn read(reviews: &Path, questions: &[Question], characters: usize) -> Result<Self> {
        let mut users: HashMap<String, Vec<Snippet>> =
            questions.iter().map(|question| (question.user.clone(), Vec::new())).collect();
        let table = Table::open(reviews)?;
        let column = if table.has("text") { "text" } else { "summary" };
        table.for_each(|batch| {
            let names = batch.column("user", "text")?.texts()?;
            let items = batch.column("item", "text")?.texts()?;
            let times = batch.column("time", "whole numbers")?.optional_integers()?;
            let texts = batch.column(column, "text, kept with `--text`")?.optional_texts()?;
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
