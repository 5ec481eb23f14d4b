//! The rules about code: each is a function from files to what breaks it.

use crate::source::{Source, block, line_at, words};

/// The layers with their heights: a file names its own layer and lower ones. Equal heights are strangers.
const LAYERS: [(&str, u8); 8] =
    [("base", 1), ("proto", 2), ("store", 3), ("ports", 3), ("domain", 4), ("web", 5), ("app", 6), ("cli", 7)];
/// Crates and calls, and the only places that may name them. A name that ends in `_` stands for all that begin so.
const HOMES: [(&str, &[&str]); 12] = [
    ("redb", &["src/store/"]),
    ("reqwest", &["src/ports/"]),
    ("lapin", &["src/ports/"]),
    ("async_rs", &["src/ports/"]),
    ("hickory_", &["src/ports/"]),
    ("lettre", &["src/ports/"]),
    ("axum", &["src/web/", "src/app/listen.rs"]),
    ("askama", &["src/web/"]),
    ("clap", &["src/cli/"]),
    ("x509_parser", &["src/proto/"]),
    // Reading at length on the thread that calls: before anybody is answered, and where it has a thread of its own.
    ("survey_here", &["src/store/", "src/domain/auth/replay.rs"]),
    // The store is read by `survey`, which has a bound. These are files, passwords, archives, whole backups and patterns.
    (
        "spawn_blocking",
        &[
            "src/store/survey.rs",
            "src/ports/",
            "src/domain/agents/list_file.rs",
            "src/domain/archives/",
            "src/domain/backups.rs",
            "src/domain/operators/password.rs",
            "src/domain/health/",
            "src/domain/relay/reach.rs",
            "src/cli/",
            // Long tables are filtered and sorted when they have been read.
            "src/web/console/kit/table.rs",
        ],
    ),
];
/// By what broker users can be changed, and the only places that may name it.
const BROKER_USERS: [&str; 4] = ["Users", "dyn Broker", "ManagementBroker", "MemoryBroker"];
const BROKER_USERS_HOMES: [&str; 3] = ["src/ports/broker/", "src/domain/accounts/", "src/app/"];
/// The only places that read the environment and the arguments.
const ENVIRONMENT: [&str; 3] = ["src/main.rs", "src/cli/", "src/app/settings/"];
/// The list along which domain modules use one another.
const DOMAIN: &str = "src/domain/mod.rs";
/// The list of what the audit log says, and where kinds of notices have some of the same names.
const ACTIONS: &str = "src/base/audit/actions.rs";
const NOTICES: [&str; 3] =
    ["src/domain/monitor/sweep.rs", "src/domain/monitor/words.rs", "src/domain/notices/letters.rs"];
const LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
/// Types whose value can change behind a shared reference.
const MUTABLE: [&str; 8] = ["Mutex", "RwLock", "Atomic", "OnceLock", "OnceCell", "LazyLock", "LazyCell", "RefCell"];

/// A place that breaks a rule.
#[derive(Debug)]
pub struct Violation {
    pub place: String,
    pub what: String,
}

pub fn violation(source: &Source, at: usize, what: impl Into<String>) -> Violation {
    Violation { place: format!("{}:{}", source.path, line_at(&source.text, at)), what: what.into() }
}

fn rust<'s>(tree: &'s [Source], below: &'static str) -> impl Iterator<Item = &'s Source> {
    tree.iter().filter(move |source| source.path.ends_with(".rs") && source.path.starts_with(below))
}

pub fn layers(tree: &[Source]) -> Vec<Violation> {
    let height = |layer: &str| LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, height)| *height);
    let mut broken = Vec::new();
    for source in rust(tree, "src/") {
        let Some(own) = source.module().first().copied() else { continue };
        let Some(own_height) = height(own) else {
            broken.push(violation(source, 0, format!("`{own}` is not a layer")));
            continue;
        };
        for (at, path) in paths(source) {
            match height(&path[0]) {
                _ if path[0] == own => {}
                Some(named) if named < own_height => {}
                Some(_) => broken.push(violation(source, at, format!("{own} names {}", path[0]))),
                None => broken.push(violation(source, at, format!("`{}` is not a layer", path[0]))),
            }
        }
    }
    broken
}

pub fn homes(tree: &[Source]) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in rust(tree, "src/") {
        for (at, word) in words(&source.code) {
            let is = |name: &str| if name.ends_with('_') { word.starts_with(name) } else { word == name };
            if let Some((name, homes)) = HOMES.iter().find(|(name, _)| is(name))
                && !homes.iter().any(|home| source.path.starts_with(home))
            {
                broken.push(violation(source, at, format!("{name} is at home in {}", homes.join(", "))));
            }
        }
    }
    broken
}

