//! Which tensor of a `state_dict` is which weight of a model.

use crate::config::{
    AttentionScore, CellKind, Feedback, GruReset, IoMode, Merge, ModelConfig, Pooling, TaskConfig,
};
use crate::error::{Error, Result};
use crate::model::cell;

/// A size of a tensor: known from the configuration, or to be learned from the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many.
    Is(usize),
    /// Tokens, V.
    Vocabulary,
    /// Characters that words are spelled with.
    Characters,
    /// Features that the stack reads: D, and of a one-to-many model beside them its own output, or its last token's.
    Reads,
    /// Features out, O.
    Output,
    /// Rows of a decoder's target embedding, O + 1.
    Targets,
    /// Classes of a task, by its place.
    Task(usize),
}

/// What kind of module has some tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `torch.nn.RNN`, `LSTM` or `GRU`.
    Recurrent,
    /// `torch.nn.Embedding`.
    Embedding,
    /// `torch.nn.Linear`.
    Linear,
}

/// One weight.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its name in the model: `stack.layers.0.weight_ih`.
    pub zoo: String,
    /// Its name in its module: `weight_ih_l0`.
    pub torch: String,
    /// Its shape in PyTorch.
    pub shape: Vec<Size>,
    /// Whether the model holds it transposed.
    pub transposed: bool,
    /// Whether it is the embedding's once more, as a tied head's.
    pub copy: bool,
}

/// The weights of one module of `torch.nn`.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// What its weights' names in the model have in common: `stack`.
    pub zoo: String,
    /// The module's name where this crate writes it: `rnn`.
    pub torch: String,
    /// Its weights.
    pub slots: Vec<Slot>,
    /// What speaks for a module of this name, and what against it.
    pub words: [Vec<String>; 2],
    /// Whether the model may do without.
    pub optional: bool,
}

/// Refuses what `torch.nn` has not.
///
/// # Errors
/// [`Error::Config`] with the key.
pub fn check(config: &ModelConfig) -> Result<()> {
    let refuse = |key: &str, what: &str| {
        Err(Error::config(
            format!("model.{key}"),
            format!("PyTorch has no counterpart: torch.nn's recurrent layers know no {what}"),
        ))
    };
    if config.layer_norm {
        return refuse("layer_norm", "layer norm in the cell");
    }
    if config.zoneout > 0.0 || config.zoneout_cell.is_some_and(|share| share > 0.0) {
        return refuse("zoneout", "zoneout, which acts whenever the model runs");
    }
    if config.cell == CellKind::Gru && config.reset == Some(GruReset::Before) {
        return refuse("reset", "GRU that resets before its product; reset = \"after\" is theirs");
    }
    Ok(())
}

/// Whether it is a decoder without an encoder: one-to-many, of tokens.
pub fn alone(config: &ModelConfig) -> bool {
    config.feedback == Some(Feedback::Token)
}

/// Features that a decoder that is alone reads beside the target embedding's, where they are known.
pub fn d_vector(config: &ModelConfig) -> Option<usize> {
    config.d_projection.or(d_input(config))
}

/// Whether the stack is a list of one-layer modules: `torch.nn` only puts two directions side by side.
pub fn layered(config: &ModelConfig) -> bool {
    config.bidirectional && config.merge != Merge::Concat && config.n_layers > 1
}

/// Features that the stack gives.
pub fn d_stack(config: &ModelConfig) -> usize {
    let side_by_side = config.bidirectional && config.merge == Merge::Concat;
    config.d_hidden * if side_by_side { 2 } else { 1 }
}

/// Features that the input layer gives, where they are known.
pub fn d_input(config: &ModelConfig) -> Option<usize> {
    let spelling = config.characters.as_ref().map_or(0, |c| 2 * c.d_hidden);
    config.d_embedding.or(config.d_input).map(|d| d + spelling)
}

/// Features that an encoder–decoder's head reads: those of the decoder's state, or what attention gives.
pub fn d_features(config: &ModelConfig) -> usize {
    let as_embedding = config.attention.is_some() && config.tie_weights;
    d_input(config).filter(|_| as_embedding).unwrap_or(config.d_hidden)
}

