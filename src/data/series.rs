//! CSV files whose rows are time steps: what do the next readings look like?
//!
//! Training, validation and test follow each other in the file; means and deviations are those of the training part.
//! A many-to-one sample is a window of rows and the targets `horizon` rows after its last; such a window starts at every
//! row. In the other modes every row of the window has as its target the row `horizon` after it, and windows do not
//! overlap.

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
    standardize: bool,
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

/// The csv crate skips blank lines. Here one would be a lost time step.
fn check_blank_lines(path: &Path, text: &str) -> Result<()> {
    let mut lines = text.trim_end().lines();
    match lines.position(|line| line.trim().is_empty()) {
        Some(n) => Err(Error::line(path, n + 1, "the line is blank: remove it or fill it in")),
        None => Ok(()),
    }
}

fn csv_error(path: &Path, text: &str, error: &csv::Error) -> Error {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let message = format!("{len} cells, where the header has {expected_len}");
            Error::line(path, line_of(text, pos.as_ref()), message)
        }
        _ => Error::file(path, error.to_string()),
    }
}

/// The line of a record. The csv crate's own count is one short after `\r\n`.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let bytes = text.as_bytes();
    let start = position.map_or(0, |p| p.byte() as usize).min(bytes.len());
    let skip = bytes[start..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    line_at(bytes, start + skip)
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

fn target_names(target: &TargetSchema) -> Result<&[String]> {
    match target {
        TargetSchema::Features { names, .. } => named(names),
        _ => Err(mismatch()),
    }
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
    type Part = Range<usize>;

    fn open(path: &Path, config: &DataConfig, mode: IoMode, schema: Option<&Schema>) -> Result<Self> {
        let (columns, targets) = match schema {
            Some(schema) => (input_names(&schema.input)?, target_names(&schema.target)?),
            None => (config.columns.as_slice(), config.targets.as_slice()),
        };
        let text = read_text(path)?;
        let inputs = Table::parse(path, &text, columns)?;
        let targets = if targets.is_empty() { inputs.clone() } else { Table::parse(path, &text, targets)? };
        Ok(Self {
            path: path.into(),
            inputs,
            targets,
            mode,
            window: config.window.unwrap_or(DEFAULT_WINDOW),
            horizon: config.horizon.unwrap_or(1),
            standardize: config.standardize,
        })
    }

    fn cut(&self, valid: f64, test: f64, _: u64) -> Result<[Self::Part; 3]> {
        Ok(split::contiguous(self.inputs.values.steps(), valid, test))
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let scales = |table: &Table| match self.standardize {
            true => split::scales([table.rows(train.clone())].into_iter(), table.values.channels),
            false => Vec::new(),
        };
        Ok(Schema {
            input: InputSchema::Features {
                channels: self.inputs.values.channels,
                scales: scales(&self.inputs),
                names: self.inputs.names.clone(),
            },
            target: TargetSchema::Features {
                channels: self.targets.values.channels,
                scales: scales(&self.targets),
                names: self.targets.names.clone(),
            },
        })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let (inputs, input_scales) = input_features(&schema.input)?;
        let (targets, target_scales) = target_features(&schema.target)?;
        if (inputs, targets) != (self.inputs.values.channels, self.targets.values.channels) {
            return Err(mismatch());
        }
        let one = self.mode == IoMode::ManyToOne;
        let shape = (self.window, self.horizon, if one { 1 } else { self.window });
        let starts = split::windows(&self.path, part, shape, "rows")?;
        let steps = if one { 1 } else { self.window };
        let per_window = self.window.saturating_mul(inputs).saturating_add(steps.saturating_mul(targets));
        let values = starts.len().saturating_mul(per_window);
        if values > MAX_VALUES {
            let message = format!(
                "makes {} windows of {} steps, {values} values in all: lower it, the limit is {MAX_VALUES}",
                starts.len(),
                self.window
            );
            return Err(Error::config("data.window", message));
        }
        let sample = |start: usize| {
            let rows = start..start + self.window;
            let end = rows.end + self.horizon;
            Sample {
                input: SampleInput::Features(self.inputs.features(rows, input_scales)),
                target: SampleTarget::Features(self.targets.features(end - steps..end, target_scales)),
            }
        };
        Ok(starts.into_iter().map(sample).collect())
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
    fn columns_default_to_those_with_numbers() {
        let schema = loaded(&rows(), "window = 3", MANY).unwrap().schema;
        assert_eq!(input_names(&schema.input).unwrap(), ["n", "tens"]);
        assert_eq!(target_names(&schema.target).unwrap(), ["n", "tens"]);
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
    }
}
