//! A call's media plan: which ports face which party, what is patched to what, and how descriptions are rewritten.
//!
//! The plan is made here; packets never are. [`MediaCommand`]s program the packet threads, [`MediaEvent`]s come back.
//! This crate deliberately knows no socket, no packet and no signalling protocol.

mod command;

pub use command::{
    Closed, Latch, MediaCommand, MediaEvent, OpenError, Opened, PortId, PortStats, Remote, TrafficClass,
};
