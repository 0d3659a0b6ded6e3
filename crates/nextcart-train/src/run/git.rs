//! The commit that a folder lies in.

use std::fs;
use std::path::{Path, PathBuf};

/// The commit checked out in the repository around a folder, in hexadecimal; `None` if there is none.
pub(super) fn commit(folder: &Path) -> Option<String> {
    let folder = fs::canonicalize(folder).ok()?;
    let repository = folder.ancestors().find_map(git_folder)?;
    let head = fs::read_to_string(repository.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    // A working tree beside the first one shares its branches.
    let common = match fs::read_to_string(repository.join("commondir")) {
        Ok(path) => repository.join(path.trim()),
        Err(_) => repository,
    };
    if let Ok(commit) = fs::read_to_string(common.join(name)) {
        return Some(commit.trim().to_owned());
    }
    let packed = fs::read_to_string(common.join("packed-refs")).ok()?;
    let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(_, packed)| *packed == name).map(|(commit, _)| commit.to_owned())
}

/// `.git`, or where the file of this name points to.
fn git_folder(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(".git");
    if path.is_dir() {
        return Some(path);
    }
    let text = fs::read_to_string(path).ok()?;
    Some(folder.join(text.trim().strip_prefix("gitdir: ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_commit_is_found_however_git_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("out/run");
        let git = folder.path().join(".git");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        assert_eq!(commit(&inner), None);
        fs::write(git.join("HEAD"), format!("{COMMIT}\n")).unwrap();
        assert_eq!(commit(&inner).unwrap(), COMMIT);
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(commit(&inner), None);
        fs::write(git.join("packed-refs"), format!("# pack\n{COMMIT} refs/heads/main\n")).unwrap();
        assert_eq!(commit(&inner).unwrap(), COMMIT);
        let newer = COMMIT.replace('0', "f");
        fs::write(git.join("refs/heads/main"), format!("{newer}\n")).unwrap();
        assert_eq!(commit(&inner).unwrap(), newer);

        let tree = tempfile::tempdir().unwrap();
        let own = git.join("worktrees/tree");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        fs::write(tree.path().join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        assert_eq!(commit(tree.path()).unwrap(), newer);
    }
}
