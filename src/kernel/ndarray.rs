//! burn-ndarray: the CPU's kernels on the tensors' own memory.

use super::cpu::{self, Dispatch, Gains, Grad, Inputs, Kept, Plan, Rows};
use super::{
    Cell, Gradients, Keep, Norm, Operands, Options, PartGradients, Parts, RecurrentBackend, Saved, Sequence,
    Wanted, WeightGradients, Weights, compose, composed,
};
use crate::config::Kernel;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};
use burn_ndarray::{
    FloatNdArrayElement, IntNdArrayElement, NdArray, NdArrayTensor, QuantElement, SharedArray,
};
use ndarray::{ArcArray, ArrayView, Axis, IxDyn, Slice};
use std::borrow::Cow;
use std::sync::Arc;

impl<E: FloatNdArrayElement, I: IntNdArrayElement, Q: QuantElement> RecurrentBackend for NdArray<E, I, Q>
where
    NdArrayTensor: From<SharedArray<E>> + From<SharedArray<I>>,
    Self: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    fn fused(_: Cell, _: Options) -> Result<(), String> {
        Ok(())
    }

    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        match Type::of(sequence, &operands) {
            Type::F32 => forward::<Self, f32>(sequence, operands, false).0,
            Type::F64 => forward::<Self, f64>(sequence, operands, false).0,
            Type::Other => compose(sequence, operands, NO_TYPE).0,
        }
    }

    fn recurrent_forward(sequence: &Sequence, operands: Operands<Self>) -> (Tensor<Self, 3>, Saved<Self>) {
        match Type::of(sequence, &operands) {
            Type::F32 => forward::<Self, f32>(sequence, operands, true),
            Type::F64 => forward::<Self, f64>(sequence, operands, true),
            Type::Other => compose(sequence, operands, NO_TYPE),
        }
    }

    fn stack_step(
        sequence: &Sequence,
        layers: &[Weights<Self>],
        input: &Tensor<Self, 2>,
        hidden: &Tensor<Self, 3>,
        cell: Option<&Tensor<Self, 3>>,
    ) -> Option<(Tensor<Self, 3>, Option<Tensor<Self, 3>>)> {
        match primitive(input) {
            _ if sequence.kernel == Kernel::Reference => None,
            NdArrayTensor::F32(_) => Some(step::<Self, f32>(sequence, layers, input, hidden, cell)),
            NdArrayTensor::F64(_) => Some(step::<Self, f64>(sequence, layers, input, hidden, cell)),
            _ => None,
        }
    }

    fn recurrent_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grad: Tensor<Self, 3>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        let Parts { output, hidden, cell } = Self::take_apart(grad, sequence.cell);
        let grads = PartGradients { output: Some(output), hidden: Some(hidden), cell };
        Self::recurrent_parts_backward(sequence, operands, saved, grads, wanted)
    }

    fn take_apart(packed: Tensor<Self, 3>, cell: Cell) -> Parts<Self> {
        match primitive(&packed) {
            NdArrayTensor::F32(_) => take_apart::<Self, f32>(packed, cell),
            NdArrayTensor::F64(_) => take_apart::<Self, f64>(packed, cell),
            _ => Parts::of(packed, cell),
        }
    }

    fn recurrent_parts_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grads: PartGradients<Self>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        match saved {
            Saved::Composed(saved) => {
                let grad = grads.packed(sequence, &operands);
                composed::backward(sequence, operands, saved, grad, wanted)
            }
            Saved::Fused(saved) => match saved.downcast::<Run<f32>>() {
                Ok(run) => backward::<Self, f32>(sequence, operands, run, &grads, wanted),
                Err(saved) => {
                    let run = saved.downcast::<Run<f64>>().expect("kernels run on f32 or f64");
                    backward::<Self, f64>(sequence, operands, run, &grads, wanted)
                }
            },
        }
    }
}

/// What a forward pass leaves: its result, and what the kernel kept.
#[derive(Clone)]
struct Run<T: Copy> {
    packed: NdArrayTensor,
    kept: Kept<T>,
}

const NO_TYPE: &str = "tensors must be of f32 or f64";

enum Type {
    F32,
    F64,
    /// No kernel, or none wanted.
    Other,
}

impl Type {
    fn of<B: Backend<FloatTensorPrimitive = NdArrayTensor>>(
        sequence: &Sequence,
        operands: &Operands<B>,
    ) -> Self {
        match primitive(&operands.input) {
            _ if sequence.kernel == Kernel::Reference => Self::Other,
            NdArrayTensor::F32(_) => Self::F32,
            NdArrayTensor::F64(_) => Self::F64,
            _ => Self::Other,
        }
    }
}

