//! A sequence, forward.

use super::buffer::{Buffer, Shared};
use super::gates::{Forward, ForwardRow, Pass};
use super::isa::{Dispatch, Job, Kernels};
use super::product::{FillTransposed, Packed, Product, Start};
use super::{
    Inputs, PACK_ROWS, Parts, Plan, SHARED_FROM, Sharing, Sizes, chunk, lengths_of, normed, padded_rows,
    shares, team,
};
use crate::kernel::{Cell, Sequence, threads};
use std::ops::Range;
use std::ptr;

/// What [`forward`] keeps for [`backward`](super::backward), besides its result.
#[derive(Clone, Debug)]
pub struct Kept<T: Copy> {
    /// With the instruction set whose vectors things are padded to.
    pub(super) plan: Plan,
    /// What it belongs to.
    pub(super) sizes: Sizes,
    pub(super) lengths: Vec<usize>,
    pub(super) parts: Parts,
    /// `[T, B, G, H]`: LSTM, GRU, and RNN with zoneout.
    pub(super) gates: Buffer<T>,
    /// Cell states after each step, `[T, B, H]`: LSTM.
    pub(super) cells: Buffer<T>,
    /// `U_n h + d_n`, `[T, B, H]`: the GRU that resets after.
    pub(super) recurrent: Buffer<T>,
    pub(super) norm: Option<normed::Kept<T>>,
}

/// Runs a layer: see [`RecurrentBackend::recurrent`](crate::kernel::RecurrentBackend::recurrent)
/// for what it gives. `keep`: for a gradient.
///
/// # Panics
/// If sizes do not go together.
pub fn forward<T: Dispatch>(
    plan: Plan,
    sequence: &Sequence,
    inputs: &Inputs<T>,
    keep: bool,
) -> (Vec<T>, Option<Kept<T>>) {
    inputs.check(sequence);
    T::dispatch(plan.isa, Run { plan, sequence, inputs, keep })
}

struct Run<'a, T> {
    plan: Plan,
    sequence: &'a Sequence,
    inputs: &'a Inputs<'a, T>,
    keep: bool,
}

impl<T: Dispatch> Job<T> for Run<'_, T> {
    type Output = (Vec<T>, Option<Kept<T>>);

    fn run<V: Kernels<T = T>>(self) -> Self::Output {
        let Self { plan, sequence, inputs, keep } = self;
        let sizes = Sizes::new::<V>(sequence, inputs);
        let Sizes { cell, n_steps, batch, d_hidden, padded, .. } = sizes;
        let steps = n_steps * batch;
        let mut packed = Buffer::new((n_steps + cell.state_rows()) * batch * d_hidden);
        let kept = |wanted: bool, width: usize| Buffer::new(if keep && wanted { steps * width } else { 0 });
        let lengths = lengths_of(sequence, inputs);
        let mut kept = Kept {
            plan,
            sizes,
            lengths: lengths.clone(),
            parts: inputs.parts(),
            gates: kept(inputs.keeps_gates(cell), sizes.gates()),
            cells: kept(cell == Cell::Lstm, padded),
            recurrent: kept(cell == Cell::GruAfter, padded),
            norm: inputs.norm.map(|_| normed::Kept::new(&sizes, keep)),
        };
        let layer = Layer {
            sizes,
            inputs,
            lengths: &lengths,
            keep,
            packed: packed.shared(),
            gates: kept.gates.shared(),
            cells: kept.cells.shared(),
            recurrent: kept.recurrent.shared(),
        };
        let norm = inputs.norm.zip(kept.norm.as_mut());
        let norm = norm.map(|(gains, kept)| normed::Norm::new(&sizes, &gains, kept));
        let sharing = match norm {
            Some(_) => normed::sharing(plan, &sizes),
            None => Sharing::of::<T>(plan, &sizes, false),
        };
        let weights = Weights::new::<V>(&sizes, inputs, sharing);
        let n_threads = if sizes.products() < SHARED_FROM { 1 } else { threads() };
        if let Some(norm) = &norm {
            let shares = shares(&lengths, n_threads);
            team::each(shares.len(), &|k| layer.normed_rows::<V>(&weights, norm, shares[k].clone()));
        } else if sharing != Sharing::Batch {
            layer.by_units::<V>(&weights);
        } else {
            let shares = shares(&lengths, n_threads);
            team::each(shares.len(), &|k| layer.rows::<V>(&weights, shares[k].clone()));
        }
        // SAFETY: every row of every step was written, and the final states.
        (unsafe { packed.into_vec() }, keep.then_some(kept))
    }
}

