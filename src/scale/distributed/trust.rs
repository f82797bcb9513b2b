//! The members of a cluster: everyone with its token, over TLS if there are certificates.
//!
//! The token itself is never sent. Each request carries its hash as the client's name, the only header that the engine lets
//! us set for all of its clients, including those between executors.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::extension::SessionConfigExt as _;
use ballista_core::utils::{GrpcClientConfig, GrpcServerConfig, create_grpc_client_endpoint, create_grpc_server};
use datafusion::prelude::SessionConfig;
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use tonic::{Request, Status};

use super::settings;

/// Minimum length of a token, that of 128 bits in hexadecimal digits.
pub const SHORTEST_TOKEN: usize = 32;

const HANDSHAKE: Duration = Duration::from_secs(10);
const CLIENT: &str = "albumctl-token=";

/// The hash of a token; comparisons take constant time.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(blake3::Hash);

impl Token {
    /// Hashes a token; surrounding white space is ignored.
    pub fn new(text: &[u8]) -> Result<Self, String> {
        let text = text.trim_ascii();
        if text.len() < SHORTEST_TOKEN {
            return Err(format!("a token has at least {SHORTEST_TOKEN} characters, and this one {}", text.len()));
        }
        Ok(Self(blake3::Hash::from_bytes(blake3::derive_key("albumctl: proof that a node knows the token", text))))
    }

    fn client(&self) -> String {
        format!("{CLIENT}{}", self.0.to_hex())
    }

    fn of_client(name: &str) -> Option<Self> {
        let hex = name.strip_prefix(CLIENT)?.split(' ').next()?;
        blake3::Hash::from_hex(hex).ok().map(Self)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// The credentials of a node or client, and the authorities that it trusts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    token: Option<Token>,
    listens: Option<ServerTlsConfig>,
    calls: Option<ClientTlsConfig>,
}

impl Trust {
    #[must_use]
    pub fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    /// Listens over TLS, with a certificate and its key in PEM.
    pub fn with_certificate(self, certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key)).timeout(HANDSHAKE);
        Server::builder().tls_config(tls.clone()).map_err(|error| whole(&error))?;
        Ok(Self { listens: Some(tls), ..self })
    }

    /// Connects over TLS only, and trusts certificates of these authorities for the host, or for `name`.
    pub fn with_authorities(self, authorities: &[u8], name: Option<&str>) -> Result<Self, String> {
        if !authorities.windows(PEM.len()).any(|window| window == PEM) {
            return Err("no certificate in it".into());
        }
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities)).timeout(HANDSHAKE);
        if let Some(name) = name {
            tls = tls.domain_name(name);
        }
        let example = Endpoint::from_static("https://localhost").tls_config(tls.clone());
        example.map_err(|error| whole(&error))?;
        Ok(Self { calls: Some(tls), ..self })
    }

    /// A server, to which services are added behind [`Self::gate`].
    pub(super) fn server(&self) -> Result<Server, String> {
        let server = create_grpc_server(&GrpcServerConfig::default());
        let Some(tls) = &self.listens else { return Ok(server) };
        server.tls_config(tls.clone()).map_err(|error| whole(&error))
    }

    pub(super) fn gate(&self) -> Gate {
        Gate(self.token.clone())
    }

    /// The shared settings, with which the engine's own clients connect as [`Self::connect`] does.
    pub(super) fn settings(&self) -> SessionConfig {
        let trust = self.clone();
        settings()
            .with_ballista_use_tls(self.calls.is_some() || self.listens.is_some())
            .with_ballista_override_create_grpc_client_endpoint(Arc::new(move |endpoint| Ok(trust.shown(endpoint)?)))
    }

    /// Connects to a scheduler at `HOST:PORT`.
    pub(super) async fn connect(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        let config = GrpcClientConfig::from(&settings().ballista_config());
        let scheme = if self.calls.is_some() { "https" } else { "http" };
        let endpoint = create_grpc_client_endpoint(format!("{scheme}://{address}"), Some(&config))?;
        self.shown(endpoint)?.connect().await
    }

    /// Adds the credentials to a connection.
    fn shown(&self, endpoint: Endpoint) -> Result<Endpoint, tonic::transport::Error> {
        let endpoint = match &self.token {
            Some(token) => endpoint.user_agent(token.client())?,
            None => endpoint,
        };
        match &self.calls {
            Some(tls) => endpoint.tls_config(tls.clone()),
            None => Ok(endpoint),
        }
    }
}

const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// An interceptor that requires the token, if there is one.
#[derive(Debug, Clone)]
pub struct Gate(Option<Token>);

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.0 else { return Ok(request) };
        let name = request.metadata().get("user-agent").and_then(|name| name.to_str().ok()).unwrap_or_default();
        match Token::of_client(name) {
            Some(shown) if shown == *token => Ok(request),
            Some(_) => Err(Status::unauthenticated("another token than this node's: --token-file FILE")),
            None => Err(Status::unauthenticated("this node asks for a token: --token-file FILE")),
        }
    }
}

/// An error with its causes.
pub(super) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(source) = below {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_token_is_long_and_neither_travels_nor_shows() {
        let text = "0123456789abcdef0123456789abcdef";
        for short in ["", "  \n", &text[1..]] {
            assert!(Token::new(short.as_bytes()).unwrap_err().contains("at least 32 characters"));
        }
        let token = token(text);
        assert!(token == self::token(&format!("\n {text}\r\n")));
        assert!(!token.client().contains(text) && !format!("{token:?}").contains(text));
        assert!(!format!("{:?}", Trust::default().with_token(Some(token.clone()))).contains(&token.client()[20..]));
    }

    #[test]
    fn the_gate_lets_the_token_pass_and_nothing_else() {
        let right = token("0123456789abcdef0123456789abcdef");
        let asks = |gate: &Option<Token>, name: Option<String>| {
            let mut request = Request::new(());
            name.map(|name| request.metadata_mut().insert("user-agent", name.parse().unwrap()));
            Gate(gate.clone()).call(request).map(drop).map_err(|status| status.code())
        };
        let gate = Some(right.clone());
        let hex = right.client();
        assert_eq!(asks(&gate, Some(format!("{hex} tonic/0.14"))), Ok(()));
        let wrong = token("0123456789abcdef0123456789abcdeF").client();
        for name in
            [None, Some("tonic/0.14".into()), Some(wrong), Some(hex[..hex.len() - 1].into()), Some(CLIENT.into())]
        {
            assert_eq!(asks(&gate, name.clone()), Err(tonic::Code::Unauthenticated), "{name:?}");
        }
        assert_eq!(asks(&None, None), Ok(()));
    }

    #[test]
    fn files_that_hold_no_certificate_are_refused() {
        assert!(Trust::default().with_authorities(b"nothing", None).unwrap_err().contains("no certificate"));
        Trust::default().with_certificate(b"nothing", b"nothing").unwrap_err();
    }
}
