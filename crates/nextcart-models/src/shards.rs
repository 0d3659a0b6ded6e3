//! The files that a checkpoint's weights lie in.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::checkpoint::{INDEX, WEIGHTS};
use crate::config::read_json;
use crate::error::{Error, Result};

/// The files with the weights, and what the index says of them.
pub(crate) struct Shards {
    /// Each of them once.
    pub(crate) files: Vec<PathBuf>,
    /// Each tensor's file, by its place in `files`; empty if there is one file and no index.
    pub(crate) index: BTreeMap<String, usize>,
}

impl Shards {
    /// The file with the weights, or those that the index names.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let mut shards = Self { files: Vec::new(), index: BTreeMap::new() };
        let whole = folder.join(WEIGHTS);
        if whole.is_file() {
            shards.files.push(whole);
            return Ok(shards);
        }
        let path = folder.join(INDEX);
        if !path.is_file() {
            let expected = "model.safetensors or model.safetensors.index.json";
            return Err(Error::MissingFile { folder: folder.to_owned(), expected });
        }
        let index = read_json(&path)?;
        let wrong = |expected: &str, found: &Value| Error::Config {
            path: path.clone(),
            field: "weight_map",
            expected: expected.to_owned(),
            found: found.to_string(),
        };
        let map = &index["weight_map"];
        let map =
            map.as_object().ok_or_else(|| wrong("an object of tensor and file names", map))?;
        for (tensor, file) in map {
            let name =
                file_name(file).ok_or_else(|| wrong("the name of a file beside it", file))?;
            let place = shards.place(folder.join(name));
            shards.index.insert(tensor.clone(), place);
        }
        Ok(shards)
    }

    /// The place of a file, which is added if it is new.
    fn place(&mut self, file: PathBuf) -> usize {
        let known = self.files.iter().position(|other| *other == file);
        known.unwrap_or_else(|| {
            self.files.push(file);
            self.files.len() - 1
        })
    }
}

/// A name alone: an index must not lead out of its folder.
fn file_name(file: &Value) -> Option<&Path> {
    file.as_str().map(Path::new).filter(|name| {
        let mut parts = name.components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
    })
}