pub fn broker_users(tree: &[Source]) -> Vec<Violation> {
    let is_elsewhere = |path: &str| !BROKER_USERS_HOMES.iter().any(|home| path.starts_with(home));
    let mut broken = Vec::new();
    for source in rust(tree, "src/").filter(|source| is_elsewhere(&source.path) && !source.path.contains("/tests")) {
        for name in BROKER_USERS {
            let is_word = |at: usize| !source.lasting[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let found = source.lasting.match_indices(name).filter(|(at, _)| is_word(*at));
            broken.extend(found.map(|(at, _)| violation(source, at, format!("`{name}` is for src/domain/accounts"))));
        }
    }
    broken
}

pub fn environment(tree: &[Source]) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in rust(tree, "src/").filter(|source| !ENVIRONMENT.iter().any(|home| source.path.starts_with(home))) {
        for (at, _) in words(&source.lasting).into_iter().filter(|(_, word)| *word == "env") {
            if source.lasting[..at].ends_with("std::") || source.lasting[at..].starts_with("env::") {
                broken.push(violation(source, at, "the environment is read elsewhere"));
            }
        }
    }
    broken
}

/// The list and the code must say the same, in both directions.
pub fn domain(tree: &[Source]) -> Vec<Violation> {
    let Some(list) = tree.iter().find(|source| source.path == DOMAIN) else { return Vec::new() };
    let mut listed: Vec<(String, String)> = Vec::new();
    for entry in list.text.lines().filter_map(|line| line.strip_prefix("//!")).flat_map(|line| line.split('·')) {
        let Some((user, used)) = entry.split('`').nth(1).and_then(|entry| entry.split_once(" → ")) else { continue };
        listed.extend(used.split(',').map(|used| (user.trim().to_owned(), used.trim().to_owned())));
    }
    let mut broken = Vec::new();
    let mut unused = listed.clone();
    for source in rust(tree, "src/domain/") {
        let module = source.module();
        let Some(user) = module.get(1).copied() else { continue };
        for (at, path) in paths(source) {
            let Some(used) = path.get(1).filter(|used| path[0] == "domain" && *used != user) else { continue };
            let pair = (user.to_owned(), used.clone());
            unused.retain(|listed| *listed != pair);
            if !listed.contains(&pair) {
                broken.push(violation(source, at, format!("{user} → {used} is not in the list of {DOMAIN}")));
            }
        }
    }
    let stale = unused.iter().map(|(user, used)| violation(list, 0, format!("{user} → {used} is listed, not used")));
    broken.extend(stale);
    broken
}

/// The absolute paths that a file names through `crate::` and `super::`, two segments deep, imports in braces each for
/// itself. What `super` reaches inside of test modules is not looked at.
fn paths(source: &Source) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in words(&source.code).into_iter().filter(|(_, word)| *word == "crate") {
        if let Some(rest) = source.code[at..].strip_prefix("crate::") {
            found.extend(heads(rest, 2).into_iter().map(|path| (at, path)));
        }
    }
    found.extend(upward(source, 2));
    found.retain(|(_, path)| !path.is_empty());
    found
}

/// The absolute paths that a file names through `super::`, tests aside, with so many segments behind it.
pub fn upward(source: &Source, depth: usize) -> Vec<(usize, Vec<String>)> {
    let module = source.module();
    let mut found = Vec::new();
    for (at, _) in words(&source.lasting).into_iter().filter(|(_, word)| *word == "super") {
        if source.lasting[..at].ends_with("super::") {
            continue;
        }
        let (mut up, mut rest) = (0, &source.lasting[at..]);
        while let Some(further) = rest.strip_prefix("super::") {
            (up, rest) = (up + 1, further);
        }
        let Some(base) = module.len().checked_sub(up).filter(|_| up > 0) else { continue };
        for head in heads(rest, depth) {
            let path = module[..base].iter().map(|part| (*part).to_owned()).chain(head).collect();
            found.push((at, path));
        }
    }
    found
}

