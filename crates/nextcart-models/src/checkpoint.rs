//! A checkpoint folder in Hugging Face layout.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use burn::tensor::{Device, Element, Tensor, TensorData, bf16, f16};
use nextcart_adapters::Projection;
use nextcart_adapters::nf4::{Nf4Packer, Nf4Weight};
use nextcart_text::Tokenizer;
use serde_json::Value;

use crate::assemble::{TensorSource, assemble};
use crate::config::LlamaConfig;
use crate::error::{Error, Result, TensorMismatch};
use crate::hub::HubModel;
use crate::llama::Llama;
use crate::merge::{MERGE_RECORD, MergeRecord};
use crate::names::{self, HEAD};
use crate::packed;
use crate::precision::Precision;
use crate::safetensors_file::SafetensorsFile;

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
    files: Vec<SafetensorsFile>,
    places: BTreeMap<String, usize>, // tensor to the index of its file
}

impl Checkpoint {
    /// Opens a folder with `config.json` and `model.safetensors`, whole or in shards with
    /// `model.safetensors.index.json`.
    ///
    /// # Errors
    /// If a file is missing or damaged, the config asks for what this crate cannot compute exactly,
    /// or the tensors are not those that the config describes: all of them are named at once.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let mut checkpoint = Self::open_without_weights(folder)?;
        let paths = weight_files(&checkpoint.folder)?;
        let files: Result<_> = paths.iter().map(|path| SafetensorsFile::open(path)).collect();
        checkpoint.files = files?;
        for (index, file) in checkpoint.files.iter().enumerate() {
            checkpoint.places.extend(file.names().into_iter().map(|name| (name, index)));
        }
        checkpoint.check_tensors()?;
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
        let config = folder.join(CONFIG);
        if !config.is_file() {
            return Err(missing(folder, CONFIG));
        }
        let config = LlamaConfig::from_file(&config)?;
        let (files, places) = (Vec::new(), BTreeMap::new());
        Ok(Self { folder: folder.to_owned(), config, files, places })
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

