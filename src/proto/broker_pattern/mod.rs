//! Which names a permission's pattern fits, as RabbitMQ asks Erlang: `re:run(Name, Pattern, [{capture, none}])`, of bytes.
//!
//! Erlang up to 27 asks PCRE 8.4x, Erlang from 28 on asks PCRE2, and they differ. Both are read here by themselves, and
//! tried as they try: a library of another kind answers otherwise (it finds what they give up), and one can only be right
//! where all agree. What is not known to be so is not guessed: then the answer is that we cannot tell, and why.

mod class;
mod escape;
mod group;
mod node;
mod parser;
mod program;
mod reach;
mod rights;
mod set;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;

use parser::Parser;
use program::Program;
use walk::Subject;

pub use reach::{Account, Binding, Exchange, Grant, Place, Queue, Reach, Target, TopicGrant};
pub use rights::{Habits, On, Operation, Release, Right};

/// What RabbitMQ asks instead of an empty pattern.
const EMPTY: &str = "^$";
/// Longer ones are not read: what brackets hold is looked for up to the end, for each. RabbitMQ 4.3.6 takes 1,024 bytes.
const PATTERN_LEN_MAX: usize = 16 * 1024;
/// The longest pattern that RabbitMQ 4.3.6 takes.
const TAKEN_LEN_MAX: usize = 1024;
/// How the name begins that the broker gives to a queue, and how many characters follow.
const UNNAMED: &[u8] = b"amq.gen-";
const UNNAMED_REST_LEN: usize = 22;

/// Which Erlang runs the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Erlang {
    /// 27 or older: PCRE.
    UpTo27,
    /// 28 or younger: PCRE2.
    From28,
    /// Only what holds for all is told.
    #[default]
    Unknown,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It may be or not.
    CannotTell(Doubt),
}

/// Why we cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The broker would refuse it, as far as we see.
    Refused,
    /// It has a part that is not read here: a recursion, a condition, a verb, a name of a script.
    Unread,
    /// It may be larger than the libraries take.
    TooLarge,
    /// It may need more tries than Erlang makes.
    TooMuchWork,
    /// It repeats sets of which both libraries believe that they have nothing in common, and they have.
    Mistaken,
    /// It means another thing from Erlang 28 on, or is refused there, or was before.
    ByErlang,
    /// The name has bytes above 127, which Erlang up to 27 takes for letters of Latin-1.
    ByLetters,
    /// Releases of RabbitMQ differ.
    ByRelease,
    /// It depends on a name that is not known.
    ByName,
}

/// The two libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Pcre,
    Pcre2,
}

/// A pattern of a permission.
#[derive(Clone, Debug)]
pub struct BrokerPattern {
    erlang: Erlang,
    /// As PCRE reads it.
    old: Result<Program, Doubt>,
    /// As PCRE2 reads it, where that is different.
    new: Option<Result<Program, Doubt>>,
}

impl BrokerPattern {
    /// Reads a pattern for a broker whose Erlang is not known.
    pub fn read(text: &str) -> Self {
        Self::read_by(text, Erlang::Unknown)
    }

    /// Reads a pattern as this Erlang does.
    pub fn read_by(text: &str, erlang: Erlang) -> Self {
        Self::read_bytes(text.as_bytes(), erlang)
    }

    /// Patterns are bytes to the broker. Variables can bring in any.
    fn read_bytes(text: &[u8], erlang: Erlang) -> Self {
        let text = if text.is_empty() { EMPTY.as_bytes() } else { text };
        let old = compile(text, if erlang == Erlang::From28 { Library::Pcre2 } else { Library::Pcre });
        let new = (erlang == Erlang::Unknown).then(|| compile(text, Library::Pcre2)).filter(|new| *new != old);
        Self { erlang, old, new }
    }

    /// A pattern of which this is all that is known.
    fn doubtful(doubt: Doubt) -> Self {
        Self { erlang: Erlang::Unknown, old: Err(doubt), new: None }
    }

    /// Whether every broker surely takes it. Of others only the broker knows.
    pub fn is_taken(text: &str) -> bool {
        let Self { old, new, .. } = Self::read(text);
        text.len() <= TAKEN_LEN_MAX && old.is_ok() && new.is_none_or(|new| new.is_ok())
    }

    /// Whether the pattern fits this name.
    pub fn reaches(&self, name: &[u8]) -> Answer {
        self.asks(Subject::known(name))
    }

    /// Whether it fits every name that the broker gives to queues that come without one, or none.
    pub fn reaches_unnamed(&self) -> Answer {
        let mut name = UNNAMED.to_vec();
        name.resize(UNNAMED.len() + UNNAMED_REST_LEN, b'A');
        self.asks(Subject { name: &name, known_len: UNNAMED.len() })
    }

    fn asks(&self, subject: Subject<'_>) -> Answer {
        let old = ask(&self.old, subject);
        let Some(new) = self.new.as_ref().map(|new| ask(new, subject)) else { return old };
        match (old, new) {
            (old, new) if old == new => old,
            (Answer::Yes | Answer::No, Answer::Yes | Answer::No) if !subject.name.is_ascii() => {
                Answer::CannotTell(Doubt::ByLetters)
            }
            (Answer::CannotTell(doubt), Answer::CannotTell(_)) if doubt != Doubt::Refused => Answer::CannotTell(doubt),
            _ => Answer::CannotTell(Doubt::ByErlang),
        }
    }

    /// For which Erlang it was read.
    pub fn erlang(&self) -> Erlang {
        self.erlang
    }
}

fn compile(text: &[u8], library: Library) -> Result<Program, Doubt> {
    if text.len() > PATTERN_LEN_MAX {
        return Err(Doubt::TooLarge);
    }
    let (node, groups) = Parser::read(text, library)?;
    if node.compiled_len() > node::COMPILED_LEN_MAX {
        return Err(Doubt::TooLarge);
    }
    Program::compile(&node, groups, library)
}

fn ask(program: &Result<Program, Doubt>, subject: Subject<'_>) -> Answer {
    match program.as_ref().map_err(|doubt| *doubt).and_then(|program| program.fits(subject)) {
        Ok(true) => Answer::Yes,
        Ok(false) => Answer::No,
        Err(doubt) => Answer::CannotTell(doubt),
    }
}

impl Answer {
    /// Whether both are so.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::CannotTell(doubt), _) | (_, Self::CannotTell(doubt)) => Self::CannotTell(doubt),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// Whether either is so.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::CannotTell(doubt), _) | (_, Self::CannotTell(doubt)) => Self::CannotTell(doubt),
            (Self::No, Self::No) => Self::No,
        }
    }
}

impl Doubt {
    /// In words that follow "because it".
    pub fn words(self) -> &'static str {
        match self {
            Self::Refused => "is no pattern that a broker takes",
            Self::Unread => "holds a recursion, a condition, a verb or the like",
            Self::TooLarge => "may be too large",
            Self::TooMuchWork => "may need more tries than Erlang makes",
            Self::Mistaken => "repeats sets of bytes about which Erlang is mistaken",
            Self::ByErlang => "means another thing from Erlang 28 on",
            Self::ByLetters => "asks for letters, and bytes above 127 are letters to Erlang up to 27 only",
            Self::ByRelease => "means another thing to another release of RabbitMQ",
            Self::ByName => "depends on a name that is not known",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
