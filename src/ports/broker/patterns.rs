//! What patterns of permissions meant to PCRE and do not mean to PCRE2, which reads them from Erlang 28 on (docs/brokers.md).
//!
//! They are found by their look: this knows escapes, classes and groups, and judges nothing else. Names are taken for ASCII:
//! PCRE took bytes beyond it for letters of Latin-1, PCRE2 does not. What `(?x)` makes a comment is looked at like the rest.

use super::Overview;

/// The first Erlang that reads patterns by PCRE2. RabbitMQ is packaged with it from 4.2 on.
const PCRE2_SINCE: u32 = 28;
/// A finding is one line: of a longer class its beginning is enough to find it.
const PART_LEN_MAX: usize = 40;
/// Letters behind a backslash that PCRE takes for themselves, and PCRE2 for a mistake.
const NO_ESCAPES: &str = "FIJMOTYijmqy";
/// Letters behind a backslash that stand for a set of characters.
const SETS: &str = "dDwWsShHvVpP";
/// Assertions and the like, which a class of PCRE takes for letters.
const NOT_IN_CLASS: &str = "ABCGKRXZz";

impl Overview {
    /// Whether its Erlang reads patterns by PCRE2. One that does not say which Erlang it has is taken for an old one.
    pub fn has_pcre2(&self) -> bool {
        self.erlang.is_some_and(|erlang| erlang >= PCRE2_SINCE)
    }
}

/// What the two libraries do not agree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Construct {
    /// `[\w-.]`: a hyphen behind a set, and before something else.
    HyphenBehindSet,
    /// `\y`: an escape that is none.
    NoEscape,
    /// `[\A]`: an assertion in a class.
    AssertionInClass,
    /// `\xg`: a code without digits.
    EmptyCode,
    /// `\8` without eight groups before it.
    DigitEscape,
    /// `(?=a\Kb)`: the beginning of the match is set where something is only looked at.
    KeepInLookaround,
    /// `a{,3}`, `a{ 1, 3 }`: a repetition as PCRE does not write it.
    LooseRepetition,
    /// `(?X)`: an option that PCRE2 does not have.
    GoneOption,
    /// `(?xx)`: an option that ignores blanks in classes, too.
    DoubleOption,
    /// `(?1)`, `(?R)`: a pattern in itself, which PCRE2 tries in all ways, and PCRE in one.
    Recursion,
}

impl Construct {
    /// Whether PCRE2 refuses it. Otherwise it means something else.
    pub fn is_refused(self) -> bool {
        !matches!(self, Self::LooseRepetition | Self::DoubleOption | Self::Recursion)
    }

    /// What both read alike.
    pub fn instead(self) -> &'static str {
        match self {
            Self::HyphenBehindSet => r"put the hyphen last in its class, as in [\w.-]",
            Self::NoEscape => "leave the backslash out",
            Self::AssertionInClass => "leave the backslash out of the class",
            Self::EmptyCode => r"write \x00, or the digits that are missing",
            Self::DigitEscape => "leave the backslash out, or write [8] before other digits",
            Self::KeepInLookaround => r"leave \K out: nothing asks where a match begins",
            Self::LooseRepetition => r"write \{ for a brace, or {0,3} for a repetition, without blanks",
            Self::GoneOption => "leave the X out",
            Self::DoubleOption => "write one x",
            Self::Recursion => "write out what is repeated",
        }
    }
}

/// A construct in a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub construct: Construct,
    /// How it is written there, cut off when it is long.
    pub part: String,
}

/// What this pattern, which PCRE reads, does not mean to PCRE2; of each construct the first.
pub fn changed(pattern: &str) -> Vec<Changed> {
    let mut scan = Scan { chars: pattern.chars().collect(), ..Scan::default() };
    scan.run();
    scan.changed
}

#[derive(Default)]
struct Scan {
    chars: Vec<char>,
    /// How many are read.
    at: usize,
    /// Groups that were opened and have a number.
    numbered: u32,
    /// Groups that are open, and whether each only looks.
    open: Vec<bool>,
    changed: Vec<Changed>,
}

