use super::{DeviceArgs, Format, print, print_json};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::train::{Progress, Run, free_folder, train};
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
    /// Train with so many seeds, from that of the configuration on, each in a run folder of its own, and tell the mean
    /// of each score and its standard deviation
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
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
    let mut config = Config::from_file(&args.config, &args.set)?;
    let folder = match args.run {
        Some(folder) => folder,
        None => free_folder(&config.name)?,
    };
    let first = config.train.seed;
    let last = first.checked_add(args.seeds - 1).ok_or_else(|| {
        Error::config("train.seed", format!("is too large for {} seeds: lower it", args.seeds))
    })?;
    let device = args.device.select()?;
    let progress = match (args.quiet, args.format) {
        (true, _) => Progress::Quiet,
        // burn's text UI takes stdout.
        (_, Format::Json) => Progress::Lines,
        _ => Progress::Auto,
    };
    let mut runs = Vec::new();
    for seed in first..=last {
        config.train.seed = seed;
        let folder = if args.seeds == 1 { folder.clone() } else { folder.join(format!("seed-{seed}")) };
        let run = train(&config, &device, &folder, progress)?;
        show(&run, args.format)?;
        runs.push(run);
    }
    if runs.len() > 1 { show_means(&runs, args.format) } else { Ok(()) }
}

fn show(run: &Run, format: Format) -> Result<()> {
    match format {
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

/// Of each score that every run has: its mean over runs, and its standard deviation (of a sample).
fn show_means(runs: &[Run], format: Format) -> Result<()> {
    let n = runs.len() as f64;
    for score in &runs[0].scores {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.score(&score.split, &score.metric)).collect();
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        match format {
            Format::Json => print_json(&serde_json::json!({
                "model": score.model,
                "split": score.split,
                "metric": score.metric,
                "mean": mean,
                "deviation": deviation,
                "seeds": runs.len(),
            }))?,
            Format::Text => print(&format!(
                "{} seeds: {} {} {mean:.4} ± {deviation:.4}",
                runs.len(),
                score.split,
                score.metric
            ))?,
        }
    }
    Ok(())
}
