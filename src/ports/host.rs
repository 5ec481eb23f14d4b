//! This host: whether we could listen on an address, and how many files we may open.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use rustix::process::{Resource, getrlimit};

/// Why nobody could listen on an address now, in words for operators. It listens there for a moment.
pub fn cannot_listen(address: SocketAddr) -> Option<String> {
    let error: io::Error = TcpListener::bind(address).err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse => "another process listens there: stop that, or set PORT".into(),
        ErrorKind::AddrNotAvailable => "this host has no such address: see BIND".into(),
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a right: set PORT, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the service".into()
        }
        _ => error.to_string(),
    })
}

/// How many files this process may open if it asks for more; `None` is without a limit.
pub fn files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}
