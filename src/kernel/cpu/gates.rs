//! What stands between two products: the gates of a step, and their gradients.
//!
//! Rows of H are padded to whole vectors, but for those that belong to tensors. Going back, what was
//! kept past H is not read: where an input is infinite it is not a number.

use super::isa::Loop;
use super::simd::{Float, Vector, constant, sigmoid, sigmoid_slope, tanh, tanh_slope};

/// What a pass computes. The GRU that resets before its product needs two passes, with the product
/// between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    RnnTanh,
    RnnRelu,
    Lstm,
    GruAfter,
    /// Forward: r and z, and r h. Backward: all but r.
    GruBefore1,
    /// Forward: n and the state. Backward: r.
    GruBefore2,
}

/// One step of some sequences.
pub struct Forward<'a, T> {
    pub pass: Pass,
    /// Units, H.
    pub d_hidden: usize,
    /// H in whole vectors: the distance from gate to gate.
    pub padded: usize,
    /// Units to compute, `from` a multiple of the lanes.
    pub from: usize,
    pub to: usize,
    pub rows: &'a [ForwardRow<T>],
}

/// One sequence's step: padded rows but for `output`.
#[derive(Clone, Copy)]
pub struct ForwardRow<T> {
    /// `[G, H]`: sums in, gates out. An RNN with zoneout: what the cell made of the state.
    pub gates: *mut T,
    /// `[H]`: `U_n h + d_n` in (reset after), `r h` out (reset before).
    pub recurrent: *mut T,
    /// `[H]`: the hidden state before.
    pub before: *const T,
    /// `[H]`: where the one after goes; it may be the same place.
    pub hidden: *mut T,
    /// `[H]`: the cell state before in, the one after out.
    pub cell: *mut T,
    /// `[H]`: where the cell state after is kept, or null.
    pub kept_cell: *mut T,
    /// `[H]`, not padded: the hidden state after.
    pub output: *mut T,
    /// `[H]`, not padded, or null: zoneout's shares of the hidden and of the cell state before.
    pub keep: [*const T; 2],
}

impl<T: Float> Loop<T> for Forward<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe { forward::<V>(self) }
    }
}

#[inline(always)]
unsafe fn forward<V: Vector>(p: &Forward<V::T>) {
    for row in p.rows {
        let mut j = p.from;
        while j < p.to {
            unsafe {
                match p.pass {
                    Pass::RnnTanh | Pass::RnnRelu => {
                        let sum = V::load(row.gates.add(j));
                        let new = match p.pass {
                            Pass::RnnTanh => tanh(sum),
                            _ => sum.max(V::splat(V::T::ZERO)),
                        };
                        if !row.keep[0].is_null() {
                            new.store(row.gates.add(j));
                        }
                        finish::<V>(p, row, j, new);
                    }
                    Pass::Lstm => lstm::<V>(p, row, j),
                    Pass::GruAfter => {
                        let [r, z, n] = [0, 1, 2].map(|g| row.gates.add(g * p.padded + j));
                        let reset = sigmoid(V::load(r));
                        reset.store(r);
                        let recurrent = V::load(row.recurrent.add(j));
                        let update = sigmoid(V::load(z));
                        update.store(z);
                        let new = tanh(reset.mul_add(recurrent, V::load(n)));
                        new.store(n);
                        mix::<V>(p, row, j, update, new);
                    }
                    Pass::GruBefore1 => {
                        let [r, z] = [0, 1].map(|g| row.gates.add(g * p.padded + j));
                        let reset = sigmoid(V::load(r));
                        reset.store(r);
                        sigmoid(V::load(z)).store(z);
                        reset.mul(V::load(row.before.add(j))).store(row.recurrent.add(j));
                    }
                    Pass::GruBefore2 => {
                        let [z, n] = [1, 2].map(|g| row.gates.add(g * p.padded + j));
                        let new = tanh(V::load(n));
                        new.store(n);
                        mix::<V>(p, row, j, V::load(z), new);
                    }
                }
            }
            j += V::LANES;
        }
    }
}

#[inline(always)]
unsafe fn lstm<V: Vector>(p: &Forward<V::T>, row: &ForwardRow<V::T>, j: usize) {
    unsafe {
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| row.gates.add(gate * p.padded + j));
        let input = sigmoid(V::load(i));
        input.store(i);
        let forget = sigmoid(V::load(f));
        forget.store(f);
        let update = tanh(V::load(g));
        update.store(g);
        let output = sigmoid(V::load(o));
        output.store(o);
        let cell = forget.mul_add(V::load(row.cell.add(j)), input.mul(update));
        let after = blend(row.keep[1], row.cell, j, p.d_hidden - j, cell);
        after.store(row.cell.add(j));
        if !row.kept_cell.is_null() {
            after.store(row.kept_cell.add(j));
        }
        finish(p, row, j, output.mul(tanh(cell)));
    }
}

