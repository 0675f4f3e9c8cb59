//! The loop inside burn's learner: its events and checkpoints, our clip, checks, seeds and choice
//! of the best epoch.

use super::average::Average;
use super::clip::clip_by_global_norm;
use super::learner::{StepOutput, Trainee, Window};
use super::optimizer::Optimizer;
use super::progress::{Place, Reporter};
use super::sampling::Truths;
use super::schedule::LearningRate;
use super::score::Tally;
use super::{Epoch, metrics_csv};
use crate::backend::TrainBackend;
use crate::config::{Keep, TrainConfig};
use crate::data::{Batch, stream};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::kernel::RecurrentBackend;
use crate::model::Model;
use crate::recurrent::RecurrentState;
use burn::data::dataloader::Progress as Done;
use burn::module::AutodiffModule;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::tensor::backend::Backend;

use burn::train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, LearningComponentsMarker,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents,
    TrainingItem, ValidLoader,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

/// What burn's learner is made of here.
pub(super) type Components<B> = LearningComponentsMarker<
    B,
    LearningRate,
    Trainee<B>,
    OptimizerAdaptor<Optimizer<<B as burn::tensor::backend::AutodiffBackend>::InnerBackend>, Trainee<B>, B>,
>;

/// The loop over epochs.
pub(super) struct Strategy<B: TrainBackend> {
    pub(super) config: TrainConfig,
    /// What tells of it, taken by the loop.
    pub(super) reporter: Mutex<Reporter>,
    pub(super) run: PathBuf,
    pub(super) device: B::Device,
    /// What came of it; burn's loop gives no place to return it.
    pub(super) outcome: Mutex<Outcome<B>>,
}

/// What came of a run.
pub(super) struct Outcome<B: TrainBackend> {
    /// The model of the epoch that did best on validation, or of the last one.
    pub(super) best: Option<(Epoch, Model<B::InnerBackend>)>,
    pub(super) epochs: Vec<Epoch>,
    pub(super) failure: Option<Error>,
}

impl<B: TrainBackend> Strategy<B> {
    /// One pass over the training split; its mean loss, and the valid steps that it went through.
    fn train_epoch(
        &self,
        learner: &mut Learner<Components<B>>,
        loader: &TrainLoader<Components<B>>,
        events: &mut SupervisedTrainingEventProcessor<Components<B>>,
        components: &LoopState,
        step: &mut u64,
        average: &mut Option<Average<Trainee<B::InnerBackend>>>,
    ) -> Result<(f64, usize)> {
        let mut tally = Tally::default();
        let mut n_steps = 0;
        let mut reporter = self.reporter.lock().expect("only one loop at a time holds it");
        let mut batches = loader.iter();
        let mut iteration = 0;
        let mut carried = None;
        while let Some(Window { batch, .. }) = batches.next() {
            let done = batches.progress();
            iteration += 1;
            learner.lr_step();
            // Dropout draws from the backend's own generator: the step seeds it.
            B::seed(&self.device, step_seed(self.config.seed, *step));
            let state = going_on(&mut carried, &batch).map(RecurrentState::from_inner);
            let batch_steps = batch.steps();
            let truths =
                self.config.scheduled_sampling.map(|config| Truths::new(&config, self.config.seed, *step));
            let mut output = learner.train_step(Window { batch, state, truths });
            let norm = clip_by_global_norm::<B, _>(&learner.model(), &mut output.grads, self.config.clip);
            let StepOutput { report, state } = output.item;
            carried = state;
            for (what, value) in [("loss", report.0.mean_loss()), ("norm of the gradients", norm)] {
                if !value.is_finite() {
                    return Err(self.not_finite(what, value, *step, components.epoch, learner.lr_current()));
                }
            }
            learner.optimizer_step(output.grads);
            tally.add(&report.0);
            n_steps += batch_steps;
            reporter.step(&report.0, batch_steps, Place { epoch: components.epoch, step: iteration });
            *average = average.take().map(|average| average.step(&learner.model().valid()));
            *step += 1;
            let lr = Some(learner.lr_current());
            let item = TrainingItem::new(
                StepOutput { report, state: None },
                done,
                components.done.clone(),
                Some(iteration),
                lr,
            );
            events.process_train(LearnerEvent::ProcessedItem(item));
        }
        events.process_train(LearnerEvent::EndEpoch(components.epoch));
        Ok((tally.mean_loss(), n_steps))
    }

