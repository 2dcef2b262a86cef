//! The sound of one call: a pair of sockets, packets each 20 ms, reports each 5 s, keys both ways.

#[cfg(test)]
mod tests;

use crate::event::MediaStats;
use crate::negotiation::Agreed;
use crate::source::{KEY, KEY_PAUSE, Source};
use std::collections::VecDeque;
use std::io;
use std::iter::Peekable;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use sx_codec::{Decoder, Digit, DtmfDetector, Format, Law, SAMPLE_HZ};
use sx_engine::{Engine, Rng, Time};
use sx_rtp::{
    Compound, Content, Event, EventOutput, EventReceiver, EventSender, Frame, GapCause, Header, JitterBuffer,
    JitterConfig, Packet, Reception, RtcpPacket, SenderInfo, Ssrc, ntp_from_time, write_bye, write_receiver_report,
    write_sdes_cname, write_sender_report,
};
use sx_types::PayloadType;

/// What one packet carries.
const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: usize = 160;
/// Who has fallen behind by more than this leaves the frames out.
const LAG_MAX: Duration = Duration::from_millis(200);
/// Sockets are looked at so often; finer than a frame, so that jitter is measured and played out well.
const POLL: Duration = Duration::from_millis(5);
//= https://www.rfc-editor.org/rfc/rfc3550#section-6.2
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Packets from elsewhere are believed when so long nothing came from where they should come from.
const ELSEWHERE_AFTER: Duration = Duration::from_secs(1);
/// The most packets taken in one turn.
const PACKETS_PER_TURN: usize = 64;
/// The most keys that wait to be sent.
const KEYS_MAX: usize = 100;
/// The level that a telephone event states, in dBm0 without its sign.
const KEY_VOLUME: u8 = 10;
/// Ports are tried so often until two neighbours are free.
const PORT_ATTEMPTS: usize = 50;

/// The sound of one call.
pub(crate) struct Media {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    address: SocketAddr,
    cname: String,
    sending: Sending,
    receiving: Receiving,
    /// `None`: nothing is sent or heard yet.
    agreed: Option<Agreed>,
    report_at: Time,
}

struct Sending {
    ssrc: Ssrc,
    sequence: u16,
    timestamp: u32,
    at: Time,
    /// The next packet is the first after a silence.
    marker: bool,
    packets: u32,
    octets: u32,
    /// Samples of the source are replaced by silence: we hold.
    muted: bool,
    keys: VecDeque<Event>,
    series: Option<Series>,
}

/// A key that is being sent.
struct Series {
    packets: Peekable<EventSender>,
    begun: Time,
}

struct Receiving {
    ssrc: Option<Ssrc>,
    reception: Reception,
    buffer: JitterBuffer,
    /// `None`: nothing has been heard yet.
    decoder: Option<Decoder>,
    events: EventReceiver,
    tones: DtmfDetector,
    /// Packets of all sources. A reception counts from when it believes in its source, and one source only.
    packets: u64,
    /// What was lost of sources before this one.
    lost_before: i64,
    expected: Expected,
}

/// Has the other party spoken from where it said that it would?
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// Not since that was agreed. It may sit behind a translator of addresses, or have several.
    Silent,
    /// This is when it last did.
    Heard(Time),
}

/// What a turn has brought.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Samples heard.
    pub samples: Vec<i16>,
    /// Keys that the other party has pressed.
    pub keys: Vec<char>,
}

impl Media {
    /// Opens the sockets.
    pub fn open(ip: IpAddr, now: Time, rng: &mut Rng, playout_delay: Duration) -> io::Result<Self> {
        let (rtp, rtcp) = open_pair(ip)?;
        let address = rtp.local_addr()?;
        //= https://www.rfc-editor.org/rfc/rfc3550#section-5.1
        // Source, sequence number and timestamp begin at random.
        let sending = Sending {
            ssrc: Ssrc(rng.u32()),
            sequence: rng.u32() as u16,
            timestamp: rng.u32(),
            at: now,
            marker: true,
            packets: 0,
            octets: 0,
            muted: false,
            keys: VecDeque::new(),
            series: None,
        };
        let cname = format!("{:016x}", rng.u64());
        let report_at = now + REPORT_INTERVAL / 2;
        Ok(Self {
            rtp,
            rtcp,
            address,
            cname,
            sending,
            receiving: Receiving::new(playout_delay),
            agreed: None,
            report_at,
        })
    }

