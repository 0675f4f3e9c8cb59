//! Pairs of texts, one to read and one to write: translations, titles.
//!
//! Either the lines of two files: of `train.de.gz` and `train.en.gz` with `languages = ["de", "en"]`; or two columns of
//! one file with tabs between them, `source_column` and `target_column`.

use super::memory::Budget;
use super::sample::{InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema};
use super::shared::{Excerpt, Numbers, Tokens};
use super::sub_words::SubWords;
use super::words::short;
use super::{Source, each, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pieces of a vocabulary where the configuration is silent.
pub(super) const DEFAULT_PIECES: usize = 8000;

/// Pieces that a text is read or written in at most, where the configuration is silent.
pub const DEFAULT_STEPS: usize = 1000;

/// A file of pairs, or two.
pub(super) struct Pairs {
    path: PathBuf,
    /// The files' texts; of one file it is both.
    texts: [Arc<String>; 2],
    pairs: Vec<[Place; 2]>,
    /// Bytes of the file's text, or of both files'.
    size: usize,
    /// Until sub-words have been learnt.
    budget: Budget,
    n_pieces: [usize; 2],
    shared: bool,
    steps: usize,
    lowercase: bool,
}

/// Where a text begins and ends.
type Place = [u32; 2];

/// Bytes of a pair that is read: where its texts are, and the four numbers that parts are drawn by.
const READ: usize = size_of::<[Place; 2]>() + 4 * size_of::<usize>();

/// Bytes of a pair that is a sample, but for its tokens: the sample, where its tokens end, and its number in a part.
const PAIR: usize = size_of::<Sample>() + size_of::<[u32; 2]>() + size_of::<usize>();

/// Where a part of a text is.
fn place(text: &str, part: &str) -> Place {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    [start, start + part.len()].map(short)
}

fn range([start, end]: Place) -> Range<usize> {
    start as usize..end as usize
}

/// The file beside `path` that has the other language's lines.
fn other_language(path: &Path, [from, to]: &[String; 2]) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let parts: Vec<&str> = name.split('.').collect();
    if !parts.contains(&from.as_str()) {
        let message = format!(
            "the name has no part `{from}` (data.languages) in whose place `{to}` would name the other file: \
             name it as in train.{from}.gz"
        );
        return Err(Error::file(path, message));
    }
    let name: Vec<&str> = parts.into_iter().map(|part| if part == from { to } else { part }).collect();
    Ok(path.with_file_name(name.join(".")))
}

/// The texts, where each pair is in them, how many bytes they are, and what is left of their memory.
type Read = ([Arc<String>; 2], Vec<[Place; 2]>, usize, Budget);

fn two_files(path: &Path, languages: &[String; 2]) -> Result<Read> {
    let other = other_language(path, languages)?;
    let (source, target) = (read_text(path)?, read_text(&other)?);
    let (n, m) = (source.lines().count(), target.lines().count());
    if n != m {
        let message =
            format!("has {m} lines, {} has {n}: line by line they must say the same", path.display());
        return Err(Error::file(other, message));
    }
    let size = source.len() + target.len();
    let mut budget = Budget::new(path, size);
    budget.take_all(size + n * READ)?;
    let mut pairs = Vec::with_capacity(n);
    for (s, t) in source.lines().zip(target.lines()) {
        pairs.push([place(&source, s.trim()), place(&target, t.trim())]);
    }
    for (k, side) in [(0, path), (1, other.as_path())] {
        if let Some(line) = pairs.iter().position(|pair| range(pair[k]).is_empty()) {
            return Err(Error::line(side, line + 1, "the line is empty: leave it out of both files"));
        }
    }
    Ok(([source, target].map(Arc::new), pairs, size, budget))
}

