//! A session as a value that another process can go on with.

use super::{Abilities, Acknowledged, Change, Phase, Refresh, Session, SessionId};
use crate::agent::Core;
use crate::dialog::Dialog;
use crate::digest::Credentials;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_engine::Time;

/// An established session. Timers are started anew where it is restored; what challenges are answered with is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSnapshot {
    /// The dialog.
    pub dialog: Dialog,
    /// The description we sent last.
    pub local_description: Option<String>,
    /// The number of the INVITE whose 2xx we acknowledge when it comes again.
    pub ack_seq: u32,
    /// The session timer's interval in seconds; 0 for none.
    pub interval_s: u32,
    /// Do we refresh?
    pub refreshes: bool,
    /// Does the peer know UPDATE?
    pub peer_update: bool,
    /// Does the peer know reliable provisional responses?
    pub peer_reliable: bool,
    /// Does the peer know session timers?
    pub peer_timer: bool,
}

impl Session {
    /// The session as a value; `None` unless it is established and no change is under way.
    pub(crate) fn snapshot(&self) -> Option<SessionSnapshot> {
        let (Phase::Established { ack }, true) = (&self.phase, self.change.is_none()) else { return None };
        Some(SessionSnapshot {
            dialog: self.dialog.clone(),
            local_description: self.local_description.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            ack_seq: ack.seq,
            interval_s: self.refresh.interval_s,
            refreshes: self.refresh.ours,
            peer_update: self.peer.update,
            peer_reliable: self.peer.reliable,
            peer_timer: self.peer.timer,
        })
    }

    pub(crate) fn restore(
        id: SessionId,
        owner: u64,
        core: &mut Core,
        now: Time,
        snapshot: SessionSnapshot,
        credentials: Option<Arc<Credentials>>,
    ) -> Self {
        let (update, reliable, timer) = (snapshot.peer_update, snapshot.peer_reliable, snapshot.peer_timer);
        let mut session = Self {
            id,
            owner,
            dialog: snapshot.dialog,
            phase: Phase::Established { ack: Acknowledged { seq: snapshot.ack_seq, ..Acknowledged::default() } },
            change: Change::None,
            peer: Abilities { update, reliable, requires_reliable: false, timer },
            local_description: snapshot.local_description.map(Bytes::from),
            refresh: Refresh { interval_s: snapshot.interval_s, ours: snapshot.refreshes, ..Refresh::default() },
            refer: None,
            unacknowledged: None,
            credentials,
        };
        session.refresh.start(core, id, now);
        session
    }
}
