//! The wall around decoders: a panic inside one costs its photo, not the run, and leaves no trace on the terminal.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

use super::error::DecodeError;
use super::kind::Kind;

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// jpeg-decoder starts threads of its own, which cannot know our flag but have this name.
const DECODER_THREAD: &str = "worker thread for component";

/// Keeps the messages of panics inside decoders off stderr; every other panic speaks as before. Installed once a process,
/// by the first decoding if nobody did it earlier.
pub fn quiet_decoder_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = DECODING.get() || thread::current().name().is_some_and(|name| name.starts_with(DECODER_THREAD));
            if !ours {
                previous(info);
            }
        }));
    });
}

/// Runs a decoder. What it leaves behind after a panic is dropped with it, so nothing half-made is seen.
pub fn guarded<T>(kind: Kind, decode: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    quiet_decoder_panics();
    let outer = DECODING.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(outer);
    outcome.unwrap_or_else(|payload| Err(DecodeError::Panicked { kind, message: message(payload.as_ref()) }))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let error = guarded::<()>(Kind::Gif, || panic!("index {} out of range\nmore", 7)).expect_err("it panicked");
        assert_eq!(error, DecodeError::Panicked { kind: Kind::Gif, message: "index 7 out of range".to_owned() });
        assert_eq!(error.code(), "panicked");
        assert!(!DECODING.get());
    }
}
