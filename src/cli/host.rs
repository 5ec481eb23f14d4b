//! `keylender host`: machines that ask for credentials, why they got what they got, and which may not.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::act::{self, Given};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::Result;
use crate::domain::actions::hosts as actions;
use crate::domain::hosts::HostRule;

#[derive(Subcommand)]
pub(super) enum Host {
    /// Judges an address now, with every DNS answer that led to the verdict; lends nothing
    #[command(after_help = "Example:\n  keylender host check 10.1.2.3")]
    Check {
        /// The address
        address: IpAddr,
        #[command(flatten)]
        format: Format,
    },
    /// Lists the machines that asked
    #[command(after_help = "Example:\n  keylender host list")]
    List(Format),
    /// Shows a machine that asked, with the DNS answers of its last change
    #[command(after_help = "Example:\n  keylender host show 10.1.2.3")]
    Show {
        /// The address
        address: IpAddr,
        #[command(flatten)]
        format: Format,
    },
    /// Lists what operators decided
    #[command(after_help = "Example:\n  keylender host rules")]
    Rules(Format),
    /// Lends nothing to an address, a network or a name, whatever DNS says
    #[command(after_help = "Example:\n  keylender host block 10.1.0.0/16\n  keylender host block '*.old.example'")]
    Block {
        /// An address, a network, a name, or `*.` and a name for all below it
        what: String,
        #[command(flatten)]
        remark: Remark,
        #[command(flatten)]
        given: Given,
    },
    /// Removes a block
    #[command(after_help = "Example:\n  keylender host unblock 10.1.0.0/16")]
    Unblock {
        /// As `host rules` lists it
        what: String,
        #[command(flatten)]
        given: Given,
    },
    /// Lets a name come only from this address, and this address have only this name
    #[command(after_help = "Example:\n  keylender host pin builder-1.example.org 10.1.2.3")]
    Pin {
        /// The name, or `*.` and a name for all below it
        name: String,
        /// The address or network
        address: String,
        #[command(flatten)]
        remark: Remark,
        #[command(flatten)]
        given: Given,
    },
    /// Removes a pin
    #[command(after_help = "Example:\n  keylender host unpin builder-1.example.org 10.1.2.3")]
    Unpin {
        /// The name
        name: String,
        /// The address or network
        address: String,
        #[command(flatten)]
        given: Given,
    },
}

#[derive(Args)]
pub(super) struct Remark {
    /// Why, for other operators
    #[arg(long, value_name = "TEXT", default_value = "")]
    remark: String,
}

pub(super) async fn run(command: Host, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Host::Check { address, format } => {
            let checked = operator.call("GET", &format!("/hosts/{address}/check"), None).await?;
            print(&checked, &format, show_check);
        }
        Host::List(format) => {
            let hosts = list(&operator).await?;
            print(&hosts, &format, show_list);
        }
        Host::Show { address, format } => {
            let shown = operator.call("GET", &format!("/hosts/{address}"), None).await?;
            print(&shown, &format, show_host);
        }
        Host::Rules(format) => {
            let rules = operator.call("GET", "/host-rules", None).await?;
            print(&rules, &format, show_rules);
        }
        Host::Block { what, remark, given } => set(&operator, &format!("block {what}"), &remark, &given).await?,
        Host::Unblock { what, given } => remove(&operator, &format!("block {what}"), &given).await?,
        Host::Pin { name, address, remark, given } => {
            set(&operator, &format!("pin {name} {address}"), &remark, &given).await?
        }
        Host::Unpin { name, address, given } => remove(&operator, &format!("pin {name} {address}"), &given).await?,
    }
    Ok(())
}

