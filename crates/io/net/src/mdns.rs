//! Services that say on the local network that they are there, by multicast DNS (RFC 6762) and DNS-based discovery (RFC 6763).
//!
//! A thread takes in what is heard. Who is heard is as trustworthy as the network: it is told, and nothing is decided by it.

use mdns_sd::{IfKind, ScopedIp, ServiceDaemon, ServiceEvent};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Looks for the services of one type.
pub struct Browser {
    daemon: ServiceDaemon,
    service: String,
    known: Arc<Mutex<Known>>,
}

type Known = BTreeMap<String, Service>;

/// A service that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of the instance, as `STUDIO (CAM 1)`.
    pub name: String,
    /// The host it is on.
    pub host: String,
    /// The host's addresses.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
}

/// It cannot be looked on the network.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// The port of multicast DNS.
    #[error("services on the local network cannot be looked for: {0}")]
    Daemon(#[from] mdns_sd::Error),
    /// A thread.
    #[error("services on the local network cannot be heard: {0}")]
    Thread(#[from] std::io::Error),
}

impl Browser {
    /// Begins to look for services as `_ndi._tcp` on the interfaces with these addresses; of more than `services_max` at a time
    /// the others are not known.
    ///
    /// # Errors
    /// When the port of multicast DNS cannot be listened at, or the system gives no thread.
    pub fn start(service: &str, interfaces: &[IpAddr], services_max: usize) -> Result<Self, BrowseError> {
        let service = format!("{service}.local.");
        let daemon = ServiceDaemon::new()?;
        daemon.disable_interface(IfKind::All)?;
        for address in interfaces {
            daemon.enable_interface(IfKind::Addr(*address))?;
        }
        let heard = daemon.browse(&service)?;
        let known = Arc::<Mutex<Known>>::default();
        let (told, kind) = (known.clone(), service.clone());
        // It ends with the daemon, whose end the channel tells.
        let hear = move || {
            while let Ok(event) = heard.recv() {
                hear(&mut told.lock().unwrap_or_else(PoisonError::into_inner), &kind, event, services_max);
            }
        };
        std::thread::Builder::new().name("mdns".into()).spawn(hear)?;
        Ok(Self { daemon, service, known })
    }

    /// The services that are there, by name.
    pub fn services(&self) -> Vec<Service> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The service of this name, in small letters or not.
    //= https://www.rfc-editor.org/rfc/rfc6762#section-16
    pub fn find(&self, name: &str) -> Option<Service> {
        self.services().into_iter().find(|service| service.name.eq_ignore_ascii_case(name))
    }
}

fn hear(known: &mut Known, service: &str, event: ServiceEvent, services_max: usize) {
    match event {
        ServiceEvent::ServiceResolved(found) => {
            let name = instance(service, &found.fullname);
            if known.len() < services_max || known.contains_key(&name) {
                let mut addresses: Vec<IpAddr> = found.addresses.iter().map(ScopedIp::to_ip_addr).collect();
                addresses.sort_unstable();
                let host = found.host.trim_end_matches('.').to_owned();
                known.insert(name.clone(), Service { name, host, addresses, port: found.port });
            }
        }
        ServiceEvent::ServiceRemoved(_, fullname) => drop(known.remove(&instance(service, &fullname))),
        _ => {}
    }
}

/// The name of an instance without that of the service.
//= https://www.rfc-editor.org/rfc/rfc6763#section-4.1
fn instance(service: &str, fullname: &str) -> String {
    let name = fullname.strip_suffix(service).unwrap_or(fullname);
    let name = name.strip_suffix('.').unwrap_or(name);
    // Dots in a name are escaped where it stands before others.
    name.replace("\\.", ".").replace("\\\\", "\\")
}

impl Drop for Browser {
    fn drop(&mut self) {
        // When it has ended by itself there is nothing to end.
        let _ = self.daemon.shutdown();
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdns_sd::ServiceInfo;
    use std::net::Ipv4Addr;
    use std::time::{Duration, Instant};

    fn until(is_so: impl Fn() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if is_so() {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }

    #[test]
    fn what_says_that_it_is_there_is_found_and_gone_when_it_says_goodbye() {
        let kind = "_sx-test._tcp";
        let browser = Browser::start(kind, &[Ipv4Addr::LOCALHOST.into()], 10).expect("it looks");
        let camera = ServiceDaemon::new().expect("another");
        camera.disable_interface(IfKind::All).expect("all");
        camera.enable_interface(IfKind::Addr(Ipv4Addr::LOCALHOST.into())).expect("loopback");
        let (kind, host) = (format!("{kind}.local."), "studio-of-a-test.local.");
        let none: [(&str, &str); 0] = [];
        let info = ServiceInfo::new(&kind, "STUDIO (Cam. 1)", host, "127.0.0.1", 5961, &none[..]).expect("a service");
        let fullname = info.get_fullname().to_owned();
        camera.register(info).expect("it says so");
        assert!(until(|| browser.find("studio (cam. 1)").is_some()), "it is found");
        let found = browser.find("STUDIO (Cam. 1)").expect("it is there");
        assert_eq!((found.port, &*found.host), (5961, "studio-of-a-test.local"));
        assert_eq!(found.addresses, [Ipv4Addr::LOCALHOST]);
        assert_eq!(browser.find("STUDIO"), None);
        camera.unregister(&fullname).expect("it says goodbye");
        assert!(until(|| browser.services().is_empty()), "it is gone");
        let _ = camera.shutdown();
    }
}
