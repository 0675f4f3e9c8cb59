//! The text that target tokens say.

use super::attributes::replace;
use super::sample::{SampleInput, TargetSchema};
use super::sub_words::SubWordReader;
use crate::error::{Error, Result};

/// Makes text of target tokens.
#[derive(Debug)]
pub struct TargetText<'a> {
    names: &'a [String],
    sub_words: Option<SubWordReader>,
}

impl<'a> TargetText<'a> {
    /// Of a data set's targets.
    ///
    /// # Errors
    /// Targets that are not tokens.
    pub fn of(target: &'a TargetSchema) -> Result<Self> {
        match target {
            TargetSchema::Text(text) => Ok(Self { names: &text.pieces, sub_words: Some(text.reader()?) }),
            TargetSchema::Tokens { labels } => Ok(Self { names: labels, sub_words: None }),
            _ => Err(Error::Input("the model writes no tokens, of which a text could be made".into())),
        }
    }

    /// The name of a token.
    pub fn piece(&self, token: u32) -> String {
        self.names.get(token as usize).cloned().unwrap_or_default()
    }

    /// The text of tokens that were written for an input, up to the one that ends it: with names in their places,
    /// without the words for names that the input has not.
    pub fn text_for(&self, input: &SampleInput, tokens: &[u32]) -> String {
        let text = self.text(tokens);
        match input {
            SampleInput::Attributes { names, .. } => {
                // First those that go: a name may be the word for another one.
                let (none, given): (Vec<_>, Vec<_>) = names.iter().partition(|(_, name)| name.is_empty());
                let all = none.into_iter().chain(given);
                let text = all.fold(text, |text, (stand_in, name)| replace(&text, stand_in, name));
                text.trim_start().to_string()
            }
            _ => text,
        }
    }

    /// The text of tokens, up to the one that ends it.
    pub fn text(&self, tokens: &[u32]) -> String {
        match &self.sub_words {
            Some(reader) => reader.decode(tokens),
            None => tokens.iter().take_while(|&&token| token != 0).map(|&token| self.piece(token)).collect(),
        }
    }
}
