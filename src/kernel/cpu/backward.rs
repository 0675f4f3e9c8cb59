//! A sequence, backward.

use super::buffer::{Buffer, Shared, part};
use super::forward::Kept;
use super::gates::{Backward, BackwardRow, Pass};
use super::isa::{Dispatch, Job, Kernels};
use super::product::{Fill, Packed, Product, Start};
use super::{
    Inputs, Rows, SHARED_FROM, Sharing, Sizes, chunk, lengths_of, normed, padded_rows, shares, team,
};
use crate::kernel::{Cell, Sequence, Wanted, threads};
use std::ops::Range;
use std::ptr;
use std::sync::Mutex;

/// Gradients, each of its operand's shape; empty where they are not wanted.
#[derive(Clone, Debug, Default)]
pub struct Grads<T> {
    pub input: Vec<T>,
    pub hidden: Vec<T>,
    /// LSTM only.
    pub cell: Vec<T>,
    pub weight_ih: Vec<T>,
    pub weight_hh: Vec<T>,
    pub bias_ih: Vec<T>,
    pub bias_hh: Vec<T>,
    /// With layer norm only.
    pub gain_ih: Vec<T>,
    pub gain_hh: Vec<T>,
    /// LSTM with layer norm only.
    pub gain_cell: Vec<T>,
    pub bias_cell: Vec<T>,
}

/// The gradient of what [`forward`](super::forward) gives; zero where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grad<'a, T> {
    /// `[T, B, H]`
    pub output: Option<Rows<'a, T>>,
    /// `[B, H]`
    pub hidden: Option<&'a [T]>,
    /// `[B, H]`: LSTM only.
    pub cell: Option<&'a [T]>,
}

/// The gradient of [`forward`](super::forward), given what it kept and gave, and the gradient of
/// what it gave.
///
/// # Panics
/// If sizes do not go together.
pub fn backward<T: Dispatch>(
    sequence: &Sequence,
    inputs: &Inputs<T>,
    kept: Kept<T>,
    packed: &[T],
    grad: Grad<T>,
    wanted: Wanted,
) -> Grads<T> {
    inputs.check(sequence);
    let Inputs { n_steps, batch, d_hidden, .. } = *inputs;
    let n = (n_steps + sequence.cell.state_rows()) * batch * d_hidden;
    assert_eq!(packed.len(), n, "the forward pass's result");
    if let Some(output) = grad.output {
        output.check([n_steps, batch, d_hidden], "the outputs' gradient [T, B, H]");
    }
    for state in [grad.hidden, grad.cell].into_iter().flatten() {
        assert_eq!(state.len(), batch * d_hidden, "a final state's gradient [B, H]");
    }
    T::dispatch(kept.plan.isa, Run { sequence, inputs, kept, packed, grad, wanted })
}

struct Run<'a, T: Copy> {
    sequence: &'a Sequence,
    inputs: &'a Inputs<'a, T>,
    kept: Kept<T>,
    packed: &'a [T],
    grad: Grad<'a, T>,
    wanted: Wanted,
}

