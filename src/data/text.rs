//! Plain text: given the characters, bytes or words so far, which one is next?
//!
//! Training, validation and test follow each other in the file; the vocabulary is that of the training part. Words
//! stand between spaces, and the end of a line is the word `<eos>`.

use super::memory::{Budget, Cause, NAME, Names};
use super::sample::{InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema};
use super::shared::{Numbers, Tokens};
use super::vocabulary::Vocabulary;
use super::words::{self, WordReader};
use super::{DEFAULT_WINDOW, Source, distinct, each, mismatch, read_data, read_text, split};
use crate::config::{DataConfig, IoMode, TextUnit};
use crate::error::{Error, Result};
use crate::file::line_at;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The word that ends a line.
pub(crate) const END_OF_LINE: &str = "<eos>";

/// A text file.
pub(super) struct Text {
    path: PathBuf,
    content: Content,
    unit: TextUnit,
    window: usize,
    min_count: usize,
    lowercase: bool,
}

enum Content {
    /// They stand for the characters of the same numbers.
    Bytes(Vec<u8>),
    /// Characters or words.
    Text(String),
}

impl Text {
    /// Bytes of the file.
    fn len(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Text(text) => text.len(),
        }
    }

    /// Where each step begins.
    fn places(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match &self.content {
            Content::Bytes(bytes) => Box::new(0..bytes.len()),
            Content::Text(text) if self.unit == TextUnit::Word => Box::new(words_of(text).map(|(at, _)| at)),
            Content::Text(text) => Box::new(text.char_indices().map(|(at, _)| at)),
        }
    }

    /// The tokens of a part of the text.
    fn tokens(&self, part: Range<usize>, coder: &Coder) -> Result<Numbers> {
        let unknown =
            |text: &[u8], at: usize, message: String| Error::line(&self.path, line_at(text, at), message);
        match (&self.content, coder) {
            (Content::Text(text), Coder::Words(reader, end)) => {
                let mut tokens = Numbers::with_capacity(words_of(&text[part.clone()]).count(), *end);
                for (_, word) in words_of(&text[part]) {
                    tokens.push(reader.id(word).unwrap_or(0));
                }
                Ok(tokens)
            }
            (Content::Text(text), Coder::Characters(vocabulary)) => {
                let n = text[part.clone()].chars().count();
                let mut tokens = Numbers::with_capacity(n, vocabulary.len());
                for (at, character) in text[part.clone()].char_indices() {
                    let token = vocabulary
                        .character(character)
                        .map_err(|message| unknown(text.as_bytes(), part.start + at, message))?;
                    tokens.push(token);
                }
                Ok(tokens)
            }
            (Content::Bytes(bytes), Coder::Characters(vocabulary)) => {
                let known: Vec<Result<u32, String>> =
                    (0..=u8::MAX).map(|byte| vocabulary.character(char::from(byte))).collect();
                let mut tokens = Numbers::with_capacity(part.len(), vocabulary.len());
                for at in part {
                    match &known[usize::from(bytes[at])] {
                        Ok(token) => tokens.push(*token),
                        Err(message) => return Err(unknown(bytes, at, message.clone())),
                    }
                }
                Ok(tokens)
            }
            (Content::Bytes(_), Coder::Words(..)) => Err(mismatch()),
        }
    }

    /// The windows of a part, whose tokens these are.
    fn windows(&self, tokens: Numbers) -> Result<Vec<Sample>> {
        let unit = match self.unit {
            TextUnit::Character => "characters",
            TextUnit::Byte => "bytes",
            TextUnit::Word => "words",
        };
        let n = tokens.len();
        // They start elsewhere, as the last one may be shorter; of a part that is too short for one this tells.
        let _ = split::windows(&self.path, &(0..n), (self.window, 1, self.window), unit)?;
        let tokens = Arc::new(tokens);
        // The last window may be shorter: every token but the first is predicted once.
        let last = n.saturating_sub(1);
        let mut samples = Vec::with_capacity(last.div_ceil(self.window));
        for start in (0..last).step_by(self.window) {
            let end = (start + self.window).min(last);
            samples.push(Sample {
                input: SampleInput::Tokens(Tokens::part(&tokens, start..end)),
                target: SampleTarget::Tokens(Tokens::part(&tokens, start + 1..end + 1)),
            });
        }
        Ok(samples)
    }
}

/// What makes tokens of a text.
enum Coder {
    /// And how many tokens there are.
    Words(WordReader, usize),
    Characters(Vocabulary),
}

impl Coder {
    /// How many tokens there are.
    fn len(&self) -> usize {
        match self {
            Self::Words(_, n) => *n,
            Self::Characters(vocabulary) => vocabulary.len(),
        }
    }

