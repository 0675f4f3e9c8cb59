//! Samples: what they are, how files become them, how they are split.
//!
//! [`load`] makes the three splits that a `[data]` table asks for; [`load_split`] reads test data as the training data
//! were read. One reader a format: [`ts`], [`series`], [`text`], [`labelled_text`], [`tagged`], [`intent_slots`],
//! [`pairs`], [`attributes`], [`strokes`], [`audio`], [`synthetic`].

pub mod attributes;
pub mod audio;
pub mod batch;
pub mod intent_slots;
pub mod labelled_text;
pub mod loader;
mod mel;
mod memory;
pub mod pairs;
pub mod readings;
pub mod sample;
mod samples;
pub mod series;
mod shared;
pub mod split;
pub mod strokes;
pub mod sub_words;
pub mod synthetic;
pub mod tagged;
pub mod target_text;
pub mod text;
pub mod ts;
pub mod vocabulary;
pub mod words;

pub use batch::{Batch, Input, Target, Words, padding};
pub use loader::{Draw, Loader, Noise};
pub(crate) use sample::MAX_SCHEMA;
pub use sample::{
    AttributeSchema, Dataset, Features, InputSchema, Sample, SampleInput, SampleTarget, Scale, Schema,
    Stroke, TargetSchema, TaskSchema,
};
pub use samples::Samples;
pub(crate) use series::Season;
pub use shared::{Excerpt, Spellings, Tokens, Values};
pub use strokes::Grid;
pub use sub_words::SubWords;
pub use vocabulary::Vocabulary;

use crate::config::{DataConfig, DataFormat, IoMode};
use crate::error::{Error, Result};
use crate::file::{read_bytes, unpack, utf8};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Bytes of the largest file read.
const MAX_BYTES: u64 = 1 << 30;

/// What a seed's random numbers are for, each use in a stream of its own; data is made from the first ones.
pub mod stream {
    /// Starting weights.
    pub const WEIGHTS: u64 = 1 << 32;
    /// The order and noise of an epoch: from here on.
    pub const EPOCHS: u64 = 2 << 32;
    /// The dropout of a step: from here on.
    pub const STEPS: u64 = 3 << 32;
    /// The draws of a generated text.
    pub const SAMPLING: u64 = 4 << 32;
    /// Which true tokens a decoder reads at a step of training: from here on.
    pub const TRUTHS: u64 = 5 << 32;
    /// How copies of drawings are moved.
    pub const COPIES: u64 = 6 << 32;
}

/// Values of the largest split that is made, or of a sample that is cut: 2 GiB of them.
const MAX_VALUES: usize = 1 << 29;

const EMPTY: &str = "is empty: name a file that has data";

/// Steps of a window where the configuration is silent.
const DEFAULT_WINDOW: usize = 64;

/// A file of samples, read but not yet scaled or encoded.
trait Source: Sized {
    /// Some of its samples, to be.
    type Part: Default;
    /// The samples of a split.
    type Split: Into<Samples>;

    /// Reads and checks `path`; `schema` is that of the training data, where this is not it.
    fn open(path: &Path, config: &DataConfig, mode: IoMode, schema: Option<&Schema>) -> Result<Self>;

    /// Training, validation and test part; the first is everything if both fractions are zero.
    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]>;

    /// Labels, scales and vocabulary, computed from the training part alone.
    fn schema(&self, train: &Self::Part) -> Result<Schema>;

    /// The samples of some parts, scaled and encoded. The file goes as they come, so that it and they are not there twice.
    fn samples(self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Self::Split; 3]>;
}

/// What becomes of three parts.
fn each<P, T>([train, valid, test]: [P; 3], mut made: impl FnMut(P) -> Result<T>) -> Result<[T; 3]> {
    Ok([made(train)?, made(valid)?, made(test)?])
}

/// Each of the items once, sorted. They are not collected: all of them would be listed and sorted first.
fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut distinct = BTreeSet::new();
    distinct.extend(items);
    distinct
}

/// The samples of the cases or lines `part`, in as much memory as they need.
fn collected(part: Vec<usize>, mut sample: impl FnMut(usize) -> Result<Sample>) -> Result<Vec<Sample>> {
    let mut samples = Vec::with_capacity(part.len());
    for k in part {
        samples.push(sample(k)?);
    }
    Ok(samples)
}

/// Writes into `config` what its training file decides, so that other files are read alike without it.
///
/// # Errors
/// A training file that is not there or cannot be read.
pub fn resolve(config: &mut DataConfig) -> Result<()> {
    if config.format == DataFormat::Wav {
        config.sample_rate = Some(audio::sample_rate(config)?);
    }
    Ok(())
}

