//! What must hold after a run in which a call failed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use super::MODES;
use super::cases::Case;
use super::injector::{Ended, Injector, Point, run_alone};
use super::snapshot::{Node, Snapshot};
use crate::world::World;

/// A run and what is there after it.
struct Outcome {
    ended: Ended,
    state: Snapshot,
    /// What the probe prints.
    probe: String,
}

/// The run as it is when nothing fails, and once more after that.
pub struct Reference<'a> {
    case: &'a Case,
    world: World,
    before: Snapshot,
    probe_before: String,
    first: Outcome,
    second: Outcome,
    /// Files with times in them: another run writes them otherwise.
    loose: BTreeSet<PathBuf>,
    loose_stdout: bool,
    /// How many calls of each class there are.
    calls: BTreeMap<String, usize>,
}

impl<'a> Reference<'a> {
    pub fn of(case: &'a Case, injector: &Injector) -> Self {
        let world = World::new();
        (case.prepare)(&world);
        let whole = Snapshot::take(world.root());
        whole.put_back(world.root());
        let probe_before = probe(case, &world);
        whole.put_back(world.root());
        let other = outcome(case, &world, run_alone(&world, &case.args));
        whole.put_back(world.root());
        let first = outcome(case, &world, injector.run(&world, &case.args, None));
        assert_eq!(first.ended.how, case.ends, "{}: {}", case.name, first.ended.stderr);
        let second = outcome(case, &world, run_alone(&world, &case.args));
        let differ = |path: &&PathBuf| !same_at(&first.state, &other.state, path);
        let loose = first.state.0.keys().filter(differ).cloned().collect();
        let loose_stdout = first.ended.stdout != other.ended.stdout;
        let mut calls = BTreeMap::new();
        for call in &first.ended.calls {
            *calls.entry(call.split(' ').next().unwrap().to_owned()).or_default() += 1;
        }
        Self { case, world, before: whole, probe_before, first, second, loose, loose_stdout, calls }
    }

    pub fn points(&self, at_most: usize) -> Vec<Point> {
        let mut points = Vec::new();
        for (class, &count) in &self.calls {
            let step = count.div_ceil(at_most).max(1);
            for number in (1..=count).step_by(step) {
                points.extend(MODES.map(|mode| Point { class: class.clone(), number, mode }));
            }
        }
        points
    }

    /// Runs with the point's calls failing, then in peace, and says what did not hold.
    pub fn judge(&self, injector: &Injector, point: &Point) -> Vec<String> {
        self.before.put_back(self.world.root());
        let started = Instant::now();
        let ended = injector.run(&self.world, &self.case.args, Some(point));
        let took = started.elapsed();
        let disturbed = outcome(self.case, &self.world, ended);
        let mut broken = Vec::new();
        self.judge_end(&disturbed.ended, point, &mut broken);
        self.judge_files(&disturbed, point, &mut broken);
        self.judge_word(&disturbed, &mut broken);
        if self.case.ends != "exit 0" && disturbed.ended.code() == Some(0) {
            broken.push("what should be refused is done".to_owned());
        } else if disturbed.ended.code() == Some(0) && !self.left_to_another(&disturbed.ended, point) {
            self.judge_success(&disturbed, &mut broken);
        }
        let next = outcome(self.case, &self.world, run_alone(&self.world, &self.case.args));
        self.judge_next(&disturbed, &next, point, &mut broken);
        if !broken.is_empty() {
            let refused = disturbed.ended.refused().next().unwrap_or("nothing").to_owned();
            broken.push(format!(
                "[{} in {took:.1?}; refused: {refused}; said: {}]",
                disturbed.ended.how,
                disturbed.ended.stderr.trim()
            ));
        }
        broken
    }

