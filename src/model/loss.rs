//! What training makes small.

use crate::config::Loss;
use crate::data::{Target, padding};
use crate::kernel::dense::DenseBackend;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// A loss over a batch, averaged over its valid steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Which.
    pub loss: Loss,
    /// Cross entropy: probability spread evenly over all classes
    /// ([Szegedy et al. 2016](https://arxiv.org/abs/1512.00567)).
    pub label_smoothing: f64,
}

impl Objective {
    /// The mean over valid steps (and, of squared errors, over features): `[1]`.
    ///
    /// # Shapes
    /// * output: `[B, T, O]`
    /// * target: classes `[B, T]`, or features `[B, T, O]`
    ///
    /// # Panics
    /// If the loss and the target do not go together: cross entropy and softmax-MSE take classes,
    /// MSE takes features.
    pub fn loss<B: DenseBackend>(
        &self,
        output: Tensor<B, 3>,
        target: &Target<B>,
        lengths: Option<&[usize]>,
    ) -> Tensor<B, 1> {
        let [batch, n_steps, d_output] = output.dims();
        let device = output.device();
        let each: Tensor<B, 2> = match (self.loss, target) {
            (Loss::CrossEntropy, Target::Classes(classes)) => {
                B::cross_entropy(output, classes.clone(), self.label_smoothing)
            }
            (Loss::SoftmaxMse, Target::Classes(classes)) => {
                let truth = one_hot(classes.clone(), d_output);
                (softmax(output, 2) - truth).square().mean_dim(2).squeeze_dim(2)
            }
            (Loss::Mse, Target::Features(values)) => {
                (output - values.clone()).square().mean_dim(2).squeeze_dim(2)
            }
            (Loss::Mse, Target::Classes(_)) => panic!("a mean squared error of classes is `softmax-mse`"),
            (loss, Target::Features(_)) => panic!("{loss:?} takes classes, the target is features"),
            (_, Target::Tasks(_)) => panic!("each task has a loss of its own"),
        };
        match padding(lengths, [batch, n_steps], &device) {
            None => each.mean(),
            Some(padding) => {
                let valid: usize = lengths.into_iter().flatten().sum();
                each.mask_fill(padding, 0.0).sum() / valid as f64
            }
        }
    }
}

fn one_hot<B: Backend>(classes: Tensor<B, 2, Int>, n: usize) -> Tensor<B, 3> {
    classes.one_hot::<3>(n).float()
}
