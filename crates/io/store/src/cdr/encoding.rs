//! A call record as bytes: what a worker thread writes for each call, so it is small and quick to make.
//!
//! Every record begins with a head that can be read without the rest: the version of the encoding, the kind of
//! record, the call (zero when it is of none) and the time. Integers after the head are LEB128; texts have their length before them; an
//! optional value has a byte 0 or 1 before it; times count from the start of the call, wrapping, since they come
//! after it and soon.

use super::port_numbers::{STATS, stats_from, stats_numbers};
use std::sync::Arc;
use sx_call::{Attempt, CallRecord, CallRecording, Cdr, Ender, RecordingFile};
use sx_leg::{Address, Source};
use sx_media::PortStats;
use sx_types::{CallId, Cause, Codec, TraceId};

const VERSION: u8 = 3;
const HEAD_BYTES: usize = 26;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Begun = 1,
    Answered = 2,
    Ended = 3,
    Alive = 4,
    Moved = 5,
    Recorded = 6,
}

/// What can be said of a record without decoding the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) call: CallId,
    /// When the record was made, in nanoseconds since the Unix epoch.
    pub(crate) at: u64,
}

/// How many numbers a port has in each version that is read: first those of packets, then what was coded anew, then quality.
const fn counted_in(version: u8) -> Option<usize> {
    match version {
        1 => Some(11),
        2 => Some(13),
        VERSION => Some(STATS),
        _ => None,
    }
}

/// The bytes are no call record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a call record of version {VERSION}, or one before")]
pub(crate) struct Malformed;

pub(crate) fn encode(record: &CallRecord, out: &mut Vec<u8>) {
    match record {
        CallRecord::Begun(cdr) => {
            head(out, Kind::Begun, cdr.call, cdr.start);
            put_cdr(out, cdr);
        }
        CallRecord::Answered { call, at, by } => {
            head(out, Kind::Answered, *call, *at);
            put_text(out, by);
        }
        CallRecord::Ended(cdr) => {
            head(out, Kind::Ended, cdr.call, cdr.end);
            put_cdr(out, cdr);
        }
        CallRecord::Moved { call, at } => head(out, Kind::Moved, *call, *at),
        CallRecord::Recorded(recording) => {
            head(out, Kind::Recorded, recording.call, recording.at);
            put_recording(out, recording);
        }
        CallRecord::Alive { at } => head(out, Kind::Alive, CallId::from_u128(0), *at),
    }
}

