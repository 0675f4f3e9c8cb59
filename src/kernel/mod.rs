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

use crate::config::Kernel;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
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

/// What a step computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `h' = tanh(W x + b + U h + d)`
    RnnTanh,
    /// `h' = max(0, W x + b + U h + d)`
    RnnRelu,
    /// Gates i, f, g, o; `c' = f c + i g`, `h' = o tanh(c')`.
    Lstm,
    /// Gates r, z, n with `n = tanh(W_n x + b_n + r (U_n h + d_n))`; `h' = (1 - z) n + z h`.
    GruAfter,
    /// Gates r, z, n with `n = tanh(W_n x + b_n + U_n (r h) + d_n)`; `h' = (1 - z) n + z h`.
    GruBefore,
}

impl Cell {
    /// Gates, G: the blocks of H rows in each weight.
    pub fn gates(self) -> usize {
        match self {
            Self::RnnTanh | Self::RnnRelu => 1,
            Self::Lstm => 4,
            Self::GruAfter | Self::GruBefore => 3,
        }
    }

    /// Whether a cell state is carried beside the hidden one.
    pub fn has_cell_state(self) -> bool {
        self == Self::Lstm
    }

    /// Rows that follow the T outputs in a packed result: final hidden, final cell.
    pub fn state_rows(self) -> usize {
        1 + usize::from(self.has_cell_state())
    }
}

/// What is to be run, apart from the tensors.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The cell.
    pub cell: Cell,
    /// Whether time runs from the end: each sequence from its own last valid step.
    pub reverse: bool,
    /// Valid steps of each of the B sequences, 1 to T. `None`: all of them.
    pub lengths: Option<Vec<usize>>,
    /// Which body runs it.
    pub kernel: Kernel,
}

impl Sequence {
    /// The steps in the order in which they are run.
    pub fn steps(&self, n: usize) -> Vec<usize> {
        if self.reverse { (0..n).rev().collect() } else { (0..n).collect() }
    }

    /// The first step at which some sequence has ended.
    pub fn first_padded_step(&self, n: usize) -> usize {
        self.lengths.iter().flatten().copied().min().unwrap_or(n)
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
}

/// Which gradients are asked for. Those of the initial state cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The input's: not where the input is data.
    pub input: bool,
    /// The weights' and biases': not where they are frozen.
    pub weights: bool,
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
    /// Whether there is a fused kernel for `cell`: if not, the condition that is missing.
    fn fused(cell: Cell) -> Result<(), String> {
        let _ = cell;
        Err("this backend has no fused kernel".into())
    }

    /// Runs a layer over a sequence; differentiable where the backend is.
    ///
    /// Gives `[T + 1, B, H]`, with a cell state `[T + 2, B, H]`: the outputs (zero past a
    /// sequence's end), then the final hidden state, then the final cell state.
    fn recurrent(sequence: &Sequence, operands: Operands<Self>) -> Tensor<Self, 3> {
        Self::recurrent_forward(sequence, operands).0
    }

    /// [`recurrent`](Self::recurrent), and what its gradient needs.
    fn recurrent_forward(sequence: &Sequence, operands: Operands<Self>) -> (Tensor<Self, 3>, Saved<Self>) {
        let (packed, saved) = composed::forward(sequence, operands);
        (packed, Saved::Composed(saved))
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
}

impl RecurrentBackend for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "tch")]
mod tch;

#[cfg(feature = "wgpu")]
mod cube;
#[cfg(feature = "wgpu")]
impl<B: burn_fusion::FusionBackend> RecurrentBackend for burn_fusion::Fusion<B> where Self: Backend {}
