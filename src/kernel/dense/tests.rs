//! Kernels against sums written out, with every instruction set and several threads; tensors
//! against the operations that they replace.

use super::{AdamStep, DenseBackend, cross_entropy};
use crate::config::{OptimizerKind, TrainConfig};
use crate::kernel::cpu::{self, Buffer, Change, Crew, Dispatch, Matrix, Targets};
use crate::train::Optimizer;
use burn::backend::Autodiff;
use burn::optim::{AdamState, AdamWState, SimpleOptimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatElem;
use burn::tensor::{Element, Int, Tensor, TensorData, module};
use burn_ndarray::{NdArray, NdArrayTensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::thread;

fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn cast<T: Dispatch>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}

/// Rounding of T, of numbers that are about one.
fn epsilon<T>() -> f64 {
    if size_of::<T>() == 4 { 1e-6 } else { 1e-14 }
}

fn close<T: Into<f64>>(got: Vec<T>, expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (k, (got, &expected)) in got.into_iter().zip(expected).enumerate() {
        let got: f64 = got.into();
        assert!(
            (got - expected).abs() <= tolerance * (1.0 + expected.abs()),
            "{what}, {k}: {got}, {expected}"
        );
    }
}

fn product_written_out(a: &[f64], b: &[f64], [m, k, n]: [usize; 3], start: Option<&[f64]>) -> Vec<f64> {
    let at = |i: usize, j: usize| -> f64 { (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum() };
    (0..m * n).map(|i| at(i / n, i % n) + start.map_or(0.0, |start| start[i % n])).collect()
}

fn transposed(values: &[f64], [m, n]: [usize; 2]) -> Vec<f64> {
    (0..m * n).map(|i| values[i % m * n + i / m]).collect()
}

fn products<T: Dispatch + Into<f64>>() {
    for [m, k, n] in [[1, 1, 1], [1, 7, 100], [5, 3, 2], [100, 20, 7], [3, 200, 130], [7, 500, 11], [2, 0, 3]]
    {
        let (a, b, start) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3));
        let (left, right, row) = (cast::<T>(&a), cast::<T>(&b), cast::<T>(&start));
        let (left_t, right_t) = (cast::<T>(&transposed(&a, [m, k])), cast::<T>(&transposed(&b, [k, n])));
        for crew in Crew::all() {
            let what = format!("{crew:?} [{m}, {k}] · [{k}, {n}]");
            let tolerance = epsilon::<T>() * (k as f64 + 1.0);
            for start in [None, Some(&start)] {
                let expected = product_written_out(&a, &b, [m, k, n], start.map(Vec::as_slice));
                let start = start.map(|_| row.as_slice());
                for left in [Matrix::new(&left, [m, k]), Matrix::new(&left_t, [k, m]).transposed()] {
                    for right in [Matrix::new(&right, [k, n]), Matrix::new(&right_t, [n, k]).transposed()] {
                        close(cpu::product(crew, left, right, start), &expected, tolerance, &what);
                    }
                }
            }
            let ones = vec![1.0; m];
            let sums =
                product_written_out(&ones, &product_written_out(&a, &b, [m, k, n], None), [1, m, n], None);
            let product = cpu::product(crew, Matrix::new(&left, [m, k]), Matrix::new(&right, [k, n]), None);
            let tolerance = tolerance * m as f64;
            close(cpu::column_sums(crew, &product, n), &sums, tolerance, &format!("{what}, summed"));
        }
    }
}

#[test]
fn products_are_those_written_out() {
    products::<f32>();
    products::<f64>();
}

