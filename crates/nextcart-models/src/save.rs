//! Checkpoints and adapters to disk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use nextcart_adapters::{LoraConfig, MergeOnto, Projection, save_peft};
use nextcart_text::Tokenizer;
use safetensors::{Dtype, SafeTensorError, View};
use tempfile::NamedTempFile;

use crate::checkpoint::{CONFIG, INDEX, TOKENIZER, WEIGHTS};
use crate::config::{Architecture, LlamaConfig};
use crate::error::{Error, Result};
use crate::llama::Llama;
use crate::merge::{MERGE_RECORD, MergeRecord, MergeTarget};
use crate::names::{EMBEDDING, HEAD, INPUT_NORM, NORM, POST_NORM, projection_path};
use crate::precision::Precision;

/// How a checkpoint is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveOptions {
    /// Number format of the weights (default f32).
    pub format: Precision,
    /// Bytes of weights in a file, at most, unless a single tensor is larger (default 5 GB, as in
    /// transformers). Beyond, there are several files and an index.
    pub max_shard_bytes: usize,
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self { format: Precision::F32, max_shard_bytes: 5_000_000_000 }
    }
}

/// Writes a model as a checkpoint that transformers and [`Checkpoint`](crate::Checkpoint) read: weights
/// in f32, `config.json` and, where given, the [files](Tokenizer::files) of the tokenizer, chat template included.
///
/// Adapters and biases that were trained with them are not part of it: [merge](Llama::merge_and_unload) them first, of
/// which [`MergeRecord`](crate::MergeRecord) tells in the folder, or [save](save_adapter) them beside.
/// Packed weights are written unpacked. A checkpoint that was there before is removed first. Each
/// file is written under another name, the config last: a folder with a config is whole.
///
/// # Errors
/// If a file cannot be written.
pub fn save_checkpoint(
    folder: impl AsRef<Path>,
    model: &Llama,
    config: &LlamaConfig,
    tokenizer: Option<&Tokenizer>,
) -> Result<()> {
    save_checkpoint_with(folder, model, config, tokenizer, &SaveOptions::default())
}

/// As [`save_checkpoint`], in another number format or in files of another size.
///
/// # Errors
/// If a file cannot be written.
pub fn save_checkpoint_with(
    folder: impl AsRef<Path>,
    model: &Llama,
    config: &LlamaConfig,
    tokenizer: Option<&Tokenizer>,
    options: &SaveOptions,
) -> Result<()> {
    let tensors = tensors(model, options.format, Source::Projection);
    write_checkpoint(folder.as_ref(), tensors, config, tokenizer, &model.merge_records(), options)
}

/// Writes a model with the adapters in use folded into the weights that they were trained beside, as
/// [`merge_and_unload`](Llama::merge_and_unload) of [`MergeTarget::Own`] and then [`save_checkpoint_with`] would, but
/// with one merged weight in memory at a time: a model in NF4 need not have room for itself unpacked.
///
/// # Errors
/// If a file cannot be written.
pub fn save_merged_checkpoint(
    folder: impl AsRef<Path>,
    model: &Llama,
    config: &LlamaConfig,
    tokenizer: Option<&Tokenizer>,
    options: &SaveOptions,
) -> Result<()> {
    let tensors = tensors(model, options.format, Source::Merged);
    let records = model.records_with(MergeTarget::Own);
    write_checkpoint(folder.as_ref(), tensors, config, tokenizer, &records, options)
}

/// Writes tensors, each computed when its turn comes, with their config.
pub(crate) fn write_checkpoint<V: View>(
    folder: &Path,
    tensors: Vec<(String, V)>,
    config: &LlamaConfig,
    tokenizer: Option<&Tokenizer>,
    merges: &[MergeRecord],
    options: &SaveOptions,
) -> Result<()> {
    check_config(folder, config)?;
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::Io { path: folder.to_owned(), source })?;
    remove_checkpoint(folder, tokenizer)?;
    if let Some(tokenizer) = tokenizer {
        for (name, bytes) in tokenizer.files()? {
            write(&folder.join(name), &bytes)?;
        }
    }

    let shards = shards(tensors, options.max_shard_bytes);
    let count = shards.len();
    let mut places = serde_json::Map::new();
    let mut total = 0;
    for (number, shard) in shards.into_iter().enumerate() {
        let name = match count {
            1 => WEIGHTS.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        for (tensor, lazy) in &shard {
            places.insert(tensor.clone(), name.clone().into());
            total += lazy.data_len();
        }
        write_weights(&folder.join(name), shard)?;
    }
    if count > 1 {
        let index =
            serde_json::json!({ "metadata": { "total_size": total }, "weight_map": places });
        write(&folder.join(INDEX), format!("{index:#}\n").as_bytes())?;
    }
    if !merges.is_empty() {
        let json = serde_json::to_string_pretty(merges).expect("plain fields");
        write(&folder.join(MERGE_RECORD), format!("{json}\n").as_bytes())?;
    }
    let mut json = config.to_json();
    json["torch_dtype"] = options.format.name().into();
    write(&folder.join(CONFIG), format!("{json:#}\n").as_bytes())
}

