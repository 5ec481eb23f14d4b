//! With answers of Erlang 25, 27 and 29, and with what RabbitMQ 3.10.8, 4.0.5 and 4.3.6 let through.

mod rows;

use super::Operation::*;
use super::Right::{Configure, Read, Write};
use super::*;

/// A pattern, a name, and whether it fits: for Erlang up to 27, from 28 on, and for any. All `y` and `n` are Erlang's own.
const ROWS: &[(&str, &[u8], &str)] = &[
    ("", b"", "yyy"),
    ("", b"x", "nnn"),
    ("", b"\n", "yyy"),
    (r".*", b"a", "yyy"),
    (r"^(queue/ns/.*|exchange/ns/.*)$", b"queue/ns/x", "yyy"),
    (r"^(queue/ns/.*|exchange/ns/.*)$", b"xqueue/ns/x", "nnn"),
    (r"^(queue/ns/.*|exchange/ns/.*)$", b"queue/ns/x\n", "yyy"),
    (r"^(queue/ns/.*|exchange/ns/.*)$", b"queue/ns/a\nb", "nnn"),
    (r"^queue/./x$", b"queue/\xC3\xBC/x", "nnn"),
    (r"^queue/../x$", b"queue/\xC3\xBC/x", "yyy"),
    (r"^queue/ü/x$", b"queue/\xC3\xBC/x", "yyy"),
    (r"[ü]", b"\xC3", "yyy"),
    (r"^[ü]$", b"\xC3\xBC", "nnn"),
    (r"^\xfc$", b"\xC3\xBC", "nnn"),
    (r"^\xfc$", b"\xFC", "yyy"),
    (r"a|b", b"xbx", "yyy"),
    (r"^a|b$", b"axx", "yyy"),
    (r"a$", b"a\n", "yyy"),
    (r"a\z", b"a\n", "nnn"),
    (r"a\Z", b"a\n", "yyy"),
    (r"a$\n", b"a\n", "yyy"),
    (r"^a$", b"a\n\n", "nnn"),
    (r"(?m)^b", b"a\nb", "yyy"),
    (r"(?m)\n^", b"a\n", "nnn"),
    (r"(?m)a$", b"a\nb", "yyy"),
    (r"\Ga", b"ba", "nnn"),
    (r"a\Kb", b"ab", "yyy"),
    (r"^\w$", b"\xE9", "yn?"),
    (r"^\W$", b"\xE9", "ny?"),
    (r"^\w$", b"\xC3\x9F", "nnn"),
    (r"\bcaf\b", b"caf\xC3\xA9", "ny?"),
    (r"\bcaf\b", b"caf-", "yyy"),
    (r"\bfoo\b", b"foo\xC3\xA9", "ny?"),
    (r"\B", b"\xC3\xA9a", "ny?"),
    (r"(?i)^ü$", b"\xC3\x9C", "nnn"),
    (r"(?i)^\xe9$", b"\xC9", "yn?"),
    (r"(?i)^\xf7$", b"\xD7", "nnn"),
    (r"(?i)^[^\xe0]$", b"\xC0", "ny?"),
    (r"(?i)^queue$", b"QUEUE", "yyy"),
    (r"^[[:alpha:]]$", b"\xFF", "yn?"),
    (r"^[[:ascii:]]$", b"\xFF", "yn?"),
    (r"^[[:upper:]]$", b"\xC9", "yn?"),
    (r"(?i)^[[:upper:]]$", b"a", "yyy"),
    (r"(?i)^[[:^upper:]]$", b"a", "nnn"),
    (r"^[[:print:]]$", b"\xA0", "yn?"),
    (r"^\s$", b"\xA0", "nnn"),
    (r"^\h$", b"\xA0", "yyy"),
    (r"^\v$", b"\x85", "yyy"),
    (r"^\s$", b"\x0B", "yyy"),
    (r"^[\w-.]+$", b"a-b.c", "y??"),
    (r"^[\w-.]+$", b"a+b", "n??"),
    (r"^[\w.-]+$", b"a-b.c", "yyy"),
    (r"^[a-z\d-_.]+$", b"a_b", "y??"),
    (r"^[[:alnum:]-.]+$", b"a-b", "y??"),
    (r"^[a-c-9]$", b"-", "yyy"),
    (r"^[]a]$", b"]", "yyy"),
    (r"^[^]a]$", b"b", "yyy"),
    (r"^[[]$", b"[", "yyy"),
    (r"^[a[]$", b"[", "yyy"),
    (r"^[[a]b]$", b"[b]", "yyy"),
    (r"^[a&&b]$", b"&", "yyy"),
    (r"^[a-z--b]$", b"-", "yyy"),
    (r"^[\A]$", b"A", "y??"),
    (r"^[\b]$", b"\x08", "yyy"),
    (r"^[\8]$", b"8", "yyy"),
    (r"^[\1]$", b"\x01", "yyy"),
    (r"[[:foo:]]", b"a", "???"),
    (r"^[[:alpha]$", b"[", "yyy"),
    (r"[z-a]", b"z", "???"),
    (r"^a{,2}$", b"aa", "ny?"),
    (r"^a{,2}$", b"a{,2}", "yn?"),
    (r"^a{ 2 }$", b"aa", "ny?"),
    (r"^a{2, 3}$", b"aa", "ny?"),
    (r"^a{2}$", b"aa", "yyy"),
    (r"^a{2,}$", b"a", "nnn"),
    (r"^a{}$", b"a{}", "yyy"),
    (r"^a{x}$", b"a{x}", "yyy"),
    (r"^{$", b"{", "yyy"),
    (r"a{65536}", b"a", "???"),
    (r"a**", b"a", "???"),
    (r"^a++a", b"aa", "nnn"),
    (r"^a++b", b"aab", "yyy"),
    (r"^(?>a|ab)c", b"abc", "nnn"),
    (r"^(?>ab|a)c", b"abc", "yyy"),
    (r"^(?!amq\.).*", b"amq.gen", "nnn"),
    (r"^(?!amq\.).*", b"x", "yyy"),
    (r"^(?=.*x)a", b"abx", "yyy"),
    (r"^.*(?<!secret)$", b"my.secret", "nnn"),
    (r"^.*(?<!secret)$", b"my", "yyy"),
    (r"(?<=a|bc)d", b"bcd", "yyy"),
    (r"^(a|b)\1$", b"bb", "yyy"),
    (r"^(a|b)\1$", b"ba", "nnn"),
    (r"(?i)^(a)\1$", b"aA", "yyy"),
    (r"(a\1)", b"a", "???"),
    (r"^(?:a|)+b", b"b", "yyy"),
    (r"^(?:(a)|b)*\1$", b"aba", "yyy"),
    (r"\y", b"y", "y??"),
    (r"\8", b"8", "???"),
    (r"^\_$", b"_", "yyy"),
    (r"^\<$", b"<", "yyy"),
    (r"^\ü$", b"\xC3\xBC", "yyy"),
    (r"\u0041", b"A", "???"),
    (r"^\x$", b"\0", "y??"),
    (r"^\x4$", b"\x04", "yyy"),
    (r"^\x{41}$", b"A", "yyy"),
    (r"^\o{101}$", b"A", "yyy"),
    (r"^\101$", b"A", "yyy"),
    (r"^\07$", b"\x07", "yyy"),
    (r"^\cA$", b"\x01", "yyy"),
    (r"^\e$", b"\x1B", "yyy"),
    (r"^\Qa.b\E+$", b"a.bb", "yyy"),
    (r"a\E*b", b"b", "yyy"),
    (r"^\C\C$", b"\xC3\xBC", "yyy"),
    (r"^\X$", b"\r\n", "yyy"),
    (r"^\X\X$", b"\r\n", "nnn"),
    (r"^\R$", b"\r\n", "yyy"),
    (r"^\R\n", b"\r\n", "nnn"),
    (r"^\N$", b"\n", "nnn"),
    (r"(?s)^.$", b"\n", "yyy"),
    (r"^.$", b"\n", "nnn"),
    (r"^.$", b"\r", "yyy"),
    (r"^\pL$", b"\xE9", "yyy"),
    (r"^\p{^L}$", b"1", "yyy"),
    (r"^\p{L&}$", b"a", "yyy"),
    (r"(?i)^\p{Lu}$", b"a", "ny?"),
    (r"\p{Greek}", b"a", "???"),
    (r"(?x) ^ a # c", b"a", "yyy"),
    (r"(?x)é", b"\xC3\xA9", "???"),
    (r"(?xx)[a b]", b" ", "y??"),
    (r"^(a(?i)b|c)$", b"C", "yyy"),
    (r"^(?i:a)b$", b"Ab", "yyy"),
    (r"^(?i-s:A)$", b"a", "yyy"),
    (r"(?n)(a)", b"a", "???"),
    (r"(?R)", b"a", "???"),
    (r"(?(?=a)a|b)", b"a", "???"),
    (r"(*UTF8)ü", b"\xC3\xBC", "???"),
    (r"(?#c)a", b"a", "yyy"),
    (r"(", b"a", "???"),
    (r"^\S*\h", b"k\xA0", "???"),
    (r"^\P{Ll}*\P{Lu}", b"A-", "???"),
    (r"^\w*\xff", b"9\xFF", "?y?"),
    (r"^.*\R", b"a\r", "???"),
    (r"^\S\h", b"k\xA0", "yyy"),
    (r"^(?:(a+)+[bd]|a*c)$", b"aaaaaaaaaaaaaaaaaaaaaaaac", "???"),
    (r"^(a+)+$", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "yyy"),
];

