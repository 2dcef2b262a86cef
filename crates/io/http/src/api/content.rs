//! Files that are handed out, whole or in part.

use super::answer::set;
use super::problem::{ApiProblem, Refusal};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Bytes, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// A file that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Its type.
    pub media_type: String,
    /// What whoever takes it may call it.
    pub name: String,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Bytes that are read at a time.
const PIECE_BYTES: u64 = 65_536;

/// Hands it out, as much of it as is asked for.
pub(crate) fn response(content: &Content, asked: &HeaderMap) -> Result<Response, Refusal> {
    let tag = format!("\"{}\"", hex(&content.sha256));
    let range = match wanted(asked, &tag, content.bytes) {
        Wanted::All => None,
        Wanted::Part(range) => Some(range),
        Wanted::Nothing => {
            let detail = format!("there are {} bytes", content.bytes);
            let problem = ApiProblem::new(416, "no-such-range", "No such bytes", detail);
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
            return Err(Refusal::from(problem).with(header::CONTENT_RANGE, &format!("bytes */{}", content.bytes)));
        }
    };
    let gone = |error: io::Error| {
        tracing::error!(%error, path = %content.path.display(), "a file could not be handed out");
        Refusal::from(ApiProblem::unavailable("the file cannot be read"))
    };
    let mut file = File::open(&content.path).map_err(gone)?;
    let part = range.clone().unwrap_or(0..content.bytes);
    file.seek(SeekFrom::Start(part.start)).map_err(gone)?;
    let left = part.end - part.start;
    let mut response = Response::new(Body::new(FileBody { left, file: Some(file), reading: None }));
    let headers = response.headers_mut();
    set(headers, header::CONTENT_LENGTH, &left.to_string());
    set(headers, header::CONTENT_TYPE, &content.media_type);
    set(headers, header::ETAG, &tag);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    //= https://www.rfc-editor.org/rfc/rfc6266#section-4.3
    // It is kept, and never shown in place: it comes from who knows where.
    set(headers, header::CONTENT_DISPOSITION, &format!("attachment; filename*=UTF-8''{}", escaped(&content.name)));
    //= https://www.rfc-editor.org/rfc/rfc9530#section-3
    let digest = format!("sha-256=:{}:", STANDARD.encode(content.sha256));
    set(headers, HeaderName::from_static("repr-digest"), &digest);
    if let Some(part) = range {
        set(headers, header::CONTENT_RANGE, &format!("bytes {}-{}/{}", part.start, part.end - 1, content.bytes));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Nothing,
}

/// Which bytes are asked for. Who asks for several parts at once gets all of it.
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
fn wanted(asked: &HeaderMap, tag: &str, bytes: u64) -> Wanted {
    let is_another = asked.get(header::IF_RANGE).is_some_and(|known| known != tag);
    let text = asked.get(header::RANGE).and_then(|range| range.to_str().ok());
    let Some(spec) = text.and_then(|text| text.strip_prefix("bytes=")).filter(|_| !is_another) else {
        return Wanted::All;
    };
    let number =
        |text: &str| -> Option<u64> { text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())? };
    let Some((first, last)) = spec.split_once('-') else { return Wanted::All };
    match (number(first), last, number(last)) {
        (Some(first), "", _) if first < bytes => Wanted::Part(first..bytes),
        (Some(first), _, Some(last)) if first <= last && first < bytes => {
            Wanted::Part(first..bytes.min(last.saturating_add(1)))
        }
        (Some(first), _, Some(last)) if first > last => Wanted::All,
        (Some(_), "", _) | (Some(_), _, Some(_)) => Wanted::Nothing,
        (None, _, Some(count)) if first.is_empty() => match count.min(bytes) {
            0 => Wanted::Nothing,
            count => Wanted::Part(bytes - count..bytes),
        },
        _ => Wanted::All,
    }
}

/// What is left of a file, read where others need not wait for it.
struct FileBody {
    left: u64,
    /// There while nothing is read.
    file: Option<File>,
    reading: Option<JoinHandle<(File, io::Result<Bytes>)>>,
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(mut file) = self.file.take().filter(|_| self.left > 0) {
            let count = self.left.min(PIECE_BYTES);
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; usize::try_from(count).unwrap_or_default()];
                let read = file.read_exact(&mut bytes).map(|()| Bytes::from(bytes));
                (file, read)
            }));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let (file, read) = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other)?;
        self.reading = None;
        match read {
            Ok(bytes) => {
                self.file = Some(file);
                self.left -= bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//= https://www.rfc-editor.org/rfc/rfc8187#section-3.2.1
fn escaped(name: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_handed_out_as_is_asked_for() {
        let check = |range: &str, expected: Wanted| {
            let asked = [(header::RANGE, range.parse().expect("a value"))].into_iter().collect();
            assert_eq!(wanted(&asked, "\"a\"", 100), expected, "{range}");
        };
        check("bytes=0-49", Wanted::Part(0..50));
        check("bytes=50-", Wanted::Part(50..100));
        check("bytes=50-1000", Wanted::Part(50..100));
        check("bytes=-10", Wanted::Part(90..100));
        check("bytes=-1000", Wanted::Part(0..100));
        for nothing in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            check(nothing, Wanted::Nothing);
        }
        for unknown in ["bytes=5-1", "bytes=a-b", "lines=1-2", "bytes=1-2,5-6", "bytes=", "bytes=-", "bytes=+1-2"] {
            check(unknown, Wanted::All);
        }
    }

    #[test]
    fn who_has_the_beginning_of_another_file_gets_all_of_this_one() {
        let asked = |tag: &str| {
            [(header::RANGE, "bytes=5-".parse().expect("a value")), (header::IF_RANGE, tag.parse().expect("a value"))]
                .into_iter()
                .collect()
        };
        assert_eq!(wanted(&asked("\"a\""), "\"a\"", 10), Wanted::Part(5..10));
        assert_eq!(wanted(&asked("\"b\""), "\"a\"", 10), Wanted::All);
    }

    #[test]
    fn a_name_is_escaped_as_headers_want_it() {
        assert_eq!(escaped("Ventil ä\".png"), "Ventil%20%C3%A4%22.png");
    }
}
