//! The predictors without a language model that a model is set beside, and those that a stack is made of.

use std::collections::HashSet;

use nextcart_data::{Dataset, Part, Product, Question};

use super::cooccurrence::CoOccurrence;
use super::interactions::Interactions;
use super::item_knn::{ItemKnn, ItemKnnOptions};
use super::markov::{Markov, MarkovOptions};
use super::popularity::Popularity;
use super::ranker::CatalogueRanker;
use super::recent::{RecencyOptions, RecentPopularity};
use super::stack::Stack;
use super::text::{TextIndex, TextSimilarity};
use crate::error::Result;
use crate::predictor::Predictor;

/// Those that every report sets a model beside, fitted on the training part with their default options: `popularity`,
/// `recent_popularity`, `cooccurrence`, `item_knn`, `markov`, `text` and, where there are validation questions to weigh
/// it on, the `stack` of [`classical_rankers`].
///
/// # Errors
/// Those of the predictors' own fits.
pub fn baselines(data: &Dataset) -> Result<Vec<Box<dyn Predictor>>> {
    let training = Interactions::of(data);
    let histories = || data.histories.iter().map(|history| &history.items);
    let mut all: Vec<Box<dyn Predictor>> = vec![
        Box::new(Popularity::fit(histories())),
        Box::new(RecentPopularity::fit(&data.histories, RecencyOptions::default())?),
        Box::new(CoOccurrence::fit(histories())),
        Box::new(ItemKnn::fit(&training, ItemKnnOptions::default())?),
        Box::new(Markov::fit(&training, MarkovOptions::default())?),
        Box::new(TextSimilarity::fit(data.catalogue.products().map(|product| &product.title))),
    ];
    let of_validation = |question: &&Question| question.part == Part::Validation;
    let validation: Vec<Question> = data.questions.iter().filter(of_validation).cloned().collect();
    if !validation.is_empty() {
        let parts = classical_rankers(data, ItemKnnOptions::default())?;
        all.push(Box::new(Stack::fit("stack", parts, &validation)?));
    }
    Ok(all)
}

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
