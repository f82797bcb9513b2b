//! Containment of panics: hostile input may make the work on one file fail, but not the run. A panic that is not
//! contained ends the run with one line on stderr.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe, Location, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use crate::escape::visible;

thread_local! {
    static CONTAINED_DEPTH: Cell<u32> = const { Cell::new(0) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The name prefix of threads started by jpeg-decoder, in which panics count as contained.
const DECODER_THREAD: &str = "worker thread for component";

/// The message of a panic in a thread of rayon, until the thread that waits for the work takes it.
static POOL_PANIC: Mutex<Option<String>> = Mutex::new(None);
/// Whether [`or_one_line`] reports panics that are not contained.
static REPORT_UNCONTAINED: AtomicBool = AtomicBool::new(false);
/// Whether a panic was reported.
static REPORTED: AtomicBool = AtomicBool::new(false);

/// Runs `work` and returns a panic inside it as an error with message and source location.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install_hook();
    CONTAINED_DEPTH.set(CONTAINED_DEPTH.get() + 1);
    // Callers pass only state that they discard after a panic.
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED_DEPTH.set(CONTAINED_DEPTH.get() - 1);
    outcome.map_err(|payload| LAST_PANIC.take().or_else(take_pool_panic).unwrap_or_else(|| panic_message(&*payload)))
}

/// Runs the whole program. A panic that is not contained, in any thread, is reported in one line on stderr, and
/// `failed` is returned.
pub fn or_one_line<T>(run: impl FnOnce() -> T, failed: T) -> T {
    REPORT_UNCONTAINED.store(true, Ordering::Relaxed);
    install_hook();
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(ended) if !REPORTED.load(Ordering::Relaxed) => ended,
        Ok(_) => failed,
        Err(payload) => {
            report(&take_pool_panic().unwrap_or_else(|| panic_message(&*payload)));
            failed
        }
    }
}

fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default_hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_decoder_thread = thread::current().name().is_some_and(|name| name.starts_with(DECODER_THREAD));
            if CONTAINED_DEPTH.get() > 0 || is_decoder_thread {
                LAST_PANIC.set(Some(describe(info)));
            } else if rayon::current_thread_index().is_some() {
                POOL_PANIC.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| describe(info));
            } else if REPORT_UNCONTAINED.load(Ordering::Relaxed) {
                report(&describe(info));
            } else {
                default_hook(info);
            }
        }));
    });
}

fn take_pool_panic() -> Option<String> {
    POOL_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Reports the first panic only. Later ones are consequences of it in other threads.
fn report(what: &str) {
    if !REPORTED.swap(true, Ordering::Relaxed) {
        let _ = writeln!(std::io::stderr(), "error: internal error: {}; please report it", visible(what));
    }
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |at| format!(" ({}:{})", file(at), at.line()));
    format!("{}{place}", panic_message(info.payload()))
}

/// The path of a source file; for other crates, without the folder of the build machine.
fn file<'a>(at: &Location<'a>) -> &'a str {
    let file = at.file();
    let crate_folder = file.rfind("/src/").and_then(|source| file[..source].rfind('/'));
    crate_folder.map_or(file, |slash| &file[slash + 1..])
}

fn panic_message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::contained;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let message = contained(|| -> u8 { panic!("index {} of 3", 7) }).unwrap_err();
        assert!(message.starts_with("index 7 of 3 (") && message.contains("contain.rs:"), "{message}");
        assert_eq!(contained(|| 5), Ok(5));
    }

    #[test]
    fn a_panic_in_a_pool_comes_back_too() {
        let work = || (0..100).into_par_iter().for_each(|number| assert!(number < 50, "too large"));
        let message = contained(work).unwrap_err();
        assert!(message.starts_with("too large (") && message.contains("contain.rs:"), "{message}");
    }
}
