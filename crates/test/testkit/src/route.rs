//! What becomes of a stream of packets on several kinds of networks: models that a seed drives, and recorded journeys.
//!
//! A [`Link`](crate::Link) draws a chance for each datagram; real networks have a memory. A queue that is full stays
//! full for a while, and who is out of reach gets everything at once afterwards. `docs/jitter-buffer.md` has the
//! models with their numbers and where these come from.

mod chance;
mod model;
mod recorded;

pub use recorded::{JourneyError, read_journeys};

use chance::Chance;
use std::fmt;
use std::time::Duration;
use sx_engine::Rng;

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Switched Ethernet.
    Lan,
    /// A line with an uplink of 1 Mbit/s, on which others load pages and save files.
    Dsl,
    /// A busy Wi-Fi channel that somebody else holds now and then for longer.
    WiFi,
    /// LTE, with a handover every ten seconds.
    Lte,
    /// A geostationary satellite, whose stations have a slot in each frame of 26.5 ms.
    Geostationary,
    /// Satellites in a low orbit, of which another one is used every 15 seconds.
    LowOrbit,
    /// Losses come in bursts.
    Bursts,
    /// One packet in fifty takes another way and comes after those behind it.
    Reordered,
    /// One packet in thirty comes twice.
    Doubled,
    /// A LAN; the sender's clock is fast by 200 millionths.
    FastClock,
    /// A LAN; the sender's clock is slow by 200 millionths.
    SlowClock,
    /// A Wi-Fi network; the sender is silent more than half of the time and sends nothing then.
    Silences,
}

/// What has become of the packets of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journeys {
    /// How many were sent.
    pub sent: u32,
    /// The copies that have arrived, in the order in which they did.
    pub arrived: Vec<Arrived>,
}

/// A copy of a packet that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The packet's number; the first is 0.
    pub number: u32,
    /// It is the first after a silence of its sender.
    pub first: bool,
    /// When it was sent by the sender's clock, which is what its timestamp says.
    pub sent: Duration,
    /// When it arrived by the receiver's clock.
    pub at: Duration,
}

impl Route {
    /// Each kind.
    pub const ALL: [Self; 12] = [
        Self::Lan,
        Self::Dsl,
        Self::WiFi,
        Self::Lte,
        Self::Geostationary,
        Self::LowOrbit,
        Self::Bursts,
        Self::Reordered,
        Self::Doubled,
        Self::FastClock,
        Self::SlowClock,
        Self::Silences,
    ];

    /// What becomes of a stream of packets, sent one after the other `every` so often for so long.
    pub fn journeys(self, seed: u64, every: Duration, lasting: Duration) -> Journeys {
        let mut rng = Rng::from_number(seed);
        let mut network = model::Network::new(self, Chance::new(rng.fork()));
        let mut silences = model::Silences::new(self, Chance::new(rng.fork()));
        let mut journeys = Journeys::default();
        let mut sent = Duration::ZERO;
        while sent < lasting {
            let pause = silences.pause(sent, every);
            sent += pause;
            let left = sent.mul_f64(1.0 - self.clock_error());
            for delay in network.delays(left.as_secs_f64() * 1e3).into_iter().flatten() {
                let at = left + Duration::from_secs_f64(delay / 1e3);
                let first = journeys.sent == 0 || !pause.is_zero();
                journeys.arrived.push(Arrived { number: journeys.sent, first, sent, at });
            }
            journeys.sent += 1;
            sent += every;
        }
        journeys.arrived.sort_by_key(|arrived| arrived.at);
        journeys
    }

