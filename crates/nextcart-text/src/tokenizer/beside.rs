//! What lies beside a `tokenizer.json` and says how it is used.

use std::path::Path;

use serde_json::Value;

use super::failed;
use crate::error::{Error, Result};

const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";

/// Files that transformers, and what serves its checkpoints, read beside a `tokenizer.json`: settings and chat template,
/// names of special tokens, how texts are generated.
pub(super) const NAMES: [&str; 5] =
    [CONFIG, SPECIAL, "added_tokens.json", "chat_template.jinja", "generation_config.json"];

/// Those of [`NAMES`] that lie in a folder, with what stands in them.
#[derive(Debug, Default)]
pub(super) struct Beside(Vec<(&'static str, String)>);

/// What texts shall begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    AsTokenizerSays,
    Nothing,
    Token(String),
}

impl Beside {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for name in NAMES {
            let path = folder.join(name);
            match std::fs::read_to_string(&path) {
                Ok(text) => files.push((name, text)),
                Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Io { path, source }),
            }
        }
        Ok(Self(files))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// What `add_bos_token` asks for, as transformers 5 obeys it (4 does so for Llama's own class of tokenizers alone).
    pub(super) fn begin(&self, folder: &Path) -> Result<Begin> {
        let config = self.json(folder, CONFIG)?;
        let field = &config["add_bos_token"];
        let asked = match field {
            Value::Null => return Ok(Begin::AsTokenizerSays),
            Value::Bool(asked) => *asked,
            found => {
                let reason = format!("expected true or false as `add_bos_token`, found {found}");
                return Err(failed(&folder.join(CONFIG), reason));
            }
        };
        if !asked {
            return Ok(Begin::Nothing);
        }
        let special = self.json(folder, SPECIAL)?;
        let names = [&config["bos_token"], &special["bos_token"]];
        let name = names.iter().find_map(|bos| bos.as_str().or_else(|| bos["content"].as_str()));
        Ok(name.map_or(Begin::AsTokenizerSays, |name| Begin::Token(name.to_owned())))
    }

    fn json(&self, folder: &Path, name: &str) -> Result<Value> {
        let Some((_, text)) = self.files().find(|(found, _)| *found == name) else {
            return Ok(Value::Null);
        };
        serde_json::from_str(text).map_err(|error| failed(&folder.join(name), error))
    }
}
