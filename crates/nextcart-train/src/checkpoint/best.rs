//! The best checkpoint by evaluation.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::{State, listed, newest_whole};
use crate::error::{Error, Result};

/// The whole checkpoint with the lowest loss of those that an evaluation saw, the first of them on a tie; `None` if
/// there is none, or no folder.
///
/// What the losses were is read from the newest whole checkpoint. A better one that is damaged is passed over
/// with a warning.
///
/// # Errors
/// Those of [`newest_checkpoint`](crate::newest_checkpoint), and if all that an evaluation saw are damaged.
pub fn best_checkpoint(folder: impl AsRef<Path>) -> Result<Option<PathBuf>> {
    Ok(best_whole(folder.as_ref())?.map(|(path, _)| path))
}

pub(super) fn best_whole(folder: &Path) -> Result<Option<(PathBuf, State)>> {
    let (_, newest) = match newest_whole(folder) {
        Ok(found) => found,
        Err(Error::NoCheckpoint { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut first_error = None;
    for (_, path) in by_loss(&listed(folder)?, &newest.evaluations()) {
        let state = State::read(&path);
        match state.and_then(|state| state.check_files(&path).map(|()| state)) {
            Ok(state) => return Ok(Some((path, state))),
            Err(error) => {
                let (path, reason) = (path.display(), &error as &dyn std::error::Error);
                warn!(%path, reason, "passed over a damaged checkpoint, the best by evaluation");
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(None), Err)
}

/// Checkpoints that an evaluation saw, the lowest loss first, then the earliest step.
pub(super) fn by_loss(
    checkpoints: &[(u64, PathBuf)],
    evaluations: &[(u64, f64)],
) -> Vec<(u64, PathBuf)> {
    let with_loss = checkpoints.iter().filter_map(|checkpoint| {
        let seen = evaluations.iter().find(|(step, _)| *step == checkpoint.0)?;
        Some((seen.1, checkpoint.clone()))
    });
    let mut found: Vec<_> = with_loss.collect();
    found.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.0.cmp(&right.1.0)));
    found.into_iter().map(|(_, checkpoint)| checkpoint).collect()
}
