//! Layers of the CPU backend: forward, training (forward and backward), and one step of a stream; a training step of
//! a language model.
//!
//! `cargo bench` runs them all, `cargo bench -- LSTM` some. `rnn-zoo bench` has more cases.

use burn::backend::Autodiff;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::tensor::{Distribution, Int, Tensor, TensorData};
use burn::train::Learner;
use burn_ndarray::{NdArray, NdArrayDevice};
use divan::Bencher;
use divan::counter::ItemsCount;
use rnn_zoo::backend::keep_freed_memory;
use rnn_zoo::config::{CellKind, IoMode, Loss, ModelConfig, TrainConfig};
use rnn_zoo::data::{Batch, Input, Target};
use rnn_zoo::kernel::{Cell, RecurrentBackend};
use rnn_zoo::model::{Model, Objective};
use rnn_zoo::recurrent::{Init, RecurrentStack, RecurrentStackConfig};
use rnn_zoo::train::{LearningRate, Optimizer, Trainee, clip_by_global_norm};
use std::fmt;

type Cpu = NdArray<f32>;
type Training = Autodiff<Cpu>;

const DEVICE: NdArrayDevice = NdArrayDevice::Cpu;
const CELLS: [(&str, Cell); 3] = [("RNN", Cell::RnnTanh), ("GRU", Cell::GruAfter), ("LSTM", Cell::Lstm)];
/// B, T, I, H, L
const LAYERS: [[usize; 5]; 5] = [
    [32, 64, 256, 256, 2],
    [64, 35, 200, 200, 2],
    [1, 128, 128, 256, 1],
    [128, 64, 64, 512, 1],
    [20, 35, 650, 650, 2],
];
const STREAMS: [[usize; 5]; 2] = [[1, 1, 256, 256, 2], [1, 1, 512, 512, 2]];
const LMS: [Lm; 2] = [Lm([65, 128, 512, 2, 64, 128]), Lm([10_000, 200, 200, 2, 20, 20])];

fn main() {
    keep_freed_memory();
    divan::main();
}

struct Case {
    cell: (&'static str, Cell),
    shape: [usize; 5],
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [b, t, i, h, l] = self.shape;
        write!(f, "{} B{b} T{t} I{i} H{h} L{l}", self.cell.0)
    }
}

impl Case {
    fn each(shapes: &[[usize; 5]]) -> impl Iterator<Item = Self> {
        CELLS.into_iter().flat_map(move |cell| shapes.iter().map(move |&shape| Self { cell, shape }))
    }

    fn stack<B: RecurrentBackend<Device = NdArrayDevice>>(&self) -> RecurrentStack<B> {
        let [_, _, i, h, l] = self.shape;
        RecurrentStackConfig { n_layers: l, ..RecurrentStackConfig::new(self.cell.1, i, h) }
            .init(&mut Init::new(0), &DEVICE)
    }

    fn input<B: RecurrentBackend<Device = NdArrayDevice>>(&self) -> Tensor<B, 3> {
        let [b, t, i, ..] = self.shape;
        Tensor::random([b, t, i], Distribution::Normal(0.0, 1.0), &DEVICE)
    }

    /// Steps of all sequences.
    fn tokens(&self) -> ItemsCount {
        ItemsCount::new(self.shape[0] * self.shape[1])
    }
}

#[divan::bench(args = Case::each(&LAYERS))]
fn forward(bencher: Bencher, case: &Case) {
    let (stack, input) = (case.stack::<Cpu>(), case.input());
    bencher.counter(case.tokens()).bench_local(|| stack.forward(input.clone(), None, None));
}

#[divan::bench(args = Case::each(&LAYERS))]
fn training(bencher: Bencher, case: &Case) {
    let (stack, input) = (case.stack::<Training>(), case.input());
    bencher
        .counter(case.tokens())
        .bench_local(|| stack.forward(input.clone(), None, None).output.sum().backward());
}

#[divan::bench(args = Case::each(&STREAMS))]
fn step(bencher: Bencher, case: &Case) {
    let stack = case.stack::<Cpu>();
    let input: Tensor<Cpu, 2> = case.input().squeeze_dim(1);
    let mut state = stack.zero_state(1, &DEVICE);
    bencher.counter(case.tokens()).bench_local(|| state = stack.step(input.clone(), state.clone()).1);
}

/// V, E, H, L, B, T
struct Lm([usize; 6]);

impl fmt::Display for Lm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [v, e, h, l, b, t] = self.0;
        write!(f, "LSTM V{v} E{e} B{b} T{t} H{h} L{l}")
    }
}

// A step may take seconds.
#[divan::bench(args = LMS, sample_count = 10)]
fn lm(bencher: Bencher, case: &Lm) {
    let [v, e, h, l, b, t] = case.0;
    let model = ModelConfig {
        vocabulary: Some(v),
        d_embedding: Some(e),
        n_layers: l,
        d_output: Some(v),
        ..ModelConfig::new(IoMode::ManyToMany, CellKind::Lstm, h)
    };
    let config = TrainConfig { clip: 1.0, lr: 1e-3, ..TrainConfig::default() };
    let objective = Objective { loss: Loss::CrossEntropy, label_smoothing: 0.0 };
    // All over the vocabulary.
    let tokens = |first: usize| -> Tensor<Training, 2, Int> {
        let tokens: Vec<i64> = (first..first + b * t).map(|k| (k * 7919 % v) as i64).collect();
        Tensor::from_data(TensorData::new(tokens, [b, t]), &DEVICE)
    };
    let batch = Batch {
        input: Input::Tokens(tokens(0)),
        input_lengths: None,
        target: Target::Classes(tokens(1)),
        target_lengths: None,
    };
    let model = Model::<Training>::new(&model, 0, &DEVICE).expect("a whole configuration");
    let optimizer = OptimizerAdaptor::<_, Trainee<Training>, Training>::from(Optimizer::<Cpu>::new(&config));
    let trainee = Trainee::new(model, objective.into(), &config);
    let mut learner = Learner::new(trainee, optimizer, LearningRate::new(&config, 1));
    bencher.counter(ItemsCount::new(b * t)).bench_local(|| {
        learner.lr_step();
        let mut output = learner.train_step(batch.clone().into());
        clip_by_global_norm::<Training, _>(&learner.model(), &mut output.grads, config.clip);
        learner.optimizer_step(output.grads);
    });
}
