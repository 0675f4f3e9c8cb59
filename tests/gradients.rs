//! The hand-written gradients against finite differences, in f64: central, along one random
//! direction a tensor.
//!
//! A test binary of its own: burn keeps one default float type a device and process.

use burn::backend::Autodiff;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor, TensorData};
use burn_ndarray::{NdArray, NdArrayDevice};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rnn_zoo::config::{AttentionScore, CellKind, IoMode, Kernel, Merge, ModelConfig};
use rnn_zoo::data::Input;
use rnn_zoo::kernel::{Cell, Keep, Norm, Operands, RecurrentBackend, Sequence, Zoneout};
use rnn_zoo::model::Model;
use rnn_zoo::recurrent::{Init, RecurrentStack, RecurrentStackConfig, RecurrentState};

type B = Autodiff<NdArray<f64>>;

const EPS: f64 = 1e-6;
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-5;
const BATCH: usize = 3;
const STEPS: usize = 4;
const D: usize = 2;
const H: usize = 3;

/// Everything that the loss depends on, by name.
type Point = Vec<(String, Vec<usize>, Vec<f64>)>;

fn draw(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-0.7..0.7)).collect()
}

fn tensor<const N: usize>(values: &[f64], shape: &[usize]) -> Tensor<B, N> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()), &NdArrayDevice::Cpu)
}

/// The loss at a point, and its gradient if asked for.
fn evaluate(
    config: &RecurrentStackConfig,
    point: &Point,
    weights: &[Vec<f64>; 3],
    lengths: Option<&[usize]>,
    differentiate: bool,
) -> (f64, Vec<Vec<f64>>) {
    let mut stack: RecurrentStack<B> = config.init(&mut Init::new(0), &NdArrayDevice::Cpu);
    let mut parts = point.iter();
    let mut next = || parts.next().expect("the point has all parts");
    fn leaf<const N: usize>((_, shape, values): &(String, Vec<usize>, Vec<f64>)) -> Tensor<B, N> {
        tensor(values, shape).require_grad()
    }
    let x: Tensor<B, 3> = leaf(next());
    let hidden: Tensor<B, 3> = leaf(next());
    let cell: Option<Tensor<B, 3>> = config.cell.has_cell_state().then(|| leaf(next()));
    for layer in &mut stack.layers {
        layer.weight_ih = Param::from_tensor(leaf(next()));
        layer.weight_hh = Param::from_tensor(leaf(next()));
        layer.bias_ih = layer.bias_ih.is_some().then(|| Param::from_tensor(leaf(next())));
        layer.bias_hh = layer.bias_hh.is_some().then(|| Param::from_tensor(leaf(next())));
    }
    let state = RecurrentState { hidden: hidden.clone(), cell: cell.clone() };
    let run = stack.forward(x.clone(), lengths, Some(state));
    let weigh = |t: Tensor<B, 3>, w: &[f64]| (t.clone() * tensor(w, &t.dims())).sum();
    let mut loss = weigh(run.output, &weights[0]) + weigh(run.state.hidden, &weights[1]);
    if let Some(cell) = run.state.cell {
        loss = loss + weigh(cell, &weights[2]);
    }
    let value = loss.clone().into_scalar();
    if !differentiate {
        return (value, Vec::new());
    }
    let grads = loss.backward();
    fn values<const N: usize>(t: Option<Tensor<NdArray<f64>, N>>) -> Vec<f64> {
        t.expect("a leaf has a gradient").into_data().to_vec().expect("f64")
    }
    let mut all = vec![values(x.grad(&grads)), values(hidden.grad(&grads))];
    all.extend(cell.map(|cell| values(cell.grad(&grads))));
    for layer in &stack.layers {
        all.push(values(layer.weight_ih.grad(&grads)));
        all.push(values(layer.weight_hh.grad(&grads)));
        all.extend(layer.bias_ih.iter().chain(&layer.bias_hh).map(|bias| values(bias.grad(&grads))));
    }
    (value, all)
}

