//! What a preparation made.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};

use super::{HISTORIES, QUESTIONS, prepare_until};
use crate::{
    Catalogue, Error, History, InputFile, Manifest, Part, PrepareOptions, Question, Resources,
    Result,
    histories::read_training,
    publish::{MANIFEST, TABLES, go_on, own_version},
    read_questions,
    source::{FileKind, find_files, names},
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
    /// The prepared folder.
    pub folder: PathBuf,
    /// What went in, what was kept and dropped.
    pub manifest: Manifest,
    /// The training part of the histories, and nothing of later ones. Users without any are absent.
    pub histories: Vec<History>,
    /// The titled items.
    pub catalogue: Catalogue,
    /// Questions of all parts, by user, each user's in the order of time.
    pub questions: Vec<Question>,
}

impl Dataset {
    /// What comes of review and metadata files, [prepared](crate::prepare) in a folder with the default options, or what
    /// the folder holds of the same files in the same order already; without review files, what it holds.
    ///
    /// # Errors
    /// [`Error::OtherData`] if it holds what was prepared of other files, with other options or by another version, and
    /// [`Error::Foreign`] if its manifest is of another program; those of [`prepare_until`], [`Prepared::open`] and
    /// [`Prepared::load`].
    pub fn prepare_or_open(
        reviews: &[PathBuf],
        meta: &[PathBuf],
        folder: impl AsRef<Path>,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let folder = folder.as_ref();
        if reviews.is_empty() {
            return Prepared::open(folder)?.load();
        }
        let (options, resources) = (PrepareOptions::default(), Resources::default());
        if let Some(version) = own_version(folder.join(MANIFEST))? {
            if version != env!("CARGO_PKG_VERSION") {
                let otherwise = "by another version of nextcart";
                return Err(Error::OtherData { folder: folder.into(), otherwise });
            }
            let prepared = Prepared::open(folder)?;
            prepared.check(reviews, meta, &options, stop)?;
            return prepared.load();
        }
        prepare_until(reviews, meta, folder, &options, &resources, stop)?.load()
    }

    /// What a folder holds that was prepared, or what comes of the review or sequence files and the metadata in it,
    /// prepared below `out` under a name that path and options decide, where the next call finds it: delete it where the
    /// files have changed since.
    ///
    /// # Errors
    /// If there is no such folder, and those of [`prepare_until`] and [`Prepared::load`].
    pub fn of_folder(
        folder: impl AsRef<Path>,
        out: impl AsRef<Path>,
        options: &PrepareOptions,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let folder = folder.as_ref();
        if folder.join(MANIFEST).is_file() {
            return Prepared::open(folder)?.load();
        }
        let read = |source| Error::Read { path: folder.into(), source };
        let whole = folder.canonicalize().map_err(read)?;
        let mut digest = Sha256::new_with_prefix(whole.as_os_str().as_encoded_bytes());
        digest.update(format!("\0{options:?}"));
        // It hides itself where it is printed, but changes what comes out.
        digest.update(
            options.ingest.salt.as_ref().map(|salt| salt.pseudonym("")).unwrap_or_default(),
        );
        let digest = digest.finalize();
        let name: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let prepared = out.as_ref().join(format!("data-{name}"));
        if prepared.join(MANIFEST).is_file() {
            return Prepared::open(prepared)?.load();
        }
        let files = [folder.to_owned()];
        prepare_until(&files, &files, prepared, options, &Resources::default(), stop)?.load()
    }

    /// The questions of a part, with so many of the latest purchases of each history (`None` for all of them).
    #[must_use]
    pub fn part(&self, part: Part, purchases: Option<usize>) -> Vec<Question> {
        let of_part = self.questions.iter().filter(|question| question.part == part);
        of_part.map(|question| question.with_latest(purchases)).collect()
    }
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

    /// An error unless the folder, of this version, holds what comes of these files with these options.
    fn check(
        &self,
        reviews: &[PathBuf],
        meta: &[PathBuf],
        options: &PrepareOptions,
        stop: &AtomicBool,
    ) -> Result<()> {
        let other = |otherwise| Error::OtherData { folder: self.folder.clone(), otherwise };
        let Manifest { options: found, pseudonymised, inputs, .. } = &self.manifest;
        // A salt is not among the options that are written.
        if found != options || *pseudonymised != options.ingest.salt.is_some() {
            return Err(other("with other options"));
        }
        let (reviews, meta) =
            (find_files(reviews, FileKind::Reviews)?, find_files(meta, FileKind::Metadata)?);
        let files: Vec<PathBuf> = reviews.into_iter().chain(meta).collect();
        if files.len() != inputs.len() {
            return Err(other("of other files"));
        }
        for ((file, name), input) in files.iter().zip(names(&files)).zip(inputs) {
            if !is_input(file, &name, input, stop)? {
                return Err(other("of other files"));
            }
        }
        Ok(())
    }

    /// Reads questions, training histories and catalogue into memory.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn load(&self) -> Result<Dataset> {
        Ok(Dataset {
            folder: self.folder.clone(),
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

/// Whether a file is one that went in: by its name and size first, as to read it may take long.
fn is_input(path: &Path, name: &str, input: &InputFile, stop: &AtomicBool) -> Result<bool> {
    let read = |source| Error::Read { path: path.into(), source };
    if name != input.path.as_str() || path.metadata().map_err(read)?.len() != input.bytes {
        return Ok(false);
    }
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    let mut file = File::open(path).map_err(read)?;
    loop {
        go_on(stop)?;
        match file.read(&mut buffer).map_err(read)? {
            0 => break,
            bytes => digest.update(&buffer[..bytes]),
        }
    }
    let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(found == input.sha256)
}
