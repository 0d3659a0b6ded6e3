//! The record of a preparation: what went in, what was kept, what was dropped and why.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Error, PrepareOptions, Result, Split, amazon::Reason};

/// An input file, named without its folder so that a manifest is the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Name of the file.
    pub path: String,
    /// Its size on disk, compressed if it is.
    pub bytes: u64,
    /// SHA-256 of these bytes, in hexadecimal.
    pub sha256: String,
}

/// Lines read, kept and rejected; `read = kept + rejected`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All lines.
    pub read: u64,
    /// Lines that became a row.
    pub kept: u64,
    /// Lines that did not.
    pub rejected: u64,
    /// Rejected lines by reason.
    pub reasons: BTreeMap<Reason, u64>,
}

/// Catalogue rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemTally {
    /// Lines of the metadata files.
    #[serde(flatten)]
    pub lines: Tally,
    /// Kept rows with a title.
    pub titled: u64,
}

/// Purchase histories; `reviews.kept = interactions + dropped`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryTally {
    /// Users with a history.
    pub users: u64,
    /// Their purchases.
    pub interactions: u64,
    /// Reviews that are in no history, by the first reason that applies.
    pub dropped: Dropped,
    /// Users who would have a history if repeats of an item counted.
    pub users_with_repeats: u64,
    /// Purchases whose time equals that of the user's purchase before.
    pub ties: u64,
    /// Users with two purchases at the same time.
    pub users_with_ties: u64,
    /// Users all of whose purchases have the same time: nothing is known of their order.
    pub users_with_one_time: u64,
}

/// Reviews that are in no history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Not verified, where only verified ones are kept.
    pub unverified: u64,
    /// No metadata row describes the item.
    pub unknown_item: u64,
    /// The item has no title.
    pub untitled_item: u64,
    /// Not the user's first of this item.
    pub repeat: u64,
    /// The user has too few purchases.
    pub short_history: u64,
}

/// Where the split lies and how many purchases each part has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitTally {
    /// The two cuts.
    #[serde(flatten)]
    pub cuts: Split,
    /// Purchases before the validation cut.
    pub train: u64,
    /// Purchases between the cuts.
    pub validation: u64,
    /// Purchases from the test cut on.
    pub test: u64,
}

/// Questions by part, and targets that gave none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionTally {
    /// Training questions.
    pub train: u64,
    /// Validation questions.
    pub validation: u64,
    /// Test questions.
    pub test: u64,
    /// Validation and test targets that training never saw (dropped unless they are kept by option).
    pub cold_targets: u64,
    /// Validation and test targets with too few purchases before.
    pub short_history: u64,
    /// Targets whose title the user bought before as another item.
    pub repeated_title: u64,
    /// Targets for which the catalogue has too few distractors.
    pub few_distractors: u64,
}

/// What [`prepare`](crate::prepare) did, as it stands in `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this crate.
    pub version: String,
    /// The review files, then the metadata files.
    pub inputs: Vec<InputFile>,
    /// The options it ran with.
    pub options: PrepareOptions,
    /// Lines of the review files.
    pub reviews: Tally,
    /// Lines of the metadata files.
    pub items: ItemTally,
    /// Histories.
    pub histories: HistoryTally,
    /// The split.
    pub split: SplitTally,
    /// Questions.
    pub questions: QuestionTally,
}

impl Tally {
    pub(crate) fn keep(&mut self) {
        self.read += 1;
        self.kept += 1;
    }

    pub(crate) fn reject(&mut self, reason: Reason) {
        self.read += 1;
        self.rejected += 1;
        *self.reasons.entry(reason).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.kept += other.kept;
        self.rejected += other.rejected;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(*reason).or_default() += count;
        }
    }
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unverified + self.unknown_item + self.untitled_item + self.repeat + self.short_history
    }
}

impl Manifest {
    /// Reads a `manifest.json`.
    ///
    /// # Errors
    /// If the file cannot be read or is no manifest.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        serde_json::from_slice(&text).map_err(|source| Error::Json { path: path.into(), source })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::Json { path: path.into(), source })?;
        text.push(b'\n');
        fs::write(path, text).map_err(|source| Error::Write { path: path.into(), source })
    }
}
