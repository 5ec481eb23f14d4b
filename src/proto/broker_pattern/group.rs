//! Reads what stands in parentheses.

use super::node::{Node, Wanted};
use super::parser::{Atom, Flags, Parser};
use super::{Doubt, Library};

/// Longer names are refused by PCRE.
const NAME_LEN_MAX: usize = 32;
/// How far back is looked: PCRE2 allows more only where all ways are as long.
const BEHIND_LEN_MAX: usize = 255;

impl<'t> Parser<'t> {
    /// A group; its parenthesis is read. Nothing comes of what only switches.
    pub(super) fn group(&mut self, flags: &mut Flags) -> Result<Option<Atom>, Doubt> {
        if self.takes("*") {
            return Err(Doubt::Unread);
        }
        if !self.takes("?") {
            return self.numbered(*flags).map(Some);
        }
        let node = if self.takes(":") {
            self.inside(*flags)?
        } else if self.takes("|") {
            self.has_shared_numbers = true;
            self.inside(*flags)?
        } else if self.takes(">") {
            Node::Atomic(Box::new(self.inside(*flags)?))
        } else if self.takes("=") {
            return self.ahead(Wanted::There, *flags).map(Some);
        } else if self.takes("!") {
            return self.ahead(Wanted::Absent, *flags).map(Some);
        } else if self.takes("<=") {
            return self.behind(Wanted::There, *flags).map(Some);
        } else if self.takes("<!") {
            return self.behind(Wanted::Absent, *flags).map(Some);
        } else if self.takes("P<") || self.takes("<") {
            return self.named(b'>', *flags).map(Some);
        } else if self.takes("'") {
            return self.named(b'\'', *flags).map(Some);
        } else {
            return self.switches(flags);
        };
        Ok(Some(Atom::Part(node)))
    }

    /// All up to the parenthesis that closes.
    fn inside(&mut self, flags: Flags) -> Result<Node, Doubt> {
        let node = self.ways(flags)?;
        if self.takes(")") { Ok(node) } else { Err(Doubt::Refused) }
    }

    fn numbered(&mut self, flags: Flags) -> Result<Atom, Doubt> {
        self.groups += 1;
        let number = self.groups;
        self.open.push(number);
        let node = self.inside(flags)?;
        self.open.pop();
        Ok(Atom::Part(Node::Group(Box::new(node), number)))
    }

    fn named(&mut self, end: u8, flags: Flags) -> Result<Atom, Doubt> {
        let name: &'t [u8] = self.until(end)?;
        let is_word = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let is_name = is_word && name.first().is_some_and(|byte| !byte.is_ascii_digit());
        if !is_name || name.len() > NAME_LEN_MAX || self.names.contains(&name) {
            return Err(Doubt::Refused);
        }
        self.names.push(name);
        self.numbered(flags)
    }

    fn ahead(&mut self, wanted: Wanted, flags: Flags) -> Result<Atom, Doubt> {
        self.looks += 1;
        let node = self.inside(flags)?;
        self.looks -= 1;
        Ok(Atom::Fixed(Node::Ahead(Box::new(node), wanted)))
    }

    /// Each way has a length, or PCRE refuses it; PCRE2 takes some more.
    fn behind(&mut self, wanted: Wanted, flags: Flags) -> Result<Atom, Doubt> {
        self.looks += 1;
        let node = self.inside(flags)?;
        self.looks -= 1;
        let ways = if let Node::Choice(ways) = node { ways } else { vec![node] };
        let with_len = |way: Node| {
            let len = way.fixed_len().filter(|len| *len <= BEHIND_LEN_MAX).ok_or(Doubt::Unread)?;
            Ok((way, len))
        };
        let ways = ways.into_iter().map(with_len).collect::<Result<_, _>>()?;
        Ok(Atom::Fixed(Node::Behind(ways, wanted)))
    }

    /// `(?i)` for what follows, or `(?i:…)` for what is inside.
    fn switches(&mut self, flags: &mut Flags) -> Result<Option<Atom>, Doubt> {
        let mut switched = *flags;
        let mut is_on = true;
        let mut before = 0;
        loop {
            let letter = self.next().ok_or(Doubt::Refused)?;
            match letter {
                b'i' => switched.is_caseless = is_on,
                b'm' => switched.is_by_line = is_on,
                b's' => switched.dot_takes_all = is_on,
                // PCRE2 ignores blanks in classes, too, if it stands there twice.
                b'x' if before == b'x' && self.library == Library::Pcre2 => return Err(Doubt::Unread),
                b'x' => switched.is_spaced = is_on,
                b'U' => switched.is_lazy = is_on,
                b'-' if is_on => is_on = false,
                b')' | b':' if switched.is_spaced && !self.text.is_ascii() => return Err(Doubt::Unread),
                b')' => {
                    *flags = switched;
                    return Ok(None);
                }
                b':' => return self.inside(switched).map(|node| Some(Atom::Part(node))),
                _ => return Err(Doubt::Unread),
            }
            before = letter;
        }
    }
}
