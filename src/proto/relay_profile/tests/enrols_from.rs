//! Stories about which hosts may enrol their agents by their name.

use super::*;

/// The hosts of a list.
fn of(list: &str) -> EnrolsFrom {
    let text = format!(
        "name = 'r'\nforeign-vhosts = ['v']\n[agents]\nvhost = 'v'\nsends-to = 'e'\ntakes-from = 'e'\nenrols-from = {list}\n"
    );
    let profile = Profile::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
    profile.agents().unwrap().enrols_from.clone()
}

fn includes(list: &str, address: &str, name: &str) -> bool {
    of(list).includes(address.parse().unwrap(), &name.parse().unwrap())
}

#[test]
fn nobody_enrols_by_a_name_where_nothing_is_named() {
    assert!(of("[]").is_empty() && EnrolsFrom::default().is_empty());
    assert!(!includes("[]", "10.1.2.3", "web1.example.net"));
    assert!(!of("['10.1.0.0/16']").is_empty() && !of("['example.net']").is_empty());
}

#[test]
fn networks_without_names_take_every_name_in_them() {
    let list = "['10.1.0.0/16', '192.0.2.7', '2001:db8:5::/48', '2001:db8::1']";
    for address in ["10.1.0.0", "10.1.255.255", "192.0.2.7", "2001:db8:5:f::1", "2001:db8::1"] {
        assert!(includes(list, address, "whatever.example"), "{address}");
    }
    for address in ["10.0.255.255", "10.2.0.0", "192.0.2.8", "2001:db8:6::1", "2001:db8::2", "::1"] {
        assert!(!includes(list, address, "whatever.example"), "{address}");
    }
}

#[test]
fn an_address_is_the_same_in_either_family() {
    assert!(includes("['10.1.0.0/16']", "::ffff:10.1.2.3", "web1.example.net"));
    assert!(includes("['::ffff:10.1.2.3']", "10.1.2.3", "web1.example.net"));
    assert!(!includes("['::/0']", "::ffff:10.1.2.3", "web1.example.net"), "IPv4 is not a part of IPv6");
    assert!(!includes("['0.0.0.0/0']", "2001:db8::1", "web1.example.net"));
    for address in ["10.1.2.3", "2001:db8::1"] {
        assert!(includes("['0.0.0.0/0', '::/0']", address, "web1.example.net"), "{address}");
    }
}

#[test]
fn names_without_networks_are_taken_wherever_they_are() {
    let list = "['*.example.net', 'relay.example.org']";
    for name in ["web1.example.net", "a.b.example.net", "relay.example.org"] {
        assert!(includes(list, "192.0.2.1", name) && includes(list, "2001:db8::1", name), "{name}");
    }
    for name in [
        "example.net",
        "web1.badexample.net",
        "badexample.net",
        "web1.example.net.evil.example",
        "a.relay.example.org",
        "net",
    ] {
        assert!(!includes(list, "192.0.2.1", name), "{name}");
    }
    assert!(includes("['example.net', '*.example.net']", "192.0.2.1", "example.net"));
    assert!(includes("['*.Example.NET.']", "192.0.2.1", "web1.example.net"), "as DNS may write it");
}

#[test]
fn where_both_are_named_a_host_has_to_be_of_both() {
    let list = "['*.example.net', '10.1.0.0/16', '192.0.2.7', 'relay.example.org']";
    assert!(includes(list, "10.1.2.3", "web1.example.net"));
    assert!(includes(list, "192.0.2.7", "relay.example.org"), "no network is that of a name only");
    assert!(!includes(list, "10.2.0.1", "web1.example.net"), "who can write the zone, and is elsewhere");
    assert!(!includes(list, "10.1.2.3", "web1.example.org"), "whoever else is in the network");
}

#[test]
fn an_entry_that_names_no_host_is_told_with_its_place() {
    let section = "name = 'r'\nforeign-vhosts = ['v']\n[agents]\nvhost = 'v'\nsends-to = 'e'\ntakes-from = 'e'\n";
    let expected =
        "expected a network such as 10.1.0.0/16, an address, a name in DNS, or `*.` and a name for all below it";
    let neither = [
        "",
        "*",
        "*.",
        "*.*.example.net",
        "web*.example.net",
        ".example.net",
        "web_1.example.net",
        "10.1",
        "10.1.2.3/33",
        "10.1.0.0/",
        "*.10.1.2.3",
        "2001:db8::/129",
        "10.1.0.0-10.1.0.9",
        "example.net:443",
        " example.net",
    ];
    for entry in neither {
        let text = format!("{section}enrols-from = ['*.example.net', '{entry}']\n");
        assert_eq!(said(&text), [format!("7:33: `enrols-from`: {expected}")], "{entry}");
    }
    let behind = "bits are set behind the length of this network; write its first address, as in 10.1.0.0/16";
    let mapped = "these are IPv4 addresses, written as IPv6 ones; write an IPv4 network such as 10.1.0.0/16";
    let many = (0..257).map(|number| format!("'10.1.{}.{}'", number / 256, number % 256)).collect::<Vec<_>>().join(",");
    compare(&[
        (
            &format!(
                "{section}enrols-from = [\n'10.1.2.3/16',\n'2001:db8::1/32',\n'::ffff:10.0.0.0/104',\n'a', 'a', 1]\n"
            ),
            &[
                &format!("8:1: `enrols-from`: {behind}"),
                &format!("9:1: `enrols-from`: {behind}"),
                &format!("10:1: `enrols-from`: {mapped}"),
                "11:6: `enrols-from`: `a` is there twice; remove one",
                "11:11: `enrols-from`: expected a text in quotes, not a whole number",
            ],
        ),
        (
            &format!("{section}enrols-from = '*.example.net'\n"),
            &["7:15: `enrols-from`: expected a list of texts in quotes, not a text"],
        ),
        (&format!("{section}enrols-from = [{many}]\n"), &["7:15: `enrols-from`: 257 entries; there may be 256"]),
    ]);
}
