//! Source descriptions.

use super::compound::split_ssrc;
use crate::packet::Ssrc;

/// Descriptions of sources, at most 31 of them, each with any number of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdes<'a> {
    chunks: &'a [u8],
    count: u8,
}

/// The items of a source description packet in their order.
#[derive(Clone, Copy, Debug)]
pub struct SdesItems<'a> {
    rest: &'a [u8],
    chunks_left: u8,
    /// The source of the chunk that is being walked.
    ssrc: Option<Ssrc>,
    failed: bool,
}

/// One statement about one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// The source.
    pub ssrc: Ssrc,
    /// What is stated: 1 is CNAME, 2 NAME, 3 EMAIL, 4 PHONE, 5 LOC, 6 TOOL, 7 NOTE, 8 PRIV.
    pub kind: u8,
    /// The statement, in UTF-8 as far as the sender keeps to it; at most 255 bytes.
    pub text: &'a [u8],
}

impl SdesItem<'_> {
    /// The kind of a canonical name.
    pub const CNAME: u8 = 1;
}

impl<'a> Sdes<'a> {
    pub(super) fn read(count: u8, chunks: &'a [u8]) -> Option<Self> {
        let sdes = Self { chunks, count };
        let mut items = sdes.items();
        items.by_ref().for_each(drop);
        (!items.failed).then_some(sdes)
    }

    /// The items of all sources.
    pub fn items(&self) -> SdesItems<'a> {
        SdesItems { rest: self.chunks, chunks_left: self.count, ssrc: None, failed: false }
    }

    /// The canonical name of a source.
    pub fn cname(&self, ssrc: Ssrc) -> Option<&'a [u8]> {
        self.items().find(|item| item.ssrc == ssrc && item.kind == SdesItem::CNAME).map(|item| item.text)
    }
}

impl<'a> SdesItems<'a> {
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.5
    // A chunk's items end with a null, and further nulls fill up the word.
    fn advance(&mut self) -> Option<Option<SdesItem<'a>>> {
        let Some(ssrc) = self.ssrc else {
            let (ssrc, rest) = split_ssrc(self.rest)?;
            (self.ssrc, self.rest) = (Some(ssrc), rest);
            return Some(None);
        };
        let (&kind, rest) = self.rest.split_first()?;
        if kind == 0 {
            // Chunks begin on word boundaries, and what is left is whole words from here to the end of the body.
            self.rest = rest.get(rest.len() % 4..)?;
            (self.ssrc, self.chunks_left) = (None, self.chunks_left - 1);
            return Some(None);
        }
        let (&len, rest) = rest.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(len))?;
        self.rest = rest;
        Some(Some(SdesItem { ssrc, kind, text }))
    }
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<SdesItem<'a>> {
        while self.chunks_left > 0 && !self.failed {
            match self.advance() {
                Some(Some(item)) => return Some(item),
                Some(None) => {}
                None => self.failed = true,
            }
        }
        None
    }
}
