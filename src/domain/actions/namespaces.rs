//! What people may do with a namespace.

use super::{About, Action, DONE, Done, Weight};
use crate::base::{Error, NamespaceName, Result, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::namespaces::{When, Which};

const ABOUT: About = About {
    name: "",
    method: "POST",
    route: "",
    scope: scopes::NAMESPACE_ROTATE,
    command: "",
    argument: ("NAME", "The namespace"),
    example: "taskcluster-builds",
    says: "",
    title: "",
    button: "",
    weight: Weight::Light,
    asks_programs: false,
};

/// Why a rotation did not happen.
const NOT_ROTATED: &str =
    "the other password is promised for longer, or the namespace is being removed or was rotated meanwhile: look again";

pub const ROTATE: Action<NamespaceName, Done> = Action {
    about: About {
        name: "rotateNamespace",
        route: "/namespaces/<namespace>/rotate",
        command: "namespace rotate <namespace>",
        says: "Gives the resting user a new password and makes it the active one.",
        title: "Rotate <namespace>",
        button: "Rotate now",
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: |domain, name| {
        Box::pin(async move {
            let detail = domain.namespaces.detail(&name)?;
            let (promised, resting) = (detail.promised_until, detail.resting_until);
            done_if(domain.clock.now() >= resting, NOT_ROTATED)?;
            Ok(vec![
                "The resting user gets a new password, and claims get that one from now on.".into(),
                format!("The present password works on until {promised}, as it was promised. Nobody is cut off."),
            ])
        })
    },
    run: |domain, caller, name| {
        Box::pin(async move {
            let is_rotated = domain.namespaces.rotate(&name, &caller, When::Now).await?;
            done_if(is_rotated, NOT_ROTATED)
        })
    },
};

pub const FINISH: Action<NamespaceName, Done> = Action {
    about: About {
        name: "finishRotation",
        route: "/namespaces/<namespace>/finish",
        command: "namespace finish <namespace>",
        says: "Ends the former password before its time, once nobody is connected with it.",
        title: "End the former password of <namespace>",
        button: "End it now",
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: |domain, name| {
        Box::pin(async move {
            let resting = domain.namespaces.detail(&name)?.resting_until;
            let account = domain.namespaces.unused_resting(&name).await?;
            Ok(vec![
                match resting {
                    Timestamp::MIN => format!("{account} cannot log in any more. Its password is promised to nobody."),
                    until => format!("{account} cannot log in any more. Its password was promised until {until}."),
                },
                "Whoever kept it for later must claim again. Nobody is connected with it now.".into(),
            ])
        })
    },
    run: |domain, caller, name| Box::pin(async move { domain.namespaces.finish(&name, &caller).await.map(|()| DONE) }),
};

pub const EXPIRE: Action<NamespaceName, Done> = Action {
    about: About {
        name: "expireNamespace",
        route: "/namespaces/<namespace>/expire",
        scope: scopes::NAMESPACE_EXPIRE,
        command: "namespace expire <namespace>",
        says: "Removes a namespace with its users, queues and exchanges.",
        title: "Remove <namespace>",
        button: "Remove it",
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: |_, text| NamespaceName::parse(text),
    plan: |domain, name| {
        Box::pin(async move {
            let detail = domain.namespaces.detail(&name)?;
            let connected = domain.namespaces.holders(&name).await.ok().map(|holders| holders.len());
            Ok(vec![
                format!("Its {} broker users are deleted, and with them their passwords.", detail.accounts.len()),
                match connected {
                    Some(count) => format!("{count} connections that use them end."),
                    None => {
                        "Connections that use them end. The broker does not answer now: nobody knows how many.".into()
                    }
                },
                "Its queues and exchanges are deleted with all messages in them.".into(),
                format!("It would expire by itself: {}.", detail.times.expires),
                "Whoever may claim it can claim it again, and begins with nothing.".into(),
            ])
        })
    },
    run: |domain, caller, name| {
        Box::pin(async move {
            domain.namespaces.detail(&name)?;
            let removed = domain.namespaces.expire(&name, &caller, Which::Any).await;
            // The loop finishes what was broken off; until then nobody can claim it.
            let is_removed = removed.inspect_err(|_| domain.loops.nudge("expire"))?;
            done_if(is_removed, "the namespace need not be removed any more: look again")
        })
    },
};

/// Done, or why nothing was.
fn done_if(is_done: bool, why_not: &str) -> Result<Done> {
    if is_done { Ok(DONE) } else { Err(Error::conflict(why_not)) }
}
