//! One layer's recurrence over a whole sequence, and its gradient: one room per backend.
//!
//! [`RecurrentBackend`] is the seam. Its bodies are composed of the backend's own tensor
//! operations ([`composed`]), so that every backend has them, and a backend overrides them where
//! a kernel of its own is faster. [`Autodiff`] turns the pair of bodies into one node of the
//! gradient's graph, whatever the backend below. Everything here is time-major: `[T, B, ·]`.
//!
//! T time, B batch, D features in, H hidden, G gates (1, 4, 3 for RNN, LSTM, GRU).

pub mod composed;
#[cfg(feature = "ndarray")]
pub(crate) mod cpu;
pub mod dense;

mod autodiff;
mod sequence;

pub use sequence::{Cell, NORM_EPSILON, Sequence, Wanted};

use crate::config::Kernel;
use autodiff::primitive;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use dense::DenseBackend;
use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

#[cfg(doc)]
use burn::backend::Autodiff;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Sets how many threads a CPU's kernels run on, from the next one on; 0: as many as there are
/// cores. LibTorch's follow.
///
/// Results of ndarray are the same to the bit for the same number, and up to rounding for any.
pub fn set_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
    #[cfg(feature = "tch")]
    tch_devices::set_num_threads(threads() as i32);
}

/// How many threads a CPU's kernels run on.
pub fn threads() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    match THREADS.load(Ordering::Relaxed) {
        0 => *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from)),
        n => n,
    }
}

/// The tensors that a layer reads in one direction.
#[derive(Clone, Debug)]
pub struct Operands<B: Backend> {
    /// `[T, B, D]`. Past a sequence's end it must be finite.
    pub input: Tensor<B, 3>,
    /// State before the first step, `[B, H]`.
    pub hidden: Tensor<B, 2>,
    /// Cell state before the first step, `[B, H]`: LSTM only.
    pub cell: Option<Tensor<B, 2>>,
    /// `[G·H, D]`, PyTorch's gate order.
    pub weight_ih: Tensor<B, 2>,
    /// `[G·H, H]`
    pub weight_hh: Tensor<B, 2>,
    /// `[G·H]`
    pub bias_ih: Option<Tensor<B, 1>>,
    /// `[G·H]`
    pub bias_hh: Option<Tensor<B, 1>>,
    /// Layer norm in the cell.
    pub norm: Option<Norm<B>>,
    /// Units that keep their old state.
    pub zoneout: Option<Zoneout<B>>,
}

impl<B: Backend> Operands<B> {
    /// Which options they are there for.
    pub fn options(&self) -> Options {
        Options { layer_norm: self.norm.is_some(), zoneout: self.zoneout.is_some() }
    }
}

/// What a layer may have beyond its cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// See [`Norm`].
    pub layer_norm: bool,
    /// See [`Zoneout`].
    pub zoneout: bool,
}

impl Options {
    /// An error for kernels that have neither.
    #[cfg(any(feature = "tch", feature = "wgpu"))]
    fn none(self) -> Result<(), String> {
        match self {
            Self { layer_norm: true, .. } => Err("this backend's kernels have no layer norm".into()),
            Self { zoneout: true, .. } => Err("this backend's kernels have no zoneout".into()),
            _ => Ok(()),
        }
    }
}

/// Layer norm in the cell: Ba et al. 2016, [arXiv 1607.06450](https://arxiv.org/abs/1607.06450).
///
/// The input's product and the recurrent one are normalised, each gate's H features by themselves,
/// and multiplied by a gain, before their biases are added: `LN(W x) + b + LN(U h) + d` takes the
/// place of `W x + b + U h + d`, whatever the cell (so the [GRU](Cell::GruAfter)'s reset gate stands
/// before `LN(U_n h) + d_n`, or within `LN(U_n (r h))`). An LSTM's output also reads its normalised
/// cell state: `h' = o tanh(LN(c') + e)`.
///
/// These are the gains. The biases that go with them are the layer's own, b and d.
#[derive(Clone, Debug)]
pub struct Norm<B: Backend> {
    /// Of the input's product, `[G·H]`.
    pub gain_ih: Tensor<B, 1>,
    /// Of the recurrent product, `[G·H]`.
    pub gain_hh: Tensor<B, 1>,
    /// Of the cell state, `[H]`: LSTM only.
    pub gain_cell: Option<Tensor<B, 1>>,
    /// e, `[H]`: LSTM only.
    pub bias_cell: Option<Tensor<B, 1>>,
}

