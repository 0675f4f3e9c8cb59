//! Model folders: what a trained model is on disk, how it is written whole or not at all, and how
//! it is read without trust.
//!
//! | file | what |
//! |---|---|
//! | `manifest.json` | [`Manifest`]: format version, what wrote it, which record, every file's SHA-256 |
//! | `config.toml` | the resolved configuration |
//! | `schema.json` | labels, vocabulary, scales: [`Schema`] |
//! | `record.mpk`, `.bin`, `.bpk`, `.json` or `.safetensors` | the weights |
//! | `scores.json` | [`Score`]s |
//! | `README.md` | the card, in the zoo |

mod describe;
mod record;
mod tree;

pub(crate) use describe::{cell, choice, input, output};
pub use record::{NamedTensor, Precision, RecordFormat, load_record, named_tensors, rounded};
pub(crate) use record::{
    apply, decode_safetensors, fits_half, moments_are_sound, open_safetensors, restore, restore_identified,
    shapes, tensors_are_sound, write_mpk,
};

use crate::config::Config;
use crate::data::{MAX_SCHEMA, Schema};
use crate::error::{Error, Result};
use crate::file::{FolderDraft, read_bytes, read_utf8, utf8, write_whole};
use crate::kernel::RecurrentBackend;
use crate::model::{self, Model};
use crate::train::Score;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The format of model folders that this version writes and reads.
pub const FORMAT: u32 = 1;

/// Bytes of the largest text in a model folder but its vocabulary.
const MAX_TEXT: u64 = 1 << 20;

/// Bytes of the largest record.
pub(crate) const MAX_RECORD: u64 = 16 << 30;

/// What a model folder says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version of the folder.
    pub format: u32,
    /// The model's name.
    pub name: String,
    /// Version of this crate that wrote it.
    pub rnn_zoo: String,
    /// Version of burn that wrote it.
    pub burn: String,
    /// The record's format.
    pub record: RecordFormat,
    /// The record's floats.
    #[serde(default, skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
    /// Parameters.
    pub parameters: usize,
    /// Seed of its training.
    pub seed: u64,
    /// The epoch it is from.
    pub epoch: usize,
    /// Backend and device it was trained on.
    pub trained_on: String,
    /// Wall time of its training, seconds; 0: not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seconds: f64,
    /// SHA-256 of each file but this one and the card, in hexadecimal. [`save`] and [`seal`] know it.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// SHA-256 of this file without this value.
    #[serde(default)]
    pub sha256: String,
}

impl Manifest {
    /// Of a model just trained.
    pub fn new(config: &Config, parameters: usize, epoch: usize, trained_on: String) -> Self {
        Self {
            format: FORMAT,
            name: config.name.clone(),
            rnn_zoo: env!("CARGO_PKG_VERSION").into(),
            burn: "0.21.0".into(),
            record: RecordFormat::Mpk,
            precision: if config.train.half { Precision::Half } else { Precision::Full },
            parameters,
            seed: config.train.seed,
            epoch,
            trained_on,
            seconds: 0.0,
            files: BTreeMap::new(),
            sha256: String::new(),
        }
    }