    /// By how much the sender's clock is faster than the receiver's.
    fn clock_error(self) -> f64 {
        match self {
            Self::FastClock => 200e-6,
            Self::SlowClock => -200e-6,
            _ => 0.0,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lan => "LAN",
            Self::Dsl => "DSL with cross traffic",
            Self::WiFi => "Wi-Fi",
            Self::Lte => "LTE with handovers",
            Self::Geostationary => "geostationary satellite",
            Self::LowOrbit => "satellites in low orbit",
            Self::Bursts => "bursts of loss",
            Self::Reordered => "reordering",
            Self::Doubled => "duplicates",
            Self::FastClock => "clock +200 ppm",
            Self::SlowClock => "clock −200 ppm",
            Self::Silences => "Wi-Fi with silences",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn hour(route: Route) -> Journeys {
        route.journeys(1, FRAME, Duration::from_secs(3_600))
    }

    fn share_lost(journeys: &Journeys) -> f64 {
        let mut numbers: Vec<_> = journeys.arrived.iter().map(|arrived| arrived.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        1.0 - numbers.len() as f64 / f64::from(journeys.sent)
    }

    /// The delay in ms that so large a share of packets does not exceed, beyond that of the fastest.
    fn quantile(journeys: &Journeys, share: f64) -> f64 {
        let mut delays: Vec<f64> =
            journeys.arrived.iter().map(|a| (a.at.as_secs_f64() - a.sent.as_secs_f64()) * 1e3).collect();
        delays.sort_by(f64::total_cmp);
        delays[((delays.len() - 1) as f64 * share) as usize] - delays[0]
    }

    #[test]
    fn the_same_seed_gives_the_same_journeys() {
        for route in Route::ALL {
            let again = |seed| route.journeys(seed, FRAME, Duration::from_secs(60));
            assert_eq!(again(1), again(1), "{route}");
            assert_ne!(again(1).arrived, again(2).arrived, "{route}");
        }
    }

    #[test]
    fn each_kind_loses_and_delays_as_it_says() {
        for (route, lost, median, most) in [
            (Route::Lan, 0.0..0.0001, 0.0..1.0, 0.5..4.0),
            (Route::Dsl, 0.0..0.01, 0.0..10.0, 40.0..140.0),
            (Route::WiFi, 0.001..0.01, 0.5..5.0, 30.0..140.0),
            (Route::Lte, 0.001..0.01, 4.0..40.0, 20.0..110.0),
            (Route::Geostationary, 0.001..0.02, 5.0..20.0, 20.0..35.0),
            (Route::LowOrbit, 0.002..0.03, 5.0..40.0, 25.0..80.0),
            (Route::Bursts, 0.01..0.03, 0.0..10.0, 0.5..30.0),
            (Route::Reordered, 0.0..0.001, 0.0..5.0, 25.0..60.0),
            (Route::Doubled, 0.0..0.001, 0.0..5.0, 0.5..30.0),
            (Route::Silences, 0.001..0.01, 0.5..5.0, 30.0..140.0),
        ] {
            let journeys = hour(route);
            let figures = (share_lost(&journeys), quantile(&journeys, 0.5), quantile(&journeys, 0.99));
            assert!(lost.contains(&figures.0), "{route}: loss, median, 99 %: {figures:?}");
            assert!(median.contains(&figures.1) && most.contains(&figures.2), "{route}: {figures:?}");
        }
    }

    #[test]
    fn a_clock_of_200_millionths_is_off_by_720_ms_after_an_hour() {
        for (route, sign) in [(Route::FastClock, -1.0), (Route::SlowClock, 1.0)] {
            let journeys = hour(route);
            let delay = |a: &Arrived| (a.at.as_secs_f64() - a.sent.as_secs_f64()) * 1e3;
            let (first, last) = (&journeys.arrived[0], &journeys.arrived[journeys.arrived.len() - 1]);
            let drift = (delay(last) - delay(first)) * sign;
            assert!((710.0..730.0).contains(&drift), "{route}: {drift}");
        }
    }

    #[test]
    fn who_is_silent_sends_nothing_and_says_so_afterwards() {
        let journeys = hour(Route::Silences);
        let share = f64::from(journeys.sent) * FRAME.as_secs_f64() / 3_600.0;
        // ITU-T P.59: 38.53 % of speech.
        assert!((0.35..0.43).contains(&share), "{share}");
        let spurts = journeys.arrived.iter().filter(|arrived| arrived.first).count();
        assert!((1_200..1_600).contains(&spurts), "{spurts}");
        assert!(hour(Route::WiFi).arrived.iter().skip(1).all(|arrived| !arrived.first));
    }

    #[test]
    fn some_kinds_reorder_and_some_double() {
        let reordered = |route| hour(route).arrived.windows(2).filter(|pair| pair[0].number > pair[1].number).count();
        assert!(reordered(Route::Reordered) > 1_000);
        assert_eq!(reordered(Route::WiFi) + reordered(Route::Lte) + reordered(Route::Dsl), 0);
        let journeys = hour(Route::Doubled);
        let twice = journeys.arrived.len() - journeys.sent as usize;
        assert!((5_000..7_000).contains(&twice), "{twice}");
    }
}
