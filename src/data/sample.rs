//! What one sample is, and what a data set says of its samples.

use super::samples::Samples;
use super::shared::{Excerpt, Spellings, Tokens, Values};
use super::split::check_scales;
use super::strokes::Grid;
use super::sub_words::SubWords;
use crate::config::{IoMode, MAX_SIDE, duplicate};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::sync::Arc;

/// Bytes of a `schema.json` at most: two vocabularies of 16,000 sub-words, or one of 80,000 words. Of the shortest words
/// reading it takes some 70 MiB.
pub(crate) const MAX_SCHEMA: u64 = 2 << 20;

/// A sequence of feature vectors: `steps` rows of `channels` values, one row a time step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Features {
    /// The values, row by row.
    pub data: Values,
    /// Values a row, D.
    pub channels: usize,
}

impl Features {
    /// One channel over time, `[T, 1]`.
    pub fn series(data: Vec<f32>) -> Self {
        Self { data: data.into(), channels: 1 }
    }

    /// One step of several channels, `[1, D]`.
    pub fn vector(data: Vec<f32>) -> Self {
        Self { channels: data.len(), data: data.into() }
    }

    /// The first channel as a row of blocks, a character a step, from its least value to its largest.
    pub fn sketch(&self) -> String {
        let line = || self.data.iter().step_by(self.channels.max(1)).copied();
        let (low, high) = (line().fold(f32::INFINITY, f32::min), line().fold(f32::NEG_INFINITY, f32::max));
        let level = |v: f32| (7.99 * (v - low) / (high - low).max(f32::MIN_POSITIVE)) as usize;
        line().map(|v| ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][level(v).min(7)]).collect()
    }

    /// Time steps, T.
    pub fn steps(&self) -> usize {
        self.data.len().checked_div(self.channels).unwrap_or(0)
    }
}

/// The input of one sample. A single vector is a sequence of one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum SampleInput {
    /// Feature vectors, `[T, D]`.
    Features(Features),
    /// Tokens, `[T]`.
    Tokens(Tokens),
    /// Words with their spelling.
    Words {
        /// A token a word, `[T]`.
        tokens: Tokens,
        /// The characters of each word: T sequences, none of them empty.
        spellings: Spellings,
    },
    /// Attributes to be said.
    Attributes {
        /// Which of their values they have, `[1, D]`.
        vector: Features,
        /// What stands in a text for the value of an attribute that may have any, and that value: empty where the attribute
        /// is not there.
        #[serde(serialize_with = "pointee")]
        names: Arc<Vec<(String, String)>>,
    },
}

fn pointee<T: Serialize, S: Serializer>(
    shared: &Arc<T>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    shared.as_ref().serialize(serializer)
}

impl SampleInput {
    /// Time steps, T.
    pub fn steps(&self) -> usize {
        match self {
            Self::Features(f) => f.steps(),
            Self::Tokens(tokens) | Self::Words { tokens, .. } => tokens.len(),
            Self::Attributes { vector, .. } => vector.steps(),
        }
    }
}

/// Where a pen went from where it was put down to where it was lifted: points `[x, y]`, y downwards.
pub type Stroke = Vec<[f32; 2]>;

/// What a model should say of one sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum SampleTarget {
    /// One class.
    Class(u32),
    /// A class a step, `[T]`.
    Tokens(Tokens),
    /// A text: its tokens, `[T]`, and the text as it is, which they may not say whole.
    Text {
        /// What the model is trained to write.
        tokens: Tokens,
        /// What it is scored by.
        text: Excerpt,
    },
    /// A drawing: its tokens, `[T]`, and the strokes as they are, which these tell in cells of a grid.
    Drawing {
        /// What the model is trained to write.
        tokens: Tokens,
        /// What it is scored by.
        strokes: Vec<Stroke>,
    },
    /// One vector, or one a step: `[1, O]` or `[T, O]`.
    Features(Features),
    /// What each task should say, in the order of [`TargetSchema::Tasks`]: a class, or one a step.
    Tasks(Vec<SampleTarget>),
}

