use super::train::{ProgressArgs, mean_text, seeds, select, stop_on_interrupt};
use super::{DeviceArgs, Format, print, print_json, table};
use crate::artifact;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::file::{lock, write_whole};
use crate::report::differences;
use crate::train::{self, MeanScore, Score, is_stopping, mean_scores, resume};
use clap::Args;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Runs of the largest sweep.
const MAX_RUNS: u64 = 10_000;

#[derive(Debug, Args)]
pub struct SweepArgs {
    /// A configuration, as in configs/speaker.toml
    config: PathBuf,
    /// A key and its values, as in model.d_hidden=64,128; repeated, every combination is trained. A comma inside
    /// brackets or quotes parts no values: 'data.columns=["a","b"],["a"]'
    #[arg(long, value_name = "KEY=V1,V2", required = true)]
    grid: Vec<String>,
    /// Train each combination with so many seeds, from that of the configuration on
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Set a key of the configuration for all runs, as in train.epochs=3; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the run folders and of sweep.csv; if this sweep is there, it goes on where it was interrupted
    /// [default: sweeps/NAME]
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    progress: ProgressArgs,
    /// How the table, on stdout, and the progress, on stderr, are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

/// A key and the values that it takes, as they were written.
struct Axis {
    key: String,
    values: Vec<String>,
}

/// One value of each key, and what came of it.
struct Combination {
    values: Vec<String>,
    config: Config,
    /// The scores and the folders of the runs that are finished.
    runs: Vec<(Vec<Score>, PathBuf)>,
    failed: usize,
}

impl Combination {
    /// The mean of the main score of a split.
    fn mean(&self, split: &str) -> Option<MeanScore> {
        let scores: Vec<&[Score]> = self.runs.iter().map(|(scores, _)| scores.as_slice()).collect();
        mean_scores(&scores).into_iter().find(|mean| mean.split == split)
    }

    /// Whether more of the main score is better.
    fn higher_is_better(&self) -> bool {
        self.runs.first().and_then(|(scores, _)| scores.first()).is_none_or(Score::higher_is_better)
    }
}

pub fn run(args: SweepArgs) -> Result<()> {
    stop_on_interrupt()?;
    let axes = args.grid.iter().map(|text| Axis::parse(text)).collect::<Result<Vec<_>>>()?;
    let base = Config::from_file(&args.config, &args.set)?;
    let seeds = seeds(&base, args.seeds)?;
    let mut combinations = combinations(&axes, &args)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("sweeps").join(&base.name));
    let device = select(&args.device, args.format)?;
    let _lock = open_folder(&out, &base)?;
    let n_runs = combinations.len() as u64 * args.seeds;
    let mut number = 0;
    for combination in &mut combinations {
        for seed in seeds.clone() {
            number += 1;
            let name = run_name(&axes, &combination.values, seed);
            let folder = out.join(&name);
            let tell = |state: &str, error: Option<&Error>| {
                if error.is_some() || !args.progress.quiet {
                    tell(args.format, [number, n_runs], &folder, state, error);
                }
            };
            let done = if folder.exists() {
                tell("finished before", None);
                artifact::open(&folder.join("model")).map(|(_, model)| model.scores)
            } else {
                let draft = out.join(format!("{name}.part"));
                let mut config = combination.config.clone();
                config.train.seed = seed;
                let progress = args.progress.lines(args.format);
                tell(if draft.exists() { "was not finished: goes on" } else { "begins" }, None);
                let scores = if draft.join("model").exists() {
                    artifact::open(&draft.join("model")).map(|(_, model)| model.scores)
                } else if draft.join("config.toml").exists() {
                    resume(&draft, &device, progress).map(|run| run.scores)
                } else {
                    fresh(&draft)
                        .and_then(|()| train::train(&config, &device, &draft, progress))
                        .map(|run| run.scores)
                };
                scores.and_then(|scores| {
                    fs::rename(&draft, &folder).map_err(|e| Error::io(&folder, e))?;
                    Ok(scores)
                })
            };
            if let (Err(error), true) = (&done, is_stopping()) {
                tell("stopped", Some(error));
                return Err(Error::Training("stopped; to go on: the same command".into()));
            }
            match done {
                Ok(scores) => combination.runs.push((scores, folder)),
                Err(error) => {
                    tell("failed", Some(&error));
                    combination.failed += 1;
                }
            }
        }
    }
    let failed: usize = combinations.iter().map(|combination| combination.failed).sum();
    combinations.sort_by(better);
    let path = out.join("sweep.csv");
    write_whole(&path, &table_csv(&axes, &combinations))?;
    show(&axes, &combinations, args.format)?;
    if args.format == Format::Text && !args.progress.quiet {
        train::tell(format!("table: {}", path.display()));
    }
    if failed > 0 {
        return Err(Error::Training(format!(
            "{failed} of {n_runs} runs failed, as told above: the same command tries them again"
        )));
    }
    Ok(())
}

