//! Every instruction set against a recurrence written out step by step, and its gradients against
//! differences of that.

use super::backward::Grads;
use super::{Dispatch, Gains, Grad, Inputs, Isa, Plan, Rows, Sharing, backward, forward};
use crate::config::Kernel;
use crate::kernel::{Cell, NORM_EPSILON, Sequence, Wanted};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const CELLS: [Cell; 5] = [Cell::RnnTanh, Cell::RnnRelu, Cell::Lstm, Cell::GruAfter, Cell::GruBefore];

/// A layer and its input: the operands of [`Inputs`] in its order, then those of [`Gains`], the
/// absent ones empty.
#[derive(Clone, Debug)]
struct Case {
    sequence: Sequence,
    sizes: [usize; 4],
    operands: [Vec<f64>; 11],
    zoneout: [Vec<f64>; 2],
}

impl Case {
    fn new(cell: Cell, [n_steps, batch, d_input, d_hidden]: [usize; 4], flags: [bool; 4], seed: u64) -> Self {
        let [reverse, ragged, bias, start] = flags;
        let lengths =
            ragged.then(|| (0..batch).map(|b| 1 + (seed as usize + 7 * b) % n_steps).collect::<Vec<_>>());
        let rows = cell.gates() * d_hidden;
        let scale = 1.0 / (d_hidden as f64).sqrt();
        let draw = |n: usize, part: u64, scale: f64| noise(n, seed * 8 + part, scale);
        let state =
            |part| if start { draw(batch * d_hidden, part, 1.0) } else { vec![0.0; batch * d_hidden] };
        let operands = [
            draw(n_steps * batch * d_input, 0, 1.0),
            state(1),
            if cell == Cell::Lstm { state(2) } else { Vec::new() },
            draw(rows * d_input, 3, scale),
            draw(rows * d_hidden, 4, scale),
            if bias { draw(rows, 5, scale) } else { Vec::new() },
            if bias { draw(rows, 6, scale) } else { Vec::new() },
            Vec::new(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
        ];
        let sequence = Sequence { cell, reverse, lengths, kernel: Kernel::Fused };
        let sizes = [n_steps, batch, d_input, d_hidden];
        Self { sequence, sizes, operands, zoneout: [Vec::new(), Vec::new()] }
    }

    fn normed(mut self, seed: u64) -> Self {
        let (cell, d_hidden) = (self.sequence.cell, self.sizes[3]);
        let lstm = if cell == Cell::Lstm { d_hidden } else { 0 };
        let bias = if self.operands[5].is_empty() { 0 } else { lstm };
        let draw = |n: usize, part: u64| noise(n, seed * 8 + part, 1.0);
        let gains = |n: usize, part: u64| draw(n, part).into_iter().map(|g| 1.0 + 0.3 * g).collect();
        self.operands[7] = gains(cell.gates() * d_hidden, 0);
        self.operands[8] = gains(cell.gates() * d_hidden, 1);
        self.operands[9] = gains(lstm, 2);
        self.operands[10] = draw(bias, 3);
        // As wide as it takes for the variance of few units not to be rounding.
        self.operands[3..5].iter_mut().flatten().for_each(|w| *w *= 2.0);
        self
    }

    /// Of each state: 0: none, 1: the same share at every step, 2: a mask, 3: shares of all sizes.
    fn with_zoneout(mut self, kinds: [usize; 2], seed: u64) -> Self {
        let [n_steps, batch, _, d_hidden] = self.sizes;
        for (which, kind) in kinds.into_iter().enumerate() {
            if which == 1 && self.sequence.cell != Cell::Lstm {
                break;
            }
            let draw = noise(n_steps * batch * d_hidden, seed * 8 + which as u64, 1.0);
            self.zoneout[which] = match kind {
                0 => Vec::new(),
                1 => vec![0.3; d_hidden],
                2 => draw.into_iter().map(|v| f64::from(v > 0.2)).collect(),
                _ => draw.into_iter().map(f64::abs).collect(),
            };
        }
        self
    }

    fn packed_len(&self) -> usize {
        let [n_steps, batch, _, d_hidden] = self.sizes;
        (n_steps + self.sequence.cell.state_rows()) * batch * d_hidden
    }

    /// The kernel's result and gradients, in f64 again.
    fn run<T: Dispatch + Into<f64>>(&self, plan: Plan, grad: &[f64]) -> (Vec<f64>, [Vec<f64>; 11]) {
        let cast = |values: &[f64]| values.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
        let back = |values: Vec<T>| values.into_iter().map(Into::into).collect::<Vec<f64>>();
        let operands = self.operands.each_ref().map(|values| cast(values));
        let zoneout = self.zoneout.each_ref().map(|values| cast(values));
        let some = |k: usize| (!operands[k].is_empty()).then_some(operands[k].as_slice());
        let [n_steps, batch, d_input, d_hidden] = self.sizes;
        // Half of the cases read sequence by sequence.
        let by_sequence = self.sequence.reverse;
        let input = arranged(&operands[0], [n_steps, batch, d_input], by_sequence);
        let inputs = Inputs {
            n_steps,
            batch,
            d_input,
            d_hidden,
            input: rows(&input, [n_steps, batch, d_input], by_sequence),
            hidden: &operands[1],
            cell: some(2),
            weight_ih: &operands[3],
            weight_hh: &operands[4],
            bias_ih: some(5),
            bias_hh: some(6),
            norm: some(7).zip(some(8)).map(|(input, recurrent)| Gains {
                input,
                recurrent,
                cell: some(9),
                cell_bias: some(10),
            }),
            zoneout: zoneout.each_ref().map(|k| (!k.is_empty()).then_some(k.as_slice())),
        };
        let (plain, none) = forward(plan, &self.sequence, &inputs, false);
        assert!(none.is_none());
        let (packed, kept) = forward(plan, &self.sequence, &inputs, true);
        let same = |a: &T, b: &T| {
            let [a, b]: [f64; 2] = [(*a).into(), (*b).into()];
            a == b || a.is_nan() && b.is_nan()
        };
        let all_same = plain.len() == packed.len() && plain.iter().zip(&packed).all(|(a, b)| same(a, b));
        assert!(all_same, "with and without a gradient: {plain:?}, {packed:?}");
        let wanted = Wanted { input: true, weights: true };
        let kept = kept.expect("asked for");
        let none = Wanted { input: false, weights: false };
        let grad = cast(grad);
        let (output, states) = grad.split_at(n_steps * batch * d_hidden);
        let (hidden, cell) = states.split_at(batch * d_hidden);
        let size = [n_steps, batch, d_hidden];
        let output = arranged(output, size, by_sequence);
        // A gradient that is absent is one of zeros.
        let some = |values| Some(values).filter(|values: &&[T]| values.iter().any(|&v| v != T::ZERO));
        let grad = Grad {
            output: some(&output).map(|values| rows(values, size, by_sequence)),
            hidden: some(hidden),
            cell: some(cell),
        };
        let states = backward(&self.sequence, &inputs, kept.clone(), &packed, grad, none);
        let grads = backward(&self.sequence, &inputs, kept, &packed, grad, wanted);
        let Grads { input, hidden, cell, weight_ih, weight_hh, mut bias_ih, mut bias_hh, .. } = grads;
        let Grads { gain_ih, gain_hh, gain_cell, mut bias_cell, .. } = grads;
        assert!(states.input.is_empty() && states.weight_ih.is_empty() && states.weight_hh.is_empty());
        assert!(
            states.hidden.len() == hidden.len() && states.hidden.iter().zip(&hidden).all(|(a, b)| same(a, b))
        );
        if self.operands[5].is_empty() {
            bias_ih.clear();
            bias_hh.clear();
            bias_cell.clear();
        }
        let states = [input, hidden, cell].map(back);
        let weights = [weight_ih, weight_hh, bias_ih, bias_hh].map(back);
        let norm = [gain_ih, gain_hh, gain_cell, bias_cell].map(back);
        let all = [&states[..], &weights, &norm].concat();
        (back(packed), all.try_into().expect("eleven"))
    }

    /// The recurrence as the books have it.
    fn written_out(&self) -> Vec<f64> {
        let [n_steps, batch, d_input, d_hidden] = self.sizes;
        let [input, hidden, cell_state, weight_ih, weight_hh, bias_ih, bias_hh, ..] = &self.operands;
        let [.., gain_ih, gain_hh, gain_cell, bias_cell] = &self.operands;
        let cell = self.sequence.cell;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut packed = vec![0.0; self.packed_len()];
        for b in 0..batch {
            let length = self.sequence.lengths.as_ref().map_or(n_steps, |lengths| lengths[b]);
            let own = b * d_hidden..(b + 1) * d_hidden;
            let mut h = hidden[own.clone()].to_vec();
            let mut c = cell_state.get(own).unwrap_or_default().to_vec();
            for s in 0..length {
                let t = if self.sequence.reverse { length - 1 - s } else { s };
                let x = &input[(t * batch + b) * d_input..][..d_input];
                let dot = |w: &[f64], row: usize, v: &[f64]| -> f64 {
                    w[row * v.len()..][..v.len()].iter().zip(v).map(|(a, b)| a * b).sum()
                };
                // A row of units, normalised where there is a gain, and its bias added.
                let made = |row: Vec<f64>, gain: &[f64], bias: &[f64], gate: usize| -> Vec<f64> {
                    let n = row.len() as f64;
                    let mean = row.iter().sum::<f64>() / n;
                    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                    let normal = |v: f64| (v - mean) / (variance + NORM_EPSILON).sqrt();
                    let at = |values: &[f64], j: usize| values.get(gate * d_hidden + j).copied();
                    let made = |(j, &v): (usize, &f64)| {
                        at(gain, j).map_or(v, |gain| gain * normal(v)) + at(bias, j).unwrap_or(0.0)
                    };
                    row.iter().enumerate().map(made).collect()
                };
                let of_x: Vec<Vec<f64>> = (0..cell.gates())
                    .map(|gate| {
                        let row = (0..d_hidden).map(|j| dot(weight_ih, gate * d_hidden + j, x)).collect();
                        made(row, gain_ih, bias_ih, gate)
                    })
                    .collect();
                let of_h = |gate: usize, h: &[f64]| {
                    let row = (0..d_hidden).map(|j| dot(weight_hh, gate * d_hidden + j, h)).collect();
                    made(row, gain_hh, bias_hh, gate)
                };
                let sums = |gate: usize, h: &[f64]| -> Vec<f64> {
                    of_x[gate].iter().zip(of_h(gate, h)).map(|(x, h)| x + h).collect()
                };
                let gate = |gate: usize| -> Vec<f64> { sums(gate, &h).into_iter().map(sigmoid).collect() };
                let keep = |which: usize, new: Vec<f64>, old: &[f64]| -> Vec<f64> {
                    let shares = &self.zoneout[which];
                    let from = if shares.len() == d_hidden { 0 } else { (t * batch + b) * d_hidden };
                    let share = |j: usize| shares.get(from + j).copied().unwrap_or(0.0);
                    (0..d_hidden).map(|j| share(j) * old[j] + (1.0 - share(j)) * new[j]).collect()
                };
                let new: Vec<f64> = match cell {
                    Cell::RnnTanh => sums(0, &h).into_iter().map(f64::tanh).collect(),
                    Cell::RnnRelu => sums(0, &h).into_iter().map(|v| v.max(0.0)).collect(),
                    Cell::Lstm => {
                        let (i, f, o) = (gate(0), gate(1), gate(3));
                        let g = sums(2, &h);
                        let after: Vec<f64> =
                            (0..d_hidden).map(|j| f[j] * c[j] + i[j] * g[j].tanh()).collect();
                        let read = made(after.clone(), gain_cell, bias_cell, 0);
                        c = keep(1, after, &c);
                        (0..d_hidden).map(|j| o[j] * read[j].tanh()).collect()
                    }
                    Cell::GruAfter | Cell::GruBefore => {
                        let (r, z) = (gate(0), gate(1));
                        let reset: Vec<f64> = (0..d_hidden).map(|j| r[j] * h[j]).collect();
                        let n = if cell == Cell::GruAfter {
                            let of_h = of_h(2, &h);
                            (0..d_hidden).map(|j| of_x[2][j] + r[j] * of_h[j]).collect()
                        } else {
                            sums(2, &reset)
                        };
                        (0..d_hidden).map(|j| (1.0 - z[j]) * n[j].tanh() + z[j] * h[j]).collect()
                    }
                };
                h = keep(0, new, &h);
                packed[(t * batch + b) * d_hidden..][..d_hidden].copy_from_slice(&h);
            }
            packed[(n_steps * batch + b) * d_hidden..][..d_hidden].copy_from_slice(&h);
            if cell == Cell::Lstm {
                packed[((n_steps + 1) * batch + b) * d_hidden..][..d_hidden].copy_from_slice(&c);
            }
        }
        packed
    }

    fn check(&self, plan: Plan) {
        self.check_with(plan, &noise(self.packed_len(), 77, 1.0));
    }

    /// With `weights` for the gradient of the result.
    fn check_with(&self, plan: Plan, weights: &[f64]) {
        // A norm divides rounding, and steps, by a deviation that may be small.
        let more = if self.operands[7].is_empty() { 1.0 } else { 100.0 };
        let expected = self.written_out();
        let (packed, grads) = self.run::<f64>(plan, weights);
        close(&packed, &expected, 1e-12, "f64", self);
        for (k, grad) in grads.iter().enumerate() {
            assert_eq!(grad.len(), self.operands[k].len(), "gradient {k} of {self:?}");
            if grad.is_empty() {
                continue;
            }
            // One direction in the space of this operand says as much as every axis.
            let direction = noise(grad.len(), 78 + k as u64, 1.0);
            let eps = 1e-6;
            let loss = |step: f64| -> f64 {
                let mut moved = self.clone();
                moved.operands[k].iter_mut().zip(&direction).for_each(|(v, d)| *v += step * d);
                moved.written_out().iter().zip(weights).map(|(a, b)| a * b).sum()
            };
            let difference = (loss(eps) - loss(-eps)) / (2.0 * eps);
            let derivative: f64 = grad.iter().zip(&direction).map(|(a, b)| a * b).sum();
            let size: f64 = 1.0 + grad.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!(
                (difference - derivative).abs() < more * 1e-6 * size,
                "gradient {k}: {derivative}, difference {difference}, {plan:?}, {self:?}"
            );
        }
        let (packed, single) = self.run::<f32>(plan, weights);
        close(&packed, &expected, more * 2e-5, "f32", self);
        for (single, double) in single.iter().zip(&grads) {
            close(single, double, more * 2e-4, "f32 gradient", self);
        }
    }
}

/// Values `[T, B, D]` with the sequences one after the other, if so wished.
fn arranged<T: Copy>(values: &[T], [n_steps, batch, d]: [usize; 3], by_sequence: bool) -> Vec<T> {
    let rows = (0..n_steps * batch).map(|k| if by_sequence { k % n_steps * batch + k / n_steps } else { k });
    rows.flat_map(|row| &values[row * d..][..d]).copied().collect()
}

fn rows<T>(values: &[T], [n_steps, batch, d]: [usize; 3], by_sequence: bool) -> Rows<'_, T> {
    Rows { values, strides: if by_sequence { [d, n_steps * d] } else { [batch * d, d] } }
}

