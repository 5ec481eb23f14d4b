//! Enrolment: a host asks, and its agent has an account of its own.

use std::process::Command;
use std::time::Duration;

use keylender::base::Kind;
use keylender::ports::broker::Users;
use serde_json::{Value, json};

use super::heartbeats::counted;
use super::{Fleet, WEB, WEB_ADDRESS, account, heartbeat, vhost};
use crate::relay_rotation::try_to;
use crate::wire::Ask;

const PATH: &str = "/api/keylender/v1/agents/enrol";

/// The text of a file of an answer.
fn file<'e>(enrolled: &'e Value, path: &str) -> &'e str {
    let files = enrolled["files"].as_array().unwrap().iter();
    let found = files.clone().find(|file| file["path"] == path);
    found.unwrap_or_else(|| panic!("{path} is not in {:?}", files.collect::<Vec<_>>()))["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_host_gets_in_one_answer_what_its_agent_needs() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    let (queueloc, password) = (enrolled["queueloc"].as_str().unwrap(), enrolled["password"].as_str().unwrap());
    assert_eq!((&enrolled["host"], &enrolled["username"]), (&json!(WEB), &json!("agent-web1.example.net")));
    assert_eq!(enrolled["expires"], "2026-12-20T12:00:00.000Z");
    let id = file(&enrolled, "/var/lib/mig/.migagtid");
    assert_eq!(queueloc, format!("linux.{id}"));
    assert!(id.len() >= 80 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let settings = file(&enrolled, "/etc/mig/mig-agent.cfg");
    let relay = format!("amqp://agent-web1.example.net:{password}@relay.example.net:5672/mig");
    assert!(settings.contains(&relay), "{settings}");

    assert!(fleet.works(&enrolled));
    let permissions = fleet.world.broker.permissions().await.unwrap();
    let own = permissions.iter().find(|each| each.user == "agent-web1.example.net").unwrap();
    let queue = format!("mig\\.agt\\.linux\\.{id}");
    assert_eq!(own.vhost, "mig");
    assert_eq!(own.access.configure, format!("^{queue}$"));
    assert_eq!(own.access.write, format!("^(toschedulers|{queue})$"));
    assert_eq!(own.access.read, format!("^(toagents|{queue})$"));
    let checked = fleet.world.operate("GET", &format!("/agents/whitelist/check?queueloc={queueloc}"), None).await;
    assert_eq!(checked["line"], queueloc);
    let shown = fleet.world.operate("GET", &format!("/agents/known/{queueloc}"), None).await;
    assert_eq!((&shown["state"], &shown["account"]["byToken"]), (&json!("unheard"), &json!(false)));
    assert_eq!(shown["about"]["events"][0]["kind"], "enrolled");
    let lends = fleet.world.audited("agent.lend").await;
    assert_eq!((&lends[0]["object"], &lends[0]["details"]["address"]), (&json!(WEB), &json!(WEB_ADDRESS)));
}

#[tokio::test]
async fn enrolling_again_keeps_the_location_and_replaces_the_password() {
    let fleet = Fleet::start().await;
    let first = fleet.enrolled(WEB_ADDRESS).await;
    fleet.world.clock.advance(Duration::from_secs(3600));
    let second = fleet.enrolled(WEB_ADDRESS).await;
    assert_eq!(first["queueloc"], second["queueloc"]);
    assert_ne!(first["password"], second["password"]);
    assert!(!fleet.works(&first) && fleet.works(&second));
    let leases = fleet.rows("/leases?kind=agent", "leases", &["kind", "name", "holder"]).await;
    assert_eq!(leases, ["agent web1.example.net host web1.example.net"]);
    let held = fleet.rows("/audit/held?object=web1.example.net", "held", &["kind", "holder", "until"]).await;
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held[0].contains("2026-11-20T13:00:00.000Z") && held[1].ends_with("null"), "{held:?}");
}

