//! The samples of a split: kept one by one, or cut from the rows of a series when they are asked for.

use super::MAX_VALUES;
use super::sample::{Sample, SampleInput, SampleTarget};
use super::series::{self, Windows};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The samples of a split, made of a `Vec<Sample>`. Those of a series are windows over rows that all of them share: each
/// is made when it is asked for.
#[derive(Clone)]
pub struct Samples(Kind);

#[derive(Clone)]
enum Kind {
    Kept(Vec<Sample>),
    Cut(Windows),
}

impl Samples {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Kept(all) => all.len(),
            Kind::Cut(windows) => windows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sample at a place.
    ///
    /// # Panics
    /// Where there is none.
    pub fn at(&self, k: usize) -> Cow<'_, Sample> {
        match &self.0 {
            Kind::Kept(all) => Cow::Borrowed(&all[k]),
            Kind::Cut(windows) => Cow::Owned(windows.at(k)),
        }
    }

    /// The last one, if there is one.
    pub fn last(&self) -> Option<Cow<'_, Sample>> {
        self.len().checked_sub(1).map(|k| self.at(k))
    }

    /// One after the other.
    pub fn iter(&self) -> Iter<'_> {
        Iter { samples: self, rest: 0..self.len() }
    }

    /// Some that follow each other.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn part(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Kind::Kept(all) => all[range].to_vec().into(),
            Kind::Cut(windows) => Self(Kind::Cut(windows.part(range))),
        }
    }

    /// Steps that are read of the sample at a place, which is not made for that.
    pub fn steps(&self, k: usize) -> usize {
        match &self.0 {
            Kind::Kept(all) => all[k].input.steps(),
            Kind::Cut(windows) => windows.steps(),
        }
    }

    /// Steps of the sample at a place after which values are to be said; it is not made for that.
    pub(crate) fn said(&self, k: usize) -> usize {
        match &self.0 {
            Kind::Kept(all) => series::steps(&all[k]),
            Kind::Cut(windows) => windows.n_said(),
        }
    }

    /// Steps that are read of the sample at a place, and those that are written apart from them.
    pub(super) fn lengths(&self, k: usize) -> [usize; 2] {
        match &self.0 {
            Kind::Kept(all) => lengths(&all[k]),
            Kind::Cut(windows) => [windows.steps(), 0],
        }
    }

    /// Those of which each has to be looked at to know that all are sound: where they are cut from finite rows, the first
    /// one.
    pub(super) fn to_check(&self) -> impl Iterator<Item = Cow<'_, Sample>> {
        let n = match &self.0 {
            Kind::Cut(windows) if windows.are_finite() => 1,
            _ => self.len(),
        };
        self.iter().take(n)
    }

    /// Those that are kept; of a series there is none.
    pub(super) fn kept_mut(&mut self) -> &mut [Sample] {
        match &mut self.0 {
            Kind::Kept(all) => all,
            Kind::Cut(_) => &mut [],
        }
    }
}

fn lengths(sample: &Sample) -> [usize; 2] {
    match sample {
        // One step is read, and many are written.
        Sample { input: SampleInput::Attributes { .. }, target: SampleTarget::Text { tokens, .. } }
        | Sample { target: SampleTarget::Drawing { tokens, .. }, .. } => [0, tokens.len()],
        Sample { input, target: SampleTarget::Text { tokens, .. } } => [input.steps(), tokens.len()],
        sample => [sample.input.steps(), 0],
    }
}

impl Default for Samples {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<Sample>> for Samples {
    fn from(samples: Vec<Sample>) -> Self {
        Self(Kind::Kept(samples))
    }
}

impl From<Windows> for Samples {
    fn from(windows: Windows) -> Self {
        Self(Kind::Cut(windows))
    }
}

impl From<Samples> for Vec<Sample> {
    fn from(samples: Samples) -> Self {
        match samples.0 {
            Kind::Kept(all) => all,
            Kind::Cut(windows) => (0..windows.len()).map(|k| windows.at(k)).collect(),
        }
    }
}

impl FromIterator<Sample> for Samples {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        Vec::from_iter(samples).into()
    }
}

impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            // Windows that overlap may have thousands of times the values that their rows have.
            Kind::Cut(windows) if windows.n_values() > MAX_VALUES => windows.serialize(serializer),
            _ => serializer.collect_seq(self.iter()),
        }
    }
}

/// One sample after the other.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    samples: &'a Samples,
    rest: Range<usize>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Cow<'a, Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        let samples = self.samples;
        self.rest.next().map(|k| samples.at(k))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }

    // Those that are left out are not made, here and below.
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        let samples = self.samples;
        self.rest.nth(n).map(|k| samples.at(k))
    }

    fn count(self) -> usize {
        self.rest.len()
    }

    fn last(mut self) -> Option<Self::Item> {
        self.next_back()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let samples = self.samples;
        self.rest.next_back().map(|k| samples.at(k))
    }

    fn nth_back(&mut self, n: usize) -> Option<Self::Item> {
        let samples = self.samples;
        self.rest.nth_back(n).map(|k| samples.at(k))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Samples {
    type Item = Cow<'a, Sample>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(k: u32) -> Sample {
        Sample::tokens(vec![k; 1 + k as usize % 3], vec![k])
    }

    #[test]
    fn kept_samples_are_those_of_their_vector() {
        let all: Vec<Sample> = (0..7).map(sample).collect();
        let samples = Samples::from(all.clone());
        assert_eq!((samples.len(), samples.is_empty(), samples.steps(5)), (7, false, 3));
        assert!(samples.iter().map(Cow::into_owned).eq(all.clone()));
        assert!(samples.iter().rev().map(Cow::into_owned).eq(all.iter().rev().cloned()));
        assert!(samples.iter().step_by(3).map(Cow::into_owned).eq([0, 3, 6].map(sample)));
        assert_eq!(samples.iter().skip(2).len(), 5);
        assert_eq!(samples.iter().skip(2).count(), 5);
        assert_eq!(samples.iter().last().as_deref(), all.last());
        assert_eq!(samples.iter().nth_back(2).as_deref(), Some(&all[4]));
        assert!(samples.iter().nth_back(7).is_none());
        assert_eq!(samples.last().as_deref(), all.last());
        assert_eq!(samples.part(2..4), Samples::from_iter([2, 3].map(sample)));
        assert_ne!(samples.part(0..6), samples);
        assert_eq!(Vec::from(samples.clone()), all);
        assert_eq!(samples.to_check().count(), 7);
        assert!(Samples::default().is_empty() && Samples::default().last().is_none());
        // What is hashed of a data set is what its vectors were.
        assert_eq!(rmp_serde::to_vec(&samples).unwrap(), rmp_serde::to_vec(&all).unwrap());
        assert_eq!(format!("{samples:?}"), format!("{all:?}"));
    }
}
