//! Products with weights that are packed once and used at every step.
#![allow(clippy::needless_range_loop, reason = "tiles are arrays of one size, indexed alike")]

use super::buffer::{Buffer, Shared};
use super::isa::Loop;
use super::simd::{Float, Vector};

/// A matrix `[K, N]` in panels of two vectors' width (the last may be one): a panel's rows lie one
/// after the other, so that a product reads it from front to back.
pub struct Packed<T> {
    data: Buffer<T>,
    k: usize,
    /// N in whole vectors.
    n: usize,
    lanes: usize,
}

impl<T: Float> Packed<T> {
    /// Room for `[k, n]`, n a multiple of the vector's lanes: every panel is filled before a product
    /// reads it.
    pub fn new<V: Vector<T = T>>(k: usize, n: usize) -> Self {
        debug_assert_eq!(n % V::LANES, 0);
        Self { data: Buffer::new(k * n), k, n, lanes: V::LANES }
    }

    /// Panels.
    pub fn panels(&self) -> usize {
        self.n.div_ceil(2 * self.lanes)
    }

    /// Columns of N.
    pub fn columns(&self) -> usize {
        self.n
    }

    /// Panels to be filled, each `[K, width]`, with its first column.
    pub fn panels_mut(&mut self) -> impl Iterator<Item = Panel<T>> {
        let (k, n, whole, data) = (self.k, self.n, 2 * self.lanes, self.data.shared());
        (0..n).step_by(whole).map(move |column| {
            let width = whole.min(n - column);
            Panel { data: data.part(column * k, k * width), k, column, width }
        })
    }

    fn panel(&self, p: usize) -> (*const T, usize) {
        let column = p * 2 * self.lanes;
        let width = (self.n - column).min(2 * self.lanes);
        (self.data.at(column * self.k, width * self.k), width / self.lanes)
    }
}

/// A part of a [`Packed`] matrix.
pub struct Panel<T> {
    /// `[K, width]`
    data: Shared<T>,
    k: usize,
    /// Its first column.
    column: usize,
    /// Its columns.
    width: usize,
}

/// Fills a panel of which each column is a row of a weight, for `x Wᵀ`.
pub struct FillTransposed<'a, T> {
    pub panel: &'a Panel<T>,
    /// `[·, H, K]`, a matrix for each `padded` columns.
    pub w: *const T,
    pub d_hidden: usize,
    pub padded: usize,
    /// K zeros, for columns past H.
    pub zeros: *const T,
}

impl<T: Float> Loop<T> for FillTransposed<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        let Self { panel: &Panel { data, k, column, width }, w, d_hidden, padded, zeros } = *self;
        let row = |column: usize| match (column / padded, column % padded) {
            (gate, unit) if unit < d_hidden => w.wrapping_add((gate * d_hidden + unit) * k),
            _ => zeros,
        };
        // Blocks of 8 by 8, then what is left.
        let (wide, deep) = (width / 8 * 8, k / 8 * 8);
        for l in (0..wide).step_by(8) {
            let rows: [_; 8] = std::array::from_fn(|n| row(column + l + n));
            for at in (0..deep).step_by(8) {
                let to = data.at(at * width + l, 7 * width + 8);
                unsafe { V::transpose(rows.map(|row| row.wrapping_add(at)), to, width) };
            }
        }
        for l in 0..width {
            let row = row(column + l);
            for at in if l < wide { deep } else { 0 }..k {
                unsafe { *data.at(at * width + l, 1) = *row.add(at) };
            }
        }
    }
}

/// Fills a panel with columns of a weight, for `x W`.
pub struct Fill<'a, T> {
    pub panel: &'a Panel<T>,
    /// `[·, H, columns]`, a matrix for each `padded` rows; zeros follow the H.
    pub w: *const T,
    pub d_hidden: usize,
    pub padded: usize,
    pub columns: usize,
}

