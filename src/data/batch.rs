//! Samples side by side: tensors, and how much of each row is valid.

use super::loader::Noise;
use super::sample::{Features, Sample, SampleInput, SampleTarget};
use super::samples::Samples;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Bool, Int, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;
use std::borrow::Cow;
use std::collections::HashMap;

/// What a model reads.
#[derive(Clone, Debug)]
pub enum Input<B: Backend> {
    /// Feature vectors, `[B, T, D]`.
    Features(Tensor<B, 3>),
    /// Tokens, `[B, T]`, each below the model's vocabulary: backends do not check.
    Tokens(Tensor<B, 2, Int>),
    /// Words with their spelling.
    Words(Words<B>),
}

/// The words of a batch, and the spelling of each distinct one of them once.
#[derive(Clone, Debug)]
pub struct Words<B: Backend> {
    /// Tokens, `[B, T]`.
    pub tokens: Tensor<B, 2, Int>,
    /// Characters of the W distinct spellings, `[W, C]`.
    pub characters: Tensor<B, 2, Int>,
    /// Valid characters of each spelling, `[W]`; `None`: all.
    pub lengths: Option<Vec<usize>>,
    /// Which spelling is each word's, `[B, T]`; any at padding.
    pub index: Tensor<B, 2, Int>,
}

