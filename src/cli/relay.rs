//! `keylender relay`: what a platform of fixed programs needs on the broker, declared, planned, applied, compared.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::act::{self, Given, Printed};
use super::relay_reach::{self, Reach};
use super::relay_recipe::{self, Recipe};
use super::relay_render::{self, Render};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::{Settings, Unusable, read_profile};
use crate::base::Error;
use crate::domain::actions::relay::{ADOPT, APPLY, RELEASE, ROTATE, STORE};
use crate::proto::relay_profile::{PRESETS, preset, preset_with_agents, schema};

#[derive(Subcommand)]
pub(super) enum Relay {
    /// Shows what is declared, and how its accounts stand
    #[command(after_help = "Example:\n  keylender relay show")]
    Show(Format),
    /// Shows what applying it would do now, each step with its reason
    #[command(after_help = "Example:\n  keylender relay plan")]
    Plan(Format),
    /// Makes the broker what is declared; what fails stops nothing else
    #[command(mut_arg("reason", act::asked), after_help = "Example:\n  keylender relay apply --reason 'the new relay'")]
    Apply(Printed),
    /// Gives an account a new password, in the way that the profile says
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender relay rotate scheduler --close-connections --reason 'a laptop was stolen'"
    )]
    Rotate {
        /// The account, as the profile calls it
        account: String,
        /// Close the connections that use the former password
        #[arg(long)]
        close_connections: bool,
        #[command(flatten)]
        given: Given,
    },
    /// Shows what the broker has otherwise than it was applied
    #[command(after_help = "Example:\n  keylender relay drift --json")]
    Drift(Format),
    /// Shows the nodes of the broker, and on which of them the queues of the relay have copies
    #[command(after_help = "Example:\n  keylender relay cluster")]
    Cluster(Format),
    /// Shows what an account may do with each queue and exchange of its vhosts, by the broker's own rules
    #[command(
        after_help = "Examples:\n  keylender relay reach agent\n  keylender relay reach agent --queue mig.agt.linux.web1"
    )]
    Reach(Reach),
    /// Lists users of the broker that somebody else made, with those that were adopted
    #[command(after_help = "Example:\n  keylender relay users")]
    #[command(name = "users")]
    ListUsers(Format),
    /// Takes a user that somebody else made under management, as it is
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender relay adopt shop --owner 'the shop team' --reason 'nobody knew whose it was'"
    )]
    Adopt {
        /// The broker user
        user: String,
        /// Who answers for it
        #[arg(long, value_name = "WHO")]
        owner: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Put its rights back when somebody changes them, instead of only telling it
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        given: Given,
    },
    /// Gives an adopted user, or an account of the relay, back as it is
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender relay release shop --reason 'the shop team has its own appliance'"
    )]
    Release {
        /// The user that was adopted, or the account
        user: String,
        #[command(flatten)]
        given: Given,
    },
    /// Writes a file of the relay's programs, with the password of today
    #[command(
        after_help = "Examples:\n  keylender relay render scheduler --to /etc/mig\n  keylender relay render --check /etc/mig"
    )]
    Render(Render),
    /// Prints a built-in profile, to be copied and changed, or the one that declares the relay now
    #[command(
        after_help = "Examples:\n  keylender relay profile mig-2015 >/etc/keylender-relay.toml\n  keylender relay profile mig-2018 --agents"
    )]
    Profile {
        /// Which built-in one
        #[arg(value_parser = PossibleValuesParser::new(PRESETS.map(|(name, _)| name)))]
        name: Option<String>,
        /// Add the fleet's agents, of which each has an account of its own then
        #[arg(long, requires = "name")]
        agents: bool,
        /// Leave them the account that all share, instead of one each
        #[arg(long, requires = "agents")]
        shared_agent_account: bool,
    },
    /// Prints commands for whoever looks after the broker's cluster; none of them is run
    #[command(subcommand, after_help = "Example:\n  keylender relay recipe join rabbit@relay2 rabbit@relay1")]
    Recipe(Recipe),
    /// Stores a profile, which declares the relay from now on; RELAY_PROFILE must not be set
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender relay store /etc/keylender-relay.toml --reason 'a second scheduler'"
    )]
    Store {
        /// The profile
        file: PathBuf,
        #[command(flatten)]
        given: Given,
    },
    /// Says everything that is wrong with a profile, without an appliance
    #[command(after_help = "Example:\n  keylender relay check /etc/keylender-relay.toml")]
    Check {
        /// The profile
        file: PathBuf,
    },
    /// Prints the JSON schema of profiles, for editors
    #[command(after_help = "Example:\n  keylender relay schema >relay.schema.json")]
    Schema,
}

