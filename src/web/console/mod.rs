//! The console: pages for people, by the same domain calls and scopes as the API. Every route is here, and in `fleet`.

mod fleet;
mod kit;
mod pages;

pub use kit::admit::{Access, Route};
pub use kit::live::{STREAMS_MAX, places};

use super::Router;
use super::state::App;
use crate::domain::actions;
use crate::domain::auth::scopes;
use kit::live;
use kit::routes::Routes;
use pages::{
    access, account, alarms, api, archives, audit, backups, broker, clients, connections, exchange, exchanges, history,
    hosts, leases, login, loops, namespaces, notices, oidc, overview, proxy, queue, queues, roles, services, settings,
    setup, theme,
};

/// The routes, with who may come to each. `tests/it/console` walks them as nobody and as every role.
fn table() -> Routes {
    access(appliance(tasks(fleet::routes(bus(Routes::default())))))
        // In and out.
        .open_get("/login", login::ask)
        .open_post("/login", login::log_in)
        .open_get("/login/oidc", oidc::begin)
        .open_get("/login/oidc/back", oidc::callback)
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
        .get("/audit", scopes::AUDIT_READ, audit::list)
        .get("/audit/{seq}", scopes::AUDIT_READ, audit::show)
        .post("/audit/verify", scopes::AUDIT_READ, audit::verify)
        .get("/audit/secret", scopes::AUDIT_FIND_SECRET, audit::ask_secret)
        .post("/audit/secret", scopes::AUDIT_FIND_SECRET, audit::find_secret)
        .get("/held", scopes::AUDIT_READ, history::list)
        // How it is set up.
        .get("/settings", scopes::SETTING_LIST, settings::list)
        .get("/settings/support", scopes::SETTING_LIST, settings::support)
        // For programs.
        .get_signed_in("/api", api::list)
        .get_signed_in("/api/methods/{method}", api::show)
        // How it is.
        .get("/", scopes::DOCTOR_READ, overview::show)
        .get("/alarms/{alarm}/acknowledge", scopes::ALARM_ACKNOWLEDGE, alarms::plan_acknowledge)
        .post("/alarms/{alarm}/acknowledge", scopes::ALARM_ACKNOWLEDGE, alarms::acknowledge)
        // Machines.
        .get("/hosts", scopes::HOST_LIST, hosts::list)
        .get("/hosts/explain", scopes::HOST_EXPLAIN, hosts::explain)
        .get("/hosts/{address}", scopes::HOST_LIST, hosts::show)
        .get("/hosts/{address}/block", scopes::HOST_RULE.for_all(), hosts::plan_block)
        .post("/hosts/{address}/block", scopes::HOST_RULE.for_all(), hosts::block)
        .get("/hosts/{address}/pin", scopes::HOST_RULE.for_all(), hosts::plan_pin)
        .post("/hosts/{address}/pin", scopes::HOST_RULE.for_all(), hosts::pin)
        .get("/host-rules", scopes::HOST_RULES, hosts::rules)
        .get("/host-rules/{rule}/remove", scopes::HOST_RULE, hosts::plan_remove)
        .post("/host-rules/{rule}/remove", scopes::HOST_RULE, hosts::remove)
}

/// What code in tasks may reach.
fn tasks(routes: Routes) -> Routes {
    routes
        .get("/proxy", scopes::PROXY_READ, proxy::list)
        .get("/proxy/sessions/{session}", scopes::PROXY_READ, proxy::show)
        .act("/proxy/sessions/{session}/end", "/proxy/sessions/{session}", &actions::proxy::END)
        .get("/services", scopes::SERVICES_READ, services::list)
        .get("/services/{set}", scopes::SERVICES_READ, services::show)
        .act("/services/{set}/stop", "/services/{set}", &actions::services::STOP)
        .get("/proxy/explain", scopes::PROXY_READ, proxy::explain)
        .get("/proxy/upstreams", scopes::PROXY_UPSTREAMS, proxy::upstreams)
        .post("/proxy/upstreams", scopes::PROXY_UPSTREAMS, proxy::store_upstreams)
}