impl<T: Float> Loop<T> for Fill<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        let Self { panel: &Panel { data, k, column, width }, w, d_hidden, padded, columns } = *self;
        for gate in 0..k / padded {
            let from = w.wrapping_add(gate * d_hidden * columns + column);
            for unit in 0..padded {
                let row = (gate * padded + unit) * width;
                for l in (0..width).step_by(V::LANES) {
                    let n = columns.saturating_sub(column + l);
                    let (from, to) = (from.wrapping_add(unit * columns + l), data.at(row + l, V::LANES));
                    unsafe {
                        let values = match unit < d_hidden {
                            true if n >= V::LANES => V::load(from),
                            true => V::load_part(from, n),
                            false => V::splat(T::ZERO),
                        };
                        values.store(to);
                    }
                }
            }
        }
    }
}

/// What a product starts from.
#[derive(Clone, Copy)]
pub enum Start<T> {
    /// Nothing.
    Zero,
    /// What stands there.
    Add,
    /// A row of N, the same for all.
    Row(*const T),
}

/// `C[r, ..] = start + A[r, ..] · B` for some rows.
pub struct Product<'a, T> {
    /// The rows of A, K values each.
    pub a: &'a [*const T],
    /// The rows of C, as many: [`columns`](Self::columns) values each.
    pub c: &'a [*mut T],
    pub b: &'a Packed<T>,
    /// Which panels of B: the columns of C that they stand for are made.
    pub panels: std::ops::Range<usize>,
    /// Columns that are written, N or less.
    pub columns: usize,
    pub start: Start<T>,
}

/// Rows of a tile: with two vectors each, accumulators for all and room for the operands.
const TILE: usize = 6;

impl<T: Float> Loop<T> for Product<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe { product::<V>(self) }
    }
}

#[inline(always)]
unsafe fn product<V: Vector>(p: &Product<V::T>) {
    let rows = p.a.len();
    if rows == 0 {
        return;
    }
    let n_tiles = rows.div_ceil(TILE);
    let mut panel = p.panels.start;
    let panels = p.panels.end;
    while panel < panels {
        // One or two rows keep too few accumulators busy: they take several panels at once.
        let wide = |count: usize| panel + count <= panels && p.b.panel(panel + count - 1).1 == 2;
        let step = match rows {
            1 if wide(4) => 4,
            2 if wide(3) => 3,
            1..=3 if wide(2) => 2,
            _ => 1,
        };
        let mut from = 0;
        for t in 0..n_tiles {
            // Tiles of even size.
            let to = rows * (t + 1) / n_tiles;
            unsafe { tile_of::<V>(p, panel, step, from, to - from) };
            from = to;
        }
        panel += step;
    }
}

#[inline(always)]
unsafe fn tile_of<V: Vector>(p: &Product<V::T>, panel: usize, panels: usize, row: usize, rows: usize) {
    unsafe {
        match (rows, panels, p.b.panel(panel).1) {
            (1, 4, _) => tile::<V, 1, 4, 2>(p, panel, row),
            (1, 2, _) => tile::<V, 1, 2, 2>(p, panel, row),
            (1, _, 2) => tile::<V, 1, 1, 2>(p, panel, row),
            (1, _, _) => tile::<V, 1, 1, 1>(p, panel, row),
            (2, 3, _) => tile::<V, 2, 3, 2>(p, panel, row),
            (2, 2, _) => tile::<V, 2, 2, 2>(p, panel, row),
            (2, _, 2) => tile::<V, 2, 1, 2>(p, panel, row),
            (2, _, _) => tile::<V, 2, 1, 1>(p, panel, row),
            (3, 2, _) => tile::<V, 3, 2, 2>(p, panel, row),
            (3, _, 2) => tile::<V, 3, 1, 2>(p, panel, row),
            (3, _, _) => tile::<V, 3, 1, 1>(p, panel, row),
            (4, _, 2) => tile::<V, 4, 1, 2>(p, panel, row),
            (4, _, _) => tile::<V, 4, 1, 1>(p, panel, row),
            (5, _, 2) => tile::<V, 5, 1, 2>(p, panel, row),
            (5, _, _) => tile::<V, 5, 1, 1>(p, panel, row),
            (_, _, 2) => tile::<V, 6, 1, 2>(p, panel, row),
            (_, _, _) => tile::<V, 6, 1, 1>(p, panel, row),
        }
    }
}

