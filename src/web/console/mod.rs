//! The console: pages for people, by the same domain calls and scopes as the API. Every route is on this screen.

mod kit;
mod pages;

pub use kit::live::{STREAMS_MAX, places};
pub use kit::routes::{Access, Route};

use super::Router;
use super::state::App;
use kit::routes::Routes;
use kit::{live, theme};
use pages::{
    access, account, alarms, api, audit, backups, broker, clients, elsewhere, exchange, held, hosts, leases, login,
    loops, namespaces, notices, overview, queue, queues, roles, settings, setup, traffic,
};

/// The routes, with who may come to each. `tests/it/console` walks them as nobody and as every role.
fn table() -> Routes {
    access(appliance(bus(Routes::default())))
        // In and out.
        .open_get("/login", login::ask)
        .open_post("/login", login::log_in)
        .open_get("/login/oidc", elsewhere::depart)
        .open_get("/login/oidc/back", elsewhere::arrive)
        .open_get("/setup", setup::ask)
        .open_post("/setup", setup::set_up)
        .post_signed_in("/logout", login::log_out)
        .post_signed_in("/theme", theme::choose)
        .get_signed_in("/live", live::stream)
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
        // For programs.
        .get_signed_in("/api", api::list)
        .get_signed_in("/api/methods/{method}", api::show)
        // How it is.
        .get("/", "keylender:doctor:read", overview::show)
        .get("/alarms/{alarm}/acknowledge", "keylender:alarm:acknowledge", alarms::plan_acknowledge)
        .post("/alarms/{alarm}/acknowledge", "keylender:alarm:acknowledge", alarms::acknowledge)
        // Machines.
        .get("/hosts", "keylender:host:list", hosts::list)
        .get("/hosts/explain", "keylender:host:explain", hosts::explain)
        .get("/hosts/{address}", "keylender:host:list", hosts::show)
        .get("/hosts/{address}/block", "keylender:host:rule:*", hosts::plan_block)
        .post("/hosts/{address}/block", "keylender:host:rule:*", hosts::block)
        .get("/hosts/{address}/pin", "keylender:host:rule:*", hosts::plan_pin)
        .post("/hosts/{address}/pin", "keylender:host:rule:*", hosts::pin)
        .get("/host-rules", "keylender:host:rules", hosts::rules)
        .get("/host-rules/{rule}/remove", "keylender:host:rule:<rule>", hosts::plan_remove)
        .post("/host-rules/{rule}/remove", "keylender:host:rule:<rule>", hosts::remove)
}

/// Who may do what.
fn access(routes: Routes) -> Routes {
    routes
        .get("/access", "keylender:operator:list", access::operators)
        .get("/access/sessions", "keylender:session:list", access::sessions)
        .get("/access/sessions/{session}/revoke", "keylender:session:revoke", access::plan_revoke)
        .post("/access/sessions/{session}/revoke", "keylender:session:revoke", access::revoke)
        .get("/access/test", "keylender:operator:list", access::test)
        .get("/access/new", "keylender:operator:create:*", access::ask_new)
        .post("/access/new", "keylender:operator:create:*", access::create)
        .get("/access/operators/{operator}", "keylender:operator:list", access::operator)
        .get("/access/operators/{operator}/{deed}", "keylender:operator:*", access::plan_deed)
        .post("/access/operators/{operator}/{deed}", "keylender:operator:*", access::do_deed)
        .get("/access/clients", "keylender:client:list", clients::list)
        .get("/access/clients/{client}", "keylender:client:list", clients::show)
        .get("/access/new-client", "keylender:client:create:*", clients::ask_new)
        .post("/access/new-client", "keylender:client:create:*", clients::create)
        .get("/access/clients/{client}/change", "keylender:client:change:<client>", clients::ask_change)
        .post("/access/clients/{client}/change", "keylender:client:change:<client>", clients::change)
        .get("/access/clients/{client}/reset", "keylender:client:reset:<client>", clients::plan_reset)
        .post("/access/clients/{client}/reset", "keylender:client:reset:<client>", clients::reset)
        .get("/access/clients/{client}/disable", "keylender:client:disable:<client>", clients::plan_disable)
        .post("/access/clients/{client}/disable", "keylender:client:disable:<client>", clients::disable)
        .get("/access/clients/{client}/enable", "keylender:client:disable:<client>", clients::plan_enable)
        .post("/access/clients/{client}/enable", "keylender:client:disable:<client>", clients::enable)
        .get("/access/clients/{client}/delete", "keylender:client:delete:<client>", clients::plan_delete)
        .post("/access/clients/{client}/delete", "keylender:client:delete:<client>", clients::delete)
        .get("/access/roles", "keylender:role:list", roles::list)
        .get("/access/roles/{role}", "keylender:role:list", roles::show)
        .get("/access/new-role", "keylender:role:create:*", roles::ask_new)
        .post("/access/new-role", "keylender:role:create:*", roles::create)
        .get("/access/roles/{role}/change", "keylender:role:create:<role>", roles::ask_change)
        .post("/access/roles/{role}/change", "keylender:role:create:<role>", roles::change)
        .get("/access/roles/{role}/delete", "keylender:role:delete:<role>", roles::plan_delete)
        .post("/access/roles/{role}/delete", "keylender:role:delete:<role>", roles::delete)
}

