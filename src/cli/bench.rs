use super::{DeviceArgs, print, print_json};
use crate::backend::{self, DeviceInfo, Task, TrainBackend};
use crate::config::{CellKind, IoMode, Kernel, Loss, ModelConfig, TrainConfig};
use crate::data::{Batch, Input, Target};
use crate::error::{Error, Result};
use crate::kernel::dense::DenseBackend;
use crate::kernel::{self, Cell, RecurrentBackend};
use crate::model::{Model, Objective};
use crate::recurrent::{Init, RecurrentStack, RecurrentStackConfig};
use crate::train::{Components, LearningRate, Optimizer, Trainee, clip_by_global_norm};
use burn::nn::{GruConfig, LstmConfig, RnnConfig};
use burn::optim::GradientsParams;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Int, Tensor, TensorData};
use burn::train::Learner;
use clap::{Args, ValueEnum};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt::Display;
use std::fs;
use std::num::NonZeroUsize;
use std::time::Instant;

/// B, T, I, H, L of a `layer` row; `benches/peers.py` has the same.
const LAYERS: [[usize; 5]; 5] = [
    [32, 64, 256, 256, 2],
    [64, 35, 200, 200, 2],
    [1, 128, 128, 256, 1],
    [128, 64, 64, 512, 1],
    [20, 35, 650, 650, 2],
];
/// H, L of a `stream` row.
const STREAMS: [[usize; 2]; 2] = [[256, 2], [512, 2]];
/// V, E, H, L, B, T of an `lm` row.
const LMS: [[usize; 6]; 2] = [[65, 128, 512, 2, 64, 128], [10_000, 200, 200, 2, 20, 20]];
/// B, T, I and H, L of the `growth` rows, but for the one that grows.
const GROWTH: [usize; 5] = [32, 64, 256, 256, 1];
/// What grows, its places in [`GROWTH`], and its values.
const GROWING: [(&str, &[usize], &[usize]); 3] = [
    ("T", &[1], &[16, 32, 64, 128, 256, 512, 1024, 2048, 4096]),
    ("H", &[2, 3], &[64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]),
    ("B", &[0], &[1, 2, 4, 8, 16, 24, 32, 48, 64, 128, 256, 512]),
];
/// Runs that are not timed.
const WARM: usize = 2;
/// Timed runs of the implementations that ours is compared with, at most: they are slow.
const AGAINST_REPS: usize = 3;

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// One JSON object a line instead of tables
    #[arg(long)]
    json: bool,
    /// These cases alone [default: layer, stream, lm]
    #[arg(long, value_enum)]
    only: Option<Case>,
    /// This cell alone
    #[arg(long, value_enum)]
    cell: Option<BenchCell>,
    /// This shape of `layer` alone, counted from 1
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=LAYERS.len() as i64))]
    shape: Option<u16>,
    /// Timed runs of which a row tells the median; 20 times as many steps of a stream
    #[arg(long, default_value = "7")]
    reps: NonZeroUsize,
    /// Threads of our own kernels [default: one a core]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// These implementations as well, on the same backend; burn-nn has layers, but no stream of every cell
    #[arg(long, value_enum, value_delimiter = ',')]
    against: Vec<Implementation>,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// A stack over whole sequences: forward alone, and with its gradient
    Layer,
    /// A stack one step at a time, batch 1
    Stream,
    /// A training step of a language model, optimizer included
    Lm,
    /// What a step of `lm` is made of, each part on its own
    Parts,
    /// Peak memory of the training steps of `layer` and `lm`, above what is held between them
    Memory,
    /// Time per token of a layer that grows in T, in H and in B
    Growth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BenchCell {
    Rnn,
    Gru,
    Lstm,
}

impl BenchCell {
    /// As the rows have it.
    fn name(self) -> &'static str {
        match self {
            Self::Rnn => "RNN",
            Self::Gru => "GRU",
            Self::Lstm => "LSTM",
        }
    }

    fn cell(self) -> Cell {
        match self {
            Self::Rnn => Cell::RnnTanh,
            Self::Gru => Cell::GruAfter,
            Self::Lstm => Cell::Lstm,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Implementation {
    #[value(skip)]
    RnnZoo,
    /// Composed of the backend's own tensor operations
    Reference,
    /// burn-nn's layers, one after the other
    BurnNn,
}

impl Implementation {
    fn name(self) -> &'static str {
        match self {
            Self::RnnZoo => "rnn-zoo",
            Self::Reference => "reference",
            Self::BurnNn => "burn-nn",
        }
    }

    /// Of our own stacks.
    fn kernel(self) -> Kernel {
        if self == Self::Reference { Kernel::Reference } else { Kernel::Auto }
    }
}

pub fn run(args: BenchArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        kernel::set_threads(threads.get());
    }
    let info = args.device.select()?;
    let output = Output { json: args.json, keys: Vec::new() };
    info.run(Bench { args, info: &info, output })
}