/// The head of a record.
pub(crate) fn peek(bytes: &[u8]) -> Result<Head, Malformed> {
    Cursor(bytes).head()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<CallRecord, Malformed> {
    let mut cursor = Cursor(bytes);
    let Head { kind, call, at } = cursor.head()?;
    let counted = bytes.first().copied().and_then(counted_in).ok_or(Malformed)?;
    let record = match kind {
        Kind::Begun => CallRecord::Begun(Box::new(cursor.cdr(call, counted)?)),
        Kind::Answered => CallRecord::Answered { call, at, by: cursor.text()?.into() },
        Kind::Ended => CallRecord::Ended(Box::new(cursor.cdr(call, counted)?)),
        Kind::Moved => CallRecord::Moved { call, at },
        Kind::Recorded => CallRecord::Recorded(Box::new(cursor.recording(call, at)?)),
        Kind::Alive if call.as_u128() == 0 => CallRecord::Alive { at },
        Kind::Alive => return Err(Malformed),
    };
    if cursor.0.is_empty() { Ok(record) } else { Err(Malformed) }
}

fn head(out: &mut Vec<u8>, kind: Kind, call: CallId, at: u64) {
    out.extend_from_slice(&[VERSION, kind as u8]);
    out.extend_from_slice(&call.as_u128().to_be_bytes());
    out.extend_from_slice(&at.to_le_bytes());
}

fn put_cdr(out: &mut Vec<u8>, cdr: &Cdr) {
    // Taken apart in full, so that a new field cannot be forgotten here.
    let Cdr {
        call: _,
        trace,
        source,
        caller,
        dialled,
        start,
        ring,
        answer,
        end,
        cause,
        status,
        ended_by,
        attempts,
        codec,
        caller_media,
        called_media,
    } = cdr;
    out.extend_from_slice(&trace.as_u128().to_be_bytes());
    put_source(out, source);
    put_address(out, caller);
    put_address(out, dialled);
    out.extend_from_slice(&start.to_le_bytes());
    put_time_option(out, *start, *ring);
    put_time_option(out, *start, *answer);
    put_number(out, end.wrapping_sub(*start));
    out.push(cause.0);
    put_number(out, (*status).into());
    out.push(match ended_by {
        Ender::Party => 1,
        Ender::Exchange => 2,
        Ender::Failure => 3,
        Ender::Caller => 4,
        Ender::Called => 5,
        Ender::Operator => 6,
        Ender::Timer => 7,
        Ender::Process => 8,
    });
    put_number(out, attempts.len() as u64);
    for attempt in attempts {
        put_attempt(out, *start, attempt);
    }
    // By name: the order of the codecs in their list is nobody's promise.
    put_text(out, codec.map_or("", Codec::name));
    for media in [caller_media, called_media] {
        out.push(u8::from(media.is_some()));
        media.iter().flat_map(stats_numbers).for_each(|number| put_number(out, number));
    }
}

fn put_recording(out: &mut Vec<u8>, recording: &CallRecording) {
    let CallRecording { call: _, number, at: _, complete, files } = recording;
    out.extend_from_slice(&[*number, u8::from(*complete)]);
    put_number(out, files.len() as u64);
    for RecordingFile { name, bytes, sha256 } in files {
        put_text(out, name);
        put_number(out, *bytes);
        out.extend_from_slice(sha256);
    }
}

fn put_attempt(out: &mut Vec<u8>, base: u64, attempt: &Attempt) {
    let Attempt { target, routed, start, ring, answer, end, cause, status } = attempt;
    put_text(out, target);
    put_address(out, routed);
    put_number(out, start.wrapping_sub(base));
    put_time_option(out, base, *ring);
    put_time_option(out, base, *answer);
    put_number(out, end.wrapping_sub(base));
    out.push(cause.0);
    put_number(out, (*status).into());
}

fn put_source(out: &mut Vec<u8>, source: &Source) {
    match source {
        Source::User(address) => {
            out.push(1);
            put_address(out, address);
        }
        Source::Trunk(name) => {
            out.push(2);
            put_text(out, name);
        }
        Source::Exchange => out.push(3),
    }
}

fn put_address(out: &mut Vec<u8>, address: &Address) {
    put_text(out, &address.user);
    put_text(out, &address.domain);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_time_option(out: &mut Vec<u8>, base: u64, time: Option<u64>) {
    out.push(u8::from(time.is_some()));
    if let Some(time) = time {
        put_number(out, time.wrapping_sub(base));
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed)
    }

    fn address(&mut self) -> Result<Address, Malformed> {
        Ok(Address { user: self.text()?.into(), domain: self.text()?.into() })
    }

    fn time(&mut self, base: u64) -> Result<u64, Malformed> {
        Ok(base.wrapping_add(self.number()?))
    }

    fn time_option(&mut self, base: u64) -> Result<Option<u64>, Malformed> {
        if self.flag()? { self.time(base).map(Some) } else { Ok(None) }
    }

    fn status(&mut self) -> Result<u16, Malformed> {
        self.number()?.try_into().map_err(|_| Malformed)
    }

    fn head(&mut self) -> Result<Head, Malformed> {
        let whole: [u8; HEAD_BYTES] = self.take()?;
        let mut head = Cursor(&whole);
        counted_in(head.byte()?).ok_or(Malformed)?;
        let kind = match head.byte()? {
            1 => Kind::Begun,
            2 => Kind::Answered,
            3 => Kind::Ended,
            4 => Kind::Alive,
            5 => Kind::Moved,
            6 => Kind::Recorded,
            _ => return Err(Malformed),
        };
        let call = CallId::from_u128(u128::from_be_bytes(head.take()?));
        Ok(Head { kind, call, at: u64::from_le_bytes(head.take()?) })
    }

    fn source(&mut self) -> Result<Source, Malformed> {
        match self.byte()? {
            1 => Ok(Source::User(self.address()?)),
            2 => Ok(Source::Trunk(Arc::from(self.text()?))),
            3 => Ok(Source::Exchange),
            _ => Err(Malformed),
        }
    }

    fn ended_by(&mut self) -> Result<Ender, Malformed> {
        match self.byte()? {
            1 => Ok(Ender::Party),
            2 => Ok(Ender::Exchange),
            3 => Ok(Ender::Failure),
            4 => Ok(Ender::Caller),
            5 => Ok(Ender::Called),
            6 => Ok(Ender::Operator),
            7 => Ok(Ender::Timer),
            8 => Ok(Ender::Process),
            _ => Err(Malformed),
        }
    }

    fn attempts(&mut self, base: u64) -> Result<Vec<Attempt>, Malformed> {
        let count = self.number()?;
        // Grown as attempts are found, since the count alone is no promise.
        let mut attempts = Vec::new();
        for _ in 0..count {
            attempts.push(Attempt {
                target: Arc::from(self.text()?),
                routed: self.address()?,
                start: self.time(base)?,
                ring: self.time_option(base)?,
                answer: self.time_option(base)?,
                end: self.time(base)?,
                cause: Cause(self.byte()?),
                status: self.status()?,
            });
        }
        Ok(attempts)
    }

    fn recording(&mut self, call: CallId, at: u64) -> Result<CallRecording, Malformed> {
        let (number, complete, count) = (self.byte()?, self.flag()?, self.number()?);
        let mut files = Vec::new();
        for _ in 0..count {
            files.push(RecordingFile { name: self.text()?.into(), bytes: self.number()?, sha256: self.take()? });
        }
        Ok(CallRecording { call, number, at, complete, files })
    }

    fn codec(&mut self) -> Result<Option<Codec>, Malformed> {
        match self.text()? {
            "" => Ok(None),
            name => Codec::from_name(name).ok_or(Malformed).map(Some),
        }
    }

    /// What a port has counted, of which so many numbers are there.
    fn stats(&mut self, counted: usize) -> Result<Option<PortStats>, Malformed> {
        if !self.flag()? {
            return Ok(None);
        }
        let mut numbers = [0; STATS];
        for number in &mut numbers[..counted] {
            *number = self.number()?;
        }
        stats_from(numbers).ok_or(Malformed).map(Some)
    }

    /// Fields in the order they were written in, which the order of evaluation keeps to.
    fn cdr(&mut self, call: CallId, counted: usize) -> Result<Cdr, Malformed> {
        let trace = TraceId::from_u128(u128::from_be_bytes(self.take()?));
        let (source, caller, dialled) = (self.source()?, self.address()?, self.address()?);
        let start = u64::from_le_bytes(self.take()?);
        Ok(Cdr {
            call,
            trace,
            source,
            caller,
            dialled,
            start,
            ring: self.time_option(start)?,
            answer: self.time_option(start)?,
            end: self.time(start)?,
            cause: Cause(self.byte()?),
            status: self.status()?,
            ended_by: self.ended_by()?,
            attempts: self.attempts(start)?,
            codec: self.codec()?,
            caller_media: self.stats(counted)?,
            called_media: self.stats(counted)?,
        })
    }
}
