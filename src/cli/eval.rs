use super::{DeviceArgs, Format, ModelArg, check_new, print, print_json, table};
use crate::artifact::ModelFolder;
use crate::config::DataConfig;
use crate::data::{self, Sample};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::predict;
use crate::train::{self, Baseline, Confusion, Score};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(flatten)]
    model: ModelArg,
    /// Data of the model's own kind; of the file that all its splits are parts of, the test part [default: the test split
    /// of its configuration]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Draw which class was taken for which: an SVG file, not there yet
    #[arg(long, value_name = "FILE.svg")]
    confusion: Option<PathBuf>,
    /// Score what takes no network on the same samples too: the most frequent class, n-grams, the last reading; reads
    /// the training data
    #[arg(long)]
    baseline: bool,
    /// Print this score alone, as in "slots f1"
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// How the scores are printed; json: one object, the model's main score, and one of the baseline
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: EvalArgs) -> Result<()> {
    args.confusion.as_deref().map_or(Ok(()), check_new)?;
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let folder = model.folder();
    let (config, seed) = (&folder.config, folder.manifest.seed);
    let (path, split) = split_of(args.data.as_deref(), &config.data);
    let samples = data::load_split(&config.data, config.model.mode, &folder.schema, path, seed)?;
    let baseline = args.baseline.then(|| baseline_of(folder, &samples, split)).transpose()?;
    let mut scores = model.score(&samples, split)?;
    if let Some(metric) = &args.metric {
        let names: Vec<String> = scores.iter().map(|s| s.metric.clone()).collect();
        scores.retain(|s| s.metric == *metric);
        if scores.is_empty() {
            let known = names.join(", ");
            return Err(Error::Input(format!("the model has no score `{metric}`: it has {known}")));
        }
    }
    if let Some(path) = &args.confusion {
        let confusion = model.confusion(&samples, split)?;
        write_whole(path, Confusion::svg(&[confusion]).as_bytes())?;
    }
    let rows = |scores: &[Score]| -> Vec<Vec<String>> {
        let row = |s: &Score| {
            let [model, split, metric] = [&s.model, &s.split, &s.metric].map(String::clone);
            vec![model, split, metric, format!("{:.4}", s.value), s.n.to_string()]
        };
        let head = ["model", "split", "metric", "value", "n"].map(String::from).to_vec();
        std::iter::once(head).chain(scores.iter().map(row)).collect()
    };
    match args.format {
        Format::Json => {
            print_json(&scores[0])?;
            if let Some(baseline) = &baseline {
                let mut score = serde_json::to_value(&baseline.scores[0]).expect("a score is plain");
                score["baseline"] = baseline.what.as_str().into();
                print_json(&score)?;
            }
        }
        Format::Text => {
            print(&table(&rows(&scores)))?;
            if let Some(baseline) = &baseline {
                print(&format!("\nbaseline: {}", baseline.what))?;
                print(&table(&rows(&baseline.scores)))?;
            }
        }
    }
    Ok(())
}

/// What `--data` names: the file to read, where it is not a part of the training file, and which split that is.
fn split_of<'a>(data: Option<&'a Path>, config: &DataConfig) -> (Option<&'a Path>, &'static str) {
    let is = |file: &Option<PathBuf>| match (
        data.map(Path::canonicalize),
        file.as_ref().map(|f| f.canonicalize()),
    ) {
        (Some(Ok(a)), Some(Ok(b))) => a == b,
        _ => false,
    };
    // One file for all splits: its test part.
    if config.test.is_none() && is(&config.train) {
        (None, "test")
    } else if is(&config.valid) {
        (data, "valid")
    } else if is(&config.train) {
        (data, "train")
    } else {
        (data, "test")
    }
}

/// The trivial answer to `samples`, learned from what the model was trained on.
fn baseline_of(folder: &ModelFolder, samples: &[Sample], split: &str) -> Result<Baseline> {
    let config = &folder.config;
    let mut dataset = data::load(&config.data, config.model.mode, folder.manifest.seed)?;
    if config.model.characters.is_none() {
        dataset.drop_spellings();
    }
    if dataset.schema != folder.schema {
        let message = "the training data has changed: its classes, vocabulary or scales are not the model's";
        return Err(Error::Input(message.into()));
    }
    train::baseline(config, &folder.schema, &dataset.train, samples, split)
}
