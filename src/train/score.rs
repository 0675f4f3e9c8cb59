//! Scores over a whole split: every valid step counts once, however the batches fell.

use super::bleu::bleu;
use super::criterion::{Criterion, TaskCriterion};
use super::rouge::rouge;
use super::spans::spans;
use super::strategy::going_on;
use crate::config::{Config, DataFormat, Loss, TaskConfig, TextUnit, TrainConfig};
use crate::data::loader::in_lanes;
use crate::data::{Batch, SampleInput, SampleTarget, Samples, Target};
use crate::kernel::RecurrentBackend;
use crate::model::{Model, Objective};
use burn::tensor::{ElementConversion, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Sums over the valid steps of some batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Spans; labels that mark them only.
    pub spans: Spans,
    /// Whether the loss itself is the score: language models.
    pub by_loss: bool,
    /// Several tasks: each one's name and tally; steps are sequences then.
    pub tasks: Vec<(String, Tally)>,
}

/// Spans counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spans {
    /// That there are.
    pub truth: usize,
    /// That the model gave.
    pub said: usize,
    /// That it gave with the right start, end and kind.
    pub right: usize,
}

impl Tally {
    /// Counts one batch, given the model's output for it.
    pub fn of<B: RecurrentBackend>(criterion: &Criterion, output: Tensor<B, 3>, batch: &Batch<B>) -> Self {
        Self::of_target(criterion, output, &batch.target, batch.target_lengths.as_deref())
    }

