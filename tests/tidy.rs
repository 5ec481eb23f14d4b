//! The referee of how we write: reads every file of the repository and reports what breaks a rule of
//! `docs/architecture.md`. Each rule also runs over small trees: one that breaks it, and one that does not.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;

use rules::Violation;
use source::Source;

/// A rule by its name.
struct Rule {
    name: &'static str,
    check: fn(&[Source]) -> Vec<Violation>,
}

/// All rules.
const RULES: [Rule; 20] = [
    Rule { name: "layers", check: rules::layers },
    Rule { name: "homes of crates", check: rules::homes },
    Rule { name: "broker users", check: rules::broker_users },
    Rule { name: "environment", check: rules::environment },
    Rule { name: "domain list", check: rules::domain },
    Rule { name: "circles of files", check: circles::circles },
    Rule { name: "opening sentence", check: rules::opening },
    Rule { name: "length of files", check: rules::file_length },
    Rule { name: "length of functions", check: rules::function_length },
    Rule { name: "unwrap", check: rules::unwrap },
    Rule { name: "silenced lints", check: rules::silenced },
    Rule { name: "unfinished", check: rules::unfinished },
    Rule { name: "static state", check: rules::state },
    Rule { name: "skipped tests", check: rules::skipped },
    Rule { name: "actions of the audit log", check: rules::actions },
    Rule { name: "map of src", check: documents::map },
    Rule { name: "names in documents", check: documents::names },
    Rule { name: "tests in documents", check: documents::tests },
    Rule { name: "links", check: documents::links },
    Rule { name: "registries", check: documents::registries },
];

#[test]
fn every_file_keeps_every_rule() {
    let tree = source::tree(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(tree.iter().any(|source| source.path == "src/lib.rs"), "the repository was not found");
    let broken: Vec<String> = RULES.iter().flat_map(|rule| report(rule, &tree)).collect();
    assert!(broken.is_empty(), "{} places break a rule:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn every_rule_reports_what_is_planted_and_nothing_else() {
    for Rule { name, .. } in &RULES {
        assert!(planted::ALL.iter().any(|planted| planted.rule == *name), "nothing is planted for `{name}`");
    }
    for planted in planted::ALL {
        let rule = RULES.iter().find(|rule| rule.name == planted.rule).unwrap();
        let broken = report(rule, &planted.bad());
        assert_eq!(broken.len(), 1, "`{}` reports {broken:?} of {:?}", rule.name, planted.bad);
        let broken = report(rule, &planted.good());
        assert!(broken.is_empty(), "`{}` reports {broken:?} of {:?}", rule.name, planted.good);
    }
}

fn report(rule: &Rule, tree: &[Source]) -> Vec<String> {
    let lines = (rule.check)(tree).into_iter();
    lines.map(|Violation { place, what }| format!("  {place}: {}: {what}", rule.name)).collect()
}
