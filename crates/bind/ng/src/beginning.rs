//! Requests that need no call, and the call that is meant by all others.

use crate::blocking::Blocks;
use crate::call::Call;
use crate::engine::{NgCalls, UNIQUE_MASK};
use crate::keys::KeysWaiting;
use crate::recording::Recorded;
use crate::reply::Reply;
use std::collections::VecDeque;
use sx_engine::Time;
use sx_ng::{Command, Request};

impl NgCalls {
    /// What needs no call is answered at once.
    pub(crate) fn without_call(&mut self, now: Time, request: &Request<'_>) -> Option<Reply> {
        let missing = |what: &str| Some(Reply::Error(format!("No {what} in message")));
        match request.command {
            Command::Statistics => return Some(Reply::Report(self.statistics(now))),
            Command::List => return Some(self.list(request)),
            Command::Offer | Command::Answer => {
                if request.sdp.is_none() {
                    return missing("SDP body");
                } else if request.call_id.is_none() {
                    return missing("call-id");
                } else if request.from_tag.is_none() {
                    return missing("from-tag");
                } else if request.command == Command::Answer && request.to_tag.is_none() {
                    return missing("to-tag");
                }
            }
            Command::Ping => {}
            Command::Forwarding | Command::Subscription => {
                return Some(Reply::error("This media engine does not support that command"));
            }
            _ if request.call_id.is_none() => return missing("call-id"),
            _ => {}
        }
        let known = request.call_id.is_some_and(|id| self.names.contains_key(id));
        match request.command {
            _ if known => None,
            Command::Answer
            | Command::Query
            | Command::StartRecording
            | Command::StopRecording
            | Command::PauseRecording => Some(Reply::error("Unknown call-id")),
            Command::Delete => Some(Reply::not_found(request.options.fatal)),
            Command::Offer | Command::Ping => None,
            // As other engines write it with these.
            _ => Some(Reply::error("Unknown call-ID")),
        }
    }

    /// The number of the call that is meant, which begins with its first offer. `None`: there is no room.
    pub(crate) fn unique_for(&mut self, now: Time, request: &Request<'_>) -> Option<u64> {
        let id = request.call_id.unwrap_or_default();
        if let Some(unique) = self.names.get(id) {
            return Some(*unique);
        }
        if self.draining || self.calls.len() >= self.settings.calls_max {
            self.counts.rejected += 1;
            return None;
        }
        let unique = self.free_unique();
        self.names.insert(id.into(), unique);
        let call = Call {
            unique,
            id: id.into(),
            created: now,
            signalled: now,
            heard: now,
            received: 0,
            branches: Vec::new(),
            last_index: 0,
            waiting: VecDeque::new(),
            counting: 0,
            watching: false,
            timer: None,
            impatience: None,
            last_answer: 0,
            blocks: Blocks::default(),
            last_played: 0,
            keys: KeysWaiting::default(),
            recorded: Recorded::default(),
        };
        self.calls.insert(unique, Box::new(call));
        self.counts.begun += 1;
        Some(unique)
    }

    fn free_unique(&mut self) -> u64 {
        loop {
            self.last_unique = (self.last_unique + 1) & UNIQUE_MASK;
            if !self.calls.contains_key(&self.last_unique) {
                return self.last_unique;
            }
        }
    }
}
