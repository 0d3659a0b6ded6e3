//! What lies beside a `tokenizer.json`.

use std::path::Path;

use crate::error::{Error, Result};

/// Files that transformers, and what serves its checkpoints, read beside a `tokenizer.json`: settings and chat template,
/// names of special tokens, how texts are generated.
pub(super) const NAMES: [&str; 5] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
];

/// Those of [`NAMES`] that lie in a folder, with what stands in them.
pub(super) fn read(folder: &Path) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut files = Vec::new();
    for name in NAMES {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => files.push((name, bytes)),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Io { path, source }),
        }
    }
    Ok(files)
}
