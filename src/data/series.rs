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

use super::sample::{Features, InputSchema, Sample, SampleInput, SampleTarget, Scale, Schema, TargetSchema};
use super::{
    DEFAULT_WINDOW, MAX_VALUES, Source, input_features, list, mismatch, number, read_text, split,
    target_features,
};
use crate::config::duplicate;
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use crate::file::line_at;
use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Columns of a CSV file.
pub(super) struct Series {
    path: PathBuf,
    inputs: Table,
    targets: Table,
    mode: IoMode,
    window: usize,
    horizon: usize,
    trajectory: bool,
    /// Of the target columns.
    season: Option<Season>,
    standardize: bool,
    /// Rows taken.
    n_rows: usize,
    /// Whether it is read to be trained on.
    trains: bool,
}

/// Rows of a file.
pub(super) struct Rows {
    range: Range<usize>,
    /// Whether they are one window.
    whole: bool,
}

/// Named columns of numbers.
#[derive(Clone)]
struct Table {
    names: Vec<String>,
    values: Features,
}

impl Table {
    /// The columns `names` of a CSV text; without names, those that have a number in the first row.
    fn parse(path: &Path, text: &str, names: &[String]) -> Result<Self> {
        check_blank_lines(path, text)?;
        let refuse = |line, message: String| Err(Error::line(path, line, message));
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| csv_error(path, text, &e))?.clone();
        if header.iter().all(|name| number(name).is_ok()) {
            return refuse(1, "the first line must name the columns; it has numbers only".into());
        }
        if let Some(name) = duplicate(&header.iter().collect::<Vec<_>>()) {
            return refuse(1, format!("column `{name}` is there twice"));
        }
        let mut columns =
            names.iter().map(|name| find(path, &header, name)).collect::<Result<Vec<usize>>>()?;
        let mut data = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| csv_error(path, text, &e))?;
            if columns.is_empty() {
                columns = (0..record.len()).filter(|c| number(&record[*c]).is_ok()).collect();
            }
            if columns.is_empty() {
                return refuse(line_of(text, record.position()), "no column has a number".into());
            }
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
        Ok(Self {
            names: columns.iter().map(|c| header[*c].to_string()).collect(),
            values: Features { data, channels: columns.len() },
        })
    }

    fn rows(&self, rows: Range<usize>) -> &[f32] {
        let width = self.values.channels;
        &self.values.data[rows.start * width..rows.end * width]
    }

    /// Rows, scaled.
    fn features(&self, rows: Range<usize>, scales: &[Scale]) -> Features {
        let mut data = self.rows(rows).to_vec();
        split::standardize(&mut data, scales);
        Features { data, channels: self.values.channels }
    }
}

fn find(path: &Path, header: &StringRecord, name: &str) -> Result<usize> {
    header.iter().position(|n| n == name).ok_or_else(|| {
        let message = format!("has no column `{name}`; it has: {}", list(header));
        Error::file(path, message)
    })
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
        let place = |target: &String| names.iter().position(|name| name == target).ok_or_else(mismatch);
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
        let mean = |row: &mut [f32], rows: &mut dyn Iterator<Item = usize>, weight: f64| {
            let mut sums = vec![0.0; n];
            for at in rows {
                sums.iter_mut().zip(self.row(read, at)).for_each(|(sum, value)| *sum += f64::from(value));
            }
            row.iter_mut().zip(sums).for_each(|(value, sum)| *value += (weight * sum) as f32);
        };
        let season = 1.0 / self.rows as f64;
        let mut level = vec![0.0; n];
        let back = |n: usize| (0..n).map(|k| at.saturating_sub(k));
        mean(&mut level, &mut back(self.rows), season);
        mean(&mut level, &mut back(self.rows()), -season / self.seasons as f64);
        for (ahead, row) in (self.first()..).zip(values.chunks_exact_mut(n)) {
            row.copy_from_slice(&level);
            let mut rows = (1..=self.seasons).map(|k| (at + ahead).saturating_sub(k * self.rows));
            mean(row, &mut rows, 1.0 / self.seasons as f64);
        }
        values
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
    let mut truth = target.clone();
    if let Some(season) = Season::of(config, schema)? {
        let first = read.steps() - truth.steps();
        season.add(&mut truth.data, channels, &read.data, first);
        for (at, row) in (first..).zip(truth.data.chunks_exact_mut(channels)) {
            if !season.is_read(at) {
                row.fill(f32::NAN);
            }
        }
    }
    split::unstandardize(&mut truth.data, scales);
    Ok(truth)
}

/// All rows of a CSV file, as a model with inputs like `input` reads them: its columns, found by name.
pub fn read_inputs(path: &Path, input: &InputSchema) -> Result<Features> {
    let (channels, scales) = input_features(input)?;
    let table = Table::parse(path, &read_text(path)?, input_names(input)?)?;
    if table.values.channels != channels {
        return Err(mismatch());
    }
    let steps = table.values.steps();
    Ok(table.features(0..steps, scales))
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
    Ok(Features { data, channels })
}

