//! From review files to questions: what comes out, what is refused, and what stays the same.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod bad_input;
mod common;
mod contexts;
mod describe;
mod formats;
mod fuzz;
mod prepared;
mod properties;
mod question_files;
mod real_files;
mod relations;
mod seed_protocol;
mod splits;
mod synthetic;
