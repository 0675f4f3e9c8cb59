//! PyTorch's weights as a model.

use super::layout::check;
use super::matching::assign;
use crate::artifact::{self, Manifest, ModelFolder, Precision};
use crate::backend::{DeviceInfo, Task, TrainBackend};
use crate::config::{Config, DataFormat, IoMode, Loss, ModelConfig};
use crate::data::{self, InputSchema, Schema, TargetSchema, TaskSchema};
use crate::error::{Error, Result};
use crate::file::{check_free, read_bytes};
use crate::kernel::RecurrentBackend;
use crate::model::{self, Model};
use burn::module::Module;
use burn::tensor::{DType, TensorData};
use std::collections::BTreeMap;
use std::path::Path;

/// What [`import()`] made.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The new folder's contents.
    pub folder: ModelFolder,
    /// Tensors of the file, by their names, that have values of more digits than 32 bits hold, which were rounded.
    pub rounded: Vec<String>,
}

/// Makes a model folder, `out`, of a safetensors `state_dict` of `torch.nn` modules: a stack `RNN`, `LSTM` or `GRU`,
/// `Embedding`s and `Linear`s under any prefix.
///
/// `config` says what the modules are; sizes that it leaves open are those of the tensors. `map` is what names do not
/// tell: pairs of a tensor or module of the file and a weight (`head.weight`) or part (`head`) of the model; one without
/// the second is left out, as the model has no place for it.
///
/// Values are kept in 32 bits, or in 16 where every tensor of the file has 16 bits of IEEE 754;
/// [`Imported::rounded`] names the tensors that lose digits by it.
///
/// `schema` names labels and tokens and scales features, in PyTorch's order. Without it, they are those of the data that
/// `config` names, as [`train`](crate::train::train) reads them; where that is a program's, classes and tokens are
/// called by their numbers, and the output is values unless `train.loss` takes classes.
///
/// # Errors
/// A file that is not safetensors: a pickle is never read. Tensors that are missing, left over, of another shape or
/// type, or not finite, all of them listed. A configuration that PyTorch has no counterpart of. `out` is there. In each
/// case nothing is written.
pub fn import(
    file: &Path,
    config: &Config,
    schema: Option<Schema>,
    map: &[(String, String)],
    device: &DeviceInfo,
    out: &Path,
) -> Result<Imported> {
    config.check()?;
    check(&config.model)?;
    check_free(out)?;
    let mut config = config.clone();
    let Read { tensors, map, rounded, precision } = read(file, map)?;
    let schema = match schema {
        None if config.data.format == DataFormat::Program => None,
        None => Some(schema_of_data(&mut config)?),
        given => given,
    };
    if let Some(schema) = &schema {
        schema.check()?;
        model::resolve(&mut config.model, schema)?;
    }
    let tensors =
        assign(&mut config.model, tensors, &map, true).map_err(|message| Error::file(file, message))?;
    let schema = schema.unwrap_or_else(|| plain_schema(&config));
    model::resolve(&mut config.model, &schema)?;
    config.check()?;
    let folder = device.run(Import { config, schema, tensors, precision, out })?;
    Ok(Imported { folder, rounded })
}

/// A model of `config` with the weights of a safetensors `state_dict`, without a folder; see [`import()`]. It may lack a
/// head.
///
/// # Errors
/// Those of [`import()`].
pub fn load<B: RecurrentBackend>(
    file: &Path,
    config: &ModelConfig,
    map: &[(String, String)],
    device: &B::Device,
) -> Result<Model<B>> {
    config.check()?;
    check(config)?;
    let mut config = config.clone();
    let Read { tensors, map, .. } = read(file, map)?;
    let tensors = assign(&mut config, tensors, &map, false).map_err(|message| Error::file(file, message))?;
    build(&config, tensors, device)
}

fn build<B: RecurrentBackend>(
    config: &ModelConfig,
    tensors: BTreeMap<String, TensorData>,
    device: &B::Device,
) -> Result<Model<B>> {
    let model = Model::blank(config, device)?;
    artifact::apply(model, tensors).map_err(Error::Input)
}

struct Import<'a> {
    config: Config,
    schema: Schema,
    tensors: BTreeMap<String, TensorData>,
    precision: Precision,
    out: &'a Path,
}

impl Task for Import<'_> {
    type Output = Result<ModelFolder>;

    fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output {
        let Self { config, schema, tensors, precision, out } = self;
        let model: Model<B::InnerBackend> = build(&config.model, tensors, &device)?;
        let mut manifest = Manifest::new(&config, model.num_params(), 0, "PyTorch".into());
        // The weights as they are, whatever training would have written.
        manifest.precision = precision;
        let folder = ModelFolder { manifest, config, schema, scores: Vec::new() };
        artifact::save(out, &folder, model)?;
        Ok(folder)
    }
}

/// A `state_dict` that was read.
struct Read {
    /// The tensors that are not left out, as f32.
    tensors: BTreeMap<String, TensorData>,
    /// What is mapped of them.
    map: Vec<(String, String)>,
    /// Those of them that were rounded.
    rounded: Vec<String>,
    /// What holds all of them as they are.
    precision: Precision,
}

