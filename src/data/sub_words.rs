//! Sub-word units: byte-pair encoding ([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909)), trained on the
//! training text and stored with the model.
//!
//! A text is split at white space and around every sign that is neither letter nor digit, and a run of more than 256
//! letters after these; each part is made of pieces, and a piece that starts a word begins with `▁`. So the pieces of a
//! text, one after the other, are the text again.
//!
//! Where the different parts of a training text are more than there is memory for, as in a script without spaces, pieces
//! are learnt of those that come first, and every character of the others is a piece.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, BpeTrainer, Vocab};

/// Piece 0, which ends a text.
pub const END: &str = "</s>";

/// Piece 1, which stands for characters that training has not seen.
pub const UNKNOWN: &str = "<unk>";

/// Bytes that learning takes for a distinct part, and for each of its characters.
const PART: usize = 160;
const PART_CHARACTER: usize = 80;

/// And for each distinct two, and three, characters that stand side by side: few where there is an alphabet, hundreds of
/// thousands where there are thousands of characters.
const TWO: usize = 400;
const THREE: usize = 150;

/// Letters and digits of a part at most: the longer it is, the more time and memory its pieces take to be found. A longer
/// run, as in a script without spaces, is read all the same, in parts.
const LONGEST: usize = 256;

/// Parts whose pieces are kept for when they come again. The tokenizers crate keeps none of 256 bytes or more, and of a
/// shorter one its text, and room for as many tokens of 32 bytes as that has bytes: at most 1024 times 8.2 KiB, 8 MiB; of
/// ordinary words half a MiB at most.
const KEPT: usize = 1024;

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
    pub fn train<T: AsRef<str>>(
        texts: impl Iterator<Item = T>,
        n_pieces: usize,
        lowercase: bool,
    ) -> Result<Self> {
        Self::train_within(texts, n_pieces, lowercase, usize::MAX)
    }

    /// As [`train`](Self::train), in about `most` bytes: of the parts that no longer fit, only the characters are learnt.
    ///
    /// # Errors
    /// The different characters alone do not fit.
    pub(super) fn train_within<T: AsRef<str>>(
        texts: impl Iterator<Item = T>,
        n_pieces: usize,
        lowercase: bool,
        most: usize,
    ) -> Result<Self> {
        let failed = |e: tokenizers::Error| Error::Input(format!("no sub-words can be learnt: {e}"));
        // How often each distinct part is there, what stands side by side in them, and what learning takes for all that.
        let mut counts = HashMap::<String, u64>::new();
        let (mut twos, mut threes) = (HashSet::<[char; 2]>::new(), HashSet::<[char; 3]>::new());
        let mut taken = 0;
        // The rest is for characters of parts that do not fit.
        let most_of_parts = most - most / 8;
        for text in texts {
            let text = cased(text.as_ref(), lowercase);
            for part in parts(&text) {
                if let Some(count) = counts.get_mut(&*part) {
                    *count += 1;
                    continue;
                }
                let letters: Vec<char> = part.chars().collect();
                let new = TWO * n_new(&twos, &letters) + THREE * n_new(&threes, &letters);
                let bytes = PART + PART_CHARACTER * letters.len() + new;
                if taken + bytes <= most_of_parts {
                    taken += bytes;
                    twos.extend(side_by_side::<2>(&letters));
                    threes.extend(side_by_side::<3>(&letters));
                    counts.insert(part.into_owned(), 1);
                    continue;
                }
                // Each character as a part of its own: there is a piece for it all the same.
                for c in letters {
                    if let Some(count) = counts.get_mut(&*c.encode_utf8(&mut [0; 4])) {
                        *count += 1;
                        continue;
                    }
                    taken += PART + PART_CHARACTER;
                    if taken > most {
                        return Err(too_many(most));
                    }
                    counts.insert(c.to_string(), 1);
                }
            }
        }
        // Learning does not need them.
        drop((twos, threes));
        let trainer = BpeTrainer::builder()
            .vocab_size(n_pieces.saturating_sub(2))
            .min_frequency(2)
            .show_progress(false)
            .build();
        // In the crate's own kind of map.
        let counts = counts.into_iter().map(|(part, count)| (part.into(), count)).collect();
        let mut model = BPE::default();
        trainer.do_train(&counts, &mut model).map_err(failed)?;
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
            .cache_capacity(KEPT)
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
        let text = cased(text, self.lowercase);
        for part in parts(&text) {
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

/// A training text whose different characters are too many to learn sub-words in `most` bytes.
fn too_many(most: usize) -> Error {
    let message = format!(
        "has too many different characters for its size: each is a sub-word, and to learn them takes more than the {} \
         MiB of memory that are left; leave out what is no text, or train on fewer lines",
        most >> 20
    );
    Error::Input(message)
}

fn cased(text: &str, lowercase: bool) -> Cow<'_, str> {
    if lowercase { text.to_lowercase().into() } else { text.into() }
}

/// Each `N` characters that stand side by side.
fn side_by_side<const N: usize>(letters: &[char]) -> impl Iterator<Item = [char; N]> + '_ {
    letters.windows(N).map(|group| <[char; N]>::try_from(group).expect("a window has so many"))
}

