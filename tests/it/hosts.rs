//! Machines that ask for credentials, and what DNS says of them.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use keylender::app::settings::{Credentials, Settings};
use keylender::base::Secret;
use keylender::proto::addresses::AddressList;
use keylender::proto::tempcred::{Certificate, derive_token};
use keylender::web::peer::TrustProxy;
use serde_json::{Value, json};

use crate::dns::{DnsServer, Mood, reverse};
use crate::wire::{Answer, Ask};
use crate::world::World;

pub const HOST: &str = "192.0.2.7";
pub const NAME: &str = "builder-1.example.org";
const TOKEN: &str = "a-permanent-access-token";

/// Settings that lend to hosts by the word of these servers. Tests speak for hosts through a trusted hop on loopback.
pub fn set_up(settings: &mut Settings, servers: &[&DnsServer]) {
    settings.credentials =
        Some(Credentials { client_id: "project/hosts".parse().unwrap(), access_token: Secret::new(TOKEN) });
    let hosts = &mut settings.hosts;
    hosts.scope_base = Some("assume:project:host:".into());
    hosts.client_id_base = Some("project/host/".into());
    hosts.expires = Some(Duration::from_secs(12 * 3600));
    hosts.allowed = Some(AddressList::parse("127.0.0.0/8 192.0.2.0/24 198.51.100.0/24 2001:db8::/32").unwrap());
    hosts.dns.servers = Some(servers.iter().map(|server| server.address).collect());
    hosts.dns.hosts_file = None;
    hosts.dns.timeout = Duration::from_millis(300);
    settings.listen.trust_proxy = TrustProxy::Hops(vec!["127.0.0.1/32".parse().unwrap()].into());
}

async fn world(dns: &DnsServer) -> World {
    World::with(|settings| set_up(settings, &[dns])).await
}

/// Asks as a host with this address.
pub async fn ask_from(world: &World, address: &str) -> Answer {
    world.ask(&Ask::get("/v1/credentials").with("X-Forwarded-For", address)).await
}

/// The client id and the one scope of what was lent.
pub fn lent(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let credentials = &answer.json()["credentials"];
    let certificate: Value = credentials["certificate"].as_str().unwrap().parse().unwrap();
    let client_id = credentials["clientId"].as_str().unwrap().to_owned();
    let read = Certificate::read(&certificate).unwrap();
    read.check_signature(&client_id, &Secret::new(TOKEN)).unwrap();
    let token = derive_token(&Secret::new(TOKEN), &read.seed);
    assert_eq!(token.expose(), credentials["accessToken"].as_str().unwrap());
    let [scope] = &read.scopes[..] else { panic!("{:?}", read.scopes) };
    (client_id, scope.to_string())
}

/// Every refusal is the same to the machine; the audit log knows why.
async fn assert_refused(world: &World, address: &str, cause: &str) {
    let answer = ask_from(world, address).await;
    assert_eq!(answer.error(), (403, "IPNotAllowed".to_owned()), "{cause}");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Remote IP not allowed\n\n---"), "{message}");
    let shown = world.operate("GET", &format!("/hosts/{address}"), None).await;
    assert_eq!(shown["verdict"], cause, "{shown}");
    let refusals = world.audited("host.refuse").await;
    let refusal = refusals.iter().rfind(|entry| entry["object"] == address).expect("it was audited");
    assert_eq!((&refusal["details"]["cause"], &refusal["outcome"]), (&json!(cause), &json!("refused")), "{refusal}");
}

