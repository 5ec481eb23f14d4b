//! Reads settings by their constants, and notes what is wrong with them.

use super::problems::{Place, Report};
use super::setting::{Info, Optional, Parse, Setting, Values};

/// Two settings of which the first says nothing without the second.
pub(super) type Need = (Info, Info);

pub(super) struct Reader<'a> {
    pub values: &'a Values,
    pub report: &'a mut Report,
}

impl Reader<'_> {
    /// The value. Where the text that was given is wrong, that is noted, and the default stands in.
    pub fn get<T>(&mut self, setting: &Setting<T>) -> T {
        self.parse(&setting.info, setting.parse).unwrap_or_else(|| {
            let default = self.values.default(&setting.info).expect("a `Setting` has a default");
            (setting.parse)(&default).expect("the defaults of settings are valid")
        })
    }

    /// The value, if one that is right was given. What is wrong is noted.
    pub fn find<T>(&mut self, setting: &Optional<T>) -> Option<T> {
        self.parse(&setting.info, setting.parse)
    }

    fn parse<T>(&mut self, setting: &Info, parse: Parse<T>) -> Option<T> {
        let given = self.values.given(setting)?;
        match parse(given.text.expose()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.refuse(setting, &message);
                None
            }
        }
    }

    pub fn place_of(&self, setting: &Info) -> Option<&Place> {
        self.values.given(setting).map(|given| &given.place)
    }

    pub fn is_given(&self, setting: &Info) -> bool {
        self.place_of(setting).is_some()
    }

    /// Notes what is wrong with a setting, if it was given.
    pub fn refuse(&mut self, setting: &Info, message: &str) {
        if let Some(given) = self.values.given(setting) {
            self.report.problem(&given.place, format!("{}: {message}", setting.name));
        }
    }

    /// Notes which settings lack another.
    pub fn check(&mut self, needs: &[Need]) {
        for (setting, needed) in needs {
            if !self.is_given(needed) {
                self.refuse(setting, &format!("needs {} as well", needed.name));
            }
        }
    }
}
