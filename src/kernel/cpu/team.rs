//! Threads that wait for work a moment before they sleep: a recurrence has a few microseconds of
//! it at a time.

use super::isa::Isa;
use crate::kernel::threads;
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};

/// Turns of the wait loop before a thread gives its core away.
const SPINS: usize = 4_000;

/// Runs `work(k)` for every k below `n`, each on a thread of its own, all at the same time: they
/// may wait for each other. Gives false, and has run nothing, where the threads are busy.
pub fn try_together(n: usize, work: &(dyn Fn(usize) + Sync)) -> bool {
    if n <= 1 {
        (0..n).for_each(work);
        return true;
    }
    static TEAM: Mutex<Vec<Member>> = Mutex::new(Vec::new());
    // Tests run beside each other, and are there to see threads meet.
    #[cfg(test)]
    let mut team = TEAM.lock().unwrap_or_else(PoisonError::into_inner);
    #[cfg(not(test))]
    let mut team = match TEAM.try_lock() {
        Ok(team) => team,
        Err(std::sync::TryLockError::Poisoned(team)) => PoisonError::into_inner(team),
        Err(std::sync::TryLockError::WouldBlock) => return false,
    };
    while team.len() + 1 < n {
        match Member::start() {
            Ok(member) => team.push(member),
            Err(_) => return false,
        }
    }
    // SAFETY: the reference outlives its use: nothing below returns before all members are done.
    let work: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(work) };
    let members = &team[..n - 1];
    for (k, member) in members.iter().enumerate() {
        member.give(Work { run: work, index: k + 1 });
    }
    let mut panic = catch_unwind(AssertUnwindSafe(|| work(0))).err();
    for member in members {
        panic = member.wait().or(panic);
    }
    drop(team);
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    true
}

/// Runs `work(k)` for every k below `n`, on as many threads where they are free.
pub fn each(n: usize, work: &(dyn Fn(usize) + Sync)) {
    if !try_together(n, work) {
        (0..n).for_each(work);
    }
}

/// Who does a piece of work, which changes nothing but rounding and the time it takes.
#[derive(Clone, Copy, Debug)]
pub struct Crew {
    pub(super) isa: Isa,
    /// None: as many as the work is worth.
    threads: Option<usize>,
}

impl Default for Crew {
    /// The best there is.
    fn default() -> Self {
        Self { isa: Isa::best(), threads: None }
    }
}

impl Crew {
    /// How many threads, where each should have `least` of the work.
    pub fn threads(&self, work: usize, least: usize) -> usize {
        self.threads.unwrap_or_else(|| threads().min(work / least).max(1))
    }

    /// Several: every instruction set with 1 to 5 threads.
    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = Self> {
        Isa::all().into_iter().flat_map(|isa| (1..=5).map(move |n| Self { isa, threads: Some(n) }))
    }
}

/// The `k`th of `parts` even parts of `0..n`, cut at multiples of `grain`.
pub fn share(n: usize, grain: usize, parts: usize, k: usize) -> Range<usize> {
    let grains = n.div_ceil(grain);
    let cut = |k: usize| (grains * k / parts * grain).min(n);
    cut(k)..cut(k + 1)
}

/// Waits until `ready`: a moment at full speed, then politely.
pub fn wait_until(ready: impl Fn() -> bool) {
    let mut turns = 0;
    while !ready() {
        turns += 1;
        if turns < SPINS {
            std::hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

/// Where threads of [`try_together`] meet.
pub struct Barrier {
    n: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    /// A thread has panicked, and will not come.
    broken: AtomicBool,
}

impl Barrier {
    pub fn new(n: usize) -> Self {
        Self { n, arrived: AtomicUsize::new(0), round: AtomicUsize::new(0), broken: AtomicBool::new(false) }
    }

    /// Returns when all have called it: what they wrote before is seen by all.
    pub fn wait(&self) {
        if self.n == 1 {
            return;
        }
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.n {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
        } else {
            let broken = || self.broken.load(Ordering::Acquire);
            wait_until(|| self.round.load(Ordering::Acquire) != round || broken());
            assert!(!broken(), "another thread of this kernel has panicked");
        }
    }

    /// Runs `work`; if it panics, those that wait for it do too.
    pub fn guard(&self, work: impl FnOnce()) {
        let result = catch_unwind(AssertUnwindSafe(work));
        if let Err(panic) = result {
            self.broken.store(true, Ordering::Release);
            resume_unwind(panic);
        }
    }
}

struct Work {
    run: &'static (dyn Fn(usize) + Sync),
    index: usize,
}

type Panic = Box<dyn Any + Send>;

/// A thread, and the slot through which it is given work.
struct Member {
    slot: Arc<Slot>,
    thread: Thread,
}

#[derive(Default)]
struct Slot {
    /// Odd: there is work; even: it is done.
    turn: AtomicU64,
    work: Mutex<Option<Work>>,
    panic: Mutex<Option<Panic>>,
}

impl Member {
    fn start() -> std::io::Result<Self> {
        let slot = Arc::new(Slot::default());
        let own = slot.clone();
        let thread =
            thread::Builder::new().name("rnn-zoo".into()).spawn(move || own.serve())?.thread().clone();
        Ok(Self { slot, thread })
    }

    fn give(&self, work: Work) {
        *self.slot.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
        self.slot.turn.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }

    fn wait(&self) -> Option<Panic> {
        wait_until(|| self.slot.turn.load(Ordering::Acquire).is_multiple_of(2));
        self.slot.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Slot {
    fn serve(&self) {
        let mut turns = 0;
        loop {
            if self.turn.load(Ordering::Acquire).is_multiple_of(2) {
                turns += 1;
                if turns < SPINS {
                    std::hint::spin_loop();
                } else {
                    thread::park();
                }
                continue;
            }
            turns = 0;
            let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(Work { run, index }) = work {
                let panic = catch_unwind(AssertUnwindSafe(|| run(index))).err();
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = panic;
            }
            self.turn.fetch_add(1, Ordering::Release);
        }
    }
}
