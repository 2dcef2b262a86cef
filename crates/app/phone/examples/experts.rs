//! A thousand telephones of experts in one process, for loads: they answer at once, speak or keep silent, and say what they hear.
//!
//!     cargo run --release -p sx-phone --example experts -- 127.0.0.1:5070
//!
//! The address is for SIP over UDP. RTP comes to sockets that several share, since one alone could not keep what comes for all
//! at once: whose a packet is, is told by the port it comes from.
//! Each call is answered with 200, and sends a packet of 20 ms of PCMU 50 times a second. Who is rung for a
//! trace that begins with `speaks` speaks, at 1,000 Hz; the others send silence. A number is what is dialled without its first digit. Commands come by standard input, a line each, and are answered with a line:
//!
//! * `calls`: how many there are;
//! * `report`: of each call, as JSON: its number, the trace it was told, how many packets came since the last report, and in how many
//!   fifths of a second of all that were listened to the tone was there;
//! * `bye N`: those N hang up who have the highest numbers;
//! * `close`: all sockets are closed, and the process stays;
//! * `end`.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, ErrorKind, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use sx_codec::{Law, hears};

/// What is said, in hertz.
const TONE_HZ: f64 = 1_000.0;
const TICK: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// So many sockets for RTP.
const SOCKETS: usize = 64;
/// A fifth of a second.
const WINDOW: usize = 1_600;

struct Call {
    number: usize,
    trace: String,
    /// What a BYE of ours needs: To and From as ours, the Call-ID, where it goes.
    ours: String,
    theirs: String,
    call_id: String,
    contact: String,
    signalling: SocketAddr,
    media: SocketAddr,
    packets: u64,
    heard: Vec<i16>,
    windows: u64,
    with_tone: u64,
}

impl Call {
    fn speaks(&self) -> bool {
        self.trace.starts_with("speaks")
    }
}

struct Experts {
    sip: UdpSocket,
    rtp: Vec<UdpSocket>,
    calls: BTreeMap<String, Call>,
    by_media: BTreeMap<SocketAddr, String>,
    /// BYEs that are not answered yet, by Call-ID, and where they go.
    byes: BTreeMap<String, (String, SocketAddr)>,
    sequence: u16,
    timestamp: u32,
    tone: Vec<u8>,
}

