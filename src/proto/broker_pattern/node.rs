//! What a pattern is made of, once it is read.

use super::set::ByteSet;

/// Bytes that a part takes in the compiled pattern, generously: with these, whatever stays below
/// [`COMPILED_LEN_MAX`] is surely below the 64 KiB that both libraries can address.
const SET_LEN: u64 = 64;
const SINGLE_LEN: u64 = 2;
const GROUP_LEN: u64 = 12;
/// Above it a pattern may be refused as too large, or not.
pub(super) const COMPILED_LEN_MAX: u64 = 50_000;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// One byte of a set.
    Set(ByteSet),
    /// A place, without taking anything.
    Place(Place),
    /// One after the other.
    Sequence(Vec<Node>),
    /// The first that leads to a match.
    Choice(Vec<Node>),
    /// Several times.
    Repeat(Box<Node>, Times),
    /// A group that can be referred to.
    Group(Box<Node>, usize),
    /// What a group took last, again, in any case or in the same.
    Again(usize, bool),
    /// The first way to fit counts, and no other is tried.
    Atomic(Box<Node>),
    /// Something that fits from here on.
    Ahead(Box<Node>, Wanted),
    /// Something that fits up to here: each way with its length.
    Behind(Vec<(Node, usize)>, Wanted),
}

/// How often, and whether more is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    pub(super) is_greedy: bool,
}

/// Whether what is looked for must be there, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    There,
    Absent,
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    End,
    /// The end, or before a newline that is the last byte.
    LastEnd,
    LineStart,
    LineEnd,
    WordEdge,
    NoWordEdge,
}

impl Node {
    /// What takes nothing and fits anywhere.
    pub(super) fn nothing() -> Self {
        Self::Sequence(Vec::new())
    }

    /// The length of all that fits it, if there is one; what looks around has none, since it is rare where this is asked.
    pub(super) fn fixed_len(&self) -> Option<usize> {
        match self {
            Self::Set(_) => Some(1),
            Self::Place(_) => Some(0),
            Self::Sequence(parts) => parts.iter().map(Self::fixed_len).sum(),
            Self::Choice(ways) => {
                let first = ways.first()?.fixed_len()?;
                ways.iter().all(|way| way.fixed_len() == Some(first)).then_some(first)
            }
            // None at all is a mistake to PCRE where it looks back.
            Self::Repeat(inside, times) if times.max == Some(times.min) && times.min > 0 => {
                usize::try_from(times.min).ok()?.checked_mul(inside.fixed_len()?)
            }
            Self::Group(inside, _) => inside.fixed_len(),
            Self::Repeat(..) | Self::Again(..) | Self::Atomic(_) | Self::Ahead(..) | Self::Behind(..) => None,
        }
    }

    /// Whether it can fit without taking anything. It says so rather once too often.
    pub(super) fn may_be_empty(&self) -> bool {
        match self {
            Self::Set(_) => false,
            Self::Sequence(parts) => parts.iter().all(Self::may_be_empty),
            Self::Choice(ways) => ways.iter().any(Self::may_be_empty),
            Self::Repeat(inside, times) => times.min == 0 || inside.may_be_empty(),
            Self::Group(inside, _) | Self::Atomic(inside) => inside.may_be_empty(),
            Self::Place(_) | Self::Again(..) | Self::Ahead(..) | Self::Behind(..) => true,
        }
    }

    /// At most so long is it when a library has compiled it.
    pub(super) fn compiled_len(&self) -> u64 {
        let sum = |parts: &[Self]| parts.iter().map(Self::compiled_len).fold(0, u64::saturating_add);
        match self {
            Self::Set(set) if set.is_single() => SINGLE_LEN,
            Self::Set(_) => SET_LEN,
            Self::Place(_) | Self::Again(..) => GROUP_LEN,
            Self::Sequence(parts) => sum(parts),
            Self::Choice(ways) => sum(ways).saturating_add(GROUP_LEN.saturating_mul(ways.len() as u64 + 1)),
            Self::Repeat(inside, _) if matches!(**inside, Self::Set(_)) => 2 * inside.compiled_len() + GROUP_LEN,
            Self::Repeat(inside, times) => {
                let copies = u64::from(times.max.unwrap_or(times.min).max(times.min)) + 1;
                inside.compiled_len().saturating_add(GROUP_LEN).saturating_mul(copies)
            }
            Self::Group(inside, _) | Self::Atomic(inside) | Self::Ahead(inside, _) => {
                inside.compiled_len().saturating_add(GROUP_LEN)
            }
            Self::Behind(ways, _) => {
                let ways = ways.iter().map(|(way, _)| way.compiled_len().saturating_add(GROUP_LEN));
                ways.fold(GROUP_LEN, u64::saturating_add)
            }
        }
    }
}