    fn judge_end(&self, ended: &Ended, point: &Point, broken: &mut Vec<String>) {
        let Some(code @ 0..=3) = ended.code() else { return broken.push(format!("ended with {}", ended.how)) };
        let told = ended.stderr.lines().any(|line| line.starts_with("error:") || line.starts_with("warning:"));
        let as_ever = ended.how == self.case.ends && ended.stderr == self.first.ended.stderr;
        // A thread has no file.
        let names_a_file = point.class == "thread" || self.names_a_file(&ended.stderr);
        if code != 0 && !as_ever && !(told && names_a_cause(&ended.stderr) && names_a_file) {
            broken.push(format!("exit {code} without a file or a cause"));
        }
    }

    /// Or a folder, by its last name.
    fn names_a_file(&self, stderr: &str) -> bool {
        let paths = self.before.0.keys().chain(self.first.state.0.keys());
        let mut files = paths.flat_map(|path| path.iter()).filter_map(|name| name.to_str());
        ["/", "standard output"].iter().any(|place| stderr.contains(place)) || files.any(|name| stderr.contains(name))
    }

    /// Photos and other inputs are as they were; of outputs there is the older or the newer one; nothing else is there.
    fn judge_files(&self, disturbed: &Outcome, point: &Point, broken: &mut Vec<String>) {
        let (before, first, after) = (self.before.clone().visible(), &self.first.state, &disturbed.state);
        for (path, old) in &before.0 {
            let is_input = first.0.get(path).is_some_and(|new| new.is_untouched_since(old));
            // Not even the time of the last look at a photo changes.
            let is_photo = path.starts_with("photos") && path.extension().is_some_and(|extension| extension == "png");
            match after.0.get(path) {
                Some(now) if now == old || !is_photo && now.is_untouched_since(old) => {}
                Some(now) if !is_input && self.may_be(path, now, disturbed) => {}
                None if !is_input && !first.0.contains_key(path) => {}
                Some(_) if is_photo => broken.push(format!("{} was touched", path.display())),
                Some(_) => broken.push(format!("{} is neither old nor new", path.display())),
                None => broken.push(format!("{} is gone", path.display())),
            }
        }
        for (path, now) in after.0.iter().filter(|(path, _)| !before.0.contains_key(*path)) {
            if !self.may_be(path, now, disturbed) && !self.case.keeps.is_some_and(|kept| path.starts_with(kept)) {
                let is_scratch = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".albumctl-"));
                // What cannot be removed stays.
                if !(is_scratch && point.class == "unlink") {
                    broken.push(format!("{} was left", path.display()));
                }
            }
        }
        let left = Snapshot::take(self.world.root());
        // What cannot be read now is no damage.
        let aside = left.0.keys().filter(|path| path.to_string_lossy().contains(".damaged-"));
        broken.extend(aside.map(|path| format!("a sound store was set aside as {}", path.display())));
        let scratch = |path: &&PathBuf| path.starts_with("tmp") && path.as_path() != Path::new("tmp/stdout");
        if point.class != "unlink" {
            broken.extend(
                left.0
                    .keys()
                    .filter(scratch)
                    .filter(|path| path.as_path() != Path::new("tmp"))
                    .map(|path| format!("{} was left", path.display())),
            );
        }
    }

    /// Whether this is what a run writes there: what it writes undisturbed, or another whole one where some photo failed. A
    /// sidecar may be there although the run failed later.
    fn may_be(&self, path: &Path, now: &Node, disturbed: &Outcome) -> bool {
        if self.first.state.0.get(path).is_some_and(|new| new.says_the_same(now)) {
            return true;
        }
        let is_sidecar = path.extension().is_some_and(|extension| extension == "xmp");
        let some_failed = match disturbed.ended.code() {
            Some(3) => true,
            Some(1) => is_sidecar,
            _ => false,
        };
        let free = self.loose.contains(path) || some_failed;
        free && self.is_whole(path, now)
    }

    fn is_whole(&self, path: &Path, now: &Node) -> bool {
        let Some(bytes) = now.bytes() else { return true };
        let text = String::from_utf8_lossy(bytes);
        let ends_with = |end: &str| text.trim_end().ends_with(end);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl") => {
                text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok())
                    && (text.is_empty() || text.ends_with('\n'))
            }
            Some("json") => serde_json::from_str::<Value>(&text).is_ok(),
            Some("csv") => text.ends_with('\n'),
            Some("html") => ends_with("</html>"),
            Some("svg") => ends_with("</svg>"),
            Some("xmp") => ends_with("<?xpacket end=\"w\"?>") || ends_with("</x:xmpmeta>"),
            Some("zip") => bytes.windows(4).rev().take(64).any(|four| four == b"PK\x05\x06"),
            Some("parquet") => bytes.ends_with(b"PAR1"),
            Some("npy") => npy_is_whole(bytes),
            Some("safetensors") => safetensors::SafeTensors::deserialize(bytes).is_ok(),
            Some("png") => {
                self.before.0.values().any(|node| node.bytes() == Some(bytes)) || image::load_from_memory(bytes).is_ok()
            }
            _ => false,
        }
    }

    /// What was told is written down.
    fn judge_word(&self, disturbed: &Outcome, broken: &mut Vec<String>) {
        let told = disturbed.ended.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for line in told {
            let (Some(content), true) = (line["content"].as_str(), line["applied"] == true) else { continue };
            let written = disturbed.probe.lines().find(|held| held.contains(content));
            let holds = match line["decision"].as_str() {
                Some(word) => written.is_some_and(|held| held.contains(&format!("\"decision\":\"{word}\""))),
                None => written.is_none(),
            };
            if !holds {
                broken.push(format!("a decision was told and is not written down: {line}"));
            }
        }
        let either = [&self.probe_before, &self.first.probe].contains(&&disturbed.probe);
        if !either && disturbed.ended.code() != Some(3) {
            broken.push(format!("neither the state before nor the one after: {}", disturbed.probe.trim()));
        }
    }

    /// All done means all done.
    fn judge_success(&self, disturbed: &Outcome, broken: &mut Vec<String>) {
        if !self.loose_stdout && disturbed.ended.stdout != self.first.ended.stdout {
            broken.push("exit 0 with other lines".to_owned());
        }
        if disturbed.probe != self.first.probe {
            broken.push(format!("exit 0 and not done: {}", disturbed.probe.trim()));
        }
        broken.extend(
            self.unlike(&self.first.state, &disturbed.state)
                .map(|path| format!("exit 0 and {path} is not what it should be")),
        );
    }

    /// A lock that cannot be had looks as if another run for news were at it: then nothing is done and nothing counts.
    fn left_to_another(&self, ended: &Ended, point: &Point) -> bool {
        self.case.news && point.class == "lock" && ended.how == "exit 0" && ended.stdout.is_empty()
    }

    /// The next run is as one after nothing, or after one that did it all.
    fn judge_next(&self, disturbed: &Outcome, next: &Outcome, point: &Point, broken: &mut Vec<String>) {
        let some_failed = disturbed.ended.code() == Some(3);
        if self.case.news && some_failed {
            let told = |ended: &Ended| -> BTreeSet<String> { ended.stdout.lines().filter_map(image_path).collect() };
            let mut both = told(&disturbed.ended);
            both.extend(told(&next.ended));
            if both != told(&self.first.ended) {
                broken.push(format!("next: news are lost: only {both:?}"));
            }
            return;
        }
        if !self.case.probe.is_empty() && some_failed {
            // What was done in part is told otherwise by the run that does the rest.
            if next.ended.how != self.first.ended.how || next.probe != self.first.probe {
                broken.push(format!("next: not done: {} {}", next.ended.how, next.probe));
            }
            return;
        }
        let told_all = disturbed.ended.stdout == self.first.ended.stdout;
        let is_like = |wanted: &&Outcome| {
            let due = if std::ptr::eq(*wanted, &raw const self.first) {
                !self.case.news || disturbed.ended.code() != Some(0) || self.left_to_another(&disturbed.ended, point)
            } else {
                !self.case.news || told_all
            };
            let same_lines = self.loose_stdout || next.ended.stdout == wanted.ended.stdout;
            // What is never overwritten stays as the run delivered it in which a photo failed.
            let stays = some_failed && wanted.ended.how != self.first.ended.how;
            let is_as_it_should_be = |path: String| {
                let node = next.state.0.get(Path::new(&path));
                stays && node.is_some_and(|node| self.is_whole(Path::new(&path), node))
            };
            due && next.ended.how == wanted.ended.how
                && same_lines
                && next.probe == wanted.probe
                && self.unlike(&wanted.state, &next.state).all(is_as_it_should_be)
        };
        if ![&self.first, &self.second].iter().any(is_like) {
            let files: Vec<String> = self.unlike(&self.first.state, &next.state).collect();
            let Ended { how, stdout, stderr, .. } = &next.ended;
            broken.push(format!("next: another run: {how} {} {} {files:?}", stdout.trim(), stderr.trim()));
        }
        if let Some(warning) = next.ended.stderr.lines().find(|line| line.starts_with("warning:"))
            && !self.first.ended.stderr.contains(warning)
        {
            broken.push(format!("next: {warning}"));
        }
    }

    /// Files that should be there and are not, or are others.
    fn unlike<'b>(&'b self, wanted: &'b Snapshot, found: &'b Snapshot) -> impl Iterator<Item = String> + 'b {
        let differs = |path: &&PathBuf| {
            let loose = self.loose.contains(*path) && found.0.get(*path).is_some_and(|node| self.is_whole(path, node));
            !same_at(wanted, found, path) && !loose
        };
        wanted.0.keys().filter(differs).map(|path| path.display().to_string())
    }
}

