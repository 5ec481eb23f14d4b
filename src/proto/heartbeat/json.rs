//! JSON as Go's `encoding/json` takes it: what the bytes have to be, and what is in them.
//!
//! Go looks through the whole text first and reads it afterwards, and so does this. Two things set Go apart: a text may
//! hold any bytes, and each that is no UTF-8 becomes U+FFFD, as half a surrogate pair does; and lists and objects may
//! be 10,000 deep, which nothing here answers with recursion.

use crate::proto::Refusal;

/// Lists and objects in one another that Go reads since 2020; before, there was no limit.
const DEPTH_MAX: usize = 10_000;
/// What may stand between values.
const BLANKS: [u8; 4] = *b" \t\r\n";

/// A value, whose bytes were looked through.
#[derive(Clone, Copy, Debug)]
pub enum Value<'b> {
    /// Leaves everything as it was.
    Null,
    /// Yes or no.
    Flag(bool),
    /// As it is written.
    Number(&'b str),
    /// Without the quotation marks, with the escapes.
    Text(&'b [u8]),
    /// With the brackets.
    List(&'b [u8]),
    /// With the braces.
    Object(&'b [u8]),
}

/// The first value of a body and what stands behind it, blanks aside.
pub fn first(body: &[u8]) -> Result<(Value<'_>, &[u8]), Refusal> {
    let mut scan = Scan { bytes: body, at: 0, open: Vec::new() };
    scan.value()?;
    let (value, rest) = body.split_at(scan.at);
    let value = values(value).next().unwrap_or(Value::Null);
    Ok((value, after_blanks(rest)))
}

/// The values of a list.
pub fn elements(list: &[u8]) -> impl Iterator<Item = Value<'_>> {
    values(inside(list))
}

/// The members of an object in their order, each with its name. A name may come several times.
pub fn members(object: &[u8]) -> impl Iterator<Item = (String, Value<'_>)> {
    let mut values = values(inside(object));
    std::iter::from_fn(move || match (values.next()?, values.next()?) {
        (Value::Text(name), value) => Some((text(name), value)),
        _ => None,
    })
}

/// The text that is written between quotation marks.
pub fn text(mut written: &[u8]) -> String {
    let mut text = String::with_capacity(written.len());
    while let Some(at) = written.iter().position(|byte| *byte == b'\\') {
        push_bytes(&mut text, &written[..at]);
        let (meant, len) = escaped(&written[at + 1..]);
        text.push(meant);
        written = &written[(at + 1 + len).min(written.len())..];
    }
    push_bytes(&mut text, written);
    text
}

/// A value as it is written, without the blanks between its parts.
pub fn compact(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for (token, _) in tokens(value) {
        push_bytes(&mut text, token);
    }
    text
}

/// Whether every number of a value is one for Go, which keeps them in 64 bits of floating point.
pub fn has_finite_numbers(value: &[u8]) -> bool {
    tokens(value).filter(|(_, is_number)| *is_number).all(|(token, _)| is_finite(ascii(token)))
}

/// Whether a number is not beyond 64 bits of floating point.
pub fn is_finite(number: &str) -> bool {
    number.parse::<f64>().is_ok_and(f64::is_finite)
}

/// A number is ASCII; nothing else is asked for.
fn ascii(token: &[u8]) -> &str {
    str::from_utf8(token).unwrap_or_default()
}

/// What is between the brackets or braces.
fn inside(container: &[u8]) -> &[u8] {
    container.get(1..container.len().saturating_sub(1)).unwrap_or_default()
}

/// The values that stand one after the other, whatever separates them.
fn values(mut rest: &[u8]) -> impl Iterator<Item = Value<'_>> {
    std::iter::from_fn(move || {
        let from = rest.iter().position(|byte| !BLANKS.contains(byte) && !b",:".contains(byte))?;
        let len = value_len(&rest[from..]);
        let (value, after) = rest[from..].split_at(len);
        rest = after;
        Some(match value[0] {
            b'"' => Value::Text(inside(value)),
            b'[' => Value::List(value),
            b'{' => Value::Object(value),
            b't' | b'f' => Value::Flag(value[0] == b't'),
            b'n' => Value::Null,
            _ => Value::Number(ascii(value)),
        })
    })
}

/// How long the value is with which the bytes begin.
fn value_len(bytes: &[u8]) -> usize {
    let (mut depth, mut len) = (0_usize, 0);
    while len < bytes.len() {
        match bytes[len] {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        len += token_len(&bytes[len..]);
        if depth == 0 {
            break;
        }
    }
    len
}

/// What stands behind the blanks.
fn after_blanks(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().position(|byte| !BLANKS.contains(byte)).unwrap_or(bytes.len());
    &bytes[from..]
}

/// The tokens of a value without its blanks, each with whether it is a number.
fn tokens(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    std::iter::from_fn(move || {
        rest = after_blanks(rest);
        let first = *rest.first()?;
        let (token, after) = rest.split_at(token_len(rest));
        rest = after;
        Some((token, first == b'-' || first.is_ascii_digit()))
    })
}

/// How long the text, the number, the word or the punctuation mark is with which the bytes begin.
fn token_len(bytes: &[u8]) -> usize {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    match bytes.first() {
        Some(b'"') => text_len(bytes),
        Some(byte) if is_word(byte) => bytes.iter().position(|byte| !is_word(byte)).unwrap_or(bytes.len()),
        _ => bytes.len().min(1),
    }
}

/// How long a text is, with its quotation marks.
fn text_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
        at += if *byte == b'\\' { 2 } else { 1 };
    }
    bytes.len().min(at + 1)
}