    /// What [`Self::sha256`] has to be.
    fn digest(&self) -> String {
        digest(&json(&Self { sha256: String::new(), ..self.clone() }))
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// That the file `path` is the one that a manifest knows.
fn check_digest(path: &Path, digest: &str, known: &str) -> Result<()> {
    if digest == known {
        return Ok(());
    }
    let message = "is not as the manifest has it (SHA-256): the file is damaged or was changed; copy or export the folder again, or, if the change is yours, run `rnn-zoo seal` on the folder";
    Err(Error::file(path, message))
}

/// Takes the files of a model folder as they are: writes its manifest with their SHA-256 anew.
///
/// # Errors
/// What is missing, or a manifest that cannot be read.
pub fn seal(folder: &Path) -> Result<()> {
    let folder = &locate(folder)?;
    let mut manifest: Manifest = read_manifest(folder)?;
    let names = ["config.toml", "schema.json", "scores.json"].map(String::from);
    manifest.files = names
        .into_iter()
        .chain([manifest.record.file_name()])
        .map(|name| {
            let bytes = read_bytes(&folder.join(&name), MAX_RECORD)?;
            Ok((name, digest(&bytes)))
        })
        .collect::<Result<_>>()?;
    // Whole ones are read as they were written.
    manifest.seconds = manifest.seconds.round();
    manifest.sha256 = manifest.digest();
    write_whole(&folder.join("manifest.json"), &json(&manifest))
}

fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

/// All of a model folder but its weights.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What the model is and how it was trained.
    pub config: Config,
    /// How its data is read.
    pub schema: Schema,
    /// How well it did.
    pub scores: Vec<Score>,
}

/// How many weights a model has; of one that is not there yet, how many it would have.
fn n_parameters<B: RecurrentBackend>(model: &Model<B>) -> usize {
    let size = |shape: &[usize]| shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
    shapes(model).iter().fold(0usize, |n, (_, shape)| n.saturating_add(size(shape)))
}

/// Writes a model folder that was not there before: it appears whole, or not at all. The manifest says how many
/// parameters `model` has, whatever that of `contents` says.
///
/// # Errors
/// If `folder` exists, the schema is larger than is read again, or the system refuses.
pub fn save<B: RecurrentBackend>(folder: &Path, contents: &ModelFolder, model: Model<B>) -> Result<()> {
    contents.schema.check_size()?;
    record::check_fits(&model, contents.manifest.precision)?;
    let mut draft = FolderDraft::new(folder)?;
    let mut manifest = contents.manifest.clone();
    manifest.parameters = n_parameters(&model);
    draft.write("config.toml", contents.config.to_toml().as_bytes())?;
    draft.write("schema.json", &json(&contents.schema))?;
    draft.write("scores.json", &json(&contents.scores))?;
    let (format, precision) = (manifest.record, manifest.precision);
    draft.write_by(&format.file_name(), |out| record::write(model, format, precision, out))?;
    manifest.files = draft.digests().clone();
    // Whole ones are read as they were written.
    manifest.seconds = manifest.seconds.round();
    manifest.sha256 = manifest.digest();
    draft.write("manifest.json", &json(&manifest))?;
    draft.finish()
}

/// Reads a model folder, or the one inside a run folder, but not its weights. Where there is no such
/// folder, `folder` is the name of a model in `models/`, the zoo.
///
/// # Errors
/// What is missing, damaged, or of a newer format.
pub fn open(folder: &Path) -> Result<(PathBuf, ModelFolder)> {
    let folder = locate(folder)?;
    let manifest = read_manifest(&folder)?;
    let path = folder.join("manifest.json");
    let read = |name: &str| -> Result<(PathBuf, String)> {
        let known = manifest.files.get(name).ok_or_else(|| unknown(&path, name))?;
        let path = folder.join(name);
        let most = if name == "schema.json" { MAX_SCHEMA } else { MAX_TEXT };
        let bytes = read_bytes(&path, most)?;
        check_digest(&path, &digest(&bytes), known)?;
        let text = utf8(&path, bytes)?;
        Ok((path, text))
    };
    let (path, text) = read("config.toml")?;
    let config = Config::from_toml(&text, &path, &[]).map_err(|e| match e {
        Error::Config { .. } => Error::file(&path, e.to_string()),
        other => other,
    })?;
    let (path, text) = read("schema.json")?;
    let schema = parse_schema(&path, &text)?;
    let (path, text) = read("scores.json")?;
    let scores: Vec<Score> = parse(&path, &text)?;
    // Last, so that what is wrong with another file is said of that one.
    let path = folder.join("manifest.json");
    check_digest(&path, &manifest.digest(), &manifest.sha256)?;
    // The configuration's has been checked, and files are called after it.
    if manifest.name != config.name {
        let message =
            format!("has the name `{}`, config.toml `{}`: write the same one", manifest.name, config.name);
        return Err(Error::file(&path, message));
    }
    Ok((folder, ModelFolder { manifest, config, schema, scores }))
}

/// The model folder that is meant.
fn locate(folder: &Path) -> Result<PathBuf> {
    let in_zoo = Path::new("models").join(folder);
    let folder = if !folder.exists() && in_zoo.join("manifest.json").exists() { &in_zoo } else { folder };
    let inside = folder.join("model");
    let folder = if !folder.join("manifest.json").exists() && inside.join("manifest.json").exists() {
        inside
    } else {
        folder.to_path_buf()
    };
    if !folder.is_dir() {
        return Err(Error::file(
            &folder,
            "is not a folder: name a model folder, as in models/speaker, or a run",
        ));
    }
    Ok(folder)
}

/// The manifest of a model folder, its format known.
fn read_manifest(folder: &Path) -> Result<Manifest> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let path = folder.join("manifest.json");
    if !path.exists() {
        return Err(Error::file(
            folder,
            "has no manifest.json: it is not a model folder; name a model folder, as in models/speaker, or a run",
        ));
    }
    let text = read_utf8(&path, MAX_TEXT)?;
    let Version { format } = parse(&path, &text)?;
    if format != FORMAT {
        return Err(Error::file(
            &path,
            format!(
                "is of format {format}, and this version reads {FORMAT}: use the rnn-zoo that wrote it, or a newer one"
            ),
        ));
    }
    parse(&path, &text)
}

