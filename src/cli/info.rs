use super::{DeviceArgs, Format, ModelArg, print, print_json, table};
use crate::data::{InputSchema, TargetSchema, TaskSchema};
use crate::error::Result;
use crate::predict;
use clap::Args;

#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    model: ModelArg,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: InfoArgs) -> Result<()> {
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let folder = model.folder();
    let weights: Vec<_> = model.weights().into_iter().map(|w| (w.name, w.data.shape.to_vec())).collect();
    if args.format == Format::Json {
        let weights: Vec<_> =
            weights.iter().map(|(name, shape)| serde_json::json!({"name": name, "shape": shape})).collect();
        return print_json(&serde_json::json!({
            "manifest": folder.manifest,
            "model": folder.config.model,
            "weights": weights,
            "scores": folder.scores,
        }));
    }
    let (manifest, config) = (&folder.manifest, &folder.config);
    let field = |name: &str, value: String| vec![name.to_string(), value];
    let cell = format!(
        "{}, {} layer(s) of {}{}",
        name(&config.model.cell),
        config.model.n_layers,
        config.model.d_hidden,
        if config.model.bidirectional { ", two directions" } else { "" }
    );
    let input = match &folder.schema.input {
        InputSchema::Features { channels, .. } => format!("{channels} features a step"),
        InputSchema::Tokens { vocabulary } => format!("tokens of {}", vocabulary.len()),
        InputSchema::Words { vocabulary, characters, .. } if characters.is_empty() => {
            format!("words of {}", vocabulary.len())
        }
        InputSchema::Words { vocabulary, characters, .. } => {
            format!("words of {}, spelled with {} characters", vocabulary.len(), characters.len())
        }
    };
    let output = match &folder.schema.target {
        TargetSchema::Class { labels } => format!("one class of {}: {}", labels.len(), labels.join(", ")),
        TargetSchema::Tokens { labels } => format!("a class of {} a step", labels.len()),
        TargetSchema::Features { channels, .. } => format!("{channels} values"),
        TargetSchema::Tasks { tasks } => {
            let task = |task: &TaskSchema| format!("{}: a class of {}", task.name, task.labels.len());
            tasks.iter().map(task).collect::<Vec<_>>().join("; ")
        }
    };
    let mut rows = vec![field("name", manifest.name.clone())];
    if !config.description.is_empty() {
        rows.push(field("what", config.description.clone()));
    }
    rows.extend([
        field("mode", name(&config.model.mode)),
        field("cell", cell),
        field("input", input),
        field("output", output),
        field("parameters", manifest.parameters.to_string()),
        field("record", manifest.record.file_name()),
        field(
            "trained",
            format!("seed {}, epoch {}, on {}", manifest.seed, manifest.epoch, manifest.trained_on),
        ),
        field("written by", format!("rnn-zoo {}, burn {}", manifest.rnn_zoo, manifest.burn)),
    ]);
    rows.extend(
        folder.scores.iter().map(|s| field(&format!("{} {}", s.split, s.metric), format!("{:.4}", s.value))),
    );
    rows.push(Vec::new());
    rows.extend(weights.into_iter().map(|(name, shape)| vec![name, format!("{shape:?}")]));
    print(&table(&rows))
}

/// A choice as a configuration writes it.
fn name(choice: &impl serde::Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default()
}
