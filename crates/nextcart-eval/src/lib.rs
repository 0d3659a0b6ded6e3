//! Baselines, audits and reports that say what a recommendation score is worth.
//!
//! A [`Predictor`] scores the candidates of a question; [`evaluate`] turns its scores into an
//! accuracy with an interval, ties split. [`audit`] asks whether rules that never look at the
//! customer find the answers too, and a [`Report`] writes it all down.
//!
//! ```
//! use nextcart_data::{Part, Product, Question};
//! use nextcart_eval::{Chance, PunctuationRule, ScoreTable, Verdict, audit, evaluate};
//!
//! let product = |title: &str| Product {
//!     item: title.into(),
//!     title: title.into(),
//!     brand: None,
//!     category: vec![],
//!     price: None,
//! };
//! let question = |id: usize| Question {
//!     id: id.to_string(),
//!     user: id.to_string(),
//!     part: Part::Test,
//!     time: None,
//!     history: vec![],
//!     candidates: vec![product("Tea, 20 Bags"), product("Honey"), product("Soap (2 Pack)")],
//!     answer: 1,
//!     excluded: Vec::new(),
//! };
//! let questions: Vec<Question> = (0..200).map(question).collect();
//!
//! let rule = evaluate(&mut PunctuationRule, &questions)?;
//! let chance = evaluate(&mut Chance, &questions)?;
//! println!("{}", ScoreTable::new(&[rule.score(), chance.score()]));
//!
//! let found = audit(&questions)?;
//! assert_eq!(found.verdict, Verdict::Leaks);
//! println!("{}", found.explain());
//! # Ok::<(), nextcart_eval::Error>(())
//! ```

mod audit;
mod baselines;
mod error;
mod evaluation;
#[cfg(test)]
mod fixtures;
mod language_model;
mod predictor;
mod report;
mod template_model;
mod titles;

pub use audit::{Audit, MARGIN, RuleScore, Verdict, audit};
pub use baselines::{
    Blend, Bm25Options, CatalogueRanker, Chance, CoOccurrence, Epoch, Interactions, ItemIndex,
    ItemKnn, ItemKnnOptions, Markov, MarkovOptions, Popularity, PunctuationRule, Random,
    RankingScore, Recency, RecencyOptions, RecentPopularity, SasRec, SasRecConfig, TextIndex,
    TextSimilarity, full_ranking,
};
pub use error::{Error, Result};
pub use evaluation::{
    CONFIDENCE, Comparison, Evaluation, Prediction, Score, chance, compare, evaluate, evaluate_each,
};
pub use language_model::LanguageModel;
pub use predictor::{FnPredictor, Predictor};
pub use report::{Report, ReportFiles, ScoreTable};
pub use template_model::TemplateModel;
