//! Layer norm in the cell: a sequence's steps, forward and backward, where products are normalised
//! before they become gates.
//!
//! A thread has batch rows of its own, so that it sees all units of a row. What is kept besides:
//! both normalised products, `2·G·H` a step and sequence, and an LSTM's normalised cell states, H,
//! each with one over its deviation. Going back, the products' gradients overwrite them.

use super::buffer::{Buffer, Shared, part};
use super::gates::{
    Backward, BackwardRow, Forward, ForwardRow, Pass, add_to, blend, load, split, store, total,
};
use super::isa::{Dispatch, Kernels, Loop};
use super::matrix::{Matrix, product};
use super::product::{Dots, Packed, Product, Start};
use super::simd::{Float, Vector, constant, sigmoid, sigmoid_slope, tanh, tanh_slope};
use super::team::Crew;
use super::{PACK_ROWS, Plan, Sharing, Sizes, backward, chunk, forward, padded_rows};
use crate::kernel::{Cell, NORM_EPSILON};
use std::ops::Range;
use std::ptr;

/// What layer norm multiplies by and adds: see [`Norm`](crate::kernel::Norm).
#[derive(Clone, Copy, Debug)]
pub struct Gains<'a, T> {
    /// `[G·H]`
    pub input: &'a [T],
    /// `[G·H]`
    pub recurrent: &'a [T],
    /// `[H]`: LSTM only.
    pub cell: Option<&'a [T]>,
    /// `[H]`: LSTM only.
    pub cell_bias: Option<&'a [T]>,
}

/// What the forward direction keeps of layer norm.
#[derive(Clone, Debug)]
pub(super) struct Kept<T: Copy> {
    /// The input's and the recurrent product, normalised, `[T, B, G, H]`.
    products: [Buffer<T>; 2],
    /// What they were multiplied by, `[T, B, G]`.
    scales: [Buffer<T>; 2],
    /// Cell states, normalised, `[T, B, H]`: LSTM.
    cells: Buffer<T>,
    /// `[T, B]`: LSTM.
    cell_scales: Buffer<T>,
}

impl<T: Dispatch> Kept<T> {
    /// Room for it, or none.
    pub(super) fn new(sizes: &Sizes, keep: bool) -> Self {
        let steps = if keep { sizes.n_steps * sizes.batch } else { 0 };
        let cells = if sizes.cell == Cell::Lstm { steps } else { 0 };
        Self {
            products: [(); 2].map(|()| Buffer::new(steps * sizes.gates())),
            scales: [(); 2].map(|()| Buffer::new(steps * sizes.cell.gates())),
            cells: Buffer::new(cells * sizes.padded),
            cell_scales: Buffer::new(cells),
        }
    }
}

/// Layer norm as the time loop reads it.
pub(super) struct Norm<T> {
    /// Gains of the input's and the recurrent product, `[G, H]`, padded.
    gains: [Vec<T>; 2],
    /// Gain and bias of the cell state, `[H]`, padded: LSTM.
    cell: [Vec<T>; 2],
    products: [Shared<T>; 2],
    scales: [Shared<T>; 2],
    cells: Shared<T>,
    cell_scales: Shared<T>,
}

impl<T: Dispatch> Norm<T> {
    pub(super) fn new(sizes: &Sizes, gains: &Gains<T>, kept: &mut Kept<T>) -> Self {
        let Sizes { cell, d_hidden, padded, .. } = *sizes;
        let rows = |values: &[T], n| padded_rows(values, n, d_hidden, padded);
        Self {
            gains: [gains.input, gains.recurrent].map(|gain| rows(gain, cell.gates())),
            cell: [gains.cell, gains.cell_bias].map(|values| rows(values.unwrap_or(&[]), 1)),
            products: kept.products.each_mut().map(Buffer::shared),
            scales: kept.scales.each_mut().map(Buffer::shared),
            cells: kept.cells.shared(),
            cell_scales: kept.cell_scales.shared(),
        }
    }
}

/// How the forward direction reads the weights.
pub(super) fn sharing(plan: Plan, sizes: &Sizes) -> Sharing {
    let seldom = sizes.n_steps * sizes.batch < PACK_ROWS;
    let thin = plan.sharing.map_or(seldom, |sharing| sharing == Sharing::Thin);
    if thin { Sharing::Thin } else { Sharing::Batch }
}