    fn new(unit: TextUnit, schema: &Schema) -> Result<Self> {
        match (&schema.input, &schema.target) {
            (InputSchema::Words { vocabulary, .. }, TargetSchema::Tokens { labels })
                if unit == TextUnit::Word && vocabulary == labels =>
            {
                Ok(Self::Words(WordReader::new(&schema.input)?, vocabulary.len()))
            }
            (InputSchema::Tokens { vocabulary }, TargetSchema::Tokens { labels })
                if unit != TextUnit::Word && vocabulary == labels =>
            {
                Ok(Self::Characters(Vocabulary::try_from(vocabulary.clone())?))
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
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        let unit = config.unit.unwrap_or_default();
        Ok(Self {
            path: path.into(),
            content: match unit {
                TextUnit::Byte => Content::Bytes(read_data(path)?),
                TextUnit::Character | TextUnit::Word => Content::Text(read_text(path)?),
            },
            unit,
            window: config.window.unwrap_or(DEFAULT_WINDOW),
            min_count: config.min_count.unwrap_or(1),
            lowercase: config.lowercase,
        })
    }

    fn cut(&self, valid: f64, test: f64, _: u64) -> Result<[Self::Part; 3]> {
        let n = self.places().count();
        let byte = |k| if k == n { self.len() } else { self.places().nth(k).unwrap_or(self.len()) };
        let [train, valid, _] = split::contiguous(n, valid, test);
        let [start, train, valid, end] = [train.start, train.end, valid.end, n].map(byte);
        Ok([start..train, train..valid, valid..end])
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let mut budget = Budget::new(&self.path, self.len());
        // The text stays beside its names.
        budget.take_all_for(Cause::Names, self.len())?;
        let vocabulary = match &self.content {
            Content::Text(text) if self.unit == TextUnit::Word => {
                let (mut names, mut counts) = (Names::default(), Vec::<usize>::new());
                for (at, word) in words_of(&text[train.clone()]) {
                    let id = names.id(word, &mut budget, train.start + at)? as usize;
                    counts.resize(counts.len().max(id + 1), 0);
                    counts[id] += 1;
                }
                let names = names.into_list();
                let words = names.iter().map(|name| &**name).zip(counts);
                let input = words::schema(words, self.min_count, self.lowercase, false);
                let InputSchema::Words { vocabulary, .. } = &input else { return Err(mismatch()) };
                return Ok(Schema { target: TargetSchema::Tokens { labels: vocabulary.clone() }, input });
            }
            Content::Text(text) => {
                let distinct = distinct(text[train.clone()].chars());
                budget.take_all_for(Cause::Names, NAME * distinct.len())?;
                Vocabulary::of_characters(&distinct.into_iter().collect::<String>())
            }
            // All there are: no text has others.
            Content::Bytes(_) => {
                Vocabulary::of_characters(&(0..=u8::MAX).map(char::from).collect::<String>())
            }
        }
        .map_err(|e| Error::file(&self.path, e.to_string()))?;
        Ok(Schema {
            input: InputSchema::Tokens { vocabulary: vocabulary.tokens().into() },
            target: TargetSchema::Tokens { labels: vocabulary.into() },
        })
    }

    fn samples(mut self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let coder = Coder::new(self.unit, schema)?;
        let tokens = self.places().count() * Numbers::width(coder.len());
        // They stand beside the text.
        Budget::new(&self.path, self.len()).take_all_for(Cause::Tokens, self.len() + tokens)?;
        let mut budget = Budget::new(&self.path, self.len());
        let parts = each(parts, |part| self.tokens(part, &coder))?;
        self.content = Content::Bytes(Vec::new());
        let n_windows = |tokens: &Numbers| tokens.len().saturating_sub(1).div_ceil(self.window);
        let windows: usize = parts.iter().map(n_windows).sum();
        budget.take_all_for(Cause::Windows, windows * size_of::<Sample>())?;
        budget.take_all_for(Cause::Tokens, tokens)?;
        each(parts, |tokens| self.windows(tokens))
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
        assert_eq!(data.train.at(11).input, SampleInput::Tokens(vec![3].into()));
        assert_eq!(data.train.at(1).input, SampleInput::Tokens(vec![3, 1].into()));
        assert_eq!(data.train.at(1).target, SampleTarget::Tokens(vec![1, 2].into()));
        assert_eq!(data.train.at(0).input.steps(), 2);
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
        assert_eq!(data.train.at(0).input, SampleInput::Tokens(vec![4, 3].into()));
        assert_eq!(data.train.at(1).target, SampleTarget::Tokens(vec![1, 5].into()));
        assert_eq!(data.test.last().unwrap().target, SampleTarget::Tokens(vec![0, 3].into()));
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
        assert_eq!(data.train.at(0).target, SampleTarget::Tokens(vec![0x61, 0x0a].into()));
        // Bytes that training has not seen are there too.
        let other = crate::data::tests::file([b'z', 0, 0xfe]);
        let samples = load_split(&config, MODE, &data.schema, Some(other.path()), 0).unwrap();
        assert_eq!(samples.at(0).input, SampleInput::Tokens(vec![0x7a, 0].into()));
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
