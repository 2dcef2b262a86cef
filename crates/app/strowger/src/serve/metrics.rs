//! What probes and scrapers are told.

use super::anchor::{AnchoringCounts, write_anchoring};
use super::clock::Clock;
use super::escalation_metrics::write_escalations;
use super::mailbox::Mailbox;
use super::management::Live;
use super::media_metrics::{write_busy, write_totals};
use super::ng::NgCounts;
use super::parts::EscalationParts;
use super::recordings::RecordingCounts;
use super::trust_metrics::{write_layers, write_witness};
use super::vitals::Vitals;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use sx_engine::Time;
use sx_exchange::{Counts, LayerCounts, REFUSALS};
use sx_http::{Component, MetricsText, Status};
use sx_io_rtp::PacketThreads;
use sx_net::NetCounters;
use sx_net::tls::TlsConfig;
use sx_store::{CdrCounters, JournalCounters, KeyedCounters, WitnessLog};

/// Reads what the threads count.
pub struct Watch {
    clock: Clock,
    workers: Vec<Watched>,
    rtp: Arc<PacketThreads>,
    records: Arc<CdrCounters>,
    expiry: Arc<CertificateExpiry>,
    witness: WitnessLog,
    layers: Vec<Arc<LayerCounts>>,
    anchoring: Option<Arc<AnchoringCounts>>,
    ng: Option<Arc<NgCounts>>,
    recordings: Arc<RecordingCounts>,
    escalation: Option<EscalationParts>,
    live: Arc<Live>,
    started: Instant,
    name: Arc<str>,
}

/// When the first of our certificates expires, which a reload may change.
#[derive(Debug)]
pub struct CertificateExpiry(Mutex<Option<Time>>);

impl CertificateExpiry {
    /// Of the certificates that are shown at the start.
    pub fn of(tls: Option<&TlsConfig>) -> Self {
        Self(Mutex::new(tls.and_then(TlsConfig::not_after)))
    }

    /// These certificates are shown from now on.
    pub fn set(&self, tls: &TlsConfig) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tls.not_after();
    }

    fn time(&self) -> Option<Time> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is read of one worker.
pub struct Watched {
    counts: Arc<Counts>,
    net: Arc<NetCounters>,
    bindings: Arc<KeyedCounters>,
    vitals: Arc<Vitals>,
    mailbox: Mailbox,
}

impl Watched {
    pub fn new(
        counts: Arc<Counts>,
        net: Arc<NetCounters>,
        bindings: Arc<KeyedCounters>,
        vitals: Arc<Vitals>,
        mailbox: Mailbox,
    ) -> Self {
        Self { counts, net, bindings, vitals, mailbox }
    }
}

impl Watch {
    /// `name`: what the exchange is called among others.
    pub fn new(
        name: Arc<str>,
        clock: Clock,
        rtp: Arc<PacketThreads>,
        records: Arc<CdrCounters>,
        expiry: Arc<CertificateExpiry>,
        witness: WitnessLog,
        live: Arc<Live>,
    ) -> Self {
        let (workers, layers, anchoring, ng, started) = (Vec::new(), Vec::new(), None, None, Instant::now());
        let (recordings, escalation) = (Arc::default(), None);
        Self {
            clock,
            workers,
            rtp,
            records,
            expiry,
            witness,
            layers,
            anchoring,
            ng,
            recordings,
            escalation,
            live,
            started,
            name,
        }
    }

    /// What shows checkpoints elsewhere.
    pub fn set_anchoring(&mut self, counts: Arc<AnchoringCounts>) {
        self.anchoring = Some(counts);
    }

    /// What proxies use the media ports with.
    pub fn set_ng(&mut self, counts: Arc<NgCounts>) {
        self.ng = Some(counts);
    }

    /// What escalations need besides calls.
    pub fn set_escalation(&mut self, parts: EscalationParts) {
        self.escalation = Some(parts);
    }

