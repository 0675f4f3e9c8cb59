//! Texts that an encoder–decoder writes.

use super::{Loaded, Predictor};
use crate::data::SampleInput;
use crate::data::target_text::TargetText;
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::model::{Hypothesis, Search};
use crate::plot::{HeatMap, Row, heat_map_svg};

/// A text that a model wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Its tokens.
    pub pieces: Vec<String>,
    /// The logarithm of its probability, its end included where it has one.
    pub score: f64,
    /// The score divided by its length penalty.
    pub normalized: f64,
    /// Whether the model ended it; if not, it was cut off at the largest length.
    pub finished: bool,
    /// With attention: the weights of the input's steps, for each token and the end.
    pub attention: Option<Vec<Vec<f32>>>,
}

impl Written {
    /// Which of the input's tokens was looked at when each token was written, as SVG: a row a token.
    ///
    /// # Errors
    /// A model without attention.
    pub fn alignment_svg(&self, title: &str, input: &[String]) -> Result<String> {
        let Some(attention) = &self.attention else {
            return Err(Error::Input("the model has no attention to draw".into()));
        };
        let end = self.finished.then(|| "</s>".to_string());
        let rows: Vec<Row> = self
            .pieces
            .iter()
            .cloned()
            .chain(end)
            .zip(attention)
            .map(|(label, weights)| Row {
                label,
                values: weights.iter().copied().take(input.len()).collect(),
            })
            .collect();
        if rows.iter().any(|row| row.values.len() != input.len()) {
            return Err(Error::Input(format!("{} tokens are not what the model read", input.len())));
        }
        Ok(heat_map_svg(&HeatMap {
            title,
            columns: input,
            rows: &rows,
            bars_name: "",
            bars: &[],
            marked: &[],
        }))
    }
}

impl<B: RecurrentBackend> Loaded<B> {
    pub(super) fn write_texts(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Written>>> {
        let found = self.search(inputs, search, n_steps)?;
        let texts = TargetText::of(&self.folder.schema.target)?;
        let written = |input: &SampleInput, found: Hypothesis| {
            let Hypothesis { tokens, score, normalized, finished, attention } = found;
            Written {
                text: texts.text_for(input, &tokens),
                pieces: tokens.iter().map(|&token| texts.piece(token)).collect(),
                score,
                normalized,
                finished,
                attention,
            }
        };
        let all = |(found, input): (Vec<Hypothesis>, &SampleInput)| -> Vec<Written> {
            found.into_iter().map(|found| written(input, found)).collect()
        };
        Ok(found.into_iter().zip(inputs).map(all).collect())
    }
}
