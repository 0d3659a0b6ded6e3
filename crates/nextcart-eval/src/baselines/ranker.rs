//! Predictors that score all items at once.

use nextcart_data::Question;

use super::interactions::ItemIndex;
use crate::error::Result;
use crate::predictor::Predictor;

/// A predictor that can score every item that it knows from training, as [`full_ranking`](crate::full_ranking)
/// asks it to.
pub trait CatalogueRanker: Predictor {
    /// The items that it ranks.
    fn items(&self) -> &ItemIndex;

    /// For each question one score an item, in the order of [`items`](Self::items), from the question's
    /// history alone; its candidates are not looked at.
    ///
    /// # Errors
    /// If the predictor cannot score one of them.
    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>>;
}
