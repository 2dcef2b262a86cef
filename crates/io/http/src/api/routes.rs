//! What is asked where, and by whom: one table.

use super::Role;

/// What every path begins with.
pub const BASE: &str = "/api/v1";
/// Where the description of the API is, which needs no token.
pub const OPENAPI_PATH: &str = "/openapi.json";

/// A thing that can be asked, without its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is described with the request of the same name")]
pub enum Route {
    Calls,
    Call,
    Hangup,
    Originate,
    ChangeParty,
    ExportCall,
    ImportCall,
    Record,
    Trunks,
    Rooms,
    Invite,
    Members,
    ChangeMember,
    RemoveMember,
    LockRoom,
    UnlockRoom,
    Escalations,
    Escalation,
    Escalate,
    EndEscalation,
    AddEvidence,
    EvidenceOf,
    EvidencePiece,
    UploadEvidence,
    RemoveEvidence,
    EvidenceContent,
    AcknowledgeEvidence,
    LinkEvidence,
    OpenVote,
    Votes,
    Vote,
    CastBallot,
    Experts,
    Guardians,
    Schema,
    Ndi,
    Events,
    Sources,
    Source,
    Ban,
    Unban,
    Policy,
    PolicyExplain,
    ReloadConfig,
    ReloadPolicy,
    Drain,
    Undrain,
    Registrations,
    Unregister,
    WitnessStatus,
    WitnessTrace,
    Tokens,
    CreateToken,
    RevokeToken,
    Version,
}

/// A method that the API knows. Wherever `GET` is, `HEAD` is too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read; changes nothing.
    Get,
    /// Make it so; twice is as once.
    Put,
    /// Do it.
    Post,
    /// Change a part of it.
    Patch,
    /// Away with it; twice is as once.
    Delete,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct RouteRow {
    /// What is asked.
    pub route: Route,
    /// By which method.
    pub verb: Verb,
    /// Where, below [`BASE`]; a part in braces stands for any text.
    pub path: &'static str,
    /// The lowest role that may.
    pub role: Role,
}

/// Everything the API serves, besides its description.
pub const ROUTES: [RouteRow; 55] = {
    use Role::{Administrator, Operator, Viewer};
    use Verb::{Delete, Get, Patch, Post, Put};
    [
        row_of(Route::Version, Get, "/version", Viewer),
        row_of(Route::Calls, Get, "/calls", Viewer),
        row_of(Route::Originate, Post, "/calls", Operator),
        row_of(Route::Call, Get, "/calls/{id}", Viewer),
        row_of(Route::ChangeParty, Post, "/calls/{id}/parties/{party}", Operator),
        row_of(Route::Hangup, Delete, "/calls/{id}", Operator),
        row_of(Route::ExportCall, Post, "/calls/{id}/export", Administrator),
        row_of(Route::Record, Post, "/calls/{id}/recording", Operator),
        row_of(Route::ImportCall, Post, "/imports", Administrator),
        row_of(Route::Trunks, Get, "/trunks", Viewer),
        row_of(Route::Rooms, Get, "/rooms", Viewer),
        row_of(Route::Invite, Post, "/rooms/{room}/members", Operator),
        row_of(Route::Members, Get, "/rooms/{room}/members", Viewer),
        row_of(Route::ChangeMember, Post, "/rooms/{room}/members/{id}", Operator),
        row_of(Route::RemoveMember, Delete, "/rooms/{room}/members/{id}", Operator),
        row_of(Route::LockRoom, Put, "/rooms/{room}/lock", Operator),
        row_of(Route::UnlockRoom, Delete, "/rooms/{room}/lock", Operator),
        row_of(Route::Escalations, Get, "/escalations", Viewer),
        row_of(Route::Escalate, Post, "/escalations", Operator),
        row_of(Route::Escalation, Get, "/escalations/{id}", Viewer),
        row_of(Route::EndEscalation, Delete, "/escalations/{id}", Operator),
        row_of(Route::AddEvidence, Post, "/escalations/{id}/evidence", Operator),
        row_of(Route::EvidenceOf, Get, "/escalations/{id}/evidence", Viewer),
        row_of(Route::EvidencePiece, Get, "/escalations/{id}/evidence/{piece}", Viewer),
        row_of(Route::UploadEvidence, Patch, "/escalations/{id}/evidence/{piece}", Operator),
        row_of(Route::RemoveEvidence, Delete, "/escalations/{id}/evidence/{piece}", Operator),
        row_of(Route::EvidenceContent, Get, "/escalations/{id}/evidence/{piece}/content", Viewer),
        row_of(Route::AcknowledgeEvidence, Post, "/escalations/{id}/evidence/{piece}/receipts", Viewer),
        row_of(Route::LinkEvidence, Post, "/escalations/{id}/links", Operator),
        row_of(Route::OpenVote, Post, "/escalations/{id}/votes", Operator),
        row_of(Route::Votes, Get, "/votes", Viewer),
        row_of(Route::Vote, Get, "/votes/{id}", Viewer),
        row_of(Route::CastBallot, Post, "/votes/{id}/ballots", Operator),
        row_of(Route::Experts, Get, "/experts", Viewer),
        row_of(Route::Guardians, Get, "/guardians", Viewer),
        row_of(Route::Schema, Get, "/schemas/{name}", Viewer),
        row_of(Route::Ndi, Get, "/ndi", Viewer),
        row_of(Route::Events, Get, "/events", Viewer),
        row_of(Route::Sources, Get, "/sources", Viewer),
        row_of(Route::Source, Get, "/sources/{address}", Viewer),
        row_of(Route::Ban, Put, "/sources/{address}/ban", Operator),
        row_of(Route::Unban, Delete, "/sources/{address}/ban", Operator),
        row_of(Route::Policy, Get, "/policy", Viewer),
        row_of(Route::PolicyExplain, Post, "/policy/explain", Viewer),
        row_of(Route::ReloadPolicy, Post, "/policy/reload", Administrator),
        row_of(Route::ReloadConfig, Post, "/config/reload", Administrator),
        row_of(Route::Drain, Put, "/drain", Operator),
        row_of(Route::Undrain, Delete, "/drain", Operator),
        row_of(Route::Registrations, Get, "/registrations", Viewer),
        row_of(Route::Unregister, Delete, "/registrations/{aor}", Operator),
        row_of(Route::WitnessStatus, Get, "/witness", Viewer),
        row_of(Route::WitnessTrace, Get, "/witness/traces/{trace_id}", Viewer),
        row_of(Route::Tokens, Get, "/tokens", Administrator),
        row_of(Route::CreateToken, Post, "/tokens", Administrator),
        row_of(Route::RevokeToken, Delete, "/tokens/{id}", Administrator),
    ]
};

