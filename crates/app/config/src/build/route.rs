//! `[[route]]`.

use super::sounds;
use super::{order, refuse_same_names};
use crate::error::Problem;
use crate::meant::{Callers, NumberMatch, Room, Route, Sip, SoundSettings, Target, TargetKind, Trunk, UserRewrite};
use crate::reader::Reader;
use crate::value::is_user;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use sx_types::Cause;

/// What a route may lead to, by name.
struct Named<'t> {
    trunks: BTreeMap<&'t str, &'t Trunk>,
    rooms: BTreeSet<&'t str>,
    sounds: &'t SoundSettings,
}

pub(crate) fn routes(
    top: &Reader<'_>,
    sip: &Sip,
    sounds: &SoundSettings,
    (trunks, rooms): (&[Arc<Trunk>], &[Arc<Room>]),
) -> Vec<Arc<Route>> {
    let entries = top.entries("route");
    refuse_same_names(&entries);
    let named = Named {
        trunks: trunks.iter().map(|trunk| (&*trunk.name, &**trunk)).collect(),
        rooms: rooms.iter().map(|room| &*room.name).collect(),
        sounds,
    };
    entries.iter().map(|entry| Arc::new(route(entry, sip, &named))).collect()
}

fn route(entry: &Reader<'_>, sip: &Sip, named: &Named<'_>) -> Route {
    let targets = targets(entry, named);
    let (number, shortest) = number(entry);
    let route = Route {
        name: entry.text("name"),
        callers: callers(entry, named, &targets),
        number,
        strip: entry.number("strip"),
        prepend: entry.tested("prepend", is_number).unwrap_or_default(),
        targets,
        ring_timeout: entry.number_if_said("ring_timeout_s").map_or(sip.ring_timeout, Duration::from_secs),
    };
    if let Some(shortest) = shortest.filter(|shortest| route.strip > *shortest) {
        let problem = format!("takes off more than the {shortest} characters that a number is sure to have");
        entry.conflict(&["strip"], &problem);
    }
    if route.ring_timeout > sip.invite_timeout {
        entry.conflict(&["ring_timeout_s"], "must not exceed sip.invite_timeout_s");
    }
    route
}

fn callers(entry: &Reader<'_>, named: &Named<'_>, targets: &[Target]) -> Callers {
    if !entry.has("from_trunk") && !entry.has("from_users") {
        // What comes from one carrier must not leave at our cost by another because nobody has thought of it.
        let stays = |kind: &TargetKind| {
            matches!(kind, TargetKind::Users | TargetKind::Room(_) | TargetKind::Announcement { .. })
        };
        let stays = targets.iter().all(|target| stays(&target.kind));
        return if stays { Callers::Anyone } else { Callers::Only { trunks: Vec::new(), users: true } };
    }
    let from = if entry.has("from_trunk") { entry.tested_list("from_trunk", |_| true) } else { Vec::new() };
    for name in &from {
        named.refuse_unknown_trunk(entry, "from_trunk", name);
    }
    let users = entry.flag("from_users");
    if from.is_empty() && !users {
        entry.conflict(&["from_trunk", "from_users"], "nobody's calls: name a trunk or let users in");
    }
    Callers::Only { trunks: from, users }
}

/// The numbers that it is for, and how many characters each is sure to have; `None` where that cannot be told. Of several
/// that are said it is the most: whichever stays, it has no more.
fn number(entry: &Reader<'_>) -> (NumberMatch, Option<usize>) {
    let given = ["exact", "prefix", "pattern"].iter().filter(|name| entry.has(name)).count();
    if given > 1 {
        entry.conflict(&["exact", "prefix", "pattern"], "only one of exact, prefix and pattern");
    }
    let exact = entry.tested("exact", is_number).map(NumberMatch::Exact);
    let prefix = entry.tested("prefix", is_number).map(NumberMatch::Prefix);
    let pattern = entry.parsed("pattern").map(NumberMatch::Pattern);
    let good: Vec<NumberMatch> = [exact, prefix, pattern].into_iter().flatten().collect();
    let shortest = good.iter().map(NumberMatch::shortest).max();
    let shortest =
        if given == 0 { Some(NumberMatch::Any.shortest()) } else { shortest.filter(|_| good.len() == given) };
    (good.into_iter().next().unwrap_or(NumberMatch::Any), shortest)
}

