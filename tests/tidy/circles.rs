//! The rule that no files of `src` use one another in a circle.
//!
//! A file uses another one when its code, tests aside, names what is defined there: by a path from `crate` or `super`, or
//! in the file of a module by a path from one of its own modules. What a module only hands on (`pub use`) counts for the
//! file that defines it; a module that is imported whole counts as its own file. What goes between a file and a module
//! that it is a part of does not count: the file of a module says what the files below are about, and hands it out.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules::{Violation, heads, upward, violation};
use crate::source::{Source, words};

/// Segments of a path that are looked at: more than any module is deep.
const DEPTH: usize = 8;

/// A path from the root of the crate.
type Path = Vec<String>;

/// The files by their modules.
struct Modules<'s> {
    files: BTreeMap<Path, &'s Source>,
    /// What is handed on under a name of a module, and what that is.
    exports: BTreeMap<Path, Path>,
}

/// A file with the files that it uses, and where it names them first.
type Uses<'s> = BTreeMap<&'s str, BTreeMap<&'s str, usize>>;

pub fn circles(tree: &[Source]) -> Vec<Violation> {
    let files = tree.iter().filter(|source| source.path.starts_with("src/") && !source.lasting.is_empty());
    let files: BTreeMap<Path, &Source> = files.map(|source| (path(&source.module()), source)).collect();
    let mut modules = Modules { files, exports: BTreeMap::new() };
    let mut named: Vec<(&Source, usize, Path)> = Vec::new();
    for source in modules.files.values() {
        for (at, path) in modules.names(source) {
            if is_export(&source.lasting[..at]) {
                let name = path.last().cloned().into_iter();
                let under = source.module().into_iter().map(str::to_owned).chain(name).collect();
                modules.exports.insert(under, path);
            } else {
                named.push((source, at, path))
            }
        }
    }
    let mut uses = Uses::new();
    for (source, at, path) in named {
        if let Some(used) = modules.home(&path, DEPTH).filter(|used| !are_kin(source, used)) {
            uses.entry(&source.path).or_default().entry(&used.path).or_insert(at);
        }
    }
    let mut broken = Vec::new();
    let mut done = BTreeSet::new();
    for file in uses.keys() {
        walk(file, &uses, &mut Vec::new(), &mut done, &mut |circle, at| {
            let source = tree.iter().find(|source| Some(&source.path.as_str()) == circle.last());
            let what = format!("a circle of files: {} → {}", circle.join(" → "), circle[0]);
            broken.extend(source.map(|source| violation(source, at, what)));
        });
    }
    broken
}

/// Goes along all that a file uses, each file once, and tells of each way back to a file that it came by.
fn walk<'s>(
    file: &'s str,
    uses: &Uses<'s>,
    way: &mut Vec<&'s str>,
    done: &mut BTreeSet<&'s str>,
    tell: &mut impl FnMut(&[&str], usize),
) {
    if !done.insert(file) {
        return;
    }
    way.push(file);
    for (used, at) in uses.get(file).into_iter().flatten() {
        match way.iter().position(|before| before == used) {
            Some(first) => tell(&way[first..], *at),
            None => walk(used, uses, way, done, tell),
        }
    }
    way.pop();
}

impl Modules<'_> {
    /// All paths that a file names.
    fn names(&self, source: &Source) -> Vec<(usize, Path)> {
        let code = &source.lasting;
        let own = path(&source.module());
        let mut found = upward(source, DEPTH);
        for (at, word) in words(code) {
            let rest = &code[at + word.len()..];
            if code[..at].ends_with(':') || !rest.starts_with("::") {
                continue;
            }
            let from = match word {
                "crate" => heads(&rest[2..], DEPTH),
                _ if self.files.contains_key(&[own.clone(), vec![word.to_owned()]].concat()) => {
                    let below = heads(&code[at..], DEPTH).into_iter();
                    below.map(|below| [own.clone(), below].concat()).collect()
                }
                _ => continue,
            };
            found.extend(from.into_iter().map(|path| (at, path)));
        }
        found
    }

    /// The file that defines what a path stands for.
    fn home(&self, path: &[String], further: usize) -> Option<&Source> {
        let len = (1..=path.len()).rev().find(|len| self.files.contains_key(&path[..*len]))?;
        let export = path.get(..=len).and_then(|name| self.exports.get(name));
        match export.filter(|export| further > 0 && export.as_slice() != &path[..=len]) {
            Some(export) => self.home(&[export, &path[len + 1..]].concat(), further - 1),
            None => self.files.get(&path[..len]).copied(),
        }
    }
}

fn path(module: &[&str]) -> Path {
    module.iter().map(|part| (*part).to_owned()).collect()
}

/// Whether what comes next stands in a `pub use`.
fn is_export(before: &str) -> bool {
    let statement = before.rsplit([';', '}']).next().unwrap_or_default();
    statement.trim_start().starts_with("pub") && statement.split_whitespace().any(|word| word == "use")
}

/// Whether one is a part of the other.
fn are_kin(one: &Source, other: &Source) -> bool {
    let (one, other) = (one.module(), other.module());
    one.starts_with(&other) || other.starts_with(&one)
}
