//! Models in ONNX: well-formed, and in onnxruntime the same as here.

use crate::cli::Workshop;
use crate::support::*;
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use prost::Message;
use rnn_zoo::artifact::{self, Manifest, ModelFolder, Precision, RecordFormat};
use rnn_zoo::backend::{DeviceInfo, Task, TrainBackend};
use rnn_zoo::config::{
    AttentionScore, CellKind, CharactersConfig, Config, Feedback, GruReset, HiddenActivation, IoMode, Loss,
    Merge, ModelConfig, OutputActivation, Pooling, TaskConfig,
};
use rnn_zoo::data::{Input, InputSchema, Schema, TargetSchema, TaskSchema, Words};
use rnn_zoo::kernel::RecurrentBackend;
use rnn_zoo::model::Model;
use rnn_zoo::onnx::proto::{AttributeProto, DataType, Dimension, GraphProto, ModelProto, ValueInfoProto};
use rnn_zoo::recurrent::RecurrentState;
use rnn_zoo::{onnx, predict};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs graphs from states that they may do without, and holds what they say against what was said here.
const STARTED: &str = r#"
import sys
from pathlib import Path

import numpy
import onnxruntime
from safetensors.numpy import load_file

for case in sorted(Path(sys.argv[1]).glob("*/started")):
    tensors = load_file(case)
    [path] = [path for path in case.parent.glob("onnx/*.onnx") if path.stem in ("model", "encoder")]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ports = session.get_inputs() + session.get_overridable_initializers()
    names = [name[4:] for name in tensors if name.startswith("out.")]
    got = session.run(names, {port.name: tensors["in." + port.name] for port in ports})
    for name, value in zip(names, got):
        numpy.testing.assert_allclose(value, tensors["out." + name], rtol=1e-4, atol=1e-5)
    print(case.parent.name)
"#;

/// The models of the zoo: a folder each.
fn shipped() -> Vec<PathBuf> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let entries = fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("manifest.json").is_file()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// Batches: steps, and the valid ones of each sequence.
const BATCHES: [(usize, &[usize]); 4] = [(1, &[1]), (4, &[4, 1, 3]), (9, &[2, 9, 5, 1, 7]), (6, &[6, 6])];

fn base(mode: IoMode, cell: CellKind) -> ModelConfig {
    ModelConfig { d_output: Some(4), n_layers: 2, ..ModelConfig::new(mode, cell, 5) }
}

/// Every cell: an RNN of both activations, an LSTM, a GRU of both resets.
fn cells(mode: IoMode) -> Vec<(&'static str, ModelConfig)> {
    let relu = ModelConfig { hidden_activation: Some(HiddenActivation::Relu), ..base(mode, CellKind::Rnn) };
    let before = ModelConfig { reset: Some(GruReset::Before), ..base(mode, CellKind::Gru) };
    vec![
        ("rnn", base(mode, CellKind::Rnn)),
        ("relu", relu),
        ("lstm", base(mode, CellKind::Lstm)),
        ("gru", base(mode, CellKind::Gru)),
        ("gru-before", before),
    ]
}

fn tokens(config: ModelConfig) -> ModelConfig {
    ModelConfig { vocabulary: Some(6), d_embedding: Some(3), ..config }
}

fn tasks() -> Vec<TaskConfig> {
    let task = |name: &str, mode, pooling| TaskConfig {
        name: name.into(),
        mode,
        pooling,
        d_output: None,
        loss: Loss::CrossEntropy,
        weight: 1.0,
        trains: vec!["all".into()],
    };
    vec![
        task("tags", IoMode::ManyToMany, None),
        task("last", IoMode::ManyToOne, Some(Pooling::Last)),
        task("attention", IoMode::ManyToOne, Some(Pooling::Attention)),
    ]
}