    fn of_target<B: RecurrentBackend>(
        criterion: &Criterion,
        output: Tensor<B, 3>,
        target: &Target<B>,
        lengths: Option<&[usize]>,
    ) -> Self {
        let [size, n_steps, d_output] = output.dims();
        let steps = lengths.map_or(size * n_steps, |lengths| lengths.iter().sum());
        // A language model's score is the cross entropy itself, whatever training made small.
        let objective = match criterion.by_loss {
            true => Objective { loss: Loss::CrossEntropy, label_smoothing: 0.0 },
            false => criterion.objective,
        };
        let loss = objective.loss(output.clone(), target, lengths).into_scalar().elem::<f64>();
        let loss = loss * steps as f64;
        let valid = |k: usize| lengths.is_none_or(|lengths| k % n_steps < lengths[k / n_steps]);
        let mut tally = Self { loss, steps, by_loss: criterion.by_loss, ..Self::default() };
        match target {
            Target::Tasks(_) => unreachable!("a task is judged alone"),
            Target::Classes(classes) => {
                let said = ints(output.argmax(2).reshape([size, n_steps]));
                let truth = ints(classes.clone());
                for b in 0..size {
                    let row = b * n_steps..b * n_steps + lengths.map_or(n_steps, |lengths| lengths[b]);
                    tally.count(criterion, &said[row.clone()], &truth[row]);
                }
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

    /// Counts the labels of one sequence: those that are right, and spans.
    pub(super) fn count(&mut self, criterion: &Criterion, said: &[i64], truth: &[i64]) {
        self.correct += said.iter().zip(truth).filter(|(said, truth)| said == truth).count();
        if let Some(tags) = &criterion.tags {
            let [said, truth] = [said, truth].map(|labels| spans(tags, labels));
            self.spans.right += said.iter().filter(|span| truth.contains(span)).count();
            self.spans.said += said.len();
            self.spans.truth += truth.len();
        }
    }

    /// Counts one batch, given the model's outputs for it: one, or one a task.
    fn of_all<B: RecurrentBackend>(
        criterion: &Criterion,
        mut outputs: Vec<Tensor<B, 3>>,
        batch: &Batch<B>,
    ) -> Self {
        let Target::Tasks(targets) = &batch.target else {
            return Self::of(criterion, outputs.remove(0), batch);
        };
        let tasks: Vec<(String, Self)> = outputs
            .into_iter()
            .zip(targets)
            .zip(criterion.tasks.iter())
            .map(|((output, (target, lengths)), task)| {
                (task.name.clone(), Self::of_target(&task.criterion, output, target, lengths.as_deref()))
            })
            .collect();
        let steps = batch.size();
        let weighted =
            |((_, tally), task): (&(String, Self), &TaskCriterion)| task.weight * tally.mean_loss();
        let loss: f64 = tasks.iter().zip(criterion.tasks.iter()).map(weighted).sum();
        Self { loss: loss * steps as f64, steps, tasks, ..Self::default() }
    }

    /// The largest of its counts.
    pub(super) fn largest(&self) -> usize {
        let Spans { truth, said, right } = self.spans;
        let own = [self.correct, self.values, self.steps, truth, said, right];
        own.into_iter().chain(self.tasks.iter().map(|(_, task)| task.largest())).max().unwrap_or(0)
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.squared += other.squared;
        self.values += other.values;
        self.steps += other.steps;
        self.spans.truth += other.spans.truth;
        self.spans.said += other.spans.said;
        self.spans.right += other.spans.right;
        self.by_loss |= other.by_loss;
        if self.tasks.is_empty() {
            self.tasks = other.tasks.clone();
        } else {
            self.tasks.iter_mut().zip(&other.tasks).for_each(|(task, other)| task.1.add(&other.1));
        }
    }

    /// Mean loss a valid step.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.steps as f64
    }

    /// The score by the target's kind: its name, its value, whether more is better.
    pub fn score(&self) -> (&'static str, f64, bool) {
        if self.by_loss {
            ("nats", self.mean_loss(), false)
        } else if !self.tasks.is_empty() {
            let sum: f64 = self.tasks.iter().map(|(_, task)| task.score().1).sum();
            ("mean score", sum / self.tasks.len() as f64, true)
        } else if self.spans.truth > 0 {
            ("f1", 2.0 * self.spans.right as f64 / (self.spans.truth + self.spans.said) as f64, true)
        } else if self.values > 0 {
            ("mse", self.squared / self.values as f64, false)
        } else {
            ("accuracy", self.correct as f64 / self.steps as f64, true)
        }
    }

    /// The scores as they are reported.
    pub fn scores(&self, config: &Config, split: &str) -> Vec<Score> {
        let score = |metric: &str, value| Score {
            model: config.name.clone(),
            split: split.into(),
            metric: metric.into(),
            value,
            n: if metric == "f1" { self.spans.truth } else { self.steps },
        };
        let (metric, value, _) = self.score();
        let mut scores = vec![score(metric, value)];
        for (name, task) in &self.tasks {
            scores.extend(
                task.scores(config, split)
                    .into_iter()
                    .map(|s| Score { metric: format!("{name} {}", s.metric), ..s }),
            );
        }
        if self.spans.truth > 0 || self.by_loss {
            scores.push(score("accuracy", self.correct as f64 / self.steps as f64));
        }
        scores.push(score("loss", self.mean_loss()));
        if config.data.unit == Some(TextUnit::Word) {
            scores.push(score("perplexity", self.mean_loss().exp()));
        }
        scores
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
    /// `accuracy`, `f1` of spans, `mean score` of several tasks and then `TASK accuracy` or `TASK f1`
    /// of each, `mse` (of values as the model sees them: standardised where the data is), `nats` a token of a language
    /// model, `bleu` and `rouge-l` in percent of a model of texts, `chamfer` and `dtw` in pixels and `overlap` of a model
    /// of drawings, `loss`, or, of word-level language models, `perplexity`. Where a model reads its own output back, one-to-many and encoder–decoder, they are
    /// of its steps with the true output before each of them given.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Valid steps it is a mean over; one a sequence where a sequence has one answer; of `f1` the spans that there are.
    pub n: usize,
}

impl Score {
    /// Those of a model's `scores` that tell most of it, on its test split if that is among them: one, or one a task. What
    /// a model writes or draws is told by how near it comes, not by its loss.
    pub fn main<'a>(config: &Config, scores: &'a [Self]) -> Vec<&'a Self> {
        let Some(first) = scores.iter().find(|s| s.split == "test").or(scores.first()) else {
            return Vec::new();
        };
        let named = |metric: &str| scores.iter().find(|s| s.split == first.split && s.metric == metric);
        // Of labels that mark spans a task has both.
        let of_task = |task: &TaskConfig| {
            ["f1", "accuracy"].into_iter().find_map(|kind| named(&format!("{} {kind}", task.name)))
        };
        let tasks: Vec<&Self> = config.model.tasks.iter().filter_map(of_task).collect();
        if !tasks.is_empty() {
            return tasks;
        }
        let main = match config.data.format {
            DataFormat::Pairs if config.data.languages.is_none() => named("rouge-l"),
            DataFormat::Pairs | DataFormat::Attributes => named("bleu"),
            DataFormat::Strokes => named("chamfer"),
            _ => None,
        };
        vec![main.unwrap_or(first)]
    }

    /// Whether more of its metric is better.
    pub fn higher_is_better(&self) -> bool {
        // Of several tasks: `TASK accuracy`.
        let kind = self.metric.rsplit(' ').next().unwrap_or_default();
        !matches!(kind, "mse" | "nats" | "loss" | "perplexity" | "chamfer" | "dtw")
    }
}

/// The inputs of which texts are written, and those that what is written of each is held against: of attributes the
/// texts of all samples that have them.
pub(super) fn references(samples: &Samples) -> (Vec<SampleInput>, Vec<Vec<String>>) {
    let (mut inputs, mut references): (Vec<SampleInput>, Vec<Vec<String>>) = Default::default();
    let mut known = HashMap::new();
    for sample in samples {
        let SampleTarget::Text { text, .. } = &sample.target else { continue };
        let k = match &sample.input {
            SampleInput::Attributes { vector, names } => {
                let bits: Vec<u32> = vector.data.iter().map(|value| value.to_bits()).collect();
                *known.entry((bits, names.clone())).or_insert(inputs.len())
            }
            _ => inputs.len(),
        };
        if k == inputs.len() {
            inputs.push(sample.input.clone());
            references.push(Vec::new());
        }
        references[k].push(text.to_string());
    }
    (inputs, references)
}

/// BLEU and ROUGE-L, in percent, of texts against their references: ROUGE-L of the one that is closest. `lowercase`:
/// upper and lower case are the same to BLEU, as they always are to ROUGE.
pub(super) fn written(
    said: &[String],
    references: &[Vec<String>],
    lowercase: bool,
    config: &Config,
    split: &str,
) -> Vec<Score> {
    let closest = |(text, references): (&String, &Vec<String>)| {
        let one = |reference| rouge(std::slice::from_ref(text), std::slice::from_ref(reference)).l;
        references.iter().map(one).fold(0.0, f64::max)
    };
    let rouge_l = said.iter().zip(references).map(closest).sum::<f64>() / said.len().max(1) as f64;
    let score = |metric: &str, value| Score {
        model: config.name.clone(),
        split: split.into(),
        metric: metric.into(),
        value,
        n: said.len(),
    };
    vec![score("bleu", bleu(said, references, lowercase)), score("rouge-l", rouge_l)]
}

/// The lanes that a text is read in where the state is carried: few, as each starts without context.
pub(super) const LANES: usize = 8;

/// The tally of a whole split, in batches as `config` has them.
pub fn score<B: RecurrentBackend>(
    model: &Model<B>,
    samples: &Samples,
    config: &TrainConfig,
    criterion: &Criterion,
    device: &B::Device,
) -> Tally {
    let mut tally = Tally::default();
    run(model, samples, config, device, |outputs, batch| {
        tally.add(&Tally::of_all(criterion, outputs, batch))
    });
    tally
}

/// Runs a model over a whole split and shows each batch with the outputs: one, or one a task.
pub(super) fn run<B: RecurrentBackend>(
    model: &Model<B>,
    samples: &Samples,
    config: &TrainConfig,
    device: &B::Device,
    mut show: impl FnMut(Vec<Tensor<B, 3>>, &Batch<B>),
) {
    if !config.carry_state {
        // Equal lengths together, so that little is padding.
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by_key(|&k| samples.steps(k));
        for chunk in order.chunks(config.batch_size) {
            let batch = Batch::of(samples, chunk, None, device);
            show(outputs(model, &batch), &batch);
        }
        return;
    }
    let mut carried = None;
    for chunk in in_lanes(samples.len(), LANES).chunks(LANES) {
        let batch = Batch::of(samples, chunk, None, device);
        let (said, _) = model.run(&batch, going_on(&mut carried, &batch));
        carried = Some(said.state);
        show(vec![said.output], &batch);
    }
}

/// What a model says of a batch that starts from no state.
fn outputs<B: RecurrentBackend>(model: &Model<B>, batch: &Batch<B>) -> Vec<Tensor<B, 3>> {
    match model {
        Model::MultiTask(model) => model.forward(batch.input.clone(), batch.input_lengths.as_deref(), None).0,
        _ => vec![model.forward(batch)],
    }
}

/// The tally of a batch that starts from no state.
pub(super) fn judge<B: RecurrentBackend>(model: &Model<B>, criterion: &Criterion, batch: &Batch<B>) -> Tally {
    Tally::of_all(criterion, outputs(model, batch), batch)
}

pub(super) fn ints<B: RecurrentBackend>(tensor: Tensor<B, 2, burn::tensor::Int>) -> Vec<i64> {
    tensor.into_data().convert::<i64>().to_vec().expect("classes are integers")
}

fn floats<B: RecurrentBackend>(tensor: Tensor<B, 3>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().to_vec().expect("outputs are floats")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CellKind, IoMode, ModelConfig};

