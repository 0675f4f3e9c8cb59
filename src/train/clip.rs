//! All gradients together, held to one norm ([Pascanu et al. 2013](https://arxiv.org/abs/1211.5063)).

use crate::kernel::dense::DenseBackend;
use burn::module::{AutodiffModule, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};

/// Scales `grads` down so that their L2 norm, taken over all parameters at once, is at most
/// `max_norm`; 0 leaves them. Gives the norm they had, to be checked: it is not finite where a
/// gradient is not.
pub fn clip_by_global_norm<B: AutodiffBackend<InnerBackend: DenseBackend>, M: AutodiffModule<B>>(
    module: &M,
    grads: &mut GradientsParams,
    max_norm: f64,
) -> f64 {
    let mut squares = Squares::<B> { grads, sum: None };
    module.visit(&mut squares);
    let norm = squares.sum.map_or(0.0, |sum| sum.sqrt().into_scalar().elem::<f64>());
    if max_norm > 0.0 && norm.is_finite() && norm > max_norm {
        module.visit(&mut Scale { grads, factor: max_norm / norm });
    }
    norm
}

struct Squares<'a, B: AutodiffBackend> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend<InnerBackend: DenseBackend>> ModuleVisitor<B> for Squares<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(grad) = self.grads.get::<B::InnerBackend, D>(param.id) {
            let square = B::InnerBackend::sum_of_squares(grad);
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f64,
}

impl<B: AutodiffBackend<InnerBackend: DenseBackend>> ModuleVisitor<B> for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(grad) = self.grads.remove::<B::InnerBackend, D>(param.id) {
            self.grads.register(param.id, B::InnerBackend::scale(grad, self.factor));
        }
    }
}
