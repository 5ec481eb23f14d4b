//! `Caller`: the proof that somebody was asked who they are. Domain methods that need rights take one.

use std::sync::Arc;

use serde_json::Value;

use crate::base::audit::{Actor, Note};
use crate::base::{ClientId, Error, Result, Scope};
use crate::proto::scopes::{Expression, covers};

/// Who is asking, and what they may do. Made only by `Auth` and for the control socket.
#[derive(Clone, Debug)]
pub struct Caller {
    actor: Actor,
    scopes: Arc<[Scope]>,
    /// The request they came with; a loop comes with none.
    request_id: Option<Arc<str>>,
    /// Marks the signed request, so that a restart still knows it (see `replay`).
    mark: Option<String>,
    /// The fingerprint of the certificate that they were known by, if it was one.
    certificate: Option<Arc<str>>,
}

impl Caller {
    /// Somebody who showed no credentials: without any scope.
    pub fn nobody(request_id: &str) -> Self {
        Self::new(Actor::Anonymous, Arc::default(), Some(request_id.into()))
    }

    pub(super) fn client(id: Option<ClientId>, scopes: Vec<Scope>, request_id: &str, mark: Option<String>) -> Self {
        let actor = id.map_or(Actor::Anonymous, Actor::Client);
        Self { mark, ..Self::new(actor, scopes.into(), Some(request_id.into())) }
    }

    /// The same, known by the certificate with this fingerprint.
    pub(super) fn known_by(self, fingerprint: &str) -> Self {
        Self { certificate: Some(fingerprint.into()), ..self }
    }

    fn new(actor: Actor, scopes: Arc<[Scope]>, request_id: Option<Arc<str>>) -> Self {
        Self { actor, scopes, request_id, mark: None, certificate: None }
    }

    /// A user of this host who reached the control socket or the store itself: the file's mode is the proof, and
    /// there is nothing they may not do.
    pub fn local(user: &str, request_id: &str) -> Self {
        let everything = Scope::parse("*").into_iter().collect();
        Self::new(Actor::Local(user.into()), everything, Some(request_id.into()))
    }

    /// A loop of this appliance, which acts by what the store says.
    pub fn of_loop(name: &str) -> Self {
        Self::new(Actor::Loop(name.into()), Arc::default(), None)
    }

    /// As the audit log names them.
    pub fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// The id of the request they came with; empty for a loop.
    pub fn request_id(&self) -> &str {
        self.request_id.as_deref().unwrap_or_default()
    }

    /// Begins an audit entry of something they did.
    pub fn note(&self, action: &'static str, object: impl std::fmt::Display) -> Note {
        let mut note = Note::done(self.actor(), action, object);
        note.request_id = self.request_id.as_deref().map(str::to_owned);
        if let Some(fingerprint) = &self.certificate {
            note = note.with("certificate", &**fingerprint);
        }
        match &self.mark {
            Some(mark) => note.with(super::replay::DETAIL, mark.clone()),
            None => note,
        }
    }

    /// Refuses a caller whose scopes do not satisfy the expression, in the ancestor's words
    /// (vectors `pulse-auth-02`, `-06`, `-07`).
    pub fn require(&self, expression: &Expression) -> Result<()> {
        let Some(missing) = expression.missing(&self.scopes) else { return Ok(()) };
        let missing = match missing {
            Expression::Scope(scope) => scope,
            other => pretty(&other),
        };
        let scopes = pretty(&self.scopes.iter().map(|scope| Value::from(scope.as_str())).collect::<Vec<_>>());
        Err(Error::forbidden(format!(
            "You do not have sufficient scopes. You are missing the following scopes:\n\n```\n{missing}\n```\n\n\
             You have the scopes:\n\n```\n{scopes}\n```\n\n\
             This request requires you to satisfy this scope expression:\n\n```\n{}\n```",
            pretty(expression)
        ))
        .with_code("InsufficientScopes"))
    }

    /// Refuses to let a caller give away scopes that they do not hold.
    pub fn require_all(&self, scopes: &[Scope]) -> Result<()> {
        match scopes.iter().find(|scope| !covers(&self.scopes, scope.as_str())) {
            None => Ok(()),
            Some(scope) => Err(Error::forbidden(format!("you cannot grant the scope `{scope}`: you do not hold it"))
                .with_code("InsufficientScopes")),
        }
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
