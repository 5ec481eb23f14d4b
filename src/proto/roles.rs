//! Roles: `assume:<role id>` stands for the scopes of the role (taskcluster.md 4.2, vector group `role_expansion`).

use std::collections::HashSet;

use super::scopes::normalize;
use crate::base::{Error, Result, RoleId, Scope};

/// What a scope begins with that stands for a role.
const ASSUME: &str = "assume:";
/// What the parameter of a role replaces in its scopes.
const PARAMETER: &str = "<..>";
/// Most scopes one expansion collects before it is normalized. Parameterised roles that grant one another can multiply;
/// beyond this the caller holds fewer scopes, never more.
const EXPANDED_MAX: usize = 10_000;
/// Most grants one expansion looks at, new or not: what many roles grant alike costs time, though no room.
const GRANTS_MAX: usize = 100_000;

/// A role. One whose id ends in `*` is entered with a parameter: the rest of the held scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// What follows `assume:`.
    pub id: RoleId,
    /// What it grants.
    pub scopes: Vec<Scope>,
}

/// A set of roles. **Invariant:** no role grants itself through others, so every expansion ends.
#[derive(Clone, Debug, Default)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// The set, unless a scope is ambiguous (`InvalidScopeError`) or roles grant one another in a circle
    /// (`DependencyCycleError`).
    pub fn new(roles: Vec<Role>) -> Result<Self> {
        for role in &roles {
            role.scopes.iter().try_for_each(|scope| check(role, scope.as_str()))?;
        }
        let roles = Self(roles);
        roles.refuse_cycles()?;
        Ok(roles)
    }

    /// The held scopes and all that their roles grant, sorted and normalized. Costs little more than the sorting when
    /// no held scope stands for a role.
    pub fn expand(&self, held: &[Scope]) -> Vec<Scope> {
        let mut scopes = held.to_vec();
        let mut granted: HashSet<Scope> = HashSet::new();
        let (mut next, mut looked_at) = (0, 0);
        while let Some(scope) = scopes.get(next).cloned() {
            next += 1;
            if scope.as_str() == "*" {
                return vec![scope];
            }
            let Some(rest) = assumed(scope.as_str()) else { continue };
            for scope in self.granted(rest) {
                looked_at += 1;
                if scopes.len() >= EXPANDED_MAX || looked_at > GRANTS_MAX {
                    return normalize(scopes);
                }
                if granted.insert(scope.clone()) {
                    scopes.push(scope);
                }
            }
        }
        normalize(scopes)
    }

    /// What the roles that `assume:<rest>` stands for grant directly.
    fn granted(&self, rest: &str) -> impl Iterator<Item = Scope> {
        self.0.iter().filter_map(move |role| Some((role, parameter(&role.id, rest)?))).flat_map(|(role, parameter)| {
            let starred = role.id.as_str().ends_with('*');
            role.scopes
                .iter()
                .filter_map(move |scope| if starred { fill(scope, parameter) } else { Some(scope.clone()) })
        })
    }

    /// The roles that a role grants directly, for any parameter. `*` is not looked into: it grants everything already.
    fn dependencies(&self, role: usize) -> std::vec::IntoIter<usize> {
        let starred = self.0[role].id.as_str().ends_with('*');
        let scopes =
            self.0[role].scopes.iter().filter_map(|scope| if starred { fill(scope, "*") } else { Some(scope.clone()) });
        // Each role once, in the order of the scopes, which decides the circle that a message names.
        let mut met = vec![false; self.0.len()];
        let mut roles = Vec::new();
        for scope in scopes.filter(|scope| scope.as_str() != "*") {
            let Some(rest) = assumed(scope.as_str()) else { continue };
            for (other, role) in self.0.iter().enumerate() {
                if !met[other] && parameter(&role.id, rest).is_some() {
                    met[other] = true;
                    roles.push(other);
                }
            }
        }
        roles.into_iter()
    }

    /// Walks along the dependencies, depth first, and refuses to come back to where the walk still is.
    fn refuse_cycles(&self) -> Result<()> {
        let mut left = vec![false; self.0.len()];
        for start in 0..self.0.len() {
            let mut path = vec![(start, self.dependencies(start))];
            while let Some((here, dependencies)) = path.last_mut() {
                match dependencies.next() {
                    Some(role) if left[role] => {}
                    Some(role) => {
                        if let Some(at) = path.iter().position(|(seen, _)| *seen == role) {
                            let circle = path[at..].iter().map(|(seen, _)| *seen).chain([role]);
                            return Err(self.cycle(circle));
                        }
                        path.push((role, self.dependencies(role)));
                    }
                    None => {
                        left[*here] = true;
                        path.pop();
                    }
                }
            }
        }
        Ok(())
    }

    fn cycle(&self, circle: impl Iterator<Item = usize>) -> Error {
        let names: Vec<_> = circle.map(|role| format!("'{ASSUME}{}'", self.0[role].id)).collect();
        Error::invalid(format!("Roles may not contain dependency cycles, found: {}", names.join(" -> ")))
            .with_code("DependencyCycleError")
    }
}

/// Refuses scopes of which it would not be clear what they grant.
fn check(role: &Role, scope: &str) -> Result<()> {
    let starred = role.id.as_str().ends_with('*');
    let invalid = |message: String| Err(Error::invalid(message).with_code("InvalidScopeError"));
    if starred && scope.matches(PARAMETER).count() > 1 {
        return invalid(format!("parameterized scope '{scope}' contains multiple '<..>'"));
    }
    if starred && scope.ends_with("*<..>") {
        return invalid(format!("parameterized scope '{scope}' ends with '*<..>' which implies an ambiguous kleene"));
    }
    if scope.ends_with("**") {
        return invalid(format!("scope '{scope}' ends with '**'"));
    }
    Ok(())
}

