//! Which instruction set runs: one binary, picked at run time.
//!
//! [`Kernels`] are the functions that are compiled once for each vector type with its instruction
//! set switched on; what calls them is ordinary code.

use super::simd::{Float, Portable, Vector};
use std::sync::OnceLock;

/// The innermost loops.
///
/// # Safety
/// The processor has the vector's instruction set, and all pointers are valid as their structs say.
pub trait Kernels: Vector + 'static {
    unsafe fn run<L: Loop<Self::T>>(p: &L);
}

/// An innermost loop that is written down elsewhere.
pub trait Loop<T> {
    /// # Safety
    /// The processor has the vector's instruction set, and all pointers are valid as the struct says.
    unsafe fn run<V: Vector<T = T>>(&self);
}

macro_rules! kernels {
    ($v:ty $(, $feature:literal)?) => {
        impl Kernels for $v {
            unsafe fn run<L: Loop<Self::T>>(p: &L) {
                $(#[target_feature(enable = $feature)])?
                unsafe fn with_features<L: Loop<<$v as Vector>::T>>(p: &L) {
                    unsafe { p.run::<$v>() }
                }
                unsafe { with_features(p) }
            }
        }
    };
}

kernels!(Portable<f32, 4>);
kernels!(Portable<f64, 2>);
#[cfg(test)]
kernels!(Portable<f32, 16>);
#[cfg(test)]
kernels!(Portable<f64, 8>);
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::kernel::cpu::simd::x86::*;

    kernels!(F32x8, "avx2,fma");
    kernels!(F64x4, "avx2,fma");
    kernels!(F32x16, "avx512f,avx2,fma");
    kernels!(F64x8, "avx512f,avx2,fma");
}

/// An instruction set that there are kernels for and that this processor has: there is no other way to
/// one than [`Isa::all`] and [`Isa::best`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// Whatever the compiler may use.
    Portable,
    /// As wide as AVX-512: tests see what that makes of sizes, without it.
    #[cfg(test)]
    Wide,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Those that this processor has, the widest last.
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self(Set::Portable),
            #[cfg(test)]
            Self(Set::Wide),
        ];
        // Miri runs no vendor's intrinsics.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self(Set::Avx2));
                if is_x86_feature_detected!("avx512f") {
                    all.push(Self(Set::Avx512));
                }
            }
        }
        all
    }

    /// The widest that this processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| *Self::all().last().expect("the portable one is always there"))
    }
}

/// What is to be run with a vector type, once one is picked.
pub trait Job<T> {
    type Output;
    fn run<V: Kernels<T = T>>(self) -> Self::Output;
}

/// A float with a vector type in each instruction set.
pub trait Dispatch: Float {
    /// Runs `job` with the vectors of `isa`.
    fn dispatch<J: Job<Self>>(isa: Isa, job: J) -> J::Output;
    /// Runs an innermost loop likewise.
    ///
    /// # Safety
    /// Its pointers are valid.
    unsafe fn run<L: Loop<Self>>(isa: Isa, p: &L);
    /// `dst = lhs · rhs`, or with `add` `dst += lhs · rhs`, for `dst [m, n]`, `lhs [m, k]`, `rhs [k, n]`,
    /// strides by row and column.
    ///
    /// # Safety
    /// The matrices are valid.
    unsafe fn gemm(
        size: [usize; 3],
        dst: (*mut Self, [isize; 2]),
        lhs: (*const Self, [isize; 2]),
        rhs: (*const Self, [isize; 2]),
        add: bool,
    );
}

macro_rules! dispatch {
    ($t:ty, $portable:ty, $wide:ty, $avx2:ident, $avx512:ident) => {
        impl Dispatch for $t {
            fn dispatch<J: Job<Self>>(isa: Isa, job: J) -> J::Output {
                match isa.0 {
                    #[cfg(target_arch = "x86_64")]
                    Set::Avx2 => job.run::<super::simd::x86::$avx2>(),
                    #[cfg(target_arch = "x86_64")]
                    Set::Avx512 => job.run::<super::simd::x86::$avx512>(),
                    Set::Portable => job.run::<$portable>(),
                    #[cfg(test)]
                    Set::Wide => job.run::<$wide>(),
                }
            }

            unsafe fn run<L: Loop<Self>>(isa: Isa, p: &L) {
                unsafe {
                    match isa.0 {
                        #[cfg(target_arch = "x86_64")]
                        Set::Avx2 => super::simd::x86::$avx2::run(p),
                        #[cfg(target_arch = "x86_64")]
                        Set::Avx512 => super::simd::x86::$avx512::run(p),
                        Set::Portable => <$portable>::run(p),
                        #[cfg(test)]
                        Set::Wide => <$wide>::run(p),
                    }
                }
            }

            unsafe fn gemm(
                [m, n, k]: [usize; 3],
                (dst, [dst_row, dst_column]): (*mut Self, [isize; 2]),
                (lhs, [lhs_row, lhs_column]): (*const Self, [isize; 2]),
                (rhs, [rhs_row, rhs_column]): (*const Self, [isize; 2]),
                add: bool,
            ) {
                unsafe {
                    gemm::gemm(
                        m,
                        n,
                        k,
                        dst,
                        dst_column,
                        dst_row,
                        add,
                        lhs,
                        lhs_column,
                        lhs_row,
                        rhs,
                        rhs_column,
                        rhs_row,
                        1.0,
                        1.0,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    )
                }
            }
        }
    };
}

dispatch!(f32, Portable<f32, 4>, Portable<f32, 16>, F32x8, F32x16);
dispatch!(f64, Portable<f64, 2>, Portable<f64, 8>, F64x4, F64x8);
