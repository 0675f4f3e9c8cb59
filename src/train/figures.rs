//! What a run leaves to be looked at: its curves, and which class was taken for which.

use super::Epoch;
use super::score::{self, ints};
use crate::artifact::ModelFolder;
use crate::config::{DataFormat, IoMode, TrainConfig};
use crate::data::{Samples, Target, TargetSchema};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::kernel::RecurrentBackend;
use crate::model::Model;
use crate::plot::{Curves, Matrix, Point, confusion_svg, loss_svg};
use std::path::Path;

/// Classes of the largest confusion matrix.
const MAX_CLASSES: usize = 256;

/// How often each class was taken for which.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// `valid` or `test`.
    pub split: String,
    /// The classes' names.
    pub labels: Vec<String>,
    /// `counts[truth][said]`, in valid steps.
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Runs `model` over a split, in batches as `config` has them. Of several tasks it is the first that has a class a
    /// sequence.
    ///
    /// # Errors
    /// If the model says values, not classes; or says more classes than can be looked at.
    pub fn of<B: RecurrentBackend>(
        model: &Model<B>,
        target: &TargetSchema,
        split: &str,
        samples: &Samples,
        config: &TrainConfig,
        device: &B::Device,
    ) -> Result<Self> {
        let refused = |message: String| Err(Error::Input(format!("a confusion matrix {message}")));
        let Some((task, labels)) = classes(target) else {
            return refused(
                "is of classes: this model says values, or has no task of one class a sequence".into(),
            );
        };
        if labels.len() > MAX_CLASSES {
            return refused(format!("has at most {MAX_CLASSES} classes: this model has {}", labels.len()));
        }
        let mut counts = vec![vec![0; labels.len()]; labels.len()];
        score::run(model, samples, config, device, |mut outputs, batch| {
            let (target, lengths) = match &batch.target {
                Target::Tasks(targets) => (&targets[task].0, targets[task].1.as_ref()),
                target => (target, batch.target_lengths.as_ref()),
            };
            let Target::Classes(truth) = target else { unreachable!("the schema has classes") };
            let said = outputs.swap_remove(task).argmax(2).squeeze_dim(2);
            let [_, n_steps] = truth.dims();
            for (k, (said, truth)) in ints(said).into_iter().zip(ints(truth.clone())).enumerate() {
                if lengths.is_none_or(|lengths| k % n_steps < lengths[k / n_steps]) {
                    counts[truth as usize][said as usize] += 1;
                }
            }
        });
        Ok(Self { split: split.into(), labels: labels.to_vec(), counts })
    }

    fn title(&self) -> String {
        let n: usize = self.counts.iter().flatten().sum();
        let right: usize = (0..self.labels.len()).map(|k| self.counts[k][k]).sum();
        format!("{}: {right} of {n} right ({:.2} %)", self.split, 100.0 * right as f64 / n.max(1) as f64)
    }

    /// A figure of several splits of one model.
    pub fn svg(splits: &[Self]) -> String {
        let titles: Vec<String> = splits.iter().map(Self::title).collect();
        let matrices =
            splits.iter().zip(&titles).map(|(split, title)| Matrix { title, counts: &split.counts });
        confusion_svg(&splits[0].labels, &matrices.collect::<Vec<_>>())
    }

    /// A table of several splits of one model: a row a split and true class, a column a class that was said.
    fn csv(splits: &[Self]) -> Vec<u8> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let mut row = |split: &str, truth: &str, cells: &[String]| {
            table.write_record([split, truth].into_iter().chain(cells.iter().map(String::as_str)))
        };
        let written = row("split", "truth", &splits[0].labels).and_then(|()| {
            splits.iter().try_for_each(|split| {
                split.labels.iter().zip(&split.counts).try_for_each(|(label, counts)| {
                    row(&split.split, label, &counts.iter().map(usize::to_string).collect::<Vec<_>>())
                })
            })
        });
        written.expect("every row is as long as the first");
        table.into_inner().expect("memory takes what is written")
    }
}

/// The classes that can be confused, and of which task they are.
fn classes(target: &TargetSchema) -> Option<(usize, &[String])> {
    match target {
        TargetSchema::Class { labels } | TargetSchema::Tokens { labels } => Some((0, labels)),
        TargetSchema::Tasks { tasks } => {
            let task = tasks.iter().position(|task| !task.aligned)?;
            Some((task, &tasks[task].labels))
        }
        TargetSchema::Features { .. } | TargetSchema::Text(_) | TargetSchema::Drawing(_) => None,
    }
}

/// Writes `loss.svg`, unless no epoch was finished.
pub(super) fn draw_losses(run: &Path, name: &str, epochs: &[Epoch], best: Option<usize>) -> Result<()> {
    let Some(first) = epochs.first() else { return Ok(()) };
    let point = |e: &Epoch| Point {
        epoch: e.epoch,
        train_loss: e.train_loss,
        valid_loss: e.valid_loss,
        score: e.score,
    };
    let points: Vec<Point> = epochs.iter().map(point).collect();
    let svg = loss_svg(&Curves { title: name, metric: &first.metric, points: &points, best });
    write_whole(&run.join("loss.svg"), svg.as_bytes())
}

/// Writes `confusion.svg` and `confusion.csv` of the validation and test samples, of a model that says classes which are
/// not those of a text's next token, and not more than can be looked at.
pub(super) fn draw_confusion<B: RecurrentBackend>(
    run: &Path,
    model: &Model<B>,
    folder: &ModelFolder,
    [valid, test]: [&Samples; 2],
    device: &B::Device,
) -> Result<()> {
    let target = &folder.schema.target;
    let written = |mode| matches!(mode, IoMode::OneToMany | IoMode::EncoderDecoder);
    let few = classes(target).is_some_and(|(_, labels)| labels.len() <= MAX_CLASSES);
    if !few || folder.config.data.format == DataFormat::Text || written(folder.config.model.mode) {
        return Ok(());
    }
    let splits = [("valid", valid), ("test", test)].into_iter().filter(|(_, samples)| !samples.is_empty());
    let splits: Vec<Confusion> = splits
        .map(|(split, samples)| Confusion::of(model, target, split, samples, &folder.config.train, device))
        .collect::<Result<_>>()?;
    write_whole(&run.join("confusion.svg"), Confusion::svg(&splits).as_bytes())?;
    write_whole(&run.join("confusion.csv"), &Confusion::csv(&splits))
}
