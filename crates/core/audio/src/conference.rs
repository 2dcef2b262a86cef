//! A room on the media side: packets of its members in, packets of what each of them hears out.
//!
//! ```text
//!  packet ─► jitter buffer ─► decoder ─► frame ─┐                    ┌─► encoder of all who listen ─► packets for each
//!                                               ├─► sx_mix::Room ────┤
//!  packet ─► jitter buffer ─► decoder ─► frame ─┘    each 20 ms      └─► encoder of one who speaks ─► packets for it
//! ```
//!
//! Who only listens costs no encoder: all of them who take the same codec in packets of the same length are sent the same
//! payloads. A codec that remembers what it has coded stays with who has spoken until there is silence, in which one encoder
//! can take the place of another unheard.
//!
//! Silence is sent as sound is: what faces a member takes a stream that has stopped for one that is broken.

mod member;
mod playout;
mod prompts;
mod stream;
#[cfg(test)]
mod tests;

pub use playout::Counted;
pub use prompts::PromptTo;

use crate::keys::Key;
use crate::route::NotConvertible;
use crate::sending::Sent;
use crate::sounds::Sound;
use member::{Member, Terms};
use prompts::Prompts;
use stream::Stream;
use sx_engine::{Rng, Time};
use sx_media::{Attendance, Playout};
pub use sx_mix::{FRAME_MS, MEMBERS_MAX, MemberId};
use sx_mix::{JoinError, MemberSettings, Room, RoomSettings};
use sx_rtp::Ssrc;

/// A room and its members.
///
/// The loop: [`handle_packet`](Self::handle_packet) whenever something has arrived, [`mix`](Self::mix) each [`FRAME_MS`], then
/// [`poll_packet`](Self::poll_packet) and [`poll_report`](Self::poll_report) for each member.
///
/// ```
/// use std::time::Duration;
/// use sx_audio::{Conference, MemberId};
/// use sx_engine::{Rng, Time};
/// use sx_media::{Attendance, Coding};
/// use sx_rtp::{Packet, Ssrc};
/// use sx_types::{Codec, PayloadType};
///
/// let pcmu = vec![Coding::new(PayloadType(0), Codec::Pcmu)];
/// let attendance = Attendance { room: "8000".into(), from: pcmu.clone(), to: pcmu, ptime_ms: 20, muted: false, keys_in_band: false, sounds: Default::default() };
/// let (mut room, mut rng) = (Conference::new(25), Rng::from_number(1));
/// let now = Time::from_secs(1_800_000_000);
/// room.attend(now, (MemberId(7), Ssrc(1)), &attendance, &mut rng)?;
/// room.mix(now + Duration::from_millis(20));
/// let packet = Packet::parse(room.poll_packet(MemberId(7)).ok_or("no packet")?)?;
/// assert_eq!((packet.ssrc(), packet.payload().len()), (Ssrc(1), 160));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Conference {
    room: Room,
    /// In the order of their ids.
    members: Vec<Member>,
    /// What those are sent who add nothing to what they hear.
    shared: Vec<Stream>,
    prompts: Prompts,
    /// Ticks since it began.
    tick: u64,
}

/// Why somebody does not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The fault of whoever has negotiated.
    #[error(transparent)]
    NotConvertible(#[from] NotConvertible),
    /// There is no place.
    #[error("the room is full: it takes {0}")]
    Full(usize),
    /// Ours: it is being mixed without being among those who take part.
    #[error("somebody of this name is mixed already")]
    Taken,
}

impl Conference {
    /// A room without anybody in it, for so many members, at most [`MEMBERS_MAX`].
    pub fn new(members_max: usize) -> Self {
        let room = Room::new(RoomSettings { members_max, ..RoomSettings::default() });
        Self { room, members: Vec::new(), shared: Vec::new(), prompts: Prompts::default(), tick: 0 }
    }

    /// Somebody takes part, who is sent packets of the source `ssrc`; or takes part in another way from now on, and hears no gap.
    ///
    /// # Errors
    ///
    /// When there is no place, or nothing that it takes can be coded: then it is not there, even if it was.
    pub fn attend(
        &mut self,
        now: Time,
        (id, ssrc): (MemberId, Ssrc),
        attendance: &Attendance,
        rng: &mut Rng,
    ) -> Result<(), NotAdmitted> {
        let terms = Terms::new(attendance).inspect_err(|_| self.leave(id))?;
        let settings = MemberSettings { muted: attendance.muted, ..MemberSettings::new(terms.rate) };
        match self.find(id) {
            Ok(place) => {
                let member = &mut self.members[place];
                if member.rate() != terms.rate {
                    // What it says dies away in the old room's rate, and begins in the new one.
                    let _ = self.room.leave(id);
                    join(&mut self.room, id, &settings)?;
                }
                member.change(attendance, terms);
                let _ = self.room.set_muted(id, attendance.muted);
            }
            Err(place) => {
                join(&mut self.room, id, &settings)?;
                self.members.insert(place, Member::new(now, (id, ssrc), attendance, terms, rng));
            }
        }
        Ok(())
    }

