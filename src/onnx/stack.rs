//! Recurrent stacks: ONNX's operators `RNN`, `LSTM` and `GRU` where they can say it; layer norm in the
//! cell and zoneout, which they cannot, as a `Scan` whose body is one step.

use super::Weights;
use super::graph::{self, Axis, Graph, NOTHING, Value, float, int, ints, string, strings, to};
use super::proto::DataType;
use crate::config::Merge;
use crate::kernel::{Cell, NORM_EPSILON};
use crate::predict::Array;
use crate::recurrent::RecurrentStackConfig;

/// Valid steps of each sequence.
pub struct Lengths {
    /// int64 `[B]`
    pub steps: Value,
    /// int32 `[B]`, as the operators want them.
    sequence_lens: Value,
}

impl Lengths {
    /// Of int64 `[B]`.
    pub fn new(graph: &mut Graph, steps: Value) -> Self {
        let sequence_lens = graph.op("Cast", &[&steps], [to(DataType::Int32)]);
        Self { steps, sequence_lens }
    }

    /// See [`valid`].
    pub fn valid(&self, graph: &mut Graph, steps: &str) -> Value {
        valid(graph, &self.steps, steps)
    }
}

/// bool `[B, T]`, true at the valid steps of `steps`, `[B, T, ..]`; `lengths` is int64 `[B]`.
pub fn valid(graph: &mut Graph, lengths: &str, steps: &str) -> Value {
    let n_steps = graph.size(steps, 1);
    let n_steps = graph.squeeze(&n_steps, 0);
    let [zero, one] = [0, 1].map(|value| graph.int(value));
    let time = graph.op("Range", &[&zero, &n_steps, &one], []);
    let ends = graph.unsqueeze(lengths, 1);
    graph.op("Less", &[&time, &ends], [])
}

/// A state, `[L·K, B, H]` each.
pub struct State {
    /// Hidden.
    pub hidden: Value,
    /// LSTM only.
    pub cell: Option<Value>,
}

/// What a stack gives.
pub struct Run {
    /// `[B, T, O]`, zero past a sequence's end.
    pub output: Value,
    /// After each sequence's last valid step.
    pub state: State,
    /// The last layer's final hidden state, directions merged: `[B, O]`.
    pub last_hidden: Value,
}

/// What a layer gives, K directions.
struct LayerRun {
    /// `[T, K, B, H]`
    output: Value,
    /// `[K, B, H]`
    hidden: Value,
    /// `[K, B, H]`
    cell: Option<Value>,
}

/// Adds a stack, whose weights are called `name.layers.0.weight_ih` and so on.
///
/// It reads `[B, T, D]`, and starts from zeros where there is no state.
pub fn run(
    graph: &mut Graph,
    weights: &Weights,
    name: &str,
    config: &RecurrentStackConfig,
    input: &str,
    lengths: Option<&Lengths>,
    state: Option<&State>,
) -> Run {
    let directions = config.directions();
    let mut parts = |value: &Value| graph.split(value, config.n_layers, directions, 0);
    let starts = state.map(|state| (parts(&state.hidden), state.cell.as_ref().map(parts)));
    let zoneout = config.zoneout > 0.0 || config.zoneout_cell > 0.0;
    let composed = config.layer_norm || zoneout;
    // [T, B, 1]
    let valid = lengths.filter(|_| composed).map(|lengths| {
        let valid = lengths.valid(graph, input);
        let valid = graph.transpose(&valid, &[1, 0]);
        graph.unsqueeze(&valid, 2)
    });
    let mut flow = graph.transpose(input, &[1, 0, 2]);
    let (mut hidden, mut cell) = (Vec::new(), Vec::new());
    for depth in 0..config.n_layers {
        let start = starts.as_ref().map(|(hidden, cell)| State {
            hidden: hidden[depth].clone(),
            cell: cell.as_ref().map(|cell| cell[depth].clone()),
        });
        let layer = Layer { weights, name, config, depth };
        let LayerRun { output, hidden: last, cell: last_cell } = if composed {
            layer.scans(graph, &flow, valid.as_deref(), start.as_ref())
        } else {
            layer.operator(graph, &flow, lengths, start.as_ref())
        };
        flow = merge(graph, config, &output, 1);
        hidden.push(last);
        cell.extend(last_cell);
    }
    let last = hidden.last().expect("a stack has a layer").clone();
    Run {
        output: graph.transpose(&flow, &[1, 0, 2]),
        last_hidden: merge(graph, config, &last, 0),
        state: State {
            hidden: graph.concat(&hidden, 0),
            cell: (!cell.is_empty()).then(|| graph.concat(&cell, 0)),
        },
    }
}

