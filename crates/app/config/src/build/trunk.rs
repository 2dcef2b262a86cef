//! `[[trunk]]`.

use super::media::UNPROTECTED;
use super::sounds;
use super::{order, refuse_same_names};
use crate::error::Problem;
use crate::meant::{
    AssertedIdentity, Credentials, Danger, HeaderRules, Media, MediaMode, Privacy, ReliableProvisional, Sip, Trunk,
    TrunkAddress, TrunkRegistration,
};
use crate::reader::Reader;
use crate::value::{HostPort, SipUri, is_host, is_user};
use crate::words::Switch;
use std::collections::HashMap;
use std::sync::Arc;
use sx_types::{CAUSES, Cause, HoldMusic, Network, SrtpPolicy};

pub(crate) fn trunks(top: &Reader<'_>, sip: &Sip, media: &Media, danger: &Danger) -> Vec<Arc<Trunk>> {
    let entries = top.entries("trunk");
    refuse_same_names(&entries);
    let trunks: Vec<_> = entries.iter().map(|entry| trunk(top, entry, sip, media)).collect();
    refuse_same_sources(&entries, &trunks);
    if !danger.any_source {
        refuse_any_source(&entries, &trunks);
    }
    trunks.into_iter().map(Arc::new).collect()
}

/// Its own, or what all have; a word says that it has none.
fn hold_music(entry: &Reader<'_>, media: &Media) -> Option<HoldMusic> {
    match entry.text_as_said("music_on_hold") {
        None => media.hold_music.clone(),
        Some("none") => None,
        Some(_) => sounds::sound(entry, "music_on_hold", &media.sounds)
            .map(|sound| HoldMusic { sound, when: media.hold_music_when }),
    }
}

fn trunk(top: &Reader<'_>, entry: &Reader<'_>, sip: &Sip, media: &Media) -> Trunk {
    let addresses = addresses(entry);
    let trunk = Trunk {
        name: entry.text("name"),
        sources: entry.parsed_list("sources"),
        credentials: credentials(entry),
        register: entry.has("register").then(|| registration(&entry.section("register"))),
        options_interval: entry.seconds_or_off("options_interval_s"),
        calls_max: entry.number_if_said("calls_max").unwrap_or(sip.calls_max),
        calls_per_s_max: entry.number("calls_per_s_max"),
        codecs_allowed: entry.choices("codecs_allowed"),
        media: entry.choice_if_said("media").unwrap_or(media.mode),
        srtp: entry.choice_if_said("srtp").unwrap_or(media.srtp),
        srtp_keying: entry.choice_if_said("srtp_keying").unwrap_or(media.srtp_keying),
        dtmf: entry.choice_if_said("dtmf").unwrap_or(media.dtmf),
        from_user: entry.tested("from_user", is_user),
        from_domain: entry.tested("from_domain", is_host),
        asserted_identity: entry.choice("asserted_identity", AssertedIdentity::Pass),
        privacy: entry.choice("privacy", Privacy::Honour),
        headers: headers(&entry.section("headers")),
        hold_music: hold_music(entry, media),
        early_media: entry.flag("early_media"),
        reliable_provisional: entry.choice("reliable_provisional", ReliableProvisional::Supported),
        session_timer: entry.choice("session_timer", Switch::On) == Switch::On,
        accept_refer: entry.flag("accept_refer"),
        failover_causes: failover_causes(entry),
        addresses,
    };
    let says = ["srtp", "media"].iter().any(|name| entry.has(name));
    if says && trunk.media == MediaMode::Direct && trunk.srtp == SrtpPolicy::Required {
        let other = [("srtp", "srtp", "required"), ("media", "mode", "direct")];
        let taken_over = other.into_iter().find(|(name, ..)| !entry.has(name)).map(|(name, from, value)| {
            let place = top.origin_in("media", from).map(|origin| format!(" ({origin})")).unwrap_or_default();
            format!("; {name} = {value:?} is that of media.{from}{place}, since the trunk has none of its own")
        });
        entry.conflict(&["srtp", "media"], &format!("{UNPROTECTED}{}", taken_over.unwrap_or_default()));
    }
    let is_said = |name| entry.has(name) && !entry.is_empty_list(name);
    if !["addresses", "sources"].into_iter().any(is_said) {
        // That it registers brings no calls either: what the provider sends would be asked for credentials.
        entry.refuse("", Problem::Conflict("needs addresses or sources: no call could come or go".into()));
    }
    trunk
}