/// What follows `assume:` in a scope that stands for roles. A starred scope too short to say `assume:` stands for all.
fn assumed(scope: &str) -> Option<&str> {
    match scope.strip_suffix('*') {
        Some(prefix) if ASSUME.starts_with(prefix) => Some("*"),
        _ => scope.strip_prefix(ASSUME),
    }
}

/// With which parameter `assume:<rest>` enters a role; `None` when it does not stand for this role. A starred rest that
/// does not reach the star of the role id enters with every parameter.
fn parameter<'a>(id: &RoleId, rest: &'a str) -> Option<&'a str> {
    let stem = id.as_str().strip_suffix('*');
    match (rest.strip_suffix('*'), stem) {
        (Some(prefix), _) if stem.unwrap_or(id.as_str()).starts_with(prefix) => Some("*"),
        (_, Some(stem)) => rest.strip_prefix(stem),
        (_, None) => (rest == id.as_str()).then_some(""),
    }
}

/// Puts the parameter into a scope of a starred role. Behind a parameter that ends in `*` nothing follows. A scope
/// that gets too long to be one is granted to nobody.
fn fill(scope: &Scope, parameter: &str) -> Option<Scope> {
    match scope.as_str().split_once(PARAMETER) {
        None => Some(scope.clone()),
        Some((before, _)) if parameter.ends_with('*') => Scope::parse(&format!("{before}{parameter}")).ok(),
        Some((before, after)) => Scope::parse(&format!("{before}{parameter}{after}")).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(roles: &[(&str, &[&str])]) -> Result<Roles> {
        let role = |(id, scopes): &(&str, &[&str])| Role { id: RoleId::parse(id).unwrap(), scopes: scopes_of(scopes) };
        Roles::new(roles.iter().map(role).collect())
    }

    fn scopes_of(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_starred_scope_enters_with_every_parameter_it_reaches() {
        let roles = roles(&[("a:*", &["x:<..>/y"]), ("b", &["z"])]).unwrap();
        for (held, expanded) in [
            ("assume:a:1", &["assume:a:1", "x:1/y"] as &[_]),
            ("assume:a:1*", &["assume:a:1*", "x:1*"]),
            ("assume:a:*", &["assume:a:*", "x:*"]),
            ("assume:a*", &["assume:a*", "x:*"]),
            ("assume:*", &["assume:*", "x:*", "z"]),
            ("ass*", &["ass*", "x:*", "z"]),
            ("assume:b", &["assume:b", "z"]),
            ("assume:bb", &["assume:bb"]),
            ("assume:a:", &["assume:a:", "x:/y"]),
        ] {
            assert_eq!(roles.expand(&scopes_of(&[held])), scopes_of(expanded), "{held}");
        }
    }

    #[test]
    fn circles_are_found_wherever_the_walk_begins() {
        let code = |list: &[(&str, &[&str])]| roles(list).err().and_then(|error| error.code());
        assert_eq!(code(&[("a", &["assume:a"])]), Some("DependencyCycleError"));
        assert_eq!(
            code(&[("s", &["assume:a"]), ("a", &["assume:b"]), ("b", &["assume:a"])]),
            Some("DependencyCycleError")
        );
        assert_eq!(code(&[("a:*", &["assume:a:x<..>"])]), Some("DependencyCycleError"));
        assert_eq!(code(&[("a", &["ass*"])]), Some("DependencyCycleError"));
        assert_eq!(code(&[("a", &["assume:c", "assume:b"]), ("b", &["assume:c"]), ("c", &["x"])]), None);
        assert_eq!(code(&[("root", &["*"])]), None);
        assert_eq!(code(&[("a", &["x**"])]), Some("InvalidScopeError"));
    }

    #[test]
    fn what_many_roles_grant_alike_counts_once() {
        let role = |number: usize, scopes| Role { id: RoleId::parse(&format!("r{number:02}")).unwrap(), scopes };
        let common: Vec<Scope> = (0..1000).map(|n| Scope::parse(&format!("x:{n:03}:")).unwrap()).collect();
        let mut all: Vec<Role> = (0..20).map(|number| role(number, common.clone())).collect();
        all.push(role(20, scopes_of(&["last"])));
        let expanded = Roles::new(all).unwrap().expand(&scopes_of(&["assume:r*"]));
        assert_eq!(expanded.len(), 1002);
        assert!(expanded.contains(&Scope::parse("last").unwrap()));
    }

    #[test]
    fn a_role_depends_on_another_once() {
        let roles = roles(&[("a", &["assume:b", "assume:c", "assume:b*"]), ("b", &["x"]), ("c", &[])]);
        assert_eq!(roles.unwrap().dependencies(0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_expansion_that_multiplies_stops() {
        let id = |step: usize| format!("r{step:02}:*");
        let step = |step: usize| Role {
            id: RoleId::parse(&id(step)).unwrap(),
            scopes: scopes_of(&[&format!("assume:r{:02}:<..>a", step + 1), &format!("assume:r{:02}:<..>b", step + 1)]),
        };
        let roles = Roles::new((0..40).map(step).collect()).unwrap();
        let expanded = roles.expand(&scopes_of(&["assume:r00:"]));
        assert!((1_000..=EXPANDED_MAX).contains(&expanded.len()));
    }
}