fn check(config: &RecurrentStackConfig, lengths: Option<&[usize]>, given: bool, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows = config.n_layers * config.directions();
    let mut point: Point = Vec::new();
    let mut part = |name: &str, shape: &[usize], zero: bool| {
        let n = shape.iter().product();
        point.push((name.into(), shape.to_vec(), if zero { vec![0.0; n] } else { draw(&mut rng, n) }));
    };
    part("x", &[BATCH, STEPS, D], false);
    part("h0", &[rows, BATCH, H], !given);
    if config.cell.has_cell_state() {
        part("c0", &[rows, BATCH, H], !given);
    }
    let gates = config.cell.gates() * H;
    for k in 0..rows {
        let d_input = if k < config.directions() { D } else { config.d_output() };
        part("weight_ih", &[gates, d_input], false);
        part("weight_hh", &[gates, H], false);
        if config.bias {
            part("bias_ih", &[gates], false);
            part("bias_hh", &[gates], false);
        }
    }
    let sizes = [BATCH * STEPS * config.d_output(), rows * BATCH * H, rows * BATCH * H];
    let weights = sizes.map(|n| draw(&mut rng, n));

    let (_, grads) = evaluate(config, &point, &weights, lengths, true);
    for (k, grad) in grads.iter().enumerate() {
        let direction = draw(&mut rng, grad.len());
        let moved = |sign: f64| {
            let mut point = point.clone();
            point[k].2.iter_mut().zip(&direction).for_each(|(v, d)| *v += sign * EPS * d);
            evaluate(config, &point, &weights, lengths, false).0
        };
        let numeric = (moved(1.0) - moved(-1.0)) / (2.0 * EPS);
        let analytic: f64 = grad.iter().zip(&direction).map(|(g, d)| g * d).sum();
        assert!(
            (numeric - analytic).abs() <= ATOL + RTOL * numeric.abs(),
            "{config:?}, lengths {lengths:?}, initial state {given}: {} has {analytic}, differences give {numeric}",
            point[k].0
        );
    }
}

#[test]
fn gradients_pass_finite_differences() {
    let mut seed = 0;
    for cell in [Cell::RnnTanh, Cell::RnnRelu, Cell::Lstm, Cell::GruAfter, Cell::GruBefore] {
        for n_layers in 1..=3 {
            for bidirectional in [false, true] {
                for lengths in [None, Some([4, 1, 2].as_slice())] {
                    for given in [false, true] {
                        seed += 1;
                        for kernel in [Kernel::Auto, Kernel::Reference] {
                            let config = RecurrentStackConfig {
                                n_layers,
                                bidirectional,
                                bias: seed % 4 != 0,
                                kernel,
                                ..RecurrentStackConfig::new(cell, D, H)
                            };
                            check(&config, lengths, given, seed);
                        }
                    }
                }
            }
        }
    }
}

/// Steps before another thread's clearing away was met, many times over.
const MANY: usize = 2000;

/// The gradient of the initial state, which each layer takes its own part of, does not depend on what
/// other threads differentiate meanwhile.
#[test]
fn gradients_are_the_same_beside_another_threads() {
    fn of_state() -> Vec<f64> {
        let config = RecurrentStackConfig { n_layers: 3, ..RecurrentStackConfig::new(Cell::RnnTanh, D, H) };
        let stack: RecurrentStack<B> = config.init(&mut Init::new(1), &NdArrayDevice::Cpu);
        let hidden = tensor::<3>(&[0.5; 3 * BATCH * H], &[3, BATCH, H]).require_grad();
        let state = RecurrentState { hidden: hidden.clone(), cell: None };
        let run = stack.forward(tensor(&[0.3; BATCH * STEPS * D], &[BATCH, STEPS, D]), None, Some(state));
        let grads = (run.output.sum() + run.state.hidden.sum()).backward();
        hidden.grad(&grads).expect("a leaf has a gradient").into_data().to_vec().expect("f64")
    }
    let alone = of_state();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..MANY).for_each(|_| assert_eq!(of_state(), alone)));
        }
    });
}

/// Layer norm and zoneout, one layer at a time: the fused kernel and the composed body.
#[test]
fn gradients_of_options_pass_finite_differences() {
    let mut seed = 1000;
    for cell in [Cell::RnnTanh, Cell::RnnRelu, Cell::Lstm, Cell::GruAfter, Cell::GruBefore] {
        for (normed, zoneout) in [(true, false), (false, true), (true, true)] {
            for lengths in [None, Some(vec![4, 1, 2])] {
                for kernel in [Kernel::Fused, Kernel::Reference] {
                    seed += 1;
                    let bias = seed % 4 != 0;
                    let sequence =
                        Sequence { cell, reverse: seed % 3 == 0, lengths: lengths.clone(), kernel };
                    check_options(&sequence, normed, zoneout, bias, seed);
                }
            }
        }
    }
}

