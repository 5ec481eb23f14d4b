//! The tunnels of a session: a listener beside its own for each upstream that is the broker of this appliance.

use std::sync::Arc;

use super::Plane;
use super::entrance::{Entrance, Where, bind, remove};
use super::tunnel::Tunnel;
use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::proxy::{Key, Live, Opened, tunnel_name};
use crate::web::state::App;

/// What stands for a password in a URL for a task: some libraries want one, and none counts.
const NO_PASSWORD: &str = "by-proxy";

/// A listener that is bound, and nobody answers yet.
pub struct Listener {
    pub entrance: Entrance,
    pub tunnel: Arc<Tunnel>,
    /// A URL, or the path of a socket.
    pub address: String,
    /// By which the task finds it.
    pub variable: (String, String),
}

/// Binds one for each upstream that has a tunnel.
pub async fn bind_each(app: &App, plane: &Arc<Plane>, live: &Live, at: Where) -> Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for (place, opened) in live.opened.iter().enumerate() {
        match bind_one(app, plane, (live, place), opened, at).await {
            Ok(listener) => listeners.extend(listener),
            Err(error) => {
                listeners.iter().for_each(|listener| remove(&listener.address));
                return Err(error);
            }
        }
    }
    Ok(listeners)
}

async fn bind_one(
    app: &App,
    plane: &Arc<Plane>,
    (live, place): (&Live, usize),
    opened: &Opened,
    at: Where,
) -> Result<Option<Listener>> {
    let Some(vhost) = app.proxy.tunnel_vhost(opened)? else { return Ok(None) };
    let none = || Error::conflict("no broker is set up: see RABBIT_BASE_URL");
    let door = app.proxy.config().door.clone().ok_or_else(none)?;
    let name = tunnel_name(&live.id, &opened.upstream.name);
    let (entrance, address) = bind(app.proxy.config(), &name, at).await?;
    let prefix = opened.variable_prefix();
    let variable = if at == Where::Socket {
        (format!("{prefix}_AMQP_SOCKET"), address.clone())
    } else {
        let place = address.trim_start_matches("http://");
        let (vhost, query) = (url_encoded(vhost.as_str()), app.namespaces.amqp_query());
        let mark = if query.is_empty() { "" } else { "?" };
        (format!("{prefix}_AMQP_URL"), format!("amqp://{}{place}/{vhost}{mark}{query}", user(opened)))
    };
    let tunnel = Arc::new(Tunnel::new(plane.clone(), place, door));
    Ok(Some(Listener { entrance, tunnel, address, variable }))
}

/// What the URL says of a login: the one namespace that was granted by its name, where there is one.
fn user(opened: &Opened) -> String {
    if !matches!(opened.key, Key::Namespaces) {
        return format!("{}:{NO_PASSWORD}@", opened.upstream.name);
    }
    let mut names = opened.permissions.iter().filter(|name| !name.ends_with('*'));
    match (names.next(), names.next()) {
        (Some(name), None) => format!("{}:{NO_PASSWORD}@", url_encoded(name)),
        _ => String::new(),
    }
}
