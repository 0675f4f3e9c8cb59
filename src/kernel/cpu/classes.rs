//! Cross entropy of rows of logits, and its gradient: each row is read once, the exponentials are
//! never stored.

use super::buffer::{Buffer, Change, part};
use super::isa::{Dispatch, Loop};
use super::simd::{Vector, exp};
use super::team::{self, Crew};

/// Logits that are worth a thread.
const LEAST: usize = 1 << 13;

/// A row's classes are its target's, with `smoothing` of the probability spread over all of them.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Of each row, below `n_classes`.
    classes: Vec<usize>,
    n_classes: usize,
    smoothing: f64,
}

impl Targets {
    /// # Panics
    /// If a class is not one of `n_classes`.
    pub fn new(classes: impl IntoIterator<Item = i64>, n_classes: usize, smoothing: f64) -> Self {
        let check = |class: i64| match usize::try_from(class) {
            Ok(class) if class < n_classes => class,
            _ => panic!("class {class} is not one of 0..{n_classes}"),
        };
        Self { classes: classes.into_iter().map(check).collect(), n_classes, smoothing }
    }
}

/// The largest logit of a row, and what its exponentials below that add up to.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    max: f64,
    sum: f64,
}

/// Each row's loss in nats, and its norm.
pub fn cross_entropy<T: Dispatch>(crew: Crew, logits: &[T], targets: &Targets) -> (Vec<T>, Vec<Norm>) {
    let (rows, n) = (targets.classes.len(), targets.n_classes);
    assert_eq!(logits.len(), rows * n, "logits [{rows}, {n}]");
    let (mut losses, mut norms) = (Buffer::<T>::new(rows), Buffer::<Norm>::new(rows));
    let (to, to_norms) = (losses.shared(), norms.shared());
    let threads = crew.threads(logits.len(), LEAST);
    team::each(threads, &|k| {
        for row in team::share(rows, 1, threads, k) {
            let logits = part(logits, row * n, n);
            let (mut norm, mut below) = (Norm { max: 0.0, sum: 0.0 }, 0.0);
            // SAFETY: a row of n logits; there is one, as there is a class.
            unsafe { T::run(crew.isa, &Sums { logits, n, norm: &raw mut norm, below: &raw mut below }) };
            // SAFETY: its class is one of n.
            let said: f64 = unsafe { *logits.add(targets.classes[row]) }.into();
            let mut loss = norm.sum.ln() - (said - norm.max) * (1.0 - targets.smoothing);
            if targets.smoothing > 0.0 {
                loss -= below / n as f64 * targets.smoothing;
            }
            // SAFETY: this thread's own rows.
            unsafe {
                to.at(row, 1).write(T::from_f64(loss));
                to_norms.at(row, 1).write(norm);
            }
        }
    });
    // SAFETY: the shares of all threads are the whole.
    unsafe { (losses.into_vec(), norms.into_vec()) }
}

/// Turns logits into their gradient, given that of each row's loss.
pub fn cross_entropy_gradient<T: Dispatch>(
    crew: Crew,
    logits: &Change<T>,
    targets: &Targets,
    norms: &[Norm],
    grads: &[T],
) {
    let (rows, n) = (targets.classes.len(), targets.n_classes);
    assert_eq!(logits.len(), rows * n, "logits [{rows}, {n}]");
    assert_eq!([norms.len(), grads.len()], [rows; 2], "a gradient and a norm for each of {rows} rows");
    let threads = crew.threads(logits.len(), LEAST);
    team::each(threads, &|k| {
        for row in team::share(rows, 1, threads, k) {
            let (from, to) = (logits.from(row * n, n), logits.to(row * n, n));
            let (grad, norm): (f64, _) = (grads[row].into(), norms[row]);
            let step = Softmax {
                from,
                to,
                n,
                max: T::from_f64(norm.max),
                scale: T::from_f64(grad / norm.sum),
                shift: T::from_f64(-grad * targets.smoothing / n as f64),
            };
            // SAFETY: this thread's own row of n values, and its class is one of them.
            unsafe {
                if grad == 0.0 {
                    std::slice::from_raw_parts_mut(to.cast::<std::mem::MaybeUninit<T>>(), n)
                        .fill(std::mem::MaybeUninit::new(T::ZERO));
                } else {
                    T::run(crew.isa, &step);
                    *to.add(targets.classes[row]) += T::from_f64(-grad * (1.0 - targets.smoothing));
                }
            }
        }
    });
}

/// The norm of a row of n > 0 logits, and how far all of them together are below the largest.
struct Sums<T> {
    logits: *const T,
    n: usize,
    norm: *mut Norm,
    /// Zero or less.
    below: *mut f64,
}

/// As many as there are in any vector.
const LANES: usize = 16;

impl<T: Dispatch> Loop<T> for Sums<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            let x = self.logits;
            // What is not a number is passed over here, but not by the sum below.
            let mut largest = [V::splat(*x); 4];
            let mut j = 0;
            while j + 4 * V::LANES <= self.n {
                for (k, largest) in largest.iter_mut().enumerate() {
                    *largest = largest.max(V::load(x.add(j + k * V::LANES)));
                }
                j += 4 * V::LANES;
            }
            let [a, b, c, d] = largest;
            let mut lanes = [*x; LANES];
            a.max(b).max(c.max(d)).store(lanes.as_mut_ptr());
            let rest = std::slice::from_raw_parts(x.add(j), self.n - j);
            let max = lanes.iter().chain(rest).fold(*x, |max, &value| if value > max { value } else { max });

            let top = V::splat(max);
            let (mut sum, mut below) = (V::splat(T::ZERO), V::splat(T::ZERO));
            let mut j = 0;
            while j + V::LANES <= self.n {
                let distance = V::load(x.add(j)).sub(top);
                below = below.add(distance);
                sum = sum.add(exp(distance));
                j += V::LANES;
            }
            if j < self.n {
                let part = self.n - j;
                let distance = V::load_part(x.add(j), part).sub(top);
                let mut lanes = [T::ZERO; LANES];
                distance.store_part(lanes.as_mut_ptr(), part);
                below = below.add(V::load(lanes.as_ptr()));
                exp(distance).store_part(lanes.as_mut_ptr(), part);
                sum = sum.add(V::load(lanes.as_ptr()));
            }
            *self.norm = Norm { max: max.into(), sum: sum.sum().into() };
            *self.below = below.sum().into();
        }
    }
}

/// `e^(x - max) · scale + shift`
struct Softmax<T> {
    from: *const T,
    to: *mut T,
    n: usize,
    max: T,
    scale: T,
    shift: T,
}

impl<T: Dispatch> Loop<T> for Softmax<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe {
            let (max, scale, shift) = (V::splat(self.max), V::splat(self.scale), V::splat(self.shift));
            let mut j = 0;
            while j + V::LANES <= self.n {
                let power = exp(V::load(self.from.add(j)).sub(max));
                power.mul_add(scale, shift).store(self.to.add(j));
                j += V::LANES;
            }
            if j < self.n {
                let part = self.n - j;
                let power = exp(V::load_part(self.from.add(j), part).sub(max));
                power.mul_add(scale, shift).store_part(self.to.add(j), part);
            }
        }
    }
}
