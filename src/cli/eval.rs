use super::{DeviceArgs, Format, ModelArg, print, print_json, table};
use crate::data;
use crate::error::Result;
use crate::predict;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(flatten)]
    model: ModelArg,
    /// Test data of the model's own kind [default: the test split of its configuration]
    #[arg(long)]
    data: Option<PathBuf>,
    /// How the scores are printed; json: one object, the model's main score
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: EvalArgs) -> Result<()> {
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let folder = model.folder();
    let (config, seed) = (&folder.config, folder.manifest.seed);
    let samples =
        data::load_split(&config.data, config.model.mode, &folder.schema, args.data.as_deref(), seed)?;
    let scores = model.score(&samples, "test")?;
    match args.format {
        Format::Json => print_json(&scores[0]),
        Format::Text => {
            let mut rows = vec![["model", "split", "metric", "value", "n"].map(String::from).to_vec()];
            rows.extend(
                scores
                    .into_iter()
                    .map(|s| vec![s.model, s.split, s.metric, format!("{:.4}", s.value), s.n.to_string()]),
            );
            print(&table(&rows))
        }
    }
}