fn entropies<T: Dispatch + Into<f64>>() {
    for n in 1..=70 {
        let rows = 1 + n % 9;
        let smoothing = if n % 2 == 0 { 0.0 } else { 0.15 };
        let logits: Vec<f64> = noise(rows * n, n as u64).into_iter().map(|x| 8.0 * x + 3.0).collect();
        let mut grads = noise(rows, 5);
        grads[rows / 2] = 0.0;
        let classes: Vec<i64> = (0..rows as i64).map(|row| row * 7 % n as i64).collect();
        let (mut losses, mut gradient) = (Vec::new(), Vec::new());
        for (row, x) in logits.chunks(n).enumerate() {
            let log_sum = x.iter().map(|x| x.exp()).sum::<f64>().ln();
            let of = |v: usize| {
                let truth = if v == classes[row] as usize { 1.0 - smoothing } else { 0.0 };
                truth + smoothing / n as f64
            };
            losses.push((0..n).map(|v| of(v) * (log_sum - x[v])).sum::<f64>());
            gradient.extend((0..n).map(|v| grads[row] * ((x[v] - log_sum).exp() - of(v))));
        }
        let (logits, grads) = (cast::<T>(&logits), cast::<T>(&grads));
        let targets = Targets::new(classes, n, smoothing);
        for crew in Crew::all() {
            let what = format!("{crew:?}, {rows} rows of {n}");
            let tolerance = 10.0 * epsilon::<T>();
            let (got, norms) = cpu::cross_entropy(crew, &logits, &targets);
            close(got, &losses, tolerance, &what);
            let mut buffer = Buffer::new(logits.len());
            let change = Change::into(&logits, &mut buffer);
            cpu::cross_entropy_gradient(crew, &change, &targets, &norms, &grads);
            // SAFETY: every row was written.
            close(unsafe { buffer.into_vec() }, &gradient, tolerance, &what);
            let mut own = logits.clone();
            cpu::cross_entropy_gradient(crew, &Change::in_place(&mut own), &targets, &norms, &grads);
            close(own, &gradient, tolerance, &what);
        }
    }
}

#[test]
fn cross_entropies_are_those_written_out() {
    entropies::<f32>();
    entropies::<f64>();
}

#[test]
fn logits_may_be_as_far_apart_as_they_like() {
    for crew in Crew::all() {
        let logits: Vec<f32> = (0..40).map(|k| if k == 3 { 1e4 } else { k as f32 * -1e4 }).collect();
        let targets = |class| Targets::new([class], 40, 0.0);
        assert_eq!(cpu::cross_entropy(crew, &logits, &targets(3)).0, [0.0]);
        assert_eq!(cpu::cross_entropy(crew, &logits, &targets(1)).0, [2e4]);
        let infinite: Vec<f32> = (0..40).map(|k| if k == 5 { f32::NEG_INFINITY } else { 0.0 }).collect();
        close(cpu::cross_entropy(crew, &infinite, &targets(3)).0, &[39f64.ln()], 1e-6, "one is impossible");
        assert_eq!(cpu::cross_entropy(crew, &infinite, &targets(5)).0, [f32::INFINITY]);
        for at in [0, 17, 39] {
            let mut logits = vec![0.5; 40];
            logits[at] = f32::NAN;
            assert!(cpu::cross_entropy(crew, &logits, &targets(3)).0[0].is_nan(), "{crew:?}, {at}");
        }
    }
}

fn updates<T: Dispatch + Into<f64>>() {
    let step = AdamStep {
        coupled_decay: 0.25,
        keep: 0.75,
        first: [0.875, 0.125],
        second: [0.9375, 0.0625],
        rate: 0.5,
        correction: 4.0,
        epsilon: 0.125,
    };
    for n in [0, 1, 15, 64, 100, 5000] {
        let [p, m, grad] = [1, 2, 3].map(|seed| noise(n, seed));
        let v: Vec<f64> = noise(n, 4).into_iter().map(f64::abs).collect();
        for coupled_decay in [0.0, step.coupled_decay] {
            let step = AdamStep { coupled_decay, ..step };
            let new: Vec<[f64; 3]> = (0..n)
                .map(|k| {
                    let g = grad[k] + coupled_decay * p[k];
                    let (m, v) = (0.875 * m[k] + 0.125 * g, 0.9375 * v[k] + 0.0625 * g * g);
                    [0.75 * p[k] - 0.5 * m / ((4.0 * v).sqrt() + 0.125), m, v]
                })
                .collect();
            for crew in Crew::all() {
                let (mut own_p, old_m, mut own_v) = (cast::<T>(&p), cast::<T>(&m), cast::<T>(&v));
                let mut new_m = Buffer::new(n);
                let changes = [
                    &Change::in_place(&mut own_p),
                    &Change::into(&old_m, &mut new_m),
                    &Change::in_place(&mut own_v),
                ];
                cpu::adam(crew, &step, &cast::<T>(&grad), changes);
                // SAFETY: every value was written.
                for (k, got) in [own_p, unsafe { new_m.into_vec() }, own_v].into_iter().enumerate() {
                    let expected: Vec<f64> = new.iter().map(|new| new[k]).collect();
                    close(got, &expected, 4.0 * epsilon::<T>(), &format!("{crew:?}, {n} values, {k}"));
                }
                close(old_m, &m, epsilon::<T>(), "what was read");
            }
        }
        let values = cast::<T>(&p);
        let squares: f64 = values.iter().map(|&x| Into::<f64>::into(x).powi(2)).sum();
        for crew in Crew::all() {
            close(vec![cpu::sum_of_squares(crew, &values)], &[squares], epsilon::<T>(), &format!("{n}"));
            let mut own = values.clone();
            cpu::scale(crew, &Change::in_place(&mut own), -0.5);
            assert!(own.iter().zip(&values).all(|(&a, &b)| a.into() == -0.5 * b.into()), "{crew:?}, {n}");
        }
    }
    let values = cast::<T>(&noise(100_000, 9));
    let sums: Vec<f64> = Crew::all().map(|crew| cpu::sum_of_squares(crew, &values)).collect();
    assert!(sums.chunks(5).all(|same| same.iter().all(|sum| *sum == same[0])), "for any threads: {sums:?}");
}

