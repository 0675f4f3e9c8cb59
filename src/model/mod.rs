//! The models: what is built of recurrent stacks, in every I/O mode.
//!
//! Axes: B batch, T time, S source time, D features in, O features out, V vocabulary.

mod attention;
mod encoder_decoder;
mod input;
mod loss;
mod multi_task;
mod pooling;
mod sampling;
mod search;
mod sequence;

pub use attention::{Attention, Memory};
pub use encoder_decoder::{Decoded, END, EncoderDecoder};
pub use input::{CharacterEncoder, InputLayer};
pub use loss::Objective;
pub use multi_task::{MultiTask, TaskHead};
pub use pooling::AttentionPooling;
pub(crate) use sampling::Sampler;
pub use sampling::Sampling;
pub use search::{Hypothesis, Search};
pub use sequence::SequenceModel;

use crate::config::{CellKind, Feedback, GruReset, HiddenActivation, IoMode, Kernel, ModelConfig};
use crate::data::{AttributeSchema, Batch, Input, InputSchema, Schema, Target, TargetSchema};
use crate::error::{Error, Result};
use crate::kernel::{Cell, Options, RecurrentBackend};
use crate::recurrent::{Init, RecurrentStackConfig, RecurrentState};
use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Steps of a text or a drawing where the configuration does not say.
const MAX_STEPS: usize = 100;

/// Any model of the zoo.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program has one model, and burn's derive takes no box")]
pub enum Model<B: Backend> {
    /// One stack: every mode but encoder–decoder.
    Sequence(SequenceModel<B>),
    /// Two stacks: one reads, one writes. Or the one that writes alone: one-to-many, of tokens.
    EncoderDecoder(EncoderDecoder<B>),
    /// One stack, several heads.
    MultiTask(MultiTask<B>),
}

/// What a model gives when it runs on its own.
#[derive(Clone, Debug)]
pub struct Prediction<B: Backend> {
    /// The head's output: `[B, T, O]`, or `[B, 1, O]` where a sequence has one answer.
    pub output: Tensor<B, 3>,
    /// Valid steps of each output; `None`: all.
    pub lengths: Option<Vec<usize>>,
    /// The (reading) stack's final state; of a decoder alone, which reads nothing, zeros.
    pub state: RecurrentState<B>,
}

/// What a head reads.
#[derive(Clone, Debug)]
pub struct Features<B: Backend> {
    /// As the stack gives it, `[B, T, H]`.
    pub raw: Tensor<B, 3>,
    /// After dropout.
    pub dropped: Tensor<B, 3>,
}

impl<B: RecurrentBackend> Model<B> {
    /// Builds the model that `config` describes, its weights drawn from `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] where the configuration contradicts itself, leaves sizes open or asks for
    /// a fused kernel that this backend has not.
    pub fn new(config: &ModelConfig, seed: u64, device: &B::Device) -> Result<Self> {
        Self::build(config, &mut Init::new(seed), device)
    }

    /// [`Self::new`] without weights, and without the memory that they take: they are to be loaded.
    pub(crate) fn blank(config: &ModelConfig, device: &B::Device) -> Result<Self> {
        Self::build(config, &mut Init::blank(), device)
    }

