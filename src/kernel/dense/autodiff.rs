//! A kernel with its gradient as one node of burn's graph.

use super::{AffineWanted, DenseBackend, Kept, cross_entropy};
use crate::kernel::autodiff::primitive;
use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::{Int, Tensor, TensorPrimitive, module};

#[derive(Debug)]
struct Affine<const N: usize>;

impl<B: DenseBackend, const N: usize> Backward<B, 3> for Affine<N> {
    type State = (Tensor<B, N>, Tensor<B, 2>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = Tensor::<B, N>::from_primitive(TensorPrimitive::Float(grads.consume::<B>(&ops.node)));
        let (input, weight) = ops.state;
        let [of_input, of_weight, of_bias] = ops.parents;
        let wanted =
            AffineWanted { input: of_input.is_some(), weight: of_weight.is_some(), bias: of_bias.is_some() };
        let parts = B::affine_backward(input, weight, grad, wanted);
        if let (Some(parent), Some(part)) = (of_input, parts.input) {
            grads.register::<B>(parent.id, primitive(part));
        }
        if let (Some(parent), Some(part)) = (of_weight, parts.weight) {
            grads.register::<B>(parent.id, primitive(part));
        }
        if let (Some(parent), Some(part)) = (of_bias, parts.bias) {
            grads.register::<B>(parent.id, primitive(part));
        }
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl<B: DenseBackend> Backward<B, 1> for CrossEntropy {
    type State = (Tensor<B, 3>, Kept);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(grads.consume::<B>(&ops.node)));
        let (values, kept) = ops.state;
        let [of_logits] = ops.parents;
        if let Some(parent) = of_logits {
            let part = B::cross_entropy_backward(values, kept, grad);
            grads.register::<B>(parent.id, primitive(part));
        }
    }
}

impl<B: DenseBackend, C: CheckpointStrategy> DenseBackend for Autodiff<B, C> {
    fn affine<const N: usize>(
        input: Tensor<Self, N>,
        weight: Tensor<Self, 2>,
        bias: Option<Tensor<Self, 1>>,
    ) -> Tensor<Self, N> {
        if !B::FUSED {
            return module::linear(input, weight, bias);
        }
        // See the recurrent node: what is not held may be cleared away.
        let held = (input.clone(), weight.clone(), bias.clone());
        // A bias that is absent stands in the graph as a constant.
        let tracked = bias.clone().unwrap_or_else(|| Tensor::zeros([1], &weight.device()));
        let nodes = [primitive(input.clone()).node, primitive(weight.clone()).node, primitive(tracked).node];
        let (input, weight, bias) = (input.inner(), weight.inner(), bias.map(Tensor::inner));
        let output = match Affine::<N>.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let output = B::affine(input.clone(), weight.clone(), bias);
                prep.finish((input, weight), primitive(output))
            }
            OpsKind::UnTracked(prep) => prep.finish(primitive(B::affine(input, weight, bias))),
        };
        drop(held);
        Tensor::from_primitive(TensorPrimitive::Float(output))
    }

    fn cross_entropy(
        logits: Tensor<Self, 3>,
        classes: Tensor<Self, 2, Int>,
        label_smoothing: f64,
    ) -> Tensor<Self, 2> {
        if !B::FUSED {
            return cross_entropy(logits, classes, label_smoothing);
        }
        let tracked = primitive(logits);
        // See the recurrent node; the count alone, for the values may be written over.
        let (node, held) = (tracked.node, tracked.rc);
        let logits = Tensor::<B, 3>::from_primitive(TensorPrimitive::Float(tracked.primitive));
        let classes = classes.inner();
        let output = match CrossEntropy.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (output, values, kept) = B::cross_entropy_forward(logits, classes, label_smoothing);
                prep.finish((values, kept), primitive(output))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(primitive(B::cross_entropy(logits, classes, label_smoothing)))
            }
        };
        drop(held);
        Tensor::from_primitive(TensorPrimitive::Float(output))
    }
}
