//! LibTorch's own recurrent layers: oneDNN or ATen on a CPU, cuDNN on CUDA.

use super::{
    Cell, Gradients, Operands, Options, RecurrentBackend, Saved, Sequence, Wanted, WeightGradients, compose,
    composed,
};
use crate::config::Kernel;
use burn::tensor::{Tensor, TensorPrimitive};
use burn_tch::{LibTorch, Storage, TchElement, TchTensor};
use std::cmp::Reverse;
use std::sync::Arc;
use tch_devices::{Device, Tensor as TorchTensor, no_grad_guard, with_grad};

impl<E: TchElement> RecurrentBackend for LibTorch<E> {
    fn fused(cell: Cell, options: Options) -> Result<(), String> {
        match cell {
            Cell::GruBefore => Err("LibTorch's GRU resets after the recurrent product only".into()),
            _ => options.none(),
        }
    }

    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        if let Err(missing) = has_form(sequence, &operands) {
            return compose(sequence, operands, &missing).0;
        }
        let _guard = no_grad_guard();
        wrap(Graph::new(sequence, operands, false).result)
    }

    fn recurrent_forward(sequence: &Sequence, operands: Operands<Self>) -> (Tensor<Self, 3>, Saved<Self>) {
        if let Err(missing) = has_form(sequence, &operands) {
            return compose(sequence, operands, &missing);
        }
        let graph = with_grad(|| Graph::new(sequence, operands, true));
        // Shares the graph's memory, which may be overwritten: no gradient reads the result.
        let result = wrap(TchTensor::new(graph.result.tensor.detach()));
        (result, Saved::Fused(Arc::new(graph)))
    }

    fn recurrent_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grad: Tensor<Self, 3>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        let graph = match saved {
            Saved::Composed(saved) => return composed::backward(sequence, operands, saved, grad, wanted),
            Saved::Fused(graph) => graph.downcast::<Graph>().expect("what this backend saved"),
        };
        let mut leaves = vec![&graph.hidden.tensor];
        leaves.extend(graph.cell.iter().map(|cell| &cell.tensor));
        if wanted.input {
            leaves.push(&graph.input.tensor);
        }
        if wanted.weights {
            leaves.extend(graph.weights.iter().map(|weight| &weight.tensor));
        }
        // tch starts every gradient from ones: a product with `grad` is what makes it start from that.
        let grad = primitive(grad).tensor.reshape([-1]);
        let root = with_grad(|| graph.result.tensor.reshape([-1]).dot(&grad));
        let mut grads = TorchTensor::run_backward(&[root], &leaves, false, false).into_iter();
        let mut next = || grads.next().expect("a gradient for each leaf");

        let hidden = wrap(TchTensor::new(next()));
        let cell = graph.cell.is_some().then(|| wrap(TchTensor::new(next())));
        let input = wanted
            .input
            .then(|| wrap(TchTensor::new(graph.layout.scatter_input(next(), &operands.input.dims()))));
        let weights = wanted.weights.then(|| {
            let [weight_ih, weight_hh] = [(); 2].map(|()| wrap(TchTensor::new(next())));
            let (bias_ih, bias_hh) = match graph.weights.len() {
                4 => {
                    let bias_ih = TchTensor::new(next());
                    // Should they be one tensor given twice, burn must not write to one through the other.
                    let bias_hh = TchTensor::from_existing(next(), bias_ih.storage.clone());
                    (Some(wrap(bias_ih)), Some(wrap(bias_hh)))
                }
                _ => (None, None),
            };
            WeightGradients { weight_ih, weight_hh, bias_ih, bias_hh, norm: None }
        });
        Gradients { input, hidden, cell, weights }
    }
}

/// Whether LibTorch is to run it, and can: what is missing, if not.
fn has_form<E: TchElement>(sequence: &Sequence, operands: &Operands<LibTorch<E>>) -> Result<(), String> {
    LibTorch::<E>::fused(sequence.cell, operands.options())?;
    match operands.bias_ih.is_some() == operands.bias_hh.is_some() {
        _ if sequence.kernel == Kernel::Reference => Err("it is not wanted".into()),
        false => Err("LibTorch knows layers of two biases or none".into()),
        true => Ok(()),
    }
}

/// A layer's result and what it was computed from, with LibTorch's graph between them.
///
/// `Send` and `Sync` by way of [`TchTensor`]; its storage keeps burn from writing to a leaf.
struct Graph {
    /// As of [`RecurrentBackend::recurrent`].
    result: TchTensor,
    layout: Layout,
    /// In the order of `layout`.
    input: TchTensor,
    hidden: TchTensor,
    cell: Option<TchTensor>,
    /// `weight_ih`, `weight_hh`, and the biases that there are.
    weights: Vec<TchTensor>,
}

