//! What the fuzz targets share: bytes as a file, and the readers behind one call each.

use rnn_zoo::artifact::{self, Manifest, ModelFolder, Precision, RecordFormat, load_record};
use rnn_zoo::backend::{self, DeviceInfo, Task, TrainBackend};
use rnn_zoo::config::{CellKind, Config, DataConfig, IoMode, ModelConfig};
use rnn_zoo::data::readings::{Reading, Readings};
use rnn_zoo::data::words::WordReader;
use rnn_zoo::data::{
    self, AttributeSchema, Grid, InputSchema, SampleInput, Scale, Schema, SubWords, TargetSchema, Vocabulary,
    attributes, audio, series, ts,
};
use rnn_zoo::model::{self, Model};
use rnn_zoo::predict::{self, Answer, Predictor, RawInput, Sampling};
use rnn_zoo::report::{self, RunSummary};
use rnn_zoo::train::{self, Progress};
use sha2::{Digest, Sha256};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's memory, counted.
struct Counted;

/// Bytes that are taken, and the most that were.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static MEMORY: Counted = Counted;

impl Counted {
    /// Counts `size` bytes where the system gave them.
    fn took(at: *mut u8, size: usize) -> *mut u8 {
        if !at.is_null() {
            PEAK.fetch_max(TAKEN.fetch_add(size, Relaxed) + size, Relaxed);
        }
        at
    }
}

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::took(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::took(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let at = Self::took(unsafe { System.realloc(at, layout, size) }, size);
        if !at.is_null() {
            TAKEN.fetch_sub(layout.size(), Relaxed);
        }
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) };
        TAKEN.fetch_sub(layout.size(), Relaxed);
    }
}

/// Reads a file of `n_bytes`, which may take four times its size and 64 MiB.
fn within_memory(n_bytes: usize, read: impl FnOnce()) {
    let before = TAKEN.load(Relaxed);
    PEAK.store(before, Relaxed);
    read();
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    assert!(taken <= 4 * n_bytes + (64 << 20), "{taken} bytes of memory for a file of {n_bytes}");
}

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

fn device() -> &'static DeviceInfo {
    static DEVICE: OnceLock<DeviceInfo> = OnceLock::new();
    DEVICE.get_or_init(|| backend::select(Some("ndarray"), None).expect("ndarray"))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// The first byte, by which a target chooses, and the text after it.
fn choice(bytes: &[u8]) -> Option<(u8, &str)> {
    let (first, text) = bytes.split_first()?;
    Some((*first, std::str::from_utf8(text).ok()?))
}

/// Reads a data file of `format` as training data, with the options `more`; then as test data of that training.
pub fn data(bytes: &[u8], format: &str, end: &str, mode: IoMode, more: &str) {
    // A packed file counts as what it may become.
    let n_bytes = if end.ends_with("gz") { 32 * bytes.len() + (64 << 20) } else { bytes.len() };
    within_memory(n_bytes, || read_data(bytes, format, end, mode, more));
}

fn read_data(bytes: &[u8], format: &str, end: &str, mode: IoMode, more: &str) {
    let mut config: DataConfig = toml::from_str(&format!("format = \"{format}\"\n{more}")).expect("a table");
    let path = file(bytes, end);
    config.train = Some(path.clone());
    if let Ok(dataset) = data::load(&config, mode, 0) {
        let _ = dataset.check(mode);
        let _ = data::load_split(&config, mode, &dataset.schema, Some(&path), 0);
    }
}

/// Reads two files of pairs: what stands before the first zero byte, and what stands after it.
pub fn pair_files(bytes: &[u8]) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    file(bytes.get(end + 1..).unwrap_or_default(), ".en.txt");
    let more = "languages = [\"de\", \"en\"]\npieces = 60\nshare_pieces = true";
    let read = || read_data(&bytes[..end], "pairs", ".de.txt", IoMode::EncoderDecoder, more);
    within_memory(bytes.len(), read);
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
            // burn's graph remembers the weights of a backend that differentiates until the next backward pass.
            let model = Model::<B::InnerBackend>::new(&config, 0, &device).expect("a model");
            for precision in [Precision::Full, Precision::Half] {
                let _ = load_record(model.clone(), self.0.to_vec(), self.1, precision);
            }
        }
    }
    let device = device();
    within_memory(bytes.len(), || device.run(Read(bytes, format)));
}

/// Imports a `state_dict` of a GRU and a head; the first byte chooses how the file is called. What is imported can be
/// loaded.
pub fn pytorch(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let file = file(bytes, if first % 2 == 0 { ".safetensors" } else { ".pt" });
    let out = file.with_file_name("imported");
    let config = Config::new("fuzz", ModelConfig::new(IoMode::ManyToOne, CellKind::Gru, 2));
    let device = device();
    within_memory(bytes.len(), || {
        if rnn_zoo::pytorch::import(&file, &config, None, &[], device, &out).is_ok() {
            predict::load(&out, device).expect("what was imported is read");
            fs::remove_dir_all(&out).expect("it is ours");
        }
    });
}

