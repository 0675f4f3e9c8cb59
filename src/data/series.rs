//! CSV files whose rows are time steps: what do the next readings look like?
//!
//! Training, validation and test follow each other in the file; means and deviations are those of the training part.
//! A many-to-one sample is a window of rows and the targets `horizon` rows after its last; such a window starts at every
//! row. In the other modes every row of the window has as its target the row `horizon` after it, and windows do not
//! overlap. A stream, mode one-to-one, is trained on windows; validated, tested and scored it runs from the first row to
//! the last.
//!
//! With `trajectory` the targets are all of the `horizon` rows, side by side. With `season` they are differences from the
//! values so many rows before them, which may be rows of the part before; before the file's first row it is that row's.
//! With `seasons` it is the mean of that many such values, moved to the level of the last season: the season as
//! exponential smoothing has it (Holt 1957; Winters 1960), and what a network adds to it as in Smyl 2020, "A hybrid method
//! of exponential smoothing and recurrent neural networks for time series forecasting".

use super::memory::{Budget, Cause};
use super::sample::{Features, InputSchema, Sample, SampleInput, SampleTarget, Scale, Schema, TargetSchema};
use super::shared::Values;
use super::{
    DEFAULT_WINDOW, MAX_VALUES, Source, each, input_features, list, mismatch, number, read_text, split,
    target_features,
};
use crate::config::duplicate;
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use crate::file::line_at;
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Columns of a CSV file.
pub(super) struct Series {
    path: PathBuf,
    /// Bytes of the file's text.
    size: usize,
    inputs: Table,
    /// None: they are those of the inputs.
    targets: Option<Table>,
    mode: IoMode,
    window: usize,
    horizon: usize,
    trajectory: bool,
    /// Of the target columns.
    season: Option<Season>,
    standardize: bool,
    /// Whether it is read to be trained on.
    trains: bool,
}

/// Bytes of a column's name, but for its text, and of its scale.
const COLUMN: usize = size_of::<String>() + 32 + size_of::<Scale>();

/// Rows of a file.
#[derive(Default)]
pub(super) struct Rows {
    range: Range<usize>,
    /// Whether they are one window.
    whole: bool,
}

/// Named columns of numbers.
#[derive(Clone)]
struct Table {
    names: Vec<String>,
    /// Row by row.
    values: Vec<f32>,
}

impl Table {
    /// The columns `names` of a CSV text; without names, those that have a number in the first row.
    fn parse(path: &Path, text: &str, names: &[String], budget: &mut Budget) -> Result<Self> {
        check_blank_lines(path, text)?;
        let refuse = |line, message: String| Err(Error::line(path, line, message));
        let mut reader = csv_reader(path, text)?;
        let header = reader.headers().map_err(|e| csv_error(path, text, &e))?.clone();
        if header.iter().all(|name| number(name).is_ok()) {
            return refuse(1, "the first line must name the columns; it has numbers only".into());
        }
        if let Some(name) = duplicate(&header.iter().collect::<Vec<_>>()) {
            return refuse(1, format!("column `{name}` is there twice"));
        }
        let mut columns = find(path, &header, names)?;
        let mut data = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| csv_error(path, text, &e))?;
            if columns.is_empty() {
                columns = (0..record.len()).filter(|c| number(&record[*c]).is_ok()).collect();
            }
            if columns.is_empty() {
                return refuse(line_of(text, record.position()), "no column has a number".into());
            }
            let read = start_of(text, record.position());
            budget.take_for(Cause::Columns, columns.len() * size_of::<f32>(), read)?;
            for column in &columns {
                match number(&record[*column]) {
                    Ok(value) => data.push(value),
                    Err(e) => {
                        let line = line_of(text, record.position());
                        return refuse(line, format!("column `{}`: {e}", &header[*column]));
                    }
                }
            }
        }
        if data.is_empty() {
            return Err(Error::file(path, "has no row under its header"));
        }
        Ok(Self { names: columns.iter().map(|c| header[*c].to_string()).collect(), values: data })
    }

    fn rows(&self, rows: Range<usize>) -> &[f32] {
        &self.values[range(&rows, self.width())]
    }

    /// Values a row.
    fn width(&self) -> usize {
        self.names.len()
    }

    /// How many rows there are.
    fn n_rows(&self) -> usize {
        self.values.len() / self.width()
    }

    /// Keeps `n` rows, in as much memory as they need.
    fn truncate(&mut self, n: usize) {
        self.values.truncate(n * self.width());
        self.values.shrink_to_fit();
    }

    /// The values, scaled.
    fn scaled(mut self, scales: &[Scale]) -> Vec<f32> {
        split::standardize(&mut self.values, scales);
        self.values
    }
}

/// What the columns of a file may take, beside its text.
fn budget(path: &Path, text: &str) -> Result<Budget> {
    let mut budget = Budget::new(path, text.len());
    budget.take_all_for(Cause::Columns, text.len())?;
    Ok(budget)
}

/// Where the values of rows are.
fn range(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

/// Which columns are those of some names.
fn find(path: &Path, header: &StringRecord, names: &[String]) -> Result<Vec<usize>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // No name is there twice.
    let places: HashMap<&str, usize> = header.iter().zip(0..).collect();
    let place = |name: &String| {
        places.get(name.as_str()).copied().ok_or_else(|| {
            let message = format!("has no column `{name}`; it has: {}", list(header));
            Error::file(path, message)
        })
    };
    names.iter().map(place).collect()
}

/// Whether two paths are of one file.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The csv crate skips blank lines. Here one would be a lost time step.
fn check_blank_lines(path: &Path, text: &str) -> Result<()> {
    let mut lines = text.trim_end().lines();
    match lines.position(|line| line.trim().is_empty()) {
        Some(n) => Err(Error::line(path, n + 1, "the line is blank: remove it or fill it in")),
        None => Ok(()),
    }
}

/// Columns of a CSV file at most, and bytes of a row: the csv crate takes eight bytes a column, and has rows in buffers of
/// up to twice their length, the header in several.
const MOST_COLUMNS: usize = 1 << 16;
const MOST_ROW: usize = 4 << 20;

/// Reads a CSV text row by row.
///
/// # Errors
/// A row of too many columns or bytes, before any is read.
pub(super) fn csv_reader<'a>(path: &Path, text: &'a str) -> Result<Reader<&'a [u8]>> {
    // Where the row begins, its commas, whether this is between quotes, and whether a quote here begins what is.
    let (mut start, mut commas, mut quoted, mut opens) = (0, 0, false, true);
    // As the csv crate, which leaves out a byte order mark.
    let bytes = text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if quoted => (quoted, opens) = (false, true),
            b'"' if opens => quoted = true,
            _ if quoted => {}
            b',' => (commas, opens) = (commas + 1, true),
            b'\n' | b'\r' => (start, commas, opens) = (at + 1, 0, true),
            _ => opens = false,
        }
        // Bytes of the row before this one, which may have ended it: then the next one begins behind it.
        let before = at.saturating_sub(start);
        let too = if commas >= MOST_COLUMNS {
            format!("has more than {MOST_COLUMNS} columns: leave some out")
        } else if before >= MOST_ROW {
            format!("is longer than {} MiB: leave it out, or close a quote that is open", MOST_ROW >> 20)
        } else {
            continue;
        };
        return Err(Error::line(path, line_at(bytes, start), format!("the row {too}")));
    }
    Ok(ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes()))
}

