//! Samples: what they are, how files become them, how they are split.
//!
//! [`load`] makes the three splits that a `[data]` table asks for; [`load_split`] reads test data as the training data
//! were read. One reader a format: [`ts`], [`series`], [`text`], [`synthetic`].

pub mod batch;
pub mod loader;
pub mod sample;
pub mod series;
pub mod split;
pub mod synthetic;
pub mod text;
pub mod ts;
pub mod vocabulary;

pub use sample::{
    Dataset, Features, InputSchema, Sample, SampleInput, SampleTarget, Scale, Schema, TargetSchema,
};
pub use vocabulary::Vocabulary;

use crate::config::{DataConfig, DataFormat, IoMode};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of the largest file read.
const MAX_BYTES: u64 = 1 << 30;

/// Values of the largest split made, 2 GiB of them.
const MAX_VALUES: usize = 1 << 29;

/// What a fraction is where the configuration is silent.
const DEFAULT_FRACTION: f64 = 0.1;

/// A file of samples, read but not yet scaled or encoded.
trait Source: Sized {
    /// Some of its samples, to be.
    type Part;

    /// Reads and checks `path`; `schema` is that of the training data, where this is not it.
    fn open(
        path: &Path,
        config: &DataConfig,
        mode: IoMode,
        schema: Option<&Schema>,
    ) -> Result<Self>;

    /// Training, validation and test part; the first is everything if both fractions are zero.
    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]>;

    /// Labels, scales and vocabulary, computed from the training part alone.
    fn schema(&self, train: &Self::Part) -> Result<Schema>;

    /// The samples of a part, scaled and encoded.
    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>>;
}

/// Reads or makes the training, validation and test split that `config` asks for, for a model of `mode`.
///
/// `seed` draws what is drawn: the samples that a `ts` file gives to validation, the synthetic ones.
/// The test split may be empty, the other two not.
pub fn load(config: &DataConfig, mode: IoMode, seed: u64) -> Result<Dataset> {
    check(config, mode)?;
    let dataset = match config.format {
        DataFormat::Ts => load_file::<ts::Ts>(config, mode, seed),
        DataFormat::Csv => load_file::<series::Series>(config, mode, seed),
        DataFormat::Text => load_file::<text::Text>(config, mode, seed),
        DataFormat::Adding | DataFormat::CopyMemory => synthetic::load(config, seed),
    }?;
    if dataset.valid.is_empty() {
        return Err(Error::config(
            "data.valid_fraction",
            "leaves nothing for validation, by which training is judged: raise it, or name a file in `data.valid`",
        ));
    }
    Ok(dataset)
}

/// The test split, read by the `schema` that was stored with a model.
///
/// From `path` if given, else from the test file or test part of `config`. `seed` must be the one that [`load`] had,
/// or samples that were trained on come back.
pub fn load_split(
    config: &DataConfig,
    mode: IoMode,
    schema: &Schema,
    path: Option<&Path>,
    seed: u64,
) -> Result<Vec<Sample>> {
    check(config, mode)?;
    let path = path.or(config.test.as_deref());
    let samples = match config.format {
        DataFormat::Ts => load_test::<ts::Ts>(config, mode, schema, path, seed),
        DataFormat::Csv => load_test::<series::Series>(config, mode, schema, path, seed),
        DataFormat::Text => load_test::<text::Text>(config, mode, schema, path, seed),
        DataFormat::Adding | DataFormat::CopyMemory => {
            synthetic::load_test(config, schema, path, seed)
        }
    }?;
    if samples.is_empty() {
        return Err(Error::config(
            "data.test_fraction",
            "leaves nothing for test: raise it before training, or name a test file",
        ));
    }
    Ok(samples)
}

fn load_file<S: Source>(config: &DataConfig, mode: IoMode, seed: u64) -> Result<Dataset> {
    let source = S::open(train_file(config)?, config, mode, None)?;
    let (valid, test) = fractions(config);
    let [train, valid, test] = source.cut(valid, test, seed)?;
    let schema = source.schema(&train)?;
    let samples = |part, file: &Option<_>| match file {
        Some(path) => read_file::<S>(path, config, mode, &schema),
        None => source.samples(part, &schema),
    };
    Ok(Dataset {
        train: samples(&train, &None)?,
        valid: samples(&valid, &config.valid)?,
        test: samples(&test, &config.test)?,
        schema,
    })
}

