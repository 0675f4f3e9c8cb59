//! How weights start: drawn on the host, so that a seed gives the same weights on every backend.

use crate::config::Initialization;
use crate::data::stream;
use burn::module::{Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A seeded source of starting weights.
#[derive(Clone, Debug)]
pub struct Init {
    /// None: nothing is drawn.
    rng: Option<ChaCha8Rng>,
}

impl Init {
    /// The source that `seed` stands for.
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream::WEIGHTS);
        Self { rng: Some(rng) }
    }

    /// A source that draws nothing and takes no memory, for weights that are loaded afterwards: zeros, were they used
    /// before.
    pub fn blank() -> Self {
        Self { rng: None }
    }

    /// Whether it draws nothing.
    pub(crate) fn is_blank(&self) -> bool {
        self.rng.is_none()
    }

    /// Uniform in `±bound`.
    pub fn uniform<B: Backend, const D: usize>(
        &mut self,
        shape: [usize; D],
        bound: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, D>> {
        let Some(rng) = &mut self.rng else { return blank(shape, device) };
        let mut draw = || rng.random_range(-1.0..=1.0) * bound;
        let values = (0..shape.iter().product()).map(|_| draw()).collect();
        param(values, shape, device)
    }

    /// Normal, of mean 0.
    pub fn normal<B: Backend, const D: usize>(
        &mut self,
        shape: [usize; D],
        deviation: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, D>> {
        let Some(rng) = &mut self.rng else { return blank(shape, device) };
        let mut draw = || deviation * rng.sample::<f64, _>(StandardNormal);
        let values = (0..shape.iter().product()).map(|_| draw()).collect();
        param(values, shape, device)
    }

    /// Filled with `value`.
    pub fn constant<B: Backend, const D: usize>(
        &mut self,
        shape: [usize; D],
        value: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, D>> {
        if self.is_blank() {
            return blank(shape, device);
        }
        param(vec![value; shape.iter().product()], shape, device)
    }

    /// A packed weight `[n_gates · d_hidden, d_in]`, gate by gate.
    pub fn gates<B: Backend>(
        &mut self,
        kind: Initialization,
        recurrent: bool,
        [n_gates, d_hidden, d_in]: [usize; 3],
        device: &B::Device,
    ) -> Param<Tensor<B, 2>> {
        let shape = [n_gates * d_hidden, d_in];
        match kind {
            Initialization::Pytorch => self.uniform(shape, (d_hidden as f64).powf(-0.5), device),
            Initialization::Orthogonal if recurrent => {
                let Some(rng) = &mut self.rng else { return blank(shape, device) };
                let values = (0..n_gates).flat_map(|_| orthogonal(rng, d_hidden)).collect();
                param(values, shape, device)
            }
            Initialization::Xavier | Initialization::Orthogonal => {
                self.uniform(shape, (6.0 / (d_in + d_hidden) as f64).sqrt(), device)
            }
        }
    }
}

/// An orthogonal `n × n` matrix, row by row: Gram and Schmidt over normal rows, each row
/// cleared twice of the ones before it, which keeps rounding from building up.
fn orthogonal(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
    while rows.len() < n {
        let mut row: Vec<f64> = (&mut *rng as &mut dyn Rng).sample_iter(StandardNormal).take(n).collect();
        for _ in 0..2 {
            for other in &rows {
                let dot: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= dot * b);
            }
            let norm = row.iter().map(|a| a * a).sum::<f64>().sqrt();
            row.iter_mut().for_each(|a| *a /= norm);
        }
        rows.push(row);
    }
    rows.concat()
}

/// Made when it is first asked for, which loading never does.
fn blank<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Param<Tensor<B, D>> {
    let zeros = move |device: &B::Device, trained| Tensor::zeros(shape, device).set_require_grad(trained);
    Param::uninitialized(ParamId::new(), zeros, device.clone(), true, shape.into())
}

fn param<B: Backend, const D: usize>(
    values: Vec<f64>,
    shape: [usize; D],
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    Param::from_data(TensorData::new(values, shape).convert::<B::FloatElem>(), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    #[test]
    fn orthogonal_rows_are_orthonormal() {
        let n = 33;
        let q = orthogonal(&mut ChaCha8Rng::seed_from_u64(7), n);
        for i in 0..n {
            for j in 0..n {
                let dot: f64 = (0..n).map(|k| q[i * n + k] * q[j * n + k]).sum();
                assert!((dot - f64::from(i == j)).abs() < 1e-12, "rows {i}, {j}: {dot}");
            }
        }
    }

    #[test]
    fn uniform_weights_fill_the_bounds_of_their_rule() {
        let (d_in, d_hidden) = (100, 64);
        let xavier = |d_in: usize| (6.0 / (d_in + d_hidden) as f64).sqrt();
        for (kind, recurrent, bound) in [
            (Initialization::Xavier, false, xavier(d_in)),
            (Initialization::Xavier, true, xavier(d_hidden)),
            (Initialization::Orthogonal, false, xavier(d_in)),
            (Initialization::Pytorch, false, 0.125),
            (Initialization::Pytorch, true, 0.125),
        ] {
            let what = format!("{kind:?}, recurrent: {recurrent}");
            let shape = [3, d_hidden, if recurrent { d_hidden } else { d_in }];
            let weights = Init::new(7).gates::<Flex>(kind, recurrent, shape, &Default::default());
            let weights: Vec<f32> = weights.val().into_data().to_vec().expect("floats");
            assert!(weights.iter().all(|w| w.abs() <= bound as f32), "{what}");
            let mean_of = |power: i32| {
                weights.iter().map(|&w| f64::from(w).powi(power)).sum::<f64>() / weights.len() as f64
            };
            let variance = mean_of(2) - mean_of(1).powi(2);
            let expected = bound * bound / 3.0;
            assert!((variance / expected - 1.0).abs() < 0.05, "{what}: variance {variance}, not {expected}");
        }
    }
}