/// Reads or makes the training, validation and test split that `config` asks for, for a model of `mode`.
///
/// `seed` draws what is drawn: the samples that a `ts` file gives to validation, the synthetic ones.
/// The test split may be empty, the other two not.
pub fn load(config: &DataConfig, mode: IoMode, seed: u64) -> Result<Dataset> {
    config.check(mode)?;
    let dataset = match config.format {
        DataFormat::Ts => load_file::<ts::Ts>(config, mode, seed),
        DataFormat::Csv => load_file::<series::Series>(config, mode, seed),
        DataFormat::Text => load_file::<text::Text>(config, mode, seed),
        DataFormat::LabelledText => load_file::<labelled_text::LabelledText>(config, mode, seed),
        DataFormat::Tagged => load_file::<tagged::Tagged>(config, mode, seed),
        DataFormat::IntentSlots => load_file::<intent_slots::IntentSlots>(config, mode, seed),
        DataFormat::Pairs => load_file::<pairs::Pairs>(config, mode, seed),
        DataFormat::Attributes => load_file::<attributes::Attributes>(config, mode, seed),
        DataFormat::Strokes => load_file::<strokes::Drawings>(config, mode, seed),
        DataFormat::Wav => load_file::<audio::Audio>(config, mode, seed),
        DataFormat::Adding | DataFormat::CopyMemory => synthetic::load(config, seed),
        DataFormat::Program => Err(no_file()),
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
) -> Result<Samples> {
    config.check(mode)?;
    let path = path.or(config.test.as_deref());
    let samples = match config.format {
        DataFormat::Ts => load_test::<ts::Ts>(config, mode, schema, path, seed),
        DataFormat::Csv => load_test::<series::Series>(config, mode, schema, path, seed),
        DataFormat::Text => load_test::<text::Text>(config, mode, schema, path, seed),
        DataFormat::LabelledText => {
            load_test::<labelled_text::LabelledText>(config, mode, schema, path, seed)
        }
        DataFormat::Tagged => load_test::<tagged::Tagged>(config, mode, schema, path, seed),
        DataFormat::IntentSlots => load_test::<intent_slots::IntentSlots>(config, mode, schema, path, seed),
        DataFormat::Pairs => load_test::<pairs::Pairs>(config, mode, schema, path, seed),
        DataFormat::Attributes => load_test::<attributes::Attributes>(config, mode, schema, path, seed),
        DataFormat::Strokes => load_test::<strokes::Drawings>(config, mode, schema, path, seed),
        DataFormat::Wav => load_test::<audio::Audio>(config, mode, schema, path, seed),
        DataFormat::Adding | DataFormat::CopyMemory => synthetic::load_test(config, schema, path, seed),
        DataFormat::Program => Err(no_file()),
    }?;
    if samples.is_empty() {
        return Err(Error::config(
            "data.test_fraction",
            "leaves nothing for test: raise it before training, or name a test file",
        ));
    }
    Ok(samples)
}

fn no_file() -> Error {
    Error::config(
        "data.format",
        "is `program`: a program gives this data to the library, there is no file to read",
    )
}

fn load_file<S: Source>(config: &DataConfig, mode: IoMode, seed: u64) -> Result<Dataset> {
    let path = config.train_file()?;
    let source = S::open(path, config, mode, None)?;
    let (valid, test) = config.fractions();
    let parts = source.cut(valid, test, seed)?;
    let mut schema = source.schema(&parts[0])?;
    // No model could be kept: no need to make samples.
    check_size(&mut schema).map_err(|e| Error::file(path, e.to_string()))?;
    // The part for which there is a file of its own is empty.
    let [train, valid, test] = source.samples(parts, &schema)?.map(Into::into);
    let other = |part: Samples, file: &Option<_>| match file {
        Some(path) => read_file::<S>(path, config, mode, &schema),
        None => Ok(part),
    };
    let (valid, test) = (other(valid, &config.valid)?, other(test, &config.test)?);
    Ok(Dataset { train, valid, test, schema })
}

/// Refuses a schema that no model folder has room for, whether or not the model reads spellings.
fn check_size(schema: &mut Schema) -> Result<()> {
    // They are left out of it where the model reads none.
    let taken = spelled_with(schema).map(std::mem::take);
    let checked = schema.check_size();
    if let (Some(characters), Some(taken)) = (spelled_with(schema), taken) {
        *characters = taken;
    }
    checked
}

/// The characters of spellings, where the inputs are words.
fn spelled_with(schema: &mut Schema) -> Option<&mut Vec<String>> {
    match &mut schema.input {
        InputSchema::Words { characters, .. } => Some(characters),
        _ => None,
    }
}

fn load_test<S: Source>(
    config: &DataConfig,
    mode: IoMode,
    schema: &Schema,
    path: Option<&Path>,
    seed: u64,
) -> Result<Samples> {
    if let Some(path) = path {
        return read_file::<S>(path, config, mode, schema);
    }
    let source = S::open(config.train_file()?, config, mode, Some(schema))?;
    let (valid, test) = config.fractions();
    let [_, _, test] = source.cut(valid, test, seed)?;
    let [_, _, samples] = source.samples([S::Part::default(), S::Part::default(), test], schema)?;
    Ok(samples.into())
}

/// All samples of a file that is not the training file.
fn read_file<S: Source>(
    path: impl AsRef<Path>,
    config: &DataConfig,
    mode: IoMode,
    schema: &Schema,
) -> Result<Samples> {
    let source = S::open(path.as_ref(), config, mode, Some(schema))?;
    let parts = source.cut(0.0, 0.0, 0)?;
    let [samples, _, _] = source.samples(parts, schema)?;
    Ok(samples.into())
}

/// The bytes of a data file, unpacked where its name ends with `.gz`.
fn read_data(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bytes(path, MAX_BYTES)?;
    let packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let bytes = if packed { unpack(path, &bytes, MAX_BYTES)? } else { bytes };
    if bytes.is_empty() { Err(Error::file(path, EMPTY)) } else { Ok(bytes) }
}

/// The text of a data file, which has some; a `.gz` file is unpacked.
///
/// # Errors
/// A file that cannot be read, is not UTF-8, not what `.gz` says, empty, or larger than 1 GiB unpacked, or than 64 MiB
/// and 32 times what it is packed.
pub fn read_text(path: &Path) -> Result<String> {
    let text = utf8(path, read_data(path)?)?;
    if text.is_empty() { Err(Error::file(path, EMPTY)) } else { Ok(text) }
}

/// The numbers of a data set's labels.
struct Classes<'a> {
    labels: &'a [String],
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Classes<'a> {
    fn new(labels: &'a [String]) -> Self {
        Self { labels, numbers: labels.iter().map(String::as_str).zip(0..).collect() }
    }

    /// The number of a label.
    fn of(&self, label: &str) -> Result<u32, String> {
        self.numbers.get(label).copied().ok_or_else(|| unknown_label(self.labels, label))
    }
}

