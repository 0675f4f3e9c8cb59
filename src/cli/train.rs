use super::{DeviceArgs, Format, print, print_json};
use crate::backend::{self, DeviceInfo};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::train::{MeanScore, Progress, Run, Score, free_folder, mean_scores, resume, stop, tell, train};
use clap::Args;
use std::io::IsTerminal;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A configuration, as in configs/speaker.toml
    #[arg(required_unless_present = "resume")]
    config: Option<PathBuf>,
    /// Go on with a run that was stopped or killed, from its last checkpoint
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "set", "run", "seeds"])]
    resume: Option<PathBuf>,
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
    #[command(flatten)]
    progress: ProgressArgs,
    /// How the result, on stdout, and the progress, on stderr, are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

/// How much a command that trains tells meanwhile.
#[derive(Debug, Args)]
pub(super) struct ProgressArgs {
    /// Print nothing but the result
    #[arg(long)]
    pub quiet: bool,
    /// Without a terminal: seconds between two lines inside an epoch
    #[arg(long, value_name = "N", default_value_t = Progress::INTERVAL.as_secs())]
    progress_seconds: u64,
}

impl ProgressArgs {
    /// Lines, or none.
    pub fn lines(&self, format: Format) -> Progress {
        if self.quiet {
            return Progress::Quiet;
        }
        let interval = Duration::from_secs(self.progress_seconds);
        Progress::Every { interval, json: format == Format::Json }
    }

    /// burn's text UI where a person looks at stdout, else lines, or nothing.
    fn auto(&self, format: Format) -> Progress {
        let looked_at = !self.quiet && format == Format::Text && std::io::stdout().is_terminal();
        if looked_at { Progress::Auto } else { self.lines(format) }
    }
}

/// The device; told on stderr, unless that is for objects: the progress of a run names it there.
pub(super) fn select(device: &DeviceArgs, format: Format) -> Result<DeviceInfo> {
    match format {
        Format::Json => backend::select(device.backend.as_deref(), device.device.as_deref()),
        Format::Text => device.select(),
    }
}

/// `n` seeds, from that of the configuration on.
pub(super) fn seeds(config: &Config, n: u64) -> Result<RangeInclusive<u64>> {
    let first = config.train.seed;
    let last = first
        .checked_add(n - 1)
        .ok_or_else(|| Error::config("train.seed", format!("is too large for {n} seeds: lower it")))?;
    Ok(first..=last)
}

/// A mean, with its deviation where there are several seeds.
pub(super) fn mean_text(mean: &MeanScore) -> String {
    match mean.deviation {
        Some(deviation) => format!("{:.4} ± {deviation:.4}", mean.mean),
        None => format!("{:.4}", mean.mean),
    }
}

pub fn run(args: TrainArgs) -> Result<()> {
    stop_on_interrupt()?;
    if let Some(folder) = &args.resume {
        let device = select(&args.device, args.format)?;
        let run = resume(folder, &device, args.progress.auto(args.format))?;
        return show(&run, args.format);
    }
    let path = args.config.as_deref().expect("asked for unless a run is resumed");
    let mut config = Config::from_file(path, &args.set)?;
    let folder = match args.run {
        Some(folder) => folder,
        None => free_folder(&config.name)?,
    };
    let seeds = seeds(&config, args.seeds)?;
    let device = select(&args.device, args.format)?;
    let mut runs = Vec::new();
    for seed in seeds {
        config.train.seed = seed;
        let folder = if args.seeds == 1 { folder.clone() } else { folder.join(format!("seed-{seed}")) };
        let run = train(&config, &device, &folder, args.progress.auto(args.format))?;
        show(&run, args.format)?;
        runs.push(run);
    }
    if runs.len() > 1 { show_means(&runs, args.format) } else { Ok(()) }
}

/// Ctrl-C, SIGTERM and a terminal that hangs up let the run finish its step and write a checkpoint; a second one ends the
/// program at once.
pub(super) fn stop_on_interrupt() -> Result<()> {
    static ASKED: AtomicBool = AtomicBool::new(false);
    // What whoever started the program had it ignore, as nohup does, stays so.
    #[cfg(unix)]
    let ignored = [libc::SIGINT, libc::SIGHUP].map(|signal| {
        // SAFETY: no handler of ours is there yet.
        (signal, unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_IGN)
    });
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            // An orderly exit would take CUDA from under the step that runs.
            #[cfg(unix)]
            // SAFETY: it may be called at any time.
            unsafe {
                libc::_exit(130)
            }
            #[cfg(not(unix))]
            std::process::exit(130);
        }
        stop(true);
        tell("stopping after this step; again to stop at once");
    })
    .map_err(|e| Error::Training(format!("Ctrl-C cannot be listened for: {e}")))?;
    #[cfg(unix)]
    for (signal, _) in ignored.into_iter().filter(|(_, ignored)| *ignored) {
        // SAFETY: it is ignored again, as it was.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    Ok(())
}

fn show(run: &Run, format: Format) -> Result<()> {
    match format {
        Format::Json => print_json(&serde_json::json!({
            "event": "run",
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

/// Of each score that every run has: its mean over runs, and its standard deviation.
fn show_means(runs: &[Run], format: Format) -> Result<()> {
    let scores: Vec<&[Score]> = runs.iter().map(|run| run.scores.as_slice()).collect();
    for mean in mean_scores(&scores) {
        match format {
            Format::Json => {
                let mut object = serde_json::to_value(&mean).expect("a mean is plain");
                object["event"] = "mean".into();
                print_json(&object)?;
            }
            Format::Text => {
                print(&format!("{} seeds: {} {} {}", mean.seeds, mean.split, mean.metric, mean_text(&mean)))?;
            }
        }
    }
    Ok(())
}
