//! Products of whole matrices by the crate `gemm`, shared out among threads.

use super::buffer::{Buffer, Shared};
use super::isa::{Dispatch, Loop};
use super::simd::Vector;
use super::team::{self, Crew};

/// Multiplications that are worth a thread.
const LEAST: usize = 1 << 18;
/// Values to be added up that are.
const LEAST_SUMS: usize = 1 << 16;
/// Columns are cut at multiples of it: whole tiles of every instruction set.
const COLUMNS: usize = 64;
/// So are rows.
const ROWS: usize = 48;
/// Values of a block that is given its start just before its products: they are still near then.
const BLOCK: usize = 1 << 15;

/// A matrix as it lies in memory.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    values: &'a [T],
    size: [usize; 2],
    strides: [usize; 2],
}

impl<'a, T> Matrix<'a, T> {
    /// `[rows, columns]`, row by row.
    pub fn new(values: &'a [T], size: [usize; 2]) -> Self {
        assert_eq!(values.len(), size[0] * size[1], "a matrix {size:?}");
        Self { values, size, strides: [size[1], 1] }
    }

    pub fn transposed(self) -> Self {
        let ([m, n], [row, column]) = (self.size, self.strides);
        Self { values: self.values, size: [n, m], strides: [column, row] }
    }

    /// Some of its columns.
    pub fn columns(self, columns: std::ops::Range<usize>) -> Self {
        let Self { values, size: [m, n], strides } = self;
        assert!(columns.end <= n, "{columns:?} of {n} columns");
        let values = &values[(columns.start * strides[1]).min(values.len())..];
        Self { values, size: [m, columns.len()], strides }
    }

    /// From a row and column on, for `gemm`.
    fn at(&self, row: usize, column: usize) -> (*const T, [isize; 2]) {
        let from = row * self.strides[0] + column * self.strides[1];
        (self.values.as_ptr().wrapping_add(from), self.strides.map(|stride| stride as isize))
    }
}

/// `lhs · rhs`, row by row, with `start` added to every row.
pub fn product<T: Dispatch>(crew: Crew, lhs: Matrix<T>, rhs: Matrix<T>, start: Option<&[T]>) -> Vec<T> {
    let ([m, k], [rows, n]) = (lhs.size, rhs.size);
    assert_eq!(k, rows, "the columns of one matrix are the rows of the other");
    assert!(start.is_none_or(|start| start.len() == n), "what is added is a row");
    if m == 0 || n == 0 {
        return Vec::new();
    }
    let threads = crew.threads(m * n * k, LEAST);
    // Parts of a result this small would each read nearly all of both matrices.
    if start.is_none() && threads > 1 && k > 4 * m.max(n) {
        return deep_product(threads, lhs, rhs);
    }
    let mut out = Buffer::new(m * n);
    let to = out.shared();
    let (extent, across, grain) = if n >= m { (n, m, COLUMNS) } else { (m, n, ROWS) };
    let step = if start.is_some() { (BLOCK / across).next_multiple_of(grain).max(grain) } else { extent };
    team::each(threads, &|k_thread| {
        let own = team::share(extent, grain, threads, k_thread);
        for from in own.clone().step_by(step) {
            let part = from..(from + step).min(own.end);
            let (rows, columns) = if n >= m { (0..m, part) } else { (part, 0..n) };
            if let Some(start) = start {
                for row in rows.clone() {
                    let to = to.at(row * n + columns.start, columns.len());
                    // SAFETY: a part of the result that is this thread's alone; `start` has n values.
                    unsafe { start.as_ptr().add(columns.start).copy_to_nonoverlapping(to, columns.len()) };
                }
            }
            let at = to.at(rows.start * n + columns.start, (rows.len() - 1) * n + columns.len());
            // SAFETY: parts of matrices whose sizes fit each other, m, n and k of them above.
            unsafe {
                T::gemm(
                    [rows.len(), columns.len(), k],
                    (at, [n as isize, 1]),
                    lhs.at(rows.start, 0),
                    rhs.at(0, columns.start),
                    start.is_some(),
                );
            }
        }
    });
    // SAFETY: the shares of all threads are the whole.
    unsafe { out.into_vec() }
}

/// [`product`] where each thread makes sums of its own over a part of the columns of `lhs`.
fn deep_product<T: Dispatch>(threads: usize, lhs: Matrix<T>, rhs: Matrix<T>) -> Vec<T> {
    let ([m, k], [_, n]) = (lhs.size, rhs.size);
    let mut sums = Buffer::new(threads * m * n);
    let to = sums.shared();
    team::each(threads, &|k_thread| {
        let own = team::share(k, COLUMNS, threads, k_thread);
        // SAFETY: as in `product`; each thread has a matrix of its own.
        unsafe {
            T::gemm(
                [m, n, own.len()],
                (to.at(k_thread * m * n, m * n), [n as isize, 1]),
                lhs.at(0, own.start),
                rhs.at(own.start, 0),
                false,
            );
        }
    });
    // SAFETY: each thread wrote all of its matrix.
    added(unsafe { sums.into_vec() }, m * n)
}

/// The sum of arrays of `n` values that lie one after the other.
fn added<T: Dispatch>(mut arrays: Vec<T>, n: usize) -> Vec<T> {
    let (sum, rest) = arrays.split_at_mut(n);
    for array in rest.chunks_exact(n) {
        sum.iter_mut().zip(array).for_each(|(sum, &value)| *sum += value);
    }
    arrays.truncate(n);
    arrays.shrink_to_fit();
    arrays
}

/// The sum of each of `n` columns.
pub fn column_sums<T: Dispatch>(crew: Crew, values: &[T], n: usize) -> Vec<T> {
    if n == 0 {
        return Vec::new();
    }
    let rows = values.len() / n;
    assert_eq!(values.len(), rows * n, "rows of {n} values");
    let threads = crew.threads(values.len(), LEAST_SUMS);
    let mut sums = vec![T::ZERO; threads * n];
    let to = Shared::of(&mut sums);
    team::each(threads, &|k| {
        let own = team::share(rows, 1, threads, k);
        let values = &values[own.start * n..own.end * n];
        // SAFETY: each thread has a row of sums of its own.
        unsafe { T::run(crew.isa, &AddRows { values, n, sums: to.at(k * n, n) }) };
    });
    added(sums, n)
}

/// Adds rows to one of n values.
struct AddRows<'a, T> {
    values: &'a [T],
    n: usize,
    sums: *mut T,
}

impl<T: Dispatch> Loop<T> for AddRows<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        for row in self.values.chunks_exact(self.n) {
            let mut j = 0;
            unsafe {
                while j + V::LANES <= self.n {
                    let sum = V::load(self.sums.add(j)).add(V::load(row.as_ptr().add(j)));
                    sum.store(self.sums.add(j));
                    j += V::LANES;
                }
                if j < self.n {
                    let part = self.n - j;
                    let value = V::load_part(row.as_ptr().add(j), part);
                    V::load_part(self.sums.add(j), part).add(value).store_part(self.sums.add(j), part);
                }
            }
        }
    }
}
