//! Tensors of a checkpoint on their way into a model.

use burn::tensor::{Device, Element, Tensor, TensorData, bf16, f16};
use nextcart_adapters::Projection;
use nextcart_adapters::nf4::{Nf4Packer, Nf4Weight};

use crate::assemble::{TensorSource, assemble};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::llama::Llama;
use crate::merge::{MERGE_RECORD, MergeRecord};
use crate::names;
use crate::packed;
use crate::precision::Precision;
use crate::safetensors_file::SafetensorsFile;

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

impl Checkpoint {
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
    /// If a file cannot be read, and [`Error::NotFinite`] for a weight with a NaN or an infinity in it.
    pub fn load_quantized(&self, device: &Device) -> Result<Llama> {
        self.load_with(device, LoadOptions { quantized: true, ..LoadOptions::default() })
    }

    /// As [`load`](Self::load), with a choice of how weights and activations are held.
    ///
    /// Tensors are read one by one and in pieces, so that memory never holds much more than the model.
    ///
    /// # Errors
    /// If a file cannot be read, [`Error::NotFinite`] for a NaN or an infinity in a weight that is to be packed, and
    /// those of [`open`](Self::open) for the weights if it was opened without them.
    pub fn load_with(&self, device: &Device, options: LoadOptions) -> Result<Llama> {
        if self.files().is_empty() {
            return Self::open(self.folder())?.load_with(device, options);
        }
        let mut reader = Reader { checkpoint: self, device, options };
        let mut model = assemble(self.config(), &mut reader, device)?;
        let LoadOptions { weights, activations, .. } = options;
        model.activations = (weights != activations).then(|| activations.dtype());
        model.merges = self.merge_records()?;
        Ok(model)
    }

    /// Reads the weight `[d_output, d_input]` of the projection at this module path, such as
    /// `model.layers.0.self_attn.q_proj`, into f32.
    ///
    /// # Errors
    /// [`Error::NoProjection`] if the model has no such projection inside a block, [`Error::PackedOriginal`] if
    /// its weight is stored packed, and if the file cannot be read.
    pub fn projection_weight(&self, path: &str, device: &Device) -> Result<Tensor<2>> {
        let name = format!("{path}.weight");
        let tensors = names::tensors(self.config());
        let shape = tensors.iter().find(|(tensor, _)| *tensor == name).map(|(_, shape)| &shape[..]);
        let (Some(&[d_output, d_input]), true) = (shape, name.starts_with("model.layers.")) else {
            return Err(Error::NoProjection { path: self.folder().to_owned(), tensor: name });
        };
        if self.files().is_empty() {
            return Self::open(self.folder())?.projection_weight(path, device);
        }
        if packed::is_packed(&name, &|name| self.file(name)) {
            return Err(Error::PackedOriginal { path: self.folder().to_owned(), tensor: name });
        }
        let reader = Reader { checkpoint: self, device, options: LoadOptions::default() };
        reader.tensor(&name, [d_output, d_input], Precision::F32)
    }

    /// What the weights were merged of, if they were.
    fn merge_records(&self) -> Result<Vec<MergeRecord>> {
        let path = self.folder().join(MERGE_RECORD);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|source| Error::Json { path, source }),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(Error::Io { path, source }),
        }
    }
}

/// Reads tensors in the order that [`assemble`] asks for them.
struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    device: &'a Device,
    options: LoadOptions,
}

impl Reader<'_> {
    /// A tensor of this shape, rounded to the format.
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
        packer.finish().map_err(|error| match error {
            nextcart_adapters::Error::NotFinite { found, place, .. } => {
                let path = self.file(name).path().to_owned();
                Error::NotFinite { path, tensor: name.to_owned(), found, place }
            }
            other => other.into(),
        })
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
