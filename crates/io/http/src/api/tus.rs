//! Uploads that go on where they were broken off: tus 1.0.0, with its extensions creation, checksum, expiration and termination.
//!
//! What is uploaded comes in chunks of a request each, which is what a broken connection costs at most.
//= https://tus.io/protocols/resumable-upload#core-protocol

use super::answer::{json, set};
use super::problem::{ApiProblem, FieldProblem, Place, Refusal};
use super::request::{Chunk, NewUpload};
use super::routes::{Found, Route};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest chunk.
pub const CHUNK_BYTES_MAX: usize = 65_536;
/// The longest name of a file.
pub const FILE_NAME_BYTES_MAX: usize = 255;
const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,checksum,expiration,termination";
const MEDIA_TYPE: &str = "application/offset+octet-stream";

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

/// How an upload stands, as its client is told.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadState {
    /// Its path, where it has just been made.
    pub location: Option<String>,
    /// So many bytes have come.
    pub offset: u64,
    /// So many there are.
    pub length: u64,
    /// When it is given up, in seconds of the Unix epoch; `None`: all of it has come.
    pub expires: Option<u64>,
    /// What else there is to say, where somebody has asked.
    pub body: Option<serde_json::Value>,
}

/// Is it asked for by the rules of tus?
pub(crate) const fn is_tus(route: Route) -> bool {
    matches!(route, Route::AddEvidence | Route::UploadEvidence)
}

/// What is served at a path for uploads, for whoever asks beforehand; `None`: there are none.
pub(crate) fn options(method: &Method, found: &Found<'_>, bytes_max: u64) -> Option<Response> {
    let takes_uploads = ["POST", "PATCH"].iter().any(|method| found.row(method).is_some_and(|row| is_tus(row.route)));
    if method != Method::OPTIONS || !takes_uploads {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(RESUMABLE, HeaderValue::from_static(VERSION));
    headers.insert("tus-version", HeaderValue::from_static(VERSION));
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert("tus-checksum-algorithm", HeaderValue::from_static("sha256"));
    set(headers, HeaderName::from_static("tus-max-size"), &bytes_max.to_string());
    set(headers, header::ALLOW, &found.allow());
    Some(response)
}

/// Does the client speak the version that we do?
pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(RESUMABLE).is_some_and(|version| version == VERSION) {
        return Ok(());
    }
    let detail = "uploads are by tus 1.0.0, and Tus-Resumable must say so";
    let refusal = Refusal::from(ApiProblem::new(412, "tus-version", "Another version of tus", detail));
    //= https://tus.io/protocols/resumable-upload#tus-version
    Err(refusal.with(HeaderName::from_static("tus-version"), VERSION))
}

/// Is the body a chunk?
pub(crate) fn is_chunk(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == MEDIA_TYPE) {
        return Ok(());
    }
    let detail = "a chunk must be application/offset+octet-stream";
    let refusal = Refusal::from(ApiProblem::new(415, "no-chunk", "Unsupported media type", detail));
    Err(refusal.with(HeaderName::from_static("accept-patch"), MEDIA_TYPE))
}

/// What the headers of a request announce that begins an upload.
///
/// # Errors
/// 400, with each header that is at fault, once.
pub fn parse_new_upload(headers: &HeaderMap) -> Result<NewUpload, ApiProblem> {
    let length = number(headers, &LENGTH).filter(|length| *length > 0);
    let mut faults = Vec::new();
    if length.is_none() {
        faults.push(fault(&LENGTH, "must be the number of bytes, at least one"));
    }
    let mut new = NewUpload {
        length: length.unwrap_or_default(),
        name: "evidence".into(),
        media_type: "application/octet-stream".into(),
        sha256: None,
    };
    if let Some(metadata) = headers.get(METADATA) {
        let pairs = metadata.to_str().ok().and_then(pairs);
        for (key, value) in pairs.as_deref().unwrap_or_default() {
            match key.as_str() {
                "filename" => new.name = value.clone(),
                "filetype" => new.media_type = value.clone(),
                "sha256" => match hash_in_hex(value) {
                    Some(hash) => new.sha256 = Some(hash),
                    None => faults.push(fault(&METADATA, "sha256 must be 64 hexadecimal digits")),
                },
                // Clients say more than we know of.
                _ => {}
            }
        }
        if pairs.is_none() {
            faults.push(fault(&METADATA, "must be pairs of a key and a text in base64, with commas between them"));
        }
    }
    if new.name.is_empty()
        || new.name.len() > FILE_NAME_BYTES_MAX
        || new.name.contains(|c: char| c.is_control() || c == '/' || c == '\\')
    {
        faults.push(fault(&METADATA, "filename must be 1 to 255 bytes without slashes and control characters"));
    }
    if !is_media_type(&new.media_type) {
        faults.push(fault(&METADATA, "filetype must be a media type, as image/png"));
    }
    if faults.is_empty() { Ok(new) } else { Err(bad_request(faults)) }
}