fn columns(path: &Path, columns: [usize; 2]) -> Result<Read> {
    let text = read_text(path)?;
    let mut budget = Budget::new(path, text.len());
    budget.take_all(text.len())?;
    let (mut pairs, mut read) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        read += line.len() + 1;
        if line.trim().is_empty() {
            continue;
        }
        let cell = |k: usize| {
            let cell = line.split('\t').nth(k).map(str::trim).filter(|cell| !cell.is_empty());
            cell.map(|cell| place(&text, cell)).ok_or_else(|| {
                let message = format!(
                    "there is no text in column {k} (the first is 0): separate columns with tabs, or set \
                     data.source_column and data.target_column"
                );
                Error::line(path, number, message)
            })
        };
        pairs.push([cell(columns[0])?, cell(columns[1])?]);
        budget.take(READ, read)?;
    }
    let (size, text) = (text.len(), Arc::new(text));
    Ok(([text.clone(), text], pairs, size, budget))
}

impl Source for Pairs {
    /// Pairs.
    type Part = Vec<usize>;
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        let (texts, pairs, size, budget) = match &config.languages {
            Some(languages) => two_files(path, languages)?,
            None => columns(path, [config.source_column.unwrap_or(0), config.target_column.unwrap_or(1)])?,
        };
        if pairs.is_empty() {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        let n_pieces = config.pieces.unwrap_or(DEFAULT_PIECES);
        Ok(Self {
            path: path.into(),
            texts,
            pairs,
            size,
            budget,
            n_pieces: [n_pieces, config.target_pieces.unwrap_or(n_pieces)],
            shared: config.share_pieces,
            steps: config.steps.unwrap_or(DEFAULT_STEPS),
            lowercase: config.lowercase,
        })
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        split::by_group(&self.path, &vec![(); self.pairs.len()], |()| "pairs", [valid, test], seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let texts = |sides: Range<usize>| {
            train.iter().flat_map(move |&k| sides.clone().map(move |side| self.text(k, side)))
        };
        let learn = |sides: Range<usize>, n_pieces: usize| {
            SubWords::train_within(texts(sides), n_pieces, self.lowercase, self.budget.left())
                .map_err(|e| Error::file(&self.path, e.to_string()))
        };
        let [input, target] = if self.shared {
            let both = learn(0..2, self.n_pieces[0])?;
            [both.clone(), both]
        } else {
            [learn(0..1, self.n_pieces[0])?, learn(1..2, self.n_pieces[1])?]
        };
        Ok(Schema { input: InputSchema::Text(input), target: TargetSchema::Text(target) })
    }

    fn samples(self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let (InputSchema::Text(input), TargetSchema::Text(target)) = (&schema.input, &schema.target) else {
            return Err(mismatch());
        };
        let ends = [input.pieces.len(), target.pieces.len()];
        let readers = [input.reader()?, target.reader()?];
        let n: usize = parts.iter().map(Vec::len).sum();
        // What sub-words were learnt of is gone.
        let (mut budget, mut done) = (Budget::new(&self.path, self.size), 0);
        budget.take_all(self.size + self.pairs.len() * size_of::<[Place; 2]>())?;
        budget.take_all(n * PAIR)?;
        each(parts, |part| {
            // The tokens of each side, one text after the other, and where each text ends.
            let mut tokens = ends.map(|end| Numbers::with_capacity(0, end));
            let mut places = Vec::with_capacity(part.len());
            for &k in &part {
                let mut place = [0; 2];
                for (side, reader) in readers.iter().enumerate() {
                    let text = reader.encode(self.text(k, side), self.steps);
                    budget.take_share(text.len() * Numbers::width(ends[side]), done + 1, n)?;
                    text.into_iter().for_each(|token| tokens[side].push(token));
                    place[side] = short(tokens[side].len());
                }
                places.push(place);
                done += 1;
            }
            let tokens = tokens.map(Arc::new);
            let mut start = [0; 2];
            let mut samples = Vec::with_capacity(part.len());
            for (&k, end) in part.iter().zip(places) {
                let [source, said] =
                    [0, 1].map(|side| Tokens::part(&tokens[side], start[side] as usize..end[side] as usize));
                let text = Excerpt::part(&self.texts[1], range(self.pairs[k][1]));
                samples.push(Sample {
                    input: SampleInput::Tokens(source),
                    target: SampleTarget::Text { tokens: said, text },
                });
                start = end;
            }
            Ok(samples)
        })
    }
}

impl Pairs {
    /// The text of one side of a pair.
    fn text(&self, pair: usize, side: usize) -> &str {
        &self.texts[side][range(self.pairs[pair][side])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{load, load_split};

    const MODE: IoMode = IoMode::EncoderDecoder;

    #[test]
    fn two_files_are_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let train = write("a.de.txt", "ein Hund läuft\nzwei Hunde laufen\n".repeat(20));
        write("a.en.txt", "a dog runs\ntwo dogs run\n".repeat(20));
        let languages = "languages = [\"de\", \"en\"]\nlowercase = true\npieces = 60";
        let table = config("pairs", Some(&train), languages);
        let data = load(&table, MODE, 0).unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [32, 4, 4]);
        data.check(MODE).unwrap();
        let (InputSchema::Text(input), TargetSchema::Text(target)) =
            (&data.schema.input, &data.schema.target)
        else {
            panic!()
        };
        let (input, target) = (input.reader().unwrap(), target.reader().unwrap());
        let mut texts: Vec<_> = data
            .train
            .iter()
            .map(|sample| {
                let (SampleInput::Tokens(x), SampleTarget::Text { tokens: y, .. }) =
                    (&sample.input, &sample.target)
                else {
                    panic!()
                };
                (input.decode(&x.to_vec()), target.decode(&y.to_vec()))
            })
            .collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts[0], ("ein hund läuft".into(), "a dog runs".into()));
        assert_eq!(load_split(&table, MODE, &data.schema, None, 0).unwrap(), data.test);
        let test = write("b.de.txt", "ein Hund\n".into());
        let other = || load_split(&table, MODE, &data.schema, Some(&test), 0);
        assert!(matches!(other(), Err(Error::Io { .. })));
        write("b.en.txt", "a dog\none more\n".into());
        assert_says(other(), &["b.en.txt", "2 lines", "has 1"]);
        write("b.en.txt", " \n".into());
        assert_says(other(), &["b.en.txt:1", "empty"]);
        write("b.en.txt", "a dog\n".into());
        assert_eq!(other().unwrap().len(), 1);
        let unnamed = write("c.txt", "x".into());
        assert_says(
            load_split(&table, MODE, &data.schema, Some(&unnamed), 0),
            &["no part `de`", "train.de.gz"],
        );
    }

