//! Utterances with an intent and slots: the intent, a tab, words between spaces, a tab, and a tag a word.
//!
//! ```text
//! GetWeather<TAB>will it rain in paris<TAB>O O O O B-city
//! ```
//!
//! Two tasks: `intent`, one class an utterance, and `slots`, a tag a word in the BIO scheme. An intent or a tag that
//! the training part does not have stands as `<unk>`, which no model learns to say: it counts as a mistake.

use super::memory::{Budget, Names};
use super::sample::{Sample, SampleTarget, Schema, TargetSchema, TaskSchema};
use super::shared::Numbers;
use super::vocabulary::Vocabulary;
use super::words::{self, Corpus, Sentences, UNKNOWN, WordReader};
use super::{Source, collected, distinct, each, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of utterances.
pub(super) struct IntentSlots {
    path: PathBuf,
    /// The distinct intents.
    names: Vec<Box<str>>,
    /// Which of them is each utterance's.
    intents: Numbers,
    words: Corpus,
    /// As many sentences as there are of words, and as long.
    slots: Corpus,
    min_count: usize,
    lowercase: bool,
}

/// Bytes of an utterance: its sample with a target for each task, the number of its intent, where it ends among words
/// and among tags, and its number in a part.
const UTTERANCE: usize =
    size_of::<Sample>() + 2 * size_of::<SampleTarget>() + 16 + 2 + 2 * size_of::<u32>() + size_of::<usize>();

impl IntentSlots {
    fn parse(path: &Path, text: &str, config: &DataConfig) -> Result<Self> {
        let mut budget = Budget::new(path, text.len());
        let (mut names, mut intents) = (Names::default(), Numbers::default());
        let (mut all_words, mut all_slots) = (Sentences::default(), Sentences::default());
        let mut read = 0;
        for (number, line) in (1..).zip(text.lines()) {
            read += line.len() + 1;
            if line.trim().is_empty() {
                continue;
            }
            let refuse = |message: String| Err(Error::line(path, number, message));
            let mut columns = line.split('\t').map(str::trim);
            let (Some(intent), Some(words), Some(slots), None) =
                (columns.next(), columns.next(), columns.next(), columns.next())
            else {
                return refuse(format!(
                    "has {} columns, not 3: write the intent, the words and their tags with tabs between them",
                    line.split('\t').count()
                ));
            };
            if intent.is_empty() || words.is_empty() {
                return refuse("the intent or the words are missing".into());
            }
            let (words, slots) = (words.split_whitespace(), slots.split_whitespace());
            let (n_words, n_slots) = (words.clone().count(), slots.clone().count());
            if n_words != n_slots {
                return refuse(format!("has {n_words} words and {n_slots} tags: write one tag a word"));
            }
            budget.take(UTTERANCE + n_words * words::WORD, read)?;
            intents.push(names.id(intent, &mut budget, read)?);
            for (word, slot) in words.zip(slots) {
                all_words.push(word, &mut budget, read)?;
                all_slots.push(slot, &mut budget, read)?;
            }
            all_words.end();
            all_slots.end();
        }
        if intents.len() == 0 {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        let (min_count, lowercase) = (config.min_count.unwrap_or(1), config.lowercase);
        Ok(Self {
            path: path.into(),
            names: names.into_list(),
            intents,
            words: all_words.finish(),
            slots: all_slots.finish(),
            min_count,
            lowercase,
        })
    }
}

impl Source for IntentSlots {
    /// Utterances.
    type Part = Vec<usize>;
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Self::parse(path, &read_text(path)?, config)
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let intents: Vec<u32> = (0..self.intents.len()).map(|k| self.intents.at(k)).collect();
        split::by_group(&self.path, &intents, |intent| &self.names[intent as usize], [valid, test], seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let labels = |seen: BTreeSet<&str>| {
            let seen = seen.into_iter().filter(|label| *label != UNKNOWN);
            std::iter::once(UNKNOWN).chain(seen).map(String::from).collect()
        };
        let intents = distinct(train.iter().map(|&k| &*self.names[self.intents.at(k) as usize]));
        let slots = self.slots.counts(train).map(|(slot, _)| slot).collect();
        let task =
            |name: &str, seen, aligned| TaskSchema { name: name.into(), labels: labels(seen), aligned };
        Ok(Schema {
            input: words::schema(self.words.counts(train), self.min_count, self.lowercase, true),
            target: TargetSchema::Tasks {
                tasks: vec![task("intent", intents, false), task("slots", slots, true)],
            },
        })
    }

    fn samples(self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let reader = WordReader::new(&schema.input)?;
        let TargetSchema::Tasks { tasks } = &schema.target else { return Err(mismatch()) };
        let [intents, slots] = tasks.as_slice() else { return Err(mismatch()) };
        let labels = |task: &TaskSchema| Vocabulary::try_from(task.labels.clone());
        let (intents, slots) = (labels(intents)?, labels(slots)?);
        let words = self.words.encode(&reader);
        let tags = self.slots.renumbered(|tag| slots.id(tag).unwrap_or(0));
        let classes: Vec<u32> = self.names.iter().map(|intent| intents.id(intent).unwrap_or(0)).collect();
        let sample = |k: usize| {
            let intent = SampleTarget::Class(classes[self.intents.at(k) as usize]);
            Ok(Sample {
                input: words.input(k),
                target: SampleTarget::Tasks(vec![intent, SampleTarget::Tokens(tags.tokens(k))]),
            })
        };
        each(parts, |part| collected(part, sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, load, load_split};

    const MODE: IoMode = IoMode::MultiTask;
    const SOME: &str = "Weather\train in paris\tO O B-city\r\n\nPlay\tplay some jazz\tO O B-genre\n";

    fn loaded(text: &str, more: &str) -> Result<Dataset> {
        let file = file(text);
        load(&config("intent-slots", Some(file.path()), more), MODE, 0)
    }

    #[test]
    fn utterances_are_read() {
        let data = loaded(&SOME.repeat(10), "").unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [16, 2, 2]);
        let TargetSchema::Tasks { tasks } = &data.schema.target else { panic!("tasks") };
        assert_eq!(tasks[0].labels, ["<unk>", "Play", "Weather"]);
        assert_eq!(tasks[1].labels, ["<unk>", "B-city", "B-genre", "O"]);
        let rain =
            SampleTarget::Tasks(vec![SampleTarget::Class(2), SampleTarget::Tokens(vec![3, 3, 1].into())]);
        assert_eq!(data.train.iter().filter(|sample| sample.target == rain).count(), 8);
        data.check(MODE).unwrap();
    }

    #[test]
    fn what_training_has_not_seen_is_unknown() {
        let train = file(SOME.repeat(10));
        let test = file("Book\tbook paris\tO B-venue\n");
        let mut config = config("intent-slots", Some(train.path()), "");
        config.test = Some(test.path().into());
        let data = load(&config, MODE, 0).unwrap();
        let unknown =
            SampleTarget::Tasks(vec![SampleTarget::Class(0), SampleTarget::Tokens(vec![3, 0].into())]);
        assert_eq!(data.test.at(0).target, unknown);
        assert_eq!(load_split(&config, MODE, &data.schema, None, 0).unwrap(), data.test);
    }

    #[test]
    fn damaged_lines_are_refused() {
        for (text, says) in [
            ("a\tb c\tO O\na\tb\n", [":2:", "2 columns"]),
            ("a\tb\tO\tx\n", [":1:", "4 columns"]),
            ("a\tb c\tO\n", [":1:", "2 words and 1 tags"]),
            ("\tb\tO\n", [":1:", "missing"]),
            ("\n\n", ["blank lines", "only"]),
        ] {
            assert_says(loaded(text, ""), &says);
        }
    }

    #[test]
    fn schema_of_another_kind_is_refused() {
        let file = file(SOME.repeat(10));
        let config = config("intent-slots", Some(file.path()), "");
        let schema = Schema::features(1, 1);
        assert_says(load_split(&config, MODE, &schema, None, 0), &["another kind"]);
    }
}
