//! Why a session ended, as the Reason header says it.

use crate::message::{HeaderName, Message, Params, Writer};
use sx_types::Cause;

/// The Q.850 cause of a message's Reason header.
pub(crate) fn q850_of<B: AsRef<[u8]>>(message: &Message<B>) -> Option<u8> {
    let element =
        message.elements(HeaderName::Reason).find(|e| e.len() > 5 && e[..5].eq_ignore_ascii_case(b"Q.850"))?;
    let cause = Params(&element[5..]).value("cause")?;
    cause.parse().ok().filter(|value| (1..=127).contains(value))
}

/// Why an INVITE was cancelled, as a Q.850 cause: what its Reason says of SIP counts where it says nothing of Q.850.
pub(crate) fn cancelled_for<B: AsRef<[u8]>>(cancel: &Message<B>) -> Option<u8> {
    q850_of(cancel).or_else(|| {
        let is_sip = |element: &&[u8]| element.len() > 3 && element[..3].eq_ignore_ascii_case(b"SIP");
        let element = cancel.elements(HeaderName::Reason).find(is_sip)?;
        match Params(&element[3..]).value("cause")?.parse().ok()? {
            //= https://www.rfc-editor.org/rfc/rfc3326#section-3.1
            // Another one has answered: 200.
            200..=299 => Some(Cause::NON_SELECTED.0),
            status @ 300..=699 => Some(Cause::from_sip_status(status).0),
            _ => None,
        }
    })
}

/// So many warnings of a message are looked at, and texts of so many characters.
const WARNINGS_MAX: usize = 3;
const WARNING_CHARS_MAX: usize = 128;

/// What a refusal says of itself: the code and the text of each warning that is in its form. Whose it is, is left out: a party's
/// address is no business of the other's.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.43
// Warning headers have a three-digit code, host name, and warning text.
pub(crate) fn warnings_of<B: AsRef<[u8]>>(message: &Message<B>) -> Vec<(u16, Box<str>)> {
    message.elements(HeaderName::Warning).take(WARNINGS_MAX).filter_map(warning).collect()
}

fn warning(element: &[u8]) -> Option<(u16, Box<str>)> {
    let text = std::str::from_utf8(element).ok()?;
    let (code, rest) = text.trim().split_once(' ')?;
    let (agent, quoted) = rest.trim_start().split_once(' ')?;
    let code = code.parse().ok().filter(|code| (300..=399).contains(code) && !agent.is_empty())?;
    let quoted = quoted.trim_start().strip_prefix('"')?.strip_suffix('"')?;
    let (mut said, mut escaped) = (String::new(), false);
    for character in quoted.chars() {
        match character {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => return None,
            // Folded lines and what steers a terminal are neither of the header's form nor for people.
            character if character.is_control() => said.push(' '),
            character => said.push(character),
        }
        escaped = false;
        if said.chars().count() >= WARNING_CHARS_MAX {
            break;
        }
    }
    let said = said.trim();
    (!said.is_empty()).then(|| (code, said.into()))
}

/// The value of the Reason header of a CANCEL; empty for none.
//= https://www.rfc-editor.org/rfc/rfc3326#section-3.1
// A telephone that is told that the call was completed elsewhere does not list it as missed.
pub(crate) fn cancel_reason(q850: Option<u8>) -> String {
    match q850.map(Cause) {
        None => String::new(),
        Some(Cause::NON_SELECTED) => "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned(),
        Some(cause) => format!("Q.850;cause={};text=\"{}\"", cause.0, cause.text()),
    }
}

pub(crate) fn write_reason(writer: &mut Writer, q850: Option<u8>) {
    if let Some(cause) = q850 {
        let text = Cause(cause).text();
        writer.header(HeaderName::Reason, format_args!("Q.850;cause={cause};text=\"{text}\""));
    }
}
