//! The same within TLS, with and without certificates of clients.

use crate::exchange::{Answer, started_with};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use sx_http::{ApiServer, ApiTlsError, api_tls};

/// An authority, and somebody whose certificate it has signed.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

fn client(authority: &Authority, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(chain, key).expect("a certificate and its key")
        }
    })
}

fn served(authority: &Authority, clients: Option<&Authority>) -> ApiServer {
    let identity = authority.sign("localhost");
    let clients = clients.map(|clients| clients.pem.as_bytes());
    let tls = api_tls(identity.certificate.as_bytes(), identity.key.as_bytes(), clients).expect("TLS");
    started_with(|config| config.tls = Some(tls)).0
}

/// What comes back within TLS, or why nothing does.
fn ask(address: SocketAddr, config: &Arc<ClientConfig>, text: &str) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let name = "localhost".try_into().expect("a name");
    let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(tls, stream);
    stream.write_all(text.as_bytes())?;
    let mut heard = String::new();
    // An end without TLS's own is an error here, so that what was heard is whole.
    stream.read_to_string(&mut heard)?;
    Ok(Answer::parse(&heard))
}

fn get(path: &str) -> String {
    format!("GET /api/v1{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sxt_viewer\r\n\r\n")
}

#[test]
fn a_request_within_tls_is_answered_whole_however_long_the_answer() {
    let authority = Authority::new();
    let server = served(&authority, None);
    let config = client(&authority, None);
    assert_eq!(ask(server.local_addr(), &config, &get("/version")).expect("an answer").status, 200);
    let answer = ask(server.local_addr(), &config, &get("/trunks")).expect("an answer");
    assert_eq!(answer.json()["is"].as_str().expect("a text").len(), 600_000);

    let facts = "x".repeat(60_000);
    let body = format!(r#"{{"facts":{{"a":"{facts}"}}}}"#);
    let head = get("/policy/explain").replace("GET", "POST").replace("\r\n\r\n", "");
    let text = format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(ask(server.local_addr(), &config, &text).expect("an answer").status, 200);
}

#[test]
fn who_must_show_a_certificate_shows_one_of_the_right_authority() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let server = served(&authority, Some(&clients));
    let good = client(&authority, Some(&clients.sign("anna")));
    assert_eq!(ask(server.local_addr(), &good, &get("/version")).expect("an answer").status, 200);
    for identity in [None, Some(others.sign("anna"))] {
        let bad = client(&authority, identity.as_ref());
        let error = ask(server.local_addr(), &bad, &get("/version")).expect_err("no certificate that counts");
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    }
    // The certificate does not stand for a token.
    let text = get("/version").replace("sxt_viewer", "sxt_unknown");
    ask(server.local_addr(), &good, &text).expect("an answer").is_problem(401, "invalid-token");
}

#[test]
fn what_is_not_tls_is_closed_and_harms_nobody() {
    let authority = Authority::new();
    let server = served(&authority, None);
    for bytes in [get("/version").into_bytes(), vec![0; 5000], b"\x16\x03\x01\xff\xff".repeat(4000)] {
        let mut stream = TcpStream::connect(server.local_addr()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let _ = stream.write_all(&bytes);
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert!(!heard.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&heard));
    }
    let config = client(&authority, None);
    assert_eq!(ask(server.local_addr(), &config, &get("/version")).expect("an answer").status, 200);
}

#[test]
fn files_that_do_not_belong_together_are_said_so() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("localhost"), authority.sign("localhost"));
    let tls = |certificate: &str, key: &str, clients: Option<&str>| {
        api_tls(certificate.as_bytes(), key.as_bytes(), clients.map(str::as_bytes)).map(|_| ())
    };
    assert!(tls(&one.certificate, &one.key, Some(&authority.pem)).is_ok());
    assert!(matches!(tls(&one.certificate, &other.key, None), Err(ApiTlsError::Key { .. })));
    assert!(matches!(tls(&one.key, &one.key, None), Err(ApiTlsError::Certificate { .. })));
    assert!(matches!(tls(&one.certificate, "", None), Err(ApiTlsError::Key { .. })));
    assert!(matches!(tls(&one.certificate, &one.key, Some("")), Err(ApiTlsError::ClientAuthority { .. })));
}
