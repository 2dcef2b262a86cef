//! Requests about calls.

use super::{WORD_BYTES_MAX, identifier, limit, object};
use crate::api::bounds::{ADDRESS_BYTES_MAX, CAUSE_DEFAULT, CAUSE_MAX};
use crate::api::fields::Fields;
use crate::api::problem::Place;
use crate::api::request::{ApiRequest, PartyName, PartyOrder, RecordingOrder};
use crate::api::routes::Route;
use sx_types::Consent;

/// The request of one of these routes. What it gives for any other is never asked for.
pub(super) fn request(route: Route, fields: &mut Fields) -> ApiRequest {
    match route {
        Route::Calls => ApiRequest::Calls { limit: limit(fields) },
        Route::Call => ApiRequest::Call { id: identifier(fields, "id") },
        Route::Hangup => ApiRequest::Hangup { id: identifier(fields, "id"), cause: cause(fields) },
        Route::ExportCall => {
            ApiRequest::ExportCall { id: identifier(fields, "id"), release: fields.flag("release").unwrap_or(false) }
        }
        Route::Originate => {
            let (from, to) = both(fields);
            ApiRequest::Originate { from, to }
        }
        Route::ChangeParty => {
            let (party, change) = (party(fields), party_change(fields));
            ApiRequest::ChangeParty { id: identifier(fields, "id"), party, change }
        }
        Route::Record => ApiRequest::Record { id: identifier(fields, "id"), change: recording(fields) },
        Route::ImportCall => {
            let (worker, snapshot) = exported(fields);
            ApiRequest::ImportCall { worker, snapshot }
        }
        _ => ApiRequest::Version,
    }
}

fn cause(fields: &mut Fields) -> u8 {
    let cause = fields.integer(Place::Query, "cause", 1..=CAUSE_MAX.into());
    cause.and_then(|cause| u8::try_from(cause).ok()).unwrap_or(CAUSE_DEFAULT)
}

fn recording(fields: &mut Fields) -> RecordingOrder {
    let change = fields.text(Place::Query, "change", WORD_BYTES_MAX);
    let change = fields.required(Place::Query, "change", change);
    let consent = fields.text(Place::Query, "consent", WORD_BYTES_MAX);
    let known = consent.as_ref().and_then(|text| Consent::ALL.into_iter().find(|one| one.word() == text));
    let fault = match (&*change, &consent) {
        ("start", None) => "must be given where a recording is started",
        ("start", Some(_)) if known.is_none() => "must be one-party, announced, agreed or law",
        ("start", Some(_)) | (_, None) => "",
        (_, Some(_)) => "is said where a recording is started",
    };
    if !fault.is_empty() {
        fields.fault("consent", Place::Query, fault);
    }
    match &*change {
        "start" => RecordingOrder::Start(known.unwrap_or(Consent::Law)),
        "stop" => RecordingOrder::Stop,
        "pause" => RecordingOrder::Pause,
        "resume" => RecordingOrder::Resume,
        // That it is missing has been said.
        "" => RecordingOrder::Pause,
        _ => {
            fields.fault("change", Place::Query, "must be start, stop, pause or resume");
            RecordingOrder::Pause
        }
    }
}

/// Who is called, and who talks to them.
pub(super) fn both(fields: &mut Fields) -> (String, String) {
    let from = fields.text(Place::Body, "from", ADDRESS_BYTES_MAX);
    let from = fields.required(Place::Body, "from", from);
    let to = fields.text(Place::Body, "to", ADDRESS_BYTES_MAX);
    (from, fields.required(Place::Body, "to", to))
}

fn party(fields: &mut Fields) -> PartyName {
    match &*identifier(fields, "party") {
        "caller" => PartyName::Caller,
        "called" => PartyName::Called,
        "both" => PartyName::Both,
        // That it is missing has been said.
        "" => PartyName::Both,
        _ => {
            fields.fault("party", Place::Path, "must be caller, called or both");
            PartyName::Both
        }
    }
}

fn party_change(fields: &mut Fields) -> PartyOrder {
    let change = fields.text(Place::Query, "change", WORD_BYTES_MAX);
    let change = fields.required(Place::Query, "change", change);
    let to = fields.text(Place::Query, "to", ADDRESS_BYTES_MAX);
    let sound = fields.text(Place::Query, "sound", ADDRESS_BYTES_MAX);
    let wanted = match &*change {
        "transfer" | "move" => "to",
        "play" => "sound",
        _ => "",
    };
    for (name, given, what) in [
        ("to", to.is_some(), "where a party is transferred or moved"),
        ("sound", sound.is_some(), "where a sound is played"),
    ] {
        match (given, name == wanted) {
            (true, true) | (false, false) => {}
            (false, true) => fields.fault(name, Place::Query, format!("must be given {what}")),
            (true, false) => fields.fault(name, Place::Query, format!("is said {what}")),
        }
    }
    match &*change {
        "hold" => PartyOrder::Hold,
        "resume" => PartyOrder::Resume,
        "mute" => PartyOrder::Mute,
        "unmute" => PartyOrder::Unmute,
        "play" => PartyOrder::Play(sound.unwrap_or_default()),
        "stop" => PartyOrder::Stop,
        "transfer" => PartyOrder::Transfer(to.unwrap_or_default()),
        "move" => PartyOrder::Move(to.unwrap_or_default()),
        // That it is missing has been said.
        "" => PartyOrder::Stop,
        _ => {
            fields.fault("change", Place::Query, "must be hold, resume, mute, unmute, play, stop, transfer or move");
            PartyOrder::Stop
        }
    }
}

pub(super) fn exported(fields: &mut Fields) -> (u16, serde_json::Value) {
    let worker = fields.integer(Place::Body, "worker", 0..=u16::MAX.into());
    let worker = fields.required(Place::Body, "worker", worker.and_then(|worker| u16::try_from(worker).ok()));
    (worker, object(fields, "snapshot"))
}