fn unknown(manifest: &Path, name: &str) -> Error {
    Error::file(manifest, format!("has no SHA-256 of {name}: export the folder again"))
}

/// Reads a `schema.json`, or that of a model folder.
///
/// # Errors
/// What is missing or damaged.
pub fn read_schema(path: &Path) -> Result<Schema> {
    if path.is_dir() {
        return Ok(open(path)?.1.schema);
    }
    parse_schema(path, &read_utf8(path, MAX_SCHEMA)?)
}

fn parse_schema(path: &Path, text: &str) -> Result<Schema> {
    let schema: Schema = parse(path, text)?;
    schema.check().map_err(|message| {
        Error::file(path, format!("{message}: the file is damaged; export or copy the folder again"))
    })?;
    Ok(schema)
}

/// Reads a model folder whole.
///
/// # Errors
/// See [`open`]; and a record that is damaged, of another architecture or precision, or not of as many parameters as the
/// manifest says.
pub fn load<B: RecurrentBackend>(folder: &Path, device: &B::Device) -> Result<(ModelFolder, Model<B>)> {
    let (folder, contents) = open(folder)?;
    let mut config = contents.config.model.clone();
    model::resolve(&mut config, &contents.schema)
        .map_err(|e| Error::file(folder.join("config.toml"), format!("does not fit schema.json: {e}")))?;
    let name = contents.manifest.record.file_name();
    let known =
        contents.manifest.files.get(&name).ok_or_else(|| unknown(&folder.join("manifest.json"), &name))?;
    let path = folder.join(&name);
    let bytes = read_bytes(&path, MAX_RECORD)?;
    check_digest(&path, &digest(&bytes), known)?;
    let model = Model::blank(&config, device)?;
    let Manifest { record, precision, parameters, .. } = contents.manifest;
    let model =
        load_record(model, bytes, record, precision).map_err(|message| Error::file(&path, message))?;
    let n = n_parameters(&model);
    if n != parameters {
        let message = format!("says {parameters} parameters, and the model has {n}: export the folder again");
        return Err(Error::file(folder.join("manifest.json"), message));
    }
    Ok((contents, model))
}

pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain data becomes JSON");
    bytes.push(b'\n');
    bytes
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        Error::line(path, e.line(), format!("{e}: the file is damaged; export or copy the folder again"))
    })
}