    /// Where we receive RTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was agreed, if anything.
    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// Goes on as was agreed; `muted` sends silence.
    pub fn change(&mut self, now: Time, agreed: Agreed, muted: bool) {
        if self.agreed.is_none() {
            self.sending.at = now;
        }
        let moved = self.agreed.is_none_or(|before| before.remote != agreed.remote);
        self.receiving.expected = match self.receiving.expected {
            Expected::Heard(_) if !moved => Expected::Heard(now),
            _ => Expected::Silent,
        };
        self.sending.muted = muted;
        self.agreed = Some(agreed);
    }

    /// Presses a key, when those before it have been sent. False when the other party takes no telephone events.
    pub fn press(&mut self, key: Event) -> bool {
        if self.agreed.is_none_or(|agreed| agreed.telephone_event.is_none()) {
            return false;
        }
        if self.sending.keys.len() < KEYS_MAX {
            self.sending.keys.push_back(key);
        }
        true
    }

    /// Receives what has come and sends what is due.
    pub fn turn(&mut self, now: Time, source: &mut Source) -> Turn {
        let mut turn = Turn::default();
        self.receive(now);
        let Some(agreed) = self.agreed else { return turn };
        self.receiving.play(now, &agreed, &mut turn);
        while self.sending.at <= now {
            self.send_frame(&agreed, source);
            self.sending.timestamp = self.sending.timestamp.wrapping_add(FRAME_SAMPLES as u32);
            self.sending.at = self.sending.at + FRAME;
            if now.since(self.sending.at) > LAG_MAX {
                self.sending.at = now;
                self.sending.marker = true;
            }
        }
        if self.report_at <= now {
            self.report_at = now + REPORT_INTERVAL;
            self.send_report(now, None);
        }
        turn
    }

    /// When the next turn is due.
    pub fn poll_timeout(&self, now: Time) -> Time {
        if self.agreed.is_some() { self.sending.at.min(now + POLL) } else { now + FRAME }
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Time) {
        if self.sending.packets > 0 {
            self.send_report(now, Some("the call is over"));
        }
    }

    pub fn stats(&self) -> MediaStats {
        let Receiving { reception, packets, lost_before, .. } = &self.receiving;
        MediaStats {
            packets_sent: self.sending.packets.into(),
            packets_received: *packets,
            packets_lost: lost_before + reception.lost(),
            jitter_us: reception.jitter().as_micros().try_into().unwrap_or(u64::MAX),
        }
    }

    fn receive(&mut self, now: Time) {
        let mut buffer = [0; 2_048];
        for _ in 0..PACKETS_PER_TURN {
            // An error is that nothing waits, or the fate of a datagram we sent: neither matters here.
            let Ok((length, from)) = self.rtp.recv_from(&mut buffer) else { break };
            if let (Some(agreed), Ok(packet)) = (&self.agreed, Packet::parse(&buffer[..length])) {
                self.receiving.take(now, agreed, from, packet);
            }
        }
        for _ in 0..PACKETS_PER_TURN {
            let Ok((length, _)) = self.rtcp.recv_from(&mut buffer) else { break };
            let Ok(compound) = Compound::parse(&buffer[..length]) else { continue };
            for packet in compound.packets() {
                if let RtcpPacket::SenderReport(report) = packet
                    && Some(report.ssrc) == self.receiving.ssrc
                {
                    self.receiving.reception.handle_sender_report(now, &report.info);
                }
            }
        }
    }

