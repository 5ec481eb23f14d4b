//! What went wrong between us and the broker: short for the caller, with advice for the operator in the sources.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use super::call::Answer;
use crate::base::{Error, Kind};
use crate::ports::broker::versions::{self, Refusal};

const SILENT: &str = "the broker does not answer";
const STRANGE: &str = "the broker's answer makes no sense";

/// A sentence for the operator, over the cause it was concluded from.
#[derive(Debug)]
struct Advice {
    text: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Advice {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

fn unavailable(message: &str, advice: impl Into<String>) -> Error {
    Error::unavailable(message).because(Advice { text: advice.into(), cause: None })
}

/// No whole answer within the time for it.
pub(super) fn too_slow(deadline: Duration) -> Error {
    let seconds = deadline.as_secs_f32();
    unavailable(SILENT, format!("no answer within {seconds} s; a change may or may not have been made"))
}

/// An answer beyond the size we read.
pub(super) fn too_long(len_max: usize) -> Error {
    unavailable(STRANGE, format!("the answer is longer than {len_max} bytes"))
}

/// An answer with a good status that is not what the management API says.
pub(super) fn not_a_broker(body: &[u8]) -> Error {
    let looks = match body.trim_ascii_start().first() {
        Some(b'<') => "a web page",
        None => "nothing",
        _ => "something else",
    };
    unavailable(
        STRANGE,
        format!(
            "expected RabbitMQ's management API and got {looks}: check the address, and that its path ends in /api"
        ),
    )
}

/// A list of which a part is missing.
pub(super) fn half_told() -> Error {
    unavailable("the broker cannot tell all that is declared", "a node of its cluster does not run")
}

/// The broker has no vhost of that name, or no user.
pub(super) fn unknown(what: &str) -> Error {
    Error::not_found(format!("the broker has no such {what}"))
}

/// The broker has no such thing yet.
pub(super) fn too_old(what: &str, since: &str) -> Error {
    Error::invalid(format!("the broker is too old for {what}: they came with {since}"))
}

/// The broker has it, and does not do it before a feature flag is on.
pub(super) fn flag_off(what: &str, flag: &str) -> Error {
    Error::invalid(format!(
        "the broker does not do {what} until all its nodes have a version that can and `rabbitmqctl enable_feature_flag {flag}` was called"
    ))
}

/// A 400 to a request that was in order: the broker does not take the value.
pub(super) fn refused(answer: &Answer) -> Error {
    let cause = format!("the broker's reason: {}", versions::reason(&answer.body));
    Error::invalid("the broker refuses this").because(cause)
}

/// A 400 to permissions of a user that there is, in a vhost that there is.
pub(super) fn unreadable(answer: &Answer) -> Error {
    let cause = format!("the broker's reason: {}", versions::reason(&answer.body));
    Error::invalid("the broker cannot read a pattern of these permissions").because(cause)
}

/// A 400 to a purge.
pub(super) fn not_purgeable(answer: &Answer) -> Error {
    let cause = format!("the broker's reason: {}", versions::reason(&answer.body));
    Error::conflict("the broker lets no stream be purged, and no queue that belongs to a connection").because(cause)
}

/// A 400 to the declaration of something that is there.
pub(super) fn declared_otherwise(answer: &Answer) -> Error {
    let cause = format!("the broker's reason: {}", versions::reason(&answer.body));
    Error::conflict("the broker has this otherwise").because(cause)
}

/// A 400 to a deletion: the thing is in a state that does not allow it, such as a queue of one connection only.
pub(super) fn not_deletable(answer: &Answer) -> Error {
    let cause = format!("the broker's reason: {}", versions::reason(&answer.body));
    Error::conflict("the broker does not let this be deleted").because(cause)
}

/// A 400 to a request about a user. Since 4.2 a user with the tag `protected` is not changed over HTTP.
pub(super) fn user_refused(answer: &Answer) -> Error {
    let reason = versions::reason(&answer.body);
    Error::conflict("the broker does not let this user be changed").because(Advice {
        text: format!("the user may be protected (tag `protected`), or over a limit; the broker's reason: {reason}"),
        cause: None,
    })
}

/// Any other status than the call expects.
pub(super) fn unexpected(answer: &Answer) -> Error {
    let reason = versions::reason(&answer.body);
    match answer.status.as_u16() {
        401 => match versions::refusal(&answer.body) {
            Refusal::Login => unavailable(
                "the broker refuses our login",
                "the user name or the password for the management API is wrong",
            ),
            Refusal::Rights => unavailable(
                "the broker does not give us the right to do this",
                format!("the broker user we log in as needs the tag `administrator`; the broker's reason: {reason}"),
            ),
            Refusal::Scheme => unavailable(
                "the broker refuses our login",
                "it did not look at the password: basic authentication is switched off, or a proxy wants a login of its own",
            ),
        },
        300..=399 => unavailable(STRANGE, format!("it redirects ({}); give its final address", answer.status)),
        200..=299 | 404..=406 => not_a_broker(&answer.body),
        500.. => unavailable(
            "the broker is in trouble",
            format!("it answered {}; its log says more; the broker's reason: {reason}", answer.status),
        ),
        _ => unavailable(STRANGE, format!("it answered {}; the broker's reason: {reason}", answer.status)),
    }
}

/// No answer at all, or half of one.
pub(super) fn transport(error: reqwest::Error, has_certificate: bool) -> Error {
    let text = transport_advice(&error, has_certificate);
    Error::new(Kind::Unavailable, SILENT).because(Advice { text: text.to_owned(), cause: Some(Box::new(error)) })
}

const CUT: &str = "the connection was cut";
const CERTIFICATE_WANTED: &str = "it may want a client certificate: configure one";

/// The conclusion from the types in the chain of causes, most telling first (rabbitmq.md 1.3).
fn transport_advice(error: &reqwest::Error, has_certificate: bool) -> &'static str {
    if error.is_timeout() {
        return "no connection within the time for it: check address, port and firewall";
    }
    if error.is_dns() {
        return "its name cannot be resolved: check the address and this machine's name service";
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(advice) = error.downcast_ref::<io::Error>().and_then(io_advice) {
            return advice;
        }
        if let Some(advice) = error.downcast_ref::<rustls::Error>().map(tls_advice) {
            return advice;
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            if hyper.is_parse() {
                return "it does not speak HTTP: check the port (AMQP and TLS have others), and http against https";
            }
            if hyper.is_canceled() && !has_certificate {
                return CERTIFICATE_WANTED;
            }
            if hyper.is_incomplete_message() {
                return CUT;
            }
        }
        cause = error.source();
    }
    "the connection failed"
}

fn io_advice(error: &io::Error) -> Option<&'static str> {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Some(CUT);
    }
    if let Some(inner) = error.get_ref() {
        let inner: &(dyn StdError + 'static) = inner;
        return match inner.downcast_ref::<rustls::Error>() {
            Some(tls) => Some(tls_advice(tls)),
            None => inner.downcast_ref::<io::Error>().and_then(io_advice),
        };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some("nobody listens there: check address and port, and that it runs"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some("there is no route to its address"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some(CUT),
        _ => None,
    }
}

fn tls_advice(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::InvalidPurpose,
        ) => "its certificate is from an authority we do not trust: configure that authority",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name: use the name in the certificate",
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired"
        }
        rustls::Error::InvalidCertificate(_) => "its certificate is not acceptable",
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on this port: check the port, and https against http"
        }
        rustls::Error::AlertReceived(_) => CERTIFICATE_WANTED,
        _ => "TLS cannot be agreed on",
    }
}
