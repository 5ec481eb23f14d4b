//! What an engine means by a refusal. podman says by 500 what Docker says by 403, 404 or 409, so that only its words tell;
//! this is the one place that reads them.

use serde::Deserialize;

use crate::base::{Error, Kind};

/// The code of an error that says that a subnet, or a part of it, is used by something else.
pub const SUBNET_TAKEN: &str = "SubnetTaken";

/// Words that only such a refusal has, of Docker and of podman.
const SUBNET: &[&str] = &["pool overlaps", "is already used on the host or by another config", "subnet overlaps"];
const GONE: &[&str] =
    &["no such container", "no such network", "no such image", "image not known", "network not found"];
const TAKEN: &[&str] =
    &["already in use", "already exists", "has active endpoints", "is being used", "container state"];

/// Characters of a refusal that are handed on.
const WORDS_LEN_MAX: usize = 500;

/// The document of a refusal. Docker has only the message; podman's has its cause in it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    cause: String,
}

/// The error that an answer is.
pub(super) fn refusal(status: u16, body: &[u8]) -> Error {
    let Refusal { message, cause } = serde_json::from_slice(body).unwrap_or_default();
    let message = if message.is_empty() { cause } else { message };
    let line: String = message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_LEN_MAX).collect();
    let words = if line.is_empty() { format!("it answers with status {status}") } else { line };
    let lower = words.to_lowercase();
    let says = |list: &[&str]| list.iter().any(|words| lower.contains(words));
    let error = |kind| Error::new(kind, format!("the container engine: {words}"));
    if says(SUBNET) {
        return error(Kind::Conflict).with_code(SUBNET_TAKEN);
    }
    error(match status {
        400 => Kind::Invalid,
        401 | 407 => Kind::Unauthenticated,
        404 => Kind::NotFound,
        403 | 409 => Kind::Conflict,
        500 if says(GONE) => Kind::NotFound,
        500 if says(TAKEN) => Kind::Conflict,
        _ => Kind::Unavailable,
    })
}

/// What the last message of a stream says that an engine began with 200, if it says that it failed.
pub(super) fn failure(message: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Progress {
        error: Option<String>,
        #[serde(rename = "errorDetail")]
        detail: Option<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        message: Option<String>,
    }
    let Progress { error, detail } = serde_json::from_slice(message).ok()?;
    let text = detail.and_then(|detail| detail.message).or(error)?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_LEN_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, message: &str) -> (Kind, Option<&'static str>) {
        let body = serde_json::json!({ "cause": "x", "message": message, "response": status });
        let error = refusal(status, body.to_string().as_bytes());
        (error.kind(), error.code())
    }

    #[test]
    fn podman_says_by_500_what_docker_says_otherwise() {
        let taken = "subnet 10.1.0.0/28 is already used on the host or by another config";
        assert_eq!(of(500, taken), (Kind::Conflict, Some(SUBNET_TAKEN)));
        let docker = "invalid pool request: Pool overlaps with other one on this address space";
        assert_eq!(of(403, docker), (Kind::Conflict, Some(SUBNET_TAKEN)));
        let state = "can only kill running containers. 1f is in state exited: container state improper";
        assert_eq!(of(500, state), (Kind::Conflict, None));
        assert_eq!(of(409, state), (Kind::Conflict, None));
        assert_eq!(of(500, "the container name \"a\" is already in use by 1f"), (Kind::Conflict, None));
        assert_eq!(of(500, "network name a already used: network already exists"), (Kind::Conflict, None));
        assert_eq!(of(500, "no such container"), (Kind::NotFound, None));
        assert_eq!(of(404, "No such image: x"), (Kind::NotFound, None));
        assert_eq!(of(400, "bad parameter: link is not supported"), (Kind::Invalid, None));
        assert_eq!(of(500, "disk is full"), (Kind::Unavailable, None));
    }

    #[test]
    fn a_refusal_without_words_has_its_status() {
        assert_eq!(refusal(502, b"<html>").message(), "the container engine: it answers with status 502");
        assert!(refusal(500, format!(r#"{{"message":"{}"}}"#, "x ".repeat(9999)).as_bytes()).message().len() < 600);
    }

    #[test]
    fn a_pull_that_fails_says_so_at_its_end() {
        assert_eq!(failure(br#"{"status":"Pulling from library/x","id":"1"}"#), None);
        assert_eq!(failure(br#"{"error":"a","errorDetail":{"message":"not\n found"}}"#).unwrap(), "not found");
        assert_eq!(failure(br#"{"error":"denied"}"#).unwrap(), "denied");
        assert_eq!(failure(b"not JSON"), None);
    }
}
