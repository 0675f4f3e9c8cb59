//! The program as its user meets it: each subcommand does what it says, and says it where it says it does.

use crate::support::{assert_close, each_backend};
use rnn_zoo::backend::{BackendKind, VARIABLE, compiled, devices, select};
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig};
use rnn_zoo::data::{Dataset, Features, Sample, Schema};
use rnn_zoo::predict::{self, Array, RawInput};
use rnn_zoo::train::{self, Progress};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

const TINY: &str = r#"
name = "tiny"
description = "Three classes of two channels"
model = { mode = "many-to-one", cell = "lstm", d_hidden = 4 }
data = { format = "ts", train = "tiny.ts", valid_fraction = 0.2, test_fraction = 0.2 }
train = { epochs = 2, batch_size = 8, lr = 0.01 }
"#;
const TEXT: &str = r#"
name = "text"
model = { mode = "many-to-many", cell = "gru", d_hidden = 4, d_embedding = 3 }
data = { format = "text", train = "text.txt", window = 8 }
train = { epochs = 1 }
"#;
const TAGS: &str = r#"
name = "tags"
model = { mode = "many-to-many", cell = "lstm", d_hidden = 4, d_embedding = 3, characters = { d_embedding = 3, d_hidden = 2 } }
data = { format = "tagged", train = "tags.tsv", lowercase = true }
train = { epochs = 2, batch_size = 4, word_dropout = 0.2 }
"#;
const TOPIC: &str = r#"
name = "topic"
model = { mode = "many-to-one", cell = "gru", d_hidden = 4, d_embedding = 3 }
data = { format = "labelled-text", train = "topic.txt", label_delimiter = ":" }
train = { epochs = 2, batch_size = 4 }
"#;
const STREAM: &str = r#"
name = "stream"
model = { mode = "one-to-one", cell = "rnn", d_hidden = 4 }
data = { format = "csv", train = "stream.csv", columns = ["x", "y"], window = 4 }
train = { epochs = 1 }
"#;
const CLIP: &str = r#"
name = "clip"
model = { mode = "many-to-one", cell = "gru", d_hidden = 4, pooling = "mean" }
data = { format = "wav", train = "clips", mels = 8 }
train = { epochs = 2, batch_size = 4 }
"#;
const ADDING: &str = r#"
name = "adding"
model = { mode = "many-to-one", cell = "rnn", d_hidden = 4 }
data = { format = "adding", steps = 6, samples = 64 }
train = { epochs = 3, batch_size = 16 }
"#;

const COPY: &str = r#"
name = "copy"
model = { mode = "many-to-many", cell = "gru", d_hidden = 4, d_embedding = 3 }
data = { format = "copy-memory", steps = 3, samples = 40 }
train = { epochs = 1 }
"#;

/// A folder of its own to run the program in: small data, the configurations above, and of each but
/// the adding problem a run in a folder of its name. They are trained once.
pub struct Workshop {
    folder: TempDir,
    /// The backend of calls that name none; None: that of this run of the tests.
    backend: Option<BackendKind>,
}

impl Workshop {
    pub fn new() -> Self {
        static TRAINED: OnceLock<Workshop> = OnceLock::new();
        let trained = TRAINED.get_or_init(|| {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let new = Self { folder, backend: None };
            new.write("tiny.ts", tiny_ts());
            new.write("text.txt", "abcab cabca bcabc\n".repeat(12));
            let rows: String = (0..60).map(|t| format!("day {t},{}.5,{}\n", t * t % 7, t % 3)).collect();
            new.write("stream.csv", format!("day,x,y\n{rows}"));
            new.write("tags.tsv", "The\tDET\ncat\tNOUN\n.\tPUNCT\n\nStop\tVERB\n!\tPUNCT\n\n".repeat(6));
            new.write(
                "topic.txt",
                "TIME:hour When is it ?\nPLACE:city Where is the cat , then ?\n".repeat(8),
            );
            for (name, config) in [
                ("tiny", TINY),
                ("text", TEXT),
                ("tags", TAGS),
                ("topic", TOPIC),
                ("stream", STREAM),
                ("adding", ADDING),
                ("copy", COPY),
            ] {
                new.write(&format!("{name}.toml"), config);
                if name != "adding" {
                    new.run(&format!("train {name}.toml --run {name}")).ok();
                }
            }
            new
        });
        let new = Self { folder: tempfile::tempdir().unwrap(), backend: None };
        trained.files().into_iter().for_each(|(name, bytes)| new.write(&name, bytes));
        new
    }

