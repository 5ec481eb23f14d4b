//! What people may do with the administrator that we are to the broker.

use schemars::JsonSchema;
use serde::Serialize;

use super::{About, Action, Weight, nothing};
use crate::base::{AccountName, Error, Kind};
use crate::domain::auth::scopes;

/// Who we are now.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    administrator: AccountName,
    /// Whether the one before is gone.
    retired: bool,
}

pub const ROTATE: Action<(), Replaced> = Action {
    about: About {
        name: "rotateBroker",
        route: "POST /broker/rotate",
        scope: scopes::BROKER_ROTATE,
        command: "broker rotate",
        says: "Replaces our own administrator of the broker.",
        page: ("Rotate the administrator", "Rotate now"),
        weight: Weight::Reasoned,
        ..super::ABOUT
    },
    on: nothing,
    plan: work!(|domain, _, (), ()| {
        let acting = domain.administrator.status()?.acting;
        Ok(vec![
            "A new administrator with a new password is made at the broker and tried.".into(),
            format!("From then on Keylender acts as that one, and no more as {acting}."),
            "The one before is deleted if Keylender made it. The login of the settings is left as it is.".into(),
            "Nothing that is lent changes. Broken off anywhere, the one before stays in force.".into(),
        ])
    }),
    run: work!(|domain, caller, (), ()| {
        // That there is no broker at all is said in its own words.
        domain.administrator.status()?;
        let rotated = domain.administrator.rotate(&caller).await;
        let is_retired = rotated.as_ref().is_ok_and(|rotated| rotated.is_retired);
        if !is_retired {
            domain.loops.nudge("reconcile");
        }
        let administrator = rotated.map_err(unfinished)?.administrator;
        Ok(Replaced { administrator, retired: is_retired })
    }),
};

/// What is lost by it: nothing.
fn unfinished(error: Error) -> Error {
    match error.kind() {
        Kind::Unavailable => Error::unavailable(format!(
            "{}: the administrator before stays in force, and `reconcile` goes on with the rotation",
            error.message()
        ))
        .because(error),
        _ => error,
    }
}
