//! The fit of `scale` on clusters of processes on this machine, beside the same binary alone.
//!
//! Rows, bytes, seconds and memory are measured: rows as executors count them, bytes at the loopback device, processor
//! time and peak memory by the kernel.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ITERATIONS: usize = 6;
/// Looking the rows through, the iterations, and measuring the clusters.
const PASSES: f64 = ITERATIONS as f64 + 2.0;

/// Compares what `binary` needs alone, with one and two threads, and with 1, 2 and 4 executors of one task at a time.
pub fn compare(binary: &Path, data: &Path, folder: &Path, clusters: usize) {
    let bench = Bench { binary, data, folder, clusters };
    let alone: Vec<Run> = [1, 2].into_iter().map(|threads| bench.alone(threads)).collect();
    let base = alone.iter().map(Run::median).fold(f64::INFINITY, f64::min);
    for run in &alone {
        run.tell(base, &alone[0].model);
    }
    for executors in [1, 2, 4] {
        bench.cluster(executors).tell(base, &alone[0].model);
    }
}

struct Bench<'a> {
    binary: &'a Path,
    data: &'a Path,
    folder: &'a Path,
    clusters: usize,
}

struct Run {
    name: String,
    seconds: Vec<f64>,
    /// Bytes over the loopback device, iteration by iteration.
    moved: Vec<f64>,
    executors: Vec<Executor>,
    model: Vec<u8>,
    whole: Duration,
}

struct Executor {
    rows: f64,
    core_seconds: f64,
    peak_megabytes: u64,
}

impl Bench<'_> {
    fn alone(&self, threads: usize) -> Run {
        self.fit(&format!("this machine, {threads} threads"), &["--threads", &threads.to_string()])
    }

    fn cluster(&self, number: usize) -> Run {
        let scheduler = Node::start(self.binary, &["scheduler", "--bind", "127.0.0.1:0"]);
        let address = scheduler.hear("listens on").rsplit(' ').next().unwrap().to_owned();
        let args = ["executor", "--scheduler", &address, "--port", "0", "--threads", "1"];
        let nodes: Vec<Node> = (0..number).map(|_| Node::start(self.binary, &args)).collect();
        nodes.iter().for_each(|node| drop(node.hear("works for")));
        let engine = format!("ballista://{address}");
        let mut run = self.fit(&format!("{number} executors"), &["--engine", &engine]);
        run.executors = nodes.iter().map(Node::end).collect();
        run
    }

    fn fit(&self, name: &str, more: &[&str]) -> Run {
        let work = self.folder.join("nodes");
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).unwrap();
        let (model, telemetry) = (work.join("m.safetensors"), work.join("m.safetensors.work/telemetry.jsonl"));
        let mut command = albumctl(self.binary);
        command.args(["kmeans", "fit", "--init", "random", "--tolerance", "0", "--seed", "1", "-q", "--data"]);
        command.arg(self.data.join("*.parquet")).arg("-k").arg(self.clusters.to_string());
        command.arg("--max-iterations").arg(ITERATIONS.to_string()).arg("--model").arg(&model).args(more);
        let started = Instant::now();
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let (mut lines, mut counts) = (0, Vec::new());
        let status = loop {
            let told = fs::read_to_string(&telemetry).unwrap_or_default().lines().count();
            if told > lines {
                lines = told;
                counts.push(loopback());
            }
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success());
        let told = fs::read_to_string(&telemetry).unwrap();
        let seconds =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seconds"].as_f64().unwrap();
        Run {
            name: name.to_owned(),
            seconds: told.lines().map(seconds).collect(),
            moved: counts.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect(),
            executors: Vec::new(),
            model: fs::read(&model).unwrap(),
            whole: started.elapsed(),
        }
    }
}

impl Run {
    fn median(&self) -> f64 {
        median(&self.seconds)
    }

    fn tell(&self, base: f64, model: &[u8]) {
        let (low, high) = self.seconds.iter().fold((f64::INFINITY, 0.0f64), |(l, h), &s| (l.min(s), h.max(s)));
        let each =
            |value: &dyn Fn(&Executor) -> String| self.executors.iter().map(value).collect::<Vec<_>>().join(", ");
        println!(
            "{}: iteration {:.3} s (median; {low:.3} to {high:.3}), {:.2} of the fastest alone; whole fit {:.1} s; \
             {:.2} MB over loopback an iteration; centroids {}\n  rows an executor looks at, a pass: {}; \
             core-seconds a pass: {}; peak MB: {}",
            self.name,
            self.median(),
            self.median() / base,
            self.whole.as_secs_f64(),
            if self.moved.is_empty() { 0.0 } else { median(&self.moved) / 1e6 },
            if self.model == model { "the same" } else { "ANOTHER" },
            each(&|e| format!("{:.0}", e.rows / PASSES)),
            each(&|e| format!("{:.2}", e.core_seconds / PASSES)),
            each(&|e| e.peak_megabytes.to_string()),
        );
    }
}

struct Node {
    child: std::cell::RefCell<Child>,
    said: mpsc::Receiver<String>,
}

impl Node {
    fn start(binary: &Path, args: &[&str]) -> Self {
        let mut command = albumctl(binary);
        let mut child = command.arg("node").args(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (tell, said) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child: child.into(), said }
    }

    fn hear(&self, words: &str) -> String {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(60)).unwrap();
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Ends an executor; what it came to.
    fn end(&self) -> Executor {
        let pid = self.child.borrow().id();
        let (core_seconds, peak_megabytes) = (core_seconds(pid), peak_megabytes(pid));
        assert!(Command::new("kill").arg(pid.to_string()).status().unwrap().success());
        let line = self.hear("it looked at");
        let rows = line.split("looked at ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap();
        Executor { rows, core_seconds, peak_megabytes }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.borrow_mut().kill();
        let _ = self.child.borrow_mut().wait();
    }
}

/// A bench's own variables are no settings of the program.
fn albumctl(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ALBUMCTL_")) {
        command.env_remove(name);
    }
    command
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Bytes that went over the loopback device so far.
fn loopback() -> u64 {
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let line = devices.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn core_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold blanks; ticks of a hundredth of a second.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

pub fn peak_megabytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}

/// The binary whose nodes are to be measured, where one is named.
pub fn binary() -> Option<PathBuf> {
    let named = std::env::var_os("ALBUMCTL_DISTRIBUTED").map(PathBuf::from);
    named.or_else(|| cfg!(feature = "distributed").then(|| env!("CARGO_BIN_EXE_albumctl").into()))
}