fn load_test<S: Source>(
    config: &DataConfig,
    mode: IoMode,
    schema: &Schema,
    path: Option<&Path>,
    seed: u64,
) -> Result<Vec<Sample>> {
    if let Some(path) = path {
        return read_file::<S>(path, config, mode, schema);
    }
    let source = S::open(train_file(config)?, config, mode, Some(schema))?;
    let (valid, test) = fractions(config);
    let [_, _, test] = source.cut(valid, test, seed)?;
    source.samples(&test, schema)
}

/// All samples of a file that is not the training file.
fn read_file<S: Source>(
    path: impl AsRef<Path>,
    config: &DataConfig,
    mode: IoMode,
    schema: &Schema,
) -> Result<Vec<Sample>> {
    let source = S::open(path.as_ref(), config, mode, Some(schema))?;
    let [all, _, _] = source.cut(0.0, 0.0, 0)?;
    source.samples(&all, schema)
}

fn train_file(config: &DataConfig) -> Result<&Path> {
    config.train.as_deref().ok_or_else(|| {
        let message = format!(
            "`{}` data need a training file: name it here",
            name(config.format)
        );
        Error::config("data.train", message)
    })
}

/// Parts of the training file that go to validation and to test: none where there is a file for it.
fn fractions(config: &DataConfig) -> (f64, f64) {
    let unless = |file: bool, fraction| if file { 0.0 } else { fraction };
    (
        unless(config.valid.is_some(), config.valid_fraction),
        unless(config.test.is_some(), config.test_fraction),
    )
}

fn name(format: DataFormat) -> &'static str {
    match format {
        DataFormat::Ts => "ts",
        DataFormat::Csv => "csv",
        DataFormat::Text => "text",
        DataFormat::Adding => "adding",
        DataFormat::CopyMemory => "copy-memory",
    }
}

/// Refuses what does not go together, before any file is opened.
fn check(config: &DataConfig, mode: IoMode) -> Result<()> {
    check_options(config)?;
    check_mode(config.format, mode)?;
    let files = matches!(
        config.format,
        DataFormat::Ts | DataFormat::Csv | DataFormat::Text
    );
    if files {
        train_file(config)?;
    }
    let counts = [
        ("window", config.window),
        ("horizon", config.horizon),
        ("steps", config.steps),
        ("samples", config.samples),
    ];
    for (key, count) in counts {
        if count == Some(0) {
            return Err(Error::config(format!("data.{key}"), "must be at least 1"));
        }
    }
    let fraction_keys = [
        ("valid_fraction", config.valid_fraction),
        ("test_fraction", config.test_fraction),
    ];
    for (key, fraction) in fraction_keys {
        if !(0.0..1.0).contains(&fraction) {
            let message = format!("must be at least 0 and less than 1, not {fraction}");
            return Err(Error::config(format!("data.{key}"), message));
        }
    }
    let (valid, test) = fractions(config);
    if valid + test >= 1.0 {
        let message =
            format!("{valid} and a `test_fraction` of {test} leave nothing to train on: lower one");
        return Err(Error::config("data.valid_fraction", message));
    }
    for (key, columns) in [("columns", &config.columns), ("targets", &config.targets)] {
        if let Some(column) = duplicate(columns) {
            let message = format!("names `{column}` twice");
            return Err(Error::config(format!("data.{key}"), message));
        }
    }
    Ok(())
}

/// An option without effect is a mistake of whoever set it.
fn check_options(config: &DataConfig) -> Result<()> {
    use DataFormat::{Adding, CopyMemory, Csv, Text, Ts};
    const FILES: &[DataFormat] = &[Ts, Csv, Text];
    const MADE: &[DataFormat] = &[Adding, CopyMemory];
    let options: [(&str, bool, &[DataFormat]); 11] = [
        ("train", config.train.is_some(), FILES),
        ("valid", config.valid.is_some(), FILES),
        ("test", config.test.is_some(), FILES),
        (
            "valid_fraction",
            config.valid_fraction != DEFAULT_FRACTION,
            FILES,
        ),
        (
            "test_fraction",
            config.test_fraction != DEFAULT_FRACTION,
            FILES,
        ),
        ("columns", !config.columns.is_empty(), &[Csv]),
        ("targets", !config.targets.is_empty(), &[Csv]),
        ("horizon", config.horizon.is_some(), &[Csv]),
        ("window", config.window.is_some(), &[Csv, Text]),
        ("steps", config.steps.is_some(), MADE),
        ("samples", config.samples.is_some(), MADE),
    ];
    for (key, set, formats) in options {
        if set && !formats.contains(&config.format) {
            let users = list(formats.iter().map(|f| name(*f)));
            let message = format!(
                "has no effect on `{}` data, only on {users}: leave it out",
                name(config.format)
            );
            return Err(Error::config(format!("data.{key}"), message));
        }
    }
    Ok(())
}

