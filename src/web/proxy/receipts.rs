//! What a task did through its proxy, for the task.

use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::Of;
use super::own::{self, Answer};
use crate::base::{Error, Result};
use crate::web::api::proxy_shapes::{Calls, Made};

/// The calls of a session that are over.
pub async fn answer(of: &Of) -> Response<Answer> {
    match json(of).await {
        Err(error) => own::failure(&error),
        Ok(json) => {
            let mut answer = own::text(200, json);
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            answer
        }
    }
}

async fn json(of: &Of) -> Result<String> {
    let calls = of.proxy.calls(&of.live.id).await?.into_iter().map(Made::from).collect();
    serde_json::to_string(&Calls { calls }).map_err(|e| Error::internal("writing receipts", e))
}
