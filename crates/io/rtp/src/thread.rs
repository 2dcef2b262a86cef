//! A packet thread: waits for packets and commands, relays the ones and obeys the others.

mod keys;

use crate::clock::Clock;
use crate::commands::{Commands, NoCommand};
use crate::config::ThreadError;
use crate::converting::PacketMeans;
use crate::entry::{Entry, Patch};
use crate::exchange::{Bound, Exchange, Wanted};
use crate::handshakes::HandshakeSettings;
use crate::load::Load;
use crate::port::{Channel, Port, Verdict};
use crate::recording::Tapped;
use crate::seat::Attending;
use crate::sys::{Chosen, Failure, Intake, WAKE, Wake, Written, processor_time};
use crate::totals::ThreadTotals;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use sx_audio::Key;
use sx_dtls::Anchor;
use sx_engine::{Rng, Time};
use sx_media::{
    Attendance, Conversion, Counted, Keys, MediaCommand, MediaEvent, OpenError, Opened, Playing, PortId, PortMemory,
    Remote, Tap,
};

/// What waits for its turn between waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: sleep until something comes.
    Wait,
    /// Commands that were left over so that packets need not wait for all of them.
    Commands,
    /// The end: nobody can send commands any more.
    Stop,
}

/// One thread's ports and the means to serve them.
pub(crate) struct PacketThread {
    exchange: Arc<Exchange>,
    commands: Arc<Commands>,
    wake: Arc<Wake>,
    totals: Arc<ThreadTotals>,
    intake: Intake,
    clock: Clock,
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    /// For commands; packets find their slot by the token of their socket.
    by_id: HashMap<PortId, u32>,
    /// For packets that are written here rather than received.
    written: Written,
    rng: Rng,
    next_tick: Time,
    load: Load,
    timed: keys::Timed,
    /// `None`: no port has handshakes.
    handshake_settings: Option<HandshakeSettings>,
}

/// A place in the table. The generation tells a token of the port that is here from one of the port before it.
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

impl PacketThread {
    pub(crate) fn new(
        exchange: Arc<Exchange>,
        commands: Arc<Commands>,
        wake: Arc<Wake>,
        totals: Arc<ThreadTotals>,
    ) -> io::Result<Self> {
        let intake = Intake::new(exchange.config.io_uring)?;
        let clock = exchange.clock;
        let anchor = Anchor { time: clock.wall, instant: clock.started };
        let handshake_settings = exchange.config.handshakes.clone().map(|local| HandshakeSettings { local, anchor });
        Ok(Self {
            exchange,
            commands,
            wake,
            totals,
            intake,
            next_tick: clock.now() + TICK,
            load: Load::new(clock.now()),
            timed: keys::Timed::default(),
            clock,
            slots: Vec::new(),
            vacant: Vec::new(),
            by_id: HashMap::new(),
            handshake_settings,
            written: Written::new(),
            // The keys of the standard hasher are the operating system's randomness.
            rng: Rng::from_number(RandomState::new().build_hasher().finish()),
        })
    }

    /// Runs until nobody can send commands any more, or until it cannot, which it tells; then closes every port.
    pub(crate) fn run(mut self) {
        if let Err(error) = self.serve() {
            self.exchange.fail(&error);
        }
        let open: Vec<PortId> = self.by_id.keys().copied().collect();
        for port in open {
            self.close(port);
        }
    }

    fn serve(&mut self) -> Result<(), ThreadError> {
        self.intake.begin(&self.wake).map_err(ThreadError::Wake)?;
        let mut next = Next::Wait;
        while next != Next::Stop {
            next = self.turn(next).map_err(ThreadError::Wait)?;
        }
        Ok(())
    }

    /// Waits, relays what has come, obeys, and looks at the clock.
    fn turn(&mut self, next: Next) -> io::Result<Next> {
        self.intake.wait(if next == Next::Wait { self.longest_wait() } else { Duration::ZERO })?;
        let mut woken = next == Next::Commands;
        while let Some(token) = self.intake.poll_token() {
            match token {
                WAKE => {
                    self.wake.heard();
                    woken = true;
                }
                token => self.relay(token),
            }
        }
        while let Some(failure) = self.intake.poll_failure() {
            self.not_sent(failure);
        }
        let now = self.clock.now();
        self.carry_on_keys(now);
        let is_time = now >= self.next_tick;
        // What follows may close sockets.
        if (is_time || woken) && !self.intake.flush() {
            return Ok(if woken { Next::Commands } else { Next::Wait });
        }
        let next = if woken { self.obey() } else { Next::Wait };
        if is_time {
            self.next_tick = now + TICK;
            self.mind_load(now);
            self.tick(now);
        }
        Ok(next)
    }

