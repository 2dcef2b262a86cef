//! A mixing thread: the rooms that it has, and the sounds that it plays, each 20 ms.
//!
//! ```text
//!  packet threads ──Seat──► inboxes ─┐  each 20 ms              ┌─► sockets of each member
//!                                    ├─► sx_audio::Conference ──┤
//!  Attend ──────────Orders───────────┘                          └─► reports
//! ```
//!
//! Its ticks follow an absolute schedule. One that comes too late is made up for at once, unless so many are due that what
//! would be sent is of no use to anybody: these are left out, which the timestamps tell.

use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::forwarding::forward;
use crate::orders::Orders;
use crate::playing::{PlayOrder, Players};
use crate::port::Channel;
use crate::port_sockets::PortSockets;
use crate::schedule::{Due, Schedule};
use crate::seat::{Inbox, Seat};
use crate::sys::{BATCH, Chosen, Written};
use crate::totals::ThreadTotals;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use sx_audio::{Conference, Key, NotAdmitted, PromptTo};
use sx_engine::{Rng, Time};
use sx_media::{Attendance, MediaEvent};
use sx_rtp::Ssrc;
use sx_types::RoomSounds;

/// The mixing threads, as packet threads reach them.
pub(crate) struct Rooms {
    orders: Vec<Arc<Orders<Order>>>,
    /// Rooms that there are, on all threads.
    open: AtomicUsize,
}

impl Rooms {
    pub(crate) fn new(threads: usize) -> Self {
        let orders = std::iter::repeat_with(Arc::default).take(threads).collect();
        Self { orders, open: AtomicUsize::new(0) }
    }

    /// What each thread is told.
    pub(crate) fn orders(&self) -> &[Arc<Orders<Order>>] {
        &self.orders
    }

    /// A port takes part in a room, or does so in another way.
    pub(crate) fn attend(&self, seat: Arc<Seat>, attendance: Box<Attendance>) {
        // FNV-1a: the same name is the same thread for everybody.
        let hash = attendance
            .room
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.orders[(hash % self.orders.len() as u64) as usize].attend(seat, attendance);
    }

    /// A sound is played to the peer of a port: all that it ever hears by the same thread.
    pub(crate) fn play(&self, order: PlayOrder) {
        let hash = order.sockets().id().0 >> 8;
        self.orders[(hash % self.orders.len() as u64) as usize].push(Order::Play(order));
    }

