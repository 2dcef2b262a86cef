//! The gates.

use crate::decision::{CodecLists, Reason, ReasonKind};
use crate::definition::{AuthenticityGate, Rate, Status, Unlisted};
use crate::facts::{Action, Authentication, EscalationFacts, Obstacle, Request, SignatureFacts, Source, SourceKind};
use crate::policy::Policy;
use crate::reading::Reading;
use sx_types::{Codec, Kind};

/// After how long another try makes sense for somebody who has all the calls they may have.
const RETRY_WHEN_FULL_S: u64 = 10;
/// The same for experts who were rung too often.
const RETRY_WHEN_RUNG_S: u64 = 60;

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
        return Err(Reason::new(ReasonKind::NotAuthenticated, sentence));
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
        return Err(Reason::new(ReasonKind::KeyMismatch, sentence));
    }
    if !facts.verifies {
        return Err(Reason::new(ReasonKind::BadSignature, "the signature is wrong"));
    }
    if facts.age_s.unsigned_abs() > age_s_max {
        let sentence = "the signature is too old, or from a clock that is ahead of ours";
        return Err(Reason::new(ReasonKind::Stale, sentence));
    }
    if facts.nonce_seen {
        return Err(Reason::new(ReasonKind::Replayed, "the signature was used before"));
    }
    Ok(())
}

/// Is the identity in good standing?
pub(crate) fn identity(policy: &Policy, reading: &Reading<'_, '_>) -> Result<(), Reason<'static>> {
    match status_of(reading) {
        Some(Status::Suspended) => Err(Reason::new(ReasonKind::Suspended, "the identity is suspended")),
        Some(Status::Revoked) => Err(Reason::new(ReasonKind::Revoked, "the identity is revoked")),
        Some(Status::Active) if reading.request.source != Source::Anonymous => Ok(()),
        _ => unlisted(policy, reading.request),
    }
}

/// How the identity stands: as the policy's registry and that of the guardians have it, the worse of the two.
pub(crate) fn status_of(reading: &Reading<'_, '_>) -> Option<Status> {
    let among_guardians = reading.request.escalation.and_then(|escalation| escalation.standing);
    let said = [reading.entry.map(|entry| entry.status), among_guardians];
    said.into_iter().flatten().max()
}

