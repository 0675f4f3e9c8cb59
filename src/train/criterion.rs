//! What a model is judged by: its loss, and what its scores count.

use super::spans::{Tag, tags};
use crate::config::{Config, DataFormat, Loss, Part, TaskConfig, TrainConfig};
use crate::data::{Schema, TargetSchema, TaskSchema};
use crate::error::{Error, Result};
use crate::model::Objective;
use std::sync::Arc;

/// The loss of a model's output, and the spans that its labels mark, if they do.
#[derive(Clone, Debug, PartialEq)]
pub struct Criterion {
    /// The loss; of a multi-task model each task has its own.
    pub objective: Objective,
    /// What each label says of a span: labels of the BIO scheme.
    pub(super) tags: Option<Arc<[Tag]>>,
    /// Whether the loss itself is the score: models that write text, or draw.
    pub(super) by_loss: bool,
    /// Of a multi-task model.
    pub(super) tasks: Arc<[TaskCriterion]>,
}

/// What one task of several is judged by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TaskCriterion {
    pub(super) name: String,
    pub(super) weight: f64,
    /// The parts that its loss trains, sorted.
    pub(super) trains: Vec<Part>,
    pub(super) criterion: Criterion,
}

impl From<Objective> for Criterion {
    fn from(objective: Objective) -> Self {
        Self { objective, tags: None, by_loss: false, tasks: Arc::new([]) }
    }
}

impl Criterion {
    /// What `config` and the data ask for, by default the loss of the target's kind; the model's
    /// part is [resolved](crate::model::resolve).
    ///
    /// # Errors
    /// Where loss and target do not go together.
    pub fn new(config: &Config, schema: &Schema) -> Result<Self> {
        let objective = objective(&config.train, schema)?;
        let spans = |labels: &[String]| tags(labels).map(Into::into);
        Ok(match &schema.target {
            TargetSchema::Tasks { tasks } => {
                let task = |(task, data): (&TaskConfig, &TaskSchema)| {
                    let mut criterion = Self::from(Objective { loss: task.loss, ..objective });
                    criterion.tags = spans(&data.labels).filter(|_| data.aligned);
                    TaskCriterion {
                        name: data.name.clone(),
                        weight: task.weight,
                        trains: config.model.trained_parts(task).expect("a checked task names parts"),
                        criterion,
                    }
                };
                Self {
                    objective,
                    tags: None,
                    by_loss: false,
                    tasks: config.model.tasks.iter().zip(tasks).map(task).collect(),
                }
            }
            TargetSchema::Tokens { .. } if config.data.format == DataFormat::Text => {
                Self { by_loss: true, ..objective.into() }
            }
            TargetSchema::Text(_) | TargetSchema::Drawing(_) => Self { by_loss: true, ..objective.into() },
            TargetSchema::Tokens { labels } => Self { tags: spans(labels), ..objective.into() },
            _ => objective.into(),
        })
    }
}

fn objective(config: &TrainConfig, schema: &Schema) -> Result<Objective> {
    let classes = !matches!(schema.target, TargetSchema::Features { .. });
    let loss = config.loss.unwrap_or(if classes { Loss::CrossEntropy } else { Loss::Mse });
    if classes == (loss == Loss::Mse) {
        let (has, needs) =
            if classes { ("classes", "cross-entropy or softmax-mse") } else { ("values", "mse") };
        return Err(Error::config(
            "train.loss",
            format!("the data has {has} to predict: write {needs}, or leave it out"),
        ));
    }
    if config.label_smoothing > 0.0 && loss != Loss::CrossEntropy {
        return Err(Error::config("train.label_smoothing", "only cross entropy smooths labels: write 0"));
    }
    Ok(Objective { loss, label_smoothing: config.label_smoothing })
}
