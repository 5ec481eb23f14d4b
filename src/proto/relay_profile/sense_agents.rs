//! Whether agents can work with what is declared, and can be told from the other accounts.

use std::collections::BTreeSet;

use super::agents::{ACCOUNT_PREFIX, GONE_AFTER, HEARTBEAT_PERIOD, TIMEOUT, exchange_type, span};
use super::entries::Entries;
use super::mistakes::{Mistakes, quoted};
use super::part::PartKind;
use super::parts::{RotateBy, in_turn};

/// Notes all that does not go together.
pub(super) fn check(document: Entries<'_, '_>, enterable: &BTreeSet<&str>, mistakes: &mut Mistakes) {
    let Some(agents) = document.table("agents") else { return };
    if let Some((vhost, at)) = agents.placed("vhost").filter(|(vhost, _)| !enterable.contains(vhost)) {
        let message = format!("`vhost`: {} is not declared here", quoted(vhost));
        mistakes.note(at, message + "; add [[vhost]] for it, or put it into foreign-vhosts if others declare it");
    }
    exchanges(document, agents, mistakes);
    prefix(document, agents, mistakes);
    shared_account(document, agents, mistakes);
    part(document, agents, mistakes);
    for (longer, usual, shorter, usual_shorter) in
        [("timeout", TIMEOUT, "heartbeat-period", HEARTBEAT_PERIOD), ("gone-after", GONE_AFTER, "timeout", TIMEOUT)]
    {
        let spans = span(agents, longer, usual).zip(span(agents, shorter, usual_shorter));
        if let Some((long, short)) = spans.filter(|(long, short)| long <= short) {
            let at = agents.position_of(if agents.has(longer) { longer } else { shorter });
            mistakes.note(at, format!("`{longer}`: expected longer than `{shorter}`, and they are {long} and {short}"));
        }
    }
}

/// Where both are declared here, they are of the type that permissions are made for: with another one an agent could do less
/// than it needs, or bind to what is meant for others.
fn exchanges(document: Entries<'_, '_>, agents: Entries<'_, '_>, mistakes: &mut Mistakes) {
    let Some(expected) = exchange_type(agents) else { return };
    let Some(vhost) = document.tables("vhost").find(|vhost| vhost.text("name") == agents.text("vhost")) else { return };
    let mut met = BTreeSet::new();
    for key in ["sends-to", "takes-from"] {
        let Some((name, at)) = agents.placed(key).filter(|(name, _)| met.insert(*name)) else { continue };
        let declared = vhost.tables("exchange").find(|exchange| exchange.text("name") == Some(name));
        let other = declared.and_then(|exchange| exchange.text("type")).filter(|kind| *kind != expected.as_str());
        if let Some(other) = other {
            let expected = expected.as_str();
            let message = format!("`{key}`: {} is declared here with the type {}", quoted(name), quoted(other));
            mistakes.note(at, format!("{message}, and `exchange-type` is {expected}; change one of the two"));
        }
    }
}

/// What begins like an account of an agent is one. The users of a shared account cannot be taken for any, as none has its own.
fn prefix(document: Entries<'_, '_>, agents: Entries<'_, '_>, mistakes: &mut Mistakes) {
    let prefix = agents.text("account-prefix").unwrap_or(ACCOUNT_PREFIX);
    if prefix.is_empty() {
        return;
    }
    for account in document.tables("account") {
        let Some((name, at)) = account.placed("name") else { continue };
        let has_users = account.text("rotate-by") == Some(RotateBy::InTurn.as_str()) && !agents.has("shared-account");
        let users = if has_users { in_turn(name).to_vec() } else { Vec::new() };
        if let Some(user) = [name.to_owned()].into_iter().chain(users).find(|user| user.starts_with(prefix)) {
            let message = format!("`name`: {} begins with {}, as accounts of agents do", quoted(&user), quoted(prefix));
            mistakes.note(at, message + "; rename it, or say another account-prefix in [agents]");
        }
    }
}

fn shared_account(document: Entries<'_, '_>, agents: Entries<'_, '_>, mistakes: &mut Mistakes) {
    let Some((name, at)) = agents.placed("shared-account") else { return };
    let Some(account) = document.tables("account").find(|account| account.text("name") == Some(name)) else {
        let message = format!("`shared-account`: {} is not declared here", quoted(name));
        return mistakes.note(at, message + "; add [[account]] for it, or leave this out");
    };
    let Some(vhost) = agents.text("vhost") else { return };
    if !account.tables("grant").any(|grant| grant.text("vhost") == Some(vhost)) {
        let message = format!("`shared-account`: {} may not enter {}", quoted(name), quoted(vhost));
        mistakes.note(at, message + "; add [[account.grant]] for it");
    }
}

/// Whether the part is one of agents, and says where the authority's certificates belong if there are any.
fn part(document: Entries<'_, '_>, agents: Entries<'_, '_>, mistakes: &mut Mistakes) {
    let ca = agents.has("ca").then(|| agents.position_of("ca"));
    let Some((name, at)) = agents.placed("part") else {
        if let Some(at) = ca {
            mistakes.note(at, "`ca`: its place is the setting certs.ca of `part`, which is not said; add that");
        }
        return;
    };
    let Some(part) = document.tables("part").find(|part| part.text("name") == Some(name)) else {
        let message = format!("`part`: {} is not declared here", quoted(name));
        return mistakes.note(at, message + "; add [[part]] of the kind mig-agent for it");
    };
    let kind = part.text("kind").and_then(PartKind::of);
    if let Some(kind) = kind.filter(|kind| *kind != PartKind::Agent) {
        let message = format!("`part`: {} is of the kind {}", quoted(name), kind.as_str());
        return mistakes.note(at, message + "; name one of the kind mig-agent");
    }
    let certs = part.table("settings").and_then(|settings| settings.table("certs"));
    if let Some(at) = ca
        && certs.and_then(|certs| certs.text("ca")).is_none()
    {
        let message = format!("`ca`: its place is the setting certs.ca of the part {}", quoted(name));
        mistakes.note(at, message + ", which has none; add that");
    }
}