/// Adds bytes of which each that is part of no character becomes U+FFFD. (`from_utf8_lossy` makes one of several.)
fn push_bytes(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

/// What an escape means, and how long it is without its backslash.
fn escaped(rest: &[u8]) -> (char, usize) {
    match rest.first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => escaped_unit(rest),
        other => (other.map_or(char::REPLACEMENT_CHARACTER, |byte| char::from(*byte)), 1),
    }
}

/// One escape of a UTF-16 unit, or two that are a pair.
fn escaped_unit(rest: &[u8]) -> (char, usize) {
    let unit = |from: usize| u16::from_str_radix(ascii(rest.get(from..from + 4)?), 16).ok();
    let first = unit(1).unwrap_or_default();
    let second = if rest.get(5..7) == Some(br"\u") { unit(7) } else { None };
    let units = [Some(first), second].into_iter().flatten();
    match char::decode_utf16(units).next() {
        Some(Ok(meant)) => (meant, if meant.len_utf16() == 2 { 11 } else { 5 }),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// Looks through bytes, as far as one value goes.
struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
    /// The brackets and braces that are open.
    open: Vec<u8>,
}

impl Scan<'_> {
    fn value(&mut self) -> Result<(), Refusal> {
        loop {
            match self.next()? {
                opening @ (b'[' | b'{') => {
                    self.open(opening)?;
                    if self.peek() == Some(opening + 2) {
                        self.at += 1;
                        self.open.pop();
                    } else {
                        self.name()?;
                        continue;
                    }
                }
                b'"' => self.text()?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                first => self.number(first)?,
            }
            if self.closes()? {
                return Ok(());
            }
        }
    }

    /// What stands behind a value: the ends of what is open. `true` when nothing is open any more.
    fn closes(&mut self) -> Result<bool, Refusal> {
        while let Some(opening) = self.open.last().copied() {
            match self.next()? {
                b',' => return self.name().map(|()| false),
                closing if closing == opening + 2 => drop(self.open.pop()),
                _ => return Err(self.wrong()),
            }
        }
        Ok(true)
    }

    fn open(&mut self, opening: u8) -> Result<(), Refusal> {
        self.open.push(opening);
        if self.open.len() > DEPTH_MAX { Err(Refusal::new("JSON that is too deep")) } else { Ok(()) }
    }

    /// The name of a member and its colon, in an object.
    fn name(&mut self) -> Result<(), Refusal> {
        if self.open.last() != Some(&b'{') {
            return Ok(());
        }
        if self.next()? != b'"' {
            return Err(self.wrong());
        }
        self.text()?;
        if self.next()? == b':' { Ok(()) } else { Err(self.wrong()) }
    }

    /// The rest of a text.
    fn text(&mut self) -> Result<(), Refusal> {
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => match self.byte()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            if !self.byte()?.is_ascii_hexdigit() {
                                return Err(self.wrong());
                            }
                        }
                    }
                    _ => return Err(self.wrong()),
                },
                ..b' ' => return Err(self.wrong()),
                _ => {}
            }
        }
    }

    /// The rest of a word.
    fn word(&mut self, rest: &[u8]) -> Result<(), Refusal> {
        rest.iter().try_for_each(|expected| if self.byte()? == *expected { Ok(()) } else { Err(self.wrong()) })
    }

    /// The rest of a number. A zero is followed by no digit.
    fn number(&mut self, first: u8) -> Result<(), Refusal> {
        let first = if first == b'-' { self.byte()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.wrong()),
        }
        if self.takes(b".") {
            self.digit()?;
        }
        if self.takes(b"eE") {
            self.takes(b"+-");
            self.digit()?;
        }
        Ok(())
    }

    fn digit(&mut self) -> Result<(), Refusal> {
        if !self.byte()?.is_ascii_digit() {
            return Err(self.wrong());
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.takes(b"0123456789") {}
    }

    fn takes(&mut self, any_of: &[u8]) -> bool {
        let takes = self.bytes.get(self.at).is_some_and(|byte| any_of.contains(byte));
        self.at += usize::from(takes);
        takes
    }

    /// The byte that is next, blanks aside.
    fn peek(&mut self) -> Option<u8> {
        while self.takes(&BLANKS) {}
        self.bytes.get(self.at).copied()
    }

    /// Takes the byte that is next, blanks aside.
    fn next(&mut self) -> Result<u8, Refusal> {
        self.peek();
        self.byte()
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        let byte = self.bytes.get(self.at).copied().ok_or(Refusal::new("JSON that ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    /// About the byte that was taken last.
    fn wrong(&self) -> Refusal {
        Refusal::new(format!("no JSON: byte {} does not belong there", self.at))
    }
}