/// What needs neither an appliance nor its settings; nothing for other commands.
pub(super) fn offline(command: &Relay) -> Option<Outcome> {
    match command {
        Relay::Profile { name: Some(name), agents: true, shared_agent_account } => {
            Some(print_with_agents(name, *shared_agent_account))
        }
        Relay::Profile { name: Some(name), .. } => {
            output::line(preset(name).unwrap_or_default().trim_end_matches('\n'));
            Some(Ok(()))
        }
        Relay::Check { file } => Some(check(file)),
        Relay::Recipe(recipe) => Some(relay_recipe::print(recipe)),
        Relay::Schema => {
            output::json(&schema());
            Some(Ok(()))
        }
        _ => None,
    }
}

pub(super) async fn run(command: Relay, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Relay::Show(format) => return tell(&operator, "/relay", format, show).await,
        Relay::Plan(format) => return tell(&operator, "/relay/plan", format, show_plan).await,
        Relay::Drift(format) => return tell(&operator, "/relay/drift", format, show_drift).await,
        Relay::Cluster(format) => return tell(&operator, "/relay/cluster", format, show_cluster).await,
        Relay::ListUsers(format) => return tell(&operator, "/relay/users", format, show_users).await,
        Relay::Apply(Printed { format, given }) => {
            let Some(applied) = act::run(&operator, &APPLY.about, &[], &given, None).await? else { return Ok(()) };
            if format.json {
                output::json(&applied)
            } else {
                show_applied(&applied)
            }
            if applied["failed"] != 0 {
                let failed = output::text(&applied, "failed");
                return Err(Error::unavailable(format!("{failed} steps failed: apply it again")).into());
            }
        }
        Relay::Rotate { account, close_connections, given } => {
            let input = Some(json!({ "closeConnections": close_connections }));
            act::run(&operator, &ROTATE.about, &[&account], &given, input).await?;
        }
        Relay::Reach(reach) => return relay_reach::run(reach, &operator).await,
        Relay::Render(render) => return relay_render::run(render, &operator).await,
        Relay::Adopt { user, owner, note, repair, given } => {
            let input = json!({ "owner": owner.unwrap_or_default(), "note": note, "repair": repair });
            act::run(&operator, &ADOPT.about, &[&user], &given, Some(input)).await?;
        }
        Relay::Release { user, given } => {
            act::run(&operator, &RELEASE.about, &[&user], &given, None).await?;
        }
        Relay::Profile { name: None, .. } => {
            let profile = operator.call("GET", "/relay/profile", None).await?;
            let from = output::text(&profile, "from");
            let Some(text) = profile["text"].as_str() else {
                return Err(Error::not_found(format!("the profile is that of the file {from}")).into());
            };
            output::line(text.trim_end_matches('\n'));
        }
        Relay::Store { file, given } => {
            // Here, where the places of mistakes are those of the file.
            check(&file)?;
            let text = std::fs::read_to_string(&file);
            let text = text.map_err(|error| Error::invalid("the profile cannot be read").because(error))?;
            act::run(&operator, &STORE.about, &[], &given, Some(json!({ "text": text }))).await?;
        }
        command @ (Relay::Profile { .. } | Relay::Check { .. } | Relay::Recipe(_) | Relay::Schema) => {
            return offline(&command).unwrap_or(Ok(()));
        }
    }
    Ok(())
}

/// Prints a built-in profile with the agents of its fleet.
fn print_with_agents(name: &str, is_shared: bool) -> Outcome {
    let text = preset_with_agents(name, is_shared).ok_or_else(|| {
        let others = PRESETS.iter().map(|(other, _)| *other);
        let known: Vec<&str> = others.filter(|other| preset_with_agents(other, is_shared).is_some()).collect();
        let known = known.join(", ");
        Error::invalid(format!("the profile `{name}` is of no fleet of agents; --agents is for {known}"))
    })?;
    output::line(text.trim_end_matches('\n'));
    Ok(())
}

/// Prints what the appliance tells, in the form that is asked for.
async fn tell(operator: &Operator, path: &str, format: Format, show: fn(&Value)) -> Outcome {
    let told = operator.call("GET", path, None).await?;
    if format.json {
        output::json(&told)
    } else {
        show(&told)
    }
    Ok(())
}

/// Says what a profile declares, or everything that is wrong with it.
fn check(file: &Path) -> Outcome {
    match read_profile(file) {
        Ok(profile) => {
            let (vhosts, accounts) = (profile.vhosts().len(), profile.accounts().len());
            output::line(&format!("the relay `{}`: {vhosts} vhosts, {accounts} accounts", profile.name()));
            Ok(())
        }
        Err(Unusable::Unreadable(error)) => Err(Error::invalid("the profile cannot be read").because(error).into()),
        Err(Unusable::Mistaken(mistakes)) => {
            for mistake in &mistakes {
                output::remark(&format!("{}:{mistake}", file.display()));
            }
            Err(Error::invalid("this is no profile that can be used").into())
        }
    }
}