pub(super) fn csv_error(path: &Path, text: &str, error: &csv::Error) -> Error {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let message = format!("{len} cells, where the header has {expected_len}");
            Error::line(path, line_of(text, pos.as_ref()), message)
        }
        _ => Error::file(path, error.to_string()),
    }
}

/// Where a record begins. The csv crate's own count of lines is one short after `\r\n`.
pub(super) fn start_of(text: &str, position: Option<&csv::Position>) -> usize {
    let bytes = text.as_bytes();
    let start = position.map_or(0, |p| p.byte() as usize).min(bytes.len());
    start + bytes[start..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
}

/// The line of a record.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    line_at(text.as_bytes(), start_of(text, position))
}

/// Names of a schema's columns.
fn named(names: &[String]) -> Result<&[String]> {
    if names.is_empty() { Err(mismatch()) } else { Ok(names) }
}

fn input_names(input: &InputSchema) -> Result<&[String]> {
    match input {
        InputSchema::Features { names, .. } => named(names),
        _ => Err(mismatch()),
    }
}

/// Those of one row: a trajectory has them once a row.
fn target_names<'a>(target: &'a TargetSchema, config: &DataConfig) -> Result<&'a [String]> {
    match target {
        TargetSchema::Features { names, .. } => named(&names[..names.len() / config.rows_ahead()]),
        _ => Err(mismatch()),
    }
}

/// The columns that a model of `config` and `target` says, those of one row; none where they have no names.
pub(crate) fn target_columns<'a>(config: &DataConfig, target: &'a TargetSchema) -> &'a [String] {
    target_names(target, config).unwrap_or_default()
}

/// What a model of differences adds to what it says: the values a season before those that it predicts, or the mean of
/// some, as far above the last season's mean as they are above their own.
#[derive(Clone, Debug)]
pub(crate) struct Season {
    /// Rows from a value to that a season after it.
    rows: usize,
    /// Values that the mean is of.
    seasons: usize,
    horizon: usize,
    trajectory: bool,
    /// Of each target column, which of the input's it is.
    columns: Vec<usize>,
    d_input: usize,
}

impl Season {
    /// That of a model of `config` and `schema`; none where values themselves are predicted.
    ///
    /// # Errors
    /// A model that does not read what it predicts.
    pub(crate) fn of(config: &DataConfig, schema: &Schema) -> Result<Option<Self>> {
        let Some(rows) = config.season else { return Ok(None) };
        let (names, targets) = (input_names(&schema.input)?, target_names(&schema.target, config)?);
        // Of a name that is there twice, the first.
        let places: HashMap<&str, usize> =
            names.iter().enumerate().rev().map(|(k, name)| (name.as_str(), k)).collect();
        let place = |target: &String| places.get(target.as_str()).copied().ok_or_else(mismatch);
        let columns = targets.iter().map(place).collect::<Result<Vec<usize>>>()?;
        let d_input = input_features(&schema.input)?.0;
        let d_output = target_features(&schema.target)?.0;
        if names.len() != d_input || columns.len() * config.rows_ahead() != d_output {
            return Err(mismatch());
        }
        Ok(Some(Self::new(config, rows, columns, d_input)))
    }

    fn new(config: &DataConfig, rows: usize, columns: Vec<usize>, d_input: usize) -> Self {
        let (seasons, horizon) = (config.seasons.unwrap_or(1), config.horizon.unwrap_or(1));
        Self { rows, seasons, horizon, trajectory: config.trajectory, columns, d_input }
    }

    /// With the last season's values as they were.
    pub(crate) fn last_alone(&self) -> Self {
        Self { seasons: 1, ..self.clone() }
    }

    /// Rows from a value to that a season after it.
    pub(crate) fn period(&self) -> usize {
        self.rows
    }

    /// How many rows it goes back from the row predicted, at most.
    pub(crate) fn rows(&self) -> usize {
        self.seasons * self.rows
    }

    /// How far from a row the first one is that is predicted after it.
    fn first(&self) -> usize {
        if self.trajectory { 1 } else { self.horizon }
    }

    /// Whether what is predicted after row `at` is a difference from values in rows from 0 on alone.
    pub(crate) fn is_read(&self, at: usize) -> bool {
        // A mean's level is of all rows up to this one.
        let ahead = if self.seasons > 1 { 1 } else { self.first() };
        at + ahead >= self.rows()
    }

    /// The values a season before those predicted after row `at` of `read`, or their means; before row 0 there are those
    /// of row 0.
    pub(crate) fn before(&self, read: &[f32], at: usize) -> Vec<f32> {
        let n = self.columns.len();
        let mut values = Vec::with_capacity((self.horizon + 1 - self.first()) * n);
        for ahead in self.first()..=self.horizon {
            values.extend(self.row(read, (at + ahead).saturating_sub(self.rows)));
        }
        if self.seasons == 1 {
            return values;
        }
        let level = self.level(read, at);
        for (ahead, row) in (self.first()..).zip(values.chunks_exact_mut(n)) {
            row.copy_from_slice(&level);
            self.add_mean(row, read, at + ahead);
        }
        values
    }

    /// How far the mean of the last season up to row `at` is above that of all seasons.
    fn level(&self, read: &[f32], at: usize) -> Vec<f32> {
        let season = 1.0 / self.rows as f64;
        let mut level = vec![0.0; self.columns.len()];
        let back = |n: usize| (0..n).map(|k| at.saturating_sub(k));
        self.add_rows(&mut level, read, back(self.rows), season);
        self.add_rows(&mut level, read, back(self.rows()), -season / self.seasons as f64);
        level
    }

    /// Adds the mean of the values that are whole seasons before those of row `at`.
    fn add_mean(&self, to: &mut [f32], read: &[f32], at: usize) {
        let rows = (1..=self.seasons).map(|k| at.saturating_sub(k * self.rows));
        self.add_rows(to, read, rows, 1.0 / self.seasons as f64);
    }

    /// Adds `weight` times the sum of the values of some rows.
    fn add_rows(&self, to: &mut [f32], read: &[f32], rows: impl Iterator<Item = usize>, weight: f64) {
        let mut sums = vec![0.0; to.len()];
        for at in rows {
            sums.iter_mut().zip(self.row(read, at)).for_each(|(sum, value)| *sum += f64::from(value));
        }
        to.iter_mut().zip(sums).for_each(|(value, sum)| *value += (weight * sum) as f32);
    }

    /// Makes values of differences, `[T, D]`, of which the first ones are those predicted after row `first` of `read`.
    pub(crate) fn add(&self, differences: &mut [f32], channels: usize, read: &[f32], first: usize) {
        for (at, row) in (first..).zip(differences.chunks_exact_mut(channels)) {
            row.iter_mut().zip(self.before(read, at)).for_each(|(value, before)| *value += before);
        }
    }

    /// What is predicted as it is at row `at` of `read`, once for each row ahead.
    pub(crate) fn last(&self, read: &[f32], at: usize) -> Vec<f32> {
        let row: Vec<f32> = self.row(read, at).collect();
        row.repeat(self.horizon + 1 - self.first())
    }

    /// The target columns of a row that was read.
    fn row<'a>(&'a self, read: &'a [f32], row: usize) -> impl Iterator<Item = f32> + 'a {
        let row = &read[row * self.d_input..][..self.d_input];
        self.columns.iter().map(move |&c| row[c])
    }
}

