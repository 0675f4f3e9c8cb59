//! The models in every mode: input, stack, pooling, head.

use super::Weights;
use super::graph::{Axis, Graph, Value, int, to};
use super::proto::{DataType, GraphProto};
use super::stack::{self, Lengths, Run, State};
use crate::artifact::Precision;
use crate::config::{AttentionScore, Feedback, IoMode, ModelConfig, OutputActivation, Pooling};
use crate::kernel::Cell;
use crate::model::stack_config;
use crate::predict::Array;
use crate::recurrent::RecurrentStackConfig;

const BATCH: Axis = Axis::Named("batch");
const TIME: Axis = Axis::Named("time");
/// What is time to the encoder.
const SOURCE: Axis = Axis::Named("source");
/// What is batch to a state that may be left out.
const STARTS: Axis = Axis::Named("batch_or_1");
/// The weight that a head may share.
const EMBEDDING: &str = "input.embedding.weight";
/// That of a decoder's head, but for its last row.
const TARGETS: &str = "target_embedding.weight";
/// The weight whose columns are what attention gives, F.
const COMBINE: &str = "attention.combine.weight";
/// Of additive attention, once a sequence: no step has to compute them again.
const KEYS: &str = "what the decoder's hidden state is held against";
/// What a decoder says.
const LOGITS: &str = "of each target token, before any softmax";

/// The graphs of a model, and the files that they are for. The configuration's sizes are known.
pub fn graphs(
    config: &ModelConfig,
    weights: &Weights,
    precision: Precision,
) -> Vec<(&'static str, GraphProto)> {
    let graph = |name: &'static str, build: fn(&mut Graph, &ModelConfig, &Weights)| {
        let mut graph = Graph::new("model", precision);
        build(&mut graph, config, weights);
        (name, graph.finish())
    };
    match config.mode {
        IoMode::EncoderDecoder => vec![graph("encoder.onnx", encoder), graph("decoder.onnx", decoder)],
        IoMode::MultiTask => vec![graph("model.onnx", multi_task)],
        IoMode::OneToMany if config.feedback == Some(Feedback::Token) => {
            vec![graph("model.onnx", one_token)]
        }
        IoMode::OneToMany => vec![graph("model.onnx", one_step)],
        IoMode::OneToOne | IoMode::ManyToOne | IoMode::ManyToMany => vec![graph("model.onnx", sequences)],
    }
}

/// Whole sequences.
fn sequences(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, config.bidirectional);
    let input = input_layer(graph, config, weights, TIME);
    let lengths = lengths(graph);
    // A reverse direction starts at an end that a stream has not.
    let streams = config.mode != IoMode::ManyToOne && !config.bidirectional;
    let start = match streams {
        true => state_in(graph, &stack, "before the first step: zeros, or what a run gave"),
        false => optional_state(graph, &stack, &input),
    };
    let run = stack::run(graph, weights, "stack", &stack, &input, Some(&lengths), Some(&start));
    let many_to_one = config.mode == IoMode::ManyToOne;
    let features = match many_to_one {
        true => pool(graph, weights, config.pooling, "attention", &run, &lengths),
        false => run.output,
    };
    let time = (!many_to_one).then_some(TIME);
    head(graph, config, weights, &features, d_output(config, &stack), time);
    if streams {
        state_out(graph, &stack, &run.state, "after each sequence's last step");
    }
}

/// One stack, a head a task.
fn multi_task(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, config.bidirectional);
    let input = input_layer(graph, config, weights, TIME);
    let lengths = lengths(graph);
    let start = optional_state(graph, &stack, &input);
    let run = stack::run(graph, weights, "stack", &stack, &input, Some(&lengths), Some(&start));
    for (k, task) in config.tasks.iter().enumerate() {
        let (features, time) = match task.mode {
            IoMode::ManyToOne => {
                let attention = format!("heads.{k}.attention");
                (pool(graph, weights, task.pooling, &attention, &run, &lengths), None)
            }
            _ => (run.output.clone(), Some(TIME)),
        };
        let output = linear(graph, weights, &format!("heads.{k}.linear"), &features);
        let what = format!("the output of task `{}`, before any softmax", task.name);
        let shape = shape(time, task.d_output.unwrap_or(0));
        graph.output(&output, &format!("y_{}", task.name), DataType::Float, &shape, &what);
    }
}

