//! Scheduled sampling: how often a decoder reads the true token in training
//! ([Bengio et al. 2015](https://arxiv.org/abs/1506.03099)).

use crate::backend::TrainBackend;
use crate::config::{SamplingSchedule, ScheduledSampling};
use crate::data::{Batch, Target, stream};
use crate::model::EncoderDecoder;
use burn::module::AutodiffModule;
use burn::tensor::{Int, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Which tokens a decoder reads at one step of training.
#[derive(Clone, Debug)]
pub struct Truths {
    /// The probability that it is the true one, token by token.
    probability: f64,
    rng: ChaCha8Rng,
}

impl Truths {
    /// Those of a step, counted from 0.
    pub fn new(config: &ScheduledSampling, seed: u64, step: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream::TRUTHS + step);
        Self { probability: probability(config, step), rng }
    }

    /// What the decoder reads of a batch, `[B, T]`. Its own tokens are constants to the gradient, and nothing
    /// is dropped where it finds them.
    ///
    /// # Panics
    /// If the target is not tokens.
    pub fn read<B: TrainBackend>(mut self, model: &EncoderDecoder<B>, batch: &Batch<B>) -> Tensor<B, 2, Int> {
        let Target::Classes(target) = &batch.target else { panic!("an encoder-decoder model writes tokens") };
        if self.probability >= 1.0 {
            return model.given(target.clone());
        }
        let read = model.valid().sampled(
            batch.input.clone().inner(),
            batch.input_lengths.as_deref(),
            target.clone().inner(),
            || self.rng.random_bool(self.probability),
        );
        Tensor::from_inner(read)
    }
}

fn probability(config: &ScheduledSampling, step: u64) -> f64 {
    let ScheduledSampling { schedule, rate, floor } = *config;
    let step = step as f64;
    let probability: f64 = match schedule {
        SamplingSchedule::Linear => 1.0 - rate * step,
        SamplingSchedule::Exponential => rate.powf(step),
        SamplingSchedule::InverseSigmoid => rate / (rate + (step / rate).exp()),
    };
    probability.max(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_fall_as_they_are_written() {
        use SamplingSchedule::{Exponential, InverseSigmoid, Linear};
        for (schedule, rate, floor, step, expected) in [
            (Linear, 0.1, 0.0, 0, 1.0),
            (Linear, 0.1, 0.0, 3, 0.7),
            (Linear, 0.1, 0.25, 8, 0.25),
            (Linear, 0.1, 0.0, 1000, 0.0),
            (Exponential, 0.9, 0.0, 0, 1.0),
            (Exponential, 0.9, 0.0, 2, 0.81),
            (Exponential, 0.9, 0.5, 1_000_000, 0.5),
            (InverseSigmoid, 10.0, 0.0, 0, 10.0 / 11.0),
            (InverseSigmoid, 10.0, 0.0, 20, 10.0 / (10.0 + 2f64.exp())),
            (InverseSigmoid, 10.0, 0.0, 1_000_000, 0.0),
            (InverseSigmoid, 10.0, 1.0, 5, 1.0),
        ] {
            let found = probability(&ScheduledSampling { schedule, rate, floor }, step);
            assert!((found - expected).abs() < 1e-12, "{schedule:?} {rate} at {step}: {found}");
        }
    }
}
