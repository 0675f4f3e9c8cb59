//! The tables of a configuration file, as its reader sees them.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A whole configuration file: what to build, what to feed it, how to train it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model's name in the zoo; a run and a model folder are called by it.
    pub name: String,
    /// One sentence on what the model does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The model.
    pub model: ModelConfig,
    /// Its data.
    pub data: DataConfig,
    /// Its training.
    #[serde(default)]
    pub train: TrainConfig,
}

/// Which way inputs and outputs are laid over time.
///
/// B batch, T time, S source time, D features in, O features out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoMode {
    /// `[B, D]` and a state to `[B, O]` and the new state: a stream, one reading at a time.
    OneToOne,
    /// `[B, D]` to `[B, T, O]`, each output fed back as the next input.
    OneToMany,
    /// `[B, T, D]` to `[B, O]`.
    ManyToOne,
    /// `[B, T, D]` to `[B, T, O]`, aligned step by step.
    ManyToMany,
    /// Tokens `[B, S]` to `[B, T, O]`: one stack reads, a second one writes.
    EncoderDecoder,
    /// `[B, T, D]` to what each of several tasks has to say: one stack, a head a task.
    MultiTask,
}

/// The recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellKind {
    /// Elman's network: `h' = σ(W x + U h + b)`.
    Rnn,
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

/// The non-linearity σ of an [`CellKind::Rnn`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenActivation {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// Rectified linear unit.
    Relu,
}

/// Where a [`CellKind::Gru`] applies its reset gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GruReset {
    /// To `U_n h + b_hn`, after the product: PyTorch, cuDNN.
    #[default]
    After,
    /// To `h`, before the product: Cho et al. 2014.
    Before,
}

/// How the outputs of two directions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    /// One beside the other: 2·H features.
    #[default]
    Concat,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The larger of the two, feature by feature.
    Max,
}

/// How weights start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialization {
    /// Everything uniform in ±1/√H, as PyTorch does.
    #[default]
    Pytorch,
    /// Weights Xavier uniform per gate, biases zero (Glorot and Bengio 2010).
    Xavier,
    /// Input weights Xavier uniform, recurrent weights orthogonal per gate, biases zero (Saxe et al. 2014).
    Orthogonal,
}

/// Which body runs the recurrences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// The backend's fused kernel where it has one for the cell, else the reference.
    #[default]
    Auto,
    /// The backend's fused kernel; an error where it has none.
    Fused,
    /// Composed of the backend's own tensor operations.
    Reference,
}

/// The output layer's non-linearity g.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputActivation {
    /// None.
    #[default]
    Identity,
    /// Hyperbolic tangent.
    Tanh,
    /// Rectified linear unit.
    Relu,
    /// Logistic sigmoid.
    Sigmoid,
    /// Softmax over the output features.
    Softmax,
}

/// How a many-to-one model makes one vector of a sequence; padding never counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The last layer's final state (of both directions, merged).
    #[default]
    Last,
    /// The mean over valid steps.
    Mean,
    /// The maximum over valid steps.
    Max,
    /// A learned weighting of valid steps.
    Attention,
}

/// How a decoder's hidden state h is held against each of the encoder's outputs m.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionScore {
    /// `h · m` (Luong et al. 2015): both are of one width.
    Dot,
    /// `h · W m` (Luong et al. 2015).
    General,
    /// `v · tanh(W h + U m)` (Bahdanau et al. 2015): the slowest, in time and memory.
    Additive,
}

/// What a one-to-many model reads back of each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feedback {
    /// Its output as it is.
    #[default]
    Output,
    /// Its most probable class, one-hot.
    Class,
    /// Its last token, of a text or a drawing, through an embedding of `d_feedback` features: the model writes until it says the end symbol, and
    /// is searched as an encoder-decoder is.
    Token,
}

