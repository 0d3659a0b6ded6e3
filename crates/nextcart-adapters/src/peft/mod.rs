//! Adapters on disk, as PEFT writes and reads them.

mod header;
mod load;
mod save;

pub use load::{AdapterWeights, PeftAdapter, TrainedBias, load_peft};
pub use save::save_peft;

/// Name of the configuration in an adapter's folder.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Name of the tensors in an adapter's folder.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// What PEFT puts before a module's path.
const PREFIX: &str = "base_model.model.";

const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";
const MAGNITUDE: &str = ".lora_magnitude_vector";
const BIAS: &str = ".bias";

/// What PEFT puts after the path of a module that has an adapter, before the names of the module's own tensors.
const WRAPPED: &str = ".base_layer";
