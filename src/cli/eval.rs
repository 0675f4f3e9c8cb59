use super::{DeviceArgs, Format, ModelArg, check_new, print, print_json, table};
use crate::artifact::ModelFolder;
use crate::config::{DataConfig, DataFormat};
use crate::data::{self, SampleInput, Samples, TargetSchema, series};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::plot::{Forecast, forecast_svg};
use crate::predict::{self, Answer, Predictor};
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
    /// Draw the forecasts of a model of a csv file beside what came, over the last steps of the split: an SVG file, not
    /// there yet
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Score what takes no network on the same samples too: the most frequent class, n-grams, the last reading, a copy of
    /// the input, the nearest text or drawing; reads the training data
    #[arg(long)]
    baseline: bool,
    /// Print this score alone, as in "slots f1"
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// How the scores are printed; json: one object, the model's main score (of several tasks that of the first), and one
    /// of the baseline, of the same metric
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: EvalArgs) -> Result<()> {
    args.confusion.as_deref().map_or(Ok(()), check_new)?;
    args.plot.as_deref().map_or(Ok(()), check_new)?;
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let folder = model.folder();
    let (config, seed) = (&folder.config, folder.manifest.seed);
    let (path, split) = split_of(args.data.as_deref(), &config.data);
    let samples = data::load_split(&config.data, config.model.mode, &folder.schema, path, seed)?;
    let baseline = args.baseline.then(|| baseline_of(folder, &samples, split)).transpose()?;
    if let (Some(metric), Some(baseline), Format::Json) = (&args.metric, &baseline, args.format) {
        of_baseline(baseline, metric)?;
    }
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
    if let Some(path) = &args.plot {
        write_whole(path, plot(&*model, &samples, split)?.as_bytes())?;
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
            // Of one that was asked for there is no other.
            let main = if args.metric.is_some() { &scores[0] } else { Score::main(config, &scores)[0] };
            let beside = baseline.as_ref().map(|baseline| of_baseline(baseline, &main.metric)).transpose()?;
            print_json(main)?;
            beside.as_ref().map_or(Ok(()), print_json)?;
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

/// Steps of a plot at most.
const PLOT_STEPS: usize = 336;

/// What a model of a csv file says, of several rows ahead the farthest, beside what came.
fn plot(model: &dyn Predictor, samples: &Samples, split: &str) -> Result<String> {
    let folder = model.folder();
    let config = &folder.config.data;
    let (DataFormat::Csv, TargetSchema::Features { names, channels, .. }) =
        (config.format, &folder.schema.target)
    else {
        return Err(Error::Input("--plot draws forecasts: only a model of `csv` data makes some".into()));
    };
    // Samples follow each other in time: the last ones are enough.
    let (mut inputs, mut truths, mut n_steps): (Vec<SampleInput>, Vec<_>, usize) = Default::default();
    for sample in samples.iter().rev() {
        if n_steps >= PLOT_STEPS {
            break;
        }
        let truth = series::truth(&sample, config, &folder.schema)?;
        n_steps += truth.steps();
        inputs.push(sample.input.clone());
        truths.push(truth);
    }
    inputs.reverse();
    truths.reverse();
    let truth: Vec<f32> = truths.iter().flat_map(|values| values.data.iter().copied()).collect();
    if truth.iter().all(|value| !value.is_finite()) {
        let rows = config.season.unwrap_or(1) * config.seasons.unwrap_or(1);
        return Err(Error::Input(format!("no sample goes back {rows} rows: raise data.window")));
    }
    let answers = model.predict(&inputs, None)?;
    let said = answers.iter().filter_map(|answer| match answer {
        Answer::Values(values) => Some(values),
        _ => None,
    });
    let said = said.flat_map(|values| values.data.iter().copied());
    // Where the truth is not known, nor is what the forecast started from.
    let said: Vec<f32> =
        said.zip(&truth).map(|(said, truth)| if truth.is_nan() { f32::NAN } else { said }).collect();
    let n_ahead = config.rows_ahead();
    let n_columns = channels / n_ahead;
    let skipped = n_steps.saturating_sub(PLOT_STEPS);
    let column = |rows: &[f32], k: usize| -> Vec<f32> {
        rows.chunks(*channels).skip(skipped).map(|row| row[(n_ahead - 1) * n_columns + k]).collect()
    };
    let columns: Vec<[Vec<f32>; 2]> = (0..n_columns).map(|k| [column(&truth, k), column(&said, k)]).collect();
    let forecasts: Vec<Forecast> =
        names.iter().zip(&columns).map(|(name, [truth, said])| Forecast { name, truth, said }).collect();
    let all: usize = (0..samples.len()).map(|k| samples.said(k)).sum();
    let first = all - (n_steps - skipped) + 1;
    let horizon = config.horizon.unwrap_or(1);
    let rows = if horizon == 1 { "row" } else { "rows" };
    let title = format!("{}: {split}, {horizon} {rows} ahead", folder.manifest.name);
    Ok(forecast_svg(&title, &format!("forecast {horizon} {rows} before"), first, &forecasts))
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

/// The score of a baseline that a model's is held against, with what the baseline does.
fn of_baseline(baseline: &Baseline, metric: &str) -> Result<serde_json::Value> {
    let Some(score) = baseline.scores.iter().find(|s| s.metric == metric) else {
        let known: Vec<&str> = baseline.scores.iter().map(|s| s.metric.as_str()).collect();
        let known = known.join(", ");
        return Err(Error::Input(format!("the baseline has no score `{metric}`: it has {known}")));
    };
    let mut score = serde_json::to_value(score).expect("a score is plain");
    score["baseline"] = baseline.what.as_str().into();
    Ok(score)
}

/// The trivial answer to `samples`, learned from what the model was trained on.
fn baseline_of(folder: &ModelFolder, samples: &Samples, split: &str) -> Result<Baseline> {
    let config = &folder.config;
    // A drawing's moved copies are no drawings of their own.
    let plain = DataConfig { copies: None, ..config.data.clone() };
    let mut dataset = data::load(&plain, config.model.mode, folder.manifest.seed)?;
    if config.model.characters.is_none() {
        dataset.drop_spellings();
    }
    if dataset.schema != folder.schema {
        let message = "the training data has changed: its classes, vocabulary or scales are not the model's";
        return Err(Error::Input(message.into()));
    }
    train::baseline(config, &folder.schema, &dataset.train, samples, split)
}
