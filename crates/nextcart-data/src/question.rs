//! The question: what a customer bought so far, what they may buy next, and what they did buy.

use arrow::array::StringArray;
use serde::{Deserialize, Serialize};

use crate::{Result, table::Column};

/// A catalogue entry as a question shows it, cleaned by the one cleaning function of this crate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Catalogue id (Amazon: the `asin`).
    pub item: String,
    /// Cleaned title.
    pub title: String,
    /// Brand, where the catalogue names one.
    pub brand: Option<String>,
    /// Category path from the root, empty where unknown.
    pub category: Vec<String>,
    /// Price in US dollars, where the catalogue gives a number.
    pub price: Option<f64>,
}

/// One purchase in a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Purchase {
    /// What was bought.
    #[serde(flatten)]
    pub product: Product,
    /// When, in seconds since the Unix epoch; `None` in data without times.
    pub time: Option<i64>,
    /// The customer's rating of it, 1 to 5.
    pub rating: Option<f32>,
}

/// The part of a split that a question belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Seen by training and by every training statistic.
    Train,
    /// For choices during training.
    Validation,
    /// For the final score alone.
    Test,
}

/// A next-purchase question: a history, the candidates and which of them was bought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Stable id, unique in its file.
    pub id: String,
    /// Whose history it is.
    pub user: String,
    /// Part of the split.
    pub part: Part,
    /// Time of the target purchase, in seconds since the Unix epoch.
    pub time: Option<i64>,
    /// Earlier purchases, oldest first.
    pub history: Vec<Purchase>,
    /// What may be bought next, the target among them, in the order shown.
    pub candidates: Vec<Product>,
    /// Index of the target in `candidates`.
    pub answer: usize,
    /// Where the whole catalogue stands against the target and `candidates` holds the target alone
    /// ([`Distractors::Catalogue`](crate::Distractors::Catalogue)), the user's other items; of a target that was bought
    /// before, those of later purchases. Else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
}

impl Part {
    /// The name that files use.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The part that a cell names.
    pub(crate) fn parse(column: &Column<'_>, names: &StringArray, row: usize) -> Result<Self> {
        match names.value(row) {
            "train" => Ok(Self::Train),
            "validation" => Ok(Self::Validation),
            "test" => Ok(Self::Test),
            other => {
                let expected = "train, validation or test";
                Err(column.value_error(row, expected, format!("`{other}`")))
            }
        }
    }
}

impl Question {
    /// The candidate that was bought.
    ///
    /// # Panics
    /// If `answer` is no index of `candidates`; readers and builders of this crate never make such
    /// a question.
    #[must_use]
    pub fn target(&self) -> &Product {
        &self.candidates[self.answer]
    }

    /// The same with so many of the latest purchases alone; `None` for all of them.
    #[must_use]
    pub fn with_latest(&self, purchases: Option<usize>) -> Self {
        let mut question = self.clone();
        question.keep_latest(purchases);
        question
    }

    /// Drops the oldest purchases beyond so many; `None` keeps all.
    pub fn keep_latest(&mut self, purchases: Option<usize>) {
        let surplus = self.history.len().saturating_sub(purchases.unwrap_or(usize::MAX));
        self.history.drain(..surplus);
    }
}