/// Every mode of every cell, and every option that says something else in use.
fn variety() -> Vec<(String, ModelConfig)> {
    let mut all = Vec::new();
    let modes = [IoMode::OneToOne, IoMode::OneToMany, IoMode::ManyToOne, IoMode::ManyToMany];
    for mode in modes {
        for (cell, config) in cells(mode) {
            all.push((format!("{mode:?}-{cell}"), config));
        }
    }
    for (cell, config) in cells(IoMode::EncoderDecoder) {
        all.push((format!("EncoderDecoder-{cell}"), tokens(config.clone())));
        all.push((
            format!("EncoderDecoder-{cell}-both"),
            tokens(ModelConfig { bidirectional: true, ..config }),
        ));
    }
    for (cell, config) in cells(IoMode::MultiTask) {
        let config = ModelConfig { d_output: None, tasks: tasks(), ..config };
        all.push((format!("MultiTask-{cell}"), config.clone()));
        let spelled = ModelConfig {
            bidirectional: true,
            characters: Some(CharactersConfig { vocabulary: Some(7), d_embedding: 3, d_hidden: 2 }),
            ..tokens(config)
        };
        all.push((format!("MultiTask-{cell}-spelled"), spelled));
    }
    for (cell, config) in cells(IoMode::ManyToOne) {
        for merge in [Merge::Concat, Merge::Sum, Merge::Mean, Merge::Max] {
            for pooling in [Pooling::Last, Pooling::Mean, Pooling::Max, Pooling::Attention] {
                let config = ModelConfig {
                    bidirectional: true,
                    merge,
                    pooling: Some(pooling),
                    bias: merge != Merge::Sum,
                    ..config.clone()
                };
                all.push((format!("ManyToOne-{cell}-{merge:?}-{pooling:?}"), config));
            }
        }
    }
    for (cell, config) in cells(IoMode::ManyToMany) {
        let zoneout_cell = (config.cell == CellKind::Lstm).then_some(0.4);
        let norm = ModelConfig { layer_norm: true, d_hidden: 8, ..config.clone() };
        let zoneout = ModelConfig { zoneout: 0.3, zoneout_cell, ..config.clone() };
        let both = ModelConfig { zoneout: 0.3, zoneout_cell, bias: false, ..norm.clone() };
        for bidirectional in [false, true] {
            for (what, config) in [("norm", &norm), ("zoneout", &zoneout), ("norm-zoneout", &both)] {
                let config = ModelConfig { bidirectional, ..config.clone() };
                all.push((format!("ManyToMany-{cell}-{what}-{bidirectional}"), config));
            }
        }
        let class = ModelConfig {
            mode: IoMode::OneToMany,
            feedback: Some(Feedback::Class),
            layer_norm: cell == "lstm",
            ..config.clone()
        };
        all.push((format!("OneToMany-{cell}-class"), class));
    }
    let last = ModelConfig { layer_norm: true, d_hidden: 8, ..base(IoMode::ManyToOne, CellKind::Lstm) };
    all.push(("ManyToOne-norm-last".into(), last));
    for output_activation in
        [OutputActivation::Tanh, OutputActivation::Relu, OutputActivation::Sigmoid, OutputActivation::Softmax]
    {
        let config = ModelConfig { output_activation, ..base(IoMode::ManyToOne, CellKind::Gru) };
        all.push((format!("{output_activation:?}"), config));
    }
    all.push(("OneToMany-tokens".into(), tokens(base(IoMode::OneToMany, CellKind::Gru))));
    let alone =
        |config: ModelConfig| ModelConfig { feedback: Some(Feedback::Token), d_feedback: Some(2), ..config };
    for (cell, config) in cells(IoMode::OneToMany) {
        let config = alone(config);
        all.push((format!("OneToMany-{cell}-token"), config.clone()));
        let one_layer = ModelConfig { n_layers: 1, bias: false, ..config };
        all.push((format!("OneToMany-{cell}-token-one-layer"), one_layer));
    }
    let lstm = alone(base(IoMode::OneToMany, CellKind::Lstm));
    let norm = ModelConfig { layer_norm: true, zoneout: 0.3, d_hidden: 8, ..lstm.clone() };
    all.push(("OneToMany-norm-zoneout-token".into(), norm));
    let projected = ModelConfig { d_projection: Some(4), ..lstm.clone() };
    all.push(("OneToMany-lstm-projected".into(), projected));
    let gru = alone(base(IoMode::OneToMany, CellKind::Gru));
    let projected = ModelConfig { d_projection: Some(2), n_layers: 1, bias: false, ..gru };
    all.push(("OneToMany-gru-projected-one-layer".into(), projected));
    all.push(("OneToMany-tokens-token".into(), tokens(lstm)));
    let spelled = ModelConfig {
        characters: Some(CharactersConfig { vocabulary: Some(7), d_embedding: 3, d_hidden: 2 }),
        ..tokens(base(IoMode::EncoderDecoder, CellKind::Gru))
    };
    all.push(("EncoderDecoder-spelled".into(), spelled.clone()));
    let general =
        ModelConfig { attention: Some(AttentionScore::General), input_feeding: true, ..spelled.clone() };
    all.push(("EncoderDecoder-spelled-tied".into(), ModelConfig { tie_weights: true, ..general.clone() }));
    let zoneout = ModelConfig { zoneout: 0.3, characters: None, ..general };
    all.push(("EncoderDecoder-zoneout".into(), zoneout));
    all.extend(writers());
    let tied = ModelConfig {
        vocabulary: Some(6),
        d_embedding: Some(5),
        d_output: Some(6),
        tie_weights: true,
        ..base(IoMode::ManyToMany, CellKind::Lstm)
    };
    all.push(("tied".into(), tied.clone()));
    all.push(("tied-no-bias".into(), ModelConfig { head_bias: Some(false), ..tied }));
    // A head has a bias where the layers have none, or the other way round.
    for head_bias in [false, true] {
        let other =
            |config: ModelConfig| ModelConfig { bias: !head_bias, head_bias: Some(head_bias), ..config };
        let tasks = ModelConfig { d_output: None, tasks: tasks(), ..base(IoMode::MultiTask, CellKind::Lstm) };
        for config in [
            base(IoMode::ManyToOne, CellKind::Gru),
            base(IoMode::ManyToMany, CellKind::Rnn),
            tokens(base(IoMode::EncoderDecoder, CellKind::Lstm)),
            alone(base(IoMode::OneToMany, CellKind::Gru)),
            tasks,
        ] {
            all.push((format!("{:?}-head-bias-{head_bias}", config.mode), other(config)));
        }
    }
    all
}

