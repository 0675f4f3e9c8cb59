//! One stack between an input and a head, in every mode that needs no second stack.

use super::pooling::{AttentionPooling, pool};
use super::{Features, InputLayer, Prediction, linear, project, stack_config};
use crate::config::{Feedback, IoMode, ModelConfig, OutputActivation, Pooling};
use crate::data::{Input, Target};
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::recurrent::{Init, RecurrentStack, RecurrentState, dropout};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// Features or embedded tokens, a stack, and a head `y = g(W h + b)`.
///
/// * one-to-one, many-to-many: the head at every step.
/// * many-to-one: the head on the pooled sequence.
/// * one-to-many: at every step the stack reads the input beside its own last output (zeros at
///   first; for classes the most probable one, one-hot), and the head writes the next.
#[derive(Module, Debug)]
pub struct SequenceModel<B: Backend> {
    /// What the stack reads.
    pub input: InputLayer<B>,
    /// The recurrent part.
    pub stack: RecurrentStack<B>,
    attention: Option<AttentionPooling<B>>,
    head: Option<Linear<B>>,
    /// Beside the embedding, where its weight is the head's.
    tied_bias: Option<Param<Tensor<B, 1>>>,
    #[module(skip)]
    config: ModelConfig,
}

impl<B: RecurrentBackend> SequenceModel<B> {
    pub(super) fn new(config: &ModelConfig, init: &mut Init, device: &B::Device) -> Result<Self> {
        let input = InputLayer::new(config, init, device)?;
        let mut d_input = input.d_output();
        let mut stack = stack_config(config, d_input, config.bidirectional);
        let d_output = config.d_output.unwrap_or(stack.d_output());
        if config.mode == IoMode::OneToMany {
            d_input += d_output;
            stack.d_input = d_input;
        }
        let (mut head, mut tied_bias) = (None, None);
        match config.d_output {
            Some(d) if config.tie_weights => {
                tied_bias = config.head_has_bias().then(|| init.constant([d], 0.0, device));
            }
            Some(d) => head = Some(linear(stack.d_output(), d, config.head_has_bias(), init, device)),
            None if config.head_bias.is_some() => {
                let message = "there is no head: write d_output, or leave it out";
                return Err(Error::config("model.head_bias", message));
            }
            None => {}
        }
        let attention = config.pooling == Some(Pooling::Attention);
        Ok(Self {
            input,
            attention: attention.then(|| AttentionPooling::new(stack.d_output(), init, device)),
            head,
            tied_bias,
            stack: stack.init(init, device),
            config: config.clone(),
        })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Runs over whole sequences: every mode but one-to-many.
    ///
    /// # Shapes
    /// * input: `[B, T, D]`, or tokens `[B, T]`
    /// * output: `[B, T, O]`; many-to-one: `[B, 1, O]`
    pub fn forward(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        state: Option<RecurrentState<B>>,
    ) -> Prediction<B> {
        self.run(input, lengths, state).0
    }

    /// [`forward`](Self::forward), and what the head read.
    pub fn run(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        state: Option<RecurrentState<B>>,
    ) -> (Prediction<B>, Features<B>) {
        let run = self.stack.forward(self.input.forward(input), lengths, state);
        let many_to_one = self.config.mode == IoMode::ManyToOne;
        let features = if many_to_one {
            let pooled = match self.config.pooling.unwrap_or_default() {
                Pooling::Last => self.stack.last_hidden(&run.state),
                pooling => pool(pooling, self.attention.as_ref(), run.output, lengths),
            };
            pooled.unsqueeze_dim(1)
        } else {
            run.output
        };
        let lengths = lengths.filter(|_| !many_to_one).map(<[usize]>::to_vec);
        let dropped = self.drop(features.clone());
        let output = self.write(dropped.clone());
        (Prediction { output, lengths, state: run.state }, Features { raw: features, dropped })
    }

    /// What the lowest `n_layers` layers of the stack give at every step, `[B, T, O]`.
    pub fn hidden(&self, input: Input<B>, n_layers: usize) -> Tensor<B, 3> {
        self.stack.lowest(n_layers).forward(self.input.forward(input), None, None).output
    }

    /// One-to-many with the true outputs fed back.
    ///
    /// # Shapes
    /// * input: `[B, 1, D]`, or tokens `[B, 1]`
    /// * output: `[B, T, O]`
    pub(super) fn forward_given(&self, input: Input<B>, target: &Target<B>) -> Tensor<B, 3> {
        let input = self.input.forward(input);
        let [batch, _, d_input] = input.dims();
        let truth = match target {
            Target::Features(y) => y.clone(),
            Target::Classes(y) => y.clone().one_hot::<3>(self.d_output()).float(),
            Target::Tasks(_) => panic!("a multi-task model is another"),
        };
        let [_, n_steps, d_output] = truth.dims();
        let start = Tensor::zeros([batch, 1, d_output], &truth.device());
        let fed_back = if n_steps > 1 {
            Tensor::cat(vec![start, truth.slice([0..batch, 0..n_steps - 1])], 1)
        } else {
            start
        };
        let input = Tensor::cat(vec![input.expand([batch, n_steps, d_input]), fed_back], 2);
        self.write(self.drop(self.stack.forward(input, None, None).output))
    }

    /// One-to-many on its own: `n_steps` outputs, each fed back.
    ///
    /// # Shapes
    /// * input: `[B, 1, D]`, or tokens `[B, 1]`
    /// * output: `[B, n_steps, O]`
    pub fn generate(
        &self,
        input: Input<B>,
        state: Option<RecurrentState<B>>,
        n_steps: usize,
    ) -> Prediction<B> {
        let input: Tensor<B, 2> = self.input.forward(input).squeeze_dim(1);
        let [batch, _] = input.dims();
        let device = input.device();
        let mut state = state.unwrap_or_else(|| self.stack.zero_state(batch, &device));
        let mut last = Tensor::zeros([batch, self.d_output()], &device);
        let mut outputs: Vec<Tensor<B, 2>> = Vec::with_capacity(n_steps);
        for _ in 0..n_steps {
            let (hidden, new) = self.stack.step(Tensor::cat(vec![input.clone(), last], 1), state);
            state = new;
            let output: Tensor<B, 2> = self.write(hidden.unsqueeze_dim(1)).squeeze_dim(1);
            last = if self.config.feedback == Some(Feedback::Class) {
                let best: Tensor<B, 1, Int> = output.clone().argmax(1).squeeze_dim(1);
                best.one_hot::<2>(self.d_output()).float()
            } else {
                output.clone()
            };
            outputs.push(output);
        }
        Prediction { output: Tensor::stack(outputs, 1), lengths: None, state }
    }

    fn d_output(&self) -> usize {
        self.config.d_output.unwrap_or(self.stack.config().d_output())
    }

    fn drop(&self, features: Tensor<B, 3>) -> Tensor<B, 3> {
        dropout(features, self.config.head_dropout, self.config.variational.then_some(1))
    }

    /// `g(W h + b)`
    pub(crate) fn write(&self, features: Tensor<B, 3>) -> Tensor<B, 3> {
        let output = match (&self.head, &self.input.embedding) {
            (Some(head), _) => project(head, features),
            (None, Some(embedding)) if self.config.tie_weights => {
                let weight = embedding.weight.val().transpose();
                B::affine(features, weight, self.tied_bias.as_ref().map(Param::val))
            }
            _ => features,
        };
        match self.config.output_activation {
            OutputActivation::Identity => output,
            OutputActivation::Tanh => output.tanh(),
            OutputActivation::Relu => relu(output),
            OutputActivation::Sigmoid => sigmoid(output),
            OutputActivation::Softmax => softmax(output, 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{CellKind, IoMode, ModelConfig};
    use crate::data::tests::assert_says;
    use crate::model::Model;
    use burn::backend::Flex;

    #[test]
    fn a_head_has_a_bias_of_its_own_where_there_is_a_head() {
        let has = |bias, head_bias, d_output| {
            let plain = ModelConfig::new(IoMode::ManyToMany, CellKind::Gru, 4);
            let config = ModelConfig { d_input: Some(3), bias, head_bias, d_output, ..plain };
            Model::<Flex>::new(&config, 1, &Default::default()).map(|model| match model {
                Model::Sequence(model) => model.head.map(|head| head.bias.is_some()),
                _ => None,
            })
        };
        for bias in [false, true] {
            assert_eq!(has(bias, None, Some(2)).unwrap(), Some(bias));
            assert_eq!(has(bias, Some(!bias), Some(2)).unwrap(), Some(!bias));
            assert_eq!(has(bias, None, None).unwrap(), None);
            assert_says(has(bias, Some(true), None), &["`model.head_bias`", "there is no head"]);
        }
    }
}
