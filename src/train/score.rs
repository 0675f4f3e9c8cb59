//! Scores over a whole split: every valid step counts once, however the batches fell.

use crate::data::{Batch, Sample, Target};
use crate::kernel::RecurrentBackend;
use crate::model::{Model, Objective};
use burn::tensor::{ElementConversion, Tensor};
use serde::{Deserialize, Serialize};

/// Sums over the valid steps of some batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Loss times steps.
    pub loss: f64,
    /// Steps that were right; classes only.
    pub correct: usize,
    /// Squared errors over steps and features; features only.
    pub squared: f64,
    /// Values those are of.
    pub values: usize,
    /// Valid steps.
    pub steps: usize,
}

impl Tally {
    /// Counts one batch, given the model's output for it.
    pub fn of<B: RecurrentBackend>(objective: &Objective, output: Tensor<B, 3>, batch: &Batch<B>) -> Self {
        let steps = batch.valid_steps();
        let lengths = batch.target_lengths.as_deref();
        let loss =
            objective.loss(output.clone(), &batch.target, lengths).into_scalar().elem::<f64>() * steps as f64;
        let [size, n_steps, d_output] = output.dims();
        let valid = |k: usize| lengths.is_none_or(|lengths| k % n_steps < lengths[k / n_steps]);
        let mut tally = Self { loss, steps, ..Self::default() };
        match &batch.target {
            Target::Classes(classes) => {
                let said = ints(output.argmax(2).reshape([size, n_steps]));
                let truth = ints(classes.clone());
                tally.correct = (0..said.len()).filter(|&k| valid(k) && said[k] == truth[k]).count();
            }
            Target::Features(values) => {
                let said = floats(output);
                let truth = floats(values.clone());
                tally.values = steps * d_output;
                tally.squared = (0..said.len())
                    .filter(|k| valid(k / d_output))
                    .map(|k| (f64::from(said[k]) - f64::from(truth[k])).powi(2))
                    .sum();
            }
        }
        tally
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.squared += other.squared;
        self.values += other.values;
        self.steps += other.steps;
    }

    /// Mean loss a valid step.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.steps as f64
    }

    /// The score by the target's kind: its name, its value, whether more is better.
    pub fn score(&self) -> (&'static str, f64, bool) {
        if self.values > 0 {
            ("mse", self.squared / self.values as f64, false)
        } else {
            ("accuracy", self.correct as f64 / self.steps as f64, true)
        }
    }

    /// The scores as they are reported.
    pub fn scores(&self, model: &str, split: &str) -> Vec<Score> {
        let score = |metric: &str, value| Score {
            model: model.into(),
            split: split.into(),
            metric: metric.into(),
            value,
            n: self.steps,
        };
        let (metric, value, _) = self.score();
        vec![score(metric, value), score("loss", self.mean_loss())]
    }
}

/// One number and what it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The model's name.
    pub model: String,
    /// `train`, `valid` or `test`.
    pub split: String,
    /// `accuracy`, `mse` (of values as the model sees them: standardised where the data is), or
    /// `loss`. Where a model reads its own output back, one-to-many and encoder–decoder, they are
    /// of its steps with the true output before each of them given.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Valid steps it is a mean over; one a sequence where a sequence has one answer.
    pub n: usize,
}

/// The tally of a whole split, `batch_size` sequences at a time.
pub fn score<B: RecurrentBackend>(
    model: &Model<B>,
    samples: &[Sample],
    batch_size: usize,
    objective: &Objective,
    device: &B::Device,
) -> Tally {
    let mut tally = Tally::default();
    for chunk in samples.chunks(batch_size) {
        let batch = Batch::new(&chunk.iter().collect::<Vec<_>>(), None, device);
        tally.add(&Tally::of(objective, model.forward(&batch), &batch));
    }
    tally
}

fn ints<B: RecurrentBackend>(tensor: Tensor<B, 2, burn::tensor::Int>) -> Vec<i64> {
    tensor.into_data().convert::<i64>().to_vec().expect("classes are integers")
}

fn floats<B: RecurrentBackend>(tensor: Tensor<B, 3>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().to_vec().expect("outputs are floats")
}