/// `[.., K, B, H]` to `[.., B, O]`, K being that axis.
fn merge(graph: &mut Graph, config: &RecurrentStackConfig, value: &str, axis: i64) -> Value {
    match (config.directions(), config.merge) {
        (1, _) => graph.squeeze(value, axis),
        (_, Merge::Concat) if axis == 0 => {
            let value = graph.transpose(value, &[1, 0, 2]);
            graph.reshape(&value, &[0, config.d_output() as i64])
        }
        (_, Merge::Concat) => {
            let value = graph.transpose(value, &[0, 2, 1, 3]);
            graph.reshape(&value, &[0, 0, config.d_output() as i64])
        }
        (_, Merge::Sum) => graph.reduce("ReduceSum", value, axis),
        (_, Merge::Mean) => graph.reduce("ReduceMean", value, axis),
        (_, Merge::Max) => graph.reduce("ReduceMax", value, axis),
    }
}

struct Layer<'a> {
    weights: &'a Weights,
    name: &'a str,
    config: &'a RecurrentStackConfig,
    depth: usize,
}

impl Layer<'_> {
    /// The name of a parameter of one direction.
    fn parameter(&self, direction: usize, name: &str) -> String {
        let k = self.depth * self.config.directions() + direction;
        format!("{}.layers.{k}.{name}", self.name)
    }

    /// One operator for both directions. Its gates are in another order than PyTorch's.
    fn operator(
        &self,
        graph: &mut Graph,
        input: &str,
        lengths: Option<&Lengths>,
        start: Option<&State>,
    ) -> LayerRun {
        let (cell, directions) = (self.config.cell, self.config.directions());
        let (op_type, order): (_, &[usize]) = match cell {
            Cell::RnnTanh | Cell::RnnRelu => ("RNN", &[0]),
            // i o f g
            Cell::Lstm => ("LSTM", &[0, 3, 1, 2]),
            // z r n
            Cell::GruAfter | Cell::GruBefore => ("GRU", &[1, 0, 2]),
        };
        // What each direction has of these, one after the other: [K, ..]
        let stacked = |names: &[&str]| {
            let mut shape = vec![directions];
            let mut values = Vec::new();
            for direction in 0..directions {
                for name in names {
                    let array = self.weights.get(&self.parameter(direction, name));
                    shape.splice(1.., array.shape.iter().copied());
                    let gate = array.values.len() / order.len();
                    values.extend(order.iter().flat_map(|&k| &array.values[k * gate..(k + 1) * gate]));
                }
            }
            shape[1] *= names.len();
            Array { shape, values }
        };
        let own = |name: &str| format!("{}.layer_{}.{name}", self.name, self.depth);
        let w = graph.weight(&own("W"), &stacked(&["weight_ih"]));
        let r = graph.weight(&own("R"), &stacked(&["weight_hh"]));
        let b = match self.config.bias {
            true => graph.weight(&own("B"), &stacked(&["bias_ih", "bias_hh"])),
            false => NOTHING.into(),
        };
        let mut attributes = vec![
            int("hidden_size", self.config.d_hidden as i64),
            string("direction", if directions == 2 { "bidirectional" } else { "forward" }),
        ];
        match cell {
            Cell::RnnTanh => attributes.push(strings("activations", &vec!["Tanh"; directions])),
            Cell::RnnRelu => attributes.push(strings("activations", &vec!["Relu"; directions])),
            Cell::Lstm => {}
            Cell::GruAfter => attributes.push(int("linear_before_reset", 1)),
            Cell::GruBefore => attributes.push(int("linear_before_reset", 0)),
        }
        let inputs = [
            input,
            &w,
            &r,
            &b,
            lengths.map_or(NOTHING, |lengths| &lengths.sequence_lens),
            start.map_or(NOTHING, |start| &start.hidden),
            start.and_then(|start| start.cell.as_deref()).unwrap_or(NOTHING),
        ];
        let mut results = graph.ops(op_type, &inputs, attributes, 1 + cell.state_rows()).into_iter();
        let mut next = || results.next().expect("as many as were asked for");
        LayerRun { output: next(), hidden: next(), cell: cell.has_cell_state().then(next) }
    }

    /// A `Scan` a direction.
    fn scans(&self, graph: &mut Graph, input: &str, valid: Option<&str>, start: Option<&State>) -> LayerRun {
        let (cell, directions) = (self.config.cell, self.config.directions());
        let mut parts: Vec<Vec<Value>> = vec![Vec::new(); 1 + cell.state_rows()];
        for direction in 0..directions {
            let mut row = |value: &Value| match directions {
                1 => graph.squeeze(value, 0),
                _ => {
                    let row = graph.split(value, directions, 1, 0).swap_remove(direction);
                    graph.squeeze(&row, 0)
                }
            };
            let start = match start {
                Some(start) => std::iter::once(&start.hidden).chain(&start.cell).map(&mut row).collect(),
                None => {
                    let batch = graph.size(input, 1);
                    let d_hidden = graph.ints(&[self.config.d_hidden as i64]);
                    let shape = graph.concat(&[batch, d_hidden], 0);
                    vec![graph.op("ConstantOfShape", &[&shape], []); cell.state_rows()]
                }
            };
            let run = self.scan(graph, direction, input, valid, start);
            // The outputs [T, B, H] get their K in between, the states [B, H] before.
            for (k, (part, value)) in parts.iter_mut().zip(run).enumerate() {
                part.push(graph.unsqueeze(&value, i64::from(k == 0)));
            }
        }
        let mut parts = parts.into_iter().enumerate().map(|(k, part)| graph.concat(&part, i64::from(k == 0)));
        let mut next = || parts.next().expect("as many as were asked for");
        LayerRun { output: next(), hidden: next(), cell: cell.has_cell_state().then(next) }
    }

    /// One direction: outputs `[T, B, H]` and the final states `[B, H]`.
    fn scan(
        &self,
        graph: &mut Graph,
        direction: usize,
        input: &str,
        valid: Option<&str>,
        start: Vec<Value>,
    ) -> Vec<Value> {
        let cell = self.config.cell;
        let (h, gates) = (self.config.d_hidden, cell.gates());
        let step = Step::new(graph, self, direction);
        // [T, B, G·H]
        let projected = {
            let weight = self.weights.get(&self.parameter(direction, "weight_ih"));
            let weight = graph.weight(&self.parameter(direction, "weight_ih"), &transposed(&weight));
            let product = graph.op("MatMul", &[input, &weight], []);
            let product = match &step.norm {
                Some(norm) => {
                    let rows = graph.reshape(&product, &[0, 0, gates as i64, h as i64]);
                    let normal = norm.apply(graph, &rows, &norm.gain_ih);
                    graph.reshape(&normal, &[0, 0, (gates * h) as i64])
                }
                None => product,
            };
            match &step.bias_ih {
                Some(bias) => graph.op("Add", &[&product, bias], []),
                None => product,
            }
        };

        let mut body = graph.within();
        let [batch_hidden, batch_gates] = [h, gates * h].map(|width| [Axis::Named("batch"), Axis::Of(width)]);
        let hidden = body.input("hidden", DataType::Float, &batch_hidden, "");
        let before = cell.has_cell_state().then(|| body.input("cell", DataType::Float, &batch_hidden, ""));
        let x = body.input("x", DataType::Float, &batch_gates, "");
        let now =
            valid.map(|_| body.input("valid", DataType::Bool, &[Axis::Named("batch"), Axis::Of(1)], ""));
        let (mut new, mut after) = step.run(&mut body, &hidden, before.as_deref(), &x);
        let mut output = new.clone();
        if let Some(now) = &now {
            let zero = body.scalar(0.0);
            output = body.op("Where", &[now, &new, &zero], []);
            new = body.op("Where", &[now, &new, &hidden], []);
            after = after.zip(before).map(|(after, before)| body.op("Where", &[now, &after, &before], []));
        }
        body.output(&new, "new_hidden", DataType::Float, &batch_hidden, "");
        if let Some(after) = &after {
            body.output(after, "new_cell", DataType::Float, &batch_hidden, "");
        }
        body.output(&output, "output", DataType::Float, &batch_hidden, "");

        let scanned: Vec<&str> = std::iter::once(projected.as_str()).chain(valid).collect();
        let inputs: Vec<&str> = start.iter().map(String::as_str).chain(scanned.iter().copied()).collect();
        let attributes = vec![
            graph::graph("body", body.finish()),
            int("num_scan_inputs", scanned.len() as i64),
            ints("scan_input_directions", &vec![direction as i64; scanned.len()]),
            ints("scan_output_directions", &[direction as i64]),
        ];
        let mut results = graph.ops("Scan", &inputs, attributes, cell.state_rows() + 1);
        results.rotate_right(1);
        results
    }
}