impl Axis {
    /// Reads `KEY=V1,V2`.
    fn parse(text: &str) -> Result<Self> {
        let refused = |message: &str| {
            let how = "write it as --grid model.d_hidden=64,128";
            Err(Error::config(format!("--grid {}", text.escape_debug()), format!("{message}: {how}")))
        };
        let Some((key, values)) = text.split_once('=') else { return refused("has no `=`") };
        let Some(values) = split_values(values) else {
            return refused("has a bracket or a quote without its other half");
        };
        let key = key.split('.').map(str::trim).collect::<Vec<_>>().join(".");
        if key.is_empty() {
            return refused("has an empty key");
        }
        if values.iter().any(String::is_empty) {
            return refused("has an empty value");
        }
        if values.iter().collect::<BTreeSet<_>>().len() < values.len() {
            return refused("has a value twice");
        }
        if key == "train.seed" {
            return refused("is what --seeds is for: leave it out, or choose another key");
        }
        Ok(Self { key, values })
    }
}

/// The parts of a text between commas that stand in no brackets and no quotes of TOML; `None` where one of these is not
/// closed.
fn split_values(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut open = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let part = parts.last_mut()?;
        match (c, open.last().copied()) {
            (',', None) => {
                parts.push(String::new());
                continue;
            }
            ('\\', Some('"')) => {
                part.push(c);
                part.extend(chars.next());
                continue;
            }
            (_, Some(quote @ ('"' | '\''))) if c == quote => drop(open.pop()),
            (_, Some('"' | '\'')) => {}
            // A quote inside a word is part of it.
            ('"' | '\'', _) if !open.is_empty() || part.trim().is_empty() => open.push(c),
            ('[', _) => open.push(']'),
            ('{', _) => open.push('}'),
            (']' | '}', last) => {
                open.pop();
                if last != Some(c) {
                    return None;
                }
            }
            _ => {}
        }
        part.push(c);
    }
    open.is_empty().then(|| parts.iter().map(|part| part.trim().to_string()).collect())
}

