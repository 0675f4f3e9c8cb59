//! The Python file that builds a model of `torch.nn` modules, loads its weights and runs it.

use super::layout::{alone, d_features, d_fed, d_input, d_stack, d_vector, layered};
use crate::config::{
    AttentionScore, CellKind, Config, Feedback, HiddenActivation, IoMode, Merge, ModelConfig,
    OutputActivation, Pooling,
};
use crate::model::END;

/// Steps that a model writes where its configuration says nothing.
const STEPS: usize = 100;

const RUN: &str = r#"
def run(rnn, x, lengths=None, state=None):
    """What a recurrent module gives at every step, zero past each length, and its final state."""
    if lengths is None:
        return rnn(x, state)
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    output, state = rnn(packed, state)
    return pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])[0], state
"#;

const PADDING: &str = r#"
def padding(steps, lengths):
    """True past each length, [B, T, 1]."""
    places = torch.arange(steps.shape[1], device=steps.device)
    return (places >= lengths.to(steps.device).unsqueeze(1)).unsqueeze(2)
"#;

const MEAN: &str = r#"
def pool_mean(steps, lengths):
    """The mean over valid steps; those past them are zero."""
    return steps.mean(1) if lengths is None else steps.sum(1) / lengths.to(steps.device).unsqueeze(1)
"#;

const MAX: &str = r#"
def pool_max(steps, lengths):
    """The maximum over valid steps."""
    if lengths is not None:
        steps = steps.masked_fill(padding(steps, lengths), float("-inf"))
    return steps.amax(1)
"#;

const ATTENTION: &str = r#"
def pool_attention(attention, steps, lengths):
    """A learned weighting of valid steps."""
    scores = attention["score"](torch.tanh(attention["hidden"](steps)))
    if lengths is not None:
        scores = scores.masked_fill(padding(steps, lengths), float("-inf"))
    return (scores.softmax(1) * steps).sum(1)
"#;

const BRIDGE: &str = r#"
def bridge(linear, state):
    """One state a layer of the two directions' states, [2 L, B, H] to [L, B, H]."""
    return torch.tanh(linear(torch.cat([state[0::2], state[1::2]], -1)))
"#;

/// The file's text. `config` has all its sizes.
pub fn source(config: &Config) -> String {
    let model = &config.model;
    let writer = Writer { config: model, lstm: model.cell == CellKind::Lstm };
    let mut text = writer.head(config);
    let poolings: Vec<Pooling> = match model.mode {
        IoMode::ManyToOne => vec![model.pooling.unwrap_or_default()],
        _ => {
            let tasks = model.tasks.iter().filter(|task| task.mode == IoMode::ManyToOne);
            tasks.map(|task| task.pooling.unwrap_or_default()).collect()
        }
    };
    let mut helpers = Vec::new();
    if !alone(model) {
        helpers.push(RUN.to_string());
    }
    if model.bidirectional && model.merge != Merge::Concat {
        helpers.push(writer.merge());
    }
    if layered(model) {
        helpers.push(writer.run_layers());
    }
    let pools = |kinds: &[Pooling]| poolings.iter().any(|pooling| kinds.contains(pooling));
    for (wanted, helper) in [
        (pools(&[Pooling::Max, Pooling::Attention]) || model.attention.is_some(), PADDING),
        (pools(&[Pooling::Mean]), MEAN),
        (pools(&[Pooling::Max]), MAX),
        (pools(&[Pooling::Attention]), ATTENTION),
        (model.mode == IoMode::EncoderDecoder && model.bidirectional, BRIDGE),
    ] {
        if wanted {
            helpers.push(helper.into());
        }
    }
    helpers.extend(model.attention.map(|score| writer.attention(score)));
    helpers.push(writer.module());
    helpers.push(writer.main());
    for helper in helpers {
        text += "\n";
        text += &helper;
    }
    text + "\n\nif __name__ == \"__main__\":\n    main(sys.argv[1:])\n"
}

