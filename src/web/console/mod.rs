//! The console: pages for people, by the same domain calls and scopes as the API. Every mount is on this screen.

mod access;
mod account;
mod audit;
mod cell;
mod form;
mod frame;
mod held;
mod hosts;
mod login;
mod mounts;
mod namespaces;
mod overview;
mod plan;
mod session;
mod settings;
mod setup;
mod table;
mod text;
mod theme;
mod timeline;

pub use mounts::{Access, Mount};

use super::Router;
use super::state::App;
use mounts::Mounts;

/// The routes, with who may come to each. `tests/it/console` walks them as nobody and as every role.
fn table() -> Mounts {
    bus(Mounts::default())
        // In and out.
        .open_get("/login", login::ask)
        .open_post("/login", login::log_in)
        .open_get("/setup", setup::ask)
        .open_post("/setup", setup::set_up)
        .post_signed_in("/logout", login::log_out)
        .post_signed_in("/theme", theme::choose)
        // One's own account.
        .get_signed_in("/account", account::show)
        .post_signed_in("/account/password", account::change_password)
        .post_signed_in("/account/second", account::enrol)
        .post_signed_in("/account/second/confirm", account::confirm)
        .post_signed_in("/account/second/remove", account::remove)
        // What was done, and who had what.
        .get("/audit", "keylender:audit:read", audit::list)
        .get("/audit/{seq}", "keylender:audit:read", audit::show)
        .post("/audit/verify", "keylender:audit:read", audit::verify)
        .get("/audit/secret", "keylender:audit:find-secret", audit::ask_secret)
        .post("/audit/secret", "keylender:audit:find-secret", audit::find_secret)
        .get("/held", "keylender:audit:read", held::list)
        // How it is set up.
        .get("/settings", "keylender:setting:list", settings::list)
        .get("/settings/support", "keylender:setting:list", settings::support)
        // Who may do what.
        .get("/access", "keylender:operator:list", access::operators)
        .get("/access/sessions", "keylender:session:list", access::sessions)
        .get("/access/sessions/{session}/revoke", "keylender:session:revoke", access::plan_revoke)
        .post("/access/sessions/{session}/revoke", "keylender:session:revoke", access::revoke)
        .get("/access/clients", "keylender:client:list", access::clients)
        .get("/access/test", "keylender:operator:list", access::test)
        .get("/access/new", "keylender:operator:create:*", access::ask_new)
        .post("/access/new", "keylender:operator:create:*", access::create)
        .get("/access/operators/{operator}", "keylender:operator:list", access::operator)
        .get("/access/operators/{operator}/{deed}", "keylender:operator:*", access::plan_deed)
        .post("/access/operators/{operator}/{deed}", "keylender:operator:*", access::do_deed)
        // How it is.
        .get("/", "keylender:doctor:read", overview::show)
        // Machines.
        .get("/hosts", "keylender:host:list", hosts::list)
        .get("/hosts/{address}", "keylender:host:list", hosts::show)
        .get("/hosts/{address}/block", "keylender:host:rule:*", hosts::plan_block)
        .post("/hosts/{address}/block", "keylender:host:rule:*", hosts::block)
}

/// The message bus.
fn bus(mounts: Mounts) -> Mounts {
    mounts
        .get("/namespaces", "keylender:namespace:list", namespaces::list)
        .get("/namespaces/{namespace}", "keylender:namespace:show:<namespace>", namespaces::show)
        .get("/namespaces/{namespace}/rotate", "keylender:namespace:rotate:<namespace>", namespaces::plan_rotate)
        .post("/namespaces/{namespace}/rotate", "keylender:namespace:rotate:<namespace>", namespaces::rotate)
        .post("/namespaces/{namespace}/finish", "keylender:namespace:rotate:<namespace>", namespaces::finish)
        .get("/namespaces/{namespace}/expire", "keylender:namespace:expire:<namespace>", namespaces::plan_expire)
        .post("/namespaces/{namespace}/expire", "keylender:namespace:expire:<namespace>", namespaces::expire)
        .get("/namespaces/{namespace}/revoke", "keylender:lease:revoke", namespaces::plan_revoke)
        .post("/namespaces/{namespace}/revoke", "keylender:lease:revoke", namespaces::revoke)
        .get("/namespaces/{namespace}/hand-over", "pulse:namespace:<namespace>", namespaces::plan_hand_over)
        .post("/namespaces/{namespace}/hand-over", "pulse:namespace:<namespace>", namespaces::hand_over)
        .post("/namespaces/{namespace}/owners", "keylender:namespace:owners:<namespace>", namespaces::own)
        .post("/namespaces/{namespace}/owners/remove", "keylender:namespace:owners:<namespace>", namespaces::disown)
}

/// Serves the pages.
pub fn routes() -> Router<App> {
    table().router()
}

/// The table of routes and rights.
pub fn mounts() -> Vec<Mount> {
    table().list()
}