    /// Looks how busy it is, and lets packets gather if need be.
    fn mind_load(&mut self, now: Time) {
        let had = self.load.look(now, processor_time(), self.totals.packets_received.value());
        self.totals.busy_ns.add(u64::try_from(had.as_nanos()).unwrap_or(u64::MAX));
        let longest = self.load.gathering(self.exchange.config.coalesce);
        self.totals.gathering.set(self.intake.gather(longest).into());
    }

    fn not_sent(&self, failure: Failure) {
        self.totals.send_errors.add(1);
        if let Some(sockets) = self.exchange.find(PortId(failure.label.port)) {
            sockets.count_not_sent(failure);
        }
    }

    /// Receives what waits on one socket and sends it on.
    fn relay(&mut self, token: u64) {
        let (index, generation, channel) = split_token(token);
        let slot = self.slots.get_mut(index as usize).filter(|slot| slot.generation & GENERATION == generation);
        let Some(entry) = slot.and_then(|slot| slot.entry.as_mut()) else { return };
        // An error is that nothing waits after all, or an ICMP message about something sent: no packet either way.
        let Ok(count) = self.intake.receive(entry.sockets.socket(channel)) else { return };
        let now = self.clock.now();
        let (mut rtp, mut rtcp) = (Chosen::default(), Chosen::default());
        let (mut wrong_source, mut malformed, mut not_authentic, mut no_handshake) = (0, 0, 0, 0);
        for packet in 0..count {
            let (Some(from), bytes) = self.intake.batch().packet(packet) else { continue };
            let (verdict, len) = entry.port.receive(now, channel, from, bytes);
            if verdict == Verdict::Rtcp {
                entry.port.handle_report(now, &bytes[..len], entry.sockets.sent_reports());
            }
            self.intake.batch().set_length(packet, len);
            match verdict {
                Verdict::Rtp => rtp.add(packet),
                Verdict::Rtcp => rtcp.add(packet),
                Verdict::WrongSource => {
                    wrong_source += 1;
                    entry.log_wrong_source(now, from);
                }
                Verdict::Malformed => malformed += 1,
                Verdict::NotAuthentic => not_authentic += 1,
                Verdict::NoHandshake => no_handshake += 1,
                // The next packet may be under its keys already.
                Verdict::Handshake => entry.carry_out(&self.exchange, &self.totals),
            }
        }
        if let Some(destinations) = entry.port.poll_destinations() {
            entry.sockets.set_destinations(&destinations);
        }
        self.totals.packets_received.add(rtp.count());
        self.totals.rtcp_received.add(rtcp.count());
        self.totals.rejected_source.add(wrong_source);
        self.totals.rejected_format.add(malformed);
        self.totals.rejected_srtp.add(not_authentic);
        self.totals.rejected_dtls.add(no_handshake);
        let (received, written) = (&mut self.intake, &mut self.written);
        let mut means = PacketMeans { now, received, written, totals: &self.totals };
        entry.pass_on(&mut means, rtp, rtcp);
        if entry.converting.is_some() {
            self.mind_keys(index);
        }
    }

