//! `keylender agent`: the agents of a fleet.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::act::{self, Act, Given, Printed, noun};
use super::agent_whitelist::{self, Whitelist};
use super::relay_reach::{self, Names};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::Result;
use crate::domain::actions::fleet as actions;
use crate::domain::agents::{AgentRule, QueueFate};

#[derive(Subcommand)]
pub(super) enum Agent {
    /// Lists the agents that were heard or enrolled
    #[command(after_help = "Example:\n  keylender agent list --state offline")]
    List(List),
    /// Shows an agent: what it says of itself, its processes, what happened to it, and its account
    #[command(after_help = "Example:\n  keylender agent show linux.web1.example.net.dn0j5d3ugjk0")]
    Show {
        /// The name of its queue without `mig.agt.`
        queueloc: String,
        #[command(flatten)]
        format: Format,
    },
    /// Lists the agents that wait to be let in
    #[command(after_help = "Example:\n  keylender agent pending")]
    Pending(Format),
    /// Lists the rules about agents that knock
    #[command(after_help = "Example:\n  keylender agent rules")]
    Rules(Format),
    /// Decides beforehand about agents that knock, by their name, network or zone
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender agent rule 'approve zone *.example.net network 10.1.0.0/16' --reason 'our rack'"
    )]
    Rule {
        /// `approve` or `refuse`, and then what has to fit: `queueloc`, `network`, `zone`
        rule: String,
        /// Until when it counts, such as 2027-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        given: Given,
    },
    /// Makes a token by which a host enrols its agent once: one that DNS does not know, or that was cut off
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender agent enrol web1.example.net --reason 'a new host'"
    )]
    Enrol {
        /// The host's name
        host: String,
        /// Minutes for which the token counts
        #[arg(long, value_name = "COUNT", default_value_t = 60)]
        minutes: u32,
        #[command(flatten)]
        printed: Printed,
    },
    /// Cuts the agent of a host off from the relay at once
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender agent revoke web1.example.net --queue purge --reason 'it was stolen'"
    )]
    Revoke {
        /// The host's name
        host: String,
        /// What becomes of its queue: keep, purge or delete
        #[arg(long, value_name = "FATE", default_value = "keep")]
        queue: QueueFate,
        #[command(flatten)]
        given: Given,
    },
    /// Lists the agents that are gone: silent for long, and not in DNS any more
    #[command(after_help = "Example:\n  keylender agent gone")]
    Gone(Format),
    /// Cuts off the agents that are gone
    #[command(mut_arg("reason", act::asked), after_help = "Example:\n  keylender agent remove-gone --plan")]
    RemoveGone(Given),
    /// Says what the account of a host's agent may do with each queue and exchange
    #[command(after_help = "Example:\n  keylender agent reach web1.example.net --queue mig.agt.linux.web2")]
    Reach {
        /// The host's name
        host: String,
        #[command(flatten)]
        names: Names,
    },
    /// Whom the scheduler of the fleet admits
    #[command(subcommand, after_help = "Example:\n  keylender agent whitelist show")]
    Whitelist(Whitelist),
    #[command(flatten)]
    Act(Act<Agents>),
}

noun!(Agents: actions::APPROVE, actions::REFUSE, actions::REMOVE_RULE, actions::FORGET);

#[derive(Args)]
pub(super) struct List {
    /// Only those in this state: online, idle, offline, destroyed, upgraded, unheard or revoked
    #[arg(long)]
    state: Option<String>,
    /// Only those with this in their queue location, host, version or system
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    r#match: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(command: Agent, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Agent::List(wanted) => list(wanted, &operator).await?,
        Agent::Show { queueloc, format } => {
            let path = format!("/agents/known/{}", output::segment(&queueloc));
            print(&operator.call("GET", &path, None).await?, &format, show);
        }
        Agent::Pending(format) => print(&operator.call("GET", "/agents/pending", None).await?, &format, show_pending),
        Agent::Rules(format) => print(&operator.call("GET", "/agents/rules", None).await?, &format, show_rules),
        Agent::Rule { rule, until, given } => {
            // As it is listed, however it was typed.
            let rule = rule.parse::<AgentRule>()?.to_string();
            act::run(&operator, &actions::SET_RULE.about, &[&rule], &given, Some(json!({ "until": until }))).await?;
        }
        Agent::Enrol { host, minutes, printed } => enrol(&operator, &host, minutes, printed).await?,
        Agent::Revoke { host, queue, given } => {
            let input = json!({ "queue": queue.as_str() });
            act::run(&operator, &actions::REVOKE.about, &[&host], &given, Some(input)).await?;
        }
        Agent::Gone(format) => print(&operator.call("GET", "/agents/gone", None).await?, &format, show_gone),
        Agent::RemoveGone(given) => {
            if let Some(done) = act::run(&operator, &actions::REMOVE_GONE.about, &[], &given, None).await? {
                output::line(&output::value(&done, "report"));
            }
        }
        Agent::Reach { host, names } => {
            let path = format!("/agents/hosts/{}/reach", output::segment(&host));
            return relay_reach::show(&path, names, &operator).await;
        }
        Agent::Whitelist(command) => return agent_whitelist::run(command, &operator).await,
        Agent::Act(act) => act.run(&operator).await?,
    }
    Ok(())
}

