//! What the packet threads are configured with, and why they cannot start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use sx_audio::Sounds;
use sx_dtls::Local;

/// The configuration of the relay. It is fixed while the packet threads run.
#[derive(Clone, Debug)]
pub struct RtpConfig {
    /// Where ports may be opened; names are unique.
    pub interfaces: Vec<MediaInterface>,
    /// The UDP port numbers that may be used on each address. A pair is an even number and the odd one above it.
    pub ports: RangeInclusive<u16>,
    /// How long the numbers of a closed port rest, so that late packets of one call do not reach the next. The sockets
    /// of a closed port that others are still patched to close within 100 ms: less than that makes little sense.
    pub quarantine: Duration,
    /// How long a peer that should send may be silent before that is told.
    pub silence_timeout: Duration,
    /// Differentiated services code point of audio, 0..=63.
    pub dscp_audio: u8,
    /// Differentiated services code point of video, 0..=63.
    pub dscp_video: u8,
    /// How many packet threads to run; as many mix and play, and as many hear what is recorded.
    pub threads: usize,
    /// Whom they go before.
    pub priority: Priority,
    /// Receive and send with io_uring where the kernel has it (Linux 6.1 or later, unless it is forbidden there), else with
    /// epoll.
    pub io_uring: bool,
    /// How long packets may gather at most, so that one wake-up serves several, where a packet thread has had more than half of
    /// its processor; a quarter of it where it has had more than a quarter. Zero: never. With io_uring only.
    pub coalesce: Duration,
    /// Receive buffer of each socket in bytes, as asked of the operating system, which may grant less.
    pub receive_buffer_bytes: usize,
    /// What DTLS handshakes are made with; `None`: no port has any.
    pub handshakes: Option<Local>,
    /// Which peers are told how their sound is received, where it is decoded here.
    pub rtcp_xr: RtcpXr,
    /// How many rooms there may be at a time.
    pub rooms_max: usize,
    /// How many members a room takes; [`MEMBERS_MAX`](sx_audio::MEMBERS_MAX) at most.
    pub room_members_max: usize,
    /// The sounds that can be played.
    pub sounds: Arc<Sounds>,
    /// How many may be played at a time.
    pub players_max: usize,
}

impl Default for RtpConfig {
    /// No interface; 16384..=32767; ten seconds of quarantine and thirty of silence; EF and AF41; a thread for every
    /// two processors, in real time; io_uring, and a millisecond to gather;
    /// 256 KiB; no handshakes; 500 rooms of 25 members; tones alone, 1,000 at a time.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            interfaces: Vec::new(),
            ports: 16_384..=32_767,
            quarantine: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(30),
            //= https://www.rfc-editor.org/rfc/rfc4594#section-4.1
            // The RECOMMENDED DSCP marking is EF for the following applications:
            dscp_audio: 46,
            dscp_video: 34,
            threads: (processors / 2).max(1),
            priority: Priority::RealTime,
            io_uring: true,
            coalesce: Duration::from_millis(1),
            receive_buffer_bytes: 256 * 1024,
            handshakes: None,
            rtcp_xr: RtcpXr::Negotiated,
            rooms_max: 500,
            room_members_max: 25,
            sounds: Arc::default(),
            players_max: 1_000,
        }
    }
}

/// Who is sent VoIP metrics (RFC 3611, section 4.7) beside the reports of RTCP that are made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpXr {
    /// Nobody.
    Never,
    /// Who has said that it wants them.
    Negotiated,
    /// Everybody; who does not know them passes them over.
    Always,
}

/// How packet threads share the processors with all that runs on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Before every ordinary thread, where the operating system allows it and there are more processors than packet
    /// threads: a packet that waits for others to finish is a late one.
    RealTime,
    /// As any other thread.
    Normal,
}

/// A named place to open ports: an address of the machine for each family, and what peers are told instead of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaInterface {
    /// The name commands use.
    pub name: Arc<str>,
    /// The IPv4 address to bind to; `None` when the interface has none.
    pub bind_v4: Option<Ipv4Addr>,
    /// The IPv4 address that peers are told, where it is not the bound one. Without it, and bound to every address, each
    /// peer is told the one that faces it.
    pub advertise_v4: Option<Ipv4Addr>,
    /// The IPv6 address to bind to; `None` when the interface has none.
    pub bind_v6: Option<Ipv6Addr>,
    /// The IPv6 address that peers are told, likewise.
    pub advertise_v6: Option<Ipv6Addr>,
}

