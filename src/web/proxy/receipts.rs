//! What a task did through its proxy, for the task.

use hyper::Response;

use super::Of;
use super::own::{self, Answer};
use crate::base::{Error, Result};
use crate::web::api::proxy_shapes::{Calls, Made};

/// The calls of a session that are over.
pub async fn answer(of: &Of) -> Response<Answer> {
    match calls(of).await {
        Err(error) => own::failure(&error),
        Ok(calls) => own::json(&calls),
    }
}

async fn calls(of: &Of) -> Result<Calls> {
    let busy = || Error::busy("the receipts of this session are being read: ask again in a moment");
    let _reading = of.reading.try_acquire().map_err(|_| busy())?;
    Ok(Calls { calls: of.proxy.calls(&of.live.id).await?.into_iter().map(Made::from).collect() })
}