/// All pages of the list as one.
async fn list(operator: &Operator) -> Result<Value> {
    let (mut hosts, mut path) = (Vec::new(), "/hosts".to_owned());
    loop {
        let page = operator.call("GET", &path, None).await?;
        hosts.extend(page["hosts"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => path = format!("/hosts?after={}", output::segment(next)),
            None => return Ok(json!({ "hosts": hosts })),
        }
    }
}

async fn set(operator: &Operator, rule: &str, Remark { remark }: &Remark, given: &Given) -> Result<()> {
    let input = json!({ "remark": remark });
    act::run(operator, &actions::BLOCK.about, &[&listed(rule)?], given, Some(input)).await.map(drop)
}

async fn remove(operator: &Operator, rule: &str, given: &Given) -> Result<()> {
    act::run(operator, &actions::UNBLOCK.about, &[&listed(rule)?], given, None).await.map(drop)
}

/// A rule as it is listed, however it was typed.
fn listed(rule: &str) -> Result<String> {
    Ok(rule.parse::<HostRule>()?.to_string())
}

fn print(document: &Value, format: &Format, show: fn(&Value)) {
    if format.json { output::json(document) } else { show(document) }
}

fn show_list(list: &Value) {
    output::table(
        &["ADDRESS", "NAME", "VERDICT", "FIRST SEEN", "LAST SEEN", "LENT", "REFUSED", "WHY"],
        &output::rows(
            list,
            "hosts",
            &["address", "name", "verdict", "firstSeen", "lastSeen", "lent", "refused", "why"],
        ),
    );
}

fn show_rules(rules: &Value) {
    output::table(
        &["RULE", "SINCE", "BY", "REMARK"],
        &output::rows(rules, "rules", &["rule", "since", "by", "remark"]),
    );
}

fn show_check(checked: &Value) {
    show_members(
        checked,
        &[
            ("address", "address"),
            ("verdict", "verdict"),
            ("why", "why"),
            ("name", "name"),
            ("client id", "clientId"),
            ("scope", "scope"),
            ("settings missing", "missingSettings"),
        ],
    );
    output::line("");
    output::table(&["CHECK", "HOLDS", "WHY"], &output::rows(checked, "checks", &["about", "holds", "why"]));
    show_answers(checked);
}

fn show_host(shown: &Value) {
    show_members(
        shown,
        &[
            ("address", "address"),
            ("verdict", "verdict"),
            ("why", "why"),
            ("name", "name"),
            ("first seen", "firstSeen"),
            ("last seen", "lastSeen"),
            ("last change", "changed"),
            ("lent", "lent"),
            ("refused", "refused"),
        ],
    );
    show_answers(shown);
}

fn show_members(document: &Value, members: &[(&str, &str)]) {
    for (label, member) in members {
        let text = output::text(document, member);
        if !text.is_empty() {
            output::line(&format!("{label:17} {text}"));
        }
    }
}

/// A line for each record, or for what came instead.
fn show_answers(document: &Value) {
    let mut rows = Vec::new();
    for answer in document["answers"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let question =
            format!("{} {}", output::text(&answer["question"], "kind"), output::text(&answer["question"], "name"));
        let row = |said: String| vec![output::text(answer, "server"), question.clone(), said];
        let records = answer["records"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.extend(records.iter().map(|record| row(said(record))));
        if records.is_empty() {
            rows.push(row(nothing(&answer["status"])));
        }
    }
    if !rows.is_empty() {
        output::line("");
        output::table(&["SERVER", "QUESTION", "ANSWER"], &rows);
    }
}

fn said(record: &Value) -> String {
    let data = record["data"].as_object().and_then(|data| data.iter().next());
    let (kind, value) = data.map_or(("", ""), |(kind, value)| (kind.as_str(), value.as_str().unwrap_or_default()));
    format!("{} {} {value} (ttl {} s)", output::text(record, "name"), kind.to_uppercase(), record["ttlSeconds"])
}

fn nothing(status: &Value) -> String {
    match (status.as_str(), status["failed"].as_str()) {
        (_, Some(why)) => format!("failed: {why}"),
        (Some("noSuchName"), _) => "there is no such name".to_owned(),
        _ => "no record of this kind".to_owned(),
    }
}
