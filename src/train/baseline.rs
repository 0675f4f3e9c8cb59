//! What a model has to beat: scores on the same samples that take no network, only counts over the training split.

use super::criterion::Criterion;
use super::drawing;
use super::score::{self, Score, Tally};
use crate::config::{Config, DataFormat, TextUnit};
use crate::data::target_text::TargetText;
use crate::data::{
    InputSchema, Sample, SampleInput, SampleTarget, Samples, Schema, Season, TargetSchema, Tokens, Values,
};
use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// A trivial way to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// What it does, in words.
    pub what: String,
    /// Its scores; a way that has no probabilities has no loss. That of guessed symbols is told of copy memory.
    pub scores: Vec<Score>,
}

/// Tokens that an n-gram model counts together: of characters and bytes, of words.
const CHARACTER_GRAM: usize = 8;
const WORD_GRAM: usize = 3;

/// The scores of the usual trivial answer to `samples`, learned from `train`.
///
/// | target | answer |
/// |---|---|
/// | a class | the class most frequent in training |
/// | a class a step | the class that the step's token had most often; of an unknown token the most frequent one |
/// | the next token of a text | an n-gram model with [Witten and Bell's](https://doi.org/10.1109/18.87000) smoothing |
/// | values, in a series | the last reading; with a season the value a season before, or the mean of some, and beside it the last reading |
/// | other values | the mean over training |
/// | strokes of a picture | those of the training drawing whose picture is nearest, pixel by pixel |
/// | a text in another language | a copy of the one that is read |
/// | another text of a text | its first words, as many as the texts to write have in training on average |
/// | a text of attributes | that of the training sample which shares the most of their values, the first of equals, with their own names in it |
///
/// # Errors
/// No training samples; a model that writes texts of anything else.
pub fn baseline(
    config: &Config,
    schema: &Schema,
    train: &Samples,
    samples: &Samples,
    split: &str,
) -> Result<Baseline> {
    if train.is_empty() {
        return Err(Error::Input("a baseline counts training samples, and there is none".into()));
    }
    let criterion = Criterion::new(config, schema)?;
    let mut beside = Vec::new();
    // Counts have no loss, and n-grams are only asked for one.
    let mut untold = if criterion.by_loss { "accuracy" } else { "loss" };
    let (what, tally) = match &schema.target {
        TargetSchema::Features { .. } => match Season::of(&config.data, schema)? {
            None => values(schema, train, samples),
            Some(season) => {
                let rows = season.last_alone().rows();
                let [before, ago, last] = seasonal(&season, samples);
                for (what, tally) in [(format!("{rows} rows before"), ago), ("last reading".into(), last)] {
                    let named = |score: Score| Score { metric: format!("{what} {}", score.metric), ..score };
                    if tally.steps > 0 {
                        beside.extend(tally.scores(config, split).into_iter().map(named));
                    }
                }
                let what = match season.rows() {
                    back if back == rows => format!("the value {rows} rows before"),
                    back => format!(
                        "the mean of the values {rows} to {back} rows before, every {rows}, at the level of the last \
                         {rows} rows"
                    ),
                };
                (what, before)
            }
        },
        &TargetSchema::Drawing(grid) => {
            let scores = drawing::scores(&drawing::nearest(train, samples), samples, grid, config, split);
            return Ok(Baseline { what: "the nearest training drawing".into(), scores });
        }
        TargetSchema::Text(target) => {
            let (inputs, references) = score::references(samples);
            let (what, said) = texts(config, schema, train, &inputs)?;
            // As of what the model writes.
            let lowercase = target.lowercase || matches!(schema.input, InputSchema::Attributes { .. });
            let scores = score::written(&said, &references, lowercase, config, split);
            return Ok(Baseline { what, scores });
        }
        _ if criterion.by_loss => text(config, schema, train, samples),
        TargetSchema::Tasks { .. } => {
            let mut tally = Tally { steps: samples.len(), ..Tally::default() };
            for (k, task) in criterion.tasks.iter().enumerate() {
                let answers = Answers::of(train, Some(k));
                tally.tasks.push((task.name.clone(), answers.tally(&task.criterion, samples, Some(k))));
            }
            (format!("{MOST_FREQUENT}; {MOST_FREQUENT_OF_TOKEN}"), tally)
        }
        TargetSchema::Class { labels } => {
            let answers = Answers::of(train, None);
            let label = &labels[answers.most_frequent as usize];
            (format!("{MOST_FREQUENT}, {label}"), answers.tally(&criterion, samples, None))
        }
        TargetSchema::Tokens { labels } => {
            let answers = Answers::of(train, None);
            let mut tally = answers.tally(&criterion, samples, None);
            let mut what = MOST_FREQUENT_OF_TOKEN.to_string();
            if config.data.format == DataFormat::CopyMemory {
                // Most are blanks, whose places are known; each of the other classes is as probable.
                let targets = samples.iter().flat_map(|sample| classes(&sample.target).0);
                let n_symbols = targets.filter(|&class| class != answers.most_frequent).count();
                tally.loss = n_symbols as f64 * ((labels.len() - 1) as f64).ln();
                what += "; the loss is that of blanks in their places and guessed symbols";
                untold = "";
            }
            (what, tally)
        }
    };
    let scores = tally.scores(config, split).into_iter().chain(beside);
    let told = |score: &Score| untold.is_empty() || !score.metric.ends_with(untold);
    Ok(Baseline { what, scores: scores.filter(told).collect() })
}

