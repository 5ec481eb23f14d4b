//! What a setting is: its spellings, its default, how its text becomes a value, and the texts that were given.

use std::collections::HashMap;
use std::path::PathBuf;

use super::problems::Place;
use crate::base::Secret;

/// From the text of a setting to its value, or to what was expected.
pub(super) type Parse<T> = fn(&str) -> Result<T, String>;

/// A setting that always has a value, because it has a default.
pub(super) struct Setting<T> {
    pub info: Info,
    pub parse: Parse<T>,
}

/// A setting that may have no value.
pub(super) struct Optional<T> {
    pub info: Info,
    pub parse: Parse<T>,
}

/// What is known of a setting without its type.
#[derive(Clone, Copy)]
pub(super) struct Info {
    /// The environment variable, and the key in the settings file.
    pub name: &'static str,
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// The text that holds when it is not given; in words where it follows from other settings.
    pub default: Option<&'static str>,
    /// What follows from other settings when it is not given.
    pub follow: Option<fn(&Values) -> String>,
    pub shape: Shape,
}

/// How a setting is written.
#[derive(Clone, Copy)]
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

impl Info {
    const fn new(name: &'static str, flag: &'static str, default: Option<&'static str>, shape: Shape) -> Self {
        Self { name, flag, help: "", default, follow: None, shape }
    }

    /// Whether the value must not be seen.
    pub fn is_secret(&self) -> bool {
        matches!(self.shape, Shape::Secret { .. })
    }

    /// Whether an empty text is a value of its own.
    pub fn may_be_empty(&self) -> bool {
        matches!(self.shape, Shape::Text)
    }

    /// `NAME_FILE`, for a secret.
    pub fn file_name(&self) -> Option<&'static str> {
        match self.shape {
            Shape::Secret { file_name, .. } => Some(file_name),
            _ => None,
        }
    }
}

impl<T> Setting<T> {
    pub const fn new(name: &'static str, flag: &'static str, default: &'static str, parse: Parse<T>) -> Self {
        Self { info: Info::new(name, flag, Some(default), Shape::Plain), parse }
    }

    /// The default is what `follow` makes of other settings, and the text of `new` says so in words.
    pub const fn follows(mut self, follow: fn(&Values) -> String) -> Self {
        self.info.follow = Some(follow);
        self
    }

    pub const fn may_be_empty(mut self) -> Self {
        self.info.shape = Shape::Text;
        self
    }

    pub const fn help(mut self, help: &'static str) -> Self {
        self.info.help = help;
        self
    }
}

impl Setting<bool> {
    pub const fn switch(name: &'static str, flag: &'static str, default: &'static str, parse: Parse<bool>) -> Self {
        Self { info: Info::new(name, flag, Some(default), Shape::Switch), parse }
    }
}

impl<T> Optional<T> {
    pub const fn new(name: &'static str, flag: &'static str, parse: Parse<T>) -> Self {
        Self { info: Info::new(name, flag, None, Shape::Plain), parse }
    }

    pub const fn switch(name: &'static str, flag: &'static str, parse: Parse<T>) -> Self {
        Self { info: Info::new(name, flag, None, Shape::Switch), parse }
    }

    /// The second of each pair is for the file that may hold the secret.
    pub const fn secret(names: [&'static str; 2], flags: [&'static str; 2], parse: Parse<T>) -> Self {
        let shape = Shape::Secret { file_name: names[1], file_flag: flags[1] };
        Self { info: Info::new(names[0], flags[0], None, shape), parse }
    }

    pub const fn help(mut self, help: &'static str) -> Self {
        self.info.help = help;
        self
    }
}

/// One text for each setting that was given. Any of them may be a secret, so all are kept as one.
pub(super) struct Values {
    pub given: HashMap<&'static str, Given>,
    /// What the appliance is called on its host.
    pub instance: String,
}

/// The text of a setting, and where it was given.
pub(super) struct Given {
    pub text: Secret,
    pub place: Place,
    /// The file that the place names, for `NAME_FILE`.
    pub read_from: Option<PathBuf>,
}

impl Values {
    /// The text that was given, if any.
    pub fn given(&self, setting: &Info) -> Option<&Given> {
        self.given.get(setting.name)
    }

    /// The text in force, given or by default.
    pub fn text(&self, setting: &Info) -> Option<String> {
        self.given(setting).map(|given| given.text.expose().to_owned()).or_else(|| self.default(setting))
    }

    /// The text of the default.
    pub fn default(&self, setting: &Info) -> Option<String> {
        match setting.follow {
            Some(follow) => Some(follow(self)),
            None => setting.default.map(str::to_owned),
        }
    }
}
