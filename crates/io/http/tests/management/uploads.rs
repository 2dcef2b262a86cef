//! Uploads by tus, links, and files that are handed out.

use crate::exchange::{ask, started, started_with};
use sx_http::ApiRequest;

const PIECE: &str = "/escalations/4bf9/evidence/4bfb";
const CONTENT: &str = "/escalations/4bf9/evidence/4bfb/content";

#[test]
fn an_upload_is_told_how_far_it_is() {
    let (server, _exchange) = started();
    let made = ask(&server, "sxt_operator", "POST", "/escalations/4bf9/evidence", "", "");
    let header = |answer: &crate::exchange::Answer, name: &str| answer.header(name).unwrap_or_default().to_owned();
    assert_eq!((made.status, &*header(&made, "location")), (201, "/api/v1/escalations/4bf9/evidence/4bfb"));
    assert_eq!(header(&made, "upload-expires"), "Thu, 01 Jan 1970 00:00:07 GMT");
    let sent = ask(&server, "sxt_operator", "PATCH", PIECE, "", "abc");
    assert_eq!((sent.status, &*header(&sent, "upload-offset")), (204, "3"));
    //= https://tus.io/protocols/resumable-upload#head
    //= type=test
    let looked = ask(&server, "sxt_viewer", "HEAD", PIECE, "", "");
    assert_eq!(
        (looked.status, &*header(&looked, "upload-offset"), &*header(&looked, "upload-length")),
        (200, "2", "3")
    );
    assert_eq!((&*header(&looked, "tus-resumable"), &*header(&looked, "cache-control")), ("1.0.0", "no-store"));
}

#[test]
fn who_asks_beforehand_is_told_what_uploads_can_be() {
    let (server, exchange) = started_with(|config| config.upload_bytes_max = 1_000);
    let told = ask(&server, "", "OPTIONS", "/escalations/4bf9/evidence", "", "");
    assert_eq!(
        (told.status, told.header("tus-version"), told.header("tus-max-size")),
        (204, Some("1.0.0"), Some("1000"))
    );
    assert_eq!(told.header("tus-extension"), Some("creation,checksum,expiration,termination"));
    assert_eq!(told.header("tus-checksum-algorithm"), Some("sha256"));
    ask(&server, "", "OPTIONS", "/calls", "", "").is_problem(401, "unauthenticated");
    assert_eq!(exchange.asked(), []);
}

#[test]
fn another_version_another_type_and_what_is_too_long_are_refused() {
    let (server, exchange) = started();
    let patch = |lines: &str, body: &str| ask(&server, "sxt_operator", "PATCH", PIECE, lines, body);
    let tus = "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n";
    let chunk = format!("{tus}Content-Type: application/offset+octet-stream\r\n");
    let old = patch(&chunk.replace("1.0.0", "0.2.2"), "abc");
    assert_eq!(old.is_problem(412, "tus-version").header("tus-version"), Some("1.0.0"));
    patch(&format!("{tus}Content-Type: application/json\r\n"), "{}").is_problem(415, "no-chunk");
    patch(&chunk, &"x".repeat(65_537)).is_problem(413, "body-too-large");
    let wrong = patch(&format!("{chunk}Upload-Checksum: md5 AAAA\r\n"), "abc");
    assert_eq!(wrong.is_problem(400, "invalid-fields").faults(), ["header upload-checksum"]);
    assert_eq!(exchange.asked(), []);
    assert_eq!(patch(&chunk, &"x".repeat(65_536)).status, 204);
}

#[test]
fn a_file_is_handed_out_whole_or_in_part_and_never_shown_in_place() {
    let (server, _exchange) = started();
    let all = ask(&server, "sxt_viewer", "GET", CONTENT, "", "");
    assert_eq!((all.status, &*all.body, all.header("content-type")), (200, "[package]", Some("text/plain")));
    assert_eq!(all.header("content-disposition"), Some("attachment; filename*=UTF-8''valve%207.txt"));
    assert_eq!(all.header("etag"), Some(&*format!("\"{}\"", "ab".repeat(32))));
    let digest = all.header("repr-digest").expect("a digest");
    assert!(digest.starts_with("sha-256=:q6urq6ur") && digest.ends_with("=:"), "{digest}");
    let part = ask(&server, "sxt_viewer", "GET", CONTENT, "Range: bytes=1-3\r\n", "");
    assert_eq!((part.status, &*part.body, part.header("content-range")), (206, "pac", Some("bytes 1-3/9")));
    let none = ask(&server, "sxt_viewer", "GET", CONTENT, "Range: bytes=9-\r\n", "");
    assert_eq!(none.is_problem(416, "no-such-range").header("content-range"), Some("bytes */9"));
    let head = ask(&server, "sxt_viewer", "HEAD", CONTENT, "", "");
    assert_eq!((head.status, &*head.body, head.header("content-length")), (200, "", Some("9")));
}

#[test]
fn a_link_opens_evidence_and_nothing_else() {
    let (server, exchange) = started();
    let link = |signature: &str| format!("?to=lind&expires=7&signature={signature}");
    let get = |path: &str, signature: &str| ask(&server, "", "GET", &format!("{path}{}", link(signature)), "", "");
    assert_eq!(get(CONTENT, "good").status, 200);
    assert_eq!(get(PIECE, "good").status, 200);
    assert_eq!(get("/escalations/4bf9/evidence", "good").status, 200);
    assert_eq!(exchange.asked().len(), 3);
    for refused in ["old", "forged"] {
        get(CONTENT, refused).is_problem(403, "link-refused");
    }
    for (method, path) in [("GET", "/escalations/4bf9"), ("GET", "/calls"), ("DELETE", PIECE)] {
        ask(&server, "", method, &format!("{path}{}", link("good")), "", "").is_problem(401, "unauthenticated");
    }
    // A token is what counts where there is one.
    let path = format!("{CONTENT}{}", link("good"));
    ask(&server, "sxt_unknown", "GET", &path, "", "").is_problem(401, "invalid-token");
    assert_eq!(exchange.asked(), [ApiRequest::Version; 0]);
    assert_eq!(exchange.failed(3).iter().filter(|failed| failed.1.to_string().contains("link")).count(), 2);
}

#[test]
fn who_guesses_links_is_told_to_wait() {
    let (server, exchange) = started_with(|config| config.failures_per_minute = 2);
    let path = format!("{CONTENT}?to=lind&expires=7&signature=forged");
    for _ in 0..2 {
        ask(&server, "", "GET", &path, "", "").is_problem(403, "link-refused");
    }
    ask(&server, "", "GET", &path, "", "").is_problem(429, "too-many-failures");
    assert_eq!(exchange.asked(), []);
}

#[test]
fn parts_are_counted_apart_from_requests() {
    let (server, _exchange) = started_with(|config| (config.requests_per_minute, config.chunks_per_minute) = (2, 4));
    let statuses = |method: &str, path: &str, body: &str| {
        [(); 6].map(|()| ask(&server, "sxt_operator", method, path, "", body).status)
    };
    assert_eq!(statuses("PATCH", PIECE, "abc"), [204, 204, 204, 204, 429, 429]);
    assert_eq!(statuses("GET", "/calls", ""), [200, 200, 429, 429, 429, 429]);
}
