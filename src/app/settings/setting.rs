//! What a setting is: its spellings, its default, and how its value is written.

use super::values::Values;

/// What holds when a setting is not given.
pub enum Fallback {
    /// This text.
    Is(&'static str),
    /// What follows from other settings, after the words that say so.
    Follows(&'static str, fn(&Values) -> String),
    /// No value.
    Nothing,
}

/// How a setting is written.
pub(super) enum Shape {
    /// A value; an empty one stands for the default.
    Plain,
    /// A text that may be empty.
    Text,
    /// Yes or no.
    Switch,
    /// A secret, with the name and the flag of the file that may hold it.
    Secret { file_name: &'static str, file_flag: &'static str },
}

/// One setting.
pub struct Setting {
    /// The environment variable, and the key in the settings file.
    pub name: &'static str,
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// What holds when it is not given.
    pub fallback: Fallback,
    /// One line of help.
    pub help: &'static str,
    pub(super) shape: Shape,
}

impl Setting {
    pub(super) const fn plain(name: &'static str, flag: &'static str, fallback: Fallback, help: &'static str) -> Self {
        Self { name, flag, fallback, help, shape: Shape::Plain }
    }

    pub(super) const fn text(name: &'static str, flag: &'static str, fallback: Fallback, help: &'static str) -> Self {
        Self { name, flag, fallback, help, shape: Shape::Text }
    }

    pub(super) const fn switch(name: &'static str, flag: &'static str, fallback: Fallback, help: &'static str) -> Self {
        Self { name, flag, fallback, help, shape: Shape::Switch }
    }

    pub(super) const fn secret(names: [&'static str; 2], flags: [&'static str; 2], help: &'static str) -> Self {
        let shape = Shape::Secret { file_name: names[1], file_flag: flags[1] };
        Self { name: names[0], flag: flags[0], fallback: Fallback::Nothing, help, shape }
    }

    /// Whether the value must not be seen.
    pub fn is_secret(&self) -> bool {
        matches!(self.shape, Shape::Secret { .. })
    }

    /// Whether an empty text is a value of its own.
    pub(super) fn may_be_empty(&self) -> bool {
        matches!(self.shape, Shape::Text)
    }

    /// `NAME_FILE`, for a secret.
    pub fn file_name(&self) -> Option<&'static str> {
        match self.shape {
            Shape::Secret { file_name, .. } => Some(file_name),
            _ => None,
        }
    }

    /// The default in words; empty where there is none.
    pub fn default_text(&self) -> &'static str {
        match self.fallback {
            Fallback::Is(text) | Fallback::Follows(text, _) => text,
            Fallback::Nothing => "",
        }
    }
}

/// A flag of the command line. Its value goes into [`Sources::flags`](super::Sources) under `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The setting, or `NAME_FILE` of a secret.
    pub name: &'static str,
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// The default in words; empty where there is none.
    pub default: &'static str,
    /// Whether its value must not be seen.
    pub secret: bool,
    /// Whether it may stand alone and then means `true`.
    pub switch: bool,
}
