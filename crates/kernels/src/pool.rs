//! The compute pool: a few parked threads that take pieces of one job at a time.
//!
//! Each thread begins with pieces of its own, the same share of every job, and only then helps the others: so what a thread
//! wrote in one job it reads in the next one, from its own caches. Threads may run on cores that have no cache in common,
//! between which a line takes several times as long.
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

/// How often a waiting thread looks before it parks (some microseconds): waking it up takes longer.
const SPINS: usize = 2_000;

/// A job as the workers see it; the pointer is valid while the caller of [`Pool::run`] waits.
#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    pieces: usize,
}

// SAFETY: the pointee is `Sync`, and `Pool::run` does not return before every worker has left the job.
unsafe impl Send for Job {}

struct State {
    job: Option<Job>,
    /// Number of the newest job; a worker joins each job once.
    generation: usize,
    /// Workers that wait for a job in their sleep.
    parked: usize,
    /// Whether the caller waits for the workers in its sleep.
    waiting: bool,
    closed: bool,
    panic: Option<Box<dyn Any + Send>>,
}

struct Shared {
    state: Mutex<State>,
    /// A copy of `State::generation` that a spinning worker can watch.
    generation: AtomicUsize,
    /// Workers inside the current job; changed by those who hold the state.
    busy: AtomicUsize,
    /// For each thread, the caller's first: the next of its pieces to hand out.
    next: Vec<Next>,
    wake: Condvar,
    done: Condvar,
}

/// On lines of its own, so that threads do not wait for each other's.
#[repr(align(128))]
struct Next(AtomicUsize);

/// A fixed set of threads. The caller of [`Pool::run`] works too, so `threads` counts it.
pub struct Pool {
    shared: Arc<Shared>,
    /// Serialises jobs of different callers.
    turn: Mutex<()>,
    workers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pool").field("threads", &self.threads()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of `threads` threads, the caller of [`Pool::run`] included; threads that cannot be started are left out.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                job: None,
                generation: 0,
                parked: 0,
                waiting: false,
                closed: false,
                panic: None,
            }),
            generation: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            next: (0..threads).map(|_| Next(AtomicUsize::new(0))).collect(),
            wake: Condvar::new(),
            done: Condvar::new(),
        });
        let workers = (1..threads)
            .filter_map(|index| {
                let shared = Arc::clone(&shared);
                let name = format!("sconce-compute-{index}");
                std::thread::Builder::new().name(name).spawn(move || worker(&shared, index)).ok()
            })
            .collect();
        Self { shared, turn: Mutex::new(()), workers }
    }

    /// Threads that share a job, the caller included.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work(piece)` once for each piece in `0..pieces`, on all threads, and returns when every call has ended.
    /// Each thread begins with its share, as many neighbouring pieces as the others have, in ascending order, and takes
    /// what is left of other shares afterwards. A panic in a piece is raised again here, after the others ended. Must not
    /// be called from inside a piece of the same pool.
    pub fn run(&self, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
        if pieces <= 1 || self.workers.is_empty() {
            (0..pieces).for_each(work);
            return;
        }
        let _turn = lock(&self.turn);
        // SAFETY: only the lifetime is erased; this function waits below until no worker holds the job.
        let work_static = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(work)
        };
        {
            let mut state = lock(&self.shared.state);
            state.job = Some(Job { work: work_static, pieces });
            state.generation += 1;
            for (thread, next) in self.shared.next.iter().enumerate() {
                next.0.store(self.shared.first_piece(thread, pieces), Ordering::Relaxed);
            }
            self.shared.generation.store(state.generation, Ordering::Release);
            if state.parked > 0 {
                self.shared.wake.notify_all();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| self.shared.take_pieces(0, pieces, work)));
        let busy = || self.shared.busy.load(Ordering::Acquire) > 0;
        spin_while(busy);
        let mut state = lock(&self.shared.state);
        state.job = None;
        while busy() {
            state.waiting = true;
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting = false;
        let panic = state.panic.take();
        drop(state);
        if let Some(panic) = own.err().or(panic) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.shared.state);
            state.closed = true;
            state.generation += 1;
            self.shared.generation.store(state.generation, Ordering::Release);
        }
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its pieces, so a failed join has nothing to tell.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// The first piece of the share of a thread.
    fn first_piece(&self, thread: usize, pieces: usize) -> usize {
        let threads = self.next.len();
        pieces / threads * thread + (pieces % threads).min(thread)
    }

    /// Does the pieces of a thread's share, then what is left of those of the threads behind it.
    fn take_pieces(&self, thread: usize, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
        let threads = self.next.len();
        for share in (thread..threads).chain(0..thread) {
            let end = self.first_piece(share + 1, pieces);
            loop {
                let piece = self.next[share].0.fetch_add(1, Ordering::Relaxed);
                if piece >= end {
                    break;
                }
                work(piece);
            }
        }
    }
}

/// Waits, for a while, until a condition no longer holds.
fn spin_while(holds: impl Fn() -> bool) {
    let mut spins = 0;
    while spins < SPINS && holds() {
        std::hint::spin_loop();
        spins += 1;
    }
}

fn worker(shared: &Shared, thread: usize) {
    lower_priority();
    let mut seen = 0;
    loop {
        spin_while(|| shared.generation.load(Ordering::Acquire) == seen);
        let mut state = lock(&shared.state);
        while state.generation == seen {
            state.parked += 1;
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.parked -= 1;
        }
        seen = state.generation;
        if state.closed {
            return;
        }
        let Some(job) = state.job else { continue };
        shared.busy.fetch_add(1, Ordering::Relaxed);
        drop(state);
        // SAFETY: `busy` counts this worker, and `Pool::run` keeps the closure alive until `busy` is 0.
        let work = unsafe { &*job.work };
        let result = catch_unwind(AssertUnwindSafe(|| shared.take_pieces(thread, job.pieces, work)));
        let mut state = lock(&shared.state);
        if let Err(panic) = result {
            state.panic.get_or_insert(panic);
        }
        if shared.busy.fetch_sub(1, Ordering::Release) == 1 && state.waiting {
            shared.done.notify_all();
        }
    }
}

/// Lets this thread yield to threads of normal priority, such as the event loop of Node. Linux only; a no-op elsewhere.
pub fn lower_priority() {
    #[cfg(target_os = "linux")]
    // SAFETY: plain system call on the calling thread (0), no memory involved. A refusal is harmless.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 10);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::{
            Barrier, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::Pool;

    #[test]
    fn each_piece_runs_once() {
        for threads in 1..5 {
            let pool = Pool::new(threads);
            for pieces in [0, 1, 2, 7, 100] {
                let counts: Vec<_> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
                pool.run(pieces, &|piece| {
                    counts[piece].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn each_thread_begins_with_its_own_share() {
        let pool = Pool::new(2);
        let id = || std::thread::current().id();
        let caller = id();
        for _ in 0..50 {
            let (begun, all_begun) = (Mutex::new(HashMap::new()), Barrier::new(2));
            pool.run(11, &|piece| {
                let first = begun.lock().is_ok_and(|mut begun| begun.insert(id(), piece).is_none());
                // So that no thread helps the other one before it comes.
                if first {
                    all_begun.wait();
                    assert_eq!(piece, if id() == caller { 0 } else { 6 });
                }
            });
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3);
        for _ in 0..50 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                pool.run(8, &|piece| assert!(piece != 5, "piece five"));
            }));
            assert!(result.is_err());
            let count = AtomicUsize::new(0);
            pool.run(8, &|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.load(Ordering::Relaxed), 8);
        }
    }
}
