//! Alternatives, and what they begin with in common. Go moves that out of them.

use std::mem;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::node::{Beginnings, Kind, Node, Repeat};

/// What may be instead of one another. Neighbours that are single characters or classes become one class.
pub(super) fn alternate(options: Vec<Node>) -> Node {
    let mut options = merge_classes(options);
    if options.len() == 1 {
        let only = options.remove(0);
        return if let Kind::Class(class) = only.kind { Node::class(class) } else { only };
    }
    let mut all: Vec<Node> = Vec::with_capacity(options.len());
    let mut beginnings = Beginnings::default();
    for option in options {
        let (more, inside) = match option.kind {
            Kind::Alternate(options, inside) => (options, inside),
            _ => (vec![option], Beginnings::default()),
        };
        let border = all.last().zip(more.first()).map(|(one, other)| Beginnings::of(one, other));
        beginnings = beginnings.or(inside).or(border.unwrap_or_default());
        all.extend(more);
    }
    Node::new(Kind::Alternate(all, beginnings))
}

/// Neighbours that are one character each, or a class, as one class.
fn merge_classes(options: Vec<Node>) -> Vec<Node> {
    let mut merged = Vec::with_capacity(options.len());
    let mut run = Vec::new();
    for option in options {
        if option.ranges().is_some() {
            run.push(option);
        } else {
            merged.extend(as_one(mem::take(&mut run)));
            merged.push(option);
        }
    }
    merged.extend(as_one(run));
    merged
}

/// The class of characters and classes. The same character over and over stays text.
fn as_one(run: Vec<Node>) -> Option<Node> {
    let ranges: Vec<ClassUnicodeRange> = run.iter().filter_map(Node::ranges).flatten().collect();
    let mut run = run.into_iter();
    let first = run.next()?;
    Some(if run.all(|other| other == first) { first } else { Node::new(Kind::Class(ClassUnicode::new(ranges))) })
}

impl Beginnings {
    /// Of two neighbours.
    fn of(one: &Node, other: &Node) -> Self {
        let mut shared = 0;
        for (unit, other_unit) in units(one).zip(units(other)) {
            if unit != other_unit {
                let is_mixed = unit.is_mixed(other_unit) || may_be_mixed((one, unit), (other, other_unit));
                return Self { shared, is_mixed };
            }
            if !unit.is_movable() {
                break;
            }
            shared += 1;
        }
        Self { shared, is_mixed: false }
    }

    /// Of all together.
    fn or(self, other: Self) -> Self {
        Self { shared: self.shared.max(other.shared), is_mixed: self.is_mixed || other.is_mixed }
    }
}

/// What is moved out as one.
#[derive(Clone, Copy, PartialEq)]
enum Unit<'n> {
    /// Whether it stands for both cases comes second.
    Letter(char, bool),
    Part(&'n Node),
}

impl Unit<'_> {
    /// Whether Go moves it out: letters, classes, and both repeated so and so often.
    fn is_movable(self) -> bool {
        match self {
            Self::Letter(..) => true,
            Self::Part(node) => match &node.kind {
                Kind::Class(_) => true,
                Kind::Alternate(_, inside) => inside.shared > 0,
                Kind::Repeat(repeat, inner) => {
                    is_fixed(*repeat) && (matches!(inner.kind, Kind::Class(_)) || only_letter(inner).is_some())
                }
                _ => false,
            },
        }
    }

    fn is_alternate(self) -> bool {
        matches!(self, Self::Part(Node { kind: Kind::Alternate(_, Beginnings { shared: 1.., .. }), .. }))
    }

    /// What an alternation begins with.
    fn first(self) -> Option<Self> {
        match self {
            Self::Part(Node { kind: Kind::Alternate(options, _), .. }) => units(options.first()?).next()?.first(),
            _ => Some(self),
        }
    }

    fn is_mixed(self, other: Self) -> bool {
        match (self, other) {
            (Self::Letter(one, folds), Self::Letter(other, also)) => one == other && folds != also,
            (Self::Part(one), Self::Part(other)) => {
                let (Kind::Repeat(repeat, one), Kind::Repeat(same, other)) = (&one.kind, &other.kind) else {
                    return false;
                };
                let letters = only_letter(one).zip(only_letter(other));
                is_fixed(*repeat) && repeat == same && letters.is_some_and(|(one, other)| one.is_mixed(other))
            }
            _ => false,
        }
    }
}

/// Whether neighbours may turn out mixed when Go moves out what the alternatives within one of them share. This does
/// not follow Go there: where letters with and without both their cases come together it says yes.
fn may_be_mixed(one: (&Node, Unit<'_>), other: (&Node, Unit<'_>)) -> bool {
    let firsts = one.1.first().zip(other.1.first());
    (one.1.is_alternate() || other.1.is_alternate())
        && firsts.is_some_and(|(one, other)| one == other || one.is_mixed(other))
        && [true, false].into_iter().all(|folds| has_letters(one.0, folds) || has_letters(other.0, folds))
}

/// Whether there are letters that stand for both their cases, or such that do not.
fn has_letters(node: &Node, folding: bool) -> bool {
    match &node.kind {
        Kind::Literal { folds, .. } => *folds == folding,
        Kind::Group(inner) | Kind::Repeat(_, inner) => has_letters(inner, folding),
        Kind::Concat(parts) | Kind::Alternate(parts, _) => parts.iter().any(|part| has_letters(part, folding)),
        _ => false,
    }
}

fn is_fixed(repeat: Repeat) -> bool {
    repeat.is_counted && repeat.max == Some(repeat.min)
}

fn units(node: &Node) -> impl Iterator<Item = Unit<'_>> {
    node.parts().iter().flat_map(|part| {
        let (text, folds, other) = match &part.kind {
            Kind::Literal { text, folds } => (text.as_str(), *folds, None),
            _ => ("", false, Some(Unit::Part(part))),
        };
        text.chars().map(move |c| Unit::Letter(c, folds)).chain(other)
    })
}

/// The letter, if it is nothing else.
fn only_letter(node: &Node) -> Option<Unit<'_>> {
    let mut units = units(node);
    match (units.next(), units.next()) {
        (Some(letter @ Unit::Letter(..)), None) => Some(letter),
        _ => None,
    }
}
