//! Settings compared with the list of keys, and what a file has to say for them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::chosen::Chosen;
use super::forms::{kind, quoted, relay_host, written};
use super::keys::{Key, Need, Part, Section, sections};
use super::words::repeated;
use super::{Age, Login, MISTAKES_MAX, Mistake, Program, rules};
use crate::base::text::{nearest, url_encoded};

/// Settings that were looked at.
pub(super) struct Reading {
    /// The lines of each section, all but empty ones.
    sections: Vec<(&'static str, Vec<String>)>,
    pub mistakes: Vec<Mistake>,
}

impl Reading {
    /// Without a login nothing that comes from it is written.
    pub fn of(program: Program, age: Age, settings: &Map<String, Value>, login: Option<&Login<'_>>) -> Self {
        let mut chosen = Chosen::new(program, age);
        let mut reading = Self { sections: Vec::new(), mistakes: unknown(program, age, settings) };
        for section in sections(program) {
            let entries = match settings.get(section.name) {
                None => None,
                Some(Value::Object(entries)) => Some(entries),
                Some(_) => continue,
            };
            let mut lines = Vec::new();
            for key in section.keys.iter().filter(|key| key.absence(age).is_none()) {
                let given = entries.and_then(|entries| entries.get(key.name));
                match values((section, key, age), given, login, &mut chosen) {
                    Ok(values) => lines.extend(values.iter().map(|value| format!("{} = {value}", key.name))),
                    Err(message) => reading.mistakes.push(Mistake::new(dotted(section, key.name), message)),
                }
            }
            if section.is_written && !lines.is_empty() {
                reading.sections.push((section.name, lines));
            }
        }
        rules::check(program, age, &chosen, &mut reading.mistakes);
        reading
    }

    /// The sections, as they stand in a file.
    pub fn text(&self) -> String {
        self.sections.iter().fold(String::new(), |mut text, (section, lines)| {
            // Writing to a text does not fail.
            let _ = write!(text, "\n[{section}]\n{}\n", lines.join("\n"));
            text
        })
    }
}

/// What settings have and programs of this age do not read.
fn unknown(program: Program, age: Age, settings: &Map<String, Value>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (name, entries) in settings {
        let Some(section) = sections(program).iter().find(|section| section.name == name) else {
            let known = nearest(name, sections(program).iter().map(|section| section.name));
            mistakes.push(Mistake::new(repeated(name), format!("unknown section; the nearest known one is `{known}`")));
            continue;
        };
        let Value::Object(entries) = entries else {
            mistakes.push(Mistake::new(section.name, format!("expected a table of keys, not {}", kind(entries))));
            continue;
        };
        for name in entries.keys() {
            let key = section.keys.iter().find(|key| key.name == name);
            let message = match key {
                Some(key) => key.absence(age),
                None => Some(unknown_key(program, age, section, name)),
            };
            mistakes.extend(message.map(|message| Mistake::new(dotted(section, &repeated(name)), message)));
            if mistakes.len() >= MISTAKES_MAX {
                return mistakes;
            }
        }
    }
    mistakes
}

fn unknown_key(program: Program, age: Age, section: &Section, name: &str) -> String {
    let elsewhere = sections(program).iter().find(|section| section.keys.iter().any(|key| key.name == name));
    if let Some(elsewhere) = elsewhere {
        return format!("unknown key; it stands under `{}`", elsewhere.name);
    }
    let known = section.keys.iter().filter(|key| key.absence(age).is_none() && !matches!(key.need, Need::Login(_)));
    match nearest(name, known.map(|key| key.name)) {
        "" => "unknown key".to_owned(),
        known => format!("unknown key; the nearest known one is `{known}`"),
    }
}

/// What is written for a key: nothing, or a value for each of its lines.
fn values<'a>(
    (section, key, age): (&Section, &Key, Age),
    given: Option<&'a Value>,
    login: Option<&Login<'_>>,
    chosen: &mut Chosen<'a>,
) -> Result<Vec<String>, String> {
    if let Need::Login(part) = key.need {
        return match (given, login) {
            (Some(_), _) => Err(format!("comes from {}; remove it here", part.source())),
            (None, Some(login)) => Ok(vec![quoted(&part.of(login, chosen))]),
            (None, None) => Ok(Vec::new()),
        };
    }
    let value = match (given, key.need(age)) {
        (Some(value), _) => Cow::Borrowed(value),
        (None, Need::Usual(usual)) => Cow::Owned(serde_json::from_str(usual).unwrap_or_else(|_| usual.into())),
        (None, Need::Needed) => return Err(format!("is missing; add {}", key.form.expected())),
        (None, Need::Optional | Need::Login(_)) => return Ok(Vec::new()),
    };
    let values = written(key.form, &value);
    chosen.add(section.name, key.name, value);
    values
}

impl Part {
    const fn source(self) -> &'static str {
        match self {
            Self::User | Self::Password | Self::Vhost => "the login of the broker's account",
            Self::Url => "mq.host, mq.port, mq.usetls and the login of the broker's account",
        }
    }

    /// As programs take it: schedulers and workers put all of it into a URL as it is.
    fn of(self, login: &Login<'_>, chosen: &Chosen<'_>) -> String {
        match self {
            Self::User => url_encoded(login.user),
            Self::Password => url_encoded(login.password),
            Self::Vhost => url_encoded(login.vhost),
            Self::Url => {
                let scheme = if chosen.is("mq", "usetls", "true") { "amqps" } else { "amqp" };
                let host = chosen.text("mq", "host").and_then(relay_host).unwrap_or_default();
                let port = chosen.value("mq", "port").map(Value::to_string).unwrap_or_default();
                let [user, password, vhost] = [login.user, login.password, login.vhost].map(url_encoded);
                format!("{scheme}://{user}:{password}@{host}:{port}/{vhost}")
            }
        }
    }
}

fn dotted(section: &Section, key: &str) -> String {
    format!("{}.{key}", section.name)
}
