//! burn-ndarray: the CPU's kernels on the tensors' own memory.

use super::cpu::{self, Dispatch, Inputs, Kept, Plan};
use super::{
    Cell, Gradients, Operands, RecurrentBackend, Saved, Sequence, Wanted, WeightGradients, composed,
};
use crate::config::Kernel;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};
use burn_ndarray::{
    FloatNdArrayElement, IntNdArrayElement, NdArray, NdArrayTensor, QuantElement, SharedArray,
};
use ndarray::{ArcArray, ArrayView, IxDyn};
use std::borrow::Cow;
use std::sync::Arc;

impl<E: FloatNdArrayElement, I: IntNdArrayElement, Q: QuantElement> RecurrentBackend for NdArray<E, I, Q>
where
    NdArrayTensor: From<SharedArray<E>> + From<SharedArray<I>>,
    Self: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    fn fused(_: Cell) -> Result<(), String> {
        Ok(())
    }

    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        match Type::of(sequence, &operands) {
            Type::F32 => forward::<Self, f32>(sequence, operands, false).0,
            Type::F64 => forward::<Self, f64>(sequence, operands, false).0,
            Type::Other => composed::forward(sequence, operands).0,
        }
    }

    fn recurrent_forward(sequence: &Sequence, operands: Operands<Self>) -> (Tensor<Self, 3>, Saved<Self>) {
        match Type::of(sequence, &operands) {
            Type::F32 => forward::<Self, f32>(sequence, operands, true),
            Type::F64 => forward::<Self, f64>(sequence, operands, true),
            Type::Other => {
                let (packed, saved) = composed::forward(sequence, operands);
                (packed, Saved::Composed(saved))
            }
        }
    }

    fn recurrent_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grad: Tensor<Self, 3>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        match saved {
            Saved::Composed(saved) => composed::backward(sequence, operands, saved, grad, wanted),
            Saved::Fused(saved) => match saved.downcast::<Run<f32>>() {
                Ok(run) => backward::<Self, f32>(sequence, operands, run, grad, wanted),
                Err(saved) => {
                    let run = saved.downcast::<Run<f64>>().expect("kernels run on f32 or f64");
                    backward::<Self, f64>(sequence, operands, run, grad, wanted)
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
    sizes: [usize; 4],
}

impl Held {
    fn new<B: Backend<FloatTensorPrimitive = NdArrayTensor>>(operands: &Operands<B>) -> Self {
        let [n_steps, batch, d_input] = operands.input.dims();
        let [_, d_hidden] = operands.hidden.dims();
        Self {
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
        let [input, hidden, weight_ih, weight_hh] = self.tensors.each_ref().map(values::<T>);
        let [cell, bias_ih, bias_hh] =
            self.optional.each_ref().map(|tensor| tensor.as_ref().map(values::<T>));
        run(&Inputs {
            n_steps,
            batch,
            d_input,
            d_hidden,
            input: &input,
            hidden: &hidden,
            cell: cell.as_deref(),
            weight_ih: &weight_ih,
            weight_hh: &weight_hh,
            bias_ih: bias_ih.as_deref(),
            bias_hh: bias_hh.as_deref(),
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

fn backward<B: Backend<FloatTensorPrimitive = NdArrayTensor>, T: Element>(
    sequence: &Sequence,
    operands: Operands<B>,
    run: Arc<Run<T>>,
    grad: Tensor<B, 3>,
    wanted: Wanted,
) -> Gradients<B> {
    let held = Held::new(&operands);
    let [n_steps, batch, d_input, d_hidden] = held.sizes;
    let Run { packed, kept } = Arc::unwrap_or_clone(run);
    let grad = primitive(&grad);
    let grads = held.with(|inputs: &Inputs<T>| {
        cpu::backward(sequence, inputs, kept, &values(&packed), &values(&grad), wanted)
    });
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
        }),
    }
}
