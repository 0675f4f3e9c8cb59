//! One sequence, or one step of several: the hidden units are shared out among the threads, and
//! weights are read as they lie in memory, for packing them would cost as much as using them.

use super::backward;
use super::buffer::{Shared, part};
use super::forward::{self, Weights};
use super::gates::{Backward, BackwardRow, Forward, ForwardRow, Pass};
use super::isa::{Dispatch, Kernels};
use super::product::{Axpys, Dots, Packed, Product, Start};
use super::team::{self, Barrier};
use super::{Sizes, padded_rows};
use crate::kernel::{Cell, threads};
use std::ptr;

/// Products of a step below which threads cost more than they save.
const SHARED_FROM: usize = 100_000;

/// Runs `work(k, n, barrier)` on `n` threads at once, or on this one alone.
fn share(n: usize, work: &(dyn Fn(usize, usize, &Barrier) + Sync)) {
    let barrier = Barrier::new(n);
    if !team::try_together(n, &|k| work(k, n, &barrier)) {
        work(0, 1, &Barrier::new(1));
    }
}

/// The units of thread `k` of `n`, in whole vectors.
fn units<V: Kernels>(sizes: &Sizes, k: usize, n: usize) -> (usize, usize) {
    let vectors = sizes.padded / V::LANES;
    (vectors * k / n * V::LANES, vectors * (k + 1) / n * V::LANES)
}

fn workers(sizes: &Sizes) -> usize {
    let products = sizes.batch * sizes.cell.gates() * sizes.d_hidden * sizes.d_hidden;
    if products < SHARED_FROM { 1 } else { threads() }
}

