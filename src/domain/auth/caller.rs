//! `Caller`: the proof that somebody was asked who they are. Domain methods that need rights take one.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::Presented;
use crate::base::audit::{Action, Actor, Note, Receipt};
use crate::base::{ClientId, Error, OperatorName, ProxySessionId, Reason, Result, Scope};
use crate::proto::scopes::{Expression, covers};

/// Who is asking, and what they may do. Made only by `Auth`, for the control socket and for sessions of
/// the console.
#[derive(Clone, Debug)]
pub struct Caller {
    actor: Actor,
    scopes: Arc<[Scope]>,
    /// The request they came with; a loop comes with none.
    request_id: Option<Arc<str>>,
    /// Where that came from; nowhere for users of this host and for loops.
    address: Option<IpAddr>,
    /// Marks the signed request, so that a restart still knows it (see `replay`).
    mark: Option<String>,
    /// The fingerprint of the certificate that they were known by, if it was one.
    certificate: Option<Arc<str>>,
    /// Why they do it, in their own words.
    reason: Option<Reason>,
    /// Takes the number of the last audit entry of theirs, for who is shown it.
    receipt: Option<Receipt>,
}

impl Caller {
    /// Somebody who showed no credentials: without any scope.
    pub fn nobody(request_id: &str) -> Self {
        Self { request_id: Some(request_id.into()), ..Self::acting(Actor::Anonymous) }
    }

    pub(super) fn client(
        id: Option<ClientId>,
        scopes: Vec<Scope>,
        presented: &Presented<'_>,
        mark: Option<String>,
    ) -> Self {
        let actor = id.map_or(Actor::Anonymous, Actor::Client);
        let (request_id, address) = (Some(presented.request_id.into()), Some(presented.address));
        Self { scopes: scopes.into(), request_id, address, mark, ..Self::acting(actor) }
    }

    /// The same, known by the certificate with this fingerprint.
    pub(super) fn known_by(self, fingerprint: &str) -> Self {
        Self { certificate: Some(fingerprint.into()), ..self }
    }

    /// Somebody who shows what this actor gave them, and acts in the actor's name: without any scope.
    pub fn in_the_name_of(actor: Actor, request_id: &str, address: IpAddr) -> Self {
        Self { request_id: Some(request_id.into()), address: Some(address), ..Self::acting(actor) }
    }

    fn acting(actor: Actor) -> Self {
        Self {
            actor,
            scopes: Arc::default(),
            request_id: None,
            address: None,
            mark: None,
            certificate: None,
            reason: None,
            receipt: None,
        }
    }

    /// A user of this host who reached the control socket or the store itself: the file's mode is the proof, and
    /// there is nothing they may not do.
    pub fn local(user: &str, request_id: &str) -> Self {
        let everything = Scope::parse("*").into_iter().collect();
        let request_id = Some(request_id.into());
        Self { scopes: everything, request_id, ..Self::acting(Actor::Local(user.into())) }
    }

    /// A person with a session of the console, and the scopes of their role.
    pub(in crate::domain) fn operator(
        name: OperatorName,
        scopes: Vec<Scope>,
        request_id: &str,
        address: IpAddr,
    ) -> Self {
        let request_id = Some(request_id.into());
        Self {
            scopes: scopes.into(),
            request_id,
            address: Some(address),
            receipt: Some(Receipt::default()),
            ..Self::acting(Actor::Operator(name))
        }
    }

    /// The same, for a reason that every audit entry of theirs then has.
    #[must_use]
    pub fn because(&self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self.clone() }
    }

    /// Why they do it. `Invalid` when they did not say.
    pub fn reason(&self) -> Result<&Reason> {
        self.reason.as_ref().ok_or_else(Reason::missing)
    }

    /// A session of the task proxy, which acts by what it was granted.
    pub(in crate::domain) fn of_session(id: &ProxySessionId) -> Self {
        Self::acting(Actor::Session(id.clone()))
    }

    /// A loop of this appliance, which acts by what the store says.
    pub fn of_loop(name: &str) -> Self {
        Self::acting(Actor::Loop(name.into()))
    }

    /// As the audit log names them.
    pub fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// The id of the request they came with; empty for a loop.
    pub fn request_id(&self) -> &str {
        self.request_id.as_deref().unwrap_or_default()
    }

    /// Where their request came from; nowhere for users of this host and for loops.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The number of the last audit entry of what they did, for an operator.
    pub fn receipt(&self) -> Option<u64> {
        self.receipt.as_ref().and_then(Receipt::number)
    }

    /// Begins an audit entry of something they are lent: it says to which address, so that what one machine got can be
    /// found.
    pub fn lend_note(&self, action: Action, object: impl std::fmt::Display) -> Note {
        let note = self.note(action, object);
        match self.address {
            Some(address) => note.with("address", address.to_string()),
            None => note,
        }
    }

    /// Begins an audit entry of something they did.
    pub fn note(&self, action: Action, object: impl std::fmt::Display) -> Note {
        let mut note = Note::done(self.actor(), action, object);
        note.request_id = self.request_id.as_deref().map(str::to_owned);
        note.receipt = self.receipt.clone();
        if let Some(fingerprint) = &self.certificate {
            note = note.with("certificate", &**fingerprint);
        }
        if let Some(reason) = &self.reason {
            note = note.with("reason", reason.as_str());
        }
        match &self.mark {
            Some(mark) => note.with(super::replay::DETAIL, mark.clone()),
            None => note,
        }
    }

    /// Whether they hold a scope: to show what they may do. [`Caller::require`] refuses them what they may not.
    pub fn holds(&self, scope: &str) -> bool {
        covers(&self.scopes, scope)
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
