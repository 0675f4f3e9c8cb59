//! A model as burn's learner sees it: one that takes steps, and metrics of them.

use super::criterion::Criterion;
use super::sampling::Truths;
use super::score::{Tally, judge};
use crate::backend::TrainBackend;
use crate::config::TrainConfig;
use crate::data::{Batch, Target, padding};
use crate::kernel::RecurrentBackend;
use crate::model::{Features, Model, MultiTask};
use crate::recurrent::RecurrentState;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::backend::Backend;
use burn::tensor::{ElementConversion, Tensor};
use burn::train::ItemLazy;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Adaptor, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use std::sync::Arc;

/// A model and what it is to make small.
#[derive(Module, Debug)]
pub struct Trainee<B: Backend> {
    /// The model.
    pub model: Model<B>,
    #[module(skip)]
    criterion: Criterion,
    #[module(skip)]
    regularization: ActivationRegularization,
    #[module(skip)]
    carries: bool,
}

/// What is added to the loss for large and for changing activations
/// ([Merity et al. 2017](https://arxiv.org/abs/1708.01009)).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct ActivationRegularization {
    /// Times the mean square of what the head reads.
    size: f64,
    /// Times the mean square of the stack's change from step to step.
    change: f64,
}

impl ActivationRegularization {
    /// Means over valid steps.
    fn penalty<B: Backend>(&self, features: Features<B>, lengths: Option<&[usize]>) -> Option<Tensor<B, 1>> {
        let [batch, n_steps, d] = features.raw.dims();
        let mean = |squares: Tensor<B, 3>, lengths: Option<Vec<usize>>| {
            let n_steps = squares.dims()[1];
            match padding(lengths.as_deref(), [batch, n_steps], &squares.device()) {
                None => squares.mean(),
                Some(padding) => {
                    let valid: usize = lengths.iter().flatten().sum();
                    let padding = padding.unsqueeze_dim::<3>(2).expand([batch, n_steps, d]);
                    squares.mask_fill(padding, 0.0).sum() / (valid * d).max(1) as f64
                }
            }
        };
        let size = (self.size > 0.0)
            .then(|| mean(features.dropped.square(), lengths.map(<[usize]>::to_vec)) * self.size);
        let change = (self.change > 0.0 && n_steps > 1).then(|| {
            let stretch = |from: usize| features.raw.clone().slice([0..batch, from..from + n_steps - 1]);
            let changes = lengths.map(|lengths| lengths.iter().map(|length| length - 1).collect());
            mean((stretch(1) - stretch(0)).square(), changes) * self.change
        });
        size.into_iter().chain(change).reduce(|a, b| a + b)
    }
}

impl<B: Backend> Trainee<B> {
    /// `model`, to be trained by `criterion` as `config` has it.
    pub fn new(model: Model<B>, criterion: Criterion, config: &TrainConfig) -> Self {
        let regularization = ActivationRegularization {
            size: config.activation_regularization,
            change: config.temporal_activation_regularization,
        };
        Self { model, criterion, regularization, carries: config.carry_state }
    }
}

/// A batch, and the state from which it goes on.
#[derive(Clone, Debug)]
pub struct Window<B: Backend> {
    /// The batch.
    pub batch: Batch<B>,
    /// What the windows before left, without their graph; `None`: zeros.
    pub state: Option<RecurrentState<B>>,
    /// Encoder–decoder: which tokens the decoder reads; `None`: the true ones.
    pub truths: Option<Truths>,
}

impl<B: Backend> From<Batch<B>> for Window<B> {
    fn from(batch: Batch<B>) -> Self {
        Self { batch, state: None, truths: None }
    }
}

/// What comes of a step.
#[derive(Debug)]
pub struct StepOutput<B: Backend> {
    /// What the step tells.
    pub report: StepReport,
    /// Where the next window goes on, if the state is carried.
    pub state: Option<RecurrentState<B>>,
}

impl<B: Backend> ItemLazy for StepOutput<B> {
    type ItemSync = StepReport;

    fn sync(self) -> StepReport {
        self.report
    }
}

/// What a step tells: plain numbers, so that nothing waits for a device later on.
#[derive(Clone, Debug)]
pub struct StepReport(pub Tally);

impl ItemLazy for StepReport {
    type ItemSync = Self;

    fn sync(self) -> Self {
        self
    }
}

impl<B: TrainBackend> TrainStep for Trainee<B> {
    type Input = Window<B>;
    type Output = StepOutput<B::InnerBackend>;

    fn step(&self, Window { batch, state, truths }: Window<B>) -> TrainOutput<StepOutput<B::InnerBackend>> {
        if let Model::MultiTask(model) = &self.model {
            return self.step_tasks(model, &batch);
        }
        let (output, penalty, state) = if self.carries || self.regularization != Default::default() {
            let (said, features) = self.model.run(&batch, state);
            let state = self.carries.then(|| said.state.inner());
            let penalty = self.regularization.penalty(features, batch.input_lengths.as_deref());
            (said.output, penalty, state)
        } else {
            let output = match (&self.model, truths) {
                (Model::EncoderDecoder(model), Some(truths)) => {
                    let read = truths.read(model, &batch);
                    model.run(batch.input.clone(), batch.input_lengths.as_deref(), read).output
                }
                (model, _) => model.forward(&batch),
            };
            (output, None, None)
        };
        let loss = self.criterion.objective.loss(output, &batch.target, batch.target_lengths.as_deref());
        let steps = batch.valid_steps();
        let value = loss.clone().into_scalar().elem::<f64>();
        let report = StepReport(Tally { loss: value * steps as f64, steps, ..Default::default() });
        let loss = match penalty {
            Some(penalty) => loss + penalty,
            None => loss,
        };
        TrainOutput::new(self, loss.backward(), StepOutput { report, state })
    }
}