/// Is what is said about persons blotted out?
pub(crate) fn pii(request: &Request<'_>) -> Result<(), Reason<'static>> {
    let Some(escalation) = &request.escalation else { return Ok(()) };
    let personal = escalation.personal;
    if personal.declared && !(escalation.emergency && personal.overridden) {
        let sentence = "personal data that is to stay in the text may only be sent in an emergency that overrides this";
        return Err(Reason::new(ReasonKind::UnredactedPii, sentence));
    }
    Ok(())
}

/// Is there somebody to be rung?
pub(crate) fn specialisation(request: &Request<'_>) -> Result<(), Reason<'static>> {
    let Some(escalation) = &request.escalation else { return Ok(()) };
    let experts = escalation.experts;
    match (experts.knowing, experts.allowed, experts.obstacle) {
        (0, ..) => Err(Reason::new(ReasonKind::NoSpecialist, "no expert knows about this hazard")),
        (_, 0, Some(Obstacle::OtherOrganisation)) => {
            Err(Reason::new(ReasonKind::BadSource, "whoever asks is of another organisation than those who know"))
        }
        (_, 0, Some(Obstacle::OtherNetwork)) => {
            Err(Reason::new(ReasonKind::BadSource, "whoever asks comes from no network of those who know"))
        }
        (_, 0, Some(Obstacle::NotApproved) | None) => {
            Err(Reason::new(ReasonKind::ExpertNotApproved, "no expert who knows about this hazard is approved"))
        }
        _ => Ok(()),
    }
}

/// How much bandwidth the calls of whoever asks may take.
pub(crate) fn quota_kbps(policy: &Policy, escalation: &EscalationFacts) -> u32 {
    let gate = &policy.definition.fairness;
    match escalation.standing {
        _ if escalation.emergency => gate.emergency_kbps,
        Some(_) => gate.guardian_kbps,
        None => gate.user_kbps,
    }
}

/// Does whoever asks take no more than their share?
pub(crate) fn fairness(policy: &Policy, request: &Request<'_>) -> Result<(), Reason<'static>> {
    let Some(escalation) = &request.escalation else { return Ok(()) };
    let quota = quota_kbps(policy, escalation);
    let asked = escalation.bandwidth.used_kbps.saturating_add(escalation.bandwidth.asked_kbps);
    if quota != u32::MAX && asked > quota {
        let reason =
            Reason::new(ReasonKind::BandwidthExceeded, "the calls of whoever asks would take too much bandwidth");
        return Err(reason.retry_after(RETRY_WHEN_FULL_S));
    }
    if escalation.members >= escalation.members_max {
        return Err(Reason::new(ReasonKind::RoomFull, "the room is full").retry_after(RETRY_WHEN_FULL_S));
    }
    Ok(())
}

/// Trunks, and the exchange itself, are known by configuration.
fn unlisted(policy: &Policy, request: &Request<'_>) -> Result<(), Reason<'static>> {
    let known = matches!(request.source, Source::Trunk(_) | Source::Exchange);
    if known || policy.definition.identity.unlisted[request.action] == Unlisted::Approve {
        return Ok(());
    }
    Err(Reason::new(ReasonKind::Unlisted, "the identity is not in the registry"))
}

/// What the codec gate makes of an offer.
pub(crate) enum Codecs {
    /// No list is for it: any codec will do.
    Any,
    /// What is allowed, of which something was offered, or nothing was offered yet.
    Bound(Box<CodecLists>),
    /// Nothing of what was offered is allowed.
    NoneLeft(Box<CodecLists>),
}

/// Which codecs may be used: what the policy allows for the source, and of that what rules have left. Where there is a list
/// it is said whatever was offered: it binds what is offered later, too.
pub(crate) fn codecs(policy: &Policy, reading: &Reading<'_, '_>, by_rules: Option<&[Codec]>) -> Codecs {
    let by_policy = allowed(policy, reading);
    let (offered, others) = (reading.request.codecs, reading.request.other_codecs);
    let nothing_offered = offered.is_empty() && others.is_empty();
    let no_media = nothing_offered && !policy.definition.codec.actions.contains(&reading.request.action);
    if no_media || (by_policy.is_none() && by_rules.is_none()) {
        return Codecs::Any;
    }
    let may = |codec: Codec| [by_policy, by_rules].into_iter().flatten().all(|list| list.contains(&codec));
    let lists: Vec<Codec> = by_policy.or(by_rules).unwrap_or_default().to_vec();
    let allowed = with_companions(lists.into_iter().filter(|codec| may(*codec)).collect());
    // Digits and comfort noise ride along with sound, and never alone.
    let stays = |codec: &Codec| codec.kind() != Kind::BesideAudio && allowed.contains(codec);
    let some_left = !allowed.is_empty() && (nothing_offered || offered.iter().any(stays));
    let lists = Box::new(CodecLists { offered: offered.into(), others: others.into(), allowed });
    if some_left { Codecs::Bound(lists) } else { Codecs::NoneLeft(lists) }
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

/// What rides along with sound is allowed with it.
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
    let experts = reading.request.escalation.map(|escalation| escalation.experts);
    if experts.is_some_and(|experts| experts.allowed > 0 && experts.rested == 0) {
        let reason = Reason::new(ReasonKind::RateExceeded, "every expert was rung as often of late as they may be");
        return Err(reason.retry_after(RETRY_WHEN_RUNG_S));
    }
    if rate.limit != u32::MAX && reading.request.recent >= rate.limit {
        let reason = Reason::new(ReasonKind::RateExceeded, "too many requests in too short a time");
        // What is refused is not counted: once the window has passed there is room for certain.
        return Err(reason.retry_after(rate.window.as_secs().max(1)));
    }
    if rate.calls_max != u32::MAX && reading.request.calls >= rate.calls_max {
        let reason = Reason::new(ReasonKind::TooManyCalls, "too many calls at a time");
        return Err(reason.retry_after(RETRY_WHEN_FULL_S));
    }
    Ok(())
}