/// A float that burn-ndarray's tensors and the kernels have in common.
pub(super) trait Element: Dispatch {
    fn view(tensor: &NdArrayTensor) -> ArrayView<'_, Self, IxDyn>;
    fn array(tensor: NdArrayTensor) -> SharedArray<Self>;
    fn tensor(array: SharedArray<Self>) -> NdArrayTensor;
}

macro_rules! element {
    ($t:ty, $kind:ident) => {
        impl Element for $t {
            fn view(tensor: &NdArrayTensor) -> ArrayView<'_, Self, IxDyn> {
                match tensor {
                    NdArrayTensor::$kind(storage) => storage.view(),
                    other => panic!("a layer's tensors are of one type, not {other:?}"),
                }
            }

            fn array(tensor: NdArrayTensor) -> SharedArray<Self> {
                match tensor {
                    NdArrayTensor::$kind(storage) => storage.into_owned(),
                    other => panic!("a layer's tensors are of one type, not {other:?}"),
                }
            }

            fn tensor(array: SharedArray<Self>) -> NdArrayTensor {
                array.into()
            }
        }
    };
}

element!(f32, F32);
element!(f64, F64);

pub(super) fn primitive<B: Backend<FloatTensorPrimitive = NdArrayTensor>, const D: usize>(
    tensor: &Tensor<B, D>,
) -> NdArrayTensor {
    tensor.clone().into_primitive().tensor()
}

fn values<T: Element>(tensor: &NdArrayTensor) -> Cow<'_, [T]> {
    contiguous(T::view(tensor))
}

/// The rows of a `[T, B, ·]` tensor, and how far they are from step to step and from sequence to
/// sequence: without a copy where they lie anywhere together, and one row where all are the same.
fn rows<T: Element>(tensor: &NdArrayTensor) -> (Cow<'_, [T]>, [usize; 2]) {
    let view = T::view(tensor);
    let [n_steps, batch, d] = [0, 1, 2].map(|axis| view.shape()[axis]);
    let in_order = [batch * d, d];
    if let &[0, 0, _] = view.strides()
        && n_steps * batch > 0
    {
        return (contiguous(view.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0).into_dyn()), [0, 0]);
    }
    let &[step, sequence, value] = view.strides() else { unreachable!("three axes") };
    let stride =
        |n: usize, stride: isize, else_: usize| if n > 1 { usize::try_from(stride) } else { Ok(else_) };
    match (
        stride(n_steps, step, in_order[0]),
        stride(batch, sequence, in_order[1]),
        view.to_slice_memory_order(),
    ) {
        (Ok(step), Ok(sequence), Some(values)) if value == 1 || d == 1 => {
            (Cow::Borrowed(values), [step, sequence])
        }
        _ => (contiguous(view), in_order),
    }
}

/// Values in row-major order.
pub(super) fn contiguous<T: Element>(view: ArrayView<'_, T, IxDyn>) -> Cow<'_, [T]> {
    match view.to_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => {
            // Rows are copied whole where they lie together: batch and time have changed places.
            let mut all = Vec::with_capacity(view.len());
            for row in view.rows() {
                match row.as_slice() {
                    Some(row) => all.extend_from_slice(row),
                    None => all.extend(row),
                }
            }
            Cow::Owned(all)
        }
    }
}

pub(super) fn tensor<B: Backend<FloatTensorPrimitive = NdArrayTensor>, T: Element, const D: usize>(
    values: Vec<T>,
    shape: [usize; D],
) -> Tensor<B, D> {
    let array = ArcArray::from_shape_vec(IxDyn(&shape), values).expect("a kernel's result has its shape");
    Tensor::from_primitive(TensorPrimitive::Float(T::tensor(array)))
}

/// A layer's tensors, held so that their memory can be borrowed.
struct Held {
    tensors: [NdArrayTensor; 4],
    optional: [Option<NdArrayTensor>; 3],
    /// Both products' gains, the cell state's gain and bias.
    norm: [Option<NdArrayTensor>; 4],
    /// As [`Inputs`] has them.
    zoneout: [Option<NdArrayTensor>; 2],
    sizes: [usize; 4],
}

