//! What the fuzz targets do, shared with `tests/it/corpus.rs`, which replays the corpus. Each target also checks what must
//! hold of whatever was read.

#[path = "heartbeats.rs"]
mod heartbeats;
#[path = "proxy.rs"]
mod proxy;
#[path = "services.rs"]
mod services;

use std::net::IpAddr;

use keylender::base::{CertificateName, RoleId, Scope, Span, Timestamp};
use keylender::domain::hosts::{HostRule, Step, Verdict, judge};
use keylender::ports::dns::{Answer, Data, Question, Record, Status};
use keylender::proto::addresses::AddressList;
use keylender::proto::broker_pattern::{Answer as Fits, BrokerPattern, Erlang};
use keylender::proto::certificates::{Age, Certificate as X509};
use keylender::proto::ext::{self, Ext};
use keylender::proto::formats::{date_time, email};
use keylender::proto::hawk::{Bewit, Header, Target, bewit, host};
use keylender::proto::oidc;
use keylender::proto::proxy_header;
use keylender::proto::relay_profile::Profile;
use keylender::proto::roles::{Role, Roles};
use keylender::proto::scopes::{Expression, Template, covers, normalize};
use keylender::proto::tempcred::Certificate;
use keylender::proto::urls::RootUrl;
use keylender::proto::whitelist::Whitelist;

/// What a target does with a text.
type Check = fn(&str);

/// Every target by name; `fuzz/corpus/` has a folder for each.
pub const TARGETS: [(&str, Check); 24] = [
    ("addresses", read_addresses),
    ("amqp_login", proxy::read_amqp_login),
    ("bewit", read_bewit),
    ("broker_pattern", read_broker_pattern),
    ("certificates", read_certificates),
    ("dns", read_dns),
    ("ext", read_ext),
    ("formats", read_formats),
    ("hawk_header", read_hawk_header),
    ("heartbeats", heartbeats::read_heartbeats),
    ("host", read_host),
    ("host_rules", read_host_rules),
    ("oidc", read_oidc),
    ("proxy_header", read_proxy_header),
    ("proxy_target", proxy::read_proxy_target),
    ("proxy_upstreams", proxy::read_proxy_upstreams),
    ("relay_profile", read_relay_profile),
    ("roles", read_roles),
    ("scopes", read_scopes),
    ("services_payload", services::read_services_payload),
    ("span", read_span),
    ("tempcred", read_tempcred),
    ("urls", read_urls),
    ("whitelist", read_whitelist),
];

/// Gives bytes to a target. All of them read text; what is no UTF-8 never gets as far.
pub fn run(name: &str, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    target(text);
}

fn read_addresses(text: &str) {
    if let Ok(list) = AddressList::parse(text) {
        assert_eq!(AddressList::parse(&list.to_string()).ok(), Some(list.clone()));
        assert!(list.surprises().count() <= text.len());
        let words =
            text.split([' ', '\t', '\n', ',']).filter_map(|word| word.split('/').next()?.parse::<IpAddr>().ok());
        words.for_each(|address| assert!(list.includes(address), "what a network is written with lies in it"));
    }
}

fn read_bewit(text: &str) {
    if let Some((resource, value)) = bewit::split(text) {
        assert!(bewit::is_in(text) && resource.len() + value.len() < text.len());
        let _ = Bewit::decode(value);
    }
    if let Ok(read) = Bewit::decode(text) {
        assert_eq!(Bewit::decode(&read.encode()), Ok(read));
    }
}

/// A certificate in hexadecimal digits.
/// A pattern, and names below it.
fn read_broker_pattern(text: &str) {
    let mut lines = text.lines();
    let pattern = lines.next().unwrap_or_default();
    let [any, old, new] =
        [Erlang::Unknown, Erlang::UpTo27, Erlang::From28].map(|erlang| BrokerPattern::read_by(pattern, erlang));
    for name in lines.map(str::as_bytes) {
        let (any, old, new) = (any.reaches(name), old.reaches(name), new.reaches(name));
        let is_told = matches!(any, Fits::Yes | Fits::No);
        assert!(!is_told || any == old && any == new, "what is told for any Erlang holds for each");
    }
}

