//! From the configuration to what the resolver may give back.

use sx_config::Listen;
use sx_net::resolve::{Families, ResolverConfig};
use sx_types::Transport;

/// Only what can be sent from here is looked for: transports that listen, so that answers and later requests find the
/// way back, TLS where there are certificates, and addresses of the families that listen.
//= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
// Services with transports that are not supported are discarded.
pub fn config(listen: &[Listen], tls: bool, seed: [u8; 32]) -> ResolverConfig {
    let listens = |transport| listen.iter().any(|listen| listen.transport == transport);
    let usable = |transport: &Transport| match transport {
        transport if transport.is_opened_by_peers_only() => false,
        transport if transport.is_secure() => tls,
        transport => listens(*transport),
    };
    let v6 = listen.iter().any(|listen| listen.address.is_ipv6());
    let v4 = listen.iter().any(|listen| listen.address.is_ipv4());
    ResolverConfig {
        transports: Transport::ALL.into_iter().filter(usable).collect(),
        families: match (v4, v6) {
            (true, true) => Families::V4ThenV6,
            (false, true) => Families::V6,
            (_, false) => Families::V4,
        },
        seed,
        ..ResolverConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &[(Transport, &str)], tls: bool, transports: &[Transport], families: Families) {
        let listen = listen.iter().map(|(transport, address)| Listen {
            transport: *transport,
            address: address.parse().expect("an address"),
            advertise: None,
        });
        let config = config(&listen.collect::<Vec<_>>(), tls, [0; 32]);
        assert_eq!((&*config.transports, config.families), (transports, families));
    }

    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    #[test]
    fn only_transports_and_families_that_we_have_are_looked_for() {
        use Transport::{Tcp, Tls, Udp, Ws};
        check(&[(Udp, "0.0.0.0:5060")], false, &[Udp], Families::V4);
        check(&[(Udp, "[::]:5060"), (Tcp, "[::]:5060")], false, &[Udp, Tcp], Families::V6);
        check(&[(Tcp, "0.0.0.0:5060"), (Tls, "[::]:5061")], true, &[Tcp, Tls], Families::V4ThenV6);
        // Calls may go out over TLS where nothing listens for it; a browser cannot be called at a name.
        check(&[(Udp, "0.0.0.0:5060"), (Ws, "0.0.0.0:80")], true, &[Udp, Tls], Families::V4);
    }
}
