//! What a service beside a task is told of that task, so that it can judge what it may do for it.

use hyper::Response;
use serde::Serialize;

use super::Of;
use super::own::{self, Answer};
use crate::base::Scope;

/// A task, as its services see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<u32>,
    /// As they are: roles are not expanded.
    scopes: &'a [Scope],
}

/// The task, for a service of which it is known what the task may do.
pub fn answer(of: &Of) -> Response<Answer> {
    let session = &of.live.session;
    let Some(scopes) = session.service.as_ref().and_then(|service| service.task_scopes.as_deref()) else {
        return own::text(404, "what the task may do was not told to this service\n");
    };
    let (task_id, run_id) = session.task.as_ref().map(|task| (&*task.task_id, task.run_id)).unzip();
    own::json(&Task { task_id, run_id, scopes })
}
