//! What a checkpoint says of itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{self, FileDigest};
use super::identity::{Identity, Probe};
use super::seal;
use super::{MOMENTS, PARAMETERS, STATE};
use crate::error::{Error, Result, io};

/// Raised whenever an older reader would misunderstand a checkpoint.
const VERSION: u64 = 4;

/// The first version with a checksum of the state itself.
const FIRST_SEALED: u64 = 4;

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    version: u64,
    /// Steps taken. The place in the samples follows from it.
    pub(crate) step: u64,
    #[serde(flatten)]
    pub(crate) run: Identity,
    pub(crate) probe: Probe,
    /// The other files of the checkpoint by name.
    files: BTreeMap<String, FileDigest>,
    /// Step and loss of every step so far. In f32, whose few digits every JSON reader gets right.
    losses: Vec<(u64, f32)>,
    /// Step and loss of every evaluation so far.
    #[serde(default)]
    evaluations: Vec<(u64, f32)>,
    /// Of this very text, with zeros in place of these digits; see [`seal`]. The last field of every version to come.
    sha256_of_this: String,
}

/// Losses of a run so far, each with its step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Curves<'a> {
    pub(crate) losses: &'a [(u64, f64)],
    pub(crate) evaluations: &'a [(u64, f64)],
}

impl State {
    /// The state of a checkpoint whose other files are already in `folder`.
    pub(super) fn new(
        run: &Identity,
        step: u64,
        probe: Probe,
        curves: Curves<'_>,
        folder: &Path,
    ) -> Result<Self> {
        let digest = |name: &str| Ok((name.to_owned(), FileDigest::of(&folder.join(name))?));
        let files = [PARAMETERS, MOMENTS].into_iter().map(digest).collect::<Result<_>>()?;
        Ok(Self::with_files(run, step, probe, curves, files))
    }

    /// The same checkpoint with what is known of the run now.
    pub(super) fn renewed(self, run: &Identity, probe: Probe, curves: Curves<'_>) -> Self {
        Self::with_files(run, self.step, probe, curves, self.files)
    }

    fn with_files(
        run: &Identity,
        step: u64,
        probe: Probe,
        curves: Curves<'_>,
        files: BTreeMap<String, FileDigest>,
    ) -> Self {
        let narrow = |points: &[(u64, f64)]| {
            points.iter().map(|&(step, loss)| (step, loss as f32)).collect()
        };
        let (losses, evaluations) = (narrow(curves.losses), narrow(curves.evaluations));
        Self {
            version: VERSION,
            step,
            run: run.clone(),
            probe,
            files,
            losses,
            evaluations,
            sha256_of_this: seal::blank(),
        }
    }

    pub(crate) fn losses(&self) -> Vec<(u64, f64)> {
        widen(&self.losses)
    }

    pub(crate) fn evaluations(&self) -> Vec<(u64, f64)> {
        widen(&self.evaluations)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(STATE);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Json { path: path.clone(), source })?;
        text.push('\n');
        seal::seal(&mut text);
        files::replace(&path, text.as_bytes())
    }

    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE);
        let text = fs::read(&path).map_err(io(&path))?;
        let is_whole = seal::is_whole(&text);
        if is_whole == Some(false) {
            return Err(damaged(path, "the text that its SHA-256 is of", "another"));
        }
        let json = |source| Error::Json { path: path.clone(), source };
        let value: Value = serde_json::from_slice(&text).map_err(json)?;
        // Before the fields, which another version may have named otherwise.
        let version = &value["version"];
        if is_whole.is_none() && version.as_u64().is_none_or(|version| version >= FIRST_SEALED) {
            return Err(damaged(path, "the SHA-256 of its own text in it", "none"));
        }
        if *version != VERSION {
            return Err(Error::Version {
                path: folder.to_owned(),
                expected: VERSION,
                found: version.to_string(),
            });
        }
        serde_json::from_value(value).map_err(json)
    }

    /// The files must be as they were written.
    pub(super) fn check_files(&self, folder: &Path) -> Result<()> {
        for name in [PARAMETERS, MOMENTS] {
            let path = folder.join(name);
            let found = FileDigest::of(&path)?;
            let expected = self.files.get(name);
            if expected != Some(&found) {
                let expected = expected.map_or("no such file".to_owned(), ToString::to_string);
                return Err(Error::Damaged { path, expected, found: found.to_string() });
            }
        }
        Ok(())
    }
}

fn damaged(path: PathBuf, expected: &str, found: &str) -> Error {
    Error::Damaged { path, expected: expected.to_owned(), found: found.to_owned() }
}

fn widen(points: &[(u64, f32)]) -> Vec<(u64, f64)> {
    points.iter().map(|&(step, loss)| (step, loss.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::identity::tests::run;
    use super::*;

    /// A state with these losses in a folder of its own.
    fn written(losses: &[(u64, f64)], evaluations: &[(u64, f64)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in [PARAMETERS, MOMENTS] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let probe = Probe { sample: 0, loss: 1.0 };
        let curves = Curves { losses, evaluations };
        let state = State::new(&run(1e-4), 199, probe, curves, folder.path()).unwrap();
        state.write(folder.path()).unwrap();
        folder
    }

    #[test]
    fn losses_read_back_exactly() {
        let losses: Vec<(u64, f64)> =
            (1..200).map(|step| (step, f64::from(7.0_f32 / step as f32))).collect();
        let found = State::read(written(&losses, &losses[7..]).path()).unwrap();
        assert_eq!((found.losses(), found.evaluations()), (losses.clone(), losses[7..].to_vec()));
    }

    #[test]
    fn a_bit_that_changed_anywhere_is_damage_and_never_another_version() {
        let folder = written(&[(1, 2.5)], &[]);
        let path = folder.path().join(STATE);
        let text = fs::read(&path).unwrap();
        for byte in 0..text.len() {
            let mut changed = text.clone();
            changed[byte] ^= 1 << (byte % 7);
            fs::write(&path, changed).unwrap();
            let found = State::read(folder.path());
            let damage = matches!(found, Err(Error::Damaged { .. } | Error::Json { .. }));
            assert!(damage, "byte {byte}: {found:?}");
        }
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(matches!(
            State::read(folder.path()),
            Err(Error::Damaged { .. } | Error::Json { .. })
        ));
        fs::write(&path, text).unwrap();
        assert!(State::read(folder.path()).is_ok());
    }

    #[test]
    fn a_whole_state_of_another_version_is_refused_by_its_version() {
        let folder = written(&[(1, 2.5)], &[]);
        let path = folder.path().join(STATE);
        let text = fs::read_to_string(&path).unwrap();
        let refused = |text: &str, found: u64| {
            fs::write(&path, text).unwrap();
            let error = State::read(folder.path()).unwrap_err();
            assert!(matches!(error, Error::Version { .. }), "{error}");
            let text = error.to_string();
            assert!(text.ends_with(&format!("expected format version 4, found {found}")), "{text}");
        };
        let digits = |text: &str| text.rsplit('"').nth(1).unwrap().to_owned();
        let later = text.replace("\"version\": 4,", "\"version\": 5,");
        let mut later = later.replace(&digits(&later), &seal::blank());
        seal::seal(&mut later);
        refused(&later, 5);
        // Those before had no checksum.
        let (before, _) = text.rsplit_once(",\n").unwrap();
        refused(&(before.replace("\"version\": 4,", "\"version\": 3,") + "\n}\n"), 3);
    }
}
