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

use super::sample::{Features, InputSchema, Sample, SampleInput, SampleTarget, Scale, Schema, TargetSchema};
use super::{Classes, Source, input_features, list, mismatch, number, read_text, split, target_features};
use crate::config::duplicate;
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A `.ts` file.
pub(super) struct Ts {
    path: PathBuf,
    /// The classes of the header; none where cases have values.
    classes: Option<Vec<String>>,
    cases: Vec<Case>,
    standardize: bool,
}

struct Case {
    line: usize,
    input: Features,
    label: Label,
}

enum Label {
    Class(String),
    Value(f32),
}

struct Header {
    classes: Option<Vec<String>>,
    /// The classes, to be looked up.
    known: HashSet<String>,
    channels: Option<usize>,
}

impl Ts {
    fn parse(path: &Path, text: &str, standardize: bool) -> Result<Self> {
        let mut lines = text
            .lines()
            .zip(1..)
            .map(|(text, line)| (line, text.trim()))
            .filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let mut header = header(path, &mut lines)?;
        let mut cases = Vec::new();
        for (line, text) in lines {
            let case = case(line, text, &header).map_err(|e| Error::line(path, line, e))?;
            // Without `@dimensions` the first case says how many.
            header.channels = Some(case.input.channels);
            cases.push(case);
        }
        if cases.is_empty() {
            return Err(Error::file(path, "has no case after `@data`"));
        }
        Ok(Self { path: path.into(), classes: header.classes, cases, standardize })
    }

    fn scales<'a>(&self, parts: impl Iterator<Item = &'a [f32]> + Clone, channels: usize) -> Vec<Scale> {
        if self.standardize { split::scales(parts, channels) } else { Vec::new() }
    }
}

