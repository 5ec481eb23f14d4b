//! What does not go together, and what no broker would keep as it is.

use super::*;

#[test]
fn names_that_a_broker_would_change_or_not_find_are_refused() {
    let long = "n".repeat(256);
    let text = format!(
        "name = 'A'\nabsent-users = [\"gu\\nest\"]\n[[vhost]]\nname = \"v\\r\"\n\
         [[vhost.exchange]]\nname = 'amq.mine'\ntype = 'topic'\n[[vhost.queue]]\nname = \"a\\nb\"\n\
         [[vhost.queue]]\nname = '..'\n[[vhost.queue]]\nname = ''\n[[vhost.queue]]\nname = '{long}'\n\
         [[vhost.policy]]\nname = '.'\npattern = ''\ndefinition.a = 1\n\
         [[account]]\nname = '{long}'\ntags = ['', 'a b', 'a,b']\n"
    );
    assert_eq!(
        said(&text),
        [
            "1:8: `name`: expected 1 to 64 of a-z 0-9 -",
            "2:17: `absent-users`: brokers drop line ends from names; leave them out",
            "4:8: `name`: brokers drop line ends from names; leave them out",
            "6:8: `name`: names that begin with amq. are the broker's own; take another one",
            "9:8: `name`: brokers drop line ends from names; leave them out",
            "11:8: `name`: expected a name of 1 to 255 bytes, not . or ..",
            "13:8: `name`: expected a name of 1 to 255 bytes, not . or ..",
            "15:8: `name`: expected a name of 1 to 255 bytes, not . or ..",
            "17:8: `name`: expected a name of 1 to 255 bytes, not . or ..",
            "18:11: `pattern`: an empty pattern fits every name; write '.*' if that is meant",
            "21:8: `name`: expected a name of 1 to 255 bytes, not . or ..",
            "22:9: `tags`: expected a word without blanks and commas",
            "22:13: `tags`: expected a word without blanks and commas",
            "22:20: `tags`: expected a word without blanks and commas",
        ]
    );
}

#[test]
fn what_has_one_name_is_there_once() {
    let vhost = "[[vhost]]\nname = 'v'\n[[vhost.exchange]]\nname = 'x'\ntype = 'topic'\n[[vhost.exchange]]\nname = 'x'\n\
                 type = 'direct'\n[[vhost.queue]]\nname = 'x'\n[[vhost.queue]]\nname = 'x'\n\
                 [[vhost.policy]]\nname = 'x'\npattern = 'x'\ndefinition.a = 1\n\
                 [[vhost.operator-policy]]\nname = 'x'\npattern = 'x'\ndefinition.a = 1\n\
                 [[vhost.policy]]\nname = 'x'\npattern = 'x'\ndefinition.a = 1\n[[vhost]]\nname = 'v'\n";
    let account = "[[account]]\nname = 'a'\n[[account.grant]]\nvhost = 'v'\nconfigure = ''\nwrite = ''\nread = ''\n\
                   topic = [{ exchange = 'x', write = '', read = '' }, { exchange = 'x', write = '', read = '' }]\n\
                   consumes = ['q', 'q']\n[[account.grant]]\nvhost = 'v'\nconfigure = ''\nwrite = ''\nread = ''\n\
                   [[account]]\nname = 'a'\n";
    compare(&[
        (
            &format!("name = 'a'\n{vhost}"),
            &[
                "8:8: there is another [[vhost.exchange]] with the `name` `x`; rename or remove one of them",
                "13:8: there is another [[vhost.queue]] with the `name` `x`; rename or remove one of them",
                "23:8: there is another [[vhost.policy]] with the `name` `x`; rename or remove one of them",
                "27:8: there is another [[vhost]] with the `name` `v`; rename or remove one of them",
            ],
        ),
        (
            &format!("name = 'a'\n[[vhost]]\nname = 'v'\n{account}"),
            &[
                "11:66: there is another [[account.grant.topic]] with the `exchange` `x`; rename or remove one of them",
                "12:18: `consumes`: `q` is there twice; remove one",
                "14:9: there is another [[account.grant]] with the `vhost` `v`; rename or remove one of them",
                "19:8: there is another [[account]] with the `name` `a`; rename or remove one of them",
            ],
        ),
    ]);
}

