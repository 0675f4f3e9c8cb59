//! The gradient of a whole sequence as one node of burn's graph.

use super::{Cell, Operands, RecurrentBackend, Saved, Sequence, Wanted};
use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

type Tracked<B, C> = FloatTensor<Autodiff<B, C>>;

#[derive(Debug)]
struct Recurrent;

impl<B: RecurrentBackend> Backward<B, 7> for Recurrent {
    type State = (Sequence, Operands<B>, Saved<B>);

    fn backward(self, ops: Ops<Self::State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = Tensor::<B, 3>::from_primitive(TensorPrimitive::Float(grads.consume::<B>(&ops.node)));
        let (sequence, operands, saved) = ops.state;
        let wanted =
            Wanted { input: ops.parents[0].is_some(), weights: ops.parents[3..].iter().any(Option::is_some) };
        let grads_of = B::recurrent_backward(&sequence, operands, saved, grad, wanted);
        let (weight_ih, weight_hh, bias_ih, bias_hh) = match grads_of.weights {
            Some(w) => (Some(w.weight_ih), Some(w.weight_hh), w.bias_ih, w.bias_hh),
            None => (None, None, None, None),
        };
        let parts = [
            grads_of.input.map(primitive),
            Some(primitive(grads_of.hidden)),
            grads_of.cell.map(primitive),
            weight_ih.map(primitive),
            weight_hh.map(primitive),
            bias_ih.map(primitive),
            bias_hh.map(primitive),
        ];
        for (parent, part) in ops.parents.into_iter().zip(parts) {
            if let (Some(parent), Some(part)) = (parent, part) {
                grads.register::<B>(parent.id, part);
            }
        }
    }
}

impl<B: RecurrentBackend, C: CheckpointStrategy> RecurrentBackend for Autodiff<B, C> {
    fn fused(cell: Cell) -> Result<(), String> {
        B::fused(cell)
    }

    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        let device = operands.input.device();
        // What is absent stands in the graph as a constant.
        let absent = || primitive(Tensor::<Self, 1>::zeros([1], &device));
        let tracked: [Tracked<B, C>; 7] = [
            primitive(operands.input.clone()),
            primitive(operands.hidden.clone()),
            operands.cell.clone().map_or_else(absent, primitive),
            primitive(operands.weight_ih.clone()),
            primitive(operands.weight_hh.clone()),
            operands.bias_ih.clone().map_or_else(absent, primitive),
            operands.bias_hh.clone().map_or_else(absent, primitive),
        ];
        let inner = Operands::<B> {
            input: operands.input.inner(),
            hidden: operands.hidden.inner(),
            cell: operands.cell.map(Tensor::inner),
            weight_ih: operands.weight_ih.inner(),
            weight_hh: operands.weight_hh.inner(),
            bias_ih: operands.bias_ih.map(Tensor::inner),
            bias_hh: operands.bias_hh.map(Tensor::inner),
        };
        let nodes = tracked.map(|tensor| tensor.node);
        let output = match Recurrent.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (packed, saved) = B::recurrent_forward(sequence, inner.clone());
                prep.finish((sequence.clone(), inner, saved), primitive(packed))
            }
            OpsKind::UnTracked(prep) => prep.finish(primitive(B::recurrent(sequence, inner))),
        };
        Tensor::from_primitive(TensorPrimitive::Float(output))
    }
}

pub(super) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}
