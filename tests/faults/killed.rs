//! SIGKILL, the one thing no program can prepare for at the last moment.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::{Seen, World};

const PHOTOS: usize = 150;
const KILLS: u32 = 100;

#[test]
fn killed_a_hundred_times() {
    let world = World::new();
    world.many_photos(PHOTOS as u32);
    let started = Instant::now();
    let reference = world.run(["score", "--cache-dir", "reference", "photos"]).expect(0).text();
    let whole_run = started.elapsed();
    let (mut in_the_middle, mut stores) = (0, 0);
    for kill in 0..KILLS {
        let child = world.command(["score", "photos"]).stdout(Stdio::piped()).spawn().unwrap();
        // Spread over the whole of a run in an order without a pattern: a start, the middle of a write, the end.
        std::thread::sleep(whole_run.mul_f64(f64::from(kill * 37 % KILLS) / f64::from(KILLS)));
        let pid = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let killed = Seen::from(child.wait_with_output().unwrap());
        let printed = killed.text();
        let whole_lines = printed.rfind('\n').map_or("", |end| &printed[..=end]);
        assert!(reference.starts_with(whole_lines), "kill {kill}: what was printed is a prefix of the whole");
        in_the_middle += usize::from((1..PHOTOS).contains(&whole_lines.lines().count()));

        let seen = world.run(["score", "-v", "photos"]).expect(0);
        assert!(seen.text() == reference, "kill {kill}: the next run gives the same bytes");
        assert!(!seen.stderr.contains("warning"), "kill {kill}: {}", seen.stderr);
        let remembered = from_store(&seen.stderr);
        assert!(
            remembered >= whole_lines.lines().count(),
            "kill {kill}: printed {}, remembered {remembered}",
            whole_lines.lines().count()
        );
        stores += 1;
        fs::remove_dir_all(world.cache()).unwrap();
    }
    assert_eq!(stores, KILLS);
    assert!(in_the_middle >= 10, "only {in_the_middle} kills fell into the middle of a run");
    assert!(whole_run > Duration::ZERO);
}

fn from_store(summary: &str) -> usize {
    let words: Vec<&str> = summary.split_whitespace().collect();
    let at = words.windows(3).position(|three| three == ["from", "the", "store,"]).unwrap();
    words[at - 1].parse().unwrap()
}
