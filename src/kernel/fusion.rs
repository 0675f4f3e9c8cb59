//! burn's fusion over a backend with kernels.
//!
//! Fusion queues operations and puts those together that it knows. A sequence is one that it does
//! not know, in either direction: the backend below runs it when its turn comes, on tensors of its
//! own.

use super::autodiff::primitive;
use super::cube::check;
use super::{
    Cell, Gradients, Operands, Options, RecurrentBackend, SLOTS, Saved, Sequence, Slots, Wanted,
    WeightGradients, compose, composed,
};
use burn::backend::ir::{CustomOpIr, HandleContainer, OperationIr, TensorIr};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor, TensorMetadata, TensorPrimitive};
use burn_fusion::stream::{Operation, OperationStreams};
use burn_fusion::{Fusion, FusionBackend, FusionHandle, FusionTensor};
use std::array;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

impl<B: FusionBackend + RecurrentBackend> RecurrentBackend for Fusion<B> {
    fn fused(cell: Cell, options: Options) -> Result<(), String> {
        B::fused(cell, options)
    }

    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        if let Err(missing) = operands.options().none() {
            return compose(sequence, operands, &missing).0;
        }
        let shape = packed_shape(sequence, &operands);
        let (present, inputs) = list(operands.into_slots());
        let sequence = sequence.clone();
        let run =
            move |inputs| vec![primitive(B::recurrent(&sequence, from_slots::<B>(fill(present, inputs))))];
        let mut outputs = enqueue::<B>("recurrent", inputs, vec![shape], run);
        wrap(outputs.remove(0))
    }

    fn recurrent_forward(sequence: &Sequence, operands: Operands<Self>) -> (Tensor<Self, 3>, Saved<Self>) {
        if let Err(missing) = operands.options().none() {
            return compose(sequence, operands, &missing);
        }
        let shapes = vec![packed_shape(sequence, &operands), operands.hidden.shape()];
        let (present, inputs) = list(operands.into_slots());
        let sequence = sequence.clone();
        let saved = Arc::new(OnceLock::new());
        let slot = saved.clone();
        let run = move |inputs| {
            let operands = from_slots::<B>(fill(present, inputs));
            let hidden = operands.hidden.clone();
            let (packed, saved) = B::recurrent_forward(&sequence, operands);
            assert!(slot.set(saved).is_ok(), "an operation runs once");
            vec![primitive(packed), primitive(hidden)]
        };
        let mut outputs = enqueue::<B>("recurrent_forward", inputs, shapes, run);
        let token = outputs.remove(1);
        (wrap(outputs.remove(0)), Saved::Fused(Arc::new(Kept::<B> { saved, token })))
    }

    fn recurrent_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grad: Tensor<Self, 3>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        let kept = match saved {
            Saved::Fused(kept) => kept,
            Saved::Composed(saved) => return composed::backward(sequence, operands, saved, grad, wanted),
        };
        let Kept { saved, token } = kept.downcast_ref::<Kept<B>>().expect("this backend's own");
        let parts = operands.into_slots();
        let Wanted { input, weights } = wanted;
        // The kernels have no layer norm.
        let asked = [input, true, true, weights, weights, weights, weights, false, false, false, false];
        let of: Slots<Shape> =
            array::from_fn(|k| parts[k].as_ref().filter(|_| asked[k]).map(|part| part.shape()));
        let (of, shapes) = list(of);
        let (present, mut inputs) = list(parts);
        // Last, where `fill` does not come to it: only there to be waited for.
        inputs.push(token.clone());
        inputs.splice(0..0, [primitive(grad)]);
        let sequence = sequence.clone();
        let saved = saved.clone();
        let run = move |mut inputs: Vec<FloatTensor<B>>| {
            let grad = wrap(inputs.remove(0));
            let operands = from_slots::<B>(fill(present, inputs));
            let saved = saved.get().expect("the forward direction was run before").clone();
            list(B::recurrent_backward(&sequence, operands, saved, grad, wanted).into_slots()).1
        };
        let outputs = enqueue::<B>("recurrent_backward", inputs, shapes, run);
        let [input, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh, ..] = fill(of, outputs);
        Gradients {
            input: input.map(wrap),
            hidden: wrap(hidden.expect("always asked for")),
            cell: cell.map(wrap),
            weights: weight_ih.zip(weight_hh).map(|(weight_ih, weight_hh)| WeightGradients {
                weight_ih: wrap(weight_ih),
                weight_hh: wrap(weight_hh),
                bias_ih: bias_ih.map(wrap),
                bias_hh: bias_hh.map(wrap),
                norm: None,
            }),
        }
    }
}

