//! Values dropped while training.

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};

/// Sets values to zero with `probability` and scales up the rest, so that the mean stays
/// ([Srivastava et al. 2014](https://jmlr.org/papers/v15/srivastava14a.html)). Along `locked`, an
/// axis, the same ones are dropped at every place: over time, that is the variational dropout of
/// [Gal and Ghahramani 2016](https://arxiv.org/abs/1512.05287).
///
/// Where nothing is differentiated, nothing is dropped.
pub fn dropout<B: Backend, const D: usize>(
    input: Tensor<B, D>,
    probability: f64,
    locked: Option<usize>,
) -> Tensor<B, D> {
    let device = input.device();
    if probability == 0.0 || !B::ad_enabled(&device) {
        return input;
    }
    let mut shape = input.dims();
    if let Some(axis) = locked {
        shape[axis] = 1;
    }
    input * mask(shape, probability, &device)
}

/// Zero with `probability`, else what keeps the mean at one.
pub fn mask<B: Backend, const D: usize>(
    shape: [usize; D],
    probability: f64,
    device: &B::Device,
) -> Tensor<B, D> {
    let keep = 1.0 - probability;
    Tensor::random(shape, Distribution::Bernoulli(keep), device) / keep
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::{Autodiff, Flex};

    fn ones<B: Backend<Device: Default>>(shape: [usize; 3]) -> Tensor<B, 3> {
        Tensor::ones(shape, &Default::default())
    }

    fn values<B: Backend>(tensor: Tensor<B, 3>) -> Vec<f32> {
        tensor.into_data().to_vec().unwrap()
    }

    #[test]
    fn a_share_is_dropped_and_the_rest_scaled_up() {
        let dropped = values(dropout(ones::<Autodiff<Flex>>([10, 20, 50]), 0.2, None));
        let zeros = dropped.iter().filter(|v| **v == 0.0).count();
        assert!((1700..2300).contains(&zeros), "{zeros} of 10000");
        assert!(dropped.iter().all(|v| *v == 0.0 || (*v - 1.25).abs() < 1e-6));
    }

    #[test]
    fn along_a_locked_axis_the_same_ones_are_dropped() {
        let dropped = values(dropout(ones::<Autodiff<Flex>>([10, 20, 50]), 0.5, Some(0)));
        assert!(dropped.chunks(1000).all(|step| step == &dropped[..1000]));
        assert!(dropped[..1000].contains(&0.0) && dropped[..1000].contains(&2.0));
    }

    #[test]
    fn where_nothing_is_differentiated_nothing_is_dropped() {
        assert!(values(dropout(ones::<Flex>([2, 3, 4]), 0.9, None)).iter().all(|v| *v == 1.0));
    }
}