impl<T: Dispatch> Job<T> for Run<'_, T> {
    type Output = Grads<T>;

    fn run<V: Kernels<T = T>>(self) -> Grads<T> {
        let Self { sequence, inputs, mut kept, packed, grad, wanted } = self;
        let sizes = Sizes::new::<V>(sequence, inputs);
        let lengths = lengths_of(sequence, inputs);
        assert!(
            kept.sizes == sizes && kept.lengths == lengths && kept.parts == inputs.parts(),
            "kept of another forward pass: {:?}, {:?}",
            kept.sizes,
            kept.parts
        );
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = sizes;
        let steps = n_steps * batch;
        if !inputs.keeps_gates(cell) {
            kept.gates = Buffer::new(steps * padded);
        }
        if cell == Cell::GruBefore {
            kept.recurrent = Buffer::new(steps * padded);
        }
        let mut input = Buffer::new(if wanted.input { steps * d_input } else { 0 });
        let mut hidden = Buffer::new(batch * d_hidden);
        let mut cell_grad = Buffer::new(if cell == Cell::Lstm { batch * d_hidden } else { 0 });
        let cell_start = inputs.cell.map_or(Vec::new(), |cell| padded_rows(cell, batch, d_hidden, padded));
        let zeros = vec![T::ZERO; if grad.output.is_none() { d_hidden } else { 0 }];
        let layer = Layer {
            sizes,
            inputs,
            lengths: &lengths,
            packed,
            output_grad: grad.output.unwrap_or(Rows { values: &zeros, strides: [0, 0] }),
            grad,
            cell_start: &cell_start,
            gates: kept.gates.shared(),
            cells: kept.cells.shared(),
            recurrent: kept.recurrent.shared(),
            input: input.shared(),
            hidden: hidden.shared(),
            cell: cell_grad.shared(),
        };
        let mut kept_norm = kept.norm.take();
        let norm = inputs.norm.zip(kept_norm.as_mut());
        let norm = norm.map(|(gains, kept)| normed::Norm::new(&sizes, &gains, kept));
        let mut states = Buffer::new(if norm.is_some() { steps * d_hidden } else { 0 });
        let states_at = states.shared();
        let sharing = if norm.is_some() { Sharing::Batch } else { Sharing::of::<T>(kept.plan, &sizes, true) };
        let weights = Weights::new::<V>(&sizes, inputs, wanted.input, sharing);
        let shares = if sharing == Sharing::Batch {
            shares(&lengths, if sizes.products() < SHARED_FROM { 1 } else { threads() })
        } else {
            Vec::new()
        };
        let biases: Vec<_> = shares.iter().map(|_| Mutex::new(Vec::new())).collect();
        team::each(shares.len(), &|k| {
            let own = shares[k].clone();
            *biases[k].lock().expect("nobody panicked") = match &norm {
                Some(norm) => layer.normed_rows::<V>(&weights, norm, states_at, own),
                None => layer.rows::<V>(&weights, own),
            };
        });
        let shared_bias = if sharing == Sharing::Batch { Vec::new() } else { layer.by_units::<V>(&weights) };

        // SAFETY: every row of these was written.
        let mut grads = Grads {
            input: unsafe { input.into_vec() },
            hidden: unsafe { hidden.into_vec() },
            cell: unsafe { cell_grad.into_vec() },
            ..Grads::default()
        };
        if wanted.weights {
            let n_sums =
                if norm.is_some() { Layer::<T>::normed_sums(&sizes) } else { sizes.gates() + padded };
            let mut sums = vec![T::ZERO; n_sums];
            let biases = biases.into_iter().map(|bias| bias.into_inner().expect("nobody panicked"));
            for bias in biases.chain([shared_bias]) {
                sums.iter_mut().zip(bias).for_each(|(sum, part)| *sum += part);
            }
            let of_gate = |gate: usize| &sums[gate * padded..gate * padded + d_hidden];
            let gates = 0..cell.gates();
            grads.bias_ih = gates.clone().flat_map(of_gate).copied().collect();
            let after = cell == Cell::GruAfter;
            grads.bias_hh =
                gates.map(|g| if after && g == 2 { 3 } else { g }).flat_map(of_gate).copied().collect();
            let Some(kept) = kept_norm else {
                (grads.weight_ih, grads.weight_hh) = layer.weight_grads::<V>();
                return grads;
            };
            let from = cell.gates() + 1;
            let gains = |which: usize| (0..cell.gates()).map(move |g| from + which * cell.gates() + g);
            grads.gain_ih = gains(0).flat_map(of_gate).copied().collect();
            grads.gain_hh = gains(1).flat_map(of_gate).copied().collect();
            if cell == Cell::Lstm {
                [grads.gain_cell, grads.bias_cell] =
                    [0, 1].map(|k| of_gate(from + 2 * cell.gates() + k).to_vec());
            }
            // SAFETY: every row of these was written.
            let states = unsafe { states.into_vec() };
            [grads.weight_ih, grads.weight_hh] = layer.normed_weight_grads(kept, &states);
        }
        grads
    }
}

