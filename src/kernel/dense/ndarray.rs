//! burn-ndarray: kernels on the tensors' own memory.

use super::{AdamStep, AffineGradients, AffineWanted, DenseBackend, Kept};
use crate::kernel::cpu::{self, Buffer, Change, Crew, Matrix, Norm, Targets};
use crate::kernel::ndarray::{Element, contiguous, primitive, tensor};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Tensor, TensorPrimitive};
use burn_ndarray::{
    FloatNdArrayElement, IntNdArrayElement, NdArray, NdArrayTensor, QuantElement, SharedArray,
};
use ndarray::{ArcArray, ArrayView, IxDyn};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

/// Runs `$run` with `$t` the type of `$tensor`'s values.
macro_rules! by_type {
    ($tensor:expr, $t:ident => $run:expr) => {
        match $tensor.dtype() {
            DType::F32 => {
                type $t = f32;
                $run
            }
            DType::F64 => {
                type $t = f64;
                $run
            }
            other => panic!("ndarray's kernels are of f32 and f64, not of {other:?}"),
        }
    };
}

impl<E: FloatNdArrayElement, I: IntNdArrayElement, Q: QuantElement> DenseBackend for NdArray<E, I, Q>
where
    NdArrayTensor: From<SharedArray<E>> + From<SharedArray<I>>,
    Self: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    const FUSED: bool = true;

    fn affine<const N: usize>(
        input: Tensor<Self, N>,
        weight: Tensor<Self, 2>,
        bias: Option<Tensor<Self, 1>>,
    ) -> Tensor<Self, N> {
        by_type!(input, T => affine::<Self, T, N>(input, weight, bias))
    }

    fn affine_backward<const N: usize>(
        input: Tensor<Self, N>,
        weight: Tensor<Self, 2>,
        grad: Tensor<Self, N>,
        wanted: AffineWanted,
    ) -> AffineGradients<Self, N> {
        by_type!(input, T => affine_backward::<Self, T, N>(input, weight, grad, wanted))
    }

    fn cross_entropy_forward(
        logits: Tensor<Self, 3>,
        classes: Tensor<Self, 2, Int>,
        label_smoothing: f64,
    ) -> (Tensor<Self, 2>, Tensor<Self, 3>, Kept) {
        by_type!(logits, T => cross_entropy::<Self, T>(logits, classes, label_smoothing))
    }

    fn cross_entropy_backward(values: Tensor<Self, 3>, kept: Kept, grad: Tensor<Self, 2>) -> Tensor<Self, 3> {
        by_type!(values, T => cross_entropy_backward::<Self, T>(values, &kept, grad))
    }

    fn adam<const N: usize>(
        step: &AdamStep,
        param: Tensor<Self, N>,
        grad: Tensor<Self, N>,
        moments: Option<[Tensor<Self, N>; 2]>,
    ) -> (Tensor<Self, N>, [Tensor<Self, N>; 2]) {
        by_type!(param, T => adam::<Self, T, N>(step, param, grad, moments))
    }

    fn sum_of_squares<const N: usize>(tensor: Tensor<Self, N>) -> Tensor<Self, 1> {
        by_type!(tensor, T => sum_of_squares::<Self, T, N>(tensor))
    }

    fn scale<const N: usize>(tensor: Tensor<Self, N>, factor: f64) -> Tensor<Self, N> {
        by_type!(tensor, T => scale::<Self, T, N>(tensor, factor))
    }
}

/// The axes from the slowest to the fastest, where nothing has to be moved to have the last one
/// last and unbroken; else as they are.
fn axes<T>(view: &ArrayView<T, IxDyn>) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..view.ndim()).collect();
    let last = view.ndim() - 1;
    let strides = view.strides();
    let unbroken = view.shape()[last] <= 1 || strides[last] == 1;
    if unbroken && strides.iter().all(|&stride| stride >= 0) && view.as_slice_memory_order().is_some() {
        axes[..last].sort_by_key(|&axis| Reverse(strides[axis]));
    }
    axes
}

/// A tensor's values, its axes in this order.
fn in_order<'a, T: Element>(tensor: &'a NdArrayTensor, axes: &[usize]) -> Cow<'a, [T]> {
    contiguous(T::view(tensor).permuted_axes(axes))
}

