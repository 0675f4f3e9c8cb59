//! Fused kernels for a CPU: a whole sequence, forward and backward, on plain slices.
//!
//! * The input's product and the recurrent one run over weights that are packed once a sequence
//!   ([`product`]); the gates are vectorised ([`gates`]). The weights' gradients are large products
//!   over all steps, which the crate `gemm` does.
//! * Each thread has batch rows of its own for the whole time loop: nobody waits for anybody.
//!   Few sequences with many weights share out the
//!   hidden units instead ([`units`]).
//! * Layer norm stands between products and gates in steps of its own ([`normed`]); zoneout is a
//!   part of the gates.
//! * Beside the recurrence: products of whole matrices ([`matrix`]), cross entropy ([`classes`]) and
//!   what an optimizer does to every weight ([`update`]).
//! * AVX-512, AVX2 or portable vectors are picked at run time ([`isa`]).
//!
//! # What is kept for the gradient
//! Values of each step and sequence, H counted in whole vectors:
//!
//! | cell | kept | values |
//! |---|---|--:|
//! | LSTM | gates i, f, g, o; cell state | 5·H |
//! | GRU, reset after | gates r, z, n; `U_n h + d_n` | 4·H |
//! | GRU, reset before | gates r, z, n | 3·H |
//! | RNN | nothing; with zoneout what the output would have been | 0; H |
//!
//! Beside them the layer's result (H) and its input are held, both shared with the graph that they are
//! part of. `tanh` of the cell state and `r h` are computed again. Gradients overwrite what was kept; an
//! RNN's, and `r h`, take H for the time of the backward pass.
//!
//! # Safety
//! [`Inputs::check`], or a function's own, establishes every size once, at the entrance, and
//! [`Kept`] knows what it belongs to. Below it pointers are made by
//! [`Shared::at`](buffer::Shared::at) and [`buffer::part`], which a debug build checks.

mod backward;
mod buffer;
mod classes;
mod forward;
mod gates;
mod isa;
mod matrix;
mod normed;
mod product;
mod simd;
mod team;
#[cfg(test)]
mod tests;
mod units;
mod update;

pub use backward::{Grad, backward};
pub use buffer::{Buffer, Change};
pub use classes::{Norm, Targets, cross_entropy, cross_entropy_gradient};
pub use forward::{Kept, forward};
pub use isa::Dispatch;
pub use matrix::{Matrix, column_sums, product};
pub use normed::Gains;
pub use simd::Float;
pub use team::Crew;
pub use update::{adam, scale, sum_of_squares};

use super::{Cell, Sequence, threads};
use isa::Isa;
use simd::Vector;

/// Rows of values that lie together: one for each step and sequence.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    pub values: &'a [T],
    /// From step to step and from sequence to sequence: 0 where all have the same.
    pub strides: [usize; 2],
}

impl<'a, T: Float> Rows<'a, T> {
    fn check(&self, [n_steps, batch, d]: [usize; 3], what: &str) {
        let [step, sequence] = self.strides;
        let end = ((n_steps - 1).checked_mul(step))
            .and_then(|at| at.checked_add((batch - 1).checked_mul(sequence)?))
            .and_then(|at| at.checked_add(d));
        assert!(end.is_some_and(|end| end <= self.values.len()), "{what} of {n_steps}, {batch}, {d}");
    }

    /// The D values of a step and sequence.
    fn at(&self, t: usize, b: usize, d: usize) -> *const T {
        buffer::part(self.values, t * self.strides[0] + b * self.strides[1], d)
    }

    /// All of them, one after the other.
    fn in_order(&self, [n_steps, batch, d]: [usize; 3]) -> std::borrow::Cow<'a, [T]> {
        if self.strides == [batch * d, d] {
            return self.values.into();
        }
        let mut all = Vec::with_capacity(n_steps * batch * d);
        for t in 0..n_steps {
            for b in 0..batch {
                all.extend_from_slice(&self.values[t * self.strides[0] + b * self.strides[1]..][..d]);
            }
        }
        all.into()
    }
}

/// What a layer reads in one direction, in row-major order but for the input.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, T> {
    /// T
    pub n_steps: usize,
    /// B
    pub batch: usize,
    /// D
    pub d_input: usize,
    /// H
    pub d_hidden: usize,
    /// `[T, B, D]`
    pub input: Rows<'a, T>,
    /// `[B, H]`
    pub hidden: &'a [T],
    /// `[B, H]`: LSTM only.
    pub cell: Option<&'a [T]>,
    /// `[G·H, D]`
    pub weight_ih: &'a [T],
    /// `[G·H, H]`
    pub weight_hh: &'a [T],
    /// `[G·H]`
    pub bias_ih: Option<&'a [T]>,
    /// `[G·H]`
    pub bias_hh: Option<&'a [T]>,
    /// Layer norm.
    pub norm: Option<Gains<'a, T>>,
    /// Zoneout's shares of the hidden state and of an LSTM's cell state that are kept: `[T, B, H]`, or
    /// `[H]` if they are the same at every step.
    pub zoneout: [Option<&'a [T]>; 2],
}

