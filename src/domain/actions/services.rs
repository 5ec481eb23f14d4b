//! What people may do with services beside tasks.

use super::{About, Action, Because, DONE, Done, Weight};
use crate::base::{Error, ServiceSetId};
use crate::domain::auth::scopes;

pub const STOP: Action<ServiceSetId, Done, Because> = Action {
    about: About {
        name: "stopServices",
        route: "POST /services/<set>/stop",
        scope: scopes::SERVICES_STOP,
        command: "services stop <set> --reason <why>",
        argument: ("SET", "The set of services"),
        example: "cqsb5PaVQ0GvPHq1Nn6u8g",
        says: "Ends the services of a task: their sessions are closed at once, and their worker kills the containers when it hears of it.",
        page: ("Stop the services <set>", "Stop them"),
        weight: Weight::Reasoned,
        asks_programs: true,
        ..super::ABOUT
    },
    on: |_, text| ServiceSetId::parse(text),
    plan: work!(|domain, _, set, _| {
        let live = domain.services.live_of(&set);
        if live.is_empty() {
            return Err(Error::not_found(format!("there is no open set of services `{set}`")));
        }
        let services = live.iter().filter_map(|live| live.session.service.as_ref().zip(Some(&live.session.address)));
        let mut plan: Vec<_> =
            services.map(|(service, at)| format!("Nothing more is answered to `{}` at {at}.", service.name)).collect();
        plan.push(
            "The worker kills the containers, and with them the task, when it says the next time that it lives.".into(),
        );
        Ok(plan)
    }),
    run: work!(|domain, caller, set, _| {
        let reason = caller.reason().map(|reason| reason.as_str().to_owned()).unwrap_or_default();
        domain.services.stop(&caller, &set, &reason).await.map(|()| DONE)
    }),
};
