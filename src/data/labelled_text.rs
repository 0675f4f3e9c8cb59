//! Labelled texts: a label, a tab or, where the line has none, its first space, and words between spaces.
//!
//! ```text
//! NUM:dist How far is it from Denver to Aspen ?
//! HUM:desc Who was Galileo ?
//! ```
//!
//! `label_delimiter = ":"` makes `NUM` and `HUM` of these labels.

use super::sample::{Sample, SampleTarget, Schema, TargetSchema};
use super::words::{self, WordReader};
use super::{Classes, Source, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of labelled texts.
pub(super) struct LabelledText {
    path: PathBuf,
    lines: Vec<Line>,
    min_count: usize,
    lowercase: bool,
}

struct Line {
    number: usize,
    label: String,
    text: String,
}

impl Line {
    fn parse(number: usize, line: &str, delimiter: Option<&str>) -> Result<Self, String> {
        let (label, text) = line
            .split_once('\t')
            .or_else(|| line.split_once(' '))
            .ok_or("the line has one word: write a label, a tab or a space, and a text")?;
        let label = match delimiter.and_then(|delimiter| label.split_once(delimiter)) {
            Some((label, _)) => label,
            None => label,
        };
        if label.trim().is_empty() {
            return Err("the label is missing: it is what stands before the first tab or space".into());
        }
        if text.trim().is_empty() {
            return Err(format!("there is no text after the label `{}`", label.trim()));
        }
        Ok(Self { number, label: label.trim().into(), text: text.into() })
    }
}

impl LabelledText {
    fn parse(path: &Path, text: &str, config: &DataConfig) -> Result<Self> {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let lines: Vec<Line> = lines
            .map(|(number, line)| {
                Line::parse(number, line, config.label_delimiter.as_deref())
                    .map_err(|message| Error::line(path, number, message))
            })
            .collect::<Result<_>>()?;
        if lines.is_empty() {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        let (min_count, lowercase) = (config.min_count.unwrap_or(1), config.lowercase);
        Ok(Self { path: path.into(), lines, min_count, lowercase })
    }
}

impl Source for LabelledText {
    /// Lines.
    type Part = Vec<usize>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Self::parse(path, &read_text(path)?, config)
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let labels: Vec<&str> = self.lines.iter().map(|line| line.label.as_str()).collect();
        split::by_class(&self.path, &labels, valid, test, seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let lines = || train.iter().map(|&k| &self.lines[k]);
        let labels: BTreeSet<&String> = lines().map(|line| &line.label).collect();
        let words = lines().flat_map(|line| line.text.split_whitespace());
        Ok(Schema {
            input: words::schema(words, self.min_count, self.lowercase, true),
            target: TargetSchema::Class { labels: labels.into_iter().cloned().collect() },
        })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let reader = WordReader::new(&schema.input)?;
        let TargetSchema::Class { labels } = &schema.target else {
            return Err(mismatch());
        };
        let classes = Classes::new(labels);
        let sample = |line: &Line| {
            let class = classes.of(&line.label).map_err(|e| Error::line(&self.path, line.number, e))?;
            let words: Vec<&str> = line.text.split_whitespace().collect();
            Ok(Sample { input: reader.encode(&words), target: SampleTarget::Class(class) })
        };
        part.iter().map(|&k| sample(&self.lines[k])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, InputSchema, SampleInput, load, load_split};

    const MODE: IoMode = IoMode::ManyToOne;
    /// Twenty lines of two labels, sub-labels and a tab.
    const SOME: &str = "A:x one two\nB:y two\tthree\n\nA one\r\n";

    fn some() -> String {
        SOME.replace("two\tthree", "two three").repeat(7)
    }

    fn loaded(text: &str, more: &str) -> Result<Dataset> {
        let file = file(text);
        load(&config("labelled-text", Some(file.path()), more), MODE, 0)
    }

    #[test]
    fn label_and_words_are_read() {
        let data = loaded(&some(), "label_delimiter = \":\"").unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [17, 2, 2]);
        assert_eq!(data.schema.target, TargetSchema::Class { labels: vec!["A".into(), "B".into()] });
        let InputSchema::Words { vocabulary, .. } = &data.schema.input else { panic!("no words") };
        assert_eq!(vocabulary.len(), 4);
        let data = loaded(&some(), "").unwrap();
        let labels = ["A", "A:x", "B:y"].map(String::from).to_vec();
        assert_eq!(data.schema.target, TargetSchema::Class { labels });
    }

    #[test]
    fn a_tab_goes_before_a_space() {
        let data = loaded(&"very good\ta film\nbad\tfilm\n".repeat(10), "").unwrap();
        let labels = ["bad", "very good"].map(String::from).to_vec();
        assert_eq!(data.schema.target, TargetSchema::Class { labels });
        let one = data.train.iter().find(|sample| sample.target == SampleTarget::Class(1)).unwrap();
        assert_eq!(one.input.steps(), 2);
    }

    #[test]
    fn test_file_is_read_by_the_stored_schema() {
        let train = file(some());
        let test = file("B:z three four\n");
        let mut config = config("labelled-text", Some(train.path()), "label_delimiter = \":\"");
        config.test = Some(test.path().into());
        let data = load(&config, MODE, 0).unwrap();
        assert_eq!(load_split(&config, MODE, &data.schema, None, 0).unwrap(), data.test);
        let SampleInput::Words { tokens, spellings } = &data.test[0].input else { panic!("no words") };
        assert!(tokens[0] > 0 && tokens[1] == 0, "{tokens:?}");
        assert_eq!(spellings[1][0], 0, "no word of training has an f");
        assert_eq!(data.test[0].target, SampleTarget::Class(1));
        let mut data = data;
        data.drop_spellings();
        assert!(matches!(data.test[0].input, SampleInput::Tokens(_)));
        assert_eq!(load_split(&config, MODE, &data.schema, None, 0).unwrap(), data.test);
    }

    #[test]
    fn label_only_in_the_test_file_is_refused() {
        let train = file(some());
        let test = file("A one\n\nC one\n");
        let mut config = config("labelled-text", Some(train.path()), "label_delimiter = \":\"");
        config.test = Some(test.path().into());
        assert_says(load(&config, MODE, 0), &[":3:", "label `C`", "the 2 of the training data: A, B"]);
    }

    #[test]
    fn what_is_no_labelled_text_is_refused() {
        for (text, says) in [
            ("A one\nB\n", [":2:", "one word"]),
            ("A one\n x\n", [":2:", "label is missing"]),
            ("A one\n\tx\n", [":2:", "label is missing"]),
            ("A one\n:x y\n", [":2:", "label is missing"]),
            ("A one\nB \n", [":2:", "no text after the label `B`"]),
            ("A one\nB\t \n", [":2:", "no text after the label `B`"]),
            ("\n \n", ["blank lines", "only"]),
            ("A one\nB two\n", ["no case of", "left to train on"]),
        ] {
            assert_says(loaded(text, "label_delimiter = \":\"\nvalid_fraction = 0.4"), &says);
        }
    }

    #[test]
    fn schema_of_another_kind_is_refused() {
        let file = file(some());
        let config = config("labelled-text", Some(file.path()), "");
        let data = load(&config, MODE, 0).unwrap();
        let features = Schema::features(1, 1);
        let tokens = Schema { input: data.schema.input, target: features.target.clone() };
        for schema in [features, tokens] {
            assert_says(load_split(&config, MODE, &schema, None, 0), &["another kind"]);
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused() {
        let text = some();
        for k in 0..SOME.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[k] ^= 1 << bit;
                let file = file(bytes);
                load(&config("labelled-text", Some(file.path()), ""), MODE, 0).ok();
            }
        }
    }
}
