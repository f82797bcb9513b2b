//! The part of HTTP/1.1 that a local page needs: requests with limits on size and time, and answers with a length.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Maximum bytes of the request line and all header fields.
const MAX_HEAD: usize = 16 * 1024;
const MAX_FIELDS: usize = 64;
const MAX_BODY: usize = 64 * 1024;
/// How long a connection without a request is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long receiving a request may take.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the client may accept no bytes of an answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The request target, including the query.
    pub target: String,
    pub host: Option<String>,
    pub origin: Option<String>,
    /// The relation of the requesting page, as stated by the browser: `same-origin`, `cross-site`, …
    pub fetch_site: Option<String>,
    pub is_json: bool,
    pub body: Vec<u8>,
    /// Whether the connection stays open.
    pub keep_alive: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub kind: &'static str,
    pub body: Vec<u8>,
    /// The target of a redirect.
    pub location: Option<String>,
}

impl Response {
    pub fn new(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, body: body.into(), location: None }
    }

    pub fn refused(status: u16, why: &str) -> Self {
        Self { status, ..Self::new("text/plain; charset=utf-8", format!("{why}\n")) }
    }

    pub fn elsewhere(location: String) -> Self {
        Self { location: Some(location), ..Self::refused(303, "look there") }
    }

    /// Headers that keep other pages from reading, framing or running anything, and restrict the page to content of this
    /// server.
    fn head(&self, keep_alive: bool) -> String {
        let location = self.location.as_ref().map_or_else(String::new, |place| format!("Location: {place}\r\n"));
        format!(
            "HTTP/1.1 {} {}\r\n\
             Content-Type: {}\r\n\
             Content-Length: {}\r\n\
             Connection: {}\r\n\
             {location}\
             Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\n\
             Cross-Origin-Opener-Policy: same-origin\r\n\
             Referrer-Policy: same-origin\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Cache-Control: no-store\r\n\r\n",
            self.status,
            word(self.status),
            self.kind,
            self.body.len(),
            if keep_alive { "keep-alive" } else { "close" },
        )
    }
}

fn word(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// One browser's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Received bytes that do not form a complete request yet.
    received: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(SEND_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Reads the next request; `None` if the client has closed or is silent. An unacceptable request gives an HTTP status.
    pub fn request(&mut self) -> Result<Option<Request>, u16> {
        if self.received.is_empty() && !self.more(Instant::now() + IDLE_TIMEOUT).is_ok_and(|received| received) {
            return Ok(None);
        }
        let end = Instant::now() + RECEIVE_TIMEOUT;
        let (mut request, head, length) = loop {
            match parsed(&self.received)? {
                Some(whole) => break whole,
                None if self.received.len() > MAX_HEAD => return Err(431),
                None => self.wait(end)?,
            }
        };
        while self.received.len() < head + length {
            self.wait(end)?;
        }
        request.body = self.received.drain(..head + length).skip(head).collect();
        Ok(Some(request))
    }

    fn wait(&mut self, end: Instant) -> Result<(), u16> {
        match self.more(end) {
            Ok(true) => Ok(()),
            Ok(false) => Err(400),
            Err(_) => Err(408),
        }
    }

    /// Reads more bytes; returns false at the end of the stream.
    fn more(&mut self, end: Instant) -> io::Result<bool> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 8192];
        let length = self.stream.read(&mut piece)?;
        self.received.extend_from_slice(&piece[..length]);
        Ok(length > 0)
    }

    pub fn respond(&mut self, response: &Response, keep_alive: bool) -> io::Result<()> {
        self.stream.write_all(response.head(keep_alive).as_bytes())?;
        self.stream.write_all(&response.body)?;
        self.stream.flush()
    }

    /// Closes the connection. Reads what the client still sends for a moment, because closing with unread data would cut off
    /// the answer.
    pub fn end(mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let end = Instant::now() + Duration::from_millis(500);
        while self.received.len() < 4 * MAX_BODY && self.more(end).is_ok_and(|received| received) {}
    }
}

/// Parses the head of a request; returns it with the offset and length of its body, or `None` if more bytes are needed.
fn parsed(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, u16> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let end = match head.parse(&bytes[..bytes.len().min(MAX_HEAD)]) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(_) => return Err(400),
    };
    let is_1_1 = head.version == Some(1);
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        keep_alive: is_1_1,
        ..Request::default()
    };
    let mut length = None;
    for field in head.headers.iter() {
        let value = std::str::from_utf8(field.value).map_err(|_| 400_u16)?.trim();
        let once = |place: &mut Option<String>| match place.replace(value.to_owned()) {
            Some(_) => Err(400_u16),
            None => Ok(()),
        };
        match field.name.to_ascii_lowercase().as_str() {
            "host" => once(&mut request.host)?,
            "origin" => once(&mut request.origin)?,
            "sec-fetch-site" => once(&mut request.fetch_site)?,
            "content-length" => once(&mut length)?,
            "content-type" => request.is_json = value.split(';').next() == Some("application/json"),
            "connection" => request.keep_alive = is_1_1 && !value.eq_ignore_ascii_case("close"),
            // Bodies must have a content length, so that there is only one way to determine the end of a request.
            "transfer-encoding" => return Err(501),
            _ => {}
        }
    }
    let is_number = |length: &String| !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length = match length {
        None => 0,
        Some(length) if is_number(&length) => length.parse().unwrap_or(usize::MAX),
        Some(_) => return Err(400),
    };
    if length > MAX_BODY { Err(413) } else { Ok(Some((request, end, length))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_whole_and_its_fields_once() {
        let text = b"POST /a/decide HTTP/1.1\r\nHost: 127.0.0.1:9\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        let (request, head, length) = parsed(text).unwrap().unwrap();
        assert_eq!((request.target.as_str(), request.host.as_deref()), ("/a/decide", Some("127.0.0.1:9")));
        assert!(request.is_json && request.keep_alive && head + length == text.len());
        assert_eq!(parsed(&text[..40]), Ok(None));
        for (odd, status) in [
            ("Host: a\r\nHost: b", 400),
            ("Content-Length: 1\r\nContent-Length: 1", 400),
            ("Content-Length: +1", 400),
            ("Content-Length: 99999999999999999999999", 413),
            ("Transfer-Encoding: chunked", 501),
        ] {
            assert_eq!(parsed(format!("GET / HTTP/1.1\r\n{odd}\r\n\r\n").as_bytes()), Err(status), "{odd}");
        }
        let many = "X: 1\r\n".repeat(100);
        assert_eq!(parsed(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()), Err(431));
    }
}
