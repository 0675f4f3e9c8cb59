use super::{DeviceArgs, Format, print, print_json};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::train::{Progress, train};
use clap::Args;
use std::path::{Path, PathBuf};

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
                print(&format!("{} {} {:.4} ({} steps)", score.split, score.metric, score.value, score.n))?;
            }
            print(&format!("model: {} ({:.0} s)", run.model.display(), run.seconds))
        }
    }
}

/// `runs/NAME`, or with the first number after it that is free.
fn free_folder(name: &str) -> Result<PathBuf> {
    let free = |path: &PathBuf| !path.exists();
    let first = Path::new("runs").join(name);
    let more = (2..10_000).map(|k| Path::new("runs").join(format!("{name}-{k}")));
    std::iter::once(first)
        .chain(more)
        .find(free)
        .ok_or_else(|| Error::file("runs", format!("has too many runs of {name}: name a folder with --run")))
}
