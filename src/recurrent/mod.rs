//! Cells, stacks of them, their states and how their weights start.
//!
//! # Axes
//! B batch, T time, D features in, H hidden, G gates, L layers, K directions (1 or 2).
//!
//! # Cells
//! With `x` the input and `h` the hidden state, each product with its own bias:
//! * RNN: `h' = σ(W x + b + U h + d)`, σ tanh or relu ([Elman 1990](https://doi.org/10.1207/s15516709cog1402_1)).
//! * LSTM, gates i f g o: `i, f, o = sigmoid(W x + b + U h + d)`, `g = tanh(…)`,
//!   `c' = f c + i g`, `h' = o tanh(c')`
//!   ([Hochreiter and Schmidhuber 1997](https://doi.org/10.1162/neco.1997.9.8.1735)).
//! * GRU, gates r z n: `r, z = sigmoid(…)`, `n = tanh(W_n x + b_n + r (U_n h + d_n))` (reset
//!   after) or `n = tanh(W_n x + b_n + U_n (r h) + d_n)` (reset before,
//!   [Cho et al. 2014](https://arxiv.org/abs/1406.1078)), `h' = (1 - z) n + z h`.
//!
//! Layer norm in the cell, [`Norm`](crate::kernel::Norm), and [`Zoneout`](crate::kernel::Zoneout) are
//! options of every cell.
//!
//! Weights are packed and gates ordered as in PyTorch: `weight_ih [G·H, D]`, `weight_hh [G·H, H]`.

mod dropout;
mod init;
mod layer;
mod stack;
mod state;

pub use dropout::{dropout, mask};
pub use init::Init;
pub use layer::{RecurrentLayer, RecurrentNorm};
pub use stack::{RecurrentStack, RecurrentStackConfig, StackOutput};
pub use state::RecurrentState;