impl<B: TrainBackend> Trainee<B> {
    /// Each task's loss trains the parts that the task names, and no other: one pass for all tasks
    /// that train the same ones.
    fn step_tasks(&self, model: &MultiTask<B>, batch: &Batch<B>) -> TrainOutput<StepOutput<B::InnerBackend>> {
        let Target::Tasks(targets) = &batch.target else { unreachable!("the target has been checked") };
        let tasks = &self.criterion.tasks;
        let mut trains: Vec<_> = tasks.iter().map(|task| &task.trains).collect();
        trains.sort();
        trains.dedup();
        let mut grads = GradientsParams::new();
        let mut total = 0.0;
        for parts in trains {
            let (outputs, _) = model.forward(batch.input.clone(), batch.input_lengths.as_deref(), None);
            let loss = outputs
                .into_iter()
                .zip(targets)
                .zip(tasks.iter())
                .filter(|(_, task)| task.trains == *parts)
                .map(|((output, (target, lengths)), task)| {
                    task.criterion.objective.loss(output, target, lengths.as_deref()) * task.weight
                })
                .reduce(|a, b| a + b)
                .expect("a group has a task");
            total += loss.clone().into_scalar().elem::<f64>();
            let ids: Vec<ParamId> = parts.iter().flat_map(|part| model.parameters(part)).collect();
            let new = GradientsParams::from_params(&mut loss.backward(), &self.model, &ids);
            self.model.visit(&mut Sum { total: &mut grads, new });
        }
        let steps = batch.size();
        let report = StepReport(Tally { loss: total * steps as f64, steps, ..Default::default() });
        TrainOutput { grads, item: StepOutput { report, state: None } }
    }
}

/// Adds gradients to others.
struct Sum<'a> {
    total: &'a mut GradientsParams,
    new: GradientsParams,
}

impl<B: TrainBackend> ModuleVisitor<B> for Sum<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(new) = self.new.remove::<B::InnerBackend, D>(param.id) else { return };
        let sum = match self.total.remove::<B::InnerBackend, D>(param.id) {
            Some(total) => total + new,
            None => new,
        };
        self.total.register(param.id, sum);
    }
}

impl<B: RecurrentBackend> InferenceStep for Trainee<B> {
    type Input = Window<B>;
    type Output = StepOutput<B>;

    fn step(&self, Window { batch, state, .. }: Window<B>) -> StepOutput<B> {
        let (tally, state) = if self.carries {
            let (said, _) = self.model.run(&batch, state);
            (Tally::of(&self.criterion, said.output, &batch), Some(said.state))
        } else {
            (judge(&self.model, &self.criterion, &batch), None)
        };
        StepOutput { report: StepReport(tally), state }
    }
}

/// A number of [`StepReport`] as burn's renderer shows it.
#[derive(Clone)]
pub struct StepMetric<I> {
    name: MetricName,
    higher_is_better: bool,
    state: NumericMetricState,
    input: std::marker::PhantomData<I>,
}

impl<I> StepMetric<I> {
    /// A metric of this name.
    pub fn new(name: &str, higher_is_better: bool) -> Self {
        Self {
            name: Arc::new(name.to_string()),
            higher_is_better,
            state: NumericMetricState::default(),
            input: std::marker::PhantomData,
        }
    }
}

/// The mean loss of a step, and over how many it is.
#[derive(Clone)]
pub struct StepLoss(f64, usize);

/// The score of a step, and over how many it is.
#[derive(Clone)]
pub struct StepScore(f64, usize);

impl Adaptor<StepLoss> for StepReport {
    fn adapt(&self) -> StepLoss {
        StepLoss(self.0.mean_loss(), self.0.steps)
    }
}

impl Adaptor<StepScore> for StepReport {
    fn adapt(&self) -> StepScore {
        StepScore(self.0.score().1, self.0.steps)
    }
}

trait Weighed: Clone + Send + Sync {
    fn value_and_weight(&self) -> (f64, usize);
}

impl Weighed for StepLoss {
    fn value_and_weight(&self) -> (f64, usize) {
        (self.0, self.1)
    }
}

impl Weighed for StepScore {
    fn value_and_weight(&self) -> (f64, usize) {
        (self.0, self.1)
    }
}

impl<I: Weighed> Metric for StepMetric<I> {
    type Input = I;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: self.higher_is_better }.into()
    }

    fn update(&mut self, item: &I, _: &MetricMetadata) -> SerializedEntry {
        let (value, weight) = item.value_and_weight();
        self.state.update(value, weight, FormatOptions::new(self.name()).precision(4))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl<I: Weighed> Numeric for StepMetric<I> {
    fn value(&self) -> NumericEntry {
        self.state.current_value()
    }

    fn running_value(&self) -> NumericEntry {
        self.state.running_value()
    }
}