/// The weights as the time loop reads them: from the gates to what they were made of.
pub(super) struct Weights<T> {
    /// `[G·H, D]`, if the input's gradient is wanted.
    pub(super) input: Option<Packed<T>>,
    /// Of all gates, or of r and z and of n: `[·, H]`. Empty: as they lie in memory.
    pub(super) recurrent: Vec<Packed<T>>,
}

impl<T: Dispatch> Weights<T> {
    fn new<V: Kernels<T = T>>(sizes: &Sizes, inputs: &Inputs<T>, with_input: bool, sharing: Sharing) -> Self {
        let Sizes { cell, d_input, d_hidden, padded, .. } = *sizes;
        let mut input =
            with_input.then(|| Packed::new::<V>(cell.gates() * padded, d_input.next_multiple_of(V::LANES)));
        let groups = if sharing == Sharing::Thin { Vec::new() } else { sizes.groups() };
        let mut recurrent: Vec<_> = groups.iter().map(|n| Packed::new::<V>(n * padded, padded)).collect();
        let mut jobs = Vec::new();
        jobs.extend(
            input.iter_mut().flat_map(Packed::panels_mut).map(|panel| (panel, inputs.weight_ih, d_input)),
        );
        let mut rest = inputs.weight_hh;
        for (packed, n) in recurrent.iter_mut().zip(groups) {
            let (own, after) = rest.split_at(n * d_hidden * d_hidden);
            rest = after;
            jobs.extend(packed.panels_mut().map(|panel| (panel, own, d_hidden)));
        }
        super::pack(&jobs, |&(ref panel, weight, columns)| {
            let w = weight.as_ptr();
            // SAFETY: the weights' H rows of each of the panel's gates.
            unsafe { V::run(&Fill { panel, w, d_hidden, padded, columns }) };
        });
        Self { input, recurrent }
    }
}

pub(super) struct Layer<'a, T> {
    pub(super) sizes: Sizes,
    pub(super) inputs: &'a Inputs<'a, T>,
    pub(super) lengths: &'a [usize],
    pub(super) packed: &'a [T],
    pub(super) grad: Grad<'a, T>,
    pub(super) output_grad: Rows<'a, T>,
    /// The initial cell state, padded.
    pub(super) cell_start: &'a [T],
    pub(super) gates: Shared<T>,
    pub(super) cells: Shared<T>,
    pub(super) recurrent: Shared<T>,
    pub(super) input: Shared<T>,
    pub(super) hidden: Shared<T>,
    pub(super) cell: Shared<T>,
}