/// Whose product it is.
const INPUT: usize = 0;
const RECURRENT: usize = 1;

impl<T: Dispatch> forward::Layer<'_, T> {
    /// Runs some of the sequences from their first step to their last.
    pub(super) fn normed_rows<V: Kernels<T = T>>(
        &self,
        weights: &forward::Weights<T>,
        norm: &Norm<T>,
        own: Range<usize>,
    ) {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let inputs = self.inputs;
        let (n, n_gates, width) = (own.len(), cell.gates(), self.sizes.gates());
        let state =
            |rows: &[T]| padded_rows(&rows[own.start * d_hidden..own.end * d_hidden], n, d_hidden, padded);
        let mut hidden = state(inputs.hidden);
        let mut cells = inputs.cell.map_or(Vec::new(), state);
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let keep_gates = self.keep && inputs.keeps_gates(cell);
        let chunk = chunk(n, n_steps);
        let scratch = |wanted: bool, n: usize| Buffer::new(if wanted { n } else { 0 });
        let mut gates = scratch(!keep_gates, chunk * n * width);
        let gates = gates.shared();
        let mut recurrent = scratch(n_gates == 3, n * padded);
        let recurrent = recurrent.shared();
        let mut products = scratch(!self.keep, n * width);
        let products = products.shared();
        let mut normal_cells = scratch(!self.keep && cell == Cell::Lstm, n * padded);
        let normal_cells = normal_cells.shared();
        let scale = |which: usize, at: usize| match self.keep {
            true => norm.scales[which].at(at * n_gates, n_gates),
            false => ptr::null_mut(),
        };

        let (mut a, mut c) = (Vec::new(), Vec::new());
        let mut rows = Vec::with_capacity(n);
        let mut places: Vec<Place<T>> = Vec::with_capacity(n);
        let mut norms: Vec<NormRow<T>> = Vec::with_capacity(n);
        for first in (0..n_steps).step_by(chunk) {
            let last = (first + chunk).min(n_steps);
            let gates_of = |s: usize, b: usize| match keep_gates {
                true => self.gates.at((self.sizes.step(s) * batch + b) * width, width),
                false => gates.at(((s - first) * n + b - own.start) * width, width),
            };
            a.clear();
            c.clear();
            norms.clear();
            for s in first..last {
                let t = self.sizes.step(s);
                for b in own.clone().filter(|&b| t < self.lengths[b]) {
                    let (at, to) = (t * batch + b, gates_of(s, b));
                    // Where nothing is kept, in the gates' own place.
                    let values = if self.keep { norm.products[INPUT].at(at * width, width) } else { to };
                    a.push(inputs.input.at(t, b, d_input));
                    c.push(values);
                    norms.push(NormRow { values, scale: scale(INPUT, at), to });
                }
            }
            self.plain_product::<V>(&a, &c, weights.input.as_ref(), inputs.weight_ih, d_input, 0..n_gates);
            self.normalize::<V>(&norms, &norm.gains[INPUT], n_gates, Some(&weights.bias));

            for s in first..last {
                let t = self.sizes.step(s);
                rows.clear();
                places.clear();
                for b in own.clone() {
                    let (k, at) = (b - own.start, t * batch + b);
                    let output = self.packed.at(at * d_hidden, d_hidden);
                    if t >= self.lengths[b] {
                        // SAFETY: a row of H values, this thread's own.
                        unsafe { output.write_bytes(0, d_hidden) };
                        continue;
                    }
                    let hidden = hidden.at(k * padded, padded);
                    let (cell, kept_cell) = match (cell, self.keep) {
                        (Cell::Lstm, true) => {
                            (cells.at(k * padded, padded), self.cells.at(at * padded, padded))
                        }
                        (Cell::Lstm, false) => (cells.at(k * padded, padded), ptr::null_mut()),
                        _ => (ptr::null_mut(), ptr::null_mut()),
                    };
                    rows.push(ForwardRow {
                        gates: gates_of(s, b),
                        recurrent: match self.sizes.cell {
                            Cell::GruAfter if self.keep => self.recurrent.at(at * padded, padded),
                            Cell::GruAfter | Cell::GruBefore => recurrent.at(k * padded, padded),
                            _ => ptr::null_mut(),
                        },
                        before: hidden,
                        hidden,
                        cell,
                        kept_cell,
                        output,
                        keep: inputs.keep(at),
                    });
                    places.push(if self.keep {
                        Place {
                            product: norm.products[RECURRENT].at(at * width, width),
                            scale: scale(RECURRENT, at),
                            cell: if cell.is_null() { cell } else { norm.cells.at(at * padded, padded) },
                            cell_scale: if cell.is_null() { cell } else { norm.cell_scales.at(at, 1) },
                        }
                    } else {
                        Place {
                            product: products.at(k * width, width),
                            scale: ptr::null_mut(),
                            cell: if cell.is_null() { cell } else { normal_cells.at(k * padded, padded) },
                            cell_scale: ptr::null_mut(),
                        }
                    });
                }
                // The recurrent product of a group of gates, normalised, to where it is wanted.
                let mut sum = |group: usize, gates: Range<usize>| {
                    let (skip, n) = (gates.start * padded, gates.len());
                    let second = group == 1;
                    let apart = second && cell == Cell::GruAfter;
                    norms.clear();
                    norms.extend(rows.iter().zip(&places).map(|(row, place)| NormRow {
                        values: place.product.wrapping_add(skip),
                        scale: if self.keep { place.scale.wrapping_add(gates.start) } else { place.scale },
                        to: if apart { row.recurrent } else { row.gates.wrapping_add(skip) },
                    }));
                    a.clear();
                    a.extend(rows.iter().map(|row| match cell {
                        Cell::GruBefore if second => row.recurrent.cast_const(),
                        _ => row.before,
                    }));
                    c.clear();
                    c.extend(norms.iter().map(|row| row.values));
                    let packed = weights.recurrent.get(group);
                    self.plain_product::<V>(&a, &c, packed, inputs.weight_hh, d_hidden, gates);
                    let bias = apart.then_some(&weights.bias_n[..]);
                    self.normalize::<V>(&norms, &norm.gains[RECURRENT][skip..], n, bias);
                };
                let pass = |pass: Pass| {
                    // SAFETY: the rows are of this layer's sizes.
                    unsafe { V::run(&Forward { pass, d_hidden, padded, from: 0, to: padded, rows: &rows }) }
                };
                match cell {
                    Cell::RnnTanh | Cell::RnnRelu => {
                        sum(0, 0..1);
                        pass(if cell == Cell::RnnTanh { Pass::RnnTanh } else { Pass::RnnRelu });
                    }
                    Cell::Lstm => {
                        sum(0, 0..4);
                        let [gain, bias] = norm.cell.each_ref().map(|values| values.as_ptr());
                        let cells = Cells { d_hidden, padded, rows: &rows, places: &places, gain, bias };
                        // SAFETY: the rows are of this layer's sizes.
                        unsafe { V::run(&cells) };
                    }
                    Cell::GruAfter => {
                        sum(0, 0..2);
                        sum(1, 2..3);
                        pass(Pass::GruAfter);
                    }
                    Cell::GruBefore => {
                        sum(0, 0..2);
                        pass(Pass::GruBefore1);
                        sum(1, 2..3);
                        pass(Pass::GruBefore2);
                    }
                }
            }
        }
        self.final_states(hidden, cells, own);
    }

    /// `A` with the weights of some gates, packed or as they lie in memory.
    fn plain_product<V: Kernels<T = T>>(
        &self,
        a: &[*const T],
        c: &[*mut T],
        packed: Option<&Packed<T>>,
        weight: &[T],
        k: usize,
        gates: Range<usize>,
    ) {
        let Sizes { d_hidden, padded, .. } = self.sizes;
        let Some(b) = packed else {
            for (nth, gate) in gates.enumerate() {
                let c: Vec<_> = c.iter().map(|c| c.wrapping_add(nth * padded)).collect();
                let w = part(weight, gate * d_hidden * k, d_hidden * k);
                // SAFETY: rows of K and of H values, and H rows of weights.
                unsafe {
                    V::run(&Dots { a, c: &c, w, k, from: 0, to: d_hidden, bias: ptr::null(), add: false })
                };
            }
            return;
        };
        self.product::<V>(a, c, b, Start::Zero);
    }

    fn normalize<V: Kernels<T = T>>(
        &self,
        rows: &[NormRow<T>],
        gain: &[T],
        gates: usize,
        bias: Option<&[T]>,
    ) {
        let Sizes { d_hidden, padded, .. } = self.sizes;
        let bias = bias.map_or(ptr::null(), <[T]>::as_ptr);
        // SAFETY: the rows are of this layer's sizes.
        unsafe { V::run(&Normalize { d_hidden, padded, gates, rows, gain: gain.as_ptr(), bias }) };
    }
}

