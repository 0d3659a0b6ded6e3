//! Predictors that any model has to beat. They are fitted on the training part alone: give them
//! training histories, never the questions' targets.

mod cooccurrence;
mod popularity;
mod rules;
mod text;

pub use cooccurrence::CoOccurrence;
pub use popularity::Popularity;
pub use rules::{Chance, PunctuationRule};
pub use text::TextSimilarity;
