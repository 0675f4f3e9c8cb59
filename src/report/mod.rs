//! Several runs side by side: what each run folder tells, and one page of HTML.

mod page;

pub use page::page;

use crate::artifact::{self, Manifest};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::file::read_utf8;
use crate::train::Score;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Bytes of the largest table of epochs.
const MAX_TEXT: u64 = 2 << 20;

/// What a run folder tells of its run.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// What it is called: the folder as it was named.
    pub name: String,
    /// Its configuration.
    pub config: Config,
    /// The exported model's manifest and scores; `None` where the run was interrupted, has failed or still goes on.
    pub finished: Option<(Manifest, Vec<Score>)>,
    /// What the score of each epoch is, as in `accuracy`; empty where there is no epoch.
    pub metric: String,
    /// The epochs, in their order; none where the folder has no `metrics.csv`, as in the zoo.
    pub epochs: Vec<RunEpoch>,
    /// What training went through, as in `tokens`; `None`: not told.
    pub unit: Option<&'static str>,
}

/// A row of `metrics.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunEpoch {
    /// Its number, from 1.
    pub epoch: f64,
    /// Mean loss while training.
    pub train_loss: f64,
    /// Mean loss on the validation split.
    pub valid_loss: f64,
    /// Score on the validation split.
    pub score: f64,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Valid steps of training and the wall time they took, where the file tells them.
    pub speed: Option<[f64; 2]>,
}

impl RunSummary {
    /// Reads a run folder: one that training has finished, or one that it has begun. A model folder will do.
    ///
    /// # Errors
    /// If it is neither, or a file is damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let has = |name: &str| folder.join(name).is_file();
        if has("sweep.csv") {
            let message = format!("is a sweep, whose runs are in it: name {}", folder.join("*/").display());
            return Err(Error::file(folder, message));
        }
        let unfinished = folder.is_dir() && !has("manifest.json") && !has("model/manifest.json");
        let (config, finished) = if unfinished {
            let path = folder.join("config.toml");
            if !path.is_file() {
                let message = "has no config.toml, it is not a run folder: name one that `train` made, as in runs/speaker";
                return Err(Error::file(folder, message));
            }
            let config = Config::from_file(&path, &[]).map_err(|e| match e {
                Error::Config { .. } => Error::file(&path, e.to_string()),
                other => other,
            })?;
            (config, None)
        } else {
            let (_, model) = artifact::open(folder)?;
            (model.config, Some((model.manifest, model.scores)))
        };
        let mut run = Self {
            name: folder.display().to_string(),
            config,
            finished,
            metric: String::new(),
            epochs: Vec::new(),
            unit: None,
        };
        let path = folder.join("metrics.csv");
        if path.is_file() {
            run.read_metrics(&path)?;
        }
        Ok(run)
    }

    fn read_metrics(&mut self, path: &Path) -> Result<()> {
        let text = read_utf8(path, MAX_TEXT)?;
        let damaged = |line: usize, what: String| {
            let advice = "the file is damaged: leave this run out, or train it again in another folder";
            Error::line(path, line, format!("{what}; {advice}"))
        };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let head = reader.headers().map_err(|e| damaged(1, e.to_string()))?.clone();
        let find = |name: &str| head.iter().position(|column| column == name);
        let column = |name: &str| find(name).ok_or_else(|| damaged(1, format!("has no column `{name}`")));
        let names = ["epoch", "train_loss", "valid_loss", "seconds"];
        let [epoch, train_loss, valid_loss, seconds] = names.map(column);
        let (epoch, train_loss, valid_loss, seconds) = (epoch?, train_loss?, valid_loss?, seconds?);
        let (score, metric) = head
            .iter()
            .enumerate()
            .filter_map(|(k, name)| Some((k, name.strip_prefix("valid_")?)))
            .find(|(_, metric)| *metric != "loss")
            .ok_or_else(|| damaged(1, "has no column of a validation score".into()))?;
        let unit = [("tokens", "tokens"), ("time_steps", "time steps")]
            .into_iter()
            .find_map(|(key, unit)| Some((find(key)?, unit)));
        let speed = unit.and_then(|(steps, _)| Some((steps, find("train_seconds")?)));
        for (k, row) in reader.records().enumerate() {
            let line = k + 2;
            let row = row.map_err(|e| damaged(line, e.to_string()))?;
            let number = |k: usize| -> Result<f64> {
                let text = row.get(k).unwrap_or_default();
                text.parse().map_err(|_| damaged(line, format!("`{text}` is not a number")))
            };
            self.epochs.push(RunEpoch {
                epoch: number(epoch)?,
                train_loss: number(train_loss)?,
                valid_loss: number(valid_loss)?,
                score: number(score)?,
                seconds: number(seconds)?,
                speed: speed
                    .map(|(steps, time)| -> Result<[f64; 2]> { Ok([number(steps)?, number(time)?]) })
                    .transpose()?,
            });
        }
        if !self.epochs.is_empty() {
            self.metric = metric.into();
        }
        self.unit = unit.map(|(_, unit)| unit);
        Ok(())
    }

    /// Steps a second while training, over all epochs.
    fn rate(&self) -> Option<f64> {
        let speeds: Vec<[f64; 2]> = self.epochs.iter().filter_map(|epoch| epoch.speed).collect();
        let [steps, seconds] = [0, 1].map(|k| speeds.iter().map(|speed| speed[k]).sum::<f64>());
        (seconds > 0.0).then(|| steps / seconds)
    }

    /// Wall time, seconds.
    fn seconds(&self) -> Option<f64> {
        // That of the manifest is rounded, and goes without the last scores too.
        let epochs: f64 = self.epochs.iter().map(|epoch| epoch.seconds).sum();
        let told = self.finished.as_ref().map_or(0.0, |(manifest, _)| manifest.seconds);
        Some(epochs).filter(|s| *s > 0.0).or(Some(told).filter(|s| *s > 0.0))
    }
}

