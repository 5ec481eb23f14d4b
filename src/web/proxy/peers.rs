//! Who may ask a session: users of this host, and networks.

use std::fmt;
use std::net::SocketAddr;

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

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// From an address, by a user where this host knows it.
    Address(SocketAddr, Option<u32>),
    /// By a socket in the file system.
    User(u32),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, Some(user)) => write!(f, "uid {user} at {address}"),
            Self::Address(address, None) => write!(f, "{address}"),
            Self::User(user) => write!(f, "uid {user}"),
        }
    }
}

impl Peers {
    /// Who a connection is from, and whether they may ask. The error says why not, for the log.
    pub fn admit(&self, peer: SocketAddr, ours: SocketAddr) -> Result<Peer, String> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if self.users.is_none() && self.networks.is_empty() {
            return Ok(Peer::Address(peer, None));
        }
        let user =
            sockets::owner(peer, ours).map_err(|e| format!("whose connection from {peer} is cannot be told: {e}"))?;
        let from = Peer::Address(peer, user);
        match (user, &self.users) {
            (Some(user), Some(users)) if user == ROOT || users.contains(&user) => Ok(from),
            (None, _) if self.networks.iter().any(|network| network.contains(&peer.ip())) => Ok(from),
            (Some(user), _) => Err(format!("unauthorized connection from UID {user} at {peer}")),
            (None, _) => Err(format!("unauthorized connection from {peer}, whose user is unknown here")),
        }
    }

    /// The same of a user who comes by a socket in the file system.
    pub fn admit_user(&self, user: u32) -> Result<Peer, String> {
        match &self.users {
            Some(users) if user != ROOT && !users.contains(&user) => {
                Err(format!("unauthorized connection from UID {user}"))
            }
            _ => Ok(Peer::User(user)),
        }
    }
}
