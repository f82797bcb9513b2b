//! A `review` under way, and a client of its server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::world::World;

pub struct Reviewing {
    pub process: Child,
    /// `127.0.0.1:PORT`
    pub host: String,
    pub secret: String,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Reviewing {
    pub fn start(world: &World, args: &[&str]) -> Self {
        let mut command = world.command(["review", "--no-open", "-q"].iter().chain(args));
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(process.stderr.as_mut().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(told.read_line(&mut line).unwrap() > 0, "no address");
            if let Some(address) = line.trim().strip_prefix("http://") {
                break address.to_owned();
            }
        };
        let (host, secret) = address.trim_end_matches('/').split_once('/').expect("a secret");
        let (host, secret) = (host.to_owned(), secret.to_owned());
        Self { process, host, secret }
    }

    pub fn address(&self) -> String {
        format!("http://{}/{}/", self.host, self.secret)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).expect("an answer")
    }

    /// `None` where the server is gone.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        let Self { host, secret, .. } = self;
        self.try_send(&format!("GET /{secret}/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.try_post(path, body).expect("an answer")
    }

    /// `None` where the server is gone.
    pub fn try_post(&self, path: &str, body: &str) -> Option<Answer> {
        let Self { host, secret, .. } = self;
        self.try_send(&format!(
            "POST /{secret}/{path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    pub fn decide(&self, photo: usize, word: &str) -> Value {
        self.post("decide", &decision(photo, word)).json()
    }

    pub fn send(&self, request: &str) -> Answer {
        self.try_send(request).expect("an answer")
    }

    fn try_send(&self, request: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.host).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head, body: bytes.split_off(end + 4) })
    }

    /// The page says that it is done: what is on stdout then, and the exit code.
    pub fn done(self) -> (String, Option<i32>) {
        assert_eq!(self.post("done", "{}").status, 200);
        self.ended()
    }

    pub fn ended(mut self) -> (String, Option<i32>) {
        let mut printed = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (printed, self.process.wait().unwrap().code())
    }
}

pub fn decision(photo: usize, word: &str) -> String {
    let word = if word == "none" { "null".to_owned() } else { format!("\"{word}\"") };
    format!("{{\"photo\":{photo},\"decision\":{word}}}")
}

impl Drop for Reviewing {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