/// Features that a decoder reads beside the target embedding's.
pub fn d_fed(config: &ModelConfig) -> usize {
    if config.input_feeding { d_features(config) } else { 0 }
}

/// The modules that a model of `config` is in PyTorch. Sizes may be open.
pub fn parts(config: &ModelConfig) -> Vec<Part> {
    let is = Size::Is;
    let output = config.d_output.map_or(Size::Output, is);
    let vocabulary = config.vocabulary.map_or(Size::Vocabulary, is);
    let (gates, d_stack) = (cell(config).gates(), d_stack(config));
    let two_stacks = config.mode == IoMode::EncoderDecoder;
    let alone = alone(config);
    let d_feedback = config.d_feedback.unwrap_or(0);
    let (source, target) = (&["enc", "src", "source"], &["dec", "tgt", "trg", "target"]);
    let mut parts = Vec::new();
    if let Some(d) = config.d_embedding {
        let part = embedding("input.embedding", "embedding", [vocabulary, is(d)]);
        parts.push(match two_stacks || alone {
            true => part.named(source).not(target).not(&["char"]),
            false => part.not(&["char"]),
        });
    }
    if let Some(c) = &config.characters {
        let rows = c.vocabulary.map_or(Size::Characters, is);
        let part = embedding("input.characters.embedding", "characters.embedding", [rows, is(c.d_embedding)]);
        parts.push(part.named(&["char"]));
        let stack = Stack {
            zoo: "input.characters.stack",
            torch: "characters.rnn",
            gates: 4,
            d_hidden: c.d_hidden,
            directions: 2,
            d_between: 2 * c.d_hidden,
            bias: true,
        };
        parts.push(stack.part(0..1, is(c.d_embedding)).named(&["char"]));
    }
    let reads = match (config.mode, d_input(config), config.d_output) {
        _ if alone => d_vector(config).map_or(Size::Reads, |d| is(d_feedback + d)),
        (IoMode::OneToMany, Some(d), Some(o)) => is(d + o),
        (IoMode::OneToMany, ..) | (_, None, _) => Size::Reads,
        (_, Some(d), _) => is(d),
    };
    let (zoo, torch) = match config.mode {
        IoMode::EncoderDecoder => ("encoder", "encoder"),
        _ if alone => ("decoder", "decoder"),
        _ => ("stack", "rnn"),
    };
    let stack = Stack {
        zoo,
        torch,
        gates,
        d_hidden: config.d_hidden,
        directions: 1 + usize::from(config.bidirectional),
        d_between: d_stack,
        bias: config.bias,
    };
    if layered(config) {
        for layer in 0..config.n_layers {
            let d = if layer == 0 { reads } else { is(d_stack) };
            parts.push(stack.part(layer..layer + 1, d).at(layer).not(&["char"]));
        }
    } else {
        let part = stack.part(0..config.n_layers, reads);
        parts.push(if two_stacks { part.named(&["enc"]).not(&["dec", "char"]) } else { part.not(&["char"]) });
    }
    match config.mode {
        IoMode::EncoderDecoder => {
            let d = config.d_hidden;
            if config.bidirectional {
                let shape = [is(d), is(2 * d)];
                let part = linear("bridge", "bridge", shape, true);
                parts.push(part.named(&["bridge"]).not(&["cell"]));
                if config.cell == CellKind::Lstm {
                    let part = linear("cell_bridge", "cell_bridge", shape, true);
                    parts.push(part.named(&["bridge", "cell"]));
                }
            }
            let columns = d_input(config);
            let part = target_embedding(config, columns.map_or(Size::Reads, is));
            parts.push(part.named(target).not(source).not(&["char"]));
            let decoder = Stack { zoo: "decoder", torch: "decoder", directions: 1, d_between: d, ..stack };
            let reads = columns.map_or(Size::Reads, |d| is(d + d_fed(config)));
            parts.push(decoder.part(0..config.n_layers, reads).named(&["dec"]).not(&["enc", "char"]));
            if let Some(score) = config.attention {
                parts.extend(decoder_attention(config, score));
            }
            let mut part = head("head", "head", [output, is(d_features(config))], config.head_has_bias());
            if config.tie_weights {
                // Its weight is the target embedding's: all rows but the last.
                part.slots.remove(0);
                part.slots.iter_mut().for_each(|bias| bias.zoo = "tied_bias".into());
            }
            if !part.slots.is_empty() {
                parts.push(part);
            }
        }
        _ if alone => {
            let part = target_embedding(config, is(d_feedback));
            parts.push(part.named(target).not(source).not(&["char"]));
            let head = head("head", "head", [output, is(config.d_hidden)], config.head_has_bias());
            match config.d_projection {
                Some(d) => {
                    let shape = [is(d), d_input(config).map_or(Size::Reads, is)];
                    let part = linear("projection", "projection", shape, true);
                    parts.extend([part.named(&["proj"]), head.not(&["proj"])]);
                }
                None => parts.push(head),
            }
        }
        IoMode::MultiTask => {
            for (k, task) in config.tasks.iter().enumerate() {
                let others = config.tasks.iter().filter(|other| other.name != task.name);
                let others: Vec<&str> = others.map(|other| other.name.as_str()).collect();
                let attention = task_attention(task).then(|| attention(k, d_stack)).into_iter().flatten();
                parts.extend(attention.map(|part| part.named(&[&task.name]).not(&others)));
                let rows = task.d_output.map_or(Size::Task(k), is);
                let (zoo, torch) = (format!("heads.{k}.linear"), format!("heads.{k}"));
                let part = head(&zoo, &torch, [rows, is(d_stack)], config.head_has_bias());
                parts.push(part.named(&[&task.name]).not(&others));
            }
        }
        _ => {
            if config.pooling == Some(Pooling::Attention) {
                parts.extend(attention_of("attention", "attention", d_stack));
            }
            let mut part = head("head", "head", [output, is(d_stack)], config.head_has_bias());
            part.optional = config.d_output.is_none();
            if config.tie_weights {
                let rows = if output == Size::Output { vocabulary } else { output };
                let copy = &mut part.slots[0];
                (copy.zoo, copy.shape) = ("input.embedding.weight".into(), vec![rows, is(d_stack)]);
                (copy.transposed, copy.copy) = (false, true);
                if let Some(bias) = part.slots.get_mut(1) {
                    (bias.zoo, bias.shape) = ("tied_bias".into(), vec![rows]);
                }
                part.optional = !config.head_has_bias();
            }
            parts.push(part);
        }
    }
    parts
}

