//! Who asks: the token that a request shows, and what whoever shows none, or one that opens nothing, is told.

use super::Role;
use super::problem::{ApiProblem, Refusal};
use axum::http::{HeaderMap, header};

/// The longest token that is looked up; ours are far shorter.
const TOKEN_BYTES_MAX: usize = 256;

/// The token that a request shows: none at all, one that cannot be a token, or one to look up.
//= https://www.rfc-editor.org/rfc/rfc6750#section-2.1
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<Option<String>>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let detail = "a request may have one Authorization header";
        let refusal = Refusal::from(ApiProblem::new(400, "two-tokens", "More than one token", detail));
        return Err(refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"strowger\", error=\"invalid_request\""));
    }
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim_matches(' ');
        let known = scheme.eq_ignore_ascii_case("bearer") && is_token(token);
        known.then(|| token.to_owned())
    });
    Ok(Some(token))
}

/// Can it be a token at all?
fn is_token(text: &str) -> bool {
    let bytes = text.trim_end_matches('=').as_bytes();
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    !bytes.is_empty() && text.len() <= TOKEN_BYTES_MAX && bytes.iter().all(good)
}

pub(super) fn allowed(wanted: Role, has: Role) -> Result<(), Refusal> {
    if has >= wanted {
        return Ok(());
    }
    let detail = format!("this needs the role {}, and the token has the role {}", wanted.as_str(), has.as_str());
    let refusal = Refusal::from(ApiProblem::new(403, "insufficient-scope", "The token's role is too low", detail));
    //= https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    // insufficient_scope: 403, and the scope that would do may be named.
    let challenge = format!("Bearer realm=\"strowger\", error=\"insufficient_scope\", scope=\"{}\"", wanted.as_str());
    Err(refusal.with(header::WWW_AUTHENTICATE, &challenge))
}

pub(super) fn unauthenticated() -> Refusal {
    let detail = "this needs a token in an Authorization header";
    let refusal = Refusal::from(ApiProblem::new(401, "unauthenticated", "No token", detail));
    //= https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    // A request that shows nothing is not told what is wrong with it.
    refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"strowger\"")
}

pub(super) fn invalid_token() -> Refusal {
    // The same words for unknown, expired and revoked: who guesses learns nothing from them.
    let refusal = Refusal::from(ApiProblem::new(401, "invalid-token", "The token opens nothing", "use a valid token"));
    refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"strowger\", error=\"invalid_token\"")
}

pub(super) fn too_many_failures(seconds: u64) -> Refusal {
    Refusal::too_many("too-many-failures", "too many tokens from this address opened nothing", seconds)
}

pub(super) fn too_many_requests(seconds: u64) -> Refusal {
    Refusal::too_many("too-many-requests", "this token has asked too often", seconds)
}
