//! The predictors without a language model that a stack is made of.

use std::collections::HashSet;

use nextcart_data::{Dataset, Product};

use super::interactions::Interactions;
use super::item_knn::{ItemKnn, ItemKnnOptions};
use super::markov::{Markov, MarkovOptions};
use super::popularity::Popularity;
use super::ranker::CatalogueRanker;
use super::recent::{RecencyOptions, RecentPopularity};
use super::text::TextIndex;
use crate::error::Result;

/// Item-kNN, TF-IDF of titles, Markov, popularity and recent popularity, fitted on the training part with their default
/// options: a [`Stack`](super::Stack) of them is the strongest predictor here without a language model.
///
/// # Errors
/// Those of the predictors' own fits.
pub fn classical_rankers(
    data: &Dataset,
    options: ItemKnnOptions,
) -> Result<Vec<Box<dyn CatalogueRanker>>> {
    let training = Interactions::of(data);
    Ok(vec![
        Box::new(ItemKnn::fit(&training, options)?),
        Box::new(TextIndex::tf_idf(bought_products(data))),
        Box::new(Markov::fit(&training, MarkovOptions::default())?),
        Box::new(Popularity::fit(data.histories.iter().map(|history| &history.items))),
        Box::new(RecentPopularity::fit(&data.histories, RecencyOptions::default())?),
    ])
}

/// The items that the training part knows, which is what a ranking of the catalogue is among.
#[must_use]
pub fn bought_products(data: &Dataset) -> Vec<&Product> {
    let bought: HashSet<&String> =
        data.histories.iter().flat_map(|history| &history.items).collect();
    data.catalogue.products().filter(|product| bought.contains(&product.item)).collect()
}
