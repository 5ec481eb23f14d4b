//! From the text of a pattern to its tree.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, Look};

use super::{
    DEPTH_MAX, REPEAT_MAX,
    alternation::alternate,
    class::{Classes, Place},
    escape::{counts, escape},
    fold::is_uncertain,
    node::{Beginnings, Kind, Node, Repeat},
    refusal::{Reason, Refusal},
    scan::Scan,
};

/// The most instructions of Go from 1.19.2 on: 128 MiB of them. Go counts only where many constructs meet many
/// repetitions, and takes a few patterns that have more.
const GO_SIZE_MAX: u64 = (128 << 20) / 40;

/// What flags decide about matching. `U` decides about spans alone, and is read without being kept.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    folds: bool,
    is_multi_line: bool,
    dot_takes_newline: bool,
}

/// What a bracket opened, or the pattern itself.
#[derive(Debug, Default)]
struct Group {
    at: usize,
    /// The flags from before it.
    outer: Flags,
    /// Whether Go numbers it, and counts it where it counts.
    is_numbered: bool,
    /// What stands before the last bar.
    options: Vec<Node>,
    /// What stands behind it.
    parts: Vec<Node>,
}

pub(super) struct Parser<'p> {
    scan: Scan<'p>,
    flags: Flags,
    open: Vec<Group>,
    current: Group,
    classes: Classes,
    /// Whether what was read last is a repetition, which none may follow.
    is_repeated: bool,
}

impl<'p> Parser<'p> {
    pub fn new(pattern: &'p str) -> Self {
        Self {
            scan: Scan::new(pattern),
            flags: Flags::default(),
            open: Vec::new(),
            current: Group::default(),
            classes: Classes::default(),
            is_repeated: false,
        }
    }

    pub fn run(mut self) -> Result<Node, Refusal> {
        while let Some(c) = self.scan.peek() {
            let at = self.scan.at();
            let was_repeated = std::mem::take(&mut self.is_repeated);
            match c {
                '\\' => self.backslash()?,
                '{' => match counts(&mut self.scan) {
                    Some((min, max)) => self.repeat(Repeat { min, max, is_counted: true }, at, was_repeated)?,
                    None => self.text(c)?,
                },
                '*' => self.repeat_by_sign(0, None, was_repeated)?,
                '+' => self.repeat_by_sign(1, None, was_repeated)?,
                '?' => self.repeat_by_sign(0, Some(1), was_repeated)?,
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '[' => self.brackets()?,
                '|' => self.bar()?,
                '^' => self.look(if self.flags.is_multi_line { Look::StartLF } else { Look::Start })?,
                '$' => self.look(if self.flags.is_multi_line { Look::EndLF } else { Look::End })?,
                '.' => self.dot()?,
                _ => self.text(c)?,
            }
        }
        match self.open.last() {
            Some(_) => Err(Refusal::new(Reason::ParenMissing, self.current.at)),
            None => self.finish_group(),
        }
    }

    fn text(&mut self, c: char) -> Result<(), Refusal> {
        let at = self.scan.at();
        self.scan.next();
        self.character(c, at)
    }

    fn character(&mut self, c: char, at: usize) -> Result<(), Refusal> {
        if self.flags.folds && is_uncertain(ClassUnicodeRange::new(c, c)) {
            return Err(Refusal::new(Reason::CaseOfLater, at));
        }
        self.push(Node::literal(c, self.flags.folds), at)
    }

    fn look(&mut self, look: Look) -> Result<(), Refusal> {
        let at = self.scan.at();
        self.scan.next();
        self.push(Node::new(Kind::Look(look)), at)
    }

    fn dot(&mut self) -> Result<(), Refusal> {
        let at = self.scan.at();
        self.scan.next();
        let mut class = ClassUnicode::empty();
        if !self.flags.dot_takes_newline {
            class.push(ClassUnicodeRange::new('\n', '\n'));
        }
        class.negate();
        self.push(Node::class(class), at)
    }

    fn brackets(&mut self) -> Result<(), Refusal> {
        let at = self.scan.at();
        self.scan.next();
        let class = self.classes.bracketed(&mut self.scan, self.flags.folds)?;
        self.push(Node::class(class), at)
    }

    fn backslash(&mut self) -> Result<(), Refusal> {
        let at = self.scan.at();
        let look = match self.scan.second() {
            Some('A') => Look::Start,
            Some('z') => Look::End,
            Some('b') => Look::WordAscii,
            Some('B') => Look::WordAsciiNegate,
            Some('Q') => return self.quoted(),
            _ => {
                let class = self.classes.escaped(&mut self.scan, self.flags.folds, Place::Alone)?;
                return match class {
                    Some(class) => self.push(Node::class(class), at),
                    None => escape(&mut self.scan).and_then(|c| self.character(c, at)),
                };
            }
        };
        self.scan.next();
        self.look(look)
    }

    /// `\Q`, and text up to `\E` or the end.
    fn quoted(&mut self) -> Result<(), Refusal> {
        self.scan.takes(r"\Q");
        let start = self.scan.at();
        let quoted = self.scan.take_through(r"\E").unwrap_or_else(|| self.scan.take_rest());
        for (offset, c) in quoted.char_indices() {
            self.character(c, start + offset)?;
        }
        Ok(())
    }

