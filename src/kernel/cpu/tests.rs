//! Every instruction set against a recurrence written out step by step, and its gradients against
//! differences of that.

use super::backward::Grads;
use super::{Dispatch, Inputs, Isa, Plan, Sharing, backward, forward};
use crate::config::Kernel;
use crate::kernel::{Cell, Sequence, Wanted};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const CELLS: [Cell; 5] = [Cell::RnnTanh, Cell::RnnRelu, Cell::Lstm, Cell::GruAfter, Cell::GruBefore];

/// A layer and its input: the operands of [`Inputs`] in its order, the absent ones empty.
#[derive(Clone, Debug)]
struct Case {
    sequence: Sequence,
    sizes: [usize; 4],
    operands: [Vec<f64>; 7],
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
        ];
        let sequence = Sequence { cell, reverse, lengths, kernel: Kernel::Fused };
        Self { sequence, sizes: [n_steps, batch, d_input, d_hidden], operands }
    }

    fn packed_len(&self) -> usize {
        let [n_steps, batch, _, d_hidden] = self.sizes;
        (n_steps + self.sequence.cell.state_rows()) * batch * d_hidden
    }

    /// The kernel's result and gradients, in f64 again.
    fn run<T: Dispatch + Into<f64>>(&self, plan: Plan, grad: &[f64]) -> (Vec<f64>, [Vec<f64>; 7]) {
        let cast = |values: &[f64]| values.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
        let back = |values: Vec<T>| values.into_iter().map(Into::into).collect::<Vec<f64>>();
        let operands = self.operands.each_ref().map(|values| cast(values));
        let some = |k: usize| (!operands[k].is_empty()).then_some(operands[k].as_slice());
        let [n_steps, batch, d_input, d_hidden] = self.sizes;
        let inputs = Inputs {
            n_steps,
            batch,
            d_input,
            d_hidden,
            input: &operands[0],
            hidden: &operands[1],
            cell: some(2),
            weight_ih: &operands[3],
            weight_hh: &operands[4],
            bias_ih: some(5),
            bias_hh: some(6),
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
        let states = backward(&self.sequence, &inputs, kept.clone(), &packed, &cast(grad), none);
        let Grads { input, hidden, cell, weight_ih, weight_hh, mut bias_ih, mut bias_hh } =
            backward(&self.sequence, &inputs, kept, &packed, &cast(grad), wanted);
        assert!(states.input.is_empty() && states.weight_ih.is_empty() && states.weight_hh.is_empty());
        assert!(
            states.hidden.len() == hidden.len() && states.hidden.iter().zip(&hidden).all(|(a, b)| same(a, b))
        );
        if self.operands[5].is_empty() {
            bias_ih.clear();
            bias_hh.clear();
        }
        (back(packed), [input, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh].map(back))
    }

    /// The recurrence as the books have it.
    fn written_out(&self) -> Vec<f64> {
        let [n_steps, batch, d_input, d_hidden] = self.sizes;
        let [input, hidden, cell_state, weight_ih, weight_hh, bias_ih, bias_hh] = &self.operands;
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
                let bias = |b: &[f64], row: usize| b.get(row).copied().unwrap_or(0.0);
                let of_x = |gate: usize, j: usize| {
                    let row = gate * d_hidden + j;
                    dot(weight_ih, row, x) + bias(bias_ih, row)
                };
                let of_h = |gate: usize, j: usize, h: &[f64]| dot(weight_hh, gate * d_hidden + j, h);
                let d = |gate: usize, j: usize| bias(bias_hh, gate * d_hidden + j);
                let sum = |gate: usize, j: usize| of_x(gate, j) + of_h(gate, j, &h) + d(gate, j);
                let new: Vec<f64> = match cell {
                    Cell::RnnTanh => (0..d_hidden).map(|j| sum(0, j).tanh()).collect(),
                    Cell::RnnRelu => (0..d_hidden).map(|j| sum(0, j).max(0.0)).collect(),
                    Cell::Lstm => {
                        let after: Vec<f64> = (0..d_hidden)
                            .map(|j| sigmoid(sum(1, j)) * c[j] + sigmoid(sum(0, j)) * sum(2, j).tanh())
                            .collect();
                        let new = (0..d_hidden).map(|j| sigmoid(sum(3, j)) * after[j].tanh()).collect();
                        c = after;
                        new
                    }
                    Cell::GruAfter | Cell::GruBefore => {
                        let reset: Vec<f64> = (0..d_hidden).map(|j| sigmoid(sum(0, j)) * h[j]).collect();
                        (0..d_hidden)
                            .map(|j| {
                                let z = sigmoid(sum(1, j));
                                let n = if cell == Cell::GruAfter {
                                    of_x(2, j) + sigmoid(sum(0, j)) * (of_h(2, j, &h) + d(2, j))
                                } else {
                                    of_x(2, j) + of_h(2, j, &reset) + d(2, j)
                                };
                                (1.0 - z) * n.tanh() + z * h[j]
                            })
                            .collect()
                    }
                };
                h = new;
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
        let expected = self.written_out();
        let weights = noise(expected.len(), 77, 1.0);
        let (packed, grads) = self.run::<f64>(plan, &weights);
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
                moved.written_out().iter().zip(&weights).map(|(a, b)| a * b).sum()
            };
            let difference = (loss(eps) - loss(-eps)) / (2.0 * eps);
            let derivative: f64 = grad.iter().zip(&direction).map(|(a, b)| a * b).sum();
            let size: f64 = 1.0 + grad.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!(
                (difference - derivative).abs() < 1e-6 * size,
                "gradient {k}: {derivative}, difference {difference}, {plan:?}, {self:?}"
            );
        }
        let (packed, single) = self.run::<f32>(plan, &weights);
        close(&packed, &expected, 2e-5, "f32", self);
        for (single, double) in single.iter().zip(&grads) {
            close(single, double, 2e-4, "f32 gradient", self);
        }
    }
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
    let cases = (0..CELLS.len(), sizes, any::<[bool; 4]>(), 0..1_000_000u64);
    TestRunner::new_with_rng(config, rng)
        .run(&cases, |(cell, (t, b, d, h), flags, seed)| {
            let case = Case::new(CELLS[cell], [t, b, d, h], flags, seed);
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
    random_cases(if cfg!(miri) { 20 } else { 2000 }, [6, 9, 12, 20]);
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
            let case = Case::new(cell, [3, 13, 6, 101], [false, true, true, true], 3);
            let plan = Plan { sharing: Some(sharing), ..Plan::default() };
            let grad = noise(case.packed_len(), 9, 1.0);
            crate::kernel::set_threads(1);
            let one = case.run::<f32>(plan, &grad);
            for n in [2, 3, 5] {
                crate::kernel::set_threads(n);
                let many = case.run::<f32>(plan, &grad);
                assert_eq!(one.0, many.0, "{cell:?} on {n} threads, {sharing:?}");
                for (k, (a, b)) in one.1.iter().zip(&many.1).enumerate() {
                    // The biases' are sums over threads.
                    let tolerance = if k < 5 { 0.0 } else { 1e-5 };
                    close(a, b, tolerance, "gradients", &case);
                }
            }
        }
    }
    crate::kernel::set_threads(0);
}

