//! How options are marked and how an answer names one of them.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What stands before each option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Labels {
    /// Nothing: the title is the option's name.
    #[default]
    None,
    /// `A) ` to `Z) `.
    Letters,
    /// `1) ` and on.
    Numbers,
}

/// What the answer says of the option that was bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AnswerForm {
    /// Its title.
    #[default]
    Title,
    /// Its letter, with [`Labels::Letters`].
    Letter,
    /// Its number from 1, with [`Labels::Numbers`].
    Number,
}

/// Marks of the options and form of the answer; by default titles alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Style {
    /// What stands before each option.
    pub labels: Labels,
    /// What the answer says.
    pub answer: AnswerForm,
}

/// Options that letters can mark.
const LETTERS: usize = 26;

impl Style {
    /// Options marked A to Z, answered by the letter.
    pub const LETTERS: Self = Self { labels: Labels::Letters, answer: AnswerForm::Letter };

    /// Options marked from 1, answered by the number.
    pub const NUMBERS: Self = Self { labels: Labels::Numbers, answer: AnswerForm::Number };

    /// An answer by a mark that the options do not bear could not be understood.
    pub(crate) fn check(self) -> Result<()> {
        let answer = match self.answer {
            AnswerForm::Letter if self.labels != Labels::Letters => "letter",
            AnswerForm::Number if self.labels != Labels::Numbers => "number",
            _ => return Ok(()),
        };
        Err(Error::UnmarkedOptions { answer })
    }

    /// What stands before the option at `index`, from 0; `None` beyond the alphabet.
    pub(crate) fn label(self, index: usize) -> Option<String> {
        match self.labels {
            Labels::None => Some(String::new()),
            Labels::Letters => letter(index).map(|letter| format!("{letter}) ")),
            Labels::Numbers => Some(format!("{}) ", index + 1)),
        }
    }

    /// The mark as an answer; `None` for an answer by title and beyond the alphabet.
    pub(crate) fn mark(self, index: usize) -> Option<String> {
        match self.answer {
            AnswerForm::Title => None,
            AnswerForm::Letter => letter(index),
            AnswerForm::Number => Some((index + 1).to_string()),
        }
    }
}

fn letter(index: usize) -> Option<String> {
    (index < LETTERS).then(|| char::from(b'A' + index as u8).to_string())
}
