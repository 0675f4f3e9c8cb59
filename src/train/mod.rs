//! Training through burn's learner: wired once, for every model.

mod average;
mod baseline;
mod bleu;
mod card;
mod checkpoint;
mod clip;
mod criterion;
mod drawing;
mod figures;
mod learner;
mod optimizer;
mod progress;
mod rouge;
mod sampling;
mod schedule;
mod score;
mod spans;
mod spread;
mod strategy;
mod text;

pub use average::Average;
pub use baseline::{Baseline, baseline};
pub use bleu::bleu;
pub use clip::clip_by_global_norm;
pub use criterion::Criterion;
pub use figures::Confusion;
pub use learner::{StepLoss, StepMetric, StepOutput, StepReport, StepScore, Trainee, Window};
pub use optimizer::{AdamRule, Optimizer, OptimizerState};
pub(crate) use progress::tell;
pub use progress::{Progress, Unit};
pub use rouge::{Rouge, rouge};
pub use sampling::Truths;
pub use schedule::LearningRate;
pub use score::{Score, Tally, score};
pub use spread::{MeanScore, mean_scores};
pub(crate) use strategy::Components;
pub(crate) use text::text_scores;
pub use text::usual_search;

use crate::artifact::{self, Manifest, ModelFolder};
use crate::backend::{DeviceInfo, Task, TrainBackend};
use crate::config::{Config, DataFormat, Loss, OutputActivation};
use crate::data::{self, Dataset, Draw, InputSchema, Loader, Noise, Samples, TargetSchema};
use crate::error::{Error, Result};
use crate::file::{lock, write_whole};
use crate::model::{self, Model};
use burn::lr_scheduler::LrScheduler;
use burn::module::{AutodiffModule, Module};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};
use checkpoint::{Snapshot, Standing};
use progress::{Place, Reporter};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use strategy::{Course, Strategy};

/// One epoch of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Mean loss a valid step while training, dropout and noise on.
    pub train_loss: f64,
    /// Mean loss a valid step of the validation split.
    pub valid_loss: f64,
    /// What `score` is.
    pub metric: String,
    /// The validation score.
    pub score: f64,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// Learning rate of its last step.
    pub lr: f64,
    /// Valid steps that training went through: tokens, or time steps of features.
    pub steps: usize,
    /// Wall time of training, seconds.
    pub train_seconds: f64,
    /// Wall time of training and validation, seconds.
    pub seconds: f64,
    /// What the validation numbers are of.
    pub tally: Tally,
}

impl Epoch {
    /// Whether this epoch is to be kept rather than `other`: by score, then by loss.
    fn better_than(&self, other: &Self) -> bool {
        let score = if self.higher_is_better { self.score - other.score } else { other.score - self.score };
        score > 0.0 || (score == 0.0 && self.valid_loss < other.valid_loss)
    }
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its folder: `config.toml`, `metrics.csv`, `loss.svg`, `card.md`, `checkpoint/` and `model/`; of a classifier
    /// `confusion.svg` and `confusion.csv` too.
    pub folder: PathBuf,
    /// The exported model: that of the best epoch.
    pub model: PathBuf,
    /// Every epoch.
    pub epochs: Vec<Epoch>,
    /// The best epoch's scores on the validation split, and on the test split where there is one.
    pub scores: Vec<Score>,
    /// Trained parameters.
    pub n_params: usize,
    /// Wall time, seconds.
    pub seconds: f64,
}

impl Run {
    /// A score of the best epoch.
    pub fn score(&self, split: &str, metric: &str) -> Option<f64> {
        self.scores.iter().find(|s| s.split == split && s.metric == metric).map(|s| s.value)
    }
}

/// Whether the runs of this process are to stop.
static STOP: AtomicBool = AtomicBool::new(false);

/// Lets every run of this process finish its step, write a checkpoint and end with an error that says how to go on;
/// `false` takes that back.
pub fn stop(stop: bool) {
    STOP.store(stop, Ordering::Relaxed);
}

/// Whether the runs of this process were told to stop.
pub fn is_stopping() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Goes on with a run that was stopped or killed, from its newest checkpoint that is whole; on the CPU it ends with the
/// same weights, bit for bit, as one that never stopped. A run without a checkpoint begins anew.
///
/// # Errors
/// A run that is finished, or is none; data or a configuration that are not those that it began with; see [`train`].
pub fn resume(folder: &Path, device: &DeviceInfo, progress: Progress) -> Result<Run> {
    let config = unfinished(folder)?;
    let dataset = data::load(&config.data, config.model.mode, config.train.seed)?;
    start(&config, dataset, device, folder, progress, true)
}

