//! The witness log of a bench: every record as it would stand there.

use super::Bench;
use serde_json::Value;
use std::sync::Arc;
use sx_engine::Engine as _;
use sx_exchange::Input;
use sx_witness::{Chain, Hash};

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
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let mut record: Value = serde_json::from_slice(line).expect("JSON");
                let members = record.as_object_mut().expect("an object");
                ["seq", "prev_hash", "time", "node"].map(|name| members.remove(name).expect("there"));
                self.log.records.push(record);
            }
        }
        if !self.log.waits {
            self.tell_durable(number);
        }
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

    /// Every worker follows another policy from now on.
    pub fn follow_policy(&mut self, policy: Arc<sx_guard::Policy>) {
        let tables = Arc::into_inner(super::tables_of(&self.config, Some(&self.tables))).expect("nobody else has it yet");
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

    /// The hash of the last record.
    pub fn last_hash(&self) -> Hash {
        self.log.chain.last()
    }
}
