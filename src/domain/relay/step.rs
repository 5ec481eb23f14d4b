//! What a plan consists of: steps, each with its object, what happens to it, and why.

use std::fmt;

use super::memory::Remembered;
use super::resource::ResourceId;
use crate::base::{AccountName, VhostName};
use crate::domain::accounts::Terms;
use crate::ports::broker::Resource;
use crate::proto::relay_profile::OnDrift;

/// What happens to the object of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is made.
    Create,
    /// It becomes as it is declared.
    Change,
    /// A user that somebody else made and an operator adopted becomes as it is declared.
    TakeOver,
    /// It goes.
    Remove,
    /// Nothing, although it is not as it is declared.
    Leave,
}

impl What {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::TakeOver => "take over",
            Self::Remove => "remove",
            Self::Leave => "leave",
        }
    }
}

/// What a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `vhost`, `queue`, `account`, ….
    pub kind: &'static str,
    /// Its name for people.
    pub name: String,
    /// Where it is, if it is in a vhost.
    pub vhost: Option<VhostName>,
}

impl Object {
    pub(super) fn account(name: &AccountName) -> Self {
        Self { kind: "account", name: name.to_string(), vhost: None }
    }

    /// A user for whom nobody here answers.
    pub(super) fn user(name: &AccountName) -> Self {
        Self { kind: "user", name: name.to_string(), vhost: None }
    }
}

impl From<&ResourceId> for Object {
    fn from(id: &ResourceId) -> Self {
        let vhost = (id.kind() != "vhost").then(|| id.vhost.clone());
        Self { kind: id.kind(), name: id.name(), vhost }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, vhost } = self;
        match vhost {
            Some(vhost) => write!(f, "{kind} {name} in {vhost}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What happens.
    pub what: What,
    /// To what.
    pub object: Object,
    /// Why, as a sentence without a capital letter and a full stop.
    pub why: String,
    /// Of what was applied and is otherwise since: what is declared for that case.
    pub drift: Option<OnDrift>,
    pub(super) work: Work,
}

impl Step {
    /// A step that changes nothing, and says so.
    pub(super) fn leave(object: Object, why: impl Into<String>) -> Self {
        Self { what: What::Leave, object, why: why.into(), drift: None, work: Work::None }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.what.word(), self.object, self.why)
    }
}

/// How a step is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Work {
    /// Not at all.
    None,
    /// By declaring something. It is ours from then on if there was none.
    Put { id: ResourceId, resource: Box<Resource>, is_new: bool },
    /// By removing something of ours.
    Remove(ResourceId),
    /// By making a user of this account, or making it again. The second of two that take turns cannot log in yet.
    Make { account: AccountName, user: AccountName, terms: Terms },
    /// By making a user one of this account that was adopted. It keeps its password.
    TakeOver { account: AccountName, user: AccountName, terms: Terms },
    /// By giving an account other terms.
    Adjust(AccountName, Terms),
    /// By telling the broker again, and taking away what the user has beside its terms.
    Renew(AccountName, Vec<VhostName>),
    /// By telling the broker what it was not told yet.
    Settle(AccountName),
    /// By ending an account.
    End(AccountName),
    /// By deleting a user for whom nobody here answers.
    Delete(AccountName),
}

impl Work {
    /// The vhost in which we need rights of our own for it: those of administrators are for vhosts, users and policies.
    pub(super) fn declares_in(&self) -> Option<&VhostName> {
        let (Self::Put { id, .. } | Self::Remove(id)) = self else { return None };
        matches!(id.kind(), "exchange" | "queue" | "binding").then_some(&id.vhost)
    }

    /// The user that it changes. What of users drifted is put right with all other accounts.
    pub(super) fn user(&self) -> Option<&AccountName> {
        match self {
            Self::None | Self::Put { .. } | Self::Remove(_) => None,
            Self::Make { user, .. }
            | Self::TakeOver { user, .. }
            | Self::Adjust(user, _)
            | Self::Renew(user, _)
            | Self::Settle(user)
            | Self::End(user)
            | Self::Delete(user) => Some(user),
        }
    }
}

/// What is to be done so that the broker is as declared. Its length is bounded by the profile, and by what earlier ones
/// declared, which was bounded, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps, in the order in which they are taken.
    pub steps: Vec<Step>,
    /// How much is in the declared vhosts that nobody declares: programs make resources for themselves. It is left alone.
    pub unmanaged: usize,
    /// What is as it is declared, and is not remembered so.
    pub(super) as_declared: Vec<(ResourceId, Remembered)>,
    /// What is remembered and is gone, or nobody's to remove.
    pub(super) forgotten: Vec<ResourceId>,
}

impl Plan {
    /// How many steps change something.
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.what != What::Leave).count()
    }
}
