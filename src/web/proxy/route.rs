//! Where a path leads. Nothing but what was opened can come out of it.

use hyper::Response;

use super::namespaces::Asked;
use super::own::{self, Answer};
use super::taskcluster::Taskcluster;
use super::{Of, Plane};
use crate::base::{Error, Result};
use crate::domain::proxy::{Key, Opened};
use crate::proto::proxy::target::Target;
use crate::proto::proxy::taskcluster::{Route as TaskclusterPath, route, stranger};

/// Where a task finds what it did.
const RECEIPTS: &str = "/receipts";
/// Where a service beside a task reads what the task may do.
const TASK: &str = "/task";
/// Letters of a method. The longest that is registered has 17.
pub const METHOD_LEN_MAX: usize = 32;

/// Where a request goes.
pub enum Route<'p> {
    /// No further.
    Own(Own<'p>),
    /// To the calls of this session.
    Receipts(&'p Of),
    /// To what is known of the task of a service.
    Task(&'p Of),
    /// To an upstream.
    Forward(Way<'p>),
}

/// What the proxy answers itself.
pub enum Own<'p> {
    /// That there is nothing.
    Unknown(Response<Answer>),
    /// That it may not be.
    Refused(Error),
    /// A URL that it signed.
    Bewit(&'p Taskcluster),
    /// A namespace at the broker.
    Namespace(Asked<'p>),
    /// That the credentials are others.
    Credentials(&'p Taskcluster),
}

/// A way to an upstream.
pub struct Way<'p> {
    /// What was opened.
    pub opened: &'p Opened,
    /// The URL, which is one of the upstream's.
    pub url: String,
}

/// Finds where a path leads, if it may be asked with this method.
pub fn find<'p>(plane: &'p Plane, method: &str, text: &str) -> Result<Route<'p>> {
    if method == "CONNECT" || text == "*" {
        return Ok(Route::Own(Own::Unknown(unknown(plane, ""))));
    }
    if method.len() > METHOD_LEN_MAX {
        return Err(Error::invalid(format!("a method has at most {METHOD_LEN_MAX} letters")));
    }
    let target = match Target::parse(text) {
        Ok(target) => target,
        Err(error) => match plane.taskcluster().filter(|_| plane.of.is_none()).and_then(|_| stranger(text)) {
            Some(name) => return Ok(Route::Own(Own::Unknown(no_service(name)))),
            None => return Err(error),
        },
    };
    if let Some(of) = plane.of.as_ref().filter(|_| target.path == RECEIPTS && method == "GET") {
        return Ok(Route::Receipts(of));
    }
    let is_service = |of: &&Of| of.live.session.service.is_some();
    if let Some(of) = plane.of.as_ref().filter(is_service).filter(|_| target.path == TASK && method == "GET") {
        return Ok(Route::Task(of));
    }
    for opened in plane.opened() {
        if let Some(asked) = plane.of.as_ref().and_then(|of| Asked::find(of, opened, method, &target)) {
            return Ok(Route::Own(Own::Namespace(asked?)));
        }
        for mount in &opened.upstream.mounts {
            if let Some(rest) = target.behind(&mount.segment) {
                opened.upstream.admit(method, &rooted(&rest))?;
                return Ok(Route::Forward(Way { opened, url: mount.base.url(&rest.written()) }));
            }
        }
    }
    let Some((face, opened)) = plane.taskcluster() else {
        return Ok(Route::Own(Own::Unknown(unknown(plane, target.path))));
    };
    Ok(match route(&target) {
        TaskclusterPath::Bewit => Route::Own(Own::Bewit(face)),
        TaskclusterPath::Credentials if face.takes_credentials => Route::Own(Own::Credentials(face)),
        TaskclusterPath::Api(path) => {
            opened.upstream.admit(method, &Target::parse(&path)?)?;
            Route::Forward(Way { opened, url: face.base.url(&path) })
        }
        TaskclusterPath::NoApi => Route::Own(Own::Unknown(own::text(404, "invalid /api path"))),
        TaskclusterPath::NoService(name) if plane.of.is_none() => Route::Own(Own::Unknown(no_service(name))),
        TaskclusterPath::Host(host) => {
            return Err(Error::forbidden(format!(
                "`{host}` is not a host that this proxy signs for; it signs for {}",
                face.base
            )));
        }
        TaskclusterPath::Credentials | TaskclusterPath::Short | TaskclusterPath::NoService(_) => {
            Route::Own(Own::Unknown(unknown(plane, target.path)))
        }
    })
}

/// The ancestor's words, its slip included: somebody may look for them.
fn no_service(name: &str) -> Response<Answer> {
    own::text(404, format!("Unkown taskcluster service: {name} is not a valid taskcluster service"))
}

/// What is left of a path, as one that begins with a slash.
fn rooted<'a>(rest: &Target<'a>) -> Target<'a> {
    if rest.path.is_empty() { Target { path: "/", query: rest.query } } else { *rest }
}

/// A path that leads nowhere, and those that lead somewhere.
fn unknown(plane: &Plane, path: &str) -> Response<Answer> {
    let mut words = format!("there is nothing at {path} here; there is:\n");
    for opened in plane.opened() {
        if matches!(opened.key, Key::Namespaces) {
            let (name, granted) = (&opened.upstream.name, opened.permissions.join(", "));
            words.push_str(&format!("  /{name}/<namespace>  POST lends one, DELETE gives it back: {granted}\n"));
        }
        for mount in &opened.upstream.mounts {
            words.push_str(&format!("  /{}/…  {}\n", mount.segment, mount.base));
        }
    }
    if let Some(face) = &plane.taskcluster {
        words.push_str(&format!("  /api/<service>/<version>/…  {}\n  /bewit  signs a URL\n", face.base));
    }
    if plane.of.as_ref().is_some_and(|of| of.live.session.service.is_some()) {
        words.push_str("  /task  what the task may do\n");
    }
    if plane.of.is_some() {
        words.push_str("  /receipts  the calls of this session\n");
    }
    own::text(404, words)
}