/// Zoneout: units that keep their old state at a step, Krueger et al. 2016,
/// [arXiv 1606.01305](https://arxiv.org/abs/1606.01305).
///
/// `h' = k h + (1 - k) h̃` with h̃ what the cell makes of h, and likewise an LSTM's cell state, c'. An
/// LSTM's h̃ reads its c̃, not the c' that keeps some of c.
#[derive(Clone, Debug)]
pub struct Zoneout<B: Backend> {
    /// k of the hidden state.
    pub hidden: Keep<B>,
    /// k of the cell state: LSTM only.
    pub cell: Keep<B>,
}

/// Shares of old state, 0 to 1. No gradient goes to them.
#[derive(Clone, Debug)]
pub enum Keep<B: Backend> {
    /// None.
    Nothing,
    /// The same for every unit at every step.
    Share(f64),
    /// `[T, B, H]`
    Mask(Tensor<B, 3>),
}

/// Operands that gradients go to: input, hidden and cell state, the weights of both, the biases of both, and layer
/// norm's gains of both, its gain and bias of the cell state.
type Slots<T> = [Option<T>; SLOTS];

const SLOTS: usize = 11;

fn norm_parts<B: Backend>(norm: Option<Norm<B>>) -> [Option<FloatTensor<B>>; 4] {
    match norm {
        Some(norm) => [Some(norm.gain_ih), Some(norm.gain_hh), norm.gain_cell, norm.bias_cell]
            .map(|part| part.map(primitive)),
        None => [const { None }; 4],
    }
}

impl<B: Backend> Operands<B> {
    fn into_slots(self) -> Slots<FloatTensor<B>> {
        let [gain_ih, gain_hh, gain_cell, bias_cell] = norm_parts(self.norm);
        [
            Some(primitive(self.input)),
            Some(primitive(self.hidden)),
            self.cell.map(primitive),
            Some(primitive(self.weight_ih)),
            Some(primitive(self.weight_hh)),
            self.bias_ih.map(primitive),
            self.bias_hh.map(primitive),
            gain_ih,
            gain_hh,
            gain_cell,
            bias_cell,
        ]
    }
}

/// The gradients of [`Operands`], each of its operand's shape: those that are wanted.
#[derive(Clone, Debug)]
pub struct Gradients<B: Backend> {
    /// Of the input, if [`Wanted::input`].
    pub input: Option<Tensor<B, 3>>,
    /// Of the state before the first step.
    pub hidden: Tensor<B, 2>,
    /// Of the cell state before the first step: LSTM only.
    pub cell: Option<Tensor<B, 2>>,
    /// Of the weights and of the biases that there are, if [`Wanted::weights`].
    pub weights: Option<WeightGradients<B>>,
}

impl<B: Backend> Gradients<B> {
    fn into_slots(self) -> Slots<FloatTensor<B>> {
        let (weight_ih, weight_hh, bias_ih, bias_hh, norm) = match self.weights {
            Some(w) => (Some(w.weight_ih), Some(w.weight_hh), w.bias_ih, w.bias_hh, w.norm),
            None => (None, None, None, None, None),
        };
        let [gain_ih, gain_hh, gain_cell, bias_cell] = norm_parts(norm);
        [
            self.input.map(primitive),
            Some(primitive(self.hidden)),
            self.cell.map(primitive),
            weight_ih.map(primitive),
            weight_hh.map(primitive),
            bias_ih.map(primitive),
            bias_hh.map(primitive),
            gain_ih,
            gain_hh,
            gain_cell,
            bias_cell,
        ]
    }
}

