//! One process at a time in a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use tracing::warn;

use crate::error::{Error, Result, io};

/// The file that is locked. It stays: to remove it would let in a process that has opened it already.
const LOCK: &str = ".lock";

/// A folder that no other process gets. The system takes the lock back with the file, however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    /// None where the file system has no locks.
    _file: Option<File>,
}

impl Lock {
    /// That of a folder that is there.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { folder: folder.to_owned() }),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                warn!(path = %path.display(), "no locks here: let no other process write to it");
                Ok(Self { _file: None })
            }
            Err(TryLockError::Error(error)) => Err(io(path)(error)),
        }
    }

    /// That of a folder; none where there is none yet.
    pub(super) fn if_there(folder: &Path) -> Result<Option<Self>> {
        folder.is_dir().then(|| Self::of(folder)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_and_free_when_the_lock_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::of(folder.path()).unwrap();
        let error = Lock::of(folder.path()).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        assert!(matches!(error, Error::Locked { .. }));
        drop(lock);
        assert!(Lock::if_there(folder.path()).unwrap().is_some());
        let absent = folder.path().join("absent");
        assert!(Lock::if_there(&absent).unwrap().is_none() && !absent.exists());
    }
}
