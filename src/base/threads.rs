//! Threads where few can be had: a limit of processes, of the machine's or a container's, costs time and ends no run.

use std::io;
use std::sync::mpsc;
use std::thread;

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Makes the pool that networks and kernels compute in. It has a thread a core, or as many as can be had; where there
/// is none at all, this thread does the work. Says when it has fewer than it should.
pub fn prepare() -> Result<Option<String>, ThreadPoolBuildError> {
    // A pool waits for all of its threads, and can be made only once: so they are there before it is.
    let (mut started, mut missing) = (Vec::new(), None);
    for _ in 0..wanted() {
        let (give, take) = mpsc::channel::<ThreadBuilder>();
        match thread::Builder::new().spawn(move || take.recv().map(ThreadBuilder::run)) {
            Ok(_) => started.push(give),
            Err(error) => {
                missing = Some(error);
                break;
            }
        }
    }
    let count = started.len();
    if count == 0 {
        ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    } else {
        let mut started = started.into_iter();
        let mut run = |thread| started.next().and_then(|give| give.send(thread).ok());
        ThreadPoolBuilder::new()
            .num_threads(count)
            .spawn_handler(|thread| run(thread).ok_or_else(|| io::ErrorKind::BrokenPipe.into()))
            .build_global()?;
    }
    Ok(missing.map(|error| match count {
        0 => format!("no threads can be started ({error}); working with one"),
        _ => format!("only {count} threads can be started ({error}); working with those"),
    }))
}

/// As many as rayon would start.
fn wanted() -> usize {
    let said = std::env::var("RAYON_NUM_THREADS").ok().and_then(|count| count.parse().ok()).filter(|&count| count > 0);
    said.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
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
