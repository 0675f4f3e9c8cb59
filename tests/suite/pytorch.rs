//! PyTorch's weights in and out: against what it computed (`tests/fixtures/pytorch.py`), and against the real one where
//! `RNN_ZOO_PYTHON` names an interpreter that has torch and safetensors.

use crate::cli::{Workshop, f32s, safetensors};
use crate::support::*;
use burn::tensor::{DType, Int, Tensor, TensorData, bf16, f16};
use rnn_zoo::artifact::{self, Manifest, ModelFolder, named_tensors};
use rnn_zoo::backend::{DeviceInfo, Task, TrainBackend};
use rnn_zoo::config::{
    AttentionScore, CellKind, CharactersConfig, Config, Feedback, IoMode, Merge, ModelConfig,
    OutputActivation, Pooling,
};
use rnn_zoo::data::{Input, InputSchema, Schema, TargetSchema, Words};
use rnn_zoo::model::Model;
use rnn_zoo::recurrent::RecurrentState;
use rnn_zoo::{predict, pytorch};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tensor of a file: type, shape, bytes.
type Array = (Dtype, Vec<usize>, Vec<u8>);
type Arrays = BTreeMap<String, Array>;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn metadata(bytes: &[u8], key: &str) -> Value {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    serde_json::from_str(&metadata.metadata().as_ref().unwrap()[key]).unwrap()
}

/// The tensors whose names start with `prefix`, without it.
fn arrays(bytes: &[u8], prefix: &str) -> Arrays {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let named = file.iter().filter_map(|(name, view)| {
        let array = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
        Some((name.strip_prefix(prefix)?.to_string(), array))
    });
    named.collect()
}

