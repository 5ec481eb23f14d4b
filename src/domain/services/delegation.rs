//! What a service holds: the scopes of its image's role, as far as its worker holds them itself.

use super::Services;
use super::identity::{Identity, ImageFacts, decide};
use crate::base::{Error, ImageId, Result, RoleId, Scope, WorkerType};
use crate::domain::auth::Caller;
use crate::proto::scopes::Expression;
use crate::proto::services::Service;

/// What the roles of images begin with (docker-worker-services.txt).
const ROLE: &str = "docker-service-image:";
/// Programs that run what they are given: an image that begins with nothing else leaves the choice of its program to the task.
const RUN_ANYTHING: [&str; 14] = [
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "busybox",
    "env",
    "tini",
    "dumb-init",
    "catatonit",
    "docker-init",
    "gosu",
    "su-exec",
    "exec",
];

/// A service that was looked at.
pub(super) struct Judged {
    pub service: Service,
    pub facts: ImageFacts,
    pub identity: Identity,
    pub delegated: Delegated,
}

/// What is delegated.
#[derive(Default)]
pub(super) struct Delegated {
    pub role: Option<RoleId>,
    pub held: Vec<Scope>,
    pub not_held: Vec<Scope>,
}

impl Delegated {
    /// Whether the role stands for anything.
    fn is_worth_something(&self) -> bool {
        let own = self.role.as_ref().map(|role| format!("assume:{role}")).unwrap_or_default();
        self.held.iter().any(|scope| scope.as_str() != own)
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

/// Refuses a command that would be the program that holds the image's scopes. An entrypoint cannot be replaced by a task; without
/// one, or with one that runs whatever it is given, the command is what runs.
fn require_own_program(service: &Service, facts: &ImageFacts) -> Result<()> {
    let is_any = |word: &String| {
        let name = word.rsplit('/').next().unwrap_or_default();
        RUN_ANYTHING.contains(&name) || word.starts_with('-')
    };
    if service.command.is_empty() || !facts.entrypoint.iter().all(is_any) {
        return Ok(());
    }
    Err(Error::forbidden(
        "its image was given scopes, and has no program of its own that the command cannot replace: leave the command out, or \
         give the image an ENTRYPOINT that is one",
    ))
}

impl Services {
    /// Decides on a service: by which name its image is delegated to, and what that is worth.
    pub(super) async fn judge(
        &self,
        caller: &Caller,
        worker_type: &WorkerType,
        service: Service,
        facts: Option<ImageFacts>,
    ) -> Result<Judged> {
        let of = |error: Error| error.reworded(|message| format!("the service `{}`: {message}", service.name));
        let facts = facts.ok_or_else(|| of(Error::invalid("images does not say what the engine has for it")))?;
        let identity = decide(&service.image, &facts, worker_type, &self.config.local_images).map_err(of)?;
        let delegated = match &identity.id {
            Some(id) => self.delegate(caller, role_of(worker_type, id)?).await?,
            None => Delegated::default(),
        };
        if delegated.is_worth_something() {
            require_own_program(&service, &facts).map_err(of)?;
        }
        Ok(Judged { facts, identity, delegated, service })
    }

    /// What a role is worth. Its worker may have been given less than the role has: nobody passes on what they do not hold.
    async fn delegate(&self, caller: &Caller, role: RoleId) -> Result<Delegated> {
        let assumed = Scope::parse(&format!("assume:{role}"))?;
        let expanded = self.auth.expand(&[assumed]).await?;
        let (held, not_held) = expanded.into_iter().partition(|scope| caller.holds(scope.as_str()));
        Ok(Delegated { role: Some(role), held, not_held })
    }
}