/// Where layer norm leaves what it makes of a sequence's step.
struct Place<T> {
    /// The recurrent product, `[G, H]`.
    product: *mut T,
    /// `[G]`, or null.
    scale: *mut T,
    /// `[H]`: LSTM.
    cell: *mut T,
    /// One value: LSTM; or null.
    cell_scale: *mut T,
}

/// Turns products into what is added up to gates.
struct Normalize<'a, T> {
    d_hidden: usize,
    padded: usize,
    gates: usize,
    rows: &'a [NormRow<T>],
    /// `[G, H]`, padded.
    gain: *const T,
    /// `[G, H]`, padded; null: what is made is added to what stands there.
    bias: *const T,
}

struct NormRow<T> {
    /// `[G, H]`: products in, normalised out.
    values: *mut T,
    /// `[G]`: what they were multiplied by, or null.
    scale: *mut T,
    /// `[G, H]`: with their gain and bias. It may be the same place.
    to: *mut T,
}

impl<T: Dispatch> Loop<T> for Normalize<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            for row in self.rows {
                for gate in 0..self.gates {
                    let at = gate * self.padded;
                    let values = row.values.add(at);
                    let scale = standardize::<V>(values, self.d_hidden);
                    if !row.scale.is_null() {
                        *row.scale.add(gate) = scale;
                    }
                    let mut j = 0;
                    while j < self.d_hidden {
                        let start = if self.bias.is_null() { row.to } else { self.bias.cast_mut() };
                        let start = V::load(start.add(at + j));
                        let made = V::load(values.add(j)).mul_add(V::load(self.gain.add(at + j)), start);
                        made.store(row.to.add(at + j));
                        j += V::LANES;
                    }
                }
            }
        }
    }
}

