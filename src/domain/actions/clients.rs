//! What people may do with a client of the own store.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Done, Plain, Weight, lost_and_given};
use crate::base::{CertificateName, ClientId, Error, Result, Scope, Timestamp};
use crate::domain::Domain;
use crate::domain::auth::{Auth, ClientChange, NewClient, scopes};
use crate::proto::formats;

/// A client that lasts longer than a hundred years was made without an end.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

const ABOUT: About =
    About { scope: scopes::CLIENT_DISABLE, argument: ("ID", "The client id"), example: "builds", ..super::ABOUT };

/// What a new client is to be.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct New {
    pub scopes: Vec<Scope>,
    /// Read as leniently as a claim's.
    pub expires: Option<String>,
    #[serde(default)]
    pub description: String,
    pub certificate_name: Option<CertificateName>,
}

/// What is to change; a member that is missing stays as it is.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub scopes: Option<Vec<Scope>>,
    /// Read as leniently as a claim's.
    pub expires: Option<String>,
    pub description: Option<String>,
}

/// By what certificates a client is known; null is by none.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("required" = ["certificateName"]))]
pub struct Certificate {
    // It must be there.
    #[serde(deserialize_with = "Option::deserialize")]
    certificate_name: Option<CertificateName>,
}

/// For how long the token before is good, too.
#[derive(JsonSchema, Serialize)]
pub struct Keep(pub Duration);

/// A client together with its new token.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    client_id: ClientId,
    pub access_token: Plain,
}

