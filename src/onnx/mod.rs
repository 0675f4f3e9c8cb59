//! Models out in [ONNX](https://onnx.ai), for onnxruntime and whatever else reads it.
//!
//! | mode | files | |
//! |---|---|---|
//! | one-to-one, many-to-one, many-to-many, multi-task | `model.onnx` | whole sequences and their lengths |
//! | one-to-many | `model.onnx` | one step: what it says is fed back by the program that runs it |
//! | encoder–decoder | `encoder.onnx`, `decoder.onnx` | the decoder's steps are run by the program |
//!
//! With attention the encoder gives what the decoder looks back at, too; with input feeding the decoder takes
//! and gives what attention gave. A one-to-many model of texts or drawings takes its last token, and gives the
//! most probable next one beside what it says of each.
//!
//! Beside them stand `config.toml` and `schema.json` of the model, and a `README.md` that lists each
//! file's inputs and outputs. Models that stream, one-to-one and many-to-many in one direction, take and
//! give their state. Others of whole sequences, and encoders, may be given the state that they start from: their inputs
//! `h0` and `c0` have defaults, zeros, and a program that gives none leaves them out.
//!
//! The operators are those of opset 18. Layers are ONNX's `RNN`, `LSTM` and `GRU`. These know neither layer
//! norm in the cell nor zoneout, which in use keeps a share of the old state: there a layer is a `Scan`
//! whose body is one step. Pooling over lengths and attention are of ordinary operators. A tied head reads
//! the embedding's initialiser. Dropout does nothing in use. Refused are weights that exceed protobuf's limit
//! of 2 GiB.
//!
//! From the bottom: [`proto`], the messages; `graph`, which makes them; `stack`, recurrent layers; `model`,
//! the modes.

mod graph;
mod model;
pub mod proto;
mod stack;

