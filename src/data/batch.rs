//! Samples side by side: tensors, and how much of each row is valid.

use super::sample::{Features, Sample, SampleInput, SampleTarget};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;

/// What a model reads.
#[derive(Clone, Debug)]
pub enum Input<B: Backend> {
    /// Feature vectors, `[B, T, D]`.
    Features(Tensor<B, 3>),
    /// Tokens, `[B, T]`, each below the model's vocabulary: backends do not check.
    Tokens(Tensor<B, 2, Int>),
}

impl<B: Backend> Input<B> {
    /// Batch and steps, `[B, T]`.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::Features(x) => [x.dims()[0], x.dims()[1]],
            Self::Tokens(x) => x.dims(),
        }
    }

    /// The device it lies on.
    pub fn device(&self) -> B::Device {
        match self {
            Self::Features(x) => x.device(),
            Self::Tokens(x) => x.device(),
        }
    }
}

/// What a model should say; one answer a sequence is a sequence of one step.
#[derive(Clone, Debug)]
pub enum Target<B: Backend> {
    /// Classes, `[B, T]`.
    Classes(Tensor<B, 2, Int>),
    /// Feature vectors, `[B, T, O]`.
    Features(Tensor<B, 3>),
}

impl<B: Backend> Target<B> {
    /// Batch and steps, `[B, T]`.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::Classes(y) => y.dims(),
            Self::Features(y) => [y.dims()[0], y.dims()[1]],
        }
    }
}

/// Several samples side by side, padded at their ends.
#[derive(Clone, Debug)]
pub struct Batch<B: Backend> {
    /// What the model reads.
    pub input: Input<B>,
    /// Valid steps of each input; `None`: all.
    pub input_lengths: Option<Vec<usize>>,
    /// What it should say.
    pub target: Target<B>,
    /// Valid steps of each target; `None`: all.
    pub target_lengths: Option<Vec<usize>>,
}

impl<B: Backend> Batch<B> {
    /// Puts samples side by side, in their order. `noise` is a standard deviation and where to
    /// draw from: Gaussian noise on feature inputs.
    ///
    /// # Panics
    /// If there is no sample, or samples differ in kind or in channels.
    pub fn new(samples: &[&Sample], noise: Option<(f64, &mut ChaCha8Rng)>, device: &B::Device) -> Self {
        let (input, input_lengths) = match &samples[0].input {
            SampleInput::Features(_) => {
                let rows = samples.iter().map(|sample| match &sample.input {
                    SampleInput::Features(features) => features,
                    SampleInput::Tokens(_) => panic!("a batch of features and tokens"),
                });
                let (mut values, shape, lengths) = pad_features(rows.collect());
                if let Some((deviation, rng)) = noise {
                    let normal =
                        Normal::new(0.0, deviation as f32).expect("a deviation is finite and not negative");
                    values.iter_mut().for_each(|value| *value += rng.sample(normal));
                }
                (Input::Features(Tensor::from_data(TensorData::new(values, shape), device)), lengths)
            }
            SampleInput::Tokens(_) => {
                let rows = samples.iter().map(|sample| match &sample.input {
                    SampleInput::Tokens(tokens) => tokens.as_slice(),
                    SampleInput::Features(_) => panic!("a batch of features and tokens"),
                });
                let (tokens, lengths) = pad_tokens(rows.collect(), device);
                (Input::Tokens(tokens), lengths)
            }
        };
        let (target, target_lengths) = match &samples[0].target {
            SampleTarget::Features(_) => {
                let rows = samples.iter().map(|sample| match &sample.target {
                    SampleTarget::Features(features) => features,
                    _ => panic!("a batch of different targets"),
                });
                let (values, shape, lengths) = pad_features(rows.collect());
                (Target::Features(Tensor::from_data(TensorData::new(values, shape), device)), lengths)
            }
            _ => {
                let rows = samples.iter().map(|sample| match &sample.target {
                    SampleTarget::Class(class) => std::slice::from_ref(class),
                    SampleTarget::Tokens(tokens) => tokens.as_slice(),
                    SampleTarget::Features(_) => panic!("a batch of different targets"),
                });
                let (tokens, lengths) = pad_tokens(rows.collect(), device);
                (Target::Classes(tokens), lengths)
            }
        };
        Self { input, input_lengths, target, target_lengths }
    }

    /// Sequences, B.
    pub fn size(&self) -> usize {
        self.target.shape()[0]
    }

    /// Valid target steps of the whole batch.
    pub fn valid_steps(&self) -> usize {
        let [batch, steps] = self.target.shape();
        self.target_lengths.as_ref().map_or(batch * steps, |lengths| lengths.iter().sum())
    }
}

/// `[B, T]`, true where a step is past its sequence's end; `None` where there is no such step.
pub fn padding<B: Backend>(
    lengths: Option<&[usize]>,
    [batch, n_steps]: [usize; 2],
    device: &B::Device,
) -> Option<Tensor<B, 2, Bool>> {
    let lengths = lengths.filter(|lengths| lengths.iter().any(|&length| length < n_steps))?;
    let ended = lengths.iter().flat_map(|&length| (0..n_steps).map(move |t| t >= length)).collect();
    Some(Tensor::from_data(TensorData::new(ended, [batch, n_steps]), device))
}

fn pad_features(rows: Vec<&Features>) -> (Vec<f32>, [usize; 3], Option<Vec<usize>>) {
    let channels = rows[0].channels;
    let lengths: Vec<usize> = rows.iter().map(|row| row.steps()).collect();
    let n_steps = lengths.iter().copied().max().unwrap_or(0);
    let mut values = vec![0.0; rows.len() * n_steps * channels];
    for (row, slot) in rows.iter().zip(values.chunks_exact_mut(n_steps * channels)) {
        assert_eq!(row.channels, channels, "samples of one batch have the same channels");
        slot[..row.data.len()].copy_from_slice(&row.data);
    }
    (values, [rows.len(), n_steps, channels], uneven(lengths, n_steps))
}

fn pad_tokens<B: Backend>(rows: Vec<&[u32]>, device: &B::Device) -> (Tensor<B, 2, Int>, Option<Vec<usize>>) {
    let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
    let n_steps = lengths.iter().copied().max().unwrap_or(0);
    let mut values = vec![0i64; rows.len() * n_steps];
    for (row, slot) in rows.iter().zip(values.chunks_exact_mut(n_steps)) {
        slot.iter_mut().zip(*row).for_each(|(slot, &token)| *slot = token.into());
    }
    (Tensor::from_data(TensorData::new(values, [rows.len(), n_steps]), device), uneven(lengths, n_steps))
}

fn uneven(lengths: Vec<usize>, n_steps: usize) -> Option<Vec<usize>> {
    lengths.iter().any(|&length| length < n_steps).then_some(lengths)
}
