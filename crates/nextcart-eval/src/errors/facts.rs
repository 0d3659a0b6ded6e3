//! What training knows of items.

use std::collections::HashMap;

use crate::tfidf::TfIdf;

/// How often items were bought in training, and how telling the words of titles are.
///
/// ```
/// use nextcart_eval::TrainingFacts;
///
/// let facts = TrainingFacts::fit([["tea", "honey"], ["tea", "milk"]], ["Green Tea", "Honey"]);
/// assert_eq!((facts.purchases("tea"), facts.purchases("dog")), (2, 0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct TrainingFacts {
    purchases: HashMap<String, u32>,
    pub(super) words: TfIdf,
}

impl TrainingFacts {
    /// Counts the purchases in training histories of item ids and the words of the catalogue's titles.
    pub fn fit<S: AsRef<str>, T: AsRef<str>>(
        histories: impl IntoIterator<Item = impl AsRef<[S]>>,
        titles: impl IntoIterator<Item = T>,
    ) -> Self {
        let mut purchases = HashMap::new();
        for history in histories {
            for item in history.as_ref() {
                *purchases.entry(item.as_ref().to_owned()).or_default() += 1;
            }
        }
        Self { purchases, words: TfIdf::fit(titles) }
    }

    /// Purchases of an item in training, 0 for one that training never saw.
    #[must_use]
    pub fn purchases(&self, item: &str) -> u32 {
        self.purchases.get(item).copied().unwrap_or_default()
    }
}
