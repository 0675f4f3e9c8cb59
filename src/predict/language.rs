//! A language model's tokens, and the text that they are.

use crate::artifact::ModelFolder;
use crate::config::{IoMode, TextUnit};
use crate::data::text::{END_OF_LINE, words_of};
use crate::data::words::WordReader;
use crate::data::{InputSchema, TargetSchema, Vocabulary};
use crate::error::{Error, Result};

/// What a language model reads and writes.
#[derive(Debug)]
pub(super) struct Language {
    vocabulary: Vocabulary,
    /// Of a model of words.
    reader: Option<WordReader>,
    unit: TextUnit,
}

impl Language {
    /// That of a model.
    ///
    /// # Errors
    /// Why the model is no language model.
    pub(super) fn of(folder: &ModelFolder) -> Result<Self> {
        let model = &folder.config.model;
        let unit = folder.config.data.unit.unwrap_or_default();
        let reason = match (&folder.schema.input, &folder.schema.target) {
            _ if model.mode != IoMode::ManyToMany => "its mode is not many-to-many",
            _ if model.bidirectional => {
                "it is bidirectional, and reads all of a text before it says anything"
            }
            (InputSchema::Text(_), _) => "it reads one text and writes another",
            (InputSchema::Features { .. }, _) => "it reads features, not tokens",
            (InputSchema::Tokens { vocabulary }, TargetSchema::Tokens { labels }) if vocabulary == labels => {
                return Ok(Self {
                    vocabulary: Vocabulary::try_from(vocabulary.clone())?,
                    reader: None,
                    unit,
                });
            }
            (words @ InputSchema::Words { vocabulary, .. }, TargetSchema::Tokens { labels })
                if vocabulary == labels =>
            {
                let reader = Some(WordReader::new(words)?);
                return Ok(Self { vocabulary: Vocabulary::try_from(vocabulary.clone())?, reader, unit });
            }
            _ => "it writes other tokens than it reads",
        };
        Err(Error::Input(format!(
            "the model cannot go on from its own text: {reason}; give a language model, as `text` data make one"
        )))
    }

    /// The tokens of a text: characters, bytes or words, as the model has them.
    ///
    /// # Errors
    /// A character or byte outside the vocabulary.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match (&self.reader, self.unit) {
            (Some(reader), _) => Ok(reader.tokens(&words_of(text).map(|(_, word)| word).collect::<Vec<_>>())),
            (None, TextUnit::Byte) => {
                self.vocabulary.encode(&text.bytes().map(char::from).collect::<String>())
            }
            (None, _) => self.vocabulary.encode(text),
        }
    }

    /// The end of the line before a text, where the vocabulary has one. A model that was trained with a carried state
    /// hardly knows any other start: what it says of a text's first tokens is of little use without it.
    pub(super) fn line_end(&self) -> Option<u32> {
        self.vocabulary.id("\n").or(self.vocabulary.id(END_OF_LINE))
    }

    /// Tokens there are.
    pub(super) fn len(&self) -> usize {
        self.vocabulary.len()
    }

    /// A token's name.
    pub(super) fn name(&self, token: u32) -> &str {
        &self.vocabulary.tokens()[token as usize]
    }

    /// Who writes the text that follows `prompt`.
    pub(super) fn writer(&self, prompt: &str) -> Writer<'_> {
        let spaced = !prompt.is_empty() && !prompt.ends_with(char::is_whitespace);
        Writer { language: self, bytes: Vec::new(), spaced }
    }
}

/// Makes text of tokens as they come.
pub(super) struct Writer<'a> {
    language: &'a Language,
    /// Those of a character that is not whole yet.
    bytes: Vec<u8>,
    /// Whether a space stands before the next word.
    spaced: bool,
}

