//! Baselines, audits and reports that say what a recommendation score is worth.
//!
//! A [`Predictor`] scores the candidates of a question; [`evaluate`] turns its scores into an
//! accuracy with an interval, ties split. [`audit`] asks whether rules that never look at the
//! customer find the answers too, and [`audit_model`] what a model does without the history; a [`Report`]
//! writes it all down.
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

mod answering;
mod assessment;
mod audit;
mod baselines;
mod calibration;
mod comparison;
mod edited;
mod error;
mod errors;
mod evaluation;
#[cfg(test)]
mod fixtures;
mod orders;
mod predictor;
mod ranking;
mod report;
mod resume;
mod template_model;
mod titles;

pub use answering::Answering;
pub use assessment::{Assessed, Assessment};
pub use audit::{
    Audit, AuditOptions, Count, Findings, FullAudit, MARGIN, ModelAudit, ModelAuditOptions,
    PurchaseSource, RuleScore, Verdict, audit, audit_model, audit_with,
};
pub use baselines::{
    Blend, Bm25Options, CatalogueRanker, Chance, CoOccurrence, Epoch, Interactions, ItemIndex,
    ItemKnn, ItemKnnOptions, Markov, MarkovOptions, Popularity, PunctuationRule, Random,
    RankingScore, Recency, RecencyOptions, RecentPopularity, SasRec, SasRecConfig, TextIndex,
    TextSimilarity, full_ranking,
};
pub use calibration::{CALIBRATION_BINS, Calibration, CalibrationBin};
pub use comparison::{ComparisonFiles, RunComparison, RunPair, RunSummary};
pub use edited::Edited;
pub use error::{Error, Result};
pub use errors::{
    AnswerErrors, AnswerPair, ErrorAnalysis, ErrorCluster, ErrorExample, ErrorKind, KindCount,
    NEAR_MISS, Slice, Slices, TrainingFacts,
};
pub use evaluation::{
    CONFIDENCE, Comparison, Evaluation, Prediction, Score, chance, compare, evaluate, evaluate_each,
};
pub use orders::{OrderConsistency, PlaceScore, by_place, order_consistency};
pub use predictor::{Answer, FnPredictor, Predictor};
pub use ranking::{CatalogueRanks, rank_catalogue};
pub use report::{Report, ReportFiles, ScoreTable, read_predictions, write_predictions};
pub use resume::{Progress, evaluate_in};
pub use template_model::TemplateModel;