fn unknown_label(labels: &[String], label: &str) -> String {
    format!(
        "label `{label}` is not among the {} of the training data: {}; \
         leave the case out, or train with cases of it",
        labels.len(),
        list(labels)
    )
}

/// A finite number, or what is wrong with it.
fn number(text: &str) -> Result<f32, String> {
    let text = text.trim();
    if ["", "?", "nan", "na", "null", "none"].contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!("the value is missing (`{text}`): fill it in or leave it out"));
    }
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("`{text}` is not finite in 32 bits")),
        Err(_) => Err(format!("`{text}` is not a number: write one, as in 0.5")),
    }
}

/// `a, b, c`; the first 20 where there are more.
pub(crate) fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let shown: Vec<_> = names.iter().take(20).map(AsRef::as_ref).collect();
    let more = if names.len() > shown.len() { ", ..." } else { "" };
    shown.join(", ") + more
}

/// Channels and scales of feature inputs; an error where a model does not read features.
fn input_features(input: &InputSchema) -> Result<(usize, &[Scale])> {
    match input {
        InputSchema::Features { channels, scales, .. } => checked(*channels, scales),
        _ => Err(mismatch()),
    }
}

/// As [`input_features`], of targets.
fn target_features(target: &TargetSchema) -> Result<(usize, &[Scale])> {
    match target {
        TargetSchema::Features { channels, scales, .. } => checked(*channels, scales),
        _ => Err(mismatch()),
    }
}

fn checked(channels: usize, scales: &[Scale]) -> Result<(usize, &[Scale])> {
    split::check_scales(channels, scales)?;
    Ok((channels, scales))
}

