//! Deletions, and calls that nobody deletes.

use crate::call::{Branch, Call, PortState};
use crate::engine::{NgCalls, Output, Progress, Waiting};
use crate::reply::Reply;
use std::time::Duration;
use sx_engine::Time;
use sx_media::MediaCommand;
use sx_ng::Request;

impl NgCalls {
    /// A deletion: what the ports have counted is told, and they close when the delay is over.
    pub(crate) fn delete(
        &mut self,
        now: Time,
        call: &mut Call,
        request: &Request<'_>,
        waiting: &mut Waiting,
    ) -> Progress {
        let meant = call.meant(request.from_tag, request.to_tag, request.via_branch);
        if meant.is_empty() {
            return Progress::Done(Reply::not_found(request.options.fatal));
        }
        if !std::mem::replace(&mut waiting.counted, true) {
            self.count(call);
            if call.counting > 0 {
                return Progress::Waits;
            }
        }
        let report = self.report(call, None);
        let delay = request.options.delete_delay.unwrap_or(self.settings.delete_delay);
        call.signalled = now;
        for place in meant.into_iter().rev() {
            if delay.is_zero() {
                self.remove_branch(call, place);
            } else {
                call.branches[place].ends = Some(now + delay);
                call.branches[place].sides.iter_mut().for_each(|side| self.stop_playing(side));
            }
        }
        self.keep_recording(call);
        if !call.branches.is_empty() {
            let next = self.look_interval().map_or(delay, |interval| interval.min(delay));
            self.look_at(call, now + next);
        }
        self.counts.deleted += u64::from(call.branches.iter().all(|branch| branch.ends.is_some()));
        Progress::Done(Reply::Report(report))
    }

    /// Closes the ports of a branch, and forgets it.
    pub(crate) fn remove_branch(&mut self, call: &mut Call, place: usize) {
        let branch = call.branches.remove(place);
        self.keep_recording(call);
        for port in branch.sides.iter().flat_map(|side| &side.ports).filter(|port| port.state != PortState::Failed) {
            self.out.push_back(Output::Media(MediaCommand::Close { port: port.id }));
        }
    }

    /// Closes what is due, and has the others counted.
    pub(crate) fn look(&mut self, now: Time, call: &mut Call) {
        let due = |branch: &Branch| branch.ends.is_some_and(|ends| ends <= now);
        while let Some(place) = call.branches.iter().position(due) {
            self.remove_branch(call, place);
        }
        if call.branches.is_empty() {
            return;
        }
        let ends = call.branches.iter().filter_map(|branch| branch.ends).min();
        let next = [self.look_interval().map(|interval| now + interval), ends].into_iter().flatten().min();
        if let Some(next) = next {
            self.look_at(call, next);
        }
        call.watching = true;
        self.count(call);
        if call.counting == 0 {
            call.watching = false;
            self.judge(now, call);
        }
    }

    /// Ends a call in which nobody has sent anything for too long.
    pub(crate) fn judge(&mut self, now: Time, call: &mut Call) {
        let received = call.ports().map(|port| port.stats.packets_received + port.stats.rtcp_received).sum();
        if received != call.received {
            (call.received, call.heard) = (received, now);
        }
        let talks = call.branches.iter().any(Branch::is_to_be_heard);
        let (since, patience) = match talks {
            true => (call.heard, self.settings.silence_timeout),
            false => (call.heard.max(call.signalled), self.settings.idle_timeout),
        };
        if patience.is_some_and(|patience| now.since(since) >= patience) {
            self.counts.silent += 1;
            while !call.branches.is_empty() {
                self.remove_branch(call, 0);
            }
        }
    }

    /// How often a call is looked at for silence.
    pub(crate) fn look_interval(&self) -> Option<Duration> {
        let shortest = [self.settings.silence_timeout, self.settings.idle_timeout].into_iter().flatten().min()?;
        Some((shortest / 4).max(Duration::from_secs(1)))
    }
}

impl Branch {
    /// Is somebody expected to send?
    fn is_to_be_heard(&self) -> bool {
        let sends = |said: &bytes::Bytes| {
            let streams = sx_media::streams(said).unwrap_or_default();
            streams.iter().any(|stream| !stream.rejected && stream.direction.sends() && !stream.held)
        };
        self.answered && self.sides.iter().filter_map(|side| side.said.as_ref()).any(sends)
    }
}
