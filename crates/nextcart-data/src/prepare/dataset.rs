//! What a preparation made.

use std::path::{Path, PathBuf};

use super::{HISTORIES, QUESTIONS};
use crate::{
    Catalogue, Error, History, Manifest, Question, Result,
    histories::read_training,
    publish::{MANIFEST, TABLES},
    read_questions,
};

/// A prepared folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prepared {
    /// What went in, what was kept and dropped.
    pub manifest: Manifest,
    /// Where the files lie.
    pub folder: PathBuf,
}

/// All that a prepared folder holds for training and evaluation, in memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Dataset {
    /// What went in, what was kept and dropped.
    pub manifest: Manifest,
    /// The training part of the histories, and nothing of later ones. Users without any are absent.
    pub histories: Vec<History>,
    /// The titled items.
    pub catalogue: Catalogue,
    /// Questions of all parts, by user, each user's in the order of time.
    pub questions: Vec<Question>,
}

impl Prepared {
    pub(super) fn new(folder: &Path, manifest: Manifest) -> Self {
        Self { manifest, folder: folder.into() }
    }

    /// Opens a folder that was prepared before.
    ///
    /// # Errors
    /// [`Error::NotPrepared`] if it has no manifest, and if that cannot be read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let manifest = folder.join(MANIFEST);
        if !manifest.exists() {
            let found = match (folder.is_dir(), folder.exists()) {
                (true, _) => "none in it",
                (false, true) => "a file",
                (false, false) => "no such folder",
            };
            return Err(Error::NotPrepared { folder: folder.into(), found });
        }
        Ok(Self::new(folder, Manifest::read(manifest)?))
    }

    /// Reads questions, training histories and catalogue into memory.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn load(&self) -> Result<Dataset> {
        Ok(Dataset {
            manifest: self.manifest.clone(),
            histories: self.histories()?,
            catalogue: Catalogue::read(self.folder.join(TABLES[1]))?,
            questions: read_questions(self.folder.join(QUESTIONS))?,
        })
    }

    /// Reads the training part of the histories.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn histories(&self) -> Result<Vec<History>> {
        read_training(&self.folder.join(HISTORIES))
    }
}
