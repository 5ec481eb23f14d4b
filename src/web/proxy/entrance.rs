//! Where sessions are asked: ports and sockets.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::base::{Error, Result};
use crate::domain::proxy::{Config, socket_name};

/// The directory of sockets can be entered by the users of tasks; who may ask, each socket finds out.
const DIRECTORY_MODE: u32 = 0o711;
const SOCKET_MODE: u32 = 0o666;
/// Connections that wait to be let in, as the standard library has it.
const BACKLOG: u32 = 1024;

/// Where a session is asked.
#[derive(Debug)]
pub enum Entrance {
    /// A port.
    Port(TcpListener),
    /// A socket in the file system.
    Socket(UnixListener),
}

/// Where a session is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// By a socket in the file system.
    Socket,
    /// At a free port of the address that the settings say.
    Port,
    /// At a free port of an address that this host gets later, with the network of a container.
    PortAt(Ipv4Addr),
}

/// Another listener of a session, by a name that no other has, and its address: a URL, or the path of a socket.
pub async fn bind(config: &Config, name: &str, place: Where) -> Result<(Entrance, String)> {
    if place == Where::Socket {
        // Whole, for tasks that are somewhere else.
        let path = std::path::absolute(config.sockets.join(socket_name(name)))
            .map_err(|e| Error::internal("naming the socket of a session", e))?;
        let bound = socket(&config.sockets, &path);
        let listener = bound.map_err(|e| {
            Error::unavailable("cannot make the socket of a session: see PROXY_SOCKETS")
                .because(format!("{}: {e}", path.display()))
        })?;
        return Ok((Entrance::Socket(listener), path.display().to_string()));
    }
    let (ip, setting) = match place {
        Where::PortAt(ip) => (IpAddr::V4(ip), "SERVICES_NETWORK"),
        _ => (config.address, "PROXY_ADDRESS"),
    };
    let failed = |e: io::Error| Error::unavailable(format!("cannot listen on {ip}: see {setting}")).because(e);
    let listener = listen(SocketAddr::new(ip, 0), matches!(place, Where::PortAt(_))).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((Entrance::Port(listener), format!("http://{address}")))
}

/// Listens at an address, if need be before this host has it: engines make the bridge of a network when its first container starts.
fn listen(address: SocketAddr, is_early: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if is_early {
        rustix::net::sockopt::set_ip_freebind(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
pub fn remove(address: &str) {
    if address.starts_with('/') {
        // One that stays hinders nobody: the next session has another name.
        let _ = fs::remove_file(address);
    }
}
