//! `[evidence]`.

use crate::error::Problem;
use crate::meant::Evidence;
use crate::reader::Reader;
use std::sync::Arc;

pub(crate) fn evidence(section: &Reader<'_>) -> Evidence {
    let public_url: Option<Arc<str>> = section.text_if_said("public_url");
    let is_url = |url: &&Arc<str>| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
            && !url.contains(['?', '#', '"', '<', '>'])
    };
    if public_url.as_ref().is_some_and(|url| !is_url(&url)) {
        section.refuse("public_url", Problem::NotAllowed { allowed: "a URL as https://host[:port]/path".into() });
    }
    Evidence {
        public_url,
        link: section.seconds("link_s"),
        in_calls: section.flag("in_calls"),
        bytes_max: section.number("bytes_max"),
        pieces_max: section.number("pieces_max"),
        total_bytes_max: section.number("total_bytes_max"),
        unfinished: section.seconds("unfinished_s"),
        kept: section.seconds("kept_s"),
    }
}
