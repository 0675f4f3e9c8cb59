//! Hidden units shared out among the threads, which meet after each step: for one sequence, or for
//! few with many weights, of which each core then reads only its own.

use super::backward;
use super::buffer::{Shared, part};
use super::forward;
use super::gates::{Backward, Forward, ForwardRow, Pass};
use super::isa::{Dispatch, Kernels};
use super::product::{Axpys, Dots, Product, Start};
use super::team::{self, Barrier};
use super::{SHARED_FROM, Sizes, chunk, padded_rows};
use crate::kernel::{Cell, threads};
use std::ptr;

/// Runs `work(k, n, barrier)` on `n` threads at once, or on this one alone.
fn share(n: usize, work: &(dyn Fn(usize, usize, &Barrier) + Sync)) {
    let barrier = Barrier::new(n);
    if !team::try_together(n, &|k| barrier.guard(|| work(k, n, &barrier))) {
        work(0, 1, &Barrier::new(1));
    }
}

/// The units of thread `k` of `n`, in whole panels of packed weights.
fn units<V: Kernels>(sizes: &Sizes, k: usize, n: usize) -> (usize, usize) {
    let width = 2 * V::LANES;
    let panels = sizes.padded.div_ceil(width);
    (panels * k / n * width, (panels * (k + 1) / n * width).min(sizes.padded))
}

fn workers<V: Kernels>(sizes: &Sizes) -> usize {
    let products = sizes.batch * sizes.cell.gates() * sizes.d_hidden * sizes.d_hidden;
    if products < SHARED_FROM { 1 } else { threads().min(sizes.padded.div_ceil(2 * V::LANES)) }
}