const OLD: Release = (3, 10, 8);
const NEW: Release = (4, 3, 6);
const ALL: Grant<'_> = Grant { configure: ".*", write: ".*", read: ".*" };

fn letter(answer: Answer) -> char {
    match answer {
        Answer::Yes => 'y',
        Answer::No => 'n',
        Answer::CannotTell(_) => '?',
    }
}

fn reach(grant: Grant<'_>, topics: &[TopicGrant<'_>], release: Release) -> Reach {
    reach_of("u", grant, topics, Habits::of(release, Erlang::Unknown))
}

fn reach_of(username: &str, grant: Grant<'_>, topics: &[TopicGrant<'_>], habits: Habits) -> Reach {
    Reach::new(Account { username, vhost: "r", client_id: None }, Some(grant), topics, habits)
}

fn queue(name: &str) -> Queue<'_> {
    Queue { name, exists: true }
}

fn exchange(name: &str) -> Exchange<'_> {
    Exchange { name, exists: true, is_topic: name == "t", is_internal: false }
}

/// From `x` to `q`; the routing key is `k`, what is named is `d`.
fn target<'a>() -> Target<'a> {
    let (queue, exchange) = (Some(queue("q")), Some(exchange("x")));
    Target { queue, exchange, source: Some(self::exchange("s")), named: Some("d"), key: Some("k"), copy: Some("c") }
}

