//! What stands before the stack: features as they are, tokens through their embedding, words with their spelling.

use super::{d_features, embedding};
use crate::config::{CharactersConfig, Kernel, ModelConfig};
use crate::data::{Input, Words};
use crate::error::{Error, Result};
use crate::kernel::{Cell, RecurrentBackend};
use crate::recurrent::{Init, RecurrentStack, RecurrentStackConfig, dropout, mask};
use burn::module::Module;
use burn::nn::Embedding;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// The first layer of a model.
#[derive(Module, Debug)]
pub struct InputLayer<B: Backend> {
    /// One row a token; none where the input is features.
    pub embedding: Option<Embedding<B>>,
    /// Reads words' spellings.
    pub characters: Option<CharacterEncoder<B>>,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    embedding_dropout: f64,
    #[module(skip)]
    variational: bool,
    #[module(skip)]
    d_output: usize,
}

impl<B: RecurrentBackend> InputLayer<B> {
    pub(super) fn new(config: &ModelConfig, init: &mut Init, device: &B::Device) -> Result<Self> {
        let rows = || {
            config.vocabulary.ok_or_else(|| {
                Error::config(
                    "model.vocabulary",
                    "is not known: write the number of tokens that the model reads",
                )
            })
        };
        let embedding = match config.d_embedding {
            Some(d) => {
                let deviation = config.embedding_deviation.unwrap_or(1.0);
                Some(embedding([rows()?, d], deviation, init, device))
            }
            None => None,
        };
        let characters = match &config.characters {
            Some(characters) => Some(CharacterEncoder::new(characters, config.kernel, init, device)?),
            None => None,
        };
        let d_spelling = characters.as_ref().map_or(0, |c| c.stack.config().d_output());
        Ok(Self {
            embedding,
            characters,
            dropout: config.input_dropout,
            embedding_dropout: config.embedding_dropout,
            variational: config.variational,
            d_output: d_features(config)? + d_spelling,
        })
    }

    /// Features out.
    pub fn d_output(&self) -> usize {
        self.d_output
    }

    /// What the stack reads.
    ///
    /// # Shapes
    /// * input: features `[B, T, D]`, tokens `[B, T]`, or words of as many
    /// * output: `[B, T, D]`
    ///
    /// # Panics
    /// If the input is of another kind than the model's.
    pub fn forward(&self, input: Input<B>) -> Tensor<B, 3> {
        let features = match (&self.embedding, &self.characters, input) {
            (Some(embedding), None, Input::Tokens(tokens)) => self.embed(embedding, tokens),
            (Some(embedding), Some(characters), Input::Words(words)) => {
                Tensor::cat(vec![self.embed(embedding, words.tokens.clone()), characters.forward(words)], 2)
            }
            (None, _, Input::Features(features)) => features,
            (Some(_), Some(_), _) => panic!("a model of spelled words reads words with their spelling"),
            (Some(_), None, _) => panic!("a token model reads tokens [B, T]"),
            (None, ..) => panic!("a feature model reads features [B, T, D], not tokens"),
        };
        // [B, T, D]
        dropout(features, self.dropout, self.variational.then_some(1))
    }

    fn embed(&self, embedding: &Embedding<B>, tokens: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        let device = tokens.device();
        let features = embedding.forward(tokens.clone());
        if self.embedding_dropout == 0.0 || !B::ad_enabled(&device) {
            return features;
        }
        // A token is there in the whole batch, or nowhere.
        let [rows, _] = embedding.weight.dims();
        let [batch, n_steps] = tokens.dims();
        let kept: Tensor<B, 1> = mask([rows], self.embedding_dropout, &device);
        features * kept.select(0, tokens.flatten(0, 1)).reshape([batch, n_steps, 1])
    }
}

/// What a word's spelling says: the two final states of a bidirectional LSTM over its characters
/// ([Plank et al. 2016](https://aclanthology.org/P16-2067)). A model so knows something of words that it has never
/// seen.
#[derive(Module, Debug)]
pub struct CharacterEncoder<B: Backend> {
    embedding: Embedding<B>,
    stack: RecurrentStack<B>,
}

impl<B: RecurrentBackend> CharacterEncoder<B> {
    fn new(config: &CharactersConfig, kernel: Kernel, init: &mut Init, device: &B::Device) -> Result<Self> {
        let rows = config.vocabulary.ok_or_else(|| {
            let message = "is not known: write the number of characters that words are spelled with";
            Error::config("model.characters.vocabulary", message)
        })?;
        let stack = RecurrentStackConfig {
            bidirectional: true,
            kernel,
            ..RecurrentStackConfig::new(Cell::Lstm, config.d_embedding, config.d_hidden)
        };
        Ok(Self {
            embedding: embedding([rows, config.d_embedding], 1.0, init, device),
            stack: stack.init(init, device),
        })
    }

    /// Each distinct spelling is read once. `[B, T, O]`, O = 2·H; past a sentence's end anything.
    pub fn forward(&self, words: Words<B>) -> Tensor<B, 3> {
        let [batch, n_steps] = words.index.dims();
        let characters = self.embedding.forward(words.characters);
        let state = self.stack.forward(characters, words.lengths.as_deref(), None).state;
        let spellings = self.stack.last_hidden(&state);
        spellings.select(0, words.index.flatten(0, 1)).reshape([
            batch,
            n_steps,
            self.stack.config().d_output(),
        ])
    }
}
