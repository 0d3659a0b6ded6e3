#![doc = include_str!("../README.md")]
//!
//! Every function says its range and its edge cases. A figure that is not defined, such as the mean
//! of nothing, is `None` and never a silent 0; input that cannot be meant, such as slices of unequal
//! length or a score that is not a number, is an [`Error`]. Ties between scores are resolved by the
//! [`TieRule`] that the caller names, because on ties the rule *is* the result.

mod answers;
mod auc;
mod bootstrap;
mod calibration;
mod classification;
mod detectable;
mod error;
mod graded;
mod interval;
mod multiple;
mod normal;
mod paired;
mod random;
mod ranking;

pub use answers::{AnswerShares, answer_shares};
pub use auc::roc_auc;
pub use bootstrap::{Bootstrap, bootstrap_clustered, bootstrap_mean, bootstrap_means, percentile};
pub use calibration::{
    Binning, ReliabilityBin, brier, expected_calibration_error, maximum_calibration_error,
    negative_log_likelihood, reliability,
};
pub use classification::{Average, PrecisionRecallF1, accuracy, exact_match, precision_recall_f1};
pub use detectable::{Sensitivity, detectable_difference, detectable_paired_difference};
pub use error::{Error, Result};
pub use graded::{Gain, ndcg_at_k};
pub use interval::{Interval, equal_differences, wilson};
pub use multiple::holm;
pub use normal::normal_quantile;
pub use paired::{McNemar, PairedPermutation, mcnemar_exact, paired_permutation};
pub use random::SplitMix64;
pub use ranking::{Rank, TieRule, hit_rate_at_k, mean_auc, mean_ndcg_at_k, mean_reciprocal_rank};