fn read(file: &Path, map: &[(String, String)]) -> Result<Read> {
    let bytes = read_bytes(file, artifact::MAX_RECORD)?;
    let (left_out, map): (Vec<_>, Vec<_>) = map.iter().cloned().partition(|(_, new)| new.is_empty());
    let mut there = vec![false; left_out.len()];
    let wanted = |name: &str| {
        let is_it =
            |old: &str| name.strip_prefix(old).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let left = left_out.iter().position(|(old, _)| is_it(old));
        left.iter().for_each(|&k| there[k] = true);
        left.is_none()
    };
    let tensors = artifact::decode_safetensors(&bytes, wanted).map_err(|message| {
        if is_pickle(&bytes) {
            return Error::file(file, pickle_advice(file));
        }
        let advice = "write the state_dict again with safetensors.torch.save_file, or leave out with --map NAME= \
                      what is no weight";
        Error::file(file, format!("{message}: {advice}"))
    })?;
    drop(bytes);
    if let Some(k) = there.iter().position(|there| !there) {
        let message =
            format!("has no tensor or module `{}` to leave out, or it is named twice", left_out[k].0);
        return Err(Error::file(file, message));
    }
    let wild = |data: &TensorData| data.iter::<f32>().any(|value| !value.is_finite());
    let wild: Vec<&str> =
        tensors.iter().filter(|(_, data)| wild(data)).map(|(name, _)| name.as_str()).collect();
    if !wild.is_empty() {
        let message = format!(
            "has values that are not finite in 32 bits, in {}: give weights of a model that works",
            wild.join(", ")
        );
        return Err(Error::file(file, message));
    }
    let rounds = |value: f64| f64::from(value as f32) != value;
    let rounded = tensors
        .iter()
        .filter(|(_, data)| data.dtype == DType::F64 && data.iter::<f64>().any(rounds))
        .map(|(name, _)| name.clone())
        .collect();
    let is_half = !tensors.is_empty() && tensors.values().all(|data| data.dtype == DType::F16);
    let precision = if is_half { Precision::Half } else { Precision::Full };
    // Each is freed as it is converted.
    let tensors = tensors.into_iter().map(|(name, data)| (name, data.convert::<f32>())).collect();
    Ok(Read { tensors, map, rounded, precision })
}

/// Whether a file begins as what `torch.save` writes: a zip archive, or a bare pickle.
fn is_pickle(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || (bytes.len() > 1 && bytes[0] == 0x80 && (2..=5).contains(&bytes[1]))
}

fn pickle_advice(file: &Path) -> String {
    // In Python's quotes, inside those of the shell.
    let quoted = |path: &Path| {
        let escaped = path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", escaped.replace('\'', "'\\''"))
    };
    format!(
        "is a pickle, as torch.save writes it, whose values cannot be checked before its code is run, and is not read: \
         turn it into safetensors with python -c 'import torch, safetensors.torch as s; s.save_file({{k: \
         v.contiguous().clone() for k, v in torch.load({}, map_location=\"cpu\", weights_only=True).items()}}, {})'",
        quoted(file),
        quoted(&file.with_extension("safetensors"))
    )
}

/// The schema that training on the data of `config` would store.
fn schema_of_data(config: &mut Config) -> Result<Schema> {
    data::resolve(&mut config.data)?;
    let mut dataset = data::load(&config.data, config.model.mode, config.train.seed)?;
    if config.model.characters.is_none() {
        dataset.drop_spellings();
    }
    Ok(dataset.schema)
}

/// A schema that calls everything by its number.
fn plain_schema(config: &Config) -> Schema {
    let numbers = |n: Option<usize>| -> Vec<String> { (0..n.unwrap_or(0)).map(|k| k.to_string()).collect() };
    let no_scales = |channels: usize| (channels, Vec::new(), Vec::new());
    let model = &config.model;
    let input = match (&model.characters, model.d_embedding) {
        (Some(characters), _) => InputSchema::Words {
            vocabulary: numbers(model.vocabulary),
            characters: numbers(characters.vocabulary),
            lowercase: false,
        },
        (None, Some(_)) => InputSchema::Tokens { vocabulary: numbers(model.vocabulary) },
        (None, None) => {
            let (channels, scales, names) = no_scales(model.d_input.unwrap_or(0));
            InputSchema::Features { channels, scales, names }
        }
    };
    let labels = numbers(model.d_output);
    let classes = matches!(config.train.loss, Some(Loss::CrossEntropy | Loss::SoftmaxMse));
    let target = match model.mode {
        IoMode::MultiTask => {
            let task = |task: &crate::config::TaskConfig| TaskSchema {
                name: task.name.clone(),
                labels: numbers(task.d_output),
                aligned: task.mode == IoMode::ManyToMany,
            };
            TargetSchema::Tasks { tasks: model.tasks.iter().map(task).collect() }
        }
        _ if model.writes_tokens() => TargetSchema::Tokens { labels },
        IoMode::ManyToOne if classes => TargetSchema::Class { labels },
        _ if classes => TargetSchema::Tokens { labels },
        _ => {
            let (channels, scales, names) = no_scales(model.d_output.unwrap_or(0));
            TargetSchema::Features { channels, scales, names }
        }
    };
    Schema { input, target }
}