fn targets(entry: &Reader<'_>, named: &Named<'_>) -> Vec<Target> {
    let mut targets = Vec::new();
    for (index, to) in entry.entries("to").iter().enumerate() {
        let (weight, priority) = order(to, index);
        if let Some(kind) = target_kind(to, named) {
            targets.push(Target { kind, weight, priority });
        }
    }
    if targets.is_empty() && entry.has("to") {
        entry.conflict(&["to"], "at least one target is needed");
    }
    // Stable: targets of one priority keep the order in which they are written.
    targets.sort_by_key(|target| target.priority);
    targets
}

fn target_kind(to: &Reader<'_>, named: &Named<'_>) -> Option<TargetKind> {
    let trunk = to.text_if_said("trunk");
    let users = to.flag_if_said("users");
    let room = to.text_if_said("room");
    let announcement = sounds::sound(to, "announcement", named.sounds);
    let dialled = to.flag_if_said("dialled");
    let uri = to.parsed("uri").map(TargetKind::Uri);
    let rewrite = to.tested("user_rewrite", is_rewrite).map(UserRewrite);
    if ["trunk", "users", "room", "announcement", "uri", "dialled"].iter().filter(|name| to.has(name)).count() != 1 {
        to.refuse(
            "",
            Problem::Conflict("needs exactly one of trunk, users, room, announcement, uri and dialled".into()),
        );
        return None;
    }
    for (key, flag) in [("users", users), ("dialled", dialled)] {
        if flag == Some(false) {
            to.conflict(&[key], "may only be true");
        }
    }
    if to.has("user_rewrite") && trunk.is_none() {
        to.conflict(&["user_rewrite"], "goes only with trunk");
    }
    for key in ["answer", "cause"].into_iter().filter(|key| to.has(key) && announcement.is_none()) {
        to.conflict(&[key], "goes only with announcement");
    }
    if let Some(sound) = announcement {
        return Some(TargetKind::Announcement { sound, answer: to.flag("answer"), cause: Cause(to.number("cause")) });
    }
    match (trunk, room) {
        (Some(name), _) => {
            named.refuse_unknown_trunk(to, "trunk", &name);
            named.refuse_unreachable(to, &name);
            Some(TargetKind::Trunk { name, user_rewrite: rewrite? })
        }
        (None, Some(name)) => {
            named.refuse_unknown_room(to, &name);
            Some(TargetKind::Room(name))
        }
        (None, None) if dialled.is_some() => Some(TargetKind::Dialled),
        (None, None) => uri.or(Some(TargetKind::Users)),
    }
}

impl Named<'_> {
    fn refuse_unknown_trunk(&self, entry: &Reader<'_>, key: &str, name: &str) {
        if !self.trunks.contains_key(name) {
            refuse_unknown(entry, key, "trunk", self.trunks.keys());
        }
    }

    fn refuse_unknown_room(&self, entry: &Reader<'_>, name: &str) {
        if !self.rooms.contains(name) {
            refuse_unknown(entry, "room", "room", self.rooms.iter());
        }
    }

    fn refuse_unreachable(&self, entry: &Reader<'_>, name: &str) {
        if self.trunks.get(name).is_some_and(|trunk| trunk.addresses.is_empty()) {
            entry.conflict(&["trunk"], "this trunk has no addresses to call");
        }
    }
}

fn refuse_unknown<'n>(entry: &Reader<'_>, key: &str, kind: &str, known: impl Iterator<Item = &'n &'n str>) {
    let names: Vec<_> = known.map(|name| format!("\"{name}\"")).take(20).collect();
    let known = if names.is_empty() { "there is none".into() } else { names.join(", ") };
    entry.refuse(key, Problem::NotAllowed { allowed: format!("the name of a {kind} ({known})") });
}

/// A user part that is no longer than a number can be.
fn is_number(text: &str) -> bool {
    const LENGTH_MAX: usize = 64;
    text.len() <= LENGTH_MAX && is_user_or_hash(text)
}

/// `#` is dialled and written here as itself; on the wire it is escaped.
fn is_user_or_hash(text: &str) -> bool {
    is_user(&text.replace('#', "*"))
}

fn is_rewrite(text: &str) -> bool {
    is_number(&text.replace("{user}", "0"))
}
