//! Values, tokens, texts and spellings that many samples have parts of: each is kept once, tokens in as few bytes as
//! their largest number needs.

use serde::{Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, Index, Range};
use std::sync::Arc;

/// Where a part begins, and how long it is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    len: u32,
}

impl Place {
    fn of(range: Range<usize>) -> Self {
        let short = |n: usize| u32::try_from(n).expect("fewer than 4 Gi are kept together");
        Self { start: short(range.start), len: short(range.len()) }
    }

    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

/// Values, or a part of them. Made of a `Vec<f32>` and read like a slice; a clone shares them.
#[derive(Clone, Default)]
pub struct Values {
    all: Arc<Vec<f32>>,
    place: Place,
}

impl Values {
    /// A part of values.
    pub(crate) fn part(all: &Arc<Vec<f32>>, range: Range<usize>) -> Self {
        Self { all: all.clone(), place: Place::of(range) }
    }

    /// The values as a vector: they are copied only where they are a part or are shared.
    pub fn into_vec(self) -> Vec<f32> {
        let range = self.place.range();
        match Arc::try_unwrap(self.all) {
            Ok(all) if range == (0..all.len()) => all,
            Ok(all) => all[range].to_vec(),
            Err(all) => all[range].to_vec(),
        }
    }

    /// The values.
    pub fn as_slice(&self) -> &[f32] {
        &self.all[self.place.range()]
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.as_slice()
    }
}

impl From<Vec<f32>> for Values {
    /// # Panics
    /// 4 Gi values or more.
    fn from(values: Vec<f32>) -> Self {
        let place = Place::of(0..values.len());
        Self { all: Arc::new(values), place }
    }
}

impl FromIterator<f32> for Values {
    fn from_iter<I: IntoIterator<Item = f32>>(values: I) -> Self {
        Vec::from_iter(values).into()
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = &'a f32;
    type IntoIter = std::slice::Iter<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_slice().iter()
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl PartialEq<[f32]> for Values {
    fn eq(&self, other: &[f32]) -> bool {
        self.as_slice() == other
    }
}

impl<const N: usize> PartialEq<[f32; N]> for Values {
    fn eq(&self, other: &[f32; N]) -> bool {
        self.as_slice() == other
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

/// Numbers in as few bytes as the largest needs.
#[derive(Debug)]
pub(crate) enum Numbers {
    /// Below 256.
    Bytes(Vec<u8>),
    /// Below 65,536.
    Shorts(Vec<u16>),
    /// Any.
    Longs(Vec<u32>),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Numbers {
    /// Room for `n` numbers below `end`.
    pub fn with_capacity(n: usize, end: usize) -> Self {
        match end {
            0..=0x100 => Self::Bytes(Vec::with_capacity(n)),
            0x101..=0x1_0000 => Self::Shorts(Vec::with_capacity(n)),
            _ => Self::Longs(Vec::with_capacity(n)),
        }
    }

    /// Bytes that one of those below `end` takes.
    pub fn width(end: usize) -> usize {
        match end {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(all) => all.len(),
            Self::Shorts(all) => all.len(),
            Self::Longs(all) => all.len(),
        }
    }

    pub fn push(&mut self, number: u32) {
        match self {
            Self::Bytes(all) => match u8::try_from(number) {
                Ok(number) => all.push(number),
                Err(_) => self.widen(number),
            },
            Self::Shorts(all) => match u16::try_from(number) {
                Ok(number) => all.push(number),
                Err(_) => self.widen(number),
            },
            Self::Longs(all) => all.push(number),
        }
    }

    /// Takes a number that has been too large.
    fn widen(&mut self, number: u32) {
        *self = match &*self {
            Self::Bytes(all) if number <= u16::MAX.into() => {
                Self::Shorts(all.iter().map(|&n| n.into()).collect())
            }
            _ => Self::Longs((0..self.len()).map(|k| self.at(k)).collect()),
        };
        self.push(number);
    }

    /// The number at a place.
    ///
    /// # Panics
    /// Where there is none.
    pub fn at(&self, k: usize) -> u32 {
        match self {
            Self::Bytes(all) => all[k].into(),
            Self::Shorts(all) => all[k].into(),
            Self::Longs(all) => all[k],
        }
    }
}

/// Tokens, or a part of them. Made of a `Vec<u32>`; a clone shares them.
#[derive(Clone, Default)]
pub struct Tokens {
    all: Arc<Numbers>,
    place: Place,
}

impl Tokens {
    /// A part of tokens.
    pub(crate) fn part(all: &Arc<Numbers>, range: Range<usize>) -> Self {
        debug_assert!(range.end <= all.len());
        Self { all: all.clone(), place: Place::of(range) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.place.len as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
        self.place.range().map(|k| self.all.at(k))
    }

    /// The one at a place, if there is one.
    pub fn get(&self, k: usize) -> Option<u32> {
        (k < self.len()).then(|| self.all.at(self.place.start as usize + k))
    }

    /// The last one, if there is one.
    pub fn last(&self) -> Option<u32> {
        self.len().checked_sub(1).and_then(|k| self.get(k))
    }

    /// All of them.
    pub fn to_vec(&self) -> Vec<u32> {
        self.iter().collect()
    }
}

impl From<Vec<u32>> for Tokens {
    /// # Panics
    /// 4 Gi tokens or more.
    fn from(tokens: Vec<u32>) -> Self {
        let place = Place::of(0..tokens.len());
        Self { all: Arc::new(Numbers::Longs(tokens)), place }
    }
}

impl FromIterator<u32> for Tokens {
    fn from_iter<I: IntoIterator<Item = u32>>(tokens: I) -> Self {
        Vec::from_iter(tokens).into()
    }
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl PartialEq<Vec<u32>> for Tokens {
    fn eq(&self, other: &Vec<u32>) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl<const N: usize> PartialEq<[u32; N]> for Tokens {
    fn eq(&self, other: &[u32; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A text, or a part of one. Made of a `String` and read like a `str`; a clone shares it.
#[derive(Clone, Default)]
pub struct Excerpt {
    all: Arc<String>,
    place: Place,
}

impl Excerpt {
    /// A part of a text, from the byte where a character begins to the byte where one ends.
    pub(crate) fn part(all: &Arc<String>, range: Range<usize>) -> Self {
        Self { all: all.clone(), place: Place::of(range) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.all[self.place.range()]
    }
}

impl Deref for Excerpt {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for Excerpt {
    /// # Panics
    /// A text of 4 GiB or more.
    fn from(text: String) -> Self {
        let place = Place::of(0..text.len());
        Self { all: Arc::new(text), place }
    }
}

impl From<&str> for Excerpt {
    /// # Panics
    /// A text of 4 GiB or more.
    fn from(text: &str) -> Self {
        text.to_string().into()
    }
}

impl PartialEq for Excerpt {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl PartialEq<str> for Excerpt {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Excerpt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// Words, and the spelling of each distinct one of them.
#[derive(Debug, Default)]
pub(crate) struct Spelled {
    /// Which spelling is each word's.
    words: Numbers,
    /// Where each spelling ends among the characters.
    ends: Vec<u32>,
    characters: Vec<u32>,
}

impl Spelled {
    /// Words, of which those of number k have the k-th of the spellings.
    pub fn new(words: Numbers, spellings: impl IntoIterator<Item = impl IntoIterator<Item = u32>>) -> Self {
        let (mut ends, mut characters) = (Vec::new(), Vec::new());
        for spelling in spellings {
            characters.extend(spelling);
            ends.push(u32::try_from(characters.len()).expect("fewer than 4 Gi are kept together"));
        }
        Self { words, ends, characters }
    }

    fn at(&self, k: usize) -> &[u32] {
        let word = self.words.at(k) as usize;
        let start = word.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.characters[start..self.ends[word] as usize]
    }
}

/// The characters of each word of a sequence. Made of a `Vec<Vec<u32>>`; a clone shares them.
#[derive(Clone, Default)]
pub struct Spellings {
    all: Arc<Spelled>,
    place: Place,
}

impl Spellings {
    /// Those of some of the words.
    pub(crate) fn part(all: &Arc<Spelled>, words: Range<usize>) -> Self {
        Self { all: all.clone(), place: Place::of(words) }
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.place.len as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> + Clone {
        self.place.range().map(|k| self.all.at(k))
    }
}

impl Index<usize> for Spellings {
    type Output = [u32];

    fn index(&self, k: usize) -> &[u32] {
        assert!(k < self.len(), "there are {} words", self.len());
        self.all.at(self.place.start as usize + k)
    }
}

impl FromIterator<Vec<u32>> for Spellings {
    fn from_iter<I: IntoIterator<Item = Vec<u32>>>(spellings: I) -> Self {
        let spelled = Spelled::new(Numbers::default(), spellings);
        let n = spelled.ends.len();
        let words = (0..).take(n).fold(Numbers::with_capacity(n, n), |mut words, k| {
            words.push(k);
            words
        });
        Self { all: Arc::new(Spelled { words, ..spelled }), place: Place::of(0..n) }
    }
}

impl From<Vec<Vec<u32>>> for Spellings {
    fn from(spellings: Vec<Vec<u32>>) -> Self {
        spellings.into_iter().collect()
    }
}

impl PartialEq for Spellings {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Spellings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Spellings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_wide_as_the_largest() {
        let expected: Vec<u32> = [0, 255, 256, 65_535, 65_536, u32::MAX, 3].into();
        let mut numbers = Numbers::default();
        for (k, &number) in expected.iter().enumerate() {
            numbers.push(number);
            let width = match numbers {
                Numbers::Bytes(_) => 1,
                Numbers::Shorts(_) => 2,
                Numbers::Longs(_) => 4,
            };
            assert_eq!(width, [1, 1, 2, 2, 4, 4, 4][k]);
        }
        let numbers = Arc::new(numbers);
        assert_eq!(Tokens::part(&numbers, 0..7), expected);
        let part = Tokens::part(&numbers, 1..4);
        assert_eq!(part, [255, 256, 65_535]);
        assert_eq!((part.len(), part.last(), part.get(3)), (3, Some(65_535), None));
        // From small to large at once.
        let mut numbers = Numbers::default();
        [1, 1 << 20].into_iter().for_each(|number| numbers.push(number));
        assert_eq!((numbers.at(0), numbers.at(1)), (1, 1 << 20));
    }

    #[test]
    fn parts_are_written_as_vectors_are() {
        let tokens = Arc::new(Numbers::Bytes(vec![9, 1, 2, 200]));
        assert_eq!(written(&Tokens::part(&tokens, 1..4)), written(&vec![1u32, 2, 200]));
        let values = Arc::new(vec![0.5f32, 1.5, 2.5]);
        assert_eq!(written(&Values::part(&values, 1..3)), written(&vec![1.5f32, 2.5]));
        let text = Arc::new("one two".to_string());
        assert_eq!(written(&Excerpt::part(&text, 4..7)), written(&"two".to_string()));
        let words = Spelled::new(Numbers::Bytes(vec![1, 0, 1]), [vec![7u32], vec![8, 300]]);
        let spellings = Spellings::part(&Arc::new(words), 1..3);
        let plain = vec![vec![7u32], vec![8, 300]];
        assert_eq!(written(&spellings), written(&plain));
        assert_eq!((spellings[1].to_vec(), spellings.clone()), (vec![8, 300], plain.into()));
    }

    /// What is written of a value for the digest of a data set.
    fn written(value: &impl Serialize) -> Vec<u8> {
        rmp_serde::to_vec(value).unwrap()
    }
}
