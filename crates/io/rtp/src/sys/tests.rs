//! Against the kernel, over the loopback interface.

use super::batch::{BATCH, PACKET_BYTES_MAX};
use super::*;
use std::net::UdpSocket;
use std::time::Instant;

fn check_address(text: &str) {
    let address: SocketAddr = text.parse().unwrap();
    let raw = RawAddress::from(address);
    assert_eq!(raw.socket_addr(), Some(address));
    assert_eq!(RawAddress::from_words(raw.words()), raw);
}

#[test]
fn addresses_survive_the_kernels_layout() {
    check_address("192.0.2.7:40000");
    check_address("[2001:db8::7]:40001");
    check_address("[fe80::1%3]:9");
    assert_eq!(RawAddress::default().socket_addr(), None);
}

/// What a token of these tests stands for.
const TOKEN: u64 = 7 << 32 | 1;
const LABEL: Label = Label { port: 3, is_rtp: true };

/// With io_uring and with epoll, or with that alone where the system has no other.
fn ways() -> &'static [bool] {
    if io_uring::IoUring::new(1).is_ok() { &[true, false] } else { &[false] }
}

/// An intake of each kind that hears of one socket, and what wakes it.
fn each_way(mut check: impl FnMut(&mut Intake, &UdpSocket, &Wake)) {
    for io_uring in ways().iter().copied() {
        let (mut intake, wake) = (Intake::new(io_uring).unwrap(), Wake::new().unwrap());
        let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
        intake.begin(&wake).unwrap();
        intake.add(&relay, TOKEN).unwrap();
        check(&mut intake, &relay, &wake);
        intake.remove(&relay, TOKEN);
    }
}

/// Waits until packets have come. Gives how many.
fn receive(intake: &mut Intake, relay: &UdpSocket) -> usize {
    for _ in 0..100 {
        if intake.poll_token() == Some(TOKEN)
            && let Ok(count) = intake.receive(relay)
        {
            return count;
        }
        intake.wait(Duration::from_secs(5)).unwrap();
    }
    panic!("nothing has come");
}

#[test]
fn a_batch_receives_and_sends_what_it_was_told_and_no_more() {
    each_way(|intake, relay, _| {
        let [near, far] = std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        for number in 0..20_u8 {
            near.send_to(&[number; 5], relay.local_addr().unwrap()).unwrap();
        }
        near.send_to(&[9; PACKET_BYTES_MAX + 1], relay.local_addr().unwrap()).unwrap();
        assert_eq!(receive(intake, relay), BATCH);
        assert_eq!(intake.batch().packet(3), (near.local_addr().ok(), &mut [3; 5][..]));
        let mut chosen = Chosen::default();
        chosen.add(15);
        chosen.add(2);
        let sent = intake.send(relay, chosen, &far.local_addr().unwrap().into(), LABEL);
        assert_eq!(sent, Sent { packets: 2, bytes: 10, errors: 0 });
        assert_eq!(receive(intake, relay), 5);
        assert_eq!(intake.batch().packet(4), (near.local_addr().ok(), &mut [][..]), "one cut short is not relayed");
        assert_eq!(intake.poll_token(), None);
        intake.flush();
        let mut buffer = [0; 64];
        assert_eq!(far.recv_from(&mut buffer).unwrap(), (5, relay.local_addr().unwrap()));
        assert_eq!(buffer[..5], [2; 5]);
        assert_eq!(far.recv(&mut buffer).unwrap(), 5);
        assert_eq!(buffer[..5], [15; 5]);
        intake.wait(Duration::ZERO).unwrap();
        assert_eq!((intake.poll_token(), intake.poll_failure()), (None, None));
    });
}

#[test]
fn buffers_come_back_whatever_became_of_their_packets() {
    each_way(|intake, relay, _| {
        let here = relay.local_addr().unwrap();
        let [near, far] = std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut buffer = [0; 8];
        for number in 0..5_000_u32 {
            near.send_to(&number.to_be_bytes(), here).unwrap();
            assert_eq!(receive(intake, relay), 1);
            assert_eq!(intake.batch().packet(0).1, number.to_be_bytes());
            if number % 3 == 0 {
                let sent = intake.send(relay, Chosen::one(0), &far.local_addr().unwrap().into(), LABEL);
                assert_eq!(sent.packets, 1);
                intake.flush();
                assert_eq!(far.recv(&mut buffer).unwrap(), 4);
                assert_eq!(buffer[..4], number.to_be_bytes());
            }
        }
    });
}

#[test]
fn more_packets_than_buffers_wait_in_the_socket() {
    each_way(|intake, relay, _| {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let count = ring::BUFFERS as u32 + 100;
        let mut got = 0;
        socket2::SockRef::from(relay).set_recv_buffer_size(4 << 20).unwrap();
        for number in 0..count {
            near.send_to(&number.to_be_bytes(), relay.local_addr().unwrap()).unwrap();
        }
        while got < count {
            for index in 0..receive(intake, relay) {
                assert_eq!(intake.batch().packet(index).1, got.to_be_bytes());
                got += 1;
            }
        }
    });
}

#[test]
fn a_packet_that_cannot_be_sent_is_counted_and_the_next_one_is_tried() {
    each_way(|intake, relay, _| {
        for number in 0..2_u8 {
            relay.send_to(&[number], relay.local_addr().unwrap()).unwrap();
        }
        assert_eq!(receive(intake, relay), 2);
        let mut chosen = Chosen::default();
        chosen.add(0);
        chosen.add(1);
        let other_family: SocketAddr = "[::1]:9".parse().unwrap();
        let sent = intake.send(relay, chosen, &other_family.into(), LABEL);
        intake.wait(Duration::ZERO).unwrap();
        assert_eq!(intake.poll_token(), None);
        let failures = std::iter::from_fn(|| intake.poll_failure())
            .inspect(|failure| assert_eq!(*failure, Failure { label: LABEL, bytes: 1 }))
            .count();
        assert_eq!(sent.errors + failures as u64, 2);
    });
}

