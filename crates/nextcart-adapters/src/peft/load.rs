//! Reading an adapter.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::{A, ADAPTER_CONFIG, ADAPTER_WEIGHTS, B, BIAS, MAGNITUDE, PREFIX, WRAPPED, header};
use crate::config::{Bias, LoraConfig};
use crate::error::{Error, Result};
use crate::targets::TargetModules;

/// An adapter as it was read: its configuration and, for each module, its checked tensors.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PeftAdapter {
    /// The configuration.
    pub config: LoraConfig,
    /// Name or path of the model that the adapter was trained on.
    pub base_model: Option<String>,
    /// Tensors by the dotted path of their module, such as `model.layers.0.self_attn.q_proj`.
    pub modules: BTreeMap<String, AdapterWeights>,
    /// Trained biases by the dotted path of their module, which need not have an adapter.
    pub biases: BTreeMap<String, TrainedBias>,
}

/// A module's bias that was trained with the adapter, in f32 on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedBias(TensorData);

impl TrainedBias {
    /// The bias, of shape `[d_output]`, in f32.
    pub fn to_tensor(&self, device: &Device) -> Tensor<1> {
        Tensor::from_data(self.0.clone(), (device, DType::F32))
    }
}

/// The tensors of one module's adapter, in f32 on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterWeights {
    module: String,
    a: TensorData,
    b: TensorData,
    magnitude: Option<TensorData>,
}

impl AdapterWeights {
    /// Dotted path of the module.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Factor `A`, of shape `[rank, d_input]`, in f32.
    pub fn a(&self, device: &Device) -> Tensor<2> {
        Tensor::from_data(self.a.clone(), (device, DType::F32))
    }

    /// Factor `B`, of shape `[d_output, rank]`, in f32.
    pub fn b(&self, device: &Device) -> Tensor<2> {
        Tensor::from_data(self.b.clone(), (device, DType::F32))
    }

    /// DoRA's magnitude vector, of shape `[d_output]`, in f32.
    pub fn magnitude(&self, device: &Device) -> Option<Tensor<1>> {
        let magnitude = self.magnitude.clone();
        magnitude.map(|magnitude| Tensor::from_data(magnitude, (device, DType::F32)))
    }

    /// Length of an input of the module.
    pub fn d_input(&self) -> usize {
        self.a.shape()[1]
    }

    /// Length of an output of the module.
    pub fn d_output(&self) -> usize {
        self.b.shape()[0]
    }
}

/// Reads the adapter in the folder `dir`.
///
/// Tensors come as f32, whatever float type the file holds. Whether they fit a model is checked where
/// they are put into one, by [`Projection::load_adapter`](crate::Projection::load_adapter).
///
/// # Errors
/// [`Error::Read`] for a missing file, [`Error::Json`] and [`Error::Safetensors`] for one that is
/// broken, [`Error::Field`] for a configuration of another kind of adapter or one that asks for what
/// this crate does not do, [`Error::Tensor`] for tensors that are missing, unknown, not finite or of
/// a shape that contradicts the configuration or each other.
pub fn load_peft(dir: &Path) -> Result<PeftAdapter> {
    let path = dir.join(ADAPTER_CONFIG);
    let text =
        fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let header = header::from_json(&path, &text)?;

    let path = dir.join(ADAPTER_WEIGHTS);
    let bytes = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let (modules, biases) = Reader { path, config: &header.config }.modules(&bytes)?;

    let mut config = header.config;
    if !header.names_targets {
        config.target_modules = TargetModules::Names(modules.keys().cloned().collect());
    }
    Ok(PeftAdapter { config, base_model: header.base_model, modules, biases })
}

/// Ends of names that PEFT gives to an adapter's factors on an embedding.
const OF_EMBEDDINGS: [&str; 2] = [".lora_embedding_A", ".lora_embedding_B"];

/// Ends of names that PEFT gives to weights of the model.
const OWN_WEIGHTS: [&str; 3] = [".base_layer.weight", ".embed_tokens.weight", ".lm_head.weight"];

/// Tensors by module.
type Modules = (BTreeMap<String, AdapterWeights>, BTreeMap<String, TrainedBias>);

struct Reader<'a> {
    path: PathBuf,
    config: &'a LoraConfig,
}

/// The tensors of one module, as far as they have been met.
#[derive(Default)]
struct Found {
    a: Option<TensorData>,
    b: Option<TensorData>,
    magnitude: Option<TensorData>,
}

