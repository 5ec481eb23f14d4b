//! The only mapping from kinds of error to status codes, and the only log line for failures.

use axum::http::StatusCode;
use uuid::Uuid;

use crate::base::{Error, Kind};

/// Seconds after which a caller may ask again when a limit was reached or a neighbour is away.
pub const RETRY_AFTER_SECONDS: u64 = 5;

/// What `Retry-After` says, for errors that pass by themselves.
pub fn retry_after_seconds(error: &Error) -> Option<u64> {
    match (error.kind(), error.retry_after()) {
        (_, Some(after)) => Some(after.as_secs() + u64::from(after.subsec_nanos() > 0)),
        (Kind::Busy | Kind::Unavailable, None) => Some(RETRY_AFTER_SECONDS),
        _ => None,
    }
}

/// The status code of a kind. 503 for a limit of ours too, because the ancestors' clients repeat only 5xx.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Busy | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The code of an error on the wire (taskcluster.md 5.3).
pub fn code(error: &Error) -> &'static str {
    error.code().unwrap_or(usual_code(error.kind()))
}

/// The code of an error that has none of its own.
pub fn usual_code(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "InvalidRequestArguments",
        Kind::Unauthenticated => "AuthenticationFailed",
        Kind::Forbidden => "InsufficientScopes",
        Kind::NotFound => "ResourceNotFound",
        Kind::Conflict => "RequestConflict",
        Kind::Limited => "TooManyRequests",
        Kind::Busy | Kind::Unavailable => "ServiceUnavailable",
        Kind::Internal => "InternalServerError",
    }
}

/// Logs a failure and returns what the caller may read of it.
pub fn report(error: &Error, what: &str, request_id: &str) -> String {
    match error.kind() {
        Kind::Internal => {
            let incident_id = Uuid::new_v4();
            tracing::error!(request_id, %incident_id, "{what} failed: {}", error.chain());
            return format!("Internal Server Error, incidentId: {incident_id}");
        }
        Kind::Unavailable | Kind::Busy => tracing::warn!(request_id, "{what} failed: {}", error.chain()),
        _ => tracing::debug!(request_id, "{what} was refused: {}", error.message()),
    }
    error.message().to_owned()
}