fn print(document: &Value, format: &Format, show: fn(&Value)) {
    if format.json { output::json(document) } else { show(document) }
}

async fn list(List { state, r#match, format }: List, operator: &Operator) -> Result<()> {
    let asked = [("state", state), ("match", r#match)].into_iter();
    let asked = asked.filter_map(|(name, value)| Some(format!("{name}={}", output::segment(&value?))));
    let query = asked.collect::<Vec<_>>().join("&");
    let list = operator.call("GET", format!("/agents?{query}").trim_end_matches('?'), None).await?;
    print(&list, &format, |list| {
        output::table(
            &["QUEUELOC", "HOST", "STATE", "LAST HEARD", "VERSION", "SYSTEM", "ENROLLED", "LATE"],
            &output::rows(
                list,
                "agents",
                &["queueloc", "host", "state", "lastHeard", "version", "ident", "enrolled", "overdue"],
            ),
        );
    });
    Ok(())
}

fn show(agent: &Value) {
    let line = |label: &str, text: String| {
        if !text.is_empty() {
            output::line(&format!("{label:17} {text}"));
        }
    };
    for (label, member) in [
        ("queue location", "queueloc"),
        ("host", "host"),
        ("state", "state"),
        ("first heard", "firstHeard"),
        ("last heard", "lastHeard"),
        ("admitted by", "admittedBy"),
    ] {
        line(label, output::text(agent, member));
    }
    for (label, member) in [
        ("calls its host", "name"),
        ("version", "version"),
        ("mode", "mode"),
        ("system", "ident"),
        ("architecture", "arch"),
        ("proxy", "proxy"),
        ("public address", "publicIp"),
    ] {
        line(label, output::text(&agent["about"], member));
    }
    for (label, member) in
        [("account", "account"), ("password since", "rotated"), ("to enrol by", "expires"), ("cut off", "revoked")]
    {
        line(label, output::text(&agent["account"], member));
    }
    output::line("");
    let processes = output::rows(agent, "processes", &["pid", "state", "started", "firstHeard", "lastHeard"]);
    output::table(&["PROCESS", "STATE", "STARTED", "FIRST HEARD", "LAST HEARD"], &processes);
    output::line("");
    output::table(&["AT", "WHAT", "MORE"], &output::rows(&agent["about"], "events", &["at", "kind", "what"]));
}

fn show_pending(waiting: &Value) {
    output::table(
        &["QUEUELOC", "CALLS ITS HOST", "TIMES", "LAST", "FROM", "DNS SAYS", "REFUSED BY"],
        &output::rows(waiting, "pending", &["queueloc", "name", "count", "last", "from", "verdict", "refusedBy"]),
    );
}

fn show_rules(rules: &Value) {
    output::table(
        &["RULE", "SINCE", "UNTIL", "BY", "REASON"],
        &output::rows(rules, "rules", &["rule", "since", "until", "by", "reason"]),
    );
}

fn show_gone(gone: &Value) {
    output::table(&["HOST", "LAST HEARD", "WHY"], &output::rows(gone, "agents", &["host", "lastHeard", "why"]));
    let brake = output::value(gone, "brake");
    if !brake.is_empty() {
        output::remark(&brake);
    }
}

async fn enrol(operator: &Operator, host: &str, minutes: u32, printed: Printed) -> Result<()> {
    let input = json!({ "minutes": minutes });
    let Some(made) = act::run(operator, &actions::ENROL.about, &[host], &printed.given, Some(input)).await? else {
        return Ok(());
    };
    if printed.format.json {
        output::json(&made);
        return Ok(());
    }
    output::line(&output::value(&made, "token"));
    output::remark(&format!(
        "{host} shows it once, until {}: curl -H 'Authorization: Bearer …' …/api/keylender/v1/agents/enrol?form=tar | tar -xC /",
        output::value(&made, "until")
    ));
    Ok(())
}
