//! The program that watches calls, compiled where the test runs.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use tempfile::TempDir;

use crate::world::{World, skipped};

const SOURCE: &str = include_str!("../failing_calls.c");
/// Longer than any wait of ours for others, on a machine that has other work.
const SECONDS: &str = "60";

pub struct Injector {
    folder: TempDir,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Once,
    Always,
}

/// A call that fails.
#[derive(Debug, Clone)]
pub struct Point {
    pub class: String,
    pub number: usize,
    pub mode: Mode,
}

/// How a run ended, and what it left on its streams.
#[derive(Debug, Default)]
pub struct Ended {
    /// `exit 0`, `signal 9`, `timeout`.
    pub how: String,
    pub stdout: String,
    pub stderr: String,
    /// Lines of the log without the last.
    pub calls: Vec<String>,
}

impl Ended {
    pub fn code(&self) -> Option<i32> {
        self.how.strip_prefix("exit ")?.parse().ok()
    }

    /// The calls that were refused.
    pub fn refused(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().filter_map(|call| call.strip_prefix('!'))
    }
}

impl Point {
    /// What this class of calls fails with in life, taken in turn.
    fn errno(&self) -> Errno {
        let errors: &[Errno] = match self.class.as_str() {
            "open" => &[Errno::ACCESS, Errno::MFILE, Errno::IO],
            "stat" | "unlink" => &[Errno::ACCESS, Errno::IO],
            "write" | "copy" | "truncate" => &[Errno::NOSPC, Errno::IO],
            "rename" | "mkdir" => &[Errno::ACCESS, Errno::NOSPC, Errno::IO],
            "attributes" => &[Errno::PERM, Errno::IO],
            "lock" => &[Errno::NOLCK, Errno::AGAIN],
            "map" => &[Errno::NOMEM, Errno::ACCESS],
            "thread" => &[Errno::AGAIN],
            _ => &[Errno::IO],
        };
        errors[(self.number + usize::from(self.mode == Mode::Always)) % errors.len()]
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.mode == Mode::Once { "once" } else { "always" };
        write!(f, "{} {} {mode}", self.class, self.number)
    }
}

impl Injector {
    /// `None` where there is no such thing as watching calls: other systems, and containers that forbid it.
    pub fn build() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let injector = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(injector.folder.path().join("failing_calls.c"), SOURCE).unwrap();
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(compiler)
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-o", "failing_calls", "failing_calls.c"])
            .current_dir(injector.folder.path())
            .output()
            .expect("a C compiler is needed to build albumctl, too");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let trial = injector.run(&World::new(), &["--version"], None);
        if trial.how.is_empty() {
            skipped(trial.stderr.trim_end());
            return None;
        }
        Some(injector)
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("failing_calls")
    }

    /// The binary under watch; without a point nothing fails.
    pub fn run(&self, world: &World, args: &[&str], point: Option<&Point>) -> Ended {
        let log = self.folder.path().join(format!("{:?}.log", std::thread::current().id()));
        let mut command = Command::new(self.program());
        command.arg(world.root()).arg(&log).arg(SECONDS);
        match point {
            None => command.args(["-", "0", "once", "0"]),
            Some(Point { class, number, mode }) => {
                let mode = if *mode == Mode::Once { "once" } else { "always" };
                let errno = point.map_or(0, |point| point.errno().raw_os_error());
                command.args([class, &number.to_string(), mode, &errno.to_string()])
            }
        };
        command.arg(env!("CARGO_BIN_EXE_albumctl"));
        let mut ended = run_to_file(world, command, args);
        ended.calls = fs::read_to_string(&log).unwrap_or_default().lines().map(ToOwned::to_owned).collect();
        ended.how = ended.calls.pop().and_then(|last| Some(last.strip_prefix("= ")?.to_owned())).unwrap_or_default();
        let _ = fs::remove_file(log);
        ended
    }
}

/// The binary as it is.
pub fn run_alone(world: &World, args: &[&str]) -> Ended {
    run_to_file(world, Command::new(env!("CARGO_BIN_EXE_albumctl")), args)
}

/// Standard output is a file of the world, so that calls on it count, too.
fn run_to_file(world: &World, command: Command, args: &[&str]) -> Ended {
    let stdout = world.path("tmp/stdout");
    fs::create_dir_all(world.path("tmp")).unwrap();
    let mut command = world.through(command, args);
    command.env("TMPDIR", world.path("tmp")).stdout(File::create(&stdout).unwrap()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let how = output.status.code().map_or_else(|| "signal".to_owned(), |code| format!("exit {code}"));
    let stdout = String::from_utf8_lossy(&fs::read(stdout).unwrap()).into_owned();
    Ended { how, stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned(), calls: Vec::new() }
}