#[test]
fn what_is_not_a_number_stays_so() {
    for cell in CELLS {
        for isa in Isa::all() {
            let mut case = Case::new(cell, [2, 3, 2, 9], [false, false, true, false], 1);
            case.operands[0][0] = f64::NAN;
            let plan = Plan { isa, sharing: None };
            let (packed, _) = case.run::<f32>(plan, &vec![1.0; case.packed_len()]);
            assert!(packed[..9].iter().all(|v| v.is_nan()), "{cell:?} {isa:?}");
            assert!(packed[9..27].iter().all(|v| !v.is_nan()), "{cell:?} {isa:?}: other sequences");
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

#[test]
#[should_panic(expected = "kept of another forward pass")]
fn what_was_kept_belongs_to_its_run() {
    let case = Case::new(Cell::GruBefore, [2, 2, 3, 4], [false; 4], 1);
    let [x, h, _, w, u, ..] = &case.operands;
    let inputs = Inputs {
        n_steps: 2,
        batch: 2,
        d_input: 3,
        d_hidden: 4,
        input: &x[..],
        hidden: &h[..],
        cell: None,
        weight_ih: &w[..],
        weight_hh: &u[..],
        bias_ih: None,
        bias_hh: None,
    };
    let (packed, kept) = forward(Plan::default(), &case.sequence, &inputs, true);
    let other = Sequence { cell: Cell::GruAfter, ..case.sequence.clone() };
    let wanted = Wanted { input: true, weights: true };
    backward(&other, &inputs, kept.expect("asked for"), &packed, &packed, wanted);
}
