//! Prompts as token ids with a loss mask.
//!
//! A [`Tokenizer`] turns the parts of a text into tokens that are those of the whole text, and knows
//! of each token which part it belongs to: the loss mask of a [`Sample`] follows from places, not from
//! a search for a marker. A [`SampleBuilder`] renders questions, drops the oldest purchases of those
//! that are too long, and counts what it did. [`pack`] and [`buckets`] put samples together for
//! training, and [`diagnose`] shows one as the model will see it.
//!
//! ```
//! use nextcart_prompt::{Template, Wrapper};
//! use nextcart_text::{SampleBuilder, Tokenizer};
//! use serde_json::json;
//!
//! let question = json!({
//!     "history": [{ "title": "Green Tea" }, { "title": "Tea Strainer" }],
//!     "candidates": [{ "title": "Dog Leash" }, { "title": "Acacia Honey" }],
//!     "answer": 1,
//! });
//! let tokenizer = Tokenizer::train(["Green Tea", "Dog Leash", "Acacia Honey"].iter(), 300)?;
//! let template = Template::builtin("next_purchase")?;
//! let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain).with_max_tokens(200);
//! let built = builder.build(&question)?;
//! let sample = &built[0].sample;
//! let answer: Vec<u32> = sample.trained().collect();
//! assert_eq!(tokenizer.decode(&answer)?, "Acacia Honey");
//! assert_eq!(answer.last().copied(), tokenizer.eos());
//! # Ok::<(), nextcart_text::Error>(())
//! ```

mod bucket;
mod build;
mod choice;
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
pub use doctor::{Diagnosis, Finding, Row, diagnose};
pub use error::{Error, Result};
pub use lengths::{Lengths, Spread};
pub use pack::{Window, pack};
pub use sample::{Sample, digest};
pub use shared::shared_prefix;
pub use tokenizer::{Encoded, Tokenizer};