impl Held {
    fn new<B: Backend<FloatTensorPrimitive = NdArrayTensor>>(operands: &Operands<B>) -> Self {
        let [n_steps, batch, d_input] = operands.input.dims();
        let [_, d_hidden] = operands.hidden.dims();
        let shares = |keep: &Keep<B>| match keep {
            Keep::Nothing => None,
            Keep::Share(share) => Some(primitive(&operands.hidden.full_like(*share).slice([0..1]))),
            Keep::Mask(mask) => Some(primitive(mask)),
        };
        let zoneout = operands.zoneout.as_ref();
        let norm = operands.norm.as_ref();
        Self {
            norm: [
                norm.map(|norm| primitive(&norm.gain_ih)),
                norm.map(|norm| primitive(&norm.gain_hh)),
                norm.and_then(|norm| norm.gain_cell.as_ref()).map(primitive),
                norm.and_then(|norm| norm.bias_cell.as_ref()).map(primitive),
            ],
            zoneout: [zoneout.and_then(|z| shares(&z.hidden)), zoneout.and_then(|z| shares(&z.cell))],
            sizes: [n_steps, batch, d_input, d_hidden],
            tensors: [
                primitive(&operands.input),
                primitive(&operands.hidden),
                primitive(&operands.weight_ih),
                primitive(&operands.weight_hh),
            ],
            optional: [
                operands.cell.as_ref().map(primitive),
                operands.bias_ih.as_ref().map(primitive),
                operands.bias_hh.as_ref().map(primitive),
            ],
        }
    }

    fn with<T: Element, R>(&self, run: impl FnOnce(&Inputs<T>) -> R) -> R {
        let [n_steps, batch, d_input, d_hidden] = self.sizes;
        let [input, tensors @ ..] = &self.tensors;
        let (input, strides) = rows::<T>(input);
        let [hidden, weight_ih, weight_hh] = tensors.each_ref().map(values::<T>);
        fn all<T: Element, const N: usize>(
            tensors: &[Option<NdArrayTensor>; N],
        ) -> [Option<Cow<'_, [T]>>; N] {
            tensors.each_ref().map(|tensor| tensor.as_ref().map(values::<T>))
        }
        let [cell, bias_ih, bias_hh] = all(&self.optional);
        let (norm, zoneout) = (all(&self.norm), all(&self.zoneout));
        let [gain_ih, gain_hh, gain_cell, bias_cell] = norm.each_ref().map(Option::as_deref);
        run(&Inputs {
            n_steps,
            batch,
            d_input,
            d_hidden,
            input: Rows { values: &input, strides },
            hidden: &hidden,
            cell: cell.as_deref(),
            weight_ih: &weight_ih,
            weight_hh: &weight_hh,
            bias_ih: bias_ih.as_deref(),
            bias_hh: bias_hh.as_deref(),
            norm: gain_ih.zip(gain_hh).map(|(input, recurrent)| Gains {
                input,
                recurrent,
                cell: gain_cell,
                cell_bias: bias_cell,
            }),
            zoneout: zoneout.each_ref().map(Option::as_deref),
        })
    }
}

fn forward<B: Backend<FloatTensorPrimitive = NdArrayTensor>, T: Element>(
    sequence: &Sequence,
    operands: Operands<B>,
    keep: bool,
) -> (Tensor<B, 3>, Saved<B>) {
    let held = Held::new(&operands);
    let [n_steps, batch, _, d_hidden] = held.sizes;
    let (packed, kept) =
        held.with(|inputs: &Inputs<T>| cpu::forward(Plan::default(), sequence, inputs, keep));
    let packed: Tensor<B, 3> = tensor(packed, [n_steps + sequence.cell.state_rows(), batch, d_hidden]);
    let saved = kept.map_or_else(
        || Saved::Fused(Arc::new(())),
        |kept| Saved::Fused(Arc::new(Run { packed: primitive(&packed), kept })),
    );
    (packed, saved)
}