const MOST_FREQUENT: &str = "always the class most frequent in training";
const MOST_FREQUENT_OF_TOKEN: &str = "the class that each token had most often in training";

/// What was most often right in training.
struct Answers {
    most_frequent: u32,
    of_token: HashMap<u32, u32>,
}

/// The key that was counted most often, the least of those that were as often.
fn most<K: Copy + Ord + Hash>(counts: &HashMap<K, usize>) -> Option<K> {
    counts.iter().max_by_key(|&(&key, &n)| (n, Reverse(key))).map(|(&key, _)| key)
}

impl Answers {
    fn of(train: &Samples, task: Option<usize>) -> Self {
        let mut counts = HashMap::<u32, usize>::new();
        let mut by_token = HashMap::<u32, HashMap<u32, usize>>::new();
        for sample in train {
            let (classes, aligned) = classes(target(&sample, task));
            for &class in &classes {
                *counts.entry(class).or_default() += 1;
            }
            for (token, class) in tokens(&sample.input).into_iter().zip(classes).filter(|_| aligned) {
                *by_token.entry(token).or_default().entry(class).or_default() += 1;
            }
        }
        let of_token = by_token.iter().filter_map(|(&token, counts)| Some((token, most(counts)?))).collect();
        Self { most_frequent: most(&counts).unwrap_or(0), of_token }
    }

    fn tally(&self, criterion: &Criterion, samples: &Samples, task: Option<usize>) -> Tally {
        let mut tally = Tally::default();
        for sample in samples {
            let (truth, aligned) = classes(target(&sample, task));
            let read = tokens(&sample.input);
            let said: Vec<i64> = (0..truth.len())
                .map(|k| read.get(k).filter(|_| aligned))
                .map(|token| token.and_then(|token| self.of_token.get(token)))
                .map(|class| i64::from(*class.unwrap_or(&self.most_frequent)))
                .collect();
            let truth: Vec<i64> = truth.iter().map(|&class| i64::from(class)).collect();
            tally.steps += truth.len();
            tally.count(criterion, &said, &truth);
        }
        tally
    }
}

fn target(sample: &Sample, task: Option<usize>) -> &SampleTarget {
    match (&sample.target, task) {
        (SampleTarget::Tasks(targets), Some(k)) => &targets[k],
        (target, _) => target,
    }
}

/// Classes, and whether there is one a step.
fn classes(target: &SampleTarget) -> (Vec<u32>, bool) {
    match target {
        SampleTarget::Class(class) => (vec![*class], false),
        SampleTarget::Tokens(classes) => (classes.to_vec(), true),
        _ => (Vec::new(), false),
    }
}

