//! What a step of training does beside the recurrence: the products of linear layers, cross
//! entropy, the optimizer's update and the gradients' norm.
//!
//! [`DenseBackend`] is to them what [`RecurrentBackend`](super::RecurrentBackend) is to a layer.
//! Its bodies are composed of the backend's own operations; on ndarray they are kernels that read
//! and write their tensors once, on all cores, and on LibTorch its own functions, in place where
//! nobody else holds a tensor.
//!
//! B batch, T time, D features in, O features out, V classes.

mod adam;
mod autodiff;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "tch")]
mod tch;
#[cfg(all(test, feature = "ndarray"))]
mod tests;

pub use adam::AdamStep;

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, module};
use std::any::Any;
use std::sync::Arc;

/// What a gradient needs beside its operands: a kernel's own.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// Which gradients of a linear layer are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffineWanted {
    /// The input's: not where the input is data.
    pub input: bool,
    /// The weight's: not where it is frozen.
    pub weight: bool,
    /// The bias's: not where there is none.
    pub bias: bool,
}

/// The gradients of a linear layer: those that are wanted.
#[derive(Clone, Debug)]
pub struct AffineGradients<B: Backend, const N: usize> {
    /// `[.., D]`
    pub input: Option<Tensor<B, N>>,
    /// `[D, O]`
    pub weight: Option<Tensor<B, 2>>,
    /// `[O]`
    pub bias: Option<Tensor<B, 1>>,
}

/// A backend with what stands around a recurrence: every one of burn's, with an empty `impl`.
pub trait DenseBackend: Backend {
    /// Whether the operations that have a gradient or write in place are kernels of this
    /// backend. Those marked *fused only* are there if so.
    const FUSED: bool = false;

    /// `x W + b` over the last axis; differentiable where the backend is.
    ///
    /// # Shapes
    /// * input: `[.., D]`
    /// * weight: `[D, O]`
    /// * bias: `[O]`
    /// * output: `[.., O]`
    fn affine<const N: usize>(
        input: Tensor<Self, N>,
        weight: Tensor<Self, 2>,
        bias: Option<Tensor<Self, 1>>,
    ) -> Tensor<Self, N> {
        module::linear(input, weight, bias)
    }

    /// *Fused only.* The gradients of [`affine`](Self::affine), given that of its result, `[.., O]`.
    fn affine_backward<const N: usize>(
        input: Tensor<Self, N>,
        weight: Tensor<Self, 2>,
        grad: Tensor<Self, N>,
        wanted: AffineWanted,
    ) -> AffineGradients<Self, N> {
        let _ = (input, weight, grad, wanted);
        unreachable!("{MISSING}")
    }

    /// The cross entropy of each step in nats, with `label_smoothing` of the target's probability
    /// spread evenly over all classes; differentiable where the backend is.
    ///
    /// # Shapes
    /// * logits: `[B, T, V]`
    /// * classes: `[B, T]`
    /// * output: `[B, T]`
    fn cross_entropy(
        logits: Tensor<Self, 3>,
        classes: Tensor<Self, 2, Int>,
        label_smoothing: f64,
    ) -> Tensor<Self, 2> {
        match Self::FUSED {
            true => Self::cross_entropy_forward(logits, classes, label_smoothing).0,
            false => cross_entropy(logits, classes, label_smoothing),
        }
    }

    /// *Fused only.* [`cross_entropy`](Self::cross_entropy), and what its gradient needs: the
    /// logits or what was made of them, `[B, T, V]`, and what else there is.
    fn cross_entropy_forward(
        logits: Tensor<Self, 3>,
        classes: Tensor<Self, 2, Int>,
        label_smoothing: f64,
    ) -> (Tensor<Self, 2>, Tensor<Self, 3>, Kept) {
        let _ = (logits, classes, label_smoothing);
        unreachable!("{MISSING}")
    }

    /// *Fused only.* The gradient of [`cross_entropy`](Self::cross_entropy) with respect to the
    /// logits, given what the forward pass made of them and the gradient of its result, `[B, T]`.
    /// It takes the place of the former where nobody else holds that.
    fn cross_entropy_backward(values: Tensor<Self, 3>, kept: Kept, grad: Tensor<Self, 2>) -> Tensor<Self, 3> {
        let _ = (values, kept, grad);
        unreachable!("{MISSING}")
    }

    /// *Fused only.* A step of Adam: the new parameter, and its new first and second moment. They
    /// take the place of old ones that nobody else holds. No moments: they are zero.
    fn adam<const N: usize>(
        step: &AdamStep,
        param: Tensor<Self, N>,
        grad: Tensor<Self, N>,
        moments: Option<[Tensor<Self, N>; 2]>,
    ) -> (Tensor<Self, N>, [Tensor<Self, N>; 2]) {
        let _ = (step, param, grad, moments);
        unreachable!("{MISSING}")
    }

    /// `Σ x²`: `[1]`.
    fn sum_of_squares<const N: usize>(tensor: Tensor<Self, N>) -> Tensor<Self, 1> {
        tensor.square().sum()
    }

    /// Every value times `factor`.
    fn scale<const N: usize>(tensor: Tensor<Self, N>, factor: f64) -> Tensor<Self, N> {
        tensor * factor
    }
}

const MISSING: &str = "only a backend with `FUSED` is asked for its kernels";

fn cross_entropy<B: Backend>(
    logits: Tensor<B, 3>,
    classes: Tensor<B, 2, Int>,
    label_smoothing: f64,
) -> Tensor<B, 2> {
    let log = log_softmax(logits, 2);
    let truth: Tensor<B, 2> = log.clone().gather(2, classes.unsqueeze_dim::<3>(2)).squeeze_dim::<2>(2).neg();
    if label_smoothing > 0.0 {
        let all: Tensor<B, 2> = log.mean_dim(2).squeeze_dim::<2>(2).neg();
        truth * (1.0 - label_smoothing) + all * label_smoothing
    } else {
        truth
    }
}

impl DenseBackend for burn::backend::Flex {}

#[cfg(feature = "wgpu")]
impl<R, F, I, BT> DenseBackend for burn_cubecl::CubeBackend<R, F, I, BT>
where
    R: burn_cubecl::CubeRuntime,
    F: burn_cubecl::FloatElement,
    I: burn_cubecl::IntElement,
    BT: burn_cubecl::BoolElement,
    Self: Backend,
{
}

#[cfg(feature = "wgpu")]
impl<B: burn_fusion::FusionBackend> DenseBackend for burn_fusion::Fusion<B> where Self: Backend {}