/// What the forward direction leaves for the backward one.
struct Kept<B: FusionBackend> {
    /// There once the forward direction was run.
    saved: Arc<OnceLock<Saved<B>>>,
    /// A result of the forward direction: who reads it is run after it, on whatever thread. It is the
    /// state before the first step, which is kept anyway.
    token: FloatTensor<Fusion<B>>,
}

/// Of [`RecurrentBackend::recurrent`]'s result.
fn packed_shape<B: Backend>(sequence: &Sequence, operands: &Operands<B>) -> Shape {
    // Here and not only below, where the one who called is out of sight.
    check(sequence, operands);
    let [n_steps, batch, _] = operands.input.dims();
    Shape::from([n_steps + sequence.cell.state_rows(), batch, operands.hidden.dims()[1]])
}

/// Which parts there are, and those.
fn list<T>(parts: Slots<T>) -> ([bool; SLOTS], Vec<T>) {
    (parts.each_ref().map(Option::is_some), parts.into_iter().flatten().collect())
}

/// The inverse of [`list`].
fn fill<T>(present: [bool; SLOTS], list: Vec<T>) -> Slots<T> {
    let mut list = list.into_iter();
    present.map(|is| is.then(|| list.next().expect("as many as were listed")))
}

fn from_slots<B: Backend>(parts: Slots<FloatTensor<B>>) -> Operands<B> {
    let [input, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh, ..] = parts;
    let there = "a layer has it";
    Operands {
        input: wrap(input.expect(there)),
        hidden: wrap(hidden.expect(there)),
        cell: cell.map(wrap),
        weight_ih: wrap(weight_ih.expect(there)),
        weight_hh: wrap(weight_hh.expect(there)),
        bias_ih: bias_ih.map(wrap),
        bias_hh: bias_hh.map(wrap),
        norm: None,
        zoneout: None,
    }
}

fn wrap<B: Backend, const D: usize>(tensor: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}

/// Queues `run`, which turns the inputs into outputs of these shapes.
fn enqueue<B: FusionBackend>(
    name: &'static str,
    inputs: Vec<FloatTensor<Fusion<B>>>,
    shapes: Vec<Shape>,
    run: impl Fn(Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> + Send + Sync + 'static,
) -> Vec<FloatTensor<Fusion<B>>> {
    let client = inputs[0].client.clone();
    let dtype = inputs[0].dtype;
    let streams = OperationStreams::with_inputs(&inputs);
    let inputs: Vec<_> = inputs.into_iter().map(FusionTensor::into_ir).collect();
    let outputs: Vec<_> = shapes
        .into_iter()
        .map(|shape| TensorIr::uninit(client.create_empty_handle(), shape, dtype))
        .collect();
    let ir = CustomOpIr::new(name, &inputs, &outputs);
    client.register(
        streams,
        OperationIr::Custom(ir.clone()),
        Queued::<B, _> { ir, run, backend: PhantomData },
    )
}

/// An operation that the backend `B` runs.
struct Queued<B, F> {
    ir: CustomOpIr,
    run: F,
    backend: PhantomData<B>,
}

impl<B, F> fmt::Debug for Queued<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ir.fmt(f)
    }
}

impl<B: FusionBackend, F> Operation<B::FusionRuntime> for Queued<B, F>
where
    F: Fn(Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> + Send + Sync,
{
    fn execute(&self, handles: &mut HandleContainer<FusionHandle<B::FusionRuntime>>) {
        let inputs = self.ir.inputs.iter().map(|input| handles.get_float_tensor::<B>(input)).collect();
        let outputs = (self.run)(inputs);
        assert_eq!(outputs.len(), self.ir.outputs.len(), "outputs of {}", self.ir.id);
        for (output, tensor) in self.ir.outputs.iter().zip(outputs) {
            handles.register_float_tensor::<B>(&output.id, tensor);
        }
    }
}