/// The message bus.
fn bus(routes: Routes) -> Routes {
    routes
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
        .get("/test-claim", "pulse:namespace:*", namespaces::choose_test)
        .get("/namespaces/{namespace}/test", "pulse:namespace:<namespace>", namespaces::plan_test)
        .post("/namespaces/{namespace}/test", "pulse:namespace:<namespace>", namespaces::test)
        .post("/namespaces/{namespace}/owners", "keylender:namespace:owners:<namespace>", namespaces::own)
        .post("/namespaces/{namespace}/owners/remove", "keylender:namespace:owners:<namespace>", namespaces::disown)
        .get("/namespaces/{namespace}/extend", "keylender:namespace:extend:<namespace>", namespaces::plan_extend)
        .post("/namespaces/{namespace}/extend", "keylender:namespace:extend:<namespace>", namespaces::extend)
        .post("/namespaces/{namespace}/note", "keylender:namespace:note:<namespace>", namespaces::note)
        .get("/many/namespaces/rotate", "keylender:namespace:rotate:*", namespaces::plan_rotate_many)
        .post("/many/namespaces/rotate", "keylender:namespace:rotate:*", namespaces::rotate_many)
        .get("/many/namespaces/expire", "keylender:namespace:expire:*", namespaces::plan_expire_many)
        .post("/many/namespaces/expire", "keylender:namespace:expire:*", namespaces::expire_many)
        .get("/leases", "keylender:lease:list", leases::list)
        .get("/leases/revoke", "keylender:lease:revoke", leases::plan_revoke)
        .post("/leases/revoke", "keylender:lease:revoke", leases::revoke)
        .get("/queues", "keylender:queue:list", queues::list)
        .get("/queues/{queue}", "keylender:queue:show:<queue>", queue::show)
        .post("/queues/{queue}/exempt", "keylender:queue:rule:<queue>", queue::exempt)
        .get("/queues/{queue}/purge", "keylender:queue:purge:<queue>", queue::plan_end)
        .post("/queues/{queue}/purge", "keylender:queue:purge:<queue>", queue::purge)
        .get("/queues/{queue}/delete", "keylender:queue:delete:<queue>", queue::plan_end)
        .post("/queues/{queue}/delete", "keylender:queue:delete:<queue>", queue::delete)
        .get("/connections", "keylender:connection:list", traffic::connections)
        .get("/connections/{connection}/close", "keylender:connection:close:<connection>", traffic::plan_close)
        .post("/connections/{connection}/close", "keylender:connection:close:<connection>", traffic::close)
        .get("/exchanges", "keylender:exchange:list", traffic::exchanges)
        .get("/exchanges/{exchange}", "keylender:exchange:show:<exchange>", exchange::show)
        .get("/queue-rules", "keylender:queue:rules", queues::rules)
        .post("/queue-rules", "keylender:queue:rule:*", queues::set_rule)
        .get("/queue-rules/{pattern}/remove", "keylender:queue:rule:<pattern>", queues::plan_remove_rule)
        .post("/queue-rules/{pattern}/remove", "keylender:queue:rule:<pattern>", queues::remove_rule)
        .get("/broker", "keylender:broker:read", broker::show)
        .get("/broker/rotate", "keylender:broker:rotate", broker::plan_rotate)
        .post("/broker/rotate", "keylender:broker:rotate", broker::rotate)
}

/// What the appliance does by itself and for itself.
fn appliance(routes: Routes) -> Routes {
    routes
        .get("/loops", "keylender:loop:list", loops::list)
        .get("/loops/{loop}", "keylender:loop:plan:<loop>", loops::show)
        .post("/loops/{loop}/run", "keylender:loop:run:<loop>", loops::run)
        .post("/loops/{loop}/pause", "keylender:loop:pause:<loop>", loops::pause)
        .post("/loops/{loop}/resume", "keylender:loop:pause:<loop>", loops::resume)
        .get("/loops/{loop}/release", "keylender:loop:release:<loop>", loops::plan_release)
        .post("/loops/{loop}/release", "keylender:loop:release:<loop>", loops::release)
        .get("/notices", "keylender:notice:list", notices::list)
        .post("/notices", "keylender:notice:test", notices::send_test)
        .get("/notices/{notice}", "keylender:notice:list", notices::show)
        .post("/notices/{notice}/resend", "keylender:notice:resend:<notice>", notices::resend)
        .get("/notices/{notice}/drop", "keylender:notice:drop:<notice>", notices::plan_drop)
        .post("/notices/{notice}/drop", "keylender:notice:drop:<notice>", notices::discard)
        .get("/backups", "keylender:backup:list", backups::list)
        .post("/backups", "keylender:backup:take", backups::take)
        .get("/backups/{backup}", "keylender:backup:list", backups::show)
        .post("/backups/{backup}/verify", "keylender:backup:verify", backups::verify)
        .get("/backups/{backup}/download", "keylender:backup:download", backups::plan_download)
        .post("/backups/{backup}/download", "keylender:backup:download", backups::download)
}

/// Serves the pages.
pub fn router() -> Router<App> {
    table().router()
}

/// The table of routes and rights.
pub fn routes() -> Vec<Route> {
    table().list()
}
