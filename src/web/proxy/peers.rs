//! Who may ask a session: users of this host, and networks.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::ports::sockets::{self, Owner};

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
    pub async fn admit(&self, peer: SocketAddr, ours: SocketAddr) -> Result<Arc<str>, String> {
        let given = peer;
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if self.users.is_none() && self.networks.is_empty() {
            return Ok(peer.to_string().into());
        }
        let owner = sockets::owner(given, ours).await;
        match owner.map_err(|e| format!("whose connection from {peer} is cannot be told: {e}"))? {
            Owner::User(user) => match &self.users {
                Some(users) if user == ROOT || users.contains(&user) => Ok(format!("uid {user} at {peer}").into()),
                _ => Err(format!("unauthorized connection from UID {user} at {peer}")),
            },
            Owner::Closed => Err(format!("a connection from {peer} was closed before it could be told whose it is")),
            Owner::Elsewhere if self.networks.iter().any(|network| network.contains(&peer.ip())) => {
                Ok(peer.to_string().into())
            }
            Owner::Elsewhere => Err(format!("unauthorized connection from {peer}, whose user is unknown here")),
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
