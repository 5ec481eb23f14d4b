//! The tree of a pattern, built as Go builds it, so that its limits are Go's.

use std::slice;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

use super::fold::both_cases;

/// A part of a pattern, with what its limits ask for.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub kind: Kind,
    /// How many constructs are within one another here, and at most so many in Go.
    pub height: usize,
    /// The same without groups, which the program does not have.
    pub depth: usize,
    /// How many instructions it is at most, as Go counts them.
    pub size: u64,
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Empty,
    /// Neighbours that nothing repeats are one.
    Literal {
        text: String,
        folds: bool,
    },
    Class(ClassUnicode),
    Look(Look),
    Group(Box<Node>),
    Repeat(Repeat, Box<Node>),
    Concat(Vec<Node>),
    Alternate(Vec<Node>, Beginnings),
}

/// What neighbours among alternatives begin with in common. Go moves it out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Beginnings {
    /// How much it is at most, in characters and other parts.
    pub shared: usize,
    /// Whether neighbours differ first in a letter that has its case in one and both cases in the other, as in
    /// `A.|[Aa]b`. Go up to 1.24 does not see that difference, and takes the letter of the first for both.
    pub is_mixed: bool,
}

/// How often. That a repetition wants much or little decides about spans, and never about whether there is a match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Repeat {
    pub min: u32,
    pub max: Option<u32>,
    /// Whether it is written with numbers: these Go multiplies.
    pub is_counted: bool,
}

impl Repeat {
    fn size(self, inner: u64) -> u64 {
        match (self.is_counted, self.min, self.max) {
            (_, 0, None) => 2 + inner,
            (false, ..) => 1 + inner,
            (true, min, None) => 1 + u64::from(min) * inner,
            (true, min, Some(max)) => u64::from(max) * inner + u64::from(max - min),
        }
    }
}

impl Node {
    pub fn new(kind: Kind) -> Self {
        let (height, depth, size) = match &kind {
            Kind::Empty | Kind::Class(_) | Kind::Look(_) => (0, 0, 1),
            Kind::Literal { text, .. } => (0, 0, text.chars().count() as u64),
            Kind::Group(inner) => (inner.height, inner.depth - 1, 2 + inner.size),
            Kind::Repeat(repeat, inner) => (inner.height, inner.depth, repeat.size(inner.size)),
            Kind::Concat(parts) => (highest(parts), deepest(parts), total(parts)),
            // Each beginning that is moved out takes a concatenation and an alternation more.
            Kind::Alternate(options, beginnings) => {
                let bars = options.len().saturating_sub(1);
                (highest(options) + 2 * bars.min(beginnings.shared), deepest(options), total(options) + bars as u64)
            }
        };
        Self { kind, height: height + 1, depth: depth + 1, size: size.max(1) }
    }

    /// One character, which is text.
    pub fn literal(c: char, folds: bool) -> Self {
        // Under `(?i)` Go keeps the lowest character of those that are the same letter.
        let lowest = if folds { both_cases(c).ranges().first().map(ClassUnicodeRange::start) } else { None };
        Self::new(Kind::Literal { text: lowest.unwrap_or(c).into(), folds })
    }

    /// A class. One of a single character, or of one in both its cases, Go takes for text.
    pub fn class(class: ClassUnicode) -> Self {
        let first = class.ranges().first().map(ClassUnicodeRange::start);
        let count: usize = class.ranges().iter().take(2).map(ClassUnicodeRange::len).sum();
        match first {
            Some(one) if count == 1 && class.ranges().len() == 1 => Self::literal(one, false),
            Some(one) if count == 2 && class == both_cases(one) => Self::literal(one, true),
            _ => Self::new(Kind::Class(class)),
        }
    }

    /// What is behind one another. What is a concatenation itself is taken apart.
    pub fn concat(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            match part.kind {
                Kind::Concat(inner) => all.extend(inner),
                _ => all.push(part),
            }
        }
        Self::new(if all.is_empty() { Kind::Empty } else { Kind::Concat(all) })
    }

    /// Text that ends with more of its kind becomes one, which Go does whenever something is put behind both.
    pub fn join_literals(parts: &mut Vec<Self>) {
        let [.., one, other] = parts.as_mut_slice() else { return };
        let (Kind::Literal { text, folds }, Kind::Literal { text: more, folds: also }) = (&mut one.kind, &other.kind)
        else {
            return;
        };
        if folds == also {
            text.push_str(more);
            one.size += other.size;
            parts.pop();
        }
    }

    /// Whether no part is repeated more than `count` times, repetitions within repetitions multiplied.
    pub fn repeats_at_most(&self, count: u32) -> bool {
        let mut node = self;
        while let Kind::Group(inner) = &node.kind {
            node = inner;
        }
        match &node.kind {
            Kind::Repeat(Repeat { max: Some(0), is_counted: true, .. }, _) => true,
            Kind::Repeat(Repeat { min, max, is_counted: true }, inner) => {
                let times = max.unwrap_or(*min);
                times <= count && inner.repeats_at_most(count / times.max(1))
            }
            Kind::Repeat(_, inner) => inner.repeats_at_most(count),
            Kind::Concat(parts) | Kind::Alternate(parts, _) => parts.iter().all(|part| part.repeats_at_most(count)),
            _ => true,
        }
    }

    /// The same for the crate that matches. Groups go, since nobody asks what they matched.
    pub fn into_hir(self) -> Hir {
        // A thousand groups around one another would take a thousand frames.
        let mut node = self;
        while let Kind::Group(inner) = node.kind {
            node = *inner;
        }
        match node.kind {
            Kind::Empty => Hir::empty(),
            Kind::Literal { text, folds: false } => Hir::literal(text.into_bytes()),
            Kind::Literal { text, folds: true } => {
                Hir::concat(text.chars().map(|c| class_hir(both_cases(c))).collect())
            }
            Kind::Class(class) => class_hir(class),
            Kind::Look(look) => Hir::look(look),
            Kind::Group(inner) => inner.into_hir(),
            Kind::Repeat(Repeat { min, max, .. }, inner) => {
                Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(inner.into_hir()) })
            }
            Kind::Concat(parts) => Hir::concat(parts.into_iter().map(Self::into_hir).collect()),
            Kind::Alternate(options, _) => Hir::alternation(options.into_iter().map(Self::into_hir).collect()),
        }
    }

    /// The characters that it is, if it is one, or a class.
    pub fn ranges(&self) -> Option<Vec<ClassUnicodeRange>> {
        match &self.kind {
            Kind::Class(class) => Some(class.ranges().to_vec()),
            Kind::Literal { text, folds } => {
                let mut chars = text.chars();
                let (Some(one), None) = (chars.next(), chars.next()) else { return None };
                Some(if *folds { both_cases(one).ranges().to_vec() } else { vec![ClassUnicodeRange::new(one, one)] })
            }
            _ => None,
        }
    }

    /// What it consists of, one behind another.
    pub fn parts(&self) -> &[Self] {
        match &self.kind {
            Kind::Concat(parts) => parts,
            _ => slice::from_ref(self),
        }
    }
}

fn class_hir(class: ClassUnicode) -> Hir {
    Hir::class(Class::Unicode(class))
}

fn highest(nodes: &[Node]) -> usize {
    nodes.iter().map(|node| node.height).max().unwrap_or_default()
}

fn deepest(nodes: &[Node]) -> usize {
    nodes.iter().map(|node| node.depth).max().unwrap_or_default()
}

fn total(nodes: &[Node]) -> u64 {
    nodes.iter().map(|node| node.size).sum()
}
