//! Runs decoders that cannot be interrupted on their own thread, which is abandoned when the deadline passes.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use super::Job;
use crate::error::DecodeError;
use base::contain::contained;

/// Runs `work`, which keeps its memory reservation until it ends, even after it was abandoned.
pub fn watched<T: Send + 'static>(job: &Job, work: impl FnOnce() -> T + Send + 'static) -> Result<T, DecodeError> {
    let format = job.format;
    job.deadline.check(format)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let (give, take) = mpsc::sync_channel(1);
    let reservation = job.reservation.clone();
    let run = move || {
        let Ok(work) = take.recv() else { return };
        let outcome = contained(work);
        // Released before the outcome is sent, because its receiver accounts for the memory.
        drop(reservation);
        let _ = sender.send(outcome);
    };
    let failed = |message| DecodeError::Panicked { format, message };
    if thread::Builder::new().spawn(run).is_err() {
        // Without a thread, the photo may exceed its deadline.
        return contained(work).map_err(failed);
    }
    give.send(work).map_err(|_| failed("its thread ended".to_owned()))?;
    let outcome = match job.deadline.left() {
        Some(left) => receiver.recv_timeout(left),
        None => receiver.recv().map_err(RecvTimeoutError::from),
    };
    match outcome {
        Ok(outcome) => outcome.map_err(failed),
        Err(RecvTimeoutError::Timeout) => Err(job.deadline.error(format)),
        Err(RecvTimeoutError::Disconnected) => Err(failed("its thread ended".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::file_format::FileFormat;
    use crate::{Limits, MemoryBudget, Scale};

    #[test]
    fn what_does_not_end_is_left_with_its_memory() {
        let limits = Limits { max_seconds: 0.05, ..Limits::default() };
        let (budget, deadline) = (MemoryBudget::new(100), limits.deadline());
        let reservation = budget.reserve();
        reservation.grow(80);
        let job = Job {
            bytes: &[],
            file: 0,
            format: FileFormat::Avif,
            scale: Scale::Full,
            limits: &limits,
            reservation: &reservation,
            deadline: &deadline,
        };
        let (sender, receiver) = mpsc::channel::<()>();
        let begun = Instant::now();
        let outcome = watched(&job, move || receiver.recv());
        assert!(matches!(outcome, Err(DecodeError::Timeout { .. })));
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(reservation);
        let next = thread::spawn(move || budget.reserve().grow(30));
        thread::sleep(Duration::from_millis(30));
        assert!(!next.is_finished(), "its memory was given away");
        drop(sender);
        assert!(next.join().unwrap() >= Duration::from_millis(20));
    }

    #[test]
    fn what_panics_is_told() {
        let limits = Limits::default();
        let (reservation, deadline) = (MemoryBudget::new(1).reserve(), limits.deadline());
        let job = Job {
            bytes: &[],
            file: 0,
            format: FileFormat::Webp,
            scale: Scale::Full,
            limits: &limits,
            reservation: &reservation,
            deadline: &deadline,
        };
        let outcome = watched(&job, || -> u8 { panic!("of fear") });
        assert!(matches!(outcome, Err(DecodeError::Panicked { message, .. }) if message.starts_with("of fear")));
        assert_eq!(watched(&job, || 7), Ok(7));
    }
}
