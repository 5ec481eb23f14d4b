//! Sets of characters: how they are written, and what `(?i)` adds.

use std::collections::BTreeMap;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{
    CLASS_RANGES_MAX,
    escape::escape,
    fold::{Folding, is_uncertain},
    property,
    refusal::{Reason, Refusal},
    scan::Scan,
};

/// What names in `[:` and `:]` mean; `[:^` is what is left.
const NAMED: [(&str, &[(char, char)]); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", &[('0', '9')]),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// Where a set stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    Bracketed,
}

impl Place {
    /// What means the same here, if something does.
    fn fit(self, set: String, is_negated: bool) -> Option<String> {
        let inner = set.strip_prefix('[').and_then(|set| set.strip_suffix(']'));
        match (self, is_negated, inner) {
            (Self::Alone, true, Some(inner)) => Some(format!("[^{inner}]")),
            (Self::Bracketed, true, Some(_)) => None,
            (Self::Bracketed, false, Some(inner)) => Some(inner.to_owned()),
            (_, true, None) => Some(set.replacen(r"\p", r"\P", 1)),
            (_, false, _) => Some(set),
        }
    }
}

/// The sets of one pattern, and how much of them it may still have.
#[derive(Debug)]
pub(super) struct Classes {
    properties: BTreeMap<(String, bool), ClassUnicode>,
    ranges_left: usize,
    folding: Folding,
}

impl Default for Classes {
    fn default() -> Self {
        Self { properties: BTreeMap::new(), ranges_left: CLASS_RANGES_MAX, folding: Folding::default() }
    }
}

impl Classes {
    /// Reads what stands behind `[`, with the bracket that closes it.
    pub fn bracketed(&mut self, scan: &mut Scan<'_>, folds: bool) -> Result<ClassUnicode, Refusal> {
        let start = scan.at() - 1;
        let is_negated = scan.takes("^");
        let mut ranges: Vec<ClassUnicodeRange> = Vec::new();
        let mut is_first = true;
        while is_first || !scan.rest().starts_with(']') {
            is_first = false;
            if let Some(set) = self.set_in_brackets(scan, folds)? {
                ranges.extend_from_slice(set.ranges());
            } else {
                let range = range(scan, start)?;
                self.count_ranges(1, start)?;
                ranges.push(range);
                if folds {
                    if is_uncertain(range) {
                        return Err(Refusal::new(Reason::CaseOfLater, start));
                    }
                    let class = self.folding.fold(&ClassUnicode::new([range]), start)?;
                    self.count_ranges(class.ranges().len(), start)?;
                    ranges.extend_from_slice(class.ranges());
                }
            }
        }
        scan.next();
        let mut class = ClassUnicode::new(ranges);
        if is_negated {
            class.negate();
        }
        Ok(class)
    }

    /// Reads `\d`, `\pL` and the like, if such a set is next.
    pub fn escaped(&mut self, scan: &mut Scan<'_>, folds: bool, place: Place) -> Result<Option<ClassUnicode>, Refusal> {
        let at = scan.at();
        if scan.peek() != Some('\\') {
            return Ok(None);
        }
        let (letter, name) = match scan.second() {
            Some('p' | 'P') => return self.property(scan, folds, place).map(Some),
            Some(letter @ ('d' | 'D')) => (letter, "digit"),
            Some(letter @ ('w' | 'W')) => (letter, "word"),
            Some(letter @ ('s' | 'S')) => (letter, "space"),
            _ => return Ok(None),
        };
        scan.next();
        scan.next();
        let mut class = named(name);
        if name == "space" {
            // Unlike `[:space:]` it is without the vertical tab.
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\x0b', '\x0b')]));
        }
        self.finished(class, folds, letter.is_ascii_uppercase(), at).map(Some)
    }

    fn set_in_brackets(&mut self, scan: &mut Scan<'_>, folds: bool) -> Result<Option<ClassUnicode>, Refusal> {
        let at = scan.at();
        let mut ahead = scan.clone();
        let name = if ahead.takes("[:") { ahead.take_through(":]") } else { None };
        let Some(name) = name else { return self.escaped(scan, folds, Place::Bracketed) };
        let (plain, is_negated) = name.strip_prefix('^').map_or((name, false), |plain| (plain, true));
        if !NAMED.iter().any(|(known, _)| *known == plain) {
            return Err(Refusal::new(Reason::ClassName, at));
        }
        *scan = ahead;
        self.finished(named(plain), folds, is_negated, at).map(Some)
    }

    /// Reads `\pL`, `\P{Greek}`, `\p{^Greek}`.
    fn property(&mut self, scan: &mut Scan<'_>, folds: bool, place: Place) -> Result<ClassUnicode, Refusal> {
        let at = scan.at();
        scan.next();
        let mut is_negated = scan.next() == Some('P');
        let name = if scan.takes("{") {
            scan.take_through("}").ok_or_else(|| Refusal::new(Reason::Property, at))?
        } else {
            let start = scan.at();
            scan.next();
            scan.since(start)
        };
        let plain = name.strip_prefix('^').unwrap_or(name);
        is_negated ^= plain.len() < name.len();
        let key = (plain.to_owned(), folds);
        let class = match self.properties.get(&key) {
            Some(class) => class.clone(),
            None => {
                let class = property::lookup(plain).map_err(|unknown| {
                    let (reason, instead) = unknown;
                    match instead.and_then(|instead| place.fit(instead, is_negated)) {
                        Some(instead) => Refusal::with_swap(reason, at, scan.at(), instead),
                        None => Refusal::new(reason, at),
                    }
                })?;
                let class = if folds { self.folding.fold(&class, at)? } else { class };
                self.properties.insert(key, class.clone());
                class
            }
        };
        self.finished(class, false, is_negated, at)
    }

    /// The set, counted.
    fn finished(
        &mut self,
        class: ClassUnicode,
        folds: bool,
        is_negated: bool,
        at: usize,
    ) -> Result<ClassUnicode, Refusal> {
        let mut class = if folds { self.folding.fold(&class, at)? } else { class };
        if is_negated {
            class.negate();
        }
        self.count_ranges(class.ranges().len(), at)?;
        Ok(class)
    }

    fn count_ranges(&mut self, more: usize, at: usize) -> Result<(), Refusal> {
        let left = self.ranges_left.checked_sub(more);
        self.ranges_left = left.ok_or_else(|| Refusal::new(Reason::ClassesTooLarge, at))?;
        Ok(())
    }
}

/// Reads one character of a set, or a range of them. The set begins at `start`.
fn range(scan: &mut Scan<'_>, start: usize) -> Result<ClassUnicodeRange, Refusal> {
    let at = scan.at();
    let first = character(scan, start)?;
    // Before the closing bracket, the hyphen is one.
    if scan.peek() != Some('-') || matches!(scan.second(), None | Some(']')) {
        return Ok(ClassUnicodeRange::new(first, first));
    }
    scan.next();
    let last = character(scan, start)?;
    if last < first {
        return Err(Refusal::new(Reason::ClassRange, at));
    }
    Ok(ClassUnicodeRange::new(first, last))
}

fn character(scan: &mut Scan<'_>, start: usize) -> Result<char, Refusal> {
    match scan.peek() {
        Some('\\') => escape(scan),
        _ => scan.next().ok_or_else(|| Refusal::new(Reason::ClassOpen, start)),
    }
}

/// The set of this name, or none.
fn named(name: &str) -> ClassUnicode {
    let ranges = NAMED.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, ranges)| ranges);
    ClassUnicode::new(ranges.iter().map(|(first, last)| ClassUnicodeRange::new(*first, *last)))
}