#[test]
fn each_answer_is_that_of_erlang() {
    for (pattern, name, expected) in ROWS {
        let erlangs = [Erlang::UpTo27, Erlang::From28, Erlang::Unknown];
        let found: String =
            erlangs.iter().map(|erlang| letter(BrokerPattern::read_by(pattern, *erlang).reaches(name))).collect();
        assert_eq!(&found, expected, "{pattern} {}", name.escape_ascii());
    }
}

#[test]
fn why_it_cannot_be_told_is_said() {
    let deep = "(".repeat(200) + &")".repeat(200);
    for (pattern, name, doubt) in [
        ("(", "a", Doubt::Refused),
        ("(?R)", "a", Doubt::Unread),
        (deep.as_str(), "a", Doubt::TooLarge),
        ("(?:ab{3}){5000}", "a", Doubt::TooLarge),
        (&"a".repeat(PATTERN_LEN_MAX + 1), "a", Doubt::TooLarge),
        ("^(?:(a+)+[bd]|a*c)$", "aaaaaaaaaaaaaaaaaaaaaaaac", Doubt::TooMuchWork),
        (".*", &"a".repeat(70_000), Doubt::TooMuchWork),
        (r"\P{Lu}*x", "ax", Doubt::Mistaken),
        ("^a{,2}$", "aa", Doubt::ByErlang),
        (r"\y", "y", Doubt::ByErlang),
        (r"^\w+$", "r\u{ea}ve", Doubt::ByLetters),
    ] {
        assert_eq!(BrokerPattern::read(pattern).reaches(name.as_bytes()), Answer::CannotTell(doubt), "{pattern}");
    }
}

#[test]
fn a_name_that_the_broker_gives_is_known_by_its_beginning() {
    for (pattern, expected) in [
        (r"^amq\.gen.*", 'y'),
        (r"^amq\.gen-[\w-]{22}$", 'y'),
        (r"^amq\.gen-\S+$", 'y'),
        (".*", 'y'),
        ("^q", 'n'),
        ("", 'n'),
        (r"^amq\.gen-[^A-Za-z0-9_-]", 'n'),
        (r"^amq\.gen-.{23}", 'n'),
        (r"^amq\.gen-A", '?'),
        (r"^amq\.gen-\w+$", '?'),
        (r"^amq\.gen-.*\b", '?'),
        (r"^amq\.gen-(.)\1", '?'),
    ] {
        assert_eq!(letter(BrokerPattern::read(pattern).reaches_unnamed()), expected, "{pattern}");
    }
}

