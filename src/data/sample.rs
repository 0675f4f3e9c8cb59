//! What one sample is, and what a data set says of its samples.

use serde::{Deserialize, Serialize};

/// A sequence of feature vectors: `steps` rows of `channels` values, one row a time step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// The values, row by row.
    pub data: Vec<f32>,
    /// Values a row, D.
    pub channels: usize,
}

impl Features {
    /// Time steps, T.
    pub fn steps(&self) -> usize {
        self.data.len().checked_div(self.channels).unwrap_or(0)
    }
}

/// The input of one sample. A single vector is a sequence of one step.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleInput {
    /// Feature vectors, `[T, D]`.
    Features(Features),
    /// Tokens, `[T]`.
    Tokens(Vec<u32>),
}

impl SampleInput {
    /// Time steps, T.
    pub fn steps(&self) -> usize {
        match self {
            Self::Features(f) => f.steps(),
            Self::Tokens(t) => t.len(),
        }
    }
}

/// What a model should say of one sample.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleTarget {
    /// One class.
    Class(u32),
    /// A class a step, `[T]`.
    Tokens(Vec<u32>),
    /// One vector, or one a step: `[1, O]` or `[T, O]`.
    Features(Features),
}

/// One sequence and what should come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What the model reads.
    pub input: SampleInput,
    /// What it should say.
    pub target: SampleTarget,
}

/// Mean and deviation of a channel over the training split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Mean, in the channel's unit.
    pub mean: f32,
    /// Standard deviation, in the channel's unit; never zero.
    pub std: f32,
}

/// What a data set says of its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InputSchema {
    /// Feature vectors of so many channels, D; `scales` empty where they are not standardised.
    Features {
        /// Values a step, D.
        channels: usize,
        /// What was subtracted and divided by, a channel.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scales: Vec<Scale>,
        /// The channels' names, where the file gives them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        names: Vec<String>,
    },
    /// Tokens; the vocabulary's n-th entry is token n.
    Tokens {
        /// The vocabulary.
        vocabulary: Vec<String>,
    },
}

/// What a data set says of its targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TargetSchema {
    /// One class a sequence; the n-th label is class n.
    Class {
        /// The labels.
        labels: Vec<String>,
    },
    /// A class a step; the n-th label is class n.
    Tokens {
        /// The labels, or the target vocabulary.
        labels: Vec<String>,
    },
    /// Feature vectors; `scales` as for inputs.
    Features {
        /// Values a step, O.
        channels: usize,
        /// What was subtracted and divided by, a channel.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scales: Vec<Scale>,
        /// The channels' names, where the file gives them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        names: Vec<String>,
    },
}

/// What is needed to read new input as the training data was read; travels with the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Of the inputs.
    pub input: InputSchema,
    /// Of the targets.
    pub target: TargetSchema,
}

/// The three splits and what they have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Trained on.
    pub train: Vec<Sample>,
    /// Decided on.
    pub valid: Vec<Sample>,
    /// Looked at once.
    pub test: Vec<Sample>,
    /// What is common to them.
    pub schema: Schema,
}

impl Dataset {
    /// Splits samples in their order: the last tenth is for test, the tenth before it for validation.
    pub fn new(mut samples: Vec<Sample>, schema: Schema) -> Self {
        let tenth = samples.len() / 10;
        let test = samples.split_off(samples.len() - tenth);
        let valid = samples.split_off(samples.len() - tenth);
        Self { train: samples, valid, test, schema }
    }
}

impl Schema {
    /// Feature vectors in, feature vectors out, nothing standardised.
    pub fn features(d_input: usize, d_output: usize) -> Self {
        let (scales, names) = (Vec::new(), Vec::new());
        Self {
            input: InputSchema::Features { channels: d_input, scales: scales.clone(), names: names.clone() },
            target: TargetSchema::Features { channels: d_output, scales, names },
        }
    }

    /// Tokens in, tokens out.
    pub fn tokens(vocabulary: Vec<String>, labels: Vec<String>) -> Self {
        Self { input: InputSchema::Tokens { vocabulary }, target: TargetSchema::Tokens { labels } }
    }
}
