//! The program as its user meets it: each subcommand does what it says, and says it where it says it does.

use crate::support::{assert_close, each_backend};
use rnn_zoo::backend::BackendKind;
use rnn_zoo::config::Config;
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
const STREAM: &str = r#"
name = "stream"
model = { mode = "one-to-one", cell = "rnn", d_hidden = 4 }
data = { format = "csv", train = "stream.csv", columns = ["x", "y"], window = 4 }
train = { epochs = 1 }
"#;
const ADDING: &str = r#"
name = "adding"
model = { mode = "many-to-one", cell = "rnn", d_hidden = 4 }
data = { format = "adding", steps = 6, samples = 64 }
train = { epochs = 3, batch_size = 16 }
"#;

/// A folder of its own to run the program in: small data, the configurations above, and of each but
/// the last a run in a folder of its name. They are trained once.
pub struct Workshop(TempDir);

impl Workshop {
    pub fn new() -> Self {
        static TRAINED: OnceLock<Workshop> = OnceLock::new();
        let trained = TRAINED.get_or_init(|| {
            let new = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
            new.write("tiny.ts", tiny_ts());
            new.write("text.txt", "abcab cabca bcabc\n".repeat(12));
            let rows: String = (0..60).map(|t| format!("day {t},{}.5,{}\n", t * t % 7, t % 3)).collect();
            new.write("stream.csv", format!("day,x,y\n{rows}"));
            for (name, config) in [("tiny", TINY), ("text", TEXT), ("stream", STREAM), ("adding", ADDING)] {
                new.write(&format!("{name}.toml"), config);
                if name != "adding" {
                    new.run(&format!("train {name}.toml --run {name}")).ok();
                }
            }
            new
        });
        let new = Self(tempfile::tempdir().unwrap());
        trained.files().into_iter().for_each(|(name, bytes)| new.write(&name, bytes));
        new
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
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
        walk(self.0.path(), self.0.path(), &mut files);
        files
    }

    /// Runs `rnn-zoo` here; arguments are separated by spaces.
    pub fn run(&self, arguments: &str) -> Said {
        self.run_with(arguments, "")
    }

    pub fn run_with(&self, arguments: &str, stdin: impl Into<Vec<u8>>) -> Said {
        run_in(self.0.path(), arguments, stdin)
    }
}

fn run_in(folder: &Path, arguments: &str, stdin: impl Into<Vec<u8>>) -> Said {
    let mut program = assert_cmd::cargo::cargo_bin_cmd!("rnn-zoo");
    let output = program
        .args(arguments.split(' ').filter(|a| !a.is_empty()))
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
    fn json(&self) -> Vec<Value> {
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
    expected.extend(["config.toml", "metrics.csv"].map(|name| format!("new/run/{name}")));
    let parts = ["model", "optim", "scheduler"];
    expected.extend(
        [1, 2].into_iter().flat_map(|k| parts.map(|part| format!("new/run/checkpoint/{part}-{k}.mpk"))),
    );
    expected.sort();
    assert_eq!(new, expected);
    let metrics = w.read("new/run/metrics.csv");
    assert_eq!(metrics.lines().count(), 3);
    assert!(metrics.starts_with("epoch,train_loss,valid_loss,valid_accuracy,lr,seconds\n1,"), "{metrics}");
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
fn the_same_seed_gives_the_same_run() {
    let w = Workshop::new();
    let options = "--set model.head_dropout=0.3 --set train.input_noise=0.1";
    let metrics = |run: &str, seed: u64| {
        let said = w.run(&format!("train tiny.toml --run {run} --set train.seed={seed} {options}"));
        said.ok();
        let number =
            |row: &str| row.rsplit_once(',').unwrap().0.split(',').map(|n| n.parse().unwrap()).collect();
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
    let all = w.run("eval tiny --data tiny.ts --format json").json();
    assert_eq!(all[0]["n"], 18);
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
fn predict_writes_a_character_a_step() {
    let w = Workshop::new();
    let [answer] = w.run("predict text abca --format json").json().try_into().unwrap();
    let text = answer["text"].as_str().unwrap();
    assert_eq!((text.chars().count(), answer["steps"].as_array().unwrap().len()), (4, 4));
    assert_eq!(w.run("predict text abca").ok(), format!("{text}\n"));
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
    let zeros = || (f32s("h0", &[1, 1, 4], &[0.0; 4]), f32s("c0", &[1, 1, 4], &[0.0; 4]));
    let (h0, c0) = zeros();
    w.write("from", safetensors(&[f32s("x", &[1, 1, 2], &x[6..8]), h0, c0]));
    w.run("predict tiny --input from --output y_from").ok();
    for (name, n) in [("y", 3), ("h_n", 4), ("c_n", 4)] {
        assert_close(name, &read("y", name).1[n..], &read("y_one", name).1);
        assert_close(name, &read("y_from", name).1, &read("y_one", name).1);
    }
    // Tokens; a GRU has no cell state.
    w.write("t", safetensors(&[i64s("x", &[2, 3], &[0, 1, 2, 3, 4, 0])]));
    w.run("predict text --input t --output y_t").ok();
    assert_eq!((read("y_t", "y").0, read("y_t", "h_n").0), (vec![2, 3, 5], vec![1, 2, 4]));
    let bytes = fs::read(w.path("y_t")).unwrap();
    assert!(SafeTensors::deserialize(&bytes).unwrap().tensor("c_n").is_err());
}

#[test]
fn exports_answer_as_the_original() {
    let w = Workshop::new();
    let original = w.run("predict tiny tiny.ts --format json").json();
    for format in ["mpk", "bin", "safetensors"] {
        let folder = format!("tiny-{format}");
        let said = w.run(&format!("export tiny --format {format}"));
        assert_eq!(said.ok(), format!("{folder}/record.{format}\n"));
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
}

#[test]
fn help_is_a_success() {
    let w = Workshop::new();
    for command in ["", "train", "eval", "predict", "export", "info", "list", "bench"] {
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
}

#[test]
fn the_speaker_configuration_trains() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let set = "--set model.d_hidden=4 --set train.epochs=1 --set train.batch_size=128";
    let train = format!("train configs/speaker.toml --run {} --format json {set}", run.display());
    let [run] = run_in(Path::new(env!("CARGO_MANIFEST_DIR")), &train, "").json().try_into().unwrap();
    let scores = run["scores"].as_array().unwrap();
    assert!(scores.iter().any(|s| s["split"] == "test" && s["n"] == 370), "{run}");
}
