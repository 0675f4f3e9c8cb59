//! Sub-word units: byte-pair encoding ([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909)), trained on the
//! training text and stored with the model.
//!
//! A text is split at white space and around every sign that is neither letter nor digit; each part is made of pieces,
//! and a piece that starts a word begins with `▁`. So the pieces of a text, one after the other, are the text again.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use tokenizers::models::bpe::{BPE, BpeTrainer, Vocab};
use tokenizers::{Model, Trainer};

/// Piece 0, which ends a text.
pub const END: &str = "</s>";

/// Piece 1, which stands for characters that training has not seen.
pub const UNKNOWN: &str = "<unk>";

/// What a word begins with.
const SPACE: char = '▁';

/// Pieces, and how text is made of them; travels with the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubWords {
    /// The pieces; the n-th is token n.
    pub pieces: Vec<String>,
    /// Pairs of pieces that become one, `left right`, the most frequent first.
    pub merges: Vec<String>,
    /// Whether text is lower-cased first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lowercase: bool,
}

impl SubWords {
    /// The `n_pieces` that make up `texts` best, [`END`] and [`UNKNOWN`] among them; fewer where there are not so many,
    /// more where there are more characters.
    pub fn train<'a>(
        texts: impl Iterator<Item = &'a str> + Send,
        n_pieces: usize,
        lowercase: bool,
    ) -> Result<Self> {
        let failed = |e: tokenizers::Error| Error::Input(format!("no sub-words can be learnt: {e}"));
        let mut trainer = BpeTrainer::builder()
            .vocab_size(n_pieces.saturating_sub(2))
            .min_frequency(2)
            .show_progress(false)
            .build();
        trainer.feed(texts, |text| Ok(parts(text, lowercase))).map_err(failed)?;
        let mut model = BPE::default();
        trainer.train(&mut model).map_err(failed)?;
        let mut pieces: Vec<(u32, String)> = model.get_vocab().into_iter().map(|(p, k)| (k, p)).collect();
        pieces.sort_unstable();
        let pieces: Vec<String> = pieces.into_iter().map(|(_, piece)| piece).collect();
        // The crate tells the merges in its file format alone.
        #[derive(Deserialize)]
        struct Learnt {
            merges: Vec<(String, String)>,
        }
        let learnt = serde_json::to_value(&model).and_then(serde_json::from_value::<Learnt>);
        let merges = learnt.map_err(|e| failed(e.into()))?.merges;
        let merges = merges.into_iter().map(|(left, right)| format!("{left} {right}")).collect();
        let special = [END, UNKNOWN].map(String::from);
        Ok(Self { merges, pieces: special.into_iter().chain(pieces).collect(), lowercase })
    }

    /// What makes pieces of text, and text of pieces.
    ///
    /// # Errors
    /// Pieces or merges that no training gives.
    pub fn reader(&self) -> Result<SubWordReader> {
        let refuse = |message: String| Err(Error::Input(message));
        if self.pieces.iter().map(String::as_str).take(2).ne([END, UNKNOWN]) {
            return refuse(format!("the pieces do not begin with {END} and {UNKNOWN}"));
        }
        let mut vocabulary = Vocab::default();
        for (k, piece) in (0..).zip(&self.pieces) {
            if vocabulary.insert(piece.clone(), k).is_some() {
                return refuse(format!("the pieces have `{piece}` twice"));
            }
        }
        let mut merges = Vec::new();
        for merge in &self.merges {
            match merge.split_once(' ') {
                Some((left, right)) => merges.push((left.to_string(), right.to_string())),
                None => return refuse(format!("`{merge}` is not a pair of pieces")),
            }
        }
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, merges)
            .unk_token(UNKNOWN.into())
            .fuse_unk(true)
            .build();
        match model {
            Ok(model) => Ok(SubWordReader { model, pieces: self.pieces.clone(), lowercase: self.lowercase }),
            Err(e) => refuse(format!("the merges do not fit the pieces ({e})")),
        }
    }
}

