//! Checkpoints on disk.

mod best;
mod files;
mod identity;
mod seal;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::disk::bytes_in;
use crate::error::{Error, Result, io};
use crate::optimizer::elements;
use crate::parameters::{AnyTensor, HostTensors};

pub use best::best_checkpoint;

pub(crate) use files::replace;
pub(crate) use identity::{Identity, Probe};
pub(crate) use seal::hex;
pub(crate) use state::{Curves, State};

const PREFIX: &str = "checkpoint-";
const UNFINISHED: &str = ".unfinished-";
/// Behind the name of a checkpoint that another one of the same step is about to replace.
const REPLACED: &str = ".replaced";
const STATE: &str = "state.json";
const PARAMETERS: &str = "parameters.safetensors";
const MOMENTS: &str = "optimizer.safetensors";

/// A whole checkpoint, read.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) path: PathBuf,
    pub(crate) state: State,
    pub(crate) parameters: HostTensors,
    pub(crate) moments: HostTensors,
}

impl Checkpoint {
    /// The newest whole checkpoint of a folder.
    pub(crate) fn newest(folder: &Path) -> Result<Self> {
        let (path, state) = newest_whole(folder)?;
        Self::of(path, state)
    }

    /// The whole checkpoint with the lowest loss of those that an evaluation saw.
    pub(crate) fn best(folder: &Path) -> Result<Self> {
        match best::best_whole(folder)? {
            Some((path, state)) => Self::of(path, state),
            None => Err(Error::NoCheckpoint { folder: folder.to_owned() }),
        }
    }

    fn of(path: PathBuf, state: State) -> Result<Self> {
        let parameters = files::read_tensors(&path.join(PARAMETERS))?;
        let moments = files::read_tensors(&path.join(MOMENTS))?;
        Ok(Self { path, state, parameters, moments })
    }

    /// The checkpoint must come from a run of the same configuration, model, adapters and samples.
    pub(crate) fn check_run(&self, run: &Identity) -> Result<()> {
        self.state.run.check(run, &self.path)
    }

    /// Its parameters must be those that train now, and its moments belong to them.
    pub(crate) fn check_parameters(&self, trained: &BTreeMap<String, AnyTensor>) -> Result<()> {
        let other = |field: &str, expected: String, found: String| Error::OtherRun {
            path: self.path.clone(),
            field: field.to_owned(),
            expected,
            found,
        };
        let shape = |name: &str| match self.parameters.get(name) {
            Some(data) => format!("{:?}", &data.shape()[..]),
            None => "absent".to_owned(),
        };
        for (name, value) in trained {
            let (expected, found) = (format!("{:?}", value.shape), shape(name));
            if expected != found {
                return Err(other(&format!("parameters.{name}"), expected, found));
            }
        }
        if let Some(name) = self.parameters.keys().find(|name| !trained.contains_key(*name)) {
            return Err(other(&format!("parameters.{name}"), "absent".into(), shape(name)));
        }
        for (name, data) in &self.moments {
            let expected = name
                .split_once('.')
                .and_then(|(part, path)| elements(part, trained.get(path)?.shape.iter().product()));
            let found = data.num_elements();
            if expected != Some(found) {
                let expected = expected.map_or("absent".to_owned(), |count| count.to_string());
                return Err(other(&format!("optimizer.{name}"), expected, found.to_string()));
            }
        }
        Ok(())
    }
}

/// Writes a checkpoint and deletes the oldest beyond the number that stays, but for the best.
pub(crate) fn save(
    folder: &Path,
    run: &Identity,
    step: u64,
    probe: Probe,
    curves: Curves<'_>,
    parameters: &HostTensors,
    moments: &HostTensors,
) -> Result<PathBuf> {
    fs::create_dir_all(folder).map_err(io(folder))?;
    clean(folder)?;
    // Under another name until it is whole. The checkpoint is a folder inside, because a temporary
    // folder is for its owner's eyes only.
    let unfinished =
        tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder).map_err(io(folder))?;
    let new = unfinished.path().join("new");
    fs::create_dir(&new).map_err(io(&new))?;
    files::write_tensors(&new.join(PARAMETERS), parameters)?;
    files::write_tensors(&new.join(MOMENTS), moments)?;
    State::new(run, step, probe, curves, &new)?.write(&new)?;
    files::sync_folder(&new);

    // Whenever the process dies, a whole checkpoint stands under one of the two names that a reader looks for.
    let path = folder.join(format!("{PREFIX}{step}"));
    let old = folder.join(format!("{PREFIX}{step}{REPLACED}"));
    if path.exists() {
        fs::rename(&path, &old).map_err(io(&path))?;
    }
    fs::rename(&new, &path).map_err(io(&path))?;
    files::sync_folder(folder);
    if old.exists() {
        remove(&old)?;
    }
    prune(folder, step, run.config.checkpoints_kept, curves.evaluations)?;
    Ok(path)
}

/// Notes evaluations in the checkpoint of a step, whose other files stay; `None` if it cannot be read.
pub(crate) fn renew(
    folder: &Path,
    run: &Identity,
    step: u64,
    probe: Probe,
    curves: Curves<'_>,
) -> Result<Option<PathBuf>> {
    clean(folder)?;
    let path = folder.join(format!("{PREFIX}{step}"));
    let Ok(state) = State::read(&path) else { return Ok(None) };
    state.renewed(run, probe, curves).write(&path)?;
    files::sync_folder(&path);
    prune(folder, step, run.config.checkpoints_kept, curves.evaluations)?;
    Ok(Some(path))
}

