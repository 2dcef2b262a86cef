//! The gates.

use crate::decision::{CodecLists, Reason, ReasonKind};
use crate::definition::{AuthenticityGate, Rate, Status, Unlisted};
use crate::facts::{Action, Authentication, Request, SignatureFacts, Source, SourceKind};
use crate::policy::Policy;
use crate::reading::Reading;
use sx_types::{Codec, Kind};

/// The status of what is refused for who asks.
pub(crate) const FORBIDDEN: u16 = 403;
/// The status of what there is too much of. SIP has none of its own for this; HTTP's is taken.
//= https://www.rfc-editor.org/rfc/rfc6585#section-4
const TOO_MANY_REQUESTS: u16 = 429;
/// The status of an offer of which nothing may be used.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.26
pub(crate) const NOT_ACCEPTABLE_HERE: u16 = 488;
/// After how long another try makes sense for somebody who has all the calls they may have.
const RETRY_WHEN_FULL_S: u64 = 10;

/// For each action and kind of source, the authentications that will do, as bits.
pub(crate) fn accepted(gate: &AuthenticityGate) -> [[u8; SourceKind::ALL.len()]; Action::ALL.len()] {
    Action::ALL.map(|action| {
        SourceKind::ALL.map(|source| {
            let excepted = gate.exceptions.iter().find(|exception| {
                (exception.actions.is_empty() || exception.actions.contains(&action))
                    && (exception.sources.is_empty() || exception.sources.contains(&source))
            });
            let kinds = excepted.map_or(&gate.accepts[action], |exception| &exception.accepts);
            kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8)
        })
    })
}

/// Has whoever asks shown enough of who they are?
pub(crate) fn authenticity(policy: &Policy, request: &Request<'_>) -> Result<(), Reason<'static>> {
    if request.source == Source::Exchange {
        return Ok(());
    }
    let accepted = policy.accepted[request.action as usize][request.source.kind() as usize];
    if accepted & (1 << request.authenticated.kind() as u8) == 0 {
        let sentence = "this is not open to who has not shown who they are in a way that the policy takes";
        return Err(Reason::new(ReasonKind::NotAuthenticated, FORBIDDEN, sentence));
    }
    match request.authenticated {
        Authentication::Signature(facts) => signature(policy, facts),
        _ => Ok(()),
    }
}

/// Whose key it is comes first: what else is known of a signature means nothing when it was made with another.
fn signature(policy: &Policy, facts: SignatureFacts) -> Result<(), Reason<'static>> {
    let age_s_max = policy.definition.authenticity.signature_age_max.as_secs();
    if !facts.key_matches {
        let sentence = "the signature was made with another key than the registered one";
        return Err(Reason::new(ReasonKind::KeyMismatch, FORBIDDEN, sentence));
    }
    if !facts.verifies {
        return Err(Reason::new(ReasonKind::BadSignature, FORBIDDEN, "the signature is wrong"));
    }
    if facts.age_s.unsigned_abs() > age_s_max {
        let sentence = "the signature is too old, or from a clock that is ahead of ours";
        return Err(Reason::new(ReasonKind::Stale, FORBIDDEN, sentence));
    }
    if facts.nonce_seen {
        return Err(Reason::new(ReasonKind::Replayed, FORBIDDEN, "the signature was used before"));
    }
    Ok(())
}

/// Is the identity in good standing?
pub(crate) fn identity(policy: &Policy, reading: &Reading<'_, '_>) -> Result<(), Reason<'static>> {
    match reading.entry.map(|entry| entry.status) {
        Some(Status::Suspended) => Err(Reason::new(ReasonKind::Suspended, FORBIDDEN, "the identity is suspended")),
        Some(Status::Revoked) => Err(Reason::new(ReasonKind::Revoked, FORBIDDEN, "the identity is revoked")),
        Some(Status::Active) if reading.request.source != Source::Anonymous => Ok(()),
        _ => unlisted(policy, reading.request),
    }
}

