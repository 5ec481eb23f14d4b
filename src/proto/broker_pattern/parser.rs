//! Reads patterns: what follows one another, and how often. Groups, classes and escapes have modules of their own.

use super::node::{Node, Place, Times};
use super::set::{self, ByteSet};
use super::{Doubt, Library};

/// How deep groups may lie in one another. PCRE allows more, nobody needs more.
const DEPTH_MAX: usize = 100;
/// More of one is a mistake to both libraries.
const COUNT_MAX: u32 = 65_535;

/// A pattern that is being read.
pub(super) struct Parser<'t> {
    pub(super) text: &'t [u8],
    /// How much is read.
    pub(super) at: usize,
    pub(super) library: Library,
    /// How many groups that can be referred to were opened.
    pub(super) groups: usize,
    /// Those of them that are open.
    pub(super) open: Vec<usize>,
    /// Names of groups.
    pub(super) names: Vec<&'t [u8]>,
    /// The largest number that is referred to.
    pub(super) reference_max: usize,
    /// Whether groups share numbers.
    pub(super) has_shared_numbers: bool,
    /// How many lookarounds are open.
    pub(super) looks: usize,
    pub(super) seen: Seen,
    depth: usize,
    /// Whether it is between `\Q` and `\E`.
    is_quoted: bool,
}

/// What `(?ims)` and the like switch.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) is_caseless: bool,
    pub(super) is_by_line: bool,
    pub(super) dot_takes_all: bool,
    pub(super) is_spaced: bool,
    pub(super) is_lazy: bool,
}

/// Sets outside classes, for some of which both libraries are mistaken: of two that follow one another they believe that
/// no byte is in both, and so a repetition of the one gives nothing back to the other. `^\S*\h` does not fit an `x` with a
/// space of Latin-1 behind it, `^\S\h` does. All pairs of sets were tried to find these, with Erlang 25, 27 and 29.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    /// `\S`.
    pub(super) has_solid: bool,
    /// `\h`, `\v`.
    pub(super) has_blank: bool,
    /// `\R`.
    pub(super) has_line_end: bool,
    /// `\w`.
    pub(super) has_word: bool,
    /// The byte 255.
    pub(super) has_last_byte: bool,
    /// `\P{L}`, `\p{^L}`.
    pub(super) has_negated_category: bool,
    /// Any repetition: which of the sets is repeated, and what follows it, is not looked at.
    has_repetition: bool,
}

impl Seen {
    fn misleads(self, library: Library) -> bool {
        let is_last_byte_lost = library == Library::Pcre && self.has_word && self.has_last_byte;
        let is_blank_lost = self.has_solid && self.has_blank;
        let is_lost = is_last_byte_lost || is_blank_lost || self.has_line_end || self.has_negated_category;
        self.has_repetition && is_lost
    }
}

/// What is read as one.
pub(super) enum Atom {
    /// It can be repeated.
    Part(Node),
    /// It cannot, or what both libraries make of that is not known here.
    Fixed(Node),
}

