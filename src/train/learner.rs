//! A model as burn's learner sees it: one that takes steps, and metrics of them.

use super::score::Tally;
use crate::backend::TrainBackend;
use crate::data::Batch;
use crate::kernel::RecurrentBackend;
use crate::model::{Model, Objective};
use burn::module::Module;
use burn::tensor::ElementConversion;
use burn::tensor::backend::Backend;
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
    objective: Objective,
}

impl<B: Backend> Trainee<B> {
    /// `model`, to be trained by `objective`.
    pub fn new(model: Model<B>, objective: Objective) -> Self {
        Self { model, objective }
    }
}

/// What a step tells: plain numbers, so that nothing waits for a device later on.
#[derive(Clone, Copy, Debug)]
pub struct StepReport(pub Tally);

impl ItemLazy for StepReport {
    type ItemSync = Self;

    fn sync(self) -> Self {
        self
    }
}

impl<B: TrainBackend> TrainStep for Trainee<B> {
    type Input = Batch<B>;
    type Output = StepReport;

    fn step(&self, batch: Batch<B>) -> TrainOutput<StepReport> {
        let loss =
            self.objective.loss(self.model.forward(&batch), &batch.target, batch.target_lengths.as_deref());
        let steps = batch.valid_steps();
        let value = loss.clone().into_scalar().elem::<f64>();
        let report = StepReport(Tally { loss: value * steps as f64, steps, ..Default::default() });
        TrainOutput::new(self, loss.backward(), report)
    }
}

impl<B: RecurrentBackend> InferenceStep for Trainee<B> {
    type Input = Batch<B>;
    type Output = StepReport;

    fn step(&self, batch: Batch<B>) -> StepReport {
        StepReport(Tally::of(&self.objective, self.model.forward(&batch), &batch))
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
