//! Namespaces of the broker of this appliance, for a task: lent by `POST /<upstream>/<namespace>`, given back by `DELETE`.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::Of;
use super::own::{self, Answer};
use crate::base::{Error, Kind, Result};
use crate::domain::proxy::{Key, Opened};
use crate::proto::proxy::target::Target;
use crate::web::api::pulse::Lent;

/// What a task asks for.
pub struct Asked<'p> {
    /// The session.
    of: &'p Of,
    /// Of what it was granted.
    pub opened: &'p Opened,
    /// The namespace.
    name: String,
    gives_back: bool,
}

/// The status for why there is no namespace: one that somebody has is no fault of the broker.
pub fn status(error: &Error) -> u16 {
    if error.kind() == Kind::Conflict { 409 } else { own::status(error) }
}

impl<'p> Asked<'p> {
    /// What this target asks for, if it is below an upstream that lends namespaces.
    pub fn find(of: &'p Of, opened: &'p Opened, method: &str, target: &Target<'_>) -> Option<Result<Self>> {
        if !matches!(opened.key, Key::Namespaces) {
            return None;
        }
        let rest = target.behind(&opened.upstream.name)?;
        let name = rest.path.strip_prefix('/').filter(|name| !name.is_empty())?;
        let gives_back = method == "DELETE";
        if !gives_back && method != "POST" {
            return Some(Err(Error::forbidden(format!(
                "a namespace is lent by POST, and given back by DELETE, not by {method}"
            ))));
        }
        // Colons may be escaped; what is no text is no name.
        let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
        Some(Ok(Self { of, opened, name, gives_back }))
    }

    /// Does it. The answer is that of a claim (taskcluster.md 6.2), with why there is none.
    pub async fn answer(&self) -> (Response<Answer>, Option<String>) {
        let done = if self.gives_back { self.give_back().await } else { self.lend().await };
        match done {
            Ok(answer) => (answer, None),
            Err(error) => {
                let mut answer = own::failure(&error);
                *answer.status_mut() = StatusCode::from_u16(status(&error)).unwrap_or_default();
                // The task reads its record, and not what is behind us.
                tracing::info!("a task's namespace `{}` came to nothing: {}", self.name, error.chain());
                (answer, Some(error.message().to_owned()))
            }
        }
    }

    async fn lend(&self) -> Result<Response<Answer>> {
        let claimed = self.of.proxy.lend_namespace(&self.of.live, self.opened, &self.name).await?;
        let json = serde_json::to_string(&Lent::from(&claimed)).map_err(|e| Error::internal("writing a claim", e))?;
        let mut answer = own::text(200, json);
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(answer)
    }

    async fn give_back(&self) -> Result<Response<Answer>> {
        self.of.proxy.give_namespace_back(&self.of.live, self.opened, &self.name).await?;
        Ok(own::text(204, ""))
    }
}
