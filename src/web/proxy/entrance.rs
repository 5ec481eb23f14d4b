//! Where sessions are asked: ports and sockets.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tokio::net::{TcpListener, UnixListener};

use crate::base::{Error, Result};
use crate::domain::proxy::{Config, socket_name};

/// The directory of sockets can be entered by the users of tasks; who may ask, each socket finds out.
const DIRECTORY_MODE: u32 = 0o711;
const SOCKET_MODE: u32 = 0o666;

/// Where a session is asked.
#[derive(Debug)]
pub enum Entrance {
    /// A port.
    Port(TcpListener),
    /// A socket in the file system.
    Socket(UnixListener),
}

/// Another listener of a session, by a name that no other has, and its address: a URL, or the path of a socket.
pub async fn bind(config: &Config, name: &str, is_socket: bool) -> Result<(Entrance, String)> {
    if is_socket {
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
pub fn remove(address: &str) {
    if address.starts_with('/') {
        // One that stays hinders nobody: the next session has another name.
        let _ = fs::remove_file(address);
    }
}
