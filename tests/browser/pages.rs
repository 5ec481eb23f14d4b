//! Pages behind the sign-in: each is looked at with nothing in it and with something, by people with and without scripts.

use std::collections::BTreeSet;

use keylender::web::console::routes;

use crate::browser::Browser;
use crate::site::{NAMESPACE, Site};

/// A page of the table of routes, the address by which it is opened here, and its picture's name.
type Page = (&'static str, &'static str, &'static str);

/// `{…}` in an address stands for something of the site that has only one of it.
const PAGES: [Page; 121] = [
    ("/", "/", "overview"),
    ("/alarms/{alarm}/acknowledge", "/alarms/queues%20growing/acknowledge", "alarm-acknowledge"),
    ("/account", "/account", "account"),
    ("/namespaces", "/namespaces", "namespaces"),
    ("/namespaces/{namespace}", "/namespaces/taskcluster-foo", "namespace"),
    ("/namespaces/{namespace}/rotate", "/namespaces/taskcluster-foo/rotate", "namespace-rotate"),
    ("/namespaces/{namespace}/expire", "/namespaces/taskcluster-foo/expire", "namespace-expire"),
    ("/namespaces/{namespace}/finish", "/namespaces/taskcluster-foo/finish", "namespace-finish"),
    ("/namespaces/{namespace}/revoke", "/namespaces/taskcluster-foo/revoke", "namespace-revoke"),
    ("/namespaces/{namespace}/hand-over", "/namespaces/taskcluster-foo/hand-over", "namespace-hand-over"),
    ("/namespaces/{namespace}/test", "/namespaces/taskcluster-foo/test", "namespace-test"),
    (
        "/namespaces/{namespace}/extend",
        "/namespaces/taskcluster-foo/extend?expires=2027-01-01T00%3A00%3A00Z",
        "namespace-extend",
    ),
    ("/many/namespaces/rotate", "/many/namespaces/rotate?name=taskcluster-foo", "namespaces-rotate"),
    ("/many/namespaces/expire", "/many/namespaces/expire?name=taskcluster-foo", "namespaces-expire"),
    ("/leases", "/leases", "leases"),
    ("/leases/revoke", "/leases/revoke?prefix=taskcluster-", "leases-revoke"),
    ("/queues", "/queues", "queues"),
    ("/queues/{queue}", "/queues/queue%2Ftaskcluster-foo%2Fbuilds", "queue"),
    ("/queues/{queue}/purge", "/queues/queue%2Ftaskcluster-foo%2Fbuilds/purge", "queue-purge"),
    ("/queues/{queue}/delete", "/queues/queue%2Ftaskcluster-foo%2Fbuilds/delete", "queue-delete"),
    ("/queues/{queue}/archive", "/queues/queue%2Ftaskcluster-foo%2Fbuilds/archive", "queue-archive"),
    ("/archives", "/archives", "archives"),
    ("/archives/{archive}", "/archives/{archive}", "archive"),
    ("/archives/{archive}/replay", "/archives/{archive}/replay?to=&rate=500", "archive-replay"),
    ("/archives/{archive}/delete", "/archives/{archive}/delete", "archive-delete"),
    ("/connections", "/connections", "connections"),
    (
        "/connections/{connection}/close",
        "/connections/127.0.0.1%3A1%20-%3E%20127.0.0.1%3A5672/close",
        "connection-close",
    ),
    ("/exchanges", "/exchanges", "exchanges"),
    ("/exchanges/{exchange}", "/exchanges/exchange%2Ftaskcluster-foo%2Fevents", "exchange"),
    ("/queue-rules", "/queue-rules", "queue-rules"),
    ("/queue-rules/{pattern}/remove", "/queue-rules/queue%2Ftaskcluster-foo%2F%2A/remove", "queue-rule-remove"),
    ("/broker", "/broker", "broker"),
    ("/broker/rotate", "/broker/rotate", "broker-rotate"),
    ("/relay", "/relay", "relay"),
    ("/relay/plan", "/relay/plan", "relay-plan"),
    ("/relay/apply", "/relay/apply", "relay-apply"),
    ("/relay/accounts/{account}", "/relay/accounts/scheduler", "relay-account"),
    ("/relay/accounts/{account}/reach", "/relay/accounts/scheduler/reach", "relay-account-reach"),
    ("/relay/accounts/{account}/hand-over", "/relay/accounts/scheduler/hand-over", "relay-account-hand-over"),
    ("/relay/cluster", "/relay/cluster", "relay-cluster"),
    ("/agents/whitelist", "/agents/whitelist?queueloc=linux.web1.x", "whitelist"),
    ("/agents/whitelist/add", "/agents/whitelist/add?line=re%3Alinux%5C..%2A", "whitelist-add"),
    ("/agents/whitelist/remove", "/agents/whitelist/remove?line=linux.web1.x", "whitelist-remove"),
    ("/agents", "/agents", "agents"),
    ("/agents/known/{queueloc}", "/agents/known/{queueloc}", "agent"),
    ("/agents/pending", "/agents/pending", "agents-pending"),
    (
        "/agents/pending/{queueloc}/approve",
        "/agents/pending/linux.web9.example.net.dn0j5d3ugjk0/approve",
        "agent-approve",
    ),
    (
        "/agents/pending/{queueloc}/refuse",
        "/agents/pending/windows.%3Cb%3Enot%20bold%3C%2Fb%3E.dn0j5d3ugjk0/refuse",
        "agent-refuse",
    ),
    ("/agents/rules", "/agents/rules", "agents-rules"),
    ("/agents/rules/add", "/agents/rules/add?rule=approve+zone+*.example.net&until=", "agents-rule-add"),
    (
        "/agents/rules/{rule}/remove",
        "/agents/rules/approve%20network%2010.0.0.0%2F8%20zone%20%2A.example.org/remove",
        "agents-rule-remove",
    ),
    ("/agents/enrol", "/agents/enrol", "agent-enrol"),
    ("/agents/hosts/{host}/token", "/agents/hosts/web7.example.net/token", "agent-token-plan"),
    ("/agents/hosts/{host}/revoke", "/agents/hosts/web1.example.net/revoke?queue=purge", "agent-revoke"),
    ("/agents/hosts/{host}/forget", "/agents/hosts/web2.example.net/forget", "agent-forget"),
    ("/agents/hosts/{host}/reach", "/agents/hosts/web1.example.net/reach", "agent-reach"),
    ("/agents/gone", "/agents/gone", "agents-gone"),
    ("/agents/gone/remove", "/agents/gone/remove", "agents-gone-remove"),
    ("/agents/whitelist/overwrite", "/agents/whitelist/overwrite", "whitelist-overwrite"),
    ("/relay/investigators", "/relay/investigators", "relay-investigators"),
    ("/relay/profile", "/relay/profile", "relay-profile"),
    ("/relay/parts/{part}", "/relay/parts/scheduler", "relay-part"),
    ("/relay/users", "/relay/users", "relay-users"),
    ("/relay/users/{user}/adopt", "/relay/users/stranger/adopt", "relay-user-adopt"),
    ("/relay/users/{user}/release", "/relay/users/adopted/release", "relay-user-release"),
    ("/relay/accounts/{account}/rotate", "/relay/accounts/scheduler/rotate?close=1", "relay-account-rotate"),
    ("/proxy", "/proxy", "proxy"),
    ("/proxy/sessions/{session}", "/proxy/sessions/{proxy}", "proxy-session"),
    ("/proxy/sessions/{session}/end", "/proxy/sessions/{proxy}/end", "proxy-session-end"),
    (
        "/proxy/explain",
        "/proxy/explain?scopes=project:ours:symbols:read%20project:ours:symbols:*%20a",
        "proxy-explained",
    ),
    ("/proxy/upstreams", "/proxy/upstreams", "proxy-upstreams"),
    ("/services", "/services", "services"),
    ("/services/{set}", "/services/{set}", "services-set"),
    ("/services/{set}/stop", "/services/{set}/stop", "services-stop"),
    ("/hosts", "/hosts", "hosts"),
    ("/hosts/{address}", "/hosts/127.0.0.1", "host"),
    ("/hosts/{address}/block", "/hosts/127.0.0.1/block", "host-block"),
    ("/hosts/{address}/pin", "/hosts/127.0.0.1/pin", "host-pin"),
    ("/hosts/explain", "/hosts/explain?address=127.0.0.1", "host-explained"),
    ("/host-rules", "/host-rules", "host-rules"),
    ("/host-rules/{rule}/remove", "/host-rules/block%20192.0.2.9%2F32/remove", "host-rule-remove"),
    ("/loops", "/loops", "loops"),
    ("/loops/{loop}", "/loops/rotate", "loop"),
    ("/loops/{loop}/run", "/loops/rotate/run", "loop-run"),
    ("/loops/{loop}/pause", "/loops/rotate/pause", "loop-pause"),
    ("/loops/{loop}/resume", "/loops/rotate/resume", "loop-resume"),
    ("/notices", "/notices", "notices"),
    ("/notices/{notice}", "/notices/{notice}", "notice"),
    ("/backups", "/backups", "backups"),
    ("/backups/{backup}", "/backups/{backup}", "backup"),
    ("/backups/{backup}/download", "/backups/{backup}/download", "backup-download"),
    ("/audit", "/audit", "audit"),
    ("/audit/{seq}", "/audit/1", "audit-entry"),
    ("/audit/secret", "/audit/secret", "audit-secret"),
    ("/held", "/held", "held"),
    ("/settings", "/settings", "settings"),
    ("/api", "/api", "api"),
    ("/api/methods/{method}", "/api/methods/keylender_checkHost", "api-method"),
    ("/access", "/access", "access"),
    ("/access/sessions", "/access/sessions", "sessions"),
    ("/access/sessions/{session}/revoke", "/access/sessions/{session}/revoke", "session-revoke"),
    ("/access/clients", "/access/clients", "clients"),
    ("/access/clients/{client}", "/access/clients/project%2Fbuilds", "client"),
    ("/access/new-client", "/access/new-client", "client-new"),
    ("/access/clients/{client}/change", "/access/clients/project%2Fbuilds/change", "client-change"),
    ("/access/clients/{client}/reset", "/access/clients/project%2Fbuilds/reset", "client-reset"),
    ("/access/clients/{client}/disable", "/access/clients/project%2Fbuilds/disable", "client-disable"),
    ("/access/clients/{client}/delete", "/access/clients/project%2Fbuilds/delete", "client-delete"),
    ("/access/roles", "/access/roles", "roles"),
    ("/access/roles/{role}", "/access/roles/project%2Fbuilds%2F%2A", "role"),
    ("/access/new-role", "/access/new-role", "role-new"),
    ("/access/roles/{role}/change", "/access/roles/project%2Fbuilds%2F%2A/change", "role-change"),
    ("/access/roles/{role}/delete", "/access/roles/project%2Fbuilds%2F%2A/delete", "role-delete"),
    ("/access/test", "/access/test?who=ada&scope=keylender%3Aaudit%3Aread", "tester"),
    ("/access/new", "/access/new", "operator-new"),
    ("/access/operators/{operator}", "/access/operators/ada", "operator"),
    ("/access/operators/{operator}/reset", "/access/operators/ada/reset", "operator-reset"),
    ("/access/operators/{operator}/disable", "/access/operators/ada/disable", "operator-disable"),
    ("/access/operators/{operator}/enable", "/access/operators/ada/enable", "operator-enable"),
    ("/access/operators/{operator}/delete", "/access/operators/ada/delete", "operator-delete"),
    ("/access/operators/{operator}/{role}", "/access/operators/ada/viewer", "operator-role"),
];
/// Routes that are no pages of their own, each with why.
const OTHERS: [&str; 10] = [
    "/live",                           // a stream
    "/test-claim",                     // leads to the plan of a claim for a test
    "/login",                          // has a story of its own
    "/login/oidc",                     // leads to another site: tests/it
    "/login/oidc/back",                // only for who comes from there: tests/it
    "/setup",                          // that, too
    "/settings/support",               // a file
    "/loops/{loop}/release",           // only there while a brake holds: tests/it
    "/access/clients/{client}/enable", // only there while a client is disabled: tests/it
    "/notices/{notice}/drop",          // only there while a notice waits: tests/it
];

#[test]
fn every_page_of_the_console_is_looked_at() {
    let known: BTreeSet<&str> = PAGES.iter().map(|(route, ..)| *route).chain(OTHERS).collect();
    let routed: BTreeSet<&str> =
        routes().iter().filter(|route| route.method == "GET").map(|route| route.path).collect();
    assert_eq!(known, routed, "on the left what is looked at, on the right the table of routes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_with_something_in_it_can_be_read_by_everybody() {
    let (site, browser) = (Site::busy().await, Browser::start().await);
    browser.take_session(&site).await;
    let mut found = Vec::new();
    for (_, address, name) in PAGES {
        browser.open(&site.page(address).await).await;
        assert!(!browser.text("h1").await.is_empty(), "{name}");
        found.extend(browser.found_on(name).await);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_with_nothing_in_it_says_what_to_do() {
    let (site, browser) = (Site::start().await, Browser::without_scripts().await);
    browser.take_session(&site).await;
    for name in [
        "",
        "namespaces",
        "queues",
        "queue-rules",
        "archives",
        "relay",
        "agents",
        "proxy",
        "services",
        "hosts",
        "host-rules",
        "notices",
        "backups",
        "leases",
        "held",
    ] {
        browser.open(&site.url(&format!("/{name}"))).await;
        browser.check(&format!("empty-{}", if name.is_empty() { "overview" } else { name })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_admin_is_made_by_the_link_and_signs_in_with_a_password() {
    let (site, browser) = (Site::start().await, Browser::start().await);
    browser.open(&site.setup_link().await).await;
    browser.check("setup").await;
    let password = "correct horse battery staple";
    for (field, text) in [("#name", "ada"), ("#password", password), ("#again", password)] {
        browser.fill(field, text).await;
    }
    browser.press("main button.primary").await;
    assert!(browser.text(".who").await.contains("ada"));
    browser.press(".who button").await;
    browser.open(&site.url("/namespaces")).await;
    browser.check("login").await;
    browser.fill("#name", "ada").await;
    browser.fill("#password", "a wrong one, surely").await;
    browser.press("main button.primary").await;
    browser.check("login-wrong").await;
    browser.fill("#password", password).await;
    browser.press("main button.primary").await;
    assert_eq!(browser.text("h1").await, "Namespaces", "one goes on to where one wanted");
    browser.open(&site.url("/account")).await;
    browser.press("form[action$='/account/second'] button").await;
    browser.check("account-second").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_rotated_from_the_list_with_a_plan_and_a_receipt_with_and_without_scripts() {
    for browser in [Browser::start().await, Browser::without_scripts().await] {
        let site = Site::busy().await;
        browser.take_session(&site).await;
        browser.open(&site.url("/namespaces")).await;
        browser.press(&format!("main a[href$='/namespaces/{NAMESPACE}']")).await;
        browser.press("main a[href$='/rotate']").await;
        browser.press("main form button.primary").await;
        assert!(browser.text(".receipt").await.starts_with("Done: namespace.rotate"));
        browser.check("namespace-rotated").await;
        browser.press(".receipt a").await;
        assert!(browser.text("main").await.contains(NAMESPACE));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overview_that_somebody_looks_at_becomes_fresh_by_itself() {
    let (site, browser) = (Site::busy().await, Browser::start().await);
    browser.take_session(&site).await;
    browser.open(&site.url("/")).await;
    assert!(!browser.text("main").await.contains("Loop rotate"));
    site.operate("POST", "/loops/rotate/pause", None).await;
    // Sooner than it would ask by itself: by the stream.
    let shown = async { while !browser.text("main").await.contains("Loop rotate: paused") {} };
    tokio::time::timeout(std::time::Duration::from_secs(10), shown).await.expect("news in time");
}
