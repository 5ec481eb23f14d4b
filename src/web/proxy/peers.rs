//! Who may ask a session: users of this host, and networks.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::ports::sockets;

/// Root may ask every session: it can read the memory of this process anyway.
const ROOT: u32 = 0;

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Users of this host; none is any.
    pub users: Option<Vec<u32>>,
    /// Networks from which others may ask, of whom this host does not know the user.
    pub networks: Vec<IpNet>,
}

impl Peers {
    /// Who a connection is from, as records call them, if they may ask. The error says why not, for the log.
    pub fn admit(&self, peer: SocketAddr, ours: SocketAddr) -> Result<Arc<str>, String> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if self.users.is_none() && self.networks.is_empty() {
            return Ok(peer.to_string().into());
        }
        let user =
            sockets::owner(peer, ours).map_err(|e| format!("whose connection from {peer} is cannot be told: {e}"))?;
        let from = || match user {
            Some(user) => format!("uid {user} at {peer}").into(),
            None => peer.to_string().into(),
        };
        match (user, &self.users) {
            (Some(user), Some(users)) if user == ROOT || users.contains(&user) => Ok(from()),
            (None, _) if self.networks.iter().any(|network| network.contains(&peer.ip())) => Ok(from()),
            (Some(user), _) => Err(format!("unauthorized connection from UID {user} at {peer}")),
            (None, _) => Err(format!("unauthorized connection from {peer}, whose user is unknown here")),
        }
    }

    /// The same of a user who comes by a socket in the file system.
    pub fn admit_user(&self, user: u32) -> Result<Arc<str>, String> {
        match &self.users {
            Some(users) if user != ROOT && !users.contains(&user) => {
                Err(format!("unauthorized connection from UID {user}"))
            }
            _ => Ok(format!("uid {user}").into()),
        }
    }
}
