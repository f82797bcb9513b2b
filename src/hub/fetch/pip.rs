//! Wheels brought by pip, for people who have configured no package index: pip knows one by itself.

use std::collections::HashMap;
use std::env::consts::EXE_SUFFIX;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::client::Trouble;
use super::transfer::Transfer;
use super::{Event, SourceError};
use crate::digest::Digest;
use crate::sources::WheelEntry;
use base::reading;

/// Programs that are or run pip, and their first arguments.
const PROGRAMS: [(&str, &[&str]); 4] = [("pip", &[]), ("pip3", &[]), ("python3", &["-m", "pip"]), ("uvx", &["pip"])];
/// Seconds that pip waits for an answer unless the user says otherwise; its own 15 are long where there is no network.
const TIMEOUT: &str = "5";
/// The file that pip says into why it fails, beside the wheel, and how much of it is read.
const MESSAGES: &str = "messages";
const LONGEST_MESSAGE: u64 = 64 << 10;

/// The wheels that pip has brought in one pull, by their file names, or what it said instead. They are deleted with it.
#[derive(Debug, Default)]
pub struct PipWheels {
    brought: Mutex<HashMap<String, Result<TempDir, String>>>,
}

impl PipWheels {
    /// The path of a wheel, which pip fetches into a temporary folder. It unpacks and installs nothing.
    pub fn bring(&self, transfer: &Transfer<'_>, wheel: &WheelEntry) -> Result<PathBuf, Trouble> {
        // Locked meanwhile, because several files of one wheel need it at the same time.
        let mut brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        match brought.get(&wheel.file) {
            Some(Ok(folder)) => return Ok(folder.path().join(&wheel.file)),
            Some(Err(before)) => return Err(SourceError::Pip(before.clone()).into()),
            None => {}
        }
        match fetch(transfer, wheel) {
            Ok(folder) => {
                let path = folder.path().join(&wheel.file);
                brought.insert(wheel.file.clone(), Ok(folder));
                Ok(path)
            }
            Err(Trouble::Never(cause)) => {
                if let SourceError::Pip(said) = &cause {
                    brought.insert(wheel.file.clone(), Err(said.clone()));
                }
                Err(cause.into())
            }
            Err(trouble) => Err(trouble),
        }
    }
}

/// Has pip fetch the wheel into a folder, and verifies it.
fn fetch(transfer: &Transfer<'_>, wheel: &WheelEntry) -> Result<TempDir, Trouble> {
    transfer.client.expect_network()?;
    let local = |error: std::io::Error| Trouble::Never(SourceError::Pip(error.to_string()));
    let folder = tempfile::Builder::new().prefix("albumctl-pip-").tempdir().map_err(local)?;
    (transfer.tell)(Event::Begun { from: 0, total: None });
    wait(transfer, start(transfer, wheel, &folder)?, &folder)?;
    let file = reading::open(&folder.path().join(&wheel.file));
    let (found, _) = Digest::of_reader(file.map_err(|_| SourceError::NotListed(wheel.file.clone()))?).map_err(local)?;
    match wheel.sha256 {
        Some(expected) if expected != found => Err(SourceError::OtherWheel { expected, found }.into()),
        _ => Ok(folder),
    }
}

/// Starts the first program that is there.
fn start(transfer: &Transfer<'_>, wheel: &WheelEntry, folder: &TempDir) -> Result<Child, Trouble> {
    let timeout = transfer.client.network().pip_timeout.as_deref().unwrap_or(TIMEOUT);
    for (program, first) in PROGRAMS {
        let program = format!("{program}{EXE_SUFFIX}");
        let mut paths = transfer.client.network().programs.iter().map(|folder| folder.join(&program));
        let Some(program) = paths.find(|path| path.is_file()) else { continue };
        let messages = File::create(folder.path().join(MESSAGES));
        let messages = messages.map_err(|error| SourceError::Pip(error.to_string()))?;
        let started = Command::new(program)
            .args(first)
            .args(["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
            .args(["--retries", "0", "--timeout", timeout])
            // Nothing of the wheel is run, so that the version of Python does not matter.
            .args(["--ignore-requires-python", "--only-binary=:all:", "--dest"])
            .arg(folder.path())
            .args(platform(&wheel.file))
            .arg(format!("{}=={}", wheel.package, wheel.version))
            // Nothing in the user's folder is taken for a module of Python.
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(messages)
            .spawn();
        // A program that cannot be started is as good as none.
        if let Ok(child) = started {
            return Ok(child);
        }
    }
    Err(SourceError::NoIndex { sha256: transfer.wanted.sha256, folder: transfer.cache.root().to_owned() }.into())
}

/// The options for a wheel that is made for another machine than this: what it holds for us runs nowhere.
fn platform(file: &str) -> Vec<String> {
    let tags: Vec<&str> = file.trim_end_matches(".whl").rsplitn(4, '-').collect();
    let &[platforms, abi, python, _] = tags.as_slice() else { return Vec::new() };
    let mut options = Vec::new();
    for platform in platforms.split('.').filter(|platform| *platform != "any") {
        options.extend(["--platform".to_owned(), platform.to_owned()]);
    }
    if let Some(version) = python.split('.').next().and_then(|python| python.strip_prefix("cp")) {
        options.extend(["--implementation", "cp", "--python-version", version].map(str::to_owned));
        options.extend(["--abi".to_owned(), abi.to_owned()]);
    }
    options
}

fn wait(transfer: &Transfer<'_>, mut child: Child, folder: &TempDir) -> Result<(), Trouble> {
    let status = ended(transfer, &mut child)?;
    if status.success() {
        return Ok(());
    }
    let mut message = Vec::new();
    if let Ok(said) = reading::open(&folder.path().join(MESSAGES)) {
        let _ = said.take(LONGEST_MESSAGE).read_to_end(&mut message);
    }
    let message = String::from_utf8_lossy(&message);
    let last = message.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(SourceError::Pip(last.map_or_else(|| format!("it ended with {status}"), str::to_owned)).into())
}

fn ended(transfer: &Transfer<'_>, child: &mut Child) -> Result<ExitStatus, Trouble> {
    let gone = |error: std::io::Error| Trouble::Never(SourceError::Pip(error.to_string()));
    loop {
        if let Some(status) = child.try_wait().map_err(gone)? {
            return Ok(status);
        }
        if let Err(stopped) = transfer.check_stop() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(stopped);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::platform;

    #[test]
    fn pip_is_told_which_machine_a_wheel_is_for() {
        assert!(platform("rapidocr-3.10.0-py3-none-any.whl").is_empty());
        let of = platform("kit-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").join(" ");
        let both = "--platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64";
        assert_eq!(of, format!("{both} --implementation cp --python-version 311 --abi cp311"));
    }
}
