//! What a stack carries from one stretch of time to the next.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor};

/// The state of a stack, in PyTorch's shapes: layer by layer, forward before reverse.
#[derive(Clone, Debug)]
pub struct RecurrentState<B: Backend> {
    /// Hidden states, `[L·K, B, H]`.
    pub hidden: Tensor<B, 3>,
    /// Cell states, `[L·K, B, H]`: LSTM only.
    pub cell: Option<Tensor<B, 3>>,
}

impl<B: Backend> RecurrentState<B> {
    /// The sequences it belongs to, B.
    pub fn batch(&self) -> usize {
        self.hidden.dims()[1]
    }

    /// That of the first `n` sequences.
    pub fn first(self, n: usize) -> Self {
        let rows = |part: Tensor<B, 3>| {
            let [layers, _, _] = part.dims();
            part.slice([0..layers, 0..n])
        };
        Self { hidden: rows(self.hidden), cell: self.cell.map(rows) }
    }

    /// That of some sequences, in this order.
    pub fn select(self, rows: Tensor<B, 1, Int>) -> Self {
        Self { hidden: self.hidden.select(1, rows.clone()), cell: self.cell.map(|cell| cell.select(1, rows)) }
    }

    /// The same state on the backend below, without gradients.
    pub fn inner(self) -> RecurrentState<B::InnerBackend>
    where
        B: AutodiffBackend,
    {
        RecurrentState { hidden: self.hidden.inner(), cell: self.cell.map(Tensor::inner) }
    }

    /// A state on the backend below as a constant of this one.
    pub fn from_inner(state: RecurrentState<B::InnerBackend>) -> Self
    where
        B: AutodiffBackend,
    {
        Self { hidden: Tensor::from_inner(state.hidden), cell: state.cell.map(Tensor::from_inner) }
    }
}