fn file_of(arrays: &Arrays) -> Vec<u8> {
    let views = arrays.iter().map(|(name, (dtype, shape, bytes))| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn f32s_of((dtype, _, bytes): &Array) -> Vec<f32> {
    assert_eq!(*dtype, Dtype::F32);
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn i64s_of((dtype, _, bytes): &Array) -> Vec<i64> {
    assert_eq!(*dtype, Dtype::I64);
    bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
}

fn i64_array(shape: &[usize], values: impl IntoIterator<Item = i64>) -> Array {
    let bytes: Vec<u8> = values.into_iter().flat_map(i64::to_le_bytes).collect();
    assert_eq!(bytes.len(), 8 * shape.iter().product::<usize>());
    (Dtype::I64, shape.to_vec(), bytes)
}

fn f32_array(shape: &[usize], seed: u64) -> Array {
    let values = noise(shape.iter().product(), seed);
    (Dtype::F32, shape.to_vec(), values.into_iter().flat_map(f32::to_le_bytes).collect())
}

/// What a model folder's model makes of tensors, by PyTorch's names.
#[derive(Clone)]
struct Run<'a> {
    folder: &'a Path,
    input: &'a Arrays,
}

impl Task for Run<'_> {
    type Output = BTreeMap<String, Vec<f32>>;

    fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output {
        let (_, model) = artifact::load::<B::InnerBackend>(self.folder, &device).unwrap();
        run(&model, self.input, &device)
    }
}

fn run<B: rnn_zoo::kernel::RecurrentBackend>(
    model: &Model<B>,
    input: &Arrays,
    device: &B::Device,
) -> BTreeMap<String, Vec<f32>> {
    let lengths = |name: &str| -> Option<Vec<usize>> {
        input.get(name).map(|array| i64s_of(array).into_iter().map(|n| n as usize).collect())
    };
    let tokens = |name: &str, shape: [usize; 2]| -> Tensor<B, 2, Int> {
        Tensor::from_data(TensorData::new(i64s_of(&input[name]), shape), device)
    };
    let x = &input["x"];
    let [batch, n_steps] = [x.1[0], x.1[1]];
    let read = if let Some(characters) = input.get("characters") {
        let rows = (0..(batch * n_steps) as i64).collect::<Vec<_>>();
        Input::Words(Words {
            tokens: tokens("x", [batch, n_steps]),
            characters: tokens("characters", [batch * n_steps, characters.1[2]]),
            lengths: lengths("character_lengths"),
            index: Tensor::from_data(TensorData::new(rows, [batch, n_steps]), device),
        })
    } else if x.0 == Dtype::I64 {
        Input::Tokens(tokens("x", [batch, n_steps]))
    } else {
        Input::Features(tensor(&f32s_of(x), [batch, n_steps, x.1[2]], device))
    };
    let part =
        |name: &str| input.get(name).map(|a| tensor::<B, 3>(&f32s_of(a), [a.1[0], a.1[1], a.1[2]], device));
    let state = part("h0").map(|hidden| RecurrentState { hidden, cell: part("c0") });
    let lengths = lengths("lengths");
    let mut out = BTreeMap::new();
    let state = if let Model::MultiTask(model) = model {
        let (outputs, state) = model.forward(read, lengths.as_deref(), state);
        let tasks = model.config().tasks.iter().zip(outputs);
        out.extend(tasks.map(|(task, output)| (format!("y.{}", task.name), values(output))));
        state
    } else {
        let said = model.predict(read, lengths.as_deref(), state, None);
        out.insert("y".into(), values(said.output));
        if matches!(model, Model::EncoderDecoder(_)) {
            let lengths = said.lengths.unwrap().into_iter().map(|n| n as f32).collect();
            out.insert("lengths".into(), lengths);
        }
        said.state
    };
    out.insert("h_n".into(), values(state.hidden));
    out.extend(state.cell.map(|cell| ("c_n".to_string(), values(cell))));
    out
}

#[track_caller]
fn assert_outputs(times: f32, what: &str, got: &BTreeMap<String, Vec<f32>>, expected: &Arrays) {
    assert!(expected.len() >= 2, "{what}: {expected:?}");
    for (name, array) in expected {
        let expected = match array.0 {
            Dtype::I64 => i64s_of(array).into_iter().map(|n| n as f32).collect(),
            _ => f32s_of(array),
        };
        let got = got.get(name).unwrap_or_else(|| panic!("{what}: no {name}"));
        assert_within(times, &format!("{what}/{name}"), got, &expected);
    }
}

/// The models of `pytorch.py`: a name and a configuration that leaves open what tensors tell.
fn models(bytes: &[u8]) -> Vec<(String, Config)> {
    let Value::Object(models) = metadata(bytes, "about")["models"].take() else { panic!() };
    let config = |model: Value| Config::new("imported", serde_json::from_value(model).unwrap());
    models.into_iter().map(|(name, model)| (name, config(model))).collect()
}

#[track_caller]
fn import(file: &Path, config: &Config, device: &DeviceInfo, out: &Path) -> ModelFolder {
    pytorch::import(file, config, None, &[], device, out)
        .unwrap_or_else(|e| panic!("{}: {e}", file.display()))
        .folder
}

fn sorted(arrays: Arrays) -> Vec<(Vec<usize>, Vec<u8>)> {
    let mut all: Vec<_> = arrays.into_values().map(|(_, shape, bytes)| (shape, bytes)).collect();
    all.sort();
    all
}

#[test]
fn models_of_pytorch_answer_as_there_and_go_back_bit_for_bit() {
    let bytes = fixture("pytorch.safetensors");
    let scratch = tempfile::tempdir().unwrap();
    let models = models(&bytes);
    assert!(models.len() >= 14);
    for device in each_backend() {
        for (name, config) in &models {
            let path = |kind: &str| scratch.path().join(format!("{name}-{kind}-{}", device.backend));
            let state = arrays(&bytes, &format!("{name}/state/"));
            fs::write(path("state"), file_of(&state)).unwrap();
            let folder = import(&path("state"), config, &device, &path("model"));
            assert_eq!(folder.manifest.name, "imported");
            let input = arrays(&bytes, &format!("{name}/in/"));
            let got = device.run(Run { folder: &path("model"), input: &input });
            assert_outputs(1.0, name, &got, &arrays(&bytes, &format!("{name}/out/")));
            pytorch::export(&*predict::load(path("model"), &device).unwrap(), &path("pytorch")).unwrap();
            let back = fs::read(path("pytorch").join("model.safetensors")).unwrap();
            assert!(sorted(arrays(&back, "")) == sorted(state), "{name}: other weights went back");
        }
    }
}

/// Every case of `recurrent.py` that `torch.nn` has, as a stack under a prefix.
#[derive(Clone)]
struct Stacks;

impl Task for Stacks {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let bytes = fixture("recurrent.safetensors");
        let scratch = tempfile::tempdir().unwrap();
        let mut n = 0;
        for case in metadata(&bytes, "cases").as_array().unwrap() {
            if case["reset"] == "before" {
                continue;
            }
            let name = case["name"].as_str().unwrap();
            let get = |key: &str| case[key].clone();
            let model = serde_json::json!({
                "mode": "many-to-many", "cell": get("cell"), "d_hidden": get("H"), "n_layers": get("n_layers"),
                "bidirectional": get("bidirectional"), "bias": get("bias"), "merge": get("merge"),
                "hidden_activation": get("hidden_activation"),
            });
            let config: ModelConfig = serde_json::from_value(model).unwrap();
            let tensors = arrays(&bytes, &format!("{name}/"));
            let weights = tensors.iter().filter(|(k, _)| k.starts_with("weight_") || k.starts_with("bias_"));
            // torch.nn's own layers put directions side by side; others are modules of one layer each.
            let place = |k: &str| match config.merge {
                Merge::Concat => format!("some.net.{k}"),
                _ => format!("rnn.{}.{}", &k[k.len() - suffix(k)..][2..3], k.replacen("_l1", "_l0", 1)),
            };
            let file = scratch.path().join(name);
            fs::write(&file, file_of(&weights.map(|(k, v)| (place(k), v.clone())).collect())).unwrap();
            let model = pytorch::load::<B::InnerBackend>(&file, &config, &[], &device)
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut input: Arrays = ["x", "h0", "c0"]
                .iter()
                .filter_map(|k| Some((k.to_string(), tensors.get(*k)?.clone())))
                .collect();
            if let Some(lengths) = case["lengths"].as_array() {
                let lengths = lengths.iter().map(|n| n.as_i64().unwrap());
                input.insert("lengths".into(), i64_array(&[lengths.len()], lengths));
            }
            let expected =
                ["y", "h_n", "c_n"].iter().filter_map(|k| Some((k.to_string(), tensors.get(*k)?.clone())));
            assert_outputs(1.0, name, &run(&model, &input, &device), &expected.collect());
            n += 1;
        }
        assert!(n > 100, "{n} cases");
    }
}

