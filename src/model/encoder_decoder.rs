//! One stack reads a sequence, a second one writes another
//! ([Sutskever et al. 2014](https://arxiv.org/abs/1409.3215), [Cho et al. 2014](https://arxiv.org/abs/1406.1078)).

use super::attention::{Attention, Memory};
use super::{InputLayer, Prediction, embedding, linear, project, stack_config};
use crate::config::{IoMode, ModelConfig};
use crate::data::Input;
use crate::data::batch::pad_tokens;
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::recurrent::{Init, RecurrentStack, RecurrentState, dropout};
use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

/// The target class that ends a sequence.
pub const END: u32 = 0;

/// An encoder whose final state starts the decoder.
///
/// The decoder reads its last token and writes the next, until [`END`]. Where the encoder runs in
/// two directions, a learned bridge makes one state of two, layer by layer.
///
/// With [attention](Attention), the head reads at each step what the decoder finds looking back at the
/// encoder's outputs; with input feeding, the decoder reads that too, beside the next token.
///
/// A one-to-many model of texts or drawings is a decoder alone: it starts from zeros, and reads its one input vector
/// beside every token, or a projection of the vector, which is computed once a sequence.
#[derive(Module, Debug)]
pub struct EncoderDecoder<B: Backend> {
    /// What the encoder reads.
    pub input: InputLayer<B>,
    /// Between the vector and a decoder that is alone.
    projection: Option<Linear<B>>,
    /// Reads; none where the decoder is alone.
    pub encoder: Option<RecurrentStack<B>>,
    bridge: Option<Linear<B>>,
    cell_bridge: Option<Linear<B>>,
    /// One row a target token, and a last one that starts a sequence.
    target_embedding: Embedding<B>,
    /// Writes.
    pub decoder: RecurrentStack<B>,
    /// Looks back.
    pub attention: Option<Attention<B>>,
    head: Option<Linear<B>>,
    /// Beside the target embedding, where its weight is the head's.
    tied_bias: Option<Param<Tensor<B, 1>>>,
    #[module(skip)]
    config: ModelConfig,
}

/// What a decoder says of given tokens.
#[derive(Clone, Debug)]
pub struct Decoded<B: Backend> {
    /// The head's output, `[B, T, O]`.
    pub output: Tensor<B, 3>,
    /// Where attention looked, `[B, T, S]`: at each step the weights of the source's steps.
    pub attention: Option<Tensor<B, 3>>,
}

/// What was read.
pub(super) struct Source<B: Backend> {
    /// The encoder's final state.
    read: RecurrentState<B>,
    /// Where the decoder starts.
    pub(super) start: Place<B>,
    pub(super) memory: Option<Memory<B>>,
}

/// Where a decoder stands in so many rows, N.
pub(super) struct Place<B: Backend> {
    state: RecurrentState<B>,
    /// What the decoder reads beside a token: with input feeding what attention gave at the step before, `[N, F]`;
    /// alone the input or its projection, `[N, D]`.
    fed: Option<Tensor<B, 2>>,
}

impl<B: Backend> Place<B> {
    /// That of some rows.
    pub(super) fn select(self, rows: Tensor<B, 1, Int>) -> Self {
        Self { state: self.state.select(rows.clone()), fed: self.fed.map(|fed| fed.select(0, rows)) }
    }
}

/// What comes of a step in N = B·K rows, the K of a sequence one after the other.
pub(super) struct Step<B: Backend> {
    /// What the head reads, `[N, F]`.
    pub(super) features: Tensor<B, 2>,
    /// `[B, K, S]`
    pub(super) weights: Option<Tensor<B, 3>>,
    pub(super) place: Place<B>,
}

/// The output layer: `[F, O]` and `[O]`.
pub(super) struct Head<B: Backend> {
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
}

impl<B: RecurrentBackend> Head<B> {
    pub(super) fn write<const N: usize>(&self, features: Tensor<B, N>) -> Tensor<B, N> {
        B::affine(features, self.weight.clone(), self.bias.clone())
    }
}