/// An array of `shape` whose values have the axes in this order.
fn from_order<T: Element>(values: Vec<T>, shape: &[usize], axes: &[usize]) -> SharedArray<T> {
    let permuted: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let mut back = vec![0; axes.len()];
    for (k, &axis) in axes.iter().enumerate() {
        back[axis] = k;
    }
    let array = ArcArray::from_shape_vec(IxDyn(&permuted), values).expect("a kernel's result has its shape");
    array.permuted_axes(back)
}

fn wrap<B, T: Element, const N: usize>(array: SharedArray<T>) -> Tensor<B, N>
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    Tensor::from_primitive(TensorPrimitive::Float(T::tensor(array)))
}

/// The values of a weight `[D, O]` as they lie, and whether that is column by column: a transposed weight, which an
/// embedding shares with a head, is not copied.
fn as_it_lies<T: Element>(weight: &NdArrayTensor) -> (Cow<'_, [T]>, bool) {
    match T::view(weight).reversed_axes().to_slice() {
        Some(values) => (Cow::Borrowed(values), true),
        None => (in_order::<T>(weight, &[0, 1]), false),
    }
}

fn weight_matrix<'a, T: Clone>(
    (values, by_columns): &'a (Cow<'_, [T]>, bool),
    [d_input, d_output]: [usize; 2],
) -> Matrix<'a, T> {
    match by_columns {
        true => Matrix::new(values, [d_output, d_input]).transposed(),
        false => Matrix::new(values, [d_input, d_output]),
    }
}

fn affine<B, T: Element, const N: usize>(
    input: Tensor<B, N>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, N>
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    let mut shape = input.dims();
    let [d_input, d_output] = weight.dims();
    let rows = shape[..N - 1].iter().product();
    assert_eq!(shape[N - 1], d_input, "a linear layer of {d_input} features reads an input {shape:?}");
    let [input, weight] = [primitive(&input), primitive(&weight)];
    let bias = bias.as_ref().map(primitive);
    let axes = axes(&T::view(&input));
    let (x, w) = (in_order::<T>(&input, &axes), as_it_lies::<T>(&weight));
    let output = cpu::product(
        Crew::default(),
        Matrix::new(&x, [rows, d_input]),
        weight_matrix(&w, [d_input, d_output]),
        bias.as_ref().map(|bias| in_order::<T>(bias, &[0])).as_deref(),
    );
    shape[N - 1] = d_output;
    wrap(from_order(output, &shape, &axes))
}

fn affine_backward<B, T: Element, const N: usize>(
    input: Tensor<B, N>,
    weight: Tensor<B, 2>,
    grad: Tensor<B, N>,
    wanted: AffineWanted,
) -> AffineGradients<B, N>
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    let shape = input.dims();
    let [d_input, d_output] = weight.dims();
    let rows = shape[..N - 1].iter().product();
    let [input, weight, grad] = [primitive(&input), primitive(&weight), primitive(&grad)];
    let axes = axes(&T::view(&input));
    let values = in_order::<T>(&grad, &axes);
    let grad = Matrix::new(&values, [rows, d_output]);
    let crew = Crew::default();
    AffineGradients {
        input: wanted.input.then(|| {
            let w = as_it_lies::<T>(&weight);
            let weight = weight_matrix(&w, [d_input, d_output]);
            wrap(from_order(cpu::product(crew, grad, weight.transposed(), None), &shape, &axes))
        }),
        weight: wanted.weight.then(|| {
            let x = in_order::<T>(&input, &axes);
            let input = Matrix::new(&x, [rows, d_input]);
            tensor(cpu::product(crew, input.transposed(), grad, None), [d_input, d_output])
        }),
        bias: wanted.bias.then(|| tensor(cpu::column_sums(crew, &values, d_output), [d_output])),
    }
}

/// What [`cross_entropy`] keeps, its rows in the order in which they lie.
type Rows = (Targets, Vec<Norm>);

fn cross_entropy<B, T: Element>(
    logits: Tensor<B, 3>,
    classes: Tensor<B, 2, Int>,
    label_smoothing: f64,
) -> (Tensor<B, 2>, Tensor<B, 3>, Kept)
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    let [batch, n_steps, n_classes] = logits.dims();
    assert_eq!(classes.dims(), [batch, n_steps], "classes of logits {:?}", logits.dims());
    let own = primitive(&logits);
    let axes = axes(&T::view(&own));
    let classes: Vec<i64> = classes.into_data().iter::<i64>().collect();
    let classes = ArrayView::from_shape(IxDyn(&[batch, n_steps]), &classes).expect("as many as there are");
    let targets = Targets::new(classes.permuted_axes(&axes[..2]).iter().copied(), n_classes, label_smoothing);
    let (losses, norms) = cpu::cross_entropy(Crew::default(), &in_order::<T>(&own, &axes), &targets);
    let rows: Rows = (targets, norms);
    (wrap(from_order(losses, &[batch, n_steps], &axes[..2])), logits, Arc::new(rows))
}

