use super::{DeviceArgs, Format, print, print_json};
use crate::config::Config;
use crate::error::Result;
use crate::train::{Progress, free_folder, train};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A configuration, as in configs/speaker.toml
    config: PathBuf,
    /// Set a key of the configuration, as in train.epochs=3; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Run folder; it must not exist yet, or be empty [default: runs/NAME, or the next that is free]
    #[arg(long)]
    run: Option<PathBuf>,
    /// Print nothing but the result
    #[arg(long)]
    quiet: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: TrainArgs) -> Result<()> {
    let config = Config::from_file(&args.config, &args.set)?;
    let folder = match args.run {
        Some(folder) => folder,
        None => free_folder(&config.name)?,
    };
    let device = args.device.select()?;
    let progress = match (args.quiet, args.format) {
        (true, _) => Progress::Quiet,
        // burn's text UI takes stdout.
        (_, Format::Json) => Progress::Lines,
        _ => Progress::Auto,
    };
    let run = train(&config, &device, &folder, progress)?;
    match args.format {
        Format::Json => print_json(&serde_json::json!({
            "run": run.folder,
            "model": run.model,
            "epochs": run.epochs.len(),
            "parameters": run.n_params,
            "seconds": run.seconds,
            "scores": run.scores,
        })),
        Format::Text => {
            for score in &run.scores {
                print(&format!("{} {} {:.4} (n = {})", score.split, score.metric, score.value, score.n))?;
            }
            print(&format!("model: {} ({:.0} s)", run.model.display(), run.seconds))
        }
    }
}