fn tokens(input: &SampleInput) -> Vec<u32> {
    match input {
        SampleInput::Tokens(tokens) | SampleInput::Words { tokens, .. } => tokens.to_vec(),
        SampleInput::Features(_) | SampleInput::Attributes { .. } => Vec::new(),
    }
}

/// A text for each input, and what these are.
fn texts(
    config: &Config,
    schema: &Schema,
    train: &Samples,
    inputs: &[SampleInput],
) -> Result<(String, Vec<String>)> {
    let source = match &schema.input {
        InputSchema::Text(source) => source.reader()?,
        InputSchema::Attributes { .. } => {
            let what = "the training text whose attributes share the most values";
            return Ok((what.into(), nearest_texts(schema, train, inputs)?));
        }
        _ => return Err(Error::Input("texts have a baseline of other texts and of attributes alone".into())),
    };
    let copies = inputs.iter().map(|input| source.decode(&tokens(input)));
    if config.data.languages.is_some() {
        return Ok(("a copy of the source".into(), copies.collect()));
    }
    let n_words = |sample: &Sample| match &sample.target {
        SampleTarget::Text { text, .. } => text.split_whitespace().count(),
        _ => 0,
    };
    let all: usize = train.iter().map(|sample| n_words(&sample)).sum();
    let n = (all as f64 / train.len() as f64).round() as usize;
    let first = |text: String| text.split_whitespace().take(n).collect::<Vec<_>>().join(" ");
    Ok((format!("the first {n} words of the source"), copies.map(first).collect()))
}

/// The text of the training sample that shares the most attributes' values with each input.
fn nearest_texts(schema: &Schema, train: &Samples, inputs: &[SampleInput]) -> Result<Vec<String>> {
    let texts = TargetText::of(&schema.target)?;
    // Many samples have the same attributes: the first of them stands for all.
    let mut seen = HashSet::new();
    let known: Vec<(Values, Tokens)> = train
        .iter()
        .filter_map(|sample| match (&sample.input, &sample.target) {
            (SampleInput::Attributes { vector, .. }, SampleTarget::Text { tokens, .. }) => {
                let bits: Vec<u32> = vector.data.iter().map(|value| value.to_bits()).collect();
                seen.insert(bits).then(|| (vector.data.clone(), tokens.clone()))
            }
            _ => None,
        })
        .collect();
    let text = |input: &SampleInput| {
        let SampleInput::Attributes { vector, .. } = input else { return String::new() };
        let shared = |other: &[f32]| other.iter().zip(&vector.data).filter(|(a, b)| **a * **b > 0.0).count();
        let nearest = known.iter().min_by_key(|(other, _)| Reverse(shared(other)));
        nearest.map_or(String::new(), |(_, tokens)| texts.text_for(input, &tokens.to_vec()))
    };
    Ok(inputs.iter().map(text).collect())
}

/// Values: the last reading, where what is predicted is read too.
fn values(schema: &Schema, train: &Samples, samples: &Samples) -> (String, Tally) {
    let read: Option<Vec<usize>> = match (&schema.input, &schema.target) {
        (InputSchema::Features { names, .. }, TargetSchema::Features { names: targets, .. })
            if !targets.is_empty() =>
        {
            targets.iter().map(|target| names.iter().position(|name| name == target)).collect()
        }
        _ => None,
    };
    let rows = |sample: &Sample| -> Vec<Vec<f32>> {
        match &sample.target {
            SampleTarget::Features(f) => f.data.chunks(f.channels.max(1)).map(<[f32]>::to_vec).collect(),
            _ => Vec::new(),
        }
    };
    let mut sums: Vec<f64> = Vec::new();
    let mut n = 0;
    for row in train.iter().flat_map(|sample| rows(&sample)) {
        sums.resize(row.len(), 0.0);
        sums.iter_mut().zip(&row).for_each(|(sum, &value)| *sum += f64::from(value));
        n += 1;
    }
    let mut tally = Tally::default();
    for sample in samples {
        let rows = rows(&sample);
        let steps = sample.input.steps();
        for (k, row) in rows.iter().enumerate() {
            // A target for each step, or one for the last.
            let at = if rows.len() == steps { k } else { steps.saturating_sub(1) };
            let said = |c: usize| match (&read, &sample.input) {
                (Some(read), SampleInput::Features(f)) => f64::from(f.data[at * f.channels + read[c]]),
                _ => sums[c] / f64::from(n),
            };
            tally.squared +=
                row.iter().enumerate().map(|(c, &value)| (f64::from(value) - said(c)).powi(2)).sum::<f64>();
            tally.values += row.len();
            tally.steps += 1;
        }
    }
    (if read.is_some() { "the last reading" } else { "the mean over training" }.into(), tally)
}

