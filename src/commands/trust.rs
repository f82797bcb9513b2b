//! Authentication between nodes and clients of a cluster: a token and certificates. Every build has the options.

use std::path::PathBuf;

#[cfg(feature = "distributed")]
use {
    crate::context::Context,
    crate::error::CommandError,
    base::reading,
    scale::distributed::trust::{Token, Trust},
    std::net::IpAddr,
    std::path::Path,
};

#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// The file with the token that all nodes and clients of a cluster share: 32 characters or more, such as `openssl rand
    /// -hex 32` makes
    #[arg(long, value_name = "FILE", env = "ALBUMCTL_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// Use no token or TLS with other machines: anyone who can reach a node can make it read and write files
    #[arg(long)]
    insecure: bool,
}

/// The options of processes that connect to nodes.
#[derive(Debug, clap::Args)]
pub struct AuthorityArgs {
    /// Connect over TLS, trusting nodes with certificates of these authorities, in PEM
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// The name that certificates of nodes must have; by default the host
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    tls_server_name: Option<String>,
}

/// The options of processes that accept connections.
#[derive(Debug, clap::Args)]
pub struct CertificateArgs {
    /// Listen over TLS, with this certificate chain, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Whether an address is reachable from this machine only.
#[cfg(feature = "distributed")]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Builds the trust settings of this run. `reached` are the options that name hosts; if one is not on this machine, a token
/// and certificates are required, or `--insecure`.
#[cfg(feature = "distributed")]
pub fn trust(
    reached: &[(&str, &str)],
    token: &TokenArgs,
    calls: Option<&AuthorityArgs>,
    listens: Option<&CertificateArgs>,
    context: &Context,
) -> Result<Trust, CommandError> {
    let certificate = listens.and_then(|args| Some((args.tls_cert.as_ref()?, args.tls_key.as_ref()?)));
    let authorities = calls.and_then(|args| args.tls_ca.as_ref());
    if let Some((option, host)) = reached.iter().find(|(_, host)| !is_loopback(host)) {
        let needed = [
            (token.token_file.is_none(), "--token-file FILE"),
            (listens.is_some() && certificate.is_none(), "--tls-cert FILE --tls-key FILE"),
            (calls.is_some() && authorities.is_none(), "--tls-ca FILE"),
        ];
        let missing: Vec<&str> = needed.iter().filter(|(missing, _)| *missing).map(|(_, option)| *option).collect();
        if !missing.is_empty() && !token.insecure {
            let refused = anyhow::anyhow!(
                "{option} {host} is no address of this machine alone, and whoever speaks to a node can have it read and \
                 write files: it takes {}",
                missing.join(" and ")
            );
            return Err(CommandError::usage(refused).hint(
                "`openssl rand -hex 32 > token` makes a token, docs/scale.md tells how certificates are made; or --insecure, in \
                 a network where every machine is trusted",
            ));
        }
        if !missing.is_empty() {
            context.ui.warn(&format!("--insecure: {option} {host} is used without {}", missing.join(" and ")));
        }
    }
    if let (Some(_), Some(_)) = (calls, listens)
        && certificate.is_some() != authorities.is_some()
    {
        let half =
            anyhow::anyhow!("executors call and are called by TLS, or neither: --tls-cert, --tls-key and --tls-ca");
        return Err(CommandError::usage(half));
    }
    let mut trust = Trust::default();
    if let Some(path) = &token.token_file {
        let parsed = Token::new(&read("--token-file", path)?);
        trust = trust.with_token(Some(parsed.map_err(|cause| refused("--token-file", path, &cause))?));
        warn_of_readers(path, context);
    }
    if let Some((path, key)) = certificate {
        let (pem, key) = (read("--tls-cert", path)?, read("--tls-key", key)?);
        trust = trust.with_certificate(&pem, &key).map_err(|cause| refused("--tls-cert", path, &cause))?;
    }
    if let Some(path) = authorities {
        let (pem, name) = (read("--tls-ca", path)?, calls.and_then(|args| args.tls_server_name.as_deref()));
        trust = trust.with_authorities(&pem, name).map_err(|cause| refused("--tls-ca", path, &cause))?;
    }
    Ok(trust)
}

#[cfg(feature = "distributed")]
fn read(option: &str, path: &Path) -> Result<Vec<u8>, CommandError> {
    reading::read(path, reading::TEXT).map_err(|error| refused(option, path, &error.to_string()))
}

#[cfg(feature = "distributed")]
fn refused(option: &str, path: &Path, cause: &str) -> CommandError {
    CommandError::usage(anyhow::anyhow!("{option} {}: {cause}", path.display()))
}

#[cfg(feature = "distributed")]
fn warn_of_readers(path: &Path, context: &Context) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0) {
            context
                .ui
                .warn(&format!("{0}: every user of this machine can read the token; chmod 600 {0}", path.display()));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, context);
}

#[cfg(all(test, feature = "distributed"))]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_addresses_of_this_machine_alone_are_loopback() {
        for own in ["127.0.0.1", "127.9.8.7", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "LOCALHOST"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["0.0.0.0", "::", "[::]", "10.0.0.1", "localhost.example", "127.0.0.1.example", "scheduler", ""] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
