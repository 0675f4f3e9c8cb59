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

/// What a one-to-many model reads back of each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feedback {
    /// Its output as it is.
    #[default]
    Output,
    /// Its most probable class, one-hot.
    Class,
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
    /// Features of a layer's state, H.
    pub d_hidden: usize,
    /// Layers, L.
    #[serde(default = "one")]
    pub n_layers: usize,
    /// Whether gates and head have biases.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Whether each layer also runs from the end to the start.
    #[serde(default)]
    pub bidirectional: bool,
    /// How two directions become one.
    #[serde(default)]
    pub merge: Merge,
    /// Dropout between layers, a probability.
    #[serde(default)]
    pub dropout: f64,
    /// Dropout before the head, a probability.
    #[serde(default)]
    pub head_dropout: f64,
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
    /// Steps that a one-to-many or encoder-decoder model writes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<usize>,
}

/// Where samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataFormat {
    /// UEA/UCR `.ts` files.
    Ts,
    /// A CSV file whose rows are time steps.
    Csv,
    /// A plain text file, character by character.
    Text,
    /// The adding problem (Hochreiter and Schmidhuber 1997), made as it goes.
    Adding,
    /// Copy memory (Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016), made as it goes.
    CopyMemory,
    /// Given to the library by a program.
    Program,
}

/// `[data]`: where samples come from and how they are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The reader.
    pub format: DataFormat,
    /// Training file. Paths are relative to the folder that the program runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Validation file. Left out: `valid_fraction` of the training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// Test file. Left out: `test_fraction` of the training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Part of the training file held out for validation (`ts`: drawn by class; `csv`, `text`: the part before the test part).
    #[serde(default = "tenth")]
    pub valid_fraction: f64,
    /// Part of the training file held out for test where there is no test file (`ts`: drawn by class; `csv`, `text`: its end).
    #[serde(default = "tenth")]
    pub test_fraction: f64,
    /// `ts`, `csv`: subtract the training mean and divide by the training deviation, channel by channel.
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
    /// `csv`, `text`: steps of a training window. Default: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// `adding`, `copy-memory`: steps, T. Default: 100.
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
    /// Cross entropy: probability spread evenly over all classes.
    pub label_smoothing: f64,
    /// Feature input: standard deviation of Gaussian noise added in training.
    pub input_noise: f64,
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
            label_smoothing: 0.0,
            input_noise: 0.0,
        }
    }
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

pub(super) fn tenth() -> f64 {
    0.1
}
