//! The laws of the recurrent core, over every cell, depth, direction, with and without lengths and
//! initial state.

use crate::support::*;
use burn::tensor::Tensor;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rnn_zoo::backend::{BackendKind, Task, TrainBackend};
use rnn_zoo::config::Kernel;
use rnn_zoo::kernel::{Cell, Keep, Norm, Operands, Sequence, Zoneout, composed};
use rnn_zoo::recurrent::{Init, RecurrentStack, RecurrentStackConfig, RecurrentState};

const CELLS: [Cell; 5] = [Cell::RnnTanh, Cell::RnnRelu, Cell::Lstm, Cell::GruAfter, Cell::GruBefore];
const D: usize = 3;
const H: usize = 5;

fn stack<B: TrainBackend>(
    cell: Cell,
    n_layers: usize,
    bidirectional: bool,
    layer_norm: bool,
    device: &B::Device,
) -> RecurrentStack<B> {
    let plain = RecurrentStackConfig::new(cell, D, H);
    let config = RecurrentStackConfig { n_layers, bidirectional, layer_norm, ..plain };
    config.init(&mut Init::new(n_layers as u64), device)
}

fn random<B: TrainBackend, const N: usize>(shape: [usize; N], seed: u64, device: &B::Device) -> Tensor<B, N> {
    tensor(&noise(shape.iter().product(), seed), shape, device)
}

fn state<B: TrainBackend>(stack: &RecurrentStack<B>, batch: usize, device: &B::Device) -> RecurrentState<B> {
    let part = |seed| random([stack.layers.len(), batch, H], seed, device);
    RecurrentState { hidden: part(91), cell: stack.config().cell.has_cell_state().then(|| part(92)) }
}

/// The values of a state, hidden before cell.
fn state_values<B: TrainBackend>(state: &RecurrentState<B>) -> Vec<f32> {
    [&state.hidden].into_iter().chain(&state.cell).flat_map(|part| values(part.clone())).collect()
}

/// The gradients of an initial state, where it is given.
fn state_grads<B: TrainBackend>(state: &Option<RecurrentState<B>>, grads: &B::Gradients) -> Vec<f32> {
    let parts = state.iter().flat_map(|state| [&state.hidden].into_iter().chain(&state.cell));
    parts.flat_map(|part| values(part.grad(grads).unwrap())).collect()
}