/// Reads a configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    within_memory(bytes.len(), || {
        if let Ok(config) = Config::from_toml(text, Path::new("fuzz.toml"), &[]) {
            let again = Config::from_toml(&config.to_toml(), Path::new("fuzz.toml"), &[]);
            assert_eq!(again.expect("what was written is read"), config);
        }
    });
}

/// Reads a clip of sound.
pub fn wav(bytes: &[u8]) {
    let config: DataConfig = toml::from_str("format = \"wav\"\nsample_rate = 8000").expect("a table");
    let schema = InputSchema::Features { channels: 40, scales: Vec::new(), names: Vec::new() };
    let file = file(bytes, ".wav");
    within_memory(bytes.len(), || drop(audio::read_clip(&file, &config, &schema)));
}

/// Reads a picture.
pub fn picture(bytes: &[u8]) {
    let file = file(bytes, ".png");
    within_memory(bytes.len(), || drop(Grid { side: 28 }.read(&file)));
}

/// Two channels, `a` and `b`, standardised.
fn two_channels() -> (usize, Vec<Scale>, Vec<String>) {
    let scales = vec![Scale { mean: 1.0, std: 2.0 }, Scale { mean: -1.0, std: 0.5 }];
    (2, scales, strings(&["a", "b"]))
}

/// A model of random weights, from a folder of its own.
fn predictor(config: &str, schema: Schema) -> Box<dyn Predictor> {
    struct Save<'a> {
        folder: &'a Path,
        contents: &'a ModelFolder,
    }
    impl Task for Save<'_> {
        type Output = ();

        fn run<B: TrainBackend>(self, device: B::Device) {
            let model = Model::<B>::new(&self.contents.config.model, 0, &device).expect("a model");
            artifact::save(self.folder, self.contents, model).expect("a folder");
        }
    }
    let mut config = Config::from_toml(config, Path::new("fuzz.toml"), &[]).expect("a configuration");
    model::resolve(&mut config.model, &schema).expect("they go together");
    let folder = file(&[], "").with_file_name(&config.name);
    let manifest = Manifest::new(&config, 0, 1, "fuzz".into());
    let contents = ModelFolder { manifest, config, schema, scores: Vec::new() };
    device().run(Save { folder: &folder, contents: &contents });
    predict::load(&folder, device()).expect("what was saved is read")
}

/// Small models, of which each reads something else.
struct Models {
    /// Two channels, a row at a time; it tells differences from the values two rows before.
    stream: Box<dyn Predictor>,
    /// Text, byte by byte.
    bytes: Box<dyn Predictor>,
    /// Text, word by word.
    words: Box<dyn Predictor>,
}

impl Models {
    fn new() -> Self {
        let table = |name: &str, model: &str, data: &str| {
            format!(
                "name = \"{name}\"\n[model]\ncell = \"gru\"\nd_hidden = 2\n{model}\n\
                 [data]\ntrain = \"x\"\n{data}"
            )
        };
        let (channels, scales, names) = two_channels();
        let stream = Schema {
            input: InputSchema::Features { channels, scales: scales.clone(), names: names.clone() },
            target: TargetSchema::Features { channels, scales, names },
        };
        let labels: Vec<String> = (0..=u8::MAX).map(|byte| char::from(byte).to_string()).collect();
        let bytes = Schema {
            input: InputSchema::Tokens { vocabulary: labels.clone() },
            target: TargetSchema::Tokens { labels },
        };
        let labels = strings(&["<unk>", "<eos>", "to", "be", "or", "n't", ","]);
        let words = Schema {
            input: InputSchema::Words {
                vocabulary: labels.clone(),
                characters: Vec::new(),
                lowercase: false,
            },
            target: TargetSchema::Tokens { labels },
        };
        let language = "mode = \"many-to-many\"\nd_embedding = 2";
        Self {
            stream: predictor(
                &table("stream", "mode = \"one-to-one\"", "format = \"csv\"\nseason = 2"),
                stream,
            ),
            bytes: predictor(&table("bytes", language, "format = \"text\"\nunit = \"byte\""), bytes),
            words: predictor(&table("words", language, "format = \"text\"\nunit = \"word\""), words),
        }
    }
}

thread_local! {
    static MODELS: Models = Models::new();
}