fn check_mode(format: DataFormat, mode: IoMode) -> Result<()> {
    use IoMode::{ManyToMany, ManyToOne, OneToOne};
    let (modes, names, why): (&[IoMode], _, _) = match format {
        DataFormat::Ts => (
            &[ManyToOne],
            "many-to-one",
            "have one label for a whole sequence",
        ),
        DataFormat::Adding => (
            &[ManyToOne],
            "many-to-one",
            "have one sum for a whole sequence",
        ),
        DataFormat::Text => (
            &[ManyToMany],
            "many-to-many",
            "have a next character at every step",
        ),
        DataFormat::CopyMemory => (
            &[ManyToMany],
            "many-to-many",
            "have a token to write at every step",
        ),
        DataFormat::Csv => (
            &[OneToOne, ManyToOne, ManyToMany],
            "one-to-one, many-to-one or many-to-many",
            "are windows of readings and the readings after them",
        ),
    };
    if modes.contains(&mode) {
        return Ok(());
    }
    let message = format!("`{}` data {why}: it must be {names}", name(format));
    Err(Error::config("model.mode", message))
}

/// The text of a file; a byte order mark is dropped.
fn read_text(path: &Path) -> Result<String> {
    let io = |e| Error::io(path, e);
    let too_large = || Error::file(path, "is larger than 1 GiB: split it or cut it down");
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() > MAX_BYTES {
        return Err(too_large());
    }
    // What is no regular file says that it has no length, hence the second limit.
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    if bytes.is_empty() {
        return Err(Error::file(path, "is empty"));
    }
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let offset = e.utf8_error().valid_up_to();
        let line = line_at(e.as_bytes(), offset);
        let message = format!("is not UTF-8 at byte {offset} (line {line}): convert it to UTF-8");
        Error::file(path, message)
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// The line, counted from 1, that holds the byte at `offset`.
fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes[..offset].iter().filter(|b| **b == b'\n').count()
}

/// A finite number, or what is wrong with it.
fn number(text: &str) -> Result<f32, String> {
    let text = text.trim();
    if ["", "?", "nan", "na", "null", "none"].contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "the value is missing (`{text}`): fill it in or leave it out"
        ));
    }
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("`{text}` is not finite in 32 bits")),
        Err(_) => Err(format!("`{text}` is not a number")),
    }
}

/// `a, b, c`; the first 20 where there are more.
fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let shown: Vec<_> = names.iter().take(20).map(AsRef::as_ref).collect();
    let more = if names.len() > shown.len() {
        ", ..."
    } else {
        ""
    };
    shown.join(", ") + more
}

/// The first name that is there twice.
fn duplicate<T: AsRef<str>>(names: &[T]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    names.iter().map(AsRef::as_ref).find(|n| !seen.insert(*n))
}

/// Channels and scales of feature inputs; an error where a model does not read features.
fn input_features(input: &InputSchema) -> Result<(usize, &[Scale])> {
    match input {
        InputSchema::Features {
            channels, scales, ..
        } => split::check_scales(*channels, scales).map(|()| (*channels, scales.as_slice())),
        InputSchema::Tokens { .. } => Err(Error::Input(
            "the model reads tokens, these data are numbers: give it data like those it was trained on".into(),
        )),
    }
}