    fn repeat_by_sign(&mut self, min: u32, max: Option<u32>, was_repeated: bool) -> Result<(), Refusal> {
        let at = self.scan.at();
        self.scan.next();
        self.repeat(Repeat { min, max, is_counted: false }, at, was_repeated)
    }

    /// Repeats the last part. How often is read already, from `at` on.
    fn repeat(&mut self, repeat: Repeat, at: usize, was_repeated: bool) -> Result<(), Refusal> {
        let Repeat { min, max, is_counted } = repeat;
        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
            return Err(Refusal::new(Reason::RepeatCount, at));
        }
        self.scan.takes("?");
        if was_repeated {
            return Err(Refusal::with_swap(Reason::RepeatDoubled, at, self.scan.at(), ""));
        }
        let Some(part) = self.current.parts.pop() else { return Err(Refusal::new(Reason::RepeatNothing, at)) };
        let node = self.checked(Node::new(Kind::Repeat(repeat, Box::new(part))), at)?;
        let is_many = is_counted && (min >= 2 || max.is_some_and(|max| max >= 2));
        if is_many && !node.repeats_at_most(REPEAT_MAX) {
            return Err(Refusal::new(Reason::RepeatCount, at));
        }
        self.current.parts.push(node);
        self.is_repeated = true;
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), Refusal> {
        let at = self.scan.at();
        let outer = self.flags;
        self.scan.next();
        let is_numbered = !self.scan.rest().starts_with('?') || self.named(at)?;
        if !is_numbered && !self.read_flags(at)? {
            return Ok(());
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Refusal::new(Reason::TooManyOpen, at));
        }
        let group = Group { at, outer, is_numbered, ..Group::default() };
        let current = std::mem::replace(&mut self.current, group);
        self.open.push(current);
        Ok(())
    }

    /// Reads `?P<n>`, if it is next.
    fn named(&mut self, at: usize) -> Result<bool, Refusal> {
        let rest = self.scan.rest();
        if rest.starts_with("?<") && !rest.starts_with("?<=") && !rest.starts_with("?<!") {
            return Err(Refusal::with_swap(Reason::NameWithoutP, at, at + "(?<".len(), "(?P<"));
        }
        if !self.scan.takes("?P<") {
            return Ok(false);
        }
        let name = self.scan.take_through(">").unwrap_or_default();
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if is_name { Ok(true) } else { Err(Refusal::new(Reason::Name, at)) }
    }

    /// Reads flags behind `(`, and tells whether they open a group.
    fn read_flags(&mut self, at: usize) -> Result<bool, Refusal> {
        let mut flags = self.flags;
        let (mut value, mut is_set) = (true, true);
        self.scan.next();
        while let Some(c) = self.scan.next() {
            match c {
                'i' => flags.folds = value,
                'm' => flags.is_multi_line = value,
                's' => flags.dot_takes_newline = value,
                'U' => {}
                '-' if value => value = false,
                ':' | ')' if is_set => {
                    self.flags = flags;
                    return Ok(c == ':');
                }
                _ => break,
            }
            is_set = c != '-';
        }
        Err(Refusal::new(Reason::Flags, at))
    }

    fn close_group(&mut self) -> Result<(), Refusal> {
        let at = self.scan.at();
        let Some(outer) = self.open.pop() else { return Err(Refusal::new(Reason::ParenUnexpected, at)) };
        self.scan.next();
        self.flags = self.current.outer;
        let is_numbered = self.current.is_numbered;
        let inner = self.finish_group()?;
        self.current = outer;
        self.push(if is_numbered { Node::new(Kind::Group(Box::new(inner))) } else { inner }, at)
    }

    fn bar(&mut self) -> Result<(), Refusal> {
        self.scan.next();
        self.finish_option()
    }

    /// Takes what stands behind the last bar for an alternative.
    fn finish_option(&mut self) -> Result<(), Refusal> {
        Node::join_literals(&mut self.current.parts);
        let option = Node::concat(std::mem::take(&mut self.current.parts));
        let option = self.checked(option, self.current.at)?;
        self.current.options.push(option);
        Ok(())
    }

    fn finish_group(&mut self) -> Result<Node, Refusal> {
        self.finish_option()?;
        let node = alternate(std::mem::take(&mut self.current.options));
        self.checked(node, self.current.at)
    }

    fn push(&mut self, node: Node, at: usize) -> Result<(), Refusal> {
        Node::join_literals(&mut self.current.parts);
        let node = self.checked(node, at)?;
        self.current.parts.push(node);
        Ok(())
    }

    fn checked(&self, node: Node, at: usize) -> Result<Node, Refusal> {
        if node.height > DEPTH_MAX {
            return Err(Refusal::new(Reason::TooDeep, at));
        }
        if matches!(node.kind, Kind::Alternate(_, Beginnings { is_mixed: true, .. })) {
            return Err(Refusal::new(Reason::MixedCases, at));
        }
        if node.size > GO_SIZE_MAX {
            return Err(Refusal::new(Reason::TooManyRepeated, at));
        }
        Ok(node)
    }
}