/// The bytes of `_l0`, `_l1_reverse` at the end of a weight's name.
fn suffix(name: &str) -> usize {
    name.len() - name.rfind("_l").unwrap()
}

#[test]
fn stacks_of_pytorch_give_its_outputs_and_states() {
    on_each_backend(Stacks);
}

/// A model folder with random weights.
struct Draw<'a> {
    config: &'a Config,
    schema: Schema,
    out: &'a Path,
}

impl Task for Draw<'_> {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let model = Model::<B::InnerBackend>::new(&self.config.model, 3, &device).unwrap();
        let manifest = Manifest::new(self.config, 0, 0, "nothing".into());
        let (config, schema) = (self.config.clone(), self.schema);
        artifact::save(self.out, &ModelFolder { manifest, config, schema, scores: Vec::new() }, model)
            .unwrap();
    }
}

fn numbers(n: usize) -> Vec<String> {
    (0..n).map(|k| k.to_string()).collect()
}

/// Models that the fixtures have not.
fn drawn() -> Vec<(Config, Schema)> {
    let of =
        |mode, cell| ModelConfig { d_input: Some(3), d_output: Some(4), ..ModelConfig::new(mode, cell, 5) };
    let both = |mode, cell| ModelConfig { bidirectional: true, ..of(mode, cell) };
    let merged = |merge, cell, n_layers, pooling| ModelConfig {
        merge,
        n_layers,
        pooling: Some(pooling),
        ..both(IoMode::ManyToOne, cell)
    };
    let tokens = |config: ModelConfig| ModelConfig {
        d_input: None,
        vocabulary: Some(9),
        d_embedding: Some(3),
        ..config
    };
    let features = [
        ModelConfig { bias: false, n_layers: 2, ..of(IoMode::OneToOne, CellKind::Lstm) },
        ModelConfig { output_activation: OutputActivation::Tanh, ..both(IoMode::ManyToMany, CellKind::Rnn) },
        ModelConfig { output_activation: OutputActivation::Relu, ..of(IoMode::ManyToMany, CellKind::Gru) },
        ModelConfig { output_activation: OutputActivation::Sigmoid, ..of(IoMode::ManyToMany, CellKind::Gru) },
        merged(Merge::Sum, CellKind::Lstm, 3, Pooling::Last),
        merged(Merge::Mean, CellKind::Gru, 2, Pooling::Mean),
        merged(Merge::Max, CellKind::Rnn, 1, Pooling::Max),
        merged(Merge::Max, CellKind::Gru, 1, Pooling::Last),
        ModelConfig { max_steps: Some(4), ..of(IoMode::OneToMany, CellKind::Lstm) },
    ];
    let writes = |cell| ModelConfig { max_steps: Some(5), ..tokens(of(IoMode::EncoderDecoder, cell)) };
    let spelled = ModelConfig {
        characters: Some(CharactersConfig { vocabulary: Some(7), d_embedding: 2, d_hidden: 3 }),
        ..tokens(both(IoMode::ManyToMany, CellKind::Gru))
    };
    let one_to_many = ModelConfig {
        feedback: Some(Feedback::Class),
        max_steps: Some(4),
        ..tokens(of(IoMode::OneToMany, CellKind::Gru))
    };
    let config = |model| Config::new("drawn", model);
    let mut all: Vec<(Config, Schema)> =
        features.map(|model| (config(model), Schema::features(3, 4))).into_iter().collect();
    let both_ways = ModelConfig { bidirectional: true, merge: Merge::Sum, ..writes(CellKind::Rnn) };
    for model in [writes(CellKind::Gru), both_ways, one_to_many] {
        all.push((config(model), Schema::tokens(numbers(9), numbers(4))));
    }
    for (_, model) in writers() {
        all.push((config(model), Schema::tokens(numbers(9), numbers(4))));
    }
    let spelled_and_tied = ModelConfig {
        attention: Some(AttentionScore::General),
        input_feeding: true,
        tie_weights: true,
        characters: spelled.characters.clone(),
        ..writes(CellKind::Gru)
    };
    for model in [spelled, spelled_and_tied] {
        let input = InputSchema::Words { vocabulary: numbers(9), characters: numbers(7), lowercase: false };
        all.push((config(model), Schema { input, target: TargetSchema::Tokens { labels: numbers(4) } }));
    }
    // A decoder alone: of features, as they are and projected, and of a token.
    let alone = |cell| ModelConfig {
        feedback: Some(Feedback::Token),
        d_feedback: Some(2),
        max_steps: Some(5),
        ..of(IoMode::OneToMany, cell)
    };
    let target = || TargetSchema::Tokens { labels: numbers(4) };
    let projected = ModelConfig { d_projection: Some(6), n_layers: 2, ..alone(CellKind::Lstm) };
    let bare = ModelConfig { bias: false, ..alone(CellKind::Rnn) };
    for model in [alone(CellKind::Gru), projected, bare] {
        all.push((config(model), Schema { target: target(), ..Schema::features(3, 4) }));
    }
    all.push((config(tokens(alone(CellKind::Gru))), Schema::tokens(numbers(9), numbers(4))));
    // A head has a bias where the layers have none, or the other way round.
    for head_bias in [false, true] {
        let other =
            |model: ModelConfig| ModelConfig { bias: !head_bias, head_bias: Some(head_bias), ..model };
        let tied = ModelConfig {
            tie_weights: true,
            d_embedding: Some(5),
            d_output: Some(9),
            ..tokens(of(IoMode::ManyToMany, CellKind::Lstm))
        };
        all.push((config(other(tied)), Schema::tokens(numbers(9), numbers(9))));
        for model in [writes(CellKind::Lstm), tokens(alone(CellKind::Lstm))] {
            all.push((config(other(model)), Schema::tokens(numbers(9), numbers(4))));
        }
        for model in [both(IoMode::ManyToOne, CellKind::Gru), of(IoMode::ManyToMany, CellKind::Rnn)] {
            all.push((config(other(model)), Schema::features(3, 4)));
        }
    }
    all
}

