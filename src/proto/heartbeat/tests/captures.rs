//! Heartbeats of real agents, sent over loopback: every field of each.

use super::{CAPTURES, FIRST, SECOND, THIRD, TIMINGS, at, read};
use crate::proto::heartbeat::{Aws, Environment, Generation, Heartbeat, Kept, Mode, Verdict, judge};

/// The messages of brokers, of which every second line is a body.
const MESSAGES: [(&str, Generation, usize); 2] = [
    (include_str!("captures/seed_era_messages.txt"), Generation::First, 4),
    (include_str!("captures/2018_agent_messages.txt"), Generation::Second, 2),
];

fn kept(items: &[&str]) -> Kept<String> {
    Kept { items: items.iter().map(|item| (*item).to_owned()).collect(), left_out: 0 }
}

fn environment() -> Environment {
    Environment {
        init: "upstart".to_owned(),
        ident: "Debian 12 bookworm".to_owned(),
        os: "linux".to_owned(),
        arch: "amd64".to_owned(),
        addresses: kept(&["192.0.2.2/24", "fd00::2/64", "fe80::fc:ff:fe00:1/64"]),
        ..Environment::default()
    }
}

#[test]
fn an_agent_of_2015_is_read() {
    let expected = Heartbeat {
        generation: Generation::First,
        name: "vm".to_owned(),
        queueloc: "linux.vm.dn0j5d3ugjk0".to_owned(),
        mode: Mode::Daemon,
        version: "20150320+52318ad.dev".to_owned(),
        pid: 21522,
        started_at: Some(at("2026-11-21T02:37:02.750Z")),
        refreshed_at: None,
        destroyed_at: None,
        sent_at: Some(at("2026-11-21T02:37:02.750Z")),
        environment: environment(),
        tags: Kept { items: vec![("operator".to_owned(), "MyFavoriteAdminTeam".to_owned())], left_out: 0 },
        loader_name: String::new(),
    };
    assert_eq!(read(FIRST, Generation::First), expected);
}

#[test]
fn an_agent_of_2018_is_read() {
    let modules = ["file", "netstat", "agentdestroy", "ping", "pkg", "scribe", "sshkey", "timedrift", "fswatch"];
    let expected = Heartbeat {
        generation: Generation::Second,
        name: "vm".to_owned(),
        queueloc:
            "linux.rz674mncjumrafzo3dk5wv891pcjdta9lqynstw50wp0j2hkj17pfrv9f23ntf1ri2ifqj6jbln1wyo65s9hijqbwimf8lx0sb1m"
                .to_owned(),
        mode: Mode::Daemon,
        version: "0.unversioned".to_owned(),
        pid: 32661,
        started_at: Some(at("2026-11-21T02:27:16.803Z")),
        refreshed_at: Some(at("2026-11-21T02:27:16.799Z")),
        destroyed_at: None,
        sent_at: Some(at("2026-11-21T02:27:16.803Z")),
        environment: Environment { modules: kept(&modules), ..environment() },
        tags: Kept::default(),
        loader_name: String::new(),
    };
    assert_eq!(read(SECOND, Generation::Second), expected);
}

#[test]
fn an_agent_of_2019_is_read() {
    let read = read(THIRD, Generation::Third);
    let modules = ["netstat", "pkg", "sshkey", "timedrift", "agentdestroy", "fswatch", "scribe", "file", "ping"];
    assert_eq!((read.pid, read.mode, read.sent_at, read.destroyed_at), (2429, Mode::Daemon, None, None));
    assert_eq!(read.started_at, Some(at("2026-11-21T02:28:41.865Z")));
    assert_eq!(read.refreshed_at, Some(at("2026-11-21T02:28:41.861Z")));
    assert!(read.queueloc.starts_with("linux.16fxk458") && read.tags == Kept::default());
    let expected = Environment { public_ip: "127.0.0.1".to_owned(), modules: kept(&modules), ..environment() };
    assert_eq!(read.environment, expected);
}

#[test]
fn messages_of_brokers_are_read_and_welcome_when_they_were_sent() {
    for (messages, generation, len) in MESSAGES {
        let bodies: Vec<&str> = messages.lines().skip(1).step_by(2).map(str::trim).collect();
        assert_eq!(bodies.len(), len);
        for body in bodies {
            let read = read(body, generation);
            assert_eq!(judge(&read, read.sent_at.unwrap(), &TIMINGS), Verdict::Welcome);
        }
    }
}

#[test]
fn a_generation_that_is_not_known_is_found_out() {
    for (body, generation) in CAPTURES {
        let found = Heartbeat::read_any(body.as_bytes()).unwrap();
        // One whose tags are texts is read as the second, too.
        let expected = if generation == Generation::First { Generation::Second } else { generation };
        assert_eq!(found, read(body, expected));
    }
    let odd = FIRST.replace(r#""MyFavoriteAdminTeam""#, "[1, 2]");
    assert_eq!(Heartbeat::read_any(odd.as_bytes()), Heartbeat::read(odd.as_bytes(), Generation::First));
    let refusal = Heartbeat::read_any(br#"{"refreshts":1,"name":1}"#).unwrap_err();
    assert!(refusal.message().starts_with("refreshts: a time"), "{refusal}");
}

#[test]
fn an_environment_in_a_cloud_and_behind_a_proxy_is_read() {
    let body = SECOND.replace(r#""isproxied":false"#, r#""isproxied":true,"proxy":"127.0.0.1:18888""#).replace(
        r#""aws":{}"#,
        r#""aws":{"instanceid":"i-1","localipv4":"10.0.0.1","amiid":"ami-2","instancetype":"m5.large"}"#,
    );
    let Environment { is_proxied, proxy, aws, .. } = read(&body, Generation::Second).environment;
    assert!(is_proxied && proxy == "127.0.0.1:18888");
    let [instance_id, local_ipv4, ami_id, instance_type] = ["i-1", "10.0.0.1", "ami-2", "m5.large"].map(str::to_owned);
    assert_eq!(aws, Aws { instance_id, local_ipv4, ami_id, instance_type });
}
