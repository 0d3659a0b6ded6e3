//! Where a checkpoint keeps its chat template.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

/// A chat template as it lies on disk.
pub(super) struct ChatFiles {
    /// The file.
    pub(super) origin: String,
    pub(super) source: String,
    /// Special tokens by the names that templates use.
    pub(super) special: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<Token>,
    eos_token: Option<Token>,
    unk_token: Option<Token>,
    pad_token: Option<Token>,
    sep_token: Option<Token>,
    cls_token: Option<Token>,
    mask_token: Option<Token>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text as `chat_template`, or a list of `name` and `template`"
)]
enum Templates {
    One(String),
    Several(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

/// A special token, as text or with its properties.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text as `bos_token` and the other special tokens, or an object with its `content`"
)]
enum Token {
    Text(String),
    Added { content: String },
}

pub(super) fn read(folder: &Path) -> Result<ChatFiles> {
    let path = folder.join("tokenizer_config.json");
    let config: TokenizerConfig = match read_if_there(&path)? {
        Some(text) => serde_json::from_str(&text)
            .map_err(|source| Error::Json { path: path.clone(), source })?,
        None => TokenizerConfig::default(),
    };
    let template = folder.join("chat_template.jinja");
    let (origin, source) = match read_if_there(&template)? {
        Some(source) => (template, source),
        None => (path, config.default_template().ok_or_else(|| no_template(folder))?.to_owned()),
    };
    Ok(ChatFiles { origin: origin.display().to_string(), source, special: config.special() })
}

fn no_template(folder: &Path) -> Error {
    Error::NoChatTemplate { folder: folder.to_owned() }
}

fn read_if_there(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

impl TokenizerConfig {
    fn default_template(&self) -> Option<&str> {
        match self.chat_template.as_ref()? {
            Templates::One(template) => Some(template),
            Templates::Several(templates) => {
                let default = templates.iter().find(|named| named.name == "default");
                default.map(|named| named.template.as_str())
            }
        }
    }

    fn special(self) -> BTreeMap<String, String> {
        let tokens = [
            ("bos_token", self.bos_token),
            ("eos_token", self.eos_token),
            ("unk_token", self.unk_token),
            ("pad_token", self.pad_token),
            ("sep_token", self.sep_token),
            ("cls_token", self.cls_token),
            ("mask_token", self.mask_token),
        ];
        let text = |token| match token {
            Token::Text(text) => text,
            Token::Added { content } => content,
        };
        let known = tokens.into_iter().filter_map(|(name, token)| Some((name, token?)));
        known.map(|(name, token)| (name.to_owned(), text(token))).collect()
    }
}