#[test]
fn bindings_have_both_their_ends_and_are_there_once() {
    let things = "name = 'a'\n[[vhost]]\nname = 'v'\n[[vhost.exchange]]\nname = 'e'\ntype = 'topic'\n\
                  [[vhost.queue]]\nname = 'q'\n";
    let binding = |source: &str, destination: &str, rest: &str| {
        format!("[[vhost.binding]]\nsource = '{source}'\ndestination = '{destination}'\n{rest}\n")
    };
    let right = [
        binding("e", "q", ""),
        binding("e", "q", "routing-key = 'k'"),
        binding("e", "q", "arguments = { a = 1, b = 2 }"),
        binding("e", "e", "destination-type = 'exchange'"),
        binding("amq.headers", "amq.fanout", "destination-type = 'exchange'"),
    ];
    assert!(Profile::parse(&format!("{things}{}", right.concat())).is_ok());
    compare(&[
        (
            &[things.to_owned(), binding("q", "e", ""), binding("e", "q", "destination-type = 'exchange'")].concat(),
            &[
                "10:10: `source`: no exchange `q` is declared in this vhost; add [[vhost.exchange]] for it, or name another one",
                "11:15: `destination`: no queue `e` is declared in this vhost; add [[vhost.queue]] for it, or name another one",
                "15:15: `destination`: no exchange `q` is declared in this vhost; add [[vhost.exchange]] for it, \
                 or name another one",
            ],
        ),
        (
            &[things, &right[2], &right[1], &binding("e", "q", "arguments = { b = 2, a = 1 }")].concat(),
            &["18:10: there is another binding just like this; remove one of them"],
        ),
        (
            &[things, &binding("", "q", ""), "[[vhost]]\nname = 'w'\n", &binding("amq.x", "q", "")].concat(),
            &[
                "10:10: `source`: expected a name of 1 to 255 bytes, not . or ..",
                "16:10: `source`: no exchange `amq.x` is declared in this vhost; add [[vhost.exchange]] for it, \
                 or name another one",
                "17:15: `destination`: no queue `q` is declared in this vhost; add [[vhost.queue]] for it, or name another one",
            ],
        ),
    ]);
}

#[test]
fn queues_and_policies_that_no_broker_takes_are_refused() {
    compare(&[(
        "name = 'a'\n[[vhost]]\nname = 'v'\n[[vhost.queue]]\nname = 'q'\ntype = 'quorum'\ndurable = false\nauto-delete = true\n\
         [[vhost.queue]]\nname = 's'\ntype = 'stream'\ndurable = true\nauto-delete = true\n\
         arguments = { x-queue-type = 'quorum' }\n[[vhost.policy]]\nname = 'p'\npattern = 'x'\ndefinition = {}\n",
        &[
            "7:11: `durable`: of type quorum it is always true; leave this out",
            "8:15: `auto-delete`: of type quorum it is always false; leave this out",
            "13:15: `auto-delete`: of type stream it is always false; leave this out",
            "14:30: `x-queue-type`: say it as `type` of the queue instead",
            "18:14: `definition`: expected at least one setting, such as { max-length = 1000 }",
        ],
    )]);
}

#[test]
fn grants_are_for_vhosts_that_are_declared_or_named_as_foreign() {
    let grant = |vhost: &str| format!("[[account.grant]]\nvhost = '{vhost}'\nconfigure = ''\nwrite = ''\nread = ''\n");
    let text = ["[[vhost]]\nname = 'v'\n[[account]]\nname = 'a'\n", &grant("v"), &grant("w")].concat();
    assert!(Profile::parse(&format!("name = 'a'\nforeign-vhosts = ['w']\n{text}")).is_ok());
    compare(&[
        (
            &format!("name = 'a'\n{text}"),
            &["12:9: `vhost`: `w` is not declared here; add [[vhost]] for it, or put it into foreign-vhosts \
               if others declare it"],
        ),
        (
            &format!("name = 'a'\nforeign-vhosts = ['w', 'v']\n{text}"),
            &["2:24: `v` is declared in this profile; take it out of foreign-vhosts"],
        ),
    ]);
}

#[test]
fn spans_and_ways_of_rotation_go_together() {
    compare(&[(
        "name = 'a'\n[[account]]\nname = 'a'\nrotate-every = '0 days'\nback-within = '- 1 minute'\n\
         [[account]]\nname = 'b'\nrotate-by = 'in-place'\n\
         [[account]]\nname = 'c'\nrotate-every = '30 seconds'\nback-within = '4000 days'\n\
         [[account]]\nname = 'd'\nrotate-every = '1 minute'\nback-within = '1 minute'\n\
         [[account]]\nname = 'e'\nrotate-every = 'monthly'\nback-within = '0 seconds'\n",
        &[
            "4:16: `rotate-every`: expected more than no time; leave the key out if that is meant",
            "5:15: `back-within`: expected more than no time; leave the key out if that is meant",
            "8:13: `rotate-by` needs `rotate-every`; add that, or leave both out",
            "11:16: `rotate-every`: expected 1 minute or more, as nobody looks more often",
            "11:16: `rotate-every`: expected longer than `back-within`, or no rotation could be proven",
            "12:15: `back-within`: expected at most 3650 days",
            "15:16: `rotate-every`: expected longer than `back-within`, or no rotation could be proven",
            "19:16: `rotate-every`: expected a span such as `30 days` or `1 minute`",
            "20:15: `back-within`: expected more than no time; leave the key out if that is meant",
        ],
    )]);
}

