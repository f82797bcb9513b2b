//! An HTTP server on loopback that misbehaves on purpose, with nothing but the standard library.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A file as it is served, with its faults.
#[derive(Clone, Default)]
pub struct Served {
    /// What each request sees; the last one stays. Bytes and ETag.
    pub versions: Vec<(Arc<Vec<u8>>, Option<String>)>,
    /// Answered first, one a request: status and extra header lines.
    pub statuses: Vec<(u16, String)>,
    pub redirect: Option<String>,
    pub ignores_ranges: bool,
    /// Says 206 for any range, whatever `If-Range` says.
    pub ignores_if_range: bool,
    /// The connection is cut after so many bytes of each answer.
    pub cut_after: Option<usize>,
    /// Falls silent after so many bytes and keeps the connection.
    pub silent_after: Option<usize>,
    /// Says this length, sends what there is.
    pub says_length: Option<usize>,
    /// Says no length; the end of the connection is the end of the file.
    pub says_no_length: bool,
    pub chunked: bool,
    /// So many bytes at a time, with a pause before each.
    pub trickle: Option<(usize, Duration)>,
    pub headers: String,
    /// `Authorization` that must be there.
    pub authorization: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub status: u16,
    /// Bytes of body handed to the network.
    pub sent: u64,
}

impl Asked {
    pub fn range(&self) -> Option<&str> {
        self.headers.get("range").map(String::as_str)
    }

    /// The first byte asked for.
    pub fn from(&self) -> u64 {
        let first = self.range().and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
        first.unwrap_or(0)
    }
}

#[derive(Default)]
struct State {
    files: HashMap<String, (Served, usize)>,
    log: Vec<Asked>,
    /// How often the log was forgotten: what an older answer still sends is not counted for a newer one.
    age: u64,
}

pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Served {
    pub fn file(bytes: &[u8]) -> Self {
        Self { versions: vec![(Arc::new(bytes.to_vec()), Some(etag(bytes)))], ..Self::default() }
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}-{}\"", bytes.len(), bytes.iter().map(|b| u64::from(*b)).sum::<u64>())
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || {
                    let _ = converse(&connection, &state);
                    let _ = connection.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, state }
    }

    /// The address of the file.
    pub fn serve(&self, path: &str, served: Served) -> String {
        self.state.lock().unwrap().files.insert(path.to_owned(), (served, 0));
        self.url(path)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn log(&self) -> Vec<Asked> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn forget_log(&self) {
        let mut state = self.state.lock().unwrap();
        state.log.clear();
        state.age += 1;
    }

    /// Bytes of body sent for all requests so far.
    pub fn sent(&self) -> u64 {
        self.log().iter().map(|asked| asked.sent).sum()
    }
}

fn converse(connection: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        if method == "CONNECT" {
            return tunnel(connection, &mut reader, &path, state);
        }
        if !answer(connection, Asked { path, headers, ..Asked::default() }, state)? {
            return Ok(());
        }
    }
}

