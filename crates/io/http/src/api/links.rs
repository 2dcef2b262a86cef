//! Links that open evidence without a token: what is asked, for whom and until when, signed by the exchange.

use super::problem::{ApiProblem, Refusal};

/// What a link says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The escalation whose evidence it opens.
    pub escalation: String,
    /// For whom it was made.
    pub to: String,
    /// Until when it is good, in seconds of the Unix epoch.
    pub expires: u64,
    /// The exchange's signature, in hexadecimal digits.
    pub signature: String,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    /// It is not as it was made.
    #[error("the link is not as it was made")]
    Forged,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
}

/// The longest name of whom a link is for.
const TO_BYTES_MAX: usize = 256;

/// The link in a query, and what else stands in it; `None`: there is none.
pub(crate) fn split(query: &str, params: &[(&'static str, &str)]) -> Option<(Link, String)> {
    let (mut to, mut expires, mut signature) = (None, None, None);
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("to", text)) if to.is_none() => to = Some(text),
            Some(("expires", text)) if expires.is_none() => expires = Some(text),
            Some(("signature", text)) if signature.is_none() => signature = Some(text),
            _ => rest.push(pair),
        }
    }
    let escalation = params.iter().find(|(name, _)| *name == "id")?.1.to_owned();
    let link = Link {
        escalation,
        to: super::fields::decoded(to?, true).filter(|to| to.len() <= TO_BYTES_MAX)?,
        expires: expires?.parse().ok()?,
        signature: signature?.to_owned(),
    };
    Some((link, rest.join("&")))
}

/// As whoever has it is told.
pub(crate) fn refusal(refused: LinkRefused) -> Refusal {
    ApiProblem::new(403, "link-refused", "The link opens nothing", refused.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_taken_out_of_the_query() {
        let params = [("id", "01"), ("piece", "02")];
        let (link, rest) = split("to=dr.%20lind&a=1&expires=7&signature=0a", &params).expect("a link");
        let expected = Link { escalation: "01".into(), to: "dr. lind".into(), expires: 7, signature: "0a".into() };
        assert_eq!((link, &*rest), (expected, "a=1"));
        for none in ["", "to=a&expires=7", "to=a&signature=0a", "expires=7&signature=0a", "to=a&expires=x&signature=0a"]
        {
            assert_eq!(split(none, &params), None, "{none}");
        }
    }
}