    #[test]
    fn the_score_that_tells_most() {
        let score = |split: &str, metric: &str| Score {
            model: "m".into(),
            split: split.into(),
            metric: metric.into(),
            value: 1.0,
            n: 1,
        };
        let scores = |metrics: &[&str]| -> Vec<Score> {
            let valid = metrics.iter().map(|metric| score("valid", metric));
            valid.chain(metrics.iter().map(|metric| score("test", metric))).collect()
        };
        let main = |config: &Config, scores: &[Score]| -> Vec<String> {
            Score::main(config, scores).iter().map(|s| format!("{} {}", s.split, s.metric)).collect()
        };
        let mut config = Config::new("m", ModelConfig::new(IoMode::ManyToMany, CellKind::Gru, 2));
        assert!(main(&config, &[]).is_empty());
        let written = scores(&["nats", "loss", "bleu", "rouge-l", "chamfer"]);
        assert_eq!(main(&config, &written), ["test nats"]);
        assert_eq!(main(&config, &written[..5]), ["valid nats"]);
        for (format, metric) in [
            (DataFormat::Text, "nats"),
            (DataFormat::Pairs, "rouge-l"),
            (DataFormat::Attributes, "bleu"),
            (DataFormat::Strokes, "chamfer"),
        ] {
            config.data.format = format;
            assert_eq!(main(&config, &written), [format!("test {metric}")]);
        }
        config.data.format = DataFormat::Pairs;
        config.data.languages = Some(["a", "b"].map(String::from));
        assert_eq!(main(&config, &written), ["test bleu"]);

        config.data.format = DataFormat::IntentSlots;
        config.model.tasks = ["intent", "slots"]
            .map(|name| toml::from_str(&format!("name = \"{name}\"\nmode = \"many-to-one\"")).unwrap())
            .into();
        let tasks = scores(&["mean score", "intent accuracy", "intent loss", "slots f1", "slots accuracy"]);
        assert_eq!(main(&config, &tasks), ["test intent accuracy", "test slots f1"]);
    }
}