/// Reads the tensors of `predict --input`, and runs models on them.
pub fn tensors(bytes: &[u8]) {
    let file = file(bytes, ".safetensors");
    let mut input = None;
    within_memory(bytes.len(), || input = RawInput::read(&file).ok());
    let Some(input) = input else { return };
    MODELS.with(|models| {
        for model in [&models.stream, &models.bytes] {
            if let Ok(output) = model.run(&input, None) {
                let _ = output.to_safetensors();
            }
        }
    });
}

/// Reads lines as `predict --follow` does: a stream's readings, of which wrong ones are passed over.
pub fn follow(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    MODELS.with(|models| {
        let input = &models.stream.folder().schema.input;
        let mut stream = models.stream.stream().expect("the model streams");
        let mut readings = Readings::new(input);
        // More take time, and are read no other way.
        let mut lines = text.lines().take(64).peekable();
        match lines.peek().map(|first| readings.header(first)) {
            Some(Err(_)) => return,
            Some(Ok(true)) => drop(lines.next()),
            _ => {}
        }
        for line in lines {
            let Reading { missing, values, is_row } = readings.read(Ok(line.into()));
            stream.skip(missing);
            let Ok(answer) = values.and_then(|values| stream.step(&SampleInput::Features(values))) else {
                stream.skip(usize::from(is_row));
                continue;
            };
            let Answer::Values(values) = answer else { panic!("a stream of values says values") };
            assert_eq!((values.steps(), values.channels), (1, 2));
        }
    });
}

/// Reads text that a language model goes on with, and that `inspect` looks into; the first byte chooses the model.
pub fn prompt(bytes: &[u8]) {
    let Some((first, text)) = choice(bytes) else { return };
    // A longer one takes time, and is read no other way.
    if text.len() > 512 {
        return;
    }
    MODELS.with(|models| {
        let model = if first % 2 == 0 { &models.bytes } else { &models.words };
        let _ = model.generate(text, 4, &Sampling::default(), &mut |_| Ok(()));
        if let Ok(inspection) = model.inspect(text, None) {
            let _ = inspection.svg(&inspection.liveliest(1), 3);
        }
    });
}

/// Reads a line of text as `predict` does; the first byte chooses what the model reads. What is read fits the model.
pub fn predict_text(bytes: &[u8]) {
    static SUB_WORDS: OnceLock<SubWords> = OnceLock::new();
    let Some((first, text)) = choice(bytes) else { return };
    let (mode, input, read) = match first % 5 {
        0 => {
            let vocabulary = strings(&["\n", " ", "a", "b", "é"]);
            let tokens = Vocabulary::try_from(vocabulary.clone()).and_then(|known| known.encode(text));
            let input = tokens.map(|tokens| SampleInput::Tokens(tokens.into()));
            (IoMode::ManyToOne, InputSchema::Tokens { vocabulary }, input)
        }
        1 => {
            let input = InputSchema::Words {
                vocabulary: strings(&["<unk>", "to", "be", "or", "n't", ","]),
                characters: strings(&["<unk>", "t", "o", "b", "e", "'"]),
                lowercase: true,
            };
            let read = WordReader::new(&input).map(|reader| reader.encode(&reader.split(text)));
            (IoMode::ManyToMany, input, read)
        }
        2 => {
            let sub_words = SUB_WORDS.get_or_init(|| {
                let texts = ["the lowest low", "the newer, newest one"].into_iter().cycle().take(8);
                SubWords::train(texts, 40, true).expect("sub-words")
            });
            let read = sub_words.reader().map(|reader| {
                let tokens = reader.encode(text, 100);
                let _ = reader.decode(&tokens);
                SampleInput::Tokens(tokens.into())
            });
            (IoMode::EncoderDecoder, InputSchema::Text(sub_words.clone()), read)
        }
        3 => {
            let attribute =
                |name: &str, values: &[&str]| AttributeSchema { name: name.into(), values: strings(values) };
            let attributes = vec![attribute("name", &[]), attribute("food", &["French", "Thai"])];
            let input = InputSchema::Attributes { attributes };
            let read = attributes::parse(text, &input);
            (IoMode::OneToMany, input, read)
        }
        _ => {
            let grid = Grid { side: 8 };
            let input = InputSchema::Features { channels: 64, scales: Vec::new(), names: Vec::new() };
            (IoMode::OneToMany, input, grid.parse(text))
        }
    };
    let Ok(read) = read else { return };
    let schema = Schema { input, target: TargetSchema::Class { labels: strings(&["a"]) } };
    if read.steps() > 0 {
        schema.check_input(mode, &read).expect("what was read fits the model");
    }
}

/// Reads values as `predict` does; the first byte chooses whether they are a case, a row or a CSV file.
pub fn predict_values(bytes: &[u8]) {
    let Some((first, text)) = choice(bytes) else { return };
    let (channels, scales, names) = two_channels();
    let input = InputSchema::Features { channels, scales, names };
    within_memory(bytes.len(), || {
        let read = match first % 3 {
            0 => ts::parse_case(text, &input),
            1 => series::parse_row(text, &input),
            _ => series::read_inputs(&file(text.as_bytes(), ".csv"), &input),
        };
        if let Ok(features) = read {
            assert_eq!((features.channels, features.data.len()), (2, 2 * features.steps()));
        }
    });
}

