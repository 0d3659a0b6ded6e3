//! How large a model is and how much of it was trained.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use nextcart_models::LlamaConfig;
use serde::Deserialize;

use crate::error::{Error, Result};

/// Parameters of a decoder of this shape, a shared head counted once.
pub(super) fn parameters(config: &LlamaConfig) -> u64 {
    let LlamaConfig { d_model, d_hidden, layers, vocab, .. } = *config;
    let (queries, keys) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let projections = 2 * d_model * queries + 2 * d_model * keys;
    let biases = if config.attention_bias { queries + 2 * keys + d_model } else { 0 };
    let block = projections + biases + 3 * d_model * d_hidden + 2 * d_model;
    let embeddings = if config.tie_word_embeddings { 1 } else { 2 };
    (embeddings * vocab * d_model + layers * block + d_model) as u64
}

/// Shape of a tensor, as the header of a safetensors file states it.
#[derive(Deserialize)]
struct Entry {
    shape: Vec<u64>,
}

/// Numbers in a safetensors file, by its header alone: eight bytes of length, then that much JSON.
pub(super) fn stored_numbers(path: &Path) -> Result<u64> {
    let io = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io)?;
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).map_err(io)?;
    let json = |source| Error::ReadJson { path: path.to_owned(), source };
    let mut entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(json)?;
    entries.remove("__metadata__");
    let sizes = entries.into_values().map(|entry| -> Result<u64> {
        let Entry { shape } = serde_json::from_value(entry).map_err(json)?;
        Ok(shape.iter().product::<u64>())
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;
    use burn::tensor::Device;
    use nextcart_models::save_checkpoint;

    use super::*;

    #[test]
    fn both_count_what_a_model_has() {
        let tied = LlamaConfig { layers: 2, ..LlamaConfig::tiny(64) };
        let untied = LlamaConfig { tie_word_embeddings: false, ..tied.clone() };
        let biased = LlamaConfig { attention_bias: true, ..tied.clone() };
        for config in [tied, untied, biased] {
            let model = config.init(1, &Device::default());
            assert_eq!(parameters(&config), model.num_params() as u64, "{config:?}");
            let folder = tempfile::tempdir().unwrap();
            save_checkpoint(folder.path(), &model, &config, None).unwrap();
            let stored = stored_numbers(&folder.path().join("model.safetensors")).unwrap();
            assert_eq!(stored, parameters(&config));
        }
    }

    #[test]
    fn known_models_have_their_known_sizes() {
        // Hugging Face's model cards.
        assert_eq!(parameters(&LlamaConfig::smollm2_135m()), 134_515_008);
        assert_eq!(parameters(&LlamaConfig::tinyllama_1_1b()), 1_100_048_384);
        assert_eq!(parameters(&LlamaConfig::mistral_7b_v0_1()), 7_241_732_096);
    }

    #[test]
    fn a_file_that_is_no_safetensors_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter_model.safetensors");
        for bytes in
            [&b"short"[..], b"\x02\0\0\0\0\0\0\0[]", b"\xff\xff\xff\xff\xff\xff\xff\xff{}x"]
        {
            std::fs::write(&path, bytes).unwrap();
            let error = stored_numbers(&path).unwrap_err().to_string();
            assert!(error.contains("adapter_model.safetensors"), "{error}");
        }
    }
}
