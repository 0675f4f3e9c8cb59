//! Model folders whose bytes are not what they were, every cut and every bit; and the memory that files take.

use crate::support::*;
use burn::module::Module;
use burn::tensor::{DType, TensorData};
use flate2::{Compression, write::GzEncoder};
use rnn_zoo::artifact::{self, Manifest, ModelFolder, Precision, RecordFormat, load_record, named_tensors};
use rnn_zoo::backend::{BackendKind, Task, TrainBackend};
use rnn_zoo::config::{CellKind, Config, DataConfig, IoMode, ModelConfig};
use rnn_zoo::data::{self, InputSchema, Schema, audio};
use rnn_zoo::model::Model;
use rnn_zoo::pytorch;
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn tiny() -> (ModelFolder, ModelConfig) {
    let config = ModelConfig {
        d_input: Some(1),
        d_output: Some(1),
        ..ModelConfig::new(IoMode::ManyToMany, CellKind::Rnn, 1)
    };
    let whole = Config::new("tiny", config.clone());
    let manifest = Manifest::new(&whole, 6, 1, "test".into());
    (ModelFolder { manifest, config: whole, schema: Schema::features(1, 1), scores: Vec::new() }, config)
}

/// Every beginning of `bytes`, and `bytes` with each bit turned.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let cuts = (0..bytes.len()).map(|n| (format!("the first {n} bytes"), bytes[..n].to_vec()));
    let flips = (0..bytes.len() * 8).map(|k| {
        let mut other = bytes.to_vec();
        other[k / 8] ^= 1 << (k % 8);
        (format!("byte {} with bit {} turned", k / 8, k % 8), other)
    });
    cuts.chain(flips)
}

/// The CPU's backend, where it is compiled in: files are read before any backend is asked.
fn on_ndarray<T: Task<Output = ()>>(task: T) {
    if let Some(device) = each_backend().into_iter().find(|d| d.backend == BackendKind::Ndarray) {
        device.run(task);
    }
}

struct Folders;

impl Task for Folders {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let (contents, config) = tiny();
        let model = Model::<B>::new(&config, 1, &device).unwrap();
        let weights = |model: &Model<B>| format!("{:?}", named_tensors(model));
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("model");
        artifact::save(&folder, &contents, model.clone()).unwrap();
        let (known, _) = artifact::load::<B>(&folder, &device).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let whole = fs::read(&path).unwrap();
            for (what, bytes) in damaged(&whole) {
                fs::write(&path, bytes).unwrap();
                let what = format!("{what} of {}", path.display());
                match artifact::load::<B>(&folder, &device) {
                    Ok((read, again)) => {
                        assert_eq!(format!("{read:?}"), format!("{known:?}"), "{what}");
                        assert_eq!(weights(&model), weights(&again), "{what}");
                    }
                    Err(error) => assert!(!error.to_string().contains('\n'), "{what}: {error}"),
                }
            }
            fs::write(&path, whole).unwrap();
        }
        artifact::load::<B>(&folder, &device).unwrap();
    }
}

#[test]
fn a_damaged_model_folder_is_refused() {
    on_ndarray(Folders);
}

struct Records;

impl Task for Records {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let (contents, config) = tiny();
        let model = Model::<B>::new(&config, 1, &device).unwrap();
        let place = tempfile::tempdir().unwrap();
        for precision in [Precision::Full, Precision::Half] {
            for format in RecordFormat::ALL {
                let folder = place.path().join(format!("{format:?}-{precision:?}"));
                let mut contents = contents.clone();
                (contents.manifest.record, contents.manifest.precision) = (format, precision);
                artifact::save(&folder, &contents, model.clone()).unwrap();
                let whole = fs::read(folder.join(format.file_name())).unwrap();
                let mut n_read = 0;
                for (what, bytes) in damaged(&whole) {
                    let n = bytes.len();
                    let read = load_record(model.clone(), bytes, format, precision);
                    assert!(n == whole.len() || read.is_err(), "{what} of {format:?}");
                    // A weight may have become another one; no more than that.
                    n_read += usize::from(read.is_ok_and(|read| read.num_params() == model.num_params()));
                }
                assert!(n_read > 0, "{format:?} holds no weights?");
            }
        }
    }
}

