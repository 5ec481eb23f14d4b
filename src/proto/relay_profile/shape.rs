//! The first look at a profile: whether each table has the keys that it may have, and each key what it has to be.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::keys::{FILE, Form, Key, PROFILE, Section};
use super::mistakes::{Mistakes, quoted};
use super::rules::Rule;
use super::values::{integer, json};
use crate::base::text::nearest;

/// Notes all that is unknown, missing, or of the wrong form.
pub(super) fn check(document: &DeTable<'_>, mistakes: &mut Mistakes) {
    section(&PROFILE, document, 0, mistakes);
}

fn section(section: &Section, entries: &DeTable<'_>, at: usize, mistakes: &mut Mistakes) {
    for key in entries.keys() {
        let name = key.get_ref();
        if section.keys.iter().any(|known| known.name == name) {
            continue;
        }
        if mistakes.are_enough() {
            mistakes.count();
            continue;
        }
        let known = nearest(name, section.keys.iter().map(|key| key.name));
        mistakes.note(key.span().start, format!("unknown key {}; the nearest known one is `{known}`", quoted(name)));
    }
    for key in section.keys {
        match entries.get_key_value(key.name) {
            Some((name, found)) => value(key, name.span().start, found, mistakes),
            None if key.is_needed => {
                mistakes.note(at, format!("`{}` is missing from {}; add it", key.name, section.header));
            }
            None => {}
        }
    }
}

fn value(key: &Key, key_at: usize, found: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes) {
    let at = found.span().start;
    match (&key.form, found.get_ref()) {
        (Form::Text(rule) | Form::TextOrFile(rule), DeValue::String(word)) => text(key, rule, word, at, mistakes),
        (Form::Texts(rule, most), DeValue::Array(items)) => texts(key, rule, *most, items, at, mistakes),
        (Form::Flag, DeValue::Boolean(_)) => {}
        (Form::Count, number @ DeValue::Integer(_)) => {
            if integer(number).is_none_or(|count| u32::try_from(count).is_err()) {
                mistakes.note(at, format!("`{}`: expected 0 to 4294967295; leave it out for no limit", key.name));
            }
        }
        (Form::Number, number @ DeValue::Integer(_)) => {
            if integer(number).is_none() {
                mistakes.note(at, format!("`{}`: expected a number between -2^63 and 2^63 - 1", key.name));
            }
        }
        (Form::Free, DeValue::Table(_)) => {
            json(found, &mut |at, message| mistakes.note(at, format!("`{}`: {message}", key.name)));
        }
        (Form::TextOrFile(_), DeValue::Table(entries)) => section(&FILE, entries, at, mistakes),
        (Form::Table(inner), DeValue::Table(entries)) => section(inner, entries, at, mistakes),
        (Form::Tables(inner, most, by), DeValue::Array(items)) => {
            tables(inner, *most, *by, items, key_at, mistakes);
        }
        (form, other) => {
            mistakes.note(at, format!("`{}`: expected {}, not {}", key.name, expected(form), kind(other)));
            // Whoever wrote [vhost] hears at once what else is wrong with it.
            if let (Form::Tables(inner, ..), DeValue::Table(entries)) = (form, other) {
                section(inner, entries, at, mistakes);
            }
        }
    }
}

fn text(key: &Key, rule: &Rule, word: &str, at: usize, mistakes: &mut Mistakes) {
    if rule.words.contains(&word) {
        return;
    }
    let Err(complaint) = (rule.judge)(word) else { return };
    if rule.words.is_empty() {
        mistakes.note(at, format!("`{}`: {complaint}", key.name));
        return;
    }
    let (known, word) = (nearest(word, rule.words.iter().copied()), quoted(word));
    let complaint = if rule.has_others { complaint.to_owned() } else { format!("expected {}", rule.words.join(", ")) };
    mistakes.note(at, format!("`{}`: {complaint}; not {word}, to which the nearest is `{known}`", key.name));
}

fn texts(key: &Key, rule: &Rule, most: usize, items: &DeArray<'_>, at: usize, mistakes: &mut Mistakes) {
    if items.len() > most {
        mistakes.note(at, format!("`{}`: {} entries; there may be {most}", key.name, items.len()));
    }
    let mut met = BTreeSet::new();
    for item in items.iter().take(most) {
        let at = item.span().start;
        match item.get_ref() {
            DeValue::String(word) => {
                text(key, rule, word, at, mistakes);
                if !met.insert(word.as_ref()) {
                    mistakes.note(at, format!("`{}`: {} is there twice; remove one", key.name, quoted(word)));
                }
            }
            other => mistakes.note(at, format!("`{}`: expected a text in quotes, not {}", key.name, kind(other))),
        }
    }
}

fn tables(inner: &Section, most: usize, by: Option<&str>, items: &DeArray<'_>, at: usize, mistakes: &mut Mistakes) {
    if items.len() > most {
        mistakes.note(at, format!("{} times {}; there may be {most}", items.len(), inner.header));
    }
    let mut met = BTreeSet::new();
    for item in items.iter().take(most) {
        let DeValue::Table(entries) = item.get_ref() else {
            mistakes.note(item.span().start, format!("expected {}, not {}", inner.header, kind(item.get_ref())));
            continue;
        };
        section(inner, entries, item.span().start, mistakes);
        let Some((by, value)) = by.and_then(|by| Some((by, entries.get(by)?))) else { continue };
        if let Some(text) = value.get_ref().as_str()
            && !met.insert(text)
        {
            let message = format!("there is another {} with the `{by}` {}", inner.header, quoted(text));
            mistakes.note(value.span().start, message + "; rename or remove one of them");
        }
    }
}

fn expected(form: &Form) -> String {
    match form {
        Form::Text(_) => "a text in quotes".to_owned(),
        Form::TextOrFile(_) => "a text in quotes, or { file = \"/…\" }".to_owned(),
        Form::Texts(..) => "a list of texts in quotes".to_owned(),
        Form::Flag => "true or false".to_owned(),
        Form::Count | Form::Number => "a whole number without quotes".to_owned(),
        Form::Free | Form::Table(_) => "a table such as { key = 1 }".to_owned(),
        Form::Tables(inner, ..) => format!("one {} for each", inner.header),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
