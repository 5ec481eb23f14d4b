//! The output of a container as its engine sends it: frames of one stream or the other, each behind eight bytes.

use crate::base::{Error, Result};

/// Bytes of the head of a frame: the stream, three that are nothing, and how long it is.
const HEAD_LEN: usize = 8;

/// Which output of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// Reads frames that come in parts of any length. It keeps nothing of them but a head that is not whole.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; HEAD_LEN],
    /// How much of the head has come.
    head_len: usize,
    /// Of which stream the present frame is. There is none before the first head, and for what nobody reads.
    output: Option<Output>,
    /// Bytes of the present frame that are still to come.
    rest: usize,
}

impl Frames {
    /// Hands on what a part holds of each stream, in its order.
    ///
    /// # Errors
    /// `Invalid` where no frame can begin so.
    pub fn read(&mut self, mut part: &[u8], mut take: impl FnMut(Output, &[u8])) -> Result<()> {
        while !part.is_empty() {
            if self.rest == 0 {
                let (of_head, rest) = part.split_at(part.len().min(HEAD_LEN - self.head_len));
                self.head[self.head_len..][..of_head.len()].copy_from_slice(of_head);
                (self.head_len, part) = (self.head_len + of_head.len(), rest);
                if self.head_len == HEAD_LEN {
                    self.begin()?;
                }
                continue;
            }
            let (bytes, rest) = part.split_at(part.len().min(self.rest));
            if let Some(output) = self.output {
                take(output, bytes);
            }
            (self.rest, part) = (self.rest - bytes.len(), rest);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        let [stream, nothing @ .., a, b, c, d] = self.head;
        self.output = match (stream, nothing) {
            (0 | 1, [0, 0, 0]) => Some(Output::Out),
            (2, [0, 0, 0]) => Some(Output::Error),
            // What the engine itself has to say.
            (3, [0, 0, 0]) => None,
            _ => return Err(Error::invalid("the output of a container is not in frames")),
        };
        self.rest = u32::from_be_bytes([a, b, c, d]) as usize;
        self.head_len = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let len = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0][..], &len, text.as_bytes()].concat()
    }

    fn read(bytes: &[u8], part_len: usize) -> Result<(String, String)> {
        let (mut frames, mut out, mut error) = (Frames::default(), Vec::new(), Vec::new());
        for part in bytes.chunks(part_len) {
            frames.read(part, |output, bytes| match output {
                Output::Out => out.extend_from_slice(bytes),
                Output::Error => error.extend_from_slice(bytes),
            })?;
        }
        Ok((String::from_utf8(out).unwrap(), String::from_utf8(error).unwrap()))
    }

    #[test]
    fn frames_may_be_split_anywhere() {
        let all = [frame(1, "one\n"), frame(2, ""), frame(2, "two\n"), frame(3, "engine"), frame(0, "three")].concat();
        for part_len in 1..=all.len() {
            assert_eq!(read(&all, part_len).unwrap(), ("one\nthree".into(), "two\n".into()), "{part_len}");
        }
    }

    #[test]
    fn what_is_not_in_frames_is_refused() {
        assert!(read(b"plain text of a terminal", 5).is_err());
        assert!(read(&frame(4, "x"), 9).is_err());
        assert_eq!(
            read(b"\x01\0", 2).unwrap(),
            (String::new(), String::new()),
            "a head that is not whole is nothing yet"
        );
    }
}