impl<T: Dispatch> forward::Layer<'_, T> {
    /// Runs all sequences.
    pub(super) fn by_units<V: Kernels<T = T>>(&self, weights: &forward::Weights<T>) {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let width = self.sizes.gates();
        let inputs = self.inputs;
        let mut hidden = padded_rows(inputs.hidden, batch, d_hidden, padded);
        hidden.resize(2 * batch * padded, T::ZERO);
        let mut cells = inputs.cell.map_or(Vec::new(), |cell| padded_rows(cell, batch, d_hidden, padded));
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let own_gates = !(self.keep && inputs.keeps_gates(cell));
        // Units past H take part in the gates: they start as zeros.
        let chunk = chunk(batch, n_steps);
        let mut gates = vec![T::ZERO; if own_gates { chunk * batch * width } else { 0 }];
        let gates = if own_gates { Shared::of(&mut gates) } else { self.gates };
        let own_recurrent = cell.gates() == 3 && !(self.keep && cell == Cell::GruAfter);
        let mut recurrent = vec![T::ZERO; if own_recurrent { batch * padded } else { 0 }];
        let recurrent = Shared::of(&mut recurrent);

        share(workers::<V>(&self.sizes), &|thread, n_threads, barrier| {
            let (from, to) = units::<V>(&self.sizes, thread, n_threads);
            // Rows of weights: those that there are.
            let (first, last) = (from.min(d_hidden), to.min(d_hidden));
            let dots =
                |a: &[*const T], c: &[*mut T], gate: usize, w: &[T], k: usize, bias: *const T, add: bool| {
                    let w = part(w, gate * d_hidden * k, d_hidden * k);
                    // SAFETY: rows of K and of H values, and H rows of weights.
                    unsafe { V::run(&Dots { a, c, w, k, from: first, to: last, bias, add }) };
                };

            let panels = from / (2 * V::LANES)..to.div_ceil(2 * V::LANES);
            // The recurrent product of one gate.
            let recurrent_product = |a: &[*const T], c: &[*mut T], gate: usize, bias: Option<&[T]>| {
                match weights.recurrent.get(gate) {
                    Some(b) => {
                        let start = bias.map_or(Start::Add, |bias| Start::Row(bias.as_ptr()));
                        // SAFETY: rows of H and, padded, of H values.
                        unsafe {
                            V::run(&Product { a, c, b, panels: panels.clone(), columns: padded, start })
                        }
                    }
                    None => {
                        let start = bias.map_or(ptr::null(), <[T]>::as_ptr);
                        if bias.is_some() {
                            for &c in c {
                                // SAFETY: this thread's units past H, of which no dot product is made.
                                unsafe { c.wrapping_add(last).write_bytes(0, to - last) };
                            }
                        }
                        dots(a, c, gate, inputs.weight_hh, d_hidden, start, bias.is_none());
                    }
                }
            };

            let (mut a, mut c) = (Vec::new(), Vec::new());
            let mut rows = Vec::with_capacity(batch);
            for s in 0..n_steps {
                let gates_of = |s: usize, b: usize| match own_gates {
                    true => gates.at((s % chunk * batch + b) * width, width),
                    false => gates.at((self.sizes.step(s) * batch + b) * width, width),
                };
                if s % chunk == 0 {
                    // The input's part of all gates at the next steps: by rows where the weights are
                    // packed, else by units.
                    a.clear();
                    c.clear();
                    for s in s..(s + chunk).min(n_steps) {
                        for b in 0..batch {
                            a.push(inputs.input.at(self.sizes.step(s), b, d_input));
                            c.push(gates_of(s, b));
                        }
                    }
                    match &weights.input {
                        Some(packed) => {
                            let own = a.len() * thread / n_threads..a.len() * (thread + 1) / n_threads;
                            let start = Start::Row(weights.bias.as_ptr());
                            self.product::<V>(&a[own.clone()], &c[own], packed, start);
                            barrier.wait();
                        }
                        None => {
                            for gate in 0..cell.gates() {
                                let c: Vec<_> = c.iter().map(|c| c.wrapping_add(gate * padded)).collect();
                                for &c in &c {
                                    // SAFETY: this thread's units past H, of which no dot product is made.
                                    unsafe { c.wrapping_add(last).write_bytes(0, to - last) };
                                }
                                let bias = part(&weights.bias, gate * padded, padded);
                                dots(&a, &c, gate, inputs.weight_ih, d_input, bias, false);
                            }
                        }
                    }
                }
                let t = self.sizes.step(s);
                rows.clear();
                a.clear();
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
                        gates: gates_of(s, b),
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
                        keep: inputs.keep(t * batch + b),
                    });
                    a.push(state.cast_const());
                }
                let pass = |pass: Pass| {
                    // SAFETY: the rows are of this layer's sizes.
                    unsafe { V::run(&Forward { pass, d_hidden, padded, from, to, rows: &rows }) }
                };
                let n_sums = if cell.gates() == 3 { 2 } else { cell.gates() };
                for gate in 0..n_sums {
                    c.clear();
                    c.extend(rows.iter().map(|row| row.gates.wrapping_add(gate * padded)));
                    recurrent_product(&a, &c, gate, None);
                }
                match cell {
                    Cell::RnnTanh => pass(Pass::RnnTanh),
                    Cell::RnnRelu => pass(Pass::RnnRelu),
                    Cell::Lstm => pass(Pass::Lstm),
                    Cell::GruAfter => {
                        c.clear();
                        c.extend(rows.iter().map(|row| row.recurrent));
                        recurrent_product(&a, &c, 2, Some(&weights.bias_n));
                        pass(Pass::GruAfter);
                    }
                    Cell::GruBefore => {
                        pass(Pass::GruBefore1);
                        barrier.wait();
                        a.clear();
                        c.clear();
                        a.extend(rows.iter().map(|row| row.recurrent.cast_const()));
                        c.extend(rows.iter().map(|row| row.gates.wrapping_add(2 * padded)));
                        recurrent_product(&a, &c, 2, None);
                        pass(Pass::GruBefore2);
                    }
                }
                if s + 1 < n_steps {
                    barrier.wait();
                }
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
    /// Runs all sequences. Gives the sums of their gates' gradients, `[G + 1, H]`, padded.
    pub(super) fn by_units<V: Kernels<T = T>>(&self, weights: &backward::Weights<T>) -> Vec<T> {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let width = self.sizes.gates();
        let lstm = cell == Cell::Lstm;
        let state = |grad: Option<&[T]>| {
            grad.map_or_else(
                || vec![T::ZERO; batch * padded],
                |grad| padded_rows(grad, batch, d_hidden, padded),
            )
        };
        let mut hidden = state(self.grad.hidden);
        let mut cells = if lstm { state(self.grad.cell) } else { Vec::new() };
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let mut bias = vec![T::ZERO; width + padded];
        let bias_at = Shared::of(&mut bias);
        let mut reset = vec![T::ZERO; if cell == Cell::GruBefore { batch * padded } else { 0 }];
        let reset = Shared::of(&mut reset);

        share(workers::<V>(&self.sizes), &|thread, n_threads, barrier| {
            let (from, to) = units::<V>(&self.sizes, thread, n_threads);
            let (first, last) = (from.min(d_hidden), to.min(d_hidden));
            let panels = from / (2 * V::LANES)..to.div_ceil(2 * V::LANES);
            // `c (+)= Σ a · U` over some gates, of which the weights of the first are the `k`th group.
            let product = |a: &[*const T], c: &[*mut T], group: usize, add: bool| match weights
                .recurrent
                .get(group)
            {
                Some(b) => {
                    let start = if add { Start::Add } else { Start::Zero };
                    // SAFETY: rows of the group's gates and of H values, all padded.
                    unsafe { V::run(&Product { a, c, b, panels: panels.clone(), columns: padded, start }) }
                }
                None => {
                    let groups = self.sizes.groups();
                    let gate = groups[..group].iter().sum::<usize>();
                    for (a, &c) in a.iter().zip(c) {
                        for k in 0..groups[group] {
                            let w = part(
                                self.inputs.weight_hh,
                                (gate + k) * d_hidden * d_hidden,
                                d_hidden * d_hidden,
                            );
                            let (a, add) = (a.wrapping_add(k * padded), add || k > 0);
                            // SAFETY: H values, H rows of H weights.
                            unsafe {
                                V::run(&Axpys {
                                    a,
                                    k: d_hidden,
                                    w,
                                    n: d_hidden,
                                    c,
                                    from: first,
                                    to: last,
                                    add,
                                })
                            }
                        }
                    }
                }
            };
            let (mut a, mut c) = (Vec::new(), Vec::new());
            let mut rows = Vec::with_capacity(batch);
            for s in 0..n_steps {
                let t = self.sizes.step(n_steps - 1 - s);
                rows.clear();
                a.clear();
                c.clear();
                for b in 0..batch {
                    let at = t * batch + b;
                    if t >= self.lengths[b] {
                        self.clear(at, from, to);
                        continue;
                    }
                    let mut row = self.row(t, b);
                    row.hidden_grad = hidden.at(b * padded, padded);
                    if lstm {
                        row.cell_grad = cells.at(b * padded, padded);
                    }
                    if cell == Cell::GruBefore {
                        row.reset_grad = reset.at(b * padded, padded);
                    }
                    a.push(row.gates.cast_const());
                    c.push(row.hidden_grad);
                    rows.push(row);
                }
                let pass = |pass: Pass| {
                    let (bias, bias_n) = (bias_at.at(0, width), bias_at.at(width, padded));
                    let rows = &rows[..];
                    // SAFETY: the rows are of this layer's sizes.
                    unsafe { V::run(&Backward { pass, d_hidden, padded, from, to, rows, bias, bias_n }) }
                };
                match cell {
                    Cell::GruAfter => {
                        pass(Pass::GruAfter);
                        barrier.wait();
                        product(&a, &c, 0, true);
                        a.clear();
                        a.extend(rows.iter().map(|row| row.recurrent.cast_const()));
                        product(&a, &c, 1, true);
                    }
                    Cell::GruBefore => {
                        pass(Pass::GruBefore1);
                        barrier.wait();
                        let new: Vec<_> = a.iter().map(|gates| gates.wrapping_add(2 * padded)).collect();
                        let into: Vec<_> = rows.iter().map(|row| row.reset_grad).collect();
                        product(&new, &into, 1, false);
                        pass(Pass::GruBefore2);
                        barrier.wait();
                        product(&a, &c, 0, true);
                    }
                    _ => {
                        pass(match cell {
                            Cell::RnnTanh => Pass::RnnTanh,
                            Cell::RnnRelu => Pass::RnnRelu,
                            _ => Pass::Lstm,
                        });
                        barrier.wait();
                        product(&a, &c, 0, self.inputs.zoneout[0].is_some());
                    }
                }
            }
            let Some(b) = &weights.input else { return };
            barrier.wait();
            let rows = n_steps * batch;
            let own = rows * thread / n_threads..rows * (thread + 1) / n_threads;
            // Rows past an end have gradients of zero.
            let a: Vec<_> = own.clone().map(|row| self.gates.at(row * width, width).cast_const()).collect();
            let c: Vec<_> = own.map(|row| self.input.at(row * d_input, d_input)).collect();
            let panels = 0..b.panels();
            // SAFETY: rows of G·H and of D values.
            unsafe { V::run(&Product { a: &a, c: &c, b, panels, columns: d_input, start: Start::Zero }) };
        });
        for b in 0..batch {
            for (state, to) in [(hidden, self.hidden), (cells, self.cell)].into_iter().take(cell.state_rows())
            {
                let to = to.at(b * d_hidden, d_hidden);
                // SAFETY: two rows of H values.
                unsafe { ptr::copy_nonoverlapping(state.at(b * padded, padded), to, d_hidden) };
            }
        }
        bias
    }
}