#[test]
fn updates_are_those_written_out() {
    updates::<f32>();
    updates::<f64>();
}

/// A tensor of this shape that lies in memory in one of several ways.
fn laid_out<B: Backend, const N: usize>(shape: [usize; N], layout: usize, seed: u64) -> Tensor<B, N> {
    // The backend's own type: in one process a device has one by default, whatever the backend's.
    let options = (&B::Device::default(), FloatElem::<B>::dtype());
    let tensor = |shape: [usize; N]| -> Tensor<B, N> {
        Tensor::from_data(TensorData::new(noise(shape.iter().product(), seed), shape), options)
    };
    let swapped = |a: usize, b: usize| {
        let mut other = shape;
        other.swap(a, b);
        tensor(other).swap_dims(a, b)
    };
    match layout {
        0 => tensor(shape),
        1 => swapped(0, 1),
        2 => swapped(N - 2, N - 1),
        _ => {
            let mut wider = shape;
            wider[N - 1] += 3;
            tensor(wider).slice(shape.map(|n| 0..n))
        }
    }
}

fn values<B: Backend, const N: usize>(tensor: &Tensor<B, N>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

type Differentiating<E> = Autodiff<NdArray<E>>;
#[cfg(feature = "tch")]
type Torch<E> = burn_tch::LibTorch<E>;

fn affine_as_burn<B>(tolerance: f64)
where
    B: AutodiffBackend + DenseBackend,
{
    for (k, [batch, n_steps, d, o]) in
        [[1, 1, 1, 1], [1, 1, 5, 70], [3, 4, 2, 1], [2, 7, 60, 33], [9, 30, 17, 65], [40, 30, 40, 50]]
            .into_iter()
            .enumerate()
    {
        for layout in 0..4 {
            for (bias, data) in [(true, false), (false, false), (true, true)] {
                let what = format!("[{batch}, {n_steps}, {d}] · [{d}, {o}], {layout} {bias} {data}");
                let input = laid_out::<B, 3>([batch, n_steps, d], layout, 1);
                let input = if data { input } else { input.require_grad() };
                let weight = laid_out::<B, 2>([d, o], (layout + k) % 4, 2).require_grad();
                let bias = bias.then(|| laid_out::<B, 1>([o], 0, 3).require_grad());
                let outer = laid_out::<B, 3>([batch, n_steps, o], (layout + 2 * k) % 4, 4);
                let run = |output: Tensor<B, 3>| {
                    let grads = (output.clone() * outer.clone()).sum().backward();
                    let mut all = vec![values(&output)];
                    all.extend(input.grad(&grads).map(|grad| values(&grad)));
                    all.extend(weight.grad(&grads).map(|grad| values(&grad)));
                    all.extend(bias.as_ref().map(|bias| values(&bias.grad(&grads).expect("it has one"))));
                    all
                };
                let got = run(<B as DenseBackend>::affine(input.clone(), weight.clone(), bias.clone()));
                let expected = run(module::linear(input.clone(), weight.clone(), bias.clone()));
                assert_eq!(got.len(), expected.len(), "{what}");
                for (got, expected) in got.into_iter().zip(&expected) {
                    close(got, expected, tolerance, &what);
                }
            }
        }
    }
}

#[test]
fn affine_is_burns_linear_layer() {
    affine_as_burn::<Differentiating<f32>>(2e-5);
    affine_as_burn::<Differentiating<f64>>(1e-12);
    #[cfg(feature = "tch")]
    {
        affine_as_burn::<Autodiff<Torch<f32>>>(2e-5);
        affine_as_burn::<Autodiff<Torch<f64>>>(1e-12);
    }
}

#[test]
fn affine_of_one_row() {
    let input = laid_out::<NdArray, 2>([1, 300], 0, 1);
    let weight = laid_out::<NdArray, 2>([300, 20], 0, 2);
    let got = NdArray::affine(input.clone().reshape([300]), weight.clone(), None);
    close(values(&got), &values(&input.matmul(weight)), 1e-5, "a vector");
}

fn cross_entropy_as_composed<B>(tolerance: f64)
where
    B: AutodiffBackend + DenseBackend,
{
    for n in 1..70 {
        let [batch, n_steps] = [1 + n % 4, 1 + n / 3 % 5];
        let layout = n % 4;
        let smoothing = if n / 4 % 2 == 0 { 0.0 } else { 0.1 };
        let what = format!("[{batch}, {n_steps}, {n}], layout {layout}, smoothing {smoothing}");
        let classes = (0..batch * n_steps).map(|k| (k * 5 % n) as i64).collect();
        let classes: Tensor<B, 2, Int> =
            Tensor::from_data(TensorData::new(classes, [batch, n_steps]), &Default::default());
        let weights = laid_out::<B, 2>([batch, n_steps], n % 3, 2);
        // Some steps do not count.
        let weights = weights.clone().mask_fill(weights.lower_elem(-0.3), 0.0);
        let leaf = (laid_out::<B, 3>([batch, n_steps, n], layout, 1) * 6.0).require_grad();
        let run = |kernel: bool, hold: bool| {
            let logits = leaf.clone() + 1.0;
            let held = hold.then(|| logits.clone());
            let losses = match kernel {
                true => B::cross_entropy(logits, classes.clone(), smoothing),
                false => cross_entropy(logits, classes.clone(), smoothing),
            };
            let grads = (losses.clone() * weights.clone()).sum().backward();
            if let Some(held) = held {
                assert_eq!(values(&held), values(&(leaf.clone() + 1.0)), "{what}: logits held by others");
            }
            (values(&losses), values(&leaf.grad(&grads).expect("it has one")))
        };
        let (losses, gradient) = run(false, false);
        for hold in [false, true] {
            let (got, got_gradient) = run(true, hold);
            close(got, &losses, tolerance, &what);
            close(got_gradient, &gradient, tolerance, &what);
        }
    }
}

#[test]
fn cross_entropy_is_the_composed_one() {
    cross_entropy_as_composed::<Differentiating<f32>>(1e-5);
    cross_entropy_as_composed::<Differentiating<f64>>(1e-13);
    #[cfg(feature = "tch")]
    {
        cross_entropy_as_composed::<Autodiff<Torch<f32>>>(1e-5);
        cross_entropy_as_composed::<Autodiff<Torch<f64>>>(1e-13);
    }
}

#[test]
fn another_threads_gradients_clear_no_node_away() {
    type B = Differentiating<f32>;
    let run = || {
        for step in 0..300 {
            let classes = Tensor::<B, 2, Int>::zeros([8, 32], &Default::default());
            let leaf = laid_out::<B, 3>([8, 32, 64], 0, 2).require_grad();
            leaf.clone().sum().backward();
            // The leaf's node went with that gradient: these logits have no other node than their own.
            let grads = B::cross_entropy(leaf.clone() + 1.0, classes, 0.0).sum().backward();
            assert!(leaf.grad(&grads).is_some(), "step {step}");
        }
    };
    thread::scope(|scope| {
        let run = scope.spawn(run);
        while !run.is_finished() {
            laid_out::<B, 2>([1, 1], 0, 1).require_grad().sum().backward();
        }
    });
}

/// Where a tensor's values lie.
fn place<B: Backend<FloatTensorPrimitive = NdArrayTensor>, const N: usize>(
    tensor: &Tensor<B, N>,
) -> *const f32 {
    match tensor.clone().into_primitive().tensor() {
        NdArrayTensor::F32(storage) => storage.view().as_ptr(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_copied_that_nobody_else_holds() {
    type B = Differentiating<f32>;
    // As a stack gives it: time-major, seen the other way round.
    let input = laid_out::<B, 3>([4, 6, 8], 1, 1).require_grad();
    let weight = laid_out::<B, 2>([8, 100], 0, 2).require_grad();
    let classes = Tensor::<B, 2, Int>::zeros([4, 6], &Default::default());
    let logits = <B as DenseBackend>::affine(input.clone(), weight.clone(), None);
    let leaf = logits.detach().require_grad();
    let logits = leaf.clone() + 0.0;
    let at = place(&logits.clone().inner());
    let grads = B::cross_entropy(logits, classes.clone(), 0.0).sum().backward();
    assert_eq!(place(&leaf.grad(&grads).expect("it has one")), at);
    let NdArrayTensor::F32(storage) = leaf.inner().into_primitive().tensor() else { panic!("f32") };
    assert_eq!(storage.view().strides(), [100, 400, 1], "rows stay as they lie");

    let logits = laid_out::<NdArray, 3>([4, 6, 100], 1, 3);
    let at = place(&logits);
    let (losses, values, kept) = NdArray::cross_entropy_forward(logits, classes.inner(), 0.0);
    assert_eq!(place(&NdArray::cross_entropy_backward(values, kept, losses)), at);

    let [param, m, v] = [1, 2, 3].map(|seed| laid_out::<NdArray, 2>([40, 30], 0, seed).abs());
    let at = [&param, &m, &v].map(place);
    let grad = laid_out::<NdArray, 2>([40, 30], 0, 4);
    let grad_at = place(&grad);
    let step = AdamStep {
        coupled_decay: 0.0,
        keep: 1.0,
        first: [0.9, 0.1],
        second: [0.99, 0.01],
        rate: 0.1,
        correction: 1.0,
        epsilon: 1e-8,
    };
    let (param, [m, v]) = NdArray::adam(&step, param, grad.clone(), Some([m, v]));
    assert_eq!([&param, &m, &v].map(place), at);
    assert_eq!(place(&NdArray::scale(grad, 0.5)), grad_at);
}

#[cfg(feature = "tch")]
#[test]
fn libtorch_writes_only_to_what_nobody_else_holds() {
    type B = Torch<f32>;
    fn place<const N: usize>(tensor: &Tensor<B, N>) -> *mut std::ffi::c_void {
        tensor.clone().into_primitive().tensor().tensor.data_ptr()
    }
    let step = AdamStep {
        coupled_decay: 0.0,
        keep: 0.5,
        first: [0.75, 0.25],
        second: [0.75, 0.25],
        rate: 0.1,
        correction: 1.0,
        epsilon: 1e-8,
    };
    let tensors = || [1, 2, 3, 4].map(|seed| laid_out::<B, 2>([40, 30], 0, seed).abs());
    let [param, grad, m, v] = tensors();
    let at = [&param, &m, &v].map(place);
    let (param, [m, v]) = B::adam(&step, param, grad, Some([m, v]));
    assert_eq!([&param, &m, &v].map(place), at);
    let [held_param, grad, held_m, held_v] = tensors();
    let moments = Some([held_m.clone(), held_v.clone()]);
    let (new, _) = B::adam(&step, held_param.clone(), grad.clone(), moments);
    assert_eq!(values(&new), values(&param));
    for (held, whole) in [&held_param, &grad, &held_m, &held_v].into_iter().zip(tensors()) {
        assert_eq!(values(held), values(&whole), "held by others");
    }

    let run = || {
        let classes = Tensor::<B, 2, Int>::zeros([4, 6], &Default::default());
        let logits = laid_out::<B, 3>([4, 6, 50], 1, 3);
        let (losses, values, kept) = B::cross_entropy_forward(logits.clone(), classes, 0.1);
        close(self::values(&logits), &self::values(&laid_out::<B, 3>([4, 6, 50], 1, 3)), 0.0, "the logits");
        (losses, values, kept)
    };
    let (losses, kept_values, kept) = run();
    let at = place(&kept_values);
    let gradient = B::cross_entropy_backward(kept_values, kept, losses);
    assert_eq!(place(&gradient), at);
    let (losses, held, kept) = run();
    let before = values(&held);
    assert_eq!(values(&B::cross_entropy_backward(held.clone(), kept, losses)), values(&gradient));
    assert_eq!(values(&held), before, "held by others");

    let weight = laid_out::<B, 2>([4, 5], 0, 1);
    let empty = B::affine(Tensor::<B, 3>::zeros([0, 3, 4], &Default::default()), weight, None);
    assert_eq!(empty.dims(), [0, 3, 5]);
}

#[test]
#[should_panic(expected = "class 3 is not one of 0..3")]
fn a_class_that_is_not_there() {
    let classes = Tensor::<NdArray, 2, Int>::from_ints([[2, 3]], &Default::default());
    NdArray::cross_entropy(laid_out([1, 2, 3], 0, 1), classes, 0.0);
}

/// The rule of burn that is inside, which has the same state.
fn burns_step<B: DenseBackend>(
    rule: &Optimizer<B>,
    param: Tensor<B, 2>,
    grad: Tensor<B, 2>,
    state: Option<AdamWState<B, 2>>,
) -> (Tensor<B, 2>, AdamWState<B, 2>) {
    match rule {
        Optimizer::AdamW(rule, _) => {
            let (param, state) = rule.step(0.01, param, grad, state);
            (param, state.expect("it remembers"))
        }
        Optimizer::Adam(rule, _) => {
            let state = state.map(|state| AdamState::new(state.momentum));
            let (param, state) = rule.step(0.01, param, grad, state);
            (param, AdamWState::new(state.expect("it remembers").momentum))
        }
        _ => unreachable!("only Adam is asked for"),
    }
}

fn adam_as_burn<B: DenseBackend>(tolerance: f64) {
    for (optimizer, weight_decay) in [
        (OptimizerKind::Adamw, None),
        (OptimizerKind::Adamw, Some(0.3)),
        (OptimizerKind::Adam, None),
        (OptimizerKind::Adam, Some(0.3)),
    ] {
        let rule = Optimizer::<B>::new(&TrainConfig { optimizer, weight_decay, ..TrainConfig::default() });
        let shape = [37, 21];
        let start = laid_out::<B, 2>(shape, 1, 1);
        let (mut expected, mut state) = (start.clone(), None);
        let (mut got, mut got_state) = (start.clone(), None);
        for step in 0..5 {
            let grad = laid_out::<B, 2>(shape, step % 4, 10 + step as u64);
            let (new, new_state) = burns_step(&rule, expected, grad.clone(), state);
            (expected, state) = (new, Some(new_state));
            // Odd steps find everything held by somebody else.
            let held = (step % 2 == 1).then(|| (got.clone(), got_state.clone()));
            let before = values(&got);
            (got, got_state) = rule.step(0.01, got, grad, got_state);
            if let Some((param, _)) = held {
                assert_eq!(values(&param), before, "a parameter held by others");
            }
            close(values(&got), &values(&expected), tolerance, &format!("{optimizer:?}, step {step}"));
        }
        close(values(&start), &values(&laid_out::<B, 2>(shape, 1, 1)), 0.0, "the start");
    }
}

#[test]
fn adam_is_burns() {
    adam_as_burn::<NdArray<f32>>(1e-6);
    adam_as_burn::<NdArray<f64>>(1e-13);
    #[cfg(feature = "tch")]
    {
        adam_as_burn::<Torch<f32>>(1e-6);
        adam_as_burn::<Torch<f64>>(1e-13);
    }
}

fn squares_and_scaling<B: DenseBackend>() {
    for layout in 0..4 {
        let tensor = laid_out::<B, 3>([5, 40, 33], layout, 1);
        let sum = values(&tensor.clone().square().sum());
        close(values(&B::sum_of_squares(tensor.clone())), &sum, 1e-6, "a sum of squares");
        let expected = values(&(tensor.clone() * 0.25));
        let held = tensor.clone();
        assert_eq!(values(&B::scale(tensor, 0.25)), expected);
        assert_eq!(values(&held), values(&laid_out::<B, 3>([5, 40, 33], layout, 1)), "held by others");
        assert_eq!(values(&B::scale(held, 0.25)), expected);
    }
}

#[test]
fn squares_and_scaling_of_any_layout() {
    squares_and_scaling::<NdArray>();
    #[cfg(feature = "tch")]
    squares_and_scaling::<Torch<f32>>();
}
