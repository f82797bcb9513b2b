//! Thread pools that work with fewer threads if the machine or the container limits them: the run is slower but goes
//! on.

use std::io;
use std::sync::mpsc;
use std::thread;

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Makes rayon's global pool, which networks and kernels use, with a thread per core, or as many as can be started. If
/// none can be started, the current thread does the work. Returns a warning if there are fewer threads than wanted.
pub fn prepare() -> Result<Option<String>, ThreadPoolBuildError> {
    // A pool waits for all of its threads and can be made only once, so the threads are started before it.
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

/// The number of threads that rayon would start.
fn wanted() -> usize {
    let configured =
        std::env::var("RAYON_NUM_THREADS").ok().and_then(|count| count.parse().ok()).filter(|&count| count > 0);
    configured.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Makes a pool of `threads` threads, or of fewer if they cannot be started.
pub fn pool(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    let mut threads = threads.max(1);
    loop {
        match ThreadPoolBuilder::new().num_threads(threads).build() {
            Err(_) if threads > 1 => threads /= 2,
            made => return made,
        }
    }
}
