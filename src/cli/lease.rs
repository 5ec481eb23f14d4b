//! `keylender lease`: everything that is lent now, and taking it back.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::act::{self, Given};
use super::{Outcome, moment, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Error, Span, Timestamp};
use crate::domain::actions::leases::REVOKE;

#[derive(Subcommand)]
pub(super) enum Lease {
    /// Lists what is lent now: to whom, since when, until when, and when it was last used
    #[command(after_help = "Examples:\n  keylender lease list --kind namespace --prefix taskcluster-\n  \
                            keylender lease list --from-host 192.0.2.7 --since '2 days'\n  \
                            keylender lease list --unused '90 days'")]
    List {
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Takes back what fits, as far as it can be; shows what it would do unless --yes is given
    #[command(after_help = "Examples:\n  \
                            keylender lease revoke --from-host 192.0.2.7 --since '2 days' --reason 'stolen laptop'\n  \
                            keylender lease revoke --holder builds --reason 'token in a log' --yes\n\n\
                            Everybody who uses a namespace that fits must claim again. Temporary credentials of hosts \
                            cannot\nbe taken back where another service judges them: the answer says what to do there.")]
    Revoke(Revoke),
}

/// Which leases: those that fit all that is given.
#[derive(Args)]
pub(super) struct Which {
    /// Only of this kind
    #[arg(long, value_parser = ["namespace", "host", "client", "wrap", "relay", "agent", "proxy"])]
    kind: Option<String>,
    /// Only with this name: of a namespace, broker user, host, client, link or account
    #[arg(long)]
    name: Option<String>,
    /// Only with a name that begins so
    #[arg(long)]
    prefix: Option<String>,
    /// Only what they hold: a client id, or as `audit show` shows them (`local uid 0`)
    #[arg(long)]
    holder: Option<String>,
    /// Only what was lent to, or used from, this machine: an address or a DNS name
    #[arg(long, value_name = "ADDRESS", visible_alias = "host")]
    from_host: Option<String>,
    /// Only what was lent, or used from that machine, since then: a time, or `2 hours` for that long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only what was lent that long ago and not seen in use within
    #[arg(long, value_name = "SPAN")]
    unused: Option<Span>,
}

#[derive(Args)]
#[command(mut_arg("reason", |reason| reason.required_if_eq("yes", "true")))]
pub(super) struct Revoke {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    given: Given,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Really everything that is lent: needed when nothing else says which
    #[arg(long)]
    all: bool,
    /// Remove namespaces with their queues instead of replacing their passwords
    #[arg(long)]
    release: bool,
    /// Lend these hosts nothing any more
    #[arg(long)]
    block: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Lease, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Lease::List { which, json } => {
            let list = operator.call("GET", &format!("/leases?{}", query(&which.members())), None).await?;
            if json {
                output::json(&list);
            } else {
                show(&list);
            }
            Ok(())
        }
        Lease::Revoke(command) => revoke(command, &operator).await,
    }
}

impl Which {
    fn members(&self) -> Map<String, Value> {
        let unused = self.unused.map(|span| span.size().as_secs());
        let all = [
            ("kind", self.kind.clone().map(Value::from)),
            ("name", self.name.clone().map(Value::from)),
            ("prefix", self.prefix.clone().map(Value::from)),
            ("holder", self.holder.clone().map(Value::from)),
            ("host", self.from_host.clone().map(Value::from)),
            ("since", self.since.map(|since| since.to_string().into())),
            ("unusedSeconds", unused.map(Value::from)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn query(members: &Map<String, Value>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        query.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    query.finish()
}

fn show(list: &Value) {
    let columns = ["kind", "name", "part", "holder", "from", "since", "until", "lastUsed"];
    let rows = output::rows(list, "leases", &columns);
    output::table(&["KIND", "NAME", "PART", "HOLDER", "FROM", "SINCE", "UNTIL", "LAST USED"], &rows);
    let count = list["count"].as_u64().unwrap_or(0);
    if count > rows.len() as u64 {
        output::complain(&format!("{count} leases fit, and {} are shown: narrow the filter", rows.len()));
    }
}

async fn revoke(command: Revoke, operator: &Operator) -> Outcome {
    let mut input = command.which.members();
    for (name, value) in
        [("all", command.all), ("release", command.release), ("block", command.block), ("dryRun", !command.yes)]
    {
        input.insert(name.into(), value.into());
    }
    let answer = act::run(operator, &REVOKE.about, &[], &command.given, Some(Value::Object(input))).await?;
    let Some(answer) = answer else { return Ok(()) };
    if command.json {
        output::json(&answer);
    } else if command.yes && answer["revoked"].as_array().is_some_and(Vec::is_empty) {
        output::line("nothing that is lent fits");
    } else if command.yes {
        output::table(
            &["KIND", "NAME", "OUTCOME", "REMARK"],
            &output::rows(&answer, "revoked", &["kind", "name", "outcome", "remark"]),
        );
    } else {
        let rows = output::rows(&answer, "planned", &["kind", "name", "what"]);
        output::table(&["KIND", "NAME", "WOULD"], &rows);
        output::line(&format!("{} would be revoked; nothing was done. Do it with --yes.", rows.len()));
    }
    match answer["failed"].as_u64().unwrap_or(0) {
        0 => Ok(()),
        failed => Err(Error::conflict(format!("{failed} could not be revoked wholly: run it again")).into()),
    }
}
