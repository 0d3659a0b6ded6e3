//! A linear layer that an adapter may sit in.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use nextcart_kernels::frozen_product;

use crate::adapter::{LoraAdapter, row_norms};
use crate::base::{Base, DenseBase, frozen};
use crate::config::LoraConfig;
use crate::error::{Error, Result};
#[cfg(doc)]
use crate::init::Init;
use crate::init::low_rank;
use crate::linear::{fold, unfold};
use crate::nf4::{Nf4Base, Nf4Weight};
use crate::peft::AdapterWeights;

/// A linear layer whose weight is dense or packed and which may carry a [`LoraAdapter`].
///
/// `y = x Wᵀ + scale · dropout(x) Aᵀ Bᵀ + b`. The update is computed beside the base, on the
/// activations: a frozen weight receives no gradient and none is computed, nor is its input kept.
/// With DoRA, `y = m / ‖W + scale · B A‖ · (x Wᵀ + scale · dropout(x) Aᵀ Bᵀ) + b`.
#[derive(Module, Debug)]
pub struct Projection {
    base: Base,
    adapter: Option<LoraAdapter>,     // the one in use
    set_aside: Vec<LoraAdapter>,      // frozen
    merged: Option<Param<Tensor<2>>>, // [d_output, d_input], used in place of base and adapter
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
        Self { base, adapter: None, set_aside: Vec::new(), merged: None }
    }

    /// Lets weight and bias receive gradients. A packed weight stays frozen.
    #[must_use]
    pub fn trainable(self) -> Self {
        self.with_base_grad(true)
    }

    /// Keeps gradients from the base, as it is at the start.
    #[must_use]
    pub fn frozen(self) -> Self {
        self.with_base_grad(false)
    }

    fn with_base_grad(mut self, require: bool) -> Self {
        self.base = match self.base {
            Base::Dense(base) => Base::Dense(base.set_require_grad(require)),
            packed => packed.with_bias_grad(require),
        };
        self
    }

    /// Lets the bias receive gradients, beside an adapter as with [`Bias`](crate::Bias); nothing if there is none.
    #[must_use]
    pub fn with_trainable_bias(mut self) -> Self {
        self.base = self.base.with_bias_grad(true);
        self
    }

    /// Replaces the bias.
    ///
    /// # Errors
    /// [`Error::Shape`] if the layer has no bias or one of another length.
    pub fn set_bias(&mut self, bias: Tensor<1>) -> Result<()> {
        let expected: Vec<usize> = self.bias().iter().map(|bias| bias.dims()[0]).collect();
        if expected != bias.dims() {
            let (what, found) = ("bias".to_owned(), bias.dims().into());
            return Err(Error::Shape { what, expected, found });
        }
        self.base = self.base.clone().with_bias(bias);
        Ok(())
    }

    /// Applies the layer, in the type of `x`, which may be wider than that of the stored weight.
    ///
    /// # Shapes
    /// - `x`: `[..., d_input]`
    /// - output: `[..., d_output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dims = x.dims();
        let x = fold(x); // [rows, d_input]

        let y = match (&self.merged, self.enabled_adapter()) {
            (Some(merged), _) => frozen_product(x, merged.val()),
            (None, None) => self.base.forward(x),
            (None, Some(adapter)) => {
                let y = self.base.forward(x.clone()) + adapter.update(x); // [rows, d_output]
                match adapter.row_factors(|| self.base.weight()) {
                    Some(factors) => {
                        let dtype = y.dtype();
                        y * factors.cast(dtype)
                    }
                    None => y,
                }
            }
        };
        let y = match self.base.bias() {
            Some(bias) => {
                let dtype = y.dtype();
                y + bias.cast(dtype).unsqueeze_dim(0)
            }
            None => y,
        };
        unfold(y, dims)
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

    /// The bias `[d_output]`.
    pub fn bias(&self) -> Option<Tensor<1>> {
        self.base.bias()
    }

    /// Adds a fresh adapter, or replaces the one in use. It changes nothing until trained.
    ///
    /// Give each projection of a model its own `seed`: equal seeds give equal factors.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that does not [validate](LoraConfig::validate), and for
    /// [`Init::Loftq`], which needs the weight before it was packed: [`with_loftq`](Self::with_loftq).
    pub fn with_adapter(mut self, config: &LoraConfig, seed: u64) -> Result<Self> {
        let (shape, device) = (self.base.shape(), self.base.device());
        let adapter = LoraAdapter::fresh(shape, &device, || self.base.weight(), config, seed)?;
        self.replace_adapter(adapter);
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
        let name = self.adapter.as_ref().map_or(LoraAdapter::DEFAULT_NAME, LoraAdapter::name);
        self.adapter = Some(adapter.named(name));
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

    fn enabled_adapter(&self) -> Option<&LoraAdapter> {
        self.adapter.as_ref().filter(|adapter| adapter.is_enabled())
    }

    /// Switches the adapter on or off, to hear the base alone without losing the adapter.
    ///
    /// A [merged](Self::merge_adapter) one is unmerged before.
    pub fn set_adapter_enabled(&mut self, enabled: bool) {
        self.merged = None;
        if let Some(adapter) = &mut self.adapter {
            adapter.set_enabled(enabled);
        }
    }

    /// Names of all adapters, the one in use first.
    pub fn adapter_names(&self) -> impl Iterator<Item = &str> {
        self.adapter.iter().chain(&self.set_aside).map(LoraAdapter::name)
    }

    /// Puts the adapter in use aside and takes the one of this name instead, or none if there is none of this name.
    /// Says whether there is one.
    ///
    /// What is set aside stays on the device, takes part in nothing and takes no gradient. Adapters
    /// that are added later come under this name.
    pub fn switch_adapter(&mut self, name: &str) -> bool {
        if self.adapter.as_ref().is_some_and(|adapter| adapter.name() == name) {
            return true;
        }
        self.merged = None;
        self.set_aside.extend(self.adapter.take().map(|adapter| adapter.trained(false)));
        let place = self.set_aside.iter().position(|adapter| adapter.name() == name);
        self.adapter = place.map(|place| self.set_aside.remove(place).trained(true));
        self.adapter.is_some()
    }

    /// Gives the adapter in use another name (at first it is [`LoraAdapter::DEFAULT_NAME`]).
    pub fn rename_adapter(&mut self, name: &str) {
        self.adapter = self.adapter.take().map(|adapter| adapter.named(name));
    }

    /// Drops the adapter in use and what it learnt.
    #[must_use]
    pub fn without_adapter(mut self) -> Self {
        self.merged = None;
        self.adapter = None;
        self
    }

    /// Packs a dense base to NF4 with double quantisation; the adapter stays.
    ///
    /// The weight must be finite: a block with a NaN or an infinity in it unpacks to nonsense.
    #[must_use]
    pub fn quantize(mut self) -> Self {
        self.merged = None;
        if let Base::Dense(base) = &self.base {
            let (weight, bias) = (base.weight(), base.bias());
            let (shape, device) = (weight.dims(), weight.device());
            let values: Vec<f32> = to_f32(weight.into_data());
            let packed = Nf4Weight::quantize(&values, shape);
            self.base = Base::Nf4(Nf4Base::new(&packed, bias, &device));
        }
        self
    }

    /// Adds an adapter that starts as the best approximation of what packing took from the original weight
    /// `[d_output, d_input]`, or replaces the one in use: [`Init::Loftq`], whatever `config.init` says.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that does not [validate](LoraConfig::validate), [`Error::Shape`]
    /// for an original of another shape.
    pub fn with_loftq(
        mut self,
        original: Tensor<2>,
        config: &LoraConfig,
        seed: u64,
    ) -> Result<Self> {
        config.validate()?;
        if original.dims() != self.base.shape() {
            let (what, expected) = ("original weight".to_owned(), self.base.shape().into());
            return Err(Error::Shape { what, expected, found: original.dims().into() });
        }
        let held = self.base.weight().detach().cast(DType::F32);
        let taken = original.detach().cast(DType::F32) - held.clone();
        let (b, a) = low_rank(taken, config.rank, seed);
        // DoRA's magnitude is that of the weight that the layer starts with.
        let start = || held + b.clone().matmul(a.clone());
        let magnitude = config.use_dora.then(|| row_norms(start()));
        self.set_adapter(a, b / config.scale(), magnitude, config)?;
        Ok(self)
    }

    /// Folds the adapter into the base's own weight, unpacked if need be, for as long as
    /// [`unmerge_adapter`](Self::unmerge_adapter) does not undo it. Without an adapter that is on, nothing happens.
    ///
    /// A product less is to be computed for each input. The base stays as it is, so that unmerging is
    /// exact; the merged weight takes memory beside it, in the type of a dense base, in f32 beside a packed one.
    pub fn merge_adapter(&mut self) {
        let merged = self.enabled_adapter().map(|adapter| adapter.merged(self.base.weight()));
        self.merged = merged.map(frozen);
    }

    /// Undoes [`merge_adapter`](Self::merge_adapter), to the bit.
    pub fn unmerge_adapter(&mut self) {
        self.merged = None;
    }

    /// Whether the adapter is [merged](Self::merge_adapter).
    pub fn is_merged(&self) -> bool {
        self.merged.is_some()
    }

    /// The layer without any adapter, computing what it computes with the one in use.
    ///
    /// An adapter that is on is folded into the weight, which is then dense and frozen; one that is
    /// off takes no part in the layer's output and is dropped, as is what was set aside. A weight in
    /// 16 bits stays so: what is less than half of its last place is lost.
    ///
    /// The adapter was trained beside what the base holds. Folded into a packed base's
    /// [original](MergeOnto::Original) weight, the layer computes something else than before: closer to the
    /// original where packing was off, further from what the adapter has learnt to repair.
    ///
    /// # Panics
    /// If an original weight has another shape.
    #[must_use]
    pub fn merge_and_unload(self, onto: MergeOnto) -> Self {
        let own = || self.base.weight();
        let weight = match onto {
            MergeOnto::Own => None,
            MergeOnto::Original(weight) => {
                assert_eq!(weight.dims(), self.base.shape(), "the same weight before packing");
                Some(weight)
            }
        };
        match (self.enabled_adapter(), weight) {
            (None, None) => Self::of(self.base),
            (None, Some(weight)) => Self::dense(weight, self.base.bias()),
            (Some(adapter), weight) => {
                Self::dense(adapter.merged(weight.unwrap_or_else(own)), self.base.bias())
            }
        }
    }
}

/// Which weight an adapter is folded into for good.
#[derive(Debug, Clone, Default)]
#[expect(clippy::large_enum_variant, reason = "passed once, by value")]
pub enum MergeOnto {
    /// That which the layer holds; a packed one is unpacked.
    #[default]
    Own,
    /// That which the layer had before it was packed, `[d_output, d_input]`.
    Original(Tensor<2>),
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
