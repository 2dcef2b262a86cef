//! Requests about rooms, escalations and the council.

use super::{WORD_BYTES_MAX, identifier, limit};
use crate::api::bounds::{IDENTIFIER_BYTES_MAX, LINK_SECONDS_MAX, QUESTION_BYTES_MAX, VOTE_SECONDS_MAX};
use crate::api::fields::Fields;
use crate::api::problem::Place;
use crate::api::request::{ApiRequest, Ballot, MemberOrder};
use crate::api::routes::Route;
use crate::api::tus::hash_in_hex;

/// The request of one of these routes. What it gives for any other is never asked for.
pub(super) fn request(route: Route, fields: &mut Fields) -> ApiRequest {
    match route {
        Route::Members => ApiRequest::Members { room: identifier(fields, "room") },
        Route::ChangeMember => {
            let change = member_change(fields);
            ApiRequest::ChangeMember { room: identifier(fields, "room"), id: identifier(fields, "id"), change }
        }
        Route::RemoveMember => {
            ApiRequest::RemoveMember { room: identifier(fields, "room"), id: identifier(fields, "id") }
        }
        Route::LockRoom => ApiRequest::LockRoom { room: identifier(fields, "room") },
        Route::UnlockRoom => ApiRequest::UnlockRoom { room: identifier(fields, "room") },
        Route::Escalations => ApiRequest::Escalations { limit: limit(fields) },
        Route::Escalation => ApiRequest::Escalation { id: identifier(fields, "id") },
        Route::EndEscalation => ApiRequest::EndEscalation { id: identifier(fields, "id") },
        Route::EvidenceOf => ApiRequest::EvidenceOf { id: identifier(fields, "id") },
        Route::EvidencePiece => {
            ApiRequest::EvidencePiece { id: identifier(fields, "id"), piece: identifier(fields, "piece") }
        }
        Route::RemoveEvidence => {
            ApiRequest::RemoveEvidence { id: identifier(fields, "id"), piece: identifier(fields, "piece") }
        }
        Route::EvidenceContent => {
            ApiRequest::EvidenceContent { id: identifier(fields, "id"), piece: identifier(fields, "piece") }
        }
        Route::AcknowledgeEvidence => {
            let sha256 = sha256(fields);
            ApiRequest::AcknowledgeEvidence { id: identifier(fields, "id"), piece: identifier(fields, "piece"), sha256 }
        }
        Route::LinkEvidence => {
            let (to, seconds) = link(fields);
            ApiRequest::LinkEvidence { id: identifier(fields, "id"), to, seconds }
        }
        Route::OpenVote => {
            let (question, seconds) = question(fields);
            ApiRequest::OpenVote { id: identifier(fields, "id"), question, seconds }
        }
        Route::Votes => ApiRequest::Votes { limit: limit(fields) },
        Route::Vote => ApiRequest::Vote { id: identifier(fields, "id") },
        Route::CastBallot => {
            let ballot = ballot(fields);
            ApiRequest::CastBallot { id: identifier(fields, "id"), ballot }
        }
        Route::Experts => ApiRequest::Experts { limit: limit(fields) },
        Route::Guardians => ApiRequest::Guardians { limit: limit(fields) },
        Route::Schema => ApiRequest::Schema { name: identifier(fields, "name") },
        // The bodies of escalations and uploads are no sets of fields, and were taken as they are.
        _ => ApiRequest::Version,
    }
}

fn member_change(fields: &mut Fields) -> MemberOrder {
    let change = fields.text(Place::Query, "change", WORD_BYTES_MAX);
    let change = fields.required(Place::Query, "change", change);
    let to = fields.text(Place::Query, "to", IDENTIFIER_BYTES_MAX);
    match (change.as_str(), to) {
        ("mute", None) => MemberOrder::Mute,
        ("unmute", None) => MemberOrder::Unmute,
        ("move", Some(to)) => MemberOrder::Move(to),
        ("move", None) => {
            fields.fault("to", Place::Query, "must name the room that the member is to be in");
            MemberOrder::Mute
        }
        ("mute" | "unmute", Some(_)) => {
            fields.fault("to", Place::Query, "is said where a member is moved");
            MemberOrder::Mute
        }
        // That it is missing has been said.
        ("", _) => MemberOrder::Mute,
        _ => {
            fields.fault("change", Place::Query, "must be mute, unmute or move");
            MemberOrder::Mute
        }
    }
}

pub(super) fn sha256(fields: &mut Fields) -> [u8; 32] {
    let text = fields.text(Place::Body, "sha256", WORD_BYTES_MAX.max(64));
    let text = fields.required(Place::Body, "sha256", text);
    let hash = hash_in_hex(&text);
    if hash.is_none() && !text.is_empty() {
        fields.fault("sha256", Place::Body, "must be 64 hexadecimal digits");
    }
    hash.unwrap_or_default()
}

pub(super) fn link(fields: &mut Fields) -> (String, Option<u64>) {
    let to = fields.text(Place::Body, "to", IDENTIFIER_BYTES_MAX);
    let seconds = fields.integer(Place::Body, "seconds", 1..=LINK_SECONDS_MAX);
    (fields.required(Place::Body, "to", to), seconds)
}

pub(super) fn question(fields: &mut Fields) -> (String, u64) {
    let question = fields.text(Place::Body, "question", QUESTION_BYTES_MAX);
    let seconds = fields.integer(Place::Body, "seconds", 60..=VOTE_SECONDS_MAX);
    (fields.required(Place::Body, "question", question), fields.required(Place::Body, "seconds", seconds))
}

pub(super) fn ballot(fields: &mut Fields) -> Ballot {
    let mut text = |name: &str, bytes_max: usize| {
        let said = fields.text(Place::Body, name, bytes_max);
        fields.required(Place::Body, name, said)
    };
    let ballot = Ballot {
        guardian: text("guardian", IDENTIFIER_BYTES_MAX),
        choice: text("choice", WORD_BYTES_MAX),
        timestamp: text("timestamp", WORD_BYTES_MAX),
        signature: text("signature", IDENTIFIER_BYTES_MAX),
    };
    if !["approve", "reject", "abstain", "veto"].contains(&ballot.choice.as_str()) && !ballot.choice.is_empty() {
        fields.fault("choice", Place::Body, "must be approve, reject, abstain or veto");
    }
    ballot
}
