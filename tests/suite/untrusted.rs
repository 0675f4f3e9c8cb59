//! Model folders whose bytes are not what they were: every cut and every bit.

use crate::support::*;
use burn::module::Module;
use rnn_zoo::artifact::{self, Manifest, ModelFolder, Precision, RecordFormat, load_record, named_tensors};
use rnn_zoo::backend::{BackendKind, Task, TrainBackend};
use rnn_zoo::config::{CellKind, Config, DataConfig, IoMode, ModelConfig};
use rnn_zoo::data::{InputSchema, Schema, audio};
use rnn_zoo::model::Model;
use std::fs;
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
        artifact::save(&folder, &contents, &model).unwrap();
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
                artifact::save(&folder, &contents, &model).unwrap();
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
const OF_CLIPS: &str = "untrusted::a_clip_takes_no_more_memory_than_four_times_its_size";

/// Bytes that the test `name` takes at most to read `path`, in a process of its own.
fn peak(name: &str, path: &Path) -> u64 {
    let test = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(PATH, path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&test.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect(&said);
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

struct Memory;

impl Task for Memory {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let place = tempfile::tempdir().unwrap();
        let (contents, config) = tiny();
        let small = place.path().join("small");
        artifact::save(&small, &contents, &Model::<B>::new(&config, 1, &device).unwrap()).unwrap();
        let without = peak(OF_RECORDS, &small);
        let large = ModelConfig { cell: CellKind::Lstm, d_hidden: 700, ..config };
        let model = Model::<B>::new(&large, 1, &device).unwrap();
        let saved = |name: &str, config: &ModelConfig, format, precision| {
            let folder = place.path().join(name);
            let mut contents = contents.clone();
            contents.config.model = config.clone();
            (contents.manifest.record, contents.manifest.precision) = (format, precision);
            artifact::save(&folder, &contents, &model).unwrap();
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