fn close(got: &[f64], expected: &[f64], tolerance: f64, what: &str, case: &Case) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1.0f64, |a, b| a.max(b.abs()));
    for (k, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * size, "{what}[{k}]: {g}, expected {e}, {case:?}");
    }
}

fn noise(n: usize, seed: u64, scale: f64) -> Vec<f64> {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            ((x >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * scale
        })
        .collect()
}

/// Random layers, always the same ones.
fn random_cases(n: u32, largest: [usize; 4]) {
    let config = Config { cases: n, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let [steps, batch, d_input, d_hidden] = largest;
    let sizes = (1..=steps, 1..=batch, 1..=d_input, 1..=d_hidden);
    // Half of them with neither layer norm nor zoneout.
    let options = prop_oneof![Just((false, [0, 0])), (any::<bool>(), [0..4usize, 0..4usize]),];
    let cases = (0..CELLS.len(), sizes, any::<[bool; 4]>(), 0..1_000_000u64, options);
    TestRunner::new_with_rng(config, rng)
        .run(&cases, |(cell, (t, b, d, h), flags, seed, (normed, zoneout))| {
            let mut case = Case::new(CELLS[cell], [t, b, d, h], flags, seed).with_zoneout(zoneout, seed);
            // Of two units the norm is nearly a sign; a rectified one's kinks are met often.
            if normed && h > 2 && CELLS[cell] != Cell::RnnRelu {
                case = case.normed(seed);
            }
            for isa in Isa::all() {
                let sharing = [Sharing::Batch, Sharing::Units, Sharing::Thin][seed as usize % 3];
                case.check(Plan { isa, sharing: Some(sharing) });
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_layers_agree_with_the_recurrence_written_out() {
    // A build that checks every access takes ten times as long.
    let n = match (cfg!(miri), cfg!(debug_assertions)) {
        (true, _) => 20,
        (_, true) => 300,
        _ => 2000,
    };
    random_cases(n, [6, 9, 12, 20]);
}

#[test]
fn wide_layers_agree_too() {
    if !cfg!(miri) {
        random_cases(60, [5, 40, 70, 90]);
    }
}

#[test]
fn every_size_around_a_vectors_width() {
    let widths = if cfg!(miri) { 3..=5 } else { 1..=35 };
    for cell in CELLS {
        for d_hidden in widths.clone() {
            for isa in Isa::all() {
                for sharing in [Sharing::Batch, Sharing::Units, Sharing::Thin] {
                    let plan = Plan { isa, sharing: Some(sharing) };
                    let seed = d_hidden as u64;
                    Case::new(cell, [3, 2, 3, d_hidden], [false, true, true, true], seed).check(plan);
                    Case::new(cell, [2, 3, d_hidden, 2], [true, true, true, true], seed).check(plan);
                    let plain = Case::new(cell, [3, 2, 3, d_hidden], [true, true, true, true], seed);
                    plain.with_zoneout([2, 2], seed).check(plan);
                    if sharing != Sharing::Units {
                        Case::new(cell, [3, 2, 3, d_hidden], [false, true, true, true], seed)
                            .normed(seed)
                            .check(plan);
                    }
                }
            }
        }
    }
}

/// The same numbers to the bit, however many threads there are.
#[test]
fn threads_change_nothing() {
    for cell in CELLS {
        for sharing in [Sharing::Batch, Sharing::Units, Sharing::Thin] {
            // Wide enough to be shared out.
            let mut case = Case::new(cell, [3, 13, 6, 101], [false, true, true, true], 3);
            if sharing == Sharing::Thin {
                case = case.normed(3).with_zoneout([2, 2], 3);
            }
            let plan = Plan { sharing: Some(sharing), ..Plan::default() };
            let grad = noise(case.packed_len(), 9, 1.0);
            crate::kernel::set_threads(1);
            let one = case.run::<f32>(plan, &grad);
            for n in [2, 3, 5] {
                crate::kernel::set_threads(n);
                let many = case.run::<f32>(plan, &grad);
                assert_eq!(one.0, many.0, "{cell:?} on {n} threads, {sharing:?}");
                for (k, (a, b)) in one.1.iter().zip(&many.1).enumerate() {
                    // The biases' and the gains' are sums over threads.
                    let tolerance = if k < 5 { 0.0 } else { 1e-5 };
                    close(a, b, tolerance, "gradients", &case);
                }
            }
        }
    }
    crate::kernel::set_threads(0);
}

#[test]
fn a_part_without_a_gradient_has_one_of_zeros() {
    for cell in CELLS {
        for part in 0..3 {
            let case = Case::new(cell, [3, 4, 5, 6], [part == 1, true, true, true], 5);
            let ends = [0, 3 * 4 * 6, 4 * 4 * 6, case.packed_len()];
            let mut grad = vec![0.0; case.packed_len()];
            let own = ends[part]..ends[part + 1];
            grad[own.clone()].copy_from_slice(&noise(own.len(), 2, 1.0));
            for sharing in [Sharing::Batch, Sharing::Units, Sharing::Thin] {
                case.check_with(Plan { sharing: Some(sharing), ..Plan::default() }, &grad);
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    for cell in CELLS {
        for isa in Isa::all() {
            let mut case = Case::new(cell, [2, 3, 2, 9], [false, false, true, false], 1);
            case.operands[0][0] = f64::NAN;
            let plan = Plan { isa, sharing: None };
            for case in [case.clone().normed(1), case] {
                let (packed, _) = case.run::<f32>(plan, &vec![1.0; case.packed_len()]);
                assert!(packed[..9].iter().all(|v| v.is_nan()), "{cell:?} {isa:?}");
                assert!(packed[9..27].iter().all(|v| !v.is_nan()), "{cell:?} {isa:?}: other sequences");
            }
        }
    }
}

#[test]
fn an_infinite_input_spoils_no_more_than_it_must() {
    for isa in Isa::all() {
        for sharing in [Sharing::Batch, Sharing::Units, Sharing::Thin] {
            let mut case = Case::new(Cell::Lstm, [3, 2, 1, 7], [false, false, true, true], 1);
            case.operands[3].iter_mut().for_each(|w| *w = w.abs());
            // The last step's: all gates are at an end of their range, where they have no slope.
            case.operands[0][4] = f64::INFINITY;
            let plan = Plan { isa, sharing: Some(sharing) };
            let (packed, grads) = case.run::<f32>(plan, &vec![1.0; case.packed_len()]);
            assert!(packed.iter().all(|v| v.is_finite()), "{plan:?}");
            for k in [1, 2, 4, 5, 6] {
                assert!(grads[k].iter().all(|v| v.is_finite()), "gradient {k}, {plan:?}");
            }
        }
    }
}

/// Goes back through a layer with what another one kept.
fn with_what_another_kept(
    cells: [Cell; 2],
    change: impl for<'a> FnOnce(&mut Inputs<'a, f64>, &'a [f64], Gains<'a, f64>),
) {
    let case = Case::new(cells[0], [2, 2, 3, 4], [false; 4], 1);
    let [x, h, c, w, u, ..] = &case.operands;
    let inputs = Inputs {
        n_steps: 2,
        batch: 2,
        d_input: 3,
        d_hidden: 4,
        input: rows(x, [2, 2, 3], false),
        hidden: &h[..],
        cell: (cells[0] == Cell::Lstm).then_some(&c[..]),
        weight_ih: &w[..],
        weight_hh: &u[..],
        bias_ih: None,
        bias_hh: None,
        norm: None,
        zoneout: [None, None],
    };
    let (packed, kept) = forward(Plan::default(), &case.sequence, &inputs, true);
    let ones = vec![1.0; cells[0].gates() * 4];
    let lstm = inputs.cell.map(|_| &ones[..4]);
    let mut other = inputs;
    change(&mut other, &ones[..4], Gains { input: &ones, recurrent: &ones, cell: lstm, cell_bias: None });
    let sequence = Sequence { cell: cells[1], ..case.sequence.clone() };
    let wanted = Wanted { input: true, weights: true };
    backward(&sequence, &other, kept.expect("asked for"), &packed, Grad::default(), wanted);
}

#[test]
#[should_panic(expected = "kept of another forward pass")]
fn what_was_kept_belongs_to_its_cell() {
    with_what_another_kept([Cell::GruBefore, Cell::GruAfter], |_, _, _| ());
}

#[test]
#[should_panic(expected = "kept of another forward pass")]
fn what_was_kept_belongs_to_its_norm() {
    with_what_another_kept([Cell::Lstm; 2], |other, _, gains| other.norm = Some(gains));
}

#[test]
#[should_panic(expected = "kept of another forward pass")]
fn what_was_kept_belongs_to_its_zoneout() {
    with_what_another_kept([Cell::RnnTanh; 2], |other, shares, _| other.zoneout[0] = Some(shares));
}

#[test]
#[should_panic(expected = "kept of another forward pass")]
fn what_was_kept_belongs_to_the_cell_states_zoneout() {
    with_what_another_kept([Cell::Lstm; 2], |other, shares, _| other.zoneout[1] = Some(shares));
}