impl<'t> Parser<'t> {
    /// All of a pattern, and how many groups it has.
    ///
    /// # Errors
    /// Why that cannot be read.
    pub(super) fn read(text: &'t [u8], library: Library) -> Result<(Node, usize), Doubt> {
        let mut parser = Self {
            text,
            at: 0,
            library,
            groups: 0,
            open: Vec::new(),
            names: Vec::new(),
            reference_max: 0,
            has_shared_numbers: false,
            looks: 0,
            seen: Seen::default(),
            depth: 0,
            is_quoted: false,
        };
        let node = parser.ways(Flags::default())?;
        if parser.at < text.len() || parser.reference_max > parser.groups {
            return Err(Doubt::Refused);
        }
        if parser.reference_max > 0 && parser.has_shared_numbers {
            return Err(Doubt::Unread);
        }
        if parser.seen.misleads(library) {
            return Err(Doubt::Mistaken);
        }
        Ok((node, parser.groups))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    pub(super) fn takes(&mut self, text: &str) -> bool {
        let is_next = self.text[self.at..].starts_with(text.as_bytes());
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    /// What lies before this byte, which is taken, too.
    pub(super) fn until(&mut self, end: u8) -> Result<&'t [u8], Doubt> {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|byte| *byte == end).ok_or(Doubt::Refused)?;
        self.at += len + 1;
        Ok(&rest[..len])
    }

    /// What is between bars, to the end of the group. Switches hold behind the bars, too.
    pub(super) fn ways(&mut self, mut flags: Flags) -> Result<Node, Doubt> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Doubt::TooLarge);
        }
        let mut ways = vec![self.sequence(&mut flags)?];
        while self.peek() == Some(b'|') {
            self.at += 1;
            ways.push(self.sequence(&mut flags)?);
        }
        self.depth -= 1;
        Ok(if ways.len() == 1 { ways.remove(0) } else { Node::Choice(ways) })
    }

    fn sequence(&mut self, flags: &mut Flags) -> Result<Node, Doubt> {
        let mut parts = Vec::new();
        loop {
            self.skip_ignored(*flags)?;
            let Some(next) = self.peek() else { break };
            if self.is_quoted {
                self.at += 1;
                parts.push(self.repeated(Atom::Part(literal(next, *flags, self.library)), *flags)?);
                continue;
            }
            if matches!(next, b'|' | b')') {
                break;
            }
            if let Some(atom) = self.atom(flags)? {
                parts.push(self.repeated(atom, *flags)?);
            }
        }
        Ok(Node::Sequence(parts))
    }

    /// One thing; nothing if it only switches.
    fn atom(&mut self, flags: &mut Flags) -> Result<Option<Atom>, Doubt> {
        let place = |place| Ok(Some(Atom::Fixed(Node::Place(place))));
        let start = self.at;
        let Some(next) = self.next() else { return Err(Doubt::Refused) };
        match next {
            b'\\' => self.escape(*flags).map(Some),
            b'[' => self.class(*flags).map(|set| Some(Atom::Part(Node::Set(set)))),
            b'(' => self.group(flags),
            b'^' => place(if flags.is_by_line { Place::LineStart } else { Place::Start }),
            b'$' => place(if flags.is_by_line { Place::LineEnd } else { Place::LastEnd }),
            b'.' => {
                let set = if flags.dot_takes_all { ByteSet::ALL } else { set::in_line() };
                Ok(Some(Atom::Part(Node::Set(set))))
            }
            b'*' | b'+' | b'?' => Err(Doubt::Refused),
            b'{' => {
                self.at = start;
                if self.count()?.is_some() {
                    return Err(Doubt::Refused);
                }
                self.at = start + 1;
                Ok(Some(Atom::Part(literal(next, *flags, self.library))))
            }
            _ => Ok(Some(Atom::Part(literal(next, *flags, self.library)))),
        }
    }

    /// What is there and means nothing: comments, empty quotations, blanks where they are ignored.
    fn skip_ignored(&mut self, flags: Flags) -> Result<(), Doubt> {
        loop {
            if self.takes(r"\E") {
                self.is_quoted = false;
            } else if self.is_quoted {
                return Ok(());
            } else if self.takes(r"\Q") {
                self.is_quoted = true;
            } else if self.takes("(?#") {
                self.until(b')')?;
            } else if flags.is_spaced && self.peek().is_some_and(|byte| matches!(byte, 0x09..=0x0D | b' ')) {
                self.at += 1;
            } else if flags.is_spaced && self.takes("#") {
                while self.next().is_some_and(|byte| byte != b'\n') {}
            } else {
                return Ok(());
            }
        }
    }

    /// With how often it may come.
    fn repeated(&mut self, atom: Atom, flags: Flags) -> Result<Node, Doubt> {
        self.skip_ignored(flags)?;
        let range = if self.is_quoted { None } else { self.count()? };
        let Some((min, max)) = range else {
            return Ok(match atom {
                Atom::Part(node) | Atom::Fixed(node) => node,
            });
        };
        let node = match atom {
            Atom::Part(node) => node,
            Atom::Fixed(Node::Place(_)) => return Err(Doubt::Refused),
            Atom::Fixed(_) => return Err(Doubt::Unread),
        };
        self.seen.has_repetition = true;
        let (is_swapped, is_atomic) = (self.takes("?"), self.takes("+"));
        if is_swapped && is_atomic {
            return Err(Doubt::Refused);
        }
        let times = Times { min, max, is_greedy: is_swapped == flags.is_lazy || is_atomic };
        self.skip_ignored(flags)?;
        if !self.is_quoted && self.count()?.is_some() {
            return Err(Doubt::Refused);
        }
        let node = Node::Repeat(Box::new(node), times);
        Ok(if is_atomic { Node::Atomic(Box::new(node)) } else { node })
    }

    /// How often, if that is what comes next.
    fn count(&mut self) -> Result<Option<(u32, Option<u32>)>, Doubt> {
        let range = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => return self.braces(),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(range))
    }

    /// `{2}`, `{2,}`, `{2,3}`; for PCRE2 also without the first number, and with blanks. All else is text.
    fn braces(&mut self) -> Result<Option<(u32, Option<u32>)>, Doubt> {
        let inside = &self.text[self.at + 1..];
        let Some(len) = inside.iter().position(|byte| *byte == b'}') else { return Ok(None) };
        let is_loose = self.library == Library::Pcre2;
        let number = |text: &[u8]| {
            let text = std::str::from_utf8(text).ok()?;
            let text = if is_loose { text.trim_matches([' ', '\t']) } else { text };
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.to_owned())
        };
        let mut parts = inside[..len].splitn(2, |byte| *byte == b',').map(number);
        let (min, max) = match (parts.next().flatten(), parts.next()) {
            (Some(only), None) if !only.is_empty() => (only.clone(), Some(only)),
            (Some(min), Some(Some(max))) if !min.is_empty() => (min, Some(max).filter(|max| !max.is_empty())),
            (Some(_), Some(Some(max))) if is_loose && !max.is_empty() => ("0".to_owned(), Some(max)),
            _ => return Ok(None),
        };
        let value = |digits: String| digits.parse().ok().filter(|count| *count <= COUNT_MAX).ok_or(Doubt::Refused);
        let (min, max) = (value(min)?, max.map(value).transpose()?);
        if max.is_some_and(|max| max < min) {
            return Err(Doubt::Refused);
        }
        self.at += len + 2;
        Ok(Some((min, max)))
    }
}

/// A byte as it stands there.
pub(super) fn literal(byte: u8, flags: Flags, library: Library) -> Node {
    let set = ByteSet::one(byte);
    Node::Set(if flags.is_caseless { set.in_both_cases(library) } else { set })
}