/// Weights of one step, in the outer graph.
struct Step<'a> {
    config: &'a RecurrentStackConfig,
    /// `[H, n·H]` each, the gates that are multiplied at once.
    weights_hh: Vec<Value>,
    /// `[G·H]`
    bias_ih: Option<Value>,
    /// `[H]` a gate.
    biases_hh: Option<Vec<Value>>,
    norm: Option<Norm>,
}

/// Layer norm in the cell.
struct Norm {
    /// What `LayerNormalization` takes for a gain, `[H]`: its own is the same for every gate.
    ones: Value,
    /// `[G, H]`
    gain_ih: Value,
    /// `[n, H]` each, as the recurrent weights.
    gains_hh: Vec<Value>,
    /// `[H]`
    gain_cell: Option<Value>,
    /// `[H]`
    bias_cell: Option<Value>,
}

impl Norm {
    /// Normalises the last axis, and multiplies by a gain.
    fn apply(&self, graph: &mut Graph, rows: &str, gain: &str) -> Value {
        let attributes = [int("axis", -1), float("epsilon", NORM_EPSILON as f32)];
        let normal = graph.op("LayerNormalization", &[rows, &self.ones], attributes);
        graph.op("Mul", &[&normal, gain], [])
    }
}

impl<'a> Step<'a> {
    fn new(graph: &mut Graph, layer: &Layer<'a>, direction: usize) -> Self {
        let config = layer.config;
        let h = config.d_hidden;
        let name = |parameter: &str| layer.parameter(direction, parameter);
        let get = |parameter: &str| layer.weights.get(&name(parameter));
        // The reset gate stands before the last gate's product, or after it.
        let groups: &[(usize, usize)] = match config.cell {
            Cell::GruBefore => &[(0, 2), (2, 3)],
            cell => &[(0, cell.gates())],
        };
        let rows = |array: &Array<f32>, (from, to): (usize, usize)| {
            let width = array.values.len() / config.cell.gates();
            array.values[from * width..to * width].to_vec()
        };
        let weight_hh = get("weight_hh");
        let weights_hh = groups
            .iter()
            .map(|&(from, to)| {
                let part = Array { shape: vec![(to - from) * h, h], values: rows(&weight_hh, (from, to)) };
                graph.weight(&format!("{}.{from}", name("weight_hh")), &transposed(&part))
            })
            .collect();
        let norm = config.layer_norm.then(|| {
            let gain = get("norm.gain_ih");
            let gain_ih = Array { shape: vec![config.cell.gates(), h], values: gain.values };
            let gain_hh = get("norm.gain_hh");
            let mut of_cell = |parameter: &str| {
                let array = layer.weights.find(&name(parameter))?;
                Some(graph.weight(&name(parameter), &array))
            };
            let (gain_cell, bias_cell) = (of_cell("norm.gain_cell"), of_cell("norm.bias_cell"));
            Norm {
                ones: graph.floats(&name("norm.ones"), &Array { shape: vec![h], values: vec![1.0; h] }),
                gain_ih: graph.weight(&name("norm.gain_ih"), &gain_ih),
                gains_hh: groups
                    .iter()
                    .map(|&(from, to)| {
                        let part = Array { shape: vec![to - from, h], values: rows(&gain_hh, (from, to)) };
                        graph.weight(&format!("{}.{from}", name("norm.gain_hh")), &part)
                    })
                    .collect(),
                gain_cell,
                bias_cell,
            }
        });
        let mut bias = |parameter: &str| config.bias.then(|| graph.weight(&name(parameter), &get(parameter)));
        let (bias_ih, bias_hh) = (bias("bias_ih"), bias("bias_hh"));
        let biases_hh = bias_hh.map(|bias| graph.split(&bias, config.cell.gates(), h, 0));
        Self { config, weights_hh, bias_ih, biases_hh, norm }
    }