    /// Obeys some of the commands that wait.
    fn obey(&mut self) -> Next {
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.pop() {
                Ok(MediaCommand::Open { port, interface, ipv6, class, host, number }) => {
                    self.open(port, &Wanted { interface: &interface, ipv6, class, host, number });
                }
                Ok(MediaCommand::SetRemote { port, remote, keys }) => self.set_remote(port, remote, keys.as_deref()),
                Ok(MediaCommand::Patch { from, to, conversion }) => self.patch(from, to, conversion),
                Ok(MediaCommand::Attend { port, attendance }) => self.attend(port, attendance),
                Ok(MediaCommand::Press { port, key, duration_ms }) => self.press(port, Key { key, duration_ms }),
                Ok(MediaCommand::Play { port, playing }) => self.play(port, playing),
                Ok(MediaCommand::Tap { port, tap }) => self.tap(port, tap),
                Ok(MediaCommand::Record { recording, command }) => self.exchange.recorders.command(recording, command),
                Ok(MediaCommand::Count { port }) => self.count(port),
                Ok(MediaCommand::Remember { port }) => self.remember(port),
                Ok(MediaCommand::Resume { port, memory }) => self.resume(port, memory),
                Ok(MediaCommand::Close { port }) => self.close(port),
                Err(NoCommand::Yet) => return Next::Wait,
                Err(NoCommand::Ever) => return Next::Stop,
            }
        }
        Next::Commands
    }

    fn open(&mut self, port: PortId, wanted: &Wanted<'_>) {
        let opened = if self.by_id.contains_key(&port) {
            tracing::error!(port = port.0, "a media port was opened twice");
            Err(OpenError::System)
        } else {
            self.exchange.open(self.clock.now(), port, wanted).and_then(|bound| self.insert(port, bound))
        };
        let event = match opened {
            Ok((rtp, rtcp)) => {
                self.totals.opened.add(1);
                MediaEvent::Opened(Opened { port, rtp, rtcp })
            }
            Err(error) => {
                self.totals.open_failed.add(1);
                MediaEvent::OpenFailed { port, error }
            }
        };
        self.exchange.tell(port, event);
    }

    /// Puts a bound port into the table and listens to its sockets.
    fn insert(&mut self, id: PortId, bound: Bound) -> Result<(SocketAddr, SocketAddr), OpenError> {
        let Bound { sockets, advertised } = bound;
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, entry: None });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let added = [Channel::Rtp, Channel::Rtcp].into_iter().try_for_each(|channel| {
            self.intake.add(sockets.socket(channel), join_token(index, slot.generation, channel))
        });
        if let Err(error) = added {
            tracing::error!(%error, "the operating system does not watch a media port");
            for channel in [Channel::Rtp, Channel::Rtcp] {
                self.intake.remove(sockets.socket(channel), join_token(index, slot.generation, channel));
            }
            self.vacant.push(index);
            self.exchange.close(id, None);
            return Err(OpenError::System);
        }
        slot.entry = Some(Entry {
            id,
            port: Port::new(),
            sockets,
            patch: Patch::Nowhere,
            told: None,
            converting: None,
            told_key: None,
            tapped: None,
            counted: (0, 0),
            is_timed: false,
            logged: Time::ZERO,
        });
        self.by_id.insert(id, index);
        Ok(advertised)
    }

    fn set_remote(&mut self, port: PortId, remote: Remote, keys: Option<&Keys>) {
        let now = self.clock.now();
        let (rtp, rtcp) = (self.exchange.seen_from_here(remote.rtp), self.exchange.seen_from_here(remote.rtcp));
        let Some(index) = self.by_id.get(&port) else { return };
        let Some(entry) = self.slots[*index as usize].entry.as_mut() else { return };
        // Nothing is sent to a new place before it is known how.
        match keys {
            None => entry.sockets.outbound_security().set_keys(None),
            Some(Keys::Described(keys)) => entry.sockets.outbound_security().set_keys(Some(keys)),
            Some(Keys::Handshake(_)) => entry.sockets.outbound_security().await_keys(),
        }
        if let Some(codec) = remote.codec {
            entry.sockets.set_clock(codec.clock_hz());
        }
        let begins = entry.port.set_keys(keys);
        entry.port.set_remote(now, Remote { rtp, rtcp, ..remote });
        match (begins, &self.handshake_settings) {
            (Some(terms), Some(handshake_settings)) => {
                entry.port.begin_handshake(now, terms, handshake_settings);
                entry.carry_out(&self.exchange, &self.totals);
            }
            (Some(_), None) => tracing::error!(port = port.0, "a handshake was agreed on, and there is no certificate"),
            (None, _) => {}
        }
        if let Some(destinations) = entry.port.poll_destinations() {
            entry.sockets.set_destinations(&destinations);
        }
    }

    fn patch(&mut self, from: PortId, to: Option<PortId>, conversion: Option<Box<Conversion>>) {
        let patch = match to {
            None => Patch::Nowhere,
            Some(to) => self.exchange.find(to).map_or(Patch::Awaiting(to), Patch::To),
        };
        if let Patch::To(target) = &patch {
            target.turn().end();
        }
        let rng = self.rng.fork();
        if let Some(entry) = self.entry(from) {
            entry.convert(&patch, conversion, rng);
            entry.set_patch(patch);
        }
    }

    fn attend(&mut self, port: PortId, attendance: Option<Box<Attendance>>) {
        let (exchange, rng) = (self.exchange.clone(), self.rng.fork());
        let Some(entry) = self.entry(port) else { return };
        let Some(attendance) = attendance else {
            if matches!(entry.patch, Patch::Room(_)) {
                entry.set_patch(Patch::Nowhere);
            }
            return;
        };
        if !matches!(&entry.patch, Patch::Room(attending) if *attending.room() == *attendance.room) {
            let patch = Patch::Room(Attending::new(attendance.room.clone(), entry.sockets.clone()));
            entry.sockets.turn().end();
            entry.convert(&patch, None, rng);
            entry.set_patch(patch);
        }
        if let Patch::Room(attending) = &entry.patch {
            exchange.rooms.attend(attending.seat().clone(), attendance);
        }
    }

    fn play(&mut self, port: PortId, playing: Option<Box<Playing>>) {
        let (exchange, totals) = (self.exchange.clone(), self.totals.clone());
        if let Some(entry) = self.entry(port) {
            entry.play(&exchange, &totals, playing);
        }
    }

    fn tap(&mut self, port: PortId, tap: Option<Box<Tap>>) {
        let exchange = self.exchange.clone();
        let Some(entry) = self.entry(port) else { return };
        let Some(tap) = tap else {
            entry.tapped = None;
            return;
        };
        if !entry.tapped.as_ref().is_some_and(|tapped| tapped.is_for(&tap)) {
            entry.tapped = Some(Tapped::new(&tap));
        }
        if let Some(tapped) = &entry.tapped {
            exchange.recorders.tap(tapped.ear().clone(), tap);
        }
    }

    fn count(&mut self, port: PortId) {
        if let Some((stats, peer)) = self.entry(port).map(|entry| (entry.stats(), entry.port.peer_report())) {
            self.exchange.tell(port, MediaEvent::Counted(Counted { port, stats, peer }));
        }
    }

    fn remember(&mut self, port: PortId) {
        let Some(entry) = self.entry(port) else { return };
        let mut memory = Box::new(entry.port.remember());
        entry.sockets.outbound_security().remember(&mut memory);
        memory.stream = entry.sockets.remember_stream();
        self.exchange.tell(port, MediaEvent::Remembered { port, memory });
    }

    fn resume(&mut self, port: PortId, memory: Box<PortMemory>) {
        let Some(entry) = self.entry(port) else { return };
        if let Some(stream) = &memory.stream {
            entry.sockets.resume_stream(stream);
        }
        if let Err(error) = entry.sockets.outbound_security().resume(&memory).and_then(|()| entry.port.resume(memory)) {
            // A key that began anew would give two packets one key stream.
            entry.sockets.outbound_security().lose();
            entry.port.lose_keys();
            self.totals.keys_lost.add(1);
            tracing::error!(port = port.0, %error, "what another process knew of SRTP cannot be gone on with; nothing passes");
            self.exchange.tell(port, MediaEvent::KeysLost { port });
        }
    }

    fn close(&mut self, port: PortId) {
        let Some(index) = self.by_id.remove(&port) else { return };
        let Some(mut entry) = self.slots[index as usize].entry.take() else { return };
        let generation = self.slots[index as usize].generation;
        self.vacant.push(index);
        self.timed.remove(index);
        for channel in [Channel::Rtp, Channel::Rtcp] {
            self.intake.remove(entry.sockets.socket(channel), join_token(index, generation, channel));
        }
        entry.mind_played_out();
        self.totals.quality.add(entry.port.end_quality(self.clock.now()));
        self.exchange.close(port, Some(entry.stats()));
        self.totals.closed.add(1);
        // Whom it sent to mostly sends back, and would have its sockets until the next look at the clock.
        if let Patch::To(target) = &entry.patch
            && let Some(back) = self.entry(target.id())
            && matches!(&back.patch, Patch::To(target) if target.is_closed())
        {
            back.patch = Patch::Nowhere;
        }
    }

    /// What is not urgent: silence, and patches whose other end has come or gone.
    fn tick(&mut self, now: Time) {
        let timeout = self.exchange.config.silence_timeout;
        for entry in self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut()) {
            entry.port.handle_timeout(now);
            entry.mind_played_out();
            let sample = entry.port.poll_quality(now);
            let told = self.exchange.config.rtcp_xr;
            if let Some(metrics) = sample.as_ref().and_then(|sample| entry.port.metrics(now, sample, told)) {
                entry.sockets.metrics().set(metrics);
            }
            self.totals.quality.add(sample);
            entry.carry_out(&self.exchange, &self.totals);
            if entry.port.poll_silence(now, timeout) {
                self.totals.silences.add(1);
                self.exchange.tell(entry.id, MediaEvent::Silent { port: entry.id });
            }
            match &entry.patch {
                // Letting go closes the sockets of the port, so that its numbers can be bound again.
                Patch::To(target) if target.is_closed() => entry.patch = Patch::Nowhere,
                Patch::Awaiting(to) => {
                    if let Some(target) = self.exchange.find(*to) {
                        entry.patch = Patch::To(target);
                    }
                }
                Patch::To(_) | Patch::Room(_) | Patch::Nowhere => {}
            }
            if let Some(converting) = &mut entry.converting {
                let (received, written) = (&mut self.intake, &mut self.written);
                converting.report(&mut PacketMeans { now, received, written, totals: &self.totals }, &entry.sockets);
            }
        }
    }

    fn entry(&mut self, port: PortId) -> Option<&mut Entry> {
        let index = *self.by_id.get(&port)?;
        self.slots[index as usize].entry.as_mut()
    }
}