/// An error for data that are not of the kind that a stored schema is about.
fn mismatch() -> Error {
    Error::Input(
        "the model was trained on data of another kind: use data like those it was trained on".into(),
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
        let mut config: DataConfig = toml::from_str(&format!("format = \"{format}\"\n{more}")).unwrap();
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
        let train =
            Some(Path::new("train")).filter(|_| !["adding", "copy-memory", "program"].contains(&format));
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
            ("ts", "sample_rate = 8000", IoMode::ManyToOne, "data.sample_rate"),
            ("csv", "window_ms = 30", IoMode::ManyToOne, "data.window_ms"),
            ("text", "hop_ms = 3", IoMode::ManyToMany, "data.hop_ms"),
            ("adding", "mels = 3", IoMode::ManyToOne, "data.mels"),
            ("wav", "window = 3", IoMode::ManyToOne, "data.window"),
            ("csv", "samples = 3", IoMode::ManyToOne, "data.samples"),
            ("text", "horizon = 3", IoMode::ManyToMany, "data.horizon"),
            ("text", "min_count = 3", IoMode::ManyToMany, "data.min_count"),
            ("text", "unit = \"byte\"\nlowercase = true", IoMode::ManyToMany, "data.lowercase"),
            ("text", "tag_column = 3", IoMode::ManyToMany, "data.tag_column"),
            ("tagged", "label_delimiter = \":\"", IoMode::ManyToMany, "data.label_delimiter"),
            ("tagged", "unit = \"word\"", IoMode::ManyToMany, "data.unit"),
            ("attributes", "languages = [\"a\", \"b\"]", IoMode::OneToMany, "data.languages"),
            ("pairs", "delexicalize = [\"a\"]", IoMode::EncoderDecoder, "data.delexicalize"),
            ("attributes", "copies = 3", IoMode::OneToMany, "data.copies"),
            ("strokes", "window = 3", IoMode::OneToMany, "data.window"),
            ("labelled-text", "tag_column = 2", IoMode::ManyToOne, "data.tag_column"),
            ("labelled-text", "window = 2", IoMode::ManyToOne, "data.window"),
            ("labelled-text", "label_delimiter = \"\"", IoMode::ManyToOne, "data.label_delimiter"),
            ("tagged", "min_count = 0", IoMode::ManyToMany, "data.min_count"),
            ("text", "targets = [\"a\"]", IoMode::ManyToMany, "data.targets"),
            ("adding", "train = \"x\"", IoMode::ManyToOne, "data.train"),
            ("adding", "test_fraction = 0.2", IoMode::ManyToOne, "data.test_fraction"),
            ("copy-memory", "window = 3", IoMode::ManyToMany, "data.window"),
            ("program", "window = 3", IoMode::ManyToMany, "data.window"),
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
        for format in ["ts", "csv", "wav"] {
            let config = config(format, None, "");
            assert_says(load(&config, IoMode::ManyToOne, 0), &["data.train", "write its path"]);
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
        for key in ["sample_rate", "window_ms", "hop_ms", "mels"] {
            refused("wav", &format!("{key} = 0"), IoMode::ManyToOne, &format!("data.{key}"));
        }
        refused("adding", "samples = 0", IoMode::ManyToOne, "data.samples");
    }

    #[test]
    fn columns_named_twice_are_refused() {
        refused("csv", "columns = [\"a\", \"a\"]", IoMode::ManyToOne, "data.columns");
        refused("csv", "targets = [\"a\", \"a\"]", IoMode::ManyToOne, "data.targets");
    }

    #[test]
    fn modes_that_do_not_fit_are_refused() {
        for format in ["ts", "csv", "text", "labelled-text", "tagged", "wav", "adding", "copy-memory"] {
            refused(format, "", IoMode::OneToMany, "model.mode");
            refused(format, "", IoMode::EncoderDecoder, "model.mode");
        }
        refused("ts", "", IoMode::ManyToMany, "model.mode");
        refused("labelled-text", "", IoMode::ManyToMany, "model.mode");
        refused("tagged", "", IoMode::ManyToOne, "model.mode");
        refused("wav", "", IoMode::ManyToMany, "model.mode");
        refused("text", "", IoMode::OneToOne, "model.mode");
        refused("copy-memory", "", IoMode::ManyToOne, "model.mode");
        refused("attributes", "", IoMode::EncoderDecoder, "model.mode");
        refused("strokes", "", IoMode::ManyToOne, "model.mode");
    }

    #[test]
    fn programs_data_is_not_read() {
        for mode in [IoMode::OneToMany, IoMode::EncoderDecoder, IoMode::ManyToOne] {
            refused("program", "", mode, "data.format");
        }
        let config = config("program", None, "");
        let schema = Schema {
            input: InputSchema::Tokens { vocabulary: vec!["a".into()] },
            target: TargetSchema::Tokens { labels: vec!["a".into()] },
        };
        let file = Some(Path::new("x"));
        for path in [None, file] {
            let result = load_split(&config, IoMode::ManyToOne, &schema, path, 0);
            assert_says(result, &["data.format", "a program gives"]);
        }
    }

    #[test]
    fn checks_come_before_a_stored_schema_and_another_file() {
        let config = config("ts", Some(Path::new("x")), "window = 3");
        let schema = Schema {
            input: InputSchema::Tokens { vocabulary: vec!["a".into()] },
            target: TargetSchema::Tokens { labels: vec!["a".into()] },
        };
        let result = load_split(&config, IoMode::ManyToOne, &schema, Some(Path::new("y")), 0);
        assert_says(result, &["data.window", "no effect on `ts` data"]);
    }

    #[test]
    fn empty_file_is_refused() {
        for text in ["", "\u{feff}"] {
            assert_says(read_text(file(text).path()), &["is empty"]);
        }
    }

    #[test]
    fn a_schema_is_measured_without_spellings() {
        let schema = |n_words: usize, n_characters: usize| {
            let names = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<String>>();
            let (vocabulary, characters) = (names(n_words), names(n_characters));
            Schema {
                input: InputSchema::Words { vocabulary, characters, lowercase: false },
                target: TargetSchema::Class { labels: names(2) },
            }
        };
        let mut spelled = schema(9, 160_000);
        assert_says(spelled.check_size(), &["a model folder has room"]);
        check_size(&mut spelled).unwrap();
        assert_eq!(spelled, schema(9, 160_000));
        assert_says(check_size(&mut schema(160_000, 9)), &["a model folder has room"]);
        // Of a file that has too much the path is told.
        let words = |line: usize| (0..9000).map(|k| format!(" w{}", 9000 * line + k)).collect::<String>();
        let text: String = (0..20).map(|line| format!("L{}{}\n", line % 2, words(line))).collect();
        let train = file(text);
        let config = config("labelled-text", Some(train.path()), "");
        let says = [train.path().to_str().unwrap(), "a model folder has room"];
        assert_says(load(&config, IoMode::ManyToOne, 0), &says);
    }

    #[test]
    fn packed_files_are_unpacked() {
        use flate2::{Compression, write::GzEncoder};
        let pack = |text: &[u8]| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(text).unwrap();
            packed.finish().unwrap()
        };
        let read = |bytes: &[u8]| {
            let mut file = tempfile::Builder::new().suffix(".gz").tempfile().unwrap();
            file.write_all(bytes).unwrap();
            read_text(file.path())
        };
        let packed = pack(b"one\n");
        assert_eq!(read(&packed).unwrap(), "one\n");
        // Files packed one after the other are one.
        assert_eq!(read(&[packed.clone(), pack(b"two")].concat()).unwrap(), "one\ntwo");
        assert_says(read(b"one"), &["cannot be unpacked", "gzip"]);
        assert_says(read(&packed[..packed.len() - 1]), &["cannot be unpacked"]);
        assert_says(read(&pack(b"")), &["is empty"]);
        assert_says(read(&pack(b"a\n\xff")), &[":2:", "UTF-8"]);
        let path = Path::new("a.gz");
        assert_eq!(unpack(path, &pack(&[7; 1 << 20]), 1 << 20).unwrap().len(), 1 << 20);
        assert_says(unpack(path, &pack(&[7; (1 << 20) + 1]), 1 << 20), &["more than 1 MiB"]);
    }

    #[test]
    fn missing_file_is_an_io_error() {
        assert!(matches!(read_text(Path::new("/nowhere/at/all")), Err(Error::Io { .. })));
    }

    #[test]
    fn folder_is_an_io_error() {
        assert!(matches!(read_text(&std::env::temp_dir()), Err(Error::Io { .. })));
    }

    #[test]
    fn not_utf_8_is_refused_with_its_place() {
        assert_says(read_text(file(b"ab\nc\xffd").path()), &[":2: ", "UTF-8", "byte 4"]);
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
    fn labels_have_numbers() {
        let labels = ["b", "a"].map(String::from);
        let classes = Classes::new(&labels);
        assert_eq!(["b", "a"].map(|label| classes.of(label).unwrap()), [0, 1]);
        let unknown = classes.of("c").unwrap_err();
        assert!(unknown.contains("label `c` is not among the 2 of the training data: b, a"), "{unknown}");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(["a", "b"]), "a, b");
        assert!(list(vec!["a"; 21]).ends_with("a, ..."));
    }
}
