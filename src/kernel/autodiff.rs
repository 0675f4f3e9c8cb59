//! The gradient of a whole sequence as one node of burn's graph.

use super::{
    Cell, Keep, Norm, Operands, Options, Parts, RecurrentBackend, SLOTS, Saved, Sequence, Wanted, Zoneout,
};
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

impl<B: RecurrentBackend> Backward<B, SLOTS> for Recurrent {
    type State = (Sequence, Operands<B>, Saved<B>);

    fn backward(self, ops: Ops<Self::State, SLOTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = tensor(grads.consume::<B>(&ops.node));
        let (sequence, operands, saved) = ops.state;
        let wanted =
            Wanted { input: ops.parents[0].is_some(), weights: ops.parents[3..].iter().any(Option::is_some) };
        let parts = B::recurrent_backward(&sequence, operands, saved, grad, wanted).into_slots();
        for (parent, part) in ops.parents.into_iter().zip(parts) {
            if let (Some(parent), Some(part)) = (parent, part) {
                grads.register::<B>(parent.id, part);
            }
        }
    }
}

impl<B: RecurrentBackend, C: CheckpointStrategy> RecurrentBackend for Autodiff<B, C> {
    fn fused(cell: Cell, options: Options) -> Result<(), String> {
        B::fused(cell, options)
    }

    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        // burn may clear away a node that nobody holds while another thread goes back through a graph.
        let held = operands.clone();
        let (tracked, inner) = below(operands);
        let nodes = tracked.map(|tensor| tensor.node);
        let output = match Recurrent.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (packed, saved) = B::recurrent_forward(sequence, inner.clone());
                prep.finish((sequence.clone(), inner, saved), primitive(packed))
            }
            OpsKind::UnTracked(prep) => prep.finish(primitive(B::recurrent(sequence, inner))),
        };
        drop(held);
        tensor(output)
    }

    fn take_apart(packed: Tensor<Self, 3>, cell: Cell) -> Parts<Self> {
        let output = match Output.prepare::<C>([primitive(packed.clone()).node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(cell.state_rows(), primitive(B::take_apart(packed.clone().inner(), cell).output))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(primitive(B::take_apart(packed.clone().inner(), cell).output))
            }
        };
        Parts::with_output(tensor(output), packed, cell)
    }
}

/// The outputs of a packed result, which may share its memory: a slice would be a copy.
#[derive(Debug)]
struct Output;

impl<B: RecurrentBackend> Backward<B, 1> for Output {
    /// Rows of final states, which no gradient of the outputs goes to.
    type State = usize;

    fn backward(self, ops: Ops<usize, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad: Tensor<B, 3> = tensor(grads.consume::<B>(&ops.node));
        let [Some(packed)] = ops.parents else { return };
        let [_, batch, d_hidden] = grad.dims();
        let states = Tensor::zeros([ops.state, batch, d_hidden], &grad.device());
        grads.register::<B>(packed.id, primitive(Tensor::cat(vec![grad, states], 0)));
    }
}

fn inner_keep<B: Backend, C: CheckpointStrategy>(keep: Keep<Autodiff<B, C>>) -> Keep<B> {
    match keep {
        Keep::Nothing => Keep::Nothing,
        Keep::Share(share) => Keep::Share(share),
        Keep::Mask(mask) => Keep::Mask(mask.inner()),
    }
}

/// The operands' nodes, and the operands on the backend below.
fn below<B: RecurrentBackend, C: CheckpointStrategy>(
    operands: Operands<Autodiff<B, C>>,
) -> ([Tracked<B, C>; SLOTS], Operands<B>) {
    let device = operands.input.device();
    // What is absent stands in the graph as a constant.
    let absent = || primitive(Tensor::<Autodiff<B, C>, 1>::zeros([1], &device));
    let tracked = operands.clone().into_slots().map(|part| part.unwrap_or_else(absent));
    let inner = Operands::<B> {
        input: operands.input.inner(),
        hidden: operands.hidden.inner(),
        cell: operands.cell.map(Tensor::inner),
        weight_ih: operands.weight_ih.inner(),
        weight_hh: operands.weight_hh.inner(),
        bias_ih: operands.bias_ih.map(Tensor::inner),
        bias_hh: operands.bias_hh.map(Tensor::inner),
        norm: operands.norm.map(|norm| Norm {
            gain_ih: norm.gain_ih.inner(),
            gain_hh: norm.gain_hh.inner(),
            gain_cell: norm.gain_cell.map(Tensor::inner),
            bias_cell: norm.bias_cell.map(Tensor::inner),
        }),
        zoneout: operands
            .zoneout
            .map(|zoneout| Zoneout { hidden: inner_keep(zoneout.hidden), cell: inner_keep(zoneout.cell) }),
    };
    (tracked, inner)
}

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

pub(super) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}
