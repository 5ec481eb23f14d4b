//! Stories about files that are written, and about investigators.

use super::said;
use crate::proto::relay_profile::{PartKind, Profile};

/// Minimal settings of each kind that is no program's, and a line that its text has.
const KINDS: [(&str, &str, &str); 10] = [
    ("mig-spool", "temporary = '/var/tmp/mig'\nuser = 'mig'", "spool='/var/cache/mig'"),
    ("mig-database-roles", "", "SET LOCAL password_encryption = 'md5';"),
    ("mig-database-rights", "", "GRANT USAGE ON SCHEMA public TO migscheduler, migapi, migreadonly;"),
    ("mig-database-access", "schedulers = ['192.0.2.1/32']", "hostssl\tmig\tmigscheduler\t192.0.2.1/32\tmd5"),
    (
        "rabbitmq-tls",
        "cacertfile = '/c/ca.pem'\ncertfile = '/c/cert.pem'\nkeyfile = '/c/key.pem'",
        "ssl_options.fail_if_no_peer_cert = true",
    ),
    (
        "rabbitmq-tls-classic",
        "cacertfile = '/c/ca.pem'\ncertfile = '/c/cert.pem'\nkeyfile = '/c/key.pem'",
        "{fail_if_no_peer_cert, true}",
    ),
    ("rabbitmq-open-files", "", "rabbitmq - nofile 102400"),
    ("rabbitmq-open-files-service", "limit = 5000", "LimitNOFILE=5000"),
    ("port-443-iptables", "interface = 'eth0'", "--to-port"),
    ("port-443-nftables", "", "redirect to :5671"),
];

fn key(name: &str) -> String {
    let key = match name {
        "rosa" => include_str!("../../../../tests/data/openpgp/rosa.asc"),
        "nick" => include_str!("../../../../tests/data/openpgp/nick.asc"),
        _ => include_str!("../../../../tests/data/openpgp/ed.asc"),
    };
    format!("key = '''\n{key}'''\n")
}

