//! Sets of services: a session for each of them, all or none.

use std::sync::Arc;

use futures_util::future::join_all;
use ipnet::{IpNet, Ipv4Net};

use super::begin::{Listening, begin};
use super::entrance::Where;
use crate::base::{Result, ServiceSetId};
use crate::domain::auth::Caller;
use crate::domain::proxy::{Live, TaskRun};
use crate::domain::services::{Ask, Begun, Decided, Member, Network};
use crate::web::state::App;

/// A set whose sessions are asked.
pub struct BegunSet {
    /// The set.
    pub set: ServiceSetId,
    /// Each service, in the order of the payload.
    pub services: Vec<Begun>,
    /// Where the task is.
    pub task_network: Network,
    /// The task.
    pub task: Option<TaskRun>,
    /// Whether that is a process of the host.
    pub is_task_on_host: bool,
}

/// Decides on a set, and opens a session for each of its services. When one cannot be opened, none stays open.
pub async fn begin_set(app: &App, caller: &Caller, ask: Ask) -> Result<BegunSet> {
    let decided = app.services.decide(caller, ask).await?;
    let Decided { set, members, task_network, task, is_task_on_host, turn } = decided;
    let begun = join_all(members.into_iter().map(|member| begin_one(app, caller, member))).await;
    // What is open has its networks from now on.
    drop(turn);
    let (services, failed): (Vec<_>, Vec<_>) = begun.into_iter().partition(Result::is_ok);
    let services: Vec<Begun> = services.into_iter().flatten().collect();
    match failed.into_iter().find_map(Result::err) {
        None => {
            app.services.know(&set, services.iter().map(|begun| begun.live.id.clone()).collect());
            Ok(BegunSet { set, services, task_network, task, is_task_on_host })
        }
        Some(error) => {
            let opened: Vec<Arc<Live>> = services.into_iter().map(|begun| begun.live).collect();
            let cause = "another service of its set could not be opened";
            let ends = join_all(opened.iter().map(|live| app.proxy.end(caller, &live.id, cause))).await;
            // What does not end now ends when nobody is heard, or with its time.
            ends.into_iter().filter_map(Result::err).for_each(|error| tracing::warn!("{}", error.chain()));
            app.services.note_failure(caller, &set, &error).await?;
            Err(error)
        }
    }
}

async fn begin_one(app: &App, caller: &Caller, member: Member) -> Result<Begun> {
    let Member { service, facts, network, ask } = member;
    let listening = Listening {
        at: Where::PortAt(network.gateway()),
        users: Vec::new(),
        // Nobody else of the network: the task is in it, too.
        networks: vec![IpNet::V4(Ipv4Net::from(network.service()))],
        takes_credentials: false,
    };
    let begun = begin(app, caller, listening, ask).await;
    let begun =
        begun.map_err(|error| error.reworded(|message| format!("the service `{}`: {message}", service.name)))?;
    Ok(Begun { service, facts, network, live: begun.live, environment: begun.environment })
}
