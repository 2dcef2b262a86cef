//! Digits that are sent in the name of a party, as a proxy asks for them: one after the other, each with its pause.

use crate::call::Call;
use crate::engine::{NgCalls, Output, Progress};
use crate::reply::Reply;
use std::collections::VecDeque;
use std::time::Duration;
use sx_engine::{Time, TimerId};
use sx_media::{KEYS_WAITING_MAX, MediaCommand, PortId};
use sx_ng::Request;

/// Digits of a call that wait for their turn, by their time.
#[derive(Debug, Default)]
pub(crate) struct KeysWaiting {
    waiting: VecDeque<(Time, Pressed)>,
    pub(crate) timer: Option<TimerId>,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    port: PortId,
    key: char,
    duration_ms: u16,
}

/// How long a digit lasts, and what follows it waits, in milliseconds; and both where nothing is said of them.
const MS_MIN: i64 = 100;
const MS_MAX: i64 = 5_000;
const DURATION_MS: i64 = 250;
const PAUSE_MS: i64 = 100;

impl NgCalls {
    /// A digit is to be sent in the name of a party, or of everybody.
    pub(crate) fn play_dtmf(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Progress {
        Progress::Done(match self.press(now, call, request) {
            Ok(()) => Reply::Ok,
            Err(reason) => Reply::Error(reason),
        })
    }

    fn press(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Result<(), String> {
        let control = &request.control;
        let meant = call.parties(request)?;
        let senders = call.talking(&meant)?;
        let key = control.code.ok_or("No valid 'code' specified")?.map_err(|error| error.to_string())?;
        let ms = |said: Option<i64>, usual: i64| said.unwrap_or(usual).clamp(MS_MIN, MS_MAX).unsigned_abs();
        let (lasts, pause) = (ms(control.duration_ms, DURATION_MS), ms(control.pause_ms, PAUSE_MS));
        let ports: Vec<PortId> =
            senders.iter().map(|(place, side)| self.pressed_at(call, *place, *side)).collect::<Result<_, _>>()?;
        if call.keys.waiting.len() + ports.len() > KEYS_WAITING_MAX {
            return Err("Too many DTMF events wait".to_owned());
        }
        call.signalled = now;
        let blocks = call.blocks;
        for ((place, side), port) in senders.into_iter().zip(ports) {
            let branch = &mut call.branches[place];
            branch.governed = true;
            self.patch(blocks, branch);
            self.play_on(branch);
            let until = &mut branch.sides[side].keys_until;
            let at = now.max(*until);
            *until = at + Duration::from_millis(lasts + pause);
            let pressed = Pressed { port, key, duration_ms: u16::try_from(lasts).unwrap_or(u16::MAX) };
            let behind = call.keys.waiting.partition_point(|(before, _)| *before <= at);
            call.keys.waiting.insert(behind, (at, pressed));
        }
        self.press_due(now, call);
        Ok(())
    }

    /// The port in whose stream a digit of a party reaches the other one.
    fn pressed_at(&self, call: &Call, place: usize, side: usize) -> Result<PortId, &'static str> {
        let branch = &call.branches[place];
        if branch.sides[1 - side].plays.is_going() {
            return Err("The other participant hears a media file, and nothing else");
        }
        let ways = |port: &crate::call::Port| Some((port.id, self.governed(&branch.sides, port.stream)?));
        let (port, ways) =
            branch.sides[side].ports.iter().find_map(ways).ok_or("Monologue has no media capable of DTMF injection")?;
        let way = &ways[side];
        let is_heard = way.takes_events() || self.codes(way);
        is_heard.then_some(port).ok_or("Sink monologue has no media capable of DTMF playback")
    }

    /// Sends the digits whose turn it is.
    pub(crate) fn press_due(&mut self, now: Time, call: &mut Call) {
        while let Some((_, Pressed { port, key, duration_ms })) = call.keys.waiting.pop_front_if(|(at, _)| *at <= now) {
            self.out.push_back(Output::Media(MediaCommand::Press { port, key, duration_ms }));
        }
        let next = call.keys.waiting.front().map(|(at, _)| *at);
        self.press_at(call, next);
    }
}
