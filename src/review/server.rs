//! Access control: only a browser on this machine that knows the secret, for a page from this server, gets an answer.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::http::{Connection, Request, Response};

/// Maximum simultaneous connections; a browser opens six.
const MAX_CONNECTIONS: usize = 64;

/// The answers to admitted requests.
pub trait Site: Send + Sync + 'static {
    /// Answers a request; `path` is the target after the secret.
    fn respond(&self, request: &Request, path: &str) -> Response;

    /// Called after the answer was sent.
    fn answered(&self, request: &Request, path: &str);
}

#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    /// `127.0.0.1` and the port.
    host: String,
    secret: String,
    /// A secret that works once, because other users of the machine can see a browser's arguments.
    ticket: Mutex<Option<String>>,
}

impl Server {
    /// Listens on a free port of the loopback address.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let host = format!("127.0.0.1:{}", listener.local_addr()?.port());
        let gate = Gate { host, secret: secret()?, ticket: Mutex::new(None) };
        Ok(Self { listener, gate: Arc::new(gate) })
    }

    pub fn address(&self) -> String {
        self.gate.address()
    }

    /// Returns an address that works once.
    pub fn address_for_once(&self) -> io::Result<String> {
        let ticket = secret()?;
        let address = format!("http://{}/{ticket}", self.gate.host);
        *self.gate.ticket() = Some(ticket);
        Ok(address)
    }

    /// Answers until the program ends. Each connection has its own thread, so that a slow one delays no other.
    pub fn serve(self, site: Arc<dyn Site>) -> io::Result<()> {
        let open = Arc::new(AtomicUsize::new(0));
        let accept = move || {
            for stream in self.listener.incoming().flatten() {
                let (gate, site, open) = (Arc::clone(&self.gate), Arc::clone(&site), Arc::clone(&open));
                if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
                    open.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let counted = Arc::clone(&open);
                let converse = move || {
                    // The browser reconnects after a broken connection.
                    let _ = gate.converse(stream, &*site);
                    counted.fetch_sub(1, Ordering::Relaxed);
                };
                // Without a thread to be had this connection is closed, and the next one is tried.
                if thread::Builder::new().spawn(converse).is_err() {
                    open.fetch_sub(1, Ordering::Relaxed);
                }
            }
        };
        thread::Builder::new().spawn(accept).map(drop)
    }
}

impl Gate {
    fn address(&self) -> String {
        format!("http://{}/{}/", self.host, self.secret)
    }

    fn ticket(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn converse(&self, stream: TcpStream, site: &dyn Site) -> io::Result<()> {
        let mut connection = Connection::new(stream)?;
        loop {
            let request = match connection.request() {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(()),
                Err(status) => {
                    connection.respond(&Response::refused(status, "this request cannot be taken"), false)?;
                    connection.end();
                    return Ok(());
                }
            };
            match self.admits(&request) {
                Ok(path) => {
                    connection.respond(&site.respond(&request, path), request.keep_alive)?;
                    site.answered(&request, path);
                }
                Err(refused) => connection.respond(&refused, request.keep_alive)?,
            }
            if !request.keep_alive {
                connection.end();
                return Ok(());
            }
        }
    }

    /// Returns the path after the secret, or a refusal.
    fn admits<'a>(&self, request: &'a Request) -> Result<&'a str, Response> {
        let forbidden = |why| Err(Response::refused(403, why));
        // DNS rebinding: a foreign name that resolves to this machine arrives as the host.
        if request.host.as_deref() != Some(self.host.as_str()) {
            return forbidden("this is not the address that albumctl printed");
        }
        let own = |origin: &String| origin.strip_prefix("http://") == Some(self.host.as_str());
        let changes = request.method != "GET";
        if !request.origin.as_ref().map_or(!changes, own) {
            return forbidden("a page of another address may not ask");
        }
        if !matches!(request.fetch_site.as_deref(), None | Some("same-origin" | "none")) {
            return forbidden("a page of another address may not ask");
        }
        let target = request.target.strip_prefix('/').unwrap_or_default();
        let (first, path) = target.split_once('/').unwrap_or((target, ""));
        if is_same(first, &self.secret) {
            return Ok(path);
        }
        let mut ticket = self.ticket();
        if ticket.as_ref().is_some_and(|ticket| is_same(first, ticket)) {
            *ticket = None;
            return Err(Response::elsewhere(self.address()));
        }
        forbidden("the secret is missing: open the address that albumctl printed")
    }
}

/// Compares in constant time.
fn is_same(given: &str, secret: &str) -> bool {
    let differences = given.bytes().zip(secret.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == secret.len() && differences == 0
}

fn secret() -> io::Result<String> {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
