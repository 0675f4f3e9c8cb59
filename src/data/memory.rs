//! How much memory reading a file may take: four times the size of its text, unpacked, and 64 MiB, whatever is in it.
//! Only what the configuration multiplies comes on top: `copies` of drawings, pictures of a large `side`, and the
//! `horizon` rows at each step of a trajectory, for all samples of a batch.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes that any file may take: the rest of the 64 MiB is for what is not counted.
const ROOM: usize = 48 << 20;

/// Bytes that a name takes, but for its text, which is there twice. Most stands at the same time where distinct words are
/// counted and sorted:
///
/// | bytes | what |
/// |--:|---|
/// | 16 | the list of them |
/// | 32 | what the allocator keeps beside and behind its text, at most |
/// | 76 | the map that counts: an entry of 32 and a byte beside it, in a table that is 7/16 to 7/8 full |
/// | 32 | the same text there: the allocator's own |
/// | 32 | the list in which they are sorted |
///
/// 188 in all. Before, where they are numbered, it is 32 and 58: an entry of that map has 24 bytes.
pub(super) const NAME: usize = 192;

/// What memory is taken for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// Lines, or parts of them: samples, and what these are made of.
    Parts,
    /// Distinct words, labels and other names.
    Names,
    /// Windows of a text.
    Windows,
    /// Tokens of a text.
    Tokens,
    /// Columns of values.
    Columns,
    /// Columns of each row that is predicted at a step.
    Ahead,
    /// Channels of cases.
    Channels,
}

impl Cause {
    const ALL: [Self; 7] =
        [Self::Parts, Self::Names, Self::Windows, Self::Tokens, Self::Columns, Self::Ahead, Self::Channels];

    /// What is wrong with a file that takes too much of it, and what helps.
    fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::Parts => (
                "its lines or parts are too short for their number",
                "split the file, or make fewer and longer ones",
            ),
            Self::Names => {
                ("it has too many different words or names", "split the file, or write the rare ones as one")
            }
            Self::Windows => ("it is cut into too many windows", "raise `data.window`, or split the file"),
            Self::Tokens => (
                "it has too many tokens, and too many different ones",
                "split the file, or, where they are words, raise `data.min_count`",
            ),
            Self::Columns => (
                "it has too many values",
                "name the columns that are needed in `data.columns` and `data.targets`, or split the file",
            ),
            Self::Ahead => (
                "it has too many columns to predict in so many rows",
                "lower `data.horizon`, or name fewer columns in `data.targets`",
            ),
            Self::Channels => {
                ("its cases have too many channels", "leave some out, or set `data.standardize = false`")
            }
        }
    }
}

/// What is left of the memory for a file and its samples.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    path: PathBuf,
    /// Of the file's text.
    size: usize,
    /// For each cause.
    taken: [usize; Cause::ALL.len()],
    /// How much of that is for the whole file, however far it has been read.
    whole: usize,
}

impl Budget {
    /// For a file of `size` bytes.
    pub fn new(path: &Path, size: usize) -> Self {
        Self { path: path.into(), size, taken: Default::default(), whole: 0 }
    }

    fn most(&self) -> usize {
        self.size.saturating_mul(4).saturating_add(ROOM)
    }

    fn taken(&self) -> usize {
        self.taken.into_iter().fold(0, usize::saturating_add)
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.most().saturating_sub(self.taken())
    }

    /// Takes `bytes` for what stands before byte `read` of the file.
    ///
    /// # Errors
    /// There are not so many left.
    pub fn take(&mut self, bytes: usize, read: usize) -> Result<()> {
        self.take_for(Cause::Parts, bytes, read)
    }

    /// [`take`](Self::take), of another cause.
    pub fn take_for(&mut self, cause: Cause, bytes: usize, read: usize) -> Result<()> {
        self.add(cause, bytes);
        self.check(read.clamp(1, self.size.max(1)) as f64 / self.size.max(1) as f64)
    }

    /// Takes `bytes` for the last of `done` cases of `n`, whose own bytes have been taken.
    pub fn take_share(&mut self, bytes: usize, done: usize, n: usize) -> Result<()> {
        let read = self.size as f64 * done as f64 / n.max(1) as f64;
        self.take(bytes, read as usize)
    }

    /// Takes `bytes` for the whole file.
    pub fn take_all(&mut self, bytes: usize) -> Result<()> {
        self.take_all_for(Cause::Parts, bytes)
    }

    /// [`take_all`](Self::take_all), of another cause.
    pub fn take_all_for(&mut self, cause: Cause, bytes: usize) -> Result<()> {
        self.add(cause, bytes);
        self.whole = self.whole.saturating_add(bytes);
        self.check(1.0)
    }