#[test]
fn a_damaged_record_is_read_or_refused() {
    on_ndarray(Records);
}

/// Says how many KiB this process took at most.
fn tell_peak() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("\n{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap());
}

/// Loads a model folder.
struct Load(PathBuf);

impl Task for Load {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        artifact::load::<B>(&self.0, &device).unwrap();
        tell_peak();
    }
}

/// What a process of its own is to read.
const PATH: &str = "RNN_ZOO_TEST_PATH";

const OF_RECORDS: &str = "untrusted::a_record_takes_no_more_memory_than_four_times_its_size";
const OF_STATE_DICTS: &str = "untrusted::a_state_dict_takes_no_more_memory_than_four_times_its_size";
const OF_CLIPS: &str = "untrusted::a_clip_takes_no_more_memory_than_four_times_its_size";
const OF_DATA: &str = "untrusted::a_data_file_takes_no_more_memory_than_four_times_its_size_and_64_mib";

/// Bytes that the test `name` takes at most to read `path`, in a process of its own.
fn peak(name: &str, path: &Path) -> u64 {
    let test = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(PATH, path)
        .output()
        .unwrap();
    let [said, failed] = [&test.stdout, &test.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let line = said.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.unwrap_or_else(|| panic!("{}: {said}{failed}", path.display()));
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

struct Memory;

impl Task for Memory {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let place = tempfile::tempdir().unwrap();
        let (contents, config) = tiny();
        let small = place.path().join("small");
        artifact::save(&small, &contents, Model::<B>::new(&config, 1, &device).unwrap()).unwrap();
        let without = peak(OF_RECORDS, &small);
        let large = ModelConfig { cell: CellKind::Lstm, d_hidden: 700, ..config };
        let model = Model::<B>::new(&large, 1, &device).unwrap();
        let saved = |name: &str, config: &ModelConfig, format, precision| {
            let folder = place.path().join(name);
            let mut contents = contents.clone();
            contents.config.model = config.clone();
            (contents.manifest.record, contents.manifest.precision) = (format, precision);
            artifact::save(&folder, &contents, model.clone()).unwrap();
            folder
        };
        for precision in [Precision::Full, Precision::Half] {
            for format in RecordFormat::ALL {
                let folder = saved(&format!("{format:?}-{precision:?}"), &large, format, precision);
                let file = fs::metadata(folder.join(format.file_name())).unwrap().len();
                let taken = peak(OF_RECORDS, &folder).saturating_sub(without);
                // Without the 64 MiB that a program may take for itself.
                assert!(taken < 4 * file, "{format:?} {precision:?}: {taken} bytes for {file}");
            }
        }
        // A record that is much smaller than what the configuration describes: a tera of weights.
        let bold = ModelConfig { d_hidden: 60_000, n_layers: 64, ..large };
        let folder = saved("bold", &bold, RecordFormat::Mpk, Precision::Full);
        let error = artifact::load::<B>(&folder, &device).unwrap_err().to_string();
        assert!(error.contains("another architecture"), "{error}");
    }
}

#[test]
fn a_record_takes_no_more_memory_than_four_times_its_size() {
    match std::env::var_os(PATH) {
        Some(folder) => on_ndarray(Load(folder.into())),
        None if Path::new("/proc/self/status").exists() => on_ndarray(Memory),
        // Where the system does not say what a process takes.
        None => {}
    }
}

/// A `state_dict` of an LSTM and its head, in floats of `dtype`, and beside it the configuration of both.
fn state_dict(place: &Path, h: usize, dtype: DType) -> PathBuf {
    let mut config = tiny().0.config;
    (config.model.cell, config.model.d_hidden) = (CellKind::Lstm, h);
    let path = place.join(format!("{h}-{dtype:?}"));
    fs::write(path.with_extension("toml"), config.to_toml()).unwrap();
    let shapes = [
        ("lstm.weight_ih_l0", vec![4 * h, 1]),
        ("lstm.weight_hh_l0", vec![4 * h, h]),
        ("lstm.bias_ih_l0", vec![4 * h]),
        ("lstm.bias_hh_l0", vec![4 * h]),
        ("head.weight", vec![1, h]),
        ("head.bias", vec![1]),
    ];
    let tensors = shapes.map(|(name, shape)| {
        let values = (0..shape.iter().product()).map(|k| (k % 31) as f32 / 64.0).collect();
        (name, TensorData::new::<f32, _>(values, shape).convert_dtype(dtype))
    });
    let kind = match dtype {
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        _ => Dtype::F32,
    };
    let views = tensors
        .iter()
        .map(|(name, data)| (*name, TensorView::new(kind, data.shape.to_vec(), data.as_bytes()).unwrap()));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

#[test]
fn a_state_dict_takes_no_more_memory_than_four_times_its_size() {
    if let Some(path) = std::env::var_os(PATH) {
        let path = Path::new(&path);
        let config = Config::from_file(&path.with_extension("toml"), &[]).unwrap();
        let devices = each_backend();
        let device = devices.iter().find(|d| d.backend == BackendKind::Ndarray).unwrap();
        pytorch::import(path, &config, None, &[], device, &path.with_extension("model")).unwrap();
        tell_peak();
    } else if Path::new("/proc/self/status").exists()
        && each_backend().iter().any(|d| d.backend == BackendKind::Ndarray)
    {
        let place = tempfile::tempdir().unwrap();
        let without = peak(OF_STATE_DICTS, &state_dict(place.path(), 2, DType::F32));
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let path = state_dict(place.path(), 1500, dtype);
            let file = fs::metadata(&path).unwrap().len();
            let taken = peak(OF_STATE_DICTS, &path).saturating_sub(without);
            // Without the 64 MiB that a program may take for itself.
            assert!(taken < 4 * file, "{dtype:?}: {taken} bytes for {file}");
            let (_, contents) = artifact::open(&path.with_extension("model")).unwrap();
            let half = dtype == DType::F16;
            assert_eq!(contents.manifest.precision, if half { Precision::Half } else { Precision::Full });
        }
    }
}

/// A wav file of `n` samples of 8 bits.
fn clip(n: u32) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + n).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    // Whole numbers, one channel.
    bytes.extend([1u16, 1].map(u16::to_le_bytes).concat());
    // Samples and bytes a second.
    bytes.extend([8000u32, 8000].map(u32::to_le_bytes).concat());
    // Bytes and bits of a sample.
    bytes.extend([1u16, 8].map(u16::to_le_bytes).concat());
    bytes.extend(b"data");
    bytes.extend(n.to_le_bytes());
    bytes.extend((0..n).map(|k| (100 + k % 50) as u8));
    bytes
}