impl<B: Backend> Input<B> {
    /// Batch and steps, `[B, T]`.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::Features(x) => [x.dims()[0], x.dims()[1]],
            Self::Tokens(x) => x.dims(),
            Self::Words(x) => x.tokens.dims(),
        }
    }

    /// The same on the backend below.
    pub fn inner(self) -> Input<B::InnerBackend>
    where
        B: AutodiffBackend,
    {
        match self {
            Self::Features(x) => Input::Features(x.inner()),
            Self::Tokens(x) => Input::Tokens(x.inner()),
            Self::Words(x) => Input::Words(Words {
                tokens: x.tokens.inner(),
                characters: x.characters.inner(),
                lengths: x.lengths,
                index: x.index.inner(),
            }),
        }
    }

    /// The device it lies on.
    pub fn device(&self) -> B::Device {
        match self {
            Self::Features(x) => x.device(),
            Self::Tokens(x) => x.device(),
            Self::Words(x) => x.tokens.device(),
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
    /// What each task should say, and its valid steps.
    Tasks(Vec<(Target<B>, Option<Vec<usize>>)>),
}

impl<B: Backend> Target<B> {
    /// Batch and steps, `[B, T]`; of several tasks, one step each.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::Classes(y) => y.dims(),
            Self::Features(y) => [y.dims()[0], y.dims()[1]],
            Self::Tasks(tasks) => [tasks[0].0.shape()[0], 1],
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
    /// Puts samples side by side, in their order, with `noise` drawn from a generator on their inputs.
    ///
    /// # Panics
    /// If there is no sample, or samples differ in kind or in channels.
    pub fn new(samples: &[&Sample], noise: Option<(Noise, &mut ChaCha8Rng)>, device: &B::Device) -> Self {
        let (input, input_lengths) = match &samples[0].input {
            SampleInput::Features(_) | SampleInput::Attributes { .. } => {
                let rows = samples.iter().map(|sample| match &sample.input {
                    SampleInput::Features(features) | SampleInput::Attributes { vector: features, .. } => {
                        features
                    }
                    _ => panic!("a batch of features and tokens"),
                });
                let (mut values, shape, lengths) = pad_features(rows.collect());
                if let Some((noise, rng)) = noise.filter(|(noise, _)| noise.deviation > 0.0) {
                    let normal = Normal::new(0.0, noise.deviation as f32)
                        .expect("a deviation is finite and not negative");
                    values.iter_mut().for_each(|value| *value += rng.sample(normal));
                }
                (Input::Features(Tensor::from_data(TensorData::new(values, shape), device)), lengths)
            }
            first => {
                let mut rows: Vec<Vec<u32>> = samples
                    .iter()
                    .map(|sample| match &sample.input {
                        SampleInput::Tokens(tokens) | SampleInput::Words { tokens, .. } => tokens.to_vec(),
                        _ => panic!("a batch of features and tokens"),
                    })
                    .collect();
                if let Some((noise, rng)) = noise.filter(|(noise, _)| noise.word_dropout > 0.0) {
                    for token in rows.iter_mut().flatten() {
                        if rng.random_bool(noise.word_dropout) {
                            *token = 0;
                        }
                    }
                }
                let (tokens, lengths) = pad_tokens(&rows, device);
                let spelled = matches!(first, SampleInput::Words { .. });
                (if spelled { Input::Words(spell(samples, tokens)) } else { Input::Tokens(tokens) }, lengths)
            }
        };
        let (target, target_lengths) = targets(samples.iter().map(|sample| &sample.target).collect(), device);
        Self { input, input_lengths, target, target_lengths }
    }

    /// [`new`](Self::new) of the samples at some places.
    ///
    /// # Panics
    /// Where there is none at one of them, and as `new` does.
    pub fn of(
        samples: &Samples,
        places: &[usize],
        noise: Option<(Noise, &mut ChaCha8Rng)>,
        device: &B::Device,
    ) -> Self {
        let picked: Vec<Cow<'_, Sample>> = places.iter().map(|&k| samples.at(k)).collect();
        Self::new(&picked.iter().map(|sample| &**sample).collect::<Vec<_>>(), noise, device)
    }

    /// Sequences, B.
    pub fn size(&self) -> usize {
        self.target.shape()[0]
    }

    /// Valid steps that a model goes through for the whole batch: those that it reads, or those that it writes where
    /// they are more.
    pub fn steps(&self) -> usize {
        let [batch, steps] = self.input.shape();
        let read = self.input_lengths.as_ref().map_or(batch * steps, |lengths| lengths.iter().sum());
        read.max(self.valid_steps())
    }

    /// Valid target steps of the whole batch.
    pub fn valid_steps(&self) -> usize {
        let [batch, steps] = self.target.shape();
        self.target_lengths.as_ref().map_or(batch * steps, |lengths| lengths.iter().sum())
    }
}

fn targets<B: Backend>(rows: Vec<&SampleTarget>, device: &B::Device) -> (Target<B>, Option<Vec<usize>>) {
    match rows[0] {
        SampleTarget::Features(_) => {
            let rows = rows.into_iter().map(|target| match target {
                SampleTarget::Features(features) => features,
                _ => panic!("a batch of different targets"),
            });
            let (values, shape, lengths) = pad_features(rows.collect());
            (Target::Features(Tensor::from_data(TensorData::new(values, shape), device)), lengths)
        }
        SampleTarget::Tasks(tasks) => {
            let task = |k: usize| {
                let row = |target: &&'_ SampleTarget| match target {
                    SampleTarget::Tasks(tasks) => tasks[k].clone(),
                    _ => panic!("a batch of different targets"),
                };
                let rows: Vec<SampleTarget> = rows.iter().map(row).collect();
                targets(rows.iter().collect(), device)
            };
            (Target::Tasks((0..tasks.len()).map(task).collect()), None)
        }
        SampleTarget::Class(_)
        | SampleTarget::Tokens(_)
        | SampleTarget::Text { .. }
        | SampleTarget::Drawing { .. } => {
            let rows = rows.into_iter().map(|target| match target {
                SampleTarget::Class(class) => vec![*class],
                SampleTarget::Tokens(tokens)
                | SampleTarget::Text { tokens, .. }
                | SampleTarget::Drawing { tokens, .. } => tokens.to_vec(),
                _ => panic!("a batch of different targets"),
            });
            let (tokens, lengths) = pad_tokens(&rows.collect::<Vec<_>>(), device);
            (Target::Classes(tokens), lengths)
        }
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

/// The words `tokens` of the samples, with the spelling of each distinct one.
fn spell<B: Backend>(samples: &[&Sample], tokens: Tensor<B, 2, Int>) -> Words<B> {
    let device = tokens.device();
    let mut places: HashMap<&[u32], u32> = HashMap::new();
    let mut distinct: Vec<&[u32]> = Vec::new();
    let index: Vec<Vec<u32>> = samples
        .iter()
        .map(|sample| match &sample.input {
            SampleInput::Words { spellings, .. } => spellings
                .iter()
                .map(|spelling| {
                    *places.entry(spelling).or_insert_with(|| {
                        distinct.push(spelling);
                        distinct.len() as u32 - 1
                    })
                })
                .collect(),
            _ => panic!("a batch of spelled and unspelled words"),
        })
        .collect();
    let (characters, lengths) = pad_tokens(&distinct, &device);
    Words { tokens, characters, lengths, index: pad_tokens(&index, &device).0 }
}

pub(crate) fn pad_tokens<B: Backend, R: AsRef<[u32]>>(
    rows: &[R],
    device: &B::Device,
) -> (Tensor<B, 2, Int>, Option<Vec<usize>>) {
    let rows = || rows.iter().map(AsRef::as_ref);
    let lengths: Vec<usize> = rows().map(<[u32]>::len).collect();
    let n_steps = lengths.iter().copied().max().unwrap_or(0);
    let mut values = vec![0i64; lengths.len() * n_steps];
    for (row, slot) in rows().zip(values.chunks_exact_mut(n_steps)) {
        slot.iter_mut().zip(row).for_each(|(slot, &token)| *slot = token.into());
    }
    (Tensor::from_data(TensorData::new(values, [lengths.len(), n_steps]), device), uneven(lengths, n_steps))
}

fn uneven(lengths: Vec<usize>, n_steps: usize) -> Option<Vec<usize>> {
    lengths.iter().any(|&length| length < n_steps).then_some(lengths)
}