struct Writer<'a> {
    config: &'a ModelConfig,
    lstm: bool,
}

impl Writer<'_> {
    fn head(&self, config: &Config) -> String {
        let c = self.config;
        let [name, what] = [&config.name, &config.description].map(|text| in_docstring(text));
        let colon = if what.is_empty() { "" } else { ": " };
        let n_steps = if c.mode == IoMode::OneToMany { "1" } else { "T" };
        let mut input = match (c.vocabulary, c.d_input) {
            (Some(vocabulary), _) => format!("x, tokens below {vocabulary} (int64 [B, {n_steps}])"),
            (None, d) => format!("x (float32 [B, {n_steps}, {}])", d.unwrap_or(0)),
        };
        if let Some(n) = c.characters.as_ref().and_then(|characters| characters.vocabulary) {
            input += &format!(
                ",\ncharacters below {n}, the spelling of every word (int64 [B, {n_steps}, C]), and character_lengths \
                 (int64 [B, {n_steps}])"
            );
        }
        input += match c.mode {
            _ if alone(c) => "",
            IoMode::EncoderDecoder => ";\nit may hold lengths (int64 [B])",
            _ if self.lstm => {
                ";\nit may hold lengths (int64 [B]), h0 and c0 (float32 [layers * directions, B, H])"
            }
            _ => ";\nit may hold lengths (int64 [B]) and h0 (float32 [layers * directions, B, H])",
        };
        let cell_state = if self.lstm { ", h_n and c_n" } else { " and h_n" };
        let output = match c.mode {
            IoMode::MultiTask => format!("y.NAME of every task{cell_state}"),
            _ if alone(c) => "y and lengths".into(),
            IoMode::EncoderDecoder => format!("y, lengths{cell_state}"),
            _ => format!("y{cell_state}"),
        };
        let packing = match alone(c) {
            true => "",
            false => "from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence\n",
        };
        format!(
            r#""""{name}{colon}{what}

Written by rnn-zoo {}; needs torch and safetensors. schema.json names what goes in and comes out.

    python model.py                                  runs on random input
    python model.py IN.safetensors OUT.safetensors   runs on a file

IN holds {input}.
OUT gets {output}. Dropout, which acts in training alone, is left out.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
{packing}"#,
            env!("CARGO_PKG_VERSION"),
        )
    }

    fn merge(&self) -> String {
        let merged = match self.config.merge {
            Merge::Mean => "(forward + reverse) / 2",
            Merge::Max => "torch.maximum(forward, reverse)",
            _ => "forward + reverse",
        };
        format!(
            r#"
def merge(output):
    """One of two directions."""
    forward, reverse = output.chunk(2, -1)
    return {merged}
"#
        )
    }

    /// Layers whose merged outputs are the next one's input.
    fn run_layers(&self) -> String {
        let (of_layer, all) = match self.lstm {
            true => {
                ("tuple(part[rows] for part in state)", "tuple(torch.cat(part) for part in zip(*states))")
            }
            false => ("state[rows]", "torch.cat(states)"),
        };
        format!(
            r#"
def run_layers(layers, x, lengths=None, state=None):
    """As run, of modules of one layer each, whose directions are merged in between."""
    states = []
    for k, layer in enumerate(layers):
        rows = slice(2 * k, 2 * k + 2)
        x, final = run(layer, x, lengths, None if state is None else {of_layer})
        x = merge(x)
        states.append(final)
    return x, {all}
"#
        )
    }

    /// A recurrent module's expression.
    fn rnn(&self, d_input: usize, n_layers: usize, bidirectional: bool) -> String {
        let c = self.config;
        let (name, activation) = match (c.cell, c.hidden_activation) {
            (CellKind::Lstm, _) => ("LSTM", ""),
            (CellKind::Gru, _) => ("GRU", ""),
            (CellKind::Rnn, Some(HiddenActivation::Relu)) => ("RNN", ", nonlinearity=\"relu\""),
            (CellKind::Rnn, _) => ("RNN", ""),
        };
        let layers = if n_layers > 1 { format!(", num_layers={n_layers}") } else { String::new() };
        let bias = if c.bias { "" } else { ", bias=False" };
        let both = if bidirectional { ", bidirectional=True" } else { "" };
        let d_hidden = c.d_hidden;
        format!("nn.{name}({d_input}, {d_hidden}{layers}{activation}{bias}{both}, batch_first=True)")
    }

    fn output_layer(&self, d_input: usize, d_output: usize) -> String {
        linear(d_input, d_output, self.config.head_has_bias())
    }

    fn d_output(&self) -> usize {
        self.config.d_output.unwrap_or(d_stack(self.config))
    }

    /// The class that looks back at what the encoder gave.
    fn attention(&self, score: AttentionScore) -> String {
        let c = self.config;
        let (d_memory, h, d) = (d_stack(c), c.d_hidden, d_features(c));
        let (what, mut modules, scores) = match score {
            AttentionScore::Dot => ("h · m", Vec::new(), "hidden @ memory.transpose(1, 2)"),
            AttentionScore::General => (
                "linear_in(h) · m",
                vec![format!("linear_in = nn.Linear({h}, {d_memory}, bias=False)")],
                "self.linear_in(hidden) @ memory.transpose(1, 2)",
            ),
            AttentionScore::Additive => (
                "v(tanh(linear_query(h) + linear_context(m)))",
                vec![
                    format!("linear_context = nn.Linear({d_memory}, {h}, bias=False)"),
                    format!("linear_query = {}", linear(h, h, c.bias)),
                    format!("v = nn.Linear({h}, 1, bias=False)"),
                ],
                "self.v(torch.tanh(self.linear_query(hidden).unsqueeze(2) + keys.unsqueeze(1))).squeeze(3)",
            ),
        };
        modules.push(format!("linear_out = nn.Linear({}, {d}, bias=False)", d_memory + h));
        let modules: String = modules.iter().map(|module| format!("        self.{module}\n")).collect();
        let (keys, taken) = match score {
            AttentionScore::Additive => (
                r#"
    def keys(self, memory):
        """What the decoder's states are held against, once for all steps: [B, S, H]."""
        return self.linear_context(memory)
"#,
                "memory, keys",
            ),
            _ => ("", "memory"),
        };
        format!(
            r#"
class Attention(nn.Module):
    """What the decoder's state h finds in the encoder's outputs m: tanh(linear_out([c; h])), where c is the sum of the m,
    each weighed by the softmax of its score,

        {what}

    The modules' names are those of OpenNMT's GlobalAttention."""

    def __init__(self):
        super().__init__()
{modules}{keys}
    def forward(self, hidden, {taken}, ended):
        """[B, T, {d}], and where it looked, [B, T, S]; ended is true past each length, [B, 1, S]."""
        scores = {scores}
        if ended is not None:
            scores = scores.masked_fill(ended, float("-inf"))
        weights = scores.softmax(-1)
        return torch.tanh(self.linear_out(torch.cat([weights @ memory, hidden], -1))), weights
"#
        )
    }

    /// The class: its modules, and how input goes through them.
    fn module(&self) -> String {
        let c = self.config;
        let d_reads = d_input(c).unwrap_or(0);
        let d_feedback = c.d_feedback.unwrap_or(0);
        let mut init: Vec<String> = Vec::new();
        if let (Some(rows), Some(d)) = (c.vocabulary, c.d_embedding) {
            init.push(format!("self.embedding = nn.Embedding({rows}, {d})"));
        }
        if let Some(characters) = &c.characters {
            let (rows, d, h) =
                (characters.vocabulary.unwrap_or(0), characters.d_embedding, characters.d_hidden);
            init.push("self.characters = nn.ModuleDict({".into());
            init.push(format!("    \"embedding\": nn.Embedding({rows}, {d}),"));
            init.push(format!("    \"rnn\": nn.LSTM({d}, {h}, bidirectional=True, batch_first=True),"));
            init.push("})".into());
        }
        let attention = |d: usize| {
            format!(
                "nn.ModuleDict({{\"hidden\": nn.Linear({d}, {d}), \"score\": nn.Linear({d}, 1, bias=False)}})"
            )
        };
        let d = d_stack(c);
        let fed_back = if c.mode == IoMode::OneToMany { self.d_output() } else { 0 };
        let name = if c.mode == IoMode::EncoderDecoder { "encoder" } else { "rnn" };
        let target_embedding = |d: usize| {
            let rows = self.d_output() + 1;
            format!("self.target_embedding = nn.Embedding({rows}, {d})  # the last row starts a sequence")
        };
        if alone(c) {
            if let Some(d) = c.d_projection {
                init.push(format!("self.projection = nn.Linear({d_reads}, {d})"));
            }
            init.push(target_embedding(d_feedback));
            let d = d_feedback + d_vector(c).unwrap_or(0);
            init.push(format!("self.decoder = {}", self.rnn(d, c.n_layers, false)));
        } else if layered(c) {
            let (first, next) = (self.rnn(d_reads, 1, true), self.rnn(d, 1, true));
            let modules = if d_reads == d {
                format!("{next} for _ in range({})", c.n_layers)
            } else {
                format!("{first}] + [{next} for _ in range({})", c.n_layers - 1)
            };
            init.push(format!("self.{name} = nn.ModuleList([{modules}])"));
        } else {
            init.push(format!("self.{name} = {}", self.rnn(d_reads + fed_back, c.n_layers, c.bidirectional)));
        }
        match c.mode {
            IoMode::EncoderDecoder => {
                let h = c.d_hidden;
                if c.bidirectional {
                    init.push(format!("self.bridge = nn.Linear({}, {h})", 2 * h));
                    if self.lstm {
                        init.push(format!("self.cell_bridge = nn.Linear({}, {h})", 2 * h));
                    }
                }
                init.push(target_embedding(d_reads));
                init.push(format!("self.decoder = {}", self.rnn(d_reads + d_fed(c), c.n_layers, false)));
                if c.attention.is_some() {
                    init.push("self.attention = Attention()".into());
                }
                match (c.tie_weights, c.head_has_bias()) {
                    (false, _) => {
                        let head = self.output_layer(d_features(c), self.d_output());
                        init.push(format!("self.head = {head}"));
                    }
                    (true, true) => {
                        init.push(
                            "# The head's weight is the target embedding's, all rows but the last.".into(),
                        );
                        let bias = format!("nn.Parameter(torch.zeros({}))", self.d_output());
                        init.push(format!("self.head = nn.ParameterDict({{\"bias\": {bias}}})"));
                    }
                    (true, false) => {}
                }
            }
            IoMode::MultiTask => {
                let by_attention = |k: &usize| c.tasks[*k].pooling == Some(Pooling::Attention);
                let pooled: Vec<String> = (0..c.tasks.len())
                    .filter(by_attention)
                    .map(|k| format!("\"{k}\": {}", attention(d)))
                    .collect();
                if !pooled.is_empty() {
                    init.push(format!("self.attentions = nn.ModuleDict({{{}}})", pooled.join(", ")));
                }
                init.push("self.heads = nn.ModuleList([".into());
                for task in &c.tasks {
                    let head = self.output_layer(d, task.d_output.unwrap_or(0));
                    init.push(format!("    {head},  # {}", quoted(&task.name)));
                }
                init.push("])".into());
            }
            _ => {
                if c.pooling == Some(Pooling::Attention) {
                    init.push(format!("self.attention = {}", attention(d)));
                }
                if c.d_output.is_some() {
                    init.push(format!("self.head = {}", self.output_layer(d, self.d_output())));
                }
                if c.tie_weights {
                    init.push("self.head.weight = self.embedding.weight".into());
                }
            }
        }
        let mut text =
            String::from("\nclass Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n");
        init.iter().for_each(|line| text += &format!("        {line}\n"));
        text += "\n";
        self.forward().iter().for_each(|line| text += &format!("    {line}\n"));
        text
    }

    fn forward(&self) -> Vec<String> {
        let c = self.config;
        let (spelling, steps) = (
            if c.characters.is_some() { ", characters, character_lengths" } else { "" },
            c.max_steps.unwrap_or(STEPS),
        );
        let mut lines = vec![match c.mode {
            _ if alone(c) => format!("def forward(self, x{spelling}, n_steps={steps}):"),
            IoMode::OneToMany => format!("def forward(self, x{spelling}, state=None, n_steps={steps}):"),
            IoMode::EncoderDecoder => {
                format!("def forward(self, x{spelling}, lengths=None, n_steps={steps}):")
            }
            _ => format!("def forward(self, x{spelling}, lengths=None, state=None):"),
        }];
        let mut say =
            |line: &str| lines.push(if line.is_empty() { String::new() } else { format!("    {line}") });
        if c.d_embedding.is_none() && matches!(c.mode, IoMode::OneToOne | IoMode::OneToMany) {
            say("if x.dim() == 2:");
            say("    x = x.unsqueeze(1)");
        }
        if c.d_embedding.is_some() {
            say("x = self.embedding(x)");
        }
        if c.characters.is_some() {
            say("letters = self.characters[\"embedding\"](characters.flatten(0, 1))");
            say(
                "_, (final, _) = run(self.characters[\"rnn\"], letters, character_lengths.flatten().clamp(min=1))",
            );
            say("x = torch.cat([x, torch.cat([final[0], final[1]], -1).unflatten(0, x.shape[:2])], -1)");
        }
        let run = if layered(c) { "run_layers" } else { "run" };
        let merges = c.bidirectional && c.merge != Merge::Concat;
        // A decoder's first token, and its steps until every row has ended.
        let start = format!("token = torch.full((len(x), 1), {}, device=x.device)", self.d_output());
        let begin = [
            start.as_str(),
            "written = torch.zeros(len(x), dtype=torch.int64, device=x.device)  # 0: goes on",
            "outputs = []",
            "while len(outputs) < n_steps and (written == 0).any():",
        ];
        let marked = format!("    written[(written == 0) & (token[:, 0] == {END})] = len(outputs)");
        let end =
            ["    token = outputs[-1].argmax(-1)", marked.as_str(), "written[written == 0] = len(outputs)"];
        match c.mode {
            _ if alone(c) => {
                if c.d_projection.is_some() {
                    say("x = torch.tanh(self.projection(x))");
                }
                say("state = None");
                begin.iter().for_each(|line| say(line));
                say(
                    "    output, state = self.decoder(torch.cat([self.target_embedding(token), x], -1), state)",
                );
                say(&format!("    outputs.append({})", self.written("output")));
                end.iter().for_each(|line| say(line));
                say("return torch.cat(outputs, 1), written");
            }
            IoMode::OneToMany => {
                let d = self.d_output();
                say(&format!("last = x.new_zeros(len(x), 1, {d})"));
                say("outputs = []");
                say("for _ in range(n_steps):");
                say("    output, state = self.rnn(torch.cat([x, last], -1), state)");
                say(&format!("    outputs.append({})", self.written("output")));
                say(&match c.feedback {
                    Some(Feedback::Class) => {
                        format!("    last = nn.functional.one_hot(outputs[-1].argmax(-1), {d}).to(x.dtype)")
                    }
                    _ => "    last = outputs[-1]".into(),
                });
                say("return torch.cat(outputs, 1), state");
            }
            IoMode::EncoderDecoder => {
                let memory = if c.attention.is_some() { "memory" } else { "_" };
                say(&format!("{memory}, read = {run}(self.encoder, x, lengths)"));
                say(match (c.bidirectional, self.lstm) {
                    (false, _) => "state = read",
                    (true, false) => "state = bridge(self.bridge, read)",
                    (true, true) => "state = bridge(self.bridge, read[0]), bridge(self.cell_bridge, read[1])",
                });
                if let Some(score) = c.attention {
                    if merges && !layered(c) {
                        say("memory = merge(memory)");
                    }
                    if score == AttentionScore::Additive {
                        say("keys = self.attention.keys(memory)");
                    }
                    say("ended = None if lengths is None else padding(memory, lengths).transpose(1, 2)");
                }
                if c.input_feeding {
                    say(&format!("found = memory.new_zeros(len(x), 1, {})", d_features(c)));
                }
                begin.iter().for_each(|line| say(line));
                let embedded = "self.target_embedding(token)";
                say(&match c.input_feeding {
                    true => {
                        format!("    output, state = self.decoder(torch.cat([{embedded}, found], -1), state)")
                    }
                    false => format!("    output, state = self.decoder({embedded}, state)"),
                });
                let features = match c.attention {
                    None => "output",
                    Some(score) => {
                        let keys = if score == AttentionScore::Additive { ", keys" } else { "" };
                        say(&format!("    found, _ = self.attention(output, memory{keys}, ended)"));
                        "found"
                    }
                };
                say(&format!("    outputs.append({})", self.written(features)));
                end.iter().for_each(|line| say(line));
                say("return torch.cat(outputs, 1), written, read");
            }
            _ => {
                say(&format!("output, state = {run}(self.rnn, x, lengths, state)"));
                if merges && !layered(c) {
                    say("output = merge(output)");
                }
                if c.mode == IoMode::MultiTask {
                    say("outputs = {}");
                    for (k, task) in c.tasks.iter().enumerate() {
                        let features = match (task.mode, task.pooling.unwrap_or_default()) {
                            (IoMode::ManyToOne, pooling) => {
                                self.pooled(pooling, &format!("self.attentions[\"{k}\"]"))
                            }
                            _ => "output".into(),
                        };
                        say(&format!("outputs[{}] = self.heads[{k}]({features})", quoted(&task.name)));
                    }
                    say("return outputs, state");
                } else {
                    let features = match c.mode {
                        IoMode::ManyToOne => self.pooled(c.pooling.unwrap_or_default(), "self.attention"),
                        _ => "output".into(),
                    };
                    say(&format!("return {}, state", self.written(&features)));
                }
            }
        }
        lines
    }

    /// What a many-to-one head reads.
    fn pooled(&self, pooling: Pooling, attention: &str) -> String {
        let hidden = if self.lstm { "state[0]" } else { "state" };
        let both = format!("torch.cat([{hidden}[-2], {hidden}[-1]], -1)");
        match pooling {
            Pooling::Last if !self.config.bidirectional => format!("{hidden}[-1]"),
            Pooling::Last if self.config.merge == Merge::Concat => both,
            Pooling::Last => format!("merge({both})"),
            Pooling::Mean => "pool_mean(output, lengths)".into(),
            Pooling::Max => "pool_max(output, lengths)".into(),
            Pooling::Attention => format!("pool_attention({attention}, output, lengths)"),
        }
    }

    /// The head, where there is one, and its non-linearity.
    fn written(&self, features: &str) -> String {
        let c = self.config;
        if c.mode == IoMode::EncoderDecoder && c.tie_weights {
            let bias = if c.head_has_bias() { ", self.head[\"bias\"]" } else { "" };
            return format!("nn.functional.linear({features}, self.target_embedding.weight[:-1]{bias})");
        }
        let headed = c.d_output.map_or(features.into(), |_| format!("self.head({features})"));
        // A decoder's and a task's head have none.
        match c.output_activation {
            _ if c.writes_tokens() => headed,
            OutputActivation::Identity => headed,
            OutputActivation::Tanh => format!("torch.tanh({headed})"),
            OutputActivation::Relu => format!("torch.relu({headed})"),
            OutputActivation::Sigmoid => format!("torch.sigmoid({headed})"),
            OutputActivation::Softmax => format!("torch.softmax({headed}, -1)"),
        }
    }

    fn main(&self) -> String {
        let c = self.config;
        let n_steps = if c.mode == IoMode::OneToMany { 1 } else { 7 };
        let x = match (c.vocabulary, c.d_input) {
            (Some(vocabulary), _) => format!("torch.randint({vocabulary}, (2, {n_steps}))"),
            (None, d) => format!("torch.randn(2, {n_steps}, {})", d.unwrap_or(0)),
        };
        let random = match c.characters.as_ref().map(|characters| characters.vocabulary.unwrap_or(0)) {
            None => format!("\"x\": {x}"),
            Some(n) => format!(
                r#"
        "x": {x},
        "characters": torch.randint({n}, (2, {n_steps}, 5)),
        "character_lengths": torch.full((2, {n_steps}), 5),
    "#
            ),
        };
        let mut call = String::from("inputs[\"x\"]");
        if c.characters.is_some() {
            call += ", inputs[\"characters\"], inputs[\"character_lengths\"]";
        }
        if c.mode != IoMode::OneToMany {
            call += ", inputs.get(\"lengths\")";
        }
        let state = match (c.mode, self.lstm) {
            _ if c.writes_tokens() => "",
            (_, true) => "    state = (inputs[\"h0\"], inputs[\"c0\"]) if \"h0\" in inputs else None\n",
            (_, false) => "    state = inputs.get(\"h0\")\n",
        };
        if !state.is_empty() {
            call += if c.mode == IoMode::OneToMany { ", state=state" } else { ", state" };
        }
        let (given, y) = match c.mode {
            IoMode::MultiTask => ("y, state", "{f\"y.{name}\": value for name, value in y.items()}"),
            IoMode::EncoderDecoder => ("y, lengths, state", "{\"y\": y, \"lengths\": lengths}"),
            _ if alone(c) => ("y, lengths", "{\"y\": y, \"lengths\": lengths}"),
            _ => ("y, state", "{\"y\": y}"),
        };
        let states = match self.lstm {
            _ if alone(c) => "",
            true => " | {\"h_n\": state[0], \"c_n\": state[1]}",
            false => " | {\"h_n\": state}",
        };
        format!(
            r#"
def load():
    """The model and its weights."""
    model = Model()
    weights = load_file(Path(__file__).with_name("model.safetensors"))
    model.load_state_dict(weights, strict=True)
    return model.eval()


@torch.no_grad()
def main(files):
    inputs = load_file(files[0]) if files else {{{random}}}
{state}    {given} = load()({call})
    outputs = {y}{states}
    if len(files) > 1:
        save_file({{name: value.contiguous() for name, value in outputs.items()}}, files[1])
    else:
        for name, value in outputs.items():
            print(name, list(value.shape))
"#
        )
    }
}

/// A text as Python writes it: JSON's strings are Python's.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text becomes JSON")
}

/// A linear layer's expression.
fn linear(d_input: usize, d_output: usize, bias: bool) -> String {
    let bias = if bias { "" } else { ", bias=False" };
    format!("nn.Linear({d_input}, {d_output}{bias})")
}

/// A text within Python's three double quotes.
fn in_docstring(text: &str) -> String {
    let escaped = |c: char| match c {
        '\\' | '"' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_stays_within_its_docstring() {
        let mut config = Config::new("a", ModelConfig::new(IoMode::ManyToOne, CellKind::Gru, 2));
        config.description = "say \"\"\" and \\ and \0 and\nso on".into();
        let text = source(&config);
        assert!(text.starts_with(r#""""a: say \"\"\" and \\ and \u0000 and\u000aso on"#), "{text}");
        assert!(!text.contains('\0'));
        assert_eq!(text.lines().nth(1), Some(""));
    }
}