/// Differences from a season before, or from a mean of some: none at all; and, at the steps where all of these have been
/// read, where it is a mean those of the season before alone, and those of the last reading.
fn seasonal(season: &Season, samples: &Samples) -> [Tally; 3] {
    let [mut before, mut ago, mut last] = [(); 3].map(|()| Tally::default());
    let alone = season.last_alone();
    for sample in samples {
        let (SampleInput::Features(read), SampleTarget::Features(truth)) = (&sample.input, &sample.target)
        else {
            continue;
        };
        let first = read.steps() - truth.steps();
        for (at, truth) in (first..).zip(truth.data.chunks(truth.channels)) {
            let add = |tally: &mut Tally, said: &[f32]| {
                let errors = truth.iter().zip(said).map(|(&t, &s)| (f64::from(t) - f64::from(s)).powi(2));
                tally.squared += errors.sum::<f64>();
                tally.values += truth.len();
                tally.steps += 1;
            };
            add(&mut before, &vec![0.0; truth.len()]);
            if season.is_read(at) {
                let base = season.before(&read.data, at);
                let from =
                    |said: Vec<f32>| -> Vec<f32> { said.iter().zip(&base).map(|(s, b)| s - b).collect() };
                add(&mut last, &from(season.last(&read.data, at)));
                if alone.rows() < season.rows() {
                    add(&mut ago, &from(alone.before(&read.data, at)));
                }
            }
        }
    }
    [before, ago, last]
}

fn text(config: &Config, schema: &Schema, train: &Samples, samples: &Samples) -> (String, Tally) {
    let order = match config.data.unit {
        Some(TextUnit::Word) => WORD_GRAM,
        _ => CHARACTER_GRAM,
    };
    let TargetSchema::Tokens { labels } = &schema.target else { unreachable!("a text's targets are tokens") };
    let model = NGrams::of(&stream(train), order, labels.len());
    (format!("{order}-grams with Witten and Bell's smoothing"), model.tally(&stream(samples)))
}

/// The windows of a text, one after the other.
fn stream(samples: &Samples) -> Vec<u32> {
    let mut all: Vec<u32> = samples.iter().flat_map(|sample| tokens(&sample.input)).collect();
    if let Some(SampleTarget::Tokens(last)) = samples.last().as_ref().map(|sample| &sample.target) {
        all.extend(last.last());
    }
    all
}

/// How often tokens followed each other. A context is known by a hash of 64 bits.
struct NGrams {
    order: usize,
    vocabulary: usize,
    /// By context: how often it was there, and how many different tokens followed.
    contexts: HashMap<u64, (u32, u32)>,
    /// By context and token.
    counts: HashMap<u64, u32>,
}