use crate::artifact::{NamedTensor, Precision, fits_half, json};
use crate::config::{AttentionScore, Config, Feedback, IoMode};
use crate::data::{InputSchema, Schema, TargetSchema};
use crate::error::{Error, Result};
use crate::file::FolderDraft;
use crate::model::{END, resolve};
use crate::predict::{Array, Predictor};
use prost::Message;
use proto::{DataType, Dimension, GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the messages: that of the first ONNX with [`OPSET`].
pub const IR_VERSION: i64 = 8;

/// Version of the operators.
pub const OPSET: i64 = 18;

/// Bytes of a protobuf message at most.
const MAX_MESSAGE: usize = i32::MAX as usize;

/// Writes a model to a new folder, which appears whole or not at all, and gives the paths of its ONNX
/// files. Half precision keeps weights in 16 bits, which are cast to 32 as the model is loaded.
///
/// # Errors
/// If `folder` exists, or the system refuses; weights that do not fit in 16 bits where they should, or
/// altogether in a protobuf message.
pub fn export(folder: &Path, model: &dyn Predictor, precision: Precision) -> Result<Vec<PathBuf>> {
    let contents = model.folder();
    let mut config = contents.config.model.clone();
    resolve(&mut config, &contents.schema)?;
    let weights = model.weights();
    if precision == Precision::Half
        && let Some(weight) = weights.iter().find(|weight| !fits_half(&weight.data))
    {
        let message = format!("weights of {} are too large for 16 bits: use full precision", weight.name);
        return Err(Error::Input(message));
    }
    let graphs = model::graphs(&config, &Weights::new(weights), precision);
    let readme = readme(&contents.config, config.d_output, &contents.schema, &graphs);
    let mut messages = Vec::new();
    for (name, graph) in graphs {
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("rnn-zoo".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            doc_string: Some(contents.config.description.clone()),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
        };
        let size = model.encoded_len();
        if size > MAX_MESSAGE {
            return Err(Error::file(
                folder.join(name),
                format!(
                    "would take {size} bytes, and a protobuf message takes {MAX_MESSAGE} at most: use --half, or another format"
                ),
            ));
        }
        messages.push((name, model.encode_to_vec()));
    }
    let mut draft = FolderDraft::new(folder)?;
    draft.write("config.toml", contents.config.to_toml().as_bytes())?;
    draft.write("schema.json", &json(&contents.schema))?;
    draft.write("README.md", readme.as_bytes())?;
    messages.iter().try_for_each(|(name, message)| draft.write(name, message))?;
    draft.finish()?;
    Ok(messages.into_iter().map(|(name, _)| folder.join(name)).collect())
}

/// A model's weights by name.
struct Weights(BTreeMap<String, Array<f32>>);

impl Weights {
    fn new(tensors: Vec<NamedTensor>) -> Self {
        let array = |tensor: NamedTensor| {
            let shape = tensor.data.shape.to_vec();
            let values = tensor.data.convert::<f32>().to_vec().expect("they were made floats");
            (tensor.name, Array { shape, values })
        };
        Self(tensors.into_iter().map(array).collect())
    }

    fn find(&self, name: &str) -> Option<Array<f32>> {
        self.0.get(name).cloned()
    }

    /// # Panics
    /// If there is none: its name is wrong then.
    fn get(&self, name: &str) -> Array<f32> {
        self.find(name).unwrap_or_else(|| panic!("the model has no weight `{name}`"))
    }
}

/// What is in the folder, for people.
fn readme(
    config: &Config,
    d_output: Option<usize>,
    schema: &Schema,
    graphs: &[(&str, GraphProto)],
) -> String {
    let mut text = format!("# {} in ONNX\n\n", config.name);
    if !config.description.is_empty() {
        text += &format!("{}.\n\n", config.description.trim_end_matches('.'));
    }
    text += &format!("Opset {OPSET}, IR version {IR_VERSION}; axes that have a name may be of any size.\n");
    for (file, graph) in graphs {
        text += &format!("\n## `{file}`\n\n| | name | type | shape | what |\n|---|---|---|---|---|\n");
        let ports = graph.input.iter().map(|port| ("input", port));
        for (side, port) in ports.chain(graph.output.iter().map(|port| ("output", port))) {
            let (type_, shape) = type_of(port);
            let what = port.doc_string.as_deref().unwrap_or_default();
            text += &format!(
                "| {side} | `{}` | {type_} | `[{}]` | {what} |\n",
                port.name.as_deref().unwrap_or_default(),
                shape.join(", ")
            );
        }
    }
    text += match &schema.input {
        InputSchema::Features { scales, .. } if !scales.is_empty() => {
            "\nThe model reads standardised features: `schema.json` has each channel's mean and deviation"
        }
        InputSchema::Features { .. } => "\nThe model reads features as they are",
        InputSchema::Attributes { .. } => {
            "\n`schema.json` has the attributes, whose features stand in `x` one after the other. There is one a \
             value, which is 1 where the attribute has it and else 0. An attribute without values has one, which is \
             1 where the attribute is there and else 0; in texts a word stands for its value, `xname` for that of \
             `name`"
        }
        _ => "\n`schema.json` has the vocabulary, whose n-th entry is token n, counted from 0",
    };
    text += match &schema.target {
        TargetSchema::Features { scales, .. } if !scales.is_empty() => {
            ". The values that it says are standardised: `schema.json` has their mean and deviation.\n"
        }
        TargetSchema::Features { .. } => ".\n",
        TargetSchema::Text(_) => {
            ". The n-th piece in `schema.json` is token n of what it writes, counted from 0.\n"
        }
        TargetSchema::Drawing(_) => {
            ": the share of ink in each cell of a grid over the picture, row by row; `schema.json` has the cells of its \
             side. Of what it writes, token 0 ends a drawing, token 1 lifts the pen, and from token 2 on there is one \
             a cell, row by row.\n"
        }
        _ => ". The n-th label in `schema.json` is class n, counted from 0.\n",
    };
    if let Some(season) = config.data.season {
        text += &match config.data.seasons.unwrap_or(1) {
            1 => format!(
                "\nWhat it says is the difference from the standardised value {season} rows before the row that is \
                 predicted.\n"
            ),
            n => format!(
                "\nWhat it says is the difference from the mean of the standardised values {season} to {back} rows \
                 before the row that is predicted, every {season}, moved by what the mean of the last {season} rows \
                 read is above that of the last {back}.\n",
                back = n * season
            ),
        };
    }
    match config.model.mode {
        IoMode::OneToMany if config.model.feedback == Some(Feedback::Token) => {
            let start = d_output.unwrap_or(0);
            text += &format!(
                "\nThe first step's `last` is token {start}, and its state zeros. Then they are `next`, or another \
                 token that is chosen by `y`, and the state that the step before gave, until that token is {END}, \
                 the end. `x` is the same at every step.\n"
            );
        }
        IoMode::OneToMany => {
            text += "\nThe first step's `last` and state are zeros; then they are `next` and the state that the \
                     step before gave.\n";
        }
        IoMode::EncoderDecoder => {
            let start = d_output.unwrap_or(0);
            text += &format!(
                "\nThe decoder starts from the encoder's state and token {start}. It then reads the token whose `y` \
                 was largest, and its own state, until that token is {END}, the end.\n"
            );
            if let Some(score) = config.model.attention {
                let keys = if score == AttentionScore::Additive { ", `keys`" } else { "" };
                text += &format!(
                    "\nAt every step it looks back at what was read: it takes the encoder's `memory`{keys} and \
                     `lengths`, and `attention` says where it looked. Past a source's length that is 0.\n"
                );
            }
            if config.model.input_feeding {
                text += "\nIt goes one token at a time: `a0` is zeros at first, then the `a_n` that the step \
                         before gave.\n";
            }
        }
        _ => {}
    }
    text
}

/// Type and shape of an input or output, for people.
fn type_of(port: &ValueInfoProto) -> (&'static str, Vec<String>) {
    let tensor = port.r#type.as_ref().and_then(|type_| type_.tensor_type.as_ref());
    let type_ = match tensor.map(|tensor| tensor.elem_type()) {
        Some(DataType::Int64) => "int64",
        _ => "float32",
    };
    let dims = tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| &shape.dim);
    let shape = dims.iter().map(|dim| match &dim.value {
        Some(Dimension::Value(size)) => size.to_string(),
        Some(Dimension::Name(name)) => name.clone(),
        None => "?".into(),
    });
    (type_, shape.collect())
}