fn access(routes: Routes) -> Routes {
    routes
        .get("/access", scopes::OPERATOR_LIST, access::operators)
        .get("/access/sessions", scopes::SESSION_LIST, access::sessions)
        .act("/access/sessions/{session}/revoke", "/access/sessions", &actions::operators::REVOKE_SESSION)
        .get("/access/test", scopes::OPERATOR_LIST, access::test)
        .get("/access/new", scopes::OPERATOR_CREATE.for_all(), access::ask_new)
        .post("/access/new", scopes::OPERATOR_CREATE.for_all(), access::create)
        .get("/access/operators/{operator}", scopes::OPERATOR_LIST, access::operator)
        .get("/access/operators/{operator}/reset", scopes::OPERATOR_RESET, access::plan_reset)
        .post("/access/operators/{operator}/reset", scopes::OPERATOR_RESET, access::reset)
        .act("/access/operators/{operator}/disable", "/access/operators/{operator}", &actions::operators::DISABLE)
        .act("/access/operators/{operator}/enable", "/access/operators/{operator}", &actions::operators::ENABLE)
        .act("/access/operators/{operator}/delete", "/access", &actions::operators::DELETE)
        .get("/access/operators/{operator}/{role}", scopes::OPERATOR_ROLE, access::plan_role)
        .post("/access/operators/{operator}/{role}", scopes::OPERATOR_ROLE, access::set_role)
        .get("/access/clients", scopes::CLIENT_LIST, clients::list)
        .get("/access/clients/{client}", scopes::CLIENT_LIST, clients::show)
        .get("/access/new-client", scopes::CLIENT_CREATE.for_all(), clients::ask_new)
        .post("/access/new-client", scopes::CLIENT_CREATE.for_all(), clients::create)
        .get("/access/clients/{client}/change", scopes::CLIENT_CHANGE, clients::ask_change)
        .post("/access/clients/{client}/change", scopes::CLIENT_CHANGE, clients::change)
        .get("/access/clients/{client}/reset", scopes::CLIENT_RESET, clients::plan_reset)
        .post("/access/clients/{client}/reset", scopes::CLIENT_RESET, clients::reset)
        .act("/access/clients/{client}/disable", "/access/clients/{client}", &actions::clients::DISABLE)
        .act("/access/clients/{client}/enable", "/access/clients/{client}", &actions::clients::ENABLE)
        .act("/access/clients/{client}/delete", "/access/clients", &actions::clients::DELETE)
        .get("/access/roles", scopes::ROLE_LIST, roles::list)
        .get("/access/roles/{role}", scopes::ROLE_LIST, roles::show)
        .get("/access/new-role", scopes::ROLE_CREATE.for_all(), roles::ask_new)
        .post("/access/new-role", scopes::ROLE_CREATE.for_all(), roles::create)
        .get("/access/roles/{role}/change", scopes::ROLE_CREATE, roles::ask_change)
        .post("/access/roles/{role}/change", scopes::ROLE_CREATE, roles::change)
        .act("/access/roles/{role}/delete", "/access/roles", &actions::roles::DELETE)
}

