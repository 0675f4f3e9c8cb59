//! The laws of the recurrent core, over every cell, depth, direction, with and without lengths and
//! initial state.

use crate::support::*;
use burn::tensor::Tensor;
use rnn_zoo::backend::{Task, TrainBackend};
use rnn_zoo::config::Kernel;
use rnn_zoo::kernel::{Cell, Operands, Sequence, composed};
use rnn_zoo::recurrent::{Init, RecurrentStack, RecurrentStackConfig, RecurrentState};

const CELLS: [Cell; 5] = [Cell::RnnTanh, Cell::RnnRelu, Cell::Lstm, Cell::GruAfter, Cell::GruBefore];
const D: usize = 3;
const H: usize = 5;

fn stack<B: TrainBackend>(
    cell: Cell,
    n_layers: usize,
    bidirectional: bool,
    device: &B::Device,
) -> RecurrentStack<B> {
    let config = RecurrentStackConfig { n_layers, bidirectional, ..RecurrentStackConfig::new(cell, D, H) };
    config.init(&mut Init::new(n_layers as u64), device)
}

fn random<B: TrainBackend, const N: usize>(shape: [usize; N], seed: u64, device: &B::Device) -> Tensor<B, N> {
    tensor(&noise(shape.iter().product(), seed), shape, device)
}

fn state<B: TrainBackend>(stack: &RecurrentStack<B>, batch: usize, device: &B::Device) -> RecurrentState<B> {
    let part = |seed| random([stack.layers.len(), batch, H], seed, device);
    RecurrentState { hidden: part(91), cell: stack.config().cell.has_cell_state().then(|| part(92)) }
}

/// The gradients of every weight, one after the other.
fn weight_grads<B: TrainBackend>(stack: &RecurrentStack<B>, grads: &B::Gradients) -> Vec<f32> {
    let mut all = Vec::new();
    for layer in &stack.layers {
        all.extend(values(layer.weight_ih.grad(grads).unwrap()));
        all.extend(values(layer.weight_hh.grad(grads).unwrap()));
        all.extend(layer.bias_ih.iter().chain(&layer.bias_hh).flat_map(|b| values(b.grad(grads).unwrap())));
    }
    all
}

/// A loss that every output and state enters with a weight of its own.
fn loss<B: TrainBackend>(output: Tensor<B, 3>, state: RecurrentState<B>, device: &B::Device) -> Tensor<B, 1> {
    let weigh = |t: Tensor<B, 3>, seed| (t.clone() * random(t.dims(), seed, device)).sum();
    let loss = weigh(output, 31) + weigh(state.hidden, 32);
    match state.cell {
        Some(cell) => loss + weigh(cell, 33),
        None => loss,
    }
}

#[derive(Clone)]
struct Chunks;

impl Task for Chunks {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let (batch, n_steps) = (2, 6);
        for cell in CELLS {
            for n_layers in 1..=3 {
                for given in [false, true] {
                    let what = format!("{cell:?}, {n_layers} layers, initial state {given}");
                    let stack = stack::<B>(cell, n_layers, false, &device);
                    let start = given.then(|| state(&stack, batch, &device));
                    let whole_x = random([batch, n_steps, D], 7, &device).require_grad();
                    let whole = stack.forward(whole_x.clone(), None, start.clone());
                    let whole_grads = loss(whole.output.clone(), whole.state.clone(), &device).backward();

                    for sizes in [vec![1; n_steps], vec![2, 3, 1]] {
                        let x = random([batch, n_steps, D], 7, &device).require_grad();
                        let mut carried = start.clone();
                        let mut outputs = Vec::new();
                        let mut from = 0;
                        for size in sizes {
                            let piece: Tensor<B, 3> = x.clone().slice([0..batch, from..from + size]);
                            from += size;
                            if size == 1 {
                                let now = carried.take().unwrap_or_else(|| stack.zero_state(batch, &device));
                                let (output, new) = stack.step(piece.squeeze_dim(1), now);
                                outputs.push(output.unsqueeze_dim(1));
                                carried = Some(new);
                            } else {
                                let run = stack.forward(piece, None, carried.take());
                                outputs.push(run.output);
                                carried = Some(run.state);
                            }
                        }
                        let (output, end) = (Tensor::cat(outputs, 1), carried.unwrap());
                        assert_close(&what, &values(output.clone()), &values(whole.output.clone()));
                        assert_close(&what, &values(end.hidden.clone()), &values(whole.state.hidden.clone()));
                        let grads = loss(output, end, &device).backward();
                        let (got, expected) =
                            (weight_grads(&stack, &grads), weight_grads(&stack, &whole_grads));
                        assert_close(&what, &got, &expected);
                        let (got, expected) = (x.grad(&grads).unwrap(), whole_x.grad(&whole_grads).unwrap());
                        assert_close(&what, &values(got), &values(expected));
                    }
                }
            }
        }
    }
}

