//! Sounds that a party hears in the place of the other one, as a proxy asks for them.
//!
//! What can be played are the sounds that the engine was told of, by their names: no request opens a file.

use crate::call::{Branch, Call, PortState, Side};
use crate::engine::{NgCalls, Output, Progress};
use crate::reply::Reply;
use std::sync::Arc;
use sx_engine::Time;
use sx_media::{MediaCommand, PlayOutcome, Playing, PortId};
use sx_ng::{Dictionary, PlayedMedia, Request, Value};

/// What a party is played.
#[derive(Debug, Default)]
pub(crate) struct Plays {
    going: Option<Going>,
    /// It was played something, now or before.
    ever: bool,
}

/// A sound that goes on.
#[derive(Debug)]
struct Going {
    port: PortId,
    told: Box<Playing>,
    /// So many times again when it is over.
    left: u32,
    /// The packet threads have stopped it for something that was patched there.
    interrupted: bool,
}

impl Plays {
    /// Does it hear something of ours?
    pub(crate) fn is_going(&self) -> bool {
        self.going.is_some()
    }

    /// Something was patched to a port.
    pub(crate) fn interrupted(&mut self, to: Option<PortId>) {
        self.going.iter_mut().filter(|going| Some(going.port) == to).for_each(|going| going.interrupted = true);
    }
}

impl NgCalls {
    /// A party, or everybody, is to hear a sound.
    pub(crate) fn play_media(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Progress {
        match self.begin_to_play(call, request) {
            Ok(report) => {
                call.signalled = now;
                Progress::Done(Reply::Report(report))
            }
            Err(reason) => Progress::Done(Reply::error(reason)),
        }
    }

    fn begin_to_play(&mut self, call: &mut Call, request: &Request<'_>) -> Result<Dictionary<'static>, &'static str> {
        let meant = call.parties(request)?;
        let listeners = call.talking(&meant)?;
        let name = match request.control.media.ok_or("No media file specified")? {
            PlayedMedia::File(name) => name,
            PlayedMedia::Blob => {
                return Err("This media engine plays files of its own folder, and none from a request");
            }
            PlayedMedia::Database => {
                return Err("This media engine plays files of its own folder, and none from a database");
            }
        };
        let known = std::str::from_utf8(name).ok().and_then(|name| self.settings.sounds.get_key_value(name));
        let (sound, lasts) = known.ok_or("There is no file of that name among the sounds of this media engine")?;
        let (sound, lasts) = (sound.clone(), *lasts);
        let rounds = request.control.repeat_times.unwrap_or(1).clamp(1, u32::MAX.into());
        let heard = |(place, side): &(usize, usize)| {
            let side = &call.branches[*place].sides[*side];
            self.heard_by(side, &sound).map(|(port, playing)| (*place, port, playing))
        };
        let wanted: Option<Vec<_>> = listeners.iter().map(heard).collect();
        let wanted = wanted.ok_or("The participant takes no sound that this media engine can code")?;
        for ((place, port, playing), (_, side)) in wanted.into_iter().zip(listeners) {
            call.last_played = call.last_played.wrapping_add(1);
            let told = Box::new(Playing { number: call.last_played, ..playing });
            let left = u32::try_from(rounds - 1).unwrap_or(u32::MAX);
            self.say_play(port, Some(told.clone()));
            let going = Some(Going { port, told, left, interrupted: false });
            call.branches[place].sides[side].plays = Plays { going, ever: true };
        }
        let lasts = lasts.map(|lasts| Value::count(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)));
        let report = Dictionary::default();
        Ok(match lasts {
            Some(lasts) => report.with("duration", lasts),
            None => report,
        })
    }

    /// A party, or everybody, is to hear no sound of ours any longer.
    pub(crate) fn stop_media(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Progress {
        let listeners = call.parties(request).and_then(|meant| call.talking(&meant));
        let listeners = match listeners {
            Ok(listeners) => listeners,
            Err(reason) => return Progress::Done(Reply::error(reason)),
        };
        if !listeners.iter().any(|(place, side)| call.branches[*place].sides[*side].plays.ever) {
            return Progress::Done(Reply::error("Not currently playing media"));
        }
        call.signalled = now;
        for (place, side) in listeners {
            self.stop_playing(&mut call.branches[place].sides[side]);
        }
        Progress::Done(Reply::Ok)
    }

    pub(crate) fn stop_playing(&mut self, side: &mut Side) {
        if let Some(going) = side.plays.going.take() {
            self.say_play(going.port, None);
        }
    }

    /// What is played in a branch whose parties have agreed on something else, or was stopped for something that was patched
    /// there, goes on.
    pub(crate) fn play_on(&mut self, branch: &mut Branch) {
        for side in &mut branch.sides {
            let Some(sound) = side.plays.going.as_ref().map(|going| going.told.sound.clone()) else { continue };
            let Some((port, playing)) = self.heard_by(side, &sound) else {
                self.stop_playing(side);
                continue;
            };
            let Some(going) = &mut side.plays.going else { continue };
            let told = Box::new(Playing { number: going.told.number, ..playing });
            if std::mem::take(&mut going.interrupted) || going.port != port || going.told != told {
                (going.port, going.told) = (port, told.clone());
                self.say_play(port, Some(told));
            }
        }
    }

    /// A sound has been played to its end, or was not.
    pub(crate) fn played(&mut self, call: &mut Call, port: PortId, number: u16, heard: PlayOutcome) {
        let is_it = |going: &Going| going.port == port && going.told.number == number;
        let mut sides = call.branches.iter_mut().flat_map(|branch| &mut branch.sides);
        let Some(side) = sides.find(|side| side.plays.going.as_ref().is_some_and(is_it)) else { return };
        match side.plays.going.as_mut().filter(|going| heard == PlayOutcome::Whole && going.left > 0) {
            Some(going) => {
                call.last_played = call.last_played.wrapping_add(1);
                going.told.number = call.last_played;
                going.left -= 1;
                let told = going.told.clone();
                self.say_play(port, Some(told));
            }
            None => side.plays.going = None,
        }
    }

    /// Where a party hears a sound, and how.
    fn heard_by(&self, side: &Side, sound: &Arc<str>) -> Option<(PortId, Playing)> {
        let agreed = side.agreed()?;
        let mut open = side.ports.iter().filter(|port| matches!(port.state, PortState::Open(_)));
        open.find_map(|port| {
            let playing = sx_media::playing(sound, false, agreed, port.stream)?;
            let takes = playing.to.iter().any(|coding| self.can_code(coding.codec));
            takes.then_some((port.id, playing))
        })
    }

    fn say_play(&mut self, port: PortId, playing: Option<Box<Playing>>) {
        self.out.push_back(Output::Media(MediaCommand::Play { port, playing }));
    }
}
