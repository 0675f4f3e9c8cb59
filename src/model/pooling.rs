//! One vector of a sequence, from its valid steps alone.

use super::{linear, project};
use crate::config::Pooling;
use crate::data::padding;
use crate::kernel::RecurrentBackend;
use crate::recurrent::Init;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};

/// A learned weighting of steps: `softmax(w · tanh(U h_t))` over the valid ones
/// ([Yang et al. 2016](https://aclanthology.org/N16-1174)).
#[derive(Module, Debug)]
pub struct AttentionPooling<B: Backend> {
    hidden: Linear<B>,
    score: Linear<B>,
}

impl<B: RecurrentBackend> AttentionPooling<B> {
    pub(super) fn new(d: usize, init: &mut Init, device: &B::Device) -> Self {
        Self { hidden: linear(d, d, true, init, device), score: linear(d, 1, false, init, device) }
    }

    /// `[B, T, O]` and what of it is padding to weights `[B, T, 1]` that sum to one.
    pub fn weights(&self, steps: Tensor<B, 3>, padding: Option<Tensor<B, 2, Bool>>) -> Tensor<B, 3> {
        let mut scores = project(&self.score, project(&self.hidden, steps).tanh());
        if let Some(padding) = padding {
            scores = scores.mask_fill(padding.unsqueeze_dim(2), f32::MIN);
        }
        softmax(scores, 1)
    }
}

/// `[B, T, O]` to `[B, O]`; [`Pooling::Last`] is the stack's own final state and not made here.
pub(super) fn pool<B: RecurrentBackend>(
    pooling: Pooling,
    attention: Option<&AttentionPooling<B>>,
    steps: Tensor<B, 3>,
    lengths: Option<&[usize]>,
) -> Tensor<B, 2> {
    let [batch, n_steps, d] = steps.dims();
    let device = steps.device();
    let padding = padding::<B>(lengths, [batch, n_steps], &device);
    let pooled = match pooling {
        Pooling::Last => unreachable!("the final state is the stack's"),
        Pooling::Mean => {
            // Steps past the end are zero already.
            let sum = steps.sum_dim(1);
            match lengths {
                None => sum / n_steps as f64,
                Some(lengths) => {
                    let counts: Vec<f32> = lengths.iter().map(|&length| length as f32).collect();
                    sum / Tensor::<B, 1>::from_floats(counts.as_slice(), &device).reshape([batch, 1, 1])
                }
            }
        }
        Pooling::Max => {
            let steps = match padding {
                Some(padding) => {
                    steps.mask_fill(padding.unsqueeze_dim::<3>(2).expand([batch, n_steps, d]), f32::MIN)
                }
                None => steps,
            };
            steps.max_dim(1)
        }
        Pooling::Attention => {
            let attention = attention.expect("attention pooling has weights");
            (attention.weights(steps.clone(), padding) * steps).sum_dim(1)
        }
    };
    pooled.squeeze_dim(1)
}
