//! What a person sees of a run: burn's text UI on a terminal, lines on stderr elsewhere.

use super::{Epoch, Tally};
use crate::backend::DeviceInfo;
use crate::data::InputSchema;
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, EvaluationProgress, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, ProgressType, TrainingProgress,
};
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How a run shows itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// burn's text UI where stdout is a terminal, else [`Lines`](Self::Lines).
    #[default]
    Auto,
    /// Lines on stderr: one an epoch, and one every ten seconds.
    Lines,
    /// Lines on stderr: one an epoch, and one whenever so much time has passed.
    Every {
        /// The time between two lines inside an epoch.
        interval: Duration,
        /// Whether each line is a JSON object; its `event` is `start`, `step`, `epoch` or `note`.
        json: bool,
    },
    /// Nothing.
    Quiet,
}

impl Progress {
    /// Time between two lines inside an epoch, where nothing else is said.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// Whether burn's text UI is shown.
    pub(super) fn is_text_ui(self) -> bool {
        self == Self::Auto && std::io::stdout().is_terminal()
    }

    /// The time between two lines inside an epoch.
    fn interval(self) -> Option<Duration> {
        match self {
            Self::Every { interval, .. } => Some(interval),
            Self::Quiet => None,
            Self::Auto | Self::Lines => (!self.is_text_ui()).then_some(Self::INTERVAL),
        }
    }

    /// One line, as text or as an object.
    fn line(self, text: impl FnOnce() -> String, object: impl FnOnce() -> Value) {
        match self {
            Self::Every { json: true, .. } => tell(object()),
            _ if self.interval().is_some() => tell(text()),
            _ => {}
        }
    }

    /// Something that happened.
    pub(super) fn note(self, text: &str) {
        self.line(|| text.into(), || json!({"event": "note", "text": text}));
    }

    /// What is to be trained, on how many training, validation and test samples.
    pub(super) fn start(
        self,
        name: &str,
        [train, valid, test]: [usize; 3],
        n_params: usize,
        run: &Path,
        device: &DeviceInfo,
    ) {
        self.line(
            || {
                format!(
                    "{name}: {train} training, {valid} validation, {test} test sequences; {n_params} parameters; \
                     run folder {}",
                    run.display()
                )
            },
            || {
                json!({
                    "event": "start", "name": name, "run": run, "device": device.to_string(), "training": train,
                    "validation": valid, "test": test, "parameters": n_params,
                })
            },
        );
    }
}

/// What a model reads step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Tokens: characters, bytes, words.
    Tokens,
    /// Vectors of features.
    TimeSteps,
}

impl Unit {
    /// That of a model's input.
    pub fn of(input: &InputSchema) -> Self {
        match input {
            InputSchema::Features { .. } => Self::TimeSteps,
            _ => Self::Tokens,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::TimeSteps => "time steps",
        }
    }

    /// As a column or a key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::TimeSteps => "time_steps",
        }
    }
}

/// Where a run stands, both counted from 1.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub epoch: usize,
    /// The batch of the epoch.
    pub step: usize,
}

/// Tells of a run while it goes on.
pub(super) struct Reporter {
    progress: Progress,
    unit: Unit,
    n_epochs: usize,
    /// Batches an epoch.
    n_batches: usize,
    /// Epochs that were done when it began.
    before: f64,
    started: Instant,
    /// What came since the last line.
    since: Instant,
    tally: Tally,
    steps: usize,
    /// The last validation score and its name.
    score: Option<(String, f64)>,
}

impl Reporter {
    /// Of `n_epochs` of `n_batches`; a run that goes on does so from `place`.
    pub fn new(
        progress: Progress,
        unit: Unit,
        [n_epochs, n_batches]: [usize; 2],
        Place { epoch, step }: Place,
    ) -> Self {
        let now = Instant::now();
        let before = (epoch - 1) as f64 + step as f64 / n_batches as f64;
        Self {
            progress,
            unit,
            n_epochs,
            n_batches,
            before,
            started: now,
            since: now,
            tally: Tally::default(),
            steps: 0,
            score: None,
        }
    }

    pub fn progress(&self) -> Progress {
        self.progress
    }

    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Counts a training step over `steps` valid steps; a line, if it is time for one.
    pub fn step(&mut self, tally: &Tally, steps: usize, place: Place) {
        self.tally.add(tally);
        self.steps += steps;
        let passed = self.since.elapsed();
        if self.progress.interval().is_none_or(|interval| passed < interval) {
            return;
        }
        let Place { epoch, step } = place;
        let (n_epochs, n_batches) = (self.n_epochs, self.n_batches);
        let rate = self.steps as f64 / passed.as_secs_f64();
        let loss = self.tally.mean_loss();
        let left = self.left(place);
        self.progress.line(
            || {
                let score =
                    self.score.as_ref().map(|(metric, value)| format!("  valid {metric} {value:.4}")).unwrap_or_default();
                format!(
                    "epoch {epoch:>3}/{n_epochs}  step {step}/{n_batches}  loss {loss:.4}{score}  {rate:.0} {}/s  left {}",
                    self.unit.name(),
                    left.map_or("?".into(), clock)
                )
            },
            || {
                json!({
                    "event": "step", "epoch": epoch, "epochs": n_epochs, "step": step, "steps": n_batches,
                    "loss": loss, "metric": self.score.as_ref().map(|s| &s.0), "score": self.score.as_ref().map(|s| s.1),
                    "unit": self.unit.key(), "per_second": rate, "seconds_left": left.map(|left| left.as_secs_f64()),
                })
            },
        );
        (self.since, self.tally, self.steps) = (Instant::now(), Tally::default(), 0);
    }