/// [`resume`] on data that the program has: what [`train_on`] began.
///
/// # Errors
/// See [`resume`].
pub fn resume_on(folder: &Path, dataset: Dataset, device: &DeviceInfo, progress: Progress) -> Result<Run> {
    start(&unfinished(folder)?, dataset, device, folder, progress, true)
}

/// The configuration of a run that can go on.
fn unfinished(folder: &Path) -> Result<Config> {
    let path = folder.join("config.toml");
    if folder.join("manifest.json").exists() {
        return Err(Error::file(folder, "is a model folder, which is finished: name a run folder"));
    }
    if !path.exists() {
        return Err(Error::file(
            folder,
            "is no run that could go on: it has no config.toml; name a run folder",
        ));
    }
    if folder.join("model").exists() {
        let message =
            "is finished: its model is there; to train more, raise train.epochs and name another folder";
        return Err(Error::file(folder, message));
    }
    Config::from_file(&path, &[])
}

/// Trains what `config` describes on the data that it names, and exports the best epoch's model.
///
/// `folder` must not exist, or be empty: nothing is ever overwritten.
///
/// # Errors
/// Whatever is wrong with the configuration, the data or the folder; a loss or gradient that is
/// not finite. What was written stays, for a look.
pub fn train(config: &Config, device: &DeviceInfo, folder: &Path, progress: Progress) -> Result<Run> {
    config.check()?;
    let mut config = config.clone();
    data::resolve(&mut config.data)?;
    let dataset = data::load(&config.data, config.model.mode, config.train.seed)?;
    train_on(&config, dataset, device, folder, progress)
}

/// [`train`] on data that the program has.
///
/// # Errors
/// See [`train`].
pub fn train_on(
    config: &Config,
    dataset: Dataset,
    device: &DeviceInfo,
    folder: &Path,
    progress: Progress,
) -> Result<Run> {
    start(config, dataset, device, folder, progress, false)
}

fn start(
    config: &Config,
    dataset: Dataset,
    device: &DeviceInfo,
    folder: &Path,
    progress: Progress,
    resume: bool,
) -> Result<Run> {
    config.check()?;
    let mut config = config.clone();
    let mut dataset = dataset;
    if config.model.characters.is_none() {
        dataset.drop_spellings();
    }
    if !config.train.test {
        dataset.test = Samples::default();
    }
    let digest = dataset.digest();
    // Before anything else is found wrong with other data.
    if resume && checkpoint::data(folder).is_some_and(|known| known != digest) {
        let message = "its data has changed since: put back the files that it began with";
        return Err(Error::file(folder, message));
    }
    if config.train.word_dropout > 0.0 && !matches!(dataset.schema.input, InputSchema::Words { .. }) {
        return Err(Error::config(
            "train.word_dropout",
            "the data is not words, it has no unknown one: write 0",
        ));
    }
    model::resolve(&mut config.model, &dataset.schema)?;
    let criterion = Criterion::new(&config, &dataset.schema)?;
    if criterion.objective.loss != Loss::Mse && config.model.output_activation != OutputActivation::Identity {
        return Err(Error::config(
            "model.output_activation",
            "the loss of classes takes the softmax itself: write identity, or leave it out",
        ));
    }
    for (split, samples) in [("training", &dataset.train), ("validation", &dataset.valid)] {
        if samples.is_empty() {
            return Err(Error::Input(format!("the {split} split is empty: give it samples")));
        }
    }
    dataset.check(config.model.mode)?;
    device.run(Job { config, dataset, digest, criterion, folder: folder.into(), progress, device, resume })
}

struct Job<'a> {
    config: Config,
    dataset: Dataset,
    digest: String,
    criterion: Criterion,
    folder: PathBuf,
    progress: Progress,
    device: &'a DeviceInfo,
    /// Whether the run is there already and goes on.
    resume: bool,
}