/// See [`Gradients::weights`].
#[derive(Clone, Debug)]
pub struct WeightGradients<B: Backend> {
    /// `[G·H, D]`
    pub weight_ih: Tensor<B, 2>,
    /// `[G·H, H]`
    pub weight_hh: Tensor<B, 2>,
    /// `[G·H]`
    pub bias_ih: Option<Tensor<B, 1>>,
    /// `[G·H]`
    pub bias_hh: Option<Tensor<B, 1>>,
    /// Of the gains and the bias of layer norm.
    pub norm: Option<Norm<B>>,
}

/// A layer's result, taken apart.
#[derive(Clone, Debug)]
pub struct Parts<B: Backend> {
    /// The outputs, `[T, B, H]`: zero past a sequence's end.
    pub output: Tensor<B, 3>,
    /// The final hidden state, `[B, H]`.
    pub hidden: Tensor<B, 2>,
    /// The final cell state, `[B, H]`: LSTM only.
    pub cell: Option<Tensor<B, 2>>,
}

impl<B: Backend> Parts<B> {
    /// Those of what [`recurrent`](RecurrentBackend::recurrent) gives.
    pub fn of(packed: Tensor<B, 3>, cell: Cell) -> Self {
        let n_steps = packed.dims()[0] - cell.state_rows();
        Self::with_output(packed.clone().slice([0..n_steps]), packed, cell)
    }

    /// Those of `packed`, whose outputs are taken out already.
    fn with_output(output: Tensor<B, 3>, packed: Tensor<B, 3>, cell: Cell) -> Self {
        let n_steps = packed.dims()[0] - cell.state_rows();
        let row = |k: usize| packed.clone().slice([k..k + 1]).squeeze_dim(0);
        Self { output, hidden: row(n_steps), cell: cell.has_cell_state().then(|| row(n_steps + 1)) }
    }
}

/// The gradients of [`Parts`]: of those that a loss depends on.
#[derive(Clone, Debug)]
pub struct PartGradients<B: Backend> {
    /// `[T, B, H]`
    pub output: Option<Tensor<B, 3>>,
    /// `[B, H]`
    pub hidden: Option<Tensor<B, 2>>,
    /// `[B, H]`
    pub cell: Option<Tensor<B, 2>>,
}

impl<B: Backend> PartGradients<B> {
    /// The gradient of what [`recurrent`](RecurrentBackend::recurrent) gives.
    pub fn packed(self, sequence: &Sequence, operands: &Operands<B>) -> Tensor<B, 3> {
        let [n_steps, ..] = operands.input.dims();
        let [batch, d_hidden] = operands.hidden.dims();
        let zeros = |rows| Tensor::zeros([rows, batch, d_hidden], &operands.input.device());
        let state = |grad: Option<Tensor<B, 2>>| grad.map_or_else(|| zeros(1), |grad| grad.unsqueeze_dim(0));
        let mut parts = vec![self.output.unwrap_or_else(|| zeros(n_steps)), state(self.hidden)];
        parts.extend(sequence.cell.has_cell_state().then(|| state(self.cell)));
        Tensor::cat(parts, 0)
    }
}

/// What a forward pass keeps for its gradient.
#[derive(Clone, Debug)]
pub enum Saved<B: Backend> {
    /// The composed body's.
    Composed(composed::Saved<B>),
    /// A fused kernel's own.
    Fused(Arc<dyn Any + Send + Sync>),
}

/// A backend that runs recurrent layers: every one of burn's.
///
/// The bodies are composed of the backend's own operations; an empty `impl` is enough, and one of
/// [`DenseBackend`].
///
/// # Panics
/// Kernels do where the operands' sizes or the lengths do not go together.
pub trait RecurrentBackend: DenseBackend {
    /// Whether there is a fused kernel for `cell` with `options`: if not, the condition that is missing.
    fn fused(cell: Cell, options: Options) -> Result<(), String> {
        let _ = (cell, options);
        Err("this backend has no fused kernel".into())
    }

