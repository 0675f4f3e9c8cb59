//! `.ts` files of the UEA/UCR time series archive: a sequence and its class, or value, a line.
//!
//! ```text
//! # a comment
//! @timeStamps false
//! @classLabel true left right
//! @data
//! 0.1,0.2,0.3:7,8,9:left
//! 0.4,0.5:1,2:right
//! ```
//!
//! A case has one or more channels, each a comma list of as many values as the case has steps, and last the label.
//! After `@targetLabel true` or `@classLabel false` the last field is a number to predict.

use super::memory::{Budget, Cause, NAME};
use super::sample::{Features, InputSchema, Sample, SampleInput, SampleTarget, Scale, Schema, TargetSchema};
use super::shared::Values;
use super::words::short;
use super::{
    Classes, Source, collected, each, input_features, list, mismatch, number, read_text, split,
    target_features,
};
use crate::config::duplicate;
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A `.ts` file.
pub(super) struct Ts {
    path: PathBuf,
    /// The classes of the header; none where cases have values.
    classes: Option<Vec<String>>,
    cases: Vec<Case>,
    /// Of all cases, one after the other.
    values: Vec<f32>,
    /// Of a step.
    channels: usize,
    standardize: bool,
}

#[derive(Clone, Copy)]
struct Case {
    line: u32,
    /// Where its values end.
    end: u32,
    label: Label,
}

#[derive(Clone, Copy)]
enum Label {
    /// The number of a class of the header.
    Class(u32),
    Value(f32),
}

/// Bytes of a case, but for its values: its sample, a value to predict, and its number in a part.
const CASE: usize = size_of::<Case>() + size_of::<Sample>() + size_of::<f32>() + size_of::<usize>();

/// Bytes of a channel's mean and deviation, and of what they are computed in.
const CHANNEL: usize = size_of::<Scale>() + 2 * size_of::<f64>();

struct Header {
    classes: Option<Vec<String>>,
    /// The classes, to be looked up.
    known: HashMap<String, u32>,
    channels: Option<usize>,
}

impl Ts {
    fn parse(path: &Path, text: &str, standardize: bool) -> Result<Self> {
        let mut budget = Budget::new(path, text.len());
        let place = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
        let mut lines = text
            .lines()
            .zip(1..)
            .map(|(text, line)| (line, text.trim()))
            .filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let mut header = header(path, &mut lines, &mut budget)?;
        let (mut cases, mut values) = (Vec::new(), Vec::new());
        for (line, text) in lines {
            let refuse = |message: String| Error::line(path, line, message);
            let read = place(text) + text.len();
            budget.take(CASE + n_values(text) * size_of::<f32>(), read)?;
            let label = case(text, &mut header, &mut values).map_err(refuse)?;
            cases.push(Case { line: short(line), end: short(values.len()), label });
        }
        let (Some(channels), false) = (header.channels, cases.is_empty()) else {
            return Err(Error::file(path, "has no case after `@data`"));
        };
        if standardize {
            budget.take_all_for(Cause::Channels, channels.saturating_mul(CHANNEL))?;
        }
        Ok(Self { path: path.into(), classes: header.classes, cases, values, channels, standardize })
    }

    /// Where the values of a case are.
    fn place(&self, case: usize) -> Range<usize> {
        let start = case.checked_sub(1).map_or(0, |before| self.cases[before].end as usize);
        start..self.cases[case].end as usize
    }

    fn scales<'a>(&self, parts: impl Iterator<Item = &'a [f32]> + Clone, channels: usize) -> Vec<Scale> {
        if self.standardize { split::scales(parts, channels) } else { Vec::new() }
    }
}

/// How many values the line of a case may have.
fn n_values(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b',' | b':')).count()
}