impl MediaInterface {
    /// An interface with a name and no address yet.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), bind_v4: None, advertise_v4: None, bind_v6: None, advertise_v6: None }
    }

    /// The bound and the advertised address of each family it has.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let v4 = self.bind_v4.map(|bind| (IpAddr::from(bind), IpAddr::from(self.advertise_v4.unwrap_or(bind))));
        let v6 = self.bind_v6.map(|bind| (IpAddr::from(bind), IpAddr::from(self.advertise_v6.unwrap_or(bind))));
        v4.into_iter().chain(v6)
    }
}

/// Why the packet threads could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration names an interface twice.
    #[error("media interface {interface:?} is configured twice")]
    DuplicateInterface {
        /// Its name.
        interface: Arc<str>,
    },
    /// The configuration gives an interface no address to bind to, or advertises one of a family it does not bind.
    #[error("media interface {interface:?} has no address to bind to for each family it uses")]
    NoAddress {
        /// Its name.
        interface: Arc<str>,
    },
    /// The configured range holds no even number followed by an odd one.
    #[error("the port range {first}-{last} holds no pair of an even and the next odd number")]
    NoPair {
        /// First number of the range.
        first: u16,
        /// Last number of the range.
        last: u16,
    },
    /// A configured code point has more than six bits.
    #[error("DSCP {dscp} is not in 0..=63")]
    Dscp {
        /// The value.
        dscp: u8,
    },
    /// The configuration asks for no thread at all.
    #[error("at least one packet thread is needed")]
    NoThread,
    /// The operating system does not let the process bind to a configured address.
    #[error("media interface {interface:?} cannot use {address}: {source}")]
    Bind {
        /// The interface.
        interface: Arc<str>,
        /// The address it should bind to.
        address: IpAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gave no thread, epoll instance or event counter.
    #[error("cannot start a packet thread: {0}")]
    Thread(#[source] io::Error),
}

/// Why a packet thread has ended by itself: the operating system does not let it go on. Its ports relay nothing any more, and
/// what they are told is lost.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// It cannot listen to those who wake it.
    #[error("a packet thread cannot be woken: {0}")]
    Wake(#[source] io::Error),
    /// It cannot wait for packets.
    #[error("a packet thread cannot wait for packets: {0}")]
    Wait(#[source] io::Error),
}

impl RtpConfig {
    /// Checks what can be checked without the operating system.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        for (index, interface) in self.interfaces.iter().enumerate() {
            let name = || interface.name.clone();
            if self.interfaces[..index].iter().any(|other| other.name == interface.name) {
                return Err(StartError::DuplicateInterface { interface: name() });
            }
            let advertised_only = interface.advertise_v4.is_some() && interface.bind_v4.is_none()
                || interface.advertise_v6.is_some() && interface.bind_v6.is_none();
            if advertised_only || interface.addresses().next().is_none() {
                return Err(StartError::NoAddress { interface: name() });
            }
        }
        if crate::pool::pairs(&self.ports).next().is_none() {
            return Err(StartError::NoPair { first: *self.ports.start(), last: *self.ports.end() });
        }
        if let Some(dscp) = [self.dscp_audio, self.dscp_video].into_iter().find(|dscp| *dscp > 63) {
            return Err(StartError::Dscp { dscp });
        }
        if self.threads == 0 {
            return Err(StartError::NoThread);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan() -> MediaInterface {
        MediaInterface { bind_v4: Some(Ipv4Addr::LOCALHOST), ..MediaInterface::new("lan") }
    }

    fn check(change: impl FnOnce(&mut RtpConfig), expected: &str) {
        let mut config = RtpConfig { interfaces: vec![lan()], ..RtpConfig::default() };
        change(&mut config);
        let said = config.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
    }

    #[test]
    fn each_mistake_in_the_configuration_is_named() {
        check(|_| {}, "fine");
        check(|config| config.interfaces.push(lan()), "configured twice");
        check(|config| config.interfaces[0].bind_v4 = None, "no address");
        check(|config| config.interfaces[0].advertise_v6 = Some(Ipv6Addr::LOCALHOST), "no address");
        check(|config| config.interfaces[0].bind_v4 = Some(Ipv4Addr::UNSPECIFIED), "fine");
        check(|config| config.ports = 7..=8, "7-8 holds no pair");
        check(|config| config.dscp_video = 64, "DSCP 64");
        check(|config| config.threads = 0, "at least one");
    }
}