fn read_certificates(text: &str) {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    let der: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if let Ok(read) = X509::read(&der) {
        assert_eq!(read.fingerprint.len(), 64);
        assert!(read.names.iter().all(|name| CertificateName::parse(name.as_str()).is_ok()));
        if read.valid_from <= read.valid_until {
            assert!(!matches!(read.age(read.valid_until), Age::Over | Age::NotYet));
        }
    }
}

/// An address, then answers in the order of the questions: `answered`, `none` or `failed`, each with its records below,
/// as `name ptr name`, `name cname name` or `name address address`.
fn read_dns(text: &str) {
    let mut lines = text.lines();
    let Some(Ok(address)) = lines.next().map(str::parse::<IpAddr>) else { return };
    let mut answers: Vec<Answer> = Vec::new();
    for line in lines {
        let status = match line {
            "answered" => Some(Status::Answered),
            "none" => Some(Status::NoSuchName),
            "failed" => Some(Status::Failed("on purpose".into())),
            _ => None,
        };
        if let Some(status) = status {
            let question = Question::reverse(address);
            answers.push(Answer { question, server: "fuzz".into(), status, records: Vec::new() });
            continue;
        }
        let mut words = line.split(' ');
        let (Some(name), Some(kind), Some(value)) = (words.next(), words.next(), words.next()) else { continue };
        let data = match (kind, value.parse()) {
            ("ptr", _) => Data::Ptr(value.into()),
            ("cname", _) => Data::Cname(value.into()),
            (_, Ok(address)) => Data::Address(address),
            _ => continue,
        };
        if let Some(answer) = answers.last_mut() {
            answer.records.push(Record { name: name.into(), ttl_seconds: 60, data });
        }
    }
    for known in 0..=answers.len() {
        match judge(address, &answers[..known]) {
            Step::Ask(_) => {}
            Step::Done(verdict) => {
                assert_eq!(judge(address, &answers), Step::Done(verdict.clone()), "more answers change nothing");
                if let Verdict::Verified(name) = verdict {
                    assert_eq!(keylender::base::HostName::of_dns(name.as_str()).ok(), Some(name));
                    let leads_back = |record: &Record| record.data == Data::Address(address);
                    assert!(answers[..known].iter().flat_map(|answer| &answer.records).any(leads_back));
                }
                return;
            }
        }
    }
}

fn read_ext(text: &str) {
    if let Ok(read) = Ext::decode(text) {
        let certificate = read.certificate().filter(|value| value.is_object()).map(ToString::to_string);
        let scopes = read.authorized_scopes().unwrap_or(None);
        if let Some(again) =
            ext::encode(certificate.as_deref(), scopes.as_deref()).expect("what was read can be written")
        {
            assert_eq!(Ext::decode(&again).expect("what was written can be read").authorized_scopes(), Ok(scopes));
        }
    }
}

fn read_formats(text: &str) {
    if let Ok(moment) = date_time(text) {
        assert_eq!(date_time(&moment.to_string()), Ok(moment));
    }
    assert!(!email(text) || text.is_ascii());
}

fn read_hawk_header(text: &str) {
    if let Ok(read) = Header::parse(text) {
        assert_eq!(Header::parse(&read.to_string()).map(|again| again.mac), Ok(read.mac));
    }
}

fn read_host(text: &str) {
    let _ = host::signed_authority(text, None, None, false);
    let _ = host::signed_authority("a", Some(text), Some(text), false);
    if let Ok(read) = host::parse(text) {
        assert_eq!(host::parse(read.name).map(|again| again.name).ok(), Some(read.name));
    }
    let _ = Target::of_url("GET", text);
}

fn read_host_rules(text: &str) {
    if let Ok(rule) = text.parse::<HostRule>() {
        assert_eq!(rule.to_string().parse().ok(), Some(rule));
    }
}

