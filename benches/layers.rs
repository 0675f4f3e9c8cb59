//! Layers of the CPU backend: forward, training (forward and backward), and one step of a stream.
//!
//! `cargo bench` runs them all, `cargo bench -- LSTM` some. `rnn-zoo bench` has more cases.

use burn::backend::Autodiff;
use burn::tensor::{Distribution, Tensor};
use burn_ndarray::{NdArray, NdArrayDevice};
use divan::Bencher;
use divan::counter::ItemsCount;
use rnn_zoo::backend::keep_freed_memory;
use rnn_zoo::kernel::{Cell, RecurrentBackend};
use rnn_zoo::recurrent::{Init, RecurrentStack, RecurrentStackConfig};
use std::fmt;

type Cpu = NdArray<f32>;

const DEVICE: NdArrayDevice = NdArrayDevice::Cpu;
const CELLS: [(&str, Cell); 3] = [("RNN", Cell::RnnTanh), ("GRU", Cell::GruAfter), ("LSTM", Cell::Lstm)];
/// B, T, I, H, L
const LAYERS: [[usize; 5]; 3] = [[32, 64, 256, 256, 2], [1, 128, 128, 256, 1], [20, 35, 650, 650, 2]];
const STREAMS: [[usize; 5]; 2] = [[1, 1, 256, 256, 2], [1, 1, 512, 512, 2]];

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
    let (stack, input) = (case.stack::<Autodiff<Cpu>>(), case.input());
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
