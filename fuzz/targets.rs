//! What the fuzz targets do, shared with `tests/corpus.rs`, which replays the corpus. Each target also checks what must
//! hold of whatever was read.

use keylender::base::{RoleId, Scope, Span, Timestamp};
use keylender::proto::ext::{self, Ext};
use keylender::proto::formats::{date_time, email};
use keylender::proto::hawk::{Bewit, Header, Target, bewit, host};
use keylender::proto::roles::{Role, Roles};
use keylender::proto::scopes::{Expression, Template, covers, normalize};
use keylender::proto::tempcred::Certificate;
use keylender::proto::urls::RootUrl;

/// What a target does with a text.
type Check = fn(&str);

/// Every target by name; `fuzz/corpus/` has a folder for each.
pub const TARGETS: [(&str, Check); 10] = [
    ("bewit", read_bewit),
    ("ext", read_ext),
    ("formats", read_formats),
    ("hawk_header", read_hawk_header),
    ("host", read_host),
    ("roles", read_roles),
    ("scopes", read_scopes),
    ("span", read_span),
    ("tempcred", read_tempcred),
    ("urls", read_urls),
];

/// Gives bytes to a target. All of them read text; what is no UTF-8 never gets as far.
pub fn run(name: &str, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    target(text);
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

fn read_urls(text: &str) {
    if let Ok(root) = RootUrl::parse(text) {
        assert!(Target::of_url("GET", &root.api("pulse", "v1", "ping")).is_ok());
    }
}
