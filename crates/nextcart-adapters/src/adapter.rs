//! The trainable low-rank update.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{DType, Tensor};

use crate::base::Base;
use crate::config::LoraConfig;
use crate::error::{Error, Result};
use crate::init::{Init, gaussian, kaiming_uniform};
use crate::linear::linear;
use crate::projection::DEFAULT_ADAPTER;

/// A trainable low-rank update of a projection's weight, `ΔW = scale · B A`.
///
/// After Hu et al., *LoRA* (<https://arxiv.org/abs/2106.09685>). With a magnitude vector `m`, the
/// weight is `m · (W + ΔW) / ‖W + ΔW‖`, each row by its own norm, which takes part as a constant in
/// the gradient: Liu et al., *DoRA* (<https://arxiv.org/abs/2402.09353>).
#[derive(Module, Debug)]
pub struct LoraAdapter {
    a: Param<Tensor<2>>,                 // [rank, d_input]
    b: Param<Tensor<2>>,                 // [d_output, rank], zero at the start
    magnitude: Option<Param<Tensor<1>>>, // [d_output]
    dropout: Dropout,
    scale: f64,
    #[module(skip)]
    name: String,
}

impl LoraAdapter {
    /// An adapter of given factors; the caller has checked that they fit the base.
    pub(crate) fn new(
        a: Tensor<2>,
        b: Tensor<2>,
        magnitude: Option<Tensor<1>>,
        config: &LoraConfig,
    ) -> Result<Self> {
        config.validate()?;
        check_dims(a.dims(), b.dims(), magnitude.as_ref().map(Tensor::dims), config)?;
        Ok(Self {
            a: Param::from_tensor(a.detach()),
            b: Param::from_tensor(b.detach()),
            magnitude: magnitude.map(|m| Param::from_tensor(m.detach())),
            dropout: DropoutConfig::new(config.dropout).init(),
            scale: config.scale(),
            name: DEFAULT_ADAPTER.to_owned(),
        })
    }

    /// A fresh adapter that changes nothing yet: `A` drawn, `B` zero, `m` the base's row norms.
    pub(crate) fn fresh(base: &Base, config: &LoraConfig, seed: u64) -> Result<Self> {
        config.validate()?;
        let ([d_output, d_input], rank, device) = (base.shape(), config.rank, &base.device());
        let a = match config.init {
            Init::Kaiming => kaiming_uniform(rank, d_input, seed, device),
            Init::Gaussian => gaussian([rank, d_input], 1.0 / rank as f32, seed, device),
            Init::Loftq => {
                let (expected, found) = ("a start without the original weight", "loftq".to_owned());
                return Err(Error::Config { field: "init", expected, found });
            }
        };
        let b = Tensor::zeros([d_output, config.rank], (device, DType::F32));
        let magnitude = config.use_dora.then(|| {
            let norms = base.row_parts().map(|(_, part)| row_norms(part.cast(DType::F32)));
            Tensor::cat(norms.collect(), 0)
        });
        Self::new(a, b, magnitude, config)
    }

    /// Name of the adapter among those of its projection.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Factor `A`, of shape `[rank, d_input]`.
    pub fn a(&self) -> Tensor<2> {
        self.a.val()
    }

    /// Factor `B`, of shape `[d_output, rank]`.
    pub fn b(&self) -> Tensor<2> {
        self.b.val()
    }

    /// DoRA's magnitude vector, of shape `[d_output]`.
    pub fn magnitude(&self) -> Option<Tensor<1>> {
        self.magnitude.as_ref().map(Param::val)
    }

    /// Factor of the update.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Share of its inputs that are dropped in training.
    pub fn dropout(&self) -> f64 {
        self.dropout.prob
    }

    /// Rank of the update.
    pub fn rank(&self) -> usize {
        self.a.dims()[0]
    }

    /// Checks that the adapter was made with such a configuration.
    pub(crate) fn check(&self, config: &LoraConfig) -> Result<()> {
        let magnitude = self.magnitude.as_ref().map(|m| m.lazy_shape().dims());
        let (a, b) = (self.a.lazy_shape().dims(), self.b.lazy_shape().dims());
        check_dims(a, b, magnitude, config)?;
        let (expected, found) = (config.scale(), self.scale);
        if expected == found {
            return Ok(());
        }
        Err(Error::Scale { what: "adapter's scale".to_owned(), expected, found })
    }

    /// The same adapter under another name.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The same adapter, its factors trained or not.
    pub(crate) fn trained(self, on: bool) -> Self {
        Self {
            a: self.a.set_require_grad(on),
            b: self.b.set_require_grad(on),
            magnitude: self.magnitude.map(|magnitude| magnitude.set_require_grad(on)),
            ..self
        }
    }