/// One sequence and what should come of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// What the model reads.
    pub input: SampleInput,
    /// What it should say.
    pub target: SampleTarget,
}

impl Sample {
    /// Feature vectors in, feature vectors out.
    pub fn features(input: Features, target: Features) -> Self {
        Self { input: SampleInput::Features(input), target: SampleTarget::Features(target) }
    }

    /// Tokens in, tokens out.
    pub fn tokens(input: Vec<u32>, target: Vec<u32>) -> Self {
        Self { input: SampleInput::Tokens(input.into()), target: SampleTarget::Tokens(target.into()) }
    }
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
    /// Words; token 0 and character 0 are `<unk>`, which stands for those that training has not seen.
    Words {
        /// The vocabulary.
        vocabulary: Vec<String>,
        /// Those that words are spelled with; empty where the model does not read spellings.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        characters: Vec<String>,
        /// Whether words, but not their spellings, are lower-cased.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lowercase: bool,
    },
    /// Text, as sub-words.
    Text(SubWords),
    /// Attributes, as one vector.
    Attributes {
        /// What attributes there are, in the vector's order.
        attributes: Vec<AttributeSchema>,
    },
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeSchema {
    /// Its name.
    pub name: String,
    /// The values that it may have, a feature each. None: it may have any, and one feature says whether it is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl AttributeSchema {
    /// Its features in the vector.
    pub fn width(&self) -> usize {
        self.values.len().max(1)
    }
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
    /// Text, as sub-words.
    Text(SubWords),
    /// Strokes, as cells of a grid over the picture that is read.
    Drawing(Grid),
    /// Several tasks, each with a class a sequence or a class a step.
    Tasks {
        /// The tasks.
        tasks: Vec<TaskSchema>,
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

/// The labels of one task of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSchema {
    /// Its name.
    pub name: String,
    /// Its labels; the n-th is class n.
    pub labels: Vec<String>,
    /// Whether there is a class a step, or one a sequence.
    pub aligned: bool,
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
    pub train: Samples,
    /// Decided on.
    pub valid: Samples,
    /// Looked at once.
    pub test: Samples,
    /// What is common to them.
    pub schema: Schema,
}

impl Dataset {
    /// SHA-256 of all of it, in hexadecimal: other data has another one.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        let everything = (&self.train, &self.valid, &self.test, &self.schema);
        rmp_serde::encode::write(&mut hasher, &everything).expect("plain data is written to a hash");
        format!("{:x}", hasher.finalize())
    }
}

fn finite(x: &Features, channels: usize, what: &str) -> std::result::Result<(), String> {
    if x.channels != channels {
        return Err(format!("{what} has {} channels, the model has {channels}", x.channels));
    }
    match x.data.iter().position(|value| !value.is_finite()) {
        Some(k) => {
            let (step, channel) = (k / channels + 1, k % channels + 1);
            Err(format!("{what} is {} at step {step}, channel {channel}: give a finite value", x.data[k]))
        }
        None => Ok(()),
    }
}

fn known(tokens: impl IntoIterator<Item = u32>, n: usize, what: &str) -> std::result::Result<(), String> {
    match tokens.into_iter().find(|&token| token as usize >= n) {
        Some(token) => Err(format!("token {token} is outside {what} of {n}: they are counted from 0")),
        None => Ok(()),
    }
}

impl Dataset {
    /// Refuses samples that a model of `mode` cannot be trained on.
    ///
    /// # Errors
    /// See [`Schema::check_sample`]; the split and the sample are named. A schema that no model folder may have.
    pub fn check(&self, mode: IoMode) -> Result<()> {
        self.schema.check()?;
        self.schema.check_size()?;
        for (split, samples) in [("training", &self.train), ("validation", &self.valid), ("test", &self.test)]
        {
            for (k, sample) in samples.to_check().enumerate() {
                self.schema
                    .check_sample(mode, &sample)
                    .map_err(|e| Error::Input(format!("{split} sample {}: {e}", k + 1)))?;
            }
        }
        Ok(())
    }

