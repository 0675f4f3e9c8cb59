//! The loop inside burn's learner: its events and checkpoints, our clip, checks, seeds and choice
//! of the best epoch.

use super::average::Average;
use super::checkpoint::{self, Insight, Snapshot, Standing};
use super::clip::clip_by_global_norm;
use super::learner::{StepOutput, Trainee, Window};
use super::optimizer::Optimizer;
use super::progress::{Place, Reporter, keep_interrupts};
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

use burn::train::metric::store::EventStoreClient;
use burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, LearningComponentsMarker,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents,
    TrainingItem, ValidLoader,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Training after which a run is saved before it is scored.
const SCORED_SAFELY: Duration = Duration::from_secs(30);

/// The update rule as burn's learner has it.
pub(super) type Rule<B> =
    OptimizerAdaptor<Optimizer<<B as burn::tensor::backend::AutodiffBackend>::InnerBackend>, Trainee<B>, B>;

/// What burn's learner is made of here.
pub(crate) type Components<B> = LearningComponentsMarker<B, LearningRate, Trainee<B>, Rule<B>>;

/// The loop over epochs.
pub(super) struct Strategy<B: TrainBackend> {
    pub(super) config: TrainConfig,
    /// What tells of it, taken by the loop.
    pub(super) reporter: Mutex<Reporter>,
    pub(super) run: PathBuf,
    /// SHA-256 of its configuration.
    pub(super) config_digest: String,
    /// How the run goes on if it is stopped.
    pub(super) go_on: String,
    pub(super) device: B::Device,
    /// Where it stands; burn's loop gives no place to return it.
    pub(super) course: Mutex<Course<B>>,
    /// Why it ended before its last epoch was done, if it did.
    pub(super) failure: Mutex<Option<Error>>,
    /// Whether it is to stop after the step that it is at.
    pub(super) stop: &'static AtomicBool,
}

/// Where a run stands, beside what burn's learner holds.
pub(super) struct Course<B: TrainBackend> {
    pub(super) standing: Standing,
    /// The average of the weights.
    pub(super) average: Option<Average<Trainee<B::InnerBackend>>>,
    /// The model of the epoch that did best on validation, or of the last one.
    pub(super) best: Option<Model<B::InnerBackend>>,
    /// The state from which the next window goes on.
    pub(super) carried: Option<RecurrentState<B::InnerBackend>>,
}

/// Writes checkpoints when it is time for one.
struct Saver<B: TrainBackend> {
    insight: Insight<B>,
    step: u64,
    at: Instant,
    /// Wall time of the run and of the epoch before this loop began with it, seconds.
    before: [f64; 2],
    started: [Instant; 2],
}

impl<B: TrainBackend> Saver<B> {
    fn new(standing: &Standing) -> Self {
        let now = Instant::now();
        let before = [standing.seconds, standing.epoch_seconds];
        Self { insight: Insight::new(), step: standing.step, at: now, before, started: [now; 2] }
    }

    /// An epoch begins.
    fn epoch(&mut self) {
        (self.before[1], self.started[1]) = (0.0, Instant::now());
    }

    /// Wall time of the run and of the epoch, seconds.
    fn seconds(&self) -> [f64; 2] {
        [0, 1].map(|k| self.before[k] + self.started[k].elapsed().as_secs_f64())
    }

    fn is_due(&self, config: &TrainConfig, step: u64) -> bool {
        let steps = config.checkpoint_steps as u64;
        let minutes = config.checkpoint_minutes;
        (steps > 0 && step - self.step >= steps)
            || (minutes > 0.0 && self.at.elapsed().as_secs_f64() >= 60.0 * minutes)
    }

    fn save(
        &mut self,
        (run, config): (&Path, &str),
        learner: &Learner<Components<B>>,
        store: &EventStoreClient,
        course: &mut Course<B>,
    ) -> Result<PathBuf> {
        let standing = &mut course.standing;
        [standing.seconds, standing.epoch_seconds] = self.seconds();
        standing.average_steps = course.average.as_ref().map_or(0, Average::steps);
        (self.step, self.at) = (standing.step, Instant::now());
        let snapshot = Snapshot {
            standing: standing.clone(),
            model: learner.model(),
            optimizer: self.insight.optimizer(learner, store),
            average: course.average.as_ref().map(|average| average.model().clone()),
            best: course.best.clone(),
            carried: course.carried.clone(),
        };
        snapshot.write(run, config)
    }
}