/// Takes the mean off n values and divides by their deviation; zeros after them. Gives what they
/// were multiplied by.
#[inline(always)]
unsafe fn standardize<V: Vector>(values: *mut V::T, n: usize) -> V::T {
    unsafe {
        let mut sum = V::splat(V::T::ZERO);
        let mut j = 0;
        while j < n {
            sum = sum.add(load(values.add(j), n - j));
            j += V::LANES;
        }
        let mean = constant::<V>(mean_of(sum, n));
        let mut squares = V::splat(V::T::ZERO);
        j = 0;
        while j < n {
            let centred = first(load::<V>(values.add(j), n - j).sub(mean), n - j);
            centred.store(values.add(j));
            squares = centred.mul_add(centred, squares);
            j += V::LANES;
        }
        let scale = V::T::from_f64((mean_of(squares, n) + NORM_EPSILON).sqrt().recip());
        j = 0;
        while j < n {
            V::load(values.add(j)).mul(V::splat(scale)).store(values.add(j));
            j += V::LANES;
        }
        scale
    }
}

#[inline(always)]
unsafe fn mean_of<V: Vector>(sum: V, n: usize) -> f64 {
    let sum: f64 = unsafe { sum.sum() }.into();
    sum / n as f64
}

/// The first `n` lanes; zeros after them.
#[inline(always)]
unsafe fn first<V: Vector>(v: V, n: usize) -> V {
    if n >= V::LANES {
        return v;
    }
    // As many as there are in any vector.
    let mut lanes = [V::T::ZERO; 16];
    unsafe {
        v.store_part(lanes.as_mut_ptr(), n);
        V::load(lanes.as_ptr())
    }
}

/// An LSTM's gates, and its output by way of the normalised cell state.
struct Cells<'a, T> {
    d_hidden: usize,
    padded: usize,
    rows: &'a [ForwardRow<T>],
    places: &'a [Place<T>],
    /// `[H]`, padded.
    gain: *const T,
    bias: *const T,
}