/// Batches: the steps of each sequence, of 6.
const BATCHES: [&[i64]; 3] = [&[6, 1, 4], &[6], &[2, 5, 3, 1]];

/// Something to read.
fn input_for(config: &ModelConfig, lengths: &[i64]) -> Arrays {
    let (batch, n_steps) = (lengths.len(), if config.mode == IoMode::OneToMany { 1 } else { 6 });
    let mut input = Arrays::new();
    let cyclic = |n: usize, below: usize| (0..n).map(move |k| (k * k % below) as i64);
    let x = match config.vocabulary {
        Some(v) => i64_array(&[batch, n_steps], cyclic(batch * n_steps, v)),
        None => f32_array(&[batch, n_steps, config.d_input.unwrap()], 5),
    };
    input.insert("x".into(), x);
    if let Some(characters) = &config.characters {
        let (n, rows) = (batch * n_steps, characters.vocabulary.unwrap());
        input.insert("characters".into(), i64_array(&[batch, n_steps, 4], cyclic(4 * n, rows)));
        input.insert("character_lengths".into(), i64_array(&[batch, n_steps], cyclic(n, 4).map(|n| n + 1)));
    }
    if config.mode != IoMode::OneToMany {
        input.insert("lengths".into(), i64_array(&[batch], lengths.iter().copied()));
    }
    if config.mode != IoMode::EncoderDecoder && config.feedback != Some(Feedback::Token) {
        let states = [config.n_layers * (1 + usize::from(config.bidirectional)), batch, config.d_hidden];
        input.insert("h0".into(), f32_array(&states, 6));
        if config.cell == CellKind::Lstm {
            input.insert("c0".into(), f32_array(&states, 7));
        }
    }
    input
}