    fn begin(&self, rooms_max: usize) -> bool {
        let more = |open: usize| (open < rooms_max).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn end(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a mixing thread is told: to have each port attend once at most, however often its peer changes its mind.
pub(crate) enum Order {
    /// Who is to take part, and how.
    Attend { seat: Arc<Seat>, attendance: Box<Attendance> },
    /// What is to be played, and to whom.
    Play(PlayOrder),
}

impl Orders<Order> {
    fn attend(&self, seat: Arc<Seat>, attendance: Box<Attendance>) {
        // What was said of the port before is of no interest any more.
        let sat = seat.clone();
        self.push_in_place(Order::Attend { seat, attendance }, |before| match before {
            Order::Attend { seat, .. } => seat.has_left() || Arc::ptr_eq(seat, &sat),
            Order::Play(_) => false,
        });
    }
}

/// One thread's rooms and sounds, and the means to serve them.
pub(crate) struct MixingThread {
    exchange: Arc<Exchange>,
    orders: Arc<Orders<Order>>,
    totals: Arc<ThreadTotals>,
    clock: Clock,
    rooms: HashMap<Arc<str>, Hosted>,
    players: Players,
    means: MixingMeans,
    rng: Rng,
    schedule: Schedule,
}

/// What packets go through.
pub(crate) struct MixingMeans {
    inbox: Inbox,
    written: Written,
    totals: Arc<ThreadTotals>,
    exchange: Arc<Exchange>,
}

/// A room and those who are in it.
struct Hosted {
    conference: Conference,
    seats: Vec<Arc<Seat>>,
    sounds: RoomSounds,
}

impl MixingThread {
    pub(crate) fn new(exchange: Arc<Exchange>, orders: Arc<Orders<Order>>, totals: Arc<ThreadTotals>) -> Self {
        let (inbox, written) = (Inbox::default(), Written::new());
        let means = MixingMeans { inbox, written, totals: totals.clone(), exchange: exchange.clone() };
        Self {
            clock: exchange.clock,
            exchange,
            orders,
            totals,
            rooms: HashMap::new(),
            players: Players::default(),
            means,
            // The keys of the standard hasher are the operating system's randomness.
            rng: Rng::from_number(RandomState::new().build_hasher().finish()),
            schedule: Schedule::begin(Time::ZERO),
        }
    }

    /// Runs until nobody can give orders any more.
    pub(crate) fn run(mut self) {
        let mut taken = VecDeque::new();
        loop {
            let goes_on = match self.is_idle() {
                true => self.orders.wait(None, &mut taken),
                // Who comes takes part from the next tick on.
                false => self.orders.wait_out(self.schedule.rest(self.clock.now()), &mut taken),
            };
            if !goes_on {
                return;
            }
            if self.is_idle() {
                self.schedule = Schedule::begin(self.clock.now());
            }
            while let Some(order) = taken.pop_front() {
                self.obey(order);
            }
            // Who does nothing has nothing to be late with.
            if !self.is_idle()
                && let Some(due) = self.schedule.poll(self.clock.now())
            {
                self.tick(due);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.rooms.is_empty() && self.players.is_empty()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Attend { seat, attendance } => self.attend(seat, &attendance),
            Order::Play(order) => {
                let (now, served) = (self.clock.now(), (&*self.exchange, &*self.totals));
                self.players.begin(now, order, served, &mut self.rng);
            }
        }
    }

    fn attend(&mut self, seat: Arc<Seat>, attendance: &Attendance) {
        if seat.has_left() {
            return;
        }
        let name = &attendance.room;
        if !self.rooms.contains_key(name) {
            if !self.exchange.rooms.begin(self.exchange.config.rooms_max) {
                tracing::warn!(port = seat.member().0, "there are too many rooms for another one");
                self.totals.room_refused.add(1);
                seat.set_refused(true);
                return;
            }
            let conference = Conference::new(self.exchange.config.room_members_max);
            self.rooms.insert(name.clone(), Hosted { conference, seats: Vec::new(), sounds: RoomSounds::default() });
            self.totals.rooms_begun.add(1);
        }
        let now = self.clock.now();
        if let Some(room) = self.rooms.get_mut(name) {
            room.sounds.clone_from(&attendance.sounds);
            let before = room.seats.len();
            room.admit(now, seat, attendance, &self.totals, &mut self.rng);
            // Who has only come back, or changed how it takes part, is no news.
            if room.seats.len() > before {
                room.tell_joined(&self.exchange, &self.totals);
            }
            if room.seats.is_empty() {
                self.rooms.remove(name);
                self.end_room();
            }
        }
    }

    fn tick(&mut self, due: Due) {
        let Due { at, missed } = due;
        self.players.tick(due, &self.exchange, &mut self.means);
        if missed > 0 {
            self.totals.room_ticks_missed.add(missed);
            self.rooms.values_mut().for_each(|room| room.conference.skip(missed));
        }
        let rooms = self.rooms.len();
        let clock = self.clock;
        self.rooms.retain(|_, room| room.tick(at, || clock.now(), &mut self.means));
        (self.rooms.len()..rooms).for_each(|_| self.end_room());
    }

    fn end_room(&self) {
        self.exchange.rooms.end();
        self.totals.rooms_ended.add(1);
    }
}

impl Drop for MixingThread {
    fn drop(&mut self) {
        for room in std::mem::take(&mut self.rooms).into_values() {
            self.totals.room_left.add(room.seats.len() as u64);
            self.end_room();
        }
    }
}

impl MixingMeans {
    /// What the thread counts.
    pub(crate) fn totals(&self) -> &ThreadTotals {
        &self.totals
    }

    /// Is there room for another packet?
    pub(crate) fn has_room(&self, written: Chosen) -> bool {
        written.count() < BATCH as u64
    }

    /// A packet is to be sent.
    pub(crate) fn write(&mut self, written: &mut Chosen, packet: &[u8]) {
        let place = written.count() as usize;
        self.written.put(place, packet);
        written.add(place);
    }

    /// Sends the peer of a port the packets that were written.
    pub(crate) fn send(&mut self, now: Time, sockets: &PortSockets, written: Chosen) {
        forward(&mut self.written, &self.totals, (now, sockets), written, Chosen::default());
    }

    /// Sends the peer of a port a report.
    pub(crate) fn report(&mut self, now: Time, sockets: &PortSockets, report: &[u8]) {
        let mut written = Chosen::default();
        self.write(&mut written, report);
        forward(&mut self.written, &self.totals, (now, sockets), Chosen::default(), written);
    }
}

impl Hosted {
    fn admit(&mut self, now: Time, seat: Arc<Seat>, attendance: &Attendance, totals: &ThreadTotals, rng: &mut Rng) {
        let id = seat.member();
        // A port that has left and is back again before that was seen is somebody new.
        self.remove(totals, |other| other.member() == id && !Arc::ptr_eq(other, &seat));
        let known = self.seats.iter().any(|other| Arc::ptr_eq(other, &seat));
        let attends = self.conference.attend(now, (id, Ssrc(seat.sockets().ssrc())), attendance, rng);
        seat.set_refused(attends.is_err());
        match attends {
            Ok(()) if known => {}
            Ok(()) => {
                if let Some(sent) = seat.sockets().sending() {
                    self.conference.resume(now, id, &sent);
                }
                totals.room_joined.add(1);
                self.seats.push(seat);
            }
            Err(error) => {
                match error {
                    NotAdmitted::Full(_) => tracing::warn!(port = id.0, %error, "a room takes no more"),
                    NotAdmitted::NotConvertible(_) | NotAdmitted::Taken => {
                        tracing::error!(port = id.0, %error, "a member hears nothing");
                    }
                }
                totals.room_refused.add(1);
                self.remove(totals, |other| other.member() == id);
            }
        }
    }

    /// Somebody has come in.
    fn tell_joined(&mut self, exchange: &Exchange, totals: &ThreadTotals) {
        match self.seats.len() {
            1 => self.prompt(self.sounds.alone.clone(), PromptTo::Lonely, exchange, totals),
            _ => self.prompt(self.sounds.joined.clone(), PromptTo::Everybody, exchange, totals),
        }
    }

    /// Somebody has gone, and others are there.
    fn tell_left(&mut self, exchange: &Exchange, totals: &ThreadTotals) {
        self.prompt(self.sounds.left.clone(), PromptTo::Everybody, exchange, totals);
        if self.seats.len() == 1 {
            self.prompt(self.sounds.alone.clone(), PromptTo::Lonely, exchange, totals);
        }
    }

    fn prompt(&mut self, name: Option<Arc<str>>, to: PromptTo, exchange: &Exchange, totals: &ThreadTotals) {
        let Some(name) = name else { return };
        let sound = exchange.stage.find(&name);
        if !sound.is_some_and(|sound| self.conference.prompt(&sound, to)) {
            tracing::debug!(sound = &*name, "the members of a room are not told by a sound");
            totals.play_refused.add(1);
        }
    }

    fn remove(&mut self, totals: &ThreadTotals, goes: impl Fn(&Arc<Seat>) -> bool) {
        let conference = &mut self.conference;
        self.seats.retain(|seat| {
            let stays = !goes(seat);
            if !stays {
                conference.leave(seat.member());
                totals.room_left.add(1);
            }
            stays
        });
    }

    /// Mixes and sends. False when nobody is there any more. `at`: when it should be, by which packets are held back; `clock`: when
    /// it is, by which reports tell how long they were away.
    fn tick(&mut self, at: Time, clock: impl FnOnce() -> Time, means: &mut MixingMeans) -> bool {
        let before = self.seats.len();
        self.remove(&means.totals, |seat| seat.has_left());
        if self.seats.is_empty() {
            return false;
        }
        if self.seats.len() < before {
            self.tell_left(&means.exchange, &means.totals);
        }
        for seat in &self.seats {
            let id = seat.member();
            seat.swap(&mut means.inbox);
            let dropped = self.conference.keys_dropped(id);
            means.inbox.drain(|at, channel, packet| match channel {
                Channel::Rtp => self.conference.handle_packet(at, id, packet),
                Channel::Rtcp => self.conference.handle_rtcp(at, id, packet),
            });
            while let Some(Key { key, duration_ms }) = self.conference.poll_key(at, id) {
                means.totals.keys_told.add(1);
                let port = seat.sockets().id();
                means.exchange.tell(port, MediaEvent::Pressed { port, key, duration_ms });
            }
            means.totals.keys_dropped.add(self.conference.keys_dropped(id) - dropped);
        }
        self.conference.mix(at);
        let now = clock();
        for seat in &self.seats {
            send(&mut self.conference, now, seat, means);
        }
        true
    }
}

/// Sends a member what it hears, and a report if it is time.
fn send(conference: &mut Conference, now: Time, seat: &Seat, means: &mut MixingMeans) {
    let (id, sockets) = (seat.member(), seat.sockets());
    if sockets.towards_rtp().is_none() {
        conference.withdraw(id);
    }
    let mut written = Chosen::default();
    while means.has_room(written)
        && let Some(packet) = conference.poll_packet(id)
    {
        means.write(&mut written, packet);
    }
    means.send(now, sockets, written);
    sockets.set_sending(conference.sent(id));
    let playout = conference.playout(id);
    seat.set_playout(playout);
    if let Some(report) = conference.poll_report(now, id) {
        let mut report = report.to_vec();
        sockets.metrics().append(playout, &mut report);
        means.report(now, sockets, &report);
    }
    means.totals.encode_errors.add(conference.take_encode_errors(id));
    seat.set_counted(conference.counted(id));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MediaInterface, RtpConfig};
    use crate::exchange::{Owner, Wanted};
    use crate::port::Destinations;
    use crate::seat::Attending;
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::Duration;
    use sx_media::{Coding, PortId, TrafficClass};
    use sx_rtp::{Compound, ReportBlock, RtcpPacket};
    use sx_types::{Codec, PayloadType};

    const START: Time = Time::from_secs(1_800_000_000);
    const LATE: Duration = Duration::from_millis(70);

    /// A place for so many pairs of ports, and the number of the first.
    fn exchange(pairs: u16) -> (Arc<Exchange>, u16) {
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a number");
        let number = free.port().min(u16::MAX - 2 * pairs) & !1;
        let loopback = MediaInterface { bind_v4: Some(Ipv4Addr::LOCALHOST), ..MediaInterface::new("loopback") };
        let ports = number..=number + 2 * pairs - 1;
        let config = RtpConfig { interfaces: vec![loopback], ports, ..RtpConfig::default() };
        let owner = Owner { events: Box::new(|_, _| {}), failed: Box::new(|_| {}) };
        (Arc::new(Exchange::new(config, None, owner).expect("a good configuration")), number)
    }

    /// A port at a number that is free.
    fn sockets(exchange: &Arc<Exchange>, number: u16) -> Arc<PortSockets> {
        let (interface, class) = ("loopback", TrafficClass::Audio);
        let wanted = Wanted { interface, ipv6: false, class, host: None, number: Some(number) };
        exchange.open(START, PortId(u64::from(number) << 8), &wanted).expect("a port that is free").sockets
    }

    /// A member at such a port, and its telephone.
    fn member(exchange: &Arc<Exchange>, number: u16) -> (Attending, UdpSocket) {
        let sockets = sockets(exchange, number);
        let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let there = phone.local_addr().ok();
        sockets.set_destinations(&Destinations { rtp: there, rtcp: there, mux: true });
        (Attending::new("room".into(), sockets), phone)
    }

    #[test]
    fn a_late_tick_makes_no_round_trip_longer() {
        let (exchange, number) = exchange(1);
        let (attending, phone) = member(&exchange, number);
        let coding = Coding::new(PayloadType(0), Codec::Pcmu);
        let (from, to) = (vec![coding], vec![coding]);
        let attendance = Attendance {
            room: "room".into(),
            from,
            to,
            ptime_ms: 20,
            muted: false,
            keys_in_band: false,
            sounds: Default::default(),
        };
        let totals = Arc::new(ThreadTotals::default());
        let mut means = MixingMeans {
            inbox: Inbox::default(),
            written: Written::new(),
            totals: totals.clone(),
            exchange: exchange.clone(),
        };
        let mut room = Hosted { conference: Conference::new(2), seats: Vec::new(), sounds: RoomSounds::default() };
        room.admit(START, attending.seat().clone(), &attendance, &totals, &mut Rng::from_number(1));
        let (mut buffer, mut at) = ([0; 2048], START);
        let (named, now) = loop {
            at = at + crate::schedule::TICK;
            assert!(at < START + Duration::from_secs(60), "it is sent reports");
            assert!(room.tick(at, || at + LATE, &mut means));
            let sent = totals.rtcp_sent.value();
            // One packet of sound, and a report behind it.
            let mut len = phone.recv(&mut buffer).expect("a packet");
            if sent > 0 {
                len = phone.recv(&mut buffer).expect("a report");
                let compound = Compound::parse(&buffer[..len]).expect("a report");
                let named = compound.packets().find_map(|packet| match packet {
                    RtcpPacket::SenderReport(report) => Some(report.info.ntp_middle()),
                    _ => None,
                });
                break (named.expect("a sender report"), at + LATE);
            }
            assert!(len > 12);
        };
        let block = ReportBlock {
            ssrc: Ssrc(7),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 9,
            jitter: 0,
            last_sr: named,
            delay_since_last_sr: 0,
        };
        let sent = attending.seat().sockets().sent_reports();
        assert_eq!(sent.round_trip(now + Duration::from_millis(5), &block), Some(Duration::from_millis(5)));
    }

    #[test]
    fn a_report_to_a_member_says_how_it_is_heard_when_that_is_to_be_told() {
        let (exchange, number) = exchange(1);
        let (attending, _) = member(&exchange, number);
        let sockets = attending.seat().sockets();
        let stream = sx_media::MeasuredStream {
            ssrc: Ssrc(7),
            bursts: sx_rtp::BurstTracker::default().burstiness(),
            loss: 0.25,
            packet: crate::schedule::TICK,
            round_trip: None,
            scores: None,
        };
        sockets.metrics().set(sx_media::voip_metrics(&stream));
        let mut report = Vec::new();
        sx_rtp::write_receiver_report(Ssrc(9), &[], &mut report).expect("it fits");
        let (plain, delay) = (report.clone(), Duration::from_millis(60));
        sockets.metrics().append(
            Some(sx_media::Playout { received: 100, discarded: 50, duplicates: 0, delay, delay_max: delay * 2 }),
            &mut report,
        );
        let packets: Vec<_> = Compound::parse(&report).expect("a compound packet").packets().collect();
        let RtcpPacket::ExtendedReport(mut extended) = packets[1] else { panic!("{packets:?}") };
        let Some(sx_rtp::XrBlock::VoipMetrics(told)) = extended.blocks.next() else { panic!("{packets:?}") };
        assert_eq!((extended.ssrc, told.ssrc, told.loss_rate, told.discard_rate), (Ssrc(9), Ssrc(7), 64, 128));
        assert_eq!((told.end_system_delay_ms, told.jitter_buffer_maximum_ms), (80, 120));
        // Told once.
        let mut next = plain.clone();
        sockets.metrics().append(None, &mut next);
        assert_eq!(next, plain);
    }

    fn attend(orders: &Orders<Order>, attending: &Attending, muted: bool) {
        let attendance = Attendance {
            room: "council".into(),
            from: Vec::new(),
            to: Vec::new(),
            ptime_ms: 20,
            muted,
            keys_in_band: false,
            sounds: Default::default(),
        };
        orders.attend(attending.seat().clone(), Box::new(attendance));
    }

    /// While the thread does not come to it, a member changes its session as often as it likes.
    #[test]
    fn no_more_orders_to_attend_wait_than_there_are_ports() {
        let (exchange, number) = exchange(2);
        let [one, other] = [number, number + 2].map(|number| sockets(&exchange, number));
        let (orders, mut taken) = (Orders::default(), VecDeque::new());
        let quiet = Attending::new("council".into(), other);
        attend(&orders, &quiet, false);
        for round in 0..10 {
            // On hold and back it is somebody new each time.
            let attending = Attending::new("council".into(), one.clone());
            (0..10).for_each(|change| attend(&orders, &attending, change % 2 == 0));
            assert!(orders.wait(None, &mut taken));
            assert_eq!(taken.len(), 2, "{round}");
            let Some(Order::Attend { seat, attendance }) = taken.back() else { panic!("an order") };
            assert!(Arc::ptr_eq(seat, attending.seat()) && !attendance.muted, "the last word holds");
            // That of the one who is gone waits again.
            taken.drain(..).for_each(|order| orders.push(order));
        }
    }
}