    /// A line for an epoch that is over.
    pub fn epoch(&mut self, e: &Epoch, best: bool) {
        let n_epochs = self.n_epochs;
        self.score = Some((e.metric.clone(), e.score));
        let rate = e.steps as f64 / e.train_seconds;
        let left = self.left(Place { epoch: e.epoch, step: self.n_batches });
        self.progress.line(
            || {
                format!(
                    "epoch {:>3}/{n_epochs}  train loss {:.4}  valid loss {:.4}  {} {:.4}{}  lr {:.2e}  {:.1} s  \
                     {rate:.0} {}/s  left {}",
                    e.epoch,
                    e.train_loss,
                    e.valid_loss,
                    e.metric,
                    e.score,
                    if best { " *" } else { "  " },
                    e.lr,
                    e.seconds,
                    self.unit.name(),
                    left.map_or("?".into(), clock),
                )
            },
            || {
                json!({
                    "event": "epoch", "epoch": e.epoch, "epochs": n_epochs, "train_loss": e.train_loss,
                    "valid_loss": e.valid_loss, "metric": e.metric, "score": e.score, "best": best, "lr": e.lr,
                    "seconds": e.seconds, "unit": self.unit.key(), "per_second": rate,
                    "seconds_left": left.map(|left| left.as_secs_f64()),
                })
            },
        );
        (self.since, self.tally, self.steps) = (Instant::now(), Tally::default(), 0);
    }

    /// The time that the run takes yet, if it goes through all its epochs as it did until now.
    /// `None`: it has gone on just now, and has done nothing yet.
    fn left(&self, Place { epoch, step }: Place) -> Option<Duration> {
        let done = (epoch - 1) as f64 + step as f64 / self.n_batches as f64;
        let since = Some(done - self.before).filter(|&since| since > 0.0)?;
        Some(self.started.elapsed().mul_f64((self.n_epochs as f64 - done).max(0.0) / since))
    }
}

/// Says a line on stderr. Where nobody reads it any more, it is lost, and nothing else is.
pub(crate) fn tell(line: impl Display) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// Lets Ctrl-C interrupt the program under burn's text UI too, which has the terminal hand it over as a mere key.
pub(super) fn keep_interrupts() {
    #[cfg(unix)]
    // SAFETY: plain numbers that the system fills in, of a terminal that is ours or an error.
    unsafe {
        let mut terminal: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(libc::STDIN_FILENO, &mut terminal) == 0 && terminal.c_lflag & libc::ISIG == 0 {
            terminal.c_lflag |= libc::ISIG;
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &terminal);
        }
    }
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A renderer that shows nothing: the lines come from the loop, which knows exact scores.
pub(super) struct Silent;

impl MetricsRendererTraining for Silent {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
    fn render_train(&mut self, _: TrainingProgress, _: Vec<ProgressType>) {}
    fn render_valid(&mut self, _: TrainingProgress, _: Vec<ProgressType>) {}
}

impl MetricsRendererEvaluation for Silent {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
    fn render_test(&mut self, _: EvaluationProgress, _: Vec<ProgressType>) {}
}

impl MetricsRenderer for Silent {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_as_a_clock_does() {
        for (seconds, text) in [(0.2, "0:00"), (59.6, "1:00"), (754.0, "12:34"), (3725.0, "1:02:05")] {
            assert_eq!(clock(Duration::from_secs_f64(seconds)), text);
        }
    }

    #[test]
    fn time_left_is_that_of_the_steps_left() {
        let mut reporter = Reporter::new(Progress::Quiet, Unit::Tokens, [4, 10], Place { epoch: 1, step: 0 });
        reporter.started -= Duration::from_secs(30);
        // A quarter done in thirty seconds, three eighths, all.
        for ((epoch, step), seconds) in [((1, 10), 90.0), ((2, 5), 50.0), ((4, 10), 0.0)] {
            let left = reporter.left(Place { epoch, step }).unwrap().as_secs_f64();
            assert!((left - seconds).abs() < 1.0, "{epoch} {step}: {left}");
        }
        // One that went on in the middle did a quarter of an epoch since.
        let mut reporter =
            Reporter::new(Progress::Quiet, Unit::Tokens, [4, 20], Place { epoch: 3, step: 10 });
        reporter.started -= Duration::from_secs(30);
        let left = reporter.left(Place { epoch: 3, step: 15 }).unwrap().as_secs_f64();
        assert!((left - 150.0).abs() < 1.0, "{left}");
        assert_eq!(reporter.left(Place { epoch: 3, step: 10 }), None);
    }
}
