//! The command line: one thin file a subcommand, calling down.

mod bench;
mod eval;
mod export;
mod generate;
mod import;
mod info;
mod inspect;
mod list;
mod predict;
mod report;
mod seal;
mod sweep;
mod train;

use crate::backend::{self, DeviceInfo};
use crate::error::{Error, Result, one_line};
use crate::train::tell;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A model zoo of recurrent networks: train, score, export and use them.
#[derive(Debug, Parser)]
#[command(name = "rnn-zoo", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train what a configuration describes, and export the best epoch's model
    Train(train::TrainArgs),
    /// Train every combination of some values of a configuration's keys, and tell which one is best
    Sweep(sweep::SweepArgs),
    /// Put several runs side by side on a page of HTML
    Report(report::ReportArgs),
    /// Score a trained model on its test split
    Eval(eval::EvalArgs),
    /// Run a trained model on new input
    Predict(predict::PredictArgs),
    /// Write text with a trained language model
    Generate(generate::GenerateArgs),
    /// Write a trained model to a new folder, in another format
    #[command(visible_alias = "convert")]
    Export(export::ExportArgs),
    /// Make a model of PyTorch's weights
    Import(import::ImportArgs),
    /// Take a model folder's files as they are: write their checksums anew
    Seal(seal::SealArgs),
    /// Draw what a language model's hidden units do over a text, and tell what surprised it
    Inspect(inspect::InspectArgs),
    /// Show a model's layers, parameters, mode and scores
    Info(info::InfoArgs),
    /// List the models of the zoo
    List(list::ListArgs),
    /// Time layers, streams and training steps on this machine
    Bench(bench::BenchArgs),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Which backend and device.
#[derive(Clone, Debug, Default, Args)]
pub struct DeviceArgs {
    /// ndarray, wgpu or tch, of those compiled in [default: RNN_ZOO_BACKEND, or the most capable that has a device]
    #[arg(long)]
    backend: Option<String>,
    /// cpu, cuda:0, gpu:1, mps [default: the backend's most capable]
    #[arg(long)]
    device: Option<String>,
}

impl DeviceArgs {
    /// The device, told on stderr.
    ///
    /// # Errors
    /// See [`backend::select`].
    pub fn select(&self) -> Result<DeviceInfo> {
        let device = backend::select(self.backend.as_deref(), self.device.as_deref())?;
        tell(format!("device: {device}"));
        Ok(device)
    }
}

/// The device that a program's `--backend` and `--device` ask for, by default the most capable
/// one. Other arguments, and what [`backend::select`] refuses, are errors that end the program, as in every command line.
pub fn device_from_args() -> DeviceInfo {
    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        device: DeviceArgs,
    }
    Only::parse().device.select().unwrap_or_else(|error| {
        show_error(&error);
        std::process::exit(1)
    })
}

/// Shows an error in one line.
pub fn show_error(error: &Error) {
    tell(format!("error: {}", error.shown()));
}

/// A trained model.
#[derive(Debug, Args)]
struct ModelArg {
    /// A model folder, as in models/speaker, a run folder, or the name of a model in models/
    #[arg(value_name = "MODEL")]
    model: PathBuf,
}

/// Runs the program. Results go to stdout, the rest to stderr.
///
/// # Errors
/// Whatever the subcommand meets, to be shown in one line.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Train(args) => train::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Report(args) => report::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Export(args) => export::run(args),
        Command::Seal(args) => seal::run(args),
        Command::Import(args) => import::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Info(args) => info::run(args),
        Command::List(args) => list::run(args),
        Command::Bench(args) => bench::run(args),
    }
}

/// Refuses a file that is there: nothing is overwritten.
fn check_new(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(Error::file(path, "exists already, and nothing is overwritten: name another file"));
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") && !folder.is_dir() => {
            Err(Error::file(path, "its folder does not exist: make it first"))
        }
        _ => Ok(()),
    }
}

/// Prints a result.
fn print(text: &str) -> Result<()> {
    write(&format!("{text}\n"))
}

/// Prints a part of a result, at once. A reader that has gone away ends the program quietly.
fn write(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|e| Error::io("stdout", e)),
    }
}

/// Prints one JSON object on a line.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&serde_json::to_string(value).expect("plain data becomes JSON"))
}

/// Columns, each as wide as its widest cell; a cell may be from anybody's file.
fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let n = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |k: usize| rows.iter().filter_map(|row| row.get(k)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &w)| format!("{cell:<w$}")).collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_command_the_terminal() {
        let rows = [["a\u{1b}[2J", "b"], ["c\nd", "e"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows), "a\\u{1b}[2J  b\nc\\nd        e");
    }
}