    fn send_frame(&mut self, agreed: &Agreed, source: &mut Source) {
        let mut samples = [0; FRAME_SAMPLES];
        source.fill(&mut samples);
        let (true, Some(remote)) = (agreed.sends, agreed.remote) else {
            self.sending.marker = true;
            return;
        };
        if let Some(payload_type) = agreed.telephone_event
            && self.send_key(payload_type, remote)
        {
            return;
        }
        if self.sending.muted {
            samples.fill(0);
        }
        let mut payload = Vec::with_capacity(FRAME_SAMPLES);
        agreed.law.encode(&samples, &mut payload);
        let (marker, timestamp) = (std::mem::take(&mut self.sending.marker), self.sending.timestamp);
        self.send(remote, marker, agreed.payload_type, timestamp, &payload);
    }

    /// Sends what is due of the key that is being pressed, in place of sound. False when none is.
    fn send_key(&mut self, payload_type: PayloadType, remote: SocketAddr) -> bool {
        let (now, timestamp) = (self.sending.at, self.sending.timestamp);
        if self.sending.series.as_ref().is_some_and(|series| now >= series.begun + KEY + KEY_PAUSE) {
            self.sending.series = None;
        }
        if self.sending.series.is_none()
            && let Some(key) = self.sending.keys.pop_front()
        {
            let packets = EventSender::new(key, KEY_VOLUME, KEY, timestamp, SAMPLE_HZ).peekable();
            self.sending.series = Some(Series { packets, begun: now });
        }
        let Some(series) = &mut self.sending.series else { return false };
        let mut due = Vec::new();
        while let Some(packet) = series.packets.next_if(|packet| series.begun + packet.offset <= now) {
            due.push(packet);
        }
        for packet in &due {
            self.send(remote, packet.marker, payload_type, packet.timestamp, &packet.payload.to_bytes());
        }
        self.sending.marker |= !due.is_empty();
        !due.is_empty()
    }

    fn send(&mut self, to: SocketAddr, marker: bool, payload_type: PayloadType, timestamp: u32, payload: &[u8]) {
        let Sending { ssrc, sequence, .. } = self.sending;
        let mut datagram = Vec::with_capacity(12 + payload.len());
        Header { marker, payload_type, sequence, timestamp, ssrc }.write(payload, &mut datagram);
        self.sending.sequence = sequence.wrapping_add(1);
        // A datagram that cannot be sent is a datagram lost.
        if self.rtp.send_to(&datagram, to).is_ok() {
            self.sending.packets = self.sending.packets.wrapping_add(1);
            self.sending.octets = self.sending.octets.wrapping_add(payload.len() as u32);
        }
    }

    fn send_report(&mut self, now: Time, goodbye: Option<&str>) {
        let Some(remote) = self.agreed.and_then(|agreed| agreed.remote) else { return };
        let Some(port) = remote.port().checked_add(1) else { return };
        let ssrc = self.sending.ssrc;
        let block = self.receiving.ssrc.and_then(|ssrc| self.receiving.reception.report(now, ssrc));
        let mut datagram = Vec::new();
        let info = SenderInfo {
            ntp: ntp_from_time(now),
            rtp_timestamp: self.sending.timestamp,
            packet_count: self.sending.packets,
            octet_count: self.sending.octets,
        };
        let written = if self.sending.packets > 0 {
            write_sender_report(ssrc, &info, block.as_slice(), &mut datagram)
        } else {
            write_receiver_report(ssrc, block.as_slice(), &mut datagram)
        };
        let written = written.and_then(|()| write_sdes_cname(ssrc, &self.cname, &mut datagram));
        let written = written.and_then(|()| match goodbye {
            Some(reason) => write_bye(&[ssrc], Some(reason), &mut datagram),
            None => Ok(()),
        });
        if written.is_ok() {
            let _ = self.rtcp.send_to(&datagram, SocketAddr::new(remote.ip(), port));
        }
    }
}

impl Receiving {
    fn new(playout_delay: Duration) -> Self {
        let usual = JitterConfig::new(SAMPLE_HZ);
        let delay_min = usual.delay_min.min(playout_delay);
        let config = JitterConfig { delay_start: playout_delay, delay_min, ..usual };
        Self {
            ssrc: None,
            reception: Reception::new(SAMPLE_HZ),
            buffer: JitterBuffer::new(config),
            decoder: None,
            events: EventReceiver::new(SAMPLE_HZ, EventReceiver::SILENCE),
            tones: DtmfDetector::new(),
            packets: 0,
            lost_before: 0,
            expected: Expected::Silent,
        }
    }

