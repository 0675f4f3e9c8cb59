//! A decoder's look back at what was read
//! ([Bahdanau et al. 2015](https://arxiv.org/abs/1409.0473), [Luong et al. 2015](https://arxiv.org/abs/1508.04025)).

use super::{linear, project};
use crate::config::AttentionScore;
use crate::data::padding;
use crate::kernel::RecurrentBackend;
use crate::recurrent::Init;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor};

/// Attention after the decoder's stack, as Luong et al. have it: of the decoder's hidden state h and the
/// encoder's outputs m, `tanh(W [c; h])` with `c = Σ softmax(score(h, m)) m`.
///
/// M features of the encoder's outputs, H of the decoder's, F of what attention gives.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Of the encoder's outputs, `[M, H]`; none where the score is their product.
    memory: Option<Linear<B>>,
    /// Of the decoder's, `[H, H]`: additive only.
    query: Option<Linear<B>>,
    /// v, `[H, 1]`: additive only.
    score: Option<Linear<B>>,
    /// `[M + H, F]`
    combine: Linear<B>,
}

/// What attention looks back at.
#[derive(Clone, Debug)]
pub struct Memory<B: Backend> {
    /// The encoder's outputs, `[B, S, M]`.
    values: Tensor<B, 3>,
    keys: Keys<B>,
    /// `[B, 1, S]`, true past a source's end.
    padding: Option<Tensor<B, 3, Bool>>,
}

/// What a decoder's hidden state is held against.
#[derive(Clone, Debug)]
enum Keys<B: Backend> {
    /// By a product: `[B, H, S]`.
    Product(Tensor<B, 3>),
    /// By a sum: `[B, 1, S, H]`.
    Sum(Tensor<B, 4>),
}

impl<B: Backend> Memory<B> {
    /// Sequences, B.
    pub(super) fn batch(&self) -> usize {
        self.values.dims()[0]
    }

    /// That of some sequences.
    pub(super) fn select(self, rows: Tensor<B, 1, Int>) -> Self {
        Self {
            values: self.values.select(0, rows.clone()),
            keys: match self.keys {
                Keys::Product(keys) => Keys::Product(keys.select(0, rows.clone())),
                Keys::Sum(keys) => Keys::Sum(keys.select(0, rows.clone())),
            },
            padding: self.padding.map(|padding| padding.select(0, rows)),
        }
    }
}

impl<B: RecurrentBackend> Attention<B> {
    pub(super) fn new(
        kind: AttentionScore,
        bias: bool,
        [d_memory, d_hidden, d_output]: [usize; 3],
        init: &mut Init,
        device: &B::Device,
    ) -> Self {
        let additive = kind == AttentionScore::Additive;
        let mut part = |there: bool, d_in: usize, d_out: usize, bias: bool| {
            there.then(|| linear(d_in, d_out, bias, init, device))
        };
        Self {
            memory: part(kind != AttentionScore::Dot, d_memory, d_hidden, false),
            query: part(additive, d_hidden, d_hidden, bias),
            score: part(additive, d_hidden, 1, false),
            combine: linear(d_memory + d_hidden, d_output, false, init, device),
        }
    }

    /// The encoder's outputs, `[B, S, M]`, made ready to be looked at.
    pub fn remember(&self, outputs: Tensor<B, 3>, lengths: Option<&[usize]>) -> Memory<B> {
        let [batch, n_steps, _] = outputs.dims();
        let padding = padding(lengths, [batch, n_steps], &outputs.device());
        let keys = match &self.memory {
            Some(linear) => project(linear, outputs.clone()),
            None => outputs.clone(),
        };
        Memory {
            values: outputs,
            keys: match self.query {
                None => Keys::Product(keys.swap_dims(1, 2)),
                Some(_) => Keys::Sum(keys.unsqueeze_dim(1)),
            },
            padding: padding.map(|padding| padding.unsqueeze_dim(1)),
        }
    }

    /// What attention gives at T steps that do not depend on each other, and the weights of the source's
    /// steps: they sum to one, and those of padding are zero.
    ///
    /// # Shapes
    /// * hidden: `[B, T, H]`
    /// * outputs: `[B, T, F]`, `[B, T, S]`
    pub fn attend(&self, hidden: Tensor<B, 3>, memory: &Memory<B>) -> (Tensor<B, 3>, Tensor<B, 3>) {
        let mut scores: Tensor<B, 3> = match (&memory.keys, &self.query, &self.score) {
            (Keys::Sum(keys), Some(query), Some(score)) => {
                let query: Tensor<B, 4> = project(query, hidden.clone()).unsqueeze_dim(2);
                project(score, (query + keys.clone()).tanh()).squeeze_dim(3)
            }
            (Keys::Product(keys), ..) => hidden.clone().matmul(keys.clone()),
            (Keys::Sum(_), ..) => unreachable!("only additive attention adds, and it has both weights"),
        };
        if let Some(padding) = &memory.padding {
            scores = scores.clone().mask_fill(padding.clone().expand(scores.dims()), f32::MIN);
        }
        let weights = softmax(scores, 2);
        let context = weights.clone().matmul(memory.values.clone());
        (project(&self.combine, Tensor::cat(vec![context, hidden], 2)).tanh(), weights)
    }
}
