//! A request from inside of this process, by the user that it runs as: what the control socket is, without a socket.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use futures_util::TryStreamExt;
use tower::ServiceExt;

use super::peer::Connection;
use crate::base::{Error, Result};
use crate::ports::keylender::Incoming;

/// Calls a method, with a JSON body if there is one, up to the head of the answer.
pub async fn open(router: Router, method: &str, path: &str, body: Option<String>) -> Result<Incoming> {
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
    let broken_off = |e| Error::unavailable("the answer breaks off").because(e);
    Ok(Incoming::new(response.status().as_u16(), response.into_body().into_data_stream().map_err(broken_off)))
}
