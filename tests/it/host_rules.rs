//! What operators see of machines, hear of them, and decide about them.

use std::time::Duration;

use hickory_resolver::proto::rr;
use keylender::app::settings::{Credentials, Settings};
use keylender::base::MailAddress;
use keylender::domain::operators::Role;
use keylender::web::peer::TrustProxy;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::authority::ScriptedAuthority;
use crate::console::Browser;
use crate::dns::{DnsServer, reverse};
use crate::hosts::{HOST, NAME, ask_from, lent, set_up};
use crate::sign::Client;
use crate::wire::{Ask, Talk};
use crate::world::{World, segment};

async fn world(dns: &DnsServer) -> World {
    with(dns, |_| {}).await
}

async fn with(dns: &DnsServer, change: impl FnOnce(&mut Settings)) -> World {
    World::with(|settings| {
        set_up(settings, &[dns]);
        settings.hosts.contacts = vec![MailAddress::parse("ops@example.org").unwrap()];
        change(settings);
    })
    .await
}

async fn rule(world: &World, method: &str, rule: &str) -> Value {
    world.operate(method, &format!("/host-rules/{}", segment(rule)), (method == "PUT").then(|| json!({}))).await
}

#[tokio::test]
async fn machines_are_remembered_with_what_dns_said_of_them() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let mut world = world(&dns).await;
    for _ in 0..3 {
        lent(&ask_from(&world, HOST).await);
    }
    world.clock.advance(Duration::from_secs(3600));
    dns.forget_host(HOST, NAME);
    assert_eq!(ask_from(&world, HOST).await.status, 403);
    assert_eq!(ask_from(&world, "203.0.113.1").await.status, 403);
    world.restart().await;

    let list = world.operate("GET", "/hosts", None).await;
    let [known, stranger] = &list["hosts"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&known["address"], &known["name"]), (&json!(HOST), &json!(NAME)), "the last name that held");
    assert_eq!((&known["verdict"], &known["lent"], &known["refused"]), (&json!("no-name"), &json!(3), &json!(1)));
    assert_eq!(known["firstSeen"], "2026-11-20T12:00:00.000Z");
    assert_eq!(known["lastSeen"], "2026-11-20T13:00:00.000Z");
    assert_eq!((&stranger["verdict"], &stranger["name"]), (&json!("not-allowed"), &Value::Null));
    let shown = world.operate("GET", &format!("/hosts/{HOST}"), None).await;
    assert_eq!(shown["answers"][0]["question"], json!({"name": "7.2.0.192.in-addr.arpa", "kind": "PTR"}));
    assert_eq!(shown["answers"][0]["status"], "noSuchName");
    let verified = world.audited("host.verify").await;
    assert_eq!(verified.len(), 1, "only what is new is told in full");
    assert_eq!(verified[0]["details"]["answers"][0]["records"][0]["data"]["ptr"], NAME);
}

#[tokio::test]
async fn a_refusal_that_repeats_itself_is_counted_and_audited_once_an_hour() {
    let dns = DnsServer::start().await;
    let world = world(&dns).await;
    for (minutes, refusals) in [(0, 1), (20, 1), (20, 1), (20, 2)] {
        world.clock.advance(Duration::from_secs(minutes * 60));
        assert_eq!(ask_from(&world, HOST).await.status, 403);
        assert_eq!(world.audited("host.refuse").await.len(), refusals, "{minutes}");
    }
    let shown = world.operate("GET", &format!("/hosts/{HOST}"), None).await;
    assert_eq!(shown["refused"], 4);
}

