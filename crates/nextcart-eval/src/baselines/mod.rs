//! Predictors that any model has to beat. They are fitted on the training part alone: give them
//! training histories, never the questions' targets.

mod blend;
mod classical;
mod cooccurrence;
mod interactions;
mod item_knn;
mod markov;
mod popularity;
mod random;
mod ranker;
mod recent;
mod rules;
mod sasrec;
mod stack;
mod text;
mod validation;

pub use blend::Blend;
pub use classical::{baselines, bought_products, classical_rankers};
pub use cooccurrence::CoOccurrence;
pub use interactions::{Interactions, ItemIndex};
pub use item_knn::{ItemKnn, ItemKnnOptions};
pub use markov::{Markov, MarkovOptions};
pub use popularity::Popularity;
pub use random::Random;
pub use ranker::CatalogueRanker;
pub(crate) use recent::purchase_weights;
pub use recent::{Recency, RecencyOptions, RecentPopularity};
pub use rules::{Chance, PunctuationRule};
pub use sasrec::{Epoch, SasRec, SasRecConfig};
pub use stack::Stack;
pub use text::{Bm25Options, TextIndex, TextSimilarity};