impl Drop for PacketThread {
    fn drop(&mut self) {
        self.commands.end();
    }
}

/// A token is the slot's index, its generation and the channel.
fn join_token(index: u32, generation: u32, channel: Channel) -> u64 {
    let channel = u64::from(channel == Channel::Rtcp);
    u64::from(index) << 32 | u64::from(generation & GENERATION) << 1 | channel
}

fn split_token(token: u64) -> (u32, u32, Channel) {
    let channel = if token & 1 == 1 { Channel::Rtcp } else { Channel::Rtp };
    ((token >> 32) as u32, (token as u32 >> 1) & GENERATION, channel)
}

/// The bits of a generation that a token has room for.
const GENERATION: u32 = u32::MAX >> 1;

/// How coarse silence is measured, and how long the sockets of a closed port may stay open for another thread.
const TICK: Duration = Duration::from_millis(100);

/// How many commands are obeyed before packets have their turn again. Opening a port is the slowest, at some tens of
/// microseconds.
const COMMANDS_PER_TURN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RtpConfig;
    use crate::exchange::Owner;
    use std::sync::mpsc;

    #[test]
    fn who_has_started_a_thread_hears_that_it_cannot_go_on() {
        let (told, heard) = mpsc::channel();
        let failed = move |error: &ThreadError| told.send(error.to_string()).expect("it is waited for");
        let owner = Owner { events: Box::new(|_, _| {}), failed: Box::new(failed) };
        let config = RtpConfig { io_uring: false, ..RtpConfig::default() };
        let exchange = Arc::new(Exchange::new(config, None, owner).expect("a good configuration"));
        let wake = Arc::new(Wake::new().expect("an event counter"));
        let commands = Arc::<Commands>::default();
        let thread = PacketThread::new(exchange, commands.clone(), wake.clone(), Arc::default());
        let mut thread = thread.expect("an epoll instance");
        // What is watched already cannot be watched again.
        thread.intake.begin(&wake).expect("an event counter can be watched");
        thread.run();
        let said = heard.try_recv().expect("it is told");
        assert!(said.starts_with("a packet thread cannot be woken"), "{said}");
        assert!(!commands.push(MediaCommand::Count { port: PortId(1) }), "nobody obeys any more");
    }

    #[test]
    fn tokens_survive_and_none_is_the_wake_up() {
        for (index, generation) in [(0, 0), (7, 1), (u32::MAX - 1, u32::MAX >> 1)] {
            for channel in [Channel::Rtp, Channel::Rtcp] {
                let token = join_token(index, generation, channel);
                assert_eq!(split_token(token), (index, generation, channel));
                assert_ne!(token, WAKE);
            }
        }
    }
}
