//! While there are calls it is written down that there are, so that whoever finds the process dead knows for how long.

mod driver;

use driver::{A, B, World, answer};
use std::time::Duration;
use sx_call::{CallRecord, Settings};
use sx_engine::{Engine as _, Time};
use sx_route::MediaMode;
use sx_types::LegId;

const E: LegId = LegId(2);

/// When signs of life were written, in seconds from the start.
fn signs(world: &World) -> Vec<u64> {
    let at = |record: &CallRecord| if let CallRecord::Alive { at } = record { Some(*at) } else { None };
    let signs = world.records.iter().filter_map(at);
    signs.map(|at| Time::from_nanos(at).since(driver::START).as_secs()).collect()
}

/// Lets seconds pass, one after the other.
fn seconds(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.after(Duration::from_secs(1));
    }
}

#[test]
fn nothing_is_written_while_there_is_no_call() {
    let mut world = World::new(MediaMode::Direct);
    assert_eq!(world.calls.poll_timeout(), None);
    seconds(&mut world, 600);
    world.incoming(A, "300", Some("OA")).ends(A, 487).let_end();
    seconds(&mut world, 600);
    assert_eq!(signs(&world), []);
    world.the_record();
}

#[test]
fn a_quiet_exchange_with_a_call_writes_one_sign_a_minute() {
    let mut world = World::new(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB")));
    seconds(&mut world, 10 * 60);
    assert_eq!(signs(&world), [60, 120, 180, 240, 300, 360, 420, 480, 540, 600]);
    world.ends(A, 0).let_end();
    seconds(&mut world, 600);
    assert_eq!(signs(&world).len(), 10);
    world.the_record();
}

/// However many calls there are, one sign says it for all, and none is needed where calls come and go.
#[test]
fn what_is_written_of_any_call_is_a_sign_of_life() {
    let settings = Settings { record_interval: Duration::from_secs(10), ..Settings::default() };
    let mut world = World::with(driver::definition(MediaMode::Direct), settings);
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB")));
    for number in 0..10 {
        seconds(&mut world, 9);
        let leg = LegId(E.0 + number);
        world.incoming(leg, "300", Some("OE")).ends(leg, 487);
    }
    assert_eq!(signs(&world), []);
    seconds(&mut world, 25);
    assert_eq!(signs(&world), [100, 110]);
}