    /// What a member is sent follows what was sent to it before, in the name of the same source.
    pub fn resume(&mut self, now: Time, id: MemberId, sent: &Sent) {
        if let Some(member) = self.member(id) {
            member.resume(now, sent);
        }
    }

    /// Somebody takes part no more.
    pub fn leave(&mut self, id: MemberId) {
        if let Ok(place) = self.find(id) {
            self.members.remove(place);
            let _ = self.room.leave(id);
        }
    }

    /// Is nobody there?
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A packet of RTP of a member has arrived at `now`.
    pub fn handle_packet(&mut self, now: Time, id: MemberId, datagram: &[u8]) {
        if let Some(member) = self.member(id) {
            member.handle_packet(now, datagram);
        }
    }

    /// RTCP of a member has arrived: its reports say when it has sent what.
    pub fn handle_rtcp(&mut self, now: Time, id: MemberId, datagram: &[u8]) {
        if let Some(member) = self.member(id) {
            member.handle_rtcp(now, datagram);
        }
    }

    /// Has members hear a sound, mixed with what they say, behind those that they are to hear already. False when there are too
    /// many of these.
    pub fn prompt(&mut self, sound: &Sound, to: PromptTo) -> bool {
        self.prompts.push(sound, to)
    }

    /// Mixes the 20 ms that begin at `now`.
    pub fn mix(&mut self, now: Time) {
        for member in &mut self.members {
            member.sending.begin(now);
            if member.is_muted() {
                continue;
            }
            let id = member.id;
            if let Some(frame) = member.says(now) {
                let taken = self.room.handle_frame(id, frame);
                debug_assert!(taken.is_ok(), "every member is in the room, at its rate");
            }
        }
        self.prompts.tick(&mut self.room, self.members.len());
        let tick = self.room.mix();
        debug_assert!(tick.hearers().map(|(id, _)| id).eq(self.members.iter().map(|member| member.id)));
        let heard = || tick.hearers().map(|(_, number)| tick.mix(number));
        for (mix, member) in heard().zip(&mut self.members) {
            mix.iter().for_each(|mix| member.choose(self.tick, mix, &self.shared));
        }
        for (mix, member) in heard().zip(&mut self.members) {
            mix.iter().for_each(|mix| member.hear(self.tick, mix, &mut self.shared));
        }
        self.shared.retain_mut(|stream| std::mem::take(&mut stream.heard));
        self.tick += 1;
    }

    /// So many ticks have passed in which nothing was mixed, since there was no time.
    pub fn skip(&mut self, ticks: u64) {
        self.members.iter_mut().for_each(|member| member.skip(ticks));
    }

    /// The next packet of this tick for a member.
    pub fn poll_packet(&mut self, id: MemberId) -> Option<&[u8]> {
        self.member(id)?.sending.poll()
    }

    /// The packets of this tick for a member go nowhere, as while it is on hold.
    pub fn withdraw(&mut self, id: MemberId) {
        if let Some(member) = self.member(id) {
            member.sending.withdraw();
        }
    }

    /// The next key that a member has pressed, by events or by tones; nobody hears them in the room.
    pub fn poll_key(&mut self, now: Time, id: MemberId) -> Option<Key> {
        self.member(id)?.poll_key(now)
    }

    /// Keys that a member has pressed faster than anybody can.
    pub fn keys_dropped(&self, id: MemberId) -> u64 {
        self.find(id).map_or(0, |place| self.members[place].keys_dropped())
    }

    /// A report of RTCP for a member, if it is time.
    pub fn poll_report(&mut self, now: Time, id: MemberId) -> Option<&[u8]> {
        self.member(id)?.poll_report(now)
    }

    /// What was sent to a member; `None` when nothing was.
    pub fn sent(&self, id: MemberId) -> Option<Sent> {
        self.find(id).ok().and_then(|place| self.members[place].sending.sent())
    }

    /// How the packets of a member are played out.
    pub fn playout(&self, id: MemberId) -> Option<Playout> {
        self.find(id).ok().map(|place| self.members[place].playout.told())
    }

    /// What became of the packets of a member.
    pub fn counted(&self, id: MemberId) -> Counted {
        self.find(id).map_or(Counted::default(), |place| self.members[place].playout.counted)
    }

    /// Packets that a member was not sent, since this was last asked, because what it was to hear could not be encoded.
    pub fn take_encode_errors(&mut self, id: MemberId) -> u64 {
        self.member(id).map_or(0, |member| member.sending.take_encode_errors())
    }

    fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.find(id).ok().map(|place| &mut self.members[place])
    }

    fn find(&self, id: MemberId) -> Result<usize, usize> {
        self.members.binary_search_by_key(&id, |member| member.id)
    }
}

fn join(room: &mut Room, id: MemberId, settings: &MemberSettings) -> Result<(), NotAdmitted> {
    room.join(id, settings).map_err(|error| match error {
        JoinError::Full(members_max) => NotAdmitted::Full(members_max),
        JoinError::Taken => NotAdmitted::Taken,
    })
}