/// What a model of such a configuration reads and says.
fn schema(config: &ModelConfig) -> Schema {
    let names = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
    let input = match (&config.characters, config.vocabulary) {
        (Some(characters), Some(n)) => InputSchema::Words {
            vocabulary: names(n),
            characters: names(characters.vocabulary.unwrap()),
            lowercase: false,
        },
        (_, Some(n)) => InputSchema::Tokens { vocabulary: names(n) },
        _ => InputSchema::Features { channels: 3, scales: Vec::new(), names: Vec::new() },
    };
    let labels = names(config.d_output.unwrap_or(4));
    let target = match config.mode {
        IoMode::MultiTask => TargetSchema::Tasks {
            tasks: config
                .tasks
                .iter()
                .zip(2..)
                .map(|(task, n)| TaskSchema {
                    name: task.name.clone(),
                    labels: names(n),
                    aligned: task.mode == IoMode::ManyToMany,
                })
                .collect(),
        },
        IoMode::ManyToOne => TargetSchema::Class { labels },
        IoMode::OneToMany if matches!(config.feedback, None | Some(Feedback::Output)) => {
            TargetSchema::Features { channels: 4, scales: Vec::new(), names: Vec::new() }
        }
        _ => TargetSchema::Tokens { labels },
    };
    Schema { input, target }
}

/// Makes a model of random weights in a new folder.
struct Make<'a>(&'a Path, ModelConfig);

impl Task for Make<'_> {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let schema = schema(&self.1);
        let mut config = Config::new("random", self.1);
        rnn_zoo::model::resolve(&mut config.model, &schema).unwrap();
        let model = Model::<B>::new(&config.model, 7, &device).unwrap();
        let manifest =
            Manifest { record: RecordFormat::Safetensors, ..Manifest::new(&config, 0, 1, "test".into()) };
        let folder = ModelFolder { manifest, config, schema, scores: Vec::new() };
        artifact::save(self.0, &folder, model).unwrap();
    }
}

/// Inputs, and what the model of a folder says of them, written to `K.safetensors` of another.
struct Say<'a> {
    model: &'a Path,
    precision: Precision,
    to: &'a Path,
}

impl Task for Say<'_> {
    type Output = usize;

    fn run<B: TrainBackend>(self, device: B::Device) -> usize {
        // In use, that is without gradients.
        let (folder, model) = artifact::load::<B::InnerBackend>(self.model, &device).unwrap();
        let mut config = folder.config.model;
        rnn_zoo::model::resolve(&mut config, &folder.schema).unwrap();
        assert!(
            config.vocabulary.is_some() || config.d_input.is_some(),
            "{}: it reads neither tokens nor features, and this test makes nothing else",
            self.model.display()
        );
        let n = model.num_params();
        if python().is_none() {
            return n; // Nobody would read what it says.
        }
        let model = if self.precision == Precision::Half { artifact::rounded(model) } else { model };
        for (k, (n_steps, lengths)) in BATCHES.into_iter().enumerate() {
            let mut case = Case::default();
            case.say(&model, &config, n_steps, lengths, 10 * k as u64 + 1, &device);
            fs::write(self.to.join(format!("{k}.safetensors")), case.bytes()).unwrap();
        }
        if let Some(rows) = optional_rows(&config) {
            let mut case = Case::default();
            case.say_from(&model, &config, rows, BATCHES[2], &device);
            if case.0.iter().any(|(name, ..)| name.starts_with("out.")) {
                fs::write(self.to.join("started"), case.bytes()).unwrap();
            }
        }
        n
    }
}

