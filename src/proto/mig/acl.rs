//! `acl.cfg`: whose signatures an agent asks for before it runs a module.
//!
//! An agent sums the weights of those who signed an action, and runs a module when the sum reaches its minimum. A
//! module without an entry is judged by the entry `default`. The file is read by agents from September 2017 on, at
//! their start.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value, json};

/// The entry for modules that have none.
pub const DEFAULT: &str = "default";
/// What has to be known where agents are older than 2018.
pub const BEFORE_2018: &str = "agents from before 2018 check only the first operation of an action, and count a key \
    that signed twice twice: whoever may run one module may run all of them there, and a single key reaches every \
    minimum";

/// Weights are whole numbers up to here, so that with the most investigators no sum leaves an agent's 32 bits.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Investigators of one file. An agent tries every key for every signature.
pub const INVESTIGATORS_MAX: usize = 1000;
/// Modules of one file: far more than any version has.
pub const MODULES_MAX: usize = 100;
/// Longest name of an investigator or a module.
const NAME_LEN_MAX: usize = 200;
/// Modules that some version of MIG has.
const KNOWN: [&str; 17] = [
    DEFAULT,
    "agentdestroy",
    "audit",
    "dispatch",
    "example",
    "examplepersist",
    "file",
    "fswatch",
    "memory",
    "netstat",
    "ping",
    "pkg",
    "scribe",
    "sshkey",
    "timedrift",
    "upgrade",
    "yara",
];
/// How alike a name must be to one that is there to be taken for it.
const ALIKE_MIN: f64 = 0.8;

/// Somebody who signs actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Investigator {
    /// What the file calls them: for people.
    pub name: String,
    /// Of their key: 40 hexadecimal digits in either case.
    pub fingerprint: String,
    /// What their signature weighs, by module. [`DEFAULT`] is one, and no substitute for an entry that is there.
    pub weights: BTreeMap<String, u32>,
}

/// What signatures must weigh together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimum {
    /// The module, or [`DEFAULT`].
    pub module: String,
    /// At least 1.
    pub weight: u32,
}

/// Who may have which module run.
///
/// **Invariant:** it went through [`Acl::check`]. Every entry can be satisfied by its own investigators, each of whom
/// has a name and a key of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    investigators: Vec<Investigator>,
    minimums: Vec<Minimum>,
}

impl Acl {
    /// The list of these investigators and minimums, or everything that is wrong with them; there is at least one
    /// mistake then.
    pub fn check(investigators: Vec<Investigator>, minimums: Vec<Minimum>) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        if investigators.len() > INVESTIGATORS_MAX || minimums.len() > MODULES_MAX {
            return Err(vec![format!("at most {INVESTIGATORS_MAX} investigators and {MODULES_MAX} modules")]);
        }
        check_people(&investigators, &mut mistakes);
        check_weights(&investigators, &minimums, &mut mistakes);
        check_minimums(&investigators, &minimums, &mut mistakes);
        if mistakes.is_empty() { Ok(Self { investigators, minimums }) } else { Err(mistakes) }
    }

    /// What is right and yet may not be what was meant. `before_2018` tells whether agents of that age read the list
    /// or have it built in.
    pub fn warnings(&self, before_2018: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if before_2018 {
            warnings.push(BEFORE_2018.to_owned());
        }
        if !self.minimums.iter().any(|minimum| minimum.module == DEFAULT) {
            warnings.push(format!("there is no entry `{DEFAULT}`: nobody can run a module that has none of its own"));
        }
        let unknown = |module: &&str| !KNOWN.contains(module);
        for module in self.minimums.iter().map(|minimum| minimum.module.as_str()).filter(unknown) {
            warnings.push(format!("no version of MIG has a module `{module}`{}", meant(module, KNOWN.into_iter())));
        }
        warnings
    }

    /// Each module with what signatures must weigh together for it, and what those of all its investigators weigh.
    pub fn sums(&self) -> Vec<(&str, u32, u32)> {
        let of_all = |module: &String| self.investigators.iter().filter_map(|one| one.weights.get(module)).sum();
        self.minimums.iter().map(|it| (it.module.as_str(), it.weight, of_all(&it.module))).collect()
    }

    /// The file, as agents read it: one JSON object, and nothing behind it but the end of its line.
    pub fn render(&self) -> String {
        let entries = self.minimums.iter().map(|minimum| {
            let signers = self.investigators.iter().filter_map(|investigator| {
                let weight = investigator.weights.get(&minimum.module)?;
                let signer = json!({ "fingerprint": investigator.fingerprint.to_ascii_uppercase(), "weight": weight });
                Some((investigator.name.clone(), signer))
            });
            let signers: Map<String, Value> = signers.collect();
            (minimum.module.clone(), json!({ "minimumweight": minimum.weight, "investigators": signers }))
        });
        format!("{:#}\n", Value::Object(entries.collect()))
    }
}