impl Writer<'_> {
    /// What `token` adds to the text; nothing where it is a byte that others have to follow.
    pub(super) fn add(&mut self, token: u32) -> String {
        let name = self.language.name(token);
        match (&self.language.reader, self.language.unit) {
            (Some(_), _) if name == END_OF_LINE => {
                self.spaced = false;
                "\n".into()
            }
            (Some(_), _) => {
                let space = if std::mem::replace(&mut self.spaced, true) { " " } else { "" };
                format!("{space}{name}")
            }
            (None, TextUnit::Byte) => {
                self.bytes.extend(name.chars().map(|c| c as u32 as u8));
                match std::str::from_utf8(&self.bytes) {
                    Err(e) if e.error_len().is_none() => String::new(),
                    _ => String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned(),
                }
            }
            (None, _) => name.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Manifest;
    use crate::config::{CellKind, Config, ModelConfig};
    use crate::data::Schema;
    use crate::data::tests::assert_says;

    fn language(tokens: &[&str], unit: TextUnit) -> Language {
        let vocabulary: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        let words =
            InputSchema::Words { vocabulary: vocabulary.clone(), characters: Vec::new(), lowercase: false };
        let reader = (unit == TextUnit::Word).then(|| WordReader::new(&words).unwrap());
        Language { vocabulary: Vocabulary::try_from(vocabulary).unwrap(), reader, unit }
    }

    fn written(language: &Language, prompt: &str, tokens: &[u32]) -> Vec<String> {
        let mut writer = language.writer(prompt);
        tokens.iter().map(|&token| writer.add(token)).collect()
    }

    #[test]
    fn bytes_become_characters_when_they_are_whole() {
        // "\n", "a", and the two bytes of ä.
        let bytes = language(&["\n", "a", "\u{a4}", "\u{c3}"], TextUnit::Byte);
        assert_eq!(bytes.encode("aä\n").unwrap(), [1, 3, 2, 0]);
        assert_eq!(written(&bytes, "", &[1, 3, 2, 0]), ["a", "", "ä", "\n"]);
        // A byte that no other may follow.
        assert_eq!(written(&bytes, "", &[3, 1, 2]), ["", "\u{fffd}a", "\u{fffd}"]);
        assert!(bytes.encode("b").is_err());
        assert_eq!(bytes.line_end(), Some(0));
    }

    #[test]
    fn words_stand_between_spaces_and_end_lines() {
        let words = language(&["<unk>", "<eos>", "so", "it", "goes"], TextUnit::Word);
        assert_eq!(words.encode("so it went\nso").unwrap(), [2, 3, 0, 1, 2]);
        assert_eq!(written(&words, "so", &[3, 4, 1, 2, 3]).concat(), " it goes\nso it");
        assert_eq!(written(&words, "so\n", &[3]).concat(), "it");
        assert_eq!(written(&words, "", &[3]).concat(), "it");
        assert_eq!(words.line_end(), Some(1));
    }

    #[test]
    fn characters_are_themselves() {
        let characters = language(&["a", "ä"], TextUnit::Character);
        assert_eq!(characters.encode("äa").unwrap(), [1, 0]);
        assert_eq!(written(&characters, "x", &[1, 0]), ["ä", "a"]);
        assert_eq!(characters.line_end(), None);
        assert_eq!(language(&["\t", "\n"], TextUnit::Character).line_end(), Some(1));
        assert_says(characters.encode("ax"), &["'x'"]);
    }

    #[test]
    fn only_a_language_model_has_a_language() {
        let names = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
        let language = ModelConfig::new(IoMode::ManyToMany, CellKind::Gru, 4);
        let of = |model: &ModelConfig, schema: Schema| {
            let config = Config::new("test", model.clone());
            let manifest = Manifest::new(&config, 0, 1, "test".into());
            Language::of(&ModelFolder { manifest, config, schema, scores: Vec::new() })
        };
        let text = || Schema::tokens(names(3), names(3));
        assert_eq!(of(&language, text()).unwrap().len(), 3);
        let bidirectional = ModelConfig { bidirectional: true, ..language.clone() };
        assert_says(of(&bidirectional, text()), &["cannot go on", "bidirectional"]);
        for mode in [IoMode::OneToOne, IoMode::OneToMany, IoMode::ManyToOne, IoMode::EncoderDecoder] {
            assert_says(of(&ModelConfig { mode, ..language.clone() }, text()), &["mode is not many-to-many"]);
        }
        assert_says(of(&language, Schema::features(2, 3)), &["reads features"]);
        assert_says(of(&language, Schema::tokens(names(3), names(2))), &["other tokens than it reads"]);
    }
}