struct Bench<'a> {
    args: BenchArgs,
    info: &'a DeviceInfo,
    output: Output,
}

impl Task for Bench<'_> {
    type Output = Result<()>;

    fn run<B: TrainBackend>(mut self, device: B::Device) -> Result<()> {
        B::seed(&device, 0);
        let reps = self.args.reps.get();
        let product = matmul_gflops::<B::InnerBackend>(reps, &device)?;
        self.output.row(Row(vec![
            ("case", json!("machine")),
            ("rnn_zoo", json!(env!("CARGO_PKG_VERSION"))),
            ("burn", json!("0.21.0")),
            ("backend", json!(self.info.backend.name())),
            ("device", json!(self.info.name)),
            ("threads", json!(kernel::threads())),
            ("matmul_gflops", json!(product)),
        ]))?;
        let wanted = |case| match self.args.only {
            Some(only) => only == case,
            None => matches!(case, Case::Layer | Case::Stream | Case::Lm),
        };
        let cells: Vec<BenchCell> = BenchCell::value_variants()
            .iter()
            .copied()
            .filter(|&cell| self.args.cell.is_none_or(|only| only == cell))
            .collect();
        let lms = if cells.contains(&BenchCell::Lstm) { LMS.as_slice() } else { &[] };
        let ours = [(Implementation::RnnZoo, reps)];
        let others = self.args.against.iter().map(|&other| (other, reps.min(AGAINST_REPS)));
        let implementations: Vec<_> = ours.into_iter().chain(others).collect();
        let stacks: Vec<_> =
            implementations.iter().copied().filter(|(who, _)| *who != Implementation::BurnNn).collect();
        let each_layer = || {
            let shapes = match self.args.shape {
                Some(k) => &LAYERS[usize::from(k) - 1..usize::from(k)],
                None => &LAYERS,
            };
            let of_cell = |cell| shapes.iter().map(move |&shape| (cell, shape));
            let layers = cells.iter().copied().flat_map(of_cell);
            layers
                .flat_map(|(cell, shape)| implementations.iter().map(move |&(who, n)| (who, n, cell, shape)))
        };
        if wanted(Case::Layer) {
            for (implementation, reps, cell, shape) in each_layer() {
                self.output.row(layer::<B>(implementation, cell, shape, reps, product, &device)?)?;
            }
        }
        if wanted(Case::Stream) {
            for (cell, shape) in cells.iter().flat_map(|&cell| STREAMS.map(|shape| (cell, shape))) {
                for &(implementation, reps) in &stacks {
                    self.output.row(stream::<B::InnerBackend>(
                        implementation,
                        cell,
                        shape,
                        reps,
                        &device,
                    )?)?;
                }
            }
        }
        if wanted(Case::Lm) {
            for &shape in lms {
                for &(implementation, reps) in &stacks {
                    self.output.row(lm::<B>(implementation, shape, reps, &device)?)?;
                }
            }
        }
        if wanted(Case::Parts) {
            for &shape in lms {
                for row in parts::<B>(shape, reps, &device)? {
                    self.output.row(row)?;
                }
            }
        }
        if wanted(Case::Memory) {
            for (implementation, reps, cell, shape) in each_layer() {
                let step = training_step::<B>(implementation, cell, shape, &device);
                let peak = peak_bytes::<B>(reps, &device, step)?;
                let of_layer = layer_keys(implementation, cell, shape);
                self.output.row(Row::new("memory", of_layer, vec![("peak_bytes", json!(peak))]))?;
            }
            for &shape in lms {
                let ours = Implementation::RnnZoo;
                let mut step = LmStep::<B>::new(ours, shape, &device)?;
                let peak = peak_bytes::<B>(reps, &device, || step.run())?;
                self.output.row(Row::new(
                    "memory",
                    lm_keys(ours, shape),
                    vec![("peak_bytes", json!(peak))],
                ))?;
            }
        }
        if wanted(Case::Growth) {
            for &cell in &cells {
                for (name, places, values) in GROWING {
                    for &value in values {
                        let mut shape = GROWTH;
                        places.iter().for_each(|&place| shape[place] = value);
                        self.output.row(growth::<B>(name, cell, shape, reps, product, &device)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// GFLOP/s of a product of two 1024 × 1024 matrices, the fastest that there is.
fn matmul_gflops<B: DenseBackend>(reps: usize, device: &B::Device) -> Result<f64> {
    const N: usize = 1024;
    let [a, b]: [Tensor<B, 2>; 2] = std::array::from_fn(|_| normal([N, N], device));
    let ms = median_ms::<B>(reps, WARM, device, || drop(B::affine(a.clone(), b.clone(), None)))?;
    Ok(2.0 * N.pow(3) as f64 / ms / 1e6)
}

fn layer<B: TrainBackend>(
    implementation: Implementation,
    cell: BenchCell,
    shape: [usize; 5],
    reps: usize,
    product: f64,
    device: &B::Device,
) -> Result<Row> {
    let [forward_ms, train_ms] = layer_ms::<B>(implementation, cell, shape, [reps, WARM], device)?;
    let mut numbers = vec![("forward_ms", json!(forward_ms)), ("train_ms", json!(train_ms))];
    numbers.extend(rate(cell, shape, train_ms, product));
    Ok(Row::new("layer", layer_keys(implementation, cell, shape), numbers))
}

/// A layer's row, with times by token. The largest of them run for seconds: a few runs will do.
fn growth<B: TrainBackend>(
    over: &'static str,
    cell: BenchCell,
    shape: [usize; 5],
    reps: usize,
    product: f64,
    device: &B::Device,
) -> Result<Row> {
    let [forward_ms, train_ms] =
        layer_ms::<B>(Implementation::RnnZoo, cell, shape, [reps.min(3), 1], device)?;
    let [b, t, ..] = shape;
    let by_token = |ms: f64| json!(ms * 1e3 / (b * t) as f64);
    let mut numbers = vec![
        ("over", json!(over)),
        ("forward_us_per_token", by_token(forward_ms)),
        ("train_us_per_token", by_token(train_ms)),
    ];
    numbers.extend(rate(cell, shape, train_ms, product));
    Ok(Row::new("growth", layer_keys(Implementation::RnnZoo, cell, shape), numbers))
}

type Pairs = Vec<(&'static str, Value)>;

fn layer_keys(implementation: Implementation, cell: BenchCell, [b, t, i, h, l]: [usize; 5]) -> Pairs {
    vec![
        ("implementation", json!(implementation.name())),
        ("cell", json!(cell.name())),
        ("B", json!(b)),
        ("T", json!(t)),
        ("I", json!(i)),
        ("H", json!(h)),
        ("L", json!(l)),
    ]
}

/// What a training step of so many milliseconds makes of the machine's products.
fn rate(cell: BenchCell, [b, t, i, h, l]: [usize; 5], train_ms: f64, product: f64) -> Pairs {
    let widths: usize = (0..l).map(|k| if k == 0 { i + h } else { h + h }).sum();
    let products = b * t * cell.cell().gates() * h * widths;
    // A multiplication and an addition each, once forward and twice for the gradient.
    let gflops = 6.0 * products as f64 / train_ms / 1e6;
    vec![("train_gflops", json!(gflops)), ("matmul_share", json!(gflops / product))]
}

/// Milliseconds of a stack: forward, and with its gradient.
fn layer_ms<B: TrainBackend>(
    implementation: Implementation,
    cell: BenchCell,
    shape: [usize; 5],
    [reps, warm]: [usize; 2],
    device: &B::Device,
) -> Result<[f64; 2]> {
    let [b, t, i, h, l] = shape;
    let input: Tensor<B::InnerBackend, 3> = normal([b, t, i], device);
    let forward = layers::<B::InnerBackend>(implementation, cell, [i, h, l], device);
    let forward_ms = median_ms::<B>(reps, warm, device, || drop(forward(input.clone())))?;
    let train = training_step::<B>(implementation, cell, shape, device);
    Ok([forward_ms, median_ms::<B>(reps, warm, device, train)?])
}

/// A stack's forward pass, and the gradient of its output's sum.
fn training_step<B: TrainBackend>(
    implementation: Implementation,
    cell: BenchCell,
    [b, t, i, h, l]: [usize; 5],
    device: &B::Device,
) -> impl FnMut() + use<B> {
    let input: Tensor<B, 3> = normal([b, t, i], device);
    let layers = layers::<B>(implementation, cell, [i, h, l], device);
    move || drop(layers(input.clone()).sum().backward())
}

/// From `[B, T, I]` to `[B, T, H]`.
type Layers<B> = Box<dyn Fn(Tensor<B, 3>) -> Tensor<B, 3>>;

fn layers<B: RecurrentBackend>(
    implementation: Implementation,
    cell: BenchCell,
    [i, h, l]: [usize; 3],
    device: &B::Device,
) -> Layers<B> {
    if implementation == Implementation::BurnNn {
        let layers: Vec<_> =
            (0..l).map(|k| burn_nn::<B>(cell, if k == 0 { i } else { h }, h, device)).collect();
        return Box::new(move |input| layers.iter().fold(input, |flow, layer| layer(flow)));
    }
    let stack = stack::<B>(cell, [i, h, l], implementation.kernel(), device);
    Box::new(move |input| stack.forward(input, None, None).output)
}

fn burn_nn<B: Backend>(cell: BenchCell, d_input: usize, d_hidden: usize, device: &B::Device) -> Layers<B> {
    match cell {
        BenchCell::Rnn => {
            let layer = RnnConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |input| layer.forward(input, None).0)
        }
        BenchCell::Gru => {
            let layer = GruConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |input| layer.forward(input, None))
        }
        BenchCell::Lstm => {
            let layer = LstmConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |input| layer.forward(input, None).0)
        }
    }
}

fn stack<B: RecurrentBackend>(
    cell: BenchCell,
    [i, h, l]: [usize; 3],
    kernel: Kernel,
    device: &B::Device,
) -> RecurrentStack<B> {
    RecurrentStackConfig { n_layers: l, kernel, ..RecurrentStackConfig::new(cell.cell(), i, h) }
        .init(&mut Init::new(0), device)
}

fn stream<B: RecurrentBackend>(
    implementation: Implementation,
    cell: BenchCell,
    [h, l]: [usize; 2],
    reps: usize,
    device: &B::Device,
) -> Result<Row> {
    let step = stepper(stack::<B>(cell, [h, h, l], implementation.kernel(), device), device);
    let step_ms = median_ms::<B>(reps * 20, 20, device, step)?;
    let keys = vec![
        ("implementation", json!(implementation.name())),
        ("cell", json!(cell.name())),
        ("H", json!(h)),
        ("L", json!(l)),
    ];
    Ok(Row::new("stream", keys, vec![("step_ms", json!(step_ms))]))
}

/// One step after another at batch 1, the state carried.
fn stepper<B: RecurrentBackend>(stack: RecurrentStack<B>, device: &B::Device) -> impl FnMut() {
    let input = normal([1, stack.config().d_input], device);
    let mut state = stack.zero_state(1, device);
    move || state = stack.step(input.clone(), state.clone()).1
}

fn lm<B: TrainBackend>(
    implementation: Implementation,
    shape: [usize; 6],
    reps: usize,
    device: &B::Device,
) -> Result<Row> {
    let mut step = LmStep::<B>::new(implementation, shape, device)?;
    let step_ms = median_ms::<B>(reps, WARM, device, || step.run())?;
    let [.., b, t] = shape;
    let tokens_per_s = (b * t) as f64 / step_ms * 1e3;
    let numbers = vec![("step_ms", json!(step_ms)), ("tokens_per_s", json!(tokens_per_s))];
    Ok(Row::new("lm", lm_keys(implementation, shape), numbers))
}

fn lm_keys(implementation: Implementation, [v, e, h, l, b, t]: [usize; 6]) -> Pairs {
    vec![
        ("implementation", json!(implementation.name())),
        ("V", json!(v)),
        ("E", json!(e)),
        ("H", json!(h)),
        ("L", json!(l)),
        ("B", json!(b)),
        ("T", json!(t)),
    ]
}

/// Milliseconds of what `lm` does in one step, and of each part of it alone: forward and the gradient, where there are.
fn parts<B: TrainBackend>(shape: [usize; 6], reps: usize, device: &B::Device) -> Result<Vec<Row>> {
    let [_, e, h, _, b, t] = shape;
    let mut step = LmStep::<B>::new(Implementation::RnnZoo, shape, device)?;
    let whole = median_ms::<B>(reps, WARM, device, || step.run())?;
    let Model::Sequence(model) = step.learner.model().model else { unreachable!("it was made so") };
    let Input::Tokens(tokens) = &step.batch.input else { unreachable!("it was made so") };
    let embedding = median_ms::<B>(reps, WARM, device, || {
        drop(model.input.forward(Input::Tokens(tokens.clone())).sum().backward());
    })?;
    let [embedded, hidden]: [Tensor<B, 3>; 2] = [e, h].map(|d| normal([b, t, d], device).require_grad());
    let stack = median_ms::<B>(reps, WARM, device, || {
        drop(model.stack.forward(embedded.clone(), None, None).output.sum().backward());
    })?;
    let head = median_ms::<B>(reps, WARM, device, || {
        drop(OBJECTIVE.loss(model.write(hidden.clone()), &step.batch.target, None).backward());
    })?;
    let clip = median(reps, WARM, || {
        let mut grads = step.gradients();
        B::sync(device).map_err(failed)?;
        // So low that they are scaled.
        time_ms::<B>(device, || {
            clip_by_global_norm::<B, _>(&step.learner.model(), &mut grads, 1e-6);
        })
    })?;
    let optimizer = median(reps, WARM, || {
        let grads = step.gradients();
        B::sync(device).map_err(failed)?;
        time_ms::<B>(device, || step.learner.optimizer_step(grads))
    })?;
    let of = [
        ("embedding", embedding),
        ("stack", stack),
        ("head and loss", head),
        ("clip", clip),
        ("optimizer", optimizer),
        ("whole step", whole),
    ];
    let row = |(part, ms): (&str, f64)| {
        let keys = [lm_keys(Implementation::RnnZoo, shape), vec![("part", json!(part))]].concat();
        Row::new("parts", keys, vec![("ms", json!(ms)), ("share", json!(ms / whole))])
    };
    Ok(of.map(row).into())
}

const OBJECTIVE: Objective = Objective { loss: Loss::CrossEntropy, label_smoothing: 0.0 };

/// A language model in training, and its one batch.
struct LmStep<B: TrainBackend> {
    learner: Learner<Components<B>>,
    batch: Batch<B>,
}

impl<B: TrainBackend> LmStep<B> {
    const CLIP: f64 = 1.0;

    fn new(
        implementation: Implementation,
        [v, e, h, l, b, t]: [usize; 6],
        device: &B::Device,
    ) -> Result<Self> {
        let model = ModelConfig {
            vocabulary: Some(v),
            kernel: implementation.kernel(),
            d_embedding: Some(e),
            n_layers: l,
            d_output: Some(v),
            ..ModelConfig::new(IoMode::ManyToMany, CellKind::Lstm, h)
        };
        let config = TrainConfig { clip: Self::CLIP, lr: 1e-3, ..TrainConfig::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        // Drawn on the host: backends do not check that a token is in the vocabulary.
        let mut tokens = || -> Tensor<B, 2, Int> {
            let tokens = (0..b * t).map(|_| rng.random_range(0..v as i64)).collect();
            Tensor::from_data(TensorData::new(tokens, [b, t]), device)
        };
        let batch = Batch {
            input: Input::Tokens(tokens()),
            input_lengths: None,
            target: Target::Classes(tokens()),
            target_lengths: None,
        };
        // Through the same learner.
        let learner = Learner::new(
            Trainee::new(Model::<B>::new(&model, 0, device)?, OBJECTIVE.into(), &config),
            OptimizerAdaptor::from(Optimizer::new(&config)),
            LearningRate::new(&config, 1),
        );
        Ok(Self { learner, batch })
    }

    /// Forward, and every gradient.
    fn gradients(&self) -> GradientsParams {
        self.learner.train_step(self.batch.clone().into()).grads
    }

    fn run(&mut self) {
        self.learner.lr_step();
        let mut grads = self.gradients();
        clip_by_global_norm::<B, _>(&self.learner.model(), &mut grads, Self::CLIP);
        self.learner.optimizer_step(grads);
    }
}

fn normal<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Tensor<B, D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Milliseconds that the median of `reps` runs takes, until the device has done it; `warm` others go before.
fn median_ms<B: Backend>(reps: usize, warm: usize, device: &B::Device, mut run: impl FnMut()) -> Result<f64> {
    median(reps, warm, || time_ms::<B>(device, &mut run))
}

/// The median of `reps` times; `warm` others go before.
fn median(reps: usize, warm: usize, mut time: impl FnMut() -> Result<f64>) -> Result<f64> {
    for _ in 0..warm {
        time()?;
    }
    let mut times = (0..reps).map(|_| time()).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok((times[(reps - 1) / 2] + times[reps / 2]) / 2.0)
}

fn time_ms<B: Backend>(device: &B::Device, run: impl FnOnce()) -> Result<f64> {
    let started = Instant::now();
    run();
    B::sync(device).map_err(failed)?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn failed(error: impl Display) -> Error {
    Error::Backend(format!("the device failed in a run: {error}"))
}

/// Bytes of this process's memory at the peak of `reps` runs, above those that it holds between runs.
/// Runs before them have allocated what stays, an optimizer's moments among it.
fn peak_bytes<B: Backend>(reps: usize, device: &B::Device, mut run: impl FnMut()) -> Result<u64> {
    let mut runs = |n: usize| -> Result<()> {
        for _ in 0..n {
            run();
            B::sync(device).map_err(failed)?;
        }
        Ok(())
    };
    runs(WARM)?;
    backend::return_freed_memory();
    // Linux then takes what is held for the peak.
    fs::write(RESET, "5").map_err(|e| no_memory(RESET, &e))?;
    let held = peak()?;
    runs(reps)?;
    Ok(peak()?.saturating_sub(held))
}

const RESET: &str = "/proc/self/clear_refs";
const STATUS: &str = "/proc/self/status";

/// The most bytes of memory that this process has held.
fn peak() -> Result<u64> {
    let status = fs::read_to_string(STATUS).map_err(|e| no_memory(STATUS, &e))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.ok_or_else(|| no_memory(STATUS, &"no VmHWM in kB"))? << 10)
}

fn no_memory(path: &str, error: &dyn Display) -> Error {
    Error::Backend(format!("memory is measured where Linux tells it: {path}: {error}"))
}

/// One case's numbers, in their order.
struct Row(Pairs);

impl Row {
    fn new(case: &'static str, keys: Pairs, numbers: Pairs) -> Self {
        Self([vec![("case", json!(case))], keys, numbers].concat())
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Prints rows as they come: whoever waits for them sees how far it is.
struct Output {
    json: bool,
    /// The columns of the table so far.
    keys: Vec<&'static str>,
}

impl Output {
    fn row(&mut self, row: Row) -> Result<()> {
        if self.json {
            return print_json(&row);
        }
        let line = |cells: Vec<String>, keys: &[&str]| {
            let cells = cells.iter().zip(keys).map(|(cell, key)| format!("{cell:>w$}", w = key.len().max(9)));
            print(&cells.collect::<Vec<_>>().join("  "))
        };
        let keys: Vec<&str> = row.0.iter().map(|(key, _)| *key).collect();
        if keys != self.keys {
            if !self.keys.is_empty() {
                print("")?;
            }
            line(keys.iter().map(|key| key.to_string()).collect(), &keys)?;
            self.keys = keys;
        }
        let cell = |value: Value| match value {
            Value::String(text) => text,
            Value::Number(number) if number.is_f64() => format!("{:.3}", number.as_f64().unwrap_or(f64::NAN)),
            other => other.to_string(),
        };
        line(row.0.into_iter().map(|(_, value)| cell(value)).collect(), &self.keys)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{parts, peak_bytes};
    use burn::backend::{Autodiff, Flex};
    use std::hint::black_box;

    /// Other tests allocate meanwhile, far less than this.
    #[test]
    fn the_peak_of_a_run_is_what_it_allocates_and_frees() {
        const MIB: usize = 1 << 20;
        let mut kept = vec![1_u8; 256 * MIB];
        let peak = peak_bytes::<Flex>(2, &Default::default(), || {
            black_box(vec![1_u8; 300 * MIB]);
        });
        black_box(&mut kept);
        let mib = peak.unwrap() as usize / MIB;
        assert!((200..500).contains(&mib), "{mib} MiB");
    }

    #[test]
    fn a_step_is_taken_apart() {
        let rows = parts::<Autodiff<Flex>>([5, 2, 3, 2, 4, 6], 1, &Default::default()).unwrap();
        let rows: Vec<_> = rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect();
        let parts: Vec<_> = rows.iter().map(|row| row["part"].as_str().unwrap()).collect();
        assert_eq!(parts, ["embedding", "stack", "head and loss", "clip", "optimizer", "whole step"]);
        for row in &rows {
            assert_eq!((&row["V"], &row["L"], &row["T"]), (&5.into(), &2.into(), &6.into()));
            assert!(row["ms"].as_f64() > Some(0.0) && row["share"].as_f64() > Some(0.0), "{row}");
        }
        assert_eq!(rows[5]["share"], 1.0);
    }
}