/// Whether names and keys are such, and are nobody else's.
fn check_people(investigators: &[Investigator], mistakes: &mut Vec<String>) {
    let (mut names, mut keys) = (HashSet::new(), HashSet::new());
    for Investigator { name, fingerprint, weights } in investigators {
        if !is_name(name) {
            mistakes.push(format!("{name:?} is no name: 1 to {NAME_LEN_MAX} bytes, none of them a control character"));
        } else if !names.insert(name) {
            mistakes.push(format!("two investigators are called `{name}`: the file has room for one"));
        }
        if fingerprint.len() != 40 || !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            mistakes
                .push(format!("{fingerprint:?} of `{name}` is no fingerprint: 40 hexadecimal digits without blanks"));
        } else if !keys.insert(fingerprint.to_ascii_uppercase()) {
            mistakes.push(format!(
                "the key {fingerprint} of `{name}` is another investigator's, too: one signature would count twice"
            ));
        }
        if weights.is_empty() {
            mistakes.push(format!("`{name}` has no weight for any module"));
        }
    }
}

/// Whether every weight is one, and for a module that has an entry.
fn check_weights(investigators: &[Investigator], minimums: &[Minimum], mistakes: &mut Vec<String>) {
    let modules = || minimums.iter().map(|minimum| minimum.module.as_str());
    for Investigator { name, weights, .. } in investigators {
        for (module, weight) in weights {
            if !(1..=WEIGHT_MAX).contains(weight) {
                mistakes.push(format!("the weight {weight} of `{name}` for `{module}` is not from 1 to {WEIGHT_MAX}"));
            }
            if !modules().any(|other| other == module) {
                let meant = meant(module, modules());
                mistakes.push(format!("`{name}` has a weight for `{module}`, which has no minimum weight{meant}"));
            }
        }
    }
}

