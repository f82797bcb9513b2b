//! Schedulers and executors as processes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::world::World;

/// A node, and what it said.
pub struct Node {
    pub child: Child,
    said: Arc<Mutex<String>>,
}

impl Node {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        listen(child.stderr.take().unwrap(), Arc::clone(&said));
        Self { child, said }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says something with `words` in it; the line.
    pub fn wait_for(&self, words: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(line) = self.said().lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it never said `{words}`: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stderr: ChildStderr, said: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            said.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
}

pub struct Cluster {
    pub scheduler: Node,
    pub executors: Vec<Node>,
    /// `HOST:PORT`
    pub address: String,
}

impl Cluster {
    pub fn of(world: &World, executors: usize) -> Self {
        let mut cluster = Self::without_executors(world, "127.0.0.1:0");
        for _ in 0..executors {
            cluster.join(world);
        }
        cluster
    }

    pub fn without_executors(world: &World, bind: &str) -> Self {
        Self::with(world, bind, &[])
    }

    /// A scheduler with more options.
    pub fn with(world: &World, bind: &str, more: &[&str]) -> Self {
        let args = ["node", "scheduler", "--bind", bind, "--executor-timeout", "8"];
        let scheduler = Node::start(world.command([&args[..], more].concat()));
        let line = scheduler.wait_for("listens on");
        let address = line.rsplit(' ').next().unwrap().to_owned();
        Self { scheduler, executors: Vec::new(), address }
    }

    pub fn join(&mut self, world: &World) {
        self.join_with(world, |command| command, &["--threads", "1"]);
    }

    pub fn join_with(&mut self, world: &World, prepared: impl FnOnce(Command) -> Command, more: &[&str]) {
        let args = ["node", "executor", "--scheduler", &self.address, "--port", "0"];
        let executor = Node::start(prepared(world.command([&args[..], more].concat())));
        executor.wait_for("works for");
        self.executors.push(executor);
    }

    pub fn engine(&self) -> String {
        format!("ballista://{}", self.address)
    }
}