#[test]
fn pieces_with_carried_state_equal_the_whole() {
    on_each_backend(Chunks);
}

#[derive(Clone)]
struct Padding;

impl Task for Padding {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let (batch, n_steps, lengths) = (3, 5, [5, 1, 3]);
        for cell in CELLS {
            for n_layers in 1..=3 {
                for bidirectional in [false, true] {
                    for given in [false, true] {
                        let what = format!(
                            "{cell:?}, {n_layers} layers, bidirectional {bidirectional}, state {given}"
                        );
                        let stack = stack::<B>(cell, n_layers, bidirectional, &device);
                        let start = given.then(|| state(&stack, batch, &device));
                        let clean = noise(batch * n_steps * D, 5);
                        let mut dirty = clean.clone();
                        for (b, length) in lengths.iter().enumerate() {
                            dirty[(b * n_steps + length) * D..(b + 1) * n_steps * D].fill(f32::NAN);
                        }
                        let x = tensor(&dirty, [batch, n_steps, D], &device).require_grad();
                        let run = stack.forward(x.clone(), Some(&lengths), start.clone());
                        let grads = loss(run.output.clone(), run.state.clone(), &device).backward();
                        let grad_x = values(x.grad(&grads).unwrap());

                        // Each sequence alone, and the sum of what they do to the weights.
                        let mut sum: Option<Tensor<B, 1>> = None;
                        let all = tensor(&clean, [batch, n_steps, D], &device).require_grad();
                        for (b, &length) in lengths.iter().enumerate() {
                            let part = |t: Tensor<B, 3>| t.slice([0..stack.layers.len(), b..b + 1]);
                            let own = start
                                .clone()
                                .map(|s| RecurrentState { hidden: part(s.hidden), cell: s.cell.map(part) });
                            let alone = stack.forward(all.clone().slice([b..b + 1, 0..length]), None, own);
                            let got = run.output.clone().slice([b..b + 1, 0..length]);
                            assert_close(&what, &values(got), &values(alone.output.clone()));
                            let rest = run.output.clone().slice([b..b + 1, 0..n_steps]);
                            assert!(
                                values(rest)[length * stack.config().d_output()..].iter().all(|&v| v == 0.0),
                                "{what}"
                            );
                            assert_close(
                                &what,
                                &values(part(run.state.hidden.clone())),
                                &values(alone.state.hidden.clone()),
                            );
                            // The same weights as in the batch's loss.
                            let weigh = |t: Tensor<B, 3>, whole: [usize; 3], seed, rows: bool| {
                                let weights = random(whole, seed, &device);
                                let own: Tensor<B, 3> = if rows {
                                    weights.slice([b..b + 1, 0..length])
                                } else {
                                    weights.slice([0..whole[0], b..b + 1])
                                };
                                (t * own).sum()
                            };
                            let states = run.state.hidden.dims();
                            let mut part = weigh(alone.output, run.output.dims(), 31, true)
                                + weigh(alone.state.hidden, states, 32, false);
                            if let Some(cell) = alone.state.cell {
                                part = part + weigh(cell, states, 33, false);
                            }
                            sum = Some(match sum {
                                Some(sum) => sum + part,
                                None => part,
                            });
                        }
                        let alone_grads = sum.unwrap().backward();
                        assert_close(
                            &what,
                            &weight_grads(&stack, &grads),
                            &weight_grads(&stack, &alone_grads),
                        );
                        let expected = values(all.grad(&alone_grads).unwrap());
                        assert_close(&what, &grad_x, &expected);
                        for (b, length) in lengths.iter().enumerate() {
                            let rest = &grad_x[(b * n_steps + length) * D..(b + 1) * n_steps * D];
                            assert!(rest.iter().all(|&g| g == 0.0), "{what}: a gradient in the padding");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn padding_changes_nothing() {
    on_each_backend(Padding);
}

/// `[B, T, D, H]` that leave a vector's width, and the smallest there are.
const SIZES: [[usize; 4]; 6] =
    [[1, 1, 1, 1], [1, 7, 3, 1], [4, 1, 2, 3], [1, 3, 5, 17], [3, 4, 1, 9], [5, 2, 7, 33]];

#[derive(Clone)]
struct NodeIsOracle;

impl Task for NodeIsOracle {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for cell in CELLS {
            for [batch, n_steps, d_input, d_hidden] in SIZES {
                for (reverse, bias) in [(false, true), (true, false), (true, true)] {
                    let lengths = reverse.then(|| (0..batch).map(|b| 1 + b % n_steps).collect());
                    let sequence = Sequence { cell, reverse, lengths, kernel: Kernel::Auto };
                    let what = format!(
                        "{sequence:?}, B {batch}, T {n_steps}, D {d_input}, H {d_hidden}, bias {bias}"
                    );
                    let rows = cell.gates() * d_hidden;
                    let scale = 1.0 / (d_hidden as f32).sqrt();
                    let operands = || Operands::<B> {
                        // Not contiguous: batch and time change places.
                        input: random::<B, 3>([batch, n_steps, d_input], 1, &device)
                            .require_grad()
                            .swap_dims(0, 1),
                        hidden: random::<B, 2>([batch, d_hidden], 2, &device).require_grad(),
                        cell: cell
                            .has_cell_state()
                            .then(|| random::<B, 2>([batch, d_hidden], 3, &device).require_grad()),
                        weight_ih: (random::<B, 2>([rows, d_input], 4, &device) * scale)
                            .detach()
                            .require_grad(),
                        weight_hh: (random::<B, 2>([rows, d_hidden], 5, &device) * scale)
                            .detach()
                            .require_grad(),
                        bias_ih: bias.then(|| random::<B, 1>([rows], 6, &device).require_grad()),
                        bias_hh: bias.then(|| random::<B, 1>([rows], 7, &device).require_grad()),
                    };
                    let run = |f: fn(&Sequence, Operands<B>) -> Tensor<B, 3>| {
                        let operands = operands();
                        let packed = f(&sequence, operands.clone());
                        let grads = (packed.clone() * random(packed.dims(), 8, &device)).sum().backward();
                        let vector =
                            |b: &Option<Tensor<B, 1>>| b.as_ref().map(|b| values(b.grad(&grads).unwrap()));
                        let matrix = |m: &Tensor<B, 2>| values(m.grad(&grads).unwrap());
                        let mut parts = vec![values(packed)];
                        parts
                            .extend([&operands.hidden, &operands.weight_ih, &operands.weight_hh].map(matrix));
                        parts.extend(operands.cell.as_ref().map(matrix));
                        parts.extend([&operands.bias_ih, &operands.bias_hh].into_iter().filter_map(vector));
                        parts
                    };
                    let node = run(B::recurrent);
                    let oracle = run(|sequence, operands| composed::forward(sequence, operands).0);
                    for (node, oracle) in node.iter().zip(&oracle) {
                        assert_close(&what, node, oracle);
                    }
                }
            }
        }
    }
}

#[test]
fn the_node_agrees_with_the_differentiated_composition() {
    on_each_backend(NodeIsOracle);
}

#[derive(Clone)]
struct InputGradients;

impl Task for InputGradients {
    type Output = ();

    /// The input's gradient through a view, and what a graph without gradients does.
    fn run<B: TrainBackend>(self, device: B::Device) {
        for cell in CELLS {
            let stack = stack::<B>(cell, 2, true, &device);
            let x = random::<B, 3>([4, 2, D], 3, &device).require_grad();
            let run = stack.forward(x.clone().swap_dims(0, 1), None, None);
            let grads = run.output.clone().sum().backward();
            let plain = random::<B, 3>([4, 2, D], 3, &device).swap_dims(0, 1);
            let copy = tensor::<B, 3>(&values(plain), [2, 4, D], &device).require_grad();
            let again = stack.forward(copy.clone(), None, None);
            let copy_grads = again.output.clone().sum().backward();
            assert_close("outputs", &values(run.output), &values(again.output.clone()));
            let through: Tensor<B::InnerBackend, 3> = x.grad(&grads).unwrap().swap_dims(0, 1);
            assert_close("gradients", &values(through), &values(copy.grad(&copy_grads).unwrap()));
            let valid = burn::module::AutodiffModule::valid(&stack);
            let alone = valid.forward(copy.inner(), None, None).output;
            assert_close("without a graph", &values(alone), &values(again.output));
        }
    }
}

#[test]
fn views_and_graphs_change_nothing() {
    on_each_backend(InputGradients);
}
