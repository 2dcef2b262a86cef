//! Whatever comes, in whatever order: every leg is ended once, every record is written once, nothing is left.

mod driver;

use driver::{World, add_council, answer, definition, offer, sdp};
use std::collections::HashSet;
use std::time::Duration;
use sx_call::{Command, Input, Originate, Parties, PartyChange, Settings};
use sx_engine::Rng;
use sx_leg::{Address, Bounds, LegEvent, Source};
use sx_route::MediaMode;
use sx_types::{CallId, Cause, LegId};

/// A random event of a random leg that has not ended.
fn stir(world: &mut World, rng: &mut Rng, incoming: &mut u64) {
    let first_out = 1_u64 << 63;
    let dialled = world.notes.iter().filter_map(|note| match note {
        sx_call::Note::Dialled { leg, .. } if leg.0 >= first_out => Some(leg.0),
        _ => None,
    });
    let legs: Vec<LegId> = (1..=*incoming).chain(dialled).map(LegId).filter(|l| !world.ended.contains(l)).collect();
    let pick = |rng: &mut Rng| legs.get(rng.below(legs.len() as u64) as usize).copied();
    let words = ["sendrecv", "sendonly", "recvonly"];
    let text = sdp("192.0.2.9", 4000 + 2 * rng.below(9) as u16, words[rng.below(3) as usize]);
    let (Some(leg), Some(second)) = (pick(rng), pick(rng)) else { return };
    if rng.below(10) == 0 {
        return control(world, rng);
    }
    match rng.below(18) {
        0 => _ = world.rings(leg),
        1 => _ = world.early(leg, &text),
        2 | 3 => _ = world.answers(leg, Some(answer(&text))),
        4 | 5 => _ = world.answers(leg, Some(offer(&text))),
        6 => _ = world.offers(leg, Some(&text)),
        7 => _ = world.offers(leg, None),
        8 | 9 => _ = world.accepts(leg, answer(&text)),
        10 => _ = world.accepts(leg, offer(&text)),
        11 => _ = world.event(leg, LegEvent::OfferRefused { cause: Cause(31), status: 491, sentence: Box::default() }),
        12 => _ = world.event(leg, LegEvent::Confirmed { media: Some(answer(&text)) }),
        13 => _ = world.transfer(leg, "100", None),
        14 => _ = world.transfer(leg, "100", Some(second)),
        15 if rng.below(3) == 0 => _ = world.ends(leg, [0, 486, 503, 603][rng.below(4) as usize]),
        16 => {
            *incoming += 1;
            let replaces = (rng.below(2) == 0).then_some(second);
            let said = (rng.below(3) > 0).then_some(text.as_str());
            let to = ["100", "200", "300"][rng.below(3) as usize];
            // Often enough the one who may take the place, and sometimes not.
            let trunk = ["one", "two"][rng.below(2) as usize];
            world.incoming_with(LegId(*incoming), to, said, |incoming| {
                incoming.replaces = replaces;
                if replaces.is_some_and(|leg| leg.0 >= first_out) {
                    incoming.source = Source::Trunk(trunk.into());
                }
            });
        }
        _ => _ = world.after(Duration::from_millis(rng.below(3000))),
    }
    if rng.below(4) == 0 {
        world.let_end();
    }
}

/// Somebody who looks after calls wants something of one.
fn control(world: &mut World, rng: &mut Rng) {
    let calls: Vec<_> = world.calls.list().map(|summary| summary.call).collect();
    let Some(call) = calls.get(rng.below(calls.len() as u64) as usize).copied() else { return };
    let number = CallId::new(1, rng.u128());
    let who = [Parties::Caller, Parties::Called, Parties::Both][rng.below(3) as usize];
    let to = Address::new(["100", "200", "500"][rng.below(3) as usize], "pbx");
    let change = match rng.below(7) {
        0 => PartyChange::Hold(rng.below(2) == 0),
        1 => PartyChange::Mute(rng.below(2) == 0),
        2 => PartyChange::Play((rng.below(2) == 0).then(|| "hello.wav".into())),
        3 => PartyChange::Transfer(to),
        4 | 5 => PartyChange::Enter { room: "council".into(), other: number },
        _ => {
            let (from, bounds) = (Address::new("300", "pbx"), Bounds::default());
            let originate = Originate { call: number, trace: number.into(), from, to, bounds };
            world.command(Command::Originate(Box::new(originate)));
            return;
        }
    };
    world.command(Command::Parties { call, who, change });
}

/// A leg that was told to end is told nothing more, and each is told to once.
fn assert_no_word_after_the_end(world: &mut World, told: &mut HashSet<String>, seed: u64) {
    for line in std::mem::take(&mut world.lines) {
        let leg = line.split(' ').next().unwrap_or_default().to_owned();
        assert!(!told.contains(&leg), "seed {seed}: after its end, {line}");
        if line.contains(" hangup ") || line.contains(" reject ") {
            told.insert(leg);
        }
    }
}

#[test]
fn every_leg_ends_once_and_every_record_is_written_once() {
    let (mut answered, mut transferred, mut failed) = (0, 0, 0);
    for seed in 0..2400 {
        let mut rng = Rng::from_number(seed);
        let mode = if seed % 3 == 0 { MediaMode::Direct } else { MediaMode::Relay };
        // In some of them nobody is answered before it is written down.
        let waits = seed % 5 == 0;
        let answer_wait = waits.then_some(Duration::from_secs(2));
        let mut definition = definition(mode);
        add_council(&mut definition);
        let mut world = World::with(definition, Settings { answer_wait, ..Settings::default() });
        let mut told = HashSet::new();
        let mut incoming = 2;
        world.incoming(LegId(1), "100", Some(&sdp("192.0.2.1", 4000, "sendrecv")));
        world.incoming(LegId(2), "300", Some(&sdp("192.0.2.1", 4002, "sendrecv")));
        for _ in 0..60 {
            stir(&mut world, &mut rng, &mut incoming);
            if waits && rng.below(3) == 0 {
                world.input(Input::Written { leg: LegId(1 + rng.below(incoming)) });
            }
            assert_no_word_after_the_end(&mut world, &mut told, seed);
        }
        let calls: Vec<_> = world.calls.list().map(|summary| summary.call).collect();
        assert!(calls.iter().all(|call| world.calls.summary(*call).is_some_and(|summary| summary.call == *call)));
        for call in calls {
            world.command(Command::Hangup { call, cause: Cause::NORMAL, by: sx_call::Ender::Operator });
        }
        assert_no_word_after_the_end(&mut world, &mut told, seed);
        world.let_end();
        assert!(world.calls.is_empty(), "seed {seed}: {:?}", world.lines);
        world.all_records();
        assert_eq!(world.tables.members("council").map(|room| room.count()), Some(0), "seed {seed}");
        for note in &world.notes {
            match note {
                sx_call::Note::Answered { .. } => answered += 1,
                sx_call::Note::Transferred { .. } => transferred += 1,
                sx_call::Note::TransferFailed { .. } => failed += 1,
                _ => {}
            }
        }
    }
    // Chance has led everywhere, or this test would say little.
    assert!(answered > 1000 && transferred > 200 && failed > 200, "{answered} {transferred} {failed}");
}
