//! Facts to try a policy with, from TOML or JSON.

use super::rules::with_scheme;
use super::{boxed, json};
use crate::error::{ConfigError, Problem, sorted};
use crate::keys;
use crate::reader::{Reader, Run};
use crate::said::{self, Origin};
use crate::source::{Memory, read_text};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use sx_guard::{
    Action, Authentication, AuthenticationKind, Bandwidth, Country, EscalationFacts, PersonalData, Request,
    SignatureFacts, Source, SourceKind, Specialists,
};
use sx_types::{Codec, Transport};

/// The facts of a request, not borrowed from anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRequest {
    /// What is asked for.
    pub action: Action,
    /// The kind of source.
    pub source: SourceKind,
    /// The trunk, when it comes from one.
    pub trunk: Box<str>,
    /// Who asks.
    pub identity: Box<str>,
    /// The address it came from.
    pub address: IpAddr,
    /// What it came over.
    pub transport: Transport,
    /// The country of the address.
    pub country: Option<Country>,
    /// The organisation of who asks; empty for that of the registry.
    pub organisation: Box<str>,
    /// How they have shown who they are.
    pub authenticated: Authentication,
    /// Whom or what it is for.
    pub subject: Box<str>,
    /// The codecs offered.
    pub codecs: Vec<Codec>,
    /// What else was offered.
    pub other_codecs: Vec<Box<str>>,
    /// How suspicious the source is, from 0 to 1000.
    pub score_milli: u32,
    /// Requests within the window.
    pub recent: u32,
    /// Calls at the moment.
    pub calls: u32,
    /// The hour of the day in UTC.
    pub hour_utc: u8,
    /// The day of the week in UTC, from 0 for Monday.
    pub weekday: u8,
    /// What is known of an escalation.
    pub escalation: Option<EscalationFacts>,
}

impl OwnedRequest {
    /// The same facts, as the guard takes them.
    pub fn as_request(&self) -> Request<'_> {
        Request {
            action: self.action,
            source: match self.source {
                SourceKind::Trunk => Source::Trunk(&self.trunk),
                SourceKind::User => Source::User,
                SourceKind::Anonymous => Source::Anonymous,
                SourceKind::Exchange => Source::Exchange,
            },
            identity: &self.identity,
            address: self.address,
            transport: self.transport,
            country: self.country.map(|country| country.0),
            organisation: &self.organisation,
            authenticated: self.authenticated,
            subject: &self.subject,
            codecs: &self.codecs,
            other_codecs: &self.other_codecs,
            score_milli: self.score_milli,
            recent: self.recent,
            calls: self.calls,
            hour_utc: self.hour_utc,
            weekday: self.weekday,
            escalation: self.escalation,
        }
    }
}

/// Reads facts from a file, TOML or JSON.
///
/// # Errors
/// Everything that is wrong, sorted by line.
pub fn read_facts_file(path: &Path) -> Result<OwnedRequest, Vec<ConfigError>> {
    let text = read_text(path).map_err(|error| vec![error])?;
    read(&path.display().to_string(), &text)
}

/// Reads facts from a text: JSON when it begins with a brace, else TOML. Errors name it `text`.
///
/// # Errors
/// Everything that is wrong, sorted by line.
pub fn read_facts(text: &str) -> Result<OwnedRequest, Vec<ConfigError>> {
    read("text", text)
}

fn read(file: &str, text: &str) -> Result<OwnedRequest, Vec<ConfigError>> {
    // Some editors begin a file with a mark of its byte order.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(error) = no_object(file, text) {
        return Err(vec![error]);
    }
    let is_json = text.trim_start().starts_with('{');
    let (table, errors) = if is_json { json::parse(file, text) } else { said::parse(file, text) };
    if said::is_broken(&errors) {
        return Err(sorted(errors));
    }
    let outside = Memory { env: BTreeMap::new() };
    let run = Run { keys: &keys::FACTS, outside: &outside, errors: RefCell::new(errors.into()) };
    let request = request(&Reader::top(&run, &table, Origin::new(file, 0)));
    let errors = run.errors.into_inner().into_errors();
    if errors.is_empty() { Ok(request) } else { Err(sorted(errors)) }
}