/// Removes config, weights and tokenizer that lie in a folder, the config first: where one stands, the weights are
/// its own. What lies beside a tokenizer stays unless the new one brings its own.
fn remove_checkpoint(folder: &Path, tokenizer: Option<&Tokenizer>) -> Result<()> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let own = [CONFIG, INDEX, WEIGHTS, TOKENIZER, MERGE_RECORD].into_iter();
    let beside = tokenizer.into_iter().flat_map(Tokenizer::file_names);
    let mut old: Vec<PathBuf> = own.chain(beside).map(|name| folder.join(name)).collect();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let name = entry.map_err(io(folder))?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("model-") && name.ends_with(".safetensors") && name.contains("-of-") {
            old.push(folder.join(&*name));
        }
    }
    for path in old {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What `config.json` has no place for would be lost.
fn check_config(folder: &Path, config: &LlamaConfig) -> Result<()> {
    let refused = |field, expected: &str, found: String| {
        let (path, expected) = (folder.join(CONFIG), expected.to_owned());
        Err(Error::Config { path, field, expected, found })
    };
    match config.architecture {
        Architecture::Llama if config.sliding_window.is_some() => {
            refused("sliding_window", "none in a Llama", format!("{:?}", config.sliding_window))
        }
        Architecture::Mistral if config.attention_bias => {
            refused("attention_bias", "false in a Mistral", "true".to_owned())
        }
        _ => Ok(()),
    }
}

/// Divides tensors, in their order, into files of at most so many bytes.
fn shards<V: View>(tensors: Vec<(String, V)>, most: usize) -> Vec<Vec<(String, V)>> {
    let mut shards: Vec<Vec<(String, V)>> = vec![Vec::new()];
    let mut bytes = 0;
    for (name, tensor) in tensors {
        let size = tensor.data_len();
        if bytes > 0 && bytes + size > most {
            shards.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        shards.last_mut().expect("at least one").push((name, tensor));
    }
    shards
}

fn write_weights<V: View>(path: &Path, tensors: Vec<(String, V)>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary =
        temporary_in(folder).map_err(|source| Error::Io { path: folder.to_owned(), source })?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), temporary.path()).map_err(
        |source| match source {
            SafeTensorError::IoError(source) => Error::Io { path: path.into(), source },
            source => Error::Layout { path: path.into(), source },
        },
    )?;
    persist(temporary, path)
}

/// Writes the adapters of a model as PEFT reads them; `base` is the name or path of the model that
/// they belong to.
///
/// # Errors
/// If the config does not name the modules that have an adapter, or a file cannot be written.
pub fn save_adapter(
    folder: impl AsRef<Path>,
    model: &Llama,
    config: &LoraConfig,
    base: &str,
) -> Result<()> {
    Ok(save_peft(folder.as_ref(), base, config, &model.projections())?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut file = temporary_in(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    persist(file, path)
}

fn temporary_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; a checkpoint is to be read like any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    builder.tempfile_in(folder)
}

fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    // Through the name: whoever wrote the file may have put another in its place, which only its owner can read.
    let permissions = file.as_file().metadata().map_err(io)?.permissions();
    std::fs::set_permissions(file.path(), permissions).map_err(io)?;
    File::open(file.path()).and_then(|file| file.sync_all()).map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// The tensors under their names in a checkpoint; each is unpacked and comes to the host only while it is
/// written.
fn tensors<'a>(
    model: &'a Llama,
    format: Precision,
    projected: impl Fn(&'a Projection) -> Source<'a>,
) -> Vec<(String, Lazy<'a>)> {
    let embedding = Source::Matrix(model.embed_tokens.val());
    let mut all = vec![(EMBEDDING.to_owned(), Lazy::new(embedding, format))];
    for (layer, block) in model.layers.iter().enumerate() {
        for (name, norm) in
            [(INPUT_NORM, &block.input_layernorm), (POST_NORM, &block.post_attention_layernorm)]
        {
            all.push((
                projection_path(layer, name),
                Lazy::new(Source::Vector(norm.gamma.val()), format),
            ));
        }
    }
    let is_merged = model.projections().iter().any(|(_, projection)| projection.is_merged());
    for (path, projection) in model.projections() {
        let weight = projected(projection);
        // Biases that were trained with adapters are in the checkpoint where the adapters are.
        let bias = match weight {
            Source::Projection(_) if !is_merged => projection.base().bias(),
            _ => projection.bias(),
        };
        if let Some(bias) = bias {
            all.push((format!("{path}.bias"), Lazy::new(Source::Vector(bias), format)));
        }
        all.push((format!("{path}.weight"), Lazy::new(weight, format)));
    }
    all.push((NORM.to_owned(), Lazy::new(Source::Vector(model.norm.gamma.val()), format)));
    if let Some(head) = &model.lm_head {
        all.push((HEAD.to_owned(), Lazy::new(Source::Projection(head), format)));
    }
    all
}

struct Lazy<'a> {
    shape: Vec<usize>,
    source: Source<'a>,
    format: Precision,
}

enum Source<'a> {
    Matrix(Tensor<2>),
    Vector(Tensor<1>),
    Projection(&'a Projection),
    /// With its adapter folded in.
    Merged(&'a Projection),
}

impl<'a> Lazy<'a> {
    fn new(source: Source<'a>, format: Precision) -> Self {
        Self { shape: source.dims(), source, format }
    }

    fn values(&self) -> Vec<f32> {
        let data = match &self.source {
            Source::Matrix(tensor) => tensor.clone().into_data(),
            Source::Vector(tensor) => tensor.clone().into_data(),
            Source::Projection(projection) => projection.weight().into_data(),
            Source::Merged(projection) => {
                let merged = (*projection).clone().merge_and_unload(MergeOnto::Own);
                merged.expect("its own weight fits").weight().into_data()
            }
        };
        data.iter::<f32>().collect()
    }
}

impl Source<'_> {
    fn dims(&self) -> Vec<usize> {
        match self {
            Self::Matrix(tensor) => tensor.dims().to_vec(),
            Self::Vector(tensor) => tensor.dims().to_vec(),
            Self::Projection(projection) | Self::Merged(projection) => {
                vec![projection.d_output(), projection.d_input()]
            }
        }
    }
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        self.format.stored()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        self.format.encode(self.values().into_iter(), &mut bytes);
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.format.size() * self.shape.iter().product::<usize>()
    }
}