    /// Who makes recordings.
    pub fn set_recordings(&mut self, counts: Arc<RecordingCounts>) {
        self.recordings = counts;
    }

    /// The layers of a worker.
    pub fn add_layers(&mut self, layers: Arc<LayerCounts>) {
        self.layers.push(layers);
    }

    /// A worker to be watched.
    pub fn add(&mut self, worker: Watched) {
        self.workers.push(worker);
    }

    fn sum(&self, of: impl Fn(&Counts) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|worker| of(&worker.counts).load(Ordering::Relaxed)).sum()
    }

    fn write_sip(&self, out: &mut MetricsText) {
        type Read = fn(&Counts) -> &AtomicU64;
        let counters: [(&str, &str, Read); 16] = [
            ("strowger_sip_messages_received", "SIP messages received.", |c| &c.messages_received),
            ("strowger_sip_messages_sent", "SIP messages sent.", |c| &c.messages_sent),
            (
                "strowger_sip_messages_to_workers",
                "SIP messages that landed on one worker and were passed on to another.",
                |c| &c.messages_to_workers,
            ),
            ("strowger_sip_requests_relayed", "Requests outside of calls that were passed on and answered.", |c| {
                &c.messages_passed_on
            }),
            ("strowger_sip_requests_retransmitted", "Requests sent again because no answer came.", |c| {
                &c.requests_retransmitted
            }),
            ("strowger_sip_responses_retransmitted", "Responses sent again.", |c| &c.responses_retransmitted),
            ("strowger_sip_answers_unwanted", "Answers that nobody waited for any more, which were hung up.", |c| {
                &c.answers_unwanted
            }),
            ("strowger_sip_invites_forgotten", "INVITEs that were too many to be kept for a late answer.", |c| {
                &c.invites_forgotten
            }),
            ("strowger_calls_begun", "Calls that were admitted.", |c| &c.calls_begun),
            ("strowger_calls_answered", "Calls that were answered.", |c| &c.calls_answered),
            ("strowger_calls_ended", "Calls that have ended.", |c| &c.calls_ended),
            ("strowger_attempts_failed", "Targets that were tried and did not answer.", |c| &c.attempts_failed),
            ("strowger_call_keys_dropped", "Keys that parties of a call pressed faster than anybody can.", |c| {
                &c.keys_dropped
            }),
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
        let gauges: [(&str, &str, Read); 3] = [
            ("strowger_calls", "Calls at the moment.", |c| &c.calls),
            ("strowger_legs", "Legs of calls at the moment.", |c| &c.legs),
            ("strowger_bindings", "Registered contacts at the moment.", |c| &c.bindings),
        ];
        for (name, help, read) in gauges {
            out.gauge(name, "", help).sample(&[], self.sum(read));
        }
        // Every worker knows of every trunk, so that one of them says how many there are.
        let healthy = self.workers.first().map_or(0, |worker| worker.counts.trunks_healthy.load(Ordering::Relaxed));
        out.gauge("strowger_trunks_healthy", "", "Trunks that answer their probes, or are not probed.")
            .sample(&[], healthy);
        out.gauge("strowger_sip_transactions", "", "SIP transactions at the moment.")
            .sample(&[("side", "client")], self.sum(|c| &c.client_transactions))
            .sample(&[("side", "server")], self.sum(|c| &c.server_transactions));
        let mut refused = out.counter("strowger_sip_refused", "", "Requests refused or dropped at the edge.");
        for (refusal, label) in REFUSALS {
            refused.sample(&[("reason", label)], self.sum(|c| &c.refused[refusal as usize]));
        }
    }

    fn write_rooms(&self, out: &mut MetricsText) {
        let mut members = out.gauge("strowger_room_members", "", "Members of each room at the moment.");
        for room in self.live.tables().routes.rooms() {
            members.sample(&[("room", &room.name)], u64::from(room.members.count()));
        }
    }

    fn write_net(&self, out: &mut MetricsText) {
        out.counter(
            "strowger_worker_messages_dropped",
            "",
            "Messages from one worker to another that found no room in its mailbox.",
        )
        .sample(&[], self.workers.iter().map(|worker| worker.mailbox.dropped()).sum::<u64>());
        let rows: Vec<Vec<(&str, &str, u64)>> = self.workers.iter().map(|worker| worker.net.rows()).collect();
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
        write_busy(out, &totals);
        write_totals(out, totals);
    }

    fn write_store(&self, out: &mut MetricsText) {
        write_journals(out, &self.records, &self.workers.iter().map(|worker| &*worker.bindings).collect::<Vec<_>>());
        out.counter(
            "strowger_cdr_purged",
            "",
            "Calls whose records were removed because they had been kept long enough.",
        )
        .sample(&[], self.records.calls_purged.load(Ordering::Relaxed));
        if let Some(expiry) = self.expiry.time() {
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
        let free =
            self.rtp.totals().pools.iter().map(|pool| pool.pairs.saturating_sub(pool.in_use + pool.resting)).sum();
        let now = self.clock.now();
        // A worker that the disk holds cannot say so itself.
        let witnessing = !self.witness.look(now);
        components(now, self.workers.iter().map(|worker| &*worker.vitals), free, witnessing)
    }

    fn metrics(&self, out: &mut MetricsText) {
        self.write_sip(out);
        self.write_rooms(out);
        self.write_net(out);
        self.write_media(out);
        self.write_store(out);
        let counts: Vec<_> = self.workers.iter().map(|worker| worker.counts.clone()).collect();
        write_escalations(out, &counts);
        write_layers(out, &self.layers);
        write_witness(out, &self.witness, self.clock.now());
        self.recordings.write(out);
        self.escalation.iter().for_each(|parts| parts.write(out));
        self.live.write(out);
        if let Some(ng) = &self.ng {
            ng.write(out);
        }
        if let Some(anchoring) = &self.anchoring {
            write_anchoring(out, anchoring, &self.witness, self.clock.now());
        }
    }
}

/// What the journals and the database of calls have counted.
fn write_journals(out: &mut MetricsText, cdr: &CdrCounters, bindings: &[&KeyedCounters]) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    out.counter("strowger_cdr_records", "", "Records of calls written to the journal.")
        .sample(&[], read(&cdr.journal.records));
    out.counter("strowger_cdr_commit_failures", "", "Writes of the journal that the file system refused.")
        .sample(&[], read(&cdr.journal.commit_failures));
    out.gauge("strowger_cdr_fold_lag", "", "Records in the journal that are not in the database yet.")
        .sample(&[], cdr.fold_lag());
    type Read = fn(&JournalCounters) -> &AtomicU64;
    let counters: [(&str, &str, Read); 4] = [
        ("strowger_journal_records_refused", "Records that found no room while the disk took nothing: lost.", |c| {
            &c.refused
        }),
        ("strowger_journal_records_damaged", "Records that could not be read back: lost.", |c| &c.damaged),
        ("strowger_journal_torn_tails", "Journals that ended in the middle of a record.", |c| &c.torn_tails),
        ("strowger_journal_sync_failures", "Syncs that the disk refused.", |c| &c.sync_failures),
    ];
    for (name, help, of) in counters {
        out.counter(name, "", help)
            .sample(&[("journal", "calls")], read(of(&cdr.journal)))
            .sample(&[("journal", "bindings")], bindings.iter().map(|log| read(of(&log.journal))).sum::<u64>());
    }
    out.counter("strowger_cdr_fold_failures", "", "Failures to take records from the journal into the database.")
        .sample(&[], read(&cdr.fold_failures));
    out.counter("strowger_cdr_calls_cut_off", "", "Calls that were alive when an earlier run died.")
        .sample(&[], read(&cdr.calls_cut_off));
    out.counter("strowger_cdr_segments", "", "Segments of the journal that were taken into the database, by fate.")
        .sample(&[("fate", "removed")], read(&cdr.segments_removed))
        .sample(&[("fate", "set_aside")], read(&cdr.segments_set_aside));
    let sum = |of: fn(&KeyedCounters) -> &AtomicU64| bindings.iter().map(|log| read(of(log))).sum::<u64>();
    out.counter("strowger_bindings_compactions", "", "Snapshots of bindings, by result.")
        .sample(&[("result", "written")], sum(|log| &log.compactions))
        .sample(&[("result", "failed")], sum(|log| &log.compaction_failures));
}

