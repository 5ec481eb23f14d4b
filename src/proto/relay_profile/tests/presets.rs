//! The profiles that are built in are what their sources say.

use serde_json::json;

use super::*;

/// The permissions of a profile as `list_permissions` of its vhost `mig` prints them.
fn permissions(profile: &Profile) -> Vec<[&str; 4]> {
    let accounts =
        profile.accounts().iter().flat_map(|account| account.grants.iter().map(move |grant| (account, grant)));
    let rows = accounts.map(|(account, grant)| {
        assert_eq!((grant.vhost.as_str(), grant.topics.len()), ("mig", 0));
        [account.name.as_str(), &grant.configure, &grant.write, &grant.read]
    });
    rows.collect()
}

#[test]
fn each_is_a_profile_and_says_where_it_is_from() {
    for (name, text) in PRESETS {
        assert_eq!(preset(name), Some(text));
        let profile = Profile::builtin(name).unwrap_or_else(|| panic!("{name}: {:?}", said(text)));
        assert!(text.starts_with("# "), "{name}");
        assert_eq!(profile.absent_users().iter().map(AccountName::as_str).collect::<Vec<_>>(), ["guest"], "{name}");
        assert!(text.lines().all(|line| line.chars().count() <= 130), "{name}");
    }
    assert_eq!((preset("mig"), Profile::builtin("mig")), (None, None));
}

#[test]
fn what_their_comments_offer_is_right_too() {
    for (name, exchanges) in [("mig-2015", 2), ("mig-2018", 3), ("mig-2019", 2), ("plain", 1)] {
        let text = preset(name).unwrap();
        let is_key = |line: &str| line.starts_with("[[") || line.split(" = ").count() == 2 && !line.contains(", ");
        let offered = text.lines().map(|line| line.strip_prefix("# ").filter(|line| is_key(line)).unwrap_or(line));
        let offered = offered.collect::<Vec<_>>().join("\n");
        let profile = Profile::parse(&offered).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}"));
        assert_eq!(profile.vhosts()[0].exchanges.len(), exchanges, "{name}");
    }
}

#[test]
fn mig_2015_is_the_table_of_the_document() {
    let profile = Profile::builtin("mig-2015").unwrap();
    let agent = r"^mig(|\.agt\.(linux|windows|darwin)\..*)$";
    let scheduler = r"^mig(|event(|\..*)|\.(agt\.(heartbeats|results)))$";
    let table = [
        ["admin", ".*", ".*", ".*"],
        ["scheduler", r"^mig(|(event|\.agt)(|\..*))$", scheduler, scheduler],
        ["agent", r"^mig\.agt\.(linux|windows|darwin)\..*$", agent, agent],
        ["api", r"^migevent\..*$", r"^migevent(|\..*)$", r"^migevent(|\..*)$"],
        ["worker", r"^migevent\..*$", r"^migevent(|\..*)$", r"^migevent(|\..*)$"],
    ];
    assert_eq!(permissions(&profile), table);
    require_mig(&profile);
    let vhost = &profile.vhosts()[0];
    assert!(vhost.exchanges.is_empty() && vhost.queues.is_empty() && vhost.bindings.is_empty());
}

#[test]
fn the_later_generations_are_the_table_of_their_guide() {
    let table = [
        [
            "scheduler",
            r"^(toagents|toschedulers|toworkers|mig\.agt\..*)$",
            r"^(toagents|toworkers|mig\.agt\.(heartbeats|results))$",
            r"^(toagents|toschedulers|toworkers|mig\.agt\.(heartbeats|results))$",
        ],
        ["agent", r"^mig\.agt\..*$", r"^(toschedulers|mig\.agt\..*)$", r"^(toagents|mig\.agt\..*)$"],
        ["worker", r"^migevent\..*$", r"^migevent(|\..*)$", r"^(toworkers|migevent\..*)$"],
    ];
    for name in ["mig-2018", "mig-2019"] {
        let profile = Profile::builtin(name).unwrap();
        assert_eq!(permissions(&profile), table, "{name}");
        require_mig(&profile);
        let vhost = &profile.vhosts()[0];
        let exchanges: Vec<_> =
            vhost.exchanges.iter().map(|it| (it.name.as_str(), it.kind.as_str(), it.durable)).collect();
        assert_eq!(exchanges, [("toagents", "direct", true), ("toschedulers", "direct", true)]);
        let queues = ["mig.agt.heartbeats", "mig.agt.results"];
        assert_eq!(vhost.queues.iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>(), queues);
        assert!(vhost.queues.iter().all(|queue| queue.durable && !queue.auto_delete && queue.arguments.is_empty()));
        let bindings: Vec<_> = vhost.bindings.iter().map(|it| [&it.source, &it.destination, &it.routing_key]).collect();
        assert_eq!(bindings, queues.map(|queue| ["toschedulers", queue, queue]));
    }
}

/// What all generations have alike.
fn require_mig(profile: &Profile) {
    let [vhost] = profile.vhosts() else { panic!("{profile:?}") };
    assert_eq!((profile.name(), vhost.name.as_str(), vhost.on_drift), ("mig", "mig", OnDrift::Repair));
    let [policy] = vhost.policies.as_slice() else { panic!("{vhost:?}") };
    assert_eq!((policy.name.as_str(), policy.pattern.as_str()), ("mig-mirror-all", r"^mig\."));
    assert_eq!(
        (policy.apply_to, policy.priority, json!(policy.definition)),
        (ApplyTo::All, 0, json!({ "ha-mode": "all" }))
    );
    for account in profile.accounts() {
        let expected = if account.name.as_str() == "admin" { vec!["administrator"] } else { Vec::new() };
        assert_eq!(account.tags, expected);
        assert_eq!(account.rotation, None);
    }
    let consumes: Vec<_> =
        profile.accounts().iter().flat_map(|account| &account.grants).flat_map(|it| &it.consumes).collect();
    assert_eq!(consumes, ["mig.agt.heartbeats", "mig.agt.results"]);
}