#[test]
fn a_clip_takes_no_more_memory_than_four_times_its_size() {
    if let Some(path) = std::env::var_os(PATH) {
        let config: DataConfig = toml::from_str("format = \"wav\"\nsample_rate = 8000").unwrap();
        let input = InputSchema::Features { channels: 40, scales: Vec::new(), names: Vec::new() };
        audio::read_clip(Path::new(&path), &config, &input).unwrap();
        tell_peak();
    } else if Path::new("/proc/self/status").exists() {
        let place = tempfile::tempdir().unwrap();
        let peak_of = |n: u32| {
            let path = place.path().join(format!("{n}.wav"));
            fs::write(&path, clip(n)).unwrap();
            peak(OF_CLIPS, &path)
        };
        let n = 16 << 20;
        let taken = peak_of(n).saturating_sub(peak_of(8000));
        assert!(taken < 4 * u64::from(n), "{taken} bytes for {n}");
    }
}

const MIB: usize = 1 << 20;

/// Bytes of a file that may be refused: of the shortest lines it would take more than four times as many and 64 MiB.
const LARGE: usize = 4 * MIB;

/// A kind of data file.
struct Kind {
    name: &'static str,
    mode: IoMode,
    /// The `[data]` table but for its files.
    table: &'static str,
    /// A file of so many bytes, or somewhat more.
    text: fn(usize) -> String,
    /// Of so many bytes it has to be read; 0: of none. Of fewer than a MiB, a [`LARGE`] one may be refused.
    read: usize,
}