#[test]
fn an_operation_needs_each_of_its_rights_and_no_other() {
    for (operation, needed) in [
        (DeclareQueue, &[(Configure, "q")][..]),
        (DeclareQueueWithDeadLetters, &[(Configure, "q"), (Read, "q"), (Write, "d")]),
        (DeclareUnnamedQueue, &[(Configure, r"amq\.gen.*")]),
        (DeleteQueue, &[(Configure, "q")]),
        (PurgeQueue, &[(Read, "q")]),
        (Get, &[(Read, "q")]),
        (Consume, &[(Read, "q")]),
        (BindQueue, &[(Read, "s"), (Write, "q")]),
        (UnbindQueue, &[(Read, "s"), (Write, "q")]),
        (DeclareExchange, &[(Configure, "x")]),
        (DeclareExchangeWithAlternate, &[(Configure, "x"), (Read, "x"), (Write, "d")]),
        (DeleteExchange, &[(Configure, "x")]),
        (BindExchange, &[(Read, "s"), (Write, "x")]),
        (UnbindExchange, &[(Read, "s"), (Write, "x")]),
        (Publish, &[(Write, "x")]),
        (PublishCopy, &[(Write, "x")]),
    ] {
        let pattern = |right, without: Option<usize>| {
            let given = needed.iter().enumerate().filter(|(at, (of, _))| *of == right && Some(*at) != without);
            let names: Vec<&str> = given.map(|(_, (_, name))| *name).collect();
            if names.is_empty() { String::new() } else { format!("^({})$", names.join("|")) }
        };
        for without in [None].into_iter().chain((0..needed.len()).map(Some)) {
            let [configure, write, read] = [Configure, Write, Read].map(|right| pattern(right, without));
            let grant = Grant { configure: &configure, write: &write, read: &read };
            let expected = if without.is_none() { Answer::Yes } else { Answer::No };
            assert_eq!(reach(grant, &[], NEW).may(operation, target()), expected, "{operation:?} without {without:?}");
        }
    }
}

#[test]
fn looking_needs_nothing_and_from_some_release_on_any_right() {
    let nothing = Grant { configure: "", write: "", read: "" };
    for (grant, release, expected) in [
        (nothing, OLD, 'y'),
        (nothing, (4, 0, 5), 'y'),
        (nothing, (3, 13, 9), '?'),
        (nothing, (4, 2, 0), '?'),
        (nothing, NEW, 'n'),
        (Grant { write: "^[qx]$", ..nothing }, NEW, 'y'),
        (Grant { write: "^[qx]$", ..nothing }, (4, 2, 0), 'y'),
    ] {
        let reach = reach(grant, &[], release);
        for operation in [LookAtQueue, LookAtExchange] {
            assert_eq!(letter(reach.may(operation, target())), expected, "{operation:?} {grant:?} {release:?}");
        }
    }
}

#[test]
fn some_things_are_forbidden_to_everybody() {
    let everything = reach(ALL, &[], NEW);
    let (absent, default) = (Exchange { exists: false, ..exchange("amq.n") }, exchange(""));
    let internal = Exchange { is_internal: true, ..exchange("x") };
    let with = |exchange, source| Target { exchange: Some(exchange), source: Some(source), ..target() };
    let from = exchange("s");
    for (operation, target, expected) in [
        (DeclareQueue, Target { queue: Some(Queue { name: "amq.n", exists: false }), ..target() }, 'n'),
        (DeclareQueue, Target { queue: Some(queue("amq.gen-x")), ..target() }, 'y'),
        (DeclareExchange, with(absent, from), 'n'),
        (DeclareExchange, with(exchange("amq.topic"), from), 'y'),
        (DeclareExchange, with(default, from), 'n'),
        (LookAtExchange, with(default, from), 'n'),
        (DeleteExchange, with(exchange("amq.direct"), from), 'n'),
        (DeleteExchange, with(default, from), 'n'),
        (BindQueue, with(exchange("x"), default), 'n'),
        (UnbindQueue, with(exchange("x"), default), 'n'),
        (BindExchange, with(default, from), 'n'),
        (BindExchange, with(exchange("x"), default), 'n'),
        (Publish, with(internal, from), 'n'),
        (Publish, with(default, from), 'y'),
        (Get, Target::default(), '?'),
    ] {
        assert_eq!(letter(everything.may(operation, target)), expected, "{operation:?} {target:?}");
    }
    let nobody = Reach::new(Account { username: "u", vhost: "r", client_id: None }, None, &[], Habits::default());
    assert!(Operation::ALL.iter().all(|operation| nobody.may(*operation, target()) == Answer::No));
}

