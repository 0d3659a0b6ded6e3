//! A linear layer that an adapter may sit in.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use nextcart_kernels::frozen_product;

use crate::adapter::{LoraAdapter, constant, row_norms};
use crate::base::{Base, DenseBase, frozen};
use crate::config::LoraConfig;
use crate::error::{Error, Result};
#[cfg(doc)]
use crate::init::Init;
use crate::linear::{fold, unfold};
use crate::low_rank::low_rank;
use crate::named::SetAside;
use crate::nf4::{Nf4Base, Nf4Weight};
use crate::peft::AdapterWeights;

/// Name of an adapter that was given none, as in PEFT.
pub const DEFAULT_ADAPTER: &str = "default";

/// A linear layer whose weight is dense or packed and which may carry a [`LoraAdapter`].
///
/// `y = x Wᵀ + scale · dropout(x) Aᵀ Bᵀ + b`. The update is computed beside the base, on the
/// activations: a frozen weight receives no gradient and none is computed, nor is its input kept.
/// With DoRA, `y = f · (x Wᵀ + scale · x Aᵀ Bᵀ) + b` with `f = m / ‖W + scale · B A‖`; where dropout acts, it
/// does on all but the layer as it was: `y = x Wᵀ + (f - 1) · dropout(x) Wᵀ + f · scale · dropout(x) Aᵀ Bᵀ + b`,
/// as in PEFT.
#[derive(Module, Debug)]
pub struct Projection {
    base: Base,
    pub(crate) adapter: Option<LoraAdapter>, // the one in use
    pub(crate) set_aside: Vec<SetAside>,     // frozen
    pub(crate) merged: Option<Param<Tensor<2>>>, // [d_output, d_input], in place of base and adapter
    pub(crate) trained_bias: Option<Param<Tensor<1>>>, // [d_output], in place of the base's
    enabled: bool,                               // whether adapter and trained bias take part
    #[module(skip)]
    pub(crate) adapter_name: String, // of the one in use, or that would be
}

impl Projection {
    /// A frozen layer of a dense weight.
    ///
    /// # Shapes
    /// - `weight`: `[d_output, d_input]`
    /// - `bias`: `[d_output]`
    ///
    /// # Panics
    /// If the bias is not as long as the weight has rows.
    pub fn dense(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        check_bias(weight.dims(), bias.as_ref());
        Self::of(Base::Dense(DenseBase::new(weight, bias)))
    }

    /// A frozen layer of an already packed weight, placed on the device, where the bias lies too.
    ///
    /// # Panics
    /// If the bias is not as long as the weight has rows.
    pub fn nf4(weight: &Nf4Weight, bias: Option<Tensor<1>>, device: &Device) -> Self {
        check_bias(weight.shape(), bias.as_ref());
        Self::of(Base::Nf4(Nf4Base::new(weight, bias, device)))
    }

    fn of(base: Base) -> Self {
        Self {
            base,
            adapter: None,
            set_aside: Vec::new(),
            merged: None,
            trained_bias: None,
            enabled: true,
            adapter_name: DEFAULT_ADAPTER.to_owned(),
        }
    }

    /// Lets weight and bias receive gradients. A packed weight stays frozen, and a
    /// [merged](Self::merge_adapter) adapter is unmerged.
    #[must_use]
    pub fn trainable(self) -> Self {
        self.with_base_grad(true)
    }

    /// Keeps gradients from the base, as it is at the start, and from a trained bias; an adapter takes them still.
    #[must_use]
    pub fn frozen(self) -> Self {
        self.with_base_grad(false)
    }

    fn with_base_grad(mut self, require: bool) -> Self {
        self.merged = None;
        self.base = match self.base {
            Base::Dense(base) => Base::Dense(base.set_require_grad(require)),
            packed => packed.with_bias_grad(require),
        };
        self.trained_bias = self.trained_bias.map(|bias| bias.set_require_grad(require));
        self
    }

    /// Trains a bias in place of the base's, as [`Bias`](crate::Bias) says; nothing if the layer has none. It starts
    /// from the one that was trained before, or else from the base's.
    #[must_use]
    pub fn with_trainable_bias(mut self) -> Self {
        let start = self.trained_or_base_bias().map(|bias| Param::from_tensor(bias.detach()));
        self.trained_bias = start.map(|bias| bias.set_require_grad(true));
        self
    }

    /// Puts a bias that was trained with an adapter in place of the base's, frozen; the base's comes back without the
    /// adapter.
    ///
    /// # Errors
    /// [`Error::Shape`] if the layer has no bias or one of another length.
    pub fn set_trained_bias(&mut self, bias: Tensor<1>) -> Result<()> {
        let expected: Vec<usize> = self.base.bias().iter().map(|bias| bias.dims()[0]).collect();
        if expected != bias.dims() {
            let (what, found) = ("bias".to_owned(), bias.dims().into());
            return Err(Error::Shape { what, expected, found });
        }
        self.trained_bias = Some(frozen(bias));
        Ok(())
    }