/// A step that reads the input beside the last step's output.
fn one_step(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, false);
    let d = d_output(config, &stack);
    let one = Axis::Of(1);
    let input = input_layer(graph, config, weights, one);
    let shape = shape(Some(one), d);
    let last = graph.input("last", DataType::Float, &shape, "`next` of the step before; at first zeros");
    let state = state_in(graph, &stack, "of the step before; at first zeros");
    let input = graph.concat(&[input, last], 2);
    let run = stack::run(graph, weights, "stack", &stack, &input, None, Some(&state));
    let output = head(graph, config, weights, &run.output, d, Some(one));
    let next = if config.feedback == Some(Feedback::Class) {
        let best = best(graph, &output);
        let classes = graph.int(d as i64);
        let values = graph.floats("off_on", &Array { shape: vec![2], values: vec![0.0, 1.0] });
        graph.op("OneHot", &[&best, &classes, &values], [int("axis", -1)])
    } else {
        output
    };
    graph.output(&next, "next", DataType::Float, &shape, "what the next step reads as `last`");
    state_out(graph, &stack, &run.state, "after this step");
}

/// A step of a decoder that is alone: it reads the input, or its projection, beside the last token.
fn one_token(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, false);
    let d = config.d_output.unwrap_or(0);
    let one = Axis::Of(1);
    let mut input = input_layer(graph, config, weights, one);
    if config.d_projection.is_some() {
        let sum = linear(graph, weights, "projection", &input);
        input = graph.op("Tanh", &[&sum], []);
    }
    let what = format!("the token before the one that is written; at first {d}, which starts a sequence");
    let last = graph.input("last", DataType::Int64, &[BATCH, one], &what);
    let state = state_in(graph, &stack, "of the step before; at first zeros");
    let last = embed(graph, weights, TARGETS, &last);
    let input = graph.concat(&[last, input], 2);
    let run = stack::run(graph, weights, "decoder", &stack, &input, None, Some(&state));
    let output = linear(graph, weights, "head", &run.output);
    graph.output(&output, "y", DataType::Float, &shape(Some(one), d), LOGITS);
    let next = best(graph, &output);
    graph.output(&next, "next", DataType::Int64, &[BATCH, one], "the token whose `y` is largest");
    state_out(graph, &stack, &run.state, "after this step");
}

/// The most probable class or token of each step: `[B, T, O]` to int64 `[B, T]`.
fn best(graph: &mut Graph, output: &str) -> Value {
    graph.op("ArgMax", &[output], [int("axis", 2), int("keepdims", 0)])
}

/// Reads, and gives the state that the decoder starts from; with attention, what it looks back at.
fn encoder(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, config.bidirectional);
    let input = input_layer(graph, config, weights, TIME);
    let lengths = lengths(graph);
    let start = optional_state(graph, &stack, &input);
    let Run { output, mut state, .. } =
        stack::run(graph, weights, "encoder", &stack, &input, Some(&lengths), Some(&start));
    if config.bidirectional {
        let d = config.d_hidden as i64;
        let mut bridge = |part: &Value, name: &str| {
            // Both directions of a layer side by side.
            let pairs = graph.reshape(part, &[config.n_layers as i64, 2, -1, d]);
            let pairs = graph.transpose(&pairs, &[0, 2, 1, 3]);
            let pairs = graph.reshape(&pairs, &[0, 0, 2 * d]);
            let one = linear(graph, weights, name, &pairs);
            graph.op("Tanh", &[&one], [])
        };
        state = State {
            hidden: bridge(&state.hidden, "bridge"),
            cell: state.cell.map(|cell| bridge(&cell, "cell_bridge")),
        };
    }
    state_out(graph, &stack, &state, "that the decoder starts from");
    if let Some(score) = config.attention {
        let shape = shape(Some(TIME), stack.d_output());
        graph.output(&output, "memory", DataType::Float, &shape, "what the decoder looks back at");
        if score == AttentionScore::Additive {
            let keys = linear(graph, weights, "attention.memory", &output);
            graph.output(&keys, "keys", DataType::Float, &key_shape(config, TIME), KEYS);
        }
    }
}

fn key_shape(config: &ModelConfig, time: Axis) -> Vec<Axis> {
    shape(Some(time), config.d_hidden)
}

