//! Whom packet threads go before. In a process of its own: the threads are known by their names.

mod driver;

use driver::{Relay, config, id, numbers};
use sx_io_rtp::{Priority, RtpConfig};

/// `SCHED_OTHER` and `SCHED_RR`, as the kernel numbers them.
const ORDINARY: u32 = 0;
const ROUND_ROBIN: u32 = 2;
const CAP_SYS_NICE: u64 = 1 << 23;

/// The policy of each packet thread, the 41st field of its state.
fn policies() -> Vec<u32> {
    let states = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let states = states.map(|task| std::fs::read_to_string(task.path().join("stat")).unwrap_or_default());
    let ours = states.filter(|state| state.contains("(rtp-"));
    ours.map(|state| state.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap().parse().unwrap()).collect()
}

fn may_claim() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    u64::from_str_radix(capabilities, 16).unwrap() & CAP_SYS_NICE != 0
}

/// What the threads run with once all of them have opened a port.
fn running(priority: Priority, threads: usize) -> Vec<u32> {
    let relay = Relay::start(&RtpConfig { priority, threads, ..config(numbers(2 * threads as u16)) });
    for call in 0..threads as u64 {
        relay.open(id(call, 0));
    }
    policies()
}

#[test]
fn real_time_is_claimed_where_a_processor_is_left_for_others() {
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(running(Priority::Normal, 1), [ORDINARY]);
    let claimed = if may_claim() && processors > 1 { ROUND_ROBIN } else { ORDINARY };
    assert_eq!(running(Priority::RealTime, 1), [claimed]);
    assert_eq!(running(Priority::RealTime, processors), vec![ORDINARY; processors]);
}