fn task_attention(task: &TaskConfig) -> bool {
    task.pooling == Some(Pooling::Attention)
}

fn attention(task: usize, d: usize) -> [Part; 2] {
    attention_of(&format!("heads.{task}.attention"), &format!("attentions.{task}"), d)
}

fn attention_of(zoo: &str, torch: &str, d: usize) -> [Part; 2] {
    let at = |stem: &str, part: &str| format!("{stem}.{part}");
    let is = Size::Is;
    [("hidden", d, true), ("score", 1, false)].map(|(name, rows, bias)| {
        linear(&at(zoo, name), &at(torch, name), [is(rows), is(d)], bias).named(&["att", name])
    })
}

/// A decoder's attention, its modules named as those of OpenNMT's `GlobalAttention`.
fn decoder_attention(config: &ModelConfig, score: AttentionScore) -> Vec<Part> {
    let (memory, hidden) = (d_stack(config), config.d_hidden);
    let part = |zoo: &str, torch: &str, [rows, columns]: [usize; 2], bias: bool| {
        let shape = [Size::Is(rows), Size::Is(columns)];
        linear(&format!("attention.{zoo}"), &format!("attention.{torch}"), shape, bias).named(&["att"])
    };
    let mut parts = match score {
        AttentionScore::Dot => Vec::new(),
        AttentionScore::General => {
            // There it multiplies the decoder's state, here the encoder's outputs: it is transposed twice.
            let mut part = part("memory", "linear_in", [memory, hidden], false);
            part.slots[0].transposed = false;
            vec![part.named(&["in"])]
        }
        AttentionScore::Additive => vec![
            part("memory", "linear_context", [hidden, memory], false)
                .named(&["context", "memory", "key", "enc"])
                .not(&["query"]),
            part("query", "linear_query", [hidden, hidden], config.bias)
                .named(&["query"])
                .not(&["context", "memory", "key", "enc"]),
            part("score", "v", [1, hidden], false).named(&["score", "energy", "v"]),
        ],
    };
    let out = part("combine", "linear_out", [d_features(config), memory + hidden], false);
    parts.push(out.named(&["out", "concat", "combine"]).not(&["in", "context", "query"]));
    parts
}

