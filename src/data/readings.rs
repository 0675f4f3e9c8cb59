//! Lines of readings as they come, one a line, for a model that reads a stream.
//!
//! A line before the first reading that names the columns is their header: columns are then found by name, and those that
//! the model does not read are passed over. Where one of these has times, they tell which rows are missing.

use super::series::parse_row;
use super::{Features, InputSchema, input_features, list, number, split};
use crate::config::duplicate;
use crate::error::{Error, Result};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::ops::Range;

/// Intervals between rows that tell their step.
const LATEST: usize = 7;

/// Steps to the next row at most, where the row after it does not say so too.
const MAX_AHEAD: i64 = 10_000;

/// A reader of such lines.
pub struct Readings<'a> {
    input: &'a InputSchema,
    header: Option<Header>,
    /// Whether there was a reading without a header.
    started: bool,
}

/// What a line says.
pub struct Reading {
    /// Rows that are missing before it, by its time.
    pub missing: usize,
    /// The values, as the model reads them, or what is wrong with the line.
    pub values: Result<Features>,
    /// Whether the line is a row, right or wrong, that comes after those before it. Where rows have times, a line
    /// without one is none once their step is known, at the second time: the next time tells what is missing.
    pub is_row: bool,
}

/// Columns of the lines.
struct Header {
    names: StringRecord,
    /// Of each column that the model reads, which one it is.
    columns: Vec<usize>,
    /// Whether a row has been read.
    started: bool,
    clock: Option<Clock>,
}

/// A column of times, in seconds.
struct Clock {
    column: usize,
    last: i64,
    /// The latest intervals between rows; none before the second time.
    latest: Vec<i64>,
    /// Lines without a time before the second time, each taken for a row.
    untimed: i64,
    /// The time of the row before, where it was refused as too far ahead.
    ahead: Option<i64>,
}

impl<'a> Readings<'a> {
    /// For a model of values that reads `input`.
    pub fn new(input: &'a InputSchema) -> Self {
        Self { input, header: None, started: false }
    }

    /// Whether the next line names the stream's columns, and is none to [`read`](Self::read): one before the first
    /// reading, or the same again.
    ///
    /// # Errors
    /// A line that names some of the columns that the model reads and not all, or one twice.
    pub fn header(&mut self, line: &str) -> Result<bool> {
        let InputSchema::Features { names, .. } = self.input else { return Ok(false) };
        if self.started {
            return Ok(false);
        }
        let cells = cells(line.strip_prefix('\u{feff}').unwrap_or(line))?;
        if let Some(header) = &self.header {
            return Ok(cells == header.names);
        }
        let find = |name: &String| cells.iter().position(|cell| cell == name);
        let columns: Vec<usize> = names.iter().filter_map(find).collect();
        // Names may be numbers, but not all of a header's are.
        if columns.is_empty() || cells.iter().all(|cell| number(cell).is_ok()) {
            return Ok(false);
        }
        if columns.len() < names.len() {
            let missing = list(names.iter().filter(|name| find(name).is_none()));
            let message =
                format!("the header has no column {missing}, which the model reads: name all it reads");
            return Err(Error::Input(message));
        }
        if let Some(name) = duplicate(&cells.iter().collect::<Vec<_>>()) {
            return Err(Error::Input(format!("column `{name}` is there twice")));
        }
        self.header = Some(Header { names: cells, columns, started: false, clock: None });
        Ok(true)
    }

    /// What the next line says; without a header it has the model's columns in their order. `line` is an error where it
    /// could not be read.
    pub fn read(&mut self, line: Result<String>) -> Reading {
        let Some(header) = &mut self.header else {
            let values = line.and_then(|line| parse_row(&line, self.input));
            self.started |= values.is_ok();
            return Reading { missing: 0, values, is_row: true };
        };
        let cells = match line.and_then(|line| header.cells(&line)) {
            Ok(cells) => cells,
            Err(e) => return Reading { missing: 0, values: Err(e), is_row: header.untimed() },
        };
        let time = match header.time(&cells) {
            Ok(time) => time,
            Err(e) => return Reading { missing: 0, values: Err(e), is_row: header.untimed() },
        };
        match header.missing(&cells, time) {
            Ok(missing) => Reading { missing, values: header.values(&cells, self.input), is_row: true },
            Err(e) => Reading { missing: 0, values: Err(e), is_row: false },
        }
    }
}

impl Header {
    fn cells(&self, line: &str) -> Result<StringRecord> {
        let cells = cells(line)?;
        if cells.len() != self.names.len() {
            let message = format!("{} cells, where the header has {}", cells.len(), self.names.len());
            return Err(Error::Input(message));
        }
        Ok(cells)
    }

