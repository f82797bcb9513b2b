//! The process that owns a part or a lease, encoded in the file's name, and whether it is alive.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use base::platform::{machine_name, process_exists};

/// Identifies a process across reboots, containers and reused process numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Identifies a boot of a machine and a PID namespace, as eight hexadecimal digits.
    place: String,
    pid: u32,
    /// The start of the process in ticks since boot; 0 if unknown.
    started: u64,
    /// Distinguishes several marks of one process.
    serial: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Ours,
    Alive,
    Dead,
    /// On another machine or in another container, so unknown.
    Elsewhere,
}

impl Owner {
    /// This process, with a new serial number each time.
    pub fn this() -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let pid = std::process::id();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Self { place: place().to_owned(), pid, started: started(pid).unwrap_or(0), serial }
    }

    pub fn life(&self) -> Life {
        if self.place != place() {
            return Life::Elsewhere;
        }
        if self.pid == std::process::id() && self.started == started(self.pid).unwrap_or(0) {
            return Life::Ours;
        }
        match started(self.pid) {
            Some(started) if self.started == 0 || started == self.started => Life::Alive,
            Some(_) => Life::Dead,
            None => without_proc(self.pid),
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, pid, started, serial } = self;
        write!(f, "{place}-{pid}-{started}-{serial}")
    }
}

impl FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut fields = text.split('-');
        let mut field = || fields.next().ok_or(());
        let place = field()?.to_owned();
        let pid = field()?.parse().map_err(drop)?;
        let started = field()?.parse().map_err(drop)?;
        let serial = field()?.parse().map_err(drop)?;
        Ok(Self { place, pid, started, serial })
    }
}

fn place() -> &'static str {
    static PLACE: OnceLock<String> = OnceLock::new();
    PLACE.get_or_init(|| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let machine = boot.unwrap_or_else(|_| machine_name());
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        blake3::hash(format!("{machine} {}", space.display()).as_bytes()).to_hex()[..8].to_owned()
    })
}

/// Field 22 of `/proc/PID/stat`; the name before it may contain spaces and brackets.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_whitespace();
    // A killed process that was not waited for yet no longer writes.
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(started)
}

fn without_proc(pid: u32) -> Life {
    if std::path::Path::new("/proc/self/stat").exists() {
        return Life::Dead;
    }
    if process_exists(pid) { Life::Alive } else { Life::Dead }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_more_than_its_number() {
        let ours = Owner::this();
        assert_eq!(ours.to_string().parse(), Ok(ours.clone()));
        assert_eq!(ours.life(), Life::Ours);
        assert_ne!(ours, Owner::this());
        assert_eq!(Owner { place: "00000000".into(), ..ours.clone() }.life(), Life::Elsewhere);
        if ours.started > 0 {
            assert_eq!(Owner { started: ours.started + 1, ..ours.clone() }.life(), Life::Dead, "a reused number");
        }
    }

    #[test]
    fn a_child_lives_and_dies() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let owner = Owner { pid, started: started(pid).unwrap_or(0), ..Owner::this() };
        assert_eq!(owner.life(), Life::Alive);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(owner.life(), Life::Dead);
    }

    #[test]
    fn names_of_others_are_no_owners() {
        for name in ["", "a", "a-b-c-d", "a-1-2"] {
            assert_eq!(name.parse::<Owner>(), Err(()), "{name}");
        }
    }
}
