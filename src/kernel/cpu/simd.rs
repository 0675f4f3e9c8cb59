//! Vectors of floats: one trait, and the instruction sets behind it.
//!
//! Everything here is `#[inline(always)]`, so that it becomes part of the function above it that
//! has the instruction set switched on; see [`Kernels`](super::isa::Kernels).

/// A float that kernels run on: f32 or f64.
pub trait Float:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::AddAssign
    + Into<f64>
    + 'static
{
    /// 0
    const ZERO: Self;
    /// log2 e
    const LOG2_E: Self;
    /// ln 2, the bits that are exact when multiplied by an exponent; and the rest.
    const LN_2: [Self; 2];
    /// 1.5 · 2^(mantissa bits): adding it leaves the nearest integer in the low bits.
    const ROUND: Self;
    /// Up to this `exp` of either sign is finite and not subnormal.
    const EXP_MAX: Self;
    /// Past this `tanh(x / 2)` is 1.
    const TANH_MAX: Self;
    /// 1/n! from the last that matters down to 1/1!.
    const TAYLOR: &'static [Self];

    /// The nearest value.
    fn from_f64(x: f64) -> Self;
}

impl Float for f32 {
    const ZERO: Self = 0.0;
    const LOG2_E: Self = std::f32::consts::LOG2_E;
    const LN_2: [Self; 2] = [0.693_359_4, -2.121_944_4e-4];
    const ROUND: Self = 12_582_912.0;
    const EXP_MAX: Self = 87.0;
    const TANH_MAX: Self = 20.0;
    const TAYLOR: &'static [Self] =
        &[1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];

    fn from_f64(x: f64) -> Self {
        x as f32
    }
}

impl Float for f64 {
    const ZERO: Self = 0.0;
    const LOG2_E: Self = std::f64::consts::LOG2_E;
    const LN_2: [Self; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    const ROUND: Self = 6_755_399_441_055_744.0;
    const EXP_MAX: Self = 708.0;
    const TANH_MAX: Self = 40.0;
    const TAYLOR: &'static [Self] = &[
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
    ];

    fn from_f64(x: f64) -> Self {
        x
    }
}

/// A few floats at once.
///
/// # Safety
/// Every method needs a processor with the vector's instruction set; those that take a pointer
/// need it to be valid for [`LANES`](Self::LANES) floats, or for the `n` that they are given.
pub trait Vector: Copy {
    /// What it holds.
    type T: Float;
    /// How many.
    const LANES: usize;

    unsafe fn load(p: *const Self::T) -> Self;
    unsafe fn store(self, p: *mut Self::T);
    /// The first `n`, at most [`LANES`](Self::LANES); zeros after them.
    unsafe fn load_part(p: *const Self::T, n: usize) -> Self;
    unsafe fn store_part(self, p: *mut Self::T, n: usize);
    unsafe fn splat(x: Self::T) -> Self;
    unsafe fn add(self, o: Self) -> Self;
    unsafe fn sub(self, o: Self) -> Self;
    unsafe fn mul(self, o: Self) -> Self;
    unsafe fn div(self, o: Self) -> Self;
    /// `self · a + b`
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// The smaller; `self` where it is not a number.
    unsafe fn min(self, o: Self) -> Self;
    /// The larger; `self` where it is not a number.
    unsafe fn max(self, o: Self) -> Self;
    /// `self` where it is greater than zero or not a number, else `o`.
    unsafe fn or_where_not_positive(self, test: Self, o: Self) -> Self;
    /// 2^n for `self` = [`Float::ROUND`] + n.
    unsafe fn pow2(self) -> Self;
    unsafe fn sqrt(self) -> Self;
    unsafe fn sum(self) -> Self::T;

    /// Turns 8 rows of 8 values into columns, which lie `stride` apart at `to`.
    #[inline(always)]
    unsafe fn transpose(rows: [*const Self::T; 8], to: *mut Self::T, stride: usize) {
        for k in 0..8 {
            let column = rows.map(|row| unsafe { *row.add(k) });
            unsafe { to.add(k * stride).cast::<[Self::T; 8]>().write_unaligned(column) };
        }
    }
}

/// `x` in every lane.
#[inline(always)]
pub unsafe fn constant<V: Vector>(x: f64) -> V {
    unsafe { V::splat(V::T::from_f64(x)) }
}

