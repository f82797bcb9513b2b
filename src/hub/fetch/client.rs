//! An HTTP client: GET with redirects, through the user's proxy, with timeouts.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use ureq::http::{HeaderMap, HeaderName, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

use super::address::Address;
use super::patience::retry_after;
use super::{NetworkSettings, PullError, Settings, SourceError};
use base::reading;

const REDIRECTS: usize = 10;

#[derive(Debug)]
pub struct Client {
    network: NetworkSettings,
    settings: Settings,
    roots: RootCerts,
    /// Agents by proxy; the empty name stands for no proxy.
    agents: Mutex<HashMap<String, Agent>>,
    first_asked: OnceLock<Instant>,
    /// Whether any server has answered yet.
    answered: AtomicBool,
}

/// The failure of a request, by whether retrying may help.
#[derive(Debug)]
pub enum Trouble {
    Again {
        cause: SourceError,
        wait: Option<Duration>,
    },
    Never(SourceError),
    /// Not specific to this source.
    Fatal(PullError),
}

impl From<SourceError> for Trouble {
    fn from(cause: SourceError) -> Self {
        Self::Never(cause)
    }
}

impl From<crate::cache::CacheError> for Trouble {
    fn from(error: crate::cache::CacheError) -> Self {
        Self::Fatal(error.into())
    }
}

#[derive(Debug, Default)]
pub struct Request<'a> {
    pub address: &'a str,
    pub range: Option<String>,
    pub if_range: Option<&'a str>,
    pub accept: Option<&'a str>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: HeaderMap,
    /// The address after redirects.
    pub address: Address,
    body: Body,
}

/// Maximum bytes of a certificate file; system bundles have about 200 kB.
const CERTIFICATES: u64 = 16 << 20;

impl Client {
    pub fn new(network: NetworkSettings, settings: Settings) -> io::Result<Self> {
        let roots = match &network.certificates {
            Some(file) => {
                let named = |error| io::Error::other(format!("{}: {error}", file.display()));
                let pem = reading::read(file, CERTIFICATES).map_err(named)?;
                let certificates = parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                let certificates: Vec<_> = certificates.collect();
                if certificates.is_empty() {
                    return Err(named(io::Error::other("no certificate in it that can be read")));
                }
                RootCerts::from(certificates)
            }
            None => RootCerts::WebPki,
        };
        let (agents, first_asked, answered) = Default::default();
        Ok(Self { network, settings, roots, agents, first_asked, answered })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn network(&self) -> &NetworkSettings {
        &self.network
    }

    /// Closes all connections, also those that other threads wait on.
    pub(super) fn hang_up(&self) {
        let agents = std::mem::take(&mut *self.agents.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for agent in agents.into_values() {
            agent.shutdown();
        }
    }

    pub(super) fn get(&self, request: &Request<'_>) -> Result<Response, Trouble> {
        if self.settings.offline {
            let name = crate::sources::without_secrets(request.address);
            return Err(Trouble::Fatal(PullError::Offline { name }));
        }
        self.expect_network()?;
        let mut address = Address::parse(request.address)?;
        let mut seen = vec![address.request()];
        loop {
            let response = self.ask(&address, request)?;
            let status = response.status().as_u16();
            let Some(link) = location(&response).filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
                let (parts, body) = response.into_parts();
                return judged(Response { status, headers: parts.headers, address, body });
            };
            let next = address.join(&link)?;
            if address.scheme == "https" && next.scheme == "http" {
                return Err(SourceError::Redirect("from https to http, which is refused".into()).into());
            }
            address = next;
            if seen.contains(&address.request()) {
                return Err(SourceError::Redirect(format!("in a circle at {}", address.request())).into());
            }
            seen.push(address.request());
            if seen.len() > REDIRECTS {
                return Err(SourceError::Redirect(format!("more than {REDIRECTS} times")).into());
            }
        }
    }

    /// After one connection timed out, those of other files and sources fail at once.
    pub(super) fn expect_network(&self) -> Result<(), Trouble> {
        if self.waited_in_vain(self.settings.connect_timeout) { Err(SourceError::NoNetwork.into()) } else { Ok(()) }
    }

    fn ask(&self, address: &Address, request: &Request<'_>) -> Result<ureq::http::Response<Body>, Trouble> {
        let mut sent = self.agent(address)?.get(address.request());
        if let Some(range) = &request.range {
            sent = sent.header(header::RANGE, range);
        }
        if let Some(etag) = request.if_range {
            sent = sent.header(header::IF_RANGE, etag);
        }
        if let Some(user) = &address.user {
            let user = super::address::unescaped(user);
            let secret = base64::engine::general_purpose::STANDARD.encode(user);
            sent = sent.header(header::AUTHORIZATION, format!("Basic {secret}"));
        }
        sent = sent.header(header::ACCEPT, request.accept.unwrap_or("*/*"));
        // Ranges and sizes must refer to the file itself.
        sent = sent.header(header::ACCEPT_ENCODING, "identity");
        self.first_asked.get_or_init(Instant::now);
        match sent.call() {
            Ok(response) => {
                self.answered.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(error) => match self.trouble(error) {
                Trouble::Again { cause, .. } if self.waited_in_vain(self.settings.no_answer) => Err(cause.into()),
                trouble => Err(trouble),
            },
        }
    }

    fn waited_in_vain(&self, for_long: Duration) -> bool {
        let waited = self.first_asked.get().is_some_and(|since| since.elapsed() >= for_long);
        waited && !self.answered.load(Ordering::Relaxed)
    }

    fn agent(&self, address: &Address) -> Result<Agent, Trouble> {
        let proxy = self.network.proxy_for(&address.scheme, address.host()).unwrap_or_default();
        let mut agents = self.agents.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(agent) = agents.get(proxy) {
            return Ok(agent.clone());
        }
        let connects = if proxy.is_empty() { None } else { Some(Proxy::new(proxy).map_err(|_| no_proxy(proxy))?) };
        let settings = &self.settings;
        let config = Agent::config_builder()
            .proxy(connects)
            .tls_config(TlsConfig::builder().root_certs(self.roots.clone()).build())
            .user_agent(concat!("albumctl/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(settings.connect_timeout))
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_per_read(Some(settings.stall_timeout))
            .timeout_per_write(Some(settings.stall_timeout))
            .timeout_recv_response(Some(settings.stall_timeout * 2))
            .input_buffer_size(1 << 18)
            .build();
        let agent = Agent::new_with_config(config);
        agents.insert(proxy.to_owned(), agent.clone());
        Ok(agent)
    }

    fn trouble(&self, error: ureq::Error) -> Trouble {
        use ureq::Error as E;
        let text = error.to_string();
        let cause = match error {
            E::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                SourceError::Connection(format!("no connection in {} s", self.settings.connect_timeout.as_secs_f32()))
            }
            E::Timeout(_) => SourceError::Stalled(self.settings.stall_timeout),
            E::Io(error) => return self.broken(&error),
            E::BadUri(_) | E::Http(_) => return SourceError::Address(text).into(),
            E::Rustls(_) | E::Tls(_) if text.contains("certificate") => return SourceError::NotTrusted(text).into(),
            E::Tls(_) | E::Rustls(_) | E::Pem(_) | E::LargeResponseHeader(..) => {
                return SourceError::Connection(text).into();
            }
            _ => SourceError::Connection(text),
        };
        Trouble::Again { cause, wait: None }
    }

    /// Classifies an error while reading the body.
    pub(super) fn broken(&self, error: &io::Error) -> Trouble {
        // A TLS refusal is permanent.
        if error.kind() == io::ErrorKind::InvalidData && error.to_string().contains("certificate") {
            return SourceError::NotTrusted(error.to_string()).into();
        }
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        let silent = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
            || matches!(inner, Some(ureq::Error::Timeout(_)));
        let cause = if silent {
            SourceError::Stalled(self.settings.stall_timeout)
        } else {
            SourceError::Connection(error.to_string())
        };
        Trouble::Again { cause, wait: None }
    }
}

impl Response {
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    pub fn content_length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH)?.parse().ok()
    }

    /// Parses first byte, last byte and total of `Content-Range: bytes 5-9/10`.
    pub fn content_range(&self) -> Option<(u64, u64, Option<u64>)> {
        let (range, total) = self.header(header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.trim().split_once('-')?;
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?, total.trim().parse().ok()))
    }