/// Steps of a sample after which something is to be said.
pub(crate) fn steps(sample: &Sample) -> usize {
    match &sample.target {
        SampleTarget::Features(target) => target.steps(),
        _ => 0,
    }
}

/// What was to be said of a sample of a CSV file after each of its steps, in the file's own units; not a number where the
/// season before it is not in the sample.
///
/// # Errors
/// A sample of other data.
pub(crate) fn truth(sample: &Sample, config: &DataConfig, schema: &Schema) -> Result<Features> {
    let (SampleInput::Features(read), SampleTarget::Features(target)) = (&sample.input, &sample.target)
    else {
        return Err(mismatch());
    };
    let (channels, scales) = target_features(&schema.target)?;
    let mut truth = target.data.to_vec();
    if let Some(season) = Season::of(config, schema)? {
        let first = read.steps() - target.steps();
        season.add(&mut truth, channels, &read.data, first);
        for (at, row) in (first..).zip(truth.chunks_exact_mut(channels)) {
            if !season.is_read(at) {
                row.fill(f32::NAN);
            }
        }
    }
    split::unstandardize(&mut truth, scales);
    Ok(Features { data: truth.into(), channels: target.channels })
}

/// All rows of a CSV file, as a model with inputs like `input` reads them: its columns, found by name.
pub fn read_inputs(path: &Path, input: &InputSchema) -> Result<Features> {
    let (channels, scales) = input_features(input)?;
    let text = read_text(path)?;
    let table = Table::parse(path, &text, input_names(input)?, &mut budget(path, &text)?)?;
    if table.width() != channels {
        return Err(mismatch());
    }
    Ok(Features { data: table.scaled(scales).into(), channels })
}

/// One time step, `1,2,3`, in the order of the columns of `input`, as a model with such inputs reads it.
pub fn parse_row(line: &str, input: &InputSchema) -> Result<Features> {
    let (channels, scales) = input_features(input)?;
    let value = |(text, n)| number(text).map_err(|e| Error::Input(format!("value {n}: {e}")));
    let mut data = line.split(',').zip(1..).map(value).collect::<Result<Vec<f32>>>()?;
    if data.len() != channels {
        let found = data.len();
        let message = format!("the row has {found} values, the model reads {channels}");
        return Err(Error::Input(message));
    }
    split::standardize(&mut data, scales);
    Ok(Features { data: data.into(), channels })
}

impl Source for Series {
    /// Rows.
    type Part = Rows;
    type Split = Windows;

    fn open(path: &Path, config: &DataConfig, mode: IoMode, schema: Option<&Schema>) -> Result<Self> {
        let (columns, targets) = match schema {
            Some(schema) => (input_names(&schema.input)?, target_names(&schema.target, config)?),
            None => (config.columns.as_slice(), config.targets.as_slice()),
        };
        let text = read_text(path)?;
        let mut budget = budget(path, &text)?;
        let mut inputs = Table::parse(path, &text, columns, &mut budget)?;
        let mut targets = match targets.is_empty() || targets == inputs.names {
            true => None,
            false => Some(Table::parse(path, &text, targets, &mut budget)?),
        };
        let steps = inputs.n_rows();
        let n_rows = match config.rows {
            Some(rows) if config.train.as_deref().is_some_and(|train| is_same(train, path)) => rows,
            _ => steps,
        };
        if n_rows > steps {
            let message = format!("is {n_rows}, and {} has {steps}: write so many, or fewer", path.display());
            return Err(Error::config("data.rows", message));
        }
        for table in std::iter::once(&mut inputs).chain(&mut targets) {
            table.truncate(n_rows);
        }
        let width = targets.as_ref().unwrap_or(&inputs).width();
        let season = config.season.map(|rows| Season::new(config, rows, (0..width).collect(), width));
        Ok(Self {
            path: path.into(),
            size: text.len(),
            inputs,
            targets,
            mode,
            window: config.window.unwrap_or(DEFAULT_WINDOW),
            horizon: config.horizon.unwrap_or(1),
            trajectory: config.trajectory,
            season,
            standardize: config.standardize,
            trains: schema.is_none(),
        })
    }

    fn cut(&self, valid: f64, test: f64, _: u64) -> Result<[Self::Part; 3]> {
        let stream = self.mode == IoMode::OneToOne;
        let [train, valid, test] = split::contiguous(self.inputs.n_rows(), valid, test);
        Ok([(train, stream && !self.trains), (valid, stream), (test, stream)]
            .map(|(range, whole)| Rows { range, whole }))
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let scales = |table: &Table| match self.standardize {
            true => split::scales([table.rows(train.range.clone())].into_iter(), table.width()),
            false => Vec::new(),
        };
        let (n_ahead, targets) = (self.rows_ahead(), self.targets());
        let names: usize = targets.names.iter().map(String::len).sum();
        let ahead = n_ahead.saturating_mul(targets.width() * COLUMN + names);
        let mut budget = Budget::new(&self.path, self.size);
        budget.take_all_for(Cause::Columns, self.n_values() * size_of::<f32>())?;
        budget.take_all_for(Cause::Ahead, ahead)?;
        Ok(Schema {
            input: InputSchema::Features {
                channels: self.inputs.width(),
                scales: scales(&self.inputs),
                names: self.inputs.names.clone(),
            },
            target: TargetSchema::Features {
                channels: n_ahead * targets.width(),
                scales: scales(targets).repeat(n_ahead),
                names: std::iter::repeat_n(&targets.names, n_ahead).flatten().cloned().collect(),
            },
        })
    }

    fn samples(mut self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Windows; 3]> {
        let (channels, input_scales) = input_features(&schema.input)?;
        let (said, target_scales) = target_features(&schema.target)?;
        let width = self.targets().width();
        if (channels, said) != (self.inputs.width(), self.rows_ahead() * width) {
            return Err(mismatch());
        }
        // Targets are scaled as their rows are, once for each row ahead.
        let target_scales = &target_scales[..target_scales.len().min(width)];
        // Columns that are scaled in two ways are there twice.
        let is_copied = self.targets.is_none() && input_scales != target_scales;
        let copied = if is_copied { self.inputs.values.len() } else { 0 };
        // No window begins before.
        let ranges = parts.iter().map(|part| &part.range).filter(|range| !range.is_empty());
        let first = ranges.map(|range| range.start).min().unwrap_or(0);
        let means = self.season.as_ref().filter(|season| season.seasons > 1);
        let computed = means.map_or(0, |_| 2 * (self.inputs.n_rows() - first) * width);
        let bytes = (self.n_values() + copied + computed) * size_of::<f32>();
        Budget::new(&self.path, self.size).take_all_for(Cause::Columns, bytes)?;
        if is_copied {
            self.targets = Some(self.inputs.clone());
        }
        split::standardize(&mut self.inputs.values, input_scales);
        if let Some(targets) = &mut self.targets {
            split::standardize(&mut targets.values, target_scales);
        }
        let inputs = Arc::new(std::mem::take(&mut self.inputs.values));
        let targets = match &mut self.targets {
            Some(targets) => Arc::new(std::mem::take(&mut targets.values)),
            None => inputs.clone(),
        };
        let rows = Arc::new(Scaled {
            before: self.season.as_ref().map(|season| Before::new(season, &targets, first)),
            inputs,
            targets,
            channels,
            width,
            horizon: self.horizon,
            n_ahead: self.rows_ahead(),
        });
        each(parts, |part| self.windows(&part, &rows))
    }
}

