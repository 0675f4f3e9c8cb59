//! What the fuzz targets share: bytes as a file, and the readers behind one call each.

use rnn_zoo::artifact::{self, Manifest, Precision, RecordFormat, load_record};
use rnn_zoo::backend::{self, Task, TrainBackend};
use rnn_zoo::config::{CellKind, Config, DataConfig, IoMode, ModelConfig};
use rnn_zoo::data::{self, Grid, InputSchema, audio};
use rnn_zoo::model::Model;
use rnn_zoo::predict::RawInput;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file of `bytes`, whose name ends with `end`; the same one at every call, in memory where there is such a folder.
pub fn file(bytes: &[u8], end: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        tempfile::Builder::new().prefix("fuzz-").tempdir_in(parent).expect("a folder").keep()
    });
    let path = folder.join(format!("input{end}"));
    fs::write(&path, bytes).expect("a file");
    path
}

/// Reads a data file of `format` as training data, with the options `more`.
pub fn data(bytes: &[u8], format: &str, end: &str, mode: IoMode, more: &str) {
    let mut config: DataConfig = toml::from_str(&format!("format = \"{format}\"\n{more}")).expect("a table");
    config.train = Some(file(bytes, end));
    let _ = data::load(&config, mode, 0);
}

/// Reads a record of `format` for a small model.
pub fn record(bytes: &[u8], format: RecordFormat) {
    struct Read<'a>(&'a [u8], RecordFormat);
    impl Task for Read<'_> {
        type Output = ();

        fn run<B: TrainBackend>(self, device: B::Device) {
            let config = ModelConfig {
                d_input: Some(2),
                d_output: Some(2),
                ..ModelConfig::new(IoMode::ManyToOne, CellKind::Gru, 2)
            };
            let model = Model::<B>::new(&config, 0, &device).expect("a model");
            for precision in [Precision::Full, Precision::Half] {
                let _ = load_record(model.clone(), self.0.to_vec(), self.1, precision);
            }
        }
    }
    backend::select(Some("ndarray"), None).expect("ndarray").run(Read(bytes, format));
}

/// Reads a configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(config) = Config::from_toml(text, Path::new("fuzz.toml"), &[]) {
        let again = Config::from_toml(&config.to_toml(), Path::new("fuzz.toml"), &[]);
        assert_eq!(again.expect("what was written is read"), config);
    }
}

/// Reads a clip of sound.
pub fn wav(bytes: &[u8]) {
    let config: DataConfig = toml::from_str("format = \"wav\"\nsample_rate = 8000").expect("a table");
    let schema = InputSchema::Features { channels: 40, scales: Vec::new(), names: Vec::new() };
    let _ = audio::read_clip(&file(bytes, ".wav"), &config, &schema);
}

/// Reads a picture.
pub fn picture(bytes: &[u8]) {
    let _ = Grid { side: 28 }.read(&file(bytes, ".png"));
}

/// Reads the tensors of `predict --input`.
pub fn tensors(bytes: &[u8]) {
    let _ = RawInput::read(&file(bytes, ".safetensors"));
}

/// Reads the manifest of a model folder.
pub fn manifest(bytes: &[u8]) {
    folder("manifest.json", bytes);
}

/// Reads a model folder's vocabulary and scales.
pub fn schema(bytes: &[u8]) {
    folder("schema.json", bytes);
}

/// Reads a model folder in which one file has other bytes, the manifest knowing them.
fn folder(name: &str, bytes: &[u8]) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = file(&[], "").with_file_name("model");
        let config = Config::new("fuzz", ModelConfig::new(IoMode::ManyToOne, CellKind::Rnn, 1));
        fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
        write("config.toml", &config.to_toml());
        write("schema.json", "{\"input\":{\"features\":{\"channels\":1}},\"target\":{\"features\":{\"channels\":1}}}");
        write("scores.json", "[]");
        write("record.mpk", "");
        let manifest = Manifest::new(&config, 0, 1, "fuzz".into());
        write("manifest.json", &serde_json::to_string(&manifest).expect("plain data"));
        folder
    });
    fs::write(folder.join(name), bytes).expect("a file");
    if name != "manifest.json" {
        artifact::seal(folder).expect("the manifest is ours");
    }
    let _ = artifact::open(folder);
}
