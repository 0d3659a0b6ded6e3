//! Purchases of a user in the order of time.

use serde::{Deserialize, Serialize};

use crate::Part;

/// A user's purchases, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The user.
    pub user: String,
    /// What was bought; items of the same time stand in an order that says nothing, those without times in the file's.
    pub items: Vec<String>,
    /// When, in seconds since the Unix epoch, where it is known; as long as `items`.
    pub times: Vec<Option<i64>>,
}

/// A purchase, with the item as its position in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Event {
    pub(crate) item: u32,
    pub(crate) time: Option<i64>,
    pub(crate) rating: Option<f32>,
    pub(crate) part: Part,
}

/// All purchases of a user with a history, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct UserHistory {
    pub(crate) user: String,
    pub(crate) events: Vec<Event>,
    /// Items of the user's reviews that do not count as purchases, but that the user may well have.
    pub(crate) owned: Vec<u32>,
}