#[tokio::test]
async fn people_hear_of_a_name_that_moves_and_of_an_address_that_is_renamed() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).host("2001:db8::7", NAME);
    let world = world(&dns).await;
    let notices = |kind: &'static str| {
        let posted = world.audited("notice.post");
        async move { posted.await.iter().filter(|entry| entry["details"]["kind"] == kind).count() }
    };
    lent(&ask_from(&world, HOST).await);
    lent(&ask_from(&world, "2001:db8::7").await);
    assert_eq!(world.audited("notice.post").await.len(), 0, "a host may have one address in each family");

    dns.forget_host(HOST, NAME).host("192.0.2.8", NAME).address(NAME, "2001:db8::7");
    lent(&ask_from(&world, "192.0.2.8").await);
    assert_eq!((notices("host.moved").await, notices("host.renamed").await), (1, 0));
    let letter = &world.audited("notice.post").await[0];
    assert_eq!(letter["details"]["to"], json!(["ops@example.org"]), "{letter}");

    world.clock.advance(Duration::from_secs(2 * 3600));
    dns.forget_host("192.0.2.8", NAME).host("192.0.2.8", "other.example.org");
    lent(&ask_from(&world, "192.0.2.8").await);
    assert_eq!((notices("host.moved").await, notices("host.renamed").await), (1, 1));

    // It moves where it was before, and back: each time that is a move.
    for (from, to) in [("192.0.2.20", "192.0.2.21"), ("192.0.2.21", "192.0.2.20"), ("192.0.2.20", "192.0.2.21")] {
        world.clock.advance(Duration::from_secs(2 * 3600));
        let before = notices("host.moved").await;
        dns.forget("wanderer.example.org").forget(&reverse(from)).host(from, "wanderer.example.org");
        lent(&ask_from(&world, from).await);
        dns.forget_host(from, "wanderer.example.org").host(to, "wanderer.example.org");
        lent(&ask_from(&world, to).await);
        assert_eq!(notices("host.moved").await, before + 1, "{from} {to}");
    }

    // A record that flips all the time is one matter in an hour.
    for name in ["x.example.org", "y.example.org", "z.example.org"] {
        world.clock.advance(Duration::from_secs(301));
        dns.forget(&reverse("192.0.2.8")).host("192.0.2.8", name);
        lent(&ask_from(&world, "192.0.2.8").await);
    }
    assert_eq!(notices("host.renamed").await, 2);
}

#[tokio::test]
async fn what_an_operator_blocks_gets_nothing_whatever_dns_says() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let world = world(&dns).await;
    lent(&ask_from(&world, HOST).await);
    dns.asked();
    for blocked in ["block 192.0.2.7/32", "block 192.0.0.0/16", "block *.example.org", "block builder-1.example.org"] {
        rule(&world, "PUT", blocked).await;
        assert_eq!(ask_from(&world, HOST).await.error(), (403, "IPNotAllowed".to_owned()), "{blocked}");
        let written = world.operate("GET", "/host-rules", None).await["rules"][0]["rule"].as_str().unwrap().to_owned();
        rule(&world, "DELETE", &written).await;
        lent(&ask_from(&world, HOST).await);
    }
    assert_eq!(dns.asked(), Vec::<String>::new(), "the verdict of DNS was known all the time");
    assert_eq!((world.audited("host.rule").await.len(), world.audited("host.unrule").await.len()), (4, 4));
}

#[tokio::test]
async fn a_pinned_pair_is_the_only_one_of_its_name_and_of_its_address() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).host("192.0.2.8", "builder-2.example.org");
    let world = world(&dns).await;
    rule(&world, "PUT", "pin builder-1.example.org 192.0.2.9/32").await;
    assert_eq!(ask_from(&world, HOST).await.status, 403, "the name from elsewhere");
    rule(&world, "PUT", "pin admin.example.org 192.0.2.8/32").await;
    assert_eq!(ask_from(&world, "192.0.2.8").await.status, 403, "the address with another name");
    let shown = world.operate("GET", &format!("/hosts/{HOST}/check"), None).await;
    assert_eq!((&shown["verdict"], &shown["name"]), (&json!("pinned"), &json!(NAME)), "{shown}");
    rule(&world, "DELETE", "pin builder-1.example.org 192.0.2.9/32").await;
    rule(&world, "PUT", "pin builder-1.example.org 192.0.2.7/32").await;
    lent(&ask_from(&world, HOST).await);
}

#[tokio::test]
async fn who_may_explain_is_told_what_the_asker_would_get_and_nothing_is_lent() {
    let dns = DnsServer::start().await;
    dns.ptr(HOST, NAME);
    let world = world(&dns).await;
    let explain = Ask::get("/v1/credentials?explain=1").with("X-Forwarded-For", HOST);
    assert_eq!(world.ask(&explain).await.error(), (403, "InsufficientScopes".to_owned()), "nobody in particular");
    let other = world.client("other", &["keylender:host:list"]).await;
    assert_eq!(world.ask_as(&other, &explain).await.status, 403);
    let operator = world.client("operator", &["keylender:host:explain"]).await;
    let answer = world.ask_as(&operator, &explain).await.json();
    assert_eq!((&answer["address"], &answer["verdict"]), (&json!(HOST), &json!("no-address")), "{answer}");
    assert_eq!(answer["why"], "its name builder-1.example.org has no address of this family");
    assert_eq!(answer["answers"].as_array().unwrap().len(), 2);

    dns.address(NAME, HOST);
    let answer = world.ask_as(&operator, &explain).await.json();
    assert_eq!(answer["scope"], "assume:project:host:org.example.builder-1", "{answer}");
    assert_eq!(world.audited("host.lend").await, Vec::<Value>::new());
    let odd = Ask::get("/v1/credentials?explain=2").with("X-Forwarded-For", HOST);
    assert_eq!(world.ask_as(&operator, &odd).await.status, 400);
}