/// The weights as the time loop reads them.
pub(super) struct Weights<T> {
    /// None: as they lie in memory.
    pub(super) input: Option<Packed<T>>,
    /// Of all gates, or of r and z and of n; by units: of each gate. Empty: as they lie in memory.
    pub(super) recurrent: Vec<Packed<T>>,
    /// `[G, H]`, padded: what the input's product starts from.
    pub(super) bias: Vec<T>,
    /// Reset after: what the recurrent product of n starts from.
    pub(super) bias_n: Vec<T>,
}

impl<T: Dispatch> Weights<T> {
    fn new<V: Kernels<T = T>>(sizes: &Sizes, inputs: &Inputs<T>, sharing: Sharing) -> Self {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = *sizes;
        let gates = cell.gates();
        let mut input = (sharing != Sharing::Thin || n_steps * batch >= PACK_ROWS)
            .then(|| Packed::new::<V>(d_input, gates * padded));
        let groups = match sharing {
            Sharing::Thin => vec![],
            Sharing::Units => vec![1; gates],
            Sharing::Batch => sizes.groups(),
        };
        let mut recurrent: Vec<_> = groups.iter().map(|n| Packed::new::<V>(d_hidden, n * padded)).collect();
        let mut jobs = Vec::new();
        jobs.extend(input.iter_mut().flat_map(Packed::panels_mut).map(|panel| (panel, inputs.weight_ih)));
        let mut rest = inputs.weight_hh;
        for (packed, n) in recurrent.iter_mut().zip(groups) {
            let (own, after) = rest.split_at(n * d_hidden * d_hidden);
            rest = after;
            jobs.extend(packed.panels_mut().map(|panel| (panel, own)));
        }
        let zeros = vec![T::ZERO; if padded > d_hidden { d_input.max(d_hidden) } else { 0 }];
        super::pack(&jobs, |(panel, weight)| {
            let (w, zeros) = (weight.as_ptr(), zeros.as_ptr());
            // SAFETY: the weights' H rows of each of the panel's gates, of K values, and as many zeros.
            unsafe { V::run(&FillTransposed { panel, w, d_hidden, padded, zeros }) };
        });

        let mut bias = vec![T::ZERO; gates * padded];
        let mut bias_n = vec![T::ZERO; if cell == Cell::GruAfter { padded } else { 0 }];
        for (which, values) in [inputs.bias_ih, inputs.bias_hh].into_iter().enumerate() {
            let gates = values.into_iter().flat_map(|values| values.chunks_exact(d_hidden));
            for (gate, values) in gates.enumerate() {
                let to = match which == 1 && gate == 2 && cell == Cell::GruAfter {
                    true => &mut bias_n[..],
                    false => &mut bias[gate * padded..],
                };
                to.iter_mut().zip(values).for_each(|(to, &value)| *to += value);
            }
        }
        Self { input, recurrent, bias, bias_n }
    }
}

pub(super) struct Layer<'a, T> {
    pub(super) sizes: Sizes,
    pub(super) inputs: &'a Inputs<'a, T>,
    pub(super) lengths: &'a [usize],
    pub(super) keep: bool,
    pub(super) packed: Shared<T>,
    pub(super) gates: Shared<T>,
    pub(super) cells: Shared<T>,
    pub(super) recurrent: Shared<T>,
}