/// The parts of a layer that decide what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    norm: bool,
    /// Of the hidden and of the cell state.
    zoneout: [bool; 2],
}

impl<T: Float> Inputs<'_, T> {
    fn parts(&self) -> Parts {
        Parts { norm: self.norm.is_some(), zoneout: self.zoneout.map(|shares| shares.is_some()) }
    }

    /// Whether a gradient needs what stands in the gates' place.
    fn keeps_gates(&self, cell: Cell) -> bool {
        cell.gates() > 1 || self.zoneout[0].is_some()
    }

    /// Zoneout's shares of the hidden and of the cell state for one of the T·B rows; null where there
    /// are none.
    fn keep(&self, row: usize) -> [*const T; 2] {
        self.zoneout.map(|shares| match shares {
            None => std::ptr::null(),
            Some(shares) if shares.len() == self.d_hidden => shares.as_ptr(),
            Some(shares) => buffer::part(shares, row * self.d_hidden, self.d_hidden),
        })
    }

    /// Everything that the code below relies on.
    fn check(&self, sequence: &Sequence) {
        let Self { n_steps, batch, d_input, d_hidden, .. } = *self;
        assert!(n_steps > 0 && batch > 0 && d_input > 0 && d_hidden > 0, "a recurrence has no zero size");
        let rows = sequence.cell.gates() * d_hidden;
        self.input.check([n_steps, batch, d_input], "input [T, B, D]");
        assert_eq!(self.hidden.len(), batch * d_hidden, "hidden state [B, H]");
        assert_eq!(self.cell.is_some(), sequence.cell.has_cell_state(), "a cell state is an LSTM's");
        assert!(self.cell.is_none_or(|cell| cell.len() == batch * d_hidden), "cell state [B, H]");
        assert_eq!(self.weight_ih.len(), rows * d_input, "input weights [G·H, D]");
        assert_eq!(self.weight_hh.len(), rows * d_hidden, "recurrent weights [G·H, H]");
        for bias in [self.bias_ih, self.bias_hh].into_iter().flatten() {
            assert_eq!(bias.len(), rows, "biases [G·H]");
        }
        if let Some(Gains { input, recurrent, cell, cell_bias }) = self.norm {
            assert_eq!([input.len(), recurrent.len()], [rows; 2], "gains [G·H]");
            assert_eq!(cell.is_some(), sequence.cell.has_cell_state(), "a cell state's gain is an LSTM's");
            assert!(
                [cell, cell_bias].into_iter().flatten().all(|v| v.len() == d_hidden),
                "a cell state's [H]"
            );
        }
        for shares in self.zoneout.into_iter().flatten() {
            let all = n_steps * batch * d_hidden;
            assert!([all, d_hidden].contains(&shares.len()), "zoneout's shares [T, B, H], or [H]");
        }
        if let Some(lengths) = &sequence.lengths {
            assert_eq!(lengths.len(), batch, "lengths [B]");
            assert!(lengths.iter().all(|length| (1..=n_steps).contains(length)), "lengths in 1..=T");
        }
    }
}

/// The sizes that every loop needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    cell: Cell,
    reverse: bool,
    n_steps: usize,
    batch: usize,
    d_input: usize,
    d_hidden: usize,
    /// H in whole vectors.
    padded: usize,
}

impl Sizes {
    fn new<V: Vector>(sequence: &Sequence, inputs: &Inputs<V::T>) -> Self {
        let sizes = Self {
            cell: sequence.cell,
            reverse: sequence.reverse,
            n_steps: inputs.n_steps,
            batch: inputs.batch,
            d_input: inputs.d_input,
            d_hidden: inputs.d_hidden,
            padded: inputs.d_hidden.next_multiple_of(V::LANES),
        };
        let Self { n_steps, batch, .. } = sizes;
        let values = n_steps.checked_mul(batch).and_then(|n| n.checked_mul(sizes.gates()));
        assert!(values.is_some(), "{sizes:?} are more values than there are addresses");
        sizes
    }

    /// Products of all steps.
    fn products(&self) -> usize {
        let Self { cell, n_steps, batch, d_input, d_hidden, .. } = *self;
        [n_steps, batch, d_input + d_hidden].into_iter().fold(cell.gates() * d_hidden, usize::saturating_mul)
    }