    pub fn into_reader(self) -> impl Read {
        self.body.into_with_config().limit(u64::MAX).reader()
    }
}

/// Fetches a text of bounded length, for manifests and package indexes.
pub fn read_text(client: &Client, address: &str, max_bytes: u64) -> Result<String, SourceError> {
    let mut patience = super::patience::Patience::new(&client.settings);
    loop {
        let request = Request { address, ..Request::default() };
        let text = client.get(&request).and_then(|response| response.text(client, max_bytes));
        let (cause, wait) = match text {
            Ok(text) => return Ok(text),
            Err(Trouble::Never(cause)) => return Err(cause),
            Err(Trouble::Fatal(error)) => return Err(SourceError::Connection(error.to_string())),
            Err(Trouble::Again { cause, wait }) => (cause, wait),
        };
        match patience.after_failure(wait) {
            Some(pause) => std::thread::sleep(pause),
            None => return Err(SourceError::GivenUp { attempts: patience.failures(), last: Box::new(cause) }),
        }
    }
}

impl Response {
    pub fn text(self, client: &Client, max_bytes: u64) -> Result<String, Trouble> {
        let mut bytes = Vec::new();
        self.into_reader().take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| client.broken(&error))?;
        if bytes.len() as u64 > max_bytes {
            return Err(SourceError::Size { expected: max_bytes, found: bytes.len() as u64 }.into());
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Accepts only responses that carry the file; an error page is never taken for it.
fn judged(response: Response) -> Result<Response, Trouble> {
    let status = response.status;
    match status {
        200 | 206 | 416 => Ok(response),
        408 | 425 | 429 | 500 | 502 | 503 | 504 => {
            let wait = response.header(header::RETRY_AFTER).and_then(|value| retry_after(value, SystemTime::now()));
            Err(Trouble::Again { cause: SourceError::Status { status }, wait })
        }
        _ => Err(SourceError::Status { status }.into()),
    }
}

fn location(response: &ureq::http::Response<Body>) -> Option<String> {
    Some(response.headers().get(header::LOCATION)?.to_str().ok()?.to_owned())
}

fn no_proxy(proxy: &str) -> SourceError {
    SourceError::Connection(format!("`{}` is no proxy", crate::sources::without_secrets(proxy)))
}
