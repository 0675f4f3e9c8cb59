//! Words: which of them a model knows, how they are spelled, and how a line of text becomes some.

use super::memory::{Budget, NAME, Names};
use super::mismatch;
use super::sample::{InputSchema, SampleInput};
use super::shared::{Numbers, Spelled, Spellings, Tokens};
use super::vocabulary::Vocabulary;
use crate::error::Result;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Token 0 and character 0: whatever training has not seen.
pub const UNKNOWN: &str = "<unk>";

/// Characters of a spelling; of a longer word, which is mostly an address, both ends are read.
const MAX_SPELLING: usize = 32;

/// Bytes of a word in a file, and of its tag: their numbers, and what they are to the model, each mostly two bytes.
pub(super) const WORD: usize = 8;

/// What is split off the end of a word where training has seen it stand alone, as in English treebanks.
const CLITICS: [&str; 7] = ["n't", "'s", "'re", "'ve", "'ll", "'d", "'m"];

/// Words as a model reads them.
#[derive(Clone, Debug)]
pub struct WordReader {
    vocabulary: Vocabulary,
    /// `None`: the model does not read spellings.
    characters: Option<Vocabulary>,
    lowercase: bool,
}

impl WordReader {
    /// A reader for inputs like `schema`.
    ///
    /// # Errors
    /// A schema that is not of words, or has none.
    pub fn new(schema: &InputSchema) -> Result<Self> {
        let InputSchema::Words { vocabulary, characters, lowercase } = schema else {
            return Err(mismatch());
        };
        Ok(Self {
            vocabulary: Vocabulary::try_from(vocabulary.clone())?,
            characters: match characters.as_slice() {
                [] => None,
                characters => Some(Vocabulary::try_from(characters.to_vec())?),
            },
            lowercase: *lowercase,
        })
    }

    /// The number of each word; 0 for an unknown one.
    pub fn tokens(&self, words: &[&str]) -> Vec<u32> {
        words.iter().map(|word| self.id(word).unwrap_or(0)).collect()
    }

    /// Words as the model's input, spelled if it reads spellings.
    pub fn encode(&self, words: &[&str]) -> SampleInput {
        let tokens = self.tokens(words).into();
        match &self.characters {
            None => SampleInput::Tokens(tokens),
            Some(characters) => {
                let spellings = words.iter().map(|word| spell(word, characters)).collect();
                SampleInput::Words { tokens, spellings }
            }
        }
    }

    /// The words of a line of plain text.
    ///
    /// A line is split at spaces. A piece that training has seen is one word. Of any other, what is neither letter nor
    /// digit at its two ends becomes words of its own, character by character, until the rest is a word that training
    /// has seen; then an English ending is split off, as in `do n't` and `John 's`, if training has seen it alone.
    pub fn split<'a>(&self, line: &'a str) -> Vec<&'a str> {
        let mut words = Vec::new();
        for mut piece in line.split_whitespace() {
            while let Some(first) = self.punctuation(piece, piece.chars().next()) {
                let (sign, rest) = piece.split_at(first);
                words.push(sign);
                piece = rest;
            }
            let mut end = Vec::new();
            while let Some(last) = self.punctuation(piece, piece.chars().next_back()) {
                let (rest, sign) = piece.split_at(piece.len() - last);
                end.push(sign);
                piece = rest;
            }
            match self.clitic(piece).filter(|_| self.id(piece).is_none()) {
                Some(clitic) => words.extend(<[&str; 2]>::from(piece.split_at(piece.len() - clitic))),
                None => words.push(piece),
            }
            words.extend(end.into_iter().rev());
        }
        words
    }

    /// The bytes of `character`, at an end of `piece`, if it is to be split off.
    fn punctuation(&self, piece: &str, character: Option<char>) -> Option<usize> {
        let length = character.filter(|c| !c.is_alphanumeric())?.len_utf8();
        (piece.len() > length && self.id(piece).is_none()).then_some(length)
    }

    /// The bytes of the ending that is to be split off `word`.
    fn clitic(&self, word: &str) -> Option<usize> {
        let ends = |clitic: &&&str| {
            let start = word.len().checked_sub(clitic.len()).filter(|&start| start > 0);
            start.and_then(|start| word.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(clitic))
        };
        let clitic = CLITICS.iter().find(ends)?;
        self.id(clitic).map(|_| clitic.len())
    }

    pub(super) fn id(&self, word: &str) -> Option<u32> {
        if self.lowercase { self.vocabulary.id(&word.to_lowercase()) } else { self.vocabulary.id(word) }
    }
}

fn spell(word: &str, characters: &Vocabulary) -> Vec<u32> {
    let mut buffer = [0; 4];
    let mut id = |c: char| characters.id(c.encode_utf8(&mut buffer)).unwrap_or(0);
    let n = word.chars().count();
    if n <= MAX_SPELLING {
        return word.chars().map(id).collect();
    }
    let half = MAX_SPELLING / 2;
    word.chars().take(half).chain(word.chars().skip(n - half)).map(&mut id).collect()
}

