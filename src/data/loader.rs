//! A split as burn's learner reads it: batch by batch, in an order that the seed and the epoch give.

use super::batch::Batch;
use super::sample::Sample;
use super::stream;
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a training split is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Gives, with the epoch, the order and the noise.
    pub seed: u64,
    /// Standard deviation of Gaussian noise on feature inputs.
    pub noise: f64,
}

/// Batches of one split on one device.
///
/// With a [`Draw`] every pass is an epoch of its own, in its own order; without, samples come as
/// they stand.
#[derive(Debug)]
pub struct Loader<B: Backend> {
    samples: Arc<Vec<Sample>>,
    batch_size: usize,
    draw: Option<Draw>,
    epoch: AtomicU64,
    device: B::Device,
}

impl<B: Backend> Loader<B> {
    /// Batches of `batch_size` samples; the last one of a pass holds what is left.
    pub fn new(samples: Arc<Vec<Sample>>, batch_size: usize, draw: Option<Draw>, device: B::Device) -> Self {
        Self { samples, batch_size, draw, epoch: AtomicU64::new(0), device }
    }

    /// Batches a pass.
    pub fn n_batches(&self) -> usize {
        self.samples.len().div_ceil(self.batch_size)
    }
}

struct Pass<'a, B: Backend> {
    loader: &'a Loader<B>,
    order: Vec<usize>,
    next: usize,
    noise: Option<(f64, ChaCha8Rng)>,
}

impl<B: Backend> Iterator for Pass<'_, B> {
    type Item = Batch<B>;

    fn next(&mut self) -> Option<Batch<B>> {
        let rest = self.order.get(self.next..).filter(|rest| !rest.is_empty())?;
        let picked: Vec<&Sample> =
            rest.iter().take(self.loader.batch_size).map(|&k| &self.loader.samples[k]).collect();
        self.next += picked.len();
        let noise = self.noise.as_mut().map(|(deviation, rng)| (*deviation, rng));
        Some(Batch::new(&picked, noise, &self.loader.device))
    }
}

impl<B: Backend> DataLoaderIterator<Batch<B>> for Pass<'_, B> {
    fn progress(&self) -> Progress {
        Progress::new(self.next, self.order.len())
    }
}

impl<B: Backend> DataLoader<B, Batch<B>> for Loader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch<B>> + 'a> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        let noise = self.draw.map(|draw| {
            let mut rng = ChaCha8Rng::seed_from_u64(draw.seed);
            rng.set_stream(stream::EPOCHS + self.epoch.fetch_add(1, Ordering::Relaxed));
            order.shuffle(&mut rng);
            (draw.noise, rng)
        });
        let noise = noise.filter(|(deviation, _)| *deviation > 0.0);
        Box::new(Pass { loader: self, order, next: 0, noise })
    }

    fn num_items(&self) -> usize {
        self.samples.len()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn DataLoader<B, Batch<B>>> {
        Arc::new(Self {
            samples: self.samples.clone(),
            batch_size: self.batch_size,
            draw: self.draw,
            epoch: AtomicU64::new(self.epoch.load(Ordering::Relaxed)),
            device: device.clone(),
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, Batch<B>>> {
        let samples = Arc::new(self.samples[start..end].to_vec());
        Arc::new(Self::new(samples, self.batch_size, self.draw, self.device.clone()))
    }
}