impl Series {
    fn targets(&self) -> &Table {
        self.targets.as_ref().unwrap_or(&self.inputs)
    }

    /// Values that are kept.
    fn n_values(&self) -> usize {
        self.inputs.values.len() + self.targets.as_ref().map_or(0, |targets| targets.values.len())
    }

    /// Rows that are predicted at a step.
    fn rows_ahead(&self) -> usize {
        if self.trajectory { self.horizon } else { 1 }
    }

    /// The windows of a part.
    fn windows(&self, part: &Rows, rows: &Arc<Scaled>) -> Result<Windows> {
        let window = match part.whole {
            true => part.range.len().saturating_sub(self.horizon).max(1),
            false => self.window,
        };
        let one = self.mode == IoMode::ManyToOne;
        let n_said = if one { 1 } else { window };
        let mut starts = split::windows(&self.path, &part.range, (window, self.horizon, n_said), "rows")?;
        let n = starts.len();
        let values = n_said.saturating_mul(rows.n_ahead * rows.width);
        // Of one window they are together in memory, however few rows they are made of.
        if values > MAX_VALUES && n > 0 && !rows.are_rows(n_said) {
            let (key, what) = match part.whole {
                true => {
                    ("data.rows", format!("a stream of {} rows of {}", part.range.len(), self.path.display()))
                }
                false => ("data.window", format!("a window of {window} steps")),
            };
            let message = format!(
                "{what} has {values} values to predict, {} rows after each: lower `data.horizon`, or give it fewer \
                 rows; the limit is {MAX_VALUES}",
                self.horizon
            );
            return Err(Error::config(key, message));
        }
        Ok(Windows { rows: rows.clone(), first: starts.next().unwrap_or(0), n, window, n_said })
    }
}

/// Scaled rows, of which windows are cut.
struct Scaled {
    inputs: Arc<Vec<f32>>,
    targets: Arc<Vec<f32>>,
    /// Of targets that are differences.
    before: Option<Before>,
    /// Values of a row of the inputs, and of the targets.
    channels: usize,
    width: usize,
    horizon: usize,
    /// Rows that are predicted at a step.
    n_ahead: usize,
}

impl Scaled {
    /// Whether what is to be said after so many rows is rows that follow each other.
    fn are_rows(&self, n_said: usize) -> bool {
        self.before.is_none() && (n_said == 1 || self.n_ahead == 1)
    }

    /// What is to be said after some rows.
    fn said(&self, after: Range<usize>) -> Values {
        let ahead = |at: usize| at + self.horizon + 1 - self.n_ahead..at + self.horizon + 1;
        if self.are_rows(after.len()) {
            let rows = ahead(after.start).start..after.end + self.horizon;
            return Values::part(&self.targets, range(&rows, self.width));
        }
        let mut values = Vec::with_capacity(after.len() * self.n_ahead * self.width);
        for at in after {
            let rows = ahead(at);
            let first = values.len();
            values.extend_from_slice(&self.targets[range(&rows, self.width)]);
            if let Some(before) = &self.before {
                before.take_from(&mut values[first..], at, rows, &self.targets);
            }
        }
        values.into()
    }
}

/// What [`Season::before`] gives of each row, of all target columns.
#[derive(Serialize)]
enum Before {
    /// The values so many rows before.
    Last(usize),
    /// The level at each row from `first` on at which something is predicted, and the mean for each row that is. They
    /// are computed once: a sample is made anew each time it is trained on.
    Mean { first: usize, levels: Vec<f32>, means: Vec<f32> },
}

impl Before {
    /// Where nothing is predicted at a row before `first`.
    fn new(season: &Season, all: &[f32], first: usize) -> Self {
        if season.seasons == 1 {
            return Self::Last(season.rows);
        }
        let n = all.len() - first * season.d_input;
        let (mut levels, mut means) = (Vec::with_capacity(n), vec![0.0; n]);
        for (at, mean) in (first..).zip(means.chunks_exact_mut(season.d_input)) {
            levels.extend(season.level(all, at));
            season.add_mean(mean, all, at);
        }
        Self::Mean { first, levels, means }
    }

    /// Makes differences of the values of `rows`, which are predicted after row `at` of `all`.
    fn take_from(&self, values: &mut [f32], at: usize, rows: Range<usize>, all: &[f32]) {
        let width = values.len() / rows.len();
        for (value, row) in values.chunks_exact_mut(width).zip(rows) {
            match self {
                Self::Last(period) => {
                    let row = row.saturating_sub(*period);
                    value.iter_mut().zip(&all[row * width..]).for_each(|(value, before)| *value -= before);
                }
                Self::Mean { first, levels, means } => {
                    let [at, row] = [at, row].map(|row| (row - first) * width);
                    let before = levels[at..].iter().zip(&means[row..]);
                    value.iter_mut().zip(before).for_each(|(value, (level, mean))| *value -= level + mean);
                }
            }
        }
    }
}

/// Windows over rows that all of them share: each becomes a sample when it is asked for.
#[derive(Clone)]
pub(super) struct Windows {
    rows: Arc<Scaled>,
    /// The row where the first one begins.
    first: usize,
    n: usize,
    window: usize,
    /// After how many of a window's last rows something is to be said; so many rows on the next window begins.
    n_said: usize,
}

impl Windows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Rows of each.
    pub fn steps(&self) -> usize {
        self.window
    }

    /// After how many of them something is to be said.
    pub fn n_said(&self) -> usize {
        self.n_said
    }

    /// Values of all samples together: most stand in many windows, where these overlap.
    pub fn n_values(&self) -> usize {
        let said = self.n_said.saturating_mul(self.rows.n_ahead * self.rows.width);
        self.n.saturating_mul(self.window.saturating_mul(self.rows.channels).saturating_add(said))
    }

    /// Whether every value of the rows is finite, and so each one that is cut from them.
    pub fn are_finite(&self) -> bool {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        // Differences of finite values may still be too large.
        self.rows.before.is_none() && finite(&self.rows.inputs) && finite(&self.rows.targets)
    }

    /// The sample at a place.
    ///
    /// # Panics
    /// Where there is none.
    pub fn at(&self, k: usize) -> Sample {
        assert!(k < self.n, "there are {} windows", self.n);
        let Scaled { inputs, channels, n_ahead, width, .. } = &*self.rows;
        let start = self.first + k * self.n_said;
        let read = start..start + self.window;
        let target = self.rows.said(read.end - self.n_said..read.end);
        Sample::features(
            Features { data: Values::part(inputs, range(&read, *channels)), channels: *channels },
            Features { data: target, channels: n_ahead * width },
        )
    }

    /// Some that follow each other.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.n, "there are {} windows", self.n);
        Self { first: self.first + range.start * self.n_said, n: range.len(), ..self.clone() }
    }
}