/// Reads on until `@data`.
fn header<'a>(
    path: &Path,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
    budget: &mut Budget,
) -> Result<Header> {
    let mut classes: Option<Option<Vec<String>>> = None;
    let mut channels = None;
    for (line, text) in lines {
        let refuse = |message: String| Err(Error::line(path, line, message));
        let Some(text) = text.strip_prefix('@') else {
            return refuse("a line before `@data` must start with `@` or `#`".into());
        };
        let mut words = text.split_whitespace();
        budget.take_all_for(Cause::Names, NAME * words.clone().count() + 2 * text.len())?;
        let tag = words.next().unwrap_or_default().to_ascii_lowercase();
        let words: Vec<&str> = words.collect();
        let says = |word: &str| words.first().is_some_and(|w| w.eq_ignore_ascii_case(word));
        match tag.as_str() {
            "data" => {
                let Some(classes) = classes else {
                    return refuse("no `@classLabel` or `@targetLabel` line before `@data`".into());
                };
                let known = classes.iter().flatten().cloned().zip(0..).collect();
                return Ok(Header { classes, known, channels });
            }
            "timestamps" if says("true") => {
                return refuse(
                    "time stamps are not supported: write the values alone, evenly spaced in time, \
                     and `@timeStamps false`"
                        .into(),
                );
            }
            "dimension" | "dimensions" => match words.first().map(|word| word.parse()) {
                Some(Ok(n)) if n > 0 => channels = Some(n),
                _ => return refuse(format!("`@{tag}` needs a number of channels")),
            },
            "classlabel" if says("true") => {
                let names = &words[1..];
                if names.is_empty() {
                    return refuse("`@classLabel true` lists no class".into());
                }
                if let Some(name) = duplicate(names) {
                    return refuse(format!("`@classLabel` lists `{name}` twice"));
                }
                classes = Some(Some(names.iter().map(ToString::to_string).collect()));
            }
            "targetlabel" if says("true") => classes = Some(None),
            // A regression file may say both this and `@targetLabel true`.
            "classlabel" if says("false") => classes = classes.or(Some(None)),
            "classlabel" => return refuse("`@classLabel` needs `true` or `false`".into()),
            _ => {}
        }
    }
    Err(Error::file(path, "has no `@data` line: is it a .ts file?"))
}

/// Reads the label of a case, and its values to the end of `values`.
fn case(text: &str, header: &mut Header, values: &mut Vec<f32>) -> Result<Label, String> {
    let missing = || "the label is missing: it is the last field, after a `:`".to_string();
    let (channels, label) = text.rsplit_once(':').ok_or_else(missing)?;
    let label = label.trim();
    let label = match (&header.classes, header.known.get(label)) {
        _ if label.is_empty() => return Err(missing()),
        (Some(_), Some(&class)) => Label::Class(class),
        (Some(_), None) if label.contains(',') => return Err(missing()),
        (Some(classes), None) => {
            let message = format!("label `{label}` is not in `@classLabel`: {}", list(classes));
            return Err(message);
        }
        (None, _) => Label::Value(number(label).map_err(|e| format!("the last field: {e}"))?),
    };
    let n_channels = channels_of(channels, values)?;
    match header.channels {
        Some(n) if n != n_channels => {
            return Err(format!("{n_channels} channels, where the header or the first case has {n}"));
        }
        // Without `@dimensions` the first case says how many.
        _ => header.channels = Some(n_channels),
    }
    Ok(label)
}

/// Reads `1,2:3,4` as two steps of two channels to the end of `values`, and says how many channels there are.
fn channels_of(text: &str, values: &mut Vec<f32>) -> Result<usize, String> {
    let channels = text.split(':').count();
    let steps = text.split(':').next().unwrap_or_default().split(',').count();
    let start = values.len();
    // Each value goes to its place at once: where channels have different numbers of steps there is none.
    let even = channels.checked_mul(steps) == Some(text.split([':', ',']).count());
    if even {
        values.reserve(channels * steps);
        values.resize(start + channels * steps, 0.0);
    }
    let mut uneven = None;
    for (c, field) in text.split(':').enumerate() {
        if field.trim().is_empty() {
            return Err(format!(
                "channel {} has no value: give it as many as the others, or leave the case out",
                c + 1
            ));
        }
        let mut n = 0;
        for (t, text) in field.split(',').enumerate() {
            let value = number(text).map_err(|e| format!("channel {}, step {}: {e}", c + 1, t + 1))?;
            if even && t < steps {
                values[start + t * channels + c] = value;
            }
            n = t + 1;
        }
        if n != steps && uneven.is_none() {
            uneven = Some((c + 1, n));
        }
    }
    match uneven {
        Some((channel, n)) => Err(format!(
            "channel {channel} has {n} steps, channel 1 has {steps}: give every channel as many values"
        )),
        None => Ok(channels),
    }
}

