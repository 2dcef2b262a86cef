//! SIP: messages, transactions, dialogs, INVITE sessions, registration and digest, without any I/O.
//!
//! This crate deliberately knows no socket, no clock and no call: it is handed messages with the time and the flow they
//! came along, and hands back what to send and what has happened. From the bottom up:
//!
//! | module | what it is |
//! | --- | --- |
//! | [`message`] | parsing without copying, checking, strict writing |
//! | [`transaction`] | retransmission, matching and timers |
//! | [`frame`] | finding messages in a byte stream |
//! | [`registrar`] | where users are, and REGISTER |
//!
//! ```
//! use sx_sip::message::{HeaderName, Message};
//! let message = Message::parse(&b"SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n"[..]).expect("well formed");
//! assert_eq!(message.status(), Some(486));
//! ```

pub mod agent;
mod challenges;
pub mod dialog;
pub mod digest;
pub mod frame;
pub mod local;
pub mod message;
pub mod registrar;
pub mod session;
pub mod transaction;
