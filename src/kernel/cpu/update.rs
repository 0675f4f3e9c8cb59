//! What an optimizer does to every value of a tensor, in one pass.

use super::buffer::{Buffer, Change, part};
use super::isa::{Dispatch, Loop};
use super::simd::{Vector, constant};
use super::team::{self, Crew};
use crate::kernel::dense::AdamStep;

/// Values that are worth a thread.
const LEAST: usize = 1 << 14;

/// Where threads' parts begin: whole vectors and cache lines.
const GRAIN: usize = 64;

/// A step of Adam: the parameter, then its first and second moment.
pub fn adam<T: Dispatch>(crew: Crew, step: &AdamStep, grad: &[T], changes: [&Change<T>; 3]) {
    let n = grad.len();
    let threads = crew.threads(n, LEAST);
    assert!(
        changes.iter().all(|change| change.len() == n),
        "parameter, moments and gradient are of one size"
    );
    team::each(threads, &|k| {
        let own = team::share(n, GRAIN, threads, k);
        let (at, n) = (own.start, own.len());
        let pass = Adam {
            n,
            grad: part(grad, at, n),
            from: changes.map(|change| change.from(at, n)),
            to: changes.map(|change| change.to(at, n)),
            step,
        };
        // SAFETY: this thread's own part of each.
        unsafe { T::run(crew.isa, &pass) };
    });
}

struct Adam<'a, T> {
    n: usize,
    grad: *const T,
    /// Of parameter, first and second moment: where they are read and, one by one, written.
    from: [*const T; 3],
    to: [*mut T; 3],
    step: &'a AdamStep,
}

impl<T: Dispatch> Loop<T> for Adam<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            let rule = Rule::<V>::new(self.step);
            let ([p, m, v], [to_p, to_m, to_v]) = (self.from, self.to);
            let mut j = 0;
            while j + V::LANES <= self.n {
                let (grad, p) = (V::load(self.grad.add(j)), V::load(p.add(j)));
                let (p, m, v) = rule.update(p, grad, V::load(m.add(j)), V::load(v.add(j)));
                p.store(to_p.add(j));
                m.store(to_m.add(j));
                v.store(to_v.add(j));
                j += V::LANES;
            }
            if j < self.n {
                let n = self.n - j;
                let (grad, p) = (V::load_part(self.grad.add(j), n), V::load_part(p.add(j), n));
                let (p, m, v) = rule.update(p, grad, V::load_part(m.add(j), n), V::load_part(v.add(j), n));
                p.store_part(to_p.add(j), n);
                m.store_part(to_m.add(j), n);
                v.store_part(to_v.add(j), n);
            }
        }
    }
}

/// An [`AdamStep`] in every lane.
struct Rule<V> {
    coupled_decay: Option<V>,
    keep: V,
    first: [V; 2],
    second: [V; 2],
    rate: V,
    correction: V,
    epsilon: V,
}

impl<V: Vector> Rule<V> {
    #[inline(always)]
    unsafe fn new(step: &AdamStep) -> Self {
        unsafe {
            Self {
                coupled_decay: match step.coupled_decay {
                    0.0 => None,
                    decay => Some(constant(decay)),
                },
                keep: constant(step.keep),
                first: [constant(step.first[0]), constant(step.first[1])],
                second: [constant(step.second[0]), constant(step.second[1])],
                rate: constant(step.rate),
                correction: constant(step.correction),
                epsilon: constant(step.epsilon),
            }
        }
    }

    /// Parameter and moments, as they are and as they will be.
    #[inline(always)]
    unsafe fn update(&self, p: V, grad: V, m: V, v: V) -> (V, V, V) {
        unsafe {
            let grad = match self.coupled_decay {
                Some(decay) => p.mul_add(decay, grad),
                None => grad,
            };
            let m = m.mul_add(self.first[0], grad.mul(self.first[1]));
            let v = v.mul_add(self.second[0], grad.mul(grad).mul(self.second[1]));
            let delta = m.mul(self.rate).div(v.mul(self.correction).sqrt().add(self.epsilon));
            (p.mul(self.keep).sub(delta), m, v)
        }
    }
}

/// Multiplies every value.
pub fn scale<T: Dispatch>(crew: Crew, values: &Change<T>, factor: f64) {
    let threads = crew.threads(values.len(), LEAST);
    team::each(threads, &|k| {
        let own = team::share(values.len(), GRAIN, threads, k);
        let (at, n) = (own.start, own.len());
        let pass = Scale { n, from: values.from(at, n), to: values.to(at, n), factor: T::from_f64(factor) };
        // SAFETY: this thread's own part.
        unsafe { T::run(crew.isa, &pass) };
    });
}

struct Scale<T> {
    n: usize,
    from: *const T,
    to: *mut T,
    factor: T,
}

impl<T: Dispatch> Loop<T> for Scale<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            let factor = V::splat(self.factor);
            let mut j = 0;
            while j + V::LANES <= self.n {
                V::load(self.from.add(j)).mul(factor).store(self.to.add(j));
                j += V::LANES;
            }
            if j < self.n {
                let part = self.n - j;
                V::load_part(self.from.add(j), part).mul(factor).store_part(self.to.add(j), part);
            }
        }
    }
}

/// Values whose squares are added up by themselves: the sum is the same to the bit for any threads.
const BLOCK: usize = 1 << 12;

/// `Σ x²`: a few squares are added in T, the rest in f64.
pub fn sum_of_squares<T: Dispatch>(crew: Crew, values: &[T]) -> f64 {
    let blocks = values.len().div_ceil(BLOCK);
    let mut sums = Buffer::new(blocks);
    let to = sums.shared();
    let threads = crew.threads(values.len(), LEAST);
    team::each(threads, &|k| {
        for block in team::share(blocks, 1, threads, k) {
            let values = &values[block * BLOCK..values.len().min((block + 1) * BLOCK)];
            // SAFETY: this thread's own block.
            unsafe {
                let sum = to.at(block, 1);
                *sum = 0.0;
                T::run(crew.isa, &Squares { values, sum });
            }
        }
    });
    // SAFETY: the shares of all threads are the whole.
    unsafe { sums.into_vec() }.into_iter().sum()
}

struct Squares<'a, T> {
    values: &'a [T],
    sum: *mut f64,
}

impl<T: Dispatch> Loop<T> for Squares<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        // So few are added in T that the rounding stays that of some operations.
        for few in self.values.chunks(16 * V::LANES) {
            unsafe {
                let mut sums = [V::splat(T::ZERO); 4];
                let mut j = 0;
                while j + 4 * V::LANES <= few.len() {
                    for (k, sum) in sums.iter_mut().enumerate() {
                        let value = V::load(few.as_ptr().add(j + k * V::LANES));
                        *sum = value.mul_add(value, *sum);
                    }
                    j += 4 * V::LANES;
                }
                while j < few.len() {
                    let part = V::LANES.min(few.len() - j);
                    let value = V::load_part(few.as_ptr().add(j), part);
                    sums[0] = value.mul_add(value, sums[0]);
                    j += part;
                }
                let [a, b, c, d] = sums;
                let sum: f64 = a.add(b).add(c.add(d)).sum().into();
                *self.sum += sum;
            }
        }
    }
}
