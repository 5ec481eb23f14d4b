//! What people may do with single agents of a fleet: let them in, enrol their hosts, cut them off.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Because, DONE, Done, Plain, Report, Weight, nothing};
use crate::base::text::pluralize;
use crate::base::{Error, HostName, Queueloc, Result, Timestamp};
use crate::domain::Domain;
use crate::domain::agents::{AgentRule, LASTS, LASTS_MAX, QueueFate};
use crate::domain::auth::scopes;
use crate::proto::formats;

const QUEUELOC: (&str, &str) = ("QUEUELOC", "The name of its queue without `mig.agt.`");
const HOST: (&str, &str) = ("HOST", "The host's name in DNS");
const AGENT: About = About {
    scope: scopes::AGENT_ADMIT,
    weight: Weight::Reasoned,
    asks_programs: true,
    argument: QUEUELOC,
    example: "linux.web1.example.net.dn0j5d3ugjk0 --reason 'it is new'",
    ..super::ABOUT
};
const OF_HOST: About = About { argument: HOST, example: "web1.example.net --reason 'it is new'", ..AGENT };

pub const APPROVE: Action<Queueloc, Done, Because> = Action {
    about: About {
        name: "approveAgent",
        route: "POST /agents/pending/<queueloc>/approve",
        command: "agent approve <queueloc> --reason <why>",
        says: "Lets an agent in that waits: its name is a line of the whitelist from then on.",
        page: ("Approve <queueloc>", "Let it in"),
        ..AGENT
    },
    on: |_, text| Queueloc::parse(text),
    plan: work!(|domain, _, queueloc, _| domain.agents.plan_decision(&queueloc, true)),
    run: work!(|domain, caller, queueloc, _| {
        domain.agents.approve(&queueloc, &caller).await?;
        // The scheduler's file need not wait.
        domain.loops.nudge("agents");
        Ok(DONE)
    }),
};

pub const REFUSE: Action<Queueloc, Done, Because> = Action {
    about: About {
        name: "refuseAgent",
        route: "POST /agents/pending/<queueloc>/refuse",
        command: "agent refuse <queueloc> --reason <why>",
        says: "Notes that an agent which waits stays out.",
        page: ("Refuse <queueloc>", "Keep it out"),
        ..AGENT
    },
    on: |_, text| Queueloc::parse(text),
    plan: work!(|domain, _, queueloc, _| domain.agents.plan_decision(&queueloc, false)),
    run: done!(|domain, caller, queueloc, _| domain.agents.refuse(&queueloc, &caller)),
};

/// Until when a rule counts, and why there is one.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// Read as leniently as the end of a claim; without an end unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Ruling {
    /// With this end.
    pub fn until(until: Option<String>) -> Self {
        Self { until, ..Self::default() }
    }

    fn end(&self) -> Result<Option<Timestamp>> {
        let end = self.until.as_deref().map(formats::date_time).transpose();
        end.map_err(|_| Error::invalid("expected a time as the end of the rule, such as 2027-01-31T00:00:00Z"))
    }
}

const RULE: About = About {
    argument: ("RULE", "As `agent rules` lists it"),
    example: "'approve zone *.example.net' --reason 'ours'",
    ..AGENT
};

pub const SET_RULE: Action<AgentRule, Done, Ruling> = Action {
    about: About {
        name: "setAgentRule",
        route: "PUT /agents/rules/<rule>",
        command: "agent rule <rule> --reason <why>",
        says: "Decides beforehand about agents that knock, by their name, network or zone.",
        page: ("Rule: <rule>", "Set the rule"),
        ..RULE
    },
    on: as_listed,
    plan: work!(|domain, _, rule, ruling| {
        if ruling.end()?.is_some_and(|until| until <= domain.clock.now()) {
            return Err(Error::invalid("expected an end of the rule that has not passed"));
        }
        let fate = if rule.approves { "is let in" } else { "stays out, and is listed as refused" };
        let mut effects = vec![format!("Whoever waits, or knocks from now on, and fits `{rule}` {fate}.")];
        if rule.approves {
            effects.push(
                "Over AMQP the sender names both its host and its addresses, and DNS confirms only that they belong together: \
                 whoever may publish can take the name and the address of a host that fits."
                    .to_owned(),
            );
        }
        effects.extend(rule.oddities()?.into_iter().map(|odd| format!("Of its queue location: {odd}.")));
        Ok(effects)
    }),
    run: work!(|domain, caller, rule, ruling| {
        let until = ruling.end()?;
        domain.agents.set_rule(rule, until, &caller).await?;
        domain.loops.nudge("agents");
        Ok(DONE)
    }),
};