/// Reads the token before, and writes the next.
fn decoder(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, false);
    // With input feeding a step reads what the one before gave.
    let time = if config.input_feeding { Axis::Of(1) } else { TIME };
    let what = "the tokens before those that are written; at first the one that starts a sequence";
    let tokens = graph.input("x", DataType::Int64, &[BATCH, time], what);
    let state = state_in(graph, &stack, "the encoder's, or of the step before");
    let mut input = embed(graph, weights, TARGETS, &tokens);
    // [B, 1, F]
    let fed = config.input_feeding.then(|| shape(Some(time), weights.get(COMBINE).shape[1]));
    if let Some(shape) = &fed {
        let what = "what attention gave, `a_n` of the step before; at first zeros";
        let last = graph.input("a0", DataType::Float, shape, what);
        input = graph.concat(&[input, last], 2);
    }
    let Run { output: hidden, state, .. } =
        stack::run(graph, weights, "decoder", &stack, &input, None, Some(&state));
    let (features, shares) = match config.attention {
        Some(score) => {
            let (features, shares) = attend(graph, config, weights, score, &hidden);
            (features, Some(shares))
        }
        None => (hidden, None),
    };
    let d = config.d_output.unwrap_or(0);
    let output = match config.tie_weights {
        true => {
            // All rows but that of the token that starts a sequence.
            let rows = graph.weight(TARGETS, &weights.get(TARGETS));
            let [first, end] = [0, d as i64].map(|row| graph.ints(&[row]));
            let rows = graph.op("Slice", &[&rows, &first, &end], []);
            tied(graph, weights, &rows, &features)
        }
        false => linear(graph, weights, "head", &features),
    };
    graph.output(&output, "y", DataType::Float, &shape(Some(time), d), LOGITS);
    state_out(graph, &stack, &state, "after the last step");
    if let Some(shape) = &fed {
        graph.output(&features, "a_n", DataType::Float, shape, "what attention gave");
    }
    if let Some(shares) = &shares {
        let what = "the weight of each step of the source: where attention looked";
        graph.output(shares, "attention", DataType::Float, &[BATCH, time, SOURCE], what);
    }
}

/// What attention gives of the decoder's hidden states, `[B, T, F]`, and the weights of the source's steps.
fn attend(
    graph: &mut Graph,
    config: &ModelConfig,
    weights: &Weights,
    score: AttentionScore,
    hidden: &str,
) -> (Value, Value) {
    let d_memory = stack_config(config, 0, config.bidirectional).d_output();
    let shape = shape(Some(SOURCE), d_memory);
    let memory = graph.input("memory", DataType::Float, &shape, "the encoder's; `source` is its `time`");
    // h · m of each pair of steps, [B, T, S]
    let product = |graph: &mut Graph, query: &str| {
        let columns = graph.transpose(&memory, &[0, 2, 1]);
        graph.op("MatMul", &[query, &columns], [])
    };
    let scores = match score {
        AttentionScore::Dot => product(graph, hidden),
        // h · (W m) is (h W) · m, which takes no product of the whole source.
        AttentionScore::General => {
            let name = "attention.memory.weight";
            let weight = graph.weight(name, &weights.get(name));
            let weight = graph.transpose(&weight, &[1, 0]);
            let query = graph.op("MatMul", &[hidden, &weight], []);
            product(graph, &query)
        }
        AttentionScore::Additive => {
            let keys = graph.input("keys", DataType::Float, &key_shape(config, SOURCE), KEYS);
            let keys = graph.unsqueeze(&keys, 1);
            let query = linear(graph, weights, "attention.query", hidden);
            let query = graph.unsqueeze(&query, 2);
            let sum = graph.op("Add", &[&query, &keys], []);
            let sum = graph.op("Tanh", &[&sum], []);
            let scores = linear(graph, weights, "attention.score", &sum);
            graph.squeeze(&scores, 3)
        }
    };
    let what = "valid steps of each sequence that was read, 1 to source";
    let lengths = graph.input("lengths", DataType::Int64, &[BATCH], what);
    let valid = stack::valid(graph, &lengths, &memory);
    let valid = graph.unsqueeze(&valid, 1);
    let least = graph.scalar(f32::MIN);
    let scores = graph.op("Where", &[&valid, &scores, &least], []);
    let shares = graph.op("Softmax", &[&scores], [int("axis", 2)]);
    let context = graph.op("MatMul", &[&shares, &memory], []);
    let both = graph.concat(&[context, hidden.into()], 2);
    let features = linear(graph, weights, "attention.combine", &both);
    (graph.op("Tanh", &[&features], []), shares)
}

