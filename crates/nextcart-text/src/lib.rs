#![doc = include_str!("../README.md")]
//!
//! A [`Tokenizer`] turns the parts of a text into tokens that are those of the whole text, and knows
//! of each token which part it belongs to: the loss mask of a [`Sample`] follows from places, not from
//! a search for a marker. A [`SampleBuilder`] renders questions, drops the oldest purchases of those
//! that are too long, and counts what it did. [`pack`] and [`buckets`] put samples together for
//! training, and [`diagnose`] shows one as the model will see it.

mod bucket;
mod build;
mod choice;
mod contrast;
mod doctor;
mod error;
mod lengths;
mod pack;
mod sample;
mod shared;
mod tokenizer;

pub use bucket::buckets;
pub use build::{Built, BuiltDecision, SampleBuilder};
pub use choice::Choice;
pub use contrast::{Contrast, ContrastOptions, NextPurchase};
pub use doctor::{Diagnosis, Finding, Row, diagnose};
pub use error::{Error, Result};
pub use lengths::{Lengths, Spread};
pub use pack::pack;
pub use sample::{Sample, digest};
pub use shared::shared_prefix;
pub use tokenizer::{Encoded, Tokenizer};