/// A decoder's, whose last row starts a sequence.
fn target_embedding(config: &ModelConfig, columns: Size) -> Part {
    let rows = config.d_output.map_or(Size::Targets, |o| Size::Is(o + 1));
    embedding("target_embedding", "target_embedding", [rows, columns])
}

fn embedding(zoo: &str, torch: &str, shape: [Size; 2]) -> Part {
    let weight = slot(zoo, "weight", shape.to_vec(), false);
    part(Kind::Embedding, zoo, torch, vec![weight]).named(&["emb", "embedding"])
}

fn linear(zoo: &str, torch: &str, shape: [Size; 2], bias: bool) -> Part {
    let mut slots = vec![slot(zoo, "weight", shape.to_vec(), true)];
    if bias {
        slots.push(slot(zoo, "bias", vec![shape[0]], false));
    }
    part(Kind::Linear, zoo, torch, slots)
}

fn head(zoo: &str, torch: &str, shape: [Size; 2], bias: bool) -> Part {
    linear(zoo, torch, shape, bias)
        .named(&["head", "fc", "linear", "out", "class", "dense", "proj"])
        .not(&["att", "bridge", "emb"])
}

fn slot(zoo: &str, torch: &str, shape: Vec<Size>, transposed: bool) -> Slot {
    Slot { zoo: format!("{zoo}.{torch}"), torch: torch.into(), shape, transposed, copy: false }
}

fn part(kind: Kind, zoo: &str, torch: &str, slots: Vec<Slot>) -> Part {
    let words = [Vec::new(), Vec::new()];
    Part { kind, zoo: zoo.into(), torch: torch.into(), slots, words, optional: false }
}

impl Part {
    fn named(mut self, words: &[&str]) -> Self {
        self.words[0].extend(words.iter().map(|word| word.to_lowercase()));
        self
    }

    fn not(mut self, words: &[&str]) -> Self {
        self.words[1].extend(words.iter().map(|word| word.to_lowercase()));
        self
    }

    /// As a layer of a list.
    fn at(mut self, layer: usize) -> Self {
        self.torch = format!("{}.{layer}", self.torch);
        self.zoo = format!("{}.{layer}", self.zoo);
        self
    }
}

#[derive(Clone, Copy)]
struct Stack {
    zoo: &'static str,
    torch: &'static str,
    gates: usize,
    d_hidden: usize,
    directions: usize,
    /// Features from layer to layer.
    d_between: usize,
    bias: bool,
}

impl Stack {
    /// Some of its layers as one module, the first of which reads `reads`.
    fn part(&self, layers: std::ops::Range<usize>, reads: Size) -> Part {
        let (rows, d) = (Size::Is(self.gates * self.d_hidden), Size::Is(self.d_hidden));
        let mut slots = Vec::new();
        for layer in layers.clone() {
            for direction in 0..self.directions {
                let columns = if layer == layers.start { reads } else { Size::Is(self.d_between) };
                let mut shapes = vec![("weight_ih", vec![rows, columns]), ("weight_hh", vec![rows, d])];
                if self.bias {
                    shapes.extend([("bias_ih", vec![rows]), ("bias_hh", vec![rows])]);
                }
                let k = layer * self.directions + direction;
                let suffix = if direction == 1 { "_reverse" } else { "" };
                slots.extend(shapes.into_iter().map(|(name, shape)| Slot {
                    zoo: format!("{}.layers.{k}.{name}", self.zoo),
                    torch: format!("{name}_l{}{suffix}", layer - layers.start),
                    shape,
                    transposed: false,
                    copy: false,
                }));
            }
        }
        part(Kind::Recurrent, self.zoo, self.torch, slots)
    }
}
