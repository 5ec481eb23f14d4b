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
    let busy = || Error::busy("the receipts of this session are being read: ask again in a moment");
    let _reading = of.reading.try_acquire().map_err(|_| busy())?;
    let calls = of.proxy.calls(&of.live.id).await?.into_iter().map(Made::from).collect();
    serde_json::to_string(&Calls { calls }).map_err(|e| Error::internal("writing receipts", e))
}
