//! A look inside a language model: what its hidden units do over a text, and what surprises it.

use super::language::Language;
use crate::artifact::ModelFolder;
use crate::data::{Features, Input, SampleInput};
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::model::Model;
use crate::plot::{HeatMap, Row, heat_map_svg};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use serde::Serialize;

/// Tokens that are read at once: a word model's output for many is large.
const CHUNK: usize = 256;

/// Cells of the largest heat map, some 12 MB of SVG.
const MAX_CELLS: usize = 200_000;

/// A token that the model had to guess, and how it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Surprise {
    /// Where the token stands in the text, from 1.
    pub position: usize,
    /// The token.
    pub token: String,
    /// The probability that the model gave it, having read what stands before it.
    pub probability: f64,
    /// Its surprisal, `-log2(probability)`.
    pub bits: f64,
    /// The token that the model held most probable there.
    pub expected: String,
    /// The probability of that one.
    pub expected_probability: f64,
}

/// What a language model does over a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// The model's name.
    pub model: String,
    /// The tokens of the text.
    pub tokens: Vec<String>,
    /// The layer that was looked at, from 0.
    pub layer: usize,
    /// Its output after each token, `[T, H]`.
    pub hidden: Features,
    /// Every token but the first.
    pub surprises: Vec<Surprise>,
}

impl Inspection {
    /// The `n` units that vary most over the text, the liveliest first.
    pub fn liveliest(&self, n: usize) -> Vec<usize> {
        let variance = |unit: usize| {
            let values = || self.unit(unit).map(f64::from);
            let mean = values().sum::<f64>() / self.tokens.len() as f64;
            values().map(|value| (value - mean).powi(2)).sum::<f64>()
        };
        let mut units: Vec<(usize, f64)> = (0..self.hidden.channels).map(|k| (k, variance(k))).collect();
        units.sort_by(|a, b| b.1.total_cmp(&a.1));
        units.into_iter().take(n).map(|(unit, _)| unit).collect()
    }

    /// The `n` tokens that surprised the model most, the greatest surprise first.
    pub fn most_surprising(&self, n: usize) -> Vec<&Surprise> {
        let mut surprises: Vec<&Surprise> = self.surprises.iter().collect();
        surprises.sort_by(|a, b| b.bits.total_cmp(&a.bits));
        surprises.truncate(n);
        surprises
    }

    /// The mean surprisal, in bits a token; none of a text of one token.
    pub fn mean_bits(&self) -> Option<f64> {
        let sum: f64 = self.surprises.iter().map(|surprise| surprise.bits).sum();
        (!self.surprises.is_empty()).then(|| sum / self.surprises.len() as f64)
    }

    /// A heat map of `units` over the text, with each token's surprisal above it and the `marked`
    /// greatest ones in a colour of their own.
    ///
    /// # Errors
    /// A unit that the layer has not; more units and tokens than can be drawn.
    pub fn svg(&self, units: &[usize], marked: usize) -> Result<String> {
        let (layer, n) = (self.layer, self.hidden.channels);
        if let Some(unit) = units.iter().find(|unit| **unit >= n) {
            return Err(Error::Input(format!(
                "there is no unit {unit} in layer {layer}: it has {n}, counted from 0"
            )));
        }
        if units.len() * self.tokens.len() > MAX_CELLS {
            return Err(Error::Input(format!(
                "{} units over {} tokens are more than the {MAX_CELLS} cells that are drawn: give a shorter text or fewer units",
                units.len(),
                self.tokens.len()
            )));
        }
        let row = |&unit: &usize| Row { label: unit.to_string(), values: self.unit(unit).collect() };
        let marked: Vec<usize> = self.most_surprising(marked).iter().map(|s| s.position - 1).collect();
        Ok(heat_map_svg(&HeatMap {
            title: &format!("{}: units of layer {layer}", self.model),
            columns: &self.tokens,
            rows: &units.iter().map(row).collect::<Vec<_>>(),
            bars_name: "surprisal in bits",
            bars: &[None].into_iter().chain(self.surprises.iter().map(|s| Some(s.bits))).collect::<Vec<_>>(),
            marked: &marked,
        }))
    }

    /// A unit's values over the text.
    fn unit(&self, unit: usize) -> impl Iterator<Item = f32> {
        self.hidden.data.iter().skip(unit).step_by(self.hidden.channels).copied()
    }
}

/// See [`Predictor::inspect`](super::Predictor::inspect).
pub(super) fn inspect<B: RecurrentBackend>(
    model: &Model<B>,
    folder: &ModelFolder,
    text: &str,
    layer: Option<usize>,
    device: &B::Device,
) -> Result<Inspection> {
    let config = &folder.config.model;
    let language = Language::of(folder)?;
    let Model::Sequence(model) = model else { unreachable!("a language model has one stack") };
    let layer = layer.unwrap_or(config.n_layers - 1);
    if layer >= config.n_layers {
        let n = config.n_layers;
        return Err(Error::Input(format!("there is no layer {layer}: the model has {n}, counted from 0")));
    }
    let tokens = language.encode(text)?;
    folder.schema.check_input(config.mode, &SampleInput::Tokens(tokens.clone().into()))?;
    let input = |tokens: &[u32]| {
        let ids: Vec<i64> = tokens.iter().map(|&token| token.into()).collect();
        Input::Tokens(Tensor::<B, 2, Int>::from_data(TensorData::new(ids, [1, tokens.len()]), device))
    };
    let name = |token: u32| language.name(token).to_string();

    // As in a text that is written.
    let before: Vec<u32> = language.line_end().into_iter().collect();
    let mut surprises = Vec::with_capacity(tokens.len() - 1);
    let mut state = (!before.is_empty()).then(|| model.forward(input(&before), None, None).state);
    // What is said after a token is of the next one; nobody asks after the last.
    for read in tokens[..tokens.len() - 1].chunks(CHUNK) {
        let said = model.forward(input(read), None, state.take());
        state = Some(said.state);
        for log_probabilities in floats(log_softmax(said.output, 2)).chunks_exact(language.len()) {
            let at = surprises.len() + 1;
            let log_probability = |token: u32| f64::from(log_probabilities[token as usize]);
            let expected = (0..language.len() as u32)
                .max_by(|&a, &b| log_probability(a).total_cmp(&log_probability(b)))
                .expect("a vocabulary has a token");
            surprises.push(Surprise {
                position: at + 1,
                token: name(tokens[at]),
                probability: log_probability(tokens[at]).exp(),
                bits: -log_probability(tokens[at]) / std::f64::consts::LN_2,
                expected: name(expected),
                expected_probability: log_probability(expected).exp(),
            });
        }
    }
    let hidden = model.hidden(input(&[before.as_slice(), &tokens].concat()), layer + 1);
    let hidden = hidden.slice([0..1, before.len()..before.len() + tokens.len()]);
    Ok(Inspection {
        model: folder.config.name.clone(),
        tokens: tokens.iter().map(|&token| name(token)).collect(),
        layer,
        hidden: Features { channels: hidden.dims()[2], data: floats(hidden).into() },
        surprises,
    })
}

fn floats<B: RecurrentBackend>(tensor: Tensor<B, 3>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().to_vec().expect("outputs are floats")
}