/// The newest whole checkpoint in a folder; `None` if there is none or no folder.
///
/// # Errors
/// If the folder cannot be read, all its checkpoints are damaged, or the newest whole one was written
/// by a version of this crate with another format.
pub fn newest_checkpoint(folder: impl AsRef<Path>) -> Result<Option<PathBuf>> {
    match newest_whole(folder.as_ref()) {
        Ok((path, _)) => Ok(Some(path)),
        Err(Error::NoCheckpoint { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The newest checkpoint whose files are as they were written. Newer ones get a warning.
fn newest_whole(folder: &Path) -> Result<(PathBuf, State)> {
    let mut first_error = None;
    for (_, path) in listed(folder)?.into_iter().rev() {
        let state = State::read(&path);
        match state.and_then(|state| state.check_files(&path).map(|()| state)) {
            Ok(state) => return Ok((path, state)),
            // Whole, but not ours to read: to fall back would lose its progress silently.
            Err(error @ Error::Version { .. }) => return Err(error),
            Err(error) => {
                let (path, reason) = (path.display(), &error as &dyn std::error::Error);
                warn!(%path, reason, "passed over a damaged checkpoint");
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or(Error::NoCheckpoint { folder: folder.to_owned() }))
}

/// Checkpoints of a folder by step, whole or not; one that was about to be replaced before the one that replaces it.
fn listed(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for (name, path) in entries(folder)? {
        let Some(step) = name.strip_prefix(PREFIX) else { continue };
        let replaced = step.strip_suffix(REPLACED);
        if let Ok(number) = replaced.unwrap_or(step).parse() {
            found.push((number, replaced.is_none(), path));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(step, _, path)| (step, path)).collect())
}

/// Bytes of the checkpoints in a folder, whole or not, and of what was written of one when a process was killed.
pub(crate) fn checkpoint_bytes(folder: &Path) -> u64 {
    let is_one = |name: &str| name.starts_with(PREFIX) || name.starts_with(UNFINISHED);
    let found = entries(folder).unwrap_or_default();
    found.iter().filter(|(name, _)| is_one(name)).map(|(_, path)| bytes_in(path)).sum()
}

/// The last step that a folder has a checkpoint of, whole or not.
pub(crate) fn newest_step(folder: &Path) -> Option<u64> {
    listed(folder).ok()?.last().map(|(step, _)| *step)
}

/// Names and paths in a folder; nothing if it is missing.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(folder)(error)),
    };
    entries
        .map(|entry| {
            let entry = entry.map_err(io(folder))?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        })
        .collect()
}

/// Brings back what a killed process was about to replace, unless it came to it, and removes what it left behind.
fn clean(folder: &Path) -> Result<()> {
    for (name, path) in entries(folder)? {
        if name.starts_with(UNFINISHED) {
            fs::remove_dir_all(&path).map_err(io(&path))?;
        } else if let Some(replaced) = name.strip_suffix(REPLACED)
            && name.starts_with(PREFIX)
        {
            let new = folder.join(replaced);
            if is_whole(&new) {
                remove(&path)?;
                continue;
            }
            if new.exists() {
                remove(&new)?;
            }
            fs::rename(&path, &new).map_err(io(&path))?;
        }
    }
    Ok(())
}

/// Whether nothing is damaged, be it ours to read or not.
fn is_whole(checkpoint: &Path) -> bool {
    let found = State::read(checkpoint).and_then(|state| state.check_files(checkpoint));
    matches!(found, Ok(()) | Err(Error::Version { .. }))
}

/// Removes a checkpoint, which is none from the first moment on.
fn remove(checkpoint: &Path) -> Result<()> {
    let name = checkpoint.file_name().unwrap_or_default().to_string_lossy();
    let gone = checkpoint.with_file_name(format!("{UNFINISHED}{name}"));
    fs::rename(checkpoint, &gone).map_err(io(checkpoint))?;
    fs::remove_dir_all(&gone).map_err(io(&gone))
}

/// Deletes the oldest checkpoints beyond so many whole ones, but for the best whole one of all. Those with a later step
/// than the newest, which was just written, are of another attempt and stay: they may be all that a reader has of it.
fn prune(folder: &Path, newest: u64, kept: usize, evaluations: &[(u64, f64)]) -> Result<()> {
    let mut own = listed(folder)?;
    own.retain(|(step, _)| *step <= newest);
    let is_whole = |(step, path): &(u64, PathBuf)| {
        *step == newest || State::read(path).is_ok_and(|state| state.check_files(path).is_ok())
    };
    let mut whole = 0;
    let mut surplus = Vec::new();
    for checkpoint in own.iter().rev() {
        match whole < kept {
            true => whole += usize::from(is_whole(checkpoint)),
            false => surplus.push(checkpoint),
        }
    }
    if surplus.is_empty() {
        return Ok(());
    }
    let best = best::by_loss(&own, evaluations).into_iter().find(is_whole);
    for checkpoint in surplus.into_iter().filter(|one| Some(*one) != best.as_ref()) {
        remove(&checkpoint.1)?;
    }
    Ok(())
}
