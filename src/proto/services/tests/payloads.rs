//! Whole payloads: what is in them, and what else may stand there.

use super::*;

/// The payload that is shown to whoever wants to write one.
const EXAMPLE: &str = include_str!("../../../../examples/services.json");

#[test]
fn a_payload_says_name_image_command_and_variables() {
    let payload = parse(&with(r#""command": ["-c", "fsync=off", ""], "env": {"B": "x", "A": "y\n\u20ac"}"#)).unwrap();
    let [service] = &payload.services[..] else { panic!("{payload:?}") };
    assert_eq!((service.name.as_str(), service.image.as_str()), ("db", "postgres:16"));
    assert_eq!(service.command, ["-c", "fsync=off", ""]);
    let variables: Vec<_> = service.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("A", "y\n\u{20ac}"), ("B", "x")]);
    assert_eq!(parse("{\"services\": []}\n").unwrap().services, []);
}

#[test]
fn the_example_is_right() {
    let names: Vec<String> = parse(EXAMPLE).unwrap().services.iter().map(|service| service.name.to_string()).collect();
    assert_eq!(names, ["db", "symbols"]);
}

#[test]
fn what_belongs_to_the_worker_is_passed_over() {
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    let text = format!(
        r#"{{"image": {{"name": 5}}, "command": {deep}, "env": {{"LD_PRELOAD": "x", "a": 1, "a": 2}}, "maxRunTime": 1e999,
        "features": {{}}, "capabilities": {{}}, "artifacts": {{}}, "cache": null, "log": "", "onExitStatus": {{}},
        "supersederUrl": "", "encryptedEnv": [], "services": []}}"#
    );
    assert_eq!(parse(&text).unwrap().services, []);
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_text() {
    let text = r#"{"servces": [], "image": 1, "services": [
        {"name": "DB", "image": "Postgres", "comand": [1], "env": {"LD_PRELOAD": "x", "A": 5}, "logs": {}},
        {"name": "db", "command": [[], "a\u0000b", null], "environment": {}},
        5, {"command": "psql", "env": [], "image": null}], "image": 2}"#;
    assert_eq!(
        said(text),
        [
            "/servces: unknown member \"servces\"; the nearest is \"services\"",
            "/services/0/name: \"DB\" has capital letters; write \"db\"",
            "/services/0/image: \"Postgres\" has capital letters; a repository is written in lower case",
            "/services/0/comand: unknown member \"comand\"; the nearest is \"command\"",
            "/services/0/env/LD_PRELOAD: \"LD_PRELOAD\" has a loader, a shell or another program run what the task says, \
             with the scopes of the image",
            "/services/0/env/A: expected a text in quotes, not a number",
            "/services/0/logs: \"logs\" of services are not there yet; leave it out",
            "/services/1: \"image\" is missing; add it",
            "/services/1/command/0: expected a text in quotes, not a list",
            "/services/1/command/1: the word has a NUL in it, which no command can have",
            "/services/1/command/2: expected a text in quotes, not null",
            "/services/1/environment: unknown member \"environment\"; the nearest is \"env\"",
            "/services/2: expected an object with \"name\" and \"image\", not a number",
            "/services/3: \"name\" is missing; add it",
            "/services/3/command: expected a list of texts, not a text",
            "/services/3/env: expected an object of texts, not a list",
            "/services/3/image: expected a text in quotes, not null",
            "/image: \"image\" is there twice; remove one",
        ]
    );
}

#[test]
fn what_is_no_payload_is_told_in_a_sentence() {
    for (text, said_of_it) in [
        ("", "this is no JSON that can be read: EOF while parsing a value at line 1 column 0"),
        ("{\n  \"services\": [,]}", "this is no JSON that can be read: expected value at line 2 column 16"),
        ("{\"services\": []} x", "this is no JSON that can be read: trailing characters at line 1 column 18"),
        ("{}", "\"services\" is missing; add it"),
        ("[]", "expected an object with \"services\", not a list"),
        ("null", "expected an object with \"services\", not null"),
        ("\"services\"", "expected an object with \"services\", not a text"),
        ("{\"services\": {}}", "/services: expected a list of services, not an object"),
        ("{\"services\": true}", "/services: expected a list of services, not true or false"),
        ("{\"services\": [], \"services\": 1}", "/services: \"services\" is there twice; remove one"),
        (
            "{\"services\": [\"\\ud800\"]}",
            "this is no JSON that can be read: unexpected end of hex escape at line 1 column 22",
        ),
    ] {
        assert_eq!(said(text), [said_of_it], "{text}");
    }
    let long = format!("{{\"services\": []{}}}", " ".repeat(TEXT_LEN_MAX));
    assert_eq!(said(&long), [format!("the payload has {} bytes; there may be 4194304", long.len())]);
}