fn bus(routes: Routes) -> Routes {
    routes
        .get("/namespaces", scopes::NAMESPACE_LIST, namespaces::list)
        .get("/namespaces/{namespace}", scopes::NAMESPACE_SHOW, namespaces::show)
        .act("/namespaces/{namespace}/rotate", "/namespaces/{namespace}", &actions::namespaces::ROTATE)
        .act("/namespaces/{namespace}/finish", "/namespaces/{namespace}", &actions::namespaces::FINISH)
        .act("/namespaces/{namespace}/expire", "/namespaces", &actions::namespaces::EXPIRE)
        .get("/namespaces/{namespace}/revoke", scopes::LEASE_REVOKE, namespaces::plan_revoke)
        .post("/namespaces/{namespace}/revoke", scopes::LEASE_REVOKE, namespaces::revoke)
        .get("/namespaces/{namespace}/hand-over", scopes::PULSE_NAMESPACE, namespaces::plan_hand_over)
        .post("/namespaces/{namespace}/hand-over", scopes::PULSE_NAMESPACE, namespaces::hand_over)
        .get("/test-claim", scopes::PULSE_NAMESPACE.for_all(), namespaces::choose_test)
        .get("/namespaces/{namespace}/test", scopes::PULSE_NAMESPACE, namespaces::plan_test)
        .post("/namespaces/{namespace}/test", scopes::PULSE_NAMESPACE, namespaces::test)
        .post("/namespaces/{namespace}/owners", scopes::NAMESPACE_OWNERS, namespaces::own)
        .post("/namespaces/{namespace}/owners/remove", scopes::NAMESPACE_OWNERS, namespaces::disown)
        .get("/namespaces/{namespace}/extend", scopes::NAMESPACE_EXTEND, namespaces::plan_extend)
        .post("/namespaces/{namespace}/extend", scopes::NAMESPACE_EXTEND, namespaces::extend)
        .post("/namespaces/{namespace}/note", scopes::NAMESPACE_NOTE, namespaces::note)
        .get("/many/namespaces/rotate", scopes::NAMESPACE_ROTATE.for_all(), namespaces::plan_rotate_many)
        .post("/many/namespaces/rotate", scopes::NAMESPACE_ROTATE.for_all(), namespaces::rotate_many)
        .get("/many/namespaces/expire", scopes::NAMESPACE_EXPIRE.for_all(), namespaces::plan_expire_many)
        .post("/many/namespaces/expire", scopes::NAMESPACE_EXPIRE.for_all(), namespaces::expire_many)
        .get("/leases", scopes::LEASE_LIST, leases::list)
        .get("/leases/revoke", scopes::LEASE_REVOKE, leases::plan_revoke)
        .post("/leases/revoke", scopes::LEASE_REVOKE, leases::revoke)
        .get("/queues", scopes::QUEUE_LIST, queues::list)
        .get("/queues/{queue}", scopes::QUEUE_SHOW, queue::show)
        .post("/queues/{queue}/exempt", scopes::QUEUE_RULE, queue::exempt)
        .act("/queues/{queue}/purge", "/queues/{queue}", &actions::queues::PURGE)
        .act("/queues/{queue}/delete", "/queues", &actions::queues::DELETE)
        .get("/queues/{queue}/archive", scopes::ARCHIVE_TAKE, archives::plan_take)
        .post("/queues/{queue}/archive", scopes::ARCHIVE_TAKE, archives::take)
        .get("/archives", scopes::ARCHIVE_LIST, archives::list)
        .get("/archives/{archive}", scopes::ARCHIVE_LIST, archives::show)
        .get("/archives/{archive}/replay", scopes::ARCHIVE_REPLAY, archives::plan_replay)
        .post("/archives/{archive}/replay", scopes::ARCHIVE_REPLAY, archives::replay)
        .post("/archives/{archive}/export", scopes::ARCHIVE_EXPORT, archives::export)
        .act("/archives/{archive}/delete", "/archives", &actions::archives::DELETE)
        .get("/connections", scopes::CONNECTION_LIST, connections::list)
        .act("/connections/{connection}/close", "/connections", &actions::connections::CLOSE)
        .get("/exchanges", scopes::EXCHANGE_LIST, exchanges::list)
        .get("/exchanges/{exchange}", scopes::EXCHANGE_SHOW, exchange::show)
        .get("/queue-rules", scopes::QUEUE_RULES, queues::rules)
        .post("/queue-rules", scopes::QUEUE_RULE.for_all(), queues::set_rule)
        .act("/queue-rules/{pattern}/remove", "/queue-rules", &actions::queues::UNRULE)
        .get("/broker", scopes::BROKER_READ, broker::show)
        .act("/broker/rotate", "/broker", &actions::broker::ROTATE)
}

/// What the appliance does by itself and for itself.
fn appliance(routes: Routes) -> Routes {
    routes
        .get("/loops", scopes::LOOP_LIST, loops::list)
        .get("/loops/{loop}", scopes::LOOP_PLAN, loops::show)
        .act("/loops/{loop}/run", "/loops/{loop}", &actions::loops::RUN)
        .act("/loops/{loop}/pause", "/loops/{loop}", &actions::loops::PAUSE)
        .act("/loops/{loop}/resume", "/loops/{loop}", &actions::loops::RESUME)
        .act("/loops/{loop}/release", "/loops/{loop}", &actions::loops::RELEASE)
        .get("/notices", scopes::NOTICE_LIST, notices::list)
        .post("/notices", scopes::NOTICE_TEST, notices::send_test)
        .get("/notices/{notice}", scopes::NOTICE_LIST, notices::show)
        .post("/notices/{notice}/resend", scopes::NOTICE_RESEND, notices::resend)
        .get("/notices/{notice}/drop", scopes::NOTICE_DROP, notices::plan_drop)
        .post("/notices/{notice}/drop", scopes::NOTICE_DROP, notices::discard)
        .get("/backups", scopes::BACKUP_LIST, backups::list)
        .post("/backups", scopes::BACKUP_TAKE, backups::take)
        .get("/backups/{backup}", scopes::BACKUP_LIST, backups::show)
        .post("/backups/{backup}/verify", scopes::BACKUP_VERIFY, backups::verify)
        .get("/backups/{backup}/download", scopes::BACKUP_DOWNLOAD, backups::plan_download)
        .post("/backups/{backup}/download", scopes::BACKUP_DOWNLOAD, backups::download)
}

pub fn router() -> Router<App> {
    table().router()
}

/// The table of routes and rights.
pub fn routes() -> Vec<Route> {
    table().list()
}
