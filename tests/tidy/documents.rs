//! The rules about documents: what they name is there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rules::{Violation, violation};
use crate::source::{Source, words};

/// The page that shows where everything is.
const MAP: &str = "docs/architecture.md";
/// The list of settings, and the part of it that this version does not use.
const SETTINGS: (&str, &str) = ("src/app/settings/list.rs", "const LATER");
/// Where the figures of the metrics have their names.
const FIGURES: &str = "src/web/metrics/";
/// Hosts of package registries, in halves: their names stand nowhere, so that a mirror needs no patch.
const REGISTRIES: [[&str; 2]; 8] = [
    ["index.", "crates.io"],
    ["static.", "crates.io"],
    ["registry.", "npmjs.org"],
    ["registry.", "yarnpkg.com"],
    ["py", "pi.org"],
    ["files.", "pythonhosted.org"],
    ["proxy.", "golang.org"],
    ["registry-1.", "docker.io"],
];

fn documents(tree: &[Source]) -> impl Iterator<Item = &Source> {
    tree.iter().filter(|source| source.path.ends_with(".md"))
}

/// The map names every folder of `src/`, each with a slash behind it: `store/`.
pub fn map(tree: &[Source]) -> Vec<Violation> {
    let Some(map) = tree.iter().find(|source| source.path == MAP) else { return Vec::new() };
    let mut missing = BTreeSet::new();
    for source in tree {
        let Some(folders) = source.path.strip_prefix("src/").and_then(|path| path.rsplit_once('/')) else { continue };
        let folders = folders.0.split('/').filter(|folder| *folder != "tests");
        missing.extend(folders.filter(|folder| !map.text.contains(&format!("{folder}/"))));
    }
    missing.iter().map(|folder| violation(map, 0, format!("the folder {folder}/ is not on the map"))).collect()
}

/// Settings, constants and variables that documents name are those of the code: `RABBIT_BASE_URL`.
pub fn names(tree: &[Source]) -> Vec<Violation> {
    let is_source = |source: &&Source| [".rs", ".sh"].iter().any(|end| source.path.ends_with(end));
    let of_scripts = |path: &str| ["scripts/", "packaging/"].iter().any(|folder| path.starts_with(folder));
    let mut known = BTreeSet::new();
    for source in tree.iter().filter(|source| is_source(source) || of_scripts(&source.path)) {
        let later = source.text.find(SETTINGS.1).filter(|_| source.path == SETTINGS.0);
        let later = later.map(|at| at..at + source.text[at..].find("];").unwrap_or(0)).unwrap_or(0..0);
        known.extend(words(&source.text).into_iter().filter(|(at, _)| !later.contains(at)).map(|(_, word)| word));
    }
    let mut broken = Vec::new();
    for source in documents(tree) {
        for (at, word) in words(&source.text) {
            let is_loud =
                word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
            if is_loud && word.starts_with(|c: char| c.is_ascii_uppercase()) && !known.contains(word) {
                broken.push(violation(source, at, format!("there is no {word}")));
            }
        }
    }
    broken
}

/// Tests that documents name in backticks are there, and figures. A test's name is a sentence: it has three words at least.
pub fn tests(tree: &[Source]) -> Vec<Violation> {
    let functions: BTreeSet<&str> = tree.iter().flat_map(|source| functions(&source.code)).collect();
    let mut broken = Vec::new();
    for source in documents(tree) {
        for (at, word) in words(&source.text) {
            let is_sentence = word.matches('_').count() >= 2 && word.chars().all(|c| !c.is_uppercase());
            let is_code = source.text[..at].ends_with('`') && source.text[at + word.len()..].starts_with('`');
            let figure = || {
                tree.iter().any(|other| other.path.starts_with(FIGURES) && other.text.contains(&format!("\"{word}\"")))
            };
            if is_sentence && is_code && !functions.contains(word) && !word.starts_with('_') && !figure() {
                broken.push(violation(source, at, format!("there is no test {word}")));
            }
        }
    }
    broken
}

fn functions(code: &str) -> impl Iterator<Item = &str> {
    let words = words(code);
    let names: Vec<&str> = words.windows(2).filter(|pair| pair[0].1 == "fn").map(|pair| pair[1].1).collect();
    names.into_iter()
}

/// Links to files of ours lead somewhere.
pub fn links(tree: &[Source]) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in documents(tree) {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, _) in source.text.match_indices("](") {
            let target = source.text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
            for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
                match part {
                    ".." => drop(path.pop()),
                    part => path.push(part),
                }
            }
            let path = path.join("/");
            let leads = |other: &Source| other.path == path || other.path.starts_with(&format!("{path}/"));
            // Pictures are no text, and so not in the tree.
            let is_picture = path.ends_with(".png") && Path::new(env!("CARGO_MANIFEST_DIR")).join(&path).exists();
            if !is_picture && !tree.iter().any(leads) {
                broken.push(violation(source, at, format!("`{target}` is not there")));
            }
        }
    }
    broken
}

/// No file names the host of a package registry.
pub fn registries(tree: &[Source]) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in tree {
        for host in REGISTRIES.map(|halves| halves.concat()) {
            if let Some(at) = source.text.find(&host) {
                broken.push(violation(source, at, format!("it names {host}")));
            }
        }
    }
    broken
}