impl Task for Job<'_> {
    type Output = Result<Run>;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<Run> {
        let Self { config, dataset, digest, criterion, folder, progress, resume, .. } = self;
        let settings = &config.train;
        let model = Model::<B>::new(&config.model, settings.seed, &device)?;
        let n_params = model.num_params();
        if !resume {
            prepare_folder(&folder)?;
            write_whole(&folder.join("config.toml"), config.to_toml().as_bytes())?;
        }
        let config_digest = checkpoint::config_digest(&folder)?;
        let _lock = lock(&folder, "is being trained by another process: wait for it, or stop it")?;
        if resume {
            // It may have ended while the data was read.
            unfinished(&folder)?;
        }
        let n_samples = [&dataset.train, &dataset.valid, &dataset.test].map(Samples::len);
        progress.start(&config.name, n_samples, n_params, &folder, self.device);

        let fresh = Trainee::new(model, criterion.clone(), settings);
        let mut snapshot = None;
        if resume {
            checkpoint::tidy(&folder);
            let frame = checkpoint::Frame { config: &config, n_samples: dataset.train.len() };
            let (found, faults) = checkpoint::latest::<B>(&folder, &config_digest, &frame, &fresh, &device)?;
            faults.iter().for_each(|fault| progress.note(&format!("{fault}: going back to the one before")));
            snapshot = found;
            progress.note(&match &snapshot {
                Some(Snapshot { standing, .. }) => {
                    format!("going on after step {} of epoch {}", standing.iteration, standing.epoch)
                }
                None => "there is no checkpoint: beginning anew".into(),
            });
        }
        let noise = Noise { deviation: settings.input_noise, word_dropout: settings.word_dropout };
        let draw = Draw { seed: settings.seed, noise, bucket: settings.bucket };
        let carry = settings.carry_state;
        let train_samples = Arc::new(dataset.train);
        let mut train =
            Loader::<B>::new(train_samples.clone(), settings.batch_size, Some(draw), device.clone());
        let valid_samples = Arc::new(dataset.valid);
        let valid_size = if carry { score::LANES } else { settings.batch_size };
        let mut valid =
            Loader::<B::InnerBackend>::new(valid_samples.clone(), valid_size, None, device.clone());
        if carry {
            (train, valid) = (train.in_lanes(), valid.in_lanes());
        }
        if let Some(Snapshot { standing, .. }) = &snapshot {
            train = train.from_epoch(standing.epoch as u64 - 1);
        }
        let [padding, plain] = train.padding_shares().map(|share| 100.0 * share);
        if plain > 0.0 && !carry {
            progress.note(&format!(
                "padding: {padding:.1} % of all steps in batches as they are drawn, {plain:.1} % in plain random ones"
            ));
        }
        let schedule = LearningRate::new(settings, train.n_batches());
        let unit = Unit::of(&dataset.schema.input);
        let mut schedule = schedule;
        let mut optimizer = OptimizerAdaptor::from(Optimizer::new(settings));
        let (trainee, course) = match snapshot {
            None => {
                let average = settings.average;
                let course = Course {
                    standing: Standing { epoch: 1, data: digest, ..Standing::default() },
                    average: (average > 0.0).then(|| Average::new(fresh.valid(), average)),
                    best: None,
                    carried: None,
                };
                (fresh, course)
            }
            Some(Snapshot { standing, model, optimizer: record, average, best, carried }) => {
                optimizer = burn::optim::Optimizer::load_record(optimizer, record);
                schedule = LrScheduler::load_record::<B>(schedule, standing.step as usize);
                let steps = standing.average_steps;
                let average = average.map(|model| Average::restored(model, settings.average, steps));
                (model, Course { standing, average, best, carried })
            }
        };
        let place = Place { epoch: course.standing.epoch, step: course.standing.iteration };
        let go_on = match config.data.format {
            DataFormat::Program => format!("train::resume_on of {}", folder.display()),
            _ => format!("rnn-zoo train --resume {}", folder.display()),
        };
        let strategy = Arc::new(Strategy::<B> {
            go_on,
            config: settings.clone(),
            reporter: Mutex::new(Reporter::new(progress, unit, [settings.epochs, train.n_batches()], place)),
            run: folder.clone(),
            config_digest,
            device: device.clone(),
            course: Mutex::new(course),
            failure: Mutex::new(None),
            stop: &STOP,
        });
        let metric = match dataset.schema.target {
            _ if criterion.by_loss => StepMetric::<StepScore>::new("Nats", false),
            TargetSchema::Features { .. } => StepMetric::<StepScore>::new("MSE", false),
            _ => StepMetric::<StepScore>::new("Accuracy", true),
        };
        let mut training =
            SupervisedTraining::<Components<B>>::new(&folder, Arc::new(train), Arc::new(valid))
                .metrics((StepMetric::<StepLoss>::new("Loss", false),))
                .metric_valid_numeric(metric)
                .with_metric_logger(InMemoryMetricLogger::default())
                .with_application_logger(None)
                .with_training_strategy(TrainingStrategy::Custom(strategy.clone()))
                .num_epochs(settings.epochs);
        if !progress.is_text_ui() {
            training = training.renderer(progress::Silent);
        }
        training.launch(Learner::new(trainee, optimizer, schedule));

        let mut course = strategy.course.lock().expect("the loop is over");
        let seconds = course.standing.seconds;
        let epochs = std::mem::take(&mut course.standing.epochs);
        let best_epoch = course.standing.best.as_ref().map(|best| best.epoch);
        let drawn = write_whole(&folder.join("metrics.csv"), metrics_csv(&epochs, unit).as_bytes())
            .and_then(|()| figures::draw_losses(&folder, &config.name, &epochs, best_epoch));
        // That it failed matters more than that this cannot be drawn.
        if let Some(failure) = strategy.failure.lock().expect("the loop is over").take() {
            return Err(failure);
        }
        drawn?;
        let best = course.standing.best.take().expect("a run without failure finished an epoch");
        let mut model = course.best.take().expect("there is a model of the best epoch");
        let mut valid_tally = best.tally;
        if settings.half {
            model = artifact::rounded(model);
            valid_tally = score(&model, &valid_samples, settings, &criterion, &device);
        }
        let mut scores = valid_tally.scores(&config, "valid");
        let described = (&config, &dataset.schema);
        scores.extend(text_scores(&model, &valid_samples, described, "valid", &device)?);
        if !dataset.test.is_empty() {
            let tally = score(&model, &dataset.test, settings, &criterion, &device);
            scores.extend(tally.scores(&config, "test"));
            scores.extend(text_scores(&model, &dataset.test, described, "test", &device)?);
        }
        let mut manifest = Manifest::new(&config, n_params, best.epoch, self.device.to_string());
        manifest.seconds = seconds.round();
        let looked_at: &Samples = if dataset.test.is_empty() { &valid_samples } else { &dataset.test };
        let split = if dataset.test.is_empty() { "valid" } else { "test" };
        let baseline = card::baseline_if_cheap(&config, &dataset.schema, &train_samples, looked_at, split);
        let exported = folder.join("model");
        let model_folder = ModelFolder { manifest, config, schema: dataset.schema, scores: scores.clone() };
        figures::draw_confusion(&folder, &model, &model_folder, [&valid_samples, &dataset.test], &device)?;
        let card = card::Card { model: &model_folder, epochs: &epochs, n_samples, seconds, baseline, unit };
        write_whole(&folder.join("card.md"), card.markdown().as_bytes())?;
        // Last: a run that has its model is finished.
        artifact::save(&exported, &model_folder, model)?;
        Ok(Run { folder, model: exported, epochs, scores, n_params, seconds })
    }
}

