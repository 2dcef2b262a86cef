//! Who a caller says it is, and who others say it is: From, P-Asserted-Identity, Privacy.

use std::borrow::Cow;
use sx_leg::{Address, Identity, Privacy};
use sx_sip::message::{HeaderName, Message, NameAddr, Scheme, Uri, escape_user, unescape};
use sx_types::{called_number, without_separators};

/// A header's name and value.
pub type HeaderLine = (Box<str>, Box<str>);

/// What is done with callers' identities towards a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRules {
    /// Put in place of the user part of From.
    pub from_user: Option<Box<str>>,
    /// Put in place of the domain of From.
    pub from_domain: Option<Box<str>>,
    /// What becomes of P-Asserted-Identity.
    pub asserted: AssertedIdentity,
    /// Is a wish for privacy honoured? Where it is not, the party is trusted to honour it itself.
    pub honours_privacy: bool,
    /// Is what the party asserts of its callers believed?
    pub trusted: bool,
}

/// What becomes of an asserted identity.
//= https://www.rfc-editor.org/rfc/rfc3325#section-5
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssertedIdentity {
    /// Passed on when there is one.
    Pass,
    /// Passed on, or made of the caller's own address.
    Set,
    /// Not sent.
    #[default]
    Remove,
}

impl Default for IdentityRules {
    /// Those of a registered user: nobody's assertions are believed, none are sent, privacy is honoured.
    fn default() -> Self {
        Self {
            from_user: None,
            from_domain: None,
            asserted: AssertedIdentity::Remove,
            honours_privacy: true,
            trusted: false,
        }
    }
}

/// The address in a From, To or request URI.
pub(crate) fn address_of(uri: &Uri<'_>) -> Address {
    match uri.scheme {
        Scheme::Tel => Address::new(&without_separators(&uri.user_unescaped()), ""),
        _ => Address::new(&without_controls(&uri.user_unescaped()), uri.host.as_str()),
    }
}

/// The text with a sign in the place of each control character: an escaped one would be raw in records, and there begin a
/// line or move a cursor. It is not left out, or a name would become another's.
fn without_controls(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// The address that a URI names to be called. A telephone number is the same however it is written: where the URI says that
/// it is one, or where it can be nothing else.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.6
pub(crate) fn called_address(uri: &Uri<'_>) -> Address {
    let is_phone = uri.param("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
    let address = address_of(uri);
    match uri.scheme {
        Scheme::Tel => address,
        _ => Address { user: called(uri.user, is_phone).into(), domain: address.domain },
    }
}

/// Whom a user part means as it stands in a URI, escapes and all, when it is called: `0-9%30` is 090.
pub fn called_user_part(user: &str) -> String {
    called(user, false)
}

/// What follows a semicolon is not part of the number; one that is escaped ends nothing, and is undone after the cut.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
fn called(user: &str, is_phone: bool) -> String {
    let (number, parameters) = user.split_at(user.find(';').unwrap_or(user.len()));
    let (number, parameters) = (without_controls(&unescape(number)), without_controls(&unescape(parameters)));
    let dialled = if is_phone { without_separators(&number) } else { called_number(&number).into_owned() };
    dialled + &parameters
}

impl IdentityRules {
    /// The identity a party's INVITE gives.
    pub fn read<B: AsRef<[u8]>>(&self, invite: &Message<B>) -> Identity {
        let from = invite.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
        let asserted = invite.elements(HeaderName::PAssertedIdentity).filter(|_| self.trusted);
        let asserted = asserted.filter_map(|element| NameAddr::parse(element).ok()).map(|a| address_of(&a.uri)).next();
        let private = invite.lists(HeaderName::Privacy, "id")
            || invite
                .text(HeaderName::Privacy)
                .is_some_and(|value| value.split(';').any(|token| token.trim().eq_ignore_ascii_case("id")));
        Identity {
            address: from.map(|from| address_of(&from.uri)).unwrap_or_default(),
            display: from.map(|from| without_controls(&from.display_text()).into()).unwrap_or_default(),
            asserted,
            privacy: if private { Privacy::Id } else { Privacy::None },
        }
    }

    /// Is this identity kept from the party?
    fn hides(&self, identity: &Identity) -> bool {
        identity.privacy == Privacy::Id && self.honours_privacy
    }

    /// The user part of our Contact towards the party.
    //= https://www.rfc-editor.org/rfc/rfc3323#section-4.1.1.2
    // Contact would give away what From withholds.
    pub(crate) fn contact_user<'a>(&self, identity: &'a Identity) -> Cow<'a, str> {
        if self.hides(identity) { "anonymous".into() } else { escape_user(&identity.address.user) }
    }

    /// The value of From, and the further headers, that show an identity to the party. `host` stands in for a domain that
    /// is missing.
    pub fn write(&self, identity: &Identity, host: &str) -> (Box<str>, Vec<HeaderLine>) {
        let mut headers = Vec::new();
        let hidden = self.hides(identity);
        let domain = |address: &Address| match &self.from_domain {
            Some(domain) => domain.to_string(),
            None if address.domain.is_empty() => host.to_owned(),
            None => address.domain.to_string(),
        };
        let from: Box<str> = if hidden {
            //= https://www.rfc-editor.org/rfc/rfc3323#section-4.1.1.3
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>".into()
        } else {
            let user = self.from_user.as_deref().unwrap_or(&identity.address.user);
            name_addr(&identity.display, user, &domain(&identity.address)).into()
        };
        let asserted = match (self.asserted, &identity.asserted) {
            (AssertedIdentity::Remove, _) | (AssertedIdentity::Pass, None) => None,
            (_, Some(came)) if !came.domain.is_empty() => Some(name_addr("", &came.user, &came.domain)),
            (_, Some(came)) => Some(name_addr("", &came.user, &domain(came))),
            (AssertedIdentity::Set, None) => Some(name_addr("", &identity.address.user, &domain(&identity.address))),
        };
        if let Some(asserted) = asserted.filter(|_| !hidden) {
            headers.push(("P-Asserted-Identity".into(), asserted.into()));
        }
        if identity.privacy == Privacy::Id {
            headers.push(("Privacy".into(), "id".into()));
        }
        (from, headers)
    }
}

