//! A boundary no panic crosses: work on hostile input may break itself, never the run, nor the terminal.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// jpeg-decoder starts threads of its own, which cannot know our depth but have this name.
const DECODER_THREAD: &str = "worker thread for component";

/// Runs `work`; a panic inside comes back as its message and place.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let theirs = thread::current().name().is_some_and(|name| name.starts_with(DECODER_THREAD));
            if DEPTH.get() == 0 && !theirs {
                return usual(info);
            }
            let place = info.location().map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line()));
            LAST.set(Some(format!("{}{place}", words(info.payload()))));
        }));
    });
    DEPTH.set(DEPTH.get() + 1);
    // What `work` leaves half done is dropped with it; callers hand in only what they can spare.
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|payload| LAST.take().unwrap_or_else(|| words(&*payload)))
}

fn words(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::contained;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let message = contained(|| -> u8 { panic!("index {} of 3", 7) }).unwrap_err();
        assert!(message.starts_with("index 7 of 3 (") && message.contains("contain.rs:"), "{message}");
        assert_eq!(contained(|| 5), Ok(5));
    }
}
