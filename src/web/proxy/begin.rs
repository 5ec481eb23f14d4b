//! Sessions that workers of this host ask for: a listener is bound, the session is stored, and only then it is asked.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use super::{Entrance, Of, Peers, Plane, Taskcluster, UPGRADES_MAX, serve};
use crate::base::{Error, ProxySessionId, Result};
use crate::domain::auth::Caller;
use crate::domain::proxy::{Ask, Live};
use crate::web::state::App;

/// The directory of sockets can be entered by the users of tasks; who may ask, each socket finds out.
const DIRECTORY_MODE: u32 = 0o711;
const SOCKET_MODE: u32 = 0o666;
/// Users and networks of a session. A task has one.
const PEERS_MAX: usize = 64;

/// Where a session is to be asked, and by whom.
#[derive(Debug)]
pub struct Listening {
    /// By a socket in the file system; otherwise at a port.
    pub is_socket: bool,
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
        if self.is_socket && !self.networks.is_empty() {
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
    let (entrance, address) = bind(app, &id, listening.is_socket).await?;
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
    let stop = live.stop.clone();
    app.tasks.spawn(async move {
        serve(entrance, peers, plane, stop).await;
        remove(&address);
    });
    Ok(Begun { environment: environment(&live), live })
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
        let name = opened.upstream.name.to_ascii_uppercase().replace('-', "_");
        let place = match &opened.upstream.mounts[..] {
            [mount] => format!("{url}/{}", mount.segment),
            _ => url.to_owned(),
        };
        environment.insert(format!("{name}_PROXY_URL"), place);
        if opened.deployment.is_some() {
            environment.insert("TASKCLUSTER_PROXY_URL".to_owned(), url.to_owned());
        }
    }
    environment
}

async fn bind(app: &App, id: &ProxySessionId, is_socket: bool) -> Result<(Entrance, String)> {
    let config = app.proxy.config();
    if is_socket {
        let path = config.sockets.join(format!("{id}.sock"));
        let bound = socket(&config.sockets, &path);
        let listener = bound.map_err(|e| {
            Error::unavailable("cannot make the socket of a session: see PROXY_SOCKETS")
                .because(format!("{}: {e}", path.display()))
        })?;
        return Ok((Entrance::Socket(listener), path.display().to_string()));
    }
    let failed =
        |e: io::Error| Error::unavailable(format!("cannot listen on {}: see PROXY_ADDRESS", config.address)).because(e);
    let listener = TcpListener::bind(SocketAddr::new(config.address, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((Entrance::Port(listener), format!("http://{address}")))
}

fn socket(directory: &Path, path: &Path) -> io::Result<UnixListener> {
    if !directory.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(DIRECTORY_MODE))?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

/// Removes the socket of a session that is over.
fn remove(address: &str) {
    if address.starts_with('/') {
        // One that stays hinders nobody: the next session has another name.
        let _ = fs::remove_file(address);
    }
}