    /// Splits samples in their order: the last tenth is for test, the tenth before it for validation.
    pub fn new(mut samples: Vec<Sample>, schema: Schema) -> Self {
        let tenth = samples.len() / 10;
        let test = samples.split_off(samples.len() - tenth);
        let valid = samples.split_off(samples.len() - tenth);
        Self { train: samples.into(), valid: valid.into(), test: test.into(), schema }
    }

    /// Drops the spelling of words, for a model that does not read it.
    pub(crate) fn drop_spellings(&mut self) {
        if let InputSchema::Words { characters, .. } = &mut self.schema.input {
            characters.clear();
        }
        let splits = [&mut self.train, &mut self.valid, &mut self.test];
        for sample in splits.into_iter().flat_map(Samples::kept_mut) {
            if let SampleInput::Words { tokens, .. } = &mut sample.input {
                sample.input = SampleInput::Tokens(std::mem::take(tokens));
            }
        }
    }
}

/// Counts bytes, and keeps none of them.
struct Size(u64);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Schema {
    /// Refuses a schema of more bytes than are read from a model folder.
    pub(crate) fn check_size(&self) -> Result<()> {
        let mut size = Size(0);
        serde_json::to_writer_pretty(&mut size, self).expect("plain data becomes JSON");
        let Size(size) = size;
        // A line's end follows.
        if size >= MAX_SCHEMA {
            return Err(Error::Input(format!(
                "vocabulary, labels and scales take {size} bytes, a model folder has room for {MAX_SCHEMA}: \
                 raise `data.min_count`, lower `data.pieces`, or leave some columns out"
            )));
        }
        Ok(())
    }

    /// Refuses what no training data gives: names that are there twice, scales that cannot be undone, names for other
    /// channels.
    pub(crate) fn check(&self) -> Result<()> {
        let features = |channels: usize, scales: &[Scale], names: &[String]| -> Result<()> {
            check_scales(channels, scales)?;
            match names.len() {
                0 => Ok(()),
                n if n == channels => Ok(()),
                n => Err(Error::Input(format!("{n} names are given for {channels} channels"))),
            }
        };
        let unique = |names: &[String], what: &str| match duplicate(names) {
            Some(name) => Err(Error::Input(format!("the {what} has `{name}` twice"))),
            None => Ok(()),
        };
        match &self.input {
            InputSchema::Features { channels, scales, names } => features(*channels, scales, names)?,
            InputSchema::Tokens { vocabulary } => unique(vocabulary, "vocabulary")?,
            InputSchema::Words { vocabulary, characters, .. } => {
                unique(vocabulary, "vocabulary")?;
                unique(characters, "list of characters")?;
            }
            InputSchema::Text(sub_words) => drop(sub_words.reader()?),
            InputSchema::Attributes { attributes } => {
                let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
                if let Some(name) = duplicate(&names) {
                    return Err(Error::Input(format!("the list of attributes has `{name}` twice")));
                }
                attributes.iter().try_for_each(|attribute| unique(&attribute.values, "list of values"))?;
            }
        }
        match &self.target {
            TargetSchema::Features { channels, scales, names } => features(*channels, scales, names),
            TargetSchema::Text(sub_words) => sub_words.reader().map(drop),
            TargetSchema::Drawing(Grid { side }) => match &self.input {
                InputSchema::Features { channels, .. }
                    if (1..=MAX_SIDE).contains(side) && *channels == side * side =>
                {
                    Ok(())
                }
                _ => Err(Error::Input(format!(
                    "a grid of {side} by {side} cells is not over a picture of as many pixels, or more than \
                     {MAX_SIDE} by {MAX_SIDE}"
                ))),
            },
            TargetSchema::Class { labels } | TargetSchema::Tokens { labels } => {
                unique(labels, "list of labels")
            }
            TargetSchema::Tasks { tasks } => {
                let names: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
                unique(&names, "list of tasks")?;
                tasks.iter().try_for_each(|task| unique(&task.labels, "list of labels"))
            }
        }
    }

