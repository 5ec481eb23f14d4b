//! A request from inside of this process, by the user that it runs as: what the control socket is, without a socket.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use tower::ServiceExt;

use super::peer::Connection;
use crate::base::{Error, Result};
use crate::ports::keylender::Answer;

/// Calls a method, with a JSON body if there is one.
pub async fn call(router: Router, method: &str, path: &str, body: Option<String>) -> Result<Answer> {
    let user = format!("uid {}", rustix::process::getuid().as_raw());
    let length = body.as_ref().map_or(0, String::len);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, length)
        .extension(Connection::Local { user: user.into() })
        .body(Body::from(body.unwrap_or_default()))
        .map_err(|e| Error::internal("making a request", e))?;
    let Ok(response) = router.oneshot(request).await;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.map_err(|e| Error::internal("reading an answer", e))?;
    Ok(Answer { status, body: body.into() })
}
