//! Transfer: REFER, its reports, and Replaces.

use super::{Phase, Session, SessionEvent};
use crate::agent::Core;
use crate::message::{
    HeaderName, Message, Method, NameAddr, Params, Writer, elements, is_token, reason_phrase, unescape,
};
use crate::transaction::{Reply, ServerId};
use std::fmt;
use sx_engine::Time;

/// What a REFER asks for.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refer {
    /// The URI to call, without its header part.
    pub to: Box<str>,
    /// The dialog whose place the new call takes.
    pub replaces: Option<Replaces>,
    /// The value of Referred-By.
    pub referred_by: Option<Box<str>>,
}

/// The value of a Replaces header: names a dialog.
//= https://www.rfc-editor.org/rfc/rfc3891#section-3
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: Box<str>,
    /// The tag of the side that receives the header.
    pub to_tag: Box<str>,
    /// The tag of the other side.
    pub from_tag: Box<str>,
    /// Only a dialog that is not answered yet.
    pub early_only: bool,
}

impl Replaces {
    /// Reads the value, already unescaped.
    pub fn parse(value: &str) -> Option<Self> {
        // What was escaped in a URI may be a line end, which would not stay in its line where it is written again.
        if value.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let semicolon = value.find(';')?;
        let params = Params(&value.as_bytes()[semicolon..]);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
        // A tag is a token. A quoted one would hide further parameters, which come to light when it is written again.
        let is_tag = |tag: &&str| !tag.is_empty() && tag.bytes().all(is_token);
        let tag = |name| params.value(name).filter(is_tag).map(Into::into);
        Some(Self {
            call_id: value[..semicolon].trim().into(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.has("early-only"),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        f.write_str(if self.early_only { ";early-only" } else { "" })
    }
}

impl Session {
    /// A REFER has come.
    pub(crate) fn receive_refer<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        request: &Message<B>,
    ) {
        let refer = refer_of(request);
        let status = match (&refer, &self.phase) {
            (None, _) => 400,
            (Some(_), Phase::Established { .. }) if self.refer.is_none() => 202,
            (Some(_), _) => 491,
        };
        let contact = &self.dialog.contact;
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Contact, format_args!("{contact}"));
        };
        core.transactions.respond(server, &Reply { status, headers: Some(&headers), ..Reply::default() }, now);
        if let (202, Some(refer)) = (status, refer) {
            self.refer = request.number(HeaderName::CSeq);
            self.emit(core, SessionEvent::Refer(refer));
        }
    }

    /// Reports how the transfer goes that the peer's REFER asked for. A status of 200 or more is the last report.
    pub fn report(&mut self, core: &mut Core, now: Time, status: u16) {
        let Some(seq) = self.refer else { return };
        if matches!(self.phase, Phase::Closing | Phase::Gone) {
            return;
        }
        let state = if status >= 200 { "terminated;reason=noresource" } else { "active;expires=180" };
        let headers = move |writer: &mut Writer| {
            writer.header(HeaderName::Event, format_args!("refer;id={seq}"));
            writer.header(HeaderName::SubscriptionState, format_args!("{state}"));
        };
        let fragment = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
        self.send(core, now, Method::Notify, &headers, Some(("message/sipfrag;version=2.0", fragment.as_bytes())));
        if status >= 200 {
            self.refer = None;
        }
    }

    /// Asks the peer to call somebody else.
    pub fn refer(&mut self, core: &mut Core, now: Time, to: &str) {
        if matches!(self.phase, Phase::Established { .. }) {
            let from = self.dialog.local.split(";tag=").next().unwrap_or_default().to_owned();
            let headers = |writer: &mut Writer| {
                writer.header(HeaderName::ReferTo, format_args!("<{to}>"));
                writer.header(HeaderName::ReferredBy, format_args!("{from}"));
            };
            self.send(core, now, Method::Refer, &headers, None);
        }
    }

    /// A NOTIFY has come: a report on our REFER.
    pub(crate) fn receive_notify<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        request: &Message<B>,
    ) {
        let event = request.text(HeaderName::Event).unwrap_or_default();
        let known = event.split(';').next().is_some_and(|package| package.trim().eq_ignore_ascii_case("refer"));
        let status = if known { 200 } else { 489 };
        core.transactions.respond(server, &Reply { status, ..Reply::default() }, now);
        let fragment = String::from_utf8_lossy(request.body());
        let reported = fragment.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        if let Some(status) = reported.filter(|_| known) {
            self.emit(core, SessionEvent::Report { status });
        }
    }
}

fn refer_of<B: AsRef<[u8]>>(request: &Message<B>) -> Option<Refer> {
    let mut values = request.values(HeaderName::ReferTo).flat_map(elements);
    let address = NameAddr::parse(values.next()?).ok()?;
    if values.next().is_some() {
        return None;
    }
    let replaces = address.uri.headers.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then(|| Replaces::parse(&unescape(value)))?
    });
    // The header part is the last: a question mark may stand in the user part too.
    let to = address.uri.text.strip_suffix(address.uri.headers).unwrap_or(address.uri.text);
    let to = to.strip_suffix('?').unwrap_or(to);
    Some(Refer { to: to.into(), replaces, referred_by: request.text(HeaderName::ReferredBy).map(Into::into) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_dialog_reads_back_as_it_is_written() {
        for text in ["a@b;to-tag=1;from-tag=2", "a@b;to-tag=1;from-tag=2;early-only"] {
            assert_eq!(Replaces::parse(text).expect("a name").to_string(), text);
        }
        assert_eq!(Replaces::parse("a@b;from-tag=2;to-tag=1").expect("a name").to_string(), "a@b;to-tag=1;from-tag=2");
    }

    #[test]
    fn a_line_end_that_was_escaped_does_not_become_a_header() {
        for text in ["a\r\nRoute: <sip:x>;to-tag=1;from-tag=2", "a;to-tag=1\n;from-tag=2", "a;to-tag=1;from-tag=\r2"] {
            assert_eq!(Replaces::parse(text), None);
        }
    }

    #[test]
    fn a_tag_hides_no_further_parameters() {
        for text in [r#"a;to-tag=1;from-tag="2;by=75""#, r#"a;to-tag="1 ";from-tag=2"#, "a;to-tag=;from-tag=2"] {
            assert_eq!(Replaces::parse(text), None, "{text}");
        }
    }
}
