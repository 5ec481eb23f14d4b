//! Sessions that workers of this host ask for: a listener is bound, the session is stored, and only then it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::Semaphore;

use super::entrance::{Where, bind, remove};
use super::tunnels::{self, Listener};
use super::{Face, Of, Peers, Plane, Taskcluster, UPGRADES_MAX, serve};
use crate::base::{Error, ProxySessionId, Result};
use crate::domain::auth::Caller;
use crate::domain::proxy::{Ask, Key, Live, TaskRun};
use crate::web::state::App;

/// Users and networks of a session. A task has one.
const PEERS_MAX: usize = 64;

/// Where a session is to be asked, and by whom.
#[derive(Debug)]
pub struct Listening {
    /// By a socket, or at a port.
    pub at: Where,
    /// Users of this host who may.
    pub users: Vec<u32>,
    /// Networks from which others may.
    pub networks: Vec<IpNet>,
    /// Whether whoever may ask may also replace the credentials of the task, as at taskcluster-proxy.
    pub takes_credentials: bool,
}

impl Listening {
    /// Who may ask, where anybody is named at all.
    fn peers(&self) -> Result<Peers> {
        if self.at == Where::Socket && !self.networks.is_empty() {
            return Err(Error::invalid("a socket is for users of this host, and networks reach none: leave them out"));
        }
        if self.users.len() + self.networks.len() > PEERS_MAX {
            return Err(Error::invalid(format!("at most {PEERS_MAX} users and networks may ask a session")));
        }
        if self.users.is_empty() && self.networks.is_empty() {
            return Err(Error::invalid(
                "a session needs users of this host, by number, or networks, that may ask it: name them",
            ));
        }
        Ok(Peers { users: Some(self.users.clone()), networks: self.networks.clone() })
    }

    fn words(&self) -> String {
        let users = self.users.iter().map(|user| format!("uid {user}"));
        users.chain(self.networks.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
    }
}

/// A session that is asked.
#[derive(Debug)]
pub struct Begun {
    /// The session.
    pub live: Arc<Live>,
    /// What its worker puts into the environment of the task.
    pub environment: BTreeMap<String, String>,
}

/// Opens a session and serves it until it ends.
pub async fn begin(app: &App, caller: &Caller, listening: Listening, ask: Ask) -> Result<Begun> {
    let peers = listening.peers()?;
    let id = ProxySessionId::generate();
    let (entrance, address) = bind(app.proxy.config(), id.as_str(), listening.at).await?;
    let ask = Ask { address: address.clone(), peers: listening.words(), ..ask };
    let opened = app.proxy.open(caller, id, ask).await;
    let live = match opened {
        Ok(live) => live,
        Err(error) => {
            remove(&address);
            return Err(error);
        }
    };
    let plane = Arc::new(plane(app, caller, &live, listening.takes_credentials));
    let tunnels = match tunnels::bind_each(app, &plane, &live, listening.at).await {
        Ok(tunnels) => tunnels,
        Err(error) => {
            remove(&address);
            app.proxy.end(caller, &live.id, "it could not be asked").await?;
            return Err(error);
        }
    };
    let mut environment = environment(&live);
    let mut listeners = vec![(entrance, Face::Http(plane), address)];
    for Listener { entrance, tunnel, address, variable } in tunnels {
        environment.extend([variable]);
        listeners.push((entrance, Face::Amqp(tunnel), address));
    }
    let (timed, clock) = (live.clone(), app.clock.clone());
    app.tasks.spawn(async move { timed.keep_time(&clock).await });
    for (entrance, face, address) in listeners {
        let (peers, stop) = (peers.clone(), live.stop.clone());
        app.tasks.spawn(async move {
            serve(entrance, peers, face, stop).await;
            remove(&address);
        });
    }
    Ok(Begun { environment, live })
}

fn plane(app: &App, caller: &Caller, live: &Arc<Live>, takes_credentials: bool) -> Plane {
    let deployment = live.opened.iter().find_map(|opened| opened.deployment.clone());
    Plane {
        session: live.id.as_str().into(),
        clock: app.clock.clone(),
        taskcluster: deployment.map(|base| Taskcluster::new(base, takes_credentials)),
        recorder: live.recorder.clone(),
        of: Some(Of {
            live: live.clone(),
            proxy: app.proxy.clone(),
            opener: caller.clone(),
            reading: Arc::new(Semaphore::new(1)),
        }),
        opened: Vec::new(),
        upgrades: Arc::new(Semaphore::new(UPGRADES_MAX)),
    }
}

/// Where the task finds each upstream. A socket has URLs, too: for clients that are told the socket beside them.
fn environment(live: &Live) -> BTreeMap<String, String> {
    let address = &live.session.address;
    let is_socket = address.starts_with('/');
    let url = if is_socket { "http://localhost" } else { address };
    let mut environment = BTreeMap::new();
    if is_socket {
        environment.insert("KEYLENDER_PROXY_SOCKET".to_owned(), address.clone());
    }
    for opened in &live.opened {
        let place = match &opened.upstream.mounts[..] {
            _ if matches!(opened.key, Key::Namespaces) => format!("{url}/{}", opened.upstream.name),
            [] if opened.deployment.is_none() => continue,
            [mount] => format!("{url}/{}", mount.segment),
            _ => url.to_owned(),
        };
        environment.insert(format!("{}_PROXY_URL", opened.variable_prefix()), place);
        if opened.deployment.is_some() {
            environment.insert("TASKCLUSTER_PROXY_URL".to_owned(), url.to_owned());
        }
    }
    if live.session.service.is_some() {
        environment.extend(of_service(live, url));
    }
    environment
}

/// What a service has beside that: where its session itself is, whatever else it may reach, and for which task it runs.
fn of_service(live: &Live, url: &str) -> Vec<(String, String)> {
    let mut variables = vec![("KEYLENDER_PROXY_URL".to_owned(), url.to_owned())];
    if let Some(base) = live.opened.iter().find_map(|opened| opened.deployment.as_ref()) {
        variables.push(("TASKCLUSTER_ROOT_URL".to_owned(), base.to_string()));
    }
    if let Some(TaskRun { task_id, run_id }) = &live.session.task {
        variables.push(("TASK_ID".to_owned(), task_id.clone()));
        variables.push(("RUN_ID".to_owned(), run_id.to_string()));
    }
    variables
}