fn show(relay: &Value) {
    for (label, member) in
        [("relay", "relay"), ("from", "from"), ("must not be", "absentUsers"), ("by others", "foreignVhosts")]
    {
        output::line(&format!("{label:12} {}", output::text(relay, member)));
    }
    output::line("");
    let members = ["vhost", "onDrift", "exchanges", "queues", "bindings", "policies", "operatorPolicies"];
    let heading = ["VHOST", "ON DRIFT", "EXCHANGES", "QUEUES", "BINDINGS", "POLICIES", "OPERATOR POLICIES"];
    output::table(&heading, &output::rows(relay, "vhosts", &members));
    output::line("");
    let rows: Vec<Vec<String>> = relay["accounts"].as_array().into_iter().flatten().flat_map(account).collect();
    output::table(&["ACCOUNT", "TAGS", "STATE", "VHOST", "CONFIGURE", "WRITE", "READ"], &rows);
    output::line("");
    let rows = relay["accounts"].as_array().into_iter().flatten().map(rotation).collect::<Vec<_>>();
    output::table(&["ACCOUNT", "ROTATES", "LAST", "NEXT", "PROMISED UNTIL", "HOLDERS"], &rows);
    let rows = output::rows(relay, "parts", &["part", "kind", "age", "account", "path", "mode", "owner", "group"]);
    if !rows.is_empty() {
        output::line("");
        output::table(&["PART", "KIND", "AGE", "ACCOUNT", "PATH", "MODE", "OWNER", "GROUP"], &rows);
    }
}

/// How an account rotates, and who has it.
fn rotation(account: &Value) -> Vec<String> {
    let by = output::text(&account["rotation"], "by");
    let times = ["lastRotation", "nextRotation", "promisedUntil"].map(|member| output::text(account, member));
    let by = if account["rotation"].is_null() { "never by itself".to_owned() } else { by };
    [output::text(account, "account"), by].into_iter().chain(times).chain([output::text(account, "holders")]).collect()
}

/// A line for each vhost that it may enter, and one for an account that may enter none.
fn account(account: &Value) -> Vec<Vec<String>> {
    let users = account["users"].as_array().map(Vec::as_slice).unwrap_or_default();
    let state = match users {
        [] => "not applied",
        users if users.iter().all(|user| user["settled"] == true) => "settled",
        _ => "not settled",
    };
    let head = [output::text(account, "account"), output::text(account, "tags"), state.to_owned()];
    let grants = output::rows(account, "grants", &["vhost", "configure", "write", "read"]);
    let grants = if grants.is_empty() { vec![vec![String::new(); 4]] } else { grants };
    grants.into_iter().map(|grant| head.iter().cloned().chain(grant).collect()).collect()
}

fn show_users(users: &Value) {
    let rows = output::rows(users, "adopted", &["user", "owner", "note", "adopted", "tags", "onDrift"]);
    if !rows.is_empty() {
        output::table(&["ADOPTED", "OWNER", "NOTE", "SINCE", "TAGS", "ON DRIFT"], &rows);
        output::line("");
    }
    let others = output::text(users, "others");
    output::line(&format!("others: {}", if others.is_empty() { "none" } else { &others }));
}

fn show_cluster(cluster: &Value) {
    let rows = output::rows(cluster, "nodes", &["node", "running", "drained", "version", "partitions", "alarms"]);
    output::table(&["NODE", "RUNS", "DRAINED", "VERSION", "DOES NOT SEE", "SHORT OF"], &rows);
    output::line("");
    let rows = output::rows(cluster, "queues", &["vhost", "queue", "type", "leader", "members", "online", "trouble"]);
    output::table(&["VHOST", "QUEUE", "TYPE", "LEADER", "COPIES ON", "IN STEP ON", "TROUBLE"], &rows);
    for trouble in cluster["troubles"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::remark(trouble);
    }
}

fn show_plan(plan: &Value) {
    steps(plan, "steps", "the broker is as it is declared");
    if plan["unmanaged"] != 0 {
        let unmanaged = output::text(plan, "unmanaged");
        output::line(&format!("\n{unmanaged} things in these vhosts are declared by nobody, and are left alone"));
    }
}

fn show_drift(drift: &Value) {
    steps(drift, "drifts", "the broker has everything as it was applied");
}

fn steps(document: &Value, list: &str, nothing: &str) {
    let rows = output::rows(document, list, &["what", "kind", "name", "vhost", "onDrift", "why"]);
    if rows.is_empty() {
        return output::line(nothing);
    }
    output::table(&["STEP", "KIND", "NAME", "VHOST", "ON DRIFT", "WHY"], &rows);
}

fn show_applied(applied: &Value) {
    let rows = output::rows(applied, "steps", &["outcome", "what", "kind", "name", "vhost", "why", "cause"]);
    if !rows.is_empty() {
        output::table(&["OUTCOME", "STEP", "KIND", "NAME", "VHOST", "WHY", "CAUSE"], &rows);
        output::line("");
    }
    let [done, failed, left] = ["done", "failed", "left"].map(|member| output::text(applied, member));
    output::line(&format!("{done} steps were done, {failed} failed, {left} are left as they are"));
}
