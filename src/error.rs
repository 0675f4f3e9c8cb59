//! The one error type of the library: what was expected, what was found, where, and what to do.

use std::path::{Path, PathBuf};

/// Characters of an error that are shown.
const MOST_SHOWN: usize = 2000;

/// Everything that can go wrong with what came from a file, a flag or a user.
///
/// A shape that the programmer got wrong is a panic, not an `Error`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file as a whole is not what it should be.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it and what to do.
        message: String,
    },
    /// A line of a file is not what it should be.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it and what to do.
        message: String,
    },
    /// A configuration that cannot be: the key and why.
    #[error("`{key}`: {message}")]
    Config {
        /// The key, as in `--set`: `model.d_hidden`.
        key: String,
        /// Why it cannot be and what to write instead.
        message: String,
    },
    /// Input to a model that does not fit it.
    #[error("{0}")]
    Input(String),
    /// A backend or device that is not there.
    #[error("{0}")]
    Backend(String),
    /// A training run that cannot go on.
    #[error("{0}")]
    Training(String),
}

/// What to do about it, where that is plain.
fn advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => {
            "; check the path, which starts at the folder that the program runs in"
        }
        std::io::ErrorKind::PermissionDenied => "; check who may read and write it",
        std::io::ErrorKind::IsADirectory => "; name a file",
        std::io::ErrorKind::NotADirectory => "; name a folder",
        std::io::ErrorKind::StorageFull => "; make room on the disk",
        _ => "",
    }
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Io`] at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().into(), source }
    }

    /// An [`Error::File`] at `path`.
    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().into(), message: message.into() }
    }

    /// An [`Error::Line`] at `path`, `line` counted from 1.
    pub fn line(path: impl AsRef<Path>, line: usize, message: impl Into<String>) -> Self {
        Self::Line { path: path.as_ref().into(), line, message: message.into() }
    }

    /// An [`Error::Config`] at `key`.
    pub fn config(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { key: key.into(), message: message.into() }
    }

    /// What a person sees of it: one line, and not a file's whole text.
    pub(crate) fn shown(&self) -> String {
        let mut line = one_line(&self.to_string().replace('\n', " "));
        if let Some((end, _)) = line.char_indices().nth(MOST_SHOWN) {
            line.truncate(end);
            line.push('…');
        }
        line
    }
}

/// `text` with control characters escaped: what a file says stays on its line, and never commands a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_line_that_ends() {
        let shown = |message: &str| Error::Input(message.into()).shown();
        assert_eq!(shown("a\nb\tc \u{1b}[2J\u{9b}é\0"), "a b\\tc \\u{1b}[2J\\u{9b}é\\u{0}");
        assert_eq!(shown(&"é".repeat(MOST_SHOWN)), "é".repeat(MOST_SHOWN));
        assert_eq!(shown(&"é".repeat(MOST_SHOWN + 1)), "é".repeat(MOST_SHOWN) + "…");
        // Escapes count as they are shown.
        assert_eq!(shown(&"\0".repeat(MOST_SHOWN)).chars().count(), MOST_SHOWN + 1);
    }
}
