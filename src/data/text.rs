//! Plain text: given the characters, bytes or words so far, which one is next?
//!
//! Training, validation and test follow each other in the file; the vocabulary is that of the training part. Words
//! stand between spaces, and the end of a line is the word `<eos>`.

use super::sample::{InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema};
use super::vocabulary::Vocabulary;
use super::words::{self, WordReader};
use super::{DEFAULT_WINDOW, Source, mismatch, read_data, read_text, split};
use crate::config::{DataConfig, IoMode, TextUnit};
use crate::error::{Error, Result};
use crate::file::line_at;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The word that ends a line.
pub(crate) const END_OF_LINE: &str = "<eos>";

/// A text file.
pub(super) struct Text {
    path: PathBuf,
    /// Bytes stand as the characters of the same numbers.
    text: String,
    unit: TextUnit,
    window: usize,
    min_count: usize,
    lowercase: bool,
}

impl Text {
    /// The tokens of a part of the text.
    fn tokens(&self, part: &Range<usize>, schema: &Schema) -> Result<Vec<u32>> {
        let text = &self.text[part.clone()];
        match (&schema.input, &schema.target) {
            (InputSchema::Words { vocabulary, .. }, TargetSchema::Tokens { labels })
                if self.unit == TextUnit::Word && vocabulary == labels =>
            {
                let words: Vec<&str> = words_of(text).map(|(_, word)| word).collect();
                Ok(WordReader::new(&schema.input)?.tokens(&words))
            }
            (InputSchema::Tokens { vocabulary }, TargetSchema::Tokens { labels })
                if self.unit != TextUnit::Word && vocabulary == labels =>
            {
                Vocabulary::try_from(vocabulary.clone())?.encode_characters(text).map_err(|(at, message)| {
                    let line = line_at(self.text.as_bytes(), part.start + at);
                    Error::line(&self.path, line, message)
                })
            }
            _ => Err(mismatch()),
        }
    }
}

/// The words of a text, each with the byte where it begins.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let place = move |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    text.split_inclusive('\n').flat_map(move |line| {
        let end = line.ends_with('\n').then(|| (place(line) + line.len() - 1, END_OF_LINE));
        line.split_whitespace().map(move |word| (place(word), word)).chain(end)
    })
}