fn addresses(entry: &Reader<'_>) -> Vec<TrunkAddress> {
    let mut addresses = Vec::new();
    for (index, address) in entry.entries("addresses").iter().enumerate() {
        let (weight, priority) = order(address, index);
        if let Some(uri) = address.parsed("uri") {
            addresses.push(TrunkAddress { uri, weight, priority });
        }
    }
    // Stable: entries of one priority keep the order in which they are written.
    addresses.sort_by_key(|address| address.priority);
    addresses
}

fn credentials(entry: &Reader<'_>) -> Option<Credentials> {
    if entry.has("username") != entry.has("password") {
        entry.conflict(&["username", "password"], "username and password are given together or not at all");
    }
    // Each is read whatever the other is, so that an error of one hides none of the other.
    let (username, password) = (entry.text_if_said("username"), entry.secret("password"));
    Some(Credentials { username: username?, password: password? })
}

fn registration(section: &Reader<'_>) -> TrunkRegistration {
    let uri = |name| section.parsed::<SipUri>(name);
    let aor = uri("aor");
    if aor.as_ref().is_some_and(|aor| aor.user.is_none()) {
        section.conflict(&["aor"], "needs a user: sip:user@host");
    }
    TrunkRegistration {
        registrar: uri("registrar").unwrap_or_else(nowhere),
        aor: aor.unwrap_or_else(nowhere),
        expires: section.seconds("expires_s"),
    }
}

/// Stands where a URI was refused; never leaves `build`, because the error does.
fn nowhere() -> SipUri {
    SipUri { secure: false, user: None, host: HostPort { host: "".into(), port: None }, transport: None }
}

fn headers(section: &Reader<'_>) -> HeaderRules {
    let lower = |names: Vec<Arc<str>>| names.iter().map(|name| name.to_ascii_lowercase().into()).collect();
    let set = section.texts("set");
    for (name, _) in &set {
        if !is_token(name) {
            section.conflict(&["set"], &format!("{name:?} is no header name"));
        } else if !sx_bind_sip::may_be_set(name) {
            section.conflict(&["set"], &format!("{name} carries the call itself and cannot be set"));
        }
    }
    HeaderRules {
        pass: lower(section.tested_list("pass", is_header_pattern)),
        set,
        remove: lower(section.tested_list("remove", is_header_pattern)),
    }
}

fn is_header_pattern(text: &str) -> bool {
    let name = text.strip_suffix('*').unwrap_or(text);
    (name.is_empty() && text == "*") || (is_token(name) && !name.contains('*'))
}

/// RFC 3261, section 25.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

fn failover_causes(entry: &Reader<'_>) -> Vec<Cause> {
    let allowing = || CAUSES.iter().filter(|row| row.try_next).map(|row| row.cause).collect();
    let said =
        |numbers: Vec<i64>| numbers.into_iter().filter_map(|number| u8::try_from(number).ok()).map(Cause).collect();
    entry.numbers_if_said("failover_causes").map_or_else(allowing, said)
}

/// Whoever calls would be the trunk, and have what its routes give.
fn refuse_any_source(entries: &[Reader<'_>], trunks: &[Trunk]) {
    for (entry, trunk) in entries.iter().zip(trunks) {
        if trunk.sources.iter().any(|source| source.prefix_bits() == 0) {
            // Said of what is good in the list, whatever else stands there.
            let problem = "everybody would be this trunk: only with any_source in [danger]";
            entry.refuse("sources", Problem::Conflict(problem.to_owned()));
        }
    }
}

/// A call from an address that two trunks claim alike would have no owner.
fn refuse_same_sources(entries: &[Reader<'_>], trunks: &[Trunk]) {
    let mut owners: HashMap<Network, &Arc<str>> = HashMap::new();
    for (entry, trunk) in entries.iter().zip(trunks) {
        for source in &trunk.sources {
            if let Some(owner) = owners.insert(*source, &trunk.name).filter(|owner| **owner != trunk.name) {
                let problem = format!("{source} is a source of trunk {owner} already");
                entry.refuse("sources", Problem::Conflict(problem));
            }
        }
    }
}