impl<T: Dispatch> Loop<T> for Cells<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            for (row, place) in self.rows.iter().zip(self.places) {
                let mut j = 0;
                while j < self.padded {
                    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| row.gates.add(gate * self.padded + j));
                    let input = sigmoid(V::load(i));
                    input.store(i);
                    let forget = sigmoid(V::load(f));
                    forget.store(f);
                    let update = tanh(V::load(g));
                    update.store(g);
                    sigmoid(V::load(o)).store(o);
                    let cell = forget.mul_add(V::load(row.cell.add(j)), input.mul(update));
                    cell.store(place.cell.add(j));
                    let after = blend(row.keep[1], row.cell, j, self.d_hidden - j, cell);
                    after.store(row.cell.add(j));
                    if !row.kept_cell.is_null() {
                        after.store(row.kept_cell.add(j));
                    }
                    j += V::LANES;
                }
                let scale = standardize::<V>(place.cell, self.d_hidden);
                if !place.cell_scale.is_null() {
                    *place.cell_scale = scale;
                }
                j = 0;
                while j < self.padded {
                    let part = self.d_hidden - j;
                    let read = V::load(place.cell.add(j))
                        .mul_add(V::load(self.gain.add(j)), V::load(self.bias.add(j)));
                    let new = V::load(row.gates.add(3 * self.padded + j)).mul(tanh(read));
                    let hidden = blend(row.keep[0], row.before, j, part, new);
                    hidden.store(row.hidden.add(j));
                    store(hidden, row.output.add(j), part);
                    j += V::LANES;
                }
            }
        }
    }
}

