//! A boundary no panic crosses: work on hostile input may break itself, never the run, nor the terminal. A panic that
//! gets past every boundary ends the run with one line.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe, Location, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use crate::escape::visible;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// jpeg-decoder starts threads of its own, which cannot know our depth but have this name.
const DECODER_THREAD: &str = "worker thread for component";

/// A panic in a thread of rayon, on its way to whoever waits for the work.
static IN_POOL: Mutex<Option<String>> = Mutex::new(None);
/// Panics that nobody contains are told by [`or_one_line`].
static LAST_RESORT: AtomicBool = AtomicBool::new(false);
/// One has been told.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Runs `work`; a panic inside comes back as its message and place.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    listen();
    DEPTH.set(DEPTH.get() + 1);
    // What `work` leaves half done is dropped with it; callers hand in only what they can spare.
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|payload| LAST.take().or_else(taken_from_pool).unwrap_or_else(|| words(&*payload)))
}

/// Runs the whole program. A panic that nobody contains, in whatever thread, is told in one line on stderr, and the
/// program ends as `failed`.
pub fn or_one_line<T>(run: impl FnOnce() -> T, failed: T) -> T {
    LAST_RESORT.store(true, Ordering::Relaxed);
    listen();
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(ended) if !TOLD.load(Ordering::Relaxed) => ended,
        Ok(_) => failed,
        Err(payload) => {
            tell(&taken_from_pool().unwrap_or_else(|| words(&*payload)));
            failed
        }
    }
}

fn listen() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let theirs = thread::current().name().is_some_and(|name| name.starts_with(DECODER_THREAD));
            if DEPTH.get() > 0 || theirs {
                LAST.set(Some(described(info)));
            } else if rayon::current_thread_index().is_some() {
                IN_POOL.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| described(info));
            } else if LAST_RESORT.load(Ordering::Relaxed) {
                tell(&described(info));
            } else {
                usual(info);
            }
        }));
    });
}

fn taken_from_pool() -> Option<String> {
    IN_POOL.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The first is the cause; those that follow are threads that miss the first.
fn tell(what: &str) {
    if !TOLD.swap(true, Ordering::Relaxed) {
        let _ = writeln!(std::io::stderr(), "error: internal error: {}; please report it", visible(what));
    }
}

fn described(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |at| format!(" ({}:{})", file(at), at.line()));
    format!("{}{place}", words(info.payload()))
}

/// Of other crates without the folder where they lay when this was built.
fn file<'a>(at: &Location<'a>) -> &'a str {
    let file = at.file();
    let crate_folder = file.rfind("/src/").and_then(|source| file[..source].rfind('/'));
    crate_folder.map_or(file, |slash| &file[slash + 1..])
}

fn words(payload: &dyn Any) -> String {
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