    /// Gates of a step and sequence, padded.
    fn gates(&self) -> usize {
        self.cell.gates() * self.padded
    }

    /// Gates whose recurrent products are made together: n waits for r.
    fn groups(&self) -> Vec<usize> {
        match self.cell.gates() {
            3 => vec![2, 1],
            n => vec![n],
        }
    }

    /// The step that is run as the `s`th.
    fn step(&self, s: usize) -> usize {
        if self.reverse { self.n_steps - 1 - s } else { s }
    }

    /// The step before `t` in the order in which a sequence of `length` runs; none: the initial state.
    fn before(&self, t: usize, length: usize) -> Option<usize> {
        if self.reverse { (t + 1 < length).then_some(t + 1) } else { t.checked_sub(1) }
    }
}

/// How a layer is run, which changes nothing but rounding and the time it takes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    isa: Isa,
    /// None: whatever suits the sizes.
    sharing: Option<Sharing>,
}

impl Default for Plan {
    /// The best there is.
    fn default() -> Self {
        Self { isa: Isa::best(), sharing: None }
    }
}

/// What threads have of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// Batch rows, from the first step to the last.
    Batch,
    /// Hidden units; all meet after each step.
    Units,
    /// Hidden units, and the weights are read as they lie in memory: packing would cost as much as
    /// using them.
    Thin,
}

/// Rows from which on it pays to pack weights that are used once for each. A stream of single steps
/// with fewer rows needs no preparation of its weights: they are read as they lie.
const PACK_ROWS: usize = 12;
/// Products below which threads cost more than they save.
const SHARED_FROM: usize = if cfg!(test) { 500 } else { 100_000 };
/// Rows a thread below which a step waits for its weights, where they do not fit a core's cache.
const FEW_ROWS: usize = 8;
/// Bytes of recurrent weights that do.
const CACHED: usize = 1_500_000;

impl Sharing {
    /// `backward`: weights that are used at one step are packed.
    fn of<T>(plan: Plan, sizes: &Sizes, backward: bool) -> Self {
        if let Some(sharing) = plan.sharing {
            return sharing;
        }
        let weights = sizes.cell.gates() * sizes.d_hidden * sizes.d_hidden * size_of::<T>();
        let seldom = !backward && sizes.n_steps == 1 && sizes.batch < PACK_ROWS;
        if sizes.batch == 1 || seldom {
            Self::Thin
        } else if sizes.batch < FEW_ROWS * threads() && weights > CACHED {
            Self::Units
        } else {
            Self::Batch
        }
    }
}

fn lengths_of<T: Float>(sequence: &Sequence, inputs: &Inputs<T>) -> Vec<usize> {
    sequence.lengths.clone().unwrap_or_else(|| vec![inputs.n_steps; inputs.batch])
}

/// Batch rows for each of at most `n` threads: as even a number of steps as rows allow.
fn shares(lengths: &[usize], n: usize) -> Vec<std::ops::Range<usize>> {
    let n = n.min(lengths.len());
    let total: usize = lengths.iter().sum();
    let mut shares = Vec::with_capacity(n);
    let (mut from, mut done) = (0, 0);
    for k in 1..=n {
        let mut to = from;
        // Each of those to come gets a row at least.
        while to < lengths.len() - (n - k) && (to == from || (done + lengths[to] / 2) * n < total * k) {
            done += lengths[to];
            to += 1;
        }
        if k == n {
            to = lengths.len();
        }
        shares.push(from..to);
        from = to;
    }
    shares
}

/// Rows that a product over several steps has at least, so that its weights are used while they
/// are near.
const CHUNK_ROWS: usize = 96;

/// Steps whose input products are done together.
fn chunk(rows: usize, n_steps: usize) -> usize {
    CHUNK_ROWS.div_ceil(rows.max(1)).min(n_steps)
}

/// Fills panels, shared out among the threads.
fn pack<J: Sync>(jobs: &[J], fill: impl Fn(&J) + Sync) {
    let n = threads().min(jobs.len()).max(1);
    team::each(n, &|k| jobs[team::share(jobs.len(), 1, n, k)].iter().for_each(&fill));
}

/// Rows of H, padded with zeros.
fn padded_rows<T: Float>(rows: &[T], n: usize, d: usize, padded: usize) -> Vec<T> {
    let mut all = vec![T::ZERO; n * padded];
    for (to, from) in all.chunks_exact_mut(padded).zip(rows.chunks_exact(d)) {
        to[..d].copy_from_slice(from);
    }
    all
}
