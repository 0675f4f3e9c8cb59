//! What the tests share: one device a backend, and numbers compared with a named tolerance.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rnn_zoo::artifact::named_tensors;
use rnn_zoo::backend::{DeviceInfo, Task, TrainBackend, VARIABLE, devices, select};
use rnn_zoo::config::{AttentionScore, CellKind, IoMode, Merge, ModelConfig};
use rnn_zoo::model::Model;

/// The device that [`VARIABLE`] names, or [`all_backends`].
pub fn each_backend() -> Vec<DeviceInfo> {
    match std::env::var_os(VARIABLE) {
        Some(_) => vec![select(None, None).unwrap()],
        None => all_backends(),
    }
}

/// One device of each backend that is compiled in, the most capable.
pub fn all_backends() -> Vec<DeviceInfo> {
    let mut seen = Vec::new();
    devices()
        .into_iter()
        .filter(|d| {
            !seen.contains(&d.backend) && {
                seen.push(d.backend);
                true
            }
        })
        .collect()
}

/// Runs `task` on one device of each backend.
pub fn on_each_backend<T: Task<Output = ()> + Clone>(task: T) {
    let devices = each_backend();
    assert!(!devices.is_empty(), "no backend has a device here");
    for device in devices {
        eprintln!("on {device}");
        device.run(task.clone());
    }
}

/// f32: what the same arithmetic in another order may differ by.
pub const RTOL: f32 = 1e-4;
/// See [`RTOL`].
pub const ATOL: f32 = 1e-5;

pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().to_vec().expect("floats")
}

#[track_caller]
pub fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
    assert_within(1.0, what, got, expected);
}

/// [`assert_close`] with so many times its tolerances.
#[track_caller]
pub fn assert_within(times: f32, what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}: another number of values");
    for (k, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= times * (ATOL + RTOL * e.abs()), "{what}[{k}]: got {g}, expected {e}");
    }
}

/// How many times the tolerances a layer with a norm may take: it divides rounding by the deviation of a
/// few units, which may be small.
pub fn times(norm: bool) -> f32 {
    if norm { 50.0 } else { 1.0 }
}

pub fn tensor<B: Backend, const D: usize>(
    values: &[f32],
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Values in -1 to 1 that look random and are always the same.
pub fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Encoder–decoders with each attention and without, of two cells, one direction and two, with and without input
/// feeding and tied weights.
pub fn writers() -> Vec<(String, ModelConfig)> {
    use AttentionScore::{Additive, Dot, General};
    let mut all = Vec::new();
    for cell in [CellKind::Lstm, CellKind::Gru] {
        for attention in [None, Some(Dot), Some(General), Some(Additive)] {
            for k in 0..8 {
                let [bidirectional, input_feeding, tie_weights] = [1, 2, 4].map(|bit| k & bit != 0);
                if attention.is_none() && input_feeding {
                    continue;
                }
                // Dot holds the decoder's state against as many features of the encoder's.
                let sum = bidirectional && attention == Some(Dot);
                let config = ModelConfig {
                    vocabulary: Some(9),
                    // A head that is the embedding reads as many features: the decoder's 5, or what attention gives.
                    d_embedding: Some(if attention.is_none() { 5 } else { 3 }),
                    d_output: Some(4),
                    n_layers: if tie_weights { 1 } else { 2 },
                    bias: cell == CellKind::Lstm,
                    bidirectional,
                    merge: if sum { Merge::Sum } else { Merge::Concat },
                    attention,
                    input_feeding,
                    tie_weights,
                    max_steps: Some(5),
                    ..ModelConfig::new(IoMode::EncoderDecoder, cell, 5)
                };
                let score = attention.map_or("None".into(), |score| format!("{score:?}"));
                let name = format!("Writer-{cell:?}-{score}-{bidirectional}-{input_feeding}-{tie_weights}");
                all.push((name, config));
            }
        }
    }
    all
}

/// Every parameter's name, and its gradient if it has one.
pub fn gradients<B: TrainBackend>(
    model: &Model<B>,
    grads: &GradientsParams,
) -> Vec<(String, Option<Vec<f32>>)> {
    struct Collect<'a> {
        grads: &'a GradientsParams,
        all: Vec<Option<Vec<f32>>>,
    }
    impl<B: TrainBackend> ModuleVisitor<B> for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.all.push(self.grads.get::<B::InnerBackend, D>(param.id).map(values));
        }
    }
    let mut collect = Collect { grads, all: Vec::new() };
    model.visit(&mut collect);
    named_tensors(model).into_iter().map(|tensor| tensor.name).zip(collect.all).collect()
}
