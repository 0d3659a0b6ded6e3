//! What a prepared folder holds, in numbers and pictures.

mod distribution;
mod gather;
mod plots;
mod show;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

pub use distribution::Distribution;

use crate::{Manifest, Prepared, Result};

/// Counts and distributions of a prepared folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// What was read, kept, dropped, split and asked.
    pub manifest: Manifest,
    /// Purchases of each user.
    pub history_lengths: Distribution,
    /// Purchases of each item that was bought in training.
    pub popularity: Distribution,
    /// Training purchases of the items, the most popular first.
    pub ranking: Vec<u64>,
    /// Purchases by month, as the number of months since January 1970, in training, validation and test.
    pub months: BTreeMap<i64, [u64; 3]>,
    /// Neighbours in a history.
    pub neighbours: Neighbours,
    /// Purchases of an item that the user had bought before, whether they were dropped or kept.
    pub repeats: u64,
    /// Titles that several items share.
    pub titles: Titles,
    /// Items of validation and test that training never saw.
    pub cold: Cold,
}

/// How purchases follow each other in histories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Neighbours {
    /// Pairs of a purchase and the next.
    pub pairs: u64,
    /// Pairs at one time: their order is not known.
    pub tied: u64,
    /// Pairs whose items ascend by their ids. Half of them do by chance; far more tell that the order of
    /// a file, by item, has come to stand for the order of time.
    pub ascending: u64,
}

/// Items that share a title, upper and lower case alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Titles {
    /// Titled items.
    pub items: u64,
    /// Titles that more than one of them has.
    pub shared: u64,
    /// Items with such a title.
    pub items_sharing: u64,
}

/// What is bought in validation and test and was never bought in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cold {
    /// Items bought in training.
    pub known_items: u64,
    /// Other items bought in validation or test.
    pub items: u64,
    /// Purchases of these.
    pub purchases: u64,
}

/// Describes a folder that [`prepare`](crate::prepare) made.
///
/// Memory grows with the number of items, not of purchases.
///
/// # Errors
/// If the folder's files cannot be read.
pub fn describe(folder: impl AsRef<Path>) -> Result<Description> {
    gather::gather(&Prepared::open(folder)?)
}

impl Description {
    /// Draws the distributions as SVG files into a folder, which is made if need be.
    ///
    /// # Errors
    /// If a file cannot be drawn or written.
    pub fn plot(&self, folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        plots::plot(self, folder.as_ref())
    }
}