/// Exports a model folder beside something to read.
fn export(model: &Path, input: &Arrays, device: &DeviceInfo, out: &Path) {
    pytorch::export(&*predict::load(model, device).unwrap(), out).unwrap();
    fs::write(out.join("in.safetensors"), file_of(input)).unwrap();
}

struct Weights<'a>(&'a Path);

impl Task for Weights<'_> {
    type Output = BTreeMap<String, TensorData>;

    fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output {
        let (_, model) = artifact::load::<B::InnerBackend>(self.0, &device).unwrap();
        named_tensors(&model).into_iter().map(|t| (t.name, t.data)).collect()
    }
}

/// The models that are exported: folders, and what they read.
fn exported(scratch: &Path, device: &DeviceInfo) -> Vec<(PathBuf, PathBuf, Arrays)> {
    let mut all = Vec::new();
    let bytes = fixture("pytorch.safetensors");
    for (name, config) in models(&bytes) {
        let file = scratch.join(format!("{name}.safetensors"));
        fs::write(&file, file_of(&arrays(&bytes, &format!("{name}/state/")))).unwrap();
        import(&file, &config, device, &scratch.join(&name));
        all.push((scratch.join(&name), arrays(&bytes, &format!("{name}/in/"))));
    }
    for (k, (config, schema)) in drawn().into_iter().enumerate() {
        let folder = scratch.join(format!("drawn-{k}"));
        device.run(Draw { config: &config, schema, out: &folder });
        all.push((folder, input_for(&config.model, BATCHES[k % BATCHES.len()])));
    }
    let shipped = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).unwrap();
    for folder in shipped.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let (folder, contents) = artifact::open(&folder).unwrap();
        let config = &contents.config.model;
        if config.layer_norm || config.zoneout > 0.0 {
            let error = pytorch::export(&*predict::load(&folder, device).unwrap(), &scratch.join("no"));
            assert!(error.unwrap_err().to_string().contains("no counterpart"));
            continue;
        }
        all.push((folder, input_for(config, BATCHES[0])));
    }
    let out = |k: usize| scratch.join(format!("pytorch-{k}"));
    let each = all.into_iter().enumerate().map(|(k, (folder, input))| {
        export(&folder, &input, device, &out(k));
        (folder, out(k), input)
    });
    each.collect()
}

