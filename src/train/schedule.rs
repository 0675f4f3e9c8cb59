//! The learning rate as a function of the step alone: nothing to carry but the step.

use crate::config::{Schedule, TrainConfig};
use burn::lr_scheduler::LrScheduler;
use burn::tensor::backend::Backend;
use std::f64::consts::PI;

/// How the learning rate moves over a whole run.
#[derive(Clone, Debug)]
pub struct LearningRate {
    kind: Schedule,
    peak: f64,
    warmup: usize,
    total: usize,
    drop_every: usize,
    factor: f64,
    step: usize,
}

impl LearningRate {
    /// The schedule of `config` for epochs of `steps_per_epoch` steps.
    pub fn new(config: &TrainConfig, steps_per_epoch: usize) -> Self {
        Self {
            kind: config.schedule,
            peak: config.lr,
            warmup: config.warmup_steps,
            total: config.epochs * steps_per_epoch,
            drop_every: config.schedule_every * steps_per_epoch,
            factor: config.schedule_factor,
            step: 0,
        }
    }

    /// The learning rate of `step`, counted from 0.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        match self.kind {
            Schedule::Constant => self.peak,
            Schedule::Step => self.peak * self.factor.powi((step / self.drop_every.max(1)) as i32),
            Schedule::Cosine => {
                let rest = self.total.saturating_sub(self.warmup).max(1) as f64;
                let done = ((step - self.warmup) as f64 / rest).min(1.0);
                self.peak * 0.5 * (1.0 + (PI * done).cos())
            }
            Schedule::Noam => self.peak * (self.warmup as f64 / (step + 1) as f64).sqrt(),
        }
    }
}

impl LrScheduler for LearningRate {
    type Record<B: Backend> = usize;

    fn step(&mut self) -> f64 {
        self.step += 1;
        self.at(self.step - 1)
    }

    fn to_record<B: Backend>(&self) -> usize {
        self.step
    }

    fn load_record<B: Backend>(mut self, step: usize) -> Self {
        self.step = step;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, warmup_steps: usize) -> Vec<f64> {
        let config = TrainConfig {
            schedule,
            warmup_steps,
            lr: 1.0,
            epochs: 4,
            schedule_every: 2,
            schedule_factor: 0.5,
            ..Default::default()
        };
        let mut rate = LearningRate::new(&config, 2);
        (0..8).map(|_| rate.step()).collect()
    }

    #[track_caller]
    fn close(got: Vec<f64>, expected: [f64; 8]) {
        assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-6), "{got:?}");
    }

    #[test]
    fn each_schedule_goes_its_way() {
        close(rates(Schedule::Constant, 2), [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        close(rates(Schedule::Step, 0), [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
        // 0.5 (1 + cos(π k / 8))
        close(
            rates(Schedule::Cosine, 0),
            [1.0, 0.961939766, 0.853553391, 0.691341716, 0.5, 0.308658284, 0.146446609, 0.038060234],
        );
        // rises to 1 at step 2, then sqrt(2 / (k + 1))
        close(
            rates(Schedule::Noam, 2),
            [
                0.5,
                1.0,
                0.816496581,
                std::f64::consts::FRAC_1_SQRT_2,
                0.632455532,
                0.577350269,
                0.534522484,
                0.5,
            ],
        );
    }
}