/// How a pass over the training split ended.
enum Pass {
    Whole,
    Stopped,
}

impl<B: TrainBackend> Strategy<B> {
    /// One pass over the training split, or what is left of it.
    fn train_epoch(
        &self,
        learner: &mut Learner<Components<B>>,
        loader: &TrainLoader<Components<B>>,
        (events, store): (&mut SupervisedTrainingEventProcessor<Components<B>>, &EventStoreClient),
        (done, interrupter): (&Done, &Interrupter),
        course: &mut Course<B>,
        saver: &mut Saver<B>,
    ) -> Result<Pass> {
        let mut reporter = self.reporter.lock().expect("only one loop at a time holds it");
        let mut batches = loader.iter();
        // Drawn again, so that what comes after is what it was to be.
        for _ in 0..course.standing.iteration {
            batches.next();
        }
        while let Some(Window { batch, .. }) = batches.next() {
            let progress = batches.progress();
            let epoch = course.standing.epoch;
            let step = course.standing.step;
            learner.lr_step();
            // Dropout draws from the backend's own generator: the step seeds it.
            B::seed(&self.device, step_seed(self.config.seed, step));
            let state = going_on(&mut course.carried, &batch).map(RecurrentState::from_inner);
            let batch_steps = batch.steps();
            let truths =
                self.config.scheduled_sampling.map(|config| Truths::new(&config, self.config.seed, step));
            let mut output = learner.train_step(Window { batch, state, truths });
            let norm = clip_by_global_norm::<B, _>(&learner.model(), &mut output.grads, self.config.clip);
            let StepOutput { report, state } = output.item;
            course.carried = state;
            for (what, value) in [("loss", report.0.mean_loss()), ("norm of the gradients", norm)] {
                if !value.is_finite() {
                    return Err(self.not_finite(what, value, step, epoch, learner.lr_current()));
                }
            }
            learner.optimizer_step(output.grads);
            let standing = &mut course.standing;
            standing.tally.add(&report.0);
            standing.n_steps += batch_steps;
            standing.iteration += 1;
            standing.step += 1;
            standing.lr = learner.lr_current();
            if reporter.progress().is_text_ui() {
                keep_interrupts();
            }
            reporter.step(&report.0, batch_steps, Place { epoch, step: standing.iteration });
            course.average = course.average.take().map(|average| average.step(&learner.model().valid()));
            let item = TrainingItem::new(
                StepOutput { report, state: None },
                progress,
                done.clone(),
                Some(course.standing.iteration),
                Some(course.standing.lr),
            );
            events.process_train(LearnerEvent::ProcessedItem(item));
            let stopped = self.stop.load(Ordering::Relaxed) || interrupter.should_stop();
            if stopped || saver.is_due(&self.config, course.standing.step) {
                match saver.save((&self.run, &self.config_digest), learner, store, course) {
                    Ok(_) => {}
                    // Training goes on from the weights that it has; what was saved before stays.
                    Err(error) if !stopped => reporter.progress().note(&format!("no checkpoint: {error}")),
                    Err(error) => return Err(error),
                }
            }
            if stopped {
                return Ok(Pass::Stopped);
            }
        }
        events.process_train(LearnerEvent::EndEpoch(course.standing.epoch));
        Ok(Pass::Whole)
    }