/// M rows by P panels of W vectors.
#[inline(always)]
unsafe fn tile<V: Vector, const M: usize, const P: usize, const W: usize>(
    p: &Product<V::T>,
    panel: usize,
    row: usize,
) {
    unsafe {
        let a: [*const V::T; M] = std::array::from_fn(|m| *p.a.get_unchecked(row + m));
        let c: [*mut V::T; M] = std::array::from_fn(|m| *p.c.get_unchecked(row + m));
        let b: [*const V::T; P] = std::array::from_fn(|q| p.b.panel(panel + q).0);
        let mut sums = [[[V::splat(V::T::ZERO); W]; P]; M];
        for k in 0..p.b.k {
            for q in 0..P {
                let mut right = [V::splat(V::T::ZERO); W];
                for w in 0..W {
                    right[w] = V::load(b[q].add((k * W + w) * V::LANES));
                }
                for m in 0..M {
                    let left = V::splat(*a[m].add(k));
                    for w in 0..W {
                        sums[m][q][w] = left.mul_add(right[w], sums[m][q][w]);
                    }
                }
            }
        }
        for m in 0..M {
            for q in 0..P {
                for w in 0..W {
                    let column = ((panel + q) * 2 + w) * V::LANES;
                    let n = p.columns.saturating_sub(column).min(V::LANES);
                    let sum = sums[m][q][w];
                    let at = c[m].wrapping_add(column);
                    if n == V::LANES {
                        let sum = match p.start {
                            Start::Zero => sum,
                            Start::Add => sum.add(V::load(at)),
                            Start::Row(start) => sum.add(V::load(start.add(column))),
                        };
                        sum.store(at);
                    } else if n > 0 {
                        let sum = match p.start {
                            Start::Zero => sum,
                            Start::Add => sum.add(V::load_part(at, n)),
                            Start::Row(start) => sum.add(V::load_part(start.add(column), n)),
                        };
                        sum.store_part(at, n);
                    }
                }
            }
        }
    }
}

/// `c[m][n] = start[n] + a[m] · w[n]`: products with weights as they lie in memory, for when they
/// are used too seldom to be packed.
pub struct Dots<'a, T> {
    /// Rows of K values.
    pub a: &'a [*const T],
    /// Rows to write to, as many.
    pub c: &'a [*mut T],
    /// Weights `[N, K]`.
    pub w: *const T,
    pub k: usize,
    /// Which of the N.
    pub from: usize,
    pub to: usize,
    /// Added to each: N values, or null.
    pub bias: *const T,
    /// Whether to add to what stands there.
    pub add: bool,
}

impl<T: Float> Loop<T> for Dots<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe { dots::<V>(self) }
    }
}

#[inline(always)]
unsafe fn dots<V: Vector>(p: &Dots<V::T>) {
    let mut row = 0;
    // Always two vectors of each: however rows and weights are grouped, sums are the same to the bit.
    unsafe {
        while row < p.a.len() {
            let mut n = p.from;
            if row + 2 <= p.a.len() {
                while n + 2 <= p.to {
                    dots_of::<V, 2, 2>(p, row, n);
                    n += 2;
                }
                while n < p.to {
                    dots_of::<V, 2, 1>(p, row, n);
                    n += 1;
                }
                row += 2;
            } else {
                while n + 4 <= p.to {
                    dots_of::<V, 1, 4>(p, row, n);
                    n += 4;
                }
                while n < p.to {
                    dots_of::<V, 1, 1>(p, row, n);
                    n += 1;
                }
                row += 1;
            }
        }
    }
}