/// Reads the manifest of a model folder.
pub fn manifest(bytes: &[u8]) {
    folder("manifest.json", bytes);
}

/// Reads a model folder's vocabulary and scales.
pub fn schema(bytes: &[u8]) {
    folder("schema.json", bytes);
}

/// Reads a model folder's scores.
pub fn scores(bytes: &[u8]) {
    folder("scores.json", bytes);
}

/// Reads a model folder in which one file has other bytes, the manifest knowing them; then puts it on a page.
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
    let device = device();
    within_memory(bytes.len(), || {
        let _ = predict::load(folder, device);
        page(folder);
    });
}

/// Puts a run folder on a page.
fn page(folder: &Path) {
    if let Ok(run) = RunSummary::read(folder) {
        let _ = report::page(&[run]);
    }
}

/// Reads the table of a run's epochs, and puts it on a page.
pub fn metrics(bytes: &[u8]) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = file(&[], "").with_file_name("metrics");
        let config = Config::new("fuzz", ModelConfig::new(IoMode::ManyToOne, CellKind::Rnn, 1));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("config.toml"), config.to_toml()).expect("a file");
        folder
    });
    fs::write(folder.join("metrics.csv"), bytes).expect("a file");
    within_memory(bytes.len(), || page(folder));
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Goes on with a run, a step far, from a checkpoint in which one file, which the first byte chooses, has other bytes;
/// the manifest knows them.
pub fn checkpoint(bytes: &[u8]) {
    const FILES: [&str; 7] = [
        "manifest.json",
        "state.mpk",
        "model.mpk",
        "optimizer.mpk",
        "average.mpk",
        "best.mpk",
        "carried.mpk",
    ];
    // As in seeds.py: a checkpoint knows its data.
    const TEXT: &str = "to be or not to be,\nthat is the question\n";
    const CONFIG: &str = "name = \"checkpoint\"\n\
        [model]\nmode = \"many-to-many\"\ncell = \"lstm\"\nd_hidden = 2\nd_embedding = 2\n\
        [data]\nformat = \"text\"\ntrain = \"x\"\nwindow = 4\n\
        [train]\nepochs = 2\nbatch_size = 4\ncarry_state = true\naverage = 0.5\ncheckpoint_steps = 1\n";
    struct Run {
        folder: PathBuf,
        config: Vec<u8>,
        checkpoint: PathBuf,
        files: BTreeMap<String, Vec<u8>>,
    }
    static RUN: OnceLock<Run> = OnceLock::new();

    let Some((first, bytes)) = bytes.split_first() else { return };
    let run = RUN.get_or_init(|| {
        let text = file(TEXT.repeat(4).as_bytes(), ".language.txt");
        let folder = text.with_file_name("run");
        let mut config = Config::from_toml(CONFIG, Path::new("fuzz.toml"), &[]).expect("a configuration");
        config.data.train = Some(text);
        train::train(&config, device(), &folder, Progress::Quiet).expect("a run");
        let entries = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).expect("a folder");
            entries.map(|entry| entry.expect("an entry").path()).collect()
        };
        // The older of two, after which there is a step to do.
        let checkpoint = entries(&folder.join("checkpoint")).into_iter().min().expect("a checkpoint");
        let read = |path: PathBuf| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a file"))
        };
        let files = entries(&checkpoint).into_iter().map(read).collect();
        let config = fs::read(folder.join("config.toml")).expect("a file");
        train::stop(true);
        Run { folder, config, checkpoint, files }
    });
    let name = FILES[usize::from(*first) % FILES.len()];
    let mut files = run.files.clone();
    files.insert(name.into(), bytes.to_vec());
    if name != "manifest.json" {
        files.remove("manifest.json");
        let digests: BTreeMap<&str, String> =
            files.iter().map(|(name, bytes)| (name.as_str(), digest(bytes))).collect();
        let manifest = serde_json::json!({"format": 1, "config": digest(&run.config), "files": digests});
        files.insert("manifest.json".into(), manifest.to_string().into_bytes());
    }
    fs::remove_dir_all(&run.folder).expect("it is ours");
    fs::create_dir_all(&run.checkpoint).expect("a folder");
    fs::write(run.folder.join("config.toml"), &run.config).expect("a file");
    for (name, bytes) in &files {
        fs::write(run.checkpoint.join(name), bytes).expect("a file");
    }
    let _ = train::resume(&run.folder, device(), Progress::Quiet);
}
