//! Heartbeats that no agent of its own accord sends: what Go reads in them, and what it refuses.

use super::{FIRST, SECOND, THIRD, read};
use crate::proto::heartbeat::Generation::{self, First, Second, Third};
use crate::proto::heartbeat::{BODY_LEN_MAX, Heartbeat, Mode};

fn refusal(body: &[u8], generation: Generation) -> String {
    Heartbeat::read(body, generation).unwrap_err().message().to_owned()
}

fn tags(body: &str, generation: Generation) -> Vec<(String, String)> {
    read(body, generation).tags.items
}

#[test]
fn what_is_no_json_is_refused_with_the_place() {
    for (body, said) in [
        ("", "JSON that ends too early"),
        (" \n", "JSON that ends too early"),
        (r#"{"name":"vm""#, "JSON that ends too early"),
        (r#"{"name":"v"#, "JSON that ends too early"),
        ("{,}", "no JSON: byte 2 does not belong there"),
        (r#"{"a":1,}"#, "no JSON: byte 8 does not belong there"),
        (r#"{"a" 1}"#, "no JSON: byte 6 does not belong there"),
        (r#"{"a":[1 2]}"#, "no JSON: byte 9 does not belong there"),
        (r#"{"a":[1}"#, "no JSON: byte 8 does not belong there"),
        (r#"{"a":01}"#, "no JSON: byte 7 does not belong there"),
        (r#"{"a":1.}"#, "no JSON: byte 8 does not belong there"),
        (r#"{"a":+1}"#, "no JSON: byte 6 does not belong there"),
        (r#"{"a":nulL}"#, "no JSON: byte 9 does not belong there"),
        (r#"{"a":"\x"}"#, "no JSON: byte 8 does not belong there"),
        (r#"{"a":"\u12g4"}"#, "no JSON: byte 11 does not belong there"),
        ("{\"a\":\"\t\"}", "no JSON: byte 7 does not belong there"),
        ("\u{feff}{}", "no JSON: byte 1 does not belong there"),
        ("{'a':1}", "no JSON: byte 2 does not belong there"),
    ] {
        for generation in [First, Second, Third] {
            assert_eq!(refusal(body.as_bytes(), generation), said, "{body}");
        }
    }
}

#[test]
fn what_stands_behind_the_body_is_refused_over_amqp_and_ignored_by_the_api() {
    for rest in ["x", "{}", "\u{c}", "\0"] {
        assert_eq!(refusal(format!("{SECOND}{rest}").as_bytes(), Second), "JSON with something behind it");
        assert_eq!(read(&format!("{THIRD}{rest}"), Third), read(THIRD, Third));
    }
    assert_eq!(read(&format!(" \r\n\t{FIRST}\n "), First), read(FIRST, First));
}

#[test]
fn a_value_of_another_type_is_refused_with_its_member() {
    for (generation, body, said) in [
        (First, "[]", "an object was expected"),
        (First, r#"{"name":1}"#, "name: a text was expected"),
        (First, r#"{"PID":"1"}"#, "pid: a whole number was expected"),
        (First, r#"{"pid":1.0}"#, "pid: a whole number was expected"),
        (First, r#"{"pid":1e3}"#, "pid: a whole number was expected"),
        (First, r#"{"pid":9223372036854775808}"#, "pid: a whole number was expected"),
        (Third, r#"{"pid":-1}"#, "pid: a whole number was expected"),
        (Third, r#"{"pid":18446744073709551615}"#, "pid: a whole number was expected"),
        (First, r#"{"id":1e999}"#, "id: a number was expected"),
        (First, r#"{"status":{}}"#, "status: a text was expected"),
        (First, r#"{"authorized":"yes"}"#, "authorized: true or false was expected"),
        (First, r#"{"environment":[]}"#, "environment: an object was expected"),
        (First, r#"{"environment":{"addresses":{}}}"#, "environment: addresses: a list was expected"),
        (Second, r#"{"environment":{"modules":["a",1]}}"#, "environment: modules: a text was expected"),
        (Second, r#"{"environment":{"aws":{"amiid":[]}}}"#, "environment: aws: amiid: a text was expected"),
        (Second, r#"{"tags":["a"]}"#, "tags: an object was expected"),
        (Second, r#"{"tags":{"a":1}}"#, "tags: a text was expected"),
        (Third, r#"{"tags":{"a":"b"}}"#, "tags: a list was expected"),
        (Third, r#"{"tags":[{"name":1}]}"#, "tags: name: a text was expected"),
        (First, r#"{"tags":{"a":[1,{"b":-1E400}]}}"#, "tags: a number is too large"),
        (First, r#"{"heartbeatts":1}"#, "heartbeatts: a time such as 2026-11-21T02:37:02Z was expected"),
        (First, r#"{"heartbeatts":""}"#, "heartbeatts: a time such as 2026-11-21T02:37:02Z was expected"),
    ] {
        assert_eq!(refusal(body.as_bytes(), generation), said, "{body}");
    }
}

#[test]
fn members_that_a_generation_does_not_have_are_ignored() {
    let body = r#"{"refreshts":1,"loadername":1,"environment":{"modules":1,"aws":1},"tags":null,"x":[1e999]}"#;
    assert!(Heartbeat::read(body.as_bytes(), First).is_ok() && Heartbeat::read(body.as_bytes(), Second).is_err());
    let body = r#"{"id":"","status":1,"authorized":1,"heartbeatts":1,"destructiontime":1,"refreshts":1}"#;
    assert!(Heartbeat::read(body.as_bytes(), Third).is_ok());
}

#[test]
fn names_match_in_either_case_and_the_last_one_holds() {
    let body = "{\"NAME\":\"a\",\"ver\u{17f}ion\":\"1\",\"Ver\\u017fIon\":\"2\",\"nam\u{c9}\":\"x\",\"name\":\"b\",\"name \":\"c\"}";
    let read = read(body, First);
    assert_eq!((read.name.as_str(), read.version.as_str()), ("b", "2"));
}

#[test]
fn null_leaves_what_was_there_but_empties_lists_and_tags() {
    assert_eq!(read("null", Second).mode, Mode::Unstated);
    let all =
        r#""name":null,"pid":null,"starttime":null,"tags":null,"environment":{"os":null,"addresses":null,"aws":null}"#;
    let read = read(&format!("{},\"environment\":null,{all}}}", FIRST.strip_suffix('}').unwrap()), First);
    assert_eq!((read.name.as_str(), read.pid, read.environment.os.as_str()), ("vm", 21522, "linux"));
    assert!(read.started_at.is_some() && read.tags.items.is_empty() && read.environment.addresses.items.is_empty());
}

#[test]
fn what_comes_twice_is_filled_further_as_in_go() {
    let body =
        r#"{"environment":{"os":"a","arch":"b"},"environment":{"os":"c"},"tags":{"x":"1","y":"2"},"tags":{"x":null}}"#;
    let environment = read(body, Second).environment;
    assert_eq!((environment.os.as_str(), environment.arch.as_str()), ("c", "b"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(tags(body, Second), [pair("x", ""), pair("y", "2")]);
    assert_eq!(tags(body, First), [pair("x", "null")], "tags of any shape are replaced");
    let body =
        r#"{"tags":[{"name":"a","value":"1"},{"name":"b","value":"2"}],"tags":[{"value":"3"}],"tags":[null,null]}"#;
    assert_eq!(tags(body, Third), [pair("a", "3"), pair("b", "2")]);
    assert!(tags(&body.replace("[null,null]", "[]"), Third).is_empty());
    assert_eq!(tags(&body.replace("[null,null]", "[],\"tags\":[null]"), Third), [pair("", "")]);
}

#[test]
fn bytes_that_are_no_text_become_replacement_characters_one_by_one() {
    for (written, meant) in [
        (&b"a\xffb"[..], "a\u{fffd}b"),
        (b"\xe2\x82", "\u{fffd}\u{fffd}"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xe2\x82\\u0041", "\u{fffd}\u{fffd}A"),
        (br"\ud800", "\u{fffd}"),
        (br"\ud800\u0041", "\u{fffd}A"),
        (br"\ud800\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (br"\udc00\uD83D\n", "\u{fffd}\u{fffd}\n"),
        (br#"\"\\\/\b\f\n\r\t\u0000"#, "\"\\/\u{8}\u{c}\n\r\t\0"),
    ] {
        let body = [br#"{"name":""#, written, br#""}"#].concat();
        assert_eq!(Heartbeat::read(&body, First).unwrap().name, meant, "{written:?}");
    }
}

#[test]
fn tags_of_the_first_generation_have_any_shape() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (written, expected) in [
        (
            r#"{"b":"x","a":[1, {"c" : "d e"}, true],"b":2.50}"#,
            vec![pair("a", r#"[1,{"c":"d e"},true]"#), pair("b", "2.50")],
        ),
        (r#""servers""#, vec![pair("", "servers")]),
        (r#"[ "a", "b" ]"#, vec![pair("", r#"["a","b"]"#)]),
        ("false", vec![pair("", "false")]),
        ("null", vec![]),
    ] {
        assert_eq!(tags(&format!("{{\"tags\":{written}}}"), First), expected);
    }
}

#[test]
fn lists_and_objects_are_ten_thousand_deep_at_most() {
    for (depth, is_read) in [(9_999, true), (10_000, false), (40_000, false)] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for member in ["x", "tags"] {
            let body = format!("{{\"{member}\":{deep}}}");
            assert_eq!(Heartbeat::read(body.as_bytes(), First).is_ok(), is_read, "{member} {depth}");
        }
        let body = format!("{{\"x\":{}1{}}}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(Heartbeat::read(body.as_bytes(), Third).is_ok(), is_read, "objects {depth}");
    }
}

#[test]
fn a_body_and_what_is_kept_of_it_have_limits() {
    let padded = |len: usize| format!("{FIRST}{}", " ".repeat(len - FIRST.len()));
    assert!(Heartbeat::read(padded(BODY_LEN_MAX).as_bytes(), First).is_ok());
    assert_eq!(refusal(padded(BODY_LEN_MAX + 1).as_bytes(), First), "discarded heartbeat larger than 100kB");
    let list = vec![r#""a""#; 70].join(",");
    let tags: Vec<String> = (0..70).map(|number| format!("\"{number:02}\":\"\"")).collect();
    let body = format!(
        r#"{{"environment":{{"os":"{}","arch":"{}","addresses":[{list}],"modules":[{list}]}},"tags":{{{}}}}}"#,
        "\u{e9}".repeat(300),
        "a".repeat(513),
        tags.join(",")
    );
    let read = read(&body, Second);
    let environment = read.environment;
    assert_eq!((environment.addresses.items.len(), environment.addresses.left_out), (64, 6));
    assert_eq!((environment.modules.items.len(), environment.modules.left_out), (32, 38));
    assert_eq!((read.tags.items.len(), read.tags.left_out), (64, 6));
    assert_eq!(environment.os, format!("{}\u{2026}", "\u{e9}".repeat(254)));
    assert_eq!(environment.arch, format!("{}\u{2026}", "a".repeat(509)));
}