#[test]
fn packets_of_more_sockets_than_there_are_buffers_all_come_and_soon() {
    const SOCKETS: usize = 100;
    const PACKETS: u32 = 20;
    for io_uring in ways().iter().copied() {
        let (mut intake, wake) = (Intake::new(io_uring).unwrap(), Wake::new().unwrap());
        intake.begin(&wake).unwrap();
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let relays: Vec<_> = (0..SOCKETS).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (token, relay) in relays.iter().enumerate() {
            intake.add(relay, token as u64).unwrap();
        }
        intake.wait(Duration::ZERO).unwrap();
        for number in 0..PACKETS {
            for relay in &relays {
                near.send_to(&number.to_be_bytes(), relay.local_addr().unwrap()).unwrap();
            }
        }
        let far = near.local_addr().unwrap().into();
        let (mut got, mut turns) = ([0; SOCKETS], 0);
        while got.iter().any(|got| *got < PACKETS) {
            turns += 1;
            assert!(turns < 60, "{got:?}");
            while let Some(token) = intake.poll_token() {
                let relay = &relays[token as usize];
                for index in 0..intake.receive(relay).unwrap_or(0) {
                    assert_eq!(intake.batch().packet(index).1, got[token as usize].to_be_bytes());
                    got[token as usize] += 1;
                    intake.send(relay, Chosen::one(index), &far, LABEL);
                }
            }
            intake.wait(Duration::from_secs(5)).unwrap();
        }
    }
}

#[test]
fn a_socket_that_was_removed_is_closed_when_it_is_dropped() {
    for io_uring in ways().iter().copied() {
        let (mut intake, wake) = (Intake::new(io_uring).unwrap(), Wake::new().unwrap());
        intake.begin(&wake).unwrap();
        for (is_submitted, packets) in [(true, 0), (false, 0), (true, 1)] {
            let relays: Vec<_> = (0..60).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
            for (token, relay) in relays.iter().enumerate() {
                intake.add(relay, token as u64).unwrap();
            }
            if is_submitted {
                intake.wait(Duration::ZERO).unwrap();
            }
            for relay in relays.iter().cycle().take(packets * relays.len()) {
                relay.send_to(b"one", relay.local_addr().unwrap()).unwrap();
            }
            for (token, relay) in relays.into_iter().enumerate().rev() {
                let here = relay.local_addr().unwrap();
                intake.remove(&relay, token as u64);
                drop(relay);
                assert!(UdpSocket::bind(here).is_ok(), "the number is free again");
            }
        }
    }
}

#[test]
fn a_signal_wakes_a_wait_once() {
    each_way(|intake, _, wake| {
        intake.wait(Duration::ZERO).unwrap();
        assert_eq!(intake.poll_token(), None);
        wake.signal();
        wake.signal();
        intake.wait(Duration::from_secs(5)).unwrap();
        assert_eq!((intake.poll_token(), intake.poll_token()), (Some(WAKE), None));
        wake.heard();
        intake.wait(Duration::ZERO).unwrap();
        assert_eq!(intake.poll_token(), None);
        wake.signal();
        intake.wait(Duration::from_secs(5)).unwrap();
        assert_eq!(intake.poll_token(), Some(WAKE));
    });
}

/// The policy that the kernel has for the calling thread, the 41st field of its state.
fn policy() -> i32 {
    let state = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let after_name = state.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().nth(38).unwrap().parse().unwrap()
}

#[test]
fn real_time_is_granted_or_refused_for_want_of_permission() {
    std::thread::spawn(|| match real_time() {
        Ok(()) => assert_eq!(policy() & !libc::SCHED_RESET_ON_FORK, libc::SCHED_RR),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(policy(), libc::SCHED_OTHER);
        }
    })
    .join()
    .unwrap();
}

#[test]
fn packets_that_gather_are_waited_for_until_there_are_enough_or_it_was_long_enough() {
    each_way(|intake, relay, _| {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let waits = |intake: &mut Intake, longest: Duration| {
            let began = Instant::now();
            intake.gather(Some(longest));
            intake.wait(2 * LONG).unwrap();
            began.elapsed() < LONG
        };
        near.send_to(b"first", relay.local_addr().unwrap()).unwrap();
        assert!(waits(intake, Duration::from_millis(1)), "it was long enough");
        let others: Vec<UdpSocket> = (0..64).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (other, token) in others.iter().zip(TOKEN + 1..) {
            intake.add(other, token).unwrap();
        }
        assert_eq!(receive(intake, relay), 1);
        intake.flush();
        let mut chosen = Chosen::default();
        chosen.add(0);
        intake.send(relay, chosen, &near.local_addr().unwrap().into(), LABEL);
        for other in &others {
            near.send_to(b"x", other.local_addr().unwrap()).unwrap();
        }
        assert!(waits(intake, LONG), "enough have come");
        assert_eq!(near.recv(&mut [0; 16]).unwrap(), 5, "what is to be sent does not wait");
        others.iter().zip(TOKEN + 1..).for_each(|(other, token)| intake.remove(other, token));
    });
}

/// Nothing takes so long here.
const LONG: Duration = Duration::from_secs(30);