/// The first segments of a path or of all paths of a group. `self` in a group is the path before it.
pub fn heads(text: &str, depth: usize) -> Vec<Vec<String>> {
    if text.starts_with('{') {
        let group = block(text, 0);
        return split(&text[1..group.end - 1]).into_iter().flat_map(|part| heads(part.trim(), depth)).collect();
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    match first {
        "" => return Vec::new(),
        "self" => return vec![Vec::new()],
        _ => {}
    }
    let below = match rest.strip_prefix("::") {
        Some(rest) if depth > 1 => heads(rest, depth - 1),
        _ => Vec::new(),
    };
    if below.is_empty() {
        vec![vec![first.into()]]
    } else {
        below.into_iter().map(|path| [vec![first.to_owned()], path].concat()).collect()
    }
}

/// The parts between the commas that are in no inner group.
fn split(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

pub fn opening(tree: &[Source]) -> Vec<Violation> {
    let opens = |source: &Source| source.text.strip_prefix("//! ").is_some_and(|rest| !rest.trim().is_empty());
    let bare = rust(tree, "").filter(|source| !opens(source));
    bare.map(|source| violation(source, 0, "the file does not open with a sentence of `//!`")).collect()
}

pub fn file_length(tree: &[Source]) -> Vec<Violation> {
    let long = rust(tree, "").filter(|source| source.text.lines().count() > LINES_MAX);
    long.map(|source| violation(source, 0, format!("the file has more than {LINES_MAX} lines"))).collect()
}

pub fn function_length(tree: &[Source]) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in rust(tree, "") {
        for (at, _) in words(&source.code).into_iter().filter(|(_, word)| *word == "fn") {
            let Some(open) = body(&source.code, at) else { continue };
            let lines = source.code[at..block(&source.code, open).end].lines().count();
            if lines > FUNCTION_LINES_MAX {
                broken.push(violation(source, at, format!("a function of {lines} lines: {FUNCTION_LINES_MAX} fit")));
            }
        }
    }
    broken
}

/// Where the body of a function begins; nowhere for a type and for a declaration.
fn body(code: &str, at: usize) -> Option<usize> {
    let is_item = code[at..].strip_prefix("fn ").is_some_and(|rest| rest.starts_with(char::is_alphabetic));
    let mut depth = 0;
    for (offset, c) in code[at..].char_indices().filter(|_| is_item) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at + offset),
            _ => {}
        }
    }
    None
}

/// Places of a text in the code of some files.
fn phrases(
    tree: &[Source],
    below: &'static str,
    code: fn(&Source) -> &str,
    phrases: &[&str],
    what: &str,
) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in rust(tree, below) {
        for phrase in phrases {
            let found = code(source).match_indices(phrase);
            broken.extend(found.map(|(at, _)| violation(source, at, format!("`{phrase}`: {what}"))));
        }
    }
    broken
}

pub fn unwrap(tree: &[Source]) -> Vec<Violation> {
    let hasty = [".unwrap()", ".expect(\"\")"];
    phrases(tree, "src/", |source| &source.lasting, &hasty, "handle it, or say why it cannot be")
}

pub fn silenced(tree: &[Source]) -> Vec<Violation> {
    phrases(tree, "", |source| &source.code, &["#[allow(", "#![allow("], "write #[expect(…, reason = …)]")
}

pub fn unfinished(tree: &[Source]) -> Vec<Violation> {
    let mut broken = phrases(tree, "", |source| &source.code, &["todo!", "unimplemented!"], "finish it");
    // Split, so that this file does not hold them.
    for word in [["TO", "DO"].concat(), ["FIX", "ME"].concat()] {
        broken.extend(phrases(tree, "", |source| &source.text, &[&word], "do it or write the issue"));
    }
    broken
}

pub fn state(tree: &[Source]) -> Vec<Violation> {
    let mut broken = phrases(tree, "src/", |source| &source.code, &["static mut ", "thread_local!"], "no hidden state");
    for source in rust(tree, "src/") {
        for (at, _) in words(&source.code).into_iter().filter(|(_, word)| *word == "static") {
            let declared = source.code[at..].split(['=', ';', '{', ')']).next().unwrap_or_default();
            let is_item = declared.contains(':') && !source.code[..at].ends_with('\'');
            if is_item && MUTABLE.iter().any(|mutable| declared.contains(mutable)) {
                broken.push(violation(source, at, "a static with state inside"));
            }
        }
    }
    broken
}

pub fn skipped(tree: &[Source]) -> Vec<Violation> {
    phrases(tree, "", |source| &source.code, &["#[ignore", "#[should_panic"], "a test runs, and says what it expects")
}

/// Actions of the audit log are spelt in their list, from which all others take them, and each of them is taken.
pub fn actions(tree: &[Source]) -> Vec<Violation> {
    let Some(list) = tree.iter().find(|source| source.path == ACTIONS) else { return Vec::new() };
    let others: Vec<&Source> = rust(tree, "src/").filter(|source| source.path != ACTIONS).collect();
    let mut broken = Vec::new();
    for (at, name) in list.text.match_indices(" = \"").map(|(at, _)| (at, &list.text[at + 3..])) {
        let Some(name) = name.split_inclusive('"').nth(1).map(|inner| format!("\"{inner}")) else { continue };
        let action = list.text[..at].rsplit(' ').next().unwrap_or_default();
        for source in others.iter().filter(|source| !NOTICES.contains(&&*source.path)) {
            let found = source.text.match_indices(&name).map(|(at, _)| at);
            let lasting = found.filter(|at| source.lasting.as_bytes().get(*at) == Some(&b'"'));
            broken.extend(lasting.map(|at| violation(source, at, format!("{name} is an action of the audit log"))));
        }
        let way = format!("Action::{action}");
        let is_taken = |source: &&Source| {
            let mut rest = source.lasting.match_indices(&way).map(|(at, _)| &source.lasting[at + way.len()..]);
            rest.any(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        if !others.iter().any(is_taken) {
            broken.push(violation(list, at, format!("nothing writes {name}")));
        }
    }
    broken
}
