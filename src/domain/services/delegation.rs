//! What a service holds: the scopes of its image's role, as far as its worker holds them itself.

use super::identity::{Identity, ImageFacts, identify};
use super::{SCOPES_MAX, Services};
use crate::base::{Error, ImageId, Result, RoleId, Scope, WorkerType};
use crate::domain::auth::Caller;
use crate::proto::scopes::Expression;
use crate::proto::services::Service;

/// What the roles of images begin with (docker-worker-services.txt).
const ROLE: &str = "docker-service-image:";

/// For whom services are judged.
#[derive(Clone, Copy)]
pub(super) struct For<'a> {
    pub caller: &'a Caller,
    pub worker_type: &'a WorkerType,
    /// Whether calls can be signed for them, of which only who judges them knows what they are worth.
    pub has_credentials: bool,
}

/// A service that was looked at.
pub(super) struct Judged {
    pub service: Service,
    pub facts: ImageFacts,
    pub delegated: Delegated,
}

/// What is delegated, and how that came.
#[derive(Clone, Default)]
pub(super) struct Delegated {
    pub id: Option<ImageId>,
    pub how: String,
    pub role: Option<RoleId>,
    pub held: Vec<Scope>,
    pub not_held: Vec<Scope>,
}

impl Delegated {
    /// What the role stands for beside itself.
    fn given(&self) -> impl Iterator<Item = &Scope> {
        let own = self.role.as_ref().map(|role| format!("assume:{role}")).unwrap_or_default();
        self.held.iter().chain(&self.not_held).filter(move |scope| scope.as_str() != own)
    }

    fn is_given_something(&self) -> bool {
        self.given().next().is_some()
    }
}

/// The role of an image.
fn role_of(worker_type: &WorkerType, image: &ImageId) -> Result<RoleId> {
    RoleId::parse(&format!("{ROLE}{worker_type}/{image}"))
}

/// Refuses a worker that may not delegate to the images of its services.
pub(super) fn require(caller: &Caller, worker_type: &WorkerType) -> Result<()> {
    caller.require(&Expression::Scope(format!("assume:{ROLE}{worker_type}/*")))
}

/// Refuses a command for an image that was given scopes, unless the image says that it takes one for the words of a stranger: whether
/// a command is what runs in the end, nobody can tell of an image from outside.
fn require_no_command(service: &Service, facts: &ImageFacts) -> Result<()> {
    if service.command.is_empty() || (facts.takes_commands && !facts.entrypoint.is_empty()) {
        return Ok(());
    }
    Err(Error::forbidden(
        "its image was given scopes, which a command could make its own: leave the command out, or, if the image has an ENTRYPOINT \
         that takes its arguments for the words of a stranger, have it say so by the label org.keylender.command=untrusted",
    ))
}

impl Services {
    /// Decides on a service: by which name its image is delegated to, and what that is worth.
    pub(super) async fn judge(&self, whom: For<'_>, service: Service, facts: Option<ImageFacts>) -> Result<Judged> {
        let of = |error: Error| error.reworded(|message| format!("the service `{}`: {message}", service.name));
        let facts = facts.ok_or_else(|| of(Error::invalid("images does not say what the engine has for it")))?;
        let identities = identify(&service.image, &facts, whom.worker_type, &self.config.local_images).map_err(of)?;
        let delegated = match identities {
            Ok(identities) => self.delegate(whom, identities).await.map_err(of)?,
            Err(how) => Delegated { how, ..Delegated::default() },
        };
        let could_sign = whom.has_credentials && delegated.role.is_some();
        if could_sign || delegated.is_given_something() || self.proxy.is_worth_something(&delegated.held) {
            require_no_command(&service, &facts).map_err(of)?;
        }
        Ok(Judged { facts, delegated, service })
    }

    /// Delegates by the one of the names to which something was given; by the first, when that is none or all are given the same.
    async fn delegate(&self, whom: For<'_>, identities: Vec<Identity>) -> Result<Delegated> {
        let all = identities.into_iter().map(|identity| self.delegate_by(whom, identity));
        let all = futures_util::future::try_join_all(all).await?;
        let mut given = all.iter().filter(|delegated| delegated.is_given_something());
        let (Some(one), others) = (given.next(), given) else {
            return Ok(all.into_iter().next().unwrap_or_default());
        };
        for other in others {
            if !one.given().eq(other.given()) {
                let (one, other) = (one.role.as_ref(), other.role.as_ref());
                let names: Vec<_> = [one, other].into_iter().flatten().map(ToString::to_string).collect();
                return Err(Error::conflict(format!(
                    "its image has several digests, and different scopes were given to {}: name the one that is meant",
                    names.join(" and ")
                )));
            }
        }
        Ok(one.clone())
    }

    /// What a role is worth. Its worker may have been given less than the role has: nobody passes on what they do not hold.
    async fn delegate_by(&self, whom: For<'_>, Identity { id, how }: Identity) -> Result<Delegated> {
        let role = role_of(whom.worker_type, &id)?;
        let assumed = Scope::parse(&format!("assume:{role}"))?;
        let expanded = self.auth.expand(&[assumed]).await?;
        if expanded.len() > SCOPES_MAX {
            return Err(Error::conflict(format!("the role {role} stands for more than {SCOPES_MAX} scopes")));
        }
        let (held, not_held) = expanded.into_iter().partition(|scope| whom.caller.holds(scope.as_str()));
        Ok(Delegated { id: Some(id), how, role: Some(role), held, not_held })
    }
}
