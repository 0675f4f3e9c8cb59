//! What a person sees of a run: burn's text UI on a terminal, plain lines on stderr elsewhere.

use super::Epoch;
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, EvaluationProgress, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, ProgressType, TrainingProgress,
};
use std::io::IsTerminal;

/// How a run shows itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// burn's text UI where stdout is a terminal, else lines.
    #[default]
    Auto,
    /// One line an epoch, on stderr.
    Lines,
    /// Nothing.
    Quiet,
}

impl Progress {
    /// Whether burn's text UI is shown.
    pub(super) fn is_text_ui(self) -> bool {
        self == Self::Auto && std::io::stdout().is_terminal()
    }

    pub(super) fn note(self, line: &str) {
        if self != Self::Quiet && !self.is_text_ui() {
            eprintln!("{line}");
        }
    }

    pub(super) fn epoch(self, epoch: &Epoch, n_epochs: usize, best: bool) {
        self.note(&format!(
            "epoch {:>3}/{n_epochs}  train loss {:.4}  valid loss {:.4}  {} {:.4}{}  lr {:.2e}  {:.1} s",
            epoch.epoch,
            epoch.train_loss,
            epoch.valid_loss,
            epoch.metric,
            epoch.score,
            if best { " *" } else { "  " },
            epoch.lr,
            epoch.seconds,
        ));
    }
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
