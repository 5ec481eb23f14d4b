//! What people may do with the task proxy.

use super::relay::Profiled;
use super::{About, Action, Because, DONE, Done, Weight, nothing};
use crate::base::ProxySessionId;
use crate::domain::auth::scopes;

pub const END: Action<ProxySessionId, Done, Because> = Action {
    about: About {
        name: "endProxySession",
        route: "POST /proxy/sessions/<session>/end",
        scope: scopes::PROXY_END,
        command: "proxy session end <session> --reason <why>",
        argument: ("SESSION", "The session"),
        example: "cqsb5PaVQ0GvPHq1Nn6u8g",
        says: "Ends a session of the task proxy: its listener is closed, its tokens are taken back, its namespaces are removed.",
        page: ("End the session <session>", "End it"),
        weight: Weight::Reasoned,
        asks_programs: true,
        ..super::ABOUT
    },
    on: |_, text| ProxySessionId::parse(text),
    plan: work!(|domain, _, id, _| {
        let live = domain.proxy.of(&id)?;
        let names: Vec<_> = live.opened.iter().map(|opened| format!("`{}`", opened.upstream.name)).collect();
        let mut plan = vec![
            format!(
                "What is under way for {} is cut off, and nothing more is answered at {}.",
                names.join(", "),
                live.session.address
            ),
            "Tokens are taken back where their service does that; others work until they end by themselves.".into(),
        ];
        let namespaces = domain.proxy.session(&id)?.namespaces;
        plan.extend(namespaces.iter().map(|name| {
            format!("The namespace {name} is removed with its users, queues, exchanges and the messages in them.")
        }));
        Ok(plan)
    }),
    run: work!(|domain, caller, id, _| {
        let reason = caller.reason().map(|reason| reason.as_str().to_owned()).unwrap_or_default();
        domain.proxy.end(&caller, &id, &reason).await.map(|()| DONE)
    }),
};

pub const STORE: Action<(), Done, Profiled> = Action {
    about: About {
        name: "storeProxyUpstreams",
        route: "PUT /proxy/upstreams",
        scope: scopes::PROXY_UPSTREAMS,
        command: "proxy store <file> --reason <why>",
        argument: ("FILE", "The declaration"),
        example: "upstreams.toml",
        says: "Stores a declaration of upstreams, which counts for every session of the task proxy from now on.",
        page: ("Store upstreams of the task proxy", "Store them"),
        weight: Weight::Reasoned,
        asks_programs: true,
        is_secret: true,
    },
    on: nothing,
    plan: work!(|domain, _, (), Profiled { text, .. }| domain.proxy.plan_upstreams(&text)),
    run: work!(|domain, caller, (), Profiled { text, .. }| {
        domain.proxy.store_upstreams(text, &caller).await.map(|()| DONE)
    }),
};