impl Reader<'_> {
    fn modules(&self, bytes: &[u8]) -> Result<Modules> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|source| Error::Safetensors { path: self.path.clone(), source })?;

        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        let mut biases = BTreeMap::new();
        for (name, view) in file.iter() {
            let unknown = || self.unknown(name);
            let path = name.strip_prefix(PREFIX).ok_or_else(unknown)?;
            // A part at a time, since each may claim the name.
            if let Some(module) = path.strip_suffix(A) {
                found.entry(module.into()).or_default().a = Some(self.data(name, &view, 2)?);
            } else if let Some(module) = path.strip_suffix(B) {
                found.entry(module.into()).or_default().b = Some(self.data(name, &view, 2)?);
            } else if let Some(module) = path.strip_suffix(MAGNITUDE) {
                let magnitude = self.data(name, &view, 1)?;
                found.entry(module.into()).or_default().magnitude = Some(magnitude);
            } else if let Some(module) = path.strip_suffix(BIAS)
                && self.config.bias != Bias::None
            {
                // That of a module with an adapter lies in what the adapter wraps.
                let module = module.strip_suffix(WRAPPED).unwrap_or(module);
                biases.insert(module.into(), TrainedBias(self.data(name, &view, 1)?));
            } else {
                return Err(unknown());
            }
        }
        if found.is_empty() {
            return Err(self.wrong(&format!("{PREFIX}MODULE{A}"), "at least one", "none"));
        }
        let modules = found
            .into_iter()
            .map(|(module, found)| Ok((module.clone(), self.check(&module, found)?)));
        Ok((modules.collect::<Result<_>>()?, biases))
    }

    /// Checks that the tensors of a module are complete and fit each other.
    fn check(&self, module: &str, found: Found) -> Result<AdapterWeights> {
        let name = |suffix| format!("{PREFIX}{module}{suffix}");
        let missing = |suffix| self.wrong(&name(suffix), "a tensor", "nothing");
        let a = found.a.ok_or_else(|| missing(A))?;
        let b = found.b.ok_or_else(|| missing(B))?;

        let rank = self.config.at(module).rank;
        let shapes = |suffix, expected: String, found: &TensorData| {
            self.wrong(&name(suffix), expected, format!("shape {:?}", found.shape().as_slice()))
        };
        if a.shape()[0] != rank {
            return Err(shapes(A, format!("{rank} rows (r)"), &a));
        }
        if b.shape()[1] != rank {
            return Err(shapes(B, format!("{rank} columns (r)"), &b));
        }
        match (&found.magnitude, self.config.use_dora) {
            (None, true) => return Err(missing(MAGNITUDE)),
            (Some(_), false) => {
                return Err(self.wrong(&name(MAGNITUDE), "nothing without use_dora", "a tensor"));
            }
            (Some(magnitude), true) if magnitude.shape()[0] != b.shape()[0] => {
                let expected = format!("{} values, as B has rows", b.shape()[0]);
                return Err(shapes(MAGNITUDE, expected, magnitude));
            }
            _ => {}
        }
        Ok(AdapterWeights { module: module.into(), a, b, magnitude: found.magnitude })
    }

    /// A tensor's values in f32, checked for their axes and for being finite.
    fn data(&self, name: &str, view: &TensorView, axes: usize) -> Result<TensorData> {
        let shape = view.shape().to_vec();
        if shape.len() != axes || shape.contains(&0) {
            let found = format!("shape {shape:?}");
            return Err(self.wrong(name, format!("{axes} axes, none of them empty"), found));
        }
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => numbers(view.data(), f32::from_le_bytes),
            Dtype::F16 => numbers(view.data(), |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => numbers(view.data(), |bytes| bf16::from_le_bytes(bytes).to_f32()),
            other => return Err(self.wrong(name, "F32, F16 or BF16", format!("{other:?}"))),
        };
        if let Some(i) = values.iter().position(|value| !value.is_finite()) {
            return Err(self.wrong(name, "finite values", format!("{} at {i}", values[i])));
        }
        Ok(TensorData::new(values, shape))
    }

    /// Refuses a tensor that belongs to no adapter of a linear layer. Beside adapters on embedding or head, PEFT saves
    /// their own weights.
    fn unknown(&self, name: &str) -> Error {
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends_with(&OF_EMBEDDINGS) {
            return self.wrong(name, "adapters of linear layers alone", "one of an embedding");
        }
        if ends_with(&OWN_WEIGHTS) {
            return self.wrong(name, "adapters alone", "a weight of the model");
        }
        let expected = format!("a name `{PREFIX}MODULE` + `{A}`, `{B}` or `{MAGNITUDE}`");
        self.wrong(name, expected, "an unknown name")
    }

    fn wrong(&self, tensor: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Tensor {
            path: self.path.clone(),
            tensor: tensor.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

fn numbers<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| decode(chunk)).collect()
}