#[test]
fn no_user_stands_for_two_things() {
    let account =
        |name: &str, by: &str| format!("[[account]]\nname = '{name}'\nrotate-every = '1 day'\nrotate-by = '{by}'\n");
    let text = ["name = 'a'\nabsent-users = ['guest', 'a', 'b-2']\n", &account("a", "in-place")].concat();
    let text = [text, account("b", "in-turn"), account("b-1", "in-place"), account("b-1-1", "in-turn")].concat();
    let (most, long) = (account(&"n".repeat(253), "in-turn"), account(&"n".repeat(254), "in-turn"));
    assert!(Profile::parse(&format!("name = 'a'\n{most}")).is_ok());
    compare(&[
        (
            &text,
            &[
                "2:26: `absent-users`: `a` is a user of an account of this profile; remove one of the two",
                "2:31: `absent-users`: `b-2` is a user of an account of this profile; remove one of the two",
                "12:8: `name`: the broker user `b-1` belongs to the account `b`, too; rename one of them",
            ],
        ),
        (
            &format!("name = 'a'\n{long}"),
            &["3:8: `name`: expected at most 253 bytes, as its users have -1 and -2 behind it; shorten it"],
        ),
    ]);
}

#[test]
fn what_is_too_much_is_told_once() {
    let accounts = |count| (0..count).map(|index| format!("[[account]]\nname = 'a{index}'\n")).collect::<String>();
    assert!(Profile::parse(&format!("name = 'a'\n{}", accounts(5_000))).is_ok());
    compare(&[(&format!("name = 'a'\n{}", accounts(5_001)), &["2:3: 5001 times [[account]]; there may be 5000"])]);
    let tags = (0..33).map(|index| format!("'{index}',")).collect::<String>();
    compare(&[(
        &format!("name = 'a'\n[[account]]\nname = 'a'\ntags = [{tags}]\n"),
        &["4:8: `tags`: 33 entries; there may be 32"],
    )]);
    let pattern = "a".repeat(65_537);
    let text = format!(
        "name = 'a'\n[[vhost]]\nname = 'v'\n[[account]]\nname = 'a'\nnote = '{}'\n[[account.grant]]\nvhost = 'v'\n\
         configure = '{pattern}'\nwrite = ''\nread = ''\n",
        "n".repeat(4_097)
    );
    compare(&[(
        &text,
        &[
            "6:8: `note`: expected at most 4096 bytes",
            "9:13: `configure`: expected at most 65536 bytes; no broker takes a longer pattern",
        ],
    )]);
    let text = "#".repeat(TEXT_LEN_MAX + 1);
    assert_eq!(said(&text), ["1:1: a profile has at most 4194304 bytes, not 4194305; take it apart"]);
}

#[test]
fn many_mistakes_are_told_up_to_a_number_and_then_counted() {
    let text = (0..2_000).map(|index| format!("k{index} = 1\n")).collect::<String>();
    let said = said(&text);
    assert_eq!((said.len(), said[0].as_str()), (501, "1:1: unknown key `k0`; the nearest known one is `name`"));
    assert!(said[500].ends_with("and 1501 more mistakes; correct these first"), "{}", said[500]);
    let text = format!("{} = 1\n\"b\\u202ec\" = 1\nname = 'a'\n", "k".repeat(100));
    let long = format!("1:1: unknown key `{}…`; the nearest known one is `name`", "k".repeat(64));
    assert_eq!(super::said(&text), [long.as_str(), r"2:1: unknown key `b\u{202e}c`; the nearest known one is `name`"]);
}

#[test]
fn of_a_long_text_that_is_no_toml_the_first_mistake_is_told() {
    let text = format!("{}name = [\nname = [\n", "#\n".repeat(RECOVERED_LEN_MAX / 2));
    assert_eq!(said(&text), ["131074:6: this is no TOML: unexpected `=` in array, expected value, `]`"]);
    assert!(said("name = [\nname = [\n").len() > 1);
}
