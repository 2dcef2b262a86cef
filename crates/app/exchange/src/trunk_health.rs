//! Whether trunks live: what becomes of their probes, what comes back from calls to them, and how every worker hears of it.
//!
//! The first worker judges for all. A trunk is down that has left its last probe unanswered, unless its calls say otherwise: a
//! provider may carry calls and answer no OPTIONS. Whichever worker has the call tells the first one.
//!
//! ```text
//!  probe answered ──────────────────────────────► up
//!  probe not answered ─┬─ calls are answered ───► up
//!                      └─ none is, or no longer ─► down: called in the last resort, probed again soon
//! ```

use crate::interface::{Output, PeerMessage};
use crate::trunks::{PROBE, TrunkState};
use crate::worker::Worker;
use std::sync::Arc;
use std::time::Duration;
use sx_call::Input as CallInput;
use sx_engine::{Engine, Time};
use sx_leg::{Ended, EndedBy, LegEvent};
use sx_types::LegId;

/// A trunk that does not answer its probes is probed again after so long, or after its interval when that is shorter: whoever
/// comes back is to have calls at once.
const PROBE_AGAIN: Duration = Duration::from_secs(5);

/// For how long such a trunk, which is called when there is nothing better, may say nothing.
const LAST_RESORT: Duration = Duration::from_secs(4);

/// What calls to a trunk say is told to the first worker so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// For how long an answered call shows that a trunk lives which has never answered a probe, so that quiet hours are taken
/// for what they are. One that has answered probes is believed to be down when it leaves one unanswered, and each call since.
const PROOF_HOLDS: Duration = Duration::from_secs(600);

/// A call that nothing came back from says nothing against a trunk that was heard within the time it has waited (timer B).
const SILENT_FOR: Duration = Duration::from_secs(32);

/// What calls have said of a trunk, and when this worker has passed it on.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The last time that a call to it was answered, as far as the first worker knows.
    at: Option<Time>,
    told_alive: Option<Time>,
    told_silent: Option<Time>,
}

/// What probes have said of a trunk.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    /// The last one was answered, or not.
    answered: Option<bool>,
    /// One was answered at some time.
    ever: bool,
    /// When the last one was sent.
    pub(crate) sent: Option<Time>,
}

impl TrunkState {
    fn lives(&self, now: Time) -> bool {
        let proof = self.heard.at.filter(|at| match self.probes.ever {
            true => self.probes.sent.is_some_and(|sent| *at >= sent),
            false => now <= *at + PROOF_HOLDS,
        });
        self.probes.answered != Some(false) || proof.is_some()
    }
}

impl Worker {
    /// A trunk has answered its probe, or not. Any answer but "unavailable" shows that it lives.
    pub(crate) fn probe_done(&mut self, now: Time, owner: u64, status: u16) {
        let number = owner & !PROBE;
        let Some(trunk) = self.trunks.iter_mut().find(|trunk| trunk.number == number) else { return };
        trunk.probing = false;
        if trunk.probe_at.is_none() {
            return;
        }
        let answered = !matches!(status, 408 | 502..=504);
        trunk.probes.answered = Some(answered);
        trunk.probes.ever |= answered;
        if !trunk.lives(now) {
            trunk.probe_at = trunk.probe_at.map(|at| at.min(now + PROBE_AGAIN));
        }
        let name = trunk.name().clone();
        self.judge_trunk(now, &name);
    }

    /// The first worker finds out whether a trunk lives, and tells everybody to whom that is new.
    fn judge_trunk(&mut self, now: Time, name: &Arc<str>) {
        let Some(trunk) = self.trunks.iter().find(|trunk| trunk.name() == name) else { return };
        let healthy = trunk.lives(now);
        if trunk.health == Some(healthy) {
            return;
        }
        self.trunk_is(now, name, healthy);
        self.tell_others(|| PeerMessage::TrunkHealth { trunk: name.clone(), healthy });
    }