    /// Whether there is a bias that was trained in place of the base's.
    pub fn has_trained_bias(&self) -> bool {
        self.trained_bias.is_some()
    }

    /// Applies the layer, in the type of `x`, which may be wider than that of the stored weight.
    ///
    /// # Shapes
    /// - `x`: `[..., d_input]`
    /// - output: `[..., d_output]`
    ///
    /// # Panics
    /// If the input is not as wide as the weight.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dims = x.dims();
        let x = fold(x); // [rows, d_input]

        let y = match (&self.merged, self.enabled_adapter()) {
            (Some(merged), _) => frozen_product(x, merged.val()),
            (None, None) => self.base.forward(x),
            (None, Some(adapter)) => self.adapted(adapter, x),
        };
        let y = match self.bias() {
            Some(bias) => {
                let dtype = y.dtype();
                y + bias.cast(dtype).unsqueeze_dim(0)
            }
            None => y,
        };
        unfold(y, dims)
    }

    /// The output beside an adapter, without the bias, for `x [rows, d_input]`.
    fn adapted(&self, adapter: &LoraAdapter, x: Tensor<2>) -> Tensor<2> {
        if !adapter.is_dora() && !adapter.drops() {
            let (a, b) = (adapter.a(), adapter.b());
            if let Some(y) = self.base.forward_adapted(&x, [&a, &b], adapter.scale()) {
                return y;
            }
        }
        let dtype = x.dtype();
        let dropped = adapter.dropped(x.clone());
        let y = self.base.forward(x); // [rows, d_output]
        let Some(factors) = adapter.row_factors(&self.base) else {
            return y + adapter.update(dropped);
        };
        let factors = factors.cast(dtype); // [1, d_output]
        match adapter.drops() {
            false => (y + adapter.update(dropped)) * factors,
            true => {
                let base = self.base.forward(dropped.clone());
                y - base.clone() + (base + adapter.update(dropped)) * factors
            }
        }
    }

    /// Length of an input.
    pub fn d_input(&self) -> usize {
        self.base.shape()[1]
    }

    /// Length of an output.
    pub fn d_output(&self) -> usize {
        self.base.shape()[0]
    }

    /// The base, for its kind and its size.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Bytes that base and bias take on the device, the adapter apart.
    pub fn byte_size(&self) -> usize {
        let weight = match &self.base {
            Base::Dense(base) => self.d_output() * self.d_input() * base.weight().dtype().size(),
            Base::Nf4(base) => base.byte_size(),
        };
        weight + self.bias().map_or(0, |bias| self.d_output() * bias.dtype().size())
    }

    /// The weight `[d_output, d_input]` that inputs are multiplied with: the [merged](Self::merge_adapter) one, or
    /// else the base's, unpacked if need be.
    pub fn weight(&self) -> Tensor<2> {
        self.merged.as_ref().map_or_else(|| self.base.weight(), Param::val)
    }

    /// The bias `[d_output]` that is added: the trained one, or else the base's, as it is while adapters are
    /// [off](Self::set_adapter_enabled).
    pub fn bias(&self) -> Option<Tensor<1>> {
        match self.enabled {
            true => self.trained_or_base_bias(),
            false => self.base.bias(),
        }
    }

    /// The bias `[d_output]` that belongs to the adapter in use, be it on or off: the trained one, or else the base's.
    pub(crate) fn trained_or_base_bias(&self) -> Option<Tensor<1>> {
        self.trained_bias.as_ref().map_or_else(|| self.base.bias(), |bias| Some(bias.val()))
    }

    /// Adds a fresh adapter, or replaces the one in use. It changes nothing until trained.
    ///
    /// Give each projection of a model its own `seed`: equal seeds give equal factors.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that does not [validate](LoraConfig::validate), and for
    /// [`Init::Loftq`], which needs the weight before it was packed: [`with_loftq`](Self::with_loftq).
    pub fn with_adapter(mut self, config: &LoraConfig, seed: u64) -> Result<Self> {
        self.replace_adapter(LoraAdapter::fresh(&self.base, config, seed)?);
        Ok(self)
    }

    /// Adds an adapter of given factors, or replaces the one in use.
    ///
    /// Of the configuration, rank, alpha and what else holds for every module are used; patterns are
    /// [resolved](LoraConfig::at) before.
    ///
    /// # Shapes
    /// - `a`: `[rank, d_input]`
    /// - `b`: `[d_output, rank]`
    /// - `magnitude`: `[d_output]`, there exactly if the configuration uses DoRA
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Shape`] and [`Error::Magnitude`]; the projection is then as it was.
    pub fn set_adapter(
        &mut self,
        a: Tensor<2>,
        b: Tensor<2>,
        magnitude: Option<Tensor<1>>,
        config: &LoraConfig,
    ) -> Result<()> {
        config.validate()?;
        let [d_output, d_input] = self.base.shape();
        for (what, expected, found) in [
            ("adapter's A", [config.rank, d_input], a.dims()),
            ("adapter's B", [d_output, config.rank], b.dims()),
        ] {
            if expected != found {
                let what = what.to_owned();
                return Err(Error::Shape { what, expected: expected.into(), found: found.into() });
            }
        }
        self.replace_adapter(LoraAdapter::new(a, b, magnitude, config)?);
        Ok(())
    }

    fn replace_adapter(&mut self, adapter: LoraAdapter) {
        self.merged = None;
        self.adapter = Some(adapter.named(&self.adapter_name));
    }

    /// Adds an adapter read from a file, or replaces the one in use; see [`Projection::set_adapter`].
    ///
    /// # Errors
    /// As [`Projection::set_adapter`], with the module's name.
    pub fn load_adapter(&mut self, weights: &AdapterWeights, config: &LoraConfig) -> Result<()> {
        let device = self.base.device();
        let magnitude = weights.magnitude(&device);
        let config = config.at(weights.module());
        self.set_adapter(weights.a(&device), weights.b(&device), magnitude, &config)
            .map_err(|error| error.within(weights.module()))
    }

    /// The adapter in use.
    pub fn adapter(&self) -> Option<&LoraAdapter> {
        self.adapter.as_ref()
    }

    pub(crate) fn enabled_adapter(&self) -> Option<&LoraAdapter> {
        self.adapter.as_ref().filter(|_| self.enabled)
    }

    /// Switches the adapter and the bias that was trained with it on or off, to hear the base alone without losing
    /// them. A [merged](Self::merge_adapter) adapter is unmerged before.
    pub fn set_adapter_enabled(&mut self, enabled: bool) {
        self.merged = None;
        self.enabled = enabled;
    }

    /// Whether adapters take part in what the layer computes.
    pub fn is_adapter_enabled(&self) -> bool {
        self.enabled
    }

    /// The base alone, frozen, with another bias if one was trained.
    pub(crate) fn without_any_adapter(self, bias: Option<Tensor<1>>) -> Self {
        Self::of(match (bias, self.has_trained_bias()) {
            (Some(bias), true) => self.base.with_bias(bias),
            _ => self.base,
        })
    }

    /// Drops the adapter in use and the trained bias, and what they learnt.
    #[must_use]
    pub fn without_adapter(mut self) -> Self {
        self.merged = None;
        self.adapter = None;
        self.trained_bias = None;
        self
    }

    /// Packs a dense base to NF4 with double quantisation; the adapter stays.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a weight with a NaN or an infinity in it, which would spoil all others.
    pub fn quantize(mut self) -> Result<Self> {
        self.merged = None;
        if let Base::Dense(base) = &self.base {
            let (weight, bias) = (base.weight(), base.bias());
            let (shape, device) = (weight.dims(), weight.device());
            let values: Vec<f32> = to_f32(weight.into_data());
            let packed = Nf4Weight::quantize(&values, shape)?;
            self.base = Base::Nf4(Nf4Base::new(&packed, bias, &device));
        }
        Ok(self)
    }

    /// Adds an adapter that starts as the best approximation of what packing took from the original weight
    /// `[d_output, d_input]`, or replaces the one in use: [`Init::Loftq`], whatever `config.init` says.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that does not [validate](LoraConfig::validate), and for a base that is not
    /// packed, of which nothing was taken; [`Error::Shape`] for an original of another shape.
    pub fn with_loftq(
        mut self,
        original: Tensor<2>,
        config: &LoraConfig,
        seed: u64,
    ) -> Result<Self> {
        config.validate()?;
        if !matches!(self.base, Base::Nf4(_)) {
            // Both factors would be zero, and with them every gradient, for good.
            let expected = "another start than `loftq` where the weight is not packed";
            return Err(Error::Config { field: "init", expected, found: "loftq".to_owned() });
        }
        self.check_original(&original)?;
        let held = constant(self.base.weight()).cast(DType::F32);
        let taken = constant(original).cast(DType::F32) - held.clone();
        let (b, a) = low_rank(taken, config.rank, seed);
        // DoRA's magnitude is that of the weight that the layer starts with.
        let start = || held + b.clone().matmul(a.clone());
        let magnitude = config.use_dora.then(|| row_norms(start()));
        self.set_adapter(a, b / config.scale(), magnitude, config)?;
        Ok(self)
    }
}

fn check_bias([d_output, _]: [usize; 2], bias: Option<&Tensor<1>>) {
    if let Some(bias) = bias {
        assert_eq!(bias.dims(), [d_output], "one bias for each output");
    }
}

/// The values of a float tensor, widened or narrowed to f32.
pub(crate) fn to_f32(data: TensorData) -> Vec<f32> {
    data.try_into_vec_as().expect("a float tensor is on the host")
}
