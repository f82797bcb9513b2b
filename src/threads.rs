//! Threads where few can be had: a limit of processes, of the machine's or a container's, costs time and ends no run.

use std::io;
use std::sync::mpsc;
use std::thread;

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Makes the pool that networks and kernels compute in. It has a thread a core, or as many as can be had; where there
/// is none at all, this thread does the work. Says when it has fewer than it should.
pub fn prepare() -> Result<Option<String>, ThreadPoolBuildError> {
    // A pool can be tried only once, so its first thread is there before it is.
    let (give, take) = mpsc::channel::<ThreadBuilder>();
    let first = thread::Builder::new().spawn(move || take.recv().map(ThreadBuilder::run));
    if let Err(error) = first {
        ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
        return Ok(Some(format!("no threads can be started ({error}); working with one")));
    }
    let (mut started, mut missing) = (0, None);
    ThreadPoolBuilder::new()
        .spawn_handler(|thread| {
            let outcome = if started == 0 {
                give.send(thread).map_err(|_| io::ErrorKind::BrokenPipe.into())
            } else {
                start(thread)
            };
            match outcome {
                Ok(()) => started += 1,
                // The others do the work of one that is not there.
                Err(error) => missing = Some(error),
            }
            Ok(())
        })
        .build_global()?;
    Ok(missing.map(|error| format!("only {started} threads can be started ({error}); working with those")))
}

fn start(thread: ThreadBuilder) -> io::Result<()> {
    thread::Builder::new().spawn(|| thread.run()).map(drop)
}

/// A pool of so many threads, or of fewer where they cannot be had.
pub fn pool(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    let mut threads = threads.max(1);
    loop {
        match ThreadPoolBuilder::new().num_threads(threads).build() {
            Err(_) if threads > 1 => threads /= 2,
            made => return made,
        }
    }
}