/// Trunks, and the exchange itself, are known by configuration.
fn unlisted(policy: &Policy, request: &Request<'_>) -> Result<(), Reason<'static>> {
    let known = matches!(request.source, Source::Trunk(_) | Source::Exchange);
    if known || policy.definition.identity.unlisted[request.action] == Unlisted::Approve {
        return Ok(());
    }
    Err(Reason::new(ReasonKind::Unlisted, FORBIDDEN, "the identity is not in the registry"))
}

/// What the codec gate makes of an offer.
pub(crate) enum Codecs {
    /// All of it may stay.
    Untouched,
    /// These may stay, or be offered where nothing was.
    Left { left: Box<[Codec]>, lists: Box<CodecLists> },
    /// Nothing may.
    NoneLeft(Box<CodecLists>),
}

/// Which codecs may be used: what the policy allows for the source, and of that what rules have left.
pub(crate) fn codecs(policy: &Policy, reading: &Reading<'_, '_>, by_rules: Option<&[Codec]>) -> Codecs {
    let by_policy = allowed(policy, reading);
    let offered = reading.request.codecs;
    let no_media = offered.is_empty() && !policy.definition.codec.actions.contains(&reading.request.action);
    if no_media || (by_policy.is_none() && by_rules.is_none()) {
        return Codecs::Untouched;
    }
    let may = |codec: Codec| [by_policy, by_rules].into_iter().flatten().all(|list| list.contains(&codec));
    let touched = by_rules.is_some() || offered.is_empty() || !all_stay(offered, may);
    if !touched {
        return Codecs::Untouched;
    }
    let lists: Vec<Codec> = by_policy.or(by_rules).unwrap_or_default().to_vec();
    let allowed: Box<[Codec]> = with_companions(lists.into_iter().filter(|codec| may(*codec)).collect());
    let left: Box<[Codec]> = if offered.is_empty() { allowed.clone() } else { intersection(offered, may) };
    let lists = Box::new(CodecLists { offered: offered.into(), allowed });
    if left.is_empty() { Codecs::NoneLeft(lists) } else { Codecs::Left { left, lists } }
}

/// The list that the policy has for the source; `None` when any codec will do.
pub(crate) fn allowed<'p>(policy: &'p Policy, reading: &Reading<'_, '_>) -> Option<&'p [Codec]> {
    let gate = &policy.definition.codec;
    if !gate.actions.contains(&reading.request.action) {
        return None;
    }
    let of_trunk = match reading.request.source {
        Source::Trunk(name) => policy.codecs.trunks.find(name),
        _ => None,
    };
    let list = of_trunk.or_else(|| policy.codecs.classes.find(reading.class)).map(|list| &**list);
    list.or(gate.allowed.as_deref())
}

fn all_stay(offered: &[Codec], may: impl Fn(Codec) -> bool) -> bool {
    let audio = offered.iter().any(|codec| codec.kind() == Kind::Audio);
    offered.iter().all(|codec| if codec.kind() == Kind::BesideAudio { audio } else { may(*codec) })
}

/// What was offered and may stay, in the order offered. Digits and comfort noise ride along when any audio stays, and
/// never alone.
fn intersection(offered: &[Codec], may: impl Fn(Codec) -> bool) -> Box<[Codec]> {
    let audio = offered.iter().any(|codec| codec.kind() == Kind::Audio && may(*codec));
    let stays = |codec: &Codec| if codec.kind() == Kind::BesideAudio { audio } else { may(*codec) };
    offered.iter().copied().filter(stays).collect()
}

/// Where the exchange is to offer, what rides along with audio is among it.
fn with_companions(mut allowed: Vec<Codec>) -> Box<[Codec]> {
    allowed.retain(|codec| codec.kind() != Kind::BesideAudio);
    if allowed.iter().any(|codec| codec.kind() == Kind::Audio) {
        allowed.extend([Codec::TelephoneEvent, Codec::ComfortNoise]);
    }
    allowed.into()
}

/// The rate that holds for whoever asks.
pub(crate) fn rate_of(policy: &Policy, reading: &Reading<'_, '_>) -> Rate {
    let request = reading.request;
    let gate = &policy.definition.rate;
    if !gate.actions.contains(&request.action) {
        return Rate::UNLIMITED;
    }
    let of_trunk = || match request.source {
        Source::Trunk(name) => policy.rates.trunks.find(name),
        _ => None,
    };
    let own = Some(request.identity).filter(|_| request.source != Source::Anonymous);
    let named = own.and_then(|identity| policy.identity_rates.find(identity)).or_else(of_trunk);
    match (named.or_else(|| policy.rates.classes.find(reading.class)), request.source) {
        (Some(rate), _) => *rate,
        (None, Source::User | Source::Anonymous) => gate.users,
        (None, Source::Trunk(_) | Source::Exchange) => Rate::UNLIMITED,
    }
}

/// Are there not too many requests and calls?
pub(crate) fn rate(policy: &Policy, reading: &Reading<'_, '_>) -> Result<(), Reason<'static>> {
    let rate = rate_of(policy, reading);
    if rate.limit != u32::MAX && reading.request.recent >= rate.limit {
        let reason = Reason::new(ReasonKind::RateExceeded, TOO_MANY_REQUESTS, "too many requests in too short a time");
        // What is refused is not counted: once the window has passed there is room for certain.
        return Err(reason.retry_after(rate.window.as_secs().max(1)));
    }
    if rate.calls_max != u32::MAX && reading.request.calls >= rate.calls_max {
        let reason = Reason::new(ReasonKind::TooManyCalls, TOO_MANY_REQUESTS, "too many calls at a time");
        return Err(reason.retry_after(RETRY_WHEN_FULL_S));
    }
    Ok(())
}
