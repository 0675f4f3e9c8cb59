//! Files read with a limit, and written whole or not at all.

use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use tempfile::TempDir;

/// The bytes of a file of at most `most` of them.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let io = |e| Error::io(path, e);
    let too_large =
        || Error::file(path, format!("is larger than {}, the most that is read: cut it down", limit(most)));
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length > most {
        return Err(too_large());
    }
    // One more, or the end would not be seen without growing. What is no regular file says that it has no length, hence
    // the second limit.
    let mut bytes = Vec::new();
    let room = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
    bytes.try_reserve_exact(room).map_err(|_| too_large())?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// The text of a file; a byte order mark is dropped.
pub fn read_utf8(path: &Path, most: u64) -> Result<String> {
    utf8(path, read_bytes(path, most)?)
}

/// Bytes that so many packed ones may become, at most `most`: text becomes five times as much, a file that is made to
/// fill the memory a thousand times.
pub fn unpacked_limit(packed: u64, most: u64) -> u64 {
    packed.saturating_mul(32).saturating_add(64 << 20).min(most)
}

/// What to say of a file that unpacks to more than [`unpacked_limit`] lets it.
pub fn unpacks_to_too_much(path: &Path, packed: u64, most: u64) -> Error {
    let message = if unpacked_limit(packed, most) == most {
        format!("unpacks to more than {}, the most that is read: cut it down", limit(most))
    } else {
        "unpacks to more than 32 times its size and 64 MiB, which is no packed data: unpack it first".into()
    };
    Error::file(path, message)
}

/// What the gzip file `path`, whose bytes are `packed`, holds: at most `most` bytes, see [`unpacked_limit`].
pub fn unpack(path: &Path, packed: &[u8], most: u64) -> Result<Vec<u8>> {
    let n_packed = packed.len() as u64;
    let allowed = unpacked_limit(n_packed, most);
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed).take(allowed + 1).read_to_end(&mut bytes).map_err(|e| {
        let message =
            format!("cannot be unpacked ({e}): pack it again with gzip, or leave `.gz` off its name");
        Error::file(path, message)
    })?;
    if bytes.len() as u64 > allowed {
        return Err(unpacks_to_too_much(path, n_packed, most));
    }
    Ok(bytes)
}

/// The text that the bytes of a file are; a byte order mark is dropped.
pub fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let offset = e.utf8_error().valid_up_to();
        let message = format!("not UTF-8 at byte {offset} of the file: save it as UTF-8 text");
        Error::line(path, line_at(e.as_bytes(), offset), message)
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// A limit, in the largest unit that it is a whole number of.
fn limit(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

/// The line of byte `at`, from 1; the end of the text is on its last line.
pub fn line_at(text: &[u8], at: usize) -> usize {
    let before = at.min(text.len().saturating_sub(1));
    1 + text[..before].iter().filter(|b| **b == b'\n').count()
}

/// Writes a file so that it is there whole, or as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
    let io = |e| Error::io(path, e);
    let mut builder = tempfile::Builder::new();
    builder.prefix(DRAFT);
    #[cfg(unix)]
    {
        // Readable by others as far as the user's mask lets it, like any file.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    if !parent.is_dir() {
        return Err(Error::file(path, "its folder does not exist: make it first"));
    }
    let mut draft = builder.tempfile_in(parent).map_err(io)?;
    draft.write_all(bytes).map_err(io)?;
    draft.as_file().sync_all().map_err(io)?;
    draft.persist(path).map_err(|e| io(e.error))?;
    sync_folder(parent)
}

/// Refuses a folder that is there: nothing is overwritten.
pub fn check_free(folder: &Path) -> Result<()> {
    if folder.exists() {
        return Err(Error::file(folder, "exists already, and nothing is overwritten: name another folder"));
    }
    Ok(())
}

/// How the name of a file or folder begins that is not written whole yet.
pub const DRAFT: &str = ".draft-";

/// A folder that was not there before: it appears whole when it is finished, or not at all.
pub struct FolderDraft<'a> {
    folder: &'a Path,
    parent: &'a Path,
    draft: TempDir,
    digests: BTreeMap<String, String>,
}

