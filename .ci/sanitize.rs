//! The CPU kernels alone, with their tests: what `sanitize` builds.
#![allow(dead_code, reason = "burn's tensors use the rest of the kernels, and are not here")]

#[path = "../src/kernel/dense/adam.rs"]
mod adam;
#[path = "../src/kernel/cpu/mod.rs"]
pub mod cpu;
#[path = "../src/kernel/sequence.rs"]
mod sequence;

use kernel::{Cell, Sequence, threads};

pub mod config {
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Kernel {
        Fused,
    }
}

/// What the kernels read of the room above them.
pub mod kernel {
    pub use crate::cpu;
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub use crate::sequence::{Cell, NORM_EPSILON, Sequence, Wanted};

    pub mod dense {
        pub use crate::adam::AdamStep;
    }

    static THREADS: AtomicUsize = AtomicUsize::new(0);

    pub fn set_threads(n: usize) {
        THREADS.store(n, Ordering::Relaxed);
    }

    pub fn threads() -> usize {
        match THREADS.load(Ordering::Relaxed) {
            0 => 3,
            n => n,
        }
    }
}

/// The kernels around a recurrence, for what they read and write: that it is right is tested where
/// their tensors are.
#[cfg(test)]
mod dense {
    use crate::cpu::{
        Buffer, Change, Crew, Dispatch, Matrix, Targets, adam, column_sums, cross_entropy,
        cross_entropy_gradient, product, scale, sum_of_squares,
    };
    use crate::kernel::dense::AdamStep;

    fn finite<T: Dispatch + Into<f64>>(values: impl IntoIterator<Item = T>) {
        assert!(values.into_iter().all(|value| Into::<f64>::into(value).is_finite()));
    }

    fn values<T: Dispatch>(n: usize) -> Vec<T> {
        (0..n).map(|k| T::from_f64((k % 17) as f64 / 17.0)).collect()
    }

    fn every_size<T: Dispatch + Into<f64>>() {
        let step = AdamStep {
            coupled_decay: 0.1,
            keep: 0.9,
            first: [0.9, 0.1],
            second: [0.9, 0.1],
            rate: 0.1,
            correction: 1.0,
            epsilon: 0.1,
        };
        for crew in Crew::all() {
            for n in (0..70).chain([4095, 4097]) {
                finite(column_sums(crew, &values::<T>(3 * n), n));
                finite([T::from_f64(sum_of_squares(crew, &values::<T>(n)))]);
                let (mut p, mut v, m) = (values::<T>(n), values(n), values::<T>(n));
                scale(crew, &Change::in_place(&mut p), 0.5);
                let mut new_m = Buffer::new(n);
                {
                    let changes =
                        [&Change::in_place(&mut p), &Change::into(&m, &mut new_m), &Change::in_place(&mut v)];
                    adam(crew, &step, &values::<T>(n), changes);
                }
                // SAFETY: every value was written.
                finite(unsafe { new_m.into_vec() }.into_iter().chain(p).chain(v));
            }
            for n in 1..70 {
                let (rows, mut logits) = (5, values::<T>(5 * n));
                let targets = Targets::new((0..rows).map(|row| (row % n) as i64), n, 0.1);
                let (losses, norms) = cross_entropy(crew, &logits, &targets);
                let (grads, logits) = (vec![T::from_f64(1.0); rows], Change::in_place(&mut logits));
                cross_entropy_gradient(crew, &logits, &targets, &norms, &grads);
                finite(losses);
                let (left, right) = (values::<T>(n * 3), values::<T>(3 * 65));
                let start = values::<T>(65);
                for start in [None, Some(&start[..])] {
                    let (left, right) = (Matrix::new(&left, [n, 3]), Matrix::new(&right, [3, 65]));
                    finite(product(crew, left, right, start));
                }
                let deep = values::<T>(n * 2);
                let deep = [Matrix::new(&deep, [2, n]), Matrix::new(&deep, [2, n]).transposed()];
                finite(product(crew, deep[0], deep[1], None));
            }
        }
    }

    #[test]
    fn f32_every_size() {
        every_size::<f32>();
    }

    #[test]
    fn f64_every_size() {
        every_size::<f64>();
    }
}
