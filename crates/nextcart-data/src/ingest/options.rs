//! What is kept of a line.

use serde::{Deserialize, Serialize};

use super::Salt;
use crate::TextCleaning;

/// Which columns tables have and how text is cleaned. What is not kept is passed over while a line is read.
///
/// User, item, time, rating, verified flag, and the title, brand, category path, price and related items
/// of an item are always kept; the names of reviewers never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestOptions {
    /// Keep the headlines of reviews (default true).
    pub summary: bool,
    /// Keep the text of reviews, most of a file's bytes (default false).
    pub text: bool,
    /// Keep the descriptions of items (default false).
    pub description: bool,
    /// How titles are cleaned (default entities and whitespace).
    pub cleaning: TextCleaning,
    /// Replaces user ids by pseudonyms (default none). Not written to any file.
    #[serde(skip)]
    pub salt: Option<Salt>,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            summary: true,
            text: false,
            description: false,
            cleaning: TextCleaning::default(),
            salt: None,
        }
    }
}