/// A case without its label, if it has one after so many channels. What may be a channel more is none.
fn without_label(text: &str, channels: usize) -> &str {
    let Some((sequence, label)) = text.rsplit_once(':') else { return text };
    // A number is a channel only of one step.
    let is_channel = label.contains(',') || (!sequence.contains(',') && number(label).is_ok());
    let is_label = !label.trim().is_empty() && !is_channel;
    if is_label && text.split(':').count() == channels + 1 { sequence } else { text }
}

/// One sequence, `1,2:3,4`, as a model with inputs like `input` reads it. Its label may stand at the end, as in a file.
pub fn parse_case(line: &str, input: &InputSchema) -> Result<Features> {
    let (channels, scales) = input_features(input)?;
    let mut data = Vec::new();
    let found = channels_of(without_label(line.trim(), channels), &mut data).map_err(Error::Input)?;
    if found != channels {
        return Err(Error::Input(format!(
            "the sequence has {found} channels, the model reads {channels}: \
             separate channels with `:` and values with `,`; a label may stand last"
        )));
    }
    split::standardize(&mut data, scales);
    Ok(Features { data: data.into(), channels })
}

impl Source for Ts {
    /// Cases.
    type Part = Vec<usize>;
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Self::parse(path, &read_text(path)?, config.standardize)
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        // What cases are drawn by: their class, if they have one.
        let groups: Vec<Option<u32>> = self.cases.iter().map(|case| case.label.class()).collect();
        let name = |class: Option<u32>| match (&self.classes, class) {
            (Some(classes), Some(class)) => classes[class as usize].as_str(),
            _ => "",
        };
        split::by_group(&self.path, &groups, name, [valid, test], seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let channels = self.channels;
        let inputs = train.iter().map(|&k| &self.values[self.place(k)]);
        let target = match &self.classes {
            // A class without a case cannot be learned: a test case of it should be an error.
            Some(classes) => {
                let seen: HashSet<u32> = self.cases.iter().filter_map(|case| case.label.class()).collect();
                let labels = (0..).zip(classes).filter(|(class, _)| seen.contains(class));
                TargetSchema::Class { labels: labels.map(|(_, label)| label.clone()).collect() }
            }
            None => {
                let values = train.iter().map(|&k| match &self.cases[k].label {
                    Label::Value(value) => std::slice::from_ref(value),
                    Label::Class(_) => &[],
                });
                TargetSchema::Features { channels: 1, scales: self.scales(values, 1), names: Vec::new() }
            }
        };
        Ok(Schema {
            input: InputSchema::Features {
                channels,
                scales: self.scales(inputs, channels),
                names: Vec::new(),
            },
            target,
        })
    }

    fn samples(self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let (channels, scales) = input_features(&schema.input)?;
        let labels: &[String] = match &schema.target {
            TargetSchema::Class { labels } => labels,
            _ => &[],
        };
        let classes = Classes::new(labels);
        let refuse =
            |k: usize, message: String| Error::line(&self.path, self.cases[k].line as usize, message);
        if let Some(&first) = parts.iter().flatten().next().filter(|_| self.channels != channels) {
            let n = self.channels;
            return Err(refuse(first, format!("{n} channels, where the training data have {channels}")));
        }
        let mut values = self.values;
        split::standardize(&mut values, scales);
        let values = Arc::new(values);
        // What is to be predicted of each case, one value after the other.
        let said = match (&self.classes, &schema.target) {
            (Some(_), TargetSchema::Class { .. }) => Vec::new(),
            (None, target) => {
                let (1, scales) = target_features(target)? else {
                    return Err(mismatch());
                };
                let mut said: Vec<f32> = self.cases.iter().filter_map(|case| case.label.value()).collect();
                split::standardize(&mut said, scales);
                said
            }
            _ => return Err(mismatch()),
        };
        let said = Arc::new(said);
        let sample = |k: usize| {
            let Case { end, label, .. } = self.cases[k];
            let start = k.checked_sub(1).map_or(0, |before| self.cases[before].end as usize);
            let data = Values::part(&values, start..end as usize);
            let target = match (label, &self.classes) {
                (Label::Class(class), Some(names)) => {
                    let class = classes.of(&names[class as usize]).map_err(|message| refuse(k, message))?;
                    SampleTarget::Class(class)
                }
                _ => SampleTarget::Features(Features { data: Values::part(&said, k..k + 1), channels: 1 }),
            };
            Ok(Sample { input: SampleInput::Features(Features { data, channels }), target })
        };
        each(parts, |part| collected(part, sample))
    }
}