/// Whether every module's minimum is one that its investigators can reach together.
fn check_minimums(investigators: &[Investigator], minimums: &[Minimum], mistakes: &mut Vec<String>) {
    let mut seen = HashSet::new();
    if minimums.is_empty() {
        mistakes.push("no module has a minimum weight: nobody could run anything".to_owned());
    }
    for Minimum { module, weight } in minimums {
        if !is_name(module) {
            mistakes.push(format!("{module:?} is no name of a module"));
        } else if !seen.insert(module) {
            mistakes.push(format!("`{module}` has two minimum weights"));
        }
        if !(1..=WEIGHT_MAX).contains(weight) {
            mistakes.push(format!("the minimum weight {weight} of `{module}` is not from 1 to {WEIGHT_MAX}"));
        }
        let mut keys = BTreeSet::new();
        let sum: u64 = investigators
            .iter()
            .filter(|investigator| keys.insert(investigator.fingerprint.to_ascii_uppercase()))
            .filter_map(|investigator| investigator.weights.get(module).copied().map(u64::from))
            .sum();
        if sum < u64::from(*weight) {
            mistakes.push(format!(
                "nobody can ever run `{module}`: all its investigators together weigh {sum}, and it takes {weight}"
            ));
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// The name that was probably meant, as the end of a sentence.
fn meant<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let alike = names.map(|other| (strsim::jaro_winkler(name, other), other)).filter(|(alike, _)| *alike >= ALIKE_MIN);
    let nearest = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    nearest.map_or_else(String::new, |(_, nearest)| format!("; was `{nearest}` meant?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1e644752fb76b77245b1694e556cdd7b07e9d5d6";
    const OTHER: &str = "E60892BB9BD89A69F759A1A0A3D652173B763E8F";

    fn investigator(name: &str, fingerprint: &str, weights: &[(&str, u32)]) -> Investigator {
        let weights = weights.iter().map(|(module, weight)| ((*module).to_owned(), *weight)).collect();
        Investigator { name: name.to_owned(), fingerprint: fingerprint.to_owned(), weights }
    }

    fn minimums(list: &[(&str, u32)]) -> Vec<Minimum> {
        list.iter().map(|(module, weight)| Minimum { module: (*module).to_owned(), weight: *weight }).collect()
    }

    #[test]
    fn the_file_is_one_object_with_the_members_of_mig_in_the_order_that_was_given() {
        let people = vec![
            investigator("Sam \"Axe\" <sam@example.net>", ONE, &[("default", 1), ("file", 2)]),
            investigator("Bob", OTHER, &[("default", 1)]),
        ];
        let acl = Acl::check(people, minimums(&[("file", 2), ("default", 2)])).unwrap();
        assert_eq!(
            acl.render(),
            r#"{
  "file": {
    "minimumweight": 2,
    "investigators": {
      "Sam \"Axe\" <sam@example.net>": {
        "fingerprint": "1E644752FB76B77245B1694E556CDD7B07E9D5D6",
        "weight": 2
      }
    }
  },
  "default": {
    "minimumweight": 2,
    "investigators": {
      "Sam \"Axe\" <sam@example.net>": {
        "fingerprint": "1E644752FB76B77245B1694E556CDD7B07E9D5D6",
        "weight": 1
      },
      "Bob": {
        "fingerprint": "E60892BB9BD89A69F759A1A0A3D652173B763E8F",
        "weight": 1
      }
    }
  }
}
"#
        );
        assert!(acl.warnings(false).is_empty());
        assert_eq!(acl.warnings(true), [BEFORE_2018]);
    }

    #[test]
    fn a_list_that_can_never_be_satisfied_is_a_mistake_with_module_sum_and_minimum() {
        let people = vec![investigator("a", ONE, &[("file", 1)]), investigator("b", OTHER, &[("file", 1)])];
        let found = Acl::check(people, minimums(&[("file", 3), ("ping", 1)])).unwrap_err();
        assert_eq!(
            found,
            [
                "nobody can ever run `file`: all its investigators together weigh 2, and it takes 3",
                "nobody can ever run `ping`: all its investigators together weigh 0, and it takes 1",
            ]
        );
    }

    #[test]
    fn one_key_under_two_names_weighs_once_and_is_a_mistake() {
        let people =
            vec![investigator("a", ONE, &[("file", 1)]), investigator("b", &ONE.to_uppercase(), &[("file", 1)])];
        let found = Acl::check(people, minimums(&[("file", 2)])).unwrap_err();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("another investigator's") && found[1].contains("weigh 1, and it takes 2"));
    }

    #[test]
    fn every_mistake_is_told() {
        let one = |weights: &[(&str, u32)]| vec![investigator("a", ONE, weights)];
        let bad_key = vec![investigator("a", "1E64 4752", &[("file", 1)])];
        let twice = vec![investigator("a", ONE, &[("file", 1)]), investigator("a", OTHER, &[("file", 1)])];
        let nameless = vec![investigator("a\n", ONE, &[("file", 1)])];
        for (people, list, said) in [
            (one(&[("file", 1)]), vec![("file", 0)], "minimum weight 0 of `file`"),
            (one(&[("file", 0), ("ping", 1)]), vec![("ping", 1), ("file", 1)], "weight 0 of `a`"),
            (one(&[("flie", 1), ("file", 1)]), vec![("file", 1)], "no minimum weight; was `file` meant?"),
            (one(&[("file", 1)]), vec![("file", 1), ("file", 1)], "two minimum weights"),
            (one(&[]), vec![], "no weight for any module"),
            (bad_key, vec![("file", 1)], "no fingerprint"),
            (twice, vec![("file", 1)], "two investigators are called `a`"),
            (nameless, vec![("file", 1)], r#""a\n" is no name"#),
        ] {
            let found = Acl::check(people, minimums(&list)).unwrap_err();
            assert!(found.iter().any(|mistake| mistake.contains(said)), "{said}: {found:?}");
        }
    }

    #[test]
    fn what_is_right_and_odd_is_a_warning() {
        let people = vec![investigator("a", ONE, &[("netsat", 1)])];
        let found = Acl::check(people, minimums(&[("netsat", 1)])).unwrap().warnings(false);
        assert!(found[0].contains("no entry `default`"));
        assert!(found[1].ends_with("`netsat`; was `netstat` meant?"), "{found:?}");
    }
}