    fn take(&mut self, now: Time, agreed: &Agreed, from: SocketAddr, packet: Packet<'_>) {
        // Some keep a way open with packets that say nothing.
        if packet.payload().is_empty() {
            return;
        }
        match self.expected {
            _ if Some(from) == agreed.remote => self.expected = Expected::Heard(now),
            Expected::Heard(at) if now.since(at) < ELSEWHERE_AFTER => return,
            Expected::Heard(_) | Expected::Silent => {}
        }
        self.packets += 1;
        if self.ssrc.replace(packet.ssrc()) != Some(packet.ssrc()) {
            self.lost_before += self.reception.lost();
            self.reception = Reception::new(SAMPLE_HZ);
        }
        if agreed.is_event(packet.payload_type()) {
            self.reception.handle_sequence(packet.sequence());
            self.events.handle_input(now, packet);
            // A key takes the place of sound, whose numbers its packets have.
            self.buffer.handle_packet(now, packet.header(), Content::Nothing, &[]);
        } else if agreed.law_of(packet.payload_type()).is_some() {
            self.reception.handle_packet(now, packet.sequence(), packet.timestamp());
            self.buffer.handle_packet(now, packet.header(), Content::Speech, packet.payload());
        }
    }

    fn play(&mut self, now: Time, agreed: &Agreed, turn: &mut Turn) {
        self.events.handle_timeout(now);
        while let Some(output) = self.events.poll_output() {
            if let EventOutput::Began { event } = output {
                turn.keys.extend(event.key());
            }
        }
        while let Some(frame) = self.buffer.poll_frame(now) {
            let end = turn.samples.len();
            match frame {
                Frame::Payload(payload) | Frame::Surplus(payload) => {
                    // Nothing got in of which the law is not known, unless another one was agreed meanwhile.
                    let law = agreed.law_of(payload.header.payload_type).unwrap_or(agreed.law);
                    let decoded = decoder(&mut self.decoder, law).decode(payload.bytes, &mut turn.samples);
                    // What is longer than any packet should be is no sound.
                    if decoded.is_err() || matches!(frame, Frame::Surplus(_)) {
                        turn.samples.truncate(end);
                    }
                }
                Frame::Gap(gap) if gap.cause == GapCause::Pause => turn.samples.resize(end + FRAME_SAMPLES, 0),
                Frame::Gap(gap) => {
                    let samples = gap.duration.as_nanos() * u128::from(SAMPLE_HZ) / 1_000_000_000;
                    decoder(&mut self.decoder, agreed.law).conceal(samples as usize, &mut turn.samples);
                }
            }
        }
        if !agreed.receives {
            turn.samples.clear();
        }
        if agreed.telephone_event.is_none() {
            turn.keys.extend(self.tones.hear(&turn.samples).map(|detection| detection.digit.key()));
        }
    }
}

/// The decoder of a law: the one that is there, or a new one when it is of the other law.
fn decoder(kept: &mut Option<Decoder>, law: Law) -> &mut Decoder {
    if kept.as_ref().is_some_and(|decoder| decoder.format() != Format::G711(law)) {
        *kept = None;
    }
    kept.get_or_insert_with(|| Decoder::new(Format::G711(law)))
}

/// The key of a digit, when it is one.
pub(crate) fn key(character: char) -> Option<(Event, Digit)> {
    Some((Event::from_key(character)?, Digit::from_key(character)?))
}

//= https://www.rfc-editor.org/rfc/rfc3550#section-11
// RTP has an even port and RTCP the odd one above.
fn open_pair(ip: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    // Refused ports are kept until the end, so that the system does not give them again.
    let mut refused = Vec::new();
    for _ in 0..PORT_ATTEMPTS {
        let rtp = UdpSocket::bind((ip, 0))?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind((ip, port + 1))
        {
            rtp.set_nonblocking(true)?;
            rtcp.set_nonblocking(true)?;
            return Ok((rtp, rtcp));
        }
        refused.push(rtp);
    }
    Err(io::ErrorKind::AddrInUse.into())
}