/// Whether the connection goes on.
fn answer(mut connection: &TcpStream, mut asked: Asked, state: &Mutex<State>) -> std::io::Result<bool> {
    let (served, index) = {
        let mut state = state.lock().unwrap();
        // As a proxy is asked: with the whole address.
        let path = asked
            .path
            .strip_prefix("http://")
            .map_or(asked.path.clone(), |rest| rest[rest.find('/').unwrap_or(rest.len())..].to_owned());
        let found = state.files.get_mut(&path).map(|(served, count)| {
            *count += 1;
            (served.clone(), *count - 1)
        });
        found.unwrap_or((Served { statuses: vec![(404, String::new()); 99], ..Served::default() }, 0))
    };
    let refused =
        served.authorization.as_ref().is_some_and(|wanted| asked.headers.get("authorization") != Some(wanted));
    let status = if refused { Some(&(401, String::new())) } else { served.statuses.get(index) };
    if let Some((status, headers)) = status {
        asked.status = *status;
        let page = b"<html>an error page, not the file</html>";
        asked.sent = page.len() as u64;
        write!(connection, "HTTP/1.1 {status} No\r\ncontent-length: {}\r\n{headers}\r\n", page.len())?;
        connection.write_all(page)?;
        state.lock().unwrap().log.push(asked);
        return Ok(true);
    }
    if let Some(link) = &served.redirect {
        asked.status = 302;
        state.lock().unwrap().log.push(asked);
        write!(connection, "HTTP/1.1 302 Found\r\nlocation: {link}\r\ncontent-length: 0\r\n\r\n")?;
        return Ok(true);
    }
    let (bytes, etag) = served.versions[(index - served.statuses.len()).min(served.versions.len() - 1)].clone();
    let size = bytes.len();
    let matches = asked.headers.get("if-range").is_none_or(|wanted| Some(wanted) == etag.as_ref());
    let honoured = !served.ignores_ranges && (matches || served.ignores_if_range);
    let range = asked.range().filter(|_| honoured).and_then(|range| parse_range(range, size));
    let etag = etag.map_or_else(String::new, |etag| format!("etag: {etag}\r\n"));
    let (status, from, to) = match range {
        Some((from, _)) if from >= size => {
            asked.status = 416;
            state.lock().unwrap().log.push(asked);
            write!(connection, "HTTP/1.1 416 No\r\ncontent-range: bytes */{size}\r\ncontent-length: 0\r\n\r\n")?;
            return Ok(true);
        }
        Some((from, to)) => (206, from, to),
        None => (200, 0, size),
    };
    asked.status = status;
    let body = &bytes[from..to];
    let mut head = format!("HTTP/1.1 {status} OK\r\n{etag}{}", served.headers);
    if status == 206 {
        head = format!("{head}content-range: bytes {from}-{}/{size}\r\n", to - 1);
    }
    match (served.chunked, served.says_no_length) {
        (true, _) => head += "transfer-encoding: chunked\r\n",
        (_, true) => head += "connection: close\r\n",
        _ => head = format!("{head}content-length: {}\r\n", served.says_length.unwrap_or(body.len())),
    }
    connection.write_all(format!("{head}\r\n").as_bytes())?;
    let (age, log_index) = {
        let mut state = state.lock().unwrap();
        state.log.push(asked);
        (state.age, state.log.len() - 1)
    };
    let written = send_body(connection, &served, body, &|sent| {
        let mut state = state.lock().unwrap();
        if state.age == age {
            state.log[log_index].sent += sent as u64;
        }
    });
    written?;
    let lied = served.says_length.is_some_and(|said| said != body.len()) || served.says_no_length;
    Ok(!lied && served.cut_after.is_none_or(|cut| cut >= body.len()))
}

fn send_body(mut connection: &TcpStream, served: &Served, body: &[u8], log: &dyn Fn(usize)) -> std::io::Result<()> {
    let end = served.cut_after.unwrap_or(body.len()).min(served.silent_after.unwrap_or(body.len())).min(body.len());
    let (step, pause) = served.trickle.unwrap_or((1 << 18, Duration::ZERO));
    for piece in body[..end].chunks(step) {
        thread::sleep(pause);
        if served.chunked {
            write!(connection, "{:x}\r\n", piece.len())?;
        }
        connection.write_all(piece)?;
        if served.chunked {
            connection.write_all(b"\r\n")?;
        }
        log(piece.len());
    }
    if served.chunked && end == body.len() {
        connection.write_all(b"0\r\n\r\n")?;
    }
    if served.silent_after.is_some_and(|silent| silent < body.len()) {
        // Until the other side has had enough.
        let _ = connection.read(&mut [0]);
    }
    Ok(())
}

/// `bytes=5-`, `bytes=5-9` and `bytes=-5`.
fn parse_range(range: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => Some((first, (last + 1).min(size))),
        (Ok(first), Err(_)) => Some((first, size)),
        (Err(_), Ok(length)) => Some((size.saturating_sub(length), size)),
        _ => None,
    }
}

fn tunnel(
    mut connection: &TcpStream,
    reader: &mut BufReader<TcpStream>,
    target: &str,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    state.lock().unwrap().log.push(Asked { path: format!("CONNECT {target}"), ..Asked::default() });
    let onward = TcpStream::connect(target)?;
    connection.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut back, mut away) = (onward.try_clone()?, connection.try_clone()?);
    let answers = thread::spawn(move || std::io::copy(&mut back, &mut away));
    std::io::copy(reader, &mut &onward)?;
    let _ = onward.shutdown(Shutdown::Write);
    let _ = answers.join();
    Ok(())
}