/// Rows of the state that a model's graph may be given, and does not need. None: it needs a state.
fn optional_rows(config: &ModelConfig) -> Option<usize> {
    let streams = match config.mode {
        IoMode::OneToOne | IoMode::OneToMany => true,
        IoMode::ManyToMany => !config.bidirectional,
        _ => false,
    };
    (!streams).then(|| config.n_layers * (1 + usize::from(config.bidirectional)))
}

/// Tensors by name.
#[derive(Default)]
struct Case(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl Case {
    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.0.push((name.into(), Dtype::F32, shape.to_vec(), bytes));
    }

    fn ints(&mut self, name: &str, shape: &[usize], values: &[i64]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.0.push((name.into(), Dtype::I64, shape.to_vec(), bytes));
    }

    fn tensor<B: Backend, const D: usize>(&mut self, name: &str, tensor: Tensor<B, D>) {
        let shape = tensor.dims();
        self.floats(name, &shape, &values(tensor));
    }

    /// `n` of them, below `most`.
    fn tokens<B: Backend>(
        &mut self,
        name: &str,
        shape: [usize; 2],
        most: usize,
        seed: u64,
        device: &B::Device,
    ) -> Tensor<B, 2, Int> {
        let token = |v: f32| ((v + 1.0) * 0.4999 * most as f32) as i64;
        let tokens: Vec<i64> = noise(shape[0] * shape[1], seed).into_iter().map(token).collect();
        self.ints(name, &shape, &tokens);
        Tensor::from_data(TensorData::new(tokens, shape), device)
    }

    /// What the model reads, past a sequence's end too.
    fn input<B: Backend>(
        &mut self,
        config: &ModelConfig,
        n_steps: usize,
        lengths: &[usize],
        seed: u64,
        device: &B::Device,
    ) -> Input<B> {
        let batch = lengths.len();
        if let Some(most) = config.vocabulary {
            let tokens = self.tokens::<B>("in.x", [batch, n_steps], most, seed, device);
            let Some(characters) = &config.characters else { return Input::Tokens(tokens) };
            let ends = [3, 1, 5, 2, 5];
            let most = characters.vocabulary.unwrap();
            let spelled = self.tokens::<B>("in.spellings", [ends.len(), 5], most, seed + 1, device);
            self.ints("in.spelling_lengths", &[ends.len()], &ends.map(|n| n as i64));
            let index = self.tokens::<B>("in.index", [batch, n_steps], ends.len(), seed + 2, device);
            return Input::Words(Words { tokens, characters: spelled, lengths: Some(ends.into()), index });
        }
        let d = config.d_input.unwrap();
        let mut features = noise(batch * n_steps * d, seed);
        for (k, row) in features.chunks_mut(d).enumerate() {
            if k % n_steps >= lengths[k / n_steps] {
                row.fill(1e3);
            }
        }
        self.floats("in.x", &[batch, n_steps, d], &features);
        Input::Features(tensor(&features, [batch, n_steps, d], device))
    }

    fn say<B: RecurrentBackend>(
        &mut self,
        model: &Model<B>,
        config: &ModelConfig,
        n_steps: usize,
        lengths: &[usize],
        seed: u64,
        device: &B::Device,
    ) {
        let batch = lengths.len();
        let whole = vec![1; batch];
        let (n_steps, lengths) =
            if config.mode == IoMode::OneToMany { (1, whole.as_slice()) } else { (n_steps, lengths) };
        let input = self.input::<B>(config, n_steps, lengths, seed, device);
        let ends: Vec<i64> = lengths.iter().map(|&n| n as i64).collect();
        self.ints("in.lengths", &[batch], &ends);
        if let Model::MultiTask(model) = model {
            let (outputs, _) = model.forward(input, Some(lengths), None);
            self.answers(config, outputs);
            return;
        }
        if let Model::EncoderDecoder(model) = model
            && config.mode == IoMode::OneToMany
        {
            let shape = [config.n_layers, batch, config.d_hidden];
            let zeros = vec![0.0; shape.iter().product()];
            self.floats("in.h0", &shape, &zeros);
            self.floats("in.c0", &shape, &zeros);
            // Any tokens, that which starts a sequence among them: what it writes itself may end at once.
            let (steps, most) = ([batch, 5], config.d_output.unwrap() + 1);
            let read = self.tokens::<B>("in.last", steps, most, seed + 3, device);
            let said = model.run(input, None, read).output;
            let best = said.clone().argmax(2).into_data().convert::<i64>().to_vec::<i64>().unwrap();
            self.ints("out.next", &steps, &best);
            self.tensor("out.y", said);
            return;
        }
        let streams = optional_rows(config).is_none();
        let start = streams.then(|| self.state::<B>(config, config.n_layers, batch, seed + 3, device));
        let source = input.clone();
        let said = model.predict(input, Some(lengths), start, Some(5));
        if let Model::EncoderDecoder(model) = model
            && config.attention.is_some()
        {
            // Where it looked, as it says when it is given what it wrote.
            let written: Tensor<B, 2, Int> = said.output.clone().argmax(2).squeeze_dim(2);
            let given = model.run(source, Some(lengths), model.given(written));
            self.tensor("out.attention", given.attention.unwrap());
        }
        match config.mode {
            IoMode::ManyToOne => self.tensor("out.y", said.output.squeeze_dim::<2>(1)),
            _ => self.tensor("out.y", said.output),
        }
        if streams {
            self.tensor("out.h_n", said.state.hidden);
            if let Some(cell) = said.state.cell {
                self.tensor("out.c_n", cell);
            }
        }
    }

    /// A state to start from.
    fn state<B: Backend>(
        &mut self,
        config: &ModelConfig,
        rows: usize,
        batch: usize,
        seed: u64,
        device: &B::Device,
    ) -> RecurrentState<B> {
        let shape = [rows, batch, config.d_hidden];
        let mut part = |name: &str, seed| {
            let part = noise(shape.iter().product(), seed);
            self.floats(name, &shape, &part);
            tensor::<B, 3>(&part, shape, device)
        };
        let hidden = part("in.h0", seed);
        let cell = (config.cell == CellKind::Lstm).then(|| part("in.c0", seed + 1));
        RecurrentState { hidden, cell }
    }

    /// The output of each task.
    fn answers<B: Backend>(&mut self, config: &ModelConfig, outputs: Vec<Tensor<B, 3>>) {
        for (task, output) in config.tasks.iter().zip(outputs) {
            let name = format!("out.y_{}", task.name);
            match task.mode {
                IoMode::ManyToOne => self.tensor(&name, output.squeeze_dim::<2>(1)),
                _ => self.tensor(&name, output),
            }
        }
    }

    /// What a model says from a state that its graph does not need; an encoder, what it has read.
    fn say_from<B: RecurrentBackend>(
        &mut self,
        model: &Model<B>,
        config: &ModelConfig,
        rows: usize,
        (n_steps, lengths): (usize, &[usize]),
        device: &B::Device,
    ) {
        let batch = lengths.len();
        let input = self.input::<B>(config, n_steps, lengths, 91, device);
        let ends: Vec<i64> = lengths.iter().map(|&n| n as i64).collect();
        self.ints("in.lengths", &[batch], &ends);
        let start = Some(self.state::<B>(config, rows, batch, 94, device));
        match model {
            Model::Sequence(model) => {
                let said = model.forward(input, Some(lengths), start).output;
                match config.mode {
                    IoMode::ManyToOne => self.tensor("out.y", said.squeeze_dim::<2>(1)),
                    _ => self.tensor("out.y", said),
                }
            }
            Model::MultiTask(model) => {
                let (outputs, _) = model.forward(input, Some(lengths), start);
                self.answers(config, outputs);
            }
            Model::EncoderDecoder(model) => {
                let encoder = model.encoder.as_ref().unwrap();
                let read = encoder.forward(model.input.forward(input), Some(lengths), start);
                if config.attention.is_some() {
                    self.tensor("out.memory", read.output);
                }
                // What is given of two directions is a bridge's.
                if !config.bidirectional {
                    self.tensor("out.h_n", read.state.hidden);
                }
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let views = self.0.iter().map(|(name, dtype, shape, bytes)| {
            (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }
}

/// Exports the model of a folder to `to/onnx`, holds its files against the configuration, and writes
/// what it says beside them.
fn export(device: &DeviceInfo, model: &Path, to: &Path, precision: Precision) {
    fs::create_dir_all(to).unwrap();
    let n_parameters = device.run(Say { model, precision, to });
    let model = predict::load(model, device).unwrap();
    let files = onnx::export(&to.join("onnx"), model.as_ref(), precision).unwrap();
    let mut config = model.folder().config.model.clone();
    rnn_zoo::model::resolve(&mut config, &model.folder().schema).unwrap();
    let graphs: Vec<GraphProto> = files.iter().map(|file| read(file)).collect();
    check(&config, &graphs, precision, n_parameters);
    let readme = fs::read_to_string(to.join("onnx/README.md")).unwrap();
    for port in graphs.iter().flat_map(|graph| graph.input.iter().chain(&graph.output)) {
        assert!(readme.contains(&format!(" | `{}` | ", port.name())), "{readme}");
    }
}

/// The graph of a file, whose encoding is the only one.
fn read(file: &Path) -> GraphProto {
    let bytes = fs::read(file).unwrap();
    let model = ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!(model.encode_to_vec(), bytes);
    assert_eq!(model.ir_version, Some(onnx::IR_VERSION));
    assert_eq!(model.opset_import[0].version, Some(onnx::OPSET));
    model.graph.unwrap()
}

/// A graph reads what is there, makes everything once, and has every weight of the model once.
fn check(config: &ModelConfig, graphs: &[GraphProto], precision: Precision, n_parameters: usize) {
    let mut known = HashSet::new();
    for graph in graphs {
        known.clear();
        check_names(graph, &mut known);
    }
    let ports = |ports: &[ValueInfoProto]| ports.iter().map(port).collect::<Vec<_>>().join(" ");
    let x = match (config.vocabulary, config.mode) {
        (Some(_), IoMode::OneToMany) => "x:Int64[batch,1]".into(),
        (Some(_), _) => "x:Int64[batch,time]".into(),
        (None, IoMode::OneToMany) => format!("x:Float[batch,1,{}]", config.d_input.unwrap()),
        (None, _) => format!("x:Float[batch,time,{}]", config.d_input.unwrap()),
    };
    let spelled = match config.characters {
        Some(_) => {
            " spellings:Int64[spellings,characters] spelling_lengths:Int64[spellings] index:Int64[batch,time]"
        }
        None => "",
    };
    let lengths = " lengths:Int64[batch]";
    let state = |hidden: &str, cell: &str| {
        let part = |name: &str| format!(" {name}:Float[{},batch,{}]", config.n_layers, config.d_hidden);
        part(hidden) + &if config.cell == CellKind::Lstm { part(cell) } else { String::new() }
    };
    let (start, end) = (state("h0", "c0"), state("h_n", "c_n"));
    let optional = optional_rows(config).map(|rows| {
        let part = |name: &str| format!(" {name}:Float[{rows},batch_or_1,{}]", config.d_hidden);
        part("h0") + &if config.cell == CellKind::Lstm { part("c0") } else { String::new() }
    });
    let optional = optional.unwrap_or_default();
    let o = config.d_output.unwrap_or(0);
    let expected = match config.mode {
        IoMode::ManyToOne => {
            vec![(format!("{x}{spelled}{lengths}{optional}"), format!("y:Float[batch,{o}]"))]
        }
        IoMode::ManyToMany | IoMode::OneToOne if !config.bidirectional => {
            vec![(format!("{x}{spelled}{lengths}{start}"), format!("y:Float[batch,time,{o}]{end}"))]
        }
        IoMode::ManyToMany | IoMode::OneToOne => {
            vec![(format!("{x}{spelled}{lengths}{optional}"), format!("y:Float[batch,time,{o}]"))]
        }
        IoMode::OneToMany => {
            let fed = match config.feedback {
                Some(Feedback::Token) => "Int64[batch,1]".to_string(),
                _ => format!("Float[batch,1,{o}]"),
            };
            vec![(format!("{x} last:{fed}{start}"), format!("y:Float[batch,1,{o}] next:{fed}{end}"))]
        }
        IoMode::EncoderDecoder => {
            let h = config.d_hidden;
            let m = h * if config.bidirectional && config.merge == Merge::Concat { 2 } else { 1 };
            let time = if config.input_feeding { "1" } else { "time" };
            let read = |time: &str| match config.attention {
                None => String::new(),
                Some(AttentionScore::Additive) => {
                    format!(" memory:Float[batch,{time},{m}] keys:Float[batch,{time},{h}]")
                }
                Some(_) => format!(" memory:Float[batch,{time},{m}]"),
            };
            let d_spelling = config.characters.as_ref().map_or(0, |c| 2 * c.d_hidden);
            let f = if config.tie_weights { config.d_embedding.unwrap() + d_spelling } else { h };
            let fed = |name: &str| match config.input_feeding {
                true => format!(" {name}:Float[batch,1,{f}]"),
                false => String::new(),
            };
            let (lengths_again, looked) = match config.attention {
                Some(_) => (lengths, format!(" attention:Float[batch,{time},source]")),
                None => ("", String::new()),
            };
            vec![
                (format!("{x}{spelled}{lengths}{optional}"), format!("{}{}", end.trim_start(), read("time"))),
                (
                    format!("x:Int64[batch,{time}]{start}{}{}{lengths_again}", fed("a0"), read("source")),
                    format!("y:Float[batch,{time},{o}]{end}{}{looked}", fed("a_n")),
                ),
            ]
        }
        IoMode::MultiTask => {
            let output = |task: &TaskConfig| {
                let time = if task.mode == IoMode::ManyToMany { "time," } else { "" };
                format!("y_{}:Float[batch,{time}{}]", task.name, task.d_output.unwrap())
            };
            let outputs: Vec<String> = config.tasks.iter().map(output).collect();
            vec![(format!("{x}{spelled}{lengths}{optional}"), outputs.join(" "))]
        }
    };
    let found: Vec<_> = graphs.iter().map(|graph| (ports(&graph.input), ports(&graph.output))).collect();
    assert_eq!(found, expected);

    let type_ = if precision == Precision::Half { DataType::Float16 } else { DataType::Float };
    let own = |name: &str| {
        let constant = ["ones", "off_on"].iter().any(|own| name.ends_with(own)) || name.contains("float_");
        !constant && !["h0", "c0"].contains(&name)
    };
    let weights = graphs
        .iter()
        .flat_map(|graph| &graph.initializer)
        .filter(|tensor| tensor.data_type() != DataType::Int64 && own(tensor.name()));
    let n: i64 = weights
        .inspect(|tensor| assert_eq!(tensor.data_type(), type_, "{}", tensor.name()))
        .map(|tensor| tensor.dims.iter().product::<i64>())
        .sum();
    assert_eq!(n, n_parameters as i64);

    // Layers are the operators wherever these can say them.
    let scans = config.layer_norm || config.zoneout > 0.0 || config.zoneout_cell.is_some();
    let n_of = |op_type: &str| {
        graphs.iter().flat_map(|graph| &graph.node).filter(|node| node.op_type() == op_type).count()
    };
    let operator = match config.cell {
        CellKind::Rnn => "RNN",
        CellKind::Lstm => "LSTM",
        CellKind::Gru => "GRU",
    };
    let spelling = usize::from(config.characters.is_some() && config.cell == CellKind::Lstm);
    let layers = graphs.len() * config.n_layers;
    let directions = 1 + usize::from(config.bidirectional);
    assert_eq!(n_of(operator) - spelling, if scans { 0 } else { layers });
    assert_eq!(n_of("Scan"), if scans { layers * directions } else { 0 });
}

/// `name:Type[batch,3]`
fn port(port: &ValueInfoProto) -> String {
    let tensor = port.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    let dims = tensor.shape.as_ref().unwrap().dim.iter().map(|dim| match dim.value.as_ref().unwrap() {
        Dimension::Value(size) => size.to_string(),
        Dimension::Name(name) => name.clone(),
    });
    format!("{}:{:?}[{}]", port.name(), tensor.elem_type(), dims.collect::<Vec<_>>().join(","))
}

/// Adds what the graph names to what is known outside it.
fn check_names(graph: &GraphProto, known: &mut HashSet<String>) {
    let outside = known.clone();
    let add = |known: &mut HashSet<String>, name: &str| {
        assert!(known.insert(name.into()), "`{name}` is there twice");
    };
    graph.input.iter().for_each(|port| add(known, port.name()));
    // That of an input's name is its default.
    let is_input = |name: &str| graph.input.iter().any(|port| port.name() == name);
    let constants = graph.initializer.iter().filter(|tensor| !is_input(tensor.name()));
    constants.for_each(|tensor| add(known, tensor.name()));
    for node in &graph.node {
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            assert!(known.contains(input), "{} reads `{input}`, which is not there yet", node.op_type());
        }
        for body in node.attribute.iter().filter_map(|AttributeProto { g, .. }| g.as_ref()) {
            check_names(body, known);
        }
        node.output.iter().for_each(|output| add(known, output));
    }
    for output in &graph.output {
        assert!(known.contains(output.name()) && !outside.contains(output.name()), "{}", output.name());
    }
}

fn python() -> Option<OsString> {
    std::env::var_os("RNN_ZOO_PYTHON")
}

/// Every mode, cell and option, and the models of the zoo: in onnxruntime they say what they say here.
///
/// `RNN_ZOO_PYTHON` is a Python with onnx, onnxruntime, numpy and safetensors; without it the files are
/// held against the configuration alone.
#[test]
fn onnx_models_say_the_same_in_onnxruntime() {
    let device = each_backend().remove(0);
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let out = place.path().join("out");
    for (name, config) in variety() {
        let model = place.path().join(&name);
        device.run(Make(&model, config));
        export(&device, &model, &out.join(&name), Precision::Full);
    }
    for name in [
        "ManyToMany-lstm-norm-zoneout-true",
        "MultiTask-gru-spelled",
        "EncoderDecoder-lstm-both",
        "OneToMany-lstm-token",
        "tied",
        "Writer-Lstm-Additive-true-true-true",
    ] {
        let to = out.join(format!("{name}-half"));
        export(&device, &place.path().join(name), &to, Precision::Half);
    }
    for model in shipped() {
        export(&device, &model, &out.join(model.file_name().unwrap()), Precision::Full);
    }
    let Some(python) = python() else {
        eprintln!("RNN_ZOO_PYTHON is not set: onnxruntime was not run");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/check.py");
    let said = Command::new(&python).arg(script).arg(&out).output().unwrap();
    let [stdout, stderr] =
        [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    eprintln!("{stdout}");
    assert!(said.status.success(), "{stdout}\n{stderr}");
    let ran = fs::read_dir(&out).unwrap().count();
    assert_eq!(stdout.lines().filter(|line| line.contains("\"fits\": true")).count(), ran);

    let said = Command::new(&python).args(["-c", STARTED]).arg(&out).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let started = fs::read_dir(&out).unwrap().filter(|f| f.as_ref().unwrap().path().join("started").exists());
    let n = started.count();
    assert!(n > 100, "{n} were started from a state");
    assert_eq!(String::from_utf8_lossy(&said.stdout).lines().count(), n);
}

#[test]
fn weights_too_large_for_16_bits_are_refused() {
    let device = each_backend().remove(0);
    let place = tempfile::tempdir().unwrap();
    let [model, out] = ["model", "out"].map(|name| place.path().join(name));
    let base = tokens(base(IoMode::ManyToOne, CellKind::Gru));
    device.run(Make(&model, ModelConfig { embedding_deviation: Some(1e6), ..base }));
    let model = predict::load(&model, &device).unwrap();
    let error = onnx::export(&out, model.as_ref(), Precision::Half).unwrap_err().to_string();
    assert_eq!(error, "weights of input.embedding.weight are too large for 16 bits: use full precision");
    assert!(!out.exists());
    onnx::export(&out, model.as_ref(), Precision::Full).unwrap();
}

#[test]
fn a_model_goes_out_to_onnx_from_the_command_line() {
    let w = Workshop::new();
    assert_eq!(w.run("export tiny --format onnx").ok().replace('\\', "/"), "tiny-onnx/model.onnx\n");
    let files: Vec<String> = w.files().into_keys().filter(|name| name.starts_with("tiny-onnx/")).collect();
    let expected = ["README.md", "config.toml", "model.onnx", "schema.json"];
    assert_eq!(files, expected.map(|name| format!("tiny-onnx/{name}")));
    assert_eq!(w.read("tiny-onnx/schema.json"), w.read("tiny/model/schema.json"));
    let before = w.files();
    let said = w.run("export tiny --format onnx --half");
    assert!(said.code == Some(1) && said.err.contains("tiny-onnx: exists already"), "{said:?}");
    assert_eq!(w.files(), before, "nothing is overwritten");
    w.run("export tiny --format onnx --half --out half").ok();
    let size = |name: &str| fs::metadata(w.path(name)).unwrap().len();
    assert!(size("half/model.onnx") < size("tiny-onnx/model.onnx"));
}
