//! What operators decide about hosts: which get nothing, and which name belongs to which address.

use std::fmt;
use std::net::IpAddr;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Cause, Hosts};
use crate::base::audit::Action;
use crate::base::{Error, HostName, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::store::{Survey, Table};

/// Rules in the store: each is looked at for every request.
const RULES_MAX: usize = 1000;
/// Longest remark of an operator.
const REMARK_LEN_MAX: usize = 1000;
/// By the text of the rule.
static RULES: Table<HostRule, Ruled> = Table::audited("host_rules");

/// A rule, written `block 10.1.0.0/16`, `block *.old.example` or `pin a.example 10.1.2.3/32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// These addresses get nothing, whatever DNS says.
    BlockNet(IpNet),
    /// These names get nothing.
    BlockNames(Names),
    /// These names are only believed from these addresses, and these addresses have only these names. It is about the
    /// family of the addresses: a host may be pinned once in each.
    Pin(Names, IpNet),
}

/// One name, or with `*.` before it all names that end so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Names {
    below: bool,
    name: HostName,
}

/// A rule in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    pub since: Timestamp,
    /// By whom, as the audit log names them.
    pub by: String,
    pub remark: String,
}

impl Names {
    /// This name only.
    pub fn only(name: HostName) -> Self {
        Self { below: false, name }
    }

    /// Whether it is one of these.
    pub fn include(&self, name: &HostName) -> bool {
        if self.below {
            name.as_str().strip_suffix(self.name.as_str()).is_some_and(|rest| rest.ends_with('.'))
        } else {
            self.name == *name
        }
    }
}

impl HostRule {
    /// Why the rule lets nothing go to an address, before its name is known.
    fn refuse_address(&self, address: IpAddr) -> Option<Cause> {
        matches!(self, Self::BlockNet(net) if net.contains(&address)).then(|| Cause::Blocked(self.to_string()))
    }

    /// Why it lets nothing go to a host.
    fn refuse_host(&self, address: IpAddr, name: &HostName) -> Option<Cause> {
        match self {
            Self::BlockNet(_) => self.refuse_address(address),
            Self::BlockNames(names) => names.include(name).then(|| Cause::Blocked(self.to_string())),
            Self::Pin(names, net) => {
                let is_family = net.addr().is_ipv4() == address.is_ipv4();
                let is_broken = is_family && names.include(name) != net.contains(&address);
                is_broken.then(|| Cause::Pinned(self.to_string()))
            }
        }
    }

    /// Whether it decides about a host, for or against it.
    fn concerns(&self, address: IpAddr, name: Option<&HostName>) -> bool {
        let includes = |names: &Names| name.is_some_and(|name| names.include(name));
        match self {
            Self::BlockNet(net) => net.contains(&address),
            Self::BlockNames(names) => includes(names),
            Self::Pin(names, net) => net.contains(&address) || includes(names),
        }
    }
}

impl Hosts {
    /// Why the rules let nothing go to an address, before its name is known.
    pub(super) async fn refuse_address(&self, address: IpAddr) -> Result<Option<Cause>> {
        Ok(self.rules_in_force().await?.iter().find_map(|rule| rule.refuse_address(address)))
    }

    /// Why they let nothing go to a host.
    pub(super) async fn refuse_host(&self, address: IpAddr, name: &HostName) -> Result<Option<Cause>> {
        Ok(self.rules_in_force().await?.iter().find_map(|rule| rule.refuse_host(address, name)))
    }

    async fn rules_in_force(&self) -> Result<Arc<Vec<HostRule>>> {
        let read = |tx: &Survey<'_>| Ok(all(tx)?.into_iter().map(|(rule, _)| rule).collect());
        self.decided.get(&self.store, &RULES, read).await
    }

    pub async fn rules(&self) -> Result<Vec<(HostRule, Ruled)>> {
        self.store.survey(all).await
    }

    /// The rules that decide about an address or the name that it has.
    pub async fn rules_about(&self, address: IpAddr, name: Option<&HostName>) -> Result<Vec<(HostRule, Ruled)>> {
        let mut rules = self.rules().await?;
        rules.retain(|(rule, _)| rule.concerns(address, name));
        Ok(rules)
    }