/// May calls come, as far as the workers and the ports for media are concerned?
fn components<'a>(
    now: Time,
    workers: impl Iterator<Item = &'a Vitals>,
    ports_free: usize,
    mut witnessing: bool,
) -> Vec<Component> {
    let (mut all, mut turning, mut storing, mut draining) = (0, 0, true, false);
    for worker in workers {
        all += 1;
        turning += usize::from(worker.turns(now));
        storing &= worker.storing();
        witnessing &= worker.witnessing();
        draining |= worker.draining();
    }
    let component = |name: &str, ready, detail: &str| Component { name: name.into(), ready, detail: detail.into() };
    vec![
        component("sip", turning == all, &format!("{turning} of {all} workers take turns")),
        component("store", storing, if storing { "journals are written" } else { "journals cannot be written" }),
        component(
            "witness",
            witnessing,
            if witnessing { "the witness log is written" } else { "the witness log cannot be written" },
        ),
        component("media", ports_free > 0, &format!("{ports_free} pairs of ports are free")),
        component("drain", !draining, if draining { "no new calls are taken" } else { "new calls are taken" }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The components that are not ready, of two workers of which one has changed.
    fn unready(change: impl Fn(&Vitals), later: Duration) -> Vec<String> {
        let now = Time::from_secs(1_000);
        let workers = [Vitals::new(now), Vitals::new(now)];
        workers[0].turn(now + later);
        change(&workers[1]);
        let components = components(now + later, workers.iter(), 1, true);
        components.into_iter().filter(|component| !component.ready).map(|component| component.name).collect()
    }

    /// Each of these counts something else, so that no two can be taken for each other.
    #[test]
    fn everything_that_is_counted_is_shown() {
        let next = std::cell::Cell::new(100);
        let set = |counter: &AtomicU64| {
            next.set(next.get() + 1);
            counter.store(next.get(), Ordering::Relaxed);
        };
        let (cdr, bindings) = (CdrCounters::default(), KeyedCounters::default());
        for journal in [&cdr.journal, &bindings.journal] {
            [&journal.refused, &journal.damaged, &journal.torn_tails, &journal.sync_failures].into_iter().for_each(set);
        }
        [&cdr.fold_failures, &cdr.calls_cut_off, &cdr.segments_removed, &cdr.segments_set_aside]
            .into_iter()
            .for_each(set);
        [&bindings.compactions, &bindings.compaction_failures].into_iter().for_each(set);
        let mut out = MetricsText::default();
        write_journals(&mut out, &cdr, &[&bindings]);
        let text = out.finish();
        for value in 101..=next.get() {
            assert_eq!(text.lines().filter(|line| line.ends_with(&format!(" {value}"))).count(), 1, "{value}: {text}");
        }
    }

    #[test]
    fn readiness_tells_a_worker_that_is_stuck_a_full_disk_and_a_drain() {
        let soon = Duration::from_secs(1);
        assert!(unready(|_| {}, soon).is_empty());
        assert_eq!(unready(|_| {}, Duration::from_secs(60)), ["sip"]);
        assert_eq!(unready(|worker| worker.set_storing(false), soon), ["store"]);
        assert_eq!(unready(|worker| worker.set_witnessing(false), soon), ["witness"]);
        assert_eq!(unready(|worker| worker.set_draining(true), soon), ["drain"]);
    }
}