    /// The tokenizer beside the weights.
    ///
    /// # Errors
    /// If `tokenizer.json` is missing or damaged, or knows more tokens than the model embeds.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let path = self.folder.join(TOKENIZER);
        if !path.is_file() {
            return Err(missing(&self.folder, TOKENIZER));
        }
        let tokenizer = Tokenizer::from_file(&path, self.config.eos_token_ids.first().copied())?;
        let (expected, found) = (self.config.vocab, tokenizer.vocab());
        if found > expected {
            return Err(Error::VocabularyTooLarge { path, expected, found });
        }
        Ok(tokenizer)
    }

    /// Reads the weights into f32 on the device, one tensor at a time, all of them frozen.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn load(&self, device: &Device) -> Result<Llama> {
        self.load_with(device, LoadOptions::default())
    }

    /// As [`load`](Self::load), with the projections inside the blocks packed to NF4 while they are
    /// read: no more than one of them is ever there in f32.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn load_quantized(&self, device: &Device) -> Result<Llama> {
        self.load_with(device, LoadOptions { quantized: true, ..LoadOptions::default() })
    }

    /// As [`load`](Self::load), with a choice of how weights and activations are held.
    ///
    /// Tensors are read one by one and in pieces, so that memory never holds much more than the model.
    ///
    /// # Errors
    /// If a file cannot be read, and those of [`open`](Self::open) for the weights if it was opened without them.
    pub fn load_with(&self, device: &Device, options: LoadOptions) -> Result<Llama> {
        if self.files.is_empty() {
            return Self::open(&self.folder)?.load_with(device, options);
        }
        let mut reader = Reader { checkpoint: self, device, options };
        let mut model = assemble(&self.config, &mut reader, device)?;
        let LoadOptions { weights, activations, .. } = options;
        model.activations = (weights != activations).then(|| activations.dtype());
        model.merges = self.merge_records()?;
        Ok(model)
    }

    /// Reads the weight `[d_output, d_input]` of the projection at this module path, such as
    /// `model.layers.0.self_attn.q_proj`, into f32.
    ///
    /// # Errors
    /// [`Error::AdapterModule`] if the model has no such projection inside a block, [`Error::PackedOriginal`] if
    /// its weight is stored packed, and if the file cannot be read.
    pub fn projection_weight(&self, path: &str, device: &Device) -> Result<Tensor<2>> {
        let name = format!("{path}.weight");
        let tensors = names::tensors(&self.config);
        let shape = tensors.iter().find(|(tensor, _)| *tensor == name).map(|(_, shape)| &shape[..]);
        let (Some(&[d_output, d_input]), true) = (shape, name.starts_with("model.layers.")) else {
            return Err(Error::AdapterModule { module: path.to_owned() });
        };
        if self.files.is_empty() {
            return Self::open(&self.folder)?.projection_weight(path, device);
        }
        if packed::is_packed(&name, &|name| self.file(name)) {
            return Err(Error::PackedOriginal { path: self.folder.clone(), tensor: name });
        }
        let reader = Reader { checkpoint: self, device, options: LoadOptions::default() };
        reader.tensor(&name, [d_output, d_input], Precision::F32)
    }

    /// What the weights were merged of, if they were.
    fn merge_records(&self) -> Result<Vec<MergeRecord>> {
        let path = self.folder.join(MERGE_RECORD);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|source| Error::Json { path, source }),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// The files with the weights; empty if it was opened without them.
    pub(crate) fn files(&self) -> &[SafetensorsFile] {
        &self.files
    }

    /// Every tensor's name, in order, and its file.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&str, &SafetensorsFile)> {
        self.places.iter().map(|(name, place)| (name.as_str(), &self.files[*place]))
    }

    fn file(&self, tensor: &str) -> Option<&SafetensorsFile> {
        self.places.get(tensor).map(|place| &self.files[*place])
    }

    /// Compares the tensors in the files with those that the config describes.
    fn check_tensors(&self) -> Result<()> {
        let expected: BTreeMap<_, _> = names::tensors(&self.config).into_iter().collect();
        let mut problems = Vec::new();
        for (name, shape) in &expected {
            // Projections inside the blocks may be stored packed.
            let projection = name.starts_with("model.layers.") && shape.len() == 2;
            if projection && packed::is_packed(name, &|name| self.file(name)) {
                packed::check(name, shape, &|name| self.file(name), &mut problems);
                continue;
            }
            let Some(&place) = self.places.get(name) else {
                problems.push(TensorMismatch::Missing { name: name.clone() });
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
        for name in self.places.keys().filter(|name| !expected.contains_key(*name)) {
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

/// The file with the weights, or those that the index names, each once.
pub(crate) fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let whole = folder.join(WEIGHTS);
    if whole.is_file() {
        return Ok(vec![whole]);
    }
    let path = folder.join(INDEX);
    if !path.is_file() {
        return Err(missing(folder, "model.safetensors or model.safetensors.index.json"));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|source| Error::Io { path: path.clone(), source })?;
    let index: Value =
        serde_json::from_str(&text).map_err(|source| Error::Json { path: path.clone(), source })?;
    let wrong = |expected: &str, found: &Value| Error::Config {
        path: path.clone(),
        field: "weight_map",
        expected: expected.to_owned(),
        found: found.to_string(),
    };

    let map = &index["weight_map"];
    let map = map.as_object().ok_or_else(|| wrong("an object of tensor and file names", map))?;
    let mut files = Vec::new();
    for file in map.values() {
        // A name alone: an index must not lead out of its folder.
        let name = file.as_str().map(Path::new);
        let name = name.filter(|name| {
            let mut parts = name.components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        });
        let file = folder.join(name.ok_or_else(|| wrong("the name of a file beside it", file))?);
        if !files.contains(&file) {
            files.push(file);
        }
    }
    Ok(files)
}

/// How a model is held in memory.
///
/// Gains of norms and biases of projections are always in f32; so are adapters, and what norms, softmax and loss
/// compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Format of weights (default f32). On the CPU, narrower ones are widened for the length of a product, a tile
    /// at a time, so that a checkpoint in bf16 takes half the memory and computes the same as in f32.
    pub weights: Precision,
    /// Format in which blocks compute and pass on their results (default f32). Anything else is for GPUs, and f16 not
    /// for training: small gradients vanish in it.
    pub activations: Precision,
    /// Whether the projections inside the blocks are packed to NF4 (default no). Those that bitsandbytes has packed
    /// already stay as they are, either way.
    pub quantized: bool,
}

/// Reads tensors in the order that [`assemble`] asks for them.
struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    device: &'a Device,
    options: LoadOptions,
}

impl Reader<'_> {
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        format: Precision,
    ) -> Result<Tensor<D>> {
        match format {
            Precision::F32 => self.tensor_of(name, shape, |value| value),
            Precision::Bf16 => self.tensor_of(name, shape, bf16::from_f32),
            Precision::F16 => self.tensor_of(name, shape, f16::from_f32),
        }
    }

    fn tensor_of<E: Element, const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        round: impl Fn(f32) -> E,
    ) -> Result<Tensor<D>> {
        let mut values = Vec::with_capacity(shape.iter().product());
        self.file(name).read(name, |stored, piece| {
            values.extend(stored.decode(piece).into_iter().map(&round));
        })?;
        Ok(Tensor::from_data(TensorData::new(values, shape), (self.device, E::dtype())))
    }

    fn packed(&self, name: &str, shape: [usize; 2]) -> Result<Nf4Weight> {
        let mut packer = Nf4Packer::new(shape);
        self.file(name).read(name, |stored, piece| packer.push(&stored.decode(piece)))?;
        Ok(packer.finish().map_err(|error| error.within(name))?)
    }

    fn file(&self, name: &str) -> &SafetensorsFile {
        self.checkpoint.file(name).expect("checked when the checkpoint was opened")
    }
}

impl TensorSource for Reader<'_> {
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>> {
        self.tensor(name, shape, self.options.weights)
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor<1>> {
        self.tensor(name, [length], Precision::F32)
    }

    fn projection(&mut self, path: &str, shape: [usize; 2], bias: bool) -> Result<Projection> {
        let (name, bias) = (format!("{path}.weight"), self.bias(path, shape, bias)?);
        let file_of = |name: &str| self.checkpoint.file(name);
        if packed::is_packed(&name, &file_of) {
            let weight = packed::read(&name, shape, &file_of)?;
            return Ok(Projection::nf4(&weight, bias, self.device));
        }
        if self.options.quantized {
            return Ok(Projection::nf4(&self.packed(&name, shape)?, bias, self.device));
        }
        Ok(Projection::dense(self.matrix(&name, shape)?, bias))
    }
}