fn check_options(sequence: &Sequence, normed: bool, zoneout: bool, bias: bool, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let cell = sequence.cell;
    let (rows, lstm) = (cell.gates() * H, cell == Cell::Lstm);
    let present = |there: bool, shape: &[usize]| there.then(|| shape.to_vec());
    // In the order of the operands.
    let shapes = [
        present(true, &[STEPS, BATCH, D]),
        present(true, &[BATCH, H]),
        present(lstm, &[BATCH, H]),
        present(true, &[rows, D]),
        present(true, &[rows, H]),
        present(bias, &[rows]),
        present(bias, &[rows]),
        present(normed, &[rows]),
        present(normed, &[rows]),
        present(normed && lstm, &[H]),
        present(normed && lstm && bias, &[H]),
    ];
    let point: Vec<Option<Vec<f64>>> =
        shapes.iter().map(|shape| shape.as_ref().map(|s| draw(&mut rng, s.iter().product()))).collect();
    let shares = draw(&mut rng, STEPS * BATCH * H);
    let mask: Vec<f64> = shares.iter().map(|&v| f64::from(v > 0.0)).collect();
    let n_packed = (STEPS + cell.state_rows()) * BATCH * H;
    let weights = draw(&mut rng, n_packed);

    let evaluate = |point: &[Option<Vec<f64>>]| {
        fn leaf<const N: usize>(
            values: &Option<Vec<f64>>,
            shape: &Option<Vec<usize>>,
        ) -> Option<Tensor<B, N>> {
            Some(tensor(values.as_ref()?, shape.as_ref()?).require_grad())
        }
        let matrix = |k: usize| leaf::<2>(&point[k], &shapes[k]);
        let vector = |k: usize| leaf::<1>(&point[k], &shapes[k]);
        let input: Tensor<B, 3> = leaf(&point[0], &shapes[0]).expect("always there");
        let matrices = [1, 2, 3, 4].map(matrix);
        let vectors = [5, 6, 7, 8, 9, 10].map(vector);
        let [hidden, cell_state, weight_ih, weight_hh] = matrices.clone();
        let [bias_ih, bias_hh, gain_ih, gain_hh, gain_cell, bias_cell] = vectors.clone();
        let there = "always there";
        let keep = |values: &[f64]| Keep::Mask(tensor(values, &[STEPS, BATCH, H]));
        let operands = Operands::<B> {
            input: input.clone(),
            hidden: hidden.expect(there),
            cell: cell_state,
            weight_ih: weight_ih.expect(there),
            weight_hh: weight_hh.expect(there),
            bias_ih,
            bias_hh,
            norm: gain_ih.zip(gain_hh).map(|(gain_ih, gain_hh)| Norm {
                gain_ih,
                gain_hh,
                gain_cell,
                bias_cell,
            }),
            zoneout: zoneout.then(|| Zoneout {
                hidden: if lstm { Keep::Share(0.3) } else { keep(&mask) },
                cell: if lstm { keep(&mask) } else { Keep::Nothing },
            }),
        };
        let packed = B::recurrent(sequence, operands);
        let loss = (packed.clone() * tensor(&weights, &packed.dims())).sum();
        let value: f64 = loss.clone().into_scalar();
        let grads = loss.backward();
        let values = |data: TensorData| data.to_vec::<f64>().expect("f64");
        let mut all = vec![input.grad(&grads).map(|g| values(g.into_data()))];
        all.extend(matrices.map(|m| m.and_then(|m| m.grad(&grads)).map(|g| values(g.into_data()))));
        all.extend(vectors.map(|v| v.and_then(|v| v.grad(&grads)).map(|g| values(g.into_data()))));
        (value, all)
    };
    let (_, grads) = evaluate(&point);
    for (k, grad) in grads.iter().enumerate() {
        assert_eq!(grad.is_some(), point[k].is_some(), "{sequence:?}: gradient {k}");
        let Some(grad) = grad else { continue };
        let direction = draw(&mut rng, grad.len());
        let moved = |sign: f64| {
            let mut point = point.clone();
            let values = point[k].as_mut().expect("as it has a gradient");
            values.iter_mut().zip(&direction).for_each(|(v, d)| *v += sign * EPS * d);
            evaluate(&point).0
        };
        let numeric = (moved(1.0) - moved(-1.0)) / (2.0 * EPS);
        let analytic: f64 = grad.iter().zip(&direction).map(|(g, d)| g * d).sum();
        assert!(
            (numeric - analytic).abs() <= ATOL + RTOL * numeric.abs(),
            "{sequence:?}, norm {normed}, zoneout {zoneout}: {k} has {analytic}, differences give {numeric}"
        );
    }
}

