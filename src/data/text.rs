//! Plain text, character by character: given the characters so far, which one is next?
//!
//! Training, validation and test follow each other in the file; the vocabulary is that of the training part.

use super::sample::{InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema};
use super::vocabulary::Vocabulary;
use super::{DEFAULT_WINDOW, Source, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use crate::file::line_at;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A text file.
pub(super) struct Text {
    path: PathBuf,
    text: String,
    window: usize,
}

impl Source for Text {
    /// Bytes of the text.
    type Part = Range<usize>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Ok(Self {
            path: path.into(),
            text: read_text(path)?,
            window: config.window.unwrap_or(DEFAULT_WINDOW),
        })
    }

    fn cut(&self, valid: f64, test: f64, _: u64) -> Result<[Self::Part; 3]> {
        let characters = self.text.chars().count();
        let byte = |n| {
            let found = self.text.char_indices().nth(n);
            found.map_or(self.text.len(), |(at, _)| at)
        };
        Ok(split::contiguous(characters, valid, test).map(|r| byte(r.start)..byte(r.end)))
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let vocabulary = Vocabulary::of_characters(&self.text[train.clone()])
            .map_err(|e| Error::file(&self.path, e.to_string()))?;
        Ok(Schema {
            input: InputSchema::Tokens { vocabulary: vocabulary.tokens().into() },
            target: TargetSchema::Tokens { labels: vocabulary.into() },
        })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let vocabulary = match (&schema.input, &schema.target) {
            (InputSchema::Tokens { vocabulary }, TargetSchema::Tokens { labels }) if vocabulary == labels => {
                Vocabulary::try_from(vocabulary.clone())?
            }
            _ => return Err(mismatch()),
        };
        let tokens = vocabulary.encode_characters(&self.text[part.clone()]).map_err(|(at, message)| {
            let line = line_at(self.text.as_bytes(), part.start + at);
            Error::line(&self.path, line, message)
        })?;
        let shape = (self.window, 1, self.window);
        let starts = split::windows(&self.path, &(0..tokens.len()), shape, "characters")?;
        let sample = |start| {
            let run = |from| tokens[from..from + self.window].to_vec();
            Sample { input: SampleInput::Tokens(run(start)), target: SampleTarget::Tokens(run(start + 1)) }
        };
        Ok(starts.into_iter().map(sample).collect())
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
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [11, 1, 1]);
        assert_eq!(data.train[1].input, SampleInput::Tokens(vec![3, 1]));
        assert_eq!(data.train[1].target, SampleTarget::Tokens(vec![1, 2]));
        assert_eq!(data.train[0].input.steps(), 2);
        let again = load_split(&config, MODE, &data.schema, None, 0).unwrap();
        assert_eq!(again, data.test);
        let other = load_split(&config, MODE, &data.schema, Some(file.path()), 0).unwrap();
        assert_eq!(other.len(), 14);
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
