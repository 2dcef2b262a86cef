//! SRTP at a port: what its peer protects is opened where it arrives, and what goes to the peer is protected before it leaves.

use crate::handshakes::Protects;
use crate::port::Channel;
use crate::sys::{Batch, Chosen};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use sx_media::{AgreedMemory, Handshake, PortMemory, StreamKeys};
use sx_rtp::srtp::{Protector, ProtectorState, StateError, Unprotector};

/// Opens what the peer of a port protects.
pub(crate) enum InboundSecurity {
    /// The peer sends in the clear.
    Clear,
    /// It protects its packets with this key.
    Srtp(Box<Unprotector>),
    /// It protects RTP with one key and RTCP with another, or with the same: those of its handshakes, as far as they are over.
    Agreed(Box<[Option<Unprotector>; 2]>),
    /// There is no key yet, or none that can be used: nothing is believed.
    Shut,
    /// How far a key was used is not known any more: nothing is ever believed again.
    Lost,
}

impl InboundSecurity {
    /// The keys were negotiated, perhaps anew. Packets under the key before are taken until the new one is in use.
    pub(crate) fn set_keys(&mut self, keys: Option<&StreamKeys>) {
        if matches!(self, Self::Lost) {
            return;
        }
        let Some(keys) = keys else {
            *self = Self::Clear;
            return;
        };
        if let Self::Srtp(unprotector) = self
            && unprotector.suite() == keys.suite
            && unprotector.mki_bytes() == usize::from(keys.mki_bytes)
            && unprotector.rekey(&keys.theirs).is_ok()
        {
            return;
        }
        *self = unprotector_of(keys).map_or(Self::Shut, |new| Self::Srtp(Box::new(new)));
    }

    /// A handshake will yield the keys: until then those that there are go on, and nothing comes in the clear.
    pub(crate) fn await_keys(&mut self) {
        if matches!(self, Self::Clear) {
            *self = Self::Shut;
        }
    }

    /// A handshake has yielded keys. Packets under the keys of the one before are taken until these are in use.
    //= https://www.rfc-editor.org/rfc/rfc5764#section-5.2
    pub(crate) fn set_agreed(&mut self, protects: Protects, keys: &StreamKeys) {
        if !matches!(self, Self::Agreed(_) | Self::Lost) {
            *self = Self::Agreed(Box::default());
        }
        let Self::Agreed(pair) = self else { return };
        for place in places(protects) {
            let held = &mut pair[place];
            let goes_on =
                held.as_mut().is_some_and(|held| held.suite() == keys.suite && held.rekey(&keys.theirs).is_ok());
            if !goes_on {
                *held = unprotector_of(keys);
            }
        }
    }

    /// There are no keys, and there will be none.
    pub(crate) fn shut(&mut self) {
        if !matches!(self, Self::Lost) {
            *self = Self::Shut;
        }
    }

    /// How far the keys are used is not known: none is begun anew.
    pub(crate) fn lose(&mut self) {
        *self = Self::Lost;
    }

    /// Says how far the keys are used. `terms`: of the handshake that has yielded them.
    pub(crate) fn remember(&self, terms: Option<&Handshake>, memory: &mut PortMemory) {
        match (self, terms) {
            (Self::Srtp(unprotector), _) => memory.described.theirs = Some(unprotector.export()),
            (Self::Agreed(pair), Some(terms)) => {
                let theirs = [0, 1].map(|place: usize| pair[place].as_ref().map(Unprotector::export));
                memory.agreed = Some(Box::new(AgreedMemory { terms: terms.clone(), theirs, ours: [None, None] }));
            }
            (Self::Agreed(_) | Self::Clear | Self::Shut | Self::Lost, _) => {}
        }
    }