    /// The time of a row; the first one has none yet, and tells which column has times.
    fn time(&mut self, cells: &StringRecord) -> Result<Option<i64>> {
        if !self.started {
            self.started = true;
            self.clock = (0..cells.len())
                .filter(|column| !self.columns.contains(column))
                .find_map(|column| Some(Clock::new(column, seconds(&cells[column])?)));
            return Ok(None);
        }
        let Some(Clock { column, .. }) = self.clock else { return Ok(None) };
        match seconds(&cells[column]) {
            Some(time) => Ok(Some(time)),
            None => Err(self.refused(cells, column, "no time: write one, as in 2026-01-31 09:30")),
        }
    }

    /// Counts a line without a time. Whether it is a row: until there is a second time, nothing else tells.
    fn untimed(&mut self) -> bool {
        let Some(clock) = &mut self.clock else { return true };
        let is_row = clock.latest.is_empty();
        clock.untimed += i64::from(is_row);
        is_row
    }

    /// How many rows are missing before this one, which is of `time`.
    fn missing(&mut self, cells: &StringRecord, time: Option<i64>) -> Result<usize> {
        let (Some(clock), Some(time)) = (&mut self.clock, time) else { return Ok(0) };
        let column = clock.column;
        clock.missing(time).map_err(|what| self.refused(cells, column, what))
    }

    fn refused(&self, cells: &StringRecord, column: usize, what: &str) -> Error {
        Error::Input(format!("column `{}`: `{}` is {what}", &self.names[column], &cells[column]))
    }

    fn values(&self, cells: &StringRecord, input: &InputSchema) -> Result<Features> {
        let (_, scales) = input_features(input)?;
        let value = |&column: &usize| {
            let refuse = |e: String| Error::Input(format!("column `{}`: {e}", &self.names[column]));
            number(&cells[column]).map_err(refuse)
        };
        let mut data = self.columns.iter().map(value).collect::<Result<Vec<f32>>>()?;
        split::standardize(&mut data, scales);
        Ok(Features::vector(data))
    }
}

impl Clock {
    fn new(column: usize, time: i64) -> Self {
        Self { column, last: time, latest: Vec::new(), untimed: 0, ahead: None }
    }

    /// How many rows are missing before the one of `time`, or what is wrong with it.
    fn missing(&mut self, time: i64) -> Result<usize, &'static str> {
        let ahead = self.ahead.take();
        let passed = time - self.last;
        if passed <= 0 {
            return Err("not later than the row before: leave the row out");
        }
        if self.latest.is_empty() {
            // The lines between them were rows.
            self.latest.push((passed / (self.untimed + 1)).max(1));
            self.last = time;
            return Ok(0);
        }
        let mut latest = self.latest.clone();
        latest.push(passed);
        if latest.len() > LATEST {
            latest.remove(0);
        }
        let step = most_frequent(&latest);
        let farthest = MAX_AHEAD * step;
        // One wrong time must not make all rows after it late.
        if passed > farthest && ahead.is_none_or(|ahead| !(1..=farthest).contains(&(time - ahead))) {
            self.ahead = Some(time);
            return Err("more than 10000 rows later: with --follow the next row may confirm it");
        }
        (self.last, self.latest) = (time, latest);
        // To the nearest row: clocks are not exact.
        Ok(((passed + step / 2) / step - 1).max(0) as usize)
    }
}

/// The interval that most others are within a tenth of, of several the first one: clocks are not exact.
fn most_frequent(intervals: &[i64]) -> i64 {
    let like = |interval: i64| {
        let near = |other: &&i64| 10 * (**other - interval).abs() <= interval;
        intervals.iter().filter(near).count()
    };
    // Of several maxima `max_by_key` gives the last.
    intervals.iter().rev().copied().max_by_key(|&interval| like(interval)).expect("there is one")
}

/// The cells of one line. Each is read by itself, so that a quote that is not closed does not take the next ones.
fn cells(line: &str) -> Result<StringRecord> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(line.as_bytes());
    let mut cells = StringRecord::new();
    reader.read_record(&mut cells).map_err(|e| Error::Input(e.to_string()))?;
    Ok(cells)
}

