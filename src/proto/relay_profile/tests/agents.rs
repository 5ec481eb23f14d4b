//! Stories about the section `[agents]`, and about the built-in profiles with it.

use super::*;
use crate::base::Span;

/// A profile with a fleet, to which a story adds what it is about.
fn with(keys: &str, rest: &str) -> String {
    format!(
        "name = 'r'\n[agents]\nvhost = 'v'\nsends-to = 'out'\ntakes-from = 'in'\n{keys}\n[[vhost]]\nname = 'v'\n\
         [[vhost.exchange]]\nname = 'in'\ntype = 'direct'\n{rest}"
    )
}

/// A part with the settings of an agent, and what a story adds to it.
fn part(keys: &str) -> String {
    format!(
        "[[part]]\nname = 'a'\nkind = 'mig-agent'\nage = '2018-10'\n{keys}\n[part.settings]\nmq = {{ host = 'h', port = 5671 }}\n"
    )
}

fn account(name: &str, vhost: &str) -> String {
    format!(
        "[[account]]\nname = '{name}'\n[[account.grant]]\nvhost = '{vhost}'\nconfigure = ''\nwrite = ''\nread = ''\n"
    )
}

fn agents(text: &str) -> Agents {
    let profile = Profile::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
    profile.agents().unwrap().clone()
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

fn zone(name: &str, below: bool) -> Zone {
    Zone { name: name.parse().unwrap(), below }
}

#[test]
fn every_key_is_read() {
    let expected = Agents {
        vhost: "/".parse().unwrap(),
        sends_to: "out".into(),
        takes_from: "out of others".into(),
        exchange_type: ExchangeType::Topic,
        part: Some("agent".into()),
        account_prefix: "host-".into(),
        shared_account: Some("worker".parse().unwrap()),
        enrols_from: EnrolsFrom {
            networks: vec!["10.1.0.0/16".parse().unwrap(), "2001:db8::1/128".parse().unwrap()],
            zones: vec![zone("example.net", true), zone("relay.example.org", false)],
        },
        heartbeat_period: span("10 minutes"),
        timeout: span("90 minutes"),
        enrol_every: span("7 days"),
        gone_after: span("60 days"),
        ca: Some(TextOrFile::File("/etc/keylender/mig-ca.pem".into())),
        whitelist: Some("/var/cache/mig/agents_whitelist.txt".into()),
    };
    assert_eq!(agents(FULL), expected);
}

#[test]
fn what_is_not_said_is_as_the_scheduler_has_it() {
    let usual = agents(&with("", ""));
    assert_eq!((usual.exchange_type, usual.account_prefix.as_str()), (ExchangeType::Direct, "agent-"));
    assert_eq!((usual.heartbeat_period, usual.timeout), (span("5 minutes"), span("1 hour")));
    assert_eq!((usual.enrol_every, usual.gone_after), (span("30 days"), span("30 days")));
    assert!(usual.enrols_from.is_empty());
    assert_eq!((usual.part, usual.shared_account, usual.ca, usual.whitelist), (None, None, None, None));
    assert_eq!(Profile::parse("name = 'r'").unwrap().agents(), None);
}

#[test]
fn files_of_this_host_are_told_from_texts() {
    let authority = include_str!("../../../../tests/data/certificates/authority.pem");
    let place = part("settings.certs.ca = '/etc/mig/ca.pem'").replace("[part.settings]\nmq", "settings.mq");
    let text = agents(&with(&format!("part = 'a'\nca = '''{authority}'''"), &place));
    assert_eq!((text.names_files(), text.ca), (false, Some(TextOrFile::Text(authority.into()))));
    assert!(agents(&with("part = 'a'\nca = { file = '/ca.pem' }", &place)).names_files());
    assert!(agents(&with("whitelist = '/list.txt'", "")).names_files());
}

#[test]
fn the_part_of_agents_needs_no_account_and_may_have_the_shared_one_only() {
    let shared = "part = 'a'\nshared-account = 'all'";
    assert_eq!(agents(&with("part = 'a'", &part(""))).part.as_deref(), Some("a"));
    agents(&with(shared, &(account("all", "v") + &part(""))));
    agents(&with(shared, &(account("all", "v") + &part("account = 'all'"))));
    let own = "`account`: by [agents] each agent has its own; leave this out, or say it as shared-account there";
    compare(&[
        (&with("part = 'a'", &(account("all", "v") + &part("account = 'all'"))), &[&format!("23:11: {own}")]),
        (
            &with(shared, &(account("all", "v") + &account("b", "v") + &part("account = 'b'"))),
            &[&format!("31:11: {own}")],
        ),
        (&with("", &part("")), &["14:8: `account` is missing from a part of the kind mig-agent; add it"]),
    ]);
}

#[test]
fn what_is_missing_or_of_the_wrong_form_is_told() {
    let text = "name = 'r'\n[agents]\nexchange-type = 'fanout'\npart = 'A'\naccount-prefix = 'a b'\nshared-account = ''\n\
                heartbeat-period = 'often'\ntimeout = '- 1 hour'\nenrol-every = '11 years'\ngone-after = 3\n\
                ca = { path = '/a' }\nwhitelist = 'list.txt'\nheartbeat_period = '1 minute'\n";
    let (of_certificate, of_key) = ("ca = 'none'", "ca = '-----BEGIN PRIVATE KEY-----'");
    compare(&[
        (
            text,
            &[
                "2:1: `vhost` is missing from [agents]; add it",
                "2:1: `sends-to` is missing from [agents]; add it",
                "2:1: `takes-from` is missing from [agents]; add it",
                "3:17: `exchange-type`: expected direct, topic; not `fanout`, to which the nearest is `direct`",
                "4:8: `part`: expected 1 to 64 of a-z 0-9 -",
                "4:8: `part`: `A` is not declared here; add [[part]] of the kind mig-agent for it",
                "5:18: `account-prefix`: expected 1 to 64 of a-z A-Z 0-9 . _ -",
                "6:18: `shared-account`: expected a name of 1 to 255 bytes, not . or ..",
                "6:18: `shared-account`: `` is not declared here; add [[account]] for it, or leave this out",
                "7:20: `heartbeat-period`: expected a span such as `30 days` or `1 minute`",
                "8:11: `timeout`: expected more than no time; leave the key out if that is meant",
                "9:15: `enrol-every`: expected at most 3650 days",
                "10:14: `gone-after`: expected a text in quotes, not a whole number",
                "11:6: `file` is missing from { file = \"/…\" }; add it",
                "11:8: unknown key `path`; the nearest known one is `file`",
                "12:13: `whitelist`: expected the path of a file, such as /etc/mig/scheduler.cfg",
                "13:1: unknown key `heartbeat_period`; the nearest known one is `heartbeat-period`",
            ],
        ),
        ("name = 'r'\n[[agents]]\n", &["2:1: `agents`: expected a table such as { key = 1 }, not a list"]),
        (
            &with("ca = 1", ""),
            &[
                "6:6: `ca`: expected a text in quotes, or { file = \"/…\" }, not a whole number",
                "6:6: `ca`: its place is the setting certs.ca of `part`, which is not said; add that",
            ],
        ),
        (
            &with(of_certificate, ""),
            &[
                "6:6: `ca`: expected certificates in PEM",
                "6:6: `ca`: its place is the setting certs.ca of `part`, which is not said; add that",
            ],
        ),
        (
            &with(&format!("part = 'a'\n{of_key}"), &part("")),
            &[
                "7:6: `ca`: a private key is in it, which every host would get; take it out",
                "7:6: `ca`: its place is the setting certs.ca of the part `a`, which has none; add that",
            ],
        ),
    ]);
}

#[test]
fn what_agents_cannot_work_with_is_told() {
    let scheduler =
        "[[part]]\nname = 's'\nkind = 'mig-spool'\nsettings = { user = 'mig', temporary = '/var/tmp/mig' }\n";
    let exchange = "[[vhost.exchange]]\nname = 'out'\ntype = 'topic'\n";
    compare(&[
        (
            "name = 'r'\n[agents]\nvhost = 'v'\nsends-to = 'e'\ntakes-from = 'e'\n",
            &[
                "3:9: `vhost`: `v` is not declared here; add [[vhost]] for it, or put it into foreign-vhosts if others declare it",
            ],
        ),
        (
            &with("", exchange),
            &[
                "4:12: `sends-to`: `out` is declared here with the type `topic`, and `exchange-type` is direct; change one of the two",
            ],
        ),
        (
            &with("exchange-type = 'topic'", exchange),
            &[
                "5:14: `takes-from`: `in` is declared here with the type `direct`, and `exchange-type` is topic; change one of the two",
            ],
        ),
        (
            &with("part = 's'", scheduler),
            &["6:8: `part`: `s` is of the kind mig-spool; name one of the kind mig-agent"],
        ),
        (
            &with("shared-account = 'all'", &("[[vhost]]\nname = 'w'\n".to_owned() + &account("all", "w"))),
            &["6:18: `shared-account`: `all` may not enter `v`; add [[account.grant]] for it"],
        ),
    ]);
    let foreign = "name = 'r'\nforeign-vhosts = ['v']\n[agents]\nvhost = 'v'\nsends-to = 'e'\ntakes-from = 'e'\n";
    assert_eq!(agents(foreign).takes_from, "e", "whose type only others know");
}

#[test]
fn accounts_of_agents_are_told_from_all_others() {
    let in_turn =
        account("agent", "v").replace("'agent'\n", "'agent'\nrotate-every = '1 day'\nrotate-by = 'in-turn'\n");
    let advice = "begins with `agent-`, as accounts of agents do; rename it, or say another account-prefix in [agents]";
    compare(&[
        (&with("", &account("agent-x", "v")), &[&format!("13:8: `name`: `agent-x` {advice}")]),
        (&with("", &in_turn), &[&format!("13:8: `name`: `agent-1` {advice}")]),
    ]);
    agents(&with("", &account("agent", "v")));
    agents(&with("account-prefix = 'host-'", &(account("agent-x", "v") + &in_turn)));
    agents(&with("shared-account = 'agent'", &in_turn));
}

#[test]
fn each_span_is_longer_than_that_which_it_waits_for() {
    compare(&[
        (
            &with("timeout = '5 minutes'", ""),
            &["6:11: `timeout`: expected longer than `heartbeat-period`, and they are 5 minutes and 5 minutes"],
        ),
        (
            &with("heartbeat-period = '2 hours'", ""),
            &["6:20: `timeout`: expected longer than `heartbeat-period`, and they are 1 hour and 2 hours"],
        ),
        (
            &with("gone-after = '2 hours'\ntimeout = '3 hours'", ""),
            &["6:14: `gone-after`: expected longer than `timeout`, and they are 2 hours and 3 hours"],
        ),
    ]);
}

#[test]
fn built_in_profiles_with_agents_are_profiles_and_nothing_else_of_them_changes() {
    for (name, sends_to, takes_from, kind, at) in [
        ("mig-2015", "mig", "mig", ExchangeType::Topic, "2015-03"),
        ("mig-2018", "toschedulers", "toagents", ExchangeType::Direct, "2018-10"),
        ("mig-2019", "toschedulers", "toagents", ExchangeType::Direct, "2019-09"),
    ] {
        let plain = Profile::builtin(name).unwrap();
        for is_shared in [false, true] {
            let text = preset_with_agents(name, is_shared).unwrap();
            let profile = Profile::parse(&text).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}"));
            assert_eq!(profile.accounts(), plain.accounts(), "{name}: a fleet that is at work uses them");
            assert_eq!((profile.vhosts(), profile.absent_users()), (plain.vhosts(), plain.absent_users()), "{name}");
            let agents = profile.agents().unwrap();
            assert_eq!((agents.sends_to.as_str(), agents.takes_from.as_str()), (sends_to, takes_from), "{name}");
            assert_eq!((agents.vhost.as_str(), agents.exchange_type, agents.names_files()), ("mig", kind, false));
            assert_eq!(agents.shared_account.is_some(), is_shared, "{name}");
            assert_eq!(agents.enrols_from.zones, [zone("example.net", true)], "{name}");
            let [part] = profile.parts() else { panic!("{name}: {profile:?}") };
            assert_eq!(
                (Some(&part.name), part.kind, part.age.to_string().as_str()),
                (agents.part.as_ref(), PartKind::Agent, at)
            );
            assert!(text.lines().all(|line| line.chars().count() <= 130) && !text.contains("\n\n\n"), "{text}");
            assert_eq!(text.contains("What that gives up"), is_shared);
            let of_account = text.split("\n\n").find(|it| it.contains("[[account]]\nname = \"agent\"\n")).unwrap();
            assert_eq!(of_account.contains("All agents share it."), is_shared, "{name}");
            assert_eq!(of_account.contains("take it out when the last one has."), !is_shared, "{name}");
            assert!(of_account.contains("Each tries"), "{name}: the rest of the comment stays");
            what_is_offered_is_right_too(&text);
        }
    }
    assert_eq!((preset_with_agents("plain", false), preset_with_agents("mig", true)), (None, None));
}

/// Files that it may name.
fn what_is_offered_is_right_too(text: &str) {
    let offered = text.replace("# ca = ", "ca = ").replace("# whitelist = ", "whitelist = ");
    assert!(Profile::parse(&offered).unwrap().agents().unwrap().names_files(), "{offered}");
    let in_turn = "name = \"agent\"\nrotate-every = \"30 days\"\nrotate-by = \"in-turn\"\ndelivery";
    let offered = text.replacen("name = \"agent\"\ndelivery", in_turn, 1);
    let other = offered.replacen("[agents]\n", "[agents]\naccount-prefix = \"host-\"\n", 1);
    let rotated = Profile::parse(&other).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{other}"));
    assert!(rotated.accounts().iter().any(|account| account.rotation.is_some()), "{other}");
}