#[tokio::test]
async fn a_machine_is_known_by_its_name_in_both_families() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).host("2001:db8::7", "six.example.org");
    let world = world(&dns).await;

    let (client_id, scope) = lent(&ask_from(&world, HOST).await);
    assert_eq!(
        (client_id.as_str(), scope.as_str()),
        ("project/host/org.example.builder-1", "assume:project:host:org.example.builder-1")
    );
    // Another spelling of the same address (ip2name-11).
    assert_eq!(lent(&ask_from(&world, "2001:DB8:0:0:0:0:0:7").await).0, "project/host/org.example.six");

    let entry = world.audited("host.lend").await.remove(0);
    assert_eq!((&entry["object"], &entry["actor"]["host"]), (&json!(NAME), &json!(NAME)), "{entry}");
    assert_eq!(entry["details"]["address"], HOST);
    assert_eq!(entry["details"]["scope"], scope);
    assert_eq!(entry["details"]["expiry"], "2026-11-21T00:00:00.000Z");
    assert_eq!(entry["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_host_has_one_identity_however_dns_writes_its_name() {
    let dns = DnsServer::start().await;
    dns.ptr(HOST, "Builder-1.EXAMPLE.org.").address(NAME, HOST);
    let world = world(&dns).await;
    assert_eq!(lent(&ask_from(&world, HOST).await).0, "project/host/org.example.builder-1");
}

#[tokio::test]
async fn whatever_dns_says_wrong_is_refused_alike_and_understood_by_operators() {
    let dns = DnsServer::start().await;
    let nth = |n: u8| format!("192.0.2.{n}");
    // One address for each way to be wrong.
    dns.address("alone.example", &nth(1));
    dns.host(&nth(2), "a.example").ptr(&nth(2), "b.example").address("b.example", &nth(2));
    dns.host(&nth(3), "two.example").address("two.example", "192.0.2.99");
    dns.ptr(&nth(4), "other.example").address("other.example", "192.0.2.98");
    dns.host(&nth(5), "*.example");
    dns.ptr(&nth(6), ".");
    dns.ptr(&nth(7), "nowhere.example");
    dns.ptr(&nth(8), "six.example").address("six.example", "2001:db8::8");
    dns.ptr(&nth(9), "round.example").alias("round.example", "and.example").alias("and.example", "round.example");
    dns.host(&nth(10), "under_score.example");
    dns.ptr(&nth(11), &format!("{}.example", ["a"; 100].join("."))).mood(&reverse(&nth(12)), Mood::ServFail);
    dns.host(&nth(13), "refused.example").mood("refused.example", Mood::Refused);
    dns.mood(&reverse(&nth(14)), Mood::Silent);
    let long = format!("{0}.{0}.{0}.example", "a".repeat(63));
    dns.host(&nth(15), &long);
    let world = World::with(|settings| {
        set_up(settings, &[&dns]);
        settings.hosts.client_id_base = Some(format!("project/{}/", "x".repeat(100)));
    })
    .await;
    for (n, cause) in [
        (1, "no-name"),
        (2, "several-names"),
        (3, "several-addresses"),
        (4, "other-address"),
        (5, "invalid-name"),
        (6, "invalid-name"),
        (7, "no-address"),
        (8, "no-address"),
        (9, "aliases"),
        (10, "invalid-name"),
        (11, "no-address"),
        (12, "unanswered"),
        (13, "unanswered"),
        (14, "unanswered"),
        (15, "too-long"),
    ] {
        assert_refused(&world, &nth(n), cause).await;
    }
    assert_eq!(world.audited("host.lend").await, Vec::<Value>::new());
}

#[tokio::test]
async fn aliases_are_followed_in_both_trees_whoever_follows_them() {
    for follows in [true, false] {
        let dns = DnsServer::start().await;
        // RFC 2317: the tree of a network smaller than a byte lies with its owner.
        dns.alias(&reverse(HOST), "7.0-25.2.0.192.in-addr.arpa");
        dns.add(
            "7.0-25.2.0.192.in-addr.arpa",
            hickory_resolver::proto::rr::RData::PTR(hickory_resolver::proto::rr::rdata::PTR(
                format!("{NAME}.").parse().unwrap(),
            )),
        );
        dns.alias(NAME, "rack-4.example.net").address("rack-4.example.net", HOST);
        if !follows {
            dns.does_not_follow();
        }
        let world = world(&dns).await;
        assert_eq!(lent(&ask_from(&world, HOST).await).0, "project/host/org.example.builder-1");
    }
}

#[tokio::test]
async fn a_chain_of_aliases_has_an_end() {
    for follows in [true, false] {
        let dns = DnsServer::start().await;
        dns.ptr(HOST, "n0.example");
        for n in 0..12 {
            dns.alias(&format!("n{n}.example"), &format!("n{}.example", n + 1));
        }
        dns.address("n12.example", HOST);
        if !follows {
            dns.does_not_follow();
        }
        let world = world(&dns).await;
        assert_refused(&world, HOST, "aliases").await;
    }
}

#[tokio::test]
async fn another_server_is_asked_when_one_fails_or_is_silent() {
    for mood in [Mood::ServFail, Mood::Refused, Mood::Silent] {
        let (bad, good) = (DnsServer::start().await, DnsServer::start().await);
        bad.mood(&reverse(HOST), mood).mood(NAME, mood);
        good.host(HOST, NAME);
        let world = World::with(|settings| set_up(settings, &[&bad, &good])).await;
        lent(&ask_from(&world, HOST).await);
        assert!(!bad.asked().is_empty() && !good.asked().is_empty());
        // A machine that makes the first server fail does not choose the server that judges the others.
        bad.host("192.0.2.8", "builder-2.example.org");
        lent(&ask_from(&world, "192.0.2.8").await);
        assert_eq!((bad.asked().len(), good.asked().len()), (2, 0), "{mood:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_short_is_asked_again_over_tcp() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).mood(&reverse(HOST), Mood::Truncated);
    let world = world(&dns).await;
    lent(&ask_from(&world, HOST).await);
    let asked: Vec<String> = dns.asked().into_iter().filter(|asked| asked.contains(" PTR ")).collect();
    assert_eq!(asked, ["UDP PTR 7.2.0.192.in-addr.arpa", "TCP PTR 7.2.0.192.in-addr.arpa"]);
}

#[tokio::test]
async fn a_poisoned_server_is_outvoted_or_stops_everything() {
    let (good, bad) = (DnsServer::start().await, DnsServer::start().await);
    good.host(HOST, NAME);
    bad.host(HOST, "admin.example.org");
    let agree = |count: usize, servers: Vec<DnsServer>| {
        World::with(move |settings| {
            set_up(settings, &servers.iter().collect::<Vec<_>>());
            settings.hosts.agree = count;
        })
    };
    let world = agree(2, vec![good.clone(), bad.clone()]).await;
    assert_refused(&world, HOST, "disagreement").await;
    let world = agree(2, vec![good.clone(), bad.clone(), good.clone()]).await;
    assert_eq!(lent(&ask_from(&world, HOST).await).0, "project/host/org.example.builder-1");
    let world = agree(2, vec![good.clone(), bad.clone(), good.clone(), bad.clone()]).await;
    assert_refused(&world, HOST, "disagreement").await;
    // A silent one is no vote for anybody.
    let silent = DnsServer::start().await;
    silent.mood(&reverse(HOST), Mood::Silent);
    let world = agree(2, vec![good.clone(), silent.clone(), good.clone()]).await;
    lent(&ask_from(&world, HOST).await);
    let world = agree(2, vec![good.clone(), silent]).await;
    assert_refused(&world, HOST, "disagreement").await;
}

#[tokio::test]
async fn what_dns_said_is_believed_no_longer_than_it_allows() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).ttl(60);
    let world = world(&dns).await;
    for (pause_seconds, questions) in [(0, 2), (59, 0), (2, 2), (59, 0)] {
        world.clock.advance(Duration::from_secs(pause_seconds));
        lent(&ask_from(&world, HOST).await);
        assert_eq!(dns.asked().len(), questions, "{pause_seconds}");
    }
    // A day is longer than the setting allows, five minutes.
    dns.ttl(86_400);
    world.clock.advance(Duration::from_secs(60));
    for (pause_seconds, questions) in [(0, 2), (299, 0), (2, 2)] {
        world.clock.advance(Duration::from_secs(pause_seconds));
        lent(&ask_from(&world, HOST).await);
        assert_eq!(dns.asked().len(), questions, "{pause_seconds}");
    }
    // Nothing at all is remembered of records that say so.
    dns.ttl(0);
    world.clock.advance(Duration::from_secs(301));
    for _ in 0..3 {
        lent(&ask_from(&world, HOST).await);
        assert_eq!(dns.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_refusal_is_believed_briefly() {
    let dns = DnsServer::start().await;
    dns.ptr(HOST, NAME);
    let world = world(&dns).await;
    assert_refused(&world, HOST, "no-address").await;
    dns.address(NAME, HOST);
    assert_eq!(ask_from(&world, HOST).await.status, 403, "still remembered");
    world.clock.advance(Duration::from_secs(11));
    lent(&ask_from(&world, HOST).await);
}

#[tokio::test]
async fn whoever_comes_at_the_same_time_shares_one_look_up() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).ttl(0).mood(&reverse(HOST), Mood::Slow(Duration::from_millis(200)));
    let world = world(&dns).await;
    let answers = futures_util::future::join_all((0..20).map(|_| ask_from(&world, HOST))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(dns.asked().len() <= 4, "one look-up, or a second one for those that came late");
    let tokens: std::collections::BTreeSet<String> =
        answers.iter().map(|answer| answer.json()["credentials"]["accessToken"].to_string()).collect();
    assert_eq!(tokens.len(), 20, "credentials are never shared");
}

#[tokio::test]
async fn only_a_trusted_hop_speaks_for_others() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).host("127.0.0.1", "hop.example.org").host("198.51.100.1", "far.example.org");
    let untrusting = World::with(|settings| {
        set_up(settings, &[&dns]);
        settings.listen.trust_proxy = TrustProxy::Nobody;
    })
    .await;
    assert_eq!(lent(&ask_from(&untrusting, HOST).await).0, "project/host/org.example.hop");

    let trusting = World::with(|settings| {
        set_up(settings, &[&dns]);
        let hops = ["127.0.0.1/32", "203.0.113.0/24"].map(|hop| hop.parse().unwrap());
        settings.listen.trust_proxy = TrustProxy::Hops(hops.into());
    })
    .await;
    for (forwarded, expected) in [
        (HOST, "org.example.builder-1"),
        // What a client wrote itself stands left of what the hops wrote.
        ("192.0.2.99, 192.0.2.7", "org.example.builder-1"),
        ("192.0.2.99, 192.0.2.7, 203.0.113.5", "org.example.builder-1"),
        ("198.51.100.1, 192.0.2.7 ,203.0.113.5,203.0.113.6", "org.example.builder-1"),
        ("::ffff:192.0.2.7", "org.example.builder-1"),
    ] {
        assert_eq!(lent(&ask_from(&trusting, forwarded).await).0, format!("project/host/{expected}"), "{forwarded}");
    }
    for unreadable in ["unknown", "192.0.2.7:80, unknown", ""] {
        assert_eq!(ask_from(&trusting, unreadable).await.status, 403, "{unreadable:?}: not the hop's own credentials");
    }
    let plain = trusting.ask(&Ask::get("/v1/credentials")).await;
    assert_eq!(lent(&plain).0, "project/host/org.example.hop", "the hop itself asks");
}

#[tokio::test]
async fn an_ipv4_peer_on_a_socket_for_both_families_is_an_ipv4_one() {
    let dns = DnsServer::start().await;
    dns.host("127.0.0.1", "hop.example.org");
    let world = World::with(|settings| {
        set_up(settings, &[&dns]);
        settings.listen.bind = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    })
    .await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], world.address().port()));
    let answer = crate::wire::exchange(address, "GET", &Ask::get("/v1/credentials").bytes()).await;
    assert_eq!(lent(&answer).0, "project/host/org.example.hop");
}

