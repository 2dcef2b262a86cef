//! What probes and scrapers are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use sx_exchange::{Counts, REFUSALS};
use sx_http::{Component, MetricsText, Status};
use sx_io_rtp::PacketThreads;
use sx_net::NetCounters;
use sx_net::tls::TlsConfig;
use sx_store::CdrCounters;

/// Reads what the threads count.
pub struct Watch {
    workers: Vec<(Arc<Counts>, Arc<NetCounters>, Arc<AtomicBool>)>,
    rtp: Arc<PacketThreads>,
    records: Arc<CdrCounters>,
    tls: Option<Arc<TlsConfig>>,
    started: Instant,
    name: Arc<str>,
}

impl Watch {
    /// `name`: what the exchange is called among others.
    pub fn new(
        name: Arc<str>,
        rtp: Arc<PacketThreads>,
        records: Arc<CdrCounters>,
        tls: Option<Arc<TlsConfig>>,
    ) -> Self {
        Self { workers: Vec::new(), rtp, records, tls, started: Instant::now(), name }
    }

    /// A worker to be watched.
    pub fn add(&mut self, counts: Arc<Counts>, net: Arc<NetCounters>, storing: Arc<AtomicBool>) {
        self.workers.push((counts, net, storing));
    }

    fn sum(&self, of: impl Fn(&Counts) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|(counts, _, _)| of(counts).load(Ordering::Relaxed)).sum()
    }

    fn write_sip(&self, out: &mut MetricsText) {
        type Read = fn(&Counts) -> &AtomicU64;
        let counters: [(&str, &str, Read); 12] = [
            ("strowger_sip_messages_received", "SIP messages received.", |c| &c.messages_received),
            ("strowger_sip_messages_sent", "SIP messages sent.", |c| &c.messages_sent),
            ("strowger_sip_requests_relayed", "Requests outside of calls that were passed on and answered.", |c| {
                &c.messages_passed_on
            }),
            ("strowger_sip_requests_retransmitted", "Requests sent again because no answer came.", |c| {
                &c.requests_retransmitted
            }),
            ("strowger_sip_responses_retransmitted", "Responses sent again.", |c| &c.responses_retransmitted),
            ("strowger_calls_begun", "Calls that were admitted.", |c| &c.calls_begun),
            ("strowger_calls_answered", "Calls that were answered.", |c| &c.calls_answered),
            ("strowger_calls_ended", "Calls that have ended.", |c| &c.calls_ended),
            ("strowger_attempts_failed", "Targets that were tried and did not answer.", |c| &c.attempts_failed),
            ("strowger_calls_transferred", "Calls whose party was connected elsewhere.", |c| &c.transfers),
            ("strowger_registrations", "REGISTER requests that were authenticated and answered.", |c| &c.registrations),
            (
                "strowger_registrations_refused",
                "REGISTER requests of authenticated users that the registrar refused.",
                |c| &c.registrations_refused,
            ),
        ];
        for (name, help, read) in counters {
            out.counter(name, "", help).sample(&[], self.sum(read));
        }
        let gauges: [(&str, &str, Read); 4] = [
            ("strowger_calls", "Calls at the moment.", |c| &c.calls),
            ("strowger_legs", "Legs of calls at the moment.", |c| &c.legs),
            ("strowger_bindings", "Registered contacts at the moment.", |c| &c.bindings),
            (
                "strowger_trunks_healthy",
                "Trunks that answer their probes, or are not probed; of the first worker.",
                |c| &c.trunks_healthy,
            ),
        ];
        for (name, help, read) in gauges {
            out.gauge(name, "", help).sample(&[], self.sum(read));
        }
        out.gauge("strowger_sip_transactions", "", "SIP transactions at the moment.")
            .sample(&[("side", "client")], self.sum(|c| &c.client_transactions))
            .sample(&[("side", "server")], self.sum(|c| &c.server_transactions));
        let mut refused = out.counter("strowger_sip_refused", "", "Requests refused or dropped at the edge.");
        for (refusal, label) in REFUSALS {
            refused.sample(&[("reason", label)], self.sum(|c| &c.refused[refusal as usize]));
        }
    }

    fn write_net(&self, out: &mut MetricsText) {
        let rows: Vec<Vec<(&str, &str, u64)>> = self.workers.iter().map(|(_, net, _)| net.rows()).collect();
        let Some(first) = rows.first() else { return };
        let mut at = 0;
        while at < first.len() {
            let name = first[at].0;
            let end = at + first[at..].iter().take_while(|row| row.0 == name).count();
            let total = |place: usize| rows.iter().map(|rows| rows[place].2).sum::<u64>();
            if name == "connections_open" {
                out.gauge("strowger_net_connections_open", "", "Connections at the moment.").sample(&[], total(at));
            } else {
                let mut family =
                    out.counter(&format!("strowger_net_{name}"), "", "Of the signalling sockets, by kind.");
                for (place, row) in first.iter().enumerate().take(end).skip(at) {
                    family.sample(&[("kind", row.1)], total(place));
                }
            }
            at = end;
        }
    }

    fn write_media(&self, out: &mut MetricsText) {
        let totals = self.rtp.totals();
        out.counter("strowger_media_packets", "", "RTP and RTCP packets.")
            .sample(&[("kind", "rtp"), ("direction", "in")], totals.packets_received)
            .sample(&[("kind", "rtp"), ("direction", "out")], totals.packets_sent)
            .sample(&[("kind", "rtcp"), ("direction", "in")], totals.rtcp_received)
            .sample(&[("kind", "rtcp"), ("direction", "out")], totals.rtcp_sent);
        out.counter("strowger_media_packets_rejected", "", "Packets dropped at a media port.")
            .sample(&[("reason", "source")], totals.rejected_source)
            .sample(&[("reason", "format")], totals.rejected_format);
        out.counter("strowger_media_ports_opened", "", "Media ports opened.").sample(&[], totals.opened);
        out.counter("strowger_media_ports_refused", "", "Media ports that could not be opened.")
            .sample(&[], totals.open_failed);
        let mut ports = out.gauge("strowger_media_ports", "", "Pairs of media port numbers by address and state.");
        for pool in totals.pools {
            let address = pool.address.to_string();
            let free = pool.pairs.saturating_sub(pool.in_use + pool.resting);
            ports.sample(&[("address", &address), ("state", "in_use")], pool.in_use as u64);
            ports.sample(&[("address", &address), ("state", "resting")], pool.resting as u64);
            ports.sample(&[("address", &address), ("state", "free")], free as u64);
        }
    }

    fn write_store(&self, out: &mut MetricsText) {
        let journal = &self.records.journal;
        out.counter("strowger_cdr_records", "", "Records of calls written to the journal.")
            .sample(&[], journal.records.load(Ordering::Relaxed));
        out.counter("strowger_cdr_commit_failures", "", "Writes of the journal that the file system refused.")
            .sample(&[], journal.commit_failures.load(Ordering::Relaxed));
        out.gauge("strowger_cdr_fold_lag", "", "Records in the journal that are not in the database yet.")
            .sample(&[], self.records.fold_lag());
        if let Some(expiry) = self.tls.as_ref().map(|tls| tls.not_after()) {
            out.gauge(
                "strowger_tls_certificate_expiry_seconds",
                "seconds",
                "When the first certificate expires, as Unix time.",
            )
            .sample(&[], expiry.as_secs());
        }
        out.gauge("strowger_info", "", "Always 1; its labels say which exchange this is.")
            .sample(&[("name", &self.name), ("version", env!("CARGO_PKG_VERSION"))], 1);
        out.gauge("strowger_uptime_seconds", "seconds", "Since the process started.")
            .sample(&[], self.started.elapsed().as_secs());
    }
}

impl Status for Watch {
    fn ready(&self) -> Vec<Component> {
        let storing = self.workers.iter().all(|(_, _, storing)| storing.load(Ordering::Relaxed));
        let free: usize =
            self.rtp.totals().pools.iter().map(|pool| pool.pairs.saturating_sub(pool.in_use + pool.resting)).sum();
        vec![
            Component { name: "sip".into(), ready: true, detail: format!("{} workers", self.workers.len()) },
            Component {
                name: "store".into(),
                ready: storing,
                detail: if storing { "journals are written".into() } else { "journals cannot be written".into() },
            },
            Component { name: "media".into(), ready: free > 0, detail: format!("{free} pairs of ports are free") },
        ]
    }

    fn metrics(&self, out: &mut MetricsText) {
        self.write_sip(out);
        self.write_net(out);
        self.write_media(out);
        self.write_store(out);
    }
}