/// Seconds from a fixed moment to `YYYY-MM-DD HH:MM` or `YYYY-MM-DD HH:MM:SS`, also with `T` for the blank; other text
/// has none.
fn seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let is_time = [16, 19].contains(&bytes.len())
        && bytes.iter().zip(b"0000-00-00 00:00:00").all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b' ' => [b' ', b'T'].contains(byte),
            _ => byte == shape,
        });
    if !is_time {
        return None;
    }
    let number = |digits: Range<usize>| {
        let digits = bytes.get(digits).unwrap_or_default();
        digits.iter().fold(0i64, |n, digit| 10 * n + i64::from(digit - b'0'))
    };
    let [year, month, day] = [number(0..4), number(5..7), number(8..10)];
    let [hour, minute, second] = [number(11..13), number(14..16), number(17..19)];
    if !((1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61) {
        return None;
    }
    // Of years that begin in March the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day;
    Some(((24 * days + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::assert_says;

    fn schema() -> InputSchema {
        let names = ["x", "y"].map(String::from).to_vec();
        InputSchema::Features { channels: 2, scales: Vec::new(), names }
    }

    /// Rows missing before a line, its values, and whether it is a row.
    fn read(readings: &mut Readings, line: &str) -> (usize, Result<Vec<f32>>, bool) {
        let Reading { missing, values, is_row } = readings.read(Ok(line.into()));
        (missing, values.map(|values| values.data.to_vec()), is_row)
    }

    #[test]
    fn columns_are_found_by_name() {
        let schema = schema();
        let mut readings = Readings::new(&schema);
        assert!(readings.header("\u{feff}day,\"y\",\"a, b\", x").unwrap());
        let (missing, values, is_row) = read(&mut readings, "1,\"2\",\"3, 4\", 5");
        assert_eq!((missing, values.unwrap(), is_row), (0, vec![5.0, 2.0], true));
        for (line, says) in [
            ("1,2,3", "3 cells, where the header has 4"),
            ("", "0 cells"),
            ("1,?,3,4", "column `y`: the value is missing"),
            ("1,\"2,3,4", "2 cells"),
        ] {
            let (missing, values, is_row) = read(&mut readings, line);
            assert_says(values, &[says]);
            assert_eq!((missing, is_row), (0, true), "{line}");
        }
        // Without a header they are in the model's order.
        let mut readings = Readings::new(&schema);
        for line in ["5,2", "", "a,b", "\"5\""] {
            assert!(!readings.header(line).unwrap(), "{line}");
        }
        assert_says(readings.header("day,y"), &["no column x,"]);
        assert_says(readings.header("x,y,day,day"), &["`day` is there twice"]);
        assert_eq!(read(&mut readings, "5,2").1.unwrap(), [5.0, 2.0]);
    }

    #[test]
    fn numbers_are_no_header() {
        let names = ["1", "2"].map(String::from).to_vec();
        let schema = InputSchema::Features { channels: 2, scales: Vec::new(), names };
        assert!(!Readings::new(&schema).header("1,2").unwrap());
        assert!(Readings::new(&schema).header("day,2,1").unwrap());
    }

    #[test]
    fn times_tell_what_is_missing() {
        let schema = schema();
        let mut readings = Readings::new(&schema);
        readings.header("place,time,x,y").unwrap();
        let right = |missing| (missing, None, true);
        for (line, expected) in [
            ("a,2024-02-28 22:00,1,2", right(0)),
            ("a,2024-02-28T23:00:00,1,2", right(0)),
            // The 29th is missing but for its last hour.
            ("a,2024-02-29 23:00,1,2", right(23)),
            ("a,2024-03-01 00:04,1,2", right(0)),
            ("a,2024-03-01 02:00,1,x", (1, Some("`x` is not a number"), true)),
            ("a,2024-03-01 02:00,1,2", (0, Some("column `time`: `2024-03-01 02:00` is not later"), false)),
            ("a,soon,1,2", (0, Some("`soon` is no time"), false)),
            ("", (0, Some("0 cells"), false)),
            ("a,2024-03-01 04:00,1,2", right(1)),
            ("a,2024-03-01 04:10,1,2", right(0)),
        ] {
            let (missing, values, is_row) = read(&mut readings, line);
            assert_eq!((missing, is_row), (expected.0, expected.2), "{line}");
            match expected.1 {
                Some(says) => assert_says(values, &[says]),
                None => assert_eq!(values.unwrap(), [1.0, 2.0], "{line}"),
            }
        }
    }

    /// Rows missing before each line of a stream of times alone and whether it is a row.
    fn timed(times: &[&str]) -> Vec<(usize, bool)> {
        let schema = schema();
        let mut readings = Readings::new(&schema);
        assert!(readings.header("time,x,y").unwrap());
        let line = |time: &&str| match time.len() {
            5 => format!("2024-01-01 {time},1,2"),
            0 => String::new(),
            _ => format!("{time},1,2"),
        };
        times
            .iter()
            .map(|time| {
                let (missing, _, is_row) = read(&mut readings, &line(time));
                (missing, is_row)
            })
            .collect()
    }

    #[test]
    fn the_step_is_the_most_frequent_interval() {
        let missing = |times: &[&str]| timed(times).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        // A short first interval: from the second hour on the step is known.
        let short = ["09:40", "10:00", "11:00", "12:00", "13:00", "15:00"];
        assert_eq!(missing(&short), [0, 0, 2, 0, 0, 1]);
        // A long first interval, which is as frequent as an hour up to 09:00.
        let long = ["00:00", "02:00", "03:00", "05:00", "06:00", "08:00", "09:00", "10:00", "12:00"];
        assert_eq!(missing(&long), [0, 0, 0, 0, 0, 0, 0, 0, 1]);
        // Clocks are not exact.
        assert_eq!(most_frequent(&[60, 61, 58, 120, 120]), 60);
        assert_eq!(most_frequent(&[600, 3590, 3610, 3600]), 3590);
    }

    #[test]
    fn a_time_far_ahead_is_taken_where_the_next_row_says_so_too() {
        let (row, none) = (|missing: usize| (missing, true), (0, false));
        let far = ["00:00", "01:00", "2099-01-01 00:00", "02:00", "2099-01-01 00:00", "", "04:00"];
        assert_eq!(timed(&far), [row(0), row(0), none, row(0), none, none, row(1)]);
        // The hours of 2024 and 2025 but for the first two, and the row that was refused.
        let gap = ["00:00", "01:00", "2026-01-01 00:00", "2026-01-01 01:00", "2026-01-01 02:00"];
        assert_eq!(timed(&gap), [row(0), row(0), none, row(8784 + 8760 - 2 + 1), row(0)]);
        // Two that do not follow each other.
        let wrong = ["00:00", "01:00", "2099-01-01 00:00", "2098-01-01 00:00", "02:00"];
        assert_eq!(timed(&wrong), [row(0), row(0), none, none, row(0)]);
    }

    #[test]
    fn a_line_without_a_time_is_a_row_until_the_step_is_known() {
        let row = |missing: usize| (missing, true);
        let lines = ["00:00", "", "soon!!", "03:00", "04:00", "soon!!", "", "07:00"];
        assert_eq!(timed(&lines), [row(0), row(0), row(0), row(0), row(0), (0, false), (0, false), row(2)]);
    }

    #[test]
    fn a_header_may_follow_wrong_lines_and_come_again() {
        let schema = schema();
        let mut readings = Readings::new(&schema);
        for line in ["", "a,b"] {
            assert!(!readings.header(line).unwrap());
            assert!(read(&mut readings, line).1.is_err());
        }
        assert!(readings.header("y,x").unwrap());
        for _ in 0..2 {
            assert!(!readings.header("1,2").unwrap());
            assert_eq!(read(&mut readings, "1,2").1.unwrap(), [2.0, 1.0]);
            assert!(readings.header("\u{feff}\"y\", x").unwrap());
            assert!(!readings.header("x,y").unwrap());
        }
        // After a reading without a header there is none.
        let mut readings = Readings::new(&schema);
        assert_eq!(read(&mut readings, "1,2").1.unwrap(), [1.0, 2.0]);
        assert!(!readings.header("y,x").unwrap());
        assert!(read(&mut readings, "y,x").1.is_err());
    }

    #[test]
    fn without_times_in_the_first_row_nothing_is_missing() {
        let schema = schema();
        let mut readings = Readings::new(&schema);
        readings.header("time,x,y").unwrap();
        for line in ["day 1,1,2", "2024-01-01 00:00,1,2", "2024-01-01 00:00,1,2", "2025-01-01 00:00,1,2"] {
            let (missing, values, is_row) = read(&mut readings, line);
            assert_eq!((missing, values.is_ok(), is_row), (0, true, true), "{line}");
        }
    }

    #[test]
    fn seconds_of_times() {
        let passed = |from: &str, to: &str| seconds(to).unwrap() - seconds(from).unwrap();
        let day = 24 * 60 * 60;
        for (from, to, expected) in [
            ("2026-01-31 09:30", "2026-01-31T09:30:07", 7),
            ("1970-01-01 00:00", "2001-09-09 01:46:40", 1_000_000_000),
            ("2023-02-28 12:00", "2023-03-01 12:00", day),
            ("2024-02-28 12:00", "2024-03-01 12:00", 2 * day),
            ("1900-02-28 00:00", "1900-03-01 00:00", day),
            ("1999-12-31 23:59", "2000-01-01 00:00", 60),
            ("0000-01-01 00:00", "0000-03-01 00:00", 60 * day),
        ] {
            assert_eq!(passed(from, to), expected, "{from} {to}");
        }
        for text in [
            "",
            "1",
            "2026-01-31",
            "2026-1-31 09:30",
            "2026-13-01 09:30",
            "2026-00-01 09:30",
            "2026-01-00 09:30",
            "2026-01-32 09:30",
            "2026-01-31 24:00",
            "2026-01-31 09:60",
            "2026-01-31 09:30Z",
            "2026-01-31_09:30",
            "2026-01-31 09:30:61",
            "2026-01-31 09:30:",
            "2026-01-31 09:3é",
            "31.01.2026 09:30",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