#[test]
fn exported_models_answer_in_pytorch_and_come_back_bit_for_bit() {
    let scratch = tempfile::tempdir().unwrap();
    let device = &each_backend()[0];
    let all = exported(scratch.path(), device);
    assert!(all.len() > 70, "{}", all.len());
    let python = std::env::var_os("RNN_ZOO_PYTHON");
    if let Some(python) = &python {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch_run.py");
        let output =
            Command::new(python).arg(script).args(all.iter().map(|(_, out, _)| out)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        eprint!("{}", String::from_utf8_lossy(&output.stdout).lines().next().unwrap());
    }
    for (folder, out, input) in &all {
        let what = folder.display().to_string();
        let (_, contents) = artifact::open(folder).unwrap();
        let mut state = out.join("model.safetensors");
        if python.is_some() {
            let said = fs::read(out.join("out.safetensors")).unwrap();
            // Over a hundred steps, each of which reads the last, rounding adds up.
            let times = if contents.config.model.mode == IoMode::OneToMany { 4.0 } else { 1.0 };
            assert_outputs(times, &what, &device.run(Run { folder, input }), &arrays(&said, ""));
            state = out.join("again.safetensors");
        }
        let again = out.join("model");
        pytorch::import(&state, &contents.config, Some(contents.schema), &[], device, &again)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(
            device.run(Weights(&again)) == device.run(Weights(folder)),
            "{what}: other weights came back"
        );
    }
}

const STACK: &str = r#"
name = "from-torch"
model = { mode = "many-to-one", cell = "rnn", d_hidden = 2 }
data = { format = "program" }
"#;

/// The `state_dict` of a stack and a head for `STACK`, under a prefix.
fn state_dict() -> Vec<(&'static str, Vec<usize>)> {
    vec![
        ("net.rnn.weight_ih_l0", vec![2, 3]),
        ("net.rnn.weight_hh_l0", vec![2, 2]),
        ("net.rnn.bias_ih_l0", vec![2]),
        ("net.rnn.bias_hh_l0", vec![2]),
        ("net.fc.weight", vec![4, 2]),
        ("net.fc.bias", vec![4]),
    ]
}

fn written(tensors: &[(&'static str, Vec<usize>)]) -> Vec<u8> {
    let parts = tensors.iter().map(|(name, shape)| f32s(name, shape, &noise(shape.iter().product(), 1)));
    safetensors(&parts.collect::<Vec<_>>())
}

#[test]
fn the_command_imports_and_the_model_is_like_any_other() {
    let w = Workshop::new();
    w.write("stack.toml", STACK);
    w.write("x.safetensors", written(&state_dict()));
    let said = w.run("import x.safetensors --config stack.toml --out new/model");
    assert_eq!(said.ok(), "model: new/model (26 parameters)\n");
    w.write("in", safetensors(&[f32s("x", &[2, 5, 3], &noise(30, 2))]));
    w.run("predict new/model --input in --output out").ok();
    assert!(w.run("info new/model").ok().contains("head.weight"));
    w.run("export new/model --format pytorch").ok();
    let files = w.files();
    for name in ["model.py", "model.safetensors", "schema.json"] {
        assert!(files.contains_key(&format!("from-torch-pytorch/{name}")), "{name}");
    }
    // By classes, when training would have been.
    let said = "import x.safetensors --config stack.toml --out classes --set train.loss=cross-entropy";
    w.run(said).ok();
    assert!(w.read("classes/schema.json").contains("\"class\""));
    // Names and data of another model of this kind.
    w.run("export tiny --format pytorch --out tiny-torch").ok();
    w.run("import tiny-torch/model.safetensors --config tiny.toml --out by-data").ok();
    w.run("import tiny-torch/model.safetensors --config tiny.toml --out by-schema --schema tiny-torch/schema.json").ok();
    w.run("import tiny-torch/model.safetensors --config tiny.toml --out by-model --schema tiny").ok();
    let score = w.run("eval tiny").ok().to_string();
    for model in ["by-data", "by-schema", "by-model"] {
        assert_eq!(w.read(&format!("{model}/schema.json")), w.read("tiny/model/schema.json"), "{model}");
        assert_eq!(w.run(&format!("eval {model}")).ok(), score, "{model}");
    }
    // Weights of other types are read as 32 bits.
    let bytes = written(&state_dict());
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    for dtype in [Dtype::F64, Dtype::F16, Dtype::BF16] {
        let tensors = whole.iter().map(|(name, view)| {
            let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), DType::F32);
            let data = match dtype {
                Dtype::F64 => data.convert::<f64>(),
                Dtype::F16 => data.convert::<f16>(),
                _ => data.convert::<bf16>(),
            };
            (name.to_string(), data)
        });
        let tensors: Vec<(String, TensorData)> = tensors.collect();
        let views = tensors.iter().map(|(name, data)| {
            (name.as_str(), TensorView::new(dtype, data.shape.to_vec(), data.as_bytes()).unwrap())
        });
        w.write("typed", safetensors::serialize(views, None).unwrap());
        let out = format!("of-{dtype:?}");
        w.run(&format!("import typed --config stack.toml --out {out}")).ok();
        w.run(&format!("predict {out} --input in --output {out}-y")).ok();
        let y = |file: &str| -> Vec<f32> {
            let bytes = std::fs::read(w.path(file)).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let data = file.tensor("y").unwrap().data().to_vec();
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let largest =
            y("out").iter().zip(y(&format!("{out}-y"))).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < if dtype == Dtype::F64 { 1e-6 } else { 0.05 }, "{dtype:?}: {largest}");
    }
    // Digits that 32 bits do not hold are told of.
    let wide = state_dict().into_iter().map(|(name, shape)| {
        let value = if name == "net.fc.bias" { 0.1f64 } else { 0.5 };
        let n: usize = shape.iter().product();
        (name, Dtype::F64, shape, vec![value; n].into_iter().flat_map(f64::to_le_bytes).collect::<Vec<u8>>())
    });
    w.write("wide", safetensors(&wide.collect::<Vec<_>>()));
    let said = w.run("import wide --config stack.toml --out of-wide");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("note: rounded from 64 to 32 bits: net.fc.bias\n"), "{said:?}");
    let said = w.run("import x.safetensors --config stack.toml --out of-x");
    assert!(said.code == Some(0) && !said.err.contains("rounded"), "{said:?}");
    // A head without a bias over layers with some.
    let mut bare = state_dict();
    bare.pop();
    w.write("bare", written(&bare));
    w.run("import bare --config stack.toml --out of-bare --set model.head_bias=false").ok();
    assert!(w.read("of-bare/config.toml").contains("head_bias = false"));
    assert!(!w.run("info of-bare").ok().contains("head.bias"));
    // What names do not tell.
    let renamed: Vec<_> = state_dict()
        .into_iter()
        .map(|(name, shape)| (if name == "net.fc.weight" { "w" } else { name }, shape))
        .collect();
    w.write("renamed", written(&renamed));
    w.run("import renamed --config stack.toml --out renamed-model --map w=head.weight").ok();
    // What is no weight of the model: a counter, and a module that is not of it.
    let mut more: Vec<_> = state_dict();
    more.extend([("net.norm.weight", vec![2]), ("net.norm.bias", vec![2])]);
    let mut parts: Vec<_> =
        more.iter().map(|(name, shape)| f32s(name, shape, &noise(shape.iter().product(), 1))).collect();
    parts.push(("steps", Dtype::I64, vec![1], vec![0; 8]));
    w.write("more", safetensors(&parts));
    w.run("import more --config stack.toml --out of-more --map steps= --map net.norm=").ok();
    assert_eq!(w.run("predict of-more --input in --output out-2").code, Some(0));
}