/// The folder of a new run: `runs/NAME`, or with the first number after it that is free.
///
/// # Errors
/// If there are thousands already.
pub fn free_folder(name: &str) -> Result<PathBuf> {
    let runs = Path::new("runs");
    std::iter::once(runs.join(name))
        .chain((2..10_000).map(|k| runs.join(format!("{name}-{k}"))))
        .find(|path| !path.exists())
        .ok_or_else(|| Error::file(runs, format!("has too many runs of {name}: name another folder")))
}

fn prepare_folder(folder: &Path) -> Result<()> {
    let taken = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(Error::io(folder, e)),
    };
    if taken {
        return Err(Error::file(folder, "is not empty, and a run overwrites nothing: name another folder"));
    }
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))
}

/// A row an epoch; what differs between runs of the same seed, the times, is last.
fn metrics_csv(epochs: &[Epoch], unit: Unit) -> String {
    let metric = epochs.first().map_or("score", |epoch| epoch.metric.as_str());
    let mut csv =
        format!("epoch,train_loss,valid_loss,valid_{metric},lr,{},train_seconds,seconds\n", unit.key());
    for e in epochs {
        csv += &format!(
            "{},{},{},{},{},{},{:.3},{:.3}\n",
            e.epoch, e.train_loss, e.valid_loss, e.score, e.lr, e.steps, e.train_seconds, e.seconds
        );
    }
    csv
}
