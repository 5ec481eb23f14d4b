//! Reads classes: `[a-z_]`.

use super::escape::InClass;
use super::parser::{Flags, Parser};
use super::set::{self, ByteSet};
use super::{Doubt, Library};

/// What can stand behind a bracket to make it more than that.
const POSIX_MARKS: &[u8] = b":.=";

impl Parser<'_> {
    /// A class; its bracket is read.
    pub(super) fn class(&mut self, flags: Flags) -> Result<ByteSet, Doubt> {
        if self.is_posix_at(self.at) {
            return Err(Doubt::Refused); // `[:alpha:]`, outside a class
        }
        let is_negated = self.takes("^");
        let first = self.at;
        let (mut bytes, mut sets) = (ByteSet::default(), ByteSet::default());
        loop {
            let item_at = self.at;
            match self.next().ok_or(Doubt::Refused)? {
                b']' if item_at > first => break,
                b'[' if self.is_posix_at(self.at) => {
                    sets = sets.and(self.posix(flags)?);
                    self.hyphen_behind_set()?;
                }
                b'\\' => match self.escape_in_class_without_quotation(flags)? {
                    InClass::Byte(byte) => bytes = bytes.and(self.range(byte, flags)?),
                    InClass::Set(set) => {
                        sets = sets.and(set);
                        self.hyphen_behind_set()?;
                    }
                },
                byte => bytes = bytes.and(self.range(byte, flags)?),
            }
        }
        let bytes = if flags.is_caseless { bytes.in_both_cases(self.library) } else { bytes };
        Ok(bytes.and(sets).negated_if(is_negated))
    }

    /// Quotations in classes are rare, and hyphens about them a riddle.
    fn escape_in_class_without_quotation(&mut self, flags: Flags) -> Result<InClass, Doubt> {
        if matches!(self.peek(), Some(b'Q' | b'E')) {
            return Err(Doubt::Unread);
        }
        let escape = self.escape_in_class(flags)?;
        self.seen.has_last_byte |= matches!(escape, InClass::Byte(u8::MAX));
        Ok(escape)
    }

    /// A byte, or all from it to another.
    fn range(&mut self, first: u8, flags: Flags) -> Result<ByteSet, Doubt> {
        let rest = &self.text[self.at..];
        if rest.first() != Some(&b'-') || rest.get(1).is_none_or(|byte| *byte == b']') {
            return Ok(ByteSet::one(first));
        }
        self.at += 1;
        let last = match self.next().ok_or(Doubt::Refused)? {
            b'[' if self.is_posix_at(self.at) => return Err(Doubt::Refused),
            b'\\' => match self.escape_in_class_without_quotation(flags)? {
                InClass::Byte(byte) => byte,
                InClass::Set(_) => return Err(Doubt::Refused),
            },
            byte => byte,
        };
        if last < first {
            return Err(Doubt::Refused);
        }
        Ok(ByteSet::ranges(&[(first, last)]))
    }

    /// A hyphen behind a set is one to PCRE, and begins a range to PCRE2, which cannot be.
    fn hyphen_behind_set(&mut self) -> Result<(), Doubt> {
        let rest = &self.text[self.at..];
        let is_odd = rest.first() == Some(&b'-') && rest.get(1).is_some_and(|byte| *byte != b']');
        if is_odd && self.library == Library::Pcre2 { Err(Doubt::Refused) } else { Ok(()) }
    }

    /// Whether what stands there may be a name in colons. Where they are closed only later, it is rather said too often.
    fn is_posix_at(&self, at: usize) -> bool {
        let rest = &self.text[at..];
        let Some(mark) = rest.first().filter(|byte| POSIX_MARKS.contains(byte)) else { return false };
        rest[1..].windows(2).any(|two| two == [*mark, b']'])
    }

    /// `:alpha:]`, behind the bracket.
    fn posix(&mut self, flags: Flags) -> Result<ByteSet, Doubt> {
        if !self.takes(":") {
            return Err(Doubt::Refused);
        }
        let is_negated = self.takes("^");
        let name = self.until(b':')?;
        if !self.takes("]") {
            return Err(Doubt::Unread);
        }
        let set = set::by_posix_name(name, flags.is_caseless, self.library).ok_or(Doubt::Unread)?;
        Ok(set.negated_if(is_negated))
    }
}