impl<'a> FolderDraft<'a> {
    /// The draft of `folder`, beside it.
    pub fn new(folder: &'a Path) -> Result<Self> {
        check_free(folder)?;
        let parent = match folder.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if parent.is_file() {
            return Err(Error::file(parent, "is a file, and no folder to write into: name another folder"));
        }
        fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        let draft =
            tempfile::Builder::new().prefix(DRAFT).tempdir_in(parent).map_err(|e| Error::io(parent, e))?;
        Ok(Self { folder, parent, draft, digests: BTreeMap::new() })
    }

    /// Writes a file of `bytes`.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write_by(name, |out| out.write_all(bytes).map_err(|e| e.to_string()))
    }

    /// Writes a file piece by piece. What is wrong other than with the writing is `content`'s error.
    pub fn write_by(
        &mut self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> Result<(), String>,
    ) -> Result<()> {
        let path = self.folder.join(name);
        let io = |e| Error::io(&path, e);
        let file = File::create_new(self.draft.path().join(name)).map_err(io)?;
        let mut out = BufWriter::new(Digesting { file, digest: Sha256::new(), failed: None });
        let written = content(&mut out);
        if let Some(e) = out.get_mut().failed.take() {
            return Err(io(e));
        }
        written
            .map_err(|message| Error::Input(format!("{} cannot be written: {message}", path.display())))?;
        let out = out.into_inner().map_err(|e| io(e.into_error()))?;
        out.file.sync_all().map_err(io)?;
        self.digests.insert(name.into(), format!("{:x}", out.digest.finalize()));
        Ok(())
    }

    /// SHA-256 of each file that was written, in hexadecimal.
    pub fn digests(&self) -> &BTreeMap<String, String> {
        &self.digests
    }

    /// Puts the folder in its place.
    pub fn finish(self) -> Result<()> {
        let draft = self.draft.keep();
        // Its entries first: a folder that appears is whole.
        sync_folder(&draft)
            .and_then(|()| fs::rename(&draft, self.folder).map_err(|e| Error::io(self.folder, e)))
            .inspect_err(|_| {
                fs::remove_dir_all(&draft).ok();
            })?;
        sync_folder(self.parent)
    }
}

/// Takes the digest of what is written, and keeps the system's error: not every format's writer hands it on.
struct Digesting {
    file: File,
    digest: Sha256,
    failed: Option<io::Error>,
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        match &written {
            Ok(n) => self.digest.update(&bytes[..*n]),
            // It is tried again.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                self.failed = Some(e.raw_os_error().map_or(e.kind().into(), io::Error::from_raw_os_error))
            }
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps other processes out of a run or a sweep, a folder with a `config.toml`, while the file is open; `busy` is what
/// they are told.
pub fn lock(folder: &Path, busy: &str) -> Result<File> {
    let path = folder.join("config.toml");
    let file = File::open(&path).map_err(|e| Error::io(&path, e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::file(folder, busy)),
        // Some file systems have no locks.
        _ => Ok(file),
    }
}

/// Puts a folder's entries on disk.
pub fn sync_folder(folder: &Path) -> Result<()> {
    // Only Unix lets a folder be opened and synced.
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io(folder, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_in_whole_units() {
        for (bytes, says) in
            [(16 << 30, "16 GiB"), (64 << 20, "64 MiB"), (3 << 19, "1536 KiB"), (1001, "1001 bytes")]
        {
            assert_eq!(limit(bytes), says);
        }
    }

    #[test]
    fn a_file_that_is_packed_to_fill_the_memory_is_refused() {
        use flate2::{Compression, write::GzEncoder};
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        std::io::copy(&mut std::io::repeat(7).take(70 << 20), &mut packed).unwrap();
        let packed = packed.finish().unwrap();
        let error = unpack(Path::new("a.gz"), &packed, 1 << 30).unwrap_err().to_string();
        assert!(error.contains("32 times its size and 64 MiB"), "{error}");
        assert_eq!(unpacked_limit(1 << 20, 1 << 30), 96 << 20);
        assert_eq!(unpacked_limit(u64::MAX, 1 << 30), 1 << 30);
    }

    #[test]
    fn lines_are_counted_from_1_and_the_end_is_on_the_last() {
        for (text, at, line) in
            [("", 0, 1), ("a\nb\n", 1, 1), ("a\nb\n", 2, 2), ("a\nb\n", 4, 2), ("a", 9, 1)]
        {
            assert_eq!(line_at(text.as_bytes(), at), line, "{text:?} {at}");
        }
    }
}
