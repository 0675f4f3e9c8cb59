//! What is run, apart from the tensors: nothing of burn's.

use crate::config::Kernel;

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

/// Which gradients are asked for. Those of the initial state cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The input's: not where the input is data.
    pub input: bool,
    /// The weights' and biases': not where they are frozen.
    pub weights: bool,
}

/// What is added to a normalised row's variance.
pub const NORM_EPSILON: f64 = 1e-5;
