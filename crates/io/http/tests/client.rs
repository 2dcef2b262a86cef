//! The client against servers that do as they should, and against those that do not.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use sx_http::{
    ADD_CHECKPOINT_PATH, ClientAnswer, ClientError, ClientLimits, ClientRequest, Cosigner, CosigningConfig,
    CosigningServer, HttpClient, HttpUrl, NotCosigned, Verb, api_tls, client_tls,
};
use sx_witness::CosignRefused;

/// Serves connections, each by itself, for as long as the test runs.
fn serving(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Answers whatever comes with these bytes.
fn answering(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    serving(move |mut stream| {
        let mut heard = [0; 4096];
        let _ = stream.read(&mut heard);
        let _ = stream.write_all(&bytes);
    })
}

fn limits() -> ClientLimits {
    ClientLimits { connect: Duration::from_secs(20), whole: Duration::from_secs(30), ..ClientLimits::default() }
}

fn post(client: &HttpClient, url: &str, bearer: Option<&str>) -> Result<ClientAnswer, ClientError> {
    let url: HttpUrl = url.parse().expect("a URL");
    client.send(&ClientRequest {
        verb: Verb::Post,
        url: &url,
        media_type: "text/plain",
        headers: &[],
        bearer,
        body: b"body\n",
    })
}

fn plain(address: SocketAddr) -> Result<ClientAnswer, ClientError> {
    post(&HttpClient::new(None, limits()).expect("a client"), &format!("http://{address}/x"), None)
}

#[test]
fn any_status_is_an_answer_and_a_redirection_is_not_followed() {
    let text = "HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 3\r\n\r\n17\n";
    let answer = plain(answering(text)).expect("an answer");
    assert_eq!((answer.status, answer.media_type.as_deref()), (409, Some("text/x.tlog.size")));
    assert_eq!((answer.body.as_slice(), answer.is_success()), (b"17\n".as_slice(), false));
    let elsewhere = "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(plain(answering(elsewhere)).expect("an answer").status, 307);
}

#[test]
fn what_is_too_long_or_no_http_is_an_error() {
    let long = |head: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{}", "x".repeat(200_000));
    assert!(matches!(plain(answering(long("Content-Length: 200000"))), Err(ClientError::TooLong(_))));
    assert!(matches!(plain(answering(long("Connection: close"))), Err(ClientError::TooLong(_))));
    let endless_head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    for bytes in [endless_head.as_str(), "", "220 smtp.example\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"] {
        assert!(matches!(plain(answering(bytes)), Err(ClientError::Answer(_))), "{bytes:.40}");
    }
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_the_time() {
    let silent = serving(|stream| {
        let mut stream = stream;
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let short = ClientLimits { whole: Duration::from_millis(200), ..limits() };
    let client = HttpClient::new(None, short).expect("a client");
    assert!(matches!(post(&client, &format!("http://{silent}/"), None), Err(ClientError::TimedOut)));
}

#[test]
fn whoever_waits_can_be_interrupted() {
    let silent = serving(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let client = HttpClient::new(None, limits()).expect("a client");
    let interrupt = client.interrupt();
    let begun = Instant::now();
    thread::scope(|scope| {
        let asked = scope.spawn(|| post(&client, &format!("http://{silent}/"), None));
        interrupt.interrupt();
        assert!(matches!(asked.join().expect("no panic"), Err(ClientError::Interrupted)));
    });
    assert!(begun.elapsed() < limits().whole);
}

#[test]
fn nobody_there_is_an_error_and_a_token_never_goes_out_in_the_clear() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    assert!(matches!(plain(free), Err(ClientError::Connect { .. })));
    let client = HttpClient::new(None, limits()).expect("a client");
    let heard = serving(|_| panic!("nothing is sent"));
    let refused = post(&client, &format!("http://{heard}/"), Some("secret"));
    assert!(matches!(refused, Err(ClientError::TokenWithoutTls)));
    let client = client.trusting_loopback();
    let refused = post(&client, "http://192.0.2.1/", Some("secret"));
    assert!(matches!(refused, Err(ClientError::TokenWithoutTls)), "beyond this machine it does not either");
}

/// An authority, and a certificate of it for this name.
fn certified(name: &str) -> (String, String, String) {
    let mut params = CertificateParams::new(vec![]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
    (authority, certificate, key.serialize_pem())
}

/// Cosigns what is `good`, and refuses each other thing in its way.
struct Canned;

impl Cosigner for Canned {
    fn add_checkpoint(&self, request: &str) -> Result<String, NotCosigned> {
        match request {
            "body\n" => Ok("— w.example AAAAAA==".to_owned()),
            "size" => Err(CosignRefused::OtherSize { seen: 17 }.into()),
            "root" => Err(CosignRefused::OtherRoot.into()),
            "unknown" => Err(CosignRefused::UnknownLog.into()),
            "unsigned" => Err(CosignRefused::NotSigned.into()),
            "beyond" => Err(CosignRefused::OldBeyondNew.into()),
            "rewritten" => Err(CosignRefused::Inconsistent.into()),
            _ => Err(NotCosigned::Unavailable),
        }
    }
}

fn cosigning(change: impl FnOnce(&mut CosigningConfig)) -> CosigningServer {
    let mut config = CosigningConfig::new("127.0.0.1:0".parse().expect("an address"));
    change(&mut config);
    CosigningServer::start(config, Arc::new(Canned)).expect("a free port")
}

#[test]
fn a_certificate_that_is_not_trusted_or_of_another_name_is_refused() {
    let (authority, certificate, key) = certified("localhost");
    let (other_authority, ..) = certified("localhost");
    let tls = api_tls(certificate.as_bytes(), key.as_bytes(), None).expect("TLS");
    let server = cosigning(|config| config.tls = Some(tls));
    let port = server.local_addr().port();
    let ask = |authority: &str, host: &str| {
        let client = HttpClient::new(Some(client_tls(authority.as_bytes()).expect("TLS")), limits()).expect("a client");
        post(&client, &format!("https://{host}:{port}{ADD_CHECKPOINT_PATH}"), Some("token"))
    };
    assert_eq!(ask(&authority, "localhost").expect("an answer").status, 200);
    assert!(matches!(ask(&other_authority, "localhost"), Err(ClientError::Tls { .. })));
    assert!(matches!(ask(&authority, "127.0.0.1"), Err(ClientError::Tls { .. })));
    let without = HttpClient::new(None, limits()).expect("a client");
    let refused = post(&without, &format!("https://localhost:{port}/"), None);
    assert!(matches!(refused, Err(ClientError::Tls { .. })));
    assert!(client_tls(b"").is_err() && client_tls(key.as_bytes()).is_err());
}

/// The answer to a request as it stands.
fn raw(server: &CosigningServer, text: &str) -> String {
    let mut stream = TcpStream::connect(server.local_addr()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut heard = String::new();
    let _ = stream.read_to_string(&mut heard);
    heard
}

fn request(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn each_refusal_has_its_status_and_a_size_has_its_type() {
    let server = cosigning(|_| ());
    let ask = |body: &str| raw(&server, &request("POST", ADD_CHECKPOINT_PATH, body));
    let good = ask("body\n");
    assert!(good.starts_with("HTTP/1.1 200 ") && good.ends_with("\r\n\r\n— w.example AAAAAA==\n"), "{good}");
    let size = ask("size");
    assert!(size.starts_with("HTTP/1.1 409 ") && size.ends_with("\r\n\r\n17\n"), "{size}");
    assert!(size.contains("content-type: text/x.tlog.size\r\n"), "{size}");
    for (body, status) in
        [("root", 409), ("unknown", 404), ("unsigned", 403), ("beyond", 400), ("rewritten", 422), ("?", 503)]
    {
        let answer = ask(body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {answer}");
        assert!(!answer.contains("text/x.tlog.size"), "{body}: {answer}");
    }
}

#[test]
fn what_is_no_request_to_cosign_is_refused_before_anybody_looks_at_it() {
    let server = cosigning(|config| config.requests_per_minute = 1000);
    let check = |text: &str, status: u16| {
        let answer = raw(&server, text);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{text:.60}: {answer}");
    };
    check(&request("GET", ADD_CHECKPOINT_PATH, ""), 405);
    check(&request("POST", "/witness/other", "body\n"), 404);
    check(&request("POST", "/api/v1/calls", "body\n"), 404);
    check(&request("POST", ADD_CHECKPOINT_PATH, "body\n").replace("Host: x\r\n", ""), 400);
    let announced = request("POST", ADD_CHECKPOINT_PATH, "").replace("Content-Length: 0", "Content-Length: 50000");
    check(&announced, 413);
    let mut bytes = request("POST", ADD_CHECKPOINT_PATH, "xx").into_bytes();
    bytes.truncate(bytes.len() - 2);
    bytes.extend([0xff, 0xfe]);
    let mut stream = TcpStream::connect(server.local_addr()).expect("a connection");
    stream.write_all(&bytes).expect("sent");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("an answer");
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_again() {
    let server = cosigning(|config| config.requests_per_minute = 2);
    let ask = || raw(&server, &request("POST", ADD_CHECKPOINT_PATH, "body\n"));
    assert!(ask().starts_with("HTTP/1.1 200 ") && ask().starts_with("HTTP/1.1 200 "));
    let answer = ask();
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: "), "{answer}");
}
