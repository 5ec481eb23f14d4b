//! Whether the files that are to be written can be: their settings are what the programs read, and their logins are declared.

use serde_json::{Map, Value};

use super::entries::Entries;
use super::mistakes::{Mistakes, quoted};
use super::part::{FILE, PartKind};
use super::part_text;
use crate::proto::mig::gcfg::{self, Age};

/// The first agents that read `acl.cfg` and `agentkeys`; in those before they are built in.
const LISTS_SINCE: &str = "2017-09";

/// Notes all that does not go together.
pub(super) fn check(document: Entries<'_, '_>, mistakes: &mut Mistakes) {
    for entries in document.tables("part") {
        let Some(kind) = entries.text("kind").and_then(PartKind::of) else { continue };
        account(document, entries, kind, mistakes);
        let Some(age) = age(entries, kind, mistakes) else { continue };
        if matches!(kind, PartKind::Acl | PartKind::AgentKeys) && !document.has("investigator") {
            let message = format!("`kind`: {} is made of [[investigator]], and there is none; add one", kind.as_str());
            mistakes.note(entries.position_of("kind"), message);
        }
        let settings = stand_ins(entries.json("settings"));
        let found = match kind.program() {
            Some(program) => gcfg::check(program, age, &settings),
            None => part_text::text(kind, age, &settings).and_then(Result::err).into_iter().collect(),
        };
        for gcfg::Mistake { key, message } in found {
            let about = if key.is_empty() { "settings" } else { &key };
            mistakes.note(position_of(entries, &key), format!("`{about}` of {}: {message}", kind.as_str()));
        }
    }
}

/// The age that a part says, or the last one where it is no matter.
fn age(part: Entries<'_, '_>, kind: PartKind, mistakes: &mut Mistakes) -> Option<Age> {
    let Some((age, at)) = part.placed("age") else {
        if kind.needs_age() {
            let message =
                format!("`age` is missing from a part of the kind {}; add it, such as 2018-11", kind.as_str());
            mistakes.note(part.position_of("kind"), message);
            return None;
        }
        return Some(Age::LAST);
    };
    let age = Age::parse(age).ok()?;
    let is_list = matches!(kind, PartKind::Acl | PartKind::AgentKeys);
    if is_list && Age::parse(LISTS_SINCE).is_ok_and(|since| age < since) {
        let message =
            format!("`age`: agents read {} from {LISTS_SINCE} on; in older ones it is built in", kind.as_str());
        mistakes.note(at, message);
    }
    Some(age)
}

/// Whether the login that stands in it is declared.
fn account(document: Entries<'_, '_>, part: Entries<'_, '_>, kind: PartKind, mistakes: &mut Mistakes) {
    let is_named = |agents: &Entries<'_, '_>| agents.has("part") && agents.text("part") == part.text("name");
    let agents = document.table("agents").filter(|agents| kind == PartKind::Agent && is_named(agents));
    let Some((name, at)) = part.placed("account") else {
        // Each agent has its own, or that which all of them share.
        if kind.needs_login() && agents.is_none() {
            let message = format!("`account` is missing from a part of the kind {}; add it", kind.as_str());
            mistakes.note(part.position_of("kind"), message);
        }
        return;
    };
    if agents.is_some_and(|agents| agents.text("shared-account") != Some(name)) {
        let message =
            "`account`: by [agents] each agent has its own; leave this out, or say it as shared-account there";
        mistakes.note(at, message);
    }
    if !kind.needs_login() {
        mistakes.note(at, format!("`account`: no login stands in {}; leave this out", kind.as_str()));
    }
    let account = document.tables("account").find(|account| account.text("name") == Some(name));
    match account {
        None => mistakes.note(at, format!("`account`: {} is not declared here; add [[account]] for it", quoted(name))),
        Some(account) if account.tables("grant").next().is_none() => {
            mistakes.note(at, format!("`account`: {} may enter no vhost; add [[account.grant]] for it", quoted(name)));
        }
        Some(_) => {}
    }
}

/// The settings, with a text in the place of each that is read when the part is written.
fn stand_ins(mut settings: Map<String, Value>) -> Map<String, Value> {
    let values = settings.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    for value in values {
        if value.as_object().is_some_and(|members| members.len() == 1 && members.contains_key(FILE)) {
            *value = Value::String("read later".to_owned());
        }
    }
    settings
}

/// Where a setting stands: that itself, its section, all settings, or the part.
fn position_of(part: Entries<'_, '_>, key: &str) -> usize {
    let Some(settings) = part.table("settings") else { return part.position_of("kind") };
    let (section, key) = key.split_once('.').unwrap_or((key, ""));
    match settings.table(section) {
        Some(section) if section.has(key) => section.position_of(key),
        _ if settings.has(section) => settings.position_of(section),
        _ => part.position_of("settings"),
    }
}
