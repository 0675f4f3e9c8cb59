//! What a model is, in words.

use crate::config::ModelConfig;
use crate::data::{InputSchema, TargetSchema, TaskSchema};

/// Cell, layers and directions.
pub(crate) fn cell(model: &ModelConfig) -> String {
    let directions = if model.bidirectional { ", two directions" } else { "" };
    format!("{}, {} layer(s) of {}{directions}", choice(&model.cell), model.n_layers, model.d_hidden)
}

/// What a model reads.
pub(crate) fn input(input: &InputSchema) -> String {
    match input {
        InputSchema::Features { channels, .. } => format!("{channels} features a step"),
        InputSchema::Text(text) => format!("text as sub-words of {}", text.pieces.len()),
        InputSchema::Tokens { vocabulary } => format!("tokens of {}", vocabulary.len()),
        InputSchema::Words { vocabulary, characters, .. } if characters.is_empty() => {
            format!("words of {}", vocabulary.len())
        }
        InputSchema::Words { vocabulary, characters, .. } => {
            format!("words of {}, spelled with {} characters", vocabulary.len(), characters.len())
        }
        InputSchema::Attributes { attributes } => {
            let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            format!("{} attributes: {}", names.len(), names.join(", "))
        }
    }
}

/// What a model says.
pub(crate) fn output(target: &TargetSchema) -> String {
    match target {
        TargetSchema::Class { labels } => format!("one class of {}: {}", labels.len(), labels.join(", ")),
        TargetSchema::Text(text) => format!("text as sub-words of {}", text.pieces.len()),
        TargetSchema::Drawing(grid) => format!("strokes over a grid of {0} x {0} cells", grid.side),
        TargetSchema::Tokens { labels } => format!("a class of {} a step", labels.len()),
        TargetSchema::Features { channels, .. } => format!("{channels} values"),
        TargetSchema::Tasks { tasks } => {
            let task = |task: &TaskSchema| format!("{}: a class of {}", task.name, task.labels.len());
            tasks.iter().map(task).collect::<Vec<_>>().join("; ")
        }
    }
}

/// A choice as a configuration writes it.
pub(crate) fn choice(choice: &impl serde::Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default()
}