/// The sentences of a file: each word a number, and each distinct one there once.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    names: Names,
    words: Numbers,
    /// Where each sentence ends among the words.
    ends: Vec<u32>,
}

impl Sentences {
    /// Adds a word, which ends before byte `read` of the file, to the sentence that is not ended.
    pub fn push(&mut self, word: &str, budget: &mut Budget, read: usize) -> Result<()> {
        let id = self.names.id(word, budget, read)?;
        self.words.push(id);
        Ok(())
    }

    /// Ends a sentence.
    pub fn end(&mut self) {
        self.ends.push(short(self.words.len()));
    }

    /// Words of the sentence that is not ended.
    pub fn n_open(&self) -> usize {
        self.words.len() - self.ends.last().map_or(0, |&end| end as usize)
    }

    /// The sentences, which are all there.
    pub fn finish(self) -> Corpus {
        Corpus { names: self.names.into_list(), words: self.words, ends: self.ends }
    }
}

/// Whole [`Sentences`].
#[derive(Debug)]
pub(super) struct Corpus {
    names: Vec<Box<str>>,
    words: Numbers,
    ends: Vec<u32>,
}

impl Corpus {
    /// How many sentences there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Of each distinct word of some sentences, how often it is there.
    pub fn counts(&self, sentences: &[usize]) -> impl Iterator<Item = (&str, usize)> {
        let mut counts = vec![0; self.names.len()];
        for k in sentences.iter().flat_map(|&sentence| part_of(&self.ends, sentence)) {
            counts[self.words.at(k) as usize] += 1;
        }
        self.names.iter().map(|name| &**name).zip(counts).filter(|(_, n)| *n > 0)
    }

    /// Bytes that the sentences take as a model's input, and beside it what it is made of.
    pub fn encoded(&self, reader: &WordReader) -> usize {
        // Where a word's spelling ends; its text, what points at it and the allocator's own.
        const LISTED: usize = size_of::<u32>() + size_of::<Box<str>>() + 32;
        let n_known = reader.vocabulary.len();
        let spelling = |name: &str| match reader.characters {
            None => 0,
            Some(_) => size_of::<u32>() * name.chars().count().min(MAX_SPELLING),
        };
        let names: usize = self.names.iter().map(|name| LISTED + name.len() + spelling(name)).sum();
        let word = Numbers::width(self.names.len()) + Numbers::width(n_known);
        let known = n_known.min(self.names.len()) * NAME;
        names + known + self.words.len() * word + self.ends.len() * size_of::<u32>()
    }

    /// The sentences as a model's input.
    pub fn encode(self, reader: &WordReader) -> Encoded {
        let tokens = self.numbers(|word| reader.id(word).unwrap_or(0));
        let Self { names, words, ends } = self;
        let spelled = reader.characters.as_ref().map(|characters| {
            Arc::new(Spelled::new(words, names.iter().map(|word| spell(word, characters))))
        });
        Encoded { tokens: Arc::new(tokens), spelled, ends }
    }

    /// The sentences with other numbers, each word's own.
    pub fn renumbered(self, number: impl Fn(&str) -> u32) -> Encoded {
        Encoded { tokens: Arc::new(self.numbers(number)), spelled: None, ends: self.ends }
    }

    fn numbers(&self, number: impl Fn(&str) -> u32) -> Numbers {
        let known: Vec<u32> = self.names.iter().map(|word| number(word)).collect();
        let end = known.iter().max().map_or(0, |&most| most as usize + 1);
        let mut numbers = Numbers::with_capacity(self.words.len(), end);
        (0..self.words.len()).for_each(|k| numbers.push(known[self.words.at(k) as usize]));
        numbers
    }
}

/// Sentences as a model reads them, or says their tags.
pub(super) struct Encoded {
    tokens: Arc<Numbers>,
    spelled: Option<Arc<Spelled>>,
    ends: Vec<u32>,
}

impl Encoded {
    /// The tokens of a sentence.
    pub fn tokens(&self, sentence: usize) -> Tokens {
        Tokens::part(&self.tokens, part_of(&self.ends, sentence))
    }

    /// A sentence as a model's input, spelled if the model reads spellings.
    pub fn input(&self, sentence: usize) -> SampleInput {
        let tokens = self.tokens(sentence);
        match &self.spelled {
            None => SampleInput::Tokens(tokens),
            Some(spelled) => {
                let spellings = Spellings::part(spelled, part_of(&self.ends, sentence));
                SampleInput::Words { tokens, spellings }
            }
        }
    }
}

/// A place in a file, which has `MAX_BYTES` at most, 1 GiB, or in what is made of it, in four bytes.
pub(super) fn short(place: usize) -> u32 {
    u32::try_from(place).expect("less than 4 Gi of it is made of a file")
}

/// What is of number k where `ends` says where each ends.
pub(super) fn part_of(ends: &[u32], k: usize) -> Range<usize> {
    let start = k.checked_sub(1).map_or(0, |before| ends[before] as usize);
    start..ends[k] as usize
}

