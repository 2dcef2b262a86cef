//! The witness log of a bench: every record as it would stand there.

use super::Bench;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use sx_engine::Engine as _;
use sx_exchange::Input;
use sx_sip::message::HeaderName;
use sx_witness::Chain;

/// What has become of the records, and what the disk does.
#[derive(Default)]
pub struct Log {
    chain: Chain,
    /// Every record, in order.
    pub records: Vec<Value>,
    /// Nothing becomes durable.
    pub waits: bool,
    /// Nothing can be written.
    pub fails: bool,
    /// Not even the log's buffer has room.
    pub takes_nothing: bool,
    /// The log as it is on the disk,
    durable: Vec<u8>,
    /// what a write is about to add to it, up to so many records of the first worker,
    flying: Vec<u8>,
    flying_made: u64,
    /// and what waits for the next.
    waiting: Vec<u8>,
}

impl Log {
    fn begin_write(&mut self, made: u64) {
        self.flying = std::mem::take(&mut self.waiting);
        self.flying_made = made;
    }
}

impl Bench {
    /// Takes what a worker wants recorded, and tells it what is durable.
    pub(super) fn take_records(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        if self.log.takes_nothing {
            return;
        }
        if !worker.witnessed().is_empty() {
            let (mut lines, mut index) = (Vec::new(), Vec::new());
            self.log.chain.append(worker.witnessed(), &mut lines, &mut index);
            worker.witnessed().clear();
            self.log.waiting.extend_from_slice(&lines);
            if self.log.flying.is_empty() {
                self.log.begin_write(self.workers[0].records_made());
            }
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let mut record: Value = serde_json::from_slice(line).expect("JSON");
                let members = record.as_object_mut().expect("an object");
                for name in ["seq", "prev_hash", "time", "node"] {
                    members.remove(name).expect("every record has it");
                }
                self.log.records.push(record);
            }
        }
        if !self.log.waits {
            self.tell_durable(number);
        }
    }

    /// The write that is under way has reached the disk, and the next begins.
    pub fn write_ends(&mut self) {
        let flying = std::mem::take(&mut self.log.flying);
        self.log.durable.extend_from_slice(&flying);
        let durable = self.log.flying_made;
        self.log.begin_write(self.workers[0].records_made());
        self.tell(0, Input::Witnessed { durable, failing: false });
    }

    /// What is on the disk, and what a write that is under way adds to it.
    pub fn log_image(&self) -> (Vec<u8>, Vec<u8>) {
        (self.log.durable.clone(), self.log.flying.clone())
    }

    /// Whom those callers dialled who have had a 200.
    pub fn answered_numbers(&self) -> BTreeSet<String> {
        let told = |line: &&super::Line| {
            let text = line.text();
            line.from == super::address(super::EXCHANGE)
                && text.starts_with("SIP/2.0 200")
                && text.contains(" INVITE\r\n")
        };
        let number = |line: &super::Line| {
            let to = super::value(&line.message(), HeaderName::To);
            Some(to.split_once("sip:")?.1.split_once('@')?.0.to_owned())
        };
        self.lines.iter().filter(told).filter_map(number).collect()
    }

    fn tell_durable(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        if worker.waits_for_records() {
            let durable = worker.records_made();
            worker.handle_input(self.now, Input::Witnessed { durable, failing: self.log.fails });
        }
    }

    /// The disk can, or cannot, be written.
    pub fn disk_fails(&mut self, failing: bool) {
        self.log.fails = failing;
        for number in 0..self.workers.len() {
            let durable = if failing { 0 } else { self.workers[number].records_made() };
            self.tell(number, Input::Witnessed { durable, failing });
        }
    }

    /// The exchange ends in order.
    pub fn finish(&mut self) {
        for number in 0..self.workers.len() {
            self.workers[number].finish(self.now);
            self.take_records(number);
        }
    }

    /// Every worker follows another policy from now on.
    pub fn follow_policy(&mut self, policy: Arc<sx_guard::Policy>) {
        let tables =
            Arc::into_inner(super::tables_of(&self.config, Some(&self.tables))).expect("nobody else has it yet");
        self.tables = Arc::new(tables.with_policy(policy));
        for worker in 0..self.workers.len() {
            let tables = self.tables.clone();
            self.tell(worker, Input::Tables(tables));
        }
    }

    /// The records of this kind.
    pub fn recorded(&self, kind: &str) -> Vec<&Value> {
        self.log.records.iter().filter(|record| record["kind"] == kind).collect()
    }

    /// The last record of this kind.
    pub fn last_recorded(&self, kind: &str) -> Value {
        self.recorded(kind).last().map(|record| (*record).clone()).unwrap_or(Value::Null)
    }
}