#[test]
fn what_cannot_be_imported_is_one_error_and_nothing_is_written() {
    let w = Workshop::new();
    w.write("stack.toml", STACK);
    w.write("good", written(&state_dict()));
    let changed = |change: fn(&mut Vec<(&'static str, Vec<usize>)>)| {
        let mut tensors = state_dict();
        change(&mut tensors);
        written(&tensors)
    };
    w.write(
        "other",
        changed(|t| {
            t.remove(3);
            t[0].1 = vec![2, 3, 1];
            t.push(("net.norm.weight", vec![2]));
        }),
    );
    w.write(
        "bare",
        changed(|t| {
            t.pop();
        }),
    );
    w.write("two", changed(|t| t.extend([("net.fc2.weight", vec![4, 2]), ("net.fc2.bias", vec![4])])));
    w.write("nan", safetensors(&[f32s("a", &[2], &[1.0, f32::NAN])]));
    w.write("int", safetensors(&[("steps", Dtype::I32, vec![1], vec![0; 4])]));
    w.write("a b.pt", b"PK\x03\x04 and a pickle");
    w.write("old.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.");
    w.write("empty", "");
    let good = written(&state_dict());
    w.write("short", &good[..good.len() - 1]);
    w.write("huge", [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat());
    w.write("here/file", "");
    let stack = "--config stack.toml --out new";
    let rows: Vec<(String, Vec<&str>)> = vec![
        (
            format!("import other {stack}"),
            vec![
                "other: does not hold the model",
                "missing: stack.layers.0.bias_hh (as net.rnn.bias_hh_l0 [2])",
                "of another shape: net.rnn.weight_ih_l0 is [2, 3, 1], stack.layers.0.weight_ih takes [2, D]",
                "left over: net.norm.weight [2]",
            ],
        ),
        (format!("import bare {stack}"), vec!["missing: head.bias (as net.fc.bias [4])"]),
        (format!("import good {stack} --set model.head_bias=false"), vec!["left over: net.fc.bias [4]"]),
        (format!("import two {stack}"), vec!["not certain: head may be net.fc or net.fc2"]),
        (
            format!("import two {stack} --map net.fc=head"),
            vec!["left over: net.fc2.bias [4], net.fc2.weight [4, 2]"],
        ),
        (format!("import good {stack} --map a=head.weight"), vec!["no tensor `a`"]),
        (format!("import good {stack} --map a=tail"), vec!["has no tail", "stack, head"]),
        (format!("import nan {stack}"), vec!["nan: has values that are not finite", "in a:"]),
        (format!("import int {stack}"), vec!["`steps` is of type I32", "--map NAME="]),
        (format!("import good {stack} --map steps="), vec!["no tensor or module `steps` to leave out"]),
        (
            format!("import old.pt {stack}"),
            vec![
                "old.pt: is a pickle",
                "python -c",
                "torch.load(\"old.pt\"",
                "weights_only=True",
                "\"old.safetensors\"",
            ],
        ),
        (format!("import empty {stack}"), vec!["empty: it is not safetensors"]),
        (format!("import short {stack}"), vec!["short: it is not safetensors"]),
        (format!("import huge {stack}"), vec!["huge: it is not safetensors"]),
        (format!("import none {stack}"), vec!["none: "]),
        ("import good --config stack.toml --out here".into(), vec!["here: exists already"]),
        (
            format!("import good {stack} --set model.layer_norm=true"),
            vec!["model.layer_norm", "no counterpart"],
        ),
        (format!("import good {stack} --set model.zoneout=0.1"), vec!["model.zoneout", "no counterpart"]),
        (
            format!("import good {stack} --set model.cell=gru --set model.reset=before"),
            vec!["model.reset", "no counterpart"],
        ),
        (
            format!("import good {stack} --schema tiny/model/schema.json"),
            vec!["does not hold", "takes [2, 2]"],
        ),
        ("export tiny --format pytorch --half".into(), vec!["--half"]),
        ("export tiny --format pytorch --out here".into(), vec!["here: exists already"]),
    ];
    for (command, says) in rows {
        let before = w.files();
        let said = w.run(&command);
        let errors: Vec<&str> = said.err.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!((said.code, errors.len(), said.out.as_str()), (Some(1), 1, ""), "{command}: {said:?}");
        says.iter().for_each(|part| assert!(errors[0].contains(part), "{command}: no `{part}` in {said:?}"));
        assert!(w.files() == before, "{command} left something");
    }
    let device = &each_backend()[0];
    let config = Config::from_file(&w.path("stack.toml"), &[]).unwrap();
    let error = pytorch::import(&w.path("a b.pt"), &config, None, &[], device, &w.path("new")).unwrap_err();
    assert!(error.to_string().contains("a b.safetensors\")'"), "{error}");
}