    /// For what is the same whatever the backend, files and options: on the CPU's own where it is compiled in, which
    /// starts soonest.
    pub fn of_files() -> Self {
        Self { backend: Self::of_cpu(), ..Self::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A file with `from`, which it has, replaced by `to`.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, text.replace(from, to));
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Every file, hidden ones too; an empty folder counts as one, its name ending in `/`.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                if path.is_file() {
                    files.insert(name, fs::read(&path).unwrap());
                } else if fs::read_dir(&path).unwrap().next().is_none() {
                    files.insert(name + "/", Vec::new());
                } else {
                    walk(root, &path, files);
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(self.folder.path(), self.folder.path(), &mut files);
        files
    }

    /// Runs `rnn-zoo` here; arguments are separated by spaces, and variables may stand before them.
    pub fn run(&self, arguments: &str) -> Said {
        self.run_with(arguments, "")
    }

    /// Trains a configuration until it has learnt what it is to say. wgpu's software device takes minutes for that: there
    /// the CPU's own backend trains, where it is compiled in, and the record is read on wgpu.
    pub fn train(&self, name: &str) {
        let slow = std::env::var(VARIABLE).is_ok_and(|backend| backend == BackendKind::Wgpu.name());
        let backend = if slow { Self::of_cpu() } else { self.backend };
        run_in(self.folder.path(), backend, &format!("train {name}.toml --run {name} --quiet"), "").ok();
    }

    fn of_cpu() -> Option<BackendKind> {
        compiled().into_iter().find(|&kind| kind == BackendKind::Ndarray)
    }

    pub fn run_with(&self, arguments: &str, stdin: impl Into<Vec<u8>>) -> Said {
        run_in(self.folder.path(), self.backend, arguments, stdin)
    }
}

fn run_in(folder: &Path, backend: Option<BackendKind>, arguments: &str, stdin: impl Into<Vec<u8>>) -> Said {
    let mut program = assert_cmd::cargo::cargo_bin_cmd!("rnn-zoo");
    let words: Vec<&str> = arguments.split(' ').filter(|word| !word.is_empty()).collect();
    let variables = words.iter().map_while(|word| word.split_once('='));
    let output = program
        .args(&words[variables.clone().count()..])
        .envs(backend.map(|backend| (VARIABLE, backend.name())))
        .envs(variables)
        .current_dir(folder)
        .env_remove("RUST_BACKTRACE")
        // Vulkan's loader complains on stderr without one.
        .env("XDG_RUNTIME_DIR", folder)
        .write_stdin(stdin)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What the program said; no code where a signal ended it.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// What it printed, having done what it should.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }

    /// The JSON objects that it printed, one a line.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        self.ok().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// 18 cases in three classes that a channel's level tells apart.
fn tiny_ts() -> String {
    let case = |k: usize| {
        let level = (k % 3) as f32;
        let channel = |sign: f32| {
            (0..3 + k % 4).map(|t| format!("{:.2}", sign * level + t as f32 * 0.1)).collect::<Vec<_>>()
        };
        format!("{}:{}:{}\n", channel(1.0).join(","), channel(-1.0).join(","), ["a", "b", "c"][k % 3])
    };
    format!("@classLabel true a b c\n@data\n{}", (0..18).map(case).collect::<String>())
}

/// The wav file of a tone at 8 kHz.
fn tone(hertz: f64, n: usize) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for k in 0..n {
        let angle = std::f64::consts::TAU * hertz * k as f64 / 8000.0;
        writer.write_sample((10_000.0 * angle.sin()) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A tensor of a file: name, type, shape, bytes.
pub type Part = (&'static str, Dtype, Vec<usize>, Vec<u8>);

pub fn f32s(name: &'static str, shape: &[usize], values: &[f32]) -> Part {
    (name, Dtype::F32, shape.into(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

pub fn i64s(name: &'static str, shape: &[usize], values: &[i64]) -> Part {
    (name, Dtype::I64, shape.into(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// The bytes of a safetensors file.
pub fn safetensors(parts: &[Part]) -> Vec<u8> {
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes are those of the shape"))
    });
    safetensors::serialize(views, None).unwrap()
}

/// Shape and values of a tensor of a file.
fn floats(file: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(file).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    (view.shape().to_vec(), values)
}

/// The probability of each class in an answer.
fn classes(answer: &Value) -> BTreeMap<String, f64> {
    let class = |c: &Value| (c["label"].as_str().unwrap().into(), c["probability"].as_f64().unwrap());
    answer["classes"].as_array().unwrap().iter().map(class).collect()
}

#[track_caller]
fn assert_same_answers(got: &[Value], expected: &[Value]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().map(classes).zip(expected.iter().map(classes)) {
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        assert!(
            got.values().zip(expected.values()).all(|(a, b)| (a - b).abs() < 1e-6),
            "{got:?} {expected:?}"
        );
    }
}

const MODEL: [&str; 5] = ["config.toml", "manifest.json", "record.mpk", "schema.json", "scores.json"];

#[test]
fn train_writes_a_run_and_prints_its_scores() {
    let w = Workshop::new();
    let before = w.files();
    let said = w.run("train tiny.toml --run new/run");
    let lines: Vec<&str> = said.ok().lines().collect();
    for (line, starts) in lines.iter().zip([
        "valid accuracy ",
        "valid loss ",
        "test accuracy ",
        "test loss ",
        "model: new/run/model (",
    ]) {
        assert!(line.starts_with(starts), "{line}");
    }
    assert_eq!(lines.len(), 5);
    for progress in ["device: ", "10 training, 4 validation, 4 test", "epoch   1/2 ", "epoch   2/2 "] {
        assert!(said.err.contains(progress), "{}", said.err);
    }
    let new: Vec<String> = w.files().into_keys().filter(|name| !before.contains_key(name)).collect();
    let mut expected: Vec<String> = MODEL.iter().map(|name| format!("new/run/model/{name}")).collect();
    let figures = ["confusion.csv", "confusion.svg", "loss.svg"];
    expected.extend(
        ["card.md", "config.toml", "metrics.csv"]
            .iter()
            .chain(&figures)
            .map(|name| format!("new/run/{name}")),
    );
    expected.sort();
    assert_eq!(new, expected);
    let metrics = w.read("new/run/metrics.csv");
    assert_eq!(metrics.lines().count(), 3);
    let head = "epoch,train_loss,valid_loss,valid_accuracy,lr,time_steps,train_seconds,seconds\n1,";
    assert!(metrics.starts_with(head), "{metrics}");
}

#[test]
fn train_prints_one_json_object() {
    let w = Workshop::new();
    let said = w.run("train adding.toml --run new --format json --quiet");
    let [run] = said.json().try_into().unwrap();
    assert_eq!((&run["run"], &run["model"]), (&"new".into(), &"new/model".into()));
    assert_eq!((&run["epochs"], &run["scores"][0]["metric"]), (&3.into(), &"mse".into()));
    assert_eq!(run["parameters"], 4 * 2 + 4 * 4 + 4 + 4 + 4 + 1);
    assert_eq!(said.err.lines().filter(|line| !line.starts_with("device: ")).count(), 0, "{}", said.err);
}

#[test]
fn set_is_in_the_resolved_configuration() {
    let w = Workshop::new();
    let set = "--set model.d_hidden=3 --set model.cell=gru --set train.epochs=1 --set train.epochs=3";
    w.run(&format!("train tiny.toml --run new {set}")).ok();
    for file in ["new/config.toml", "new/model/config.toml"] {
        let config = Config::from_file(&w.path(file), &[]).unwrap();
        assert_eq!((config.model.d_hidden, config.train.epochs), (3, 3));
        // What the data say is written out too.
        assert_eq!((config.model.d_input, config.model.d_output), (Some(2), Some(3)));
    }
    assert_eq!(w.read("new/metrics.csv").lines().count(), 4);
}

#[test]
fn runs_without_a_name_take_the_next_free_one() {
    let w = Workshop::new();
    w.write("runs/adding-3/x", "");
    for run in ["runs/adding", "runs/adding-2", "runs/adding-4"] {
        let said = w.run("train adding.toml --set train.epochs=1 --format json");
        assert_eq!(said.json()[0]["run"], run);
    }
    fs::create_dir(w.path("empty")).unwrap();
    w.run("train adding.toml --set train.epochs=1 --run empty").ok();
}

#[test]
fn several_seeds_have_a_mean() {
    let w = Workshop::new();
    let said = w.run("train tiny.toml --seeds 3 --run seeds --set train.seed=4 --format json").json();
    let test = |value: &Value| value["split"] == "test" && value["metric"] == "accuracy";
    let each: Vec<f64> = said[..3]
        .iter()
        .map(|run| {
            run["scores"].as_array().unwrap().iter().find(|s| test(s)).unwrap()["value"].as_f64().unwrap()
        })
        .collect();
    let mean = said[3..].iter().find(|s| test(s)).unwrap();
    assert!((mean["mean"].as_f64().unwrap() - each.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert_eq!(mean["seeds"], 3);
    for seed in 4..7 {
        assert!(
            w.read(&format!("seeds/seed-{seed}/model/manifest.json")).contains(&format!("\"seed\": {seed}"))
        );
    }
    let said = w.run("train tiny.toml --seeds 2 --run more --quiet");
    assert!(said.ok().contains("2 seeds: test accuracy "), "{said:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let w = Workshop::new();
    let options = "--set model.head_dropout=0.3 --set train.input_noise=0.1";
    let metrics = |run: &str, seed: u64| {
        let said = w.run(&format!("train tiny.toml --run {run} --set train.seed={seed} {options}"));
        said.ok();
        // All but the two times at the end.
        let number =
            |row: &str| row.rsplitn(3, ',').last().unwrap().split(',').map(|n| n.parse().unwrap()).collect();
        let rows: Vec<Vec<f64>> = w.read(&format!("{run}/metrics.csv")).lines().skip(1).map(number).collect();
        (rows.concat(), said.err.contains("device: ndarray"))
    };
    let ((first, exact), (again, _), (other, _)) = (metrics("1", 7), metrics("2", 7), metrics("3", 8));
    // Elsewhere the order in which a device adds is its own.
    let tolerance = if exact { 0.0 } else { 1e-3 };
    let differ = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > tolerance);
    assert!(first.len() == again.len() && !differ(&first, &again), "{first:?} {again:?}");
    assert!(differ(&first, &other));
    if exact {
        let record = |run: &str| fs::read(w.path(&format!("{run}/model/scores.json"))).unwrap();
        assert_eq!(record("1"), record("2"));
    }
}

#[test]
fn eval_gives_the_score_of_training() {
    let w = Workshop::new();
    let scores: Value = serde_json::from_str(&w.read("tiny/model/scores.json")).unwrap();
    let [score] = w.run("eval tiny --format json").json().try_into().unwrap();
    let tested = scores.as_array().unwrap().iter().find(|s| s["split"] == "test").unwrap();
    assert_eq!(&score, tested);
    assert_eq!((&score["metric"], &score["n"]), (&"accuracy".into(), &4.into()));
    let said = w.run("eval tiny/model");
    let rows: Vec<Vec<&str>> = said.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["model", "split", "metric", "value", "n"]);
    let value = format!("{:.4}", score["value"].as_f64().unwrap());
    assert_eq!(rows[1], ["tiny", "test", "accuracy", value.as_str(), "4"]);
    // The file that the test split is a part of.
    assert_eq!(w.run("eval tiny --data tiny.ts --format json").json(), [score]);
    w.write("other.ts", tiny_ts());
    let all = w.run("eval tiny --data other.ts --format json").json();
    assert_eq!(all[0]["n"], 18);
    let [loss] = w.run("eval tiny --metric loss --format json").json().try_into().unwrap();
    assert_eq!(loss["metric"], "loss");
    let unknown = w.run("eval tiny --metric f1");
    assert!(unknown.code == Some(1) && unknown.err.contains("it has accuracy, loss"), "{unknown:?}");
    let [copied] = w.run("eval copy --format json").json().try_into().unwrap();
    assert_eq!((&copied["metric"], &copied["n"]), (&"accuracy".into(), &(4 * 23).into()));
}

#[test]
fn eval_scores_the_baseline_on_the_same_samples() {
    let w = Workshop::new();
    let said = w.run("eval tiny --baseline");
    let lines: Vec<&str> = said.ok().lines().collect();
    let at = lines.iter().position(|line| line.starts_with("baseline: always the class most")).unwrap();
    assert!([", a", ", b", ", c"].iter().any(|class| lines[at].ends_with(class)), "{}", lines[at]);
    let row: Vec<&str> = lines[at + 2].split_whitespace().collect();
    assert_eq!((row[2], row[4]), ("accuracy", "4"));
    let [model, baseline] = w.run("eval text --baseline --format json").json().try_into().unwrap();
    assert_eq!((&model["metric"], &model["n"]), (&baseline["metric"], &baseline["n"]));
    assert_eq!(model["metric"], "nats");
    let nats = baseline["value"].as_f64().unwrap();
    // Three lines over and over: what eight characters say is nearly all.
    assert!(nats > 0.0 && nats < 0.5, "{nats}");
    assert!(baseline["baseline"].as_str().unwrap().contains("8-gram"), "{baseline}");

    // Symbols that are guessed, of 23 steps ten, can be held against a model's loss.
    let [model, guessed] =
        w.run("eval copy --baseline --metric loss --format json").json().try_into().unwrap();
    assert_eq!((&model["metric"], &guessed["metric"]), (&"loss".into(), &"loss".into()));
    let loss = 10.0 * 8f64.ln() / 23.0;
    assert!((guessed["value"].as_f64().unwrap() - loss).abs() < 1e-12, "{guessed}");

    w.write("tiny.ts", tiny_ts().replace(":c", ":d"));
    let said = w.run("eval tiny --baseline");
    assert_eq!(said.code, Some(1));
}

/// The texts of an SVG file.
#[track_caller]
fn svg_texts(w: &Workshop, name: &str) -> Vec<String> {
    let svg = w.read(name);
    let document = roxmltree::Document::parse(&svg).unwrap();
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().into()).collect()
}

#[test]
fn a_run_and_eval_leave_figures() {
    let w = Workshop::new();
    let losses = svg_texts(&w, "tiny/loss.svg");
    assert!(losses.contains(&"tiny".into()) && losses.contains(&"validation accuracy".into()), "{losses:?}");
    let table = w.read("tiny/confusion.csv");
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split(',').collect()).collect();
    assert_eq!(rows[0], ["split", "truth", "a", "b", "c"]);
    let scores: Value = serde_json::from_str(&w.read("tiny/model/scores.json")).unwrap();
    for (k, split) in ["valid", "test"].into_iter().enumerate() {
        let rows = &rows[1 + 3 * k..][..3];
        assert!(rows.iter().zip(["a", "b", "c"]).all(|(row, label)| row[..2] == [split, label]), "{table}");
        let count = |i: usize, j: usize| rows[i][2 + j].parse::<u64>().unwrap();
        let all: u64 = (0..9).map(|k| count(k / 3, k % 3)).sum();
        let right: u64 = (0..3).map(|k| count(k, k)).sum();
        let score =
            |metric| scores.as_array().unwrap().iter().find(|s| s["split"] == split && s["metric"] == metric);
        let accuracy = score("accuracy").unwrap();
        assert_eq!(
            (&accuracy["n"], accuracy["value"].as_f64().unwrap()),
            (&all.into(), right as f64 / all as f64)
        );
        let title = format!("{split}: {right} of {all} right");
        let texts = svg_texts(&w, "tiny/confusion.svg");
        assert!(texts.iter().any(|text| text.starts_with(&title)), "no {title} in {texts:?}");
    }
    assert_eq!(rows.len(), 7);

    w.run("eval tiny --confusion test.svg").ok();
    let [title] = svg_texts(&w, "test.svg")
        .into_iter()
        .filter(|t| t.starts_with("test: "))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(svg_texts(&w, "tiny/confusion.svg").contains(&title));
    // A class a step makes a matrix too, when asked for; values do not.
    assert!(w.path("text/loss.svg").exists() && !w.path("text/confusion.svg").exists());
    let n = w.run("eval text --format json --confusion text.svg").json()[0]["n"].to_string();
    assert!(svg_texts(&w, "text.svg").iter().any(|text| text.contains(&format!(" of {n} right"))));
    assert!(w.path("stream/loss.svg").exists() && !w.path("stream/confusion.svg").exists());
}

#[test]
fn inspect_tells_surprises_and_draws_units() {
    let w = Workshop::new();
    // Longer than what the model reads at once, line ends in it.
    let text = "abcab\ncabca\n".repeat(30);
    let [seen] =
        w.run(&format!("inspect text --text {text} --top 1000 --format json")).json().try_into().unwrap();
    assert_eq!(
        (&seen["svg"], &seen["layer"], &seen["tokens"]),
        (&"inspect.svg".into(), &0.into(), &360.into())
    );
    // What is expected at a place is what `predict` says one before it, of a text that starts a line.
    let [said] = w.run(&format!("predict text --format json \n{text}")).json().try_into().unwrap();
    let surprises = seen["surprises"].as_array().unwrap();
    assert_eq!(surprises.len(), 359);
    let number = |v: &Value, name: &str| v[name].as_f64().unwrap();
    for surprise in surprises {
        let position = surprise["position"].as_u64().unwrap() as usize;
        assert_eq!(surprise["token"], text[position - 1..position]);
        let step = &said["steps"][position - 1];
        assert!((number(step, "probability") - number(surprise, "expected_probability")).abs() < 1e-5);
        let right = step["label"] == surprise["token"] && step["label"] == surprise["expected"];
        let (p, bits) = (number(surprise, "probability"), number(surprise, "bits"));
        assert!((bits + p.log2()).abs() < 1e-6 && p <= number(surprise, "expected_probability"));
        assert!(!right || p == number(surprise, "expected_probability"));
    }
    let bits: Vec<f64> = surprises.iter().map(|s| number(s, "bits")).collect();
    assert!(bits.is_sorted_by(|a, b| a >= b));
    assert!((bits.iter().sum::<f64>() / 359.0 - number(&seen, "mean_bits")).abs() < 1e-9);
    // Five bands, each of all four units; the order is that of how much they vary.
    let texts = svg_texts(&w, "inspect.svg");
    let units: Vec<String> = seen["units"].as_array().unwrap().iter().map(Value::to_string).collect();
    let drawn: Vec<&String> = texts.iter().filter(|text| text.parse::<usize>().is_ok()).collect();
    assert_eq!(drawn, std::iter::repeat_n(&units, 5).flatten().collect::<Vec<_>>());
    assert_eq!(texts.iter().filter(|text| *text == "↵").count(), 60);

    let said = w.run("inspect text --text abca --units 3,1 --top 2 --output two.svg");
    let lines: Vec<&str> = said.ok().lines().collect();
    assert!(lines[0].starts_with("position  token  probability  bits"), "{}", said.out);
    assert_eq!((lines.len(), lines[4]), (5, "two.svg"), "{}", said.out);
    assert!(lines[3].starts_with("mean of 3 tokens: "), "{}", said.out);
    let drawn: Vec<String> =
        svg_texts(&w, "two.svg").into_iter().filter(|t| t.parse::<usize>().is_ok()).collect();
    assert_eq!(drawn, ["3", "1"]);
    assert_eq!(w.run("inspect text --text a --output one.svg").ok().lines().count(), 2);
}

#[test]
fn any_layer_can_be_looked_at() {
    let w = Workshop::new();
    w.run("train text.toml --run deep --set model.n_layers=2 --set model.cell=lstm").ok();
    for device in each_backend() {
        let model = predict::load(w.path("deep"), &device).unwrap();
        // A line end and a, b, c, a in a vocabulary that starts with line end and blank.
        let tokens = Array { shape: vec![1, 5], values: vec![0, 2, 3, 4, 2] };
        let end = model.run(&RawInput { tokens: Some(tokens), ..Default::default() }, None).unwrap().h_n;
        assert_eq!(end.shape, [2, 1, 4]);
        for (layer, end) in end.values.chunks(4).enumerate() {
            let seen = model.inspect("abca", Some(layer)).unwrap();
            assert_eq!((seen.layer, seen.hidden.steps(), seen.tokens.concat()), (layer, 4, "abca".into()));
            assert_close("the last step", &seen.hidden.data[12..], end);
            let spread = |unit: usize| {
                let values: Vec<f32> = seen.hidden.data.iter().skip(unit).step_by(4).copied().collect();
                let mean = values.iter().sum::<f32>() / 4.0;
                values.iter().map(|v| (v - mean).powi(2)).sum::<f32>()
            };
            let liveliest = seen.liveliest(3);
            assert!(liveliest.len() == 3 && liveliest.is_sorted_by(|a, b| spread(*a) >= spread(*b)));
            assert!((0..4).all(|unit| spread(unit) <= spread(liveliest[0])));
        }
        assert_eq!(model.inspect("abca", None).unwrap().layer, 1);
    }
}

#[test]
fn a_model_of_the_zoo_has_a_name() {
    let w = Workshop::new();
    w.run("export tiny --format mpk --out models/small").ok();
    assert_eq!(w.run("eval small").ok(), w.run("eval models/small").ok());
    // A folder of that name is what is meant.
    w.run("export text --format mpk --out small").ok();
    assert!(w.run("info small").ok().contains("tokens of 5"));
}

#[test]
fn predict_answers_a_line_lines_and_a_file() {
    let w = Workshop::new();
    let file = w.run("predict tiny tiny.ts --format json").json();
    assert_eq!(file.len(), 18);
    let text = w.read("tiny.ts");
    let cases: Vec<&str> = text.lines().skip(2).map(|line| line.rsplit_once(':').unwrap().0).collect();
    let lines = w.run_with("predict tiny - --format json", cases.join("\n")).json();
    assert_same_answers(&lines, &file);
    assert_same_answers(&w.run(&format!("predict tiny {} --format json", cases[1])).json(), &file[1..2]);
    // As it stands in its file, with its label.
    let labelled = text.lines().nth(3).unwrap();
    assert_same_answers(&w.run(&format!("predict tiny {labelled} --format json")).json(), &file[1..2]);
    let answer = &file[1];
    let all = classes(answer);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!((all.values().sum::<f64>() - 1.0).abs() < 1e-5, "{all:?}");
    assert!(all.values().all(|&p| p <= answer["probability"].as_f64().unwrap()));
    let label = answer["label"].as_str().unwrap();
    let said = w.run(&format!("predict tiny {}", cases[1]));
    assert_eq!(said.ok(), format!("{label}\t{:.4}\n", all[label]));
    assert!(said.err.starts_with("device: ") && said.err.lines().count() == 1, "{}", said.err);
}

#[test]
fn predict_answers_clips_by_path_by_folder_and_from_stdin() {
    let w = Workshop::new();
    for k in 0..20 {
        let (label, hertz) = [("low", 300.0), ("high", 2000.0)][k % 2];
        w.write(&format!("clips/{label}_{k:02}.wav"), tone(hertz, 400 + 40 * k));
    }
    w.write("clip.toml", CLIP);
    w.run("train clip.toml --run clip").ok();
    assert!(w.read("clip/model/config.toml").contains("sample_rate = 8000"));
    let folder = w.run("predict clip clips --format json").json();
    let names: Vec<&str> = folder.iter().map(|answer| answer["file"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names[0], names[19]), (20, "high_01.wav", "low_18.wav"));
    assert_same_answers(&w.run("predict clip clips/low_18.wav --format json").json(), &folder[19..]);
    let paths = "clips/high_01.wav\nclips/low_18.wav\n";
    let lines = w.run_with("predict clip - --format json", paths).json();
    assert_same_answers(&lines, &[folder[0].clone(), folder[19].clone()]);
    let probability = folder[0]["probability"].as_f64().unwrap();
    let answer = format!("{}\t{probability:.4}\n", folder[0]["label"].as_str().unwrap());
    assert_eq!(w.run("predict clip clips/high_01.wav").ok(), answer);
    assert!(w.run("predict clip clips").ok().starts_with(&format!("high_01.wav\t{answer}")));
    assert_eq!(w.run("eval clip --data clips --format json").json()[0]["n"], 2);
    // From stdin the error has the line.
    let said = w.run_with("predict clip -", "clips/high_01.wav\nclips/gone.wav\n");
    assert!(said.err.contains("stdin:2: clips/gone.wav"), "{}", said.err);
    let said = w.run("predict clip clips/gone.wav");
    assert!(said.err.contains("clips/gone.wav: No such file"), "{}", said.err);
    let clip = fs::read(w.path("clips/high_01.wav")).unwrap();
    let said = w.run_with("predict clip - --follow", clip);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("stdin:1: paths are read from stdin, one a line"), "{}", said.err);
}

#[test]
fn predict_writes_a_character_a_step() {
    let w = Workshop::new();
    let [answer] = w.run("predict text abca --format json").json().try_into().unwrap();
    let text = answer["text"].as_str().unwrap();
    assert_eq!((text.chars().count(), answer["steps"].as_array().unwrap().len()), (4, 4));
    assert_eq!(w.run("predict text abca").ok(), format!("{text}\n"));
}

#[test]
fn predict_tags_words_and_labels_texts() {
    let w = Workshop::new();
    let words = |out: &str| -> Vec<String> {
        out.lines().map(|line| line.split('\t').next().unwrap().to_string()).collect()
    };
    // Punctuation is split off, and the answer is a tagged file again.
    let said = w.run_with("predict tags -", "The cat.\nStop now!").ok().to_string();
    assert_eq!(words(&said), ["The", "cat", ".", "", "Stop", "now", "!", ""]);
    for line in said.lines().filter(|line| !line.is_empty()) {
        let tag = line.split_once('\t').unwrap().1;
        assert!(["<unk>", "DET", "NOUN", "PUNCT", "VERB"].contains(&tag), "{line}");
    }
    w.write("said.tsv", &said);
    let [score] = w.run("eval tags --data said.tsv --format json").json().try_into().unwrap();
    assert_eq!((&score["value"], &score["n"]), (&1.0.into(), &6.into()));
    let [answer] = w.run("predict tags cat. --format json").json().try_into().unwrap();
    assert_eq!((&answer["steps"][0]["word"], answer["steps"].as_array().unwrap().len()), (&"cat".into(), 2));

    w.write("lines.txt", "Where is it?\nWhen ?\n");
    let file = w.run("predict topic lines.txt --format json").json();
    let lines = w.run_with("predict topic - --format json", "Where is it ?\nWhen ?").json();
    assert_same_answers(&file, &lines);
    assert_eq!(classes(&file[0]).keys().collect::<Vec<_>>(), ["PLACE", "TIME"]);
    w.write("more.txt", w.read("topic.txt"));
    assert_eq!(w.run("eval topic --data more.txt --format json").json()[0]["n"], 16);
}

#[test]
fn words_have_a_perplexity_and_padding_is_told() {
    let w = Workshop::new();
    let run = w.run("train text.toml --run new --set data.unit=word --set data.window=2");
    let scores: Value = serde_json::from_str(&w.read("new/model/scores.json")).unwrap();
    let of = |metric: &str| {
        let found = scores.as_array().unwrap().iter().find(|s| s["split"] == "test" && s["metric"] == metric);
        found.unwrap()["value"].as_f64().unwrap()
    };
    assert!((of("perplexity") - of("loss").exp()).abs() < 1e-9);
    assert!(run.ok().contains("test perplexity"), "{run:?}");
    let said = w.run("train topic.toml --run topics");
    said.ok();
    assert!(said.err.lines().any(|line| line.starts_with("padding: ")), "{}", said.err);
}

#[test]
fn a_stream_goes_on_from_line_to_line() {
    let w = Workshop::new();
    let values = |line: &Value| -> Vec<f32> { serde_json::from_value(line["values"][0].clone()).unwrap() };
    let lines = w.run_with("predict stream - --format json", "1.5,2\n1.5,2\n").json();
    let [one] = w.run("predict stream 1.5,2 --format json").json().try_into().unwrap();
    assert_close("the first reading", &values(&lines[0]), &values(&one));
    assert_ne!(values(&lines[1]), values(&one));
    let file = w.run("predict stream stream.csv").ok().to_string();
    assert_eq!(file.lines().filter(|row| row.split(',').count() == 2).count(), 60, "{file}");
}

#[test]
fn a_stream_goes_on_after_a_line_that_is_wrong() {
    let w = Workshop::new();
    let good = w.run_with("predict stream - --follow", "1.5,2\n".repeat(5) + "0.5,1\n");
    let good: Vec<&str> = good.ok().lines().collect();
    // A gap, a missing value, a word and what is no text: the last reading stands in for each.
    let bad = w.run_with("predict stream - --follow", b"1.5,2\n\n1,\nx,1\n\xff\n0.5,1\n".as_slice());
    assert_eq!(bad.ok().lines().collect::<Vec<_>>(), [good[0], good[5]]);
    let told: Vec<&str> = bad.err.lines().filter(|line| line.starts_with("error: ")).collect();
    let expected = [
        "error: stdin:2: value 1: the value is missing",
        "error: stdin:3: value 2: the value is missing",
        "error: stdin:4: value 1: `x` is not a number",
        "error: stdin:5: cannot be read",
    ];
    assert_eq!(told.len(), 4, "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    // A line of 18 MiB is not kept, and the next one is answered.
    let long = "1,".repeat(9 << 20) + "\n1.5,2\n";
    let said = w.run_with("predict stream - --follow", long.clone());
    assert_eq!(said.ok().lines().collect::<Vec<_>>(), [good[0]]);
    let told = "error: stdin:1: the line is longer than 16 MiB";
    assert!(said.err.lines().any(|line| line.starts_with(told)), "{}", said.err);
    let said = w.run_with("predict stream -", long);
    assert!(said.code == Some(1) && said.out.is_empty() && said.err.contains(told), "{}", said.err);
    let file = w.run("predict stream stream.csv --follow");
    assert!(file.code == Some(1) && file.err.contains("give - as the input"), "{file:?}");
}

/// `stream` as a model of differences, of two rows from values three rows before.
const SEASONS: &str = r#"
name = "seasons"
model = { mode = "one-to-one", cell = "gru", d_hidden = 4 }
train = { epochs = 1 }
[data]
format = "csv"
train = "stream.csv"
columns = ["x", "y"]
horizon = 2
trajectory = true
season = 3
rows = 50
window = 8
"#;

#[test]
fn what_a_stream_misses_keeps_its_place_in_the_season() {
    let w = Workshop::new();
    w.write("seasons.toml", SEASONS);
    w.run("train seasons.toml --run seasons").ok();
    let said = |lines: &str| w.run_with("predict seasons - --follow", lines);
    let lines = |said: &Said| said.ok().lines().map(String::from).collect::<Vec<_>>();

    // The value three rows before stands in for a line that is wrong, before there is one the last value; before any
    // there is nothing to go on from.
    let bad = said("?\n1000,0\n?\n3000,0\n4000,0\n?\n5000,0\n");
    let whole = lines(&said("1000,0\n1000,0\n3000,0\n4000,0\n1000,0\n5000,0\n"));
    assert_eq!(lines(&bad), [&whole[..1], &whole[2..4], &whole[5..]].concat());
    let told = bad.err.lines().filter(|line| line.starts_with("error: stdin:")).count();
    assert_eq!(told, 3, "{}", bad.err);

    // So it is with a row that the times tell of; a row that comes late is none.
    let timed = said(
        "day,y,time,x\n\
         1,0,2024-02-28 22:00,1000\n\
         1,0,2024-02-28 23:00,3000\n\
         2,0,2024-02-29 00:00,4000\n\
         2,0,2024-02-29 02:00,5000\n\
         2,0,2024-02-29 01:00,1000\n\
         2,0,2024-02-29 03:00,6000\n",
    );
    let whole = lines(&said("1000,0\n3000,0\n4000,0\n1000,0\n5000,0\n6000,0\n"));
    assert_eq!(lines(&timed), [&whole[..3], &whole[4..]].concat());
    let told: Vec<&str> = timed.err.lines().filter(|line| line.contains("stdin:")).collect();
    let expected = [
        "note: stdin:5: 1 row(s) missing before this one",
        "error: stdin:6: column `time`: `2024-02-29 01:00` is not later than the row before",
    ];
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:?}");

    // 3002 rows are missing: all but whole seasons and two more. What is said is near the values a season before.
    let long = w.run_with(
        "predict seasons - --format json",
        "time,x,y\n\
         2024-01-01 00:00,1000,0\n\
         2024-01-01 01:00,2000,0\n\
         2024-01-01 02:00,3000,0\n\
         2024-05-05 05:00,3000,0\n",
    );
    let last = long.json().pop().unwrap();
    for (k, expected) in [1000.0, 2000.0].into_iter().enumerate() {
        let x = last["values"][0][k][0].as_f64().unwrap();
        assert!((x - expected).abs() < 100.0, "{x}, not {expected}");
    }
    assert!(long.err.contains("note: stdin:5: 3002 row(s) missing"), "{}", long.err);
}

#[test]
fn a_streams_first_line_may_name_its_columns() {
    let w = Workshop::new();
    let plain = w.run_with("predict stream - --follow", "1.5,2\n0.5,1\n");
    // Columns in another order, one that is not read, quotes.
    let named = w.run_with("predict stream -", "day,\"y\",x\n1,2,1.5\n\"1,5\",\"1\",0.5\n");
    assert_eq!(named.ok(), plain.ok());
    // After a blank line, and again, as in files that follow each other.
    let again = w.run_with("predict stream - --follow", "\nday,y,x\n1,2,1.5\nday,y,x\n1,1,0.5\n");
    assert_eq!(again.ok(), plain.ok());
    let told: Vec<&str> = again.err.lines().filter(|line| line.contains("stdin:")).collect();
    assert!(told.len() == 1 && told[0].starts_with("error: stdin:1: "), "{told:?}");
    // The file that it was trained on.
    let own = w.run_with("predict stream - --follow", w.read("stream.csv"));
    assert_eq!(own.ok().lines().count(), 60);
    assert!(!own.err.contains("stdin"), "{}", own.err);

    let some = w.run_with("predict stream - --follow", "day,y\n1,2\n");
    assert_eq!((some.code, some.out.as_str()), (Some(1), ""), "{some:?}");
    assert!(
        some.err.contains("error: stdin:1: the header has no column x, which the model reads"),
        "{some:?}"
    );
    let wrong = w.run_with("predict stream - --follow", "day,y,x\n1,2\n1,2,\n1,2,1.5\n");
    assert_eq!(wrong.ok().lines().collect::<Vec<_>>(), [plain.out.lines().next().unwrap()]);
    for told in ["stdin:2: 2 cells, where the header has 3", "stdin:3: column `x`: the value is missing"] {
        assert!(wrong.err.contains(told), "{}", wrong.err);
    }
}

#[test]
fn a_model_of_differences_says_values() {
    let w = Workshop::new();
    w.write("seasons.toml", SEASONS);
    w.run("train seasons.toml --run seasons").ok();
    // A season is made of three rows: what was learnt is small beside the values a season before, which are here far
    // from those of training.
    let rows = ["1000,0", "2000,0", "3000,0", "4000,0"];
    let said = w.run_with("predict seasons - --follow --format json", rows.join("\n")).json();
    assert_eq!(said[0]["columns"], serde_json::json!(["x", "y"]));
    // A step has two rows of the two columns.
    let values = |answer: &Value, k: usize| -> Vec<f64> {
        let rows: [[f64; 2]; 2] = serde_json::from_value(answer["values"][k].clone()).unwrap();
        rows.concat()
    };
    let x: Vec<[f64; 2]> = said.iter().map(|answer| [values(answer, 0)[0], values(answer, 0)[2]]).collect();
    for (x, expected) in x.iter().zip([[1000., 1000.], [1000., 1000.], [1000., 2000.], [2000., 3000.]]) {
        assert!(
            x.iter().zip(expected).all(|(x, expected)| (x - expected).abs() < 100.0),
            "{x:?}, not {expected:?}"
        );
    }
    // A file is answered as the stream of its rows.
    w.write("rows.csv", format!("x,y\n{}\n", rows.join("\n")));
    let [file] = w.run("predict seasons rows.csv --format json").json().try_into().unwrap();
    for (k, answer) in said.iter().enumerate() {
        let [said, file] = [values(answer, 0), values(&file, k)];
        assert!(
            said.iter().zip(&file).all(|(a, b)| (a - b).abs() <= 1e-3 * b.abs().max(1.0)),
            "{said:?} {file:?}"
        );
    }
    // Of the three steps of the test part the last alone has a season before it.
    w.run("eval seasons --plot seasons.svg").ok();
    assert!(svg_texts(&w, "seasons.svg").contains(&"forecast 2 rows before".into()));
    assert_eq!(points_of_lines(&w, "seasons.svg"), [1; 4]);
    // After two rows there is none.
    w.write("short.toml", SEASONS.replace("one-to-one", "many-to-one").replace("window = 8", "window = 2"));
    w.run("train short.toml --run short").ok();
    let short = w.run("eval short --plot short.svg");
    assert!(
        short.code == Some(1) && short.err.contains("no sample goes back 3 rows: raise data.window"),
        "{short:?}"
    );
    assert!(!w.path("short.svg").exists());
    let baseline = w.run("eval seasons --baseline");
    assert!(
        baseline.ok().contains("baseline: the value 3 rows before")
            && baseline.out.contains("last reading mse")
    );
}

/// How many points each line of an SVG file has.
fn points_of_lines(w: &Workshop, name: &str) -> Vec<usize> {
    let svg = w.read(name);
    let document = roxmltree::Document::parse(&svg).unwrap();
    let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
    lines.map(|line| line.attribute("points").unwrap().split_whitespace().count()).collect()
}

#[test]
fn eval_draws_forecasts_beside_what_came() {
    let w = Workshop::new();
    w.run("eval stream --plot plot.svg").ok();
    let texts = svg_texts(&w, "plot.svg");
    for text in ["stream: test, 1 row ahead", "truth", "forecast 1 row before", "x", "y", "step"] {
        assert!(texts.iter().any(|t| t == text), "no {text} in {texts:?}");
    }
    // Six rows, of which the first five are asked what comes after them.
    assert_eq!(points_of_lines(&w, "plot.svg"), [5; 4]);
    let again = w.run("eval stream --plot plot.svg");
    assert!(again.code == Some(1) && again.err.contains("exists already"), "{again:?}");
    let classes = w.run("eval tiny --plot tiny.svg");
    assert!(classes.code == Some(1) && classes.err.contains("only a model of `csv` data"), "{classes:?}");
    assert!(!w.path("tiny.svg").exists());
}

#[test]
fn generate_writes_one_text_for_a_seed() {
    let w = Workshop::new();
    let options = "--prompt abca --tokens 60 --temperature 0.8 --top-k 4 --top-p 0.95";
    let text = |more: &str| {
        let [said] =
            w.run(&format!("generate text {options} --format json {more}")).json().try_into().unwrap();
        assert_eq!(
            (&said["model"], &said["prompt"], &said["tokens"]),
            (&"text".into(), &"abca".into(), &60.into())
        );
        said["text"].as_str().unwrap().to_string()
    };
    let first = text("--seed 1");
    assert!(first.chars().count() == 60 && first.chars().all(|c| " abc\n".contains(c)), "{first}");
    for device in each_backend() {
        assert_eq!(text(&format!("--seed 1 --backend {}", device.backend)), first, "{device}");
    }
    assert_ne!(text("--seed 2"), first);
    let said = w.run(&format!("generate text {options} --seed 1"));
    assert_eq!(said.ok(), format!("abca{first}\n"));
    assert!(said.err.contains("60 characters in ") && said.err.ends_with(" a second\n"), "{}", said.err);
}

#[test]
fn generate_starts_a_line() {
    let w = Workshop::new();
    let greedy =
        |more: &str| w.run(&format!("generate text --tokens 20 --temperature 0 {more}")).ok().to_string();
    let empty = greedy("");
    assert_eq!(empty.chars().count(), 21);
    assert_eq!(greedy("--seed 9"), empty);
    // What it writes then, given to it, stands at the same place.
    let (first, rest) = empty.split_at(1);
    assert!(
        greedy(&format!("--prompt {first}")).starts_with(&format!("{first}{}", rest.trim_end())),
        "{empty}"
    );
}

#[test]
fn a_prompt_without_a_word_starts_a_line() {
    let w = Workshop::new();
    w.write("words.txt", "to be or not to be\n".repeat(30));
    w.write(
        "words.toml",
        r#"
name = "words"
model = { mode = "many-to-many", cell = "gru", d_embedding = 4, d_hidden = 4 }
data = { format = "text", unit = "word", train = "words.txt", window = 8 }
train = { epochs = 1 }
"#,
    );
    w.run("train words.toml --run words --quiet").ok();
    let greedy =
        |more: &str| w.run(&format!("generate words --tokens 5 --temperature 0 {more}")).ok().to_string();
    let empty = greedy("");
    assert!(empty.split_whitespace().count() > 1, "{empty}");
    assert_eq!(greedy("--prompt \t"), format!("\t{empty}"));
}

#[test]
fn predict_runs_on_tensors() {
    let w = Workshop::new();
    let x: Vec<f32> = (0..12).map(|k| k as f32 / 6.0 - 1.0).collect();
    w.write("x", safetensors(&[f32s("x", &[2, 3, 2], &x), i64s("lengths", &[2], &[3, 1])]));
    assert_eq!(w.run("predict tiny --input x --output y").ok(), "");
    let read = |file: &str, name| floats(&w.path(file), name);
    for (name, shape) in [("y", vec![2, 3]), ("h_n", vec![1, 2, 4]), ("c_n", vec![1, 2, 4])] {
        assert_eq!(read("y", name).0, shape, "{name}");
    }
    // The second sequence ends after a step: what follows it is not read, and its state goes on as a sequence's would.
    w.write("one", safetensors(&[f32s("x", &[1, 1, 2], &x[6..8])]));
    w.run("predict tiny --input one --output y_one").ok();
    for (name, n) in [("y", 3), ("h_n", 4), ("c_n", 4)] {
        assert_close(name, &read("y", name).1[n..], &read("y_one", name).1);
    }
    // The first sequence in two pieces: the second one starts where the first one ended.
    w.write("start", safetensors(&[f32s("x", &[1, 1, 2], &x[..2])]));
    w.run("predict tiny --input start --output y_start").ok();
    let state = |name, from| f32s(name, &[1, 1, 4], &read("y_start", from).1);
    let rest = f32s("x", &[1, 2, 2], &x[2..6]);
    w.write("rest", safetensors(&[rest, state("h0", "h_n"), state("c0", "c_n")]));
    w.run("predict tiny --input rest --output y_rest").ok();
    for (name, n) in [("y", 3), ("h_n", 4), ("c_n", 4)] {
        assert_close(name, &read("y_rest", name).1, &read("y", name).1[..n]);
    }
    // Tokens; a GRU has no cell state.
    w.write("t", safetensors(&[i64s("x", &[2, 3], &[0, 1, 2, 3, 4, 0]), i64s("lengths", &[2], &[3, 2])]));
    w.run("predict text --input t --output y_t").ok();
    assert_eq!((read("y_t", "y").0, read("y_t", "h_n").0), (vec![2, 3, 5], vec![1, 2, 4]));
    let bytes = fs::read(w.path("y_t")).unwrap();
    assert!(SafeTensors::deserialize(&bytes).unwrap().tensor("c_n").is_err());
    w.write("t2", safetensors(&[i64s("x", &[1, 2], &[3, 4])]));
    w.run("predict text --input t2 --output y_t2").ok();
    assert_close("tokens with lengths", &read("y_t", "h_n").1[4..], &read("y_t2", "h_n").1);
}

/// Models of a program's data, which no configuration file trains, in the hands of the command line.
#[test]
fn models_that_write_are_told_how_much() {
    let w = Workshop::new();
    let device = each_backend().remove(0);
    let train = |name: &str, model: ModelConfig, dataset: Dataset| {
        let mut config = Config::new(name, model);
        config.train.epochs = 1;
        train::train_on(&config, dataset, &device, &w.path(name), Progress::Quiet).unwrap();
    };
    let curve = |k: usize| Features::series((0..5).map(|t| (k * t) as f32 / 50.0).collect());
    let samples = (0..20).map(|k| Sample::features(Features::vector(vec![k as f32 / 20.0; 2]), curve(k)));
    train(
        "curves",
        ModelConfig::new(IoMode::OneToMany, CellKind::Gru, 4),
        Dataset::new(samples.collect(), Schema::features(2, 1)),
    );
    let names = |n: usize| ["", "a", "b", "c"][..n].iter().map(ToString::to_string).collect();
    let samples = (0..20u32).map(|k| Sample::tokens(vec![1 + k % 3, 2], vec![1 + k % 2, 2, 0]));
    let model = ModelConfig {
        d_embedding: Some(3),
        max_steps: Some(4),
        ..ModelConfig::new(IoMode::EncoderDecoder, CellKind::Lstm, 4)
    };
    let schema = Schema::tokens(vec!["-".into(), "a".into(), "b".into(), "c".into()], names(3));
    train("written", model, Dataset::new(samples.collect(), schema));

    let steps = |more: &str| {
        let [answer] =
            w.run(&format!("predict curves 0.5,0.5 --format json {more}")).json().try_into().unwrap();
        answer["values"].as_array().unwrap().len()
    };
    assert_eq!((steps("--steps 3"), steps("--steps 9")), (3, 9));
    let unknown = w.run("predict curves 0.5,0.5");
    assert!(unknown.code == Some(1) && unknown.err.contains("how many steps to write is not known"));
    let none = w.run("predict curves 0.5,0.5 --steps 0");
    assert!(none.code == Some(1) && none.err.contains("0 steps cannot be written"), "{none:?}");
    let [answer] = w.run("predict written ab --format json").json().try_into().unwrap();
    assert!(answer["steps"].as_array().unwrap().len() <= 4, "{answer}");
    assert!(w.run("predict written ab --steps 1").ok().trim_end().len() <= 1);
}

#[test]
fn predict_reads_every_file_of_a_folder() {
    let w = Workshop::new();
    w.write("cases/b.ts", tiny_ts());
    w.write("cases/a.ts", tiny_ts().lines().take(4).map(|line| format!("{line}\n")).collect::<String>());
    let said = w.run("predict tiny cases --format json").json();
    let alone = w.run("predict tiny tiny.ts --format json").json();
    assert_eq!((said.len(), &said[0]["file"], &said[2]["file"]), (20, &"a.ts".into(), &"b.ts".into()));
    assert_same_answers(&said[2..], &alone);
    assert!(w.run("predict tiny cases").ok().starts_with("a.ts\t"));
    fs::create_dir(w.path("nothing")).unwrap();
    let none = w.run("predict tiny nothing");
    assert!(none.code == Some(1) && none.err.contains("nothing: has no file"), "{none:?}");
}

#[test]
fn the_most_capable_device_is_taken_where_none_is_named() {
    let taken = select(None, None).unwrap();
    if std::env::var_os(VARIABLE).is_none() {
        assert_eq!(taken, devices()[0]);
    }
    let w = Workshop::new();
    assert!(w.run("eval tiny").err.lines().any(|line| line == format!("device: {taken}")));
}

/// Whatever it reads, each configuration of the zoo is one that could run.
#[test]
fn every_shipped_configuration_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut n = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let config = Config::from_file(&path, &[]).unwrap();
        config.check().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("Expect "), "{}: no score and time to expect", path.display());
        n += 1;
    }
    assert!(n >= 8, "{n} configurations");
}

#[test]
fn exports_answer_as_the_original() {
    let w = Workshop::new();
    let original = w.run("predict tiny tiny.ts --format json").json();
    for format in ["mpk", "bin", "burnpack", "json", "safetensors"] {
        let folder = format!("tiny-{format}");
        let said = w.run(&format!("convert tiny --format {format}"));
        let extension = if format == "burnpack" { "bpk" } else { format };
        assert_eq!(said.ok(), format!("{folder}/record.{extension}\n"));
        assert_same_answers(&w.run(&format!("predict {folder} tiny.ts --format json")).json(), &original);
        let [info] = w.run(&format!("info {folder} --format json")).json().try_into().unwrap();
        assert_eq!(info["manifest"]["record"], format);
        // And back.
        w.run(&format!("export {folder} --format mpk --out some/where/{format}")).ok();
        let back = format!("some/where/{format}/schema.json");
        assert_eq!(w.read(&back), w.read("tiny/model/schema.json"));
        assert_same_answers(
            &w.run(&format!("predict some/where/{format} tiny.ts --format json")).json(),
            &original,
        );
    }
    let size = |name: &str| fs::metadata(w.path(name)).unwrap().len();
    w.run("export tiny --format mpk --half --out tiny-half").ok();
    assert!(size("tiny-half/record.mpk") < size("tiny/model/record.mpk"));
    w.run("train tiny.toml --set train.half=true --run half").ok();
    let score = |name: &str, arguments: &str| w.run(&format!("eval {name} {arguments}")).json().remove(0);
    let stored: Value = serde_json::from_str(&w.read("half/model/scores.json")).unwrap();
    assert!(stored.as_array().unwrap().contains(&score("half", "--format json")));
    assert_eq!(size("half/model/record.mpk"), size("tiny-half/record.mpk"));
    let names: Vec<String> = w.files().into_keys().filter(|name| name.starts_with("tiny-bin/")).collect();
    let expected = MODEL.map(|name| format!("tiny-bin/{}", name.replace("mpk", "bin")));
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn info_tells_what_a_model_is() {
    let w = Workshop::new();
    let said = w.run("info tiny");
    for part in [
        "name                      tiny\n",
        "Three classes of two channels",
        "many-to-one",
        "lstm, 1 layer(s) of 4",
        "2 features a step",
        "one class of 3: a, b, c",
        "record.mpk",
        "stack.layers.0.weight_ih  [16, 2]\n",
        "test accuracy",
    ] {
        assert!(said.ok().contains(part), "no {part} in {}", said.out);
    }
    let [info] = w.run("info tiny/model --format json").json().try_into().unwrap();
    let size =
        |w: &Value| w["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).product::<u64>();
    let sizes: u64 = info["weights"].as_array().unwrap().iter().map(size).sum();
    assert_eq!(info["manifest"]["parameters"], sizes);
    assert_eq!((&info["model"]["cell"], &info["model"]["d_output"]), (&"lstm".into(), &3.into()));
    assert!(w.run("info text").ok().contains("tokens of 5"));
}

#[test]
fn list_shows_the_models_of_a_folder() {
    let w = Workshop::new();
    for name in ["tiny", "text"] {
        w.run(&format!("export {name} --format safetensors --out zoo/{name}")).ok();
    }
    w.write("zoo/README.md", "not a model");
    let said = w.run("list --models zoo");
    let rows: Vec<&str> = said.ok().lines().collect();
    assert!(rows.len() == 3 && rows[0].starts_with("model"), "{}", said.out);
    assert!(rows[1].starts_with("text") && rows[2].starts_with("tiny"), "{}", said.out);
    assert!(
        rows[2].contains("test accuracy") && rows[2].ends_with("Three classes of two channels"),
        "{}",
        rows[2]
    );
    let scores = w.run("list --models zoo --format json").json();
    assert_eq!((scores.len(), &scores[1]["model"], &scores[1]["split"]), (2, &"tiny".into(), &"test".into()));
    // One that is damaged does not hide the other.
    w.write("zoo/text/schema.json", "{}");
    let said = w.run("list --models zoo");
    assert_eq!(said.code, Some(1));
    assert!(said.out.lines().nth(1).unwrap().starts_with("tiny"), "{}", said.out);
    assert!(
        said.err.starts_with("error: zoo/text/schema.json") && said.err.lines().count() == 1,
        "{}",
        said.err
    );
}

#[test]
fn list_tells_of_each_model_what_it_is_judged_by() {
    let w = Workshop::of_files();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    let said = w.run(&format!("list --models {folder}"));
    if !Path::new(folder).join("pos").is_dir() {
        return; // The published package has one model alone.
    }
    let row = |name: &str| said.ok().lines().find(|line| line.starts_with(name)).unwrap().to_string();
    assert!(row("attributes-to-text").contains("  test bleu "), "{}", said.out);
    let tasks = row("intent-slots");
    assert!(tasks.contains("  test intent accuracy 0.") && tasks.contains(", slots f1 0."), "{tasks}");
    // To the last digit as it is stored.
    let listed = w.run(&format!("list --models {folder} --format json"));
    assert!(listed.ok().lines().count() >= 8, "{}", listed.out);
    for line in listed.out.lines() {
        let score: Value = serde_json::from_str(line).unwrap();
        let value = line.split("\"value\":").nth(1).unwrap().split(',').next().unwrap();
        let path = format!("{folder}/{}/scores.json", score["model"].as_str().unwrap());
        let stored = fs::read_to_string(path).unwrap();
        assert!(stored.contains(&format!(": {value},")), "{line}");
    }
}

#[test]
fn help_is_a_success() {
    let w = Workshop::new();
    for command in ["", "train", "eval", "predict", "export", "inspect", "info", "list", "bench"] {
        assert!(w.run(&format!("{command} --help")).ok().contains("Usage: rnn-zoo"));
    }
    assert_eq!(w.run("--version").ok(), concat!("rnn-zoo ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_device_that_is_listed_can_be_asked_for() {
    let w = Workshop::new();
    for device in each_backend() {
        let said = w.run(&format!("eval tiny --backend {} --device {}", device.backend, device.name));
        said.ok();
        assert!(said.err.contains(&format!("device: {} {} ", device.backend, device.name)), "{}", said.err);
    }
}

#[test]
fn a_variable_names_the_backend() {
    let w = Workshop::new();
    let device = each_backend().remove(0);
    let said = w.run(&format!("{VARIABLE}={} eval tiny", device.backend));
    said.ok();
    assert!(said.err.contains(&format!("device: {} ", device.backend)), "{}", said.err);
    // What is asked for goes before it.
    let said = w.run(&format!("{VARIABLE}=nonsense eval tiny --backend {}", device.backend));
    said.ok();
}

#[test]
fn bench_prints_a_row_a_case() {
    let devices = each_backend();
    let cpu = devices.iter().find(|d| d.backend == BackendKind::Ndarray).unwrap_or(&devices[0]);
    let bench = "bench --only stream --reps 1 --cell rnn --threads 1 --json";
    let said = Workshop::new().run(&format!("{bench} --backend {} --device {}", cpu.backend, cpu.name));
    let rows = said.json();
    let machine = ["case", "rnn_zoo", "burn", "backend", "device", "threads", "matmul_gflops"].as_slice();
    let stream = ["case", "implementation", "cell", "H", "L", "step_ms"].as_slice();
    assert_eq!(rows.len(), 3, "{}", said.out);
    for (row, keys) in rows.iter().zip([machine, stream, stream]) {
        let row = row.as_object().unwrap();
        assert_eq!(row.keys().map(String::as_str).collect::<BTreeSet<_>>(), keys.iter().copied().collect());
        let positive = |v: &Value| v.as_str().map_or(v.as_f64() > Some(0.0), |text| !text.is_empty());
        assert!(row.values().all(positive), "{row:?}");
    }
    assert_eq!((&rows[0]["backend"], &rows[0]["threads"]), (&cpu.backend.name().into(), &1.into()));
    for (row, h) in rows[1..].iter().zip([256, 512]) {
        assert_eq!((&row["case"], &row["cell"]), (&"stream".into(), &"RNN".into()));
        assert_eq!((&row["H"], &row["L"]), (&h.into(), &2.into()));
    }
    if cpu.backend != BackendKind::Ndarray {
        return; // Elsewhere the layers that others compose take minutes.
    }
    let bench = "bench --only layer --shape 3 --reps 1 --cell rnn --json --backend ndarray --against reference,burn-nn";
    let rows = Workshop::new().run(bench).json();
    let layer = [
        "case",
        "implementation",
        "cell",
        "B",
        "T",
        "I",
        "H",
        "L",
        "forward_ms",
        "train_ms",
        "train_gflops",
        "matmul_share",
    ];
    assert_eq!(rows.len(), 1 + 3);
    for (k, row) in rows[1..].iter().enumerate() {
        let keys: BTreeSet<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(layer));
        assert_eq!(row["implementation"], ["rnn-zoo", "reference", "burn-nn"][k]);
        assert_eq!((&row["B"], &row["T"], &row["H"]), (&1.into(), &128.into(), &256.into()));
    }
}

#[test]
fn the_speaker_configuration_trains() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let set = "--set model.d_hidden=4 --set train.epochs=1 --set train.batch_size=128";
    let train = format!("train configs/speaker.toml --run {} --format json {set}", run.display());
    let [run] = run_in(Path::new(env!("CARGO_MANIFEST_DIR")), None, &train, "").json().try_into().unwrap();
    let scores = run["scores"].as_array().unwrap();
    assert!(scores.iter().any(|s| s["split"] == "test" && s["n"] == 370), "{run}");
}
