//! Wav files: a clip of sound, and its class, with which its name begins.
//!
//! A split is a folder of `.wav` files, or a `.tar.gz` of them; other files in it are passed over. What stands in a
//! clip's name before the first `_` is its label: `7_anna_1.wav` is a `7`. Integer samples of 8, 16, 24 and 32 bits and
//! floating point ones of 32 are read; several channels are mixed down to one. Inputs are log-mel energies, see
//! [`DataConfig::mels`].

use super::mel::LogMel;
use super::memory::Budget;
use super::{Classes, MAX_BYTES, MAX_VALUES, collected, each, input_features, mismatch, split};
use super::{Features, InputSchema, Sample, SampleInput, SampleTarget, Schema, Source, TargetSchema};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use crate::file::{read_bytes, unpacked_limit, unpacks_to_too_much};
use flate2::read::MultiGzDecoder;
use hound::{SampleFormat, WavReader};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Bytes of the longest clip.
const MAX_CLIP: u64 = 64 << 20;

/// Samples a second at most; a header that has more is damaged.
const MAX_RATE: u32 = 1_000_000;

/// Bytes of a clip that is kept, but for its names and values: its sample, its label, its number in a part, and what the
/// allocator keeps beside each.
const CLIP: usize = size_of::<Clip>() + size_of::<Sample>() + size_of::<String>() + 256;

/// A folder or an archive of clips.
pub(super) struct Audio {
    path: PathBuf,
    clips: Vec<Clip>,
    /// The label of each clip.
    labels: Vec<String>,
    standardize: bool,
}

/// A clip's features, not yet standardised.
struct Clip {
    path: PathBuf,
    name: String,
    input: Features,
}

/// A file not yet looked into.
struct WavFile {
    /// What errors call it.
    path: PathBuf,
    /// What it is called where it lies.
    name: String,
    bytes: Vec<u8>,
}

/// Whether `path` is a folder, or an archive by its name, and not one clip.
pub fn is_collection(path: &Path) -> bool {
    path.is_dir() || is_archive(path)
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

/// Whether a file of a folder or an archive is a clip; files with a dot before their name are notes of some system.
fn is_clip(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".wav") && !name.starts_with('.')
}

/// Samples a second of all clips of `config`: where it does not say, those of the first training clip.
pub(super) fn sample_rate(config: &DataConfig) -> Result<usize> {
    if let Some(rate) = config.sample_rate {
        return Ok(rate);
    }
    let (train, mut rate) = (config.train_file()?, None);
    visit(train, |file| {
        rate = Some(file.reader()?.spec().sample_rate as usize);
        Ok(ControlFlow::Break(()))
    })?;
    rate.ok_or_else(|| no_clip(train))
}

/// A clip's file, as a model with such data and inputs reads it.
///
/// # Errors
/// What is no wav file, a clip of another sample rate or without a sample; a model that does not read clips.
pub fn read_clip(path: &Path, config: &DataConfig, input: &InputSchema) -> Result<Features> {
    let rate = sample_rate(config)?;
    let file = WavFile::read(path)?;
    let most = left(path, file.bytes.len(), file.bytes.len());
    let clip = file.clip(&LogMel::new(config, rate)?, rate, most)?;
    standardized(clip.input, input)
}

/// All clips of a folder or an archive with their names, sorted by them, as [`read_clip`] reads one. No label is needed.
///
/// # Errors
/// Those of [`read_clip`]; and where there is no clip, or the archive is damaged.
pub fn read_clips(path: &Path, config: &DataConfig, input: &InputSchema) -> Result<Vec<(String, Features)>> {
    clips(path, config)?.into_iter().map(|clip| Ok((clip.name, standardized(clip.input, input)?))).collect()
}

fn standardized(features: Features, input: &InputSchema) -> Result<Features> {
    let (channels, scales) = input_features(input)?;
    if features.channels != channels {
        return Err(mismatch());
    }
    let mut data = features.data.into_vec();
    split::standardize(&mut data, scales);
    Ok(Features { data: data.into(), channels })
}

/// Bytes that are left for features, where clips of `size` bytes have been read and `taken` is in memory.
fn left(path: &Path, size: usize, taken: usize) -> usize {
    Budget::new(path, size).left().saturating_sub(taken)
}