/// `[model]`: one recurrent network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Which way inputs and outputs are laid over time.
    pub mode: IoMode,
    /// The recurrent cell.
    pub cell: CellKind,
    /// Features of a feature model's input, D. Left out: taken from the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_input: Option<usize>,
    /// Tokens of a token model's input, V. Left out: taken from the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
    /// Features of a token's embedding. Makes the model a token model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_embedding: Option<usize>,
    /// Standard deviation of the embeddings at the start. Default: 1, as PyTorch has it; 0.1 leaves rare tokens small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_deviation: Option<f64>,
    /// Features of a layer's state, H.
    pub d_hidden: usize,
    /// Layers, L.
    #[serde(default = "one")]
    pub n_layers: usize,
    /// Whether gates have biases.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Whether the head has a bias, a tied one too, or each task's. Default: as `bias`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_bias: Option<bool>,
    /// Whether each layer also runs from the end to the start.
    #[serde(default)]
    pub bidirectional: bool,
    /// How two directions become one.
    #[serde(default)]
    pub merge: Merge,
    /// Dropout between layers, a probability.
    #[serde(default)]
    pub dropout: f64,
    /// Zoneout (Krueger et al. 2016): that a unit of the hidden state keeps its value at a step, a probability.
    #[serde(default)]
    pub zoneout: f64,
    /// Zoneout of an `lstm`'s cell state. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zoneout_cell: Option<f64>,
    /// Layer norm in the cell (Ba et al. 2016).
    #[serde(default)]
    pub layer_norm: bool,
    /// Dropout before the head, a probability.
    #[serde(default)]
    pub head_dropout: f64,
    /// Dropout of what the first layer reads, a probability.
    #[serde(default)]
    pub input_dropout: f64,
    /// Whether dropout drops the same features at every step (Gal and Ghahramani 2016).
    #[serde(default)]
    pub variational: bool,
    /// Tokens of the input dropped from a batch altogether, a probability (Merity et al. 2018).
    #[serde(default)]
    pub embedding_dropout: f64,
    /// Recurrent weights dropped, the same ones at every step, a probability (Merity et al. 2018).
    #[serde(default)]
    pub weight_drop: f64,
    /// Whether the head's weight is the embedding's (Press and Wolf 2017): `d_embedding` is the stack's output then. Of
    /// an encoder-decoder it is the target embedding's; its attention gives what is as wide as that.
    #[serde(default)]
    pub tie_weights: bool,
    /// Features out, O. Left out: taken from the data where it says, else the stack's own output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_output: Option<usize>,
    /// The head's non-linearity.
    #[serde(default)]
    pub output_activation: OutputActivation,
    /// σ of an `rnn`. Default: tanh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_activation: Option<HiddenActivation>,
    /// Where a `gru` applies its reset gate. Default: after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<GruReset>,
    /// How weights start.
    #[serde(default)]
    pub initialization: Initialization,
    /// What an `lstm`'s forget gate's input bias starts at. Default: as the other biases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget_bias: Option<f64>,
    /// Which body runs the recurrences.
    #[serde(default)]
    pub kernel: Kernel,
    /// How a many-to-one model pools. Default: last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// What a one-to-many model reads back. Default: its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// Features of the embedding of what `feedback = "token"` reads back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_feedback: Option<usize>,
    /// `feedback = "token"`, feature input: features of a layer `tanh(W x + b)` between the vector and the decoder,
    /// computed once a sequence; `dropout` acts on what it gives, too. Left out: the decoder reads the vector itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_projection: Option<usize>,
    /// Encoder-decoder: how the decoder looks back at what was read, step by step. Left out: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionScore>,
    /// Encoder-decoder: whether the decoder also reads what attention gave at the step before (Luong et al. 2015). Its
    /// training then goes step by step too, which is slower.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub input_feeding: bool,
    /// Steps that a one-to-many or encoder-decoder model writes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<usize>,
    /// `[[model.tasks]]`: the tasks of a multi-task model, in the order in which the data has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskConfig>,
    /// `[model.characters]`: a second network, which reads each word's spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<CharactersConfig>,
}

/// `[model.characters]`: a bidirectional LSTM over the characters of each word, whose two final states stand beside the
/// word's embedding (Plank et al. 2016).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharactersConfig {
    /// Characters there are. Left out: taken from the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
    /// Features of a character's embedding.
    pub d_embedding: usize,
    /// Features of each direction's state; a word gets twice as many.
    pub d_hidden: usize,
}