fn main() -> io::Result<()> {
    let address: SocketAddr = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("an address");
    let bound = |port: u16| -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((address.ip(), port))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let sip = bound(address.port())?;
    let rtp = (0..SOCKETS).map(|_| bound(0)).collect::<io::Result<_>>()?;
    // A second of a tone with whole periods in each packet.
    let sample = |at: usize| (8_000.0 * (std::f64::consts::TAU * TONE_HZ * at as f64 / 8_000.0).sin()) as i16;
    let tone = (0..SAMPLES).map(|at| Law::Mu.compress(sample(at))).collect();
    let mut experts = Experts {
        sip,
        rtp,
        calls: BTreeMap::new(),
        by_media: BTreeMap::new(),
        byes: BTreeMap::new(),
        sequence: 0,
        timestamp: 0,
        tone,
    };
    let (say, commands) = channel();
    std::thread::spawn(move || io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
    experts.run(&commands)
}

impl Experts {
    fn run(&mut self, commands: &Receiver<String>) -> io::Result<()> {
        let mut next = Instant::now() + TICK;
        loop {
            self.signal()?;
            self.hear()?;
            if Instant::now() >= next {
                next += TICK;
                self.speak();
            }
            if let Ok(command) = commands.try_recv() {
                let words: Vec<&str> = command.split(' ').collect();
                let mut output = io::stdout().lock();
                match words[..] {
                    ["calls"] => writeln!(output, "{}", self.calls.len())?,
                    ["report"] => writeln!(output, "{}", self.report())?,
                    ["bye", count] => writeln!(output, "{}", self.hang_up(count.parse().unwrap_or_default()))?,
                    ["close"] => {
                        writeln!(output, "closed")?;
                        output.flush()?;
                        return self.closed(commands);
                    }
                    _ => return Ok(()),
                }
                output.flush()?;
            }
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()).min(Duration::from_millis(2)));
        }
    }

    /// The process is there, and its sockets are not.
    fn closed(&mut self, commands: &Receiver<String>) -> io::Result<()> {
        (self.sip, self.rtp) = (UdpSocket::bind("127.0.0.1:0")?, Vec::new());
        while commands.recv().is_ok_and(|command| command != "end") {}
        Ok(())
    }

    fn signal(&mut self) -> io::Result<()> {
        let mut buffer = [0; 65_536];
        loop {
            match self.sip.recv_from(&mut buffer) {
                Ok((length, from)) => self.take(&String::from_utf8_lossy(&buffer[..length]), from),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // What the last one was sent to is not there any more.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, message: &str, from: SocketAddr) {
        let method = message.split(' ').next().unwrap_or_default();
        if method == "SIP/2.0" {
            // Nothing but a BYE is asked.
            self.byes.remove(value(message, "Call-ID").unwrap_or_default());
        }
        if method == "SIP/2.0" || method == "ACK" {
            return;
        }
        let (Some(call_id), Some(to)) = (value(message, "Call-ID"), value(message, "To")) else { return };
        let tagged = if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag=expert") };
        let body = match method {
            "INVITE" => {
                self.begin(message, from, (call_id, &tagged));
                self.send(&reply(message, "180 Ringing", &tagged, ""), from);
                self.calls.get(call_id).map_or_else(String::new, |call| self.description(call))
            }
            "BYE" => {
                if let Some(call) = self.calls.remove(call_id) {
                    self.by_media.remove(&call.media);
                }
                String::new()
            }
            _ => String::new(),
        };
        let contact =
            self.sip.local_addr().map_or_else(|_| String::new(), |at| format!("Contact: <sip:expert@{at}>\r\n"));
        self.send(&reply(message, "200 OK", &tagged, &format!("{contact}{body}")), from);
    }

    fn begin(&mut self, message: &str, from: SocketAddr, (call_id, ours): (&str, &str)) {
        if self.calls.contains_key(call_id) {
            return;
        }
        let host = message.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).map(str::trim);
        let port = message.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next());
        let media = host.zip(port).and_then(|(host, port)| format!("{host}:{port}").parse().ok());
        let Some(media) = media else { return };
        let of = |name: &str| value(message, name).unwrap_or_default().to_owned();
        let dialled = message.split(['@', ':']).nth(1).and_then(|user| user.get(1..)?.parse().ok());
        let Some(number) = dialled else { return };
        let call = Call {
            number,
            trace: of("X-IF-Trace-ID"),
            ours: ours.to_owned(),
            theirs: of("From"),
            call_id: call_id.to_owned(),
            contact: of("Contact").trim_start_matches('<').split('>').next().unwrap_or_default().to_owned(),
            signalling: from,
            media,
            packets: 0,
            heard: Vec::new(),
            windows: 0,
            with_tone: 0,
        };
        self.by_media.insert(media, call_id.to_owned());
        self.calls.insert(call_id.to_owned(), call);
    }

    fn socket_of(&self, call: &Call) -> &UdpSocket {
        &self.rtp[call.number % SOCKETS]
    }

    fn description(&self, call: &Call) -> String {
        let Ok(rtp) = self.socket_of(call).local_addr() else { return String::new() };
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n",
            rtp.ip(),
            rtp.port()
        );
        format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn send(&self, text: &str, to: SocketAddr) {
        let text = if text.contains("\r\n\r\n") { text.to_owned() } else { format!("{text}Content-Length: 0\r\n\r\n") };
        let _ = self.sip.send_to(text.as_bytes(), to);
    }

    /// A packet of each, and twice a second what is to be asked again.
    fn speak(&mut self) {
        if self.sequence.is_multiple_of(25) {
            self.byes.values().for_each(|(bye, to)| self.send(bye, *to));
        }
        (self.sequence, self.timestamp) = (self.sequence.wrapping_add(1), self.timestamp.wrapping_add(SAMPLES as u32));
        let silence = [0xff; SAMPLES];
        for call in self.calls.values() {
            let payload: &[u8] = if call.speaks() { &self.tone } else { &silence };
            let mut packet = [0; 12 + SAMPLES];
            packet[..2].copy_from_slice(&[0x80, 0]);
            packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
            packet[8..12].copy_from_slice(&(call.number as u32).to_be_bytes());
            packet[12..].copy_from_slice(payload);
            let _ = self.socket_of(call).send_to(&packet, call.media);
        }
    }

    fn hear(&mut self) -> io::Result<()> {
        let mut packet = [0; 2_048];
        let mut socket = 0;
        while socket < SOCKETS {
            let (length, from) = match self.rtp[socket].recv_from(&mut packet) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    socket += 1;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            let call = self.by_media.get(&from).and_then(|id| self.calls.get_mut(id));
            let Some(call) = call.filter(|_| length > 12 && packet[1] & 0x7f == 0) else { continue };
            call.packets += 1;
            Law::Mu.decode(&packet[12..length], &mut call.heard);
            if call.heard.len() >= WINDOW {
                call.windows += 1;
                call.with_tone += u64::from(hears(&call.heard[..WINDOW], TONE_HZ));
                call.heard.clear();
            }
        }
        Ok(())
    }

    /// What each has heard since the last time.
    fn report(&mut self) -> String {
        let each: Vec<String> = self
            .calls
            .values_mut()
            .map(|call| {
                let (packets, windows, tone) = (call.packets, call.windows, call.with_tone);
                (call.packets, call.windows, call.with_tone) = (0, 0, 0);
                call.heard.clear();
                format!(
                    r#"{{"number":{},"trace":"{}","speaks":{},"packets":{packets},"windows":{windows},"tone":{tone}}}"#,
                    call.number,
                    call.trace,
                    call.speaks()
                )
            })
            .collect();
        format!("[{}]", each.join(","))
    }

    /// So many hang up: their traces.
    fn hang_up(&mut self, count: usize) -> String {
        let mut calls: Vec<(usize, String)> =
            self.calls.values().map(|call| (call.number, call.call_id.clone())).collect();
        calls.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let mut traces = Vec::new();
        for (_, id) in calls.into_iter().take(count) {
            let Some(call) = self.calls.remove(&id) else { continue };
            self.by_media.remove(&call.media);
            let at = self.sip.local_addr().map_or_else(|_| String::new(), |at| at.to_string());
            let bye = format!(
                "BYE {} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK-bye-{}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\n",
                call.contact, call.number, call.ours, call.theirs, call.call_id
            );
            self.send(&bye, call.signalling);
            self.byes.insert(call.call_id, (bye, call.signalling));
            traces.push(call.trace);
        }
        traces.join(" ")
    }
}

/// The first value of a header.
fn value<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let head = message.split("\r\n\r\n").next()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn reply(request: &str, status: &str, to: &str, more: &str) -> String {
    let head = request.split("\r\n\r\n").next().unwrap_or_default();
    let is = |line: &&str, name: &str| line.split(':').next().is_some_and(|known| known.eq_ignore_ascii_case(name));
    let copied = ["Via", "Record-Route", "From", "Call-ID", "CSeq"];
    let lines: String = head
        .lines()
        .skip(1)
        .filter(|line| copied.iter().any(|name| is(line, name)))
        .map(|line| format!("{line}\r\n"))
        .collect();
    format!("SIP/2.0 {status}\r\n{lines}To: {to}\r\n{more}")
}
