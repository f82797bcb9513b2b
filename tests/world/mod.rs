//! A place for the binary to live in with nothing of this machine in it: own HOME, own XDG folders, own photos.

#![allow(dead_code, reason = "every test program uses its own part of the world")]
#![allow(clippy::print_stderr, reason = "what is skipped is said aloud")]

pub mod object_model;
pub mod onnx_file;
pub mod tensorflow_file;
pub mod text_model;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base::random::SplitMix;
use serde_json::Value;
use tempfile::TempDir;

pub struct World {
    folder: TempDir,
}

/// Everything a user sees of one run.
pub struct Seen {
    /// Words of the command, when known: its lines are then held against its schema.
    command: String,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub code: Option<i32>,
}

impl World {
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(world.path("home")).unwrap();
        fs::create_dir(world.path("photos")).unwrap();
        world
    }

    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn photos(&self) -> PathBuf {
        self.path("photos")
    }

    pub fn cache(&self) -> PathBuf {
        self.path("home/.cache/albumctl")
    }

    /// The binary, standing in the world's folder, seeing nothing of the machine's environment.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_albumctl")), args)
    }

    /// The same, run as nobody, for whom permissions hold; `None` where that cannot be done.
    pub fn command_without_privileges(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Option<Command> {
        if !rustix::process::geteuid().is_root() {
            return Some(self.command(args));
        }
        let mut shell = Command::new("setpriv");
        shell.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        let works = Command::new("setpriv")
            .args(["--reuid=65534", "--clear-groups", "true"])
            .status()
            .is_ok_and(|s| s.success());
        // The test build may lie below a folder that only its owner may enter. Another process copies it: a program that
        // some test starts while we held the copy open for writing would hold it open, too, and it could not be run.
        let binary = self.path("albumctl");
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_albumctl")).arg(&binary).status();
        assert!(copied.is_ok_and(|status| status.success()), "the binary cannot be copied");
        for folder in [self.folder.path().to_owned(), self.path("home")] {
            set_mode(&folder, 0o777);
        }
        shell.arg(binary);
        works.then(|| self.prepared(shell, args))
    }

    /// The same through another program, which is given the words of the binary after its own.
    pub fn through(&self, program: Command, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        self.prepared(program, args)
    }

    fn prepared(&self, mut command: Command, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Seen {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Seen::of(&args, self.command(&args).output().unwrap())
    }

    /// The same after a shell has done `before`.
    pub fn run_under(&self, before: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Seen {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{before}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_albumctl")]);
        Seen::of(&args, self.through(shell, &args).output().unwrap())
    }

    pub fn run_with_stdin(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, stdin: &[u8]) -> Seen {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let mut command = self.command(&args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        Seen::of(&args, child.wait_with_output().unwrap())
    }

    /// A small photo like no other, as PNG, whatever the extension of its name.
    pub fn photo(&self, below: impl AsRef<Path>, seed: u32) -> PathBuf {
        let path = self.path("photos").join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, png(48, 36, seed)).unwrap();
        path
    }

    /// `count` photos named `0000.png`, `0001.png`, …
    pub fn many_photos(&self, count: u32) {
        for n in 0..count {
            self.photo(format!("{n:04}.png"), n);
        }
    }
}

impl Seen {
    fn of(args: &[OsString], output: Output) -> Self {
        let words = args.iter().map(|arg| arg.to_string_lossy());
        let command =
            words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect::<Vec<_>>().join(" ");
        Self { command, ..output.into() }
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.text(), self.stderr);
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let parsed = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let lines: Vec<Value> = self.text().lines().map(parsed).collect();
        let schemas = albumctl::report::schema::all();
        if let Some((_, schema)) = schemas.iter().find(|(name, _)| self.command.starts_with(name)) {
            let validator = jsonschema::validator_for(schema).unwrap();
            for line in &lines {
                let errors: Vec<_> = validator.iter_errors(line).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{}: {errors:?}: {line}", self.command);
            }
        }
        lines
    }

    /// The file names of the photos, in the order of the lines.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        let name = |line: &Value| {
            Path::new(line["image_path"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned()
        };
        self.lines().iter().map(name).collect()
    }
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { command: String::new(), stdout: output.stdout, stderr, code: output.status.code() }
    }
}

/// A textured PNG, the same for the same seed.
pub fn png(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut picture = image::RgbImage::from_fn(width, height, |x, y| {
        let wave = |period: u32| ((x * (seed % 7 + 1) + y * period + seed * 13) % 256) as u8;
        image::Rgb([wave(3), wave(5) / 2 + 40, wave(2) ^ 0x55])
    });
    let [a, b, c, _] = seed.to_le_bytes();
    picture.put_pixel(0, 0, image::Rgb([a, b, c]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A limit on the size of files, which refuses writes as a full disk does; for [`World::run_under`].
pub const SHORT_FILES: &str = "trap '' XFSZ; ulimit -f 60";

/// Numbers without a pattern, the same for the same seed.
pub struct Random(SplitMix);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(SplitMix(seed))
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.0.draw() % end as u64) as usize
    }
}

/// The shared data for tests, where it is at hand; says so where it is not.
pub fn shared_data(below: &str) -> Option<PathBuf> {
    shared(&format!("data/{below}"))
}

/// The same for all that is shared: weights, too.
pub fn shared(below: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("ALBUMCTL_SHARED").map_or_else(beside, PathBuf::from).join(below);
    if folder.exists() {
        return Some(folder);
    }
    skipped(&format!("no ../shared/{below}"));
    None
}

/// What cannot be tested here is said aloud.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// A figure worth reading in the test's output.
pub fn report(figure: &str) {
    eprintln!("{figure}");
}

pub fn fixture_album() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/album")
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// As the first layout of the journal was written, by the words of its own schema.
pub const FIRST_JOURNAL: &str = "
    CREATE TABLE IF NOT EXISTS decision (
        id         INTEGER PRIMARY KEY,
        content    BLOB NOT NULL,
        word       TEXT,
        decided_ms INTEGER NOT NULL,
        path       BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS decision_by_content ON decision (content, id);
    CREATE TABLE IF NOT EXISTS run (
        id          INTEGER PRIMARY KEY,
        key         TEXT NOT NULL UNIQUE,
        about       TEXT NOT NULL,
        finished_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS seen (
        run     INTEGER NOT NULL REFERENCES run,
        content BLOB NOT NULL,
        PRIMARY KEY (run, content)
    ) WITHOUT ROWID;
    PRAGMA user_version = 1;
";