    /// Runs a layer over a sequence; differentiable where the backend is.
    ///
    /// Gives `[T + 1, B, H]`, with a cell state `[T + 2, B, H]`: the outputs (zero past a
    /// sequence's end), then the final hidden state, then the final cell state.
    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        Self::recurrent_forward(sequence, operands).0
    }

    /// [`recurrent`](Self::recurrent), its result taken apart: without a copy where the backend can.
    fn recurrent_parts(sequence: &Sequence, operands: Operands<Self>) -> Parts<Self> {
        Self::take_apart(Self::recurrent(sequence, operands), sequence.cell)
    }

    /// See [`Parts::of`].
    fn take_apart(packed: Tensor<Self, 3>, cell: Cell) -> Parts<Self> {
        Parts::of(packed, cell)
    }

    /// One step of a stack, each layer of which reads what the one below wrote, without gradients: of `[B, D]` and
    /// states `[L, B, H]`, the states after it. None where [`recurrent`](Self::recurrent), layer by layer, is as
    /// short a way.
    fn stack_step(
        sequence: &Sequence,
        layers: &[Weights<Self>],
        input: &Tensor<Self, 2>,
        hidden: &Tensor<Self, 3>,
        cell: Option<&Tensor<Self, 3>>,
    ) -> Option<(Tensor<Self, 3>, Option<Tensor<Self, 3>>)> {
        let _ = (sequence, layers, input, hidden, cell);
        None
    }

    /// [`recurrent`](Self::recurrent), and what its gradient needs.
    fn recurrent_forward(sequence: &Sequence, operands: Operands<Self>) -> (Tensor<Self, 3>, Saved<Self>) {
        compose(sequence, operands, "this backend has none")
    }

    /// The gradients of [`recurrent`](Self::recurrent) with respect to its operands, given that of
    /// its result.
    fn recurrent_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grad: Tensor<Self, 3>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        match saved {
            Saved::Composed(saved) => composed::backward(sequence, operands, saved, grad, wanted),
            Saved::Fused(_) => unreachable!("a backend without a fused kernel saves nothing of it"),
        }
    }

    /// [`recurrent_backward`](Self::recurrent_backward), given the gradients of the result's parts.
    fn recurrent_parts_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grads: PartGradients<Self>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        let grad = grads.packed(sequence, &operands);
        Self::recurrent_backward(sequence, operands, saved, grad, wanted)
    }
}

/// A layer's weights, where it has no more of them.
#[derive(Clone, Debug)]
pub struct Weights<B: Backend> {
    /// `[G·H, D]`
    pub weight_ih: Tensor<B, 2>,
    /// `[G·H, H]`
    pub weight_hh: Tensor<B, 2>,
    /// `[G·H]`
    pub bias_ih: Option<Tensor<B, 1>>,
    /// `[G·H]`
    pub bias_hh: Option<Tensor<B, 1>>,
}

/// The composed body, in the place of a kernel that cannot run.
///
/// # Panics
/// If it was to be the kernel: with the condition that is missing.
fn compose<B: RecurrentBackend>(
    sequence: &Sequence,
    operands: Operands<B>,
    missing: &str,
) -> (Tensor<B, 3>, Saved<B>) {
    assert!(sequence.kernel != Kernel::Fused, "the fused kernel cannot run: {missing}; use `Kernel::Auto`");
    let (packed, saved) = composed::forward(sequence, operands);
    (packed, Saved::Composed(saved))
}

impl RecurrentBackend for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "tch")]
mod tch;

#[cfg(feature = "wgpu")]
mod cube;
#[cfg(feature = "wgpu")]
mod fusion;

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    #[test]
    #[should_panic(expected = "the fused kernel cannot run: this backend has none")]
    fn a_fused_kernel_that_is_not_there_is_not_replaced() {
        let device = Default::default();
        let zeros = |shape| Tensor::<Flex, 2>::zeros(shape, &device);
        let operands = Operands {
            input: Tensor::zeros([2, 1, 3], &device),
            hidden: zeros([1, 4]),
            cell: None,
            weight_ih: zeros([4, 3]),
            weight_hh: zeros([4, 4]),
            bias_ih: None,
            bias_hh: None,
            norm: None,
            zoneout: None,
        };
        let sequence = Sequence { cell: Cell::RnnTanh, reverse: false, lengths: None, kernel: Kernel::Fused };
        Flex::recurrent(&sequence, operands);
    }
}
