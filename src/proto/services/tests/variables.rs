//! Which variables a task may set.

use super::*;

#[test]
fn what_images_want_to_be_told_is_a_variable() {
    for name in [
        "POSTGRES_PASSWORD",
        "a",
        "_",
        "A1",
        "HOME",
        "TZ",
        "LANG",
        "LC_ALL",
        "MALLOC_ARENA_MAX",
        "PYTHONUNBUFFERED",
        "JAVA_OPTS",
        "ES_JAVA_OPTS",
        "GIT_COMMIT",
        "PROXY_URL",
        "TASKCLUSTER_CLIENT_ID",
        "env",
        "path",
        "NODE_ENV",
    ] {
        let payload = parse(&with(&format!(r#""env": {{"{name}": ""}}"#))).unwrap();
        assert_eq!(payload.services[0].env, BTreeMap::from([(name.to_owned(), String::new())]));
    }
}

#[test]
fn what_would_give_the_task_the_scopes_of_the_image_is_refused_with_its_reason() {
    for (names, why) in [
        (
            &[
                "KEYLENDER_X",
                "TASKCLUSTER_PROXY_URL",
                "TASKCLUSTER_ROOT_URL",
                "X_PROXY_URL",
                "X_AMQP_URL",
                "X_AMQP_SOCKET",
                "TASK_ID",
                "RUN_ID",
            ][..],
            "is set by the worker",
        ),
        (
            &[
                "http_proxy",
                "HTTPS_PROXY",
                "No_Proxy",
                "all_proxy",
                "FTP_PROXY",
                "SSL_CERT_FILE",
                "NODE_EXTRA_CA_CERTS",
                "HOSTALIASES",
                "LOCALDOMAIN",
                "RES_OPTIONS",
                "RESOLV_HOST_CONF",
            ],
            "sends what a service asks elsewhere",
        ),
        (
            &[
                "LD_PRELOAD",
                "LD_",
                "DYLD_X",
                "GLIBC_TUNABLES",
                "PATH",
                "IFS",
                "ENV",
                "BASH_ENV",
                "BASH_FUNC_x",
                "PS4",
                "PERL5OPT",
                "PYTHONPATH",
                "PYTHONSTARTUP",
                "RUBYOPT",
                "NODE_OPTIONS",
                "_JAVA_OPTIONS",
                "GIT_SSH_COMMAND",
                "GIT_CONFIG_COUNT",
                "ERL_ZFLAGS",
                "LUA_INIT_5_4",
                "PHPRC",
                "OPENSSL_CONF",
            ],
            "has a loader, a shell or another program run what the task says",
        ),
    ] {
        for name in names {
            let said = said_of(&format!(r#""env": {{"{name}": ""}}"#));
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with(&format!("/services/0/env/{name}: \"{name}\" {why}")), "{said:?}");
        }
    }
}

#[test]
fn what_is_no_variable_is_told_at_its_place() {
    let long = "A".repeat(ENV_NAME_LEN_MAX + 1);
    let no_name = "is no name of a variable: expected A-Z a-z 0-9 _, not beginning with a digit";
    for (name, value, said) in [
        ("", "", format!("/services/0/env/: \"\" {no_name}")),
        ("1A", "", format!("/services/0/env/1A: \"1A\" {no_name}")),
        ("A-B", "", format!("/services/0/env/A-B: \"A-B\" {no_name}")),
        ("A=B", "", format!("/services/0/env/A=B: \"A=B\" {no_name}")),
        ("a/b~c", "", format!("/services/0/env/a~1b~0c: \"a/b~c\" {no_name}")),
        ("A\0", "", format!("/services/0/env/A\\u{{0}}: \"A\\u{{0}}\" {no_name}")),
        ("\u{410}", "", format!("/services/0/env/\u{410}: \"\u{410}\" {no_name}")),
        ("A\u{202e}", "", format!("/services/0/env/A\\u{{202e}}: \"A\\u{{202e}}\" {no_name}")),
        (&long, "", format!("/services/0/env: the name \"{}…\" has 257 bytes; there may be 256", "A".repeat(64))),
        ("A", "a\0b", "/services/0/env/A: the value has a NUL in it, which no variable can have".to_owned()),
        (
            "A",
            "() { :;}; id",
            "/services/0/env/A: a value that begins with \"() {\" has a loader, a shell or another program run what the \
             task says, with the scopes of the image"
                .to_owned(),
        ),
    ] {
        assert_eq!(said_of(&format!(r#""env": {{{}: {}}}"#, json(name), json(value))), [said], "{name}");
    }
}

#[test]
fn variables_are_bounded_each_and_together() {
    let fits = json(&"v".repeat(ENV_VALUE_LEN_MAX));
    assert!(parse(&with(&format!(r#""env": {{"A": {fits}}}"#))).is_ok());
    let long = json(&"v".repeat(1 << 20));
    let expected = [
        "/services/0/env: 1048579 bytes in all; there may be 32768",
        "/services/0/env/A: the value has 1048576 bytes; there may be 16384",
    ];
    assert_eq!(said_of(&format!(r#""env": {{"A": {long}}}"#)), expected);
    let five: Vec<String> = (0..5).map(|index| format!("\"A{index}\": {fits}")).collect();
    let expected = ["/services/0/env: 81940 bytes in all; there may be 32768"];
    assert_eq!(said_of(&format!(r#""env": {{{}}}"#, five.join(","))), expected);
    // A megabyte of small ones.
    let many: Vec<String> = (0..70_000).map(|index| format!("\"LD_{index}\":\"\"")).collect();
    let expected = ["/services/0/env: 70000 variables; there may be 256"];
    assert_eq!(said_of(&format!(r#""env": {{{}}}"#, many.join(","))), expected);
}
