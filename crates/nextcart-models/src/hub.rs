//! Models from the Hugging Face hub.

use std::path::PathBuf;

use hf_hub::{HFClientSync, HFError, split_id};

use crate::error::{Error, Result};

/// The files of a repository that a checkpoint needs; pickled and second copies of the weights are left out.
const FILES: [&str; 3] = ["*.json", "model*.safetensors", "*.jinja"];

/// Fetches the model `owner/name` into the cache that Python's libraries share (`HF_HOME`), and
/// returns its folder there. What the cache holds already is not fetched again; without a network,
/// the cached revision serves.
///
/// # Errors
/// If the hub cannot give the model and the cache does not hold it.
pub fn download(id: &str) -> Result<PathBuf> {
    let failed = |source| Error::Hub { id: id.to_owned(), source: Box::new(source) };
    let (owner, name) = split_id(id);
    let repository = HFClientSync::new().map_err(failed)?.model(owner, name);
    let patterns = || FILES.map(str::to_owned).to_vec();

    tracing::info!(model = id, "fetching from the hub");
    let fetched = repository.snapshot_download().allow_patterns(patterns()).send();
    fetched.or_else(|error: HFError| {
        let cached =
            repository.snapshot_download().allow_patterns(patterns()).local_files_only(true).send();
        cached.map_err(|_| failed(error))
    })
}
