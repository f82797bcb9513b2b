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

#[test]
fn killed_while_deciding() {
    let world = World::new();
    world.many_photos(60);
    let started = Instant::now();
    world.run(["decide", "keep", "photos"]).expect(0);
    let whole_run = started.elapsed();
    let (mut none, mut all) = (0, 0);
    for kill in 0..KILLS {
        world.run(["decide", "clear", "photos"]).expect(0);
        let killed = killed_after(&world, &["decide", "keep", "photos"], whole_run, kill);
        let list = world.run(["decide", "list"]).expect(0);
        assert_eq!(list.stderr, "", "kill {kill}");
        let decided = list.lines().len();
        assert!(decided == 0 || decided == 60, "kill {kill}: {decided} of 60 decisions");
        assert!(killed.lines().count() == 0 || decided == 60, "kill {kill}: told and not written down");
        none += usize::from(decided == 0);
        all += usize::from(decided == 60);
    }
    assert!(none > 0 && all > 0, "{none} kills before the decision, {all} after");
}

#[test]
fn killed_while_delivering_news() {
    let world = World::new();
    world.many_photos(60);
    let args = |name: &str| ["select", "photos", "--all", "-q", "--since", name].map(str::to_owned);
    let started = Instant::now();
    world.run(args("last-run")).expect(0);
    let whole_run = started.elapsed();
    let mut again = 0;
    for kill in 0..KILLS / 2 {
        let args = args(&format!("last-run:{kill}"));
        let killed = killed_after(&world, &args, whole_run, kill * 2);
        let told = killed.lines().count();
        let next = world.run(&args).expect(0);
        let lost = "note: faces are not analysed";
        assert!(next.stderr.lines().all(|line| line.starts_with(lost)), "kill {kill}: {}", next.stderr);
        let next = next.lines().len();
        assert!(next == 60 || (next == 0 && told == 60), "kill {kill}: {told} told, then {next}");
        again += usize::from(next == 60);
    }
    assert!(again > 0, "no kill fell before the end");
}

/// What was printed in whole lines before the kill, which comes at another moment of the run each time.
fn killed_after(world: &World, args: &[impl AsRef<std::ffi::OsStr>], whole_run: Duration, kill: u32) -> String {
    let child = world.command(args).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(whole_run.mul_f64(1.2 * f64::from(kill * 37 % KILLS) / f64::from(KILLS)));
    let pid = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    let printed = Seen::from(child.wait_with_output().unwrap()).text();
    printed.rfind('\n').map_or_else(String::new, |end| printed[..=end].to_owned())
}

fn from_store(summary: &str) -> usize {
    let words: Vec<&str> = summary.split_whitespace().collect();
    let at = words.windows(3).position(|three| three == ["from", "the", "store,"]).unwrap();
    words[at - 1].parse().unwrap()
}
