//! Utterances with an intent and slots: the intent, a tab, words between spaces, a tab, and a tag a word.
//!
//! ```text
//! GetWeather<TAB>will it rain in paris<TAB>O O O O B-city
//! ```
//!
//! Two tasks: `intent`, one class an utterance, and `slots`, a tag a word in the BIO scheme. An intent or a tag that
//! the training part does not have stands as `<unk>`, which no model learns to say: it counts as a mistake.

use super::sample::{Sample, SampleTarget, Schema, TargetSchema, TaskSchema};
use super::vocabulary::Vocabulary;
use super::words::{self, UNKNOWN, WordReader};
use super::{Source, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of utterances.
pub(super) struct IntentSlots {
    path: PathBuf,
    utterances: Vec<Utterance>,
    min_count: usize,
    lowercase: bool,
}

struct Utterance {
    intent: String,
    words: Vec<String>,
    slots: Vec<String>,
}

impl IntentSlots {
    fn parse(path: &Path, text: &str, config: &DataConfig) -> Result<Self> {
        let mut utterances = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let refuse = |message: String| Err(Error::line(path, number, message));
            let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
            let &[intent, words, slots] = columns.as_slice() else {
                return refuse(format!(
                    "has {} columns, not 3: write the intent, the words and their tags with tabs between them",
                    columns.len()
                ));
            };
            if intent.is_empty() || words.is_empty() {
                return refuse("the intent or the words are missing".into());
            }
            let list = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
            let (words, slots) = (list(words), list(slots));
            if words.len() != slots.len() {
                return refuse(format!(
                    "has {} words and {} tags: write one tag a word",
                    words.len(),
                    slots.len()
                ));
            }
            utterances.push(Utterance { intent: intent.into(), words, slots });
        }
        if utterances.is_empty() {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        let (min_count, lowercase) = (config.min_count.unwrap_or(1), config.lowercase);
        Ok(Self { path: path.into(), utterances, min_count, lowercase })
    }
}

impl Source for IntentSlots {
    /// Utterances.
    type Part = Vec<usize>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        Self::parse(path, &read_text(path)?, config)
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let intents: Vec<&str> = self.utterances.iter().map(|u| u.intent.as_str()).collect();
        split::by_class(&self.path, &intents, valid, test, seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let utterances = || train.iter().map(|&k| &self.utterances[k]);
        let words = utterances().flat_map(|u| u.words.iter().map(String::as_str));
        let labels = |seen: BTreeSet<&str>| {
            let seen = seen.into_iter().filter(|label| *label != UNKNOWN);
            std::iter::once(UNKNOWN).chain(seen).map(String::from).collect()
        };
        let intents = utterances().map(|u| u.intent.as_str()).collect();
        let slots = utterances().flat_map(|u| u.slots.iter().map(String::as_str)).collect();
        let task =
            |name: &str, seen, aligned| TaskSchema { name: name.into(), labels: labels(seen), aligned };
        Ok(Schema {
            input: words::schema(words, self.min_count, self.lowercase, true),
            target: TargetSchema::Tasks {
                tasks: vec![task("intent", intents, false), task("slots", slots, true)],
            },
        })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let reader = WordReader::new(&schema.input)?;
        let TargetSchema::Tasks { tasks } = &schema.target else { return Err(mismatch()) };
        let [intents, slots] = tasks.as_slice() else { return Err(mismatch()) };
        let labels = |task: &TaskSchema| Vocabulary::try_from(task.labels.clone());
        let (intents, slots) = (labels(intents)?, labels(slots)?);
        let sample = |u: &Utterance| {
            let words: Vec<&str> = u.words.iter().map(String::as_str).collect();
            let tags = u.slots.iter().map(|tag| slots.id(tag).unwrap_or(0)).collect();
            let intent = SampleTarget::Class(intents.id(&u.intent).unwrap_or(0));
            Sample {
                input: reader.encode(&words),
                target: SampleTarget::Tasks(vec![intent, SampleTarget::Tokens(tags)]),
            }
        };
        Ok(part.iter().map(|&k| sample(&self.utterances[k])).collect())
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
        let rain = SampleTarget::Tasks(vec![SampleTarget::Class(2), SampleTarget::Tokens(vec![3, 3, 1])]);
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
        let unknown = SampleTarget::Tasks(vec![SampleTarget::Class(0), SampleTarget::Tokens(vec![3, 0])]);
        assert_eq!(data.test[0].target, unknown);
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