impl Scan {
    fn run(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape(),
                '[' => self.class(),
                '(' => self.group(),
                ')' => drop(self.open.pop()),
                '{' => self.repetition(),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.get(self.at).copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn is_next(&self, text: &str) -> bool {
        self.is_at(self.at, text)
    }

    fn is_at(&self, at: usize, text: &str) -> bool {
        text.chars().zip(at..).all(|(c, at)| self.chars.get(at) == Some(&c))
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.is_next(text);
        if is_next {
            self.at += text.chars().count();
        }
        is_next
    }

    /// Goes on behind this text, or to the end.
    fn skip_past(&mut self, text: &str) {
        while self.at < self.chars.len() && !self.takes(text) {
            self.at += 1;
        }
    }

    fn note(&mut self, construct: Construct, from: usize) {
        if self.changed.iter().all(|known| known.construct != construct) {
            let part = self.chars[from..self.at].iter().take(PART_LEN_MAX).collect();
            self.changed.push(Changed { construct, part });
        }
    }

    fn escape(&mut self) {
        let start = self.at - 1;
        match self.next() {
            Some('Q') => self.skip_past(r"\E"),
            Some('c') => drop(self.next()),
            Some('x') => self.code(start),
            Some('g') if self.is_next("<") || self.is_next("'") => self.note(Construct::Recursion, start),
            Some('o' | 'p' | 'P' | 'g' | 'k') => self.braces(),
            Some(digit @ '8'..='9') => self.digits(start, digit),
            Some('K') if self.open.contains(&true) => self.note(Construct::KeepInLookaround, start),
            Some(letter) if NO_ESCAPES.contains(letter) => self.note(Construct::NoEscape, start),
            _ => {}
        }
    }

    /// What belongs to an escape before it.
    fn braces(&mut self) {
        if self.is_next("{") {
            self.skip_past("}");
        }
    }

    /// The digits of `\x`.
    fn code(&mut self, start: usize) {
        if self.chars.get(self.at).is_some_and(|c| *c == '{' || c.is_ascii_hexdigit()) {
            self.braces();
        } else {
            self.note(Construct::EmptyCode, start);
        }
    }

    fn digits(&mut self, start: usize, first: char) {
        let mut number = first.to_digit(10).unwrap_or_default();
        while let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        if number > self.numbered {
            self.note(Construct::DigitEscape, start);
        }
    }

    fn class(&mut self) {
        let start = self.at - 1;
        let _ = self.takes("^");
        let (first, mut is_changed) = (self.at, false);
        while let Some(c) = self.next() {
            let is_set = match c {
                ']' if self.at > first + 1 => {
                    if is_changed {
                        self.note(Construct::HyphenBehindSet, start);
                    }
                    return;
                }
                '[' if self.is_posix() => {
                    self.skip_past(":]");
                    true
                }
                '\\' => self.escape_in_class(),
                _ => false,
            };
            is_changed |= is_set && self.is_next("-") && !self.is_next("-]");
        }
    }

    /// Whether a set by its name is next, such as `:alpha:]`; its bracket is read.
    fn is_posix(&self) -> bool {
        let name = self.chars.iter().skip(self.at + 1).take_while(|c| c.is_ascii_lowercase() || **c == '^').count();
        self.is_next(":") && self.is_at(self.at + 1 + name, ":]")
    }

    /// Whether it stands for a set.
    fn escape_in_class(&mut self) -> bool {
        let start = self.at - 1;
        match self.next() {
            Some('Q') => self.skip_past(r"\E"),
            Some('c') => drop(self.next()),
            Some('x') => self.code(start),
            Some('o') => self.braces(),
            Some(letter) if SETS.contains(letter) => {
                self.braces();
                return true;
            }
            Some(letter) if NOT_IN_CLASS.contains(letter) => self.note(Construct::AssertionInClass, start),
            Some(letter) if NO_ESCAPES.contains(letter) => self.note(Construct::NoEscape, start),
            _ => {}
        }
        false
    }

    fn group(&mut self) {
        let start = self.at - 1;
        if self.takes("*") || self.takes("?#") {
            return self.skip_past(")");
        }
        let looks = ["?=", "?!", "?<=", "?<!"].into_iter().any(|start| self.takes(start));
        let is_named = !looks && ["?<", "?P<", "?'"].into_iter().any(|start| self.takes(start));
        self.numbered += u32::from(is_named || !looks && !self.is_next("?"));
        self.open.push(looks);
        if self.takes("?(") {
            self.condition();
        } else if self.takes("?") {
            self.options(start);
        }
    }

    /// A condition is a group that looks, or a number or name.
    fn condition(&mut self) {
        if self.is_next("?") {
            self.at -= 1;
        } else {
            self.skip_past(")");
        }
    }

    /// What stands behind `(?`: options, or which group is meant again.
    fn options(&mut self, start: usize) {
        let is_letter = |c: &&char| c.is_ascii_alphanumeric() || "+-&>".contains(**c);
        let inside: String = self.chars[self.at..].iter().take_while(is_letter).collect();
        self.at += inside.len();
        let number = inside.trim_start_matches(['+', '-']);
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if is_number || inside == "R" || inside.starts_with('&') || inside.starts_with("P>") {
            self.note(Construct::Recursion, start);
        } else if !self.is_next(")") && !self.is_next(":") || inside.starts_with('>') {
            // A name, or a group that has no options.
        } else if inside.contains('X') {
            self.note(Construct::GoneOption, start);
        } else if inside.contains("xx") {
            self.note(Construct::DoubleOption, start);
        }
    }

    fn repetition(&mut self) {
        let start = self.at - 1;
        let Some(len) = self.chars[self.at..].iter().position(|c| *c == '}') else { return };
        let inside: String = self.chars[self.at..self.at + len].iter().collect();
        if is_loose(&inside) {
            self.at += len + 1;
            self.note(Construct::LooseRepetition, start);
        }
    }
}

/// Whether only PCRE2 takes this for a repetition: without a lower bound, or with blanks.
fn is_loose(inside: &str) -> bool {
    let trimmed = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    let has_blanks = inside.contains([' ', '\t']);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match inside.split_once(',').map(|(from, to)| (trimmed(from), trimmed(to))) {
        Some((from, to)) if from.is_empty() => is_number(&to),
        Some((from, to)) => has_blanks && is_number(&from) && (to.is_empty() || is_number(&to)),
        None => has_blanks && is_number(&trimmed(inside)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str) -> Vec<(Construct, String)> {
        changed(pattern).into_iter().map(|Changed { construct, part }| (construct, part)).collect()
    }

    #[test]
    fn each_construct_is_found_as_it_is_written() {
        let long = format!("[{}-.]", r"\w".repeat(PART_LEN_MAX));
        for (pattern, construct, part) in [
            (r"^queue/a/[\w-.]+$", Construct::HyphenBehindSet, r"[\w-.]"),
            (r"[[:alpha:]-z]", Construct::HyphenBehindSet, r"[[:alpha:]-z]"),
            (r"[^]\d-a]", Construct::HyphenBehindSet, r"[^]\d-a]"),
            (r"[\p{Lu}-z]", Construct::HyphenBehindSet, r"[\p{Lu}-z]"),
            (&long, Construct::HyphenBehindSet, &long[..PART_LEN_MAX]),
            (r"a\yb", Construct::NoEscape, r"\y"),
            (r"[\y]", Construct::NoEscape, r"\y"),
            (r"[^\A]", Construct::AssertionInClass, r"\A"),
            (r"x\8", Construct::DigitEscape, r"\8"),
            (r"(a)\91", Construct::DigitEscape, r"\91"),
            (r"(?=a\Kb)", Construct::KeepInLookaround, r"\K"),
            (r"(?<!(?:a\K))b", Construct::KeepInLookaround, r"\K"),
            (r"(?(?=a\Kb)c|d)", Construct::KeepInLookaround, r"\K"),
            ("q{,3}", Construct::LooseRepetition, "{,3}"),
            ("q{ 1, 3 }", Construct::LooseRepetition, "{ 1, 3 }"),
            ("q{1 }", Construct::LooseRepetition, "{1 }"),
            (r"a\xg", Construct::EmptyCode, r"\x"),
            (r"[\x]", Construct::EmptyCode, r"\x"),
            ("a(?iX)", Construct::GoneOption, "(?iX"),
            ("(?xx:a)", Construct::DoubleOption, "(?xx"),
            ("(a(?1)?)", Construct::Recursion, "(?1"),
            ("a(?R)?", Construct::Recursion, "(?R"),
            ("(?<n>a)(?&n)", Construct::Recursion, "(?&n"),
            ("(?<n>a)(?P>n)", Construct::Recursion, "(?P>n"),
            (r"(a)\g<1>", Construct::Recursion, r"\g"),
        ] {
            assert_eq!(found(pattern), [(construct, part.to_owned())], "{pattern}");
        }
    }

    #[test]
    fn what_both_read_alike_is_not_found() {
        for pattern in [
            "",
            r"^(queue/x/.*|exchange/x/.*)",
            r"^queue\.x\-[a-z0-9_.-]{1,63}$",
            r"[\w.-][-\w][a-z-\d][\d][]-a][^]-]",
            r"[[:alpha:]-][[:alpha][a[:-z]",
            r"\\y[\\y]\cy\Qa\y{,3}[\w-.]\E",
            r"[\Q\w-.\E]",
            r"(1)(2)(3)(4)(5)(?<six>6)(?P<seven>7)(?'eight'8)\8",
            r"[\8]\18\x{8}\g{-1}\p{L}",
            r"(?=a)\K(?:b\K)",
            r"q{3}q{3,}q{1,3}q{,}q{}q{ }q{a,3}q{, }{",
            r"[a-z-\d][--a]\x4\x{41}(?i)(?x:a)(?s-i)(?>a)(?|a)(?<n>a)(?P=n)(?(1)a|b)(?(?=a)a|b)(?>X)(?C1)(?>1)",
            "(?#{,3})",
            r"(",
            r"[\w-.",
            "\\",
        ] {
            assert_eq!(found(pattern), [], "{pattern}");
        }
    }

    #[test]
    fn of_each_construct_the_first_is_told() {
        let all = r"[\w-.][\d-.]\y\i";
        let told = [(Construct::HyphenBehindSet, r"[\w-.]".to_owned()), (Construct::NoEscape, r"\y".to_owned())];
        assert_eq!(found(all), told);
    }

    #[test]
    fn pcre2_comes_with_erlang_28() {
        let overview = |erlang| Overview { version: "4.2.0".into(), erlang, cluster_name: String::new(), time: None };
        assert!([Some(28), Some(29)].into_iter().all(|erlang| overview(erlang).has_pcre2()));
        assert!(![None, Some(27)].into_iter().any(|erlang| overview(erlang).has_pcre2()));
    }
}
