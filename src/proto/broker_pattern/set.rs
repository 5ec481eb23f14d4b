//! Sets of bytes, and those that have names in patterns.
//!
//! Erlang up to 27 brings tables of Latin-1 with its PCRE, Erlang from 28 on leaves PCRE2 with those of ASCII. The tables
//! here are what Erlang 25, 27 and 29 answered when each was asked for each byte.

use super::Library;

/// Inclusive ranges.
type Ranges = &'static [(u8, u8)];

/// Letters of Latin-1 beyond ASCII.
const LETTERS: Ranges = &[(0xAA, 0xAA), (0xB5, 0xB5), (0xBA, 0xBA), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0xFF)];
/// Its small letters. Two ordinal signs are among them, though none has a large one.
const SMALL: Ranges = &[(0xAA, 0xAA), (0xB5, 0xB5), (0xBA, 0xBA), (0xDF, 0xF6), (0xF8, 0xFF)];
/// Its large letters.
const LARGE: Ranges = &[(0xC0, 0xD6), (0xD8, 0xDE)];
/// Its signs, of which the space without a break is one.
const SIGNS: Ranges = &[(0xA0, 0xA9), (0xAB, 0xB4), (0xB6, 0xB9), (0xBB, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7)];
/// From a large letter to its small one, in ASCII and in Latin-1.
const TO_SMALL: u8 = 0x20;

/// General categories of Unicode with their members up to U+00FF, which are the same in both libraries. Those without any
/// are left out.
const CATEGORIES: &[(&str, Ranges)] = &[
    ("Any", &[(0, 0xFF)]),
    ("Cc", &[(0, 0x1F), (0x7F, 0x9F)]),
    ("Cf", &[(0xAD, 0xAD)]),
    ("Ll", &[(b'a', b'z'), (0xB5, 0xB5), (0xDF, 0xF6), (0xF8, 0xFF)]),
    ("Lo", &[(0xAA, 0xAA), (0xBA, 0xBA)]),
    ("Lu", &[(b'A', b'Z'), (0xC0, 0xD6), (0xD8, 0xDE)]),
    ("Nd", &[(b'0', b'9')]),
    ("No", &[(0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE)]),
    ("Pc", &[(b'_', b'_')]),
    ("Pd", &[(b'-', b'-')]),
    ("Pe", &[(b')', b')'), (b']', b']'), (b'}', b'}')]),
    ("Pf", &[(0xBB, 0xBB)]),
    ("Pi", &[(0xAB, 0xAB)]),
    ("Po", &[(0x21, 0x23), (0x25, 0x27), (0x2A, 0x2A), (0x2C, 0x2C), (0x2E, 0x2F), (0x3A, 0x3B), (0x3F, 0x40)]),
    ("Po", &[(0x5C, 0x5C), (0xA1, 0xA1), (0xA7, 0xA7), (0xB6, 0xB7), (0xBF, 0xBF)]),
    ("Ps", &[(b'(', b'('), (b'[', b'['), (b'{', b'{')]),
    ("Sc", &[(b'$', b'$'), (0xA2, 0xA5)]),
    ("Sk", &[(0x5E, 0x5E), (0x60, 0x60), (0xA8, 0xA8), (0xAF, 0xAF), (0xB4, 0xB4), (0xB8, 0xB8)]),
    ("Sm", &[(0x2B, 0x2B), (0x3C, 0x3E), (0x7C, 0x7C), (0x7E, 0x7E), (0xAC, 0xAC), (0xB1, 0xB1), (0xD7, 0xD7)]),
    ("Sm", &[(0xF7, 0xF7)]),
    ("So", &[(0xA6, 0xA6), (0xA9, 0xA9), (0xAE, 0xAE), (0xB0, 0xB0)]),
    ("Zs", &[(0x20, 0x20), (0xA0, 0xA0)]),
];

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u128; 2]);

impl ByteSet {
    /// Every byte.
    pub(super) const ALL: Self = Self([u128::MAX; 2]);

    /// The set of one byte.
    pub(super) fn one(byte: u8) -> Self {
        Self::ranges(&[(byte, byte)])
    }

    /// The bytes of these ranges.
    pub(super) fn ranges(ranges: &[(u8, u8)]) -> Self {
        let mut set = Self::default();
        for (first, last) in ranges {
            (*first..=*last).for_each(|byte| set.insert(byte));
        }
        set
    }

