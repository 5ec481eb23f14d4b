//! The payload of a task, as far as a runner looks at it itself: what its services are called, and their images.

use serde::Deserialize;
use serde_json::Value;

use crate::base::{Error, Result};

/// A payload with services.
#[derive(Clone, Debug)]
pub struct Payload {
    /// All of it, for the appliance.
    pub document: Value,
    /// The services.
    pub services: Vec<Service>,
}

/// A service of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// What it is called.
    pub name: String,
    /// Its image.
    pub image: String,
}

impl Payload {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Known {
            services: Vec<Service>,
        }
        let wrong = |e: serde_json::Error| Error::invalid("the payload is not like {\"services\": […]}").because(e);
        let document: Value = serde_json::from_str(text).map_err(wrong)?;
        let Known { services } = Known::deserialize(&document).map_err(wrong)?;
        Ok(Self { document, services })
    }
}