fn cross_entropy_backward<B, T: Element>(
    logits: Tensor<B, 3>,
    kept: &Kept,
    grad: Tensor<B, 2>,
) -> Tensor<B, 3>
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    let (targets, norms) = kept.downcast_ref::<Rows>().expect("what the forward pass kept");
    let array = T::array(logits.into_primitive().tensor());
    let axes = axes(&array.view());
    let mut logits = Replaced::new(array, axes);
    let grad = primitive(&grad);
    let grads = in_order::<T>(&grad, &logits.axes[..2]);
    cpu::cross_entropy_gradient(Crew::default(), &logits.change(), targets, norms, &grads);
    // SAFETY: every row was written.
    wrap(unsafe { logits.finish() })
}

fn adam<B, T: Element, const N: usize>(
    step: &AdamStep,
    param: Tensor<B, N>,
    grad: Tensor<B, N>,
    moments: Option<[Tensor<B, N>; 2]>,
) -> (Tensor<B, N>, [Tensor<B, N>; 2])
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    let shape = param.dims();
    assert_eq!(grad.dims(), shape, "a gradient is of its parameter's shape");
    let order: Vec<usize> = (0..N).collect();
    let old = |tensor: Tensor<B, N>| Replaced::new(T::array(tensor.into_primitive().tensor()), order.clone());
    let [mut m, mut v] = match moments {
        Some(moments) => moments.map(old),
        None => [(); 2].map(|()| Replaced::new(ArcArray::from_elem(IxDyn(&shape), T::ZERO), order.clone())),
    };
    let mut param = old(param);
    let grad = primitive(&grad);
    let changes = [&param.change(), &m.change(), &v.change()];
    cpu::adam(Crew::default(), step, &in_order::<T>(&grad, &order), changes);
    // SAFETY: every value was written.
    unsafe { (wrap(param.finish()), [wrap(m.finish()), wrap(v.finish())]) }
}

fn sum_of_squares<B, T: Element, const N: usize>(values: Tensor<B, N>) -> Tensor<B, 1>
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    let values = primitive(&values);
    let view = T::view(&values);
    let sum = match view.as_slice_memory_order() {
        Some(values) => cpu::sum_of_squares(Crew::default(), values),
        None => cpu::sum_of_squares(Crew::default(), &contiguous(view)),
    };
    tensor(vec![T::from_f64(sum)], [1])
}

fn scale<B, T: Element, const N: usize>(values: Tensor<B, N>, factor: f64) -> Tensor<B, N>
where
    B: Backend<FloatTensorPrimitive = NdArrayTensor>,
{
    let mut values = Replaced::new(T::array(values.into_primitive().tensor()), (0..N).collect());
    cpu::scale(Crew::default(), &values.change(), factor);
    // SAFETY: every value was written.
    wrap(unsafe { values.finish() })
}

/// An array whose values become others: in its own memory where nobody else holds it.
struct Replaced<T> {
    array: SharedArray<T>,
    /// The order in which the values lie.
    axes: Vec<usize>,
    fresh: Option<Buffer<T>>,
}

impl<T: Element> Replaced<T> {
    /// It is copied where its axes do not lie in this order.
    fn new(array: SharedArray<T>, axes: Vec<usize>) -> Self {
        let view = array.view().permuted_axes(axes.as_slice());
        let array = match view.is_standard_layout() {
            true => array,
            false => from_order(contiguous(view).into_owned(), array.shape(), &axes),
        };
        let fresh = (!array.is_unique()).then(|| Buffer::new(array.len()));
        Self { array, axes, fresh }
    }

    fn change(&mut self) -> Change<'_, T> {
        const WHOLE: &str = "there are no gaps between its axes";
        match &mut self.fresh {
            Some(fresh) => Change::into(self.array.as_slice_memory_order().expect(WHOLE), fresh),
            None => Change::in_place(self.array.as_slice_memory_order_mut().expect(WHOLE)),
        }
    }

    /// # Safety
    /// Every value was written.
    unsafe fn finish(self) -> SharedArray<T> {
        match self.fresh {
            Some(fresh) => from_order(unsafe { fresh.into_vec() }, self.array.shape(), &self.axes),
            None => self.array,
        }
    }
}