/// How many of these are not known.
fn n_new<const N: usize>(known: &HashSet<[char; N]>, letters: &[char]) -> usize {
    side_by_side::<N>(letters).filter(|group| !known.contains(group)).count()
}

/// What pieces are found in: words, and the signs in them, a word's first part after [`SPACE`].
fn parts(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let words = text.split(|c: char| c.is_whitespace() || c == SPACE).filter(|word| !word.is_empty());
    words.flat_map(|word| {
        let (mut rest, mut begins) = (word, true);
        std::iter::from_fn(move || {
            let letters = rest.char_indices().take(LONGEST).take_while(|(_, c)| c.is_alphanumeric());
            let end = letters.last().map_or(0, |(at, c)| at + c.len_utf8());
            if std::mem::take(&mut begins) {
                let (first, after) = rest.split_at(end);
                rest = after;
                return Some(Cow::Owned(format!("{SPACE}{first}")));
            }
            // Letters, or one sign.
            let end = if end > 0 { end } else { rest.chars().next()?.len_utf8() };
            let (part, after) = rest.split_at(end);
            rest = after;
            Some(Cow::Borrowed(part))
        })
    })
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
        // A run of letters that is read in parts.
        let long = "lowest".repeat(100);
        assert_eq!(reader.decode(&reader.encode(&long, 999)), long);
        // Unknown characters side by side are one.
        assert_eq!(reader.encode("zz", 9).iter().filter(|&&token| token == 1).count(), 1);
        assert_eq!(reader.decode(&[1, 99_999, 0, 5]), "<unk>");
        // What ends a text is no text.
        assert!(!reader.encode("the </s> one <unk>", 99)[..6].contains(&0));
    }

    #[test]
    fn parts_are_words_and_signs() {
        let long = "ab".repeat(300);
        let after_a_sign = format!(".{long}");
        let (head, middle, tail) = (&long[..256], &long[..256], &long[..88]);
        for (text, expected) in [
            ("  The ▁ low\tone ", "▁The ▁low ▁one".to_string()),
            ("don't (wid)...", "▁don ' t ▁ ( wid ) . . .".into()),
            ("é9, ß", "▁é9 , ▁ß".into()),
            ("", String::new()),
            (long.as_str(), format!("▁{head} {middle} {tail}")),
            (after_a_sign.as_str(), format!("▁ . {head} {middle} {tail}")),
        ] {
            assert_eq!(parts(text).collect::<Vec<_>>().join(" "), expected, "{text}");
        }
        // As they are in lower case as a whole: the last letter of a Greek word is another one.
        assert_eq!(parts(&cased("ΑΣ", true)).collect::<String>(), "▁ας");
    }

    /// So many different words.
    fn words(n: usize) -> impl Iterator<Item = String> {
        (0..n).map(|k| format!("w{k:04}"))
    }

    #[test]
    fn more_parts_than_there_is_memory_for_are_learnt_of_as_far_as_they_fit() {
        let within = |n: usize, most: usize| SubWords::train_within(words(n), 50, false, most).unwrap();
        // All of them fit.
        assert_eq!(within(1000, 1 << 20), SubWords::train(words(1000), 50, false).unwrap());
        assert_ne!(within(2000, 1 << 20), SubWords::train(words(2000), 50, false).unwrap());
        // A word that was there while there was room goes on being counted, and one that came later is read by its
        // characters.
        let often = std::iter::repeat_n("often".to_string(), 5000);
        let texts = || words(2000).chain(["xyz (早上好)".to_string()]).chain(often.clone());
        let late = SubWords::train_within(texts(), 60, false, 1 << 20).unwrap();
        let first = std::iter::once("often".to_string()).chain(texts());
        let early = SubWords::train_within(first, 60, false, 1 << 20).unwrap();
        let knows = |sub_words: &SubWords| sub_words.pieces.contains(&"▁often".into());
        assert_eq!([knows(&late), knows(&early)], [false, true]);
        for sub_words in [late, early] {
            let reader = sub_words.reader().unwrap();
            for text in texts() {
                let tokens = reader.encode(&text, 99);
                assert_eq!(reader.decode(&tokens), text);
                assert!(!tokens.contains(&1), "{text}");
            }
        }
    }

    #[test]
    fn what_takes_too_much_memory_is_refused() {
        let characters = |n: usize| ('\u{4e00}'..).take(n).map(String::from);
        SubWords::train_within(characters(1500), 50, false, 1 << 20).unwrap();
        let error = SubWords::train_within(characters(2500), 50, false, 1 << 20).unwrap_err().to_string();
        assert!(error.contains("different characters") && error.contains("the 1 MiB of memory"), "{error}");
        // The same word again and again is one.
        SubWords::train_within(["w"; 10_000].into_iter(), 50, false, 1 << 10).unwrap();
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