pub const REMOVE_RULE: Action<AgentRule, Done, Because> = Action {
    about: About {
        name: "removeAgentRule",
        route: "DELETE /agents/rules/<rule>",
        command: "agent unrule <rule> --reason <why>",
        says: "Removes a rule about agents that knock.",
        page: ("Remove the rule <rule>", "Remove it"),
        ..RULE
    },
    on: as_listed,
    plan: work!(|domain, _, rule, _| {
        let found = domain.agents.rules().await?.into_iter().find(|(known, _)| *known == rule);
        let (_, ruled) = found.ok_or_else(|| Error::not_found(format!("there is no rule `{rule}`")))?;
        let decided = format!("It was decided by {} at {}, saying: {}", ruled.by, ruled.since, ruled.reason);
        Ok(vec![
            "Who was let in by it stays in, and who was refused by it stays refused; others who knock wait.".to_owned(),
            decided,
        ])
    }),
    run: done!(|domain, caller, rule, _| domain.agents.remove_rule(rule, &caller)),
};

/// Only as it is listed: a rule is known by its text.
fn as_listed(_: &Domain, text: &str) -> Result<AgentRule> {
    let rule: AgentRule = text.parse()?;
    match rule.to_string() {
        listed if listed == text => Ok(rule),
        listed => Err(Error::invalid(format!("write the rule as `{listed}`"))),
    }
}

/// For how long a token counts, and why it is made.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenWish {
    /// Minutes for which it counts; an hour unless said, a week at most.
    #[serde(default = "usual_minutes")]
    pub minutes: u32,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Default for TokenWish {
    fn default() -> Self {
        Self { minutes: usual_minutes(), _reason: String::new() }
    }
}

impl TokenWish {
    /// For so long.
    pub fn of(minutes: u32) -> Self {
        Self { minutes, ..Self::default() }
    }

    fn lasts(&self) -> Result<Duration> {
        let lasts = Duration::from_secs(u64::from(self.minutes) * 60);
        let fits = !lasts.is_zero() && lasts <= LASTS_MAX;
        if fits {
            Ok(lasts)
        } else {
            Err(Error::invalid("a token counts for a minute at least, and for a week at most"))
        }
    }
}

fn usual_minutes() -> u32 {
    u32::try_from(LASTS.as_secs() / 60).unwrap_or(60)
}

/// A token that was just made.
#[derive(JsonSchema, Serialize)]
pub struct EnrolmentToken {
    pub host: HostName,
    /// What the host shows, once: `Authorization: Bearer` and this.
    pub token: Plain,
    /// Until when it counts.
    pub until: Timestamp,
}

pub const ENROL: Action<HostName, EnrolmentToken, TokenWish> = Action {
    about: About {
        name: "makeEnrolmentToken",
        route: "POST /agents/hosts/<host>/token",
        scope: scopes::AGENT_ENROL,
        command: "agent enrol <host> --reason <why>",
        says: "Makes a token by which a host enrols its agent once: one that DNS does not know, or that was cut off.",
        page: ("Enrol the agent of <host>", "Make the token"),
        ..OF_HOST
    },
    on: |_, text| HostName::parse(text),
    plan: work!(|domain, _, host, wish| {
        domain.agents.agents()?;
        let minutes = wish.lasts()?.as_secs() / 60;
        let what = domain.agents.enrolment_effect(&host)?;
        Ok(vec![
            format!(
                "Whoever shows the token within {minutes} minutes is taken for {host}, once, and its agent {what}."
            ),
            "The token is shown this once.".to_owned(),
        ])
    }),
    run: work!(|domain, caller, host, wish| {
        let made = domain.agents.make_token(host, wish.lasts()?, &caller).await?.into_inner();
        Ok(EnrolmentToken { host: made.host, token: Plain(made.token), until: made.until })
    }),
};