/// The clips of a folder or an archive, or of a file the only one, sorted by name.
fn clips(path: &Path, config: &DataConfig) -> Result<Vec<Clip>> {
    let rate = sample_rate(config)?;
    let log_mel = LogMel::new(config, rate)?;
    let (mut clips, mut n_values) = (Vec::new(), 0);
    // Bytes of the files so far, and of their clips but for the features.
    let (mut size, mut kept) = (0, 0);
    visit(path, |file| {
        size += file.bytes.len();
        kept += CLIP + 2 * (file.path.as_os_str().len() + file.name.len());
        let most = left(path, size, kept + n_values * size_of::<f32>() + file.bytes.len());
        let clip = file.clip(&log_mel, rate, most)?;
        n_values += clip.input.data.len();
        if n_values > MAX_VALUES {
            return Err(Error::file(
                path,
                "has more sound than is read: take fewer clips, or raise `data.hop_ms`",
            ));
        }
        clips.push(clip);
        Ok(ControlFlow::Continue(()))
    })?;
    if clips.is_empty() {
        return Err(no_clip(path));
    }
    // A folder and its archive give the same order, and with it the same validation clips.
    clips.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    Ok(clips)
}

fn no_clip(path: &Path) -> Error {
    Error::file(path, "has no .wav file: name a folder of them, or a .tar.gz")
}

/// Hands over the clips of `path` one by one, until `take` has enough.
fn visit(path: &Path, mut take: impl FnMut(WavFile) -> Result<ControlFlow<()>>) -> Result<()> {
    if path.is_dir() {
        visit_folder(path, take)
    } else if is_archive(path) {
        visit_archive(path, MAX_BYTES, take)
    } else {
        take(WavFile::read(path)?).map(|_| ())
    }
}

