//! The backward pass of a product with a low-rank update, for weights of every kind in the host's memory.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::DType;

use super::Side;
use super::host::{LowRank, in_f32, onto_rank, outer, to_rank};

/// A frozen weight `[d_output, d_input]` in the host's memory, cheap to clone.
pub trait HostWeight: Clone + Debug + Send + 'static {
    /// `x Wᵀ` or `x W` and an update, in the type of `x`.
    fn multiply(&self, x: &FlexTensor, side: Side, update: LowRank<'_>) -> FlexTensor;
}

/// `x Wᵀ + scale · x Aᵀ Bᵀ` for a frozen weight and factors in f32, no side of which is empty.
#[derive(Debug, Clone)]
pub struct Adapted<W> {
    /// `[d_output, d_input]`.
    pub weight: W,
    /// `[rank, d_input]`.
    pub a: FlexTensor,
    /// `[d_output, rank]`.
    pub b: FlexTensor,
    /// Factor of the update.
    pub scale: f64,
}

impl<W: HostWeight> Adapted<W> {
    /// The product and `scale · x Aᵀ`, for `x [rows, d_input]`.
    pub fn forward(&self, x: &FlexTensor) -> (FlexTensor, FlexTensor) {
        let inner = to_rank(x, &self.a, self.scale);
        let update = LowRank { inner: &inner, factor: &self.b };
        (self.weight.multiply(x, Side::Input, update), inner)
    }

    /// The product as one operation of a graph, with `factors` `A` and `B`.
    pub fn under_autodiff<C: CheckpointStrategy>(
        x: FloatTensor<Autodiff<Flex, C>>,
        weight: W,
        [a, b]: [FloatTensor<Autodiff<Flex, C>>; 2],
        scale: f64,
    ) -> FloatTensor<Autodiff<Flex, C>> {
        let nodes = [x.node(), a.node(), b.node()];
        let (trains_a, trains_b) = (a.is_tracked(), b.is_tracked());
        let (a, b) = (a.into_primitive(), b.into_primitive());
        let (product, x) = (Self { weight, a, b, scale }, x.into_primitive());
        let (output, inner) = product.forward(&x);
        match Operation::<W>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = State {
                    product,
                    dtype: x.dtype(),
                    x: trains_a.then_some(x),
                    inner: trains_b.then_some(inner),
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct Operation<W>(PhantomData<W>);

/// What the gradients depend on.
#[derive(Debug, Clone)]
struct State<W> {
    product: Adapted<W>,
    dtype: DType,              // of x
    x: Option<FlexTensor>,     // for A's gradient
    inner: Option<FlexTensor>, // scale · x Aᵀ, for B's
}

impl<W: HostWeight> Backward<Flex, 3> for Operation<W> {
    type State = State<W>;

    /// `dX = G W + S A`, `dA = Sᵀ X`, `dB = Gᵀ (scale · X Aᵀ)` with `S = scale · G B`.
    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let ([x_node, a_node, b_node], state) = (ops.parents, ops.state);
        let Adapted { weight, a, b, scale } = state.product;
        let gradient = gradients.consume::<Flex>(&ops.node);
        let wide = in_f32(&gradient);
        if let Some((node, inner)) = b_node.zip(state.inner) {
            let found = Flex::float_transpose(outer(&inner, &wide)).to_contiguous();
            gradients.register::<Flex>(node.id, found);
        }
        if x_node.is_none() && a_node.is_none() {
            return;
        }
        let s = Flex::float_mul_scalar(onto_rank(&wide, &b), scale.into());
        if let Some((node, x)) = a_node.zip(state.x) {
            gradients.register::<Flex>(node.id, outer(&s, &x));
        }
        if let Some(node) = x_node {
            let update = LowRank { inner: &s, factor: &a };
            let found = weight.multiply(&wide, Side::Output, update);
            let found = Flex::float_cast(found, state.dtype.into());
            gradients.register::<Flex>(node.id, found);
        }
    }
}
