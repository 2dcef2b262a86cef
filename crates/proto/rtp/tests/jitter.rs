//! What it is like to listen through a jitter buffer on each kind of network.

mod simulation;

use simulation::{Heard, jitter_of_network, lost_share, play, play_fixed};
use std::time::Duration;
use sx_rtp::JitterStats;
use sx_testkit::{Journeys, Route, read_journeys};

const FRAME: Duration = Duration::from_millis(20);
const SEEDS: std::ops::Range<u64> = 1..4;
const LASTING: Duration = Duration::from_secs(600);

/// Plays, and asserts what holds on every network: next to no jitter is left, and the delay is within its bounds.
#[track_caller]
fn listen(name: &str, journeys: &Journeys, every: Duration) -> Heard {
    let mut delays = Vec::new();
    let heard = play(journeys, every, |_, stats| {
        if stats.played > 0 {
            delays.push(stats.delay);
        }
    });
    let (mean, most) = heard.jitter();
    assert!(mean < 1.0 && most < 10.0, "{name}: jitter {mean} ms, at most {most} ms");
    let (least, longest) = (delays.iter().min().expect("played"), delays.iter().max().expect("played"));
    assert!(*least >= Duration::from_millis(20), "{name}: delay {least:?}");
    assert!(*longest <= Duration::from_millis(150), "{name}: delay {longest:?}");
    assert!(heard.waits(1.0) <= 150.0, "{name}: a packet waited {} ms", heard.waits(1.0));
    heard
}

/// So large a share of what is heard is made up at most, in percent, beside what the network lost.
#[track_caller]
fn check(route: Route, concealed: f64) {
    for seed in SEEDS {
        let journeys = route.journeys(seed, FRAME, LASTING);
        let heard = listen(&format!("{route}, seed {seed}"), &journeys, FRAME);
        let beside = (heard.concealed_share() - lost_share(&journeys)) * 100.0;
        assert!(beside <= concealed, "{route}, seed {seed}: {beside} % made up beside what was lost");
        assert!(heard.late_share() < 0.002, "{route}, seed {seed}: {} late", heard.late_share());
        assert!(heard.played.len() as f64 > heard.came as f64 * 0.98, "{route}, seed {seed}: packets are left out");
    }
}

#[test]
fn on_a_lan_nothing_is_heard_of_the_network_and_the_delay_is_short() {
    check(Route::Lan, 0.05);
    check(Route::Doubled, 0.05);
    let heard = listen("LAN", &Route::Lan.journeys(1, FRAME, LASTING), FRAME);
    assert!(heard.waits(0.5) < 45.0 && heard.waits(0.99) < 65.0);
}

#[test]
fn losses_in_bursts_are_concealed_and_nothing_else() {
    check(Route::Bursts, 0.1);
}

#[test]
fn packets_that_are_overtaken_are_waited_for() {
    check(Route::Reordered, 0.1);
}

#[test]
fn queues_in_front_of_a_line_are_bridged() {
    check(Route::Dsl, 0.8);
}

#[test]
fn a_channel_that_is_held_by_others_is_bridged() {
    check(Route::WiFi, 0.6);
    check(Route::Silences, 1.0);
}

#[test]
fn handovers_are_bridged() {
    check(Route::Lte, 0.6);
}

#[test]
fn satellites_are_bridged() {
    check(Route::Geostationary, 0.1);
    check(Route::LowOrbit, 0.2);
}

#[test]
fn packets_of_any_duration_are_played() {
    for millis in [10, 20, 30, 40, 60] {
        let every = Duration::from_millis(millis);
        for route in [Route::Lan, Route::WiFi, Route::Bursts] {
            let journeys = route.journeys(1, every, LASTING);
            let heard = listen(&format!("{route}, {millis} ms"), &journeys, every);
            let beside = (heard.concealed_share() - lost_share(&journeys)) * 100.0;
            assert!(beside < 1.0, "{route}, {millis} ms: {beside} %");
        }
    }
}

/// An hour with a clock that is off by 200 millionths: 720 ms have to be left out, or made up, 20 ms at a time.
#[test]
fn a_clock_that_drifts_for_an_hour_is_followed_without_pumping() {
    for (route, is_fast) in [(Route::FastClock, true), (Route::SlowClock, false)] {
        let journeys = route.journeys(1, FRAME, Duration::from_secs(3_600));
        let mut last = JitterStats::default();
        let mut steps = Vec::new();
        let heard = play(&journeys, FRAME, |at, stats| {
            if stats.surplus > last.surplus || stats.grown > last.grown {
                steps.push(at);
            }
            last = stats;
        });
        let (with, against) = if is_fast { (last.surplus, last.grown) } else { (last.grown, last.surplus) };
        // The step against the drift is the one from the delay in the beginning.
        assert!((34..=38).contains(&with) && against <= 1, "{route}: {with} with the drift, {against} against it");
        assert!(steps.windows(2).skip(1).all(|pair| pair[1] - pair[0] > Duration::from_secs(80)), "{route}: {steps:?}");
        assert!(heard.jitter().1 < 2.0 && heard.late == 0 && heard.waits(1.0) < 70.0);
    }
}

#[test]
fn a_fixed_delay_is_worse_where_the_network_is_bad_and_longer_where_it_is_good() {
    let both = |route: Route| {
        let journeys = route.journeys(1, FRAME, LASTING * 3);
        (listen("adaptive", &journeys, FRAME), play_fixed(&journeys, Duration::from_millis(60)))
    };
    for route in [Route::WiFi, Route::Dsl] {
        let (adaptive, fixed) = both(route);
        assert!(adaptive.concealed_share() < fixed.concealed_share(), "{route}");
        assert!(adaptive.late < fixed.late, "{route}");
    }
    for route in [Route::Lan, Route::Geostationary, Route::LowOrbit] {
        let (adaptive, fixed) = both(route);
        assert!(adaptive.waits(0.5) + 15.0 < fixed.waits(0.5), "{route}");
    }
}

#[test]
fn a_recorded_journey_is_played() {
    let line = |n: u64| match n {
        40 => format!("{}, lost\n", n * 20),
        70..75 => format!("{}, {}\n", n * 20, 1_471 + n),
        _ => format!("{}, {}\n", n * 20, n * 20 + 50 + n % 3),
    };
    let journeys = read_journeys(&(0..500).map(line).collect::<String>()).expect("good lines");
    assert!(jitter_of_network(&journeys).1 > 5.0);
    let heard = listen("recorded", &journeys, FRAME);
    // The lost one, three until those that waited come, and ten until it is certain that nothing comes any more.
    assert!(heard.concealed <= 14 && heard.late == 0 && heard.played.len() > 490, "{}", heard.concealed);
}