/// `"Display" <sip:user@domain>`
pub(crate) fn name_addr(display: &str, user: &str, domain: &str) -> String {
    let at = if user.is_empty() { String::new() } else { format!("{}@", escape_user(user)) };
    if display.is_empty() {
        format!("<sip:{at}{domain}>")
    } else {
        format!("\"{}\" <sip:{at}{domain}>", display.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(privacy: Privacy, asserted: Option<Address>) -> Identity {
        Identity { address: Address::new("al ice", "Example.ORG"), display: "A \"B\"".into(), asserted, privacy }
    }

    #[test]
    fn a_private_caller_is_anonymous_and_not_asserted() {
        let rules = IdentityRules { asserted: AssertedIdentity::Set, ..IdentityRules::default() };
        let (from, headers) = rules.write(&identity(Privacy::Id, None), "h");
        assert_eq!(&*from, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
        assert_eq!(headers, [("Privacy".into(), "id".into())]);
        assert_eq!(rules.contact_user(&identity(Privacy::Id, None)), "anonymous");
        let trusting = IdentityRules { honours_privacy: false, ..rules };
        let (from, headers) = trusting.write(&identity(Privacy::Id, None), "h");
        assert_eq!(&*from, "\"A \\\"B\\\"\" <sip:al%20ice@example.org>");
        assert_eq!(trusting.contact_user(&identity(Privacy::Id, None)), "al%20ice");
        assert_eq!(headers[0], ("P-Asserted-Identity".into(), "<sip:al%20ice@example.org>".into()));
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        let check = |uri: &str, expected: &str| {
            let uri = Uri::parse(uri.as_bytes()).expect("a URI");
            assert_eq!(called_address(&uri).to_string(), expected, "{}", uri.text);
        };
        check("sip:0-900-123@example.org;user=phone", "0900123@example.org");
        check("sip:0-900-123@example.org", "0900123@example.org");
        check("sip:+49(30)1.2-3@example.org", "+4930123@example.org");
        check("sip:%30%2D900@example.org", "0900@example.org");
        check("sip:0-900;phone-context=a-b@example.org;user=phone", "0900;phone-context=a-b@example.org");
        check("tel:+1-201-555-0123", "+12015550123@");
        for hiding in ["%20", "%09", "_", "/", "~", "'", "!", ",", "&", "%C2%A0", "%E2%80%91", "%40", "%0A"] {
            check(&format!("sip:09{hiding}001@example.org"), "09001@example.org");
            check(&format!("sip:09-0{hiding}01@example.org;user=phone"), "09001@example.org");
        }
        // An escaped semicolon ends no number, and hides none.
        check("sip:09%3B001@example.org", "09001@example.org");
        check("sip:09%3b001@example.org;user=phone", "09001@example.org");
        check("sip:%30%39%3B001;x=%3B@example.org", "09001;x=;@example.org");
        check("sip:%30900;phone-context=a@example.org", "0900;phone-context=a@example.org");
        // Nobody takes the letter out on the way: it is called by that name.
        check("sip:09a001@example.org", "09a001@example.org");
        check("sip:alice2@example.org", "alice2@example.org");
        check("sip:bob%3Bx@example.org", "bob;x@example.org");
        check("sip:4711bob@example.org", "4711bob@example.org");
        check("sip:100_reception@example.org", "100_reception@example.org");
        check("sip:bob%0A@example.org", "bob\u{fffd}@example.org");
        // A name is none, whatever is in it.
        check("sip:anna-lena.m@example.org", "anna-lena.m@example.org");
        check("sip:room-12@example.org", "room-12@example.org");
        check("sip:-.-@example.org", "-.-@example.org");
    }

    #[test]
    fn an_assertion_is_believed_only_of_a_trusted_party() {
        let text =
            b"INVITE sip:b@x SIP/2.0\r\nFrom: <sip:a@x>;tag=1\r\nP-Asserted-Identity: <tel:+1-201-555-0123>\r\n\r\n";
        let invite = Message::parse(&text[..]).expect("well formed");
        assert_eq!(IdentityRules::default().read(&invite).asserted, None);
        let trusted = IdentityRules { trusted: true, ..IdentityRules::default() };
        assert_eq!(trusted.read(&invite).asserted, Some(Address::new("+12015550123", "")));
    }
}