impl<T: Dispatch> forward::Layer<'_, T> {
    /// Runs all sequences.
    pub(super) fn thin<V: Kernels<T = T>>(&self, weights: &Weights<T>) {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let width = self.sizes.gates();
        let inputs = self.inputs;
        let mut hidden = padded_rows(inputs.hidden, batch, d_hidden, padded);
        hidden.resize(2 * batch * padded, T::ZERO);
        let mut cells = inputs.cell.map_or(Vec::new(), |cell| padded_rows(cell, batch, d_hidden, padded));
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let own_gates = !self.keep || cell.gates() == 1;
        // Units past H take part in the gates: they start as zeros.
        let mut gates = vec![T::ZERO; if own_gates { n_steps * batch * width } else { 0 }];
        let gates = if own_gates { Shared::of(&mut gates) } else { self.gates };
        let own_recurrent = cell.gates() == 3 && !(self.keep && cell == Cell::GruAfter);
        let mut recurrent = vec![T::ZERO; if own_recurrent { batch * padded } else { 0 }];
        let recurrent = Shared::of(&mut recurrent);

        share(workers(&self.sizes), &|thread, n_threads, barrier| {
            let (from, to) = units::<V>(&self.sizes, thread, n_threads);
            // Rows of weights: those that there are.
            let (first, last) = (from.min(d_hidden), to.min(d_hidden));
            let dots =
                |a: &[*const T], c: &[*mut T], gate: usize, w: &[T], k: usize, bias: *const T, add: bool| {
                    let w = part(w, gate * d_hidden * k, d_hidden * k);
                    // SAFETY: rows of K and of H values, and H rows of weights.
                    unsafe { V::dots(&Dots { a, c, w, k, from: first, to: last, bias, add }) };
                };

            // The input's part of all gates, at all steps: by rows where the weights are packed,
            // else by units.
            let rows = n_steps * batch;
            let x = |row: usize| part(inputs.input, row * d_input, d_input);
            let gate_rows = |row: usize| gates.at(row * width, width);
            match &weights.input {
                Some(packed) => {
                    let own = rows * thread / n_threads..rows * (thread + 1) / n_threads;
                    let a: Vec<_> = own.clone().map(x).collect();
                    let c: Vec<_> = own.map(gate_rows).collect();
                    self.product::<V>(&a, &c, packed, Start::Row(weights.bias.as_ptr()));
                    barrier.wait();
                }
                None => {
                    let a: Vec<_> = (0..rows).map(x).collect();
                    for gate in 0..cell.gates() {
                        let c: Vec<_> =
                            (0..rows).map(|row| gate_rows(row).wrapping_add(gate * padded)).collect();
                        for &c in &c {
                            // SAFETY: this thread's units past H, of which no dot product is made.
                            unsafe { c.wrapping_add(last).write_bytes(0, to - last) };
                        }
                        let bias = part(&weights.bias, gate * padded, padded);
                        dots(&a, &c, gate, inputs.weight_ih, d_input, bias, false);
                    }
                }
            }

            let (mut a, mut c) = (Vec::new(), Vec::new());
            let mut rows = Vec::with_capacity(batch);
            for s in 0..n_steps {
                let t = self.sizes.step(s);
                (rows.clear(), a.clear());
                let [before, after] = [s % 2, (s + 1) % 2].map(|half| half * batch);
                for b in 0..batch {
                    let output = self.packed.at((t * batch + b) * d_hidden, d_hidden);
                    let state = hidden.at((before + b) * padded, padded);
                    let next = hidden.at((after + b) * padded, padded);
                    if t >= self.lengths[b] {
                        // SAFETY: this thread's units.
                        unsafe {
                            output.wrapping_add(first).write_bytes(0, last - first);
                            ptr::copy_nonoverlapping(
                                state.wrapping_add(from),
                                next.wrapping_add(from),
                                to - from,
                            );
                        }
                        continue;
                    }
                    let kept = (t * batch + b) * padded;
                    rows.push(ForwardRow {
                        gates: gates.at((t * batch + b) * width, width),
                        recurrent: match cell.gates() {
                            3 if own_recurrent => recurrent.at(b * padded, padded),
                            3 => self.recurrent.at(kept, padded),
                            _ => ptr::null_mut(),
                        },
                        before: state,
                        hidden: next,
                        cell: if cell == Cell::Lstm { cells.at(b * padded, padded) } else { ptr::null_mut() },
                        kept_cell: if cell == Cell::Lstm && self.keep {
                            self.cells.at(kept, padded)
                        } else {
                            ptr::null_mut()
                        },
                        output,
                    });
                    a.push(state.cast_const());
                }
                let pass = |pass: Pass| {
                    // SAFETY: the rows are of this layer's sizes.
                    unsafe { V::forward(&Forward { pass, d_hidden, padded, from, to, rows: &rows }) }
                };
                let n_sums = if cell.gates() == 3 { 2 } else { cell.gates() };
                for gate in 0..n_sums {
                    c.clear();
                    c.extend(rows.iter().map(|row| row.gates.wrapping_add(gate * padded)));
                    dots(&a, &c, gate, inputs.weight_hh, d_hidden, ptr::null(), true);
                }
                match cell {
                    Cell::RnnTanh => pass(Pass::RnnTanh),
                    Cell::RnnRelu => pass(Pass::RnnRelu),
                    Cell::Lstm => pass(Pass::Lstm),
                    Cell::GruAfter => {
                        c.clear();
                        c.extend(rows.iter().map(|row| row.recurrent));
                        for &c in &c {
                            // SAFETY: this thread's units past H.
                            unsafe { c.wrapping_add(last).write_bytes(0, to - last) };
                        }
                        dots(&a, &c, 2, inputs.weight_hh, d_hidden, weights.bias_n.as_ptr(), false);
                        pass(Pass::GruAfter);
                    }
                    Cell::GruBefore => {
                        pass(Pass::GruBefore1);
                        barrier.wait();
                        (a.clear(), c.clear());
                        a.extend(rows.iter().map(|row| row.recurrent.cast_const()));
                        c.extend(rows.iter().map(|row| row.gates.wrapping_add(2 * padded)));
                        dots(&a, &c, 2, inputs.weight_hh, d_hidden, ptr::null(), true);
                        pass(Pass::GruBefore2);
                    }
                }
                barrier.wait();
            }
        });
        for b in 0..batch {
            let last = hidden.at((n_steps % 2 * batch + b) * padded, padded);
            let cell_state = if cell == Cell::Lstm { cells.at(b * padded, padded) } else { last };
            for (state, row) in [last, cell_state].into_iter().zip(n_steps..n_steps + cell.state_rows()) {
                let to = self.packed.at((row * batch + b) * d_hidden, d_hidden);
                // SAFETY: two rows of H values.
                unsafe { ptr::copy_nonoverlapping(state, to, d_hidden) };
            }
        }
    }
}