/// Reads on until `@data`.
fn header<'a>(path: &Path, lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<Header> {
    let mut classes: Option<Option<Vec<String>>> = None;
    let mut channels = None;
    for (line, text) in lines {
        let refuse = |message: String| Err(Error::line(path, line, message));
        let Some(text) = text.strip_prefix('@') else {
            return refuse("a line before `@data` must start with `@` or `#`".into());
        };
        let mut words = text.split_whitespace();
        let tag = words.next().unwrap_or_default().to_ascii_lowercase();
        let words: Vec<&str> = words.collect();
        let says = |word: &str| words.first().is_some_and(|w| w.eq_ignore_ascii_case(word));
        match tag.as_str() {
            "data" => {
                let Some(classes) = classes else {
                    return refuse("no `@classLabel` or `@targetLabel` line before `@data`".into());
                };
                let known = classes.iter().flatten().cloned().collect();
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

fn case(line: usize, text: &str, header: &Header) -> Result<Case, String> {
    let missing = || "the label is missing: it is the last field, after a `:`".to_string();
    let (channels, label) = text.rsplit_once(':').ok_or_else(missing)?;
    let label = label.trim();
    let label = match &header.classes {
        _ if label.is_empty() => return Err(missing()),
        Some(_) if header.known.contains(label) => Label::Class(label.into()),
        Some(_) if label.contains(',') => return Err(missing()),
        Some(classes) => {
            let message = format!("label `{label}` is not in `@classLabel`: {}", list(classes));
            return Err(message);
        }
        None => Label::Value(number(label).map_err(|e| format!("the last field: {e}"))?),
    };
    let input = channels_of(channels)?;
    match header.channels {
        Some(n) if n != input.channels => {
            Err(format!("{} channels, where the header or the first case has {n}", input.channels))
        }
        _ => Ok(Case { line, input, label }),
    }
}

/// `1,2:3,4` as two steps of two channels.
fn channels_of(text: &str) -> Result<Features, String> {
    let channel = |(field, n): (&str, usize)| {
        if field.trim().is_empty() {
            return Err(format!(
                "channel {n} has no value: give it as many as the others, or leave the case out"
            ));
        }
        let value = |(v, t)| number(v).map_err(|e| format!("channel {n}, step {t}: {e}"));
        field.split(',').zip(1..).map(value).collect()
    };
    let channels: Vec<Vec<f32>> = text.split(':').zip(1..).map(channel).collect::<Result<_, _>>()?;
    let steps = channels[0].len();
    if let Some(n) = channels.iter().position(|c| c.len() != steps) {
        return Err(format!(
            "channel {} has {} steps, channel 1 has {steps}: give every channel as many values",
            n + 1,
            channels[n].len()
        ));
    }
    Ok(Features {
        data: (0..steps).flat_map(|t| channels.iter().map(move |c| c[t])).collect(),
        channels: channels.len(),
    })
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
    let mut features = channels_of(without_label(line.trim(), channels)).map_err(Error::Input)?;
    if features.channels != channels {
        return Err(Error::Input(format!(
            "the sequence has {} channels, the model reads {channels}: \
             separate channels with `:` and values with `,`; a label may stand last",
            features.channels
        )));
    }
    split::standardize(&mut features.data, scales);
    Ok(features)
}

impl Source for Ts {
    /// Cases.
    type Part = Vec<usize>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Self::parse(path, &read_text(path)?, config.standardize)
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let groups: Vec<&str> = self.cases.iter().map(|case| case.label.group()).collect();
        split::by_class(&self.path, &groups, valid, test, seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let channels = self.cases[0].input.channels;
        let inputs = train.iter().map(|i| self.cases[*i].input.data.as_slice());
        let target = match &self.classes {
            // A class without a case cannot be learned: a test case of it should be an error.
            Some(classes) => {
                let seen: HashSet<&str> = self.cases.iter().map(|case| case.label.group()).collect();
                let labels = classes.iter().filter(|class| seen.contains(class.as_str())).cloned().collect();
                TargetSchema::Class { labels }
            }
            None => {
                let values = train.iter().map(|i| match &self.cases[*i].label {
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

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let (channels, scales) = input_features(&schema.input)?;
        let labels: &[String] = match &schema.target {
            TargetSchema::Class { labels } => labels,
            _ => &[],
        };
        let classes = Classes::new(labels);
        let sample = |case: &Case| {
            let refuse = |message: String| Err(Error::line(&self.path, case.line, message));
            if case.input.channels != channels {
                let n = case.input.channels;
                return refuse(format!("{n} channels, where the training data have {channels}"));
            }
            let mut input = case.input.clone();
            split::standardize(&mut input.data, scales);
            let target = match (&case.label, &schema.target) {
                (Label::Class(label), TargetSchema::Class { .. }) => {
                    let number = classes.of(label).map_err(|e| Error::line(&self.path, case.line, e))?;
                    SampleTarget::Class(number)
                }
                (Label::Value(value), target) => {
                    let (1, scales) = target_features(target)? else {
                        return Err(mismatch());
                    };
                    let mut data = vec![*value];
                    split::standardize(&mut data, scales);
                    SampleTarget::Features(Features { data, channels: 1 })
                }
                _ => return Err(mismatch()),
            };
            Ok(Sample { input: SampleInput::Features(input), target })
        };
        part.iter().map(|i| sample(&self.cases[*i])).collect()
    }
}

impl Label {
    /// What cases are drawn by: their class, if they have one.
    fn group(&self) -> &str {
        match self {
            Self::Class(label) => label,
            Self::Value(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, load, load_split};

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
        let case = &ts.cases[0];
        assert_eq!(case.input.data, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!((case.input.channels, case.input.steps()), (2, 3));
        assert_eq!((ts.cases[1].line, ts.cases[1].label.group()), (8, "b"));
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
        let features = Features { data: vec![-1.0], channels: 1 };
        assert_eq!(data.train[0].target, SampleTarget::Features(features));
        assert_says(parse(&format!("{head}1:a\n")), &["x.ts:4:", "last field", "`a`"]);
    }

    #[test]
    fn japanese_vowels_are_as_described() {
        let config = vowels("");
        let Dataset { train, valid, test, schema } = load(&config, MODE, 1).unwrap();
        assert_eq!([train.len(), valid.len(), test.len()], [243, 27, 370]);
        let steps = |samples: &[Sample]| {
            let steps = samples.iter().map(|s| s.input.steps());
            (steps.clone().min().unwrap(), steps.max().unwrap())
        };
        assert_eq!(steps(&test), (7, 29));
        assert_eq!(steps(&[train.clone(), valid.clone()].concat()), (7, 26));
        let classes = |samples: &[Sample]| {
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
            assert_eq!(SampleInput::Features(features), data.test[369].input);
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