impl<T: Dispatch> Layer<'_, T> {
    /// Runs some of the sequences from their first step to their last.
    fn rows<V: Kernels<T = T>>(&self, weights: &Weights<T>, own: Range<usize>) {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let (n, width) = (own.len(), self.sizes.gates());
        let (Some(input), [recurrent_all, ..]) = (&weights.input, &weights.recurrent[..]) else {
            unreachable!("weights are packed for several sequences")
        };
        let state =
            |rows: &[T]| padded_rows(&rows[own.start * d_hidden..own.end * d_hidden], n, d_hidden, padded);
        let mut hidden = state(self.inputs.hidden);
        let mut cells = self.inputs.cell.map_or(Vec::new(), state);
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let keep_gates = self.keep && self.inputs.keeps_gates(cell);
        let chunk = chunk(n, n_steps);
        let mut gates = Buffer::new(if keep_gates { 0 } else { chunk * n * width });
        let gates = gates.shared();
        let mut recurrent = Buffer::new(if cell.gates() == 3 { n * padded } else { 0 });
        let recurrent = recurrent.shared();
        let (mut a, mut c) = (Vec::new(), Vec::new());
        let mut rows = Vec::with_capacity(n);

        for first in (0..n_steps).step_by(chunk) {
            let last = (first + chunk).min(n_steps);
            let gates_of = |s: usize, b: usize| {
                if keep_gates {
                    self.gates.at((self.sizes.step(s) * batch + b) * width, width)
                } else {
                    gates.at(((s - first) * n + b - own.start) * width, width)
                }
            };
            a.clear();
            c.clear();
            for s in first..last {
                let t = self.sizes.step(s);
                for b in own.clone().filter(|&b| t < self.lengths[b]) {
                    a.push(self.inputs.input.at(t, b, d_input));
                    c.push(gates_of(s, b));
                }
            }
            self.product::<V>(&a, &c, input, Start::Row(weights.bias.as_ptr()));

            for s in first..last {
                let t = self.sizes.step(s);
                rows.clear();
                a.clear();
                c.clear();
                for b in own.clone() {
                    let k = b - own.start;
                    let output = self.packed.at((t * batch + b) * d_hidden, d_hidden);
                    if t >= self.lengths[b] {
                        // SAFETY: a row of H values, this thread's own.
                        unsafe { output.write_bytes(0, d_hidden) };
                        continue;
                    }
                    let kept = (t * batch + b) * padded;
                    let hidden = hidden.at(k * padded, padded);
                    let row = ForwardRow {
                        gates: gates_of(s, b),
                        recurrent: match cell {
                            Cell::GruAfter if self.keep => self.recurrent.at(kept, padded),
                            Cell::GruAfter | Cell::GruBefore => recurrent.at(k * padded, padded),
                            _ => ptr::null_mut(),
                        },
                        before: hidden,
                        hidden,
                        cell: if cell == Cell::Lstm { cells.at(k * padded, padded) } else { ptr::null_mut() },
                        kept_cell: if cell == Cell::Lstm && self.keep {
                            self.cells.at(kept, padded)
                        } else {
                            ptr::null_mut()
                        },
                        output,
                        keep: self.inputs.keep(t * batch + b),
                    };
                    a.push(row.before);
                    c.push(row.gates);
                    rows.push(row);
                }
                self.product::<V>(&a, &c, recurrent_all, Start::Add);
                match (cell, weights.recurrent.get(1)) {
                    (Cell::GruAfter, Some(weights_n)) => {
                        c.clear();
                        c.extend(rows.iter().map(|row| row.recurrent));
                        let bias = weights.bias_n.as_ptr();
                        self.product::<V>(&a, &c, weights_n, Start::Row(bias));
                        self.pass::<V>(Pass::GruAfter, &rows);
                    }
                    (Cell::GruBefore, Some(weights_n)) => {
                        self.pass::<V>(Pass::GruBefore1, &rows);
                        a.clear();
                        c.clear();
                        a.extend(rows.iter().map(|row| row.recurrent.cast_const()));
                        c.extend(rows.iter().map(|row| row.gates.wrapping_add(2 * padded)));
                        self.product::<V>(&a, &c, weights_n, Start::Add);
                        self.pass::<V>(Pass::GruBefore2, &rows);
                    }
                    (Cell::RnnTanh, _) => self.pass::<V>(Pass::RnnTanh, &rows),
                    (Cell::RnnRelu, _) => self.pass::<V>(Pass::RnnRelu, &rows),
                    _ => self.pass::<V>(Pass::Lstm, &rows),
                }
            }
        }
        self.final_states(hidden, cells, own);
    }

    /// Writes down the states after the last step.
    pub(super) fn final_states(&self, hidden: Shared<T>, cells: Shared<T>, own: Range<usize>) {
        let Sizes { cell, n_steps, batch, d_hidden, padded, .. } = self.sizes;
        for (k, b) in own.enumerate() {
            for (state, row) in [hidden, cells].into_iter().zip(n_steps..n_steps + cell.state_rows()) {
                let to = self.packed.at((row * batch + b) * d_hidden, d_hidden);
                // SAFETY: two rows of H values, this thread's own.
                unsafe { ptr::copy_nonoverlapping(state.at(k * padded, padded), to, d_hidden) };
            }
        }
    }

    pub(super) fn product<V: Kernels<T = T>>(
        &self,
        a: &[*const T],
        c: &[*mut T],
        b: &Packed<T>,
        start: Start<T>,
    ) {
        // SAFETY: rows of K and of N values each.
        unsafe { V::run(&Product { a, c, b, panels: 0..b.panels(), columns: b.columns(), start }) }
    }

    fn pass<V: Kernels<T = T>>(&self, pass: Pass, rows: &[ForwardRow<T>]) {
        let Sizes { d_hidden, padded, .. } = self.sizes;
        // SAFETY: the rows are of this layer's sizes.
        unsafe { V::run(&Forward { pass, d_hidden, padded, from: 0, to: padded, rows }) }
    }
}
