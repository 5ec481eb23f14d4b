//! What people may do with a namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, DONE, Done, Weight};
use crate::base::{Error, MailAddress, NamespaceName, Result, Timestamp};
use crate::domain::Domain;
use crate::domain::auth::scopes;
use crate::domain::namespaces::{NOTE_LEN_MAX, When, Which};
use crate::proto::formats;

const ABOUT: About = About {
    scope: scopes::NAMESPACE_ROTATE,
    argument: ("NAME", "The namespace"),
    example: "taskcluster-builds",
    ..super::ABOUT
};

/// Read as leniently as a claim's.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    pub expires: String,
}

/// What is to be known of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    note: String,
}

/// Why a rotation did not happen.
const NOT_ROTATED: &str =
    "the other password is promised for longer, or the namespace is being removed or was rotated meanwhile: look again";

pub const ROTATE: Action<NamespaceName, Done> = Action {
    about: About {
        name: "rotateNamespace",
        route: "POST /namespaces/<namespace>/rotate",
        command: "namespace rotate <namespace>",
        says: "Gives the resting user a new password and makes it the active one.",
        page: ("Rotate <namespace>", "Rotate now"),
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: work!(|domain, _, name, ()| {
        let detail = domain.namespaces.detail(&name)?;
        let (promised, resting) = (detail.promised_until, detail.resting_until);
        done_if(domain.clock.now() >= resting, NOT_ROTATED)?;
        Ok(vec![
            "The resting user gets a new password, and claims get that one from now on.".into(),
            format!("The present password works on until {promised}, as it was promised. Nobody is cut off."),
        ])
    }),
    run: work!(|domain, caller, name, ()| {
        let is_rotated = domain.namespaces.rotate(&name, &caller, When::Now).await?;
        done_if(is_rotated, NOT_ROTATED)
    }),
};

pub const FINISH: Action<NamespaceName, Done> = Action {
    about: About {
        name: "finishRotation",
        route: "POST /namespaces/<namespace>/finish",
        command: "namespace finish <namespace>",
        says: "Ends the former password before its time, once nobody is connected with it.",
        page: ("End the former password of <namespace>", "End it now"),
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: work!(|domain, _, name, ()| {
        let resting = domain.namespaces.detail(&name)?.resting_until;
        let account = domain.namespaces.unused_resting(&name).await?;
        Ok(vec![
            match resting {
                Timestamp::MIN => format!("{account} cannot log in any more. Its password is promised to nobody."),
                until => format!("{account} cannot log in any more. Its password was promised until {until}."),
            },
            "Whoever kept it for later must claim again. Nobody is connected with it now.".into(),
        ])
    }),
    run: done!(|domain, caller, name, ()| domain.namespaces.finish(&name, &caller)),
};

pub const EXPIRE: Action<NamespaceName, Done> = Action {
    about: About {
        name: "expireNamespace",
        route: "POST /namespaces/<namespace>/expire",
        scope: scopes::NAMESPACE_EXPIRE,
        command: "namespace expire <namespace>",
        says: "Removes a namespace with its users, queues and exchanges.",
        page: ("Remove <namespace>", "Remove it"),
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: work!(|domain, _, name, ()| {
        let detail = domain.namespaces.detail(&name)?;
        let connected = domain.namespaces.holders(&name).await.ok().map(|holders| holders.len());
        Ok(vec![
            format!("Its {} broker users are deleted, and with them their passwords.", detail.accounts.len()),
            match connected {
                Some(count) => format!("{count} connections that use them end."),
                None => "Connections that use them end. The broker does not answer now: nobody knows how many.".into(),
            },
            "Its queues and exchanges are deleted with all messages in them.".into(),
            format!("It would expire by itself: {}.", detail.times.expires),
            "Whoever may claim it can claim it again, and begins with nothing.".into(),
        ])
    }),
    run: work!(|domain, caller, name, ()| {
        domain.namespaces.detail(&name)?;
        let removed = domain.namespaces.expire(&name, &caller, Which::Any).await;
        // The loop finishes what was broken off; until then nobody can claim it.
        let is_removed = removed.inspect_err(|_| domain.loops.nudge("expire"))?;
        done_if(is_removed, "the namespace need not be removed any more: look again")
    }),
};

pub const EXTEND: Action<NamespaceName, Done, End> = Action {
    about: About {
        name: "extendNamespace",
        route: "POST /namespaces/<namespace>/extend",
        scope: scopes::NAMESPACE_EXTEND,
        command: "namespace extend <namespace> --until <time>",
        says: "Lets a namespace end later, until a claim says otherwise.",
        page: ("Extend <namespace>", "Extend it"),
        weight: Weight::Reasoned,
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: work!(|domain, _, name, end| {
        let (expires, present) = (end.read()?, domain.namespaces.detail(&name)?.times.expires);
        if expires <= present || expires <= domain.clock.now() {
            let expected = format!("expected a moment to come and after {present}, when it ends now");
            return Err(Error::invalid(expected));
        }
        Ok(vec![
            format!("It ends {expires} instead of {present}."),
            "The next claim says again when it ends: services that claim it go on as before.".into(),
        ])
    }),
    run: done!(|domain, caller, name, end| domain.namespaces.extend(&name, end.read()?, &caller)),
};

pub const NOTE: Action<NamespaceName, Done, Note> = Action {
    about: About {
        name: "noteNamespace",
        route: "PUT /namespaces/<namespace>/note",
        scope: scopes::NAMESPACE_NOTE,
        command: "namespace note <namespace> <note>",
        says: "Sets what operators should know of a namespace; an empty note takes it away.",
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: work!(|domain, _, name, Note { note }| {
        let before = domain.namespaces.detail(&name)?.note;
        Ok(vec![match note.len() {
            0 => format!("Its note goes: {before}"),
            1..=NOTE_LEN_MAX => format!("Whoever looks at it reads: {note}"),
            _ => return Err(Error::invalid(format!("a note has at most {NOTE_LEN_MAX} bytes"))),
        }])
    }),
    run: done!(|domain, caller, name, Note { note }| domain.namespaces.note(&name, note, &caller)),
};

pub const OWN: Action<(NamespaceName, MailAddress), Done> = Action {
    about: About {
        name: "ownNamespace",
        route: "PUT /namespaces/<namespace>/owners/<address>",
        scope: scopes::NAMESPACE_OWNERS,
        command: "namespace own <namespace> <address>",
        says: "Adds an owner, who hears of the namespace by mail.",
        ..ABOUT
    },
    on: owner,
    plan: work!(|domain, _, (name, address), ()| {
        domain.namespaces.detail(&name)?;
        Ok(vec![format!("{address} hears of {name} by mail, beside its contact. No claim changes that.")])
    }),
    run: done!(|domain, caller, (name, address), ()| domain.namespaces.own(&name, address, &caller)),
};

pub const DISOWN: Action<(NamespaceName, MailAddress), Done> = Action {
    about: About {
        name: "disownNamespace",
        route: "DELETE /namespaces/<namespace>/owners/<address>",
        command: "namespace disown <namespace> <address>",
        says: "Takes an owner away.",
        ..OWN.about
    },
    on: owner,
    plan: work!(|domain, _, (name, address), ()| {
        if !domain.namespaces.detail(&name)?.owners.contains(&address) {
            return Err(Error::not_found(format!("'{address}' is no owner of '{name}'")));
        }
        Ok(vec![format!("{address} hears of {name} no more.")])
    }),
    run: done!(|domain, caller, (name, address), ()| domain.namespaces.disown(&name, address, &caller)),
};

impl End {
    fn read(&self) -> Result<Timestamp> {
        let wrong = || Error::invalid("expected a time like 2026-11-20T14:03:00Z").with_code("InputValidationError");
        formats::date_time(self.expires.trim()).map_err(|_| wrong())
    }
}

/// A namespace and an address.
fn owner(_: &Domain, text: &str) -> Result<(NamespaceName, MailAddress)> {
    let (name, address) = text.split_once(' ').unwrap_or((text, ""));
    Ok((NamespaceName::parse(name)?, MailAddress::parse(address)?))
}

/// Done, or why nothing was.
fn done_if(is_done: bool, why_not: &str) -> Result<Done> {
    if is_done { Ok(DONE) } else { Err(Error::conflict(why_not)) }
}
