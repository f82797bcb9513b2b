//! A bucket: a server of the test's own that speaks as much S3 and HTTP as is needed, and can hold answers back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::world::{Seen, World};

pub type Objects = BTreeMap<String, Vec<u8>>;

/// Objects by `bucket/key`, served at any number of addresses, so that it can be told who asks.
#[derive(Clone, Default)]
pub struct Bucket {
    objects: Arc<Mutex<Objects>>,
    /// Parts of uploads, by key.
    uploads: Arc<Mutex<BTreeMap<String, BTreeMap<u32, Vec<u8>>>>>,
    /// Keys that are answered with an error that nobody asks about again.
    pub refused: Arc<Mutex<BTreeSet<String>>>,
    pub gate: Arc<Gate>,
}

/// An address of a bucket.
#[derive(Clone)]
pub struct Door {
    /// `HOST:PORT`
    pub address: String,
}

impl Bucket {
    pub fn of(objects: Objects) -> Self {
        Self { objects: Arc::new(Mutex::new(objects)), ..Self::default() }
    }

    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        self.objects.lock().unwrap().insert(key.to_owned(), bytes);
    }

    pub fn remove(&self, key: &str) {
        self.objects.lock().unwrap().remove(key);
    }

    pub fn get(&self, key: &str) -> Vec<u8> {
        self.objects.lock().unwrap().get(key).unwrap_or_else(|| panic!("no {key}")).clone()
    }

    pub fn keys(&self, below: &str) -> Vec<String> {
        self.objects.lock().unwrap().keys().filter(|key| key.starts_with(below)).cloned().collect()
    }

    /// Opens a door whose number is known to the gate.
    pub fn door(&self, number: usize) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let bucket = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let bucket = bucket.clone();
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || while bucket.answer(&stream, number).is_some() {});
            }
        });
        Door { address }
    }

    /// One request; `None` when the other side is gone.
    fn answer(&self, stream: &TcpStream, door: usize) -> Option<()> {
        let asked = Asked::read(stream)?;
        if asked.method == "GET" {
            self.gate.pass(door, &asked.key);
        }
        let mut objects = self.objects.lock().unwrap();
        if self.refused.lock().unwrap().contains(&asked.key) {
            return tell(stream, "400 Bad Request", "", b"");
        }
        match (asked.method.as_str(), objects.get(&asked.key)) {
            ("GET", _) if asked.query.contains("list-type=2") => tell(stream, "200 OK", "", &asked.listed(&objects)),
            ("HEAD", Some(object)) => {
                let head = head("200 OK", "Accept-Ranges: bytes\r\n", object.len(), &etag(object));
                let mut stream = stream;
                stream.write_all(head.as_bytes()).ok()
            }
            ("GET", Some(object)) => {
                let Some(range) = asked.header("range").and_then(|range| range.strip_prefix("bytes=")) else {
                    return tell(stream, "200 OK", "", object);
                };
                let (from, to) = range.split_once('-')?;
                let from: usize = from.parse().ok()?;
                let to = to.parse::<usize>().ok()?.min(object.len() - 1);
                let more = format!("Content-Range: bytes {from}-{to}/{}\r\n", object.len());
                tell(stream, "206 Partial Content", &more, &object[from..=to])
            }
            ("PUT", _) if asked.query.contains("partNumber=") => {
                let number = asked.query.split('&').find_map(|part| part.strip_prefix("partNumber="))?.parse().ok()?;
                self.uploads.lock().unwrap().entry(asked.key).or_default().insert(number, asked.body);
                tell(stream, "200 OK", "", b"")
            }
            ("PUT", _) => {
                objects.insert(asked.key, asked.body);
                tell(stream, "200 OK", "", b"")
            }
            ("DELETE", _) => {
                objects.remove(&asked.key);
                tell(stream, "204 No Content", "", b"")
            }
            ("POST", _) if asked.query.starts_with("uploads") => {
                let text = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>";
                tell(stream, "200 OK", "", text.as_bytes())
            }
            ("POST", _) if asked.query.contains("uploadId=") => {
                let parts = self.uploads.lock().unwrap().remove(&asked.key)?;
                objects.insert(asked.key, parts.into_values().flatten().collect());
                let text = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
                tell(stream, "200 OK", "", text.as_bytes())
            }
            // Many at once, named by an XML body.
            ("POST", _) if asked.query.starts_with("delete") => {
                let body = String::from_utf8(asked.body).ok()?;
                let names = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
                let names: Vec<&str> = names.map(|(name, _)| name).collect();
                let bucket = asked.key.trim_end_matches('/');
                names.iter().for_each(|name| drop(objects.remove(&format!("{bucket}/{name}"))));
                let gone: Vec<_> = names.iter().map(|name| format!("<Deleted><Key>{name}</Key></Deleted>")).collect();
                let text = format!("<DeleteResult>{}</DeleteResult>", gone.concat());
                tell(stream, "200 OK", "", text.as_bytes())
            }
            _ => tell(stream, "404 Not Found", "", b""),
        }
    }
}

