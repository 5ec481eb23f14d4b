//! What the values of a payload mean, and every mistake in them.

use std::collections::{BTreeMap, BTreeSet};

use super::mistakes::{Mistakes, member, quoted};
use super::tree::Node;
use super::{COMMAND_LEN_MAX, COMMAND_WORDS_MAX, ENV_LEN_MAX, ENV_MAX, SERVICES_LEN_MAX, SERVICES_MAX};
use super::{ImageName, Service, ServiceName, members, variable};
use crate::base::Result;

/// The services of a payload; those that have mistakes are left out.
pub(super) fn payload(root: Node, mistakes: &mut Mistakes) -> Vec<Service> {
    let Some(found) = object(root, "", "an object with \"services\"", mistakes) else { return Vec::new() };
    require(members::SERVICES, &found, "", mistakes);
    let (mut met, mut services) = (BTreeSet::new(), Vec::new());
    for (name, value) in found {
        let at = member("", &name);
        if is_there_twice(&name, &at, &mut met, mistakes) {
            continue;
        }
        if name == members::SERVICES {
            services = all_services(value, &at, mistakes);
        } else if !members::USUAL.contains(&name.as_str()) {
            mistakes.note(&at, members::unknown_of_payload(&name));
        }
    }
    services
}

fn all_services(value: Node, at: &str, mistakes: &mut Mistakes) -> Vec<Service> {
    let Some(items) = list(value, at, "a list of services", mistakes) else { return Vec::new() };
    if items.len() > SERVICES_MAX {
        mistakes.note(at, format!("{} services; there may be {SERVICES_MAX}", items.len()));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let items = items.into_iter().enumerate();
    let services: Vec<Service> =
        items.filter_map(|(index, item)| service(item, &format!("{at}/{index}"), &mut names, mistakes)).collect();
    let len = serde_json::to_string(&services).map_or(0, |text| text.len());
    if len > SERVICES_LEN_MAX && mistakes.is_empty() {
        let advice = "files belong into the image";
        mistakes.note(at, format!("the services have {len} bytes in all; there may be {SERVICES_LEN_MAX}: {advice}"));
    }
    services
}

fn service(value: Node, at: &str, names: &mut BTreeSet<ServiceName>, mistakes: &mut Mistakes) -> Option<Service> {
    let found = object(value, at, "an object with \"name\" and \"image\"", mistakes)?;
    require("name", &found, at, mistakes);
    require("image", &found, at, mistakes);
    let (mut met, mut name, mut image) = (BTreeSet::new(), None, None);
    let (mut command, mut env) = (Vec::new(), BTreeMap::new());
    for (key, value) in found {
        let at = member(at, &key);
        if is_there_twice(&key, &at, &mut met, mistakes) {
            continue;
        }
        match key.as_str() {
            "name" => name = unused_name(value, &at, names, mistakes),
            "image" => image = parsed(value, &at, ImageName::parse, mistakes),
            "command" => command = words(value, &at, mistakes),
            "env" => env = variables(value, &at, mistakes),
            other => mistakes.note(&at, members::unknown_of_service(other)),
        }
    }
    Some(Service { name: name?, image: image?, command, env })
}

fn unused_name(
    value: Node,
    at: &str,
    names: &mut BTreeSet<ServiceName>,
    mistakes: &mut Mistakes,
) -> Option<ServiceName> {
    let name = parsed(value, at, ServiceName::parse, mistakes)?;
    if !names.insert(name.clone()) {
        mistakes.note(at, format!("there is another service \"{name}\"; rename or remove one of them"));
    }
    Some(name)
}

fn words(value: Node, at: &str, mistakes: &mut Mistakes) -> Vec<String> {
    let Some(items) = list(value, at, "a list of texts", mistakes) else { return Vec::new() };
    if items.len() > COMMAND_WORDS_MAX {
        mistakes.note(at, format!("{} words; there may be {COMMAND_WORDS_MAX}", items.len()));
        return Vec::new();
    }
    let len: usize = items.iter().map(|item| text_len(item) + 1).sum();
    if len > COMMAND_LEN_MAX {
        mistakes.note(at, format!("{len} bytes in all; there may be {COMMAND_LEN_MAX}"));
    }
    let mut words = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("{at}/{index}");
        let Some(word) = text(item, &at, mistakes) else { continue };
        if word.contains('\0') {
            mistakes.note(&at, "the word has a NUL in it, which no command can have");
        }
        words.push(word);
    }
    words
}

fn variables(value: Node, at: &str, mistakes: &mut Mistakes) -> BTreeMap<String, String> {
    let Some(found) = object(value, at, "an object of texts", mistakes) else { return BTreeMap::new() };
    if found.len() > ENV_MAX {
        mistakes.note(at, format!("{} variables; there may be {ENV_MAX}", found.len()));
        return BTreeMap::new();
    }
    let len: usize = found.iter().map(|(name, value)| name.len() + text_len(value) + 2).sum();
    if len > ENV_LEN_MAX {
        mistakes.note(at, format!("{len} bytes in all; there may be {ENV_LEN_MAX}"));
    }
    let (mut met, mut variables) = (BTreeSet::new(), BTreeMap::new());
    for (name, value) in found {
        let at = member(at, &name);
        if is_there_twice(&name, &at, &mut met, mistakes) {
            continue;
        }
        if let Some(mistake) = variable::name_mistake(&name) {
            mistakes.note(&at, mistake);
        }
        let Some(value) = text(value, &at, mistakes) else { continue };
        if let Some(mistake) = variable::value_mistake(&value) {
            mistakes.note(&at, mistake);
        }
        variables.insert(name, value);
    }
    variables
}

fn require(name: &str, found: &[(String, Node)], at: &str, mistakes: &mut Mistakes) {
    if !found.iter().any(|(member, _)| member == name) {
        mistakes.note(at, format!("\"{name}\" is missing; add it"));
    }
}

/// Whether a member was met before, which is a mistake: readers of JSON differ in which one they take.
fn is_there_twice(name: &str, at: &str, met: &mut BTreeSet<String>, mistakes: &mut Mistakes) -> bool {
    let is_again = !met.insert(name.to_owned());
    if is_again {
        mistakes.note(at, format!("{} is there twice; remove one", quoted(name)));
    }
    is_again
}

fn text_len(value: &Node) -> usize {
    if let Node::Text(text) = value { text.len() } else { 0 }
}

fn text(value: Node, at: &str, mistakes: &mut Mistakes) -> Option<String> {
    match value {
        Node::Text(text) => Some(text),
        other => expected("a text in quotes", &other, at, mistakes),
    }
}

fn list(value: Node, at: &str, what: &str, mistakes: &mut Mistakes) -> Option<Vec<Node>> {
    match value {
        Node::List(items) => Some(items),
        other => expected(what, &other, at, mistakes),
    }
}

fn object(value: Node, at: &str, what: &str, mistakes: &mut Mistakes) -> Option<Vec<(String, Node)>> {
    match value {
        Node::Object(members) => Some(members),
        other => expected(what, &other, at, mistakes),
    }
}

fn expected<T>(what: &str, other: &Node, at: &str, mistakes: &mut Mistakes) -> Option<T> {
    mistakes.note(at, format!("expected {what}, not {}", other.kind()));
    None
}

fn parsed<T>(value: Node, at: &str, parse: fn(&str) -> Result<T>, mistakes: &mut Mistakes) -> Option<T> {
    let text = text(value, at, mistakes)?;
    match parse(&text) {
        Ok(value) => Some(value),
        Err(error) => {
            mistakes.note(at, error.message());
            None
        }
    }
}
