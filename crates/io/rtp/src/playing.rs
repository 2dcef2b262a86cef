//! Sounds that are played to the peers of ports, by the threads that mix: they keep a pace.
//!
//! ```text
//!  packet thread ── Play: a round begins ──Orders──► mixing thread: each 20 ms, as long as it is this round ──► sockets
//!       └── Patch, Attend, Play nothing: it is over           └── all has been played: it is over, and Played is told
//! ```
//!
//! While a round goes on nothing that is patched to the port leaves from it. Both have the port's own source of packets, one
//! after the other, so that no number of SRTP comes twice: whoever sends says what was sent last, and the next goes on with
//! that.

use crate::entry::{Entry, Patch};
use crate::exchange::Exchange;
use crate::mixing::MixingMeans;
use crate::port_sockets::PortSockets;
use crate::schedule::Due;
use crate::sys::Chosen;
use crate::totals::ThreadTotals;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use sx_audio::{Player, Sent, Sound, Sounds};
use sx_engine::{Rng, Time};
use sx_media::{MediaEvent, PlayOutcome, Playing};
use sx_rtp::Ssrc;

/// Whose turn it is to send to the peer of a port: whoever is patched there, or a sound.
#[derive(Default)]
pub(crate) struct Turn {
    /// Asked for each batch of packets, which takes no lock.
    is_playing: AtomicBool,
    /// Goes up with each sound that begins or ends. Locked for as long as it takes to send a packet.
    round: Mutex<u64>,
}

impl Turn {
    /// Is a sound being played?
    pub(crate) fn is_playing(&self) -> bool {
        self.is_playing.load(Ordering::Acquire)
    }

    /// A sound begins, in the place of any other; its round.
    fn begin(&self) -> u64 {
        let mut round = self.lock();
        *round += 1;
        self.is_playing.store(true, Ordering::Release);
        *round
    }

    /// Whatever is being played is over: when this returns, no packet of it leaves any more.
    pub(crate) fn end(&self) {
        if self.is_playing() {
            *self.lock() += 1;
            self.is_playing.store(false, Ordering::Release);
        }
    }

    /// Ends this round. False when it is over already.
    fn end_round(&self, of: u64) -> bool {
        let mut round = self.lock();
        let is_mine = *round == of;
        if is_mine {
            *round += 1;
            self.is_playing.store(false, Ordering::Release);
        }
        is_mine
    }

    /// Does something if this round goes on, while it cannot end. False when it is over.
    fn during(&self, of: u64, work: impl FnOnce()) -> bool {
        let round = self.lock();
        let is_mine = *round == of;
        if is_mine {
            work();
        }
        is_mine
    }