/// The kinds that are `data.valid`, beside a small training file: read by a schema that is there.
const HELD_OUT: [&str; 2] = ["held-out", "column"];

/// The kind whose files are packed; their size is that of the text.
const PACKED: &str = "packed";

/// Kinds that are ordinary: none of 4 MiB is refused.
const ORDINARY: [&str; 10] = [
    "column",
    "words",
    "places",
    "utterances",
    "sentences",
    "texts",
    "translations",
    "sequences",
    "drawings",
    "characters",
];

/// A head and lines, given how many there are, of `n` bytes at least.
fn filled(head: &str, n: usize, line: fn(usize) -> String) -> String {
    let mut text = head.to_string();
    for k in 0.. {
        if text.len() >= n {
            break;
        }
        text += &line(k);
    }
    text
}

/// One of 900 words of 5 letters.
fn word(k: usize) -> String {
    format!("wo{}", 100 + k * 7919 % 900)
}

/// So many words with spaces between them.
fn words(k: usize, n: usize) -> String {
    (0..n).map(|i| word(k + i * i)).collect::<Vec<_>>().join(" ")
}

/// Ten Chinese characters, of 1000, some of them much more often than others.
fn clause(k: usize) -> String {
    let mut state = k as u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [a, b] = [33, 48].map(|bits| (state >> bits) as u32 % 1000);
        char::from_u32(0x4e00 + a * b / 1000)
    };
    (0..10).filter_map(|_| draw()).collect()
}

/// A table whose header has `n` bytes or somewhat more.
fn wide(n: usize) -> String {
    let header = filled("", n, |k| format!("c{k},")) + "end\n";
    let n_columns = header.matches(',').count();
    // Of a wider one no row is read.
    let n_rows = if n_columns < 10_000 { 20 } else { 1 };
    header + &("0,".repeat(n_columns) + "0\n").repeat(n_rows)
}

/// A line of a drawing with an empty picture.
fn drawing(k: usize, strokes: &[String]) -> String {
    let (drawer, strokes, image) = (k % 10, strokes.join(","), "0".repeat(2758));
    format!("{{\"drawer\":{drawer},\"strokes\":[{strokes}],\"image\":\"{image}\"}}\n")
}