/// An error for targets that are not of the kind that the model gives.
fn wrong_target() -> Error {
    Error::Input(
        "the targets of these data are not of the kind that the model gives: \
         use data like those it was trained on"
            .into(),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;
    use tempfile::NamedTempFile;

    /// A file of `bytes` that goes when the value does.
    pub fn file(bytes: impl AsRef<[u8]>) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes.as_ref()).unwrap();
        file
    }

    /// A `[data]` table with `train`, `test` and further lines.
    pub fn config(format: &str, train: Option<&Path>, more: &str) -> DataConfig {
        let mut config: DataConfig =
            toml::from_str(&format!("format = \"{format}\"\n{more}")).unwrap();
        config.train = train.map(Into::into);
        config
    }

    /// That `result` is an error which says all of `parts`.
    #[track_caller]
    pub fn assert_says<T>(result: Result<T>, parts: &[&str]) {
        let message = result.err().expect("should be refused").to_string();
        for part in parts {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }

    fn refused(format: &str, more: &str, mode: IoMode, key: &str) {
        let train = Some(Path::new("train")).filter(|_| !["adding", "copy-memory"].contains(&format));
        match load(&config(format, train, more), mode, 0) {
            Err(Error::Config { key: found, .. }) => assert_eq!(found, key),
            other => panic!("expected an error at {key}: {:?}", other.map(|_| ())),
        }
    }

    #[test]
    fn options_without_effect_are_refused() {
        let cases = [
            ("ts", "window = 3", IoMode::ManyToOne, "data.window"),
            ("ts", "columns = [\"a\"]", IoMode::ManyToOne, "data.columns"),
            ("ts", "steps = 3", IoMode::ManyToOne, "data.steps"),
            ("csv", "samples = 3", IoMode::ManyToOne, "data.samples"),
            ("text", "horizon = 3", IoMode::ManyToMany, "data.horizon"),
            ("text", "targets = [\"a\"]", IoMode::ManyToMany, "data.targets"),
            ("adding", "train = \"x\"", IoMode::ManyToOne, "data.train"),
            ("adding", "test_fraction = 0.2", IoMode::ManyToOne, "data.test_fraction"),
            ("copy-memory", "window = 3", IoMode::ManyToMany, "data.window"),
        ];
        for (format, more, mode, key) in cases {
            if key == "data.train" {
                let config = config(format, Some(Path::new("x")), "");
                assert_says(load(&config, mode, 0), &["data.train", "no effect"]);
            } else {
                refused(format, more, mode, key);
            }
        }
    }

    #[test]
    fn missing_train_is_refused() {
        for format in ["ts", "csv"] {
            let config = config(format, None, "");
            assert_says(load(&config, IoMode::ManyToOne, 0), &["data.train", "name it"]);
        }
    }

    #[test]
    fn fractions_out_of_range_are_refused() {
        let fraction = |more| refused("ts", more, IoMode::ManyToOne, "data.valid_fraction");
        fraction("valid_fraction = 1.0");
        fraction("valid_fraction = -0.1");
        fraction("valid_fraction = nan");
        fraction("valid_fraction = 0.5\ntest_fraction = 0.5");
        refused("ts", "test_fraction = 1.5", IoMode::ManyToOne, "data.test_fraction");
    }

    #[test]
    fn zero_counts_are_refused() {
        refused("csv", "window = 0", IoMode::ManyToOne, "data.window");
        refused("csv", "horizon = 0", IoMode::ManyToOne, "data.horizon");
        refused("adding", "steps = 0", IoMode::ManyToOne, "data.steps");
        refused("adding", "samples = 0", IoMode::ManyToOne, "data.samples");
    }

    #[test]
    fn columns_named_twice_are_refused() {
        refused("csv", "columns = [\"a\", \"a\"]", IoMode::ManyToOne, "data.columns");
    }

    #[test]
    fn modes_that_do_not_fit_are_refused() {
        for format in ["ts", "csv", "text", "adding", "copy-memory"] {
            refused(format, "", IoMode::OneToMany, "model.mode");
            refused(format, "", IoMode::EncoderDecoder, "model.mode");
        }
        refused("ts", "", IoMode::ManyToMany, "model.mode");
        refused("text", "", IoMode::OneToOne, "model.mode");
        refused("copy-memory", "", IoMode::ManyToOne, "model.mode");
    }

    #[test]
    fn empty_file_is_refused() {
        assert_says(read_text(file("").path()), &["is empty"]);
    }

    #[test]
    fn missing_file_is_an_io_error() {
        assert!(matches!(
            read_text(Path::new("/nowhere/at/all")),
            Err(Error::Io { .. })
        ));
    }

    #[test]
    fn folder_is_an_io_error() {
        assert!(matches!(
            read_text(&std::env::temp_dir()),
            Err(Error::Io { .. })
        ));
    }

    #[test]
    fn not_utf_8_is_refused_with_its_place() {
        assert_says(
            read_text(file(b"ab\nc\xffd").path()),
            &["UTF-8", "byte 4", "line 2"],
        );
    }

    #[test]
    fn file_over_the_limit_is_refused() {
        let file = file("");
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        assert_says(read_text(file.path()), &["1 GiB"]);
    }

    #[test]
    fn byte_order_mark_is_dropped() {
        assert_eq!(read_text(file("\u{feff}a").path()).unwrap(), "a");
    }

    #[test]
    fn numbers() {
        assert_eq!(number(" -1.5e2 "), Ok(-150.0));
        for (text, says) in [
            ("", "missing"),
            ("?", "missing"),
            ("NaN", "missing"),
            ("inf", "not finite"),
            ("1e39", "not finite"),
            ("x", "`x` is not a number"),
        ] {
            assert!(number(text).unwrap_err().contains(says), "{text}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(["a", "b"]), "a, b");
        assert!(list(vec!["a"; 21]).ends_with("a, ..."));
    }
}