/// The words and characters that are there at least `min_count` times, the more frequent ones first; without
/// `spelled`, no characters. Each word comes with how often it is there.
pub(super) fn schema<'a>(
    words: impl Iterator<Item = (&'a str, usize)>,
    min_count: usize,
    lowercase: bool,
    spelled: bool,
) -> InputSchema {
    let (mut seen, mut signs): (HashMap<String, usize>, HashMap<char, usize>) = Default::default();
    for (word, n) in words {
        let known = if lowercase { word.to_lowercase() } else { word.to_string() };
        *seen.entry(known).or_default() += n;
        if spelled {
            word.chars().for_each(|c| *signs.entry(c).or_default() += n);
        }
    }
    let signs = signs.into_iter().map(|(c, n)| (c.to_string(), n)).collect();
    InputSchema::Words {
        vocabulary: frequent(seen, min_count),
        characters: if spelled { frequent(signs, min_count) } else { Vec::new() },
        lowercase,
    }
}

/// [`UNKNOWN`], then the names that are there at least `min_count` times.
fn frequent(counts: HashMap<String, usize>, min_count: usize) -> Vec<String> {
    let mut kept: Vec<(String, usize)> =
        counts.into_iter().filter(|(name, n)| *n >= min_count && name != UNKNOWN).collect();
    kept.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    std::iter::once(UNKNOWN.to_string()).chain(kept.into_iter().map(|(name, _)| name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Words, each as often as it comes.
    fn once(text: &str) -> impl Iterator<Item = (&str, usize)> {
        text.split(' ').map(|word| (word, 1))
    }

    fn reader(text: &str, lowercase: bool) -> WordReader {
        WordReader::new(&schema(once(text), 1, lowercase, true)).unwrap()
    }

    #[test]
    fn words_are_numbered_by_frequency_and_rare_ones_are_unknown() {
        let text = "b a b ab a b <unk> c";
        let InputSchema::Words { vocabulary, characters, .. } = schema(once(text), 2, false, true) else {
            panic!("no words");
        };
        assert_eq!(vocabulary, ["<unk>", "b", "a"]);
        assert_eq!(characters, ["<unk>", "b", "a"]);
    }

    #[test]
    fn what_sentences_take_is_that_of_their_words() {
        let corpus = |text: &str| {
            let (mut sentences, mut budget) = (Sentences::default(), Budget::new(Path::new("f"), 1 << 20));
            for word in text.split(' ') {
                sentences.push(word, &mut budget, 1).unwrap();
            }
            sentences.end();
            sentences.finish()
        };
        let words = reader("a b", false);
        let [few, more, longer] = ["a c", "a c a c", "a cc"].map(|text| corpus(text).encoded(&words));
        assert_eq!(more, few + 2 * 2);
        // A character more, and what it is to the model.
        assert_eq!(longer, few + 1 + 4);
        // One more that training has not seen is in no vocabulary: that has three.
        let [three, four] = ["a c d", "a c d e"].map(|text| corpus(text).encoded(&words));
        assert_eq!(four - three, 2 + 4 + 16 + 32 + 1 + 4);
    }

    #[test]
    fn spellings_keep_their_case_and_words_need_not() {
        let words = reader("The cat", true);
        let SampleInput::Words { tokens, spellings } = words.encode(&["THE", "tea", "cat"]) else {
            panic!("no spelling");
        };
        assert_eq!(tokens, words.tokens(&["the", "x", "cat"]));
        assert_eq!(tokens.get(1), Some(0));
        // Of T, h and e training has T and h.
        let id = |c: &str| words.characters.as_ref().unwrap().id(c).unwrap_or(0);
        assert_eq!(spellings[0], [id("T"), 0, 0]);
        assert_eq!(spellings[1], [id("t"), id("e"), id("a")]);
        assert_eq!(reader("The cat", false).tokens(&["the"]), [0]);
    }

    #[test]
    fn a_long_spelling_has_both_ends() {
        let characters = Vocabulary::of_characters("abc").unwrap();
        let spelling = spell(&format!("a{}c", "b".repeat(100)), &characters);
        assert_eq!((spelling.len(), spelling[0], spelling[1], spelling[31]), (MAX_SPELLING, 0, 1, 2));
    }

    #[test]
    fn a_line_is_split_as_training_was() {
        let words = reader("How far is it ? do n't 's U.S. ... ( café , cannot", false);
        for (line, expected) in [
            ("How far is it?", "How far is it ?"),
            ("How far is it ?", "How far is it ?"),
            ("(the U.S., café)!", "( the U.S. , café ) !"),
            ("don't do n't John's", "do n't do n't John 's"),
            // No ending that training has not seen; nothing of what it has.
            ("we'll cannot ...", "we'll cannot ..."),
            ("wait.. «é»", "wait . . « é »"),
            ("'s n't ' ''", "'s n't ' ' '"),
            (" \t ", ""),
        ] {
            let found = words.split(line);
            assert_eq!(found.join(" "), expected, "{line}");
        }
    }
}