impl Source for Series {
    /// Rows.
    type Part = Rows;

    fn open(path: &Path, config: &DataConfig, mode: IoMode, schema: Option<&Schema>) -> Result<Self> {
        let (columns, targets) = match schema {
            Some(schema) => (input_names(&schema.input)?, target_names(&schema.target, config)?),
            None => (config.columns.as_slice(), config.targets.as_slice()),
        };
        let text = read_text(path)?;
        let inputs = Table::parse(path, &text, columns)?;
        let targets = if targets.is_empty() { inputs.clone() } else { Table::parse(path, &text, targets)? };
        let steps = inputs.values.steps();
        let n_rows = match config.rows {
            Some(rows) if config.train.as_deref().is_some_and(|train| is_same(train, path)) => rows,
            _ => steps,
        };
        if n_rows > steps {
            let message = format!("is {n_rows}, and {} has {steps}: write so many, or fewer", path.display());
            return Err(Error::config("data.rows", message));
        }
        let width = targets.values.channels;
        let season = config.season.map(|rows| Season::new(config, rows, (0..width).collect(), width));
        Ok(Self {
            path: path.into(),
            inputs,
            targets,
            mode,
            window: config.window.unwrap_or(DEFAULT_WINDOW),
            horizon: config.horizon.unwrap_or(1),
            trajectory: config.trajectory,
            season,
            standardize: config.standardize,
            n_rows,
            trains: schema.is_none(),
        })
    }

    fn cut(&self, valid: f64, test: f64, _: u64) -> Result<[Self::Part; 3]> {
        let stream = self.mode == IoMode::OneToOne;
        let [train, valid, test] = split::contiguous(self.n_rows, valid, test);
        Ok([(train, stream && !self.trains), (valid, stream), (test, stream)]
            .map(|(range, whole)| Rows { range, whole }))
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let scales = |table: &Table| match self.standardize {
            true => split::scales([table.rows(train.range.clone())].into_iter(), table.values.channels),
            false => Vec::new(),
        };
        let n_ahead = self.rows_ahead();
        Ok(Schema {
            input: InputSchema::Features {
                channels: self.inputs.values.channels,
                scales: scales(&self.inputs),
                names: self.inputs.names.clone(),
            },
            target: TargetSchema::Features {
                channels: n_ahead * self.targets.values.channels,
                scales: scales(&self.targets).repeat(n_ahead),
                names: std::iter::repeat_n(&self.targets.names, n_ahead).flatten().cloned().collect(),
            },
        })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let (inputs, input_scales) = input_features(&schema.input)?;
        let (targets, target_scales) = target_features(&schema.target)?;
        if (inputs, targets)
            != (self.inputs.values.channels, self.rows_ahead() * self.targets.values.channels)
        {
            return Err(mismatch());
        }
        let window = match part.whole {
            true => part.range.len().saturating_sub(self.horizon).max(1),
            false => self.window,
        };
        let one = self.mode == IoMode::ManyToOne;
        let steps = if one { 1 } else { window };
        let starts = split::windows(&self.path, &part.range, (window, self.horizon, steps), "rows")?;
        let per_window = window.saturating_mul(inputs).saturating_add(steps.saturating_mul(targets));
        let values = starts.len().saturating_mul(per_window);
        if values > MAX_VALUES && part.whole {
            let message = format!(
                "a stream of {} rows of {} makes {values} values in all: lower it where that is `data.train`, \
                 or give the file fewer rows; the limit is {MAX_VALUES}",
                part.range.len(),
                self.path.display(),
            );
            return Err(Error::config("data.rows", message));
        }
        if values > MAX_VALUES {
            let message = format!(
                "makes {} windows of {window} steps, {values} values in all: lower it, the limit is {MAX_VALUES}",
                starts.len(),
            );
            return Err(Error::config("data.window", message));
        }
        let scales = &target_scales[..target_scales.len().min(self.targets.values.channels)];
        let all = self.targets.features(0..self.targets.values.steps(), scales).data;
        let sample = |start: usize| {
            let rows = start..start + window;
            let said = rows.end - steps..rows.end;
            let data = said.flat_map(|at| self.target(at, &all)).collect();
            Sample {
                input: SampleInput::Features(self.inputs.features(rows, input_scales)),
                target: SampleTarget::Features(Features { data, channels: targets }),
            }
        };
        Ok(starts.into_iter().map(sample).collect())
    }
}

impl Series {
    /// Rows that are predicted at a step.
    fn rows_ahead(&self) -> usize {
        if self.trajectory { self.horizon } else { 1 }
    }

    /// What is to be said after row `at`, of all rows' scaled values.
    fn target(&self, at: usize, all: &[f32]) -> Vec<f32> {
        let (width, end) = (self.targets.values.channels, at + self.horizon + 1);
        let mut data = all[(end - self.rows_ahead()) * width..end * width].to_vec();
        if let Some(season) = &self.season {
            data.iter_mut().zip(season.before(all, at)).for_each(|(value, before)| *value -= before);
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, load, load_split};
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
        assert_eq!(data(&train[0]), (&[0.0, 1.0][..], &[30.0][..]));
        assert_eq!(data(&train[1]), (&[1.0, 2.0][..], &[40.0][..]));
        assert_eq!(data(&valid[0]), (&[32.0, 33.0][..], &[350.0][..]));
        assert_eq!(data(&test[0]), (&[36.0, 37.0][..], &[390.0][..]));
    }

