//! burn's update rules behind one type, so that the learner is built once.

use crate::config::{OptimizerKind, TrainConfig};
use crate::kernel::dense::{AdamStep, DenseBackend};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, RmsProp,
    RmsPropConfig, RmsPropState, Sgd, SgdConfig, SgdState, SimpleOptimizer,
};
use burn::record::Record;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// An update rule of the configuration.
#[derive(Clone)]
pub enum Optimizer<B: Backend> {
    /// Adam with decoupled weight decay.
    AdamW(AdamW, AdamRule),
    /// Adam.
    Adam(Adam, AdamRule),
    /// Stochastic gradient descent.
    Sgd(Sgd<B>),
    /// RMSprop.
    RmsProp(RmsProp),
}

/// The numbers of [`Optimizer::AdamW`] or [`Optimizer::Adam`], for a backend that takes the step in
/// one pass.
#[derive(Clone, Copy, Debug)]
pub struct AdamRule {
    decoupled: bool,
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    decay: f32,
}

impl AdamRule {
    fn step<B: DenseBackend, const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<B, D>,
        grad: Tensor<B, D>,
        state: Option<AdaptiveMomentumState<B, D>>,
    ) -> (Tensor<B, D>, AdaptiveMomentumState<B, D>) {
        let (time, moments) = match state {
            Some(state) => (state.time + 1, Some([state.moment_1, state.moment_2])),
            None => (1, None),
        };
        let (tensor, [moment_1, moment_2]) = B::adam(&self.numbers(lr, time), tensor, grad, moments);
        (tensor, AdaptiveMomentumState::new(time, moment_1, moment_2))
    }

    /// As burn has them, which rounds them to f32.
    fn numbers(&self, lr: f64, time: usize) -> AdamStep {
        let [beta_1, beta_2] = [self.beta_1, self.beta_2];
        let [bias_1, bias_2] = [beta_1, beta_2].map(|beta| 1.0 - beta.powi(time as i32));
        let decay = f64::from(self.decay);
        let shared = AdamStep {
            coupled_decay: 0.0,
            keep: 1.0 - lr * decay,
            first: [beta_1, 1.0 - beta_1].map(f64::from),
            second: [beta_2, 1.0 - beta_2].map(f64::from),
            rate: lr / f64::from(bias_1),
            correction: 1.0 / f64::from(bias_2),
            epsilon: self.epsilon.into(),
        };
        if self.decoupled {
            return shared;
        }
        let root = bias_2.sqrt();
        AdamStep {
            coupled_decay: decay,
            keep: 1.0,
            rate: lr * f64::from(root / bias_1),
            correction: 1.0,
            epsilon: (self.epsilon * root).into(),
            ..shared
        }
    }
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
        // As PyTorch has it.
        let epsilon = 1e-8;
        let rule = |decoupled| AdamRule { decoupled, beta_1, beta_2, epsilon, decay };
        match config.optimizer {
            OptimizerKind::Adamw => Self::AdamW(
                AdamWConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(epsilon)
                    .with_weight_decay(decay)
                    .build(),
                rule(true),
            ),
            OptimizerKind::Adam => Self::Adam(
                AdamConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(epsilon)
                    .with_weight_decay(coupled)
                    .build(),
                rule(false),
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
                    .with_epsilon(epsilon)
                    .with_momentum(config.momentum as f32)
                    .with_weight_decay(coupled)
                    .build(),
            ),
        }
    }
}

