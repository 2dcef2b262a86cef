//! The answer to a REGISTER.

use super::binding::Binding;
use super::gruu::Keys;
use super::record::Q_DEFAULT;
use super::request::Refusal;
use super::{Moment, RegistrarConfig};
use crate::message::{HeaderName, Writer};
use std::fmt::Write as _;

/// How a REGISTER is answered. Its tag and what every response repeats is the caller's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The status code.
    pub status: u16,
    /// Why the request was refused; `None` when it was carried out.
    pub refusal: Option<Refusal>,
    lines: String,
}

/// When a client may ask again after the registrar was full.
const RETRY_AFTER_S: u32 = 120;

impl Registration {
    /// Writes the headers of the response that a registration is about.
    pub fn write(&self, writer: &mut Writer) {
        writer.lines(self.lines.as_bytes());
    }

    /// These headers, each with its line end.
    pub fn headers(&self) -> &str {
        &self.lines
    }

    pub(super) fn refused(config: &RegistrarConfig, refusal: Refusal) -> Self {
        let mut lines = String::new();
        match &refusal {
            Refusal::TooBrief => line(&mut lines, HeaderName::MinExpires, format_args!("{}", config.expires_min_s)),
            Refusal::Extension(names) => line(&mut lines, HeaderName::Unsupported, format_args!("{names}")),
            Refusal::Full => line(&mut lines, HeaderName::RetryAfter, format_args!("{RETRY_AFTER_S}")),
            _ => {}
        }
        Self { status: refusal.status(), refusal: Some(refusal), lines }
    }
}

/// What a 200 tells beside the contacts.
pub(super) struct Carried<'a> {
    pub config: &'a RegistrarConfig,
    pub aor: &'a str,
    pub user_hash: u64,
    pub keys: Keys,
    /// The path of the request, when the client wants to see it; else empty.
    pub path: &'a str,
    /// Does the client want to know its GRUUs?
    pub gruu: bool,
    /// Was a contact bound as an outbound registration?
    pub outbound: bool,
}

impl Carried<'_> {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    // The 200 lists every binding with what is left of its life.
    pub fn answer<'b>(&self, moment: Moment, bindings: impl Iterator<Item = &'b Binding>) -> Registration {
        let mut lines = String::with_capacity(256);
        for binding in bindings {
            self.contact(&mut lines, moment, binding);
        }
        if !self.path.is_empty() {
            line(&mut lines, HeaderName::Path, format_args!("{}", self.path));
        }
        if let Some(route) = &self.config.service_route {
            //= https://www.rfc-editor.org/rfc/rfc3608#section-6.3
            line(&mut lines, HeaderName::ServiceRoute, format_args!("{route}"));
        }
        if self.outbound {
            //= https://www.rfc-editor.org/rfc/rfc5626#section-6
            line(&mut lines, HeaderName::Require, format_args!("outbound"));
        }
        lines.push_str("Supported: ");
        for (position, extension) in self.config.extensions().enumerate() {
            lines.push_str(if position == 0 { "" } else { ", " });
            lines.push_str(extension);
        }
        lines.push_str("\r\n");
        Registration { status: 200, refusal: None, lines }
    }

    fn contact(&self, lines: &mut String, moment: Moment, binding: &Binding) {
        lines.extend(["Contact: <", binding.uri(), ">;expires="]);
        let _ = write!(lines, "{}", moment.left(binding.expires));
        if binding.q != Q_DEFAULT {
            let _ = write!(lines, ";q=0.{:03}", binding.q);
        }
        if !binding.instance().is_empty() {
            lines.extend([";+sip.instance=\"<", binding.instance(), ">\""]);
            if binding.reg_id > 0 {
                let _ = write!(lines, ";reg-id={}", binding.reg_id);
            }
            if self.gruu {
                self.keys.write(lines, self.aor, self.user_hash, binding);
            }
        }
        lines.push_str("\r\n");
    }
}

fn line(lines: &mut String, name: HeaderName, value: std::fmt::Arguments<'_>) {
    let _ = write!(lines, "{}: {value}\r\n", name.name());
}