/// Every reader of lines: with ordinary ones, with the shortest that it takes, and with much of one thing.
fn kinds() -> Vec<Kind> {
    use IoMode::{EncoderDecoder, ManyToMany, ManyToOne, MultiTask, OneToMany};
    let kind = |name, mode, table, text, read| Kind { name, mode, table, text, read };
    vec![
        kind(
            "intents",
            MultiTask,
            "format = \"intent-slots\"",
            |n| filled("", n, |_| "g\ta\tO\n".into()),
            MIB / 2,
        ),
        kind(
            "utterances",
            MultiTask,
            "format = \"intent-slots\"",
            |n| filled("", n, |k| format!("GetWeather{}\t{}\tO B-city O O I-date\n", k % 9, words(k, 5))),
            MIB,
        ),
        kind("tags", ManyToMany, "format = \"tagged\"", |n| filled("", n, |_| "a\tb\n\n".into()), MIB / 2),
        kind(
            "sentences",
            ManyToMany,
            "format = \"tagged\"",
            |n| {
                filled("", n, |k| format!("{}\tT{}\n{}", word(k), k % 9, if k % 12 == 0 { "\n" } else { "" }))
            },
            MIB,
        ),
        kind(
            "rows",
            ManyToOne,
            "format = \"csv\"\nwindow = 2",
            |n| filled("a\n", n, |_| "1\n".into()),
            2 * MIB,
        ),
        kind(
            "column",
            ManyToOne,
            "format = \"csv\"\nwindow = 2",
            |n| filled("a\n", n, |k| format!("{}\n", k % 10)),
            MIB,
        ),
        kind(
            "readings",
            ManyToOne,
            "format = \"csv\"",
            |n| {
                filled("t,a,b,c,d,e,f,g\n", n, |k| {
                    format!("2020-01-01 10:00{}\n", format!(",{:.2}", 10.0 + (k % 50) as f32).repeat(7))
                })
            },
            MIB,
        ),
        kind(
            "seasons",
            ManyToOne,
            "format = \"csv\"\nwindow = 8\nhorizon = 24\nseason = 24\nseasons = 2\ntrajectory = true",
            |n| filled("a\n", n, |k| format!("{}.5\n", k % 10)),
            2 * MIB,
        ),
        kind(
            "trajectories",
            ManyToMany,
            "format = \"csv\"\nhorizon = 24\nseason = 24\ntrajectory = true",
            |n| filled("a\n", n, |k| format!("{}.5\n", k % 10)),
            LARGE,
        ),
        kind(
            "header",
            ManyToOne,
            "format = \"csv\"\nwindow = 1\nvalid_fraction = 0.3\ntest_fraction = 0.3",
            wide,
            MIB / 64,
        ),
        kind(
            "header, trajectory",
            ManyToOne,
            "format = \"csv\"\nwindow = 1\nhorizon = 96\ntrajectory = true",
            // 65,000 columns: with 96 rows ahead of each, more names than are kept.
            |_| wide(443_890),
            0,
        ),
        kind(
            "labels",
            ManyToOne,
            "format = \"labelled-text\"",
            |n| filled("", n, |_| "a b\n".into()),
            MIB / 2,
        ),
        kind(
            "texts",
            ManyToOne,
            "format = \"labelled-text\"",
            |n| filled("", n, |k| format!("L{} {}\n", k % 9, words(k, 10))),
            MIB,
        ),
        kind(
            PACKED,
            ManyToOne,
            "format = \"labelled-text\"",
            |n| filled("", n, |k| format!("L{} {}\n", k % 9, words(k, 10))),
            LARGE,
        ),
        // Four of five lines have a word of their own.
        kind(
            "messages",
            ManyToOne,
            "format = \"labelled-text\"\nmin_count = 20",
            |n| {
                filled("", n, |k| {
                    let own = if k % 5 > 0 { format!("n{k:x}") } else { word(k) };
                    format!("L{} {} {own}\n", k % 9, words(k, 5))
                })
            },
            2 * MIB,
        ),
        kind(
            "names",
            ManyToOne,
            "format = \"labelled-text\"\nmin_count = 3",
            |n| filled("", n, |k| format!("{} {}\n", ["M", "F"][k % 2], &word(k)[1..])),
            2 * MIB,
        ),
        kind(
            "pairs",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 60",
            |n| filled("", n, |_| "a\tb\n".into()),
            MIB / 2,
        ),
        kind(
            "translations",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 2000",
            |n| filled("", n, |k| format!("{}\t{}\n", words(k, 5), words(k + 1, 5))),
            MIB,
        ),
        // Every third pair has a word of its own.
        kind(
            "inflections",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 300",
            |n| filled("", n, |k| format!("{} n{:x}\t{}\n", words(k, 5), k / 3, words(k + 1, 5))),
            2 * MIB,
        ),
        // A script without spaces: nearly every part is another one.
        kind(
            "clauses",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 2000",
            |n| {
                filled("", n, |k| {
                    format!("{}，{}。\t{}\n", clause(3 * k), clause(3 * k + 1), clause(3 * k + 2))
                })
            },
            LARGE,
        ),
        kind(
            "languages",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 300\nlanguages = [\"de\", \"en\"]",
            |n| filled("", n, |k| words(k, 10) + "\n"),
            MIB,
        ),
        kind(
            "signs",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 60\nvalid_fraction = 0.25\ntest_fraction = 0.0",
            // Four lines.
            |n| (".".repeat(n / 4) + "\tb\n").repeat(4),
            LARGE,
        ),
        kind(
            "letters",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 60\nvalid_fraction = 0.25\ntest_fraction = 0.0",
            |n| ("ab".repeat(n / 8) + "\tb\n").repeat(4),
            LARGE,
        ),
        kind(
            "held-out",
            EncoderDecoder,
            "format = \"pairs\"\npieces = 60",
            |n| "ab".repeat(n / 2) + "\tb\n",
            LARGE,
        ),
        kind(
            "cases",
            ManyToOne,
            "format = \"ts\"",
            |n| filled("@classLabel true a b\n@data\n", n, |_| "1:a\n".into()),
            MIB / 2,
        ),
        kind(
            "channels",
            ManyToOne,
            "format = \"ts\"\nvalid_fraction = 0.5\ntest_fraction = 0.0",
            // Two cases.
            |n| "@classLabel true a b\n@data\n".to_string() + &("1:".repeat(n / 4) + "a\n").repeat(2),
            MIB / 16,
        ),
        kind(
            "sequences",
            ManyToOne,
            "format = \"ts\"",
            |n| {
                filled("@classLabel true a b\n@data\n", n, |k| {
                    format!("{}1.5:{}\n", "0.25,".repeat(12), ["a", "b"][k % 2])
                })
            },
            MIB,
        ),
        kind(
            "attributes",
            OneToMany,
            "format = \"attributes\"\npieces = 60\nvalid_fraction = 0.5\ntest_fraction = 0.0",
            |n| filled("mr,ref\n\"a[b],d[e]\",c\n", n, |_| "a[b],c\n".into()),
            MIB / 2,
        ),
        kind(
            "values",
            OneToMany,
            "format = \"attributes\"\npieces = 60\nvalid_fraction = 0.5\ntest_fraction = 0.0",
            |n| filled("mr,ref\n", n, |k| format!("\"a[{}],b[{}]\",c\n", k % 300, k / 300)),
            MIB / 4,
        ),
        kind(
            "places",
            OneToMany,
            "format = \"attributes\"\npieces = 2000",
            |n| {
                filled("mr,ref\n", n, |k| {
                    let (food, area, price) = (k % 10, k / 10 % 10, k / 100 % 10);
                    format!("\"food[f{food}], area[a{area}], price[p{price}]\",{}\n", words(k, 10))
                })
            },
            MIB,
        ),
        kind(
            "drawings",
            OneToMany,
            "format = \"strokes\"",
            |n| {
                filled("", n, |k| {
                    let point = |row: usize, t: usize| format!("[{},{},{}]", 10 + 2 * t, 20 * row, 10 * t);
                    let stroke = |row| (0..30).map(|t| point(row, t)).collect::<Vec<_>>().join(",");
                    drawing(k, &[1, 2, 3].map(|row| format!("[{}]", stroke(row))))
                })
            },
            MIB,
        ),
        kind(
            "points",
            OneToMany,
            "format = \"strokes\"",
            |n| filled("", n, |k| drawing(k, &vec!["[[1,1,0]]".to_string(); 9000])),
            LARGE,
        ),
        kind(
            "bytes",
            ManyToMany,
            "format = \"text\"\nunit = \"byte\"",
            |n| filled("", n, |_| "a\n".into()),
            MIB,
        ),
        kind("characters", ManyToMany, "format = \"text\"", |n| filled("", n, |_| "a\n".into()), MIB),
        kind(
            "words",
            ManyToMany,
            "format = \"text\"\nunit = \"word\"",
            |n| filled("", n, |_| "a b\n".into()),
            MIB,
        ),
        kind(
            "steps",
            ManyToMany,
            "format = \"text\"\nwindow = 1",
            |n| filled("", n, |_| "a\n".into()),
            MIB / 4,
        ),
        kind(
            "vocabulary",
            ManyToMany,
            "format = \"text\"\nunit = \"word\"\nmin_count = 2",
            |n| filled("", n, |k| format!("{k:x} ")),
            MIB / 2,
        ),
    ]
}

/// Where files lie that may be refused.
const MAY_BE_REFUSED: &str = "large";

/// The file of a kind, of `n` bytes, and how many bytes there are with those beside it.
fn written(folder: &Path, kind: &Kind, n: usize) -> (PathBuf, usize) {
    fs::create_dir_all(folder).unwrap();
    let text = (kind.text)(n);
    let write = |name: String, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    if kind.name == PACKED {
        let path = folder.join(format!("{PACKED}.txt.gz"));
        let mut packed = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap();
        return (path, text.len());
    }
    let path = write(format!("{}.de.txt", kind.name), &text);
    if kind.table.contains("languages") {
        write(format!("{}.en.txt", kind.name), &text);
        return (path, 2 * text.len());
    }
    if HELD_OUT.contains(&kind.name) {
        write(format!("{}.train.txt", kind.name), &(kind.text)(1000));
    }
    (path, text.len())
}

/// Reads the file of a kind.
fn read(path: &Path) {
    let name = path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    let kind = kinds().into_iter().find(|kind| kind.name == name).unwrap();
    let mut config: DataConfig = toml::from_str(kind.table).unwrap();
    if HELD_OUT.contains(&name) {
        let train = path.with_file_name(format!("{name}.train.txt"));
        (config.train, config.valid) = (Some(train), Some(path.into()));
    } else {
        config.train = Some(path.into());
    }
    if let Err(error) = data::load(&config, kind.mode, 0) {
        let message = error.to_string();
        let says = ["MiB of memory", "a model folder has room", "columns: leave some out"];
        let of_size = says.iter().any(|says| message.contains(says));
        assert!(path.parent().unwrap().ends_with(MAY_BE_REFUSED) && of_size, "{name}: {message}");
    }
}

#[test]
fn a_data_file_takes_no_more_memory_than_four_times_its_size_and_64_mib() {
    if let Some(path) = std::env::var_os(PATH) {
        read(Path::new(&path));
        tell_peak();
    } else if Path::new("/proc/self/status").exists() {
        let place = tempfile::tempdir().unwrap();
        let kinds = kinds();
        let words = kinds.iter().find(|kind| kind.name == "words").unwrap();
        let without = peak(OF_DATA, &written(&place.path().join("idle"), words, 4000).0);
        let check = |kind: &Kind| {
            let mut sizes = Vec::new();
            if kind.read > 0 {
                sizes.push(("read", kind.read));
            }
            if kind.read < MIB {
                sizes.push((MAY_BE_REFUSED, LARGE));
            }
            for (folder, n) in sizes {
                let (path, n) = written(&place.path().join(folder), kind, n);
                let taken = peak(OF_DATA, &path).saturating_sub(without);
                assert!(taken <= (4 * n + 64 * MIB) as u64, "{}: {taken} bytes for {n}", kind.name);
            }
        };
        // Two processes at a time.
        std::thread::scope(|scope| {
            for half in 0..2 {
                let (kinds, check) = (&kinds, &check);
                scope.spawn(move || kinds.iter().skip(half).step_by(2).for_each(check));
            }
        });
    }
}

/// In files as small as those above the 64 MiB hide a reader that takes more than four times their size.
#[test]
fn a_data_file_that_is_twice_as_large_takes_four_times_what_is_added() {
    if !Path::new("/proc/self/status").exists() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    for kind in kinds().iter().filter(|kind| ORDINARY.contains(&kind.name)) {
        let [small, large] = [4, 8].map(|mib| {
            let (path, n) = written(&place.path().join(format!("{mib}")), kind, mib * MIB);
            (peak(OF_DATA, &path), n)
        });
        let (taken, added) = (large.0.saturating_sub(small.0), large.1 - small.1);
        // What the allocator leaves unused is not the same in both, and the system counts pages roughly.
        assert!(taken <= (4 * added + 2 * MIB) as u64, "{}: {taken} bytes more for {added}", kind.name);
        assert!(taken >= added as u64 / 2, "{}: {taken} bytes more for {added}: not measured", kind.name);
    }
}
