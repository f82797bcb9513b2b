//! Who may ask: a browser on this machine that knows the secret, for a page that came from here.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::http::{Answer, Connection, Request};

/// Connections at one time; a browser opens six.
const MOST_CONNECTIONS: usize = 64;

/// What is answered to whom may ask.
pub trait Site: Send + Sync + 'static {
    /// `path` is what stands behind the secret.
    fn answer(&self, request: &Request, path: &str) -> Answer;

    /// The answer is on its way.
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
    /// Opens the door once: other users of the machine see what a browser is started with.
    ticket: Mutex<Option<String>>,
}

impl Server {
    /// On a free port that no other machine reaches.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let host = format!("127.0.0.1:{}", listener.local_addr()?.port());
        let gate = Gate { host, secret: secret()?, ticket: Mutex::new(None) };
        Ok(Self { listener, gate: Arc::new(gate) })
    }

    pub fn address(&self) -> String {
        self.gate.address()
    }

    /// An address that leads to the page once.
    pub fn address_for_once(&self) -> io::Result<String> {
        let ticket = secret()?;
        let address = format!("http://{}/{ticket}", self.gate.host);
        *self.gate.ticket() = Some(ticket);
        Ok(address)
    }

    /// Answers until the program ends, each connection in a thread of its own: one that is slow keeps nobody waiting.
    pub fn serve(self, site: Arc<dyn Site>) {
        let open = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for stream in self.listener.incoming().flatten() {
                let (gate, site, open) = (Arc::clone(&self.gate), Arc::clone(&site), Arc::clone(&open));
                if open.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
                    open.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                thread::spawn(move || {
                    // A connection that breaks is the browser's to make anew.
                    let _ = gate.converse(stream, &*site);
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
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
                    connection.answer(&Answer::refused(status, "this request cannot be taken"), false)?;
                    connection.end();
                    return Ok(());
                }
            };
            match self.admits(&request) {
                Ok(path) => {
                    connection.answer(&site.answer(&request, path), request.stays)?;
                    site.answered(&request, path);
                }
                Err(refused) => connection.answer(&refused, request.stays)?,
            }
            if !request.stays {
                connection.end();
                return Ok(());
            }
        }
    }

    /// What is asked for behind the secret, where this browser may ask.
    fn admits<'a>(&self, request: &'a Request) -> Result<&'a str, Answer> {
        let forbidden = |why| Err(Answer::refused(403, why));
        // A name of another machine that was made to mean this one comes along as the host.
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
            return Err(Answer::elsewhere(self.address()));
        }
        forbidden("the secret is missing: open the address that albumctl printed")
    }
}

/// In the same time wherever the first difference lies.
fn is_same(told: &str, secret: &str) -> bool {
    let differences = told.bytes().zip(secret.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    told.len() == secret.len() && differences == 0
}

fn secret() -> io::Result<String> {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
