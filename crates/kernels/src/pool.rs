//! The compute pool: a few parked threads that take pieces of one job at a time.
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
    /// The next piece to hand out.
    next: AtomicUsize,
    wake: Condvar,
    done: Condvar,
}

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
            next: AtomicUsize::new(0),
            wake: Condvar::new(),
            done: Condvar::new(),
        });
        let workers = (1..threads.max(1))
            .filter_map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("sconce-compute-{index}")).spawn(move || worker(&shared)).ok()
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
    /// Pieces are handed out dynamically in ascending order. A panic in a piece is raised again here, after the others
    /// ended. Must not be called from inside a piece of the same pool.
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
            self.shared.next.store(0, Ordering::Relaxed);
            self.shared.generation.store(state.generation, Ordering::Release);
            if state.parked > 0 {
                self.shared.wake.notify_all();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| take_pieces(&self.shared.next, pieces, work)));
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

fn take_pieces(next: &AtomicUsize, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    loop {
        let piece = next.fetch_add(1, Ordering::Relaxed);
        if piece >= pieces {
            return;
        }
        work(piece);
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

fn worker(shared: &Shared) {
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
        let result = catch_unwind(AssertUnwindSafe(|| take_pieces(&shared.next, job.pieces, work)));
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
    use std::sync::atomic::{AtomicUsize, Ordering};

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
