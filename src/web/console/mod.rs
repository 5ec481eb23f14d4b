//! The console: pages for people, by the same domain calls and scopes as the API. Every mount is on this screen.

mod form;
mod frame;
mod hosts;
mod login;
mod mounts;
mod overview;
mod plan;
mod session;
mod table;
mod text;
mod theme;

pub use mounts::{Access, Mount};

use super::Router;
use super::state::App;
use mounts::Mounts;

/// The routes, with who may come to each. `tests/it/console` walks them as nobody and as every role.
fn table() -> Mounts {
    Mounts::default()
        // In and out.
        .open_get("/login", login::ask)
        .open_post("/login", login::log_in)
        .post_signed_in("/logout", login::log_out)
        .post_signed_in("/theme", theme::choose)
        // How it is.
        .get("/", "keylender:doctor:read", overview::show)
        // Machines.
        .get("/hosts", "keylender:host:list", hosts::list)
        .get("/hosts/{address}", "keylender:host:list", hosts::show)
        .get("/hosts/{address}/block", "keylender:host:rule:*", hosts::plan_block)
        .post("/hosts/{address}/block", "keylender:host:rule:*", hosts::block)
}

/// Serves the pages.
pub fn routes() -> Router<App> {
    table().router()
}

/// The table of routes and rights.
pub fn mounts() -> Vec<Mount> {
    table().list()
}
