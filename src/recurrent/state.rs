//! What a stack carries from one stretch of time to the next.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

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

    /// The same values, cut off from the graph that made them.
    pub fn detach(self) -> Self {
        Self { hidden: self.hidden.detach(), cell: self.cell.map(Tensor::detach) }
    }

    /// The same state on the backend below, without gradients.
    pub fn inner(self) -> RecurrentState<B::InnerBackend>
    where
        B: AutodiffBackend,
    {
        RecurrentState { hidden: self.hidden.inner(), cell: self.cell.map(Tensor::inner) }
    }
}