pub const CREATE: Action<ClientId, Issued, New> = Action {
    about: About {
        name: "createClient",
        route: "PUT /clients/<clientId>",
        scope: scopes::CLIENT_CREATE,
        command: "client create <clientId> --scope <scope>",
        says: "Makes a client, and shows its token this once.",
        page: ("Make the client <client>", "Make it now"),
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: work!(|domain, caller, id, new| {
        let NewClient { scopes, expires, .. } = new.read(&domain)?;
        caller.require_all(&scopes)?;
        if domain.auth.is_usable(&id)?.is_some() {
            return Err(Error::conflict(format!("client `{id}` exists: reset or delete it")));
        }
        let mut effects = vec![format!("There is a client {id}. Its access token is shown to you once.")];
        effects.push(end_in_words(&domain, expires));
        effects.extend(lost_and_given(&[], &scopes));
        Ok(effects)
    }),
    run: work!(|domain, caller, id, new| {
        let token = domain.auth.create_client(&caller, id.clone(), new.read(&domain)?).await?;
        Ok(Issued { client_id: id, access_token: Plain(token.into_inner()) })
    }),
};

pub const CHANGE: Action<ClientId, Done, Change> = Action {
    about: About {
        name: "changeClient",
        route: "POST /clients/<clientId>/change",
        scope: scopes::CLIENT_CHANGE,
        command: "client change <clientId> --description <text>",
        says: "Gives a client other scopes, another end or another description; its token stays.",
        page: ("Change <client>", "Change it now"),
        weight: Weight::Reasoned,
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: work!(|domain, caller, id, change| {
        let (old, change) = (domain.auth.client(&id)?, change.read()?);
        caller.require_all(&change.given(&old.scopes, old.expires))?;
        let ClientChange { scopes, expires, description } = change;
        let mut effects = scopes.map(|scopes| lost_and_given(&old.scopes, &scopes)).unwrap_or_default();
        effects.extend(expires.filter(|end| *end != old.expires).map(|end| end_in_words(&domain, end)));
        let description = description.filter(|description| *description != old.description);
        effects.extend(description.map(|description| format!("It is for: {description}")));
        effects.push("Its access token stays.".into());
        Ok(effects)
    }),
    run: done!(|domain, caller, id, change| domain.auth.change_client(&caller, id, change.read()?)),
};

pub const RESET: Action<ClientId, Issued, Keep> = Action {
    about: About {
        name: "resetClient",
        route: "POST /clients/<clientId>/reset",
        scope: scopes::CLIENT_RESET,
        command: "client reset <clientId>",
        says: "Gives a client a new token, and shows it this once.",
        page: ("Reset the token of <client>", "Reset now"),
        weight: Weight::Reasoned,
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: work!(|domain, caller, id, Keep(keep)| {
        Auth::check_keep(keep)?;
        caller.require_all(&domain.auth.client(&id)?.scopes)?;
        let old = match keep.as_secs() {
            0 => {
                "The token before, and temporary credentials made with it, end at once. To have a day for the change, \
                      reset it with the old one kept."
                    .to_owned()
            }
            _ => {
                let until = domain.clock.now().plus(keep);
                format!("The token before, and what was made with it, works until {until}.")
            }
        };
        Ok(vec!["It gets a new access token, which is shown to you once.".into(), old])
    }),
    run: work!(|domain, caller, id, Keep(keep)| {
        let token = domain.auth.reset_client(&caller, id.clone(), keep).await?;
        Ok(Issued { client_id: id, access_token: Plain(token.into_inner()) })
    }),
};

pub const CERTIFICATE: Action<ClientId, Done, Certificate> = Action {
    about: About {
        name: "nameClientCertificate",
        route: "PUT /clients/<clientId>/certificate",
        scope: scopes::CLIENT_CERTIFICATE,
        command: "client certificate <clientId> <name>",
        says: "Says by which certificates a client is known.",
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: work!(|domain, caller, id, Certificate { certificate_name }| {
        let client = domain.auth.client(&id)?;
        Ok(vec![match certificate_name {
            Some(name) => {
                caller.require_all(&client.scopes)?;
                format!("Whoever shows a certificate with the name {name} is {id}, with all of its scopes.")
            }
            None => format!("No certificate stands for {id} any more. Its access token stays."),
        }])
    }),
    run: done!(|domain, caller, id, Certificate { certificate_name }| domain.auth.name_client(
        &caller,
        id,
        certificate_name
    )),
};

impl New {
    fn read(self, domain: &Domain) -> Result<NewClient> {
        let Self { scopes, expires, description, certificate_name } = self;
        let expires = end(expires)?.unwrap_or_else(|| Auth::never(domain.clock.now()));
        Ok(NewClient { scopes, expires, description, certificate_name })
    }
}

impl Change {
    fn read(self) -> Result<ClientChange> {
        Ok(ClientChange { scopes: self.scopes, expires: end(self.expires)?, description: self.description })
    }
}

fn end(text: Option<String>) -> Result<Option<Timestamp>> {
    let wrong = |text| Error::invalid(format!("expires is not a time like 2026-11-20T14:03:00Z: {text:?}"));
    let read = |text: String| formats::date_time(&text).map_err(|_| wrong(text).with_code("InputValidationError"));
    text.map(read).transpose()
}

/// Whether a client that ends then has no end, as people say it.
pub fn is_for_ever(now: Timestamp, end: Timestamp) -> bool {
    end.since(now) > FOR_EVER
}

fn end_in_words(domain: &Domain, end: Timestamp) -> String {
    if is_for_ever(domain.clock.now(), end) { "It has no end.".to_owned() } else { format!("It ends at {end}.") }
}

pub const DISABLE: Action<ClientId, Done> = Action {
    about: About {
        name: "disableClient",
        route: "POST /clients/<clientId>/disable",
        command: "client disable <clientId>",
        says: "Refuses a client until it is enabled again.",
        page: ("Disable <client>", "Disable now"),
        weight: Weight::Reasoned,
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: work!(|domain, _, id, ()| {
        domain.auth.client(&id)?;
        Ok(vec![
            "Its requests are refused from now on, and so are temporary credentials made with its token.".into(),
            "What it was lent before works until it ends by itself.".into(),
        ])
    }),
    run: done!(|domain, caller, id, ()| domain.auth.disable_client(&caller, id, true)),
};

pub const ENABLE: Action<ClientId, Done> = Action {
    about: About {
        name: "enableClient",
        route: "POST /clients/<clientId>/enable",
        command: "client enable <clientId>",
        says: "Believes a client again that was disabled.",
        page: ("Enable <client>", "Enable now"),
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: work!(|domain, caller, id, ()| {
        caller.require_all(&domain.auth.client(&id)?.scopes)?;
        Ok(vec!["Its requests are answered again, with the token that it had.".into()])
    }),
    run: done!(|domain, caller, id, ()| domain.auth.disable_client(&caller, id, false)),
};

pub const DELETE: Action<ClientId, Done> = Action {
    about: About {
        name: "deleteClient",
        route: "DELETE /clients/<clientId>",
        scope: scopes::CLIENT_DELETE,
        command: "client delete <clientId>",
        says: "Deletes a client: its token is refused from now on.",
        page: ("Delete <client>", "Delete now"),
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: work!(|domain, _, id, ()| {
        let used = match domain.auth.client(&id)?.uses.first() {
            Some(each) => format!("It was last used at {} from {}.", each.last, each.from),
            None => "It was never used.".to_owned(),
        };
        Ok(vec![used, "Its token is refused from now on, and its scopes are forgotten.".into()])
    }),
    run: done!(|domain, caller, id, ()| domain.auth.delete_client(&caller, id)),
};