/// `[[model.tasks]]`: one task of a multi-task model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskConfig {
    /// Its name in the data; that of its head is `head.` and this.
    pub name: String,
    /// many-to-one, or many-to-many.
    pub mode: IoMode,
    /// How a many-to-one task pools. Default: last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Classes. Left out: taken from the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_output: Option<usize>,
    /// What its training makes small: cross-entropy (the default) or softmax-mse.
    #[serde(default = "cross_entropy")]
    pub loss: Loss,
    /// Times its loss in the sum over tasks.
    #[serde(default = "unit")]
    pub weight: f64,
    /// The parts of the model that its loss trains; the others are constants to it. Default: all.
    #[serde(default = "all_parts")]
    pub trains: Vec<String>,
}

/// A part of a multi-task model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `input`: what the stack reads through: the embedding.
    Input,
    /// `recurrent`: the parameters of the hidden states.
    Recurrent,
    /// `head.NAME`: the mapping from the stack to a task's output.
    Head(String),
}

/// Where samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataFormat {
    /// UEA/UCR `.ts` files.
    Ts,
    /// A CSV file whose rows are time steps.
    Csv,
    /// A plain text file: given the characters, bytes or words so far (`unit`), which one is next?
    Text,
    /// A label, a tab or the first space, and words between spaces: a text and its class a line.
    LabelledText,
    /// A word, a tab and a tag a line, further columns allowed; a blank line ends a sentence.
    Tagged,
    /// An intent, a tab, words between spaces, a tab, and a tag a word: two tasks, `intent` and `slots`.
    IntentSlots,
    /// Texts and what is to be written of each: lines of two files, or two columns of one.
    Pairs,
    /// A CSV file of attributes, `name[The Mill], food[French]`, and a text that says them.
    Attributes,
    /// Pictures of drawings and the strokes that drew them, JSON lines.
    Strokes,
    /// Clips of sound in wav files, their class before the first `_` of their names.
    Wav,
    /// The adding problem (Hochreiter and Schmidhuber 1997), made as it goes.
    Adding,
    /// Copy memory (Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016), made as it goes.
    CopyMemory,
    /// Given to the library by a program.
    Program,
}

/// What is one step of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextUnit {
    /// A Unicode character; one that training has not seen is an error.
    #[default]
    Character,
    /// A byte, of text in any encoding.
    Byte,
    /// What stands between spaces; the end of a line is the word `<eos>`.
    Word,
}