    fn of(is_member: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::default();
        (0..=u8::MAX).filter(|byte| is_member(*byte)).for_each(|byte| set.insert(byte));
        set
    }

    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 7)] |= 1 << (byte & 0x7F);
    }

    /// Whether this byte is in it.
    pub(super) fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 7)] >> (byte & 0x7F) & 1 == 1
    }

    /// Whether it is of exactly one byte.
    pub(super) fn is_single(self) -> bool {
        self.0[0].count_ones() + self.0[1].count_ones() == 1
    }

    /// Whether all that is in it is in the other, too.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.and(other) == other
    }

    /// What is in either.
    pub(super) fn and(self, other: Self) -> Self {
        Self([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    /// What is not in it, if that is asked for.
    pub(super) fn negated_if(self, is_negated: bool) -> Self {
        if is_negated { Self([!self.0[0], !self.0[1]]) } else { self }
    }

    /// With the other case of its letters.
    pub(super) fn in_both_cases(self, library: Library) -> Self {
        Self::of(|byte| self.has(byte) || self.has(other_case(byte, library)))
    }
}

/// The other case of a letter; of anything else itself.
pub(super) fn other_case(byte: u8, library: Library) -> u8 {
    let is_latin = library == Library::Pcre && matches!(byte, 0xC0..=0xD6 | 0xD8..=0xDE | 0xE0..=0xF6 | 0xF8..=0xFE);
    if byte.is_ascii_alphabetic() || is_latin { byte ^ TO_SMALL } else { byte }
}

/// What a letter behind a backslash stands for, if it is a set.
pub(super) fn by_letter(letter: u8, library: Library) -> Option<ByteSet> {
    let set = match letter.to_ascii_lowercase() {
        b'd' => ByteSet::of(|byte| byte.is_ascii_digit()),
        b'w' => word(library),
        b's' => ByteSet::ranges(&[(0x09, 0x0D), (0x20, 0x20)]),
        b'h' => ByteSet::ranges(&[(0x09, 0x09), (0x20, 0x20), (0xA0, 0xA0)]),
        b'v' => line_ends(),
        _ => return None,
    };
    Some(set.negated_if(letter.is_ascii_uppercase()))
}

/// What ends a line, of one byte.
pub(super) fn line_ends() -> ByteSet {
    ByteSet::ranges(&[(0x0A, 0x0D), (0x85, 0x85)])
}

/// Every byte but the newline.
pub(super) fn in_line() -> ByteSet {
    ByteSet::one(b'\n').negated_if(true)
}

/// What the names are made of that the broker gives to queues.
pub(super) fn in_names() -> ByteSet {
    ByteSet::of(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What words are made of.
pub(super) fn word(library: Library) -> ByteSet {
    ByteSet::of(|byte| byte.is_ascii_alphanumeric() || byte == b'_').and(beyond_ascii(LETTERS, library))
}

fn beyond_ascii(ranges: Ranges, library: Library) -> ByteSet {
    if library == Library::Pcre { ByteSet::ranges(ranges) } else { ByteSet::default() }
}

/// What a name stands for in a class: `[:alpha:]`.
pub(super) fn by_posix_name(name: &[u8], is_caseless: bool, library: Library) -> Option<ByteSet> {
    let (ascii, latin): (fn(&u8) -> bool, Ranges) = match name {
        b"alpha" => (u8::is_ascii_alphabetic, LETTERS),
        b"lower" | b"upper" if is_caseless => (u8::is_ascii_alphabetic, LETTERS),
        b"lower" => (u8::is_ascii_lowercase, SMALL),
        b"upper" => (u8::is_ascii_uppercase, LARGE),
        b"alnum" => (u8::is_ascii_alphanumeric, LETTERS),
        b"digit" => (u8::is_ascii_digit, &[]),
        b"xdigit" => (u8::is_ascii_hexdigit, &[]),
        b"word" => return Some(word(library)),
        b"space" => (|byte| matches!(byte, 0x09..=0x0D | 0x20), &[]),
        b"blank" => (|byte| matches!(byte, 0x09 | 0x20), &[]),
        b"cntrl" => (u8::is_ascii_control, &[(0x80, 0x9F)]),
        b"graph" => (u8::is_ascii_graphic, &[(0xA0, 0xFF)]),
        b"print" => (|byte| matches!(byte, 0x20..=0x7E), &[(0xA0, 0xFF)]),
        b"punct" => (u8::is_ascii_punctuation, SIGNS),
        b"ascii" => (u8::is_ascii, &[(0x80, 0xFF)]), // so it is: all of Latin-1
        _ => return None,
    };
    Some(ByteSet::of(|byte| ascii(&byte)).and(beyond_ascii(latin, library)))
}

/// What a general category of Unicode stands for: `\p{Lu}`. Scripts and other properties are not known here.
pub(super) fn by_category(name: &str, is_caseless: bool, library: Library) -> Option<ByteSet> {
    let all = |is_meant: &dyn Fn(&str) -> bool| {
        let meant = CATEGORIES.iter().filter(|(name, _)| is_meant(name));
        meant.fold(ByteSet::default(), |set, (_, ranges)| set.and(ByteSet::ranges(ranges)))
    };
    match name {
        "L&" => Some(all(&|category| matches!(category, "Ll" | "Lu"))),
        // PCRE2 lets them fit letters of both cases where cases do not count, PCRE does not.
        "Ll" | "Lu" | "Lt" if is_caseless && library == Library::Pcre2 => by_category("L&", false, library),
        "C" | "L" | "M" | "N" | "P" | "S" | "Z" => {
            Some(all(&|category| category != "Any" && category.starts_with(name)))
        }
        "Cn" | "Co" | "Cs" | "Lm" | "Lt" | "Mc" | "Me" | "Mn" | "Nl" | "Zl" | "Zp" => Some(ByteSet::default()),
        _ => Some(all(&|category| category == name)).filter(|set| *set != ByteSet::default()),
    }
}
