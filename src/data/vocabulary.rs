//! Which token has which number.

use super::distinct;
use crate::config::duplicate;
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Tokens numbered from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// The most tokens there may be.
    pub const MAX: usize = 1 << 20;

    /// The characters of `text`, sorted.
    pub fn of_characters(text: &str) -> Result<Self> {
        let characters = distinct(text.chars());
        Self::try_from(characters.into_iter().map(String::from).collect::<Vec<_>>())
    }

    /// Tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Never: a vocabulary has at least one token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens, the n-th being token n.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The number of `token`.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// The numbers of the characters of `text`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        text.chars().map(|character| self.character(character).map_err(Error::Input)).collect()
    }

    /// The number of a character, or what is wrong with it.
    pub(super) fn character(&self, character: char) -> Result<u32, String> {
        self.id(character.encode_utf8(&mut [0; 4])).ok_or_else(|| {
            format!(
                "character {character:?} is not among the {} of the training data: \
                 leave it out here, or train again with text that has it",
                self.len()
            )
        })
    }

    /// The tokens of `ids`, one after another.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        ids.iter()
            .map(|id| {
                let token = self.tokens.get(*id as usize).map(String::as_str);
                token.ok_or_else(|| {
                    Error::Input(format!("there is no token {id} in a vocabulary of {}", self.len()))
                })
            })
            .collect()
    }
}

impl TryFrom<Vec<String>> for Vocabulary {
    type Error = Error;

    fn try_from(tokens: Vec<String>) -> Result<Self> {
        let refuse = |message: String| Err(Error::Input(message));
        if tokens.is_empty() {
            return refuse("a vocabulary needs at least one token".into());
        }
        if tokens.len() > Self::MAX {
            let (n, max) = (tokens.len(), Self::MAX);
            return refuse(format!("a vocabulary of {n} tokens is too large: at most {max}"));
        }
        if let Some(n) = tokens.iter().position(String::is_empty) {
            return refuse(format!("token {n} of the vocabulary is empty"));
        }
        if let Some(token) = duplicate(&tokens) {
            return refuse(format!("the vocabulary has {token:?} twice"));
        }
        let ids = tokens.iter().cloned().zip(0..).collect();
        Ok(Self { tokens, ids })
    }
}

impl From<Vocabulary> for Vec<String> {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::assert_says;

    fn from(tokens: &[&str]) -> Result<Vocabulary> {
        Vocabulary::try_from(tokens.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn characters_are_sorted_and_come_back() {
        let vocabulary = Vocabulary::of_characters("bäab").unwrap();
        assert_eq!(vocabulary.tokens(), ["a", "b", "ä"]);
        let ids = vocabulary.encode("äba").unwrap();
        assert_eq!(ids, [2, 1, 0]);
        assert_eq!(vocabulary.decode(&ids).unwrap(), "äba");
        assert_eq!(Vec::<String>::from(vocabulary), ["a", "b", "ä"]);
    }

    #[test]
    fn unknown_character_is_refused() {
        assert_says(from(&["a"]).unwrap().encode("ab"), &["'b'", "among the 1"]);
    }

    #[test]
    fn unknown_number_is_refused() {
        assert_says(from(&["a"]).unwrap().decode(&[1]), &["no token 1"]);
    }

    #[test]
    fn token_twice_is_refused() {
        assert_says(from(&["a", "b", "a"]), &["\"a\" twice"]);
    }

    #[test]
    fn empty_token_is_refused() {
        assert_says(from(&["a", ""]), &["token 1", "empty"]);
    }

    #[test]
    fn no_token_is_refused() {
        assert_says(from(&[]), &["at least one"]);
    }

    #[test]
    fn too_many_tokens_are_refused() {
        let tokens: Vec<String> = (0..=Vocabulary::MAX).map(|n| n.to_string()).collect();
        assert_says(Vocabulary::try_from(tokens), &["too large"]);
    }
}