#[tokio::test]
async fn the_console_shows_who_asked_and_why_they_were_refused_to_who_signed_in() {
    let dns = DnsServer::start().await;
    let hostile = rr::Name::from_labels([&b"<b>"[..], b"example"]).unwrap();
    dns.add(&reverse(HOST), rr::RData::PTR(rr::rdata::PTR(hostile))).host("192.0.2.8", NAME);
    let world = world(&dns).await;
    ask_from(&world, HOST).await;
    ask_from(&world, "192.0.2.8").await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let list = viewer.get(&world, "/hosts").await;
    assert_eq!(list.status, 200);
    assert!(list.text().contains("invalid-name") && list.text().contains(NAME), "{}", list.text());
    let page = viewer.get(&world, &format!("/hosts/{HOST}")).await;
    assert!(page.text().contains("PTR 7.2.0.192.in-addr.arpa") && !page.text().contains("<b>"));
    assert_eq!(viewer.get(&world, "/hosts/192.0.2.99").await.status, 404);
    for path in ["/hosts".to_owned(), format!("/hosts/{HOST}")] {
        assert_eq!(world.ask(&Ask::get(&path)).await.status, 303, "{path}");
    }
}

#[tokio::test]
async fn a_proxy_may_say_by_its_own_protocol_whose_connection_it_is() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).host("127.0.0.1", "proxy.example.org");
    let world = with(&dns, |settings| settings.listen.proxy_protocol = true).await;
    let request = Ask::get("/v1/credentials").bytes();
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x1f\x90\0\x50";
    for (header, name) in [
        (&b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 80\r\n"[..], "org.example.builder-1"),
        (binary, "org.example.builder-1"),
        (b"PROXY UNKNOWN\r\n", "org.example.proxy"),
    ] {
        let mut talk = Talk::connect(world.address()).await;
        talk.send(&[header, &request].concat()).await;
        assert_eq!(lent(&talk.answer("GET").await.unwrap()).0, format!("project/host/{name}"));
        talk.send(&request).await;
        assert_eq!(lent(&talk.answer("GET").await.unwrap()).0, format!("project/host/{name}"), "the whole connection");
    }
    // A header in pieces is waited for.
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    for byte in &binary[..20] {
        stream.write_all(&[*byte]).await.unwrap();
    }
    // Without a header there is nobody to talk to.
    let mut talk = Talk::connect(world.address()).await;
    talk.send(&request).await;
    assert_eq!(talk.end().await, b"");

    let untrusting = with(&dns, |settings| {
        settings.listen.proxy_protocol = true;
        settings.listen.trust_proxy = TrustProxy::Hops(vec!["10.0.0.0/8".parse().unwrap()].into());
    })
    .await;
    let mut talk = Talk::connect(untrusting.address()).await;
    talk.send(&[&b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 80\r\n"[..], &request].concat()).await;
    assert_eq!(talk.end().await, b"", "whoever is no proxy of ours speaks for nobody");
}

#[tokio::test]
async fn a_connection_whose_header_does_not_come_holds_up_no_stop() {
    let dns = DnsServer::start().await;
    let mut world = with(&dns, |settings| {
        settings.listen.proxy_protocol = true;
        settings.patience.head = Duration::from_secs(600);
    })
    .await;
    let silent = TcpStream::connect(world.address()).await.unwrap();
    let begun = TcpStream::connect(world.address()).await.unwrap();
    begun.writable().await.unwrap();
    assert_eq!(begun.try_write(b"PROXY TCP4 192").unwrap(), 14);
    // Asked over the control socket, which takes no header: both are accepted by now.
    world.operate("GET", "/hosts", None).await;
    world.stop().await;
    drop((silent, begun));
}

#[tokio::test]
async fn the_doctor_says_what_is_missing_for_machines() {
    let find = |findings: &Value, about: &str| {
        let found = findings["findings"].as_array().unwrap().iter().find(|finding| finding["about"] == about).cloned();
        found.map(|finding| {
            (finding["grade"].as_str().unwrap().to_owned(), finding["text"].as_str().unwrap().to_owned())
        })
    };
    let bare = World::start().await;
    let (grade, text) = find(&bare.operate("GET", "/doctor", None).await, "host credentials").unwrap();
    assert!(grade == "warning" && text.contains("TASKCLUSTER_SCOPE_BASE"), "{text}");

    let dns = DnsServer::start().await;
    let here = world(&dns).await.operate("GET", "/doctor", None).await;
    assert_eq!(find(&here, "host credentials").unwrap().0, "well");
    assert_eq!(find(&here, "dns").unwrap().0, "well");
    let far = with(&dns, |settings| settings.hosts.dns.servers = Some(vec!["192.0.2.53:53".parse().unwrap()])).await;
    let (grade, text) = find(&far.operate("GET", "/doctor", None).await, "dns").unwrap();
    assert!(grade == "warning" && text.contains("192.0.2.53"), "{text}");

    let all = json!(["assume:project:host:*", "auth:create-client:project/host/*"]);
    let half = json!(["assume:project:host:*", "auth:create-client:project/host/org.*"]);
    for (scopes, grade) in [(all, "well"), (half, "problem")] {
        let answer = json!({"status": "auth-success", "scheme": "hawk", "clientId": "project/hosts", "scopes": scopes});
        let authority = ScriptedAuthority::saying(answer).await;
        let world = with(&dns, |settings| authority.settle(settings)).await;
        assert_eq!(find(&world.operate("GET", "/doctor", None).await, "host scopes").unwrap().0, grade);
        let asked = authority.questions();
        assert!(asked[0].body["authorization"].as_str().unwrap().starts_with("Hawk id=\"project/hosts\""));
    }
    let refusing =
        ScriptedAuthority::saying(json!({"status": "auth-failed", "message": "Unauthorized: bad mac"})).await;
    let world = with(&dns, |settings| refusing.settle(settings)).await;
    let (grade, text) = find(&world.operate("GET", "/doctor", None).await, "host scopes").unwrap();
    assert!(grade == "problem" && text.contains("bad mac"), "{text}");
}

#[tokio::test]
async fn machines_that_ask_no_more_are_forgotten() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME).host("192.0.2.8", "builder-2.example.org");
    let world = world(&dns).await;
    lent(&ask_from(&world, HOST).await);
    world.clock.advance(Duration::from_secs(50 * 86_400));
    lent(&ask_from(&world, "192.0.2.8").await);
    world.clock.advance(Duration::from_secs(50 * 86_400));
    world.operate("POST", "/loops/hosts/run", None).await;
    let list = world.operate("GET", "/hosts", None).await;
    assert_eq!(list["hosts"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["hosts"][0]["address"], "192.0.2.8");
}

#[tokio::test]
async fn what_a_machine_gets_works_for_what_its_role_says_until_its_end() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let mut world = world(&dns).await;
    let issuer = world.client("project/hosts", &["assume:project:host:*", "auth:create-client:project/host/*"]).await;
    world.role("project:host:org.example.builder-1", &["pulse:namespace:taskcluster-builder-1"]).await;
    world.settings.credentials = Some(Credentials { client_id: issuer.id.clone(), access_token: issuer.token.clone() });
    world.restart().await;

    let answer = ask_from(&world, HOST).await.json();
    let machine = Client::lent(&answer["credentials"]);
    assert_eq!(world.claim(&machine, "taskcluster-builder-1", "{}").await.status, 200);
    assert_eq!(world.claim(&machine, "taskcluster-builder-2", "{}").await.error().1, "InsufficientScopes");
    let entry = world.audited("namespace.claim").await.remove(0);
    assert_eq!(entry["actor"], json!({"client": "project/host/org.example.builder-1"}));
    let mut other_name = machine.clone();
    other_name.id = "project/host/org.example.builder-2".parse().unwrap();
    assert_eq!(world.claim(&other_name, "taskcluster-builder-1", "{}").await.status, 401);
    world.clock.advance(Duration::from_secs(13 * 3600));
    assert_eq!(world.claim(&machine, "taskcluster-builder-1", "{}").await.status, 401);
}

#[tokio::test]
async fn a_scope_for_some_rules_is_not_one_for_others() {
    let dns = DnsServer::start().await;
    let world = world(&dns).await;
    let client = world.client("team", &["keylender:host:rule:block 10.1.*"]).await;
    for (rule, status) in [
        ("block 10.1.2.3/32", 200),
        ("block 10.1.0.0/16", 200),
        ("block 10.1.2.3/0", 400),
        ("block 10.1.2.3/8", 400),
        ("block 10.1.2.3", 400),
        ("block 10.2.0.0/16", 403),
        ("pin a.example 10.1.2.3/32", 403),
    ] {
        let ask = Ask::new("PUT", &format!("/api/keylender/v1/host-rules/{}", segment(rule)));
        let ask = ask.with("Authorization", &client.bearer()).with("Content-Type", "application/json").body("{}");
        assert_eq!(world.ask(&ask).await.status, status, "{rule}");
    }
    assert_eq!(world.operate("GET", "/host-rules", None).await["rules"].as_array().unwrap().len(), 2);
}
