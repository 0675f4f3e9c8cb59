//! Tensors in, tensors out: what other programs compare with.

use crate::artifact::open_safetensors;
use crate::config::IoMode;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::file::read_bytes;
use crate::kernel::RecurrentBackend;
use crate::model::Model;
use crate::recurrent::RecurrentState;
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// Bytes of the largest input file.
const MAX_INPUT: u64 = 4 << 30;

/// An array with its shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T> {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<T>,
}

/// What a model is run on. Values are taken as they are: what is not finite comes out as such.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawInput {
    /// Features `[B, T, D]`, or `[B, D]` for a single step.
    pub features: Option<Array<f32>>,
    /// Tokens `[B, T]`, of a token model.
    pub tokens: Option<Array<i64>>,
    /// Valid steps, `[B]`.
    pub lengths: Option<Vec<i64>>,
    /// Initial hidden state, `[L·K, B, H]`.
    pub h0: Option<Array<f32>>,
    /// Initial cell state, `[L·K, B, H]`.
    pub c0: Option<Array<f32>>,
}

/// What a model gave.
#[derive(Clone, Debug, PartialEq)]
pub struct RawOutput {
    /// The head's output: `[B, T, O]`; many-to-one: `[B, O]`.
    pub y: Array<f32>,
    /// Valid steps of each output, where a model decides them.
    pub lengths: Option<Vec<i64>>,
    /// Final hidden state, `[L·K, B, H]`; of a decoder alone, which gives none, zeros.
    pub h_n: Array<f32>,
    /// Final cell state, `[L·K, B, H]`, likewise: LSTM only.
    pub c_n: Option<Array<f32>>,
}

impl RawInput {
    /// Reads a safetensors file: `x`, and optionally `lengths`, `h0`, `c0`.
    ///
    /// # Errors
    /// A file that is not safetensors, or holds other names or types.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_bytes(path, MAX_INPUT)?;
        let file = open_safetensors(&bytes).map_err(|e| {
            Error::file(path, format!("is not a safetensors file ({e}): write it with safetensors"))
        })?;
        let wrong = |name: &str, view: &TensorView, wants: &str| {
            Error::file(path, format!("`{name}` is of type {:?}, it must be {wants}", view.dtype()))
        };
        let floats = |name: &str, view: &TensorView| match view.dtype() {
            Dtype::F32 => Ok(Array {
                shape: view.shape().to_vec(),
                values: view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
            }),
            _ => Err(wrong(name, view, "f32")),
        };
        let ints = |name: &str, view: &TensorView| match view.dtype() {
            Dtype::I64 => Ok(Array {
                shape: view.shape().to_vec(),
                values: view
                    .data()
                    .chunks_exact(8)
                    .map(|b| i64::from_le_bytes(b.try_into().expect("eight bytes")))
                    .collect(),
            }),
            _ => Err(wrong(name, view, "i64")),
        };
        let mut input = Self::default();
        for (name, view) in file.iter() {
            match name {
                "x" if view.dtype() == Dtype::I64 => input.tokens = Some(ints(name, &view)?),
                "x" => input.features = Some(floats(name, &view)?),
                "lengths" if view.shape().len() == 1 => input.lengths = Some(ints(name, &view)?.values),
                "lengths" => {
                    let message = format!("`lengths` is {:?}, it must be [B]", view.shape());
                    return Err(Error::file(path, message));
                }
                "h0" => input.h0 = Some(floats(name, &view)?),
                "c0" => input.c0 = Some(floats(name, &view)?),
                _ => {
                    let message = format!("has a tensor `{name}`: it may hold x, lengths, h0 and c0");
                    return Err(Error::file(path, message));
                }
            }
        }
        if input.features.is_none() && input.tokens.is_none() {
            return Err(Error::file(
                path,
                "has no tensor `x`: f32 [B, T, D], or i64 [B, T] for a token model",
            ));
        }
        Ok(input)
    }
}

impl RawOutput {
    /// The bytes of a safetensors file: `y`, `h_n`, and `c_n` and `lengths` where there are.
    pub fn to_safetensors(&self) -> Vec<u8> {
        fn bytes<T: Copy, const N: usize>(values: &[T], one: fn(T) -> [u8; N]) -> Vec<u8> {
            values.iter().flat_map(|&v| one(v)).collect()
        }
        let mut parts = vec![
            ("y", Dtype::F32, self.y.shape.clone(), bytes(&self.y.values, f32::to_le_bytes)),
            ("h_n", Dtype::F32, self.h_n.shape.clone(), bytes(&self.h_n.values, f32::to_le_bytes)),
        ];
        if let Some(c_n) = &self.c_n {
            parts.push(("c_n", Dtype::F32, c_n.shape.clone(), bytes(&c_n.values, f32::to_le_bytes)));
        }
        if let Some(lengths) = &self.lengths {
            parts.push(("lengths", Dtype::I64, vec![lengths.len()], bytes(lengths, i64::to_le_bytes)));
        }
        let views = parts.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes are those of the shape"))
        });
        safetensors::serialize(views, None).expect("a few named tensors become safetensors")
    }
}

