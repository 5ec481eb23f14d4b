//! The queue of a deployment, which tells everybody what a task is and how it stands.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::{Error, Kind, Result, Scope, Timestamp, text};
use crate::ports::upstream::{Client, Outgoing};

/// Bytes of what the queue tells of a task. It takes 48 MiB of payload at the very most, and nobody writes that.
const TASK_LEN_MAX: usize = 4 << 20;
/// For one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Pauses between tries: a minute in all, since a worker waits 90 seconds for a proxy.
pub const PAUSES_S: [u64; 6] = [1, 2, 4, 8, 15, 30];

/// The queue.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    /// Up to its version.
    url: String,
}

/// A task, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it is over at the latest.
    pub deadline: Option<Timestamp>,
    /// Whose workers run it, in two parts.
    pub provisioner_id: Option<String>,
    /// The second of them.
    pub worker_type: Option<String>,
}

#[derive(Deserialize)]
struct StatusAnswer {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    run_id: u32,
    state: String,
}

impl Queue {
    /// The queue at a URL like `https://tc.example.com/api/queue`.
    pub fn new(client: Client, url: &str) -> Self {
        Self { client, url: format!("{url}/v1") }
    }

    /// A task.
    ///
    /// # Errors
    /// `Unavailable` when another try may find it, any other kind when not.
    pub async fn task(&self, task_id: &str) -> Result<Task> {
        self.get(&format!("{}/task/{}", self.url, text::url_encoded(task_id))).await
    }

    /// Whether a run of a task still goes on. A run that the queue does not know does not.
    pub async fn is_running(&self, task_id: &str, run_id: u32) -> Result<bool> {
        let url = format!("{}/task/{}/status", self.url, text::url_encoded(task_id));
        let answer: StatusAnswer = match self.get(&url).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == Kind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let run = answer.status.runs.iter().find(|run| run.run_id == run_id);
        Ok(run.is_some_and(|run| run.state == "running"))
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let unwell = |cause: String| Error::unavailable("the queue is unwell").because(cause);
        let request = Request::get(url).body(Outgoing::None);
        let request = request.map_err(|e| Error::invalid("no URL of a task").because(e))?;
        let answer = tokio::time::timeout(ANSWER_MAX, async {
            let response = self.client.send(request).await.map_err(|e| unwell(e.chain()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), TASK_LEN_MAX).collect().await;
            Ok::<_, Error>((status, body.map_err(|e| unwell(e.to_string()))?.to_bytes()))
        });
        let (status, body) = answer.await.map_err(|_| unwell("no answer in time".into()))??;
        if status.is_server_error() {
            return Err(unwell(format!("it answered {}", status.as_u16())));
        }
        if !status.is_success() {
            // Only that there is no such task is an answer about the task.
            let error = Error::conflict(format!("the queue answered {}", status.as_u16()));
            return Err(if status.as_u16() == 404 { error.into_kind(Kind::NotFound) } else { error });
        }
        serde_json::from_slice(&body).map_err(|e| Error::invalid("the queue answered no task").because(e))
    }
}
