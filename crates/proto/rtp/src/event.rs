//! The payload of a telephone-event packet.

use std::fmt;

const END: u8 = 0x80;
const VOLUME: u8 = 0x3f;

/// The number of a telephone event. 0 to 15 are the keys of a telephone, 16 is a hook flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event(pub u8);

/// One report of an event: four bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// Which event.
    pub event: Event,
    /// The event is over.
    pub end: bool,
    /// The level of a tone in dBm0 without its sign: 0 is loud, 63 is faint; only the lower six bits are sent.
    pub volume: u8,
    /// How long the event, or this segment of it, has lasted so far, in ticks of the RTP timestamp.
    pub duration: u16,
}

/// The keys in the order of their event numbers.
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

impl Event {
    /// A flash of the hook.
    pub const FLASH: Self = Self(16);

    /// The event of a key: `0`–`9`, `*`, `#`, `A`–`D` in either case.
    //= https://www.rfc-editor.org/rfc/rfc4733#section-3.2
    pub fn from_key(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        KEYS.iter().position(|known| *known == key).map(|number| Self(number as u8))
    }

    /// The key of the event, when it is one.
    pub fn key(self) -> Option<char> {
        KEYS.get(usize::from(self.0)).copied()
    }
}

impl EventPayload {
    /// The length of a report in bytes.
    pub const LEN: usize = 4;

    /// The first report of a payload. `None` when there are fewer than four bytes. The reserved bit is not looked at.
    //= https://www.rfc-editor.org/rfc/rfc4733#section-2.3
    pub fn parse(payload: &[u8]) -> Option<Self> {
        payload.first_chunk().map(Self::from_bytes)
    }

    /// All reports of a payload. The first event begins at the packet's timestamp, each further one where the one
    /// before it ended. Bytes that do not make up a report are left out.
    //= https://www.rfc-editor.org/rfc/rfc4733#section-2.5.1.5
    pub fn parse_all(payload: &[u8]) -> impl Iterator<Item = Self> + '_ {
        payload.as_chunks().0.iter().map(Self::from_bytes)
    }

    /// The four bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event.0, if self.end { END } else { 0 } | self.volume & VOLUME, high, low]
    }

    fn from_bytes(&[event, flags, high, low]: &[u8; 4]) -> Self {
        Self {
            event: Event(event),
            end: flags & END != 0,
            volume: flags & VOLUME,
            duration: u16::from_be_bytes([high, low]),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key() {
            Some(key) => write!(f, "{key}"),
            None => write!(f, "event {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_have_their_registered_numbers() {
        for (key, number) in [('0', 0), ('9', 9), ('*', 10), ('#', 11), ('a', 12), ('D', 15)] {
            assert_eq!(Event::from_key(key), Some(Event(number)));
            assert_eq!(Event(number).key(), Some(key.to_ascii_uppercase()));
        }
        assert_eq!((Event::from_key('E'), Event::FLASH.key()), (None, None));
    }

    #[test]
    fn the_fields_stand_where_the_rfc_draws_them() {
        let payload = EventPayload { event: Event(11), end: true, volume: 10, duration: 0x0320 };
        assert_eq!(payload.to_bytes(), [11, 0x8a, 0x03, 0x20]);
        assert_eq!(EventPayload::parse(&[11, 0xca, 0x03, 0x20, 9]), Some(payload), "the reserved bit is ignored");
        assert_eq!(EventPayload::parse(&[11, 0x8a, 0x03]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(event: u8, end: bool, volume in 0..64u8, duration: u16, tail in 0..8usize) {
            let payload = EventPayload { event: Event(event), end, volume, duration };
            let mut bytes = payload.to_bytes().repeat(2);
            bytes.resize(bytes.len() + tail % 4, 0);
            prop_assert_eq!(EventPayload::parse(&bytes), Some(payload));
            prop_assert!(EventPayload::parse_all(&bytes).eq([payload; 2]));
        }
    }
}
