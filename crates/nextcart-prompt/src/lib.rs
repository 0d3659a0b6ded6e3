#![doc = include_str!("../README.md")]
//!
//! A [`Template`] holds three Jinja templates, one a part, and turns any serialisable question into
//! a [`Prompt`]. The built-in ones expect the fields of a nextcart question: `history[]` and
//! `candidates[]` with `title`, `brand`, `category` and `price`, and the index `answer`; those that tell
//! more, such as relations, say which fields they expect ([`Builtin::about`]). A [`Layout`] puts a wrapper
//! or a checkpoint's [`ChatTemplate`] around a prompt and gives the text in [`Segment`]s.
//!
//! Three guarantees:
//! - an undefined variable is an error that names template, part, line and variable, never blank
//!   text;
//! - the instruction and the input cannot see `answer`, so no template can leak it;
//! - values are text and nothing else: template syntax inside a title stays as it is, and so do names of
//!   special tokens.

mod catalogue;
mod chat;
mod code;
mod decision;
mod error;
mod fields;
mod filters;
mod form;
mod layout;
mod parts;
mod prompt;
mod segment;
mod style;
mod template;

pub use catalogue::{Builtin, catalogue};
pub use chat::{ChatTemplate, Message};
pub use decision::{Choice, Decision};
pub use error::{Error, Result};
pub use fields::Fields;
pub use filters::line;
pub use form::Form;
pub use layout::Layout;
pub use parts::PromptPart;
pub use prompt::{Prompt, Wrapper};
pub use segment::{Segment, SegmentKind};
pub use style::{AnswerForm, Labels, Style};
pub use template::Template;
