#![doc = include_str!("../README.md")]
//!
//! A [`Predictor`] scores the candidates of a question; [`evaluate`] turns its scores into an
//! accuracy with an interval, ties split. [`audit`] asks whether rules that never look at the
//! customer find the answers too, and [`audit_model`] what a model does without the history; a [`Report`]
//! writes it all down.

mod answering;
mod assessment;
mod audit;
mod baselines;
mod calibration;
mod choice_model;
mod comparison;
mod edited;
mod error;
mod errors;
mod evaluation;
#[cfg(test)]
mod fixtures;
mod fnv;
mod orders;
mod predictor;
mod ranking;
mod report;
mod resume;
mod spread;
mod template_model;
mod tfidf;
mod title_vectors;
mod titles;
mod words;

pub use answering::Answering;
pub use assessment::{Assessed, Assessment};
pub use audit::{
    Audit, AuditOptions, Count, Findings, FullAudit, MARGIN, ModelAudit, ModelAuditOptions,
    PurchaseSource, RuleScore, Verdict, audit, audit_model, audit_with,
};
pub use baselines::{
    Blend, Bm25Options, CatalogueRanker, Chance, CoOccurrence, Epoch, Interactions, ItemIndex,
    ItemKnn, ItemKnnOptions, Markov, MarkovOptions, Popularity, PunctuationRule, Random, Recency,
    RecencyOptions, RecentPopularity, SasRec, SasRecConfig, Stack, TextIndex, TextSimilarity,
    baselines, bought_products, classical_rankers,
};
pub use calibration::{CALIBRATION_BINS, Calibration, CalibrationBin};
pub use choice_model::ChoiceModel;
pub use comparison::{ComparisonFiles, RunComparison, RunPair, RunSummary, RunTable};
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
pub use ranking::{CatalogueRanks, RankingScore, full_ranking, rank_catalogue};
pub use report::{Report, ReportFiles, ScoreTable, read_predictions, write_predictions};
pub use resume::{Progress, evaluate_in, evaluate_until};
pub use spread::spread;
pub use template_model::TemplateModel;
pub use title_vectors::TitleVectors;
