//! Why a pattern is refused, where, and what could be written for it.

use std::{fmt, ops::Range};

use super::{
    CLASS_RANGES_MAX, DEPTH_MAX, FOLDED_MAX, PATTERN_LEN_MAX, PROGRAM_DEPTH_MAX, PROGRAM_SIZE_MAX, REPEAT_MAX,
};

/// Whose refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Every version of Go refuses it, and a scheduler of any age stops at it.
    EveryGo,
    /// Some versions of Go take it, or take it for something else than others do.
    SomeGo,
    /// Go takes it, and it is refused here.
    Here,
}

/// What is wrong at the place that a [`Refusal`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `[a`
    ClassOpen,
    /// `[b-a]`
    ClassRange,
    /// `[[:foo:]]`
    ClassName,
    /// `\y`
    Escape,
    /// `\` at the end
    EscapeTrailing,
    /// `(a`
    ParenMissing,
    /// `a)`
    ParenUnexpected,
    /// `*a`
    RepeatNothing,
    /// `a**`
    RepeatDoubled,
    /// `a{1001}`, `(a{100}){100}`
    RepeatCount,
    /// `(?x)`, `(?=a)`
    Flags,
    /// `(?P<n.x>a)`
    Name,
    /// `\p{Greeek}`
    Property,
    /// More than [`DEPTH_MAX`] constructs within one another.
    TooDeep,
    /// More than [`DEPTH_MAX`] brackets are open at once.
    TooManyOpen,
    /// Versions from 1.19.2 on refuse what repeats too much; earlier ones do not count.
    TooManyRepeated,
    /// `(?<n>a)`: from 1.22 on.
    NameWithoutP,
    /// `\p{greek}`, `\p{LC}`: from 1.25 on, or a script that Unicode 12 does not have.
    PropertyOfLater,
    /// `\pC`: with unassigned characters from 1.25 on, without them before.
    CategoryC,
    /// `(?i)ΐ`: a character that got another case in Unicode 13 or later.
    CaseOfLater,
    /// `A.|[Aa]b`: versions up to 1.24 take the letter of one alternative for both.
    MixedCases,
    /// `\x{d800}`: no text has it, and yet Go takes U+FFFD for it, some versions in some patterns.
    Surrogate,
    /// Longer than a line that the scheduler reads.
    TooLong,
    /// Classes of too many characters.
    ClassesTooLarge,
    /// More than [`PROGRAM_DEPTH_MAX`] repetitions, alternations and concatenations within one another.
    ProgramTooDeep,
    /// The program would become too large.
    ProgramTooLarge,
}

impl Reason {
    /// Who refuses it.
    pub fn side(self) -> Side {
        match self {
            Self::TooManyRepeated
            | Self::NameWithoutP
            | Self::PropertyOfLater
            | Self::CategoryC
            | Self::CaseOfLater
            | Self::MixedCases
            | Self::Surrogate => Side::SomeGo,
            Self::TooLong
            | Self::TooManyOpen
            | Self::ClassesTooLarge
            | Self::ProgramTooDeep
            | Self::ProgramTooLarge => Side::Here,
            _ => Side::EveryGo,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClassOpen => out.write_str("the bracket `[` is never closed"),
            Self::ClassRange => out.write_str("the range ends before it begins"),
            Self::ClassName => out.write_str("there is no class of this name"),
            Self::Escape => out.write_str("Go does not know this escape"),
            Self::EscapeTrailing => out.write_str("a backslash ends the pattern"),
            Self::ParenMissing => out.write_str("the bracket `(` is never closed"),
            Self::ParenUnexpected => out.write_str("the bracket `)` was never opened"),
            Self::RepeatNothing => out.write_str("there is nothing to repeat"),
            Self::RepeatDoubled => out.write_str("a repetition is repeated; Go wants it in a group"),
            Self::RepeatCount => write!(
                out,
                "Go repeats at most {REPEAT_MAX} times, groups within groups multiplied, and no range that ends before it begins"
            ),
            Self::Flags => out.write_str("Go does not know this kind of group, or this flag"),
            Self::Name => out.write_str("a group's name is letters of ASCII, digits and `_`"),
            Self::Property => out.write_str("Go does not know this property"),
            Self::TooDeep => write!(out, "it nests more than {DEPTH_MAX} deep"),
            Self::TooManyOpen => write!(out, "more than {DEPTH_MAX} brackets are open at once"),
            Self::TooManyRepeated => out.write_str("it repeats so much that newer versions of Go refuse it"),
            Self::NameWithoutP => out.write_str("Go before 1.22 does not take a name without `P`"),
            Self::PropertyOfLater => out.write_str("Go before 1.25 does not know this property, or not by this name"),
            Self::CategoryC => out.write_str("Go from 1.25 on counts unassigned characters in, Go before it does not"),
            Self::CaseOfLater => {
                out.write_str("which other case a character has under `(?i)` here depends on the version of Go")
            }
            Self::MixedCases => out.write_str(
                "two alternatives begin with the same letter, in one of them in both cases: Go up to 1.24 takes the \
                 first one's for both",
            ),
            Self::Surrogate => out.write_str("half a character of UTF-16 is in no text"),
            Self::TooLong => write!(out, "a pattern has at most {PATTERN_LEN_MAX} bytes"),
            Self::ClassesTooLarge => write!(
                out,
                "its classes have more than {CLASS_RANGES_MAX} ranges, or {FOLDED_MAX} characters under `(?i)`"
            ),
            Self::ProgramTooDeep => {
                write!(out, "more than {PROGRAM_DEPTH_MAX} repetitions and alternatives are within one another")
            }
            Self::ProgramTooLarge => write!(out, "its program has more than {PROGRAM_SIZE_MAX} bytes"),
        }
    }
}

/// A pattern is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// How many bytes of the pattern stand before what is refused.
    pub at: usize,
    /// A pattern that is taken, and was probably meant.
    pub instead: Option<String>,
    /// What the part that is refused could be written as.
    swap: Option<(Range<usize>, String)>,
}

impl Refusal {
    pub(super) fn new(reason: Reason, at: usize) -> Self {
        Self { reason, at, instead: None, swap: None }
    }

    /// Refused from `at` up to `end`, for which this could stand.
    pub(super) fn with_swap(reason: Reason, at: usize, end: usize, text: impl Into<String>) -> Self {
        Self { swap: Some((at..end, text.into())), ..Self::new(reason, at) }
    }

    /// The same, of a text in which the pattern stands.
    pub fn moved(self, at: usize, instead: Option<String>) -> Self {
        Self { at, instead, ..self }
    }

    /// The pattern with what could stand for the refused part.
    pub(super) fn swapped(&self, pattern: &str) -> Option<String> {
        let (part, text) = self.swap.as_ref()?;
        Some(format!("{}{text}{}", pattern.get(..part.start)?, pattern.get(part.end..)?))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "at byte {}: {}", self.at, self.reason)?;
        match &self.instead {
            Some(instead) => write!(out, "; was `{instead}` meant?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