/// `[data]`: where samples come from and how they are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The reader.
    pub format: DataFormat,
    /// Training file. Paths are relative to the folder that the program runs in; `.gz` files are unpacked as they are
    /// read. `wav`: a folder of .wav files, or a .tar.gz of them; so are `valid` and `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Validation file. Left out: `valid_fraction` of the training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// Test file. Left out: `test_fraction` of the training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Part of the training file held out for validation (`ts`, `wav`, `labelled-text`, `intent-slots`: drawn by class; `tagged`, `pairs`, `attributes`: drawn; `strokes`: all drawings of some hands, drawn; `csv`, `text`: the part before the test part).
    #[serde(default = "tenth")]
    pub valid_fraction: f64,
    /// Part of the training file held out for test where there is no test file (`ts`, `wav`, `labelled-text`, `intent-slots`: drawn by class; `tagged`, `pairs`, `attributes`: drawn; `strokes`: all drawings of some hands, drawn; `csv`, `text`: its end).
    #[serde(default = "tenth")]
    pub test_fraction: f64,
    /// `ts`, `csv`, `wav`: subtract the training mean and divide by the training deviation, channel by channel.
    #[serde(default = "yes")]
    pub standardize: bool,
    /// `csv`: columns read. Left out: every numeric one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// `csv`: columns predicted. Left out: those read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// `csv`: steps between the last reading and the value predicted. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<usize>,
    /// `csv`: predict each of the `horizon` rows after a step, one beside the other, and not the last of them alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trajectory: bool,
    /// `csv`: what is learnt is the difference from the value so many rows before, as in 24 for yesterday's of hourly rows;
    /// `horizon` or more. Answers are values again. Left out: values themselves are learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<usize>,
    /// `csv`: with `season`, how many values, one of each season before, have their mean taken in place of the last one; it is moved
    /// to the mean of the last season's rows. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seasons: Option<usize>,
    /// `csv`: rows of the training file that are taken, from its start, to be parted. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// `csv`, `text`: steps of a training window. Default: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// `text`: what is one step. Default: character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<TextUnit>,
    /// Words: those seen less often in training are all the same `<unk>`, and so are characters. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_count: Option<usize>,
    /// Words, `pairs`, `attributes`: upper and lower case are the same, but not in a word's spelling.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lowercase: bool,
    /// `labelled-text`: of a label only what stands before this counts: `:` makes `NUM` of `NUM:dist`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_delimiter: Option<String>,
    /// `tagged`: the column of the tag, the word's being 0. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_column: Option<usize>,
    /// `pairs`: two files, the second named as the first with the second of these in place of the first: `train.de` and
    /// `train.en` of `["de", "en"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<[String; 2]>,
    /// `pairs`: the column of the text that is read, the first being 0. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_column: Option<usize>,
    /// `pairs`: the column of the text that is written. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_column: Option<usize>,
    /// `attributes`: attributes whose value is a name, which texts are learnt without: a word stands for it that is
    /// replaced by the name when a text is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delexicalize: Vec<String>,
    /// `pairs`, `attributes`: sub-words of the vocabulary. Default: 8000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<usize>,
    /// `pairs`: sub-words of what is written. Default: as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_pieces: Option<usize>,
    /// `pairs`: whether what is read and what is written share one vocabulary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share_pieces: bool,
    /// `strokes`: pixels of a side of the picture as it is read, and cells of a side of the grid that the pen goes over.
    /// Default: 28.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<usize>,
    /// `strokes`: pixels of the drawing from one point of a stroke to the next, at most. Default: 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<usize>,
    /// `strokes`: copies of each training drawing that are trained on beside it, each turned, stretched and shifted a
    /// little at random. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<usize>,
    /// `wav`: samples a second; clips with others are refused. Default: those of the first training clip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<usize>,
    /// `wav`: milliseconds of sound in a step. Default: 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<usize>,
    /// `wav`: milliseconds from step to step. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop_ms: Option<usize>,
    /// `wav`: features of a step, the logarithms of its energy in so many bands of the mel scale. Default: 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mels: Option<usize>,
    /// `adding`, `copy-memory`: steps, T. Default: 100. `pairs`, `attributes`: sub-words of a text at most, read or written; `strokes`: tokens of a drawing at most; the rest is cut off. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// `adding`, `copy-memory`: training samples; a tenth as many for validation and for test. Default: 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
}

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Cross entropy of the softmax of the output, nats a valid step.
    CrossEntropy,
    /// Mean squared error over valid steps and features.
    Mse,
    /// Mean squared error between the softmax of the output and the one-hot class.
    SoftmaxMse,
}

/// The update rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    #[default]
    Adamw,
    /// Adam (Kingma and Ba 2015).
    Adam,
    /// Stochastic gradient descent.
    Sgd,
    /// RMSprop (Tieleman and Hinton 2012).
    Rmsprop,
}

/// Which epoch's model is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The one with the best validation score.
    #[default]
    Best,
    /// The last one: right where validation is too small to tell epochs apart.
    Last,
}

/// How the learning rate moves with the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    #[default]
    Constant,
    /// Times `schedule_factor` after every `schedule_every` epochs.
    Step,
    /// Along a half cosine, to zero after the last step.
    Cosine,
    /// Up with the step, then down with its inverse root (Vaswani et al. 2017); `lr` is its peak.
    Noam,
}