impl<T: Dispatch> backward::Layer<'_, T> {
    /// How many values [`normed_rows`](Self::normed_rows) gives: the sums of the gates' gradients, `[G + 1, H]`,
    /// then the gradients of both products' gains, `[2, G, H]`, and of the cell state's gain and
    /// bias, `[2, H]`, all padded.
    pub(super) fn normed_sums(sizes: &Sizes) -> usize {
        3 * sizes.gates() + 3 * sizes.padded
    }

    /// Runs some of the sequences from their last step to their first. The state before each step is
    /// left in `states`, `[T, B, H]`.
    pub(super) fn normed_rows<V: Kernels<T = T>>(
        &self,
        weights: &backward::Weights<T>,
        norm: &Norm<T>,
        states: Shared<T>,
        own: Range<usize>,
    ) -> Vec<T> {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let (n, n_gates, width) = (own.len(), cell.gates(), self.sizes.gates());
        let [mut hidden, mut cells] = self.state_grads(&own);
        let (hidden, cells) = (Shared::of(&mut hidden), Shared::of(&mut cells));
        let mut sums = vec![T::ZERO; Self::normed_sums(&self.sizes)];
        let sums_at = Shared::of(&mut sums);
        let gain_grads = [0, 1].map(|which| sums_at.at(width + padded + which * width, width));
        let mut reset = Buffer::new(if cell == Cell::GruBefore { n * padded } else { 0 });
        let reset = reset.shared();
        let mut scratch = vec![T::ZERO; padded];
        let scratch = scratch.as_mut_ptr();
        let pass = |pass: Pass, rows: &[BackwardRow<T>]| {
            let (bias, bias_n) = (sums_at.at(0, width), sums_at.at(width, padded));
            // SAFETY: the rows are of this layer's sizes.
            unsafe { V::run(&Backward { pass, d_hidden, padded, from: 0, to: padded, rows, bias, bias_n }) }
        };
        let product = |a: &[*const T], c: &[*mut T], b: &Packed<T>, columns: usize, start: Start<T>| {
            // SAFETY: rows of K and of `columns` values each, made below.
            unsafe { V::run(&Product { a, c, b, panels: 0..b.panels(), columns, start }) }
        };
        // From some gates' gradients, `(row of T·B, [gates, H])` each, to those of a product of theirs.
        let through = |which: usize, gates: Range<usize>, grads: &[(usize, *const T)]| {
            let skip = gates.start * padded;
            let rows: Vec<_> = grads
                .iter()
                .map(|&(at, grads)| NormBackRow {
                    grads,
                    values: norm.products[which].at(at * width + skip, gates.len() * padded),
                    scale: norm.scales[which].at(at * n_gates + gates.start, gates.len()),
                })
                .collect();
            let gain = norm.gains[which][skip..].as_ptr();
            let gain_grad = gain_grads[which].wrapping_add(skip);
            let gates = gates.len();
            // SAFETY: the rows are of this layer's sizes.
            unsafe { V::run(&NormalizeBack { d_hidden, padded, gates, rows: &rows, gain, gain_grad }) };
            rows.into_iter().map(|row| row.values.cast_const()).collect::<Vec<_>>()
        };

        // RNN and LSTM: all of the state's gradient is a product, but for what zoneout keeps.
        let start = if self.inputs.zoneout[0].is_some() { Start::Add } else { Start::Zero };
        let chunk = chunk(n, n_steps);
        let mut rows = Vec::with_capacity(n);
        let mut valid = Vec::with_capacity(chunk * n);
        for first in (0..n_steps).step_by(chunk) {
            valid.clear();
            for s in first..(first + chunk).min(n_steps) {
                let t = self.sizes.step(n_steps - 1 - s);
                rows.clear();
                let from = valid.len();
                for b in own.clone() {
                    let (k, at) = (b - own.start, t * batch + b);
                    let state = states.at(at * d_hidden, d_hidden);
                    if t >= self.lengths[b] {
                        self.clear(at, 0, padded);
                        // SAFETY: this thread's own rows.
                        unsafe {
                            state.write_bytes(0, d_hidden);
                            norm.products.iter().for_each(|p| p.at(at * width, width).write_bytes(0, width));
                            if weights.input.is_some() {
                                self.input.at(at * d_input, d_input).write_bytes(0, d_input);
                            }
                        }
                        continue;
                    }
                    // SAFETY: two rows of H values, one of them this thread's own.
                    unsafe { ptr::copy_nonoverlapping(self.before(t, b), state, d_hidden) };
                    let mut row = self.row(t, b);
                    row.hidden_grad = hidden.at(k * padded, padded);
                    if cell == Cell::Lstm {
                        row.cell_grad = cells.at(k * padded, padded);
                    }
                    if cell == Cell::GruBefore {
                        row.reset_grad = reset.at(k * padded, padded);
                    }
                    rows.push(row);
                    valid.push((at, row.gates.cast_const()));
                }
                let here = &valid[from..];
                let into: Vec<_> = rows.iter().map(|row| row.hidden_grad).collect();
                // The gradients of n's own sum.
                let new = |place: fn(&BackwardRow<T>, usize) -> *mut T| {
                    here.iter()
                        .zip(&rows)
                        .map(|(&(at, _), row)| (at, place(row, 2 * padded).cast_const()))
                        .collect::<Vec<_>>()
                };
                match (cell, &weights.recurrent[..]) {
                    (Cell::GruAfter, [weights_rz, weights_n]) => {
                        pass(Pass::GruAfter, &rows);
                        product(&through(RECURRENT, 0..2, here), &into, weights_rz, padded, Start::Add);
                        let new = new(|row, _| row.recurrent);
                        product(&through(RECURRENT, 2..3, &new), &into, weights_n, padded, Start::Add);
                    }
                    (Cell::GruBefore, [weights_rz, weights_n]) => {
                        pass(Pass::GruBefore1, &rows);
                        let new = new(|row, skip| row.gates.wrapping_add(skip));
                        let reset: Vec<_> = rows.iter().map(|row| row.reset_grad).collect();
                        product(&through(RECURRENT, 2..3, &new), &reset, weights_n, padded, Start::Zero);
                        pass(Pass::GruBefore2, &rows);
                        product(&through(RECURRENT, 0..2, here), &into, weights_rz, padded, Start::Add);
                    }
                    (_, all) => {
                        match cell {
                            Cell::RnnTanh => pass(Pass::RnnTanh, &rows),
                            Cell::RnnRelu => pass(Pass::RnnRelu, &rows),
                            _ => {
                                let places: Vec<_> = here
                                    .iter()
                                    .map(|&(at, _)| {
                                        (norm.cells.at(at * padded, padded), norm.cell_scales.at(at, 1))
                                    })
                                    .collect();
                                let [gain, bias] = norm.cell.each_ref().map(|values| values.as_ptr());
                                let grads = 3 * width + padded;
                                let cells = CellsBack {
                                    d_hidden,
                                    padded,
                                    rows: &rows,
                                    places: &places,
                                    gain,
                                    bias,
                                    scratch,
                                    bias_grads: sums_at.at(0, width),
                                    cell_grads: [0, 1].map(|k| sums_at.at(grads + k * padded, padded)),
                                };
                                // SAFETY: the rows are of this layer's sizes.
                                unsafe { V::run(&cells) };
                            }
                        }
                        product(&through(RECURRENT, 0..n_gates, here), &into, &all[0], padded, start);
                    }
                }
            }
            let a = through(INPUT, 0..n_gates, &valid);
            if let Some(weights) = &weights.input {
                let c: Vec<_> = valid.iter().map(|&(at, _)| self.input.at(at * d_input, d_input)).collect();
                product(&a, &c, weights, d_input, Start::Zero);
            }
        }
        self.first_states(hidden, cells, own);
        sums
    }

    /// `[G·H, D]` and `[G·H, H]`, once all of [`normed_rows`](Self::normed_rows) was run.
    pub(super) fn normed_weight_grads(&self, kept: Kept<T>, states: &[T]) -> [Vec<T>; 2] {
        let Sizes { cell, n_steps, batch, d_input, d_hidden, padded, .. } = self.sizes;
        let (steps, width) = (n_steps * batch, self.sizes.gates());
        // SAFETY: every row was written, those past an end with zeros.
        let [input, recurrent] = kept.products.map(|product| unsafe { product.into_vec() });
        let of = |grads: Matrix<T>, rhs: &[T], n: usize| {
            let rows = product(Crew::default(), grads.transposed(), Matrix::new(rhs, [steps, n]), None);
            // Units past H.
            rows.chunks_exact(padded * n).flat_map(|gate| &gate[..d_hidden * n]).copied().collect::<Vec<_>>()
        };
        let grads = Matrix::new(&recurrent, [steps, width]);
        let weight_hh = if cell == Cell::GruBefore {
            // SAFETY: as above.
            let reset =
                unsafe { std::slice::from_raw_parts(self.recurrent.at(0, steps * padded), steps * padded) };
            let reset: Vec<T> =
                reset.chunks_exact(padded).flat_map(|row| &row[..d_hidden]).copied().collect();
            let mut rz = of(grads.columns(0..2 * padded), states, d_hidden);
            rz.extend(of(grads.columns(2 * padded..width), &reset, d_hidden));
            rz
        } else {
            of(grads, states, d_hidden)
        };
        let read = self.inputs.input.in_order([n_steps, batch, d_input]);
        [of(Matrix::new(&input, [steps, width]), &read, d_input), weight_hh]
    }
}

