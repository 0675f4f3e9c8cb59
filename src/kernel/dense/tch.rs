//! LibTorch: its own functions, in place where nobody else holds a tensor.
//!
//! LibTorch's graph has no part in them: no tensor here asks for a gradient.

use super::{AdamStep, AffineGradients, AffineWanted, DenseBackend, Kept};
use crate::kernel::tch::{primitive, wrap};
use burn::tensor::{Int, Tensor};
use burn_tch::{LibTorch, TchElement, TchTensor};
use std::sync::Arc;
use tch_devices::Tensor as TorchTensor;

impl<E: TchElement> DenseBackend for LibTorch<E> {
    const FUSED: bool = true;

    fn affine<const N: usize>(
        input: Tensor<Self, N>,
        weight: Tensor<Self, 2>,
        bias: Option<Tensor<Self, 1>>,
    ) -> Tensor<Self, N> {
        let (rows, mut shape) = as_rows(&primitive(input).tensor);
        let weight = primitive(weight).tensor;
        let output = match bias {
            Some(bias) => primitive(bias).tensor.addmm(&rows, &weight),
            None => rows.mm(&weight),
        };
        shape[N - 1] = weight.size()[1];
        wrap(TchTensor::new(output.view(&shape[..])))
    }

    fn affine_backward<const N: usize>(
        input: Tensor<Self, N>,
        weight: Tensor<Self, 2>,
        grad: Tensor<Self, N>,
        wanted: AffineWanted,
    ) -> AffineGradients<Self, N> {
        let (rows, shape) = as_rows(&primitive(input).tensor);
        let (grad, _) = as_rows(&primitive(grad).tensor);
        AffineGradients {
            input: wanted.input.then(|| {
                let part = grad.mm(&primitive(weight).tensor.tr());
                wrap(TchTensor::new(part.view(&shape[..])))
            }),
            weight: wanted.weight.then(|| wrap(TchTensor::new(rows.tr().mm(&grad)))),
            bias: wanted.bias.then(|| wrap(TchTensor::new(grad.sum_dim_intlist(0, false, None)))),
        }
    }

    fn cross_entropy_forward(
        logits: Tensor<Self, 3>,
        classes: Tensor<Self, 2, Int>,
        label_smoothing: f64,
    ) -> (Tensor<Self, 2>, Tensor<Self, 3>, Kept) {
        let [batch, n_steps, _] = logits.dims();
        assert_eq!(classes.dims(), [batch, n_steps], "classes of logits {:?}", logits.dims());
        let log = primitive(logits).tensor.log_softmax(-1, None);
        let classes = classes.into_primitive();
        let truth = log.gather(-1, &classes.tensor.unsqueeze(-1), false).squeeze_dim(-1).neg();
        let losses = match label_smoothing > 0.0 {
            true => {
                let all = log.mean_dim(-1, false, None);
                truth * (1.0 - label_smoothing) - all * label_smoothing
            }
            false => truth,
        };
        let kept: Answers = (classes, label_smoothing);
        (wrap(TchTensor::new(losses)), wrap(TchTensor::new(log)), Arc::new(kept))
    }

    fn cross_entropy_backward(values: Tensor<Self, 3>, kept: Kept, grad: Tensor<Self, 2>) -> Tensor<Self, 3> {
        let (classes, label_smoothing) = kept.downcast_ref::<Answers>().expect("what the forward pass kept");
        let log = primitive(values);
        let n_classes = log.tensor.size()[2] as f64;
        let mut result = log.unary_ops(|mut log| log.exp_(), |log| log.exp());
        if *label_smoothing > 0.0 {
            let _ = result.tensor.g_sub_scalar_(label_smoothing / n_classes);
        }
        let classes = classes.tensor.unsqueeze(-1);
        let options = (result.tensor.kind(), result.tensor.device());
        let truth = TorchTensor::full(classes.size(), label_smoothing - 1.0, options);
        let _ = result.tensor.scatter_add_(-1, &classes, &truth);
        let _ = result.tensor.g_mul_(&primitive(grad).tensor.unsqueeze(-1));
        wrap(result)
    }

    fn adam<const N: usize>(
        step: &AdamStep,
        param: Tensor<Self, N>,
        grad: Tensor<Self, N>,
        moments: Option<[Tensor<Self, N>; 2]>,
    ) -> (Tensor<Self, N>, [Tensor<Self, N>; 2]) {
        let mut param = own(primitive(param));
        let mut grad = primitive(grad).tensor;
        if step.coupled_decay != 0.0 {
            grad = &grad + &param.tensor * step.coupled_decay;
        }
        let [mut m, mut v] = match moments {
            Some(moments) => moments.map(|moment| own(primitive(moment))),
            None => [(); 2].map(|()| TchTensor::new(param.tensor.zeros_like())),
        };
        // LibTorch's fused rule is out of reach of its bindings for Rust, and so is the factor of its `addcdiv`: that
        // goes into the denominator.
        let root = step.correction.sqrt();
        let _ = m.tensor.lerp_(&grad, step.first[1]);
        let _ = v.tensor.lerp_(&grad.square(), step.second[1]);
        let mut denominator = v.tensor.sqrt();
        let _ = denominator.g_add_scalar_(step.epsilon / root).g_mul_scalar_(-root / step.rate);
        if step.keep != 1.0 {
            let _ = param.tensor.g_mul_scalar_(step.keep);
        }
        let _ = param.tensor.addcdiv_(&m.tensor, &denominator);
        (wrap(param), [wrap(m), wrap(v)])
    }

    fn sum_of_squares<const N: usize>(tensor: Tensor<Self, N>) -> Tensor<Self, 1> {
        let values = primitive(tensor).tensor.reshape([-1]);
        wrap(TchTensor::new(values.dot(&values).view([1])))
    }
}

/// What [`DenseBackend::cross_entropy_forward`] keeps beside the logarithms: `[B, T]` and the
/// smoothing.
type Answers = (TchTensor, f64);

/// `[.., D]` as `[rows, D]`, and the shape that it had.
fn as_rows(tensor: &TorchTensor) -> (TorchTensor, Vec<i64>) {
    let shape = tensor.size();
    let width = shape[shape.len() - 1];
    let rows = shape[..shape.len() - 1].iter().product();
    (tensor.reshape([rows, width]), shape)
}

/// The tensor, to be written to: a copy where others hold it. burn counts no view that `swap_dims` or `permute` gives:
/// one of a parameter must not outlive its backward pass.
fn own(tensor: TchTensor) -> TchTensor {
    match tensor.can_mut() {
        true => tensor,
        false => TchTensor::new(tensor.tensor.copy()),
    }
}
