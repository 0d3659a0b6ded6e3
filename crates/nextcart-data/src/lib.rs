#![doc = include_str!("../README.md")]
//!
//! [`prepare`] reads Amazon review and metadata files ([`source`]), writes them as Parquet tables with a
//! [`Manifest`], orders each user's purchases into histories, cuts these in time ([`Split`]) and asks for
//! the next purchase among candidates of like popularity ([`Distractors`]). [`synthetic`] generates files
//! of the same format from a process whose best possible answer is known.
//!
//! # What is kept out of the questions
//! * Anything after the target: no purchase of its history is later, and what training can know of popularity
//!   lies before the validation cut.
//! * What the user has: no distractor is an item, or has the title of one, that the user bought at any
//!   time or reviewed without a verified purchase.
//! * Differences of form between answers and distractors: all titles pass through one cleaning ([`TextCleaning`]) once.
//! * Popularity: distractors are as popular as targets.
//! * The order of items in the file: purchases of one day stand in an order that says nothing.

mod ask;
mod background;
mod calendar;
mod candidates;
mod catalogue;
mod clean;
mod context;
mod describe;
mod disk;
mod error;
mod full_catalogue;
mod histories;
mod ingest;
mod manifest;
mod options;
mod parallel;
pub mod plan;
mod prepare;
mod publish;
mod question;
mod question_file;
mod relations;
mod resources;
mod seed;
mod seeded;
pub mod source;
mod split;
pub mod synthetic;
mod table;
mod title_key;

pub use candidates::Distractors;
pub use catalogue::Catalogue;
pub use clean::{TextCleaning, clean_text};
pub use context::{
    ContextOptions, Contexts, Profile, PurchaseContext, QuestionContext, RelationPath,
};
pub use describe::{Cold, Description, Distribution, Neighbours, Titles, describe};
pub use error::{EngineError, Error, Result};
pub use full_catalogue::FullCatalogue;
pub use histories::History;
pub use ingest::{IngestOptions, Ingested, Salt, ingest};
pub use manifest::{
    Dropped, HistoryTally, InputFile, ItemTally, Manifest, QuestionTally, SplitTally, Tally,
};
pub use options::{PrepareOptions, Repeats};
pub use plan::PairKind;
pub use prepare::{Dataset, Prepared, prepare, prepare_on, prepare_until};
pub use question::{Part, Product, Purchase, Question};
pub use question_file::{read_any_questions, read_questions, write_questions};
pub use relations::{Related, RelationOptions, Relations};
pub use resources::{DEFAULT_MEMORY_BYTES, Resources};
pub use seed::{read_seed_questions, seed_protocol};
pub use split::{Split, SplitMethod};
pub use title_key::title_key;