/// From the gradients of what [`Normalize`] made to those of what it was given.
struct NormalizeBack<'a, T> {
    d_hidden: usize,
    padded: usize,
    gates: usize,
    rows: &'a [NormBackRow<T>],
    /// `[G, H]`, padded.
    gain: *const T,
    /// `[G, H]`, padded: the gain's gradient is added to it.
    gain_grad: *mut T,
}

struct NormBackRow<T> {
    /// `[G, H]`
    grads: *const T,
    /// `[G, H]`: normalised products in, gradients of the products out.
    values: *mut T,
    /// `[G]`
    scale: *const T,
}

impl<T: Dispatch> Loop<T> for NormalizeBack<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            for row in self.rows {
                for gate in 0..self.gates {
                    let at = gate * self.padded;
                    let (grads, values) = (row.grads.add(at), row.values.add(at));
                    let mut means = Means::<V>::new();
                    let mut j = 0;
                    while j < self.d_hidden {
                        let value = V::load(values.add(j));
                        let grad = load::<V>(grads.add(j), self.d_hidden - j);
                        add_to(self.gain_grad.add(at + j), grad.mul(value));
                        means.add(grad.mul(V::load(self.gain.add(at + j))), value);
                        j += V::LANES;
                    }
                    let (means, scale) = (means.over(self.d_hidden), V::splat(*row.scale.add(gate)));
                    j = 0;
                    while j < self.d_hidden {
                        let (value, part) = (V::load(values.add(j)), self.d_hidden - j);
                        let grad = load::<V>(grads.add(j), part).mul(V::load(self.gain.add(at + j)));
                        first(means.take_off(grad, value).mul(scale), part).store(values.add(j));
                        j += V::LANES;
                    }
                }
            }
        }
    }
}

