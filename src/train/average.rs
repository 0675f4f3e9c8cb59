//! A moving average of the weights, which is scored and exported in their place
//! ([Polyak and Juditsky 1992](https://doi.org/10.1137/0330046)).

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// An exponential moving average of a model's weights.
///
/// In its first steps it looks back less far, `(1 + t) / (10 + t)`, so that it is not of what training started from.
#[derive(Debug)]
pub struct Average<M> {
    decay: f64,
    steps: u32,
    model: M,
}

impl<M> Average<M> {
    /// The average that starts from `model` and keeps `decay` of itself each step.
    pub fn new(model: M, decay: f64) -> Self {
        Self { decay, steps: 0, model }
    }

    /// Moves towards `model`, which has the same parameters.
    pub fn step<B: Backend>(self, model: &M) -> Self
    where
        M: Module<B>,
    {
        let Self { decay, steps, model: average } = self;
        // burn's container of tensors of any rank by parameter.
        let mut new = Collect(GradientsParams::new());
        model.visit(&mut new);
        let t = f64::from(steps);
        let keep = decay.min((1.0 + t) / (10.0 + t));
        let model = average.map(&mut Mix { new: new.0, keep });
        Self { decay, steps: steps.saturating_add(1), model }
    }

    /// The average as it was after so many steps.
    pub(super) fn restored(model: M, decay: f64, steps: u32) -> Self {
        Self { decay, steps, model }
    }

    /// Steps that it has taken.
    pub(super) fn steps(&self) -> u32 {
        self.steps
    }

    /// What it is now.
    pub fn model(&self) -> &M {
        &self.model
    }
}

struct Collect(GradientsParams);

impl<B: Backend> ModuleVisitor<B> for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.register(param.id, param.val());
    }
}

struct Mix {
    new: GradientsParams,
    keep: f64,
}

impl<B: Backend> ModuleMapper<B> for Mix {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        match self.new.remove::<B, D>(param.id) {
            None => param,
            Some(new) => param.map(|average| average * self.keep + new * (1.0 - self.keep)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::nn::{Linear, LinearConfig};

    #[test]
    fn it_keeps_its_part_and_looks_back_less_far_at_first() {
        let start: Linear<Flex> = LinearConfig::new(1, 1).with_bias(false).init(&Default::default());
        let at = |value: f64| Linear {
            weight: start.weight.clone().map(|weight| weight * 0.0 + value),
            bias: None,
        };
        let value = |average: &Average<Linear<Flex>>| average.model().weight.val().into_scalar();
        let mut average = Average::new(at(8.0), 0.15);
        average = average.step(&at(2.0));
        // 0.1 · 8 + 0.9 · 2
        assert!((value(&average) - 2.6).abs() < 1e-6, "{}", value(&average));
        average = average.step(&at(1.0));
        // Not 2 / 11 any more: 0.15 · 2.6 + 0.85 · 1
        assert!((value(&average) - 1.24).abs() < 1e-6, "{}", value(&average));
    }
}
