//! Pages in a browser, and whence they may come.

use crate::exchange::{ask, started_with};
use sx_http::ApiServer;

const CONSOLE: &str = "https://console.example.org";

fn started() -> ApiServer {
    started_with(|config| config.cors_origins = vec![CONSOLE.into(), "http://localhost:5173".into()]).0
}

fn preflight(server: &ApiServer, path: &str, origin: &str) -> crate::exchange::Answer {
    let lines = format!("Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\n");
    ask(server, "", "OPTIONS", path, &lines, "")
}

#[test]
fn a_page_of_a_listed_origin_is_told_beforehand_what_it_may_ask() {
    let server = started();
    for (path, methods) in
        [("/sources/192.0.2.1/ban", "PUT, DELETE"), ("/trunks", "GET, HEAD"), ("/openapi.json", "GET, HEAD")]
    {
        let answer = preflight(&server, path, CONSOLE);
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(CONSOLE));
        assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
        assert_eq!(answer.header("access-control-allow-headers"), Some(ASKED));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    preflight(&server, "/nothing", CONSOLE).is_problem(404, "not-found");
}

#[test]
fn a_page_of_a_listed_origin_can_read_answers_and_problems() {
    let server = started();
    for (token, status) in [("sxt_viewer", 200), ("", 401)] {
        let answer = ask(&server, token, "GET", "/calls", &format!("Origin: {CONSOLE}\r\n"), "");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(CONSOLE));
        assert!(answer.header("access-control-expose-headers").is_some_and(|names| names.contains("retry-after")));
        assert_eq!(answer.header("vary"), Some("origin"));
    }
}

#[test]
fn a_page_of_another_origin_is_refused_with_whatever_token() {
    let server = started();
    let (bare, _exchange) = started_with(|_| {});
    for origin in [
        "https://evil.example.org",
        "https://console.example.org.evil.example",
        "https://console.example.org:8443",
        "http://console.example.org",
        "HTTPS://CONSOLE.EXAMPLE.ORG",
        "null",
        "*",
    ] {
        for (server, origin) in [(&server, origin), (&bare, CONSOLE)] {
            let answer = preflight(server, "/calls", origin);
            answer.is_problem(403, "origin-not-allowed");
            assert_eq!(answer.header("access-control-allow-origin"), None);
            let answer = ask(server, "sxt_administrator", "GET", "/calls", &format!("Origin: {origin}\r\n"), "");
            answer.is_problem(403, "origin-not-allowed");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let two = format!("Origin: {CONSOLE}\r\nOrigin: {CONSOLE}\r\n");
    ask(&server, "sxt_viewer", "GET", "/calls", &two, "").is_problem(403, "origin-not-allowed");
}

#[test]
fn null_is_nobodys_origin_even_when_it_is_listed() {
    let (server, _exchange) = started_with(|config| config.cors_origins = vec!["null".into()]);
    preflight(&server, "/calls", "null").is_problem(403, "origin-not-allowed");
}

/// The headers that a page may ask with.
const ASKED: &str = "authorization, content-type, idempotency-key, range, tus-resumable, upload-checksum, upload-length, upload-metadata, upload-offset";
