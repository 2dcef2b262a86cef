//! Problem documents: what a client is told when it gets nothing else.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// What a problem's type begins with. It is a name and not a place: nothing needs to be fetched from there.
//= https://www.rfc-editor.org/rfc/rfc9457#section-3.1.1
const TYPES: &str = "https://github.com/strowger-exchange/strowger/problems/";
/// After how long to ask again when nobody knows better.
const RETRY_AFTER_S: u64 = 5;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct ApiProblem {
    /// The status of the answer, 400 to 599.
    pub status: u16,
    /// The last part of the type's URI, as `no-such-call`: what a program looks at.
    pub kind: &'static str,
    /// The same for every problem of this kind.
    pub title: &'static str,
    /// What it is this time, for a person.
    pub detail: String,
    /// The fields that are at fault, all at once.
    pub fields: Vec<FieldProblem>,
    /// What there is to say besides.
    pub more: Option<Box<ProblemMore>>,
}

/// What some problems have besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProblemMore {
    /// Further members of the document, by name.
    //= https://www.rfc-editor.org/rfc/rfc9457#section-3.2
    pub members: Vec<(&'static str, String)>,
    /// After so many seconds another try makes sense; 0 where nobody knows better than usual.
    pub retry_after_s: u32,
}

/// A field that is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// Its name.
    pub field: String,
    /// Where it stands.
    #[serde(rename = "in")]
    pub place: Place,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the path.
    Path,
    /// Behind the question mark.
    Query,
    /// In the body.
    Body,
    /// Among the headers.
    Header,
    /// In a file that the exchange was told to read again.
    File,
}

impl ApiProblem {
    /// A problem without fields.
    pub fn new(status: u16, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), fields: Vec::new(), more: None }
    }

    /// 404: what the path names is not there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "not-found", "Not found", detail)
    }

    /// 409: it cannot be done as things are.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "Conflicts with the present state", detail)
    }

    /// 422: fields are at fault.
    pub fn invalid(fields: Vec<FieldProblem>) -> Self {
        let detail = match fields.len() {
            1 => "one field is at fault".to_owned(),
            count => format!("{count} fields are at fault"),
        };
        Self { fields, ..Self::new(422, "invalid-fields", "Fields are at fault", detail) }
    }

    /// 503: not at the moment. The client is told to ask again.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, "unavailable", "Not available at the moment", detail)
    }

    /// 500: the fault is ours.
    pub fn internal() -> Self {
        Self::new(500, "internal", "An error of the exchange", "the log of the exchange says more")
    }
}

/// A problem on its way to the client, with the headers that belong to it.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: ApiProblem,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<ApiProblem> for Refusal {
    fn from(problem: ApiProblem) -> Self {
        let refusal = Self { headers: Vec::new(), problem };
        //= https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
        // With 503 it says how long the service is expected to be unavailable.
        match refusal.problem.status {
            429 | 503 => {
                let known = refusal.problem.more.as_ref().map(|more| u64::from(more.retry_after_s));
                let seconds = known.filter(|seconds| *seconds > 0);
                refusal.with(header::RETRY_AFTER, &seconds.unwrap_or(RETRY_AFTER_S).to_string())
            }
            _ => refusal,
        }
    }
}

impl Refusal {
    /// Too many requests; the next may come in so many seconds.
    pub(crate) fn too_many(kind: &'static str, detail: &str, seconds: u64) -> Self {
        let problem = ApiProblem::new(429, kind, "Too many requests", detail);
        Self { problem, headers: Vec::new() }.with(header::RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// The status of the answer. A problem that claims to be none is one of ours.
    pub(crate) fn status(&self) -> StatusCode {
        let said = StatusCode::from_u16(self.problem.status).ok();
        let problem = said.filter(|status| status.is_client_error() || status.is_server_error());
        problem.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        // Only texts of our own come here, and they can be headers.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The problem as a document.
    pub(crate) fn document(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&document(&self.problem, self.status(), path)).unwrap_or_default()
    }

    /// The answer to a request for this path.
    pub(crate) fn into_response(self, path: &str) -> Response {
        let status = self.status();
        let document = document(&self.problem, status, path);
        let mut response = Response::new(Body::from(document));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        response
    }
}

/// A problem as its body says it.
//= https://www.rfc-editor.org/rfc/rfc9457#section-3
#[derive(Serialize)]
struct Document<'p> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'p str,
    instance: &'p str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'p [FieldProblem],
    #[serde(flatten)]
    more: std::collections::BTreeMap<&'static str, &'p str>,
}

fn document(problem: &ApiProblem, status: StatusCode, instance: &str) -> String {
    let document = Document {
        r#type: format!("{TYPES}{}", problem.kind),
        title: problem.title,
        status: status.as_u16(),
        detail: &problem.detail,
        instance,
        errors: &problem.fields,
        more: problem.more.iter().flat_map(|more| &more.members).map(|(name, text)| (*name, text.as_str())).collect(),
    };
    // Only texts and a number: nothing that JSON cannot say.
    serde_json::to_string(&document).unwrap_or_default()
}
