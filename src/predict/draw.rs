//! Drawings that a model makes of pictures.

use super::{Loaded, Predictor};
use crate::data::{SampleInput, Stroke, TargetSchema};
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::model::{Hypothesis, Search};

/// A drawing that a model made.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Its strokes, in pixels of a picture of [`FRAME`](crate::data::strokes::FRAME) by as many.
    pub strokes: Vec<Stroke>,
    /// The logarithm of its probability, its end included where it has one.
    pub score: f64,
    /// The score divided by its length penalty.
    pub normalized: f64,
    /// Whether the model ended it; if not, it was cut off at the largest length.
    pub finished: bool,
}

impl<B: RecurrentBackend> Loaded<B> {
    pub(super) fn drawings(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Drawn>>> {
        let TargetSchema::Drawing(grid) = self.folder.schema.target else {
            return Err(Error::Input("the model draws nothing: only one of `strokes` data does".into()));
        };
        let drawn = |Hypothesis { tokens, score, normalized, finished, .. }| Drawn {
            strokes: grid.decode(&tokens),
            score,
            normalized,
            finished,
        };
        let found = self.search(inputs, search, n_steps)?;
        Ok(found.into_iter().map(|all| all.into_iter().map(drawn).collect()).collect())
    }
}