/// What is JSON and yet no facts: a list of requests, most likely.
fn no_object(file: &str, text: &str) -> Option<ConfigError> {
    let value = serde_json::from_str::<serde_json::Value>(text).ok().filter(|value| !value.is_object())?;
    let what = match value {
        serde_json::Value::Array(_) => "a list",
        _ => "a single value",
    };
    let problem = format!(
        "it is JSON, and {what}; the facts of one request are one object: {{ \"identity\": \"anna@example.org\" }}"
    );
    Some(Origin::new(file, 1).error("", String::new(), Problem::Conflict(problem)))
}

fn request(top: &Reader<'_>) -> OwnedRequest {
    let identity = boxed(top.text_if_said("identity"));
    let source = top.choice("source", SourceKind::User);
    if top.has("trunk") && source != SourceKind::Trunk {
        top.conflict(&["trunk"], "needs source = \"trunk\"");
    }
    let others: Vec<Arc<str>> = top.tested_list("other_codecs", |_| true);
    let action = top.choice("action", Action::Call);
    let said = top.text("subject");
    if let Some((scheme, bare)) = with_scheme(&said) {
        top.conflict(&["subject"], &format!("whom it is for is said without {scheme:?}; write {bare:?}"));
    }
    OwnedRequest {
        action,
        source,
        trunk: top.text_if_said("trunk").as_deref().map_or_else(|| identity.clone(), Into::into),
        address: top.parsed("address").unwrap_or(Ipv4Addr::LOCALHOST.into()),
        transport: top.choice("transport", Transport::Udp),
        country: top.parsed("country"),
        organisation: boxed(top.text_if_said("organisation")),
        authenticated: authenticated(top, source),
        subject: subject(action, &said),
        codecs: top.choices("codecs"),
        other_codecs: others.iter().map(|name| Box::from(&**name)).collect(),
        score_milli: top.number("score_milli"),
        recent: top.number("recent"),
        calls: top.number("calls"),
        hour_utc: top.number("hour_utc"),
        weekday: top.number("weekday"),
        escalation: escalation(top, action),
        identity,
    }
}

fn escalation(top: &Reader<'_>, action: Action) -> Option<EscalationFacts> {
    if action != Action::Escalation {
        if top.has("escalation") {
            top.conflict(&["escalation"], "needs action = \"escalation\"");
        }
        return None;
    }
    let said = top.section("escalation");
    Some(EscalationFacts {
        standing: said.choice_if_said("standing"),
        emergency: said.flag("emergency"),
        personal: PersonalData {
            redacted: said.number("pii_redacted"),
            declared: said.flag("pii_declared"),
            overridden: said.flag("pii_override"),
        },
        bandwidth: Bandwidth { asked_kbps: said.number("asked_kbps"), used_kbps: said.number("used_kbps") },
        members: said.number("members"),
        members_max: said.number("members_max"),
        experts: Specialists {
            knowing: said.number("experts_knowing"),
            allowed: said.number("experts_allowed"),
            rested: said.number("experts_rested"),
            obstacle: said.choice_if_said("obstacle"),
        },
    })
}

/// Whom it is for, as the exchange judges it: what is called with its escapes undone, a number without its separators. What registers is a user, and
/// its name is what it is.
fn subject(action: Action, said: &str) -> Box<str> {
    let (user, domain) = said.split_at(said.rfind('@').unwrap_or(said.len()));
    if action == Action::Register { said.into() } else { (sx_bind_sip::called_user_part(user) + domain).into() }
}

fn authenticated(top: &Reader<'_>, source: SourceKind) -> Authentication {
    let usual = match source {
        SourceKind::User => AuthenticationKind::DigestSha256,
        SourceKind::Trunk => AuthenticationKind::Trunk,
        SourceKind::Anonymous | SourceKind::Exchange => AuthenticationKind::Nothing,
    };
    let kind = top.choice("authenticated", usual);
    if top.has("signature") && kind != AuthenticationKind::Signature {
        top.conflict(&["signature"], "needs authenticated = \"signature\"");
    }
    let signature = top.section("signature");
    match kind {
        AuthenticationKind::Nothing => Authentication::Nothing,
        AuthenticationKind::Trunk => Authentication::Trunk,
        AuthenticationKind::DigestMd5 => Authentication::DigestMd5,
        AuthenticationKind::DigestSha256 => Authentication::DigestSha256,
        AuthenticationKind::Certificate => Authentication::Certificate,
        AuthenticationKind::Signature => Authentication::Signature(SignatureFacts {
            key_matches: signature.flag("key_matches"),
            age_s: signature.number("age_s"),
            nonce_seen: signature.flag("nonce_seen"),
            verifies: signature.flag("verifies"),
        }),
    }
}