struct Asked {
    method: String,
    /// `bucket/key`
    key: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Asked {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let key = decoded(path.trim_start_matches('/'));
        Some(Self { method, key, query: query.to_owned(), headers, body })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn listed(&self, objects: &Objects) -> Vec<u8> {
        let prefix = self.query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
        let start = format!("{}/{}", self.key.trim_end_matches('/'), decoded(&prefix.replace('+', " ")));
        let bucket = self.key.trim_end_matches('/').len() + 1;
        let matching = objects.iter().filter(|(key, _)| key.starts_with(&start));
        let entry = |(key, object): (&String, &Vec<u8>)| {
            let (key, size, etag) = (&key[bucket..], object.len(), etag(object));
            format!(
                "<Contents><Key>{key}</Key><LastModified>2022-01-01T00:00:00.000Z</LastModified><ETag>{etag}</ETag>\
                 <Size>{size}</Size></Contents>"
            )
        };
        let entries: String = matching.map(entry).collect();
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>").into_bytes()
    }
}

fn tell(stream: &TcpStream, status: &str, more: &str, body: &[u8]) -> Option<()> {
    let whole = [head(status, more, body.len(), &etag(body)).as_bytes(), body].concat();
    let mut stream = stream;
    stream.write_all(&whole).ok()
}

fn head(status: &str, more: &str, length: usize, etag: &str) -> String {
    let modified = "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT";
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"{etag}\"\r\n{modified}\r\n{more}\r\n")
}

fn etag(object: &[u8]) -> String {
    let sum = object.iter().fold(object.len() as u32, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte));
    format!("e{sum:08x}")
}

/// `%2F` and the like, as they were.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = (*first == b'%').then(|| behind.get(..2)).flatten().and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap()
}

/// Holds answers back, so that whoever asked is known to be in the middle of its work, on machines of any speed.
#[derive(Default)]
pub struct Gate {
    state: Mutex<Closed>,
    changed: Condvar,
}

#[derive(Default)]
struct Closed {
    /// Objects that count, by a part of their keys, and how many different ones open the rest of the story.
    counted: &'static str,
    seen: BTreeSet<String>,
    from: usize,
    /// What is held then: reads of keys with this in them, at these doors, so many at each.
    held_keys: &'static str,
    doors: Vec<usize>,
    most: usize,
    /// The doors where somebody waits, or has waited.
    held: Vec<usize>,
    /// Another whenever the gate is closed or opened.
    chapter: usize,
    /// How many of them may go.
    free: usize,
}

impl Closed {
    fn at(&self, door: usize) -> usize {
        self.held.iter().filter(|&&held| held == door).count()
    }
}

impl Gate {
    /// From the `from`-th different object with `counted` in its key on, holds reads of `held` at `doors`.
    pub fn close(&self, (counted, from): (&'static str, usize), held: &'static str, doors: &[usize], most: usize) {
        let doors = doors.to_vec();
        self.begin(Closed { counted, from, held_keys: held, doors, most, ..Closed::default() });
    }

    pub fn open(&self) {
        self.begin(Closed::default());
    }

    /// Whoever was held before goes on.
    fn begin(&self, next: Closed) {
        let mut state = self.state.lock().unwrap();
        *state = Closed { chapter: state.chapter + 1, ..next };
        self.changed.notify_all();
    }

    /// Lets one of those that wait go on.
    pub fn let_one_go(&self) {
        self.state.lock().unwrap().free += 1;
        self.changed.notify_all();
    }

    /// Waits until `number` reads are held at a door.
    pub fn wait_for(&self, door: usize, number: usize) {
        let state = self.state.lock().unwrap();
        let few = |state: &mut Closed| state.at(door) < number;
        let waited = self.changed.wait_timeout_while(state, Duration::from_secs(120), few).unwrap();
        assert!(!waited.1.timed_out(), "fewer than {number} came to door {door}");
    }

    fn pass(&self, door: usize, key: &str) {
        let mut state = self.state.lock().unwrap();
        if state.from == 0 {
            return;
        }
        if key.contains(state.counted) {
            state.seen.insert(key.to_owned());
        }
        let due = state.seen.len() >= state.from && key.contains(state.held_keys);
        if due && state.doors.contains(&door) && state.at(door) < state.most {
            state.held.push(door);
            self.changed.notify_all();
            let chapter = state.chapter;
            let waits = |state: &mut Closed| state.chapter == chapter && state.free == 0;
            let mut state = self.changed.wait_while(state, waits).unwrap();
            state.free = state.free.saturating_sub(1);
        }
    }
}

impl Door {
    /// A command that knows where the bucket is.
    pub fn lead(&self, mut command: Command) -> Command {
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "nowhere")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "key");
        command
    }

    pub fn run(&self, world: &World, args: &[&str]) -> Seen {
        self.lead(world.command(args)).output().unwrap().into()
    }
}
