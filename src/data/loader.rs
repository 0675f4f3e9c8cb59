//! A split as burn's learner reads it: batch by batch, in an order that the seed and the epoch give.

use super::batch::Batch;
use super::samples::Samples;
use super::stream;
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Batches that are sorted by length together: enough to have equal lengths, few enough to stay a random part.
const POOL: usize = 50;

/// How a training split is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Gives, with the epoch, the order and the noise.
    pub seed: u64,
    /// On the inputs.
    pub noise: Noise,
    /// Whether samples of about the same length share a batch.
    pub bucket: bool,
}

/// What is done to training inputs, drawn anew every epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Standard deviation of Gaussian noise on features.
    pub deviation: f64,
    /// Probability that a word is replaced by token 0, the unknown one; its spelling stays.
    pub word_dropout: f64,
}

/// Batches of one split on one device.
///
/// With a [`Draw`] every pass is an epoch of its own, in its own order; without, samples come
/// sorted by length.
#[derive(Debug)]
pub struct Loader<B: Backend> {
    samples: Arc<Samples>,
    batch_size: usize,
    draw: Option<Draw>,
    lanes: bool,
    epoch: AtomicU64,
    device: B::Device,
}

impl<B: Backend> Loader<B> {
    /// Batches of `batch_size` samples; the last one of a pass holds what is left.
    pub fn new(samples: Arc<Samples>, batch_size: usize, draw: Option<Draw>, device: B::Device) -> Self {
        Self { samples, batch_size, draw, lanes: false, epoch: AtomicU64::new(0), device }
    }

    /// Samples that follow each other stay in their order: each row of a batch is a lane, which the
    /// same row of the next batch goes on with. The last batch may have fewer rows, the first ones.
    pub fn in_lanes(mut self) -> Self {
        self.lanes = true;
        self
    }

    /// The next pass is that of `epoch`, counted from 0.
    pub fn from_epoch(self, epoch: u64) -> Self {
        Self { epoch: AtomicU64::new(epoch), ..self }
    }

    /// Batches a pass.
    pub fn n_batches(&self) -> usize {
        self.samples.len().div_ceil(self.batch_size)
    }

    /// Padding among all steps that are read and written in the first epoch, 0 to 1: as its batches are, and as they would
    /// be in a plain random order.
    pub fn padding_shares(&self) -> [f64; 2] {
        let share = |draw: Option<Draw>| {
            let batches = self.batches(draw.map(|draw| (draw, draw.rng(0))).as_mut());
            let (mut valid, mut all) = (0, 0);
            for batch in &batches {
                for side in 0..2 {
                    let lengths = batch.iter().map(|&k| self.samples.lengths(k)[side]);
                    all += batch.len() * lengths.clone().max().unwrap_or(0);
                    valid += lengths.sum::<usize>();
                }
            }
            1.0 - valid as f64 / all.max(1) as f64
        };
        [share(self.draw), share(self.draw.map(|draw| Draw { bucket: false, ..draw }))]
    }

    /// What batches are sorted by.
    fn steps(&self, sample: usize) -> usize {
        let [read, written] = self.samples.lengths(sample);
        read.max(written)
    }

    /// The samples of each batch of one pass.
    fn batches(&self, draw: Option<&mut (Draw, ChaCha8Rng)>) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        let cut = |order: &[usize]| order.chunks(self.batch_size).map(<[usize]>::to_vec).collect();
        if self.lanes {
            return cut(&in_lanes(self.samples.len(), self.batch_size));
        }
        let uneven = order.iter().any(|&k| self.steps(k) != self.steps(0));
        let Some((draw, rng)) = draw else {
            order.sort_by_key(|&k| self.steps(k));
            return cut(&order);
        };
        order.shuffle(rng);
        if !draw.bucket || !uneven {
            return cut(&order);
        }
        order.chunks_mut(POOL * self.batch_size).for_each(|pool| pool.sort_by_key(|&k| self.steps(k)));
        let mut batches: Vec<Vec<usize>> = cut(&order);
        batches.shuffle(rng);
        batches
    }
}