    fn is_round(&self, of: u64) -> bool {
        *self.lock() == of
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        // A number is whole, whoever panics.
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sounds that can be played, and how many are.
pub(crate) struct Stage {
    sounds: Mutex<Arc<Sounds>>,
    played: AtomicUsize,
}

impl Stage {
    pub(crate) fn new(sounds: Arc<Sounds>) -> Self {
        Self { sounds: Mutex::new(sounds), played: AtomicUsize::new(0) }
    }

    /// From now on these are played; what has begun goes on.
    pub(crate) fn set_sounds(&self, sounds: Arc<Sounds>) {
        *self.sounds.lock().unwrap_or_else(PoisonError::into_inner) = sounds;
    }

    /// How many were recorded, and the bytes they take.
    pub(crate) fn recorded(&self) -> (u64, u64) {
        let (files, bytes) = self.sounds.lock().unwrap_or_else(PoisonError::into_inner).recorded();
        (files as u64, bytes as u64)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Sound> {
        let sounds = self.sounds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sounds.find(name)
    }

    fn begin(&self, players_max: usize) -> bool {
        let more = |played: usize| (played < players_max).then_some(played + 1);
        self.played.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn end(&self) {
        self.played.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a port was last told to play, and in which round.
pub(crate) type Told = Option<(Box<Playing>, u64)>;

/// A sound that is to be played.
pub(crate) struct PlayOrder {
    sockets: Arc<PortSockets>,
    playing: Box<Playing>,
    sound: Sound,
    round: u64,
}

impl PlayOrder {
    pub(crate) fn sockets(&self) -> &PortSockets {
        &self.sockets
    }
}

impl Entry {
    /// Has the peer hear a sound, or no sound any more.
    pub(crate) fn play(&mut self, exchange: &Exchange, totals: &ThreadTotals, playing: Option<Box<Playing>>) {
        let turn = self.sockets.turn();
        let Some(playing) = playing else { return turn.end() };
        if self.told.as_ref().is_some_and(|(told, round)| *told == playing && turn.is_round(*round)) {
            return;
        }
        let (port, number) = (self.id, playing.number);
        let sound = exchange.stage.find(&playing.sound);
        // Who is in a room hears the room.
        let sound = sound.filter(|_| !matches!(self.patch, Patch::Room(_)));
        let Some(sound) = sound.filter(|_| exchange.stage.begin(exchange.config.players_max)) else {
            tracing::warn!(port = port.0, sound = &*playing.sound, "a sound is not played");
            totals.play_refused.add(1);
            turn.end();
            return exchange.tell(port, MediaEvent::Played { port, number, heard: PlayOutcome::Nothing });
        };
        let round = turn.begin();
        self.told = Some((playing.clone(), round));
        exchange.rooms.play(PlayOrder { sockets: self.sockets.clone(), playing, sound, round });
    }
}

/// The sounds that one thread plays.
#[derive(Default)]
pub(crate) struct Players(Vec<Playback>);

struct Playback {
    sockets: Arc<PortSockets>,
    playing: Box<Playing>,
    round: u64,
    player: Player,
}

impl Players {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins a sound, in the place of what the port plays already.
    pub(crate) fn begin(
        &mut self,
        now: Time,
        order: PlayOrder,
        (exchange, totals): (&Exchange, &ThreadTotals),
        rng: &mut Rng,
    ) {
        let PlayOrder { sockets, playing, sound, round } = order;
        let before = self.0.iter().position(|other| Arc::ptr_eq(&other.sockets, &sockets));
        let before = before.map(|place| self.0.swap_remove(place));
        if before.is_some() {
            exchange.stage.end();
            totals.plays_ended.add(1);
        }
        let mut player = match Player::new(now, &playing, &sound, Ssrc(sockets.ssrc()), rng) {
            Ok(player) => player,
            Err(error) => {
                tracing::error!(port = sockets.id().0, %error, "a peer hears nothing of a sound");
                totals.play_refused.add(1);
                exchange.stage.end();
                return finished(exchange, &sockets, &playing, round, PlayOutcome::Nothing);
            }
        };
        if let Some(sent) = sockets.sending() {
            player.resume(now, &sent);
        }
        // The same sound in another coding goes on where it was.
        if let Some(before) = before.filter(|before| before.playing.sound == playing.sound) {
            player.follow(before.player);
        }
        totals.plays_begun.add(1);
        self.0.push(Playback { sockets, playing, round, player });
    }

    /// Plays and sends 20 ms of each.
    pub(crate) fn tick(&mut self, Due { at, missed }: Due, exchange: &Exchange, means: &mut MixingMeans) {
        let before = self.0.len();
        self.0.retain_mut(|playback| playback.tick(at, missed, exchange, means));
        (self.0.len()..before).for_each(|_| exchange.stage.end());
        means.totals().plays_ended.add((before - self.0.len()) as u64);
    }
}

impl Playback {
    /// False when it is over.
    fn tick(&mut self, now: Time, missed: u64, exchange: &Exchange, means: &mut MixingMeans) -> bool {
        let Self { sockets, playing, round, player } = self;
        if sockets.is_closed() {
            return false;
        }
        if missed > 0 {
            player.skip(missed);
        }
        let of = |sent: Option<Sent>| sent.map(|sent| (sent.ssrc, sent.sequence));
        if let Some(sent) = sockets.sending().filter(|sent| of(player.sent()) != of(Some(*sent))) {
            // A packet of before was still on its way out: no number comes twice.
            player.resume(now, &sent);
        }
        player.play(now);
        means.totals().encode_errors.add(player.take_encode_errors());
        let went = sockets.turn().during(*round, || {
            if sockets.towards_rtp().is_none() {
                player.withdraw();
            }
            let mut written = Chosen::default();
            while means.has_room(written)
                && let Some(packet) = player.poll_packet()
            {
                means.write(&mut written, packet);
            }
            means.send(now, sockets, written);
            sockets.set_sending(player.sent());
            if let Some(report) = player.poll_report(now) {
                means.report(now, sockets, report);
            }
        });
        if went && player.is_over() {
            finished(exchange, sockets, playing, *round, PlayOutcome::Whole);
            return false;
        }
        went
    }
}

fn finished(exchange: &Exchange, sockets: &PortSockets, playing: &Playing, round: u64, heard: PlayOutcome) {
    if sockets.turn().end_round(round) {
        let port = sockets.id();
        exchange.tell(port, MediaEvent::Played { port, number: playing.number, heard });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_is_over_sends_nothing_and_ends_no_other() {
        let turn = Turn::default();
        let first = turn.begin();
        assert!(turn.is_playing() && turn.during(first, || {}));
        let second = turn.begin();
        assert!(!turn.during(first, || unreachable!("it is over")) && !turn.end_round(first));
        assert!(turn.is_playing() && turn.is_round(second));
        turn.end();
        assert!(!turn.is_playing() && !turn.during(second, || unreachable!("it is over")) && !turn.end_round(second));
        let third = turn.begin();
        assert!(turn.end_round(third) && !turn.is_playing());
    }
}
