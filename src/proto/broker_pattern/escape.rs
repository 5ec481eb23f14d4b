//! Reads what stands behind a backslash.

use super::node::{Node, Place};
use super::parser::{Atom, Flags, Parser, literal};
use super::set::{self, ByteSet};
use super::{Doubt, Library};

/// Letters that PCRE takes for themselves, and PCRE2 for a mistake.
const NO_ESCAPES: &[u8] = b"FIJMOTYijmqy";
/// Assertions and the like, which PCRE takes for letters in a class, and PCRE2 for a mistake.
const NOT_IN_CLASS: &[u8] = b"ABCGKRXZz";
/// What turns a letter into a control character.
const CONTROL: u8 = 0x40;

/// What an escape in a class is.
pub(super) enum InClass {
    Byte(u8),
    Set(ByteSet),
}

impl Parser<'_> {
    /// An escape outside a class; its backslash is read.
    pub(super) fn escape(&mut self, flags: Flags) -> Result<Atom, Doubt> {
        let start = self.at;
        let letter = self.next().ok_or(Doubt::Refused)?;
        let place = |place| Ok(Atom::Fixed(Node::Place(place)));
        let part = |node| Ok(Atom::Part(node));
        match letter {
            b'b' => place(Place::WordEdge),
            b'B' => place(Place::NoWordEdge),
            // Where a match is looked for is always the start here.
            b'A' | b'G' => place(Place::Start),
            b'Z' => place(Place::LastEnd),
            b'z' => place(Place::End),
            // It moves the start of the match, which nobody asks for.
            b'K' if self.looks == 0 => Ok(Atom::Fixed(Node::nothing())),
            b'N' if !self.text[self.at..].starts_with(b"{") => part(Node::Set(set::in_line())),
            b'C' => part(Node::Set(ByteSet::ALL)),
            b'R' => {
                self.seen.has_line_end = true;
                part(pair_or(set::line_ends()))
            }
            b'X' => part(pair_or(ByteSet::ALL)),
            b'1'..=b'9' => self.reference(start, flags).map(Atom::Part),
            b'K' | b'N' | b'g' | b'k' => Err(Doubt::Unread),
            _ => {
                self.at = start;
                let escape = self.escape_of_byte_or_set(flags)?;
                self.note(letter, start, &escape);
                part(match escape {
                    InClass::Byte(byte) => literal(byte, flags, self.library),
                    InClass::Set(set) => Node::Set(set),
                })
            }
        }
    }

    /// Notes what the libraries may be mistaken about.
    fn note(&mut self, letter: u8, start: usize, escape: &InClass) {
        match letter {
            b'S' => self.seen.has_solid = true,
            b'h' | b'v' => self.seen.has_blank = true,
            b'w' => self.seen.has_word = true,
            b'P' => self.seen.has_negated_category = true,
            b'p' => self.seen.has_negated_category |= self.text[start..].starts_with(b"p{^"),
            _ => self.seen.has_last_byte |= matches!(escape, InClass::Byte(u8::MAX)),
        }
    }

    /// An escape in a class; its backslash is read.
    pub(super) fn escape_in_class(&mut self, flags: Flags) -> Result<InClass, Doubt> {
        match self.peek() {
            Some(b'b') => {
                self.at += 1;
                Ok(InClass::Byte(0x08))
            }
            Some(digit @ b'1'..=b'7') => {
                self.at += 1;
                self.octal(u32::from(digit - b'0'), 2).map(InClass::Byte)
            }
            Some(digit @ b'8'..=b'9') => {
                self.at += 1;
                Ok(InClass::Byte(digit))
            }
            Some(letter) if NOT_IN_CLASS.contains(&letter) && self.library == Library::Pcre => {
                self.at += 1;
                self.letter_by_hyphen(letter)
            }
            _ => self.escape_of_byte_or_set(flags),
        }
    }

    /// Some such letters begin or end a range, and some are a mistake there.
    fn letter_by_hyphen(&self, letter: u8) -> Result<InClass, Doubt> {
        let is_behind = self.text[..self.at - 2].last() == Some(&b'-');
        if is_behind || self.peek() == Some(b'-') { Err(Doubt::Unread) } else { Ok(InClass::Byte(letter)) }
    }

    /// What means the same in a class and outside.
    fn escape_of_byte_or_set(&mut self, flags: Flags) -> Result<InClass, Doubt> {
        let letter = self.next().ok_or(Doubt::Refused)?;
        let byte = match letter {
            b'a' => 0x07,
            b'e' => 0x1B,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => self.octal(0, 2)?,
            b'o' => self.octal_in_braces()?,
            b'x' => self.hexadecimal()?,
            b'c' => match self.next() {
                Some(byte @ 0x20..=0x7E) => byte.to_ascii_uppercase() ^ CONTROL,
                _ => return Err(Doubt::Refused),
            },
            b'p' | b'P' => return self.category(letter == b'P', flags).map(InClass::Set),
            letter if NO_ESCAPES.contains(&letter) && self.library == Library::Pcre => letter,
            letter if letter.is_ascii_alphanumeric() => {
                return set::by_letter(letter, self.library).map(InClass::Set).ok_or(Doubt::Refused);
            }
            other => other,
        };
        Ok(InClass::Byte(byte))
    }

    /// `\1`, what a group took; behind ten and more stand octal digits, if there are no groups.
    fn reference(&mut self, start: usize, flags: Flags) -> Result<Node, Doubt> {
        self.at = start;
        let digits = self.text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let first = self.text[start] - b'0';
        if digits == 1 && first < 8 {
            self.at += 1;
            let number = usize::from(first);
            if self.open.contains(&number) {
                // PCRE makes such a group atomic, PCRE2 does not.
                return Err(Doubt::Unread);
            }
            self.reference_max = self.reference_max.max(number);
            return Ok(Node::Again(number, flags.is_caseless));
        }
        if first >= 8 || self.text.contains(&b'(') {
            return Err(Doubt::Unread);
        }
        let byte = self.octal(0, 3)?;
        self.seen.has_last_byte |= byte == u8::MAX;
        Ok(literal(byte, flags, self.library))
    }

    /// At most so many octal digits more.
    fn octal(&mut self, mut value: u32, digits_max: usize) -> Result<u8, Doubt> {
        for _ in 0..digits_max {
            let Some(digit @ b'0'..=b'7') = self.peek() else { break };
            value = value * 8 + u32::from(digit - b'0');
            self.at += 1;
        }
        u8::try_from(value).map_err(|_| Doubt::Refused)
    }

    fn octal_in_braces(&mut self) -> Result<u8, Doubt> {
        self.number_in_braces(8)
    }

    /// `\x4`, `\x41`, `\x{41}`, and for PCRE also no digits at all.
    fn hexadecimal(&mut self) -> Result<u8, Doubt> {
        if self.peek() == Some(b'{') {
            return self.number_in_braces(16);
        }
        let mut value = 0;
        let mut digits = 0;
        while digits < 2 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else { break };
            value = value * 16 + digit;
            digits += 1;
            self.at += 1;
        }
        if digits == 0 && self.library == Library::Pcre2 {
            return Err(Doubt::Refused);
        }
        u8::try_from(value).map_err(|_| Doubt::Refused)
    }

    /// What is no number, PCRE takes for text, or for a mistake.
    fn number_in_braces(&mut self, radix: u32) -> Result<u8, Doubt> {
        if !self.takes("{") {
            return Err(Doubt::Refused);
        }
        let digits = std::str::from_utf8(self.until(b'}')?).map_err(|_| Doubt::Refused)?;
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(Doubt::Refused);
        }
        u8::from_str_radix(digits, radix).map_err(|_| Doubt::Refused)
    }

    /// `\pL`, `\p{Lu}`, `\p{^Lu}`.
    fn category(&mut self, is_negated: bool, flags: Flags) -> Result<ByteSet, Doubt> {
        let name = if self.takes("{") {
            self.until(b'}')?
        } else {
            self.at += 1;
            self.text.get(self.at - 1..self.at).ok_or(Doubt::Refused)?
        };
        let (name, is_negated) = match name.strip_prefix(b"^") {
            Some(name) => (name, !is_negated),
            None => (name, is_negated),
        };
        let name = std::str::from_utf8(name).map_err(|_| Doubt::Unread)?;
        let set = set::by_category(name, flags.is_caseless, self.library).ok_or(Doubt::Unread)?;
        Ok(set.negated_if(is_negated))
    }
}

/// A carriage return with its newline, of which neither is given back, or one byte of a set.
fn pair_or(set: ByteSet) -> Node {
    let pair = Node::Sequence([b'\r', b'\n'].map(|byte| Node::Set(ByteSet::one(byte))).into());
    Node::Atomic(Box::new(Node::Choice(vec![pair, Node::Set(set)])))
}