#[tokio::test]
async fn an_archive_unpacks_to_what_the_document_has_with_its_modes() {
    let fleet = Fleet::start().await;
    let ask = Ask::get(&format!("{PATH}?form=tar")).with("X-Forwarded-For", WEB_ADDRESS);
    let answer = fleet.world.ask(&ask).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-tar")));
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.tar"), &answer.body).unwrap();
    let unpacked = Command::new("tar").args(["-xf", "a.tar"]).current_dir(dir.path()).status().unwrap();
    assert!(unpacked.success());
    let settings = std::fs::read_to_string(dir.path().join("etc/mig/mig-agent.cfg")).unwrap();
    assert!(settings.contains("agent-web1.example.net"), "{settings}");
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &str| std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("var/lib/mig/.migagtid"), mode("etc/mig/mig-agent.cfg")), (0o400, 0o600));
}

#[tokio::test]
async fn who_dns_does_not_know_is_refused_alike_and_gets_no_account() {
    let fleet = Fleet::start().await;
    fleet.dns.ptr("192.0.2.66", "web6.example.net");
    for address in ["192.0.2.66", "192.0.2.67"] {
        let answer = fleet.enrol_from(address).await;
        assert_eq!(answer.error(), (403, "IPNotAllowed".to_owned()), "{answer:?}");
        assert!(answer.json()["message"].as_str().unwrap().starts_with("Remote IP not allowed\n"));
    }
    fleet.world.operate("PUT", "/host-rules/block%20web1.example.net", Some(json!({ "remark": "stolen" }))).await;
    assert_eq!(fleet.enrol_from(WEB_ADDRESS).await.error().0, 403, "rules about hosts count here, too");
    assert!(fleet.users().await.is_empty());
    let shown = fleet.world.operate("GET", "/hosts/192.0.2.66", None).await;
    assert_eq!(shown["verdict"], "no-address", "operators see why: {shown}");
    let head = Ask { method: "HEAD".into(), ..Ask::get(PATH) };
    assert_eq!(fleet.world.ask(&head).await.status, 405, "a password that nobody sees is replaced by none");
}

