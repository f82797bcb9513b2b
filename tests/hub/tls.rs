//! A server that speaks TLS, with certificates of an authority that nobody but the user knows.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use hub::fetch::{Client, NetworkSettings, Settings, SourceError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::certificates;
use crate::place::{Place, noise, source_error, wanted};
use crate::server::Served;
use crate::world::skipped;

/// Speaks TLS for a server that does not. Hangs up without a word where the other one does.
fn in_front_of(upstream: SocketAddr, folder: &Path) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let speaks = ServerConnection::new(config).unwrap();
                let _ = pass_on(StreamOwned::new(speaks, connection), upstream);
            });
        }
    });
    address
}

fn pass_on(mut tls: StreamOwned<ServerConnection, TcpStream>, upstream: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut onward = TcpStream::connect(upstream)?;
    onward.write_all(&head)?;
    onward.shutdown(Shutdown::Write)?;
    let mut piece = vec![0; 1 << 16];
    loop {
        match onward.read(&mut piece)? {
            0 => break,
            count => tls.write_all(&piece[..count])?,
        }
    }
    tls.flush()?;
    tls.sock.shutdown(Shutdown::Both)
}

/// A place whose server is also to be had by TLS.
fn place(names: &str) -> Option<(Place, SocketAddr)> {
    let place = Place::new();
    if certificates(place.folder.path(), "server", names).is_none() {
        skipped("there is no openssl to make certificates with");
        return None;
    }
    let address = in_front_of(place.server.address, place.folder.path());
    Some((place, address))
}

fn trusting(mut place: Place) -> Place {
    let authority = place.folder.path().join("ca.pem").display().to_string();
    place.environment.push(("SSL_CERT_FILE".into(), authority));
    place
}

#[test]
fn an_authority_of_the_users_own_is_trusted_when_named() {
    let Some((place, address)) = place("IP:127.0.0.1,DNS:localhost") else { return };
    let bytes = noise(200_000, 40);
    place.server.serve("/a", Served { cut_after: Some(150_000), ..Served::file(&bytes) });
    let url = format!("https://{address}/a");
    // Unknown to the built-in ones: refused at once, with the way out.
    let error = source_error(place.pull(&wanted(&bytes, &[&url])));
    assert!(matches!(&error, SourceError::NotTrusted(_)), "{error}");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
    assert_eq!((place.server.log().len(), place.retries()), (0, 0), "nothing was asked, nothing tried again");
    let place = trusting(place);
    let pulled = place.pull(&wanted(&bytes, &[&url])).unwrap();
    place.assert_is_there(&bytes);
    assert_eq!((pulled.transferred, place.server.log().len()), (200_000, 2), "cut, and gone on");
    // By name, and through a proxy that only sees where it goes.
    let other = noise(1000, 41);
    place.server.serve("/b", Served::file(&other));
    let proxy = crate::server::Server::start();
    let mut place = place;
    place.environment.push(("https_proxy".into(), format!("http://{}", proxy.address)));
    place.pull(&wanted(&other, &[&format!("https://localhost:{}/b", address.port())])).unwrap();
    assert_eq!(proxy.log()[0].path, format!("CONNECT localhost:{}", address.port()));
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let Some((place, address)) = place("DNS:elsewhere.example") else { return };
    let (place, bytes) = (trusting(place), noise(1000, 42));
    place.server.serve("/a", Served::file(&bytes));
    let error = source_error(place.pull(&wanted(&bytes, &[&format!("https://{address}/a")])));
    assert!(matches!(error, SourceError::NotTrusted(_)), "{error}");
    assert_eq!(place.server.log().len(), 0);
}

#[test]
fn a_secure_address_never_leads_to_one_that_is_not() {
    let Some((place, address)) = place("IP:127.0.0.1") else { return };
    let (place, bytes) = (trusting(place), noise(1000, 43));
    let plain = place.server.serve("/plain", Served::file(&bytes));
    place.server.serve("/a", Served { redirect: Some(plain), ..Served::default() });
    let error = source_error(place.pull(&wanted(&bytes, &[&format!("https://{address}/a")]))).to_string();
    assert!(error.contains("from https to http"), "{error}");
    assert_eq!(place.server.log().len(), 1, "the plain address was not asked");
}

#[test]
fn a_file_of_certificates_without_any_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let with = |file: &Path| {
        let network = NetworkSettings::from_environment([("SSL_CERT_FILE".into(), file.into())]);
        Client::new(network, Settings::default()).unwrap_err().to_string()
    };
    assert!(with(&folder.path().join("none.pem")).contains("none.pem"));
    fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    let error = with(&folder.path().join("empty.pem"));
    assert!(error.contains("empty.pem: no certificate in it"), "{error}");
}