/// The rows themselves, each once, and how they are cut.
impl Serialize for Windows {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Scaled { inputs, targets, before, channels, width, horizon, n_ahead } = &*self.rows;
        let rows = (&**inputs, &**targets, before, channels, width, horizon, n_ahead);
        (rows, self.first, self.n, self.window, self.n_said).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, Samples, load, load_split};
    use std::fmt::Write;

    const ONE: IoMode = IoMode::ManyToOne;
    const MANY: IoMode = IoMode::ManyToMany;

    /// 40 rows of a date, the row's number and ten times it.
    fn rows() -> String {
        (0..40).fold("date,n,tens\n".to_string(), |mut text, n| {
            writeln!(text, "2020-01-01 00:{n:02},{n},{}", 10 * n).unwrap();
            text
        })
    }

    fn loaded(text: &str, more: &str, mode: IoMode) -> Result<Dataset> {
        let file = file(text);
        load(&config("csv", Some(file.path()), more), mode, 0)
    }

    #[track_caller]
    fn refused(text: &str, says: &[&str]) {
        assert_says(loaded(text, "window = 1", ONE), says);
    }

    fn data(sample: &Sample) -> (&[f32], &[f32]) {
        match sample {
            Sample { input: SampleInput::Features(i), target: SampleTarget::Features(t) } => {
                (&i.data, &t.data)
            }
            _ => panic!("no features"),
        }
    }

    #[test]
    fn many_to_one_windows_overlap() {
        let more = "window = 2\nhorizon = 2\nstandardize = false\ntargets = [\"tens\"]\ncolumns = [\"n\"]";
        let Dataset { train, valid, test, .. } = loaded(&rows(), more, ONE).unwrap();
        // 32, 4 and 4 rows; a window and its horizon are 4 rows.
        assert_eq!([train.len(), valid.len(), test.len()], [29, 1, 1]);
        assert_eq!(data(&train.at(0)), (&[0.0, 1.0][..], &[30.0][..]));
        assert_eq!(data(&train.at(1)), (&[1.0, 2.0][..], &[40.0][..]));
        assert_eq!(data(&valid.at(0)), (&[32.0, 33.0][..], &[350.0][..]));
        assert_eq!(data(&test.at(0)), (&[36.0, 37.0][..], &[390.0][..]));
    }

    #[test]
    fn windows_that_overlap_are_not_looked_at_one_by_one() {
        // 75,000 windows of 8,000 rows, and another first row.
        let rest = (1..100_000).fold(String::new(), |text, n| text + "\n" + &(n % 7).to_string());
        let more = "window = 8000\nstandardize = false\nvalid_fraction = 0.082\ntest_fraction = 0.082";
        let [one, same, other] = ["1", "1", "2"].map(|first| {
            let data = loaded(&format!("n\n{first}{rest}"), more, ONE);
            let data = data.unwrap_or_else(|error| panic!("{error}"));
            assert!(data.train.len() > 75_000);
            assert_eq!(data.train.to_check().count(), 1);
            data.check(ONE).unwrap();
            data.digest()
        });
        assert_eq!(one, same);
        assert_ne!(one, other);
    }

    #[test]
    fn many_to_many_windows_do_not_overlap() {
        let more = "window = 3\nstandardize = false\ncolumns = [\"n\"]";
        for mode in [MANY, IoMode::OneToOne] {
            let Dataset { train, valid, .. } = loaded(&rows(), more, mode).unwrap();
            assert_eq!([train.len(), valid.len()], [10, 1]);
            assert_eq!(data(&train.at(1)), (&[3.0, 4.0, 5.0][..], &[4.0, 5.0, 6.0][..]));
            assert_eq!(data(&valid.at(0)), (&[32.0, 33.0, 34.0][..], &[33.0, 34.0, 35.0][..]));
        }
    }

    #[test]
    fn a_stream_is_one_window_where_it_is_not_trained_on() {
        let file = file(rows());
        let more = "window = 3\nhorizon = 2\nstandardize = false\ncolumns = [\"n\"]\nvalid_fraction = 0.25";
        let table = config("csv", Some(file.path()), more);
        let data = load(&table, IoMode::OneToOne, 0).unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [8, 1, 1]);
        assert_eq!(self::data(&data.train.at(1)), (&[3.0, 4.0, 5.0][..], &[5.0, 6.0, 7.0][..]));
        let stream = data.valid.at(0);
        let (x, y) = self::data(&stream);
        assert_eq!(x, [26.0, 27.0, 28.0, 29.0, 30.0, 31.0, 32.0, 33.0]);
        assert_eq!(y, [28.0, 29.0, 30.0, 31.0, 32.0, 33.0, 34.0, 35.0]);
        let whole = load_split(&table, IoMode::OneToOne, &data.schema, Some(file.path()), 0).unwrap();
        assert_eq!((whole.len(), whole.at(0).input.steps()), (1, 38));
        assert_eq!(load_split(&table, IoMode::OneToOne, &data.schema, None, 0).unwrap(), data.test);
    }

    #[test]
    fn a_trajectory_of_differences() {
        // 18, 6 and 6 of 40 rows.
        let split = "rows = 30\nvalid_fraction = 0.2\ntest_fraction = 0.2\nstandardize = false";
        let more = format!("{split}\nwindow = 3\nhorizon = 2\ntrajectory = true");
        let Dataset { train, valid, test, schema } = loaded(&rows(), &more, MANY).unwrap();
        assert_eq!([train.len(), valid.len(), test.len()], [5, 1, 1]);
        let sample = train.at(0);
        let (x, y) = data(&sample);
        assert_eq!(x, [0.0, 0.0, 1.0, 10.0, 2.0, 20.0]);
        assert_eq!(y, [1.0, 10.0, 2.0, 20.0, 2.0, 20.0, 3.0, 30.0, 3.0, 30.0, 4.0, 40.0]);
        schema.check_sample(MANY, &sample).unwrap();

        let more = format!("{split}\nwindow = 2\nhorizon = 2\ntrajectory = true\nseason = 3");
        let file = file(rows());
        let table = config("csv", Some(file.path()), &more);
        for mode in [MANY, IoMode::OneToOne, ONE] {
            let Dataset { train, test, schema, .. } = load(&table, mode, 0).unwrap();
            // Of the first row the values before the file's start are its own.
            let (early, late) = (train.at(0), test.at(0));
            let (_, y) = data(&early);
            let first = [1.0, 10.0, 2.0, 20.0, 2.0, 20.0, 3.0, 30.0];
            assert_eq!(y, if mode == ONE { &first[4..] } else { &first[..] });
            // Else three rows make three, also over the border of a part.
            let (x, y) = data(&late);
            assert!(x[..2] == [24.0, 240.0] && y.chunks(2).all(|y| *y == [3.0, 30.0]), "{x:?} {y:?}");
            // What a model of differences adds again.
            let season = Season::of(&table, &schema).unwrap().unwrap();
            let read: Vec<f32> = (0..5).flat_map(|n| [n as f32, 10.0 * n as f32]).collect();
            assert_eq!(season.before(&read, 0), [0.0; 4]);
            assert_eq!(season.before(&read, 4), [2.0, 20.0, 3.0, 30.0]);
            assert_eq!(season.last(&read, 4), [4.0, 40.0, 4.0, 40.0]);
            assert_eq!([1, 2].map(|at| season.is_read(at)), [false, true]);
        }
        // Standardised differences are the file's values again.
        let more = "window = 4\nhorizon = 2\nseason = 3\nvalid_fraction = 0.25\ntest_fraction = 0.15";
        let table = config("csv", Some(file.path()), more);
        for mode in [MANY, IoMode::OneToOne, ONE] {
            let data = load(&table, mode, 0).unwrap();
            let said = truth(&data.valid.at(0), &table, &data.schema).unwrap();
            // The first of ten rows is 24; many-to-one is asked after the fourth. What is three rows before 26 is not read.
            let first = if mode == ONE { 29 } else { 26 };
            assert_eq!((said.steps(), said.channels), (steps(&data.valid.at(0)), 2));
            for (row, values) in (first..).zip(said.data.chunks(2)) {
                let expected = [row as f32, 10.0 * row as f32];
                let close = values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-2);
                assert!(if row == 26 { values[0].is_nan() } else { close }, "{values:?} {expected:?}");
            }
        }
        assert_says(loaded(&rows(), "rows = 41\nwindow = 3", MANY), &["data.rows", "is 41", "has 40"]);
        // Two of four columns that the model reads; another model's schema has no such names.
        let table = |more: &str| config("csv", Some(Path::new("x")), more);
        assert!(Season::of(&table("season = 3"), &Schema::features(2, 2)).is_err());
        assert!(Season::of(&table(""), &Schema::features(2, 2)).unwrap().is_none());
    }

    #[test]
    fn a_trajectory_of_differences_from_means_over_seasons() {
        let value = |row: i64| (row * row % 11 + 2) as f32;
        let text = (0..40).fold("a\n".to_string(), |mut text, n| {
            writeln!(text, "{}", value(n)).unwrap();
            text
        });
        let file = file(&text);
        let more = "rows = 30\nvalid_fraction = 0.2\ntest_fraction = 0.2\nstandardize = false\nwindow = 2\n\
                    horizon = 2\ntrajectory = true\nseason = 3\nseasons = 2";
        let table = config("csv", Some(file.path()), more);
        // Rows before row 0 are that row.
        let mean = |rows: &[i64]| rows.iter().map(|&row| value(row.max(0))).sum::<f32>() / rows.len() as f32;
        let bases = |at: i64| {
            let level = mean(&[at - 2, at - 1, at]) - mean(&[at - 5, at - 4, at - 3, at - 2, at - 1, at]);
            [1, 2].map(|ahead| mean(&[at + ahead - 6, at + ahead - 3]) + level)
        };
        let close =
            |a: &[f32], b: [f32; 2]| a.len() == 2 && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let read: Vec<f32> = (0..30).map(value).collect();
        for mode in [MANY, IoMode::OneToOne] {
            let Dataset { train, valid, test, schema } = load(&table, mode, 0).unwrap();
            let season = Season::of(&table, &schema).unwrap().unwrap();
            assert_eq!((season.rows(), season.period()), (6, 3));
            // By hand, of 2 3 6 11 7 5 5: (3 + 7) / 2 and (6 + 5) / 2, both with 17/3 - 37/6 added.
            assert!(close(&season.before(&read, 6), [5.0 - 0.5, 5.5 - 0.5]));
            assert!(close(&season.before(&read, 0), [2.0, 2.0]));
            for at in 0..30 {
                let before = season.before(&read, at);
                assert!(close(&before, bases(at as i64)), "{at}: {before:?}");
                assert_eq!(season.is_read(at), at >= 5, "{at}");
                if at >= 5 {
                    // A stream keeps so many rows.
                    assert!(close(&season.before(&read[at - 5..=at], 5), bases(at as i64)), "{at}");
                }
            }
            // Of 18, 6 and 6 rows; differences from the rows of the part before, too.
            for (sample, start) in [(train.at(0), 0), (train.at(3), 6), (valid.at(0), 18), (test.at(0), 24)] {
                let (x, y) = data(&sample);
                assert_eq!(x[0], value(start));
                for (at, y) in (start..).zip(y.chunks(2)) {
                    let said: Vec<f32> = y.iter().zip(bases(at)).map(|(y, base)| y + base).collect();
                    assert!(close(&said, [value(at + 1), value(at + 2)]), "{at}: {said:?}");
                    // To the bit what is added again.
                    let before = season.before(&read, at as usize);
                    let rows = [at + 1, at + 2].map(value);
                    assert_eq!(y, [rows[0] - before[0], rows[1] - before[1]]);
                }
            }
        }
    }

    #[test]
    fn rows_are_the_training_files_however_its_path_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let [train, other] = ["a.csv", "b.csv"].map(|name| folder.path().join(name));
        for path in [&train, &other] {
            std::fs::write(path, rows()).unwrap();
        }
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let spelled = folder.path().join("in").join("..").join("a.csv");
        assert_ne!(spelled, train);
        let config = config("csv", Some(&train), "rows = 30\nwindow = 3");
        let schema = load(&config, IoMode::OneToOne, 0).unwrap().schema;
        for (path, steps) in [(&train, 29), (&spelled, 29), (&other, 39)] {
            let whole = load_split(&config, IoMode::OneToOne, &schema, Some(path), 0).unwrap();
            assert_eq!(whole.at(0).input.steps(), steps, "{}", path.display());
        }
    }

    #[test]
    fn columns_default_to_those_with_numbers() {
        let schema = loaded(&rows(), "window = 3", MANY).unwrap().schema;
        assert_eq!(input_names(&schema.input).unwrap(), ["n", "tens"]);
        assert_eq!(target_names(&schema.target, &DataConfig::program()).unwrap(), ["n", "tens"]);
    }

    #[test]
    fn scales_are_those_of_the_training_part() {
        let data = loaded(&rows(), "window = 3", MANY).unwrap();
        let (_, scales) = input_features(&data.schema.input).unwrap();
        assert_eq!([scales[0].mean, scales[1].mean], [15.5, 155.0]);
        assert_eq!(
            input_features(&data.schema.input).unwrap().1,
            target_features(&data.schema.target).unwrap().1
        );
    }

    #[test]
    fn test_split_is_read_by_the_stored_schema() {
        let file = file(rows());
        let config = config("csv", Some(file.path()), "window = 3");
        let data = load(&config, MANY, 0).unwrap();
        let again = load_split(&config, MANY, &data.schema, None, 0).unwrap();
        assert_eq!(again, data.test);
        // Its own file, columns in another order.
        let other = crate::data::tests::file("tens,x,n\n360,?,36\n370,?,37\n380,?,38\n390,?,39\n");
        let other = load_split(&config, MANY, &data.schema, Some(other.path()), 0).unwrap();
        assert_eq!(other, data.test);
        let bare = crate::data::tests::file("n\n1\n2\n3\n4\n");
        let bare = load_split(&config, MANY, &data.schema, Some(bare.path()), 0);
        assert_says(bare, &["no column `tens`", "it has: n"]);
    }

    #[test]
    fn predict_reads_as_load_does() {
        let text = rows();
        let data = loaded(&text, "window = 3", MANY).unwrap();
        let features = read_inputs(file(&text).path(), &data.schema.input).unwrap();
        let step = parse_row("1, 10", &data.schema.input).unwrap();
        assert_eq!(features.steps(), 40);
        assert_eq!(step.data, features.data[2..4]);
        assert_says(parse_row("1", &data.schema.input), &["1 values", "reads 2"]);
        assert_says(parse_row("1,x", &data.schema.input), &["value 2", "`x`"]);
    }

    #[test]
    fn unknown_column_is_refused() {
        let result = loaded(&rows(), "columns = [\"m\"]", ONE);
        assert_says(result, &["no column `m`", "date, n, tens"]);
        let result = loaded(&rows(), "targets = [\"m\"]", ONE);
        assert_says(result, &["no column `m`"]);
    }

    #[test]
    fn column_there_twice_is_refused() {
        refused("a,a\n1,2\n", &[":1:", "`a` is there twice"]);
    }

    #[test]
    fn file_without_header_is_refused() {
        refused("1,2\n3,4\n", &[":1:", "must name the columns"]);
    }

    #[test]
    fn file_without_rows_is_refused() {
        refused("a,b\n", &["no row"]);
    }

    #[test]
    fn file_without_numbers_is_refused() {
        refused("a,b\nx,y\n", &[":2:", "no column has a number"]);
    }

    #[test]
    fn word_for_a_number_is_refused() {
        refused("t,a\nx,1\nx,y\n", &[":3:", "column `a`", "`y` is not a number"]);
    }

    #[test]
    fn lines_are_counted_after_carriage_returns_and_quoted_breaks() {
        refused("t,a\r\nx,1\r\nx,y\r\n", &[":3:"]);
        refused("t,a\n\"x\ny\",1\nx,y\n", &[":4:"]);
    }

    #[test]
    fn missing_value_is_refused() {
        for value in ["", "NaN", "?"] {
            refused(&format!("t,a\nx,1\nx,{value}\n"), &[":3:", "column `a`", "missing"]);
        }
    }

    #[test]
    fn infinite_value_is_refused() {
        refused("a\n1\n-inf\n", &[":3:", "not finite"]);
    }

    #[test]
    fn row_of_another_length_is_refused() {
        refused("a,b\n1,2\n3\n", &[":3:", "1 cells", "header has 2"]);
        refused("a,b\r\n1,2\r\n3\r\n", &[":3:"]);
    }

    #[test]
    fn blank_line_is_refused() {
        refused("a\n1\n\n2\n", &[":3:", "blank"]);
    }

    #[test]
    fn too_few_rows_are_refused() {
        assert_says(loaded(&rows(), "window = 60", ONE), &["32 rows", "need 61"]);
        assert_says(loaded(&rows(), "horizon = 1000000", ONE), &["32 rows", "need 1000064"]);
    }

    #[test]
    fn part_not_asked_for_is_empty_whatever_the_window() {
        let file = file(rows());
        let data = load(&config("csv", Some(file.path()), "window = 3"), MANY, 0).unwrap();
        let config = config("csv", Some(file.path()), "window = 1000000\ntest_fraction = 0.0");
        let test = load_split(&config, MANY, &data.schema, None, 0);
        assert_says(test, &["data.test_fraction"]);
    }

    #[test]
    fn samples_that_are_cut_are_as_their_rows_say() {
        let file = file(rows());
        for more in [
            "columns = [\"n\"]\ntargets = [\"tens\"]",
            "columns = [\"n\", \"tens\"]\ntargets = [\"tens\", \"n\"]",
            "horizon = 2",
            "horizon = 2\ntrajectory = true",
            "horizon = 2\nseason = 3",
            "horizon = 2\ntrajectory = true\nseason = 3\nseasons = 2",
        ] {
            let more = format!("{more}\nwindow = 3\nvalid_fraction = 0.25\ntest_fraction = 0.25");
            let table = config("csv", Some(file.path()), &more);
            for mode in [ONE, MANY, IoMode::OneToOne] {
                let data = load(&table, mode, 0).unwrap();
                let scaled = |names: &[String], scales: &[Scale]| {
                    let value = |name: &str, n: f32| if name == "tens" { 10.0 * n } else { n };
                    let mut values = Vec::new();
                    for n in 0..40 {
                        values.extend(names.iter().map(|name| value(name, n as f32)));
                    }
                    split::standardize(&mut values, scales);
                    values
                };
                let (channels, scales) = input_features(&data.schema.input).unwrap();
                let inputs = scaled(input_names(&data.schema.input).unwrap(), scales);
                let (d_output, scales) = target_features(&data.schema.target).unwrap();
                let names = target_names(&data.schema.target, &table).unwrap();
                let (targets, width) = (scaled(names, scales), names.len());
                let season = Season::of(&table, &data.schema).unwrap();
                let horizon = table.horizon.unwrap_or(1);
                let first = if table.trajectory { 1 } else { horizon };
                let sample = |start: usize, window: usize, n_said: usize| {
                    let (end, mut said) = (start + window, Vec::new());
                    for at in end - n_said..end {
                        let mut ahead = targets[(at + first) * width..(at + horizon + 1) * width].to_vec();
                        if let Some(season) = &season {
                            let before = season.before(&inputs, at);
                            ahead.iter_mut().zip(before).for_each(|(value, before)| *value -= before);
                        }
                        said.extend(ahead);
                    }
                    let read = inputs[start * channels..end * channels].to_vec();
                    Sample::features(
                        Features { data: read.into(), channels },
                        Features { data: said.into(), channels: d_output },
                    )
                };
                let part = |range: Range<usize>, whole: bool| -> Samples {
                    let window = if whole { range.len() - horizon } else { 3 };
                    let n_said = if mode == ONE { 1 } else { window };
                    let starts = (range.start..).step_by(n_said);
                    let starts = starts.take_while(|start| start + window + horizon <= range.end);
                    starts.map(|start| sample(start, window, n_said)).collect()
                };
                let stream = mode == IoMode::OneToOne;
                let made = Dataset {
                    train: part(0..20, false),
                    valid: part(20..30, stream),
                    test: part(30..40, stream),
                    schema: data.schema.clone(),
                };
                assert_eq!(data, made, "{more}");
                assert_eq!(data.digest(), made.digest(), "{more}");
                // Without the parts before it, too.
                assert_eq!(load_split(&table, mode, &data.schema, None, 0).unwrap(), made.test, "{more}");
                let n = data.train.len();
                assert!(n > 3);
                assert_eq!(data.train.part(2..n), made.train.part(2..n), "{more}");
                for k in 0..n {
                    assert_eq!(data.train.at(k), made.train.at(k), "{more}");
                    assert_eq!(data.train.lengths(k), made.train.lengths(k));
                    assert_eq!(data.train.steps(k), made.train.steps(k));
                    assert_eq!(data.train.said(k), made.train.said(k));
                }
                assert!(data.train.iter().rev().eq(made.train.iter().rev()), "{more}");
                assert_eq!(data.train.iter().nth_back(1), made.train.iter().nth_back(1), "{more}");
            }
        }
    }

    #[test]
    fn columns_that_are_read_and_predicted_are_kept_once() {
        let file = file(rows());
        let open = |more: &str, schema: Option<&Schema>| {
            Series::open(file.path(), &config("csv", Some(file.path()), more), MANY, schema).unwrap()
        };
        let schema = load(&config("csv", Some(file.path()), "window = 3"), MANY, 0).unwrap().schema;
        assert!(open("", None).targets.is_none());
        assert!(open("targets = [\"n\", \"tens\"]", None).targets.is_none());
        assert!(open("", Some(&schema)).targets.is_none());
        assert!(open("targets = [\"tens\", \"n\"]", None).targets.is_some());
        let of_rows = open("rows = 30\ntargets = [\"n\"]", None);
        assert_eq!((of_rows.inputs.values.len(), of_rows.targets().values.len()), (60, 30));
    }

    #[test]
    fn a_text_and_its_values_are_counted_while_they_are_read() {
        let text = rows();
        let path = Path::new("a.csv");
        let parse = |room: usize| {
            let mut budget = budget(path, &text).unwrap();
            budget.take_all(budget.left() - room).unwrap();
            Table::parse(path, &text, &[], &mut budget)
        };
        let left = Budget::new(path, text.len()).left();
        assert_eq!(budget(path, &text).unwrap().left(), left - text.len());
        // 40 rows of two values.
        assert_eq!(parse(320).unwrap().values.len(), 80);
        assert_says(parse(319), &["a.csv", "MiB of memory"]);
    }

    #[test]
    fn names_of_many_rows_ahead_are_refused_before_they_are_made() {
        let header = (0..65_536).map(|k| format!("c{k}")).collect::<Vec<_>>().join(",");
        let text = format!("{header}\n{}0\n", "0,".repeat(65_535));
        let says = ["too many columns to predict", "MiB of memory", "lower `data.horizon`"];
        assert_says(loaded(&text, "horizon = 96\ntrajectory = true", MANY), &says);
        assert_says(loaded(&rows(), "horizon = 1000000\ntrajectory = true", MANY), &says);
        // A long name is there once for each row.
        let text = format!("{}\n0\n", "a".repeat(1 << 20));
        assert_says(loaded(&text, "horizon = 96\ntrajectory = true", MANY), &says);
    }

    #[test]
    fn rows_of_too_many_columns_or_bytes_are_refused() {
        let read = |text: &str| csv_reader(Path::new("a.csv"), text).map(|_| ());
        // What stands before, and how many of its bytes are of the row; no comma of them ends a cell.
        let heads = [
            ("", 0),
            ("\u{feff}", 0),
            ("a,b\n", 0),
            ("a,b\r\n", 0),
            ("\",,\"", 4),
            ("\",\"\",\"", 6),
            ("\",\n,\"", 5),
        ];
        for (head, n) in heads {
            let columns = |n: usize| read(&format!("{head}{}", ",".repeat(n - 1)));
            columns(65_536).unwrap();
            assert_says(columns(65_537), &["more than 65536 columns"]);
            let bytes = |n_bytes: usize, end: &str| read(&format!("{head}{}{end}", "x".repeat(n_bytes - n)));
            bytes(4 << 20, "").unwrap();
            bytes(4 << 20, "\r\n1\n").unwrap();
            assert_says(bytes((4 << 20) + 1, ""), &["longer than 4 MiB"]);
        }
        // The line is that where the row begins.
        let commas = ",".repeat(65_536);
        assert_says(read(&format!("a\n\"\n\"{commas}")), &["a.csv:2: the row has more"]);
        assert_says(read(&format!("a\nb\n{commas}")), &["a.csv:3: the row has more"]);
    }

    #[test]
    fn many_short_rows_have_a_window_each() {
        let text = (0..1_200_000).fold("a\n".to_string(), |mut text, n| {
            writeln!(text, "{}", n % 1000).unwrap();
            text
        });
        let train = loaded(&text, "window = 64\nstandardize = false", ONE).unwrap().train;
        // 960,000 rows; kept, a sample for each would take more than the file gets.
        assert_eq!(train.len(), 960_000 - 64);
        assert!(train.len() * size_of::<Sample>() > Budget::new(Path::new("a"), text.len()).left());
        let last = train.last().unwrap();
        let (x, y) = data(&last);
        assert_eq!((x.len(), x[0], x[63], y), (64, 935.0, 998.0, &[999.0][..]));
    }

    #[test]
    fn trajectories_of_a_long_file_are_made_one_by_one() {
        let value = |row: usize, column: usize| row as f32 + 0.125 * column as f32;
        let text = (0..69_680).fold("date,a,b,c,d,e,f,g\n".to_string(), |mut text, row| {
            text += "2016-07-01 00:00:00";
            (0..7).for_each(|column| write!(text, ",{}", value(row, column)).unwrap());
            text + "\n"
        });
        let more = "window = 192\nhorizon = 96\ntrajectory = true\nstandardize = false";
        let train = loaded(&text, more, MANY).unwrap().train;
        // 55,744 rows; all targets together would take more than the file gets.
        assert_eq!(train.len(), 289);
        let n_said = 192 * 96 * 7;
        let most = Budget::new(Path::new("a"), text.len()).left();
        assert!(train.len() * n_said * size_of::<f32>() > most);
        let last = train.last().unwrap();
        let (x, y) = data(&last);
        assert_eq!((x[0], y.len()), (value(288 * 192, 0), n_said));
        for (at, row, column) in [(0, 1, 0), (1, 1, 1), (7, 2, 0), (96 * 7, 2, 0), (n_said - 1, 191 + 96, 6)]
        {
            assert_eq!(y[at], value(288 * 192 + row, column), "{at}");
        }
    }

    #[test]
    fn a_table_that_fills_memory_is_refused() {
        let config = config("csv", None, "season = 2\nseasons = 2");
        let series = |n: usize| Series {
            path: "a.csv".into(),
            size: 0,
            inputs: Table { names: (0..64).map(|k| k.to_string()).collect(), values: vec![0.0; 64 * n] },
            targets: None,
            mode: MANY,
            window: 3,
            horizon: 1,
            trajectory: false,
            season: Some(Season::new(&config, 2, (0..64).collect(), 64)),
            standardize: false,
            trains: true,
        };
        // Of each value 12 bytes: itself, and the level and the mean that its difference is from.
        let most = (48 << 20) / 12 / 64;
        for (n, fits) in [(most, true), (most + 1, false)] {
            let series = series(n);
            let parts = series.cut(0.0, 0.0, 0).unwrap();
            let schema = series.schema(&parts[0]).unwrap();
            match series.samples(parts, &schema) {
                Ok([train, _, _]) => assert!(fits && train.len() == (n - 1) / 3),
                refused => {
                    assert!(!fits);
                    assert_says(refused, &["a.csv", "too many values", "`data.columns`", "48 MiB"]);
                }
            }
        }
    }

    #[test]
    fn a_sample_that_fills_memory_is_refused() {
        let text = (0..70_000).fold("a\n".to_string(), |mut text, n| {
            writeln!(text, "{n}").unwrap();
            text
        });
        let more = "window = 30000\nhorizon = 20000\ntrajectory = true\nstandardize = false";
        let says =
            ["data.window", "a window of 30000 steps", "600000000 values", "`data.horizon`", "the limit"];
        assert_says(loaded(&text, more, MANY), &says);
        // Without a trajectory it is rows as they stand.
        assert_eq!(loaded(&text, "window = 6000", MANY).unwrap().train.steps(0), 6000);
        // A stream that is not trained on is one window, whatever `window` is.
        let (file, names) = (file(&text), |n: usize| vec!["a".to_string(); n]);
        let schema = Schema {
            input: InputSchema::Features { channels: 1, scales: Vec::new(), names: names(1) },
            target: TargetSchema::Features { channels: 10_000, scales: Vec::new(), names: names(10_000) },
        };
        let config = config("csv", Some(file.path()), "horizon = 10000\ntrajectory = true");
        let stream = load_split(&config, IoMode::OneToOne, &schema, Some(file.path()), 0);
        assert_says(stream, &["data.rows", "a stream of 70000 rows", "fewer rows", "the limit"]);
    }
}