/// A stream's step: of the tensors that whole sequences go through nothing but the states is made.
fn step<B: Backend<FloatTensorPrimitive = NdArrayTensor>, T: Element>(
    sequence: &Sequence,
    layers: &[Weights<B>],
    input: &Tensor<B, 2>,
    hidden: &Tensor<B, 3>,
    cell: Option<&Tensor<B, 3>>,
) -> (Tensor<B, 3>, Option<Tensor<B, 3>>) {
    let [n_layers, batch, d_hidden] = hidden.dims();
    let size = batch * d_hidden;
    let states = [Some(primitive(hidden)), cell.map(primitive)];
    let [hidden, cell] = states.each_ref().map(|state| state.as_ref().map(values::<T>));
    let hidden = hidden.expect("every cell has a hidden state");
    let input = primitive(input);
    let input = values::<T>(&input);
    let mut after = [Vec::with_capacity(n_layers * size), Vec::new()];
    for (k, weights) in layers.iter().enumerate() {
        let own = k * size..(k + 1) * size;
        let [weight_ih, weight_hh] = [&weights.weight_ih, &weights.weight_hh].map(primitive);
        let biases = [&weights.bias_ih, &weights.bias_hh].map(|bias| bias.as_ref().map(primitive));
        let [bias_ih, bias_hh] = biases.each_ref().map(|bias| bias.as_ref().map(values::<T>));
        let input = if k == 0 { &input[..] } else { &after[0][own.start - size..own.start] };
        let d_input = input.len() / batch;
        let (packed, _) = cpu::forward(
            Plan::default(),
            sequence,
            &Inputs {
                n_steps: 1,
                batch,
                d_input,
                d_hidden,
                input: Rows { values: input, strides: [batch * d_input, d_input] },
                hidden: &hidden[own.clone()],
                cell: cell.as_deref().map(|cell| &cell[own]),
                weight_ih: &values::<T>(&weight_ih),
                weight_hh: &values::<T>(&weight_hh),
                bias_ih: bias_ih.as_deref(),
                bias_hh: bias_hh.as_deref(),
                norm: None,
                zoneout: [None, None],
            },
            false,
        );
        // The step's output, which is its hidden state, stands before the states.
        for (after, state) in after.iter_mut().zip(packed[size..].chunks_exact(size)) {
            after.extend_from_slice(state);
        }
    }
    let shape = [n_layers, batch, d_hidden];
    let [hidden, cell] = after;
    (tensor(hidden, shape), sequence.cell.has_cell_state().then(|| tensor(cell, shape)))
}

/// The outputs share the result's memory; the final states, which may live long, do not.
fn take_apart<B: Backend<FloatTensorPrimitive = NdArrayTensor>, T: Element>(
    packed: Tensor<B, 3>,
    cell: Cell,
) -> Parts<B> {
    let [rows, batch, d_hidden] = packed.dims();
    let n_steps = rows - cell.state_rows();
    let mut packed = T::array(packed.into_primitive().tensor());
    let state = |row: usize| {
        let row = packed.index_axis(Axis(0), row);
        tensor(contiguous(row).into_owned(), [batch, d_hidden])
    };
    let hidden = state(n_steps);
    let cell = cell.has_cell_state().then(|| state(n_steps + 1));
    packed.slice_axis_inplace(Axis(0), Slice::from(..n_steps));
    Parts { output: Tensor::from_primitive(TensorPrimitive::Float(T::tensor(packed))), hidden, cell }
}

fn backward<B: Backend<FloatTensorPrimitive = NdArrayTensor>, T: Element>(
    sequence: &Sequence,
    operands: Operands<B>,
    run: Arc<Run<T>>,
    grads: &PartGradients<B>,
    wanted: Wanted,
) -> Gradients<B> {
    let held = Held::new(&operands);
    let [n_steps, batch, d_input, d_hidden] = held.sizes;
    let Run { packed, kept } = Arc::unwrap_or_clone(run);
    let output = grads.output.as_ref().map(primitive);
    let output = output.as_ref().map(rows::<T>);
    let states = [&grads.hidden, &grads.cell].map(|grad| grad.as_ref().map(primitive));
    let [hidden, cell] = states.each_ref().map(|grad| grad.as_ref().map(values::<T>));
    let grad = Grad {
        output: output.as_ref().map(|(values, strides)| Rows { values, strides: *strides }),
        hidden: hidden.as_deref(),
        cell: cell.as_deref(),
    };
    let grads =
        held.with(|inputs: &Inputs<T>| cpu::backward(sequence, inputs, kept, &values(&packed), grad, wanted));
    let rows = sequence.cell.gates() * d_hidden;
    let bias = |like: &Option<Tensor<B, 1>>, values: Vec<T>| like.as_ref().map(|_| tensor(values, [rows]));
    Gradients {
        input: wanted.input.then(|| tensor(grads.input, [n_steps, batch, d_input])),
        hidden: tensor(grads.hidden, [batch, d_hidden]),
        cell: operands.cell.as_ref().map(|_| tensor(grads.cell, [batch, d_hidden])),
        weights: wanted.weights.then(|| WeightGradients {
            weight_ih: tensor(grads.weight_ih, [rows, d_input]),
            weight_hh: tensor(grads.weight_hh, [rows, d_hidden]),
            bias_ih: bias(&operands.bias_ih, grads.bias_ih),
            bias_hh: bias(&operands.bias_hh, grads.bias_hh),
            norm: operands.norm.as_ref().map(|norm| Norm {
                gain_ih: tensor(grads.gain_ih, [rows]),
                gain_hh: tensor(grads.gain_hh, [rows]),
                gain_cell: norm.gain_cell.as_ref().map(|_| tensor(grads.gain_cell, [d_hidden])),
                bias_cell: norm.bias_cell.as_ref().map(|_| tensor(grads.bias_cell, [d_hidden])),
            }),
        }),
    }
}
