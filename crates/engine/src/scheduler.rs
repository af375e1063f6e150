//! One scheduler a process: calls of one family run in order, families take turns, one turn at a time.
use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
};

use sconce_kernels::pool::lower_priority;

use crate::error::{Code, Error, Result};

/// Calls that may wait at a time; more are refused.
const CAPACITY: usize = 4096;
/// Stack of the compute thread.
const STACK: usize = 16 << 20;

/// What a turn of a job leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to do; others may go first.
    More,
    /// It has ended.
    Done,
}

/// Work that runs turn by turn. It must settle its call itself, also when it is dropped without having ended.
pub trait Job: Send {
    /// Does a part of the work.
    fn turn(&mut self) -> Turn;
}

impl<F: FnMut() -> Turn + Send> Job for F {
    fn turn(&mut self) -> Turn {
        self()
    }
}

struct Waiting {
    /// Gives the family at the time of asking: families may join while a job waits.
    family: Box<dyn Fn() -> u64 + Send>,
    job: Box<dyn Job>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// When each family had its last turn.
    served: HashMap<u64, u64>,
    turns: u64,
}

/// The queue and its thread.
pub struct Scheduler {
    state: Mutex<State>,
    wake: Condvar,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scheduler").field("waiting", &self.lock().waiting.len()).finish()
    }
}

impl Scheduler {
    /// The scheduler of the process; its thread starts with the first call.
    ///
    /// # Errors
    /// `Limit` if no thread can be started.
    pub fn global() -> Result<&'static Arc<Self>> {
        static GLOBAL: OnceLock<Arc<Scheduler>> = OnceLock::new();
        static STARTED: OnceLock<bool> = OnceLock::new();
        let scheduler = GLOBAL.get_or_init(|| Arc::new(Self { state: Mutex::default(), wake: Condvar::new() }));
        let started = *STARTED.get_or_init(|| {
            let scheduler = Arc::clone(scheduler);
            std::thread::Builder::new()
                .name("sconce-scheduler".to_owned())
                .stack_size(STACK)
                .spawn(move || scheduler.run())
                .is_ok()
        });
        if started { Ok(scheduler) } else { Err(Error::new(Code::Limit, "no thread could be started for computing")) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job.
    ///
    /// # Errors
    /// `Limit` if too many wait; the job is dropped then.
    pub fn submit(&self, family: impl Fn() -> u64 + Send + 'static, job: impl Job + 'static) -> Result<()> {
        let mut state = self.lock();
        if state.waiting.len() >= CAPACITY {
            drop(state);
            return Err(Error::new(
                Code::Limit,
                format!("{CAPACITY} calls are waiting already: await some of them first"),
            ));
        }
        state.waiting.push_back(Waiting { family: Box::new(family), job: Box::new(job) });
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn run(&self) {
        lower_priority();
        loop {
            let (mut waiting, family) = self.next();
            // A job catches its own panics; this keeps the thread alive if one does not.
            let turn = catch_unwind(AssertUnwindSafe(|| waiting.job.turn())).unwrap_or(Turn::Done);
            let mut state = self.lock();
            state.turns += 1;
            let turns = state.turns;
            if turn == Turn::More {
                // First of its family again.
                state.waiting.push_front(waiting);
                state.served.insert(family, turns);
            } else if state.waiting.is_empty() {
                state.served.clear();
            } else {
                state.served.insert(family, turns);
            }
        }
    }

    /// Waits for work; takes the first job of the family that waited longest for a turn.
    fn next(&self) -> (Waiting, u64) {
        let mut state = self.lock();
        loop {
            let mut first: HashMap<u64, usize> = HashMap::new();
            for (index, waiting) in state.waiting.iter().enumerate() {
                first.entry((waiting.family)()).or_insert(index);
            }
            let chosen = first
                .into_iter()
                .min_by_key(|(family, index)| (state.served.get(family).copied().unwrap_or(0), *index));
            if let Some((family, waiting)) =
                chosen.and_then(|(family, index)| state.waiting.remove(index).map(|waiting| (family, waiting)))
            {
                return (waiting, family);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::{Scheduler, Turn};

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let scheduler = Scheduler::global().unwrap();
        let (sender, receiver) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        scheduler
            .submit(
                || u64::MAX,
                move || {
                    // Everything below is queued before anything runs.
                    gate.recv().unwrap();
                    Turn::Done
                },
            )
            .unwrap();
        for (family, name, turns) in [(1, "a", 3), (1, "b", 1), (2, "c", 2)] {
            let sender = sender.clone();
            let mut left = turns;
            scheduler
                .submit(
                    move || family,
                    move || {
                        sender.send(name).unwrap();
                        left -= 1;
                        if left > 0 { Turn::More } else { Turn::Done }
                    },
                )
                .unwrap();
        }
        open.send(()).unwrap();
        drop(sender);
        let order: Vec<_> = receiver.iter().collect();
        assert_eq!(order, ["a", "c", "a", "c", "a", "b"]);
    }

    #[test]
    fn a_panic_ends_its_job_alone() {
        let scheduler = Scheduler::global().unwrap();
        scheduler.submit(|| 77, || panic!("a job that panics, on purpose")).unwrap();
        let (sender, receiver) = mpsc::channel();
        scheduler
            .submit(
                || 77,
                move || {
                    sender.send(()).unwrap();
                    Turn::Done
                },
            )
            .unwrap();
        receiver.recv().unwrap();
    }
}