    #[test]
    fn many_to_many_windows_do_not_overlap() {
        let more = "window = 3\nstandardize = false\ncolumns = [\"n\"]";
        for mode in [MANY, IoMode::OneToOne] {
            let Dataset { train, valid, .. } = loaded(&rows(), more, mode).unwrap();
            assert_eq!([train.len(), valid.len()], [10, 1]);
            assert_eq!(data(&train[1]), (&[3.0, 4.0, 5.0][..], &[4.0, 5.0, 6.0][..]));
            assert_eq!(data(&valid[0]), (&[32.0, 33.0, 34.0][..], &[33.0, 34.0, 35.0][..]));
        }
    }

    #[test]
    fn a_stream_is_one_window_where_it_is_not_trained_on() {
        let file = file(rows());
        let more = "window = 3\nhorizon = 2\nstandardize = false\ncolumns = [\"n\"]\nvalid_fraction = 0.25";
        let table = config("csv", Some(file.path()), more);
        let data = load(&table, IoMode::OneToOne, 0).unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [8, 1, 1]);
        assert_eq!(self::data(&data.train[1]), (&[3.0, 4.0, 5.0][..], &[5.0, 6.0, 7.0][..]));
        let (x, y) = self::data(&data.valid[0]);
        assert_eq!(x, [26.0, 27.0, 28.0, 29.0, 30.0, 31.0, 32.0, 33.0]);
        assert_eq!(y, [28.0, 29.0, 30.0, 31.0, 32.0, 33.0, 34.0, 35.0]);
        let whole = load_split(&table, IoMode::OneToOne, &data.schema, Some(file.path()), 0).unwrap();
        assert_eq!((whole.len(), whole[0].input.steps()), (1, 38));
        assert_eq!(load_split(&table, IoMode::OneToOne, &data.schema, None, 0).unwrap(), data.test);
    }

    #[test]
    fn a_trajectory_of_differences() {
        // 18, 6 and 6 of 40 rows.
        let split = "rows = 30\nvalid_fraction = 0.2\ntest_fraction = 0.2\nstandardize = false";
        let more = format!("{split}\nwindow = 3\nhorizon = 2\ntrajectory = true");
        let Dataset { train, valid, test, schema } = loaded(&rows(), &more, MANY).unwrap();
        assert_eq!([train.len(), valid.len(), test.len()], [5, 1, 1]);
        let (x, y) = data(&train[0]);
        assert_eq!(x, [0.0, 0.0, 1.0, 10.0, 2.0, 20.0]);
        assert_eq!(y, [1.0, 10.0, 2.0, 20.0, 2.0, 20.0, 3.0, 30.0, 3.0, 30.0, 4.0, 40.0]);
        schema.check_sample(MANY, &train[0]).unwrap();

        let more = format!("{split}\nwindow = 2\nhorizon = 2\ntrajectory = true\nseason = 3");
        let file = file(rows());
        let table = config("csv", Some(file.path()), &more);
        for mode in [MANY, IoMode::OneToOne, ONE] {
            let Dataset { train, test, schema, .. } = load(&table, mode, 0).unwrap();
            // Of the first row the values before the file's start are its own.
            let (_, y) = data(&train[0]);
            let first = [1.0, 10.0, 2.0, 20.0, 2.0, 20.0, 3.0, 30.0];
            assert_eq!(y, if mode == ONE { &first[4..] } else { &first[..] });
            // Else three rows make three, also over the border of a part.
            let (x, y) = data(&test[0]);
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
            let said = truth(&data.valid[0], &table, &data.schema).unwrap();
            // The first of ten rows is 24; many-to-one is asked after the fourth. What is three rows before 26 is not read.
            let first = if mode == ONE { 29 } else { 26 };
            assert_eq!((said.steps(), said.channels), (steps(&data.valid[0]), 2));
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
            for (sample, start) in [(&train[0], 0), (&train[3], 6), (&valid[0], 18), (&test[0], 24)] {
                let (x, y) = data(sample);
                assert_eq!(x[0], value(start));
                for (at, y) in (start..).zip(y.chunks(2)) {
                    let said: Vec<f32> = y.iter().zip(bases(at)).map(|(y, base)| y + base).collect();
                    assert!(close(&said, [value(at + 1), value(at + 2)]), "{at}: {said:?}");
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
            assert_eq!(whole[0].input.steps(), steps, "{}", path.display());
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
    fn windows_that_fill_memory_are_refused() {
        let text = (0..70_000).fold("a\n".to_string(), |mut text, n| {
            writeln!(text, "{n}").unwrap();
            text
        });
        assert_says(loaded(&text, "window = 20000", ONE), &["data.window", "the limit"]);
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