impl Label {
    fn class(self) -> Option<u32> {
        match self {
            Self::Class(class) => Some(class),
            Self::Value(_) => None,
        }
    }

    fn value(self) -> Option<f32> {
        match self {
            Self::Class(_) => None,
            Self::Value(value) => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, Samples, load, load_split};

    const MODE: IoMode = IoMode::ManyToOne;
    const HEAD: &str = "# a comment\n@timeStamps false\n@classLabel true a b\n@data\n";

    fn parse(text: &str) -> Result<Ts> {
        Ts::parse(Path::new("x.ts"), text, true)
    }

    /// That a file with these cases after [`HEAD`] is refused.
    #[track_caller]
    fn refused(cases: &str, says: &[&str]) {
        assert_says(parse(&format!("{HEAD}{cases}")), says);
    }

    fn vowels(more: &str) -> DataConfig {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/japanese_vowels");
        let mut config = config("ts", Some(&folder.join("JapaneseVowels_TRAIN.ts")), more);
        config.test = Some(folder.join("JapaneseVowels_TEST.ts"));
        config
    }

    #[test]
    fn case_is_transposed() {
        let ts = parse(&format!("{HEAD}\n1,2,3:4,5,6:a\r\n# more\n7:8: b \n")).unwrap();
        assert_eq!(ts.values[ts.place(0)], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!((ts.channels, ts.place(1)), (2, 6..8));
        assert_eq!((ts.cases[1].line, ts.cases[1].label.class()), (8, Some(1)));
    }

    #[test]
    fn time_stamps_are_refused() {
        let text = "@timestamps TRUE\n@classLabel true a\n@data\n(0,1):a\n";
        assert_says(parse(text), &["x.ts:1:", "not supported"]);
    }

    #[test]
    fn no_data_line_is_refused() {
        assert_says(parse("@classLabel true a b\n"), &["@data"]);
    }

    #[test]
    fn case_before_the_data_line_is_refused() {
        assert_says(parse("@classLabel true a b\n1:a\n"), &["x.ts:2:", "@data"]);
    }

    #[test]
    fn no_class_label_line_is_refused() {
        assert_says(parse("@missing false\n@data\n1:a\n"), &["x.ts:2:", "@classLabel"]);
    }

    #[test]
    fn class_label_without_classes_is_refused() {
        assert_says(parse("@classLabel true\n@data\n"), &["x.ts:1:", "no class"]);
    }

    #[test]
    fn class_label_without_true_or_false_is_refused() {
        assert_says(parse("@classLabel\n@data\n"), &["x.ts:1:", "`true` or `false`"]);
    }

    #[test]
    fn class_listed_twice_is_refused() {
        assert_says(parse("@classLabel true a b a\n@data\n"), &["`a` twice"]);
    }

    #[test]
    fn dimensions_that_are_no_number_are_refused() {
        assert_says(parse("@dimensions many\n@data\n"), &["x.ts:1:", "number"]);
    }

    #[test]
    fn dimensions_that_are_wrong_are_refused() {
        let text = "@dimensions 2\n@classLabel true a\n@data\n1:a\n";
        assert_says(parse(text), &["x.ts:4:", "1 channels", "has 2"]);
    }

    #[test]
    fn no_case_is_refused() {
        refused("\n", &["no case"]);
    }

    #[test]
    fn ragged_channels_are_refused() {
        refused("1,2:3:a\n", &["x.ts:5:", "channel 2 has 1 steps", "channel 1 has 2"]);
    }

    #[test]
    fn another_number_of_channels_is_refused() {
        refused("1:2:a\n1:b\n", &["x.ts:6:", "1 channels", "has 2"]);
    }

    #[test]
    fn missing_label_is_refused() {
        refused("1,2\n", &["x.ts:5:", "label is missing"]);
        refused("1,2:3,4\n", &["x.ts:5:", "label is missing"]);
        refused("1,2:3,4:\n", &["x.ts:5:", "label is missing"]);
    }

    #[test]
    fn label_not_listed_is_refused() {
        refused("1,2:c\n", &["x.ts:5:", "`c` is not in `@classLabel`: a, b"]);
    }

    #[test]
    fn word_for_a_number_is_refused() {
        refused("1,2:3,x:a\n", &["x.ts:5:", "channel 2, step 2", "`x`"]);
    }

    #[test]
    fn missing_values_are_refused() {
        for value in ["?", "NaN", ""] {
            refused(&format!("1,{value}:a\n"), &["x.ts:5:", "step 2", "missing"]);
        }
    }

    #[test]
    fn infinite_value_is_refused() {
        refused("1,inf:a\n", &["x.ts:5:", "not finite"]);
    }

    #[test]
    fn channel_without_values_is_refused() {
        refused("1,2::a\n", &["x.ts:5:", "channel 2 has no value"]);
        refused(":a\n", &["x.ts:5:", "channel 1 has no value"]);
    }

    #[test]
    fn class_with_no_case_left_to_train_on_is_refused() {
        let file = file(format!("{HEAD}1:a\n2:b\n"));
        let config = config("ts", Some(file.path()), "valid_fraction = 0.4");
        assert_says(load(&config, MODE, 0), &["left to train on"]);
    }

    #[test]
    fn no_validation_is_refused() {
        let file = file(format!("{HEAD}1:a\n2:b\n"));
        let config = config("ts", Some(file.path()), "valid_fraction = 0.0");
        assert_says(load(&config, MODE, 0), &["data.valid_fraction", "validation"]);
    }

    #[test]
    fn label_only_in_the_test_file_is_refused() {
        let train = file("@classLabel true a b c\n@data\n1:a\n2:b\n");
        let test = file("@classLabel true a c\n@data\n1:a\n2:c\n");
        let mut config = config("ts", Some(train.path()), "");
        config.valid = Some(train.path().into());
        config.test = Some(test.path().into());
        let says = ["label `c`", "the 2 of the training data: a, b", ":4:"];
        assert_says(load(&config, MODE, 0), &says);
    }

    #[test]
    fn test_file_with_other_channels_is_refused() {
        let train = file(format!("{HEAD}1:a\n2:b\n"));
        let test = file(format!("{HEAD}1:2:a\n"));
        let mut config = config("ts", Some(train.path()), "");
        config.valid = Some(train.path().into());
        config.test = Some(test.path().into());
        assert_says(load(&config, MODE, 0), &[":5:", "2 channels"]);
    }

    #[test]
    fn regression_target_is_scaled() {
        let head = "@targetLabel true\n@classLabel false\n@data\n";
        let train = file(format!("{head}1:10\n2:14\n"));
        let mut config = config("ts", Some(train.path()), "test_fraction = 0.0");
        config.valid = Some(train.path().into());
        let data = load(&config, MODE, 0).unwrap();
        let scale = Scale { mean: 12.0, std: 2.0 };
        let names = Vec::new();
        let target = TargetSchema::Features { channels: 1, scales: vec![scale], names };
        assert_eq!(data.schema.target, target);
        let features = Features { data: vec![-1.0].into(), channels: 1 };
        assert_eq!(data.train.at(0).target, SampleTarget::Features(features));
        assert_says(parse(&format!("{head}1:a\n")), &["x.ts:4:", "last field", "`a`"]);
    }

    #[test]
    fn japanese_vowels_are_as_described() {
        let config = vowels("");
        let Dataset { train, valid, test, schema } = load(&config, MODE, 1).unwrap();
        assert_eq!([train.len(), valid.len(), test.len()], [243, 27, 370]);
        let steps = |samples: &Samples| {
            let steps = samples.iter().map(|s| s.input.steps());
            (steps.clone().min().unwrap(), steps.max().unwrap())
        };
        assert_eq!(steps(&test), (7, 29));
        assert_eq!(steps(&train.iter().chain(&valid).map(|s| s.into_owned()).collect()), (7, 26));
        let classes = |samples: &Samples| {
            let mut counts = [0; 9];
            for sample in samples {
                match sample.target {
                    SampleTarget::Class(class) => counts[class as usize] += 1,
                    _ => panic!("no class"),
                }
            }
            counts
        };
        assert_eq!(classes(&train), [27; 9]);
        assert_eq!(classes(&valid), [3; 9]);
        assert_eq!(classes(&test), [31, 35, 88, 44, 29, 24, 40, 50, 29]);
        let labels = (1..=9).map(|n| n.to_string()).collect();
        assert_eq!(schema.target, TargetSchema::Class { labels });
        assert_eq!(input_features(&schema.input).unwrap().0, 12);

        // Mean 0 and deviation 1, over the training part alone.
        let train: Vec<_> = train.iter().collect();
        let values: Vec<&[f32]> = train
            .iter()
            .map(|s| match &s.input {
                SampleInput::Features(f) => f.data.as_slice(),
                _ => panic!("no features"),
            })
            .collect();
        for scale in split::scales(values.into_iter(), 12) {
            assert!(scale.mean.abs() < 1e-5 && (scale.std - 1.0).abs() < 1e-5, "{scale:?}");
        }
        assert_eq!(load_split(&config, MODE, &schema, None, 1).unwrap(), test);
    }

    #[test]
    fn japanese_vowels_are_drawn_by_seed() {
        let valid = |seed| load(&vowels(""), MODE, seed).unwrap().valid;
        assert_eq!(valid(1), valid(1));
        assert_ne!(valid(1), valid(2));
    }

    #[test]
    fn japanese_vowels_without_a_test_file_draw_one() {
        let mut config = vowels("");
        config.test = None;
        let data = load(&config, MODE, 1).unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [216, 27, 27]);
        assert_eq!(load_split(&config, MODE, &data.schema, None, 1).unwrap(), data.test);
    }

    #[test]
    fn parse_case_reads_as_load_does() {
        let config = vowels("");
        let data = load(&config, MODE, 1).unwrap();
        let text = std::fs::read_to_string(config.test.unwrap()).unwrap();
        let labelled = text.lines().last().unwrap();
        let (line, _) = labelled.rsplit_once(':').unwrap();
        for line in [line, labelled] {
            let features = parse_case(line, &data.schema.input).unwrap();
            assert_eq!(SampleInput::Features(features), data.test.at(369).input);
        }
        assert_says(parse_case("1,2:3,4", &data.schema.input), &["2 channels", "reads 12"]);
        assert_says(parse_case("1,x", &data.schema.input), &["step 2", "`x`"]);
        assert_says(parse_case("", &data.schema.input), &["no value"]);
        let tokens = InputSchema::Tokens { vocabulary: vec!["a".into()] };
        assert_says(parse_case("1", &tokens), &["another kind"]);
    }

    #[test]
    fn a_label_is_told_from_a_channel() {
        let input = InputSchema::Features { channels: 2, scales: Vec::new(), names: Vec::new() };
        for line in ["1,2:3,4", "1,2:3,4:a", " 1,2:3,4:7 ", "1,2:3,4:two words"] {
            assert_eq!(parse_case(line, &input).unwrap().data, [1.0, 3.0, 2.0, 4.0], "{line}");
        }
        assert_eq!(parse_case("1:3:a", &input).unwrap().data, [1.0, 3.0]);
        for line in ["1,2:3,4:5,6", "1:3:5"] {
            assert_says(parse_case(line, &input), &["3 channels, the model reads 2"]);
        }
        assert_says(parse_case("1,2:a", &input), &["channel 2, step 1: `a`"]);
        assert_says(parse_case("1,2:3,4:", &input), &["channel 3 has no value"]);
        assert_says(parse_case("1,2:3,4:5,6:a", &input), &["channel 4, step 1: `a`"]);
    }
}