impl<T: Dispatch> backward::Layer<'_, T> {
    /// Runs the only sequence. Gives the sums of its gates' gradients, `[G + 1, H]`, padded.
    pub(super) fn thin<V: Kernels<T = T>>(&self, weights: Option<&Packed<T>>) -> Vec<T> {
        let Sizes { cell, n_steps, d_input, d_hidden, padded, .. } = self.sizes;
        let width = self.sizes.gates();
        let length = self.lengths[0];
        let state = |step: usize| {
            padded_rows(&self.grad[step * d_hidden..(step + 1) * d_hidden], 1, d_hidden, padded)
        };
        let mut hidden = state(n_steps);
        let mut cells = if cell == Cell::Lstm { state(n_steps + 1) } else { Vec::new() };
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let mut bias = vec![T::ZERO; width + padded];
        let bias_at = Shared::of(&mut bias);
        let mut reset = vec![T::ZERO; if cell == Cell::GruBefore { padded } else { 0 }];
        let reset = Shared::of(&mut reset);

        share(workers(&self.sizes), &|thread, n_threads, barrier| {
            let (from, to) = units::<V>(&self.sizes, thread, n_threads);
            let (first, last) = (from.min(d_hidden), to.min(d_hidden));
            let axpys = |a: *const T, gate: usize, c: *mut T, add: bool| {
                let w = part(self.inputs.weight_hh, gate * d_hidden * d_hidden, d_hidden * d_hidden);
                // SAFETY: H values, H rows of H weights.
                unsafe { V::axpys(&Axpys { a, k: d_hidden, w, n: d_hidden, c, from: first, to: last, add }) };
            };
            for s in 0..n_steps {
                let t = self.sizes.step(n_steps - 1 - s);
                let gates = self.gates.at(t * width, width);
                let recurrent = match cell.gates() {
                    3 => self.recurrent.at(t * padded, padded),
                    _ => ptr::null_mut(),
                };
                if t >= length {
                    if thread == 0 {
                        // SAFETY: padded rows that nobody else touches.
                        unsafe {
                            gates.write_bytes(0, width);
                            if !recurrent.is_null() {
                                recurrent.write_bytes(0, padded);
                            }
                        }
                    }
                    continue;
                }
                let before = self.sizes.before(t, length);
                let state_at = |t: usize| part(self.packed, t * d_hidden, d_hidden);
                let row = BackwardRow {
                    gates,
                    recurrent,
                    reset_grad: if cell == Cell::GruBefore { reset.at(0, padded) } else { ptr::null_mut() },
                    hidden: match (cell.gates(), before) {
                        (1, _) => state_at(t),
                        (_, Some(before)) => state_at(before),
                        (_, None) => part(self.inputs.hidden, 0, d_hidden),
                    },
                    cell: if cell == Cell::Lstm {
                        self.cells.at(t * padded, padded)
                    } else {
                        ptr::null_mut()
                    },
                    cell_before: match (cell, before) {
                        (Cell::Lstm, Some(before)) => self.cells.at(before * padded, padded).cast_const(),
                        (Cell::Lstm, None) => part(self.cell_start, 0, padded),
                        _ => ptr::null(),
                    },
                    output_grad: part(self.grad, t * d_hidden, d_hidden),
                    hidden_grad: hidden.at(0, padded),
                    cell_grad: if cell == Cell::Lstm { cells.at(0, padded) } else { ptr::null_mut() },
                };
                let pass = |pass: Pass| {
                    let (bias, bias_n) = (bias_at.at(0, width), bias_at.at(width, padded));
                    let rows = &[row];
                    // SAFETY: the row is of this layer's sizes.
                    unsafe { V::backward(&Backward { pass, d_hidden, padded, from, to, rows, bias, bias_n }) }
                };
                let gate = |k: usize| gates.wrapping_add(k * padded).cast_const();
                match cell {
                    Cell::GruAfter => {
                        pass(Pass::GruAfter);
                        barrier.wait();
                        axpys(gate(0), 0, row.hidden_grad, true);
                        axpys(gate(1), 1, row.hidden_grad, true);
                        axpys(recurrent, 2, row.hidden_grad, true);
                    }
                    Cell::GruBefore => {
                        pass(Pass::GruBefore1);
                        barrier.wait();
                        axpys(gate(2), 2, row.reset_grad.cast_mut(), false);
                        pass(Pass::GruBefore2);
                        barrier.wait();
                        axpys(gate(0), 0, row.hidden_grad, true);
                        axpys(gate(1), 1, row.hidden_grad, true);
                    }
                    _ => {
                        pass(match cell {
                            Cell::RnnTanh => Pass::RnnTanh,
                            Cell::RnnRelu => Pass::RnnRelu,
                            _ => Pass::Lstm,
                        });
                        barrier.wait();
                        for k in 0..cell.gates() {
                            axpys(gate(k), k, row.hidden_grad, k > 0);
                        }
                    }
                }
            }
            let Some(weights) = weights else { return };
            barrier.wait();
            let own = n_steps * thread / n_threads..n_steps * (thread + 1) / n_threads;
            // Rows past the end have gradients of zero.
            let a: Vec<_> = own.clone().map(|t| self.gates.at(t * width, width).cast_const()).collect();
            let c: Vec<_> = own.map(|t| self.input.at(t * d_input, d_input)).collect();
            // SAFETY: rows of G·H and of D values.
            unsafe {
                V::product(&Product { a: &a, c: &c, b: weights, columns: d_input, start: Start::Zero });
            }
        });
        for (state, to) in [(hidden, self.hidden), (cells, self.cell)].into_iter().take(cell.state_rows()) {
            // SAFETY: two rows of H values.
            unsafe { ptr::copy_nonoverlapping(state.at(0, padded), to.at(0, d_hidden), d_hidden) };
        }
        bias
    }
}
