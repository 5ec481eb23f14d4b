//! Other cases of characters, which `(?i)` adds.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{
    FOLDED_MAX,
    refusal::{Reason, Refusal},
};

/// The first character that has another case, and the last. Looking at more would only take time.
const FOLDABLE: (char, char) = ('A', '\u{1e943}');
/// The characters to which some version of Unicode from 13 to 17 gave another case, as the tables of Go 1.15 and 1.27
/// differ.
const CHANGED_CASES: [(char, char); 25] = [
    ('\u{19b}', '\u{19b}'),
    ('\u{264}', '\u{264}'),
    ('\u{390}', '\u{390}'),
    ('\u{3b0}', '\u{3b0}'),
    ('\u{1c89}', '\u{1c8a}'),
    ('\u{1fd3}', '\u{1fd3}'),
    ('\u{1fe3}', '\u{1fe3}'),
    ('\u{2c2f}', '\u{2c2f}'),
    ('\u{2c5f}', '\u{2c5f}'),
    ('\u{a7c0}', '\u{a7c1}'),
    ('\u{a7c7}', '\u{a7dc}'),
    ('\u{a7f5}', '\u{a7f6}'),
    ('\u{fb05}', '\u{fb06}'),
    ('\u{10570}', '\u{1057a}'),
    ('\u{1057c}', '\u{1058a}'),
    ('\u{1058c}', '\u{10592}'),
    ('\u{10594}', '\u{10595}'),
    ('\u{10597}', '\u{105a1}'),
    ('\u{105a3}', '\u{105b1}'),
    ('\u{105b3}', '\u{105b9}'),
    ('\u{105bb}', '\u{105bc}'),
    ('\u{10d50}', '\u{10d65}'),
    ('\u{10d70}', '\u{10d85}'),
    ('\u{16ea0}', '\u{16eb8}'),
    ('\u{16ebb}', '\u{16ed3}'),
];

/// How many characters of a pattern may still be looked up.
#[derive(Debug)]
pub(super) struct Folding {
    left: usize,
}

impl Default for Folding {
    fn default() -> Self {
        Self { left: FOLDED_MAX }
    }
}

impl Folding {
    /// The set with the other cases of its characters.
    pub fn fold(&mut self, class: &ClassUnicode, at: usize) -> Result<ClassUnicode, Refusal> {
        let mut foldable = ClassUnicode::new([ClassUnicodeRange::new(FOLDABLE.0, FOLDABLE.1)]);
        foldable.intersect(class);
        let characters = foldable.ranges().iter().map(ClassUnicodeRange::len).sum();
        let left = self.left.checked_sub(characters);
        self.left = left.ok_or_else(|| Refusal::new(Reason::ClassesTooLarge, at))?;
        foldable.case_fold_simple();
        foldable.union(class);
        Ok(foldable)
    }
}

/// The characters that are this one in either case.
pub(super) fn both_cases(c: char) -> ClassUnicode {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    class.case_fold_simple();
    class
}

/// Whether it depends on the version of Unicode what `(?i)` adds to this range. To all characters that are in
/// question together none of them adds anything.
pub(super) fn is_uncertain(range: ClassUnicodeRange) -> bool {
    let (first, last) = (range.start(), range.end());
    let has_some = CHANGED_CASES.iter().any(|(from, to)| first <= *to && *from <= last);
    let has_all = CHANGED_CASES.iter().all(|(from, to)| first <= *from && *to <= last);
    has_some && !has_all
}