impl Source for Text {
    /// Bytes of the text.
    type Part = Range<usize>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        let unit = config.unit.unwrap_or_default();
        Ok(Self {
            path: path.into(),
            text: match unit {
                TextUnit::Byte => read_data(path)?.into_iter().map(char::from).collect(),
                TextUnit::Character | TextUnit::Word => read_text(path)?,
            },
            unit,
            window: config.window.unwrap_or(DEFAULT_WINDOW),
            min_count: config.min_count.unwrap_or(1),
            lowercase: config.lowercase,
        })
    }

    fn cut(&self, valid: f64, test: f64, _: u64) -> Result<[Self::Part; 3]> {
        // Where each step begins.
        let places: Vec<usize> = match self.unit {
            TextUnit::Word => words_of(&self.text).map(|(at, _)| at).collect(),
            _ => self.text.char_indices().map(|(at, _)| at).collect(),
        };
        let byte = |n| places.get(n).copied().unwrap_or(self.text.len());
        Ok(split::contiguous(places.len(), valid, test).map(|r| byte(r.start)..byte(r.end)))
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let text = &self.text[train.clone()];
        if self.unit == TextUnit::Word {
            let words = words_of(text).map(|(_, word)| word);
            let input = words::schema(words, self.min_count, self.lowercase, false);
            let InputSchema::Words { vocabulary, .. } = &input else { return Err(mismatch()) };
            return Ok(Schema { target: TargetSchema::Tokens { labels: vocabulary.clone() }, input });
        }
        let vocabulary = match self.unit {
            // All there are: no text has others.
            TextUnit::Byte => Vocabulary::of_characters(&(0..=u8::MAX).map(char::from).collect::<String>()),
            _ => Vocabulary::of_characters(text),
        }
        .map_err(|e| Error::file(&self.path, e.to_string()))?;
        Ok(Schema {
            input: InputSchema::Tokens { vocabulary: vocabulary.tokens().into() },
            target: TargetSchema::Tokens { labels: vocabulary.into() },
        })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let tokens = self.tokens(part, schema)?;
        let shape = (self.window, 1, self.window);
        let unit = match self.unit {
            TextUnit::Character => "characters",
            TextUnit::Byte => "bytes",
            TextUnit::Word => "words",
        };
        split::windows(&self.path, &(0..tokens.len()), shape, unit)?;
        // The last window may be shorter: every token but the first is predicted once.
        let sample = |start: usize| {
            let end = (start + self.window).min(tokens.len() - 1);
            Sample {
                input: SampleInput::Tokens(tokens[start..end].to_vec()),
                target: SampleTarget::Tokens(tokens[start + 1..=end].to_vec()),
            }
        };
        Ok((0..tokens.len().saturating_sub(1)).step_by(self.window).map(sample).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{load, load_split};

    const MODE: IoMode = IoMode::ManyToMany;

    #[test]
    fn targets_are_the_next_characters() {
        let file = file("abcabcabc\nabcabcabc\nabcabcabcä"); // 30 characters
        let mut config = config("text", Some(file.path()), "window = 2");
        config.test = Some(file.path().into());
        // ä is at the very end: not in the training part.
        assert_says(load(&config, MODE, 0), &[":3: ", "'ä'", "among the 4"]);
        config.test = None;
        assert_says(load(&config, MODE, 0), &[":3: ", "'ä'"]);

        let file = crate::data::tests::file("abcabcabc\nabcabcabc\nabcabcabc\n");
        config.train = Some(file.path().into());
        let data = load(&config, MODE, 0).unwrap();
        // 24, 3 and 3 characters.
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [12, 1, 1]);
        assert_eq!(data.train[11].input, SampleInput::Tokens(vec![3]));
        assert_eq!(data.train[1].input, SampleInput::Tokens(vec![3, 1]));
        assert_eq!(data.train[1].target, SampleTarget::Tokens(vec![1, 2]));
        assert_eq!(data.train[0].input.steps(), 2);
        let again = load_split(&config, MODE, &data.schema, None, 0).unwrap();
        assert_eq!(again, data.test);
        let other = load_split(&config, MODE, &data.schema, Some(file.path()), 0).unwrap();
        assert_eq!(other.len(), 15);
    }

    #[test]
    fn words_end_with_their_line_and_rare_ones_are_unknown() {
        let file = file("the cat sat\n  The dog sat\n\n".repeat(10) + "a cat");
        let config = config("text", Some(file.path()), "unit = \"word\"\nwindow = 2\nmin_count = 8");
        let data = load(&config, MODE, 0).unwrap();
        // 92 words, of which 74 are to train on: eight times and two words more.
        let TargetSchema::Tokens { labels } = &data.schema.target else { panic!("no tokens") };
        assert_eq!(labels, &["<unk>", "<eos>", "sat", "cat", "the", "The", "dog"]);
        assert_eq!(data.train[0].input, SampleInput::Tokens(vec![4, 3]));
        assert_eq!(data.train[1].target, SampleTarget::Tokens(vec![1, 5]));
        assert_eq!(data.test.last().unwrap().target, SampleTarget::Tokens(vec![0, 3]));
        assert_eq!(load_split(&config, MODE, &data.schema, None, 0).unwrap(), data.test);
        data.check(MODE).unwrap();
        let mut lower = config.clone();
        lower.lowercase = true;
        let data = load(&lower, MODE, 0).unwrap();
        let TargetSchema::Tokens { labels } = &data.schema.target else { panic!("no tokens") };
        assert_eq!(labels, &["<unk>", "<eos>", "the", "sat", "cat", "dog"]);
        // Characters are not words.
        lower.unit = None;
        assert_says(load(&lower, MODE, 0), &["data.min_count", "unit = \"word\""]);
        (lower.min_count, lower.lowercase) = (None, false);
        assert_says(load_split(&lower, MODE, &data.schema, None, 0), &["another kind"]);
    }

    #[test]
    fn bytes_need_not_be_text() {
        let file = file([0xff, b'a', b'\n', 0x1f].repeat(10));
        let config = config("text", Some(file.path()), "unit = \"byte\"\nwindow = 2");
        let data = load(&config, MODE, 0).unwrap();
        let TargetSchema::Tokens { labels } = &data.schema.target else { panic!("no tokens") };
        assert_eq!((labels.len(), labels[0x1f].as_str(), labels[0xff].as_str()), (256, "\u{1f}", "\u{ff}"));
        assert_eq!(data.train[0].target, SampleTarget::Tokens(vec![0x61, 0x0a]));
        // Bytes that training has not seen are there too.
        let other = crate::data::tests::file([b'z', 0, 0xfe]);
        let samples = load_split(&config, MODE, &data.schema, Some(other.path()), 0).unwrap();
        assert_eq!(samples[0].input, SampleInput::Tokens(vec![0x7a, 0]));
    }

    #[test]
    fn part_too_short_for_a_window_is_refused() {
        let file = file("abcabcabcabcabcabcabc");
        let config = config("text", Some(file.path()), "window = 5");
        assert_says(load(&config, MODE, 0), &["2 characters", "need 6"]);
    }

    #[test]
    fn no_validation_is_refused() {
        let file = file("abcabcabcabcabcabcabc");
        let config = config("text", Some(file.path()), "window = 1\nvalid_fraction = 0.0");
        assert_says(load(&config, MODE, 0), &["data.valid_fraction", "validation"]);
    }

    #[test]
    fn no_test_part_is_refused_when_asked_for() {
        let file = file("abcabcabcabcabcabcabc");
        let config = config("text", Some(file.path()), "window = 1\ntest_fraction = 0.0");
        let data = load(&config, MODE, 0).unwrap();
        assert!(data.test.is_empty());
        let test = load_split(&config, MODE, &data.schema, None, 0);
        assert_says(test, &["data.test_fraction"]);
    }

    #[test]
    fn schema_of_features_is_refused() {
        let file = file("abcabcabcabc");
        let config = config("text", Some(file.path()), "window = 1");
        let schema = Schema {
            input: InputSchema::Features { channels: 1, scales: vec![], names: vec![] },
            target: TargetSchema::Class { labels: vec!["a".into()] },
        };
        assert_says(load_split(&config, MODE, &schema, None, 0), &["trained on"]);
    }
}