    #[test]
    fn columns_are_read() {
        let text = "1\tA Title\tSome long text about it\n2\tAnother\tMore text about that\n".repeat(10);
        let train = file(&text);
        let table = |more: &str| config("pairs", Some(train.path()), more);
        let columns = "source_column = 2\ntarget_column = 1\nshare_pieces = true\npieces = 50\nsteps = 4";
        let data = load(&table(columns), MODE, 0).unwrap();
        let (InputSchema::Text(input), TargetSchema::Text(target)) =
            (&data.schema.input, &data.schema.target)
        else {
            panic!()
        };
        assert_eq!(input, target);
        assert!(data.train.iter().all(|sample| sample.input.steps() <= 5));
        let train: Vec<_> = data.train.iter().collect();
        let texts: Vec<&str> = train
            .iter()
            .map(|sample| match &sample.target {
                SampleTarget::Text { text, .. } => text.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(texts.contains(&"A Title"), "as it is, not cut: {texts:?}");
        assert_says(load(&table("target_column = 7"), MODE, 0), &[":1:", "no text in column 7"]);
        assert_says(load(&table("min_count = 2"), MODE, 0), &["data.min_count", "no effect"]);
        let both = "languages = [\"a\", \"b\"]\nsource_column = 1";
        assert_says(load(&table(both), MODE, 0), &["data.source_column", "languages"]);
    }
}
