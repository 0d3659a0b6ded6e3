#![doc = include_str!("../README.md")]
//!
//! [`prepare`] reads Amazon review and metadata files ([`source`]), writes them as Parquet tables with a
//! [`Manifest`], orders each user's purchases into histories, divides these ([`SplitMethod`]) and asks for
//! the next purchase among candidates ([`Distractors`]). [`synthetic`] generates files
//! of the same format from a process whose best possible answer is known.
//!
//! # What is kept out of the questions
//! * Anything after the target: no purchase of its history is later. Split at two dates
//!   ([`SplitMethod::GlobalTime`], the default), all that training can know of popularity lies before the first of them;
//!   split otherwise, it holds other users' purchases of any time.
//! * What the user has: no distractor is an item, or has the title of one, that the user bought at any
//!   time or reviewed without a verified purchase. (Where repeats are kept ([`Repeats::Keep`]) and the answer is one, what
//!   was bought before and not later may be.)
//! * Differences of form between answers and distractors: all titles pass through one cleaning ([`TextCleaning`]) once.
//! * Popularity, by default: distractors are as popular as targets ([`Distractors::Popularity`]). The other kinds let it
//!   tell something; [`Distractors`] says how much.
//! * The order of items in the file: purchases of one time stand in an order that says nothing. Of sequences without times,
//!   the order is all that is known, and is kept: [`describe`] counts how often it is that of the items' ids.

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