pub(super) fn run<B: RecurrentBackend>(
    model: &Model<B>,
    input: &RawInput,
    n_steps: Option<usize>,
    device: &B::Device,
) -> Result<RawOutput> {
    let config = model.config();
    let bad = |message: String| Err(Error::Input(message));
    let tensor = match (&input.features, &input.tokens) {
        (Some(x), None) if config.d_embedding.is_none() => {
            let shape = match (x.shape.as_slice(), config.mode) {
                (&[b, t, d], _) => [b, t, d],
                (&[b, d], IoMode::OneToOne | IoMode::OneToMany) => [b, 1, d],
                (shape, _) => return bad(format!("x is {shape:?}, it must be [B, T, D]")),
            };
            let d = config.d_input.unwrap_or(shape[2]);
            if shape[2] != d {
                return bad(format!("x is {:?}, and the model reads D = {d} features", x.shape));
            }
            Input::Features(Tensor::from_data(TensorData::new(x.values.clone(), shape), device))
        }
        (None, Some(_)) if config.characters.is_some() => {
            return bad("the model reads words with their spelling, not tokens: give it text".into());
        }
        (None, Some(x)) if config.d_embedding.is_some() => {
            let &[b, t] = x.shape.as_slice() else {
                return bad(format!("x is {:?}, it must be [B, T]", x.shape));
            };
            let vocabulary = config.vocabulary.unwrap_or(0) as i64;
            if let Some(token) = x.values.iter().find(|token| !(0..vocabulary).contains(token)) {
                return bad(format!(
                    "token {token} is outside the vocabulary: it must be 0 to {}",
                    vocabulary - 1
                ));
            }
            Input::Tokens(Tensor::from_data(TensorData::new(x.values.clone(), [b, t]), device))
        }
        (Some(_), _) => return bad("the model reads tokens: x must be i64 [B, T]".into()),
        _ => return bad("the model reads features: x must be f32 [B, T, D]".into()),
    };
    let [batch, n_read] = tensor.shape();
    if batch == 0 || n_read == 0 {
        return bad(format!("x has {batch} sequences of {n_read} steps: give at least one of each"));
    }
    if config.mode == IoMode::OneToMany && n_read != 1 {
        return bad(format!("x has {n_read} steps, a one-to-many model reads one"));
    }
    let lengths = match &input.lengths {
        None => None,
        Some(lengths) => {
            let whole: Option<Vec<usize>> = lengths
                .iter()
                .map(|&n| usize::try_from(n).ok().filter(|n| (1..=n_read).contains(n)))
                .collect();
            match whole.filter(|lengths| lengths.len() == batch) {
                Some(lengths) => Some(lengths),
                None => {
                    return bad(format!("lengths must be {batch} numbers of 1 to {n_read}, not {lengths:?}"));
                }
            }
        }
    };
    let stack = match model {
        Model::Sequence(model) => &model.stack,
        Model::EncoderDecoder(model) => model.encoder.as_ref().unwrap_or(&model.decoder),
        Model::MultiTask(_) => {
            return bad("a multi-task model has an output a task: tensors go through models with one".into());
        }
    };
    let state_shape = [stack.layers.len(), batch, config.d_hidden];
    let state_part = |name: &str, part: &Option<Array<f32>>| -> Result<Option<Tensor<B, 3>>> {
        let Some(array) = part else { return Ok(None) };
        if array.shape != state_shape {
            let message = format!("{name} is {:?}, it must be [L·K, B, H] = {state_shape:?}", array.shape);
            return Err(Error::Input(message));
        }
        Ok(Some(Tensor::from_data(TensorData::new(array.values.clone(), state_shape), device)))
    };
    let (h0, c0) = (state_part("h0", &input.h0)?, state_part("c0", &input.c0)?);
    let has_cell = stack.config().cell.has_cell_state();
    let state = match (h0, c0) {
        (None, None) => None,
        (Some(hidden), cell) if cell.is_some() == has_cell => Some(RecurrentState { hidden, cell }),
        _ if has_cell => return bad("an LSTM's state is h0 and c0: give both or neither".into()),
        _ => return bad("only an LSTM has c0: give h0 alone".into()),
    };
    let writes_tokens = config.writes_tokens();
    if state.is_some() && writes_tokens {
        return bad("a model that writes tokens starts from zeros: leave out h0 and c0".into());
    }
    let said = model.predict(tensor, lengths.as_deref(), state, n_steps);
    let mut y = array(said.output);
    if config.mode == IoMode::ManyToOne {
        y.shape.remove(1);
    }
    Ok(RawOutput {
        y,
        lengths: said
            .lengths
            .filter(|_| writes_tokens)
            .map(|lengths| lengths.into_iter().map(|n| n as i64).collect()),
        h_n: array(said.state.hidden),
        c_n: said.state.cell.map(array),
    })
}

fn array<B: RecurrentBackend>(tensor: Tensor<B, 3>) -> Array<f32> {
    let shape = tensor.dims().to_vec();
    Array { shape, values: tensor.into_data().convert::<f32>().to_vec().expect("outputs are floats") }
}