impl<B: DenseBackend> SimpleOptimizer<B> for Optimizer<B> {
    type State<const D: usize> = OptimizerState<B, D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<B, D>,
        grad: Tensor<B, D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<B, D>, Option<Self::State<D>>) {
        macro_rules! state {
            ($kind:ident) => {
                state.map(|state| match state {
                    OptimizerState::$kind(state) => state,
                    _ => panic!("the optimizer's state is of another rule"),
                })
            };
        }
        macro_rules! step {
            ($kind:ident, $rule:expr) => {{
                let (tensor, state) = $rule.step(lr, tensor, grad, state!($kind));
                (tensor, state.map(OptimizerState::$kind))
            }};
        }
        match self {
            Self::AdamW(_, rule) if B::FUSED => {
                let (tensor, momentum) = rule.step(lr, tensor, grad, state!(AdamW).map(|s| s.momentum));
                (tensor, Some(OptimizerState::AdamW(AdamWState::new(momentum))))
            }
            Self::Adam(_, rule) if B::FUSED => {
                let (tensor, momentum) = rule.step(lr, tensor, grad, state!(Adam).map(|s| s.momentum));
                (tensor, Some(OptimizerState::Adam(AdamState::new(momentum))))
            }
            Self::AdamW(rule, _) => step!(AdamW, rule),
            Self::Adam(rule, _) => step!(Adam, rule),
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    /// Where three steps lead.
    fn three_steps<B: DenseBackend>(config: &TrainConfig) -> Vec<f32> {
        let device = Default::default();
        let rule = Optimizer::<B>::new(config);
        let mut weights = Tensor::<B, 1>::from_floats([0.5, -1.5, 2.0, 0.0], &device);
        let mut state = None;
        // The fourth weight's gradients are as small as ε: they show where it stands.
        for grad in [[0.1, -0.4, 3.0, 1e-8], [-0.3, -0.2, 1.0, 2e-8], [0.5, 0.7, -2.5, -1e-8]] {
            let grad = Tensor::<B, 1>::from_floats(grad, &device);
            (weights, state) = rule.step(0.01, weights, grad, state);
        }
        weights.into_data().to_vec().expect("floats")
    }

    #[test]
    fn every_rule_takes_pytorchs_steps() {
        let adam = |optimizer| TrainConfig { optimizer, ..TrainConfig::default() };
        let adam_with = |optimizer| TrainConfig {
            optimizer,
            beta_1: 0.8,
            beta_2: 0.95,
            weight_decay: Some(0.3),
            ..TrainConfig::default()
        };
        let other = |optimizer, momentum, weight_decay| TrainConfig {
            optimizer,
            momentum,
            weight_decay,
            ..TrainConfig::default()
        };
        let (adamw, coupled) = (OptimizerKind::Adamw, OptimizerKind::Adam);
        let (sgd, rmsprop) = (OptimizerKind::Sgd, OptimizerKind::Rmsprop);
        // Each call is one of PyTorch 2.9.0's torch.optim, w in float64; it gave the numbers.
        for (call, config, expected) in [
            ("AdamW([w], lr=0.01)", adam(adamw), [0.491434739, -1.4817389, 1.97937622, -0.0133720338]),
            (
                "AdamW([w], lr=0.01, betas=(0.8, 0.95), weight_decay=0.3)",
                adam_with(adamw),
                [0.487147067, -1.46981875, 1.96321507, -0.0130558069],
            ),
            ("Adam([w], lr=0.01)", adam(coupled), [0.491583218, -1.48218592, 1.97997329, -0.013373625]),
            (
                "Adam([w], lr=0.01, betas=(0.8, 0.95), weight_decay=0.3)",
                adam_with(coupled),
                [0.482013114, -1.4749258, 1.97823744, 0.00429328307],
            ),
            ("SGD([w], lr=0.01)", other(sgd, 0.0, None), [0.497, -1.501, 1.985, -2e-10]),
            (
                "SGD([w], lr=0.01, momentum=0.9)",
                other(sgd, 0.9, None),
                [0.49799, -1.49236, 1.9247, -5.51e-10],
            ),
            (
                "SGD([w], lr=0.01, weight_decay=0.3)",
                other(sgd, 0.0, Some(0.3)),
                [0.492510477, -1.48757042, 1.96726368, -1.988009e-10],
            ),
            (
                "SGD([w], lr=0.01, momentum=0.9, weight_decay=0.3)",
                other(sgd, 0.9, Some(0.3)),
                [0.489598978, -1.46723132, 1.89149808, -5.492609e-10],
            ),
            (
                "RMSprop([w], lr=0.01)",
                other(rmsprop, 0.0, None),
                [0.410267456, -1.43958851, 1.93061535, -0.0173986439],
            ),
            (
                "RMSprop([w], lr=0.01, momentum=0.9)",
                other(rmsprop, 0.9, None),
                [0.324691819, -1.22817737, 1.73102591, -0.0476573966],
            ),
            (
                "RMSprop([w], lr=0.01, momentum=0.9, weight_decay=0.3)",
                other(rmsprop, 0.9, Some(0.3)),
                [0.250954938, -1.14638259, 1.69787622, 0.0659495591],
            ),
        ] {
            for got in [
                three_steps::<Flex>(&config),
                #[cfg(feature = "ndarray")]
                three_steps::<burn_ndarray::NdArray>(&config),
            ] {
                let close = |(g, e): (&f32, &f64)| (f64::from(*g) - e).abs() <= 1e-5 * e.abs();
                assert!(got.iter().zip(&expected).all(close), "{call}: got {got:?}, expected {expected:?}");
            }
        }
    }
}