    /// Tells the calls of a trunk's health.
    pub(crate) fn trunk_is(&mut self, now: Time, name: &Arc<str>, healthy: bool) {
        let known = self.trunks.iter_mut().find(|trunk| trunk.name() == name);
        let was = known.and_then(|trunk| trunk.health.replace(healthy));
        self.calls.handle_input(now, CallInput::TrunkHealth { trunk: name, healthy });
        // The first worker speaks for all: the others have it from there, and the operator is told once. That a trunk which
        // nobody has missed answers is no news.
        if self.settings.worker == 0 && !(healthy && was.is_none()) {
            self.outputs.push_back(Output::TrunkHealth { trunk: name.clone(), healthy });
        }
        self.count_trunks();
    }

    /// A worker that has new tables, or has only begun, asks the first one what is known of the trunks in them: what it was
    /// told before it had them went nowhere.
    pub(crate) fn ask_of_trunks(&mut self) {
        let (here, probed) = (self.settings.worker, |trunk: &TrunkState| trunk.is_probed && trunk.health.is_none());
        if here != 0 && self.trunks.iter().any(probed) {
            self.outputs.push_back(Output::Peer { worker: 0, message: PeerMessage::TrunksAsked { worker: here } });
        }
    }

    /// Another worker wants to know of the trunks.
    pub(crate) fn tell_of_trunks(&mut self, worker: u16) {
        let known = self.trunks.iter().filter_map(|trunk| Some((trunk.name().clone(), trunk.health?)));
        let told = known.map(|(trunk, healthy)| PeerMessage::TrunkHealth { trunk, healthy });
        self.outputs.extend(told.map(|message| Output::Peer { worker, message }));
    }

    /// For how long a trunk may leave a call without a word, where that is not as long as SIP has it: one that is down, and
    /// one that is probed and has never answered. At the start nobody waits half a minute for what was never there.
    pub(crate) fn silence_max(&self, name: &str) -> Option<Duration> {
        let trunk = self.trunks.iter().find(|trunk| **trunk.name() == *name)?;
        (trunk.health != Some(true) && trunk.is_probed).then_some(LAST_RESORT)
    }

    /// A call goes out to a trunk: what comes back first shows whether it lives, if that is not taken for granted.
    pub(crate) fn listen_to_trunk(&mut self, leg: LegId, name: &Arc<str>) {
        if self.trunks.iter().any(|trunk| trunk.is_probed && trunk.name() == name) {
            self.unheard.insert(leg, name.clone());
        }
    }

    /// Something comes back from a leg.
    pub(crate) fn heard_from(&mut self, now: Time, leg: LegId, event: &LegEvent) {
        let Some(name) = self.unheard.remove(&leg) else { return };
        let alive = match event {
            LegEvent::Ended(Ended { by: EndedBy::Exchange, .. }) => return,
            // These may be said for it by somebody on the way.
            LegEvent::Ended(Ended { by: EndedBy::Peer, status: 408 | 503, .. }) => return,
            LegEvent::Ended(Ended { by: EndedBy::Failure, .. }) => false,
            _ => true,
        };
        let here = self.settings.worker;
        let Some(trunk) = self.trunks.iter_mut().find(|trunk| *trunk.name() == name) else { return };
        let told = if alive { &mut trunk.heard.told_alive } else { &mut trunk.heard.told_silent };
        if told.is_some_and(|told| now < told + TOLD_EVERY) {
            return;
        }
        *told = Some(now);
        if here == 0 {
            self.trunk_heard(now, &name, alive);
        } else {
            let message = PeerMessage::TrunkHeard { trunk: name, alive };
            self.outputs.push_back(Output::Peer { worker: 0, message });
        }
    }

    /// A call to a trunk, of whichever worker, was answered in some way; or nothing came back from it.
    pub(crate) fn trunk_heard(&mut self, now: Time, name: &Arc<str>, alive: bool) {
        let Some(trunk) = self.trunks.iter_mut().find(|trunk| trunk.name() == name) else { return };
        let since = trunk.heard.at.is_some_and(|at| now < at + SILENT_FOR);
        match alive {
            true => trunk.heard.at = Some(now),
            false if !since => trunk.heard.at = None,
            false => {}
        }
        self.judge_trunk(now, name);
    }
}