    /// Sets a rule. It holds for every request that comes after.
    pub async fn set_rule(&self, caller: &Caller, rule: HostRule, remark: String) -> Result<()> {
        if remark.len() > REMARK_LEN_MAX {
            return Err(Error::invalid(format!("expected a remark of at most {REMARK_LEN_MAX} bytes")));
        }
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                if tx.get(&RULES, &rule)?.is_none() && tx.scan(&RULES, RULES_MAX)?.len() >= RULES_MAX {
                    return Err(Error::conflict(format!("there are {RULES_MAX} rules already: remove one first")));
                }
                tx.audit(caller.note(Action::HostRule, &rule).with("remark", remark.clone()));
                tx.put(&RULES, &rule, &Ruled { since: tx.now(), by: caller.actor().to_string(), remark })
            })
            .await
    }

    pub async fn remove_rule(&self, caller: &Caller, rule: HostRule) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                if tx.get(&RULES, &rule)?.is_none() {
                    return Err(Error::not_found(format!("there is no rule `{rule}`")));
                }
                tx.delete(&RULES, &rule);
                tx.audit(caller.note(Action::HostUnrule, &rule));
                Ok(())
            })
            .await
    }
}

fn all(tx: &Survey<'_>) -> Result<Vec<(HostRule, Ruled)>> {
    tx.scan(&RULES, Bound::Unbounded, RULES_MAX)
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

impl FromStr for Names {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        Ok(Self { below, name: HostName::of_dns(name)? })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockNet(net) => write!(f, "block {net}"),
            Self::BlockNames(names) => write!(f, "block {names}"),
            Self::Pin(names, net) => write!(f, "pin {names} {net}"),
        }
    }
}

impl FromStr for HostRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = || {
            Error::invalid(
                "expected `block <address, network or name>` or `pin <name> <address or network>`; a name may begin with `*.`",
            )
        };
        match text.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
            ["block", what] => match net(what) {
                Some(net) => Ok(Self::BlockNet(net?)),
                None => Ok(Self::BlockNames(what.parse().map_err(|_| expected())?)),
            },
            ["pin", names, to] => Ok(Self::Pin(names.parse().map_err(|_| expected())?, net(to).ok_or_else(expected)??)),
            _ => Err(expected()),
        }
    }
}

/// The network that a word means, if it means one. Bits behind the prefix are refused: the network would be another one
/// than the eye sees, and than a scope allows.
fn net(word: &str) -> Option<Result<IpNet>> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some(Ok(address.to_canonical().into()));
    }
    let net = word.parse::<IpNet>().ok()?;
    let is_mapped = matches!(net, IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some());
    Some(if is_mapped {
        Err(Error::invalid(format!("write {net} as an IPv4 network")))
    } else if net == net.trunc() {
        Ok(net)
    } else {
        Err(Error::invalid(format!("{net} has bits behind its prefix; write {}", net.trunc())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rule: &str, address: &str, name: &str) -> bool {
        let rule: HostRule = rule.parse().unwrap();
        rule.refuse_host(address.parse().unwrap(), &HostName::parse(name).unwrap()).is_some()
    }

    #[test]
    fn a_rule_is_written_in_one_way() {
        for (text, written) in [
            ("block 10.1.2.3", "block 10.1.2.3/32"),
            ("block ::ffff:10.1.2.3", "block 10.1.2.3/32"),
            ("block  A.Example.", "block a.example"),
            ("block *.old.example", "block *.old.example"),
            ("pin a.example 2001:db8::1", "pin a.example 2001:db8::1/128"),
        ] {
            assert_eq!(text.parse::<HostRule>().unwrap().to_string(), written);
        }
        for text in [
            "",
            "block",
            "block *",
            "block a b",
            "pin a",
            "pin 10.0.0.1 a",
            "allow a",
            "pin a.*.b 10.0.0.1",
            "block 10.1.2.3/8",
            "pin a 10.1.2.3/0",
            "block ::ffff:10.0.0.0/104",
        ] {
            assert!(text.parse::<HostRule>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_block_holds_whatever_dns_says() {
        assert!(refusal("block 10.0.0.0/8", "10.1.2.3", "a.example"));
        assert!(!refusal("block 10.0.0.0/8", "11.1.2.3", "a.example"));
        assert!(refusal("block *.example", "10.1.2.3", "a.example"));
        assert!(!refusal("block *.example", "10.1.2.3", "example"));
        assert!(!refusal("block *.example", "10.1.2.3", "a.notexample"));
    }

    #[test]
    fn a_pin_lets_only_that_pair_pass() {
        let pin = "pin a.example 10.1.2.3";
        assert!(!refusal(pin, "10.1.2.3", "a.example"), "the pair");
        assert!(refusal(pin, "10.1.2.4", "a.example"), "the name from elsewhere");
        assert!(refusal(pin, "10.1.2.3", "b.example"), "the address with another name");
        assert!(!refusal(pin, "10.1.2.4", "b.example"), "others");
        assert!(!refusal(pin, "2001:db8::1", "a.example"), "its other family");
        let pin = "pin *.build.example 10.1.0.0/16";
        assert!(!refusal(pin, "10.1.9.9", "x.build.example"));
        assert!(refusal(pin, "10.2.9.9", "x.build.example"));
        assert!(refusal(pin, "10.1.9.9", "x.test.example"));
    }
}