const fn row_of(route: Route, verb: Verb, path: &'static str, role: Role) -> RouteRow {
    RouteRow { route, verb, path, role }
}

impl Verb {
    /// As it is written in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// As HTTP has it.
    pub(crate) fn method(self) -> axum::http::Method {
        match self {
            Self::Get => axum::http::Method::GET,
            Self::Put => axum::http::Method::PUT,
            Self::Post => axum::http::Method::POST,
            Self::Patch => axum::http::Method::PATCH,
            Self::Delete => axum::http::Method::DELETE,
        }
    }

    fn answers(self, method: &str) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-9.1
        // All general-purpose servers must support GET and HEAD.
        method == self.as_str() || (self == Self::Get && method == "HEAD")
    }
}

impl RouteRow {
    /// Does a link for evidence open it, without a token?
    pub(crate) const fn opens_by_link(&self) -> bool {
        matches!(
            self.route,
            Route::EvidenceOf | Route::EvidencePiece | Route::EvidenceContent | Route::AcknowledgeEvidence
        )
    }

    /// Is it asked once for every few bytes, and counted by those?
    pub(crate) const fn is_bulk(&self) -> bool {
        matches!(self.route, Route::UploadEvidence | Route::EvidenceContent)
    }
}

/// The line of a route.
pub(crate) fn row(route: Route) -> &'static RouteRow {
    // A test sees to it that every route has a line.
    ROWS.iter().find(|row| row.route == route).unwrap_or(&ROWS[0])
}

static ROWS: [RouteRow; 55] = ROUTES;

/// What a path leads to: the lines that share it, and the texts that stand for what is in braces, as they came.
#[derive(Debug)]
pub(crate) struct Found<'p> {
    rows: Vec<&'static RouteRow>,
    pub(crate) params: Vec<(&'static str, &'p str)>,
}

/// What is at this path; `None` when nothing is.
pub(crate) fn find(path: &str) -> Option<Found<'_>> {
    let path = path.strip_prefix(BASE)?;
    let rows: Vec<_> = ROWS.iter().filter(|row| matched(row.path, path).is_some()).collect();
    let params = matched(rows.first()?.path, path)?;
    Some(Found { rows, params })
}

impl Found<'_> {
    /// The line for this method.
    pub(crate) fn row(&self, method: &str) -> Option<&'static RouteRow> {
        self.rows.iter().copied().find(|row| row.verb.answers(method))
    }

    /// The methods there are, as `Allow` wants them.
    pub(crate) fn allow(&self) -> String {
        let names: Vec<_> = self.rows.iter().map(|row| row.verb).map(allowed).collect();
        names.join(", ")
    }
}

/// A method as `Allow` lists it.
pub(crate) fn allowed(verb: Verb) -> &'static str {
    if verb == Verb::Get { "GET, HEAD" } else { verb.as_str() }
}

/// The texts that stand for what is in braces, when the path is of this shape.
fn matched<'p>(shape: &'static str, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
    let mut given = path.split('/');
    let mut params = Vec::new();
    for part in shape.split('/') {
        let text = given.next()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if !text.is_empty() => params.push((name, text)),
            None if part == text => {}
            _ => return None,
        }
    }
    given.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_whole() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(find(path).map(|found| found.allow()).as_deref(), expected, "{path}");
        };
        check("/api/v1/calls", Some("GET, HEAD, POST"));
        check("/api/v1/calls/", None);
        check("/api/v1/calls/a", Some("GET, HEAD, DELETE"));
        check("/api/v1/calls/a/b", None);
        check("/api/v1/calls/a/parties/caller", Some("POST"));
        check("/api/v1/sources/::1/ban", Some("PUT, DELETE"));
        check("/api/v1/tokens", Some("GET, HEAD, POST"));
        for path in ["", "/", "/api/v1", "/api/v1/", "/api/v1calls", "/calls", "/api/v2/calls", "//api/v1/calls"] {
            check(path, None);
        }
    }

    #[test]
    fn every_route_has_one_line_of_its_own() {
        for row in &ROUTES {
            assert_eq!(ROUTES.iter().filter(|other| other.route == row.route).count(), 1, "{:?}", row.route);
            assert_eq!(
                ROUTES.iter().filter(|other| (other.path, other.verb) == (row.path, row.verb)).count(),
                1,
                "{} {}",
                row.verb.as_str(),
                row.path
            );
            assert_eq!(super::row(row.route).path, row.path);
        }
    }
}