impl Graph {
    fn new<E: TchElement>(sequence: &Sequence, operands: Operands<LibTorch<E>>, requires_grad: bool) -> Self {
        let [n_steps, batch, _] = operands.input.dims();
        let [_, d_hidden] = operands.weight_hh.dims();
        let leaf = |tensor: TorchTensor, storage: Storage| {
            let leaf = tensor.contiguous().detach().set_requires_grad(requires_grad);
            TchTensor::from_existing(leaf, storage)
        };
        let input = primitive(operands.input);
        let device = input.tensor.device();
        let layout = Layout::new(sequence, n_steps, batch, device);
        let input = leaf(layout.gather_input(&input.tensor), input.storage);
        let state = |state| {
            let state = primitive(state);
            leaf(state.tensor, state.storage)
        };
        let hidden = state(operands.hidden);
        let cell = operands.cell.map(state);

        let weights = [Some(primitive(operands.weight_ih)), Some(primitive(operands.weight_hh))];
        let biases = [operands.bias_ih.map(primitive), operands.bias_hh.map(primitive)];
        let (mut tensors, storages): (Vec<_>, Vec<_>) =
            weights.into_iter().chain(biases).flatten().map(|weight| (weight.tensor, weight.storage)).unzip();
        if device.is_cuda() {
            tensors = in_one_piece(&tensors);
        }
        let weights: Vec<_> =
            tensors.into_iter().zip(storages).map(|(tensor, storage)| leaf(tensor, storage)).collect();

        let states: Vec<_> = [Some(&hidden), cell.as_ref()]
            .into_iter()
            .flatten()
            .map(|state| layout.gather_state(state))
            .collect();
        let parts = run(sequence.cell, &input.tensor, layout.batch_sizes(), &states, &weights, requires_grad);
        let shape = [n_steps + sequence.cell.state_rows(), batch, d_hidden].map(|n| n as i64);
        let result = TchTensor::new(layout.scatter_result(parts, shape));
        Self { result, layout, input, hidden, cell, weights }
    }
}

/// The layer itself: its outputs, final hidden and final cell state.
fn run(
    cell: Cell,
    input: &TorchTensor,
    batch_sizes: Option<&TorchTensor>,
    states: &[TorchTensor],
    weights: &[TchTensor],
    train: bool,
) -> Vec<TorchTensor> {
    let weights: Vec<_> = weights.iter().map(|weight| &weight.tensor).collect();
    let biases = weights.len() == 4;
    let states: Vec<_> = states.iter().collect();
    macro_rules! layer {
        ($whole:ident, $packed:ident, $state:expr) => {
            match batch_sizes {
                None => input.$whole($state, &weights, biases, 1, 0.0, train, false, false),
                Some(sizes) => {
                    TorchTensor::$packed(input, sizes, $state, &weights, biases, 1, 0.0, train, false)
                }
            }
        };
    }
    let (output, hidden) = match cell {
        Cell::Lstm => {
            let (output, hidden, cell) = layer!(lstm, lstm_data, &states);
            return vec![output, hidden, cell];
        }
        Cell::RnnTanh => layer!(rnn_tanh, rnn_tanh_data, states[0]),
        Cell::RnnRelu => layer!(rnn_relu, rnn_relu_data, states[0]),
        Cell::GruAfter => layer!(gru, gru_data, states[0]),
        Cell::GruBefore => unreachable!("LibTorch has no such form"),
    };
    vec![output, hidden]
}

/// How the steps are handed to LibTorch, which reverses only beside a forward direction.
enum Layout {
    /// As they are.
    Forward,
    /// The last one first.
    Flipped,
    /// A packed sequence: the valid steps in the order they are run, longest sequence first.
    Packed {
        /// Sequences that run each step.
        batch_sizes: TchTensor,
        /// The sequences, longest first.
        order: TchTensor,
        /// For each packed step, the row of `[T·B, ·]` in which it stands.
        steps: TchTensor,
        /// `steps`, and the rows of the final states in a result `[(T + 1)·B, H]` or more.
        rows: TchTensor,
    },
}