/// Moves one tensor of a model, counted in their order, along a direction.
struct Shift<'a> {
    left: usize,
    direction: &'a [f64],
    by: f64,
}

impl ModuleMapper<B> for Shift<'_> {
    fn map_float<const N: usize>(&mut self, param: Param<Tensor<B, N>>) -> Param<Tensor<B, N>> {
        let this = self.left == 0;
        self.left = self.left.wrapping_sub(1);
        let way = |shape: &[usize]| tensor::<N>(self.direction, shape) * self.by;
        if this { param.map(|value| value.clone() + way(&value.dims())) } else { param }
    }
}

/// The gradients of a model's tensors, in their order.
struct Collect(GradientsParams, Vec<Vec<f64>>);

impl ModuleVisitor<B> for Collect {
    fn visit_float<const N: usize>(&mut self, param: &Param<Tensor<B, N>>) {
        let grad = self.0.get::<NdArray<f64>, N>(param.id).expect("every tensor has a gradient");
        self.1.push(grad.into_data().to_vec().expect("f64"));
    }
}

/// Attention, input feeding, tied weights and the bridge, with sources of several lengths.
#[test]
fn gradients_of_encoder_decoders_pass_finite_differences() {
    use AttentionScore::{Additive, Dot, General};
    let plain = ModelConfig {
        vocabulary: Some(5),
        d_embedding: Some(D),
        d_output: Some(4),
        bidirectional: true,
        ..ModelConfig::new(IoMode::EncoderDecoder, CellKind::Gru, H)
    };
    let lstm = ModelConfig { cell: CellKind::Lstm, ..plain.clone() };
    for (seed, config) in (2000..).zip([
        ModelConfig { attention: Some(Dot), merge: Merge::Mean, ..plain.clone() },
        ModelConfig { attention: Some(General), ..lstm.clone() },
        ModelConfig { attention: Some(Additive), ..plain.clone() },
        ModelConfig { attention: Some(General), input_feeding: true, tie_weights: true, ..plain.clone() },
        ModelConfig { attention: Some(Additive), input_feeding: true, ..lstm },
        ModelConfig { tie_weights: true, d_embedding: Some(H), ..plain },
    ]) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let model = Model::<B>::new(&config, seed, &NdArrayDevice::Cpu).expect("the configuration can be");
        let weights = draw(&mut rng, BATCH * STEPS * 4);
        let tokens = |n: i64, k: i64| -> Tensor<B, 2, Int> {
            let tokens: Vec<i64> = (0..(BATCH * STEPS) as i64).map(|t| (k * t + t / 4) % n).collect();
            Tensor::from_data(TensorData::new(tokens, [BATCH, STEPS]), &NdArrayDevice::Cpu)
        };
        let loss = |model: &Model<B>| {
            let Model::EncoderDecoder(model) = model else { panic!("the mode is encoder-decoder") };
            let output = model.forward_given(Input::Tokens(tokens(5, 2)), Some(&[4, 1, 2]), tokens(4, 3));
            (output * tensor(&weights, &[BATCH, STEPS, 4])).sum()
        };
        let grads = GradientsParams::from_grads(loss(&model).backward(), &model);
        let mut collect = Collect(grads, Vec::new());
        model.visit(&mut collect);
        for (k, grad) in collect.1.iter().enumerate() {
            let direction = draw(&mut rng, grad.len());
            let moved = |by: f64| -> f64 {
                let shifted = model.clone().map(&mut Shift { left: k, direction: &direction, by });
                loss(&shifted).into_scalar()
            };
            let numeric = (moved(EPS) - moved(-EPS)) / (2.0 * EPS);
            let analytic: f64 = grad.iter().zip(&direction).map(|(g, d)| g * d).sum();
            assert!(
                (numeric - analytic).abs() <= ATOL + RTOL * numeric.abs(),
                "{config:?}: tensor {k} has {analytic}, differences give {numeric}"
            );
        }
    }
}