/// What the stack reads: `[B, T, D]`.
fn input_layer(graph: &mut Graph, config: &ModelConfig, weights: &Weights, time: Axis) -> Value {
    if config.d_embedding.is_none() {
        let d = Axis::Of(config.d_input.unwrap_or(0));
        return graph.input("x", DataType::Float, &[BATCH, time, d], "features");
    }
    let tokens = graph.input("x", DataType::Int64, &[BATCH, time], "tokens; at padding any of them");
    let words = embed(graph, weights, EMBEDDING, &tokens);
    let Some(characters) = &config.characters else { return words };
    let (spellings, n) = (Axis::Named("spellings"), Axis::Named("characters"));
    let what = "the characters of each distinct word";
    let spelled = graph.input("spellings", DataType::Int64, &[spellings, n], what);
    let what = "characters of each spelling, 1 or more";
    let ends = graph.input("spelling_lengths", DataType::Int64, &[spellings], what);
    let what = "which spelling is each word's, from 0; at padding any of them";
    let index = graph.input("index", DataType::Int64, &[BATCH, time], what);
    let ends = Lengths::new(graph, ends);
    let stack = RecurrentStackConfig {
        bidirectional: true,
        ..RecurrentStackConfig::new(Cell::Lstm, characters.d_embedding, characters.d_hidden)
    };
    let spelled = embed(graph, weights, "input.characters.embedding.weight", &spelled);
    let run = stack::run(graph, weights, "input.characters.stack", &stack, &spelled, Some(&ends), None);
    let spelled = graph.op("Gather", &[&run.last_hidden, &index], []);
    graph.concat(&[words, spelled], 2)
}

fn embed(graph: &mut Graph, weights: &Weights, name: &str, tokens: &str) -> Value {
    let rows = graph.weight(name, &weights.get(name));
    graph.op("Gather", &[&rows, tokens], [])
}

fn lengths(graph: &mut Graph) -> Lengths {
    let steps = graph.input("lengths", DataType::Int64, &[BATCH], "valid steps of each sequence, 1 to time");
    Lengths::new(graph, steps)
}

fn state_in(graph: &mut Graph, stack: &RecurrentStackConfig, when: &str) -> State {
    let shape = state_shape(stack);
    let mut part =
        |name: &str, what: &str| graph.input(name, DataType::Float, &shape, &format!("{what} state {when}"));
    let hidden = part("h0", "hidden");
    State { hidden, cell: stack.cell.has_cell_state().then(|| part("c0", "cell")) }
}

/// A state that may be left out, `[L·K, B, H]`, for `input`, `[B, T, D]`. What is left out has no batch, and is expanded
/// to it.
fn optional_state(graph: &mut Graph, stack: &RecurrentStackConfig, input: &str) -> State {
    let (rows, h) = (stack.n_layers * stack.directions(), stack.d_hidden);
    let shape = [Axis::Of(rows), STARTS, Axis::Of(h)];
    let zeros = Array { shape: vec![rows, 1, h], values: vec![0.0; rows * h] };
    let [rows, h] = [rows, h].map(|size| graph.ints(&[size as i64]));
    let batch = graph.size(input, 0);
    let whole = graph.concat(&[rows, batch, h], 0);
    let mut part = |name: &str, what: &str| {
        let order =
            if stack.bidirectional { ", each layer's forward direction before its reverse" } else { "" };
        let what = format!("{what} state before the first step{order}; may be left out: zeros");
        let given = graph.optional_input(name, &shape, &zeros, &what);
        graph.op("Expand", &[&given, &whole], [])
    };
    let hidden = part("h0", "hidden");
    State { hidden, cell: stack.cell.has_cell_state().then(|| part("c0", "cell")) }
}

fn state_out(graph: &mut Graph, stack: &RecurrentStackConfig, state: &State, when: &str) {
    let shape = state_shape(stack);
    graph.output(&state.hidden, "h_n", DataType::Float, &shape, &format!("hidden state {when}"));
    if let Some(cell) = &state.cell {
        graph.output(cell, "c_n", DataType::Float, &shape, &format!("cell state {when}"));
    }
}

/// That of every state that is taken or given: of one direction.
fn state_shape(stack: &RecurrentStackConfig) -> [Axis; 3] {
    [Axis::Of(stack.n_layers), BATCH, Axis::Of(stack.d_hidden)]
}