    fn add(&mut self, cause: Cause, bytes: usize) {
        let of_cause = &mut self.taken[cause as usize];
        *of_cause = of_cause.saturating_add(bytes);
    }

    /// Refuses what is taken, if it is too much, where `share` of the file has been read.
    fn check(&self, share: f64) -> Result<()> {
        let taken = self.taken();
        if taken <= self.most() {
            return Ok(());
        }
        Err(self.refuse(self.whole as f64 + (taken - self.whole) as f64 / share))
    }

    fn refuse(&self, needed: f64) -> Error {
        let mib = |bytes: f64| (bytes / f64::from(1 << 20)).ceil();
        // What most of it is for.
        let cause = Cause::ALL.into_iter().max_by_key(|&cause| self.taken[cause as usize]);
        let (wrong, helps) = cause.unwrap_or(Cause::Parts).says();
        let message = format!(
            "{wrong}: reading it would take about {} MiB of memory, and a file of {} MiB gets {} MiB; {helps}",
            mib(needed),
            mib(self.size as f64),
            mib(self.most() as f64),
        );
        Error::file(&self.path, message)
    }
}

/// Distinct names, numbered in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Box<str>, u32>);

impl Names {
    /// The number of a name, which ends before byte `read` of the file.
    pub fn id(&mut self, name: &str, budget: &mut Budget, read: usize) -> Result<u32> {
        if let Some(&id) = self.0.get(name) {
            return Ok(id);
        }
        budget.take_for(Cause::Names, NAME + 2 * name.len(), read)?;
        let id = u32::try_from(self.0.len()).expect("a file of 1 GiB has fewer names");
        self.0.insert(name.into(), id);
        Ok(id)
    }

    /// The names, the n-th being number n.
    pub fn into_list(self) -> Vec<Box<str>> {
        let mut list = vec![Box::default(); self.0.len()];
        for (name, id) in self.0 {
            list[id as usize] = name;
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::assert_says;

    #[test]
    fn a_budget_is_four_times_the_size_and_48_mib() {
        let mut budget = Budget::new(Path::new("f"), 1 << 20);
        budget.take(52 << 20, 1 << 18).unwrap();
        assert_eq!(budget.left(), 0);
        // A quarter took all there is.
        let says =
            ["f: ", "too short for their number", "about 209 MiB", "a file of 1 MiB gets 52 MiB;", "split"];
        assert_says(budget.take(1, 1 << 18), &says);
        // What is for the whole file is not taken again for each quarter.
        let mut budget = Budget::new(Path::new("f"), 1 << 20);
        budget.take_all(20 << 20).unwrap();
        budget.take(32 << 20, 1 << 18).unwrap();
        assert_says(budget.take(1, 1 << 18), &["about 149 MiB"]);
        assert_says(Budget::new(Path::new("f"), 0).take_all(usize::MAX), &["a file of 0 MiB gets 48 MiB;"]);
    }

    #[test]
    fn a_refusal_tells_what_most_is_taken_for_and_what_helps() {
        for (cause, says) in [
            (Cause::Parts, ["its lines or parts are too short", "fewer and longer ones"]),
            (Cause::Names, ["too many different words or names", "the rare ones as one"]),
            (Cause::Windows, ["too many windows", "raise `data.window`"]),
            (Cause::Tokens, ["too many tokens", "`data.min_count`"]),
            (Cause::Columns, ["too many values", "`data.columns`"]),
            (Cause::Ahead, ["too many columns to predict", "lower `data.horizon`"]),
            (Cause::Channels, ["too many channels", "`data.standardize = false`"]),
        ] {
            let mut budget = Budget::new(Path::new("f"), 0);
            budget.take_all_for(cause, 40 << 20).unwrap();
            budget.take_all(4 << 20).unwrap();
            budget.take_for(Cause::Names, 4 << 20, 0).unwrap();
            assert_says(budget.take_all(1), &says);
        }
    }

    #[test]
    fn names_are_numbered_as_they_come() {
        let mut budget = Budget::new(Path::new("f"), 9);
        let mut names = Names::default();
        let ids = ["b", "a", "b", "c"].map(|name| names.id(name, &mut budget, 1).unwrap());
        assert_eq!(ids, [0, 1, 0, 2]);
        assert_eq!(budget.left(), Budget::new(Path::new("f"), 9).left() - 3 * (NAME + 2));
        assert_eq!(names.into_list(), ["b", "a", "c"].map(Box::from));
    }
}