/// The hash of no token.
const EMPTY: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of what was hashed and one token more, to its left.
fn join(hash: u64, token: u32) -> u64 {
    let mixed = (hash ^ (u64::from(token) + 1)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

impl NGrams {
    fn of(stream: &[u32], order: usize, vocabulary: usize) -> Self {
        let mut model = Self { order, vocabulary, contexts: HashMap::new(), counts: HashMap::new() };
        for at in 0..stream.len() {
            for (context, gram) in model.keys(stream, at) {
                let entry = model.contexts.entry(context).or_default();
                let count = model.counts.entry(gram).or_default();
                entry.0 += 1;
                entry.1 += u32::from(*count == 0);
                *count += 1;
            }
        }
        model
    }

    /// The hashes of each context of the token at a place, shortest first, and of it with the token.
    fn keys(&self, stream: &[u32], at: usize) -> Vec<(u64, u64)> {
        let token = stream[at];
        let mut context = EMPTY;
        let mut keys = vec![(context, join(!context, token))];
        for &before in stream[..at].iter().rev().take(self.order - 1) {
            context = join(context, before);
            keys.push((context, join(!context, token)));
        }
        keys
    }

    fn probability(&self, stream: &[u32], at: usize) -> f64 {
        let mut p = 1.0 / self.vocabulary as f64;
        for (context, gram) in self.keys(stream, at) {
            let Some(&(n, different)) = self.contexts.get(&context) else { break };
            let count = self.counts.get(&gram).copied().unwrap_or(0);
            p = (f64::from(count) + f64::from(different) * p) / (f64::from(n) + f64::from(different));
        }
        p
    }

    /// Every token but the first, as of a model.
    fn tally(&self, stream: &[u32]) -> Tally {
        let loss = (1..stream.len()).map(|at| -self.probability(stream, at).ln()).sum();
        Tally { loss, steps: stream.len().saturating_sub(1), by_loss: true, ..Tally::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IoMode;
    use crate::data::{AttributeSchema, Features, SubWords, TaskSchema, attributes};
    use std::path::Path;

    fn config(mode: IoMode, format: &str) -> Config {
        let mode = toml::Value::try_from(mode).unwrap();
        let train = if format == "program" { "" } else { "train = 'x'\n" };
        let embedding = if format == "text" { "d_embedding = 2\n" } else { "" };
        let toml = format!(
            "name = \"t\"\n[model]\nmode = {mode}\ncell = \"gru\"\nd_hidden = 2\n{embedding}[data]\nformat = \"{format}\"\n{train}"
        );
        Config::from_toml(&toml, Path::new("t.toml"), &[]).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn tokens_in() -> InputSchema {
        InputSchema::Tokens { vocabulary: names(&["a", "b", "c"]) }
    }

    fn values(baseline: &Baseline) -> Vec<(&str, f64, usize)> {
        baseline.scores.iter().map(|s| (s.metric.as_str(), s.value, s.n)).collect()
    }

    #[test]
    fn majority_class() {
        let sample =
            |class| Sample { input: SampleInput::Tokens(vec![0].into()), target: SampleTarget::Class(class) };
        let schema =
            Schema { input: tokens_in(), target: TargetSchema::Class { labels: names(&["x", "y", "z"]) } };
        let train = Samples::from_iter([2, 1, 1, 2, 1].map(sample));
        let test = Samples::from_iter([1, 2, 2, 0].map(sample));
        let config = config(IoMode::ManyToOne, "program");
        let said = baseline(&config, &schema, &train, &test, "test").unwrap();
        assert_eq!(said.what, "always the class most frequent in training, y");
        assert_eq!(values(&said), [("accuracy", 0.25, 4)]);
        assert!(baseline(&config, &schema, &Samples::default(), &test, "test").is_err());
    }

    #[test]
    fn most_frequent_tag_of_each_word_alone_and_as_a_task() {
        let tags = SampleTarget::Tokens(vec![1, 1, 0, 2].into());
        let input = SampleInput::Tokens(vec![1, 1, 1, 2].into());
        let labels = names(&["O", "B-a", "B-b"]);
        let schema = Schema { input: tokens_in(), target: TargetSchema::Tokens { labels: labels.clone() } };
        let train = Samples::from_iter([Sample { input: input.clone(), target: tags.clone() }]);
        // Token 0 is new: the most frequent label.
        let test = Samples::from_iter([Sample::tokens(vec![0, 1, 2], vec![0, 1, 0])]);
        let said = baseline(&config(IoMode::ManyToMany, "program"), &schema, &train, &test, "test").unwrap();
        // One of three is right; of one span in truth and three said one is right.
        assert_eq!(values(&said), [("f1", 2.0 / 4.0, 1), ("accuracy", 1.0 / 3.0, 3)]);

        let mut config = config(IoMode::ManyToOne, "program");
        config.model.mode = IoMode::MultiTask;
        config.model.tasks = ["many-to-one", "many-to-many"]
            .map(|mode| toml::from_str(&format!("name = \"{mode}\"\nmode = \"{mode}\"")).unwrap())
            .into();
        let tasks = ["many-to-one", "many-to-many"].map(|name| TaskSchema {
            name: name.into(),
            labels: labels.clone(),
            aligned: name.ends_with("many"),
        });
        let schema = Schema { input: tokens_in(), target: TargetSchema::Tasks { tasks: tasks.into() } };
        let both = |class, tags| SampleTarget::Tasks(vec![SampleTarget::Class(class), tags]);
        let train = Samples::from_iter([Sample { input: input.clone(), target: both(2, tags.clone()) }]);
        let test = Samples::from_iter([Sample { input, target: both(2, tags) }]);
        let said = baseline(&config, &schema, &train, &test, "test").unwrap();
        // Said 1 1 1 2.
        let f1 = 2.0 * 3.0 / (3.0 + 4.0);
        assert_eq!(
            values(&said),
            [
                ("mean score", (1.0 + f1) / 2.0, 1),
                ("many-to-one accuracy", 1.0, 1),
                ("many-to-many f1", f1, 3),
                ("many-to-many accuracy", 0.75, 4),
            ]
        );
    }

    #[test]
    fn last_reading_or_the_mean() {
        let sample = |x: [f32; 4], y: [f32; 2]| {
            let channels = |data: &[f32], channels| Features { data: data.to_vec().into(), channels };
            Sample::features(channels(&x, 2), channels(&y, 1))
        };
        let features = |channels, given: &[&str]| (channels, vec![], names(given));
        let schema = |(channels, scales, names): (usize, Vec<_>, Vec<String>), target: &[&str]| Schema {
            input: InputSchema::Features { channels, scales: scales.clone(), names },
            target: TargetSchema::Features { channels: 1, scales, names: self::names(target) },
        };
        let config = config(IoMode::ManyToMany, "csv");
        let train = Samples::from_iter([sample([0.0; 4], [1.0, 3.0])]);
        let test = Samples::from_iter([sample([5.0, 1.0, 5.0, 2.0], [2.0, 4.0])]);
        let last =
            baseline(&config, &schema(features(2, &["u", "v"]), &["v"]), &train, &test, "test").unwrap();
        assert_eq!((last.what.as_str(), values(&last)), ("the last reading", vec![("mse", 2.5, 2)]));
        let mean =
            baseline(&config, &schema(features(2, &["u", "v"]), &["w"]), &train, &test, "test").unwrap();
        assert_eq!((mean.what.as_str(), values(&mean)), ("the mean over training", vec![("mse", 2.0, 2)]));
    }

    #[test]
    fn the_value_a_season_before_and_the_last_reading() {
        let schema = |names: &[&str], target: &[&str]| Schema {
            input: InputSchema::Features { channels: names.len(), scales: vec![], names: self::names(names) },
            target: TargetSchema::Features {
                channels: target.len(),
                scales: vec![],
                names: self::names(target),
            },
        };
        let channels = |data: &[f32], channels| Features { data: data.to_vec().into(), channels };
        let mut config = config(IoMode::OneToOne, "csv");
        (config.data.season, config.data.horizon) = (Some(2), Some(1));
        // v is the second column: 0, 3, 1, and then 7; the differences over two rows are not known before.
        let test = Samples::from_iter([Sample::features(
            channels(&[9.0, 0.0, 9.0, 3.0, 9.0, 1.0], 2),
            channels(&[5.0, 1.0 - 0.0, 7.0 - 3.0], 1),
        )]);
        let said = baseline(&config, &schema(&["u", "v"], &["v"]), &test, &test, "test").unwrap();
        assert_eq!(said.what, "the value 2 rows before");
        // 25 + 1 + 16; from the second row on 1 - 3 and 7 - 1.
        assert_eq!(values(&said), [("mse", 42.0 / 3.0, 3), ("last reading mse", 40.0 / 2.0, 2)]);
        // Both of the next two rows.
        (config.data.horizon, config.data.trajectory) = (Some(2), true);
        let test = Samples::from_iter([Sample::features(
            channels(&[9.0, 0.0, 9.0, 3.0], 2),
            channels(&[5.0, 1.0 - 0.0, 1.0 - 0.0, 7.0 - 3.0], 2),
        )]);
        let said = baseline(&config, &schema(&["u", "v"], &["v", "v"]), &test, &test, "test").unwrap();
        assert_eq!(values(&said), [("mse", 43.0 / 4.0, 2), ("last reading mse", (4.0 + 16.0) / 2.0, 1)]);
    }

    fn sub_words(texts: &[&str], lowercase: bool) -> SubWords {
        SubWords::train(texts.iter().copied().cycle().take(40), 60, lowercase).unwrap()
    }

    #[test]
    fn first_words_or_a_copy() {
        let source = "a small model of long texts";
        let words = sub_words(&[source, "texts of models"], true);
        let reader = words.reader().unwrap();
        let sample = |source: &str, text: &str| Sample {
            input: SampleInput::Tokens(reader.encode(source, 99).into()),
            target: SampleTarget::Text { tokens: reader.encode(text, 99).into(), text: text.into() },
        };
        let schema = Schema { input: InputSchema::Text(words.clone()), target: TargetSchema::Text(words) };
        // 2, 3 and 3 words.
        let train = Samples::from_iter(
            ["a model", "A small model", "texts of models"].map(|text| sample("texts", text)),
        );
        let test = Samples::from_iter([sample(source, "A small model of texts")]);
        let mut config = config(IoMode::ManyToMany, "program");
        let scores = |config: &Config| {
            let said = baseline(config, &schema, &train, &test, "test").unwrap();
            let [("bleu", bleu, 1), ("rouge-l", rouge_l, 1)] = values(&said)[..] else { panic!("{said:?}") };
            (said.what.clone(), bleu, rouge_l)
        };
        // Three words, which have no four in a row, all of them among the five.
        let (what, bleu, rouge_l) = scores(&config);
        assert_eq!((what.as_str(), bleu), ("the first 3 words of the source", 0.0));
        assert!((rouge_l - 100.0 * 6.0 / 8.0).abs() < 1e-9, "{rouge_l}");
        config.data.languages = Some(["a", "b"].map(String::from));
        let (what, bleu, rouge_l) = scores(&config);
        assert_eq!(what, "a copy of the source");
        assert!(bleu > 0.0 && (rouge_l - 100.0 * 10.0 / 11.0).abs() < 1e-9, "{bleu} {rouge_l}");
    }

    #[test]
    fn the_text_of_the_nearest_attributes() {
        let attribute =
            |name: &str, values: &[&str]| AttributeSchema { name: name.into(), values: names(values) };
        let input = InputSchema::Attributes {
            attributes: vec![
                attribute("name", &[]),
                attribute("food", &["French", "Thai"]),
                attribute("area", &["hills", "town"]),
            ],
        };
        let texts =
            ["xname of the hills is French", "xname of the hills is Thai", "not the first", "Thai, in town"];
        let words = sub_words(&texts, false);
        let reader = words.reader().unwrap();
        let sample = |meaning: &str, text: &str| Sample {
            input: attributes::parse(meaning, &input).unwrap(),
            target: SampleTarget::Text { tokens: reader.encode(text, 99).into(), text: text.into() },
        };
        let train = Samples::from_iter([
            sample("name[Mill], food[French], area[hills]", texts[0]),
            sample("name[Inn], food[Thai], area[hills]", texts[1]),
            sample("name[Mill], food[Thai], area[hills]", texts[2]),
            sample("food[Thai], area[town]", texts[3]),
        ]);
        // Of equal ones the first; a name of its own, or none.
        let test = Samples::from_iter([
            sample("name[The Lamb], food[Thai]", "the lamb of the hills is Thai"),
            sample("area[town]", "Thai, in town"),
            sample("area[hills]", "Nothing alike"),
            sample("area[hills]", "of the hills is French"),
        ]);
        let schema = Schema { input: input.clone(), target: TargetSchema::Text(words) };
        let config = config(IoMode::ManyToMany, "program");
        let said = baseline(&config, &schema, &train, &test, "test").unwrap();
        assert_eq!(said.what, "the training text whose attributes share the most values");
        let scores = values(&said);
        let told: Vec<(&str, usize)> = scores.iter().map(|&(metric, _, n)| (metric, n)).collect();
        assert_eq!(told, [("bleu", 3), ("rouge-l", 3)]);
        assert!(scores.iter().all(|(_, value, _)| (value - 100.0).abs() < 1e-9), "{scores:?}");
    }

    #[test]
    fn guessed_symbols_have_a_loss() {
        let mut config = config(IoMode::ManyToMany, "program");
        config.data = crate::data::tests::config("copy-memory", None, "steps = 7\nsamples = 400");
        let data = crate::data::load(&config.data, IoMode::ManyToMany, 3).unwrap();
        let said = baseline(&config, &data.schema, &data.train, &data.test, "test").unwrap();
        // 40 sequences of 17 blanks and 10 of 8 symbols.
        let [("accuracy", accuracy, 1080), ("loss", loss, 1080)] = values(&said)[..] else {
            panic!("{said:?}")
        };
        assert!((accuracy - 17.0 / 27.0).abs() < 1e-12, "{accuracy}");
        assert!((loss - 10.0 * 8f64.ln() / 27.0).abs() < 1e-12, "{loss}");
    }

    #[test]
    fn n_grams_by_hand() {
        // Of a b a b a c: a three times, b twice, c once; after a: b twice, c once.
        let model = NGrams::of(&[0, 1, 0, 1, 0, 2], 2, 4);
        let p0 = |count: f64| (count + 3.0 * 0.25) / 9.0;
        let after_a = |count: f64, p0: f64| (count + 2.0 * p0) / 5.0;
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(model.probability(&[0], 0), p0(3.0));
        close(model.probability(&[0, 1], 1), after_a(2.0, p0(2.0)));
        close(model.probability(&[0, 3], 1), after_a(0.0, p0(0.0)));
        // Nothing was seen after c.
        close(model.probability(&[2, 1], 1), p0(2.0));
        let all: f64 = (0..4).map(|token| model.probability(&[0, token], 1)).sum();
        close(all, 1.0);

        let windows = |stream: &[u32]| -> Samples {
            stream[..stream.len() - 1]
                .chunks(2)
                .zip(stream[1..].chunks(2))
                .map(|(x, y)| Sample::tokens(x.to_vec(), y.to_vec()))
                .collect()
        };
        let labels = names(&["a", "b", "c", "d"]);
        let schema = Schema {
            input: InputSchema::Tokens { vocabulary: labels.clone() },
            target: TargetSchema::Tokens { labels },
        };
        let config = config(IoMode::ManyToMany, "text");
        let said =
            baseline(&config, &schema, &windows(&[0, 1, 0, 1, 0, 2]), &windows(&[0, 1, 0]), "test").unwrap();
        let scores = values(&said);
        assert_eq!((scores[0].0, scores[0].2), ("nats", 2));
        let model = NGrams::of(&[0, 1, 0, 1, 0, 2], CHARACTER_GRAM, 4);
        let loss = -model.probability(&[0, 1, 0], 1).ln() - model.probability(&[0, 1, 0], 2).ln();
        close(scores[0].1, loss / 2.0);
    }
}
