//! What others wrote (contacts, notes, names of queues, hosts and clients) reaches no terminal as it is: a terminal obeys it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use serde_json::{Map, Value, json};

use super::{Home, Outcome};

/// Clears the screen in two ways, turns the direction of reading, and begins a line of its own.
const NASTY: &str = "x\u{1b}[2J\u{9b}2J\u{202e}y\nkeylender: all is well\tz\r\u{7}";
/// The same as people see it.
const SHOWN: &str = r"x\u{1b}[2J\u{9b}2J\u{202e}y\u{a}keylender: all is well\u{9}z\u{d}\u{7}";

/// The lists that answers have.
const LISTS: [&str; 20] = [
    "accounts",
    "alarms",
    "answers",
    "archives",
    "backups",
    "bindings",
    "checks",
    "clients",
    "connections",
    "counts",
    "exchanges",
    "findings",
    "held",
    "hosts",
    "leases",
    "loops",
    "messages",
    "namespaces",
    "operators",
    "planned",
];
/// The texts that they have.
const TEXTS: [&str; 49] = [
    "about",
    "account",
    "action",
    "activeSlot",
    "address",
    "alarm",
    "at",
    "body",
    "brake",
    "by",
    "certificateName",
    "clientId",
    "clientName",
    "connection",
    "contact",
    "created",
    "destination",
    "destinationType",
    "exchange",
    "finished",
    "grade",
    "holder",
    "kind",
    "lastError",
    "lastReport",
    "name",
    "namespace",
    "object",
    "operator",
    "outcome",
    "owners",
    "part",
    "pattern",
    "peerHost",
    "queue",
    "remark",
    "report",
    "role",
    "routingKey",
    "rule",
    "server",
    "session",
    "state",
    "text",
    "type",
    "user",
    "verdict",
    "what",
    "why",
];

/// A document whose every text is that one.
fn document(text: &str) -> Value {
    let texts = || TEXTS.iter().map(|member| ((*member).to_owned(), json!(text)));
    let mut item: Map<String, Value> = texts().collect();
    item.insert("acknowledged".into(), json!({ "by": text }));
    item.insert("scopes".into(), json!([text, "a"]));
    item.insert("question".into(), json!({ "kind": "ptr", "name": text }));
    item.insert("records".into(), json!([{ "name": text, "data": { text: text }, "ttlSeconds": 1 }]));
    let mut whole: Map<String, Value> = texts().collect();
    whole.extend(LISTS.iter().map(|list| ((*list).to_owned(), json!([item]))));
    for list in ["roles", "rules", "sessions"] {
        whole.insert(list.into(), json!([item]));
    }
    let entry = json!({"seq": 1, "time": text, "actor": { "client": text }, "action": text, "object": text,
                       "outcome": text, "details": { "note": text, "keys": [text] }});
    whole.insert("entries".into(), json!([entry]));
    whole.insert("seen".into(), json!(1));
    Value::Object(whole)
}

/// An appliance in whose answers everything was written by somebody else.
fn serve(home: &Home, status: u16, answer: &Value) {
    fs::create_dir_all(home.data_dir()).unwrap();
    let socket = home.data_dir().join("control.sock");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(socket).unwrap();
    let body = answer.to_string();
    let answer = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Who only looks whether somebody listens goes away.
            let _ = tell(stream, &answer);
        }
    });
}

fn tell(stream: UnixStream, answer: &str) -> std::io::Result<()> {
    let mut asked = BufReader::new(stream.try_clone()?);
    let (mut line, mut len) = (String::new(), 0);
    while asked.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
        line.clear();
    }
    asked.take(len).read_to_end(&mut Vec::new())?;
    (&stream).write_all(answer.as_bytes())
}

/// Every command that shows what others wrote.
const COMMANDS: [&str; 29] = [
    "alarm list",
    "audit at 2999-01-01T00:00Z --object x",
    "audit held --holder x",
    "audit show",
    "backup list",
    "backup verify",
    "broker show",
    "client list",
    "client reset x",
    "connection bindings x",
    "connection exchanges",
    "connection list",
    "doctor",
    "host check 192.0.2.1",
    "host list",
    "host rules",
    "host show 192.0.2.1",
    "lease list",
    "lease revoke --holder x",
    "loop list",
    "loop plan rotate",
    "namespace list",
    "namespace show x",
    "operator list",
    "operator sessions",
    "queue archive list",
    "queue archive show x",
    "queue rules",
    "queue show x",
];

fn run(home: &Home, command: &str) -> Outcome {
    home.run(&command.split(' ').collect::<Vec<_>>())
}

/// Nothing that a terminal obeys, except for the ends of lines.
fn assert_harmless(command: &str, printed: &str) {
    let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!printed.contains(obeyed), "{command}: {printed:?}");
}

#[test]
fn no_command_hands_a_terminal_what_others_wrote() {
    let home = Home::new();
    serve(&home, 200, &document(NASTY));
    for command in COMMANDS {
        let outcome = run(&home, command);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{command}: {}", outcome.stdout);
        assert_harmless(command, &outcome.stdout);
        // The report of a loop has lines; everything else is one.
        match command {
            "loop plan rotate" => assert!(outcome.stdout.starts_with(r"x\u{1b}[2J\u{9b}2J\u{202e}y"), "{outcome:?}"),
            _ => assert!(outcome.stdout.contains(SHOWN), "{command}: {}", outcome.stdout),
        }
    }
    // A program gets the very text.
    for command in ["namespace show x --json", "connection list --json", "alarm list --json"] {
        let printed = run(&home, command).well();
        assert_harmless(command, &printed.replace('\u{202e}', ""));
        assert_eq!(printed.parse::<Value>().unwrap(), document(NASTY), "{command}");
    }
}

#[test]
fn a_long_text_leaves_room_for_the_others() {
    let home = Home::new();
    let long = "é".repeat(64 << 10);
    let item =
        json!({"namespace": "a", "contact": long, "destination": "b", "routingKey": long, "rule": "c", "remark": long});
    serve(&home, 200, &json!({"namespaces": [item], "bindings": [item], "rules": [item], "contact": long}));
    for command in ["namespace list", "connection bindings x", "queue rules"] {
        let printed = run(&home, command).well();
        assert!(printed.lines().count() == 2 && printed.contains("… 63536 more"), "{command}");
        assert!(printed.lines().next().unwrap().len() < 1000, "{command}: the heading stays short");
    }
    assert!(run(&home, "namespace show x --json").well().contains(&long));
}

#[test]
fn what_a_refusal_cites_is_harmless_too() {
    let home = Home::new();
    serve(&home, 409, &json!({ "message": format!("there is {NASTY}") }));
    for command in ["namespace show x", "audit show", "loop run monitor", "queue purge x --reason y"] {
        let said = run(&home, command).lines(1);
        assert_harmless(command, &said);
        assert!(said.starts_with(r"keylender: there is x\u{1b}[2J\u{9b}2J\u{202e}y"), "{said}");
    }
}

#[test]
fn what_an_operator_wrote_is_shown_harmlessly_to_the_next_one() {
    let home = Home::new();
    home.run(&["queue", "rule", "a", "--warn", "1", "--remark", NASTY]).well();
    assert!(home.run(&["queue", "rules"]).well().trim_end().ends_with(SHOWN));
    let shown = home.run(&["audit", "show"]).well();
    assert_harmless("audit show", &shown);
    assert!(shown.contains(r"\u{202e}"), "{shown}");
}
