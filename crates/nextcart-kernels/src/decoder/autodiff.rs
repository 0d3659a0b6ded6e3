//! The backward passes.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, TensorMetadata};

use super::backend::{DecoderBackend, DecoderGradients};
use super::plain;

impl<B: DecoderGradients, C: CheckpointStrategy> DecoderBackend for Autodiff<B, C> {
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct RmsNorm;

        impl<B: DecoderGradients> Backward<B, 2> for RmsNorm {
            type State = (FloatTensor<B>, FloatTensor<B>, f64);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let ([x_node, gamma_node], (x, gamma, epsilon)) = (ops.parents, ops.state);
                let gradient = gradients.consume::<B>(&ops.node);
                if let Some(node) = gamma_node {
                    let found = plain::rms_norm_gamma::<B>(x.clone(), epsilon, gradient.clone());
                    let found = B::float_cast(found, gamma.dtype().into());
                    gradients.register::<B>(node.id, found);
                }
                if let Some(node) = x_node {
                    let found = B::rms_norm_input(x, gamma, epsilon, gradient);
                    gradients.register::<B>(node.id, found);
                }
            }
        }

        let nodes = [x.node(), gamma.node()];
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        let output = B::rms_norm(x.clone(), gamma.clone(), epsilon);
        match RmsNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, gamma, epsilon), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Swiglu;

        impl<B: DecoderGradients> Backward<B, 2> for Swiglu {
            type State = (FloatTensor<B>, FloatTensor<B>);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let ([gate_node, up_node], (gate, up)) = (ops.parents, ops.state);
                let gradient = gradients.consume::<B>(&ops.node);
                let (of_gate, of_up) = B::swiglu_inputs(gate, up, gradient);
                for (node, found) in [(gate_node, of_gate), (up_node, of_up)] {
                    if let Some(node) = node {
                        gradients.register::<B>(node.id, found);
                    }
                }
            }
        }

        let nodes = [gate.node(), up.node()];
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        let output = B::swiglu(gate.clone(), up.clone());
        match Swiglu.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((gate, up), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn rotate_heads(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct RotateHeads;

        impl<B: DecoderGradients> Backward<B, 1> for RotateHeads {
            type State = (FloatTensor<B>, FloatTensor<B>);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let ([node], (cos, sin)) = (ops.parents, ops.state);
                let gradient = gradients.consume::<B>(&ops.node);
                if let Some(node) = node {
                    let found = B::rotate_heads_input(gradient, cos, sin);
                    gradients.register::<B>(node.id, found);
                }
            }
        }

        let nodes = [x.node()];
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        let output = B::rotate_heads(x.into_primitive(), cos.clone(), sin.clone());
        match RotateHeads.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((cos, sin), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn masked_softmax(
        scores: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct MaskedSoftmax;

        impl<B: DecoderGradients> Backward<B, 1> for MaskedSoftmax {
            type State = (FloatTensor<B>, f64);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let ([node], (weights, scale)) = (ops.parents, ops.state);
                let gradient = gradients.consume::<B>(&ops.node);
                if let Some(node) = node {
                    let found = B::masked_softmax_scores(weights, scale, gradient);
                    gradients.register::<B>(node.id, found);
                }
            }
        }

        let nodes = [scores.node()];
        let output = B::masked_softmax(scores.into_primitive(), bias.into_primitive(), scale);
        match MaskedSoftmax.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((output.clone(), scale), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