    /// Whether the adapter has a magnitude vector.
    pub(crate) fn is_dora(&self) -> bool {
        self.magnitude.is_some()
    }

    /// Whether dropout acts on a pass: in training, where its share is above 0.
    pub(crate) fn drops(&self) -> bool {
        self.dropout.prob > 0.0 && self.a().device().is_autodiff()
    }

    /// The input `[rows, d_input]` after dropout.
    pub(crate) fn dropped(&self, x: Tensor<2>) -> Tensor<2> {
        self.dropout.forward(x)
    }

    /// `scale · x Aᵀ Bᵀ` for the [dropped](Self::dropped) input `x [rows, d_input]`, computed in the factors' type and
    /// given in that of `x`.
    pub(crate) fn update(&self, x: Tensor<2>) -> Tensor<2> {
        let (a, b, dtype) = (self.a(), self.b(), x.dtype());
        let down = linear(x.cast(a.dtype()), a, None); // [rows, rank]
        // The scale goes on the narrow side, where it touches the fewest values.
        linear(down * self.scale, b, None).cast(dtype) // [rows, d_output]
    }

    /// DoRA's factor of each output, `[1, d_output]`; `None` for plain LoRA.
    ///
    /// The norms are taken of a part of the weight at a time: no dense weight is there as a whole. Products of `W Aᵀ`, `B`
    /// and `A Aᵀ` would need no weight at all, but are differences of squares where a row of `ΔW` is close to that of `-W`.
    pub(crate) fn row_factors(&self, base: &Base) -> Option<Tensor<2>> {
        let magnitude = self.magnitude()?;
        let (b, a) = (constant(self.b()), constant(self.a()) * self.scale);
        let norms = base.row_parts().map(|(start, part)| {
            let [rows, _] = part.dims();
            let delta = b.clone().narrow(0, start, rows).matmul(a.clone());
            row_norms(part.cast(delta.dtype()) + delta)
        });
        let norms = Tensor::cat(norms.collect(), 0);
        Some(divide(magnitude, norms).unsqueeze_dim(0))
    }

    /// The base weight with this update in it, in the type of the weight, without a history of gradients.
    pub(crate) fn merged(&self, weight: Tensor<2>) -> Tensor<2> {
        let (delta, dtype) = (self.delta(), weight.dtype());
        let merged = constant(weight).cast(delta.dtype()) + delta;
        let merged = match self.magnitude() {
            Some(magnitude) => {
                let norms = row_norms(merged.clone());
                merged * divide(constant(magnitude), norms).unsqueeze_dim(1)
            }
            None => merged,
        };
        merged.cast(dtype)
    }

    /// `ΔW = scale · B A`, dense, without a history of gradients.
    fn delta(&self) -> Tensor<2> {
        constant(self.b()).matmul(constant(self.a()) * self.scale)
    }
}

/// The values alone. burn's `detach` leaves a parameter a leaf that takes gradients, so that all that is computed from it is
/// kept for a backward pass that nobody asks for.
pub(crate) fn constant<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.set_require_grad(false)
}

/// Magnitudes over norms; a row that is all zeros has no direction, and any finite factor keeps it so.
fn divide(magnitude: Tensor<1>, norms: Tensor<1>) -> Tensor<1> {
    magnitude / norms.clamp_min(f32::MIN_POSITIVE)
}

/// Checks that tensors of these shapes are what the configuration asks for.
fn check_dims(
    a: [usize; 2],
    b: [usize; 2],
    magnitude: Option<[usize; 1]>,
    config: &LoraConfig,
) -> Result<()> {
    let ([_, d_input], [d_output, _], rank) = (a, b, config.rank);
    if a != [rank, d_input] {
        return Err(shape("adapter's A", [rank, d_input], a));
    }
    if b != [d_output, rank] {
        return Err(shape("adapter's B", [d_output, rank], b));
    }
    match (magnitude, config.use_dora) {
        (Some(_), false) => Err(wrong_magnitude("none", "one")),
        (None, true) => Err(wrong_magnitude("one", "none")),
        (Some(m), true) if m != [d_output] => {
            Err(shape("adapter's magnitude vector", [d_output], m))
        }
        _ => Ok(()),
    }
}

fn shape<const D: usize>(what: &'static str, expected: [usize; D], found: [usize; D]) -> Error {
    Error::Shape { what: what.to_owned(), expected: expected.to_vec(), found: found.to_vec() }
}

fn wrong_magnitude(expected: &'static str, found: &'static str) -> Error {
    Error::Magnitude { what: "magnitude vector".to_owned(), expected, found }
}

/// Euclidean norm of each row.
pub(crate) fn row_norms(weight: Tensor<2>) -> Tensor<1> {
    weight.square().sum_dim(1).sqrt().squeeze_dim(1)
}
