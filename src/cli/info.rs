use super::{DeviceArgs, Format, ModelArg, print, print_json, table};
use crate::artifact;
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
    let weights = model.shapes();
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
    let mut rows = vec![field("name", manifest.name.clone())];
    if !config.description.is_empty() {
        rows.push(field("what", config.description.clone()));
    }
    rows.extend([
        field("mode", artifact::choice(&config.model.mode)),
        field("cell", artifact::cell(&config.model)),
        field("input", artifact::input(&folder.schema.input)),
        field("output", artifact::output(&folder.schema.target)),
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