#[test]
fn the_default_exchange_is_asked_for_by_another_name() {
    let grant = Grant { configure: "^q$", write: r"^amq\.default$", read: "^q$" };
    let reach = reach(grant, &[], NEW);
    assert_eq!(reach.exchange(exchange(""), "q")[3], (Publish, Answer::Yes));
    let dead_letters = Target { named: Some(""), ..target() };
    assert_eq!(reach.may(DeclareQueueWithDeadLetters, dead_letters), Answer::Yes);
}

#[test]
fn names_lose_their_line_ends_when_they_are_declared() {
    let grant = Grant { configure: "^qx$", write: "", read: "^qx$" };
    let answers = reach(grant, &[], NEW).queue(queue("q\nx"));
    assert!(answers.contains(&(DeclareQueue, Answer::Yes)) && answers.contains(&(Get, Answer::No)), "{answers:?}");
}

#[test]
fn topic_permissions_are_asked_of_topic_exchanges_only() {
    let topics = ["t", "x"].map(|exchange| TopicGrant { exchange, write: "^k$", read: "" });
    let reach = reach(ALL, &topics, NEW);
    for (name, key, expected) in [("t", "k", "yn"), ("t", "z", "nn"), ("x", "z", "yy"), ("t2", "z", "yy")] {
        let (at, to) = (exchange(name), Place::Queue(queue("q")));
        let answers = [reach.exchange(at, key)[3].1, reach.binding(Binding { source: at, destination: to, key })[0].1];
        assert_eq!(answers.map(letter).iter().collect::<String>(), expected, "{name} {key}");
    }
    let binding = Binding { source: exchange("t"), destination: Place::Exchange(exchange("x")), key: "" };
    assert_eq!(reach.binding(binding), [(BindExchange, Answer::Yes), (UnbindExchange, Answer::Yes)]);
}

#[test]
fn keys_of_copies_were_not_asked_for_once() {
    let topics = [TopicGrant { exchange: "t", write: "^k$", read: "" }];
    let copy = Target { exchange: Some(exchange("t")), copy: Some("z"), ..target() };
    let other = Target { key: Some("z"), ..copy };
    for (release, expected) in [(OLD, 'y'), ((3, 13, 0), '?'), ((4, 0, 4), '?'), ((4, 0, 5), 'n'), (NEW, 'n')] {
        assert_eq!(letter(reach(ALL, &topics, release).may(PublishCopy, copy)), expected, "{release:?}");
        assert_eq!(reach(ALL, &topics, release).may(Publish, other), Answer::No);
        assert_eq!(reach(ALL, &topics, release).may(PublishCopy, other), Answer::No);
    }
}

#[test]
fn values_of_variables_are_patterns_or_text_by_release() {
    let topics = [TopicGrant { exchange: "t", write: "^{username}@{vhost}{client_id}$", read: "" }];
    for (username, key, release, expected) in [
        ("u", "u@r{client_id}", NEW, 'y'),
        ("u", "u@r{client_id}", (4, 2, 0), 'y'),
        ("a.c", "abc@r{client_id}", (4, 0, 5), 'y'),
        ("a.c", "abc@r{client_id}", NEW, 'n'),
        ("a.c", "abc@r{client_id}", (4, 2, 0), '?'),
        ("a.c", "abc@r{client_id}", (3, 13, 9), '?'),
        ("a.c", "a.c@r{client_id}", NEW, 'y'),
        ("a(c", "a(c@r{client_id}", NEW, 'y'),
        ("a(c", "a(c@r{client_id}", OLD, '?'),
    ] {
        let reach = reach_of(username, ALL, &topics, Habits::of(release, Erlang::Unknown));
        let answer = reach.exchange(exchange("t"), key)[3].1;
        assert_eq!(letter(answer), expected, "{username} {key} {release:?}");
    }
    let account = Account { username: "u", vhost: "r", client_id: Some("{username}") };
    let reach = Reach::new(account, Some(ALL), &topics, Habits::of(OLD, Erlang::UpTo27));
    assert_eq!(reach.exchange(exchange("t"), "u@ru")[3].1, Answer::Yes, "one value brings in another");
}

#[test]
fn answers_are_put_together_without_guessing() {
    let unsure = Answer::CannotTell(Doubt::ByName);
    assert_eq!(
        [Answer::No.and(unsure), unsure.and(Answer::No), Answer::Yes.and(unsure)],
        [Answer::No, Answer::No, unsure]
    );
    assert_eq!(
        [Answer::Yes.or(unsure), unsure.or(Answer::Yes), Answer::No.or(unsure)],
        [Answer::Yes, Answer::Yes, unsure]
    );
}