/// A chunk that has come, and what its headers say of it.
///
/// # Errors
/// 400, with each header that is at fault.
pub fn parse_chunk(headers: &HeaderMap, bytes: &[u8]) -> Result<Chunk, ApiProblem> {
    let mut faults = Vec::new();
    let offset = number(headers, &OFFSET);
    if offset.is_none() {
        faults.push(fault(&OFFSET, "must be the number of bytes that have come before"));
    }
    let sha256 = match headers.get(CHECKSUM).map(|value| value.to_str().ok().and_then(checksum)) {
        None => None,
        Some(Some(hash)) => Some(hash),
        Some(None) => {
            faults.push(fault(&CHECKSUM, "must be sha256, a blank, and 32 bytes in base64"));
            None
        }
    };
    match faults.is_empty() {
        true => Ok(Chunk { offset: offset.unwrap_or_default(), bytes: bytes.to_vec(), sha256 }),
        false => Err(bad_request(faults)),
    }
}

/// How an upload stands, as an answer.
pub(crate) fn response(state: UploadState) -> Response {
    let mut response = match (&state.location, state.body) {
        (Some(_), Some(body)) => json(StatusCode::CREATED, body.to_string()),
        (None, Some(body)) => json(StatusCode::OK, body.to_string()),
        _ => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(RESUMABLE, HeaderValue::from_static(VERSION));
    set(headers, OFFSET, &state.offset.to_string());
    set(headers, LENGTH, &state.length.to_string());
    if let Some(location) = &state.location {
        set(headers, header::LOCATION, location);
    }
    if let Some(expires) = state.expires {
        let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(expires);
        set(headers, EXPIRES, &httpdate::fmt_http_date(date));
    }
    response
}

/// 400, with all headers that are at fault.
fn bad_request(fields: Vec<FieldProblem>) -> ApiProblem {
    ApiProblem { status: 400, ..ApiProblem::invalid(fields) }
}

fn fault(name: &HeaderName, detail: &str) -> FieldProblem {
    FieldProblem { field: name.to_string(), place: Place::Header, detail: detail.into() }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

//= https://tus.io/protocols/resumable-upload#upload-metadata
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let pair = pair.trim_matches(' ');
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        (!key.is_empty()).then(|| (key.to_owned(), value))
    };
    let pairs: Vec<_> = text.split(',').map(pair).collect::<Option<_>>()?;
    let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    // Each is there once.
    keys.windows(2).all(|two| two[0] != two[1]).then_some(pairs)
}

fn checksum(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text.strip_prefix("sha256 ")?).ok()?.try_into().ok()
}

/// 32 bytes from 64 digits.
pub(crate) fn hash_in_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16)).map(|digit| Some(digit? as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|two| two[0] << 4 | two[1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.len() <= 127 && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn an_upload_is_announced_with_its_length_and_what_it_is() {
        let hash = "00".repeat(31) + "ff";
        let metadata = format!(
            "filename {},filetype {}, sha256 {},is_confidential",
            STANDARD.encode("valve 7.png"),
            STANDARD.encode("image/png"),
            STANDARD.encode(hash)
        );
        let new = parse_new_upload(&headers(&[("upload-length", "10"), ("upload-metadata", &metadata)]))
            .expect("all is said");
        let mut sha256 = [0; 32];
        sha256[31] = 0xff;
        let expected =
            NewUpload { length: 10, name: "valve 7.png".into(), media_type: "image/png".into(), sha256: Some(sha256) };
        assert_eq!(new, expected);
        let least = parse_new_upload(&headers(&[("upload-length", "1")])).expect("that is enough");
        assert_eq!((&*least.name, &*least.media_type, least.sha256), ("evidence", "application/octet-stream", None));
    }

    #[test]
    fn all_that_is_wrong_with_an_announcement_is_said_at_once() {
        let wrong = |pairs: &[(&'static str, &str)]| {
            let problem = parse_new_upload(&headers(pairs)).expect_err("something is wrong");
            (problem.status, problem.fields.len())
        };
        assert_eq!(wrong(&[]), (400, 1));
        for length in ["", "0", "-1", "+1", "1.5", "18446744073709551616"] {
            assert_eq!(wrong(&[("upload-length", length)]), (400, 1), "{length}");
        }
        let name = |name: &str| format!("filename {}", STANDARD.encode(name));
        let twice = "filename eA==,filename eQ==";
        for metadata in [twice, "filename *", ",", "", &name(""), &name("../x"), &name("a\nb"), &name(&"x".repeat(256))]
        {
            assert_eq!(wrong(&[("upload-length", "1"), ("upload-metadata", metadata)]), (400, 1), "{metadata}");
        }
        let both = format!("filetype {},sha256 {}", STANDARD.encode("png"), STANDARD.encode("abc"));
        assert_eq!(wrong(&[("upload-metadata", &both)]), (400, 3));
    }

    #[test]
    fn a_chunk_says_where_it_belongs_and_may_say_what_it_is() {
        let sum = format!("sha256 {}", STANDARD.encode([7; 32]));
        let found =
            parse_chunk(&headers(&[("upload-offset", "5"), ("upload-checksum", &sum)]), b"abc").expect("a chunk");
        assert_eq!(found, Chunk { offset: 5, bytes: b"abc".to_vec(), sha256: Some([7; 32]) });
        assert_eq!(parse_chunk(&headers(&[("upload-offset", "0")]), b"").expect("a chunk").sha256, None);
        for sum in ["", "sha256", "sha1 AAAA", "sha256 AAAA", "SHA256 AAAA"] {
            let problem = parse_chunk(&headers(&[("upload-checksum", sum)]), b"").expect_err("both are wrong");
            assert_eq!((problem.status, problem.fields.len()), (400, 2), "{sum}");
        }
    }
}
