//! What scopes are worth at an upstream: a pure judgement, with its reasons.

use sha2::{Digest, Sha256};

use crate::base::{Scope, text};
use crate::proto::scopes;

/// Longest list of permissions in a token. A task has a handful.
pub const PERMISSIONS_MAX: usize = 500;

/// How scopes become what a token is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The scopes themselves, for services of Taskcluster.
    Scopes,
    /// Scopes that begin so, without that beginning: the rule of relengapi-proxy. Whatever is left is a permission.
    Prefix {
        /// The beginning.
        prefix: String,
        /// Whether what ends in `*` is one too. It is passed on as it is.
        wildcards: bool,
    },
    /// A permission for each scope that is held, itself or by a wildcard.
    Table(Vec<(Scope, String)>),
    /// Whoever holds this scope may do all that the upstream's own login may.
    Whole(Scope),
}

/// What was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The permissions in the order of the scopes, repetitions included.
    pub permissions: Vec<String>,
    /// Why, a sentence for each scope that was looked at and counts for something, or nearly.
    pub reasons: Vec<String>,
}

impl Rule {
    /// What these scopes are worth.
    pub fn judge(&self, held: &[Scope]) -> Granted {
        let mut granted = Granted::default();
        match self {
            Self::Scopes => {
                for scope in held {
                    granted.add(scope.as_str(), format!("`{scope}` is passed on as it is"));
                }
            }
            Self::Prefix { prefix, wildcards } => {
                for scope in held {
                    granted.cut(scope, prefix, *wildcards);
                }
            }
            Self::Table(table) => {
                for (required, permission) in table {
                    if scopes::covers(held, required.as_str()) {
                        granted.add(permission, format!("`{required}` is held: `{permission}`"));
                    } else {
                        granted.reasons.push(format!("`{required}` is not held: no `{permission}`"));
                    }
                }
            }
            Self::Whole(required) => {
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
    pub fn missing(&self) -> String {
        match self {
            Self::Scopes => "any scope".into(),
            Self::Prefix { prefix, .. } => format!("{prefix}<permission>"),
            Self::Table(table) => {
                let scopes: Vec<_> = table.iter().map(|(scope, _)| scope.as_str()).collect();
                scopes.join(" or ")
            }
            Self::Whole(scope) => scope.to_string(),
        }
    }
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
        let rule = |wildcards| Rule::Prefix { prefix: "p:".into(), wildcards };
        assert_eq!(rule(true).judge(&held).permissions, ["a", "*", "b", "a"]);
        assert_eq!(rule(false).judge(&held).permissions, ["a", "b", "a"]);
        assert_eq!(rule(false).judge(&held).reasons.len(), 6);
    }

    #[test]
    fn a_table_asks_whether_a_scope_is_held() {
        let rule = Rule::Table(vec![
            (Scope::parse("a:read:x").unwrap(), "r".into()),
            (Scope::parse("a:write:x").unwrap(), "w".into()),
        ]);
        assert_eq!(rule.judge(&scopes_of(&["a:read:*"])).permissions, ["r"]);
        assert_eq!(rule.judge(&scopes_of(&["*"])).permissions, ["r", "w"]);
        assert_eq!(rule.judge(&scopes_of(&["a:read"])).permissions.len(), 0);
    }
}
