//! A linear layer that an adapter may sit in.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::adapter::LoraAdapter;
use crate::base::{Base, DenseBase};
use crate::config::LoraConfig;
use crate::error::{Error, Result};
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
    adapter: Option<LoraAdapter>,
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
        Self { base: Base::Dense(DenseBase::new(weight, bias)), adapter: None }
    }

    /// A frozen layer of an already packed weight, placed on the device, where the bias lies too.
    ///
    /// # Panics
    /// If the bias is not as long as the weight has rows.
    pub fn nf4(weight: &Nf4Weight, bias: Option<Tensor<1>>, device: &Device) -> Self {
        check_bias(weight.shape(), bias.as_ref());
        Self { base: Base::Nf4(Nf4Base::new(weight, bias, device)), adapter: None }
    }

    /// Lets a dense base receive gradients. A packed one stays frozen.
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
        if let Base::Dense(base) = self.base {
            self.base = Base::Dense(base.set_require_grad(require));
        }
        self
    }

    /// Applies the layer, in the type of `x`, which may be wider than that of the stored weight.
    ///
    /// # Shapes
    /// - `x`: `[..., d_input]`
    /// - output: `[..., d_output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dims = x.dims();
        let x = fold(x); // [rows, d_input]

        let y = match self.adapter.as_ref().filter(|adapter| adapter.is_enabled()) {
            None => self.base.forward(x),
            Some(adapter) => {
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

    /// The base's weight `[d_output, d_input]`, unpacked if need be.
    pub fn weight(&self) -> Tensor<2> {
        self.base.weight()
    }

    /// The bias `[d_output]`.
    pub fn bias(&self) -> Option<Tensor<1>> {
        self.base.bias()
    }

    /// Adds a fresh adapter, or replaces the one that is there. It changes nothing until trained.
    ///
    /// Give each projection of a model its own `seed`: equal seeds give equal factors.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that does not [validate](LoraConfig::validate).
    pub fn with_adapter(mut self, config: &LoraConfig, seed: u64) -> Result<Self> {
        let (shape, device) = (self.base.shape(), self.base.device());
        let adapter = LoraAdapter::fresh(shape, &device, || self.base.weight(), config, seed)?;
        self.adapter = Some(adapter);
        Ok(self)
    }

    /// Adds an adapter of given factors, or replaces the one that is there.
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
        self.adapter = Some(LoraAdapter::new(a, b, magnitude, config)?);
        Ok(())
    }

    /// Adds an adapter read from a file; see [`Projection::set_adapter`].
    ///
    /// # Errors
    /// As [`Projection::set_adapter`], with the module's name.
    pub fn load_adapter(&mut self, weights: &AdapterWeights, config: &LoraConfig) -> Result<()> {
        let device = self.base.device();
        let magnitude = weights.magnitude(&device);
        self.set_adapter(weights.a(&device), weights.b(&device), magnitude, config)
            .map_err(|error| error.within(weights.module()))
    }

    /// The adapter.
    pub fn adapter(&self) -> Option<&LoraAdapter> {
        self.adapter.as_ref()
    }

    /// Switches the adapter on or off, to hear the base alone without losing the adapter.
    pub fn set_adapter_enabled(&mut self, enabled: bool) {
        if let Some(adapter) = &mut self.adapter {
            adapter.set_enabled(enabled);
        }
    }

    /// Drops the adapter and what it learnt.
    #[must_use]
    pub fn without_adapter(mut self) -> Self {
        self.adapter = None;
        self
    }

    /// Packs a dense base to NF4 with double quantisation; the adapter stays.
    ///
    /// The weight must be finite: a block with a NaN or an infinity in it unpacks to nonsense.
    #[must_use]
    pub fn quantize(mut self) -> Self {
        if let Base::Dense(base) = &self.base {
            let (weight, bias) = (base.weight(), base.bias());
            let (shape, device) = (weight.dims(), weight.device());
            let values: Vec<f32> = to_f32(weight.into_data());
            let packed = Nf4Weight::quantize(&values, shape);
            self.base = Base::Nf4(Nf4Base::new(&packed, bias, &device));
        }
        self
    }

    /// The layer without its adapter, computing what it computes with it.
    ///
    /// An adapter that is on is folded into the weight, which is then dense and frozen; one that is
    /// off takes no part in the layer's output and is dropped. A weight in 16 bits stays so: what is less than half
    /// of its last place is lost.
    #[must_use]
    pub fn merge(self) -> Self {
        match self.adapter.as_ref().filter(|adapter| adapter.is_enabled()) {
            Some(adapter) => Self::dense(adapter.merged(self.base.weight()), self.base.bias()),
            None => self.without_adapter(),
        }
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
