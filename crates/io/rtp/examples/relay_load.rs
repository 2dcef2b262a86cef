//! Loads the relay over the loopback interface: `relay_load [calls] [seconds] [relay|direct]`.
//!
//! Each call has two telephones that send 50 packets a second of 160 bytes of payload each, spread evenly over time.
//! Every packet bears its sending time and a pattern; the receiver checks it whole. Prints loss, delay and what the
//! packet threads cost. With `direct` the telephones send to each other, which shows what the load generator and the
//! kernel contribute to the delay.
//!
//! The packet thread has the second processor to itself; all telephones are one thread on the first, which never
//! sleeps: neither waits for the other's processor, and the relay pays for no telephone's wake-up.
#![expect(clippy::print_stdout, reason = "a program's output")]

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use sx_io_rtp::{MediaInterface, PacketThreads, RtpConfig};
use sx_media::{Latch, MediaCommand, MediaEvent, PortId, Remote, TrafficClass};

const PACKET: usize = 172;
const INTERVAL: Duration = Duration::from_millis(20);
/// How many parts the telephones are in; the parts send one after another.
const SLICES: usize = 100;
/// How long packets may be on their way after the last was sent.
const TAIL: Duration = Duration::from_millis(300);

const TELEPHONES: usize = 0;
const RELAY: usize = 1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let calls: usize = arguments.first().map_or(Ok(500), |calls| calls.parse())?;
    let seconds: u64 = arguments.get(1).map_or(Ok(10), |seconds| seconds.parse())?;
    let direct = arguments.get(2).is_some_and(|mode| mode == "direct");

    let phones = (0..calls * 2).map(|_| UdpSocket::bind(([127, 0, 0, 1], 0).into())).collect::<Result<Vec<_>, _>>()?;
    let addresses = phones.iter().map(UdpSocket::local_addr).collect::<Result<Vec<_>, _>>()?;
    let (threads, events) = start()?;
    let towards = if direct {
        (0..calls * 2).map(|phone| addresses[phone ^ 1]).collect()
    } else {
        connect(&threads, &events, &addresses)?
    };

    for thread in packet_threads() {
        pin(thread, RELAY)?;
    }
    pin(None, TELEPHONES)?;
    let before = scheduled();
    let mut heard = exchange(&phones, &towards, Duration::from_secs(seconds))?;
    let after = scheduled();

    heard.delays.sort_unstable();
    let sent = heard.sent;
    let received = heard.delays.len() as u64;
    let percentile = |share: f64| heard.delays.get((received as f64 * share) as usize).copied().unwrap_or(0) / 1000;
    println!("calls {calls}, {seconds} s, {}", if direct { "direct" } else { "relayed" });
    println!("sent {sent}, received {received}, wrong content {}", heard.wrong);
    println!("lost {} ({:.4} %)", sent - received, (sent - received) as f64 * 100.0 / sent as f64);
    println!("delay p50 {} µs, p99 {} µs, p99.9 {} µs", percentile(0.5), percentile(0.99), percentile(0.999));
    println!("telephones behind their time by at most {} µs", heard.late.as_micros());
    if !direct {
        let seconds_cpu = (after.ran - before.ran).as_secs_f64();
        let waited = (after.waited - before.waited).as_secs_f64();
        println!(
            "relay CPU {seconds_cpu:.3} s = {:.1} % of a core, {:.2} CPU-s per million packets",
            seconds_cpu * 100.0 / seconds as f64,
            seconds_cpu * 1e6 / sent as f64
        );
        println!("relay ready but waiting for a processor {waited:.3} s");
        println!("totals {:?}", threads.totals());
    }
    threads.stop();
    Ok(())
}

type WorkerEvents = Receiver<(u16, MediaEvent)>;

fn start() -> Result<(PacketThreads, WorkerEvents), Box<dyn std::error::Error>> {
    let loopback = MediaInterface { bind_v4: Some(Ipv4Addr::LOCALHOST), ..MediaInterface::new("loopback") };
    let config = RtpConfig { interfaces: vec![loopback], ports: 10_000..=32_000, threads: 1, ..RtpConfig::default() };
    let (told, events) = channel();
    let threads = PacketThreads::start(&config, move |worker, event| {
        let _ = told.send((worker, event));
    })?;
    Ok((threads, events))
}

/// Opens two ports a call and patches them; gives where each telephone sends to.
fn connect(
    threads: &PacketThreads,
    events: &WorkerEvents,
    phones: &[SocketAddr],
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error>> {
    let id = |phone: usize| PortId(1 << 48 | (phone as u64 / 2) << 8 | (phone as u64 % 2));
    let started = Instant::now();
    let mut towards = Vec::with_capacity(phones.len());
    for (phone, address) in phones.iter().enumerate() {
        let port = id(phone);
        threads.send(open(port, "loopback"));
        match events.recv()? {
            (1, MediaEvent::Opened(opened)) if opened.port == port => towards.push(opened.rtp),
            other => return Err(format!("port not opened: {other:?}").into()),
        }
        let (rtp, rtcp) = (*address, *address);
        let remote =
            Remote { rtp, rtcp, latch: Latch::Exact, receives: true, sends: true, wants_metrics: false, codec: None };
        threads.send(MediaCommand::SetRemote { port, remote, keys: None });
    }
    println!("opening a port took {} µs", started.elapsed().as_micros() / phones.len().max(1) as u128);
    for phone in 0..phones.len() {
        threads.send(MediaCommand::Patch { from: id(phone), to: Some(id(phone ^ 1)), conversion: None });
    }
    // The last command is obeyed once this one is answered.
    threads.send(open(PortId(1 << 48), "none"));
    events.recv()?;
    Ok(towards)
}

fn open(port: PortId, interface: &str) -> MediaCommand {
    let (interface, class) = (interface.into(), TrafficClass::Audio);
    MediaCommand::Open { port, interface, ipv6: false, class, host: None, number: None }
}

/// Leaves one processor to a thread, this one without a number.
fn pin(thread: Option<Pid>, processor: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(thread, &set)?)
}

