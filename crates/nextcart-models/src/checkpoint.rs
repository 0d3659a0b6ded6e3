//! A checkpoint folder in Hugging Face layout.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nextcart_text::Tokenizer;

use crate::config::{LlamaConfig, read_json};
use crate::error::{Error, Result, TensorMismatch};
use crate::hub::HubModel;
use crate::names::{self, HEAD};
use crate::packed;
use crate::precision::Precision;
use crate::safetensors_file::SafetensorsFile;
use crate::shards::Shards;

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";

/// A checkpoint whose config and tensor headers have been read and checked; the weights stay on
/// disk until [`load`](Self::load).
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    config: LlamaConfig,
    says_quantized: bool, // in config.json
    files: Vec<SafetensorsFile>,
    places: BTreeMap<String, usize>, // tensor to the index of its file
}

impl Checkpoint {
    /// Opens a folder with `config.json` and `model.safetensors`, whole or in shards with
    /// `model.safetensors.index.json`.
    ///
    /// # Errors
    /// If a file is missing or damaged, the config asks for what this crate cannot compute exactly,
    /// or the tensors are not those that the config describes or not where the index places them: all of them are named
    /// at once.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let mut checkpoint = Self::open_without_weights(folder)?;
        let Shards { files, index } = Shards::of(&checkpoint.folder)?;
        let files: Result<_> = files.iter().map(|path| SafetensorsFile::open(path)).collect();
        checkpoint.files = files?;
        let misplaced = checkpoint.place(index);
        checkpoint.check_tensors(&misplaced)?;
        Ok(checkpoint)
    }

    /// Opens a folder for its config, tokenizer and chat template, which are all that a plan takes. Weights are not
    /// looked for before they are read.
    ///
    /// # Errors
    /// If `config.json` is missing or damaged, or asks for what this crate cannot compute exactly.
    pub fn open_without_weights(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::read_dir(folder)
            .map_err(|source| Error::Io { path: folder.to_owned(), source })?;
        let path = folder.join(CONFIG);
        if !path.is_file() {
            return Err(missing(folder, CONFIG));
        }
        let json = read_json(&path)?;
        Ok(Self {
            folder: folder.to_owned(),
            config: LlamaConfig::from_json(&path, &json)?,
            says_quantized: json["quantization_config"]["load_in_4bit"] == true,
            files: Vec::new(),
            places: BTreeMap::new(),
        })
    }

    /// Opens the folder of this name, or else fetches the model of this id from the Hugging Face
    /// hub into the cache that Python's libraries share. [`HubModel`] has more choices: revision, token, offline,
    /// progress.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if there is no such folder and the hub cannot give the model.
    pub fn find(folder_or_id: &str) -> Result<Self> {
        match HubModel::named(folder_or_id) {
            None => Self::open(folder_or_id),
            Some(model) => Self::open(model.fetch()?),
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Shape and constants of the model.
    #[must_use]
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Whether projections inside the blocks are stored packed to 4 bits, as bitsandbytes does it: they stay so in the
    /// model, whatever the options of loading. The tensors tell or, if it was opened without the weights, `config.json`
    /// by `load_in_4bit` in its `quantization_config`.
    #[must_use]
    pub fn is_quantized(&self) -> bool {
        if self.files.is_empty() {
            return self.says_quantized;
        }
        let tensors = names::tensors(&self.config);
        tensors.iter().any(|(name, shape)| self.is_packed(name, shape))
    }

    /// The format of [`LoadOptions::weights`](crate::LoadOptions::weights) that neither rounds nor wastes: that of the
    /// matrices that are not packed where they share one, else f32; f32 too if it was opened without the weights.
    #[must_use]
    pub fn precision(&self) -> Precision {
        let tensors = names::tensors(&self.config);
        let is_plain = |(name, shape): &&(String, Vec<usize>)| {
            shape.len() == 2 && !self.is_packed(name, shape)
        };
        let plain = tensors.iter().filter(is_plain);
        let mut formats =
            plain.filter_map(|(name, _)| Precision::of(self.file(name)?.info(name)?.dtype));
        let first = formats.next().unwrap_or_default();
        if formats.all(|format| format == first) { first } else { Precision::F32 }
    }

    /// The tokenizer beside the weights, with what lies [beside it](Tokenizer::files).
    ///
    /// # Errors
    /// If `tokenizer.json` is missing or damaged, or knows more tokens than the model embeds, and if a file beside it cannot
    /// be read.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let path = self.folder.join(TOKENIZER);
        if !path.is_file() {
            return Err(missing(&self.folder, TOKENIZER));
        }
        let eos = self.config.eos_token_ids.first().copied();
        let tokenizer = Tokenizer::from_folder(&self.folder, eos)?;
        let (expected, found) = (self.config.vocab, tokenizer.vocab());
        if found > expected {
            return Err(Error::VocabularyTooLarge { path, expected, found });
        }
        Ok(tokenizer)
    }

    /// The files with the weights; empty if it was opened without them.
    pub(crate) fn files(&self) -> &[SafetensorsFile] {
        &self.files
    }

    /// Every tensor's name, in order, and its file.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&str, &SafetensorsFile)> {
        self.places.iter().map(|(name, place)| (name.as_str(), &self.files[*place]))
    }

    /// The file that holds this tensor.
    pub(crate) fn file(&self, tensor: &str) -> Option<&SafetensorsFile> {
        self.places.get(tensor).map(|place| &self.files[*place])
    }

    /// Whether a tensor is stored packed, as projections inside the blocks may be.
    fn is_packed(&self, name: &str, shape: &[usize]) -> bool {
        let is_projection = name.starts_with("model.layers.") && shape.len() == 2;
        is_projection && packed::is_packed(name, &|name| self.file(name))
    }

    /// Finds each tensor's file: the one that the index names, or else the last that holds it. Gives the tensors that
    /// their file lacks, which then have none, with the name of that file.
    fn place(&mut self, index: BTreeMap<String, usize>) -> BTreeMap<String, String> {
        for (place, file) in self.files.iter().enumerate() {
            self.places.extend(file.names().into_iter().map(|name| (name, place)));
        }
        let mut misplaced = BTreeMap::new();
        for (name, place) in index {
            let file = &self.files[place];
            if file.info(&name).is_some() {
                self.places.insert(name, place);
            } else {
                self.places.remove(&name);
                let shard = file.path().file_name().unwrap_or_default();
                misplaced.insert(name, shard.to_string_lossy().into_owned());
            }
        }
        misplaced
    }

    /// Compares the tensors in the files with those that the config describes; `misplaced` ones are not in the shard of
    /// this name.
    fn check_tensors(&self, misplaced: &BTreeMap<String, String>) -> Result<()> {
        let expected: BTreeMap<_, _> = names::tensors(&self.config).into_iter().collect();
        let mut problems = Vec::new();
        for (name, shape) in &expected {
            if self.is_packed(name, shape) {
                packed::check(name, shape, &|name| self.file(name), &mut problems);
                continue;
            }
            let Some(&place) = self.places.get(name) else {
                problems.push(TensorMismatch::Missing { name: name.clone(), shard: None });
                continue;
            };
            let info = self.files[place].info(name).expect("listed by its file");
            if info.shape != *shape {
                let (expected, found) = (shape.clone(), info.shape.clone());
                problems.push(TensorMismatch::Shape { name: name.clone(), expected, found });
            } else if Precision::of(info.dtype).is_none() {
                let found = format!("{:?}", info.dtype);
                problems.push(TensorMismatch::DType { name: name.clone(), found });
            }
        }
        for problem in &mut problems {
            if let TensorMismatch::Missing { name, shard } = problem {
                *shard = misplaced.get(name.as_str()).cloned();
            }
        }
        let stored: BTreeSet<String> = self.files.iter().flat_map(SafetensorsFile::names).collect();
        for name in stored.iter().filter(|name| !expected.contains_key(*name)) {
            let packed = packed::weight_of(name).is_some_and(|weight| {
                expected.contains_key(weight) && packed::is_packed(weight, &|name| self.file(name))
            });
            if !packed && !is_redundant(name, &self.config) {
                problems.push(TensorMismatch::Extra { name: name.clone() });
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::Tensors { path: self.folder.clone(), problems })
    }
}

/// What older checkpoints store although the config implies it: rotary frequencies, and a copy of
/// the embedding as head.
fn is_redundant(name: &str, config: &LlamaConfig) -> bool {
    name.ends_with(".rotary_emb.inv_freq") || (config.tie_word_embeddings && name == HEAD)
}

fn missing(folder: &Path, expected: &'static str) -> Error {
    Error::MissingFile { folder: folder.to_owned(), expected }
}
