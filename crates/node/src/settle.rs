//! Promises that are settled from other threads, and settled in any case.
use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, Once, PoisonError},
};

use napi::{
    Env, JsValue,
    bindgen_prelude::{ClassInstance, JsObjectValue, Object, ToNapiValue},
};
use sconce_engine::{
    Code, Error,
    interrupt::Flag,
    scheduler::{Scheduler, Turn},
};
use sconce_kernels::Context;

use crate::{
    error::{Result, thrown},
    layer::NativeCancel,
};

type Resolver<T> = Box<dyn FnOnce(Env) -> napi::Result<T>>;
type Deferred<T> = napi::JsDeferred<T, Resolver<T>>;

thread_local! {
    /// Message and place of the last panic of this thread.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics for the errors they become; prints them only if `SCONCE_PANIC` is set.
pub fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        let print = std::env::var_os("SCONCE_PANIC").is_some();
        std::panic::set_hook(Box::new(move |info| {
            LAST_PANIC.set(Some(info.to_string()));
            if print {
                before(info);
            }
        }));
    });
}

fn internal(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default();
    let message = LAST_PANIC.take().unwrap_or(text);
    Error::new(Code::Internal, format!("a bug in sconce, please report it: {message}"))
}

/// Runs work; a panic becomes an error.
fn guarded<T>(work: impl FnOnce() -> sconce_engine::Result<T>) -> sconce_engine::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(internal(&*panic)))
}

/// An error as a JavaScript object with `code`.
fn rejection(env: Env, error: &Error) -> napi::Error {
    let made = env.create_error(napi::Error::from_reason(error.message.clone())).and_then(|mut object| {
        object.set_named_property("code", error.code.name())?;
        Ok(napi::Error::from(object.to_unknown()))
    });
    made.unwrap_or_else(|failure| failure)
}

/// A promise that waits for its end; dropped, it is rejected.
struct Settle<T: ToNapiValue + Send + 'static>(Mutex<Option<Deferred<T>>>);

impl<T: ToNapiValue + Send + 'static> Settle<T> {
    fn settle(&self, result: sconce_engine::Result<T>) {
        let deferred = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(deferred) = deferred else { return };
        deferred.resolve(Box::new(move |env| result.map_err(|error| rejection(env, &error))));
    }
}

impl<T: ToNapiValue + Send + 'static> Drop for Settle<T> {
    fn drop(&mut self) {
        self.settle(Err(Error::new(Code::Internal, "the call was dropped before it ended")));
    }
}

fn deferred<T: ToNapiValue + Send + 'static>(env: &Env) -> Result<(Arc<Settle<T>>, Object<'_>)> {
    watch_panics();
    let (deferred, promise) = env
        .create_deferred::<T, Resolver<T>>()
        .map_err(|error| thrown(Error::new(Code::Internal, error.reason.clone())))?;
    Ok((Arc::new(Settle(Mutex::new(Some(deferred)))), promise))
}

/// Queues work of a family; `None` means that there is more to do in another turn.
pub fn queue<T: ToNapiValue + Send + 'static>(
    env: &Env,
    family: impl Fn() -> u64 + Send + 'static,
    mut work: impl FnMut() -> sconce_engine::Result<Option<T>> + Send + 'static,
) -> Result<Object<'_>> {
    let (settle, promise) = deferred(env)?;
    let own = Arc::clone(&settle);
    let job = move || match guarded(&mut work) {
        Ok(None) => Turn::More,
        Ok(Some(value)) => {
            own.settle(Ok(value));
            Turn::Done
        }
        Err(error) => {
            own.settle(Err(error));
            Turn::Done
        }
    };
    if let Err(error) = Scheduler::global().and_then(|scheduler| scheduler.submit(family, job)) {
        settle.settle(Err(error));
    }
    Ok(promise)
}

/// Work on the compute threads.
pub fn run(pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    Context::global().pool.run(pieces, work);
}

/// What raises the flag of a call, if anything.
pub fn flag(cancel: Option<ClassInstance<'_, NativeCancel>>) -> Flag {
    cancel.map_or_else(Flag::default, |cancel| cancel.flag.clone())
}

/// Queues one turn of work.
pub fn queue_once<T: ToNapiValue + Send + 'static>(
    env: &Env,
    family: u64,
    work: impl FnOnce() -> sconce_engine::Result<T> + Send + 'static,
) -> Result<Object<'_>> {
    let mut work = Some(work);
    queue(
        env,
        move || family,
        move || match work.take() {
            Some(work) => work().map(Some),
            None => Err(Error::new(Code::Internal, "a call ran twice")),
        },
    )
}

/// Runs work that only reads and writes files on a thread of its own.
pub fn spawn<T: ToNapiValue + Send + 'static>(
    env: &Env,
    work: impl FnOnce() -> sconce_engine::Result<T> + Send + 'static,
) -> Result<Object<'_>> {
    let (settle, promise) = deferred(env)?;
    let own = Arc::clone(&settle);
    let started = std::thread::Builder::new().name("sconce-file".to_owned()).spawn(move || own.settle(guarded(work)));
    if let Err(error) = started {
        settle.settle(Err(Error::new(Code::Limit, format!("no thread could be started: {error}"))));
    }
    Ok(promise)
}