/// The gradients of every weight, one after the other.
fn weight_grads<B: TrainBackend>(stack: &RecurrentStack<B>, grads: &B::Gradients) -> Vec<f32> {
    let mut all = Vec::new();
    for layer in &stack.layers {
        all.extend(values(layer.weight_ih.grad(grads).unwrap()));
        all.extend(values(layer.weight_hh.grad(grads).unwrap()));
        let norm = layer
            .norm
            .iter()
            .flat_map(|n| [Some(&n.gain_ih), Some(&n.gain_hh), n.gain_cell.as_ref(), n.bias_cell.as_ref()]);
        let vectors = layer.bias_ih.iter().chain(&layer.bias_hh).chain(norm.flatten());
        all.extend(vectors.flat_map(|vector| values(vector.grad(grads).unwrap())));
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
                for (given, normed) in [(false, false), (true, false), (true, true)] {
                    let what = format!("{cell:?}, {n_layers} layers, initial state {given}, norm {normed}");
                    let stack = stack::<B>(cell, n_layers, false, normed, &device);
                    // New leaves for each run.
                    let start = || {
                        given.then(|| {
                            let RecurrentState { hidden, cell } = state(&stack, batch, &device);
                            RecurrentState {
                                hidden: hidden.require_grad(),
                                cell: cell.map(Tensor::require_grad),
                            }
                        })
                    };
                    let whole_start = start();
                    let whole_x = random([batch, n_steps, D], 7, &device).require_grad();
                    let whole = stack.forward(whole_x.clone(), None, whole_start.clone());
                    let whole_grads = loss(whole.output.clone(), whole.state.clone(), &device).backward();

                    for sizes in [vec![1; n_steps], vec![2, 3, 1]] {
                        let x = random([batch, n_steps, D], 7, &device).require_grad();
                        let start = start();
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
                        assert_within(
                            times(normed),
                            &what,
                            &values(output.clone()),
                            &values(whole.output.clone()),
                        );
                        assert_within(times(normed), &what, &state_values(&end), &state_values(&whole.state));
                        let grads = loss(output, end, &device).backward();
                        let (got, expected) =
                            (weight_grads(&stack, &grads), weight_grads(&stack, &whole_grads));
                        assert_within(times(normed), &what, &got, &expected);
                        let (got, expected) = (x.grad(&grads).unwrap(), whole_x.grad(&whole_grads).unwrap());
                        assert_within(times(normed), &what, &values(got), &values(expected));
                        let (got, expected) =
                            (state_grads(&start, &grads), state_grads(&whole_start, &whole_grads));
                        assert_within(times(normed), &what, &got, &expected);
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
                    for (given, normed) in [(false, false), (true, false), (true, true)] {
                        let what = format!(
                            "{cell:?}, {n_layers} layers, bidirectional {bidirectional}, state {given}, norm {normed}"
                        );
                        let stack = stack::<B>(cell, n_layers, bidirectional, normed, &device);
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
                            let own = |s: RecurrentState<B>| RecurrentState {
                                hidden: part(s.hidden),
                                cell: s.cell.map(part),
                            };
                            let alone = stack.forward(
                                all.clone().slice([b..b + 1, 0..length]),
                                None,
                                start.clone().map(own),
                            );
                            let got = run.output.clone().slice([b..b + 1, 0..length]);
                            assert_within(times(normed), &what, &values(got), &values(alone.output.clone()));
                            let rest = run.output.clone().slice([b..b + 1, 0..n_steps]);
                            assert!(
                                values(rest)[length * stack.config().d_output()..].iter().all(|&v| v == 0.0),
                                "{what}"
                            );
                            assert_within(
                                times(normed),
                                &what,
                                &state_values(&own(run.state.clone())),
                                &state_values(&alone.state),
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
                        assert_within(
                            times(normed),
                            &what,
                            &weight_grads(&stack, &grads),
                            &weight_grads(&stack, &alone_grads),
                        );
                        let expected = values(all.grad(&alone_grads).unwrap());
                        assert_within(times(normed), &what, &grad_x, &expected);
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

fn norm<B: TrainBackend>(cell: Cell, d_hidden: usize, bias: bool, device: &B::Device) -> Norm<B> {
    let gain = |n: usize, seed| (random::<B, 1>([n], seed, device) * 0.3 + 1.0).detach().require_grad();
    let lstm = cell == Cell::Lstm;
    Norm {
        gain_ih: gain(cell.gates() * d_hidden, 21),
        gain_hh: gain(cell.gates() * d_hidden, 22),
        gain_cell: lstm.then(|| gain(d_hidden, 23)),
        bias_cell: (lstm && bias).then(|| random::<B, 1>([d_hidden], 24, device).require_grad()),
    }
}

/// Ones and zeros.
fn mask<B: TrainBackend>(shape: [usize; 3], seed: u64, device: &B::Device) -> Tensor<B, 3> {
    random::<B, 3>(shape, seed, device).greater_elem(0.2).float()
}

/// `[B, T, D, H]` that leave a vector's width, and the smallest there are.
const SIZES: [[usize; 4]; 6] =
    [[1, 1, 1, 1], [1, 7, 3, 1], [4, 1, 2, 3], [1, 3, 5, 17], [3, 4, 1, 9], [5, 2, 7, 33]];

/// Reverse, with lengths, with biases, with layer norm, with zoneout.
const OPTIONS: [[bool; 5]; 7] = [
    [false, false, true, false, false],
    [false, true, false, false, false],
    [true, false, true, false, false],
    [true, true, true, false, false],
    [false, true, true, true, false],
    [true, false, false, true, true],
    [true, true, true, false, true],
];

/// A layer in one direction, and what it reads.
#[derive(Debug)]
struct Case {
    sequence: Sequence,
    /// `[B, T, D, H]`
    sizes: [usize; 4],
    bias: bool,
    normed: bool,
    zoneout: bool,
    /// Whether the input is not contiguous: its batch and time have changed places.
    swapped: bool,
    /// Of every value.
    seed: u64,
}

impl Case {
    /// The backend's node and the differentiated composition agree on the result and on every gradient.
    fn check<B: TrainBackend>(&self, device: &B::Device) {
        let what = format!("{self:?}");
        let node = self.run::<B>(B::recurrent, device);
        let oracle = self.run::<B>(|sequence, operands| composed::forward(sequence, operands).0, device);
        for (node, oracle) in node.iter().zip(&oracle) {
            assert_within(times(self.normed), &what, node, oracle);
        }
    }

    /// What `f` gives, and the gradient of each operand.
    fn run<B: TrainBackend>(
        &self,
        f: fn(&Sequence, Operands<B>) -> Tensor<B, 3>,
        device: &B::Device,
    ) -> Vec<Vec<f32>> {
        let [batch, n_steps, d_input, _] = self.sizes;
        let leaf = |shape: [usize; 3]| random::<B, 3>(shape, self.seed + 1, device).require_grad();
        let (input, read) = if self.swapped {
            let input = leaf([batch, n_steps, d_input]);
            (input.clone(), input.swap_dims(0, 1))
        } else {
            let input = leaf([n_steps, batch, d_input]);
            (input.clone(), input)
        };
        let operands = self.operands(read, device);
        let packed = f(&self.sequence, operands.clone());
        let grads = (packed.clone() * random(packed.dims(), self.seed + 8, device)).sum().backward();
        let vector = |b: &Option<Tensor<B, 1>>| b.as_ref().map(|b| values(b.grad(&grads).unwrap()));
        let matrix = |m: &Tensor<B, 2>| values(m.grad(&grads).unwrap());
        let mut parts = vec![values(packed)];
        // The norm of one feature's product hardly depends on it: what is left is rounding.
        if !self.normed || d_input > 1 {
            parts.push(values(input.grad(&grads).unwrap()));
        }
        parts.extend([&operands.hidden, &operands.weight_ih, &operands.weight_hh].map(matrix));
        parts.extend(operands.cell.as_ref().map(matrix));
        parts.extend([&operands.bias_ih, &operands.bias_hh].into_iter().filter_map(vector));
        if let Some(norm) = operands.norm {
            let both = [Some(norm.gain_ih), Some(norm.gain_hh)];
            parts.extend(both.iter().chain([&norm.gain_cell, &norm.bias_cell]).filter_map(vector));
        }
        parts
    }

    fn operands<B: TrainBackend>(&self, input: Tensor<B, 3>, device: &B::Device) -> Operands<B> {
        let cell = self.sequence.cell;
        let [batch, n_steps, d_input, d_hidden] = self.sizes;
        let rows = cell.gates() * d_hidden;
        let scale = 1.0 / (d_hidden as f32).sqrt();
        let matrix = |shape: [usize; 2], k: u64| random::<B, 2>(shape, self.seed + k, device);
        let weight = |columns: usize, k: u64| (matrix([rows, columns], k) * scale).detach().require_grad();
        let bias = |k: u64| self.bias.then(|| random::<B, 1>([rows], self.seed + k, device).require_grad());
        Operands {
            input,
            hidden: matrix([batch, d_hidden], 2).require_grad(),
            cell: cell.has_cell_state().then(|| matrix([batch, d_hidden], 3).require_grad()),
            weight_ih: weight(d_input, 4),
            weight_hh: weight(d_hidden, 5),
            bias_ih: bias(6),
            bias_hh: bias(7),
            norm: self.normed.then(|| norm(cell, d_hidden, self.bias, device)),
            zoneout: self.zoneout.then(|| Zoneout {
                hidden: Keep::Mask(mask([n_steps, batch, d_hidden], self.seed + 9, device)),
                cell: if cell == Cell::Lstm { Keep::Share(0.3) } else { Keep::Nothing },
            }),
        }
    }
}

#[derive(Clone)]
struct NodeIsOracle;

impl Task for NodeIsOracle {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for cell in CELLS {
            for sizes @ [batch, n_steps, _, d_hidden] in SIZES {
                // One unit has no deviation.
                let options = OPTIONS.into_iter().filter(|&[.., normed, _]| !normed || d_hidden > 2);
                for [reverse, padded, bias, normed, zoneout] in options {
                    let lengths = padded.then(|| (0..batch).map(|b| 1 + b % n_steps).collect());
                    let sequence = Sequence { cell, reverse, lengths, kernel: Kernel::Auto };
                    let case = Case { sequence, sizes, bias, normed, zoneout, swapped: true, seed: 0 };
                    case.check::<B>(&device);
                }
            }
        }
    }
}

#[test]
fn the_node_agrees_with_the_differentiated_composition() {
    on_each_backend(NodeIsOracle);
}

/// As many layers of any size, the cells in turn.
struct RandomLayers(usize);

impl Task for RandomLayers {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for (k, cell) in CELLS.into_iter().cycle().take(self.0).enumerate() {
            let sizes @ [batch, n_steps, ..] = [6, 8, 9, 40].map(|most: usize| rng.random_range(1..=most));
            // All different where there are steps enough.
            let lengths = rng.random_bool(0.5).then(|| {
                let mut lengths: Vec<usize> = (1..=n_steps).collect();
                lengths.shuffle(&mut rng);
                lengths.into_iter().cycle().take(batch).collect()
            });
            let [reverse, bias, swapped]: [bool; 3] = std::array::from_fn(|_| rng.random_bool(0.5));
            let sequence = Sequence { cell, reverse, lengths, kernel: Kernel::Auto };
            let seed = 100 * (k as u64 + 1);
            let case = Case { sequence, sizes, bias, normed: false, zoneout: false, swapped, seed };
            case.check::<B>(&device);
        }
    }
}

#[test]
fn random_layers_agree_with_the_differentiated_composition() {
    for device in each_backend() {
        eprintln!("on {device}");
        // A size that wgpu has not seen costs it the search for kernels.
        device.run(RandomLayers(match device.backend {
            BackendKind::Ndarray => 300,
            BackendKind::Tch => 40,
            BackendKind::Wgpu => 12,
        }));
    }
}

#[derive(Clone)]
struct InputGradients;

impl Task for InputGradients {
    type Output = ();

    /// The input's gradient through a view, and what a graph without gradients does.
    fn run<B: TrainBackend>(self, device: B::Device) {
        for cell in CELLS {
            let stack = stack::<B>(cell, 2, true, false, &device);
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

#[derive(Clone)]
struct Layers;

impl Task for Layers {
    type Output = ();

    /// The lowest layers, and on their output those above them: the whole.
    fn run<B: TrainBackend>(self, device: B::Device) {
        for (cell, bidirectional) in CELLS.into_iter().zip([true, false].into_iter().cycle()) {
            let stack = stack::<B>(cell, 3, bidirectional, false, &device);
            let x = random::<B, 3>([2, 5, D], 3, &device);
            let whole = stack.forward(x.clone(), None, None);
            let lowest = stack.lowest(1).forward(x.clone(), None, None);
            let config = RecurrentStackConfig {
                d_input: stack.config().d_output(),
                n_layers: 2,
                ..stack.config().clone()
            };
            let mut above = config.init::<B>(&mut Init::new(0), &device);
            above.layers = stack.layers[stack.config().directions()..].to_vec();
            let rest = above.forward(lowest.output, None, None);
            assert_close("output", &values(rest.output), &values(whole.output.clone()));
            assert_close(
                "all",
                &values(stack.lowest(3).forward(x, None, None).output),
                &values(whole.output),
            );
        }
    }
}

#[test]
fn a_stack_is_its_lowest_layers_and_those_above() {
    on_each_backend(Layers);
}

#[derive(Clone)]
struct ZoneoutByHand;

impl Task for ZoneoutByHand {
    type Output = ();

    /// Without weights a cell makes the same of every state: what is kept is seen.
    fn run<B: TrainBackend>(self, device: B::Device) {
        let (n_steps, batch, d_hidden) = (3, 2, 4);
        let size = n_steps * batch * d_hidden;
        let masks: [Vec<f32>; 2] =
            [41, 42].map(|seed| noise(size, seed).into_iter().map(|v| f32::from(v > 0.0)).collect());
        let biases = [0.3, -0.2, 0.8, 0.1];
        let [h_0, c_0] = [51, 52].map(|seed| noise(batch * d_hidden, seed));
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        for cell in [Cell::RnnTanh, Cell::Lstm] {
            let rows = cell.gates() * d_hidden;
            let bias: Vec<f32> = (0..rows).map(|row| biases[row / d_hidden]).collect();
            let operands = |zoneout| Operands::<B> {
                input: Tensor::ones([n_steps, batch, 1], &device),
                hidden: tensor(&h_0, [batch, d_hidden], &device),
                cell: cell.has_cell_state().then(|| tensor(&c_0, [batch, d_hidden], &device)),
                weight_ih: Tensor::zeros([rows, 1], &device),
                weight_hh: Tensor::zeros([rows, d_hidden], &device),
                bias_ih: Some(tensor(&bias, [rows], &device)),
                bias_hh: None,
                norm: None,
                zoneout,
            };
            for mean in [false, true] {
                let keep = |mask: &Vec<f32>| match mean {
                    true => Keep::Share(0.3),
                    false => Keep::Mask(tensor::<B, 3>(mask, [n_steps, batch, d_hidden], &device)),
                };
                let zoneout = Zoneout {
                    hidden: keep(&masks[0]),
                    cell: if cell == Cell::Lstm { keep(&masks[1]) } else { Keep::Nothing },
                };
                let (mut h, mut c) = (h_0.clone(), c_0.clone());
                let mut expected = Vec::new();
                for t in 0..n_steps {
                    for k in 0..batch * d_hidden {
                        let share = |mask: &Vec<f32>| if mean { 0.3 } else { mask[t * batch * d_hidden + k] };
                        let blend = |mask, old, new| share(mask) * old + (1.0 - share(mask)) * new;
                        let new = if cell == Cell::Lstm {
                            let new = sigmoid(biases[1]) * c[k] + sigmoid(biases[0]) * biases[2].tanh();
                            c[k] = blend(&masks[1], c[k], new);
                            sigmoid(biases[3]) * new.tanh()
                        } else {
                            biases[0].tanh()
                        };
                        h[k] = blend(&masks[0], h[k], new);
                    }
                    expected.extend(&h);
                }
                expected.extend(&h);
                if cell == Cell::Lstm {
                    expected.extend(&c);
                }
                let sequence = Sequence { cell, reverse: false, lengths: None, kernel: Kernel::Auto };
                let packed = B::recurrent(&sequence, operands(Some(zoneout)));
                assert_close(&format!("{cell:?}, mean {mean}"), &values(packed), &expected);
            }
            let sequence = Sequence { cell, reverse: true, lengths: None, kernel: Kernel::Auto };
            let zeros = || Keep::Mask(Tensor::zeros([n_steps, batch, d_hidden], &device));
            let zoneout = Zoneout { hidden: zeros(), cell: zeros() };
            let without = values(B::recurrent(&sequence, operands(None)));
            assert_close("nothing kept", &values(B::recurrent(&sequence, operands(Some(zoneout)))), &without);
        }
    }
}

#[test]
fn zoneout_keeps_what_its_mask_says() {
    on_each_backend(ZoneoutByHand);
}

#[derive(Clone)]
struct ZoneoutInStacks;

impl Task for ZoneoutInStacks {
    type Output = ();

    /// Units keep their state at random with gradients, as much as is expected without.
    fn run<B: TrainBackend>(self, device: B::Device) {
        let (batch, n_steps, d_hidden, share) = (4, 50, 32, 0.25);
        for cell in CELLS {
            let plain =
                RecurrentStackConfig { kernel: Kernel::Auto, ..RecurrentStackConfig::new(cell, D, d_hidden) };
            let cell_share = if cell == Cell::Lstm { 0.5 } else { 0.0 };
            let zoned = RecurrentStackConfig { zoneout: share, zoneout_cell: cell_share, ..plain.clone() };
            let stack: RecurrentStack<B> = zoned.init(&mut Init::new(1), &device);
            let x = random::<B, 3>([batch, n_steps, D], 3, &device);
            let kept = |hidden: &[f32]| {
                let pairs = (0..batch).flat_map(|b| (1..n_steps).map(move |t| (b * n_steps + t) * d_hidden));
                let kept =
                    |at: usize| (0..d_hidden).filter(|j| hidden[at + j] == hidden[at + j - d_hidden]).count();
                pairs.map(kept).sum::<usize>() as f64 / (batch * (n_steps - 1) * d_hidden) as f64
            };
            let train = || values(stack.forward(x.clone(), None, None).output);
            let first = train();
            // Rectified units are often zero twice.
            if cell != Cell::RnnRelu {
                let kept = kept(&first);
                assert!((kept - share).abs() < 0.03, "{cell:?}: {kept} of all units kept their state");
            }
            assert!(first != train(), "{cell:?}: a mask drawn once");

            let valid = burn::module::AutodiffModule::valid(&stack);
            let whole = valid.forward(x.clone().inner(), None, None);
            let again = valid.forward(x.clone().inner(), None, None);
            assert_eq!(values(whole.output.clone()), values(again.output), "{cell:?}: without gradients");
            let [start, end] =
                [(0, 20), (20, n_steps)].map(|(from, to)| x.clone().inner().slice([0..batch, from..to]));
            let start = valid.forward(start, None, None);
            let end = valid.forward(end, None, Some(start.state));
            let pieces = Tensor::cat(vec![start.output, end.output], 1);
            assert_close(&format!("{cell:?} in pieces"), &values(pieces), &values(whole.output));
        }
    }
}

#[test]
fn zoneout_is_drawn_in_training_and_expected_elsewhere() {
    on_each_backend(ZoneoutInStacks);
}