/// The packet threads' numbers, by their name.
fn packet_threads() -> Vec<Option<Pid>> {
    let number = |task: &Path| Pid::from_raw(task.file_name()?.to_str()?.parse().ok()?);
    tasks().iter().map(|task| number(task)).collect()
}

/// What the operating system tells of each packet thread.
fn tasks() -> Vec<PathBuf> {
    let named = |task: &Path| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("rtp-"));
    let all = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
    all.filter(|task| named(task)).collect()
}

/// What the telephones have sent and heard.
#[derive(Default)]
struct Heard {
    sent: u64,
    delays: Vec<u64>,
    wrong: u64,
    /// How late the latest packet was sent: a stall of the machine, or too much load for the telephones.
    late: Duration,
}

/// Sends until the time is over, and hears what comes meanwhile and soon after.
fn exchange(phones: &[UdpSocket], towards: &[SocketAddr], span: Duration) -> std::io::Result<Heard> {
    let mut heard = Heard { delays: Vec::with_capacity(1 << 22), ..Heard::default() };
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    // A telephone's socket is not registered for anything else: a raw descriptor does for reading.
    for (index, phone) in phones.iter().enumerate() {
        let fd = std::os::fd::AsRawFd::as_raw_fd(phone);
        poll.registry().register(&mut mio::unix::SourceFd(&fd), Token(index), Interest::READABLE)?;
    }
    let epoch = Instant::now();
    let mut turn = 0_u32;
    while epoch.elapsed() < span + TAIL {
        let due = INTERVAL / SLICES as u32 * turn;
        if due < span && epoch.elapsed() >= due {
            heard.late = heard.late.max(epoch.elapsed() - due);
            let (round, slice) = (turn / SLICES as u32, turn as usize % SLICES);
            for phone in (slice..phones.len()).step_by(SLICES) {
                let packet = compose(phone, round, epoch);
                heard.sent += u64::from(phones[phone].send_to(&packet, towards[phone]).is_ok());
            }
            turn += 1;
        }
        poll.poll(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            heard.receive(phones, event.token().0, epoch);
        }
    }
    Ok(heard)
}

impl Heard {
    /// Takes all that has come to one telephone.
    fn receive(&mut self, phones: &[UdpSocket], phone: usize, epoch: Instant) {
        let mut buffer = [0; 2048];
        while let Ok(length) = phones[phone].recv(&mut buffer) {
            let arrived = epoch.elapsed().as_nanos() as u64;
            match check(phone, &buffer[..length]) {
                Some(sent) => self.delays.push(arrived.saturating_sub(sent)),
                None => self.wrong += 1,
            }
        }
    }
}

/// An RTP packet: PCMA, the sending time, the telephone, and a pattern that depends on both the packet and its place.
fn compose(phone: usize, round: u32, epoch: Instant) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[..2].copy_from_slice(&[0x80, 8]);
    packet[2..4].copy_from_slice(&(round as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&(round.wrapping_mul(160)).to_be_bytes());
    packet[8..12].copy_from_slice(&(phone as u32).to_be_bytes());
    for (place, byte) in packet[20..].iter_mut().enumerate() {
        *byte = (place as u32 ^ round ^ phone as u32) as u8;
    }
    packet[12..20].copy_from_slice(&(epoch.elapsed().as_nanos() as u64).to_be_bytes());
    packet
}

/// The sending time of a packet that the other telephone of the call composed, if nothing in it has changed.
fn check(phone: usize, packet: &[u8]) -> Option<u64> {
    let from = phone ^ 1;
    let packet: &[u8; PACKET] = packet.try_into().ok()?;
    let round = u32::from_be_bytes(packet[4..8].try_into().ok()?) / 160;
    let mut expected = compose(from, round, Instant::now());
    expected[12..20].copy_from_slice(&packet[12..20]);
    (*packet == expected).then(|| u64::from_be_bytes(packet[12..20].try_into().unwrap_or_default()))
}

/// What the scheduler has counted of all packet threads so far.
#[derive(Clone, Copy, Default)]
struct Scheduled {
    /// On a processor.
    ran: Duration,
    /// Ready, and waiting for one: what other programs add to the delay.
    waited: Duration,
}

fn scheduled() -> Scheduled {
    let mut sum = Scheduled::default();
    for task in tasks() {
        let statistics = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        let mut nanos = statistics.split(' ').map(|number| number.parse().unwrap_or(0));
        sum.ran += Duration::from_nanos(nanos.next().unwrap_or(0));
        sum.waited += Duration::from_nanos(nanos.next().unwrap_or(0));
    }
    sum
}
