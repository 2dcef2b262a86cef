//! Copying a description while the directions of media sections change.

use crate::write::Text;
use crate::{Description, Direction};

impl Description<'_> {
    /// Copies the description with other directions. `sections` has that of each media section, in their order; those beyond
    /// its end stay as they are, and so does one with `None`.
    pub fn set_directions(&self, sections: &[Option<Direction>]) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint());
        self.write_session(&mut text, Text::copy);
        for (index, media) in self.media().enumerate() {
            let wanted = sections.get(index).copied().flatten();
            let kept = media.lines().iter().filter(|line| wanted.is_none() || line.direction().is_none());
            kept.for_each(|line| text.copy(line));
            if let Some(direction) = wanted {
                text.line(b'a', direction.name());
            }
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_takes_the_place_of_another_or_of_none() {
        let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=recvonly\r\n\
            m=audio 4000 RTP/AVP 8\r\na=inactive\r\na=ptime:20\r\nm=audio 4002 RTP/AVP 8\r\nm=video 4004 RTP/AVP 31\r\n\
            a=sendonly\r\n";
        let parsed = Description::parse(text.as_bytes()).expect("a description");
        let changed = parsed.set_directions(&[Some(Direction::SendOnly), Some(Direction::SendRecv), None, None]);
        let expected = text
            .replace("a=inactive\r\na=ptime:20\r\n", "a=ptime:20\r\na=sendonly\r\n")
            .replace("4002 RTP/AVP 8\r\n", "4002 RTP/AVP 8\r\na=sendrecv\r\n");
        assert_eq!(String::from_utf8_lossy(&changed), expected);
        assert_eq!(parsed.set_directions(&[]), text.as_bytes());
    }
}
