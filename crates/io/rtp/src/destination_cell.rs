//! Where a port sends to, for whichever thread sends.

use crate::port::Destinations;
use crate::sys::RawAddress;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Two addresses and a flag that one thread writes and any thread reads without a lock: a sequence lock, whose
/// version is odd while it is written.
#[derive(Default)]
pub(crate) struct DestinationCell {
    version: AtomicU64,
    /// RTP in the first four, RTCP in the last four; all zeros is nowhere.
    words: [AtomicU64; 8],
    mux: AtomicBool,
}

impl DestinationCell {
    /// For one thread only.
    pub(crate) fn write(&self, destinations: &Destinations) {
        let raw = |address: Option<SocketAddr>| address.map_or_else(RawAddress::default, RawAddress::from).words();
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (cell, word) in self.words.iter().zip([raw(destinations.rtp), raw(destinations.rtcp)].as_flattened()) {
            cell.store(*word, Ordering::Relaxed);
        }
        self.mux.store(destinations.mux, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// The four words from `at`, and the flag.
    pub(crate) fn read(&self, at: usize) -> (Option<[u64; 4]>, bool) {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let words = std::array::from_fn(|index| self.words[at + index].load(Ordering::Relaxed));
            let mux = self.mux.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return (Some(words).filter(|words| *words != [0; 4]), mux);
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_sees_half_an_address() {
        let cell = DestinationCell::default();
        let address = |number: u16| Some(SocketAddr::from(([number; 8], number)));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < 20_000 {
                    let Some(rtcp) = cell.read(4).0.and_then(|words| RawAddress::from_words(words).socket_addr())
                    else {
                        continue;
                    };
                    assert_eq!(Some(rtcp), address(rtcp.port()));
                    assert!(rtcp.port() >= last);
                    last = rtcp.port();
                }
            });
            for number in 1..=20_000 {
                cell.write(&Destinations { rtp: None, rtcp: address(number), mux: false });
            }
            reader.join().unwrap();
        });
        assert_eq!(cell.read(0).0, None);
    }
}