/// `(2^n, e^x - 2^n)` with n the integer nearest to x / ln 2; x within [`Float::EXP_MAX`].
#[inline(always)]
unsafe fn exp_parts<V: Vector>(x: V) -> (V, V) {
    unsafe {
        let shifted = x.mul_add(V::splat(V::T::LOG2_E), V::splat(V::T::ROUND));
        let n = shifted.sub(V::splat(V::T::ROUND));
        let zero = V::splat(V::T::ZERO);
        let [high, low] = V::T::LN_2;
        let minus_n = zero.sub(n);
        let r = minus_n.mul_add(V::splat(low), minus_n.mul_add(V::splat(high), x));
        let mut p = V::splat(V::T::TAYLOR[0]);
        let mut k = 1;
        while k < V::T::TAYLOR.len() {
            p = p.mul_add(r, V::splat(V::T::TAYLOR[k]));
            k += 1;
        }
        let scale = shifted.pow2();
        (scale, p.mul(r).mul(scale))
    }
}

/// `e^x`, x at most [`Float::EXP_MAX`]; what is as far below zero gives the least that there is.
#[inline(always)]
pub unsafe fn exp<V: Vector>(x: V) -> V {
    unsafe {
        let least = V::splat(V::T::ZERO).sub(V::splat(V::T::EXP_MAX));
        let (scale, rest) = exp_parts(x.max(least));
        scale.add(rest)
    }
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub unsafe fn sigmoid<V: Vector>(x: V) -> V {
    unsafe {
        let limit = V::splat(V::T::EXP_MAX);
        let zero = V::splat(V::T::ZERO);
        let x = zero.sub(x).min(limit).max(zero.sub(limit));
        let (scale, rest) = exp_parts(x);
        let one = constant::<V>(1.0);
        one.div(one.add(scale.add(rest)))
    }
}

/// By way of `e^2x - 1`, which loses no digits near zero.
#[inline(always)]
pub unsafe fn tanh<V: Vector>(x: V) -> V {
    unsafe {
        let limit = V::splat(V::T::TANH_MAX);
        let x = x.add(x).min(limit).max(V::splat(V::T::ZERO).sub(limit));
        let (scale, rest) = exp_parts(x);
        let e = scale.sub(constant(1.0)).add(rest);
        e.div(e.add(constant(2.0)))
    }
}

/// `1 - y²`: the slope of tanh where it is y.
#[inline(always)]
pub unsafe fn tanh_slope<V: Vector>(y: V) -> V {
    unsafe { constant::<V>(1.0).sub(y.mul(y)) }
}

/// `y (1 - y)`: the slope of the sigmoid where it is y.
#[inline(always)]
pub unsafe fn sigmoid_slope<V: Vector>(y: V) -> V {
    unsafe { y.sub(y.mul(y)) }
}

/// Any processor: the compiler makes of it what it can.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub struct Portable<T, const N: usize>([T; N]);

macro_rules! portable {
    ($t:ty, $lanes:literal, $bits:ty, $mantissa:literal, $bias:literal) => {
        impl Vector for Portable<$t, $lanes> {
            type T = $t;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                Self(unsafe { p.cast::<[$t; $lanes]>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                unsafe { p.cast::<[$t; $lanes]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn load_part(p: *const $t, n: usize) -> Self {
                let mut all = [0.0; $lanes];
                for k in 0..n {
                    all[k] = unsafe { *p.add(k) };
                }
                Self(all)
            }
            #[inline(always)]
            unsafe fn store_part(self, p: *mut $t, n: usize) {
                for k in 0..n {
                    unsafe { *p.add(k) = self.0[k] };
                }
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                Self([x; $lanes])
            }
            #[inline(always)]
            unsafe fn add(self, o: Self) -> Self {
                Self(std::array::from_fn(|k| self.0[k] + o.0[k]))
            }
            #[inline(always)]
            unsafe fn sub(self, o: Self) -> Self {
                Self(std::array::from_fn(|k| self.0[k] - o.0[k]))
            }
            #[inline(always)]
            unsafe fn mul(self, o: Self) -> Self {
                Self(std::array::from_fn(|k| self.0[k] * o.0[k]))
            }
            #[inline(always)]
            unsafe fn div(self, o: Self) -> Self {
                Self(std::array::from_fn(|k| self.0[k] / o.0[k]))
            }
            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                // Where no instruction does it, a library function would.
                if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
                    Self(std::array::from_fn(|k| self.0[k].mul_add(a.0[k], b.0[k])))
                } else {
                    Self(std::array::from_fn(|k| self.0[k] * a.0[k] + b.0[k]))
                }
            }
            #[inline(always)]
            unsafe fn min(self, o: Self) -> Self {
                Self(std::array::from_fn(|k| if o.0[k] < self.0[k] { o.0[k] } else { self.0[k] }))
            }
            #[inline(always)]
            unsafe fn max(self, o: Self) -> Self {
                Self(std::array::from_fn(|k| if o.0[k] > self.0[k] { o.0[k] } else { self.0[k] }))
            }
            #[inline(always)]
            unsafe fn or_where_not_positive(self, test: Self, o: Self) -> Self {
                Self(std::array::from_fn(|k| if test.0[k] <= 0.0 { o.0[k] } else { self.0[k] }))
            }
            #[inline(always)]
            unsafe fn pow2(self) -> Self {
                Self(std::array::from_fn(|k| {
                    <$t>::from_bits((self.0[k].to_bits() << $mantissa).wrapping_add($bias << $mantissa))
                }))
            }
            #[inline(always)]
            unsafe fn sqrt(self) -> Self {
                Self(self.0.map(<$t>::sqrt))
            }
            #[inline(always)]
            unsafe fn sum(self) -> $t {
                self.0.iter().sum()
            }
        }
    };
}

portable!(f32, 4, u32, 23, 127);
portable!(f64, 2, u64, 52, 1023);
// As wide as AVX-512, on any processor.
#[cfg(test)]
portable!(f32, 16, u32, 23, 127);
#[cfg(test)]
portable!(f64, 8, u64, 52, 1023);

#[cfg(target_arch = "x86_64")]
pub mod x86 {
    //! AVX2 with FMA, and AVX-512.

    use super::Vector;
    use std::arch::x86_64::*;

    /// Lanes to keep, then lanes to leave: read at `8 - n` it keeps the first n.
    static KEEP: [i64; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline(always)]
    unsafe fn keep_f32(n: usize) -> __m256i {
        debug_assert!(n <= 8);
        unsafe { _mm256_loadu_si256(KEEP.as_ptr().cast::<i32>().add(16 - n).cast()) }
    }

    #[inline(always)]
    unsafe fn keep_f64(n: usize) -> __m256i {
        debug_assert!(n <= 4);
        unsafe { _mm256_loadu_si256(KEEP.as_ptr().add(8 - n).cast()) }
    }

    /// [`Vector::transpose`]: blocks of 4 by 4 in each half of the vectors.
    #[inline(always)]
    unsafe fn transpose_f32(rows: [*const f32; 8], to: *mut f32, stride: usize) {
        for k in [0, 4] {
            unsafe {
                let [a, b, c, d] = std::array::from_fn(|l| {
                    let half = _mm256_castps128_ps256(_mm_loadu_ps(rows[l].add(k)));
                    _mm256_insertf128_ps::<1>(half, _mm_loadu_ps(rows[l + 4].add(k)))
                });
                let (first, last) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                _mm256_storeu_ps(to.add(k * stride), _mm256_shuffle_ps::<0x44>(first, last));
                _mm256_storeu_ps(to.add((k + 1) * stride), _mm256_shuffle_ps::<0xEE>(first, last));
                let (first, last) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                _mm256_storeu_ps(to.add((k + 2) * stride), _mm256_shuffle_ps::<0x44>(first, last));
                _mm256_storeu_ps(to.add((k + 3) * stride), _mm256_shuffle_ps::<0xEE>(first, last));
            }
        }
    }

    macro_rules! avx2 {
        ($name:ident, $v:ty, $t:ty, $lanes:literal, $keep:ident, $shift:ident, $plus:ident, $set:ident,
         $mantissa:literal, $bias:literal, [$load:ident, $store:ident, $load_part:ident, $store_part:ident,
         $splat:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $fma:ident, $min:ident, $max:ident,
         $cmp:ident, $blend:ident, $to_int:ident, $from_int:ident, $sqrt:ident] $(, $transpose:ident)?) => {
            /// 256 bits.
            #[derive(Clone, Copy, Debug)]
            pub struct $name($v);

            impl Vector for $name {
                type T = $t;
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn load(p: *const $t) -> Self {
                    Self(unsafe { $load(p) })
                }
                #[inline(always)]
                unsafe fn store(self, p: *mut $t) {
                    unsafe { $store(p, self.0) }
                }
                #[inline(always)]
                unsafe fn load_part(p: *const $t, n: usize) -> Self {
                    Self(unsafe { $load_part(p, $keep(n)) })
                }
                #[inline(always)]
                unsafe fn store_part(self, p: *mut $t, n: usize) {
                    unsafe { $store_part(p, $keep(n), self.0) }
                }
                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    Self(unsafe { $splat(x) })
                }
                #[inline(always)]
                unsafe fn add(self, o: Self) -> Self {
                    Self(unsafe { $add(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn sub(self, o: Self) -> Self {
                    Self(unsafe { $sub(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn mul(self, o: Self) -> Self {
                    Self(unsafe { $mul(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn div(self, o: Self) -> Self {
                    Self(unsafe { $div(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                    Self(unsafe { $fma(self.0, a.0, b.0) })
                }
                // The instructions give their second operand where either is not a number.
                #[inline(always)]
                unsafe fn min(self, o: Self) -> Self {
                    Self(unsafe { $min(o.0, self.0) })
                }
                #[inline(always)]
                unsafe fn max(self, o: Self) -> Self {
                    Self(unsafe { $max(o.0, self.0) })
                }
                #[inline(always)]
                unsafe fn or_where_not_positive(self, test: Self, o: Self) -> Self {
                    unsafe {
                        let mask = $cmp::<_CMP_LE_OQ>(test.0, $splat(0.0));
                        Self($blend(self.0, o.0, mask))
                    }
                }
                #[inline(always)]
                unsafe fn pow2(self) -> Self {
                    unsafe {
                        let bits = $shift::<$mantissa>($to_int(self.0));
                        Self($from_int($plus(bits, $set($bias << $mantissa))))
                    }
                }
                #[inline(always)]
                unsafe fn sqrt(self) -> Self {
                    Self(unsafe { $sqrt(self.0) })
                }
                $(
                    #[inline(always)]
                    unsafe fn transpose(rows: [*const $t; 8], to: *mut $t, stride: usize) {
                        unsafe { $transpose(rows, to, stride) }
                    }
                )?
                #[inline(always)]
                unsafe fn sum(self) -> $t {
                    let mut all = [0.0; $lanes];
                    unsafe { $store(all.as_mut_ptr(), self.0) };
                    let half = $lanes / 2;
                    let mut sum = 0.0;
                    for k in 0..half {
                        sum += all[k] + all[k + half];
                    }
                    sum
                }
            }
        };
    }

    avx2!(
        F32x8,
        __m256,
        f32,
        8,
        keep_f32,
        _mm256_slli_epi32,
        _mm256_add_epi32,
        _mm256_set1_epi32,
        23,
        127,
        [
            _mm256_loadu_ps,
            _mm256_storeu_ps,
            _mm256_maskload_ps,
            _mm256_maskstore_ps,
            _mm256_set1_ps,
            _mm256_add_ps,
            _mm256_sub_ps,
            _mm256_mul_ps,
            _mm256_div_ps,
            _mm256_fmadd_ps,
            _mm256_min_ps,
            _mm256_max_ps,
            _mm256_cmp_ps,
            _mm256_blendv_ps,
            _mm256_castps_si256,
            _mm256_castsi256_ps,
            _mm256_sqrt_ps
        ],
        transpose_f32
    );
    avx2!(
        F64x4,
        __m256d,
        f64,
        4,
        keep_f64,
        _mm256_slli_epi64,
        _mm256_add_epi64,
        _mm256_set1_epi64x,
        52,
        1023,
        [
            _mm256_loadu_pd,
            _mm256_storeu_pd,
            _mm256_maskload_pd,
            _mm256_maskstore_pd,
            _mm256_set1_pd,
            _mm256_add_pd,
            _mm256_sub_pd,
            _mm256_mul_pd,
            _mm256_div_pd,
            _mm256_fmadd_pd,
            _mm256_min_pd,
            _mm256_max_pd,
            _mm256_cmp_pd,
            _mm256_blendv_pd,
            _mm256_castpd_si256,
            _mm256_castsi256_pd,
            _mm256_sqrt_pd
        ]
    );

    macro_rules! avx512 {
        ($name:ident, $v:ty, $t:ty, $lanes:literal, $mask:ty, $shift:ident, $plus:ident, $set:ident,
         $mantissa:literal, $bias:literal, [$load:ident, $store:ident, $load_part:ident, $store_part:ident,
         $splat:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $fma:ident, $min:ident, $max:ident,
         $cmp:ident, $blend:ident, $to_int:ident, $from_int:ident, $sqrt:ident, $sum:ident] $(, $transpose:ident)?) => {
            /// 512 bits.
            #[derive(Clone, Copy, Debug)]
            pub struct $name($v);

            impl Vector for $name {
                type T = $t;
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn load(p: *const $t) -> Self {
                    Self(unsafe { $load(p) })
                }
                #[inline(always)]
                unsafe fn store(self, p: *mut $t) {
                    unsafe { $store(p, self.0) }
                }
                #[inline(always)]
                unsafe fn load_part(p: *const $t, n: usize) -> Self {
                    Self(unsafe { $load_part(((1u32 << n) - 1) as $mask, p) })
                }
                #[inline(always)]
                unsafe fn store_part(self, p: *mut $t, n: usize) {
                    unsafe { $store_part(p, ((1u32 << n) - 1) as $mask, self.0) }
                }
                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    Self(unsafe { $splat(x) })
                }
                #[inline(always)]
                unsafe fn add(self, o: Self) -> Self {
                    Self(unsafe { $add(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn sub(self, o: Self) -> Self {
                    Self(unsafe { $sub(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn mul(self, o: Self) -> Self {
                    Self(unsafe { $mul(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn div(self, o: Self) -> Self {
                    Self(unsafe { $div(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                    Self(unsafe { $fma(self.0, a.0, b.0) })
                }
                #[inline(always)]
                unsafe fn min(self, o: Self) -> Self {
                    Self(unsafe { $min(o.0, self.0) })
                }
                #[inline(always)]
                unsafe fn max(self, o: Self) -> Self {
                    Self(unsafe { $max(o.0, self.0) })
                }
                #[inline(always)]
                unsafe fn or_where_not_positive(self, test: Self, o: Self) -> Self {
                    unsafe {
                        let mask = $cmp::<_CMP_LE_OQ>(test.0, $splat(0.0));
                        Self($blend(mask, self.0, o.0))
                    }
                }
                #[inline(always)]
                unsafe fn pow2(self) -> Self {
                    unsafe {
                        let bits = $shift::<$mantissa>($to_int(self.0));
                        Self($from_int($plus(bits, $set($bias << $mantissa))))
                    }
                }
                #[inline(always)]
                unsafe fn sqrt(self) -> Self {
                    Self(unsafe { $sqrt(self.0) })
                }
                $(
                    #[inline(always)]
                    unsafe fn transpose(rows: [*const $t; 8], to: *mut $t, stride: usize) {
                        unsafe { $transpose(rows, to, stride) }
                    }
                )?
                #[inline(always)]
                unsafe fn sum(self) -> $t {
                    unsafe { $sum(self.0) }
                }
            }
        };
    }

    avx512!(
        F32x16,
        __m512,
        f32,
        16,
        __mmask16,
        _mm512_slli_epi32,
        _mm512_add_epi32,
        _mm512_set1_epi32,
        23,
        127,
        [
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_maskz_loadu_ps,
            _mm512_mask_storeu_ps,
            _mm512_set1_ps,
            _mm512_add_ps,
            _mm512_sub_ps,
            _mm512_mul_ps,
            _mm512_div_ps,
            _mm512_fmadd_ps,
            _mm512_min_ps,
            _mm512_max_ps,
            _mm512_cmp_ps_mask,
            _mm512_mask_blend_ps,
            _mm512_castps_si512,
            _mm512_castsi512_ps,
            _mm512_sqrt_ps,
            _mm512_reduce_add_ps
        ],
        transpose_f32
    );
    avx512!(
        F64x8,
        __m512d,
        f64,
        8,
        __mmask8,
        _mm512_slli_epi64,
        _mm512_add_epi64,
        _mm512_set1_epi64,
        52,
        1023,
        [
            _mm512_loadu_pd,
            _mm512_storeu_pd,
            _mm512_maskz_loadu_pd,
            _mm512_mask_storeu_pd,
            _mm512_set1_pd,
            _mm512_add_pd,
            _mm512_sub_pd,
            _mm512_mul_pd,
            _mm512_div_pd,
            _mm512_fmadd_pd,
            _mm512_min_pd,
            _mm512_max_pd,
            _mm512_cmp_pd_mask,
            _mm512_mask_blend_pd,
            _mm512_castpd_si512,
            _mm512_castsi512_pd,
            _mm512_sqrt_pd,
            _mm512_reduce_add_pd
        ]
    );
}
