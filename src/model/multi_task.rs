//! Several tasks over one stack ([Caruana 1997](https://doi.org/10.1023/A:1007379606734)), each with
//! a head and a say in what it trains.

use super::pooling::{AttentionPooling, pool};
use super::{InputLayer, linear, project, stack_config};
use crate::config::{IoMode, ModelConfig, Part, Pooling, TaskConfig};
use crate::data::Input;
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::recurrent::{Init, RecurrentStack, RecurrentState, dropout};
use burn::module::{Module, ParamId, list_param_ids};
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// One stack, and for each task a head on its steps or on the pooled sequence.
#[derive(Module, Debug)]
pub struct MultiTask<B: Backend> {
    /// What the stack reads.
    pub input: InputLayer<B>,
    /// The recurrent part.
    pub stack: RecurrentStack<B>,
    /// One a task, in their order.
    pub heads: Vec<TaskHead<B>>,
    #[module(skip)]
    config: ModelConfig,
}

/// What a task makes of the stack's output.
#[derive(Module, Debug)]
pub struct TaskHead<B: Backend> {
    attention: Option<AttentionPooling<B>>,
    linear: Linear<B>,
}

impl<B: RecurrentBackend> MultiTask<B> {
    pub(super) fn new(config: &ModelConfig, init: &mut Init, device: &B::Device) -> Result<Self> {
        let input = InputLayer::new(config, init, device)?;
        let stack = stack_config(config, input.d_output(), config.bidirectional);
        let d = stack.d_output();
        let head = |task: &TaskConfig| {
            let d_output = task.d_output.ok_or_else(|| {
                let what = "is not known: write the number of its classes";
                Error::config(format!("model.tasks.{}.d_output", task.name), what)
            })?;
            Ok(TaskHead {
                attention: (task.pooling == Some(Pooling::Attention))
                    .then(|| AttentionPooling::new(d, init, device)),
                linear: linear(d, d_output, config.head_has_bias(), init, device),
            })
        };
        let heads = config.tasks.iter().map(head).collect::<Result<_>>()?;
        Ok(Self { input, heads, stack: stack.init(init, device), config: config.clone() })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The output of every task, and the stack's final state.
    ///
    /// # Shapes
    /// * input: `[B, T, D]`, or tokens `[B, T]`
    /// * outputs: `[B, T, O]`; many-to-one: `[B, 1, O]`
    pub fn forward(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        state: Option<RecurrentState<B>>,
    ) -> (Vec<Tensor<B, 3>>, RecurrentState<B>) {
        let run = self.stack.forward(self.input.forward(input), lengths, state);
        let output = |(task, head): (&TaskConfig, &TaskHead<B>)| {
            let features = match (task.mode, task.pooling.unwrap_or_default()) {
                (IoMode::ManyToOne, Pooling::Last) => self.stack.last_hidden(&run.state).unsqueeze_dim(1),
                (IoMode::ManyToOne, pooling) => {
                    pool(pooling, head.attention.as_ref(), run.output.clone(), lengths).unsqueeze_dim(1)
                }
                _ => run.output.clone(),
            };
            let locked = self.config.variational.then_some(1);
            project(&head.linear, dropout(features, self.config.head_dropout, locked))
        };
        (self.config.tasks.iter().zip(&self.heads).map(output).collect(), run.state)
    }

    /// The parameters of a part.
    pub fn parameters(&self, part: &Part) -> Vec<ParamId> {
        match part {
            Part::Input => list_param_ids(&self.input),
            Part::Recurrent => list_param_ids(&self.stack),
            Part::Head(name) => {
                let head = self.config.tasks.iter().position(|task| task.name == *name);
                head.map_or_else(Vec::new, |k| list_param_ids(&self.heads[k]))
            }
        }
    }
}