impl Draw {
    /// What the order and then the noise of an epoch are drawn from.
    fn rng(&self, epoch: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream::EPOCHS + epoch);
        rng
    }
}

struct Pass<'a, B: Backend, I> {
    loader: &'a Loader<B>,
    batches: std::vec::IntoIter<Vec<usize>>,
    done: usize,
    draw: Option<(Draw, ChaCha8Rng)>,
    item: PhantomData<I>,
}

impl<B: Backend, I: From<Batch<B>>> Iterator for Pass<'_, B, I> {
    type Item = I;

    fn next(&mut self) -> Option<I> {
        let picked = self.batches.next()?;
        self.done += picked.len();
        let noise = self.draw.as_mut().map(|(draw, rng)| (draw.noise, rng));
        Some(Batch::of(&self.loader.samples, &picked, noise, &self.loader.device).into())
    }
}

impl<B: Backend, I: From<Batch<B>>> DataLoaderIterator<I> for Pass<'_, B, I> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.loader.samples.len())
    }
}

impl<B: Backend, I: From<Batch<B>> + 'static> DataLoader<B, I> for Loader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<I> + 'a> {
        let mut draw = self.draw.map(|draw| (draw, draw.rng(self.epoch.fetch_add(1, Ordering::Relaxed))));
        let batches = self.batches(draw.as_mut()).into_iter();
        Box::new(Pass { loader: self, batches, done: 0, draw, item: PhantomData })
    }

    fn num_items(&self) -> usize {
        self.samples.len()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn DataLoader<B, I>> {
        Arc::new(Self {
            samples: self.samples.clone(),
            batch_size: self.batch_size,
            draw: self.draw,
            lanes: self.lanes,
            epoch: AtomicU64::new(self.epoch.load(Ordering::Relaxed)),
            device: device.clone(),
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, I>> {
        let samples = Arc::new(self.samples.part(start..end));
        let part = Self::new(samples, self.batch_size, self.draw, self.device.clone());
        Arc::new(Self { lanes: self.lanes, ..part })
    }
}

/// `n` samples in `width` lanes, of which the first ones are one sample longer: batch after batch.
pub(crate) fn in_lanes(n: usize, width: usize) -> Vec<usize> {
    let (whole, longer) = (n / width, n % width);
    let start = |lane: usize| lane * whole + lane.min(longer);
    let row = |step: usize| {
        (0..width)
            .filter(move |&lane| step < whole + usize::from(lane < longer))
            .map(move |lane| start(lane) + step)
    };
    (0..n.div_ceil(width)).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Sample;
    use burn::backend::Flex;

    #[test]
    fn lanes_go_on_where_the_batch_before_ended() {
        // Lanes 0 1 2 3, 4 5 6, 7 8 9.
        assert_eq!(in_lanes(10, 3), [0, 4, 7, 1, 5, 8, 2, 6, 9, 3]);
        assert_eq!(in_lanes(2, 3), [0, 1]);
        assert_eq!(in_lanes(0, 3), [0; 0]);
        assert_eq!(in_lanes(4, 1), [0, 1, 2, 3]);
    }

    /// `n` samples, each with its number as first token; lengths from 1 to `longest`.
    fn samples(n: usize, longest: usize) -> Vec<Sample> {
        let sample = |k: usize| {
            let mut tokens = vec![7; 1 + k * 31 % longest];
            tokens[0] = k as u32;
            Sample::tokens(tokens.clone(), tokens)
        };
        (0..n).map(sample).collect()
    }

    fn loader(samples: Vec<Sample>, batch_size: usize, draw: Option<Draw>) -> Loader<Flex> {
        Loader::new(Arc::new(samples.into()), batch_size, draw, Default::default())
    }

    fn draw(bucket: bool) -> Option<Draw> {
        Some(Draw { seed: 3, noise: Noise::default(), bucket })
    }

    /// The samples' numbers and the padded steps of each batch of the next epoch.
    fn epoch(loader: &Loader<Flex>) -> Vec<(Vec<i64>, usize)> {
        let batch = |batch: Batch<Flex>| {
            let super::super::Input::Tokens(tokens) = batch.input else { panic!("no tokens") };
            let [rows, steps] = tokens.dims();
            let first = tokens.slice([0..rows, 0..1]).into_data().convert::<i64>();
            let lengths = batch.input_lengths.unwrap_or(vec![steps; rows]);
            (first.to_vec().unwrap(), lengths.iter().map(|length| steps - length).sum())
        };
        loader.iter().map(batch).collect()
    }

    #[test]
    fn batches_of_equal_lengths_hold_every_sample_once_in_an_order_of_the_seed_and_the_epoch() {
        let [plain, bucketed] = [false, true].map(|bucket| loader(samples(1000, 20), 8, draw(bucket)));
        let padding = |epoch: &[(Vec<i64>, usize)]| epoch.iter().map(|(_, padding)| padding).sum::<usize>();
        let numbers =
            |epoch: &[(Vec<i64>, usize)]| epoch.iter().flat_map(|(n, _)| n.clone()).collect::<Vec<_>>();
        let (first, second, other) = (epoch(&bucketed), epoch(&bucketed), epoch(&plain));
        for epoch in [&first, &second, &other] {
            assert_eq!(epoch.len(), bucketed.n_batches());
            assert!(epoch.iter().all(|(numbers, _)| numbers.len() == 8));
            let mut all = numbers(epoch);
            all.sort_unstable();
            assert_eq!(all, (0..1000).collect::<Vec<_>>());
        }
        assert_ne!(first, second);
        assert_eq!(first, epoch(&loader(samples(1000, 20), 8, draw(true))));
        // Batches do not come sorted.
        let lengths: Vec<i64> = first.iter().map(|(numbers, _)| numbers[0] * 31 % 20).collect();
        assert!(lengths.windows(2).filter(|pair| pair[0] > pair[1]).count() > lengths.len() / 4);
        assert!(10 * padding(&first) < padding(&other), "{} {}", padding(&first), padding(&other));
        // What is told is what is done.
        let all: usize = samples(1000, 20).iter().map(|sample| sample.input.steps()).sum();
        let share = |padding: usize| 1.0 - all as f64 / (all + padding) as f64;
        assert_eq!(bucketed.padding_shares(), [share(padding(&first)), share(padding(&other))]);
    }

    #[test]
    fn equal_lengths_are_not_sorted_and_a_split_without_draw_is() {
        let [plain, bucketed] = [false, true].map(|bucket| loader(samples(100, 1), 8, draw(bucket)));
        assert_eq!(epoch(&plain), epoch(&bucketed));
        assert_eq!(bucketed.padding_shares(), [0.0, 0.0]);
        let sorted = epoch(&loader(samples(6, 3), 4, None));
        assert_eq!(sorted, [(vec![0, 3, 1, 4], 2), (vec![2, 5], 0)]);
    }

    #[test]
    fn dropped_words_keep_their_spelling() {
        let sample = |k: u32| Sample {
            input: super::super::SampleInput::Words {
                tokens: vec![k + 1; 3].into(),
                spellings: vec![vec![k + 1]; 3].into(),
            },
            target: super::super::SampleTarget::Class(0),
        };
        let noise = Noise { word_dropout: 0.5, ..Noise::default() };
        let loader = loader((0..40).map(sample).collect(), 40, Some(Draw { seed: 3, noise, bucket: true }));
        let batch: Batch<Flex> = loader.iter().next().unwrap();
        let super::super::Input::Words(words) = batch.input else { panic!("no words") };
        let ints = |tensor: burn::tensor::Tensor<Flex, 2, burn::tensor::Int>| -> Vec<i64> {
            tensor.into_data().convert::<i64>().to_vec().unwrap()
        };
        let (tokens, index, characters) = (ints(words.tokens), ints(words.index), ints(words.characters));
        assert_eq!(characters.len(), 40, "a spelling is there once");
        let dropped = tokens.iter().filter(|&&token| token == 0).count();
        assert!((40..80).contains(&dropped), "{dropped}");
        for (token, place) in tokens.into_iter().zip(index) {
            assert!(token == 0 || token == characters[place as usize]);
        }
    }
}
