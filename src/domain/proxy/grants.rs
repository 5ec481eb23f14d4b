//! What scopes are worth at an upstream: a pure judgement, with its reasons.

use sha2::{Digest, Sha256};

use crate::base::{Error, Scope, text};
use crate::proto::proxy::upstream::Rule;
use crate::proto::scopes;

/// Longest list of permissions in a token. A task has a handful.
pub const PERMISSIONS_MAX: usize = 500;

/// What was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The permissions in the order of the scopes, repetitions included.
    pub permissions: Vec<String>,
    /// Why, a sentence for each scope that was looked at and counts for something, or nearly.
    pub reasons: Vec<String>,
}

/// What these scopes are worth by a rule.
pub fn judge(rule: &Rule, held: &[Scope]) -> Granted {
    let mut granted = Granted::default();
    match rule {
        Rule::Scopes => {
            for scope in held {
                granted.add(scope.as_str(), format!("`{scope}` is passed on as it is"));
            }
        }
        Rule::Prefix { prefix, wildcards } => {
            for scope in held {
                granted.cut(scope, prefix, *wildcards);
            }
        }
        Rule::Table(table) => {
            for (required, permission) in table {
                if scopes::covers(held, required.as_str()) {
                    granted.add(permission, format!("`{required}` is held: `{permission}`"));
                } else {
                    granted.reasons.push(format!("`{required}` is not held: no `{permission}`"));
                }
            }
        }
        Rule::Whole(required) => {
            if scopes::covers(held, required.as_str()) {
                granted.add("*", format!("`{required}` is held: all that the login of this upstream may"));
            } else {
                granted.reasons.push(format!("`{required}` is not held"));
            }
        }
    }
    granted.permissions.truncate(PERMISSIONS_MAX);
    granted
}

/// A scope that would have helped somebody who got nothing.
pub fn missing(rule: &Rule) -> String {
    match rule {
        Rule::Scopes => "any scope".into(),
        Rule::Prefix { prefix, .. } => format!("{prefix}<permission>"),
        Rule::Table(table) => {
            let scopes: Vec<_> = table.iter().map(|(scope, _)| scope.as_str()).collect();
            scopes.join(" or ")
        }
        Rule::Whole(scope) => scope.to_string(),
    }
}

/// Why a session has nothing at all: what each upstream says, and what its opener could not pass on.
pub fn ungranted(refused: &[String], not_held: &[Scope]) -> Error {
    let why = if refused.is_empty() { "no upstream is declared".into() } else { refused.join("; ") };
    let scopes: Vec<_> = not_held.iter().map(|scope| format!("`{scope}`")).collect();
    let not_held = if scopes.is_empty() {
        String::new()
    } else {
        format!("; you do not hold {} yourself, so that you cannot pass it on", scopes.join(", "))
    };
    Error::forbidden(format!("nothing is granted to this session: {why}{not_held}"))
}

impl Granted {
    fn add(&mut self, permission: &str, reason: String) {
        self.permissions.push(permission.to_owned());
        self.reasons.push(reason);
    }

    fn cut(&mut self, scope: &Scope, prefix: &str, wildcards: bool) {
        match scope.as_str().strip_prefix(prefix) {
            Some("") => self.reasons.push(format!("`{scope}` is the prefix alone: nothing")),
            Some(rest) if rest.ends_with('*') && !wildcards => {
                self.reasons.push(format!("`{scope}` ends in `*`, which this upstream does not take: nothing"));
            }
            Some(rest) => self.add(rest, format!("`{scope}` begins with `{prefix}`: `{rest}`")),
            None if scope.as_str().ends_with('*') && scopes::satisfies(scope, prefix) => {
                self.reasons.push(format!("`{scope}` would cover all, and is not expanded: nothing"));
            }
            None => {}
        }
    }
}

/// Bytes of the hash by which a set of permissions is known.
const SET_HASH_LEN: usize = 8;

/// By what a set of permissions is known in records, in the order in which it was granted.
pub fn permission_set(permissions: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    for permission in permissions {
        hash.update(permission.as_ref());
        hash.update(b"\n");
    }
    text::hex(&hash.finalize()[..SET_HASH_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes_of(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_prefix_is_cut_as_the_ancestor_cuts_it() {
        let held = scopes_of(&["p:a", "x", "p:", "p:*", "p:b", "p", "P:c", "p:a", "*"]);
        let of = |wildcards| judge(&Rule::Prefix { prefix: "p:".into(), wildcards }, &held);
        assert_eq!(of(true).permissions, ["a", "*", "b", "a"]);
        assert_eq!(of(false).permissions, ["a", "b", "a"]);
        assert_eq!(of(false).reasons.len(), 6);
    }

    #[test]
    fn a_table_asks_whether_a_scope_is_held() {
        let rule = Rule::Table(vec![
            (Scope::parse("a:read:x").unwrap(), "r".into()),
            (Scope::parse("a:write:x").unwrap(), "w".into()),
        ]);
        assert_eq!(judge(&rule, &scopes_of(&["a:read:*"])).permissions, ["r"]);
        assert_eq!(judge(&rule, &scopes_of(&["*"])).permissions, ["r", "w"]);
        assert_eq!(judge(&rule, &scopes_of(&["a:read"])).permissions.len(), 0);
    }
}
