//! Tagged sentences: a word, a tab and its tag a line, further columns allowed; a blank line ends a sentence.
//!
//! ```text
//! How<TAB>ADV
//! far<TAB>ADV
//! ?<TAB>PUNCT
//!
//! Here<TAB>ADV
//! ```
//!
//! `tag_column` says which column is the tag, the word's being 0. A tag that the training part does not have stands as
//! `<unk>`, which no model learns to say: it counts as a mistake.

use super::memory::Budget;
use super::sample::{Sample, SampleTarget, Schema, TargetSchema};
use super::vocabulary::Vocabulary;
use super::words::{self, Corpus, Sentences, UNKNOWN, WordReader};
use super::{Source, collected, each, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of tagged sentences.
pub(super) struct Tagged {
    path: PathBuf,
    words: Corpus,
    /// As many sentences as there are of words, and as long.
    tags: Corpus,
    min_count: usize,
    lowercase: bool,
}

/// Bytes of a sentence: its sample, where it ends among words and among tags, and its number in a part.
const SENTENCE: usize = size_of::<Sample>() + 2 * size_of::<u32>() + size_of::<usize>();

impl Tagged {
    fn parse(path: &Path, text: &str, config: &DataConfig) -> Result<Self> {
        let column = config.tag_column.unwrap_or(1);
        let mut budget = Budget::new(path, text.len());
        let (mut sentences, mut tags) = (Sentences::default(), Sentences::default());
        let end = |sentences: &mut Sentences, tags: &mut Sentences| {
            if sentences.n_open() > 0 {
                sentences.end();
                tags.end();
            }
        };
        let mut read = 0;
        for (number, line) in (1..).zip(text.lines()) {
            read += line.len() + 1;
            if line.trim().is_empty() {
                end(&mut sentences, &mut tags);
                continue;
            }
            let refuse = |message: String| Err(Error::line(path, number, message));
            let mut columns = line.split('\t');
            let word = columns.next().unwrap_or_default().trim();
            if word.is_empty() {
                return refuse("the word is missing: it is the first column".into());
            }
            let Some(tag) = columns.nth(column - 1).map(str::trim).filter(|tag| !tag.is_empty()) else {
                return refuse(format!(
                    "the word `{word}` has no tag in column {column} (the word's is 0): \
                     separate columns with tabs, or set data.tag_column"
                ));
            };
            if sentences.n_open() == 0 {
                budget.take(SENTENCE, read)?;
            }
            budget.take(words::WORD, read)?;
            sentences.push(word, &mut budget, read)?;
            tags.push(tag, &mut budget, read)?;
        }
        end(&mut sentences, &mut tags);
        let (words, tags) = (sentences.finish(), tags.finish());
        if words.len() == 0 {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        let (min_count, lowercase) = (config.min_count.unwrap_or(1), config.lowercase);
        Ok(Self { path: path.into(), words, tags, min_count, lowercase })
    }
}

impl Source for Tagged {
    /// Sentences.
    type Part = Vec<usize>;
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Self::parse(path, &read_text(path)?, config)
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        // Sentences have no class to be drawn by: one group.
        split::by_group(&self.path, &vec![(); self.words.len()], |()| "sentences", [valid, test], seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let tags: BTreeSet<&str> = self.tags.counts(train).map(|(tag, _)| tag).collect();
        let tags = tags.into_iter().filter(|tag| *tag != UNKNOWN);
        Ok(Schema {
            input: words::schema(self.words.counts(train), self.min_count, self.lowercase, true),
            target: TargetSchema::Tokens {
                labels: std::iter::once(UNKNOWN).chain(tags).map(String::from).collect(),
            },
        })
    }

    fn samples(self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let reader = WordReader::new(&schema.input)?;
        let TargetSchema::Tokens { labels } = &schema.target else {
            return Err(mismatch());
        };
        let labels = Vocabulary::try_from(labels.clone())?;
        let words = self.words.encode(&reader);
        let tags = self.tags.renumbered(|tag| labels.id(tag).unwrap_or(0));
        let sample =
            |k: usize| Ok(Sample { input: words.input(k), target: SampleTarget::Tokens(tags.tokens(k)) });
        each(parts, |part| collected(part, sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, load, load_split};

    const MODE: IoMode = IoMode::ManyToMany;
    const SOME: &str = "The\tDET\tDT\ncat\tNOUN\tNN\r\n\n\nsat\tVERB\tVBD\n\n";

    fn loaded(text: &str, more: &str) -> Result<Dataset> {
        let file = file(text);
        load(&config("tagged", Some(file.path()), more), MODE, 0)
    }

    fn tags(data: &Dataset) -> Vec<String> {
        match &data.schema.target {
            TargetSchema::Tokens { labels } => labels.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sentences_are_read() {
        let data = loaded(&SOME.repeat(10), "").unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [16, 2, 2]);
        assert_eq!(tags(&data), ["<unk>", "DET", "NOUN", "VERB"]);
        let two = data.train.iter().find(|sample| sample.input.steps() == 2).unwrap();
        assert_eq!(two.target, SampleTarget::Tokens(vec![1, 2].into()));
        let data = loaded(&SOME.repeat(10), "tag_column = 2").unwrap();
        assert_eq!(tags(&data), ["<unk>", "DT", "NN", "VBD"]);
        assert_eq!(loaded(&SOME.repeat(10), "tag_column = 2").unwrap(), data, "the draw is not seeded");
    }

    #[test]
    fn a_tag_that_training_has_not_is_unknown() {
        let train = file(SOME.repeat(10));
        let test = file("The\tX\ncat\tNOUN");
        let mut config = config("tagged", Some(train.path()), "");
        config.test = Some(test.path().into());
        let data = load(&config, MODE, 0).unwrap();
        assert_eq!(data.test.at(0).target, SampleTarget::Tokens(vec![0, 2].into()));
        assert_eq!(load_split(&config, MODE, &data.schema, None, 0).unwrap(), data.test);
        data.check(MODE).unwrap();
    }

    #[test]
    fn what_is_not_tagged_is_refused() {
        for (text, more, says) in [
            ("The DET\n", "", [":1:", "`The DET` has no tag in column 1"]),
            ("a\tB\nThe\t\n", "", [":2:", "`The` has no tag"]),
            ("a\tB\n\tDET\n", "", [":2:", "word is missing"]),
            (SOME, "tag_column = 3", [":1:", "no tag in column 3"]),
            (SOME, "tag_column = 0", ["data.tag_column", "must be 1"]),
            ("\n\n", "", ["blank lines", "only"]),
            ("a\tB\n", "valid_fraction = 0.6", ["no case of `sentences`", "left to train on"]),
        ] {
            assert_says(loaded(text, more), &says);
        }
    }

    #[test]
    fn schema_of_another_kind_is_refused() {
        let file = file(SOME.repeat(10));
        let config = config("tagged", Some(file.path()), "");
        let data = load(&config, MODE, 0).unwrap();
        let features = Schema::features(1, 1);
        let values = Schema { input: data.schema.input, target: features.target.clone() };
        for schema in [features, values] {
            assert_says(load_split(&config, MODE, &schema, None, 0), &["another kind"]);
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused() {
        let text = SOME.repeat(10);
        for k in 0..SOME.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[k] ^= 1 << bit;
                let file = file(bytes);
                load(&config("tagged", Some(file.path()), ""), MODE, 0).ok();
            }
        }
    }
}