    /// One pass over the validation split.
    fn valid_epoch(
        &self,
        model: &Trainee<B::InnerBackend>,
        loader: &ValidLoader<Components<B>>,
        events: &mut SupervisedTrainingEventProcessor<Components<B>>,
        done: &Done,
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
                done.clone(),
                Some(iteration),
                None,
            );
            events.process_valid(LearnerEvent::ProcessedItem(item));
        }
        events.process_valid(LearnerEvent::EndEpoch(done.items_processed));
        tally
    }

    fn not_finite(&self, what: &str, value: f64, step: u64, epoch: usize, lr: f64) -> Error {
        let last = match checkpoint::list(&self.run).unwrap_or_default().pop() {
            None => "there is no checkpoint before it".to_string(),
            Some((_, path)) => format!("the last checkpoint is {}", path.display()),
        };
        let clip = if self.config.clip > 0.0 { " or train.clip" } else { ", or with train.clip" };
        Error::Training(format!(
            "the {what} is {value} at step {} of epoch {epoch} with learning rate {lr:.3e}; {last}: train again into \
             another folder, with a lower train.lr{clip}",
            step + 1
        ))
    }

    /// The loop, to its end or to an error.
    fn epochs(
        &self,
        learner: &mut Learner<Components<B>>,
        (train, valid): (&TrainLoader<Components<B>>, &ValidLoader<Components<B>>),
        (events, store): (&mut SupervisedTrainingEventProcessor<Components<B>>, &EventStoreClient),
        interrupter: &Interrupter,
        course: &mut Course<B>,
    ) -> Result<()> {
        let n_epochs = self.config.epochs;
        let mut saver = Saver::new(&course.standing);
        while course.standing.epoch <= n_epochs {
            let epochs = course.standing.since_best;
            if self.config.patience > 0 && epochs >= self.config.patience {
                let reporter = self.reporter.lock().expect("only one loop at a time holds it");
                reporter.progress().note(&format!("no better epoch in {epochs}: stopping early"));
                break;
            }
            let epoch = course.standing.epoch;
            let done = Done::new(epoch, n_epochs);
            let pass =
                self.train_epoch(learner, train, (events, store), (&done, interrupter), course, &mut saver)?;
            if let Pass::Stopped = pass {
                return Err(Error::Training(format!(
                    "stopped after step {} of epoch {epoch}; to go on: {}",
                    course.standing.iteration, self.go_on
                )));
            }
            let train_seconds = saver.seconds()[1];
            let model = match &course.average {
                Some(average) => average.model().clone(),
                None => learner.model().valid(),
            };
            let tally = self.valid_epoch(&model, valid, events, &done);
            let standing = &mut course.standing;
            if !tally.mean_loss().is_finite() {
                let (what, value) = ("validation loss", tally.mean_loss());
                return Err(self.not_finite(what, value, standing.step - 1, epoch, standing.lr));
            }
            let (metric, score, higher_is_better) = tally.score();
            let record = Epoch {
                epoch,
                train_loss: standing.tally.mean_loss(),
                valid_loss: tally.mean_loss(),
                metric: metric.into(),
                score,
                higher_is_better,
                lr: standing.lr,
                steps: standing.n_steps,
                train_seconds,
                seconds: saver.seconds()[1],
                tally,
            };
            let best = self.config.keep == Keep::Last
                || standing.best.as_ref().is_none_or(|best| record.better_than(best));
            let mut reporter = self.reporter.lock().expect("only one loop at a time holds it");
            reporter.epoch(&record, best);
            standing.epochs.push(record.clone());
            // What there is of a run that is interrupted later.
            let metrics = metrics_csv(&standing.epochs, reporter.unit());
            write_whole(&self.run.join("metrics.csv"), metrics.as_bytes())?;
            if best {
                (standing.best, course.best) = (Some(record), Some(model.model));
                standing.since_best = 0;
            } else {
                standing.since_best += 1;
            }
            standing.epoch += 1;
            (standing.iteration, standing.n_steps, standing.tally) = (0, 0, Tally::default());
            course.carried = None;
            saver.epoch();
        }
        course.standing.seconds = saver.seconds()[0];
        // Scoring may take long, and would be all that is lost. After the last step's own checkpoint it is not needed, and
        // would have to remove that one first.
        if saver.at.elapsed() > SCORED_SAFELY && saver.step < course.standing.step {
            let saved = saver.save((&self.run, &self.config_digest), learner, store, course);
            if let Err(error) = saved {
                let reporter = self.reporter.lock().expect("only one loop at a time holds it");
                reporter.progress().note(&format!("no checkpoint: {error}"));
            }
        }
        Ok(())
    }
}

impl<B: TrainBackend> SupervisedLearningStrategy<Components<B>> for Strategy<B> {
    fn fit(
        &self,
        components: TrainingComponents<Components<B>>,
        mut learner: Learner<Components<B>>,
        train: TrainLoader<Components<B>>,
        valid: ValidLoader<Components<B>>,
        _: usize,
    ) -> (Trainee<B>, SupervisedTrainingEventProcessor<Components<B>>) {
        let mut events = components.event_processor;
        let mut course = self.course.lock().expect("only this loop holds it");
        let run = self.epochs(
            &mut learner,
            (&train, &valid),
            (&mut events, &components.event_store),
            &components.interrupter,
            &mut course,
        );
        *self.failure.lock().expect("only this loop holds it") = run.err();
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