/// `(1 - z) n + z h`
#[inline(always)]
unsafe fn mix<V: Vector>(p: &Forward<V::T>, row: &ForwardRow<V::T>, j: usize, update: V, new: V) {
    unsafe {
        let before = V::load(row.before.add(j));
        finish(p, row, j, update.mul_add(before.sub(new), new));
    }
}

#[inline(always)]
unsafe fn finish<V: Vector>(p: &Forward<V::T>, row: &ForwardRow<V::T>, j: usize, hidden: V) {
    unsafe {
        let hidden = blend(row.keep[0], row.before, j, p.d_hidden - j, hidden);
        hidden.store(row.hidden.add(j));
        store(hidden, row.output.add(j), p.d_hidden - j);
    }
}

/// Zoneout: a new state, with what is kept of the one before.
#[inline(always)]
pub unsafe fn blend<V: Vector>(keep: *const V::T, before: *const V::T, j: usize, part: usize, new: V) -> V {
    if keep.is_null() {
        return new;
    }
    unsafe {
        let keep = load::<V>(keep.add(j), part);
        keep.mul_add(V::load(before.add(j)), constant::<V>(1.0).sub(keep).mul(new))
    }
}

/// One step of some sequences, backward.
pub struct Backward<'a, T> {
    pub pass: Pass,
    pub d_hidden: usize,
    pub padded: usize,
    pub from: usize,
    pub to: usize,
    pub rows: &'a [BackwardRow<T>],
    /// `[G, H]`, padded: the sums of the gates' gradients are added to it.
    pub bias: *mut T,
    /// `[H]`, padded, reset after: of the gradient of `U_n h + d_n`.
    pub bias_n: *mut T,
}

/// One sequence's step: padded rows but for `output_grad` and `hidden`.
#[derive(Clone, Copy)]
pub struct BackwardRow<T> {
    /// `[G, H]`: gates in (RNN: nothing), gradients of their sums out.
    pub gates: *mut T,
    /// `[H]`: `U_n h + d_n` in and its gradient out (reset after), `r h` out (reset before).
    pub recurrent: *mut T,
    /// `[H]`, reset before: the gradient of `r h`.
    pub reset_grad: *mut T,
    /// `[H]`, not padded: the hidden state before the step, for an RNN what the cell made of it.
    pub hidden: *const T,
    /// `[H]`: the cell state after the step.
    pub cell: *const T,
    /// `[H]`: the one before.
    pub cell_before: *const T,
    /// `[H]`, not padded: the gradient of the step's output.
    pub output_grad: *const T,
    /// `[H]`: the gradient of the state after in; what does not go through the recurrent product
    /// of the state before out. RNN and LSTM: with zoneout only.
    pub hidden_grad: *mut T,
    /// `[H]`: the gradient of the cell state after in, before out.
    pub cell_grad: *mut T,
    /// As in [`ForwardRow`].
    pub keep: [*const T; 2],
}

impl<T: Float> Loop<T> for Backward<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe { backward::<V>(self) }
    }
}

