//! The record of a preparation: what went in, what was kept, what was dropped and why.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Distractors, Error, Part, PrepareOptions, Result, Split, source::Reason};

/// An input file. It is named without its folder, so that a manifest is the same on every machine, but for those that tell
/// files of one name apart.
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
    /// Rows that kept lines became: one each, but for lines that hold a user's whole sequence.
    pub rows: u64,
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

/// Purchase histories; `reviews.rows = interactions + dropped`.
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
    /// Rated below the least rating that counts.
    pub low_rating: u64,
    /// Not the user's first of this item.
    pub repeat: u64,
    /// The user has too few purchases; all of them count here, repeats too if even with them there are
    /// too few.
    pub short_history: u64,
    /// The user or the item is not in the k-core.
    pub outside_core: u64,
}

/// Where the split lies and how many purchases each part has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitTally {
    /// The two cuts, where the split is by time.
    #[serde(flatten)]
    pub cuts: Option<Split>,
    /// Purchases for training.
    pub train: u64,
    /// Purchases for validation.
    pub validation: u64,
    /// Purchases for the test.
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
    /// Distractors drawn by popularity since the chosen kind had too few, such as the category of an item
    /// without one.
    pub filled_by_popularity: u64,
}

/// What [`prepare`](crate::prepare) did, as it stands in `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this crate.
    pub version: String,
    /// Whether user ids are pseudonyms.
    pub pseudonymised: bool,
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
    /// A line that became some rows.
    pub(crate) fn keep(&mut self, rows: u32) {
        self.read += 1;
        self.kept += 1;
        self.rows += u64::from(rows);
    }

    pub(crate) fn reject(&mut self, reason: Reason) {
        self.read += 1;
        self.rejected += 1;
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// A kept line turns out to be a duplicate.
    pub(crate) fn turn_to_duplicate(&mut self, rows: u32) {
        self.rows -= u64::from(rows);
        self.kept -= 1;
        self.rejected += 1;
        *self.reasons.entry(Reason::Duplicate).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.kept += other.kept;
        self.rejected += other.rejected;
        self.rows += other.rows;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(*reason).or_default() += count;
        }
    }
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self {
            unverified,
            unknown_item,
            untitled_item,
            low_rating,
            repeat,
            short_history,
            outside_core,
        } = self;
        unverified
            + unknown_item
            + untitled_item
            + low_rating
            + repeat
            + short_history
            + outside_core
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

    /// Says how many distractors were drawn by popularity, since the chosen kind had too few; `None` if none were.
    #[must_use]
    pub fn drawn_otherwise(&self) -> Option<String> {
        let lacking = match self.options.distractors {
            Distractors::Category => "others of the answer's category",
            Distractors::Brand => "others of the answer's brand or category",
            Distractors::Nearest => "titles near to those of its cluster",
            Distractors::Retrieved => "others bought with those of the history",
            Distractors::Popularity | Distractors::Uniform | Distractors::Catalogue => return None,
        };
        let (drawn, all) = (self.questions.filled_by_popularity, self.distractors());
        (drawn > 0).then(|| {
            format!("{drawn} of {all} distractors were drawn by popularity, for want of {lacking}")
        })
    }

    /// Distractors of all questions.
    pub(crate) fn distractors(&self) -> u64 {
        self.questions.total() * self.options.candidates.saturating_sub(1) as u64
    }
}

impl QuestionTally {
    /// Questions of all parts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.train + self.validation + self.test
    }

    pub(crate) fn count(&mut self, part: Part) {
        match part {
            Part::Train => self.train += 1,
            Part::Validation => self.validation += 1,
            Part::Test => self.test += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.train += other.train;
        self.validation += other.validation;
        self.test += other.test;
        self.cold_targets += other.cold_targets;
        self.short_history += other.short_history;
        self.repeated_title += other.repeated_title;
        self.few_distractors += other.few_distractors;
        self.filled_by_popularity += other.filled_by_popularity;
    }
}

/// Writes a manifest.
pub(crate) fn write_json(value: &impl Serialize, path: &Path) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::Json { path: path.into(), source })?;
    text.push(b'\n');
    fs::write(path, text).map_err(|source| Error::Write { path: path.into(), source })
}