fn profile(text: &str) -> Profile {
    Profile::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn mistakes(text: &str) -> String {
    said(text).join("\n")
}

fn files(profile: &Profile) -> Vec<(String, String)> {
    let part = &profile.parts()[0];
    part.files(profile, &part.settings).unwrap().unwrap()
}

#[test]
fn each_kind_is_written_from_the_least_that_it_needs() {
    for (kind, settings, line) in KINDS {
        let text =
            format!("name = 'r'\n[[part]]\nname = 'p'\nkind = '{kind}'\nage = '2018-11'\n[part.settings]\n{settings}");
        let profile = profile(&text);
        let files = files(&profile);
        let [(path, text)] = files.as_slice() else { panic!("{kind}: {files:?}") };
        assert!(path.starts_with('/') && text.contains(line) && text.ends_with('\n'), "{kind}: {text}");
    }
    let known = KINDS.map(|(kind, ..)| kind);
    let is_known =
        |word: &&str| PartKind::of(word).is_some_and(|kind| kind.program().is_some()) || known.contains(word);
    let others: Vec<&&str> = PartKind::WORDS.iter().filter(|word| !is_known(word)).collect();
    assert_eq!(
        others,
        [&"mig-acl", &"mig-agentkeys", &"mig-whitelist"],
        "those of investigators, and what is kept elsewhere"
    );
}

#[test]
fn what_a_part_lacks_or_has_too_much_is_told_with_its_place() {
    let text = "name = 'r'
[[part]]
name = 'a'
kind = 'mig-scheduler'
[[part]]
name = 'b'
kind = 'mig-spool'
account = 'x'
[part.settings]
user = 'mig'
temporry = '/tmp'
[[part]]
name = 'c'
kind = 'mig-acl'
age = '2015-03'
[[part]]
name = 'd'
kind = 'mig-agent'
age = '2019-09'
account = 'x'
[part.settings.agent]
hearbeatfreq = '5m'
[[account]]
name = 'x'
";
    insta::assert_snapshot!(mistakes(text), @r#"
    4:8: `account` is missing from a part of the kind mig-scheduler; add it
    4:8: `age` is missing from a part of the kind mig-scheduler; add it, such as 2018-11
    8:11: `account`: no login stands in mig-spool; leave this out
    8:11: `account`: `x` may enter no vhost; add [[account.grant]] for it
    9:1: `settings` of mig-spool: unknown key `temporry`; the nearest known one is `temporary`
    14:8: `kind`: mig-acl is made of [[investigator]], and there is none; add one
    15:7: `age`: agents read mig-acl from 2017-09 on; in older ones it is built in
    20:11: `account`: `x` may enter no vhost; add [[account.grant]] for it
    21:1: `agent.api` of mig-agent: is missing; add a URL, such as "http://localhost:1664/api/v1/"
    21:7: `mq.host` of mig-agent: is missing; add the name or address of a host
    21:7: `mq.port` of mig-agent: is missing; add a whole number from 1 to 65535 without quotes
    22:16: `agent.hearbeatfreq` of mig-agent: unknown key; the nearest known one is `heartbeatfreq`
    "#);
}

#[test]
fn investigators_become_the_list_of_agents_and_a_file_for_each_key() {
    let of = |kind: &str| {
        let people = [("Rosa", "rosa", "{ default = 1, file = 2 }"), ("Nick", "nick", "{ default = 1 }")];
        let people = people.map(|(name, file, weights)| {
            format!("[[investigator]]\nname = '{name}'\nweights = {weights}\n{}", key(file))
        });
        profile(&format!(
            "name = 'r'\nminimum-weights = {{ default = 2, file = 2 }}\n[[part]]\nname = 'p'\nkind = '{kind}'\nage = '2018-11'\n{}",
            people.concat()
        ))
    };
    let acl = &files(&of("mig-acl"))[0].1;
    let acl: serde_json::Value = acl.parse().unwrap();
    assert_eq!(acl["file"]["investigators"]["Rosa"]["weight"], 2);
    assert_eq!(acl["default"]["minimumweight"], 2);
    let rosa = "2D0ABE81C172674DAE2958F2A5FC8287EBE7E0DF";
    assert_eq!(acl["default"]["investigators"]["Rosa"]["fingerprint"], rosa);
    let keys = files(&of("mig-agentkeys"));
    assert_eq!(keys[0].0, format!("/etc/mig/agentkeys/{rosa}.asc"));
    assert!(keys.len() == 2 && keys[1].1.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"), "{keys:?}");
}

#[test]
fn a_key_that_agents_do_not_read_and_a_weight_that_nobody_reaches_are_mistakes() {
    let with = |rest: &str, file: &str| {
        format!("name = 'r'\nminimum-weights = {{ default = 2 }}\n[[investigator]]\nname = 'A'\n{rest}{}", key(file))
    };
    let told = mistakes(&with("weights = { default = 2 }\n", "ed"));
    assert!(told.contains("an agent that has such a key refuses every action"), "{told}");
    let told = mistakes(&with("weights = { default = 1 }\n", "rosa"));
    assert!(told.contains("`investigator`: ") && told.contains("default"), "{told}");
    let told = mistakes(&with("weights = { default = 'x' }\n", "rosa"));
    assert!(told.contains("expected whole numbers by module"), "{told}");
    let told = mistakes(&with("weights = { default = 2 }\nfingerprint = 'ABCD'\n", "rosa"));
    assert!(told.contains("that of this key is 2D0ABE81C172674DAE2958F2A5FC8287EBE7E0DF"), "{told}");
    let told = mistakes("name = 'r'\n[[investigator]]\nname = 'A'\nkey = 'nothing'\n");
    assert!(told.starts_with("4:7: `key`: "), "{told}");
}