/// The means of a normalised row's gradient, and of its product with the row: what the norm takes
/// off it.
struct Means<V> {
    grad: V,
    along: V,
}

impl<V: Vector> Means<V> {
    #[inline(always)]
    unsafe fn new() -> Self {
        let zero = unsafe { V::splat(V::T::ZERO) };
        Self { grad: zero, along: zero }
    }

    #[inline(always)]
    unsafe fn add(&mut self, grad: V, value: V) {
        unsafe {
            self.grad = self.grad.add(grad);
            self.along = grad.mul_add(value, self.along);
        }
    }

    #[inline(always)]
    unsafe fn over(self, n: usize) -> Self {
        unsafe { Self { grad: constant(mean_of(self.grad, n)), along: constant(mean_of(self.along, n)) } }
    }

    #[inline(always)]
    unsafe fn take_off(&self, grad: V, value: V) -> V {
        unsafe { grad.sub(self.grad).sub(value.mul(self.along)) }
    }
}

/// [`Cells`], backward.
struct CellsBack<'a, T> {
    d_hidden: usize,
    padded: usize,
    rows: &'a [BackwardRow<T>],
    /// The normalised cell state, `[H]`, and what it was multiplied by.
    places: &'a [(*mut T, *mut T)],
    /// `[H]`, padded.
    gain: *const T,
    bias: *const T,
    /// `[H]`, padded: room.
    scratch: *mut T,
    /// `[G, H]`, padded: the sums of the gates' gradients are added to it.
    bias_grads: *mut T,
    /// `[H]` each, padded: likewise the gradients of gain and bias.
    cell_grads: [*mut T; 2],
}

impl<T: Dispatch> Loop<T> for CellsBack<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            for (row, &(values, scale)) in self.rows.iter().zip(self.places) {
                let gate = |k: usize, j: usize| row.gates.add(k * self.padded + j);
                let mut means = Means::<V>::new();
                let mut j = 0;
                while j < self.padded {
                    let part = self.d_hidden - j;
                    let (grad, kept) = split(row.keep[0], j, part, total::<V>(row, j, part));
                    if !row.keep[0].is_null() {
                        kept.store(row.hidden_grad.add(j));
                    }
                    let (value, gain) = (V::load(values.add(j)), V::load(self.gain.add(j)));
                    let squashed = tanh(value.mul_add(gain, V::load(self.bias.add(j))));
                    let o = load::<V>(gate(3, j), part);
                    let read = grad.mul(o).mul(tanh_slope(squashed));
                    let output = grad.mul(squashed).mul(sigmoid_slope(o));
                    output.store(gate(3, j));
                    add_to(self.bias_grads.add(3 * self.padded + j), output);
                    add_to(self.cell_grads[0].add(j), read.mul(value));
                    add_to(self.cell_grads[1].add(j), read);
                    let read = read.mul(gain);
                    read.store(self.scratch.add(j));
                    means.add(read, value);
                    j += V::LANES;
                }
                let (means, scale) = (means.over(self.d_hidden), V::splat(*scale));
                j = 0;
                while j < self.padded {
                    let part = self.d_hidden - j;
                    let [i, f, g] = [0, 1, 2].map(|k| load::<V>(gate(k, j), part));
                    let (later, kept) = split(row.keep[1], j, part, V::load(row.cell_grad.add(j)));
                    let read = means.take_off(V::load(self.scratch.add(j)), V::load(values.add(j)));
                    let cell = read.mul_add(scale, later);
                    let grads = [
                        cell.mul(g).mul(sigmoid_slope(i)),
                        cell.mul(load::<V>(row.cell_before.add(j), part)).mul(sigmoid_slope(f)),
                        cell.mul(i).mul(tanh_slope(g)),
                    ];
                    for (k, grad) in grads.into_iter().enumerate() {
                        grad.store(gate(k, j));
                        add_to(self.bias_grads.add(k * self.padded + j), grad);
                    }
                    cell.mul_add(f, kept).store(row.cell_grad.add(j));
                    j += V::LANES;
                }
            }
        }
    }
}