/// What becomes of the queue of an agent that is cut off, and why it is.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// `keep` unless said, `purge`, or `delete`.
    #[serde(default)]
    pub queue: QueueFate,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Cut {
    /// With this fate.
    pub fn with(queue: QueueFate) -> Self {
        Self { queue, ..Self::default() }
    }
}

pub const REVOKE: Action<HostName, Done, Cut> = Action {
    about: About {
        name: "revokeAgent",
        route: "POST /agents/hosts/<host>/revoke",
        scope: scopes::AGENT_REVOKE,
        command: "agent revoke <host> --reason <why>",
        says: "Cuts the agent of a host off from the relay at once.",
        page: ("Cut off the agent of <host>", "Cut it off"),
        weight: Weight::Destroys,
        ..OF_HOST
    },
    on: |_, text| HostName::parse(text),
    plan: work!(|domain, _, host, Cut { queue, .. }| domain.agents.plan_revocation(&host, queue).await),
    run: work!(|domain, caller, host, Cut { queue, .. }| {
        let revoked = domain.agents.revoke(&host, queue, &caller).await;
        // What was begun need not wait for the next pass.
        revoked.inspect_err(|_| domain.loops.nudge("agents")).map(|()| DONE)
    }),
};

pub const FORGET: Action<HostName, Done, Because> = Action {
    about: About {
        name: "forgetAgent",
        route: "POST /agents/hosts/<host>/forget",
        scope: scopes::AGENT_REVOKE,
        command: "agent forget <host> --reason <why>",
        says: "Forgets an agent that was cut off: its host may enrol again by its name in DNS.",
        page: ("Forget the agent of <host>", "Forget it"),
        ..OF_HOST
    },
    on: |_, text| HostName::parse(text),
    plan: work!(|domain, _, host, _| {
        domain.agents.queueloc_of(&host)?;
        Ok(vec![format!("{host} may enrol again by its name in DNS. Nothing changes at the broker.")])
    }),
    run: done!(|domain, caller, host, _| domain.agents.forget(&host, &caller)),
};

pub const REMOVE_GONE: Action<(), Report, Because> = Action {
    about: About {
        name: "removeGoneAgents",
        route: "POST /agents/gone/remove",
        scope: scopes::AGENT_REVOKE.for_all(),
        command: "agent remove-gone --reason <why>",
        argument: ("", ""),
        says: "Cuts off the agents that are gone: silent for long, and not in DNS any more.",
        page: ("Remove the agents that are gone", "Remove them"),
        weight: Weight::Destroys,
        ..AGENT
    },
    on: nothing,
    plan: work!(|domain, _, (), _| domain.agents.plan_removal().await),
    run: work!(|domain, caller, (), _| {
        let (done, failed) = domain.agents.remove_gone(&caller).await?;
        if failed > 0 {
            domain.loops.nudge("agents");
        }
        let later =
            if failed > 0 { format!(", {failed} will be as soon as the broker answers") } else { String::new() };
        Ok(Report { report: format!("{} cut off{later}", pluralize(done, "agent was", "agents were")) })
    }),
};

pub const OVERWRITE: Action<(), Done, Because> = Action {
    about: About {
        name: "overwriteWhitelist",
        route: "POST /agents/whitelist/overwrite",
        scope: scopes::AGENT_WHITELIST,
        command: "agent whitelist overwrite --reason <why>",
        argument: ("", ""),
        says: "Writes the scheduler's whitelist on this host anew, over what somebody else wrote into it.",
        page: ("Overwrite the whitelist", "Overwrite it"),
        weight: Weight::Destroys,
        ..AGENT
    },
    on: nothing,
    plan: work!(|domain, _, (), _| {
        let (path, _) = domain.agents.list_file().await?;
        let path = path.ok_or_else(|| Error::conflict("no profile of the settings names a whitelist on this host"))?;
        Ok(vec![format!("{path} is written anew; what somebody else wrote into it is gone.")])
    }),
    run: done!(|domain, caller, (), _| domain.agents.overwrite_list_file(&caller)),
};
