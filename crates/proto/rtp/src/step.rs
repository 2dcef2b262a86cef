//! From one packet of a source to another, by their numbers.

/// How a packet's number stands to the highest one of its source so far.
///
/// ```
/// use sx_rtp::Step;
///
/// assert_eq!(Step::between(65_535, 1), Step::Ahead(2));
/// assert_eq!(Step::between(1, 65_535), Step::Late(2));
/// assert_eq!(Step::between(1, 30_000), Step::Leap);
/// ```
//= https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Later by so many: one, and up to 2,999.
    Ahead(u16),
    /// Earlier by so many: 100 at most, and none where it has come twice.
    Late(u16),
    /// Further away, either way: its source has begun anew, or it is not of this source.
    Leap,
}

/// A step forward of so many is a leap.
const MAX_DROPOUT: u16 = 3_000;
/// A larger step back than this is a leap.
const MAX_MISORDER: u16 = 100;

impl Step {
    /// From the highest number so far to that of a packet, both modulo 65,536.
    pub fn between(highest: u16, sequence: u16) -> Self {
        let (ahead, back) = (sequence.wrapping_sub(highest), highest.wrapping_sub(sequence));
        match ahead {
            _ if back <= MAX_MISORDER => Self::Late(back),
            ..MAX_DROPOUT => Self::Ahead(ahead),
            _ => Self::Leap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_apart_at_their_limits() {
        for highest in [0, 50, 2_999, 32_768, 65_535_u16] {
            for (ahead, expected) in [
                (0, Step::Late(0)),
                (1, Step::Ahead(1)),
                (2_999, Step::Ahead(2_999)),
                (3_000, Step::Leap),
                (65_435, Step::Leap),
                (65_436, Step::Late(100)),
                (65_535, Step::Late(1)),
            ] {
                assert_eq!(Step::between(highest, highest.wrapping_add(ahead)), expected, "{highest} {ahead}");
            }
        }
    }
}