#[tokio::test]
async fn an_address_outside_of_the_list_is_refused_before_dns_is_asked() {
    let dns = DnsServer::start().await;
    for address in
        ["203.0.113.7", "192.0.3.0", "192.0.1.255", "2001:db9::1", "192.0.2.0", "192.0.2.255", "2001:db8:ffff::1"]
    {
        dns.host(address, "any.example.org");
    }
    let world = world(&dns).await;
    for address in ["203.0.113.7", "192.0.3.0", "192.0.1.255", "2001:db9::1"] {
        assert_refused(&world, address, "not-allowed").await;
        assert_eq!(dns.asked(), Vec::<String>::new(), "{address}");
    }
    // The edges of the networks are inside.
    for address in ["192.0.2.0", "192.0.2.255", "2001:db8:ffff::1"] {
        ask_from(&world, address).await;
        assert_ne!(dns.asked(), Vec::<String>::new(), "{address}");
    }
}

#[tokio::test]
async fn a_machine_that_asks_too_often_is_told_when_to_come_back() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).host("192.0.2.8", "builder-2.example.org");
    let world = World::with(|settings| {
        set_up(settings, &[&dns]);
        settings.hosts.per_minute = 3;
    })
    .await;
    for _ in 0..3 {
        lent(&ask_from(&world, HOST).await);
    }
    let answer = ask_from(&world, HOST).await;
    assert_eq!(answer.error(), (429, "TooManyRequests".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("20"));
    lent(&ask_from(&world, "192.0.2.8").await);
    world.clock.advance(Duration::from_secs(20));
    lent(&ask_from(&world, HOST).await);
}

#[tokio::test]
async fn without_its_settings_it_lends_nothing_and_says_so_to_the_operator() {
    let world = World::start().await;
    let answer = world.ask(&Ask::get("/v1/credentials")).await;
    assert_eq!(answer.error(), (503, "ServiceUnavailable".to_owned()));
    assert!(!answer.text().contains("TASKCLUSTER"), "the machine need not know what is missing");
    let shown = world.operate("GET", "/hosts/127.0.0.1/check", None).await;
    assert_eq!(shown["missingSettings"].as_array().unwrap().len(), 6, "{shown}");
}
