//! Memory that several threads write to, each in its own part.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Values that are written before they are read.
#[derive(Debug)]
pub struct Buffer<T>(Box<[MaybeUninit<T>]>);

impl<T: Copy> Buffer<T> {
    pub fn new(n: usize) -> Self {
        Self(Box::new_uninit_slice(n))
    }

    pub fn shared(&mut self) -> Shared<T> {
        Shared { at: self.0.as_mut_ptr().cast(), n: self.0.len() }
    }

    /// The place of `n` values to read, once they are written.
    #[inline(always)]
    pub fn at(&self, from: usize, n: usize) -> *const T {
        debug_assert!(from + n <= self.0.len(), "{from} + {n} of {}", self.0.len());
        self.0.as_ptr().cast::<T>().wrapping_add(from)
    }

    /// # Safety
    /// Every value was written.
    pub unsafe fn into_vec(self) -> Vec<T> {
        unsafe { self.0.assume_init() }.into_vec()
    }
}

impl<T: Copy> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Where threads write.
#[derive(Clone, Copy)]
pub struct Shared<T> {
    at: *mut T,
    n: usize,
}

// SAFETY: it is a place; those who write there see to it that they do not meet.
unsafe impl<T: Send> Send for Shared<T> {}
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn of(values: &mut [T]) -> Self {
        Self { at: values.as_mut_ptr(), n: values.len() }
    }

    /// The place of `n` values from `from` on: within the buffer, which a debug build checks.
    #[inline(always)]
    pub fn at(&self, from: usize, n: usize) -> *mut T {
        debug_assert!(from + n <= self.n, "{from} + {n} of {}", self.n);
        self.at.wrapping_add(from)
    }

    /// A part of it.
    pub fn part(&self, from: usize, n: usize) -> Self {
        Self { at: self.at(from, n), n }
    }
}

/// Values that become others, one by one: in their own place or in another.
pub struct Change<'a, T> {
    from: Shared<T>,
    to: Shared<T>,
    borrowed: PhantomData<&'a mut [T]>,
}

impl<'a, T: Copy> Change<'a, T> {
    pub fn in_place(values: &'a mut [T]) -> Self {
        let place = Shared::of(values);
        Self { from: place, to: place, borrowed: PhantomData }
    }

    pub fn into(values: &'a [T], buffer: &'a mut Buffer<T>) -> Self {
        let (from, to) = (Shared { at: values.as_ptr().cast_mut(), n: values.len() }, buffer.shared());
        assert_eq!(from.n, to.n, "values change one by one");
        Self { from, to, borrowed: PhantomData }
    }

    pub fn len(&self) -> usize {
        self.to.n
    }

    /// Where `n` values from `start` on are read.
    #[inline(always)]
    pub fn from(&self, start: usize, n: usize) -> *const T {
        self.from.at(start, n)
    }

    /// Where they are written.
    #[inline(always)]
    pub fn to(&self, start: usize, n: usize) -> *mut T {
        self.to.at(start, n)
    }
}

/// The place of `n` values to read, checked likewise.
#[inline(always)]
pub fn part<T>(values: &[T], from: usize, n: usize) -> *const T {
    debug_assert!(from + n <= values.len(), "{from} + {n} of {}", values.len());
    values.as_ptr().wrapping_add(from)
}