/// Every combination of the axes' values, the last one changing first, with its configuration.
fn combinations(axes: &[Axis], args: &SweepArgs) -> Result<Vec<Combination>> {
    if let Some(k) = (1..axes.len()).find(|&k| axes[..k].iter().any(|axis| axis.key == axes[k].key)) {
        let key = &axes[k].key;
        return Err(Error::config(
            format!("--grid {key}"),
            format!("is there twice: write its values together, as in {key}=1,2"),
        ));
    }
    let n_runs = axes.iter().try_fold(args.seeds, |n, axis| n.checked_mul(axis.values.len() as u64));
    if n_runs.is_none_or(|n| n > MAX_RUNS) {
        let message = format!("the grid has over {MAX_RUNS} runs: leave some values or seeds out");
        return Err(Error::Input(message));
    }
    let mut all = vec![Vec::new()];
    for axis in axes {
        let longer = |values: &Vec<String>| -> Vec<Vec<String>> {
            axis.values.iter().map(|value| [&values[..], std::slice::from_ref(value)].concat()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    let combination = |values: Vec<String>| {
        let keys = axes.iter().zip(&values).map(|(axis, value)| format!("{}={value}", axis.key));
        let set: Vec<String> = args.set.iter().cloned().chain(keys).collect();
        let config = Config::from_file(&args.config, &set).map_err(|error| of_grid(error, axes))?;
        Ok(Combination { values, config, runs: Vec::new(), failed: 0 })
    };
    all.into_iter().map(combination).collect()
}

/// An error of `--set` that is one of `--grid`.
fn of_grid(error: Error, axes: &[Axis]) -> Error {
    match error {
        Error::Config { key, message } => {
            let axis = axes.iter().find(|axis| key.strip_prefix("--set ") == Some(axis.key.as_str()));
            Error::Config { key: axis.map_or(key, |axis| format!("--grid {}", axis.key)), message }
        }
        other => other,
    }
}

/// Makes the folder of a sweep, or finds that it is this one's; no other sweep works in it while the file is open.
fn open_folder(out: &Path, base: &Config) -> Result<File> {
    let path = out.join("config.toml");
    if path.exists() {
        let mut before = Config::from_file(&path, &[])?;
        // Each run's folder tells its seed.
        before.train.seed = base.train.seed;
        let keys: Vec<String> = differences(&[&before, base]).into_iter().map(|(key, _)| key).collect();
        if !keys.is_empty() {
            let message = format!(
                "has runs of another configuration, which differs in {}: name another folder with --out",
                keys.join(", ")
            );
            return Err(Error::file(out, message));
        }
    } else {
        let taken = out.exists() && fs::read_dir(out).map_err(|e| Error::io(out, e))?.next().is_some();
        if taken {
            let message = "is not empty, and no sweep's folder: name another one with --out";
            return Err(Error::file(out, message));
        }
        fs::create_dir_all(out).map_err(|e| Error::io(out, e))?;
        write_whole(&path, base.to_toml().as_bytes())?;
    }
    lock(out, "is being worked in by another sweep: wait for it, or name another folder")
}

/// Makes room for a run: what an interrupted one has left is removed.
fn fresh(draft: &Path) -> Result<()> {
    match fs::remove_dir_all(draft) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(draft, e)),
        _ => Ok(()),
    }
}

/// The folder of a run, named after its values and its seed.
fn run_name(axes: &[Axis], values: &[String], seed: u64) -> String {
    let pairs = axes.iter().zip(values).map(|(axis, value)| (axis.key.as_str(), value.as_str()));
    let parts: Vec<String> = pairs.map(|(key, value)| format!("{}={}", part(key), part(value))).collect();
    let mut name = format!("{},seed={seed}", parts.join(","));
    if name.len() > 200 {
        // File systems take 255 bytes. A part is ASCII.
        name = format!("{}-{:016x},seed={seed}", &name[..160], hash(&name));
    }
    name
}

/// A key or a value as a part of a folder's name; where it has other characters than names should have, a hash keeps it
/// apart from those that look the same then.
fn part(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if text.chars().all(plain) && text.len() <= 60 {
        return text.into();
    }
    let shown: String = text.chars().filter(|c| plain(*c)).take(40).collect();
    format!("{shown}-{:08x}", hash(text) as u32)
}

/// FNV-1a: the same on every machine and with every version.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Tells of one run, on stderr.
fn tell(format: Format, [number, n_runs]: [u64; 2], folder: &Path, state: &str, error: Option<&Error>) {
    let error = error.map(Error::shown);
    match format {
        Format::Json => train::tell(serde_json::json!({
            "event": "sweep", "number": number, "runs": n_runs, "run": folder, "state": state, "error": error,
        })),
        Format::Text => {
            let error = error.map(|error| format!(": {error}")).unwrap_or_default();
            train::tell(format!("run {number}/{n_runs}: {} {state}{error}", folder.display()));
        }
    }
}

/// Which combination stands before which: the one better on validation; those without a finished run are last.
fn better(a: &Combination, b: &Combination) -> Ordering {
    match (a.mean("valid"), b.mean("valid")) {
        (Some(x), Some(y)) => match a.higher_is_better() {
            true => y.mean.total_cmp(&x.mean),
            false => x.mean.total_cmp(&y.mean),
        },
        (x, y) => y.is_some().cmp(&x.is_some()),
    }
}

const SPLITS: [&str; 2] = ["valid", "test"];

/// The name of a split's main score, if any combination has one.
fn score_name(combinations: &[Combination], split: &str) -> Option<String> {
    let mean = combinations.iter().find_map(|combination| combination.mean(split))?;
    Some(format!("{split} {}", mean.metric))
}

fn show(axes: &[Axis], combinations: &[Combination], format: Format) -> Result<()> {
    if format == Format::Json {
        return combinations.iter().try_for_each(|combination| {
            let grid: serde_json::Map<String, serde_json::Value> = axes
                .iter()
                .zip(&combination.values)
                .map(|(axis, value)| (axis.key.clone(), value.as_str().into()))
                .collect();
            let [valid, test] = SPLITS.map(|split| combination.mean(split));
            print_json(&serde_json::json!({
                "event": "combination",
                "grid": grid,
                "runs": combination.runs.iter().map(|(_, folder)| folder).collect::<Vec<_>>(),
                "failed": combination.failed,
                "valid": valid,
                "test": test,
            }))
        });
    }
    let splits: Vec<(&str, String)> =
        SPLITS.iter().filter_map(|split| Some((*split, score_name(combinations, split)?))).collect();
    let mut head: Vec<String> = axes.iter().map(|axis| axis.key.clone()).collect();
    head.push("runs".into());
    head.extend(splits.iter().map(|(_, name)| name.clone()));
    let row = |combination: &Combination| {
        let mut row = combination.values.clone();
        row.push(match combination.failed {
            0 => combination.runs.len().to_string(),
            failed => format!("{} ({failed} failed)", combination.runs.len()),
        });
        row.extend(
            splits.iter().map(|(split, _)| combination.mean(split).as_ref().map_or("-".into(), mean_text)),
        );
        row
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(combinations.iter().map(row)).collect();
    print(&table(&rows))
}

/// The table as a file; a number that is not known is empty.
fn table_csv(axes: &[Axis], combinations: &[Combination]) -> Vec<u8> {
    let mut head: Vec<String> = axes.iter().map(|axis| axis.key.clone()).collect();
    head.extend(["runs", "failed"].map(String::from));
    for split in SPLITS {
        let name = score_name(combinations, split).unwrap_or_else(|| split.into()).replace(' ', "_");
        head.extend([format!("{name}_mean"), format!("{name}_deviation")]);
    }
    let mut table = csv::Writer::from_writer(Vec::new());
    let row = |combination: &Combination| {
        let mut row = combination.values.clone();
        row.extend([combination.runs.len().to_string(), combination.failed.to_string()]);
        for split in SPLITS {
            let mean = combination.mean(split);
            let deviation = mean.as_ref().and_then(|mean| mean.deviation);
            row.extend(
                [mean.map(|mean| mean.mean), deviation].map(|n| n.map_or(String::new(), |n| n.to_string())),
            );
        }
        row
    };
    let rows = std::iter::once(head).chain(combinations.iter().map(row));
    rows.into_iter().try_for_each(|row| table.write_record(row)).expect("every row is as long as the first");
    table.into_inner().expect("memory takes what is written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_brackets_and_quotes_part_nothing() {
        let split = |text| split_values(text).map(|parts| parts.join(" | "));
        for (text, parts) in [
            ("64,128", "64 | 128"),
            ("gru , lstm", "gru | lstm"),
            (r#"["a","b"],["a"]"#, r#"["a","b"] | ["a"]"#),
            (r#""a,b",'c,"d'"#, r#""a,b" | 'c,"d'"#),
            (r#""a\",b",c"#, r#""a\",b" | c"#),
            ("{ a = [1, 2], b = '}' },x", "{ a = [1, 2], b = '}' } | x"),
            ("it's,so", "it's | so"),
            ("1,,2", "1 |  | 2"),
        ] {
            assert_eq!(split(text).as_deref(), Some(parts), "{text}");
        }
        for text in ["[1,2", "1]", "[1}", "\"a", "'a,b"] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn a_grid_that_cannot_be_says_why() {
        for (text, says) in [
            ("model.d_hidden", "has no `=`"),
            ("model.d_hidden=1,", "has an empty value"),
            ("model.d_hidden=1,1", "has a value twice"),
            ("data.columns=[1", "without its other half"),
            ("train.seed=1,2", "--seeds"),
        ] {
            let error = Axis::parse(text).map(|axis| axis.key).unwrap_err().to_string();
            assert!(error.contains(says) && error.starts_with(&format!("`--grid {text}`")), "{error}");
        }
    }

    #[test]
    fn names_of_runs_are_files_and_differ() {
        let axes = |n: usize| -> Vec<Axis> {
            (0..n).map(|k| Axis { key: format!("train.key_{k}"), values: Vec::new() }).collect()
        };
        let name = |values: &[&str], seed| {
            run_name(&axes(values.len()), &values.iter().map(ToString::to_string).collect::<Vec<_>>(), seed)
        };
        assert_eq!(name(&["64", "1e-3"], 7), "train.key_0=64,train.key_1=1e-3,seed=7");
        let long = "x".repeat(70);
        let all = [
            name(&["a/b"], 0),
            name(&["a\\b"], 0),
            name(&["ab"], 0),
            name(&[r#"["a","b"]"#], 0),
            name(&[&long], 0),
            name(&[&format!("{long}y")], 0),
            name(&[long.as_str(); 20], 0),
            name(&[long.as_str(); 20], 1),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        for name in all {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._+-=,".contains(c);
            assert!(name.len() <= 230 && name.chars().all(plain), "{name}");
        }
    }
}