/// Makes pieces of text, and text of pieces.
#[derive(Clone, Debug)]
pub struct SubWordReader {
    model: BPE,
    pieces: Vec<String>,
    lowercase: bool,
}

impl SubWordReader {
    /// The pieces of a text, and [`END`]; at most `most` of them before it.
    pub fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let mut tokens: Vec<u32> = Vec::new();
        for part in parts(text, self.lowercase) {
            // Cannot fail: there is a piece for what is unknown.
            let pieces = self.model.tokenize(&part).unwrap_or_default();
            tokens.extend(pieces.into_iter().map(|piece| piece.id));
            if tokens.len() >= most {
                break;
            }
        }
        tokens.truncate(most);
        tokens.push(0);
        tokens
    }

    /// The text of some pieces, up to [`END`].
    pub fn decode(&self, tokens: &[u32]) -> String {
        let pieces = tokens.iter().take_while(|&&token| token != 0);
        let text: String = pieces.filter_map(|&k| self.pieces.get(k as usize)).map(String::as_str).collect();
        text.replace(SPACE, " ").trim().to_string()
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }
}

/// What pieces are found in: words, and the signs in them, a word's first part after [`SPACE`].
fn parts(text: &str, lowercase: bool) -> Vec<String> {
    let text = if lowercase { text.to_lowercase() } else { text.to_string() };
    let mut parts = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c == SPACE).filter(|word| !word.is_empty()) {
        let mut part = String::from(SPACE);
        for c in word.chars() {
            if c.is_alphanumeric() {
                part.push(c);
                continue;
            }
            if !part.is_empty() {
                parts.push(std::mem::take(&mut part));
            }
            parts.push(c.to_string());
        }
        if !part.is_empty() {
            parts.push(part);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 4] =
        ["the lowest low", "the newer, newest one", "lower and lower", "the widest (the new)"];

    fn learnt(n: usize) -> SubWords {
        SubWords::train(TEXTS.into_iter().cycle().take(40), n, true).unwrap()
    }

    #[test]
    fn a_text_is_its_pieces() {
        let sub_words = learnt(60);
        assert_eq!(sub_words, learnt(60));
        assert!(sub_words.pieces.len() <= 60 && sub_words.pieces.contains(&"▁the".into()));
        let reader = sub_words.reader().unwrap();
        for text in TEXTS {
            let tokens = reader.encode(text, 99);
            assert_eq!((reader.decode(&tokens).as_str(), tokens.last()), (text, Some(&0)));
            assert!(tokens.len() < text.len());
        }
        assert_eq!(reader.decode(&reader.encode("  The ▁ LOWEST\tone,(wid) ", 99)), "the lowest one,(wid)");
        assert_eq!(reader.encode("the the the", 2).len(), 3);
        assert_eq!(reader.encode("", 9), [0]);
        // Unknown characters side by side are one.
        assert_eq!(reader.encode("zz", 9).iter().filter(|&&token| token == 1).count(), 1);
        assert_eq!(reader.decode(&[1, 99_999, 0, 5]), "<unk>");
        // What ends a text is no text.
        assert!(!reader.encode("the </s> one <unk>", 99)[..6].contains(&0));
    }

    #[test]
    fn what_no_training_gives_is_refused() {
        type Damage = fn(&mut SubWords);
        let damage: [(Damage, &str); 4] = [
            (|s| s.pieces[1] = "x".into(), "begin with"),
            (|s| s.pieces[3] = s.pieces[2].clone(), "twice"),
            (|s| s.merges[0] = "ab".into(), "not a pair"),
            (|s| s.merges[0] = "q q".into(), "do not fit"),
        ];
        for (damage, says) in damage {
            let mut sub_words = learnt(60);
            damage(&mut sub_words);
            assert!(sub_words.reader().unwrap_err().to_string().contains(says), "{says}");
        }
    }
}