#[tokio::test]
async fn a_token_enrols_one_host_once() {
    let fleet = Fleet::start().await;
    let make = async |host: &str| {
        let input = json!({ "minutes": 10, "reason": "it is new" });
        let made = fleet.world.operate("POST", &format!("/agents/hosts/{host}/token"), Some(input)).await;
        made["token"].as_str().unwrap().to_owned()
    };
    let show = async |token: &str| {
        let ask = Ask::get(PATH).with("X-Forwarded-For", "203.0.113.9");
        fleet.world.ask(&ask.with("Authorization", &format!("Bearer {token}"))).await
    };
    let token = make("lonely.example.net").await;
    let answer = show(&token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((&answer.json()["host"], fleet.works(&answer.json())), (&json!("lonely.example.net"), true));
    let again = show(&token).await;
    assert_eq!(again.status, 403);
    let late = make("late.example.net").await;
    fleet.world.clock.advance(Duration::from_secs(601));
    for token in [late.as_str(), "no token at all", ""] {
        let refused = show(token).await;
        assert_eq!(refused.status, 403, "{token}");
        assert_eq!(
            refused.json()["message"].as_str().unwrap().lines().next(),
            again.json()["message"].as_str().unwrap().lines().next(),
            "all causes sound alike"
        );
    }
    let entries = fleet.world.operate("GET", "/audit", None).await.to_string();
    assert!(!entries.contains(&token), "no token is in the log");
    assert_eq!(fleet.users().await.len(), 1);
}

#[tokio::test]
async fn while_the_broker_is_away_nothing_is_handed_out_and_what_works_goes_on_to() {
    let fleet = Fleet::start().await;
    let first = fleet.enrolled(WEB_ADDRESS).await;
    fleet.dns.host("192.0.2.22", "web2.example.net");
    fleet.world.broker.go_away();
    for address in [WEB_ADDRESS, "192.0.2.22"] {
        assert_eq!(fleet.enrol_from(address).await.status, 503);
    }
    fleet.world.broker.come_back();
    fleet.world.appliance().loops.run("reconcile").await.unwrap();
    assert!(fleet.works(&first), "its password was not replaced by one that nobody has");
    let second = fleet.enrolled("192.0.2.22").await;
    assert!(fleet.works(&second));
}

#[tokio::test]
async fn a_user_of_somebody_else_is_left_alone() {
    let fleet = Fleet::start().await;
    let theirs = keylender::base::Secret::new("theirs");
    crate::relay::make_user(&fleet.world, "agent-web1.example.net", &theirs).await;
    assert_eq!(fleet.enrol_from(WEB_ADDRESS).await.status, 409);
    assert!(fleet.world.broker.can_login("agent-web1.example.net", &theirs));
    assert_eq!(fleet.rows("/agents", "agents", &["host"]).await, Vec::<String>::new(), "nothing of it stays");
    fleet.world.broker.delete_user(&account("agent-web1.example.net")).await.unwrap();
    assert!(fleet.works(&fleet.enrolled(WEB_ADDRESS).await));
}

#[tokio::test]
async fn where_exchanges_are_topics_an_agent_has_only_the_routing_keys_that_it_needs() {
    let dns = crate::dns::DnsServer::start().await;
    dns.host(WEB_ADDRESS, WEB);
    let text = "name = 'm'\n[[vhost]]\nname = 'mig'\n[[vhost.exchange]]\nname = 'mig'\ntype = 'topic'\n[[part]]\nname = 'agent'\n\
                kind = 'mig-agent'\nage = '2015-03'\n[part.settings.mq]\nhost = 'r'\nport = 5672\n[part.settings.certs]\nca = '/c'\ncert = '/c'\nkey = '/c'\n\
                [agents]\nvhost = 'mig'\nsends-to = 'mig'\n\
                takes-from = 'mig'\nexchange-type = 'topic'\npart = 'agent'\nenrols-from = ['0.0.0.0/0', '::/0']\n";
    let change = |settings: &mut keylender::app::settings::Settings| {
        crate::hosts::set_up(settings, &[&dns]);
        settings.relay = crate::relay::profile(text);
    };
    let world = crate::world::World::with(change).await;
    crate::relay::apply(&world).await;
    let fleet = Fleet { world, dns };
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    let queueloc = enrolled["queueloc"].as_str().unwrap();
    assert!(queueloc.starts_with("linux.web1.example.net."), "{queueloc}");
    fleet.admit("re:linux\\..*").await;
    let another = heartbeat("linux.other.example.net.id", WEB, 7, Duration::ZERO);
    fleet.send(&[another, heartbeat(queueloc, WEB, 7, Duration::ZERO)]).await;
    assert_eq!((counted(&fleet, "other-host").await, counted(&fleet, "taken").await), (1, 1));
    let topics = fleet.world.broker.topic_permissions().await.unwrap();
    let own = topics.iter().find(|each| each.user == "agent-web1.example.net").unwrap();
    assert_eq!((own.vhost.as_str(), own.access.exchange.as_str()), (vhost().as_str(), "mig"));
    assert_eq!(own.access.write, "^mig\\.agt\\.(heartbeats|results)$");
    assert!(own.access.read.starts_with("^mig\\.agt\\.linux\\.web1\\.example\\.net\\."), "{}", own.access.read);
}

#[tokio::test]
async fn agents_that_share_an_account_get_its_login_and_a_revocation_says_what_it_cannot() {
    let fleet = Fleet::with("shared-account = 'shared'\n").await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    assert_eq!(enrolled["username"], "shared");
    assert!(fleet.works(&enrolled) && fleet.users().await.is_empty());
    let plan = fleet
        .world
        .operate("POST", "/agents/hosts/web1.example.net/revoke?plan=1", Some(json!({ "reason": "x" })))
        .await;
    assert!(
        plan["plan"][0].as_str().unwrap().contains("shares the account `shared` with others, which stays"),
        "{plan}"
    );
    fleet.revoke(WEB, "keep").await.unwrap();
    assert!(fleet.works(&enrolled), "it was said");
    assert_eq!(fleet.enrol_from(WEB_ADDRESS).await.status, 403);
}

#[tokio::test]
async fn a_profile_without_a_part_for_agents_enrols_nobody() {
    let dns = crate::dns::DnsServer::start().await;
    dns.host(WEB_ADDRESS, WEB);
    let text = "name = 'm'\n[[vhost]]\nname = 'mig'\n[agents]\nvhost = 'mig'\nsends-to = 'a'\ntakes-from = 'a'\n\
                enrols-from = ['0.0.0.0/0', '::/0']\n";
    let change = |settings: &mut keylender::app::settings::Settings| {
        crate::hosts::set_up(settings, &[&dns]);
        settings.relay = crate::relay::profile(text);
    };
    let world = crate::world::World::with(change).await;
    let answer = world.ask(&Ask::get(PATH).with("X-Forwarded-For", WEB_ADDRESS)).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.json()["message"].as_str().unwrap().contains("`part` in [agents]"), "{answer:?}");
    let nobody = try_to(&world, "POST", "/agents/hosts/web1.example.net/revoke", Some(json!({ "reason": "x" }))).await;
    assert_eq!(nobody.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_page_in_a_browser_of_the_host_gets_and_replaces_nothing() {
    let fleet = Fleet::start().await;
    let first = fleet.enrolled(WEB_ADDRESS).await;
    for (name, value) in [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
        let ask = Ask::get(PATH).with("X-Forwarded-For", WEB_ADDRESS).with(name, value);
        assert_eq!(fleet.world.ask(&ask).await.status, 403, "{name}");
    }
    assert!(fleet.works(&first));
}

#[tokio::test]
async fn hosts_enrol_by_their_names_only_where_the_profile_says_so() {
    for (key, status) in [
        ("", 403),
        ("enrols-from = ['*.example.net']", 200),
        ("enrols-from = ['192.0.2.0/24', '*.example.net']", 200),
        ("enrols-from = ['10.0.0.0/8', '*.example.net']", 403),
        ("enrols-from = ['web2.example.net']", 403),
    ] {
        let fleet = Fleet::of(&super::FLEET.replace(super::FROM_EVERYWHERE, key)).await;
        assert_eq!(fleet.enrol_from(WEB_ADDRESS).await.status, status, "{key}");
        if status == 403 {
            let shown = fleet.world.operate("GET", &format!("/hosts/{WEB_ADDRESS}"), None).await;
            assert_eq!(shown["verdict"], "enrols-by-token", "operators see why");
        }
    }
}

#[tokio::test]
async fn what_each_agent_gets_is_written_for_none_of_them_beforehand() {
    let fleet = Fleet::start().await;
    let path = "/relay/parts/agent";
    let error = try_to(&fleet.world, "GET", path, None).await.unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.message().contains("when its host enrols"), "{error}");
}

#[tokio::test]
async fn a_profile_that_changes_reaches_accounts_that_there_are() {
    let mut fleet = Fleet::start().await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    let changed = super::FLEET.replace("sends-to = 'toschedulers'", "sends-to = 'toagents'");
    fleet.world.settings.relay = crate::relay::profile(&changed);
    fleet.world.restart().await;
    assert_eq!(fleet.keep().await.unwrap(), "1 accounts got what the profile says by now");
    crate::relay::reconcile(&fleet.world).await.unwrap();
    let permissions = fleet.world.broker.permissions().await.unwrap();
    let own = permissions.iter().find(|each| each.user == "agent-web1.example.net").unwrap();
    assert!(own.access.write.starts_with("^(toagents|"), "{}", own.access.write);
    assert!(fleet.works(&enrolled));
    assert_eq!(fleet.keep().await.unwrap(), "");
}