impl<B: RecurrentBackend> EncoderDecoder<B> {
    pub(super) fn new(config: &ModelConfig, init: &mut Init, device: &B::Device) -> Result<Self> {
        let d_target = config.d_output.ok_or_else(|| {
            Error::config(
                "model.d_output",
                "is not known: write the number of target tokens, the end symbol included",
            )
        })?;
        let input = InputLayer::new(config, init, device)?;
        let d_embedding = config.d_feedback.unwrap_or(input.d_output());
        let d = config.d_hidden;
        let d_features = if config.attention.is_some() && config.tie_weights { d_embedding } else { d };
        let alone = config.mode == IoMode::OneToMany;
        let d_fed = match config.input_feeding {
            _ if alone => config.d_projection.unwrap_or(input.d_output()),
            true => d_features,
            false => 0,
        };
        let projection = config.d_projection.map(|d| linear(input.d_output(), d, true, init, device));
        let encoder = stack_config(config, d_embedding, config.bidirectional);
        let decoder = stack_config(config, d_embedding + d_fed, false);
        let mut bridge = |wanted: bool| wanted.then(|| linear(2 * d, d, true, init, device));
        let (state_bridge, cell_bridge) =
            (bridge(config.bidirectional), bridge(config.bidirectional && encoder.cell.has_cell_state()));
        let d_memory = encoder.d_output();
        let deviation = config.embedding_deviation.unwrap_or(1.0);
        Ok(Self {
            input,
            projection,
            encoder: (!alone).then(|| encoder.init(init, device)),
            bridge: state_bridge,
            cell_bridge,
            target_embedding: embedding([d_target + 1, d_embedding], deviation, init, device),
            decoder: decoder.init(init, device),
            attention: config
                .attention
                .map(|kind| Attention::new(kind, config.bias, [d_memory, d, d_features], init, device)),
            head: (!config.tie_weights)
                .then(|| linear(d_features, d_target, config.head_has_bias(), init, device)),
            tied_bias: (config.tie_weights && config.head_has_bias())
                .then(|| init.constant([d_target], 0.0, device)),
            config: config.clone(),
        })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The output at every target step, the true tokens before it given.
    ///
    /// # Shapes
    /// * input: tokens `[B, S]`; of a decoder alone what the model reads, `[B, 1, D]` or tokens `[B, 1]`
    /// * target: `[B, T]`
    /// * output: `[B, T, O]`
    pub fn forward_given(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        target: Tensor<B, 2, Int>,
    ) -> Tensor<B, 3> {
        let read = self.given(target);
        self.run(input, lengths, read).output
    }

    /// What the decoder reads where the target is given: the token that starts a sequence, and all of the
    /// target but its last step. `[B, T]`.
    pub fn given(&self, target: Tensor<B, 2, Int>) -> Tensor<B, 2, Int> {
        let [batch, n_steps] = target.dims();
        let start = self.tokens(&vec![self.start_token(); batch], &target.device());
        if n_steps > 1 {
            Tensor::cat(vec![start, target.slice([0..batch, 0..n_steps - 1])], 1)
        } else {
            start
        }
    }

    /// What scheduled sampling has the decoder read ([Bengio et al. 2015](https://arxiv.org/abs/1506.03099)):
    /// as [`given`](Self::given), but where `truth` says no, the token that the decoder finds most probable
    /// itself after what it has read so far. It is asked once a sequence and step, but the first step, which
    /// always starts a sequence. `[B, T]`.
    pub fn sampled(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        target: Tensor<B, 2, Int>,
        mut truth: impl FnMut() -> bool,
    ) -> Tensor<B, 2, Int> {
        let [batch, n_steps] = target.dims();
        let device = target.device();
        let asked: Vec<Vec<bool>> = (1..n_steps).map(|_| (0..batch).map(|_| truth()).collect()).collect();
        if asked.iter().flatten().all(|&truth| truth) {
            return self.given(target);
        }
        let given = ints(self.given(target));
        let mut read: Vec<Vec<i64>> = vec![(0..batch).map(|b| given[b * n_steps]).collect()];
        let head = self.head();
        let Source { start: mut place, memory, .. } = self.source(input, lengths);
        for (t, truths) in (1..n_steps).zip(asked) {
            let step = self.step(&read[t - 1], place, memory.as_ref(), &device);
            place = step.place;
            let mut tokens: Vec<i64> = (0..batch).map(|b| given[b * n_steps + t]).collect();
            if truths.contains(&false) {
                let own = ints(head.write(step.features).argmax(1));
                let own = own.into_iter().zip(truths).zip(&mut tokens);
                own.filter(|((_, truth), _)| !truth).for_each(|((own, _), token)| *token = own);
            }
            read.push(tokens);
        }
        let read = (0..batch).flat_map(|b| read.iter().map(move |tokens| tokens[b])).collect();
        Tensor::from_data(TensorData::new(read, [batch, n_steps]), &device)
    }

    /// What the decoder says at each step, given all that it reads: the first token of a sequence, as
    /// [`given`](Self::given) has it, then others. Without input feeding it runs over all steps at once.
    ///
    /// # Shapes
    /// * input: tokens `[B, S]`
    /// * read: `[B, T]`
    pub fn run(&self, input: Input<B>, lengths: Option<&[usize]>, read: Tensor<B, 2, Int>) -> Decoded<B> {
        // Before the embedding goes into anything else; see `RecurrentStack::forward`.
        let head = self.head();
        let locked = self.config.variational.then_some(1);
        let embedded = dropout(self.target_embedding.forward(read), self.config.input_dropout, locked);
        if self.config.input_feeding {
            return self.run_fed(input, lengths, embedded, &head);
        }
        let Source { start: Place { state, fed }, memory, .. } = self.source(input, lengths);
        let read = match fed {
            Some(fed) => {
                let ([batch, n_steps, _], [_, d]) = (embedded.dims(), fed.dims());
                Tensor::cat(vec![embedded, fed.unsqueeze_dim::<3>(1).expand([batch, n_steps, d])], 2)
            }
            None => embedded,
        };
        let hidden = self.decoder.forward(read, None, Some(state)).output;
        let (features, attention) = self.look_back(hidden, memory.as_ref());
        Decoded { output: head.write(dropout(features, self.config.head_dropout, locked)), attention }
    }

    /// [`run`](Self::run) with input feeding: step by step.
    fn run_fed(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        embedded: Tensor<B, 3>,
        head: &Head<B>,
    ) -> Decoded<B> {
        let [batch, n_steps, _] = embedded.dims();
        let step = |t: usize| embedded.clone().slice([0..batch, t..t + 1]).squeeze_dim(1);
        // All of them first; see `RecurrentStack::forward`.
        let embedded: Vec<Tensor<B, 2>> = (0..n_steps).map(step).collect();
        let Source { start: mut place, memory, .. } = self.source(input, lengths);
        let (mut features, mut weights) = (Vec::new(), Vec::new());
        for embedded in embedded {
            let step = self.advance(embedded, place, memory.as_ref());
            place = step.place;
            features.push(step.features.unsqueeze_dim(1));
            weights.extend(step.weights);
        }
        Decoded { output: head.write(Tensor::cat(features, 1)), attention: Some(Tensor::cat(weights, 1)) }
    }

    /// The logarithm of the probability that the model gives each of some outputs, [`END`] included where
    /// it is there: the sum over its tokens.
    ///
    /// # Panics
    /// If there is not one output for each input, or one has no token.
    pub fn score(&self, input: Input<B>, lengths: Option<&[usize]>, targets: &[Vec<u32>]) -> Vec<f64> {
        let (batch, device) = (input.shape()[0], input.device());
        assert_eq!(targets.len(), batch, "{} outputs for {batch} inputs", targets.len());
        assert!(targets.iter().all(|target| !target.is_empty()), "an output has no token");
        let (classes, _) = pad_tokens(targets, &device);
        let output = self.forward_given(input, lengths, classes.clone());
        let losses = B::cross_entropy(output, classes, 0.0);
        let [_, n_steps] = losses.dims();
        let losses: Vec<f32> = losses.into_data().convert::<f32>().to_vec().expect("losses are floats");
        let rows = losses.chunks_exact(n_steps).zip(targets);
        rows.map(|(row, target)| -row[..target.len()].iter().map(|&loss| f64::from(loss)).sum::<f64>())
            .collect()
    }

    /// Writes greedily, at most `n_steps` tokens; a sequence's length counts its [`END`], where it
    /// reached one.
    ///
    /// # Shapes
    /// * input: tokens `[B, S]`
    /// * output: `[B, T, O]`, T the longest of what was written
    pub fn decode(&self, input: Input<B>, lengths: Option<&[usize]>, n_steps: usize) -> Prediction<B> {
        let device = input.device();
        let head = self.head();
        let Source { read, start: mut place, memory } = self.source(input, lengths);
        let batch = read.batch();
        let mut tokens = vec![self.start_token(); batch];
        let mut written: Vec<Option<usize>> = vec![None; batch];
        let mut outputs: Vec<Tensor<B, 2>> = Vec::new();
        while outputs.len() < n_steps && written.contains(&None) {
            let step = self.step(&tokens, place, memory.as_ref(), &device);
            place = step.place;
            let output = head.write(step.features);
            tokens = ints(output.clone().argmax(1));
            outputs.push(output);
            for (slot, &token) in written.iter_mut().zip(&tokens) {
                if token == i64::from(END) {
                    slot.get_or_insert(outputs.len());
                }
            }
        }
        let lengths = written.into_iter().map(|length| length.unwrap_or(outputs.len())).collect();
        Prediction { output: Tensor::stack(outputs, 1), lengths: Some(lengths), state: read }
    }

    /// Reads.
    pub(super) fn source(&self, input: Input<B>, lengths: Option<&[usize]>) -> Source<B> {
        let input = self.input.forward(input);
        let Some(encoder) = &self.encoder else {
            let read = self.decoder.zero_state(input.dims()[0], &input.device());
            let vector: Tensor<B, 2> = input.squeeze_dim(1);
            let fed = match &self.projection {
                Some(linear) => dropout(project(linear, vector).tanh(), self.config.dropout, None),
                None => vector,
            };
            let start = Place { state: read.clone(), fed: Some(fed) };
            return Source { read, start, memory: None };
        };
        let run = encoder.forward(input, lengths, None);
        let (read, device) = (run.state, run.output.device());
        let bridge = |linear: &Option<Linear<B>>, part: Tensor<B, 3>| match linear {
            None => part,
            Some(linear) => {
                let [rows, batch, d] = part.dims();
                let pairs =
                    part.reshape([rows / 2, 2, batch, d]).swap_dims(1, 2).reshape([rows / 2, batch, 2 * d]);
                project(linear, pairs).tanh()
            }
        };
        let state = RecurrentState {
            hidden: bridge(&self.bridge, read.hidden.clone()),
            cell: read.cell.clone().map(|cell| bridge(&self.cell_bridge, cell)),
        };
        let d_fed = self.decoder.config().d_input - self.target_embedding.weight.dims()[1];
        let fed = self.config.input_feeding.then(|| Tensor::zeros([read.batch(), d_fed], &device));
        let memory = self.attention.as_ref().map(|attention| attention.remember(run.output, lengths));
        Source { read, start: Place { state, fed }, memory }
    }

    pub(super) fn head(&self) -> Head<B> {
        match &self.head {
            Some(head) => Head { weight: head.weight.val(), bias: head.bias.as_ref().map(Param::val) },
            None => {
                // All rows but that of the token that starts a sequence.
                let rows = self.start_token() as usize;
                let weight = self.target_embedding.weight.val().slice([0..rows]).transpose();
                Head { weight, bias: self.tied_bias.as_ref().map(Param::val) }
            }
        }
    }

    /// Reads one token a row, and goes on.
    pub(super) fn step(
        &self,
        tokens: &[i64],
        place: Place<B>,
        memory: Option<&Memory<B>>,
        device: &B::Device,
    ) -> Step<B> {
        self.advance(self.target_embedding.forward(self.tokens(tokens, device)).squeeze_dim(1), place, memory)
    }

    /// Goes on by one embedded token a row, `[N, D]`.
    fn advance(&self, embedded: Tensor<B, 2>, place: Place<B>, memory: Option<&Memory<B>>) -> Step<B> {
        let Place { state, fed } = place;
        let input = match &fed {
            Some(fed) => Tensor::cat(vec![embedded, fed.clone()], 1),
            None => embedded,
        };
        let (hidden, state) = self.decoder.step(input, state);
        let [rows, d] = hidden.dims();
        let batch = memory.map_or(rows, Memory::batch);
        let (features, weights) = self.look_back(hidden.reshape([batch, rows / batch, d]), memory);
        let [_, _, d] = features.dims();
        let features = dropout(features.reshape([rows, d]), self.config.head_dropout, None);
        let fed = if self.config.input_feeding { Some(features.clone()) } else { fed };
        Step { features, weights, place: Place { state, fed } }
    }

    /// What the head reads, and where attention looked.
    fn look_back(
        &self,
        hidden: Tensor<B, 3>,
        memory: Option<&Memory<B>>,
    ) -> (Tensor<B, 3>, Option<Tensor<B, 3>>) {
        match (&self.attention, memory) {
            (Some(attention), Some(memory)) => {
                let (features, weights) = attention.attend(hidden, memory);
                (features, Some(weights))
            }
            _ => (hidden, None),
        }
    }

    /// The token that starts a sequence: one past the target's.
    pub(super) fn start_token(&self) -> i64 {
        self.target_embedding.weight.dims()[0] as i64 - 1
    }

    /// `[N, 1]`
    fn tokens(&self, tokens: &[i64], device: &B::Device) -> Tensor<B, 2, Int> {
        Tensor::from_data(TensorData::new(tokens.to_vec(), [tokens.len(), 1]), device)
    }
}

fn ints<B: Backend>(tensor: Tensor<B, 2, Int>) -> Vec<i64> {
    tensor.into_data().convert::<i64>().to_vec().expect("tokens are integers")
}