    /// Goes on where another process was with keys of descriptions, if they are what is negotiated. Those of a handshake wait
    /// until that is.
    ///
    /// # Errors
    /// What it has known cannot be: then nothing is ever believed, since what was heard before could be repeated.
    pub(crate) fn resume(&mut self, memory: &PortMemory) -> Result<(), StateError> {
        let agreed = memory.agreed.iter().flat_map(|agreed| agreed.theirs.iter().flatten());
        let sound = agreed.map(Unprotector::import).try_for_each(|imported| imported.map(drop));
        let described = memory.described.theirs.as_ref().map(Unprotector::import).transpose();
        match sound.and(described) {
            Ok(None) => {}
            Ok(Some(unprotector)) => *self = Self::Srtp(Box::new(unprotector)),
            Err(error) => {
                self.lose();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Goes on where another process was with the keys of a handshake.
    pub(crate) fn resume_agreed(&mut self, agreed: &AgreedMemory) {
        let imported = agreed.theirs.each_ref().map(|state| state.as_ref().map(Unprotector::import).transpose());
        *self = match imported {
            [Ok(rtp), Ok(rtcp)] => Self::Agreed(Box::new([rtp, rtcp])),
            _ => Self::Lost,
        };
    }

    /// Opens a packet in place. Gives its length then; `None` when it is not authentic, or came before.
    pub(crate) fn open(&mut self, is_rtcp: bool, packet: &mut [u8]) -> Option<usize> {
        let unprotector = match self {
            Self::Clear => return Some(packet.len()),
            Self::Shut | Self::Lost => return None,
            Self::Srtp(unprotector) => unprotector,
            Self::Agreed(pair) => pair[usize::from(is_rtcp)].as_mut()?,
        };
        let opened = if is_rtcp { unprotector.unprotect_rtcp(packet) } else { unprotector.unprotect_rtp(packet) };
        opened.ok()
    }
}

fn unprotector_of(keys: &StreamKeys) -> Option<Unprotector> {
    let new = Unprotector::new(keys.suite, &keys.theirs).and_then(|new| match keys.mki_bytes {
        0 => Ok(new),
        bytes => new.with_mki_bytes(bytes.into()),
    });
    new.inspect_err(|error| tracing::error!(%error, "what was negotiated is no key")).ok()
}

/// How many reports another process may have protected since it said how far it was: no two may have one key stream. Of RTP
/// that is no matter, whose numbers are its sender's.
const REPORTS_MISSED_MAX: u32 = 4096;

fn protector_of(state: &ProtectorState) -> Result<Protector, StateError> {
    let mut state = state.clone();
    state.skip_rtcp(REPORTS_MISSED_MAX);
    Protector::import(&state)
}

/// The places of RTP, and of RTCP, in a pair.
fn places(protects: Protects) -> RangeInclusive<usize> {
    match protects {
        Protects::Both => 0..=1,
        Protects::Rtp => 0..=0,
        Protects::Rtcp => 1..=1,
    }
}

/// Protects what goes to the peer of a port, whichever thread sends it.
#[derive(Default)]
pub(crate) struct OutboundSecurity {
    /// Is there anything to protect with? Asked for each packet, so that those in the clear take no lock.
    is_on: AtomicBool,
    held: Mutex<Held>,
}

/// What packets are protected with.
#[derive(Default)]
struct Held {
    /// One for each suite that there was of keys in descriptions. Our key of a suite comes back with it, and goes on where it
    /// was: no two packets may have one key stream.
    protectors: Vec<Protector>,
    current: Current,
}

/// Which keys packets are protected with now.
#[derive(Default)]
enum Current {
    /// None. While `is_on` nothing is sent.
    #[default]
    None,
    /// None, for how far they are used is not known any more: nothing is ever sent again.
    Lost,
    /// Those of a protector that is kept.
    Described(usize),
    /// Those of handshakes, for RTP and for RTCP. They never come back: each handshake has others.
    Agreed(Box<[Option<Protector>; 2]>),
}

impl OutboundSecurity {
    /// The keys were negotiated, perhaps anew.
    pub(crate) fn set_keys(&self, keys: Option<&StreamKeys>) {
        let mut held = self.lock();
        if matches!(held.current, Current::Lost) {
            return;
        }
        held.current = keys.and_then(|keys| held.take(keys)).map_or(Current::None, Current::Described);
        self.is_on.store(keys.is_some(), Ordering::Release);
    }

    /// A handshake will yield the keys: until then those that there are go on, and nothing is sent in the clear.
    pub(crate) fn await_keys(&self) {
        let _held = self.lock();
        self.is_on.store(true, Ordering::Release);
    }

    /// A handshake has yielded keys.
    pub(crate) fn set_agreed(&self, protects: Protects, keys: &StreamKeys) {
        let mut held = self.lock();
        if !matches!(held.current, Current::Agreed(_) | Current::Lost) {
            held.current = Current::Agreed(Box::default());
        }
        if let Current::Agreed(pair) = &mut held.current {
            for place in places(protects) {
                // The peer counts from the beginning under new keys, and so does this.
                let new = Protector::new(keys.suite, &keys.ours);
                pair[place] = new.inspect_err(|error| tracing::error!(%error, "what was agreed on is no key")).ok();
            }
        }
        self.is_on.store(true, Ordering::Release);
    }

    /// There are no keys, and there will be none: nothing is sent.
    pub(crate) fn shut(&self) {
        let mut held = self.lock();
        if !matches!(held.current, Current::Lost) {
            held.current = Current::None;
        }
        self.is_on.store(true, Ordering::Release);
    }

    /// Says how far the keys are used.
    pub(crate) fn remember(&self, memory: &mut PortMemory) {
        let held = self.lock();
        memory.described.ours = held.protectors.iter().map(Protector::export).collect();
        if let (Current::Agreed(pair), Some(agreed)) = (&held.current, &mut memory.agreed) {
            agreed.ours = [0, 1].map(|place: usize| pair[place].as_ref().map(Protector::export));
        }
    }

    /// How far the keys are used is not known: none is begun anew, and nothing is sent in the clear.
    pub(crate) fn lose(&self) {
        self.lock().current = Current::Lost;
        self.is_on.store(true, Ordering::Release);
    }

    /// Goes on where another process was. Nothing is sent before it is negotiated with what.
    ///
    /// # Errors
    /// What it has known cannot be: then nothing is ever sent.
    pub(crate) fn resume(&self, memory: &PortMemory) -> Result<(), StateError> {
        let resumed = self.lock().resume(memory);
        match resumed {
            Ok(()) => self.is_on.store(true, Ordering::Release),
            Err(_) => self.lose(),
        }
        resumed
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Protects the chosen packets of a batch in place. Gives those that may be sent.
    pub(crate) fn seal(&self, batch: &mut Batch, channel: Channel, chosen: Chosen) -> Chosen {
        let mut sealed = Chosen::default();
        let mut held = self.lock();
        let Some(protector) = held.protector(channel) else { return sealed };
        for index in chosen.indices() {
            let (buffer, len) = batch.with_room(index);
            let done = match channel {
                Channel::Rtp => protector.protect_rtp(buffer, len),
                Channel::Rtcp => protector.protect_rtcp(buffer, len),
            };
            if let Ok(len) = done {
                batch.set_length(index, len);
                sealed.add(index);
            }
        }
        sealed
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // What was protected is whole between any two statements, whoever panics.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn protector(&mut self, channel: Channel) -> Option<&mut Protector> {
        match &mut self.current {
            Current::None | Current::Lost => None,
            Current::Described(at) => self.protectors.get_mut(*at),
            Current::Agreed(pair) => pair[usize::from(channel == Channel::Rtcp)].as_mut(),
        }
    }

    fn resume(&mut self, memory: &PortMemory) -> Result<(), StateError> {
        self.protectors = memory.described.ours.iter().map(protector_of).collect::<Result<_, _>>()?;
        if let Some(agreed) = &memory.agreed {
            let [rtp, rtcp] = agreed.ours.each_ref().map(|state| state.as_ref().map(protector_of).transpose());
            self.current = Current::Agreed(Box::new([rtp?, rtcp?]));
        }
        Ok(())
    }

    /// Which protector these keys have.
    fn take(&mut self, keys: &StreamKeys) -> Option<usize> {
        let known = self.protectors.iter().position(|protector| protector.suite() == keys.suite);
        let taken = match known {
            Some(at) => self.protectors[at].rekey(&keys.ours).map(|()| at),
            None => Protector::new(keys.suite, &keys.ours).map(|new| {
                self.protectors.push(new);
                self.protectors.len() - 1
            }),
        };
        taken.inspect_err(|error| tracing::error!(%error, "what was negotiated is no key")).ok()
    }
}
