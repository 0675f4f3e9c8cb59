//! Pairs of texts, one to read and one to write: translations, titles.
//!
//! Either the lines of two files: of `train.de.gz` and `train.en.gz` with `languages = ["de", "en"]`; or two columns of
//! one file with tabs between them, `source_column` and `target_column`.

use super::sample::{InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema};
use super::sub_words::SubWords;
use super::{Source, mismatch, read_text, split};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Pieces of a vocabulary where the configuration is silent.
pub(super) const DEFAULT_PIECES: usize = 8000;

/// Pieces that a text is read or written in at most, where the configuration is silent.
pub const DEFAULT_STEPS: usize = 1000;

/// A file of pairs, or two.
pub(super) struct Pairs {
    path: PathBuf,
    pairs: Vec<[String; 2]>,
    n_pieces: [usize; 2],
    shared: bool,
    steps: usize,
    lowercase: bool,
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

fn two_files(path: &Path, languages: &[String; 2]) -> Result<Vec<[String; 2]>> {
    let other = other_language(path, languages)?;
    let (source, target) = (read_text(path)?, read_text(&other)?);
    let (n, m) = (source.lines().count(), target.lines().count());
    if n != m {
        let message =
            format!("has {m} lines, {} has {n}: line by line they must say the same", path.display());
        return Err(Error::file(other, message));
    }
    let lines = source.lines().zip(target.lines()).map(|(s, t)| [s, t].map(|l| l.trim().to_string()));
    let pairs: Vec<_> = lines.collect();
    for (k, side) in [(0, path), (1, other.as_path())] {
        if let Some(line) = pairs.iter().position(|pair| pair[k].is_empty()) {
            return Err(Error::line(side, line + 1, "the line is empty: leave it out of both files"));
        }
    }
    Ok(pairs)
}

fn columns(path: &Path, columns: [usize; 2]) -> Result<Vec<[String; 2]>> {
    let text = read_text(path)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
            let cell = |k: usize| {
                cells.get(k).filter(|cell| !cell.is_empty()).map(|cell| cell.to_string()).ok_or_else(|| {
                    let message = format!(
                        "there is no text in column {k} (the first is 0): separate columns with tabs, or set \
                         data.source_column and data.target_column"
                    );
                    Error::line(path, number, message)
                })
            };
            Ok([cell(columns[0])?, cell(columns[1])?])
        })
        .collect()
}

impl Source for Pairs {
    /// Pairs.
    type Part = Vec<usize>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        let pairs = match &config.languages {
            Some(languages) => two_files(path, languages)?,
            None => columns(path, [config.source_column.unwrap_or(0), config.target_column.unwrap_or(1)])?,
        };
        if pairs.is_empty() {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        let n_pieces = config.pieces.unwrap_or(DEFAULT_PIECES);
        Ok(Self {
            path: path.into(),
            pairs,
            n_pieces: [n_pieces, config.target_pieces.unwrap_or(n_pieces)],
            shared: config.share_pieces,
            steps: config.steps.unwrap_or(DEFAULT_STEPS),
            lowercase: config.lowercase,
        })
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        split::by_class(&self.path, &vec!["pairs"; self.pairs.len()], valid, test, seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let texts = |sides: std::ops::Range<usize>| {
            let pairs = train.iter().map(|&k| &self.pairs[k]);
            pairs.flat_map(move |pair| pair[sides.clone()].iter().map(String::as_str))
        };
        let [input, target] = if self.shared {
            let both = SubWords::train(texts(0..2), self.n_pieces[0], self.lowercase)?;
            [both.clone(), both]
        } else {
            [
                SubWords::train(texts(0..1), self.n_pieces[0], self.lowercase)?,
                SubWords::train(texts(1..2), self.n_pieces[1], self.lowercase)?,
            ]
        };
        Ok(Schema { input: InputSchema::Text(input), target: TargetSchema::Text(target) })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let (InputSchema::Text(input), TargetSchema::Text(target)) = (&schema.input, &schema.target) else {
            return Err(mismatch());
        };
        let (input, target) = (input.reader()?, target.reader()?);
        let sample = |[source, text]: &[String; 2]| Sample {
            input: SampleInput::Tokens(input.encode(source, self.steps)),
            target: SampleTarget::Text { tokens: target.encode(text, self.steps), text: text.clone() },
        };
        Ok(part.iter().map(|&k| sample(&self.pairs[k])).collect())
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
                (input.decode(x), target.decode(y))
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
        let texts: Vec<&str> = data
            .train
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
