//! A whole exchange on the loopback interface: what is asked of it through its own doors.

use super::Exchange;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use sx_config::Config;

/// Two workers, so that what is counted by each is told from what there is.
fn config(data: &Path, more: &str) -> Config {
    let text = format!(
        "[exchange]\ndata = {data:?}\nworkers = 2\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [{{ transport = \"udp\", address = \"127.0.0.1:0\" }}]\n{more}"
    );
    Config::from_text_with_env(&text, Vec::new()).expect("a good configuration")
}

/// The value of a metric without labels.
fn metric(exchange: &Exchange, name: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(exchange.http_address()).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.trim().parse().expect("a number"))
}

#[test]
fn a_trunk_is_counted_once_however_many_workers_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let trunk = |name: &str| {
        format!("[[trunk]]\nname = \"{name}\"\naddresses = [\"sip:192.0.2.10\"]\noptions_interval_s = 0\n")
    };
    let config = config(folder.path(), &(trunk("west") + &trunk("east") + &trunk("south")));
    let exchange = Exchange::start(config).expect("starts");
    assert_eq!(metric(&exchange, "strowger_trunks_healthy"), Some(3));
    exchange.stop();
}

#[test]
fn the_expiry_of_the_certificate_is_that_of_the_one_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let with_certificate = |year| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("certificate.pem"), certificate.pem()).expect("a file");
        std::fs::write(path("key.pem"), key.serialize_pem()).expect("a file");
        // The authorities of the system may be missing where this runs.
        let paths = ["certificate", "key", "trust"].map(|key| {
            let file = path(if key == "key" { "key.pem" } else { "certificate.pem" });
            if key == "trust" { format!("trust = [{file:?}]\n") } else { format!("{key} = {file:?}\n") }
        });
        config(&folder.path().join("data"), &format!("[sip.tls]\n{}", paths.concat()))
    };
    let expiry = "strowger_tls_certificate_expiry_seconds";
    let mut exchange = Exchange::start(with_certificate(2040)).expect("starts");
    assert_eq!(metric(&exchange, expiry), Some(2_208_988_800));
    exchange.reload(with_certificate(2050)).expect("a good configuration");
    assert_eq!(metric(&exchange, expiry), Some(2_524_608_000));
    exchange.stop();
}
