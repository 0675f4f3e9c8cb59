//! One stack reads a sequence, a second one writes another
//! ([Sutskever et al. 2014](https://arxiv.org/abs/1409.3215), [Cho et al. 2014](https://arxiv.org/abs/1406.1078)).

use super::{InputLayer, Prediction, embedding, linear, project, stack_config};
use crate::config::ModelConfig;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::recurrent::{Init, RecurrentStack, RecurrentState};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Embedding, Linear};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

/// The target class that ends a sequence.
pub const END: u32 = 0;

/// An encoder whose final state starts the decoder.
///
/// The decoder reads its last token and writes the next, until [`END`]. Where the encoder runs in
/// two directions, a learned bridge makes one state of two, layer by layer.
#[derive(Module, Debug)]
pub struct EncoderDecoder<B: Backend> {
    /// What the encoder reads.
    pub input: InputLayer<B>,
    /// Reads.
    pub encoder: RecurrentStack<B>,
    bridge: Option<Linear<B>>,
    cell_bridge: Option<Linear<B>>,
    /// One row a target token, and a last one that starts a sequence.
    target_embedding: Embedding<B>,
    /// Writes.
    pub decoder: RecurrentStack<B>,
    dropout: Dropout,
    head: Linear<B>,
    #[module(skip)]
    config: ModelConfig,
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
        let d_embedding = input.d_output();
        let encoder = stack_config(config, d_embedding, config.bidirectional);
        let decoder = stack_config(config, d_embedding, false);
        let d = config.d_hidden;
        let mut bridge = |wanted: bool| wanted.then(|| linear(2 * d, d, true, init, device));
        let (state_bridge, cell_bridge) =
            (bridge(config.bidirectional), bridge(config.bidirectional && encoder.cell.has_cell_state()));
        Ok(Self {
            input,
            encoder: encoder.init(init, device),
            bridge: state_bridge,
            cell_bridge,
            target_embedding: embedding(
                [d_target + 1, d_embedding],
                config.embedding_deviation.unwrap_or(1.0),
                init,
                device,
            ),
            decoder: decoder.init(init, device),
            dropout: DropoutConfig::new(config.head_dropout).init(),
            head: linear(d, d_target, config.bias, init, device),
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
    /// * input: tokens `[B, S]`
    /// * target: `[B, T]`
    /// * output: `[B, T, O]`
    pub fn forward_given(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        target: Tensor<B, 2, Int>,
    ) -> Tensor<B, 3> {
        let [batch, n_steps] = target.dims();
        let state = self.read(input, lengths).1;
        let start = self.start(batch, &target.device());
        let given = if n_steps > 1 {
            Tensor::cat(vec![start, target.slice([0..batch, 0..n_steps - 1])], 1)
        } else {
            start
        };
        let run = self.decoder.forward(self.target_embedding.forward(given), None, Some(state));
        project(&self.head, self.dropout.forward(run.output))
    }

    /// Writes greedily, at most `n_steps` tokens; a sequence's length counts its [`END`], where it
    /// reached one.
    ///
    /// # Shapes
    /// * input: tokens `[B, S]`
    /// * output: `[B, T, O]`, T the longest of what was written
    pub fn decode(&self, input: Input<B>, lengths: Option<&[usize]>, n_steps: usize) -> Prediction<B> {
        let device = input.device();
        let (read, mut state) = self.read(input, lengths);
        let batch = state.batch();
        let mut token = self.start(batch, &device);
        let mut written: Vec<Option<usize>> = vec![None; batch];
        let mut outputs: Vec<Tensor<B, 2>> = Vec::new();
        while outputs.len() < n_steps && written.contains(&None) {
            let step = self.target_embedding.forward(token).squeeze_dim(1);
            let (hidden, new) = self.decoder.step(step, state);
            state = new;
            let output = project(&self.head, self.dropout.forward(hidden));
            token = output.clone().argmax(1);
            outputs.push(output);
            let tokens =
                token.clone().into_data().convert::<i64>().to_vec::<i64>().expect("tokens are integers");
            for (slot, token) in written.iter_mut().zip(tokens) {
                if token == i64::from(END) {
                    slot.get_or_insert(outputs.len());
                }
            }
        }
        let lengths = written.into_iter().map(|length| length.unwrap_or(outputs.len())).collect();
        Prediction { output: Tensor::stack(outputs, 1), lengths: Some(lengths), state: read }
    }

    /// The encoder's final state, and what the decoder makes of it.
    fn read(&self, input: Input<B>, lengths: Option<&[usize]>) -> (RecurrentState<B>, RecurrentState<B>) {
        let state = self.encoder.forward(self.input.forward(input), lengths, None).state;
        let bridge = |linear: &Option<Linear<B>>, part: Tensor<B, 3>| match linear {
            None => part,
            Some(linear) => {
                let [rows, batch, d] = part.dims();
                let pairs =
                    part.reshape([rows / 2, 2, batch, d]).swap_dims(1, 2).reshape([rows / 2, batch, 2 * d]);
                project(linear, pairs).tanh()
            }
        };
        let start = RecurrentState {
            hidden: bridge(&self.bridge, state.hidden.clone()),
            cell: state.cell.clone().map(|cell| bridge(&self.cell_bridge, cell)),
        };
        (state, start)
    }

    /// The token that starts a sequence, `[B, 1]`.
    fn start(&self, batch: usize, device: &B::Device) -> Tensor<B, 2, Int> {
        let row = self.target_embedding.weight.dims()[0] as i64 - 1;
        Tensor::from_data(TensorData::new(vec![row; batch], [batch, 1]), device)
    }
}