    /// The new hidden and cell state, `[B, H]`, of the old ones and the input's product, `[B, G·H]`.
    fn run(&self, body: &mut Graph, hidden: &str, before: Option<&str>, x: &str) -> (Value, Option<Value>) {
        let (cell, h) = (self.config.cell, self.config.d_hidden);
        let add = |body: &mut Graph, a: &str, b: &str| body.op("Add", &[a, b], []);
        let mul = |body: &mut Graph, a: &str, b: &str| body.op("Mul", &[a, b], []);
        let x = body.split(x, cell.gates(), h, 1);
        // The recurrent products of a group's gates, with their biases.
        let recurrent = |body: &mut Graph, hidden: &str, group: usize, first: usize, n: usize| {
            let mut product = body.op("MatMul", &[hidden, &self.weights_hh[group]], []);
            if let Some(norm) = &self.norm {
                let rows = body.reshape(&product, &[0, n as i64, h as i64]);
                let normal = norm.apply(body, &rows, &norm.gains_hh[group]);
                product = body.reshape(&normal, &[0, (n * h) as i64]);
            }
            let mut parts = body.split(&product, n, h, 1);
            if let Some(biases) = &self.biases_hh {
                for (part, bias) in parts.iter_mut().zip(&biases[first..]) {
                    *part = body.op("Add", &[part, bias], []);
                }
            }
            parts
        };
        match cell {
            Cell::RnnTanh | Cell::RnnRelu => {
                let products = recurrent(body, hidden, 0, 0, 1);
                let sum = add(body, &x[0], &products[0]);
                let new = body.op(if cell == Cell::RnnTanh { "Tanh" } else { "Relu" }, &[&sum], []);
                (self.keep(body, &new, hidden, self.config.zoneout), None)
            }
            Cell::Lstm => {
                let before = before.expect("an LSTM has a cell state");
                let products = recurrent(body, hidden, 0, 0, 4);
                let mut gate = |k: usize, op_type: &str| {
                    let sum = add(body, &x[k], &products[k]);
                    body.op(op_type, &[&sum], [])
                };
                let (i, f) = (gate(0, "Sigmoid"), gate(1, "Sigmoid"));
                let (g, o) = (gate(2, "Tanh"), gate(3, "Sigmoid"));
                let kept = mul(body, &f, before);
                let written = mul(body, &i, &g);
                let after = add(body, &kept, &written);
                let mut read = after.clone();
                if let Some(norm) = &self.norm {
                    let gain = norm.gain_cell.as_ref().expect("an LSTM's norm has the cell state's");
                    read = norm.apply(body, &read, gain);
                    if let Some(bias) = &norm.bias_cell {
                        read = add(body, &read, bias);
                    }
                }
                let tanh = body.op("Tanh", &[&read], []);
                let new = mul(body, &o, &tanh);
                let new = self.keep(body, &new, hidden, self.config.zoneout);
                let after = self.keep(body, &after, before, self.config.zoneout_cell);
                (new, Some(after))
            }
            Cell::GruAfter | Cell::GruBefore => {
                let after = cell == Cell::GruAfter;
                let mut products = recurrent(body, hidden, 0, 0, if after { 3 } else { 2 });
                let mut gate = |k: usize| {
                    let sum = add(body, &x[k], &products[k]);
                    body.op("Sigmoid", &[&sum], [])
                };
                let (r, z) = (gate(0), gate(1));
                let product = if after {
                    mul(body, &r, &products.remove(2))
                } else {
                    let reset = mul(body, &r, hidden);
                    recurrent(body, &reset, 1, 2, 1).remove(0)
                };
                let sum = add(body, &x[2], &product);
                let n = body.op("Tanh", &[&sum], []);
                let difference = body.op("Sub", &[hidden, &n], []);
                let kept = mul(body, &z, &difference);
                let new = add(body, &n, &kept);
                (self.keep(body, &new, hidden, self.config.zoneout), None)
            }
        }
    }

    /// Zoneout: what is expected of the new and the old state.
    fn keep(&self, body: &mut Graph, new: &str, old: &str, share: f64) -> Value {
        if share == 0.0 {
            return new.into();
        }
        let [of_new, of_old] = [1.0 - share, share].map(|share| body.scalar(share as f32));
        let new = body.op("Mul", &[new, &of_new], []);
        let old = body.op("Mul", &[old, &of_old], []);
        body.op("Add", &[&new, &old], [])
    }
}

/// A matrix's transpose.
fn transposed(array: &Array<f32>) -> Array<f32> {
    let (rows, columns) = (array.shape[0], array.shape[1]);
    let values = (0..columns).flat_map(|c| (0..rows).map(move |r| array.values[r * columns + c])).collect();
    Array { shape: vec![columns, rows], values }
}