    /// Refuses an input that the model of this data and mode cannot read.
    ///
    /// # Errors
    /// No step, another number of channels, a value that is not finite, a token outside the
    /// vocabulary, features for tokens; several steps where the mode reads one.
    pub fn check_input(&self, mode: IoMode, input: &SampleInput) -> Result<()> {
        let refuse = |message: String| Err(Error::Input(message));
        match input.steps() {
            0 => return refuse("the input has no step: give it at least one".into()),
            n if n > 1 && mode == IoMode::OneToMany => {
                return refuse(format!("the input has {n} steps: a one-to-many model reads one"));
            }
            _ => {}
        }
        match (input, &self.input) {
            (SampleInput::Features(x), InputSchema::Features { channels, .. }) => {
                finite(x, *channels, "the input").map_err(Error::Input)
            }
            (SampleInput::Tokens(tokens), InputSchema::Tokens { vocabulary }) => {
                known(tokens.iter(), vocabulary.len(), "the vocabulary").map_err(Error::Input)
            }
            (SampleInput::Tokens(tokens), InputSchema::Text(sub_words)) => {
                known(tokens.iter(), sub_words.pieces.len(), "the vocabulary").map_err(Error::Input)
            }
            (SampleInput::Tokens(tokens), InputSchema::Words { vocabulary, characters, .. })
                if characters.is_empty() =>
            {
                known(tokens.iter(), vocabulary.len(), "the vocabulary").map_err(Error::Input)
            }
            (SampleInput::Words { tokens, spellings }, InputSchema::Words { vocabulary, characters, .. }) => {
                known(tokens.iter(), vocabulary.len(), "the vocabulary").map_err(Error::Input)?;
                if spellings.len() != tokens.len() || spellings.iter().any(<[u32]>::is_empty) {
                    let (n, words) = (spellings.len(), tokens.len());
                    return refuse(format!("{n} spellings for {words} words: give one a word, none empty"));
                }
                let spelled = |s: &[u32]| known(s.iter().copied(), characters.len(), "the characters");
                spellings.iter().try_for_each(spelled).map_err(Error::Input)
            }
            (SampleInput::Attributes { vector, .. }, InputSchema::Attributes { attributes }) => {
                let width: usize = attributes.iter().map(AttributeSchema::width).sum();
                finite(vector, width, "the input").map_err(Error::Input)
            }
            (_, InputSchema::Attributes { .. }) => {
                refuse("the model reads attributes, the input is something else".into())
            }
            (SampleInput::Attributes { .. }, _) => {
                refuse("the input is attributes, the model reads something else".into())
            }
            (SampleInput::Tokens(_), InputSchema::Words { .. }) => {
                refuse("the model reads spelled words, the input is tokens: give spellings too".into())
            }
            (SampleInput::Features(_), _) => refuse("the model reads tokens, the input is features".into()),
            (SampleInput::Words { .. }, InputSchema::Tokens { .. } | InputSchema::Text(_)) => {
                refuse("the model reads tokens, the input is spelled words".into())
            }
            (_, InputSchema::Features { .. }) => {
                refuse("the model reads features, the input is tokens".into())
            }
        }
    }

