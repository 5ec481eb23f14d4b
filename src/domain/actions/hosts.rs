//! What people may rule about machines.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Done, Weight};
use crate::base::{Error, Result};
use crate::domain::Domain;
use crate::domain::auth::scopes;
use crate::domain::hosts::HostRule;

/// What other operators should know of a rule.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    #[serde(default)]
    pub remark: String,
}

pub const BLOCK: Action<HostRule, Done, Remark> = Action {
    about: About {
        name: "setHostRule",
        route: "PUT /host-rules/<rule>",
        scope: scopes::HOST_RULE,
        command: "host block <what> --remark <why>",
        says: "Pins a name to an address, or blocks a network or name.",
        page: ("Block <what>", "Block now"),
        weight: Weight::Reasoned,
        ..super::ABOUT
    },
    on: as_listed,
    plan: work!(|_, _, rule, _| {
        let kept = "What it was lent before works until it ends by itself.".to_owned();
        let none = "no credentials from now on, whatever DNS says of it.";
        Ok(match rule {
            HostRule::BlockNet(net) => vec![format!("Requests from {} get {none}", plain(&net)), kept],
            HostRule::BlockNames(names) => vec![format!("Machines named {names} get {none}"), kept],
            HostRule::Pin(names, net) => {
                let net = plain(&net);
                let others =
                    "Anybody else with this name, and this address with another name, gets nothing from now on.";
                vec![
                    format!("{names} is believed only from {net}, and {net} only with this name, whatever DNS says."),
                    others.to_owned(),
                ]
            }
        })
    }),
    run: done!(|domain, caller, rule, Remark { remark }| domain.hosts.set_rule(&caller, rule, remark)),
};

/// The same of a name and an address.
pub const PIN: Action<HostRule, Done, Remark> = Action {
    about: About { command: "host pin <name> <address>", page: ("Pin <what>", "Pin now"), ..BLOCK.about },
    ..BLOCK
};

pub const UNBLOCK: Action<HostRule, Done> = Action {
    about: About {
        name: "removeHostRule",
        route: "DELETE /host-rules/<rule>",
        scope: scopes::HOST_RULE,
        command: "host unblock <what>",
        says: "Removes a pin or block.",
        page: ("Unblock <what>", "Remove the rule"),
        weight: Weight::Reasoned,
        ..super::ABOUT
    },
    on: as_listed,
    plan: work!(|domain, _, rule, ()| {
        let found = domain.hosts.rules().await?.into_iter().find(|(known, _)| *known == rule);
        let (_, ruled) = found.ok_or_else(|| Error::not_found(format!("there is no rule `{rule}`")))?;
        let effect = match rule {
            HostRule::Pin(..) => "The name and the address count again as DNS says.",
            _ => "What it blocked is lent credentials again, where DNS and the other rules allow it.",
        };
        let remark = if ruled.remark.is_empty() { String::new() } else { format!(", saying: {}", ruled.remark) };
        Ok(vec![effect.into(), format!("It was decided by {} at {}{remark}.", ruled.by, ruled.since)])
    }),
    run: done!(|domain, caller, rule, ()| domain.hosts.remove_rule(&caller, rule)),
};

/// The same of a pin.
pub const UNPIN: Action<HostRule, Done> = Action {
    about: About { command: "host unpin <name> <address>", page: ("Unpin <what>", "Remove the rule"), ..UNBLOCK.about },
    ..UNBLOCK
};

/// Only as it is listed: scopes are about that text.
fn as_listed(_: &Domain, text: &str) -> Result<HostRule> {
    let rule: HostRule = text.parse()?;
    match rule.to_string() {
        listed if listed == text => Ok(rule),
        listed => Err(Error::invalid(format!("write the rule as `{listed}`"))),
    }
}

/// A network as people write it.
fn plain(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