/// M rows by N weights.
#[inline(always)]
unsafe fn dots_of<V: Vector, const M: usize, const N: usize>(p: &Dots<V::T>, row: usize, n: usize) {
    const U: usize = 2;
    unsafe {
        let a: [*const V::T; M] = std::array::from_fn(|m| *p.a.get_unchecked(row + m));
        let w: [*const V::T; N] = std::array::from_fn(|j| p.w.add((n + j) * p.k));
        let mut sums = [[[V::splat(V::T::ZERO); U]; N]; M];
        let mut k = 0;
        while k + U * V::LANES <= p.k {
            for u in 0..U {
                let at = k + u * V::LANES;
                for m in 0..M {
                    let left = V::load(a[m].add(at));
                    for j in 0..N {
                        sums[m][j][u] = left.mul_add(V::load(w[j].add(at)), sums[m][j][u]);
                    }
                }
            }
            k += U * V::LANES;
        }
        while k < p.k {
            let part = (p.k - k).min(V::LANES);
            for m in 0..M {
                let left = V::load_part(a[m].add(k), part);
                for j in 0..N {
                    sums[m][j][0] = left.mul_add(V::load_part(w[j].add(k), part), sums[m][j][0]);
                }
            }
            k += part;
        }
        for m in 0..M {
            for j in 0..N {
                let mut sum = sums[m][j][0];
                for u in 1..U {
                    sum = sum.add(sums[m][j][u]);
                }
                let mut sum = sum.sum();
                if !p.bias.is_null() {
                    sum += *p.bias.add(n + j);
                }
                let at = (*p.c.get_unchecked(row + m)).add(n + j);
                *at = if p.add { *at + sum } else { sum };
            }
        }
    }
}

/// `c[n] (+)= Σ a[k] · w[k][n]` for one row, with weights as they lie in memory.
pub struct Axpys<T> {
    /// K values.
    pub a: *const T,
    pub k: usize,
    /// `[K, N]`
    pub w: *const T,
    pub n: usize,
    /// N values, of which those of `from..to` are made.
    pub c: *mut T,
    pub from: usize,
    pub to: usize,
    /// Whether to add to what stands there.
    pub add: bool,
}

impl<T: Float> Loop<T> for Axpys<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T = T>>(&self) {
        unsafe { axpys::<V>(self) }
    }
}

#[inline(always)]
unsafe fn axpys<V: Vector>(p: &Axpys<V::T>) {
    unsafe {
        let mut k = 0;
        while k + 4 <= p.k {
            axpys_of::<V, 4>(p, k);
            k += 4;
        }
        while k < p.k {
            axpys_of::<V, 1>(p, k);
            k += 1;
        }
    }
}

/// K rows of weights at a time.
#[inline(always)]
unsafe fn axpys_of<V: Vector, const K: usize>(p: &Axpys<V::T>, k: usize) {
    unsafe {
        let a: [V; K] = std::array::from_fn(|i| V::splat(*p.a.add(k + i)));
        let w: [*const V::T; K] = std::array::from_fn(|i| p.w.add((k + i) * p.n));
        let fresh = k == 0 && !p.add;
        let mut j = p.from;
        while j + V::LANES <= p.to {
            let mut sum = if fresh { V::splat(V::T::ZERO) } else { V::load(p.c.add(j)) };
            for i in 0..K {
                sum = a[i].mul_add(V::load(w[i].add(j)), sum);
            }
            sum.store(p.c.add(j));
            j += V::LANES;
        }
        if j < p.to {
            let part = p.to - j;
            let mut sum = if fresh { V::splat(V::T::ZERO) } else { V::load_part(p.c.add(j), part) };
            for i in 0..K {
                sum = a[i].mul_add(V::load_part(w[i].add(j), part), sum);
            }
            sum.store_part(p.c.add(j), part);
        }
    }
}