fn d_output(config: &ModelConfig, stack: &RecurrentStackConfig) -> usize {
    config.d_output.unwrap_or(stack.d_output())
}

/// That of an output: `[B, T, O]`, or `[B, O]`.
fn shape(time: Option<Axis>, d: usize) -> Vec<Axis> {
    [Some(BATCH), time, Some(Axis::Of(d))].into_iter().flatten().collect()
}

/// `[B, O]` of a sequence's valid steps.
fn pool(
    graph: &mut Graph,
    weights: &Weights,
    pooling: Option<Pooling>,
    attention: &str,
    run: &Run,
    lengths: &Lengths,
) -> Value {
    let steps = &run.output;
    // What is least goes past the end.
    let valid_only = |graph: &mut Graph, values: &str| {
        let valid = lengths.valid(graph, values);
        let valid = graph.unsqueeze(&valid, 2);
        let least = graph.scalar(f32::MIN);
        graph.op("Where", &[&valid, values, &least], [])
    };
    match pooling.unwrap_or_default() {
        Pooling::Last => run.last_hidden.clone(),
        Pooling::Mean => {
            let sum = graph.reduce("ReduceSum", steps, 1);
            let counts = graph.op("Cast", &[&lengths.steps], [to(DataType::Float)]);
            let counts = graph.unsqueeze(&counts, 1);
            graph.op("Div", &[&sum, &counts], [])
        }
        Pooling::Max => {
            let steps = valid_only(graph, steps);
            graph.reduce("ReduceMax", &steps, 1)
        }
        Pooling::Attention => {
            let hidden = linear(graph, weights, &format!("{attention}.hidden"), steps);
            let hidden = graph.op("Tanh", &[&hidden], []);
            let scores = linear(graph, weights, &format!("{attention}.score"), &hidden);
            let scores = valid_only(graph, &scores);
            let shares = graph.op("Softmax", &[&scores], [int("axis", 1)]);
            let parts = graph.op("Mul", &[&shares, steps], []);
            graph.reduce("ReduceSum", &parts, 1)
        }
    }
}

/// `x W + b`
fn linear(graph: &mut Graph, weights: &Weights, name: &str, input: &str) -> Value {
    let [weight, bias] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
    let w = graph.weight(&weight, &weights.get(&weight));
    let product = graph.op("MatMul", &[input, &w], []);
    add_bias(graph, weights, &bias, product)
}

/// `x Eᵀ + b`, of an embedding's rows.
fn tied(graph: &mut Graph, weights: &Weights, rows: &str, input: &str) -> Value {
    let weight = graph.transpose(rows, &[1, 0]);
    let product = graph.op("MatMul", &[input, &weight], []);
    add_bias(graph, weights, "tied_bias", product)
}

/// With the bias of that name, where there is one.
fn add_bias(graph: &mut Graph, weights: &Weights, name: &str, value: Value) -> Value {
    match weights.find(name) {
        Some(bias) => {
            let bias = graph.weight(name, &bias);
            graph.op("Add", &[&value, &bias], [])
        }
        None => value,
    }
}

/// Gives `y = g(W h + b)`, `[B, T, O]` or `[B, O]`.
fn head(
    graph: &mut Graph,
    config: &ModelConfig,
    weights: &Weights,
    features: &str,
    d: usize,
    time: Option<Axis>,
) -> Value {
    let output = if config.tie_weights {
        let embedding = graph.weight(EMBEDDING, &weights.get(EMBEDDING));
        tied(graph, weights, &embedding, features)
    } else if config.d_output.is_some() {
        linear(graph, weights, "head", features)
    } else {
        features.into()
    };
    let (output, what) = match config.output_activation {
        OutputActivation::Identity => (output, "the head's output, before any softmax"),
        OutputActivation::Tanh => (graph.op("Tanh", &[&output], []), "the head's output, after tanh"),
        OutputActivation::Relu => (graph.op("Relu", &[&output], []), "the head's output, after relu"),
        OutputActivation::Sigmoid => {
            (graph.op("Sigmoid", &[&output], []), "the head's output, after a sigmoid")
        }
        OutputActivation::Softmax => {
            (graph.op("Softmax", &[&output], [int("axis", -1)]), "the head's output, after a softmax")
        }
    };
    graph.output(&output, "y", DataType::Float, &shape(time, d), what);
    output
}
