//! The models in every mode: input, stack, pooling, head.

use super::Weights;
use super::graph::{Axis, Graph, Value, int, to};
use super::proto::{DataType, GraphProto};
use super::stack::{self, Lengths, Run, State};
use crate::artifact::Precision;
use crate::config::{Feedback, IoMode, ModelConfig, OutputActivation, Pooling};
use crate::kernel::Cell;
use crate::model::stack_config;
use crate::predict::Array;
use crate::recurrent::RecurrentStackConfig;

const BATCH: Axis = Axis::Named("batch");
const TIME: Axis = Axis::Named("time");
/// The weight that a head may share.
const EMBEDDING: &str = "input.embedding.weight";

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
    let start = streams.then(|| state_in(graph, &stack, "before the first step: zeros, or what a run gave"));
    let run = stack::run(graph, weights, "stack", &stack, &input, Some(&lengths), start.as_ref());
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
    let run = stack::run(graph, weights, "stack", &stack, &input, Some(&lengths), None);
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
    let next = match config.feedback.unwrap_or_default() {
        Feedback::Output => output,
        Feedback::Class => {
            let best = graph.op("ArgMax", &[&output], [int("axis", 2), int("keepdims", 0)]);
            let classes = graph.int(d as i64);
            let values = graph.floats("off_on", &Array { shape: vec![2], values: vec![0.0, 1.0] });
            graph.op("OneHot", &[&best, &classes, &values], [int("axis", -1)])
        }
    };
    graph.output(&next, "next", DataType::Float, &shape, "what the next step reads as `last`");
    state_out(graph, &stack, &run.state, "after this step");
}

/// Reads, and gives the state that the decoder starts from.
fn encoder(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, config.bidirectional);
    let input = input_layer(graph, config, weights, TIME);
    let lengths = lengths(graph);
    let mut state = stack::run(graph, weights, "encoder", &stack, &input, Some(&lengths), None).state;
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
}

/// Reads the token before, and writes the next.
fn decoder(graph: &mut Graph, config: &ModelConfig, weights: &Weights) {
    let stack = stack_config(config, 0, false);
    let what = "the tokens before those that are written; at first the one that starts a sequence";
    let tokens = graph.input("x", DataType::Int64, &[BATCH, TIME], what);
    let state = state_in(graph, &stack, "the encoder's, or of the step before");
    let input = embed(graph, weights, "target_embedding.weight", &tokens);
    let run = stack::run(graph, weights, "decoder", &stack, &input, None, Some(&state));
    let output = linear(graph, weights, "head", &run.output);
    let shape = shape(Some(TIME), config.d_output.unwrap_or(0));
    graph.output(&output, "y", DataType::Float, &shape, "of each target token, before any softmax");
    state_out(graph, &stack, &run.state, "after the last step");
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
        let weight = graph.transpose(&embedding, &[1, 0]);
        let product = graph.op("MatMul", &[features, &weight], []);
        add_bias(graph, weights, "tied_bias", product)
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