    /// One pass over the validation split.
    fn valid_epoch(
        &self,
        model: &Trainee<B::InnerBackend>,
        loader: &ValidLoader<Components<B>>,
        events: &mut SupervisedTrainingEventProcessor<Components<B>>,
        components: &LoopState,
    ) -> Tally {
        let mut tally = Tally::default();
        let mut batches = loader.iter();
        let mut iteration = 0;
        let mut carried = None;
        while let Some(Window { batch, .. }) = batches.next() {
            iteration += 1;
            let state = going_on(&mut carried, &batch);
            let StepOutput { report, state } = model.step(Window { batch, state, truths: None });
            carried = state;
            tally.add(&report.0);
            let item = TrainingItem::new(
                StepOutput { report, state: None },
                batches.progress(),
                components.done.clone(),
                Some(iteration),
                None,
            );
            events.process_valid(LearnerEvent::ProcessedItem(item));
        }
        events.process_valid(LearnerEvent::EndEpoch(components.epoch));
        tally
    }

    fn not_finite(&self, what: &str, value: f64, step: u64, epoch: usize, lr: f64) -> Error {
        let last = match epoch - 1 {
            0 => "no epoch was finished before".to_string(),
            last => format!(
                "the last good checkpoint is {}",
                self.run.join(format!("checkpoint/model-{last}.mpk")).display()
            ),
        };
        let clip = if self.config.clip > 0.0 { " or train.clip" } else { ", or set train.clip" };
        Error::Training(format!(
            "the {what} is {value} at step {} of epoch {epoch} with learning rate {lr:.3e}; {last}: lower train.lr{clip}",
            step + 1
        ))
    }
}

/// Where the loop stands.
struct LoopState {
    epoch: usize,
    done: Done,
}

impl<B: TrainBackend> SupervisedLearningStrategy<Components<B>> for Strategy<B> {
    fn fit(
        &self,
        components: TrainingComponents<Components<B>>,
        mut learner: Learner<Components<B>>,
        train: TrainLoader<Components<B>>,
        valid: ValidLoader<Components<B>>,
        starting_epoch: usize,
    ) -> (Trainee<B>, SupervisedTrainingEventProcessor<Components<B>>) {
        let mut events = components.event_processor;
        let mut checkpointer = components.checkpointer;
        let mut outcome = self.outcome.lock().expect("only this loop holds it");
        let mut step = 0;
        let mut since_best = 0;
        let decay = self.config.average;
        let mut average = (decay > 0.0).then(|| Average::new(learner.model().valid(), decay));
        for epoch in starting_epoch..=components.num_epochs {
            let started = Instant::now();
            let state = LoopState { epoch, done: Done::new(epoch, components.num_epochs) };
            let trained =
                self.train_epoch(&mut learner, &train, &mut events, &state, &mut step, &mut average);
            let train_seconds = started.elapsed().as_secs_f64();
            let (train_loss, n_steps) = match trained {
                Ok(trained) => trained,
                Err(error) => {
                    outcome.failure = Some(error);
                    break;
                }
            };
            let model = match &average {
                Some(average) => average.model().clone(),
                None => learner.model().valid(),
            };
            let tally = self.valid_epoch(&model, &valid, &mut events, &state);
            if !tally.mean_loss().is_finite() {
                let lr = learner.lr_current();
                outcome.failure =
                    Some(self.not_finite("validation loss", tally.mean_loss(), step - 1, epoch, lr));
                break;
            }
            if let Some(checkpointer) = &mut checkpointer {
                checkpointer.checkpoint(&learner, epoch, &components.event_store);
            }
            let (metric, score, higher_is_better) = tally.score();
            let record = Epoch {
                epoch,
                train_loss,
                valid_loss: tally.mean_loss(),
                metric,
                score,
                higher_is_better,
                lr: learner.lr_current(),
                steps: n_steps,
                train_seconds,
                seconds: started.elapsed().as_secs_f64(),
                tally,
            };
            let best = self.config.keep == Keep::Last
                || outcome.best.as_ref().is_none_or(|(best, _)| record.better_than(best));
            let mut reporter = self.reporter.lock().expect("only one loop at a time holds it");
            reporter.epoch(&record, best);
            outcome.epochs.push(record.clone());
            // What there is of a run that is interrupted later.
            let metrics = metrics_csv(&outcome.epochs, reporter.unit());
            if let Err(error) = write_whole(&self.run.join("metrics.csv"), metrics.as_bytes()) {
                outcome.failure = Some(error);
                break;
            }
            if best {
                outcome.best = Some((record, model.model));
                since_best = 0;
            } else {
                since_best += 1;
            }
            if self.config.patience > 0 && since_best >= self.config.patience {
                reporter.progress().note(&format!("no better epoch in {since_best}: stopping early"));
                break;
            }
            if components.interrupter.should_stop() {
                reporter.progress().note("stopped by the user");
                break;
            }
        }
        (learner.model(), events)
    }
}

/// The state from which `batch` goes on: that of the rows that it has.
pub(super) fn going_on<B: RecurrentBackend>(
    carried: &mut Option<RecurrentState<B>>,
    batch: &Batch<impl Backend>,
) -> Option<RecurrentState<B>> {
    carried.take().map(|state| state.first(batch.size()))
}

/// The seed of one step's dropout.
fn step_seed(seed: u64, step: u64) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream::STEPS + step);
    rng.random()
}
