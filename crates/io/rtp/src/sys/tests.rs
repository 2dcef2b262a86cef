//! Against the kernel, over the loopback interface.

use super::*;

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

#[test]
fn a_batch_receives_and_sends_what_it_was_told_and_no_more() {
    let [near, far, relay] = std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    for number in 0..20_u8 {
        near.send_to(&[number; 5], relay.local_addr().unwrap()).unwrap();
    }
    near.send_to(&[9; PACKET_BYTES_MAX + 1], relay.local_addr().unwrap()).unwrap();
    let mut batch = Batch::new();
    assert_eq!(batch.receive(&relay).unwrap(), BATCH);
    assert_eq!(batch.packet(3), (near.local_addr().ok(), &mut [3; 5][..]));
    let mut chosen = Chosen::default();
    chosen.add(15);
    chosen.add(2);
    let sent = batch.send(&relay, chosen, &far.local_addr().unwrap().into());
    assert_eq!(sent, Sent { packets: 2, bytes: 10, errors: 0 });
    let mut buffer = [0; 64];
    assert_eq!(far.recv_from(&mut buffer).unwrap(), (5, relay.local_addr().unwrap()));
    assert_eq!(buffer[..5], [2; 5]);
    assert_eq!(far.recv(&mut buffer).unwrap(), 5);
    assert_eq!(buffer[..5], [15; 5]);
    assert_eq!(batch.receive(&relay).unwrap(), 5);
    assert_eq!(batch.packet(4), (near.local_addr().ok(), &mut [][..]), "a packet cut short is not relayed");
    assert_eq!(batch.receive(&relay).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_packet_that_cannot_be_sent_is_counted_and_the_next_one_is_tried() {
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..2_u8 {
        relay.send_to(&[number], relay.local_addr().unwrap()).unwrap();
    }
    let mut batch = Batch::new();
    assert_eq!(batch.receive(&relay).unwrap(), 2);
    let mut chosen = Chosen::default();
    chosen.add(0);
    chosen.add(1);
    let other_family: SocketAddr = "[::1]:9".parse().unwrap();
    assert_eq!(batch.send(&relay, chosen, &other_family.into()), Sent { packets: 0, bytes: 0, errors: 2 });
}

#[test]
fn a_signal_wakes_a_wait_once() {
    let wake = Wake::new().unwrap();
    let mut epoll = Epoll::new().unwrap();
    epoll.add(&wake, 42).unwrap();
    assert_eq!(epoll.wait(Duration::ZERO).unwrap(), 0);
    wake.signal();
    wake.signal();
    assert_eq!(epoll.wait(Duration::from_secs(5)).unwrap(), 1);
    assert_eq!(epoll.token(0), 42);
    wake.heard();
    assert_eq!(epoll.wait(Duration::ZERO).unwrap(), 0);
    epoll.remove(&wake);
    wake.signal();
    assert_eq!(epoll.wait(Duration::ZERO).unwrap(), 0);
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
