//! Upstreams that are known without a declaration (proxy.md 2, 3).

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use jiff::tz::TimeZone;

use super::grants::Rule;
use super::tokens::{Mint, Request};
use super::upstreams::{Base, Mount, Upstream};
use crate::base::{Result, Secret};
use crate::proto::proxy::go;
use crate::proto::proxy::template::{Filling, Template};

/// What scopes of a task begin with that are permissions of RelengAPI.
pub const RELENGAPI_PREFIX: &str = "docker-worker:relengapi-proxy:";
/// Where temporary tokens of RelengAPI are minted.
const RELENGAPI_TOKENS: &str = "https://tokens.mozilla-releng.net/tokens";
const RELENGAPI_SERVICES: [&str; 3] = ["tooltool", "treestatus", "mapper"];
const RELENGAPI_TEMPLATE: &str = r#"{"typ":"tmp","expires":"<expires>","metadata":{},"permissions":"<permissions>"}"#;
/// How long such a token works, and how long before its end the ancestor mints another.
const RELENGAPI_LIFE: Duration = Duration::from_secs(600);
const RELENGAPI_MARGIN: Duration = Duration::from_secs(10);
/// Tries beside the first of a call of Taskcluster that means the same twice. The ancestor tries for a quarter of an hour
/// and keeps its client waiting; clients of Taskcluster try again by themselves.
const TASKCLUSTER_RETRIES: u32 = 2;

/// The services of RelengAPI.
pub fn relengapi() -> Result<Upstream> {
    let mount = |service: &str| {
        Ok(Mount { segment: service.to_owned(), base: Base::parse(&format!("https://{service}.mozilla-releng.net"))? })
    };
    let mounts = RELENGAPI_SERVICES.iter().map(|service| mount(service)).collect::<Result<_>>()?;
    Ok(Upstream::open("relengapi", mounts))
}

/// What scopes are worth there. A permission that is literally `*` passes, as the ancestor lets it.
pub fn relengapi_rule() -> Rule {
    Rule::Prefix { prefix: RELENGAPI_PREFIX.into(), wildcards: true }
}

/// How its tokens are minted, by the token of the worker.
pub fn relengapi_mint(issuing: Secret, permissions: Vec<String>, zone: TimeZone) -> Result<Mint> {
    let template = Template::parse(RELENGAPI_TEMPLATE)?;
    let authorization = Secret::new(format!("Bearer {}", issuing.expose()));
    let request = move |ends| {
        let filling = Filling {
            permissions: &permissions,
            expires: &go::rfc3339_nano(ends, &zone),
            expires_in_s: RELENGAPI_LIFE.as_secs(),
            session: "",
        };
        Request {
            method: Method::POST,
            url: RELENGAPI_TOKENS.into(),
            authorization: authorization.clone(),
            content_type: "application/json",
            body: Secret::new(template.fill(&filling)),
        }
    };
    Ok(Mint {
        request: Arc::new(request),
        pointer: "/result/token".into(),
        life_pointer: None,
        life: RELENGAPI_LIFE,
        margin: RELENGAPI_MARGIN,
    })
}

/// A deployment of Taskcluster. Its paths are those of taskcluster-proxy and not under a segment.
pub fn taskcluster() -> Upstream {
    Upstream { retries: TASKCLUSTER_RETRIES, ..Upstream::open("taskcluster", Vec::new()) }
}
