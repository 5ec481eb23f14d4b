//! What people may do with the key that seals secrets at rest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Plain, Weight, nothing};
use crate::base::{Error, Result, Secret};
use crate::domain::auth::scopes;
use crate::domain::keys::Changed;

/// The next passphrase, where the key comes from one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Passphrase {
    #[schemars(length(min = 1), extend("writeOnly" = true, "type" = "string"))]
    passphrase: Option<Plain>,
}

/// The public names of the two keys.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    former_key_id: String,
    key_id: String,
}

pub const ROTATE: Action<(), Rotated, Passphrase> = Action {
    about: About {
        name: "rotateKey",
        route: "POST /key/rotate",
        scope: scopes::KEY_ROTATE,
        command: "key rotate",
        says: "Seals all secrets under a new key.",
        weight: Weight::Reasoned,
        is_secret: true,
        ..super::ABOUT
    },
    on: nothing,
    plan: work!(|domain, _, (), input| {
        input.read()?;
        let (key, is_changing) = domain.keys.state();
        let begun = is_changing.then(|| "A change that was broken off is carried through.".to_owned());
        let mut effects = vec!["All secrets are sealed by a new key, while the appliance works on.".to_owned()];
        effects.push(format!("Backups from before need the present key, {key}: it is kept, or is yours to keep."));
        effects.extend(begun);
        Ok(effects)
    }),
    run: work!(|domain, caller, (), input| {
        let Changed { former, current } = domain.keys.rotate(&caller, input.read()?).await?;
        Ok(Rotated { former_key_id: former, key_id: current })
    }),
};

impl Passphrase {
    fn read(self) -> Result<Option<Secret>> {
        match self.passphrase {
            Some(Plain(passphrase)) if passphrase.expose().is_empty() => {
                Err(Error::invalid("the passphrase is empty").with_code("InputValidationError"))
            }
            given => Ok(given.map(|Plain(passphrase)| passphrase)),
        }
    }
}