/// Every key of a configuration, as in `model.d_hidden`, and its value.
pub fn keys(config: &Config) -> BTreeMap<String, String> {
    fn walk(key: &str, value: &Value, keys: &mut BTreeMap<String, String>) {
        let text = match value {
            Value::Object(table) => {
                for (name, value) in table {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    walk(&key, value, keys);
                }
                return;
            }
            Value::Null => return,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        keys.insert(key.into(), text);
    }
    let mut keys = BTreeMap::new();
    walk("", &serde_json::to_value(config).expect("a configuration is plain"), &mut keys);
    keys
}

/// The keys that not all configurations have with the same value, and their values in each.
pub fn differences(configs: &[&Config]) -> Vec<(String, Vec<Option<String>>)> {
    let all: Vec<BTreeMap<String, String>> = configs.iter().map(|config| keys(config)).collect();
    let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    names
        .into_iter()
        .map(|name| (name.clone(), all.iter().map(|keys| keys.get(name).cloned()).collect::<Vec<_>>()))
        .filter(|(_, values)| values.iter().any(|value| *value != values[0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = 'n'\nmodel = { mode = 'many-to-one', cell = 'rnn', d_hidden = 4 }\n\
                        data = { format = 'adding', steps = 6, samples = 64 }\n";

    fn config(set: &[&str]) -> Config {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        Config::from_toml(TOML, Path::new("a.toml"), &set).unwrap()
    }

    #[test]
    fn keys_that_differ_are_told_with_their_values() {
        let runs = [config(&[]), config(&["train.lr=0.5"]), config(&["model.d_output=1", "train.lr=0.5"])];
        let found = differences(&runs.each_ref());
        let values: Vec<(&str, Vec<Option<&str>>)> =
            found.iter().map(|(key, v)| (key.as_str(), v.iter().map(Option::as_deref).collect())).collect();
        assert_eq!(values[0], ("model.d_output", vec![None, None, Some("1")]));
        assert_eq!((values[1].0, &values[1].1[1..]), ("train.lr", &[Some("0.5"), Some("0.5")][..]));
        assert_eq!(values.len(), 2);
        assert_eq!(differences(&[&runs[0], &runs[0]]), []);
    }

    #[test]
    fn a_run_that_did_not_finish_tells_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let error = |text: &str| {
            let error = RunSummary::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(folder.path().to_str().unwrap()), "{error}");
        };
        error("has no config.toml");
        write("config.toml", TOML);
        let run = RunSummary::read(folder.path()).unwrap();
        assert!(run.finished.is_none() && run.epochs.is_empty() && run.rate().is_none());

        let head = "epoch,train_loss,valid_loss,valid_mse,lr,time_steps,train_seconds,seconds\n";
        write("metrics.csv", &format!("{head}1,0.5,0.6,0.6,0.01,300,1,2\n2,0.4,NaN,0.5,0.01,300,2,3\n"));
        let run = RunSummary::read(folder.path()).unwrap();
        assert_eq!((run.metric.as_str(), run.unit, run.epochs.len()), ("mse", Some("time steps"), 2));
        assert_eq!((run.rate(), run.seconds()), (Some(200.0), Some(5.0)));
        assert!(run.epochs[1].valid_loss.is_nan());

        write("metrics.csv", "epoch,train_loss,valid_loss,valid_mse,lr,seconds\n1,0.5,0.6,0.6,0.01,2\n");
        let run = RunSummary::read(folder.path()).unwrap();
        assert_eq!((run.unit, run.rate(), run.seconds()), (None, None, Some(2.0)));
        let long = "\n".repeat(MAX_TEXT as usize + 1);
        for (text, says) in [
            (long.as_str(), "metrics.csv: is larger than 2 MiB"),
            ("", "metrics.csv:1: has no column `epoch`"),
            (
                "epoch,train_loss,valid_loss,lr,seconds\n",
                "metrics.csv:1: has no column of a validation score",
            ),
            (&format!("{head}1,x,0.6,0.6,0.01,300,1,2\n"), "metrics.csv:2: `x` is not a number"),
            (&format!("{head}1,0.5\n"), "metrics.csv:2: "),
        ] {
            write("metrics.csv", text);
            error(says);
        }
    }
}