    /// Refuses a sample that a model of this data and mode cannot be trained or scored on.
    ///
    /// # Errors
    /// Those of [`check_input`](Self::check_input), and a target of another kind, length or range.
    pub fn check_sample(&self, mode: IoMode, sample: &Sample) -> Result<()> {
        self.check_input(mode, &sample.input)?;
        let refuse = |message: String| Err(Error::Input(message));
        let steps = match (&sample.target, &self.target) {
            (SampleTarget::Tasks(targets), TargetSchema::Tasks { tasks }) => {
                if targets.len() != tasks.len() {
                    return refuse(format!(
                        "the sample has {} tasks, the data {}",
                        targets.len(),
                        tasks.len()
                    ));
                }
                for (target, task) in targets.iter().zip(tasks) {
                    let what = format!("the labels of `{}`", task.name);
                    let fits = match target {
                        SampleTarget::Class(class) if !task.aligned => {
                            known([*class], task.labels.len(), &what)
                        }
                        SampleTarget::Tokens(tokens)
                            if task.aligned && tokens.len() == sample.input.steps() =>
                        {
                            known(tokens.iter(), task.labels.len(), &what)
                        }
                        _ => {
                            return refuse(format!(
                                "task `{}` needs a class, or one for each of the input's {} steps",
                                task.name,
                                sample.input.steps()
                            ));
                        }
                    };
                    fits.map_err(Error::Input)?;
                }
                1
            }
            (SampleTarget::Class(class), TargetSchema::Class { labels }) => {
                known([*class], labels.len(), "the labels").map_err(Error::Input)?;
                1
            }
            (SampleTarget::Tokens(tokens), TargetSchema::Tokens { labels }) => {
                known(tokens.iter(), labels.len(), "the labels").map_err(Error::Input)?;
                tokens.len()
            }
            (SampleTarget::Text { tokens, .. }, TargetSchema::Text(sub_words)) => {
                known(tokens.iter(), sub_words.pieces.len(), "the pieces").map_err(Error::Input)?;
                tokens.len()
            }
            (SampleTarget::Drawing { tokens, strokes }, TargetSchema::Drawing(grid)) => {
                known(tokens.iter(), grid.n_tokens(), "the tokens of a drawing").map_err(Error::Input)?;
                // Strokes are gone along pixel by pixel.
                if !strokes.iter().flatten().flatten().all(|value| value.abs() <= 1e4) {
                    return refuse("a stroke has a point that is more than 10000 pixels away".into());
                }
                tokens.len()
            }
            (SampleTarget::Features(y), TargetSchema::Features { channels, .. }) => {
                finite(y, *channels, "the target").map_err(Error::Input)?;
                y.steps()
            }
            _ => {
                return refuse(
                    "the target is of another kind than the data's: class, tokens or features".into(),
                );
            }
        };
        let read = sample.input.steps();
        match mode {
            _ if steps == 0 => refuse("the target has no step: give it at least one".into()),
            IoMode::ManyToOne if steps != 1 => {
                refuse(format!("the target has {steps} steps: many-to-one has one"))
            }
            IoMode::OneToOne | IoMode::ManyToMany if steps != read => {
                refuse(format!("the input has {read} steps, the target {steps}: this mode needs as many"))
            }
            IoMode::EncoderDecoder
                if !matches!(sample.target, SampleTarget::Tokens(_) | SampleTarget::Text { .. }) =>
            {
                refuse("an encoder-decoder model writes tokens: give token targets".into())
            }
            _ => Ok(()),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::assert_says;

    #[test]
    fn names_are_those_of_the_channels() {
        let names = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
        let schema = |input: usize, target: usize| Schema {
            input: InputSchema::Features { channels: 2, scales: Vec::new(), names: names(input) },
            target: TargetSchema::Features { channels: 3, scales: Vec::new(), names: names(target) },
        };
        for (input, target) in [(0, 0), (2, 3), (0, 3), (2, 0)] {
            schema(input, target).check().unwrap();
        }
        assert_says(schema(3, 3).check(), &["3 names are given for 2 channels"]);
        assert_says(schema(2, 2).check(), &["2 names are given for 3 channels"]);
    }

    #[test]
    fn a_sample_is_small() {
        // Files have millions, and each counts against the memory that its file may take.
        assert!(size_of::<Sample>() <= 80, "{}", size_of::<Sample>());
    }

    #[test]
    fn a_schema_that_would_not_be_read_again_is_refused() {
        let tokens = |n: usize| Schema::tokens((0..n).map(|k| k.to_string()).collect(), Vec::new());
        tokens(80_000).check_size().unwrap();
        let data = Dataset::new(Vec::new(), tokens(160_000));
        assert_says(data.check(IoMode::ManyToMany), &["a model folder has room for 2097152"]);
    }
}
