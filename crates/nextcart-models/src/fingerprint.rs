//! What tells a checkpoint from others of its shape.

use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::error::Result;

/// Bytes of every tensor that are looked at.
const LOOK: usize = 64;

impl Checkpoint {
    /// A SHA-256 in hex of the configuration and of every tensor's name, format, shape and first 64 bytes.
    ///
    /// The same model gives the same wherever it lies, and one that was trained on another: results that are kept
    /// under it are not taken for those of another model. It reads some kilobytes and so is no checksum of the weights.
    ///
    /// # Errors
    /// If a file cannot be read, and those of [`open`](Self::open) if the checkpoint was opened without its weights.
    pub fn fingerprint(&self) -> Result<String> {
        if self.files().is_empty() {
            return Self::open(self.folder())?.fingerprint();
        }
        let mut hash = Sha256::new();
        hash.update(self.config().to_json().to_string());
        for (name, file) in self.tensors() {
            let info = file.info(name).expect("a tensor of this file");
            hash.update(format!("\n{name} {:?} {:?} ", info.dtype, info.shape));
            hash.update(file.read_start(name, LOOK)?);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{LlamaConfig, save_checkpoint};

    #[test]
    fn a_model_is_known_wherever_it_lies_and_not_taken_for_another() {
        let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(32) };
        let of = |seed| {
            let folder = tempfile::tempdir().unwrap();
            let model = llama.init(seed, &Device::flex());
            save_checkpoint(folder.path(), &model, &llama, None).unwrap();
            let whole = Checkpoint::open(folder.path()).unwrap().fingerprint().unwrap();
            let bare = Checkpoint::open_without_weights(folder.path()).unwrap();
            assert_eq!(bare.fingerprint().unwrap(), whole);
            whole
        };
        assert_eq!(of(3).len(), 64);
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }
}
