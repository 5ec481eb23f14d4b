//! What the account of a host's agent can reach, and what no permission of a broker keeps it from.

use axum::response::Response;

use super::{PATH, host_of, path_of_host, path_to};
use crate::base::Result;
use crate::proto::relay_profile::{Agents, ExchangeType};
use crate::web::console::kit::session::Session;
use crate::web::console::pages::relay_reach::{Whose, asked, shown};
use crate::web::state::App;

pub async fn reach(app: App, session: Session) -> Result<Response> {
    let (host, asked) = (host_of(&session)?, asked(&session));
    let reaches = app.agents.reach(&host, &asked).await?;
    let declared = app.agents.agents()?;
    let queueloc = app.agents.queueloc_of(&host)?;
    let is_shared = app.agents.show(&queueloc).await?.enrolment.is_some_and(|enrolment| enrolment.is_shared);
    let whose = Whose {
        title: "What an agent can reach",
        trail: vec![(PATH.to_owned(), "Agents".to_owned()), (path_to(&queueloc), host.to_string())],
        path: format!("{}/reach", path_of_host(&host)),
        words: ["agent", "reach", host.as_str()],
        limits: limits(&declared, is_shared),
    };
    shown(&app, &session, whose, asked, reaches).await
}

/// What the table does not say.
fn limits(declared: &Agents, is_shared: bool) -> Vec<String> {
    let mut limits = Vec::new();
    if is_shared {
        limits.push(
            "Its account is shared: all of this is so of each agent that has it. Each can read the commands of all others, \
             and take the place of any of them."
                .to_owned(),
        );
    } else if declared.exchange_type == ExchangeType::Direct {
        let Agents { sends_to, takes_from, .. } = declared;
        let sends = if sends_to == takes_from {
            "It sends to the same exchange, and so to any routing key of it, too."
        } else {
            "It cannot send any."
        };
        limits.push(format!(
            "The exchange {takes_from} is a direct one, and brokers have no permissions for routing keys of such: an agent \
             that does not behave can bind its own queue to the routing key of another one, and read the commands that are \
             sent there. {sends}"
        ));
    }
    limits
}
