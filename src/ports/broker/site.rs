//! One broker among several: its name, its vhost, and a side of it.

use std::sync::Arc;

use super::cluster::Cluster;
use super::handle::{Broker, Bus, Handle};
use super::identity::Identity;
use super::users::Users;
use crate::base::{Error, Result, SiteName, VhostName};

/// A broker that has the namespaces' users, as far as somebody holds it.
pub struct Site<T: ?Sized> {
    /// What it is called.
    pub name: SiteName,
    /// Where the users of namespaces are there.
    pub vhost: VhostName,
    /// What is held of it.
    pub side: Handle<T>,
}

impl<T: ?Sized> Site<T> {
    /// This side.
    ///
    /// # Errors
    /// `Unavailable` while no broker is configured.
    pub fn get(&self) -> Result<&Arc<T>> {
        self.side.get()
    }

    /// The same error with the name of this broker.
    pub fn name_error(&self, error: Error) -> Error {
        error.reworded(|text| self.name.says(text))
    }

    fn of<U: ?Sized>(&self, side: Handle<U>) -> Site<U> {
        Site { name: self.name.clone(), vhost: self.vhost.clone(), side }
    }
}

impl Site<dyn Broker> {
    /// How it is.
    pub fn cluster(&self) -> Site<dyn Cluster> {
        self.of(self.side.cluster())
    }

    /// Who we are to it.
    pub fn identity(&self) -> Site<dyn Identity> {
        self.of(self.side.identity())
    }

    /// What lives on it.
    pub fn bus(&self) -> Site<dyn Bus> {
        self.of(self.side.bus())
    }

    /// Its users.
    pub fn users(&self) -> Site<dyn Users> {
        self.of(self.side.users())
    }
}

impl<T: ?Sized> Clone for Site<T> {
    fn clone(&self) -> Self {
        self.of(self.side.clone())
    }
}