#[inline(always)]
unsafe fn backward<V: Vector>(p: &Backward<V::T>) {
    let mut j = p.from;
    while j < p.to {
        unsafe {
            let part = p.d_hidden - j;
            let one = V::splat(V::T::from_f64(1.0));
            let gate = |row: &BackwardRow<V::T>, g: usize| row.gates.add(g * p.padded + j);
            match p.pass {
                Pass::RnnTanh | Pass::RnnRelu => {
                    let mut sum = V::splat(V::T::ZERO);
                    for row in p.rows {
                        let (grad, kept) = split(row.keep[0], j, part, total::<V>(row, j, part));
                        let hidden = load::<V>(row.hidden.add(j), part);
                        if !row.keep[0].is_null() {
                            kept.store(row.hidden_grad.add(j));
                        }
                        let grad = match p.pass {
                            Pass::RnnTanh => grad.mul(tanh_slope(hidden)),
                            _ => grad.or_where_not_positive(hidden, V::splat(V::T::ZERO)),
                        };
                        grad.store(gate(row, 0));
                        sum = sum.add(grad);
                    }
                    add_to(p.bias.add(j), sum);
                }
                Pass::Lstm => {
                    let mut sums = [V::splat(V::T::ZERO); 4];
                    for row in p.rows {
                        let [i, f, g, o] = [0, 1, 2, 3].map(|k| load::<V>(gate(row, k), part));
                        let (grad, kept) = split(row.keep[0], j, part, total::<V>(row, j, part));
                        if !row.keep[0].is_null() {
                            kept.store(row.hidden_grad.add(j));
                        }
                        let (later, kept) = split(row.keep[1], j, part, V::load(row.cell_grad.add(j)));
                        let squashed = if row.keep[1].is_null() {
                            tanh(load::<V>(row.cell.add(j), part))
                        } else {
                            // What stands there has something of the state before.
                            tanh(f.mul_add(load::<V>(row.cell_before.add(j), part), i.mul(g)))
                        };
                        let cell = grad.mul(o).mul_add(tanh_slope(squashed), later);
                        let grads = [
                            cell.mul(g).mul(sigmoid_slope(i)),
                            cell.mul(load::<V>(row.cell_before.add(j), part)).mul(sigmoid_slope(f)),
                            cell.mul(i).mul(tanh_slope(g)),
                            grad.mul(squashed).mul(sigmoid_slope(o)),
                        ];
                        for (k, grad) in grads.into_iter().enumerate() {
                            grad.store(gate(row, k));
                            sums[k] = sums[k].add(grad);
                        }
                        cell.mul_add(f, kept).store(row.cell_grad.add(j));
                    }
                    for (k, sum) in sums.into_iter().enumerate() {
                        add_to(p.bias.add(k * p.padded + j), sum);
                    }
                }
                Pass::GruAfter => {
                    let mut sums = [V::splat(V::T::ZERO); 4];
                    for row in p.rows {
                        let [r, z, n] = [0, 1, 2].map(|k| load::<V>(gate(row, k), part));
                        let (grad, kept) = split(row.keep[0], j, part, total::<V>(row, j, part));
                        let update =
                            grad.mul(load::<V>(row.hidden.add(j), part).sub(n)).mul(sigmoid_slope(z));
                        let new = grad.mul(one.sub(z)).mul(tanh_slope(n));
                        let reset = new.mul(load::<V>(row.recurrent.add(j), part)).mul(sigmoid_slope(r));
                        let recurrent = new.mul(r);
                        recurrent.store(row.recurrent.add(j));
                        grad.mul_add(z, kept).store(row.hidden_grad.add(j));
                        let grads = [reset, update, new];
                        for (k, grad) in grads.into_iter().enumerate() {
                            grad.store(gate(row, k));
                            sums[k] = sums[k].add(grad);
                        }
                        sums[3] = sums[3].add(recurrent);
                    }
                    let [reset, update, new, recurrent] = sums;
                    for (k, sum) in [reset, update, new].into_iter().enumerate() {
                        add_to(p.bias.add(k * p.padded + j), sum);
                    }
                    add_to(p.bias_n.add(j), recurrent);
                }
                Pass::GruBefore1 => {
                    let mut sums = [V::splat(V::T::ZERO); 2];
                    for row in p.rows {
                        let [z, n] = [1, 2].map(|k| load::<V>(gate(row, k), part));
                        let (grad, kept) = split(row.keep[0], j, part, total::<V>(row, j, part));
                        let update =
                            grad.mul(load::<V>(row.hidden.add(j), part).sub(n)).mul(sigmoid_slope(z));
                        let new = grad.mul(one.sub(z)).mul(tanh_slope(n));
                        update.store(gate(row, 1));
                        new.store(gate(row, 2));
                        grad.mul_add(z, kept).store(row.hidden_grad.add(j));
                        sums = [sums[0].add(update), sums[1].add(new)];
                    }
                    add_to(p.bias.add(p.padded + j), sums[0]);
                    add_to(p.bias.add(2 * p.padded + j), sums[1]);
                }
                Pass::GruBefore2 => {
                    let mut sum = V::splat(V::T::ZERO);
                    for row in p.rows {
                        let r = load::<V>(gate(row, 0), part);
                        let hidden = load::<V>(row.hidden.add(j), part);
                        let grad = load::<V>(row.reset_grad.add(j), part);
                        let reset = grad.mul(hidden).mul(sigmoid_slope(r));
                        reset.store(gate(row, 0));
                        r.mul(hidden).store(row.recurrent.add(j));
                        let at = row.hidden_grad.add(j);
                        grad.mul_add(r, V::load(at)).store(at);
                        sum = sum.add(reset);
                    }
                    add_to(p.bias.add(j), sum);
                }
            }
        }
        j += V::LANES;
    }
}

/// The gradient of the hidden state after a step: from the step after it, and from its output.
#[inline(always)]
pub unsafe fn total<V: Vector>(row: &BackwardRow<V::T>, j: usize, part: usize) -> V {
    unsafe { V::load(row.hidden_grad.add(j)).add(load(row.output_grad.add(j), part)) }
}

/// A state's gradient: the new state's part, and that of the one before which is kept.
#[inline(always)]
pub unsafe fn split<V: Vector>(keep: *const V::T, j: usize, part: usize, grad: V) -> (V, V) {
    unsafe {
        if keep.is_null() {
            return (grad, V::splat(V::T::ZERO));
        }
        let kept = load::<V>(keep.add(j), part).mul(grad);
        (grad.sub(kept), kept)
    }
}

#[inline(always)]
pub unsafe fn add_to<V: Vector>(at: *mut V::T, sum: V) {
    unsafe { V::load(at).add(sum).store(at) }
}

/// A vector, of which `left` values are there.
#[inline(always)]
pub unsafe fn load<V: Vector>(p: *const V::T, left: usize) -> V {
    unsafe { if left >= V::LANES { V::load(p) } else { V::load_part(p, left) } }
}

#[inline(always)]
pub unsafe fn store<V: Vector>(v: V, p: *mut V::T, left: usize) {
    unsafe { if left >= V::LANES { v.store(p) } else { v.store_part(p, left) } }
}
