//! Taking back what is lent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Weight, nothing};
use crate::base::{Error, Result};
use crate::domain::auth::scopes;
use crate::domain::leases::{Filter, LeaseKind, Planned, Revocation, Revoked, Target};
use crate::proto::formats;

/// What is taken back: what fits all that is given.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wanted {
    pub kind: Option<String>,
    pub name: Option<String>,
    pub prefix: Option<String>,
    pub holder: Option<String>,
    pub host: Option<String>,
    pub since: Option<String>,
    pub unused_seconds: Option<u64>,
    #[serde(default)]
    pub all: bool,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub release: bool,
    #[serde(default)]
    pub block: bool,
    /// Only with `false` something is done.
    #[serde(default = "yes")]
    pub dry_run: bool,
}

fn yes() -> bool {
    true
}

/// What would be done, or what was.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Planned(Plan),
    Revoked(Done),
}

#[derive(JsonSchema, Serialize)]
pub struct Plan {
    planned: Vec<Step>,
}

#[derive(JsonSchema, Serialize)]
struct Step {
    kind: &'static str,
    name: String,
    what: String,
}

#[derive(JsonSchema, Serialize)]
pub struct Done {
    pub revoked: Vec<Ended>,
    pub failed: usize,
}

#[derive(JsonSchema, Serialize)]
pub struct Ended {
    kind: &'static str,
    pub name: String,
    pub outcome: &'static str,
    pub remark: String,
}

pub const REVOKE: Action<(), Outcome, Wanted> = Action {
    about: About {
        name: "revokeLeases",
        route: "POST /leases/revoke",
        scope: scopes::LEASE_REVOKE,
        command: "lease revoke --name <name> --reason <why>",
        says: "Takes back what is lent. Only with `dryRun: false` something is done.",
        page: ("Revoke <what>", "Revoke"),
        weight: Weight::Destroys,
        ..super::ABOUT
    },
    on: nothing,
    plan: work!(|domain, _, (), wanted| {
        let revocation = wanted.revocation()?;
        let planned = domain.leases.plan(&revocation).await?;
        let is_promised = |step: &Planned| match step.target {
            Target::Namespace(_) => !revocation.release,
            Target::Relay(_) => true,
            Target::Host(_) | Target::Client(_) | Target::Wrap(_) | Target::Agent(_) | Target::Proxy(_) => false,
        };
        let broken = planned
            .iter()
            .any(is_promised)
            .then(|| "This breaks the promise of how long the passwords work. Queues and messages stay.".to_owned());
        let effects: Vec<String> = planned.into_iter().map(|step| step.what).chain(broken).collect();
        Ok(if effects.is_empty() { vec!["Nothing that fits is lent now.".into()] } else { effects })
    }),
    run: work!(|domain, caller, (), wanted| {
        let (is_dry, revocation) = (wanted.dry_run, wanted.revocation()?);
        if is_dry {
            let planned = domain.leases.plan(&revocation).await?.into_iter().map(Step::from).collect();
            return Ok(Outcome::Planned(Plan { planned }));
        }
        let revoked = domain.leases.revoke(&caller, &revocation).await?;
        let failed = revoked.iter().filter(|each| each.outcome.is_err()).count();
        if failed > 0 {
            // What the store wishes and the broker does not have yet need not wait.
            domain.loops.nudge("reconcile");
        }
        if revoked.iter().any(|each| each.outcome.is_err() && matches!(each.target, Target::Agent(_))) {
            domain.loops.nudge("agents");
        }
        if revoked.iter().any(|each| each.outcome.is_err() && matches!(each.target, Target::Relay(_))) {
            // It closes what could not be closed.
            domain.loops.nudge("rotate");
        }
        Ok(Outcome::Revoked(Done { revoked: revoked.into_iter().map(Ended::from).collect(), failed }))
    }),
};

impl Wanted {
    /// Which leases it is about.
    pub fn filter(&self) -> Result<Filter> {
        let wrong = |what: &str| Error::invalid(format!("{what} is not one")).with_code("InputValidationError");
        let kind = |kind: &String| LeaseKind::parse(kind).ok_or_else(|| wrong("kind"));
        let since = |since: &String| formats::date_time(since).map_err(|_| wrong("since"));
        Ok(Filter {
            kind: self.kind.as_ref().map(kind).transpose()?,
            name: self.name.clone(),
            prefix: self.prefix.clone(),
            holder: self.holder.clone(),
            host: self.host.as_ref().map(|host| host.parse()).transpose()?,
            since: self.since.as_ref().map(since).transpose()?,
            unused: self.unused_seconds.map(Duration::from_secs),
        })
    }

    pub fn revocation(&self) -> Result<Revocation> {
        Ok(Revocation { filter: self.filter()?, all: self.all, release: self.release, block: self.block })
    }
}

impl From<Planned> for Step {
    fn from(planned: Planned) -> Self {
        Self { kind: planned.target.kind().as_str(), name: planned.target.name(), what: planned.what }
    }
}

impl From<Revoked> for Ended {
    fn from(revoked: Revoked) -> Self {
        let (kind, name) = (revoked.target.kind().as_str(), revoked.target.name());
        match revoked.outcome {
            Ok(remark) => Self { kind, name, outcome: "done", remark },
            Err(error) => Self { kind, name, outcome: "failed", remark: error.message().to_owned() },
        }
    }
}
