//! burn's update rules behind one type, so that the learner is built once.

use crate::config::{OptimizerKind, TrainConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, RmsProp, RmsPropConfig, RmsPropState, Sgd,
    SgdConfig, SgdState, SimpleOptimizer,
};
use burn::record::Record;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// An update rule of the configuration.
#[derive(Clone)]
pub enum Optimizer<B: Backend> {
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Adam.
    Adam(Adam),
    /// Stochastic gradient descent.
    Sgd(Sgd<B>),
    /// RMSprop.
    RmsProp(RmsProp),
}

/// What a rule remembers of one parameter.
#[derive(Clone, Record)]
pub enum OptimizerState<B: Backend, const D: usize> {
    /// See [`Optimizer::AdamW`].
    AdamW(AdamWState<B, D>),
    /// See [`Optimizer::Adam`].
    Adam(AdamState<B, D>),
    /// See [`Optimizer::Sgd`].
    Sgd(SgdState<B, D>),
    /// See [`Optimizer::RmsProp`].
    RmsProp(RmsPropState<B, D>),
}

impl<B: Backend> Optimizer<B> {
    /// The rule that `config` asks for.
    pub fn new(config: &TrainConfig) -> Self {
        let [beta_1, beta_2] = [config.beta_1 as f32, config.beta_2 as f32];
        let decay = config.weight_decay.unwrap_or(match config.optimizer {
            OptimizerKind::Adamw => 0.01,
            _ => 0.0,
        }) as f32;
        let coupled = (decay > 0.0).then(|| WeightDecayConfig::new(decay));
        match config.optimizer {
            // ε as PyTorch has it.
            OptimizerKind::Adamw => Self::AdamW(
                AdamWConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(1e-8)
                    .with_weight_decay(decay)
                    .build(),
            ),
            OptimizerKind::Adam => Self::Adam(
                AdamConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(1e-8)
                    .with_weight_decay(coupled)
                    .build(),
            ),
            OptimizerKind::Sgd => {
                let momentum = (config.momentum > 0.0).then(|| {
                    MomentumConfig::new()
                        .with_momentum(config.momentum)
                        .with_dampening(0.0)
                        .with_nesterov(false)
                });
                Self::Sgd(SgdConfig::new().with_weight_decay(coupled).with_momentum(momentum).build())
            }
            OptimizerKind::Rmsprop => Self::RmsProp(
                RmsPropConfig::new()
                    .with_alpha(0.99)
                    .with_epsilon(1e-8)
                    .with_momentum(config.momentum as f32)
                    .with_weight_decay(coupled)
                    .build(),
            ),
        }
    }
}

impl<B: Backend> SimpleOptimizer<B> for Optimizer<B> {
    type State<const D: usize> = OptimizerState<B, D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<B, D>,
        grad: Tensor<B, D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<B, D>, Option<Self::State<D>>) {
        macro_rules! step {
            ($kind:ident, $rule:expr) => {{
                let state = state.map(|state| match state {
                    OptimizerState::$kind(state) => state,
                    _ => panic!("the optimizer's state is of another rule"),
                });
                let (tensor, state) = $rule.step(lr, tensor, grad, state);
                (tensor, state.map(OptimizerState::$kind))
            }};
        }
        match self {
            Self::AdamW(rule) => step!(AdamW, rule),
            Self::Adam(rule) => step!(Adam, rule),
            Self::Sgd(rule) => step!(Sgd, rule),
            Self::RmsProp(rule) => step!(RmsProp, rule),
        }
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &B::Device) -> Self::State<D> {
        match state {
            OptimizerState::AdamW(state) => OptimizerState::AdamW(AdamW::to_device(state, device)),
            OptimizerState::Adam(state) => OptimizerState::Adam(Adam::to_device(state, device)),
            OptimizerState::Sgd(state) => OptimizerState::Sgd(Sgd::to_device(state, device)),
            OptimizerState::RmsProp(state) => OptimizerState::RmsProp(RmsProp::to_device(state, device)),
        }
    }
}
