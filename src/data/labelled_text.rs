//! Labelled texts: a label, a tab or, where the line has none, its first space, and words between spaces.
//!
//! ```text
//! NUM:dist How far is it from Denver to Aspen ?
//! HUM:desc Who was Galileo ?
//! ```
//!
//! `label_delimiter = ":"` makes `NUM` and `HUM` of these labels.

use super::memory::{Budget, NAME, Names};
use super::sample::{Sample, SampleTarget, Schema, TargetSchema};
use super::shared::Numbers;
use super::words::{self, Corpus, Sentences, WordReader};
use super::{Classes, Source, distinct, each, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// A file of labelled texts.
pub(super) struct LabelledText {
    path: PathBuf,
    /// Bytes of the file's text.
    size: usize,
    lines: Vec<Line>,
    /// The distinct labels.
    labels: Vec<Box<str>>,
    /// The text of each line.
    texts: Corpus,
    min_count: usize,
    lowercase: bool,
}

struct Line {
    number: u32,
    /// Which of the labels it has.
    label: u32,
}

/// Bytes of a line that is read: with where its words end, and what parts are drawn by, its label and four numbers.
const LINE: usize = size_of::<Line>() + 2 * size_of::<u32>() + 4 * size_of::<usize>();

/// The part of a line that is in none.
const NONE: u8 = 3;

/// The label and the text of a line.
fn parts<'a>(line: &'a str, delimiter: Option<&str>) -> Result<(&'a str, &'a str), String> {
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
    Ok((label.trim(), text))
}

impl LabelledText {
    fn parse(path: &Path, text: &str, config: &DataConfig) -> Result<Self> {
        let mut budget = Budget::new(path, text.len());
        let (mut lines, mut labels, mut texts) = (Vec::new(), Names::default(), Sentences::default());
        let mut read = 0;
        for (number, line) in (1..).zip(text.lines()) {
            read += line.len() + 1;
            if line.trim().is_empty() {
                continue;
            }
            let (label, text) = parts(line, config.label_delimiter.as_deref())
                .map_err(|message| Error::line(path, number as usize, message))?;
            budget.take(LINE, read)?;
            lines.push(Line { number, label: labels.id(label, &mut budget, read)? });
            for word in text.split_whitespace() {
                // Its number; what it is to the model comes when the numbers of the lines are gone.
                budget.take(size_of::<u32>(), read)?;
                texts.push(word, &mut budget, read)?;
            }
            texts.end();
        }
        if lines.is_empty() {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        let (min_count, lowercase) = (config.min_count.unwrap_or(1), config.lowercase);
        let (labels, texts) = (labels.into_list(), texts.finish());
        Ok(Self { path: path.into(), size: text.len(), lines, labels, texts, min_count, lowercase })
    }
}

impl Source for LabelledText {
    /// Lines.
    type Part = Vec<usize>;
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Self::parse(path, &read_text(path)?, config)
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let labels: Vec<u32> = self.lines.iter().map(|line| line.label).collect();
        split::by_group(&self.path, &labels, |label| &self.labels[label as usize], [valid, test], seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let labels = distinct(train.iter().map(|&k| self.label(k)));
        Ok(Schema {
            input: words::schema(self.texts.counts(train), self.min_count, self.lowercase, true),
            target: TargetSchema::Class { labels: labels.into_iter().map(String::from).collect() },
        })
    }

    fn samples(self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let reader = WordReader::new(&schema.input)?;
        let TargetSchema::Class { labels } = &schema.target else {
            return Err(mismatch());
        };
        let classes = Classes::new(labels);
        let Self { path, size, lines, labels: found, texts, .. } = self;
        // What the vocabulary was made of is gone: from here on there are samples, and a part and a class of each line.
        let line = size_of::<Sample>() + size_of::<u8>() + Numbers::width(labels.len());
        let names: usize = found.iter().map(|label| NAME + 2 * label.len()).sum();
        Budget::new(&path, size).take_all(names + texts.encoded(&reader) + lines.len() * line)?;
        let sizes = parts.each_ref().map(Vec::len);
        let mut part_of = vec![NONE; lines.len()];
        for (n, part) in (0..).zip(parts) {
            part.into_iter().for_each(|k| part_of[k] = n);
        }
        let mut class_of = Numbers::with_capacity(lines.len(), labels.len());
        for (Line { number, label }, part) in lines.into_iter().zip(&part_of) {
            class_of.push(match *part {
                NONE => 0,
                _ => classes
                    .of(&found[label as usize])
                    .map_err(|message| Error::line(&path, number as usize, message))?,
            });
        }
        let texts = texts.encode(&reader);
        each([0u8, 1, 2], |part| {
            // Parts have the order of the file.
            let mut samples = Vec::with_capacity(sizes[usize::from(part)]);
            for k in (0..part_of.len()).filter(|&k| part_of[k] == part) {
                let target = SampleTarget::Class(class_of.at(k));
                samples.push(Sample { input: texts.input(k), target });
            }
            Ok(samples)
        })
    }
}

impl LabelledText {
    /// The label of a line.
    fn label(&self, line: usize) -> &str {
        &self.labels[self.lines[line].label as usize]
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
        let sample = data.test.at(0).into_owned();
        let SampleInput::Words { tokens, spellings } = &sample.input else { panic!("no words") };
        assert!(tokens.get(0) > Some(0) && tokens.get(1) == Some(0), "{tokens:?}");
        assert_eq!(spellings[1][0], 0, "no word of training has an f");
        assert_eq!(data.test.at(0).target, SampleTarget::Class(1));
        let mut data = data;
        data.drop_spellings();
        assert!(matches!(data.test.at(0).input, SampleInput::Tokens(_)));
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
