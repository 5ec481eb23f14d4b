//! What people may do with a client of the own store.

use super::{About, Action, DONE, Done, Weight};
use crate::base::ClientId;
use crate::domain::auth::scopes;

const ABOUT: About = About {
    name: "",
    method: "POST",
    route: "",
    scope: scopes::CLIENT_DISABLE,
    command: "",
    argument: ("ID", "The client id"),
    example: "builds",
    says: "",
    title: "",
    button: "",
    weight: Weight::Light,
    asks_programs: false,
};

pub const DISABLE: Action<ClientId, Done> = Action {
    about: About {
        name: "disableClient",
        route: "/clients/<clientId>/disable",
        command: "client disable <clientId>",
        says: "Refuses a client until it is enabled again.",
        title: "Disable <client>",
        button: "Disable now",
        weight: Weight::Reasoned,
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: |domain, id| {
        Box::pin(async move {
            domain.auth.client(&id)?;
            Ok(vec![
                "Its requests are refused from now on, and so are temporary credentials made with its token.".into(),
                "What it was lent before works until it ends by itself.".into(),
            ])
        })
    },
    run: |domain, caller, id| {
        Box::pin(async move { domain.auth.disable_client(&caller, id, true).await.map(|()| DONE) })
    },
};

pub const ENABLE: Action<ClientId, Done> = Action {
    about: About {
        name: "enableClient",
        route: "/clients/<clientId>/enable",
        command: "client enable <clientId>",
        says: "Believes a client again that was disabled.",
        title: "Enable <client>",
        button: "Enable now",
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: |domain, id| {
        Box::pin(async move {
            domain.auth.client(&id)?;
            Ok(vec!["Its requests are answered again, with the token that it had.".into()])
        })
    },
    run: |domain, caller, id| {
        Box::pin(async move { domain.auth.disable_client(&caller, id, false).await.map(|()| DONE) })
    },
};

pub const DELETE: Action<ClientId, Done> = Action {
    about: About {
        name: "deleteClient",
        method: "DELETE",
        route: "/clients/<clientId>",
        scope: scopes::CLIENT_DELETE,
        command: "client delete <clientId>",
        says: "Deletes a client: its token is refused from now on.",
        title: "Delete <client>",
        button: "Delete now",
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: |_, text| ClientId::parse(text),
    plan: |domain, id| {
        Box::pin(async move {
            let used = match domain.auth.client(&id)?.uses.first() {
                Some(each) => format!("It was last used at {} from {}.", each.last, each.from),
                None => "It was never used.".to_owned(),
            };
            Ok(vec![used, "Its token is refused from now on, and its scopes are forgotten.".into()])
        })
    },
    run: |domain, caller, id| Box::pin(async move { domain.auth.delete_client(&caller, id).await.map(|()| DONE) }),
};
