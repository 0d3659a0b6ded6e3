//! What a projection's own weight can be.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor};
use nextcart_kernels::{adapted_product, frozen_product};

use crate::adapter::constant;
use crate::nf4::Nf4Base;

/// Parts that a weight comes in where one at a time is enough.
const PARTS: usize = 8;

/// The weight of a projection, without its adapter.
#[derive(Module, Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "a model holds few of these, by value")]
pub enum Base {
    /// A weight of one float an entry.
    Dense(DenseBase),
    /// A weight of 4 bits an entry, always frozen.
    Nf4(Nf4Base),
}

impl Base {
    /// `x Wᵀ`, without the bias, for the folded input `x [rows, d_input]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Dense(base) => frozen_product(x, base.weight.val()),
            Self::Nf4(base) => base.forward(x),
        }
    }

    /// `x Wᵀ + scale · x Aᵀ Bᵀ` for factors `[A, B]`, where that is one operation.
    pub(crate) fn forward_adapted(
        &self,
        x: &Tensor<2>,
        [a, b]: [&Tensor<2>; 2],
        scale: f64,
    ) -> Option<Tensor<2>> {
        match self {
            Self::Dense(base) => adapted_product(x, &base.weight.val(), a, b, scale),
            Self::Nf4(base) => base.forward_adapted(x, [a, b], scale),
        }
    }

    /// The weight `[d_output, d_input]`, unpacked if need be.
    pub(crate) fn weight(&self) -> Tensor<2> {
        match self {
            Self::Dense(base) => base.weight.val(),
            Self::Nf4(base) => base.weight(),
        }
    }

    /// The weight in about [`PARTS`] parts of whole rows, top to bottom, each behind the place of its first row and
    /// without a history of gradients. A packed one is unpacked a part at a time.
    pub(crate) fn row_parts(&self) -> impl Iterator<Item = (usize, Tensor<2>)> {
        let [d_output, _] = self.shape();
        let rows = d_output.div_ceil(PARTS);
        let rows = match self {
            Self::Dense(_) => rows,
            Self::Nf4(base) => rows.next_multiple_of(base.rows_of_groups()),
        };
        (0..d_output).step_by(rows).map(move |start| {
            let count = rows.min(d_output - start);
            let part = match self {
                Self::Dense(base) => constant(base.weight.val()).narrow(0, start, count),
                Self::Nf4(base) => base.rows(start, count),
            };
            (start, part)
        })
    }

    /// The bias, of shape `[d_output]`, without what was trained in its place.
    pub fn bias(&self) -> Option<Tensor<1>> {
        match self {
            Self::Dense(base) => base.bias.as_ref().map(Param::val),
            Self::Nf4(base) => base.bias(),
        }
    }

    /// The same base with a bias that takes gradients, or does not; nothing if it has none.
    pub(crate) fn with_bias_grad(self, require: bool) -> Self {
        let set = |bias: Option<Param<Tensor<1>>>| bias.map(|bias| bias.set_require_grad(require));
        match self {
            Self::Dense(base) => Self::Dense(DenseBase { bias: set(base.bias), ..base }),
            Self::Nf4(base) => Self::Nf4(base.map_bias(set)),
        }
    }

    /// The same base with another bias, frozen.
    pub(crate) fn with_bias(self, bias: Tensor<1>) -> Self {
        let bias = Some(frozen(bias));
        match self {
            Self::Dense(base) => Self::Dense(DenseBase { bias, ..base }),
            Self::Nf4(base) => Self::Nf4(base.map_bias(|_| bias)),
        }
    }

    pub(crate) fn device(&self) -> Device {
        match self {
            Self::Dense(base) => base.weight.lazy_device(),
            Self::Nf4(base) => base.device(),
        }
    }

    /// `[d_output, d_input]`.
    pub(crate) fn shape(&self) -> [usize; 2] {
        match self {
            Self::Dense(base) => base.weight.lazy_shape().dims(),
            Self::Nf4(base) => base.shape(),
        }
    }
}

/// A dense weight.
#[derive(Module, Debug)]
pub struct DenseBase {
    weight: Param<Tensor<2>>,       // [d_output, d_input]
    bias: Option<Param<Tensor<1>>>, // [d_output]
}

impl DenseBase {
    /// A frozen dense weight `[d_output, d_input]`.
    pub(crate) fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight: frozen(weight), bias: bias.map(frozen) }
    }

    /// The weight, of shape `[d_output, d_input]`.
    pub fn weight(&self) -> Tensor<2> {
        self.weight.val()
    }

    /// The bias, of shape `[d_output]`.
    pub fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().map(Param::val)
    }
}

/// A parameter that takes no gradient, now or after `Module::train`.
pub(crate) fn frozen<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), constant(tensor))
}