/// Each character is one byte, for the second version is binary.
fn read_proxy_header(text: &str) {
    let bytes: Vec<u8> = text.chars().map(|c| (u32::from(c) & 0xff) as u8).collect();
    let mut len = 0;
    while let Some(missing) = proxy_header::missing(&bytes[..len]) {
        assert!(missing > 0 && len < 4096, "a header has an end");
        if len + missing > bytes.len() {
            return;
        }
        len += missing;
    }
    let _ = proxy_header::source(&bytes[..len]);
}

/// Each mistake is at a character of the text or right behind a line of it, and they are in its order.
fn read_relay_profile(text: &str) {
    let Err(mistakes) = Profile::parse(text) else { return };
    let mut before = (1, 1);
    assert!(!mistakes.is_empty());
    for mistake in mistakes {
        let line = text.split('\n').nth(mistake.line - 1).expect("a line of the text");
        assert!((1..=line.chars().count() + 1).contains(&mistake.column) && before <= (mistake.line, mistake.column));
        before = (mistake.line, mistake.column);
    }
}

/// Lines: `role <id>`, then its scopes; the scopes before the first role are held.
fn read_roles(text: &str) {
    let (mut held, mut roles) = (Vec::new(), Vec::<Role>::new());
    for line in text.lines() {
        match (line.strip_prefix("role ").and_then(|id| RoleId::parse(id).ok()), Scope::parse(line), roles.last_mut()) {
            (Some(id), ..) => roles.push(Role { id, scopes: Vec::new() }),
            (None, Ok(scope), Some(role)) => role.scopes.push(scope),
            (None, Ok(scope), None) => held.push(scope),
            _ => {}
        }
    }
    if let Ok(roles) = Roles::new(roles) {
        let expanded = roles.expand(&held);
        assert!(held.iter().all(|scope| covers(&expanded, scope.as_str())));
    }
}

fn read_scopes(text: &str) {
    let held: Vec<Scope> = text.lines().filter_map(|line| Scope::parse(line).ok()).collect();
    let normal = normalize(held.clone());
    assert!(held.iter().all(|scope| covers(&normal, scope.as_str())));
    assert_eq!(normalize(normal.clone()), normal);
    if let Ok(expression) = serde_json::from_str::<Expression>(text) {
        assert_eq!(expression.missing(&held).is_none(), expression.satisfied_by(&held));
    }
    if let Ok(template) = serde_json::from_str::<Template>(text) {
        let _ = template.render(&serde_json::Map::from_iter([("a".to_owned(), text.into())]));
    }
}

fn read_span(text: &str) {
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse::<Span>().ok(), Some(span));
    }
}

fn read_tempcred(text: &str) {
    if let Ok(value) = serde_json::from_str(text) {
        let _ = Certificate::issuer_in(&value, "tester");
        if let Ok(certificate) = Certificate::read(&value) {
            let _ = certificate.check_time(Timestamp::from_millis(1_539_604_800_000));
            let again = serde_json::from_str(&certificate.to_json()).expect("what was written is JSON");
            assert_eq!(Certificate::read(&again), Ok(certificate));
        }
    }
}

/// A text as what an issuer says: a document, keys, and a token that nobody signed.
fn read_oidc(text: &str) {
    drop(oidc::discovery(text.as_bytes(), "https://id.example"));
    let keys = oidc::keys(text.as_bytes()).unwrap_or_default();
    let now = keylender::base::Timestamp::from_millis(1_795_176_000_000);
    let expected = oidc::Expected { issuer: "https://id.example", client_id: "lend", nonce: "n", now };
    assert!(oidc::verify(text, &keys, &expected, "groups").is_err());
}

fn read_urls(text: &str) {
    if let Ok(root) = RootUrl::parse(text) {
        assert!(Target::of_url("GET", &root.api("pulse", "v1", "ping")).is_ok());
    }
}

fn read_whitelist(text: &str) {
    let Ok(list) = Whitelist::parse(text.as_bytes()) else { return };
    let file = list.to_file();
    let written = Whitelist::parse(file.as_bytes()).expect("what is written is a list");
    assert_eq!(written.to_file(), file);
    for line in list.lines().iter().filter(|line| line.text.trim() == line.text && !line.text.is_empty()) {
        assert_eq!(list.admits(&line.text).is_some(), written.admits(&line.text).is_some());
    }
}