/// `[train]`: how to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training split.
    pub epochs: usize,
    /// Sequences a step.
    pub batch_size: usize,
    /// Seeds weights, order, dropout and noise.
    pub seed: u64,
    /// What training makes small. Default: cross entropy for classes and tokens, else mean squared error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// The update rule.
    pub optimizer: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Weight decay. Default: 0.01 for `adamw`, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// `sgd`, `rmsprop`: momentum.
    pub momentum: f64,
    /// `adam`, `adamw`: decay of the first moment.
    pub beta_1: f64,
    /// `adam`, `adamw`: decay of the second moment.
    pub beta_2: f64,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Steps over which it rises from zero first (`noam`: until its peak).
    pub warmup_steps: usize,
    /// `step`: epochs between drops.
    pub schedule_every: usize,
    /// `step`: what each drop multiplies by.
    pub schedule_factor: f64,
    /// Largest L2 norm of all gradients together; larger ones are scaled down to it. 0: no clip.
    pub clip: f64,
    /// Epochs without a better validation score before the run stops. 0: never.
    pub patience: usize,
    /// Which epoch's model is exported. Default: best.
    pub keep: Keep,
    /// Steps between two checkpoints, from which a run that was stopped goes on. 0: by time alone.
    pub checkpoint_steps: usize,
    /// Minutes between two checkpoints. 0: by steps alone.
    pub checkpoint_minutes: f64,
    /// Whether the test split is scored at the end; false while choices are still being made.
    pub test: bool,
    /// Cross entropy: probability spread evenly over all classes.
    pub label_smoothing: f64,
    /// Feature input: standard deviation of Gaussian noise added in training.
    pub input_noise: f64,
    /// `text`: `batch_size` lanes of contiguous windows, each window starting from the state that the one before left
    /// (truncated back-propagation through time).
    pub carry_state: bool,
    /// Many-to-many: times the mean square of what the head reads, added to the loss (Merity et al. 2017).
    pub activation_regularization: f64,
    /// Many-to-many: times the mean square of the stack's change from step to step, added to the loss.
    pub temporal_activation_regularization: f64,
    /// Part of a moving average of the weights that each step keeps, as in 0.999; the average is scored and exported.
    /// 0: no average.
    pub average: f64,
    /// Whether the model is exported with its weights rounded to 16 bits: half the size. Scores are of the rounded ones.
    pub half: bool,
    /// Words: probability that a training word stands as `<unk>`; its spelling stays.
    pub word_dropout: f64,
    /// Whether training sequences of about the same length share a batch, so that little of it is padding.
    pub bucket: bool,
    /// `[train.scheduled_sampling]`: encoder-decoder, or one-to-many of tokens: when the decoder reads its own tokens in
    /// training. Left out: it reads the true ones (teacher forcing).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_sampling: Option<ScheduledSampling>,
}

/// How the probability falls with the step i, from 0, that a decoder reads the true token (Bengio et al. 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplingSchedule {
    /// `1 - rate · i`
    Linear,
    /// `rate ^ i`: a rate below 1.
    Exponential,
    /// `rate / (rate + exp(i / rate))`: a rate of 1 or more.
    InverseSigmoid,
}

/// `[train.scheduled_sampling]`: each token that the decoder reads in training is the true one with a probability that
/// falls, and else the one that it found most probable itself (Bengio et al. 2015).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledSampling {
    /// How the probability falls.
    pub schedule: SamplingSchedule,
    /// How fast.
    pub rate: f64,
    /// What it does not fall below. Default: 0.
    #[serde(default)]
    pub floor: f64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            seed: 0,
            loss: None,
            optimizer: OptimizerKind::Adamw,
            lr: 1e-3,
            weight_decay: None,
            momentum: 0.0,
            beta_1: 0.9,
            beta_2: 0.999,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            schedule_every: 10,
            schedule_factor: 0.1,
            clip: 1.0,
            patience: 0,
            keep: Keep::Best,
            checkpoint_steps: 0,
            checkpoint_minutes: 5.0,
            test: true,
            label_smoothing: 0.0,
            input_noise: 0.0,
            carry_state: false,
            activation_regularization: 0.0,
            temporal_activation_regularization: 0.0,
            average: 0.0,
            half: false,
            word_dropout: 0.0,
            bucket: true,
            scheduled_sampling: None,
        }
    }
}

fn one() -> usize {
    1
}

fn unit() -> f64 {
    1.0
}

fn cross_entropy() -> Loss {
    Loss::CrossEntropy
}

fn all_parts() -> Vec<String> {
    vec!["all".into()]
}

fn yes() -> bool {
    true
}

pub(super) fn tenth() -> f64 {
    0.1
}