fn visit_folder(path: &Path, mut take: impl FnMut(WavFile) -> Result<ControlFlow<()>>) -> Result<()> {
    let io = |e| Error::io(path, e);
    let entries = fs::read_dir(path).map_err(io)?;
    let mut files = entries.map(|entry| Ok(entry.map_err(io)?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.file_name().is_some_and(|name| is_clip(&name.to_string_lossy())));
    files.sort();
    for file in files {
        if take(WavFile::read(&file)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn visit_archive(
    path: &Path,
    most: u64,
    mut take: impl FnMut(WavFile) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let packed = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let mut unpacked = MultiGzDecoder::new(BufReader::new(file)).take(unpacked_limit(packed, most));
    let end = visit_members(path, &mut unpacked, &mut take).and_then(|flow| match flow {
        ControlFlow::Break(()) => Ok(()),
        // The archive's end is not the file's: there stands whether it came through whole.
        ControlFlow::Continue(()) => {
            io::copy(&mut unpacked, &mut io::sink()).map(|_| ()).map_err(|e| damaged(path, e))
        }
    });
    if unpacked.limit() == 0 {
        return Err(unpacks_to_too_much(path, packed, most));
    }
    end
}

fn visit_members(
    path: &Path,
    unpacked: &mut impl Read,
    take: &mut impl FnMut(WavFile) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let io = |e| damaged(path, e);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().map_err(io)? {
        let mut entry = entry.map_err(io)?;
        let member = entry.path().map_err(io)?.into_owned();
        let Some(name) = member.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        if !entry.header().entry_type().is_file() || !is_clip(&name) {
            continue;
        }
        let called = PathBuf::from(format!("{}:{}", path.display(), member.display()));
        let mut bytes = Vec::new();
        (&mut entry).take(MAX_CLIP + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_CLIP {
            return Err(Error::file(
                called,
                "is larger than 64 MiB, the most that is read: cut it into clips",
            ));
        }
        if take(WavFile { path: called, name, bytes })?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn damaged(path: &Path, error: io::Error) -> Error {
    Error::file(path, format!("is not a whole .tar.gz ({error}): pack or copy it again"))
}

impl WavFile {
    fn read(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path: path.into(), name, bytes: read_bytes(path, MAX_CLIP)? })
    }

    fn reader(&self) -> Result<WavReader<&[u8]>> {
        let reader = WavReader::new(self.bytes.as_slice()).map_err(|e| self.not_read(&e))?;
        match reader.spec().sample_rate {
            1..=MAX_RATE => Ok(reader),
            rate => {
                Err(Error::file(&self.path, format!("says that its sample rate is {rate}: it is damaged")))
            }
        }
    }

    fn not_read(&self, error: &hound::Error) -> Error {
        Error::file(&self.path, not_read(error))
    }

    /// The features of its sound, of `most` bytes at most; it has to be of `rate` samples a second.
    fn features(&self, log_mel: &LogMel, rate: usize, most: usize) -> Result<Features> {
        let refuse = |message: String| Err(Error::file(&self.path, message));
        let reader = self.reader()?;
        let spec = reader.spec();
        if spec.sample_rate as usize != rate {
            return refuse(format!(
                "has {} samples a second, the others {rate}: resample it to {rate} Hz",
                spec.sample_rate
            ));
        }
        // What the header says is no more than what is there: memory is given by it.
        let n_bytes = u64::from(reader.len()) * u64::from(spec.bits_per_sample.div_ceil(8));
        if n_bytes > self.bytes.len() as u64 {
            return Err(self.not_read(&hound::Error::IoError(io::ErrorKind::UnexpectedEof.into())));
        }
        let n = reader.duration() as usize;
        if n == 0 {
            return refuse("has no sample: leave it out".into());
        }
        let bytes = log_mel.bytes(n);
        if bytes > most {
            return refuse(format!(
                "its features would take {} MiB of memory, and of four times the size of the clips and 64 MiB {} MiB \
                 are left: raise `data.hop_ms`, lower `data.mels`, or take fewer clips",
                bytes.div_ceil(1 << 20),
                most >> 20
            ));
        }
        let full = f64::from(spec.bits_per_sample.saturating_sub(1)).exp2();
        let channels = usize::from(spec.channels);
        let features = match spec.sample_format {
            SampleFormat::Float => {
                let samples = reader.into_samples::<f32>().map(|x| x.map(f64::from));
                log_mel.features(n, mixed(samples, channels))
            }
            SampleFormat::Int => {
                let samples = reader.into_samples::<i32>().map(|x| x.map(|x| f64::from(x) / full));
                log_mel.features(n, mixed(samples, channels))
            }
        };
        features.or_else(refuse)
    }

    fn clip(self, log_mel: &LogMel, rate: usize, most: usize) -> Result<Clip> {
        let input = self.features(log_mel, rate, most)?;
        Ok(Clip { path: self.path, name: self.name, input })
    }
}

fn not_read(error: &hound::Error) -> String {
    let why = match error {
        hound::Error::IoError(_) => "it ends too early".into(),
        hound::Error::Unsupported | hound::Error::TooWide => "its samples are of a kind not read".into(),
        hound::Error::FormatError(why) => (*why).into(),
        other => other.to_string(),
    };
    let advice = "give a .wav file of 8, 16, 24 or 32 bit integers or 32 bit floats";
    format!("is not a wav file that can be read, {why}: {advice}")
}

/// One channel of sound, between -1 and 1, of `channels` whose samples follow each other.
fn mixed(
    mut samples: impl Iterator<Item = hound::Result<f64>>,
    channels: usize,
) -> impl Iterator<Item = Result<f64, String>> {
    let mut number = 0;
    std::iter::from_fn(move || {
        let mut sum = 0.0;
        for _ in 0..channels {
            number += 1;
            match samples.next()? {
                Ok(x) if x.is_finite() => sum += x,
                Ok(x) => {
                    let message = format!("has a sample that is {x}, number {number}: record it again");
                    return Some(Err(message));
                }
                Err(e) => return Some(Err(not_read(&e))),
            }
        }
        Some(Ok(sum / channels as f64))
    })
}

impl Clip {
    /// What its name begins with, up to the first `_`.
    fn label(&self) -> Result<String> {
        match self.name.split_once('_') {
            Some((label, _)) if !label.is_empty() => Ok(label.into()),
            _ => Err(Error::file(
                &self.path,
                "its name has no label: begin it with the label and a `_`, as in 7_anna_1.wav",
            )),
        }
    }
}

impl Source for Audio {
    /// Clips.
    type Part = Vec<usize>;
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, _: Option<&Schema>) -> Result<Self> {
        let clips = clips(path, config)?;
        let labels = clips.iter().map(Clip::label).collect::<Result<_>>()?;
        Ok(Self { path: path.into(), clips, labels, standardize: config.standardize })
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        split::by_class(&self.path, &labels, valid, test, seed)
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let channels = self.clips[0].input.channels;
        let inputs = train.iter().map(|i| self.clips[*i].input.data.as_slice());
        let scales = if self.standardize { split::scales(inputs, channels) } else { Vec::new() };
        let labels: BTreeSet<&String> = self.labels.iter().collect();
        Ok(Schema {
            input: InputSchema::Features { channels, scales, names: Vec::new() },
            target: TargetSchema::Class { labels: labels.into_iter().cloned().collect() },
        })
    }

    fn samples(mut self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let TargetSchema::Class { labels } = &schema.target else {
            return Err(mismatch());
        };
        let classes = Classes::new(labels);
        let mut sample = |i: usize| {
            let clip = &mut self.clips[i];
            let class = classes.of(&self.labels[i]).map_err(|e| Error::file(&clip.path, e))?;
            let input = standardized(std::mem::take(&mut clip.input), &schema.input)?;
            Ok(Sample { input: SampleInput::Features(input), target: SampleTarget::Class(class) })
        };
        each(parts, |part| collected(part, &mut sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config};
    use crate::data::{Dataset, load, load_split, resolve};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hound::{WavSpec, WavWriter};
    use std::f64::consts::TAU;
    use tempfile::TempDir;

    const MODE: IoMode = IoMode::ManyToOne;

    /// The bytes of a wav file of `frames`, each as many values of -1 to 1 as there are channels.
    fn wav<const C: usize>(
        rate: u32,
        bits: u16,
        sample_format: SampleFormat,
        frames: &[[f64; C]],
    ) -> Vec<u8> {
        let spec = WavSpec { channels: C as u16, sample_rate: rate, bits_per_sample: bits, sample_format };
        let mut bytes = io::Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for value in frames.iter().flatten() {
            match sample_format {
                SampleFormat::Float => writer.write_sample(*value as f32).unwrap(),
                SampleFormat::Int => {
                    writer.write_sample((value * f64::from(bits - 1).exp2()) as i32).unwrap();
                }
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    /// `n` samples of a tone of `hertz` at 8 kHz; their values are multiples of 1/128, which 8 bits hold.
    fn tone(hertz: f64, n: usize) -> Vec<[f64; 1]> {
        (0..n).map(|k| [(100.0 * (TAU * hertz * k as f64 / 8000.0).sin()).round() / 128.0]).collect()
    }

    fn clip(hertz: f64, n: usize) -> Vec<u8> {
        wav(8000, 16, SampleFormat::Int, &tone(hertz, n))
    }

    /// Low and high tones, ten of each, and files that are no clips.
    fn clips() -> Vec<(String, Vec<u8>)> {
        let clip = |k: usize| {
            let (label, hertz) = if k.is_multiple_of(2) { ("low", 300.0) } else { ("high", 2000.0) };
            (format!("{label}_{k:02}.wav"), clip(hertz + 10.0 * k as f64, 300 + 20 * k))
        };
        let others = [("README_1.txt", "no sound"), ("._low_1.wav", "a note")];
        let others = others.map(|(name, text)| (name.to_string(), text.as_bytes().to_vec()));
        (0..20).map(clip).chain(others).collect()
    }

    fn folder(files: &[(String, Vec<u8>)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    /// A folder with one clip.
    fn one(name: &str, bytes: Vec<u8>) -> TempDir {
        folder(&[(name.to_string(), bytes)])
    }

    fn tar_gz<'a>(files: impl IntoIterator<Item = &'a (String, Vec<u8>)>) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, Path::new("recordings").join(name), bytes.as_slice()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn archive(bytes: Vec<u8>) -> (TempDir, PathBuf) {
        let folder = one("clips.tar.gz", bytes);
        let path = folder.path().join("clips.tar.gz");
        (folder, path)
    }

    fn loaded(path: &Path, more: &str) -> Result<Dataset> {
        load(&config("wav", Some(path), more), MODE, 1)
    }

    /// That training on a folder with this one clip is refused.
    #[track_caller]
    fn refused(name: &str, bytes: Vec<u8>, says: &[&str]) {
        assert_says(loaded(one(name, bytes).path(), "sample_rate = 8000"), &[&[name], says].concat());
    }

    fn features(bytes: Vec<u8>) -> Result<Features> {
        let config = config("wav", None, "sample_rate = 8000");
        let input = InputSchema::Features { channels: 40, scales: Vec::new(), names: Vec::new() };
        read_clip(&one("a.wav", bytes).path().join("a.wav"), &config, &input)
    }

    #[test]
    fn folder_is_split_by_class_and_standardised() {
        let folder = folder(&clips());
        let Dataset { train, valid, test, schema } = loaded(folder.path(), "").unwrap();
        assert_eq!([train.len(), valid.len(), test.len()], [16, 2, 2]);
        let labels = vec!["high".to_string(), "low".to_string()];
        assert_eq!(schema.target, TargetSchema::Class { labels });
        for part in [&train, &valid, &test] {
            let of_high = part.iter().filter(|s| s.target == SampleTarget::Class(0)).count();
            assert_eq!(2 * of_high, part.len());
        }
        let train: Vec<_> = train.iter().collect();
        let values: Vec<&[f32]> = train
            .iter()
            .map(|s| match &s.input {
                SampleInput::Features(f) => f.data.as_slice(),
                _ => panic!("no features"),
            })
            .collect();
        let scales = split::scales(values.into_iter(), 40);
        assert!(scales.iter().all(|s| s.mean.abs() < 1e-4 && (s.std - 1.0).abs() < 1e-4), "{scales:?}");
        let raw = loaded(folder.path(), "standardize = false").unwrap();
        assert!(matches!(raw.schema.input, InputSchema::Features { scales, .. } if scales.is_empty()));
    }

    #[test]
    fn archive_is_as_its_folder() {
        let clips = clips();
        // Packed in another order.
        let (_keep, path) = archive(tar_gz(clips.iter().rev()));
        assert_eq!(loaded(&path, "").unwrap(), loaded(folder(&clips).path(), "").unwrap());
    }

    #[test]
    fn kinds_of_samples_are_read_alike() {
        let frames = tone(440.0, 500);
        let of = |bits, format| features(wav(8000, bits, format, &frames)).unwrap();
        let expected = of(32, SampleFormat::Float);
        assert_eq!(expected.steps(), 5);
        for bits in [8, 16, 24, 32] {
            assert_eq!(of(bits, SampleFormat::Int), expected, "{bits} bits");
        }
    }

    #[test]
    fn channels_are_mixed_down() {
        let frames = tone(440.0, 500);
        let stereo: Vec<[f64; 2]> = frames.iter().map(|[x]| [x * 0.5, x * 1.5 - 0.25]).collect();
        let mono: Vec<[f64; 1]> = frames.iter().map(|[x]| [x - 0.125]).collect();
        let of_stereo = features(wav(8000, 32, SampleFormat::Float, &stereo)).unwrap();
        assert_eq!(of_stereo, features(wav(8000, 32, SampleFormat::Float, &mono)).unwrap());
    }

    #[test]
    fn clips_are_read_as_load_reads_them() {
        let all = folder(&clips());
        let config = config("wav", Some(all.path()), "valid_fraction = 0.5\ntest_fraction = 0.0");
        let data = load(&config, MODE, 1).unwrap();
        let clips = read_clips(all.path(), &config, &data.schema.input).unwrap();
        assert_eq!((clips.len(), clips[0].0.as_str()), (20, "high_01.wav"));
        for sample in data.train.iter().chain(&data.valid) {
            assert!(clips.iter().any(|(_, clip)| sample.input == SampleInput::Features(clip.clone())));
        }
        let one = read_clip(&all.path().join("high_01.wav"), &config, &data.schema.input).unwrap();
        assert_eq!(one, clips[0].1);
        let narrow = InputSchema::Features { channels: 13, scales: Vec::new(), names: Vec::new() };
        assert_says(read_clips(all.path(), &config, &narrow), &["another kind"]);
    }

    #[test]
    fn clips_to_predict_need_no_label() {
        let folder = one("unknown.WAV", clip(440.0, 500));
        let config = config("wav", None, "sample_rate = 8000");
        let input = InputSchema::Features { channels: 40, scales: Vec::new(), names: Vec::new() };
        assert_eq!(read_clips(folder.path(), &config, &input).unwrap()[0].0, "unknown.WAV");
    }

    #[test]
    fn sample_rate_is_kept_for_other_files() {
        let train = folder(&clips());
        let mut config = config("wav", Some(train.path()), "");
        let data = load(&config, MODE, 1).unwrap();
        resolve(&mut config).unwrap();
        assert_eq!(config.sample_rate, Some(8000));
        drop(train);
        let test = one("low_1.wav", wav(16_000, 16, SampleFormat::Int, &tone(440.0, 500)));
        let result = load_split(&config, MODE, &data.schema, Some(test.path()), 1);
        assert_says(result, &["low_1.wav: has 16000 samples a second", "resample it to 8000 Hz"]);
        let test = one("low_1.wav", clip(300.0, 300));
        assert_eq!(load_split(&config, MODE, &data.schema, Some(test.path()), 1).unwrap().len(), 1);
    }

    #[test]
    fn another_rate_among_the_clips_is_refused() {
        let mut clips = clips();
        clips.push(("low_99.wav".into(), wav(44_100, 16, SampleFormat::Int, &tone(440.0, 500))));
        assert_says(loaded(folder(&clips).path(), ""), &["low_99.wav", "44100", "8000 Hz"]);
        let says = ["low_99.wav", "the others 44100", "resample it to 44100 Hz"];
        let result = loaded(one("low_99.wav", clip(440.0, 500)).path(), "sample_rate = 44100");
        assert_says(result, &says);
    }

    #[test]
    fn what_is_no_wav_file_is_refused() {
        refused("a_1.wav", b"ID3 this is an mp3".to_vec(), &["not a wav file", "RIFF"]);
        refused("a_1.wav", Vec::new(), &["not a wav file", "ends too early"]);
        let mut adpcm = clip(440.0, 500);
        adpcm[20] = 2;
        refused("a_1.wav", adpcm, &["of a kind not read", "8, 16, 24 or 32 bit"]);
    }

    #[test]
    fn truncated_clip_is_refused() {
        let mut bytes = clip(440.0, 500);
        bytes.truncate(bytes.len() - 1);
        refused("a_1.wav", bytes, &["ends too early"]);
    }

    #[test]
    fn header_that_tells_of_more_than_there_is_gets_no_memory() {
        let mut bytes = clip(440.0, 500);
        // The sizes of all and of the samples.
        for at in [4, 40] {
            bytes[at..at + 4].copy_from_slice(&0x4000_0000u32.to_le_bytes());
        }
        refused("a_1.wav", bytes, &["ends too early"]);
    }

    #[test]
    fn clip_without_a_sample_is_refused() {
        refused("a_1.wav", clip(440.0, 0), &["no sample", "leave it out"]);
    }

    #[test]
    fn sample_that_is_not_finite_is_refused() {
        let frames = [[0.5], [f64::NAN], [0.5]];
        refused("a_1.wav", wav(8000, 32, SampleFormat::Float, &frames), &["NaN", "number 2"]);
    }

    #[test]
    fn damaged_header_is_an_error_and_no_panic() {
        let whole = clip(440.0, 20);
        for n in 0..whole.len() {
            assert!(features(whole[..n].to_vec()).is_err(), "the first {n} bytes");
        }
        for at in 0..44 {
            for value in [0, 1, 127, 128, 255] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Ok(features) = features(bytes) {
                    assert!(features.data.iter().all(|x| x.is_finite()), "byte {at} as {value}");
                }
            }
        }
        let mut bytes = whole;
        bytes[24..32].fill(0);
        assert_says(loaded(one("a_1.wav", bytes).path(), ""), &["a_1.wav", "sample rate is 0"]);
    }

    #[test]
    fn name_without_a_label_is_refused() {
        for name in ["seven.wav", "_7.wav"] {
            refused(name, clip(440.0, 500), &["no label", "7_anna_1.wav"]);
        }
    }

    #[test]
    fn label_only_in_the_test_folder_is_refused() {
        let (train, test) = (folder(&clips()), one("noise_1.wav", clip(440.0, 500)));
        let mut config = config("wav", Some(train.path()), "");
        config.test = Some(test.path().into());
        assert_says(load(&config, MODE, 1), &["noise_1.wav", "label `noise`", "high, low"]);
    }

    #[test]
    fn class_with_no_clip_left_to_train_on_is_refused() {
        let folder = folder(&clips()[..2]);
        assert_says(loaded(folder.path(), "valid_fraction = 0.4"), &["left to train on"]);
    }

    #[test]
    fn nothing_to_read_is_refused() {
        let empty = one("README_1.txt", b"no sound".to_vec());
        let (_keep, path) = archive(tar_gz(&[("README_1.txt".to_string(), Vec::new())]));
        for rate in ["", "sample_rate = 8000"] {
            assert_says(loaded(empty.path(), rate), &["has no .wav file"]);
            assert_says(loaded(&path, rate), &["clips.tar.gz", "has no .wav file"]);
        }
        assert!(matches!(loaded(Path::new("/nowhere/at/all"), ""), Err(Error::Io { .. })));
        assert!(matches!(loaded(Path::new("/nowhere/all.tgz"), ""), Err(Error::Io { .. })));
    }

    #[test]
    fn damaged_archive_is_refused() {
        let clips = clips();
        let whole = tar_gz(&clips);
        let damaged = |bytes: Vec<u8>| {
            let (_keep, path) = archive(bytes);
            assert_says(loaded(&path, "sample_rate = 8000"), &["clips.tar.gz", "not a whole .tar.gz"]);
        };
        damaged(b"no archive".to_vec());
        for n in [whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            damaged(whole[..n].to_vec());
        }
        // The check sum at the end.
        let mut changed = whole.clone();
        let n = changed.len();
        changed[n - 8] ^= 1;
        damaged(changed);
    }

    #[test]
    fn damaged_member_is_named() {
        let mut clips = clips();
        clips[3].1.truncate(50);
        let (_keep, path) = archive(tar_gz(&clips));
        assert_says(loaded(&path, ""), &["clips.tar.gz:recordings/high_03.wav", "ends too early"]);
    }

    #[test]
    fn clips_that_fill_memory_are_refused() {
        let silence = |n: usize| wav(8000, 8, SampleFormat::Int, &vec![[0.0]; n]);
        let long = one("a_1.wav", silence(3_400_000));
        let path = long.path().join("a_1.wav");
        let input = InputSchema::Features { channels: 40, scales: Vec::new(), names: Vec::new() };
        let read = |hop_ms: usize| {
            let config = config("wav", None, &format!("sample_rate = 8000\nhop_ms = {hop_ms}"));
            read_clip(&path, &config, &input)
        };
        assert_eq!(read(10).unwrap().steps(), 42_499);
        // 160 bytes of each 8: 64.8 MiB, and the file gets 61, itself among them.
        let says = ["a_1.wav", "would take 65 MiB", "57 MiB are left", "`data.hop_ms`"];
        assert_says(read(1), &says);
        assert_says(loaded(long.path(), "sample_rate = 8000\nhop_ms = 1"), &says);
        // What is kept of the clips before counts too.
        let two = [1, 2].map(|k| (format!("a_{k}.wav"), silence(1_700_000)));
        let says = ["a_2.wav", "would take 33 MiB", "`data.hop_ms`"];
        assert_says(loaded(folder(&two).path(), "sample_rate = 8000\nhop_ms = 1"), &says);
    }

    #[test]
    fn sizes_over_the_limits_are_refused() {
        let long = one("a_1.wav", Vec::new());
        File::create(long.path().join("a_1.wav")).unwrap().set_len(MAX_CLIP + 1).unwrap();
        assert_says(loaded(long.path(), ""), &["a_1.wav", "64 MiB"]);
        let (_keep, path) = archive(tar_gz(&[("a_1.wav".to_string(), vec![0; MAX_CLIP as usize + 1])]));
        assert_says(loaded(&path, ""), &["clips.tar.gz:recordings/a_1.wav", "64 MiB"]);
        let (_keep, path) = archive(tar_gz(&clips()));
        let all = |most| visit_archive(&path, most, |_| Ok(ControlFlow::Continue(())));
        assert!(all(1 << 20).is_ok());
        assert_says(all(1 << 13), &["clips.tar.gz", "8 KiB"]);
        // Small, and full of nothing.
        let empty = |k: usize| (format!("a_{k}.wav"), vec![0u8; 40 << 20]);
        let (_keep, path) = archive(tar_gz(&[empty(1), empty(2), empty(3)]));
        let all = visit_archive(&path, MAX_BYTES, |_| Ok(ControlFlow::Continue(())));
        assert_says(all, &["clips.tar.gz", "32 times its size and 64 MiB"]);
    }
}
