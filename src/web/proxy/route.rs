//! Where a path leads. Nothing but what was opened can come out of it.

use hyper::Response;

use super::own::{self, Answer};
use super::taskcluster::Taskcluster;
use super::{Opened, Plane};
use crate::base::{Error, Result};
use crate::proto::proxy::target::Target;
use crate::proto::proxy::taskcluster::{Route as TaskclusterPath, route};

/// Where a request goes.
pub enum Route<'p> {
    /// No further.
    Own(Response<Answer>),
    /// To have a URL signed.
    Bewit(&'p Taskcluster),
    /// To replace the credentials.
    Credentials(&'p Taskcluster),
    /// To an upstream.
    Forward(Way<'p>),
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
        return Ok(Route::Own(unknown(plane, "")));
    }
    let target = Target::parse(text)?;
    for opened in &plane.opened {
        for mount in &opened.upstream.mounts {
            if let Some(rest) = target.behind(&mount.segment) {
                opened.upstream.admit(method, &rooted(&rest))?;
                return Ok(Route::Forward(Way { opened, url: mount.base.url(&rest.written()) }));
            }
        }
    }
    let (Some(face), Some(opened)) = (&plane.taskcluster, plane.opened.first()) else {
        return Ok(Route::Own(unknown(plane, target.path)));
    };
    Ok(match route(&target) {
        TaskclusterPath::Bewit => Route::Bewit(face),
        TaskclusterPath::Credentials if face.takes_credentials => Route::Credentials(face),
        TaskclusterPath::Api(path) => {
            opened.upstream.admit(method, &Target::parse(&path)?)?;
            Route::Forward(Way { opened, url: face.base.url(&path) })
        }
        TaskclusterPath::NoApi => Route::Own(own::text(404, "invalid /api path")),
        TaskclusterPath::NoService(name) => {
            // The ancestor's words, its slip included: somebody may look for them.
            Route::Own(own::text(404, format!("Unkown taskcluster service: {name} is not a valid taskcluster service")))
        }
        TaskclusterPath::Host(host) => {
            return Err(Error::forbidden(format!(
                "`{host}` is not a host that this proxy signs for; it signs for {}",
                face.base
            )));
        }
        TaskclusterPath::Credentials | TaskclusterPath::Short => Route::Own(unknown(plane, target.path)),
    })
}

/// What is left of a path, as one that begins with a slash.
fn rooted<'a>(rest: &Target<'a>) -> Target<'a> {
    if rest.path.is_empty() { Target { path: "/", query: rest.query } } else { *rest }
}

/// A path that leads nowhere, and those that lead somewhere.
fn unknown(plane: &Plane, path: &str) -> Response<Answer> {
    let mut words = format!("there is nothing at {path} here; there is:\n");
    for opened in &plane.opened {
        for mount in &opened.upstream.mounts {
            words.push_str(&format!("  /{}/…  {}\n", mount.segment, mount.base));
        }
    }
    if let Some(face) = &plane.taskcluster {
        words.push_str(&format!("  /api/<service>/<version>/…  {}\n  /bewit  signs a URL\n", face.base));
    }
    own::text(404, words)
}