impl<T: Dispatch> Layer<'_, T> {
    /// The gradients of some sequences' final hidden and, of an LSTM, cell states, `[n, H]`, padded.
    pub(super) fn state_grads(&self, own: &Range<usize>) -> [Vec<T>; 2] {
        let Sizes { cell, d_hidden, padded, .. } = self.sizes;
        let n = own.len();
        let state = |grad: Option<&[T]>| {
            grad.map_or_else(
                || vec![T::ZERO; n * padded],
                |grad| padded_rows(&grad[own.start * d_hidden..own.end * d_hidden], n, d_hidden, padded),
            )
        };
        [state(self.grad.hidden), if cell == Cell::Lstm { state(self.grad.cell) } else { Vec::new() }]
    }

    /// Runs some of the sequences from their last step to their first. Gives the sums of their
    /// gates' gradients, `[G + 1, H]`, padded.
    fn rows<V: Kernels<T = T>>(&self, weights: &Weights<T>, own: Range<usize>) -> Vec<T> {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let (n, width) = (own.len(), self.sizes.gates());
        let recurrent_all = &weights.recurrent[0];
        let [mut hidden, mut cells] = self.state_grads(&own);
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let mut bias = vec![T::ZERO; width + padded];
        let bias_at = Shared::of(&mut bias);
        let mut reset = Buffer::new(if cell == Cell::GruBefore { n * padded } else { 0 });
        let reset = reset.shared();
        let (mut a, mut c) = (Vec::new(), Vec::new());
        let mut rows = Vec::with_capacity(n);
        let pass = |pass: Pass, rows: &[BackwardRow<T>]| {
            let bias_n = bias_at.at(width, padded);
            let bias = bias_at.at(0, width);
            // SAFETY: the rows are of this layer's sizes.
            unsafe { V::run(&Backward { pass, d_hidden, padded, from: 0, to: padded, rows, bias, bias_n }) }
        };
        let product = |a: &[*const T], c: &[*mut T], b: &Packed<T>, columns: usize, start: Start<T>| {
            // SAFETY: rows of K and of `columns` values each, made below.
            unsafe { V::run(&Product { a, c, b, panels: 0..b.panels(), columns, start }) }
        };

        // RNN and LSTM: all of the state's gradient is a product, but for what zoneout keeps.
        let start = if self.inputs.zoneout[0].is_some() { Start::Add } else { Start::Zero };
        let chunk = chunk(n, n_steps);
        for first in (0..n_steps).step_by(chunk) {
            let chunk = first..(first + chunk).min(n_steps);
            for s in chunk.clone() {
                let t = self.sizes.step(n_steps - 1 - s);
                rows.clear();
                a.clear();
                c.clear();
                for b in own.clone() {
                    let (k, at) = (b - own.start, t * batch + b);
                    if t >= self.lengths[b] {
                        self.clear(at, 0, padded);
                        continue;
                    }
                    let mut row = self.row(t, b);
                    row.hidden_grad = hidden.at(k * padded, padded);
                    if cell == Cell::Lstm {
                        row.cell_grad = cells.at(k * padded, padded);
                    }
                    if cell == Cell::GruBefore {
                        row.reset_grad = reset.at(k * padded, padded);
                    }
                    a.push(row.gates.cast_const());
                    c.push(row.hidden_grad);
                    rows.push(row);
                }
                match (cell, weights.recurrent.get(1)) {
                    (Cell::GruAfter, Some(weights_n)) => {
                        pass(Pass::GruAfter, &rows);
                        product(&a, &c, recurrent_all, padded, Start::Add);
                        a.clear();
                        a.extend(rows.iter().map(|row| row.recurrent.cast_const()));
                        product(&a, &c, weights_n, padded, Start::Add);
                    }
                    (Cell::GruBefore, Some(weights_n)) => {
                        pass(Pass::GruBefore1, &rows);
                        let new: Vec<_> = a.iter().map(|gates| gates.wrapping_add(2 * padded)).collect();
                        let into: Vec<_> = rows.iter().map(|row| row.reset_grad).collect();
                        product(&new, &into, weights_n, padded, Start::Zero);
                        pass(Pass::GruBefore2, &rows);
                        product(&a, &c, recurrent_all, padded, Start::Add);
                    }
                    _ => {
                        let kind = match cell {
                            Cell::RnnTanh => Pass::RnnTanh,
                            Cell::RnnRelu => Pass::RnnRelu,
                            _ => Pass::Lstm,
                        };
                        pass(kind, &rows);
                        product(&a, &c, recurrent_all, padded, start);
                    }
                }
            }
            if let Some(weights) = &weights.input {
                a.clear();
                c.clear();
                for s in chunk {
                    let t = self.sizes.step(n_steps - 1 - s);
                    for b in own.clone() {
                        let at = t * batch + b;
                        let to = self.input.at(at * d_input, d_input);
                        if t < self.lengths[b] {
                            a.push(self.gates.at(at * width, width).cast_const());
                            c.push(to);
                        } else {
                            // SAFETY: a row of D values, this thread's own.
                            unsafe { to.write_bytes(0, d_input) };
                        }
                    }
                }
                product(&a, &c, weights, d_input, Start::Zero);
            }
        }
        self.first_states(hidden, cells, own);
        bias
    }

    /// Writes down the gradients of the states before the first step.
    pub(super) fn first_states(&self, hidden: Shared<T>, cells: Shared<T>, own: Range<usize>) {
        let Sizes { cell, d_hidden, padded, .. } = self.sizes;
        for (k, b) in own.enumerate() {
            for (state, to) in [(hidden, self.hidden), (cells, self.cell)].into_iter().take(cell.state_rows())
            {
                let to = to.at(b * d_hidden, d_hidden);
                // SAFETY: two rows of H values, this thread's own.
                unsafe { ptr::copy_nonoverlapping(state.at(k * padded, padded), to, d_hidden) };
            }
        }
    }

    /// The hidden state before a sequence's step, `[H]`, not padded.
    pub(super) fn before(&self, t: usize, b: usize) -> *const T {
        let Sizes { batch, d_hidden, .. } = self.sizes;
        match self.sizes.before(t, self.lengths[b]) {
            Some(before) => part(self.packed, (before * batch + b) * d_hidden, d_hidden),
            None => part(self.inputs.hidden, b * d_hidden, d_hidden),
        }
    }

    /// A sequence's step, but for what the threads have of their own.
    pub(super) fn row(&self, t: usize, b: usize) -> BackwardRow<T> {
        let Sizes { cell, batch, d_hidden, padded, .. } = self.sizes;
        let width = self.sizes.gates();
        let at = t * batch + b;
        let before = self.sizes.before(t, self.lengths[b]);
        let state_at = |t: usize| part(self.packed, (t * batch + b) * d_hidden, d_hidden);
        let (cell_after, cell_before) = match (cell, before) {
            (Cell::Lstm, Some(before)) => (
                self.cells.at(at * padded, padded).cast_const(),
                self.cells.at((before * batch + b) * padded, padded).cast_const(),
            ),
            (Cell::Lstm, None) => {
                (self.cells.at(at * padded, padded).cast_const(), part(self.cell_start, b * padded, padded))
            }
            _ => (ptr::null(), ptr::null()),
        };
        BackwardRow {
            gates: self.gates.at(at * width, width),
            recurrent: match cell.gates() {
                3 => self.recurrent.at(at * padded, padded),
                _ => ptr::null_mut(),
            },
            reset_grad: ptr::null_mut(),
            hidden: match (cell.gates(), before) {
                (1, _) if self.inputs.keeps_gates(cell) => self.gates.at(at * width, width).cast_const(),
                (1, _) => state_at(t),
                (_, Some(before)) => state_at(before),
                (_, None) => part(self.inputs.hidden, b * d_hidden, d_hidden),
            },
            cell: cell_after,
            cell_before,
            output_grad: self.output_grad.at(t, b, d_hidden),
            hidden_grad: ptr::null_mut(),
            cell_grad: ptr::null_mut(),
            keep: self.inputs.keep(at),
        }
    }

    /// Sets the gradients of some units of a step past a sequence's end to zero: the products over
    /// all steps read them.
    pub(super) fn clear(&self, at: usize, from: usize, to: usize) {
        let Sizes { cell, padded, .. } = self.sizes;
        let width = self.sizes.gates();
        // SAFETY: units of padded rows, this thread's own.
        unsafe {
            for gate in 0..cell.gates() {
                let gates = self.gates.at(at * width + gate * padded, padded);
                gates.wrapping_add(from).write_bytes(0, to - from);
            }
            if cell.gates() == 3 {
                let recurrent = self.recurrent.at(at * padded, padded);
                recurrent.wrapping_add(from).write_bytes(0, to - from);
            }
        }
    }

    /// `[G·H, D]` and `[G·H, H]`: the gates' gradients with all that they were multiplied with.
    fn weight_grads<V: Kernels<T = T>>(&self) -> (Vec<T>, Vec<T>) {
        let Sizes { cell, reverse, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let width = self.sizes.gates();
        let steps = n_steps * batch;
        let mut weight_ih = Buffer::new(cell.gates() * d_hidden * d_input);
        let mut weight_hh = Buffer::new(cell.gates() * d_hidden * d_hidden);
        let (to_ih, to_hh) = (weight_ih.shared(), weight_hh.shared());

        // The state before each step is the output of the one before it, but at the start.
        let (grad_from, state_from) = if reverse { (0, batch) } else { (batch, 0) };
        let later = steps - batch;
        let start = self.inputs.hidden.iter().any(|&h| h != T::ZERO).then_some(self.inputs.hidden);
        // The rows of each sequence's first step in the order in which it is run, `[B, ·]`.
        let first_rows = |from: &Shared<T>, width: usize| {
            let mut rows = Vec::with_capacity(batch * width);
            for (b, &length) in self.lengths.iter().enumerate() {
                let t = if reverse { length - 1 } else { 0 };
                // SAFETY: rows that were written, and are written no more.
                let row =
                    unsafe { std::slice::from_raw_parts(from.at((t * batch + b) * width, width), width) };
                rows.extend_from_slice(row);
            }
            rows
        };
        let input = self.inputs.input.in_order([n_steps, batch, d_input]);
        let first_gates = start.map(|_| first_rows(&self.gates, width));
        let after = cell == Cell::GruAfter;
        let first_n = start.filter(|_| after).map(|_| first_rows(&self.recurrent, padded));

        // `dst [M, N] (+)= lhsᵀ · rhs` over K rows, all of them row by row.
        let gemm =
            |[m, n, k]: [usize; 3], dst: *mut T, lhs: (*const T, usize), rhs: (*const T, usize), add| {
                // SAFETY: the rows are there, and M of their columns.
                unsafe {
                    T::gemm(
                        [m, n, k],
                        (dst, [n as isize, 1]),
                        (lhs.0, [1, lhs.1 as isize]),
                        (rhs.0, [rhs.1 as isize, 1]),
                        add,
                    )
                }
            };
        // Blocks of units, in whole vectors.
        let vectors = padded / V::LANES;
        let parts = if self.sizes.products() < SHARED_FROM { 1 } else { threads().min(vectors) };
        team::each(parts, &|part_of| {
            let from = vectors * part_of / parts * V::LANES;
            let to = (vectors * (part_of + 1) / parts * V::LANES).min(d_hidden);
            if from >= to {
                return;
            }
            let m = to - from;
            for gate in 0..cell.gates() {
                let column = gate * padded + from;
                let row = gate * d_hidden + from;
                let grads = (self.gates.at(column, (steps - 1) * width + m).cast_const(), width);
                gemm(
                    [m, d_input, steps],
                    to_ih.at(row * d_input, m * d_input),
                    grads,
                    (input.as_ptr(), d_input),
                    false,
                );

                let to = to_hh.at(row * d_hidden, m * d_hidden);
                if gate == 2 && cell == Cell::GruBefore {
                    gemm(
                        [m, d_hidden, steps],
                        to,
                        grads,
                        (self.recurrent.at(0, steps * padded).cast_const(), padded),
                        false,
                    );
                    continue;
                }
                let (grads, first) = if gate == 2 && after {
                    (
                        (self.recurrent.at(from, (steps - 1) * padded + m).cast_const(), padded),
                        first_n.as_ref().map(|rows| part(rows, from, (batch - 1) * padded + m)),
                    )
                } else {
                    (grads, first_gates.as_ref().map(|rows| part(rows, column, (batch - 1) * width + m)))
                };
                let state = part(self.packed, state_from * d_hidden, later * d_hidden);
                let lhs = (grads.0.wrapping_add(grad_from * grads.1), grads.1);
                gemm([m, d_hidden, later], to, lhs, (state, d_hidden), false);
                if let (Some(start), Some(first)) = (start, first) {
                    gemm([m, d_hidden, batch], to, (first, grads.1), (start.as_ptr(), d_hidden), true);
                }
            }
        });
        // SAFETY: every block of every gate was written.
        unsafe { (weight_ih.into_vec(), weight_hh.into_vec()) }
    }
}