#[test]
fn a_member_that_is_there_twice_is_a_mistake_wherever_it_is() {
    let twice = "is there twice; remove one";
    for (members, at) in [
        (r#""name": "db""#, "/services/0/name: \"name\""),
        (r#""n\u0061me": "x""#, "/services/0/name: \"name\""),
        (r#""env": {"A": "", "A": ""}"#, "/services/0/env/A: \"A\""),
        (r#""command": [], "command": []"#, "/services/0/command: \"command\""),
    ] {
        assert_eq!(said_of(members), [format!("{at} {twice}")]);
    }
}

#[test]
fn what_engines_are_told_of_containers_is_not_the_tasks_to_say() {
    for name in
        ["volumes", "Binds", "mounts", "privileged", "capAdd", "cap_add", "networkMode", "user", "entrypoint", "ports"]
    {
        let said = said_of(&format!(r#""{name}": []"#));
        let expected = format!(
            "/services/0/{name}: \"{name}\" is not the task's to say: a service has what its worker and its image give it"
        );
        assert_eq!(said, [expected]);
    }
    for name in ["logs", "devices", "cache", "caches", "artifacts"] {
        let expected = format!("/services/0/{name}: \"{name}\" of services are not there yet; leave it out");
        assert_eq!(said_of(&format!(r#""{name}": []"#)), [expected]);
    }
    let long = "x".repeat(1 << 20);
    let expected = format!("/services/0: unknown member \"{}…\"; the nearest is ", "x".repeat(64));
    let said = said_of(&format!(r#""{long}": []"#));
    assert!(said.len() == 1 && said[0].starts_with(&expected), "{said:?}");
}

#[test]
fn what_is_too_much_is_told_once() {
    let many = |count: usize| {
        let all: Vec<String> = (0..count).map(|index| format!(r#"{{"name": "s{index}", "image": "a"}}"#)).collect();
        format!(r#"{{"services": [{}]}}"#, all.join(","))
    };
    assert_eq!(parse(&many(SERVICES_MAX)).unwrap().services.len(), SERVICES_MAX);
    assert_eq!(said(&many(100)), ["/services: 100 services; there may be 32"]);
    let words = |count: usize, word: &str| format!(r#""command": [{}]"#, vec![json(word); count].join(","));
    assert!(parse(&with(&words(COMMAND_WORDS_MAX, "a"))).is_ok());
    assert_eq!(said_of(&words(1_000, "a")), ["/services/0/command: 1000 words; there may be 256"]);
    assert_eq!(
        said_of(&words(2, &"a".repeat(1 << 15))),
        ["/services/0/command: 65538 bytes in all; there may be 16384"]
    );
    let large = format!(r#"{{"name": "NAME", "image": "a", "env": {{"A": "{0}", "B": "{0}"}}}}"#, "v".repeat(10_000));
    let all: Vec<_> = ["a1", "a2", "a3"].iter().map(|name| large.replace("NAME", name)).collect();
    let two = format!(r#"{{"services": [{}]}}"#, all[..2].join(","));
    let three = format!(r#"{{"services": [{}]}}"#, all.join(","));
    assert!(parse(&two).is_ok());
    assert!(self::said(&three)[0].starts_with("/services: the services have 60"), "{:?}", self::said(&three));
    // Each of them is wrong in itself; more than anybody reads are only counted.
    let wrong = format!(r#"{{"services": [{}]}}"#, vec![format!("{{{}}}", words(256, "\0")); 4].join(","));
    let said = said(&wrong);
    assert_eq!((said.len(), said[200].as_str()), (201, "and 832 more mistakes; correct these first"));
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    assert_eq!(
        said_of(&format!("\"command\": {deep}")),
        ["/services/0/command/0: expected a text in quotes, not a list"]
    );
    let deep = r#"{"a":"#.repeat(1_000) + "1" + &"}".repeat(1_000);
    assert_eq!(said_of(&format!("\"env\": {deep}")), ["/services/0/env/a: expected a text in quotes, not an object"]);
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    let expected = "/services/0: expected an object with \"name\" and \"image\", not a list";
    assert_eq!(said(&format!("{{\"services\": {deep}}}")), [expected]);
    let unfinished = said(&"[".repeat(1_000));
    assert!(unfinished.len() == 1 && unfinished[0].contains("EOF"), "{unfinished:?}");
    let wide = said(&format!("{{\"services\": [{}0]}}", "0,".repeat(1 << 20)));
    assert!(wide.len() == 1 && wide[0].contains("more than 500000 values at line 1"), "{wide:?}");
}