    fn build(config: &ModelConfig, init: &mut Init, device: &B::Device) -> Result<Self> {
        config.check()?;
        if config.kernel == Kernel::Fused {
            B::fused(cell(config), options(config)).map_err(|missing| {
                Error::config("model.kernel", format!("fused cannot run: {missing}; write kernel = \"auto\""))
            })?;
        }
        Ok(match config.mode {
            _ if config.writes_tokens() => Self::EncoderDecoder(EncoderDecoder::new(config, init, device)?),
            IoMode::MultiTask => Self::MultiTask(MultiTask::new(config, init, device)?),
            _ => Self::Sequence(SequenceModel::new(config, init, device)?),
        })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &ModelConfig {
        match self {
            Self::Sequence(model) => model.config(),
            Self::EncoderDecoder(model) => model.config(),
            Self::MultiTask(model) => model.config(),
        }
    }

    /// The output for a batch whose answers are known: where a model reads its own output, it
    /// reads the true one instead (teacher forcing). `[B, T, O]`.
    ///
    /// # Panics
    /// If it is a multi-task model: [`MultiTask::forward`] gives an output a task.
    pub fn forward(&self, batch: &Batch<B>) -> Tensor<B, 3> {
        let lengths = batch.input_lengths.as_deref();
        match self {
            Self::Sequence(model) if model.config().mode == IoMode::OneToMany => {
                model.forward_given(batch.input.clone(), &batch.target)
            }
            Self::Sequence(model) => model.forward(batch.input.clone(), lengths, None).output,
            Self::EncoderDecoder(model) => match &batch.target {
                Target::Classes(target) => model.forward_given(batch.input.clone(), lengths, target.clone()),
                _ => panic!("an encoder-decoder model writes tokens"),
            },
            Self::MultiTask(_) => panic!("a multi-task model has an output a task"),
        }
    }

    /// [`forward`](Self::forward) from a state, where there is one to start from, with what the head
    /// read: models of whole sequences.
    ///
    /// # Panics
    /// If the model is one-to-many or an encoder–decoder.
    pub fn run(&self, batch: &Batch<B>, state: Option<RecurrentState<B>>) -> (Prediction<B>, Features<B>) {
        match self {
            Self::Sequence(model) if model.config().mode != IoMode::OneToMany => {
                model.run(batch.input.clone(), batch.input_lengths.as_deref(), state)
            }
            _ => panic!("a model that reads its own output does not go on from a state"),
        }
    }

    /// The output for new input, without knowing the answer.
    ///
    /// `n_steps` bounds what a one-to-many or encoder-decoder model writes; `None`: its
    /// `max_steps`.
    ///
    /// # Panics
    /// If shapes do not fit the model, or `n_steps` is needed and not known.
    pub fn predict(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        state: Option<RecurrentState<B>>,
        n_steps: Option<usize>,
    ) -> Prediction<B> {
        let steps = || n_steps.or(self.config().max_steps).expect("the steps to write: `max_steps`");
        match self {
            Self::Sequence(model) if model.config().mode == IoMode::OneToMany => {
                model.generate(input, state, steps())
            }
            Self::Sequence(model) => model.forward(input, lengths, state),
            Self::EncoderDecoder(model) => model.decode(input, lengths, steps()),
            Self::MultiTask(_) => panic!("a multi-task model has an output a task"),
        }
    }
}

/// Fills in the sizes that the data knows, and refuses those that contradict it.
///
/// # Errors
/// [`Error::Config`] naming the key and both sizes.
pub fn resolve(config: &mut ModelConfig, schema: &Schema) -> Result<()> {
    fn agree(slot: &mut Option<usize>, key: &str, data: usize) -> Result<()> {
        match *slot {
            Some(size) if size != data => Err(Error::config(
                format!("model.{key}"),
                format!("is {size}, but the data has {data}: leave it out, or write {data}"),
            )),
            _ => {
                *slot = Some(data);
                Ok(())
            }
        }
    }
    match &schema.input {
        InputSchema::Features { channels, .. } => agree(&mut config.d_input, "d_input", *channels)?,
        InputSchema::Tokens { vocabulary } => agree(&mut config.vocabulary, "vocabulary", vocabulary.len())?,
        InputSchema::Text(text) => agree(&mut config.vocabulary, "vocabulary", text.pieces.len())?,
        InputSchema::Attributes { attributes } => {
            agree(&mut config.d_input, "d_input", attributes.iter().map(AttributeSchema::width).sum())?;
        }
        InputSchema::Words { vocabulary, characters, .. } => {
            agree(&mut config.vocabulary, "vocabulary", vocabulary.len())?;
            if let Some(config) = config.characters.as_mut().filter(|_| !characters.is_empty()) {
                agree(&mut config.vocabulary, "characters.vocabulary", characters.len())?;
            }
        }
    }
    let spelled = matches!(&schema.input, InputSchema::Words { characters, .. } if !characters.is_empty());
    if spelled != config.characters.is_some() {
        let message = match spelled {
            true => "is missing, but the data spells its words: write d_embedding and d_hidden under it",
            false => "reads spellings, and the data has none: leave it out",
        };
        return Err(Error::config("model.characters", message));
    }
    match &schema.target {
        TargetSchema::Tasks { tasks } => {
            let names = |mut names: Vec<&str>| {
                names.sort_unstable();
                names.join(", ")
            };
            let known = names(tasks.iter().map(|task| task.name.as_str()).collect());
            if names(config.tasks.iter().map(|task| task.name.as_str()).collect()) != known {
                return Err(Error::config(
                    "model.tasks",
                    format!(
                        "the data has the tasks {known}: write a [[model.tasks]] for each of them, and no other"
                    ),
                ));
            }
            // In the data's order, as targets come.
            config.tasks.sort_by_key(|task| tasks.iter().position(|t| t.name == task.name));
            for (task, data) in config.tasks.iter_mut().zip(tasks) {
                let mode = if data.aligned { IoMode::ManyToMany } else { IoMode::ManyToOne };
                if task.mode != mode {
                    return Err(Error::config(
                        format!("model.tasks.{}.mode", task.name),
                        format!(
                            "does not fit the data: write {}",
                            if data.aligned { "many-to-many" } else { "many-to-one" }
                        ),
                    ));
                }
                agree(&mut task.d_output, &format!("tasks.{}.d_output", data.name), data.labels.len())?;
            }
        }
        TargetSchema::Text(text) => {
            if !config.writes_tokens() {
                let message = "the data has texts to write: write encoder-decoder, or one-to-many with \
                               feedback = \"token\"";
                return Err(Error::config("model.mode", message));
            }
            agree(&mut config.d_output, "d_output", text.pieces.len())?;
            config.max_steps.get_or_insert(MAX_STEPS);
        }
        TargetSchema::Drawing(_) if config.feedback != Some(Feedback::Token) => {
            let message = "the data has drawings to make: write \"token\", and the size of a token's embedding, as in \
                           d_feedback = 64";
            return Err(Error::config("model.feedback", message));
        }
        TargetSchema::Drawing(grid) => {
            agree(&mut config.d_output, "d_output", grid.n_tokens())?;
            config.max_steps.get_or_insert(MAX_STEPS);
        }
        TargetSchema::Class { labels } | TargetSchema::Tokens { labels } => {
            agree(&mut config.d_output, "d_output", labels.len())?;
            if config.mode == IoMode::OneToMany {
                config.feedback.get_or_insert(Feedback::Class);
            }
        }
        TargetSchema::Features { .. } if config.feedback == Some(Feedback::Token) => {
            let message = "the data has values to write, not tokens: leave out feedback and d_feedback";
            return Err(Error::config("model.feedback", message));
        }
        TargetSchema::Features { channels, .. } => agree(&mut config.d_output, "d_output", *channels)?,
    }
    config.check()
}

/// The cell that the configuration describes.
pub fn cell(config: &ModelConfig) -> Cell {
    match config.cell {
        CellKind::Rnn => match config.hidden_activation.unwrap_or_default() {
            HiddenActivation::Tanh => Cell::RnnTanh,
            HiddenActivation::Relu => Cell::RnnRelu,
        },
        CellKind::Lstm => Cell::Lstm,
        CellKind::Gru => match config.reset.unwrap_or_default() {
            GruReset::After => Cell::GruAfter,
            GruReset::Before => Cell::GruBefore,
        },
    }
}

/// What the configuration wants beyond the cell.
pub fn options(config: &ModelConfig) -> Options {
    let zoneout = config.zoneout > 0.0 || config.zoneout_cell.is_some_and(|share| share > 0.0);
    Options { layer_norm: config.layer_norm, zoneout }
}

/// The stack that the configuration describes.
pub(crate) fn stack_config(
    config: &ModelConfig,
    d_input: usize,
    bidirectional: bool,
) -> RecurrentStackConfig {
    RecurrentStackConfig {
        cell: cell(config),
        d_input,
        d_hidden: config.d_hidden,
        n_layers: config.n_layers,
        bias: config.bias,
        bidirectional,
        merge: config.merge,
        dropout: config.dropout,
        variational: config.variational,
        weight_drop: config.weight_drop,
        zoneout: config.zoneout,
        zoneout_cell: config.zoneout_cell.unwrap_or(0.0),
        layer_norm: config.layer_norm,
        initialization: config.initialization,
        forget_bias: config.forget_bias,
        kernel: config.kernel,
    }
}

/// Features that the stack reads of the model's own input, D.
fn d_features(config: &ModelConfig) -> Result<usize> {
    config.d_embedding.or(config.d_input).ok_or_else(|| {
        Error::config(
            "model.d_input",
            "is not known: write the input's features, or `vocabulary` and `d_embedding`",
        )
    })
}

fn embedding<B: Backend>(
    [rows, d]: [usize; 2],
    deviation: f64,
    init: &mut Init,
    device: &B::Device,
) -> Embedding<B> {
    Embedding { weight: init.normal([rows, d], deviation, device) }
}

fn linear<B: Backend>(
    d_input: usize,
    d_output: usize,
    bias: bool,
    init: &mut Init,
    device: &B::Device,
) -> Linear<B> {
    let bound = (d_input as f64).powf(-0.5);
    Linear {
        weight: init.uniform([d_input, d_output], bound, device),
        bias: bias.then(|| -> Param<Tensor<B, 1>> { init.uniform([d_output], bound, device) }),
    }
}

/// `x W + b` over the last axis: `[.., D]` to `[.., O]`.
fn project<B: RecurrentBackend, const N: usize>(linear: &Linear<B>, input: Tensor<B, N>) -> Tensor<B, N> {
    B::affine(input, linear.weight.val(), linear.bias.as_ref().map(Param::val))
}
