//! Routes of the relay, and of the agents of its fleet.

use super::kit::routes::Routes;
use super::pages::{
    agents, relay, relay_account, relay_cluster, relay_investigators, relay_profile, relay_reach, relay_users,
    whitelist,
};
use crate::domain::actions;
use crate::domain::auth::scopes;

pub(super) fn routes(routes: Routes) -> Routes {
    agents(routes)
        .get("/relay", scopes::RELAY_READ, relay::show)
        .get("/relay/plan", scopes::RELAY_READ, relay::compare)
        .get("/relay/accounts/{account}", scopes::RELAY_READ, relay_account::show)
        .act("/relay/apply", "/relay", &actions::relay::APPLY)
        .get("/relay/profile", scopes::RELAY_PROFILE, relay_profile::show)
        .post("/relay/profile", scopes::RELAY_PROFILE, relay_profile::store)
        .get("/relay/investigators", scopes::RELAY_READ, relay_investigators::show)
        .get("/relay/parts/{part}", scopes::RELAY_READ, relay::part)
        .get("/relay/cluster", scopes::RELAY_READ, relay_cluster::show)
        .get("/relay/users", scopes::RELAY_READ, relay_users::list)
        .get("/relay/users/{user}/adopt", scopes::RELAY_ADOPT, relay_users::ask_adopt)
        .post("/relay/users/{user}/adopt", scopes::RELAY_ADOPT, relay_users::adopt)
        .act("/relay/users/{user}/release", "/relay/users", &actions::relay::RELEASE)
        .get("/relay/accounts/{account}/reach", scopes::RELAY_READ, relay_reach::show)
        .get("/relay/accounts/{account}/rotate", scopes::RELAY_ROTATE, relay_account::plan_rotation)
        .post("/relay/accounts/{account}/rotate", scopes::RELAY_ROTATE, relay_account::rotate)
        .get("/relay/accounts/{account}/hand-over", scopes::RELAY_LEND, relay_account::plan_hand_over)
        .post("/relay/accounts/{account}/hand-over", scopes::RELAY_LEND, relay_account::hand_over)
}

fn agents(routes: Routes) -> Routes {
    routes
        .get("/agents", scopes::AGENT_READ, agents::list)
        .get("/agents/known/{queueloc}", scopes::AGENT_READ, agents::show)
        .get("/agents/pending", scopes::AGENT_READ, agents::pending)
        .act("/agents/pending/{queueloc}/approve", "/agents/pending", &actions::fleet::APPROVE)
        .act("/agents/pending/{queueloc}/refuse", "/agents/pending", &actions::fleet::REFUSE)
        .get("/agents/rules", scopes::AGENT_READ, agents::rules)
        .get("/agents/rules/add", scopes::AGENT_ADMIT, agents::ask_rule)
        .post("/agents/rules/add", scopes::AGENT_ADMIT, agents::add_rule)
        .act("/agents/rules/{rule}/remove", "/agents/rules", &actions::fleet::REMOVE_RULE)
        .get("/agents/enrol", scopes::AGENT_ENROL.for_all(), agents::ask_host)
        .get("/agents/hosts/{host}/token", scopes::AGENT_ENROL, agents::plan_token)
        .post("/agents/hosts/{host}/token", scopes::AGENT_ENROL, agents::make_token)
        .get("/agents/hosts/{host}/revoke", scopes::AGENT_REVOKE, agents::plan_revocation)
        .post("/agents/hosts/{host}/revoke", scopes::AGENT_REVOKE, agents::revoke)
        .act("/agents/hosts/{host}/forget", "/agents", &actions::fleet::FORGET)
        .get("/agents/hosts/{host}/reach", scopes::AGENT_READ, agents::reach)
        .get("/agents/gone", scopes::AGENT_READ, agents::gone)
        .act("/agents/gone/remove", "/agents/gone", &actions::fleet::REMOVE_GONE)
        .get("/agents/whitelist", scopes::AGENT_READ, whitelist::show)
        .get("/agents/whitelist/add", scopes::AGENT_WHITELIST, whitelist::ask_add)
        .post("/agents/whitelist/add", scopes::AGENT_WHITELIST, whitelist::add)
        .get("/agents/whitelist/remove", scopes::AGENT_WHITELIST, whitelist::ask_remove)
        .post("/agents/whitelist/remove", scopes::AGENT_WHITELIST, whitelist::remove)
        .act("/agents/whitelist/overwrite", "/agents/whitelist", &actions::fleet::OVERWRITE)
}