fn outcome(case: &Case, world: &World, ended: Ended) -> Outcome {
    let state = Snapshot::take(world.root()).visible();
    Outcome { ended, state, probe: probe(case, world) }
}

/// What the probe says, without the times that it tells and the models that every binary has. Whether a model file was
/// read through already is remembered where that can be, and read again where not.
fn probe(case: &Case, world: &World) -> String {
    if case.probe.is_empty() {
        return String::new();
    }
    let seen = run_alone(world, case.probe);
    let mut lines: Vec<String> = Vec::new();
    for line in seen.stdout.lines() {
        let mut value: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        if value["manifest"] == "built-in" {
            continue;
        }
        for time in ["decided_at", "last_used"] {
            if let Some(time) = value.get_mut(time) {
                time.take();
            }
        }
        lines.push(value.to_string().replace("\"unverified\"", "\"ready\""));
    }
    format!("{} {}\n{}", seen.how, seen.stderr.trim(), lines.join("\n"))
}

fn same_at(one: &Snapshot, other: &Snapshot, path: &Path) -> bool {
    match (one.0.get(path), other.0.get(path)) {
        (Some(one), Some(other)) => one.says_the_same(other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn image_path(line: &str) -> Option<String> {
    Some(serde_json::from_str::<Value>(line).ok()?["image_path"].as_str()?.to_owned())
}

/// The words of the system, or those of SQLite for the same.
fn names_a_cause(stderr: &str) -> bool {
    const CAUSES: [&str; 10] = [
        "another process holds it",
        "os error",
        "Resource temporarily unavailable",
        "permission denied",
        "readonly",
        "not a readable",
        "disk",
        "unable to open",
        "locking protocol",
        "locked",
    ];
    CAUSES.iter().any(|cause| stderr.contains(cause))
}

/// The header tells how many numbers follow.
fn npy_is_whole(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(8..10).map(|two| usize::from(u16::from_le_bytes([two[0], two[1]]))) else {
        return false;
    };
    let text = String::from_utf8_lossy(bytes.get(10..10 + header).unwrap_or_default()).into_owned();
    let shape = text.split(['(', ')']).nth(1).unwrap_or_default();
    let count: usize = shape.split(',').filter_map(|n| n.trim().parse::<usize>().ok()).product();
    bytes.len() == 10 + header + 4 * count
}
