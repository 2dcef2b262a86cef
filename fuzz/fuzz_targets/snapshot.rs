//! A call that another exchange is said to have exported, for a worker that goes on with it: it is refused and nothing is
//! changed, or it can be exported again, and is over some time after it is hung up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use sx_call::Command;
use sx_config::Config;
use sx_engine::{Engine, Rng, Time};
use sx_exchange::{
    Directory, ExchangeSnapshot, Input, LayerSettings, Output, RefusalLimits, Tables, WitnessSettings, Worker,
    WorkerSettings,
};
use sx_media::{Closed, MediaCommand, MediaEvent, OpenError, Opened, PortId, PortMemory, PortStats};
use sx_sip::agent::AgentConfig;
use sx_sip::local::{LocalLink, Locals};
use sx_sip::registrar::RegistrarConfig;
use sx_types::{Cause, LinkId, Transport};

const START: Time = Time::from_secs(1_800_000_100);
/// More timers than this before all is over are a timer without end.
const TIMERS_MAX: usize = 20_000;

static TABLES: LazyLock<Arc<Tables>> = LazyLock::new(|| {
    let config = Config::from_text("[exchange]\ndomains = [\"example.org\"]\n").expect("a good configuration");
    Arc::new(Tables::build(&config, vec![Ipv4Addr::LOCALHOST.into()], None).expect("it fits together"))
});
static DIRECTORY: LazyLock<Arc<Directory>> = LazyLock::new(|| Arc::new(Directory::new([])));

/// A worker, and packet threads that obey or have no port.
struct Bed {
    worker: Worker,
    now: Time,
    open: BTreeSet<PortId>,
    has_ports: bool,
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = serde_json::from_slice::<ExchangeSnapshot>(bytes) else { return };
    let call = snapshot.call.call();
    let mut bed =
        Bed { worker: worker(), now: START, open: BTreeSet::new(), has_ports: !bytes.len().is_multiple_of(8) };
    if bed.worker.import(START, snapshot).is_err() {
        assert_eq!(bed.worker.calls(), 0);
        assert!(bed.worker.poll_output().is_none());
        return;
    }
    bed.carry_out();
    bed.tell(Command::Remember { call });
    if let Ok(again) = bed.worker.export(call) {
        let text = serde_json::to_string(&again).expect("a value");
        let read: ExchangeSnapshot = serde_json::from_str(&text).expect("what was written");
        assert_eq!(serde_json::to_string(&read).expect("a value"), text);
        let mut other = worker();
        assert!(other.import(START, read).is_ok(), "what was exported is not taken back");
    }
    bed.tell(Command::Hangup { call, cause: Cause::NORMAL, by: sx_call::Ender::Operator });
    bed.pass_until_over();
    assert_eq!(bed.worker.calls(), 0);
    assert!(bed.open.is_empty(), "ports are left open: {:?}", bed.open);
});

fn worker() -> Worker {
    let settings = WorkerSettings {
        links: None,
        freshness: Default::default(),
        worker: 0,
        workers: 1,
        agent: AgentConfig::default(),
        calls: sx_call::Settings::default(),
        registrar: RegistrarConfig::default(),
        nonces: 16,
        transactions_max: 1_000,
        udp_request_bytes_max: 65_000,
        refusals: RefusalLimits::default(),
        witness: WitnessSettings::default(),
        layers: LayerSettings::default(),
        recordable: [].into(),
    };
    let bound = SocketAddr::from(([192, 0, 2, 1], 5060));
    let links = vec![LocalLink { link: LinkId(1), transport: Transport::Udp, bound, advertised: None }];
    let locals = Locals { worker: 0, links, outward_v4: Ipv4Addr::LOCALHOST, outward_v6: Ipv6Addr::LOCALHOST };
    Worker::new(START, settings, &TABLES, DIRECTORY.clone(), locals, Rng::from_number(1))
}

impl Bed {
    fn tell(&mut self, command: Command) {
        self.worker.handle_input(self.now, Input::Command(command));
        self.carry_out();
    }

    /// Lets time pass, timer by timer, until there is no call.
    fn pass_until_over(&mut self) {
        for _ in 0..TIMERS_MAX {
            if self.worker.calls() == 0 {
                return;
            }
            let Some(next) = self.worker.poll_timeout() else { return };
            self.now = self.now.max(next).min(self.now + Duration::from_secs(3_600));
            self.worker.handle_timeout(self.now);
            self.carry_out();
        }
        panic!("a timer without end");
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            let Output::Media(command) = output else { continue };
            if let Some(event) = self.obey(command) {
                self.worker.handle_input(self.now, Input::Media(event));
            }
        }
    }

    fn obey(&mut self, command: MediaCommand) -> Option<MediaEvent> {
        match command {
            MediaCommand::Open { port, .. } if !self.has_ports || self.open.contains(&port) => {
                Some(MediaEvent::OpenFailed { port, error: OpenError::NumberTaken })
            }
            MediaCommand::Open { port, number, .. } => {
                self.open.insert(port);
                let at = |number| SocketAddr::from(([192, 0, 2, 1], number));
                let number = number.unwrap_or(10_000);
                Some(MediaEvent::Opened(Opened { port, rtp: at(number), rtcp: at(number.wrapping_add(1)) }))
            }
            MediaCommand::Remember { port } => {
                Some(MediaEvent::Remembered { port, memory: Box::new(PortMemory::default()) })
            }
            MediaCommand::Close { port } => {
                let closed = Closed { port, stats: PortStats::default() };
                self.open.remove(&port).then_some(MediaEvent::Closed(closed))
            }
            _ => None,
        }
    }
}
