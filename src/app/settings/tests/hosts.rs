//! What the settings of host credentials may say.

use std::time::Duration;

use super::{load_file, problems_of};

#[test]
fn nothing_is_lent_to_machines_by_default() {
    let hosts = load_file("").settings.hosts;
    assert!(hosts.scope_base.is_none() && hosts.client_id_base.is_none() && hosts.expires.is_none());
    assert!(hosts.allowed.is_none() && hosts.contacts.is_empty() && hosts.dns.servers.is_none() && !hosts.dns.dnssec);
    assert_eq!((hosts.agree, hosts.per_minute, hosts.fresh_max), (1, 60, Duration::from_secs(300)));
    assert_eq!(hosts.dns.hosts_file.unwrap().to_str(), Some("/etc/hosts"));
}

#[test]
fn the_ancestors_spellings_are_understood() {
    let text = "TASKCLUSTER_SCOPE_BASE=assume:project:releng:host:\nTASKCLUSTER_CREDENTIALS_EXPIRE='4 days'\n\
                TASKCLUSTER_ALLOWED_IPS='10.0.0.0/8 ::ffff:10.0.0.0/8'\nDNS_HOSTS_FILE=false\n\
                DNS_SERVERS='10.0.0.1, 10.0.0.2:5353 [2001:db8::1]:53 2001:db8::2'\nDNS_AGREE=2\n\
                OPERATOR_MAIL='a@example.org, b@example.org'\n";
    let loaded = load_file(text);
    let hosts = loaded.settings.hosts;
    assert_eq!(hosts.expires, Some(Duration::from_secs(4 * 86_400)));
    assert!(hosts.allowed.unwrap().includes("10.9.9.9".parse().unwrap()));
    let servers: Vec<String> = hosts.dns.servers.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.0.1:53", "10.0.0.2:5353", "[2001:db8::1]:53", "[2001:db8::2]:53"]);
    assert_eq!((hosts.agree, hosts.contacts.len(), hosts.dns.hosts_file), (2, 2, None));
    assert!(loaded.warnings.iter().any(|line| line.contains("::ffff:10.0.0.0/8 lets in every IPv6 address")));
}

#[test]
fn what_cannot_work_is_a_problem() {
    for (text, problem) in [
        ("TASKCLUSTER_CREDENTIALS_EXPIRE='32 days'", "at most 31 days"),
        ("TASKCLUSTER_CREDENTIALS_EXPIRE=soon", "a span such as"),
        ("TASKCLUSTER_ALLOWED_IPS=10.0.0.1", "10.0.0.1 has no prefix length; write 10.0.0.1/32"),
        ("TASKCLUSTER_ALLOWED_IPS=10.0.0.0/33", "expected networks"),
        ("TASKCLUSTER_CLIENT_ID_BASE='a b'", "client id"),
        ("DNS_SERVERS=resolver.example.org", "expected up to 16 addresses"),
        ("DNS_SERVERS='10.0.0.1 ::ffff:10.0.0.1'", "named twice"),
        ("DNS_AGREE=0", "from 1 to 16"),
        ("DNS_AGREE=2", "2 servers cannot agree"),
        ("DNS_AGREE=2\nDNS_SERVERS=10.0.0.1", "2 servers cannot agree"),
        ("HOST_REQUESTS_MAX=-1", "a number of requests"),
        ("OPERATOR_MAIL=nobody", "mail address"),
        ("PROXY_PROTOCOL=true", "needs TRUST_PROXY"),
    ] {
        assert!(problems_of(text).contains(problem), "{text}: {}", problems_of(text));
    }
    assert!(load_file("PROXY_PROTOCOL=true\nTRUST_PROXY=10.0.0.0/8").settings.listen.proxy_protocol);
}
