//! Checkpoints and adapters to disk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use burn::tensor::Tensor;
use nextcart_adapters::{LoraConfig, save_peft};
use nextcart_text::Tokenizer;
use safetensors::{Dtype, View};
use tempfile::NamedTempFile;

use crate::config::LlamaConfig;
use crate::error::{Error, Result};
use crate::llama::Llama;
use crate::names::{EMBEDDING, HEAD, INPUT_NORM, NORM, POST_NORM, projection_path};

/// Writes a model in Hugging Face layout to the folder, made if it is missing: `model.safetensors`
/// (f32), `config.json` and, where given, `tokenizer.json`.
///
/// Adapters are not part of it: [merge](Llama::merged) them first or [save](save_adapter) them
/// beside. Packed weights are written unpacked. Each file is written under another name first, the
/// config last.
///
/// # Errors
/// If a file cannot be written.
pub fn save_checkpoint(
    folder: impl AsRef<Path>,
    model: &Llama,
    config: &LlamaConfig,
    tokenizer: Option<&Tokenizer>,
) -> Result<()> {
    let folder = folder.as_ref();
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;

    // Where a config stands, the weights are its own.
    let config_file = folder.join("config.json");
    match std::fs::remove_file(&config_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io(&config_file)(error));
        }
        _ => {}
    }
    let path = folder.join("model.safetensors");
    let temporary = NamedTempFile::new_in(folder).map_err(io(folder))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors(model), Some(metadata), temporary.path())
        .map_err(|source| Error::Safetensors { path: path.clone(), reason: source.to_string() })?;
    persist(temporary, &path)?;

    if let Some(tokenizer) = tokenizer {
        write(&folder.join("tokenizer.json"), tokenizer.to_json()?.as_bytes())?;
    }
    write(&config_file, format!("{:#}\n", config.to_json()).as_bytes())
}

/// Writes the adapters of a model as PEFT reads them; `base` is the name or path of the model that
/// they belong to.
///
/// # Errors
/// If a file cannot be written.
pub fn save_adapter(
    folder: impl AsRef<Path>,
    model: &Llama,
    config: &LoraConfig,
    base: &str,
) -> Result<()> {
    let projections = model.projections();
    let adapters: Vec<_> = projections
        .iter()
        .filter_map(|(path, projection)| Some((path.as_str(), projection.adapter()?)))
        .collect();
    Ok(save_peft(folder.as_ref(), base, config, &adapters)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    persist(file, path)
}

fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    // Temporary files are private by default; a checkpoint is to be read like any other new file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(permissions).map_err(io)?;
    }
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// The tensors under their names in a checkpoint, packed ones unpacked; each comes to the host only
/// while it is written.
fn tensors(model: &Llama) -> Vec<(String, Lazy)> {
    let mut all = vec![(EMBEDDING.to_owned(), Lazy::matrix(model.embed_tokens.val()))];
    for (layer, block) in model.layers.iter().enumerate() {
        for (name, norm) in
            [(INPUT_NORM, &block.input_layernorm), (POST_NORM, &block.post_attention_layernorm)]
        {
            all.push((projection_path(layer, name), Lazy::vector(norm.gamma.val())));
        }
    }
    for (path, projection) in model.projections() {
        all.push((format!("{path}.weight"), Lazy::matrix(projection.weight())));
    }
    all.push((NORM.to_owned(), Lazy::vector(model.norm.gamma.val())));
    if let Some(head) = &model.lm_head {
        all.push((HEAD.to_owned(), Lazy::matrix(head.weight())));
    }
    all
}

struct Lazy {
    shape: Vec<usize>,
    tensor: Tensor<1>,
}

impl Lazy {
    fn matrix(tensor: Tensor<2>) -> Self {
        let [rows, columns] = tensor.dims();
        Self { shape: vec![rows, columns], tensor: tensor.reshape([rows * columns]) }
    }

    fn vector(tensor: Tensor<1>) -> Self {
        Self { shape: tensor.dims().to_vec(), tensor }
    }
}

impl View for Lazy {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values: Vec<f32> = self.tensor.clone().into_data().iter::<f32>().collect();
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}
