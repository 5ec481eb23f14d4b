//! What a service may be called.

use super::*;

#[test]
fn a_name_is_a_label_in_lower_case() {
    let long = "a".repeat(NAME_LEN_MAX);
    for name in ["db", "a", "db-1", "1a", "0xg", "x--y", "ip6", "my-service-alias", "task-2", &long] {
        let parsed = ServiceName::parse(name).unwrap();
        assert_eq!((parsed.as_str(), parsed.to_string().as_str(), parsed.as_ref()), (name, name, name));
        let written = serde_json::to_string(&parsed).unwrap();
        assert_eq!(written, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<ServiceName>(&written).unwrap(), parsed);
    }
}

#[test]
fn what_is_no_name_is_told_why() {
    let long = "a".repeat(NAME_LEN_MAX + 1);
    let label = "expected 1 to 63 of a-z 0-9 -, with no - at either end; not ";
    for (name, why) in [
        ("", format!("{label}\"\"")),
        (&long, format!("{label}\"{long}\"")),
        (&"a".repeat(1 << 20), format!("{label}\"{}…\"", "a".repeat(64))),
        ("-db", format!("{label}\"-db\"")),
        ("db-", format!("{label}\"db-\"")),
        ("a.b", format!("{label}\"a.b\"")),
        ("a_b", format!("{label}\"a_b\"")),
        ("a b", format!("{label}\"a b\"")),
        ("db:5432", format!("{label}\"db:5432\"")),
        ("../db", format!("{label}\"../db\"")),
        ("d\u{f6}", format!("{label}\"d\u{f6}\"")),
        ("\u{430}pp", format!("{label}\"\u{430}pp\"")),
        ("db\u{200b}", format!("{label}\"db\\u{{200b}}\"")),
        ("db\u{202e}", format!("{label}\"db\\u{{202e}}\"")),
        ("db\0", format!("{label}\"db\\u{{0}}\"")),
        ("db\n", format!("{label}\"db\\u{{a}}\"")),
        ("DB", "\"DB\" has capital letters; write \"db\"".to_owned()),
        ("-Db", format!("{label}\"-Db\"")),
    ] {
        assert_eq!(ServiceName::parse(name).unwrap_err().message(), why, "{name}");
        assert!(serde_json::from_value::<ServiceName>(name.into()).is_err());
    }
}

#[test]
fn a_name_is_no_address_and_nothing_that_a_task_reaches_already() {
    for name in ["0", "123", "0177", "2130706433", "0x", "0x7f", "0x7f000001"] {
        assert!(ServiceName::parse(name).unwrap_err().message().contains("is an address"), "{name}");
    }
    for name in ["localhost", "task", "taskcluster", "keylender", "metadata", "wpad", "ip6-localhost", "xn--db-jia"] {
        assert!(ServiceName::parse(name).unwrap_err().message().contains("is reserved"), "{name}");
    }
}

#[test]
fn a_name_is_one_services() {
    let text =
        r#"{"services": [{"name": "db", "image": "a"}, {"name": "c", "image": "a"}, {"name": "db", "image": "b"}]}"#;
    assert_eq!(said(text), ["/services/2/name: there is another service \"db\"; rename or remove one of them"]);
}
