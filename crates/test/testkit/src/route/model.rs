//! The models. Times are in milliseconds.

use super::Route;
use super::chance::Chance;
use std::time::Duration;

/// A network with its memory.
#[derive(Clone, Debug)]
pub(super) struct Network {
    route: Route,
    chance: Chance,
    queue: Queue,
    outages: Outages,
    bursts: Bursts,
    /// What the way takes at present, and until when.
    way: (f64, f64),
    /// When the packet before arrived: where there is one way, nobody overtakes.
    arrived: f64,
}

/// A sender that is silent now and then.
#[derive(Clone, Debug)]
pub(super) struct Silences {
    chance: Chance,
    /// When the sender falls silent, if it ever does.
    until: Option<f64>,
}

/// A queue in front of a line, which others fill: bursts of packets come at random.
#[derive(Clone, Debug)]
struct Queue {
    chance: Chance,
    next: f64,
    /// When the line will have sent all that waits.
    free: f64,
}

/// Times in which nothing passes; what comes meanwhile waits.
#[derive(Clone, Debug)]
struct Outages {
    chance: Chance,
    mean: f64,
    lasts: (f64, f64),
    begin: f64,
    end: f64,
}

/// The two states of Gilbert and Elliott.
#[derive(Clone, Debug)]
struct Bursts {
    chance: Chance,
    bad: bool,
}

impl Network {
    pub fn new(route: Route, mut chance: Chance) -> Self {
        let (mean, lasts) = match route {
            // Somebody else has the channel, or it is disturbed.
            Route::WiFi | Route::Silences => (3_000.0, (20.0, 100.0)),
            // The interruption of a handover.
            Route::Lte => (10_000.0, (30.0, 90.0)),
            _ => (f64::INFINITY, (0.0, 0.0)),
        };
        Self {
            route,
            queue: Queue::new(chance.fork()),
            outages: Outages::new(chance.fork(), mean, lasts),
            bursts: Bursts { chance: chance.fork(), bad: false },
            way: (0.0, 0.0),
            arrived: 0.0,
            chance,
        }
    }

    /// How long the copies of a packet take that leaves at `left`.
    pub fn delays(&mut self, left: f64) -> [Option<f64>; 2] {
        let chance = &mut self.chance;
        let delay = match self.route {
            Route::Lan | Route::FastClock | Route::SlowClock => (0.3 + chance.exponential(0.2), chance.happens(2e-5)),
            Route::Dsl => (15.0 + self.queue.wait(left) + 1.7, chance.happens(0.001)),
            // Contention and retries take some milliseconds; seven retries in vain lose a packet.
            Route::WiFi | Route::Silences => {
                (self.outages.wait(left) + 2.0 + chance.exponential(1.5), chance.happens(0.004))
            }
            Route::Lte => {
                let handover = self.outages.wait(left);
                // One packet in ten is repeated, each time 8 ms later; grants come each millisecond or later.
                let radio = 8.0 * (chance.tries(0.1) - 1.0) + chance.between(0.0, 4.0);
                (handover + self.cell(left) + radio, self.chance.happens(0.002))
            }
            // The slot of the station comes once in a frame.
            Route::Geostationary => (260.0 + chance.between(0.0, 26.5), chance.happens(0.005)),
            Route::LowOrbit => (self.satellite(left) + self.chance.exponential(3.0), self.chance.happens(0.008)),
            Route::Bursts => (10.0 + chance.exponential(1.0), self.bursts.lose()),
            Route::Reordered => {
                let detour = if chance.happens(0.02) { chance.between(25.0, 45.0) } else { 0.0 };
                (10.0 + detour + chance.exponential(0.5), false)
            }
            Route::Doubled => (10.0 + chance.exponential(0.5), false),
        };
        self.finish(left, delay)
    }

    fn finish(&mut self, left: f64, (delay, lost): (f64, bool)) -> [Option<f64>; 2] {
        if lost {
            return [None, None];
        }
        if self.route == Route::Reordered {
            return [Some(delay), None];
        }
        self.arrived = self.arrived.max(left + delay);
        let delay = self.arrived - left;
        let copy = self.route == Route::Doubled && self.chance.happens(1.0 / 30.0);
        [Some(delay), copy.then(|| delay + self.chance.between(0.0, 30.0))]
    }

    /// What the way to the mast takes, which is another one after a handover.
    fn cell(&mut self, left: f64) -> f64 {
        if left >= self.way.1 {
            self.way = (self.chance.between(20.0, 35.0), self.outages.begin);
        }
        self.way.0
    }

    /// What the way over a satellite takes, which is another one each 15 s.
    fn satellite(&mut self, left: f64) -> f64 {
        if left >= self.way.1 {
            self.way = (self.chance.between(22.0, 50.0), left + 15_000.0);
        }
        self.way.0
    }
}

impl Silences {
    const SPEECH: f64 = 1_004.0;
    const PAUSE: f64 = 1_587.0;

    pub fn new(route: Route, mut chance: Chance) -> Self {
        let until = (route == Route::Silences).then(|| chance.exponential(Self::SPEECH));
        Self { chance, until }
    }

    /// How long the sender is silent before it sends the packet that would be due at `now`: whole packets.
    pub fn pause(&mut self, now: Duration, every: Duration) -> Duration {
        let millis = now.as_secs_f64() * 1e3;
        if self.until.is_none_or(|until| millis < until) {
            return Duration::ZERO;
        }
        let each = every.as_secs_f64() * 1e3;
        let pause = (self.chance.exponential(Self::PAUSE) / each).ceil().clamp(1.0, 10_000.0);
        self.until = Some(millis + pause * each + self.chance.exponential(Self::SPEECH));
        every * pause as u32
    }
}

impl Queue {
    /// A packet of 1,500 bytes at 1 Mbit/s.
    const PACKET: f64 = 12.0;

    fn new(chance: Chance) -> Self {
        Self { chance, next: 0.0, free: 0.0 }
    }

    /// How long who comes at `now` waits for its turn.
    fn wait(&mut self, now: f64) -> f64 {
        while self.next <= now {
            // Requests and acknowledgements mostly; now and then the first window of something larger.
            let packets = if self.chance.happens(0.1) { self.chance.tries(0.85) } else { self.chance.tries(0.4) };
            // The modem's buffer holds ten of them.
            let most = self.next + 10.0 * Self::PACKET;
            self.free = (self.free.max(self.next) + packets * Self::PACKET).min(most);
            self.next += self.chance.exponential(300.0);
        }
        (self.free - now).max(0.0)
    }
}

impl Outages {
    fn new(mut chance: Chance, mean: f64, lasts: (f64, f64)) -> Self {
        let begin = if mean.is_finite() { chance.exponential(mean) } else { f64::INFINITY };
        let end = begin + chance.between(lasts.0, lasts.1);
        Self { chance, mean, lasts, begin, end }
    }

    /// How long who comes at `now` waits until something passes.
    fn wait(&mut self, now: f64) -> f64 {
        while now >= self.end {
            self.begin = self.end + self.chance.exponential(self.mean);
            self.end = self.begin + self.chance.between(self.lasts.0, self.lasts.1);
        }
        if now >= self.begin { self.end - now } else { 0.0 }
    }
}

impl Bursts {
    fn lose(&mut self) -> bool {
        self.bad = if self.bad { !self.chance.happens(0.25) } else { self.chance.happens(0.01) };
        self.bad && self.chance.happens(0.5)
    }
}