impl Layout {
    fn new(sequence: &Sequence, n_steps: usize, batch: usize, device: Device) -> Self {
        let lengths = match &sequence.lengths {
            Some(lengths) if sequence.first_padded_step(n_steps) < n_steps => lengths,
            _ => return if sequence.reverse { Self::Flipped } else { Self::Forward },
        };
        let mut order: Vec<_> = (0..batch).collect();
        order.sort_by_key(|&b| Reverse(lengths[b]));
        let mut batch_sizes = Vec::new();
        let mut rows = Vec::new();
        for t in 0..lengths[order[0]] {
            let running = order.partition_point(|&b| lengths[b] > t);
            batch_sizes.push(running);
            rows.extend(order[..running].iter().map(|&b| {
                let step = if sequence.reverse { lengths[b] - 1 - t } else { t };
                step * batch + b
            }));
        }
        let n_valid = rows.len();
        for k in n_steps..n_steps + sequence.cell.state_rows() {
            rows.extend(order.iter().map(|&b| k * batch + b));
        }
        let index = |values: &[usize], device| {
            let values: Vec<_> = values.iter().map(|&value| value as i64).collect();
            TchTensor::new(TorchTensor::from_slice(&values).to_device(device))
        };
        Self::Packed {
            // LibTorch reads them on the host.
            batch_sizes: index(&batch_sizes, Device::Cpu),
            order: index(&order, device),
            steps: index(&rows[..n_valid], device),
            rows: index(&rows, device),
        }
    }

    fn batch_sizes(&self) -> Option<&TorchTensor> {
        match self {
            Self::Packed { batch_sizes, .. } => Some(&batch_sizes.tensor),
            _ => None,
        }
    }

    /// From `[T, B, D]`.
    fn gather_input(&self, input: &TorchTensor) -> TorchTensor {
        match self {
            Self::Forward => input.shallow_clone(),
            Self::Flipped => input.flip([0]),
            Self::Packed { steps, .. } => input.flatten(0, 1).index_select(0, &steps.tensor),
        }
    }

    /// To `[T, B, D]`: the inverse of [`gather_input`](Self::gather_input), zero in the padding.
    fn scatter_input(&self, input: TorchTensor, shape: &[usize; 3]) -> TorchTensor {
        match self {
            Self::Forward => input,
            Self::Flipped => input.flip([0]),
            Self::Packed { steps, .. } => scatter(&steps.tensor, &input, shape.map(|n| n as i64)),
        }
    }

    /// From `[B, H]` to `[1, B, H]`.
    fn gather_state(&self, state: &TchTensor) -> TorchTensor {
        match self {
            Self::Packed { order, .. } => state.tensor.index_select(0, &order.tensor).unsqueeze(0),
            _ => state.tensor.unsqueeze(0),
        }
    }

    /// Outputs and final states to one result of `shape`.
    fn scatter_result(&self, mut parts: Vec<TorchTensor>, shape: [i64; 3]) -> TorchTensor {
        if let Self::Flipped = self {
            parts[0] = parts[0].flip([0]);
        }
        match self {
            Self::Packed { rows, .. } => {
                let parts: Vec<_> = parts.iter().map(|part| part.reshape([-1, shape[2]])).collect();
                scatter(&rows.tensor, &TorchTensor::cat(&parts, 0), shape)
            }
            _ => TorchTensor::cat(&parts, 0),
        }
    }
}

/// Puts `values` into `rows` of zeros of `shape`, whose first two dimensions count as one.
fn scatter(rows: &TorchTensor, values: &TorchTensor, shape: [i64; 3]) -> TorchTensor {
    let [n, batch, width] = shape;
    TorchTensor::zeros([n * batch, width], (values.kind(), values.device()))
        .index_copy_(0, rows, values)
        .view(shape)
}

/// Copies weights into one piece of memory, as cuDNN does at every call where they are not, with a
/// warning.
fn in_one_piece(weights: &[TorchTensor]) -> Vec<TorchTensor> {
    let mut parts: Vec<_> = weights.iter().map(|weight| weight.reshape([-1])).collect();
    if let [weight, _] = weights {
        // cuDNN has biases even where the layer has none.
        parts.push(TorchTensor::zeros([2 * weight.size()[0]], (weight.kind(), weight.device())));
    }
    let whole = TorchTensor::cat(&parts, 0);
    let mut end = 0;
    weights
        .iter()
        .map(|weight| {
            let (start, length) = (end, weight.numel() as i64);
            end += length;
            whole.narrow(0, start, length).view(&weight.size()[..])
        })
        .collect()
}

pub(super) fn primitive<E: TchElement, const D: usize>(tensor: Tensor<LibTorch<E>, D>) -> TchTensor {
    tensor.into_primitive().tensor()
}

pub(super) fn wrap<E: TchElement, const D: usize>(tensor: TchTensor) -> Tensor<LibTorch<E>, D> {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}
