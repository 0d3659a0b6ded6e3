//! What the samples of a run are made of.

use std::path::{Path, PathBuf};

use nextcart_models::Checkpoint;
use nextcart_prompt::{ChatTemplate, Layout, Template, Wrapper};
use nextcart_text::{SampleBuilder, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::config::wrong;
use crate::error::{Error, Result};

/// The wrapper that stands for a checkpoint's own chat template.
const CHAT: &str = "chat";

/// Prepared questions and how they are asked. The caller reads the questions, of whatever kind they are, cuts their
/// histories to [`history`](Self::history) and their number to the others, and a [`builder`](Self::builder) makes
/// samples of them: this crate reads `folder/manifest.json` alone, for the record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Folder with `manifest.json` and the prepared tables (default `data`).
    pub folder: PathBuf,
    /// Name of a built-in template, or path of one (default `options_first`).
    pub template: String,
    /// What stands around a prompt: `plain` (default), `alpaca`, `seed`, or `chat` for the template beside the model.
    pub wrapper: String,
    /// Latest purchases of a history that the caller keeps (default none, that is all of them).
    pub history: Option<usize>,
    /// Most tokens in a sample (default none, that is as many as the model was made for).
    pub max_tokens: Option<usize>,
    /// Questions of the validation part that are held out for evaluations, at most (default 200).
    pub held_out: usize,
    /// Those of them that the model is asked as well at every evaluation, no more than [`held_out`](Self::held_out)
    /// (default 0).
    pub asked: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            folder: "data".into(),
            template: "options_first".to_owned(),
            wrapper: "plain".to_owned(),
            history: None,
            max_tokens: None,
            held_out: 200,
            asked: 0,
        }
    }
}

impl DataConfig {
    /// The template: from a file if there is one of this name.
    ///
    /// # Errors
    /// [`Error::Prompt`] if there is none, or it does not parse.
    pub fn template(&self) -> Result<Template> {
        let template = match Path::new(&self.template).is_file() {
            true => Template::from_file(&self.template),
            false => Template::builtin(&self.template),
        };
        template.map_err(|source| Error::Prompt { field: "data.template", source })
    }

    /// What stands around a prompt, for a model in this folder.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is none; [`Error::Prompt`] if the folder has no chat template, or one that
    /// does not parse.
    pub fn layout(&self, model: &Path) -> Result<Layout> {
        if self.wrapper == CHAT {
            let chat = ChatTemplate::from_folder(model);
            return chat
                .map(Layout::from)
                .map_err(|source| Error::Prompt { field: "data.wrapper", source });
        }
        let wrapper: Result<Wrapper, _> = serde_json::from_value(self.wrapper.as_str().into());
        wrapper.map(Layout::from).map_err(|_| {
            let expected = "`plain`, `alpaca`, `seed` or `chat`";
            wrong("data", "wrapper", expected, &self.wrapper)
        })
    }

    /// Makes samples of questions as a model takes them.
    ///
    /// # Errors
    /// Those of [`layout`](Self::layout).
    pub fn builder<'a>(
        &self,
        model: &Checkpoint,
        tokenizer: &'a Tokenizer,
        template: &'a Template,
    ) -> Result<SampleBuilder<'a>> {
        let max_tokens = self.max_tokens.unwrap_or(model.config().max_position_embeddings);
        let layout = self.layout(model.folder())?;
        Ok(SampleBuilder::new(tokenizer, template, layout).with_max_tokens(max_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_and_wrapper_are_found_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.jinja");
        std::fs::write(&file, "Mine.\n--- instruction\nWhat next?\n--- input\n--- output\nTea")
            .unwrap();
        let of = |template: &str, wrapper: &str| DataConfig {
            template: template.to_owned(),
            wrapper: wrapper.to_owned(),
            ..DataConfig::default()
        };
        assert_eq!(of("seed", "seed").template().unwrap().name(), "seed");
        assert_eq!(of(file.to_str().unwrap(), "plain").template().unwrap().about(), "Mine.");
        let found = of("sed", "plain").template();
        assert!(matches!(found, Err(Error::Prompt { field: "data.template", .. })));

        for (name, wrapper) in
            [("plain", Wrapper::Plain), ("alpaca", Wrapper::Alpaca), ("seed", Wrapper::Seed)]
        {
            let found = of("seed", name).layout(folder.path());
            assert!(matches!(found, Ok(Layout::Wrapper(found)) if found == wrapper), "{name}");
        }
        let found = of("seed", "chat").layout(folder.path());
        assert!(matches!(found, Err(Error::Prompt { field: "data.wrapper", .. })));
        let found = of("seed", "sed").layout(folder.path());
        assert!(matches!(found, Err(Error::Config { section: "data", field: "wrapper", .. })));
    }
}
