//! The broker as a whole, and the sides of it that different holders get.

use std::sync::Arc;

use super::cluster::Cluster;
use super::connections::Connections;
use super::identity::Identity;
use super::messages::Messages;
use super::queue_limits::QueueLimits;
use super::resources::Resources;
use super::subscriptions::Subscriptions;
use super::topology::Topology;
use super::users::Users;
use crate::base::{Error, Result};

/// What we ask of a broker. Every call may be repeated: it says what should be, not what to change.
///
/// Errors, everywhere: `Unavailable` when the broker is away, in trouble, or refuses *our* login or rights (the
/// source chain advises the operator); the outcome is then unknown. `NotFound` for an unknown vhost or user that
/// the call needs. `Invalid` for a name or pattern it does not take.
///
/// Only what puts the appliance together holds all of it: others get one side of it, as a [`Handle`].
pub trait Broker: Bus + Cluster + Identity + Messages + Resources + Subscriptions + Users {}

impl<B: Bus + Cluster + Identity + Messages + Resources + Subscriptions + Users> Broker for B {}

/// What lives on the message bus: what whoever looks after it may see and take away.
pub trait Bus: Connections + QueueLimits + Topology {}

impl<B: Connections + QueueLimits + Topology> Bus for B {}

/// One side of the broker, or none while no broker is configured. Cheap to clone.
pub struct Handle<T: ?Sized>(Option<Arc<T>>);

impl<T: ?Sized> Handle<T> {
    /// A handle of this.
    pub fn new(side: Option<Arc<T>>) -> Self {
        Self(side)
    }

    /// This side. `Unavailable` while no broker is configured.
    pub fn get(&self) -> Result<&Arc<T>> {
        self.0.as_ref().ok_or_else(|| Error::unavailable("no broker is configured: see RABBIT_BASE_URL"))
    }

    /// Whether a broker is configured.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl Handle<dyn Broker> {
    /// How it is.
    pub fn cluster(&self) -> Handle<dyn Cluster> {
        Handle(self.0.clone().map(|broker| broker as _))
    }

    /// Who we are to it.
    pub fn identity(&self) -> Handle<dyn Identity> {
        Handle(self.0.clone().map(|broker| broker as _))
    }

    /// What lives on it.
    pub fn bus(&self) -> Handle<dyn Bus> {
        Handle(self.0.clone().map(|broker| broker as _))
    }

    /// The messages in its queues. For `archives` only: what people sent to one another is read by nobody else.
    pub fn messages(&self) -> Handle<dyn Messages> {
        Handle(self.0.clone().map(|broker| broker as _))
    }

    /// What is declared in its vhosts.
    pub fn resources(&self) -> Handle<dyn Resources> {
        Handle(self.0.clone().map(|broker| broker as _))
    }

    /// What comes to its exchanges. For `agents` only: it is read into a queue of our own.
    pub fn subscriptions(&self) -> Handle<dyn Subscriptions> {
        Handle(self.0.clone().map(|broker| broker as _))
    }

    /// Its users.
    pub fn users(&self) -> Handle<dyn Users> {
        Handle(self.0.clone().map(|broker| broker as _))
    }
}

impl<T: ?Sized> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
