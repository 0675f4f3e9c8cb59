//! The draft of a model's card, with all that a run knows.

use super::{Baseline, Epoch, Score, Unit, baseline};
use crate::artifact::{self, ModelFolder};
use crate::config::{Config, DataFormat};
use crate::data::{Samples, Schema};

/// Training steps of a text up to which n-grams are counted for a card.
const FEW_STEPS: usize = 200_000;

/// What a card tells of.
pub(super) struct Card<'a> {
    pub model: &'a ModelFolder,
    pub epochs: &'a [Epoch],
    /// Training, validation and test samples.
    pub n_samples: [usize; 3],
    /// Wall time of the training.
    pub seconds: f64,
    pub baseline: Option<Baseline>,
    pub unit: Unit,
}

/// The baseline of `samples`, unless there is none or finding it would take long.
pub(super) fn baseline_if_cheap(
    config: &Config,
    schema: &Schema,
    train: &Samples,
    samples: &Samples,
    split: &str,
) -> Option<Baseline> {
    let steps = |samples: &Samples| (0..samples.len()).map(|k| samples.steps(k)).sum::<usize>();
    let n_steps = || steps(train) + steps(samples);
    match config.data.format {
        DataFormat::Strokes => return None,
        DataFormat::Text if n_steps() > FEW_STEPS => return None,
        _ => {}
    }
    baseline(config, schema, train, samples, split).ok()
}

impl Card<'_> {
    /// The card, in Markdown.
    pub fn markdown(&self) -> String {
        let ModelFolder { manifest, config, schema, scores } = self.model;
        let train = &config.train;
        let [n_train, n_valid, n_test] = self.n_samples;
        let mut files: Vec<String> = [&config.data.train, &config.data.valid, &config.data.test]
            .into_iter()
            .flatten()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        files.dedup();
        let files = if files.is_empty() { String::new() } else { format!(", {}", files.join(", ")) };
        let (steps, seconds) =
            self.epochs.iter().fold((0, 0.0), |(n, s), e| (n + e.steps, s + e.train_seconds));
        let facts = [
            ("mode", artifact::choice(&config.model.mode)),
            ("model", artifact::cell(&config.model)),
            ("parameters", manifest.parameters.to_string()),
            ("input", artifact::input(&schema.input)),
            ("output", artifact::output(&schema.target)),
            (
                "data",
                format!(
                    "format `{}`{files}: {n_train} training, {n_valid} validation, {n_test} test sequences",
                    artifact::choice(&config.data.format)
                ),
            ),
            (
                "training",
                format!(
                    "`config.toml`, seed {}: {} of {} epochs of batches of {}, {} {:e}; exported: epoch {}",
                    train.seed,
                    self.epochs.len(),
                    train.epochs,
                    train.batch_size,
                    artifact::choice(&train.optimizer),
                    train.lr,
                    manifest.epoch,
                ),
            ),
            (
                "device, time",
                format!(
                    "{}: {:.1} s, {:.0} {}/s",
                    manifest.trained_on,
                    self.seconds,
                    steps as f64 / seconds,
                    self.unit.name()
                ),
            ),
            ("written by", format!("rnn-zoo {}, burn {}", manifest.rnn_zoo, manifest.burn)),
        ];
        let mut card = format!("# {}\n\n", line(&config.name));
        if !config.description.is_empty() {
            card += &format!("{}\n\n", line(&config.description));
        }
        card += "*A draft: what the run knows is filled in, the rest is for the author to write.*\n\n| | |\n|---|---|\n";
        for (name, value) in facts {
            card += &format!("| {name} | {} |\n", cell(&value));
        }
        card += "\n## Scores\n\n| split | score | value | n |\n|---|---|--:|--:|\n";
        let row = |score: &Score, what: &str| {
            let Score { split, metric, value, n, .. } = score;
            format!("| {split}{} | {} | {value:.4} | {n} |\n", cell(what), cell(metric))
        };
        scores.iter().for_each(|score| card += &row(score, ""));
        if let Some(Baseline { what, scores }) = &self.baseline {
            scores.iter().for_each(|score| card += &row(score, &format!(", baseline: {what}")));
        }
        card += "\n![Losses and score over epochs](loss.svg)\n";
        card += "\n## Use\n\nWhere RUN is this folder:\n\n```sh\n";
        card += "rnn-zoo info RUN\n";
        if config.data.format != DataFormat::Program {
            card += "rnn-zoo eval RUN --baseline\n";
        }
        card += match config.data.format {
            DataFormat::Text => "rnn-zoo generate RUN --prompt TEXT\n",
            DataFormat::Strokes => "rnn-zoo predict RUN PICTURE.png --svg DRAWING.svg\n",
            _ => "rnn-zoo predict RUN FILE\n",
        };
        card += "```\n\n## Limits\n\n*What it was not trained for, and where it is wrong.*\n";
        card +=
            "\n## Data and licence\n\n*Whose the data is, where it comes from, and under which licence.*\n";
        card
    }
}

/// Text on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_stays_in_its_table() {
        assert_eq!(cell("a|b\n c"), "a\\|b c");
    }
}
